//! Why an admission did not become bytes.

use sealift_core::path::RepoPath;
use sealift_core::reason::Reason;

/// A refusal to edit or to plan. Nothing was written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WriteError {
    /// The slot no longer holds what the admission was given for, or the admission has ended.
    #[error("the right to write `{slot}` does not hold any more")]
    AdmissionEnded {
        /// The slot.
        slot: String,
    },
    /// The edit would change nothing.
    #[error("the edit of `{path}` changes nothing")]
    NoChange {
        /// The file.
        path: RepoPath,
    },
    /// Two edits of one file do not build on each other.
    #[error("the edits of `{path}` do not build on each other")]
    BrokenChain {
        /// The file.
        path: RepoPath,
    },
    /// The Application has no such source any more, or it cannot be read.
    #[error("`{path}` of the Application is no source that can be written: {problem}")]
    NoSource {
        /// Where the source was.
        path: String,
        /// What is there.
        problem: String,
    },
    /// A plan without edits.
    #[error("there is nothing to commit")]
    Empty,
}

impl WriteError {
    /// The stable reason id.
    #[must_use]
    pub const fn reason(&self) -> Reason {
        match self {
            Self::AdmissionEnded { .. } => Reason::Superseded,
            Self::NoChange { .. } | Self::Empty => Reason::UpToDate,
            Self::NoSource { .. } => Reason::ApplicationGone,
            Self::BrokenChain { .. } => Reason::Internal,
        }
    }
}
