//! The main way: an update lands, and nothing else changes.

use crate::world::{App, World, events, sealift, values};

const IMAGE: &str = "registry.test/acme/shop";

fn shop() -> (World, sealift_testkit::git::BareRepository) {
    let world = World::new();
    world.images("acme/shop", &["1.8.0", "1.8.2", "1.9.0", "2.0.0", "latest"]);
    let repository = world.repository(
        "gitops",
        &[
            ("shop/values.yaml", &values(IMAGE, "1.8.2")),
            ("README", "untouched\n"),
        ],
    );
    let image = format!("{IMAGE}:1.x");
    let running = [format!("{IMAGE}:1.8.2")];
    world.app(&App::helm(
        "shop",
        &image,
        &[running[0].as_str()],
        &repository,
    ));
    (world, repository)
}

#[test]
fn an_update_changes_the_bytes_of_the_tag_and_nothing_else() {
    let (world, repository) = shop();
    let ran = world.run(&[]);
    assert_eq!(
        (ran.code, ran.decision("shop")),
        (0, ("updated", "newest")),
        "{}",
        ran.stderr
    );
    assert_eq!(
        repository.show("main", "shop/values.yaml"),
        values(IMAGE, "1.9.0")
    );
    assert_eq!(repository.show("main", "README"), "untouched\n");
    assert_eq!(
        repository.subjects("main"),
        ["build: automatic update of shop", "Start"]
    );
    let entry = ran.entry("shop");
    assert_eq!(entry["candidate"]["tag"], "1.9.0");
    assert_eq!(entry["trust"]["waiver"], "no-policy");
    assert_eq!(entry["tags_dropped"]["outside-constraint"], 1);
    assert_eq!(entry["tags_dropped"]["not-a-version"], 1);
}

#[test]
fn a_second_run_lists_once_and_commits_nothing() {
    let (world, repository) = shop();
    world.run(&[]);
    let head = repository.head("main");
    let ran = world.run(&[]);
    assert_eq!(
        (ran.code, ran.decision("shop")),
        (0, ("up-to-date", "up-to-date"))
    );
    assert_eq!(repository.head("main"), head);
    let requests = ran.report["cycle"]["requests"].as_object().unwrap();
    let total: u64 = requests
        .values()
        .filter_map(serde_json::Value::as_u64)
        .sum();
    assert_eq!(total, 1, "{requests:?}");
}

#[test]
fn plan_shows_the_diff_and_writes_nothing() {
    let (world, repository) = shop();
    let head = repository.head("main");
    let ran = world.command("plan", &["--check"]);
    assert_eq!(
        (ran.code, ran.decision("shop").0),
        (10, "would-update"),
        "{}",
        ran.stderr
    );
    let diff = ran.report["pushes"][0]["files"][0]["diff"]
        .as_str()
        .unwrap();
    assert!(diff.contains("-  tag: 1.8.2\n+  tag: 1.9.0\n"), "{diff}");
    assert_eq!(repository.head("main"), head);
}

#[test]
fn explain_lists_every_tag_with_its_reason_and_knows_who_is_not_there() {
    let (world, _repository) = shop();
    let ran = world.command("explain", &["argocd/shop", "web"]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let tags = ran.report["considered"][0]["tags"].as_array().unwrap();
    assert_eq!(tags.len(), 5);
    assert_eq!(
        (&tags[0]["tag"], &tags[0]["reason"]),
        (&"1.9.0".into(), &"newest".into())
    );
    assert_eq!(world.command("explain", &["argocd/none"]).code, 3);
    let ran = world.command("explain", &["argocd/shop", "none"]);
    assert_eq!(ran.code, 3);
    let said = "error: no image `none` in a followed Application `argocd/shop`\n";
    assert!(ran.stderr.contains(said), "{}", ran.stderr);
}

#[test]
fn the_record_is_whole_and_anchored_in_the_commit() {
    let (world, repository) = shop();
    world.run(&[]);
    let state = world.path("state");
    let kinds: Vec<String> = events(&state, &[])
        .iter()
        .map(|event| event["kind"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(
        kinds,
        [
            "started",
            "considered",
            "intent",
            "outcome",
            "cycle",
            "stopped"
        ],
        "a decision stands before its intent, the intent before its outcome"
    );
    let verify = || {
        sealift()
            .args(["events", "verify", "--state-dir"])
            .arg(&state)
            .arg("--repo")
            .arg(repository.path())
            .output()
            .unwrap()
    };
    let output = verify();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stdout)
    );
    let segment = std::fs::read_dir(state.join("journal"))
        .unwrap()
        .next()
        .unwrap()
        .unwrap();
    let text = std::fs::read_to_string(segment.path()).unwrap();
    std::fs::write(segment.path(), text.replace("1.8.2", "1.8.1")).unwrap();
    assert_eq!(verify().status.code(), Some(1));
}

#[test]
fn without_a_policy_refuse_writes_nothing_and_says_so() {
    let (world, repository) = shop();
    let head = repository.head("main");
    let ran = world.run(&["--unverified", "refuse", "--fail-on", "refused"]);
    assert_eq!(
        (ran.code, ran.decision("shop")),
        (20, ("refused", "no-policy")),
        "{}",
        ran.stderr
    );
    assert_eq!(repository.head("main"), head);
}

#[test]
fn a_listing_that_is_not_there_chooses_nothing() {
    let (world, repository) = shop();
    let head = repository.head("main");
    world.app(&App::helm(
        "shop",
        "registry.test/acme/none:1.x",
        &[],
        &repository,
    ));
    let ran = world.run(&[]);
    assert_eq!(
        (ran.code, ran.decision("shop")),
        (1, ("refused", "listing-incomplete"))
    );
    assert_eq!(repository.head("main"), head);
}

#[test]
fn a_downgrade_is_refused_unless_it_is_allowed() {
    let (world, repository) = shop();
    world.registry.storage().untag("acme/shop", "1.9.0");
    let values_at = |tag: &str| values(IMAGE, tag);
    let text = values_at("1.9.0");
    repository.commit(
        "main",
        "Ahead",
        &[(
            "shop/values.yaml",
            sealift_testkit::git::Change::File(text.as_bytes()),
        )],
    );
    let image = format!("{IMAGE}:1.x");
    let running = format!("{IMAGE}:1.9.0");
    world.app(&App::helm("shop", &image, &[running.as_str()], &repository));
    let ran = world.run(&[]);
    assert_eq!(
        (ran.code, ran.decision("shop")),
        (0, ("refused", "downgrade")),
        "{}",
        ran.stderr
    );
    let mut app = App::helm("shop", &image, &[], &repository);
    let allow = ("sealift.dev/allow-downgrade", "true");
    let annotations = [("write-back-target", "helmvalues:values.yaml"), allow];
    app.annotations = &annotations;
    world.app(&app);
    assert_eq!(world.run(&[]).decision("shop").0, "updated");
    assert_eq!(
        repository.show("main", "shop/values.yaml"),
        values_at("1.8.2")
    );
}

#[test]
fn a_branch_to_push_to_that_is_ahead_is_not_rolled_back() {
    let (world, repository) = shop();
    let text = values(IMAGE, "1.8.2");
    let ahead = values(IMAGE, "1.10.0");
    for (branch, text) in [("main", &text), ("release", &ahead)] {
        let file = sealift_testkit::git::Change::File(text.as_bytes());
        repository.commit(branch, "Start", &[("shop/values.yaml", file)]);
    }
    let image = format!("{IMAGE}:1.x");
    let mut app = App::helm("shop", &image, &[], &repository);
    let annotations = [
        ("write-back-target", "helmvalues:values.yaml"),
        ("git-branch", "main:release"),
    ];
    app.annotations = &annotations;
    world.app(&app);
    let head = repository.head("release");
    let ran = world.run(&[]);
    assert_eq!(
        (ran.code, ran.decision("shop")),
        (0, ("refused", "downgrade")),
        "{}",
        ran.stderr
    );
    assert_eq!(repository.head("release"), head);
    let behind = values(IMAGE, "1.0.0");
    let file = sealift_testkit::git::Change::File(behind.as_bytes());
    repository.commit("release", "Back", &[("shop/values.yaml", file)]);
    assert_eq!(world.run(&[]).decision("shop").0, "updated");
    let written = repository.show("release", "shop/values.yaml");
    assert_eq!(written, values(IMAGE, "1.9.0"));
    assert_eq!(repository.show("main", "shop/values.yaml"), text);
}
