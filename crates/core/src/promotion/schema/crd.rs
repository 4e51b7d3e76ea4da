//! CRDs: the schema of the types, made structural.
//!
//! Kubernetes prunes what a schema does not name, and then the strict reader would never see a
//! mistyped field. So every object keeps unknown fields. What may be written in two ways has no
//! type there; the reader checks it.

use schemars::SchemaGenerator;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use super::super::read::Kind;
use super::super::spec::{ExceptionSpec, PolicySpec};

const KEEP: &str = "x-kubernetes-preserve-unknown-fields";

/// File name and CRD of each kind.
#[must_use]
pub fn crds() -> Vec<(&'static str, Value)> {
    let policy = spec_of(&generator().into_root_schema_for::<PolicySpec>().to_value());
    let exception = spec_of(
        &generator()
            .into_root_schema_for::<ExceptionSpec>()
            .to_value(),
    );
    let mut namespaced = policy.clone();
    if let Some(properties) = namespaced
        .pointer_mut("/properties")
        .and_then(Value::as_object_mut)
    {
        properties.shift_remove("unmatched");
    }
    let policy_columns = [("Mode", ".spec.mode"), ("Profile", ".spec.profile")];
    let exception_columns = [("Policy", ".spec.policy"), ("Until", ".spec.until")];
    vec![
        (
            "promotionpolicies.yaml",
            crd(
                Kind::PromotionPolicy,
                "promotionpolicies",
                demanding(namespaced),
                &policy_columns,
            ),
        ),
        (
            "clusterpromotionpolicies.yaml",
            crd(
                Kind::ClusterPromotionPolicy,
                "clusterpromotionpolicies",
                demanding(policy),
                &policy_columns,
            ),
        ),
        (
            "policyexceptions.yaml",
            crd(
                Kind::PolicyException,
                "policyexceptions",
                exception,
                &exception_columns,
            ),
        ),
    ]
}

fn generator() -> SchemaGenerator {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.inline_subschemas = true;
        settings.meta_schema = None;
    });
    SchemaGenerator::new(settings)
}

fn spec_of(schema: &Value) -> Value {
    let mut spec = structural(schema);
    if let Some(object) = spec.as_object_mut() {
        object.shift_remove("title");
    }
    spec
}

/// A policy demands signatures, or says that it does not and why.
fn demanding(mut spec: Value) -> Value {
    if let Some(object) = spec.as_object_mut() {
        object.insert(
            "x-kubernetes-validations".to_owned(),
            json!([{
                "rule": "has(self.signatures) != has(self.unsafeNoSignatures)",
                "message": "write `signatures`, or `unsafeNoSignatures` with a reason; not both"
            }]),
        );
    }
    spec
}

fn crd(kind: Kind, plural: &str, spec: Value, columns: &[(&str, &str)]) -> Value {
    let scope = match kind {
        Kind::ClusterPromotionPolicy => "Cluster",
        Kind::PromotionPolicy | Kind::PolicyException => "Namespaced",
    };
    let column =
        |(name, path): &(&str, &str)| json!({ "name": name, "type": "string", "jsonPath": path });
    let mut printed: Vec<Value> = columns.iter().map(column).collect();
    printed.push(column(&(
        "Ready",
        ".status.conditions[?(@.type==\"Ready\")].status",
    )));
    printed.push(json!({
        "name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"
    }));
    json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": { "name": format!("{plural}.sealift.dev") },
        "spec": {
            "group": "sealift.dev",
            "scope": scope,
            "names": {
                "kind": kind.name(),
                "listKind": format!("{}List", kind.name()),
                "plural": plural,
                "singular": kind.name().to_lowercase(),
                "categories": ["sealift"]
            },
            "versions": [{
                "name": "v1alpha1",
                "served": true,
                "storage": true,
                "subresources": { "status": {} },
                "additionalPrinterColumns": printed,
                "schema": { "openAPIV3Schema": {
                    "type": "object",
                    "required": ["spec"],
                    "properties": {
                        "apiVersion": { "type": "string" },
                        "kind": { "type": "string" },
                        "metadata": { "type": "object" },
                        "spec": spec,
                        "status": status()
                    }
                } }
            }]
        }
    })
}

/// `metav1.Condition`, and what was read last.
fn status() -> Value {
    let text = || json!({ "type": "string" });
    json!({
        "type": "object",
        KEEP: true,
        "properties": {
            "observedGeneration": { "type": "integer", "format": "int64" },
            "hash": text(),
            "conditions": {
                "type": "array",
                "x-kubernetes-list-type": "map",
                "x-kubernetes-list-map-keys": ["type"],
                "items": {
                    "type": "object",
                    "required": ["type", "status", "lastTransitionTime", "reason", "message"],
                    "properties": {
                        "type": text(),
                        "status": { "type": "string", "enum": ["True", "False", "Unknown"] },
                        "observedGeneration": { "type": "integer", "format": "int64" },
                        "lastTransitionTime": { "type": "string", "format": "date-time" },
                        "reason": text(),
                        "message": text()
                    }
                }
            }
        }
    })
}

/// A schema as Kubernetes takes it.
fn structural(schema: &Value) -> Value {
    let Some(object) = schema.as_object() else {
        return json!({ KEEP: true });
    };
    let mut made = Map::new();
    if let Some(description) = object.get("description") {
        made.insert("description".to_owned(), description.clone());
    }
    if let Some(inner) = without_null(object) {
        let inner = structural(inner);
        for (name, value) in inner.as_object().into_iter().flatten() {
            made.entry(name.clone()).or_insert_with(|| value.clone());
        }
        return Value::Object(made);
    }
    if let Some(variants) = object.get("oneOf").and_then(Value::as_array) {
        union(variants, &mut made);
        return Value::Object(made);
    }
    match one_type(object).as_deref() {
        Some("object") => map_or_struct(object, &mut made),
        Some("array") => {
            made.insert("type".to_owned(), "array".into());
            let items = object
                .get("items")
                .map_or_else(|| json!({ KEEP: true }), structural);
            made.insert("items".to_owned(), items);
        }
        Some(scalar) => {
            made.insert("type".to_owned(), scalar.into());
            for name in ["enum", "minimum", "maximum", "pattern"] {
                if let Some(value) = object.get(name) {
                    made.insert(name.to_owned(), value.clone());
                }
            }
        }
        None => {
            made.insert(KEEP.to_owned(), true.into());
        }
    }
    Value::Object(made)
}

/// The other schema of `anyOf: [schema, null]`.
pub(crate) fn without_null(object: &Map<String, Value>) -> Option<&Value> {
    let variants = object.get("anyOf")?.as_array()?;
    let is_null = |schema: &&Value| schema.get("type").is_some_and(|kind| kind == "null");
    match variants.iter().find(is_null).is_some() && variants.len() == 2 {
        true => variants.iter().find(|schema| !is_null(schema)),
        false => None,
    }
}

pub(crate) fn one_type(object: &Map<String, Value>) -> Option<String> {
    match object.get("type")? {
        Value::String(one) => Some(one.clone()),
        Value::Array(several) => {
            let mut real = several
                .iter()
                .filter_map(Value::as_str)
                .filter(|kind| *kind != "null");
            real.next().map(str::to_owned)
        }
        _ => None,
    }
}

fn map_or_struct(object: &Map<String, Value>, made: &mut Map<String, Value>) {
    made.insert("type".to_owned(), "object".into());
    let properties = object.get("properties").and_then(Value::as_object);
    match (properties, object.get("additionalProperties")) {
        (None, Some(values)) if values.is_object() => {
            made.insert("additionalProperties".to_owned(), structural(values));
        }
        (properties, _) => {
            made.insert(KEEP.to_owned(), true.into());
            if let Some(required) = object.get("required") {
                made.insert("required".to_owned(), required.clone());
            }
            if let Some(properties) = properties {
                let properties = properties
                    .iter()
                    .map(|(name, schema)| (name.clone(), structural(schema)));
                made.insert("properties".to_owned(), Value::Object(properties.collect()));
            }
        }
    }
}

/// Words, or objects of which each has one field of its own.
fn union(variants: &[Value], made: &mut Map<String, Value>) {
    let words = variants.iter().flat_map(|variant| {
        let single = variant.get("const").cloned();
        let several = variant.get("enum").and_then(Value::as_array).cloned();
        single.into_iter().chain(several.into_iter().flatten())
    });
    let words: Vec<Value> = words.collect();
    if !words.is_empty() {
        made.insert("type".to_owned(), "string".into());
        made.insert("enum".to_owned(), words.into());
        return;
    }
    let mut properties = Map::new();
    let mut exactly_one = Vec::new();
    for variant in variants {
        let named = variant.get("properties").and_then(Value::as_object);
        for (name, schema) in named.into_iter().flatten() {
            let mut field = structural(schema);
            if let (Some(field), Some(text)) = (field.as_object_mut(), variant.get("description")) {
                field.insert("description".to_owned(), text.clone());
            }
            properties.insert(name.clone(), field);
            exactly_one.push(json!({ "required": [name] }));
        }
    }
    made.insert("type".to_owned(), "object".into());
    made.insert(KEEP.to_owned(), true.into());
    made.insert("properties".to_owned(), Value::Object(properties));
    made.insert("oneOf".to_owned(), exactly_one.into());
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Kubernetes, "Specifying a structural schema", rules 1 to 3, and no reference anywhere.
    fn check(schema: &Value, at: &str) {
        let object = schema
            .as_object()
            .unwrap_or_else(|| panic!("{at}: {schema}"));
        for name in [
            "$ref", "anyOf", "allOf", "not", "const", "nullable", "format", "title",
        ] {
            let time = ["int64", "date-time"].map(Value::from);
            let known = name == "format" && object.get(name).is_none_or(|it| time.contains(it));
            assert!(known || !object.contains_key(name), "{at}: {name}");
        }
        let keeps = object.get(KEEP) == Some(&Value::Bool(true));
        match object.get("type").and_then(Value::as_str) {
            None => assert!(keeps, "{at}: no type"),
            Some("object") if object.contains_key("properties") => {
                assert!(
                    keeps || at.ends_with("items") || at.is_empty(),
                    "{at}: prunes"
                );
                assert!(!object.contains_key("additionalProperties"), "{at}");
            }
            Some("array") => check(&object["items"], &format!("{at}.items")),
            Some(_) => {}
        }
        if let Some(values) = object.get("additionalProperties") {
            check(values, &format!("{at}.*"));
        }
        for one in object
            .get("oneOf")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
        {
            let fields: Vec<_> = one.as_object().unwrap().keys().collect();
            assert_eq!(fields, ["required"], "{at}");
        }
        let properties = object.get("properties").and_then(Value::as_object);
        for (name, schema) in properties.into_iter().flatten() {
            if !(at.is_empty() && name == "metadata") {
                check(schema, &format!("{at}.{name}"));
            }
        }
    }

    #[test]
    fn every_crd_is_structural_and_keeps_unknown_fields() {
        for (_, crd) in crds() {
            let version = &crd["spec"]["versions"][0];
            check(&version["schema"]["openAPIV3Schema"], "");
        }
    }

    #[test]
    fn the_parts_that_matter_are_there() {
        let crds = crds();
        let spec = |index: usize| {
            let crd: &Value = &crds[index].1;
            crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"].clone()
        };
        let (namespaced, cluster) = (spec(0), spec(1));
        assert_eq!(namespaced["properties"].get("unmatched"), None);
        assert_eq!(
            cluster["properties"]["unmatched"]["enum"],
            json!(["allow", "refuse"])
        );
        assert_eq!(namespaced["properties"]["images"]["type"], "array");
        let key = &namespaced["properties"]["authorities"]["items"]["properties"]["key"];
        assert_eq!(key[KEEP], true);
        let root = &namespaced["properties"]["defaults"]["properties"]["trustRoot"];
        assert_eq!(root["oneOf"].as_array().unwrap().len(), 4);
        assert_eq!(
            spec(2)["properties"]["image"]["properties"]["digest"]["pattern"],
            "^sha256:[0-9a-f]{64}$"
        );
    }
}
