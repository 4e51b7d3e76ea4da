//! Which ImageUpdater, and which of its references, an Application belongs to.
//!
//! An object selects Applications of its own namespace alone. In one object the most specific
//! reference decides; of several objects the oldest, so that a new one never takes an Application
//! away. That holds for one that cannot be used, too: what it selects stays with it, and is followed
//! by nobody until it is mended or gone. A reference that leaves everything to annotations selects
//! only Applications that have some.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::read::{ImageUpdater, ImageUpdaterId, Rejected, Rule};
use crate::manifest::ApplicationManifest;

/// All objects, in the order in which they are heard.
#[derive(Debug, Clone, Default)]
pub struct Roster {
    by_namespace: BTreeMap<String, Vec<Entry>>,
}

/// One object.
#[derive(Debug, Clone)]
enum Entry {
    Usable(Box<ImageUpdater>),
    Unusable(Box<Rejected>),
}

/// Whose an Application is.
#[derive(Debug, Clone)]
pub enum Claimed<'a> {
    /// An object follows it.
    By(Claim<'a>),
    /// An object that cannot be used selects it before all others: nobody follows it.
    Held(Hold<'a>),
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

/// Who keeps an Application from being followed.
#[derive(Debug, Clone)]
pub struct Hold<'a> {
    /// The object that selects it and cannot be used.
    pub by: &'a Rejected,
    /// Younger objects that would follow it.
    pub others: Vec<&'a ImageUpdater>,
}

impl Entry {
    const fn id(&self) -> &ImageUpdaterId {
        match self {
            Self::Usable(updater) => &updater.id,
            Self::Unusable(rejected) => &rejected.id,
        }
    }

    const fn created(&self) -> Option<Timestamp> {
        match self {
            Self::Usable(updater) => updater.created,
            Self::Unusable(rejected) => rejected.created,
        }
    }

    const fn usable(&self) -> Option<&ImageUpdater> {
        match self {
            Self::Usable(updater) => Some(updater),
            Self::Unusable(_) => None,
        }
    }
}

impl Roster {
    /// Of objects that can be used.
    #[must_use]
    pub fn new(updaters: impl IntoIterator<Item = ImageUpdater>) -> Self {
        Self::of_read(updaters.into_iter().map(Ok))
    }

    /// Sorts the objects by age, then name. One that does not say its age is younger than all that
    /// do.
    #[must_use]
    pub fn of_read(read: impl IntoIterator<Item = Result<ImageUpdater, Box<Rejected>>>) -> Self {
        let mut by_namespace: BTreeMap<String, Vec<Entry>> = BTreeMap::new();
        for one in read {
            let entry = match one {
                Ok(updater) => Entry::Usable(Box::new(updater)),
                Err(rejected) => Entry::Unusable(rejected),
            };
            let namespace = entry.id().namespace.clone();
            by_namespace.entry(namespace).or_default().push(entry);
        }
        for entries in by_namespace.values_mut() {
            entries.sort_by(|a, b| {
                let age = |one: &Entry| (one.created().is_none(), one.created());
                age(a).cmp(&age(b)).then_with(|| a.id().cmp(b.id()))
            });
        }
        Self { by_namespace }
    }

    /// The objects that can be used, by namespace, the oldest first.
    pub fn iter(&self) -> impl Iterator<Item = &ImageUpdater> {
        let entries = self.by_namespace.values().flatten();
        entries.filter_map(Entry::usable)
    }

    /// Whose the Application is. `None`: no object selects it.
    #[must_use]
    pub fn claimed(&self, manifest: &ApplicationManifest) -> Option<Claimed<'_>> {
        let entries = self.by_namespace.get(&manifest.metadata.namespace)?;
        let others = |place: usize| {
            let younger = entries.iter().skip(place + 1).filter_map(Entry::usable);
            younger
                .filter(|updater| updater.rule_for(manifest).is_some())
                .collect()
        };
        entries.iter().enumerate().find_map(|(place, entry)| {
            Some(match entry {
                Entry::Usable(updater) => Claimed::By(Claim {
                    updater,
                    rule: updater.rule_for(manifest)?,
                    others: others(place),
                }),
                Entry::Unusable(by) if by.selection.selects(manifest) => Claimed::Held(Hold {
                    by,
                    others: others(place),
                }),
                Entry::Unusable(_) => return None,
            })
        })
    }

    /// Who follows the Application. `None`: nobody does.
    #[must_use]
    pub fn claim(&self, manifest: &ApplicationManifest) -> Option<Claim<'_>> {
        match self.claimed(manifest)? {
            Claimed::By(claim) => Some(claim),
            Claimed::Held(_) => None,
        }
    }
}

impl ImageUpdater {
    /// The reference that decides about an Application of its namespace.
    #[must_use]
    pub fn rule_for(&self, manifest: &ApplicationManifest) -> Option<&Rule> {
        let mut rules = self.rules.iter();
        rules.find(|rule| rule.selector.fits(manifest))
    }
}
