//! Scalars: when a plain one reads back as the same string, and how a string is written.
//!
//! Sources: YAML 1.2.2 chapters 5 to 7 and 10.3, YAML 1.1 type repository (bool, int, float,
//! timestamp), and the resolution of go-yaml, through which Helm, kustomize and Argo CD read.

use super::tree::{Kind, Node, Style};

/// The tag of strings.
const STRING_TAG: &str = "tag:yaml.org,2002:str";

/// How a new scalar would like to be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Quoting {
    /// Plain where that is safe.
    #[default]
    Plain,
    /// `'…'` where that is possible.
    Single,
    /// `"…"`
    Double,
}

/// Whether a plain scalar in block context reads back as the very string `text`, for every reader
/// that matters.
///
/// Words that YAML 1.1 takes for booleans or null, in any case, are not safe, nor is anything
/// number- or date-like.
#[must_use]
pub fn plain_is_safe(text: &str) -> bool {
    plain_is_allowed(text) && !is_special_word(text) && !is_number(text) && !is_date(text)
}

/// Writes `text` as a scalar that reads back as the same string.
///
/// `flow` says whether it stands in a flow collection, where `,[]{}` end a plain scalar.
#[must_use]
pub fn text_as_scalar(text: &str, quoting: Quoting, flow: bool) -> String {
    let printable = !text.chars().any(|c| c.is_control() || is_unprintable(c));
    match quoting {
        Quoting::Single if printable => single_quoted(text),
        Quoting::Single | Quoting::Double => double_quoted(text),
        Quoting::Plain => {
            let allowed = plain_is_allowed(text) && !(flow && text.contains(FLOW_INDICATORS));
            // `<<` is a string as a value, but some readers know it as the merge key only.
            if allowed && plain_is_safe(text) && text != "<<" {
                text.to_owned()
            } else if allowed || text.is_empty() || !printable || is_special_word(text) {
                double_quoted(text)
            } else {
                single_quoted(text)
            }
        }
    }
}

/// Whether the node is a scalar that every reader takes for a string.
#[must_use]
pub fn reads_as_string(node: &Node) -> bool {
    let Kind::Scalar(value, style) = &node.kind else {
        return false;
    };
    match node.tag.as_deref() {
        Some(tag) => tag == STRING_TAG,
        None => *style != Style::Plain || plain_is_safe(value),
    }
}

const FLOW_INDICATORS: [char; 5] = [',', '[', ']', '{', '}'];

/// Syntax only. Stricter than YAML: whatever begins with an indicator is quoted.
fn plain_is_allowed(text: &str) -> bool {
    let edge_blank = text.starts_with([' ', '\t']) || text.ends_with([' ', '\t']);
    !text.is_empty()
        && !edge_blank
        && !text.starts_with(|c| "!&*?|>%@`\"'#,[]{}-".contains(c))
        && !text.contains(": ")
        && !text.contains(" #")
        && !text.ends_with(':')
        && !text.chars().any(|c| c.is_control() || is_unprintable(c))
        && text != "..."
}

/// Line separators and the byte order mark: legal in a scalar, dangerous to write raw.
fn is_unprintable(c: char) -> bool {
    matches!(c, '\u{85}' | '\u{2028}' | '\u{2029}' | '\u{feff}')
}

/// Words of YAML 1.1, in any case: some reader takes some spelling of each for something else than
/// a string.
fn is_special_word(text: &str) -> bool {
    const WORDS: [&str; 8] = ["yes", "no", "on", "off", "y", "n", "null", "~"];
    WORDS.iter().any(|word| word.eq_ignore_ascii_case(text))
        || matches!(text, "true" | "True" | "TRUE" | "false" | "False" | "FALSE")
}

/// Integers and floats of YAML 1.1, 1.2 and go-yaml, with `_` between digits.
fn is_number(text: &str) -> bool {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    if unsigned.starts_with('_') {
        return false;
    }
    let digits: String = unsigned.chars().filter(|c| *c != '_').collect();
    let lower = digits.to_ascii_lowercase();
    if matches!(lower.as_str(), ".inf" | ".nan") {
        return true;
    }
    let radix = |prefix: &str, valid: fn(char) -> bool| {
        lower
            .strip_prefix(prefix)
            .is_some_and(|rest| !rest.is_empty() && rest.chars().all(valid))
    };
    radix("0x", |c| c.is_ascii_hexdigit())
        || radix("0o", |c| matches!(c, '0'..='7'))
        || radix("0b", |c| matches!(c, '0' | '1'))
        || is_decimal(&lower)
}

/// `digits [. digits] [e [sign] digits]` with at least one digit in the mantissa.
fn is_decimal(text: &str) -> bool {
    let (mantissa, exponent) = match text.split_once('e') {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (text, None),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let all_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    let exponent_is_good = exponent.is_none_or(|exponent| {
        let digits = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
        !digits.is_empty() && all_digits(digits)
    });
    let mantissa_is_good = all_digits(whole) && all_digits(fraction);
    mantissa_is_good && !(whole.is_empty() && fraction.is_empty()) && exponent_is_good
}

/// `2024-01-01`, alone or before a time: what YAML 1.1 reads as a timestamp.
fn is_date(text: &str) -> bool {
    let mut parts = text.splitn(3, '-');
    let (Some(year), Some(month), Some(rest)) = (parts.next(), parts.next(), parts.next()) else {
        return false;
    };
    let day: String = rest.chars().take_while(char::is_ascii_digit).collect();
    let number = |part: &str, lengths: std::ops::RangeInclusive<usize>| {
        lengths.contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit())
    };
    let after = rest.get(day.len()..).unwrap_or_default();
    let ends = after.is_empty() || after.starts_with(['T', 't', ' ', '\t']);
    number(year, 4..=4) && number(month, 1..=2) && number(&day, 1..=2) && ends
}

fn single_quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

fn double_quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len().saturating_add(2));
    quoted.push('"');
    for c in text.chars() {
        match c {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\t' => quoted.push_str("\\t"),
            '\r' => quoted.push_str("\\r"),
            c if c.is_control() || is_unprintable(c) => {
                quoted.push_str(&format!("\\u{:04X}", u32::from(c)));
            }
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}
