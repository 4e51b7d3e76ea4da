//! The write-back method: `argocd`, `git`, `git:repocreds`, `git:secret:[<namespace>/]<name>`.

use std::fmt;

use crate::reason::Reason;

/// How an Application is changed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Method {
    /// In the API server.
    #[default]
    ArgoCd,
    /// By a commit.
    Git(GitCredentialSource),
}

/// Where the credentials for Git come from.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum GitCredentialSource {
    /// Argo CD's own repository settings.
    #[default]
    RepositorySettings,
    /// A Secret.
    Secret {
        /// Its namespace; `None`: that of the Application.
        namespace: Option<String>,
        /// Its name.
        name: String,
    },
}

/// Why a text is no write-back method.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MethodError {
    /// Neither `argocd` nor `git`.
    #[error("`{0}` is not a write-back method: expected `argocd` or `git`")]
    Unknown(String),
    /// What stands behind `git:` names no credentials.
    #[error(
        "`{0}` names no Git credentials: expected `repocreds`, `secret:<name>` \
         or `secret:<namespace>/<name>`"
    )]
    Credentials(String),
    /// The Secret is in another namespace than the Application.
    #[error(
        "Secret `{namespace}/{name}` is not in the Application's namespace `{application}`; \
         it was not read"
    )]
    ForeignNamespace {
        /// Namespace of the Secret.
        namespace: String,
        /// Its name.
        name: String,
        /// Namespace of the Application.
        application: String,
    },
}

impl MethodError {
    /// The stable reason.
    #[must_use]
    pub const fn reason(&self) -> Reason {
        match self {
            Self::ForeignNamespace { .. } => Reason::CredentialForbidden,
            Self::Unknown(_) | Self::Credentials(_) => Reason::SettingInvalid,
        }
    }
}

impl Method {
    /// Reads the setting. Blanks around it do not count.
    ///
    /// # Errors
    /// [`MethodError::Unknown`], [`MethodError::Credentials`].
    pub fn parse(text: &str) -> Result<Self, MethodError> {
        let text = text.trim();
        let (method, credentials) = match text.split_once(':') {
            Some((method, credentials)) if !method.is_empty() => (method, credentials),
            _ => (text, ""),
        };
        match method {
            "argocd" => Ok(Self::ArgoCd),
            "git" => GitCredentialSource::parse(credentials).map(Self::Git),
            _ => Err(MethodError::Unknown(super::shown(text))),
        }
    }
}

impl GitCredentialSource {
    fn parse(text: &str) -> Result<Self, MethodError> {
        let refused = || MethodError::Credentials(super::shown(text));
        if text.is_empty() || text == "repocreds" {
            return Ok(Self::RepositorySettings);
        }
        let secret = text.strip_prefix("secret:").ok_or_else(refused)?;
        let (namespace, name) = match secret.split_once('/') {
            Some((namespace, name)) => (Some(namespace), name),
            None => (None, secret),
        };
        if name.is_empty() || name.contains('/') || namespace == Some("") {
            return Err(refused());
        }
        Ok(Self::Secret {
            namespace: namespace.map(str::to_owned),
            name: name.to_owned(),
        })
    }

    /// Says whether an Application in `application` may use these credentials.
    ///
    /// # Errors
    /// [`MethodError::ForeignNamespace`].
    pub fn permit(&self, application: &str) -> Result<(), MethodError> {
        match self {
            Self::Secret {
                namespace: Some(namespace),
                name,
            } if namespace != application => Err(MethodError::ForeignNamespace {
                namespace: namespace.clone(),
                name: name.clone(),
                application: application.to_owned(),
            }),
            _ => Ok(()),
        }
    }
}

impl fmt::Display for GitCredentialSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::RepositorySettings => f.write_str("repocreds"),
            Self::Secret {
                namespace: None,
                name,
            } => write!(f, "secret:{name}"),
            Self::Secret {
                namespace: Some(namespace),
                name,
            } => {
                write!(f, "secret:{namespace}/{name}")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn methods_are_read() {
        let git = |text: &str| match Method::parse(text) {
            Ok(Method::Git(source)) => source.to_string(),
            other => panic!("{text}: {other:?}"),
        };
        assert_eq!(Method::parse(" argocd "), Ok(Method::ArgoCd));
        assert_eq!(git("git"), "repocreds");
        assert_eq!(git("git:repocreds"), "repocreds");
        assert_eq!(git("git:secret:s"), "secret:s");
        assert_eq!(git("git:secret:ns/s"), "secret:ns/s");
        for text in [
            "",
            "Git",
            ":git",
            "git:x",
            "git:secret:",
            "git:secret:/s",
            "git:secret:a/b/c",
        ] {
            assert!(Method::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_secret_of_another_namespace_is_forbidden() {
        let Ok(Method::Git(source)) = Method::parse("git:secret:other/s") else {
            panic!()
        };
        let error = source.permit("ns").unwrap_err();
        assert_eq!(error.reason(), Reason::CredentialForbidden);
        assert!(source.permit("other").is_ok());
    }
}
