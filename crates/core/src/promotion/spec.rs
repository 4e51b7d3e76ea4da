//! The schema of the policy documents, group `sealift.dev`, version `v1alpha1`: shapes only, every unknown field an error.
//!
//! The CRDs and the JSON Schema are generated from these types, and each way in (objects, files) reads through them.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

mod either;
mod exception;
mod write;

pub use exception::{ExceptionImage, ExceptionSpec};
pub use write::{Pin, WriteSpec};

/// What must hold before an image is promoted.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PolicySpec {
    /// A named set of demands. What is written beside it can only tighten it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile: Option<Profile>,
    /// Whether a failed clause refuses the update or is only reported.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<Mode>,
    /// What happens when the newest candidate is refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_refused: Option<OnRefused>,
    /// `ClusterPromotionPolicy` only: what happens to images that no policy governs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unmatched: Option<Unmatched>,
    /// The Applications in its scope; left out: every one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub applications: Vec<ApplicationSelector>,
    /// Registries, or repositories below them, that any image of those Applications may come from. Whole path segments.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub allowed_registries: Vec<String>,
    /// The images that the rest governs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub images: Vec<ImageRule>,
    /// What kind of move is allowed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub update: Option<UpdateSpec>,
    /// How an image is written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub write: Option<WriteSpec>,
    /// What must carry the signature.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<SubjectRule>,
    /// For authorities that do not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub defaults: Option<AuthorityDefaults>,
    /// Who may sign, by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub authorities: Vec<AuthoritySpec>,
    /// Which signatures must be there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signatures: Option<SignaturesSpec>,
    /// Says that no signature is demanded, and why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unsafe_no_signatures: Option<UnsafeNoSignatures>,
    /// Which attestations must be there.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attestations: Vec<AttestationSpec>,
    /// Not available in this version; naming it is an error.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suppliers: Option<serde_json::Value>,
    /// Not available in this version; naming it is an error.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gates: Option<serde_json::Value>,
}

/// A named set of demands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Profile {
    /// Semver under a constraint, minor moves at most, no downgrades, no pre-releases, a signature with a proof of its
    /// transparency and an SCT, written as tag and digest, enforced.
    Hardened,
}

/// Whether a failed clause refuses.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "camelCase")]
pub enum Mode {
    /// The update is written with the failed clauses beside it.
    Warn,
    /// The update is refused.
    Enforce,
}

/// What happens when the newest candidate is refused.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "camelCase")]
pub enum OnRefused {
    /// The newest that passes is chosen.
    Next,
    /// The slot stays as it is.
    Stop,
}

/// What happens to images that no policy governs.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "camelCase")]
pub enum Unmatched {
    /// They are written unchecked.
    Allow,
    /// They are refused.
    Refuse,
}

/// Chooses Applications; every part that is there must fit.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ApplicationSelector {
    /// A glob over the name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name_pattern: Option<String>,
    /// Kubernetes label selectors.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label_selectors: Option<LabelSelector>,
}

/// A Kubernetes label selector (`metav1.LabelSelector`).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LabelSelector {
    /// Labels that must have these values.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub match_labels: BTreeMap<String, String>,
    /// Further demands on labels.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub match_expressions: Vec<LabelExpression>,
}

/// One demand on a label (`metav1.LabelSelectorRequirement`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LabelExpression {
    /// The label.
    pub key: String,
    /// How it relates to the values.
    pub operator: LabelOperator,
    /// The values, for `In` and `NotIn`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub values: Vec<String>,
}

/// How a label relates to values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum LabelOperator {
    /// One of the values.
    In,
    /// None of the values, or no such label.
    NotIn,
    /// Any value.
    Exists,
    /// No such label.
    DoesNotExist,
}

/// Images that a policy governs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ImageRule {
    /// Registry and repository; `*` stays inside a path segment, `**` does not.
    pub pattern: String,
    /// Look signatures up as if the image were this one: for mirrors. `**` stands for what `**` of `pattern` matched.
    #[serde(default, rename = "as", skip_serializing_if = "Option::is_none")]
    pub mirrored_as: Option<String>,
    /// Another repository that holds the signatures.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature_repository: Option<String>,
}

/// What kind of move is allowed.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct UpdateSpec {
    /// Names of strategies that may choose.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub strategies: Vec<String>,
    /// Whether the image must have a constraint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub require_constraint: Option<bool>,
    /// The largest change against the version now in Git.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_change: Option<MaxChange>,
    /// Whether a pre-release may be written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prereleases: Option<Permission>,
    /// Whether a lower version may be written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub downgrades: Option<Permission>,
    /// Not available in this version; naming it is an error.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signal: Option<serde_json::Value>,
    /// Not available in this version; naming it is an error.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate: Option<serde_json::Value>,
    /// Not available in this version; naming it is an error.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cooldown: Option<serde_json::Value>,
    /// Not available in this version; naming it is an error.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub windows: Option<serde_json::Value>,
}

/// The largest change of a version.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "camelCase")]
pub enum MaxChange {
    /// The patch number only.
    Patch,
    /// The minor number, too.
    Minor,
    /// Any.
    Major,
}

/// Whether something may happen.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "camelCase")]
pub enum Permission {
    /// It may.
    Allow,
    /// It may not.
    Forbid,
}

/// What must carry the signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum SubjectRule {
    /// The digest that is written: the index, where the image has one.
    Index,
    /// Every platform's manifest.
    Platforms,
    /// The index, or every platform's manifest.
    Either,
}

/// For authorities that do not say.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AuthorityDefaults {
    /// Whose word counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trust_root: Option<TrustRootSpec>,
    /// How the time of signing must be proven.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signed_time: Option<SignedTimeSpec>,
    /// What a log entry must hold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transparency: Option<Transparency>,
    /// Whether a certificate must carry a signed certificate timestamp.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sct: Option<Sct>,
}

/// Whose word counts. Exactly one of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub enum TrustRootSpec {
    /// Sigstore's public good instance, through TUF.
    PublicGood(Empty),
    /// GitHub's instance for private repositories, through TUF.
    Github(Empty),
    /// A `trusted_root.json`.
    File(FileSource),
    /// A TUF repository that serves a `trusted_root.json`.
    Tuf(TufSpec),
}

/// Nothing more to say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Empty {}

/// A TUF repository.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TufSpec {
    /// Base URL of the repository.
    pub mirror: String,
    /// The `root.json` to begin with.
    pub root: FileSource,
}

/// Where public material stands. Exactly one of them.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub enum FileSource {
    /// A file, relative to the policy's own. Only for policies that come from files.
    Path(String),
    /// A key of a ConfigMap in the policy's namespace.
    ConfigMapRef(KeyRef),
    /// A key of a Secret in the policy's namespace.
    SecretRef(KeyRef),
    /// The text itself.
    Inline(String),
}

/// A key of an object.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct KeyRef {
    /// Name of the object; `ClusterPromotionPolicy` may say `namespace/name`.
    pub name: String,
    /// Key in its data.
    pub key: String,
}

/// How the time of signing must be proven.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SignedTimeSpec {
    /// Distinct transparency logs that hold the signature.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_logs: Option<u32>,
    /// Distinct timestamp authorities that saw it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_timestamps: Option<u32>,
}

/// What a log entry must hold. The greater one is the stricter one.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "camelCase")]
pub enum Transparency {
    /// The log's signed promise is enough.
    Promise,
    /// A proof that the entry is in the log.
    Proof,
}

/// Whether a certificate must carry a signed certificate timestamp. The greater one is the stricter one.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "camelCase")]
pub enum Sct {
    /// It may be missing.
    Optional,
    /// It must be there.
    Required,
}

/// Who may sign. Exactly one of `key`, `keyless`, `github`, `gitlab`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AuthoritySpec {
    /// The name that signatures and attestations refer to.
    pub name: String,
    /// Holders of a key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<OneOrMany<FileSource>>,
    /// An identity in a certificate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keyless: Option<KeylessSpec>,
    /// A GitHub Actions workflow.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub github: Option<GithubSpec>,
    /// A GitLab pipeline.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gitlab: Option<GitlabSpec>,
    /// Not available in this version; naming it is an error.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notation: Option<serde_json::Value>,
    /// Whose word counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trust_root: Option<TrustRootSpec>,
    /// How the time of signing must be proven.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signed_time: Option<SignedTimeSpec>,
    /// What a log entry must hold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transparency: Option<Transparency>,
    /// Whether a certificate must carry a signed certificate timestamp.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sct: Option<Sct>,
}

/// One value, or several of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum OneOrMany<T> {
    /// One.
    One(T),
    /// Several.
    Many(Vec<T>),
}

impl<T> OneOrMany<T> {
    /// All of them.
    #[must_use]
    pub fn as_slice(&self) -> &[T] {
        match self {
            Self::One(value) => std::slice::from_ref(value),
            Self::Many(values) => values,
        }
    }
}

/// An identity in a certificate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct KeylessSpec {
    /// The OpenID Connect issuer.
    pub issuer: TextMatch,
    /// The subject alternative name.
    pub subject: TextMatch,
    /// Demands on further claims, by their documented names (Fulcio, "Extension values").
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub claims: BTreeMap<String, OneOrMany<TextMatch>>,
}

/// A demand on a text: the text itself, or a rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum TextMatch {
    /// Exactly this.
    Exact(String),
    /// By a rule.
    Rule(TextRule),
}

/// A rule for a text. Exactly one of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub enum TextRule {
    /// A URL that begins so; whole path segments.
    UrlPrefix(String),
    /// A regular expression for the whole text.
    Regexp(String),
}

/// A GitHub Actions workflow.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GithubSpec {
    /// `owner/name` of the repository that is built.
    pub repository: String,
    /// File name of the workflow below `.github/workflows/`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workflow: Option<String>,
    /// The ref that is built.
    #[serde(rename = "ref")]
    pub git_ref: RefMatch,
    /// A reusable workflow that signs, in another repository.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signer: Option<GithubSigner>,
}

/// A reusable workflow.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GithubSigner {
    /// `owner/name` of its repository.
    pub repository: String,
    /// Its file name below `.github/workflows/`.
    pub workflow: String,
    /// The ref it is used at.
    #[serde(rename = "ref")]
    pub git_ref: RefMatch,
}

/// A GitLab pipeline.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GitlabSpec {
    /// Path of the project.
    pub project: String,
    /// Path of the pipeline's configuration in the project.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config: Option<String>,
    /// The ref that is built.
    #[serde(rename = "ref")]
    pub git_ref: RefMatch,
    /// Base URL of the instance; `https://gitlab.com` where it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance: Option<String>,
}

/// A demand on a Git ref: the full name, or a rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum RefMatch {
    /// The full name, such as `refs/heads/main`.
    Exact(String),
    /// By a rule.
    Rule(RefRule),
}

/// A rule for a Git ref. Exactly one of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub enum RefRule {
    /// This branch.
    Branch(String),
    /// Tags by a glob; the word `sameAsImage` stands for the tag of the image itself.
    Tag(String),
}

/// Which signatures must be there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SignaturesSpec {
    /// How many, and whose.
    pub require: Require,
    /// Greatest age since the proven time of signing, such as `90d`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_age: Option<String>,
}

/// How many distinct signers, and which.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Require {
    /// How many of them, at least.
    pub at_least: u32,
    /// Names of authorities.
    pub of: Vec<String>,
    /// Those that must be among them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub including: Vec<String>,
}

/// Says that no signature is demanded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct UnsafeNoSignatures {
    /// Why not.
    pub reason: String,
}

/// Which attestations must be there.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AttestationSpec {
    /// For messages.
    pub name: String,
    /// Predicate types, any of them: URIs, or cosign's short names.
    pub predicate_types: Vec<String>,
    /// How many, and whose.
    pub require: Require,
    /// Not available in this version; naming it is an error.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_age: Option<serde_json::Value>,
    /// Not available in this version; naming it is an error.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slsa: Option<serde_json::Value>,
    /// Not available in this version; naming it is an error.
    #[serde(default, rename = "where", skip_serializing_if = "Option::is_none")]
    pub conditions: Option<serde_json::Value>,
    /// Not available in this version; naming it is an error.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sbom: Option<serde_json::Value>,
    /// Not available in this version; naming it is an error.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vulnerabilities: Option<serde_json::Value>,
}
