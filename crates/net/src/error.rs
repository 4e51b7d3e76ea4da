//! What can go wrong on the way out. URLs are masked; the cause is in `source()`.

use std::error::Error;
use std::net::IpAddr;

use sealift_core::reason::Reason;
use sealift_core::secret::masked_url;
use url::Url;

use crate::egress::EgressRefused;

/// Why a request has no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NetError {
    /// The settings of a client cannot be used.
    #[error("cannot set up the HTTP client: {what} is not usable")]
    Setup {
        /// Which setting, for people.
        what: String,
        /// What the library said.
        #[source]
        source: Option<reqwest::Error>,
    },
    /// Not `http` or `https`, without a host, or with user-info.
    #[error("did not ask `{url}`: {why}")]
    UrlRefused {
        /// Masked.
        url: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// No connection could be made.
    #[error("could not connect to `{url}`")]
    Connect {
        /// Masked.
        url: String,
        /// What the library said.
        #[source]
        source: reqwest::Error,
        /// Whether another try may help. A wrong certificate stays wrong.
        transient: bool,
    },
    /// A deadline passed.
    #[error("gave up on `{url}`: {phase} took longer than {limit_ms} ms")]
    Timeout {
        /// Masked.
        url: String,
        /// What was waited for.
        phase: &'static str,
        /// The deadline.
        limit_ms: u64,
    },
    /// The connection ended in the middle of an answer, or the answer is not HTTP.
    #[error("the answer of `{url}` was cut off or is not HTTP")]
    Cut {
        /// Masked.
        url: String,
        /// What the library said.
        #[source]
        source: reqwest::Error,
    },
    /// The answer is larger than the caller takes.
    #[error("the answer of `{url}` is larger than {limit_bytes} bytes; it was not read further")]
    BodyTooLarge {
        /// Masked.
        url: String,
        /// The limit.
        limit_bytes: usize,
    },
    /// An answer redirects from TLS to plain HTTP.
    #[error("`{from}` redirects to `{to}`, which is not TLS; it was not followed")]
    InsecureRedirect {
        /// Masked.
        from: String,
        /// Masked.
        to: String,
    },
    /// A redirect that cannot or may not be followed.
    #[error("did not follow the redirect of `{from}`: {why}")]
    RedirectRefused {
        /// Masked.
        from: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// The host resolves to an address that requests may not go to.
    #[error(
        "did not connect to `{host}`: its address `{address}` is link-local or serves metadata"
    )]
    EgressRefused {
        /// Host as asked for.
        host: String,
        /// Where it leads.
        address: IpAddr,
    },
    /// Several requests to the host had no answer, so it is left alone for a few seconds.
    #[error("did not ask `{host}`: it has not answered for some time")]
    Down {
        /// Host and port.
        host: String,
    },
    /// The host asked for a pause that is longer than a request waits.
    #[error("did not ask `{host}`: it wants no requests for another {wait_secs} s")]
    RateLimited {
        /// Host and port.
        host: String,
        /// How long it still wants silence.
        wait_secs: u64,
    },
}

impl NetError {
    /// The stable reason of this failure.
    #[must_use]
    pub fn reason(&self) -> Reason {
        match self {
            Self::Connect { .. } | Self::Timeout { .. } | Self::Cut { .. } | Self::Down { .. } => {
                Reason::RegistryUnreachable
            }
            Self::BodyTooLarge { .. } => Reason::BodyTooLarge,
            Self::InsecureRedirect { .. } => Reason::InsecureRedirect,
            Self::RedirectRefused { .. } | Self::EgressRefused { .. } | Self::UrlRefused { .. } => {
                Reason::EgressRefused
            }
            Self::RateLimited { .. } => Reason::RateLimited,
            Self::Setup { .. } => Reason::SettingInvalid,
        }
    }

    /// Whether the same request may succeed a moment later.
    pub(crate) fn is_transient(&self) -> bool {
        match self {
            Self::Connect { transient, .. } => *transient,
            Self::Cut { .. } => true,
            _ => false,
        }
    }

    /// The masked URL of a host that did not answer.
    pub(crate) fn silent_url(&self) -> Option<&str> {
        match self {
            Self::Connect { url, .. } | Self::Timeout { url, .. } | Self::Cut { url, .. } => {
                Some(url)
            }
            _ => None,
        }
    }

    /// Reads the library's error. The library's copy of the URL is dropped: it may hold secrets.
    pub(crate) fn from_request(error: reqwest::Error, url: &Url, connect_ms: u64) -> Self {
        let error = error.without_url();
        if let Some(refused) = cause::<EgressRefused>(&error) {
            return Self::EgressRefused {
                host: refused.host.clone(),
                address: refused.address,
            };
        }
        let url = masked_url(url.as_str());
        if error.is_timeout() {
            return Self::Timeout {
                url,
                phase: "connecting",
                limit_ms: connect_ms,
            };
        }
        if error.is_connect() {
            // TLS failures arrive as I/O errors of this kind.
            let tls = cause::<std::io::Error>(&error)
                .is_some_and(|cause| cause.kind() == std::io::ErrorKind::InvalidData);
            return Self::Connect {
                url,
                source: error,
                transient: !tls,
            };
        }
        Self::Cut { url, source: error }
    }
}

/// The last error of type `E` in the chain below `error`.
fn cause<'a, E: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a E> {
    let mut found = None;
    let mut next = error.source();
    while let Some(error) = next {
        found = error.downcast_ref::<E>().or(found);
        // `io::Error` hides the error it wraps from `source()` of some versions: look inside.
        if let Some(inner) = error
            .downcast_ref::<std::io::Error>()
            .and_then(std::io::Error::get_ref)
        {
            let inner: &(dyn Error + 'static) = inner;
            found = inner.downcast_ref::<E>().or(found);
        }
        next = error.source();
    }
    found
}
