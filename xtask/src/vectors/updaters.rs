//! ImageUpdaters: how levels of settings merge, and what is said on the object after a cycle.

use jiff::Timestamp;
use sealift_core::event::Considered;
use sealift_core::image_updater::settings::{common, write_back};
use sealift_core::image_updater::spec::{CommonUpdateSettings, WriteBackConfig};
use sealift_core::image_updater::status::{
    Change, Condition, Cycle, ImageOutcome, ImageUpdaterStatus, recent_updates,
};
use sealift_core::settings::{CommonSettings, WriteBackSettings};
use serde_json::{Map, Value, json};

use super::Outcome;
use super::settings::{common_json, written_text};

/// `merge-settings`: levels from the spec down to the image.
pub(crate) fn merge_settings(case: &Value) -> Outcome {
    let levels: Vec<CommonUpdateSettings> = match serde_json::from_value(case["levels"].clone()) {
        Ok(levels) => levels,
        Err(error) => return failed(&case["levels"], &json!(error.to_string())),
    };
    let merged = levels
        .iter()
        .map(|level| common(Some(level), "level"))
        .fold(CommonSettings::default(), |above, level| level.over(above));
    compare(&case["expected"], &common_json(&merged))
}

/// `merge-write-back`: the spec, and the reference over it.
pub(crate) fn merge_write_back(case: &Value) -> Outcome {
    let level = |name: &str| serde_json::from_value::<WriteBackConfig>(case[name].clone());
    let (Ok(spec), Ok(reference)) = (level("spec"), level("ref")) else {
        return failed(&json!("levels that can be read"), case);
    };
    let merged = write_back(Some(&reference), "ref").over(write_back(Some(&spec), "spec"));
    compare(&case["expected"], &write_back_json(&merged))
}

fn write_back_json(merged: &WriteBackSettings) -> Value {
    let request = merged.pull_request.as_ref();
    let git = present([
        ("repository", written_text(&merged.repository)),
        ("branch", written_text(&merged.branch)),
        ("writeBackTarget", written_text(&merged.target)),
        ("pullRequest", request.map(|written| json!(written.value))),
    ]);
    let git = Some(git).filter(|git| *git != json!({}));
    present([("method", written_text(&merged.method)), ("gitConfig", git)])
}

/// `status-conditions`: the conditions at the start and at the end of a cycle, in their order.
pub(crate) fn status_conditions(case: &Value) -> Outcome {
    let now = Timestamp::UNIX_EPOCH;
    let input = &case["input"];
    let number = |name: &str| usize::try_from(input[name].as_u64().unwrap_or_default());
    let status = ImageUpdaterStatus::default();
    let status = match input["phase"].as_str() {
        Some("start") => status.started(None, now),
        _ => {
            let cycle = Cycle {
                applications: number("matched").unwrap_or_default(),
                problems: number("errors").unwrap_or_default(),
                images: vec![updated(); number("updated").unwrap_or_default()],
                ..Cycle::default()
            };
            status.finished(&cycle, now)
        }
    };
    let expected = case["expected"].as_array().cloned().unwrap_or_default();
    let got: Vec<Value> = status
        .conditions
        .iter()
        .zip(&expected)
        .map(|(condition, expected)| said(condition, expected))
        .collect();
    match status.conditions.len() == expected.len() {
        true => compare(&case["expected"], &json!(got)),
        false => failed(&case["expected"], &json!(status.conditions)),
    }
}

/// Those fields of a condition that the vector is about.
fn said(condition: &Condition, expected: &Value) -> Value {
    let condition = json!(condition);
    let named = expected.as_object().into_iter().flatten();
    named
        .map(|(key, _)| (key.clone(), condition[key].clone()))
        .collect::<Map<_, _>>()
        .into()
}

fn updated() -> ImageOutcome {
    let considered = json!({
        "application": "ns/app",
        "image": { "alias": "a", "written": "n", "repository": "docker.io/library/n" },
        "strategy": "semver",
        "inputs": { "wanted": "1.0.0", "now": "1970-01-01T00:00:00.000Z" },
        "decision": "updated",
        "candidate": { "tag": "1.1.0" },
    });
    // The record is of our own making: where it is none, the panic is the failure of the case.
    #[allow(clippy::expect_used, reason = "see above")]
    let considered: Considered = serde_json::from_value(considered).expect("a consideration");
    ImageOutcome::of(&considered, false)
}

/// `recent-updates`: changes of a cycle by image and new version.
pub(crate) fn recent(case: &Value) -> Outcome {
    let changes = case["changes"].as_array().into_iter().flatten();
    let text = |change: &'_ Value, name: &str| change[name].as_str().unwrap_or_default().to_owned();
    let changes: Vec<[String; 4]> = changes
        .map(|change| ["alias", "image", "old", "new"].map(|name| text(change, name)))
        .collect();
    let changes: Vec<Change<'_>> = changes
        .iter()
        .map(|[alias, image, old, new]| Change {
            alias,
            image,
            old,
            new,
        })
        .collect();
    let mut got = json!(recent_updates(&changes, Timestamp::UNIX_EPOCH));
    for update in got.as_array_mut().into_iter().flatten() {
        if let Some(update) = update.as_object_mut() {
            update.remove("updatedAt");
        }
    }
    compare(&case["expected"], &got)
}

fn present<const N: usize>(fields: [(&str, Option<Value>); N]) -> Value {
    let there = fields
        .into_iter()
        .filter_map(|(name, value)| Some((name.to_owned(), value?)));
    Value::Object(there.collect())
}

fn compare(expected: &Value, got: &Value) -> Outcome {
    match expected == got {
        true => Outcome::Passed,
        false => failed(expected, got),
    }
}

fn failed(expected: &Value, got: &Value) -> Outcome {
    Outcome::Failed {
        expected: expected.to_string(),
        got: got.to_string(),
    }
}
