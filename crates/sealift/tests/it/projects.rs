//! AppProjects: what they do not allow is not written, and where they cannot be read one notice
//! says so.

use std::fs;

use sealift_testkit::git::BareRepository;
use serde_json::{Value, json};

use crate::cluster_world::ClusterWorld;
use crate::world::{App, Ran, World, values};

const IMAGE: &str = "registry.test/acme/shop";

fn shop(world: &World) -> (BareRepository, App<'static>) {
    world.images("acme/shop", &["1.8.2", "1.9.0"]);
    let repository = world.repository("gitops", &[("shop/values.yaml", &values(IMAGE, "1.8.2"))]);
    let mut app = App::helm("shop", "registry.test/acme/shop:1.x", &[], &repository);
    app.running = &["registry.test/acme/shop:1.8.2"];
    app.annotations = &[("write-back-target", "helmvalues:values.yaml")];
    (repository, app)
}

fn project(repositories: &[&str]) -> Value {
    json!({ "apiVersion": "argoproj.io/v1alpha1", "kind": "AppProject",
            "metadata": { "name": "default" }, "spec": { "sourceRepos": repositories } })
}

/// How often the notice was given.
fn notices(ran: &Ran) -> usize {
    let notices = ran.report["notices"].as_array().unwrap();
    let unreadable = |notice: &&Value| notice.to_string().contains("project-unreadable");
    notices.iter().filter(unreadable).count()
}

#[test]
fn a_repository_that_the_project_does_not_allow_is_refused_until_it_does() {
    let world = World::new();
    let (repository, app) = shop(&world);
    world.app(&app);
    let file = world.apps().join("project.yaml");
    let url = repository.path().display().to_string();
    for forbidden in [
        &["https://git.example/*"][..],
        &["*", &format!("!{url}")],
        &[],
    ] {
        fs::write(&file, project(forbidden).to_string()).unwrap();
        let ran = world.run(&[]);
        assert_eq!(
            ran.decision("shop"),
            ("refused", "project-forbidden"),
            "{}",
            ran.stderr
        );
        assert_eq!(repository.subjects("main").len(), 1);
    }
    fs::write(&file, project(&["*"]).to_string()).unwrap();
    let ran = world.run(&[]);
    assert_eq!((ran.decision("shop").0, notices(&ran)), ("updated", 0));
}

fn settings(global: &str) -> Value {
    json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "argocd-cm" },
            "data": { "globalProjects": global } })
}

#[test]
fn rules_of_global_projects_count_for_projects_with_their_labels() {
    let world = World::new();
    let (repository, app) = shop(&world);
    world.app(&app);
    let url = repository.path().display().to_string();
    let selector = "  labelSelector: {matchLabels: {tier: prod}}\n";
    let text = format!("- projectName: all\n{selector}");
    fs::write(
        world.apps().join("settings.yaml"),
        settings(&text).to_string(),
    )
    .unwrap();
    let write = |own: &[&str], tier: &str, global: &[&str]| {
        let mut own = project(own);
        own["metadata"]["labels"] = json!({ "tier": tier });
        let mut all = project(global);
        all["metadata"]["name"] = json!("all");
        fs::write(world.apps().join("own.yaml"), own.to_string()).unwrap();
        fs::write(world.apps().join("all.yaml"), all.to_string()).unwrap();
    };
    let forbids = format!("!{url}");
    for (own, tier, global) in [
        (&[][..], "prod", &["https://git.example/*"][..]),
        (&[], "test", &["*"]),
        (&["*"], "prod", &[forbids.as_str()]),
    ] {
        write(own, tier, global);
        let ran = world.run(&[]);
        let decision = ran.decision("shop");
        assert_eq!(
            decision,
            ("refused", "project-forbidden"),
            "{own:?} {global:?}"
        );
        assert_eq!((repository.subjects("main").len(), notices(&ran)), (1, 0));
    }
    write(&[], "prod", &["*"]);
    let ran = world.run(&[]);
    assert_eq!((ran.decision("shop").0, notices(&ran)), ("updated", 0));
}

#[test]
fn where_global_projects_may_allow_more_it_is_said_and_not_refused() {
    let world = World::new();
    let (_repository, app) = shop(&world);
    world.app(&app);
    let settings = settings("- projectName: all\n");
    fs::write(world.apps().join("settings.yaml"), settings.to_string()).unwrap();
    fs::write(world.apps().join("project.yaml"), project(&[]).to_string()).unwrap();
    let ran = world.run(&[]);
    assert_eq!((ran.decision("shop").0, notices(&ran)), ("updated", 1));
}

#[test]
fn the_api_servers_projects_are_read_by_name_and_one_that_may_not_be_read_is_one_notice() {
    let Some(cluster) = ClusterWorld::new() else {
        return;
    };
    cluster.allow_repository_credentials();
    let (repository, app) = shop(&cluster.world);
    cluster.app(&app);
    let running = ["registry.test/acme/shop:1.8.2"];
    let image = "registry.test/acme/shop:1.x";
    cluster.app(&App::helm("other", image, &running, &repository));
    cluster.apply(project(&["https://git.example/*"]));
    let ran = cluster.run(&[]);
    let decision = ran.decision(&cluster.id("shop"));
    assert_eq!(decision, ("refused", "project-forbidden"), "{}", ran.stderr);
    assert_eq!((repository.subjects("main").len(), notices(&ran)), (1, 0));

    let identity = json!({ "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role",
                           "metadata": { "name": "sealift", "namespace": cluster.namespace } });
    let mut role = cluster.kube.get(&identity).unwrap();
    let rules = role["rules"].as_array_mut().unwrap();
    rules.retain(|rule| rule["resources"][0] != "appprojects");
    let path = format!(
        "/apis/rbac.authorization.k8s.io/v1/namespaces/{}/roles/sealift",
        cluster.namespace
    );
    cluster.kube.request("PUT", &path, Some(&role)).ok();
    let ran = cluster.run(&[]);
    let decision = ran.decision(&cluster.id("shop")).0;
    assert_eq!((decision, notices(&ran)), ("updated", 1), "{}", ran.stderr);
}

#[test]
fn a_global_project_that_is_not_there_or_may_not_be_read_allows_nothing() {
    let Some(cluster) = ClusterWorld::new() else {
        return;
    };
    cluster.allow_repository_credentials();
    let (repository, app) = shop(&cluster.world);
    cluster.app(&app);
    let named = |name: &str, repositories: &[&str]| {
        let mut named = project(repositories);
        named["metadata"]["name"] = json!(name);
        cluster.apply(named);
    };
    let refused = |why: &str, told: usize| {
        let ran = cluster.run(&[]);
        let decision = ran.decision(&cluster.id("shop"));
        assert_eq!(decision, ("refused", "project-forbidden"), "{}", ran.stderr);
        assert!(ran.report.to_string().contains(why), "{:#}", ran.report);
        assert_eq!(
            (repository.subjects("main").len(), notices(&ran)),
            (1, told)
        );
    };
    cluster.apply(settings("- projectName: gone\n- projectName: all\n"));
    named("default", &[]);
    // As with Argo CD, the first that is not there ends the list.
    named("all", &["*"]);
    refused("`gone` does not exist", 0);
    // What would forbid forbids all the same.
    let url = repository.path().display().to_string();
    named("default", &["*"]);
    named("all", &[format!("!{url}").as_str()]);
    refused("forbids the repository", 0);

    named("default", &[]);
    named("all", &["*"]);
    named("gone", &["*"]);
    let identity = json!({ "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role",
                           "metadata": { "name": "sealift", "namespace": cluster.namespace } });
    let mut role = cluster.kube.get(&identity).unwrap();
    for rule in role["rules"].as_array_mut().unwrap() {
        if rule["resources"][0] == "appprojects" {
            rule["resourceNames"] = json!(["default", "all"]);
        }
    }
    let path = format!(
        "/apis/rbac.authorization.k8s.io/v1/namespaces/{}/roles/sealift",
        cluster.namespace
    );
    cluster.kube.request("PUT", &path, Some(&role)).ok();
    refused("`gone` may not be read", 1);

    cluster.allow_all();
    let ran = cluster.run(&[]);
    let decision = ran.decision(&cluster.id("shop")).0;
    assert_eq!((decision, notices(&ran)), ("updated", 0), "{}", ran.stderr);
}
