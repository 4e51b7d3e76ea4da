//! Whether a kept trust root may be used: a pure decision about two times and a failure.
//!
//! | the copy is | the repository | used |
//! |---|---|---|
//! | refreshed within a day, not expired | is not asked | yes |
//! | not expired | cannot be reached, or serves what is refused | yes, and said |
//! | expired | cannot be reached | within the grace, then if the operator named the root |
//! | expired | serves expired metadata | if the operator named the root |
//! | expired | serves what is refused | no |

use jiff::{SignedDuration, Timestamp};
use sealift_core::limits::{TRUST_ROOT_FRESH_SECS, TRUST_ROOT_GRACE_SECS};

/// The times that count of a verified copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Facts {
    /// When the repository last proved that this is its newest.
    pub refreshed: Timestamp,
    /// The earliest expiry of all roles. It is the last moment at which the copy holds.
    pub expires: Timestamp,
}

/// How a refresh failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// The repository could not be reached, or said that it cannot serve now.
    Outage,
    /// What it serves has expired: nobody signs it any more, or somebody holds newer metadata back.
    Expired,
    /// What it serves does not verify, is older than before, or is missing.
    Refused,
}

/// Why a trust root may be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// The kept copy was refreshed a short time ago.
    Fresh,
    /// It was refreshed just now.
    Refreshed,
    /// The refresh failed; the copy has not expired.
    Stale,
    /// The copy has expired, the repository cannot be reached, and the grace has not ended.
    Grace {
        /// The last moment of the grace.
        until: Timestamp,
    },
    /// The copy has expired, and the operator named the root.
    Unsafe,
}

impl Facts {
    /// Whether the copy is used without asking. A refresh that lies in the future was never seen:
    /// the clock was set back.
    #[must_use]
    pub fn is_fresh(&self, now: Timestamp) -> bool {
        let age = now.duration_since(self.refreshed);
        let fresh = SignedDuration::from_secs(TRUST_ROOT_FRESH_SECS);
        !self.is_expired(now) && !age.is_negative() && age < fresh
    }

    /// Whether the copy has ended.
    #[must_use]
    pub fn is_expired(&self, now: Timestamp) -> bool {
        now > self.expires
    }

    /// The last moment at which an outage is borne.
    #[must_use]
    pub fn grace_ends(&self) -> Timestamp {
        let grace = SignedDuration::from_secs(TRUST_ROOT_GRACE_SECS);
        self.expires.checked_add(grace).unwrap_or(Timestamp::MAX)
    }
}

/// Whether the copy may be used although the refresh failed.
#[must_use]
pub fn fall_back(
    copy: &Facts,
    failure: Failure,
    unsafe_expired: bool,
    now: Timestamp,
) -> Option<Standing> {
    if !copy.is_expired(now) {
        return Some(Standing::Stale);
    }
    let until = copy.grace_ends();
    match failure {
        Failure::Outage if now <= until => Some(Standing::Grace { until }),
        Failure::Outage | Failure::Expired => unsafe_expired.then_some(Standing::Unsafe),
        Failure::Refused => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn copy() -> Facts {
        Facts {
            refreshed: at("2026-11-01T00:00:00Z"),
            expires: at("2026-11-05T00:00:00Z"),
        }
    }

    #[test]
    fn a_copy_is_fresh_for_a_day_and_never_past_its_expiry_or_before_its_refresh() {
        let copy = copy();
        assert!(copy.is_fresh(at("2026-11-01T00:00:00Z")));
        assert!(copy.is_fresh(at("2026-11-01T23:59:59Z")));
        assert!(!copy.is_fresh(at("2026-11-02T00:00:00Z")));
        assert!(!copy.is_fresh(at("2026-10-31T23:59:59Z")));
        let short = Facts {
            expires: at("2026-11-01T06:00:00Z"),
            ..copy
        };
        assert!(short.is_fresh(at("2026-11-01T06:00:00Z")));
        assert!(!short.is_fresh(at("2026-11-01T06:00:01Z")));
    }

    #[test]
    fn a_copy_that_has_not_expired_outlives_every_failure() {
        let now = at("2026-11-05T00:00:00Z");
        for failure in [Failure::Outage, Failure::Expired, Failure::Refused] {
            for named in [false, true] {
                assert_eq!(
                    fall_back(&copy(), failure, named, now),
                    Some(Standing::Stale)
                );
            }
        }
    }

    #[test]
    fn an_expired_copy_has_a_bounded_grace_and_only_in_an_outage() {
        let until = at("2026-11-08T00:00:00Z");
        for now in [at("2026-11-05T00:00:01Z"), until] {
            let outage = fall_back(&copy(), Failure::Outage, false, now);
            assert_eq!(outage, Some(Standing::Grace { until }));
            assert_eq!(fall_back(&copy(), Failure::Expired, false, now), None);
            assert_eq!(fall_back(&copy(), Failure::Refused, false, now), None);
        }
        let after = at("2026-11-08T00:00:01Z");
        assert_eq!(fall_back(&copy(), Failure::Outage, false, after), None);
    }

    #[test]
    fn the_operators_word_outlives_the_grace_and_no_lie() {
        let after = at("2027-11-08T00:00:01Z");
        for failure in [Failure::Outage, Failure::Expired] {
            let named = fall_back(&copy(), failure, true, after);
            assert_eq!(named, Some(Standing::Unsafe));
        }
        assert_eq!(fall_back(&copy(), Failure::Refused, true, after), None);
    }
}
