//! A real second process writes the journal and is killed with SIGKILL: what it said was durable is
//! there, the lock is free again, and the chain is whole.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use jiff::Timestamp;
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use sealift_core::digest::Digest;
use sealift_core::event::verify::Verifier;
use sealift_core::event::{Body, Cycle, Head, PushResult};
use tempfile::TempDir;

use super::read::Lines;
use super::tests::intent;
use super::{Journal, JournalLimits, OpenIntent, Program};
use crate::state::{StateError, StateFolder};

const NOW: Timestamp = Timestamp::constant(1_800_000_000, 0);
const SMALL: JournalLimits = JournalLimits {
    segment_bytes_max: 30_000,
    bytes_max: 10_000_000,
};
/// Makes a process the second one, and tells it which folder to write.
const FOLDER: &str = "SEALIFT_TEST_JOURNAL";

fn open(path: &Path, seed: u64) -> (StateFolder, Journal, Vec<OpenIntent>) {
    let state = StateFolder::open(path).unwrap();
    let program = Program {
        version: "0.1.0".to_owned(),
        configuration: Digest::of(b""),
    };
    let mut rng = StdRng::seed_from_u64(seed);
    let (journal, open) = Journal::open(&state, SMALL, program, NOW, &mut rng).unwrap();
    (state, journal, open)
}

/// What the second process does: settles what is open, then writes until it is killed, and says
/// what is durable.
fn write_until_killed(path: &Path) -> ! {
    let (_state, journal, open) = open(path, rand::random());
    for open in open {
        journal
            .settle(open.intent.intent, PushResult::Lost, None, None, NOW)
            .unwrap();
    }
    let mut out = std::io::stderr().lock();
    loop {
        for applications in 0..20 {
            let cycle = Cycle {
                applications,
                ..Cycle::default()
            };
            journal.record(&Body::Cycle(cycle), NOW).unwrap();
        }
        let head = journal
            .record_durably(&intent(rand::random()), NOW)
            .unwrap();
        writeln!(out, "durable {head}").unwrap();
    }
}

/// Starts this program once more, where the test that it is told to run takes the other way.
fn start_writer(path: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "journal::killed::what_a_killed_process_said_was_durable_is_there_and_the_chain_is_whole",
            "--nocapture",
        ])
        .env(FOLDER, path)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Lets the writer say `lines` heads, kills it, and returns every head it said.
fn kill_after(mut child: Child, lines: usize) -> Vec<Head> {
    let stderr = BufReader::new(child.stderr.take().unwrap());
    let mut heads = Vec::new();
    for line in stderr.lines() {
        let line = line.unwrap();
        // The last line may be cut, too.
        heads.extend(
            line.strip_prefix("durable ")
                .and_then(|head| head.parse::<Head>().ok()),
        );
        if heads.len() == lines {
            child.kill().unwrap();
        }
    }
    child.wait().unwrap();
    heads
}

#[test]
fn what_a_killed_process_said_was_durable_is_there_and_the_chain_is_whole() {
    if let Some(path) = std::env::var_os(FOLDER) {
        write_until_killed(Path::new(&path));
    }
    let seed: u64 = rand::random();
    let mut rng = StdRng::seed_from_u64(seed);
    let world = TempDir::new().unwrap();
    let path = world.path().join("state");
    let mut said = Vec::new();
    for _ in 0..10 {
        said.extend(kill_after(start_writer(&path), rng.random_range(1..30)));
    }
    let (_state, _journal, open) = open(&path, seed);
    let last = said.last().map(|head| head.sequence);
    assert!(
        open.iter().any(|open| Some(open.place.sequence) == last),
        "seed {seed}"
    );
    let anchor = |&head: &Head| sealift_core::event::verify::Anchor {
        head,
        origin: "the writer".to_owned(),
    };
    let mut verifier = Verifier::new(said.iter().map(anchor));
    let (mut lines, mut line) = (Lines::all(&path.join("journal")).unwrap(), Vec::new());
    while let Some(found) = lines.next_line(&mut line).unwrap() {
        verifier.line(found.place, found.terminated, &line);
    }
    let report = verifier.finish();
    assert_eq!(report.findings, [], "seed {seed}");
    assert_eq!(report.anchors_held, said.len() as u64, "seed {seed}");
}

#[test]
fn a_second_process_is_refused_and_told_who_holds_the_folder() {
    let world = TempDir::new().unwrap();
    let path = world.path().join("state");
    let child = start_writer(&path);
    let pid = child.id();
    while !path.join("journal/00000001.jsonl").exists() {
        std::thread::yield_now();
    }
    let refused = StateFolder::open(&path);
    kill_after(child, 1);
    assert!(matches!(refused, Err(StateError::Locked { pid: Some(held), .. }) if held == pid));
    StateFolder::open(&path).unwrap();
}
