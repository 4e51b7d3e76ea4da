//! Smart HTTP without a process: the protocol's requests over the program's one HTTP client.
//!
//! gitprotocol-http(5). A listing is one request: protocol version 2 has no state, so its
//! advertisement need not be asked for first. A server that does not know version 2, or answers
//! anything else that Git might make sense of, is [`Trouble::Unsupported`]: then the `git` program
//! takes over. What says something of the repository or the credentials is final.

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use sealift_core::limits::{GIT_OUTPUT_BYTES_MAX, GIT_PACK_BYTES_MAX};
use sealift_core::oid::{ObjectFormat, Oid};
use sealift_core::secret::Secret;
use sealift_net::{Client, Kind, Net, NetError, Request, Response, Tls};
use url::Url;

use crate::access::{Remote, authorization};
use crate::error::GitError;
use crate::protocol::{
    Advertisement, Fetched, Reference, Report, Want, fetch_request, list_request, push_request,
    read_advertisement, read_fetch, read_list, read_report,
};
use crate::url::Scheme;
use crate::verdict::Rejection;

/// One repository behind smart HTTP.
pub(crate) struct Smart {
    client: Client,
    /// Ends with `/`.
    base: Url,
    authorization: Option<Secret<String>>,
}

/// Why there is no answer that can be used.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// The `git` program may do better.
    Unsupported,
    /// It would not.
    Failed(GitError),
}

/// Why a push over HTTP did not succeed.
#[derive(Debug)]
pub(crate) enum PushTrouble {
    /// Nothing was sent.
    NotSent(Trouble),
    /// The server refused the credentials.
    Unauthorized(String),
    /// The server, or the look before, refused the update.
    Rejected(Rejection),
    /// It is not known what happened.
    Unknown(String),
}

impl Smart {
    /// A way to `remote`; `None` when it needs what only the program can: a proxy of its own, a
    /// client certificate.
    pub(crate) fn new(remote: &Remote, net: &Net) -> Result<Option<Self>, GitError> {
        let url = &remote.url;
        let http = matches!(url.scheme(), Scheme::Http | Scheme::Https);
        if !http || remote.client_certificate.is_some() || remote.proxy.is_some() {
            return Ok(None);
        }
        let roots = remote.ca_pem.iter().map(|pem| pem.clone().into_bytes());
        let tls = Tls {
            extra_roots_pem: roots.collect(),
            insecure: remote.insecure,
        };
        let client = net
            .client(&tls)
            .map_err(|error| unreachable(url.to_string(), &error))?;
        let base = Url::parse(&format!("{}/", url.for_git().trim_end_matches('/')));
        Ok(base.ok().map(|base| Self {
            client,
            base,
            authorization: authorization(remote).map(Secret::new),
        }))
    }

    pub(crate) async fn list(
        &self,
        format: ObjectFormat,
        prefixes: &[String],
    ) -> Result<Vec<Reference>, Trouble> {
        let answer = self
            .upload_pack(list_request(format, prefixes), GIT_OUTPUT_BYTES_MAX)
            .await?;
        read_list(&answer).map_err(|_| Trouble::Unsupported)
    }

    pub(crate) async fn fetch(
        &self,
        format: ObjectFormat,
        want: &Want,
    ) -> Result<Fetched, Trouble> {
        let answer = self
            .upload_pack(fetch_request(format, want), GIT_PACK_BYTES_MAX)
            .await?;
        read_fetch(&answer).map_err(|_| Trouble::Unsupported)
    }

    /// Asks what may be pushed to, and where it points.
    pub(crate) async fn before_push(&self) -> Result<Advertisement, PushTrouble> {
        let mut url = self.endpoint("info/refs").map_err(PushTrouble::NotSent)?;
        url.set_query(Some("service=git-receive-pack"));
        let mut request = Request::get(Kind::Git, url, GIT_OUTPUT_BYTES_MAX);
        request.authorization = self.authorization().map_err(PushTrouble::NotSent)?;
        let sent = self.client.send(&request).await;
        let response = sent.map_err(|error| PushTrouble::NotSent(self.failed(&error)))?;
        let answer = match self.accept(response) {
            Err(Trouble::Failed(GitError::Unauthorized { detail, .. })) => {
                return Err(PushTrouble::Unauthorized(detail));
            }
            other => other.map_err(PushTrouble::NotSent)?,
        };
        read_advertisement(&answer).map_err(|_| PushTrouble::NotSent(Trouble::Unsupported))
    }

    /// Moves `reference` from `expected` to `new`.
    pub(crate) async fn push(
        &self,
        advertisement: &Advertisement,
        reference: &str,
        (expected, new): (Option<Oid>, Oid),
        pack: &[u8],
    ) -> Result<Report, PushTrouble> {
        let body = push_request(advertisement, reference, expected, new, pack);
        let request = self.post("git-receive-pack", body, GIT_OUTPUT_BYTES_MAX, false);
        let request = request.map_err(PushTrouble::NotSent)?;
        let response = match self.client.send(&request).await {
            Ok(response) => response,
            // No connection, no bytes of ours.
            Err(error @ NetError::Connect { .. }) => {
                return Err(PushTrouble::NotSent(self.failed(&error)));
            }
            Err(error) => return Err(PushTrouble::Unknown(error.to_string())),
        };
        let status = response.status;
        match self.accept(response) {
            Ok(answer) => read_report(advertisement, reference, &answer)
                .map_err(|malformed| PushTrouble::Unknown(format!("{malformed:?}"))),
            Err(Trouble::Failed(GitError::Unauthorized { detail, .. })) => {
                Err(PushTrouble::Unauthorized(detail))
            }
            Err(_) => Err(PushTrouble::Unknown(format!(
                "the server answered {status}"
            ))),
        }
    }

    async fn upload_pack(&self, body: Vec<u8>, bytes_max: usize) -> Result<Bytes, Trouble> {
        let request = self.post("git-upload-pack", body, bytes_max, true)?;
        let response = self
            .client
            .send(&request)
            .await
            .map_err(|error| self.failed(&error))?;
        let kind = response
            .headers
            .get(CONTENT_TYPE)
            .and_then(|kind| kind.to_str().ok());
        let is_git = kind == Some("application/x-git-upload-pack-result");
        let succeeded = response.status.is_success();
        let answer = self.accept(response)?;
        if succeeded && !is_git {
            return Err(Trouble::Unsupported);
        }
        Ok(answer)
    }

    fn post(
        &self,
        service: &str,
        body: Vec<u8>,
        bytes_max: usize,
        version_2: bool,
    ) -> Result<Request, Trouble> {
        let mut request = Request::get(Kind::Git, self.endpoint(service)?, bytes_max);
        request.method = Method::POST;
        request.headers = headers(service, version_2);
        request.authorization = self.authorization()?;
        request.body = Some(Bytes::from(body));
        Ok(request)
    }

    fn endpoint(&self, service: &str) -> Result<Url, Trouble> {
        self.base.join(service).map_err(|_| Trouble::Unsupported)
    }

    fn authorization(&self) -> Result<Option<HeaderValue>, Trouble> {
        let value = self
            .authorization
            .as_ref()
            .map(|text| HeaderValue::from_str(text.expose()));
        let value = value.transpose().map_err(|_| {
            Trouble::Failed(GitError::CredentialMismatch {
                url: self.url(),
                kind: "a credential that no header can hold",
            })
        })?;
        Ok(value.map(|mut value| {
            value.set_sensitive(true);
            value
        }))
    }

    fn url(&self) -> String {
        self.base.as_str().trim_end_matches('/').to_owned()
    }

    fn failed(&self, error: &NetError) -> Trouble {
        match error {
            // A pack beyond what memory should hold: the program writes it to the disk as it comes.
            NetError::BodyTooLarge { .. } => Trouble::Unsupported,
            error => Trouble::Failed(unreachable(self.url(), error)),
        }
    }

    fn accept(&self, response: Response) -> Result<Bytes, Trouble> {
        let url = self.url();
        let status = response.status.as_u16();
        let said = String::from_utf8_lossy(&response.body);
        let said = said
            .lines()
            .map(str::trim)
            .find(|line| !line.is_empty() && !line.starts_with('<'));
        let said: String = said
            .unwrap_or_default()
            .chars()
            .filter(|c| !c.is_control())
            .take(300)
            .collect();
        let detail = format!("the server answered {} {said}", response.status)
            .trim_end()
            .to_owned();
        let failure = match status {
            200..=299 => return Ok(response.body),
            401 | 403 => GitError::Unauthorized { url, detail },
            404 | 410 => GitError::NotFound { url, detail },
            300..=399 => GitError::Unreachable {
                url,
                detail: format!(
                    "{detail}; redirects are not followed, so the URL must be the final one"
                ),
            },
            429 | 502..=504 => GitError::Unreachable { url, detail },
            _ => return Err(Trouble::Unsupported),
        };
        Err(Trouble::Failed(failure))
    }
}

fn headers(service: &str, version_2: bool) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, end) in [(CONTENT_TYPE, "request"), (ACCEPT, "result")] {
        if let Ok(value) = HeaderValue::from_str(&format!("application/x-{service}-{end}")) {
            headers.insert(name, value);
        }
    }
    if version_2 {
        let name = HeaderName::from_static("git-protocol");
        headers.insert(name, HeaderValue::from_static("version=2"));
    }
    headers
}

/// The whole chain of a network error in one line: the cause is what people need.
pub(crate) fn in_one_line(error: &NetError) -> String {
    let mut detail = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        detail = format!("{detail}: {cause}");
        source = cause.source();
    }
    detail
}

fn unreachable(url: String, error: &NetError) -> GitError {
    let detail = in_one_line(error);
    GitError::Unreachable { url, detail }
}
