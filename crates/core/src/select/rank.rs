//! The ranking: every tag of a listing is a candidate with a place, or rejected with a reason.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

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

/// A whole listing in the order of a selection. It holds nothing of any Application and can be
/// shared.
#[derive(Debug, Clone)]
pub struct Ranking {
    pub(super) selection: Arc<Selection>,
    pub(super) tags: Complete,
    /// Position of the best candidate in the listing.
    pub(super) best: Option<u32>,
    /// Positions of the candidates, best first. Sorted when somebody asks for more than the best.
    order: OnceLock<Box<[u32]>>,
    /// One a tag, in the order of the listing; `None` for candidates.
    pub(super) rejections: Box<[Option<Reason>]>,
    /// Positions of tags that might be the best one, had they been read. Nothing may be chosen
    /// then.
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
/// Work is linear in the tags, which are at most [`TAGS_MAX`]: more are no listing to choose from.
/// The order behind the best candidate is sorted only when it is asked for. One byte a tag is kept.
#[must_use]
pub fn rank(selection: &Arc<Selection>, tags: &Complete, metadata: &Metadata) -> Ranking {
    let mut ranking = Ranking {
        selection: Arc::clone(selection),
        tags: tags.clone(),
        best: None,
        order: OnceLock::new(),
        rejections: vec![None; tags.tags().len()].into(),
        unread: Box::default(),
        builds: BTreeMap::new(),
    };
    if tags.tags().len() > TAGS_MAX {
        ranking.rejections.fill(Some(Reason::ListingIncomplete));
        ranking.unread = [0].into();
        return ranking;
    }
    let mut best: Option<(Key<'_>, &str, u32)> = None;
    let latest_first = selection.tag_sort_mode == TagSortMode::LatestFirst;
    for ((index, tag), rejection) in (0..).zip(tags.tags()).zip(&mut ranking.rejections) {
        match selection.key(tag) {
            Ok(key) => {
                let better = best.is_none_or(|(best_key, best_tag, _)| match selection.strategy {
                    Strategy::NewestBuild => !latest_first,
                    _ => compare((&key, tag), (&best_key, best_tag)).is_gt(),
                });
                if better {
                    best = Some((key, tag, index));
                }
            }
            Err(reason) => *rejection = Some(reason),
        }
    }
    ranking.best = best.map(|(_, _, index)| index);
    if selection.needs_metadata() {
        ranking.read_builds(metadata);
    }
    ranking
}

/// By key; ties go to the greater name, byte by byte.
fn compare(left: (&Key<'_>, &str), right: (&Key<'_>, &str)) -> Ordering {
    left.0.cmp(right.0).then_with(|| left.1.cmp(right.1))
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
        self.order().iter().map(|index| self.tag(*index))
    }

    /// The tags that are no candidates, in the order of the listing. [`Selection::detail`] says
    /// more.
    pub fn rejected(&self) -> impl Iterator<Item = (&str, Reason)> {
        let tags = self.tags.tags().iter();
        tags.zip(&self.rejections)
            .filter_map(|(tag, rejection)| Some((&**tag, (*rejection)?)))
    }

    /// The tags that could not be read and might have been the best. Where there are any,
    /// [`choose`] refuses.
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

    /// Positions of the candidates, best first.
    pub(super) fn order(&self) -> &[u32] {
        self.order.get_or_init(|| self.sorted())
    }

    fn sorted(&self) -> Box<[u32]> {
        let mut order: Vec<u32> = self.candidates_as_listed().collect();
        if self.selection.needs_metadata() {
            order.sort_unstable_by(|left, right| self.compare_builds(*right, *left));
        } else if self.selection.strategy != Strategy::NewestBuild {
            let mut keyed: Vec<(Key<'_>, &str, u32)> = order
                .iter()
                .filter_map(|index| {
                    let tag = self.tag(*index);
                    Some((self.selection.key(tag).ok()?, tag, *index))
                })
                .collect();
            keyed.sort_unstable_by(|left, right| compare((&right.0, right.1), (&left.0, left.1)));
            order = keyed.into_iter().map(|(_, _, index)| index).collect();
        } else if self.selection.tag_sort_mode == TagSortMode::LatestLast {
            order.reverse();
        }
        order.into()
    }

    fn candidates_as_listed(&self) -> impl Iterator<Item = u32> {
        (0..)
            .zip(&self.rejections)
            .filter(|(_, rejection)| rejection.is_none())
            .map(|(index, _)| index)
    }

    /// By creation time of the newest wanted image, then by name.
    fn compare_builds(&self, left: u32, right: u32) -> Ordering {
        let created = |index: u32| self.builds.get(&index).map(|build| build.created);
        created(left)
            .cmp(&created(right))
            .then_with(|| self.tag(left).cmp(self.tag(right)))
    }

    /// `newest-build`: dates every survivor, and rejects those that have no date.
    fn read_builds(&mut self, metadata: &Metadata) {
        let survivors: Vec<u32> = self.candidates_as_listed().collect();
        let mut unread = Vec::new();
        for index in survivors {
            let read = metadata
                .get(self.tag(index))
                .map_or(Err(Reason::MetadataUnreadable), |read| {
                    read.as_deref().map_err(|reason| *reason)
                });
            let rejection = match read {
                Ok(tag) => self.date(index, tag).err(),
                Err(reason) => {
                    if !is_about_the_tag(reason) {
                        unread.push(index);
                    }
                    Some(reason)
                }
            };
            if let Some(slot) = self.rejections.get_mut(index as usize) {
                *slot = rejection;
            }
        }
        let newest = self
            .candidates_as_listed()
            .max_by(|left, right| self.compare_builds(*left, *right));
        self.best = newest;
        self.unread = unread.into();
    }

    /// Notes when the newest wanted image of a tag was built, or says why the tag is no candidate.
    fn date(&mut self, index: u32, tag: &TagMetadata) -> Result<(), Reason> {
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
            Some(_) => Ok(()),
            None if platform::wanted(&self.selection.platforms, tag) => {
                Err(Reason::MetadataUnreadable)
            }
            None => Err(Reason::PlatformMissing),
        }
    }
}

/// Whether reading the tag again would give the same answer: then the tag is rejected, and the
/// others may be chosen from.
const fn is_about_the_tag(reason: Reason) -> bool {
    matches!(
        reason,
        Reason::ArtifactTag
            | Reason::ManifestMissing
            | Reason::ManifestUnsupported
            | Reason::PlatformMissing
    )
}
