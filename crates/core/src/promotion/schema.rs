//! The JSON Schema of policy documents, and the CRDs, both generated from the types of
//! [`super::spec`].
//!
//! JSON Schema 2020-12; Kubernetes `apiextensions.k8s.io/v1`, "structural schemas".

pub(crate) mod crd;

use schemars::SchemaGenerator;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use super::read::{API_VERSION, Kind};
use super::spec::{ExceptionSpec, PolicySpec};

pub use crd::crds;

/// How the documentation of a section begins that is refused at load.
const NOT_AVAILABLE: &str = "Not available in this version";

/// The JSON Schema of a document of any kind, for editors and pipelines.
#[must_use]
pub fn json_schema() -> Value {
    let mut generator = SchemaGenerator::new(SchemaSettings::draft2020_12());
    let policy = generator.subschema_for::<PolicySpec>().to_value();
    let exception = generator.subschema_for::<ExceptionSpec>().to_value();
    let mut definitions = Map::new();
    for (name, mut definition) in generator.take_definitions(true) {
        refuse_unavailable(&mut definition);
        if name == "PolicySpec"
            && let Some(object) = definition.as_object_mut()
        {
            let required = |name: &str| json!({ "required": [name] });
            let either = json!([required("signatures"), required("unsafeNoSignatures")]);
            object.insert("oneOf".to_owned(), either);
        }
        definitions.insert(name, definition);
    }
    let document = |kind: Kind, spec: &Value| {
        json!({
            "type": "object",
            "properties": {
                "apiVersion": { "const": API_VERSION },
                "kind": { "const": kind.name() },
                "metadata": {
                    "type": "object",
                    "properties": { "name": { "type": "string", "minLength": 1 } },
                    "required": ["name"]
                },
                "spec": spec,
                "status": { "type": "object" }
            },
            "required": ["apiVersion", "kind", "metadata", "spec"],
            "additionalProperties": false
        })
    };
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Policies of Sealift",
        "oneOf": [
            document(Kind::PromotionPolicy, &policy),
            document(Kind::ClusterPromotionPolicy, &policy),
            document(Kind::PolicyException, &exception),
        ],
        "$defs": definitions
    })
}

/// Whatever stands in a section that is not available is wrong.
fn refuse_unavailable(schema: &mut Value) {
    let Some(object) = schema.as_object_mut() else {
        return;
    };
    let unavailable = object
        .get("description")
        .and_then(Value::as_str)
        .is_some_and(|text| text.starts_with(NOT_AVAILABLE));
    if unavailable {
        object.insert("not".to_owned(), json!({}));
    }
    object.values_mut().for_each(|value| match value {
        Value::Array(items) => items.iter_mut().for_each(refuse_unavailable),
        other => refuse_unavailable(other),
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_described_and_sections_of_later_versions_are_refused() {
        let schema = json_schema();
        let kinds = schema["oneOf"].as_array().unwrap();
        assert_eq!(kinds.len(), Kind::ALL.len());
        let policy = &schema["$defs"]["PolicySpec"];
        assert_eq!(policy["additionalProperties"], false);
        assert_eq!(policy["properties"]["gates"]["not"], json!({}));
        assert!(policy["properties"]["images"].get("not").is_none());
    }
}
