//! On whose behalf a registry is asked.

use std::error::Error;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use sealift_core::credential::Login;

/// A login to come, or the reason why there is none.
pub type LoginFuture<'a> =
    Pin<Box<dyn Future<Output = Result<Option<Login>, Box<dyn Error + Send + Sync>>> + Send + 'a>>;

/// A source of credentials, supplied by the program.
pub trait Credentials: Send + Sync {
    /// Names the source, not the secret (`env:TOKEN`, `pullsecret:apps/hub`). What was read on
    /// behalf of one id is shown to askers of the same id only, and the id is written to the cache
    /// on disk.
    fn id(&self) -> &str;

    /// The login; `None` asks anonymously. With `refresh` the registry has just refused the last
    /// one: read it from its source again.
    ///
    /// # Errors
    /// Why the source cannot be read. The request then fails; it is never sent anonymously instead.
    fn login(&self, refresh: bool) -> LoginFuture<'_>;
}

/// A shared source of credentials.
pub type Access = Arc<dyn Credentials>;

/// No credentials.
#[derive(Debug, Clone, Copy, Default)]
pub struct Anonymous;

impl Credentials for Anonymous {
    fn id(&self) -> &'static str {
        ""
    }

    fn login(&self, _refresh: bool) -> LoginFuture<'_> {
        Box::pin(std::future::ready(Ok(None)))
    }
}
