//! Where registry credentials come from, and how a login is read from what stands there.
//!
//! A source is parsed once; who may use which kind is decided on the parsed value, so no spelling
//! gets around it. Here: the grammar, the rule, and the reading of logins from texts. Not here:
//! environment, files, processes, Kubernetes.
//!
//! | text | holds |
//! |---|---|
//! | `secret:<namespace>/<name>#<field>` | `user:password` |
//! | `pullsecret:<namespace>/<name>` | a docker configuration under `.dockerconfigjson` |
//! | `env:<VARIABLE>` | `user:password`; operator only |
//! | `ext:/absolute/path` | a program that prints `user:password`; operator only |
//!
//! Each may stand behind `<registry>=`, which is kept and not used.

mod docker_config;

use std::fmt;

pub use docker_config::DockerConfig;

use crate::limits;
use crate::reason::Reason;
use crate::secret::Secret;

/// Key of the docker configuration in a Secret of type `kubernetes.io/dockerconfigjson`.
pub const DOCKER_CONFIG_FIELD: &str = ".dockerconfigjson";

/// A parsed credential source. Equal sources name the same credential.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CredentialSource {
    /// One field of a Secret holds `user:password`.
    SecretField {
        /// Namespace of the Secret.
        namespace: String,
        /// Name of the Secret.
        name: String,
        /// Key below `data`.
        field: String,
    },
    /// A Secret holds a docker configuration.
    PullSecret {
        /// Namespace of the Secret.
        namespace: String,
        /// Name of the Secret.
        name: String,
    },
    /// An environment variable of this program holds `user:password`.
    Environment {
        /// Name of the variable.
        variable: String,
    },
    /// A program prints `user:password`.
    Helper {
        /// As written; [`CredentialSource::helper_path`] checks it.
        path: String,
    },
}

/// Who wrote a credential source, which decides what it may name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CredentialAuthor<'a> {
    /// The operator: `registries.conf` or the command line. Every source is allowed.
    Operator,
    /// An Application in this namespace: Secrets of the same namespace only.
    Application {
        /// Namespace of the Application.
        namespace: &'a str,
    },
}

/// A user name and a password.
#[derive(Clone, PartialEq, Eq)]
pub struct Login {
    /// User name; not secret, but not shown either.
    pub username: String,
    /// Password or token.
    pub password: Secret<String>,
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Login([secret])")
    }
}

/// Why a credential source cannot be used. No variant holds a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CredentialError {
    /// Not `type:rest`.
    #[error(
        "`{0}` is not a credential source: expected `secret:namespace/name#field`, \
         `pullsecret:namespace/name`, `env:VARIABLE` or `ext:/path`"
    )]
    Malformed(String),
    /// The type is none of the four.
    #[error("`{0}` is not a kind of credential: expected `secret`, `pullsecret`, `env` or `ext`")]
    UnknownKind(String),
    /// The part after `secret:` or `pullsecret:` names no Secret.
    #[error("`{0}` does not name a Secret: expected `namespace/name`, for `secret:` with `#field`")]
    SecretReference(String),
    /// An Application names what only the operator may name.
    #[error(
        "`{kind}:` is reserved for the operator's own configuration; \
         the credential of the Application was not read"
    )]
    OperatorOnly {
        /// `env` or `ext`.
        kind: &'static str,
    },
    /// An Application names a Secret of another namespace.
    #[error(
        "Secret `{secret_namespace}/{name}` is not in the Application's namespace \
         `{application_namespace}`; it was not read"
    )]
    ForeignNamespace {
        /// Namespace of the Secret.
        secret_namespace: String,
        /// Name of the Secret.
        name: String,
        /// Namespace of the Application.
        application_namespace: String,
    },
    /// A helper's path is not absolute.
    #[error("helper `{0}` was not run: its path must be absolute")]
    HelperPath(String),
    /// The text is not `user:password`.
    #[error("the value of {0} is not `user:password`")]
    NotALogin(String),
    /// The docker configuration cannot be read.
    #[error("the docker configuration cannot be read: {0}")]
    DockerConfig(String),
    /// The docker configuration has no entry for the registry.
    #[error("the docker configuration has no entry for `{0}`")]
    NoEntry(String),
    /// One entry of the docker configuration cannot be used.
    #[error("entry `{key}` of the docker configuration cannot be used: {problem}")]
    Entry {
        /// Key below `auths`.
        key: String,
        /// What is wrong.
        problem: &'static str,
    },
}

impl CredentialError {
    /// The stable reason: forbidden sources are refusals, everything else is unavailable.
    #[must_use]
    pub const fn reason(&self) -> Reason {
        match self {
            Self::OperatorOnly { .. } | Self::ForeignNamespace { .. } => {
                Reason::CredentialForbidden
            }
            Self::Malformed(_) | Self::UnknownKind(_) | Self::SecretReference(_) => {
                Reason::SettingInvalid
            }
            _ => Reason::CredentialUnavailable,
        }
    }
}

impl CredentialSource {
    /// Reads a source and checks that its author may use it.
    ///
    /// # Errors
    /// [`CredentialError::Malformed`], [`CredentialError::UnknownKind`],
    /// [`CredentialError::SecretReference`]; for an Application also
    /// [`CredentialError::OperatorOnly`] and [`CredentialError::ForeignNamespace`].
    pub fn parse(text: &str, author: CredentialAuthor<'_>) -> Result<Self, CredentialError> {
        let source = Self::parse_with_registry(text)?.1;
        source.permit(author)?;
        Ok(source)
    }

    /// Reads `[<registry>=]type:rest` without asking who wrote it. The registry text has no effect.
    ///
    /// # Errors
    /// As [`CredentialSource::parse`] for the operator.
    pub fn parse_with_registry(text: &str) -> Result<(Option<&str>, Self), CredentialError> {
        let malformed = || CredentialError::Malformed(shown(text));
        if text.len() > limits::CREDENTIAL_SOURCE_BYTES_MAX {
            return Err(malformed());
        }
        let (registry, definition) = match text.split_once('=') {
            Some((registry, rest)) if !registry.is_empty() && !rest.is_empty() => {
                (Some(registry), rest)
            }
            _ => (None, text),
        };
        let (kind, rest) = definition.split_once(':').ok_or_else(malformed)?;
        if kind.is_empty() || rest.is_empty() || rest.contains(':') {
            return Err(malformed());
        }
        let source = match kind.to_ascii_lowercase().as_str() {
            "secret" => Self::parse_secret(rest)?,
            "pullsecret" => {
                let (namespace, name) = secret_reference(rest, rest)?;
                Self::PullSecret { namespace, name }
            }
            "env" => Self::Environment {
                variable: rest.to_owned(),
            },
            "ext" => Self::Helper {
                path: rest.to_owned(),
            },
            _ => return Err(CredentialError::UnknownKind(shown(kind))),
        };
        Ok((registry, source))
    }

    fn parse_secret(rest: &str) -> Result<Self, CredentialError> {
        let refused = || CredentialError::SecretReference(shown(rest));
        let (reference, field) = rest.split_once('#').ok_or_else(refused)?;
        if field.is_empty() || field.contains('#') {
            return Err(refused());
        }
        let (namespace, name) = secret_reference(reference, rest)?;
        Ok(Self::SecretField {
            namespace,
            name,
            field: field.to_owned(),
        })
    }

    /// Says whether `author` may use this source.
    ///
    /// # Errors
    /// [`CredentialError::OperatorOnly`] and [`CredentialError::ForeignNamespace`], for
    /// Applications only.
    pub fn permit(&self, author: CredentialAuthor<'_>) -> Result<(), CredentialError> {
        let CredentialAuthor::Application {
            namespace: application_namespace,
        } = author
        else {
            return Ok(());
        };
        match self {
            Self::Environment { .. } => Err(CredentialError::OperatorOnly { kind: "env" }),
            Self::Helper { .. } => Err(CredentialError::OperatorOnly { kind: "ext" }),
            Self::SecretField {
                namespace, name, ..
            }
            | Self::PullSecret { namespace, name } => {
                if namespace == application_namespace {
                    return Ok(());
                }
                Err(CredentialError::ForeignNamespace {
                    secret_namespace: namespace.clone(),
                    name: name.clone(),
                    application_namespace: application_namespace.to_owned(),
                })
            }
        }
    }

    /// The helper's path, once it is known to be absolute. `None` for the other kinds.
    ///
    /// # Errors
    /// [`CredentialError::HelperPath`].
    pub fn helper_path(&self) -> Result<Option<&str>, CredentialError> {
        match self {
            Self::Helper { path } if path.starts_with('/') => Ok(Some(path)),
            Self::Helper { path } => Err(CredentialError::HelperPath(shown(path))),
            _ => Ok(None),
        }
    }
}

impl fmt::Display for CredentialSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SecretField {
                namespace,
                name,
                field,
            } => {
                write!(f, "secret:{namespace}/{name}#{field}")
            }
            Self::PullSecret { namespace, name } => write!(f, "pullsecret:{namespace}/{name}"),
            Self::Environment { variable } => write!(f, "env:{variable}"),
            Self::Helper { path } => write!(f, "ext:{path}"),
        }
    }
}

impl Login {
    /// Reads the field of a Secret: split at the first `:`; either part may be empty, a final
    /// newline stays.
    ///
    /// # Errors
    /// [`CredentialError::NotALogin`], which names `field` and not the value.
    pub fn from_secret_field(value: &str, field: &str) -> Result<Self, CredentialError> {
        Self::split(value).ok_or_else(|| CredentialError::NotALogin(format!("field `{field}`")))
    }

    /// Reads an environment variable: both parts must be there.
    ///
    /// # Errors
    /// [`CredentialError::NotALogin`], also when the variable is not set.
    pub fn from_environment(value: Option<&str>, variable: &str) -> Result<Self, CredentialError> {
        value
            .and_then(Self::split)
            .filter(|login| !login.username.is_empty() && !login.password.expose().is_empty())
            .ok_or_else(|| CredentialError::NotALogin(format!("variable `{variable}`")))
    }

    /// Reads what a helper printed: one line `user:password`, its final newline cut.
    ///
    /// # Errors
    /// [`CredentialError::NotALogin`]: no `:`, more than one line, or not UTF-8.
    pub fn from_helper_output(output: &[u8], path: &str) -> Result<Self, CredentialError> {
        std::str::from_utf8(output)
            .ok()
            .map(|text| text.strip_suffix('\n').unwrap_or(text))
            .filter(|line| !line.contains('\n'))
            .and_then(Self::split)
            .ok_or_else(|| CredentialError::NotALogin(format!("the output of `{path}`")))
    }

    fn split(text: &str) -> Option<Self> {
        let (username, password) = text.split_once(':')?;
        Some(Self {
            username: username.to_owned(),
            password: Secret::new(password.to_owned()),
        })
    }
}

/// `namespace/name` with both parts and no further slash.
fn secret_reference(text: &str, whole: &str) -> Result<(String, String), CredentialError> {
    match text.split_once('/') {
        Some((namespace, name))
            if !namespace.is_empty() && !name.is_empty() && !name.contains('/') =>
        {
            Ok((namespace.to_owned(), name.to_owned()))
        }
        _ => Err(CredentialError::SecretReference(shown(whole))),
    }
}

fn shown(text: &str) -> String {
    text.chars().take(200).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TENANT: CredentialAuthor<'_> = CredentialAuthor::Application { namespace: "ns" };

    #[test]
    fn an_application_may_use_secrets_of_its_own_namespace() {
        for text in ["secret:ns/x#f", "pullsecret:ns/x", "ghcr.io=SECRET:ns/x#f"] {
            CredentialSource::parse(text, TENANT).unwrap();
        }
    }

    /// S3: neither case nor a registry prefix gets around the rule.
    #[test]
    fn no_spelling_reaches_a_secret_of_another_namespace() {
        for text in [
            "secret:other/x#f",
            "Secret:other/x#f",
            "anything=secret:other/x#f",
            "pullSecret:other/x",
            "a=PULLSECRET:other/x",
        ] {
            let error = CredentialSource::parse(text, TENANT).unwrap_err();
            assert_eq!(error.reason(), Reason::CredentialForbidden, "{text}");
        }
    }

    /// S5.
    #[test]
    fn env_and_ext_belong_to_the_operator() {
        for text in [
            "env:HOME",
            "ENV:HOME",
            "x=env:HOME",
            "ext:/bin/sh",
            "x=Ext:/bin/sh",
        ] {
            let error = CredentialSource::parse(text, TENANT).unwrap_err();
            assert_eq!(error.reason(), Reason::CredentialForbidden, "{text}");
            CredentialSource::parse(text, CredentialAuthor::Operator).unwrap();
        }
    }

    #[test]
    fn a_helper_with_a_relative_path_is_not_run() {
        let source = CredentialSource::parse("ext:bin/helper", CredentialAuthor::Operator).unwrap();
        assert!(source.helper_path().is_err());
        let source = CredentialSource::parse("ext:/bin/helper", CredentialAuthor::Operator);
        assert_eq!(source.unwrap().helper_path(), Ok(Some("/bin/helper")));
    }

    #[test]
    fn a_helper_prints_one_line() {
        let login = Login::from_helper_output(b"u:p:q\n", "/h").unwrap();
        assert_eq!(
            (login.username.as_str(), login.password.expose().as_str()),
            ("u", "p:q")
        );
        for output in [&b"u:p\nmore\n"[..], b"u", b"", b"\xff:\xff", b"u:p\n\n"] {
            assert!(
                Login::from_helper_output(output, "/h").is_err(),
                "{output:?}"
            );
        }
    }

    #[test]
    fn a_login_and_its_errors_show_no_value() {
        let login = Login::from_secret_field("user:hunter2", "f").unwrap();
        assert!(!format!("{login:?}").contains("hunter2"));
        let error = Login::from_secret_field("hunter2", "f").unwrap_err();
        assert!(!error.to_string().contains("hunter2"));
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_the_parser_panic(text in "\\PC{0,80}") {
            let _ = CredentialSource::parse(&text, TENANT);
        }

        #[test]
        fn a_source_prints_as_it_parses(
            text in "(secret:[a-z]{1,5}/[a-z]{1,5}#[a-z]{1,5}|pullsecret:[a-z]{1,5}/[a-z]{1,5}|env:[A-Z]{1,5})"
        ) {
            let source = CredentialSource::parse(&text, CredentialAuthor::Operator).unwrap();
            proptest::prop_assert_eq!(source.to_string(), text);
        }
    }
}
