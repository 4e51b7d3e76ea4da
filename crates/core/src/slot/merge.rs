//! How a new image changes an Application's own source: Helm parameters, kustomize images, plugin
//! variables. The `argocd` write-back method writes these; override files carry them.

use super::{Format, HelmNames, PluginNames};
use crate::manifest::{HelmParameter, PluginVariable};
use crate::reference::{KustomizeImage, Reference};

/// Which Helm keys an image has, after defaults.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HelmKeys<'a> {
    /// The whole reference under one key.
    Spec(&'a str),
    /// Name and tag, and the digest by itself where asked for.
    Parts {
        /// Of the name without tag.
        name: &'a str,
        /// Of the tag, with the digest where `digest` is `None`.
        tag: &'a str,
        /// Of the digest.
        digest: Option<&'a str>,
    },
}

impl HelmNames {
    /// The keys, blanks around them removed. `image.name` and `image.tag` where none are set.
    #[must_use]
    pub fn keys(&self) -> HelmKeys<'_> {
        fn set(name: &Option<String>) -> Option<&str> {
            let name = name.as_deref().map(str::trim);
            name.filter(|name| !name.is_empty())
        }
        if let Some(spec) = set(&self.spec) {
            return HelmKeys::Spec(spec);
        }
        HelmKeys::Parts {
            name: set(&self.name).unwrap_or("image.name"),
            tag: set(&self.tag).unwrap_or("image.tag"),
            digest: set(&self.digest),
        }
    }

    /// The key that the digest is written to by itself, in a place of this format.
    #[must_use]
    pub fn digest_key(&self, format: Format) -> Option<&str> {
        match (format, self.keys()) {
            (Format::HelmValues | Format::HelmOverride, HelmKeys::Parts { digest, .. }) => digest,
            _ => None,
        }
    }

    /// What `new` writes, in order: tag parts are left out when they are empty.
    #[must_use]
    pub fn parameters(&self, new: &Reference) -> Vec<HelmParameter> {
        let parameter = |name: &str, value: String| HelmParameter {
            name: name.to_owned(),
            value,
            force_string: true,
        };
        match self.keys() {
            HelmKeys::Spec(spec) => vec![parameter(spec, new.to_string())],
            HelmKeys::Parts { name, tag, digest } => {
                let (tag_value, digest_value) = split_digest(new, digest.is_some());
                let mut parameters = vec![parameter(name, new.full_name())];
                if !tag_value.is_empty() {
                    parameters.push(parameter(tag, tag_value));
                }
                if let (Some(key), Some(value)) = (digest, digest_value) {
                    parameters.push(parameter(key, value));
                }
                parameters
            }
        }
    }
}

/// The values of a tag key and a digest key. Without a digest key the tag carries the digest.
pub(super) fn split_digest(new: &Reference, own_key: bool) -> (String, Option<String>) {
    if !own_key {
        return (new.tag_with_digest(), None);
    }
    let digest = new.digest.clone().unwrap_or_default();
    (new.tag.clone().unwrap_or_default(), Some(digest))
}

impl PluginNames {
    /// Whether a plugin reads the image: a tag alone is no target.
    #[must_use]
    pub fn is_target(&self) -> bool {
        self.name.is_some() || self.spec.is_some()
    }

    /// What `new` writes, in order.
    #[must_use]
    pub fn variables(&self, new: &Reference) -> Vec<PluginVariable> {
        let variable = |name: &String, value: String| PluginVariable {
            name: name.clone(),
            value,
        };
        if let Some(spec) = &self.spec {
            return vec![variable(spec, new.to_string())];
        }
        let name = self.name.iter().map(|name| variable(name, new.full_name()));
        let tag = self
            .tag
            .iter()
            .map(|tag| variable(tag, new.tag_with_digest()));
        name.chain(tag.filter(|tag| !tag.value.is_empty()))
            .collect()
    }
}

/// `parameters` after `new`: those of the same name are replaced in place, new ones appended.
#[must_use]
pub fn set_helm_parameters(
    parameters: &[HelmParameter],
    names: &HelmNames,
    new: &Reference,
) -> Vec<HelmParameter> {
    let mut merged = parameters.to_vec();
    for parameter in names.parameters(new) {
        let mut found = false;
        for old in merged.iter_mut().filter(|old| old.name == parameter.name) {
            old.clone_from(&parameter);
            found = true;
        }
        if !found {
            merged.push(parameter);
        }
    }
    merged
}

/// What the parameters say now: the whole reference, or `name:tag` where both are there.
#[must_use]
pub fn helm_parameters_say(parameters: &[HelmParameter], names: &HelmNames) -> Option<String> {
    let value = |name: &str| {
        let found = parameters.iter().find(|parameter| parameter.name == name);
        found.map(|parameter| parameter.value.as_str())
    };
    match names.keys() {
        HelmKeys::Spec(spec) => value(spec).map(str::to_owned),
        HelmKeys::Parts { name, tag, digest } => {
            let digest = digest.and_then(value).filter(|digest| !digest.is_empty());
            let digest = digest
                .map(|digest| format!("@{digest}"))
                .unwrap_or_default();
            Some(format!("{}:{}{digest}", value(name)?, value(tag)?))
        }
    }
}

/// The text of an entry of `kustomize.images`: `[name=]reference`.
#[must_use]
pub fn kustomize_entry(kustomize_name: Option<&str>, new: &Reference) -> String {
    match kustomize_name {
        Some(name) => format!("{name}={new}"),
        None => new.to_string(),
    }
}

/// `images` after `new`: every entry of the same image is replaced, else the entry of the same
/// name, else it is appended.
///
/// Entries are of the same image when registry and name are; where a kustomize name is given the
/// registry may differ, because that name says which is meant. Two different names are two entries.
#[must_use]
pub fn set_kustomize_image(
    images: &[String],
    kustomize_name: Option<&str>,
    new: &Reference,
) -> Vec<String> {
    let text = kustomize_entry(kustomize_name, new);
    let key = KustomizeImage::parse(&text).name;
    let mut merged = images.to_vec();
    let mut found = false;
    for old in &mut merged {
        if is_entry_of(old, kustomize_name, new) {
            old.clone_from(&text);
            found = true;
        }
    }
    if !found {
        match merged
            .iter_mut()
            .find(|old| KustomizeImage::parse(old).name == key)
        {
            Some(old) => *old = text,
            None => merged.push(text),
        }
    }
    merged
}

/// The first entry that says which `image` is wanted now.
#[must_use]
pub fn kustomize_images_say<'a>(
    images: &'a [String],
    kustomize_name: Option<&str>,
    image: &Reference,
) -> Option<&'a str> {
    let mut entries = images.iter();
    let found = entries.find(|entry| is_entry_of(entry, kustomize_name, image));
    found.map(String::as_str)
}

fn is_entry_of(entry: &str, kustomize_name: Option<&str>, image: &Reference) -> bool {
    let (alias, old) = Reference::parse_aliased(entry);
    let same_image = match kustomize_name {
        Some(_) => old.name == image.name,
        None => old.same_image(image),
    };
    let other_name = alias.is_some() && kustomize_name.is_some() && alias != kustomize_name;
    same_image && !other_name
}

/// `env` after `new`: variables of the same name are replaced, new ones appended.
#[must_use]
pub fn set_plugin_env(
    env: &[PluginVariable],
    names: &PluginNames,
    new: &Reference,
) -> Vec<PluginVariable> {
    let mut merged = env.to_vec();
    for variable in names.variables(new) {
        match merged.iter_mut().find(|old| old.name == variable.name) {
            Some(old) => *old = variable,
            None => merged.push(variable),
        }
    }
    merged
}

/// What the variables say now: the whole reference, or `name:tag` where both are there.
#[must_use]
pub fn plugin_env_says(env: &[PluginVariable], names: &PluginNames) -> Option<String> {
    let value = |name: &String| {
        let found = env.iter().find(|variable| variable.name == *name);
        found.map(|variable| variable.value.as_str())
    };
    match (&names.spec, &names.name, &names.tag) {
        (Some(spec), _, _) => value(spec).map(str::to_owned),
        (None, Some(name), Some(tag)) => Some(format!("{}:{}", value(name)?, value(tag)?)),
        _ => None,
    }
}
