//! `helm.image-digest`: a digest in a key by itself binds nothing where the chart does not pull by
//! that key. It is said, and a policy may forbid it.

use std::fs;

use sealift_testkit::git::BareRepository;

use crate::world::{App, Ran, World};

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
    let policy = format!(
        "apiVersion: sealift.dev/v1alpha1\nkind: PromotionPolicy\nmetadata: {{name: prod, \
         namespace: argocd}}\nspec:\n  images: [{{pattern: {IMAGE}}}]\n  write: {{{write}}}\n  \
         unsafeNoSignatures: {{reason: a test of pins}}\n"
    );
    let path = world.path("policy.yaml");
    fs::write(&path, policy).unwrap();
    world.run(&["--policy", path.to_str().unwrap()])
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
