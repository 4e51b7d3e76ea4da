//! What a start finds in a journal: the last record, a torn line, and the intents without an
//! outcome.
//!
//! Here: reading back, as little as possible. Not here: settling intents (that takes Git). Only the
//! segments from the last one that opens with a checkpoint are read, and those that the checkpoint
//! says hold an open intent.

use std::collections::BTreeMap;
use std::fs::File;
use std::os::unix::fs::FileExt as _;

use jiff::Timestamp;
use sealift_core::event::verify::Place;
use sealift_core::event::{
    Body, Cause, Glance, Head, Intent, IntentId, Notice, OpenIntentPlace, Record, RecordHash,
};
use sealift_core::reason::Reason;

use super::JournalError;
use super::read::{LinePlace, Lines};
use super::segments::{self, Segments, read_error};

/// Bytes read at once while the end of the last whole line is looked for.
const CHUNK_BYTES: usize = 64 * 1024;

/// An intent without an outcome: its process ended between the two.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenIntent {
    /// What was about to be pushed.
    pub intent: Intent,
    /// When that was recorded.
    pub time: Timestamp,
    /// Where it stands.
    pub place: OpenIntentPlace,
    /// Whether the process that made it may still run: it holds no lock that we hold now.
    pub elsewhere: bool,
}

/// What was found.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// The last readable record.
    pub(super) head: Option<Head>,
    /// Oldest first.
    pub(super) open: Vec<OpenIntent>,
    /// What people should know.
    pub(super) notices: Vec<Notice>,
}

/// Cuts a torn last line and reads back what a start needs.
pub(super) fn recover(segments: &mut Segments) -> Result<Found, JournalError> {
    let mut found = Found::default();
    found.notices.extend(cut_torn_line(segments)?);
    let mut scan = Scan::default();
    for number in segments_to_scan(segments)? {
        scan.segment(segments, number)?;
    }
    found.head = scan.head;
    found.open = open_intents(segments, scan.open)?;
    found.notices.extend(scan.damaged.map(|place| {
        notice(
            Reason::JournalDamaged,
            place.to_string(),
            "this line is no record; it was left as it is",
        )
    }));
    Ok(found)
}

/// Removes what follows the last line feed. Segments that hold nothing else are deleted.
fn cut_torn_line(segments: &mut Segments) -> Result<Option<Notice>, JournalError> {
    let mut cut = None;
    while let Some(number) = segments.last_number() {
        let bytes = segments.current_bytes();
        let whole = whole_lines_bytes(segments, number)?;
        if whole == bytes && bytes > 0 {
            break;
        }
        segments.cut_last(whole)?;
        if bytes > whole {
            let detail = format!("cut {} bytes of an incomplete line", bytes - whole);
            cut = cut.or(Some(notice(
                Reason::JournalTorn,
                Place {
                    segment: number,
                    line: 0,
                }
                .file(),
                detail,
            )));
        }
    }
    Ok(cut)
}

/// The length of a segment up to and with its last line feed.
fn whole_lines_bytes(segments: &Segments, number: u32) -> Result<u64, JournalError> {
    let path = segments::path(segments.folder(), number);
    let file = File::open(&path).map_err(read_error("open", &path))?;
    let mut end = segments.current_bytes();
    let mut chunk = vec![0; CHUNK_BYTES];
    while end > 0 {
        let begin = end.saturating_sub(CHUNK_BYTES as u64);
        let length = usize::try_from(end - begin).unwrap_or(CHUNK_BYTES);
        let Some(part) = chunk.get_mut(..length) else {
            break;
        };
        file.read_exact_at(part, begin)
            .map_err(read_error("read", &path))?;
        if let Some(at) = part.iter().rposition(|&byte| byte == b'\n') {
            return Ok(begin + at as u64 + 1);
        }
        end = begin;
    }
    Ok(0)
}

/// The segments from the last one that opens with a checkpoint, oldest first.
fn segments_to_scan(segments: &Segments) -> Result<Vec<u32>, JournalError> {
    let mut numbers = Vec::new();
    let mut line = Vec::new();
    for number in segments.numbers().rev() {
        numbers.push(number);
        let first = Lines::of(segments.folder(), [number]).next_line(&mut line)?;
        let glance = first.and_then(|_| serde_json::from_slice::<Glance>(&line).ok());
        if glance.is_some_and(|glance| glance.kind == "checkpoint") {
            break;
        }
    }
    numbers.reverse();
    Ok(numbers)
}

/// What is known after some lines.
#[derive(Default)]
struct Scan {
    head: Option<Head>,
    open: BTreeMap<IntentId, Opened>,
    damaged: Option<Place>,
}

/// An intent whose outcome has not been seen.
enum Opened {
    /// Read already.
    Read(Box<OpenIntent>),
    /// In an older segment.
    Elsewhere(OpenIntentPlace),
}

impl Scan {
    fn segment(&mut self, segments: &Segments, number: u32) -> Result<(), JournalError> {
        let mut lines = Lines::of(segments.folder(), [number]);
        let mut line = Vec::new();
        while let Some(LinePlace { place, .. }) = lines.next_line(&mut line)? {
            if self.line(place, &line).is_none() {
                self.damaged = self.damaged.or(Some(place));
            }
        }
        Ok(())
    }

    /// Takes one line into account; `None` if it is no record.
    fn line(&mut self, place: Place, line: &[u8]) -> Option<()> {
        let glance: Glance = serde_json::from_slice(line).ok()?;
        let Glance {
            sequence,
            chain,
            kind,
            ..
        } = glance;
        self.head = Some(Head {
            chain,
            sequence,
            hash: RecordHash::of(line),
        });
        if !matches!(kind.as_str(), "intent" | "outcome" | "checkpoint") {
            return Some(());
        }
        let record = Record::from_line(line).ok()?;
        match record.body {
            Body::Intent(intent) => {
                let name = intent.intent;
                let place = OpenIntentPlace {
                    intent: name,
                    sequence,
                    segment: place.segment,
                };
                let open = OpenIntent {
                    intent: *intent,
                    time: record.header.time,
                    place,
                    elsewhere: false,
                };
                self.open.insert(name, Opened::Read(Box::new(open)));
            }
            Body::Outcome(outcome) => {
                self.open.remove(&outcome.intent);
            }
            Body::Checkpoint(checkpoint) => {
                for place in checkpoint.open_intents {
                    self.open
                        .entry(place.intent)
                        .or_insert(Opened::Elsewhere(place));
                }
            }
            _ => {}
        }
        Some(())
    }
}

/// Reads the intents that stand in older segments. One that cannot be found any more is dropped:
/// its segment is damaged, which a notice or `sealift events verify` says.
fn open_intents(
    segments: &Segments,
    opened: BTreeMap<IntentId, Opened>,
) -> Result<Vec<OpenIntent>, JournalError> {
    let mut open = Vec::with_capacity(opened.len());
    for opened in opened.into_values() {
        match opened {
            Opened::Read(intent) => open.push(*intent),
            Opened::Elsewhere(place) => open.extend(find_intent(segments, place)?),
        }
    }
    open.sort_by_key(|open| open.place.sequence);
    Ok(open)
}

fn find_intent(
    segments: &Segments,
    place: OpenIntentPlace,
) -> Result<Option<OpenIntent>, JournalError> {
    let mut lines = Lines::of(segments.folder(), [place.segment]);
    let mut line = Vec::new();
    while lines.next_line(&mut line)?.is_some() {
        let Ok(glance) = serde_json::from_slice::<Glance>(&line) else {
            continue;
        };
        if glance.sequence != place.sequence {
            continue;
        }
        if let Ok(Record {
            header,
            body: Body::Intent(intent),
        }) = Record::from_line(&line)
        {
            return Ok(Some(OpenIntent {
                intent: *intent,
                time: header.time,
                place,
                elsewhere: false,
            }));
        }
    }
    Ok(None)
}

fn notice(reason: Reason, subject: String, detail: impl Into<String>) -> Notice {
    Notice {
        cause: Cause::new(reason, detail),
        subject,
        application: None,
    }
}
