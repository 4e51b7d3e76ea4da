//! Why a registry's answer cannot be used. Cheap to clone: one failure answers every waiting asker.

use std::error::Error;
use std::sync::Arc;

use sealift_core::digest::Digest;
use sealift_core::reason::Reason;
use sealift_net::NetError;

/// A failure of the registry client.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum RegistryError {
    /// A repository name or tag that may not stand in a URL.
    #[error("`{text}` is not a valid {kind}; the registry was not asked")]
    NameInvalid {
        /// `repository name` or `tag`.
        kind: &'static str,
        /// As written.
        text: String,
    },
    /// The API URL of an endpoint.
    #[error("`{url}` is not the URL of a registry: expected `https://host`")]
    UrlInvalid {
        /// Masked.
        url: String,
    },
    /// There is no answer.
    #[error("could not read {what}")]
    Net {
        /// What was asked for.
        what: String,
        /// Why there is none.
        #[source]
        source: Arc<NetError>,
    },
    /// An answer that is an error.
    #[error("`{host}` answered {status} for {what}{message}")]
    Refused {
        /// Host and port.
        host: String,
        /// HTTP status.
        status: u16,
        /// What was asked for.
        what: String,
        /// What the registry says, `": …"` or empty.
        message: String,
    },
    /// The registry accepts no credentials that we have.
    #[error(
        "`{host}` answered {status} for {what}: the credentials of `{credential}` do not suffice"
    )]
    Unauthorized {
        /// Host and port.
        host: String,
        /// HTTP status.
        status: u16,
        /// What was asked for.
        what: String,
        /// Id of the credential source; `anonymous` if there is none.
        credential: String,
    },
    /// The registry still asks for fewer requests after all tries.
    #[error("`{host}` asks for fewer requests (429 for {what})")]
    RateLimited {
        /// Host and port.
        host: String,
        /// What was asked for.
        what: String,
    },
    /// The registry names a token server that may not get credentials.
    #[error(
        "`{host}` names the token server `{realm}`, which is not its own; nothing was sent there"
    )]
    RealmForbidden {
        /// Host and port of the registry.
        host: String,
        /// Masked URL of the token server.
        realm: String,
    },
    /// The token server's answer holds no token.
    #[error("the token server `{realm}` sent no usable token: {why}")]
    TokenUnusable {
        /// Masked.
        realm: String,
        /// What is wrong.
        why: &'static str,
    },
    /// The credential source cannot be read.
    #[error("could not read the credentials `{credential}`; nothing was sent")]
    CredentialUnavailable {
        /// Id of the source.
        credential: String,
        /// Why.
        #[source]
        source: Arc<dyn Error + Send + Sync>,
    },
    /// Content is not what it was asked for by.
    #[error("`{host}` served {what} with digest {got} instead of {expected}; it was not used")]
    DigestMismatch {
        /// Host and port.
        host: String,
        /// What was asked for.
        what: String,
        /// What was asked for, or what the header says.
        expected: Digest,
        /// What the bytes are.
        got: Digest,
    },
    /// Content that does not follow its format.
    #[error("{what} of `{host}` cannot be read: {why}")]
    Unreadable {
        /// Host and port.
        host: String,
        /// What was asked for.
        what: String,
        /// What is wrong.
        why: String,
    },
    /// Content that holds more than is read.
    #[error("{what} of `{host}` holds more than {limit} {unit}; nothing was concluded from it")]
    TooMuch {
        /// Host and port, or folder.
        host: String,
        /// What was asked for.
        what: String,
        /// The bound.
        limit: usize,
        /// What it counts.
        unit: &'static str,
    },
    /// A file that is larger than it may be.
    #[error("`{what}` is larger than {limit_bytes} bytes; it was not read further")]
    TooLarge {
        /// The file.
        what: String,
        /// The limit.
        limit_bytes: usize,
    },
    /// A folder that should be an image layout.
    #[error("`{path}` cannot be read as part of an OCI image layout: {why}")]
    Layout {
        /// The folder or file.
        path: String,
        /// What is wrong.
        why: String,
    },
    /// A manifest of a kind that is not supported.
    #[error("{what} of `{host}` is {kind}, which is not supported")]
    Unsupported {
        /// Host and port.
        host: String,
        /// What was asked for.
        what: String,
        /// What it is.
        kind: &'static str,
    },
}

impl RegistryError {
    /// The stable reason of this failure.
    #[must_use]
    pub fn reason(&self) -> Reason {
        match self {
            Self::NameInvalid { .. } | Self::UrlInvalid { .. } => Reason::SettingInvalid,
            Self::Net { source, .. } => source.reason(),
            Self::Refused { .. } | Self::TokenUnusable { .. } => Reason::RegistryRefused,
            Self::Unauthorized { .. } => Reason::RegistryUnauthorized,
            Self::RateLimited { .. } => Reason::RateLimited,
            Self::RealmForbidden { .. } => Reason::RealmForbidden,
            Self::CredentialUnavailable { .. } => Reason::CredentialUnavailable,
            Self::DigestMismatch { .. } => Reason::DigestMismatch,
            Self::TooLarge { .. } => Reason::BodyTooLarge,
            Self::TooMuch { .. } => Reason::EvidenceLimit,
            Self::Unreadable { .. } | Self::Unsupported { .. } | Self::Layout { .. } => {
                Reason::MetadataUnreadable
            }
        }
    }

    /// This error and its causes in one line.
    #[must_use]
    pub fn chain(&self) -> String {
        let mut text = self.to_string();
        let mut cause = self.source();
        while let Some(error) = cause {
            text.push_str(": ");
            text.push_str(&error.to_string());
            cause = error.source();
        }
        text
    }
}
