//! Events: one record for everything that was considered, decided and done, chained by hash.
//!
//! Here: the values of a record, its one-line JSON form, the hash chain, the trailer that anchors
//! it, and the check of a whole chain. Not here: files, clocks, random numbers, output (those are
//! `journal` and `cli::events` of the program).
//!
//! A record is one line of JSON (RFC 8259) without a line feed inside. `previous` is the SHA-256
//! (FIPS 180-4) of the exact bytes of the line before, without its line feed. Times are RFC 3339,
//! UTC, in milliseconds. Readers ignore fields and kinds that they do not know; writers write
//! nothing that the schema does not name. [`schema`] is that schema, in JSON Schema 2020-12.

mod chain;
mod consider;
pub mod open;
mod push;
#[cfg(test)]
mod tests;
mod text;
pub mod verify;

use std::collections::BTreeMap;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::digest::Digest;

pub use chain::{Chain, ChainId, Head, NotAHead, RecordHash, TRAILER_KEY, trailer, trailer_head};
pub use consider::{
    Candidate, CatalogSummary, Considered, Decision, Image, Inputs, SlotSummary, TrustClause,
    TrustSummary, VerdictKind, Wholeness,
};
pub use push::{IntendedWrite, Intent, IntentId, NotAnIntentId, Outcome, PushResult};
pub use text::{Cause, MaskedUrl, ReasonId, bounded};

/// One line of the journal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Record {
    /// What every record has.
    #[serde(flatten)]
    pub header: Header,
    /// What happened.
    #[serde(flatten)]
    pub body: Body,
}

/// What any line says of itself, whatever its kind and version: the header without the time, and
/// the kind.
///
/// Cheaper to read than a [`Record`]: the body is skipped, not parsed.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Glance {
    /// As [`Header::sequence`].
    pub sequence: u64,
    /// As [`Header::chain`].
    pub chain: ChainId,
    /// As [`Header::previous`].
    pub previous: RecordHash,
    /// The tag of the body.
    pub kind: String,
}

/// What every record has, of whatever kind and version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Header {
    /// Position in the journal, from 1. A new process goes on where the one before it ended.
    pub sequence: u64,
    /// The chain that the record belongs to.
    pub chain: ChainId,
    /// Hash of the record before, or zeros at the beginning of a journal.
    pub previous: RecordHash,
    /// When it was recorded: RFC 3339, UTC, milliseconds.
    #[serde(with = "text::milliseconds")]
    #[schemars(with = "text::TimeText")]
    pub time: Timestamp,
}

/// What happened. The tag is `kind`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Body {
    /// A process began, and with it a chain.
    Started(Started),
    /// One image of one Application was considered.
    Considered(Box<Considered>),
    /// Something that people should know and that decides nothing, such as a setting that was
    /// ignored.
    Notice(Notice),
    /// A push is about to be made. Durable before the first byte is sent.
    Intent(Box<Intent>),
    /// What became of an intent.
    Outcome(Outcome),
    /// A cycle ended: its numbers.
    Cycle(Cycle),
    /// A segment began: the head of the chain at that moment.
    Checkpoint(Checkpoint),
    /// An old segment is deleted to keep the journal within its bound.
    Pruned(Pruned),
    /// The process ended in order.
    Stopped(Stopped),
    /// A kind of a newer version. Never written.
    #[serde(skip)]
    Unknown,
}

impl Record {
    /// Reads one line, given without its line feed. Unknown kinds become [`Body::Unknown`], unknown
    /// fields are ignored.
    ///
    /// # Errors
    /// The line is not JSON, lacks a field of the header, or its body does not fit its kind.
    pub fn from_line(line: &[u8]) -> Result<Self, serde_json::Error> {
        let header = serde_json::from_slice(line)?;
        let kind: Kind = serde_json::from_slice(line)?;
        Ok(Self {
            header,
            body: Body::from_line(&kind.kind, line)?,
        })
    }
}

#[derive(Deserialize)]
struct Kind {
    kind: String,
}

impl Body {
    /// Every value of the tag `kind` that is written.
    pub const KINDS: [&'static str; 9] = [
        "started",
        "considered",
        "notice",
        "intent",
        "outcome",
        "cycle",
        "checkpoint",
        "pruned",
        "stopped",
    ];

    /// Reads the body of a line whose kind is known. The header's fields are unknown to it, and so
    /// ignored.
    fn from_line(kind: &str, line: &[u8]) -> Result<Self, serde_json::Error> {
        Ok(match kind {
            "started" => Self::Started(serde_json::from_slice(line)?),
            "considered" => Self::Considered(serde_json::from_slice(line)?),
            "notice" => Self::Notice(serde_json::from_slice(line)?),
            "intent" => Self::Intent(serde_json::from_slice(line)?),
            "outcome" => Self::Outcome(serde_json::from_slice(line)?),
            "cycle" => Self::Cycle(serde_json::from_slice(line)?),
            "checkpoint" => Self::Checkpoint(serde_json::from_slice(line)?),
            "pruned" => Self::Pruned(serde_json::from_slice(line)?),
            "stopped" => Self::Stopped(serde_json::from_slice(line)?),
            _ => Self::Unknown,
        })
    }

    /// The value of the tag `kind`.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Started(_) => "started",
            Self::Considered(_) => "considered",
            Self::Notice(_) => "notice",
            Self::Intent(_) => "intent",
            Self::Outcome(_) => "outcome",
            Self::Cycle(_) => "cycle",
            Self::Checkpoint(_) => "checkpoint",
            Self::Pruned(_) => "pruned",
            Self::Stopped(_) => "stopped",
            Self::Unknown => "unknown",
        }
    }

    /// The Applications (`namespace/name`) that the record is about.
    pub fn applications(&self) -> impl Iterator<Item = &str> {
        let one = match self {
            Self::Considered(considered) => Some(considered.application.as_str()),
            Self::Notice(notice) => notice.application.as_deref(),
            _ => None,
        };
        let many = match self {
            Self::Intent(intent) => intent.applications.as_slice(),
            _ => &[],
        };
        one.into_iter().chain(many.iter().map(String::as_str))
    }

    /// The reasons that the record gives.
    pub fn causes(&self) -> impl Iterator<Item = &Cause> {
        let many = match self {
            Self::Considered(considered) => considered.reasons.as_slice(),
            _ => &[],
        };
        let one = match self {
            Self::Notice(notice) => Some(&notice.cause),
            Self::Outcome(outcome) => outcome.cause.as_ref(),
            Self::Stopped(stopped) => stopped.cause.as_ref(),
            _ => None,
        };
        many.iter().chain(one)
    }
}

/// Body of `started`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Started {
    /// Version of the program.
    pub version: String,
    /// Digest of the effective configuration, so that a replay can tell whether it runs under the
    /// same one.
    pub configuration: Digest,
    /// Head of the chain before this one, where it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub predecessor: Option<Head>,
}

/// Body of `notice`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Notice {
    /// Why it is said, and in words.
    #[serde(flatten)]
    pub cause: Cause,
    /// What it is about: an object and field, a file and line, a setting.
    pub subject: String,
    /// The Application concerned, `namespace/name`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub application: Option<String>,
}

/// Body of `cycle`: the closing numbers. `applications` to `errors` count as Argo CD Image
/// Updater's closing log line does; `refused` and `incomplete` are ours.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Cycle {
    /// Applications processed.
    pub applications: u64,
    /// Images considered.
    pub considered: u64,
    /// Images with nothing to choose or nowhere to write.
    pub skipped: u64,
    /// Images whose new value landed (or would land, in a dry run).
    pub updated: u64,
    /// Images and pushes that failed.
    pub errors: u64,
    /// Images that a rule refused.
    pub refused: u64,
    /// Images whose evidence was incomplete, so that nothing was chosen.
    pub incomplete: u64,
    /// Wall time of the cycle, in milliseconds.
    pub duration_ms: u64,
    /// Wall time by phase, in milliseconds.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub phases_ms: BTreeMap<String, u64>,
    /// Requests made, by kind.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub requests: BTreeMap<String, u64>,
}

/// Body of `checkpoint`, the first record of each segment but the first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Checkpoint {
    /// The record before this one.
    pub head: Head,
    /// Intents without an outcome, so that a start needs to read no older segment than these stand
    /// in.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub open_intents: Vec<OpenIntentPlace>,
}

/// Where an intent without an outcome stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct OpenIntentPlace {
    /// The intent.
    pub intent: IntentId,
    /// Its record.
    pub sequence: u64,
    /// Number of the segment that holds the record.
    pub segment: u32,
}

/// Body of `pruned`. Recorded before the file is deleted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Pruned {
    /// Number of the deleted segment.
    pub segment: u32,
    /// The last record in it.
    pub sequence_last: u64,
    /// Its size.
    pub bytes: u64,
}

/// Body of `stopped`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Stopped {
    /// Why, where it was not the ordinary end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<Cause>,
}

/// The JSON Schema (2020-12) of one line, generated from the types.
/// `docs/reference/event.schema.json` is its copy.
#[must_use]
pub fn schema() -> serde_json::Value {
    let mut schema = schemars::schema_for!(Record);
    schema.insert("title".to_owned(), "One line of Sealift's journal".into());
    schema.to_value()
}
