//! Globs of `ignore-tags` and `namePattern`.
//!
//! Specification: Go's `filepath.Match` on Unix. The whole text must match, case counts; `*` is a
//! run without `/`, `?` one character but `/`, `[a-z]` and `[^a-z]` a class, `\x` is `x`. A syntax
//! error anywhere is an error, wherever a text would have failed to match before.

use std::fmt;

use crate::limits::PATTERN_BYTES_MAX;

/// A parsed glob. Equality and order are those of the text.
#[derive(Clone)]
pub struct Glob {
    text: Box<str>,
    /// Whether the pattern holds nothing special: then it is compared as it stands.
    literal: bool,
    chunks: Box<[Chunk]>,
}

/// Why a text is not a glob.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GlobError {
    /// An unclosed or empty class, or a `\` at the end.
    #[error("`{0}` is not a pattern: a class is empty or not closed, or a `\\` escapes nothing")]
    Syntax(String),
    /// The text is longer than a pattern may be.
    #[error("a pattern of {bytes} bytes is longer than {PATTERN_BYTES_MAX}")]
    TooLong {
        /// Its length.
        bytes: usize,
    },
}

/// What stands between two stars.
#[derive(Clone, Default)]
struct Chunk {
    /// Whether a `*` stands before it.
    star: bool,
    items: Vec<Item>,
}

#[derive(Clone)]
enum Item {
    Character(char),
    AnyButSlash,
    Class {
        negated: bool,
        ranges: Box<[(char, char)]>,
    },
}

impl Glob {
    /// Reads a whole pattern.
    ///
    /// # Errors
    /// [`GlobError::Syntax`] where Go answers `syntax error in pattern`, and texts above
    /// [`PATTERN_BYTES_MAX`].
    pub fn parse(text: &str) -> Result<Self, GlobError> {
        if text.len() > PATTERN_BYTES_MAX {
            return Err(GlobError::TooLong { bytes: text.len() });
        }
        let chunks = parse_chunks(text).ok_or_else(|| GlobError::Syntax(text.to_owned()))?;
        Ok(Self {
            literal: !text.contains(['*', '?', '[', '\\']),
            text: text.into(),
            chunks,
        })
    }

    /// The pattern as it was written.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether it holds nothing special, and is compared as it stands.
    pub(crate) const fn is_literal(&self) -> bool {
        self.literal
    }

    /// Whether the whole of `name` matches. Each star takes the shortest run that lets what follows
    /// it match and is not asked again, as in Go; work is at most the product of both lengths.
    #[must_use]
    pub fn matches(&self, name: &str) -> bool {
        if self.literal {
            return name == &*self.text;
        }
        let mut rest = name;
        for (index, chunk) in self.chunks.iter().enumerate() {
            let last = index + 1 == self.chunks.len();
            if last && chunk.star && chunk.items.is_empty() {
                return !rest.contains('/');
            }
            let Some(behind) = chunk.find(rest, last) else {
                return false;
            };
            rest = behind;
        }
        rest.is_empty()
    }
}

impl Chunk {
    /// What is left of `text` behind the first place where the chunk fits.
    fn find<'a>(&self, text: &'a str, last: bool) -> Option<&'a str> {
        let mut from = text;
        loop {
            match self.fits(from) {
                Some(behind) if !last || behind.is_empty() => return Some(behind),
                _ => {}
            }
            let mut characters = from.chars();
            match characters.next() {
                Some(skipped) if self.star && skipped != '/' => from = characters.as_str(),
                _ => return None,
            }
        }
    }

    /// What is left of `text` where it starts with the chunk.
    fn fits<'a>(&self, text: &'a str) -> Option<&'a str> {
        let mut characters = text.chars();
        self.items
            .iter()
            .all(|item| characters.next().is_some_and(|c| item.accepts(c)))
            .then_some(characters.as_str())
    }
}

impl Item {
    fn accepts(&self, character: char) -> bool {
        match self {
            Self::Character(wanted) => *wanted == character,
            Self::AnyButSlash => character != '/',
            Self::Class { negated, ranges } => {
                ranges
                    .iter()
                    .any(|(low, high)| (*low..=*high).contains(&character))
                    != *negated
            }
        }
    }
}

fn parse_chunks(text: &str) -> Option<Box<[Chunk]>> {
    let mut chunks = vec![Chunk::default()];
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        let item = match character {
            '*' => {
                match chunks.last_mut() {
                    Some(chunk) if chunk.items.is_empty() => chunk.star = true,
                    _ => chunks.push(Chunk {
                        star: true,
                        items: Vec::new(),
                    }),
                }
                continue;
            }
            '?' => Item::AnyButSlash,
            '\\' => Item::Character(characters.next()?),
            '[' => parse_class(&mut characters)?,
            other => Item::Character(other),
        };
        chunks.last_mut()?.items.push(item);
    }
    Some(chunks.into())
}

fn parse_class(characters: &mut std::str::Chars<'_>) -> Option<Item> {
    let negated = characters.as_str().starts_with('^');
    if negated {
        characters.next();
    }
    let mut ranges = Vec::new();
    loop {
        if !ranges.is_empty() && characters.as_str().starts_with(']') {
            characters.next();
            let ranges = ranges.into();
            return Some(Item::Class { negated, ranges });
        }
        let low = parse_member(characters)?;
        let mut high = low;
        if characters.as_str().starts_with('-') {
            characters.next();
            high = parse_member(characters)?;
        }
        ranges.push((low, high));
    }
}

/// One character of a class, perhaps escaped; never a bare `-` or `]`.
fn parse_member(characters: &mut std::str::Chars<'_>) -> Option<char> {
    match characters.next()? {
        '-' | ']' => None,
        '\\' => characters.next(),
        other => Some(other),
    }
}

impl fmt::Display for Glob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for Glob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Glob({})", self.text)
    }
}

text_identity!(Glob);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn matches(pattern: &str, name: &str) -> bool {
        Glob::parse(pattern).unwrap().matches(name)
    }

    #[test]
    fn stars_classes_and_escapes_match_as_in_go() {
        for (pattern, name) in [
            ("", ""),
            ("*", ""),
            ("**", "abc"),
            ("a*b*c", "a-b-b-c"),
            ("*-rc?", "1.0-rc1"),
            ("[^a-c]x", "dx"),
            ("[\\]]", "]"),
            ("[\\-a]", "-"),
            ("a]", "a]"),
            ("a\\*", "a*"),
            ("ü?", "üñ"),
        ] {
            assert!(matches(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in [
            ("*", "a/b"),
            ("?", "/"),
            ("a", "ab"),
            ("*b", "abc"),
            ("{a,b}", "a"),
            ("[!a]", "b"),
            ("V*", "v1"),
            ("", "a"),
        ] {
            assert!(!matches(pattern, name), "{pattern} {name}");
        }
    }

    #[test]
    fn a_syntax_error_anywhere_is_an_error() {
        for pattern in [
            "[", "[a", "[]a]", "[a-]", "[-a]", "a\\", "x*[", "[a-", "[^]",
        ] {
            assert!(Glob::parse(pattern).is_err(), "{pattern}");
        }
        assert!(Glob::parse(&"a".repeat(PATTERN_BYTES_MAX + 1)).is_err());
    }

    /// All ways to split the text, for patterns where a star may not have to skip back.
    fn slow(pattern: &[char], name: &[char]) -> bool {
        match pattern.split_first() {
            None => name.is_empty(),
            Some(('*', rest)) => (0..=name.len())
                .take_while(|taken| !name[..*taken].contains(&'/'))
                .any(|taken| slow(rest, &name[taken..])),
            Some(('?', rest)) => {
                matches!(name.split_first(), Some((c, tail)) if *c != '/' && slow(rest, tail))
            }
            Some((wanted, rest)) => {
                matches!(name.split_first(), Some((c, tail)) if c == wanted && slow(rest, tail))
            }
        }
    }

    proptest! {
        #[test]
        fn any_pattern_and_name_have_an_answer(pattern in "\\PC{0,20}", name in "\\PC{0,20}") {
            if let Ok(glob) = Glob::parse(&pattern) {
                let _ = glob.matches(&name);
            }
        }

        #[test]
        fn matching_agrees_with_a_slow_model(pattern in "[ab*?]{0,8}", name in "[ab/]{0,8}") {
            let slow = slow(
                &pattern.chars().collect::<Vec<_>>(),
                &name.chars().collect::<Vec<_>>(),
            );
            prop_assert_eq!(matches(&pattern, &name), slow);
        }
    }
}
