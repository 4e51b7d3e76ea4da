//! What the texts of Argo CD Image Updater's flags and variables mean.
//!
//! A variable that cannot be read keeps its default, with a sentence for the log: one typo in a
//! ConfigMap must not keep the program from starting.

use std::collections::BTreeSet;
use std::fmt::Display;
use std::ops::RangeInclusive;
use std::time::Duration;

/// A variable as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Variable<T> {
    /// What holds.
    pub value: T,
    /// Why that is the default.
    pub warning: Option<String>,
}

/// Reads `true` and `false` in any case; everything else is the default, silently.
#[must_use]
pub fn boolean(text: Option<&str>, default: bool) -> bool {
    let text = text.unwrap_or_default();
    let is = |word: &str| text.eq_ignore_ascii_case(word);
    if default { !is("false") } else { is("true") }
}

/// Reads a whole number within `range`.
#[must_use]
pub fn integer(
    name: &str,
    text: Option<&str>,
    range: &RangeInclusive<u16>,
    default: u16,
) -> Variable<u16> {
    let read = |text: &str| text.parse().ok().filter(|value| range.contains(value));
    let wanted = format!("a number from {} to {}", range.start(), range.end());
    variable(name, text, &wanted, (default, &default), read)
}

/// Reads a duration as Go writes it.
#[must_use]
pub fn duration(name: &str, text: Option<&str>, default: &str) -> Variable<Duration> {
    let value = go_duration(default).unwrap_or_default();
    let wanted = "a duration such as `2m0s`";
    variable(name, text, wanted, (value, &default), |text| {
        go_duration(text).ok()
    })
}

fn variable<T>(
    name: &str,
    text: Option<&str>,
    wanted: &str,
    (default, shown): (T, &dyn Display),
    read: impl Fn(&str) -> Option<T>,
) -> Variable<T> {
    let Some(text) = text.filter(|text| !text.is_empty()) else {
        return Variable {
            value: default,
            warning: None,
        };
    };
    match read(text) {
        Some(value) => Variable {
            value,
            warning: None,
        },
        None => Variable {
            value: default,
            warning: Some(format!("`{name}={text}` is not {wanted}; `{shown}` holds")),
        },
    }
}

/// Parses a duration as Go writes it (`2m0s`, `90s`, `1h30m`).
///
/// # Errors
/// A sentence with the value, for clap.
pub fn go_duration(text: &str) -> Result<Duration, String> {
    let refuse = || format!("`{text}` is not a duration such as `2m0s`");
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    let mut rest = text;
    let mut total = 0.0_f64;
    while !rest.is_empty() {
        let digits = rest
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .ok_or_else(refuse)?;
        let (number, after) = rest.split_at(digits);
        let unit_end = after
            .find(|c: char| c.is_ascii_digit() || c == '.')
            .unwrap_or(after.len());
        let (unit, next) = after.split_at(unit_end);
        let seconds = match unit {
            "h" => 3600.0,
            "m" => 60.0,
            "s" => 1.0,
            "ms" => 1e-3,
            "us" | "µs" => 1e-6,
            "ns" => 1e-9,
            _ => return Err(refuse()),
        };
        total += number.parse::<f64>().map_err(|_| refuse())? * seconds;
        rest = next;
    }
    if text.is_empty() {
        return Err(refuse());
    }
    Duration::try_from_secs_f64(total).map_err(|_| refuse())
}

/// Parses a truth value as Go's flags take it.
///
/// # Errors
/// A sentence with the value, for clap.
pub fn go_bool(text: &str) -> Result<bool, String> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
        _ => Err(format!("`{text}` is neither `true` nor `false`")),
    }
}

/// Which namespaces Applications are read from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Namespaces {
    /// All of them.
    All,
    /// These.
    Named(BTreeSet<String>),
}

impl Namespaces {
    /// Whether Applications of `namespace` are among them.
    #[must_use]
    pub fn contain(&self, namespace: &str) -> bool {
        match self {
            Self::All => true,
            Self::Named(names) => names.contains(namespace),
        }
    }

    /// Reads `--watch-namespaces`: nothing is `own`, `*` is all, else a list.
    #[must_use]
    pub fn parse(text: &str, own: &str) -> Self {
        let names = text.split(',').map(str::trim);
        let names: BTreeSet<String> = names
            .filter(|name| !name.is_empty())
            .map(str::to_owned)
            .collect();
        if names.contains("*") {
            Self::All
        } else if names.is_empty() {
            Self::Named(BTreeSet::from([own.to_owned()]))
        } else {
            Self::Named(names)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn namespaces_read_as_argo_cd_image_updater_reads_them() {
        let named = |names: &[&str]| {
            Namespaces::Named(names.iter().map(|name| (*name).to_owned()).collect())
        };
        assert_eq!(Namespaces::parse("", "argocd"), named(&["argocd"]));
        assert_eq!(Namespaces::parse(" , ", "argocd"), named(&["argocd"]));
        assert_eq!(Namespaces::parse("a, b,a", "argocd"), named(&["a", "b"]));
        assert_eq!(Namespaces::parse("*", "argocd"), Namespaces::All);
    }

    #[test]
    fn a_variable_that_cannot_be_read_keeps_its_default_and_says_so() {
        let read = integer("MAX_CONCURRENT_APPS", Some("101"), &(1..=100), 10);
        assert_eq!(read.value, 10);
        let warning = read.warning.unwrap();
        assert!(warning.contains("`MAX_CONCURRENT_APPS=101`"), "{warning}");
        assert_eq!(integer("X", Some(""), &(1..=9), 3).warning, None);
        assert!(!boolean(Some("1"), false));
        assert!(boolean(Some("TRUE"), false));
    }

    #[test]
    fn go_durations_read_as_go_reads_them() {
        assert_eq!(go_duration("2m0s"), Ok(Duration::from_secs(120)));
        assert_eq!(go_duration("1h30m"), Ok(Duration::from_secs(5400)));
        assert_eq!(go_duration("0"), Ok(Duration::ZERO));
        assert_eq!(go_duration("1.5s"), Ok(Duration::from_millis(1500)));
        for text in ["", "5", "-1s", "1d", "s", "1s5"] {
            assert!(go_duration(text).is_err(), "{text}");
        }
    }
}
