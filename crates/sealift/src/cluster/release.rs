//! Lets go of ImageUpdaters that are being deleted: the finalizer that Argo CD Image Updater left on
//! them is taken off, and their metrics end.
//!
//! Not part of a cycle: an object that nobody lets go of stands in the way of whoever deletes it,
//! and of its namespace, and cycles may be far apart or fail. What the patch is like:
//! [`sealift_core::image_updater::release`].

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use kube::Error;
use sealift_core::image_updater::release;
use sealift_core::limits::{RELEASE_PAUSE_MS, RELEASE_PAUSE_MS_MAX, STATUS_TRIES_MAX};
use sealift_core::reason::Reason;
use serde_json::Value;

use super::lease::Leader;
use super::objects::{FIELD_MANAGER, bounded, words};
use super::watch::{Key, Watch};
use super::{Cluster, UPDATER_GROUP};
use crate::metrics::Metrics;

/// Lets go of objects until it is dropped.
#[derive(Debug)]
pub struct Releasing(tokio::task::JoinHandle<()>);

impl Drop for Releasing {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Lets go of objects, and remembers which it could not let go of.
pub struct Releaser {
    cluster: Arc<Cluster>,
    leader: Option<Leader>,
    metrics: Arc<Metrics>,
    /// Objects that could not be let go of, by their `uid`, so that it is said once.
    said: BTreeSet<String>,
}

/// What became of one object.
enum Released {
    /// Nothing keeps it on our account.
    Done,
    /// Another replica leads: it is that one's.
    NotOurs,
    /// The API server does not do it.
    Refused(String),
}

impl Releaser {
    /// Nothing is let go of but while `leader` leads. None: there are no others.
    #[must_use]
    pub const fn new(cluster: Arc<Cluster>, leader: Option<Leader>, metrics: Arc<Metrics>) -> Self {
        Self {
            cluster,
            leader,
            metrics,
            said: BTreeSet::new(),
        }
    }

    /// Goes on by itself: whenever an object is edited, and again soon after what failed.
    #[must_use]
    pub fn start(self) -> Releasing {
        Releasing(tokio::spawn(self.run()))
    }

    async fn run(mut self) {
        self.cluster.answered().await;
        let mut edits = self.cluster.image_updater_edits();
        let mut failures = 0_u32;
        loop {
            edits.forget();
            let leads = self.leads();
            let done = self.all().await;
            failures = if done { 0 } else { failures.saturating_add(1) };
            tokio::select! {
                () = edits.next() => {}
                () = leadership_differs(self.leader.as_ref(), leads) => {}
                () = tokio::time::sleep(pause(failures)), if !done => {}
            }
        }
    }

    /// Lets go of every object that waits for it, and ends the metrics of those that are gone.
    /// Whether nothing is left to do.
    pub async fn all(&mut self) -> bool {
        if !self.leads() {
            // Whoever leads counts.
            self.metrics.peer.keep(&BTreeSet::new());
            return true;
        }
        if let Some(living) = self.cluster.living_image_updaters() {
            self.metrics.peer.keep(&living);
        }
        let mut done = true;
        let waiting = self.cluster.waiting_image_updaters();
        self.said.retain(|uid| waiting.contains_key(uid));
        for (uid, ((namespace, name), object)) in waiting {
            match self.one(&namespace, &name, object).await {
                Released::Done => {
                    let id = format!("{namespace}/{name}");
                    tracing::info!("released ImageUpdater `{id}`, which is being deleted");
                }
                Released::NotOurs => return true,
                Released::Refused(detail) => {
                    done = false;
                    if self.said.insert(uid) {
                        self.say(&namespace, &name, &detail);
                    }
                }
            }
        }
        done
    }

    fn say(&self, namespace: &str, name: &str, detail: &str) {
        let reason = Reason::FinalizerNotRemoved;
        let subject = format!("{namespace}/{name}");
        tracing::warn!(
            reason = reason.id(),
            subject,
            "ImageUpdater `{subject}` is being deleted and stays, because the finalizer of Argo CD \
             Image Updater could not be taken off: {detail}; allow `patch` on `imageupdaters`, as in \
             `deploy/rbac`"
        );
        self.metrics.notice(reason);
    }

    async fn one(&self, namespace: &str, name: &str, object: Arc<Value>) -> Released {
        let path =
            format!("/apis/{UPDATER_GROUP}/v1alpha1/namespaces/{namespace}/imageupdaters/{name}");
        let mut object = object;
        let mut moved = String::new();
        for _ in 0..STATUS_TRIES_MAX {
            let Some(patch) = release::patch(&object) else {
                return Released::Done;
            };
            if !self.leads() {
                return Released::NotOurs;
            }
            let request = http::Request::patch(format!("{path}?fieldManager={FIELD_MANAGER}"))
                .header("content-type", "application/json-patch+json");
            let body = serde_json::to_vec(&patch).unwrap_or_default();
            match self.ask(request, body).await {
                Ok(_) => return Released::Done,
                // Something else stands there by now, or the schema refuses the object as it is.
                Err(error @ Error::Api(_)) if is(&error, &[409, 422]) => moved = words(&error),
                Err(error) if is(&error, &[404]) => return Released::Done,
                Err(error) => return Released::Refused(words(&error)),
            }
            match self.ask(http::Request::get(&path), Vec::new()).await {
                Ok(now) => object = Arc::new(now),
                Err(error) if is(&error, &[404]) => return Released::Done,
                Err(error) => return Released::Refused(words(&error)),
            }
        }
        Released::Refused(moved)
    }

    async fn ask(&self, request: http::request::Builder, body: Vec<u8>) -> Result<Value, Error> {
        let request = request.body(body).map_err(Error::HttpError)?;
        bounded(self.cluster.client().request::<Value>(request)).await
    }

    fn leads(&self) -> bool {
        self.leader.as_ref().is_none_or(Leader::leads)
    }
}

fn is(error: &Error, codes: &[u16]) -> bool {
    matches!(error, Error::Api(status) if codes.contains(&status.code))
}

/// Returns when this replica leads, or does not, other than `led`.
async fn leadership_differs(leader: Option<&Leader>, led: bool) {
    match leader {
        Some(leader) => leader.differs_from(led).await,
        None => std::future::pending().await,
    }
}

fn pause(failures: u32) -> Duration {
    let pause = RELEASE_PAUSE_MS.saturating_mul(1 << failures.min(16));
    Duration::from_millis(pause.min(RELEASE_PAUSE_MS_MAX))
}

/// Objects that wait for us, by their `uid`.
type Waiting = BTreeMap<String, (Key, Arc<Value>)>;

impl Cluster {
    /// ImageUpdaters that nobody is deleting. `None`: that is not known.
    #[must_use]
    pub fn living_image_updaters(&self) -> Option<BTreeSet<Key>> {
        let mut living = BTreeSet::new();
        for watch in &self.image_updaters {
            for (key, object) in watch.list().ok()? {
                let goes = |object: &Arc<Value>| release::is_being_deleted(object);
                if !object.content.as_ref().is_ok_and(goes) {
                    living.insert(key);
                }
            }
        }
        Some(living)
    }

    fn waiting_image_updaters(&self) -> Waiting {
        let known = self.image_updaters.iter().filter_map(|one| one.list().ok());
        let waiting = known.flatten().filter_map(|(key, object)| {
            let object = object.content.ok()?;
            release::patch(&object)?;
            let uid = object.pointer("/metadata/uid")?.as_str()?.to_owned();
            Some((uid, (key, object)))
        });
        waiting.collect()
    }

    fn image_updater_edits(&self) -> super::Edits {
        super::Edits(self.image_updaters.iter().map(Watch::edits).collect())
    }
}
