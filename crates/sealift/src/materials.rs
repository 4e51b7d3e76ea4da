//! Keys and trust roots that policies name, as bytes.
//!
//! Here: reading them from beside the policy, from the policy itself, or from a Secret or ConfigMap
//! through the port. Not here: what they are. What cannot be read stays in the answer as an error,
//! and refuses whatever needs it.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sealift_core::limits::TRUST_MATERIAL_BYTES_MAX;
use sealift_core::promotion::effective::{Effective, Who};
use sealift_core::promotion::read::Policy;
use sealift_core::promotion::spec::{FileSource, KeyRef, TrustRootSpec};

use crate::objects::Objects;

/// Bytes by the name of the policy and what it says.
pub type Materials = BTreeMap<(String, FileSource), Result<Arc<[u8]>, MaterialError>>;

/// Why a key or root is not there. The text shows no content.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} cannot be read: {detail}")]
pub struct MaterialError {
    /// The file or object.
    pub what: String,
    /// Why not.
    pub detail: String,
}

/// A policy whose keys and roots are wanted.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    /// The policy.
    pub policy: &'a Effective,
    /// Where its Secrets and ConfigMaps are, unless they say another namespace.
    pub namespace: &'a str,
    /// The folder that its paths are relative to.
    pub folder: Option<&'a Path>,
    /// Whether it may name objects of other namespaces.
    pub elsewhere: bool,
}

impl<'a> Wanted<'a> {
    /// A policy that was read; `home` is the operator's namespace, for cluster-wide ones.
    #[must_use]
    pub fn of(policy: &'a Policy, home: &'a str) -> Self {
        Self {
            policy: &policy.effective,
            namespace: policy.id.namespace.as_deref().unwrap_or(home),
            folder: policy.folder.as_deref(),
            elsewhere: policy.id.namespace.is_none(),
        }
    }
}

/// Reads everything that the policies name, each once.
pub async fn gather<'a>(
    objects: &dyn Objects,
    wanted: impl IntoIterator<Item = Wanted<'a>>,
) -> Materials {
    let mut materials = Materials::new();
    for one in wanted {
        for source in sources(one.policy) {
            let key = (one.policy.name.clone(), source.clone());
            if let Entry::Vacant(place) = materials.entry(key) {
                place.insert(read(objects, source, &one).await);
            }
        }
    }
    materials
}

/// What a policy names: keys, `trusted_root.json` files, and TUF roots to begin with.
fn sources(policy: &Effective) -> impl Iterator<Item = &FileSource> {
    policy.authorities.values().flat_map(|authority| {
        let keys = match &authority.who {
            Who::Keys(keys) => keys.as_slice(),
            Who::Keyless(_) => &[],
        };
        let root = match &authority.root {
            Some(TrustRootSpec::File(source)) => Some(source),
            Some(TrustRootSpec::Tuf(tuf)) => Some(&tuf.root),
            Some(TrustRootSpec::PublicGood(_) | TrustRootSpec::Github(_)) | None => None,
        };
        keys.iter().chain(root)
    })
}

/// Kinds of objects that a policy may name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A Secret.
    Secret,
    /// A ConfigMap.
    ConfigMap,
}

/// The objects that a policy names: kind, namespace and name.
pub(crate) fn objects<'a>(wanted: &Wanted<'a>) -> Vec<(Kind, &'a str, &'a str)> {
    let named = sources(wanted.policy).filter_map(|source| match source {
        FileSource::SecretRef(reference) => Some((Kind::Secret, reference)),
        FileSource::ConfigMapRef(reference) => Some((Kind::ConfigMap, reference)),
        FileSource::Inline(_) | FileSource::Path(_) => None,
    });
    named
        // What may not be named is not read.
        .filter(|(_, reference)| wanted.elsewhere || !reference.name.contains('/'))
        .map(|(kind, reference)| {
            let (namespace, name) = object_id(reference, wanted.namespace);
            (kind, namespace, name)
        })
        .collect()
}

fn object_id<'a>(reference: &'a KeyRef, namespace: &'a str) -> (&'a str, &'a str) {
    reference
        .name
        .split_once('/')
        .unwrap_or((namespace, &reference.name))
}

async fn read(
    objects: &dyn Objects,
    source: &FileSource,
    wanted: &Wanted<'_>,
) -> Result<Arc<[u8]>, MaterialError> {
    let bytes = match source {
        FileSource::Inline(text) => bounded("the text in the policy", text.as_bytes())?,
        FileSource::Path(path) => file(path, wanted.folder)?,
        FileSource::SecretRef(reference) => {
            let (namespace, name, what) = object("Secret", reference, wanted)?;
            let found = objects.secret(namespace, name).await;
            let found = found.map_err(|error| failed(&what, &error.to_string()))?;
            let secret = found.ok_or_else(|| failed(&what, "there is no such Secret"))?;
            let value = secret.data.get(&reference.key);
            let value = value.ok_or_else(|| failed(&what, "it has no such key"))?;
            bounded(&what, value.expose())?
        }
        FileSource::ConfigMapRef(reference) => {
            let (namespace, name, what) = object("ConfigMap", reference, wanted)?;
            let found = objects.config_map(namespace, name).await;
            let found = found.map_err(|error| failed(&what, &error.to_string()))?;
            let map = found.ok_or_else(|| failed(&what, "there is no such ConfigMap"))?;
            let value = map.data.get(&reference.key);
            let value = value.ok_or_else(|| failed(&what, "it has no such key"))?;
            bounded(&what, value.as_bytes())?
        }
    };
    Ok(bytes)
}

fn object<'a>(
    kind: &str,
    reference: &'a KeyRef,
    wanted: &Wanted<'a>,
) -> Result<(&'a str, &'a str, String), MaterialError> {
    let (namespace, name) = object_id(reference, wanted.namespace);
    let key = &reference.key;
    let what = format!("key `{key}` of {kind} `{namespace}/{name}`");
    if !wanted.elsewhere && reference.name.contains('/') {
        let detail = format!(
            "only objects of the namespace `{}` may be named",
            wanted.namespace
        );
        return Err(failed(&what, &detail));
    }
    Ok((namespace, name, what))
}

fn file(path: &str, folder: Option<&Path>) -> Result<Arc<[u8]>, MaterialError> {
    let whole: PathBuf = match folder {
        Some(folder) => folder.join(path),
        None => path.into(),
    };
    let what = format!("file `{}`", whole.display());
    let io = |error: std::io::Error| failed(&what, &error.to_string());
    // A pipe or a device would not end.
    if !fs::metadata(&whole).map_err(io)?.is_file() {
        return Err(failed(&what, "it is no file"));
    }
    let mut bytes = Vec::new();
    let opened = fs::File::open(&whole).map_err(io)?;
    let most = TRUST_MATERIAL_BYTES_MAX as u64 + 1;
    opened.take(most).read_to_end(&mut bytes).map_err(io)?;
    bounded(&what, &bytes)
}

fn bounded(what: &str, bytes: &[u8]) -> Result<Arc<[u8]>, MaterialError> {
    match bytes.len() {
        0 => Err(failed(what, "it is empty")),
        length if length > TRUST_MATERIAL_BYTES_MAX => {
            let detail = format!("it is larger than {TRUST_MATERIAL_BYTES_MAX} bytes");
            Err(failed(what, &detail))
        }
        _ => Ok(bytes.into()),
    }
}

fn failed(what: &str, detail: &str) -> MaterialError {
    MaterialError {
        what: what.to_owned(),
        detail: detail.to_owned(),
    }
}
