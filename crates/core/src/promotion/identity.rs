//! Identities: what a certificate must say of its holder. Fulcio, "Sigstore OID information".

use std::collections::BTreeMap;
use std::fmt;

use regex::bytes::Regex;

use crate::glob::Glob;
use crate::nearest::nearest;

/// An identity in a certificate. Every part must hold.
#[derive(Debug, Clone)]
pub struct Identity {
    /// The OpenID Connect issuer.
    pub issuer: Pattern,
    /// The subject alternative name.
    pub subject: Pattern,
    /// Further claims, by their documented names in camel case (`sourceRepositoryRef`); any of a
    /// claim's patterns.
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
    /// A text around a part that a glob must match, such as `https://…/release.yml@refs/tags/` and
    /// `v*`.
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

/// Claims by the last number of their OID below `1.3.6.1.4.1.57264.1`, and their documented names
/// in camel case. Those from 1 to 7 are deprecated or no claims, and not to be relied on.
pub const CLAIMS: &[(u32, &str)] = &[
    (8, "issuer"),
    (9, "buildSignerURI"),
    (10, "buildSignerDigest"),
    (11, "runnerEnvironment"),
    (12, "sourceRepositoryURI"),
    (13, "sourceRepositoryDigest"),
    (14, "sourceRepositoryRef"),
    (15, "sourceRepositoryIdentifier"),
    (16, "sourceRepositoryOwnerURI"),
    (17, "sourceRepositoryOwnerIdentifier"),
    (18, "buildConfigURI"),
    (19, "buildConfigDigest"),
    (20, "buildTrigger"),
    (21, "runInvocationURI"),
    (22, "sourceRepositoryVisibilityAtSigning"),
    (23, "deploymentEnvironment"),
    (24, "tokenSubject"),
];

/// Shorter names that policies may use.
const CLAIM_ALIASES: &[(&str, &str)] = &[
    ("sourceRepositoryId", "sourceRepositoryIdentifier"),
    ("sourceRepositoryOwnerId", "sourceRepositoryOwnerIdentifier"),
];

/// The documented name of a claim that a policy names, or the nearest one.
pub(super) fn claim(name: &str) -> Result<&'static str, Option<&'static str>> {
    let alias = CLAIM_ALIASES.iter().find(|(alias, _)| *alias == name);
    let name = alias.map_or(name, |(_, documented)| documented);
    let names = || CLAIMS.iter().map(|(_, known)| *known);
    names()
        .find(|known| *known == name)
        .ok_or_else(|| nearest(name, names()))
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(text) => f.write_str(text),
            Self::UrlPrefix(prefix) => write!(f, "{prefix}…"),
            Self::Regexp(expression) => {
                let whole = expression.as_str();
                let written = whole.strip_prefix(r"\A(?:").unwrap_or(whole);
                write!(
                    f,
                    "regexp {}",
                    written.strip_suffix(r")\z").unwrap_or(written)
                )
            }
            Self::Glob {
                prefix,
                glob,
                suffix,
            } => write!(f, "{prefix}{glob}{suffix} (`*` is any run without `/`)"),
            Self::SameAsImage { prefix, suffix } => {
                write!(
                    f,
                    "{prefix}<tag of the image>{suffix} (with or without `v`)"
                )
            }
        }
    }
}

impl Pattern {
    /// Whether `text` satisfies it. `tag` is the tag of the image that is judged; without one
    /// nothing is the same as it.
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
pub(super) fn same_version(git: &str, image: &str) -> bool {
    git == image || git.strip_prefix('v') == Some(image) || image.strip_prefix('v') == Some(git)
}

/// What stands between a prefix and a suffix, if it is not empty.
fn between<'a>(text: &'a str, prefix: &str, suffix: &str) -> Option<&'a str> {
    let part = text.strip_prefix(prefix)?.strip_suffix(suffix)?;
    (!part.is_empty()).then_some(part)
}
