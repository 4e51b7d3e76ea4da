//! The journal against real files: crashes at every byte, a second process, rotation and its bound.

use std::path::Path;

use jiff::Timestamp;
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use sealift_core::digest::Digest;
use sealift_core::event::{Body, Cycle, Intent, IntentId, MaskedUrl, Record};
use tempfile::TempDir;

use super::read::Lines;
use super::{Journal, JournalLimits, OpenIntent, Program};
use crate::state::StateFolder;

const NOW: Timestamp = Timestamp::constant(1_800_000_000, 123_456_789);

fn program() -> Program {
    Program {
        version: "0.1.0".to_owned(),
        configuration: Digest::of(b"configuration"),
    }
}

fn open_with(path: &Path, limits: JournalLimits) -> (StateFolder, Journal, Vec<OpenIntent>) {
    let state = StateFolder::open(path).unwrap();
    let mut rng = StdRng::from_os_rng();
    let (journal, open) = Journal::open(&state, limits, program(), NOW, &mut rng).unwrap();
    (state, journal, open)
}

fn open(path: &Path) -> (StateFolder, Journal, Vec<OpenIntent>) {
    open_with(path, JournalLimits::default())
}

fn intent(id: u64) -> Body {
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

#[test]
fn a_durable_record_is_in_the_file_and_a_buffered_one_follows_with_the_flush() {
    let world = TempDir::new().unwrap();
    let (_state, journal, _) = open(world.path());
    journal.record(&cycle(1), NOW).unwrap();
    assert_eq!(kinds(world.path()), ["started"]);
    journal.record_durably(&intent(1), NOW).unwrap();
    assert_eq!(kinds(world.path()), ["started", "cycle", "intent"]);
    journal.record(&cycle(2), NOW).unwrap();
    journal.flush().unwrap();
    assert_eq!(kinds(world.path()), ["started", "cycle", "intent", "cycle"]);
}
