//! The ranking: every tag of a listing is a candidate with a place, or rejected with a reason.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;

use super::{Key, Selection};
use crate::catalog::{Complete, TagMetadata};
use crate::digest::Digest;
use crate::limits::TAGS_MAX;
use crate::platform;
use crate::reason::Reason;
use crate::registries_conf::TagSortMode;
use crate::strategy::Strategy;

/// What was read of each survivor, or why nothing was. A tag that is missing here was not read.
pub type Metadata = BTreeMap<Box<str>, Result<Arc<TagMetadata>, Reason>>;

/// A whole listing in the order of a selection. It holds nothing of any Application and can be shared.
#[derive(Debug, Clone)]
pub struct Ranking {
    pub(super) selection: Arc<Selection>,
    pub(super) tags: Complete,
    /// Positions of the candidates in the listing, best first.
    pub(super) order: Box<[u32]>,
    /// One a tag, in the order of the listing; `None` for candidates.
    pub(super) rejections: Box<[Option<Reason>]>,
    /// Positions of tags that might be the best one, had they been read. Nothing may be chosen then.
    pub(super) unread: Box<[u32]>,
    /// When the images were built, where that is the order. By position in the listing.
    pub(super) builds: BTreeMap<u32, Build>,
}

/// When an image was built.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Build {
    pub(super) created: Timestamp,
    pub(super) digest: Digest,
}

impl Selection {
    /// The tags that pass every filter by name, in the order of the listing: those whose metadata
    /// [`rank`] wants where [`Selection::needs_metadata`].
    #[must_use]
    pub fn survivors<'a>(&self, tags: &'a Complete) -> Vec<&'a str> {
        tags.tags()
            .iter()
            .map(AsRef::as_ref)
            .filter(|tag| self.key(tag).is_ok())
            .collect()
    }
}

/// Ranks a whole listing. `metadata` is looked at only where [`Selection::needs_metadata`].
///
/// Work is `n log n` in the tags, which are at most [`TAGS_MAX`]; tags beyond are no candidates and
/// make the ranking one that nothing may be chosen from. One byte a rejected tag is kept.
#[must_use]
pub fn rank(selection: &Arc<Selection>, tags: &Complete, metadata: &Metadata) -> Ranking {
    let mut ranking = Ranking {
        selection: Arc::clone(selection),
        tags: tags.clone(),
        order: Box::default(),
        rejections: vec![None; tags.tags().len()].into(),
        unread: Box::default(),
        builds: BTreeMap::new(),
    };
    if tags.tags().len() > TAGS_MAX {
        ranking.rejections.fill(Some(Reason::ListingIncomplete));
        ranking.unread = [0].into();
        return ranking;
    }
    let mut keyed: Vec<(Key<'_>, u32)> = Vec::new();
    for ((index, tag), rejection) in (0..).zip(tags.tags()).zip(&mut ranking.rejections) {
        match selection.key(tag) {
            Ok(key) => keyed.push((key, index)),
            Err(reason) => *rejection = Some(reason),
        }
    }
    if selection.needs_metadata() {
        ranking.order_by_build(&keyed, metadata);
    } else if selection.strategy == Strategy::NewestBuild {
        if selection.tag_sort_mode == TagSortMode::LatestLast {
            keyed.reverse();
        }
        ranking.order = keyed.into_iter().map(|(_, index)| index).collect();
    } else {
        // Ties go to the greater name, byte by byte.
        let name = |index: u32| tags.tags().get(index as usize);
        keyed.sort_unstable_by(|(left, at_left), (right, at_right)| {
            right
                .cmp(left)
                .then_with(|| name(*at_right).cmp(&name(*at_left)))
        });
        ranking.order = keyed.into_iter().map(|(_, index)| index).collect();
    }
    ranking
}

impl Ranking {
    /// The selection that ranked.
    #[must_use]
    pub fn selection(&self) -> &Arc<Selection> {
        &self.selection
    }

    /// The listing that was ranked.
    #[must_use]
    pub const fn listing(&self) -> &Complete {
        &self.tags
    }

    /// The candidates, best first.
    pub fn candidates(&self) -> impl ExactSizeIterator<Item = &str> {
        self.order.iter().map(|index| self.tag(*index))
    }

    /// The tags that are no candidates, in the order of the listing. [`Selection::detail`] says more.
    pub fn rejected(&self) -> impl Iterator<Item = (&str, Reason)> {
        let tags = self.tags.tags().iter();
        tags.zip(&self.rejections)
            .filter_map(|(tag, rejection)| Some((&**tag, (*rejection)?)))
    }

    /// The tags that could not be read and might have been the best. Where there are any, [`choose`]
    /// refuses.
    ///
    /// [`choose`]: super::choose
    pub fn unread(&self) -> impl ExactSizeIterator<Item = (&str, Reason)> {
        self.unread.iter().map(|index| {
            let reason = self.rejection(*index);
            (
                self.tag(*index),
                reason.unwrap_or(Reason::MetadataUnreadable),
            )
        })
    }

    pub(super) fn tag(&self, index: u32) -> &str {
        let tag = self.tags.tags().get(index as usize);
        tag.map_or("", AsRef::as_ref)
    }

    pub(super) fn rejection(&self, index: u32) -> Option<Reason> {
        self.rejections.get(index as usize).copied().flatten()
    }

    /// `newest-build`: by creation time of the newest wanted image, then by name.
    fn order_by_build(&mut self, keyed: &[(Key<'_>, u32)], metadata: &Metadata) {
        let mut unread = Vec::new();
        let mut dated: Vec<(Timestamp, u32)> = Vec::new();
        for (_, index) in keyed {
            let read = metadata
                .get(self.tag(*index))
                .map_or(Err(Reason::MetadataUnreadable), |read| {
                    read.as_deref().map_err(|reason| *reason)
                });
            let rejection = match read {
                Ok(tag) => match self.date(*index, tag) {
                    Ok(created) => {
                        dated.push((created, *index));
                        continue;
                    }
                    Err(reason) => reason,
                },
                Err(reason) => {
                    if !is_about_the_tag(reason) {
                        unread.push(*index);
                    }
                    reason
                }
            };
            if let Some(slot) = self.rejections.get_mut(*index as usize) {
                *slot = Some(rejection);
            }
        }
        dated.sort_unstable_by(|(left, at_left), (right, at_right)| {
            right
                .cmp(left)
                .then_with(|| self.tag(*at_right).cmp(self.tag(*at_left)))
        });
        self.order = dated.into_iter().map(|(_, index)| index).collect();
        self.unread = unread.into();
    }

    /// When the newest wanted image of a tag was built, or why the tag is no candidate.
    fn date(&mut self, index: u32, tag: &TagMetadata) -> Result<Timestamp, Reason> {
        let wanted = platform::newest_wanted(&self.selection.platforms, tag);
        let created = match wanted {
            Some((created, _)) => Some(created),
            None => tag.images.iter().filter_map(|image| image.created).max(),
        };
        if let Some(created) = created {
            let digest = tag.digest;
            self.builds.insert(index, Build { created, digest });
        }
        match wanted {
            Some((created, _)) => Ok(created),
            None if platform::wanted(&self.selection.platforms, tag) => {
                Err(Reason::MetadataUnreadable)
            }
            None => Err(Reason::PlatformMissing),
        }
    }
}

/// Whether reading the tag again would give the same answer: then the tag is rejected, and the others
/// may be chosen from.
const fn is_about_the_tag(reason: Reason) -> bool {
    matches!(
        reason,
        Reason::ArtifactTag
            | Reason::ManifestMissing
            | Reason::ManifestUnsupported
            | Reason::PlatformMissing
    )
}
