//! Which registry API serves an image.
//!
//! Prefixes match whole path segments and the longest wins, so the answer depends on nothing that
//! was looked up before: an entry for `ghcr.io` serves neither `ghcr.io:8443/a` nor
//! `ghcr.io.example.com/a`. An entry for `docker.io` serves `nginx`, too.

use std::borrow::Cow;

use crate::limits;
use crate::reference::{DEFAULT_REGISTRY, Reference};
use crate::registries_conf::{RegistriesConf, RegistryConf};

/// API of Docker Hub.
const HUB_API_URL: &str = "https://registry-1.docker.io";
/// Names of Docker Hub that entries use as their prefix.
const HUB_PREFIXES: [&str; 3] = [DEFAULT_REGISTRY, "index.docker.io", "registry-1.docker.io"];
/// Where Docker Hub, and every mirror of it, keeps images of one-element names.
const HUB_NAMESPACE: &str = "library";

/// The API that serves an image, and how to ask it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndpointChoice<'a> {
    /// The entry of `registries.conf` with credentials, TLS settings and sort mode; `None`: built
    /// in or inferred.
    pub entry: Option<&'a RegistryConf>,
    /// Without final `/`.
    pub api_url: Cow<'a, str>,
    /// Stands before names of one element.
    pub default_namespace: Option<&'a str>,
    /// `None`: unlimited.
    pub requests_per_second_max: Option<u32>,
}

impl EndpointChoice<'_> {
    /// The repository to ask this API for.
    #[must_use]
    pub fn repository(&self, reference: &Reference) -> String {
        match self.default_namespace {
            Some(namespace) if !reference.name.contains('/') => {
                format!("{namespace}/{}", reference.name)
            }
            _ => reference.name.clone(),
        }
    }
}

/// The API that serves `reference`: the default registry for a name without one, else the entry
/// with the longest prefix, else the host itself over TLS.
#[must_use]
pub fn choose<'a>(conf: &'a RegistriesConf, reference: &Reference) -> EndpointChoice<'a> {
    let default = || conf.registries.iter().rfind(|entry| entry.is_default);
    if reference.registry.is_none()
        && let Some(entry) = default()
    {
        return configured(entry);
    }
    let canonical = reference.canonical();
    let image = format!("{}/{}", canonical.registry, reference.name);
    // `max_by_key` keeps the last of equals, as a later entry replaces an earlier one of the same
    // prefix.
    let longest = conf
        .registries
        .iter()
        .map(|entry| (entry, prefix_of(entry)))
        .filter(|(_, prefix)| is_segment_prefix(prefix, &image))
        .max_by_key(|(_, prefix)| prefix.len());
    match longest {
        Some((entry, prefix)) if !prefix.is_empty() => configured(entry),
        _ if canonical.registry == DEFAULT_REGISTRY => EndpointChoice {
            entry: None,
            api_url: HUB_API_URL.into(),
            default_namespace: Some(HUB_NAMESPACE),
            requests_per_second_max: Some(limits::HUB_REQUESTS_PER_SECOND_MAX),
        },
        Some((catch_all, _)) => configured(catch_all),
        None => EndpointChoice {
            entry: None,
            api_url: format!("https://{}", canonical.registry).into(),
            default_namespace: None,
            requests_per_second_max: Some(limits::INFERRED_REQUESTS_PER_SECOND_MAX),
        },
    }
}

fn configured(entry: &RegistryConf) -> EndpointChoice<'_> {
    let hub = entry.api_url == HUB_API_URL || prefix_of(entry) == DEFAULT_REGISTRY;
    let namespace = entry
        .default_namespace
        .as_deref()
        .filter(|text| !text.is_empty());
    EndpointChoice {
        entry: Some(entry),
        api_url: entry.api_url.as_str().into(),
        default_namespace: namespace.or(hub.then_some(HUB_NAMESPACE)),
        requests_per_second_max: entry.requests_per_second_max,
    }
}

fn prefix_of(entry: &RegistryConf) -> &str {
    match entry.prefix.trim_end_matches('/') {
        hub if HUB_PREFIXES.contains(&hub) => DEFAULT_REGISTRY,
        prefix => prefix,
    }
}

fn is_segment_prefix(prefix: &str, image: &str) -> bool {
    let rest = image.strip_prefix(prefix);
    prefix.is_empty() || rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn api(conf: &str, image: &str) -> (String, String) {
        let conf = RegistriesConf::parse(conf).unwrap();
        let reference = Reference::parse(image);
        let choice = choose(&conf, &reference);
        (choice.api_url.to_string(), choice.repository(&reference))
    }

    const CONF: &str = "registries:\n- {name: H, prefix: r.example, api_url: 'https://host'}\n\
        - {name: T, prefix: r.example/team, api_url: 'https://team', defaultns: x}\n";

    #[test]
    fn the_longest_prefix_of_whole_segments_wins() {
        for (image, expected) in [
            ("r.example/a", "https://host"),
            ("r.example/team/a", "https://team"),
            ("r.example/team", "https://team"),
            ("r.example/teams/a", "https://host"),
            ("r.example:5000/team/a", "https://r.example:5000"),
            ("r.example.evil.example/a", "https://r.example.evil.example"),
            ("nginx", HUB_API_URL),
        ] {
            assert_eq!(api(CONF, image).0, expected, "{image}");
        }
    }

    #[test]
    fn one_element_names_get_the_namespace_of_their_registry() {
        assert_eq!(api("", "nginx").1, "library/nginx");
        assert_eq!(api("", "docker.io/library/nginx").1, "library/nginx");
        assert_eq!(api("", "acme/nginx").1, "acme/nginx");
        assert_eq!(api("", "quay.io/nginx").1, "nginx");
        for hub in [
            "{name: D, prefix: docker.io, api_url: 'https://registry-1.docker.io'}",
            "{name: D, prefix: docker.io, api_url: 'https://mirror.example'}",
            "{name: D, prefix: index.docker.io, api_url: 'https://mirror.example'}",
        ] {
            let conf = format!("registries:\n- {hub}\n");
            assert_eq!(api(&conf, "nginx").1, "library/nginx", "{hub}");
            assert_eq!(api(&conf, "docker.io/nginx").1, "library/nginx", "{hub}");
        }
    }

    #[test]
    fn a_default_registry_serves_names_without_one_and_a_catch_all_serves_the_rest() {
        let conf = "registries:\n- {name: Q, prefix: quay.io, api_url: 'https://q', default: true}\n- {name: C, api_url: 'https://c'}\n";
        assert_eq!(
            api(conf, "nginx"),
            ("https://q".to_owned(), "nginx".to_owned())
        );
        assert_eq!(api(conf, "docker.io/nginx").0, HUB_API_URL);
        assert_eq!(api(conf, "other.example/a").0, "https://c");
    }

    #[test]
    fn the_last_of_two_equal_prefixes_wins() {
        let conf = "registries:\n- {name: A, prefix: a.io, api_url: 'https://one'}\n- {name: B, prefix: a.io, api_url: 'https://two'}\n";
        assert_eq!(api(conf, "a.io/x").0, "https://two");
    }
}
