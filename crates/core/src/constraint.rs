//! Version constraints: `~1.2`, `>=1.0, <2.0`, `1.x || 2.x-0`, `1.2 - 1.4`.
//!
//! Specification: the constraints of Masterminds semver v3.4.0, whose executed answers are the
//! vectors. Three traps of that grammar are kept, since existing settings rely on it: a hyphen
//! range is rewritten as text before anything else is read; a `|` counts as a digit until the
//! number is read; a wildcard makes every part behind it meaningless.

mod parse;

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
        "a version constraint of {bytes} bytes is longer than {CONSTRAINT_BYTES_MAX}; \
         no tag was chosen"
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
        Ok(Self {
            text: text.into(),
            groups: parse::groups(text)?,
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
