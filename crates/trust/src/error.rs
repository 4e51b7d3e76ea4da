//! Why the right to write was not given.

use sealift_core::digest::Digest;
use sealift_core::reason::Reason;

/// A refusal, with what was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// The verdict says no.
    #[error("image `{repository}:{tag}` ({digest}) is not admitted: {detail}")]
    Verdict {
        /// Canonical repository.
        repository: String,
        /// Tag.
        tag: String,
        /// What was judged.
        digest: Digest,
        /// The first reason of the verdict.
        reason: Reason,
        /// The same for people.
        detail: String,
    },
    /// The verdict is about another digest than the candidate: a broken invariant, not a user's
    /// error.
    #[error("the verdict is about {judged}, the candidate is {candidate}")]
    OtherDigest {
        /// What the verdict is about.
        judged: Digest,
        /// What should have been written.
        candidate: Digest,
    },
}

impl Refusal {
    /// The stable reason id.
    #[must_use]
    pub const fn reason(&self) -> Reason {
        match self {
            Self::Verdict { reason, .. } => *reason,
            Self::OtherDigest { .. } => Reason::Internal,
        }
    }
}
