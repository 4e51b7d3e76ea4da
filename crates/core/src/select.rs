//! Which tag of a repository an image should have: what to choose by, the ranking, and the choice.
//!
//! Pure, in three steps, so that each can be shown and replayed: a [`Selection`] (settings, parsed)
//! ranks a whole listing ([`rank`]) independently of any Application's state, so that one ranking
//! serves every Application with the same settings; [`choose`] then compares its best candidate
//! with what Git wants. Every tag that lost has a reason. Nothing here takes a partial listing.

mod choose;
mod rank;

use crate::constraint::{Constraint, ConstraintError, Mismatch};
use crate::extract::Extract;
use crate::numbers::Numbers;
use crate::platform::Wanted;
use crate::reason::Reason;
use crate::registries_conf::TagSortMode;
use crate::strategy::Strategy;
use crate::tag_filter::TagFilter;
use crate::version::Version;

pub use choose::{Candidates, Choice, Current, Decision, choose, choose_followed};
pub use rank::{Metadata, Ranking, rank};

/// Everything that decides which tag of a repository is best. Equal selections rank a listing
/// equally, so it can be the key of a memo.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Selection {
    strategy: Strategy,
    constraint: Option<Constraint>,
    followed_tag: Option<Box<str>>,
    /// `allow-tags` and `ignore-tags`.
    pub filter: TagFilter,
    /// Takes the version out of a tag, for every order by name.
    pub extract: Option<Extract>,
    /// The platforms that an image must serve.
    pub platforms: Wanted,
    /// What the position in the registry's listing says, for `newest-build`.
    pub tag_sort_mode: TagSortMode,
    /// Whether a winner below what Git wants may be written.
    pub allow_downgrade: bool,
}

/// Why nothing can be chosen by these settings.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SelectionError {
    /// The digest strategy needs a tag to follow.
    #[error(
        "strategy `digest` needs a tag to follow (`image:tag`), and there is none; \
         no tag was chosen"
    )]
    ConstraintMissing,
    /// The constraint cannot be read.
    #[error(transparent)]
    Constraint(#[from] ConstraintError),
}

impl SelectionError {
    /// The stable reason.
    #[must_use]
    pub const fn reason(&self) -> Reason {
        match self {
            Self::ConstraintMissing => Reason::ConstraintMissing,
            Self::Constraint(_) => Reason::ConstraintInvalid,
        }
    }
}

/// What tags are ordered by, where their names tell. One selection makes one kind of key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Key<'a> {
    Version(Version<'a>),
    Numbers(Numbers),
    Text(&'a str),
}

impl Selection {
    /// A selection without filters. `constraint` is what stands behind the name of the configured
    /// image; strategies that know no constraint ignore it.
    ///
    /// # Errors
    /// [`SelectionError`]: the constraint is missing or cannot be read.
    pub fn new(strategy: Strategy, constraint: Option<&str>) -> Result<Self, SelectionError> {
        let written = constraint.filter(|text| !text.is_empty());
        let followed_tag = match written {
            None if strategy.follows_one_tag() => return Err(SelectionError::ConstraintMissing),
            tag => tag.filter(|_| strategy.follows_one_tag()),
        };
        let constraint = written
            .filter(|_| strategy.uses_constraint())
            .map(Constraint::parse)
            .transpose()?;
        Ok(Self {
            strategy,
            constraint,
            followed_tag: followed_tag.map(Box::from),
            filter: TagFilter::default(),
            extract: None,
            platforms: Wanted::Anything,
            tag_sort_mode: TagSortMode::Unsorted,
            allow_downgrade: false,
        })
    }

    /// The order that decides.
    #[must_use]
    pub const fn strategy(&self) -> Strategy {
        self.strategy
    }

    /// The constraint, where the strategy uses it and one is set.
    #[must_use]
    pub const fn constraint(&self) -> Option<&Constraint> {
        self.constraint.as_ref()
    }

    /// The one tag that the digest strategy follows.
    #[must_use]
    pub fn followed_tag(&self) -> Option<&str> {
        self.followed_tag.as_deref()
    }

    /// Whether [`rank`] needs the metadata of every survivor: `newest-build`, where the registry's
    /// listings have no order.
    #[must_use]
    pub fn needs_metadata(&self) -> bool {
        self.strategy.needs_metadata() && self.tag_sort_mode == TagSortMode::Unsorted
    }

    /// Whether the images of a winner must be looked at before it is taken: where `platforms` is
    /// set, under every strategy; where it is not, for those that read images anyway.
    #[must_use]
    pub const fn checks_platforms(&self) -> bool {
        match self.platforms {
            Wanted::Anything => false,
            Wanted::Listed(_) => true,
            Wanted::Own(_) => self.strategy.needs_metadata() || self.strategy.follows_one_tag(),
        }
    }

    /// Whether the name of a tag lets it be chosen, and what it is ordered by.
    fn key<'a>(&self, tag: &'a str) -> Result<Key<'a>, Reason> {
        if is_artifact_tag(tag) {
            return Err(Reason::ArtifactTag);
        }
        if self.followed_tag().is_some_and(|followed| tag != followed) {
            return Err(Reason::NotConstraintTag);
        }
        if let Some(reason) = self.filter.rejects(tag) {
            return Err(reason);
        }
        let text = match &self.extract {
            Some(extract) => extract.version(tag).ok_or(Reason::NotExtracted)?,
            None => tag,
        };
        match self.strategy {
            Strategy::Semver => {
                let version = Version::parse(text).ok_or(Reason::NotAVersion)?;
                self.check(&version)?;
                Ok(Key::Version(version))
            }
            Strategy::Numeric => self.numbers(Numbers::parse(text)),
            Strategy::Calver => self.numbers(Numbers::parse_calendar(text)),
            Strategy::NewestBuild | Strategy::Digest | Strategy::Alphabetical => {
                Ok(Key::Text(text))
            }
        }
    }

    fn numbers(&self, numbers: Option<Numbers>) -> Result<Key<'static>, Reason> {
        let numbers = numbers.ok_or(Reason::NotAVersion)?;
        self.check(&numbers.as_version())?;
        Ok(Key::Numbers(numbers))
    }

    fn check(&self, version: &Version<'_>) -> Result<(), Reason> {
        match &self.constraint {
            // No constraint is `*`, which accepts every release.
            None if version.is_prerelease() => Err(Reason::Prerelease),
            None => Ok(()),
            Some(constraint) => constraint
                .check(version)
                .map_err(|mismatch| match mismatch {
                    Mismatch::Outside => Reason::OutsideConstraint,
                    Mismatch::Prerelease => Reason::Prerelease,
                }),
        }
    }

    /// What a reason says about one tag beyond its sentence: the pattern, the constraint, the
    /// setting.
    #[must_use]
    pub fn detail(&self, tag: &str, reason: Reason) -> Option<String> {
        match reason {
            Reason::Ignored => self.filter.ignored_by(tag).map(ToString::to_string),
            Reason::OutsideConstraint | Reason::Prerelease => Some(
                self.constraint
                    .as_ref()
                    .map_or("*", Constraint::text)
                    .to_owned(),
            ),
            Reason::NotExtracted => self.extract.as_ref().map(|e| e.text().to_owned()),
            Reason::NotConstraintTag => self.followed_tag.as_deref().map(str::to_owned),
            _ => None,
        }
    }
}

/// Whether a tag stores something about an image rather than an image: `sha256-<hex>`, alone (the
/// referrers tag of OCI distribution-spec v1.1) or with the suffix of a signature, an attestation
/// or an SBOM (cosign). Such tags are never candidates.
#[must_use]
pub fn is_artifact_tag(tag: &str) -> bool {
    ["sha256-", "sha384-", "sha512-"].iter().any(|algorithm| {
        let Some(rest) = tag.strip_prefix(algorithm) else {
            return false;
        };
        let hex = rest.split('.').next().unwrap_or_default();
        hex.len() >= 64 && hex.bytes().all(|b| b.is_ascii_hexdigit())
    })
}

#[cfg(test)]
mod tests;
