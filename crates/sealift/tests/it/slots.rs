//! Where it is written: the kinds of targets, and two Applications on one place.

use crate::world::{App, World, values};

const IMAGE: &str = "registry.test/acme/shop";

fn world() -> World {
    let world = World::new();
    world.images("acme/shop", &["1.8.2", "1.9.0", "2.0.0"]);
    world
}

#[test]
fn a_kustomization_keeps_its_comments_and_gets_the_new_tag() {
    let world = world();
    let text = |tag: &str| {
        format!("resources: [a.yaml]\nimages:\n- name: {IMAGE} # web\n  newTag: \"{tag}\" # tag\n")
    };
    let repository = world.repository("gitops", &[("k/kustomization.yml", &text("1.8.2"))]);
    let image = format!("{IMAGE}:1.x");
    let mut app = App::helm("shop", &image, &[], &repository);
    (app.path, app.annotations) = ("k", &[("write-back-target", "kustomization")]);
    world.app(&app);
    let ran = world.run(&[]);
    assert_eq!(
        (ran.code, ran.decision("shop").0),
        (0, "updated"),
        "{}",
        ran.stderr
    );
    assert_eq!(
        repository.show("main", "k/kustomization.yml"),
        text("1.9.0")
    );
}

#[test]
fn without_a_target_an_override_file_is_made() {
    let world = world();
    let repository = world.repository("gitops", &[("shop/Chart.yaml", "name: shop\n")]);
    let image = format!("{IMAGE}:1.x");
    let running = format!("{IMAGE}:1.8.2");
    let running = [running.as_str()];
    let mut app = App::helm("shop", &image, &running, &repository);
    app.annotations = &[];
    world.app(&app);
    let ran = world.run(&[]);
    assert_eq!(
        (ran.code, ran.decision("shop").0),
        (0, "updated"),
        "{}",
        ran.stderr
    );
    let text = repository.show("main", "shop/.argocd-source-shop.yaml");
    assert_eq!(
        text,
        "helm:\n  parameters:\n  - name: image.name\n    value: registry.test/acme/shop\n    \
         forcestring: true\n  - name: image.tag\n    value: 1.9.0\n    forcestring: true\n"
    );
}

#[test]
fn two_applications_that_want_different_things_of_one_place_are_both_refused() {
    let world = world();
    let repository = world.repository("gitops", &[("c/values.yaml", &values(IMAGE, "1.8.2"))]);
    let (one, two) = (format!("{IMAGE}:1.x"), format!("{IMAGE}:2.x"));
    for (name, image) in [("one", &one), ("two", &two)] {
        let mut app = App::helm(name, image, &[], &repository);
        app.path = "c";
        world.app(&app);
    }
    let head = repository.head("main");
    let ran = world.run(&[]);
    for name in ["one", "two"] {
        assert_eq!(
            ran.decision(name),
            ("refused", "slot-contested"),
            "{}",
            ran.stderr
        );
    }
    assert_eq!(repository.head("main"), head);
}

#[test]
fn two_applications_that_agree_are_one_edit() {
    let world = world();
    let repository = world.repository("gitops", &[("c/values.yaml", &values(IMAGE, "1.8.2"))]);
    let image = format!("{IMAGE}:1.x");
    for name in ["one", "two"] {
        let mut app = App::helm(name, &image, &[], &repository);
        app.path = "c";
        world.app(&app);
    }
    let ran = world.run(&[]);
    for name in ["one", "two"] {
        assert_eq!(ran.decision(name).0, "updated", "{}", ran.stderr);
    }
    assert_eq!(
        repository.show("main", "c/values.yaml"),
        values(IMAGE, "1.9.0")
    );
    assert_eq!(
        repository.subjects("main").len(),
        2,
        "one commit beside the first"
    );
}

#[test]
fn fifty_applications_of_one_repository_are_one_push_of_fifty_commits() {
    let world = world();
    let names: Vec<String> = (0..50).map(|number| format!("app-{number:02}")).collect();
    let paths: Vec<String> = names
        .iter()
        .map(|name| format!("{name}/values.yaml"))
        .collect();
    let text = values(IMAGE, "1.8.2");
    let files: Vec<_> = paths
        .iter()
        .map(|path| (path.as_str(), text.as_str()))
        .collect();
    let repository = world.repository("gitops", &files);
    let image = format!("{IMAGE}:1.x");
    for name in &names {
        world.app(&App::helm(name, &image, &[], &repository));
    }
    let ran = world.run(&[]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert_eq!(ran.report["pushes"].as_array().unwrap().len(), 1);
    assert_eq!(
        ran.report["cycle"]["requests"]["listing"], 1,
        "{}",
        ran.report["cycle"]
    );
    assert_eq!(repository.subjects("main").len(), 51);
    for path in &paths {
        assert_eq!(repository.show("main", path), values(IMAGE, "1.9.0"));
    }
}
