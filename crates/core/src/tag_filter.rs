//! `allow-tags` and `ignore-tags`: which tags may be chosen at all.
//!
//! Specification: the match functions of Argo CD Image Updater (`any`, `regexp:`) and its globs. A
//! setting that cannot be read allows nothing (`allow-tags`) or ignores nothing (`ignore-tags`),
//! with a notice.

use std::fmt;

use regex::bytes::Regex;

use crate::glob::Glob;
use crate::limits::{IGNORE_TAGS_BYTES_MAX, IGNORE_TAGS_MAX};
use crate::notice::Notice;
use crate::reason::Reason;
use crate::regexp;

/// Both settings of one image.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct TagFilter {
    allow: Allow,
    ignore: Vec<Glob>,
}

/// Which tags `allow-tags` lets pass.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
enum Allow {
    #[default]
    Every,
    Matching(Pattern),
    /// The setting could not be read.
    Nothing,
}

/// A regular expression that is equal to another one by its text.
#[derive(Clone)]
struct Pattern {
    text: Box<str>,
    regex: Regex,
}

impl Pattern {
    fn text(&self) -> &str {
        &self.text
    }
}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pattern({})", self.text)
    }
}

text_identity!(Pattern);

impl TagFilter {
    /// Reads both settings: `allow` as written, `ignore` item by item (an empty item ignores the
    /// empty tag). Nothing is trimmed here.
    pub fn parse<'a>(
        allow: Option<&str>,
        ignore: impl IntoIterator<Item = &'a str>,
    ) -> (Self, Vec<Notice>) {
        let mut notices = Vec::new();
        let allow = allow.map_or(Allow::Every, |text| {
            parse_allow(text).unwrap_or_else(|problem| {
                let detail = format!("`allow-tags` lets no tag pass: {problem}");
                notices.push(Notice::new(Reason::SettingInvalid, detail));
                Allow::Nothing
            })
        });
        let ignore: Vec<Glob> = ignore
            .into_iter()
            .filter_map(|item| {
                Glob::parse(item)
                    .map_err(|error| {
                        let detail = format!("`ignore-tags` skips an item: {error}");
                        notices.push(Notice::new(Reason::SettingInvalid, detail));
                    })
                    .ok()
            })
            .collect();
        let wild = ignore.iter().filter(|glob| !glob.is_literal());
        let bytes: usize = wild.map(|glob| glob.text().len()).sum();
        if ignore.len() > IGNORE_TAGS_MAX || bytes > IGNORE_TAGS_BYTES_MAX {
            // Leaving some out would choose what they ignore.
            let detail = format!(
                "`ignore-tags` has more than {IGNORE_TAGS_MAX} items, or wildcards in more than \
                 {IGNORE_TAGS_BYTES_MAX} bytes; no tag passes"
            );
            notices.push(Notice::new(Reason::SettingInvalid, detail));
            let (allow, ignore) = (Allow::Nothing, Vec::new());
            return (Self { allow, ignore }, notices);
        }
        (Self { allow, ignore }, notices)
    }

    /// Whether `allow-tags` lets the tag pass.
    #[must_use]
    pub fn allows(&self, tag: &str) -> bool {
        match &self.allow {
            Allow::Every => true,
            Allow::Matching(pattern) => pattern.regex.is_match(tag.as_bytes()),
            Allow::Nothing => false,
        }
    }

    /// The pattern of `ignore-tags` that the tag matches.
    #[must_use]
    pub fn ignored_by(&self, tag: &str) -> Option<&Glob> {
        self.ignore.iter().find(|glob| glob.matches(tag))
    }

    /// Why the tag may not be chosen. `None`: it may.
    #[must_use]
    pub fn rejects(&self, tag: &str) -> Option<Reason> {
        if !self.allows(tag) {
            Some(Reason::NotAllowed)
        } else if self.ignored_by(tag).is_some() {
            Some(Reason::Ignored)
        } else {
            None
        }
    }
}

/// Reads `any` or `regexp:<expression>`; the names in any case, the expression behind the first
/// `:`.
fn parse_allow(text: &str) -> Result<Allow, String> {
    if text.is_empty() {
        return Ok(Allow::Every);
    }
    let Some((function, argument)) = text.split_once(':') else {
        if text.eq_ignore_ascii_case("any") {
            return Ok(Allow::Every);
        }
        return Err(format!(
            "`{text}` is no match function; write `any` or `regexp:<expression>`"
        ));
    };
    if !function.eq_ignore_ascii_case("regexp") {
        return Err(format!(
            "`{function}` is no match function; write `any` or `regexp:<expression>`"
        ));
    }
    let regex = regexp::compile(argument, false).map_err(|error| error.to_string())?;
    Ok(Allow::Matching(Pattern {
        text: argument.into(),
        regex,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filter(allow: &str) -> (TagFilter, usize) {
        let (filter, notices) = TagFilter::parse(Some(allow), []);
        (filter, notices.len())
    }

    #[test]
    fn an_expression_is_searched_anywhere_in_the_tag() {
        let (filter, notices) = filter("RegExp:v1");
        assert!(filter.allows("my-v1.0") && !filter.allows("v2"));
        assert_eq!(notices, 0);
    }

    #[test]
    fn what_cannot_be_read_allows_nothing_and_is_noticed() {
        for text in [
            "^v1",
            "glob:v*",
            "any:",
            " regexp:a",
            "regexp:(?=v)",
            "regexp:(",
        ] {
            let (filter, notices) = filter(text);
            assert!(!filter.allows("v1"), "{text}");
            assert_eq!(notices, 1, "{text}");
        }
        assert!(filter("ANY").0.allows("v1"));
        assert!(filter("").0.allows("v1"));
    }

    #[test]
    fn a_bad_pattern_ignores_nothing_and_the_others_still_count() {
        let (filter, notices) = TagFilter::parse(None, ["[", "dev-*"]);
        assert_eq!(notices.len(), 1);
        assert_eq!(filter.rejects("dev-1"), Some(Reason::Ignored));
        assert_eq!(filter.rejects("["), None);
    }

    #[test]
    fn more_patterns_than_are_bearable_let_no_tag_pass() {
        let names: Vec<String> = (0..IGNORE_TAGS_MAX).map(|n| format!("t{n}")).collect();
        let literal = |extra: &'static str| {
            let items = names.iter().map(String::as_str).chain([extra]);
            TagFilter::parse(None, items.filter(|item| !item.is_empty()))
        };
        let (filter, notices) = literal("");
        assert!(filter.allows("v1") && filter.ignored_by("t7").is_some() && notices.is_empty());
        let (filter, notices) = literal("x");
        assert!(!filter.allows("v1") && notices.len() == 1);
        let wild = format!("*{}", "a".repeat(1023));
        for (count, passes) in [(16, true), (17, false)] {
            let (filter, _) = TagFilter::parse(None, std::iter::repeat_n(wild.as_str(), count));
            assert_eq!(filter.allows("v1"), passes, "{count}");
        }
    }
}
