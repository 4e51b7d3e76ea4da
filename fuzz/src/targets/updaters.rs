//! ImageUpdaters: whoever may write one in a namespace must reach nothing outside of it.

use std::sync::LazyLock;

use sealift::objects::files::{Named, Reader};
use sealift_core::application::{Context, parse_claimed};
use sealift_core::credential::CredentialSource;
use sealift_core::image_updater::convert::{to_annotations, to_reference};
use sealift_core::image_updater::{Claimed, ImageUpdater, Roster};
use sealift_core::limits::OBJECT_ERRORS_MAX;
use sealift_core::manifest::ApplicationManifest;
use sealift_core::platform::Platform;
use sealift_core::settings::{GitCredentialSource, Method};
use serde_json::json;

/// Applications that an object may select.
static APPLICATIONS: LazyLock<Vec<ApplicationManifest>> = LazyLock::new(|| {
    let names = ["shop", "app-1", "x"];
    names.into_iter().map(application).collect()
});

fn application(name: &str) -> ApplicationManifest {
    let manifest = json!({
        "metadata": { "name": name, "namespace": "team", "labels": { "team": "web" },
            "annotations": { "argocd-image-updater.argoproj.io/image-list": "a=nginx:1.x" } },
        "spec": { "project": "default", "source": {
            "repoURL": "https://git.example.com/shop.git", "path": "apps/shop",
            "targetRevision": "main", "helm": {} } },
        "status": { "sourceType": "Helm", "summary": { "images": ["nginx:1.25"] } },
    });
    ApplicationManifest::from_value(manifest).unwrap()
}

/// What is refused says why, and holds what it selects in its own namespace alone; what is read
/// selects its own namespace, reads no Secret of another one, stays in the repository, and makes a
/// push of no pull request.
pub(super) fn image_updaters(bytes: &[u8]) {
    let mut reader = Reader::new("team");
    reader.read_documents("fuzz.yaml", bytes, Named::ByFolder);
    let objects = reader.finish();
    let listed = objects.listed_updaters().iter();
    let values = listed.filter_map(|one| one.object.as_ref());
    let mut read = Vec::new();
    for value in values {
        let one = ImageUpdater::read(value, "team");
        if let Err(bad) = &one {
            assert!(!bad.errors.is_empty() && bad.errors.len() <= OBJECT_ERRORS_MAX);
            assert!(!bad.detail().is_empty());
        }
        read.push(one);
    }
    let roster = Roster::of_read(read);
    for manifest in APPLICATIONS.iter() {
        follow(&roster, manifest);
    }
}

fn follow(roster: &Roster, manifest: &ApplicationManifest) {
    let claim = match roster.claimed(manifest) {
        None => return,
        Some(Claimed::Held(hold)) => {
            assert!(hold.by.selection.selects(manifest));
            assert_eq!(hold.by.id.namespace, "team");
            assert!(roster.claim(manifest).is_none());
            return;
        }
        Some(Claimed::By(claim)) => claim,
    };
    assert_eq!(claim.updater.id.namespace, "team");
    let context = Context {
        argocd_namespace: "argocd".to_owned(),
        own_platform: Platform::parse("linux/amd64"),
    };
    let settings = claim
        .updater
        .settings(claim.rule, manifest, &mut Vec::new());
    if let Ok(settings) = &settings {
        let _says_what_is_lost = to_annotations(settings);
        let _has_valid_aliases = to_reference("shop", settings);
    }
    let Ok(application) = parse_claimed(manifest, &claim, &context).application else {
        return;
    };
    let asks = settings.is_ok_and(|settings| settings.write_back.pull_request.is_some());
    assert!(!asks || application.method == Method::ArgoCd);
    if let Method::Git(GitCredentialSource::Secret { namespace, .. }) = &application.method {
        assert!(
            namespace
                .as_ref()
                .is_none_or(|namespace| namespace == "team")
        );
    }
    for path in &application.target.candidates {
        let climbs = |part: &str| matches!(part, "" | "." | "..");
        assert!(!path.components().any(climbs), "{path:?}");
    }
    for image in &application.images {
        match &image.pull_secret {
            None => {}
            Some(
                CredentialSource::SecretField { namespace, .. }
                | CredentialSource::PullSecret { namespace, .. },
            ) => assert_eq!(namespace, "team"),
            Some(other) => panic!("an ImageUpdater may not use {other:?}"),
        }
    }
}
