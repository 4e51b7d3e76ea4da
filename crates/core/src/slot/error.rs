//! Why a slot was not found or not written.

use crate::path::{RepoPath, RepoPathError};
use crate::reason::Reason;
use crate::yaml::YamlError;

/// A refusal about one file. Nothing was written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("file `{path}` cannot hold the image")]
pub struct SlotError {
    /// The file.
    pub path: RepoPath,
    /// What is wrong with it.
    #[source]
    pub problem: SlotProblem,
}

/// What is wrong with a file or a target.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SlotProblem {
    /// It is no YAML.
    #[error("the file cannot be read; it was not replaced")]
    Unreadable(#[source] YamlError),
    /// The editor refused.
    #[error("the value of `{key}` cannot be edited alone")]
    Unsafe {
        /// The key.
        key: String,
        /// The editor's reason.
        source: YamlError,
    },
    /// Other keys use the same value.
    #[error(
        "`{key}` is reached through the anchor `&{anchor}` of line {line}, \
         which line {used_line} uses, too"
    )]
    AnchorShared {
        /// The key.
        key: String,
        /// The anchor without `&`.
        anchor: String,
        /// Line of the anchor, from 1.
        line: usize,
        /// Line of one use, from 1.
        used_line: usize,
    },
    /// Something of another kind stands at the key or on the way to it.
    #[error("`{key}` leads to {found} in line {line}, where {expected} is needed")]
    WrongKind {
        /// The key.
        key: String,
        /// What is there.
        found: &'static str,
        /// What is needed.
        expected: &'static str,
        /// Its line, from 1.
        line: usize,
    },
    /// `name[index]` does not fit the list.
    #[error("`{key}` has an index that the list of {items} items in line {line} does not have")]
    IndexInvalid {
        /// The key.
        key: String,
        /// Items of the list.
        items: usize,
        /// Its line, from 1.
        line: usize,
    },
    /// A key stands twice.
    #[error("`{key}` stands more than once, again in line {line}")]
    Repeated {
        /// The key.
        key: String,
        /// Line of the second one, from 1.
        line: usize,
    },
    /// Several entries fit and nothing says which is meant.
    #[error("{count} entries fit `{image}`; none was written")]
    Ambiguous {
        /// The image.
        image: String,
        /// How many.
        count: usize,
    },
    /// The file holds no such source of no such Application.
    #[error("the file holds no Application `{application}` with the source that was chosen")]
    NoApplication {
        /// `namespace/name`.
        application: String,
    },
    /// None of the three names exists.
    #[error("there is no `kustomization.yaml`, `kustomization.yml` or `Kustomization`")]
    NoKustomization,
    /// A kustomization is one document.
    #[error("a kustomization is one YAML document, this file has {documents}")]
    Documents {
        /// How many there are.
        documents: usize,
    },
    /// The new value has neither tag nor digest.
    #[error("`{image}` has neither tag nor digest; nothing was written")]
    NothingToWrite {
        /// The image.
        image: String,
    },
}

impl SlotProblem {
    pub(super) fn at(self, path: &RepoPath) -> SlotError {
        SlotError {
            path: path.clone(),
            problem: self,
        }
    }
}

impl SlotError {
    /// The stable reason id.
    #[must_use]
    pub const fn reason(&self) -> Reason {
        match &self.problem {
            SlotProblem::Unreadable(_) => Reason::FileUnreadable,
            SlotProblem::Unsafe { .. } => Reason::EditUnsafe,
            SlotProblem::AnchorShared { .. } => Reason::AnchorShared,
            SlotProblem::Repeated { .. } | SlotProblem::Ambiguous { .. } => Reason::SlotAmbiguous,
            SlotProblem::NothingToWrite { .. } => Reason::Internal,
            _ => Reason::SlotNotFound,
        }
    }

    /// What to do about it, where there is something to do.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match &self.problem {
            SlotProblem::AnchorShared { key, anchor, .. } => Some(format!(
                "write the value at `{key}` out instead of sharing `&{anchor}`"
            )),
            SlotProblem::Repeated { key, .. } => Some(format!("keep one `{key}`")),
            SlotProblem::Ambiguous { .. } => {
                Some("set `kustomize.image-name` to the `name` of the entry".to_owned())
            }
            _ => None,
        }
    }
}

/// Why a write-back target is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TargetError {
    /// A kustomization named as an ordinary file.
    #[error("write-back target `{0}` is a kustomization, and would be written as an override file")]
    LooksLikeKustomization(String),
    /// The path is not usable.
    #[error("write-back target `{target}` is no path inside the repository")]
    Path {
        /// The setting.
        target: String,
        /// Why.
        source: RepoPathError,
    },
}

impl TargetError {
    /// The stable reason id.
    #[must_use]
    pub const fn reason(&self) -> Reason {
        match self {
            Self::Path {
                source: RepoPathError::Escapes(_),
                ..
            } => Reason::PathEscapes,
            _ => Reason::SettingInvalid,
        }
    }

    /// What to do about it.
    #[must_use]
    pub const fn hint(&self) -> Option<&'static str> {
        match self {
            Self::LooksLikeKustomization(_) => {
                Some("use `kustomization` or `kustomization:<folder>`")
            }
            Self::Path { .. } => None,
        }
    }
}
