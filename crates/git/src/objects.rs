//! Git objects: reading them through one `git cat-file --batch`, and the formats of trees and
//! commits.
//!
//! git-cat-file(1), "BATCH OUTPUT"; gitformat-tree: `mode SP name NUL oid` each. Names are bytes: a
//! sibling whose name is not UTF-8 is kept as it is. The process never fetches: an object that is
//! not here is an answer, [`Object::Missing`].

use std::ffi::OsStr;
use std::path::PathBuf;

use sealift_core::limits::{
    GIT_BATCH_OBJECTS_MAX, GIT_COMMIT_BYTES_MAX, GIT_FILE_BYTES_MAX, GIT_TREE_BYTES_MAX,
};
use sealift_core::oid::{ObjectFormat, Oid};
use sha1::Digest as _;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::{ChildStdin, ChildStdout};

use crate::command::{Access, Program, Running};
use crate::error::GitError;

/// The kinds of objects that are read and written here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    Commit,
    Tree,
    Blob,
}

impl Kind {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Commit => "commit",
            Self::Tree => "tree",
            Self::Blob => "blob",
        }
    }

    const fn bytes_max(self) -> usize {
        match self {
            Self::Commit => GIT_COMMIT_BYTES_MAX,
            Self::Tree => GIT_TREE_BYTES_MAX,
            Self::Blob => GIT_FILE_BYTES_MAX,
        }
    }
}

/// The name of an object with these bytes.
pub(crate) fn oid_of(format: ObjectFormat, kind: Kind, bytes: &[u8]) -> Oid {
    let header = format!("{} {}\0", kind.name(), bytes.len());
    match format {
        ObjectFormat::Sha1 => {
            let hash = sha1::Sha1::new().chain_update(header).chain_update(bytes);
            Oid::Sha1(hash.finalize().into())
        }
        ObjectFormat::Sha256 => {
            let hash = sha2::Sha256::new().chain_update(header).chain_update(bytes);
            Oid::Sha256(hash.finalize().into())
        }
    }
}

/// What stands under an object name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Object {
    /// Not in this repository.
    Missing,
    /// Of the wanted kind.
    Found(Vec<u8>),
    /// Of the wanted kind, but beyond its bound; the bytes were not kept.
    TooLarge(u64),
    /// Of another kind.
    OtherKind,
}

/// One `git cat-file --batch`, kept open.
pub(crate) struct Reader {
    running: Running,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    program: PathBuf,
    /// Set while answers are owed: a reader whose question was cancelled must not be asked again.
    torn: bool,
}

impl Reader {
    pub(crate) fn start(program: &Program, folder: &std::path::Path) -> Result<Self, GitError> {
        let arguments = ["cat-file", "--batch"].map(OsStr::new);
        let mut running = program.start(folder, &Access::default(), &arguments)?;
        let pipes = (running.child.stdin.take(), running.child.stdout.take());
        let (Some(input), Some(output)) = pipes else {
            return Err(program.failed("start", std::io::ErrorKind::BrokenPipe.into()));
        };
        // Nobody reads what it complains about: the answers say what is missing.
        drop(running.child.stderr.take());
        Ok(Self {
            running,
            input,
            output: BufReader::with_capacity(64 * 1024, output),
            program: program.path.clone(),
            torn: false,
        })
    }

    pub(crate) const fn is_torn(&self) -> bool {
        self.torn
    }

    /// Reads objects of one kind, in the order asked.
    pub(crate) async fn read(&mut self, kind: Kind, oids: &[Oid]) -> Result<Vec<Object>, GitError> {
        let mut objects = Vec::with_capacity(oids.len());
        for chunk in oids.chunks(GIT_BATCH_OBJECTS_MAX) {
            self.torn = true;
            self.ask(kind, chunk, &mut objects)
                .await
                .map_err(|source| GitError::Io {
                    what: "read objects from",
                    path: self.program.clone(),
                    source,
                })?;
            self.torn = false;
        }
        Ok(objects)
    }

    async fn ask(
        &mut self,
        kind: Kind,
        oids: &[Oid],
        objects: &mut Vec<Object>,
    ) -> std::io::Result<()> {
        let mut question = String::with_capacity(oids.len() * 65);
        for oid in oids {
            question.push_str(&oid.to_string());
            question.push('\n');
        }
        self.input.write_all(question.as_bytes()).await?;
        self.input.flush().await?;
        for _ in oids {
            objects.push(self.answer(kind).await?);
        }
        Ok(())
    }

    async fn answer(&mut self, kind: Kind) -> std::io::Result<Object> {
        let invalid = || std::io::Error::from(std::io::ErrorKind::InvalidData);
        let mut line = String::new();
        (&mut self.output).take(200).read_line(&mut line).await?;
        let mut words = line.trim_end().split(' ').skip(1);
        let (Some(found), size) = (words.next(), words.next()) else {
            return Err(invalid());
        };
        if found == "missing" {
            return Ok(Object::Missing);
        }
        let size: u64 = size
            .and_then(|size| size.parse().ok())
            .ok_or_else(invalid)?;
        let fits = found == kind.name() && size <= kind.bytes_max() as u64;
        let mut content = (&mut self.output).take(size);
        let object = if fits {
            let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or_default());
            content.read_to_end(&mut bytes).await?;
            Object::Found(bytes)
        } else {
            tokio::io::copy(&mut content, &mut tokio::io::sink()).await?;
            if found == kind.name() {
                Object::TooLarge(size)
            } else {
                Object::OtherKind
            }
        };
        let whole = content.limit() == 0;
        if !whole || self.output.read_u8().await? != b'\n' {
            return Err(invalid());
        }
        Ok(object)
    }

    pub(crate) async fn end(mut self) {
        self.running.end().await;
    }
}

/// What a tree entry is. The octal texts are those of Git's trees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    File,
    Executable,
    Symlink,
    Folder,
    Submodule,
}

impl Mode {
    pub(crate) const fn octal(self) -> &'static str {
        match self {
            Self::File => "100644",
            Self::Executable => "100755",
            Self::Symlink => "120000",
            Self::Folder => "40000",
            Self::Submodule => "160000",
        }
    }

    pub(crate) fn read(text: &[u8]) -> Option<Self> {
        match text {
            // 100664 stands in old histories; Git reads it as 100644.
            b"100644" | b"100664" => Some(Self::File),
            b"100755" => Some(Self::Executable),
            b"120000" => Some(Self::Symlink),
            b"40000" | b"040000" => Some(Self::Folder),
            b"160000" => Some(Self::Submodule),
            _ => None,
        }
    }
}

/// One entry of a tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Entry<'a> {
    pub(crate) mode: Mode,
    /// The mode as written: old histories spell some differently, and entries that stay must stay.
    pub(crate) octal: &'a [u8],
    pub(crate) name: &'a [u8],
    pub(crate) oid: Oid,
}

/// Reads a tree's entries, in order.
pub(crate) fn entries(format: ObjectFormat, tree: &[u8]) -> Entries<'_> {
    Entries { rest: tree, format }
}

/// Entries of a tree; ends after the first that cannot be read, which is an error of the rule it
/// breaks.
pub(crate) struct Entries<'a> {
    rest: &'a [u8],
    format: ObjectFormat,
}

impl<'a> Iterator for Entries<'a> {
    type Item = Result<Entry<'a>, &'static str>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let read = (|| {
            let space = self.rest.iter().position(|&byte| byte == b' ')?;
            let (mode, rest) = self.rest.split_at(space);
            let rest = rest.get(1..)?;
            let end = rest.iter().position(|&byte| byte == 0)?;
            let (name, rest) = rest.split_at(end);
            let rest = rest.get(1..)?;
            let oid = Oid::from_raw(rest.get(..self.format.bytes())?)?;
            self.rest = rest.get(self.format.bytes()..)?;
            let octal = mode;
            let mode = Mode::read(octal)?;
            (!name.is_empty()).then_some(Entry {
                mode,
                octal,
                name,
                oid,
            })
        })();
        if read.is_none() {
            self.rest = &[];
        }
        Some(read.ok_or("a tree entry cannot be read"))
    }
}

/// Finds one entry of a tree.
pub(crate) fn find<'a>(
    format: ObjectFormat,
    tree: &'a [u8],
    name: &str,
) -> Result<Option<Entry<'a>>, &'static str> {
    for entry in entries(format, tree) {
        let entry = entry?;
        if entry.name == name.as_bytes() {
            return Ok(Some(entry));
        }
    }
    Ok(None)
}

/// The tree of a commit.
pub(crate) fn tree_of(commit: &[u8]) -> Option<Oid> {
    let line = commit.split(|&byte| byte == b'\n').next()?;
    std::str::from_utf8(line.strip_prefix(b"tree ")?)
        .ok()?
        .parse()
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn object_names_are_gits() {
        // `git hash-object -t tree /dev/null` in both formats.
        let sha1 = oid_of(ObjectFormat::Sha1, Kind::Tree, b"");
        assert_eq!(sha1.to_string(), "4b825dc642cb6eb9a060e54bf8d69288fbee4904");
        let sha256 = oid_of(ObjectFormat::Sha256, Kind::Tree, b"");
        let expected = "6ef19b41225c5369f1c104d45d8d85efa9b057b53b14b4b9b939dd74decc5321";
        assert_eq!(sha256.to_string(), expected);
    }

    #[test]
    fn a_tree_with_a_name_that_is_not_utf8_reads_whole() {
        let mut tree = b"100644 \xff\0".to_vec();
        tree.extend([7; 20]);
        tree.extend(b"40000 a\0");
        tree.extend([8; 20]);
        let names: Vec<&[u8]> = entries(ObjectFormat::Sha1, &tree)
            .map(|entry| entry.unwrap().name)
            .collect();
        assert_eq!(names, [b"\xff".as_slice(), b"a"]);
        let found = find(ObjectFormat::Sha1, &tree, "a").unwrap().unwrap();
        assert_eq!(found.mode, Mode::Folder);
    }

    #[test]
    fn cut_and_odd_trees_are_errors_and_end() {
        let mut odd = b"100666 x\0".to_vec();
        odd.extend([7; 20]);
        let trees: [&[u8]; 5] = [
            b"100644 x\0short",
            b"100644",
            b"100644 x",
            b"100644 \0",
            &odd,
        ];
        for tree in trees {
            let all: Vec<_> = entries(ObjectFormat::Sha1, tree).collect();
            assert_eq!(all.len(), 1);
            assert!(all[0].is_err());
        }
    }
}
