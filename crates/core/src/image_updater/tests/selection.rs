//! Whom an object selects, and which of its references decides.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{application, object, read};
use crate::image_updater::{Claimed, ImageUpdater, Rejected, Roster};
use crate::reason::Reason;

fn reference(pattern: &str, selector: Option<Value>) -> Value {
    let mut reference =
        json!({ "namePattern": pattern, "images": [{ "alias": "a", "imageName": "n" }] });
    if let Some(selector) = selector {
        reference["labelSelectors"] = selector;
    }
    reference
}

/// The pattern of the reference that decides about `name` with these labels.
fn decides(references: &[Value], name: &str, labels: Value) -> Option<String> {
    let updater = read(json!({ "applicationRefs": references }));
    let rule = updater.rule_for(&application(name, labels, json!({})))?;
    Some(rule.reference.name_pattern.clone())
}

#[test]
fn the_most_specific_reference_decides() {
    let web = json!({ "matchLabels": { "team": "web" } });
    let references = [
        reference("*", None),
        reference("app-*", None),
        reference("app-?", None),
        reference("app-prod-*", None),
        reference("app-1", None),
        reference("[a-z]*", Some(web)),
    ];
    let none = json!({});
    let labelled = json!({ "team": "web" });
    for (name, labels, pattern) in [
        ("other", &none, "*"),
        ("app-prod-eu", &none, "app-prod-*"),
        ("app-1", &labelled, "app-1"),
        ("app-2", &none, "app-*"),
        ("app-2", &labelled, "[a-z]*"),
    ] {
        assert_eq!(
            decides(&references, name, labels.clone()).as_deref(),
            Some(pattern),
            "{name}"
        );
    }
    assert_eq!(decides(&references[3..5], "other", none), None);
}

#[test]
fn label_selectors_select_as_kubernetes_does() {
    let expression = |operator: &str, values: Value| json!({ "matchExpressions": [{ "key": "team", "operator": operator, "values": values }] });
    let labels = [json!({}), json!({ "team": "web" }), json!({ "team": "db" })];
    for (selector, selects) in [
        (json!({}), [true, true, true]),
        (
            json!({ "matchLabels": { "team": "web" } }),
            [false, true, false],
        ),
        (expression("In", json!(["web", "x"])), [false, true, false]),
        (expression("NotIn", json!(["web"])), [true, false, true]),
        (expression("Exists", json!([])), [false, true, true]),
        (
            expression("DoesNotExist", json!(null)),
            [true, false, false],
        ),
    ] {
        let references = [reference("*", Some(selector.clone()))];
        let got = labels
            .clone()
            .map(|labels| decides(&references, "app", labels).is_some());
        assert_eq!(got, selects, "{selector}");
    }
}

#[test]
fn a_selector_that_is_invalid_selects_nothing_and_says_so() {
    for (key, operator, values) in [
        ("team", "in", json!(["web"])),
        ("team", "In", json!([])),
        ("team", "Exists", json!(["web"])),
        ("-team", "Exists", json!([])),
        ("UPPER/team", "Exists", json!([])),
        ("a/b/c", "Exists", json!([])),
        ("team", "In", json!(["-"])),
        ("team", "NotIn", json!(["x".repeat(64)])),
    ] {
        let selector =
            json!({ "matchExpressions": [{ "key": key, "operator": operator, "values": values }] });
        let updater = read(json!({ "applicationRefs": [reference("*", Some(selector.clone()))] }));
        assert!(
            updater
                .rule_for(&application("app", json!({}), json!({})))
                .is_none(),
            "{selector}"
        );
        assert_eq!(
            updater.notices[0].reason,
            Reason::SettingInvalid,
            "{selector}"
        );
    }
}

#[test]
fn an_object_selects_in_its_own_namespace_alone() {
    let roster = Roster::new([read(json!({ "applicationRefs": [reference("*", None)] }))]);
    let mut manifest = application("app", json!({}), json!({}));
    assert!(roster.claim(&manifest).is_some());
    manifest.metadata.namespace = "other".to_owned();
    assert!(roster.claim(&manifest).is_none());
}

#[test]
fn annotations_are_asked_for_only_where_there_are_some() {
    let references = json!([
        { "namePattern": "app", "useAnnotations": true },
        { "namePattern": "*", "images": [{ "alias": "a", "imageName": "n" }] },
    ]);
    let updater = read(json!({ "applicationRefs": references }));
    let position = |annotations: Value| {
        let manifest = application("app", json!({}), annotations);
        updater.rule_for(&manifest).map(|rule| rule.position)
    };
    assert_eq!(position(json!({})), Some(1));
    assert_eq!(
        position(json!({ "argocd-image-updater.argoproj.io/image-list": "nginx" })),
        Some(0)
    );
}

#[test]
fn of_two_objects_the_older_follows_an_application() {
    let dated = |name: &str, created: Option<&str>| {
        let mut object = object(name, json!({ "applicationRefs": [reference("*", None)] }));
        object["metadata"]["creationTimestamp"] = created.into();
        ImageUpdater::read(&object, "argocd").unwrap()
    };
    let (early, late) = ("2026-01-01T00:00:00Z", "2026-02-01T00:00:00Z");
    for (objects, order) in [
        (
            vec![dated("a", Some(late)), dated("b", Some(early))],
            ["b", "a"],
        ),
        (
            vec![dated("b", Some(early)), dated("a", Some(early))],
            ["a", "b"],
        ),
        (vec![dated("a", None), dated("b", Some(late))], ["b", "a"]),
        (vec![dated("b", None), dated("a", None)], ["a", "b"]),
    ] {
        let roster = Roster::new(objects);
        let manifest = application("app", json!({}), json!({}));
        let claim = roster.claim(&manifest).unwrap();
        assert_eq!([&*claim.updater.id.name, &*claim.others[0].id.name], order);
        assert_eq!(claim.others.len(), 1);
    }
}

/// An object of this age that cannot be used, whatever it selects.
fn broken(name: &str, created: &str, references: Value) -> Result<ImageUpdater, Box<Rejected>> {
    let mut object = object(name, json!({ "applicationRefs": references }));
    object["metadata"]["creationTimestamp"] = created.into();
    object["spec"]["writeBackConfig"] = json!({ "method": "ftp" });
    let read = ImageUpdater::read(&object, "argocd");
    assert!(read.is_err());
    read
}

/// An object of this age that selects everything.
fn good(name: &str, created: &str) -> Result<ImageUpdater, Box<Rejected>> {
    let mut object = object(name, json!({ "applicationRefs": [reference("*", None)] }));
    object["metadata"]["creationTimestamp"] = created.into();
    ImageUpdater::read(&object, "argocd")
}

/// `NAME` of who follows an Application `app`, or `!NAME` of who holds it.
fn whose(roster: &Roster, labels: Value) -> Option<String> {
    let manifest = application("app", labels, json!({}));
    Some(match roster.claimed(&manifest)? {
        Claimed::By(claim) => claim.updater.id.name.clone(),
        Claimed::Held(hold) => format!("!{}", hold.by.id.name),
    })
}

const EARLY: &str = "2026-01-01T00:00:00Z";
const LATE: &str = "2026-02-01T00:00:00Z";

#[test]
fn an_older_object_that_cannot_be_used_keeps_what_it_selects_from_younger_ones() {
    for (references, held) in [
        (json!([reference("app", None)]), true),
        (json!([reference("ap*", None), reference("[", None)]), true),
        (json!([reference("other", None)]), false),
        (
            json!([{ "namePattern": "app", "useAnnotations": true }]),
            false,
        ),
        // What nobody can read stops nobody.
        (json!([reference("[", None)]), false),
        (json!([{ "namePattern": 1 }]), false),
        (json!("app"), false),
        (
            json!([{ "namePattern": "app", "labelSelectors": "tier=web" }]),
            true,
        ),
        (
            json!([{ "namePattern": "app", "images": [{ "alias": "!", "imageName": 1 }] }]),
            true,
        ),
    ] {
        let roster = Roster::of_read([good("b", LATE), broken("a", EARLY, references.clone())]);
        let expected = if held { "!a" } else { "b" };
        assert_eq!(
            whose(&roster, json!({})).as_deref(),
            Some(expected),
            "{references}"
        );
        let younger = Roster::of_read([good("b", EARLY), broken("a", LATE, references.clone())]);
        assert_eq!(
            whose(&younger, json!({})).as_deref(),
            Some("b"),
            "{references}"
        );
    }
    let labelled = json!([reference(
        "app",
        Some(json!({ "matchLabels": { "tier": "web" } }))
    )]);
    let roster = Roster::of_read([good("b", LATE), broken("a", EARLY, labelled)]);
    assert_eq!(
        whose(&roster, json!({ "tier": "web" })).as_deref(),
        Some("!a")
    );
    assert_eq!(
        whose(&roster, json!({ "tier": "db" })).as_deref(),
        Some("b")
    );
    assert_eq!(roster.iter().count(), 1, "only one can be used");
}

#[test]
fn who_holds_an_application_is_named_beside_those_who_would_follow_it() {
    let references = json!([reference("*", None)]);
    let roster = Roster::of_read([good("b", LATE), broken("a", EARLY, references)]);
    let manifest = application("app", json!({}), json!({}));
    let Some(Claimed::Held(hold)) = roster.claimed(&manifest) else {
        panic!("it is held")
    };
    assert_eq!((hold.others.len(), &*hold.others[0].id.name), (1, "b"));
    assert!(roster.claim(&manifest).is_none());
}

proptest! {
    #[test]
    fn at_most_one_object_follows_and_no_label_makes_a_wildcard_beat_a_name(
        patterns in proptest::collection::btree_set("[ab*?]{0,3}", 1..6),
        name in "[ab]{1,3}",
    ) {
        let references: Vec<Value> = patterns.iter().map(|one| reference(one, None)).collect();
        let decided = decides(&references, &name, json!({}));
        if patterns.contains(&name) {
            prop_assert_eq!(decided, Some(name));
        }
    }
}
