//! Branch names that are safe to hand to Git. git-check-ref-format(1).

use std::fmt;
use std::str::FromStr;

use sealift_core::limits::BRANCH_BYTES_MAX;

/// The short name of a branch, without `refs/heads/`: valid, and never readable as an option.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BranchName(Box<str>);

/// A text that names no branch.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{name}` is not a valid branch name: {rule}")]
pub struct BranchNameError {
    /// The text, cut for messages.
    pub name: String,
    /// The rule that it breaks.
    pub rule: &'static str,
}

impl BranchName {
    /// Reads what a template rendered: cut at 255 bytes on a character boundary, then validated.
    ///
    /// # Errors
    /// [`BranchNameError`] when the name, or what the cut left of it, is not valid.
    pub fn from_rendered(text: &str) -> Result<Self, BranchNameError> {
        let mut end = text.len().min(BRANCH_BYTES_MAX);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        text.get(..end).unwrap_or_default().parse()
    }

    /// The short name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The whole reference, `refs/heads/…`.
    #[must_use]
    pub fn reference(&self) -> String {
        format!("refs/heads/{}", self.0)
    }
}

impl fmt::Display for BranchName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for BranchName {
    type Err = BranchNameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match broken_rule(text) {
            None => Ok(Self(text.into())),
            Some(rule) => Err(BranchNameError {
                name: text.chars().take(100).collect(),
                rule,
            }),
        }
    }
}

/// The rule of git-check-ref-format(1) that `text` breaks.
fn broken_rule(text: &str) -> Option<&'static str> {
    let forbidden =
        |c: char| c.is_control() || matches!(c, ' ' | '~' | '^' | ':' | '?' | '*' | '[' | '\\');
    let component =
        |part: &str| part.is_empty() || part.starts_with('.') || part.ends_with(".lock");
    let rules = [
        (text.is_empty(), "it is empty"),
        (text.len() > BRANCH_BYTES_MAX, "it is longer than 255 bytes"),
        (text.starts_with('-'), "it begins with `-`"),
        (text == "HEAD" || text == "@", "it is reserved"),
        (
            text.starts_with("refs/"),
            "it must stand without `refs/heads/`",
        ),
        (
            text.contains(forbidden),
            "it holds a character that Git forbids",
        ),
        (
            text.contains("..") || text.contains("@{"),
            "it holds `..` or `@{`",
        ),
        (text.ends_with('.'), "it ends with `.`"),
        (
            text.split('/').any(component),
            "a part is empty, begins with `.` or ends with `.lock`",
        ),
    ];
    rules
        .into_iter()
        .find(|(broken, _)| *broken)
        .map(|(_, rule)| rule)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usual_names_are_branches() {
        for name in [
            "main",
            "release/1.2",
            "image-updater-app-0af3",
            "ünï/x",
            "a@b",
            "x.lockx",
        ] {
            let branch: BranchName = name.parse().unwrap();
            assert_eq!(branch.reference(), format!("refs/heads/{name}"));
        }
    }

    #[test]
    fn options_ranges_and_what_git_refuses_are_no_branches() {
        for name in [
            "",
            "-x",
            "--upload-pack=touch /tmp/x",
            "a..b",
            "a b",
            "a~1",
            "a^",
            "a:b",
            "a?",
            "a*",
            "a[b",
            "a\\b",
            "/a",
            "a/",
            "a//b",
            ".a",
            "a/.b",
            "a.lock",
            "a.lock/b",
            "a.",
            "a@{1}",
            "@",
            "HEAD",
            "a\nb",
            "a\u{7f}b",
            "refs/heads/main",
        ] {
            assert!(name.parse::<BranchName>().is_err(), "{name:?}");
        }
    }

    #[test]
    fn a_rendered_name_is_cut_on_a_character_boundary() {
        let text = format!("{}é", "a".repeat(254));
        let name = BranchName::from_rendered(&text).unwrap();
        assert_eq!(name.as_str(), "a".repeat(254));
        assert!(BranchName::from_rendered(&format!("{}/b", "a".repeat(254))).is_err());
    }
}
