//! Files at the paths at which Argo CD Image Updater's Deployment mounts them, found by a controller
//! that nobody tells of them.
//!
//! The mounts are real: a mount namespace with the machine's own folders and `/app/config` besides.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use crate::cluster_world::ClusterWorld;
use crate::world::{App, Ran, sealift, values};

const IMAGE: &str = "registry.test/acme/shop";

/// Runs a command under a root that holds everything of this machine's, and a folder at
/// `/app/config` that can only be read. As whoever we are: a user namespace makes them root there.
const INSIDE: &str = r#"
set -eu
root=$1; config=$2; shift 2
mount -t tmpfs none "$root"
for entry in /*; do
  name=${entry#/}
  if [ -L "$entry" ]; then cp -P "$entry" "$root/$name"
  elif [ -d "$entry" ]; then mkdir "$root/$name"; mount --rbind "$entry" "$root/$name"
  fi
done
mkdir -p "$root/app/config"
mount --bind "$config" "$root/app/config"
mount -o remount,bind,ro "$root/app/config"
exec chroot "$root" "$@"
"#;

/// A ConfigMap's volume as the kubelet writes one: files are links into a folder that is swapped.
fn volume(folder: &Path, files: &[(&str, &str)]) {
    let data = folder.join("..2026_11_26");
    fs::create_dir_all(&data).unwrap();
    symlink("..2026_11_26", folder.join("..data")).unwrap();
    for (name, text) in files {
        fs::write(data.join(name), text).unwrap();
        symlink(format!("..data/{name}"), folder.join(name)).unwrap();
    }
}

/// The command under that root. `None`: this machine lets nobody make one, and that is said.
#[expect(clippy::print_stderr, reason = "a test that does not run must say so")]
fn inside(cluster: &ClusterWorld, config: &Path) -> Option<Command> {
    let root = cluster.world.path("root");
    fs::create_dir_all(&root).unwrap();
    let enter = |program: &str| {
        let mut command = Command::new("unshare");
        command.args(["--mount", "--map-root-user", "sh", "-c", INSIDE, "inside"]);
        command.arg(&root).arg(config).arg(program);
        command
    };
    let tried = enter("/bin/true").output();
    if !tried.as_ref().is_ok_and(|output| output.status.success()) {
        assert!(std::env::var_os("CI").is_none(), "{tried:?}");
        eprintln!("this test did NOT run: no mount namespace can be made: {tried:?}");
        return None;
    }
    let clean = sealift();
    let mut command = enter(clean.get_program().to_str().unwrap());
    command
        .env_clear()
        .env("PATH", "/usr/bin:/bin:/usr/sbin:/sbin");
    for (name, value) in clean.get_envs() {
        value.map(|value| command.env(name, value));
    }
    Some(command)
}

#[test]
fn registries_conf_and_the_template_are_read_where_the_peer_mounts_them() {
    let Some(cluster) = ClusterWorld::new() else {
        return;
    };
    cluster.allow_repository_credentials();
    let world = &cluster.world;
    world.images("acme/shop", &["1.8.2", "1.9.0"]);
    let repository = world.repository("gitops", &[("shop/values.yaml", &values(IMAGE, "1.8.2"))]);
    let (image, running) = (format!("{IMAGE}:1.x"), format!("{IMAGE}:1.8.2"));
    cluster.app(&App {
        annotations: &[("write-back-target", "helmvalues")],
        ..App::helm("shop", &image, &[running.as_str()], &repository)
    });
    let config = world.path("config");
    // The host of the image exists in this file only.
    let registries = fs::read_to_string(world.path("registries.conf")).unwrap();
    let template = "mounted: {{ .AppName }}{{ range .AppChanges }} {{ .NewTag }}{{ end }}";
    volume(
        &config,
        &[
            ("registries.conf", registries.as_str()),
            ("commit.template", template),
        ],
    );
    let run = |more: &[&str]| {
        let output = inside(&cluster, &config)?
            .args(["run", "--once", "--output", "json", "--annotations", "auto"])
            .args(["--allow-local-git", "--kubeconfig"])
            .arg(world.path("kubeconfig"))
            .arg("--state-dir")
            .arg(world.path("state"))
            .args(more)
            .output()
            .unwrap();
        Some(Ran::new(&output))
    };
    // An empty path is none, whatever is mounted.
    let Some(ran) = run(&["--registries-conf-path="]) else {
        return;
    };
    assert_ne!(ran.decision(&cluster.id("shop")).0, "updated");
    assert_eq!(repository.subjects("main"), ["Start"]);
    let ran = run(&[]).unwrap();
    let decided = ran.decision(&cluster.id("shop"));
    assert_eq!(decided, ("updated", "newest"), "{}", ran.stderr);
    assert_eq!(repository.subjects("main")[0], "mounted: shop 1.9.0");

    // One that cannot be read is an error, not a default.
    let data = config.join("..data/registries.conf");
    fs::write(&data, "registries:\n- nmae: test\n").unwrap();
    let output = inside(&cluster, &config)
        .unwrap()
        .args(["run", "--once", "--kubeconfig"])
        .arg(world.path("kubeconfig"))
        .arg("--state-dir")
        .arg(world.path("state"))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_ne!(output.status.code(), Some(0), "{said}");
    assert!(said.contains("/app/config/registries.conf"), "{said}");
}
