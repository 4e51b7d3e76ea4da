//! Write-back method `argocd` on a real API server: one Application, one patch, nobody's change
//! lost.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use jiff::Timestamp;
use sealift::cluster::config::Configuration;
use sealift::cluster::{Cluster, Namespaces};
use sealift::objects::{Objects as _, Patched};
use sealift_core::digest::Digest;
use sealift_core::evidence::Evidence;
use sealift_core::reference::Reference;
use sealift_core::slot::source::Which;
use sealift_core::slot::{Format, SlotImage};
use sealift_trust::{Admitted, Candidate, Case, Claim, Judge, Policy, Unverified, admit};
use sealift_write::{SpecEdit, spec_patch};
use serde_json::{Value, json};

use crate::cluster_world::ClusterWorld;
use crate::world::events;

const IMAGE: &str = "registry.test/acme/shop";

/// An Application with `source`, which runs 1.8.2.
fn application(cluster: &ClusterWorld, spec: &Value, kind: &str, annotations: &Value) -> Value {
    let prefix = "argocd-image-updater.argoproj.io/";
    let mut all = json!({ format!("{prefix}image-list"): format!("web={IMAGE}:1.x") });
    for (key, value) in annotations.as_object().into_iter().flatten() {
        all[format!("{prefix}{key}")] = value.clone();
    }
    let types: Vec<&str> = match spec.get("sources") {
        Some(sources) => vec![kind; sources.as_array().unwrap().len()],
        None => Vec::new(),
    };
    cluster.apply(json!({
        "apiVersion": "argoproj.io/v1alpha1", "kind": "Application",
        "metadata": { "name": "shop", "annotations": all },
        "spec": spec,
        "status": { "sourceType": kind, "sourceTypes": types,
                    "summary": { "images": [format!("{IMAGE}:1.8.2")] } },
    }))
}

fn cluster() -> Option<ClusterWorld> {
    let cluster = ClusterWorld::new()?;
    cluster.world.images("acme/shop", &["1.8.2", "1.9.0"]);
    Some(cluster)
}

/// Runs once and comes back with the Application's spec.
#[track_caller]
fn updated(cluster: &ClusterWorld) -> Value {
    let ran = cluster.run(&[]);
    assert_eq!(
        (ran.code, ran.decision(&cluster.id("shop"))),
        (0, ("updated", "newest")),
        "{:#}\n{}",
        ran.report,
        ran.stderr
    );
    cluster.application("shop")["spec"].clone()
}

fn source(more: Value) -> Value {
    let mut source = json!({ "repoURL": "https://git.test/r", "path": "shop" });
    source
        .as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    source
}

#[test]
fn helm_parameters_are_set_and_everything_else_stays() {
    let Some(cluster) = cluster() else { return };
    let helm = json!({ "helm": { "releaseName": "x", "parameters": [
        { "name": "replicas", "value": "2" },
        { "name": "image.tag", "value": "1.8.2" },
        { "name": "image.name", "value": IMAGE } ] } });
    let spec = json!({ "project": "default", "destination": { "namespace": "shop" },
                       "source": source(helm) });
    application(&cluster, &spec, "Helm", &json!({}));
    let after = updated(&cluster);
    let mut expected = spec;
    expected["source"]["helm"]["parameters"] = json!([
        { "name": "replicas", "value": "2" },
        { "name": "image.tag", "value": "1.9.0", "forceString": true },
        { "name": "image.name", "value": IMAGE, "forceString": true } ]);
    assert_eq!(after, expected);
    let ran = cluster.run(&[]);
    assert_eq!(ran.decision(&cluster.id("shop")).0, "up-to-date");
    let events = events(&cluster.world.path("state"), &["--kind", "outcome"]);
    assert_eq!(events.len(), 1, "{events:?}");
    assert_eq!(events[0]["result"], "landed");
}

#[test]
fn a_missing_block_is_made_in_a_hydrators_dry_source_too() {
    let Some(cluster) = cluster() else { return };
    let spec = json!({ "project": "default",
                       "sourceHydrator": { "drySource": source(json!({ "helm": {} })),
                                           "syncSource": { "targetBranch": "env/x" } } });
    application(&cluster, &spec, "Helm", &json!({ "force-update": "true" }));
    let after = updated(&cluster);
    let parameters = &after["sourceHydrator"]["drySource"]["helm"]["parameters"];
    assert_eq!(
        *parameters,
        json!([{ "name": "image.name", "value": IMAGE, "forceString": true },
               { "name": "image.tag", "value": "1.9.0", "forceString": true }])
    );
    assert_eq!(
        after["sourceHydrator"]["syncSource"],
        spec["sourceHydrator"]["syncSource"]
    );
}

#[test]
fn kustomize_images_of_the_second_of_two_sources_are_set() {
    let Some(cluster) = cluster() else { return };
    let images = json!({ "kustomize": { "images": ["other:1", format!("{IMAGE}:1.8.2")] } });
    let spec = json!({ "project": "default", "sources": [
        { "repoURL": "https://git.test/values", "ref": "values" }, source(images) ] });
    application(&cluster, &spec, "Kustomize", &json!({}));
    let after = updated(&cluster);
    let mut expected = spec;
    expected["sources"][1]["kustomize"]["images"][1] = json!(format!("{IMAGE}:1.9.0"));
    assert_eq!(after, expected);
}

#[test]
fn plan_shows_the_change_and_makes_none() {
    let Some(cluster) = cluster() else { return };
    let images = json!({ "kustomize": { "images": [format!("{IMAGE}:1.8.2")] } });
    let spec = json!({ "project": "default", "source": source(images) });
    let before = application(&cluster, &spec, "Kustomize", &json!({}));
    let output = cluster
        .command("plan")
        .args(["--output", "json", "--annotations", "auto"])
        .output()
        .unwrap();
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let diff = report["pushes"][0]["files"][0]["diff"].as_str().unwrap();
    assert!(
        diff.contains("+      \"registry.test/acme/shop:1.9.0\""),
        "{diff}"
    );
    let version = |object: &Value| object["metadata"]["resourceVersion"].clone();
    assert_eq!(version(&cluster.application("shop")), version(&before));
}

/// A person edits the same list, and the same entry, all the time. Whatever they write last before
/// the update is what the update builds on, and everything that they add stays.
#[test]
fn edits_that_people_make_meanwhile_are_never_lost() {
    let Some(cluster) = cluster() else { return };
    let parameters = json!({ "helm": { "parameters": [
        { "name": "image.name", "value": IMAGE },
        { "name": "image.tag", "value": "1.8.2" } ] } });
    let spec = json!({ "project": "default", "source": source(parameters) });
    application(&cluster, &spec, "Helm", &json!({}));
    let path = format!(
        "/apis/argoproj.io/v1alpha1/namespaces/{}/applications/shop",
        cluster.namespace
    );
    let stop = AtomicBool::new(false);
    let (ran, edits) = std::thread::scope(|scope| {
        let person = scope.spawn(|| {
            let mut edits = 0_u32;
            while !stop.load(Ordering::Relaxed) || edits == 0 {
                let mut object = cluster.kube.request("GET", &path, None).ok();
                let list = object["spec"]["source"]["helm"]["parameters"]
                    .as_array_mut()
                    .unwrap();
                // In front, so that every index is another one.
                list.insert(0, json!({ "name": format!("mine-{edits}"), "value": "x" }));
                // A PUT with the version that was read: the person loses no update either.
                let answer = cluster.kube.request("PUT", &path, Some(&object));
                edits += u32::from(answer.status == 200);
                assert!([200, 409].contains(&answer.status), "{answer:?}");
            }
            edits
        });
        let mut ran = cluster.run(&[]);
        // It may have met a change at every one of its tries.
        for _ in 0..10 {
            if ran.decision(&cluster.id("shop")).0 == "updated" {
                break;
            }
            assert_eq!(
                ran.decision(&cluster.id("shop")),
                ("failed", "application-moved")
            );
            ran = cluster.run(&[]);
        }
        stop.store(true, Ordering::Relaxed);
        (ran, person.join().unwrap())
    });
    assert_eq!(
        ran.decision(&cluster.id("shop")).0,
        "updated",
        "{:#}",
        ran.report
    );
    let after = cluster.application("shop");
    let list = after["spec"]["source"]["helm"]["parameters"]
        .as_array()
        .unwrap();
    let value = |name: &str| {
        let found: Vec<&Value> = list.iter().filter(|one| one["name"] == *name).collect();
        assert_eq!(found.len(), 1, "`{name}` in {list:?}");
        found[0]["value"].clone()
    };
    assert_eq!(value("image.tag"), "1.9.0");
    for edit in 0..edits {
        assert_eq!(value(&format!("mine-{edit}")), "x");
    }
    assert_eq!(list.len(), edits as usize + 2);
}

/// The right to write 1.9.0 over 1.8.2, as no policy forbids it.
fn admitted() -> Admitted {
    let digest = Digest::of(b"shop");
    let candidate = Candidate {
        repository: IMAGE.to_owned(),
        tag: "1.9.0".to_owned(),
        digest,
    };
    let case = Case {
        digest,
        tag: None,
        evidence: &Evidence::none(digest),
        platforms: &[],
        change: None,
    };
    let policy = Policy::none(Unverified::Allow);
    let verdict = Judge::default().judge(&case, &policy, Timestamp::now());
    let claim = Claim {
        slot: "shop".to_owned(),
        old: Some(format!("{IMAGE}:1.8.2")),
        new: format!("{IMAGE}:1.9.0"),
    };
    admit(candidate, verdict, claim, Timestamp::now()).unwrap()
}

/// The API server's own word, not ours: every test of the patch is its to make.
#[tokio::test(flavor = "multi_thread")]
async fn a_patch_planned_before_a_persons_edit_is_refused_and_the_edit_stays() {
    let Some(cluster) = cluster() else { return };
    let tag = json!([{ "name": "image.name", "value": IMAGE },
                     { "name": "image.tag", "value": "1.8.2" }]);
    let spec = json!({ "project": "default",
                       "source": source(json!({ "helm": { "parameters": tag } })) });
    application(&cluster, &spec, "Helm", &json!({}));
    let configuration = Configuration::File(cluster.world.path("kubeconfig"));
    let namespaces = Namespaces::parse("", &cluster.namespace);
    let watched = Cluster::watch(&configuration, &namespaces, &cluster.namespace)
        .await
        .unwrap();
    let view = Arc::new(watched).view(Vec::new());
    let live = view.live().unwrap();
    let (image, new) = (
        SlotImage {
            image: Reference::parse(IMAGE),
            ..SlotImage::default()
        },
        Reference::parse(&format!("{IMAGE}:1.9.0")),
    );
    let plan = async || {
        let whole = live
            .application(&cluster.namespace, "shop")
            .await
            .unwrap()
            .unwrap();
        let edit = SpecEdit {
            image: &image,
            format: Format::HelmOverride,
            slot: "shop",
            new: &new,
            admitted: admitted(),
        };
        spec_patch(&whole, Which::Only, vec![edit], Timestamp::now())
            .unwrap()
            .0
    };
    let edits: [fn(&mut Value); 3] = [
        |spec| spec["source"]["helm"]["parameters"][1]["value"] = json!("1.8.1"),
        |spec| {
            let list = spec["source"]["helm"]["parameters"].as_array_mut().unwrap();
            list.reverse();
        },
        |spec| spec["source"]["path"] = json!("elsewhere"),
    ];
    for edit in edits {
        let patch = plan().await;
        let mut edited = cluster.application("shop");
        edit(&mut edited["spec"]);
        let path = format!(
            "/apis/argoproj.io/v1alpha1/namespaces/{}/applications/shop",
            cluster.namespace
        );
        let edited = cluster.kube.request("PUT", &path, Some(&edited)).ok();
        let answer = live.patch(&cluster.namespace, "shop", patch).await;
        assert!(matches!(answer, Patched::Moved { .. }), "{answer:?}");
        let after = cluster.application("shop");
        assert_eq!(after["spec"], edited["spec"]);
        assert_eq!(
            after["metadata"]["resourceVersion"],
            edited["metadata"]["resourceVersion"]
        );
        application(&cluster, &spec, "Helm", &json!({}));
    }
    let answer = live.patch(&cluster.namespace, "shop", plan().await).await;
    assert!(matches!(answer, Patched::Landed { .. }), "{answer:?}");
}

/// Every Git repository asks for Argo CD's credentials, many at once.
#[tokio::test(flavor = "multi_thread")]
async fn repository_credentials_are_listed_once_a_cycle_however_many_ask() {
    let Some(cluster) = cluster() else { return };
    cluster.allow_repository_credentials();
    let labels = json!({ "argocd.argoproj.io/secret-type": "repository" });
    let url = json!({ "type": "git", "url": "https://git.test/r" });
    cluster.secret("r", &labels, &url);
    let configuration = Configuration::File(cluster.world.path("kubeconfig"));
    let namespaces = Namespaces::parse("", &cluster.namespace);
    let watched = Cluster::watch(&configuration, &namespaces, &cluster.namespace)
        .await
        .unwrap();
    let watched = Arc::new(watched);
    let mut cycles = Vec::new();
    for _ in 0..2 {
        let view = watched.view(Vec::new());
        let asked = (0..20).map(|_| view.repository_secrets(&cluster.namespace));
        let found = futures_util::future::join_all(asked).await;
        cycles.push(
            found
                .into_iter()
                .flat_map(Result::unwrap)
                .collect::<Vec<_>>(),
        );
    }
    let [first, next] = &cycles[..] else {
        unreachable!()
    };
    assert_eq!((first.len(), next.len()), (20, 20));
    // One object is one answer of the server.
    assert!(first.iter().all(|one| Arc::ptr_eq(one, &first[0])));
    assert!(!Arc::ptr_eq(&first[0], &next[0]));
}

#[test]
fn without_the_right_to_patch_nothing_is_written_and_the_reason_says_so() {
    let Some(cluster) = cluster() else { return };
    let images = json!({ "kustomize": { "images": [format!("{IMAGE}:1.8.2")] } });
    let spec = json!({ "project": "default", "source": source(images) });
    let before = application(&cluster, &spec, "Kustomize", &json!({}));
    cluster.forbid("patch");
    let ran = cluster.run(&[]);
    assert_eq!(
        (ran.code, ran.decision(&cluster.id("shop"))),
        (1, ("failed", "api-server-refused")),
        "{:#}",
        ran.report
    );
    assert_eq!(cluster.application("shop")["spec"], before["spec"]);
}
