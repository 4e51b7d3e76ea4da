//! The only place that decides where an answer may send us next. RFC 9110, section 15.4.

use sealift_core::secret::masked_url;
use url::Url;

use crate::egress::is_loopback;
use crate::error::NetError;

/// One step of a redirect chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Hop {
    /// Where to ask next.
    pub(crate) url: Url,
    /// Whether the credentials of the request may go there.
    pub(crate) credentials: bool,
}

/// Whether scheme, host and port are equal.
#[must_use]
pub fn same_origin(left: &Url, right: &Url) -> bool {
    left.scheme() == right.scheme()
        && left.host() == right.host()
        && left.port_or_known_default() == right.port_or_known_default()
}

/// Where `location`, served by `from`, leads.
///
/// Credentials stay behind as soon as scheme, host or port change, and do not come back.
///
/// # Errors
/// [`NetError::InsecureRedirect`] below TLS, [`NetError::RedirectRefused`] for all that is no
/// usable URL or leads from elsewhere to this machine.
pub(crate) fn next_hop(from: &Hop, location: &[u8]) -> Result<Hop, NetError> {
    let refused = |why| NetError::RedirectRefused {
        from: masked_url(from.url.as_str()),
        why,
    };
    let location =
        std::str::from_utf8(location).map_err(|_| refused("its `Location` is not UTF-8"))?;
    let url = from
        .url
        .join(location)
        .map_err(|_| refused("its `Location` is not a URL"))?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(refused("its `Location` holds user-info"));
    }
    match (from.url.scheme(), url.scheme()) {
        (_, "https") | ("http", "http") => {}
        ("https", "http") => {
            return Err(NetError::InsecureRedirect {
                from: masked_url(from.url.as_str()),
                to: masked_url(url.as_str()),
            });
        }
        _ => return Err(refused("its `Location` is not HTTP")),
    }
    if is_loopback(&url) && !is_loopback(&from.url) {
        return Err(refused("it leads from another host to this machine"));
    }
    let credentials = from.credentials && same_origin(&from.url, &url);
    Ok(Hop { url, credentials })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hop(from: &str, location: &str) -> Result<Hop, NetError> {
        let from = Hop {
            url: Url::parse(from).unwrap(),
            credentials: true,
        };
        next_hop(&from, location.as_bytes())
    }

    #[test]
    fn credentials_stay_within_scheme_host_and_port() {
        for (location, kept) in [
            ("/v2/other", true),
            ("https://a.example/x", true),
            ("https://a.example:443/x", true),
            ("https://a.example:8443/x", false),
            ("https://b.example/x", false),
            ("https://a.example.evil.example/x", false),
            ("//b.example/x", false),
        ] {
            let hop = hop("https://a.example/v2/", location).unwrap();
            assert_eq!(hop.credentials, kept, "{location}");
        }
        assert!(
            !hop("http://a.example/", "https://a.example/")
                .unwrap()
                .credentials
        );
    }

    #[test]
    fn credentials_do_not_come_back() {
        let away = hop("https://a.example/", "https://b.example/").unwrap();
        let back = next_hop(&away, b"https://a.example/").unwrap();
        assert!(!back.credentials);
    }

    #[test]
    fn a_redirect_below_tls_is_refused() {
        assert!(matches!(
            hop("https://a.example/", "http://a.example/"),
            Err(NetError::InsecureRedirect { .. })
        ));
        assert!(hop("http://a.example/", "http://b.example/").is_ok());
    }

    #[test]
    fn strange_locations_are_refused() {
        for location in [
            "file:///etc/passwd",
            "ftp://a/",
            "https://u:p@a.example/",
            "https://[",
        ] {
            assert!(hop("https://a.example/", location).is_err(), "{location}");
        }
        assert!(hop("https://a.example/", "https://127.0.0.1/").is_err());
        assert!(hop("https://a.example/", "https://localhost./").is_err());
        assert!(hop("http://127.0.0.1:1/", "http://127.0.0.1:2/").is_ok());
    }
}
