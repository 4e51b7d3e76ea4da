//! Everything of a document but its `spec`: what it is, and that nothing stands beside it.

use serde_json::Value;

use super::super::error::{Findings, shown};
use super::{API_VERSION, Context, GROUP, Kind, ObjectId};
use crate::limits::{OBJECT_NAME_BYTES_MAX, POLICY_BYTES_MAX};
use crate::nearest::nearest;

/// Everything but `spec`.
pub(super) fn read(object: &Value, context: &Context<'_>, findings: &mut Findings) -> ObjectId {
    let text = |value: &Value, name: &str| value.get(name)?.as_str().map(str::to_owned);
    let kind_text = text(object, "kind").unwrap_or_default();
    let kind = Kind::ALL
        .iter()
        .copied()
        .find(|kind| kind.name() == kind_text);
    let metadata = object.get("metadata").unwrap_or(&Value::Null);
    let namespace = match kind {
        Some(Kind::ClusterPromotionPolicy) | None => None,
        Some(_) => Some(
            text(metadata, "namespace")
                .filter(|namespace| !namespace.is_empty())
                .unwrap_or_else(|| context.default_namespace.to_owned()),
        ),
    };
    let name = text(metadata, "name").unwrap_or_default();
    if kind.is_none() {
        let known = || Kind::ALL.iter().map(|kind| kind.name());
        let hint = match nearest(&kind_text, known()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("use one of {}", known().collect::<Vec<_>>().join(", ")),
        };
        let message = format!("there is no kind `{kind_text}` in {GROUP}");
        findings.invalid("kind", &kind_text, message, hint);
    }
    let version = text(object, "apiVersion").unwrap_or_default();
    if version != API_VERSION {
        let message = format!("`{version}` is not read");
        findings.invalid(
            "apiVersion",
            &version,
            message,
            format!("use `{API_VERSION}`"),
        );
    }
    if name.is_empty() {
        let message = "the document has no name";
        findings.invalid("metadata.name", "", message, "name it");
    } else if !is_object_name(&name) {
        let message = "this is no name of an object";
        let hint = "use lower-case letters, digits, `-` and `.`";
        findings.invalid("metadata.name", &name, message, hint);
    }
    if let Some(namespace) = namespace.as_ref().filter(|name| !is_object_name(name)) {
        let message = "this is no name of a namespace";
        let hint = "use lower-case letters, digits and `-`";
        findings.invalid("metadata.namespace", namespace, message, hint);
    }
    if kind == Some(Kind::ClusterPromotionPolicy) && text(metadata, "namespace").is_some() {
        let message = "a ClusterPromotionPolicy has no namespace";
        let hint = "leave it out, or write a PromotionPolicy";
        findings.invalid("metadata.namespace", "", message, hint);
    }
    fields(object, findings);
    ObjectId {
        kind,
        namespace,
        name,
    }
}

/// Refuses fields beside those of every object, and a `spec` that is too long.
fn fields(object: &Value, findings: &mut Findings) {
    const FIELDS: &[&str] = &["apiVersion", "kind", "metadata", "spec", "status"];
    for (field, value) in object.as_object().into_iter().flatten() {
        if !FIELDS.contains(&field.as_str()) {
            let hint = match nearest(field, FIELDS.iter().copied()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => "what a policy says stands below `spec`".to_owned(),
            };
            let message = format!("there is no field `{field}`");
            findings.invalid(field, shown(value), message, hint);
        }
    }
    let bytes = object.get("spec").map_or(0, |spec| spec.to_string().len());
    if bytes > POLICY_BYTES_MAX {
        let message = format!("the document is longer than {POLICY_BYTES_MAX} bytes");
        let hint = "keep keys and roots in files, Secrets or ConfigMaps";
        findings.invalid("spec", format!("{bytes} bytes"), message, hint);
    }
}

/// Kubernetes, "Object Names and IDs", DNS subdomain names. A `/` in a name would make two policies
/// one.
fn is_object_name(name: &str) -> bool {
    name.len() <= OBJECT_NAME_BYTES_MAX
        && name
            .bytes()
            .all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.'))
}
