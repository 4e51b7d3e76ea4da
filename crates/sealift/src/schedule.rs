//! When what is looked at: everything by the interval, Applications by intervals of their own,
//! and whatever was edited.
//!
//! Intervals are counted from the start of a cycle. Time is an argument, and nothing here asks or
//! reads anything. Why it is so: `docs/adr/0006-a-heartbeat-and-intervals-of-applications.md`.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::time::Duration;

use sealift_core::limits::{CHANGE_GAP_MS, DUE_TOGETHER_MS, SPREAD_MS_A_REPOSITORY, SPREAD_MS_MAX};
use tokio::time::Instant;

/// When cycles begin, and on what.
pub struct Schedule {
    interval: Duration,
    /// When everything is looked at next.
    due: Instant,
    /// When that began last.
    began: Option<Instant>,
    /// Then no Application is left out: something that concerns all of them was edited, or it is not
    /// known what was to be looked at.
    everything: bool,
    /// Applications with an interval of their own.
    own: BTreeMap<String, Own>,
    /// The shortest interval of its own that an Application gets.
    least: Duration,
    /// Until then the intervals of Applications begin no cycle.
    rest: Instant,
}

/// An Application with an interval of its own.
#[derive(Debug, Clone, Copy)]
struct Own {
    interval: Duration,
    /// When the cycle began that looked at it last.
    looked: Instant,
    /// The next whole cycle looks at it, due or not.
    again: bool,
}

impl Own {
    fn due(&self) -> Instant {
        self.looked + self.interval
    }
}

/// What to do now.
#[derive(Debug, PartialEq, Eq)]
pub enum Next {
    /// A cycle on everything but these Applications, which are not due.
    Whole(BTreeSet<String>),
    /// A cycle on these Applications.
    Among(BTreeSet<String>),
    /// Nothing yet.
    Wait,
}

/// An Application with an interval of its own, as a cycle found it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Paced {
    /// The interval.
    pub interval: Duration,
    /// Whether the cycle looked at it.
    pub looked: bool,
    /// Whether what was found may pass: a failure, an answer that was not whole, a write whose end
    /// nobody saw. A long interval is no reason to wait with these.
    pub again: bool,
}

impl Schedule {
    /// Everything is due. `least`: the shortest interval of its own that an Application gets,
    /// whatever it asks for.
    #[must_use]
    pub fn new(interval: Duration, least: Duration) -> Self {
        let now = Instant::now();
        Self {
            interval,
            due: now,
            began: None,
            everything: true,
            own: BTreeMap::new(),
            least,
            rest: now,
        }
    }

    /// `edited`: the Applications that were edited; `None`: more than Applications.
    pub fn next(&mut self, edited: Option<BTreeSet<String>>, now: Instant) -> Next {
        let soon = now + Duration::from_millis(DUE_TOGETHER_MS);
        if edited.is_none() {
            let gap = Duration::from_millis(CHANGE_GAP_MS);
            let allowed = self.began.map_or(now, |began| began + gap);
            self.everything = true;
            self.due = self.due.min(allowed.max(now));
        }
        let edited = edited.unwrap_or_default();
        if now < self.due {
            // Who is written to whose files may be about to change, and a cycle on a few would miss
            // a contest. The one that comes leaves nobody out.
            if self.everything {
                return Next::Wait;
            }
            let mut among = edited;
            if !among.is_empty() || self.due() <= now {
                among.extend(self.own_ids(|own| own.due().max(self.rest) <= soon));
            }
            return match among.is_empty() {
                true => Next::Wait,
                false => Next::Among(among),
            };
        }
        let everything = std::mem::take(&mut self.everything);
        (self.due, self.began) = (now + self.interval, Some(now));
        let later = self.own_ids(|own| own.due() > soon && !own.again && !everything);
        Next::Whole(later.filter(|id| !edited.contains(id)).collect())
    }

    /// A cycle that began at `start` has ended at `end`, and found these Applications with intervals
    /// of their own. `among`: the Applications that it was on; `None`: all.
    pub fn ended(
        &mut self,
        (start, end): (Instant, Instant),
        among: Option<&BTreeSet<String>>,
        paced: &BTreeMap<String, Paced>,
    ) {
        if among.is_some() {
            // An interval is set by whoever may annotate an Application, and cycles come one after
            // another: one with a slow server gets at most half of the time.
            self.rest = end + end.saturating_duration_since(start);
        }
        match among {
            // Who is not among them has no such interval any more, or is gone.
            None => self.own.retain(|id, _| paced.contains_key(id)),
            Some(among) => self
                .own
                .retain(|id, _| paced.contains_key(id) || !among.contains(id)),
        }
        for (id, paced) in paced {
            let known = self.own.get(id).filter(|_| !paced.looked);
            let own = Own {
                interval: paced.interval.max(self.least),
                looked: known.map_or(start, |known| known.looked),
                again: paced.again || known.is_some_and(|known| known.again),
            };
            self.own.insert(id.clone(), own);
        }
    }

    /// Everything is due now: what happened meanwhile is not known.
    pub fn at_once(&mut self, now: Instant) {
        self.everything = true;
        self.due = now;
    }

    /// A cycle that began at `start` failed as a whole. What it was to look at is not known any
    /// more, so everything is, soon: an edit must not wait for the interval, or for the next edit.
    pub fn failed(&mut self, start: Instant) {
        self.everything = true;
        self.due = self.due.min(start + Duration::from_millis(CHANGE_GAP_MS));
    }

    /// When something is due next.
    #[must_use]
    pub fn due(&self) -> Instant {
        let own = self.own.values().filter(|_| !self.everything);
        let own = own.map(|own| own.due().max(self.rest));
        own.fold(self.due, Instant::min)
    }

    fn own_ids(&self, is: impl Fn(&Own) -> bool) -> impl Iterator<Item = String> {
        let own = self.own.iter().filter(move |(_, own)| is(own));
        own.map(|(id, _)| id.clone())
    }
}

/// How long the first question to a repository waits within a cycle, where its registry is asked
/// for `repositories` of them: the same time in each cycle of a process, so that the interval stays
/// what it is, and another one in another process. `seed` is random.
#[must_use]
pub fn spread(seed: u64, repository: &str, repositories: usize) -> Duration {
    let count = u64::try_from(repositories).unwrap_or(u64::MAX);
    let span_ms = SPREAD_MS_MAX.min(
        count
            .saturating_sub(1)
            .saturating_mul(SPREAD_MS_A_REPOSITORY),
    );
    let mut hasher = DefaultHasher::new();
    (seed, repository).hash(&mut hasher);
    Duration::from_millis(hasher.finish() % (span_ms + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    const INTERVAL: Duration = Duration::from_secs(120);

    fn set(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|&name| name.to_owned()).collect()
    }

    fn some(names: &[&str]) -> Option<BTreeSet<String>> {
        Some(set(names))
    }

    /// A schedule, and points in time after its start, in tenths of seconds.
    fn begun(interval: Duration) -> (Schedule, impl Fn(u64) -> Instant) {
        let mut schedule = Schedule::new(interval, Duration::ZERO);
        let start = Instant::now();
        let after = move |tenths| start + Duration::from_millis(tenths * 100);
        assert_eq!(schedule.next(some(&[]), after(0)), Next::Whole(set(&[])));
        (schedule, after)
    }

    fn paced(all: &[(&str, u64, bool)]) -> BTreeMap<String, Paced> {
        let one = |(id, secs, looked): &(&str, u64, bool)| {
            let interval = Duration::from_secs(*secs);
            let looked = *looked;
            let paced = Paced {
                interval,
                looked,
                again: false,
            };
            ((*id).to_owned(), paced)
        };
        all.iter().map(one).collect()
    }

    #[test]
    fn edits_of_applications_do_not_wait_and_do_not_put_off_the_whole() {
        let (mut schedule, after) = begun(INTERVAL);
        assert_eq!(schedule.next(some(&[]), after(20)), Next::Wait);
        for tenths in [30, 40, 1190] {
            let edited = schedule.next(some(&["argocd/shop"]), after(tenths));
            assert_eq!(edited, Next::Among(set(&["argocd/shop"])), "{tenths}");
        }
        let whole = schedule.next(some(&["argocd/shop"]), after(1200));
        assert_eq!(whole, Next::Whole(set(&[])));
    }

    #[test]
    fn an_edit_whose_cycle_failed_is_looked_at_again_soon() {
        let (mut schedule, after) = begun(Duration::from_secs(3_600));
        schedule.ended(
            (after(0), after(0)),
            None,
            &paced(&[("argocd/slow", 7_200, true)]),
        );
        let edited = schedule.next(some(&["argocd/shop"]), after(200));
        assert!(matches!(edited, Next::Among(_)));
        schedule.failed(after(200));
        assert_eq!(schedule.due(), after(300));
        assert_eq!(schedule.next(some(&[]), after(210)), Next::Wait);
        let whole = schedule.next(some(&[]), after(300));
        assert_eq!(whole, Next::Whole(set(&[])), "nothing is left out");
    }

    #[test]
    fn who_begins_to_lead_looks_at_everything_at_once() {
        let (mut schedule, after) = begun(INTERVAL);
        schedule.ended(
            (after(0), after(0)),
            None,
            &paced(&[("argocd/slow", 7_200, true)]),
        );
        schedule.at_once(after(20));
        assert_eq!(schedule.due(), after(20));
        let whole = schedule.next(some(&[]), after(20));
        assert_eq!(whole, Next::Whole(set(&[])), "nothing is left out");
    }

    #[test]
    fn what_concerns_everything_waits_for_its_turn_is_not_forgotten_and_leaves_nothing_out() {
        let (mut schedule, after) = begun(INTERVAL);
        schedule.ended(
            (after(0), after(0)),
            None,
            &paced(&[("argocd/slow", 7_200, true)]),
        );
        assert_eq!(schedule.next(None, after(20)), Next::Wait);
        assert_eq!(schedule.next(some(&[]), after(40)), Next::Wait);
        let whole = schedule.next(some(&[]), after(100));
        assert_eq!(whole, Next::Whole(set(&[])));
        let whole = schedule.next(None, after(600));
        assert_eq!(whole, Next::Whole(set(&[])));
        let whole = schedule.next(some(&[]), after(1800));
        assert_eq!(whole, Next::Whole(set(&["argocd/slow"])));
    }

    #[test]
    fn an_edit_while_everything_is_to_be_looked_at_waits_for_that() {
        let (mut schedule, after) = begun(INTERVAL);
        schedule.ended(
            (after(0), after(0)),
            None,
            &paced(&[("argocd/slow", 7_200, true)]),
        );
        assert_eq!(schedule.next(None, after(20)), Next::Wait);
        assert_eq!(schedule.next(some(&["b"]), after(30)), Next::Wait);
        let whole = schedule.next(some(&[]), after(100));
        assert_eq!(whole, Next::Whole(set(&[])), "nothing is left out");
        // Nor does one look at a few behind a whole cycle that knows nothing of anybody's files.
        schedule.failed(after(100));
        assert_eq!(schedule.next(some(&["b"]), after(110)), Next::Wait);
        let whole = schedule.next(some(&[]), after(200));
        assert_eq!(whole, Next::Whole(set(&[])), "nothing is left out");
    }

    #[test]
    fn a_shorter_interval_has_cycles_of_its_own_counted_from_their_starts() {
        let (mut schedule, after) = begun(INTERVAL);
        schedule.ended(
            (after(0), after(0)),
            None,
            &paced(&[("a/x", 30, true), ("a/y", 50, true)]),
        );
        assert_eq!(schedule.due(), after(300));
        assert_eq!(schedule.next(some(&[]), after(299)), Next::Wait);
        let among = schedule.next(some(&[]), after(305));
        assert_eq!(among, Next::Among(set(&["a/x"])));
        schedule.ended(
            (after(305), after(305)),
            Some(&set(&["a/x"])),
            &paced(&[("a/x", 30, true)]),
        );
        assert_eq!(schedule.due(), after(500));
        let among = schedule.next(some(&["a/z"]), after(500));
        assert_eq!(among, Next::Among(set(&["a/y", "a/z"])));
    }

    #[test]
    fn what_is_due_at_nearly_the_same_time_is_looked_at_together() {
        let (mut schedule, after) = begun(INTERVAL);
        let all = [("a/x", 30, true), ("a/y", 31, true), ("a/z", 32, true)];
        schedule.ended((after(0), after(0)), None, &paced(&all));
        let among = schedule.next(some(&[]), after(300));
        assert_eq!(among, Next::Among(set(&["a/x", "a/y"])));
    }

    #[test]
    fn a_longer_interval_is_left_out_of_whole_cycles_until_it_is_due() {
        let (mut schedule, after) = begun(INTERVAL);
        schedule.ended(
            (after(0), after(0)),
            None,
            &paced(&[("a/x", 240, true), ("a/y", 300, true)]),
        );
        let whole = schedule.next(some(&[]), after(1200));
        assert_eq!(whole, Next::Whole(set(&["a/x", "a/y"])));
        schedule.ended(
            (after(1200), after(1200)),
            None,
            &paced(&[("a/x", 240, false), ("a/y", 300, false)]),
        );
        let whole = schedule.next(some(&[]), after(2400));
        assert_eq!(whole, Next::Whole(set(&["a/y"])));
        schedule.ended(
            (after(2400), after(2400)),
            None,
            &paced(&[("a/x", 240, true), ("a/y", 300, false)]),
        );
        let among = schedule.next(some(&[]), after(3000));
        assert_eq!(
            among,
            Next::Among(set(&["a/y"])),
            "it does not wait for the next whole one"
        );
    }

    #[test]
    fn an_edit_takes_an_application_into_the_whole_cycle_that_would_leave_it_out() {
        let (mut schedule, after) = begun(INTERVAL);
        schedule.ended((after(0), after(0)), None, &paced(&[("a/x", 7_200, true)]));
        let whole = schedule.next(some(&["a/x"]), after(1200));
        assert_eq!(whole, Next::Whole(set(&[])));
    }

    #[test]
    fn what_failed_is_looked_at_by_the_next_whole_cycle_and_no_sooner() {
        let (mut schedule, after) = begun(INTERVAL);
        let mut all = paced(&[("a/x", 7_200, true), ("a/y", 7_200, true)]);
        all.get_mut("a/x").unwrap().again = true;
        schedule.ended((after(0), after(1)), None, &all);
        assert_eq!(schedule.due(), after(1200), "no loop");
        let whole = schedule.next(some(&[]), after(1200));
        assert_eq!(whole, Next::Whole(set(&["a/y"])));
        // A cycle that did not look at it knows nothing better.
        let not_looked = paced(&[("a/x", 7_200, false), ("a/y", 7_200, false)]);
        schedule.ended((after(1200), after(1201)), None, &not_looked);
        let whole = schedule.next(some(&[]), after(2400));
        assert_eq!(whole, Next::Whole(set(&["a/y"])));
        let looked = paced(&[("a/x", 7_200, true), ("a/y", 7_200, false)]);
        schedule.ended((after(2400), after(2401)), None, &looked);
        let whole = schedule.next(some(&[]), after(3600));
        assert_eq!(whole, Next::Whole(set(&["a/x", "a/y"])));
    }

    #[test]
    fn no_application_is_looked_at_more_often_than_the_operator_lets_it() {
        let mut schedule = Schedule::new(INTERVAL, Duration::from_secs(60));
        let start = Instant::now();
        let after = |secs| start + Duration::from_secs(secs);
        assert_eq!(schedule.next(some(&[]), after(0)), Next::Whole(set(&[])));
        let all = paced(&[("a/x", 10, true), ("a/y", 90, true)]);
        schedule.ended((after(0), after(0)), None, &all);
        assert_eq!(schedule.due(), after(60));
        assert_eq!(schedule.next(some(&[]), after(59)), Next::Wait);
        let among = schedule.next(some(&[]), after(60));
        assert_eq!(among, Next::Among(set(&["a/x"])));
    }

    #[test]
    fn intervals_of_applications_take_half_of_the_time_however_slow_their_servers_are() {
        let (mut schedule, after) = begun(Duration::from_secs(3_600));
        let all = paced(&[("a/hangs", 10, true), ("b/fast", 10, true)]);
        schedule.ended((after(0), after(1)), None, &all);
        assert_eq!(schedule.due(), after(100));
        let both = Next::Among(set(&["a/hangs", "b/fast"]));
        assert_eq!(schedule.next(some(&[]), after(100)), both);
        // Ninety seconds.
        let named = set(&["a/hangs", "b/fast"]);
        schedule.ended((after(100), after(1000)), Some(&named), &all);
        assert_eq!(schedule.due(), after(1900));
        assert_eq!(schedule.next(some(&[]), after(1899)), Next::Wait);
        assert_eq!(schedule.next(some(&[]), after(1900)), both);
        schedule.ended((after(1900), after(1901)), Some(&named), &all);
        assert_eq!(schedule.due(), after(2000), "once it is fast again");
        // An edit is no interval.
        schedule.ended((after(2000), after(2900)), Some(&named), &all);
        let edited = schedule.next(some(&["c/edited"]), after(2901));
        assert_eq!(edited, Next::Among(set(&["c/edited"])));
    }

    #[test]
    fn an_interval_that_is_gone_asks_for_nothing() {
        let (mut schedule, after) = begun(INTERVAL);
        schedule.ended(
            (after(0), after(0)),
            None,
            &paced(&[("a/x", 30, true), ("a/y", 30, true)]),
        );
        schedule.ended((after(50), after(50)), Some(&set(&["a/x"])), &paced(&[]));
        let among = schedule.next(some(&[]), after(300));
        assert_eq!(among, Next::Among(set(&["a/y"])));
        schedule.ended((after(300), after(300)), None, &paced(&[]));
        assert_eq!(schedule.due(), after(1200));
    }

    #[test]
    fn questions_to_one_registry_are_spread_the_same_way_in_each_cycle_and_not_over_long() {
        let names: Vec<String> = (0..500)
            .map(|number| format!("r.example/{number}"))
            .collect();
        let of = |seed: u64, count| -> Vec<Duration> {
            names.iter().map(|name| spread(seed, name, count)).collect()
        };
        let waits = of(1, 500);
        assert_eq!(waits, of(1, 500));
        assert_ne!(waits, of(2, 500));
        assert!(
            waits
                .iter()
                .all(|wait| *wait <= Duration::from_millis(SPREAD_MS_MAX))
        );
        // In no tenth of the time are there three times as many as there would be evenly.
        for tenth in 0..10 {
            let width = SPREAD_MS_MAX / 10;
            let within = |wait: &&Duration| wait.as_millis() / u128::from(width) == tenth;
            assert!(waits.iter().filter(within).count() < 150, "{tenth}");
        }
        assert!(
            of(1, 1).iter().all(Duration::is_zero),
            "one waits for nobody"
        );
    }
}
