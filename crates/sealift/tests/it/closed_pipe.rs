//! Whoever reads the output may stop early, as `head` does: that is no error and no panic.

use std::process::Stdio;

use crate::world::{App, World, sealift, values};

#[test]
fn a_reader_that_leaves_ends_no_command_with_an_error() {
    let world = World::new();
    world.images("acme/shop", &["1.8.2", "1.9.0"]);
    let text = values("registry.test/acme/shop", "1.8.2");
    let repository = world.repository("gitops", &[("shop/values.yaml", &text)]);
    world.app(&App::helm(
        "shop",
        "registry.test/acme/shop:1.x",
        &[],
        &repository,
    ));
    world.run(&[]);
    let path = |name: &str| world.path(name).display().to_string();
    let (apps, state, conf) = (path("apps"), path("state"), path("registries.conf"));
    let source = [
        "-f",
        &apps,
        "--registries-conf-path",
        &conf,
        "--allow-local-git",
    ];
    let with_source = |command: &[&'static str]| {
        let own = command.iter().map(|&word| word.to_owned());
        let source = source.iter().map(|&word| word.to_owned());
        own.chain(source).collect::<Vec<String>>()
    };
    let plain = |words: &[&str]| {
        words
            .iter()
            .map(|&word| word.to_owned())
            .collect::<Vec<_>>()
    };
    let commands = [
        plain(&["--help"]),
        plain(&["version"]),
        plain(&["completion", "bash"]),
        plain(&["events", "list", "--state-dir", &state]),
        plain(&["events", "list", "--output", "json", "--state-dir", &state]),
        plain(&["events", "verify", "--state-dir", &state]),
        with_source(&["plan"]),
        with_source(&["plan", "--output", "json"]),
        with_source(&["explain", "argocd/shop"]),
        plain(&["demo", &path("demo")]),
        plain(&["demo", &path("demo"), "--output", "json"]),
    ];
    for command in commands {
        let mut child = sealift()
            .args(&command)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        drop(child.stdout.take());
        let ended = child.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&ended.stderr);
        assert!(
            !said.contains("panicked") && !said.contains("Broken pipe"),
            "{command:?}: {said}"
        );
        assert_eq!(ended.status.code(), Some(0), "{command:?}: {said}");
    }
}
