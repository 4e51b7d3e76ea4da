//! Image references: one tolerant parser, the written form kept for output, a canonical one to
//! compare.
//!
//! Grammar: distribution `reference`, "Grammar" (as Docker reads names). What that grammar refuses
//! stays readable, because live clusters hold it; such texts become values, never panics. Not here:
//! what a tag means, and which registry serves a name.

mod configured;
mod grammar;
mod kustomize;

use std::fmt;

use crate::digest::Digest;

pub use configured::{ConfiguredImage, ConfiguredImageError};
pub use kustomize::KustomizeImage;

/// The registry that a name without one belongs to.
pub const DEFAULT_REGISTRY: &str = "docker.io";
/// An older name of [`DEFAULT_REGISTRY`].
const LEGACY_DEFAULT_REGISTRY: &str = "index.docker.io";
/// The folder of [`DEFAULT_REGISTRY`] that a name of one element belongs to.
const OFFICIAL_FOLDER: &str = "library/";

/// `[registry/]name[:tag][@digest]`, as it was written.
///
/// Two texts may write one image in two ways (`nginx`, `docker.io/library/nginx`); compare them by
/// [`Reference::canonical`] or [`Reference::same_image`], print them as they are.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Reference {
    /// Host and port, where the text names them. `None` is Docker Hub.
    pub registry: Option<String>,
    /// Path of the repository, without a `library/` that stood behind `docker.io/`.
    pub name: String,
    /// The tag. `Some("")` for a text that ends in `:`.
    pub tag: Option<String>,
    /// The digest as written: live clusters hold kinds and lengths that [`Digest`] refuses.
    pub digest: Option<String>,
}

/// What two references to one image have in common.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Canonical {
    /// Host and port; never empty.
    pub registry: String,
    /// The whole path, with `library/` where Docker Hub means it.
    pub repository: String,
}

impl fmt::Display for Canonical {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.registry, self.repository)
    }
}

impl Reference {
    /// Reads `[registry/]name[:tag][@digest]`. Every text has an answer; see
    /// [`Reference::is_valid`].
    ///
    /// What stands behind the name is split off first, so a constraint (`:~1.25`) or a short digest
    /// leaves registry and name what they are with a plain tag.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        if let Some(reference) = grammar::strict(text) {
            return reference;
        }
        let name_bytes = grammar::name_bytes(text);
        let (name, rest) = text.split_at(name_bytes);
        if let Some(mut reference) = grammar::strict(name) {
            (reference.tag, reference.digest) = grammar::tag_and_digest(rest);
            return reference;
        }
        grammar::lenient(text)
    }

    /// Reads `[alias=]reference`, split at the first `=`. An empty alias is none.
    #[must_use]
    pub fn parse_aliased(text: &str) -> (Option<&str>, Self) {
        match text.split_once('=') {
            Some((alias, rest)) => (Some(alias).filter(|a| !a.is_empty()), Self::parse(rest)),
            None => (None, Self::parse(text)),
        }
    }

    /// Whether the written form satisfies the grammar that registries and container runtimes use.
    #[must_use]
    pub fn is_valid(&self) -> bool {
        grammar::strict(&self.to_string()).as_ref() == Some(self)
    }

    /// Whether everybody who reads [`Reference::full_name`] finds this image, whatever the grammar.
    ///
    /// `r.example/r.example/a` is written as `r.example/a`, and a URL takes `%67hcr.io` or
    /// `x@ghcr.io` for `ghcr.io`: what was judged under one name would be another image.
    #[must_use]
    pub fn is_unambiguous(&self) -> bool {
        let is_host = |text: &str| {
            text.bytes()
                .all(|b| b.is_ascii_alphanumeric() || b".-_:[]".contains(&b))
        };
        self.registry.as_deref().is_none_or(is_host)
            && Self::parse(&self.full_name()).canonical() == self.canonical()
    }

    /// `registry/name`, or `name` where no registry is written. No tag, no digest.
    #[must_use]
    pub fn full_name(&self) -> String {
        match self.registry.as_deref() {
            Some(registry) if !starts_with_folder(&self.name, registry) => {
                format!("{registry}/{}", self.name)
            }
            _ => self.name.clone(),
        }
    }

    /// What tag fields of Helm and plugins get: `tag`, `tag@digest`, or `latest@digest` where only
    /// a digest is known. Empty where neither is.
    #[must_use]
    pub fn tag_with_digest(&self) -> String {
        let tag = self.tag.as_deref().unwrap_or_default();
        match self.digest.as_deref().filter(|digest| !digest.is_empty()) {
            Some(digest) if tag.is_empty() => format!("latest@{digest}"),
            Some(digest) => format!("{tag}@{digest}"),
            None => tag.to_owned(),
        }
    }

    /// What change lists, branch names and commit messages show: the digest where there is one,
    /// else the tag.
    #[must_use]
    pub fn change_display(&self) -> &str {
        self.digest
            .as_deref()
            .filter(|digest| !digest.is_empty())
            .or(self.tag.as_deref())
            .unwrap_or_default()
    }

    /// The same image with another tag and digest.
    #[must_use]
    pub fn with_tag(&self, tag: Option<&str>, digest: Option<Digest>) -> Self {
        Self {
            tag: tag.map(str::to_owned),
            digest: digest.map(|digest| digest.to_string()),
            ..self.without_tag()
        }
    }

    /// The image alone, without tag and digest.
    #[must_use]
    pub fn without_tag(&self) -> Self {
        Self {
            registry: self.registry.clone(),
            name: self.name.clone(),
            tag: None,
            digest: None,
        }
    }

    /// The digest, where it is one that registries serve for images.
    #[must_use]
    pub fn typed_digest(&self) -> Option<Digest> {
        self.digest.as_deref()?.parse().ok()
    }

    /// The form in which `nginx`, `docker.io/nginx` and `index.docker.io/library/nginx` are equal.
    #[must_use]
    pub fn canonical(&self) -> Canonical {
        let (registry, folder) = self.canonical_parts();
        Canonical {
            registry: registry.to_owned(),
            repository: format!("{folder}{}", self.name),
        }
    }

    /// Whether both name one repository of one registry; tags and digests do not matter.
    #[must_use]
    pub fn same_image(&self, other: &Self) -> bool {
        let (registry, folder) = self.canonical_parts();
        let (other_registry, other_folder) = other.canonical_parts();
        registry == other_registry
            && (folder.len() + self.name.len()) == (other_folder.len() + other.name.len())
            && folder
                .bytes()
                .chain(self.name.bytes())
                .eq(other_folder.bytes().chain(other.name.bytes()))
    }

    /// Canonical registry, and the folder that the canonical repository starts with.
    fn canonical_parts(&self) -> (&str, &'static str) {
        match self.registry.as_deref() {
            None | Some(DEFAULT_REGISTRY | LEGACY_DEFAULT_REGISTRY) => {
                let folder = if self.name.contains('/') {
                    ""
                } else {
                    OFFICIAL_FOLDER
                };
                (DEFAULT_REGISTRY, folder)
            }
            Some(registry) => (registry, ""),
        }
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.full_name())?;
        if let Some(tag) = self.tag.as_deref().filter(|tag| !tag.is_empty()) {
            write!(f, ":{tag}")?;
        }
        if let Some(digest) = self.digest.as_deref().filter(|digest| !digest.is_empty()) {
            write!(f, "@{digest}")?;
        }
        Ok(())
    }
}

/// Whether the first element of `image` is a registry host by the rule for Helm values: it holds a
/// dot. `localhost:5000/app` has none.
#[must_use]
pub fn has_registry_host(image: &str) -> bool {
    image
        .split_once('/')
        .is_some_and(|(first, _)| first.contains('.'))
}

/// `image` without its registry host, see [`has_registry_host`].
#[must_use]
pub fn without_registry_host(image: &str) -> &str {
    match image.split_once('/') {
        Some((first, rest)) if first.contains('.') => rest,
        _ => image,
    }
}

fn starts_with_folder(name: &str, folder: &str) -> bool {
    name.strip_prefix(folder)
        .is_some_and(|rest| rest.starts_with('/'))
}

#[cfg(test)]
mod tests;
