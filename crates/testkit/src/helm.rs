//! Helm, for tests of the chart.
//!
//! `HELM` wins. Otherwise one on the `PATH` that is as new as the one that `tools/helm` pins, and of
//! its major version; otherwise that one, built once.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::go_tool::{GoTool, on_path};

/// Names a program that is used whatever its version is.
const VARIABLE: &str = "HELM";
/// What is built.
pub const TOOL: GoTool = GoTool::new("helm", "helm.sh/helm/v3/cmd/helm");

/// Finds Helm, or builds it.
///
/// # Errors
/// Why there is none: in words, for people.
pub fn find_or_build() -> Result<PathBuf, String> {
    if let Some(named) = env::var_os(VARIABLE).filter(|name| !name.is_empty()) {
        let named = PathBuf::from(named);
        let shown = named.display().to_string();
        let found = Some(named).filter(|path| path.is_file());
        return found.ok_or_else(|| format!("`{shown}` does not exist, which `{VARIABLE}` names"));
    }
    let pinned = pinned(&TOOL.requirements()?).ok_or("tools/helm/go.mod requires no Helm")?;
    let on_path =
        on_path("helm").filter(|path| version_of(path).is_some_and(|it| suits(it, pinned)));
    on_path.map_or_else(|| TOOL.built(), Ok)
}

/// The same, or says on standard error that the test does not run and why.
///
/// # Panics
/// There is none in continuous integration (`CI` is set), where a test that does not run is a
/// failure.
#[must_use]
#[expect(clippy::print_stderr, reason = "a test that does not run must say so")]
pub fn find_or_say() -> Option<PathBuf> {
    match find_or_build() {
        Ok(helm) => Some(helm),
        Err(why) => {
            assert!(env::var_os("CI").is_none(), "no Helm: {why}");
            eprintln!("this test did NOT run: {why}");
            None
        }
    }
}

/// Major and minor version.
type Version = (u32, u32);

fn suits(found: Version, pinned: Version) -> bool {
    found.0 == pinned.0 && found.1 >= pinned.1
}

fn version_of(helm: &Path) -> Option<Version> {
    let home = tempfile::tempdir().ok()?;
    let mut command = Command::new(helm);
    command.env_clear().env("HOME", home.path());
    let output = command.args(["version", "--template", "{{.Version}}"]);
    let output = output
        .output()
        .ok()
        .filter(|output| output.status.success())?;
    parsed(&String::from_utf8(output.stdout).ok()?)
}

fn pinned(requirements: &str) -> Option<Version> {
    let mut lines = requirements.lines().map(str::trim);
    lines.find_map(|line| {
        let line = line.trim_start_matches("require ");
        parsed(line.strip_prefix("helm.sh/helm/v3 ")?)
    })
}

fn parsed(text: &str) -> Option<Version> {
    let mut parts = text.trim().strip_prefix('v')?.split('.');
    let mut number = || parts.next()?.parse().ok();
    Some((number()?, number()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_module_pins_what_is_built_and_names_its_version() {
        assert!(TOOL.is_pinned());
        let version = pinned(&TOOL.requirements().unwrap()).unwrap();
        assert!(suits(version, (3, 22)), "{version:?}");
    }

    #[test]
    fn an_older_one_and_one_of_another_major_version_are_not_used() {
        let pinned = parsed("v3.22.0").unwrap();
        assert!(suits(parsed("v3.22.9+g1").unwrap(), pinned));
        assert!(suits(parsed("v3.23.0").unwrap(), pinned));
        assert!(!suits(parsed("v3.21.4").unwrap(), pinned));
        assert!(!suits(parsed("v4.1.0").unwrap(), pinned));
        assert_eq!(parsed("3.22.0"), None);
    }
}
