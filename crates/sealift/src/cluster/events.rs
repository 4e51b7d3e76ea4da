//! Kubernetes events about what landed, for `kubectl describe application` and those who follow
//! events. Names, reasons and annotations are those of Argo CD Image Updater.
//!
//! An event that cannot be created changes nothing: the journal has it.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use kube::Error;
use sealift_core::event::PushResult;
use sealift_core::image_updater::status::ImageOutcome;
use sealift_core::reason::Reason;
use sealift_core::reference::Reference;
use serde_json::{Map, Value, json};

use super::Cluster;
use super::lease::Leader;
use super::objects::{bounded, words};
use crate::pipeline::report::Report;
use crate::policies::Remark;

/// Prefix of the annotations.
const PREFIX: &str = "argocd-image-updater";
/// Characters of an Application's name in the name of an event: with the time it must stay below
/// the bound of names.
const NAME_CHARS_MAX: usize = 230;

/// Creates an event for each Application that was written, and says what could not be created.
/// None of it once another replica may lead.
pub async fn send(
    cluster: &Cluster,
    report: &Report,
    leader: Option<&Leader>,
    now: Timestamp,
) -> Vec<Remark> {
    let mut remarks = Vec::new();
    for (application, images) in updates(report) {
        if leader.is_some_and(|leader| !leader.leads()) {
            break;
        }
        let Some((namespace, name)) = application.split_once('/') else {
            continue;
        };
        let event = event(cluster, (namespace, name), images, now);
        if let Err(error) = create(cluster, namespace, &event).await {
            remarks.push(Remark {
                subject: application.clone(),
                reason: Reason::KubeEventNotSent,
                detail: format!(
                    "the Kubernetes event about the update of `{application}` was not created: {}",
                    words(&error)
                ),
            });
            // The next ones would end the same way.
            break;
        }
    }
    remarks
}

/// The annotations of each Application whose push landed.
fn updates(report: &Report) -> BTreeMap<String, Map<String, Value>> {
    let landed = |result| result == Some(PushResult::Landed);
    let pushes = report.pushes.iter().filter(|push| landed(push.result));
    let landed: BTreeSet<&String> = pushes.flat_map(|push| &push.applications).collect();
    let mut updates: BTreeMap<String, (usize, Map<String, Value>)> = BTreeMap::new();
    for entry in &report.considered {
        let considered = entry.considered();
        let outcome = ImageOutcome::of(&considered, false);
        let Some(change) = outcome.change() else {
            continue;
        };
        if !landed.contains(&considered.application) {
            continue;
        }
        let (count, annotations) = updates.entry(considered.application.clone()).or_default();
        let image = format!("{PREFIX}.image-{count}");
        for (key, value) in [
            ("full-image-name", change.image),
            ("image-name", &Reference::parse(change.image).name),
            ("old-tag", change.old),
            ("new-tag", change.new),
        ] {
            annotations.insert(format!("{image}/{key}"), Value::from(value));
        }
        *count += 1;
    }
    let updates = updates.into_iter();
    updates.map(|(id, (_, images))| (id, images)).collect()
}

fn event(
    cluster: &Cluster,
    (namespace, name): (&str, &str),
    annotations: Map<String, Value>,
    now: Timestamp,
) -> Value {
    let short: String = name.chars().take(NAME_CHARS_MAX).collect();
    let meta = cluster
        .application_meta(namespace, name)
        .unwrap_or_default();
    let time = now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    json!({
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {
            "name": format!("{short}.{:x}", now.as_nanosecond()),
            "namespace": namespace,
            "annotations": annotations,
        },
        "type": "Normal",
        "reason": "ImagesUpdated",
        "message": format!("Successfully updated application '{name}'"),
        "source": { "component": "ArgocdImageUpdater" },
        "count": 1,
        "firstTimestamp": time,
        "lastTimestamp": time,
        "involvedObject": {
            "apiVersion": "argoproj.io/v1alpha1",
            "kind": "Application",
            "namespace": namespace,
            "name": name,
            "uid": meta.uid,
            "resourceVersion": meta.resource_version,
        },
    })
}

async fn create(cluster: &Cluster, namespace: &str, event: &Value) -> Result<(), Error> {
    let body = serde_json::to_vec(event).map_err(Error::SerdeError)?;
    let request = http::Request::post(format!("/api/v1/namespaces/{namespace}/events"))
        .header("content-type", "application/json")
        .body(body)
        .map_err(Error::HttpError)?;
    let created = bounded(cluster.client().request::<Value>(request)).await;
    created.map(|_| ())
}
