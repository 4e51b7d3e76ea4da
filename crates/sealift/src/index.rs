//! Who uses an image repository, and who is written to the same place: what cycles on a few
//! Applications, and whatever tells of one repository, ask instead of reading all Applications.
//!
//! A whole cycle makes it anew from what it parses; after that each parsed Application replaces its
//! own entries and no others. It holds names, no Applications: those are parsed from what is known
//! of them when they are looked at. Not here: when (`schedule`).

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;

use sealift_core::application::{Application, ApplicationId};
use sealift_core::reference::Canonical;
use sealift_core::settings::Method;
use sealift_git::GitUrl;

/// One image of one Application, by name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Slot {
    /// `namespace/name`
    pub application: Arc<str>,
    /// Which of its images.
    pub position: usize,
}

/// The index.
#[derive(Debug, Default)]
pub struct Index {
    applications: BTreeMap<Arc<str>, Entries>,
    /// By canonical repository.
    slots: BTreeSet<(Arc<str>, Slot)>,
    places: BTreeSet<(Place, Arc<str>)>,
}

/// A file of a Git repository, by hash: two that meet in one are looked at together for nothing,
/// which costs time and changes no decision.
type Place = u64;

/// What the index holds of one Application.
#[derive(Debug)]
struct Entries {
    repositories: Vec<Arc<str>>,
    places: Vec<Place>,
}

impl Index {
    /// Puts an Application in, in place of what was known of it.
    pub fn put(&mut self, application: &Application) {
        let id: Arc<str> = application.id.to_string().into();
        self.remove(&id);
        let canonical = |position: usize| {
            let rule = application.images.get(position)?;
            Some(self.repository(&rule.configured.reference.canonical()))
        };
        let repositories: Vec<Arc<str>> = (0..application.images.len())
            .filter_map(canonical)
            .collect();
        for (position, repository) in repositories.iter().enumerate() {
            let slot = Slot {
                application: Arc::clone(&id),
                position,
            };
            self.slots.insert((Arc::clone(repository), slot));
        }
        let places = places(application);
        for place in &places {
            self.places.insert((*place, Arc::clone(&id)));
        }
        let entries = Entries {
            repositories,
            places,
        };
        self.applications.insert(id, entries);
    }

    /// Takes an Application out that is gone, or no longer followed.
    pub fn remove(&mut self, id: &str) {
        let Some((id, entries)) = self.applications.remove_entry(id) else {
            return;
        };
        for (position, repository) in entries.repositories.into_iter().enumerate() {
            let slot = Slot {
                application: Arc::clone(&id),
                position,
            };
            self.slots.remove(&(repository, slot));
        }
        for place in entries.places {
            self.places.remove(&(place, Arc::clone(&id)));
        }
    }

    /// The slots that hold an image of this repository, in O(log n) and their number. Cycles ask
    /// what is beside what; this is for whoever tells of a push to one repository, a webhook, which
    /// this version does not take yet.
    pub fn users(&self, repository: &Canonical) -> impl Iterator<Item = &Slot> {
        let repository: Arc<str> = repository.to_string().into();
        self.of(Arc::clone(&repository))
            .take_while(move |(of, _)| *of == repository)
            .map(|(_, slot)| slot)
    }

    /// The Applications that are written to a place where one of these is, too; without these.
    pub fn beside<'a>(&self, ids: impl Iterator<Item = &'a ApplicationId>) -> BTreeSet<String> {
        let ids: BTreeSet<String> = ids.map(ToString::to_string).collect();
        let entries = ids.iter().filter_map(|id| self.applications.get(&**id));
        let places: BTreeSet<Place> = entries.flat_map(|one| one.places.iter().copied()).collect();
        let at = |place: Place| {
            let first: Arc<str> = "".into();
            let from = self.places.range((place, first)..);
            from.take_while(move |(of, _)| *of == place)
        };
        let beside = places.into_iter().flat_map(at);
        let others = beside.filter(|(_, id)| !ids.contains(&**id));
        others.map(|(_, id)| id.to_string()).collect()
    }

    /// How many Applications it knows.
    #[must_use]
    pub fn len(&self) -> usize {
        self.applications.len()
    }

    /// Whether it knows none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.applications.is_empty()
    }

    fn of(&self, repository: Arc<str>) -> impl Iterator<Item = &(Arc<str>, Slot)> {
        let first = Slot {
            application: "".into(),
            position: 0,
        };
        self.slots.range((repository, first)..)
    }

    /// The repository as text; that of its users, where it has some.
    fn repository(&self, repository: &Canonical) -> Arc<str> {
        let repository: Arc<str> = repository.to_string().into();
        let known = self.of(Arc::clone(&repository)).next();
        match known.filter(|(known, _)| *known == repository) {
            Some((known, _)) => Arc::clone(known),
            None => repository,
        }
    }
}

/// Where an Application is written in Git. One that is written itself has no place that others
/// share.
fn places(application: &Application) -> Vec<Place> {
    if application.method == Method::ArgoCd {
        return Vec::new();
    }
    let repository = match GitUrl::parse(&application.repository) {
        Ok(url) => url.canonical(),
        Err(_) => application.repository.clone(),
    };
    let place = |path: &sealift_core::path::RepoPath| {
        let mut hasher = DefaultHasher::new();
        (&repository, path.to_string()).hash(&mut hasher);
        hasher.finish()
    };
    let candidates = application.target.candidates.iter();
    candidates.map(place).collect()
}

#[cfg(test)]
mod tests {
    use sealift_core::application::{Context, parse_annotated};
    use sealift_core::manifest::ApplicationManifest;
    use sealift_core::reference::Reference;
    use serde_json::json;

    use super::*;

    fn application(name: &str, images: &str, target: &str) -> Application {
        let prefix = sealift_core::settings::PEER_PREFIX;
        let manifest = json!({
            "metadata": { "name": name, "namespace": "argocd", "annotations": {
                format!("{prefix}image-list"): images,
                format!("{prefix}write-back-method"): "git",
                format!("{prefix}write-back-target"): target,
            } },
            "spec": { "source": { "repoURL": "https://h.example/r", "path": "p", "helm": {} } },
        });
        let manifest = ApplicationManifest::from_value(manifest).unwrap();
        let context = Context {
            argocd_namespace: "argocd".to_owned(),
            own_platform: crate::platform::own(),
        };
        let parsed = parse_annotated(&manifest, &context).unwrap();
        parsed.application.unwrap()
    }

    fn users(index: &Index, image: &str) -> Vec<(String, usize)> {
        let repository = Reference::parse(image).canonical();
        let slots = index.users(&repository);
        slots
            .map(|slot| (slot.application.to_string(), slot.position))
            .collect()
    }

    #[test]
    fn users_of_a_repository_are_found_in_every_spelling_and_forgotten_when_they_change() {
        let mut index = Index::default();
        index.put(&application("a", "redis:7.x,nginx", ""));
        index.put(&application("b", "docker.io/library/nginx:1.x", ""));
        index.put(&application("c", "quay.io/library/nginx", ""));
        let id = |name: &str, position| (format!("argocd/{name}"), position);
        assert_eq!(users(&index, "nginx"), [id("a", 1), id("b", 0)]);
        assert_eq!(users(&index, "quay.io/library/nginx"), [id("c", 0)]);
        assert_eq!(users(&index, "ngin"), []);
        index.put(&application("a", "redis", ""));
        assert_eq!(users(&index, "nginx"), [id("b", 0)]);
        index.remove("argocd/b");
        index.remove("argocd/unknown");
        assert_eq!(users(&index, "nginx"), []);
        assert_eq!(index.len(), 2);
        index.remove("argocd/a");
        index.remove("argocd/c");
        assert!(index.is_empty() && index.slots.is_empty() && index.places.is_empty());
    }

    #[test]
    fn who_is_written_to_the_same_file_is_beside_and_who_shares_only_a_repository_is_not() {
        let mut index = Index::default();
        let shared = "helmvalues:/envs/values.yaml";
        let one = application("one", "nginx", shared);
        for other in [
            &one,
            &application("two", "redis", shared),
            &application("three", "nginx", "helmvalues:/other/values.yaml"),
            &application("four", "nginx", ""),
        ] {
            index.put(other);
        }
        let beside = index.beside([&one.id].into_iter());
        assert_eq!(beside, BTreeSet::from(["argocd/two".to_owned()]));
    }
}
