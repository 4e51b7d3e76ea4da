//! One watch: every object of one kind in one scope, as the API server last said.
//!
//! It begins with a list, page by page, and goes on with changes. Whatever breaks it (the server
//! goes away, `410 Gone`, `429`, a revoked right) ends that run: after a jittered pause it begins
//! anew with a list, which takes the place of what was known at once. Objects that have not changed
//! are not kept twice. A server that hangs is noticed because each run asks anew within
//! [`WATCH_SECS`].

use std::collections::{BTreeMap, BTreeSet};
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::StreamExt as _;
use kube::api::ObjectMeta;
use kube::core::ApiResource;
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Api, Client, Error, Resource as _};
use rand::Rng as _;
use sealift_core::limits::{
    EDITED_OBJECTS_MAX, WATCH_PAGE_OBJECTS, WATCH_PAUSE_MS, WATCH_PAUSE_MS_MAX, WATCH_SECS,
    WATCH_STALE_SECS_MAX,
};
use tokio::sync::watch as signal;
use tokio::time::Instant;

use super::read::{Content, Watched};

/// A kind that is watched.
#[derive(Debug, Clone)]
pub struct Kind {
    resource: ApiResource,
    optional: bool,
}

impl Kind {
    /// A kind that must be served.
    #[must_use]
    pub const fn required(resource: ApiResource) -> Self {
        Self {
            resource,
            optional: false,
        }
    }

    /// A kind that may be unknown to the server: then there are no objects of it.
    #[must_use]
    pub const fn optional(resource: ApiResource) -> Self {
        Self {
            resource,
            optional: true,
        }
    }
}

/// Why it is not known which objects there are.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WatchError {
    /// The rights do not suffice.
    #[error("the API server forbids it: {detail}")]
    Forbidden {
        /// Its words.
        detail: String,
    },
    /// The server does not know the kind, and must.
    #[error("the API server does not know the kind")]
    Unknown,
    /// Nothing has been heard of the server for too long.
    #[error("the API server does not answer: {detail}")]
    Silent {
        /// The last fault.
        detail: String,
    },
}

/// A key of an object: `(namespace, name)`.
pub type Key = (String, String);

#[derive(Debug)]
struct State<T> {
    objects: BTreeMap<Key, Watched<T>>,
    /// The list that is being read.
    listing: BTreeMap<Key, Watched<T>>,
    /// A list was read whole, or there is nothing to list.
    known: bool,
    trouble: Option<(WatchError, Instant)>,
    /// What was edited since somebody asked.
    edited: Edited,
}

/// Which objects were edited, in a way that decisions may differ by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Edited {
    /// These: `(namespace, name)`. Those that are gone are among them.
    These(BTreeSet<Key>),
    /// Too many to name, or nobody knows.
    Any,
}

impl Default for Edited {
    fn default() -> Self {
        Self::These(BTreeSet::new())
    }
}

impl Edited {
    /// Adds what else was edited.
    pub(super) fn add(&mut self, other: Self) {
        match (&mut *self, other) {
            (Self::These(keys), Self::These(more)) => {
                keys.extend(more);
                if keys.len() > EDITED_OBJECTS_MAX {
                    *self = Self::Any;
                }
            }
            (_, Self::Any) => *self = Self::Any,
            (Self::Any, _) => {}
        }
    }
}

/// A running watch; it ends when this is dropped.
#[derive(Debug)]
pub struct Watch<T> {
    kind: Kind,
    scope: Option<String>,
    state: Arc<Mutex<State<T>>>,
    /// Counts everything that was learnt.
    changes: signal::Receiver<u64>,
    /// Counts what may change a decision.
    edits: signal::Receiver<u64>,
    task: tokio::task::JoinHandle<()>,
}

impl<T> Drop for Watch<T> {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl<T: Content> Watch<T> {
    /// Begins to watch `kind` in one namespace, or in all.
    pub(super) fn start(client: Client, kind: &Kind, scope: Option<&str>) -> Self {
        let state = Arc::new(Mutex::new(State {
            objects: BTreeMap::new(),
            listing: BTreeMap::new(),
            known: false,
            trouble: None,
            edited: Edited::default(),
        }));
        let (changed, changes) = signal::channel(0);
        let (edited, edits) = signal::channel(0);
        let runner = Runner {
            client,
            kind: kind.clone(),
            scope: scope.map(str::to_owned),
            state: Arc::clone(&state),
            changed,
            edited,
        };
        Self {
            kind: kind.clone(),
            scope: scope.map(str::to_owned),
            state,
            changes,
            edits,
            task: tokio::spawn(runner.run()),
        }
    }

    /// What is watched, for messages.
    #[must_use]
    pub fn name(&self) -> String {
        let ApiResource { plural, group, .. } = &self.kind.resource;
        match &self.scope {
            Some(namespace) => format!("`{plural}.{group}` in namespace `{namespace}`"),
            None => format!("`{plural}.{group}` in all namespaces"),
        }
    }

    /// Every object, by namespace and name.
    ///
    /// # Errors
    /// [`WatchError`]: they are not known, or no longer.
    pub fn list(&self) -> Result<Vec<(Key, Watched<T>)>, WatchError> {
        let state = self.known()?;
        let objects = state.objects.iter();
        Ok(objects
            .map(|(key, one)| (key.clone(), one.clone()))
            .collect())
    }

    /// Those of `keys` that exist.
    ///
    /// # Errors
    /// As [`Self::list`].
    pub fn some(&self, keys: &BTreeSet<Key>) -> Result<Vec<(Key, Watched<T>)>, WatchError> {
        let state = self.known()?;
        let one = |key: &Key| Some((key.clone(), state.objects.get(key)?.clone()));
        Ok(keys.iter().filter_map(one).collect())
    }

    /// The state, where objects are known.
    fn known(&self) -> Result<MutexGuard<'_, State<T>>, WatchError> {
        let state = lock(&self.state);
        if let Some((trouble, since)) = &state.trouble {
            let silent = matches!(trouble, WatchError::Silent { .. });
            let fresh = since.elapsed() < Duration::from_secs(WATCH_STALE_SECS_MAX);
            if !(silent && fresh && state.known) {
                return Err(trouble.clone());
            }
        }
        if !state.known {
            let detail = "it has not answered yet".to_owned();
            return Err(WatchError::Silent { detail });
        }
        Ok(state)
    }

    /// What identifies one object. `None`: it is not known.
    pub(super) fn meta(&self, key: &Key) -> Option<ObjectMeta> {
        let state = lock(&self.state);
        state.objects.get(key).map(|one| one.meta().clone())
    }

    /// Returns when there is an answer: objects, or a refusal.
    pub async fn answered(&self) {
        let mut changes = self.changes.clone();
        loop {
            {
                let state = lock(&self.state);
                let silent =
                    |(trouble, _): &(WatchError, _)| matches!(trouble, WatchError::Silent { .. });
                let refused = state.trouble.as_ref().is_some_and(|one| !silent(one));
                if state.known || refused {
                    return;
                }
            }
            if changes.changed().await.is_err() {
                return;
            }
        }
    }

    /// What was edited since this was asked last.
    #[must_use]
    pub fn take_edited(&self) -> Edited {
        std::mem::take(&mut lock(&self.state).edited)
    }

    /// Counts changes that decisions may differ by.
    #[must_use]
    pub fn edits(&self) -> signal::Receiver<u64> {
        self.edits.clone()
    }
}

fn lock<T>(state: &Mutex<State<T>>) -> MutexGuard<'_, State<T>> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The task behind a watch.
struct Runner<T> {
    client: Client,
    kind: Kind,
    scope: Option<String>,
    state: Arc<Mutex<State<T>>>,
    changed: signal::Sender<u64>,
    edited: signal::Sender<u64>,
}

impl<T: Content> Runner<T> {
    async fn run(self) {
        let mut failures = 0_u32;
        loop {
            let (error, fruitful) = self.once().await;
            failures = if fruitful {
                0
            } else {
                failures.saturating_add(1)
            };
            let asked = retry_after(&error);
            let trouble = self.meaning(&error).await;
            if let Some(trouble) = &trouble {
                tracing::debug!(kind = self.kind.resource.kind, %trouble, "a watch broke");
            }
            {
                let mut state = lock(&self.state);
                match trouble {
                    // Nothing of the kind can exist.
                    None => {
                        if !state.objects.is_empty() {
                            state.edited = Edited::Any;
                            self.edited.send_modify(|count| *count += 1);
                        }
                        state.objects.clear();
                        state.known = true;
                        state.trouble = None;
                    }
                    Some(trouble) => {
                        let since = state.trouble.as_ref().map(|(_, since)| *since);
                        state.trouble = Some((trouble, since.unwrap_or_else(Instant::now)));
                    }
                }
            }
            self.changed.send_modify(|count| *count += 1);
            tokio::time::sleep(pause(failures, asked)).await;
        }
    }

    /// Lists and watches until something breaks. Whether anything came before that.
    async fn once(&self) -> (watcher::Error, bool) {
        let resource = &self.kind.resource;
        let api: Api<Watched<T>> = match &self.scope {
            Some(namespace) => Api::namespaced_with(self.client.clone(), namespace, resource),
            None => Api::all_with(self.client.clone(), resource),
        };
        let config = watcher::Config::default()
            .timeout(WATCH_SECS)
            .page_size(WATCH_PAGE_OBJECTS);
        let mut events = pin!(watcher(api, config));
        let mut fruitful = false;
        while let Some(event) = events.next().await {
            match event {
                Ok(event) => fruitful |= self.take(event),
                Err(error) => return (error, fruitful),
            }
        }
        (watcher::Error::NoResourceVersion, fruitful)
    }

    /// Takes over an event. Whether a list is whole now or was before.
    fn take(&self, event: Event<Watched<T>>) -> bool {
        let mut state = lock(&self.state);
        let edited: BTreeSet<Key> = match event {
            Event::Init => {
                state.listing.clear();
                return false;
            }
            Event::InitApply(mut object) => {
                object.name_kind(&self.kind.resource);
                let key = object.key();
                // The same version is not kept twice while both are known.
                let known = state.objects.get(&key);
                let known = known.filter(|known| known.is_version_of(&object)).cloned();
                state.listing.insert(key, known.unwrap_or(object));
                return false;
            }
            Event::InitDone => {
                let listing = std::mem::take(&mut state.listing);
                let before = std::mem::replace(&mut state.objects, listing);
                let first = !std::mem::replace(&mut state.known, true);
                let differs = |(key, now): &(&Key, &Watched<T>)| {
                    let before = before.get(*key);
                    before.is_none_or(|before| now.decides_otherwise(before))
                };
                let changed = state.objects.iter().filter(differs).map(|(key, _)| key);
                let gone = before
                    .keys()
                    .filter(|key| !state.objects.contains_key(*key));
                // The first list is read by the first cycle, which looks at everything.
                match first {
                    true => BTreeSet::new(),
                    false => changed.chain(gone).cloned().collect(),
                }
            }
            Event::Apply(mut object) => {
                object.name_kind(&self.kind.resource);
                let key = object.key();
                let before = state.objects.insert(key.clone(), object.clone());
                let differs = before.is_none_or(|before| object.decides_otherwise(&before));
                differs.then_some(key).into_iter().collect()
            }
            Event::Delete(object) => {
                let key = object.key();
                let gone = state.objects.remove(&key).is_some();
                gone.then_some(key).into_iter().collect()
            }
        };
        let any = !edited.is_empty();
        state.edited.add(Edited::These(edited));
        state.trouble = None;
        drop(state);
        self.changed.send_modify(|count| *count += 1);
        if any {
            self.edited.send_modify(|count| *count += 1);
        }
        true
    }

    /// What an error means. `None`: the server does not know the kind, and need not.
    async fn meaning(&self, error: &watcher::Error) -> Option<WatchError> {
        let status = status_of(error);
        let code = status.map_or(0, |status| status.code);
        let silent = WatchError::Silent {
            detail: crate::pipeline::chain(error),
        };
        if !matches!(code, 403 | 404) {
            return Some(silent);
        }
        // Rights are asked before existence, so a kind that does not exist may be forbidden, too.
        match (self.is_served().await, code) {
            (Ok(false), _) if self.kind.optional => None,
            (Ok(false), _) => Some(WatchError::Unknown),
            (Ok(true), 403) => Some(WatchError::Forbidden {
                detail: status.map_or_else(String::new, |status| status.message.clone()),
            }),
            (Ok(true) | Err(_), _) => Some(silent),
        }
    }

    /// Whether the server knows the kind, as it tells everybody who may talk to it.
    async fn is_served(&self) -> Result<bool, Error> {
        let ApiResource {
            api_version,
            plural,
            ..
        } = &self.kind.resource;
        let ask = self.client.list_api_group_resources(api_version);
        let answer = tokio::time::timeout(super::REQUEST_TIMEOUT, ask).await;
        match answer.unwrap_or_else(|late| Err(Error::Service(Box::new(late)))) {
            Ok(list) => Ok(list.resources.iter().any(|one| one.name == *plural)),
            Err(Error::Api(status)) if status.code == 404 => Ok(false),
            Err(error) => Err(error),
        }
    }
}

fn status_of(error: &watcher::Error) -> Option<&kube::core::Status> {
    match error {
        watcher::Error::InitialListFailed(Error::Api(status))
        | watcher::Error::WatchStartFailed(Error::Api(status))
        | watcher::Error::WatchFailed(Error::Api(status))
        | watcher::Error::WatchError(status) => Some(status),
        _ => None,
    }
}

/// The pause that the server asks for, where it does.
fn retry_after(error: &watcher::Error) -> Option<Duration> {
    let details = status_of(error)?.details.as_ref()?;
    let seconds = u64::from(details.retry_after_seconds);
    (seconds > 0).then(|| Duration::from_secs(seconds))
}

/// Grows with each failure and is jittered, so that the watches of a process do not come back at
/// once; what the server asks for is sat out, within our bound.
fn pause(failures: u32, asked: Option<Duration>) -> Duration {
    let ceiling = WATCH_PAUSE_MS
        .saturating_mul(1 << failures.min(16))
        .min(WATCH_PAUSE_MS_MAX);
    let own = Duration::from_millis(rand::rng().random_range(ceiling / 2..=ceiling));
    let asked = asked.unwrap_or_default();
    own.max(asked.min(Duration::from_millis(WATCH_PAUSE_MS_MAX)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_are_jittered_and_bounded_whatever_the_server_asks() {
        let bound = Duration::from_millis(WATCH_PAUSE_MS_MAX);
        assert!(pause(0, None) <= Duration::from_millis(WATCH_PAUSE_MS));
        assert!(pause(40, None) <= bound && pause(40, None) >= bound / 2);
        assert!(pause(0, Some(Duration::from_secs(2))) >= Duration::from_secs(2));
        assert_eq!(pause(0, Some(Duration::from_secs(86_400))), bound);
    }
}
