//! When to ask again, and how long a server wants to be left alone.
//!
//! RFC 9110, section 10.2.3 (`Retry-After`); draft-ietf-httpapi-ratelimit-headers (older fields, as
//! Docker Hub sends them: `ratelimit-remaining: 0;w=21600`); full jitter against herds.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use http::{HeaderMap, StatusCode};
use jiff::Timestamp;
use sealift_core::limits;

/// How often and how patiently an idempotent request is sent again.
#[derive(Debug, Clone)]
pub struct Retry {
    /// Tries together, in requests.
    pub tries: u32,
    /// First ceiling of the wait; it doubles with each try.
    pub wait_ms: u64,
    /// Longest pause that a request sits out.
    pub pause_wait_ms_max: u64,
}

impl Default for Retry {
    fn default() -> Self {
        Self {
            tries: limits::REQUEST_TRIES_MAX,
            wait_ms: limits::RETRY_WAIT_MS,
            pause_wait_ms_max: limits::PAUSE_WAIT_MS_MAX,
        }
    }
}

/// Whether the server may answer better a moment later.
pub(crate) fn is_transient(status: StatusCode) -> bool {
    matches!(status.as_u16(), 408 | 429 | 500 | 502 | 503 | 504)
}

/// The wait before try number `attempt + 1`, anywhere between nothing and the ceiling.
pub(crate) fn wait(retry: &Retry, attempt: u32, random: u64) -> Duration {
    let doublings = attempt.saturating_sub(1).min(16);
    let ceiling = (retry.wait_ms << doublings).min(limits::RETRY_WAIT_MS_MAX);
    Duration::from_millis(random % (ceiling + 1))
}

/// The pause that an answer asks for. At most [`limits::PAUSE_MS_MAX`].
pub(crate) fn pause(status: StatusCode, headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let asked = match status.as_u16() {
        429 | 503 => retry_after(headers, now),
        _ => None,
    };
    asked
        .or_else(|| exhausted(headers))
        .map(|pause| pause.min(Duration::from_millis(limits::PAUSE_MS_MAX)))
}

fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let text = headers.get("retry-after")?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse::<u64>() {
        return Some(Duration::from_secs(seconds));
    }
    let at = http_date(text)?;
    // The server's own clock, where it tells it: ours may differ.
    let server_now = headers
        .get("date")
        .and_then(|date| http_date(date.to_str().ok()?))
        .unwrap_or(now);
    Some(Duration::try_from(at.duration_since(server_now)).unwrap_or(Duration::ZERO))
}

fn http_date(text: &str) -> Option<Timestamp> {
    jiff::fmt::rfc2822::DateTimeParser::new()
        .parse_timestamp(text)
        .ok()
}

/// The pause after the last request of a budget: `remaining` is zero.
fn exhausted(headers: &HeaderMap) -> Option<Duration> {
    let field = |name: &str| headers.get(name)?.to_str().ok();
    let remaining = field("ratelimit-remaining").or_else(|| field("x-ratelimit-remaining"))?;
    if leading_number(remaining)? != 0 {
        return None;
    }
    let reset = field("ratelimit-reset").and_then(leading_number);
    // `X-RateLimit-Reset` is left alone: some send seconds, some a date since 1970.
    Some(reset.map_or(
        Duration::from_millis(limits::PAUSE_UNKNOWN_MS),
        Duration::from_secs,
    ))
}

fn leading_number(text: &str) -> Option<u64> {
    let end = text.find([';', ',']).unwrap_or(text.len());
    text.get(..end)?.trim().parse().ok()
}

/// A source of jitter: SplitMix64 from a seed, so that a run can be repeated.
#[derive(Debug)]
pub(crate) struct Jitter(AtomicU64);

impl Jitter {
    pub(crate) const fn new(seed: u64) -> Self {
        Self(AtomicU64::new(seed))
    }

    pub(crate) fn next(&self) -> u64 {
        const STEP: u64 = 0x9e37_79b9_7f4a_7c15;
        let mut z = self.0.fetch_add(STEP, Ordering::Relaxed).wrapping_add(STEP);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(status: u16, fields: &[(&'static str, &'static str)]) -> Option<u64> {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.insert(*name, value.parse().unwrap());
        }
        let now = "1994-11-06T08:49:00Z".parse().unwrap();
        pause(StatusCode::from_u16(status).unwrap(), &headers, now).map(|pause| pause.as_secs())
    }

    #[test]
    fn retry_after_is_read_as_seconds_and_as_a_date() {
        assert_eq!(asked(429, &[("retry-after", "7")]), Some(7));
        let date = ("retry-after", "Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(asked(503, &[date]), Some(37));
        let clock = ("date", "Sun, 06 Nov 1994 08:49:30 GMT");
        assert_eq!(asked(503, &[date, clock]), Some(7));
        let past = ("date", "Sun, 06 Nov 1994 09:00:00 GMT");
        assert_eq!(asked(503, &[date, past]), Some(0));
    }

    #[test]
    fn an_absurd_pause_is_bounded_and_nonsense_is_no_pause() {
        assert_eq!(asked(429, &[("retry-after", "99999999999")]), Some(3600));
        for text in ["-1", "soon", "", "1e9", "99999999999999999999999"] {
            assert_eq!(asked(429, &[("retry-after", text)]), None, "{text}");
        }
        assert_eq!(asked(200, &[("retry-after", "7")]), None);
    }

    #[test]
    fn a_spent_budget_is_a_pause_and_an_unspent_one_is_not() {
        let spent = ("ratelimit-remaining", "0;w=21600");
        assert_eq!(asked(200, &[spent]), Some(60));
        assert_eq!(asked(200, &[spent, ("ratelimit-reset", "12")]), Some(12));
        assert_eq!(asked(200, &[("ratelimit-remaining", "99;w=21600")]), None);
        assert_eq!(asked(200, &[("ratelimit-remaining", "x")]), None);
    }

    #[test]
    fn waits_stay_below_a_ceiling_that_doubles() {
        let retry = Retry::default();
        let jitter = Jitter::new(1);
        for attempt in 1..40 {
            let ceiling = (250_u64 << (attempt - 1).min(16)).min(limits::RETRY_WAIT_MS_MAX);
            let wait = wait(&retry, attempt, jitter.next());
            assert!(wait <= Duration::from_millis(ceiling));
        }
    }
}
