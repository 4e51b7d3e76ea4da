//! Git credentials from Secrets: Argo CD's repository settings, and `git:secret:`.
//!
//! Here: which Secret serves a repository, and what it holds. Not here: reading Secrets, checking
//! hosts, GitHub App tokens. Argo CD manual, "Declarative Setup", "Repositories" and "Repository
//! Credentials".
//!
//! A repository Secret is found by its URL, exactly; where it holds no credential, or there is
//! none, the template (`repo-creds`) with the longest URL below which the repository lies gives it.
//! Whole segments count: `https://github.com/acme` is no template for `acme-evil`. A Secret with a
//! `project` serves that project only, and is preferred there.

mod secret;

use std::fmt;

use crate::manifest::{ConfigMapManifest, SecretManifest};
use crate::reason::Reason;
use crate::secret::{Secret, masked_url};

/// Label that marks Argo CD's own repository and credential-template Secrets.
pub const SECRET_TYPE_LABEL: &str = "argocd.argoproj.io/secret-type";
/// Value of [`SECRET_TYPE_LABEL`] for one repository.
pub const SECRET_TYPE_REPOSITORY: &str = "repository";
/// Value of [`SECRET_TYPE_LABEL`] for credentials of all repositories below a URL.
pub const SECRET_TYPE_REPO_CREDS: &str = "repo-creds";

/// What is needed to reach one repository.
#[derive(Clone, PartialEq, Eq)]
pub struct RepositoryAccess {
    /// Who asks.
    pub login: GitLogin,
    /// Neither TLS certificates nor SSH host keys are to be checked. An explicit setting only.
    pub insecure: bool,
    /// Client certificate and key, PEM.
    pub client_certificate: Option<(String, Secret<String>)>,
    /// Proxy of this repository.
    pub proxy: Option<String>,
    /// Secrets that this comes from, `namespace/name`, for messages.
    pub from: Vec<String>,
}

/// Who asks a Git server.
#[derive(Clone, PartialEq, Eq)]
pub enum GitLogin {
    /// Nobody in particular.
    Anonymous,
    /// A user with a password or token.
    Basic {
        /// The user; `x-access-token` where none is given.
        username: String,
        /// The password.
        password: Secret<String>,
    },
    /// A bearer token.
    Bearer(Secret<String>),
    /// A private key.
    SshKey(Secret<String>),
    /// A GitHub App, whose tokens must be asked for.
    GithubApp(GithubApp),
}

/// The credential of a GitHub App.
#[derive(Clone, PartialEq, Eq)]
pub struct GithubApp {
    /// App id.
    pub app_id: u64,
    /// Installation id; `None`: to be looked up by the owner of the repository.
    pub installation_id: Option<u64>,
    /// Private key, PEM.
    pub private_key: Secret<String>,
    /// API of a GitHub Enterprise server.
    pub base_url: Option<String>,
}

impl GitLogin {
    /// The kind, for messages.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Anonymous => "no credential",
            Self::Basic { .. } => "a user and password",
            Self::Bearer(_) => "a bearer token",
            Self::SshKey(_) => "an SSH key",
            Self::GithubApp(_) => "a GitHub App",
        }
    }
}

impl fmt::Debug for RepositoryAccess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RepositoryAccess")
            .field("login", &self.login.kind())
            .field("insecure", &self.insecure)
            .field("from", &self.from)
            .finish_non_exhaustive()
    }
}

/// Why there is no credential for a repository. Nothing was read from Git.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RepositoryCredentialError {
    /// No Secret serves the repository.
    #[error("credentials for `{0}` are not configured in Argo CD settings")]
    NotConfigured(String),
    /// The Secret lacks what the URL needs.
    #[error("Secret `{secret}` holds no credential for `{url}`: it has no {missing}")]
    Missing {
        /// `namespace/name`.
        secret: String,
        /// Masked URL of the repository.
        url: String,
        /// Fields that would do.
        missing: &'static str,
    },
    /// A field cannot be read.
    #[error("field `{field}` of Secret `{secret}` cannot be read")]
    Field {
        /// `namespace/name`.
        secret: String,
        /// Its key.
        field: &'static str,
    },
    /// The Secret holds a kind of credential that is not supported.
    #[error("Secret `{secret}` holds {kind}, which is not supported")]
    Unsupported {
        /// `namespace/name`.
        secret: String,
        /// The kind.
        kind: &'static str,
    },
    /// The URL is neither SSH nor HTTPS.
    #[error("`{0}` is neither an SSH nor an HTTPS address; the credential was not used")]
    UnknownRepositoryType(String),
}

impl RepositoryCredentialError {
    /// The stable reason.
    #[must_use]
    pub const fn reason(&self) -> Reason {
        match self {
            Self::UnknownRepositoryType(_) => Reason::UrlUnsupported,
            _ => Reason::CredentialUnavailable,
        }
    }
}

/// Finds the access for `repository` among Argo CD's Secrets, for an Application of `project`.
///
/// # Errors
/// [`RepositoryCredentialError`]: no Secret serves the repository, or the one that does cannot be
/// used. A Secret without any credential is an answer: the repository is read anonymously.
pub fn find<'a>(
    secrets: impl IntoIterator<Item = &'a SecretManifest>,
    repository: &str,
    project: &str,
) -> Result<RepositoryAccess, RepositoryCredentialError> {
    let wanted = normalized_url(repository);
    let (mut own, mut template) = (None, None);
    for secret in secrets {
        let Some(candidate) = Candidate::of(secret, project) else {
            continue;
        };
        if candidate.is_template {
            if is_below(&wanted, &candidate.url) {
                keep_better(&mut template, candidate);
            }
        } else if candidate.url == wanted {
            keep_better(&mut own, candidate);
        }
    }
    let masked = || masked_url(repository);
    match (own, template) {
        (None, None) => Err(RepositoryCredentialError::NotConfigured(masked())),
        (None, Some(template)) => secret::access(template.secret, repository),
        (Some(own), template) => {
            let mut access = secret::access(own.secret, repository)?;
            if let (GitLogin::Anonymous, Some(template)) = (&access.login, template) {
                let lent = secret::access(template.secret, repository)?;
                access.login = lent.login;
                access.client_certificate = access.client_certificate.or(lent.client_certificate);
                access.proxy = access.proxy.or(lent.proxy);
                access.from.extend(lent.from);
            }
            Ok(access)
        }
    }
}

/// Reads the Secret of `git:secret:` for `repository`. Certificates and host keys are checked
/// unless the Secret itself says `insecure: "true"`.
///
/// # Errors
/// [`RepositoryCredentialError`].
pub fn from_secret(
    secret: &SecretManifest,
    repository: &str,
) -> Result<RepositoryAccess, RepositoryCredentialError> {
    secret::write_back_access(secret, repository)
}

/// The host keys of Argo CD's ConfigMap `argocd-ssh-known-hosts-cm`.
#[must_use]
pub fn known_hosts(config_map: &ConfigMapManifest) -> Option<&str> {
    config_map.data.get("ssh_known_hosts").map(String::as_str)
}

/// The certificates of Argo CD's ConfigMap `argocd-tls-certs-cm` for `host` (no port), PEM.
#[must_use]
pub fn tls_certificates<'a>(config_map: &'a ConfigMapManifest, host: &str) -> Option<&'a str> {
    let (_, pem) = config_map
        .data
        .iter()
        .find(|(key, _)| key.eq_ignore_ascii_case(host))?;
    Some(pem)
}

/// A Secret that may serve.
struct Candidate<'a> {
    secret: &'a SecretManifest,
    url: String,
    is_template: bool,
    is_of_project: bool,
}

impl<'a> Candidate<'a> {
    fn of(secret: &'a SecretManifest, project: &str) -> Option<Self> {
        let kind = secret.metadata.labels.get(SECRET_TYPE_LABEL)?;
        let is_template = match kind.as_str() {
            SECRET_TYPE_REPOSITORY => false,
            SECRET_TYPE_REPO_CREDS => true,
            _ => return None,
        };
        let text = |field: &str| secret.text(field).map_or("", str::trim);
        let is_git = matches!(text("type"), "" | "git");
        let scope = text("project");
        if !is_git || !(scope.is_empty() || scope == project) {
            return None;
        }
        let url = normalized_url(text("url"));
        let is_of_project = !scope.is_empty();
        (!url.is_empty()).then_some(Self {
            secret,
            url,
            is_template,
            is_of_project,
        })
    }

    /// Longer URL first, then the project's own, then by name, so that the answer is always one.
    fn rank(&self) -> (usize, bool, std::cmp::Reverse<&str>) {
        let name = std::cmp::Reverse(self.secret.metadata.name.as_str());
        (self.url.len(), self.is_of_project, name)
    }
}

fn keep_better<'a>(best: &mut Option<Candidate<'a>>, candidate: Candidate<'a>) {
    if best
        .as_ref()
        .is_none_or(|best| candidate.rank() > best.rank())
    {
        *best = Some(candidate);
    }
}

/// Whether `url` is `prefix` or lies below it, by whole segments.
fn is_below(url: &str, prefix: &str) -> bool {
    let prefix = prefix.trim_end_matches('/');
    url.strip_prefix(prefix)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Argo CD's text for comparing repository URLs: lower case, no final `/` or `.git`, no `ssh://`,
/// the first `:` of `user@host:path` a `/`.
pub(crate) fn normalized_url(text: &str) -> String {
    let mut url = text.trim().to_lowercase();
    if is_scp_like(&url) {
        url = url.replacen(':', "/", 1);
    }
    let url = url.strip_prefix("ssh://").unwrap_or(&url);
    let url = url.trim_end_matches('/');
    url.strip_suffix(".git").unwrap_or(url).to_owned()
}

/// `user@host:path`
fn is_scp_like(url: &str) -> bool {
    !url.contains("://")
        && url.split_once('@').is_some_and(|(user, host)| {
            !user.is_empty() && !user.contains(['/', ':']) && !host.is_empty()
        })
}

#[cfg(test)]
mod tests;
