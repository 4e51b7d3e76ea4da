//! What an Application is followed by, and that it is the same as by annotations.

use serde_json::{Value, json};

use super::{application, context, object, parsed, read};
use crate::application::{Application, ApplicationId, SettingsOrigin, parse_annotated};
use crate::image_updater::{ImageUpdater, ImageUpdaterId};
use crate::manifest::ApplicationManifest;
use crate::reason::Reason;
use crate::settings::own::CommitPer;
use crate::settings::{GitCredentialSource, Method};
use crate::strategy::Strategy;

const PREFIX: &str = "argocd-image-updater.argoproj.io";

fn followed(spec: Value) -> Application {
    parsed(read(spec), &application("shop", json!({}), json!({})))
        .application
        .unwrap()
}

fn reason(spec: Value) -> Reason {
    let parsed = parsed(read(spec), &application("shop", json!({}), json!({})));
    parsed.application.unwrap_err().reason()
}

/// The fields that the pipeline works with.
fn essence(application: &Application) -> String {
    let Application {
        id: ApplicationId { namespace, name },
        origin: _,
        project,
        labels,
        method,
        chosen,
        source_path,
        source_images,
        repository,
        base_branch,
        branch,
        target,
        manifest: _,
        running,
        images,
        broken_images,
        commit_per,
        interval,
        written,
    } = application;
    format!(
        "{namespace} {name} {project} {labels:?} {method:?} {chosen:?} {source_path} \
         {source_images:?} {repository} {base_branch:?} {branch:?} {target:?} {running:?} \
         {images:?} {broken_images:?} {commit_per:?} {interval:?} {written:?}"
    )
}

/// An Application that says everything by annotations.
fn annotated() -> ApplicationManifest {
    let prefix = PREFIX;
    application(
        "shop",
        json!({}),
        json!({
            format!("{prefix}/image-list"): "web=nginx:~1.0,db=redis:7.x",
            format!("{prefix}/write-back-method"): "git:secret:argocd/creds",
            format!("{prefix}/git-branch"): "release:{{.SHA256}}",
            format!("{prefix}/git-repository"): "https://git.example/other.git",
            format!("{prefix}/write-back-target"): "helmvalues:values.yaml",
            format!("{prefix}/update-strategy"): "semver",
            format!("{prefix}/ignore-tags"): "latest,*-rc*",
            format!("{prefix}/web.allow-tags"): "regexp:^1",
            format!("{prefix}/web.update-strategy"): "newest-build",
            format!("{prefix}/web.force-update"): "true",
            format!("{prefix}/web.pull-secret"): "pullsecret:argocd/hub",
            format!("{prefix}/web.platforms"): "linux/arm64,linux/amd64",
            format!("{prefix}/web.helm.image-name"): "image.name",
            format!("{prefix}/web.helm.image-tag"): "image.tag",
            format!("{prefix}/db.kustomize.image-name"): "redis",
            "sealift.dev/web.helm.image-digest": "image.digest",
            "sealift.dev/commit-per": "branch",
        }),
    )
}

/// The same by an object.
fn saying_the_same() -> Value {
    object(
        "all",
        json!({
            "writeBackConfig": { "method": "git:secret:argocd/creds", "gitConfig": {
                "repository": "https://git.example/other.git", "branch": "main" } },
            "commonUpdateSettings": { "updateStrategy": "digest", "ignoreTags": ["latest", "*-rc*"] },
            "applicationRefs": [{
                "namePattern": "sh*",
                "commonUpdateSettings": { "updateStrategy": "semver" },
                "writeBackConfig": { "gitConfig": {
                    "branch": "release:{{.SHA256}}", "writeBackTarget": "helmvalues:values.yaml" } },
                "images": [
                    { "alias": "web", "imageName": "nginx:~1.0",
                      "commonUpdateSettings": { "allowTags": "regexp:^1", "updateStrategy": "newest-build",
                          "forceUpdate": true, "pullSecret": "pullsecret:argocd/hub",
                          "platforms": ["linux/arm64", "linux/amd64"] },
                      "manifestTargets": { "helm": { "name": "image.name", "tag": "image.tag" } } },
                    { "alias": "db", "imageName": "redis:7.x",
                      "manifestTargets": { "kustomize": { "name": "redis" } } },
                ],
            }],
        }),
    )
}

#[test]
fn an_application_is_the_same_by_annotations_and_by_an_image_updater() {
    let prefix = PREFIX;
    let annotated = annotated();
    let by_annotations = parse_annotated(&annotated, &context())
        .unwrap()
        .application
        .unwrap();
    let mut object = saying_the_same();
    object["metadata"]["annotations"] = json!({
        "sealift.dev/web.helm.image-digest": "other", "sealift.dev/commit-per": "branch" });
    let updater = ImageUpdater::read(&object, "argocd").unwrap();
    // What the Application says itself wins, and its other annotations do not count.
    let own = application(
        "shop",
        json!({}),
        json!({
        "sealift.dev/web.helm.image-digest": "image.digest",
        format!("{prefix}/image-list"): "other", format!("{prefix}/git-branch"): "a:b:c" }),
    );
    let by_updater = parsed(updater, &own).application.unwrap();
    assert_eq!(essence(&by_annotations), essence(&by_updater));
    assert_eq!(by_annotations.commit_per, CommitPer::Branch);
    let id = ImageUpdaterId {
        namespace: "argocd".to_owned(),
        name: "all".to_owned(),
    };
    assert_eq!(by_updater.origin, SettingsOrigin::ImageUpdater(id));
    assert_eq!(by_updater.origin.to_string(), "ImageUpdater argocd/all");
    let of_web = by_updater.written_for(0);
    assert!(
        of_web.contains_key("web.allow-tags") && !of_web.contains_key("db.kustomize.image-name")
    );
}

#[test]
fn lower_levels_replace_higher_ones_field_by_field() {
    let application = followed(json!({
        "commonUpdateSettings": { "allowTags": "regexp:^v", "ignoreTags": ["va*"],
            "pullSecret": "pullsecret:argocd/hub", "platforms": ["linux/arm64"] },
        "applicationRefs": [{ "namePattern": "*",
            "commonUpdateSettings": { "updateStrategy": "alphabetical", "ignoreTags": ["vb*"] },
            "images": [
                { "alias": "a", "imageName": "n" },
                { "alias": "b", "imageName": "n",
                  "commonUpdateSettings": { "allowTags": "", "ignoreTags": [], "pullSecret": "", "platforms": [] } },
            ] }],
    }));
    let [a, b] = application.images.as_slice() else {
        panic!()
    };
    let allows = |rule: &crate::application::ImageRule| {
        ["v1", "va", "vb", "x"].map(|tag| rule.selection.filter.rejects(tag).is_none())
    };
    assert_eq!(a.selection.strategy(), Strategy::Alphabetical);
    assert_eq!(allows(a), [true, true, false, false]);
    assert_eq!(allows(b), [true; 4]);
    assert!(a.pull_secret.is_some() && b.pull_secret.is_none());
    assert!(format!("{:?}", a.selection.platforms).contains("arm64"));
    assert!(!format!("{:?}", b.selection.platforms).contains("arm64"));
}

#[test]
fn without_a_method_nothing_of_the_git_settings_counts() {
    let spec = |method: Value| {
        json!({
            "writeBackConfig": { "method": method,
                "gitConfig": { "branch": "release", "writeBackTarget": "helmvalues" } },
            "applicationRefs": [{ "namePattern": "*", "images": [{ "alias": "a", "imageName": "n" }] }],
        })
    };
    let manifest = application("shop", json!({}), json!({}));
    let without = parsed(read(spec(json!(null))), &manifest);
    assert!(
        without
            .notices
            .iter()
            .any(|one| one.reason == Reason::SettingUnused)
    );
    let without = without.application.unwrap();
    assert_eq!(
        (&without.method, without.base_branch.as_deref()),
        (&Method::ArgoCd, Some("main"))
    );
    let with = parsed(read(spec(json!("git"))), &manifest);
    assert_eq!(with.notices, []);
    let with = with.application.unwrap();
    assert_eq!(
        with.method,
        Method::Git(GitCredentialSource::RepositorySettings)
    );
    assert_eq!(with.base_branch.as_deref(), Some("release"));
}

#[test]
fn a_pull_request_is_never_replaced_by_a_push() {
    let spec = |method: &str| {
        json!({
            "writeBackConfig": { "method": method, "gitConfig": { "pullRequest": { "github": {} } } },
            "applicationRefs": [{ "namePattern": "*", "images": [{ "alias": "a", "imageName": "n" }] }],
        })
    };
    assert_eq!(reason(spec("git")), Reason::PullRequestNotAvailable);
    assert_eq!(
        reason(spec("git:secret:argocd/x")),
        Reason::PullRequestNotAvailable
    );
    assert_eq!(followed(spec("argocd")).method, Method::ArgoCd);
}

#[test]
fn another_namespace_is_out_of_reach_however_it_is_spelled() {
    let spec = |method: &str, secret: &str| {
        json!({
            "writeBackConfig": { "method": method },
            "applicationRefs": [{ "namePattern": "*", "images": [
                { "alias": "a", "imageName": "n", "commonUpdateSettings": { "pullSecret": secret } }] }],
        })
    };
    for secret in [
        "secret:other/x#f",
        "pullsecret:other/x",
        "Secret:other/x#f",
        "SECRET:other/x#f",
        "PullSecret:other/x",
        "env:HOME",
        "ext:/bin/sh",
        "reg=secret:other/x#f",
        "secret:argocd/../other/x#f",
    ] {
        let application = followed(spec("git", secret));
        let error = &application.broken_images[0].error;
        assert!(
            matches!(
                error.reason(),
                Reason::CredentialForbidden | Reason::SettingInvalid
            ),
            "{secret}: {error}"
        );
        assert_eq!(
            error.to_string().split(':').next(),
            Some(
                "ImageUpdater argocd/all spec.applicationRefs[0].images[0].commonUpdateSettings.pullSecret"
            )
        );
    }
    assert!(
        followed(spec("git", "secret:argocd/x#f"))
            .broken_images
            .is_empty()
    );
    assert_eq!(
        reason(spec("git:secret:other/x", "")),
        Reason::CredentialForbidden
    );
    assert_eq!(reason(spec("git:other", "")), Reason::SettingInvalid);
}

#[test]
fn an_error_of_one_image_leaves_the_others_alone_and_names_its_field() {
    let application = followed(json!({
        "applicationRefs": [{ "namePattern": "*", "images": [
            { "alias": "a", "imageName": "" },
            { "alias": "b", "imageName": "n:>=>1" },
            { "alias": "c", "imageName": "n", "commonUpdateSettings": { "updateStrategy": "digest" } },
            { "alias": "d", "imageName": "n:>=1, <2" },
            { "alias": "e", "imageName": "n".repeat(100_000) + ":" + &"1".repeat(100_000) },
        ] }],
    }));
    let broken: Vec<&str> = application
        .broken_images
        .iter()
        .map(|one| one.alias.as_deref().unwrap())
        .collect();
    assert_eq!(broken, ["a", "b", "c", "e"]);
    assert_eq!(
        application.images[0].configured.constraint.as_deref(),
        Some(">=1, <2")
    );
    let path = &application.broken_images[1].error.path;
    assert_eq!(&**path, "spec.applicationRefs[0].images[1].imageName");
}

#[test]
fn a_plugin_target_names_its_variables() {
    let application = followed(json!({
        "applicationRefs": [{ "namePattern": "*", "images": [{ "alias": "a", "imageName": "n",
            "manifestTargets": { "plugin": { "name": "IMAGE", "tag": "TAG" } } }] }],
    }));
    let plugin = &application.images[0].slot.plugin;
    assert_eq!(
        (plugin.name.as_deref(), plugin.tag.as_deref()),
        (Some("IMAGE"), Some("TAG"))
    );
    assert_eq!(application.written_for(0)["a.plugin.image-tag"], "TAG");
}

#[test]
fn demanded_signatures_hold_with_annotations_too() {
    let key = |name: &str| json!({ "cosignKey": { "secretName": name, "key": "k" } });
    let annotations = json!({ "argocd-image-updater.argoproj.io/image-list": "a=nginx" });
    let manifest = application("shop", json!({}), annotations);
    let spec = |level: Value| {
        json!({
            "imagesVerification": key("spec"),
            "applicationRefs": [{ "namePattern": "*", "useAnnotations": true, "imagesVerification": level }],
        })
    };
    let secret = |level: Value| {
        let application = parsed(read(spec(level)), &manifest).application.unwrap();
        let id = application.origin.clone();
        assert!(matches!(id, SettingsOrigin::AnnotationsBy(_)));
        let policy = application.images[0].verification.clone();
        policy.map(|policy| format!("{:?}", policy.authorities))
    };
    assert!(secret(json!(null)).unwrap().contains("\"spec\""));
    assert!(secret(key("ref")).unwrap().contains("\"ref\""));
    assert_eq!(secret(json!({ "enabled": false })), None);
}

#[test]
fn signatures_are_demanded_by_spec_reference_and_image() {
    let key = |name: &str| json!({ "cosignKey": { "secretName": name, "key": "k" } });
    let application = followed(json!({
        "imagesVerification": key("spec"),
        "applicationRefs": [{ "namePattern": "*", "images": [
            { "alias": "a", "imageName": "n" },
            { "alias": "b", "imageName": "n", "imagesVerification": key("image") },
            { "alias": "c", "imageName": "n", "imagesVerification": { "enabled": false } },
        ] }],
    }));
    let secrets: Vec<_> = application
        .images
        .iter()
        .map(|rule| {
            rule.verification
                .as_ref()
                .map(|one| format!("{:?}", one.authorities))
        })
        .collect();
    assert!(secrets[0].as_ref().unwrap().contains("\"spec\""));
    assert!(secrets[1].as_ref().unwrap().contains("\"image\""));
    assert_eq!(secrets[2], None);
}

#[test]
fn annotations_that_are_asked_for_are_read_as_ever() {
    let prefix = "argocd-image-updater.argoproj.io";
    let manifest = application(
        "shop",
        json!({}),
        json!({
        format!("{prefix}/image-list"): "a=nginx:1.x", format!("{prefix}/write-back-method"): "git" }),
    );
    let updater = read(json!({
        "commonUpdateSettings": { "updateStrategy": "digest" },
        "writeBackConfig": { "method": "argocd" },
        "applicationRefs": [{ "namePattern": "*", "useAnnotations": true,
            "images": [{ "alias": "z", "imageName": "other" }] }],
    }));
    let claimed = parsed(updater, &manifest).application.unwrap();
    let annotated = parse_annotated(&manifest, &context())
        .unwrap()
        .application
        .unwrap();
    assert_eq!(essence(&claimed), essence(&annotated));
}

#[test]
fn the_interval_of_an_object_holds_for_all_it_selects_and_that_of_the_application_wins() {
    let plain = json!({ "namePattern": "*", "images": [{ "alias": "a", "imageName": "n" }] });
    let annotated = json!({ "namePattern": "*", "useAnnotations": true });
    for reference in [plain, annotated] {
        let of = |updater: &str, own: Option<&str>| {
            let mut object = object("all", json!({ "applicationRefs": [reference.clone()] }));
            object["metadata"]["annotations"] = json!({ "sealift.dev/interval": updater });
            let updater = ImageUpdater::read(&object, "argocd").unwrap();
            let mut annotations = json!({ format!("{PREFIX}/image-list"): "nginx" });
            if let Some(own) = own {
                annotations["sealift.dev/interval"] = json!(own);
            }
            parsed(updater, &application("shop", json!({}), annotations)).application
        };
        let seconds = |application: Application| application.interval.unwrap().as_secs();
        assert_eq!(of("1h", None).map(seconds), Ok(3_600));
        assert_eq!(of("1h", Some("30s")).map(seconds), Ok(30));
        let error = of("1h", Some("soon")).unwrap_err();
        assert_eq!(error.reason(), crate::reason::Reason::SettingInvalid);
        let said = error.to_string();
        let place = "argocd/shop metadata.annotations[\"sealift.dev/interval\"]: `soon` is not";
        assert!(said.starts_with(place), "{said}");
    }
    let mut bad = object(
        "all",
        json!({ "applicationRefs": [{ "namePattern": "*" }] }),
    );
    bad["metadata"]["annotations"] = json!({ "sealift.dev/interval": "1s" });
    assert!(ImageUpdater::read(&bad, "argocd").is_err());
}

#[test]
fn the_object_in_the_documentation_means_what_the_page_says() {
    let page = include_str!("../../../../../docs/image-updater.md");
    let example = page.split("```yaml\n").nth(1).unwrap();
    let example = example.split("```").next().unwrap();
    let object: Value = serde_saphyr::from_str(example).unwrap();
    let updater = ImageUpdater::read(&object, "argocd").unwrap();
    assert_eq!(updater.notices, []);
    let manifest = application("shop-eu", json!({ "tier": "web" }), json!({}));
    let shop = parsed(updater.clone(), &manifest).application.unwrap();
    assert_eq!(shop.base_branch.as_deref(), Some("main"));
    let [web] = shop.images.as_slice() else {
        panic!()
    };
    assert_eq!(web.configured.constraint.as_deref(), Some("~1.8"));
    assert!(web.pull_secret.is_some() && web.selection.filter.rejects("1.8.1-debug").is_some());
    let other = application("other", json!({}), json!({}));
    assert!(updater.rule_for(&other).is_none());
}
