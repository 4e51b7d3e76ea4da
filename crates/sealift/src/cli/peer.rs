//! Flags and variables of Argo CD Image Updater's `run` that a Deployment may hold.
//!
//! Those that mean something here mean the same. Those that ask for what this version has not got
//! are refused by a reason; those that only would say how that is done ask for nothing.

use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args;
use kube::Client;
use sealift_core::environment::{self, go_bool};
use sealift_core::mend::mend;
use sealift_core::reason::Reason;

use super::options::{flag_variable, variable, warned};
use crate::serve::{self, Readers};

/// Flags of `run` for the cluster.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Options of Argo CD Image Updater")]
pub struct PeerOptions {
    #[command(flatten)]
    kube_events: KubeEventOptions,
    /// Ready after the first cycle; `false`: at once
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true",
          default_value = "true", value_parser = go_bool, action = clap::ArgAction::Set,
          value_name = "BOOL")]
    warmup_cache: bool,
    /// One cycle looks at every ImageUpdater, whatever this says [env: MAX_CONCURRENT_RECONCILES=]
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u16).range(1..=10))]
    max_concurrent_reconciles: Option<u16>,
    /// Metrics
    #[command(flatten)]
    pub metrics: MetricsOptions,
    /// HTTP/1.1 is spoken all the same
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true",
          default_value = "false", value_parser = go_bool, action = clap::ArgAction::Set,
          value_name = "BOOL")]
    enable_http2: bool,
    /// The webhook server is not available [env: ENABLE_WEBHOOK=]
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true",
          value_parser = go_bool, value_name = "BOOL")]
    enable_webhook: Option<bool>,
    #[command(flatten)]
    webhook: WebhookOptions,
}

/// Whether Kubernetes events tell of updates.
#[derive(Debug, Clone, Args)]
pub struct KubeEventOptions {
    /// Create no Kubernetes events about updates [env: IMAGE_UPDATER_KUBE_EVENTS=]
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true",
          value_parser = go_bool, value_name = "BOOL")]
    disable_kube_events: Option<bool>,
}

impl KubeEventOptions {
    /// Whether none are wanted. The variable turns them off, too.
    #[must_use]
    pub fn are_off(&self) -> bool {
        let named = self.disable_kube_events;
        named.unwrap_or_else(|| flag_variable("IMAGE_UPDATER_KUBE_EVENTS"))
    }
}

/// Where metrics are, and who may read them.
#[derive(Debug, Clone, Args)]
pub struct MetricsOptions {
    /// Address of `/metrics`; with `0` they are at the address of the probes, for everybody
    #[arg(long, default_value = "0", value_name = "ADDRESS")]
    metrics_bind_address: String,
    /// HTTPS, for whom the API server allows to `get` `/metrics`; `false`: HTTP, for everybody
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true",
          default_value = "true", value_parser = go_bool, action = clap::ArgAction::Set,
          value_name = "BOOL")]
    metrics_secure: bool,
    /// Folder with `tls.crt` and `tls.key` for that, read again when they change [default: a
    /// certificate that Sealift signs itself]
    #[arg(long, value_name = "DIR")]
    metrics_cert_path: Option<PathBuf>,
}

impl MetricsOptions {
    /// The address that is theirs alone.
    ///
    /// # Errors
    /// It is none.
    pub fn address(&self) -> anyhow::Result<Option<SocketAddr>> {
        serve::address(&self.metrics_bind_address).context("`--metrics-bind-address`")
    }

    /// Whether the API server is asked who may read them.
    ///
    /// # Errors
    /// As [`Self::address`].
    pub fn are_reviewed(&self) -> anyhow::Result<bool> {
        Ok(self.metrics_secure && self.address()?.is_some())
    }

    /// Who may read them there; `api` is `None` where there is no API server.
    ///
    /// # Errors
    /// Somebody would have to be asked, and there is nobody.
    pub fn readers(&self, api: Option<Client>) -> anyhow::Result<Readers<'_>> {
        if !self.metrics_secure {
            return Ok(Readers::All);
        }
        let api = api.with_context(|| {
            format!(
                "`--metrics-bind-address {}`: the API server says who may read metrics, and with \
                 `-f` there is none; `--metrics-secure=false` shows them to everybody, by HTTP",
                self.metrics_bind_address
            )
        })?;
        let certificate = self.metrics_cert_path.as_deref();
        Ok(Readers::Allowed { api, certificate })
    }
}

/// How a webhook server would be: without one they ask for nothing.
#[derive(Debug, Clone, Args)]
struct WebhookOptions {
    #[arg(long, hide = true)]
    webhook_port: Option<Unread>,
    #[arg(long, hide = true, num_args = 0..=1, require_equals = true,
          default_missing_value = "true")]
    webhook_require_secret: Option<Unread>,
    #[arg(long, hide = true)]
    webhook_ratelimit_allowed: Option<Unread>,
    #[arg(long, hide = true)]
    docker_webhook_secret: Option<Unread>,
    #[arg(long, hide = true)]
    ghcr_webhook_secret: Option<Unread>,
    #[arg(long, hide = true)]
    quay_webhook_secret: Option<Unread>,
    #[arg(long, hide = true)]
    harbor_webhook_secret: Option<Unread>,
    #[arg(long, hide = true)]
    aliyun_acr_webhook_secret: Option<Unread>,
    #[arg(long, hide = true)]
    acr_webhook_secret: Option<Unread>,
    #[arg(long, hide = true)]
    cloudevents_webhook_secret: Option<Unread>,
    #[arg(long, hide = true, num_args = 0..=1, require_equals = true,
          default_missing_value = "true")]
    disable_tls: Option<Unread>,
    #[arg(long, hide = true)]
    tlsminversion: Option<Unread>,
    #[arg(long, hide = true)]
    tlsmaxversion: Option<Unread>,
    #[arg(long, hide = true)]
    tlsciphers: Option<Unread>,
}

/// A value that nobody reads: not even kept, some are secrets.
#[derive(Debug, Clone, Copy)]
struct Unread;

impl std::str::FromStr for Unread {
    type Err = std::convert::Infallible;

    fn from_str(_: &str) -> Result<Self, Self::Err> {
        Ok(Self)
    }
}

impl PeerOptions {
    /// Refuses what asks for something that is not there.
    ///
    /// # Errors
    /// It does.
    pub fn check(&self) -> anyhow::Result<()> {
        let webhook = self.enable_webhook;
        if webhook.unwrap_or_else(|| flag_variable("ENABLE_WEBHOOK")) {
            return Err(refused("--enable-webhook", Reason::WebhookNotAvailable));
        }
        if self.enable_http2 {
            // Who offers both is answered by HTTP/1.1: less than was asked, and nobody is kept out.
            tracing::warn!(
                reason = Reason::OptionNotAvailable.id(),
                "`--enable-http2` is not available; metrics are served by HTTP/1.1"
            );
        }
        const NAME: &str = "MAX_CONCURRENT_RECONCILES";
        if self.max_concurrent_reconciles.is_none() {
            let text = variable(NAME);
            warned(environment::integer(NAME, text.as_deref(), &(1..=10), 1));
        }
        Ok(())
    }

    /// Whether no Kubernetes events are wanted.
    #[must_use]
    pub fn kube_events_are_off(&self) -> bool {
        self.kube_events.are_off()
    }

    /// Whether the program is ready after its first cycle only.
    #[must_use]
    pub const fn warms_up(&self) -> bool {
        self.warmup_cache
    }
}

/// `webhook`: the server alone.
#[derive(Debug, Args)]
pub struct WebhookArguments {
    /// Whatever the peer takes.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, hide = true)]
    rest: Vec<PathBuf>,
}

/// Refuses the command.
///
/// # Errors
/// Always.
pub fn webhook(_: &WebhookArguments) -> anyhow::Result<crate::exit::Exit> {
    Err(refused("webhook", Reason::WebhookNotAvailable))
}

fn refused(what: &str, reason: Reason) -> anyhow::Error {
    let hint = mend(reason).unwrap_or_default();
    anyhow::anyhow!("`{what}`: {} ({reason}); {hint}", reason.sentence())
}
