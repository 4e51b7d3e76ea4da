//! How the newest tag is told: the names of the strategies and what each one needs.

use std::fmt;

use crate::notice::Notice;
use crate::reason::Reason;

/// The order by which one tag is newer than another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Strategy {
    /// The highest version (SemVer 2.0.0) that the constraint allows.
    #[default]
    Semver,
    /// The newest creation time of the image.
    NewestBuild,
    /// One tag, followed by digest.
    Digest,
    /// The greatest name, byte by byte.
    Alphabetical,
    /// The greatest numbers: `build-9` below `build-10`, once `extract` leaves `9` and `10`.
    Numeric,
    /// The latest calendar version: `2024.9.1` below `2024.10.1`.
    Calver,
}

/// A text that names no strategy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is not a strategy: use `semver`, `newest-build`, `digest`, `alphabetical`, `numeric` \
     or `calver`"
)]
pub struct UnknownStrategy(pub String);

impl Strategy {
    /// Every strategy.
    pub const ALL: &'static [Self] = &[
        Self::Semver,
        Self::NewestBuild,
        Self::Digest,
        Self::Alphabetical,
        Self::Numeric,
        Self::Calver,
    ];

    /// The name that settings use.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Semver => "semver",
            Self::NewestBuild => "newest-build",
            Self::Digest => "digest",
            Self::Alphabetical => "alphabetical",
            Self::Numeric => "numeric",
            Self::Calver => "calver",
        }
    }

    /// Reads the `update-strategy` setting as Argo CD Image Updater does: case does not count,
    /// blanks do, old names are accepted, and what is unknown becomes `semver`. The notice says so.
    #[must_use]
    pub fn parse_compatible(text: &str) -> (Self, Option<Notice>) {
        let renamed = |strategy: Self| {
            let detail = format!("strategy `{text}` is now called `{strategy}`");
            (
                strategy,
                Some(Notice::new(Reason::DeprecatedSetting, detail)),
            )
        };
        match text.to_ascii_lowercase().as_str() {
            "semver" => (Self::Semver, None),
            "newest-build" => (Self::NewestBuild, None),
            "alphabetical" => (Self::Alphabetical, None),
            "digest" => (Self::Digest, None),
            "latest" => renamed(Self::NewestBuild),
            "name" => renamed(Self::Alphabetical),
            _ => {
                let detail = format!("`{text}` is not a strategy; `semver` was used");
                let notice = Notice::new(Reason::SettingInvalid, detail);
                (Self::Semver, Some(notice))
            }
        }
    }

    /// Reads our own setting: exactly one of the names.
    ///
    /// # Errors
    /// Any other text.
    pub fn parse_strict(text: &str) -> Result<Self, UnknownStrategy> {
        Self::ALL
            .iter()
            .copied()
            .find(|strategy| strategy.name() == text)
            .ok_or_else(|| UnknownStrategy(text.to_owned()))
    }

    /// Whether the order is by image metadata, so that every tag which passes the filters must be
    /// read.
    #[must_use]
    pub const fn needs_metadata(self) -> bool {
        matches!(self, Self::NewestBuild)
    }

    /// Whether a configured image must carry a tag to follow. Such a strategy looks at no other
    /// tag.
    #[must_use]
    pub const fn follows_one_tag(self) -> bool {
        matches!(self, Self::Digest)
    }

    /// Whether a version constraint bounds the candidates. The others ignore it.
    #[must_use]
    pub const fn uses_constraint(self) -> bool {
        matches!(self, Self::Semver | Self::Numeric | Self::Calver)
    }
}

impl fmt::Display for Strategy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_and_unknown_names_are_read_with_a_notice() {
        let reason = |text| Strategy::parse_compatible(text).1.map(|n| n.reason);
        assert_eq!(
            Strategy::parse_compatible("LATEST").0,
            Strategy::NewestBuild
        );
        assert_eq!(reason("latest"), Some(Reason::DeprecatedSetting));
        assert_eq!(reason("name"), Some(Reason::DeprecatedSetting));
        assert_eq!(reason(" semver"), Some(Reason::SettingInvalid));
        assert_eq!(reason("Digest"), None);
        assert_eq!(Strategy::parse_compatible("calver").0, Strategy::Semver);
    }

    #[test]
    fn our_own_setting_is_strict() {
        for strategy in Strategy::ALL {
            assert_eq!(Strategy::parse_strict(strategy.name()), Ok(*strategy));
        }
        assert!(Strategy::parse_strict("latest").is_err());
        assert!(Strategy::parse_strict("Calver").is_err());
    }
}
