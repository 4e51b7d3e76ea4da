//! Git repositories with what is needed to reach them: credential, certificates, host keys.
//!
//! Here: asking the objects for what the settings name. Not here: which Secret serves a repository
//! (`sealift_core::repository_credentials`), and how a credential reaches Git (`sealift_git`).

use jiff::Timestamp;
use sealift_core::application::{Application, ApplicationId};
use sealift_core::reason::Reason;
use sealift_core::repository_credentials::{
    self as settings, GitLogin, RepositoryAccess, RepositoryCredentialError,
};
use sealift_core::settings::{GitCredentialSource, Method};
use sealift_git::{Credential, GitUrl, GithubAppError, GithubApps, Permission, Remote, Scheme};

use crate::objects::{Objects, ObjectsError};
use crate::pipeline::{Problem, chain};

/// Argo CD's ConfigMap of SSH host keys.
const KNOWN_HOSTS: &str = "argocd-ssh-known-hosts-cm";
/// Argo CD's ConfigMap of TLS certificates by host.
const TLS_CERTIFICATES: &str = "argocd-tls-certs-cm";

/// Everything that the answer of [`remote`] depends on: equal questions share one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Question {
    repository: String,
    credential: Named,
}

/// A credential by its full name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Named {
    /// Argo CD's repository settings, for a project.
    Settings { project: String },
    /// A Secret.
    Secret { namespace: String, name: String },
    /// The API server writes.
    None,
}

/// What [`remote`] would ask for this Application.
pub(crate) fn question(application: &Application) -> Question {
    Question {
        repository: application.repository.clone(),
        credential: named(&application.method, &application.id, &application.project),
    }
}

fn named(method: &Method, id: &ApplicationId, project: &str) -> Named {
    match method {
        Method::ArgoCd => Named::None,
        Method::Git(GitCredentialSource::RepositorySettings) => Named::Settings {
            project: project.to_owned(),
        },
        Method::Git(GitCredentialSource::Secret { namespace, name }) => Named::Secret {
            namespace: namespace.clone().unwrap_or_else(|| id.namespace.clone()),
            name: name.clone(),
        },
    }
}

/// What credentials are looked up with.
pub(crate) struct Lookup<'a> {
    pub(crate) objects: &'a dyn Objects,
    pub(crate) github_apps: Option<&'a GithubApps>,
    pub(crate) argocd_namespace: &'a str,
    pub(crate) now: Timestamp,
}

/// The repository at `url` with the credential that the Application's settings name.
pub(crate) async fn remote(
    lookup: &Lookup<'_>,
    application: &Application,
    url: GitUrl,
) -> Result<Remote, Problem> {
    let Lookup {
        objects,
        argocd_namespace,
        ..
    } = *lookup;
    let repository = application.repository.as_str();
    let access = match named(&application.method, &application.id, &application.project) {
        Named::None => None,
        Named::Settings { project } => {
            match from_settings(objects, repository, &project, argocd_namespace).await? {
                Err(RepositoryCredentialError::NotConfigured(_)) if needs_no_settings(&url) => None,
                access => Some(access.map_err(unusable)?),
            }
        }
        Named::Secret { namespace, name } => {
            let secret = objects
                .secret(&namespace, &name)
                .await
                .map_err(unreadable)?;
            let secret = secret.ok_or_else(|| Problem {
                reason: Reason::CredentialUnavailable,
                detail: format!("Secret `{namespace}/{name}` does not exist"),
            })?;
            Some(settings::from_secret(&secret, repository).map_err(unusable)?)
        }
    };
    equipped(lookup, url, access, Permission::Write).await
}

/// A repository that the operator named on the command line, with the credential that Argo CD's
/// settings hold for it, if they do.
pub(crate) async fn operators_remote(lookup: &Lookup<'_>, url: &GitUrl) -> Result<Remote, Problem> {
    let (objects, namespace) = (lookup.objects, lookup.argocd_namespace);
    let access = match from_settings(objects, &url.for_git(), "", namespace).await? {
        Err(RepositoryCredentialError::NotConfigured(_)) => None,
        access => Some(access.map_err(unusable)?),
    };
    equipped(lookup, url.clone(), access, Permission::Read).await
}

async fn from_settings(
    objects: &dyn Objects,
    repository: &str,
    project: &str,
    argocd_namespace: &str,
) -> Result<Result<RepositoryAccess, RepositoryCredentialError>, Problem> {
    let secrets = objects
        .repository_secrets(argocd_namespace)
        .await
        .map_err(unreadable)?;
    Ok(settings::find(
        secrets.iter().map(AsRef::as_ref),
        repository,
        project,
    ))
}

/// Local repositories, those on this machine, and URLs that bring their own credential.
fn needs_no_settings(url: &GitUrl) -> bool {
    let host = url.host().trim_start_matches('[').trim_end_matches(']');
    let loopback = host == "localhost"
        || host
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback());
    url.scheme() == Scheme::File || loopback || url.password().is_some()
}

/// The ConfigMap of Argo CD that a repository of this scheme needs.
pub(crate) const fn config_map_for(scheme: Scheme) -> Option<&'static str> {
    match scheme {
        Scheme::Ssh => Some(KNOWN_HOSTS),
        Scheme::Https => Some(TLS_CERTIFICATES),
        Scheme::Http | Scheme::File => None,
    }
}

async fn equipped(
    lookup: &Lookup<'_>,
    url: GitUrl,
    access: Option<RepositoryAccess>,
    permission: Permission,
) -> Result<Remote, Problem> {
    let Lookup {
        objects,
        argocd_namespace,
        ..
    } = *lookup;
    let mut remote = Remote::new(url);
    if let Some(access) = access {
        remote.credential = credential(lookup, &remote.url, &access, permission).await?;
        remote.insecure = access.insecure;
        remote.client_certificate = access.client_certificate;
        remote.proxy = access.proxy;
    }
    match remote.url.scheme() {
        Scheme::Ssh => {
            let hosts = objects.config_map(argocd_namespace, KNOWN_HOSTS).await;
            let hosts = hosts.map_err(unreadable)?;
            let known = hosts.as_deref().and_then(settings::known_hosts);
            remote.known_hosts = known.map(str::to_owned);
        }
        Scheme::Https => {
            remote.ca_pem = certificates(lookup, remote.url.host()).await?;
        }
        Scheme::Http | Scheme::File => {}
    }
    Ok(remote)
}

/// Certificates that Argo CD's settings trust a host by.
async fn certificates(lookup: &Lookup<'_>, host: &str) -> Result<Option<String>, Problem> {
    let map = lookup
        .objects
        .config_map(lookup.argocd_namespace, TLS_CERTIFICATES);
    let map = map.await.map_err(unreadable)?;
    let pem = map
        .as_deref()
        .and_then(|map| settings::tls_certificates(map, host));
    Ok(pem.map(str::to_owned))
}

async fn credential(
    lookup: &Lookup<'_>,
    url: &GitUrl,
    access: &RepositoryAccess,
    permission: Permission,
) -> Result<Credential, Problem> {
    Ok(match access.login.clone() {
        GitLogin::Anonymous => Credential::None,
        GitLogin::Basic { username, password } => Credential::Basic { username, password },
        GitLogin::Bearer(token) => Credential::Token(token),
        GitLogin::SshKey(key) => Credential::SshKey(key),
        GitLogin::GithubApp(app) => {
            let no_token = |error: GithubAppError| Problem {
                reason: error.reason(),
                detail: chain(&error),
            };
            let host = sealift_git::github_api_host(&app).map_err(no_token)?;
            let ca_pem = certificates(lookup, &host).await?;
            let way = (ca_pem.as_deref(), access.proxy.as_deref());
            let apps = lookup.github_apps.ok_or_else(|| Problem {
                reason: Reason::GithubApiUnreachable,
                detail: "there is no way out by HTTP".to_owned(),
            })?;
            apps.credential(&app, url, permission, way, lookup.now)
                .await
                .map_err(no_token)?
        }
    })
}

fn unusable(error: RepositoryCredentialError) -> Problem {
    Problem {
        reason: error.reason(),
        detail: chain(&error),
    }
}

fn unreadable(error: ObjectsError) -> Problem {
    Problem {
        reason: Reason::CredentialUnavailable,
        detail: chain(&error),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use sealift_core::application::{Context, parse_annotated};

    use super::*;
    use crate::objects::files::{FileObjects, Named as NamedFile, Reader};

    const OBJECTS: &str = "
apiVersion: v1
kind: Secret
metadata:
  name: github
  namespace: argocd
  labels: {argocd.argoproj.io/secret-type: repo-creds}
stringData: {url: https://github.com/acme, password: t}
---
apiVersion: v1
kind: Secret
metadata: {name: key, namespace: argocd}
stringData: {sshPrivateKey: KEY}
---
apiVersion: v1
kind: Secret
metadata: {name: app, namespace: argocd}
stringData: {githubAppID: '1', githubAppInstallationID: '2', githubAppPrivateKey: PEM}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: argocd-ssh-known-hosts-cm, namespace: argocd}
data: {ssh_known_hosts: 'g ssh-ed25519 AAAA'}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: argocd-tls-certs-cm, namespace: argocd}
data: {github.com: PEM}
";

    fn objects() -> FileObjects {
        let mut reader = Reader::new("argocd");
        reader.read_documents("f", OBJECTS.as_bytes(), NamedFile::Explicitly);
        let objects = reader.finish();
        assert_eq!(objects.problems(), []);
        objects
    }

    fn lookup(objects: &dyn Objects) -> Lookup<'_> {
        Lookup {
            objects,
            github_apps: None,
            argocd_namespace: "argocd",
            now: Timestamp::UNIX_EPOCH,
        }
    }

    async fn remote_of(method: &str, url: &str) -> Result<Remote, Problem> {
        let prefix = sealift_core::settings::PEER_PREFIX;
        let manifest = serde_json::json!({
            "metadata": { "name": "a", "namespace": "argocd", "annotations": {
                format!("{prefix}image-list"): "nginx",
                format!("{prefix}write-back-method"): method,
            } },
            "spec": { "source": { "repoURL": url, "helm": {} } },
        });
        let manifest = sealift_core::manifest::ApplicationManifest::from_value(manifest).unwrap();
        let context = Context {
            argocd_namespace: "argocd".to_owned(),
            own_platform: crate::platform::own(),
        };
        let application = parse_annotated(&manifest, &context)
            .unwrap()
            .application
            .unwrap();
        let objects: Arc<dyn Objects> = Arc::new(objects());
        let url = GitUrl::parse(url).unwrap();
        remote(&lookup(objects.as_ref()), &application, url).await
    }

    #[tokio::test]
    async fn repository_settings_give_a_token_and_certificates() {
        let remote = remote_of("git", "https://github.com/acme/app.git")
            .await
            .unwrap();
        assert!(matches!(
            &remote.credential,
            Credential::Basic { username, .. } if username == "x-access-token"
        ));
        assert_eq!(remote.ca_pem.as_deref(), Some("PEM"));
        assert!(!remote.insecure && remote.known_hosts.is_none());
    }

    #[tokio::test]
    async fn a_repository_that_nobody_configured_is_refused_unless_it_is_local() {
        let problem = remote_of("git", "https://github.com/acme-evil/app")
            .await
            .err()
            .unwrap();
        assert_eq!(problem.reason, Reason::CredentialUnavailable);
        assert!(
            problem
                .detail
                .contains("not configured in Argo CD settings")
        );
        for url in [
            "file:///srv/r.git",
            "http://127.0.0.1:3000/r",
            "https://u:p@h/r",
        ] {
            let remote = remote_of("git", url).await.unwrap();
            assert!(remote.credential == Credential::None, "{url}");
        }
    }

    #[tokio::test]
    async fn a_secret_gives_a_key_and_host_keys_are_checked() {
        let remote = remote_of("git:secret:key", "git@g:acme/app").await.unwrap();
        assert!(matches!(remote.credential, Credential::SshKey(_)));
        assert_eq!(remote.known_hosts.as_deref(), Some("g ssh-ed25519 AAAA"));
        assert!(!remote.insecure);
    }

    #[tokio::test]
    async fn what_is_missing_or_not_available_says_so() {
        let url = "https://github.com/acme/app";
        for (method, reason) in [
            ("git:secret:absent", Reason::CredentialUnavailable),
            ("git:secret:key", Reason::CredentialUnavailable),
            ("git:secret:app", Reason::GithubApiUnreachable),
        ] {
            assert_eq!(
                remote_of(method, url).await.err().unwrap().reason,
                reason,
                "{method}"
            );
        }
    }

    #[tokio::test]
    async fn the_operators_own_repository_may_be_public() {
        let url = GitUrl::parse("https://elsewhere.example/r").unwrap();
        let objects = objects();
        let remote = operators_remote(&lookup(&objects), &url).await.unwrap();
        assert!(remote.credential == Credential::None);
        let url = GitUrl::parse("https://github.com/acme/apps").unwrap();
        let remote = operators_remote(&lookup(&objects), &url).await.unwrap();
        assert!(remote.credential != Credential::None);
    }
}
