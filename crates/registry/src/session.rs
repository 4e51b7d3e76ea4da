//! What was learned about one credential at one registry: its scheme, and the tokens.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::HeaderValue;
use sealift_core::credential::Login;
use sealift_core::limits;
use serde::Deserialize;
use tokio::time::Instant;
use url::Url;

use crate::access::Access;
use crate::challenge::Challenge;
use crate::error::RegistryError;

/// How the registry wants to be asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Scheme {
    /// Without credentials.
    Open,
    /// With user name and password on each request.
    Basic,
    /// With a token of this server.
    Bearer {
        /// The token server; checked against the realm rule.
        realm: Url,
        /// What it calls this registry.
        service: Option<String>,
    },
}

/// A token and how long it is good for.
#[derive(Clone)]
pub(crate) struct Token {
    pub(crate) header: HeaderValue,
    expires: Instant,
    generation: u64,
}

/// The place of one repository's token. Whoever holds its lock fetches; the others wait for the
/// result.
pub(crate) type TokenSlot = Arc<tokio::sync::Mutex<Option<Token>>>;

/// One credential at one registry.
pub(crate) struct Session {
    /// The newest one: an older one may read its source as it was in an earlier cycle.
    access: Mutex<Access>,
    scheme: Mutex<Option<Scheme>>,
    /// Held by the one request that learns the scheme.
    pub(crate) discovery: tokio::sync::Mutex<()>,
    /// Set once a request went first, whatever came of it: a dead host must not be asked one by
    /// one.
    probed: AtomicBool,
    /// Counts the readings of a refused credential; tokens of older ones are void.
    generation: AtomicU64,
    refreshed: tokio::sync::Mutex<Option<Instant>>,
    tokens: Mutex<BTreeMap<Box<str>, TokenSlot>>,
}

impl Session {
    pub(crate) fn new(access: Access) -> Self {
        Self {
            access: Mutex::new(access),
            scheme: Mutex::default(),
            discovery: tokio::sync::Mutex::default(),
            probed: AtomicBool::new(false),
            generation: AtomicU64::new(0),
            refreshed: tokio::sync::Mutex::default(),
            tokens: Mutex::default(),
        }
    }

    /// From now on logins come from `access`, which has the same id.
    pub(crate) fn renew(&self, access: &Access) {
        *self.access.lock().unwrap_or_else(PoisonError::into_inner) = Arc::clone(access);
    }

    fn access(&self) -> Access {
        Arc::clone(&self.access.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The id of the credential source, for messages.
    pub(crate) fn credential(&self) -> String {
        match self.access().id() {
            "" => "anonymous".to_owned(),
            id => id.to_owned(),
        }
    }

    pub(crate) fn scheme(&self) -> Option<Scheme> {
        self.scheme
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    pub(crate) fn learn(&self, scheme: Scheme) {
        *self.scheme.lock().unwrap_or_else(PoisonError::into_inner) = Some(scheme);
    }

    /// Notes that a request without credentials was answered, unless more is known.
    pub(crate) fn learn_open(&self) {
        let mut known = self.scheme.lock().unwrap_or_else(PoisonError::into_inner);
        known.get_or_insert(Scheme::Open);
    }

    pub(crate) fn is_probed(&self) -> bool {
        self.probed.load(Ordering::Acquire)
    }

    pub(crate) fn set_probed(&self) {
        self.probed.store(true, Ordering::Release);
    }

    pub(crate) fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// The login, read from its source.
    pub(crate) async fn login(&self, refresh: bool) -> Result<Option<Login>, RegistryError> {
        let access = self.access();
        let login = access.login(refresh).await;
        login.map_err(|source| RegistryError::CredentialUnavailable {
            credential: self.credential(),
            source: source.into(),
        })
    }

    /// Reads a refused credential again, unless somebody did since `generation`. Says whether there
    /// may be a new one.
    pub(crate) async fn refresh(&self, generation: u64) -> Result<bool, RegistryError> {
        let mut refreshed = self.refreshed.lock().await;
        if self.generation() != generation {
            return Ok(true);
        }
        let pause = Duration::from_secs(limits::CREDENTIAL_REFRESH_SECS);
        if refreshed.is_some_and(|at| at.elapsed() < pause) {
            return Ok(false);
        }
        *refreshed = Some(Instant::now());
        let found = self.login(true).await?.is_some();
        self.generation.fetch_add(1, Ordering::Release);
        Ok(found)
    }

    /// Where the token for `scope` is, or will be.
    pub(crate) fn token_slot(&self, scope: &str) -> TokenSlot {
        let mut tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(slot) = tokens.get(scope) {
            return Arc::clone(slot);
        }
        if tokens.len() >= limits::TOKENS_MAX {
            tokens.retain(|_, slot| Arc::strong_count(slot) > 1);
        }
        Arc::clone(tokens.entry(scope.into()).or_default())
    }
}

impl Token {
    /// Whether the token may still be sent: made with the present credential, and not about to
    /// expire.
    pub(crate) fn is_valid(&self, generation: u64) -> bool {
        self.generation == generation && Instant::now() < self.expires
    }

    /// Reads a token server's answer. `asked` is when the request left: the life of a token begins
    /// there at the earliest.
    pub(crate) fn read(body: &[u8], asked: Instant, generation: u64) -> Result<Self, &'static str> {
        let answer: TokenAnswer =
            serde_json::from_slice(body).map_err(|_| "it is not the JSON of a token")?;
        let text = answer
            .access_token
            .or(answer.token)
            .filter(|token| !token.is_empty())
            .ok_or("it holds neither `token` nor `access_token`")?;
        let mut header = HeaderValue::try_from(format!("Bearer {text}"))
            .map_err(|_| "its token may not stand in a header")?;
        header.set_sensitive(true);
        let life = answer
            .expires_in
            .unwrap_or(0)
            .clamp(limits::TOKEN_LIFE_SECS_MIN, limits::TOKEN_LIFE_SECS_MAX);
        // A tenth of the life for clocks that differ and requests that take their time.
        let margin = (life / 10).clamp(5, 30);
        Ok(Self {
            header,
            expires: asked + Duration::from_secs(life - margin),
            generation,
        })
    }
}

/// Docker's token protocol; OAuth 2.0 servers say `access_token`.
#[derive(Deserialize)]
struct TokenAnswer {
    token: Option<String>,
    access_token: Option<String>,
    expires_in: Option<u64>,
}

/// What of a registry's offer is answered: a token server before a password on each request.
pub(crate) enum Offer {
    Bearer {
        realm: String,
        service: Option<String>,
    },
    Basic,
    Nothing,
}

/// Chooses among `challenges`.
pub(crate) fn choose(challenges: &[Challenge]) -> Offer {
    let bearer = challenges.iter().find_map(|challenge| {
        let realm = challenge.parameters.get("realm")?;
        (challenge.scheme == "bearer").then(|| Offer::Bearer {
            realm: realm.clone(),
            service: challenge.parameters.get("service").cloned(),
        })
    });
    let basic = challenges
        .iter()
        .any(|challenge| challenge.scheme == "basic");
    bearer.unwrap_or(if basic { Offer::Basic } else { Offer::Nothing })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn life(body: &str) -> Option<u64> {
        let asked = Instant::now();
        let token = Token::read(body.as_bytes(), asked, 0).ok()?;
        Some((token.expires - asked).as_secs())
    }

    #[test]
    fn a_token_lives_at_least_a_minute_less_a_margin() {
        assert_eq!(life(r#"{"token":"t"}"#), Some(54));
        assert_eq!(life(r#"{"token":"t","expires_in":1}"#), Some(55 - 1));
        assert_eq!(life(r#"{"token":"t","expires_in":300}"#), Some(270));
        assert_eq!(
            life(r#"{"token":"t","expires_in":999999999}"#),
            Some(24 * 3600 - 30)
        );
    }

    #[test]
    fn access_token_wins_and_an_empty_or_unsendable_token_is_none() {
        let token = Token::read(br#"{"token":"a","access_token":"b"}"#, Instant::now(), 0).unwrap();
        assert_eq!(token.header, "Bearer b");
        for body in [
            "",
            "{}",
            "[]",
            r#"{"token":""}"#,
            r#"{"token":"a\nb"}"#,
            r#"{"token":1}"#,
        ] {
            assert_eq!(life(body), None, "{body}");
        }
    }

    #[test]
    fn a_token_of_an_older_credential_is_void() {
        let token = Token::read(br#"{"token":"a"}"#, Instant::now(), 3).unwrap();
        assert!(token.is_valid(3));
        assert!(!token.is_valid(4));
    }

    #[test]
    fn a_token_server_goes_before_a_password() {
        let offer = |line| choose(&crate::challenge::challenges([line]));
        assert!(matches!(
            offer("Basic realm=x, Bearer realm=y"),
            Offer::Bearer { .. }
        ));
        assert!(matches!(offer("Basic realm=x"), Offer::Basic));
        assert!(matches!(offer("Bearer, Digest realm=x"), Offer::Nothing));
    }
}
