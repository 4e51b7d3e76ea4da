//! Identities: what a certificate must say of its holder. Fulcio, "Sigstore OID information".

use std::collections::BTreeMap;

use regex::bytes::Regex;

use crate::glob::Glob;

/// An identity in a certificate. Every part must hold.
#[derive(Debug, Clone)]
pub struct Identity {
    /// The OpenID Connect issuer.
    pub issuer: Pattern,
    /// The subject alternative name.
    pub subject: Pattern,
    /// Further claims, by their documented names in camel case (`sourceRepositoryRef`); any of a claim's patterns.
    pub claims: BTreeMap<String, Vec<Pattern>>,
}

/// A demand on a text.
#[derive(Debug, Clone)]
pub enum Pattern {
    /// Exactly this.
    Exact(String),
    /// A URL that begins so; ends in `/`.
    UrlPrefix(String),
    /// An expression for the whole text; compiled anchored.
    Regexp(Regex),
    /// A text around a part that a glob must match, such as `https://…/release.yml@refs/tags/` and `v*`.
    Glob {
        /// Before the part.
        prefix: String,
        /// The glob, over one or more characters; `*` crosses no `/`.
        glob: Glob,
        /// Behind the part.
        suffix: String,
    },
    /// A text around the tag of the image that is judged, with or without a leading `v`.
    SameAsImage {
        /// Before the tag.
        prefix: String,
        /// Behind the tag.
        suffix: String,
    },
}

impl Pattern {
    /// Whether `text` satisfies it. `tag` is the tag of the image that is judged; without one nothing is the same as it.
    #[must_use]
    pub fn matches(&self, text: &str, tag: Option<&str>) -> bool {
        match self {
            Self::Exact(exact) => exact == text,
            Self::UrlPrefix(prefix) => text.starts_with(prefix.as_str()),
            Self::Regexp(expression) => expression.is_match(text.as_bytes()),
            Self::Glob {
                prefix,
                glob,
                suffix,
            } => between(text, prefix, suffix).is_some_and(|part| glob.matches(part)),
            Self::SameAsImage { prefix, suffix } => between(text, prefix, suffix)
                .is_some_and(|part| tag.is_some_and(|tag| same_version(part, tag))),
        }
    }
}

/// Whether a Git tag and an image's tag are the same: letter by letter, or but for one leading `v`.
fn same_version(git: &str, image: &str) -> bool {
    git == image || git.strip_prefix('v') == Some(image) || image.strip_prefix('v') == Some(git)
}

/// What stands between a prefix and a suffix, if it is not empty.
fn between<'a>(text: &'a str, prefix: &str, suffix: &str) -> Option<&'a str> {
    let part = text.strip_prefix(prefix)?.strip_suffix(suffix)?;
    (!part.is_empty()).then_some(part)
}
