//! Which files a path stands for: itself, or what lies below it, each once, in the order of names.

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sealift_core::limits;
use zeroize::Zeroizing;

use super::{Named, Reader};
use crate::objects::{Origin, ProblemKind};

/// Files and folders that were read, by their real paths: links lead to nothing twice.
#[derive(Debug, Default)]
pub(super) struct Seen {
    paths: BTreeSet<PathBuf>,
    files: usize,
}

impl Reader {
    /// Reads a file, or every `.yaml`, `.yml` and `.json` file below a folder.
    pub fn read_path(&mut self, path: &Path) {
        match fs::metadata(path) {
            Ok(metadata) if metadata.is_dir() => self.read_folder(path, 0),
            Ok(_) => self.read_file(path, Named::Explicitly),
            Err(error) => self.file_problem(path, error.to_string()),
        }
    }

    /// Reads standard input to its end.
    pub fn read_stdin(&mut self, stdin: impl io::Read) {
        match read_bounded(stdin) {
            Ok(bytes) => self.read_documents("-", &bytes, Named::Explicitly),
            Err(error) => self.file_problem(Path::new("-"), error.to_string()),
        }
    }

    fn read_folder(&mut self, path: &Path, depth: usize) {
        if depth > limits::MANIFEST_FOLDER_DEPTH_MAX {
            return self.file_problem(path, "the folders are nested too deep".to_owned());
        }
        let entries = fs::canonicalize(path).and_then(|real| {
            if !self.seen.paths.insert(real) {
                return Ok(Vec::new());
            }
            fs::read_dir(path)?
                .map(|entry| entry.map(|entry| entry.path()))
                .collect()
        });
        let mut entries = match entries {
            Ok(entries) => entries,
            Err(error) => return self.file_problem(path, error.to_string()),
        };
        entries.sort();
        for entry in entries {
            if is_hidden(&entry) {
                continue;
            }
            match fs::metadata(&entry) {
                Ok(metadata) if metadata.is_dir() => self.read_folder(&entry, depth + 1),
                Ok(metadata) if metadata.is_file() && is_manifest(&entry) => {
                    self.read_file(&entry, Named::ByFolder);
                }
                Ok(_) => {}
                // A link that leads nowhere matters only if it should be a manifest.
                Err(error) if is_manifest(&entry) => self.file_problem(&entry, error.to_string()),
                Err(_) => {}
            }
        }
    }

    /// Whether a file was read already, by whichever name.
    pub(super) fn was_read(&self, path: &Path) -> bool {
        fs::canonicalize(path).is_ok_and(|real| self.seen.paths.contains(&real))
    }

    pub(super) fn read_file(&mut self, path: &Path, named: Named) {
        let real = match fs::canonicalize(path) {
            Ok(real) => real,
            Err(error) => return self.file_problem(path, error.to_string()),
        };
        if !self.seen.paths.insert(real) {
            return;
        }
        self.seen.files += 1;
        if self.seen.files > limits::MANIFEST_FILES_MAX {
            if self.seen.files == limits::MANIFEST_FILES_MAX + 1 {
                let limit = format!("more than {} files", limits::MANIFEST_FILES_MAX);
                self.unread(origin(path), ProblemKind::Limit(limit));
            }
            return;
        }
        match fs::File::open(path).and_then(read_bounded) {
            Ok(bytes) => {
                self.file.folder = path.parent().map(Path::to_path_buf);
                self.read_documents(&path.to_string_lossy(), &bytes, named);
                self.file.folder = None;
            }
            Err(error) => self.file_problem(path, error.to_string()),
        }
    }

    fn file_problem(&mut self, path: &Path, problem: String) {
        self.unread(origin(path), ProblemKind::File(problem));
    }
}

/// At most one byte more than the limit, so that the reader can say that it was passed. The bytes
/// may be those of Secrets and are wiped.
fn read_bounded(reader: impl io::Read) -> io::Result<Zeroizing<Vec<u8>>> {
    let mut bytes = Zeroizing::new(Vec::new());
    reader
        .take(limits::MANIFEST_FILE_BYTES_MAX as u64 + 1)
        .read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The whole file or folder.
fn origin(path: &Path) -> Origin {
    Origin::Document {
        file: Arc::from(path.to_string_lossy()),
        line: 0,
        item: None,
    }
}

fn is_hidden(path: &Path) -> bool {
    path.file_name()
        .is_some_and(|name| name.as_encoded_bytes().starts_with(b"."))
}

fn is_manifest(path: &Path) -> bool {
    path.extension().is_some_and(|extension| {
        ["yaml", "yml", "json"]
            .iter()
            .any(|known| extension.eq_ignore_ascii_case(known))
    })
}
