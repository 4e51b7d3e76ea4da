//! The schema of `PolicyException`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::ApplicationSelector;
use crate::digest::Digest;

/// Waives named clauses of a policy for one digest, for a while.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ExceptionSpec {
    /// Name of the policy.
    pub policy: String,
    /// The Applications it holds for; left out: every one in the policy's scope.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub applications: Vec<ApplicationSelector>,
    /// The image.
    pub image: ExceptionImage,
    /// Names of the clauses that are waived; never `allowedRegistries`.
    pub clauses: Vec<String>,
    /// When it ends, RFC 3339; at most 30 days from its creation.
    pub until: String,
    /// Why.
    pub reason: String,
}

/// The one image of an exception.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ExceptionImage {
    /// Registry and repository.
    pub pattern: String,
    /// The digest.
    pub digest: Digest,
}
