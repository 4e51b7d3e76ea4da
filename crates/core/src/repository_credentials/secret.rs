//! What one Secret holds: the fields of Argo CD's repository Secrets, read for one URL.

use super::{
    GitLogin, GithubApp, RepositoryAccess, RepositoryCredentialError as Error, is_scp_like,
};
use crate::go_syntax;
use crate::manifest::SecretManifest;
use crate::secret::{Secret, masked_url};

/// The user that token-only credentials are sent with.
const TOKEN_USER: &str = "x-access-token";

/// Fields of one Secret, and the URL they are wanted for.
struct Fields<'a> {
    secret: &'a SecretManifest,
    repository: &'a str,
}

/// Reads a repository or template Secret.
pub(super) fn access(secret: &SecretManifest, repository: &str) -> Result<RepositoryAccess, Error> {
    let fields = Fields { secret, repository };
    let is_ssh = is_ssh(repository);
    let password = fields.secret_text("password")?;
    let key = fields.secret_text("sshPrivateKey")?;
    let login = match (password, key) {
        (_, Some(key)) if is_ssh => GitLogin::SshKey(key),
        (Some(password), _) if !is_ssh => fields.basic(password)?,
        _ if fields.is_set("githubAppID") && !is_ssh => GitLogin::GithubApp(fields.github_app()?),
        _ if fields.is_set("bearerToken") && !is_ssh => fields.bearer()?,
        (None, None) => {
            fields.refuse_unsupported()?;
            GitLogin::Anonymous
        }
        (Some(_), None) => return Err(fields.missing("`sshPrivateKey`")),
        (_, Some(_)) => return Err(fields.missing("`password`")),
    };
    fields.access(login)
}

/// Reads the Secret of `git:secret:`.
pub(super) fn write_back_access(
    secret: &SecretManifest,
    repository: &str,
) -> Result<RepositoryAccess, Error> {
    let fields = Fields { secret, repository };
    let login = if is_ssh(repository) {
        let key = fields.secret_text("sshPrivateKey")?;
        GitLogin::SshKey(key.ok_or_else(|| fields.missing("`sshPrivateKey`"))?)
    } else if behind_scheme(repository, "https://").is_some() || is_loopback_http(repository) {
        if fields.is_set("githubAppID") {
            GitLogin::GithubApp(fields.github_app()?)
        } else if !secret.data.contains_key("username") {
            return Err(fields.missing("`githubAppID` or `username`"));
        } else {
            let password = fields.secret_text("password")?;
            fields.basic(password.ok_or_else(|| fields.missing("`password`"))?)?
        }
    } else {
        return Err(Error::UnknownRepositoryType(masked_url(repository)));
    };
    fields.access(login)
}

fn is_ssh(repository: &str) -> bool {
    behind_scheme(repository, "ssh://").is_some() || is_scp_like(repository.trim())
}

/// What follows a scheme, which may be written in any case (RFC 3986, 3.1).
fn behind_scheme<'a>(repository: &'a str, scheme: &str) -> Option<&'a str> {
    let (found, rest) = repository.trim().split_at_checked(scheme.len())?;
    found.eq_ignore_ascii_case(scheme).then_some(rest)
}

/// Plain HTTP on this machine, where nobody listens in.
fn is_loopback_http(repository: &str) -> bool {
    let Some(rest) = behind_scheme(repository, "http://") else {
        return false;
    };
    let authority = rest.split('/').next().unwrap_or_default();
    let host = authority
        .rsplit_once('@')
        .map_or(authority, |(_, host)| host);
    let host = match host.strip_prefix('[') {
        Some(bracketed) => bracketed.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    host.eq_ignore_ascii_case("localhost")
        || host
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

impl Fields<'_> {
    fn name(&self) -> String {
        format!(
            "{}/{}",
            self.secret.metadata.namespace, self.secret.metadata.name
        )
    }

    fn is_set(&self, field: &str) -> bool {
        self.secret
            .data
            .get(field)
            .is_some_and(|value| !value.expose().is_empty())
    }

    /// A field as text; `None` where it is absent or empty.
    fn text(&self, field: &'static str) -> Result<Option<&str>, Error> {
        if !self.is_set(field) {
            return Ok(None);
        }
        let text = self.secret.text(field);
        text.map(Some).ok_or_else(|| Error::Field {
            secret: self.name(),
            field,
        })
    }

    fn secret_text(&self, field: &'static str) -> Result<Option<Secret<String>>, Error> {
        Ok(self.text(field)?.map(|text| Secret::new(text.to_owned())))
    }

    fn number(&self, field: &'static str) -> Result<Option<u64>, Error> {
        let Some(text) = self.text(field)? else {
            return Ok(None);
        };
        let number = text.trim().parse();
        number.map(Some).map_err(|_| Error::Field {
            secret: self.name(),
            field,
        })
    }

    fn missing(&self, missing: &'static str) -> Error {
        Error::Missing {
            secret: self.name(),
            url: masked_url(self.repository),
            missing,
        }
    }

    fn basic(&self, password: Secret<String>) -> Result<GitLogin, Error> {
        let username = self.text("username")?.unwrap_or(TOKEN_USER).to_owned();
        Ok(GitLogin::Basic { username, password })
    }

    fn bearer(&self) -> Result<GitLogin, Error> {
        let token = self.secret_text("bearerToken")?;
        token
            .map(GitLogin::Bearer)
            .ok_or_else(|| self.missing("`bearerToken`"))
    }

    fn github_app(&self) -> Result<GithubApp, Error> {
        let app_id = self.number("githubAppID")?;
        let private_key = self.secret_text("githubAppPrivateKey")?;
        Ok(GithubApp {
            app_id: app_id.ok_or_else(|| self.missing("`githubAppID`"))?,
            installation_id: self.number("githubAppInstallationID")?,
            private_key: private_key.ok_or_else(|| self.missing("`githubAppPrivateKey`"))?,
            base_url: self.text("githubAppEnterpriseBaseUrl")?.map(str::to_owned),
        })
    }

    /// Kinds that must not end as "no credential": somebody meant them to be used.
    fn refuse_unsupported(&self) -> Result<(), Error> {
        let unsupported = |kind| {
            Err(Error::Unsupported {
                secret: self.name(),
                kind,
            })
        };
        if self.is_set("gcpServiceAccountKey") {
            return unsupported("a Google service account key");
        }
        if self
            .secret
            .text("useAzureWorkloadIdentity")
            .is_some_and(|text| text.trim() == "true")
        {
            return unsupported("an Azure workload identity");
        }
        Ok(())
    }

    fn access(&self, login: GitLogin) -> Result<RepositoryAccess, Error> {
        let is_true = |field: &str| {
            self.secret
                .text(field)
                .and_then(|text| go_syntax::boolean(text.trim()))
                == Some(true)
        };
        let certificate = self.text("tlsClientCertData")?.map(str::to_owned);
        let certificate_key = self.secret_text("tlsClientCertKey")?;
        Ok(RepositoryAccess {
            login,
            insecure: is_true("insecure") || is_true("insecureIgnoreHostKey"),
            client_certificate: certificate.zip(certificate_key),
            proxy: self.text("proxy")?.map(str::to_owned),
            from: vec![self.name()],
        })
    }
}
