//! Objects from a real API server, read as the ServiceAccount that ships.

use sealift_testkit::git::BareRepository;
use sealift_testkit::git::http::{GitHttp, GitHttpOptions};
use serde_json::json;

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
