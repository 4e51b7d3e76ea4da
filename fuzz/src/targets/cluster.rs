//! Objects of the API server that are neither Applications nor policies, and what an operator
//! writes into a Deployment.

use jiff::Timestamp;
use sealift_core::environment::{Namespaces, go_bool, go_duration};
use sealift_core::image_updater::release;
use sealift_core::image_updater::status::{Cycle, ImageUpdaterStatus};
use sealift_core::limits::STATUS_ITEMS_MAX;
use sealift_core::manifest::SecretManifest;
use sealift_core::project::AppProject;
use sealift_core::repository_credentials::{find, from_secret};
use serde_json::Value;

use super::text;

/// A repository with a password, which no message may show.
const REPOSITORY: &str = "https://bot:hunter2@git.example.com/acme/shop.git";

/// What forbids wins over whatever else a project says, and no refusal shows a password.
pub(super) fn projects(bytes: &[u8]) {
    let Ok(value) = serde_json::from_slice::<Value>(bytes) else {
        return;
    };
    let Ok(mut project) = AppProject::from_value(value) else {
        return;
    };
    for namespace in ["argocd", "team", ""] {
        if let Err(refusal) = project.allows(REPOSITORY, namespace) {
            assert!(!refusal.to_string().contains("hunter2"), "{refusal}");
        }
    }
    project.spec.source_repos.push("!*".to_owned());
    for namespace in ["argocd", "team", ""] {
        assert!(project.allows(REPOSITORY, namespace).is_err());
    }
}

/// No message and no debugging output about a credential holds a value of its Secret. The input is
/// one Secret.
pub(super) fn repository_secrets(bytes: &[u8]) {
    let Ok(value) = serde_json::from_slice::<Value>(bytes) else {
        return;
    };
    let Ok(secret) = SecretManifest::from_value(value.clone()) else {
        return;
    };
    let mut said = String::new();
    for found in [
        find([&secret], REPOSITORY, "default"),
        from_secret(&secret, REPOSITORY),
        from_secret(&secret, "git@git.example.com:acme/shop.git"),
    ] {
        match found {
            Ok(access) => said.push_str(&format!("{access:?}")),
            Err(error) => said.push_str(&error.to_string()),
        }
    }
    let input = text(bytes);
    for field in ["password", "sshPrivateKey", "githubAppPrivateKey"] {
        let value = value["stringData"][field].as_str().unwrap_or_default();
        // A value that stands elsewhere, too, may be shown from there.
        if value.len() >= 8 && input.matches(value).count() == 1 {
            assert!(!said.contains(value), "{said}");
        }
    }
}

/// The patch takes one finalizer off, tests where it stands, and never touches an object that
/// nobody deletes; a status that anybody may have written becomes one that is bounded. The input is
/// one object.
pub(super) fn updater_statuses(bytes: &[u8]) {
    let Ok(object) = serde_json::from_slice::<Value>(bytes) else {
        return;
    };
    if let Some(patch) = release::patch(&object) {
        assert!(release::is_being_deleted(&object) && release::holds_finalizer(&object));
        let path = patch[2]["path"].as_str().unwrap();
        assert_eq!(patch[1]["path"], path);
        assert_eq!(object.pointer(path), Some(&Value::from(release::FINALIZER)));
        assert_eq!(patch[0]["value"], object["metadata"]["uid"]);
    }
    let status = object.get("status").cloned().unwrap_or_default();
    let Ok(status) = serde_json::from_value::<ImageUpdaterStatus>(status) else {
        return;
    };
    let now = Timestamp::from_second(1_780_000_000).unwrap();
    let after = status.clone().finished(&Cycle::default(), now);
    assert!(after.images.is_empty() && after.conditions.iter().any(|one| one.kind == "Ready"));
    assert!(!after.clone().is_due(&after, now));
    let looked_at = status.images.iter().map(|one| one.application.clone());
    let part = status
        .clone()
        .partly_finished(&Cycle::default(), &looked_at.collect(), now);
    assert!(part.images.is_empty());
    let kept =
        status
            .clone()
            .partly_finished(&Cycle::default(), &std::collections::BTreeSet::new(), now);
    assert!(kept.images.len() <= STATUS_ITEMS_MAX);
    assert_eq!(kept.recent_updates, status.recent_updates);
    let failed = status.failed(None, text(bytes).into_owned(), now);
    assert!(
        failed
            .conditions
            .iter()
            .any(|one| one.reason == "ReconcileFailed")
    );
}

/// No namespace is watched that has no name, and no text is taken for two.
pub(super) fn environment(bytes: &[u8]) {
    let text = text(bytes);
    let _no_panic = (go_duration(&text).is_ok(), go_bool(&text).is_ok());
    match Namespaces::parse(&text, "argocd") {
        Namespaces::All => assert!(text.contains('*')),
        Namespaces::Named(names) => {
            assert!(!names.is_empty());
            for name in names {
                assert!(!name.is_empty() && !name.contains(',') && name.trim() == name);
            }
        }
    }
}
