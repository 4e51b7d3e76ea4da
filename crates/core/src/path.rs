//! Paths inside a Git repository.

use std::fmt;

use crate::limits::REPO_PATH_BYTES_MAX;

/// A path inside a repository: relative, `/`-separated, normalised, and confined to the tree by
/// construction.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RepoPath(Box<str>);

/// Why a text is no path inside a repository.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RepoPathError {
    /// `..` climbs above the root.
    #[error("path `{0}` leaves the repository")]
    Escapes(String),
    /// A component that Git reserves, or a character that no file should have.
    #[error("path `{0}` has a component that Git does not allow")]
    Forbidden(String),
    /// Nothing is left, or far too much.
    #[error("path `{0}` is empty or too long")]
    Length(String),
}

impl RepoPath {
    /// Joins `path` to `base` and normalises the result. A `path` that begins with `/` starts at
    /// the root.
    ///
    /// # Errors
    /// [`RepoPathError`]: the result leaves the repository, names `.git`, holds control characters
    /// or a backslash, or is empty.
    pub fn join(base: &str, path: &str) -> Result<Self, RepoPathError> {
        let shown = || path.chars().take(200).collect::<String>();
        let base = if path.starts_with('/') { "" } else { base };
        let mut components: Vec<&str> = Vec::new();
        for component in base.split('/').chain(path.split('/')) {
            match component {
                "" | "." => {}
                ".." => {
                    components
                        .pop()
                        .ok_or_else(|| RepoPathError::Escapes(shown()))?;
                }
                _ if forbidden(component) => return Err(RepoPathError::Forbidden(shown())),
                _ => components.push(component),
            }
        }
        let joined = components.join("/");
        if joined.is_empty() || joined.len() > REPO_PATH_BYTES_MAX {
            return Err(RepoPathError::Length(shown()));
        }
        Ok(Self(joined.into()))
    }

    /// The path as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The components, from the root.
    pub fn components(&self) -> impl Iterator<Item = &str> {
        self.0.split('/')
    }

    /// The last component.
    #[must_use]
    pub fn file_name(&self) -> &str {
        self.0.rsplit_once('/').map_or(&self.0, |(_, name)| name)
    }
}

impl fmt::Display for RepoPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// `.git` in any case, and the spellings that some file systems read as it. Git documentation,
/// `core.protectNTFS`.
fn forbidden(component: &str) -> bool {
    let folded = component.trim_end_matches(['.', ' ']).to_ascii_lowercase();
    folded == ".git" || folded == "git~1" || component.chars().any(|c| c.is_control() || c == '\\')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn joining_normalises_and_stays_inside() {
        let joined = RepoPath::join("a/./b", "../values.yaml").unwrap();
        assert_eq!(joined.as_str(), "a/values.yaml");
        assert_eq!(RepoPath::join("a", "/x.yaml").unwrap().as_str(), "x.yaml");
    }

    #[test]
    fn climbing_out_reserved_names_and_nothing_are_refused() {
        let escapes = RepoPath::join("a", "../../etc/passwd");
        assert!(matches!(escapes, Err(RepoPathError::Escapes(_))));
        for path in [".git/config", ".GIT/x", "a\\b", "x\0", "git~1/x", ".git./x"] {
            assert!(
                matches!(RepoPath::join("", path), Err(RepoPathError::Forbidden(_))),
                "{path}"
            );
        }
        assert!(matches!(
            RepoPath::join("a", ".."),
            Err(RepoPathError::Length(_))
        ));
    }
}
