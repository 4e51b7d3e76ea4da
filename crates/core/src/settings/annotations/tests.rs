//! What annotations say, and what is told about those that say nothing.

use std::time::Duration;

use super::*;
use crate::strategy::Strategy;

fn read_all(annotations: &[(&str, &str)]) -> Option<Annotated> {
    let map = annotations
        .iter()
        .map(|(key, value)| {
            let own = key
                .strip_prefix("own:")
                .map(|key| format!("sealift.dev/{key}"));
            (
                own.unwrap_or_else(|| format!("{PEER_PREFIX}{key}")),
                (*value).to_owned(),
            )
        })
        .collect();
    read("argocd/shop", &map)
}

fn settings(annotations: &[(&str, &str)]) -> Settings {
    read_all(annotations).unwrap().settings.unwrap()
}

fn notices(annotations: &[(&str, &str)]) -> Vec<String> {
    let notices = read_all(annotations).unwrap().notices;
    assert!(
        notices
            .iter()
            .all(|notice| notice.reason == Reason::UnknownSetting)
    );
    notices.into_iter().map(|notice| notice.detail).collect()
}

fn image_error(annotations: &[(&str, &str)]) -> String {
    let settings = settings(annotations);
    settings
        .images
        .iter()
        .find_map(|image| image.error.as_ref())
        .unwrap()
        .to_string()
}

#[test]
fn an_application_without_a_list_of_images_is_not_followed() {
    assert_eq!(read_all(&[("write-back-method", "git")]), None);
}

#[test]
fn an_empty_list_is_the_error_of_the_application() {
    for list in ["", " ", " , ,"] {
        let error = read_all(&[("image-list", list)])
            .unwrap()
            .settings
            .unwrap_err();
        assert_eq!(error.problem, SettingProblem::NoImage, "{list:?}");
    }
    let many = "a,".repeat(limits::IMAGES_PER_APPLICATION_MAX + 1);
    assert!(
        read_all(&[("image-list", &many)])
            .unwrap()
            .settings
            .is_err()
    );
}

#[test]
fn a_broken_setting_of_one_image_leaves_the_others_alone() {
    let settings = settings(&[
        ("image-list", "a=nginx, b=redis, c="),
        ("a.force-update", "yes"),
        ("b.force-update", "T"),
    ]);
    let errors: Vec<bool> = settings
        .images
        .iter()
        .map(|image| image.error.is_some())
        .collect();
    assert_eq!(errors, [true, false, true]);
    assert_eq!(
        settings
            .images
            .first()
            .unwrap()
            .error
            .as_ref()
            .unwrap()
            .to_string(),
        "argocd/shop metadata.annotations[\"argocd-image-updater.argoproj.io/a.force-update\"]: \
         `yes` is not a boolean: expected `true` or `false`"
    );
}

#[test]
fn a_broken_setting_of_the_application_is_its_error() {
    let annotated = read_all(&[("image-list", "a=nginx"), ("force-update", "")]).unwrap();
    assert!(matches!(
        annotated.settings,
        Err(SettingError {
            problem: SettingProblem::Boolean(_),
            ..
        })
    ));
}

#[test]
fn unknown_settings_are_noticed_with_a_hint() {
    assert_eq!(
        notices(&[("image-list", "a=nginx"), ("a.update-stategy", "digest")]),
        [
            "metadata.annotations[\"argocd-image-updater.argoproj.io/a.update-stategy\"]: `digest` was \
          ignored: there is no such setting; did you mean \
          `argocd-image-updater.argoproj.io/a.update-strategy`?"
        ]
    );
    let ignored = notices(&[
        ("image-list", "a=nginx"),
        ("b.update-strategy", "digest"),
        ("a.tag-match", "x"),
        ("platforms", "linux/amd64"),
        ("a.platforms", "linux/amd64"),
    ]);
    assert_eq!(ignored.len(), 3, "{ignored:?}");
    assert!(
        ignored
            .iter()
            .any(|text| text.contains("no image has the alias `b`"))
    );
}

#[test]
fn an_image_without_alias_has_no_settings_of_its_own() {
    let settings = settings(&[("image-list", "nginx"), ("nginx.update-strategy", "digest")]);
    let image = settings.images.first().unwrap();
    assert_eq!(image.common, CommonSettings::default());
}

#[test]
fn helm_and_kustomize_names_exclude_each_other() {
    let error = image_error(&[
        ("image-list", "a=nginx"),
        ("a.helm.image-tag", "t"),
        ("a.kustomize.image-name", "x"),
    ]);
    assert!(error.ends_with("both Helm and Kustomize targets are set for the alias `a`"));
}

#[test]
fn our_own_settings_are_read() {
    let settings = settings(&[
        ("image-list", "a=nginx,b=redis"),
        ("own:update-strategy", "calver"),
        ("own:a.update-strategy", "numeric"),
        ("own:a.extract", "v(?<version>.*)"),
        ("own:allow-downgrade", "true"),
        ("own:a.helm.image-digest", "image.digest"),
        ("own:commit-per", "branch"),
        ("own:interval", "1h30m"),
    ]);
    assert_eq!(settings.own.update_strategy, Some(Strategy::Calver));
    assert_eq!(settings.own.allow_downgrade, Some(true));
    assert_eq!(settings.own.commit_per, Some(own::CommitPer::Branch));
    assert_eq!(settings.own.interval, Some(Duration::from_secs(5_400)));
    let image = settings.images.first().unwrap();
    assert_eq!(image.own.update_strategy, Some(Strategy::Numeric));
    assert!(image.own.extract.is_some() && image.own.helm_digest.is_some());
}

#[test]
fn our_own_settings_are_strict() {
    for (key, value) in [
        ("own:extrat", "x"),
        ("own:b.extract", "(?<version>.*)"),
        ("own:update-strategy", "latest"),
        ("own:allow-downgrade", "TRUE"),
        ("own:commit-per", "app"),
        ("own:extract", "no group"),
        ("own:a.commit-per", "branch"),
        ("own:interval", "9.9s"),
        ("own:interval", "721h"),
        ("own:interval", "120"),
        ("own:interval", "-1m"),
        ("own:interval", "0"),
        ("own:interval", ""),
        ("own:interval", " 1m"),
        ("own:a.interval", "1m"),
    ] {
        let annotated = read_all(&[("image-list", "a=nginx"), (key, value)]).unwrap();
        assert!(annotated.settings.is_err(), "{key}");
    }
    for (key, value) in [("own:a.extract", "("), ("own:a.helm.image-digest", " ")] {
        image_error(&[("image-list", "a=nginx"), (key, value)]);
    }
    let error = read_all(&[("image-list", "a=nginx"), ("own:extrat", "x")]).unwrap();
    let error = error.settings.unwrap_err().to_string();
    assert!(
        error.ends_with("there is no such setting; did you mean `extract`?"),
        "{error}"
    );
}

proptest::proptest! {
    #[test]
    fn no_annotations_make_the_reader_panic(
        pairs in proptest::collection::btree_map("[a.]{0,3}(image-list|force-update|ignore-tags|platforms|\\PC{0,8})", "[=,:. \\PC]{0,20}", 0..8)
    ) {
        let mut map: BTreeMap<String, String> =
            pairs.into_iter().map(|(key, value)| (format!("{PEER_PREFIX}{key}"), value)).collect();
        map.entry(IMAGE_LIST.to_owned()).or_insert_with(|| "a=b".to_owned());
        let _ = read("ns/app", &map);
    }
}
