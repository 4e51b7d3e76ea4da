//! Why there is no token.

use sealift_core::reason::Reason;

/// Why a GitHub App has no token for a repository. No variant holds a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GithubAppError {
    /// The key cannot be used.
    #[error("`githubAppPrivateKey` cannot be used: {0}")]
    Key(&'static str),
    /// The URL of the API cannot be used.
    #[error("`githubAppEnterpriseBaseUrl` `{url}` was not asked: {why}")]
    ApiUrl {
        /// Masked.
        url: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// The repository is none that an App can reach.
    #[error("repository `{url}` has no token of a GitHub App: {why}")]
    Repository {
        /// Masked.
        url: String,
        /// Why not.
        why: &'static str,
    },
    /// The API refused.
    #[error(
        "`{api}` gave out no token for `{repository}`: {status}{} {said}; {}",
        if said.is_empty() { "" } else { ":" },
        hint(*status)
    )]
    Refused {
        /// The API.
        api: String,
        /// `owner/name`
        repository: String,
        /// HTTP status.
        status: u16,
        /// The API's own words.
        said: String,
    },
    /// The API did not answer.
    #[error("`{api}` could not be asked for a token: {detail}")]
    Unreachable {
        /// The API.
        api: String,
        /// Why.
        detail: String,
    },
    /// The answer is none.
    #[error("the answer of `{api}` was not used: {why}")]
    Answer {
        /// The API.
        api: String,
        /// What is wrong with it.
        why: &'static str,
    },
}

impl GithubAppError {
    /// The stable reason id.
    #[must_use]
    pub const fn reason(&self) -> Reason {
        match self {
            Self::Key(_) | Self::ApiUrl { .. } | Self::Repository { .. } => {
                Reason::GithubAppInvalid
            }
            Self::Refused { status, .. } if *status == 429 || *status >= 500 => {
                Reason::GithubApiUnreachable
            }
            Self::Refused { .. } => Reason::GithubAppRefused,
            Self::Unreachable { .. } | Self::Answer { .. } => Reason::GithubApiUnreachable,
        }
    }
}

/// What a status means here. GitHub, "Create an installation access token for an app".
const fn hint(status: u16) -> &'static str {
    match status {
        401 => "`githubAppID` and `githubAppPrivateKey` must be of one App, and the clock right",
        403 => "the installation may be suspended, or the App not allowed to do this",
        404 => "the App must be installed where `githubAppInstallationID` or the owner says",
        422 => "the installation must reach the repository, with permission to write contents",
        429 | 500..=599 => "try again later",
        _ => "nothing was written",
    }
}
