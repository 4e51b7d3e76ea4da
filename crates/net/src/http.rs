//! The HTTP client: one request in, one bounded answer out. RFC 9110.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header::{ACCEPT_ENCODING, AUTHORIZATION, LOCATION};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use jiff::Timestamp;
use sealift_core::limits;
use sealift_core::secret::masked_url;
use tokio::time::{Instant, timeout, timeout_at};
use url::Url;

use crate::counters::{Counters, Counts, Kind, RegistryCounts};
use crate::egress::Egress;
use crate::error::NetError;
use crate::pace::Paces;
use crate::redirect::{Hop, next_hop};
use crate::retry::{self, Jitter, Retry};
use crate::tls::Tls;

/// Proxies, as the usual variables name them. The program reads the environment; nothing here does.
#[derive(Clone, Default)]
pub struct Proxies {
    /// `HTTP_PROXY`: for `http` URLs.
    pub http: Option<String>,
    /// `HTTPS_PROXY`: for `https` URLs.
    pub https: Option<String>,
    /// `NO_PROXY`: hosts, domains, addresses and CIDR blocks that are reached directly.
    pub exceptions: Option<String>,
}

/// Deadlines of one request.
#[derive(Debug, Clone)]
pub struct Deadlines {
    /// TCP and TLS handshakes.
    pub connect_ms: u64,
    /// Until the head of the answer, connecting included.
    pub head_ms: u64,
    /// Until the last byte of the answer, all included.
    pub total_ms: u64,
}

impl Default for Deadlines {
    fn default() -> Self {
        Self {
            connect_ms: limits::CONNECT_MS_MAX,
            head_ms: limits::RESPONSE_HEAD_MS_MAX,
            total_ms: limits::REQUEST_MS_MAX,
        }
    }
}

/// What all clients of a process share.
#[derive(Clone, Default)]
pub struct Settings {
    /// Proxies.
    pub proxies: Proxies,
    /// Addresses that may be reached although they are link-local.
    pub egress: Egress,
    /// Deadlines of each request.
    pub deadlines: Deadlines,
    /// Retries of idempotent requests.
    pub retry: Retry,
    /// Seed of the jitter between tries.
    pub seed: u64,
}

/// Makes clients; holds what they share: settings, counters, the pace of every origin, connection
/// pools.
#[derive(Clone)]
pub struct Net {
    shared: Arc<Shared>,
    pools: Arc<Mutex<BTreeMap<Tls, Client>>>,
}

struct Shared {
    settings: Settings,
    counters: Arc<Counters>,
    paces: Arc<Paces>,
    jitter: Jitter,
}

/// Sends requests under one set of TLS settings. Cheap to clone.
#[derive(Clone)]
pub struct Client {
    shared: Arc<Shared>,
    // Two pools: loading the system's roots takes milliseconds and a megabyte that plain HTTP does
    // not need.
    plain: reqwest::Client,
    tls: Arc<OnceLock<reqwest::Client>>,
    settings: Arc<Tls>,
}

/// One request.
pub struct Request {
    /// What it counts as.
    pub kind: Kind,
    /// Only `GET` and `HEAD` are redirected and sent again.
    pub method: Method,
    /// `http` or `https`.
    pub url: Url,
    /// Everything but the credentials.
    pub headers: HeaderMap,
    /// Dropped when a redirect leaves the origin. Mark it sensitive.
    pub authorization: Option<HeaderValue>,
    /// Sent with other methods.
    pub body: Option<Bytes>,
    /// The largest answer to read, decompressed.
    pub body_bytes_max: usize,
    /// Whether the answer may be compressed.
    pub gzip: bool,
}

impl Request {
    /// A `GET` without credentials.
    #[must_use]
    pub fn get(kind: Kind, url: Url, body_bytes_max: usize) -> Self {
        Self {
            kind,
            method: Method::GET,
            url,
            headers: HeaderMap::new(),
            authorization: None,
            body: None,
            body_bytes_max,
            gzip: false,
        }
    }

    /// A `HEAD` without credentials.
    #[must_use]
    pub fn head(kind: Kind, url: Url) -> Self {
        let mut request = Self::get(kind, url, 0);
        request.method = Method::HEAD;
        request
    }

    fn is_idempotent(&self) -> bool {
        self.method == Method::GET || self.method == Method::HEAD
    }
}

/// An answer, of any status, read to its end.
#[derive(Debug)]
pub struct Response {
    /// Status of the last hop.
    pub status: StatusCode,
    /// Headers of the last hop.
    pub headers: HeaderMap,
    /// Where the answer came from in the end.
    pub url: Url,
    /// The body, decompressed.
    pub body: Bytes,
}

impl Net {
    /// The way out of this process.
    ///
    /// # Errors
    /// [`NetError::Setup`] when a proxy cannot be read.
    pub fn new(settings: Settings) -> Result<Self, NetError> {
        proxies(&settings.proxies)?;
        let jitter = Jitter::new(settings.seed);
        Ok(Self {
            shared: Arc::new(Shared {
                settings,
                counters: Arc::default(),
                paces: Arc::default(),
                jitter,
            }),
            pools: Arc::default(),
        })
    }

    /// The same way out, through `proxy` for everything.
    ///
    /// # Errors
    /// [`NetError::Setup`] when the proxy cannot be read.
    pub fn behind(&self, proxy: &str) -> Result<Self, NetError> {
        let shared = &self.shared;
        let mut settings = shared.settings.clone();
        settings.proxies = Proxies {
            http: Some(proxy.to_owned()),
            https: Some(proxy.to_owned()),
            exceptions: None,
        };
        proxies(&settings.proxies)?;
        let jitter = Jitter::new(settings.seed);
        Ok(Self {
            shared: Arc::new(Shared {
                settings,
                counters: Arc::clone(&shared.counters),
                paces: Arc::clone(&shared.paces),
                jitter,
            }),
            pools: Arc::default(),
        })
    }

    /// A client that trusts what `tls` says; equal settings give clients over the same connections.
    ///
    /// # Errors
    /// [`NetError::Setup`] when a CA text cannot be read. There is no fall back to the system's
    /// roots.
    pub fn client(&self, tls: &Tls) -> Result<Client, NetError> {
        let mut pools = self.pools.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = pools.get(tls) {
            return Ok(client.clone());
        }
        let plain = builder(&self.shared.settings)?.tls_certs_only([]).build();
        let client = Client {
            shared: Arc::clone(&self.shared),
            plain: plain.map_err(|error| setup("the client without TLS", error))?,
            tls: Arc::default(),
            settings: Arc::new(tls.clone()),
        };
        if !tls.extra_roots_pem.is_empty() {
            // An unusable CA is an error now, not at the first request.
            client.with_tls()?;
        }
        pools.insert(tls.clone(), client.clone());
        Ok(client)
    }

    /// Sends at most `per_second` requests a second to the origin of `url`; the lowest limit holds.
    pub fn limit(&self, url: &Url, per_second: NonZeroU32) {
        self.shared.paces.of(url).limit(per_second);
    }

    /// What was sent to each registry so far, by host and port.
    #[must_use]
    pub fn registries(&self) -> BTreeMap<String, RegistryCounts> {
        self.shared.counters.registries()
    }

    /// What was sent so far.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.shared.counters.read()
    }
}

impl Client {
    /// Sends `request`, follows redirects, and sends it again where that may help.
    ///
    /// Answers of every status come back as [`Response`]; after the last try also `429` and `5xx`.
    ///
    /// # Errors
    /// [`NetError`]: there is no answer, or none that may be read.
    pub async fn send(&self, request: &Request) -> Result<Response, NetError> {
        let tries = match request.is_idempotent() {
            true => self.shared.settings.retry.tries.max(1),
            false => 1,
        };
        let mut attempt = 1;
        loop {
            let outcome = self.follow(request).await;
            let again = match &outcome {
                Ok(response) => retry::is_transient(response.status),
                Err(error) => error.is_transient(),
            };
            if outcome.is_err() {
                self.shared.counters.count_failed();
            }
            if !again || attempt >= tries || self.pause_is_too_long(request) {
                if let Err(error) = &outcome {
                    self.note_failure(error);
                }
                return outcome;
            }
            let random = self.shared.jitter.next();
            tokio::time::sleep(retry::wait(&self.shared.settings.retry, attempt, random)).await;
            self.shared.counters.count_retry();
            attempt += 1;
        }
    }

    /// Notes that a host did not answer, after all tries: one that restarts is not down.
    fn note_failure(&self, error: &NetError) {
        let silent = error.silent_url().and_then(|url| Url::parse(url).ok());
        if let Some(url) = silent {
            self.shared.paces.of(&url).note(false);
        }
    }

    /// Whether another try would only be told to wait: then the present answer says more.
    fn pause_is_too_long(&self, request: &Request) -> bool {
        let pace = self.shared.paces.of(&request.url);
        pace.pause_left().as_millis() > u128::from(self.shared.settings.retry.pause_wait_ms_max)
    }

    async fn follow(&self, request: &Request) -> Result<Response, NetError> {
        let mut hop = Hop {
            url: request.url.clone(),
            credentials: true,
        };
        for _ in 0..=limits::REDIRECTS_MAX {
            let answer = self.ask(request, &hop).await;
            self.count_registry(request, &answer);
            let response = answer?;
            let redirects = matches!(response.status.as_u16(), 301 | 302 | 303 | 307 | 308);
            let Some(location) = response.headers.get(LOCATION).filter(|_| redirects) else {
                return Ok(response);
            };
            if !request.is_idempotent() {
                return Ok(response);
            }
            hop = next_hop(&hop, location.as_bytes())?;
        }
        Err(NetError::RedirectRefused {
            from: masked_url(request.url.as_str()),
            why: "there are too many in a row",
        })
    }

    fn count_registry(&self, request: &Request, answer: &Result<Response, NetError>) {
        use NetError::{EgressRefused, UrlRefused};
        let unsent = matches!(answer, Err(EgressRefused { .. } | UrlRefused { .. }));
        if request.kind.is_of_registry() && !unsent {
            let authority = &request.url[url::Position::BeforeHost..url::Position::BeforePath];
            let good = |answer: &Response| !retry::is_transient(answer.status);
            let failed = !answer.as_ref().is_ok_and(good);
            self.shared.counters.count_registry(authority, failed);
        }
    }

    /// One request to one URL.
    async fn ask(&self, request: &Request, hop: &Hop) -> Result<Response, NetError> {
        let shared = &self.shared;
        self.check(&hop.url)?;
        let pace = shared.paces.of(&hop.url);
        let pause_wait = Duration::from_millis(shared.settings.retry.pause_wait_ms_max);
        let _permit = pace.turn(pause_wait).await?;
        shared.counters.count_sent(request.kind);

        let deadlines = &shared.settings.deadlines;
        let deadline = Instant::now() + Duration::from_millis(deadlines.total_ms);
        let head_limit = deadlines.head_ms.min(deadlines.total_ms);
        let sent = self.library(&hop.url)?.execute(wire(request, hop));
        let mut answer = timeout(Duration::from_millis(head_limit), sent)
            .await
            .map_err(|_| timed_out(&hop.url, "the head of the answer", head_limit))?
            .map_err(|error| NetError::from_request(error, &hop.url, deadlines.connect_ms))?;
        pace.note(true);
        let (status, headers) = (answer.status(), std::mem::take(answer.headers_mut()));
        if let Some(pause) = retry::pause(status, &headers, Timestamp::now()) {
            pace.pause(pause);
        }
        if status == StatusCode::TOO_MANY_REQUESTS {
            shared.counters.count_rate_limited();
        }
        let body = timeout_at(deadline, read_body(answer, request, &hop.url))
            .await
            .map_err(|_| timed_out(&hop.url, "the whole answer", deadlines.total_ms))??;
        shared.counters.count_body(body.len());
        Ok(Response {
            status,
            headers,
            url: hop.url.clone(),
            body,
        })
    }

    fn check(&self, url: &Url) -> Result<(), NetError> {
        let refused = |why| NetError::UrlRefused {
            url: masked_url(url.as_str()),
            why,
        };
        if !matches!(url.scheme(), "http" | "https") {
            return Err(refused("it is neither http nor https"));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(refused("it holds user-info"));
        }
        let egress = &self.shared.settings.egress;
        egress
            .check_literal(url)
            .map_err(|refused| NetError::EgressRefused {
                host: refused.host,
                address: refused.address,
            })
    }

    fn library(&self, url: &Url) -> Result<&reqwest::Client, NetError> {
        match url.scheme() {
            "https" => self.with_tls(),
            _ => Ok(&self.plain),
        }
    }

    fn with_tls(&self) -> Result<&reqwest::Client, NetError> {
        if let Some(client) = self.tls.get() {
            return Ok(client);
        }
        let client = builder(&self.shared.settings)?
            .tls_certs_merge(self.settings.certificates()?)
            .tls_danger_accept_invalid_certs(self.settings.insecure)
            .build()
            .map_err(|error| setup("TLS (system's roots and extra CAs)", error))?;
        Ok(self.tls.get_or_init(|| client))
    }
}

fn builder(settings: &Settings) -> Result<reqwest::ClientBuilder, NetError> {
    let mut builder = reqwest::Client::builder()
        .user_agent(concat!("sealift/", env!("CARGO_PKG_VERSION")))
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .referer(false)
        .no_proxy()
        .dns_resolver(settings.egress.clone())
        .connect_timeout(Duration::from_millis(settings.deadlines.connect_ms))
        .pool_max_idle_per_host(limits::REQUESTS_PER_ORIGIN_MAX);
    for proxy in proxies(&settings.proxies)? {
        builder = builder.proxy(proxy);
    }
    Ok(builder)
}

fn proxies(proxies: &Proxies) -> Result<Vec<reqwest::Proxy>, NetError> {
    let exceptions = proxies.exceptions.as_deref();
    let exceptions = exceptions.and_then(reqwest::NoProxy::from_string);
    let one = |url: &Option<String>, make: fn(&str) -> reqwest::Result<reqwest::Proxy>, name| {
        let url = url.as_deref().filter(|url| !url.is_empty());
        url.map(make)
            .transpose()
            .map(|proxy| proxy.map(|proxy| proxy.no_proxy(exceptions.clone())))
            .map_err(|error| setup(name, error))
    };
    Ok([
        one(&proxies.http, |url| reqwest::Proxy::http(url), "HTTP_PROXY")?,
        one(
            &proxies.https,
            |url| reqwest::Proxy::https(url),
            "HTTPS_PROXY",
        )?,
    ]
    .into_iter()
    .flatten()
    .collect())
}

fn wire(request: &Request, hop: &Hop) -> reqwest::Request {
    let mut wire = reqwest::Request::new(request.method.clone(), hop.url.clone());
    let headers = wire.headers_mut();
    *headers = request.headers.clone();
    if !request.gzip {
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    }
    if let Some(authorization) = request.authorization.as_ref().filter(|_| hop.credentials) {
        let mut authorization = authorization.clone();
        authorization.set_sensitive(true);
        headers.insert(AUTHORIZATION, authorization);
    }
    if let Some(body) = &request.body {
        *wire.body_mut() = Some(body.clone().into());
    }
    wire
}

/// Reads to the end, or refuses as soon as the limit is passed. Of an error only the beginning is
/// read: its status says enough, whatever its body does.
async fn read_body(
    mut answer: reqwest::Response,
    request: &Request,
    url: &Url,
) -> Result<Bytes, NetError> {
    if request.method == Method::HEAD {
        return Ok(Bytes::new());
    }
    if !answer.status().is_success() {
        return Ok(read_error_body(answer).await);
    }
    let limit = request.body_bytes_max;
    let too_large = || NetError::BodyTooLarge {
        url: masked_url(url.as_str()),
        limit_bytes: limit,
    };
    if answer
        .content_length()
        .is_some_and(|length| length > limit as u64)
    {
        return Err(too_large());
    }
    // Most answers are one chunk, which is then handed on without a copy.
    let (mut first, mut rest) = (Bytes::new(), BytesMut::new());
    loop {
        let chunk = answer.chunk().await.map_err(|error| NetError::Cut {
            url: masked_url(url.as_str()),
            source: error.without_url(),
        })?;
        let Some(chunk) = chunk else { break };
        if first.len() + rest.len() + chunk.len() > limit {
            return Err(too_large());
        }
        match (first.is_empty(), rest.is_empty()) {
            (true, true) => first = chunk,
            (_, true) => {
                rest.reserve(2 * (first.len() + chunk.len()));
                rest.extend_from_slice(&std::mem::take(&mut first));
                rest.extend_from_slice(&chunk);
            }
            (_, false) => rest.extend_from_slice(&chunk),
        }
    }
    Ok(if rest.is_empty() {
        first
    } else {
        rest.freeze()
    })
}

async fn read_error_body(mut answer: reqwest::Response) -> Bytes {
    let mut body = BytesMut::new();
    while let Ok(Some(chunk)) = answer.chunk().await {
        let room = limits::ERROR_BODY_BYTES_MAX - body.len();
        body.extend_from_slice(chunk.get(..room).unwrap_or(&chunk));
        if body.len() >= limits::ERROR_BODY_BYTES_MAX {
            break;
        }
    }
    body.freeze()
}

fn timed_out(url: &Url, phase: &'static str, limit_ms: u64) -> NetError {
    NetError::Timeout {
        url: masked_url(url.as_str()),
        phase,
        limit_ms,
    }
}

fn setup(what: &str, error: reqwest::Error) -> NetError {
    NetError::Setup {
        what: what.to_owned(),
        source: Some(error.without_url()),
    }
}
