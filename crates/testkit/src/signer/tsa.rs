//! Timestamp authorities. RFC 3161; RFC 5652 (signed data).

use jiff::{SignedDuration, Timestamp};

use super::asn1::{context, context_set, generalized_time, integer, octets, oid, sequence, set};
use super::certificate::{
    Parts, TIME_STAMPING, hash_identifier, key_usage_signer, name, self_signed, subject_key, usages,
};
use super::epoch;
use super::key::{Hash, Key, KeyKind, serial};

const SIGNED_DATA: &str = "1.2.840.113549.1.7.2";
const TST_INFO: &str = "1.2.840.113549.1.9.16.1.4";
const CONTENT_TYPE: &str = "1.2.840.113549.1.9.3";
const MESSAGE_DIGEST: &str = "1.2.840.113549.1.9.4";
/// Sigstore's policy of timestamps.
const POLICY: &str = "1.3.6.1.4.1.57264.2";
/// Its certificates last five years.
const LASTS: SignedDuration = SignedDuration::from_hours(24 * 1825);

/// What of a timestamp can be set.
#[derive(Debug, Clone)]
pub struct Stamp {
    /// The time in it.
    pub at: Timestamp,
    /// How what is stamped is hashed.
    pub hash: Hash,
    /// Whether the token carries the authority's certificate.
    pub embed: bool,
    /// What is stamped, if not the signature.
    pub over: Option<Vec<u8>>,
    /// `PKIStatus`; 0 is "granted", 2 "rejection".
    pub status: u8,
    /// Whether the time is another one than that which was signed.
    pub altered: bool,
    /// Whether the token is signed by a certificate that may not stamp, of the same authority.
    pub other_usage: bool,
    /// Bytes behind the token.
    pub trailing: Vec<u8>,
}

impl Stamp {
    pub(super) const fn new(at: Timestamp, embed: bool) -> Self {
        Self {
            at,
            hash: Hash::Sha256,
            embed,
            over: None,
            status: 0,
            altered: false,
            other_usage: false,
            trailing: Vec::new(),
        }
    }
}

/// A timestamp authority.
#[derive(Debug)]
pub(super) struct Stamper {
    root: String,
    key: Key,
    leaf_der: Vec<u8>,
    root_der: Vec<u8>,
    bystander: Key,
    bystander_serial: Vec<u8>,
}

impl Stamper {
    pub(super) fn new(seed: &str, number: usize) -> Self {
        let name = format!("timestamp root {number}");
        let key = |what: &str, kind| Key::seeded(kind, &format!("{seed}/tsa/{number}/{what}"));
        let root = key("root", KeyKind::P384);
        let own = key("leaf", KeyKind::P256);
        let parts = Parts {
            serial: serial(&own.spki()),
            issuer: &name,
            subject: &format!("timestamps {number}"),
            not_before: epoch(),
            not_after: epoch() + LASTS,
            spki: own.spki(),
            extensions: vec![
                key_usage_signer(),
                usages(&[TIME_STAMPING], true),
                subject_key(&own),
            ],
        };
        let bystander = key("bystander", KeyKind::P256);
        Self {
            leaf_der: parts.signed(&root),
            root_der: self_signed(&root, &name),
            root: name,
            key: own,
            bystander_serial: serial(&bystander.spki()),
            bystander,
        }
    }

    /// As trusted roots hold it: the leaf comes first.
    pub(super) fn chain(&self) -> [&[u8]; 2] {
        [&self.leaf_der, &self.root_der]
    }

    /// `TimeStampResp` over `message`.
    pub(super) fn answer(&self, message: &[u8], stamp: &Stamp) -> Vec<u8> {
        let message = stamp.over.as_deref().unwrap_or(message);
        let info = |at: Timestamp| {
            let imprint = sequence(&[hash_identifier(stamp.hash), octets(&stamp.hash.of(message))]);
            let serial = serial(message);
            let time = generalized_time(at);
            sequence(&[integer(&[1]), oid(POLICY), imprint, serial, time])
        };
        let signed = info(stamp.at);
        let shown = match stamp.altered {
            true => info(stamp.at + SignedDuration::from_secs(1)),
            false => signed.clone(),
        };
        let (key, number) = match stamp.other_usage {
            true => (&self.bystander, self.bystander_serial.clone()),
            false => (&self.key, serial(&self.key.spki())),
        };
        let certificates = match stamp.embed {
            true => context(0, std::slice::from_ref(&self.leaf_der)),
            false => context(0, &[]),
        };
        let signer = self.signer(key, number, &signed);
        let content = sequence(&[
            integer(&[3]),
            set(&[hash_identifier(Hash::Sha256)]),
            sequence(&[oid(TST_INFO), context(0, &[octets(&shown)])]),
            certificates,
            set(&[signer]),
        ]);
        let token = sequence(&[oid(SIGNED_DATA), context(0, &[content])]);
        let status = sequence(&[integer(&[stamp.status])]);
        let mut answer = sequence(&[status, token]);
        answer.extend(&stamp.trailing);
        answer
    }

    /// `SignerInfo` over `info`.
    fn signer(&self, key: &Key, number: Vec<u8>, info: &[u8]) -> Vec<u8> {
        let digest = octets(&Hash::Sha256.of(info));
        let attributes = [
            sequence(&[oid(CONTENT_TYPE), set(&[oid(TST_INFO)])]),
            sequence(&[oid(MESSAGE_DIGEST), set(&[digest])]),
        ];
        // The signature is over the set under its own tag. RFC 5652, section 5.4.
        let signature = key.sign(&set(&attributes));
        sequence(&[
            integer(&[1]),
            sequence(&[name(&self.root), number]),
            hash_identifier(Hash::Sha256),
            context_set(0, &attributes),
            key.algorithm(),
            octets(&signature),
        ])
    }
}
