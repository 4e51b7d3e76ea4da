//! Label selectors as Kubernetes evaluates them. One that is invalid matches nothing, with a
//! remark.
//!
//! Kubernetes, "Labels and Selectors": syntax of keys and values, set-based requirements.

use std::collections::{BTreeMap, BTreeSet};

use super::spec::{LabelRequirement, LabelSelector};

/// What an Application's labels must be like.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Labels {
    /// There is no selector, or it demands nothing.
    #[default]
    Any,
    /// Every requirement must hold.
    All(Vec<Requirement>),
    /// The selector cannot be evaluated.
    Nothing,
}

/// One requirement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Requirement {
    key: String,
    operator: Operator,
    values: BTreeSet<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    In,
    NotIn,
    Exists,
    DoesNotExist,
}

/// Why a selector matches nothing: the field behind the selector, the value, the message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LabelError {
    /// For example `matchExpressions[0].operator`.
    pub field: String,
    /// As written.
    pub value: String,
    /// What is wrong.
    pub message: &'static str,
}

impl Labels {
    /// Reads a selector; with an error comes [`Labels::Nothing`].
    #[must_use]
    pub fn read(selector: Option<&LabelSelector>) -> (Self, Option<LabelError>) {
        let Some(selector) = selector else {
            return (Self::Any, None);
        };
        let equal = selector.match_labels.iter().map(|(key, value)| {
            let values = std::slice::from_ref(value);
            requirement(
                &format!("matchLabels[\"{key}\"]"),
                key,
                Operator::In,
                values,
            )
        });
        let expressions = (0..).zip(&selector.match_expressions);
        let expressions = expressions.map(|(index, one)| expression(index, one));
        let all: Result<Vec<_>, _> = equal.chain(expressions).collect();
        match all {
            Ok(all) if all.is_empty() => (Self::Any, None),
            Ok(all) => (Self::All(all), None),
            Err(error) => (Self::Nothing, Some(error)),
        }
    }

    /// Whether an Application with these labels is meant.
    #[must_use]
    pub fn match_labels(&self, labels: &BTreeMap<String, String>) -> bool {
        match self {
            Self::Any => true,
            Self::Nothing => false,
            Self::All(all) => all.iter().all(|one| one.holds(labels.get(&one.key))),
        }
    }
}

impl Requirement {
    fn holds(&self, value: Option<&String>) -> bool {
        match self.operator {
            Operator::In => value.is_some_and(|value| self.values.contains(value)),
            Operator::NotIn => value.is_none_or(|value| !self.values.contains(value)),
            Operator::Exists => value.is_some(),
            Operator::DoesNotExist => value.is_none(),
        }
    }
}

fn expression(index: usize, one: &LabelRequirement) -> Result<Requirement, LabelError> {
    let at = format!("matchExpressions[{index}]");
    let operator = match one.operator.as_str() {
        "In" => Operator::In,
        "NotIn" => Operator::NotIn,
        "Exists" => Operator::Exists,
        "DoesNotExist" => Operator::DoesNotExist,
        other => {
            return Err(LabelError {
                field: format!("{at}.operator"),
                value: other.to_owned(),
                message: "this is not `In`, `NotIn`, `Exists` or `DoesNotExist`",
            });
        }
    };
    requirement(&at, &one.key, operator, &one.values)
}

fn requirement(
    at: &str,
    key: &str,
    operator: Operator,
    values: &[String],
) -> Result<Requirement, LabelError> {
    let refuse = |field: &str, value: &str, message| {
        Err(LabelError {
            field: format!("{at}{field}"),
            value: value.to_owned(),
            message,
        })
    };
    if !is_key(key) {
        return refuse(".key", key, "this is no key of a label");
    }
    let takes_values = matches!(operator, Operator::In | Operator::NotIn);
    if takes_values == values.is_empty() {
        let message = match takes_values {
            true => "`In` and `NotIn` need values",
            false => "`Exists` and `DoesNotExist` take no values",
        };
        return refuse(".values", &values.join(", "), message);
    }
    if let Some(bad) = values.iter().find(|value| !is_value(value)) {
        return refuse("", bad, "this is no value of a label");
    }
    Ok(Requirement {
        key: key.to_owned(),
        operator,
        values: values.iter().cloned().collect(),
    })
}

/// `[prefix/]name`, the prefix a DNS subdomain.
fn is_key(key: &str) -> bool {
    let (prefix, name) = match key.split_once('/') {
        Some((prefix, name)) => (Some(prefix), name),
        None => (None, key),
    };
    let label = |label: &str| {
        let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        !label.is_empty()
            && label.bytes().all(inner)
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let prefix_holds = |prefix: &str| prefix.len() <= 253 && prefix.split('.').all(label);
    !name.is_empty() && is_value(name) && prefix.is_none_or(prefix_holds)
}

/// At most 63 characters; letters and digits at both ends, `-`, `_` and `.` between them.
fn is_value(value: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    let end = |byte: Option<u8>| byte.is_none_or(|byte| byte.is_ascii_alphanumeric());
    value.len() <= 63
        && value.bytes().all(inner)
        && end(value.bytes().next())
        && end(value.bytes().last())
}
