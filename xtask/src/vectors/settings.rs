//! Recorded answers about what users wrote: annotations, registries, credentials, branches,
//! commits.

mod credentials;
mod git;

use std::collections::BTreeMap;

use sealift_core::go_syntax;
use sealift_core::registries_conf::{RegistriesConf, RegistryConf, TagSortMode};
use sealift_core::settings::annotations::{self, Annotated};
use sealift_core::settings::{CommonSettings, ImageSettings, Settings, Written};
use serde_json::{Map, Value, json};

use super::Outcome;

pub(crate) use credentials::{credentials, credentials_fetch, git_credentials};
pub(crate) use git::{
    branch_template, commit_message, git_branch, write_back_method, write_back_target_key,
};

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_default()
}

fn outcome(expected: impl std::fmt::Debug, got: impl std::fmt::Debug, same: bool) -> Outcome {
    if same {
        return Outcome::Passed;
    }
    Outcome::Failed {
        expected: format!("{expected:?}"),
        got: format!("{got:?}"),
    }
}

/// Passes where both are errors, or neither is and the values are equal.
fn same_or_both_errors(expected: &Value, got: Result<Value, String>) -> Outcome {
    let wants_error = expected.get("error").is_some();
    match got {
        Err(_) if wants_error => Outcome::Passed,
        Ok(got) if !wants_error && got == *expected => Outcome::Passed,
        got => outcome(expected, got, false),
    }
}

/// Settings as the annotations say them, before they mean anything.
pub(crate) fn annotations(case: &Value) -> Outcome {
    let map: BTreeMap<String, String> =
        serde_json::from_value(case["annotations"].clone()).unwrap_or_default();
    let annotated = annotations::read("ns/app", &map);
    let expected = case["expected"].as_object().cloned().unwrap_or_default();
    let wants_error = expected.keys().any(|key| key.ends_with("error"));
    let settings = match annotated {
        Some(Annotated {
            settings: Ok(settings),
            ..
        }) if settings.images.iter().all(|image| image.error.is_none()) => settings,
        // Where the recorded program skips the Application, we skip it or the image.
        refused => return outcome(expected, refused, wants_error),
    };
    let got = settings_json(&settings);
    outcome(
        &expected,
        &got,
        !wants_error && got == Value::Object(expected.clone()),
    )
}

fn settings_json(settings: &Settings) -> Value {
    let write_back = &settings.write_back;
    let git = fields([
        ("repository", written_text(&write_back.repository)),
        ("branch", written_text(&write_back.branch)),
        ("writeBackTarget", written_text(&write_back.target)),
    ]);
    let write_back = fields([
        ("method", written_text(&write_back.method)),
        ("gitConfig", present(git)),
    ]);
    json!({
        "commonUpdateSettings": common_json(&settings.common),
        "images": settings.images.iter().map(image_json).collect::<Vec<_>>(),
        "writeBackConfig": write_back,
    })
}

fn image_json(image: &ImageSettings) -> Value {
    let helm = fields([
        ("name", written_text(&image.helm.name)),
        ("tag", written_text(&image.helm.tag)),
        ("spec", written_text(&image.helm.spec)),
    ]);
    let kustomize = fields([("name", written_text(&image.kustomize_name))]);
    let targets = fields([("helm", present(helm)), ("kustomize", present(kustomize))]);
    fields([
        (
            "alias",
            Some(json!(image.alias.as_deref().unwrap_or_default())),
        ),
        ("imageName", Some(json!(image.image.value))),
        ("commonUpdateSettings", present(common_json(&image.common))),
        ("manifestTargets", present(targets)),
    ])
}

pub(super) fn common_json(common: &CommonSettings) -> Value {
    fields([
        ("updateStrategy", written_text(&common.update_strategy)),
        (
            "forceUpdate",
            common
                .force_update
                .as_ref()
                .map(|written| json!(written.value)),
        ),
        ("allowTags", written_text(&common.allow_tags)),
        (
            "ignoreTags",
            common
                .ignore_tags
                .as_ref()
                .map(|written| json!(written.value)),
        ),
        ("pullSecret", written_text(&common.pull_secret)),
        (
            "platforms",
            common
                .platforms
                .as_ref()
                .map(|written| json!(written.value)),
        ),
    ])
}

pub(super) fn written_text(written: &Option<Written<String>>) -> Option<Value> {
    written.as_ref().map(|written| json!(written.value))
}

/// An object of the fields that are there; `null` where none is.
fn fields<const N: usize>(fields: [(&str, Option<Value>); N]) -> Value {
    let there: Map<String, Value> = fields
        .into_iter()
        .filter_map(|(key, value)| Some((key.to_owned(), value?)))
        .collect();
    if there.is_empty() {
        Value::Null
    } else {
        Value::Object(there)
    }
}

fn present(value: Value) -> Option<Value> {
    Some(value).filter(|value| !value.is_null())
}

/// The operator's list of registries.
pub(crate) fn registries_conf(case: &Value) -> Outcome {
    let expected = &case["expected"];
    match RegistriesConf::parse(text(case, "input")) {
        Err(error) => outcome(expected, error, expected.get("error").is_some()),
        Ok(conf) => {
            let entries = expected["registries"].as_array();
            let same = entries.is_some_and(|entries| {
                entries.len() == conf.registries.len()
                    && entries
                        .iter()
                        .zip(&conf.registries)
                        .all(|(a, b)| same_registry(a, b))
            });
            outcome(expected, conf, same)
        }
    }
}

fn same_registry(expected: &Value, got: &RegistryConf) -> bool {
    let optional = |text: &Option<String>| text.clone().unwrap_or_default();
    let credentials = match &got.credentials {
        None => String::new(),
        Some(Ok(source)) => source.to_string(),
        // What cannot be read is an error of the registry when it is used, as recorded.
        Some(Err(_)) => text(expected, "credentials").to_owned(),
    };
    let order = match text(expected, "tagsortmode").to_ascii_lowercase().as_str() {
        "latest-first" => TagSortMode::LatestFirst,
        "latest-last" => TagSortMode::LatestLast,
        _ => TagSortMode::Unsorted,
    };
    let expires = got.credentials_expire.unwrap_or_default();
    // No limit is any number that is not positive.
    let limit = expected["limit"].as_i64().unwrap_or_default().max(0);
    let texts = [
        ("name", got.name.clone()),
        ("prefix", got.prefix.clone()),
        ("credentials", credentials),
        ("ca_file", optional(&got.ca_file)),
        ("ca_data", optional(&got.ca_data)),
        ("defaultns", optional(&got.default_namespace)),
        ("credsexpire", go_syntax::duration_text(expires)),
    ];
    let flags = [
        ("ping", got.ping),
        ("insecure", got.insecure),
        ("default", got.is_default),
    ];
    texts
        .iter()
        .all(|(key, value)| text(expected, key) == value)
        && flags
            .iter()
            .all(|(key, value)| expected[*key].as_bool() == Some(*value))
        && text(expected, "api_url").trim_end_matches('/') == got.api_url
        && order == got.tag_sort_mode
        && limit == got.requests_per_second_max.map_or(0, i64::from)
}
