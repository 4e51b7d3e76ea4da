//! The finalizer that Argo CD Image Updater leaves on every object.
//!
//! We add none: nothing has to happen before an object goes. But the API server keeps an object
//! that is being deleted for as long as a finalizer stands on it, so after the swap somebody has to
//! take the old one away. Kubernetes API concepts, "Finalizers"; RFC 6902.

use serde_json::{Value, json};

/// What Argo CD Image Updater adds when it sees an object first.
pub const FINALIZER: &str = "resources-finalizer.argocd-image-updater.argoproj.io";

/// Whether the object only waits for finalizers. Then it is followed no more.
#[must_use]
pub fn is_being_deleted(object: &Value) -> bool {
    let since = object.pointer("/metadata/deletionTimestamp");
    since.is_some_and(|since| !since.is_null())
}

/// Whether the old finalizer stands on the object.
#[must_use]
pub fn holds_finalizer(object: &Value) -> bool {
    place(object).is_some()
}

fn place(object: &Value) -> Option<usize> {
    let finalizers = object.pointer("/metadata/finalizers")?.as_array()?;
    finalizers.iter().position(|one| one == FINALIZER)
}

/// The patch that takes the old finalizer off an object that is being deleted, and touches nothing
/// else: it tests that this is still the object, and that the finalizer still stands at that place.
/// `None`: there is nothing to take off.
#[must_use]
pub fn patch(object: &Value) -> Option<Value> {
    if !is_being_deleted(object) {
        return None;
    }
    let uid = object.pointer("/metadata/uid")?.as_str()?;
    let place = place(object)?;
    let path = format!("/metadata/finalizers/{place}");
    Some(json!([
        { "op": "test", "path": "/metadata/uid", "value": uid },
        { "op": "test", "path": path, "value": FINALIZER },
        { "op": "remove", "path": path },
    ]))
}
