//! Small OCI images, built in memory. OCI image-spec v1.1.

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

/// Media type of an OCI image manifest.
pub const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
/// Media type of an OCI image index.
pub const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
/// Media type of a Docker image manifest, version 2, schema 2.
pub const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
/// Media type of a Docker manifest list.
pub const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";

const OCI_CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const OCI_LAYER: &str = "application/vnd.oci.image.layer.v1.tar";

/// `sha256:…` of `bytes`.
#[must_use]
pub fn digest_of(bytes: &[u8]) -> String {
    let raw = Sha256::digest(bytes);
    let hex: String = raw.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hex}")
}

/// One stored byte string and its digest.
#[derive(Debug, Clone)]
pub struct Blob {
    /// `sha256:…`.
    pub digest: String,
    /// What it holds.
    pub bytes: Vec<u8>,
}

impl Blob {
    /// A blob of `bytes`.
    #[must_use]
    pub fn new(bytes: impl Into<Vec<u8>>) -> Self {
        let bytes = bytes.into();
        Self {
            digest: digest_of(&bytes),
            bytes,
        }
    }
}

/// A manifest or index with everything below it.
#[derive(Debug, Clone)]
pub struct Artifact {
    /// Media type of [`Artifact::manifest`].
    pub media_type: String,
    /// The manifest or index itself.
    pub manifest: Blob,
    /// Configuration and layers of a manifest.
    pub blobs: Vec<Blob>,
    /// Manifests of an index.
    pub children: Vec<Artifact>,
}

/// What an image says about itself. `Default`: `linux/amd64`, made at 2024-01-01, no labels.
#[derive(Debug, Clone)]
pub struct ImageSpec {
    /// For example `linux`.
    pub os: String,
    /// For example `amd64`.
    pub architecture: String,
    /// For example `v8`.
    pub variant: Option<String>,
    /// RFC 3339, or anything else for a test of bad dates. `None` leaves the key out.
    pub created: Option<String>,
    /// `config.Labels`.
    pub labels: Vec<(String, String)>,
    /// Manifest annotations: the way to get another manifest over the same configuration.
    pub annotations: Vec<(String, String)>,
}

impl Default for ImageSpec {
    fn default() -> Self {
        Self {
            os: "linux".into(),
            architecture: "amd64".into(),
            variant: None,
            created: Some("2024-01-01T00:00:00Z".into()),
            labels: Vec::new(),
            annotations: Vec::new(),
        }
    }
}

impl ImageSpec {
    /// The default image, made at `created`.
    #[must_use]
    pub fn created(created: impl Into<String>) -> Self {
        Self {
            created: Some(created.into()),
            ..Self::default()
        }
    }

    /// The same image on another platform, `os/architecture[/variant]`.
    #[must_use]
    pub fn on(mut self, platform: &str) -> Self {
        let mut parts = platform.split('/').map(str::to_owned);
        self.os = parts.next().unwrap_or_default();
        self.architecture = parts.next().unwrap_or_default();
        self.variant = parts.next();
        self
    }

    /// The same image with one more manifest annotation.
    #[must_use]
    pub fn annotated(mut self, key: &str, value: &str) -> Self {
        self.annotations.push((key.into(), value.into()));
        self
    }

    fn platform(&self) -> Value {
        let mut platform = json!({ "architecture": self.architecture, "os": self.os });
        if let Some(variant) = &self.variant {
            platform["variant"] = json!(variant);
        }
        platform
    }
}

/// An image of one tiny layer.
#[must_use]
pub fn image(spec: &ImageSpec) -> Artifact {
    let mut config = spec.platform();
    if let Some(created) = &spec.created {
        config["created"] = json!(created);
    }
    config["config"] = json!({ "Labels": object(&spec.labels) });
    config["rootfs"] = json!({ "type": "layers", "diff_ids": [digest_of(b"layer")] });
    let config = Blob::new(config.to_string());
    let layer = Blob::new(*b"layer");
    let mut manifest = json!({
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": descriptor(OCI_CONFIG, &config),
        "layers": [descriptor(OCI_LAYER, &layer)],
    });
    if !spec.annotations.is_empty() {
        manifest["annotations"] = object(&spec.annotations);
    }
    Artifact {
        media_type: OCI_MANIFEST.into(),
        manifest: Blob::new(manifest.to_string()),
        blobs: vec![config, layer],
        children: Vec::new(),
    }
}

/// An index over one image a spec.
#[must_use]
pub fn index(specs: &[ImageSpec]) -> Artifact {
    let children: Vec<Artifact> = specs.iter().map(image).collect();
    let manifests: Vec<Value> = specs
        .iter()
        .zip(&children)
        .map(|(spec, child)| {
            let mut entry = descriptor(&child.media_type, &child.manifest);
            entry["platform"] = spec.platform();
            entry
        })
        .collect();
    let manifest = json!({ "schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": manifests });
    Artifact {
        media_type: OCI_INDEX.into(),
        manifest: Blob::new(manifest.to_string()),
        blobs: Vec::new(),
        children,
    }
}

/// An OCI descriptor of `blob`.
#[must_use]
pub fn descriptor(media_type: &str, blob: &Blob) -> Value {
    json!({ "mediaType": media_type, "digest": blob.digest, "size": blob.bytes.len() })
}

fn object(pairs: &[(String, String)]) -> Value {
    pairs
        .iter()
        .map(|(key, value)| (key.clone(), json!(value)))
        .collect::<serde_json::Map<_, _>>()
        .into()
}
