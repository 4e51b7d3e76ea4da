//! The pace of one origin: a rate, a burst, pauses that the server asked for, and rest while it is
//! down.
//!
//! Pure: time is an argument. A virtual schedule (GCRA) instead of a counter: a request learns at
//! once when its turn is.

use std::num::NonZeroU32;
use std::time::Duration;

use sealift_core::limits;
use tokio::time::Instant;

/// When requests to one origin may leave.
#[derive(Debug, Default)]
pub(crate) struct Bucket {
    interval: Option<Duration>,
    burst: u32,
    next: Option<Instant>,
    paused_until: Option<Instant>,
    failures: u32,
    down_until: Option<Instant>,
}

impl Bucket {
    /// At most `per_second` requests a second, if that is less than before.
    pub(crate) fn limit(&mut self, per_second: NonZeroU32) {
        let interval = Duration::from_secs(1) / per_second.get();
        if self.interval.is_none_or(|present| present < interval) {
            self.interval = Some(interval);
            self.burst = per_second.get().min(limits::RATE_BURST_MAX);
        }
    }

    /// Whether a rate was set.
    pub(crate) fn is_limited(&self) -> bool {
        self.interval.is_some()
    }

    /// No requests before `until`, unless a longer pause holds already.
    pub(crate) fn pause(&mut self, until: Instant) {
        self.paused_until = self.paused_until.max(Some(until));
    }

    /// How long the pause still lasts.
    pub(crate) fn pause_left(&self, now: Instant) -> Duration {
        self.paused_until
            .map_or(Duration::ZERO, |until| until.saturating_duration_since(now))
    }

    /// Notes whether a request, after all tries, had an answer. After
    /// [`limits::ORIGIN_FAILURES_MAX`] without one in a row the origin counts as down for
    /// [`limits::ORIGIN_DOWN_MS`], and then again after one more.
    pub(crate) fn note(&mut self, answered: bool, now: Instant) {
        if answered {
            (self.failures, self.down_until) = (0, None);
            return;
        }
        self.failures = self.failures.saturating_add(1);
        if self.failures >= limits::ORIGIN_FAILURES_MAX {
            self.down_until = Some(now + Duration::from_millis(limits::ORIGIN_DOWN_MS));
        }
    }

    /// Whether the origin counts as down.
    pub(crate) fn is_down(&self, now: Instant) -> bool {
        self.down_until.is_some_and(|until| now < until)
    }

    /// Takes the next place in the schedule. A caller that gives up leaves its place empty, which
    /// only makes the pace slower.
    pub(crate) fn reserve(&mut self, now: Instant) -> Instant {
        let Some(interval) = self.interval else {
            return now;
        };
        let slack = interval * self.burst.saturating_sub(1);
        let earliest = now.checked_sub(slack).unwrap_or(now);
        let place = self.next.map_or(earliest, |next| next.max(earliest));
        self.next = Some(place + interval);
        place.max(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_the_burst_requests_leave_at_the_rate() {
        let mut bucket = Bucket::default();
        bucket.limit(NonZeroU32::new(20).unwrap());
        let now = Instant::now() + Duration::from_secs(60);
        let waits: Vec<u128> = (0..30)
            .map(|_| (bucket.reserve(now) - now).as_millis())
            .collect();
        assert_eq!(waits[..10], [0; 10]);
        assert_eq!(waits[10..], (1..=20).map(|n| n * 50).collect::<Vec<_>>());
    }

    #[test]
    fn the_lower_of_two_limits_holds() {
        let mut bucket = Bucket::default();
        bucket.limit(NonZeroU32::new(1).unwrap());
        bucket.limit(NonZeroU32::new(100).unwrap());
        let now = Instant::now() + Duration::from_secs(60);
        assert_eq!(bucket.reserve(now), now);
        assert_eq!(bucket.reserve(now), now + Duration::from_secs(1));
    }

    #[test]
    fn an_origin_is_down_after_failures_in_a_row_until_it_answers() {
        let mut bucket = Bucket::default();
        let now = Instant::now();
        for answered in [false, false, false, true, false, false, false] {
            bucket.note(answered, now);
            assert!(!bucket.is_down(now));
        }
        bucket.note(false, now);
        assert!(bucket.is_down(now));
        let later = now + Duration::from_millis(limits::ORIGIN_DOWN_MS);
        assert!(!bucket.is_down(later));
        bucket.note(false, later);
        assert!(bucket.is_down(later));
        bucket.note(true, later);
        assert!(!bucket.is_down(later));
    }

    #[test]
    fn without_a_limit_nothing_waits_and_the_longer_pause_holds() {
        let mut bucket = Bucket::default();
        let now = Instant::now();
        assert_eq!(bucket.reserve(now), now);
        bucket.pause(now + Duration::from_secs(9));
        bucket.pause(now + Duration::from_secs(3));
        assert_eq!(bucket.pause_left(now), Duration::from_secs(9));
    }
}
