//! Manifests, indexes and image configurations. OCI image-spec v1.1; Docker image manifest v2,
//! schema 2.
//!
//! What a document is, its structure says: servers lie in `Content-Type`, and a document that could
//! be read as both a manifest and an index is refused. Foreign `urls` and inline `data` are never
//! looked at.

use std::collections::BTreeMap;

use bytes::Bytes;
use jiff::Timestamp;
use sealift_core::digest::Digest;
use sealift_core::limits;
use sealift_core::platform::Platform;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;

/// Media types that are asked for.
pub(crate) const ACCEPT: &str = "application/vnd.oci.image.manifest.v1+json, \
     application/vnd.docker.distribution.manifest.v2+json, \
     application/vnd.docker.distribution.manifest.list.v2+json, \
     application/vnd.oci.image.index.v1+json";

/// A manifest or index whose bytes have its digest.
#[derive(Debug, Clone)]
pub struct Manifest {
    /// SHA-256 of [`Manifest::bytes`].
    pub digest: Digest,
    /// `mediaType` of the document itself, where it has one, else the usual one of its kind.
    pub media_type: String,
    /// As served.
    pub bytes: Bytes,
    /// What it says.
    pub kind: ManifestKind,
}

/// What a manifest says.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ManifestKind {
    /// One image.
    Image {
        /// Its configuration.
        config: Descriptor,
    },
    /// A list of manifests.
    Index {
        /// In the order of the index; attestation manifests (`unknown/unknown`) and nested indexes
        /// are left out.
        children: Vec<Descriptor>,
    },
}

/// A reference to content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Descriptor {
    /// What it names.
    pub digest: Digest,
    /// As the parent states it.
    pub media_type: String,
    /// As an index states it.
    pub platform: Option<Platform>,
}

/// What an image configuration says about itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ImageConfig {
    /// `None`: it is no configuration of an image (a chart, a bill of materials).
    pub(crate) platform: Option<Platform>,
    pub(crate) created: Option<Timestamp>,
    pub(crate) labels: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Document {
    media_type: Option<String>,
    manifests: Option<Vec<RawDescriptor>>,
    config: Option<RawDescriptor>,
    layers: Option<IgnoredAny>,
    fs_layers: Option<IgnoredAny>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawDescriptor {
    #[serde(default)]
    media_type: String,
    digest: String,
    platform: Option<RawPlatform>,
}

#[derive(Deserialize)]
struct RawPlatform {
    #[serde(default)]
    os: String,
    #[serde(default)]
    architecture: String,
    variant: Option<String>,
}

/// Why a document is no manifest that can be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ManifestProblem {
    /// It does not follow its format.
    #[error("{0}")]
    Unreadable(String),
    /// It follows a format that is not supported.
    #[error("it is {0}")]
    Unsupported(&'static str),
}

impl Manifest {
    /// Reads a manifest or index, whatever its digest.
    ///
    /// # Errors
    /// [`ManifestProblem`]
    pub fn parse(bytes: Bytes) -> Result<Self, ManifestProblem> {
        parse(Digest::of(&bytes), bytes)
    }
}

/// Reads a manifest or index. `bytes` must have been checked against `digest`.
pub(crate) fn parse(digest: Digest, bytes: Bytes) -> Result<Manifest, ManifestProblem> {
    let unreadable = |why: &str| ManifestProblem::Unreadable(why.to_owned());
    let document: Document = serde_json::from_slice(&bytes)
        .map_err(|error| ManifestProblem::Unreadable(error.to_string()))?;
    if document.fs_layers.is_some() {
        return Err(ManifestProblem::Unsupported(
            "a Docker manifest of schema 1",
        ));
    }
    let (kind, usual) = match (document.manifests, document.config) {
        (Some(_), Some(_)) => return Err(unreadable("it is a manifest and an index at once")),
        (Some(_), None) if document.layers.is_some() => {
            return Err(unreadable("it is a manifest and an index at once"));
        }
        (Some(manifests), None) => {
            if manifests.len() > limits::INDEX_CHILDREN_MAX {
                return Err(unreadable("it lists too many manifests"));
            }
            let children = manifests.into_iter().filter(|raw| !is_left_out(raw));
            let children = children.map(descriptor).collect::<Result<_, _>>()?;
            (
                ManifestKind::Index { children },
                "application/vnd.oci.image.index.v1+json",
            )
        }
        (None, Some(config)) => {
            let config = descriptor(config)?;
            (
                ManifestKind::Image { config },
                "application/vnd.oci.image.manifest.v1+json",
            )
        }
        (None, None) => return Err(unreadable("it is neither a manifest nor an index")),
    };
    Ok(Manifest {
        digest,
        media_type: document.media_type.unwrap_or_else(|| usual.to_owned()),
        kind,
        bytes,
    })
}

/// Attestations stand in indexes as `unknown/unknown`; an index below an index is no image for any
/// platform.
fn is_left_out(raw: &RawDescriptor) -> bool {
    let unknown =
        |platform: &RawPlatform| platform.os == "unknown" && platform.architecture == "unknown";
    is_nested(raw) || raw.platform.as_ref().is_some_and(unknown)
}

fn is_nested(raw: &RawDescriptor) -> bool {
    raw.media_type.ends_with("image.index.v1+json")
        || raw.media_type.ends_with("manifest.list.v2+json")
}

/// Whether a readable index names indexes, which [`ManifestKind::Index`] leaves out.
pub(crate) fn nests_indexes(bytes: &[u8]) -> bool {
    let document = serde_json::from_slice::<Document>(bytes).ok();
    let manifests = document.and_then(|document| document.manifests);
    manifests.is_some_and(|manifests| manifests.iter().any(is_nested))
}

fn descriptor(raw: RawDescriptor) -> Result<Descriptor, ManifestProblem> {
    let digest = raw
        .digest
        .parse()
        .map_err(|error| ManifestProblem::Unreadable(format!("{error}")))?;
    Ok(Descriptor {
        digest,
        media_type: raw.media_type,
        platform: raw.platform.and_then(platform),
    })
}

fn platform(raw: RawPlatform) -> Option<Platform> {
    (!raw.os.is_empty() && !raw.architecture.is_empty()).then(|| Platform {
        os: raw.os,
        architecture: raw.architecture,
        variant: raw.variant.filter(|variant| !variant.is_empty()),
    })
}

/// Whether `media_type` is that of an image configuration: charts and other artifacts have others.
pub(crate) fn is_image_config(media_type: &str) -> bool {
    matches!(
        media_type,
        "application/vnd.oci.image.config.v1+json"
            | "application/vnd.docker.container.image.v1+json"
    )
}

/// Reads an image configuration. A date that is none, and labels that are no texts, count as
/// absent.
pub(crate) fn parse_config(bytes: &[u8]) -> Result<ImageConfig, serde_json::Error> {
    #[derive(Deserialize)]
    struct Document {
        #[serde(default)]
        os: String,
        #[serde(default)]
        architecture: String,
        variant: Option<String>,
        created: Option<Value>,
        config: Option<Settings>,
    }
    #[derive(Deserialize)]
    struct Settings {
        #[serde(rename = "Labels")]
        labels: Option<BTreeMap<String, Value>>,
    }
    let document: Document = serde_json::from_slice(bytes)?;
    let labels = document.config.and_then(|settings| settings.labels);
    let text = |(key, value)| match value {
        Value::String(text) => Some((key, text)),
        _ => None,
    };
    let created = document.created.as_ref().and_then(Value::as_str);
    Ok(ImageConfig {
        created: created.and_then(|created| created.parse().ok()),
        labels: labels
            .unwrap_or_default()
            .into_iter()
            .filter_map(text)
            .collect(),
        platform: platform(RawPlatform {
            os: document.os,
            architecture: document.architecture,
            variant: document.variant,
        }),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGEST: &str = "sha256:0101010101010101010101010101010101010101010101010101010101010101";

    fn read(text: &str) -> Result<ManifestKind, ManifestProblem> {
        let text = text.replace("DIGEST", DIGEST);
        parse(Digest::of(b""), text.into_bytes().into()).map(|manifest| manifest.kind)
    }

    #[test]
    fn structure_decides_what_a_document_is() {
        let image = read(r#"{"config":{"mediaType":"c","digest":"DIGEST"},"layers":[]}"#);
        assert!(matches!(image, Ok(ManifestKind::Image { config }) if config.media_type == "c"));
        let index = read(r#"{"mediaType":"lie","manifests":[]}"#);
        assert_eq!(index, Ok(ManifestKind::Index { children: vec![] }));
    }

    #[test]
    fn attestations_and_nested_indexes_are_left_out() {
        let index = r#"{"manifests":[
            {"digest":"DIGEST","platform":{"os":"unknown","architecture":"unknown"}},
            {"digest":"DIGEST","mediaType":"application/vnd.oci.image.index.v1+json"},
            {"digest":"DIGEST","platform":{"os":"linux","architecture":"arm","variant":"v7"}}]}"#;
        let Ok(ManifestKind::Index { children }) = read(index) else {
            panic!("an index")
        };
        let shown: Vec<String> = children
            .iter()
            .filter_map(|child| child.platform.as_ref().map(ToString::to_string))
            .collect();
        assert_eq!(shown, ["linux/arm/v7"]);
    }

    #[test]
    fn documents_that_are_two_things_or_none_are_refused() {
        for text in [
            "",
            "{}",
            "[]",
            r#"{"manifests":[],"config":{"digest":"DIGEST"}}"#,
            r#"{"manifests":[],"layers":[]}"#,
            r#"{"config":{"digest":"sha256:../../x"},"layers":[]}"#,
            r#"{"manifests":[{"digest":"sha512:00"}]}"#,
        ] {
            assert!(
                matches!(read(text), Err(ManifestProblem::Unreadable(_))),
                "{text}"
            );
        }
        let old = read(r#"{"schemaVersion":1,"fsLayers":[]}"#);
        assert!(matches!(old, Err(ManifestProblem::Unsupported(_))));
    }

    #[test]
    fn a_configuration_without_a_date_or_platform_is_read_as_far_as_it_goes() {
        let config = parse_config(
            br#"{"os":"linux","architecture":"amd64","created":"2024-01-01T00:00:00.5+01:00","config":{"Labels":{"a":"b","c":1}}}"#,
        );
        let config = config.unwrap();
        assert_eq!(config.platform.unwrap().to_string(), "linux/amd64");
        assert_eq!(
            config.created.unwrap().to_string(),
            "2023-12-31T23:00:00.5Z"
        );
        assert_eq!(config.labels.len(), 1);
        let bare = parse_config(br#"{"created":"yesterday","config":null}"#).unwrap();
        assert_eq!((bare.platform, bare.created), (None, None));
        assert!(parse_config(b"[]").is_err());
    }
}
