//! The forms of evidence, each with the policy that admits it.

use sealift_testkit::signer::{Draft, Key, KeyKind, Kind, Log, Shape, Sigstore};
use serde_json::{Value, json};

pub(crate) use crate::world::Files;
use crate::world::{identity, keyed, keyless, subject};

/// A predicate type to attest with.
pub(crate) const PROVENANCE: &str = "https://slsa.dev/provenance/v1";

/// A form of evidence.
pub(crate) struct Format {
    pub(crate) name: &'static str,
    /// The key of keyed forms; one that nobody asks about for the others.
    pub(crate) key: Key,
    pub(crate) authority: Value,
    pub(crate) attests: Option<&'static str>,
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

    fn attesting(mut self) -> Self {
        self.attests = Some(PROVENANCE);
        self
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
    let (p256, p384) = (KeyKind::P256, KeyKind::P384Sha256);
    vec![
        Format::keyless("bundle v0.3, Rekor v1", PROVEN, |draft| draft.log(Log::V1)),
        Format::keyless("bundle v0.3, Rekor v2", BOTH, |draft| {
            draft.log(Log::V2).timestamps(1)
        }),
        Format::keyless("bundle v0.3, timestamp alone", STAMPED, |draft| {
            draft.timestamps(1)
        }),
        Format::keyless("bundle v0.3, message, Rekor v1", PROVEN, |draft| {
            draft.message(b"image").log(Log::V1)
        }),
        Format::keyless("bundle v0.3, attestation, Rekor v1", PROVEN, |draft| {
            draft.log(Log::V1)
        })
        .attesting(),
        Format::keyless("bundle v0.2, attestation, intoto", PROVEN, |draft| {
            draft.shape(Shape::V02).kind(Kind::InToto).log(Log::V1)
        })
        .attesting(),
        Format::keyless("bundle v0.1, promise", PROMISED, |draft| {
            draft.shape(Shape::V01).log(Log::V1Promise)
        }),
        Format::keyless(".sig, Rekor v1", PROMISED, |draft| {
            draft.simple_signing().log(Log::V1)
        }),
        Format::keyless(".sig, timestamp alone", STAMPED, |draft| {
            draft.simple_signing().timestamps(1)
        }),
        Format::keyless(".att, Rekor v1", PROMISED, |draft| {
            draft.shape(Shape::Legacy).log(Log::V1)
        })
        .attesting(),
        Format::keyed("bundle v0.3, key, Rekor v1", p256, PROVEN, |draft| {
            draft.log(Log::V1)
        }),
        Format::keyed("bundle v0.3, key, Rekor v2", p256, BOTH, |draft| {
            draft.log(Log::V2).timestamps(1)
        }),
        Format::keyed("bundle v0.3, key alone", p384, BARE, |draft| draft),
        Format::keyed(".sig, key alone", KeyKind::Ed25519, BARE, |draft| {
            draft.simple_signing()
        }),
        Format::keyed(".sig, key, Rekor v1", p256, PROMISED, |draft| {
            draft.simple_signing().log(Log::V1)
        }),
        Format::keyed(".att, key alone", KeyKind::P521, BARE, |draft| {
            draft.shape(Shape::Legacy)
        })
        .attesting(),
    ]
}
