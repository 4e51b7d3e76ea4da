//! From what the API server sends to what is kept: the few fields that matter, and never
//! `managedFields`.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::Arc;

use kube::Resource;
use kube::api::ObjectMeta;
use kube::core::{ApiResource, DynamicResourceScope};
use sealift_core::image_updater::release::is_being_deleted;
use sealift_core::manifest::{ApplicationManifest, ManifestError};
use sealift_core::settings::OWN_PREFIX;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use serde_json::value::RawValue;

/// The annotation in which `kubectl apply` keeps the whole object a second time.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// What is kept of an object.
pub trait Content: Clone + Debug + Send + Sync + 'static {
    /// Reads it. A fault is kept in place of the object, so that one broken object stops no other.
    ///
    /// # Errors
    /// [`ManifestError`] with the path of the field.
    fn read(object: Value) -> Result<Self, ManifestError>;

    /// Says of what kind it is, where that is kept: items of a list do not.
    fn name_kind(&mut self, kind: &ApiResource) {
        let _ = kind;
    }

    /// Whether a decision could be another one because of what differs. What only reports does not
    /// count: Argo CD writes the status of Applications all the time.
    fn decides_otherwise(&self, before: &Self) -> bool;
}

impl Content for ApplicationManifest {
    fn read(object: Value) -> Result<Self, ManifestError> {
        Self::from_value(object)
    }

    fn decides_otherwise(&self, before: &Self) -> bool {
        let settings = |one: &Self| {
            (
                one.metadata.annotations.clone(),
                one.metadata.labels.clone(),
            )
        };
        let (status, was) = (&self.status, &before.status);
        settings(self) != settings(before)
            || self.spec != before.spec
            || status.source_type != was.source_type
            || status.source_types != was.source_types
    }
}

impl Content for Value {
    fn read(object: Value) -> Result<Self, ManifestError> {
        Ok(object)
    }

    fn name_kind(&mut self, kind: &ApiResource) {
        if let Some(fields) = self.as_object_mut() {
            fields.insert("apiVersion".to_owned(), Self::from(&*kind.api_version));
            fields.insert("kind".to_owned(), Self::from(&*kind.kind));
        }
    }

    fn decides_otherwise(&self, before: &Self) -> bool {
        let labels = |one: &Self| one.pointer("/metadata/labels").cloned();
        self.get("spec") != before.get("spec")
            || labels(self) != labels(before)
            || own_annotations(self) != own_annotations(before)
            || is_being_deleted(self) != is_being_deleted(before)
    }
}

/// The annotations of an object that are settings of ours.
fn own_annotations(object: &Value) -> BTreeMap<&String, &Value> {
    let annotations = object.pointer("/metadata/annotations");
    let annotations = annotations.and_then(Value::as_object).into_iter().flatten();
    annotations
        .filter(|(key, _)| key.starts_with(OWN_PREFIX))
        .collect()
}

/// One object of a watch.
#[derive(Debug, Clone)]
pub struct Watched<T> {
    /// Name, namespace and version; nothing else of the metadata.
    meta: ObjectMeta,
    /// The object, or why it cannot be read.
    pub content: Result<Arc<T>, ManifestError>,
}

impl<T> Watched<T> {
    /// `(namespace, name)`.
    pub(super) fn key(&self) -> (String, String) {
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        (text(&self.meta.namespace), text(&self.meta.name))
    }

    /// As [`Content::name_kind`], before anybody else holds the object.
    pub(super) fn name_kind(&mut self, kind: &ApiResource)
    where
        T: Content,
    {
        if let Some(content) = self.content.as_mut().ok().and_then(Arc::get_mut) {
            content.name_kind(kind);
        }
    }

    /// As [`Content::decides_otherwise`]; what became readable, or no longer is, decides otherwise.
    pub(super) fn decides_otherwise(&self, before: &Self) -> bool
    where
        T: Content,
    {
        match (&self.content, &before.content) {
            (Ok(now), Ok(before)) => now.decides_otherwise(before),
            (now, before) => now.is_ok() || before.is_ok(),
        }
    }

    pub(super) fn is_version_of(&self, other: &Self) -> bool {
        self.meta.resource_version.is_some()
            && self.meta.resource_version == other.meta.resource_version
            && self.meta.uid == other.meta.uid
    }
}

/// What says which object it is, and nothing around it, however deep that nests.
#[derive(Deserialize)]
struct Shallow {
    metadata: Identity,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Identity {
    name: Option<String>,
    namespace: Option<String>,
    uid: Option<String>,
    resource_version: Option<String>,
}

/// First the text of the object, then what it says: a fault of one object of a list, such as one
/// that nests deeper than is read, is a fault of that object alone. It needs the text, so it can be
/// read from JSON only, and from an event of a watch only where its `type` comes first, as the API
/// server writes it.
impl<'de, T: Content> Deserialize<'de> for Watched<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Box::<RawValue>::deserialize(deserializer)?;
        let Shallow { metadata } = serde_json::from_str(text.get()).map_err(D::Error::custom)?;
        let meta = ObjectMeta {
            name: metadata.name,
            namespace: metadata.namespace,
            uid: metadata.uid,
            resource_version: metadata.resource_version,
            ..ObjectMeta::default()
        };
        let content = serde_json::from_str(text.get())
            .map_err(|error| ManifestError::Unreadable(error.to_string()))
            .and_then(|object| T::read(without_ballast(object)))
            .map(Arc::new);
        Ok(Self { meta, content })
    }
}

/// Without what would keep the whole object a second time.
fn without_ballast(mut object: Value) -> Value {
    if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.remove("managedFields");
        let annotations = metadata.get_mut("annotations");
        annotations
            .and_then(Value::as_object_mut)
            .map(|all| all.remove(LAST_APPLIED));
    }
    object
}

impl<T: Content> Resource for Watched<T> {
    type DynamicType = ApiResource;
    type Scope = DynamicResourceScope;

    fn kind(resource: &ApiResource) -> std::borrow::Cow<'_, str> {
        resource.kind.as_str().into()
    }

    fn group(resource: &ApiResource) -> std::borrow::Cow<'_, str> {
        resource.group.as_str().into()
    }

    fn version(resource: &ApiResource) -> std::borrow::Cow<'_, str> {
        resource.version.as_str().into()
    }

    fn plural(resource: &ApiResource) -> std::borrow::Cow<'_, str> {
        resource.plural.as_str().into()
    }

    fn meta(&self) -> &ObjectMeta {
        &self.meta
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.meta
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kube::api::{ObjectList, WatchEvent};
    use serde_json::json;

    #[test]
    fn our_own_annotations_on_an_image_updater_are_settings_and_other_ones_are_not() {
        let with = |key: &str| json!({ "metadata": { "annotations": { key: "1m" } }, "spec": {} });
        let plain = json!({ "spec": {} });
        assert!(with("sealift.dev/interval").decides_otherwise(&plain));
        assert!(plain.decides_otherwise(&with("sealift.dev/interval")));
        assert!(!with("example.com/seen").decides_otherwise(&plain));
    }

    #[test]
    fn a_broken_object_is_kept_with_its_fault_and_managed_fields_are_dropped() {
        let object = json!({ "metadata": {
            "name": "shop", "namespace": "argocd", "resourceVersion": "7",
            "managedFields": [{ "manager": "x" }],
            "annotations": { LAST_APPLIED: "{}", "a": "b" },
        }, "spec": { "project": 5 } });
        let object = object.to_string();
        let value: Watched<Value> = serde_json::from_str(&object).unwrap();
        let kept = value.content.unwrap();
        assert!(kept["metadata"].get("managedFields").is_none(), "{kept}");
        assert_eq!(kept["metadata"]["annotations"], json!({ "a": "b" }));

        let broken: Watched<ApplicationManifest> = serde_json::from_str(&object).unwrap();
        assert_eq!(broken.key(), ("argocd".to_owned(), "shop".to_owned()));
        assert!(
            broken
                .content
                .unwrap_err()
                .to_string()
                .starts_with("spec.project")
        );
    }

    /// An Application with values that nest this deep, as text: nothing here reads it whole.
    fn nested(name: &str, depth: usize) -> String {
        let (open, close) = ("{\"a\":".repeat(depth), "}".repeat(depth));
        format!(
            "{{\"metadata\":{{\"name\":\"{name}\",\"namespace\":\"n\",\"resourceVersion\":\"7\"}},\
             \"spec\":{{\"source\":{{\"helm\":{{\"valuesObject\":{open}1{close}}}}}}}}}"
        )
    }

    #[test]
    fn an_object_that_nests_too_deep_is_a_fault_of_its_own_in_lists_and_in_events() {
        let (deep, flat) = (nested("deep", 100_000), nested("flat", 3));
        let list = format!(
            "{{\"kind\":\"ApplicationList\",\"apiVersion\":\"v1\",\"metadata\":{{}},\
             \"items\":[{deep},{flat}]}}"
        );
        let list: ObjectList<Watched<ApplicationManifest>> = serde_json::from_str(&list).unwrap();
        let [deep_one, flat_one] = list.items.as_slice() else {
            panic!("two items")
        };
        assert_eq!(deep_one.key(), ("n".to_owned(), "deep".to_owned()));
        let fault = deep_one.content.as_ref().unwrap_err().to_string();
        assert!(fault.contains("recursion limit"), "{fault}");
        assert!(flat_one.content.is_ok());

        let event = format!("{{\"type\":\"MODIFIED\",\"object\":{deep}}}");
        let event: WatchEvent<Watched<ApplicationManifest>> = serde_json::from_str(&event).unwrap();
        let WatchEvent::Modified(object) = event else {
            panic!("{event:?}")
        };
        assert!(object.content.is_err());
    }
}
