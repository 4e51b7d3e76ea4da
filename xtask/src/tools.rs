//! The real signers and servers of Sigstore, built from `tools/` with Go.
//!
//! Each program is a Go module of its own there, because they need different versions of the same
//! libraries: `go.mod` names every version and `go.sum` the hash of everything that is downloaded.
//! What is built lies in the user's cache folder, keyed by what it was built from.

use std::env;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use sealift_core::digest::Digest;

pub(crate) use sealift_testkit::sigstore::VARIABLE;

/// A folder of `tools/`, which gives the program its name, and the package that is built there.
const PROGRAMS: &[(&str, &str)] = &[
    ("cosign", "github.com/sigstore/cosign/v3/cmd/cosign"),
    ("cosign2", "github.com/sigstore/cosign/v2/cmd/cosign"),
    ("fulcio", "github.com/sigstore/fulcio"),
    (
        "rekor",
        "github.com/sigstore/rekor-tiles/v2/cmd/rekor-server/posix",
    ),
    (
        "timestamp",
        "github.com/sigstore/timestamp-authority/v2/cmd/timestamp-server",
    ),
];

/// Where Go's own installer puts it, which is not always on the `PATH`.
const USUAL_GO: &str = "/usr/local/go/bin/go";

/// The folders with the programs, built where they are not there yet; `None`: there is no Go.
pub(crate) fn build(root: &Path) -> Result<Option<Vec<PathBuf>>> {
    let Some(go) = go() else {
        return Ok(None);
    };
    let cache = cache()?;
    fs::create_dir_all(&cache).with_context(|| cache.display().to_string())?;
    // Another checkout may build the same at this moment.
    let lock = File::create(cache.join("lock"))?;
    lock.lock().context("the lock of the tools' folder")?;
    let version = go_version(&go)?;
    let folders = PROGRAMS.iter().map(|(name, package)| {
        let source = root.join("tools").join(name);
        let folder = cache.join(format!("{name}-{}", key(&source, &version)?));
        build_one(&go, &source, package, &folder.join(name))
            .with_context(|| format!("cannot build `{name}`"))?;
        Ok(folder)
    });
    folders.collect::<Result<_>>().map(Some)
}

fn go() -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let usual = PathBuf::from(USUAL_GO);
    let mut places = env::split_paths(&path)
        .map(|folder| folder.join("go"))
        .chain([usual]);
    places.find(|place| place.is_file())
}

fn cache() -> Result<PathBuf> {
    let named = env::var_os("XDG_CACHE_HOME").filter(|name| !name.is_empty());
    let folder = named
        .map(PathBuf::from)
        .or_else(|| Some(env::home_dir()?.join(".cache")));
    Ok(folder
        .context("no home folder to build the tools in")?
        .join("sealift-tools"))
}

fn go_version(go: &Path) -> Result<Vec<u8>> {
    let output = Command::new(go)
        .arg("version")
        .output()
        .context("cannot start `go`")?;
    ensure!(output.status.success(), "`go version` failed");
    Ok(output.stdout)
}

/// Changes with everything that the program is made of.
fn key(source: &Path, go_version: &[u8]) -> Result<String> {
    let mut parts = go_version.to_vec();
    for name in ["go.mod", "go.sum"] {
        let path = source.join(name);
        parts.extend(fs::read(&path).with_context(|| path.display().to_string())?);
    }
    let mut hex = Digest::of(&parts).hex();
    hex.truncate(16);
    Ok(hex)
}

fn build_one(go: &Path, source: &Path, package: &str, program: &Path) -> Result<()> {
    if program.is_file() {
        println!("built before: {}", program.display());
        return Ok(());
    }
    println!("building {package} (minutes, where Go has built nothing like it before)");
    // Half a program must not lie where the next one looks.
    let unfinished = program.with_extension("unfinished");
    let status = Command::new(go)
        .current_dir(source)
        .args(["build", "-mod=readonly", "-buildvcs=false", "-o"])
        .arg(&unfinished)
        .arg(package)
        .status()
        .context("cannot start `go build`")?;
    ensure!(status.success(), "`go build {package}` failed");
    fs::rename(&unfinished, program).with_context(|| program.display().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_module_pins_the_package_that_is_built_from_it() {
        for (name, package) in PROGRAMS {
            let module = crate::workspace_root()
                .join("tools")
                .join(name)
                .join("go.mod");
            let text = fs::read_to_string(module).unwrap();
            assert!(text.contains(&format!("\ntool {package}\n")), "{name}");
        }
    }

    #[test]
    fn another_hash_or_another_go_is_another_program() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
        write("go.mod", "module a");
        write("go.sum", "h1:1");
        let first = key(folder.path(), b"go1.26").unwrap();
        assert_ne!(key(folder.path(), b"go1.27").unwrap(), first);
        write("go.sum", "h1:2");
        assert_ne!(key(folder.path(), b"go1.26").unwrap(), first);
    }
}
