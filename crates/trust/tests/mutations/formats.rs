//! The forms of evidence, each with the policy that admits it.

use sealift_testkit::signer::{Draft, Key, KeyKind, Kind, Log, Shape, Sigstore};
use serde_json::{Value, json};

use crate::world::{identity, keyed, keyless, other, subject};

/// A predicate type to attest with.
pub(crate) const PROVENANCE: &str = "https://slsa.dev/provenance/v1";

/// What a form holds, and so which faults it can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    /// A bundle of any version.
    Bundle,
    /// A bundle of version 0.3 with one certificate.
    Leaf,
    /// An envelope in a bundle.
    Envelope,
    /// A statement in an envelope, wherever that lies.
    Statement,
    /// A plain signature in a bundle.
    Message,
    /// A certificate, wherever it lies.
    Certificate,
    /// A proof of Rekor v1 in a bundle.
    ProofV1,
    /// A promise of Rekor v1 in a bundle.
    Promise,
    /// A proof of Rekor v2.
    ProofV2,
    /// A timestamp, wherever it lies.
    Stamp,
    /// A timestamp in a bundle.
    BundleStamp,
    /// A signature by a key.
    Key,
    /// A log's answer, wherever it lies.
    Logged,
    /// The same, for a certificate's signature: the log proves the time.
    LogTime,
    /// Annotations of a cosign layer.
    Legacy,
    /// A simple signing payload.
    Simple,
    /// A log's promise in an annotation.
    LegacyLog,
    /// A certificate in an annotation.
    LegacyCertificate,
}

/// A form of evidence.
pub(crate) struct Format {
    pub(crate) name: &'static str,
    /// The key of keyed forms; one that nobody asks about for the others.
    pub(crate) key: Key,
    pub(crate) authority: Value,
    pub(crate) attests: Option<&'static str>,
    pub(crate) parts: &'static [Part],
    keyless: bool,
    make: fn(Draft<'_>) -> Draft<'_>,
}

impl Format {
    fn keyless(
        name: &'static str,
        demands: (u32, u32, &str),
        make: fn(Draft<'_>) -> Draft<'_>,
    ) -> Self {
        let (logs, stamps, transparency) = demands;
        Self {
            name,
            key: Key::seeded(KeyKind::P256, "key"),
            authority: keyless(logs, stamps, transparency),
            attests: None,
            parts: &[],
            keyless: true,
            make,
        }
    }

    fn keyed(
        name: &'static str,
        kind: KeyKind,
        demands: (u32, u32, &str),
        make: fn(Draft<'_>) -> Draft<'_>,
    ) -> Self {
        let (logs, stamps, transparency) = demands;
        Self {
            key: Key::seeded(kind, "key"),
            authority: keyed(logs, stamps, transparency),
            keyless: false,
            ..Self::keyless(name, demands, make)
        }
    }

    fn with(mut self, parts: &'static [Part]) -> Self {
        self.parts = parts;
        self
    }

    fn attesting(mut self) -> Self {
        self.attests = Some(PROVENANCE);
        self
    }

    /// The same form for another image.
    pub(crate) fn elsewhere<'a>(&'a self, sigstore: &'a Sigstore) -> Draft<'a> {
        let draft = self.draft(sigstore);
        match self.parts.contains(&Part::Message) {
            true => draft.message(b"another image"),
            false => draft.subject(other()),
        }
    }

    /// The evidence in the making.
    pub(crate) fn draft<'a>(&'a self, sigstore: &'a Sigstore) -> Draft<'a> {
        let draft = match self.keyless {
            true => sigstore.keyless(identity()),
            false => sigstore.keyed(&self.key),
        };
        let draft = draft.subject(subject());
        let draft = match self.attests {
            Some(kind) => draft.predicate(kind, json!({ "buildDefinition": {} })),
            None => draft,
        };
        (self.make)(draft)
    }
}

const PROVEN: (u32, u32, &str) = (1, 0, "proof");
const STAMPED: (u32, u32, &str) = (0, 1, "proof");
const BOTH: (u32, u32, &str) = (1, 1, "proof");
const PROMISED: (u32, u32, &str) = (1, 0, "promise");
const BARE: (u32, u32, &str) = (0, 0, "proof");

/// All forms.
pub(crate) fn all() -> Vec<Format> {
    let mut all = bundles();
    all.extend(keyed_bundles());
    all.extend(legacy());
    all
}

fn bundles() -> Vec<Format> {
    use Part::{
        Bundle, BundleStamp, Certificate, Envelope, Leaf, LogTime, Logged, Message, Promise,
        ProofV1, ProofV2, Stamp, Statement,
    };
    vec![
        Format::keyless("bundle v0.3, Rekor v1", PROVEN, |draft| draft.log(Log::V1)).with(&[
            Bundle,
            Leaf,
            Envelope,
            Statement,
            Certificate,
            ProofV1,
            Promise,
            Logged,
            LogTime,
        ]),
        Format::keyless("bundle v0.3, Rekor v2", BOTH, |draft| {
            draft.log(Log::V2).timestamps(1)
        })
        .with(&[
            Bundle,
            Leaf,
            Envelope,
            Statement,
            Certificate,
            ProofV2,
            Logged,
            Stamp,
            BundleStamp,
        ]),
        Format::keyless("bundle v0.3, timestamp alone", STAMPED, |draft| {
            draft.timestamps(1)
        })
        .with(&[
            Bundle,
            Leaf,
            Envelope,
            Statement,
            Certificate,
            Stamp,
            BundleStamp,
        ]),
        Format::keyless("bundle v0.3, message, Rekor v1", PROVEN, |draft| {
            draft.message(b"image").log(Log::V1)
        })
        .with(&[
            Bundle,
            Leaf,
            Message,
            Certificate,
            ProofV1,
            Promise,
            Logged,
            LogTime,
        ]),
        Format::keyless("bundle v0.3, attestation, Rekor v1", PROVEN, |draft| {
            draft.log(Log::V1)
        })
        .attesting()
        .with(&[
            Bundle,
            Leaf,
            Envelope,
            Statement,
            Certificate,
            ProofV1,
            Promise,
            Logged,
            LogTime,
        ]),
        Format::keyless("bundle v0.2, attestation, intoto", PROVEN, |draft| {
            draft.shape(Shape::V02).kind(Kind::InToto).log(Log::V1)
        })
        .attesting()
        .with(&[
            Bundle,
            Envelope,
            Statement,
            Certificate,
            ProofV1,
            Promise,
            Logged,
            LogTime,
        ]),
        Format::keyless("bundle v0.1, promise", PROMISED, |draft| {
            draft.shape(Shape::V01).log(Log::V1Promise)
        })
        .with(&[
            Bundle,
            Envelope,
            Statement,
            Certificate,
            Promise,
            Logged,
            LogTime,
        ]),
    ]
}

fn keyed_bundles() -> Vec<Format> {
    use Part::{
        Bundle, BundleStamp, Envelope, Key, Logged, Promise, ProofV1, ProofV2, Stamp, Statement,
    };
    let (p256, p384) = (KeyKind::P256, KeyKind::P384Sha256);
    vec![
        Format::keyed("bundle v0.3, key, Rekor v1", p256, PROVEN, |draft| {
            draft.log(Log::V1)
        })
        .with(&[Bundle, Envelope, Statement, Key, ProofV1, Promise, Logged]),
        Format::keyed("bundle v0.3, key, Rekor v2", p256, BOTH, |draft| {
            draft.log(Log::V2).timestamps(1)
        })
        .with(&[
            Bundle,
            Envelope,
            Statement,
            Key,
            ProofV2,
            Logged,
            Stamp,
            BundleStamp,
        ]),
        Format::keyed("bundle v0.3, key alone", p384, BARE, |draft| draft)
            .with(&[Bundle, Envelope, Statement, Key]),
    ]
}

fn legacy() -> Vec<Format> {
    use Part::{
        Certificate, Key, Legacy, LegacyCertificate, LegacyLog, LogTime, Logged, Simple, Stamp,
        Statement,
    };
    vec![
        Format::keyless(".sig, Rekor v1", PROMISED, |draft| {
            draft.simple_signing().log(Log::V1)
        })
        .with(&[
            Legacy,
            Simple,
            LegacyLog,
            LegacyCertificate,
            Certificate,
            Logged,
            LogTime,
        ]),
        Format::keyless(".sig, timestamp alone", STAMPED, |draft| {
            draft.simple_signing().timestamps(1)
        })
        .with(&[Legacy, Simple, LegacyCertificate, Certificate, Stamp]),
        Format::keyless(".att, Rekor v1", PROMISED, |draft| {
            draft.shape(Shape::Legacy).log(Log::V1)
        })
        .attesting()
        .with(&[
            Legacy,
            Statement,
            LegacyLog,
            LegacyCertificate,
            Certificate,
            Logged,
            LogTime,
        ]),
        Format::keyed(".sig, key alone", KeyKind::Ed25519, BARE, |draft| {
            draft.simple_signing()
        })
        .with(&[Legacy, Simple, Key]),
        Format::keyed(".sig, key, Rekor v1", KeyKind::P256, PROMISED, |draft| {
            draft.simple_signing().log(Log::V1)
        })
        .with(&[Legacy, Simple, Key, LegacyLog, Logged]),
        Format::keyed(".att, key alone", KeyKind::P521, BARE, |draft| {
            draft.shape(Shape::Legacy)
        })
        .attesting()
        .with(&[Legacy, Statement, Key]),
    ]
}
