//! `doctor`: what would fail and what is weak, found by the ordinary code, and nothing written.

use std::fs;

use sealift_testkit::git::http::{GitFault, GitHttp, GitHttpOptions};
use serde_json::Value;

use crate::world::{App, Ran, World, sealift, values};

const IMAGE: &str = "registry.test/acme/shop";

fn reasons(ran: &Ran) -> Vec<(bool, &str)> {
    let findings = ran.report["findings"].as_array().unwrap();
    findings
        .iter()
        .map(|one| (one["error"] == true, one["reason"].as_str().unwrap()))
        .collect()
}

fn finding<'a>(ran: &'a Ran, reason: &str) -> &'a Value {
    let findings = ran.report["findings"].as_array().unwrap();
    let found = findings.iter().find(|one| one["reason"] == reason);
    found.unwrap_or_else(|| panic!("no {reason}: {:#}", ran.report))
}

#[test]
fn a_sound_installation_has_no_errors_and_says_that_nothing_is_proven() {
    let world = World::new();
    world.images("acme/shop", &["1.8.2"]);
    let text = values(IMAGE, "1.8.2");
    let repository = world.repository("gitops", &[("shop/values.yaml", &text)]);
    let running = format!("{IMAGE}:1.8.2");
    world.app(&App::helm(
        "shop",
        &format!("{IMAGE}:1.x"),
        &[&running],
        &repository,
    ));
    let ran = world.command("doctor", &[]);
    assert_eq!(ran.code, 0, "{}\n{:#}", ran.stderr, ran.report);
    assert_eq!(
        reasons(&ran),
        [(false, "policy-unsafe")],
        "{:#}",
        ran.report
    );
    assert_eq!(ran.report["looked_at"]["images"], 1);
}

#[test]
fn a_credential_that_may_not_push_is_found_although_nothing_is_outdated() {
    let world = World::new();
    world.images("acme/shop", &["1.8.2"]);
    let text = values(IMAGE, "1.8.2");
    let repository = world.repository("gitops", &[("shop/values.yaml", &text)]);
    let server = GitHttp::start(world.git.path(), GitHttpOptions::basic("bot", "t0ken"));
    let secret = "apiVersion: v1\nkind: Secret\nmetadata: {name: login, namespace: argocd}\n\
                  stringData: {username: bot, password: t0ken}\n";
    fs::write(world.apps().join("secret.yaml"), secret).unwrap();
    let image = format!("{IMAGE}:1.x");
    let running = format!("{IMAGE}:1.8.2");
    let running = [running.as_str()];
    let mut app = App::helm("shop", &image, &running, &repository);
    let annotations = [
        ("write-back-target", "helmvalues:values.yaml"),
        ("write-back-method", "git:secret:argocd/login"),
    ];
    app.annotations = &annotations;
    app.repository = server.url("gitops");
    world.app(&app);
    let sound = world.command("doctor", &[]);
    assert_eq!(sound.code, 0, "{:#}", sound.report);
    server.set_fault(GitFault::ReadOnly);
    let ran = world.command("doctor", &[]);
    assert_eq!(ran.code, 1, "{:#}", ran.report);
    let found = finding(&ran, "git-unauthorized");
    assert!(
        found["subjects"][0]
            .as_str()
            .unwrap()
            .contains("argocd/shop"),
        "{found:#}"
    );
    assert!(found["mend"].is_string());
    assert_eq!(repository.subjects("main").len(), 1, "nothing is written");
}

#[test]
fn what_many_have_in_common_is_said_once_with_the_way_to_mend_it() {
    let world = World::new();
    world.images("acme/shop", &["1.8.2"]);
    let text = values(IMAGE, "1.8.2");
    let repository = world.repository("gitops", &[("a/values.yaml", &text)]);
    for name in ["a", "b", "c"] {
        let mut app = App::helm(name, "registry.test/acme/shop:1.x", &[], &repository);
        app.path = "a";
        let annotations = [
            ("write-back-target", "helmvalues:values.yaml"),
            ("git-branch", "missing"),
            ("updat-strategy", "semver"),
        ];
        app.annotations = &annotations;
        world.app(&app);
    }
    let ran = world.command("doctor", &[]);
    assert_eq!(ran.code, 1);
    let found = finding(&ran, "branch-missing");
    assert!(
        found["subjects"].as_array().unwrap().len() >= 3,
        "{found:#}"
    );
    let unknown = finding(&ran, "unknown-setting");
    assert_eq!(unknown["error"], false);
    assert!(unknown["mend"].is_string());
}

#[test]
fn a_state_folder_may_be_named_relative_to_where_the_program_runs() {
    let world = World::new();
    world.images("acme/shop", &["1.8.2", "1.9.0"]);
    let text = values(IMAGE, "1.8.2");
    let repository = world.repository("gitops", &[("shop/values.yaml", &text)]);
    world.app(&App::helm(
        "shop",
        &format!("{IMAGE}:1.x"),
        &[],
        &repository,
    ));
    let output = sealift()
        .current_dir(world.path(""))
        .args(["run", "--once", "--allow-local-git", "-f", "apps"])
        .args([
            "--registries-conf-path",
            "registries.conf",
            "--state-dir",
            "relative",
        ])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    assert_eq!(
        repository.show("main", "shop/values.yaml"),
        values(IMAGE, "1.9.0")
    );
}

#[test]
fn a_folder_that_is_not_there_is_said_by_its_name_and_one_error_is_one() {
    let output = sealift()
        .args(["doctor", "-f", "/nonexistent/apps"])
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("\n  /nonexistent/apps\n"), "{text}");
    assert!(!text.contains("``"), "{text}");
    assert!(
        text.contains("error: it may hold a policy: document: cannot be read: No such file"),
        "{text}"
    );
    assert!(
        text.contains("2 errors, 1 warning; looked at 0 Applications with 0 images"),
        "{text}"
    );
}
