//! Trust roots: whose word counts for certificates, transparency logs and timestamps.
//!
//! Here: reading a `trusted_root.json`. What cannot be read in it is left out and said, since one
//! key of an unknown kind must not make a whole root useless, nor widen it. Not here: where the
//! bytes come from. Format: Sigstore protobuf-specs, `TrustedRoot`; `validFor.start` is required.

use std::collections::BTreeMap;

use jiff::Timestamp;
use sealift_core::digest::Digest;
use sealift_core::limits::TRUST_MATERIAL_BYTES_MAX;
use sealift_core::notice::Notice;
use sealift_core::reason::Reason;
use serde_json::{Map, Value};
use sigstore_verify::Verifier;
use sigstore_verify::crypto::VerificationKey;
use sigstore_verify::trust_root::TrustedRoot;
use sigstore_verify::types::{Checkpoint, TimeRange, TsaAuthority};

/// The lists of a root, each with what a message calls its entries.
const LISTS: [(&str, &str); 4] = [
    ("tlogs", "transparency log"),
    ("certificateAuthorities", "certificate authority"),
    ("ctlogs", "certificate log"),
    ("timestampAuthorities", "timestamp authority"),
];

/// A trust root, ready to verify with.
pub struct TrustRoot {
    verifier: Verifier,
    logs: BTreeMap<Vec<u8>, Log>,
    timestamp_authorities: Vec<(Digest, TsaAuthority)>,
    hash: Digest,
}

/// A transparency log: its key, and when that was in force.
struct Log {
    key: VerificationKey,
    window: Option<TimeRange>,
}

/// Why bytes are no trust root.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TrustRootError {
    /// Over its bound.
    #[error("the trust root has {0} bytes, more than {TRUST_MATERIAL_BYTES_MAX}")]
    TooLarge(usize),
    /// No JSON object of the format.
    #[error("the trust root cannot be read: {0}")]
    Unreadable(String),
    /// Nothing in it is usable.
    #[error("the trust root holds no authority and no log that can be read")]
    Empty,
}

impl std::fmt::Debug for TrustRoot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TrustRoot")
            .field("hash", &self.hash)
            .finish_non_exhaustive()
    }
}

impl TrustRoot {
    /// Reads a `trusted_root.json`, and says what was left out of it.
    ///
    /// # Errors
    /// It is too large, no trust root at all, or nothing in it can be used.
    pub fn parse(bytes: &[u8]) -> Result<(Self, Vec<Notice>), TrustRootError> {
        if bytes.len() > TRUST_MATERIAL_BYTES_MAX {
            return Err(TrustRootError::TooLarge(bytes.len()));
        }
        let unreadable =
            |error: &dyn std::fmt::Display| TrustRootError::Unreadable(error.to_string());
        let document: Map<String, Value> =
            serde_json::from_slice(bytes).map_err(|error| unreadable(&error))?;
        let mut kept = skeleton(&document);
        let mut notices = Vec::new();
        for (list, what) in LISTS {
            let entries = document.get(list).and_then(Value::as_array);
            let mut good = Vec::new();
            for (index, entry) in entries.into_iter().flatten().enumerate() {
                let mut alone = skeleton(&document);
                alone.insert(list.to_owned(), Value::Array(vec![entry.clone()]));
                match usable(alone) {
                    Ok(_) => good.push(entry.clone()),
                    Err(problem) => notices.push(Notice::new(
                        Reason::TrustRootPartial,
                        format!("{what} {index} (`{list}[{index}]`) was left out: {problem}"),
                    )),
                }
            }
            kept.insert(list.to_owned(), Value::Array(good));
        }
        let is_empty = |list: &Value| list.as_array().is_none_or(Vec::is_empty);
        if LISTS
            .iter()
            .all(|(list, _)| kept.get(*list).is_none_or(is_empty))
        {
            return Err(TrustRootError::Empty);
        }
        let (root, verifier) = usable(kept).map_err(|problem| unreadable(&problem))?;
        let logs = root.tlogs.iter().filter_map(|log| {
            let key = VerificationKey::from_spki(&log.public_key.raw_bytes).ok()?;
            let window = log.public_key.valid_for;
            let id = log.log_id.key_id.as_bytes().to_vec();
            Some((id, Log { key, window }))
        });
        let authorities = root.tsa_authorities().into_iter();
        let read = Self {
            verifier,
            logs: logs.collect(),
            timestamp_authorities: authorities
                .map(|authority| (Digest::of(authority.leaf.as_bytes()), authority))
                .collect(),
            hash: Digest::of(bytes),
        };
        Ok((read, notices))
    }

    /// SHA-256 of the bytes that it was read from.
    #[must_use]
    pub const fn hash(&self) -> Digest {
        self.hash
    }

    pub(crate) const fn verifier(&self) -> &Verifier {
        &self.verifier
    }

    /// Whether it knows a transparency log by its id.
    pub(crate) fn knows_log(&self, id: &[u8]) -> bool {
        self.logs.contains_key(id)
    }

    /// Whether the key of the log of this id was in force at all of `times`. Where no time is
    /// proven, a key that was taken out of use proves nothing: it may have been stolen since.
    pub(crate) fn log_in_force(&self, id: &[u8], times: &[Timestamp]) -> bool {
        self.logs
            .get(id)
            .is_some_and(|log| match (log.window, times) {
                (None, _) => true,
                (Some(window), []) => window.end.is_none(),
                (Some(window), times) => times.iter().all(|time| window.contains(*time)),
            })
    }

    /// Whether the log of this id signed a checkpoint. The id beside a proof is signed by nobody,
    /// so it is believed only if its own key made the checkpoint.
    pub(crate) fn log_signed(&self, id: &[u8], checkpoint: &Checkpoint) -> bool {
        self.logs.get(id).is_some_and(|log| {
            let mut signatures = checkpoint.signatures().iter();
            signatures.any(|one| {
                log.key
                    .verify(checkpoint.signed_data(), &one.signature)
                    .is_ok()
            })
        })
    }

    /// Its timestamp authorities, each with a name that tells it from the others.
    pub(crate) fn timestamp_authorities(&self) -> &[(Digest, TsaAuthority)] {
        &self.timestamp_authorities
    }
}

/// The document with empty lists.
fn skeleton(document: &Map<String, Value>) -> Map<String, Value> {
    let media_type = document.get("mediaType").cloned().unwrap_or_default();
    let mut bare = Map::new();
    bare.insert("mediaType".to_owned(), media_type);
    for (list, _) in LISTS {
        bare.insert(list.to_owned(), Value::Array(Vec::new()));
    }
    bare
}

fn usable(document: Map<String, Value>) -> Result<(TrustedRoot, Verifier), String> {
    let root: TrustedRoot =
        serde_json::from_value(Value::Object(document)).map_err(|error| error.to_string())?;
    let verifier = Verifier::new(&root).map_err(|error| error.to_string())?;
    Ok((root, verifier))
}
