//! Pushes whose end nobody saw: what they hold up, and how many of them may stay.
//!
//! A push that is looked for in vain holds up its own place: nothing more goes there until it is
//! known, or given up. It must not hold up others, and a place whose server cuts every push must
//! not fill the room that all share. A push that may still be under way holds up nothing: the
//! branch stands where it expects it, and compare-and-swap lets one of the two land.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use sealift_core::event::IntentId;
use sealift_core::limits::{
    INTENTS_A_REPOSITORY_MAX, INTENTS_UNSETTLED_BYTES_MAX, INTENTS_UNSETTLED_MAX,
};
use sealift_core::reason::Reason;
use sealift_core::secret::masked_url;
use sealift_git::GitUrl;

use super::Problem;
use crate::journal::OpenIntent;

/// What a cycle knows of an open intent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Look {
    /// It was not looked at yet.
    NotYet,
    /// Its push may still be under way, and can only land where nothing else did.
    UnderWay,
    /// It was looked for in vain.
    Unanswered,
}

/// The open intents of a cycle.
pub(super) struct Unsettled(Mutex<Vec<(OpenIntent, Look)>>);

impl Unsettled {
    pub(super) fn new(open: Vec<OpenIntent>) -> Self {
        let open = open.into_iter().map(|open| (open, Look::NotYet));
        Self(Mutex::new(open.collect()))
    }

    /// All of them, to be looked at.
    pub(super) fn take(&self) -> Vec<OpenIntent> {
        let open = std::mem::take(&mut *self.all());
        open.into_iter().map(|(open, _)| open).collect()
    }

    /// Leaves one for the next cycle, or the next start.
    pub(super) fn leave(&self, open: OpenIntent, look: Look) {
        self.all().push((open, look));
    }

    /// The Applications of which it is not known what became of a push.
    pub(super) fn applications(&self) -> BTreeSet<String> {
        let all = self.all();
        let of_all = all.iter().flat_map(|(open, _)| &open.intent.applications);
        of_all.cloned().collect()
    }

    pub(super) fn into_open(self) -> Vec<OpenIntent> {
        let open = self.0.into_inner();
        let open = open.unwrap_or_else(PoisonError::into_inner);
        open.into_iter().map(|(open, _)| open).collect()
    }

    /// Whether something may be sent to a place, as far as earlier pushes go.
    pub(super) fn may_send(&self, repository: &str, branch: &str) -> Result<(), Problem> {
        let all = self.all();
        let here = all.iter().filter(|(open, look)| {
            *look != Look::UnderWay
                && is_same_repository(repository, open.intent.repository.as_str())
        });
        let here: Vec<_> = here.collect();
        let same = here
            .iter()
            .find(|(open, look)| *look == Look::Unanswered && open.intent.branch == branch);
        let problem = |detail| Problem {
            reason: Reason::IntentOpen,
            detail,
        };
        if let Some((open, _)) = same {
            return Err(problem(format!("intent `{}`", open.intent.intent)));
        }
        if here.len() >= INTENTS_A_REPOSITORY_MAX {
            let count = here.len();
            return Err(problem(format!("{count} intents of this repository")));
        }
        Ok(())
    }

    fn all(&self) -> MutexGuard<'_, Vec<(OpenIntent, Look)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether a URL of an Application, in any spelling, is the one of an intent, which is masked.
pub(super) fn is_same_repository(url: &str, masked: &str) -> bool {
    let canonical = |text: &str| GitUrl::parse(text).map(|url| url.canonical());
    masked_url(url) == masked
        || matches!((canonical(url), canonical(masked)), (Ok(one), Ok(other)) if one == other)
}

/// The intents for which there is no room beside pushes to come: of each repository the newest stay
/// first, so that one with many does not cost another its only one.
pub(super) fn surplus<'a>(open: impl Iterator<Item = &'a OpenIntent>) -> BTreeSet<IntentId> {
    let mut places: BTreeMap<&str, Vec<&OpenIntent>> = BTreeMap::new();
    for open in open {
        let place = open.intent.repository.as_str();
        places.entry(place).or_default().push(open);
    }
    let mut ranked = Vec::new();
    for mut open in places.into_values() {
        open.sort_by_key(|open| std::cmp::Reverse(open.time));
        ranked.extend(open.into_iter().enumerate());
    }
    ranked.sort_by_key(|(rank, open)| (*rank, open.intent.intent));
    let (mut count, mut bytes) = (0, 0);
    let goes = ranked.into_iter().filter(|(_, open)| {
        let size = serde_json::to_string(&open.intent).map_or(usize::MAX, |text| text.len());
        let size = size.min(sealift_core::limits::INTENT_KEPT_BYTES_MAX);
        let stays = count < INTENTS_UNSETTLED_MAX && bytes + size <= INTENTS_UNSETTLED_BYTES_MAX;
        if stays {
            count += 1;
            bytes += size;
        }
        !stays
    });
    goes.map(|(_, open)| open.intent.intent).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::Timestamp;
    use sealift_core::event::{Intent, MaskedUrl, OpenIntentPlace};

    fn open(id: u64, repository: &str, branch: &str, bytes: usize) -> OpenIntent {
        let intent = IntentId::from_random(id);
        OpenIntent {
            intent: Intent {
                intent,
                repository: MaskedUrl::new(repository),
                branch: branch.to_owned(),
                expected: None,
                commits: vec!["c".repeat(bytes)],
                writes: Vec::new(),
                applications: Vec::new(),
            },
            time: Timestamp::from_second(i64::try_from(id).unwrap()).unwrap(),
            place: OpenIntentPlace {
                intent,
                sequence: 0,
                segment: 0,
            },
            elsewhere: false,
        }
    }

    #[test]
    fn an_intent_finds_its_repository_in_every_spelling() {
        for (url, masked) in [
            (
                "https://GitHub.example/Acme/app.git",
                "https://github.example/Acme/app.git",
            ),
            ("https://u:secret@h.example/app", "https://h.example/app"),
            ("https://h.example:443/app/", "https://h.example/app.git"),
            ("git@h.example:acme/app", "ssh://git@h.example/acme/app"),
        ] {
            let parsed = GitUrl::parse(masked).unwrap().to_string();
            assert!(is_same_repository(url, &parsed), "{url} {parsed}");
        }
        assert!(!is_same_repository(
            "https://h.example/acme/app",
            "https://h.example/Acme/app"
        ));
        assert!(!is_same_repository(
            "https://h.example:8443/app",
            "https://h.example/app"
        ));
    }

    #[test]
    fn only_what_was_looked_for_in_vain_holds_up_its_branch() {
        let all = Unsettled::new(vec![open(1, "https://h.example/a", "main", 1)]);
        all.may_send("https://h.example/a", "main").unwrap();
        let one = all.take().pop().unwrap();
        all.leave(one.clone(), Look::UnderWay);
        all.may_send("https://h.example/a", "main").unwrap();
        all.leave(one, Look::Unanswered);
        let refused = all.may_send("https://h.example/a.git", "main").unwrap_err();
        assert_eq!(refused.reason, Reason::IntentOpen);
        all.may_send("https://h.example/a", "other").unwrap();
        all.may_send("https://h.example/b", "main").unwrap();
    }

    #[test]
    fn a_repository_with_many_open_intents_gets_no_more() {
        let all = Unsettled::new(Vec::new());
        for id in 0..INTENTS_A_REPOSITORY_MAX as u64 {
            let branch = format!("b-{id}");
            all.may_send("https://h.example/a", &branch).unwrap();
            let open = open(id, "https://h.example/a", &branch, 1);
            all.leave(open, Look::Unanswered);
        }
        all.may_send("https://h.example/a", "new").unwrap_err();
        all.may_send("https://h.example/b", "new").unwrap();
    }

    #[test]
    fn there_is_always_room_and_one_with_many_does_not_cost_another_its_only_one() {
        let many = (1..=200).map(|id| open(id, "https://evil.example/a", "b", 1));
        let honest = open(0, "https://h.example/a", "main", 1);
        let mut all: Vec<OpenIntent> = many.collect();
        all.push(honest.clone());
        let goes = surplus(all.iter());
        assert_eq!(all.len() - goes.len(), INTENTS_UNSETTLED_MAX);
        assert!(!goes.contains(&honest.intent.intent));
        assert!(goes.contains(&IntentId::from_random(1)), "the oldest");
        assert!(!goes.contains(&IntentId::from_random(200)), "the newest");
        let large: Vec<_> = (0..50)
            .map(|id| open(id, "https://evil.example/a", "b", 7_000))
            .collect();
        let stays = large.len() - surplus(large.iter()).len();
        assert!(stays * 7_000 <= INTENTS_UNSETTLED_BYTES_MAX, "{stays}");
        assert!(surplus(large[..5].iter()).is_empty());
    }
}
