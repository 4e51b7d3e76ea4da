//! The grammar of constraints: from text to comparators. What they mean is decided above.

use super::{Breadth, Comparator, ConstraintError, Group, Operator};
use crate::version::Version;

/// Reads the groups of a constraint, of which one must hold.
pub(super) fn groups(text: &str) -> Result<Box<[Group]>, ConstraintError> {
    let rewritten = rewrite_hyphen_ranges(text);
    rewritten.split("||").map(group).collect()
}

/// `A - B` becomes `>= A, <= B `, as text, wherever it stands.
fn rewrite_hyphen_ranges(text: &str) -> String {
    let mut rewritten = text.to_owned();
    let mut at = 0;
    while let Some(range) = find_hyphen_range(text, at) {
        let comparators = format!(">= {}, <= {} ", range.low, range.high);
        rewritten = rewritten.replacen(range.text, &comparators, 1);
        at = range.end;
    }
    rewritten
}

struct HyphenRange<'a> {
    text: &'a str,
    low: &'a str,
    high: &'a str,
    end: usize,
}

/// The first `A - B` at or behind the byte `from`, with the blanks around it.
fn find_hyphen_range(text: &str, from: usize) -> Option<HyphenRange<'_>> {
    let starts = (from..text.len()).filter(|start| text.is_char_boundary(*start));
    for start in starts {
        let mut scanner = Scanner { text, at: start };
        scanner.blanks();
        let Some(low) = scanner.version() else {
            continue;
        };
        let apart = scanner.blanks() > 0 && scanner.take("-") && scanner.blanks() > 0;
        let Some(high) = apart.then(|| scanner.version()).flatten() else {
            continue;
        };
        scanner.blanks();
        return Some(HyphenRange {
            text: text.get(start..scanner.at)?,
            low: low.text,
            high: high.text,
            end: scanner.at,
        });
    }
    None
}

/// Comparators separated by blanks or one comma.
fn group(text: &str) -> Result<Group, ConstraintError> {
    let refused = || ConstraintError::Grammar(text.to_owned());
    let mut scanner = Scanner { text, at: 0 };
    let mut comparators = Vec::new();
    loop {
        scanner.blanks();
        let operator = scanner.operator();
        scanner.blanks();
        let version = scanner.version().ok_or_else(refused)?;
        comparators.push((operator, version));
        let apart = scanner.blanks() > 0;
        if scanner.at == text.len() {
            break;
        }
        if !scanner.take(",") && !apart {
            return Err(refused());
        }
    }
    let comparators = comparators
        .into_iter()
        .map(|(operator, version)| comparator(operator, &version))
        .collect::<Result<Box<[_]>, _>>()?;
    Ok(Group {
        asks_for_prereleases: comparators.iter().any(|c| !c.prerelease.is_empty()),
        comparators,
    })
}

fn comparator(
    operator: Operator,
    scanned: &ScannedVersion<'_>,
) -> Result<Comparator, ConstraintError> {
    let is_wild = |part: Option<&str>| matches!(part, None | Some("x" | "X" | "*"));
    let breadth = if is_wild(Some(scanned.major)) {
        Breadth::Any
    } else if is_wild(scanned.minor) {
        Breadth::Minor
    } else if is_wild(scanned.patch) {
        Breadth::Patch
    } else {
        Breadth::Exact
    };
    let (major, minor, patch) = match breadth {
        Breadth::Any => ("0", "0", "0"),
        Breadth::Minor => (scanned.major, "0", "0"),
        Breadth::Patch => (scanned.major, scanned.minor.unwrap_or("0"), "0"),
        Breadth::Exact => (
            scanned.major,
            scanned.minor.unwrap_or("0"),
            scanned.patch.unwrap_or("0"),
        ),
    };
    // A wild version loses its metadata; the grammar of versions then has the last word.
    let metadata = if breadth == Breadth::Exact {
        scanned.metadata
    } else {
        ""
    };
    let text = format!("{major}.{minor}.{patch}{}{metadata}", scanned.prerelease);
    let version =
        Version::parse(&text).ok_or_else(|| ConstraintError::Version(scanned.text.to_owned()))?;
    Ok(Comparator {
        operator,
        major: version.major,
        minor: version.minor,
        patch: version.patch,
        prerelease: version.prerelease.into(),
        breadth,
    })
}

/// A version in a constraint, in its parts as written.
struct ScannedVersion<'a> {
    text: &'a str,
    major: &'a str,
    minor: Option<&'a str>,
    patch: Option<&'a str>,
    /// With its `-`; empty where there is none.
    prerelease: &'a str,
    /// With its `+`; empty where there is none.
    metadata: &'a str,
}

struct Scanner<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Scanner<'a> {
    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn take(&mut self, token: &str) -> bool {
        let found = self.rest().starts_with(token);
        if found {
            self.at += token.len();
        }
        found
    }

    /// Takes what `is_wanted` accepts, at least one byte.
    fn run(&mut self, is_wanted: impl Fn(u8) -> bool) -> Option<&'a str> {
        let rest = self.rest();
        let end = rest
            .bytes()
            .position(|b| !is_wanted(b))
            .unwrap_or(rest.len());
        self.at += end;
        rest.get(..end).filter(|run| !run.is_empty())
    }

    fn blanks(&mut self) -> usize {
        let is_blank = |b| matches!(b, b'\t' | b'\n' | 0x0c | b'\r' | b' ');
        self.run(is_blank).map_or(0, str::len)
    }

    fn operator(&mut self) -> Operator {
        const OPERATORS: [(&str, Operator); 11] = [
            ("!=", Operator::NotEqual),
            (">=", Operator::GreaterOrEqual),
            ("=>", Operator::GreaterOrEqual),
            ("<=", Operator::LessOrEqual),
            ("=<", Operator::LessOrEqual),
            ("~>", Operator::Tilde),
            ("=", Operator::Equal),
            (">", Operator::Greater),
            ("<", Operator::Less),
            ("~", Operator::Tilde),
            ("^", Operator::Caret),
        ];
        OPERATORS
            .iter()
            .find(|(token, _)| self.take(token))
            .map_or(Operator::Equal, |(_, operator)| *operator)
    }

    fn version(&mut self) -> Option<ScannedVersion<'a>> {
        let is_number = |b: u8| b.is_ascii_digit() || matches!(b, b'x' | b'X' | b'*' | b'|');
        let start = self.at;
        self.take("v");
        let Some(major) = self.run(is_number) else {
            self.at = start;
            return None;
        };
        let minor = self.behind(".", is_number);
        let patch = minor.and_then(|_| self.behind(".", is_number));
        let prerelease = self.identifiers("-");
        let metadata = self.identifiers("+");
        Some(ScannedVersion {
            text: self.text.get(start..self.at).unwrap_or_default(),
            major,
            minor,
            patch,
            prerelease,
            metadata,
        })
    }

    /// `token` and a run behind it, or nothing.
    fn behind(&mut self, token: &str, is_wanted: impl Fn(u8) -> bool) -> Option<&'a str> {
        let start = self.at;
        let run = if self.take(token) {
            self.run(is_wanted)
        } else {
            None
        };
        if run.is_none() {
            self.at = start;
        }
        run
    }

    /// `token` and dot-separated identifiers, or nothing.
    fn identifiers(&mut self, token: &str) -> &'a str {
        let is_identifier = |b: u8| b.is_ascii_alphanumeric() || b == b'-';
        let start = self.at;
        if self.behind(token, is_identifier).is_some() {
            while self.behind(".", is_identifier).is_some() {}
        }
        self.text.get(start..self.at).unwrap_or_default()
    }
}
