//! What `run --interval` serves: `/healthz` and `/readyz` for the kubelet, `/metrics` for a scraper.
//!
//! Here: addresses, and which path is where. Below: [`connections`], which bounds whoever connects;
//! [`reviews`], which asks the API server who may read; [`certificate`], what TLS is spoken with.
//! Not here: what is counted (`crate::metrics`).

mod certificate;
mod connections;
mod reviews;
mod scraped;

use std::net::{Ipv6Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use kube::Client;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::metrics::Metrics;

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

/// The servers of one process.
pub struct Servers {
    metrics: Arc<Metrics>,
    stop: watch::Receiver<bool>,
    tasks: Vec<JoinHandle<()>>,
}

/// Who may read metrics at their own address.
pub enum Readers<'a> {
    /// Whoever reaches it, by plain HTTP.
    All,
    /// Whom the API server allows, by TLS.
    Allowed {
        /// Who to ask.
        api: Client,
        /// Folder with `tls.crt` and `tls.key`; without one we sign a certificate ourselves.
        certificate: Option<&'a Path>,
    },
}

impl Servers {
    /// Nothing yet. All end when `stop` turns true.
    #[must_use]
    pub const fn new(metrics: Arc<Metrics>, stop: watch::Receiver<bool>) -> Self {
        Self {
            metrics,
            stop,
            tasks: Vec::new(),
        }
    }

    /// Serves probes, and `with_metrics` what is counted to whoever asks. The socket is open when
    /// this returns, so that a taken port is an error before the first cycle.
    ///
    /// # Errors
    /// The address cannot be bound.
    pub async fn probes(&mut self, address: &str, with_metrics: bool) -> anyhow::Result<()> {
        let Some(address) = self::address(address)? else {
            return Ok(());
        };
        let mut router = Router::new()
            .route("/healthz", get(|| async { "OK" }))
            .route("/readyz", get(ready));
        if with_metrics {
            router = router.route("/metrics", get(text));
        }
        let router = router.with_state(Arc::clone(&self.metrics));
        self.start(address, None, router).await
    }

    /// Serves metrics at an address of their own.
    ///
    /// # Errors
    /// The address cannot be bound, or the certificate cannot be read.
    pub async fn metrics(
        &mut self,
        address: SocketAddr,
        readers: Readers<'_>,
    ) -> anyhow::Result<()> {
        let metrics = Arc::clone(&self.metrics);
        match readers {
            Readers::All => {
                let router = Router::new().route("/metrics", get(text));
                self.start(address, None, router.with_state(metrics)).await
            }
            Readers::Allowed { api, certificate } => {
                let (tls, task) = certificate::acceptor(certificate, Arc::clone(&metrics))?;
                // It ends with the process, as the servers do: nothing is lost by its end.
                self.tasks
                    .push(tokio::spawn(until(self.stop.clone(), task)));
                let router = scraped::router(api, metrics);
                self.start(address, Some(tls), router).await
            }
        }
    }

    async fn start(
        &mut self,
        address: SocketAddr,
        tls: Option<tokio_rustls::TlsAcceptor>,
        router: Router,
    ) -> anyhow::Result<()> {
        let listener = bind(address).await?;
        let router = router.fallback(|| async { (StatusCode::NOT_FOUND, "not found\n") });
        let task = connections::serve(listener, tls, router, self.stop.clone());
        self.tasks.push(tokio::spawn(task));
        Ok(())
    }

    /// Waits until all have ended.
    ///
    /// # Errors
    /// One of them was broken.
    pub async fn ended(self) -> anyhow::Result<()> {
        for task in self.tasks {
            task.await?;
        }
        Ok(())
    }
}

async fn until(mut stop: watch::Receiver<bool>, task: impl Future<Output = ()>) {
    tokio::select! {
        () = task => {}
        _ = stop.wait_for(|stop| *stop) => {}
    }
}

async fn bind(address: SocketAddr) -> anyhow::Result<TcpListener> {
    match TcpListener::bind(address).await {
        // A machine without IPv6 still has every IPv4 interface.
        Err(_) if address.ip() == Ipv6Addr::UNSPECIFIED => {
            TcpListener::bind(("0.0.0.0", address.port())).await
        }
        result => result,
    }
    .with_context(|| format!("`{address}` cannot be listened on"))
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
    shown(&metrics)
}

/// OpenMetrics 1.0, "Protocol Negotiation".
fn shown(metrics: &Metrics) -> impl IntoResponse + use<> {
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
