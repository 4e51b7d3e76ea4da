//! `status` of ImageUpdaters and policies, written after a cycle by whoever leads.
//!
//! Only what differs is written, over exactly the version that it was made from: where somebody
//! else was faster, it is made anew. That it cannot be written stops nothing. Kubernetes API
//! concepts, "Status subresource"; API conventions, "Concurrency control and consistency".

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use jiff::Timestamp;
use kube::Error;
use sealift_core::image_updater::status::ImageUpdaterStatus;
use sealift_core::image_updater::{ImageUpdaterId, release};
use sealift_core::limits::STATUS_TRIES_MAX;
use sealift_core::promotion::read::{Kind, ObjectId};
use sealift_core::promotion::set::{PolicyFinding, PolicySet};
use sealift_core::promotion::status::PolicyStatus;
use sealift_core::reason::Reason;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::lease::Leader;
use super::objects::{FIELD_MANAGER, bounded, words};
use super::{CLUSTER_POLICY, Cluster, POLICY_GROUP, POLICY_KINDS, UPDATER_GROUP};
use crate::objects::policies::ListedPolicy;
use crate::objects::{ListedUpdater, Origin};
use crate::pipeline::report::Report;
use crate::policies::Remark;

/// Writes statuses, and remembers what it could not write.
#[derive(Debug, Default)]
pub struct StatusWriter {
    /// Plurals of kinds whose status could not be written, so that it is said once.
    refused: BTreeSet<&'static str>,
    /// The definition of ImageUpdaters is the peer's, which has no `images`: they are not sent.
    without_images: bool,
    /// Objects as they stand since this cycle began.
    begun: BTreeMap<ImageUpdaterId, Begun>,
}

/// An object after a status was written.
#[derive(Debug)]
struct Begun {
    /// The version that was known before.
    over: Value,
    /// The whole object.
    stored: Value,
}

/// An ImageUpdater on the API server.
struct UpdaterPlace<'a> {
    id: ImageUpdaterId,
    path: String,
    object: &'a Value,
    generation: Option<i64>,
}

impl<'a> UpdaterPlace<'a> {
    /// `None`: it stands elsewhere, or is being deleted.
    fn of(listed: &'a ListedUpdater) -> Option<Self> {
        let Origin::Cluster { namespace, name } = &listed.origin else {
            return None;
        };
        let object = listed.object.as_deref()?;
        if release::is_being_deleted(object) {
            return None;
        }
        Some(Self {
            id: ImageUpdaterId {
                namespace: namespace.clone(),
                name: name.clone(),
            },
            path: format!(
                "/apis/{UPDATER_GROUP}/v1alpha1/namespaces/{namespace}/{UPDATERS}/{name}"
            ),
            object,
            generation: object["metadata"]["generation"].as_i64(),
        })
    }

    /// The object as it stands since it was written, where the watch has not told of that yet.
    fn or_newer(&self, begun: Option<&'a Begun>) -> &'a Value {
        let told = &self.object["metadata"]["resourceVersion"];
        match begun.filter(|begun| begun.over == *told) {
            Some(begun) => &begun.stored,
            None => self.object,
        }
    }
}

/// Plural of ImageUpdaters.
const UPDATERS: &str = "imageupdaters";

/// What is to be said after a cycle, and on what.
pub struct Statuses<'a> {
    /// What the cycle says of ImageUpdaters.
    pub report: &'a Report,
    /// The ImageUpdaters there are.
    pub updaters: &'a [ListedUpdater],
    /// The policies as they were read before the cycle.
    pub policies: &'a [ListedPolicy],
    /// What was made of them.
    pub set: &'a PolicySet,
    /// What was found about them.
    pub findings: &'a [PolicyFinding],
    /// Whether this replica leads. None: there are no others.
    pub leader: Option<&'a Leader>,
    /// The moment.
    pub now: Timestamp,
}

/// Why a status was not written.
enum NotWritten {
    /// Nothing else of the kind will be, either.
    Kind(String),
    /// The server does not answer: nothing else is tried in this cycle.
    Server(String),
}

impl StatusWriter {
    /// Writes every status that differs, and says what could not be written.
    pub async fn write(&mut self, cluster: &Arc<Cluster>, statuses: &Statuses<'_>) -> Vec<Remark> {
        let mut remarks = Vec::new();
        let mut ended = self.updaters(cluster, statuses, &mut remarks).await;
        if !ended {
            ended = self.policies(cluster, statuses, &mut remarks).await;
        }
        if ended {
            tracing::debug!("not every status was written");
        }
        remarks
    }

    /// Whether the server was given up on.
    async fn updaters(
        &mut self,
        cluster: &Cluster,
        statuses: &Statuses<'_>,
        remarks: &mut Vec<Remark>,
    ) -> bool {
        for place in statuses.updaters.iter().filter_map(UpdaterPlace::of) {
            // One that the cycle has not seen yet is the next one's.
            let Some(report) = statuses.report.updater(&place.id) else {
                continue;
            };
            let without_images = self.without_images;
            let make = |before: ImageUpdaterStatus| {
                let mut after = report.status_after(before.clone(), statuses.now);
                if without_images {
                    after.images.clear();
                }
                let due = report.is_due(&after, &before, statuses.now);
                due.then_some(after)
            };
            let begun = self.begun.remove(&place.id);
            let object = place.or_newer(begun.as_ref());
            let written = put(cluster, &place.path, object, make, statuses.leader).await;
            if let Ok(Some((sent, stored))) = &written {
                let stored: ImageUpdaterStatus = status_of(stored);
                self.without_images |= !sent.images.is_empty() && stored.images.is_empty();
            }
            match self.note(UPDATERS, written.map(|_| ()), remarks) {
                Next::Object => {}
                Next::Kind => break,
                Next::Nothing => return true,
            }
        }
        false
    }

    /// Says on each ImageUpdater that a cycle has begun, where that is worth a write, until the cycle
    /// is over.
    pub async fn begin(
        &mut self,
        cluster: &Cluster,
        updaters: &[ListedUpdater],
        leader: Option<&Leader>,
        (now, over): (Timestamp, &AtomicBool),
    ) -> Vec<Remark> {
        self.begun.clear();
        let make = |place: &UpdaterPlace<'_>, before: ImageUpdaterStatus| {
            let over = over.load(Ordering::Relaxed);
            let due = !over && before.start_is_due(place.generation, now);
            let after = before.clone().started(place.generation, now);
            (due && after != before).then_some(after)
        };
        // What is refused is tried again at the end of the cycle.
        match self.refused.contains(UPDATERS) {
            true => Vec::new(),
            false => self.on_each(cluster, updaters, leader, make).await,
        }
    }

    /// Says on each ImageUpdater that the cycle came to no end.
    pub async fn fail(
        &mut self,
        cluster: &Cluster,
        updaters: &[ListedUpdater],
        leader: Option<&Leader>,
        (failure, now): (&str, Timestamp),
    ) -> Vec<Remark> {
        let make = |place: &UpdaterPlace<'_>, before: ImageUpdaterStatus| {
            let after = before.clone();
            let after = after.failed(place.generation, failure.to_owned(), now);
            after.is_due(&before, now).then_some(after)
        };
        self.on_each(cluster, updaters, leader, make).await
    }

    /// Writes what `make` makes of the status of each ImageUpdater, and keeps what stands there
    /// then for the next write: a watch may tell of it later.
    async fn on_each(
        &mut self,
        cluster: &Cluster,
        updaters: &[ListedUpdater],
        leader: Option<&Leader>,
        make: impl Fn(&UpdaterPlace<'_>, ImageUpdaterStatus) -> Option<ImageUpdaterStatus>,
    ) -> Vec<Remark> {
        let mut remarks = Vec::new();
        for place in updaters.iter().filter_map(UpdaterPlace::of) {
            let begun = self.begun.remove(&place.id);
            let object = place.or_newer(begun.as_ref());
            let make = |before| make(&place, before);
            let written = put(cluster, &place.path, object, make, leader).await;
            if let Ok(Some((_, stored))) = &written {
                let over = place.object["metadata"]["resourceVersion"].clone();
                let stored = stored.clone();
                self.begun.insert(place.id.clone(), Begun { over, stored });
            }
            match self.note(UPDATERS, written.map(|_| ()), &mut remarks) {
                Next::Object => {}
                Next::Kind | Next::Nothing => break,
            }
        }
        remarks
    }

    /// As [`StatusWriter::updaters`].
    async fn policies(
        &mut self,
        cluster: &Cluster,
        statuses: &Statuses<'_>,
        remarks: &mut Vec<Remark>,
    ) -> bool {
        let mut left_out = BTreeSet::new();
        for listed in statuses.policies {
            let Some(place) = PolicyPlace::of(listed) else {
                continue;
            };
            if left_out.contains(place.plural) {
                continue;
            }
            let id = &place.id;
            let exception = id.kind == Some(Kind::PolicyException);
            let name = id.to_string();
            let about = |finding: &&PolicyFinding| {
                finding.name == name && is_of_exception(finding.reason) == exception
            };
            let findings: Vec<&PolicyFinding> = statuses.findings.iter().filter(about).collect();
            let mut in_force = statuses.set.policies();
            let hash = in_force.find(|policy| policy.id == *id);
            let hash = hash.map(|policy| policy.effective.hash);
            let make = |before: PolicyStatus| {
                let after = before
                    .clone()
                    .read(place.generation, &findings, hash, statuses.now);
                (after != before).then_some(after)
            };
            let written = put(cluster, &place.path, place.object, make, statuses.leader).await;
            match self.note(place.plural, written.map(|_| ()), remarks) {
                Next::Object => {}
                Next::Kind => {
                    left_out.insert(place.plural);
                }
                Next::Nothing => return true,
            }
        }
        false
    }

    /// Says once that statuses of a kind cannot be written, and again after they could be.
    fn note(
        &mut self,
        plural: &'static str,
        written: Result<(), NotWritten>,
        remarks: &mut Vec<Remark>,
    ) -> Next {
        let (detail, next) = match written {
            Ok(()) => {
                self.refused.remove(plural);
                return Next::Object;
            }
            Err(NotWritten::Kind(detail)) => (detail, Next::Kind),
            Err(NotWritten::Server(detail)) => (detail, Next::Nothing),
        };
        if self.refused.insert(plural) {
            remarks.push(Remark {
                subject: format!("{plural}/status"),
                reason: Reason::StatusNotWritten,
                detail: format!(
                    "the status of `{plural}` was not written: {detail}; allow `patch` on \
                     `{plural}/status`, as in `deploy/rbac`"
                ),
            });
        }
        next
    }
}

/// What is tried after a status.
enum Next {
    Object,
    Kind,
    Nothing,
}

/// A policy on the API server.
struct PolicyPlace<'a> {
    id: ObjectId,
    plural: &'static str,
    path: String,
    object: &'a Value,
    generation: Option<i64>,
}

impl<'a> PolicyPlace<'a> {
    fn of(listed: &'a ListedPolicy) -> Option<Self> {
        let (Ok(object), Origin::Cluster { namespace, name }) = (&listed.object, &listed.origin)
        else {
            return None;
        };
        let kind = object["kind"].as_str()?;
        let all = POLICY_KINDS.iter().chain([&CLUSTER_POLICY]);
        let (_, plural) = all.into_iter().find(|(known, _)| *known == kind)?;
        let root = format!("/apis/{POLICY_GROUP}/v1alpha1");
        let (path, namespace) = match namespace.as_str() {
            "" => (format!("{root}/{plural}/{name}"), None),
            namespace => (
                format!("{root}/namespaces/{namespace}/{plural}/{name}"),
                Some(namespace.to_owned()),
            ),
        };
        let kind = match *plural {
            "promotionpolicies" => Kind::PromotionPolicy,
            "policyexceptions" => Kind::PolicyException,
            _ => Kind::ClusterPromotionPolicy,
        };
        Some(Self {
            id: ObjectId {
                kind: Some(kind),
                namespace,
                name: name.clone(),
            },
            plural,
            path,
            object,
            generation: object["metadata"]["generation"].as_i64(),
        })
    }
}

const fn is_of_exception(reason: Reason) -> bool {
    matches!(reason, Reason::ExceptionInvalid | Reason::ExceptionExpired)
}

/// Replaces the status of the object at `path`, which was `object` when it was last seen. `make`
/// gives the status after the one before; `None`: nothing is to be written. Comes back with what
/// was sent and the object as it is stored now.
async fn put<S: Serialize + DeserializeOwned + Default>(
    cluster: &Cluster,
    path: &str,
    object: &Value,
    make: impl Fn(S) -> Option<S>,
    leader: Option<&Leader>,
) -> Result<Option<(S, Value)>, NotWritten> {
    let mut fresh = None;
    for _ in 0..STATUS_TRIES_MAX {
        let known = fresh.as_ref().unwrap_or(object);
        let Some(status) = make(status_of(known)) else {
            return Ok(None);
        };
        if leader.is_some_and(|leader| !leader.leads()) {
            return Ok(None);
        }
        let version = &known["metadata"]["resourceVersion"];
        let patch = json!([
            // Another version than this one is a conflict.
            { "op": "replace", "path": "/metadata/resourceVersion", "value": version },
            { "op": "add", "path": "/status", "value": status },
        ]);
        let request = http::Request::patch(format!("{path}/status?fieldManager={FIELD_MANAGER}"))
            .header("content-type", "application/json-patch+json");
        match ask(
            cluster,
            request,
            serde_json::to_vec(&patch).unwrap_or_default(),
        )
        .await
        {
            Ok(stored) => return Ok(Some((status, stored))),
            Err(Error::Api(answer)) if answer.code == 409 => {}
            Err(Error::Api(answer)) if answer.code == 404 => return Ok(None),
            Err(error) => return Err(not_written(&error)),
        }
        let now = match ask(cluster, http::Request::get(path), Vec::new()).await {
            Ok(now) => now,
            Err(Error::Api(answer)) if answer.code == 404 => return Ok(None),
            Err(error) => return Err(not_written(&error)),
        };
        // Another object of this name: the next cycle has something to say of it.
        if now["metadata"]["uid"] != object["metadata"]["uid"] {
            return Ok(None);
        }
        fresh = Some(now);
    }
    tracing::debug!(
        path,
        "somebody else keeps changing the object; its status is the next cycle's"
    );
    Ok(None)
}

/// A status that cannot be read says nothing.
fn status_of<S: DeserializeOwned + Default>(object: &Value) -> S {
    let status = object.get("status").cloned().unwrap_or_default();
    serde_json::from_value(status).unwrap_or_default()
}

async fn ask(
    cluster: &Cluster,
    request: http::request::Builder,
    body: Vec<u8>,
) -> Result<Value, Error> {
    let request = request.body(body).map_err(Error::HttpError)?;
    bounded(cluster.client().request::<Value>(request)).await
}

fn not_written(error: &Error) -> NotWritten {
    match error {
        Error::Api(answer) if answer.code < 500 && answer.code != 429 => {
            NotWritten::Kind(words(error))
        }
        error => NotWritten::Server(words(error)),
    }
}
