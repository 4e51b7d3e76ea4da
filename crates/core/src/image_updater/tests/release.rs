//! How the finalizer of Argo CD Image Updater is taken off.

use serde_json::{Value, json};

use crate::image_updater::release::{FINALIZER, holds_finalizer, is_being_deleted, patch};

fn object(deleted: bool, finalizers: Value) -> Value {
    let mut object = json!({ "metadata": { "name": "all", "uid": "u", "finalizers": finalizers } });
    if deleted {
        object["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
    }
    object
}

#[test]
fn only_the_old_finalizer_goes_and_only_where_it_was_seen() {
    let two = json!(["example.com/other", FINALIZER, "example.com/more"]);
    assert_eq!(
        patch(&object(true, two)),
        Some(json!([
            { "op": "test", "path": "/metadata/uid", "value": "u" },
            { "op": "test", "path": "/metadata/finalizers/1", "value": FINALIZER },
            { "op": "remove", "path": "/metadata/finalizers/1" },
        ]))
    );
}

#[test]
fn an_object_that_nobody_deletes_keeps_everything() {
    let held = object(false, json!([FINALIZER]));
    assert_eq!((patch(&held), holds_finalizer(&held)), (None, true));
    assert!(!is_being_deleted(&held));
    let null = json!({ "metadata": { "uid": "u", "deletionTimestamp": null,
                                     "finalizers": [FINALIZER] } });
    assert_eq!(patch(&null), None);
}

#[test]
fn finalizers_of_others_are_theirs() {
    let longer = format!("{FINALIZER}/x");
    for finalizers in [
        json!(["example.com/other"]),
        json!([longer]),
        json!([]),
        json!(null),
        json!("text"),
        json!([1]),
    ] {
        let held = object(true, finalizers);
        assert_eq!(patch(&held), None, "{held}");
        assert!(is_being_deleted(&held));
    }
}
