//! What is remembered: content by digest, and digests by tag; in memory, and in a folder where one
//! is given.
//!
//! Everything is kept under a *scope*, which is one registry and one credential source. Content has
//! the same digest everywhere, but whoever asks for it must have read access: a digest is no
//! secret, and an Application that names the digest of somebody else's image must not learn its
//! labels from our cache. Within a scope content is shared by all repositories, since the
//! credential that read it there can read it again.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use bytes::Bytes;
use quick_cache::Weighter;
use quick_cache::sync::Cache;
use sealift_core::digest::Digest;
use sealift_core::limits;

use crate::access::Access;
use crate::endpoint::Endpoint;
use crate::error::RegistryError;
use crate::flight::Flights;
use crate::manifest::{ImageConfig, Manifest};
use crate::memory::TagMemory;
use crate::name::RepositoryName;
use crate::pack::{Key, Pack};

/// Content that was read and parsed.
#[derive(Clone)]
pub(crate) enum Content {
    Manifest(Arc<Manifest>),
    Config(Arc<ImageConfig>),
    /// The bytes are what they should be, but cannot be used. Asking again would not change them.
    Unusable(RegistryError),
}

#[derive(Clone)]
struct ContentBytes;

impl Weighter<Key, Content> for ContentBytes {
    fn weight(&self, _: &Key, content: &Content) -> u64 {
        let bytes = match content {
            Content::Manifest(manifest) => 2 * manifest.bytes.len(),
            Content::Config(config) => {
                let label = |(key, value): (&String, &String)| key.len() + value.len() + 64;
                config.labels.iter().map(label).sum::<usize>()
            }
            Content::Unusable(_) => 256,
        };
        bytes as u64 + 256
    }
}

/// Bytes that were read, or why not.
type Read = Result<Arc<[u8]>, RegistryError>;

#[derive(Clone)]
struct EvidenceBytes;

impl Weighter<Key, Arc<[u8]>> for EvidenceBytes {
    fn weight(&self, _: &Key, bytes: &Arc<[u8]>) -> u64 {
        bytes.len() as u64 + 256
    }
}

/// The caches of a process, shared by all its registries.
pub struct Store {
    folder: Option<PathBuf>,
    content: Cache<Key, Content, ContentBytes>,
    evidence: Cache<Key, Arc<[u8]>, EvidenceBytes>,
    pack: OnceLock<Option<Mutex<Pack>>>,
    memories: Mutex<BTreeMap<Digest, Arc<TagMemory>>>,
    pub(crate) evidence_flights: Flights<(Key, usize), Read>,
    pub(crate) flights: Flights<Key, Result<Content, RegistryError>>,
}

impl Store {
    /// Caches that end with the process.
    #[must_use]
    pub fn in_memory() -> Self {
        Self::new(None)
    }

    /// Caches in `folder`, which is created. Nothing in it is precious: unreadable files are
    /// ignored, and deleting it costs requests only.
    ///
    /// # Errors
    /// The folder cannot be created.
    pub fn open(folder: &Path) -> io::Result<Self> {
        fs::create_dir_all(folder.join("tags"))?;
        Ok(Self::new(Some(folder.to_owned())))
    }

    fn new(folder: Option<PathBuf>) -> Self {
        let bytes = limits::CONTENT_CACHE_BYTES_MAX as u64;
        Self {
            folder,
            content: Cache::with_weighter(10_000, bytes, ContentBytes),
            // So few items expected make one shard, and only in one shard the largest blob has
            // room.
            evidence: Cache::with_weighter(
                32,
                limits::EVIDENCE_CACHE_BYTES_MAX as u64,
                EvidenceBytes,
            ),
            pack: OnceLock::new(),
            memories: Mutex::default(),
            evidence_flights: Flights::default(),
            flights: Flights::default(),
        }
    }

    /// Writes what changed: once a cycle, and before the process ends.
    ///
    /// # Errors
    /// A file cannot be written. The caches stay usable.
    pub fn flush(&self) -> io::Result<()> {
        if let Some(Some(pack)) = self.pack.get() {
            pack.lock()
                .unwrap_or_else(PoisonError::into_inner)
                .flush()?;
        }
        let memories: Vec<Arc<TagMemory>> = {
            let memories = self.memories.lock().unwrap_or_else(PoisonError::into_inner);
            memories.values().cloned().collect()
        };
        memories.iter().try_for_each(|memory| memory.flush())
    }

    /// What is remembered of the tags of `repository`, as `access` sees them.
    pub(crate) fn memory(
        &self,
        endpoint: &Endpoint,
        access: &Access,
        repository: &RepositoryName,
    ) -> Arc<TagMemory> {
        let scope = scope(endpoint, access);
        let key = Digest::of(format!("{scope}\0{repository}").as_bytes());
        let mut memories = self.memories.lock().unwrap_or_else(PoisonError::into_inner);
        let open = || {
            let folder = self.folder.as_deref();
            let path = folder.map(|folder| folder.join("tags").join(key.hex()));
            Arc::new(TagMemory::open(path))
        };
        Arc::clone(memories.entry(key).or_insert_with(open))
    }

    pub(crate) fn content(&self, key: &Key) -> Option<Content> {
        self.content.get(key)
    }

    /// Bytes of a manifest or blob that may be evidence, from memory or disk. They have the digest
    /// in `key`.
    pub(crate) fn evidence(&self, key: &Key) -> Option<Arc<[u8]>> {
        self.evidence.get(key).or_else(|| {
            let bytes: Arc<[u8]> = self.stored_bytes(key)?.as_ref().into();
            self.evidence.insert(*key, Arc::clone(&bytes));
            Some(bytes)
        })
    }

    /// Keeps checked bytes that may be evidence.
    pub(crate) fn keep_evidence(&self, key: Key, bytes: Arc<[u8]>) {
        self.keep_bytes(key, &bytes);
        self.evidence.insert(key, bytes);
    }

    /// The bytes under `key` on disk, checked against their digest.
    pub(crate) fn stored_bytes(&self, key: &Key) -> Option<Bytes> {
        let pack = self.pack()?;
        pack.lock()
            .unwrap_or_else(PoisonError::into_inner)
            .read(key)
    }

    pub(crate) fn keep(&self, key: Key, content: Content) {
        self.content.insert(key, content);
    }

    pub(crate) fn keep_bytes(&self, key: Key, bytes: &[u8]) {
        let Some(pack) = self.pack() else { return };
        let mut pack = pack.lock().unwrap_or_else(PoisonError::into_inner);
        if let Err(error) = pack.append(key, bytes) {
            tracing::warn!(%error, "the content cache cannot be written");
        }
    }

    fn pack(&self) -> Option<&Mutex<Pack>> {
        let open = || {
            let path = self.folder.as_deref()?.join("content.pack");
            match Pack::open(&path, limits::CONTENT_DISK_BYTES_MAX) {
                Ok(pack) => Some(Mutex::new(pack)),
                Err(error) => {
                    tracing::warn!(%error, path = %path.display(), "the content cache cannot be used");
                    None
                }
            }
        };
        self.pack.get_or_init(open).as_ref()
    }
}

/// One registry and one credential source.
pub(crate) fn scope(endpoint: &Endpoint, access: &Access) -> Digest {
    Digest::of(format!("{}\0{}", endpoint.api_url, access.id()).as_bytes())
}

/// The same for evidence: apart, since images are kept as parsed, and a stranger may list an image
/// as its own signature.
pub(crate) fn evidence_scope(endpoint: &Endpoint, access: &Access) -> Digest {
    Digest::of(format!("{}\0evidence", scope(endpoint, access)).as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn evidence_in_memory_is_bounded_and_the_largest_blob_has_room() {
        let store = Store::in_memory();
        let one: Arc<[u8]> = vec![0; limits::EVIDENCE_BLOB_BYTES_MAX].into();
        let key = |n: usize| (Digest::of(b"scope"), Digest::of(&n.to_be_bytes()));
        for n in 0..20 {
            store.keep_evidence(key(n), Arc::clone(&one));
            assert!(store.evidence(&key(n)).is_some());
        }
        let kept = (0..20).filter(|n| store.evidence(&key(*n)).is_some());
        let bytes = kept.count() * one.len();
        assert!(bytes <= limits::EVIDENCE_CACHE_BYTES_MAX, "{bytes}");
    }
}
