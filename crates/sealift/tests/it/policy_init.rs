//! `policy init` on every image that real tools signed: the policy it writes is valid, the image
//! satisfies it, and an image that others signed does not.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use sealift_testkit::signed;

const IMAGE: &str = "registry.test/acme/shop:v1.2.3";

fn sealift(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_sealift"))
        .args(arguments)
        .current_dir(folder)
        .env_clear()
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Copies what a layout's policy may name, and writes its policy.
fn init(folder: &Path, name: &str) -> (i32, String) {
    let source = signed::folder().join(name);
    let layout = source.to_str().unwrap();
    let mut arguments = vec!["policy", "init", IMAGE, "--layout", layout];
    arguments.extend(["--trust-root", "trusted_root.json"]);
    fs::copy(
        source.join("trusted_root.json"),
        folder.join("trusted_root.json"),
    )
    .unwrap();
    if source.join("cosign.pub").exists() {
        fs::copy(source.join("cosign.pub"), folder.join("cosign.pub")).unwrap();
        arguments.extend(["--key", "cosign.pub"]);
    }
    let ran = sealift(folder, &arguments);
    fs::write(folder.join("policy.yaml"), &ran.stdout).unwrap();
    (ran.status.code().unwrap(), text(&ran.stderr))
}

fn verify(folder: &Path, name: &str) -> i32 {
    let layout = signed::folder().join(name);
    let layout = layout.to_str().unwrap();
    let arguments = [
        "verify",
        IMAGE,
        "--layout",
        layout,
        "--policy",
        "policy.yaml",
    ];
    sealift(folder, &arguments).status.code().unwrap()
}

#[test]
fn every_signed_image_satisfies_the_policy_that_was_written_for_it() {
    let mut written = 0;
    for name in signed::names() {
        let folder = tempfile::tempdir().unwrap();
        let (code, said) = init(folder.path(), &name);
        if name.ends_with("unsigned") {
            assert_eq!(code, 1, "{name}: {said}");
            assert!(said.contains("nothing signs it"), "{said}");
            continue;
        }
        assert_eq!(code, 0, "{name}: {said}");
        let checked = sealift(folder.path(), &["policy", "check", "policy.yaml"]);
        assert!(
            checked.status.success(),
            "{name}: {}",
            text(&checked.stdout)
        );
        assert_eq!(verify(folder.path(), &name), 0, "{name}");
        written += 1;
    }
    assert!(written >= 15, "{written}");
}

#[test]
fn the_policy_of_one_image_refuses_what_others_signed() {
    let folder = tempfile::tempdir().unwrap();
    init(folder.path(), "refapi-keyless-github");
    for other in ["refapi-keyless-email", "refapi-key-full", "refapi-unsigned"] {
        assert_eq!(verify(folder.path(), other), 20, "{other}");
    }
    init(folder.path(), "refapi-key-bare");
    for other in [
        "docker-v2-legacy",
        "refapi-keyless-github",
        "refapi-unsigned",
    ] {
        assert_eq!(verify(folder.path(), other), 20, "{other}");
    }
}

#[test]
fn the_json_form_is_the_same_policy() {
    let folder = tempfile::tempdir().unwrap();
    let source = signed::folder().join("refapi-keyless-github");
    fs::copy(
        source.join("trusted_root.json"),
        folder.path().join("trusted_root.json"),
    )
    .unwrap();
    let layout = source.to_str().unwrap();
    let arguments = [
        "policy", "init", IMAGE, "--layout", layout, "--output", "json",
    ];
    let root = ["--trust-root", "trusted_root.json"];
    let ran = sealift(folder.path(), &[&arguments[..], &root].concat());
    let policy: serde_json::Value = serde_json::from_slice(&ran.stdout).unwrap();
    assert_eq!(policy["kind"], "PromotionPolicy");
    fs::write(folder.path().join("policy.yaml"), &ran.stdout).unwrap();
    assert_eq!(verify(folder.path(), "refapi-keyless-github"), 0);
}
