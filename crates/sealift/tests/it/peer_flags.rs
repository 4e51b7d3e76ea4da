//! Flags and variables of a Deployment that ran Argo CD Image Updater.

use std::process::Output;

use crate::world::{World, sealift};

fn once(world: &World, more: &[&str], variables: &[(&str, &str)]) -> Output {
    sealift()
        .args(["run", "--once", "-f"])
        .arg(world.apps())
        .arg("--state-dir")
        .arg(world.path("state"))
        .args(more)
        .envs(variables.iter().copied())
        .output()
        .unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn empty() -> World {
    let world = World::new();
    std::fs::create_dir_all(world.apps()).unwrap();
    world
}

#[test]
fn flags_that_ask_for_nothing_are_taken() {
    let world = empty();
    let more = [
        "--warmup-cache=false",
        "--disable-kube-events=true",
        "--max-concurrent-reconciles=2",
        "--metrics-bind-address=:8443",
        "--metrics-secure=false",
        "--enable-http2",
        "--enable-webhook=false",
        "--webhook-port=8082",
        "--webhook-require-secret=false",
        "--docker-webhook-secret=topsecret",
        "--tlsminversion=1.3",
        "--registries-conf-path=",
        "--git-commit-sign-off=false",
    ];
    let output = once(&world, &more, &[]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let text = stderr(&output);
    assert!(text.contains("option-not-available"), "{text}");
    assert!(!text.contains("topsecret"), "{text}");
}

#[test]
fn metrics_for_whom_nobody_can_ask_are_not_served() {
    let world = empty();
    let output = sealift()
        .args(["run", "--interval", "1h", "-f"])
        .arg(world.apps())
        .arg("--state-dir")
        .arg(world.path("state"))
        .args(["--health-probe-bind-address", "0"])
        .args(["--metrics-bind-address", "127.0.0.1:0"])
        .output()
        .unwrap();
    let text = stderr(&output);
    assert_ne!(output.status.code(), Some(0), "{text}");
    assert!(text.contains("--metrics-secure=false"), "{text}");
}

#[test]
fn a_webhook_that_is_asked_for_is_refused_by_its_reason() {
    let world = empty();
    for (more, variables) in [
        (&["--enable-webhook"][..], &[][..]),
        (&[][..], &[("ENABLE_WEBHOOK", "true")][..]),
    ] {
        let output = once(&world, more, variables);
        let text = stderr(&output);
        assert_ne!(output.status.code(), Some(0), "{text}");
        assert!(text.contains("webhook-not-available"), "{text}");
    }
    let output = sealift().args(["webhook", "--webhook-port", "1"]).output();
    assert!(stderr(&output.unwrap()).contains("webhook-not-available"));
}

#[test]
fn a_variable_that_cannot_be_read_keeps_its_default_and_a_flag_beats_it() {
    let world = empty();
    let variables = [
        ("MAX_CONCURRENT_APPS", "101"),
        ("IMAGE_UPDATER_INTERVAL", "5"),
        ("GIT_COMMIT_SIGN_OFF", "1"),
        ("ENABLE_WEBHOOK", "yes"),
    ];
    let output = once(&world, &[], &variables);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert!(stderr(&output).contains("MAX_CONCURRENT_APPS=101"));
    let output = once(&world, &["--max-concurrent-apps", "5"], &variables);
    assert!(!stderr(&output).contains("MAX_CONCURRENT_APPS"));
    let output = once(
        &world,
        &["--enable-webhook=false"],
        &[("ENABLE_WEBHOOK", "true")],
    );
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
}

#[test]
fn the_closing_line_and_the_lines_of_an_update_are_logged() {
    let world = empty();
    let output = once(&world, &["--loglevel", "info"], &[]);
    let text = stderr(&output);
    assert!(
        text.contains(
            "Processing results: applications=0 images_considered=0 images_skipped=0 \
             images_updated=0 errors=0"
        ),
        "{text}"
    );
    assert!(
        text.contains("Starting image update cycle, considering 0 application(s) for update"),
        "{text}"
    );
}

#[test]
fn options_stand_under_the_heading_that_they_belong_to() {
    let output = sealift().args(["run", "-h"]).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let (own, peers) = text
        .split_once("Options of Argo CD Image Updater:")
        .unwrap();
    let at = |option: &str| {
        own.find(option)
            .unwrap_or_else(|| panic!("{option}: {text}"))
    };
    assert!(at("--output") < at("--loglevel"), "{text}");
    assert!(at("--interval") < at("--loglevel"), "{text}");
    assert!(peers.contains("--enable-webhook"), "{text}");
}
