//! ImageUpdaters as users write them: what the schema says of them, whom they select, and what they
//! mean.

mod contract;
mod conversion;
mod meaning;
mod reading;
mod release;
mod selection;
mod statuses;

use serde_json::{Value, json};

use super::{API_VERSION, ImageUpdater, Rejected};
use crate::application::{Context, Parsed, parse_claimed};
use crate::image_updater::Roster;
use crate::manifest::ApplicationManifest;
use crate::platform::Platform;

/// An object `argocd/NAME` with this spec.
fn object(name: &str, spec: Value) -> Value {
    json!({
        "apiVersion": API_VERSION,
        "kind": "ImageUpdater",
        "metadata": { "name": name, "namespace": "argocd" },
        "spec": spec,
    })
}

fn read(spec: Value) -> ImageUpdater {
    ImageUpdater::read(&object("all", spec), "argocd").unwrap_or_else(|bad| panic!("{bad:?}"))
}

fn rejected(spec: Value) -> Rejected {
    *ImageUpdater::read(&object("all", spec), "argocd").unwrap_err()
}

/// An Application `argocd/NAME` of Helm values at `https://git.example/r.git`.
fn application(name: &str, labels: Value, annotations: Value) -> ApplicationManifest {
    ApplicationManifest::from_value(json!({
        "metadata": { "name": name, "namespace": "argocd", "labels": labels, "annotations": annotations },
        "spec": { "project": "p", "source": {
            "repoURL": "https://git.example/r.git", "path": "apps/shop", "targetRevision": "main",
            "helm": {} } },
        "status": { "sourceType": "Helm", "summary": { "images": ["nginx:1.0"] } },
    }))
    .unwrap()
}

fn context() -> Context {
    Context {
        argocd_namespace: "argocd".to_owned(),
        own_platform: Platform::parse("linux/amd64"),
    }
}

/// What the object says of an Application that it must select.
fn parsed(updater: ImageUpdater, manifest: &ApplicationManifest) -> Parsed {
    let roster = Roster::new([updater]);
    let claim = roster.claim(manifest).unwrap();
    parse_claimed(manifest, &claim, &context())
}
