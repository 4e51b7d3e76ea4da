//! Applications that ImageUpdaters select, beside annotated ones.

use std::fs;

use sealift_testkit::git::BareRepository;
use sealift_testkit::signed;
use serde_json::{Value, json};

use crate::trust::IMAGE;
use crate::world::{App, Ran, World, events, sealift, values};

/// A repository with `shop` and `blog`, both at 1.8.2; 1.9.0 is there.
pub(crate) fn world() -> (World, BareRepository) {
    let world = World::new();
    world.images("acme/shop", &["1.8.2", "1.9.0", "2.0.0"]);
    let text = values(IMAGE, "1.8.2");
    let files = [
        ("shop/values.yaml", text.as_str()),
        ("blog/values.yaml", text.as_str()),
    ];
    let repository = world.repository("gitops", &files);
    (world, repository)
}

/// An Application without annotations.
pub(crate) fn plain(world: &World, name: &str, repository: &BareRepository) {
    let text = format!(
        "apiVersion: argoproj.io/v1alpha1\nkind: Application\nmetadata:\n  name: {name}\n  \
         namespace: argocd\n  labels: {{ app: {name} }}\nspec:\n  project: default\n  source: {{ \
         repoURL: {}, path: {name}, targetRevision: main }}\nstatus:\n  sourceType: Helm\n  \
         summary: {{ images: ['{IMAGE}:1.8.2'] }}\n",
        repository.path().display()
    );
    fs::write(world.apps().join(format!("{name}.yaml")), text).unwrap();
}

pub(crate) fn annotated(world: &World, name: &str, repository: &BareRepository) {
    let image = format!("{IMAGE}:1.x");
    let running = format!("{IMAGE}:1.8.2");
    world.app(&App::helm(name, &image, &[running.as_str()], repository));
}

/// An object with this spec; `more` goes into its metadata.
pub(crate) fn updater(world: &World, name: &str, spec: &Value, more: &Value) {
    let mut metadata = json!({ "name": name, "namespace": "argocd" });
    for (key, value) in more.as_object().into_iter().flatten() {
        metadata[key] = value.clone();
    }
    let object = json!({
        "apiVersion": "argocd-image-updater.argoproj.io/v1alpha1", "kind": "ImageUpdater",
        "metadata": metadata, "spec": spec,
    });
    let text = serde_json::to_string_pretty(&object).unwrap();
    fs::write(world.apps().join(format!("updater-{name}.yaml")), text).unwrap();
}

/// Follows what matches `pattern` in values files.
pub(crate) fn spec(pattern: &str) -> Value {
    json!({
        "writeBackConfig": { "method": "git", "gitConfig": { "writeBackTarget": "helmvalues:values.yaml" } },
        "applicationRefs": [{ "namePattern": pattern,
            "images": [{ "alias": "web", "imageName": format!("{IMAGE}:1.x") }] }],
    })
}

fn notices(ran: &Ran) -> Vec<(&str, &str)> {
    let notices = ran.report["notices"].as_array().unwrap().iter();
    notices
        .map(|one| {
            ["reason", "detail"]
                .map(|key| one[key].as_str().unwrap())
                .into()
        })
        .collect()
}

fn status<'a>(ran: &'a Ran, name: &str) -> &'a Value {
    let id = format!("argocd/{name}");
    let all = ran.report["image_updaters"].as_array().unwrap();
    let found = all.iter().find(|one| one["image_updater"] == *id);
    &found.unwrap_or_else(|| panic!("no `{id}` in {all:?}"))["status"]
}

fn condition(status: &Value, kind: &str) -> Value {
    let conditions = status["conditions"].as_array().unwrap().iter();
    let mut found = conditions.filter(|one| one["type"] == kind);
    found.next().map_or(Value::Null, |one| {
        json!([one["status"], one["reason"], one["message"]])
    })
}

#[test]
fn an_application_that_an_object_selects_is_updated() {
    let (world, repository) = world();
    plain(&world, "shop", &repository);
    plain(&world, "blog", &repository);
    updater(&world, "all", &spec("sh*"), &json!({ "generation": 4 }));
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
    assert_eq!(
        repository.show("main", "blog/values.yaml"),
        values(IMAGE, "1.8.2")
    );
    let inputs = &ran.entry("shop")["inputs"];
    assert_eq!(inputs["origin"], "ImageUpdater argocd/all");
    assert_eq!(inputs["settings"]["image-list"], format!("web={IMAGE}:1.x"));
    assert_eq!(ran.report["considered"].as_array().unwrap().len(), 1);
    let status = status(&ran, "all");
    assert_eq!(
        [
            &status["observedGeneration"],
            &status["applicationsMatched"],
            &status["imagesManaged"]
        ],
        [&json!(4), &json!(1), &json!(1)]
    );
    assert_eq!(
        condition(status, "Ready"),
        json!([
            "True",
            "ReconcileSucceeded",
            "Reconciled 1 applications, 1 images updated."
        ])
    );
    assert_eq!(
        status["recentUpdates"][0]["message"],
        "Updated from 1.8.2 to 1.9.0."
    );
    assert_eq!(status["images"][0]["decision"], "updated");
    let considered = events(&world.path("state"), &["--kind", "considered"]);
    assert_eq!(considered[0]["inputs"]["origin"], "ImageUpdater argocd/all");
}

#[test]
fn explain_and_plan_say_who_follows() {
    let (world, repository) = world();
    plain(&world, "shop", &repository);
    updater(&world, "all", &spec("shop"), &json!({}));
    let text = |command: &str, more: &[&str]| {
        let output = sealift()
            .args([command, "--allow-local-git", "-f"])
            .arg(world.apps())
            .arg("--registries-conf-path")
            .arg(world.path("registries.conf"))
            .arg("--state-dir")
            .arg(world.path("state"))
            .args(more)
            .output()
            .unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    let plan = text("plan", &[]);
    assert!(
        plan.contains("FOLLOWED BY") && plan.contains("ImageUpdater argocd/all"),
        "{plan}"
    );
    let explain = text("explain", &["argocd/shop"]);
    assert!(explain.contains("followed by"), "{explain}");
    assert!(explain.contains("ImageUpdater argocd/all"), "{explain}");
}

#[test]
fn annotations_are_followed_where_they_are_asked_for() {
    let (world, repository) = world();
    annotated(&world, "shop", &repository);
    annotated(&world, "blog", &repository);
    let decided = |ran: &Ran| -> Vec<String> {
        let entries = ran.report["considered"].as_array().unwrap().iter();
        entries
            .map(|entry| entry["application"].as_str().unwrap().to_owned())
            .collect()
    };
    let both = ["argocd/blog", "argocd/shop"].map(str::to_owned);
    assert_eq!(
        decided(&world.run(&["--dry-run"])),
        both,
        "no object: auto follows annotations"
    );
    updater(&world, "other", &spec("other"), &json!({}));
    for (mode, followed) in [("auto", &[][..]), ("always", &both[..]), ("never", &[])] {
        let ran = world.run(&["--dry-run", "--annotations", mode]);
        assert_eq!((ran.code, &decided(&ran)[..]), (0, followed), "{mode}");
        let said = notices(&ran);
        let said = said
            .iter()
            .find(|(reason, _)| *reason == "annotations-not-followed");
        assert_eq!(said.is_some(), followed.is_empty(), "{mode}");
        if let Some((_, detail)) = said {
            assert!(
                detail.starts_with("2 annotated Applications are not followed: `argocd/blog`"),
                "{detail}"
            );
        }
    }
    fs::remove_file(world.apps().join("updater-other.yaml")).unwrap();
    assert_eq!(
        decided(&world.run(&["--dry-run", "--annotations", "never"])).len(),
        0
    );
    let asks = json!({ "applicationRefs": [{ "namePattern": "*", "useAnnotations": true }] });
    updater(&world, "asks", &asks, &json!({}));
    plain(&world, "bare", &repository);
    let ran = world.run(&["--annotations", "never"]);
    assert_eq!(
        (ran.code, &decided(&ran)[..]),
        (0, &both[..]),
        "{}",
        ran.stderr
    );
    assert_eq!(
        ran.entry("shop")["inputs"]["origin"],
        "annotations, by ImageUpdater argocd/asks"
    );
    assert_eq!(notices(&ran), []);
    assert_eq!(
        repository.show("main", "shop/values.yaml"),
        values(IMAGE, "1.9.0")
    );
}

#[test]
fn an_object_that_cannot_be_read_keeps_annotations_out_of_force() {
    let (world, repository) = world();
    annotated(&world, "shop", &repository);
    let head = repository.head("main");
    let torn =
        "apiVersion: argocd-image-updater.argoproj.io/v1alpha1\nkind: ImageUpdater\nspec: [\n";
    fs::write(world.apps().join("updater.yaml"), torn).unwrap();
    let ran = world.run(&[]);
    assert_eq!(
        (ran.code, notices(&ran)[0].0),
        (1, "annotations-not-followed")
    );
    updater(&world, "bad", &json!({ "applicationRefs": [] }), &json!({}));
    fs::remove_file(world.apps().join("updater.yaml")).unwrap();
    let ran = world.run(&[]);
    assert_eq!(
        (ran.code, notices(&ran)[0].0),
        (1, "annotations-not-followed")
    );
    assert_eq!(repository.head("main"), head);
}

/// What it would be followed by cannot be read, and its annotations are not what somebody wanted
/// who selects it by an object.
#[test]
fn an_application_that_an_unusable_object_selects_is_not_followed_by_its_annotations_either() {
    let (world, repository) = world();
    annotated(&world, "shop", &repository);
    annotated(&world, "blog", &repository);
    let mut bad = spec("shop");
    bad["writeBackConfig"]["method"] = "ftp".into();
    updater(&world, "bad", &bad, &json!({}));
    let ran = world.run(&["--annotations", "always"]);
    assert_eq!(
        (ran.code, ran.decision("blog")),
        (1, ("updated", "newest")),
        "{}",
        ran.stderr
    );
    assert_eq!(ran.report["considered"].as_array().unwrap().len(), 1);
    assert_eq!(
        repository.show("main", "shop/values.yaml"),
        values(IMAGE, "1.8.2")
    );
    let said = notices(&ran);
    assert_eq!(said[0].0, "application-held", "{said:?}");
    assert!(said[0].1.contains("`argocd/shop`"), "{said:?}");
    assert!(!said[0].1.contains("blog"), "{said:?}");
    let recorded = events(&world.path("state"), &["--kind", "notice"]);
    let held = |one: &Value| one["reason"] == "application-held";
    assert_eq!(
        recorded.iter().filter(|one| held(one)).count(),
        1,
        "{recorded:#?}"
    );
    // Who follows no annotations anyway is told of the object alone.
    let ran = world.run(&["--annotations", "never"]);
    assert!(notices(&ran).iter().all(|one| one.0 != "application-held"));
    assert_eq!(ran.problems(), ["image-updater-invalid"]);
    fs::remove_file(world.apps().join("updater-bad.yaml")).unwrap();
    let ran = world.run(&["--annotations", "always"]);
    assert_eq!((ran.code, ran.decision("shop").0), (0, "updated"));
}

#[test]
fn a_malformed_object_is_a_problem_on_itself_and_stops_no_other() {
    let (world, repository) = world();
    plain(&world, "shop", &repository);
    updater(&world, "good", &spec("shop"), &json!({}));
    let mut bad = spec("[");
    bad["applicationRefs"][0]["images"][0]["alias"] = "-".into();
    updater(&world, "bad", &bad, &json!({}));
    updater(&world, "deep", &spec("a"), &json!({}));
    let deep = format!("{}{}", "[".repeat(100), "]".repeat(100));
    let deep = format!(
        "apiVersion: argocd-image-updater.argoproj.io/v1alpha1\nkind: ImageUpdater\nmetadata: {{ \
         name: deep }}\nspec: {{ applicationRefs: {deep} }}\n"
    );
    fs::write(world.apps().join("updater-deep.yaml"), deep).unwrap();
    let huge = "x".repeat(2 * 1024 * 1024);
    updater(&world, "huge", &spec(&huge), &json!({}));
    let ran = world.run(&[]);
    assert_eq!(
        (ran.code, ran.decision("shop")),
        (1, ("updated", "newest")),
        "{}",
        ran.stderr
    );
    assert_eq!(ran.problems(), ["image-updater-invalid"; 3]);
    let problems = ran.report["problems"].as_array().unwrap();
    let of_bad = problems
        .iter()
        .find(|one| one["detail"].as_str().unwrap().contains("argocd/bad"));
    let of_bad = of_bad.unwrap();
    assert!(
        of_bad["subject"]
            .as_str()
            .unwrap()
            .ends_with("updater-bad.yaml:1"),
        "{of_bad}"
    );
    let detail = of_bad["detail"].as_str().unwrap();
    assert!(
        detail.contains("spec.applicationRefs[0].images[0].alias") && detail.contains("`-`"),
        "{detail}"
    );
    assert_eq!(
        condition(status(&ran, "bad"), "Ready")[1],
        "ReconcileFailed"
    );
    assert_eq!(
        condition(status(&ran, "good"), "Ready")[1],
        "ReconcileSucceeded"
    );
    for problem in problems {
        assert!(problem["detail"].as_str().unwrap().len() < 1_000);
    }
}

#[test]
fn of_two_objects_the_older_follows_and_both_say_so() {
    let (world, repository) = world();
    plain(&world, "shop", &repository);
    let mut digest = spec("*");
    digest["applicationRefs"][0]["images"][0]["imageName"] = format!("{IMAGE}:2.x").into();
    updater(
        &world,
        "a-new",
        &digest,
        &json!({ "creationTimestamp": "2026-02-01T00:00:00Z" }),
    );
    updater(
        &world,
        "old",
        &spec("*"),
        &json!({ "creationTimestamp": "2026-01-01T00:00:00Z" }),
    );
    let ran = world.run(&[]);
    assert_eq!(
        (ran.code, ran.decision("shop").0),
        (0, "updated"),
        "{}",
        ran.stderr
    );
    assert_eq!(
        ran.entry("shop")["inputs"]["origin"],
        "ImageUpdater argocd/old"
    );
    assert_eq!(
        repository.show("main", "shop/values.yaml"),
        values(IMAGE, "1.9.0")
    );
    let said = notices(&ran);
    assert_eq!(
        said.iter().map(|one| one.0).collect::<Vec<_>>(),
        ["application-contested"; 2]
    );
    let subjects: Vec<&str> = ran.report["notices"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["subject"].as_str().unwrap())
        .collect();
    assert!(
        subjects.iter().any(|one| one.contains("updater-a-new")),
        "{subjects:?}"
    );
    assert!(
        subjects.iter().any(|one| one.contains("updater-old")),
        "{subjects:?}"
    );
    for name in ["a-new", "old"] {
        assert_eq!(condition(status(&ran, name), "Contested")[0], "True");
    }
    assert_eq!(status(&ran, "a-new")["applicationsMatched"], 0);
}

#[test]
fn a_pull_request_is_refused_and_nothing_is_pushed() {
    let (world, repository) = world();
    plain(&world, "shop", &repository);
    let heads = repository.head("main");
    let mut asks = spec("shop");
    asks["writeBackConfig"]["gitConfig"]["pullRequest"] = json!({ "github": {} });
    updater(&world, "all", &asks, &json!({}));
    let ran = world.run(&[]);
    assert_eq!(
        (ran.code, ran.problems()),
        (1, vec!["pull-request-not-available"])
    );
    assert_eq!(repository.head("main"), heads);
    assert_eq!(condition(status(&ran, "all"), "Error")[1], "PartialErrors");
}

#[test]
fn secrets_of_other_namespaces_are_not_read() {
    let (world, repository) = world();
    plain(&world, "shop", &repository);
    let secret = "apiVersion: v1\nkind: Secret\nmetadata: { name: x, namespace: other }\n\
                  stringData: { username: u, password: hunter2, f: 'u:hunter2' }\n";
    fs::write(world.apps().join("secret.yaml"), secret).unwrap();
    let mut pull = spec("shop");
    pull["commonUpdateSettings"] = json!({ "pullSecret": "Secret:other/x#f" });
    let mut git = spec("shop");
    git["writeBackConfig"]["method"] = "git:secret:other/x".into();
    for refused in [pull, git] {
        updater(&world, "all", &refused, &json!({}));
        let ran = world.run(&[]);
        assert_eq!(
            (ran.code, ran.problems()),
            (1, vec!["credential-forbidden"])
        );
        assert!(!ran.report.to_string().contains("hunter2"));
    }
}

#[test]
fn demanded_signatures_are_checked_before_the_commit() {
    let world = World::new();
    world.images("acme/shop", &["1.0.0"]);
    let repository = world.repository("gitops", &[("shop/values.yaml", &values(IMAGE, "1.0.0"))]);
    plain(&world, "shop", &repository);
    let layout = "docker-key-full";
    let put = |tag: &str| {
        for (name, artifact) in signed::artifacts(layout) {
            let name = match name.as_deref() {
                Some("v1.2.3") => tag.to_owned(),
                Some(name) => name.to_owned(),
                None => continue,
            };
            world
                .registry
                .storage()
                .write_tagged("acme/shop", &name, &artifact);
        }
    };
    put("1.1.0");
    world.images("acme/shop", &["1.2.0"]);
    let mut demands = spec("shop");
    demands["imagesVerification"] =
        json!({ "cosignKey": { "secretName": "key", "key": "cosign.pub" } });
    updater(&world, "all", &demands, &json!({}));
    let ran = world.run(&[]);
    assert_eq!(
        ran.decision("shop").0,
        "refused",
        "no Secret, no key: {}",
        ran.stderr
    );
    let key = fs::read_to_string(signed::folder().join(layout).join("cosign.pub")).unwrap();
    let secret = json!({ "apiVersion": "v1", "kind": "Secret",
        "metadata": { "name": "key", "namespace": "argocd" }, "stringData": { "cosign.pub": key } });
    fs::write(world.apps().join("key.yaml"), secret.to_string()).unwrap();
    let ran = world.run(&[]);
    assert_eq!(
        (ran.code, ran.decision("shop").0),
        (0, "updated"),
        "{:#}",
        ran.report
    );
    let written = repository.show("main", "shop/values.yaml");
    assert!(
        written.contains("tag: 1.1.0@sha256:"),
        "the newest is not signed: {written}"
    );
    assert_eq!(ran.entry("shop")["trust"]["verdict"], "trusted");
}
