//! Probes and metrics over HTTP, while `run --interval` runs: `/healthz`, `/readyz`, `/metrics`.

use std::net::{Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::metrics::Metrics;

/// How long open connections may finish after a signal.
const GRACE: Duration = Duration::from_secs(5);

/// Reads an address as Go programs take it: `:8081` is every interface, `0` and nothing are "off".
///
/// # Errors
/// The text is no address.
pub fn address(text: &str) -> anyhow::Result<Option<SocketAddr>> {
    if matches!(text, "" | "0") {
        return Ok(None);
    }
    let refused = || format!("`{text}` is no address such as `:8081` or `127.0.0.1:8081`");
    if let Some(port) = text.strip_prefix(':') {
        let port = port.parse().with_context(refused)?;
        return Ok(Some((Ipv6Addr::UNSPECIFIED, port).into()));
    }
    text.parse().map(Some).with_context(refused)
}

/// Opens the listening socket, so that a taken port is an error before the first cycle.
///
/// # Errors
/// The address cannot be bound.
pub async fn bind(address: SocketAddr) -> anyhow::Result<TcpListener> {
    match TcpListener::bind(address).await {
        // A machine without IPv6 still has every IPv4 interface.
        Err(_) if address.ip() == Ipv6Addr::UNSPECIFIED => {
            TcpListener::bind(("0.0.0.0", address.port())).await
        }
        result => result,
    }
    .with_context(|| format!("`{address}` cannot be listened on"))
}

/// Serves until `stop` turns true.
///
/// # Errors
/// The listener fails.
pub async fn serve(
    listener: TcpListener,
    metrics: Arc<Metrics>,
    mut stop: watch::Receiver<bool>,
) -> anyhow::Result<()> {
    let router = Router::new()
        .route("/healthz", get(|| async { "OK" }))
        .route("/readyz", get(ready))
        .route("/metrics", get(text))
        .with_state(metrics);
    let mut asked = stop.clone();
    let stopped = async move {
        let _ = asked.wait_for(|stop| *stop).await;
    };
    let server = axum::serve(listener, router).with_graceful_shutdown(stopped);
    let overdue = async move {
        let _ = stop.wait_for(|stop| *stop).await;
        tokio::time::sleep(GRACE).await;
    };
    tokio::select! {
        result = server => Ok(result?),
        () = overdue => Ok(()),
    }
}

async fn ready(State(metrics): State<Arc<Metrics>>) -> (StatusCode, &'static str) {
    if metrics.is_ready() {
        (StatusCode::OK, "OK")
    } else {
        (
            StatusCode::SERVICE_UNAVAILABLE,
            "the first cycle has not ended yet",
        )
    }
}

async fn text(State(metrics): State<Arc<Metrics>>) -> impl IntoResponse {
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(header::CONTENT_TYPE, kind)], metrics.text())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_read_as_go_programs_take_them() {
        assert_eq!(address("0").unwrap(), None);
        assert_eq!(address(":8081").unwrap().unwrap().port(), 8081);
        assert_eq!(
            address("127.0.0.1:1").unwrap().unwrap().to_string(),
            "127.0.0.1:1"
        );
        assert!(address("x").is_err());
    }
}
