//! The corpus of a target: small files, good and bad ones, that mutations start from.

use std::fs;
use std::path::{Path, PathBuf};

/// The folder that holds the corpus of the target `name`.
#[must_use]
pub fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("corpus")
        .join(name)
}

/// Every file of the corpus of the target `name`, in the order of names: the file's name and bytes.
///
/// # Panics
/// Where the folder cannot be read, or is empty.
#[must_use]
pub fn read(name: &str) -> Vec<(String, Vec<u8>)> {
    let folder = folder(name);
    let entries = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{folder:?}: {error}"));
    let mut files: Vec<(String, Vec<u8>)> = entries
        .map(|entry| entry.unwrap())
        .map(|entry| {
            (
                entry.file_name().to_string_lossy().into_owned(),
                fs::read(entry.path()).unwrap(),
            )
        })
        .collect();
    files.sort();
    assert!(!files.is_empty(), "{folder:?} holds no file");
    files
}
