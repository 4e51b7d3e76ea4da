//! A value against a structural schema, as an API server admits it: what it prunes is taken out
//! with a remark, what it refuses is an error with its field, value and hint.
//!
//! Rules in CEL are not evaluated here; [`super::read`] says the same in Rust. Kubernetes, "Extend
//! the Kubernetes API with CustomResourceDefinitions": validation, pruning, nulls.

use std::collections::{BTreeMap, BTreeSet};

use regex::Regex;
use serde_json::{Map, Value};

use super::read::Findings;
use crate::nearest::nearest;
use crate::promotion::error::shown;

/// Checks `value`, which stands at `path`, and takes out what an API server would prune.
pub(super) fn check(schema: &Value, value: &mut Value, path: &str, findings: &mut Findings) {
    let mut checker = Checker {
        findings,
        patterns: BTreeMap::new(),
    };
    checker.value(schema, value, path);
}

struct Checker<'a> {
    findings: &'a mut Findings,
    patterns: BTreeMap<String, Option<Regex>>,
}

impl Checker<'_> {
    fn value(&mut self, schema: &Value, value: &mut Value, path: &str) {
        let kind = schema
            .get("type")
            .and_then(Value::as_str)
            .unwrap_or_default();
        let article = match kind {
            "object" | "array" | "integer" => "an",
            _ => "a",
        };
        match (kind, value) {
            ("object", Value::Object(object)) => self.object(schema, object, path),
            ("array", Value::Array(items)) => self.array(schema, items, path),
            ("string", Value::String(text)) => self.text(schema, text, path),
            ("boolean", Value::Bool(_)) => {}
            ("integer", Value::Number(number)) if number.is_i64() => {}
            (_, other) => {
                let hint = match kind {
                    "string" => "put it in quotes",
                    "boolean" => "write `true` or `false`, without quotes",
                    _ => "see the page about ImageUpdaters",
                };
                let message = format!("this is not {article} {kind}");
                let value = shown(other);
                self.findings.invalid(path, &value, message, hint);
            }
        }
    }

    fn object(&mut self, schema: &Value, object: &mut Map<String, Value>, path: &str) {
        object.retain(|_, value| !value.is_null());
        if let Some(values) = schema.get("additionalProperties") {
            for (key, value) in object.iter_mut() {
                self.value(values, value, &format!("{path}[\"{key}\"]"));
            }
            return;
        }
        let empty = Map::new();
        let known = schema.get("properties").and_then(Value::as_object);
        let known = known.unwrap_or(&empty);
        object.retain(|key, _| {
            let is_known = known.contains_key(key);
            if !is_known {
                self.findings
                    .pruned(path, key, known.keys().map(String::as_str));
            }
            is_known
        });
        let required = schema.get("required").and_then(Value::as_array);
        for name in required.into_iter().flatten().filter_map(Value::as_str) {
            if !object.contains_key(name) {
                let field = format!("{path}.{name}");
                let message = "the field is missing";
                self.findings
                    .invalid(&field, "", message, format!("write `{name}`"));
            }
        }
        for (key, value) in object.iter_mut() {
            if let Some(schema) = known.get(key) {
                self.value(schema, value, &format!("{path}.{key}"));
            }
        }
    }

    fn array(&mut self, schema: &Value, items: &mut [Value], path: &str) {
        let count = items.len();
        if let Some(least) = bound(schema, "minItems").filter(|least| count < *least) {
            let message = format!("there are {count} items, and at least {least} are needed");
            self.findings.invalid(path, "[]", message, "add one");
        }
        if let Some(most) = bound(schema, "maxItems").filter(|most| count > *most) {
            let message = format!("there are more than {most} items");
            let value = format!("{count} items");
            self.findings.invalid(path, &value, message, "remove some");
        }
        let keys = schema.get("x-kubernetes-list-map-keys");
        let key = keys.and_then(|keys| keys.get(0)?.as_str());
        let mut seen = BTreeSet::new();
        let items_schema = schema.get("items").unwrap_or(&Value::Null);
        for (index, item) in items.iter_mut().enumerate() {
            let at = format!("{path}[{index}]");
            if self.findings.is_full() {
                return;
            }
            self.value(items_schema, item, &at);
            let Some(key) = key else { continue };
            let identity = item.get(key).and_then(Value::as_str);
            if let Some(identity) = identity.filter(|text| !seen.insert((*text).to_owned())) {
                let message = format!("another item has the same `{key}`");
                let field = format!("{at}.{key}");
                self.findings
                    .invalid(&field, identity, message, "join the two, or rename one");
            }
        }
    }

    fn text(&mut self, schema: &Value, text: &str, path: &str) {
        let length = || text.chars().count();
        if let Some(least) = bound(schema, "minLength").filter(|least| length() < *least) {
            let message = format!("the text is shorter than {least} characters");
            self.findings
                .invalid(path, text, message, "leave it out, or write it");
        }
        if let Some(most) = bound(schema, "maxLength").filter(|most| length() > *most) {
            let message = format!("the text is longer than {most} characters");
            self.findings.invalid(path, text, message, "shorten it");
        }
        let Some(pattern) = schema.get("pattern").and_then(Value::as_str) else {
            return;
        };
        let compiled = self
            .patterns
            .entry(pattern.to_owned())
            .or_insert_with(|| Regex::new(pattern).ok());
        if !compiled.as_ref().is_some_and(|regex| regex.is_match(text)) {
            let message = "the text does not have the form that it needs";
            let hint = format!("it must match `{pattern}`");
            self.findings.invalid(path, text, message, hint);
        }
    }
}

impl Findings {
    /// A field that nobody knows; an API server drops it in silence.
    fn pruned<'a>(&mut self, path: &str, key: &str, known: impl Iterator<Item = &'a str>) {
        let near = match nearest(key, known) {
            Some(near) => format!("; did you mean `{near}`?"),
            None => String::new(),
        };
        let key: String = key.chars().take(200).collect();
        self.unknown(format!(
            "{path}.{key}: there is no such field, and it was ignored{near}"
        ));
    }
}

fn bound(schema: &Value, name: &str) -> Option<usize> {
    usize::try_from(schema.get(name)?.as_u64()?).ok()
}
