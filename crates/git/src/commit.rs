//! Commit objects: written byte for byte the same for the same input, and read back for history.
//! gitformat-commit(5).

use jiff::Timestamp;
use sealift_core::oid::{ObjectFormat, Oid};
use sealift_write::Author;

use crate::sign::{SignError, Signer};

/// One commit of a history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommitInfo {
    /// Its id.
    pub id: Oid,
    /// What it builds on.
    pub parents: Vec<Oid>,
    /// Name and e-mail of its author.
    pub author: Author,
    /// When it was committed; `None` when the object does not say so readably.
    pub time: Option<Timestamp>,
    /// The whole message. Whoever can push can write it: never believed, only compared.
    pub message: String,
}

impl CommitInfo {
    /// The values of one trailer of the last paragraph, in order. git-interpret-trailers(1).
    pub fn trailers<'a>(&'a self, key: &'a str) -> impl Iterator<Item = &'a str> {
        let text = self.message.trim_end();
        let paragraph = text.rsplit_once("\n\n").map_or("", |(_, last)| last);
        paragraph.lines().filter_map(move |line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case(key).then_some(value.trim())
        })
    }
}

/// Everything of a commit to be made.
pub(crate) struct NewCommit<'a> {
    pub(crate) tree: Oid,
    pub(crate) parent: Oid,
    pub(crate) author: &'a Author,
    pub(crate) time: Timestamp,
    pub(crate) message: &'a str,
}

/// The bytes of the commit, signed when there is a signer.
pub(crate) fn encode(
    commit: &NewCommit<'_>,
    signer: Option<&Signer>,
) -> Result<Vec<u8>, SignError> {
    let person = format!(
        "{} <{}> {} +0000",
        plain(&commit.author.name, "Sealift"),
        plain(&commit.author.email, "sealift@localhost"),
        commit.time.as_second()
    );
    let headers = format!(
        "tree {}\nparent {}\nauthor {person}\ncommitter {person}\n",
        commit.tree, commit.parent
    );
    let message = format!("{}\n", commit.message.replace('\0', "").trim_end());
    let unsigned = format!("{headers}\n{message}");
    let Some(signer) = signer else {
        return Ok(unsigned.into_bytes());
    };
    let signature = signer.sign(unsigned.as_bytes(), commit.time)?;
    let signature = signature
        .trim_end()
        .replace("\r\n", "\n")
        .replace('\n', "\n ");
    let header = match commit.tree.format() {
        ObjectFormat::Sha1 => "gpgsig",
        ObjectFormat::Sha256 => "gpgsig-sha256",
    };
    Ok(format!("{headers}{header} {signature}\n\n{message}").into_bytes())
}

/// A name or an address without what would end its field. Git's `ident.c` drops the same
/// characters.
fn plain(text: &str, otherwise: &str) -> String {
    let kept: String = text
        .chars()
        .filter(|c| !c.is_control() && !matches!(c, '<' | '>'))
        .collect();
    let crud =
        |c: char| c.is_whitespace() || matches!(c, '.' | ',' | ':' | ';' | '"' | '\\' | '\'');
    match kept.trim_matches(crud) {
        "" => otherwise.to_owned(),
        kept => kept.to_owned(),
    }
}

/// Reads a commit object; `None` when its headers cannot be read. Texts that are not UTF-8 are read
/// with replacements.
pub(crate) fn decode(id: Oid, bytes: &[u8]) -> Option<CommitInfo> {
    let text = String::from_utf8_lossy(bytes);
    let (headers, message) = text
        .split_once("\n\n")
        .unwrap_or((text.trim_end_matches('\n'), ""));
    let values = |key: &'static str| {
        headers
            .lines()
            .filter_map(move |line| line.strip_prefix(key)?.strip_prefix(' '))
    };
    let parents = values("parent")
        .map(str::parse)
        .collect::<Result<_, _>>()
        .ok()?;
    let (name, rest) = values("author").next()?.split_once('<')?;
    let (email, _) = rest.rsplit_once('>')?;
    let committed = values("committer")
        .next()
        .and_then(|line| line.rsplit_once('>'));
    let seconds = committed.and_then(|(_, time)| time.split_whitespace().next()?.parse().ok());
    Some(CommitInfo {
        id,
        parents,
        author: Author {
            name: name.trim().to_owned(),
            email: email.to_owned(),
        },
        time: seconds.and_then(|seconds| Timestamp::from_second(seconds).ok()),
        message: message.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn commit<'a>(author: &'a Author, message: &'a str) -> NewCommit<'a> {
        let oid: Oid = "4b825dc642cb6eb9a060e54bf8d69288fbee4904".parse().unwrap();
        NewCommit {
            tree: oid,
            parent: oid,
            author,
            time: Timestamp::from_second(1_700_000_000).unwrap(),
            message,
        }
    }

    #[test]
    fn a_commit_reads_back_as_it_was_written() {
        let author = Author {
            name: "Ünï".into(),
            email: "a@b".into(),
        };
        let bytes = encode(
            &commit(&author, "subject\n\nbody\n\nA: 1\nB: 2\nA: 3\n"),
            None,
        )
        .unwrap();
        let id = "0".repeat(40).parse().unwrap();
        let read = decode(id, &bytes).unwrap();
        assert_eq!(read.author, author);
        assert_eq!(read.time, Timestamp::from_second(1_700_000_000).ok());
        assert_eq!(read.parents.len(), 1);
        assert_eq!(read.trailers("a").collect::<Vec<_>>(), ["1", "3"]);
        assert!(read.message.starts_with("subject\n\nbody"));
    }

    #[test]
    fn a_name_cannot_end_its_field_or_begin_another() {
        let author = Author {
            name: "x> 0 +0000\ncommitter evil <".into(),
            email: "\n".into(),
        };
        let bytes = encode(&commit(&author, "m\0"), None).unwrap();
        let text = String::from_utf8(bytes).unwrap();
        assert!(
            text.contains(
                "\nauthor x 0 +0000committer evil <sealift@localhost> 1700000000 +0000\n"
            )
        );
        assert!(text.ends_with("\n\nm\n"));
    }

    #[test]
    fn trailers_stand_in_the_last_of_several_paragraphs_only() {
        let id: Oid = "0".repeat(40).parse().unwrap();
        let bytes = b"tree x\nauthor a <b> 1 +0000\ncommitter a <b> 1 +0000\n\nKey: in subject\n";
        assert_eq!(decode(id, bytes).unwrap().trailers("Key").count(), 0);
    }
}
