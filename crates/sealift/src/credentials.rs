//! Registry logins from where settings say they are: Secrets, environment, helper programs.
//!
//! Here: the reading, and what is kept of it. Not here: the grammar and who may name what
//! (`sealift_core::credential`), and what a registry does with a login.
//!
//! Variables are read each time. Secrets of the API server are read once a cycle, and once more
//! when a registry refuses what one held, so a rotated one is used at once. What a helper
//! printed is kept until it expires (`credsexpire`) or the registry refuses it; whatever happens, a
//! helper runs again only after [`limits::HELPER_PAUSE_SECS`]. Concurrent askers share one run.
//!
//! A helper gets no arguments, an empty standard input, ten seconds, and of the environment only
//! what programs need to run and to find their cloud ([`passes_to_helper`]).

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sealift_core::credential::{
    CredentialError, CredentialSource, DOCKER_CONFIG_FIELD, DockerConfig, Login,
};
use sealift_core::limits;
use sealift_core::registries_conf::RegistryConf;
use sealift_registry::{Access, Anonymous, LoginFuture};
use tokio::io::AsyncReadExt as _;
use tokio::process::Command;
use tokio::sync::Mutex;
use zeroize::Zeroizing;

use crate::objects::{Objects, ObjectsError};
use crate::pipeline::Problem;

/// Why a login could not be read. No variant holds a secret.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
enum LoginError {
    /// What was read is no login.
    #[error("`{credential}` gives no login")]
    Credential {
        /// The credential source.
        credential: String,
        /// Why.
        source: CredentialError,
    },
    /// The Secret could not be asked for.
    #[error("`{credential}` could not be read")]
    Objects {
        /// The credential source.
        credential: String,
        /// Why.
        source: ObjectsError,
    },
    /// The Secret, or its field, does not exist.
    #[error("`{credential}`: {missing} does not exist")]
    Missing {
        /// The credential source.
        credential: String,
        /// What is missing.
        missing: String,
    },
    /// The helper failed.
    #[error("helper `{path}` gave no login: {problem}")]
    Helper {
        /// Its path.
        path: String,
        /// What went wrong.
        problem: String,
    },
}

/// Reads logins, and keeps what helpers printed. Lives as long as the process; copies share.
#[derive(Clone, Default)]
pub(crate) struct Credentials {
    runs: Arc<Mutex<BTreeMap<String, LastRun>>>,
}

/// Held by who runs the helper, so that everybody else waits for the same answer.
type LastRun = Arc<Mutex<Option<Run>>>;

/// The last run of one helper.
struct Run {
    ended: Instant,
    outcome: Result<Login, String>,
}

impl Credentials {
    /// On whose behalf a repository is asked: the Application's own credential, else the one of the
    /// registry's configuration, else nobody's.
    pub(crate) fn access(
        &self,
        pull_secret: Option<&CredentialSource>,
        entry: Option<&RegistryConf>,
        api_url: &str,
        repository: &str,
        objects: &Arc<dyn Objects>,
    ) -> Result<Access, Problem> {
        let configured = entry.and_then(|entry| entry.credentials.as_ref());
        let (source, expires) = match (pull_secret, configured) {
            (Some(source), _) => (source, None),
            (None, Some(Ok(source))) => (source, entry.and_then(|entry| entry.credentials_expire)),
            (None, Some(Err(error))) => {
                let name = entry.map_or("", |entry| entry.name.as_str());
                let detail = format!("`credentials` of the registry `{name}`: {error}");
                return Err(Problem {
                    reason: error.reason(),
                    detail,
                });
            }
            (None, None) => return Ok(Arc::new(Anonymous)),
        };
        Ok(Arc::new(SourceAccess {
            reader: LoginReader {
                objects: Arc::clone(objects),
                credentials: self.clone(),
            },
            id: session_id(source, repository),
            source: source.clone(),
            api_url: api_url.to_owned(),
            repository: repository.to_owned(),
            expires,
        }))
    }

    /// What a helper printed, or prints now.
    async fn helper_login(
        &self,
        path: &str,
        expires: Option<Duration>,
        refresh: bool,
    ) -> Result<Login, LoginError> {
        let slot = Arc::clone(self.runs.lock().await.entry(path.to_owned()).or_default());
        let mut last = slot.lock().await;
        let keep = last
            .as_ref()
            .is_some_and(|run| keeps(run.ended.elapsed(), run.outcome.is_ok(), expires, refresh));
        if !keep {
            let outcome = run_helper(path).await;
            *last = Some(Run {
                ended: Instant::now(),
                outcome,
            });
        }
        let outcome = last.as_ref().map(|run| run.outcome.clone());
        let outcome = outcome.unwrap_or_else(|| Err("it did not run".to_owned()));
        outcome.map_err(|problem| LoginError::Helper {
            path: path.to_owned(),
            problem,
        })
    }
}

/// Reads logins from the objects of one cycle.
struct LoginReader {
    objects: Arc<dyn Objects>,
    credentials: Credentials,
}

impl LoginReader {
    /// The login that `source` gives for `repository` of the registry at `api_url`.
    ///
    /// `expires` is the operator's `credsexpire`. With `refresh` the registry has just refused the
    /// last one.
    ///
    /// # Errors
    /// [`LoginError`]. There is no anonymous fallback.
    async fn login(
        &self,
        source: &CredentialSource,
        api_url: &str,
        repository: &str,
        expires: Option<Duration>,
        refresh: bool,
    ) -> Result<Login, LoginError> {
        let no_login = |error| LoginError::Credential {
            credential: source.to_string(),
            source: error,
        };
        match source {
            CredentialSource::SecretField {
                namespace,
                name,
                field,
            } => {
                let field_of = (namespace.as_str(), name.as_str(), field.as_str());
                let value = self.field(source, field_of, refresh).await?;
                Login::from_secret_field(&value, field).map_err(no_login)
            }
            CredentialSource::PullSecret { namespace, name } => {
                let field_of = (namespace.as_str(), name.as_str(), DOCKER_CONFIG_FIELD);
                let value = self.field(source, field_of, refresh).await?;
                let config = DockerConfig::parse(value.as_bytes()).map_err(no_login)?;
                config.login(api_url, repository).map_err(no_login)
            }
            CredentialSource::Environment { variable } => {
                let value = std::env::var(variable).ok().map(Zeroizing::new);
                Login::from_environment(value.as_ref().map(|value| value.as_str()), variable)
                    .map_err(no_login)
            }
            CredentialSource::Helper { path } => {
                source.helper_path().map_err(no_login)?;
                self.credentials.helper_login(path, expires, refresh).await
            }
        }
    }

    async fn field(
        &self,
        source: &CredentialSource,
        (namespace, name, field): (&str, &str, &str),
        refresh: bool,
    ) -> Result<Zeroizing<String>, LoginError> {
        let credential = || source.to_string();
        let missing = |missing| LoginError::Missing {
            credential: credential(),
            missing,
        };
        let secret = match refresh {
            true => self.objects.secret_anew(namespace, name).await,
            false => self.objects.secret(namespace, name).await,
        };
        let secret = secret.map_err(|source| LoginError::Objects {
            credential: credential(),
            source,
        })?;
        let secret = secret.ok_or_else(|| missing(format!("Secret `{namespace}/{name}`")))?;
        let value = secret
            .text(field)
            .map(|text| Zeroizing::new(text.to_owned()));
        value.ok_or_else(|| missing(format!("field `{field}` (as text)")))
    }
}

/// Whether the last run of a helper, of this age, still answers.
fn keeps(age: Duration, succeeded: bool, expires: Option<Duration>, refused: bool) -> bool {
    let fresh = expires.is_none_or(|expires| age < expires);
    age < Duration::from_secs(limits::HELPER_PAUSE_SECS) || (succeeded && fresh && !refused)
}

/// Runs a helper to its end and reads its one line.
async fn run_helper(path: &str) -> Result<Login, String> {
    let deadline = Duration::from_secs(limits::HELPER_DEADLINE_SECS);
    let output = tokio::time::timeout(deadline, helper_output(Path::new(path))).await;
    let output = output.map_err(|_| {
        format!(
            "it did not end within {} s and was stopped",
            limits::HELPER_DEADLINE_SECS
        )
    })??;
    Login::from_helper_output(&output, path).map_err(|error| error.to_string())
}

async fn helper_output(path: &Path) -> Result<Zeroizing<Vec<u8>>, String> {
    let environment =
        std::env::vars_os().filter(|(name, _)| name.to_str().is_some_and(passes_to_helper));
    let mut child = Command::new(path)
        .env_clear()
        .envs(environment)
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| format!("it cannot be started: {error}"))?;
    let mut output = Zeroizing::new(Vec::with_capacity(limits::HELPER_OUTPUT_BYTES_MAX + 1));
    if let Some(stdout) = child.stdout.take() {
        let mut bounded = stdout.take(limits::HELPER_OUTPUT_BYTES_MAX as u64 + 1);
        let read = bounded.read_to_end(&mut output).await;
        read.map_err(|error| format!("its output cannot be read: {error}"))?;
    }
    if output.len() > limits::HELPER_OUTPUT_BYTES_MAX {
        return Err(format!(
            "it printed more than {} bytes",
            limits::HELPER_OUTPUT_BYTES_MAX
        ));
    }
    let status = child
        .wait()
        .await
        .map_err(|error| format!("it was lost: {error}"))?;
    if !status.success() {
        return Err(format!("it ended with {status}"));
    }
    Ok(output)
}

/// Whether a helper sees a variable of this program: what programs need to run, proxies and
/// certificates, and the variables that cloud tools find their identity by. Nothing else, since
/// the environment holds the operator's other secrets.
fn passes_to_helper(name: &str) -> bool {
    const NAMES: &[&str] = &[
        "PATH",
        "HOME",
        "USER",
        "LANG",
        "LC_ALL",
        "TZ",
        "TMPDIR",
        "XDG_CONFIG_HOME",
        "XDG_CACHE_HOME",
        "SSL_CERT_FILE",
        "SSL_CERT_DIR",
        "HTTP_PROXY",
        "HTTPS_PROXY",
        "NO_PROXY",
        "http_proxy",
        "https_proxy",
        "no_proxy",
        "DOCKER_CONFIG",
        "POD_NAMESPACE",
    ];
    const PREFIXES: &[&str] = &[
        "AWS_",
        "AZURE_",
        "GOOGLE_",
        "GCE_",
        "CLOUDSDK_",
        "KUBERNETES_SERVICE_",
    ];
    NAMES.contains(&name) || PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

/// What a session is known by: one login. A Docker configuration may hold several for one registry,
/// by path, so there each repository has its own session: a neighbour's login is never sent.
fn session_id(source: &CredentialSource, repository: &str) -> String {
    match source {
        CredentialSource::PullSecret { .. } => format!("{source} for {repository}"),
        _ => source.to_string(),
    }
}

/// A credential source as the registry client asks it, for one repository.
struct SourceAccess {
    reader: LoginReader,
    id: String,
    source: CredentialSource,
    api_url: String,
    repository: String,
    expires: Option<Duration>,
}

impl sealift_registry::Credentials for SourceAccess {
    fn id(&self) -> &str {
        &self.id
    }

    fn login(&self, refresh: bool) -> LoginFuture<'_> {
        let (api_url, repository) = (&self.api_url, &self.repository);
        Box::pin(async move {
            let login = self
                .reader
                .login(&self.source, api_url, repository, self.expires, refresh);
            login.await.map(Some).map_err(Into::into)
        })
    }
}

#[cfg(test)]
mod tests;
