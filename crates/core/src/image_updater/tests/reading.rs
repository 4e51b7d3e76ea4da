//! What is refused, where, and that nothing else suffers.

use serde_json::{Value, json};

use super::{object, read, rejected};
use crate::image_updater::{ImageUpdater, concerns};
use crate::limits::{APPLICATION_REFS_MAX, IMAGE_UPDATER_BYTES_MAX, OBJECT_ERRORS_MAX};
use crate::reason::Reason;

fn image(alias: &str) -> Value {
    json!({ "alias": alias, "imageName": "nginx" })
}

/// One reference with `more` in it.
fn with(more: Value) -> Value {
    let mut reference = json!({ "namePattern": "*", "images": [image("web")] });
    for (key, value) in more.as_object().unwrap() {
        reference[key] = value.clone();
    }
    json!({ "applicationRefs": [reference] })
}

fn first(spec: Value) -> (String, String) {
    let bad = rejected(spec);
    let error = &bad.errors[0];
    assert_eq!(error.reason, Reason::ImageUpdaterInvalid);
    assert!(!error.hint.is_empty());
    (error.field.clone(), error.message.clone())
}

/// One reference with one image that is written to this target.
fn target(target: Value) -> Value {
    with(json!({ "images": [{ "alias": "a", "imageName": "n", "manifestTargets": target }] }))
}

/// One reference that asks for this pull request.
fn request(request: Value) -> Value {
    with(json!({ "writeBackConfig": { "method": "git", "gitConfig": { "pullRequest": request } } }))
}

/// Each spec is refused for the field, which stands below the first reference.
fn refused(cases: impl IntoIterator<Item = (Value, &'static str)>) {
    for (spec, field) in cases {
        let field = format!("spec.applicationRefs[0]{field}");
        assert_eq!(first(spec.clone()).0, field, "{spec}");
    }
}

#[test]
fn a_reference_that_an_api_server_refuses_is_refused_with_its_field() {
    let long = "x".repeat(5_000);
    refused([
        (
            json!({ "applicationRefs": [{ "images": [image("a")] }] }),
            ".namePattern",
        ),
        (with(json!({ "namePattern": 1 })), ".namePattern"),
        (with(json!({ "namePattern": "[" })), ".namePattern"),
        (with(json!({ "namePattern": long })), ".namePattern"),
        (with(json!({ "images": [] })), ""),
        (with(json!({ "images": null })), ""),
        (with(json!({ "images": [image("-a")] })), ".images[0].alias"),
        (
            with(json!({ "images": [image("a/b")] })),
            ".images[0].alias",
        ),
        (
            with(json!({ "images": [image("a"), image("a")] })),
            ".images[1].alias",
        ),
        (
            with(json!({ "images": [{ "alias": "a" }] })),
            ".images[0].imageName",
        ),
        (with(json!({ "useAnnotations": "yes" })), ".useAnnotations"),
        (
            with(json!({ "labelSelectors": { "matchLabels": { "a": true } } })),
            ".labelSelectors.matchLabels[\"a\"]",
        ),
    ]);
    let twice = with(json!({}))["applicationRefs"][0].clone();
    for (references, field) in [
        (json!(null), "spec.applicationRefs"),
        (json!([]), "spec.applicationRefs"),
        (json!([twice, twice]), "spec.applicationRefs[1].namePattern"),
    ] {
        assert_eq!(first(json!({ "applicationRefs": references })).0, field);
    }
}

#[test]
fn settings_that_an_api_server_refuses_are_refused_with_their_field() {
    let common = |settings: Value| with(json!({ "commonUpdateSettings": settings }));
    let verification = |block: Value| with(json!({ "imagesVerification": block }));
    refused([
        (
            with(json!({ "writeBackConfig": { "method": "ftp" } })),
            ".writeBackConfig.method",
        ),
        (
            common(json!({ "ignoreTags": "latest" })),
            ".commonUpdateSettings.ignoreTags",
        ),
        (
            common(json!({ "platforms": [1] })),
            ".commonUpdateSettings.platforms[0]",
        ),
        (verification(json!({})), ".imagesVerification"),
        (
            verification(json!({ "enabled": true })),
            ".imagesVerification",
        ),
        (
            verification(json!({ "cosignKey": { "key": "k" } })),
            ".imagesVerification.cosignKey.secretName",
        ),
    ]);
}

#[test]
fn targets_and_requests_that_an_api_server_refuses_are_refused_with_their_field() {
    const TARGETS: &str = ".images[0].manifestTargets";
    const REQUEST: &str = ".writeBackConfig.gitConfig.pullRequest";
    const LABEL: &str = ".writeBackConfig.gitConfig.pullRequest.labels[0]";
    let label = "x".repeat(256);
    refused([
        (target(json!({})), TARGETS),
        (
            target(json!({ "helm": {}, "kustomize": { "name": "n" } })),
            TARGETS,
        ),
        (
            target(json!({ "kustomize": {} })),
            ".images[0].manifestTargets.kustomize.name",
        ),
        (
            target(json!({ "plugin": { "tag": "T" } })),
            ".images[0].manifestTargets.plugin",
        ),
        (
            target(json!({ "plugin": { "name": "" } })),
            ".images[0].manifestTargets.plugin.name",
        ),
        (request(json!({})), REQUEST),
        (request(json!({ "github": {}, "gitlab": {} })), REQUEST),
        (request(json!({ "github": {}, "labels": [""] })), LABEL),
        (request(json!({ "github": {}, "labels": [label] })), LABEL),
    ]);
}

#[test]
fn the_twin_of_each_refusal_is_taken() {
    read(with(json!({ "useAnnotations": true, "images": null })));
    read(with(json!({ "images": [image("a"), image("a.b-c_D")] })));
    read(with(json!({ "imagesVerification": { "enabled": false } })));
    read(with(
        json!({ "imagesVerification": { "cosignKey": { "secretName": "s", "key": "k" } } }),
    ));
    read(with(
        json!({ "writeBackConfig": { "method": "git:secret:ns/name" } }),
    ));
    let labels = vec!["x".repeat(255); 100];
    read(with(
        json!({ "writeBackConfig": { "gitConfig": { "pullRequest": { "gitlab": {}, "labels": labels } } } }),
    ));
}

#[test]
fn what_an_api_server_prunes_is_ignored_with_a_remark() {
    let updater = read(json!({
        "namespace": "argocd",
        "applicationRefs": [{ "namePattern": "*", "images": [
            { "alias": "a", "imageName": "n", "commonUpdateSettings": { "alowTags": "any" } },
        ] }],
    }));
    let details: Vec<&str> = updater
        .notices
        .iter()
        .map(|one| one.detail.as_str())
        .collect();
    assert_eq!(
        details,
        [
            "spec.namespace: there is no such field, and it was ignored",
            "spec.applicationRefs[0].images[0].commonUpdateSettings.alowTags: there is no such \
             field, and it was ignored; did you mean `allowTags`?",
        ]
    );
    assert!(
        updater
            .notices
            .iter()
            .all(|one| one.reason == Reason::UnknownSetting)
    );
}

#[test]
fn defaults_are_filled_in_on_every_level() {
    let key = json!({ "cosignKey": { "secretName": "s", "key": "k" } });
    let updater = read(json!({
        "imagesVerification": key,
        "applicationRefs": [{ "namePattern": "*", "imagesVerification": key, "images": [
            { "alias": "a", "imageName": "n", "imagesVerification": key },
        ] }],
    }));
    let reference = &updater.rules[0].reference;
    let levels = [
        &updater.verification,
        &reference.images_verification,
        &reference.images[0].images_verification,
    ];
    for level in levels {
        assert_eq!(level.as_ref().unwrap().enabled, Some(true));
    }
    assert!(!reference.use_annotations);
}

#[test]
fn identity_version_and_size_are_checked() {
    let good = object("all", with(json!({})));
    assert!(concerns(&good));
    let mut other = good.clone();
    other["apiVersion"] = "argocd-image-updater.argoproj.io/v1".into();
    assert!(
        concerns(&other),
        "another version is one of ours, and refused"
    );
    let bad = ImageUpdater::read(&other, "argocd").unwrap_err();
    assert_eq!(bad.errors[0].field, "apiVersion");
    assert!(bad.detail().contains("v1alpha1"), "{}", bad.detail());
    let mut nameless = good.clone();
    nameless["metadata"] = json!({ "name": "a/b" });
    let bad = ImageUpdater::read(&nameless, "team").unwrap_err();
    assert_eq!(
        (bad.errors[0].field.as_str(), bad.id.namespace.as_str()),
        ("metadata.name", "team")
    );
    let huge = "x".repeat(IMAGE_UPDATER_BYTES_MAX);
    assert_eq!(first(with(json!({ "namePattern": huge }))).0, "spec");
    let many: Vec<Value> = (0..=APPLICATION_REFS_MAX)
        .map(|index| json!({ "namePattern": format!("a{index}"), "useAnnotations": true }))
        .collect();
    assert_eq!(
        first(json!({ "applicationRefs": many })).0,
        "spec.applicationRefs"
    );
    for spec in [
        json!(null),
        json!([]),
        json!("x"),
        json!({ "applicationRefs": {} }),
    ] {
        assert!(ImageUpdater::read(&object("all", spec), "argocd").is_err());
    }
    assert!(ImageUpdater::read(&json!([1]), "argocd").is_err());
}

#[test]
fn errors_are_bounded_and_values_shortened() {
    let many: Vec<Value> = (0..1_000).map(|_| json!({ "namePattern": 1 })).collect();
    let bad = rejected(json!({ "applicationRefs": many }));
    assert_eq!(bad.errors.len(), OBJECT_ERRORS_MAX);
    let long = "-".repeat(10_000);
    let bad = rejected(with(json!({ "images": [image(&long)] })));
    assert!(bad.detail().len() < 600, "{}", bad.detail());
}

#[test]
fn our_own_annotations_are_strict() {
    let mut object = object("all", with(json!({})));
    let mut read_with = |annotations: Value| {
        object["metadata"]["annotations"] = annotations;
        ImageUpdater::read(&object, "argocd")
    };
    assert!(read_with(json!({ "sealift.dev/web.allow-downgrade": "true", "other": "x" })).is_ok());
    for bad in [
        "alow-downgrade",
        "none.allow-downgrade",
        "web.allow-downgrade",
    ] {
        let refused = read_with(json!({ format!("sealift.dev/{bad}"): "yes" })).unwrap_err();
        let field = format!("metadata.annotations[\"sealift.dev/{bad}\"]");
        assert_eq!(refused.errors[0].field, field);
    }
}
