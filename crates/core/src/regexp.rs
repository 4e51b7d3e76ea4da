//! Regular expressions in the dialect of existing settings: Go's `regexp`, run by the `regex`
//! crate.
//!
//! Specification: RE2 syntax as package `regexp/syntax` of Go accepts it (flags `Perl`). The
//! pattern is translated piece by piece; what Go refuses is refused, what Go reads differently is
//! rewritten: `\d \w \s \b` are ASCII, `\Q…\E` quotes, a `{` that starts no repetition is a
//! character, classes hold no sets, and `(?x)`, `\u…`, `\<` of the crate do not exist.

use regex::bytes::{Regex, RegexBuilder};

use crate::limits::{PATTERN_BYTES_MAX, REGEX_BYTES_MAX};

/// Why a text is not a regular expression.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RegexpError {
    /// The text does not follow the grammar.
    #[error("`{pattern}` is not a regular expression: {problem}")]
    Syntax {
        /// The pattern as written.
        pattern: String,
        /// What is wrong with it.
        problem: String,
    },
    /// The text is longer than a pattern may be.
    #[error("a regular expression of {bytes} bytes is longer than {PATTERN_BYTES_MAX}")]
    TooLong {
        /// Its length.
        bytes: usize,
    },
    /// The compiled form is larger than it may be.
    #[error("the compiled form of `{0}` takes more than {REGEX_BYTES_MAX} bytes")]
    TooLarge(String),
}

/// Compiles a pattern of Go's dialect. `anchored`: it must match the whole text.
pub(crate) fn compile(pattern: &str, anchored: bool) -> Result<Regex, RegexpError> {
    if pattern.len() > PATTERN_BYTES_MAX {
        let bytes = pattern.len();
        return Err(RegexpError::TooLong { bytes });
    }
    let syntax = |problem: String| RegexpError::Syntax {
        pattern: pattern.to_owned(),
        problem,
    };
    let translated = translate(pattern).map_err(|problem| syntax(problem.to_owned()))?;
    let whole = if anchored {
        format!(r"\A(?:{translated})\z")
    } else {
        translated
    };
    RegexBuilder::new(&whole)
        .size_limit(REGEX_BYTES_MAX)
        .build()
        .map_err(|error| match error {
            regex::Error::CompiledTooBig(_) => RegexpError::TooLarge(pattern.to_owned()),
            other => {
                // The crate shows the pattern with a marker on several lines; its last line says
                // why.
                let text = other.to_string();
                let problem = text.lines().last().unwrap_or_default();
                syntax(problem.trim_start_matches("error: ").to_owned())
            }
        })
}

type Problem = &'static str;

/// Rewrites a Go pattern as one of the crate that matches the same.
fn translate(pattern: &str) -> Result<String, Problem> {
    let mut translation = Translation {
        rest: pattern,
        output: String::with_capacity(pattern.len() + 16),
        repeated: false,
    };
    while let Some(character) = translation.next() {
        translation.step(character)?;
    }
    Ok(translation.output)
}

struct Translation<'a> {
    rest: &'a str,
    output: String,
    /// Whether the last thing written is a repetition; Go refuses a second one.
    repeated: bool,
}

impl Translation<'_> {
    fn next(&mut self) -> Option<char> {
        let mut characters = self.rest.chars();
        let character = characters.next();
        self.rest = characters.as_str();
        character
    }

    fn take(&mut self, token: &str) -> bool {
        let behind = self.rest.strip_prefix(token);
        self.rest = behind.unwrap_or(self.rest);
        behind.is_some()
    }

    fn step(&mut self, character: char) -> Result<(), Problem> {
        let after_repetition = std::mem::take(&mut self.repeated);
        match character {
            '*' | '+' | '?' => {
                self.output.push(character);
                self.close_repetition(after_repetition)
            }
            '{' => match repetition(self.rest)? {
                Some(bytes) => {
                    let (count, rest) = self.rest.split_at(bytes);
                    self.output.push('{');
                    self.output.push_str(count);
                    self.rest = rest;
                    self.close_repetition(after_repetition)
                }
                None => {
                    self.output.push_str(r"\{");
                    Ok(())
                }
            },
            '(' if self.rest.starts_with('?') => self.group(),
            '[' => self.class(),
            '\\' => self.escape(),
            other => {
                self.output.push(other);
                Ok(())
            }
        }
    }

    fn close_repetition(&mut self, after_repetition: bool) -> Result<(), Problem> {
        if after_repetition {
            return Err("a repetition is repeated");
        }
        if self.take("?") {
            self.output.push('?');
        }
        self.repeated = true;
        Ok(())
    }

    /// Behind the `(` of `(?…`: a name, or flags of which Go knows four.
    fn group(&mut self) -> Result<(), Problem> {
        self.take("?");
        if self.take("P<") || self.take("<") {
            if self.rest.starts_with(['=', '!']) {
                return Err("look-around is not supported");
            }
            self.output.push_str("(?P<");
            return Ok(());
        }
        let flags_bytes = self
            .rest
            .find([':', ')'])
            .ok_or("a group with flags is not closed")?;
        let (flags, rest) = self.rest.split_at(flags_bytes);
        if !flags.chars().all(|flag| "imsU-".contains(flag)) {
            return Err("look-around and flags other than `i`, `m`, `s` and `U` are not supported");
        }
        self.rest = rest;
        self.output.push_str("(?");
        self.output.push_str(flags);
        Ok(())
    }

    fn escape(&mut self) -> Result<(), Problem> {
        let character = self.next().ok_or("a `\\` escapes nothing")?;
        match character {
            'Q' => {
                let (quoted, rest) = self.rest.split_once(r"\E").unwrap_or((self.rest, ""));
                self.output.push_str(&regex::escape(quoted));
                self.rest = rest;
            }
            'A' | 'z' => self.output.extend(['\\', character]),
            'b' | 'B' => {
                self.output.push_str(r"(?-u:\");
                self.output.push(character);
                self.output.push(')');
            }
            'p' | 'P' => self.unicode_class(character)?,
            other => match perl_class(other) {
                Some(members) => {
                    let negation = if other.is_ascii_uppercase() { "^" } else { "" };
                    self.output.push_str(&format!("[{negation}{members}]"));
                }
                None => {
                    let literal = self.escaped_character(other)?;
                    push_literal(&mut self.output, literal);
                }
            },
        }
        Ok(())
    }

    /// `\pL`, `\p{Greek}`, `\p{^Greek}`.
    fn unicode_class(&mut self, kind: char) -> Result<(), Problem> {
        let open = "a Unicode class is not closed";
        let (name, rest) = match self.rest.strip_prefix('{') {
            Some(behind) => behind.split_once('}').ok_or(open)?,
            None => {
                let end = self.rest.chars().next().ok_or(open)?.len_utf8();
                self.rest.split_at(end)
            }
        };
        self.rest = rest;
        let (name, negated) = match name.strip_prefix('^') {
            Some(name) => (name, kind == 'p'),
            None => (name, kind == 'P'),
        };
        let kind = if negated { 'P' } else { 'p' };
        self.output.push_str(&format!(r"\{kind}{{{name}}}"));
        Ok(())
    }

    /// The character that `\x` stands for, `first` being what follows the backslash.
    fn escaped_character(&mut self, first: char) -> Result<char, Problem> {
        let unknown = "an escape is not known";
        match first {
            'a' => Ok('\u{7}'),
            'f' => Ok('\u{c}'),
            'n' => Ok('\n'),
            'r' => Ok('\r'),
            't' => Ok('\t'),
            'v' => Ok('\u{b}'),
            'x' => {
                let (digits, rest) = match self.rest.strip_prefix('{') {
                    Some(behind) => behind.split_once('}').ok_or(unknown)?,
                    None => self.rest.split_at_checked(2).ok_or(unknown)?,
                };
                self.rest = rest;
                let value = u32::from_str_radix(digits, 16).map_err(|_| unknown)?;
                char::from_u32(value).ok_or(unknown)
            }
            '0'..='7' => {
                let more = self
                    .rest
                    .bytes()
                    .take(2)
                    .take_while(|b| matches!(b, b'0'..=b'7'))
                    .count();
                if first != '0' && more == 0 {
                    return Err("back-references are not supported");
                }
                let (digits, rest) = self.rest.split_at(more);
                self.rest = rest;
                let value = digits
                    .chars()
                    .fold(first.to_digit(8), |value, digit| {
                        Some(value? * 8 + digit.to_digit(8)?)
                    })
                    .ok_or(unknown)?;
                char::from_u32(value).ok_or(unknown)
            }
            other if other.is_ascii() && !other.is_ascii_alphanumeric() => Ok(other),
            _ => Err(unknown),
        }
    }

    /// A class, behind its `[`.
    fn class(&mut self) -> Result<(), Problem> {
        self.output.push('[');
        if self.take("^") {
            self.output.push('^');
        }
        let mut first = true;
        loop {
            if !first && self.take("]") {
                self.output.push(']');
                return Ok(());
            }
            first = false;
            self.class_member()?;
        }
    }

    fn class_member(&mut self) -> Result<(), Problem> {
        let posix = self
            .rest
            .strip_prefix("[:")
            .and_then(|behind| behind.split_once(":]"));
        if let Some((name, rest)) = posix {
            if !POSIX_CLASSES.contains(&name.strip_prefix('^').unwrap_or(name)) {
                return Err("a class in brackets is not known");
            }
            self.output.push_str(&format!("[:{name}:]"));
            self.rest = rest;
            return Ok(());
        }
        let mut behind = self.rest.chars();
        if let (Some('\\'), Some(kind)) = (behind.next(), behind.next()) {
            let rest = behind.as_str();
            if matches!(kind, 'p' | 'P') {
                self.rest = rest;
                return self.unicode_class(kind);
            }
            if let Some(members) = perl_class(kind) {
                self.rest = rest;
                let negation = if kind.is_ascii_uppercase() { "^" } else { "" };
                self.output.push_str(&format!("[{negation}{members}]"));
                return Ok(());
            }
        }
        let low = self.class_character()?;
        let is_range =
            self.rest.starts_with('-') && !self.rest.starts_with("-]") && self.rest.len() > 1;
        push_literal(&mut self.output, low);
        if is_range {
            self.take("-");
            let high = self.class_character()?;
            self.output.push('-');
            push_literal(&mut self.output, high);
        }
        Ok(())
    }

    fn class_character(&mut self) -> Result<char, Problem> {
        match self.next().ok_or("a class is not closed")? {
            '\\' => {
                let first = self.next().ok_or("a `\\` escapes nothing")?;
                self.escaped_character(first)
            }
            other => Ok(other),
        }
    }
}

/// What may stand between `[:` and `:]`.
const POSIX_CLASSES: [&str; 14] = [
    "alnum", "alpha", "ascii", "blank", "cntrl", "digit", "graph", "lower", "print", "punct",
    "space", "upper", "word", "xdigit",
];

/// Members of `\d`, `\w` and `\s`, of their upper-case forms too.
const fn perl_class(kind: char) -> Option<&'static str> {
    match kind {
        'd' | 'D' => Some("0-9"),
        'w' | 'W' => Some("0-9A-Za-z_"),
        's' | 'S' => Some(r"\t\n\x0C\r "),
        _ => None,
    }
}

/// Bytes of `n}`, `n,}` or `n,m}` at the start of `rest`; `None` where a `{` stands for itself.
fn repetition(rest: &str) -> Result<Option<usize>, Problem> {
    let Some((inside, _)) = rest.split_once('}') else {
        return Ok(None);
    };
    let (low, high) = inside.split_once(',').unwrap_or((inside, inside));
    let is_count = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    if !is_count(low) || !(is_count(high) || high.is_empty()) {
        return Ok(None);
    }
    let too_many = |text: &str| !text.is_empty() && text.parse::<u16>().is_ok_and(|n| n <= 1000);
    if !too_many(low) || !(high.is_empty() || too_many(high)) {
        return Err("a repetition count is above 1000");
    }
    Ok(Some(inside.len() + 1))
}

/// Writes one character so that it stands for itself, inside and outside of classes.
fn push_literal(output: &mut String, character: char) {
    if character.is_ascii_alphanumeric() || !character.is_ascii() {
        output.push(character);
    } else {
        output.push_str(&format!(r"\x{:02X}", u32::from(character)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn matches(pattern: &str, text: &str) -> bool {
        compile(pattern, false).unwrap().is_match(text.as_bytes())
    }

    #[test]
    fn what_go_reads_differently_is_rewritten() {
        for (pattern, text) in [
            (r"^\d+$", "123"),
            (r"^[\d.]+$", "1.2"),
            (r"^[^\D]+$", "12"),
            (r"\Q1.2\E$", "v1.2"),
            (r"\Qa.b", "a.b"),
            ("^v{x}$", "v{x}"),
            ("^{,3}$", "{,3}"),
            ("^[[a]$", "["),
            ("^[a&&b]+$", "a&b"),
            ("^[]a]+$", "]a"),
            ("^[a-]+$", "a-a"),
            (r"^\<$", "<"),
            (r"^\x41\x{42}\103$", "ABC"),
            (r"^\p{^Lu}\PN$", "ab"),
            ("^[[:alpha:]]+$", "abc"),
            ("(?i)^ABC$", "abc"),
            ("(?P<n>a)(?:b)", "ab"),
            (r"\bv1\b", "a-v1-b"),
            ("a??b", "b"),
            ("", "anything"),
        ] {
            assert!(matches(pattern, text), "{pattern} {text}");
        }
        for (pattern, text) in [(r"\d", "٣"), (r"\w", "é"), ("a$", "a\n"), ("^a.c$", "a\nc")] {
            assert!(!matches(pattern, text), "{pattern} {text}");
        }
    }

    #[test]
    fn what_go_refuses_is_refused() {
        for pattern in [
            "(?=v)1", "(?!v)1", "(?<=v)1", "(?<!v)1", "(?x)a b", r"(a)\1", "a**", "a{2}{3}",
            "a{1001}", "a{3,2}", "*a", "(a", "a)", "[a", "[z-a]", r"\u0041", r"\e", "a\\", "[a\\",
        ] {
            assert!(compile(pattern, false).is_err(), "{pattern}");
        }
    }

    #[test]
    fn a_pattern_that_would_cost_memory_is_refused() {
        let long = "a".repeat(PATTERN_BYTES_MAX + 1);
        assert!(matches!(
            compile(&long, false),
            Err(RegexpError::TooLong { .. })
        ));
        assert!(matches!(
            compile("((a{100}){100}){100}", false),
            Err(RegexpError::TooLarge(_))
        ));
    }

    proptest! {
        #[test]
        fn any_text_has_an_answer(pattern in "\\PC{0,30}", text in "\\PC{0,30}") {
            if let Ok(regex) = compile(&pattern, true) {
                regex.is_match(text.as_bytes());
            }
        }

        #[test]
        fn patterns_of_special_characters_have_an_answer(
            pattern in r"[a\\\[\](){}?*+|^$.,:<>P0-9QEdDpx&~-]{0,16}",
        ) {
            let _ = compile(&pattern, false);
        }
    }
}
