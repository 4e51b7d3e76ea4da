//! The part of GitHub's API that gives out tokens of Apps, as a real HTTP server: it checks the
//! signature and the claims of the request, and gives out tokens that open a [`Gate`] for a while.
//!
//! GitHub's REST reference, "Apps".

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der};
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    KeyPair as _, RSA_PKCS1_2048_8192_SHA256, RsaKeyPair, UnparsedPublicKey,
};
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::http::Gate;

/// Id of the App.
pub const APP_ID: u64 = 4711;
/// Id of its one installation.
pub const INSTALLATION_ID: u64 = 815;
/// Bytes of a request's body in tests.
const BODY_BYTES_MAX: usize = 64 * 1024;
/// Bytes of PKCS#8 before the PKCS#1 key that it wraps, for RSA of 2048 bits. RFC 5208, 5.
const PKCS8_HEAD_BYTES: usize = 26;

struct Shared {
    public_key: Vec<u8>,
    gate: Gate,
    state: Mutex<Conduct>,
}

struct Conduct {
    /// `owner/name` of what the installation reaches.
    repositories: Vec<String>,
    life: SignedDuration,
    /// Ahead of the machine's clock.
    ahead: SignedDuration,
    fault: Option<(u16, String)>,
    requests: Vec<String>,
    asked: Vec<Value>,
    tokens: Vec<String>,
}

/// A running API; stopped when dropped.
pub struct GithubApi {
    address: SocketAddr,
    private_key_pem: String,
    shared: Arc<Shared>,
    runtime: Option<tokio::runtime::Runtime>,
}

impl GithubApi {
    /// An App that is installed on `repositories` (`owner/name`), with permission for contents
    /// alone. Tokens last an hour.
    #[must_use]
    pub fn start(repositories: &[&str]) -> Self {
        let key = RsaKeyPair::generate(KeySize::Rsa2048).expect("a key");
        let pkcs8: Pkcs8V1Der<'_> = key.as_der().expect("its bytes");
        let pkcs1 = STANDARD.encode(&pkcs8.as_ref()[PKCS8_HEAD_BYTES..]);
        let lines: Vec<_> = pkcs1.as_bytes().chunks(64).collect();
        let lines: String = lines
            .iter()
            .map(|line| format!("{}\n", String::from_utf8_lossy(line)))
            .collect();
        let kind = "RSA PRIVATE KEY";
        let private_key_pem = format!("-----BEGIN {kind}-----\n{lines}-----END {kind}-----\n");
        let shared = Arc::new(Shared {
            public_key: key.public_key().as_ref().to_vec(),
            gate: Gate::default(),
            state: Mutex::new(Conduct {
                repositories: repositories.iter().map(|&name| name.to_owned()).collect(),
                life: SignedDuration::from_hours(1),
                ahead: SignedDuration::ZERO,
                fault: None,
                requests: Vec::new(),
                asked: Vec::new(),
                tokens: Vec::new(),
            }),
        });
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime");
        // A test may itself run in a runtime, where nothing may block on another.
        let socket = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        socket.set_nonblocking(true).expect("a socket");
        let address = socket.local_addr().expect("an address");
        let entered = runtime.enter();
        let listener = TcpListener::from_std(socket).expect("a listener");
        drop(entered);
        let app = axum::Router::new()
            .fallback(answer)
            .with_state(Arc::clone(&shared));
        runtime.spawn(async move { axum::serve(listener, app).await });
        Self {
            address,
            private_key_pem,
            shared,
            runtime: Some(runtime),
        }
    }

    /// What `githubAppEnterpriseBaseUrl` says, as on a GitHub Enterprise server.
    #[must_use]
    pub fn base_url(&self) -> String {
        format!("http://localhost:{}/api/v3", self.address.port())
    }

    /// The App's private key, in the form that GitHub gives it out.
    #[must_use]
    pub fn private_key_pem(&self) -> &str {
        &self.private_key_pem
    }

    /// Opened by the token that was given out last, for as long as it lasts.
    #[must_use]
    pub fn gate(&self) -> Gate {
        self.shared.gate.clone()
    }

    /// Tokens last so long from now on.
    pub fn set_life(&self, life: Duration) {
        self.conduct().life = life.try_into().expect("a short time");
    }

    /// Its clock runs ahead by so much.
    pub fn set_ahead(&self, ahead: SignedDuration) {
        self.conduct().ahead = ahead;
    }

    /// Answers everything with this status and message from now on.
    pub fn set_fault(&self, fault: Option<(u16, &str)>) {
        self.conduct().fault = fault.map(|(status, message)| (status, message.to_owned()));
    }

    /// What was asked so far: `METHOD /path` each.
    #[must_use]
    pub fn requests(&self) -> Vec<String> {
        self.conduct().requests.clone()
    }

    /// The bodies of the questions for tokens that were answered with one.
    #[must_use]
    pub fn asked(&self) -> Vec<Value> {
        self.conduct().asked.clone()
    }

    /// The tokens that were given out.
    #[must_use]
    pub fn tokens(&self) -> Vec<String> {
        self.conduct().tokens.clone()
    }

    fn conduct(&self) -> MutexGuard<'_, Conduct> {
        self.shared.state.lock().expect("state")
    }
}

impl Drop for GithubApi {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

async fn answer(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, BODY_BYTES_MAX).await;
    let body = body.expect("a body");
    let path = parts.uri.path().to_owned();
    let mut state = shared.state.lock().expect("state");
    state.requests.push(format!("{} {path}", parts.method));
    if let Some((status, message)) = &state.fault {
        return said(*status, &json!({ "message": message }));
    }
    let bearer = parts
        .headers
        .get("authorization")
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.strip_prefix("Bearer "));
    let now = Timestamp::now() + state.ahead;
    if let Err(why) = check(bearer.unwrap_or_default(), &shared.public_key, now) {
        return said(401, &json!({ "message": why }));
    }
    let Some(path) = path.strip_prefix("/api/v3/") else {
        return said(404, &json!({ "message": "Not Found" }));
    };
    let segments: Vec<_> = path.split('/').collect();
    let installation = INSTALLATION_ID.to_string();
    match (parts.method.as_str(), segments.as_slice()) {
        ("GET", ["repos", owner, name, "installation"])
            if state.repositories.contains(&format!("{owner}/{name}")) =>
        {
            said(
                200,
                &json!({ "id": INSTALLATION_ID, "account": { "login": owner } }),
            )
        }
        ("POST", ["app", "installations", id, "access_tokens"]) if *id == installation => {
            give_out(&shared, &mut state, now, &body)
        }
        _ => said(404, &json!({ "message": "Not Found" })),
    }
}

fn give_out(shared: &Shared, state: &mut Conduct, now: Timestamp, body: &[u8]) -> Response {
    let asked: Value = serde_json::from_slice(body).unwrap_or_default();
    let known = |name: &Value| {
        let mut known = state.repositories.iter();
        known.any(|known| {
            known
                .split_once('/')
                .is_some_and(|(_, known)| name == known)
        })
    };
    let repositories = asked["repositories"].as_array();
    if !repositories.is_some_and(|names| !names.is_empty() && names.iter().all(known)) {
        let message = "There is at least one repository that does not exist or is not accessible \
                       to the parent installation.";
        return said(422, &json!({ "message": message }));
    }
    let permissions = asked["permissions"].as_object();
    if !permissions.is_some_and(|all| all.keys().all(|name| name == "contents")) {
        let message = "The permissions requested are not granted to this installation.";
        return said(422, &json!({ "message": message }));
    }
    let token = format!("ghs_{:032x}", rand::random::<u128>());
    let basic = STANDARD.encode(format!("x-access-token:{token}"));
    let life = state.life.try_into().expect("a time to come");
    shared.gate.admit(format!("Basic {basic}"), life);
    let answer = json!({
        "token": token,
        "expires_at": (now + state.life).to_string(),
        "permissions": asked["permissions"],
        "repository_selection": "selected",
    });
    state.asked.push(asked);
    state.tokens.push(token);
    said(201, &answer)
}

/// Signature and claims. RFC 7515, 5.2; GitHub, "Generating a JSON Web Token (JWT)".
fn check(token: &str, public_key: &[u8], now: Timestamp) -> Result<(), &'static str> {
    const UNREADABLE: &str = "A JSON web token could not be decoded";
    let (signed, signature) = token.rsplit_once('.').ok_or(UNREADABLE)?;
    let (header, claims) = signed.split_once('.').ok_or(UNREADABLE)?;
    let decoded = |part: &str| URL_SAFE_NO_PAD.decode(part).map_err(|_| UNREADABLE);
    let read = |part: &str| -> Result<Value, &'static str> {
        serde_json::from_slice(&decoded(part)?).map_err(|_| UNREADABLE)
    };
    let (header, claims) = (read(header)?, read(claims)?);
    if header["alg"] != "RS256" {
        return Err(UNREADABLE);
    }
    UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, public_key)
        .verify(signed.as_bytes(), &decoded(signature)?)
        .map_err(|_| UNREADABLE)?;
    let seconds = |name: &str| claims[name].as_i64().ok_or(UNREADABLE);
    let now = now.as_second();
    let id = APP_ID.to_string();
    if claims["iss"] != id.as_str() {
        return Err("Integration not found");
    }
    if seconds("iat")? > now {
        return Err(
            "'Issued at' claim ('iat') must be an Integer representing the time that the \
                    assertion was issued",
        );
    }
    if seconds("exp")? <= now || seconds("exp")? > now + 600 {
        return Err("'Expiration time' claim ('exp') is too far in the future");
    }
    Ok(())
}

fn said(status: u16, body: &Value) -> Response {
    Response::builder()
        .status(status)
        .header("content-type", "application/json; charset=utf-8")
        .body(Body::from(body.to_string()))
        .expect("a response")
}
