//! The choice: the best candidate against what Git wants.

use std::cmp::Ordering;

use super::{Key, Ranking, Selection};
use crate::catalog::Single;
use crate::limits::PLATFORM_CANDIDATES_MAX;
use crate::notice::Notice;
use crate::reason::Reason;
use crate::registries_conf::TagSortMode;

/// What Git wants now, as far as it could be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Current<'a> {
    /// The tag. `None` or empty: only the image is known, or nothing is.
    pub tag: Option<&'a str>,
    /// The digest as written.
    pub digest: Option<&'a str>,
}

/// What is to be done, and what is worth saying about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// The answer.
    pub choice: Choice,
    /// Remarks on it.
    pub notices: Vec<Notice>,
}

/// The answer for one image. Whatever is not [`Choice::Update`] writes nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Choice {
    /// Git should want this tag.
    Update {
        /// The winner.
        tag: Box<str>,
    },
    /// Git wants the winner, or a tag that is its equal.
    Keep {
        /// The tag that Git wants.
        tag: Box<str>,
    },
    /// There is no candidate ([`Reason::NoMatch`]), or none of the best ones serves a wanted
    /// platform ([`Reason::PlatformMissing`]), or the followed tag may not be used.
    Nothing {
        /// Why.
        reason: Reason,
        /// The same for people.
        detail: String,
    },
    /// There is a winner or may be one, and taking it would be wrong.
    Refused {
        /// Why.
        reason: Reason,
        /// The winner, where it is known.
        winner: Option<Box<str>>,
        /// The same for people.
        detail: String,
    },
}

/// The candidates of a ranking that are left, best first.
///
/// Whoever reads the winner's manifest rejects it here where it serves no wanted platform, and
/// chooses again. At most [`PLATFORM_CANDIDATES_MAX`] are rejected so.
#[derive(Debug, Clone)]
pub struct Candidates<'a> {
    ranking: &'a Ranking,
    /// Why each of the first candidates was rejected.
    rejected: Vec<Reason>,
}

impl<'a> Candidates<'a> {
    /// Every candidate of the ranking.
    #[must_use]
    pub const fn new(ranking: &'a Ranking) -> Self {
        let rejected = Vec::new();
        Self { ranking, rejected }
    }

    /// The ranking they come from.
    #[must_use]
    pub const fn ranking(&self) -> &'a Ranking {
        self.ranking
    }

    /// The best that is left. `None`: there is none, or enough have been rejected.
    #[must_use]
    pub fn best(&self) -> Option<&'a str> {
        self.best_index().map(|index| self.ranking.tag(index))
    }

    /// Rejects the best that is left; without one it does nothing.
    pub fn reject_best(&mut self, reason: Reason) {
        if self.best_index().is_some() {
            self.rejected.push(reason);
        }
    }

    /// Every tag of the listing with its reason: [`Reason::Newest`] for the best, and
    /// [`Reason::NotNewest`] for the candidates behind it, best first; then the rejected ones in
    /// the order of the listing.
    pub fn verdicts(&self) -> impl Iterator<Item = (&'a str, Reason)> {
        let ranking = self.ranking;
        let best = self.rejected.len();
        let rejected = self.rejected.clone();
        let places = ranking.candidates().enumerate().map(move |(place, tag)| {
            let reason = match rejected.get(place) {
                Some(reason) => *reason,
                None if place == best => Reason::Newest,
                None => Reason::NotNewest,
            };
            (tag, reason)
        });
        places.chain(ranking.rejected())
    }

    /// The candidates that were rejected here.
    fn walked_over(&self) -> &'a [u32] {
        match self.rejected.len() {
            0 => &[],
            rejected => self.ranking.order().get(..rejected).unwrap_or_default(),
        }
    }

    fn best_index(&self) -> Option<u32> {
        match self.rejected.len() {
            0 => self.ranking.best,
            rejected if rejected >= PLATFORM_CANDIDATES_MAX => None,
            rejected => self.ranking.order().get(rejected).copied(),
        }
    }
}

/// Chooses the best candidate, unless what Git wants is equal or must not be left.
///
/// - Nothing is chosen while a tag that might be the best could not be read: an outage must not
///   become   a rollback.
/// - A winner below what Git wants, by the strategy's own order, is refused
///   ([`Reason::Downgrade`]),   unless the settings of the Application exclude what Git wants (then
///   its user asked for it), or   `allow_downgrade` is set. A platform that went missing in the
///   registry is no wish of the user.
/// - What cannot be compared may be left, with a notice.
/// - A digest behind the same tag is a pin and no other tag.
#[must_use]
pub fn choose(candidates: &Candidates<'_>, current: Current<'_>) -> Decision {
    let ranking = candidates.ranking;
    if let Some((tag, reason)) = ranking.unread().next() {
        return refused(
            Reason::MetadataUnreadable,
            None,
            format!(
                "{} tags could not be read, the first is `{tag}` ({reason}); any of them may be \
                 the newest",
                ranking.unread.len()
            ),
        );
    }
    let Some(winner) = candidates.best_index() else {
        return nothing(candidates);
    };
    let mut notices = Vec::new();
    if let Some(detail) = tie(candidates, winner) {
        notices.push(Notice::new(Reason::BuildTimeTie, detail));
    }
    let tag = ranking.tag(winner);
    let Some(wanted) = current.tag.filter(|tag| !tag.is_empty()) else {
        let detail = format!("the tag that Git wants is not known; `{tag}` is the newest");
        notices.push(Notice::new(Reason::CurrentUnknown, detail));
        return update(tag, notices);
    };
    match standing(candidates, winner, wanted) {
        Standing::Same => keep(wanted, notices),
        Standing::Lower => update(tag, notices),
        Standing::Excluded(reason) => {
            let selection = &ranking.selection;
            let because = selection.detail(wanted, reason).unwrap_or_default();
            let detail = format!("the settings exclude `{wanted}` ({reason} {because})");
            notices.push(Notice::new(reason, detail.replace(" )", ")")));
            update(tag, notices)
        }
        Standing::Incomparable => {
            let detail = format!("`{wanted}` cannot be compared with `{tag}`");
            notices.push(Notice::new(Reason::OrderUnknown, detail));
            update(tag, notices)
        }
        Standing::Higher | Standing::Undatable if ranking.selection.allow_downgrade => {
            let detail = format!("`{tag}` is below `{wanted}`, and `allow-downgrade` is set");
            notices.push(Notice::new(Reason::Downgrade, detail));
            update(tag, notices)
        }
        Standing::Higher => refused(
            Reason::Downgrade,
            Some(tag),
            format!("`{tag}` is below `{wanted}`, which Git wants"),
        ),
        Standing::Undatable => refused(
            Reason::MetadataUnreadable,
            Some(tag),
            format!("`{wanted}`, which Git wants, has no creation time, so `{tag}` may be older"),
        ),
    }
}

/// Chooses for the digest strategy: the followed tag, if it names another digest than Git wants.
#[must_use]
pub fn choose_followed(selection: &Selection, single: &Single, current: Current<'_>) -> Decision {
    let tag = &*single.tag;
    if let Err(reason) = selection.key(tag) {
        let detail = format!("the tag `{tag}` may not be used");
        return Decision {
            choice: Choice::Nothing { reason, detail },
            notices: Vec::new(),
        };
    }
    let Some(digest) = single.digest else {
        let reason = Reason::NoMatch;
        let detail = format!("the tag `{tag}` does not exist");
        return Decision {
            choice: Choice::Nothing { reason, detail },
            notices: Vec::new(),
        };
    };
    if current.digest == Some(digest.to_string().as_str()) {
        return keep(current.tag.unwrap_or(tag), Vec::new());
    }
    update(tag, Vec::new())
}

/// How what Git wants compares with the winner.
enum Standing {
    /// The same tag, or a candidate that is the winner's equal.
    Same,
    /// Below the winner.
    Lower,
    /// Above the winner.
    Higher,
    /// The settings of the Application do not let it be chosen.
    Excluded(Reason),
    /// The order does not know it.
    Incomparable,
    /// The order should know it, but the image has no creation time.
    Undatable,
}

fn standing(candidates: &Candidates<'_>, winner: u32, wanted: &str) -> Standing {
    let ranking = candidates.ranking;
    let selection = &*ranking.selection;
    let tag = ranking.tag(winner);
    if wanted == tag {
        return Standing::Same;
    }
    let key = match selection.key(wanted) {
        Ok(key) => key,
        Err(Reason::Prerelease) if selection.constraint.is_none() => {
            // Nobody asked for releases: `*` is only what the absence of a constraint means.
            return match (version_of(selection, wanted), selection.key(tag)) {
                (Some(version), Ok(winner)) => by_order(Key::Version(version).cmp(&winner), false),
                _ => Standing::Incomparable,
            };
        }
        Err(Reason::NotAVersion | Reason::ArtifactTag) => return Standing::Incomparable,
        Err(reason) => return Standing::Excluded(reason),
    };
    let listed = ranking.tags.tags().iter().position(|t| **t == *wanted);
    let index = listed.and_then(|index| u32::try_from(index).ok());
    if selection.strategy.needs_metadata() {
        return index.map_or(Standing::Incomparable, |index| {
            standing_by_time(ranking, winner, index)
        });
    }
    let is_candidate = index.is_some_and(|index| {
        ranking.rejection(index).is_none() && !candidates.walked_over().contains(&index)
    });
    selection.key(tag).map_or(Standing::Incomparable, |winner| {
        by_order(key.cmp(&winner), is_candidate)
    })
}

/// `is_candidate`: an equal that may be chosen is kept, one that may not is left.
const fn by_order(wanted_to_winner: Ordering, is_candidate: bool) -> Standing {
    match wanted_to_winner {
        Ordering::Greater => Standing::Higher,
        Ordering::Equal if is_candidate => Standing::Same,
        Ordering::Equal | Ordering::Less => Standing::Lower,
    }
}

fn standing_by_time(ranking: &Ranking, winner: u32, wanted: u32) -> Standing {
    if !ranking.selection.needs_metadata() {
        // The listing is in order.
        let newer = match ranking.selection.tag_sort_mode {
            TagSortMode::LatestLast => wanted > winner,
            TagSortMode::LatestFirst | TagSortMode::Unsorted => wanted < winner,
        };
        return if newer {
            Standing::Higher
        } else {
            Standing::Lower
        };
    }
    match (ranking.builds.get(&winner), ranking.builds.get(&wanted)) {
        (Some(winner), Some(wanted)) if wanted.created > winner.created => Standing::Higher,
        (Some(winner), Some(wanted)) if wanted == winner => Standing::Same,
        (Some(_), Some(_)) => Standing::Lower,
        _ => Standing::Undatable,
    }
}

fn version_of<'a>(selection: &Selection, tag: &'a str) -> Option<crate::version::Version<'a>> {
    let text = match &selection.extract {
        Some(extract) => extract.version(tag)?,
        None => tag,
    };
    crate::version::Version::parse(text)
}

/// Whether the creation time alone did not decide, in words.
fn tie(candidates: &Candidates<'_>, winner: u32) -> Option<String> {
    let ranking = candidates.ranking;
    let created = ranking.builds.get(&winner)?.created;
    let equals = ranking
        .builds
        .iter()
        .filter(|(index, build)| {
            build.created == created
                && **index != winner
                && ranking.rejection(**index).is_none()
                && !candidates.walked_over().contains(index)
        })
        .count();
    (equals > 0).then(|| {
        format!(
            "{} tags were created at {created}; `{}` has the greatest name",
            equals + 1,
            ranking.tag(winner)
        )
    })
}

fn nothing(candidates: &Candidates<'_>) -> Decision {
    let looked_at = candidates.rejected.len();
    let (reason, detail) = if looked_at > 0 {
        let detail = format!("none of the {looked_at} best candidates serves a wanted platform");
        (Reason::PlatformMissing, detail)
    } else {
        let tags = candidates.ranking.tags.tags().len();
        let detail = format!("none of {tags} tags passed every filter");
        (Reason::NoMatch, detail)
    };
    Decision {
        choice: Choice::Nothing { reason, detail },
        notices: Vec::new(),
    }
}

fn update(tag: &str, notices: Vec<Notice>) -> Decision {
    let choice = Choice::Update { tag: tag.into() };
    Decision { choice, notices }
}

fn keep(tag: &str, notices: Vec<Notice>) -> Decision {
    let choice = Choice::Keep { tag: tag.into() };
    Decision { choice, notices }
}

fn refused(reason: Reason, winner: Option<&str>, detail: String) -> Decision {
    Decision {
        choice: Choice::Refused {
            reason,
            winner: winner.map(Box::from),
            detail,
        },
        notices: Vec::new(),
    }
}
