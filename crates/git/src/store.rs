//! The cache on the disk: packs, boundaries of what was fetched, and which heads are here with
//! their trees.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;

use sealift_core::oid::Oid;
use sha2::{Digest as _, Sha256};

use crate::branch::BranchName;
use crate::error::GitError;
use crate::protocol::Fetched;
use crate::repository::{Repository, failed};

/// Where the cache remembers heads, below the repository.
const REFERENCES: &str = "refs/cache";

impl Repository {
    /// Stores a pack that a server sent: its objects are checked, and what they lack is promised by
    /// the remote.
    pub(crate) async fn store_fetched(&self, pack: &[u8]) -> Result<(), GitError> {
        let promisor = ["-c", "remote.origin.promisor=true"];
        let index = [
            "index-pack",
            "--stdin",
            "--fix-thin",
            "--fsck-objects",
            "--promisor",
        ];
        self.index_pack(&[&promisor[..], &index].concat(), pack)
            .await
    }

    /// Stores a pack that was made here, which spares the next fetch.
    pub(crate) async fn store_made(&self, pack: &[u8]) -> Result<(), GitError> {
        self.index_pack(&["index-pack", "--stdin"], pack).await
    }

    async fn index_pack(&self, arguments: &[&str], pack: &[u8]) -> Result<(), GitError> {
        let arguments: Vec<&OsStr> = arguments.iter().map(OsStr::new).collect();
        let finished = self.command("index-pack", &arguments, pack).await?;
        if finished.success {
            return Ok(());
        }
        Err(GitError::Command {
            what: "index-pack",
            detail: finished.stderr,
        })
    }

    /// Heads that are here with all their trees.
    pub(crate) fn remembered(&self) -> Result<BTreeSet<Oid>, GitError> {
        let folder = self.objects.join(REFERENCES);
        let entries = match fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Ok(BTreeSet::new());
            }
            Err(source) => return Err(failed("read", &folder, source)),
        };
        let texts = entries
            .flatten()
            .filter_map(|entry| fs::read_to_string(entry.path()).ok());
        Ok(texts.filter_map(|text| text.trim().parse().ok()).collect())
    }

    /// Remembers that `oid` is here with all its trees.
    pub(crate) fn remember(&self, reference: &str, oid: Oid) -> Result<(), GitError> {
        self.replace(reference, &format!("{oid}\n"))
    }

    /// Commits that are here without their parents. gitformat-shallow in gitrepository-layout(5).
    pub(crate) fn boundaries(&self) -> Result<BTreeSet<Oid>, GitError> {
        let path = self.objects.join("shallow");
        match fs::read_to_string(&path) {
            Ok(text) => Ok(text.lines().filter_map(|line| line.parse().ok()).collect()),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(BTreeSet::new()),
            Err(source) => Err(failed("read", &path, source)),
        }
    }

    pub(crate) fn move_boundaries(&self, fetched: &Fetched) -> Result<(), GitError> {
        let before = self.boundaries()?;
        let mut after = before.clone();
        after.extend(&fetched.shallow);
        after.retain(|oid| !fetched.unshallow.contains(oid));
        if after == before {
            return Ok(());
        }
        let mut text = String::new();
        for oid in &after {
            let _ = writeln!(text, "{oid}");
        }
        self.replace("shallow", &text)
    }

    /// Writes a file of the repository whole or not at all.
    fn replace(&self, name: &str, text: &str) -> Result<(), GitError> {
        let path = self.objects.join(name);
        let folder = path.parent().unwrap_or(&self.objects);
        let written = (|| {
            fs::create_dir_all(folder)?;
            let mut file = tempfile::Builder::new()
                .prefix("tmp_")
                .tempfile_in(folder)?;
            file.write_all(text.as_bytes())?;
            file.persist(&path).map_err(|error| error.error)?;
            Ok(())
        })();
        written.map_err(|source| failed("write", &path, source))
    }
}

/// Where the cache remembers a branch.
pub(crate) fn cached_reference(branch: &BranchName) -> String {
    cached_name(branch.as_str())
}

/// Where the cache remembers what has this name. It is hashed: names that come and go can exclude
/// each other as files.
pub(crate) fn cached_name(name: &str) -> String {
    let mut reference = format!("{REFERENCES}/");
    for byte in Sha256::digest(name).iter().take(16) {
        let _ = write!(reference, "{byte:02x}");
    }
    reference
}
