//! From annotations to a reference and back: nothing changes its meaning, nothing is lost in
//! silence.

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{application, read};
use crate::image_updater::convert::{to_annotations, to_reference};
use crate::settings::{Settings, Written, annotations};

const PREFIX: &str = "argocd-image-updater.argoproj.io/";

fn annotated(pairs: &BTreeMap<String, String>) -> Settings {
    annotations::read("argocd/shop", pairs)
        .unwrap()
        .settings
        .unwrap()
}

fn keyed(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs
        .iter()
        .map(|(key, value)| (format!("{PREFIX}{key}"), (*value).to_owned()))
        .collect()
}

/// The settings that a reference gives, after a way through JSON, as an object is stored.
fn through_reference(settings: &Settings) -> Settings {
    let converted = to_reference("shop", settings);
    assert_eq!(converted.lost, []);
    let stored = serde_json::to_value(&converted.value).unwrap();
    let updater = read(json!({ "applicationRefs": [stored] }));
    assert_eq!(updater.notices, []);
    let manifest = application("shop", json!({}), json!({}));
    let rule = updater.rule_for(&manifest).unwrap();
    let mut notices = Vec::new();
    updater.settings(rule, &manifest, &mut notices).unwrap()
}

/// Values without the places they stand at. The default method may be written out.
fn values(settings: &Settings) -> Value {
    fn text<T: Clone + serde::Serialize>(written: &Option<Written<T>>) -> Value {
        json!(written.as_ref().map(|written| written.value.clone()))
    }
    let common = |common: &crate::settings::CommonSettings| {
        json!([
            text(&common.update_strategy),
            text(&common.force_update),
            text(&common.allow_tags),
            text(&common.ignore_tags),
            text(&common.pull_secret),
            text(&common.platforms),
        ])
    };
    let write_back = &settings.write_back;
    let method = write_back
        .method
        .as_ref()
        .map_or("argocd", |written| &written.value);
    let images = settings.images.iter().map(|image| {
        json!([
            image.alias,
            image.image.value,
            common(&image.common),
            text(&image.helm.name),
            text(&image.helm.tag),
            text(&image.helm.spec),
            text(&image.kustomize_name),
        ])
    });
    json!([
        common(&settings.common),
        method,
        text(&write_back.repository),
        text(&write_back.branch),
        text(&write_back.target),
        images.collect::<Vec<_>>(),
    ])
}

#[test]
fn an_image_without_alias_gets_one_of_its_own() {
    let settings = annotated(&keyed(&[(
        "image-list",
        "ghcr.io/acme/shop:1.x, shop=nginx, acme/shop, a b=redis, Ü=x",
    )]));
    let reference = to_reference("shop", &settings).value;
    let aliases: Vec<&str> = reference
        .images
        .iter()
        .map(|one| one.alias.as_str())
        .collect();
    assert_eq!(aliases, ["shop-2", "shop", "shop-3", "a-b", "image"]);
}

#[test]
fn what_annotations_cannot_say_is_named() {
    let updater = read(json!({
        "imagesVerification": { "cosignKey": { "secretName": "s", "key": "k" } },
        "writeBackConfig": { "method": "git", "gitConfig": { "pullRequest": { "github": {} } } },
        "commonUpdateSettings": { "platforms": ["linux/arm64"] },
        "applicationRefs": [{ "namePattern": "*", "images": [
            { "alias": "a", "imageName": "n:>=1, <2" },
            { "alias": "b", "imageName": "n", "commonUpdateSettings": {
                "ignoreTags": ["a,b"], "allowTags": "", "updateStrategy": "" },
              "manifestTargets": { "plugin": { "name": "N" } } },
        ] }],
    }));
    let manifest = application("shop", json!({}), json!({}));
    let rule = updater.rule_for(&manifest).unwrap();
    let settings = updater.settings(rule, &manifest, &mut Vec::new()).unwrap();
    let converted = to_annotations(&settings);
    let lost: Vec<&str> = converted.lost.iter().map(|one| one.path.as_str()).collect();
    let images = "spec.applicationRefs[0].images";
    assert_eq!(
        lost,
        [
            "spec.writeBackConfig.gitConfig.pullRequest".to_owned(),
            format!("{images}[0].imageName"),
            format!("{images}[1].commonUpdateSettings.ignoreTags"),
            format!("{images}[1].manifestTargets.plugin.name"),
            "spec.imagesVerification".to_owned(),
        ]
    );
    let expected = keyed(&[
        ("image-list", "b=n"),
        ("write-back-method", "git"),
        ("b.allow-tags", "any"),
        ("b.update-strategy", "semver"),
        ("b.platforms", "linux/arm64"),
    ]);
    assert_eq!(converted.value, expected);
}

fn common() -> impl Strategy<Value = Vec<(&'static str, String)>> {
    let setting = prop_oneof![
        "(semver|digest|newest-build|latest|odd)".prop_map(|value| ("update-strategy", value)),
        "(regexp:\\^v1\\.|any|\\^x)".prop_map(|value| ("allow-tags", value)),
        "[a-z*\\[]{0,4}(,[a-z*]{0,3}){0,2}".prop_map(|value| ("ignore-tags", value)),
        "(true|false)".prop_map(|value| ("force-update", value)),
        "(pullsecret:argocd/x|env:X)".prop_map(|value| ("pull-secret", value)),
    ];
    proptest::collection::vec(setting, 0..4)
}

fn image() -> impl Strategy<Value = Vec<(String, String)>> {
    let target = prop_oneof![
        Just(("helm.image-name", "a.b".to_owned())),
        Just(("helm.image-tag", "a.c".to_owned())),
        Just(("helm.image-spec", "a.d".to_owned())),
        Just(("platforms", "linux/arm64,linux/amd64/v2".to_owned())),
    ];
    let targets = proptest::collection::vec(target, 0..3);
    (
        "[a-z][a-z0-9._-]{0,3}",
        "[a-z./]{1,8}(:[~^]?[0-9.x]{1,4})?",
        common(),
        targets,
    )
        .prop_map(|(alias, image, common, targets)| {
            let own = common.into_iter().chain(targets);
            let own = own.map(|(key, value)| (format!("{alias}.{key}"), value));
            std::iter::once((alias.clone(), image)).chain(own).collect()
        })
}

fn write_back() -> impl Strategy<Value = Vec<(&'static str, String)>> {
    let setting = prop_oneof![
        "(argocd|git|git:secret:x)".prop_map(|value| ("write-back-method", value)),
        "(main|main:x|:y)".prop_map(|value| ("git-branch", value)),
        "https://[a-z]{1,3}/r".prop_map(|value| ("git-repository", value)),
        "(helmvalues|kustomization:/x|a/b)".prop_map(|value| ("write-back-target", value)),
    ];
    proptest::collection::vec(setting, 0..4)
}

proptest! {
    #[test]
    fn annotations_survive_the_way_to_an_image_updater_and_back(
        images in proptest::collection::vec(image(), 1..4),
        common in common(),
        write_back in write_back(),
    ) {
        let mut list = Vec::new();
        let mut pairs = BTreeMap::new();
        for image in images {
            let (alias, name) = image[0].clone();
            let fresh = list.iter().all(|item: &String| !item.starts_with(&format!("{alias}=")));
            if fresh {
                list.push(format!("{alias}={name}"));
                pairs.extend(image.into_iter().skip(1));
            }
        }
        let whole = common.into_iter().chain(write_back);
        pairs.extend(whole.map(|(key, value)| (key.to_owned(), value)));
        pairs.insert("image-list".to_owned(), list.join(","));
        let pairs = pairs.into_iter().map(|(key, value)| (format!("{PREFIX}{key}"), value));
        let settings = annotated(&pairs.collect());
        let claimed = through_reference(&settings);
        prop_assert_eq!(values(&claimed), values(&settings));
        let back = to_annotations(&claimed);
        prop_assert_eq!(&back.lost, &[]);
        prop_assert_eq!(values(&annotated(&back.value)), values(&settings));
    }
}
