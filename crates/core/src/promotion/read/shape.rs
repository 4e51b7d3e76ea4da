//! The shape of a document: every field that is unknown, missing or of another type, with its path.

use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_path_to_error::{Path, Segment};

use super::super::error::{Findings, shown};
use crate::nearest::nearest;

/// Errors of shape that are gathered from one document; each costs a reading.
const ERRORS_MAX: usize = 50;

/// Reads `value`, which stands at `at`. A wrong part is reported, taken out, and the rest read on.
pub(super) fn read<T: DeserializeOwned>(
    at: &str,
    value: &Value,
    findings: &mut Findings,
) -> Option<T> {
    let mut rest = value.clone();
    let mut removed = Removed::default();
    for _ in 0..ERRORS_MAX {
        let error = match serde_path_to_error::deserialize::<_, T>(&rest) {
            Ok(read) => return removed.places.is_empty().then_some(read),
            Err(error) => error,
        };
        let steps = steps(error.path());
        let original = removed.original(&steps);
        if !removed.explains(&original, error.inner()) {
            report(at, &original, value, error.inner(), findings);
        }
        if !removed.take(&mut rest, steps) {
            return None;
        }
    }
    None
}

/// One step of a path.
#[derive(Debug, Clone, PartialEq)]
enum Step {
    Key(String),
    Index(usize),
}

fn steps(path: &Path) -> Vec<Step> {
    let step = |segment: &Segment| match segment {
        Segment::Seq { index } => Some(Step::Index(*index)),
        Segment::Map { key } => Some(Step::Key(key.clone())),
        Segment::Enum { variant } => Some(Step::Key(variant.clone())),
        Segment::Unknown => None,
    };
    path.iter().filter_map(step).collect()
}

/// What was taken out, so that later items keep the numbers they have in the document.
#[derive(Default)]
struct Removed {
    places: Vec<Vec<Step>>,
}

impl Removed {
    /// Steps in the document for steps in what is left of it.
    fn original(&self, steps: &[Step]) -> Vec<Step> {
        let mut original: Vec<Step> = Vec::new();
        for step in steps {
            let Step::Index(index) = step else {
                original.push(step.clone());
                continue;
            };
            let mut gone: Vec<usize> = self
                .places
                .iter()
                .filter_map(|place| match place.split_last() {
                    Some((Step::Index(index), list)) if list == original => Some(*index),
                    _ => None,
                })
                .collect();
            gone.sort_unstable();
            let number = gone
                .into_iter()
                .fold(*index, |number, gone| number + usize::from(gone <= number));
            original.push(Step::Index(number));
        }
        original
    }

    /// Whether a field is missing only because it was wrong and taken out.
    fn explains(&self, steps: &[Step], error: &serde_json::Error) -> bool {
        let text = error.to_string();
        let Some(missing) = text.strip_prefix("missing field `") else {
            return false;
        };
        let missing = missing.split('`').next().unwrap_or_default();
        self.places.iter().any(|place| match place.split_last() {
            Some((Step::Key(key), parent)) => key == missing && parent == steps,
            _ => false,
        })
    }

    /// Takes the part out. `false`: there is nothing to take out, or nothing left.
    fn take(&mut self, rest: &mut Value, mut steps: Vec<Step>) -> bool {
        // A path may be longer than the value: a field may be missing in it, or a key unknown.
        while !steps.is_empty() && lookup(rest, &steps).is_none() {
            steps.pop();
        }
        let original = self.original(&steps);
        let Some((last, list)) = steps.split_last() else {
            return false;
        };
        let gone = match (lookup_mut(rest, list), last) {
            (Some(Value::Object(map)), Step::Key(key)) => map.shift_remove(key).is_some(),
            (Some(Value::Array(items)), Step::Index(index)) if *index < items.len() => {
                items.remove(*index);
                true
            }
            _ => false,
        };
        self.places.push(original);
        gone
    }
}

fn lookup<'a>(value: &'a Value, steps: &[Step]) -> Option<&'a Value> {
    steps.iter().try_fold(value, |value, step| match step {
        Step::Key(key) => value.get(key),
        Step::Index(index) => value.get(index),
    })
}

fn lookup_mut<'a>(value: &'a mut Value, steps: &[Step]) -> Option<&'a mut Value> {
    steps.iter().try_fold(value, |value, step| match step {
        Step::Key(key) => value.get_mut(key),
        Step::Index(index) => value.get_mut(index),
    })
}

fn report(
    at: &str,
    steps: &[Step],
    whole: &Value,
    error: &serde_json::Error,
    findings: &mut Findings,
) {
    let mut field = at.to_owned();
    for step in steps {
        match step {
            Step::Key(key) => field.push_str(&format!(".{key}")),
            Step::Index(index) => field.push_str(&format!("[{index}]")),
        }
    }
    let text = error.to_string();
    let mut quoted = text.split('`').skip(1).step_by(2);
    let subject = quoted.next().unwrap_or_default();
    let known: Vec<&str> = quoted.collect();
    let near = nearest(subject, known.iter().copied());
    let among = format!("known are `{}`", known.join("`, `"));
    let hint = match near {
        Some(near) => format!("did you mean `{near}`?"),
        None if known.is_empty() => "see the reference of policies".to_owned(),
        None => among,
    };
    // The parser quotes values, and a value may be a key that somebody pasted in the wrong place.
    let (message, hint) = if text.starts_with("unknown field") {
        (format!("there is no field `{subject}`"), hint)
    } else if text.starts_with("unknown variant") {
        (format!("`{subject}` is not known here"), hint)
    } else if text.starts_with("missing field") {
        let field = format!("the field `{subject}` is missing");
        (field, format!("write `{subject}`"))
    } else if text.starts_with("invalid length") {
        let message = "more than one way is named, and exactly one may be".to_owned();
        (message, "keep one of them".to_owned())
    } else {
        let expected = text.rsplit_once("expected ").map(|(_, expected)| expected);
        let message = match expected {
            Some(expected) => format!("this is not {expected}"),
            None => text.clone(),
        };
        let hint = match text.contains("integer `") || text.contains("boolean `") {
            true => "a text is wanted: put it in quotes",
            false => "see the reference of policies",
        };
        (message, hint.to_owned())
    };
    let value = lookup(whole, steps).filter(|_| !field.contains("inline"));
    let value = value.filter(|value| !value.is_object() && !value.is_array());
    match value {
        Some(value) => findings.invalid(field, shown(value), message, hint),
        None => findings.error(
            crate::reason::Reason::PolicyInvalid,
            field,
            None,
            message,
            hint,
        ),
    }
}
