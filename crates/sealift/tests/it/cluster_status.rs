//! `status` on a real API server: who writes it, when, and what happens where it may not be.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use sealift::cluster::config::Configuration;
use sealift::cluster::status::{StatusWriter, Statuses};
use sealift::cluster::{Cluster, Namespaces};
use sealift::objects::Objects as _;
use sealift::pipeline::report::Report;
use sealift_core::promotion::set::PolicySet;
use serde_json::{Value, json};

use crate::cluster_world::ClusterWorld;
use crate::world::{App, events, values};

const IMAGE: &str = "registry.test/acme/shop";

/// An Application that Git is behind for, and an ImageUpdater that selects it.
fn shop() -> Option<(ClusterWorld, Value)> {
    let cluster = ClusterWorld::new()?;
    cluster.allow_repository_credentials();
    let world = &cluster.world;
    world.images("acme/shop", &["1.8.2", "1.9.0"]);
    let repository = world.repository("gitops", &[("shop/values.yaml", &values(IMAGE, "1.8.2"))]);
    let running = format!("{IMAGE}:1.8.2");
    cluster.app(&App {
        annotations: &[("write-back-target", "helmvalues")],
        ..App::helm(
            "shop",
            &format!("{IMAGE}:1.x"),
            &[running.as_str()],
            &repository,
        )
    });
    let updater = cluster.apply(json!({
        "apiVersion": "argocd-image-updater.argoproj.io/v1alpha1", "kind": "ImageUpdater",
        "metadata": { "name": "all" },
        "spec": { "applicationRefs": [{ "namePattern": "shop", "useAnnotations": true }] },
    }));
    Some((cluster, updater))
}

pub(crate) fn status(cluster: &ClusterWorld, object: &Value) -> Value {
    cluster.kube.get(object).unwrap()["status"].clone()
}

pub(crate) fn condition(status: &Value, kind: &str) -> (String, String) {
    let conditions = status["conditions"].as_array();
    let found = conditions.and_then(|all| all.iter().find(|one| one["type"] == kind));
    let text = |name: &str| found.map_or(Value::Null, |one| one[name].clone());
    let text = |name: &str| text(name).as_str().unwrap_or_default().to_owned();
    (text("status"), text("reason"))
}

pub(crate) fn pair(status: &str, reason: &str) -> (String, String) {
    (status.to_owned(), reason.to_owned())
}

#[test]
fn the_status_of_an_image_updater_says_what_the_cycle_did() {
    let Some((cluster, updater)) = shop() else {
        return;
    };
    let ran = cluster.run(&["--annotations", "never"]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let first = status(&cluster, &updater);
    assert_eq!(
        (&first["applicationsMatched"], &first["imagesManaged"]),
        (&json!(1), &json!(1)),
        "{first:#}"
    );
    assert_eq!(
        first["observedGeneration"],
        updater["metadata"]["generation"]
    );
    assert_eq!(
        condition(&first, "Ready"),
        pair("True", "ReconcileSucceeded")
    );
    assert_eq!(first["recentUpdates"][0]["newVersion"], "1.9.0");
    assert_eq!(first["images"][0]["decision"], "updated");
    cluster.run(&["--annotations", "never"]);
    let second = status(&cluster, &updater);
    assert_eq!(second["images"][0]["decision"], "up-to-date");
    assert_eq!(second["recentUpdates"], first["recentUpdates"]);
    let version =
        |object: &Value| cluster.kube.get(object).unwrap()["metadata"]["resourceVersion"].clone();
    let before = version(&updater);
    cluster.run(&["--annotations", "never"]);
    assert_eq!(
        version(&updater),
        before,
        "nothing new was said, and nothing written"
    );
}

/// The Kubernetes events of the namespace that tell of updates.
pub(crate) fn kube_events(cluster: &ClusterWorld) -> Vec<Value> {
    let path = format!("/api/v1/namespaces/{}/events", cluster.namespace);
    let list = cluster.kube.request("GET", &path, None).ok();
    let all = list["items"].as_array().cloned().unwrap_or_default();
    let ours = |one: &Value| one["reason"] == "ImagesUpdated";
    all.into_iter().filter(ours).collect()
}

#[test]
fn a_landed_update_is_a_kubernetes_event_on_the_application_unless_turned_off() {
    let Some((cluster, _)) = shop() else { return };
    cluster.run(&["--annotations", "never"]);
    let events = kube_events(&cluster);
    assert_eq!(events.len(), 1, "{events:#?}");
    let event = &events[0];
    assert_eq!(event["message"], "Successfully updated application 'shop'");
    assert_eq!(event["source"]["component"], "ArgocdImageUpdater");
    let application = cluster.application("shop");
    assert_eq!(
        event["involvedObject"]["uid"],
        application["metadata"]["uid"]
    );
    let annotation = |name: &str| {
        event["metadata"]["annotations"][format!("argocd-image-updater.image-0/{name}")].clone()
    };
    assert_eq!(annotation("full-image-name"), IMAGE);
    assert_eq!(annotation("image-name"), "acme/shop");
    assert_eq!(
        (annotation("old-tag"), annotation("new-tag")),
        (json!("1.8.2"), json!("1.9.0"))
    );
    let tags = ["1.8.2", "1.9.0", "1.9.1"];
    cluster.world.images("acme/shop", &tags);
    let ran = cluster.run(&["--annotations", "never", "--disable-kube-events"]);
    assert_eq!(ran.decision(&cluster.id("shop")).0, "updated");
    assert_eq!(kube_events(&cluster).len(), 1);
}

#[test]
fn an_event_that_may_not_be_created_is_a_warning_and_the_update_lands() {
    let Some((cluster, _)) = shop() else { return };
    cluster.forbid("create");
    let ran = cluster.run(&["--annotations", "never"]);
    assert_eq!(
        (ran.code, ran.decision(&cluster.id("shop"))),
        (0, ("updated", "newest")),
        "{}",
        ran.stderr
    );
    assert!(ran.stderr.contains("kube-event-not-sent"), "{}", ran.stderr);
}

#[test]
fn a_dry_run_writes_no_status() {
    let Some((cluster, updater)) = shop() else {
        return;
    };
    cluster.run(&["--annotations", "never", "--dry-run"]);
    assert_eq!(status(&cluster, &updater), Value::Null);
}

#[test]
fn a_status_that_may_not_be_written_is_one_warning_and_the_update_lands() {
    let Some((cluster, updater)) = shop() else {
        return;
    };
    cluster.forbid("patch");
    let ran = cluster.run(&["--annotations", "never"]);
    assert_eq!(
        (ran.code, ran.decision(&cluster.id("shop"))),
        (0, ("updated", "newest")),
        "{}",
        ran.stderr
    );
    assert_eq!(status(&cluster, &updater), Value::Null);
    let notices = events(&cluster.world.path("state"), &["--kind", "notice"]);
    let said = notices.iter().filter(|one| {
        one["cause"]["reason"] == "status-not-written" || one["reason"] == "status-not-written"
    });
    assert_eq!(said.count(), 1, "{notices:#?}");
}

#[test]
fn a_policy_says_whether_it_is_in_force_and_an_invalid_one_why_not() {
    let Some((cluster, _)) = shop() else { return };
    let policy = |unsafe_reason: &str, registries: Value| {
        json!({
            "apiVersion": "sealift.dev/v1alpha1", "kind": "PromotionPolicy",
            "metadata": { "name": "strict" },
            "spec": { "allowedRegistries": registries,
                      "unsafeNoSignatures": { "reason": unsafe_reason } },
        })
    };
    let object = cluster.apply(policy("a test of statuses", json!(["registry.test"])));
    cluster.run(&["--annotations", "never"]);
    let good = status(&cluster, &object);
    assert_eq!(
        condition(&good, "Ready"),
        pair("True", "InForce"),
        "{good:#}"
    );
    assert!(good["hash"].is_string(), "{good:#}");
    cluster.apply(policy("a test of statuses", json!(["not a registry!"])));
    cluster.run(&["--annotations", "never"]);
    let bad = status(&cluster, &object);
    assert_eq!(
        condition(&bad, "Ready"),
        pair("False", "PolicyInvalid"),
        "{bad:#}"
    );
    let exception = cluster.apply(json!({
        "apiVersion": "sealift.dev/v1alpha1", "kind": "PolicyException",
        "metadata": { "name": "gone" },
        "spec": { "policy": "nowhere", "clauses": ["signatures"],
                  "image": { "pattern": IMAGE,
                             "digest": format!("sha256:{}", "0a".repeat(32)) },
                  "until": (Timestamp::now() + Duration::from_hours(24)).to_string(),
                  "reason": "a test of statuses" },
    }));
    cluster.run(&["--annotations", "never"]);
    let said = status(&cluster, &exception);
    assert_eq!(
        condition(&said, "Ready"),
        pair("False", "ExceptionInvalid"),
        "{said:#}"
    );
}

/// The object is edited after it was read: the status is made anew on what stands there then, and
/// says which generation was judged.
#[tokio::test(flavor = "multi_thread")]
async fn a_status_over_an_edit_of_the_same_moment_is_made_anew() {
    let Some(cluster) = ClusterWorld::new() else {
        return;
    };
    let policy = |registry: &str| {
        json!({
            "apiVersion": "sealift.dev/v1alpha1", "kind": "PromotionPolicy",
            "metadata": { "name": "strict" },
            "spec": { "allowedRegistries": [registry],
                      "unsafeNoSignatures": { "reason": "a test of statuses" } },
        })
    };
    let object = cluster.apply(policy("registry.test"));
    let configuration = Configuration::File(cluster.world.path("kubeconfig"));
    let namespaces = Namespaces::parse("", &cluster.namespace);
    let watched = Cluster::watch(&configuration, &namespaces, &cluster.namespace).await;
    let watched = Arc::new(watched.unwrap());
    watched.answered().await;
    let listed = watched.view(Vec::new()).policies().await.unwrap();
    let mut set = PolicySet::new(&cluster.namespace);
    let documents: Vec<_> = listed.iter().map(|one| one.document()).collect();
    let findings = set.update(&documents, Timestamp::now());
    cluster.apply(policy("other.test"));
    let remarks = StatusWriter::default()
        .write(
            &watched,
            &Statuses {
                report: &Report::default(),
                updaters: &[],
                policies: &listed,
                set: &set,
                findings: &findings,
                leader: None,
                now: Timestamp::now(),
            },
        )
        .await;
    assert_eq!(remarks, []);
    let now = cluster.kube.get(&object).unwrap();
    assert_eq!(now["spec"]["allowedRegistries"], json!(["other.test"]));
    assert_eq!(
        (
            &now["metadata"]["generation"],
            &now["status"]["observedGeneration"]
        ),
        (&json!(2), &json!(1))
    );
    assert_eq!(condition(&now["status"], "Ready"), pair("True", "InForce"));
}
