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

mod open;
pub mod read;
mod segments;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use rand::RngCore;
use sealift_core::digest::Digest;
use sealift_core::event::{
    Body, Cause, Chain, ChainId, Checkpoint, Head, Intent, IntentId, OpenIntentPlace, Outcome,
    Pruned, PushResult, Started,
};
use sealift_core::limits;

use crate::state::{StateError, StateFolder};
use segments::Segments;

pub use open::OpenIntent;

/// The journal of this process. Shared by reference: every method takes a short lock.
pub struct Journal {
    inner: Mutex<Inner>,
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

/// Why something was not recorded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JournalError {
    /// The state folder cannot be used.
    #[error(transparent)]
    State(#[from] StateError),
    /// The system refused something.
    #[error("cannot {action} `{}`; the event was not recorded", .path.display())]
    Io {
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

struct Inner {
    chain: Chain,
    head: Head,
    buffer: Vec<u8>,
    sink: Sink,
    open: BTreeMap<IntentId, OpenIntentPlace>,
    limits: JournalLimits,
    broken: bool,
}

enum Sink {
    Segments(Segments),
    Stream(Box<dyn Write + Send>),
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
        let mut inner = Inner {
            chain,
            head,
            buffer,
            sink,
            open,
            limits,
            broken: false,
        };
        inner.flush()?;
        inner.sync()?;
        Ok(Self {
            inner: Mutex::new(inner),
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

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // A panic while the lock is held leaves at worst a record in the buffer: the values stay
        // consistent.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Durability {
    Buffered,
    Durable,
}

impl Inner {
    fn record(
        &mut self,
        body: &Body,
        now: Timestamp,
        durability: Durability,
    ) -> Result<Head, JournalError> {
        self.rotate_if_full(now)?;
        self.append(body, now, durability)
    }

    /// Appends, or leaves chain and buffer as they were.
    fn append(
        &mut self,
        body: &Body,
        now: Timestamp,
        durability: Durability,
    ) -> Result<Head, JournalError> {
        if self.broken {
            return Err(JournalError::Broken);
        }
        let (chain, begin) = (self.chain, self.buffer.len());
        let head = self.chain.append(&mut self.buffer, now, body)?;
        if let Err(error) = self.deliver(begin, durability) {
            self.chain = chain;
            self.buffer.truncate(begin);
            return Err(error);
        }
        self.head = head;
        self.track(body, head);
        Ok(head)
    }

    fn deliver(&mut self, begin: usize, durability: Durability) -> Result<(), JournalError> {
        let bytes = self.buffer.len() - begin;
        if bytes > limits::EVENT_LINE_BYTES_MAX {
            return Err(JournalError::TooLarge { bytes });
        }
        let stream = matches!(self.sink, Sink::Stream(_));
        let full = self.buffer.len() >= limits::JOURNAL_BUFFER_BYTES_MAX;
        if stream || full || durability == Durability::Durable {
            self.flush()?;
        }
        if durability == Durability::Durable {
            self.sync()?;
        }
        Ok(())
    }

    /// Writes the buffer out, whole or not at all.
    fn flush(&mut self) -> Result<(), JournalError> {
        if self.broken {
            return Err(JournalError::Broken);
        }
        let written = match &mut self.sink {
            Sink::Segments(segments) => segments.write(&self.buffer),
            Sink::Stream(stream) => stream
                .write_all(&self.buffer)
                .and_then(|()| stream.flush())
                .map_err(|source| segments::Unwritten {
                    error: stream_error(source),
                    whole: false,
                }),
        };
        match written {
            Ok(()) => self.buffer.clear(),
            Err(unwritten) => {
                self.broken = !unwritten.whole;
                return Err(unwritten.error);
            }
        }
        Ok(())
    }

    /// Waits for the disk. After a failure nothing is known of what it holds, so the journal stays
    /// refused.
    fn sync(&mut self) -> Result<(), JournalError> {
        let Sink::Segments(segments) = &self.sink else {
            return Ok(());
        };
        let synced = segments.sync();
        self.broken |= synced.is_err();
        synced
    }

    fn track(&mut self, body: &Body, head: Head) {
        match body {
            Body::Intent(intent) => {
                let Intent { intent, .. } = **intent;
                let place = OpenIntentPlace {
                    intent,
                    sequence: head.sequence,
                    segment: self.segment_number(),
                };
                self.open.insert(intent, place);
            }
            Body::Outcome(outcome) => {
                self.open.remove(&outcome.intent);
            }
            _ => {}
        }
    }

    fn segment_number(&self) -> u32 {
        match &self.sink {
            Sink::Segments(segments) => segments.current_number(),
            Sink::Stream(_) => 0,
        }
    }

    /// Begins a new segment with a checkpoint, and deletes the oldest ones above the bound.
    fn rotate_if_full(&mut self, now: Timestamp) -> Result<(), JournalError> {
        let Sink::Segments(segments) = &self.sink else {
            return Ok(());
        };
        let bytes = segments.current_bytes() + self.buffer.len() as u64;
        if bytes < self.limits.segment_bytes_max {
            return Ok(());
        }
        self.flush()?;
        self.sync()?;
        if let Sink::Segments(segments) = &mut self.sink {
            segments.begin_next()?;
        }
        let open_intents = self.open.values().cloned().collect();
        let checkpoint = Checkpoint {
            head: self.head,
            open_intents,
        };
        self.append(&Body::Checkpoint(checkpoint), now, Durability::Buffered)?;
        self.prune(now)
    }

    /// Deletes segments above the bound, oldest first, up to the first one that an open intent
    /// stands in. The record is durable before the file is gone, so that a gap without one is a
    /// finding.
    fn prune(&mut self, now: Timestamp) -> Result<(), JournalError> {
        let open_from = self
            .open
            .values()
            .map(|place| place.segment)
            .min()
            .unwrap_or(u32::MAX);
        loop {
            let Sink::Segments(segments) = &self.sink else {
                return Ok(());
            };
            let Some((segment, bytes)) = segments.oldest_above(self.limits.bytes_max) else {
                return Ok(());
            };
            if segment >= open_from {
                return Ok(());
            }
            let sequence_last = segments.sequence_last_of(segment);
            let pruned = Pruned {
                segment,
                sequence_last,
                bytes,
            };
            self.append(&Body::Pruned(pruned), now, Durability::Durable)?;
            if let Sink::Segments(segments) = &mut self.sink {
                segments.delete_oldest()?;
            }
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        // Best effort: what must not be lost was recorded durably.
        let _ = self.flush();
    }
}

fn stream_error(source: io::Error) -> JournalError {
    JournalError::Io {
        action: "write to",
        path: PathBuf::from("the event stream"),
        source,
    }
}
