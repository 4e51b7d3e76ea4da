//! Runners for `core::slot` and `core::yaml`. Files are compared as a second YAML reader sees them.

#![allow(
    clippy::expect_used,
    reason = "a panic in a runner is the failure of its case"
)]

pub(crate) mod files;
pub(crate) mod merges;
pub(crate) mod overrides;
pub(crate) mod targets;
pub(crate) mod values;

use sealift_core::path::RepoPath;
use sealift_core::slot::{HelmNames, PluginNames, SlotImage, SourceImages};
use serde_json::Value;

use super::Outcome;

/// A text field; empty where it is absent or null.
fn text<'a>(case: &'a Value, field: &str) -> &'a str {
    case[field].as_str().unwrap_or_default()
}

/// A text field; `None` where it is empty.
fn name(case: &Value, field: &str) -> Option<String> {
    Some(text(case, field).to_owned()).filter(|text| !text.is_empty())
}

/// A list of texts; empty where it is absent or null.
fn texts(value: &Value) -> Vec<String> {
    let items = value.as_array().map(Vec::as_slice).unwrap_or_default();
    let texts = items.iter().filter_map(Value::as_str);
    texts.map(str::to_owned).collect()
}

fn helm_names(case: &Value) -> HelmNames {
    HelmNames {
        name: name(case, "helm_name"),
        tag: name(case, "helm_tag"),
        spec: name(case, "helm_spec"),
        digest: None,
    }
}

fn plugin_names(case: &Value) -> PluginNames {
    PluginNames {
        name: name(case, "plugin_name"),
        tag: name(case, "plugin_tag"),
        spec: name(case, "plugin_spec"),
    }
}

/// Everything that a place refers to.
struct Given {
    path: RepoPath,
    image: SlotImage,
    source: SourceImages,
}

impl Given {
    fn new(image: SlotImage) -> Self {
        let path = RepoPath::join("", "file.yaml").expect("a path inside the repository");
        Self {
            path,
            image,
            source: SourceImages::default(),
        }
    }
}

/// The documents of a YAML text; `None` where it is none. What the replaced program writes for a
/// merge key is read as one.
fn documents(text: &str) -> Option<Vec<Value>> {
    serde_saphyr::from_multiple(&text.replace("!!merge <<", "<<")).ok()
}

fn same_yaml(left: &str, right: &str) -> bool {
    let (left, right) = (documents(left), documents(right));
    left.is_some() && left == right
}

fn check<T: PartialEq + std::fmt::Debug>(expected: &T, got: &T) -> Outcome {
    if expected == got {
        return Outcome::Passed;
    }
    failed(expected, got)
}

fn failed(expected: &dyn std::fmt::Debug, got: &dyn std::fmt::Debug) -> Outcome {
    Outcome::Failed {
        expected: format!("{expected:?}"),
        got: format!("{got:?}"),
    }
}

/// The outcome of a rule that computed `expected` by itself.
fn rule<T: PartialEq + std::fmt::Debug>(id: &'static str, expected: &T, got: &T) -> Outcome {
    match check(expected, got) {
        Outcome::Passed => Outcome::Deviates(id),
        failed => failed,
    }
}
