//! The docker configuration in pull secrets: `{"auths": {"<host>[/<path>]": {"auth": …}}}`.
//!
//! An entry serves a registry when the hosts are equal and the entry's path is a whole-segment
//! prefix of the repository's; the longest such path wins, so that the answer never depends on the
//! order of keys. Docker Hub's names are one host. Not read: `credHelpers`, `credsStore`, identity
//! tokens. Kubernetes, "Images", "Interpretation of config.json".

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};
use zeroize::Zeroize as _;

use super::{CredentialError, Login};
use crate::limits;
use crate::secret::Secret;

/// The `auths` of a docker configuration. Each entry is checked when it is used, so a broken one
/// harms its own registry only.
pub struct DockerConfig {
    auths: Map<String, Value>,
}

impl fmt::Debug for DockerConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.auths.keys()).finish()
    }
}

impl Drop for DockerConfig {
    fn drop(&mut self) {
        for (_, value) in self.auths.iter_mut() {
            wipe(value);
        }
    }
}

fn wipe(value: &mut Value) {
    match value {
        Value::String(text) => text.zeroize(),
        Value::Object(fields) => fields.values_mut().for_each(wipe),
        Value::Array(items) => items.iter_mut().for_each(wipe),
        _ => {}
    }
}

impl DockerConfig {
    /// Reads the JSON text.
    ///
    /// # Errors
    /// [`CredentialError::DockerConfig`]: too large, not JSON, or without an `auths` map. No
    /// message holds a value.
    pub fn parse(text: &[u8]) -> Result<Self, CredentialError> {
        let refused = |problem: String| CredentialError::DockerConfig(problem);
        if text.len() > limits::DOCKER_CONFIG_BYTES_MAX {
            return Err(refused(format!(
                "it is larger than {} bytes",
                limits::DOCKER_CONFIG_BYTES_MAX
            )));
        }
        let value: Value = serde_json::from_slice(text).map_err(|error| {
            refused(format!(
                "not JSON, line {} column {}",
                error.line(),
                error.column()
            ))
        })?;
        let auths = match value {
            Value::Object(mut fields) => fields.remove("auths"),
            _ => None,
        };
        match auths {
            Some(Value::Object(auths)) => Ok(Self { auths }),
            _ => Err(refused("it has no `auths` map".to_owned())),
        }
    }

    /// The login for `repository` (for example `library/nginx`, or empty) of the registry whose API
    /// is at `api_url`.
    ///
    /// # Errors
    /// [`CredentialError::NoEntry`], [`CredentialError::Entry`].
    pub fn login(&self, api_url: &str, repository: &str) -> Result<Login, CredentialError> {
        let wanted = Place::of(api_url);
        let wanted_path = match (wanted.path, repository) {
            ("", repository) => repository.to_owned(),
            (path, "") => path.to_owned(),
            (path, repository) => format!("{path}/{repository}"),
        };
        let best = self
            .auths
            .iter()
            .filter_map(|(key, value)| {
                let place = Place::of(key);
                let serves =
                    place.host == wanted.host && is_segment_prefix(place.path, &wanted_path);
                // Equal places written differently: the text decides, so that the answer is always
                // the same.
                serves.then_some((place.path.len(), std::cmp::Reverse(key), value))
            })
            .max_by_key(|(path_length, key, _)| (*path_length, *key));
        let Some((_, std::cmp::Reverse(key), value)) = best else {
            return Err(CredentialError::NoEntry(crate::secret::masked_url(api_url)));
        };
        entry_login(key, value)
    }
}

/// Host and path of a key or an API URL, made comparable: no scheme, no version suffix, one name
/// for Docker Hub.
struct Place<'a> {
    host: String,
    path: &'a str,
}

impl<'a> Place<'a> {
    fn of(text: &'a str) -> Self {
        let text = text.split_once("://").map_or(text, |(_, rest)| rest);
        let (host, path) = text.split_once('/').unwrap_or((text, ""));
        let host = host.to_ascii_lowercase();
        let path = path.trim_matches('/');
        let path = match path {
            "v1" | "v2" => "",
            _ => path,
        };
        let host = match host.as_str() {
            "index.docker.io" | "registry-1.docker.io" | "registry.hub.docker.com" => {
                "docker.io".to_owned()
            }
            _ => host,
        };
        Self { host, path }
    }
}

fn is_segment_prefix(prefix: &str, path: &str) -> bool {
    prefix.is_empty()
        || path
            .strip_prefix(prefix)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// `auth` (base64 of `user:password`), or `username` and `password`.
fn entry_login(key: &str, value: &Value) -> Result<Login, CredentialError> {
    let refused = |problem| CredentialError::Entry {
        key: key.to_owned(),
        problem,
    };
    let Value::Object(fields) = value else {
        return Err(refused("it is not a map"));
    };
    let text = |name: &str| {
        fields
            .get(name)
            .and_then(Value::as_str)
            .filter(|text| !text.is_empty())
    };
    if let Some(auth) = text("auth") {
        let decoded = STANDARD
            .decode(auth.trim_end())
            .map_err(|_| refused("`auth` is not base64"))?;
        let decoded = String::from_utf8(decoded).map_err(|_| refused("`auth` is not UTF-8"))?;
        let decoded = Secret::new(decoded);
        // Docker pads passwords with NUL bytes in old files.
        return Login::split(decoded.expose().trim_end_matches('\0'))
            .ok_or_else(|| refused("`auth` is not base64 of `user:password`"));
    }
    match (text("username"), text("password")) {
        (Some(username), Some(password)) => Ok(Login {
            username: username.to_owned(),
            password: Secret::new(password.to_owned()),
        }),
        _ => Err(refused(
            "it has neither `auth` nor `username` and `password`",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn login(auths: Value, api_url: &str, repository: &str) -> Result<String, CredentialError> {
        let text = serde_json::json!({ "auths": auths }).to_string();
        let login = DockerConfig::parse(text.as_bytes())?.login(api_url, repository)?;
        Ok(format!("{}:{}", login.username, login.password.expose()))
    }

    fn auth(user_password: &str) -> Value {
        serde_json::json!({ "auth": STANDARD.encode(user_password) })
    }

    #[test]
    fn every_name_of_docker_hub_is_the_same_host() {
        for key in [
            "https://index.docker.io/v1/",
            "index.docker.io",
            "docker.io",
            "https://registry-1.docker.io",
            "registry-1.docker.io/v2/",
        ] {
            let got = login(
                serde_json::json!({ key: auth("u:p") }),
                "https://registry-1.docker.io",
                "library/nginx",
            );
            assert_eq!(got, Ok("u:p".to_owned()), "{key}");
        }
    }

    #[test]
    fn a_host_that_merely_begins_alike_is_another_host() {
        for key in [
            "ghcr.io.evil.example",
            "ghcr.io:8443",
            "xghcr.io",
            "https://ghcr.iox",
        ] {
            let got = login(
                serde_json::json!({ key: auth("u:p") }),
                "https://ghcr.io",
                "a/b",
            );
            assert_eq!(
                got,
                Err(CredentialError::NoEntry("https://ghcr.io".to_owned())),
                "{key}"
            );
        }
    }

    #[test]
    fn the_longest_path_wins_and_only_whole_segments_count() {
        let auths = serde_json::json!({
            "r.example": auth("host:p"),
            "r.example/team": auth("team:p"),
            "r.example/team/app": auth("app:p"),
        });
        for (repository, expected) in [
            ("team/app", "app:p"),
            ("team/app/x", "app:p"),
            ("team/application", "team:p"),
            ("teams/app", "host:p"),
            ("", "host:p"),
        ] {
            let got = login(auths.clone(), "https://r.example", repository);
            assert_eq!(got.as_deref(), Ok(expected), "{repository}");
        }
    }

    #[test]
    fn username_and_password_serve_without_auth() {
        let auths = serde_json::json!({ "r": { "username": "u", "password": "p" } });
        assert_eq!(login(auths, "https://r", "a").as_deref(), Ok("u:p"));
        let auths = serde_json::json!({ "r": { "username": "u" } });
        assert!(login(auths, "https://r", "a").is_err());
    }

    #[test]
    fn a_broken_entry_harms_its_own_registry_only() {
        let auths = serde_json::json!({ "bad": "x", "good": auth("u:p") });
        assert!(login(auths.clone(), "https://bad", "a").is_err());
        assert_eq!(login(auths, "https://good", "a").as_deref(), Ok("u:p"));
    }

    #[test]
    fn an_error_in_the_json_shows_none_of_it() {
        let error = DockerConfig::parse(b"{\"auths\": hunter2").unwrap_err();
        assert!(!error.to_string().contains("hunter2"));
    }
}
