//! The real servers and tools that the tests drive, from the system's package manager.

use std::env;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail, ensure};

/// A program, and the Debian package that brings it.
const PROGRAMS: &[(&str, &str)] = &[
    ("docker-registry", "docker-registry"),
    ("etcd", "etcd-server"),
    ("git", "git"),
    ("gpg", "gnupg"),
    ("kubectl", "kubernetes-client"),
    ("ssh", "openssh-client"),
    ("ssh-keygen", "openssh-client"),
    ("sshd", "openssh-server"),
];

/// Servers live here, where a user's `PATH` does not always look.
const SYSTEM_FOLDERS: &[&str] = &["/usr/sbin", "/sbin", "/usr/local/sbin"];

/// Runs as root. A `policy-rc.d` that says no keeps the packages from starting their services.
const INSTALL: &str = "\
set -e
export DEBIAN_FRONTEND=noninteractive
policy=/usr/sbin/policy-rc.d
if [ ! -e $policy ]; then
  trap 'rm -f $policy' EXIT
  printf '#!/bin/sh\\nexit 101\\n' > $policy
  chmod 755 $policy
fi
apt-get update -q
apt-get install -q -y --no-install-recommends \"$@\"
";

/// Installs what is missing and says so.
pub(super) fn install_missing() -> Result<()> {
    let mut packages: Vec<&str> = PROGRAMS
        .iter()
        .filter(|(program, _)| !exists(program))
        .map(|(_, package)| *package)
        .collect();
    packages.dedup();
    if packages.is_empty() {
        println!("nothing to install");
        return Ok(());
    }
    let list = packages.join(" ");
    if !exists("apt-get") {
        bail!("these programs are missing and there is no `apt-get` to install them with: {list}");
    }
    println!("installing with apt-get: {list}");
    let status = as_root()?
        .args(["sh", "-c", INSTALL, "install"])
        .args(&packages)
        .stdin(Stdio::null())
        .status()
        .context("cannot start the installation")?;
    ensure!(status.success(), "apt-get could not install: {list}");
    let missing: Vec<&str> = PROGRAMS
        .iter()
        .map(|(program, _)| *program)
        .filter(|name| !exists(name))
        .collect();
    ensure!(
        missing.is_empty(),
        "still missing after the installation: {}",
        missing.join(" ")
    );
    Ok(())
}

/// The start of a command that root runs.
fn as_root() -> Result<Command> {
    let output = Command::new("id")
        .arg("-u")
        .output()
        .context("cannot start `id`")?;
    if output.stdout.trim_ascii() == b"0" {
        return Ok(Command::new("env"));
    }
    ensure!(exists("sudo"), "installing packages needs root or `sudo`");
    let mut command = Command::new("sudo");
    command.arg("--non-interactive");
    Ok(command)
}

/// Whether `program` is on the `PATH`, or where servers live.
fn exists(program: &str) -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    let user = env::split_paths(&path).any(|folder| folder.join(program).is_file());
    user || SYSTEM_FOLDERS
        .iter()
        .any(|folder| Path::new(folder).join(program).is_file())
}
