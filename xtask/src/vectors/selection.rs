//! Runners of references, versions, filters, strategies and live images: the choice of a tag.

mod images;
mod tags;

use serde_json::Value;

use super::Outcome;
pub(crate) use images::{
    digest_live_match, image_parse, image_short_form, kustomize_image_parse, live_image_match,
    live_images, needs_update, tag_equality,
};
pub(crate) use tags::{
    ignore_tags, match_func, name_pattern, name_pattern_glob, platform, semver_compare,
    semver_constraint, semver_version, strategy_name, strategy_select,
};

/// Passed where `got` is the recorded answer.
fn compare(expected: &Value, got: &Value) -> Outcome {
    if expected == got {
        return Outcome::Passed;
    }
    Outcome::Failed {
        expected: expected.to_string(),
        got: got.to_string(),
    }
}

/// As [`compare`], or the deviation `rule` where `got` is what the rule computes.
fn compare_or(expected: &Value, got: &Value, rule: &'static str, by_rule: &Value) -> Outcome {
    if expected == got {
        return Outcome::Passed;
    }
    if by_rule == got {
        return Outcome::Deviates(rule);
    }
    Outcome::Failed {
        expected: format!("{expected}, or by rule {rule} {by_rule}"),
        got: got.to_string(),
    }
}

fn text<'a>(case: &'a Value, field: &str) -> &'a str {
    case[field].as_str().unwrap_or_default()
}

fn texts<'a>(case: &'a Value, field: &str) -> Vec<&'a str> {
    let items = case[field].as_array().map(Vec::as_slice);
    items
        .unwrap_or_default()
        .iter()
        .map(|item| item.as_str().unwrap_or_default())
        .collect()
}
