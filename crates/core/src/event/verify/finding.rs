//! What the check of a journal says: findings, each with its place and what follows from it.

use std::borrow::Cow;
use std::fmt;

use serde::{Serialize, Serializer};

use crate::event::{Head, RecordHash};

/// A line of a journal. Text form: `00000001.jsonl:12`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// Number of the segment.
    pub segment: u32,
    /// Number of the line in it, from 1.
    pub line: u64,
}

/// A head that somebody wrote down outside the journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Anchor {
    /// The head.
    pub head: Head,
    /// Who did: a commit id, or another word for people.
    pub origin: String,
}

/// The outcome of a check.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Records read.
    pub records: u64,
    /// Chains (processes) among them.
    pub chains: u64,
    /// The first record, where one could be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first: Option<Head>,
    /// The last record.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last: Option<Head>,
    /// The last record up to which older ones were deleted to keep the bound, as the journal itself
    /// records.
    pub pruned_to: u64,
    /// Anchors that hold.
    pub anchors_held: u64,
    /// Anchors of records older than the first one kept.
    pub anchors_older: u64,
    /// Anchors of other journals: another Sealift writes there, too, or this journal is not the one
    /// that did.
    pub anchors_foreign: u64,
    /// The last record that an anchor holds for. A cut or a rewriting behind it could not be seen.
    pub anchored_to: u64,
    /// An incomplete last line: it is being written, or its writer died. The next start cuts it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub torn: Option<Place>,
    /// What is wrong. Empty: nothing.
    pub findings: Vec<Finding>,
    /// Findings beyond `limits::VERIFY_FINDINGS_MAX`.
    pub findings_omitted: u64,
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "finding", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Finding {
    /// A line is no record.
    Unreadable {
        /// The line.
        place: Place,
    },
    /// The hashes of neighbours do not fit.
    Altered {
        /// The first record that may have been altered.
        from: u64,
        /// The last one.
        to: u64,
        /// Where the first one stands.
        place: Place,
    },
    /// Records are missing.
    Missing {
        /// The first one.
        from: u64,
        /// The last one.
        to: u64,
        /// The line that stands where they should.
        place: Place,
    },
    /// A record stands behind one that came after it.
    Reordered {
        /// The record.
        sequence: u64,
        /// Where it stands.
        place: Place,
    },
    /// A position is taken twice.
    Repeated {
        /// The position.
        sequence: u64,
        /// Where it stands the second time.
        place: Place,
    },
    /// Another chain goes on without a beginning that names the record before it.
    ChainChanged {
        /// The record.
        sequence: u64,
        /// Where it stands.
        place: Place,
    },
    /// The journal begins later than its own deletions explain.
    BeginningCut {
        /// The first record that is there.
        first: u64,
        /// The last one whose deletion is recorded; 0 for none.
        pruned_to: u64,
        /// Where the first one stands.
        place: Place,
    },
    /// The chain fits together, but is not the one that was anchored.
    Rewritten {
        /// The anchored record.
        sequence: u64,
        /// Where it stands.
        place: Place,
        /// Its hash now.
        found: RecordHash,
        /// Its hash when it was anchored.
        anchored: RecordHash,
        /// Who anchored it.
        origin: String,
        /// The last record before it that an anchor holds for; 0 for none.
        held_to: u64,
    },
    /// The journal ends before a record that was anchored.
    EndCut {
        /// The last record that is there.
        last: u64,
        /// The last anchored record.
        anchored: u64,
        /// Who anchored it.
        origin: String,
    },
}

impl Finding {
    /// What follows from it, in a sentence.
    #[must_use]
    pub fn consequence(&self) -> Cow<'static, str> {
        match self {
            Self::Unreadable { .. } => {
                "what stood there is lost; the hashes show whether its neighbours are whole".into()
            }
            Self::Altered { from, to, .. } if from == to => {
                "it was changed after it was written; what it says is not what happened".into()
            }
            Self::Altered { .. } => "at least one of them was changed after it was written".into(),
            Self::Missing { .. } => {
                "they were removed after they were written; nothing here says what they said".into()
            }
            Self::Reordered { .. } | Self::Repeated { .. } => {
                "lines were moved or copied after they were written".into()
            }
            Self::ChainChanged { .. } => {
                "the end of one chain or the beginning of the next was removed or replaced".into()
            }
            Self::BeginningCut { .. } => {
                "the oldest records were removed, and not by Sealift".into()
            }
            Self::Rewritten {
                sequence,
                origin,
                held_to,
                ..
            } => {
                let (from, forged) = (held_to.saturating_add(1), forged(origin));
                let what = "were rewritten and their hashes computed anew";
                format!("records {from} to {sequence} {what}, or {forged}").into()
            }
            Self::EndCut {
                last,
                anchored,
                origin,
            } => {
                let (from, forged) = (last.saturating_add(1), forged(origin));
                format!("records {from} to {anchored} were cut off, or {forged}").into()
            }
        }
    }
}

/// Whoever can push can write a trailer, so an anchor may be the lie.
fn forged(origin: &str) -> String {
    format!("{origin} holds a forged trailer: check its author and signature")
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable { place } => write!(f, "`{place}` is no record"),
            Self::Altered { from, to, place } if from == to => {
                write!(f, "record {from} at `{place}` was altered")
            }
            Self::Altered { from, to, place } => {
                write!(
                    f,
                    "records {from} to {to} from `{place}` on do not fit together"
                )
            }
            Self::Missing { from, to, place } if from == to => {
                write!(f, "record {from} is missing before `{place}`")
            }
            Self::Missing { from, to, place } => {
                write!(f, "records {from} to {to} are missing before `{place}`")
            }
            Self::Reordered { sequence, place } => {
                write!(
                    f,
                    "record {sequence} at `{place}` stands behind a later one"
                )
            }
            Self::Repeated { sequence, place } => {
                write!(f, "record {sequence} stands a second time at `{place}`")
            }
            Self::ChainChanged { sequence, place } => {
                write!(
                    f,
                    "record {sequence} at `{place}` goes on with another chain"
                )
            }
            _ => self.write_outer(f),
        }
    }
}

impl Finding {
    /// The findings that hold against something outside the chain.
    fn write_outer(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BeginningCut {
                first,
                pruned_to,
                place,
            } => {
                write!(f, "the journal begins at `{place}` with record {first}, ")?;
                match pruned_to {
                    0 => f.write_str("and no deletion is recorded"),
                    _ => write!(f, "but the recorded deletions end at record {pruned_to}"),
                }
            }
            Self::Rewritten {
                sequence,
                place,
                found,
                anchored,
                origin,
                ..
            } => {
                write!(f, "record {sequence} at `{place}` has hash `{found}`, ")?;
                write!(f, "but {origin} anchors `{anchored}`")
            }
            Self::EndCut {
                last,
                anchored,
                origin,
            } => {
                write!(
                    f,
                    "the journal ends at record {last}, but {origin} anchors record {anchored}"
                )
            }
            _ => Ok(()),
        }
    }
}

impl Place {
    /// The name of the segment's file.
    #[must_use]
    pub fn file(&self) -> String {
        format!("{:08}.jsonl", self.segment)
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08}.jsonl:{}", self.segment, self.line)
    }
}

impl Serialize for Place {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
