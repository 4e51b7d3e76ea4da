//! A registry that follows a script: it pages, sends validators, asks for credentials, and lies on
//! request.
//!
//! Without rules it is an honest, read-only registry (OCI distribution-spec v1.1). Rules turn
//! single requests into the answers of broken and hostile servers. Every request is recorded with
//! its headers.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use base64::Engine as _;
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::image::{Artifact, OCI_INDEX, descriptor, digest_of};
use super::tls::Authority;
pub use super::wire::Recorded;
use super::wire::{self, Manner, Reply};

/// What the registry asks clients for.
#[derive(Debug, Clone, Default)]
pub enum Auth {
    /// Nothing.
    #[default]
    None,
    /// `user:password` on every request.
    Basic(String, String),
    /// A token for each repository.
    Bearer {
        /// The token server; `None`: `/token` of this registry.
        realm: Option<String>,
        /// `user` and `password` that the token server wants; `None`: tokens for everyone.
        account: Option<(String, String)>,
        /// `expires_in` of the tokens; `None` leaves it out.
        expires_in_secs: Option<u64>,
    },
}

/// What a rule does to the answer of a request.
#[derive(Debug, Clone)]
pub enum Fault {
    /// Another answer: status, headers, body.
    Answer(u16, Vec<(String, String)>, Vec<u8>),
    /// A redirect (307) to this URL.
    Redirect(String),
    /// The honest answer with this header set.
    Header(String, String),
    /// The honest answer without this header.
    WithoutHeader(String),
    /// The honest headers over this body.
    Body(Vec<u8>),
    /// The honest answer, but the connection ends after this many bytes of body.
    Cut(usize),
    /// The honest answer with a `Content-Length` of this many bytes; then the connection ends.
    Promise(usize),
    /// The honest answer, a byte at a time, with this wait in milliseconds.
    Drip(u64),
    /// A body of this many bytes without a `Content-Length`.
    Endless(usize),
    /// No answer, the connection stays open.
    Hang,
    /// No answer, the connection ends.
    Close,
}

#[derive(Debug)]
struct Rule {
    target: String,
    times: usize,
    fault: Fault,
}

#[derive(Debug, Default)]
struct State {
    auth: Auth,
    page: Option<usize>,
    etags: bool,
    latency: Duration,
    rules: Vec<Rule>,
    requests: Vec<Recorded>,
    tags: BTreeMap<String, BTreeMap<String, String>>,
    referrers_page: Option<usize>,
    /// Descriptors by repository and subject.
    referrers: BTreeMap<(String, String), Vec<Value>>,
    manifests: BTreeMap<String, (String, Vec<u8>)>,
    blobs: BTreeMap<String, Vec<u8>>,
    tokens: BTreeSet<(String, String)>,
    issued: usize,
    connections: usize,
}

/// A running scripted registry; it ends when dropped.
pub struct ScriptedRegistry {
    url: String,
    address: SocketAddr,
    ca_pem: Option<String>,
    state: Arc<Mutex<State>>,
    task: JoinHandle<()>,
}

impl ScriptedRegistry {
    /// Plain HTTP on loopback.
    pub async fn start() -> Self {
        Self::launch(None).await
    }

    /// HTTPS on loopback; clients must trust [`ScriptedRegistry::ca_pem`].
    pub async fn start_tls() -> Self {
        Self::launch(Some(Authority::new())).await
    }

    async fn launch(tls: Option<Authority>) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
        let address = listener.local_addr().expect("its address");
        let scheme = if tls.is_some() { "https" } else { "http" };
        let url = format!("{scheme}://{address}");
        let state = Arc::new(Mutex::new(State::default()));
        let ca_pem = tls.as_ref().map(|tls| tls.ca_pem.clone());
        let task = tokio::spawn(accept(listener, tls, Arc::clone(&state), url.clone()));
        Self {
            url,
            address,
            ca_pem,
            state,
            task,
        }
    }

    /// `http://127.0.0.1:PORT` or `https://…`.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The CA of an HTTPS registry.
    #[must_use]
    pub fn ca_pem(&self) -> Option<&str> {
        self.ca_pem.as_deref()
    }

    /// Asks for these credentials from now on.
    pub fn set_auth(&self, auth: Auth) {
        self.state().auth = auth;
    }

    /// Forgets every token it gave out.
    pub fn revoke_tokens(&self) {
        self.state().tokens.clear();
    }

    /// Serves at most `tags` tags a page, with `Link` to the next.
    pub fn set_page(&self, tags: usize) {
        self.state().page = Some(tags);
    }

    /// Sends an `ETag` with listings and answers `304` to one that still holds.
    pub fn set_etags(&self) {
        self.state().etags = true;
    }

    /// Waits this long before each answer.
    pub fn set_latency(&self, latency: Duration) {
        self.state().latency = latency;
    }

    /// Lets `fault` answer every request whose `METHOD path?query` contains `target`.
    pub fn always(&self, target: &str, fault: Fault) {
        self.times(usize::MAX, target, fault);
    }

    /// Lets `fault` answer the next request whose `METHOD path?query` contains `target`.
    pub fn once(&self, target: &str, fault: Fault) {
        self.times(1, target, fault);
    }

    /// Lets `fault` answer the next `times` such requests. The oldest rule goes first.
    pub fn times(&self, times: usize, target: &str, fault: Fault) {
        self.state().rules.push(Rule {
            target: target.to_owned(),
            times,
            fault,
        });
    }

    /// Drops all rules.
    pub fn behave(&self) {
        self.state().rules.clear();
    }

    /// Stores `artifact` under `tag`.
    pub fn put(&self, repository: &str, tag: &str, artifact: &Artifact) {
        let mut state = self.state();
        state.store(artifact);
        let tags = state.tags.entry(repository.to_owned()).or_default();
        tags.insert(tag.to_owned(), artifact.manifest.digest.clone());
    }

    /// Has the referrers API from now on, with at most `page` descriptors a page.
    pub fn set_referrers(&self, page: usize) {
        self.state().referrers_page = Some(page);
    }

    /// Stores `artifact`, which names a subject, and lists it among that subject's referrers.
    pub fn attach(&self, repository: &str, artifact: &Artifact) {
        let manifest: Value = serde_json::from_slice(&artifact.manifest.bytes).expect("JSON");
        let subject = manifest["subject"]["digest"].as_str().expect("a subject");
        self.state().store(artifact);
        let entry = descriptor(&artifact.media_type, &artifact.manifest);
        self.list_referrer(repository, subject, entry);
    }

    /// Lists `descriptor` among the referrers of `subject`, true or not.
    pub fn list_referrer(&self, repository: &str, subject: &str, descriptor: Value) {
        let key = (repository.to_owned(), subject.to_owned());
        let mut state = self.state();
        state.referrers.entry(key).or_default().push(descriptor);
    }

    /// Takes a tag away.
    pub fn untag(&self, repository: &str, tag: &str) {
        if let Some(tags) = self.state().tags.get_mut(repository) {
            tags.remove(tag);
        }
    }

    /// Every request so far.
    #[must_use]
    pub fn requests(&self) -> Vec<Recorded> {
        self.state().requests.clone()
    }

    /// Every request so far as `METHOD path`, in the order of arrival.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        let line = |request: &Recorded| format!("{} {}", request.method, request.path);
        self.state().requests.iter().map(line).collect()
    }

    /// How many requests there were whose `METHOD path?query` contains `target`.
    #[must_use]
    pub fn count(&self, target: &str) -> usize {
        let hits = |request: &&Recorded| target_of(request).contains(target);
        self.state().requests.iter().filter(hits).count()
    }

    /// How many connections were opened so far.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.state().connections
    }

    /// Forgets the requests so far.
    pub fn forget_requests(&self) {
        self.state().requests.clear();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no handler panicked")
    }
}

impl Drop for ScriptedRegistry {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(
    listener: TcpListener,
    tls: Option<Authority>,
    state: Arc<Mutex<State>>,
    url: String,
) {
    while let Ok((stream, _)) = listener.accept().await {
        let _best_effort = stream.set_nodelay(true);
        state.lock().expect("no handler panicked").connections += 1;
        let (state, url, tls) = (Arc::clone(&state), url.clone(), tls.clone());
        tokio::spawn(async move {
            match tls {
                None => converse(stream, &state, &url).await,
                Some(tls) => match tls.acceptor.accept(stream).await {
                    Ok(stream) => converse(stream, &state, &url).await,
                    Err(_refused_by_client) => {}
                },
            }
        });
    }
}

async fn converse(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    state: &Mutex<State>,
    url: &str,
) {
    while let Ok(Some(request)) = wire::read(&mut stream).await {
        let (reply, latency) = {
            let mut state = state.lock().expect("no handler panicked");
            state.requests.push(request.clone());
            (state.answer(&request, url), state.latency)
        };
        tokio::time::sleep(latency).await;
        let head_only = request.method == "HEAD";
        if !matches!(wire::write(&mut stream, &reply, head_only).await, Ok(true)) {
            return;
        }
    }
}

fn target_of(request: &Recorded) -> String {
    let Recorded {
        method,
        path,
        query,
        ..
    } = request;
    format!("{method} {path}?{query}")
}

impl State {
    fn store(&mut self, artifact: &Artifact) {
        for child in &artifact.children {
            self.store(child);
        }
        for blob in &artifact.blobs {
            self.blobs.insert(blob.digest.clone(), blob.bytes.clone());
        }
        let manifest = (artifact.media_type.clone(), artifact.manifest.bytes.clone());
        self.manifests
            .insert(artifact.manifest.digest.clone(), manifest);
    }

    fn answer(&mut self, request: &Recorded, url: &str) -> Reply {
        let target = target_of(request);
        let rule = self
            .rules
            .iter_mut()
            .find(|rule| rule.times > 0 && target.contains(&rule.target));
        let fault = rule.map(|rule| {
            rule.times -= 1;
            rule.fault.clone()
        });
        let honest = |state: &mut Self| state.honest(request, url);
        match fault {
            None => honest(self),
            Some(Fault::Answer(status, headers, body)) => Reply {
                status,
                headers,
                body,
                manner: Manner::Honest,
            },
            Some(Fault::Redirect(to)) => Reply::new(307).header("Location", to),
            Some(Fault::Header(name, value)) => honest(self).header(&name, value),
            Some(Fault::WithoutHeader(name)) => {
                let mut reply = honest(self);
                reply
                    .headers
                    .retain(|(known, _)| !known.eq_ignore_ascii_case(&name));
                reply
            }
            Some(Fault::Body(body)) => Reply {
                body,
                ..honest(self)
            },
            Some(Fault::Cut(at)) => with(honest(self), Manner::Cut(at)),
            Some(Fault::Promise(length)) => with(honest(self), Manner::Promise(length)),
            Some(Fault::Drip(ms)) => with(honest(self), Manner::Drip(Duration::from_millis(ms))),
            Some(Fault::Endless(bytes)) => with(honest(self), Manner::Endless(bytes)),
            Some(Fault::Hang) => with(Reply::new(200), Manner::Hang),
            Some(Fault::Close) => with(Reply::new(200), Manner::Close),
        }
    }

    fn honest(&mut self, request: &Recorded, url: &str) -> Reply {
        if request.path == "/token" {
            return self.token(request);
        }
        let Some(rest) = request.path.strip_prefix("/v2/") else {
            return Reply::new(404);
        };
        let repository = ["/tags/", "/manifests/", "/blobs/", "/referrers/"]
            .iter()
            .find_map(|part| rest.rsplit_once(part));
        let Some((repository, last)) = repository else {
            return self.challenge(request, "", url).unwrap_or(Reply::new(200));
        };
        if let Some(challenge) = self.challenge(request, repository, url) {
            return challenge;
        }
        if rest.ends_with("/tags/list") {
            self.listing(request, repository)
        } else if rest.contains("/manifests/") {
            self.manifest(repository, last)
        } else if rest.contains("/referrers/") {
            self.referrers(request, repository, last)
        } else {
            let blob = self.blobs.get(last);
            blob.map_or(Reply::new(404), |bytes| Reply {
                body: bytes.clone(),
                ..Reply::new(200).header("Content-Type", "application/octet-stream")
            })
        }
    }

    fn challenge(&self, request: &Recorded, repository: &str, url: &str) -> Option<Reply> {
        let sent = request.header("authorization").unwrap_or_default();
        let (accepted, challenge) = match &self.auth {
            Auth::None => return None,
            Auth::Basic(user, password) => (
                sent == basic(user, password),
                "Basic realm=\"scripted\"".to_owned(),
            ),
            Auth::Bearer { realm, .. } => {
                let token = sent.strip_prefix("Bearer ").unwrap_or_default().to_owned();
                let realm = realm.clone().unwrap_or(format!("{url}/token"));
                let challenge = format!(
                    "Bearer realm=\"{realm}\",service=\"scripted\",scope=\"repository:{repository}:pull\""
                );
                (
                    self.tokens.contains(&(repository.to_owned(), token)),
                    challenge,
                )
            }
        };
        let errors = json!({ "errors": [{ "code": "UNAUTHORIZED", "message": "no" }] });
        (!accepted).then(|| {
            Reply::new(401)
                .json(&errors)
                .header("WWW-Authenticate", challenge)
        })
    }

    fn token(&mut self, request: &Recorded) -> Reply {
        let Auth::Bearer {
            account,
            expires_in_secs,
            ..
        } = &self.auth
        else {
            return Reply::new(404);
        };
        let sent = request.header("authorization");
        if let Some((user, password)) = account
            && sent != Some(&basic(user, password))
        {
            return Reply::new(401).json(&json!({ "details": "incorrect username or password" }));
        }
        let scope = url::form_urlencoded::parse(request.query.as_bytes())
            .find(|(key, _)| key == "scope")
            .map(|(_, scope)| scope.into_owned())
            .unwrap_or_default();
        let repository = scope.split(':').nth(1).unwrap_or_default().to_owned();
        self.issued += 1;
        let token = format!("token-{}", self.issued);
        let mut answer = json!({ "token": token });
        if let Some(seconds) = expires_in_secs {
            answer["expires_in"] = json!(seconds);
        }
        self.tokens.insert((repository, token));
        Reply::new(200).json(&answer)
    }

    fn listing(&self, request: &Recorded, repository: &str) -> Reply {
        let Some(tags) = self.tags.get(repository) else {
            return Reply::new(404).json(&json!({ "errors": [{ "code": "NAME_UNKNOWN" }] }));
        };
        let query: BTreeMap<String, String> = url::form_urlencoded::parse(request.query.as_bytes())
            .into_owned()
            .collect();
        let wanted = query.get("n").and_then(|n| n.parse().ok());
        let size = self
            .page
            .map_or(usize::MAX, |page| page.min(wanted.unwrap_or(page)));
        let after = query.get("last");
        let mut rest = tags
            .keys()
            .filter(|tag| after.is_none_or(|last| *tag > last));
        let page: Vec<&String> = rest.by_ref().take(size).collect();
        let body = json!({ "name": repository, "tags": page });
        let mut reply = Reply::new(200).json(&body);
        if let (Some(_), Some(last)) = (rest.next(), page.last()) {
            let next = format!("</v2/{repository}/tags/list?last={last}&n={size}>; rel=\"next\"");
            reply = reply.header("Link", next);
        }
        if !self.etags {
            return reply;
        }
        let etag = format!("\"{}\"", digest_of(&reply.body));
        if request.header("if-none-match") == Some(&etag) {
            return Reply::new(304).header("ETag", etag);
        }
        reply.header("ETag", etag)
    }

    fn referrers(&self, request: &Recorded, repository: &str, subject: &str) -> Reply {
        let Some(size) = self.referrers_page else {
            return Reply::new(404).json(&json!({ "errors": [{ "code": "MANIFEST_UNKNOWN" }] }));
        };
        let key = (repository.to_owned(), subject.to_owned());
        let all = self.referrers.get(&key).map_or(&[][..], Vec::as_slice);
        let start = url::form_urlencoded::parse(request.query.as_bytes())
            .find(|(key, _)| key == "start")
            .map_or(0, |(_, start)| start.parse().unwrap_or(0));
        let end = all.len().min(start + size);
        let page = all.get(start..end).unwrap_or_default();
        let body = json!({ "schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": page });
        let reply = Reply::new(200)
            .json(&body)
            .header("Content-Type", OCI_INDEX);
        match end < all.len() {
            true => {
                let next = format!("</v2/{repository}/referrers/{subject}?start={end}>");
                reply.header("Link", format!("{next}; rel=\"next\""))
            }
            false => reply,
        }
    }

    fn manifest(&self, repository: &str, reference: &str) -> Reply {
        let by_tag = self
            .tags
            .get(repository)
            .and_then(|tags| tags.get(reference));
        let digest = by_tag.map_or(reference, String::as_str);
        let Some((media_type, bytes)) = self.manifests.get(digest) else {
            return Reply::new(404).json(&json!({ "errors": [{ "code": "MANIFEST_UNKNOWN" }] }));
        };
        let reply = Reply::new(200)
            .header("Content-Type", media_type)
            .header("Docker-Content-Digest", digest);
        Reply {
            body: bytes.clone(),
            ..reply
        }
    }
}

fn with(reply: Reply, manner: Manner) -> Reply {
    Reply { manner, ..reply }
}

fn basic(user: &str, password: &str) -> String {
    let text = base64::engine::general_purpose::STANDARD.encode(format!("{user}:{password}"));
    format!("Basic {text}")
}
