//! Repository URLs: one parser for `https://`, `http://`, `ssh://`, `user@host:path`, `file://` and
//! local paths.
//!
//! git-fetch(1), "GIT URLS". A parsed URL cannot be read as an option by Git or SSH, holds no
//! control characters, and keeps a password out of everything that is printed or passed on.
//! Transport helpers (`ext::…`) do not parse.

use std::fmt;

use sealift_core::host::is_disguised_address;
use sealift_core::limits::GIT_URL_BYTES_MAX;
use sealift_core::secret::{Secret, masked_url};
use zeroize::Zeroizing;

/// How a repository is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scheme {
    /// HTTP over TLS.
    Https,
    /// Plain HTTP.
    Http,
    /// SSH, in either spelling.
    Ssh,
    /// A folder on this machine.
    File,
}

impl Scheme {
    /// The name that `GIT_ALLOW_PROTOCOL` uses.
    #[must_use]
    pub const fn protocol(self) -> &'static str {
        match self {
            Self::Https => "https",
            Self::Http => "http",
            Self::Ssh => "ssh",
            Self::File => "file",
        }
    }

    /// The port of URLs that write none.
    const fn default_port(self) -> Option<u16> {
        match self {
            Self::Https => Some(443),
            Self::Http => Some(80),
            Self::Ssh => Some(22),
            Self::File => None,
        }
    }
}

/// A repository URL.
#[derive(Clone, PartialEq, Eq)]
pub struct GitUrl {
    scheme: Scheme,
    user: Option<String>,
    password: Option<Secret<String>>,
    host: String,
    port: Option<u16>,
    /// With a leading `/`, but for `user@host:path`, where the path is relative to the user's home.
    path: String,
}

/// Why a text is no repository URL that is supported.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("repository URL `{url}` is not supported: {rule}")]
pub struct GitUrlError {
    /// The text, masked and cut for messages.
    pub url: String,
    /// The rule that it breaks.
    pub rule: &'static str,
}

impl GitUrl {
    /// Reads a URL as users write it into an Application.
    ///
    /// # Errors
    /// [`GitUrlError`]: another scheme or a transport helper, no host, a part that begins with `-`,
    /// control characters, or more than [`GIT_URL_BYTES_MAX`] bytes.
    pub fn parse(text: &str) -> Result<Self, GitUrlError> {
        let text = text.trim();
        parse(text).map_err(|rule| GitUrlError {
            url: masked_url(text).chars().take(200).collect(),
            rule,
        })
    }

    /// How the repository is reached.
    #[must_use]
    pub const fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// The user in the URL.
    #[must_use]
    pub fn user(&self) -> Option<&str> {
        self.user.as_deref()
    }

    /// The password in the URL, which is used when no credential is configured, and never shown.
    #[must_use]
    pub const fn password(&self) -> Option<&Secret<String>> {
        self.password.as_ref()
    }

    /// The host in lower case, without port; empty for local paths. IPv6 addresses stand in
    /// brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port, where one is written.
    #[must_use]
    pub const fn port(&self) -> Option<u16> {
        self.port
    }

    /// The path below the host, as written.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// What Git gets: the URL without any password, and over HTTP without the user, who stands in a
    /// header.
    #[must_use]
    pub fn for_git(&self) -> String {
        let port = self.port.map(|port| format!(":{port}")).unwrap_or_default();
        let (host, path) = (&self.host, &self.path);
        match self.scheme {
            Scheme::File => path.clone(),
            Scheme::Https | Scheme::Http => {
                format!("{}://{host}{port}{path}", self.scheme.protocol())
            }
            Scheme::Ssh => {
                let user = self
                    .user
                    .as_ref()
                    .map(|user| format!("{user}@"))
                    .unwrap_or_default();
                if path.starts_with('/') {
                    format!("ssh://{user}{host}{port}{path}")
                } else {
                    format!("{user}{host}:{path}")
                }
            }
        }
    }

    /// One text for all spellings of one repository: what Applications are grouped by.
    ///
    /// Scheme, host and port stay apart, since they may be served differently; the scheme's own
    /// port, the user of HTTP URLs, a final `/` and `.git` do not count, and `user@host:path` is
    /// `ssh://user@host/path`, as it is for Argo CD. Paths keep their case.
    #[must_use]
    pub fn canonical(&self) -> String {
        let mut url = self.clone();
        if url.port == url.scheme.default_port() {
            url.port = None;
        }
        if !url.path.starts_with('/') {
            url.path.insert(0, '/');
        }
        let text = url.for_git();
        let text = text.trim_end_matches('/');
        text.strip_suffix(".git").unwrap_or(text).to_owned()
    }

    /// The path's segments without a final `.git`.
    fn segments(&self) -> Vec<&str> {
        let path = self.path.trim_matches('/');
        let path = path.strip_suffix(".git").unwrap_or(path);
        path.split('/')
            .filter(|segment| !segment.is_empty())
            .collect()
    }

    /// Owner and name of a repository on GitHub: the first two segments of the path.
    #[must_use]
    pub fn owner_and_name(&self) -> Option<(&str, &str)> {
        match self.segments().as_slice() {
            [owner, name, ..] => Some((owner, name)),
            _ => None,
        }
    }

    /// The project path on GitLab, groups included; at least two segments.
    #[must_use]
    pub fn project(&self) -> Option<String> {
        let segments = self.segments();
        (segments.len() >= 2).then(|| segments.join("/"))
    }
}

/// The URL without password, for messages.
impl fmt::Display for GitUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.for_git())
    }
}

impl fmt::Debug for GitUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The user of an SSH URL in either spelling, by Argo CD's rule: `[ssh://]user@rest` where `user`
/// holds no `/` or `:`.
///
/// `None`: not an SSH URL in Argo CD's eyes. The user may be empty.
#[must_use]
pub fn argo_ssh_user(text: &str) -> Option<&str> {
    let rest = text.strip_prefix("ssh://").unwrap_or(text);
    let (user, host) = rest.split_once('@')?;
    let plain = !user.contains(['/', ':']) && !host.is_empty() && !host.contains('@');
    plain.then_some(user)
}

/// Whether Argo CD takes a text for an HTTPS URL.
#[must_use]
pub fn argo_is_https(text: &str) -> bool {
    text.starts_with("https://")
}

/// Argo CD's text for comparing repository URLs, by which it finds repositories and credential
/// templates.
///
/// Lower case, no final `.git`, no `ssh://`, the first `:` of `user@host:path` a `/`.
#[must_use]
pub fn argo_normalized(text: &str) -> String {
    let mut url = text.trim().to_lowercase();
    if argo_ssh_user(&url).is_some() && !url.starts_with("ssh://") {
        url = url.replacen(':', "/", 1);
    }
    let url = url.strip_suffix(".git").unwrap_or(&url);
    url.strip_prefix("ssh://").unwrap_or(url).to_owned()
}

fn parse(text: &str) -> Result<GitUrl, &'static str> {
    if text.is_empty() || text.len() > GIT_URL_BYTES_MAX {
        return Err("it is empty or too long");
    }
    if text.chars().any(|c| c.is_control() || c.is_whitespace()) {
        return Err("it holds white space or control characters");
    }
    if let Some(path) = text.strip_prefix("file://") {
        return local(path);
    }
    if let Some((scheme, rest)) = text.split_once("://") {
        let scheme = match scheme.to_ascii_lowercase().as_str() {
            "https" => Scheme::Https,
            "http" => Scheme::Http,
            "ssh" | "git+ssh" | "ssh+git" => Scheme::Ssh,
            _ => return Err("only https, http, ssh and file are"),
        };
        let (authority, path) = rest.find('/').map_or((rest, ""), |at| rest.split_at(at));
        return remote(scheme, authority, path);
    }
    if text.starts_with('/') {
        return local(text);
    }
    // Only an IPv6 address, which stands in brackets, may hold two colons in a row.
    if text
        .split('[')
        .next()
        .is_some_and(|plain| plain.contains("::"))
    {
        return Err("transport helpers are not");
    }
    let (authority, path) = scp_parts(text).ok_or("it has neither a scheme nor a host")?;
    let mut url = remote(Scheme::Ssh, authority, path)?;
    if url.port.is_some() {
        return Err("a port needs the form `ssh://host:port/path`");
    }
    url.path = path.to_owned();
    Ok(url)
}

/// Splits `user@host:path`, where the host may be an IPv6 address in brackets.
fn scp_parts(text: &str) -> Option<(&str, &str)> {
    let from = text.find(']').unwrap_or(0);
    let colon = text.get(from..)?.find(':')? + from;
    let (authority, path) = text.split_at(colon);
    let plain = !authority.contains('/') && !authority.is_empty();
    plain.then_some((authority, path.strip_prefix(':')?))
}

fn local(path: &str) -> Result<GitUrl, &'static str> {
    if !path.starts_with('/') {
        return Err("a local path must be absolute");
    }
    Ok(GitUrl {
        scheme: Scheme::File,
        user: None,
        password: None,
        host: String::new(),
        port: None,
        path: path.to_owned(),
    })
}

fn remote(scheme: Scheme, authority: &str, path: &str) -> Result<GitUrl, &'static str> {
    let (user_info, host) = match authority.rsplit_once('@') {
        Some((user_info, host)) => (Some(user_info), host),
        None => (None, authority),
    };
    let (user, password) = match user_info.map(|info| info.split_once(':').unwrap_or((info, ""))) {
        Some((user, password)) => (Some(decoded(user)?), Some(decoded(password)?)),
        None => (None, None),
    };
    let (host, port) = host_and_port(host)?;
    if path.contains(['?', '#']) {
        return Err("it has a query or a fragment");
    }
    if path.trim_matches('/').is_empty() || path.starts_with('-') {
        return Err("it has no path");
    }
    let user = user.filter(|user| !user.is_empty());
    if user.as_ref().is_some_and(|user| bad_user(scheme, user)) {
        return Err("its user is not plain");
    }
    if scheme == Scheme::Ssh
        && password
            .as_ref()
            .is_some_and(|password| !password.is_empty())
    {
        return Err("SSH takes no password");
    }
    Ok(GitUrl {
        scheme,
        user: user.map(|user| user.to_string()),
        password: password
            .filter(|password| !password.is_empty())
            .map(|password| Secret::new(password.to_string())),
        host,
        port,
        path: path.to_owned(),
    })
}

/// A user that a program would read as an option, or that would end the user part of an SSH URL.
fn bad_user(scheme: Scheme, user: &str) -> bool {
    let plain = |c: char| c.is_alphanumeric() || matches!(c, '.' | '_' | '-' | '+' | '~');
    user.starts_with('-') || (scheme == Scheme::Ssh && !user.chars().all(plain))
}

fn host_and_port(text: &str) -> Result<(String, Option<u16>), &'static str> {
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, Some(port)),
        _ => (text, None),
    };
    let port = match port.filter(|port| !port.is_empty()) {
        Some(port) => Some(port.parse().map_err(|_| "its port is not a number")?),
        None => None,
    };
    let name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    let address = |c: char| c.is_ascii_hexdigit() || matches!(c, ':' | '.');
    let inner = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'));
    let valid = inner.map_or_else(
        || host.chars().all(name),
        |inner| inner.chars().all(address),
    );
    if host.is_empty() || host.starts_with('-') || !valid {
        return Err("its host is not a host name or an address");
    }
    if is_disguised_address(host) {
        return Err("its host is a number that is read as an address; write four decimal numbers");
    }
    Ok((host.to_ascii_lowercase(), port))
}

/// What of the URL of a proxy must not be seen: the password, or a user that stands alone, as it is
/// written and as it is sent.
pub(crate) fn proxy_secrets(url: &str) -> Vec<Secret<String>> {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    // A password may hold what ends an authority; then whoever wrote it meant the last `@`.
    let Some((user_info, _)) = rest.rsplit_once('@') else {
        return Vec::new();
    };
    let secret = match user_info.split_once(':') {
        Some((_, password)) => password,
        None => user_info,
    };
    let sent = decoded(secret).map(|text| Secret::new(text.to_string()));
    let mut secrets = vec![Secret::new(secret.to_owned())];
    secrets.extend(sent.ok().filter(|sent| sent.expose() != secret));
    // A reader that ends the authority there quotes what stands before it as a host.
    if let Some((before, _)) = secret.split_once(['/', '?', '#']) {
        secrets.push(Secret::new(before.to_owned()));
    }
    secrets
}

/// Percent-decoding of user and password. RFC 3986, section 2.1.
fn decoded(text: &str) -> Result<Zeroizing<String>, &'static str> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(text.len()));
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        let hex = |digit: Option<u8>| digit.and_then(|digit| char::from(digit).to_digit(16));
        bytes.push(match byte {
            b'%' => match (hex(rest.next()), hex(rest.next())) {
                (Some(high), Some(low)) => u8::try_from(high << 4 | low).unwrap_or(b'?'),
                _ => return Err("its user part is not well encoded"),
            },
            other => other,
        });
    }
    let text = String::from_utf8(bytes.to_vec()).map_err(|_| "its user part is not UTF-8")?;
    if text.chars().any(char::is_control) {
        return Err("its user part holds control characters");
    }
    Ok(Zeroizing::new(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_in_disguise_are_no_hosts() {
        for text in [
            "https://0x7f.1/a/b",
            "https://2130706433/a",
            "ssh://git@0177.0.0.1:22/a",
            "git@127.1:a/b",
            "http://u:p@0xa9fea9fe/a",
        ] {
            let error = GitUrl::parse(text).unwrap_err();
            assert!(error.rule.contains("number"), "{text}: {error}");
        }
        for text in [
            "https://127.0.0.1/a",
            "ssh://git@10.0.0.1/a",
            "git@1.example:a/b",
        ] {
            assert!(GitUrl::parse(text).is_ok(), "{text}");
        }
    }

    #[test]
    fn the_password_of_a_proxy_is_secret_in_every_form() {
        let of = |url: &str| -> Vec<String> {
            let secrets = proxy_secrets(url);
            secrets.iter().map(|one| one.expose().clone()).collect()
        };
        assert_eq!(of("http://u:hunter2@proxy:3128"), ["hunter2"]);
        assert_eq!(of("http://u:p%40ss@proxy"), ["p%40ss", "p@ss"]);
        assert_eq!(of("u:hunter2@proxy:3128"), ["hunter2"]);
        assert_eq!(of("http://token@proxy"), ["token"]);
        assert_eq!(of("http://u:p/q@ss@proxy/"), ["p/q@ss", "p"]);
        assert_eq!(of("http://proxy:3128"), Vec::<String>::new());
    }

    #[test]
    fn spellings_of_one_repository_have_one_canonical_text() {
        let canonical = |text| GitUrl::parse(text).unwrap().canonical();
        assert_eq!(
            canonical("https://u@GitHub.com/a/B.git"),
            "https://github.com/a/B"
        );
        assert_eq!(
            canonical("https://github.com/a/B/"),
            "https://github.com/a/B"
        );
        assert_eq!(
            canonical("git@github.com:a/b.git"),
            "ssh://git@github.com/a/b"
        );
        assert_eq!(
            canonical("ssh://git@github.com/a/b"),
            "ssh://git@github.com/a/b"
        );
        assert_eq!(
            canonical("ssh://git@github.com:22/a/b"),
            "ssh://git@github.com/a/b"
        );
        assert_eq!(canonical("https://h:443/a"), "https://h/a");
        assert_eq!(canonical("https://h:80/a"), "https://h:80/a");
        assert_eq!(canonical("file:///srv/r.git"), "/srv/r");
    }

    #[test]
    fn a_password_is_kept_and_never_shown() {
        let url = GitUrl::parse("https://u:p%40ss@h.example/x.git").unwrap();
        assert_eq!(url.password().unwrap().expose(), "p@ss");
        assert_eq!(url.user(), Some("u"));
        for shown in [
            url.to_string(),
            format!("{url:?}"),
            url.for_git(),
            url.canonical(),
        ] {
            assert!(!shown.contains("ss@"), "{shown}");
        }
        let refused = GitUrl::parse("https://u:hunter2@h.example").unwrap_err();
        assert!(!refused.to_string().contains("hunter2"));
    }

    #[test]
    fn options_helpers_and_other_schemes_are_refused() {
        for text in [
            "ext::sh -c touch% /tmp/x",
            "ext::sh",
            "ssh://-oProxyCommand=x/y",
            "-oProxyCommand=x:y",
            "ssh://-x@host/y",
            "-x@host:y",
            "git://h/x",
            "ftp://h/x",
            "https:///x",
            "https://h",
            "https://h/",
            "relative/path",
            "host:-x",
            "https://h/x?token=1",
            "https://h:99999/x",
            "ssh://u:p@h/x",
            "https://h /x",
            "https://h/\nx",
            "",
            "file://relative",
            "https://u%0a@h/x",
            "https://h$(x)/y",
        ] {
            assert!(GitUrl::parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn every_supported_spelling_parses_to_what_git_gets() {
        for (text, git) in [
            (
                "ssh://git@h.example:2222/a/b.git",
                "ssh://git@h.example:2222/a/b.git",
            ),
            ("git@h.example:a/b.git", "git@h.example:a/b.git"),
            ("git@[::1]:a/b.git", "git@[::1]:a/b.git"),
            ("http://[::1]:8080/a", "http://[::1]:8080/a"),
            ("HTTPS://H.example/a", "https://h.example/a"),
            ("/srv/git/x", "/srv/git/x"),
        ] {
            assert_eq!(GitUrl::parse(text).unwrap().for_git(), git, "{text}");
        }
    }
}
