//! What a reader of settings or a decision has to say besides its answer.

use crate::reason::Reason;

/// One remark: nothing failed, but somebody should know. Rendered in events and logs.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Notice {
    /// The stable reason.
    pub reason: Reason,
    /// The value in question and what was done with it, for people.
    pub detail: String,
}

impl Notice {
    /// A remark with its words.
    #[must_use]
    pub fn new(reason: Reason, detail: impl Into<String>) -> Self {
        Self {
            reason,
            detail: detail.into(),
        }
    }
}
