//! The fields of an `ImageUpdater`. The CRD is generated from these types; every way in reads
//! through them.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::promotion::cosign_key::ImagesVerification;

/// What an API server says of a reference that asks for nothing.
pub const IMAGES_OR_ANNOTATIONS: &str =
    "Either useAnnotations must be true, or images must be provided with at least one item";
/// What an API server says of pull requests to no forge, or to two.
pub const ONE_FORGE: &str = "Exactly one of github or gitlab must be set";
/// What an API server says of a target of no kind, or of several.
pub const ONE_TARGET: &str = "Exactly one of helm, kustomize or plugin must be set";
/// What an API server says of a plugin target without a place for the name.
pub const PLUGIN_NAME: &str = "A plugin target needs spec or name";

/// Which Applications are followed, and how.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ImageUpdaterSpec {
    /// The Applications of the object's namespace, by name and labels. The most specific reference
    /// that fits an Application decides.
    #[schemars(
        length(min = 1),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["namePattern"])
    )]
    pub application_refs: Vec<ApplicationRef>,
    /// For all images, unless a reference or an image says otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub common_update_settings: Option<CommonUpdateSettings>,
    /// Where changes are written, unless a reference says otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub write_back_config: Option<WriteBackConfig>,
    /// Signatures that images must carry, unless a reference or an image says otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub images_verification: Option<ImagesVerification>,
}

/// Some Applications and how they are followed.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [{
    "rule": "(has(self.useAnnotations) && self.useAnnotations == true) || (has(self.images) && size(self.images) > 0)",
    "message": IMAGES_OR_ANNOTATIONS,
}]))]
pub struct ApplicationRef {
    /// A pattern that the whole name of the Application must match: `*`, `?`, `[a-z]`, `[^a-z]`.
    pub name_pattern: String,
    /// Labels that the Application must have, too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label_selectors: Option<LabelSelector>,
    /// Whether the annotations of the Application say how it is followed. Then nothing else here
    /// counts but the signatures.
    #[serde(default)]
    pub use_annotations: bool,
    /// The images that are followed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["alias"]))]
    pub images: Vec<ImageConfig>,
    /// Replaces the settings of the spec, field by field.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub common_update_settings: Option<CommonUpdateSettings>,
    /// Replaces the settings of the spec, field by field.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub write_back_config: Option<WriteBackConfig>,
    /// Replaces the settings of the spec, field by field.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub images_verification: Option<ImagesVerification>,
}

/// A label selector of Kubernetes; every requirement must hold.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-map-type" = "atomic"))]
pub struct LabelSelector {
    /// Labels with exactly these values.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub match_labels: BTreeMap<String, String>,
    /// Requirements of labels.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "atomic"))]
    pub match_expressions: Vec<LabelRequirement>,
}

/// One requirement of a label.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LabelRequirement {
    /// The label.
    pub key: String,
    /// `In`, `NotIn`, `Exists` or `DoesNotExist`.
    pub operator: String,
    /// Values for `In` and `NotIn`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "atomic"))]
    pub values: Vec<String>,
}

/// One image that is followed.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ImageConfig {
    /// The name of this entry.
    #[schemars(regex(pattern = r"^[a-zA-Z0-9][a-zA-Z0-9-._]*$"))]
    pub alias: String,
    /// `[registry/]name[:constraint]`
    pub image_name: String,
    /// Replaces the settings of the reference, field by field.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub common_update_settings: Option<CommonUpdateSettings>,
    /// Replaces the settings of the reference, field by field.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub images_verification: Option<ImagesVerification>,
    /// Where manifests keep the image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub manifest_targets: Option<ManifestTarget>,
}

/// Where manifests keep an image: exactly one way.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [{
    "rule": "has(self.helm) ? !has(self.kustomize) && !has(self.plugin) : has(self.kustomize) != has(self.plugin)",
    "message": ONE_TARGET,
}]))]
pub struct ManifestTarget {
    /// Helm values or parameters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub helm: Option<HelmTarget>,
    /// An image of a kustomization.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kustomize: Option<KustomizeTarget>,
    /// Environment variables of a plugin.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plugin: Option<PluginTarget>,
}

/// Names of Helm values or parameters.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HelmTarget {
    /// Takes the name without tag.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Takes the tag.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
    /// Takes the whole reference; then the others do not count.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spec: Option<String>,
}

/// An image of a kustomization.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct KustomizeTarget {
    /// The name that the manifests use.
    pub name: String,
}

/// Names of environment variables of a plugin.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [{
    "rule": "has(self.spec) || has(self.name)",
    "message": PLUGIN_NAME,
}]))]
pub struct PluginTarget {
    /// Takes the name without tag.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub name: Option<String>,
    /// Takes the tag.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub tag: Option<String>,
    /// Takes the whole reference; then the others do not count.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub spec: Option<String>,
}

/// How tags are chosen.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CommonUpdateSettings {
    /// `semver`, `newest-build`, `alphabetical` or `digest`; `semver` by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub update_strategy: Option<String>,
    /// Whether an image counts that runs nowhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub force_update: Option<bool>,
    /// `regexp:` and a regular expression that tags must match, or `any`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allow_tags: Option<String>,
    /// Patterns of tags that are left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-kubernetes-list-type" = "atomic"))]
    pub ignore_tags: Option<Vec<String>>,
    /// Where the credentials for the registry are: `pullsecret:NAMESPACE/NAME` or
    /// `secret:NAMESPACE/NAME#FIELD`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pull_secret: Option<String>,
    /// Platforms that the image must have, such as `linux/arm64`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-kubernetes-list-type" = "atomic"))]
    pub platforms: Option<Vec<String>>,
}

/// Where changes are written.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WriteBackConfig {
    /// `argocd`, `git`, `git:repocreds`, `git:secret:NAME` or `git:secret:NAMESPACE/NAME`; `argocd`
    /// where nobody says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^(argocd|git|git:[a-zA-Z0-9][a-zA-Z0-9-._/:]*)$"))]
    pub method: Option<String>,
    /// For the method `git`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub git_config: Option<GitConfig>,
}

/// Which repository, branch and file.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GitConfig {
    /// The repository; that of the Application by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repository: Option<String>,
    /// `base`, `base:target` or `:target`; the Application's revision by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub branch: Option<String>,
    /// `kustomization[:PATH]`, `helmvalues[:PATH]` or a file; an override file by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub write_back_target: Option<String>,
    /// Changes are proposed instead of pushed to the base branch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pull_request: Option<PullRequest>,
}

/// Pull or merge requests of one forge.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [{
    "rule": "has(self.github) != has(self.gitlab)",
    "message": ONE_FORGE,
}]))]
pub struct PullRequest {
    /// Pull requests of GitHub.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub github: Option<Forge>,
    /// Merge requests of GitLab.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gitlab: Option<Forge>,
    /// Labels of the request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(max = 100),
        inner(length(min = 1, max = 255)),
        extend("x-kubernetes-list-type" = "atomic")
    )]
    pub labels: Option<Vec<String>>,
}

/// Settings of a forge: there are none.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct Forge {}
