//! Version constraints: `~1.2`, `>=1.0, <2.0`, `1.x || 2.x-0`, `1.2 - 1.4`.
//!
//! Specification: the constraints of Masterminds semver v3.4.0, whose executed answers are the
//! vectors. Three traps of that grammar are kept, since existing settings rely on it: a hyphen range
//! is rewritten as text before anything else is read; a `|` counts as a digit until the number is
//! read; a wildcard makes every part behind it meaningless.

use std::cmp::Ordering;
use std::fmt;

use crate::limits::CONSTRAINT_BYTES_MAX;
use crate::version::Version;

/// A parsed constraint. Equality and order are those of the text.
#[derive(Clone)]
pub struct Constraint {
    text: Box<str>,
    groups: Box<[Group]>,
}

/// Why a text is not a constraint.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConstraintError {
    /// The text does not follow the grammar.
    #[error("`{0}` is not a version constraint; no tag was chosen")]
    Grammar(String),
    /// A part looks like a version and is none: `1|2`, `1.2.3-01`, a number above 64 bits.
    #[error("`{0}` in a version constraint is not a version; no tag was chosen")]
    Version(String),
    /// The text is longer than a constraint may be.
    #[error(
        "a version constraint of {bytes} bytes is longer than {CONSTRAINT_BYTES_MAX}; no tag was chosen"
    )]
    TooLong {
        /// Its length.
        bytes: usize,
    },
}

/// Why a version does not satisfy a constraint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mismatch {
    /// It is outside.
    Outside,
    /// It is inside but for being a pre-release, which the constraint does not ask for.
    Prerelease,
}

/// Comparators that must all hold.
#[derive(Clone)]
struct Group {
    comparators: Box<[Comparator]>,
    /// Whether a comparator names a pre-release: then all of them accept those.
    asks_for_prereleases: bool,
}

#[derive(Clone)]
struct Comparator {
    operator: Operator,
    major: u64,
    minor: u64,
    patch: u64,
    prerelease: Box<str>,
    breadth: Breadth,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Operator {
    Equal,
    NotEqual,
    Greater,
    Less,
    GreaterOrEqual,
    LessOrEqual,
    Tilde,
    Caret,
}

/// Which parts of a version in a constraint are missing or wild.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Breadth {
    /// `1.2.3`
    Exact,
    /// `*`
    Any,
    /// `1`, `1.x`
    Minor,
    /// `1.2`, `1.2.x`
    Patch,
}

impl Constraint {
    /// Reads a whole constraint.
    ///
    /// # Errors
    /// Whatever the library refuses, and texts above [`CONSTRAINT_BYTES_MAX`]. The empty text is
    /// refused too: "no constraint" is `*`.
    pub fn parse(text: &str) -> Result<Self, ConstraintError> {
        if text.len() > CONSTRAINT_BYTES_MAX {
            return Err(ConstraintError::TooLong { bytes: text.len() });
        }
        let groups = rewrite_hyphen_ranges(text)
            .split("||")
            .map(parse_group)
            .collect::<Result<_, _>>()?;
        Ok(Self {
            text: text.into(),
            groups,
        })
    }

    /// The constraint as it was written.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether `version` satisfies the constraint, or why it does not.
    ///
    /// # Errors
    /// [`Mismatch::Prerelease`] where only the pre-release stands in the way.
    pub fn check(&self, version: &Version<'_>) -> Result<(), Mismatch> {
        let mut mismatch = Mismatch::Outside;
        for group in &self.groups {
            let accepts_prereleases = group.asks_for_prereleases;
            if !group.comparators.iter().all(|c| c.accepts(version)) {
                continue;
            }
            if accepts_prereleases || !version.is_prerelease() {
                return Ok(());
            }
            mismatch = Mismatch::Prerelease;
        }
        Err(mismatch)
    }
}

impl Comparator {
    /// Whether `version` fits, where pre-releases are accepted. Table: library documentation,
    /// "Basic Comparisons" to "Caret Range Comparisons".
    fn accepts(&self, version: &Version<'_>) -> bool {
        let order = version.cmp(&self.version());
        match self.operator {
            Operator::Equal if self.breadth == Breadth::Exact => order.is_eq(),
            Operator::Equal | Operator::Tilde => order.is_ge() && self.tilde_accepts(version),
            Operator::NotEqual => self.differs_from(version, order),
            Operator::Less => order.is_lt(),
            Operator::GreaterOrEqual => order.is_ge(),
            Operator::Greater => match self.breadth {
                Breadth::Minor => version.major > self.major,
                Breadth::Patch => (version.major, version.minor) > (self.major, self.minor),
                Breadth::Exact | Breadth::Any => order.is_gt(),
            },
            Operator::LessOrEqual => match self.breadth {
                Breadth::Exact => order.is_le(),
                Breadth::Minor => version.major <= self.major,
                // `<=*` means `<=0.0.x`.
                Breadth::Patch | Breadth::Any => {
                    (version.major, version.minor) <= (self.major, self.minor)
                }
            },
            Operator::Caret => order.is_ge() && self.caret_accepts(version),
        }
    }

    fn tilde_accepts(&self, version: &Version<'_>) -> bool {
        let is_zero = (self.major, self.minor, self.patch) == (0, 0, 0);
        match self.breadth {
            Breadth::Any => true,
            Breadth::Exact if is_zero => true,
            Breadth::Minor => version.major == self.major,
            Breadth::Exact | Breadth::Patch => {
                (version.major, version.minor) == (self.major, self.minor)
            }
        }
    }

    fn caret_accepts(&self, version: &Version<'_>) -> bool {
        let same_major = version.major == self.major;
        let same_minor = version.minor == self.minor;
        if self.major > 0 || self.breadth == Breadth::Minor {
            same_major
        } else if self.minor > 0 || self.breadth == Breadth::Patch {
            same_major && same_minor
        } else {
            // `^0.0.3`, and `^*`, which the library reads as `^0.0.0`.
            same_major && same_minor && version.patch == self.patch
        }
    }

    fn differs_from(&self, version: &Version<'_>, order: Ordering) -> bool {
        match self.breadth {
            Breadth::Minor => version.major != self.major,
            Breadth::Patch => {
                (version.major, version.minor) != (self.major, self.minor)
                    || version.prerelease != &*self.prerelease
            }
            Breadth::Exact | Breadth::Any => order.is_ne(),
        }
    }

    fn version(&self) -> Version<'_> {
        Version {
            major: self.major,
            minor: self.minor,
            patch: self.patch,
            prerelease: &self.prerelease,
            metadata: "",
        }
    }
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
fn parse_group(text: &str) -> Result<Group, ConstraintError> {
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

impl fmt::Display for Constraint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for Constraint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Constraint({})", self.text)
    }
}

text_identity!(Constraint);

#[cfg(test)]
mod tests;
