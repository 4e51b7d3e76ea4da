//! The one writer behind a journal's lock: buffer, delivery, rotation, and what happens when the
//! disk refuses.
//!
//! Here: in which order bytes and chain change, so that a refusal leaves both as they were. Not
//! here: files (`segments`).

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::PathBuf;

use jiff::Timestamp;
use sealift_core::event::{
    Body, Chain, Checkpoint, Head, Intent, IntentId, OpenIntentPlace, Pruned,
};
use sealift_core::limits;

use super::segments::{self, Segments};
use super::{JournalError, JournalLimits};

/// The end of a chain, and where its lines go.
pub(super) struct Writer {
    pub(super) chain: Chain,
    pub(super) head: Head,
    pub(super) buffer: Vec<u8>,
    pub(super) sink: Sink,
    pub(super) open: BTreeMap<IntentId, OpenIntentPlace>,
    pub(super) limits: JournalLimits,
    pub(super) broken: bool,
}

/// Where lines go.
pub(super) enum Sink {
    Segments(Segments),
    Stream(Box<dyn Write + Send>),
}

/// What is true of a record when it was recorded.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Durability {
    Buffered,
    Durable,
}

impl Writer {
    pub(super) fn record(
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
    pub(super) fn flush(&mut self) -> Result<(), JournalError> {
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
    pub(super) fn sync(&mut self) -> Result<(), JournalError> {
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

impl Drop for Writer {
    fn drop(&mut self) {
        // Best effort: what must not be lost was recorded durably.
        let _ = self.flush();
    }
}

fn stream_error(source: io::Error) -> JournalError {
    JournalError::Write {
        action: "write to",
        path: PathBuf::from("the event stream"),
        source,
    }
}
