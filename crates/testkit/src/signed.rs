//! Images signed by real tools, which lie in `signed/` beside this crate's sources; its README says
//! what each is.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::registry::image::{Artifact, Blob};

/// The folder that holds one image layout a subfolder, with the keys and trust roots of each.
#[must_use]
pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("signed")
}

/// The names of all layouts, in order.
#[must_use]
pub fn names() -> Vec<String> {
    let entries = fs::read_dir(folder()).expect("signed/");
    let mut names: Vec<String> = entries
        .map(|entry| entry.expect("an entry of signed/"))
        .filter(|entry| entry.path().join("index.json").exists())
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

/// The digest of the image in the layout `name`.
#[must_use]
pub fn subject(name: &str) -> String {
    let text = fs::read_to_string(folder().join(name).join("subject.txt"));
    text.expect("subject.txt").trim().to_owned()
}

/// Everything that the layout `name` lists, with its tag where it has one, ready to be pushed.
#[must_use]
pub fn artifacts(name: &str) -> Vec<(Option<String>, Artifact)> {
    let folder = folder().join(name);
    let index = json(&fs::read(folder.join("index.json")).expect("index.json"));
    let entries = index["manifests"].as_array().expect("manifests");
    entries
        .iter()
        .map(|entry| {
            let tag = &entry["annotations"]["org.opencontainers.image.ref.name"];
            (
                tag.as_str().map(str::to_owned),
                artifact(&folder, &digest_of(entry)),
            )
        })
        .collect()
}

fn artifact(folder: &Path, digest: &str) -> Artifact {
    let manifest = blob(folder, digest);
    let document = json(&manifest.bytes);
    let list = |key: &str| document[key].as_array().cloned().unwrap_or_default();
    let children = list("manifests");
    let mut blobs: BTreeMap<String, Blob> = BTreeMap::new();
    let config = document.get("config").cloned();
    for descriptor in config.into_iter().chain(list("layers")) {
        let digest = digest_of(&descriptor);
        blobs.insert(digest.clone(), blob(folder, &digest));
    }
    Artifact {
        media_type: document["mediaType"]
            .as_str()
            .expect("mediaType")
            .to_owned(),
        children: children
            .iter()
            .map(|child| artifact(folder, &digest_of(child)))
            .collect(),
        blobs: blobs.into_values().collect(),
        manifest,
    }
}

fn digest_of(descriptor: &Value) -> String {
    descriptor["digest"].as_str().expect("digest").to_owned()
}

fn blob(folder: &Path, digest: &str) -> Blob {
    let hex = digest.strip_prefix("sha256:").expect("a sha256 digest");
    let blob = Blob::new(fs::read(folder.join("blobs/sha256").join(hex)).expect("a blob"));
    assert_eq!(blob.digest, digest, "{folder:?}");
    blob
}

fn json(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).expect("JSON")
}
