//! Whether somebody may read metrics: asked of the API server, and remembered for a bounded time.
//!
//! Two questions: whose token it is (`TokenReview`), and whether they may `get` the path
//! (`SubjectAccessReview`). Without a clear yes to both nothing is shown. The token stands in what
//! is sent to the API server and nowhere else; it is remembered by its hash.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::http::{Request, StatusCode, header};
use kube::Client;
use kube::client::Body;
use sealift_core::limits::{
    METRICS_ALLOWED_SECS, METRICS_DENIED_SECS, METRICS_REVIEW_BYTES_MAX, METRICS_REVIEW_MS_MAX,
    METRICS_REVIEWS_AT_ONCE_MAX, METRICS_REVIEWS_MAX,
};
use sealift_core::reason::Reason;
use sealift_core::secret::Secret;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tokio::sync::Semaphore;
use tokio::time::Instant;

use crate::metrics::Metrics;

const TOKEN_REVIEWS: &str = "/apis/authentication.k8s.io/v1/tokenreviews";
const ACCESS_REVIEWS: &str = "/apis/authorization.k8s.io/v1/subjectaccessreviews";

/// What the API server says of a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Finding {
    /// Its holder may read metrics.
    Allowed,
    /// It is nobody's.
    Unknown,
    /// Its holder may not.
    Forbidden,
}

/// It says nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Failure {
    /// It did not answer, or not in time.
    Unreachable,
    /// It refused to be asked, or answered what cannot be read.
    Refused,
}

/// Asks, and remembers the answers.
pub(super) struct Reviews {
    api: Client,
    known: Mutex<Known>,
    places: Semaphore,
    failing: AtomicBool,
    metrics: Arc<Metrics>,
}

impl Reviews {
    pub(super) fn new(api: Client, metrics: Arc<Metrics>) -> Self {
        Self {
            api,
            known: Mutex::default(),
            places: Semaphore::new(METRICS_REVIEWS_AT_ONCE_MAX),
            failing: AtomicBool::new(false),
            metrics,
        }
    }

    /// Whether the holder of `token` may read metrics.
    pub(super) async fn of(&self, token: &Secret<String>) -> Result<Finding, Failure> {
        let key: [u8; 32] = Sha256::digest(token.expose()).into();
        if let Some(finding) = self.known().get(&key, Instant::now()) {
            return Ok(finding);
        }
        let deadline = Duration::from_millis(METRICS_REVIEW_MS_MAX);
        let asked = tokio::time::timeout(deadline, async {
            let _place = self.places.acquire().await;
            // Somebody may have asked the same while we waited.
            let known = self.known().get(&key, Instant::now());
            match known {
                Some(finding) => Ok(finding),
                None => self.ask(token).await,
            }
        });
        let found = asked
            .await
            .unwrap_or(Err((Failure::Unreachable, "no answer in time".to_owned())));
        match found {
            Ok(finding) => {
                self.known().put(key, finding, Instant::now());
                if self.failing.swap(false, Ordering::AcqRel) {
                    tracing::info!("the API server says again who may read metrics");
                }
                Ok(finding)
            }
            Err((failure, why)) => {
                self.failed(&why);
                Err(failure)
            }
        }
    }

    fn known(&self) -> std::sync::MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says it once, until it works again.
    fn failed(&self, why: &str) {
        self.metrics.notice(Reason::MetricsReviewFailed);
        if !self.failing.swap(true, Ordering::AcqRel) {
            tracing::warn!(
                reason = Reason::MetricsReviewFailed.id(),
                "metrics were asked for and not shown: {why}"
            );
        }
    }

    async fn ask(&self, token: &Secret<String>) -> Result<Finding, (Failure, String)> {
        let question = json!({ "apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview",
                               "spec": { "token": token.expose() } });
        let answer = self.create(TOKEN_REVIEWS, &question).await?;
        let status = &answer["status"];
        if status["authenticated"] != true {
            return Ok(Finding::Unknown);
        }
        let question = json!({ "apiVersion": "authorization.k8s.io/v1",
                               "kind": "SubjectAccessReview",
                               "spec": access(&status["user"]) });
        let answer = self.create(ACCESS_REVIEWS, &question).await?;
        let status = &answer["status"];
        match status["allowed"] == true && status["denied"] != true {
            true => Ok(Finding::Allowed),
            false => Ok(Finding::Forbidden),
        }
    }

    /// Not by the client's typed requests: those log an answer that they cannot read, and the token
    /// stands in it.
    async fn create(&self, path: &str, question: &Value) -> Result<Value, (Failure, String)> {
        let request = Request::post(path)
            .header(header::CONTENT_TYPE, "application/json")
            .body(Body::from(question.to_string().into_bytes()))
            .map_err(|error| (Failure::Refused, error.to_string()))?;
        let answer = self.api.send(request).await;
        let answer = answer.map_err(|error| (Failure::Unreachable, format!("{path}: {error}")))?;
        let status = answer.status();
        if !status.is_success() {
            let failure = match status {
                StatusCode::TOO_MANY_REQUESTS => Failure::Unreachable,
                _ if status.is_server_error() => Failure::Unreachable,
                _ => Failure::Refused,
            };
            return Err((failure, format!("{path}: the API server answered {status}")));
        }
        let body = axum::body::Body::new(answer.into_body());
        let bytes = axum::body::to_bytes(body, METRICS_REVIEW_BYTES_MAX).await;
        let unread = || {
            (
                Failure::Refused,
                format!("{path}: an answer that cannot be read"),
            )
        };
        serde_json::from_slice(&bytes.map_err(|_| unread())?).map_err(|_| unread())
    }
}

/// What is asked of a user, with everything that the API server said of them.
fn access(user: &Value) -> Value {
    let mut spec = json!({ "nonResourceAttributes": { "path": "/metrics", "verb": "get" } });
    for (theirs, ours) in [
        ("username", "user"),
        ("uid", "uid"),
        ("groups", "groups"),
        ("extra", "extra"),
    ] {
        if !user[theirs].is_null() {
            spec[ours] = user[theirs].clone();
        }
    }
    spec
}

/// Findings by the hash of their token, until they end.
#[derive(Default)]
struct Known(BTreeMap<[u8; 32], (Finding, Instant)>);

impl Known {
    fn get(&self, key: &[u8; 32], now: Instant) -> Option<Finding> {
        let (finding, until) = self.0.get(key)?;
        (now < *until).then_some(*finding)
    }

    fn put(&mut self, key: [u8; 32], finding: Finding, now: Instant) {
        self.0.retain(|_, (_, until)| now < *until);
        if self.0.len() >= METRICS_REVIEWS_MAX {
            // Strangers' tokens end soonest.
            let soonest = self.0.iter().min_by_key(|(_, (_, until))| *until);
            if let Some(key) = soonest.map(|(key, _)| *key) {
                self.0.remove(&key);
            }
        }
        let secs = match finding {
            Finding::Allowed => METRICS_ALLOWED_SECS,
            Finding::Unknown | Finding::Forbidden => METRICS_DENIED_SECS,
        };
        self.0
            .insert(key, (finding, now + Duration::from_secs(secs)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_counts_for_its_time_and_a_no_for_less() {
        let (mut known, start) = (Known::default(), Instant::now());
        let after = |secs| start + Duration::from_secs(secs);
        known.put([1; 32], Finding::Allowed, start);
        known.put([2; 32], Finding::Forbidden, start);
        assert_eq!(known.get(&[2; 32], after(9)), Some(Finding::Forbidden));
        assert_eq!(known.get(&[2; 32], after(METRICS_DENIED_SECS)), None);
        assert_eq!(known.get(&[1; 32], after(59)), Some(Finding::Allowed));
        assert_eq!(known.get(&[1; 32], after(METRICS_ALLOWED_SECS)), None);
        assert_eq!(known.get(&[3; 32], start), None);
    }

    #[test]
    fn guesses_fill_no_memory_and_push_out_no_token_that_is_allowed() {
        let (mut known, now) = (Known::default(), Instant::now());
        known.put([255; 32], Finding::Allowed, now);
        for number in 0..2 * METRICS_REVIEWS_MAX {
            let key: [u8; 32] = Sha256::digest(number.to_le_bytes()).into();
            known.put(key, Finding::Unknown, now);
        }
        assert_eq!(known.0.len(), METRICS_REVIEWS_MAX);
        assert_eq!(known.get(&[255; 32], now), Some(Finding::Allowed));
    }

    #[test]
    fn the_second_question_holds_all_that_is_known_of_the_user() {
        let user = json!({ "username": "u", "uid": "1", "groups": ["g"], "extra": { "k": ["v"] } });
        let spec = access(&user);
        assert_eq!(
            spec,
            json!({ "nonResourceAttributes": { "path": "/metrics", "verb": "get" },
                    "user": "u", "uid": "1", "groups": ["g"], "extra": { "k": ["v"] } })
        );
    }
}
