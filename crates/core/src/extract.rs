//! `extract`: takes the version out of a tag (`release-(?<version>.*)`).
//!
//! A setting of our own, and strict: it matches whole tags, and names exactly one group, `version`.

use std::fmt;

use regex::bytes::Regex;

use crate::regexp::{self, RegexpError};

/// The name of the group that holds the version.
const GROUP: &str = "version";

/// A parsed `extract` setting. Equality and order are those of the text.
#[derive(Clone)]
pub struct Extract {
    text: Box<str>,
    regex: Regex,
    /// Number of the group.
    group: usize,
}

/// Why a text is not an `extract` setting.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ExtractError {
    /// It is no regular expression.
    #[error("`extract` cannot be read; no tag was chosen")]
    Expression(#[from] RegexpError),
    /// It does not name exactly one group, `version`.
    #[error(
        "`extract` is `{0}`, which does not name exactly one group `(?<version>…)`; \
         no tag was chosen"
    )]
    Groups(String),
}

impl Extract {
    /// Reads the setting.
    ///
    /// # Errors
    /// [`ExtractError`]: nothing is tolerated.
    pub fn parse(text: &str) -> Result<Self, ExtractError> {
        let regex = regexp::compile(text, true)?;
        let mut named = regex
            .capture_names()
            .enumerate()
            .filter_map(|(index, name)| Some((index, name?)));
        let group = match (named.next(), named.next()) {
            (Some((index, GROUP)), None) => index,
            _ => return Err(ExtractError::Groups(text.to_owned())),
        };
        Ok(Self {
            text: text.into(),
            regex,
            group,
        })
    }

    /// The setting as it was written.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// What the group holds, where the whole tag matches and the group took part.
    #[must_use]
    pub fn version<'a>(&self, tag: &'a str) -> Option<&'a str> {
        let captures = self.regex.captures(tag.as_bytes())?;
        let group = captures.get(self.group)?;
        tag.get(group.range())
    }
}

impl fmt::Debug for Extract {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Extract({})", self.text)
    }
}

text_identity!(Extract);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_whole_tag_must_match() {
        let extract = Extract::parse("release-(?<version>[0-9.]+)").unwrap();
        assert_eq!(extract.version("release-1.2"), Some("1.2"));
        assert_eq!(extract.version("xrelease-1.2"), None);
        assert_eq!(extract.version("release-1.2-rc1"), None);
    }

    #[test]
    fn alternatives_are_anchored_as_a_whole() {
        let extract = Extract::parse("a(?<version>.)|b").unwrap();
        assert_eq!(extract.version("a1"), Some("1"));
        assert_eq!(extract.version("b"), None);
        assert_eq!(extract.version("a1b"), None);
    }

    #[test]
    fn anything_but_one_group_called_version_is_refused() {
        for text in ["v(.*)", "(?<v>.*)", "(?<version>a)(?<other>b)", "(", ""] {
            assert!(Extract::parse(text).is_err(), "{text}");
        }
        assert!(Extract::parse("(v|V)(?P<version>.*)").is_ok());
    }

    proptest! {
        #[test]
        fn any_setting_and_tag_have_an_answer(text in "\\PC{0,20}", tag in "\\PC{0,20}") {
            if let Ok(extract) = Extract::parse(&format!("{text}(?<version>.*)")) {
                prop_assert!(extract.version(&tag).is_none_or(|version| tag.contains(version)));
            }
        }
    }
}
