//! YAML that is edited without being rewritten.
//!
//! A [`Tree`] knows every node of a file with its exact bytes. An [`Editor`] makes one change at a
//! time: it replaces byte ranges, parses the result again, and refuses ([`YamlError::EditUnsafe`])
//! when anything but the intended value differs, comments included. All other bytes stay: line
//! ends, byte order mark, further documents, odd indentation.
//!
//! Not here: what is edited, and why (see [`crate::slot`]). YAML 1.2.2; scalars are typed as Helm's
//! and kustomize's reader (go-yaml) types them, which knows YAML 1.1 as well.

mod editor;
#[cfg(test)]
mod properties;
mod scalar;
mod splice;
mod style;
#[cfg(test)]
mod tests;
mod tree;
mod verify;

pub use editor::Editor;
pub use scalar::{Quoting, plain_is_safe, reads_as_string, text_as_scalar};
pub use splice::Splice;
pub use tree::{Anchor, Kind, Node, NodeId, Style, Tree};
pub use verify::New;

/// Why a YAML text was not read or not edited.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum YamlError {
    /// The text is longer than [`crate::limits::YAML_BYTES_MAX`].
    #[error(
        "the file has {bytes} bytes, more than the {} that are edited",
        crate::limits::YAML_BYTES_MAX
    )]
    TooLarge {
        /// Its length.
        bytes: usize,
    },
    /// The text is not UTF-8.
    #[error("the file is not UTF-8 from byte {offset} on")]
    NotUtf8 {
        /// Where the first wrong byte is.
        offset: usize,
    },
    /// The text is not YAML, or nests deeper than [`crate::limits::YAML_DEPTH_MAX`].
    #[error("line {line} is not YAML: {message}")]
    Syntax {
        /// Line, from 1.
        line: usize,
        /// What the parser says.
        message: String,
    },
    /// The edit cannot be made in place, or would have changed something else as well.
    #[error("line {line} cannot be edited without changing something else")]
    EditUnsafe {
        /// Line of the value, from 1.
        line: usize,
    },
}
