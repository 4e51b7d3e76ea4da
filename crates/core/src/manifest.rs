//! Kubernetes objects as Sealift reads them: the few fields that matter, everything else ignored.
//!
//! Here: Application, Secret and ConfigMap, read from JSON values. Not here: what the settings in
//! them mean (`application`), and where objects come from. Unknown fields belong to Argo CD or to
//! Kubernetes and are never an error; a known field of another type is, with its path.
//! Argo CD 3, `Application` (`argoproj.io/v1alpha1`); Kubernetes core/v1.

use std::collections::BTreeMap;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde::de::{DeserializeOwned, Deserializer, IgnoredAny};
use serde_json::Value;

use crate::secret::Secret;

/// What is wrong with an object.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ManifestError {
    /// A field has another type than Kubernetes gives it.
    #[error("{path}: {problem}")]
    Field {
        /// For example `spec.source.repoURL`.
        path: String,
        /// What was expected. Never holds a value of a Secret.
        problem: String,
    },
    /// It is no JSON that can be read, such as one that nests too deep.
    #[error("the object cannot be read: {0}")]
    Unreadable(String),
    /// The object has no name.
    #[error("metadata.name: the object has no name")]
    NameMissing,
    /// A value below `data` of a Secret is not base64.
    #[error("data.{0}: the value is not base64")]
    NotBase64(String),
}

/// The part of `metadata` that is read.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Metadata {
    /// Name; never empty once an object was read.
    pub name: String,
    /// Namespace; empty where the object does not say.
    #[serde(deserialize_with = "null_default")]
    pub namespace: String,
    /// Labels.
    #[serde(deserialize_with = "text_map")]
    pub labels: BTreeMap<String, String>,
    /// Annotations.
    #[serde(deserialize_with = "text_map")]
    pub annotations: BTreeMap<String, String>,
    /// Identity across renames.
    #[serde(deserialize_with = "null_default")]
    pub uid: String,
    /// Version that the API server gave.
    #[serde(deserialize_with = "null_default")]
    pub resource_version: String,
}

/// An Argo CD Application as written. `application::Application` is what it means.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct ApplicationManifest {
    /// Name, namespace, annotations.
    pub metadata: Metadata,
    /// What is wanted.
    #[serde(deserialize_with = "null_default")]
    pub spec: ApplicationSpec,
    /// What Argo CD saw.
    #[serde(deserialize_with = "null_default")]
    pub status: ApplicationStatus,
}

/// `spec` of an Application.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ApplicationSpec {
    /// AppProject.
    #[serde(deserialize_with = "null_default")]
    pub project: String,
    /// The one source.
    pub source: Option<Source>,
    /// Several sources; they win over `source` when there are any.
    #[serde(deserialize_with = "null_default")]
    pub sources: Vec<Source>,
    /// Manifests are rendered to another branch; only the dry source is read.
    pub source_hydrator: Option<SourceHydrator>,
}

/// `spec.sourceHydrator`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SourceHydrator {
    /// What people edit.
    #[serde(deserialize_with = "null_default")]
    pub dry_source: Source,
}

/// One source of an Application.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Source {
    /// Git repository or chart repository.
    #[serde(rename = "repoURL", deserialize_with = "null_default")]
    pub repo_url: String,
    /// Folder in the repository.
    #[serde(deserialize_with = "null_default")]
    pub path: String,
    /// Branch, tag, commit or chart version.
    #[serde(deserialize_with = "null_default")]
    pub target_revision: String,
    /// Chart name, for chart repositories.
    #[serde(deserialize_with = "null_default")]
    pub chart: String,
    /// Name by which other sources refer to this one (`$ref/…`).
    #[serde(rename = "ref", deserialize_with = "null_default")]
    pub reference: String,
    /// Helm settings.
    pub helm: Option<HelmSource>,
    /// Kustomize settings.
    pub kustomize: Option<KustomizeSource>,
    /// Plugin settings.
    pub plugin: Option<PluginSource>,
}

impl Source {
    /// Whether the source says what kind it is.
    #[must_use]
    pub const fn has_block(&self) -> bool {
        self.helm.is_some() || self.kustomize.is_some() || self.plugin.is_some()
    }
}

/// `helm` of a source.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct HelmSource {
    /// Parameters, in their order.
    #[serde(deserialize_with = "null_default")]
    pub parameters: Vec<HelmParameter>,
    /// Values files, in their order.
    #[serde(deserialize_with = "null_default")]
    pub value_files: Vec<String>,
    /// `values` is there.
    #[serde(rename = "values", deserialize_with = "presence")]
    pub has_values: bool,
    /// `valuesObject` is there.
    #[serde(rename = "valuesObject", deserialize_with = "presence")]
    pub has_values_object: bool,
}

/// One Helm parameter.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct HelmParameter {
    /// Key, with dots.
    #[serde(deserialize_with = "null_default")]
    pub name: String,
    /// Value.
    #[serde(deserialize_with = "null_default")]
    pub value: String,
    /// The value stays a string whatever it looks like.
    #[serde(deserialize_with = "null_default")]
    pub force_string: bool,
}

/// `kustomize` of a source.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct KustomizeSource {
    /// Image overrides, as text.
    #[serde(deserialize_with = "null_default")]
    pub images: Vec<String>,
}

/// `plugin` of a source.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct PluginSource {
    /// Name of the plugin.
    #[serde(deserialize_with = "null_default")]
    pub name: String,
    /// Environment of the plugin.
    #[serde(deserialize_with = "null_default")]
    pub env: Vec<PluginVariable>,
}

/// One variable of a plugin's environment.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct PluginVariable {
    /// Name.
    #[serde(deserialize_with = "null_default")]
    pub name: String,
    /// Value.
    #[serde(deserialize_with = "null_default")]
    pub value: String,
}

/// `status` of an Application.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ApplicationStatus {
    /// `Helm`, `Kustomize`, `Directory`, `Plugin` or empty.
    #[serde(deserialize_with = "null_default")]
    pub source_type: String,
    /// The same for each of several sources.
    #[serde(deserialize_with = "null_default")]
    pub source_types: Vec<String>,
    /// What runs.
    #[serde(deserialize_with = "null_default")]
    pub summary: ApplicationSummary,
}

/// `status.summary` of an Application.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct ApplicationSummary {
    /// Image references that run.
    #[serde(deserialize_with = "null_default")]
    pub images: Vec<String>,
}

/// A Secret. Its values cannot be printed.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretManifest {
    /// Name and namespace, labels.
    pub metadata: Metadata,
    /// Decoded `data`, with `stringData` on top, as the API server would store it.
    pub data: BTreeMap<String, Secret<Vec<u8>>>,
}

/// A ConfigMap.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct ConfigMapManifest {
    /// Name and namespace.
    pub metadata: Metadata,
    /// Texts.
    #[serde(deserialize_with = "text_map")]
    pub data: BTreeMap<String, String>,
}

impl ApplicationManifest {
    /// Reads an Application.
    ///
    /// # Errors
    /// [`ManifestError`] with the path of the field.
    pub fn from_value(value: Value) -> Result<Self, ManifestError> {
        let manifest: Self = read(value)?;
        named(&manifest.metadata)?;
        Ok(manifest)
    }
}

impl ConfigMapManifest {
    /// Reads a ConfigMap.
    ///
    /// # Errors
    /// [`ManifestError`] with the path of the field.
    pub fn from_value(value: Value) -> Result<Self, ManifestError> {
        let manifest: Self = read(value)?;
        named(&manifest.metadata)?;
        Ok(manifest)
    }
}

impl SecretManifest {
    /// Reads a Secret. `stringData` wins over `data`.
    ///
    /// # Errors
    /// [`ManifestError`] with the path of the field, never with a value.
    pub fn from_value(value: Value) -> Result<Self, ManifestError> {
        let written: WrittenSecret = read(value).map_err(without_value)?;
        named(&written.metadata)?;
        let mut data = BTreeMap::new();
        for (key, text) in written.data {
            // Kubernetes accepts line breaks in base64, as `base64` prints them.
            let packed = Secret::new(text.expose().split_whitespace().collect::<String>());
            let bytes = STANDARD
                .decode(packed.expose())
                .map_err(|_| ManifestError::NotBase64(key.clone()))?;
            data.insert(key, Secret::new(bytes));
        }
        for (key, text) in written.string_data {
            data.insert(key, Secret::new(text.expose().as_bytes().to_vec()));
        }
        let metadata = written.metadata;
        Ok(Self { metadata, data })
    }

    /// The value of `key` as text. `None` where it is absent or not UTF-8.
    #[must_use]
    pub fn text(&self, key: &str) -> Option<&str> {
        let bytes = self.data.get(key)?.expose();
        std::str::from_utf8(bytes).ok()
    }
}

impl fmt::Debug for SecretManifest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SecretManifest")
            .field("namespace", &self.metadata.namespace)
            .field("name", &self.metadata.name)
            .field("keys", &self.data.keys())
            .finish_non_exhaustive()
    }
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct WrittenSecret {
    metadata: Metadata,
    #[serde(deserialize_with = "secret_map")]
    data: BTreeMap<String, Secret<String>>,
    #[serde(deserialize_with = "secret_map")]
    string_data: BTreeMap<String, Secret<String>>,
}

pub(crate) fn read<T: DeserializeOwned>(value: Value) -> Result<T, ManifestError> {
    serde_path_to_error::deserialize(value).map_err(|error| ManifestError::Field {
        path: error.path().to_string(),
        problem: error.into_inner().to_string(),
    })
}

/// The same error without what stood in the field.
fn without_value(error: ManifestError) -> ManifestError {
    match error {
        ManifestError::Field { path, .. } => ManifestError::Field {
            path,
            problem: "the field has another type than it should".to_owned(),
        },
        other => other,
    }
}

pub(crate) fn named(metadata: &Metadata) -> Result<(), ManifestError> {
    if metadata.name.is_empty() {
        return Err(ManifestError::NameMissing);
    }
    Ok(())
}

/// `null` means the same as an absent field.
pub(crate) fn null_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Option::<T>::deserialize(deserializer).map(Option::unwrap_or_default)
}

/// A map of texts; `null` is empty.
fn text_map<'de, D>(deserializer: D) -> Result<BTreeMap<String, String>, D::Error>
where
    D: Deserializer<'de>,
{
    null_default(deserializer)
}

fn secret_map<'de, D>(deserializer: D) -> Result<BTreeMap<String, Secret<String>>, D::Error>
where
    D: Deserializer<'de>,
{
    let texts: BTreeMap<String, Option<String>> = null_default(deserializer)?;
    let secrets = texts.into_iter();
    Ok(secrets
        .map(|(key, text)| (key, Secret::new(text.unwrap_or_default())))
        .collect())
}

/// Whether a field holds anything but `null`.
fn presence<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    Option::<IgnoredAny>::deserialize(deserializer).map(|value| value.is_some())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_application_is_read_and_unknown_fields_are_ignored() {
        let application = ApplicationManifest::from_value(json!({
            "apiVersion": "argoproj.io/v1alpha1",
            "kind": "Application",
            "metadata": { "name": "shop", "annotations": { "a": "b" }, "labels": null,
                          "managedFields": [1] },
            "spec": { "project": "p", "destination": {}, "source": {
                "repoURL": "https://g/r", "path": "apps/shop", "targetRevision": null,
                "helm": { "valuesObject": { "a": 1 }, "valueFiles": ["v.yaml"],
                          "parameters": [{ "name": "n", "value": "v", "forceString": true }] },
                "directory": { "recurse": true } } },
            "status": { "sourceType": "Helm", "summary": { "images": ["nginx:1"] }, "health": {} },
        }))
        .unwrap();
        let source = application.spec.source.unwrap();
        let helm = source.helm.unwrap();
        assert!(helm.has_values_object && !helm.has_values);
        assert!(helm.parameters.first().unwrap().force_string);
        assert_eq!(helm.value_files, ["v.yaml"]);
        assert_eq!(application.status.summary.images, ["nginx:1"]);
    }

    #[test]
    fn a_field_of_another_type_is_named_with_its_path() {
        let error = ApplicationManifest::from_value(json!({
            "metadata": { "name": "shop", "annotations": { "x/force-update": true } },
        }))
        .unwrap_err();
        assert_eq!(
            error.to_string(),
            "metadata.annotations.x/force-update: invalid type: boolean `true`, expected a string"
        );
        let error = ApplicationManifest::from_value(json!({ "metadata": {} })).unwrap_err();
        assert_eq!(error, ManifestError::NameMissing);
    }

    #[test]
    fn a_secret_decodes_data_and_string_data_wins() {
        let secret = SecretManifest::from_value(json!({
            "metadata": { "name": "s" },
            "data": { "a": "Zm9v\n", "b": "Zm9v", "c": null },
            "stringData": { "b": "bar" },
        }))
        .unwrap();
        assert_eq!(secret.text("a"), Some("foo"));
        assert_eq!(secret.text("b"), Some("bar"));
        assert_eq!(secret.text("c"), Some(""));
        assert_eq!(secret.text("d"), None);
    }

    #[test]
    fn neither_debug_nor_errors_of_a_secret_show_its_values() {
        let secret = SecretManifest::from_value(json!({
            "metadata": { "name": "s", "annotations": { "last-applied": "hunter2" } },
            "stringData": { "password": "hunter2" },
        }))
        .unwrap();
        assert!(!format!("{secret:?}").contains("hunter2"));
        for data in [
            json!({ "p": "hunter2!" }),
            json!("hunter2"),
            json!({ "p": ["hunter2"] }),
        ] {
            let error = SecretManifest::from_value(json!({
                "metadata": { "name": "s" }, "data": data,
            }))
            .unwrap_err();
            assert!(!error.to_string().contains("hunter2"), "{error}");
        }
    }
}
