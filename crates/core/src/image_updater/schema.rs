//! The CRD of `ImageUpdater`, generated from the types of [`super::spec`] and [`super::status`].
//!
//! Unlike our own kinds this one prunes fields that it does not name, as the CRD does that it takes
//! the place of. Kubernetes `apiextensions.k8s.io/v1`, "structural schemas".

use std::sync::LazyLock;

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, SchemaGenerator};
use serde_json::{Map, Value, json};

use super::spec::ImageUpdaterSpec;
use super::status::ImageUpdaterStatus;
use super::{GROUP, KIND};
use crate::promotion::schema::crd::{one_type, without_null};

/// File name of the CRD.
pub const FILE_NAME: &str = "imageupdaters.yaml";

/// The schema of `spec`, as an API server has it.
static SPEC: LazyLock<Value> = LazyLock::new(schema_of::<ImageUpdaterSpec>);

/// The schema of `spec`, as an API server has it.
#[must_use]
pub fn spec() -> &'static Value {
    &SPEC
}

/// The CRD.
#[must_use]
pub fn crd() -> Value {
    let column = |name: &str, kind: &str, path: &str| json!({ "name": name, "type": kind, "jsonPath": path });
    json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": { "name": format!("imageupdaters.{GROUP}") },
        "spec": {
            "group": GROUP,
            "scope": "Namespaced",
            "names": {
                "kind": KIND,
                "listKind": format!("{KIND}List"),
                "plural": "imageupdaters",
                "singular": "imageupdater"
            },
            "versions": [{
                "name": "v1alpha1",
                "served": true,
                "storage": true,
                "subresources": { "status": {} },
                "additionalPrinterColumns": [
                    column("Apps", "integer", ".status.applicationsMatched"),
                    column("Images", "integer", ".status.imagesManaged"),
                    column("Last Checked", "date", ".status.lastCheckedAt"),
                    column("Ready", "string", ".status.conditions[?(@.type==\"Ready\")].status"),
                ],
                "schema": { "openAPIV3Schema": {
                    "type": "object",
                    "required": ["spec"],
                    "properties": {
                        "apiVersion": { "type": "string" },
                        "kind": { "type": "string" },
                        "metadata": { "type": "object" },
                        "spec": spec(),
                        "status": schema_of::<ImageUpdaterStatus>()
                    }
                } }
            }]
        }
    })
}

fn schema_of<T: JsonSchema>() -> Value {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.inline_subschemas = true;
        settings.meta_schema = None;
    });
    let schema = SchemaGenerator::new(settings).into_root_schema_for::<T>();
    structural(&schema.to_value())
}

/// Keywords that both dialects write the same.
const SHARED: &[&str] = &[
    "description",
    "default",
    "enum",
    "format",
    "maxItems",
    "maxLength",
    "maximum",
    "minItems",
    "minLength",
    "minimum",
    "pattern",
    "required",
    "x-kubernetes-list-map-keys",
    "x-kubernetes-list-type",
    "x-kubernetes-map-type",
    "x-kubernetes-validations",
];

/// A schema as Kubernetes takes it: one type each, absent instead of null.
fn structural(schema: &Value) -> Value {
    let mut made = Map::new();
    let Some(object) = schema.as_object() else {
        return Value::Object(made);
    };
    if let Some(kind) = one_type(object) {
        made.insert("type".to_owned(), kind.into());
    }
    let shared = SHARED
        .iter()
        .filter_map(|name| Some((*name, object.get(*name)?)));
    for (name, value) in shared.filter(|(_, value)| !value.is_null()) {
        made.insert(name.to_owned(), value.clone());
    }
    let inner = without_null(object).map(structural);
    for (name, value) in inner.iter().filter_map(Value::as_object).flatten() {
        made.entry(name.clone()).or_insert_with(|| value.clone());
    }
    if let Some(properties) = object.get("properties").and_then(Value::as_object) {
        let properties = properties
            .iter()
            .map(|(name, schema)| (name.clone(), structural(schema)));
        made.insert("properties".to_owned(), Value::Object(properties.collect()));
    }
    for name in ["items", "additionalProperties"] {
        if let Some(schema) = object.get(name).filter(|schema| schema.is_object()) {
            made.insert(name.to_owned(), structural(schema));
        }
    }
    Value::Object(made)
}
