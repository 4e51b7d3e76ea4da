//! `run --shadow` on a real API server: it reads, it writes nothing there, and it says where what
//! another wrote differs.

use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::cluster_metrics::PATIENCE;
use crate::cluster_world::{AUTO, ClusterWorld};
use crate::world::events;

const IMAGE: &str = "registry.test/acme/shop";

/// Every kind that Sealift writes to when it is no shadow, and those it reads.
const KINDS: &[&str] = &[
    "api/v1/namespaces/NS/secrets",
    "api/v1/namespaces/NS/configmaps",
    "api/v1/namespaces/NS/events",
    "apis/events.k8s.io/v1/namespaces/NS/events",
    "apis/coordination.k8s.io/v1/namespaces/NS/leases",
    "apis/argoproj.io/v1alpha1/namespaces/NS/applications",
    "apis/argoproj.io/v1alpha1/namespaces/NS/appprojects",
    "apis/argocd-image-updater.argoproj.io/v1alpha1/namespaces/NS/imageupdaters",
    "apis/sealift.dev/v1alpha1/namespaces/NS/promotionpolicies",
    "apis/sealift.dev/v1alpha1/namespaces/NS/policyexceptions",
];

/// Kind, name and version of everything in the namespace: a write anywhere changes one of them.
fn versions(cluster: &ClusterWorld) -> Vec<String> {
    let mut all = Vec::new();
    for kind in KINDS {
        let path = format!("/{}", kind.replace("NS", &cluster.namespace));
        let list = cluster.kube.request("GET", &path, None).ok();
        for object in list["items"].as_array().unwrap() {
            let metadata = &object["metadata"];
            all.push(format!(
                "{kind} {} {}",
                metadata["name"], metadata["resourceVersion"]
            ));
        }
    }
    all
}

/// An Application whose Helm parameter says `tag`, an ImageUpdater that selects it, and a policy
/// whose status a controller writes.
fn objects(cluster: &ClusterWorld) {
    cluster.world.images("acme/shop", &["1.8.2", "1.9.0"]);
    cluster.apply(json!({
        "apiVersion": "argocd-image-updater.argoproj.io/v1alpha1", "kind": "ImageUpdater",
        "metadata": { "name": "all" },
        "spec": { "applicationRefs": [{ "namePattern": "shop", "images": [
            { "alias": "web", "imageName": format!("{IMAGE}:1.x") }] }] },
    }));
    cluster.apply(json!({
        "apiVersion": "sealift.dev/v1alpha1", "kind": "PromotionPolicy",
        "metadata": { "name": "here" },
        "spec": { "allowedRegistries": ["registry.test"],
                  "unsafeNoSignatures": { "reason": "a test of shadows" } },
    }));
    set_tag(cluster, "1.8.2");
}

/// What the other one does.
fn set_tag(cluster: &ClusterWorld, tag: &str) {
    cluster.apply(json!({
        "apiVersion": "argoproj.io/v1alpha1", "kind": "Application",
        "metadata": { "name": "shop" },
        "spec": { "project": "default", "source": { "repoURL": "https://git.test/r",
            "path": "shop", "helm": { "parameters": [
                { "name": "image.tag", "value": tag } ] } } },
        "status": { "sourceType": "Helm", "summary": { "images": [format!("{IMAGE}:1.8.2")] } },
    }));
}

fn kinds(report: &Value) -> Vec<String> {
    let differences = report["shadow"].as_array().into_iter().flatten();
    let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
    differences
        .map(|one| {
            let words = ["kind", "before", "would", "holds"].map(|name| text(&one[name]));
            words.join(" ")
        })
        .collect()
}

#[test]
fn a_shadow_decides_writes_to_no_object_and_says_what_differs() {
    let Some(cluster) = ClusterWorld::new() else {
        return;
    };
    objects(&cluster);
    let before = versions(&cluster);
    let ran = cluster.run(&["--shadow"]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let decided = ran.decision(&cluster.id("shop"));
    assert_eq!(decided, ("would-update", "shadow"), "{}", ran.stderr);
    assert_eq!(kinds(&ran.report), Vec::<String>::new());
    let ran = cluster.run(&["--shadow"]);
    assert_eq!(kinds(&ran.report), ["missing 1.8.2 1.9.0 1.8.2"]);
    assert_eq!(versions(&cluster), before);

    set_tag(&cluster, "1.8.5");
    let before = versions(&cluster);
    let ran = cluster.run(&["--shadow"]);
    assert_eq!(kinds(&ran.report), ["other 1.8.2 1.9.0 1.8.5"]);
    set_tag(&cluster, "1.9.0");
    let ran = cluster.run(&["--shadow"]);
    assert_eq!(kinds(&ran.report), Vec::<String>::new());
    assert_ne!(versions(&cluster), before, "what the other wrote is seen");

    // The positive twin: the same without the word writes, and each kind of write is seen.
    set_tag(&cluster, "1.8.2");
    let before = versions(&cluster);
    let ran = cluster.run(&[]);
    assert_eq!(ran.decision(&cluster.id("shop")).0, "updated");
    let after = versions(&cluster);
    for kind in [
        "applications",
        "imageupdaters",
        "promotionpolicies",
        "events",
    ] {
        let of = |all: &[String]| {
            let lines = all.iter().filter(|line| line.contains(kind)).cloned();
            lines.collect::<Vec<_>>()
        };
        assert_ne!(of(&before), of(&after), "{kind}");
    }
}

#[test]
fn a_shadow_that_goes_on_takes_no_lease_and_needs_no_right_to_write() {
    let Some(cluster) = ClusterWorld::new() else {
        return;
    };
    objects(&cluster);
    for verb in ["patch", "create", "update"] {
        cluster.forbid(verb);
    }
    let before = versions(&cluster);
    let log = cluster.world.path("shadow.log");
    let mut child = cluster
        .command("run")
        .args(AUTO)
        .args(["--shadow", "--interval", "100ms"])
        .args(["--health-probe-bind-address", "0"])
        .stdout(Stdio::null())
        .stderr(std::fs::File::create(&log).unwrap())
        .spawn()
        .unwrap();
    let deadline = Instant::now() + PATIENCE;
    let said = || std::fs::read_to_string(&log).unwrap();
    while !said().contains("shadow-differs") {
        let ended = child.try_wait().unwrap();
        assert!(ended.is_none() && Instant::now() < deadline, "{}", said());
        std::thread::sleep(Duration::from_millis(50));
    }
    let pid = child.id().to_string();
    let status = std::process::Command::new("kill").arg(pid).status();
    assert!(status.unwrap().success());
    assert!(child.wait().unwrap().success());
    assert_eq!(versions(&cluster), before);
    for refusal in ["status-not-written", "kube-event-not-sent", "leads"] {
        assert!(!said().contains(refusal), "{refusal}: {}", said());
    }
    let notices = events(&cluster.world.path("state"), &["--kind", "notice"]);
    let differs = notices
        .iter()
        .filter(|one| one.to_string().contains("shadow-differs"));
    assert_eq!(differs.count(), 1, "{notices:#?}");
}
