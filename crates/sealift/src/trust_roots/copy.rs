//! Copies of roots in files: one a root, replaced by a rename, so many and no more.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use sealift_core::limits;
use sealift_trust::root::Shelf;

use super::Repository;

/// A copy in a file, replaced by a rename.
pub(super) struct CopyFile {
    pub(super) path: PathBuf,
}

impl Shelf for CopyFile {
    fn load(&self) -> Result<Option<Vec<u8>>, String> {
        let shown = |error: io::Error| format!("`{}`: {error}", self.path.display());
        let file = match fs::File::open(&self.path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(shown(error)),
        };
        let mut bytes = Vec::new();
        // One byte more than allowed: the reader says that it is too large.
        let most = limits::TRUST_ROOT_COPY_BYTES_MAX as u64 + 1;
        file.take(most).read_to_end(&mut bytes).map_err(shown)?;
        Ok(Some(bytes))
    }

    fn store(&self, bytes: &[u8]) -> Result<(), String> {
        let folder = self.path.parent().unwrap_or(Path::new("."));
        let written = tempfile::NamedTempFile::new_in(folder).and_then(|mut file| {
            file.write_all(bytes)?;
            file.as_file().sync_all()?;
            file.persist(&self.path).map_err(|error| error.error)
        });
        written
            .map(drop)
            .map_err(|error| format!("`{}`: {error}", self.path.display()))
    }
}

/// Removes copies that nobody names beyond the bound, oldest first.
pub(super) fn prune(folder: &Path, named: &BTreeMap<String, Repository>) -> io::Result<()> {
    let mut others: Vec<(SystemTime, PathBuf)> = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let key = path.file_stem().map(|stem| stem.to_string_lossy());
        if !key.is_some_and(|key| named.contains_key(key.as_ref())) {
            others.push((fs::metadata(&path)?.modified()?, path));
        }
    }
    others.sort();
    let room = limits::TRUST_ROOTS_MAX.saturating_sub(named.len());
    let surplus = others.len().saturating_sub(room);
    for (_, path) in others.into_iter().take(surplus) {
        fs::remove_file(path)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use sealift_core::promotion::spec::{Empty, TrustRootSpec};

    use super::*;

    #[test]
    fn copies_that_nobody_names_are_bounded_and_the_named_one_stays() {
        let folder = tempfile::tempdir().unwrap();
        for number in 0..limits::TRUST_ROOTS_MAX + 5 {
            fs::write(folder.path().join(format!("mirror-{number}.json")), "").unwrap();
        }
        let spec = TrustRootSpec::Github(Empty {});
        let mut github = Repository::of(&spec, |_| Err(String::new()))
            .unwrap()
            .unwrap();
        github.key = "mirror-0".to_owned();
        let named = BTreeMap::from([("mirror-0".to_owned(), github)]);
        prune(folder.path(), &named).unwrap();
        let left = fs::read_dir(folder.path()).unwrap().count();
        assert_eq!(left, limits::TRUST_ROOTS_MAX);
        assert!(folder.path().join("mirror-0.json").exists());
    }
}
