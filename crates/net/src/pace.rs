//! The pace of every origin, shared by all clients of the process: one bucket and a bound on
//! requests in flight.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sealift_core::limits;
use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;
use url::Url;

use crate::bucket::Bucket;
use crate::error::NetError;

/// Origins and their pace.
#[derive(Debug, Default)]
pub(crate) struct Paces {
    origins: Mutex<BTreeMap<String, Arc<Pace>>>,
}

/// The pace of one origin.
#[derive(Debug)]
pub(crate) struct Pace {
    origin: String,
    bucket: Mutex<Bucket>,
    in_flight: Arc<Semaphore>,
}

impl Paces {
    /// The pace of the origin of `url`.
    pub(crate) fn of(&self, url: &Url) -> Arc<Pace> {
        let origin = &url[..url::Position::BeforePath];
        let mut origins = self.origins.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(pace) = origins.get(origin) {
            return Arc::clone(pace);
        }
        if origins.len() >= limits::ORIGINS_MAX {
            // Redirects name origins; a stranger must not grow this for ever. Those in use stay,
            // and those with a limit, which the operator named.
            origins.retain(|_, pace| {
                Arc::strong_count(pace) > 1 || pace.with(|bucket| bucket.is_limited())
            });
        }
        let pace = Arc::new(Pace {
            origin: origin.to_owned(),
            bucket: Mutex::default(),
            in_flight: Arc::new(Semaphore::new(limits::REQUESTS_PER_ORIGIN_MAX)),
        });
        origins.insert(origin.to_owned(), Arc::clone(&pace));
        pace
    }
}

impl Pace {
    pub(crate) fn limit(&self, per_second: NonZeroU32) {
        self.with(|bucket| bucket.limit(per_second));
    }

    pub(crate) fn pause(&self, pause: Duration) {
        self.with(|bucket| bucket.pause(Instant::now() + pause));
    }

    pub(crate) fn note(&self, answered: bool) {
        self.with(|bucket| bucket.note(answered, Instant::now()));
    }

    pub(crate) fn pause_left(&self) -> Duration {
        self.with(|bucket| bucket.pause_left(Instant::now()))
    }

    /// Waits for a turn. Dropping the future gives the turn up.
    ///
    /// # Errors
    /// [`NetError::RateLimited`] when the server wants a longer pause than `pause_wait_max`,
    /// [`NetError::Down`] when it has not answered for some time.
    pub(crate) async fn turn(
        &self,
        pause_wait_max: Duration,
    ) -> Result<Option<OwnedSemaphorePermit>, NetError> {
        let permit = Arc::clone(&self.in_flight).acquire_owned().await;
        if self.with(|bucket| bucket.is_down(Instant::now())) {
            return Err(NetError::Down {
                host: self.origin.clone(),
            });
        }
        let turn = self.with(|bucket| bucket.reserve(Instant::now()));
        if turn > Instant::now() {
            tokio::time::sleep_until(turn).await;
        }
        loop {
            // A pause may begin, or grow, while we sleep.
            let left = self.pause_left();
            if left > pause_wait_max {
                return Err(NetError::RateLimited {
                    host: self.origin.clone(),
                    wait_secs: left.as_secs(),
                });
            }
            if left.is_zero() {
                break;
            }
            tokio::time::sleep(left).await;
        }
        // Nobody closes the semaphore.
        Ok(permit.map_err(|_: AcquireError| ()).ok())
    }

    fn with<T>(&self, act: impl FnOnce(&mut Bucket) -> T) -> T {
        act(&mut self.bucket.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
