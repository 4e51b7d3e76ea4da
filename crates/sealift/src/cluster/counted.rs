//! Counts requests to the API server, whoever sends them.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use tower::{Layer, Service};

/// What was asked of the API server so far.
#[derive(Debug, Default)]
pub struct Requests {
    sent: AtomicU64,
    failed: AtomicU64,
}

impl Requests {
    /// Requests that were sent.
    #[must_use]
    pub fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    /// Those without an answer, or with one of 400 and above.
    #[must_use]
    pub fn failed(&self) -> u64 {
        self.failed.load(Ordering::Relaxed)
    }
}

/// The layer that counts.
pub(super) struct Counting(pub(super) Arc<Requests>);

/// A client with the layer around it.
pub(super) struct Counted<S> {
    inner: S,
    requests: Arc<Requests>,
}

impl<S> Layer<S> for Counting {
    type Service = Counted<S>;

    fn layer(&self, inner: S) -> Counted<S> {
        Counted {
            inner,
            requests: Arc::clone(&self.0),
        }
    }
}

impl<S, R, B> Service<R> for Counted<S>
where
    S: Service<R, Response = http::Response<B>>,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: R) -> Self::Future {
        self.requests.sent.fetch_add(1, Ordering::Relaxed);
        let requests = Arc::clone(&self.requests);
        let answer = self.inner.call(request);
        Box::pin(async move {
            let answer = answer.await;
            let good = |answer: &http::Response<B>| answer.status().as_u16() < 400;
            if !answer.as_ref().is_ok_and(good) {
                requests.failed.fetch_add(1, Ordering::Relaxed);
            }
            answer
        })
    }
}
