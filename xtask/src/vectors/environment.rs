//! Recorded answers about variables and flags.

use std::collections::BTreeSet;

use sealift_core::environment::{Namespaces, boolean, duration, go_duration, integer};
use serde_json::{Value, json};

use super::Outcome;

/// `env-parse`: what a variable means, and when its default holds.
pub(crate) fn env_parse(case: &Value) -> Outcome {
    let text = case["value"].as_str();
    let number = |name: &str| u16::try_from(case[name].as_u64().unwrap_or_default());
    let number = |name: &str| number(name).unwrap_or_default();
    let name = case["name"].as_str().unwrap_or("X");
    let (expected, got) = match case["kind"].as_str() {
        Some("bool") => {
            let default = case["default"].as_bool().unwrap_or_default();
            (case["expected"].clone(), json!(boolean(text, default)))
        }
        Some("int") => {
            let range = number("min")..=number("max");
            let read = integer(name, text, &range, number("default"));
            (case["expected"].clone(), json!(read.value))
        }
        _ => {
            let expected = go_duration(case["expected"].as_str().unwrap_or_default());
            let read = duration(name, text, case["default"].as_str().unwrap_or_default());
            (json!(expected), json!(Ok::<_, String>(read.value)))
        }
    };
    compare(&expected, &got)
}

/// `watch-namespaces`: which namespaces a list means.
pub(crate) fn watch_namespaces(case: &Value) -> Outcome {
    const OWN: &str = "own";
    let expected = match &case["expected"] {
        Value::String(text) if text == "all namespaces" => Namespaces::All,
        Value::Array(names) => {
            let names = names.iter().filter_map(Value::as_str);
            Namespaces::Named(names.map(str::to_owned).collect())
        }
        _ => Namespaces::Named(BTreeSet::from([OWN.to_owned()])),
    };
    let got = Namespaces::parse(case["input"].as_str().unwrap_or_default(), OWN);
    compare(&json!(format!("{expected:?}")), &json!(format!("{got:?}")))
}

fn compare(expected: &Value, got: &Value) -> Outcome {
    if expected == got {
        return Outcome::Passed;
    }
    Outcome::Failed {
        expected: expected.to_string(),
        got: got.to_string(),
    }
}
