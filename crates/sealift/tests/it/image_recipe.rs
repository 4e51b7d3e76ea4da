//! What the image recipe puts into the image, and that it is enough: the folder that becomes the
//! image is made by the recipe's own script, and the program runs with nothing but its files.
//!
//! Not here: that a container runtime makes an image of it. There is none where the tests run.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use sealift_testkit::git::http::{GitHttp, GitHttpOptions};
use sealift_testkit::git::ssh::Sshd;

use crate::git_ways::{https_objects, shop, ssh_objects, world};
use crate::world::{Ran, World, values};

const IMAGE: &str = "registry.test/acme/shop";

fn repository_root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The image's files, as the recipe's script makes them on a Debian with the same packages.
fn assembled(folder: &Path) -> PathBuf {
    let root = folder.join("image");
    let output = Command::new("sh")
        .arg(repository_root().join("deploy/image/assemble.sh"))
        .arg(env!("CARGO_BIN_EXE_sealift"))
        .arg(&root)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    root
}

/// Every file below, with its path from `root`.
fn files(root: &Path, folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        match entry.file_type().unwrap().is_dir() {
            true => files(root, &entry.path(), found),
            false => found.push(entry.path().strip_prefix(root).unwrap().to_owned()),
        }
    }
}

/// Programs that the crates which ship start by name.
fn started() -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for name in [
        "core", "trust", "write", "net", "registry", "git", "sealift",
    ] {
        let source = repository_root().join("crates").join(name).join("src");
        let mut paths = Vec::new();
        files(&source, &source, &mut paths);
        for path in paths {
            if path.ends_with("tests.rs") {
                continue;
            }
            let text = fs::read_to_string(source.join(path)).unwrap();
            let ships = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
            let calls = ships.split("Command::new(\"").skip(1);
            names.extend(calls.filter_map(|rest| rest.split('"').next().map(str::to_owned)));
        }
    }
    // Git's path is a setting, and this is its default.
    names.insert("git".to_owned());
    names
}

#[test]
fn the_image_holds_what_sealift_starts_and_nothing_that_runs_a_script() {
    let folder = tempfile::tempdir().unwrap();
    let root = assembled(folder.path());
    let started = started();
    assert_eq!(started, BTreeSet::from(["git", "ssh"].map(str::to_owned)));
    for name in &started {
        let program = root.join("usr/bin").join(name);
        let mode = fs::metadata(&program).unwrap().permissions().mode();
        assert_eq!(mode & 0o111, 0o111, "{name}");
    }
    assert_eq!(
        fs::read_link(root.join("manager")).unwrap(),
        Path::new("/usr/bin/sealift")
    );
    let mut all = Vec::new();
    files(&root, &root, &mut all);
    let mut programs = BTreeSet::new();
    for path in &all {
        let bytes = fs::read(root.join(path)).unwrap_or_default();
        assert!(!bytes.starts_with(b"#!"), "a script: {}", path.display());
        let mode = fs::symlink_metadata(root.join(path)).unwrap().permissions();
        assert_eq!(mode.mode() & 0o6000, 0, "setuid: {}", path.display());
        let name = path.file_name().unwrap().to_str().unwrap();
        let library = name.contains(".so");
        if mode.mode() & 0o111 != 0 && !library && !path.starts_with("etc") {
            programs.insert(path.display().to_string());
        }
    }
    let expected = [
        "manager",
        "usr/bin/git",
        "usr/bin/sealift",
        "usr/bin/ssh",
        "usr/lib/git-core/git",
        "usr/lib/git-core/git-remote-http",
        "usr/lib/git-core/git-remote-https",
    ];
    assert_eq!(programs, BTreeSet::from(expected.map(str::to_owned)));
}

/// Runs as user 1000 under the image's root. What a container runtime adds is added: `/dev`,
/// `/proc`, `/etc/hosts`; and the folder of the test, at its own path.
const INSIDE: &str = r#"
set -eu
root=$1; shared=$2; shift 2
mkdir -p "$root/dev" "$root/proc" "$root$shared"
echo '127.0.0.1 localhost' > "$root/etc/hosts"
mount --rbind /dev "$root/dev"
mount --rbind /proc "$root/proc"
mount --bind "$shared" "$root$shared"
exec unshare --map-user=1000 --map-group=1000 --root="$root" --wd=/tmp "$@"
"#;

/// `run --once` in the image. `None`: this machine lets nobody make a root, and that is said.
#[expect(clippy::print_stderr, reason = "a test that does not run must say so")]
fn run_inside(root: &Path, world: &World) -> Option<Ran> {
    let enter = || {
        let mut command = Command::new("unshare");
        command.args(["--mount", "--map-root-user", "sh", "-c", INSIDE, "inside"]);
        command.arg(root).arg(world.path(""));
        command
            .env_clear()
            .env("PATH", "/usr/bin:/bin:/usr/sbin:/sbin");
        command
    };
    let tried = enter().args(["/manager", "version"]).output();
    if !tried.as_ref().is_ok_and(|output| output.status.success()) {
        assert!(std::env::var_os("CI").is_none(), "{tried:?}");
        eprintln!("this test did NOT run: no root can be made: {tried:?}");
        return None;
    }
    let output = enter()
        // As the recipe sets them.
        .env("PATH", "/usr/bin")
        .env("HOME", "/tmp")
        .args(["/manager", "run", "--once", "--output", "json", "-f"])
        .arg(world.apps())
        .arg("--registries-conf-path")
        .arg(world.path("registries.conf"))
        .arg("--state-dir")
        .arg(world.path("state"))
        .output()
        .unwrap();
    Some(Ran::new(&output))
}

#[test]
fn with_the_images_files_alone_updates_are_pushed_over_https_and_over_ssh() {
    let folder = tempfile::tempdir().unwrap();
    let root = assembled(folder.path());
    {
        let (world, repository) = world();
        let options = GitHttpOptions {
            tls: true,
            ..GitHttpOptions::basic("bot", "s3cret-token")
        };
        let server = GitHttp::start(world.git.path(), options);
        let method = ("write-back-method", "git:secret:argocd/login");
        shop(&world, &repository, Some(server.url("gitops")), &[method]);
        let objects = https_objects(&server, "bot", "s3cret-token");
        fs::write(world.apps().join("objects.yaml"), objects).unwrap();
        let Some(ran) = run_inside(&root, &world) else {
            return;
        };
        let decision = ran.decision("shop");
        assert_eq!(decision, ("updated", "newest"), "{}", ran.stderr);
        assert_eq!(
            repository.show("main", "shop/values.yaml"),
            values(IMAGE, "1.9.0")
        );
    }
    let (world, repository) = world();
    let server = Sshd::start();
    let method = ("write-back-method", "git:secret:argocd/key");
    let url = server.url(repository.path());
    shop(&world, &repository, Some(url), &[method]);
    let objects = ssh_objects(&server, &server.known_hosts());
    fs::write(world.apps().join("objects.yaml"), objects).unwrap();
    let ran = run_inside(&root, &world).unwrap();
    let decision = ran.decision("shop");
    assert_eq!(decision, ("updated", "newest"), "{}", ran.stderr);
    // Without `ssh` there is no way: it was this one that was used.
    fs::remove_file(root.join("usr/bin/ssh")).unwrap();
    world.images("acme/shop", &["1.8.2", "1.9.0", "1.9.1"]);
    let ran = run_inside(&root, &world).unwrap();
    assert_eq!(ran.decision("shop").0, "failed", "{:#}", ran.report);
}
