//! What hangs on images, with any bytes in it: referrers, fallback indexes, cosign's manifests.
//! Nothing here is signed.

use serde_json::{Map, Value, json};

use super::image::{Artifact, Blob, OCI_INDEX, OCI_MANIFEST, descriptor};

/// Media type of a Sigstore bundle.
pub const BUNDLE: &str = "application/vnd.dev.sigstore.bundle.v0.3+json";
/// Media type of a payload that cosign signs.
pub const SIMPLE_SIGNING: &str = "application/vnd.dev.cosign.simplesigning.v1+json";
/// Media type of an envelope around an attestation.
pub const ENVELOPE: &str = "application/vnd.dsse.envelope.v1+json";

const EMPTY: &str = "application/vnd.oci.empty.v1+json";

/// One layer.
#[derive(Debug, Clone)]
pub struct Part {
    /// Media type.
    pub media_type: String,
    /// What its blob holds.
    pub bytes: Vec<u8>,
    /// Annotations of the layer.
    pub annotations: Vec<(String, String)>,
}

impl Part {
    /// A layer without annotations.
    #[must_use]
    pub fn new(media_type: &str, bytes: impl Into<Vec<u8>>) -> Self {
        Self {
            media_type: media_type.to_owned(),
            bytes: bytes.into(),
            annotations: Vec::new(),
        }
    }

    /// The same with one more annotation.
    #[must_use]
    pub fn annotated(mut self, name: &str, value: &str) -> Self {
        self.annotations.push((name.to_owned(), value.to_owned()));
        self
    }
}

/// A manifest of `parts` that is about the digest `subject`.
#[must_use]
pub fn referrer(subject: &str, artifact_type: &str, parts: &[Part]) -> Artifact {
    let mut manifest = manifest(parts);
    manifest["artifactType"] = json!(artifact_type);
    manifest["subject"] = json!({ "mediaType": OCI_MANIFEST, "digest": subject, "size": 1 });
    artifact(&manifest, parts)
}

/// A manifest of `parts` that is about nothing, as cosign's tags name them.
#[must_use]
pub fn tagged(parts: &[Part]) -> Artifact {
    artifact(&manifest(parts), parts)
}

/// A manifest of a bundle that holds `text`.
#[must_use]
pub fn bundle(subject: &str, text: &str) -> Artifact {
    referrer(subject, BUNDLE, &[Part::new(BUNDLE, text)])
}

/// The index that lists `referrers` in a registry without the referrers API. All artifact types in
/// it are wrong.
#[must_use]
pub fn fallback_index(referrers: &[Artifact]) -> Artifact {
    let entry = |referrer: &Artifact| {
        let mut entry = descriptor(OCI_MANIFEST, &referrer.manifest);
        entry["artifactType"] = json!(EMPTY);
        entry
    };
    let manifests: Vec<Value> = referrers.iter().map(entry).collect();
    let index = json!({ "schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": manifests });
    Artifact {
        media_type: OCI_INDEX.into(),
        manifest: Blob::new(index.to_string()),
        blobs: Vec::new(),
        children: referrers.to_vec(),
    }
}

/// An artifact over any manifest, with the blobs of `parts`.
#[must_use]
pub fn artifact(manifest: &Value, parts: &[Part]) -> Artifact {
    let blobs = parts.iter().map(|part| Blob::new(part.bytes.clone()));
    Artifact {
        media_type: OCI_MANIFEST.into(),
        manifest: Blob::new(manifest.to_string()),
        blobs: std::iter::once(Blob::new(*b"{}")).chain(blobs).collect(),
        children: Vec::new(),
    }
}

/// The manifest of [`tagged`], to be changed before it becomes an [`artifact`].
#[must_use]
pub fn manifest(parts: &[Part]) -> Value {
    let layer = |part: &Part| {
        let mut layer = descriptor(&part.media_type, &Blob::new(part.bytes.clone()));
        if !part.annotations.is_empty() {
            let pairs = part.annotations.iter();
            let pairs = pairs.map(|(name, value)| (name.clone(), json!(value)));
            layer["annotations"] = Value::Object(pairs.collect::<Map<_, _>>());
        }
        layer
    };
    json!({
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": descriptor(EMPTY, &Blob::new(*b"{}")),
        "layers": parts.iter().map(layer).collect::<Vec<_>>(),
    })
}
