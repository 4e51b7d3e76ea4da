//! `sealift events` on journals that were really written.

use std::cell::Cell;
use std::fs;
use std::path::Path;

use clap::Parser;
use jiff::{SignedDuration, Timestamp};
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use sealift_core::digest::Digest;
use sealift_core::event::{
    Body, Candidate, Cause, Considered, Cycle, Decision, Image, Inputs, IntendedWrite, Intent,
    IntentId, MaskedUrl, PushResult, trailer,
};
use sealift_core::reason::Reason;
use tempfile::TempDir;

use super::{EventsArguments, TrailerInCommit, World, run};
use crate::exit::Exit;
use crate::journal::{Journal, JournalLimits, Program};
use crate::state::StateFolder;

const NOW: Timestamp = Timestamp::constant(1_800_000_000, 0);
const SMALL: JournalLimits = JournalLimits {
    segment_bytes_max: 4_000,
    bytes_max: 1_000_000,
};

#[derive(Parser)]
struct Command {
    #[command(flatten)]
    events: EventsArguments,
}

fn open(path: &Path) -> (StateFolder, Journal) {
    let state = StateFolder::open(path).unwrap();
    let program = Program {
        version: "0.1.0".to_owned(),
        configuration: Digest::of(b""),
    };
    let mut rng = StdRng::seed_from_u64(7);
    let (journal, _) = Journal::open(&state, SMALL, program, NOW, &mut rng).unwrap();
    (state, journal)
}

fn considered(application: &str, repository: &str, decision: Decision, why: Cause) -> Body {
    Body::Considered(Box::new(Considered {
        application: application.to_owned(),
        image: Image {
            alias: Some("web".to_owned()),
            written: repository.to_owned(),
            repository: repository.to_owned(),
        },
        strategy: "semver".to_owned(),
        constraint: None,
        inputs: Inputs {
            settings: [].into(),
            origin: None,
            catalog: None,
            wanted: Some("1.0.0".to_owned()),
            running: Vec::new(),
            now: NOW,
        },
        decision,
        candidate: Some(Candidate {
            tag: "1.1.0".to_owned(),
            digest: None,
        }),
        tags_dropped: [].into(),
        reasons: vec![why],
        reasons_omitted: 0,
        trust: None,
        slot: None,
    }))
}

fn intent() -> Body {
    Body::Intent(Box::new(Intent {
        intent: IntentId::from_random(5),
        repository: MaskedUrl::new("https://git.example/shop.git"),
        branch: "main".to_owned(),
        expected: Some("0".repeat(40)),
        commits: vec!["1".repeat(40)],
        writes: vec![IntendedWrite {
            application: "argocd/shop".to_owned(),
            image: "ghcr.io/acme/shop".to_owned(),
            path: "values.yaml".to_owned(),
            routes: vec!["image.tag".to_owned()],
            old: None,
            new: "1.1.0".to_owned(),
        }],
        applications: vec!["argocd/shop".to_owned()],
    }))
}

/// A short history of two Applications, a minute between records. Returns the trailer of the push.
fn history(path: &Path) -> String {
    let (_state, journal) = open(path);
    let hostile = Cause::new(Reason::Ignored, "tag `a\u{1b}[2J\u{202e}`");
    let won = Cause::new(Reason::Newest, "`1.1.0`");
    let anchor = journal.head();
    let bodies = [
        considered("argocd/shop", "ghcr.io/acme/shop", Decision::Updated, won),
        considered(
            "team/blog",
            "docker.io/library/nginx",
            Decision::Skipped,
            hostile,
        ),
        intent(),
    ];
    for (minute, body) in bodies.iter().enumerate() {
        let now = NOW + SignedDuration::from_mins(i64::try_from(minute).unwrap() + 1);
        journal.record_durably(body, now).unwrap();
    }
    let id = IntentId::from_random(5);
    let now = NOW + SignedDuration::from_mins(4);
    journal
        .settle(id, PushResult::Landed, None, Some("1".repeat(40)), now)
        .unwrap();
    trailer(&anchor)
}

/// Runs `events` an hour after [`NOW`], and returns what it printed without colour.
fn events_with(path: &Path, arguments: &[&str], trailers: &[&str]) -> (Exit, String) {
    let folder = path.to_str().unwrap();
    let all = [&["events"], arguments, &["--state-dir", folder]].concat();
    let arguments = Command::try_parse_from(all).unwrap().events;
    let mut out = Vec::new();
    let mut world = World {
        now: NOW + SignedDuration::from_hours(1),
        out: &mut out,
        stopped: &|| false,
        trailers: &mut |repository| {
            assert_eq!(repository, "https://git.example/shop.git");
            let found = |(index, trailer): (usize, &&str)| TrailerInCommit {
                commit: format!("{index:040}"),
                trailer: (*trailer).to_owned(),
            };
            Ok(trailers.iter().enumerate().map(found).collect())
        },
    };
    let exit = run(&arguments, &mut world).unwrap();
    let plain = anstream::adapter::strip_bytes(&out).into_vec();
    (
        exit,
        String::from_utf8(plain).unwrap().replace(folder, "STATE"),
    )
}

fn events(path: &Path, arguments: &[&str]) -> (Exit, String) {
    events_with(path, arguments, &[])
}

/// The numbers of the records that a list holds.
fn listed(path: &Path, arguments: &[&str]) -> Vec<u64> {
    let (_, text) = events(path, &[&["list", "--output", "json"], arguments].concat());
    let sequence = |line: &str| {
        serde_json::from_str::<serde_json::Value>(line).unwrap()["sequence"]
            .as_u64()
            .unwrap()
    };
    text.lines().map(sequence).collect()
}

#[test]
fn a_list_is_aligned_and_shows_no_control_character_of_a_tag() {
    let world = TempDir::new().unwrap();
    history(world.path());
    let (exit, text) = events(world.path(), &["list"]);
    assert_eq!(exit, Exit::Done);
    insta::assert_snapshot!(text);
}

#[test]
fn a_list_as_json_is_the_very_lines_of_the_journal() {
    let world = TempDir::new().unwrap();
    history(world.path());
    let (_, text) = events(world.path(), &["list", "-o", "json"]);
    assert_eq!(
        text,
        fs::read_to_string(world.path().join("journal/00000001.jsonl")).unwrap()
    );
}

#[test]
fn each_filter_keeps_what_it_names_and_drops_the_rest() {
    let world = TempDir::new().unwrap();
    history(world.path());
    let cases: &[(&[&str], &[u64])] = &[
        (&[], &[1, 2, 3, 4, 5]),
        (&["--application", "shop"], &[2, 4]),
        (&["--application", "team/blog"], &[3]),
        (&["--application", "argocd/blog"], &[]),
        (&["--image", "nginx"], &[3]),
        (&["--image", "acme/shop"], &[2, 4]),
        (&["--image", "hop"], &[]),
        (&["--image", "web"], &[2, 3]),
        (&["--reason", "ignored"], &[3]),
        (&["--reason", "ignored", "--reason", "newest"], &[2, 3]),
        (&["--kind", "intent", "--kind", "outcome"], &[4, 5]),
        (&["--decision", "updated"], &[2]),
        (&["--decision", "updated", "--image", "nginx"], &[]),
        (&["--since", "57m"], &[4, 5]),
        (
            &["--since", "1d", "--until", "2027-01-15T08:02:00Z"],
            &[1, 2],
        ),
        (&["--lines", "2"], &[4, 5]),
        (&["--lines", "1", "--kind", "considered"], &[3]),
    ];
    for (arguments, expected) in cases {
        assert_eq!(listed(world.path(), arguments), *expected, "{arguments:?}");
    }
}

#[test]
fn filters_that_name_nothing_are_refused() {
    for wrong in [
        &["--reason", "newst"],
        &["--kind", "intents"],
        &["--decision", "update"],
        &["--since", "yesterday"],
        &["--since", "-2h"],
        &["--since", "2 months"],
    ] {
        let all = [&["events", "list"], &wrong[..]].concat();
        assert!(Command::try_parse_from(all).is_err(), "{wrong:?}");
    }
}

#[test]
fn show_prints_everything_of_a_record_and_an_intent_with_its_outcome() {
    let world = TempDir::new().unwrap();
    history(world.path());
    let (exit, text) = events(world.path(), &["show", "i-0000000000000005"]);
    assert_eq!(exit, Exit::Done);
    insta::assert_snapshot!(text);
    let (exit, record) = events(world.path(), &["show", "3"]);
    assert_eq!(exit, Exit::Done);
    assert!(
        record.contains("detail: tag `a\\u{1b}[2J\\u{202e}`"),
        "{record}"
    );
    assert_eq!(
        events(world.path(), &["show", "99"]),
        (Exit::NothingSelected, String::new())
    );
}

#[test]
fn verify_says_what_was_checked_and_what_stands_behind_the_last_anchor() {
    let world = TempDir::new().unwrap();
    let trailer = history(world.path());
    let repo = ["verify", "--repo", "https://git.example/shop.git"];
    let (exit, text) = events_with(world.path(), &repo, &[&trailer, "Sealift-Journal: x"]);
    assert_eq!(exit, Exit::Done);
    insta::assert_snapshot!(text);
    let (exit, text) = events(world.path(), &["verify"]);
    assert_eq!(exit, Exit::Done);
    assert!(text.contains("`--repo` reads anchors"), "{text}");
}

#[test]
fn verify_names_the_altered_record_and_fails() {
    let world = TempDir::new().unwrap();
    history(world.path());
    let path = world.path().join("journal/00000001.jsonl");
    let altered = fs::read_to_string(&path)
        .unwrap()
        .replace("\"decision\":\"skipped\"", "\"decision\":\"refused\"");
    fs::write(&path, altered).unwrap();
    let (exit, text) = events(world.path(), &["verify"]);
    assert_eq!(exit, Exit::Failed);
    insta::assert_snapshot!(text);
    let (exit, text) = events(world.path(), &["verify", "-o", "json"]);
    assert_eq!(exit, Exit::Failed);
    let answer: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(answer["whole"], false);
    assert_eq!(answer["findings"][0]["place"], "00000001.jsonl:3");
}

#[test]
fn verify_finds_an_end_that_was_cut_behind_the_last_anchor() {
    let world = TempDir::new().unwrap();
    history(world.path());
    let (_state, journal) = open(world.path());
    let head = journal.head().to_string();
    drop(journal);
    let path = world.path().join("journal/00000001.jsonl");
    let text = fs::read_to_string(&path).unwrap();
    let cut: String = text.split_inclusive('\n').take(3).collect();
    fs::write(&path, cut).unwrap();
    assert_eq!(events(world.path(), &["verify"]).0, Exit::Done);
    let (exit, text) = events(world.path(), &["verify", "--anchor", &head]);
    assert_eq!(exit, Exit::Failed);
    assert!(
        text.contains("the journal ends at record 3, but `--anchor` anchors record 6"),
        "{text}"
    );
}

#[test]
fn follow_shows_new_records_across_rotation_and_restart_and_stops_when_asked() {
    let world = TempDir::new().unwrap();
    history(world.path());
    let folder = world.path().to_str().unwrap();
    let all = [
        "events",
        "follow",
        "-n",
        "1",
        "--output",
        "json",
        "--state-dir",
        folder,
    ];
    let arguments = Command::try_parse_from(all).unwrap().events;
    let mut out = Vec::new();
    let looks = Cell::new(0);
    // Between the looks the journal is opened anew and rotates.
    let stopped = || {
        looks.set(looks.get() + 1);
        let (_state, journal) = open(world.path());
        for applications in 0..20 {
            let cycle = Cycle {
                applications,
                ..Cycle::default()
            };
            journal.record(&Body::Cycle(cycle), NOW).unwrap();
        }
        looks.get() > 3
    };
    let trailers = &mut |_: &str| Ok(Vec::new());
    let mut around = World {
        now: NOW,
        out: &mut out,
        stopped: &stopped,
        trailers,
    };
    assert_eq!(run(&arguments, &mut around).unwrap(), Exit::Done);
    let followed = String::from_utf8(out).unwrap();
    let seen: Vec<u64> = followed
        .lines()
        .map(|line| {
            serde_json::from_str::<serde_json::Value>(line).unwrap()["sequence"]
                .as_u64()
                .unwrap()
        })
        .collect();
    let expected: Vec<u64> = (5..5 + seen.len() as u64).collect();
    assert_eq!(seen, expected);
    assert!(seen.len() > 60 && world.path().join("journal/00000003.jsonl").exists());
}
