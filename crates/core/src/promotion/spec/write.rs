//! How an image is written: `spec.write` of a policy.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Permission;

/// How an image is written.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct WriteSpec {
    /// What is written of the reference.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pin: Option<Pin>,
    /// Whether what Git wants already is pinned, too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub adopt: Option<bool>,
    /// Whether the digest may stand in a key of Helm values by itself (`helm.image-digest`), which
    /// binds nothing where the chart does not pull by it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest_key: Option<Permission>,
}

/// What is written of a reference. The greater one is the stricter one.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "camelCase")]
pub enum Pin {
    /// The tag alone.
    Tag,
    /// The tag and the digest.
    TagAndDigest,
    /// The digest alone.
    Digest,
}
