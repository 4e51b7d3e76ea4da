//! The journal against real files: crashes at every byte, rotation and its bound, failing disks.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use jiff::Timestamp;
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use sealift_core::digest::Digest;
use sealift_core::event::verify::{Report, Verifier};
use sealift_core::event::{
    Body, Cycle, Head, Intent, IntentId, MaskedUrl, Notice, PushResult, Record, RecordHash,
};
use sealift_core::reason::Reason;
use tempfile::TempDir;

use super::read::Lines;
use super::{Journal, JournalError, JournalLimits, OpenIntent, Program};
use crate::state::StateFolder;

const NOW: Timestamp = Timestamp::constant(1_800_000_000, 123_456_789);
const SMALL: JournalLimits = JournalLimits {
    segment_bytes_max: 4_000,
    bytes_max: 20_000,
};

/// An open journal and the lock that it stands under.
struct Opened {
    journal: Journal,
    open: Vec<OpenIntent>,
    _state: StateFolder,
}

/// In memory where the system has such a folder: these tests wait for the disk thousands of times.
fn world() -> TempDir {
    TempDir::new_in("/dev/shm")
        .or_else(|_| TempDir::new())
        .unwrap()
}

fn program() -> Program {
    Program {
        version: "0.1.0".to_owned(),
        configuration: Digest::of(b"configuration"),
    }
}

fn open_with(path: &Path, limits: JournalLimits) -> Opened {
    let state = StateFolder::open(path).unwrap();
    let mut rng = StdRng::from_os_rng();
    let (journal, open) = Journal::open(&state, limits, program(), NOW, &mut rng).unwrap();
    Opened {
        journal,
        open,
        _state: state,
    }
}

fn open(path: &Path) -> Opened {
    open_with(path, JournalLimits::default())
}

pub(super) fn intent(id: u64) -> Body {
    Body::Intent(Box::new(Intent {
        intent: IntentId::from_random(id),
        repository: MaskedUrl::new("https://user:token@git.example/shop.git"),
        branch: "main".to_owned(),
        expected: Some("0".repeat(40)),
        commits: vec!["1".repeat(40)],
        writes: Vec::new(),
        applications: vec!["argocd/shop".to_owned()],
    }))
}

fn cycle(applications: u64) -> Body {
    Body::Cycle(Cycle {
        applications,
        ..Cycle::default()
    })
}

fn records(path: &Path) -> Vec<Record> {
    let mut lines = Lines::all(&path.join("journal")).unwrap();
    let (mut records, mut line) = (Vec::new(), Vec::new());
    while lines.next_line(&mut line).unwrap().is_some() {
        records.push(Record::from_line(&line).unwrap());
    }
    records
}

fn kinds(path: &Path) -> Vec<&'static str> {
    records(path)
        .iter()
        .map(|record| record.body.kind())
        .collect()
}

fn notices(path: &Path) -> Vec<Notice> {
    let notice = |record: Record| match record.body {
        Body::Notice(notice) => Some(notice),
        _ => None,
    };
    records(path).into_iter().filter_map(notice).collect()
}

fn verify(path: &Path) -> Report {
    let mut lines = Lines::all(&path.join("journal")).unwrap();
    let (mut verifier, mut line) = (Verifier::new([]), Vec::new());
    while let Some(found) = lines.next_line(&mut line).unwrap() {
        verifier.line(found.place, found.terminated, &line);
    }
    verifier.finish()
}

fn assert_whole(path: &Path) {
    let report = verify(path);
    assert!(
        report.findings.is_empty() && report.torn.is_none(),
        "{report:?}"
    );
}

fn segments(path: &Path) -> BTreeMap<String, u64> {
    let entries = fs::read_dir(path.join("journal")).unwrap();
    entries
        .map(|entry| {
            let entry = entry.unwrap();
            (
                entry.file_name().into_string().unwrap(),
                entry.metadata().unwrap().len(),
            )
        })
        .collect()
}

fn first_segment(path: &Path) -> PathBuf {
    path.join("journal/00000001.jsonl")
}

fn open_ids(opened: &Opened) -> Vec<IntentId> {
    opened.open.iter().map(|open| open.intent.intent).collect()
}

#[test]
fn a_durable_record_is_in_the_file_and_a_buffered_one_follows_with_the_flush() {
    let world = world();
    let opened = open(world.path());
    opened.journal.record(&cycle(1), NOW).unwrap();
    assert_eq!(kinds(world.path()), ["started"]);
    opened.journal.record_durably(&intent(1), NOW).unwrap();
    assert_eq!(kinds(world.path()), ["started", "cycle", "intent"]);
    opened.journal.record(&cycle(2), NOW).unwrap();
    opened.journal.flush().unwrap();
    assert_eq!(kinds(world.path()), ["started", "cycle", "intent", "cycle"]);
    assert_whole(world.path());
}

#[test]
fn a_process_goes_on_where_the_one_before_it_ended() {
    let world = world();
    let first = open(world.path());
    let head = first.journal.record(&cycle(1), NOW).unwrap();
    assert_eq!(first.journal.head(), head);
    drop(first);
    let second = open(world.path());
    let next = second.journal.head();
    assert_eq!(next.sequence, head.sequence + 1);
    assert_eq!(next.chain.journal, head.chain.journal);
    assert_ne!(next.chain.process, head.chain.process);
    let last = records(world.path()).pop().unwrap();
    assert!(matches!(last.body, Body::Started(started) if started.predecessor == Some(head)));
    assert_whole(world.path());
}

#[test]
fn an_intent_is_open_until_its_outcome_however_many_starts_lie_between() {
    let world = world();
    let first = open(world.path());
    for id in [1, 2] {
        first.journal.record_durably(&intent(id), NOW).unwrap();
    }
    let [one, two] = [1, 2].map(IntentId::from_random);
    first
        .journal
        .settle(one, PushResult::Landed, None, None, NOW)
        .unwrap();
    drop(first);
    drop(open(world.path()));
    let third = open(world.path());
    assert_eq!(open_ids(&third), [two]);
    assert_eq!(third.open[0].place.sequence, 3);
    third
        .journal
        .settle(two, PushResult::Lost, Some(Reason::Lost.into()), None, NOW)
        .unwrap();
    assert!(third.journal.open_intents().is_empty());
    drop(third);
    assert_eq!(open_ids(&open(world.path())), []);
}

#[test]
fn a_crash_at_any_byte_of_the_last_writes_is_cut_said_and_continued() {
    let world = world();
    let first = open(world.path());
    first.journal.record_durably(&cycle(1), NOW).unwrap();
    let safe = segments(world.path())["00000001.jsonl"];
    first.journal.record(&intent(1), NOW).unwrap();
    first.journal.record_durably(&cycle(2), NOW).unwrap();
    drop(first);
    let whole = fs::read(first_segment(world.path())).unwrap();
    for end in usize::try_from(safe).unwrap()..=whole.len() {
        fs::write(first_segment(world.path()), &whole[..end]).unwrap();
        let second = open(world.path());
        second.journal.record_durably(&cycle(3), NOW).unwrap();
        drop(second);
        assert_whole(world.path());
        let torn = whole[end - 1] != b'\n';
        let said = notices(world.path());
        assert_eq!(said.len(), usize::from(torn), "cut at {end}: {said:?}");
        assert!(
            said.iter()
                .all(|notice| notice.cause.reason.known() == Some(Reason::JournalTorn))
        );
    }
}

#[test]
fn a_crash_at_any_byte_of_the_first_record_begins_a_new_journal() {
    let world = world();
    drop(open(world.path()));
    let whole = fs::read(first_segment(world.path())).unwrap();
    for end in 0..whole.len() {
        fs::write(first_segment(world.path()), &whole[..end]).unwrap();
        assert_eq!(
            open(world.path()).journal.head().sequence,
            if end == 0 { 1 } else { 2 }
        );
        assert_whole(world.path());
        fs::remove_file(first_segment(world.path())).unwrap();
    }
}

#[test]
fn a_crash_at_any_byte_of_a_rotation_loses_no_open_intent() {
    let world = world();
    let first = open_with(world.path(), SMALL);
    first.journal.record_durably(&intent(7), NOW).unwrap();
    while segments(world.path()).len() < 2 {
        first.journal.record_durably(&cycle(1), NOW).unwrap();
    }
    drop(first);
    let second_segment = world.path().join("journal/00000002.jsonl");
    let first_bytes = fs::read(first_segment(world.path())).unwrap();
    let whole = fs::read(&second_segment).unwrap();
    for end in 0..whole.len() {
        fs::write(first_segment(world.path()), &first_bytes).unwrap();
        fs::write(&second_segment, &whole[..end]).unwrap();
        let opened = open_with(world.path(), SMALL);
        assert_eq!(
            open_ids(&opened),
            [IntentId::from_random(7)],
            "cut at {end}"
        );
        opened.journal.record_durably(&cycle(2), NOW).unwrap();
        drop(opened);
        assert_whole(world.path());
    }
}

#[test]
fn segments_rotate_the_whole_is_bounded_and_each_deletion_is_recorded() {
    let world = world();
    let opened = open_with(world.path(), SMALL);
    for number in 0..500 {
        opened.journal.record_durably(&cycle(number), NOW).unwrap();
    }
    let segments = segments(world.path());
    let line_bytes_max = 1_000;
    assert!(segments.values().sum::<u64>() < SMALL.bytes_max + SMALL.segment_bytes_max);
    assert!(
        segments
            .values()
            .all(|&bytes| bytes < SMALL.segment_bytes_max + line_bytes_max)
    );
    assert!(!segments.contains_key("00000001.jsonl"));
    let report = verify(world.path());
    assert_eq!(report.findings, []);
    assert_eq!(report.first.unwrap().sequence, report.pruned_to + 1);
    assert_eq!(records(world.path())[0].body.kind(), "checkpoint");
    drop(opened);
    open_with(world.path(), SMALL);
    assert_whole(world.path());
}

#[test]
fn a_segment_with_an_open_intent_is_not_deleted_until_the_intent_is_settled() {
    let world = world();
    let opened = open_with(world.path(), SMALL);
    opened.journal.record_durably(&intent(9), NOW).unwrap();
    let fill = |journal: &Journal| {
        for number in 0..300 {
            journal.record(&cycle(number), NOW).unwrap();
        }
    };
    fill(&opened.journal);
    drop(opened);
    assert!(first_segment(world.path()).exists());
    let opened = open_with(world.path(), SMALL);
    assert_eq!(open_ids(&opened), [IntentId::from_random(9)]);
    let id = IntentId::from_random(9);
    opened
        .journal
        .settle(id, PushResult::Superseded, None, None, NOW)
        .unwrap();
    fill(&opened.journal);
    assert!(!first_segment(world.path()).exists());
    drop(opened);
    assert_whole(world.path());
}

#[test]
fn a_segment_that_was_deleted_by_hand_is_a_finding() {
    let world = world();
    let opened = open_with(world.path(), SMALL);
    for number in 0..200 {
        opened.journal.record(&cycle(number), NOW).unwrap();
    }
    drop(opened);
    let oldest = segments(world.path()).into_keys().next().unwrap();
    fs::remove_file(world.path().join("journal").join(oldest)).unwrap();
    assert_eq!(verify(world.path()).findings.len(), 1);
}

#[test]
fn damaged_lines_are_said_and_kept_and_do_not_stop_a_start() {
    let world = world();
    let first = open(world.path());
    first.journal.record_durably(&intent(1), NOW).unwrap();
    drop(first);
    let text = fs::read_to_string(first_segment(world.path())).unwrap();
    let damaged = text.replacen("{\"sequence\":1,", "\u{0}{\"sequence\":1,", 1);
    fs::write(first_segment(world.path()), damaged).unwrap();
    let second = open(world.path());
    assert_eq!(open_ids(&second), [IntentId::from_random(1)]);
    drop(second);
    let text = fs::read_to_string(first_segment(world.path())).unwrap();
    assert!(
        text.starts_with('\u{0}') && text.contains("\"reason\":\"journal-damaged\""),
        "{text}"
    );
    assert_eq!(verify(world.path()).findings.len(), 2);
}

#[test]
fn any_bytes_in_a_segment_are_survived() {
    let seed: u64 = rand::random();
    let mut rng = StdRng::seed_from_u64(seed);
    for _ in 0..60 {
        let world = world();
        let first = open(world.path());
        first.journal.record_durably(&intent(1), NOW).unwrap();
        drop(first);
        let mut bytes = fs::read(first_segment(world.path())).unwrap();
        for _ in 0..rng.random_range(1..4) {
            let at = rng.random_range(0..bytes.len());
            bytes[at] = rng.random();
        }
        fs::write(first_segment(world.path()), &bytes).unwrap();
        let second = open(world.path());
        let head = second.journal.record_durably(&cycle(1), NOW).unwrap();
        drop(second);
        let bytes = fs::read(first_segment(world.path())).unwrap();
        let last = bytes
            .strip_suffix(b"\n")
            .unwrap()
            .rsplit(|&byte| byte == b'\n')
            .next();
        assert_eq!(last.map(RecordHash::of), Some(head.hash), "seed {seed}");
        let _ = verify(world.path());
    }
}

#[test]
fn without_a_state_folder_the_same_lines_go_to_a_stream_at_once() {
    let stream = Stream::default();
    let mut rng = StdRng::seed_from_u64(1);
    let boxed = Box::new(stream.clone());
    let journal = Journal::to_stream(boxed, None, program(), NOW, &mut rng).unwrap();
    let head = journal.record(&cycle(1), NOW).unwrap();
    let text = String::from_utf8(stream.bytes.lock().unwrap().clone()).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 2);
    let record = Record::from_line(lines[1].as_bytes()).unwrap();
    assert_eq!(record.header.sequence, head.sequence);
}

#[test]
fn a_record_that_was_refused_leaves_the_chain_as_it_was_and_a_broken_stream_stays_refused() {
    let stream = Stream::default();
    let mut rng = StdRng::seed_from_u64(1);
    let boxed = Box::new(stream.clone());
    let journal = Journal::to_stream(boxed, None, program(), NOW, &mut rng).unwrap();
    let head = journal.head();
    *stream.full.lock().unwrap() = true;
    assert!(matches!(
        journal.record(&cycle(1), NOW),
        Err(JournalError::Write { .. })
    ));
    assert_eq!(journal.head(), head);
    *stream.full.lock().unwrap() = false;
    assert!(matches!(
        journal.record(&cycle(1), NOW),
        Err(JournalError::Broken)
    ));
}

#[test]
fn an_intent_that_fits_no_line_is_refused_and_the_journal_goes_on() {
    let world = world();
    let opened = open(world.path());
    let head = opened.journal.record_durably(&cycle(1), NOW).unwrap();
    let Body::Intent(mut huge) = intent(1) else {
        panic!("not an intent")
    };
    huge.applications = vec!["a".repeat(1024 * 1024); 17];
    let refused = opened.journal.record_durably(&Body::Intent(huge), NOW);
    assert!(matches!(refused, Err(JournalError::TooLarge { .. })));
    assert_eq!(opened.journal.head(), head);
    assert!(opened.journal.open_intents().is_empty());
    opened.journal.record_durably(&cycle(2), NOW).unwrap();
    drop(opened);
    assert_whole(world.path());
}

#[test]
fn records_of_many_threads_form_one_chain() {
    let world = world();
    let opened = open(world.path());
    std::thread::scope(|scope| {
        for thread in 0..4_u64 {
            let journal = &opened.journal;
            scope.spawn(move || {
                for number in 0..50 {
                    journal.record(&cycle(thread * 100 + number), NOW).unwrap();
                }
            });
        }
    });
    let head: Head = opened.journal.head();
    assert_eq!(head.sequence, 201);
    drop(opened);
    assert_whole(world.path());
}

/// A stream that can be full.
#[derive(Clone, Default)]
struct Stream {
    bytes: Arc<Mutex<Vec<u8>>>,
    full: Arc<Mutex<bool>>,
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if *self.full.lock().unwrap() {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.bytes.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
