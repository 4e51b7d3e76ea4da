//! The CRD against the tables of the contract, row by row.

use serde_json::{Value, json};

use crate::image_updater::schema::crd;

fn version() -> Value {
    crd()["spec"]["versions"][0].clone()
}

/// The schema at a path such as `spec.applicationRefs[].images[].alias`.
fn at(path: &str) -> Value {
    let mut schema = version()["schema"]["openAPIV3Schema"].clone();
    for step in path.split('.').filter(|step| !step.is_empty()) {
        let name = step.trim_end_matches("[]");
        schema = schema["properties"][name].clone();
        if step.ends_with("[]") {
            schema = schema["items"].clone();
        }
    }
    schema
}

fn messages(path: &str) -> Vec<String> {
    let rules = at(path)["x-kubernetes-validations"].clone();
    let rules = rules.as_array().cloned().unwrap_or_default();
    rules
        .iter()
        .map(|rule| rule["message"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn names_scope_and_columns_are_those_of_the_contract() {
    let crd = crd();
    assert_eq!(
        crd["metadata"]["name"],
        "imageupdaters.argocd-image-updater.argoproj.io"
    );
    let spec = &crd["spec"];
    assert_eq!(spec["group"], "argocd-image-updater.argoproj.io");
    assert_eq!(spec["scope"], "Namespaced");
    assert_eq!(
        spec["names"],
        json!({ "kind": "ImageUpdater", "listKind": "ImageUpdaterList",
                "plural": "imageupdaters", "singular": "imageupdater" })
    );
    let version = version();
    assert_eq!(
        (&version["name"], &version["served"], &version["storage"]),
        (&json!("v1alpha1"), &json!(true), &json!(true))
    );
    assert_eq!(version["subresources"], json!({ "status": {} }));
    let columns: Vec<[&str; 3]> = version["additionalPrinterColumns"]
        .as_array()
        .unwrap()
        .iter()
        .map(|column| ["name", "type", "jsonPath"].map(|key| column[key].as_str().unwrap()))
        .collect();
    assert_eq!(
        columns,
        [
            ["Apps", "integer", ".status.applicationsMatched"],
            ["Images", "integer", ".status.imagesManaged"],
            ["Last Checked", "date", ".status.lastCheckedAt"],
            [
                "Ready",
                "string",
                ".status.conditions[?(@.type==\"Ready\")].status"
            ],
        ]
    );
}

/// Path, type, whether it is required.
const FIELDS: &[(&str, &str, bool)] = &[
    ("spec.applicationRefs", "array", true),
    ("spec.commonUpdateSettings", "object", false),
    ("spec.writeBackConfig", "object", false),
    ("spec.imagesVerification", "object", false),
    ("spec.applicationRefs[].namePattern", "string", true),
    ("spec.applicationRefs[].labelSelectors", "object", false),
    (
        "spec.applicationRefs[].labelSelectors.matchLabels",
        "object",
        false,
    ),
    (
        "spec.applicationRefs[].labelSelectors.matchExpressions",
        "array",
        false,
    ),
    ("spec.applicationRefs[].useAnnotations", "boolean", false),
    ("spec.applicationRefs[].images", "array", false),
    (
        "spec.applicationRefs[].commonUpdateSettings",
        "object",
        false,
    ),
    ("spec.applicationRefs[].writeBackConfig", "object", false),
    ("spec.applicationRefs[].imagesVerification", "object", false),
    ("spec.applicationRefs[].images[].alias", "string", true),
    ("spec.applicationRefs[].images[].imageName", "string", true),
    (
        "spec.applicationRefs[].images[].commonUpdateSettings",
        "object",
        false,
    ),
    (
        "spec.applicationRefs[].images[].imagesVerification",
        "object",
        false,
    ),
    (
        "spec.applicationRefs[].images[].manifestTargets",
        "object",
        false,
    ),
    (
        "spec.applicationRefs[].images[].manifestTargets.helm.name",
        "string",
        false,
    ),
    (
        "spec.applicationRefs[].images[].manifestTargets.helm.tag",
        "string",
        false,
    ),
    (
        "spec.applicationRefs[].images[].manifestTargets.helm.spec",
        "string",
        false,
    ),
    (
        "spec.applicationRefs[].images[].manifestTargets.kustomize.name",
        "string",
        true,
    ),
    (
        "spec.applicationRefs[].images[].manifestTargets.plugin.name",
        "string",
        false,
    ),
    (
        "spec.applicationRefs[].images[].manifestTargets.plugin.tag",
        "string",
        false,
    ),
    (
        "spec.applicationRefs[].images[].manifestTargets.plugin.spec",
        "string",
        false,
    ),
    ("spec.commonUpdateSettings.updateStrategy", "string", false),
    ("spec.commonUpdateSettings.forceUpdate", "boolean", false),
    ("spec.commonUpdateSettings.allowTags", "string", false),
    ("spec.commonUpdateSettings.ignoreTags", "array", false),
    ("spec.commonUpdateSettings.pullSecret", "string", false),
    ("spec.commonUpdateSettings.platforms", "array", false),
    ("spec.writeBackConfig.method", "string", false),
    ("spec.writeBackConfig.gitConfig.repository", "string", false),
    ("spec.writeBackConfig.gitConfig.branch", "string", false),
    (
        "spec.writeBackConfig.gitConfig.writeBackTarget",
        "string",
        false,
    ),
    (
        "spec.writeBackConfig.gitConfig.pullRequest.github",
        "object",
        false,
    ),
    (
        "spec.writeBackConfig.gitConfig.pullRequest.gitlab",
        "object",
        false,
    ),
    (
        "spec.writeBackConfig.gitConfig.pullRequest.labels",
        "array",
        false,
    ),
    ("spec.imagesVerification.enabled", "boolean", false),
    (
        "spec.imagesVerification.cosignKey.secretName",
        "string",
        true,
    ),
    ("spec.imagesVerification.cosignKey.key", "string", true),
    ("status.observedGeneration", "integer", false),
    ("status.lastCheckedAt", "string", false),
    ("status.lastUpdatedAt", "string", false),
    ("status.applicationsMatched", "integer", false),
    ("status.imagesManaged", "integer", false),
    ("status.recentUpdates[].alias", "string", false),
    ("status.recentUpdates[].image", "string", true),
    ("status.recentUpdates[].newVersion", "string", true),
    (
        "status.recentUpdates[].applicationsUpdated",
        "integer",
        true,
    ),
    ("status.recentUpdates[].updatedAt", "string", true),
    ("status.recentUpdates[].message", "string", false),
    ("status.conditions[].type", "string", true),
];

#[test]
fn every_field_has_its_type_and_is_required_where_the_contract_says_so() {
    for (path, kind, required) in FIELDS {
        assert_eq!(at(path)["type"], *kind, "{path}");
        let (parent, name) = path.rsplit_once('.').unwrap();
        let listed = at(parent)["required"].clone();
        let listed = listed.as_array().cloned().unwrap_or_default();
        assert_eq!(listed.contains(&json!(name)), *required, "{path}");
    }
}

#[test]
fn the_spec_has_no_other_fields_and_prunes_what_it_does_not_name() {
    fn count(schema: &Value) -> usize {
        assert!(schema.get("x-kubernetes-preserve-unknown-fields").is_none());
        let properties = schema["properties"].as_object();
        let inner: usize = properties
            .into_iter()
            .flatten()
            .map(|(_, one)| 1 + count(one))
            .sum();
        inner + schema.get("items").map_or(0, count)
    }
    // 6 common settings, 3 levels; 8 fields of write-back, 2 levels; 4 of verification, 3 levels;
    // 3 and 3 blocks; 6 of selectors; 2 of images; 12 of targets; the rest of spec and reference.
    let common = 6 * 3 + 3;
    let write_back = (2 + 4 + 3) * 2 + 2;
    let verification = 4 * 3 + 3;
    let targets = 1 + 3 + 3 + 1 + 3;
    let expected = common + write_back + verification + targets + 6 + 2 + 1 + 3;
    assert_eq!(count(&at("spec")), expected);
}

#[test]
fn validation_is_that_of_the_contract() {
    let refs = at("spec.applicationRefs");
    assert_eq!(refs["minItems"], 1);
    assert_eq!(refs["x-kubernetes-list-type"], "map");
    assert_eq!(refs["x-kubernetes-list-map-keys"], json!(["namePattern"]));
    let images = at("spec.applicationRefs[].images");
    assert_eq!(images["x-kubernetes-list-map-keys"], json!(["alias"]));
    assert_eq!(
        at("spec.applicationRefs[].useAnnotations")["default"],
        false
    );
    assert_eq!(
        at("spec.applicationRefs[].images[].alias")["pattern"],
        "^[a-zA-Z0-9][a-zA-Z0-9-._]*$"
    );
    for path in ["spec", "spec.applicationRefs[]"] {
        assert_eq!(
            at(&format!("{path}.writeBackConfig.method"))["pattern"],
            "^(argocd|git|git:[a-zA-Z0-9][a-zA-Z0-9-._/:]*)$"
        );
        let labels = at(&format!(
            "{path}.writeBackConfig.gitConfig.pullRequest.labels"
        ));
        assert_eq!(
            (&labels["maxItems"], &labels["x-kubernetes-list-type"]),
            (&json!(100), &json!("atomic"))
        );
        assert_eq!(
            (&labels["items"]["minLength"], &labels["items"]["maxLength"]),
            (&json!(1), &json!(255))
        );
    }
    for name in ["name", "tag", "spec"] {
        let plugin = at(&format!(
            "spec.applicationRefs[].images[].manifestTargets.plugin.{name}"
        ));
        assert_eq!(
            (&plugin["minLength"], &plugin["maxLength"]),
            (&json!(1), &json!(253))
        );
        let helm = at(&format!(
            "spec.applicationRefs[].images[].manifestTargets.helm.{name}"
        ));
        assert!(helm.get("minLength").is_none());
    }
    for list in ["ignoreTags", "platforms"] {
        let list = at(&format!("spec.commonUpdateSettings.{list}"));
        assert_eq!(list["x-kubernetes-list-type"], "atomic");
    }
    assert_eq!(at("spec.imagesVerification.enabled")["default"], true);
    assert_eq!(at("status.observedGeneration")["minimum"], 0);
}

#[test]
fn messages_are_those_of_the_contract() {
    assert_eq!(
        messages("spec.applicationRefs[]"),
        ["Either useAnnotations must be true, or images must be provided with at least one item"]
    );
    let request = "writeBackConfig.gitConfig.pullRequest";
    for path in ["spec", "spec.applicationRefs[]"] {
        assert_eq!(
            messages(&format!("{path}.{request}")),
            ["Exactly one of github or gitlab must be set"]
        );
    }
    for path in [
        "spec",
        "spec.applicationRefs[]",
        "spec.applicationRefs[].images[]",
    ] {
        assert_eq!(
            messages(&format!("{path}.imagesVerification")),
            [
                "at least one verification method (cosignKey) is required when verification is enabled"
            ]
        );
    }
    assert_eq!(
        messages("spec.applicationRefs[].images[].manifestTargets").len(),
        1
    );
    assert_eq!(
        at("spec.applicationRefs[].images[].manifestTargets.plugin")["x-kubernetes-validations"][0]
            ["rule"],
        "has(self.spec) || has(self.name)"
    );
}

/// Kubernetes, "Specifying a structural schema", rules 1 to 3.
#[test]
fn the_schema_is_structural() {
    fn check(schema: &Value, at: &str) {
        let object = schema.as_object().unwrap();
        for name in ["$ref", "anyOf", "oneOf", "allOf", "not", "const", "title"] {
            assert!(!object.contains_key(name), "{at}: {name}");
        }
        assert!(object["type"].is_string(), "{at}");
        let format = object.get("format").and_then(Value::as_str);
        assert!(
            matches!(format, None | Some("int32" | "int64" | "date-time")),
            "{at}"
        );
        let properties = object.get("properties").and_then(Value::as_object);
        for (name, schema) in properties.into_iter().flatten() {
            check(schema, &format!("{at}.{name}"));
        }
        for name in ["items", "additionalProperties"] {
            if let Some(schema) = object.get(name) {
                check(schema, &format!("{at}.{name}"));
            }
        }
    }
    check(&version()["schema"]["openAPIV3Schema"], "");
}
