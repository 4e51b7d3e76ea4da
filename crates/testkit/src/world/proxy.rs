//! A reverse proxy on loopback that delays every request and counts them by kind.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::{IntoResponse as _, Response};
use http::{HeaderName, Method, StatusCode, header};

/// Names the kind of a request, from its method, path and query.
pub type Kind = fn(&Method, &str, &str) -> &'static str;

/// A running proxy; it stops when dropped.
#[derive(Debug)]
pub struct CountingProxy {
    address: SocketAddr,
    counts: Arc<Mutex<BTreeMap<&'static str, u64>>>,
    server: tokio::task::JoinHandle<()>,
}

struct Way {
    upstream: String,
    latency: Duration,
    kind: Kind,
    client: reqwest::Client,
    counts: Arc<Mutex<BTreeMap<&'static str, u64>>>,
}

/// These belong to one hop (RFC 9110, section 7.6.1); the rest travels on, `Host` included.
const HOP_HEADERS: &[HeaderName] = &[
    header::CONNECTION,
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

impl CountingProxy {
    /// Listens on loopback and passes everything on to `upstream` (`http://HOST:PORT`).
    pub async fn start(upstream: &str, latency: Duration, kind: Kind) -> Self {
        let client = reqwest::Client::builder()
            .no_proxy()
            .no_gzip()
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .expect("client");
        let counts = Arc::default();
        let upstream = upstream.to_owned();
        let way = Way {
            upstream,
            latency,
            kind,
            client,
            counts: Arc::clone(&counts),
        };
        let app = axum::Router::new()
            .fallback(forward)
            .with_state(Arc::new(way));
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0))
            .await
            .expect("a port");
        let address = listener.local_addr().expect("its address");
        let server = tokio::spawn(async move {
            axum::serve(listener, app).await.expect("the proxy serves");
        });
        Self {
            address,
            counts,
            server,
        }
    }

    /// `http://127.0.0.1:PORT`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Requests of one kind since [`CountingProxy::take_counts`] was last called.
    ///
    /// # Panics
    /// Where a request panicked while it counted.
    #[must_use]
    pub fn count(&self, kind: &str) -> u64 {
        let counts = self.counts.lock().expect("no panic while counting");
        counts.get(kind).copied().unwrap_or_default()
    }

    /// Requests by kind since the last call.
    ///
    /// # Panics
    /// Where a request panicked while it counted.
    #[must_use]
    pub fn take_counts(&self) -> BTreeMap<&'static str, u64> {
        std::mem::take(&mut *self.counts.lock().expect("no panic while counting"))
    }
}

impl Drop for CountingProxy {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// Carries a request on, and goes on when the client dies: servers have heard it by then.
async fn forward(State(way): State<Arc<Way>>, request: Request) -> Response {
    let carried = tokio::spawn(carry(way, request)).await;
    carried.unwrap_or_else(|error| (StatusCode::BAD_GATEWAY, error.to_string()).into_response())
}

async fn carry(way: Arc<Way>, request: Request) -> Response {
    let (mut head, body) = request.into_parts();
    let kind = (way.kind)(
        &head.method,
        head.uri.path(),
        head.uri.query().unwrap_or_default(),
    );
    *way.counts
        .lock()
        .expect("no panic while counting")
        .entry(kind)
        .or_default() += 1;
    // Half on the way there, half on the way back: a client that dies was heard or was not.
    let half = way.latency / 2;
    if !half.is_zero() {
        tokio::time::sleep(half).await;
    }
    HOP_HEADERS
        .iter()
        .for_each(|name| drop(head.headers.remove(name)));
    let target = head
        .uri
        .path_and_query()
        .map_or("/", |target| target.as_str());
    let sent = way
        .client
        .request(head.method, format!("{}{target}", way.upstream))
        .headers(head.headers)
        .body(reqwest::Body::wrap_stream(body.into_data_stream()))
        .send()
        .await;
    if !half.is_zero() {
        tokio::time::sleep(half).await;
    }
    match sent {
        Ok(answer) => answered(answer),
        Err(error) => (StatusCode::BAD_GATEWAY, error.to_string()).into_response(),
    }
}

fn answered(answer: reqwest::Response) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = answer.status();
    *response.headers_mut() = answer.headers().clone();
    HOP_HEADERS
        .iter()
        .for_each(|name| drop(response.headers_mut().remove(name)));
    *response.body_mut() = Body::from_stream(answer.bytes_stream());
    response
}

/// Kinds of requests to a registry.
#[must_use]
pub fn registry_kind(method: &Method, path: &str, _: &str) -> &'static str {
    match path {
        "/v2/" | "/v2" => "ping",
        _ if path.ends_with("/tags/list") => "tags",
        _ if path.contains("/manifests/") && method == Method::HEAD => "manifest-head",
        _ if path.contains("/manifests/") => "manifest-get",
        _ if path.contains("/blobs/") => "blob",
        _ if path.contains("token") => "token",
        _ => "other",
    }
}

/// Kinds of requests to a Git server, smart HTTP.
#[must_use]
pub fn git_kind(_: &Method, path: &str, query: &str) -> &'static str {
    match path {
        _ if path.ends_with("/info/refs") && query.contains("receive-pack") => "refs-for-push",
        _ if path.ends_with("/info/refs") => "refs-for-fetch",
        _ if path.ends_with("/git-upload-pack") => "fetch",
        _ if path.ends_with("/git-receive-pack") => "push",
        _ => "other",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn requests_reach_the_upstream_and_are_counted_by_kind() {
        let registry = crate::registry::docker::DockerRegistry::start();
        let artifact = crate::registry::image::image(&crate::registry::image::ImageSpec::default());
        registry.storage().write_tagged("a/b", "1.0.0", &artifact);
        let proxy = CountingProxy::start(&registry.url(), Duration::ZERO, registry_kind).await;
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let tags = client.get(format!("{}/v2/a/b/tags/list?n=1000", proxy.url()));
        assert!(
            tags.send()
                .await
                .unwrap()
                .text()
                .await
                .unwrap()
                .contains("1.0.0")
        );
        let manifest = client.head(format!("{}/v2/a/b/manifests/1.0.0", proxy.url()));
        let manifest = manifest
            .header("accept", &artifact.media_type)
            .send()
            .await
            .unwrap();
        assert_eq!(
            manifest.headers()["docker-content-digest"],
            artifact.manifest.digest.as_str()
        );
        assert_eq!(
            proxy.take_counts(),
            BTreeMap::from([("manifest-head", 1), ("tags", 1)])
        );
        assert_eq!(proxy.take_counts(), BTreeMap::new());
    }
}
