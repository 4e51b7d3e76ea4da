//! Which ImageUpdater, and which of its references, an Application belongs to.
//!
//! An object selects Applications of its own namespace alone. In one object the most specific
//! reference decides; of several objects the oldest, so that a new one never takes an Application
//! away. A reference that leaves everything to annotations selects only Applications that have
//! some.

use std::collections::BTreeMap;

use super::read::{ImageUpdater, Rule};
use crate::manifest::ApplicationManifest;
use crate::settings::annotations::IMAGE_LIST;

/// All valid objects, in the order in which they are heard.
#[derive(Debug, Clone, Default)]
pub struct Roster {
    by_namespace: BTreeMap<String, Vec<ImageUpdater>>,
}

/// Who follows an Application.
#[derive(Debug, Clone)]
pub struct Claim<'a> {
    /// The object that follows it.
    pub updater: &'a ImageUpdater,
    /// The reference that decides.
    pub rule: &'a Rule,
    /// Younger objects that select it, too, and leave it alone.
    pub others: Vec<&'a ImageUpdater>,
}

impl Roster {
    /// Sorts the objects by age, then name. One that does not say its age is younger than all that
    /// do.
    #[must_use]
    pub fn new(updaters: impl IntoIterator<Item = ImageUpdater>) -> Self {
        let mut by_namespace: BTreeMap<String, Vec<ImageUpdater>> = BTreeMap::new();
        for updater in updaters {
            let namespace = updater.id.namespace.clone();
            by_namespace.entry(namespace).or_default().push(updater);
        }
        for updaters in by_namespace.values_mut() {
            updaters.sort_by(|a, b| {
                let age = |one: &ImageUpdater| (one.created.is_none(), one.created);
                age(a).cmp(&age(b)).then_with(|| a.id.cmp(&b.id))
            });
        }
        Self { by_namespace }
    }

    /// The objects, by namespace, the oldest first.
    pub fn iter(&self) -> impl Iterator<Item = &ImageUpdater> {
        self.by_namespace.values().flatten()
    }

    /// Who follows the Application. `None`: no object selects it.
    #[must_use]
    pub fn claim(&self, manifest: &ApplicationManifest) -> Option<Claim<'_>> {
        let updaters = self.by_namespace.get(&manifest.metadata.namespace)?;
        let mut fitting = updaters
            .iter()
            .filter_map(|updater| Some((updater, updater.rule_for(manifest)?)));
        let (updater, rule) = fitting.next()?;
        Some(Claim {
            updater,
            rule,
            others: fitting.map(|(updater, _)| updater).collect(),
        })
    }
}

impl ImageUpdater {
    /// The reference that decides about an Application of its namespace.
    #[must_use]
    pub fn rule_for(&self, manifest: &ApplicationManifest) -> Option<&Rule> {
        let metadata = &manifest.metadata;
        let annotated = metadata.annotations.contains_key(IMAGE_LIST);
        self.rules.iter().find(|rule| {
            rule.pattern.matches(&metadata.name)
                && rule.labels.match_labels(&metadata.labels)
                && (annotated || !rule.reference.use_annotations)
        })
    }
}
