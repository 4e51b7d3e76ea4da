//! Credentials, trust in servers, and how both reach Git without an argument or a URL that holds a
//! secret.
//!
//! HTTP: one `Authorization` header from `http.<url>.extraHeader`, which Git reads from its
//! environment. Unlike a helper or a prompt it is sent with the first request, which saves a
//! refused one a process. SSH: key and known hosts are files (0600) in a folder (0700) that ends
//! with the [`crate::Repository`].

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io::Write as _;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sealift_core::secret::Secret;
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;

use crate::command::{Access, PROXY_VARIABLES};
use crate::error::GitError;
use crate::url::{GitUrl, Scheme, proxy_secrets};

/// Bundles of system roots, in the order they are looked for.
const SYSTEM_ROOTS: &[&str] = &[
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/cert.pem",
];

/// The user that GitHub takes the tokens of Apps from. GitHub, "Authenticating as a GitHub App
/// installation".
const TOKEN_USER: &str = "x-access-token";

/// A repository and everything that is needed to reach it.
#[derive(Clone)]
pub struct Remote {
    /// Where it is.
    pub url: GitUrl,
    /// Who asks.
    pub credential: Credential,
    /// Certificates that are trusted besides the system's, PEM.
    pub ca_pem: Option<String>,
    /// Client certificate and key, PEM.
    pub client_certificate: Option<(String, Secret<String>)>,
    /// Neither TLS certificates nor SSH host keys are checked. Only an explicit setting of the user
    /// may say so.
    pub insecure: bool,
    /// Host keys that are trusted, in the format of sshd(8), "SSH_KNOWN_HOSTS FILE FORMAT".
    pub known_hosts: Option<String>,
    /// Proxy of this repository, for HTTP.
    pub proxy: Option<String>,
}

impl Remote {
    /// A repository that anyone may read.
    #[must_use]
    pub const fn new(url: GitUrl) -> Self {
        Self {
            url,
            credential: Credential::None,
            ca_pem: None,
            client_certificate: None,
            insecure: false,
            known_hosts: None,
            proxy: None,
        }
    }

    /// Whether both reach one repository in the same way and as the same one, however its URL is
    /// spelt: then one push serves both.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        // Only without a credential does the one in the URL count.
        let in_url = |remote: &Self| match remote.credential {
            Credential::None => Some((
                remote.url.user().map(str::to_owned),
                remote.url.password().cloned(),
            )),
            _ => None,
        };
        self.url.canonical() == other.url.canonical()
            && self.credential == other.credential
            && in_url(self) == in_url(other)
            && self.ca_pem == other.ca_pem
            && self.client_certificate == other.client_certificate
            && self.insecure == other.insecure
            && self.known_hosts == other.known_hosts
            && self.proxy == other.proxy
    }
}

/// Who asks.
#[derive(Clone, PartialEq, Eq)]
pub enum Credential {
    /// Nobody in particular, or who stands in the URL.
    None,
    /// A user with a password, or with a token in its place.
    Basic {
        /// The user.
        username: String,
        /// The password.
        password: Secret<String>,
    },
    /// A bearer token.
    Token(Secret<String>),
    /// A private key in OpenSSH, PKCS#1 or PKCS#8 form, without passphrase.
    SshKey(Secret<String>),
    /// A token that a GitHub App was given for this repository.
    Installation {
        /// Differs when what the token was asked for with differs, and stays when the token is
        /// renewed: the cached repository is known by it.
        identity: String,
        /// The token.
        token: Secret<String>,
    },
}

impl Credential {
    /// The kind, for messages.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::None => "no credential",
            Self::Basic { .. } => "a user and password",
            Self::Token(_) => "a bearer token",
            Self::SshKey(_) => "an SSH key",
            Self::Installation { .. } => "a token of a GitHub App",
        }
    }

    /// A text that differs when the credential differs, and tells nothing about it to who does not
    /// know `salt`.
    #[must_use]
    pub(crate) fn fingerprint(&self, url: &GitUrl, salt: &[u8]) -> String {
        let mut hash = Sha256::new();
        hash.update(salt);
        let embedded = url.password().map(|password| password.expose().as_str());
        let parts = match self {
            Self::None => [
                "none",
                url.user().unwrap_or_default(),
                embedded.unwrap_or_default(),
            ],
            Self::Basic { username, password } => ["basic", username, password.expose()],
            Self::Token(token) => ["token", "", token.expose()],
            Self::SshKey(key) => ["ssh", "", key.expose()],
            Self::Installation { identity, .. } => ["installation", "", identity],
        };
        for part in parts.iter().copied().chain([url.for_git().as_str()]) {
            hash.update(part.len().to_be_bytes());
            hash.update(part.as_bytes());
        }
        let mut text = String::with_capacity(32);
        for byte in hash.finalize().iter().take(16) {
            let _ = write!(text, "{byte:02x}");
        }
        text
    }
}

/// What the operator allows, whoever names the repository.
#[derive(Debug, Clone, Default)]
pub struct AccessRules {
    /// Repositories on local paths may be used.
    pub allow_local: bool,
    /// Hosts besides loopback to which credentials may travel over plain HTTP, in lower case.
    pub plaintext_credential_hosts: BTreeSet<String>,
    /// A program that stands for `ssh`: it gets the arguments of `ssh`, and in
    /// [`SSH_CONFIG_VARIABLE`] the configuration to run it with. Git starts it without a shell,
    /// where there may be none. Without it Git starts `ssh` by way of one.
    pub ssh_program: Option<PathBuf>,
}

/// Names the configuration for `ssh` to the program that stands for it.
pub const SSH_CONFIG_VARIABLE: &str = "SEALIFT_SSH_CONFIG";

/// Checks what may be used, and lays it out for commands. Files live in the returned folder.
pub(crate) fn prepare_access(
    remote: &Remote,
    rules: &AccessRules,
    folder: &Path,
) -> Result<(Access, Option<TempDir>), GitError> {
    check(remote, rules)?;
    let mut files = Files { folder, made: None };
    let mut access = Access {
        protocol: remote.url.scheme().protocol(),
        ..Access::default()
    };
    match remote.url.scheme() {
        Scheme::File => {}
        Scheme::Https | Scheme::Http => http(remote, &mut access, &mut files)?,
        Scheme::Ssh => ssh(remote, rules, &mut access, &mut files)?,
    }
    Ok((access, files.made))
}

fn check(remote: &Remote, rules: &AccessRules) -> Result<(), GitError> {
    let url = &remote.url;
    if url.scheme() == Scheme::File && !rules.allow_local {
        return Err(GitError::LocalForbidden {
            url: url.to_string(),
        });
    }
    let carries_secret = remote.credential != Credential::None || url.password().is_some();
    let host = url.host();
    if url.scheme() == Scheme::Http
        && carries_secret
        && !is_loopback(host)
        && !rules.plaintext_credential_hosts.contains(host)
    {
        return Err(GitError::PlaintextForbidden {
            url: url.to_string(),
            host: host.to_owned(),
        });
    }
    let fits = match url.scheme() {
        Scheme::Https | Scheme::Http => !matches!(remote.credential, Credential::SshKey(_)),
        Scheme::Ssh => matches!(remote.credential, Credential::SshKey(_) | Credential::None),
        Scheme::File => true,
    };
    if !fits {
        return Err(GitError::CredentialMismatch {
            url: url.to_string(),
            kind: remote.credential.kind(),
        });
    }
    if url.scheme() == Scheme::Ssh && remote.known_hosts.is_none() && !remote.insecure {
        return Err(GitError::HostKeyUnknown {
            url: url.to_string(),
            detail: "no known hosts are configured".to_owned(),
        });
    }
    Ok(())
}

/// Whether a host is this machine by its written form; names are not resolved.
pub(crate) fn is_loopback(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost"
        || address
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

/// The value of `Authorization` for `remote`, from its credential or the password in its URL.
pub(crate) fn authorization(remote: &Remote) -> Option<String> {
    let basic = |user: &str, password: &Secret<String>| {
        let pair = Secret::new(format!("{user}:{}", password.expose()));
        format!("Basic {}", STANDARD.encode(pair.expose()))
    };
    match (&remote.credential, remote.url.password()) {
        (Credential::Basic { username, password }, _) => Some(basic(username, password)),
        (Credential::Token(token), _) => Some(format!("Bearer {}", token.expose())),
        (Credential::Installation { token, .. }, _) => Some(basic(TOKEN_USER, token)),
        (_, Some(password)) => Some(basic(remote.url.user().unwrap_or_default(), password)),
        _ => None,
    }
}

fn http(remote: &Remote, access: &mut Access, files: &mut Files<'_>) -> Result<(), GitError> {
    let url = &remote.url;
    let header = authorization(remote);
    let password = match &remote.credential {
        Credential::Basic { password, .. }
        | Credential::Token(password)
        | Credential::Installation {
            token: password, ..
        } => Some(password),
        _ => url.password(),
    };
    access.secrets.extend(password.cloned());
    if let Some((_, encoded)) = header.as_ref().and_then(|header| header.split_once(' ')) {
        access.secrets.push(Secret::new(encoded.to_owned()));
    }
    let mut set = |key: &str, value: String| {
        access
            .configuration
            .push((key.to_owned(), Secret::new(value)));
    };
    if let Some(header) = header {
        if header.chars().any(char::is_control) {
            return Err(GitError::CredentialMismatch {
                url: url.to_string(),
                kind: "a credential with control characters",
            });
        }
        let key = format!("http.{}.extraHeader", url.for_git());
        set(&key, format!("Authorization: {header}"));
    }
    if remote.insecure {
        set("http.sslVerify", "false".to_owned());
    } else if let Some(ca) = &remote.ca_pem {
        let file = files.write("ca.pem", &format!("{}\n{ca}\n", system_roots()))?;
        // The variable, not the setting: it would win over the setting where the caller has one.
        access.environment.push(("GIT_SSL_CAINFO", file.into()));
    }
    if let Some((certificate, key)) = &remote.client_certificate {
        let (certificate, key) = (
            files.write("client.pem", certificate)?,
            files.write("client.key", key.expose())?,
        );
        set("http.sslCert", certificate.display().to_string());
        set("http.sslKey", key.display().to_string());
    }
    if let Some(proxy) = &remote.proxy {
        set("http.proxy", proxy.clone());
    }
    let around = PROXY_VARIABLES
        .iter()
        .filter_map(|name| std::env::var(name).ok());
    let proxies = around.chain(remote.proxy.clone());
    access
        .secrets
        .extend(proxies.flat_map(|proxy| proxy_secrets(&proxy)));
    Ok(())
}

fn system_roots() -> String {
    let named = ["GIT_SSL_CAINFO", "SSL_CERT_FILE"]
        .into_iter()
        .filter_map(std::env::var_os);
    let known = SYSTEM_ROOTS.iter().map(PathBuf::from);
    let mut texts = named
        .map(PathBuf::from)
        .chain(known)
        .filter_map(|path| std::fs::read_to_string(path).ok());
    texts.next().unwrap_or_default()
}

/// Lays out key, known hosts and the configuration that Git starts SSH with. That holds paths, no
/// secrets.
fn ssh(
    remote: &Remote,
    rules: &AccessRules,
    access: &mut Access,
    files: &mut Files<'_>,
) -> Result<(), GitError> {
    let known = files.write(
        "known_hosts",
        remote.known_hosts.as_deref().unwrap_or_default(),
    )?;
    let (checking, known) = if remote.insecure {
        ("no", PathBuf::from("/dev/null"))
    } else {
        ("yes", known)
    };
    let mut options = vec![
        "BatchMode=yes".to_owned(),
        format!("StrictHostKeyChecking={checking}"),
        format!("UserKnownHostsFile={}", ssh_quoted(&known)),
        "GlobalKnownHostsFile=/dev/null".to_owned(),
        "UpdateHostKeys=no".to_owned(),
        "IdentitiesOnly=yes".to_owned(),
        "IdentityAgent=none".to_owned(),
        "PasswordAuthentication=no".to_owned(),
        "KbdInteractiveAuthentication=no".to_owned(),
        "ClearAllForwardings=yes".to_owned(),
        "ControlPath=none".to_owned(),
        "PermitLocalCommand=no".to_owned(),
        "ConnectTimeout=20".to_owned(),
    ];
    if let Credential::SshKey(key) = &remote.credential {
        let text = Secret::new(format!("{}\n", key.expose().trim_end()));
        let file = files.write("identity", text.expose())?;
        options.push(format!("IdentityFile={}", ssh_quoted(&file)));
        access.secrets.push(key.clone());
    } else {
        options.push("IdentityFile=none".to_owned());
    }
    // ssh_config(5): `keyword=argument` is a line of it, as behind `-o`.
    let config = files.write("ssh_config", &format!("{}\n", options.join("\n")))?;
    match &rules.ssh_program {
        Some(program) => {
            access.environment.push(("GIT_SSH", program.into()));
            access
                .environment
                .push((SSH_CONFIG_VARIABLE, config.into()));
        }
        None => {
            let line = format!("ssh -F {}", shell_quoted(&config.display().to_string()));
            access.environment.push(("GIT_SSH_COMMAND", line.into()));
        }
    }
    access.environment.push(("GIT_SSH_VARIANT", "ssh".into()));
    Ok(())
}

/// `text` as one word of `sh`. POSIX.1-2017, "Shell Command Language", 2.2.2.
fn shell_quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}

/// A path as one word of an SSH option, without tokens. ssh_config(5), "TOKENS".
fn ssh_quoted(path: &Path) -> String {
    format!("\"{}\"", path.display().to_string().replace('%', "%%"))
}

/// Files that end with the access.
struct Files<'a> {
    folder: &'a Path,
    made: Option<TempDir>,
}

impl Files<'_> {
    fn write(&mut self, name: &str, text: &str) -> Result<PathBuf, GitError> {
        let failed = |path: &Path, source| GitError::Io {
            what: "write",
            path: path.to_owned(),
            source,
        };
        if self.made.is_none() {
            let made = tempfile::Builder::new()
                .prefix(ACCESS_FOLDER_PREFIX)
                .permissions(std::fs::Permissions::from_mode(0o700))
                .tempdir_in(self.folder)
                .map_err(|source| failed(self.folder, source))?;
            self.made = Some(made);
        }
        let path = self
            .made
            .as_ref()
            .map_or(self.folder, TempDir::path)
            .join(name);
        std::fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)
            .and_then(|mut file| file.write_all(text.as_bytes()))
            .map_err(|source| failed(&path, source))?;
        Ok(path)
    }
}

/// Begins the names of folders with keys; what a crash left behind is found by it.
pub(crate) const ACCESS_FOLDER_PREFIX: &str = "access-";
