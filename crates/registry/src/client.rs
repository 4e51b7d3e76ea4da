//! One registry: asking it with the right credentials, and no more of them than needed.
//!
//! There is no `/v2/` ping: the resource itself is asked, and a challenge is answered. Docker
//! Registry v2 token protocol; RFC 6750, RFC 7617.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine as _;
use http::{HeaderValue, StatusCode};
use sealift_core::credential::Login;
use sealift_core::limits;
use sealift_core::secret::masked_url;
use sealift_net::{Client, Kind, Net, NetError, Request, Response};
use serde::Deserialize;
use tokio::sync::MutexGuard;
use tokio::time::Instant;
use url::Url;
use zeroize::Zeroizing;

use crate::access::Access;
use crate::challenge::challenges;
use crate::endpoint::Endpoint;
use crate::error::RegistryError;
use crate::evidence::Discoveries;
use crate::name::RepositoryName;
use crate::realm;
use crate::session::{Offer, Scheme, Session, Token, choose};
use crate::store::Store;
use crate::tags::Listings;

/// A client of one registry, shared by all tasks of the process.
pub struct Registry {
    pub(crate) endpoint: Endpoint,
    pub(crate) store: Arc<Store>,
    pub(crate) listings: Listings,
    pub(crate) discoveries: Discoveries,
    client: Client,
    sessions: Mutex<BTreeMap<Box<str>, Arc<Session>>>,
}

/// The tries of one request, in order.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    /// With what is known.
    Known,
    /// Answering the challenge that came back.
    Answer,
    /// After the credential was read again.
    Refresh,
}

impl Registry {
    /// A client of `endpoint` on the way out `net`, remembering in `store`.
    ///
    /// # Errors
    /// [`RegistryError::Net`] when the TLS settings of the endpoint cannot be used.
    pub fn new(net: &Net, endpoint: Endpoint, store: Arc<Store>) -> Result<Self, RegistryError> {
        let client = net
            .client(&endpoint.tls)
            .map_err(|source| RegistryError::Net {
                what: format!("the TLS settings of `{}`", endpoint.host()),
                source: Arc::new(source),
            })?;
        if let Some(limit) = endpoint.requests_per_second_max {
            net.limit(&endpoint.api_url, limit);
        }
        Ok(Self {
            endpoint,
            store,
            listings: Listings::default(),
            discoveries: Discoveries::default(),
            client,
            sessions: Mutex::default(),
        })
    }

    /// Host and port of this registry, for messages.
    #[must_use]
    pub fn host(&self) -> &str {
        self.endpoint.host()
    }

    /// Where its API is.
    #[must_use]
    pub const fn api_url(&self) -> &Url {
        &self.endpoint.api_url
    }

    pub(crate) fn session(&self, access: &Access) -> Arc<Session> {
        let mut sessions = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(session) = sessions.get(access.id()) {
            session.renew(access);
            return Arc::clone(session);
        }
        let session = Arc::new(Session::new(Arc::clone(access)));
        sessions.insert(access.id().into(), Arc::clone(&session));
        session
    }

    /// Sends `request` for content of `repository` on behalf of `access`.
    ///
    /// Comes back with every answer but those that refuse the credentials and `429`. `what` names
    /// it in errors.
    pub(crate) async fn ask(
        &self,
        access: &Access,
        repository: &RepositoryName,
        mut request: Request,
        what: &str,
    ) -> Result<Response, RegistryError> {
        let session = self.session(access);
        let generation = session.generation();
        let mut alone = lead(&session).await;
        let mut refused = None;
        let mut failure = None;
        for step in [Step::Known, Step::Answer, Step::Refresh] {
            if step == Step::Refresh && !session.refresh(generation).await? {
                break;
            }
            let known = self
                .authorization(&session, repository, refused.as_ref())
                .await;
            let authorization = match known {
                Ok(authorization) => authorization,
                // The token server refused the credential: a newer one may do.
                Err(error @ RegistryError::Unauthorized { .. }) => {
                    failure = Some(error);
                    continue;
                }
                Err(error) => return Err(error),
            };
            if step == Step::Answer && authorization == refused {
                continue;
            }
            request.authorization = authorization;
            let sent = self.client.send(&request).await;
            let response = sent.map_err(|error| self.unanswered(what, error))?;
            if !self.refuses(&response, &request) {
                session.learn_open();
                return self.accept(response, what);
            }
            failure = Some(RegistryError::Unauthorized {
                host: self.host().to_owned(),
                status: response.status.as_u16(),
                what: what.to_owned(),
                credential: session.credential(),
            });
            let offered = self.learn(&session, &response)?;
            drop(alone.take());
            refused = request.authorization.take();
            if !offered && refused.is_none() {
                break;
            }
        }
        Err(failure.unwrap_or_else(|| RegistryError::Refused {
            host: self.host().to_owned(),
            status: StatusCode::UNAUTHORIZED.as_u16(),
            what: what.to_owned(),
            message: String::new(),
        }))
    }

    /// Whether an answer refuses the credentials. Amazon ECR says `403` when a password has
    /// expired.
    fn refuses(&self, response: &Response, request: &Request) -> bool {
        match response.status {
            StatusCode::UNAUTHORIZED => true,
            StatusCode::FORBIDDEN => request.authorization.is_some(),
            _ => false,
        }
    }

    fn accept(&self, response: Response, what: &str) -> Result<Response, RegistryError> {
        match response.status {
            StatusCode::TOO_MANY_REQUESTS => Err(RegistryError::RateLimited {
                host: self.host().to_owned(),
                what: what.to_owned(),
            }),
            _ => Ok(response),
        }
    }

    /// Notes what the registry asks for; says whether it offers a way that we know.
    fn learn(&self, session: &Session, response: &Response) -> Result<bool, RegistryError> {
        let lines = response.headers.get_all("www-authenticate");
        let lines = lines.iter().filter_map(|line| line.to_str().ok());
        match choose(&challenges(lines)) {
            Offer::Nothing => return Ok(false),
            Offer::Basic => session.learn(Scheme::Basic),
            Offer::Bearer { realm, service } => {
                let forbidden = || RegistryError::RealmForbidden {
                    host: self.host().to_owned(),
                    realm: masked_url(&realm),
                };
                let url = Url::parse(&realm).map_err(|_| forbidden())?;
                if !realm::is_allowed(&self.endpoint.api_url, &url, &self.endpoint.realm_hosts) {
                    return Err(forbidden());
                }
                session.learn(Scheme::Bearer {
                    realm: url,
                    service,
                });
            }
        }
        Ok(true)
    }

    /// What to send, by the scheme known now. A token that is `refused` is fetched anew.
    async fn authorization(
        &self,
        session: &Session,
        repository: &RepositoryName,
        refused: Option<&HeaderValue>,
    ) -> Result<Option<HeaderValue>, RegistryError> {
        match session.scheme() {
            None | Some(Scheme::Open) => Ok(None),
            Some(Scheme::Basic) => Ok(session.login(false).await?.map(|login| basic(&login))),
            Some(Scheme::Bearer { realm, service }) => {
                let scope = self.scope(repository);
                let slot = session.token_slot(&scope);
                let mut slot = slot.lock().await;
                let generation = session.generation();
                if let Some(token) = slot.as_ref()
                    && token.is_valid(generation)
                    && Some(&token.header) != refused
                {
                    return Ok(Some(token.header.clone()));
                }
                let url = token_url(&realm, service.as_deref(), &scope);
                let token = self.fetch_token(session, url, generation).await?;
                Ok(Some(slot.insert(token).header.clone()))
            }
        }
    }

    /// `repository:NAME:pull`; Azure's registries tell more about tags to a token that asks for
    /// more.
    fn scope(&self, repository: &RepositoryName) -> String {
        let host = self.endpoint.api_url.host_str().unwrap_or_default();
        let azure = host.ends_with(".azurecr.io");
        let actions = if azure {
            "pull,metadata_read,content_read"
        } else {
            "pull"
        };
        format!("repository:{repository}:{actions}")
    }

    async fn fetch_token(
        &self,
        session: &Session,
        mut url: Url,
        generation: u64,
    ) -> Result<Token, RegistryError> {
        let realm = masked_url(url.as_str());
        let login = session.login(false).await?;
        if let Some(login) = &login {
            url.query_pairs_mut()
                .append_pair("account", &login.username);
        }
        let mut request = Request::get(Kind::Token, url, limits::TOKEN_BYTES_MAX);
        request.authorization = login.as_ref().map(basic);
        let asked = Instant::now();
        let what = format!("a token of `{realm}`");
        let sent = self.client.send(&request).await;
        let response = sent.map_err(|error| self.unanswered(&what, error))?;
        match response.status.as_u16() {
            200..=299 => {}
            401 | 403 => {
                return Err(RegistryError::Unauthorized {
                    host: self.host().to_owned(),
                    status: response.status.as_u16(),
                    what,
                    credential: session.credential(),
                });
            }
            _ => return Err(self.refused(&self.accept(response, &what)?, &what)),
        }
        Token::read(&response.body, asked, generation)
            .map_err(|why| RegistryError::TokenUnusable { realm, why })
    }

    pub(crate) fn unanswered(&self, what: &str, error: NetError) -> RegistryError {
        RegistryError::Net {
            what: what.to_owned(),
            source: Arc::new(error),
        }
    }

    /// The error that `response` is.
    pub(crate) fn refused(&self, response: &Response, what: &str) -> RegistryError {
        RegistryError::Refused {
            host: self.host().to_owned(),
            status: response.status.as_u16(),
            what: what.to_owned(),
            message: message_of(&response.body),
        }
    }
}

/// As long as nothing is known about a session, one request goes first and the others wait for what
/// it learns: else each of them would be refused once.
async fn lead(session: &Session) -> Option<Lead<'_>> {
    if session.is_probed() {
        return None;
    }
    let turn = session.discovery.lock().await;
    (!session.is_probed()).then_some(Lead {
        session,
        _turn: turn,
    })
}

/// The turn of the request that goes first; it ends with the first answer, or when the request
/// does.
struct Lead<'a> {
    session: &'a Session,
    _turn: MutexGuard<'a, ()>,
}

impl Drop for Lead<'_> {
    fn drop(&mut self) {
        self.session.set_probed();
    }
}

fn token_url(realm: &Url, service: Option<&str>, scope: &str) -> Url {
    let mut url = realm.clone();
    url.set_fragment(None);
    let mut query = url.query_pairs_mut();
    if let Some(service) = service {
        query.append_pair("service", service);
    }
    query.append_pair("scope", scope);
    drop(query);
    url
}

fn basic(login: &Login) -> HeaderValue {
    let pair = Zeroizing::new(format!("{}:{}", login.username, login.password.expose()));
    let text = base64::engine::general_purpose::STANDARD.encode(pair.as_bytes());
    // Base64 is always a header value.
    let mut header = HeaderValue::try_from(format!("Basic {text}"))
        .unwrap_or_else(|_| HeaderValue::from_static(""));
    header.set_sensitive(true);
    header
}

/// What the registry says about its refusal, made harmless. OCI distribution-spec v1.1, "Error
/// Codes".
fn message_of(body: &[u8]) -> String {
    #[derive(Deserialize)]
    struct Answer {
        errors: Vec<One>,
    }
    #[derive(Deserialize)]
    struct One {
        code: Option<String>,
        message: Option<String>,
    }
    let first = serde_json::from_slice::<Answer>(body)
        .ok()
        .and_then(|answer| answer.errors.into_iter().next());
    let Some(One { code, message }) = first else {
        return String::new();
    };
    let text = [code, message]
        .into_iter()
        .flatten()
        .collect::<Vec<_>>()
        .join(" ");
    let text = text.chars().filter(|character| !character.is_control());
    format!(
        ": {}",
        text.take(limits::REGISTRY_MESSAGE_CHARS_MAX)
            .collect::<String>()
    )
}
