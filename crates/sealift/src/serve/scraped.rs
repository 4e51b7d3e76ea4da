//! `/metrics` for those whom the API server lets `get` that path.
//!
//! RFC 6750, "Authenticated Requests"; Kubernetes, "TokenReview" and "SubjectAccessReview" with a
//! `nonResourceURL`. What is refused is refused in a few plain words, which hold nothing that was
//! sent.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use kube::Client;
use sealift_core::limits::METRICS_TOKEN_BYTES_MAX;
use sealift_core::secret::Secret;

use super::reviews::{Failure, Finding, Reviews};
use super::shown;
use crate::metrics::Metrics;

/// Serves `/metrics` to whoever may read it.
pub(super) fn router(api: Client, metrics: Arc<Metrics>) -> Router {
    let reviews = Reviews::new(api, Arc::clone(&metrics));
    let state = Arc::new(Scraped { metrics, reviews });
    Router::new()
        .route("/metrics", get(answer))
        .with_state(state)
}

struct Scraped {
    metrics: Arc<Metrics>,
    reviews: Reviews,
}

async fn answer(State(scraped): State<Arc<Scraped>>, headers: HeaderMap) -> Response {
    let Some(token) = bearer(&headers) else {
        return refused(StatusCode::UNAUTHORIZED, "a bearer token is needed\n");
    };
    match scraped.reviews.of(&token).await {
        Ok(Finding::Allowed) => shown(&scraped.metrics).into_response(),
        Ok(Finding::Unknown) => refused(StatusCode::UNAUTHORIZED, "the token is not valid\n"),
        Ok(Finding::Forbidden) => {
            let text = "the right to `get` the path `/metrics` is missing\n";
            refused(StatusCode::FORBIDDEN, text)
        }
        Err(Failure::Unreachable) => {
            let text = "the API server could not be asked who may read this\n";
            refused(StatusCode::SERVICE_UNAVAILABLE, text)
        }
        Err(Failure::Refused) => {
            let text = "the API server does not say who may read this\n";
            refused(StatusCode::INTERNAL_SERVER_ERROR, text)
        }
    }
}

fn refused(status: StatusCode, text: &'static str) -> Response {
    match status {
        StatusCode::UNAUTHORIZED => {
            (status, [(header::WWW_AUTHENTICATE, "Bearer")], text).into_response()
        }
        _ => (status, text).into_response(),
    }
}

/// The one token of a request. Two of them are none: another reader might take the other one.
fn bearer(headers: &HeaderMap) -> Option<Secret<String>> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let value = values.next().filter(|_| values.next().is_none())?;
    let (scheme, token) = value.to_str().ok()?.trim().split_once(' ')?;
    let token = token.trim();
    let fits = scheme.eq_ignore_ascii_case("bearer")
        && (1..=METRICS_TOKEN_BYTES_MAX).contains(&token.len())
        && !token.contains(' ');
    fits.then(|| Secret::new(token.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(values: &[&str]) -> Option<String> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(header::AUTHORIZATION, value.parse().unwrap());
        }
        bearer(&headers).map(|token| token.expose().clone())
    }

    #[test]
    fn one_bearer_token_of_a_bearable_length_counts_and_nothing_else() {
        assert_eq!(token(&["Bearer a.b"]).as_deref(), Some("a.b"));
        assert_eq!(token(&["bearer  a "]).as_deref(), Some("a"));
        let long = format!("Bearer {}", "x".repeat(METRICS_TOKEN_BYTES_MAX + 1));
        for values in [
            &[][..],
            &["Bearer"],
            &["Bearer "],
            &["Basic dTpw"],
            &["Bearer a b"],
            &["Bearer a", "Bearer b"],
            &[long.as_str()],
        ] {
            assert_eq!(token(values), None, "{values:?}");
        }
    }
}
