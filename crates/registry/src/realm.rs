//! Which token server a registry may name.
//!
//! The registry chooses the realm, and we send it credentials: without a rule any registry could
//! collect them for another host, or have us ask hosts that only we can reach. Threat: a tenant's
//! registry that names an internal host as realm.

use url::{Host, Url};

/// Suffixes under which strangers live beside each other: there only the same host counts.
const SHARED_SUFFIXES: [&str; 8] = [
    "amazonaws.com",
    "azurecr.io",
    "azurewebsites.net",
    "cloudfront.net",
    "github.io",
    "herokuapp.com",
    "pkg.dev",
    "run.app",
];

/// Whether credentials for `api` may go to `realm`: over TLS (or plain HTTP on the very host that
/// the configuration names in plain HTTP), and to the same host, the same registrable domain, or a
/// host the operator allows.
pub(crate) fn is_allowed(api: &Url, realm: &Url, allowed_hosts: &[String]) -> bool {
    if !realm.username().is_empty() || realm.password().is_some() {
        return false;
    }
    let (Some(api_host), Some(realm_host)) = (api.host(), realm.host()) else {
        return false;
    };
    let same_host = api_host == realm_host;
    match (api.scheme(), realm.scheme()) {
        (_, "https") => {}
        ("http", "http") if same_host => {}
        _ => return false,
    }
    if same_host {
        return true;
    }
    let (Host::Domain(api_host), Host::Domain(realm_host)) = (api_host, realm_host) else {
        return false;
    };
    let named = |allowed: &String| allowed.eq_ignore_ascii_case(realm_host);
    same_domain(api_host, realm_host) || allowed_hosts.iter().any(named)
}

/// Whether two names share their registrable domain, judged without a public suffix list, so rather
/// too strictly: two labels, or three where the second is as short as those of `co.uk` and
/// `com.au`.
fn same_domain(left: &str, right: &str) -> bool {
    let (left, right) = (left.trim_end_matches('.'), right.trim_end_matches('.'));
    match (registrable(left), registrable(right)) {
        (Some(left), Some(right)) => left.eq_ignore_ascii_case(right),
        _ => false,
    }
}

fn registrable(name: &str) -> Option<&str> {
    let mut dots = name.rmatch_indices('.').map(|(at, _)| at);
    let last = dots.next()?;
    let second = dots.next();
    let after = |dot: Option<usize>| match dot {
        Some(dot) => name.get(dot + 1..),
        None => Some(name),
    };
    let domain = after(second)?;
    if SHARED_SUFFIXES
        .iter()
        .any(|shared| domain.eq_ignore_ascii_case(shared))
    {
        return None;
    }
    let top = name.len() - last - 1;
    let middle = last - second.map_or(0, |dot| dot + 1);
    if top == 2 && middle <= 3 {
        // Also `t.co`-like two-label names land here and are told apart by host only.
        second?;
        return after(dots.next());
    }
    Some(domain)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(api: &str, realm: &str) -> bool {
        let operator = ["tokens.corp.example".to_owned()];
        is_allowed(
            &Url::parse(api).unwrap(),
            &Url::parse(realm).unwrap(),
            &operator,
        )
    }

    #[test]
    fn own_hosts_and_domains_may_give_tokens() {
        for (api, realm) in [
            (
                "https://registry-1.docker.io",
                "https://auth.docker.io/token",
            ),
            ("https://ghcr.io", "https://ghcr.io/token"),
            ("https://registry.gitlab.com", "https://gitlab.com/jwt/auth"),
            ("https://r.example.co.uk", "https://auth.example.co.uk/t"),
            ("http://127.0.0.1:5000", "http://127.0.0.1:5001/token"),
            ("http://r.example", "https://r.example/token"),
            ("https://r.example", "https://tokens.corp.example/token"),
            (
                "https://myteam.azurecr.io",
                "https://myteam.azurecr.io/oauth2/token",
            ),
        ] {
            assert!(allowed(api, realm), "{api} {realm}");
        }
    }

    #[test]
    fn foreign_hosts_and_plain_http_may_not() {
        for (api, realm) in [
            ("https://r.example", "http://r.example/token"),
            ("https://r.example.com", "https://evil.example/token"),
            (
                "https://r.example.com",
                "https://example.com.evil.example/token",
            ),
            ("https://a.co.uk", "https://b.co.uk/token"),
            ("https://r.example", "https://169.254.169.254/token"),
            ("https://10.0.0.1", "https://10.0.0.2/token"),
            ("http://127.0.0.1:5000", "http://127.0.0.2/token"),
            ("https://a.azurecr.io", "https://b.azurecr.io/token"),
            ("https://r.example", "https://u:p@r.example/token"),
            ("https://r.example", "ftp://r.example/token"),
            ("https://localhost", "https://other/token"),
        ] {
            assert!(!allowed(api, realm), "{api} {realm}");
        }
    }
}
