//! Argo CD's definitions, as far as Sealift reads and writes them.
//!
//! In our own words: the fields that matter have their types, so that the real API server prunes
//! and validates around them as it does in a cluster; everything else of a `spec` or `status` is
//! kept as it is. Argo CD 3, `Application` and `AppProject` (`argoproj.io/v1alpha1`). Unlike
//! policies, an Application has no status subresource: Argo CD writes spec and status in one
//! object.

use serde_json::{Value, json};

/// `Application` and `AppProject`.
pub(super) fn argocd() -> [Value; 2] {
    let application = json!({
        "type": "object",
        "required": ["metadata", "spec"],
        "properties": {
            "apiVersion": { "type": "string" },
            "kind": { "type": "string" },
            "metadata": { "type": "object" },
            "operation": open(json!({})),
            "spec": open(json!({
                "project": { "type": "string" },
                "source": source(),
                "sources": { "type": "array", "items": source() },
                "sourceHydrator": open(json!({ "drySource": source() })),
                "destination": open(json!({})),
                "syncPolicy": open(json!({})),
            })),
            "status": open(json!({
                "sourceType": { "type": "string" },
                "sourceTypes": texts(),
                "summary": open(json!({ "images": texts() })),
            })),
        },
    });
    let project = json!({
        "type": "object",
        "required": ["metadata", "spec"],
        "properties": {
            "apiVersion": { "type": "string" },
            "kind": { "type": "string" },
            "metadata": { "type": "object" },
            "spec": open(json!({ "sourceRepos": texts(), "sourceNamespaces": texts() })),
            "status": open(json!({})),
        },
    });
    [
        definition("Application", &["app", "apps"], application),
        definition("AppProject", &["appproj", "appprojs"], project),
    ]
}

fn definition(kind: &str, short: &[&str], schema: Value) -> Value {
    let singular = kind.to_lowercase();
    let plural = format!("{singular}s");
    json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": { "name": format!("{plural}.argoproj.io"), "annotations": {
            "api-approved.kubernetes.io": "unapproved, a test's own words" } },
        "spec": {
            "group": "argoproj.io",
            "scope": "Namespaced",
            "names": { "kind": kind, "listKind": format!("{kind}List"), "plural": plural,
                       "singular": singular, "shortNames": short },
            "versions": [{ "name": "v1alpha1", "served": true, "storage": true,
                           "schema": { "openAPIV3Schema": schema } }],
        },
    })
}

/// One source: what Argo CD may be told about images.
fn source() -> Value {
    let named = |more: Value| {
        let mut properties = json!({ "name": { "type": "string" }, "value": { "type": "string" } });
        merge(&mut properties, more);
        json!({ "type": "array", "items": open(properties) })
    };
    open(json!({
        "repoURL": { "type": "string" },
        "path": { "type": "string" },
        "targetRevision": { "type": "string" },
        "chart": { "type": "string" },
        "ref": { "type": "string" },
        "helm": open(json!({
            "parameters": named(json!({ "forceString": { "type": "boolean" } })),
            "valueFiles": texts(),
            "values": { "type": "string" },
        })),
        "kustomize": open(json!({ "images": texts() })),
        "plugin": open(json!({ "name": { "type": "string" }, "env": named(json!({})) })),
    }))
}

fn texts() -> Value {
    json!({ "type": "array", "items": { "type": "string" } })
}

/// An object of which only some fields are typed.
fn open(properties: Value) -> Value {
    json!({ "type": "object", "x-kubernetes-preserve-unknown-fields": true,
            "properties": properties })
}

fn merge(into: &mut Value, more: Value) {
    if let (Value::Object(into), Value::Object(more)) = (into, more) {
        into.extend(more);
    }
}
