//! Smart HTTP: a real HTTP server in front of the real `git http-backend`, with authentication,
//! TLS, delays and faults.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls_pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;

/// Bytes of one request body, as packs of tests are.
const BODY_BYTES_MAX: usize = 1024 * 1024 * 1024;

/// What the server asks of its clients.
#[derive(Debug, Clone, Default)]
pub struct GitHttpOptions {
    /// The whole value of `Authorization` that opens the door.
    pub authorization: Option<String>,
    /// Besides, and changing: what another server lets in.
    pub gate: Option<Gate>,
    /// Whether it speaks TLS, with a certificate of its own authority for `localhost` and
    /// `127.0.0.1`.
    pub tls: bool,
    /// Waited before every answer.
    pub delay: Duration,
    /// Whether it speaks version 0 of the protocol alone.
    pub ignore_version: bool,
}

/// Who is let in now. Copies share.
#[derive(Debug, Clone, Default)]
pub struct Gate(Arc<Mutex<Option<(String, Instant)>>>);

impl Gate {
    /// Lets in who sends this value of `Authorization`, for so long, and nobody else.
    pub fn admit(&self, authorization: String, life: Duration) {
        *self.0.lock().expect("gate") = Some((authorization, Instant::now() + life));
    }

    /// Lets in nobody.
    pub fn close(&self) {
        *self.0.lock().expect("gate") = None;
    }

    fn lets_in(&self, given: Option<&str>) -> bool {
        let admitted = self.0.lock().expect("gate");
        admitted
            .as_ref()
            .is_some_and(|(wanted, end)| given == Some(wanted) && Instant::now() < *end)
    }
}

impl GitHttpOptions {
    /// A server that wants this user and password.
    #[must_use]
    pub fn basic(username: &str, password: &str) -> Self {
        let pair = STANDARD.encode(format!("{username}:{password}"));
        Self {
            authorization: Some(format!("Basic {pair}")),
            ..Self::default()
        }
    }

    /// A server that wants this bearer token.
    #[must_use]
    pub fn bearer(token: &str) -> Self {
        Self {
            authorization: Some(format!("Bearer {token}")),
            ..Self::default()
        }
    }
}

/// What the server does wrong, until told otherwise.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum GitFault {
    /// Nothing.
    #[default]
    None,
    /// Every answer has this status.
    Status(u16),
    /// Whoever may read may not push: its question before a push and the push get status 403.
    ReadOnly,
    /// Every answer redirects to this URL and the path asked for.
    Redirect(String),
    /// Pushes are carried out, but the connection ends before the answer.
    CutAfterPush,
    /// Pushes end before they are carried out.
    CutBeforePush,
}

/// A running server; stopped when dropped.
pub struct GitHttp {
    address: SocketAddr,
    ca_pem: Option<String>,
    shared: Arc<Shared>,
    runtime: Option<tokio::runtime::Runtime>,
}

type Hook = Box<dyn FnOnce() + Send>;

struct Shared {
    before_push: Mutex<Option<Hook>>,
    root: PathBuf,
    options: GitHttpOptions,
    delay: Mutex<Duration>,
    fault: Mutex<GitFault>,
    refused_fetches: Mutex<u32>,
    requests: Mutex<Vec<String>>,
}

impl GitHttp {
    /// Serves all repositories below `root`.
    #[must_use]
    pub fn start(root: &Path, options: GitHttpOptions) -> Self {
        let shared = Arc::new(Shared {
            root: root.to_owned(),
            delay: Mutex::new(options.delay),
            before_push: Mutex::default(),
            fault: Mutex::default(),
            refused_fetches: Mutex::default(),
            requests: Mutex::default(),
            options,
        });
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .expect("a runtime");
        // A test may itself run in a runtime, where nothing may block on another.
        let socket = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        socket.set_nonblocking(true).expect("a socket");
        let entered = runtime.enter();
        let listener = TcpListener::from_std(socket).expect("a listener");
        drop(entered);
        let address = listener.local_addr().expect("an address");
        let app = axum::Router::new()
            .fallback(answer)
            .with_state(Arc::clone(&shared));
        let mut ca_pem = None;
        if shared.options.tls {
            let (acceptor, pem) = tls();
            ca_pem = Some(pem);
            let listener = TlsListener { listener, acceptor };
            runtime.spawn(async move { axum::serve(listener, app).await });
        } else {
            runtime.spawn(async move { axum::serve(listener, app).await });
        }
        Self {
            address,
            ca_pem,
            shared,
            runtime: Some(runtime),
        }
    }

    /// The URL of the repository `name.git`.
    #[must_use]
    pub fn url(&self, name: &str) -> String {
        let scheme = if self.ca_pem.is_some() {
            "https"
        } else {
            "http"
        };
        format!("{scheme}://localhost:{}/{name}.git", self.address.port())
    }

    /// The authority that signed the server's certificate, PEM.
    #[must_use]
    pub fn ca_pem(&self) -> Option<&str> {
        self.ca_pem.as_deref()
    }

    /// What was asked since the last call: `METHOD /path?query` each.
    #[must_use]
    pub fn take_requests(&self) -> Vec<String> {
        std::mem::take(&mut self.shared.requests.lock().expect("requests"))
    }

    /// Waits this long before every answer from now on.
    pub fn set_delay(&self, delay: Duration) {
        *self.shared.delay.lock().expect("delay") = delay;
    }

    /// Does this once, when the next push has arrived and before it is carried out.
    pub fn before_push(&self, hook: impl FnOnce() + Send + 'static) {
        *self.shared.before_push.lock().expect("hook") = Some(Box::new(hook));
    }

    /// Refuses so many of the next fetches, whatever else it does.
    pub fn refuse_fetches(&self, count: u32) {
        *self.shared.refused_fetches.lock().expect("count") = count;
    }

    /// Does this wrong from now on.
    pub fn set_fault(&self, fault: GitFault) {
        *self.shared.fault.lock().expect("fault") = fault;
    }
}

impl std::fmt::Debug for GitHttp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "GitHttp({})", self.address)
    }
}

impl Drop for GitHttp {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

async fn answer(State(shared): State<Arc<Shared>>, mut request: Request) -> Response {
    let target = request
        .uri()
        .path_and_query()
        .map_or("/", |target| target.as_str())
        .to_owned();
    shared
        .requests
        .lock()
        .expect("requests")
        .push(format!("{} {target}", request.method()));
    let delay = *shared.delay.lock().expect("delay");
    tokio::time::sleep(delay).await;
    let fault = shared.fault.lock().expect("fault").clone();
    let pushes = request.uri().path().ends_with("/git-receive-pack");
    if target.contains("git-upload-pack") {
        let mut refused = shared.refused_fetches.lock().expect("count");
        if *refused > 0 {
            *refused -= 1;
            return plain(403, &[]);
        }
    }
    match &fault {
        GitFault::Status(status) => return plain(*status, &[]),
        GitFault::Redirect(to) => return plain(302, &[("location", &format!("{to}{target}"))]),
        GitFault::CutBeforePush if pushes => return cut(),
        GitFault::ReadOnly if target.contains("git-receive-pack") => return plain(403, &[]),
        _ => {}
    }
    let given = request
        .headers()
        .get("authorization")
        .and_then(|value| value.to_str().ok());
    let options = &shared.options;
    let wanted = options.authorization.as_deref();
    let gate = options.gate.as_ref();
    if wanted.is_some_and(|wanted| given != Some(wanted))
        || gate.is_some_and(|gate| !gate.lets_in(given))
    {
        return plain(401, &[("www-authenticate", "Basic realm=\"git\"")]);
    }
    if pushes && let Some(hook) = shared.before_push.lock().expect("hook").take() {
        hook();
    }
    if shared.options.ignore_version {
        request.headers_mut().remove("git-protocol");
    }
    let response = backend(&shared.root, request).await;
    if pushes && fault == GitFault::CutAfterPush {
        cut()
    } else {
        response
    }
}

/// An answer that ends in an error: the client sees a broken connection.
fn cut() -> Response {
    let body = futures_util::stream::once(async {
        Err::<Bytes, _>(std::io::Error::from(std::io::ErrorKind::ConnectionAborted))
    });
    let builder =
        Response::builder().header("content-type", "application/x-git-receive-pack-result");
    builder.body(Body::from_stream(body)).expect("a response")
}

fn plain(status: u16, headers: &[(&str, &str)]) -> Response {
    let mut builder = Response::builder().status(status);
    for (name, value) in headers {
        builder = builder.header(*name, *value);
    }
    builder.body(Body::empty()).expect("a response")
}

/// Runs `git http-backend` for one request. git-http-backend(1), "ENVIRONMENT".
async fn backend(root: &Path, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, BODY_BYTES_MAX)
        .await
        .expect("a body");
    let header = |name: &str| {
        parts
            .headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
            .to_owned()
    };
    let mut command = tokio::process::Command::new("git");
    command
        .arg("http-backend")
        .env("GIT_PROJECT_ROOT", root)
        .env("GIT_HTTP_EXPORT_ALL", "1")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("PATH_INFO", parts.uri.path())
        .env("QUERY_STRING", parts.uri.query().unwrap_or_default())
        .env("REQUEST_METHOD", parts.method.as_str())
        .env("CONTENT_TYPE", header("content-type"))
        .env("CONTENT_LENGTH", body.len().to_string())
        .env("HTTP_CONTENT_ENCODING", header("content-encoding"))
        .env("GIT_PROTOCOL", header("git-protocol"))
        .env("REMOTE_ADDR", "127.0.0.1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true);
    let mut child = command.spawn().expect("`git http-backend` starts");
    let mut stdin = child.stdin.take().expect("stdin");
    let write = async move {
        let _ = stdin.write_all(&body).await;
    };
    let ((), output) = tokio::join!(write, child.wait_with_output());
    cgi_response(&output.expect("the output of `git http-backend`").stdout)
}

/// RFC 3875, section 6: header lines, an empty line, the body.
fn cgi_response(output: &[u8]) -> Response {
    let end = output
        .windows(4)
        .position(|window| window == b"\r\n\r\n")
        .expect("CGI headers");
    let headers = String::from_utf8_lossy(&output[..end]).into_owned();
    let mut builder = Response::builder();
    for (name, value) in headers.lines().filter_map(|line| line.split_once(": ")) {
        if name.eq_ignore_ascii_case("status") {
            let code = value
                .split(' ')
                .next()
                .and_then(|code| code.parse::<u16>().ok());
            builder = builder.status(code.expect("a status"));
        } else {
            builder = builder.header(name, value);
        }
    }
    builder
        .body(Body::from(output[end + 4..].to_vec()))
        .expect("a response")
}

/// An acceptor with a certificate of a new authority, and that authority.
fn tls() -> (TlsAcceptor, String) {
    let ca_key = rcgen::KeyPair::generate().expect("a key");
    let mut ca = rcgen::CertificateParams::new(Vec::<String>::new()).expect("parameters");
    ca.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    ca.distinguished_name
        .push(rcgen::DnType::CommonName, "Test authority");
    let ca_certificate = ca.self_signed(&ca_key).expect("an authority");
    let key = rcgen::KeyPair::generate().expect("a key");
    let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
    let leaf = rcgen::CertificateParams::new(names).expect("parameters");
    let issuer = rcgen::Issuer::new(ca, ca_key);
    let leaf = leaf.signed_by(&key, &issuer).expect("a certificate");
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let provider = Arc::new(tokio_rustls::rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("protocol versions")
        .with_no_client_auth()
        .with_single_cert(vec![leaf.der().clone()], key)
        .expect("a TLS configuration");
    (TlsAcceptor::from(Arc::new(config)), ca_certificate.pem())
}

struct TlsListener {
    listener: TcpListener,
    acceptor: TlsAcceptor,
}

impl axum::serve::Listener for TlsListener {
    type Io = tokio_rustls::server::TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            if let Ok((stream, address)) = self.listener.accept().await
                && let Ok(stream) = self.acceptor.accept(stream).await
            {
                return (stream, address);
            }
        }
    }

    fn local_addr(&self) -> std::io::Result<Self::Addr> {
        self.listener.local_addr()
    }
}
