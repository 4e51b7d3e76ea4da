//! Which crate may name which: the picture of `ARCHITECTURE.md`, read from `cargo metadata`.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use serde::Deserialize;

use super::Finding;

/// Folder of a crate, and the crates of ours that it may depend on.
const ARROWS: &[(&str, &[&str])] = &[
    ("crates/core", &[]),
    ("crates/net", &["core"]),
    ("crates/trust", &["core", "net (optional)"]),
    ("crates/write", &["core", "trust"]),
    ("crates/registry", &["core", "net"]),
    ("crates/git", &["core", "net", "write"]),
    (
        "crates/sealift",
        &["core", "net", "trust", "write", "registry", "git"],
    ),
    ("crates/testkit", &["core"]),
    (
        "fuzz",
        &[
            "core", "net", "trust", "write", "registry", "git", "sealift",
        ],
    ),
    (
        "xtask",
        &[
            "core", "net", "trust", "write", "registry", "git", "sealift", "testkit", "fuzz",
        ],
    ),
];
/// Any crate may test itself with these.
const TEST_ONLY: &[&str] = &["core", "trust", "testkit"];

/// What `cargo metadata` says, as far as it matters here.
#[derive(Deserialize)]
struct Workspace {
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    manifest_path: String,
    dependencies: Vec<Dependency>,
}

#[derive(Deserialize)]
struct Dependency {
    name: String,
    /// Nothing, `dev` or `build`.
    kind: Option<String>,
    #[serde(default)]
    optional: bool,
}

/// Dependencies between crates of the workspace at `root` that the picture does not show.
pub(super) fn check(root: &Path) -> Result<Vec<Finding>> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args([
            "metadata",
            "--no-deps",
            "--offline",
            "--format-version",
            "1",
        ])
        .current_dir(root)
        .output()
        .context("cannot start cargo")?;
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "`cargo metadata` failed: {errors}");
    let workspace: Workspace = serde_json::from_slice(&output.stdout)?;
    Ok(workspace
        .packages
        .iter()
        .flat_map(|package| check_package(root, package))
        .collect())
}

fn check_package(root: &Path, package: &Package) -> Vec<Finding> {
    let manifest = Path::new(&package.manifest_path);
    let manifest = manifest
        .strip_prefix(root)
        .unwrap_or(manifest)
        .to_string_lossy();
    let folder = manifest.strip_suffix("/Cargo.toml").unwrap_or_default();
    let Some((_, allowed)) = ARROWS.iter().find(|(known, _)| *known == folder) else {
        let message = "the crate has no place in the picture (`tidy::arrows`)";
        return vec![Finding::error("arrow", &manifest, 0, message)];
    };
    package
        .dependencies
        .iter()
        .filter(|dependency| !may_depend(allowed, dependency))
        .map(|dependency| format!("must not depend on `{}`", dependency.name))
        .map(|message| Finding::error("arrow", &manifest, 0, message))
        .collect()
}

fn may_depend(allowed: &[&str], dependency: &Dependency) -> bool {
    let Some(name) = own(&dependency.name) else {
        return true;
    };
    let in_tests = dependency.kind.as_deref() == Some("dev") && TEST_ONLY.contains(&name);
    let optional = format!("{name} (optional)");
    allowed.contains(&name)
        || in_tests
        || (dependency.optional && allowed.contains(&optional.as_str()))
}

/// The short name of a crate of ours.
fn own(name: &str) -> Option<&str> {
    name.strip_prefix("sealift-")
        .or_else(|| (name == "sealift").then_some(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The number of findings for a crate at `folder` with one dependency.
    fn findings(folder: &str, name: &str, kind: Option<&str>, optional: bool) -> usize {
        let kind = kind.map(str::to_owned);
        let dependency = Dependency {
            name: name.to_owned(),
            kind,
            optional,
        };
        let manifest_path = format!("/ws/{folder}/Cargo.toml");
        let package = Package {
            manifest_path,
            dependencies: vec![dependency],
        };
        check_package(Path::new("/ws"), &package).len()
    }

    #[test]
    fn an_arrow_against_the_picture_is_found() {
        assert_eq!(findings("crates/registry", "sealift-git", None, false), 1);
        assert_eq!(findings("crates/sealift", "sealift-git", None, false), 0);
        assert_eq!(findings("crates/other", "serde", None, false), 1);
    }

    #[test]
    fn trust_may_use_net_behind_a_feature_only() {
        assert_eq!(findings("crates/trust", "sealift-net", None, false), 1);
        assert_eq!(findings("crates/trust", "sealift-net", None, true), 0);
    }

    #[test]
    fn testkit_never_ships() {
        assert_eq!(
            findings("crates/registry", "sealift-testkit", None, false),
            1
        );
        assert_eq!(
            findings("crates/registry", "sealift-testkit", Some("dev"), false),
            0
        );
    }
}
