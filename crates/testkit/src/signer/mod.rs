//! A whole Sigstore in memory: certificate authority, certificate logs, transparency logs of both
//! versions and timestamp authorities, so that every form of evidence and every fault can be made
//! offline and in milliseconds.
//!
//! Keys, serial numbers and times come from a seed; only the nonces of ECDSA are random. A log
//! keeps no state: each entry lies in a tree of its own among made-up strangers, so what one test
//! signs changes nothing for another. Formats: Sigstore protobuf-specs, Fulcio `oid-info.md`,
//! Rekor's entry types, C2SP `tlog-checkpoint`, RFC 3161, RFC 6962, cosign `SIGNATURE_SPEC.md`.
//!
//! Nothing here checks anything: it signs what it is given, faults and all.

mod asn1;
mod attach;
mod certificate;
mod claims;
mod draft;
pub mod edit;
mod key;
mod log;
mod merkle;
mod parts;
mod tsa;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use sealift_core::digest::Digest;
use sealift_core::evidence::Form;
use serde_json::{Value, json};

pub use attach::{REPOSITORY, artifacts, evidence, fallback, write_layout};
pub use certificate::{CODE_SIGNING, Leaf, SERVER_AUTH, TIME_STAMPING};
pub use claims::{Claims, GITHUB_ISSUER, GITLAB_ISSUER, Identity, Name};
pub use draft::{Draft, Kind, SIGN_PREDICATE, Shape};
pub use key::{Hash, Key, KeyKind, pem};
pub use log::Log;
pub use tsa::Stamp;

use certificate::{Authority, CertificateLog};
use draft::Signer;
use log::Rekor;
use tsa::Stamper;

/// When everything is signed, unless a test says otherwise: 2025-06-01T12:00:00Z, in the past of
/// any clock that this runs under.
pub const SIGNED: i64 = 1_748_779_200;
/// When every authority and log begins: 2024-01-01T00:00:00Z.
const EPOCH: i64 = 1_704_067_200;
/// How many there are of each kind of log and authority: enough to ask for two and have a third.
const EACH: usize = 3;

fn epoch() -> Timestamp {
    Timestamp::from_second(EPOCH).expect("a time")
}

/// The moment [`SIGNED`].
#[must_use]
pub fn signed_at() -> Timestamp {
    Timestamp::from_second(SIGNED).expect("a time")
}

/// A Sigstore with keys of its own.
#[derive(Debug)]
pub struct Sigstore {
    seed: String,
    authority: Authority,
    certificate_logs: Vec<CertificateLog>,
    v1: Vec<Rekor>,
    v2: Vec<Rekor>,
    stampers: Vec<Stamper>,
}

impl Sigstore {
    /// The Sigstore of this seed: equal seeds have equal keys.
    #[must_use]
    pub fn new(seed: &str) -> Self {
        let v2 = |number: usize| {
            // Public logs have had either.
            let kind = match number {
                0 => KeyKind::Ed25519,
                _ => KeyKind::P256,
            };
            let host = format!("log2025-{number}.{seed}.test");
            Rekor::v2(host, kind, &format!("{seed}/v2/{number}"))
        };
        let v1 = |number: usize| {
            let host = format!("rekor-{number}.{seed}.test");
            Rekor::v1(host, &format!("{seed}/v1/{number}"))
        };
        let certificate_log = |number: usize| CertificateLog::new(&format!("{seed}/ct/{number}"));
        Self {
            seed: seed.to_owned(),
            authority: Authority::new(seed),
            certificate_logs: (0..EACH).map(certificate_log).collect(),
            v1: (0..EACH).map(v1).collect(),
            v2: (0..EACH).map(v2).collect(),
            stampers: (0..EACH).map(|number| Stamper::new(seed, number)).collect(),
        }
    }

    /// A signature by somebody with a certificate.
    pub fn keyless(&self, identity: Identity) -> Draft<'_> {
        Draft::new(self, Signer::Keyless(Box::new(identity)))
    }

    /// A signature with a key.
    pub fn keyed<'a>(&'a self, key: &'a Key) -> Draft<'a> {
        Draft::new(self, Signer::Key(key))
    }

    /// `count` images with a keyless signature each, every one by a certificate of its own: Rekor
    /// v1 with proof and promise, bundle v0.3. For measuring how fast they are judged.
    #[must_use]
    pub fn many(&self, identity: &Identity, count: usize) -> Vec<(Digest, Form)> {
        (0..count)
            .map(|number| {
                let subject = Digest::of(format!("image {number}").as_bytes());
                let draft = self.keyless(identity.clone()).subject(subject);
                (subject, draft.log(Log::V1).form())
            })
            .collect()
    }

    /// The `trusted_root.json` that goes with it. Per kind the last log or authority is left out:
    /// the stranger.
    #[must_use]
    pub fn trusted_root(&self) -> Value {
        let known = EACH - 1;
        let logs = self.v1.iter().take(known).chain(self.v2.iter().take(known));
        let logs: Vec<Value> = logs
            .map(|log| self::log(&format!("https://{}", log.host), &log.key, &log.id()))
            .collect();
        let certificate_logs: Vec<Value> = self
            .certificate_logs
            .iter()
            .take(known)
            .enumerate()
            .map(|(number, log)| {
                let url = format!("https://ct-{number}.{}.test", self.seed);
                self::log(&url, &log.key, &log.id())
            })
            .collect();
        let stampers: Vec<Value> = self
            .stampers
            .iter()
            .take(known)
            .enumerate()
            .map(|(number, one)| {
                let uri = format!("https://tsa-{number}.{}.test", self.seed);
                authority(&uri, &one.chain())
            })
            .collect();
        let fulcio = format!("https://fulcio.{}.test", self.seed);
        json!({
            "mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
            "tlogs": logs,
            "certificateAuthorities": [authority(&fulcio, &self.chain())],
            "ctlogs": certificate_logs,
            "timestampAuthorities": stampers,
        })
    }

    /// Intermediate and root of the certificate authority, DER.
    #[must_use]
    pub fn chain(&self) -> [&[u8]; 2] {
        self.authority.chain()
    }
}

fn since_epoch() -> Value {
    json!({ "start": epoch().to_string() })
}

fn log(url: &str, key: &Key, id: &[u8]) -> Value {
    json!({
        "baseUrl": url,
        "hashAlgorithm": "SHA2_256",
        "publicKey": {
            "rawBytes": STANDARD.encode(key.spki()),
            "keyDetails": key.details(),
            "validFor": since_epoch(),
        },
        "logId": { "keyId": STANDARD.encode(id) },
    })
}

fn authority(uri: &str, chain: &[&[u8]]) -> Value {
    let certificates: Vec<Value> = chain
        .iter()
        .map(|der| json!({ "rawBytes": STANDARD.encode(der) }))
        .collect();
    json!({
        "subject": { "organization": "sealift.test", "commonName": uri },
        "uri": uri,
        "certChain": { "certificates": certificates },
        "validFor": since_epoch(),
    })
}
