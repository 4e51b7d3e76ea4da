//! Shadow mode beside another that writes: nothing is written, and what differs is said.

use sealift_testkit::git::{BareRepository, Change};
use serde_json::{Value, json};

use crate::world::{App, Ran, World, events, sealift, values};

const IMAGE: &str = "registry.test/acme/shop";

fn world() -> (World, BareRepository) {
    let world = World::new();
    world.images("acme/shop", &["1.8.2", "1.9.0"]);
    let repository = world.repository("gitops", &[("shop/values.yaml", &values(IMAGE, "1.8.2"))]);
    // What runs is the winner already: Git is asked all the same.
    let running = format!("{IMAGE}:1.9.0");
    let image = format!("{IMAGE}:1.x");
    world.app(&App {
        annotations: &[("write-back-target", "helmvalues")],
        ..App::helm("shop", &image, &[running.as_str()], &repository)
    });
    (world, repository)
}

fn shadow(world: &World, output: &str) -> std::process::Output {
    sealift()
        .args(["run", "--once", "--shadow", "--output", output])
        .args(["--allow-local-git", "-f"])
        .arg(world.apps())
        .arg("--registries-conf-path")
        .arg(world.path("registries.conf"))
        .arg("--state-dir")
        .arg(world.path("state"))
        .output()
        .unwrap()
}

/// What the other does.
fn write(repository: &BareRepository, tag: &str) {
    let text = values(IMAGE, tag);
    repository.commit(
        "main",
        "other",
        &[("shop/values.yaml", Change::File(text.as_bytes()))],
    );
}

fn differences(world: &World) -> Vec<Value> {
    let ran = Ran::new(&shadow(world, "json"));
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    ran.report["shadow"].as_array().cloned().unwrap_or_default()
}

#[test]
fn a_shadow_writes_nothing_and_says_where_the_other_wrote_something_else() {
    let (world, repository) = world();
    let head = repository.head("main");
    let ran = Ran::new(&shadow(&world, "json"));
    assert_eq!(ran.decision("argocd/shop"), ("would-update", "shadow"));
    assert_eq!(ran.report["shadow"], Value::Null);
    assert_eq!(repository.head("main"), head);

    // The other has not written yet.
    let missing = differences(&world);
    assert_eq!(
        (&missing[0]["kind"], &missing[0]["would"]),
        (&json!("missing"), &json!("1.9.0"))
    );
    // Then it writes the same.
    write(&repository, "1.9.0");
    assert_eq!(differences(&world), Vec::<Value>::new());
    // Then something that Sealift would not have written.
    write(&repository, "2.0.0");
    let other = differences(&world);
    assert_eq!(
        (&other[0]["kind"], &other[0]["before"], &other[0]["holds"]),
        (&json!("unexpected"), &json!("1.9.0"), &json!("2.0.0"))
    );
    let notices = events(&world.path("state"), &["--kind", "notice"]);
    let said = notices
        .iter()
        .filter(|one| one.to_string().contains("shadow-differs"));
    assert_eq!(said.count(), 2, "{notices:#?}");
}

#[test]
fn a_table_shows_what_differs() {
    let (world, _) = world();
    shadow(&world, "text");
    let output = shadow(&world, "text");
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("SEALIFT WOULD"), "{text}");
}
