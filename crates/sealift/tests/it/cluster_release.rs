//! How an ImageUpdater goes that is deleted, and what the roles that ship allow in all namespaces.

use std::process::Command;

use sealift_testkit::kube::KubeServer;
use serde_json::json;

use crate::cluster_lease::wait;
use crate::cluster_running::{
    FINALIZER, IMAGE, Running, cluster, finalizers, is_there, live, updater, updater_with,
};
use crate::cluster_status::{condition, pair, status};
use crate::cluster_world::ClusterWorld;

/// The objects that Argo CD Image Updater left: they go when they are deleted, between cycles too,
/// and with them their metrics. What others hold stays theirs, and ours we never add.
#[test]
fn an_object_that_is_deleted_is_let_go_of_whatever_it_says_and_its_metrics_end() {
    let Some(cluster) = cluster() else { return };
    live(&cluster, "shop", IMAGE, "1.x");
    let good = updater_with(&cluster, "good", &["shop"], &[FINALIZER]);
    let invalid = updater_with(&cluster, "invalid", &["["], &[FINALIZER]);
    let theirs = updater_with(&cluster, "theirs", &["x"], &["example.com/mine", FINALIZER]);
    let fresh = updater(&cluster, "fresh", &["y"]);
    // Deleted while nobody ran.
    let before = updater_with(&cluster, "before", &["z"], &[FINALIZER]);
    cluster.kube.delete(&before);
    assert!(is_there(&cluster, &before), "the finalizer keeps it");
    let replica = Running::start(&cluster, &["--interval", "1h"]);
    wait("the one from before", || !is_there(&cluster, &before));
    wait("the first cycle", || replica.cycles() == 1);
    let names: Vec<String> = replica
        .series("good")
        .into_iter()
        .map(|one| one.0)
        .collect();
    let prefix = "argocd_image_updater_";
    assert_eq!(
        names,
        [
            "applications_watched_total",
            "images_watched_total",
            "images_updated_total",
            "images_errors_total"
        ]
        .map(|name| format!("{prefix}{name}"))
    );
    assert_eq!(finalizers(&cluster, &fresh), Vec::<String>::new());
    assert_eq!(
        finalizers(&cluster, &good),
        [FINALIZER],
        "nobody deletes it"
    );
    for object in [&good, &invalid, &theirs] {
        cluster.kube.delete(object);
    }
    wait("good", || !is_there(&cluster, &good));
    wait("invalid", || !is_there(&cluster, &invalid));
    wait("theirs", || {
        finalizers(&cluster, &theirs) == ["example.com/mine"]
    });
    for name in ["good", "invalid", "theirs"] {
        wait(name, || replica.series(name).is_empty());
    }
    assert!(!replica.series("fresh").is_empty());
    assert_eq!(
        condition(&status(&cluster, &fresh), "Ready").0,
        "True",
        "{}",
        replica.log()
    );
    // Nothing is followed by what is being deleted.
    wait("a cycle without them", || replica.cycles() >= 2);
    assert!(replica.series("theirs").is_empty());
}

#[test]
fn without_the_right_to_patch_a_deleted_object_is_one_warning_and_goes_with_the_right() {
    let Some(cluster) = cluster() else { return };
    let object = updater_with(&cluster, "all", &["shop"], &[FINALIZER]);
    cluster.forbid("patch");
    cluster.kube.delete(&object);
    let replica = Running::start(&cluster, &["--interval", "200ms"]);
    let said = || replica.log().matches("finalizer-not-removed").count();
    wait("the warning", || said() == 1);
    let cycles = replica.cycles();
    wait("more cycles", || replica.cycles() > cycles + 3);
    assert_eq!(said(), 1, "{}", replica.log());
    assert_eq!(finalizers(&cluster, &object), [FINALIZER]);
    cluster.allow_all();
    wait("its end", || !is_there(&cluster, &object));
}

#[test]
fn one_run_lets_go_too_and_a_dry_run_or_a_shadow_touches_nothing() {
    let Some(cluster) = cluster() else { return };
    let object = updater_with(&cluster, "all", &["shop"], &[FINALIZER]);
    cluster.kube.delete(&object);
    for option in ["--dry-run", "--shadow"] {
        cluster.run(&[option]);
        assert_eq!(finalizers(&cluster, &object), [FINALIZER], "{option}");
    }
    let ran = cluster.run(&[]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert!(!is_there(&cluster, &object));
}

/// What `--watch-namespaces '*'` can do with the roles that ship, and nothing else.
#[test]
fn with_the_cluster_role_all_namespaces_are_followed_and_nothing_else_can_be_read() {
    let Some(kube) = KubeServer::start() else {
        return;
    };
    let kube = Box::leak(Box::new(kube));
    let mut cluster = ClusterWorld::in_namespace(kube, "argocd".to_owned(), |_, _| {
        kube.apply_yaml(include_str!("../../../../deploy/rbac/namespace.yaml"));
        kube.apply_yaml(include_str!("../../../../deploy/rbac/cluster.yaml"));
    });
    cluster.define_policies();
    cluster.world.images("acme/shop", &["1.8.2", "1.9.0"]);
    let mut objects = Vec::new();
    for namespace in ["team", "argocd"] {
        kube.namespace(namespace);
        namespace.clone_into(&mut cluster.namespace);
        objects.push(updater_with(&cluster, "all", &["*"], &[FINALIZER]));
        live(&cluster, "shop", IMAGE, "1.x");
    }
    let all = ["--watch-namespaces", "*"];
    let ran = cluster.run(&all);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    for (namespace, object) in ["team", "argocd"].into_iter().zip(&objects) {
        let id = format!("{namespace}/shop");
        assert_eq!(ran.decision(&id).0, "updated", "{}", ran.stderr);
        assert_eq!(
            condition(&status(&cluster, object), "Ready"),
            pair("True", "ReconcileSucceeded"),
            "{namespace}"
        );
    }
    let path = "/api/v1/namespaces/team/events";
    let events = kube.request("GET", path, None).ok();
    assert_eq!(events["items"][0]["reason"], "ImagesUpdated");
    kube.delete(&objects[0]);
    let ran = cluster.run(&all);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert!(!is_there(&cluster, &objects[0]));

    kube.apply(&json!({ "apiVersion": "v1", "kind": "Secret",
        "metadata": { "name": "login", "namespace": "team" }, "stringData": { "a": "b" } }));
    let may = |verb: &str, resource: &str, namespace: &str| {
        let answer = Command::new("kubectl")
            .env("HOME", cluster.world.path("home"))
            .arg("--kubeconfig")
            .arg(cluster.world.path("kubeconfig"))
            .args(["auth", "can-i", verb, resource, "--namespace", namespace])
            .output();
        answer.is_ok_and(|answer| answer.status.success())
    };
    if Command::new("kubectl").arg("help").output().is_ok() {
        assert!(may("list", "applications.argoproj.io", "team"));
        for (verb, resource) in [
            ("get", "secrets"),
            ("list", "secrets"),
            ("get", "configmaps"),
            ("get", "pods"),
            ("list", "nodes"),
            ("get", "appprojects.argoproj.io"),
            ("get", "leases.coordination.k8s.io"),
            ("list", "events"),
            ("delete", "imageupdaters.argocd-image-updater.argoproj.io"),
            ("update", "imageupdaters.argocd-image-updater.argoproj.io"),
            ("create", "applications.argoproj.io"),
        ] {
            assert!(!may(verb, resource, "team"), "{verb} {resource}");
        }
    }
    kube.stop_api();
}
