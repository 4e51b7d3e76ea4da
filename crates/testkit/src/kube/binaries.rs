//! Where `kube-apiserver` and `etcd` come from.
//!
//! `KUBEBUILDER_ASSETS` wins. Otherwise `etcd` is the system's (Debian package `etcd-server`), and
//! `kube-apiserver` is built once by the Go toolchain from the module `tools/kube`, which names its
//! version, and kept in the user's cache folder under the hash of that module.

use std::env;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use sha2::{Digest as _, Sha256};

use crate::go_tool::{go, on_path};

/// Folder with `etcd` and `kube-apiserver`, as the Kubernetes project's own test tools know it.
const ASSETS: &str = "KUBEBUILDER_ASSETS";
/// The Go package of the server.
const PACKAGE: &str = "k8s.io/kubernetes/cmd/kube-apiserver";

/// The programs.
#[derive(Debug, Clone)]
pub struct Binaries {
    /// The store.
    pub etcd: PathBuf,
    /// The server.
    pub kube_apiserver: PathBuf,
}

/// Finds the programs, and builds what is missing.
///
/// # Errors
/// Why there are none: in words, for people.
pub fn find_or_build() -> Result<Binaries, String> {
    if let Some(folder) = env::var_os(ASSETS) {
        let folder = PathBuf::from(folder);
        return Ok(Binaries {
            etcd: existing(folder.join("etcd"), ASSETS)?,
            kube_apiserver: existing(folder.join("kube-apiserver"), ASSETS)?,
        });
    }
    let etcd = on_path("etcd").ok_or("there is no `etcd` (Debian package `etcd-server`)")?;
    let kube_apiserver = built()?;
    Ok(Binaries {
        etcd,
        kube_apiserver,
    })
}

fn existing(path: PathBuf, why: &str) -> Result<PathBuf, String> {
    if path.is_file() {
        return Ok(path);
    }
    Err(format!(
        "`{}` does not exist, which `{why}` names",
        path.display()
    ))
}

/// The server from the cache, built first where it is not there. One build at a time.
fn built() -> Result<PathBuf, String> {
    let module = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tools/kube");
    let read = |name: &str| {
        fs::read_to_string(module.join(name)).map_err(|error| format!("tools/kube/{name}: {error}"))
    };
    let (requirements, sums) = (read("go.mod")?, read("go.sum")?);
    let version = version(&requirements).ok_or("tools/kube/go.mod requires no Kubernetes")?;
    let mut hash = Sha256::new();
    hash.update(&requirements);
    hash.update(&sums);
    let hash: String = hash.finalize()[..8]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let folder = cache()?.join("sealift/tools").join(format!("kube-{hash}"));
    let program = folder.join("kube-apiserver");
    if program.is_file() {
        return Ok(program);
    }
    let go = go().ok_or("there is no Go to build `kube-apiserver` with")?;
    fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let lock = File::create(folder.join("lock")).map_err(|error| error.to_string())?;
    lock.lock().map_err(|error| error.to_string())?;
    if program.is_file() {
        return Ok(program);
    }
    #[expect(clippy::print_stderr, reason = "five silent minutes look like a hang")]
    {
        eprintln!("building `kube-apiserver` {version} once; this takes about five minutes");
    }
    build(&go, &module, version, &program)?;
    Ok(program)
}

fn build(go: &Path, module: &Path, version: &str, program: &Path) -> Result<(), String> {
    let unfinished = program.with_extension("unfinished");
    let mut numbers = version.trim_start_matches('v').split('.');
    let mut number = || numbers.next().unwrap_or_default().to_owned();
    let (major, minor) = (number(), number());
    // Without these the server calls itself v0.0.0 and warns about every client.
    let names = [
        ("gitVersion", version),
        ("gitMajor", &major),
        ("gitMinor", &minor),
    ];
    let mut flags = "-s -w".to_owned();
    for (name, value) in names {
        flags.push_str(&format!(" -X k8s.io/component-base/version.{name}={value}"));
    }
    // At low priority: the machine may be used for other tests beside it.
    let output = Command::new("nice")
        .args(["-n", "10"])
        .arg(go)
        .args(["build", "-mod=readonly", "-trimpath", "-ldflags"])
        .arg(&flags)
        .arg("-o")
        .arg(&unfinished)
        .arg(PACKAGE)
        .current_dir(module)
        .env("CGO_ENABLED", "0")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .output()
        .map_err(|error| format!("Go does not start: {error}"))?;
    if !output.status.success() {
        let text = String::from_utf8_lossy(&output.stderr);
        let end: Vec<&str> = text.lines().rev().take(3).collect();
        return Err(format!(
            "`kube-apiserver` was not built: {}",
            end.join("; ")
        ));
    }
    fs::rename(&unfinished, program).map_err(|error| error.to_string())
}

/// The version of Kubernetes that the module requires.
fn version(requirements: &str) -> Option<&str> {
    let mut lines = requirements.lines().map(str::trim);
    lines.find_map(|line| {
        let line = line.trim_start_matches("require ");
        let version = line.strip_prefix("k8s.io/kubernetes ")?;
        // Behind it may stand `// indirect`.
        version.split_whitespace().next()
    })
}

fn cache() -> Result<PathBuf, String> {
    let xdg = env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let home = || Some(PathBuf::from(env::var_os("HOME")?).join(".cache"));
    xdg.filter(|path| path.is_absolute())
        .or_else(home)
        .ok_or_else(|| "neither `XDG_CACHE_HOME` nor `HOME` is set".to_owned())
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_version_is_read_from_the_module() {
        let text = include_str!("../../../../tools/kube/go.mod");
        let version = super::version(text).unwrap();
        assert!(version.starts_with("v1."), "{version}");
        // It becomes part of a flag of the linker.
        assert!(!version.contains(' '), "{version}");
    }
}
