//! Objects from a real API server, read as the ServiceAccount that ships.

use sealift_testkit::git::BareRepository;
use sealift_testkit::git::http::{GitHttp, GitHttpOptions};
use sealift_testkit::kube::KubeServer;
use sealift_testkit::registry::image::{ImageSpec, image};
use sealift_testkit::registry::scripted::{Auth, ScriptedRegistry};
use serde_json::json;

use crate::cluster_peer::peers_roles;
use crate::cluster_world::ClusterWorld;
use crate::world::{App, values};

const IMAGE: &str = "registry.test/acme/shop";

/// An Application of Helm values that Git is behind for.
fn shop(cluster: &ClusterWorld, annotations: &[(&str, &str)]) -> BareRepository {
    let world = &cluster.world;
    world.images("acme/shop", &["1.8.2", "1.9.0"]);
    let repository = world.repository("gitops", &[("shop/values.yaml", &values(IMAGE, "1.8.2"))]);
    let running = format!("{IMAGE}:1.8.2");
    let annotations = [annotations, &[("write-back-target", "helmvalues")]].concat();
    cluster.app(&App {
        annotations: &annotations,
        ..App::helm(
            "shop",
            &format!("{IMAGE}:1.x"),
            &[running.as_str()],
            &repository,
        )
    });
    repository
}

#[test]
fn an_annotated_application_of_the_api_server_is_updated_in_git() {
    let Some(cluster) = ClusterWorld::new() else {
        return;
    };
    cluster.allow_repository_credentials();
    let repository = shop(&cluster, &[]);
    let ran = cluster.run(&[]);
    assert_eq!(
        (ran.code, ran.decision(&cluster.id("shop"))),
        (0, ("updated", "newest")),
        "{}",
        ran.stderr
    );
    assert_eq!(
        repository.show("main", "shop/values.yaml"),
        values(IMAGE, "1.9.0")
    );
    let ran = cluster.run(&[]);
    assert_eq!(ran.decision(&cluster.id("shop")).0, "up-to-date");
}

#[test]
fn without_the_right_to_list_secrets_repository_credentials_are_refused_and_named_ones_work() {
    let Some(cluster) = ClusterWorld::new() else {
        return;
    };
    let repository = shop(&cluster, &[]);
    let head = repository.head("main");
    let ran = cluster.run(&[]);
    assert_eq!(
        ran.decision(&cluster.id("shop")),
        ("failed", "credential-unavailable"),
        "{}",
        ran.stderr
    );
    let reason = ran.entry(&cluster.id("shop"))["reasons"][0]["detail"].to_string();
    assert!(reason.contains("forbids"), "{reason}");
    assert_eq!(repository.head("main"), head);

    let data = json!({ "username": "u", "password": "p" });
    cluster.secret("git-login", &json!({}), &data);
    let options = GitHttpOptions::basic("u", "p");
    let server = GitHttp::start(cluster.world.git.path(), options);
    shop_again(&cluster, &repository, server.url("gitops"));
    let ran = cluster.run(&[]);
    let decision = ran.decision(&cluster.id("shop"));
    assert_eq!(decision, ("updated", "newest"), "{}", ran.stderr);
}

/// The same Application with a Secret named.
fn shop_again(cluster: &ClusterWorld, repository: &BareRepository, url: String) {
    let annotations = [
        ("write-back-target", "helmvalues"),
        ("write-back-method", "git:secret:git-login"),
    ];
    let running = format!("{IMAGE}:1.8.2");
    cluster.app(&App {
        annotations: &annotations,
        repository: url,
        ..App::helm(
            "shop",
            &format!("{IMAGE}:1.x"),
            &[running.as_str()],
            repository,
        )
    });
}

#[test]
fn a_policy_of_the_cluster_refuses_and_its_end_lets_the_update_through() {
    let Some(cluster) = ClusterWorld::new() else {
        return;
    };
    cluster.allow_repository_credentials();
    let repository = shop(&cluster, &[]);
    let head = repository.head("main");
    let policy = cluster.apply(json!({
        "apiVersion": "sealift.dev/v1alpha1", "kind": "PromotionPolicy",
        "metadata": { "name": "elsewhere" },
        "spec": { "allowedRegistries": ["other.test"],
                  "unsafeNoSignatures": { "reason": "a test of registries" } },
    }));
    let ran = cluster.run(&[]);
    let (decision, _) = ran.decision(&cluster.id("shop"));
    assert_eq!(decision, "refused", "{:#}", ran.report);
    assert_eq!(repository.head("main"), head);
    cluster.kube.delete(&policy);
    let ran = cluster.run(&[]);
    assert_eq!(ran.decision(&cluster.id("shop")).0, "updated");
}

/// Any depth is taken by the API server, below what its schema leaves open.
#[test]
fn an_application_that_nests_too_deep_stops_no_other_and_puts_nothing_into_the_log() {
    let Some(cluster) = ClusterWorld::new() else {
        return;
    };
    cluster.allow_repository_credentials();
    let repository = shop(&cluster, &[]);
    let source = |helm: serde_json::Value| json!({ "repoURL": "https://git.test/x", "helm": helm });
    let mut deep = json!("at last");
    for _ in 0..200 {
        deep = json!({ "a": deep });
    }
    for (name, helm) in [
        ("deep", json!({ "valuesObject": deep })),
        (
            "open",
            json!({ "parameters": [{ "name": "password", "value": "hunter2" }] }),
        ),
    ] {
        cluster.apply(json!({
            "apiVersion": "argoproj.io/v1alpha1", "kind": "Application",
            "metadata": { "name": name },
            "spec": { "project": "default", "source": source(helm) },
        }));
    }
    let ran = cluster.run(&["--loglevel", "trace"]);
    let decision = ran.decision(&cluster.id("shop"));
    assert_eq!(decision, ("updated", "newest"), "{}", ran.stderr);
    assert_eq!(ran.code, 1, "the deep one is an error");
    assert_eq!(
        repository.show("main", "shop/values.yaml"),
        values(IMAGE, "1.9.0")
    );
    let problems = ran.report["problems"].to_string();
    assert!(problems.contains("deep"), "{problems}");
    assert!(problems.contains("recursion limit"), "{problems}");
    assert!(!ran.stderr.contains("hunter2"), "{}", ran.stderr);
}

#[test]
fn an_image_updater_of_the_cluster_is_followed_and_annotations_are_not_unless_asked_for() {
    let Some(cluster) = ClusterWorld::new() else {
        return;
    };
    cluster.allow_repository_credentials();
    let repository = shop(&cluster, &[]);
    let ran = cluster.run(&["--annotations", "never"]);
    assert_eq!(ran.report["considered"], json!([]), "{:#}", ran.report);
    cluster.apply(json!({
        "apiVersion": "argocd-image-updater.argoproj.io/v1alpha1", "kind": "ImageUpdater",
        "metadata": { "name": "all" },
        "spec": { "applicationRefs": [{ "namePattern": "sh*", "useAnnotations": true }] },
    }));
    let ran = cluster.run(&["--annotations", "never"]);
    assert_eq!(
        (ran.code, ran.decision(&cluster.id("shop"))),
        (0, ("updated", "newest")),
        "{}",
        ran.stderr
    );
    assert_eq!(repository.subjects("main").len(), 2);
}

/// Rights are asked before existence: to a stranger a kind that does not exist is forbidden. Where
/// it exists, whoever may not read it may not write anything.
#[test]
fn with_the_peers_roles_updates_flow_until_there_are_policies_that_cannot_be_read() {
    let Some(kube) = KubeServer::start() else {
        return;
    };
    let kube: &'static KubeServer = Box::leak(Box::new(kube));
    let cluster = ClusterWorld::with_roles(kube, |namespace, account| {
        for object in peers_roles(namespace, account) {
            kube.apply(&object);
        }
    });
    let repository = shop(&cluster, &[]);
    let ran = cluster.run(&[]);
    assert_eq!(
        (ran.code, ran.decision(&cluster.id("shop"))),
        (0, ("updated", "newest")),
        "{}",
        ran.stderr
    );
    cluster.define_policies();
    cluster
        .world
        .images("acme/shop", &["1.8.2", "1.9.0", "1.9.1"]);
    let head = repository.head("main");
    let ran = cluster.run(&[]);
    assert_eq!(ran.code, 1, "{}", ran.stderr);
    assert!(ran.stderr.contains("promotionpolicies"), "{}", ran.stderr);
    assert!(ran.stderr.contains("forbid"), "{}", ran.stderr);
    assert_eq!(repository.head("main"), head);
    kube.stop_api();
}

#[test]
fn a_login_that_is_revoked_in_the_middle_of_a_cycle_is_read_again() {
    let Some(cluster) = ClusterWorld::new() else {
        return;
    };
    cluster.allow_repository_credentials();
    let login = format!("secret:{}/login#creds", cluster.namespace);
    let repository = shop(&cluster, &[("web.pull-secret", &login)]);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let registry = runtime.block_on(ScriptedRegistry::start());
    for tag in [
        "1.8.2", "1.8.3", "1.8.4", "1.8.5", "1.8.6", "1.8.7", "1.9.0",
    ] {
        let spec = ImageSpec::created("2026-01-01T00:00:00Z".to_owned());
        registry.put("acme/shop", tag, &image(&spec.annotated("tag", tag)));
    }
    registry.set_page(1);
    registry.set_latency(std::time::Duration::from_millis(400));
    let conf = format!(
        "registries:\n- name: test\n  prefix: registry.test\n  api_url: {}\n",
        registry.url()
    );
    std::fs::write(cluster.world.path("registries.conf"), conf).unwrap();
    let auth = |password: &str| Auth::Basic("bot".to_owned(), password.to_owned());
    registry.set_auth(auth("old"));
    cluster.secret("login", &json!({}), &json!({ "creds": "bot:old" }));
    let child = cluster
        .command("run")
        .args(["--once", "--output", "json", "--annotations", "auto"])
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    // The old login has been used, and pages are still to come.
    for _ in 0..600 {
        if registry.count("/v2/acme/shop/tags/list") >= 3 {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    cluster.secret("login", &json!({}), &json!({ "creds": "bot:new" }));
    registry.set_auth(auth("new"));
    let before = registry.requests().len();
    let ran = crate::world::Ran::new(&child.wait_with_output().unwrap());
    assert_eq!(ran.code, 0, "{}\n{:#}", ran.stderr, ran.report);
    assert!(
        registry.requests().len() > before,
        "nothing was asked after it was revoked"
    );
    assert_eq!(
        repository.show("main", "shop/values.yaml"),
        values(IMAGE, "1.9.0")
    );
}
