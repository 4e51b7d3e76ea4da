//! Platforms: `os/arch[/variant]`, and which of them an image must serve.
//!
//! Specification: OCI image-spec v1.1, "Image Index", property `platform`. Case counts.

use std::collections::BTreeSet;
use std::fmt;

use jiff::Timestamp;

use crate::catalog::{ImageMetadata, TagMetadata};
use crate::notice::Notice;
use crate::reason::Reason;

/// What an image runs on.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Platform {
    /// For example `linux`.
    pub os: String,
    /// For example `amd64`, in Go's words (`GOARCH`).
    pub architecture: String,
    /// For example `v8`.
    pub variant: Option<String>,
}

impl Platform {
    /// Reads `os[/arch[/variant]]`, at most three parts; what stands behind the second `/` is the
    /// variant. Blanks around the text do not count.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let mut parts = text.trim().splitn(3, '/');
        let mut part = || parts.next().unwrap_or_default().to_owned();
        Self {
            os: part(),
            architecture: part(),
            variant: parts.next().filter(|v| !v.is_empty()).map(str::to_owned),
        }
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)?;
        self.variant
            .as_ref()
            .map_or(Ok(()), |variant| write!(f, "/{variant}"))
    }
}

/// The platforms that an image must serve at least one of.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Wanted {
    /// Any image will do.
    Anything,
    /// The setting is absent: strategies that read metadata anyway look for the platform that this
    /// program runs on, the others look at nothing.
    Own(Platform),
    /// The setting names them. One that no image can have is kept, and satisfied by nothing.
    Listed(BTreeSet<Platform>),
}

impl Wanted {
    /// Reads the items of the `platforms` setting. Without items it is [`Wanted::Own`].
    ///
    /// An item of fewer than two parts is kept, wants what nothing satisfies, and gets a notice.
    pub fn parse<'a>(
        items: impl IntoIterator<Item = &'a str>,
        own: &Platform,
    ) -> (Self, Vec<Notice>) {
        let mut listed = BTreeSet::new();
        let mut notices = Vec::new();
        for item in items {
            if !item.contains('/') {
                notices.push(Notice::new(
                    Reason::SettingInvalid,
                    format!("`{item}` is not `os/arch[/variant]`; no image satisfies it"),
                ));
            }
            listed.insert(Platform::parse(item));
        }
        if listed.is_empty() {
            return (Self::Own(own.clone()), notices);
        }
        (Self::Listed(listed), notices)
    }

    /// Whether an image for `platform` is one of those wanted. A wanted platform without variant
    /// accepts every variant; one with a variant accepts no image without.
    #[must_use]
    pub fn accepts(&self, platform: &Platform) -> bool {
        let fits = |wanted: &Platform| {
            wanted.os == platform.os
                && wanted.architecture == platform.architecture
                && (wanted.variant.is_none() || wanted.variant == platform.variant)
        };
        match self {
            Self::Anything => true,
            Self::Own(own) => fits(own),
            Self::Listed(listed) => listed.iter().any(fits),
        }
    }

    /// The images of a tag that serve a wanted platform.
    pub fn images<'a>(&'a self, tag: &'a TagMetadata) -> impl Iterator<Item = &'a ImageMetadata> {
        tag.images
            .iter()
            .filter(|image| self.accepts(&image.platform))
    }
}

/// Whether a tag has an image for a wanted platform.
#[must_use]
pub fn wanted(wanted: &Wanted, tag: &TagMetadata) -> bool {
    wanted.images(tag).next().is_some()
}

/// The newest creation time among the images of a tag that are wanted, and that image. `None`:
/// there is none, or the newest cannot be told because one of them has no time.
#[must_use]
pub fn newest_wanted<'a>(
    wanted: &'a Wanted,
    tag: &'a TagMetadata,
) -> Option<(Timestamp, &'a ImageMetadata)> {
    let mut newest: Option<(Timestamp, &ImageMetadata)> = None;
    for image in wanted.images(tag) {
        let created = image.created?;
        if newest.is_none_or(|(time, _)| created > time) {
            newest = Some((created, image));
        }
    }
    newest
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accepts(wanted: &[&str], platform: &str) -> bool {
        let own = Platform::parse("linux/amd64");
        Wanted::parse(wanted.iter().copied(), &own)
            .0
            .accepts(&Platform::parse(platform))
    }

    #[test]
    fn a_wanted_variant_accepts_no_image_without_one_but_not_the_reverse() {
        assert!(accepts(&["linux/arm64"], "linux/arm64/v8"));
        assert!(!accepts(&["linux/arm64/v8"], "linux/arm64"));
        assert!(!accepts(&["linux/arm/v6"], "linux/arm/v7"));
    }

    #[test]
    fn without_the_setting_the_own_platform_is_wanted() {
        assert!(accepts(&[], "linux/amd64/v3"));
        assert!(!accepts(&[], "linux/arm64"));
    }

    #[test]
    fn an_item_without_architecture_is_satisfied_by_nothing_and_noticed() {
        let own = Platform::parse("linux/amd64");
        let (wanted, notices) = Wanted::parse(["invalid"], &own);
        assert!(!wanted.accepts(&own));
        assert_eq!(notices[0].reason, Reason::SettingInvalid);
    }
}
