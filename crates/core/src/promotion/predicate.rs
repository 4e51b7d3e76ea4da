//! Predicate types of attestations, and the short names that stand for them.
//!
//! in-toto attestation framework, "Predicate". The short names are those of `cosign attest --type`.

use std::collections::BTreeSet;
use std::fmt;

use crate::nearest::nearest;

/// The type that cosign gives to plain signatures since version 3: never an attestation.
pub const SIGNATURE_TYPE: &str = "https://sigstore.dev/cosign/sign/v1";

/// A predicate type that a policy accepts.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum PredicateType {
    /// Exactly this URI.
    Exact(String),
    /// This URI, or it with a version behind it (`/v1.6`).
    Versioned(String),
}

/// Predicate types, any of which will do.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PredicateTypes(BTreeSet<PredicateType>);

/// Short names and what they stand for.
const SHORT: &[(&str, &[(&str, bool)])] = &[
    (
        "custom",
        &[("https://cosign.sigstore.dev/attestation/v1", false)],
    ),
    (
        "slsaprovenance",
        &[("https://slsa.dev/provenance/v0.2", false)],
    ),
    (
        "slsaprovenance02",
        &[("https://slsa.dev/provenance/v0.2", false)],
    ),
    (
        "slsaprovenance1",
        &[("https://slsa.dev/provenance/v1", false)],
    ),
    ("spdx", &[("https://spdx.dev/Document", true)]),
    ("spdxjson", &[("https://spdx.dev/Document", true)]),
    ("cyclonedx", &[("https://cyclonedx.org/bom", true)]),
    (
        "link",
        &[
            ("https://in-toto.io/Link/v1", false),
            ("https://in-toto.io/attestation/link/v0.3", false),
        ],
    ),
    (
        "vuln",
        &[("https://cosign.sigstore.dev/attestation/vuln/v1", false)],
    ),
    ("openvex", &[("https://openvex.dev/ns", true)]),
];

impl PredicateTypes {
    /// Whether `uri` is one of them.
    #[must_use]
    pub fn matches(&self, uri: &str) -> bool {
        self.0.iter().any(|accepted| match accepted {
            PredicateType::Exact(exact) => exact == uri,
            PredicateType::Versioned(base) => uri
                .strip_prefix(base.as_str())
                .is_some_and(|rest| rest.is_empty() || is_version(rest)),
        })
    }

    /// The short name that accepts `uri` and little else: the longest of those that stand for it.
    #[must_use]
    pub fn short_name(uri: &str) -> Option<&'static str> {
        let accepts = |meant: &&(&str, bool)| match meant.1 {
            true => uri
                .strip_prefix(meant.0)
                .is_some_and(|rest| rest.is_empty() || is_version(rest)),
            false => meant.0 == uri,
        };
        let fits = SHORT
            .iter()
            .filter(|(_, meant)| meant.iter().any(|one| accepts(&one)));
        fits.map(|(short, _)| *short)
            .max_by_key(|short| short.len())
    }

    /// All of them, in order.
    pub fn iter(&self) -> impl Iterator<Item = &PredicateType> {
        self.0.iter()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds what a short name or URI stands for.
    ///
    /// # Errors
    /// The text is neither; the hint says what may have been meant.
    pub(super) fn add(&mut self, text: &str) -> Result<(), String> {
        if let Some((_, meant)) = SHORT.iter().find(|(short, _)| *short == text) {
            let meant = meant.iter().map(|(uri, versioned)| match versioned {
                true => PredicateType::Versioned((*uri).to_owned()),
                false => PredicateType::Exact((*uri).to_owned()),
            });
            self.0.extend(meant);
            return Ok(());
        }
        let uri = text.split_once("://").is_some_and(|(scheme, rest)| {
            !scheme.is_empty() && !rest.is_empty() && !text.contains(char::is_whitespace)
        });
        if uri {
            self.0.insert(PredicateType::Exact(text.to_owned()));
            return Ok(());
        }
        let names = || SHORT.iter().map(|(short, _)| *short);
        Err(match nearest(text, names()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => {
                let names: Vec<_> = names().collect();
                format!("use a URI or one of `{}`", names.join("`, `"))
            }
        })
    }
}

impl FromIterator<PredicateType> for PredicateTypes {
    fn from_iter<I: IntoIterator<Item = PredicateType>>(types: I) -> Self {
        Self(types.into_iter().collect())
    }
}

impl fmt::Display for PredicateType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(uri) => f.write_str(uri),
            Self::Versioned(uri) => write!(f, "{uri}[/v…]"),
        }
    }
}

impl fmt::Display for PredicateTypes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, accepted) in self.0.iter().enumerate() {
            write!(f, "{}{accepted}", if index == 0 { "" } else { ", " })?;
        }
        Ok(())
    }
}

/// `/v1`, `/v1.6`, `/v0.2.0`.
fn is_version(rest: &str) -> bool {
    rest.strip_prefix("/v").is_some_and(|version| {
        version
            .split('.')
            .all(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn types(text: &str) -> PredicateTypes {
        let mut types = PredicateTypes::default();
        types.add(text).unwrap();
        types
    }

    #[test]
    fn a_short_name_accepts_the_versions_of_its_type_and_nothing_longer() {
        let bom = types("cyclonedx");
        for uri in [
            "https://cyclonedx.org/bom",
            "https://cyclonedx.org/bom/v1.6",
        ] {
            assert!(bom.matches(uri), "{uri}");
        }
        for uri in [
            "https://cyclonedx.org/bom/",
            "https://cyclonedx.org/bom/v",
            "https://cyclonedx.org/bom/v1/x",
            "https://cyclonedx.org/bomb",
            "https://cyclonedx.org/vex",
        ] {
            assert!(!bom.matches(uri), "{uri}");
        }
    }

    #[test]
    fn a_uri_is_exact_and_versions_of_provenance_are_apart() {
        assert!(types("https://acme.example/t/v1").matches("https://acme.example/t/v1"));
        assert!(!types("https://acme.example/t").matches("https://acme.example/t/v1"));
        assert!(types("slsaprovenance1").matches("https://slsa.dev/provenance/v1"));
        assert!(!types("slsaprovenance1").matches("https://slsa.dev/provenance/v0.2"));
    }

    #[test]
    fn another_word_is_refused_with_the_nearest_name() {
        let mut none = PredicateTypes::default();
        assert_eq!(
            none.add("cyclondx"),
            Err("did you mean `cyclonedx`?".to_owned())
        );
        assert!(none.add("").is_err());
        assert!(none.add("://x").is_err());
        assert!(none.is_empty());
    }
}
