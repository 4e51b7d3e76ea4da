//! The two documents of discovery: a list of referrers, and a manifest that may carry evidence.
//!
//! OCI image-spec v1.1, "Image Index", "Image Manifest"; distribution-spec v1.1, "Listing
//! Referrers". Like images, a document that is two things at once is refused; what is merely
//! unknown is not.

use std::collections::{BTreeMap, BTreeSet};

use sealift_core::digest::Digest;
use sealift_core::limits;
use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::manifest::ManifestProblem;

/// What a referrers listing or a fallback index names. Media types, artifact types and annotations
/// that it gives are not kept: registries and clients fill them in wrongly.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Referrers {
    /// The manifests, each once.
    pub digests: BTreeSet<Digest>,
    /// How many more are named by digests that are not supported.
    pub unsupported: usize,
}

/// A manifest, as far as it matters to whoever looks for evidence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Carrier {
    /// The digest it says it is about, as written.
    pub subject: Option<String>,
    /// `artifactType`, else the configuration's media type, else the manifest's own.
    pub artifact_type: String,
    /// In its order, at most [`limits::EVIDENCE_LAYERS_MAX`].
    pub layers: Vec<Layer>,
    /// How many layers it has.
    pub layer_count: usize,
}

/// One layer of a [`Carrier`].
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Layer {
    /// As the manifest states it.
    #[serde(default)]
    pub media_type: String,
    /// As written.
    pub digest: String,
    /// As stated, in bytes.
    pub size: Option<u64>,
    /// As written.
    #[serde(default, deserialize_with = "or_default")]
    pub annotations: BTreeMap<String, String>,
}

impl Referrers {
    /// Reads a page of the referrers API, or a fallback index. `null` is an empty list; a missing
    /// list is not: errors are served with status 200, too.
    ///
    /// # Errors
    /// [`ManifestProblem::Unreadable`]
    pub fn parse(bytes: &[u8]) -> Result<Self, ManifestProblem> {
        #[derive(Deserialize)]
        struct Document {
            #[serde(deserialize_with = "or_default")]
            manifests: Vec<Entry>,
            config: Option<IgnoredAny>,
            layers: Option<IgnoredAny>,
        }
        #[derive(Deserialize)]
        struct Entry {
            digest: String,
        }
        let document: Document = read(bytes)?;
        if document.config.is_some() || document.layers.is_some() {
            return Err(two_things());
        }
        let (mut digests, mut unsupported) = (BTreeSet::new(), 0);
        for entry in document.manifests {
            match entry.digest.parse() {
                Ok(digest) => drop(digests.insert(digest)),
                Err(_) => unsupported += 1,
            }
        }
        Ok(Self {
            digests,
            unsupported,
        })
    }
}

impl Carrier {
    /// Reads a manifest. One without layers, and an index, carry nothing.
    ///
    /// # Errors
    /// [`ManifestProblem::Unreadable`]
    pub fn parse(bytes: &[u8]) -> Result<Self, ManifestProblem> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Document {
            media_type: Option<String>,
            artifact_type: Option<String>,
            config: Option<Reference>,
            subject: Option<Reference>,
            manifests: Option<IgnoredAny>,
            #[serde(default, deserialize_with = "or_default")]
            layers: Vec<Layer>,
        }
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Reference {
            media_type: Option<String>,
            #[serde(default)]
            digest: String,
        }
        let document: Document = read(bytes)?;
        if document.manifests.is_some()
            && (document.config.is_some() || !document.layers.is_empty())
        {
            return Err(two_things());
        }
        let said = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
        let config = document.config.as_ref();
        let artifact_type = said(&document.artifact_type)
            .or_else(|| config.and_then(|config| said(&config.media_type)))
            .or_else(|| said(&document.media_type))
            .unwrap_or_default();
        let layer_count = document.layers.len();
        let mut layers = document.layers;
        layers.truncate(limits::EVIDENCE_LAYERS_MAX);
        Ok(Self {
            subject: document.subject.map(|subject| subject.digest),
            artifact_type: artifact_type
                .chars()
                .filter(|character| !character.is_control())
                .take(limits::REGISTRY_MESSAGE_CHARS_MAX)
                .collect(),
            layers,
            layer_count,
        })
    }
}

fn read<'de, T: Deserialize<'de>>(bytes: &'de [u8]) -> Result<T, ManifestProblem> {
    serde_json::from_slice(bytes).map_err(|error| ManifestProblem::Unreadable(error.to_string()))
}

fn two_things() -> ManifestProblem {
    ManifestProblem::Unreadable("it is a manifest and an index at once".to_owned())
}

/// Go writes `null` for what is empty.
fn or_default<'de, T, D>(deserializer: D) -> Result<T, D::Error>
where
    T: Deserialize<'de> + Default,
    D: serde::Deserializer<'de>,
{
    Option::deserialize(deserializer).map(Option::unwrap_or_default)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGEST: &str = "sha256:0101010101010101010101010101010101010101010101010101010101010101";

    fn listed(text: &str) -> Option<(usize, usize)> {
        let text = text.replace("DIGEST", DIGEST);
        let listed = Referrers::parse(text.as_bytes()).ok()?;
        Some((listed.digests.len(), listed.unsupported))
    }

    #[test]
    fn a_list_is_read_whatever_it_says_of_its_manifests() {
        assert_eq!(listed(r#"{"manifests":[]}"#), Some((0, 0)));
        assert_eq!(listed(r#"{"manifests":null}"#), Some((0, 0)));
        let twice = r#"{"manifests":[{"digest":"DIGEST","artifactType":"a"},{"digest":"DIGEST","mediaType":7,"size":-1}]}"#;
        assert_eq!(listed(twice), Some((1, 0)));
        let other = r#"{"manifests":[{"digest":"sha512:00"},{"digest":"DIGEST"}]}"#;
        assert_eq!(listed(other), Some((1, 1)));
    }

    #[test]
    fn what_is_no_list_is_an_error_not_an_empty_list() {
        for text in [
            "",
            "{}",
            "null",
            "[]",
            r#"{"errors":[{"code":"MANIFEST_UNKNOWN"}]}"#,
            r#"{"manifests":[{}]}"#,
            r#"{"manifests":[{"digest":"DIGEST"}"#,
            r#"{"manifests":[],"manifests":[]}"#,
            r#"{"manifests":[],"layers":[]}"#,
            r#"{"manifests":[],"config":{}}"#,
        ] {
            assert_eq!(listed(text), None, "{text}");
        }
    }

    #[test]
    fn a_manifest_tells_its_subject_type_and_layers() {
        let text = r#"{"artifactType":"a\n","config":{"mediaType":"c","digest":"DIGEST"},"subject":{"digest":"DIGEST"},
            "layers":[{"mediaType":"m","digest":"sha512:00","size":3,"annotations":null},{"digest":"d","annotations":{"k":"v"}}]}"#
            .replace("DIGEST", DIGEST);
        let carrier = Carrier::parse(text.as_bytes()).unwrap();
        assert_eq!(carrier.subject.as_deref(), Some(DIGEST));
        assert_eq!(carrier.artifact_type, "a");
        assert_eq!(carrier.layers.len(), 2);
        assert_eq!(carrier.layers[0].size, Some(3));
        assert_eq!(carrier.layers[1].annotations.len(), 1);
        let kind = |text: &str| Some(Carrier::parse(text.as_bytes()).ok()?.artifact_type);
        assert_eq!(
            kind(r#"{"config":{"mediaType":"c"}}"#),
            Some("c".to_owned())
        );
        assert_eq!(
            kind(r#"{"mediaType":"m","manifests":[{}]}"#),
            Some("m".to_owned())
        );
        assert_eq!(kind(r#"{"layers":null}"#), Some(String::new()));
    }

    #[test]
    fn a_manifest_that_is_two_things_or_none_is_refused() {
        for text in [
            "",
            "[]",
            r#"{"manifests":[],"layers":[{"digest":"d"}]}"#,
            r#"{"manifests":[],"config":{}}"#,
            r#"{"layers":[{"digest":"d","size":-1}]}"#,
            r#"{"layers":[{"digest":"d","annotations":{"k":1}}]}"#,
            r#"{"layers":[],"layers":[]}"#,
        ] {
            assert!(Carrier::parse(text.as_bytes()).is_err(), "{text}");
        }
    }

    #[test]
    fn layers_past_the_limit_are_counted_and_not_kept() {
        let max = limits::EVIDENCE_LAYERS_MAX;
        let layers = vec![r#"{"digest":"d"}"#; max + 1].join(",");
        let carrier = Carrier::parse(format!(r#"{{"layers":[{layers}]}}"#).as_bytes()).unwrap();
        assert_eq!((carrier.layers.len(), carrier.layer_count), (max, max + 1));
    }
}
