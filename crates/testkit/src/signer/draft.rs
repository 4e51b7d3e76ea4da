//! One signature in the making: each method sets one thing, [`Draft::form`] signs.

use std::collections::BTreeMap;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::{SignedDuration, Timestamp};
use sealift_core::digest::Digest;
use sealift_core::evidence::Form;
use serde_json::{Value, json};

use super::certificate::{CODE_SIGNING, Leaf, chain_pem};
use super::claims::Identity;
use super::key::{Key, KeyKind, pem};
use super::log::{Log, Receipt};
use super::parts::{
    IN_TOTO, Signed, body_v1, body_v2, envelope, pre_authentication, simple_signing, statement,
};
use super::tsa::Stamp;
use super::{Sigstore, signed_at};

/// Predicate type of a signature by cosign 3.
pub const SIGN_PREDICATE: &str = "https://sigstore.dev/cosign/sign/v1";

/// Fulcio's certificates last ten minutes.
const LEAF_LASTS: SignedDuration = SignedDuration::from_mins(10);
const SIGNATURE: &str = "dev.cosignproject.cosign/signature";

/// In which form a signature comes out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// Sigstore bundle v0.3, as cosign 3 writes it.
    V03,
    /// The same under the media type that v0.3 had first.
    V03Old,
    /// Bundle v0.2: a chain of certificates.
    V02,
    /// Bundle v0.1: likewise, and a promise of the log.
    V01,
    /// Layer of a `.sig` or `.att` tag, with its annotations.
    Legacy,
}

/// Kinds of entries of Rekor v1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `hashedrekord` 0.0.1.
    HashedRekord,
    /// `dsse` 0.0.1.
    Dsse,
    /// `intoto` 0.0.2.
    InToto,
}

/// One signature in the making.
#[must_use]
pub struct Draft<'a> {
    sigstore: &'a Sigstore,
    signer: Signer<'a>,
    leaf_kind: KeyKind,
    subject: Digest,
    at: Timestamp,
    shape: Shape,
    content: Content,
    payload_type: String,
    predicate: (String, Value),
    logs: Vec<(Log, usize)>,
    stampers: Vec<usize>,
    scts: usize,
    under_a_leaf: bool,
    kind: Option<Kind>,
    changes: Changes<'a>,
}

/// Changes to what is made on the way, before it is signed or written down.
#[derive(Default)]
struct Changes<'a> {
    statement: Option<Change<'a, Value>>,
    leaf: Option<Change<'a, Leaf>>,
    stamp: Option<Change<'a, Stamp>>,
    body: Option<Change<'a, Value>>,
    logged_at: Option<Timestamp>,
}

type Change<'a, T> = Box<dyn Fn(&mut T) + 'a>;

pub(super) enum Signer<'a> {
    Keyless(Box<Identity>),
    Key(&'a Key),
}

/// What is signed.
enum Content {
    /// An in-toto statement in an envelope.
    Statement,
    /// The payload of legacy signatures.
    SimpleSigning,
    /// Any bytes, as they are.
    Message(Vec<u8>),
    /// Any bytes in an envelope.
    Payload(Vec<u8>),
}

/// A signature with all that proves it, before it is given a form.
struct Made<'a> {
    signed: Signed<'a>,
    receipts: Vec<Receipt>,
    stamps: Vec<Vec<u8>>,
}

impl<'a> Draft<'a> {
    pub(super) fn new(sigstore: &'a Sigstore, signer: Signer<'a>) -> Self {
        Self {
            sigstore,
            signer,
            leaf_kind: KeyKind::P256,
            subject: Digest::of(b"image"),
            at: signed_at(),
            shape: Shape::V03,
            content: Content::Statement,
            payload_type: IN_TOTO.to_owned(),
            predicate: (SIGN_PREDICATE.to_owned(), json!({})),
            logs: Vec::new(),
            stampers: Vec::new(),
            scts: 1,
            under_a_leaf: false,
            kind: None,
            changes: Changes::default(),
        }
    }

    /// What is signed; else the digest of `image`.
    pub fn subject(mut self, subject: Digest) -> Self {
        self.subject = subject;
        self
    }

    /// By somebody else than at first: with another certificate's names and claims.
    ///
    /// # Panics
    /// When it is signed with a key.
    pub fn identity(mut self, change: impl FnOnce(&mut Identity)) -> Self {
        let Signer::Keyless(identity) = &mut self.signer else {
            panic!("a key has no identity");
        };
        change(identity);
        self
    }

    /// When it is signed; else [`super::SIGNED`].
    pub fn at(mut self, at: Timestamp) -> Self {
        self.at = at;
        self
    }

    /// In which form; else [`Shape::V03`].
    pub fn shape(mut self, shape: Shape) -> Self {
        self.shape = shape;
        self
    }

    /// As a layer of a `.sig` tag, over a simple signing payload.
    pub fn simple_signing(mut self) -> Self {
        self.content = Content::SimpleSigning;
        self.shape(Shape::Legacy)
    }

    /// As an attestation: the statement has this predicate.
    pub fn predicate(mut self, kind: &str, predicate: Value) -> Self {
        self.predicate = (kind.to_owned(), predicate);
        self
    }

    /// Over `message` itself, which becomes the subject: no envelope, `messageSignature`.
    pub fn message(mut self, message: &[u8]) -> Self {
        self.content = Content::Message(message.to_vec());
        self.subject = Digest::of(message);
        self
    }

    /// Over any bytes in an envelope of any type.
    pub fn payload(mut self, payload_type: &str, payload: &[u8]) -> Self {
        self.content = Content::Payload(payload.to_vec());
        self.payload_type = payload_type.to_owned();
        self
    }

    /// With the statement (or simple signing payload) changed before it is signed.
    pub fn statement(mut self, change: impl Fn(&mut Value) + 'a) -> Self {
        self.changes.statement = Some(Box::new(change));
        self
    }

    /// In one more log: of each version the one after those it is in already.
    pub fn log(self, log: Log) -> Self {
        let before = self.logs.iter().filter(|(one, _)| v2(*one) == v2(log));
        let number = before.count();
        self.log_number(log, number)
    }

    /// In one more log: of its version that with this number.
    pub fn log_number(mut self, log: Log, number: usize) -> Self {
        self.logs.push((log, number));
        self
    }

    /// In the same logs, which hand out what `log` says.
    pub fn log_instead(mut self, log: Log) -> Self {
        for (own, _) in &mut self.logs {
            *own = log;
        }
        self
    }

    /// In logs with these numbers in the place of those it is in.
    pub fn other_logs(mut self, first: usize) -> Self {
        for (count, (_, number)) in self.logs.iter_mut().enumerate() {
            *number = first + count;
        }
        self
    }

    /// How Rekor v1 writes it down; else as cosign asks: `dsse` for envelopes.
    pub fn kind(mut self, kind: Kind) -> Self {
        self.kind = Some(kind);
        self
    }

    /// With what logs write down changed before they do.
    pub fn body(mut self, change: impl Fn(&mut Value) + 'a) -> Self {
        self.changes.body = Some(Box::new(change));
        self
    }

    /// In the logs at another time than that of the signature.
    pub fn logged_at(mut self, at: Timestamp) -> Self {
        self.changes.logged_at = Some(at);
        self
    }

    /// With timestamps of the first `count` authorities.
    pub fn timestamps(mut self, count: usize) -> Self {
        self.stampers = (0..count).collect();
        self
    }

    /// With one more timestamp, of the authority with this number.
    pub fn timestamp_number(mut self, number: usize) -> Self {
        self.stampers.push(number);
        self
    }

    /// With timestamps changed before they are signed.
    pub fn stamp(mut self, change: impl Fn(&mut Stamp) + 'a) -> Self {
        self.changes.stamp = Some(Box::new(change));
        self
    }

    /// With or without an SCT in the certificate; else with one.
    pub fn sct(self, sct: bool) -> Self {
        self.scts(usize::from(sct))
    }

    /// With SCTs of the first `count` certificate logs.
    pub fn scts(mut self, count: usize) -> Self {
        self.scts = count;
        self
    }

    /// By a certificate that somebody issued who has one for signatures and may issue none; both
    /// are in the chain, where the form has one.
    pub fn under_a_leaf(mut self) -> Self {
        self.under_a_leaf = true;
        self
    }

    /// With another kind of key in the certificate; else P-256.
    pub fn leaf_key(mut self, kind: KeyKind) -> Self {
        self.leaf_kind = kind;
        self
    }

    /// With the certificate changed before it is signed.
    pub fn leaf(mut self, change: impl Fn(&mut Leaf) + 'a) -> Self {
        self.changes.leaf = Some(Box::new(change));
        self
    }

    /// Signs.
    ///
    /// # Panics
    /// When the form has no place for what was asked: a legacy layer holds one promise of Rekor v1
    /// and one timestamp.
    #[must_use]
    pub fn form(&self) -> Form {
        let own;
        let (key, certificate) = match &self.signer {
            Signer::Key(key) => (*key, None),
            Signer::Keyless(identity) => {
                let (name, at) = (identity.name(), self.at);
                let seed = format!("{} {name} {at}", self.subject);
                own = Key::seeded(self.leaf_kind, &seed);
                (&own, Some(self.certificate(identity, &own)))
            }
        };
        let (payload, message) = self.payload_and_message();
        let signature = key.sign(&message);
        let signed = Signed {
            key,
            certificate: certificate.as_deref(),
            payload_type: &self.payload_type,
            payload: &payload,
            message: &message,
            signature: &signature,
        };
        let made = Made {
            receipts: self.receipts(&signed),
            stamps: self.stamps(&signed),
            signed,
        };
        match self.shape {
            Shape::Legacy => self.legacy(&made),
            _ => Form::Bundle(self.bundle(&made).to_string().into_bytes().into()),
        }
    }

    /// What is between the certificate and the root, or the root itself, DER.
    fn issuers(&self) -> [&[u8]; 2] {
        let authority = &self.sigstore.authority;
        let [intermediate, root] = authority.chain();
        match self.under_a_leaf {
            true => [authority.middle(), intermediate],
            false => [intermediate, root],
        }
    }

    fn enveloped(&self) -> bool {
        matches!(self.content, Content::Statement | Content::Payload(_))
    }

    fn payload_and_message(&self) -> (Vec<u8>, Vec<u8>) {
        let (kind, predicate) = &self.predicate;
        let changed = |mut value: Value| {
            if let Some(change) = &self.changes.statement {
                change(&mut value);
            }
            value.to_string().into_bytes()
        };
        let payload = match &self.content {
            Content::Statement => changed(statement(self.subject, kind, predicate)),
            Content::SimpleSigning => changed(simple_signing(self.subject)),
            Content::Message(bytes) | Content::Payload(bytes) => bytes.clone(),
        };
        let message = if self.enveloped() {
            pre_authentication(&self.payload_type, &payload)
        } else {
            payload.clone()
        };
        (payload, message)
    }

    fn certificate(&self, identity: &Identity, key: &Key) -> Vec<u8> {
        let mut leaf = Leaf {
            not_before: self.at,
            not_after: self.at + LEAF_LASTS,
            usages: vec![CODE_SIGNING.to_owned()],
            logs: (0..self.scts).collect(),
            logged_at: self.at,
            under_root: false,
            is_authority: false,
            forged: false,
            under_a_leaf: self.under_a_leaf,
            extra: Vec::new(),
            sct_of_another: false,
            trailing: Vec::new(),
        };
        if let Some(change) = &self.changes.leaf {
            change(&mut leaf);
        }
        let logs = &self.sigstore.certificate_logs;
        self.sigstore.authority.leaf(identity, key, &leaf, logs)
    }

    fn receipts(&self, signed: &Signed<'_>) -> Vec<Receipt> {
        let usual = if self.enveloped() {
            Kind::Dsse
        } else {
            Kind::HashedRekord
        };
        let at = self.changes.logged_at.unwrap_or(self.at);
        let add = |(log, number): &(Log, usize)| {
            let (rekor, mut body) = if v2(*log) {
                (&self.sigstore.v2[*number], body_v2(signed))
            } else {
                let body = body_v1(self.kind.unwrap_or(usual), signed);
                (&self.sigstore.v1[*number], body)
            };
            if let Some(change) = &self.changes.body {
                change(&mut body);
            }
            rekor.add(*log, &body, at)
        };
        self.logs.iter().map(add).collect()
    }

    fn stamps(&self, signed: &Signed<'_>) -> Vec<Vec<u8>> {
        let legacy = self.shape == Shape::Legacy;
        // As the real tools ask for it: older ones want the authority's certificate in the token.
        let mut stamp = Stamp::new(self.at, legacy);
        if let Some(change) = &self.changes.stamp {
            change(&mut stamp);
        }
        let stampers = self.stampers.iter();
        let stampers = stampers.map(|number| &self.sigstore.stampers[*number]);
        stampers
            .map(|one| one.answer(signed.signature, &stamp))
            .collect()
    }

    fn bundle(&self, made: &Made<'_>) -> Value {
        let signed = &made.signed;
        let raw = |der: &[u8]| json!({ "rawBytes": STANDARD.encode(der) });
        let chained = matches!(self.shape, Shape::V01 | Shape::V02);
        let mut material = match signed.certificate {
            Some(leaf) if chained => {
                // The root stays out: whoever verifies has it.
                let chain = [raw(leaf), raw(self.issuers()[0])];
                json!({ "x509CertificateChain": { "certificates": chain } })
            }
            Some(leaf) => json!({ "certificate": raw(leaf) }),
            None => json!({ "publicKey": { "hint": signed.key.hint() } }),
        };
        if !made.receipts.is_empty() {
            let entries = made.receipts.iter().map(Receipt::entry);
            material["tlogEntries"] = Value::Array(entries.collect());
        }
        if !made.stamps.is_empty() {
            let stamps = made.stamps.iter();
            let stamps = stamps.map(|der| json!({ "signedTimestamp": STANDARD.encode(der) }));
            let stamps: Vec<Value> = stamps.collect();
            material["timestampVerificationData"] = json!({ "rfc3161Timestamps": stamps });
        }
        let mut bundle = json!({
            "mediaType": self.shape.media_type(),
            "verificationMaterial": material,
        });
        if self.enveloped() {
            bundle["dsseEnvelope"] = envelope(signed, false);
        } else {
            let hash = signed.key.hash();
            bundle["messageSignature"] = json!({
                "messageDigest": {
                    "algorithm": hash.name(),
                    "digest": STANDARD.encode(hash.of(signed.message)),
                },
                "signature": STANDARD.encode(signed.signature),
            });
        }
        bundle
    }

    fn legacy(&self, made: &Made<'_>) -> Form {
        let signed = &made.signed;
        let mut annotations = BTreeMap::new();
        let mut annotate = |name: &str, text: String| {
            annotations.insert(name.to_owned(), text);
        };
        if let Some(leaf) = signed.certificate {
            annotate("dev.sigstore.cosign/certificate", pem("CERTIFICATE", leaf));
            let chain = chain_pem(&self.issuers());
            annotate("dev.sigstore.cosign/chain", chain);
        }
        assert!(made.receipts.len() <= 1, "a legacy layer holds one entry");
        assert!(made.stamps.len() <= 1, "a legacy layer holds one timestamp");
        if let Some(receipt) = made.receipts.first() {
            assert!(!v2(self.logs[0].0), "Rekor v2 makes no promises");
            annotate("dev.sigstore.cosign/bundle", receipt.annotation());
        }
        if let Some(stamp) = made.stamps.first() {
            let text = json!({ "SignedRFC3161Timestamp": STANDARD.encode(stamp) });
            annotate("dev.sigstore.cosign/rfc3161timestamp", text.to_string());
        }
        if self.enveloped() {
            annotate(SIGNATURE, String::new());
            annotate("predicateType", self.predicate.0.clone());
            let envelope = envelope(signed, true).to_string();
            return Form::Envelope {
                envelope: envelope.into_bytes().into(),
                annotations,
            };
        }
        annotate(SIGNATURE, STANDARD.encode(signed.signature));
        Form::SimpleSigning {
            payload: signed.payload.into(),
            annotations,
        }
    }
}

impl Shape {
    /// Media type of bundles of this shape.
    const fn media_type(self) -> &'static str {
        match self {
            Self::V03 => "application/vnd.dev.sigstore.bundle.v0.3+json",
            Self::V03Old => "application/vnd.dev.sigstore.bundle+json;version=0.3",
            Self::V02 => "application/vnd.dev.sigstore.bundle+json;version=0.2",
            Self::V01 => "application/vnd.dev.sigstore.bundle+json;version=0.1",
            Self::Legacy => "",
        }
    }
}

impl Kind {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::HashedRekord => "hashedrekord",
            Self::Dsse => "dsse",
            Self::InToto => "intoto",
        }
    }
}

impl fmt::Debug for Draft<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Draft")
            .field("subject", &self.subject)
            .field("shape", &self.shape)
            .finish_non_exhaustive()
    }
}

fn v2(log: Log) -> bool {
    log == Log::V2
}
