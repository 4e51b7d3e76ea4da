//! Content kept on disk between runs: one append-only file of checked bytes.
//!
//! A record is `length (u32, big-endian) · scope (32) · digest (32) · bytes`. The index is read
//! lazily at the first look-up, contents when they are asked for, and then checked against their
//! digest: a damaged or forged record is as good as none. Nothing is synced: what a crash loses is
//! fetched again. The file belongs to one process (the state folder is locked).

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{self, BufReader, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use sealift_core::digest::Digest;
use sealift_core::limits;

const MAGIC: &[u8; 16] = b"sealift-cache-1\n";
const HEAD_BYTES: usize = 4 + 32 + 32;
/// Bytes of the largest record, one blob of evidence; a larger length is damage.
const RECORD_BYTES_MAX: usize = limits::EVIDENCE_BLOB_BYTES_MAX;
const _: () = assert!(
    RECORD_BYTES_MAX >= limits::MANIFEST_BYTES_MAX
        && RECORD_BYTES_MAX >= limits::IMAGE_CONFIG_BYTES_MAX
);
/// Appended records are written in pieces of about this size.
const BUFFER_BYTES: usize = 64 * 1024;

/// What a record is kept under.
pub(crate) type Key = (Digest, Digest);

/// The file and where everything is in it.
pub(crate) struct Pack {
    path: PathBuf,
    file: File,
    places: HashMap<Key, (u64, u32)>,
    written: u64,
    pending: Vec<u8>,
    bytes_max: u64,
}

impl Pack {
    /// Opens or creates the file. A torn tail is cut off; a file over its bound keeps its newer
    /// half; one that is no pack is begun anew.
    pub(crate) fn open(path: &Path, bytes_max: u64) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        let mut file = options
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)?;
        let (records, end) = scan(&mut file)?;
        if end == 0 {
            file.set_len(0)?;
            file.write_all_at(MAGIC, 0)?;
        } else {
            file.set_len(end)?;
        }
        let mut pack = Self {
            path: path.to_owned(),
            file,
            places: records.iter().copied().collect(),
            written: end.max(MAGIC.len() as u64),
            pending: Vec::new(),
            bytes_max,
        };
        if pack.written > bytes_max {
            pack.shrink(&records)?;
        }
        Ok(pack)
    }

    /// The content under `key`, if it is there and undamaged.
    pub(crate) fn read(&self, key: &Key) -> Option<Bytes> {
        let &(offset, length) = self.places.get(key)?;
        let mut bytes = vec![0; length as usize];
        match offset.checked_sub(self.written) {
            None => self.file.read_exact_at(&mut bytes, offset).ok()?,
            Some(start) => {
                let start = usize::try_from(start).ok()?;
                bytes.copy_from_slice(self.pending.get(start..start + length as usize)?);
            }
        }
        (Digest::of(&bytes) == key.1).then(|| bytes.into())
    }

    /// Keeps `bytes` under `key`. Past the bound nothing is kept until the file is opened again.
    pub(crate) fn append(&mut self, key: Key, bytes: &[u8]) -> io::Result<()> {
        let end = self.written + self.pending.len() as u64;
        let Ok(length) = u32::try_from(bytes.len()) else {
            return Ok(());
        };
        if self.places.contains_key(&key) || end + u64::from(length) > self.bytes_max {
            return Ok(());
        }
        self.pending.extend_from_slice(&length.to_be_bytes());
        self.pending.extend_from_slice(key.0.raw());
        self.pending.extend_from_slice(key.1.raw());
        self.pending.extend_from_slice(bytes);
        self.places.insert(key, (end + HEAD_BYTES as u64, length));
        if self.pending.len() >= BUFFER_BYTES {
            self.flush()?;
        }
        Ok(())
    }

    /// Writes what is pending.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        self.file.write_all_at(&self.pending, self.written)?;
        self.written += self.pending.len() as u64;
        self.pending.clear();
        Ok(())
    }

    /// Copies the newest records, half the bound of them, into a new file.
    fn shrink(&mut self, records: &[(Key, (u64, u32))]) -> io::Result<()> {
        let mut room = self.bytes_max / 2;
        let kept = records.iter().rev().take_while(|(_, (_, length))| {
            let size = u64::from(*length) + HEAD_BYTES as u64;
            let fits = size <= room;
            room = room.saturating_sub(size);
            fits
        });
        let first = kept
            .last()
            .map_or(self.written, |(_, (offset, _))| offset - HEAD_BYTES as u64);
        let temporary = self.path.with_extension("new");
        let mut file = File::create(&temporary)?;
        file.write_all(MAGIC)?;
        self.file.seek(SeekFrom::Start(first))?;
        io::copy(&mut self.file, &mut file)?;
        std::fs::rename(&temporary, &self.path)?;
        *self = Self::open(&self.path.clone(), self.bytes_max)?;
        Ok(())
    }
}

impl Drop for Pack {
    fn drop(&mut self) {
        if let Err(error) = self.flush() {
            tracing::debug!(%error, "the content cache was not written");
        }
    }
}

/// Every whole record, in file order, and where the last one ends. `0`: the file is no pack.
#[allow(clippy::type_complexity, reason = "one private pair")]
fn scan(file: &mut File) -> io::Result<(Vec<(Key, (u64, u32))>, u64)> {
    let size = file.metadata()?.len();
    let mut reader = BufReader::with_capacity(BUFFER_BYTES, file);
    let mut magic = [0; MAGIC.len()];
    if reader.read_exact(&mut magic).is_err() || &magic != MAGIC {
        return Ok((Vec::new(), 0));
    }
    let (mut records, mut at) = (Vec::new(), MAGIC.len() as u64);
    let mut head = [0; HEAD_BYTES];
    while reader.read_exact(&mut head).is_ok() {
        let (length, keys) = head.split_at(4);
        let (scope, digest) = keys.split_at(32);
        let length = length
            .iter()
            .fold(0, |sum, byte| sum << 8 | u32::from(*byte));
        let (Ok(scope), Ok(digest)) = (scope.try_into(), digest.try_into()) else {
            break;
        };
        let offset = at + HEAD_BYTES as u64;
        let end = offset + u64::from(length);
        if end > size || length as usize > RECORD_BYTES_MAX {
            break;
        }
        let key = (Digest::from_raw(scope), Digest::from_raw(digest));
        records.push((key, (offset, length)));
        reader.seek_relative(i64::from(length))?;
        at = end;
    }
    Ok((records, at))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(bytes: &[u8]) -> Key {
        (Digest::of(b"scope"), Digest::of(bytes))
    }

    #[test]
    fn content_comes_back_before_and_after_a_restart_and_only_in_its_scope() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pack");
        let mut pack = Pack::open(&path, 1_000_000).unwrap();
        pack.append(key(b"one"), b"one").unwrap();
        assert_eq!(pack.read(&key(b"one")).unwrap(), "one");
        pack.flush().unwrap();
        pack.append(key(b"two"), b"two").unwrap();
        drop(pack);
        let pack = Pack::open(&path, 1_000_000).unwrap();
        assert_eq!(pack.read(&key(b"one")).unwrap(), "one");
        assert_eq!(pack.read(&key(b"two")).unwrap(), "two");
        assert!(
            pack.read(&(Digest::of(b"other"), Digest::of(b"one")))
                .is_none()
        );
    }

    #[test]
    fn a_torn_tail_is_cut_and_damaged_content_is_ignored() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pack");
        let mut pack = Pack::open(&path, 1_000_000).unwrap();
        for bytes in [b"one", b"two", b"six"] {
            pack.append(key(bytes), bytes).unwrap();
        }
        drop(pack);
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[MAGIC.len() + HEAD_BYTES] ^= 1;
        bytes.truncate(bytes.len() - 1);
        std::fs::write(&path, bytes).unwrap();
        let mut pack = Pack::open(&path, 1_000_000).unwrap();
        assert!(pack.read(&key(b"one")).is_none(), "damaged");
        assert_eq!(pack.read(&key(b"two")).unwrap(), "two");
        assert!(pack.read(&key(b"six")).is_none(), "torn");
        pack.append(key(b"six"), b"six").unwrap();
        drop(pack);
        let pack = Pack::open(&path, 1_000_000).unwrap();
        assert_eq!(pack.read(&key(b"six")).unwrap(), "six");
    }

    #[test]
    fn a_file_that_is_no_pack_is_begun_anew() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pack");
        for content in [&b"nonsense"[..], b"", b"sealift-cache-0\nmore"] {
            std::fs::write(&path, content).unwrap();
            let mut pack = Pack::open(&path, 1_000_000).unwrap();
            pack.append(key(b"one"), b"one").unwrap();
            assert_eq!(pack.read(&key(b"one")).unwrap(), "one");
        }
    }

    #[test]
    fn a_full_file_keeps_its_newer_half() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pack");
        let mut pack = Pack::open(&path, 1_000_000).unwrap();
        let contents: Vec<Vec<u8>> = (0..20_u8).map(|n| vec![n; 1_000]).collect();
        for bytes in &contents {
            pack.append(key(bytes), bytes).unwrap();
        }
        drop(pack);
        let pack = Pack::open(&path, 10_000).unwrap();
        let kept: Vec<bool> = contents
            .iter()
            .map(|bytes| pack.read(&key(bytes)).is_some())
            .collect();
        assert_eq!(kept, (0..20).map(|n| n >= 16).collect::<Vec<_>>());
        assert!(std::fs::metadata(&path).unwrap().len() <= 10_000);
    }
}
