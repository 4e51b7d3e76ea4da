//! What is wrong with a document, each with its field, value, reason and hint.

use std::fmt;

use serde_json::Value;

use crate::notice::Notice;
use crate::reason::Reason;

/// Characters of a value that an error shows.
const VALUE_CHARS_MAX: usize = 120;

/// One thing that is wrong with a document: a policy, an ImageUpdater.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, thiserror::Error)]
#[error("{field}: {message}")]
pub struct PolicyError {
    /// Path of the field, such as `spec.authorities[2].keyless.subject`.
    pub field: String,
    /// The value that was refused, shortened; never of key material.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// The stable reason.
    pub reason: Reason,
    /// What was refused, for people.
    pub message: String,
    /// What to do.
    pub hint: String,
}

/// What reading one document gathers: all errors, not only the first.
#[derive(Debug, Default)]
pub(super) struct Findings {
    pub(super) errors: Vec<PolicyError>,
    pub(super) notices: Vec<Notice>,
}

impl Findings {
    /// Adds a `policy-invalid`.
    pub(super) fn invalid(
        &mut self,
        field: impl fmt::Display,
        value: impl fmt::Display,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) {
        self.error(Reason::PolicyInvalid, field, Some(&value), message, hint);
    }

    /// Adds an error.
    pub(super) fn error(
        &mut self,
        reason: Reason,
        field: impl fmt::Display,
        value: Option<&dyn fmt::Display>,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) {
        self.errors.push(PolicyError {
            field: field.to_string(),
            value: value.map(|value| shortened(&value.to_string())),
            reason,
            message: message.into(),
            hint: hint.into(),
        });
    }

    /// Adds a `policy-unsafe` remark: the policy is weaker than it looks.
    pub(super) fn weak(&mut self, detail: impl Into<String>) {
        self.notices
            .push(Notice::new(Reason::PolicyUnsafe, detail.into()));
    }
}

/// A value as compact JSON, texts without quotes, cut at a length that a line takes.
pub(crate) fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => shortened(text),
        other => shortened(&other.to_string()),
    }
}

pub(crate) fn shortened(text: &str) -> String {
    let mut cut: String = text.chars().take(VALUE_CHARS_MAX).collect();
    if cut.len() < text.len() {
        cut.push('…');
    }
    cut
}
