//! What is broken is said, with its place, and everything else goes on.

use std::fs;

use crate::world::{App, World, values};

const IMAGE: &str = "registry.test/acme/shop";

/// A world whose Application `good` can be updated, whatever else is in it.
fn world() -> (World, sealift_testkit::git::BareRepository) {
    let world = World::new();
    world.images("acme/shop", &["1.8.2", "1.9.0"]);
    let text = values(IMAGE, "1.8.2");
    let files = [
        ("good/values.yaml", text.as_str()),
        ("bad/values.yaml", text.as_str()),
        ("torn/values.yaml", "image: {tag: 1.8.2\n"),
    ];
    let repository = world.repository("gitops", &files);
    world.app(&App::helm(
        "good",
        &format!("{IMAGE}:1.x"),
        &[],
        &repository,
    ));
    (world, repository)
}

fn good_went_on(ran: &crate::world::Ran, repository: &sealift_testkit::git::BareRepository) {
    assert_eq!(ran.code, 1, "{}", ran.stderr);
    assert_eq!(ran.decision("good").0, "updated", "{:#}", ran.report);
    assert_eq!(
        repository.show("main", "good/values.yaml"),
        values(IMAGE, "1.9.0")
    );
}

#[test]
fn a_broken_annotation_is_the_error_of_its_application_alone() {
    let (world, repository) = world();
    let image = format!("{IMAGE}:1.x");
    let mut app = App::helm("bad", &image, &[], &repository);
    app.annotations = &[
        ("write-back-target", "helmvalues:values.yaml"),
        ("force-update", "perhaps"),
    ];
    world.app(&app);
    let ran = world.run(&[]);
    good_went_on(&ran, &repository);
    assert_eq!(ran.problems(), ["setting-invalid"]);
    let text = ran.report["problems"].to_string();
    assert!(
        text.contains("force-update") && text.contains("`perhaps`"),
        "{text}"
    );
}

#[test]
fn a_broken_document_is_named_with_file_and_line() {
    let (world, repository) = world();
    fs::write(
        world.apps().join("torn.yaml"),
        "kind: Application\nmetadata: {name: [\n",
    )
    .unwrap();
    let ran = world.run(&[]);
    good_went_on(&ran, &repository);
    assert!(
        ran.report["problems"][0]["subject"]
            .as_str()
            .unwrap()
            .contains("torn.yaml:")
    );
}

#[test]
fn an_unreadable_values_file_is_left_as_it_is() {
    let (world, repository) = world();
    world.app(&App::helm(
        "torn",
        &format!("{IMAGE}:1.x"),
        &[],
        &repository,
    ));
    let ran = world.run(&[]);
    good_went_on(&ran, &repository);
    assert_eq!(ran.decision("torn"), ("failed", "file-unreadable"));
    assert_eq!(
        repository.show("main", "torn/values.yaml"),
        "image: {tag: 1.8.2\n"
    );
}

#[test]
fn a_registry_that_is_down_and_a_branch_that_is_missing_stop_their_application_only() {
    let (world, repository) = world();
    world.app(&App::helm(
        "down",
        "127.0.0.1:1/acme/shop:1.x",
        &[],
        &repository,
    ));
    let image = format!("{IMAGE}:1.x");
    let mut app = App::helm("bad", &image, &[], &repository);
    app.annotations = &[
        ("write-back-target", "helmvalues:values.yaml"),
        ("git-branch", "none"),
    ];
    world.app(&app);
    let ran = world.run(&[]);
    good_went_on(&ran, &repository);
    assert_eq!(ran.decision("down"), ("refused", "listing-incomplete"));
    assert_eq!(
        ran.entry("down")["reasons"][1]["reason"],
        "registry-unreachable"
    );
    assert_eq!(ran.decision("bad"), ("failed", "branch-missing"));
}

#[test]
fn paths_that_leave_the_repository_and_links_are_refused() {
    let (world, repository) = world();
    let change = sealift_testkit::git::Change::Symlink("../good/values.yaml");
    repository.commit("main", "Link", &[("link/values.yaml", change)]);
    let image = format!("{IMAGE}:1.x");
    world.app(&App::helm("link", &image, &[], &repository));
    let mut app = App::helm("out", &image, &[], &repository);
    app.annotations = &[("write-back-target", "helmvalues:../../../etc/values.yaml")];
    world.app(&app);
    let ran = world.run(&[]);
    good_went_on(&ran, &repository);
    assert_eq!(ran.decision("link"), ("failed", "path-not-a-file"));
    assert_eq!(ran.problems(), ["path-escapes"]);
}

#[test]
fn what_this_version_cannot_do_is_refused_and_never_done_another_way() {
    let (world, repository) = world();
    let image = format!("{IMAGE}:1.x");
    let mut app = App::helm("bad", &image, &[], &repository);
    app.annotations = &[("write-back-method", "argocd")];
    world.app(&app);
    let ran = world.run(&[]);
    good_went_on(&ran, &repository);
    assert_eq!(ran.decision("bad"), ("failed", "method-needs-api-server"));
    let ran = world.run(&["--git-commit-method", "api"]);
    assert_eq!(ran.code, 1);
    assert!(
        ran.stderr.contains("api-commit-not-available"),
        "{}",
        ran.stderr
    );
}

#[test]
fn a_key_that_cannot_sign_stops_before_anything_is_asked() {
    let (world, repository) = world();
    let head = repository.head("main");
    let key = world.path("key");
    fs::write(&key, "no key\n").unwrap();
    let ran = world.run(&["--git-commit-signing-key", key.to_str().unwrap()]);
    assert_eq!(ran.code, 1);
    assert!(ran.stderr.contains("signing key"), "{}", ran.stderr);
    assert_eq!(repository.head("main"), head);
}
