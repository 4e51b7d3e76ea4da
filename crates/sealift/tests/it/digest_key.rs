//! `helm.image-digest`: a digest in a key by itself binds nothing where the chart does not pull by
//! that key. It is said, and a policy may forbid it.

use std::fs;

use sealift_testkit::git::BareRepository;

use crate::cluster_world::ClusterWorld;
use crate::world::{App, Ran, World, sealift};

const IMAGE: &str = "registry.test/acme/shop";
const PULLS: &str = "image: \"{{ .Values.image.name }}@{{ .Values.image.digest }}\"\n";
const IGNORES: &str = "image: \"{{ .Values.image.name }}:{{ .Values.image.tag }}\"\n";
const VALUES: &str = "image:\n  name: registry.test/acme/shop\n  tag: 1.8.2\n  digest: \"\"\n";

/// An Application whose chart is `template`, beside its values.
fn shop(template: &str, chart: &str) -> (World, BareRepository) {
    let world = World::new();
    world.images("acme/shop", &["1.8.2", "1.9.0"]);
    let files = [
        ("shop/Chart.yaml", chart),
        ("shop/values.yaml", VALUES),
        ("shop/templates/deployment.yaml", template),
    ];
    let repository = world.repository("gitops", &files);
    let image = format!("{IMAGE}:1.x");
    let running = format!("{IMAGE}:1.8.2");
    let running = [running.as_str()];
    let mut app = App::helm("shop", &image, &running, &repository);
    app.annotations = &[
        ("write-back-target", "helmvalues:values.yaml"),
        ("web.helm.image-name", "image.name"),
        ("web.helm.image-tag", "image.tag"),
        ("sealift.dev/web.helm.image-digest", "image.digest"),
    ];
    world.app(&app);
    (world, repository)
}

fn run(world: &World, write: &str) -> Ran {
    let path = policy(world, "argocd", write);
    world.run(&["--policy", &path])
}

/// A policy in a file, as of this namespace.
fn policy(world: &World, namespace: &str, write: &str) -> String {
    let policy = format!(
        "apiVersion: sealift.dev/v1alpha1\nkind: PromotionPolicy\nmetadata: {{name: prod, \
         namespace: {namespace}}}\nspec:\n  images: [{{pattern: {IMAGE}}}]\n  write: {{{write}}}\n  \
         unsafeNoSignatures: {{reason: a test of pins}}\n"
    );
    let path = world.path("policy.yaml");
    fs::write(&path, policy).unwrap();
    path.to_str().unwrap().to_owned()
}

fn reasons(ran: &Ran) -> Vec<&str> {
    let reasons = ran.entry("shop")["reasons"].as_array().unwrap();
    reasons
        .iter()
        .map(|one| one["reason"].as_str().unwrap())
        .collect()
}

#[test]
fn a_digest_that_the_chart_pulls_by_is_written_and_said_to_rest_on_it() {
    let (world, repository) = shop(PULLS, "name: shop\n");
    let ran = run(&world, "pin: tagAndDigest");
    assert_eq!(ran.decision("shop").0, "updated", "{}", ran.stderr);
    let said = reasons(&ran);
    assert!(said.contains(&"digest-in-key"), "{said:?}");
    assert!(!said.contains(&"digest-key-unread"), "{said:?}");
    let written = repository.show("main", "shop/values.yaml");
    assert!(
        written.contains("tag: 1.9.0\n  digest: \"sha256:"),
        "{written}"
    );
}

#[test]
fn a_chart_that_ignores_the_key_is_named() {
    let (world, _repository) = shop(IGNORES, "name: shop\n");
    let ran = run(&world, "pin: tagAndDigest");
    assert_eq!(ran.decision("shop").0, "updated", "{}", ran.stderr);
    assert!(
        reasons(&ran).contains(&"digest-key-unread"),
        "{:?}",
        reasons(&ran)
    );
    // What a chart from elsewhere does is not known.
    let (world, _repository) = shop(IGNORES, "name: shop\ndependencies:\n- name: base\n");
    let ran = run(&world, "pin: tagAndDigest");
    assert_eq!(ran.decision("shop").0, "updated", "{}", ran.stderr);
    assert!(
        !reasons(&ran).contains(&"digest-key-unread"),
        "{:?}",
        reasons(&ran)
    );
}

#[test]
fn a_policy_that_forbids_it_writes_nothing() {
    let (world, repository) = shop(PULLS, "name: shop\n");
    let ran = run(&world, "pin: tagAndDigest, digestKey: forbid");
    let decision = ran.decision("shop");
    assert_eq!(
        decision,
        ("refused", "digest-key-forbidden"),
        "{}",
        ran.stderr
    );
    assert_eq!(repository.subjects("main").len(), 1);
    let ran = run(&world, "pin: tagAndDigest, digestKey: allow");
    assert_eq!(ran.decision("shop").0, "updated");
}

const FORBIDS: &str = "pin: tagAndDigest, digestKey: forbid";
const ALLOWS: &str = "pin: tagAndDigest, digestKey: allow";

#[track_caller]
fn assert_forbidden(ran: &Ran, application: &str) {
    let decision = ran.decision(application);
    let forbidden = ("refused", "digest-key-forbidden");
    assert_eq!(decision, forbidden, "{:#}\n{}", ran.report, ran.stderr);
}

#[track_caller]
fn assert_written(ran: &Ran, application: &str) {
    let decision = ran.decision(application);
    let said = ran.entry(application)["reasons"].to_string();
    assert_eq!(decision.0, "updated", "{:#}\n{}", ran.report, ran.stderr);
    assert!(said.contains("digest-in-key"), "{said}");
}

#[test]
fn a_policy_that_forbids_it_is_kept_in_an_override_file() {
    let (world, repository) = shop(PULLS, "name: shop\n");
    let image = format!("{IMAGE}:1.x");
    let running = format!("{IMAGE}:1.8.2");
    let running = [running.as_str()];
    let mut app = App::helm("shop", &image, &running, &repository);
    app.annotations = &[("sealift.dev/web.helm.image-digest", "image.digest")];
    world.app(&app);
    assert_forbidden(&run(&world, FORBIDS), "shop");
    assert_eq!(repository.subjects("main").len(), 1);
    assert_written(&run(&world, ALLOWS), "shop");
    let written = repository.show("main", "shop/.argocd-source-shop.yaml");
    assert!(written.contains("name: image.digest\n"), "{written}");
}

/// An Application that is written itself: the parameters of its source say 1.8.2.
fn itself(namespace: &str) -> String {
    format!(
        "apiVersion: argoproj.io/v1alpha1\nkind: Application\nmetadata:\n  name: shop\n  \
         namespace: {namespace}\n  annotations:\n    \
         argocd-image-updater.argoproj.io/image-list: web={IMAGE}:1.x\n    \
         sealift.dev/web.helm.image-digest: image.digest\nspec:\n  project: default\n  source:\n    \
         repoURL: https://git.example/elsewhere\n    path: shop\n    helm:\n      parameters:\n      \
         - name: image.name\n        value: {IMAGE}\n      - name: image.tag\n        value: 1.8.2\n\
         status:\n  sourceType: Helm\n  summary:\n    images: [\"{IMAGE}:1.8.2\"]\n"
    )
}

#[test]
fn a_policy_that_forbids_it_is_kept_in_a_manifest_in_git() {
    let world = World::new();
    world.images("acme/shop", &["1.8.2", "1.9.0"]);
    let files = [("prod/shop.yaml", &*itself("argocd"))];
    let repository = world.repository("apps", &files);
    let folder = format!("file://{}//prod", repository.path().display());
    let run = |write: &str| {
        let output = sealift()
            .args(["run", "--once", "--output", "json", "--allow-local-git"])
            .args(["-f", &folder, "--policy", &policy(&world, "argocd", write)])
            .arg("--registries-conf-path")
            .arg(world.path("registries.conf"))
            .arg("--state-dir")
            .arg(world.path("state"))
            .output();
        Ran::new(&output.unwrap())
    };
    assert_forbidden(&run(FORBIDS), "shop");
    assert_eq!(repository.subjects("main").len(), 1);
    assert_written(&run(ALLOWS), "shop");
}

#[test]
fn a_policy_that_forbids_it_is_kept_in_a_live_application() {
    let Some(cluster) = ClusterWorld::new() else {
        return;
    };
    cluster.world.images("acme/shop", &["1.8.2", "1.9.0"]);
    cluster.kube.apply_yaml(&itself(&cluster.namespace));
    let before = cluster.application("shop")["spec"].clone();
    let run = |write: &str| {
        let path = policy(&cluster.world, &cluster.namespace, write);
        cluster.run(&["--policy", &path])
    };
    assert_forbidden(&run(FORBIDS), &cluster.id("shop"));
    assert_eq!(cluster.application("shop")["spec"], before);
    assert_written(&run(ALLOWS), &cluster.id("shop"));
}
