//! Policies from files: what the commands say of them, and that no run goes on without them.

use std::fs;
use std::process::Output;

use crate::world::{App, World, sealift, values};

const VALID: &str = "apiVersion: sealift.dev/v1alpha1\nkind: PromotionPolicy\n\
    metadata: { name: shop }\nspec:\n  images: [{ pattern: ghcr.io/acme/** }]\n  authorities:\n  \
    - name: ci\n    github: { repository: acme/shop, workflow: r.yml, ref: { tag: 'v*' } }\n  \
    signatures: { require: { atLeast: 1, of: [ci] } }\n";

fn policy(world: &World, name: &str, text: &str, command: &[&str]) -> Output {
    let path = world.path(name);
    fs::write(&path, text).unwrap();
    let mut run = sealift();
    run.arg("policy").args(command).arg(path).output().unwrap()
}

#[test]
fn check_ends_with_1_and_names_file_and_line_of_each_error() {
    let world = World::new();
    let good = policy(&world, "good.yaml", VALID, &["check"]);
    assert_eq!(good.status.code(), Some(0), "{good:?}");

    let text = VALID
        .replace("of: [ci]", "of: [cj]")
        .replace("images:", "image:");
    let bad = policy(&world, "bad.yaml", &text, &["check", "--output", "json"]);
    assert_eq!(bad.status.code(), Some(1), "{bad:?}");
    let report: serde_json::Value = serde_json::from_slice(&bad.stdout).unwrap();
    assert_eq!(report["valid"], false);
    let finding = &report["findings"][0];
    assert!(finding["place"].as_str().unwrap().ends_with("bad.yaml:5"));
    assert_eq!(finding["reason"], "policy-invalid");
    assert_eq!(finding["hint"], "did you mean `images`?");
}

#[test]
fn explain_writes_the_short_form_out_and_refuses_what_is_not_valid() {
    let world = World::new();
    let good = policy(&world, "good.yaml", VALID, &["explain", "--output", "json"]);
    assert_eq!(good.status.code(), Some(0), "{good:?}");
    let report: serde_json::Value = serde_json::from_slice(&good.stdout).unwrap();
    let authority = &report["policies"][0]["authorities"][0];
    assert_eq!(
        authority["issuer"],
        "https://token.actions.githubusercontent.com"
    );

    let bad = policy(&world, "bad.yaml", "kind: x\napiVersion: y\n", &["explain"]);
    assert_eq!(bad.status.code(), Some(1), "{bad:?}");
    assert!(bad.stdout.is_empty());
}

#[test]
fn a_policy_file_that_is_missing_or_broken_stops_the_run() {
    let world = World::new();
    world.images("acme/shop", &["1.8.2", "1.9.0"]);
    let image = "registry.test/acme/shop";
    let text = values(image, "1.8.2");
    let repository = world.repository("gitops", &[("web/values.yaml", text.as_str())]);
    world.app(&App::helm("web", &format!("{image}:1.x"), &[], &repository));
    for content in [None, Some("a: [\n"), Some("# nothing\n")] {
        let path = world.path("policy.yaml");
        if let Some(content) = content {
            fs::write(&path, content).unwrap();
        }
        let path = path.to_str().unwrap();
        let ran = world.run(&["--policy", path]);
        assert_eq!(ran.code, 1, "{content:?}");
        assert!(ran.stderr.contains("policy.yaml"), "{}", ran.stderr);
        assert_eq!(repository.show("main", "web/values.yaml"), text);
    }
}
