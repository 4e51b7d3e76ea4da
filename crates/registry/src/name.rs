//! Names that may stand in a URL path. OCI distribution-spec v1.1, "Pulling manifests".

use std::fmt;

use sealift_core::limits;

use crate::error::RegistryError;

/// A repository name such as `library/nginx`: lower-case path components, nothing a URL could
/// misread.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RepositoryName(Box<str>);

impl RepositoryName {
    /// Reads a name.
    ///
    /// # Errors
    /// [`RegistryError::NameInvalid`].
    pub fn parse(text: &str) -> Result<Self, RegistryError> {
        let valid = text.len() <= limits::REPOSITORY_BYTES_MAX && text.split('/').all(is_component);
        match valid {
            true => Ok(Self(text.into())),
            false => Err(RegistryError::NameInvalid {
                kind: "repository name",
                text: text.chars().take(limits::REPOSITORY_BYTES_MAX).collect(),
            }),
        }
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RepositoryName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// `[a-z0-9]+` joined by `.`, `_`, `__` or dashes. Any run of those is accepted; what matters here
/// is that neither `..` nor an empty component gets through.
fn is_component(text: &str) -> bool {
    let alphanumeric = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let bytes = text.as_bytes();
    bytes.first().copied().is_some_and(alphanumeric)
        && bytes.last().copied().is_some_and(alphanumeric)
        && !text.contains("..")
        && bytes
            .iter()
            .all(|&byte| alphanumeric(byte) || matches!(byte, b'.' | b'_' | b'-'))
}

/// Whether `text` may be a tag.
pub(crate) fn is_tag(text: &str) -> bool {
    let bytes = text.as_bytes();
    let first = bytes.first().copied();
    bytes.len() <= limits::TAG_BYTES_MAX
        && first.is_some_and(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        && bytes
            .iter()
            .all(|&byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ordinary_names_are_accepted() {
        for text in ["nginx", "library/nginx", "a/b/c", "a.b_c__d--e/f0", "0"] {
            assert_eq!(RepositoryName::parse(text).unwrap().as_str(), text);
        }
        for text in ["latest", "v1.2.3-rc.1", "_x", "A_b"] {
            assert!(is_tag(text), "{text}");
        }
    }

    #[test]
    fn names_that_a_url_could_misread_are_refused() {
        for text in [
            "", "/", "a//b", "../b", "a/../b", "a/b/", "a?x", "a#x", "a%2e", "a b", "A", "a/é",
            "-a", "a..b",
        ] {
            assert!(RepositoryName::parse(text).is_err(), "{text}");
        }
        for text in [
            "",
            ".x",
            "-x",
            "a/b",
            "a:b",
            "a?b",
            "a\nb",
            "..",
            &"a".repeat(129),
        ] {
            assert!(!is_tag(text), "{text}");
        }
    }
}
