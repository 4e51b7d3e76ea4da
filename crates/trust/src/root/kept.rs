//! A kept copy as one value, and the views of it that the library takes.
//!
//! Names inside are the library's: `root_history/N.root.json`, `timestamp.json`, `snapshot.json`,
//! `targets.json`, those of delegated roles, and `targets/trusted_root.json`.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use sealift_core::limits::TRUST_ROOT_COPY_BYTES_MAX;
use serde::{Deserialize, Serialize};
use sigstore_tuf::transport::FetchFuture;
use sigstore_tuf::{Error, MetadataStore, Repository};

use super::{Shelf, TARGET};

/// Folder of the roots that were walked.
const HISTORY: &str = "root_history/";
/// The roles below the root.
const LOWER: [&str; 3] = ["timestamp.json", "snapshot.json", "targets.json"];
/// The form of this version.
const FORMAT: u32 = 1;

/// Everything that was verified of a repository. Read back it is untrusted until it is verified
/// again.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Kept {
    /// When a whole refresh last succeeded.
    pub(super) refreshed: Option<Timestamp>,
    files: BTreeMap<String, Vec<u8>>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    format: u32,
    refreshed: Option<Timestamp>,
    /// In base64: signatures and hashes are over exact bytes.
    files: BTreeMap<String, String>,
}

impl Kept {
    pub(super) fn decode(bytes: &[u8]) -> Result<Self, String> {
        if bytes.len() > TRUST_ROOT_COPY_BYTES_MAX {
            return Err(format!(
                "it has more than {TRUST_ROOT_COPY_BYTES_MAX} bytes"
            ));
        }
        let written: Written = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
        if written.format != FORMAT {
            return Err(format!("it has the form {}, not {FORMAT}", written.format));
        }
        let files = written.files.into_iter().map(|(name, text)| {
            let bytes = STANDARD.decode(text).map_err(|error| error.to_string())?;
            Ok((name, bytes))
        });
        Ok(Self {
            refreshed: written.refreshed,
            files: files.collect::<Result<_, String>>()?,
        })
    }

    fn encode(&self) -> Result<Vec<u8>, String> {
        let files = self.files.iter();
        let written = Written {
            format: FORMAT,
            refreshed: self.refreshed,
            files: files
                .map(|(name, bytes)| (name.clone(), STANDARD.encode(bytes)))
                .collect(),
        };
        let bytes = serde_json::to_vec(&written).map_err(|error| error.to_string())?;
        match bytes.len() > TRUST_ROOT_COPY_BYTES_MAX {
            true => Err(format!(
                "it has more than {TRUST_ROOT_COPY_BYTES_MAX} bytes"
            )),
            false => Ok(bytes),
        }
    }
}

/// Version of a root in the history.
fn root_version(name: &str) -> Option<u64> {
    let version = name.strip_prefix(HISTORY)?.strip_suffix(".root.json")?;
    version.parse().ok()
}

/// A refresh under way: the library writes here what it has verified. New roots are kept at once,
/// since they may revoke keys; everything else only as a whole.
pub(super) struct Staging {
    shelf: Arc<dyn Shelf>,
    start: u64,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    kept: Kept,
    staged: BTreeMap<String, Vec<u8>>,
    notes: Vec<String>,
}

impl Staging {
    /// Over what is kept. Roots up to `start`, the pinned one, are not needed any more.
    pub(super) fn new(mut kept: Kept, start: u64, shelf: Arc<dyn Shelf>) -> Self {
        kept.files
            .retain(|name, _| root_version(name).is_none_or(|version| version > start));
        let inner = Inner {
            kept,
            ..Inner::default()
        };
        Self {
            shelf,
            start,
            inner: Mutex::new(inner),
        }
    }

    /// What is kept now: the old copy and the new roots.
    pub(super) fn kept(&self) -> Kept {
        self.inner().kept.clone()
    }

    /// What could not be kept.
    pub(super) fn notes(&self) -> Vec<String> {
        self.inner().notes.clone()
    }

    /// The copy that a refresh which succeeded at `now` leaves. What it did not stage has not
    /// changed; delegated roles are always fetched, so those of before are dropped.
    pub(super) fn whole(&self, now: Timestamp) -> Kept {
        let inner = self.inner();
        let mut files = inner.kept.files.clone();
        let target = format!("targets/{TARGET}");
        files.retain(|name, _| {
            let name = name.as_str();
            root_version(name).is_some() || LOWER.contains(&name) || name == target
        });
        files.extend(inner.staged.clone());
        Kept {
            refreshed: Some(now),
            files,
        }
    }

    /// Replaces the copy.
    pub(super) fn replace(&self, whole: Kept) {
        let mut inner = self.inner();
        inner.kept = whole;
        self.write(&mut inner);
    }

    fn write(&self, inner: &mut Inner) {
        let written = inner.kept.encode();
        if let Err(problem) = written.and_then(|bytes| self.shelf.store(&bytes)) {
            inner
                .notes
                .push(format!("the copy could not be kept: {problem}"));
        }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl MetadataStore for Staging {
    fn load(&self, name: &str) -> Result<Option<Vec<u8>>, Error> {
        let inner = self.inner();
        let found = inner
            .staged
            .get(name)
            .or_else(|| inner.kept.files.get(name));
        Ok(found.cloned())
    }

    fn store(&self, name: &str, bytes: &[u8]) -> Result<(), Error> {
        let mut inner = self.inner();
        if let Some(version) = root_version(name) {
            let known = inner
                .kept
                .files
                .get(name)
                .is_some_and(|known| known == bytes);
            if version > self.start && !known {
                inner.kept.files.insert(name.to_owned(), bytes.to_vec());
                self.write(&mut inner);
            }
        } else if name != "root.json" && !is_numbered(name) {
            // The root is in the history; what carries a version in its name comes without it, too.
            inner.staged.insert(name.to_owned(), bytes.to_vec());
        }
        Ok(())
    }
}

/// A kept copy as a repository and a store that only reads. The repository's names carry versions
/// and hashes, the kept ones do not.
#[derive(Clone)]
pub(super) struct Shelved {
    files: Arc<BTreeMap<String, Vec<u8>>>,
}

impl Shelved {
    pub(super) fn new(kept: &Kept) -> Self {
        Self {
            files: Arc::new(kept.files.clone()),
        }
    }

    fn file(&self, name: &str, most: u64) -> FetchFuture<'_> {
        let found = self.files.get(name).cloned();
        let found = found.filter(|bytes| bytes.len() as u64 <= most);
        Box::pin(std::future::ready(Ok(found)))
    }
}

impl Repository for Shelved {
    fn fetch_metadata<'a>(&'a self, name: &'a str, max_length: u64) -> FetchFuture<'a> {
        let historic = format!("{HISTORY}{name}");
        if root_version(&historic).is_some() {
            return self.file(&historic, max_length);
        }
        let bare = match name.split_once('.') {
            Some((_, bare)) if is_numbered(name) => bare,
            _ => name,
        };
        self.file(bare, max_length)
    }

    fn fetch_target<'a>(&'a self, _: &'a str, max_length: u64) -> FetchFuture<'a> {
        self.file(&format!("targets/{TARGET}"), max_length)
    }
}

impl MetadataStore for Shelved {
    fn load(&self, name: &str) -> Result<Option<Vec<u8>>, Error> {
        Ok(self.files.get(name).cloned())
    }

    fn store(&self, _: &str, _: &[u8]) -> Result<(), Error> {
        Ok(())
    }
}

/// Whether a name begins with a version, as in `7.snapshot.json`.
fn is_numbered(name: &str) -> bool {
    let version = name.split_once('.').map(|(version, _)| version);
    version.is_some_and(|one| !one.is_empty() && one.bytes().all(|byte| byte.is_ascii_digit()))
}
