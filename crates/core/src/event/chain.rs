//! The hash chain: ids, hashes, heads, the append step, and the commit trailer that anchors a head
//! in Git.
//!
//! Pure: random ids and times are arguments. SHA-256 is FIPS 180-4; trailers are those of
//! `git-interpret-trailers`.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use serde::Serialize;

use super::{Body, Header};
use crate::digest::Digest;

/// Key of the commit trailer that holds the head of the journal.
pub const TRAILER_KEY: &str = "Sealift-Journal";

/// Names a chain: the journal it belongs to, and the process that wrote it.
///
/// Both halves are random. The first is made once and inherited from the predecessor, so that an
/// anchor in Git can be told apart from those of another Sealift even when the process it names has
/// been cut from the journal. Text form: `0123456789abcdef-0123456789abcdef`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ChainId {
    /// The journal.
    pub journal: u64,
    /// The process.
    pub process: u64,
}

/// SHA-256 of the exact bytes of one line. Text form: 64 lower-case hex characters.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct RecordHash(Digest);

/// A record of a chain, by position and hash. Text form: `<chain>/<sequence>:<hash>`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Head {
    /// The chain.
    pub chain: ChainId,
    /// The record.
    pub sequence: u64,
    /// Its hash.
    pub hash: RecordHash,
}

/// A text that is no head, chain id or hash.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a journal head: expected `<16 hex>-<16 hex>/<number>:<64 hex>`")]
pub struct NotAHead(String);

/// The end of a chain, to which records are appended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Chain {
    id: ChainId,
    sequence: u64,
    hash: RecordHash,
}

#[derive(Serialize)]
struct Line<'a> {
    #[serde(flatten)]
    header: Header,
    #[serde(flatten)]
    body: &'a Body,
}

impl ChainId {
    /// The chain of a new process, in the journal of `predecessor` or in a new one.
    #[must_use]
    pub const fn new(predecessor: Option<&Head>, random: [u64; 2]) -> Self {
        let [journal, process] = random;
        match predecessor {
            Some(head) => Self {
                journal: head.chain.journal,
                process,
            },
            None => Self { journal, process },
        }
    }
}

impl RecordHash {
    /// What stands before the first record of a journal.
    pub const NONE: Self = Self(Digest::from_raw([0; 32]));

    /// The hash of one line, given without its line feed.
    #[must_use]
    pub fn of(line: &[u8]) -> Self {
        Self(Digest::of(line))
    }
}

impl Chain {
    /// A chain that follows `predecessor`, or opens a journal. Nothing is appended yet.
    #[must_use]
    pub fn begin(id: ChainId, predecessor: Option<&Head>) -> Self {
        let (sequence, hash) =
            predecessor.map_or((0, RecordHash::NONE), |head| (head.sequence, head.hash));
        Self { id, sequence, hash }
    }

    /// Appends one record to `out` as a line with its line feed, and returns the new head. On an
    /// error, `out` and the chain are as before.
    ///
    /// # Errors
    /// Only if the body cannot be written as JSON, which none of its types allows.
    pub fn append(
        &mut self,
        out: &mut Vec<u8>,
        time: Timestamp,
        body: &Body,
    ) -> Result<Head, serde_json::Error> {
        let begin = out.len();
        let header = Header {
            sequence: self.sequence.saturating_add(1),
            chain: self.id,
            previous: self.hash,
            time,
        };
        let sequence = header.sequence;
        if let Err(error) = serde_json::to_writer(&mut *out, &Line { header, body }) {
            out.truncate(begin);
            return Err(error);
        }
        self.sequence = sequence;
        self.hash = RecordHash::of(out.get(begin..).unwrap_or_default());
        out.push(b'\n');
        Ok(Head {
            chain: self.id,
            sequence,
            hash: self.hash,
        })
    }
}

/// The trailer line that anchors `head` in a commit.
#[must_use]
pub fn trailer(head: &Head) -> String {
    format!("{TRAILER_KEY}: {head}")
}

/// Reads the head from a trailer, given as the whole line or as its value.
///
/// # Errors
/// [`NotAHead`] if it is another trailer or damaged.
pub fn trailer_head(text: &str) -> Result<Head, NotAHead> {
    let value = match text.split_once(": ") {
        Some((key, value)) if key.eq_ignore_ascii_case(TRAILER_KEY) => value,
        _ => text,
    };
    value.trim().parse()
}

impl fmt::Display for ChainId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}-{:016x}", self.journal, self.process)
    }
}

impl fmt::Display for RecordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.hex())
    }
}

impl fmt::Debug for RecordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Head {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}:{}", self.chain, self.sequence, self.hash)
    }
}

impl FromStr for ChainId {
    type Err = NotAHead;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let halves = text.split_once('-').and_then(|(journal, process)| {
            Some(Self {
                journal: hex_u64(journal)?,
                process: hex_u64(process)?,
            })
        });
        halves.ok_or_else(|| not_a_head(text))
    }
}

impl FromStr for RecordHash {
    type Err = NotAHead;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        format!("sha256:{text}")
            .parse()
            .map(Self)
            .map_err(|_| not_a_head(text))
    }
}

impl FromStr for Head {
    type Err = NotAHead;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parts = text.split_once('/').and_then(|(chain, rest)| {
            let (sequence, hash) = rest.split_once(':')?;
            let plain = sequence.bytes().all(|byte| byte.is_ascii_digit());
            let sequence = sequence
                .parse()
                .ok()
                .filter(|&number: &u64| plain && number > 0)?;
            Some(Self {
                chain: chain.parse().ok()?,
                sequence,
                hash: hash.parse().ok()?,
            })
        });
        parts.ok_or_else(|| not_a_head(text))
    }
}

fn hex_u64(text: &str) -> Option<u64> {
    let plain = text
        .bytes()
        .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    (plain && text.len() == 16)
        .then(|| u64::from_str_radix(text, 16).ok())
        .flatten()
}

fn not_a_head(text: &str) -> NotAHead {
    NotAHead(text.chars().take(200).collect())
}

super::text::text_form!(ChainId, "ChainId", "^[0-9a-f]{16}-[0-9a-f]{16}$");
super::text::text_form!(RecordHash, "RecordHash", "^[0-9a-f]{64}$");
super::text::text_form!(
    Head,
    "Head",
    "^[0-9a-f]{16}-[0-9a-f]{16}/[1-9][0-9]*:[0-9a-f]{64}$"
);
