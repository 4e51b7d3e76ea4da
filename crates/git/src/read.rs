//! Reading files of a commit: the trees on the way, then only the blobs that are wanted, missing
//! ones fetched in one go.
//!
//! Nothing is followed: a symbolic link or a submodule anywhere on a path is an answer of its own.

use std::collections::{BTreeMap, BTreeSet};

use sealift_core::limits::{GIT_LIST_FILES_MAX, GIT_TREE_BYTES_MAX};
use sealift_core::oid::Oid;
use sealift_core::path::RepoPath;

use crate::error::GitError;
use crate::objects::{Kind, Mode, Object, entries, find, tree_of};
use crate::repository::Repository;

/// What stands at a path of a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FileState {
    /// Nothing, and a file can be made there.
    Missing,
    /// A file.
    File {
        /// Its content.
        bytes: Vec<u8>,
        /// Whether it may be executed.
        executable: bool,
        /// The name of its blob.
        oid: Oid,
    },
    /// A file beyond [`sealift_core::limits::GIT_FILE_BYTES_MAX`]; it was not read.
    TooLarge {
        /// Its size.
        bytes: u64,
    },
    /// Something that is not followed and not written over.
    InTheWay {
        /// The path's component that it stands at, from the root.
        at: String,
        /// What it is.
        obstacle: Obstacle,
    },
}

/// What can stand where a file or one of its folders should.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Obstacle {
    /// A symbolic link, at the end of the path or on the way.
    Symlink,
    /// A submodule, at the end of the path or on the way.
    Submodule,
    /// A folder at the end of the path.
    Folder,
    /// A file on the way.
    File,
}

impl Obstacle {
    /// What it is, for messages.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Symlink => "a symbolic link",
            Self::Submodule => "a submodule",
            Self::Folder => "a folder",
            Self::File => "a file, not a folder",
        }
    }
}

/// Where the walk from a commit to its paths ended.
pub(crate) struct Walk {
    pub(crate) root: Oid,
    /// Every tree on the way.
    pub(crate) trees: BTreeMap<Oid, Vec<u8>>,
    ends: BTreeMap<RepoPath, End>,
}

/// The end of one path.
enum End {
    Missing,
    File { executable: bool, oid: Oid },
    InTheWay { at: String, obstacle: Obstacle },
}

impl Repository {
    /// Reads `paths` of a commit that [`Repository::fetch`] brought.
    ///
    /// # Errors
    /// [`GitError::ObjectMissing`], [`GitError::ObjectMalformed`], and those of a fetch, when blobs
    /// have to be fetched.
    pub async fn read(
        &mut self,
        commit: Oid,
        paths: &BTreeSet<RepoPath>,
    ) -> Result<BTreeMap<RepoPath, FileState>, GitError> {
        let walk = self.walk(commit, paths).await?;
        self.read_ends(walk.ends).await
    }

    /// As [`Repository::read`], and gives the walk back for rewriting.
    pub(crate) async fn read_with_walk(
        &mut self,
        commit: Oid,
        paths: &BTreeSet<RepoPath>,
    ) -> Result<(BTreeMap<RepoPath, FileState>, Walk), GitError> {
        let mut walk = self.walk(commit, paths).await?;
        let ends = std::mem::take(&mut walk.ends);
        Ok((self.read_ends(ends).await?, walk))
    }

    /// All files below `folder` (`None`: the root), in order; links and submodules are left out.
    ///
    /// # Errors
    /// [`GitError::TooManyFiles`], and those of [`Repository::read`]. A folder that does not exist
    /// holds nothing.
    pub async fn list_files(
        &mut self,
        commit: Oid,
        folder: Option<&RepoPath>,
    ) -> Result<Vec<RepoPath>, GitError> {
        let mut level = vec![(String::new(), self.root_of(commit).await?)];
        for component in folder.into_iter().flat_map(RepoPath::components) {
            let Some((prefix, tree)) = level.pop() else {
                break;
            };
            let bytes = self.read_trees(&[tree]).await?.pop().unwrap_or_default();
            let entry = self.find_in(tree, &bytes, component)?;
            if let Some((Mode::Folder, oid)) = entry {
                level.push((format!("{prefix}{component}/"), oid));
            }
        }
        let mut files = Vec::new();
        while !level.is_empty() {
            let oids: Vec<Oid> = level.iter().map(|(_, oid)| *oid).collect();
            let trees = self.read_trees(&oids).await?;
            let mut next = Vec::new();
            for ((prefix, oid), bytes) in level.iter().zip(trees) {
                for entry in entries(self.format, &bytes) {
                    let entry =
                        entry.map_err(|rule| GitError::ObjectMalformed { oid: *oid, rule })?;
                    let Ok(name) = std::str::from_utf8(entry.name) else {
                        continue;
                    };
                    match entry.mode {
                        Mode::Folder => next.push((format!("{prefix}{name}/"), entry.oid)),
                        Mode::File | Mode::Executable => {
                            files.extend(RepoPath::join("", &format!("{prefix}{name}")));
                        }
                        Mode::Symlink | Mode::Submodule => {}
                    }
                }
            }
            if files.len() + next.len() > GIT_LIST_FILES_MAX {
                return Err(GitError::TooManyFiles {
                    folder: folder.map_or_else(|| "/".to_owned(), RepoPath::to_string),
                    files_max: GIT_LIST_FILES_MAX,
                });
            }
            level = next;
        }
        files.sort();
        Ok(files)
    }

    /// Walks all paths together, one level of folders at a time.
    async fn walk(&mut self, commit: Oid, paths: &BTreeSet<RepoPath>) -> Result<Walk, GitError> {
        let root = self.root_of(commit).await?;
        let mut walk = Walk {
            root,
            trees: BTreeMap::new(),
            ends: BTreeMap::new(),
        };
        let mut open: Vec<(&RepoPath, usize, Oid)> =
            paths.iter().map(|path| (path, 0, root)).collect();
        while !open.is_empty() {
            let unread: BTreeSet<Oid> = open
                .iter()
                .map(|(_, _, tree)| *tree)
                .filter(|tree| !walk.trees.contains_key(tree))
                .collect();
            let unread: Vec<Oid> = unread.into_iter().collect();
            let trees = self.read_trees(&unread).await?;
            walk.trees.extend(unread.into_iter().zip(trees));
            let mut next = Vec::new();
            for (path, depth, tree) in open {
                match self.step(&walk, path, depth, tree)? {
                    Ok(folder) => next.push((path, depth + 1, folder)),
                    Err(end) => {
                        walk.ends.insert(path.clone(), end);
                    }
                }
            }
            open = next;
        }
        Ok(walk)
    }

    /// One component of one path: the folder to go on in, or the end.
    fn step(
        &self,
        walk: &Walk,
        path: &RepoPath,
        depth: usize,
        tree: Oid,
    ) -> Result<Result<Oid, End>, GitError> {
        let mut components = path.components().skip(depth);
        let name = components.next().unwrap_or_default();
        let last = components.next().is_none();
        let bytes = walk.trees.get(&tree).map_or(&[][..], Vec::as_slice);
        let Some((mode, oid)) = self.find_in(tree, bytes, name)? else {
            return Ok(Err(End::Missing));
        };
        let obstacle = match (mode, last) {
            (Mode::Folder, false) => return Ok(Ok(oid)),
            (Mode::File | Mode::Executable, true) => {
                let executable = mode == Mode::Executable;
                return Ok(Err(End::File { executable, oid }));
            }
            (Mode::Folder, true) => Obstacle::Folder,
            (Mode::File | Mode::Executable, false) => Obstacle::File,
            (Mode::Symlink, _) => Obstacle::Symlink,
            (Mode::Submodule, _) => Obstacle::Submodule,
        };
        let at: Vec<&str> = path.components().take(depth + 1).collect();
        Ok(Err(End::InTheWay {
            at: at.join("/"),
            obstacle,
        }))
    }

    fn find_in(
        &self,
        tree: Oid,
        bytes: &[u8],
        name: &str,
    ) -> Result<Option<(Mode, Oid)>, GitError> {
        let found = find(self.format, bytes, name);
        let found = found.map_err(|rule| GitError::ObjectMalformed { oid: tree, rule })?;
        Ok(found.map(|entry| (entry.mode, entry.oid)))
    }

    async fn root_of(&mut self, commit: Oid) -> Result<Oid, GitError> {
        let mut found = self.read_objects(Kind::Commit, &[commit]).await?.pop();
        if found == Some(Object::Missing) {
            // The cache remembers what it does not hold: somebody damaged it. It is begun anew.
            self.start_anew(self.format)?;
            self.fetch_heads(&[(format!("refs/cache/{commit}"), commit)])
                .await?;
            found = self.read_objects(Kind::Commit, &[commit]).await?.pop();
        }
        match found {
            Some(Object::Found(bytes)) => tree_of(&bytes).ok_or(GitError::ObjectMalformed {
                oid: commit,
                rule: "it has no tree",
            }),
            _ => Err(GitError::ObjectMissing {
                oid: commit,
                kind: "commit",
            }),
        }
    }

    async fn read_trees(&mut self, oids: &[Oid]) -> Result<Vec<Vec<u8>>, GitError> {
        let objects = self.read_or_fetch(Kind::Tree, oids).await?;
        let trees = oids.iter().zip(objects).map(|(&oid, object)| match object {
            Object::Found(bytes) => Ok(bytes),
            Object::TooLarge(bytes) => Err(GitError::ObjectTooLarge {
                oid,
                bytes,
                bytes_max: GIT_TREE_BYTES_MAX,
            }),
            Object::Missing | Object::OtherKind => {
                Err(GitError::ObjectMissing { oid, kind: "tree" })
            }
        });
        trees.collect()
    }

    async fn read_ends(
        &mut self,
        ends: BTreeMap<RepoPath, End>,
    ) -> Result<BTreeMap<RepoPath, FileState>, GitError> {
        let blobs: BTreeSet<Oid> = ends
            .values()
            .filter_map(|end| {
                if let End::File { oid, .. } = end {
                    Some(*oid)
                } else {
                    None
                }
            })
            .collect();
        let blobs: Vec<Oid> = blobs.into_iter().collect();
        let objects = self.read_or_fetch(Kind::Blob, &blobs).await?;
        let contents: BTreeMap<Oid, Object> = blobs.into_iter().zip(objects).collect();
        let states = ends.into_iter().map(|(path, end)| {
            let state = match end {
                End::Missing => FileState::Missing,
                End::InTheWay { at, obstacle } => FileState::InTheWay { at, obstacle },
                End::File { executable, oid } => match contents.get(&oid) {
                    Some(Object::Found(bytes)) => FileState::File {
                        bytes: bytes.clone(),
                        executable,
                        oid,
                    },
                    Some(&Object::TooLarge(bytes)) => FileState::TooLarge { bytes },
                    _ => return Err(GitError::ObjectMissing { oid, kind: "blob" }),
                },
            };
            Ok((path, state))
        });
        states.collect()
    }

    /// Reads objects; those that are missing are fetched together and read again.
    async fn read_or_fetch(&mut self, kind: Kind, oids: &[Oid]) -> Result<Vec<Object>, GitError> {
        let mut objects = self.read_objects(kind, oids).await?;
        let pairs = oids.iter().zip(&objects);
        let missing: Vec<Oid> = pairs
            .filter(|(_, object)| **object == Object::Missing)
            .map(|(oid, _)| *oid)
            .collect();
        if missing.is_empty() {
            return Ok(objects);
        }
        self.fetch_objects(&missing).await?;
        let mut fetched = self.read_objects(kind, &missing).await?.into_iter();
        for object in objects
            .iter_mut()
            .filter(|object| **object == Object::Missing)
        {
            *object = fetched.next().unwrap_or(Object::Missing);
        }
        Ok(objects)
    }
}
