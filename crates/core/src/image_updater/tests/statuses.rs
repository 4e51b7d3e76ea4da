//! What is said on an object after a cycle.

use std::collections::BTreeSet;

use jiff::Timestamp;

use crate::event::{Candidate, Cause, Considered, Decision, Image, Inputs};
use crate::image_updater::status::{Cycle, ImageOutcome, ImageUpdaterStatus};
use crate::limits::{STATUS_ITEMS_MAX, STATUS_REFRESH_SECS};
use crate::reason::Reason;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_780_000_000 + seconds).unwrap()
}

fn outcome(application: &str, decision: Decision, reason: Reason) -> ImageOutcome {
    let image = Image {
        alias: Some("web".to_owned()),
        written: "ghcr.io/acme/shop".to_owned(),
        repository: "ghcr.io/acme/shop".to_owned(),
    };
    outcome_of(image, application, decision, reason)
}

fn outcome_of(image: Image, application: &str, decision: Decision, reason: Reason) -> ImageOutcome {
    let considered = Considered {
        application: format!("argocd/{application}"),
        image,
        strategy: "semver".to_owned(),
        constraint: None,
        inputs: Inputs {
            settings: std::collections::BTreeMap::new(),
            origin: None,
            catalog: None,
            wanted: Some("ghcr.io/acme/shop:1.8.2".to_owned()),
            running: Vec::new(),
            now: at(0),
        },
        decision,
        candidate: Some(Candidate {
            tag: "1.9.0".to_owned(),
            digest: None,
        }),
        tags_dropped: std::collections::BTreeMap::new(),
        reasons: vec![Cause::new(reason, "")],
        reasons_omitted: 0,
        trust: None,
        slot: None,
    };
    ImageOutcome::of(&considered, reason == Reason::ListingIncomplete)
}

fn cycle(images: Vec<ImageOutcome>) -> Cycle {
    Cycle {
        generation: Some(3),
        applications: images.len(),
        images,
        ..Cycle::default()
    }
}

fn condition<'a>(
    status: &'a ImageUpdaterStatus,
    kind: &str,
) -> Option<(&'a str, &'a str, &'a str)> {
    let one = status.conditions.iter().find(|one| one.kind == kind)?;
    Some((&one.status, &one.reason, &one.message))
}

#[test]
fn a_cycle_is_counted_and_concluded() {
    let images = vec![
        outcome("a", Decision::UpToDate, Reason::UpToDate),
        outcome("b", Decision::Updated, Reason::Newest),
        outcome("c", Decision::Refused, Reason::Downgrade),
        outcome("d", Decision::Refused, Reason::ListingIncomplete),
        outcome("e", Decision::Failed, Reason::GitUnreachable),
        outcome("f", Decision::Updated, Reason::Newest),
    ];
    let status = ImageUpdaterStatus::default()
        .started(Some(3), at(0))
        .finished(
            &Cycle {
                problems: 1,
                ..cycle(images)
            },
            at(5),
        );
    assert_eq!(
        (
            status.observed_generation,
            status.applications_matched,
            status.images_managed
        ),
        (Some(3), 6, 6)
    );
    assert_eq!(
        condition(&status, "Error"),
        Some((
            "True",
            "PartialErrors",
            "3 error(s) occurred during image update checks."
        ))
    );
    assert_eq!(
        condition(&status, "Ready"),
        Some((
            "True",
            "ReconcileCompletedWithErrors",
            "Reconciled 6 applications with 3 errors, 2 images updated."
        ))
    );
    let [update] = status.recent_updates.as_slice() else {
        panic!("{status:?}")
    };
    assert_eq!(
        (update.applications_updated, &*update.image),
        (2, "ghcr.io/acme/shop")
    );
    assert_eq!(update.message, "Updated from 1.8.2 to 1.9.0.");
    let order: Vec<&str> = status
        .images
        .iter()
        .map(|one| one.application.as_str())
        .collect();
    assert_eq!(
        order,
        ["d", "e", "c", "a", "b", "f"],
        "what needs a look comes first"
    );
    let first = &status.images[0];
    assert_eq!(
        [
            &first.alias,
            &first.current,
            &first.candidate,
            &first.decision,
            &first.reason
        ],
        ["web", "1.8.2", "1.9.0", "refused", "listing-incomplete"]
    );
}

#[test]
fn times_change_only_with_what_they_are_about() {
    let images = || vec![outcome("a", Decision::UpToDate, Reason::UpToDate)];
    let first = ImageUpdaterStatus::default().finished(&cycle(images()), at(0));
    let second = first
        .clone()
        .started(Some(3), at(60))
        .finished(&cycle(images()), at(61));
    assert_eq!(first.images, second.images);
    let since = |status: &ImageUpdaterStatus, kind: &str| {
        let one = status
            .conditions
            .iter()
            .find(|one| one.kind == kind)
            .unwrap();
        one.last_transition_time.clone()
    };
    assert_eq!(since(&first, "Ready"), since(&second, "Ready"));
    assert_ne!(since(&first, "Reconciling"), since(&second, "Reconciling"));
    assert_eq!(second.last_updated_at, None);
    let changed = vec![outcome("a", Decision::Refused, Reason::Downgrade)];
    let third = second.clone().finished(&cycle(changed), at(120));
    assert_ne!(third.images[0].since, second.images[0].since);
    let failed = Cycle {
        failure: Some("spec: bad".to_owned()),
        ..cycle(Vec::new())
    };
    let fourth = third.finished(&failed, at(180));
    assert_eq!(
        condition(&fourth, "Ready"),
        Some((
            "False",
            "ReconcileFailed",
            "Reconciliation failed: spec: bad"
        ))
    );
    assert_eq!(
        condition(&fourth, "Error"),
        Some(("True", "ReconcileError", "spec: bad"))
    );
    assert_ne!(since(&fourth, "Ready"), since(&second, "Ready"));
}

#[test]
fn an_update_stays_in_sight_until_the_next_one() {
    let updated = vec![outcome("a", Decision::Updated, Reason::Newest)];
    let first = ImageUpdaterStatus::default().finished(&cycle(updated), at(0));
    let quiet = vec![outcome("a", Decision::UpToDate, Reason::UpToDate)];
    let second = first.clone().finished(&cycle(quiet), at(60));
    assert_eq!(first.recent_updates, second.recent_updates);
    assert_eq!(first.last_updated_at, second.last_updated_at);
}

#[test]
fn a_contest_is_a_condition_while_it_lasts() {
    let contested = Cycle {
        contested: Some("x".to_owned()),
        ..cycle(Vec::new())
    };
    let status = ImageUpdaterStatus::default().finished(&contested, at(0));
    assert_eq!(
        condition(&status, "Contested"),
        Some(("True", "SeveralImageUpdaters", "x"))
    );
    let status = status.finished(&cycle(Vec::new()), at(1));
    assert_eq!(condition(&status, "Contested"), None);
}

#[test]
fn the_list_is_bounded_and_refusals_are_never_cut_for_others() {
    let mut images: Vec<_> = (0..500)
        .map(|index| outcome(&format!("a{index}"), Decision::UpToDate, Reason::UpToDate))
        .collect();
    images.push(outcome("z", Decision::Refused, Reason::Downgrade));
    let status = ImageUpdaterStatus::default().finished(&cycle(images), at(0));
    assert_eq!(status.images.len(), STATUS_ITEMS_MAX);
    assert_eq!(
        (status.images[0].application.as_str(), status.images_managed),
        ("z", 501)
    );
    let text = serde_json::to_string(&status).unwrap();
    assert_eq!(
        serde_json::from_str::<ImageUpdaterStatus>(&text).unwrap(),
        status
    );
}

#[test]
fn images_without_an_alias_are_told_apart_and_keep_their_times() {
    let images = || {
        let one = |name: &str| {
            let image = Image {
                alias: None,
                written: name.to_owned(),
                repository: name.to_owned(),
            };
            outcome_of(image, "a", Decision::Updated, Reason::Newest)
        };
        vec![one("nginx"), one("redis")]
    };
    let first = ImageUpdaterStatus::default().finished(&cycle(images()), at(0));
    let names: Vec<&str> = first.images.iter().map(|one| one.alias.as_str()).collect();
    assert_eq!(names, ["nginx", "redis"]);
    assert_eq!(first.recent_updates[0].alias, "", "it has none");
    let second = first.clone().finished(&cycle(images()), at(60));
    assert_eq!(first.images, second.images);
}

#[test]
fn a_start_is_written_only_where_the_end_will_be() {
    let fresh = ImageUpdaterStatus::default().finished(&cycle(Vec::new()), at(0));
    assert!(ImageUpdaterStatus::default().start_is_due(Some(3), at(0)));
    assert!(!fresh.start_is_due(Some(3), at(STATUS_REFRESH_SECS - 1)));
    assert!(fresh.start_is_due(Some(3), at(STATUS_REFRESH_SECS)));
    assert!(fresh.start_is_due(Some(4), at(1)), "it was edited");
    let started = fresh.clone().started(Some(3), at(90));
    assert_eq!(
        condition(&started, "Reconciling"),
        Some(("True", "Reconciling", "Image update check in progress."))
    );
    assert_eq!(condition(&started, "Ready"), condition(&fresh, "Ready"));
    let ended = started.clone().finished(&cycle(Vec::new()), at(91));
    assert!(ended.is_due(&started, at(91)));
    assert_eq!(
        condition(&ended, "Reconciling"),
        Some((
            "False",
            "Idle",
            "Last check completed. Awaiting next cycle."
        ))
    );
}

#[test]
fn a_clock_that_jumps_makes_a_status_due_and_never_silent() {
    let quiet = || cycle(vec![outcome("a", Decision::UpToDate, Reason::UpToDate)]);
    let first = ImageUpdaterStatus::default().finished(&quiet(), at(0));
    for jump in [-1, -86_400, STATUS_REFRESH_SECS, 86_400 * 365] {
        let now = at(jump);
        let after = first.clone().finished(&quiet(), now);
        assert!(after.is_due(&first, now), "{jump}");
        assert_eq!(after.images, first.images, "since when is not made up");
        // From there on it is as quiet as before.
        let next = after.clone().finished(&quiet(), at(jump + 1));
        assert!(!next.is_due(&after, at(jump + 1)), "{jump}");
    }
}

#[test]
fn a_cycle_on_some_applications_shows_their_update_and_leaves_the_numbers() {
    let whole = vec![
        outcome("a", Decision::UpToDate, Reason::UpToDate),
        outcome("b", Decision::UpToDate, Reason::UpToDate),
        outcome("c", Decision::UpToDate, Reason::UpToDate),
    ];
    let first = ImageUpdaterStatus::default().finished(&cycle(whole), at(0));
    let part = Cycle {
        generation: Some(3),
        images: vec![outcome("b", Decision::Updated, Reason::Newest)],
        ..Cycle::default()
    };
    let looked_at: BTreeSet<String> = ["b", "c"].map(str::to_owned).into();
    let second = first.clone().partly_finished(&part, &looked_at, at(5));
    assert_eq!(
        (
            second.applications_matched,
            second.images_managed,
            &second.last_checked_at,
            &second.conditions
        ),
        (3, 3, &first.last_checked_at, &first.conditions)
    );
    assert_ne!(second.last_updated_at, first.last_updated_at);
    assert_eq!(second.recent_updates.len(), 1);
    let shown: Vec<(&str, &str)> = second
        .images
        .iter()
        .map(|one| (one.application.as_str(), one.decision.as_str()))
        .collect();
    assert_eq!(
        shown,
        [("a", "up-to-date"), ("b", "updated")],
        "`c` was looked at and has no image any more"
    );
    let quiet = Cycle {
        images: vec![outcome("b", Decision::Updated, Reason::Newest)],
        ..Cycle::default()
    };
    let elsewhere = second
        .clone()
        .partly_finished(&Cycle::default(), &BTreeSet::new(), at(9));
    assert_eq!(elsewhere, second, "nothing of it was looked at");
    let third = second.clone().partly_finished(&quiet, &looked_at, at(9));
    assert_eq!(third.images, second.images);
}

#[test]
fn a_cycle_that_came_to_no_end_says_so_and_forgets_nothing() {
    let images = vec![outcome("a", Decision::Updated, Reason::Newest)];
    let first = ImageUpdaterStatus::default().finished(&cycle(images), at(0));
    let failed = first.clone().started(Some(3), at(100)).failed(
        Some(3),
        "no Applications".to_owned(),
        at(101),
    );
    assert_eq!(
        condition(&failed, "Ready"),
        Some((
            "False",
            "ReconcileFailed",
            "Reconciliation failed: no Applications"
        ))
    );
    assert_eq!(
        condition(&failed, "Error"),
        Some(("True", "ReconcileError", "no Applications"))
    );
    assert_eq!(condition(&failed, "Reconciling").unwrap().0, "False");
    assert_eq!(
        (
            failed.applications_matched,
            &failed.images,
            &failed.recent_updates
        ),
        (1, &first.images, &first.recent_updates)
    );
    let again = failed
        .clone()
        .failed(Some(3), "no Applications".to_owned(), at(110));
    assert!(!again.is_due(&failed, at(110)), "once is enough");
}
