//! What an object selects that cannot be used.
//!
//! It follows nothing, and what it selects is not left to others either: whoever wrote it has said
//! that these Applications are its own, and how they are to be followed cannot be read. Here: the
//! part of its selection that can still be read. What cannot is nothing: a pattern that nobody
//! understands must not stop a whole namespace.

use serde_json::Value;

use super::labels::Labels;
use crate::glob::Glob;
use crate::limits::APPLICATION_REFS_MAX;
use crate::manifest::ApplicationManifest;
use crate::settings::annotations::IMAGE_LIST;

/// The references of an object that can be compared with Applications.
#[derive(Debug, Clone, Default)]
pub struct Selection(Vec<Selector>);

/// Which Applications one reference is about.
#[derive(Debug, Clone)]
pub(super) struct Selector {
    pub(super) pattern: Glob,
    pub(super) labels: Labels,
    pub(super) use_annotations: bool,
}

impl Selector {
    /// Whether the reference is about an Application of its namespace. One that leaves everything
    /// to annotations is about those that have some.
    pub(super) fn fits(&self, manifest: &ApplicationManifest) -> bool {
        let metadata = &manifest.metadata;
        self.pattern.matches(&metadata.name)
            && self.labels.match_labels(&metadata.labels)
            && (!self.use_annotations || metadata.annotations.contains_key(IMAGE_LIST))
    }
}

impl Selection {
    /// What can be read of `spec.applicationRefs`, whatever else is wrong with the object.
    pub(super) fn read(object: &Value) -> Self {
        let references = object.pointer("/spec/applicationRefs");
        let references = references.and_then(Value::as_array).into_iter().flatten();
        let selectors = references.take(APPLICATION_REFS_MAX).filter_map(|one| {
            let pattern = Glob::parse(one.get("namePattern")?.as_str()?).ok()?;
            let labels = one.get("labelSelectors").filter(|labels| !labels.is_null());
            let labels = labels.map(|labels| serde_json::from_value(labels.clone()));
            let labels: Labels = match labels {
                Some(Ok(selector)) => Labels::read(Some(&selector)).0,
                // Of a selector that nobody can read: more than is meant, rather than less.
                Some(Err(_)) | None => Labels::Any,
            };
            let use_annotations = one.get("useAnnotations") == Some(&Value::Bool(true));
            Some(Selector {
                pattern,
                labels,
                use_annotations,
            })
        });
        Self(selectors.collect())
    }

    /// Whether the object selects an Application of its namespace.
    #[must_use]
    pub fn selects(&self, manifest: &ApplicationManifest) -> bool {
        self.0.iter().any(|selector| selector.fits(manifest))
    }
}
