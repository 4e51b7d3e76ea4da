//! What is kept, what is not, and what an enemy may write there.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::event::{IntendedWrite, MaskedUrl};

const NOW: Timestamp = Timestamp::constant(1_800_000_000, 0);
const CHAIN: ChainId = ChainId {
    journal: 1,
    process: 2,
};

fn write(number: usize, path: &str) -> IntendedWrite {
    IntendedWrite {
        application: format!("argocd/app-{number}"),
        image: "registry.test/acme/shop".to_owned(),
        path: path.to_owned(),
        routes: vec!["image.tag".to_owned()],
        old: Some("1.8.2".to_owned()),
        new: "registry.test/acme/shop:1.9.0".to_owned(),
    }
}

fn intent(id: u64, writes: usize) -> Intent {
    let writes: Vec<_> = (0..writes)
        .map(|number| write(number, "values.yaml"))
        .collect();
    Intent {
        intent: IntentId::from_random(id),
        repository: MaskedUrl::new("https://git.test/gitops"),
        branch: "main".to_owned(),
        expected: Some("0".repeat(40)),
        commits: (0..writes.len()).map(|one| format!("{one:040x}")).collect(),
        applications: writes.iter().map(|one| one.application.clone()).collect(),
        writes,
    }
}

fn kept(id: u64, writes: usize) -> Kept {
    Kept::new(CHAIN, NOW, &intent(id, writes))
}

fn id(id: u64) -> IntentId {
    IntentId::from_random(id)
}

/// The ledger as the process that comes next reads it.
fn read_again(ledger: &Ledger) -> Ledger {
    let mut again = Ledger::default();
    again.read(ledger.texts().open.as_deref());
    again
}

#[test]
fn what_is_kept_is_read_by_the_next_process() {
    let mut ledger = Ledger::default();
    assert_eq!(
        (ledger.pending(), ledger.texts()),
        (Pending::Nothing, Texts::default())
    );
    ledger.add(kept(1, 2)).unwrap();
    assert_eq!(ledger.pending(), Pending::Adds);
    assert!(!ledger.holds(id(1)), "it is not written yet");
    assert_eq!(ledger.open().count(), 0, "what is not written was not sent");
    let text = ledger.texts().open;
    ledger.read(text.as_deref());
    assert!(ledger.holds(id(1)));
    assert_eq!(ledger.pending(), Pending::Nothing);
    let next = read_again(&ledger);
    let open: Vec<&Kept> = next.open().collect();
    assert_eq!(open, [&kept(1, 2)]);
    assert_eq!(open[0].intent.commits, intent(1, 2).commits[1..]);
    insta::assert_snapshot!(text.unwrap());
}

#[test]
fn what_ended_goes_with_the_next_write_and_is_open_no_more() {
    let mut ledger = Ledger::default();
    for number in 1..=2 {
        ledger.add(kept(number, 1)).unwrap();
    }
    let text = ledger.texts().open;
    ledger.read(text.as_deref());
    ledger.end(id(1));
    assert_eq!(ledger.pending(), Pending::Ends);
    assert_eq!(ledger.open().count(), 1);
    let next = read_again(&ledger);
    assert!(!next.holds(id(1)) && next.holds(id(2)));
    ledger.end(id(2));
    assert_eq!(ledger.texts().open, None);
}

#[test]
fn what_was_let_go_while_its_write_was_under_way_is_removed_again() {
    let mut ledger = Ledger::default();
    ledger.add(kept(1, 1)).unwrap();
    let under_way = ledger.texts().open;
    ledger.end(id(1));
    assert_eq!(ledger.pending(), Pending::Nothing);
    ledger.read(under_way.as_deref());
    assert_eq!(ledger.pending(), Pending::Ends);
    assert_eq!(ledger.open().count(), 0);
    assert_eq!(ledger.texts().open, None);
}

/// A write that was given up reaches the API server after the lease was read without it.
#[test]
fn a_late_write_brings_nothing_back_that_was_let_go() {
    let mut ledger = Ledger::default();
    ledger.add(kept(1, 1)).unwrap();
    let late = ledger.texts().open;
    ledger.end(id(1));
    ledger.read(None);
    ledger.read(late.as_deref());
    assert_eq!(ledger.open().count(), 0);
    assert_eq!(ledger.pending(), Pending::Ends, "it is removed again");
    assert_eq!(ledger.texts().open, None);
}

#[test]
fn what_was_let_go_is_remembered_within_bounds_and_as_long_as_it_is_held() {
    let mut ledger = Ledger::default();
    ledger.add(kept(1, 1)).unwrap();
    let text = ledger.texts().open;
    ledger.read(text.as_deref());
    ledger.end(id(1));
    for number in 2..3 * INTENTS_ENDED_MAX as u64 {
        ledger.end(id(number));
    }
    assert_eq!(ledger.ended.len(), INTENTS_ENDED_MAX);
    assert_eq!(ledger.open().count(), 0);
    assert_eq!(ledger.pending(), Pending::Ends);
}

#[test]
fn an_intent_over_thousands_of_applications_is_kept_in_part_and_says_so() {
    let large = kept(1, 5_000);
    assert!(size(&large) <= INTENT_KEPT_BYTES_MAX);
    assert!(!large.intent.writes.is_empty());
    assert_eq!(large.writes_left_out, 5_000 - large.intent.writes.len());
    assert_eq!(large.intent.applications.len(), large.intent.writes.len());
    assert_eq!(large.intent.commits, intent(1, 5_000).commits[4_999..]);
    let mut huge = intent(1, 1);
    huge.writes[0] = write(0, &"p".repeat(INTENT_KEPT_BYTES_MAX));
    let huge = Kept::new(CHAIN, NOW, &huge);
    assert_eq!((huge.intent.writes.len(), huge.writes_left_out), (0, 1));
    assert_eq!(huge.intent.applications, ["argocd/app-0"]);
    Ledger::default().add(huge).unwrap();
}

#[test]
fn a_full_ledger_takes_nothing_up_until_something_ended() {
    let mut ledger = Ledger::default();
    let mut count = 0;
    while ledger.add(kept(count, 5_000)).is_ok() {
        count += 1;
    }
    assert!(
        count >= 20,
        "repositories that are worked on at once: {count}"
    );
    assert_eq!(ledger.add(kept(count, 5_000)), Err(NotTaken::Full));
    let text = ledger.texts().open.unwrap();
    assert!(text.len() <= INTENTS_KEPT_BYTES_MAX);
    ledger.read(Some(&text));
    assert_eq!(ledger.open().count() as u64, count);
    ledger.end(id(0));
    ledger.add(kept(count, 5_000)).unwrap();
    let mut many = Ledger::default();
    for number in 0..INTENTS_KEPT_MAX as u64 {
        many.add(kept(number, 1)).unwrap();
    }
    assert_eq!(many.add(kept(9_999, 1)), Err(NotTaken::Full));
}

#[test]
fn an_intent_that_would_never_fit_is_refused() {
    let mut intent = intent(1, 1);
    intent.branch = "b".repeat(INTENT_KEPT_BYTES_MAX);
    let refused = Ledger::default().add(Kept::new(CHAIN, NOW, &intent));
    assert!(matches!(refused, Err(NotTaken::TooLarge { .. })));
}

#[test]
fn what_cannot_be_read_is_put_aside_and_said_once() {
    let huge = "[".repeat(INTENTS_KEPT_BYTES_MAX + 1);
    let deep = format!("{{\"version\":1,\"intents\":{}", "[".repeat(10_000));
    for (text, why, aside) in [
        ("no json", "expected", true),
        (
            "{\"version\":2,\"intents\":[]}",
            "version `2` is not known",
            true,
        ),
        (
            "{\"version\":{},\"intents\":[]}",
            "version `{}` is not known",
            true,
        ),
        ("{\"version\":1,\"intents\":[{}]}", "missing field", true),
        (deep.as_str(), "recursion limit", true),
        (huge.as_str(), "longer than what is written", false),
    ] {
        let mut ledger = Ledger::default();
        ledger.read(Some(text));
        let problems = ledger.take_problems();
        assert_eq!(problems.len(), 1, "{text:.40}");
        assert!(problems[0].contains(why), "{problems:?}");
        assert_eq!(ledger.pending(), Pending::Ends);
        let texts = ledger.texts();
        assert_eq!((texts.open, texts.unreadable.is_some()), (None, aside));
        ledger.read(Some(text));
        assert_eq!(ledger.take_problems(), [""; 0], "it was said");
        ledger.add(kept(1, 1)).unwrap();
        let text = ledger.texts().open;
        ledger.read(text.as_deref());
        assert_eq!(ledger.texts().unreadable, None, "it is put aside once");
    }
}

#[test]
fn what_the_api_server_refuses_is_not_asked_for_again() {
    let mut ledger = Ledger::default();
    ledger.read(Some("no json"));
    ledger.add(kept(1, 1)).unwrap();
    ledger.give_way();
    for _ in 0..2 {
        assert_eq!(ledger.pending(), Pending::Ends);
        assert_eq!(ledger.texts(), Texts::default());
        ledger.read(Some("no json"));
    }
    ledger.taken();
    ledger.read(Some("no json"));
    let aside = ledger.texts().unreadable;
    assert_eq!(aside.as_deref(), Some("no json"), "it may fit by now");
}

#[test]
fn a_damaged_intent_does_not_hide_the_others() {
    let good = serde_json::to_string(&kept(1, 1)).unwrap();
    let mut ledger = Ledger::default();
    ledger.read(Some(&format!("{{\"version\":1,\"intents\":[7,{good}]}}")));
    assert!(ledger.holds(id(1)));
    assert_eq!(ledger.take_problems().len(), 1);
}

#[test]
fn more_intents_than_are_ever_written_are_not_taken_over() {
    let all: Vec<String> = (0..INTENTS_KEPT_MAX as u64 + 5)
        .map(|number| serde_json::to_string(&kept(number, 1)).unwrap())
        .collect();
    let mut ledger = Ledger::default();
    ledger.read(Some(&format!(
        "{{\"version\":1,\"intents\":[{}]}}",
        all.join(",")
    )));
    assert_eq!(ledger.open().count(), INTENTS_KEPT_MAX);
    assert_eq!(ledger.take_problems().len(), 1);
}

#[test]
fn both_annotations_leave_room_for_those_of_others() {
    let keys = ANNOTATION.len() + UNREADABLE_ANNOTATION.len();
    let both = INTENTS_KEPT_BYTES_MAX + INTENTS_UNREADABLE_BYTES_MAX + keys;
    assert!(both + 16 * 1024 <= 262_144);
}

proptest! {
    /// Whatever the order of adding, ending and writing, the lease ends up with what is open.
    #[test]
    fn the_lease_ends_up_with_what_is_open(
        steps in proptest::collection::vec((0..3_u8, 0..6_u64), 0..60),
    ) {
        let (mut ledger, mut lease, mut open) = (Ledger::default(), None, BTreeSet::new());
        let mut used = BTreeSet::new();
        for (what, number) in steps {
            match what {
                0 if used.insert(number) => {
                    ledger.add(kept(number, 1)).unwrap();
                    open.insert(id(number));
                }
                1 if open.remove(&id(number)) => ledger.end(id(number)),
                2 => {
                    lease = ledger.texts().open;
                    ledger.read(lease.as_deref());
                }
                _ => {}
            }
        }
        if ledger.pending() != Pending::Nothing {
            lease = ledger.texts().open;
        }
        let mut next = Ledger::default();
        next.read(lease.as_deref());
        let held: BTreeSet<IntentId> = next.open().map(|kept| kept.intent.intent).collect();
        prop_assert_eq!(held, open);
    }
}
