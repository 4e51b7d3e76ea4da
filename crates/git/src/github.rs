//! Tokens of GitHub Apps: a key signs a request for a token, and GitHub gives one out that reaches
//! one repository and nothing but its contents, for an hour.
//!
//! Here: asking for tokens, and keeping them until shortly before they expire. Not here: which
//! Secret holds the key (`sealift_core::repository_credentials`), and how a token reaches Git
//! (`access`). GitHub's REST reference, "Create an installation access token for an app" and "Get a
//! repository installation for the authenticated app".
//!
//! Tokens live in memory only. They are kept by everything that they were asked for with, the key
//! included: who names another key gets no token of somebody else's.

mod error;
mod jwt;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use jiff::{SignedDuration, Timestamp};
use sealift_core::limits::{
    GITHUB_ANSWER_BYTES_MAX, GITHUB_TOKEN_BYTES_MAX, GITHUB_TOKEN_RENEWED_SECS, GITHUB_TOKENS_MAX,
};
use sealift_core::repository_credentials::GithubApp;
use sealift_core::secret::Secret;
use sealift_net::{Client, Kind, Net, Request, Response, Tls};
use serde::Deserialize;
use serde_json::json;
use sha2::{Digest as _, Sha256};
use url::Url;

pub use error::GithubAppError;

use crate::access::{Credential, is_loopback};
use crate::url::GitUrl;

/// The API of github.com.
const PUBLIC_API: &str = "https://api.github.com";
/// The host whose repositories that API gives out tokens for.
const PUBLIC_HOST: &str = "github.com";

/// What a token may do with the contents of its repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Permission {
    /// Read them.
    Read,
    /// Read and write them.
    Write,
}

impl Permission {
    const fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
        }
    }
}

/// Asks for tokens, and keeps them. Lives as long as the process; copies share.
#[derive(Clone)]
pub struct GithubApps {
    net: Net,
    kept: Arc<Mutex<BTreeMap<String, Turn>>>,
}

/// Held by who asks, so that everybody else waits for the same token.
type Turn = Arc<tokio::sync::Mutex<Option<Token>>>;

/// A token, and until when it is good.
#[derive(Clone)]
struct Token {
    text: Secret<String>,
    minted: Timestamp,
    expires: Timestamp,
}

impl Token {
    /// Whether it outlives the work that it is given out for. By a clock that was set back it seems
    /// to have more time left than it was given, and nobody knows how much it has.
    fn is_fresh(&self, now: Timestamp) -> bool {
        let left = self.expires.duration_since(now);
        now >= self.minted && left > SignedDuration::from_secs(GITHUB_TOKEN_RENEWED_SECS)
    }
}

/// One question for a token.
struct Question<'a> {
    app: &'a GithubApp,
    /// Without a final `/`.
    api: Url,
    owner: &'a str,
    name: &'a str,
    permission: Permission,
}

#[derive(Deserialize)]
struct InstallationAnswer {
    id: u64,
}

#[derive(Deserialize)]
struct TokenAnswer {
    token: String,
    expires_at: Timestamp,
}

#[derive(Deserialize)]
struct Refusal {
    message: String,
}

/// The host of the API that gives out tokens of `app`, for looking up its certificates.
///
/// # Errors
/// [`GithubAppError::ApiUrl`].
pub fn api_host(app: &GithubApp) -> Result<String, GithubAppError> {
    Ok(api_of(app)?.host_str().unwrap_or_default().to_owned())
}

impl GithubApps {
    /// Asks through `net`.
    #[must_use]
    pub fn new(net: Net) -> Self {
        Self {
            net,
            kept: Arc::default(),
        }
    }

    /// The credential that reaches `url` and nothing else: the token that is kept, or a new one.
    ///
    /// `ca_pem` holds certificates that the API is trusted by besides the system's roots; `proxy`
    /// stands in the way to it.
    ///
    /// # Errors
    /// [`GithubAppError`].
    pub async fn credential(
        &self,
        app: &GithubApp,
        url: &GitUrl,
        permission: Permission,
        (ca_pem, proxy): (Option<&str>, Option<&str>),
        now: Timestamp,
    ) -> Result<Credential, GithubAppError> {
        let question = Question::new(app, url, permission)?;
        let identity = question.identity();
        let turn = self.turn(&identity, now);
        let mut kept = turn.lock().await;
        let fresh = kept.as_ref().filter(|token| token.is_fresh(now)).cloned();
        let token = match fresh {
            Some(token) => token,
            None => {
                let net = match proxy {
                    Some(proxy) => self.net.behind(proxy),
                    None => Ok(self.net.clone()),
                };
                let tls = Tls {
                    extra_roots_pem: ca_pem.iter().map(|pem| pem.as_bytes().to_vec()).collect(),
                    insecure: false,
                };
                let client = net.and_then(|net| net.client(&tls));
                let client = client.map_err(|error| question.unreachable(&error))?;
                let token = question.mint(&client, now).await?;
                *kept = Some(token.clone());
                token
            }
        };
        Ok(Credential::Installation {
            identity,
            token: token.text,
        })
    }

    /// Drops a token that a server refused, so that the next question asks for a new one.
    pub fn forget(&self, credential: &Credential) {
        if let Credential::Installation { identity, .. } = credential {
            self.lock().remove(identity);
        }
    }

    fn turn(&self, identity: &str, now: Timestamp) -> Turn {
        let mut kept = self.lock();
        if kept.len() >= GITHUB_TOKENS_MAX && !kept.contains_key(identity) {
            // One that is being asked for is held, and stays.
            kept.retain(|_, turn| {
                turn.try_lock().map_or(true, |token| {
                    token.as_ref().is_some_and(|token| token.is_fresh(now))
                })
            });
        }
        if kept.len() >= GITHUB_TOKENS_MAX && !kept.contains_key(identity) {
            return Turn::default();
        }
        Arc::clone(kept.entry(identity.to_owned()).or_default())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Turn>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<'a> Question<'a> {
    fn new(
        app: &'a GithubApp,
        url: &'a GitUrl,
        permission: Permission,
    ) -> Result<Self, GithubAppError> {
        let no_repository = |why| GithubAppError::Repository {
            url: url.to_string(),
            why,
        };
        let api = api_of(app)?;
        if app.base_url.is_none() && url.host() != PUBLIC_HOST {
            return Err(no_repository(
                "without `githubAppEnterpriseBaseUrl` the App is one of github.com",
            ));
        }
        let path = url.path().trim_matches('/');
        let path = path.strip_suffix(".git").unwrap_or(path);
        let (owner, name) = path
            .split_once('/')
            .filter(|(owner, name)| is_name(owner) && is_name(name))
            .ok_or_else(|| no_repository("its path is not `owner/name`"))?;
        Ok(Self {
            app,
            api,
            owner,
            name,
            permission,
        })
    }

    /// A text that differs when anything differs that the token depends on. It tells nothing of the
    /// key.
    fn identity(&self) -> String {
        let installation = self.app.installation_id.unwrap_or_default();
        let parts = [
            self.api.as_str(),
            &self.app.app_id.to_string(),
            &installation.to_string(),
            self.app.private_key.expose(),
            &self.owner.to_ascii_lowercase(),
            &self.name.to_ascii_lowercase(),
            self.permission.name(),
        ];
        let mut hash = Sha256::new();
        for part in parts {
            hash.update(part.len().to_be_bytes());
            hash.update(part.as_bytes());
        }
        let mut text = String::with_capacity(64);
        for byte in hash.finalize() {
            let _ = write!(text, "{byte:02x}");
        }
        text
    }

    /// Asks for a token: of the installation that the settings name, or of the owner's.
    async fn mint(&self, client: &Client, now: Timestamp) -> Result<Token, GithubAppError> {
        let authorization = jwt::authorization(self.app, now)?;
        let installation = match self.app.installation_id {
            Some(id) => id,
            None => self.installation(client, &authorization).await?,
        };
        let path = [
            "app",
            "installations",
            &installation.to_string(),
            "access_tokens",
        ];
        let body = json!({
            "repositories": [self.name],
            "permissions": { "contents": self.permission.name() },
        });
        let mut request = self.request(&path, &authorization);
        request.method = Method::POST;
        request.body = Some(Bytes::from(body.to_string()));
        let json = HeaderValue::from_static("application/json");
        request.headers.insert(CONTENT_TYPE, json);
        let answer: TokenAnswer = self.ask(client, &request).await?;
        let text = Secret::new(answer.token);
        let plain = text.expose().bytes().all(|byte| byte.is_ascii_graphic());
        if text.expose().is_empty() || text.expose().len() > GITHUB_TOKEN_BYTES_MAX || !plain {
            return Err(self.unreadable("the token is empty, too long or no plain text"));
        }
        if answer.expires_at <= now {
            return Err(self.unreadable("the token has expired; is the clock right?"));
        }
        Ok(Token {
            text,
            minted: now,
            expires: answer.expires_at,
        })
    }

    async fn installation(
        &self,
        client: &Client,
        authorization: &HeaderValue,
    ) -> Result<u64, GithubAppError> {
        let path = ["repos", self.owner, self.name, "installation"];
        let answer: InstallationAnswer = self
            .ask(client, &self.request(&path, authorization))
            .await?;
        Ok(answer.id)
    }

    fn request(&self, path: &[&str], authorization: &HeaderValue) -> Request {
        let mut url = self.api.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(path);
        }
        let mut request = Request::get(Kind::Token, url, GITHUB_ANSWER_BYTES_MAX);
        request.authorization = Some(authorization.clone());
        request.headers = HeaderMap::from_iter([
            (
                ACCEPT,
                HeaderValue::from_static("application/vnd.github+json"),
            ),
            (
                HeaderName::from_static("x-github-api-version"),
                HeaderValue::from_static("2022-11-28"),
            ),
        ]);
        request
    }

    async fn ask<T: serde::de::DeserializeOwned>(
        &self,
        client: &Client,
        request: &Request,
    ) -> Result<T, GithubAppError> {
        let sent = client.send(request).await;
        let response = sent.map_err(|error| self.unreachable(&error))?;
        if !response.status.is_success() {
            return Err(self.refused(&response));
        }
        // What the library says of an answer may quote it, and it holds a token.
        serde_json::from_slice(&response.body)
            .map_err(|_| self.unreadable("it is not the JSON that was expected"))
    }

    fn refused(&self, response: &Response) -> GithubAppError {
        let said = serde_json::from_slice::<Refusal>(&response.body);
        let said = said.map(|refusal| refusal.message).unwrap_or_default();
        let said: String = said.chars().filter(|c| !c.is_control()).take(200).collect();
        GithubAppError::Refused {
            api: self.api.to_string(),
            repository: format!("{}/{}", self.owner, self.name),
            status: response.status.as_u16(),
            said,
        }
    }

    fn unreachable(&self, error: &sealift_net::NetError) -> GithubAppError {
        GithubAppError::Unreachable {
            api: self.api.to_string(),
            detail: crate::smart::in_one_line(error),
        }
    }

    fn unreadable(&self, why: &'static str) -> GithubAppError {
        GithubAppError::Answer {
            api: self.api.to_string(),
            why,
        }
    }
}

/// The API of an App. The signed request for a token is worth a token to whoever reads it, so it
/// travels over TLS, or stays on this machine.
fn api_of(app: &GithubApp) -> Result<Url, GithubAppError> {
    let text = app.base_url.as_deref().unwrap_or(PUBLIC_API).trim();
    let refused = |why| GithubAppError::ApiUrl {
        url: sealift_core::secret::masked_url(text),
        why,
    };
    let url = Url::parse(text.trim_end_matches('/')).map_err(|_| refused("it is no URL"))?;
    let host = url.host_str().unwrap_or_default();
    if url.scheme() != "https" && !(url.scheme() == "http" && is_loopback(host)) {
        return Err(refused("it is not `https`"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(refused("it holds user-info"));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(refused("it holds more than a host and a path"));
    }
    Ok(url)
}

/// Whether a text can be the name of an owner or a repository.
fn is_name(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    !text.is_empty() && text.chars().all(plain) && !matches!(text, "." | "..")
}

#[cfg(test)]
mod tests;
