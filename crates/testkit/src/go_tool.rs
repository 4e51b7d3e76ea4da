//! Programs that tests drive, built once by the Go toolchain from a module of `tools/`.
//!
//! Each program is a Go module of its own there, because they need different versions of the same
//! libraries: `go.mod` names every version and `go.sum` the hash of everything that is downloaded.
//! What is built lies in the user's cache folder, keyed by what it was built from.

use std::env;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use sealift_core::digest::Digest;

/// Where Go's own installer puts it, which is not always on the `PATH`.
const USUAL_GO: &str = "/usr/local/go/bin/go";

/// A program that is built from `tools/NAME`.
#[derive(Debug, Clone, Copy)]
pub struct GoTool {
    name: &'static str,
    package: &'static str,
}

impl GoTool {
    /// `name` is that of its folder and of the program, `package` what is built there.
    #[must_use]
    pub const fn new(name: &'static str, package: &'static str) -> Self {
        Self { name, package }
    }

    /// Its name.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// What its module says.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn requirements(&self) -> Result<String, String> {
        read(&self.module().join("go.mod"))
    }

    /// Whether the module pins what is built from it.
    #[must_use]
    pub fn is_pinned(&self) -> bool {
        let line = format!("\ntool {}\n", self.package);
        self.requirements().is_ok_and(|text| text.contains(&line))
    }

    /// The program, built where it is not there yet. One build at a time on a machine.
    ///
    /// # Errors
    /// There is no Go, or the build fails: in words, for people.
    pub fn built(&self) -> Result<PathBuf, String> {
        let go = go().ok_or("`go` is not installed (https://go.dev/doc/install)")?;
        let cache = cache()?;
        fs::create_dir_all(&cache).map_err(|error| format!("{}: {error}", cache.display()))?;
        // Another checkout may build the same at this moment.
        let lock = File::create(cache.join("lock")).map_err(|error| error.to_string())?;
        lock.lock().map_err(|error| error.to_string())?;
        let key = key(&self.module(), &go_version(&go)?)?;
        let folder = cache.join(format!("{}-{key}", self.name));
        let program = folder.join(self.name);
        if !program.is_file() {
            fs::create_dir_all(&folder).map_err(|error| error.to_string())?;
            self.build(&go, &program)?;
        }
        Ok(program)
    }

    fn module(&self) -> PathBuf {
        let tools = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tools");
        tools.join(self.name)
    }

    fn build(&self, go: &Path, program: &Path) -> Result<(), String> {
        let package = self.package;
        #[expect(clippy::print_stderr, reason = "silent minutes look like a hang")]
        {
            eprintln!("building {package} (minutes, where Go has built nothing like it before)");
        }
        // Half a program must not lie where the next one looks.
        let unfinished = program.with_extension("unfinished");
        let output = Command::new(go)
            .current_dir(self.module())
            .args(["build", "-mod=readonly", "-buildvcs=false", "-o"])
            .arg(&unfinished)
            .arg(package)
            .output()
            .map_err(|error| format!("`go build` does not start: {error}"))?;
        if !output.status.success() {
            let text = String::from_utf8_lossy(&output.stderr);
            return Err(format!("`go build {package}` failed:\n{}", text.trim_end()));
        }
        fs::rename(&unfinished, program).map_err(|error| error.to_string())
    }
}

/// The Go toolchain.
#[must_use]
pub fn go() -> Option<PathBuf> {
    let usual = PathBuf::from(USUAL_GO);
    on_path("go").or_else(|| usual.is_file().then_some(usual))
}

/// A program on the `PATH`, or where a test's bare environment would not look.
pub(crate) fn on_path(program: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let folders = env::split_paths(&path).chain(["/usr/bin".into(), "/usr/sbin".into()]);
    let mut places = folders.map(|folder| folder.join(program));
    places.find(|file| file.is_file())
}

fn cache() -> Result<PathBuf, String> {
    let named = env::var_os("XDG_CACHE_HOME").filter(|name| !name.is_empty());
    let folder = named
        .map(PathBuf::from)
        .or_else(|| Some(env::home_dir()?.join(".cache")));
    let folder = folder.ok_or("no home folder to build tools in")?;
    Ok(folder.join("sealift-tools"))
}

fn read(path: &Path) -> Result<String, String> {
    fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))
}

fn go_version(go: &Path) -> Result<Vec<u8>, String> {
    let output = Command::new(go).arg("version").output();
    let output = output.map_err(|error| format!("`go` does not start: {error}"))?;
    match output.status.success() {
        true => Ok(output.stdout),
        false => Err("`go version` failed".to_owned()),
    }
}

/// Changes with everything that the program is made of.
fn key(module: &Path, go_version: &[u8]) -> Result<String, String> {
    let mut parts = go_version.to_vec();
    for name in ["go.mod", "go.sum"] {
        parts.extend(read(&module.join(name))?.into_bytes());
    }
    let mut hex = Digest::of(&parts).hex();
    hex.truncate(16);
    Ok(hex)
}

#[cfg(test)]
mod tests {
    use super::*;

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
