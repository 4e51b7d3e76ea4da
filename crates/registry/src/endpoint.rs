//! One registry as the operator's configuration (or a reference) names it.

use std::num::NonZeroU32;

use sealift_core::secret::masked_url;
use sealift_net::Tls;
use url::Url;

use crate::error::RegistryError;

/// Where a registry is and how it may be reached. The program builds it from `registries.conf`.
#[derive(Debug, Clone)]
pub struct Endpoint {
    /// `https://host[:port][/path]`, or `http://…` where the configuration says so; no final `/`.
    pub api_url: Url,
    /// Extra roots, and whether certificates are checked at all.
    pub tls: Tls,
    /// Requests a second; `None`: unlimited.
    pub requests_per_second_max: Option<NonZeroU32>,
    /// Hosts that the operator allows as token servers besides the registry's own.
    pub realm_hosts: Vec<String>,
}

impl Endpoint {
    /// An endpoint with the system's roots, no limit and no other token servers.
    ///
    /// # Errors
    /// [`RegistryError::UrlInvalid`]: not an `http` or `https` URL with a host, or one with
    /// user-info, query or fragment.
    pub fn parse(api_url: &str) -> Result<Self, RegistryError> {
        let invalid = || RegistryError::UrlInvalid {
            url: masked_url(api_url),
        };
        let url = Url::parse(api_url.trim_end_matches('/')).map_err(|_| invalid())?;
        let plain = url.username().is_empty()
            && url.password().is_none()
            && url.query().is_none()
            && url.fragment().is_none();
        if !matches!(url.scheme(), "http" | "https") || !plain {
            return Err(invalid());
        }
        Ok(Self {
            api_url: url,
            tls: Tls::default(),
            requests_per_second_max: None,
            realm_hosts: Vec::new(),
        })
    }

    /// Host and port, for messages.
    pub(crate) fn host(&self) -> &str {
        self.api_url.authority()
    }

    /// `{api}/v2/{path}`. `path` holds checked names only.
    pub(crate) fn url(&self, path: &str) -> Url {
        let mut url = self.api_url.clone();
        let base = url.path().trim_end_matches('/');
        let path = format!("{base}/v2/{path}");
        url.set_path(&path);
        url
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_put_behind_the_api_url() {
        for (api, expected) in [
            ("https://r.example", "https://r.example/v2/a/tags/list"),
            ("https://r.example/", "https://r.example/v2/a/tags/list"),
            (
                "http://r.example:5000/x",
                "http://r.example:5000/x/v2/a/tags/list",
            ),
        ] {
            let endpoint = Endpoint::parse(api).unwrap();
            assert_eq!(endpoint.url("a/tags/list").as_str(), expected);
        }
    }

    #[test]
    fn urls_with_secrets_or_without_http_are_refused() {
        for text in [
            "r.example",
            "file:///x",
            "https://u:p@r.example",
            "https://r.example?x",
            "",
        ] {
            assert!(Endpoint::parse(text).is_err(), "{text}");
        }
    }
}
