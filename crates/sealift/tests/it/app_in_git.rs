//! Write-back method `argocd` for Applications whose manifests stand in Git: `-f` names the
//! repository, and the manifest is edited there, in a commit.

use sealift_testkit::git::{BareRepository, Change};

use crate::world::{Ran, World, events, sealift};

const IMAGE: &str = "registry.test/acme/shop";

/// Two Applications and something else in one file, with comments.
fn manifests(tag: &str, side: &str) -> String {
    format!(
        "# the shop\nkind: ConfigMap\napiVersion: v1\nmetadata: {{name: x}}\n---\n\
         apiVersion: argoproj.io/v1alpha1\nkind: Application\nmetadata:\n  name: shop\n  \
         annotations:\n    argocd-image-updater.argoproj.io/image-list: web={IMAGE}:1.x\nspec:\n  \
         project: default\n  source:\n    repoURL: https://git.example/elsewhere\n    path: shop\n    \
         helm:\n      parameters:\n      - name: image.name\n        value: {IMAGE}\n        \
         forceString: true\n      - name: image.tag   # moved by machine\n        value: {tag}\n        \
         forceString: true\n---\napiVersion: argoproj.io/v1alpha1\nkind: Application\nmetadata:\n  \
         name: side\n  annotations:\n    \
         argocd-image-updater.argoproj.io/image-list: web={IMAGE}:1.x\nspec:\n  project: default\n  \
         source:\n    repoURL: https://git.example/elsewhere\n    path: side\n    kustomize:\n      \
         images:\n      - {IMAGE}:{side}   # and this\n"
    )
}

fn world(tag: &str) -> (World, BareRepository) {
    let world = World::new();
    world.images("acme/shop", &["1.8.2", "1.9.0"]);
    let repository = world.repository("apps", &[("prod/apps.yaml", &manifests(tag, tag))]);
    (world, repository)
}

fn run(world: &World, repository: &BareRepository, command: &str) -> Ran {
    run_on(world, repository, command, &["//prod"])
}

/// Runs with `-f` once for each of these, behind the URL of the repository.
fn run_on(world: &World, repository: &BareRepository, command: &str, of: &[&str]) -> Ran {
    let url = format!("file://{}", repository.path().display());
    let named = of
        .iter()
        .flat_map(|of| ["-f".to_owned(), format!("{url}{of}")]);
    let output = sealift()
        .args([command, "--output", "json", "--allow-local-git"])
        .args((command == "run").then_some("--once"))
        .args(named)
        .arg("--registries-conf-path")
        .arg(world.path("registries.conf"))
        .arg("--state-dir")
        .arg(world.path("state"))
        .output()
        .unwrap();
    Ran::new(&output)
}

#[test]
fn the_manifest_is_edited_where_it_stands_and_nothing_else_of_it_changes() {
    let (world, repository) = world("1.8.2");
    let planned = run(&world, &repository, "plan");
    assert!(
        planned.report.to_string().contains("1.9.0"),
        "{}",
        planned.stderr
    );
    assert_eq!(repository.subjects("main").len(), 1);
    let ran = run(&world, &repository, "run");
    for name in ["shop", "side"] {
        let decision = ran.decision(name);
        assert_eq!(
            decision,
            ("updated", "newest"),
            "{name}: {:#}\n{}",
            ran.report,
            ran.stderr
        );
    }
    let after = repository.show("main", "prod/apps.yaml");
    assert_eq!(after, manifests("1.9.0", "1.9.0"));
    assert_eq!(
        repository.subjects("main").len(),
        3,
        "a commit an Application, one push"
    );
    let ran = run(&world, &repository, "run");
    assert_eq!((ran.code, ran.decision("shop").0), (0, "up-to-date"));
    let outcomes = events(&world.path("state"), &["--kind", "outcome"]);
    assert_eq!(outcomes.len(), 1, "{outcomes:?}");
}

#[test]
fn manifests_of_one_path_on_two_branches_are_each_written_to_their_own() {
    let (world, repository) = world("1.8.2");
    let stage = |tag: &str| {
        let text = manifests(tag, tag).replace("name: shop\n", "name: stage-shop\n");
        text.replace("name: side\n", "name: stage-side\n")
    };
    let file = stage("1.8.2");
    let file = [("prod/apps.yaml", Change::File(file.as_bytes()))];
    repository.commit("stage", "Start", &file);
    let both = ["//prod?ref=stage", "//prod?ref=main"];
    let ran = run_on(&world, &repository, "run", &both);
    for name in ["shop", "side", "stage-shop", "stage-side"] {
        let decision = ran.decision(name);
        assert_eq!(
            decision,
            ("updated", "newest"),
            "{name}: {:#}\n{}",
            ran.report,
            ran.stderr
        );
    }
    let main = repository.show("main", "prod/apps.yaml");
    assert_eq!(main, manifests("1.9.0", "1.9.0"));
    let text = repository.show("stage", "prod/apps.yaml");
    assert_eq!(text, stage("1.9.0"));
}

#[test]
fn a_manifest_in_a_folder_has_no_place_to_be_written_to() {
    let (world, _repository) = world("1.8.2");
    std::fs::write(world.apps().join("apps.yaml"), manifests("1.8.2", "1.8.2")).unwrap();
    let ran = world.run(&[]);
    let decision = ran.decision("shop");
    assert_eq!(decision, ("failed", "method-needs-api-server"));
}
