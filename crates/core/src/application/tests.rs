//! Applications as users write them, and what they mean.

use serde_json::{Value, json};

use super::*;
use crate::reason::Reason;
use crate::settings::GitCredentialSource;
use crate::strategy::Strategy;

const PREFIX: &str = "argocd-image-updater.argoproj.io/";

fn context() -> Context {
    Context {
        argocd_namespace: "argocd".to_owned(),
        own_platform: Platform::parse("linux/amd64"),
    }
}

fn manifest(spec: Value, status: Value, annotations: &[(&str, &str)]) -> ApplicationManifest {
    let annotations: serde_json::Map<String, Value> = annotations
        .iter()
        .map(|(key, value)| {
            let own = key
                .strip_prefix("own:")
                .map(|key| format!("sealift.dev/{key}"));
            (
                own.unwrap_or_else(|| format!("{PREFIX}{key}")),
                json!(value),
            )
        })
        .collect();
    ApplicationManifest::from_value(json!({
        "metadata": { "name": "shop", "namespace": "argocd", "annotations": annotations },
        "spec": spec, "status": status,
    }))
    .unwrap()
}

fn spec() -> Value {
    json!({ "project": "p", "source": {
        "repoURL": "https://git.example/r.git", "path": "apps/shop", "targetRevision": "main",
        "helm": { "parameters": [{ "name": "image.tag", "value": "1.0" }] } } })
}

fn parse(annotations: &[(&str, &str)]) -> Parsed {
    let status = json!({ "sourceType": "Helm", "summary": { "images": ["nginx:1.0"] } });
    parse_annotated(&manifest(spec(), status, annotations), &context()).unwrap()
}

fn application(annotations: &[(&str, &str)]) -> Application {
    parse(annotations).application.unwrap()
}

fn reason(annotations: &[(&str, &str)]) -> Reason {
    parse(annotations).application.unwrap_err().reason()
}

#[test]
fn an_application_is_parsed_whole() {
    let application = application(&[
        ("image-list", "web=nginx:~1.0, redis"),
        ("write-back-method", "git:secret:argocd/creds"),
        ("git-branch", "release:{{.SHA256}}"),
        ("web.helm.image-tag", "image.tag"),
        ("web.pull-secret", "pullsecret:argocd/hub"),
        ("web.allow-tags", "regexp:^1"),
        ("own:web.helm.image-digest", "image.digest"),
        ("own:allow-downgrade", "true"),
    ]);
    assert_eq!(application.id.to_string(), "argocd/shop");
    let secret = GitCredentialSource::Secret {
        namespace: Some("argocd".to_owned()),
        name: "creds".to_owned(),
    };
    assert_eq!(application.method, Method::Git(secret));
    assert_eq!(application.chosen.app_type, Some(AppType::Helm));
    assert_eq!(application.repository, "https://git.example/r.git");
    assert_eq!(application.base_branch.as_deref(), Some("release"));
    assert!(application.branch.push.is_some());
    let files: Vec<&str> = application
        .target
        .candidates
        .iter()
        .map(|path| path.as_str())
        .collect();
    assert_eq!(files, ["apps/shop/.argocd-source-shop.yaml"]);
    assert_eq!(application.running.len(), 1);
    assert_eq!(application.images.len(), 2);
    let web = application.images.first().unwrap();
    assert_eq!(web.configured.constraint.as_deref(), Some("~1.0"));
    assert!(web.selection.allow_downgrade && web.pull_secret.is_some());
    assert_eq!(web.slot.helm.digest.as_deref(), Some("image.digest"));
    assert!(web.selection.filter.allows("1.1") && !web.selection.filter.allows("2.1"));
    assert!(
        application
            .source_images
            .managed_parameters
            .contains(&"image.tag".to_owned())
    );
}

#[test]
fn an_application_that_asks_for_nothing_is_not_followed() {
    let manifest = manifest(spec(), json!({}), &[("own:extrat", "x")]);
    assert!(parse_annotated(&manifest, &context()).is_none());
}

#[test]
fn defaults_are_those_of_the_replaced_program() {
    let application = application(&[("image-list", "nginx")]);
    assert_eq!(application.method, Method::ArgoCd);
    assert_eq!(application.base_branch.as_deref(), Some("main"));
    let image = application.images.first().unwrap();
    assert_eq!(image.selection.strategy(), Strategy::Semver);
    assert!(!image.force_update && !image.selection.allow_downgrade);
}

#[test]
fn settings_of_an_image_win_over_those_of_the_application() {
    let strategies = |annotations: &[(&str, &str)]| {
        let list = [&[("image-list", "a=nginx:1,b=redis:1")], annotations].concat();
        let application = application(&list);
        let rules = application.images.iter();
        rules
            .map(|rule| rule.selection.strategy())
            .collect::<Vec<_>>()
    };
    use Strategy::{Alphabetical, Calver, Digest, Numeric};
    assert_eq!(
        strategies(&[("update-strategy", "digest"), ("a.update-strategy", "name")]),
        [Alphabetical, Digest]
    );
    assert_eq!(
        strategies(&[
            ("update-strategy", "digest"),
            ("own:update-strategy", "calver")
        ]),
        [Calver, Calver]
    );
    assert_eq!(
        strategies(&[
            ("a.update-strategy", "digest"),
            ("own:update-strategy", "calver")
        ]),
        [Digest, Calver]
    );
    assert_eq!(
        strategies(&[
            ("a.update-strategy", "digest"),
            ("own:a.update-strategy", "numeric")
        ])
        .first(),
        Some(&Numeric)
    );
}

#[test]
fn an_error_of_one_image_leaves_the_others_alone() {
    let application = application(&[
        ("image-list", "a=nginx:>=>1, b=redis, c=app, d=x"),
        ("c.pull-secret", "Secret:other/x#f"),
        ("d.update-strategy", "digest"),
    ]);
    let reasons: Vec<(&str, Reason)> = application
        .broken_images
        .iter()
        .map(|image| (image.alias.as_deref().unwrap(), image.error.reason()))
        .collect();
    assert_eq!(
        reasons,
        [
            ("a", Reason::ConstraintInvalid),
            ("c", Reason::CredentialForbidden),
            ("d", Reason::ConstraintMissing)
        ]
    );
    assert_eq!(application.images.len(), 1);
}

#[test]
fn an_error_of_the_application_has_its_reason_and_its_field() {
    let list = ("image-list", "nginx");
    for (annotation, expected) in [
        (("write-back-method", "ftp"), Reason::SettingInvalid),
        (
            ("write-back-method", "git:secret:other/s"),
            Reason::CredentialForbidden,
        ),
        (("git-branch", "a:b:c"), Reason::SettingInvalid),
        (("git-branch", ":{{"), Reason::TemplateInvalid),
        (
            ("write-back-target", "kustomization.yaml"),
            Reason::SettingInvalid,
        ),
        (
            ("write-back-target", "helmvalues:/../../x.yaml"),
            Reason::PathEscapes,
        ),
        (("own:extrat", "x"), Reason::SettingInvalid),
    ] {
        assert_eq!(reason(&[list, annotation]), expected, "{annotation:?}");
    }
    let error = parse(&[list, ("git-branch", "a:b:c")])
        .application
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "argocd/shop metadata.annotations[\"argocd-image-updater.argoproj.io/git-branch\"]: \
         `a:b:c` is not a branch rule: expected `base`, `base:template` or `:template`"
    );
}

#[test]
fn an_application_without_source_is_not_supported() {
    let manifest = manifest(json!({}), json!({}), &[("image-list", "nginx")]);
    let error = parse_annotated(&manifest, &context())
        .unwrap()
        .application
        .unwrap_err();
    assert_eq!(error.reason(), Reason::ApplicationUnsupported);
}

#[test]
fn notices_name_the_field_once() {
    let parsed = parse(&[
        ("image-list", "a=nginx,b=redis"),
        ("update-strategy", "latest"),
        ("allow-tags", "^1"),
        ("a.ignore-tags", "["),
        ("a.platforms", "linux"),
    ]);
    let notices: Vec<&str> = parsed
        .notices
        .iter()
        .map(|notice| notice.detail.as_str())
        .collect();
    assert_eq!(notices.len(), 4, "{notices:?}");
    let field = |name: &str| {
        let path = format!("metadata.annotations[\"{PREFIX}{name}\"]: ");
        notices.iter().any(|detail| detail.starts_with(&path))
    };
    assert!(
        field("update-strategy") && field("allow-tags"),
        "{notices:?}"
    );
    assert!(
        field("a.ignore-tags") && field("a.platforms"),
        "{notices:?}"
    );
}

/// C14: path, repository and branch come from one source.
#[test]
fn of_several_sources_one_is_chosen_with_the_target_in_mind() {
    let spec = json!({ "sources": [
        { "repoURL": "https://g/a", "path": "a", "targetRevision": "x", "helm": {} },
        { "repoURL": "https://g/b", "path": "b", "targetRevision": "y", "kustomize": {} },
    ] });
    let status = json!({ "sourceTypes": ["Helm", "Kustomize"] });
    let annotations = [
        ("image-list", "nginx"),
        ("write-back-method", "git"),
        ("write-back-target", "kustomization"),
    ];
    let manifest = manifest(spec, status, &annotations);
    let application = parse_annotated(&manifest, &context())
        .unwrap()
        .application
        .unwrap();
    assert_eq!(application.repository, "https://g/b");
    assert_eq!(application.base_branch.as_deref(), Some("y"));
    let first = application.target.candidates.first().unwrap();
    assert_eq!(first.as_str(), "b/kustomization.yaml");
}

#[test]
fn the_revision_is_that_of_the_source_with_the_configured_repository() {
    let spec = json!({ "sources": [
        { "repoURL": "https://charts.example", "chart": "shop", "targetRevision": "1.2.3",
          "helm": { "valueFiles": ["$values/shop/values.yaml"] } },
        { "repoURL": "https://g/values", "targetRevision": "prod", "ref": "values" },
    ] });
    let list = ("image-list", "nginx");
    let parse = |annotations: &[(&str, &str)]| {
        let manifest = manifest(spec.clone(), json!({}), annotations);
        parse_annotated(&manifest, &context())
            .unwrap()
            .application
            .unwrap()
    };
    let application = parse(&[list, ("git-repository", "https://g/values")]);
    assert_eq!(application.base_branch.as_deref(), Some("prod"));
    let application = parse(&[list, ("git-repository", "https://g/other")]);
    assert_eq!(application.base_branch, None);
    let application = parse(&[list]);
    assert_eq!(application.repository, "https://g/values");
    assert_eq!(application.chosen.app_type, Some(AppType::Helm));
}

#[test]
fn a_manifest_without_status_says_its_type_by_its_blocks_or_by_its_files() {
    let parse = |spec: Value| {
        let manifest = manifest(spec, json!({}), &[("image-list", "nginx")]);
        parse_annotated(&manifest, &context())
            .unwrap()
            .application
            .unwrap()
    };
    assert_eq!(parse(spec()).chosen.app_type, Some(AppType::Helm));
    for plain in [
        json!({ "source": { "repoURL": "https://g/a", "path": "a" } }),
        json!({ "sources": [{ "repoURL": "https://g/a", "path": "a" }] }),
        json!({ "sourceHydrator": { "drySource": { "repoURL": "https://g/a", "path": "a" } } }),
    ] {
        let mut application = parse(plain.clone());
        assert!(application.needs_source_type(), "{plain}");
        application.set_source_type(detect_source_type(["x.yaml", "kustomization.yml"]));
        assert_eq!(application.chosen.app_type, Some(AppType::Kustomize));
    }
    assert_eq!(
        detect_source_type(["kustomization.yaml", "Chart.yaml"]),
        SourceType::Helm
    );
    assert_eq!(detect_source_type(["a.yaml"]), SourceType::Directory);
}

/// C15: the dry source is what is written.
#[test]
fn a_hydrated_application_is_written_at_its_dry_source() {
    let spec = json!({ "sourceHydrator": { "drySource": {
        "repoURL": "https://g/dry", "path": "dry", "targetRevision": "main", "helm": {} } } });
    let manifest = manifest(
        spec,
        json!({ "sourceType": "Directory" }),
        &[("image-list", "nginx")],
    );
    let application = parse_annotated(&manifest, &context())
        .unwrap()
        .application
        .unwrap();
    assert_eq!(application.repository, "https://g/dry");
    assert_eq!(application.chosen.app_type, Some(AppType::Helm));
}

#[test]
fn an_image_that_would_be_written_or_asked_for_as_another_is_refused() {
    for image in [
        "r.example/r.example/prod/shop",
        "%67hcr.io/acme/shop",
        "x@ghcr.io/acme/shop",
        "0x7f.1:5000/acme/shop",
        "0177.0.0.1/acme/shop",
        "2130706433:5000/acme/shop",
        "127.1/acme/shop",
    ] {
        let list = format!("a={image}:1.x,b=r.example/prod/r.example/shop");
        let application = application(&[("image-list", &list)]);
        assert_eq!(application.images.len(), 1, "{image}");
        let reasons: Vec<_> = application
            .broken_images
            .iter()
            .map(|one| one.error.reason())
            .collect();
        assert_eq!(reasons, [Reason::SettingInvalid], "{image}");
    }
}

#[test]
fn a_password_in_a_url_stands_in_no_record_and_no_notice() {
    let url = "https://u:hunter2@git.example/r.git";
    let annotations = [
        ("image-list", "nginx"),
        ("git-repository", url),
        ("git-repositry", url),
    ];
    let parsed = parse(&annotations);
    let said = format!("{:?}", parsed.notices);
    let application = parsed.application.unwrap();
    let written = format!("{:?}", application.written_for(0));
    assert!(written.contains("https://git.example/r.git"), "{written}");
    assert!(!(written + &said).contains("hunter2"), "{said}");
    assert_eq!(application.repository, url);
}
