//! The journal: events made durable, in order, by one process at a time.
//!
//! Here: appending, when bytes reach the disk, rotation and its bound, and what a start finds. Not
//! here: what a record says and how records are chained (`core::event`), and how people read them
//! (`cli::events`).
//!
//! With a state folder the journal is `<state>/journal/NNNNNNNN.jsonl`: JSON lines, append-only. A
//! record is buffered; an intent and its outcome are on the disk (`fsync`) when
//! [`Journal::record_durably`] returns, and with them all that came before. Without a state folder
//! the same lines go to a stream.

#[cfg(test)]
mod killed;
mod open;
pub mod read;
mod segments;
pub mod tail;
#[cfg(test)]
mod tests;
mod writer;

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use rand::RngCore;
use sealift_core::digest::Digest;
use sealift_core::event::{
    Body, Cause, Chain, ChainId, Head, IntentId, OpenIntentPlace, Outcome, PushResult, Started,
};
use sealift_core::limits;
use sealift_core::reason::Reason;

use crate::state::{StateError, StateFolder};
use segments::Segments;
use writer::{Durability, Sink, Writer};

pub use open::OpenIntent;

/// The journal of this process. Shared by reference: every method takes a short lock.
pub struct Journal {
    writer: Mutex<Writer>,
}

/// What a process says of itself in its first record.
#[derive(Debug, Clone)]
pub struct Program {
    /// Version of the program.
    pub version: String,
    /// Digest of the effective configuration.
    pub configuration: Digest,
}

/// How large a journal becomes.
#[derive(Debug, Clone, Copy)]
pub struct JournalLimits {
    /// A segment that has reached this many bytes is followed by a new one.
    pub segment_bytes_max: u64,
    /// Above this many bytes in all segments, the oldest are deleted.
    pub bytes_max: u64,
}

impl Default for JournalLimits {
    fn default() -> Self {
        Self {
            segment_bytes_max: limits::JOURNAL_SEGMENT_BYTES_MAX,
            bytes_max: limits::JOURNAL_BYTES_MAX,
        }
    }
}

impl JournalError {
    /// The stable reason.
    #[must_use]
    pub const fn reason(&self) -> Reason {
        match self {
            Self::State(error) => error.reason(),
            Self::Read { .. } => Reason::JournalUnreadable,
            _ => Reason::JournalUnwritable,
        }
    }
}

/// Why something was not recorded, or cannot be read back.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JournalError {
    /// The state folder cannot be used.
    #[error(transparent)]
    State(#[from] StateError),
    /// A file cannot be read.
    #[error("cannot {action} `{}`", .path.display())]
    Read {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file cannot be written.
    #[error("cannot {action} `{}`; the event was not recorded", .path.display())]
    Write {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The event does not fit a line.
    #[error("an event of {bytes} bytes is larger than a line may be; it was not recorded")]
    TooLarge {
        /// Its size.
        bytes: usize,
    },
    /// The event cannot be written as JSON.
    #[error("the event cannot be written as JSON; it was not recorded")]
    Encode(#[from] serde_json::Error),
    /// The disk failed before in a way that leaves unknown what it holds.
    #[error(
        "the journal failed before, and what the disk holds is unknown; the event was not recorded"
    )]
    Broken,
}

impl Journal {
    /// Opens the journal of a state folder: cuts a torn last line, begins a chain after the last
    /// record, records `started`, and returns the intents that have no outcome, oldest first. The
    /// caller settles those with Git and [`Journal::settle`] before it pushes anything.
    ///
    /// # Errors
    /// [`JournalError`]: a file cannot be read or written. Damaged records are no error: they are
    /// said in a notice.
    pub fn open(
        state: &StateFolder,
        limits: JournalLimits,
        program: Program,
        now: Timestamp,
        rng: &mut impl RngCore,
    ) -> Result<(Self, Vec<OpenIntent>), JournalError> {
        let folder = state.subfolder("journal")?;
        let mut segments = Segments::list(folder)?;
        let found = open::recover(&mut segments)?;
        let open = found
            .open
            .iter()
            .map(|open| (open.intent.intent, open.place.clone()))
            .collect();
        let sink = Sink::Segments(segments);
        let journal = Self::begin(sink, found.head, open, limits, program, now, rng)?;
        for notice in found.notices {
            journal.record_durably(&Body::Notice(notice), now)?;
        }
        Ok((journal, found.open))
    }

    /// A journal that goes to a stream as JSON lines, such as standard output. Each record is
    /// written at once.
    ///
    /// # Errors
    /// [`JournalError`]: the stream refuses the first record.
    pub fn to_stream(
        stream: Box<dyn Write + Send>,
        predecessor: Option<Head>,
        program: Program,
        now: Timestamp,
        rng: &mut impl RngCore,
    ) -> Result<Self, JournalError> {
        let (sink, limits) = (Sink::Stream(stream), JournalLimits::default());
        Self::begin(
            sink,
            predecessor,
            BTreeMap::new(),
            limits,
            program,
            now,
            rng,
        )
    }

    fn begin(
        sink: Sink,
        predecessor: Option<Head>,
        open: BTreeMap<IntentId, OpenIntentPlace>,
        limits: JournalLimits,
        program: Program,
        now: Timestamp,
        rng: &mut impl RngCore,
    ) -> Result<Self, JournalError> {
        let id = ChainId::new(predecessor.as_ref(), [rng.next_u64(), rng.next_u64()]);
        let mut chain = Chain::begin(id, predecessor.as_ref());
        let Program {
            version,
            configuration,
        } = program;
        let started = Body::Started(Started {
            version,
            configuration,
            predecessor,
        });
        let mut buffer = Vec::new();
        let head = chain.append(&mut buffer, now, &started)?;
        let mut writer = Writer {
            chain,
            head,
            buffer,
            sink,
            open,
            limits,
            broken: false,
        };
        writer.flush()?;
        writer.sync()?;
        Ok(Self {
            writer: Mutex::new(writer),
        })
    }

    /// Appends a record. It reaches the disk with the next durable one, when the buffer is full, or
    /// with [`Journal::flush`]. (On a stream: now.)
    ///
    /// # Errors
    /// [`JournalError`]: it was not recorded, and the chain is as before.
    pub fn record(&self, body: &Body, now: Timestamp) -> Result<Head, JournalError> {
        self.lock().record(body, now, Durability::Buffered)
    }

    /// Appends a record and returns when it, and all before it, are on the disk.
    ///
    /// # Errors
    /// [`JournalError`]: it is not known to be durable. Nothing that depends on it may be done.
    pub fn record_durably(&self, body: &Body, now: Timestamp) -> Result<Head, JournalError> {
        self.lock().record(body, now, Durability::Durable)
    }

    /// Records the outcome of an intent, durably.
    ///
    /// # Errors
    /// As [`Journal::record_durably`]; the intent stays open, and the next start settles it.
    pub fn settle(
        &self,
        intent: IntentId,
        result: PushResult,
        cause: Option<Cause>,
        commit: Option<String>,
        now: Timestamp,
    ) -> Result<Head, JournalError> {
        self.record_durably(
            &Body::Outcome(Outcome {
                intent,
                result,
                cause,
                commit,
            }),
            now,
        )
    }

    /// Writes what is buffered, without waiting for the disk. For the end of a cycle.
    ///
    /// # Errors
    /// [`JournalError`]: the records stay in the buffer.
    pub fn flush(&self) -> Result<(), JournalError> {
        self.lock().flush()
    }

    /// The last record. Its text form goes into commits that are made from here on.
    #[must_use]
    pub fn head(&self) -> Head {
        self.lock().head
    }

    /// The intents of this journal that have no outcome yet.
    #[must_use]
    pub fn open_intents(&self) -> Vec<OpenIntentPlace> {
        self.lock().open.values().cloned().collect()
    }

    fn lock(&self) -> MutexGuard<'_, Writer> {
        // A panic while the lock is held leaves at worst a record in the buffer: the values stay
        // consistent.
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
