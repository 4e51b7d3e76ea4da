//! Rewriting trees: from a base tree and new files to new trees, every other entry kept byte for
//! byte.

use std::collections::{BTreeMap, BTreeSet};

use sealift_core::oid::{ObjectFormat, Oid};
use sealift_core::path::RepoPath;

use crate::objects::{Kind, Mode, entries, oid_of};

/// New objects of a push in the order they were made, and the base trees they were made from.
pub(crate) struct Store {
    pub(crate) format: ObjectFormat,
    /// Base trees that were read, and trees made here.
    pub(crate) trees: BTreeMap<Oid, Vec<u8>>,
    made: BTreeMap<Oid, usize>,
    objects: Vec<(Kind, Vec<u8>)>,
}

/// New content below one folder.
#[derive(Default)]
struct Folder<'a>(BTreeMap<&'a str, Node<'a>>);

enum Node<'a> {
    File(&'a [u8]),
    Folder(Folder<'a>),
}

/// Why a tree could not be rewritten.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum RewriteError {
    /// A base tree that was not read before.
    TreeUnknown(Oid),
    /// A base tree that cannot be parsed.
    Malformed(Oid, &'static str),
    /// An entry is neither a file nor absent where a file is written, or not a folder where one is
    /// walked through.
    InTheWay(String),
}

impl Store {
    pub(crate) const fn new(format: ObjectFormat, trees: BTreeMap<Oid, Vec<u8>>) -> Self {
        Self {
            format,
            trees,
            made: BTreeMap::new(),
            objects: Vec::new(),
        }
    }

    /// Keeps an object for the pack, once.
    pub(crate) fn add(&mut self, kind: Kind, bytes: Vec<u8>) -> Oid {
        let oid = oid_of(self.format, kind, &bytes);
        if kind == Kind::Tree && !self.trees.contains_key(&oid) {
            self.trees.insert(oid, bytes.clone());
        }
        if !self.made.contains_key(&oid) {
            self.made.insert(oid, self.objects.len());
            self.objects.push((kind, bytes));
        }
        oid
    }

    /// The objects that were made.
    pub(crate) fn objects(&self) -> impl ExactSizeIterator<Item = (Kind, &[u8])> {
        self.objects
            .iter()
            .map(|(kind, bytes)| (*kind, bytes.as_slice()))
    }

    /// Writes `files` over the tree `root`; the new root.
    pub(crate) fn rewrite<'a>(
        &mut self,
        root: Oid,
        files: impl Iterator<Item = (&'a RepoPath, &'a [u8])>,
    ) -> Result<Oid, RewriteError> {
        let mut top = Folder::default();
        for (path, bytes) in files {
            top.insert(path, bytes)?;
        }
        self.folder(Some(root), &top)
    }

    fn folder(&mut self, base: Option<Oid>, new: &Folder<'_>) -> Result<Oid, RewriteError> {
        let bytes = match base {
            Some(oid) => self
                .trees
                .get(&oid)
                .cloned()
                .ok_or(RewriteError::TreeUnknown(oid))?,
            None => Vec::new(),
        };
        let mut merged: Vec<(&[u8], &[u8], Oid)> = Vec::new();
        let mut written: BTreeSet<&str> = BTreeSet::new();
        for entry in entries(self.format, &bytes) {
            let malformed = |rule| {
                base.map_or(RewriteError::InTheWay(String::new()), |oid| {
                    RewriteError::Malformed(oid, rule)
                })
            };
            let entry = entry.map_err(malformed)?;
            let name = std::str::from_utf8(entry.name)
                .ok()
                .and_then(|name| new.0.get_key_value(name));
            let Some((name, node)) = name else {
                merged.push((entry.octal, entry.name, entry.oid));
                continue;
            };
            let oid = match (entry.mode, node) {
                (Mode::File | Mode::Executable, Node::File(bytes)) => {
                    self.add(Kind::Blob, bytes.to_vec())
                }
                (Mode::Folder, Node::Folder(folder)) => self.folder(Some(entry.oid), folder)?,
                _ => return Err(RewriteError::InTheWay((*name).to_owned())),
            };
            written.insert(name);
            merged.push((entry.octal, entry.name, oid));
        }
        for (name, node) in new.0.iter().filter(|(name, _)| !written.contains(*name)) {
            let (mode, oid) = match node {
                Node::File(bytes) => (Mode::File, self.add(Kind::Blob, bytes.to_vec())),
                Node::Folder(folder) => (Mode::Folder, self.folder(None, folder)?),
            };
            merged.push((mode.octal().as_bytes(), name.as_bytes(), oid));
        }
        if new.0.len() > written.len() {
            merged.sort_by_cached_key(|(octal, name, _)| sort_key(octal, name));
        }
        Ok(self.add(Kind::Tree, serialized(&merged)))
    }
}

impl<'a> Folder<'a> {
    fn insert(&mut self, path: &'a RepoPath, bytes: &'a [u8]) -> Result<(), RewriteError> {
        let in_the_way = || RewriteError::InTheWay(path.to_string());
        let mut folder = self;
        let mut components = path.components().peekable();
        while let Some(component) = components.next() {
            if components.peek().is_none() {
                let taken = folder.0.insert(component, Node::File(bytes)).is_some();
                return if taken { Err(in_the_way()) } else { Ok(()) };
            }
            let node = folder
                .0
                .entry(component)
                .or_insert_with(|| Node::Folder(Folder::default()));
            folder = match node {
                Node::Folder(folder) => folder,
                Node::File(_) => return Err(in_the_way()),
            };
        }
        Ok(())
    }
}

/// Trees are ordered by name, folders as if their names ended with `/`.
fn sort_key(octal: &[u8], name: &[u8]) -> Vec<u8> {
    let mut key = name.to_vec();
    if Mode::read(octal) == Some(Mode::Folder) {
        key.push(b'/');
    }
    key
}

fn serialized(entries: &[(&[u8], &[u8], Oid)]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(entries.len() * 48);
    for (octal, name, oid) in entries {
        bytes.extend(*octal);
        bytes.push(b' ');
        bytes.extend(*name);
        bytes.push(0);
        bytes.extend(oid.raw());
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    const FORMAT: ObjectFormat = ObjectFormat::Sha1;

    fn path(text: &str) -> RepoPath {
        RepoPath::join("", text).unwrap()
    }

    fn entry(mode: &str, name: &[u8], fill: u8) -> Vec<u8> {
        let mut bytes = [mode.as_bytes(), b" ", name, b"\0"].concat();
        bytes.extend([fill; 20]);
        bytes
    }

    fn rewrite(base: &[u8], name: &str) -> Result<Vec<(Mode, Vec<u8>)>, RewriteError> {
        let mut store = Store::new(FORMAT, BTreeMap::new());
        let root = oid_of(FORMAT, Kind::Tree, base);
        store.trees.insert(root, base.to_vec());
        let path = path(name);
        let root = store.rewrite(root, std::iter::once((&path, b"new".as_slice())))?;
        let all = entries(FORMAT, &store.trees[&root]).map(Result::unwrap);
        Ok(all.map(|entry| (entry.mode, entry.name.to_vec())).collect())
    }

    #[test]
    fn a_replaced_file_keeps_its_mode_and_its_neighbours() {
        let base = [
            entry("100755", b"a.sh", 1),
            entry("120000", b"link", 2),
            entry("160000", b"sub", 3),
            entry("100644", b"\xff", 4),
        ];
        let names = rewrite(&base.concat(), "a.sh").unwrap();
        assert_eq!(names[0], (Mode::Executable, b"a.sh".to_vec()));
        assert_eq!(names[3], (Mode::File, b"\xff".to_vec()));
        assert_eq!(names.len(), 4);
    }

    #[test]
    fn new_files_and_folders_stand_in_gits_order() {
        let base = [entry("100644", b"a-b", 1), entry("100644", b"a.b", 2)].concat();
        let names: Vec<_> = rewrite(&base, "a/x")
            .unwrap()
            .into_iter()
            .map(|(_, name)| name)
            .collect();
        assert_eq!(names, [b"a-b".to_vec(), b"a.b".to_vec(), b"a".to_vec()]);
    }

    #[test]
    fn links_submodules_and_folders_are_not_written_over() {
        for mode in ["120000", "160000", "40000"] {
            let refused = rewrite(&entry(mode, b"x", 1), "x");
            assert_eq!(refused, Err(RewriteError::InTheWay("x".into())), "{mode}");
        }
        for mode in ["120000", "160000", "100644"] {
            let refused = rewrite(&entry(mode, b"x", 1), "x/y");
            assert_eq!(refused, Err(RewriteError::InTheWay("x".into())), "{mode}");
        }
    }

    #[test]
    fn a_cut_tree_is_refused() {
        let mut base = entry("100644", b"x", 1);
        base.truncate(20);
        assert!(matches!(
            rewrite(&base, "y"),
            Err(RewriteError::Malformed(..))
        ));
    }
}
