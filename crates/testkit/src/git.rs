//! Git remotes for tests: bare repositories in temporary folders, served as files, by smart HTTP
//! and by SSH.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

pub mod github;
pub mod http;
pub mod ssh;

/// A folder of bare repositories; removed when dropped.
#[derive(Debug)]
pub struct GitRoot {
    folder: tempfile::TempDir,
}

/// One bare repository.
#[derive(Debug, Clone)]
pub struct BareRepository {
    path: PathBuf,
}

/// One entry of a commit that a test makes.
#[derive(Debug, Clone, Copy)]
pub enum Change<'a> {
    /// A file.
    File(&'a [u8]),
    /// An executable file.
    Executable(&'a [u8]),
    /// A symbolic link to a path.
    Symlink(&'a str),
    /// A submodule.
    Submodule,
    /// The entry goes.
    Delete,
}

impl Default for GitRoot {
    fn default() -> Self {
        Self::new()
    }
}

impl GitRoot {
    /// An empty folder.
    #[must_use]
    pub fn new() -> Self {
        Self {
            folder: tempfile::tempdir().expect("a temporary folder"),
        }
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// A new repository `name.git` with default branch `main` and no commits.
    #[must_use]
    pub fn repository(&self, name: &str) -> BareRepository {
        BareRepository::make(&self.folder.path().join(format!("{name}.git")), "sha1")
    }

    /// As [`GitRoot::repository`], with SHA-256 object names.
    #[must_use]
    pub fn repository_sha256(&self, name: &str) -> BareRepository {
        BareRepository::make(&self.folder.path().join(format!("{name}.git")), "sha256")
    }
}

impl BareRepository {
    /// Makes a repository that allows partial clones and pushes over HTTP.
    #[must_use]
    pub fn make(path: &Path, object_format: &str) -> Self {
        let format = format!("--object-format={object_format}");
        let arguments = [
            "init",
            "--quiet",
            "--bare",
            "--initial-branch=main",
            &format,
        ];
        let _ = git(
            None,
            &[&arguments[..], &[&path.display().to_string()]].concat(),
            b"",
        );
        let repository = Self {
            path: path.to_owned(),
        };
        for setting in [
            "uploadpack.allowFilter",
            "uploadpack.allowAnySHA1InWant",
            "http.receivepack",
        ] {
            let _ = repository.git(&["config", setting, "true"]);
        }
        repository
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its URL as a local path.
    #[must_use]
    pub fn file_url(&self) -> String {
        format!("file://{}", self.path.display())
    }

    /// Runs `git` in it; standard output without the final newline. Panics when the command fails.
    pub fn git(&self, arguments: &[&str]) -> String {
        git(Some(&self.path), arguments, b"")
    }

    /// Commits `files` on top of `branch`, as a person would; the new head.
    pub fn commit(&self, branch: &str, message: &str, files: &[(&str, Change<'_>)]) -> String {
        let mut stream = Vec::new();
        let reference = format!("refs/heads/{branch}");
        let _ = write!(
            stream,
            "commit {reference}\ncommitter A Person <person@example.org> 1700000000 +0000\n"
        );
        data(&mut stream, message.as_bytes());
        if self.head(branch).is_some() {
            let _ = writeln!(stream, "from {reference}^0");
        }
        for (path, change) in files {
            let (mode, bytes) = match change {
                Change::File(bytes) => ("100644", *bytes),
                Change::Executable(bytes) => ("100755", *bytes),
                Change::Symlink(target) => ("120000", target.as_bytes()),
                Change::Submodule => {
                    let oid =
                        "1".repeat(self.git(&["hash-object", "-t", "tree", "/dev/null"]).len());
                    let _ = writeln!(stream, "M 160000 {oid} {path}");
                    continue;
                }
                Change::Delete => {
                    let _ = writeln!(stream, "D {path}");
                    continue;
                }
            };
            let _ = writeln!(stream, "M {mode} inline {path}");
            data(&mut stream, bytes);
        }
        let _ = git(
            Some(&self.path),
            &["fast-import", "--quiet", "--force"],
            &stream,
        );
        self.head(branch).expect("the branch after a commit")
    }

    /// The head of `branch`; `None` when it does not exist.
    #[must_use]
    pub fn head(&self, branch: &str) -> Option<String> {
        let reference = format!("refs/heads/{branch}");
        let head = self.git(&["for-each-ref", "--format=%(objectname)", &reference]);
        (!head.is_empty()).then_some(head)
    }

    /// The content of `path` at the head of `branch`.
    #[must_use]
    pub fn show(&self, branch: &str, path: &str) -> String {
        git_bytes(
            Some(&self.path),
            &["show", &format!("refs/heads/{branch}:{path}")],
            b"",
        )
        .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
        .expect("the file")
    }

    /// Subjects of `branch`, newest first.
    #[must_use]
    pub fn subjects(&self, branch: &str) -> Vec<String> {
        let log = self.git(&["log", "--format=%s", &format!("refs/heads/{branch}")]);
        log.lines().map(str::to_owned).collect()
    }

    /// Rejects every push from now on, after saying `text`, as forges do from a hook.
    pub fn protect(&self, text: &str) {
        use std::fmt::Write as _;
        let hook = self.path.join("hooks/pre-receive");
        fs::create_dir_all(self.path.join("hooks")).expect("hooks");
        let mut script = "#!/bin/sh\n".to_owned();
        for line in text.lines() {
            let _ = writeln!(script, "echo '{}' >&2", line.replace('\'', "'\\''"));
        }
        script.push_str("exit 1\n");
        fs::write(&hook, script).expect("pre-receive");
        fs::set_permissions(&hook, fs::Permissions::from_mode(0o755)).expect("pre-receive");
    }

    /// Accepts pushes again.
    pub fn unprotect(&self) {
        let _ = fs::remove_file(self.path.join("hooks/pre-receive"));
    }
}

fn data(stream: &mut Vec<u8>, bytes: &[u8]) {
    let _ = writeln!(stream, "data {}", bytes.len());
    stream.extend_from_slice(bytes);
    stream.push(b'\n');
}

/// Runs `git` without the user's and the system's configuration. Panics when it fails.
pub fn git(folder: Option<&Path>, arguments: &[&str], stdin: &[u8]) -> String {
    match git_bytes(folder, arguments, stdin) {
        Ok(bytes) => String::from_utf8_lossy(&bytes).trim_end().to_owned(),
        Err(said) => panic!("git {arguments:?} failed: {said}"),
    }
}

/// Runs `git`; its output, or what it said when it failed.
///
/// # Errors
/// The command's standard error, when it fails.
pub fn git_bytes(
    folder: Option<&Path>,
    arguments: &[&str],
    stdin: &[u8],
) -> Result<Vec<u8>, String> {
    let mut command = Command::new("git");
    command
        .args(arguments)
        .current_dir(folder.unwrap_or(Path::new("/")))
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_TERMINAL_PROMPT", "0")
        .env("LC_ALL", "C")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().expect("`git` starts");
    let mut input = child.stdin.take().expect("stdin");
    let stdin = stdin.to_vec();
    let writer = std::thread::spawn(move || {
        let _ = input.write_all(&stdin);
    });
    let output = child.wait_with_output().expect("git's output");
    writer.join().expect("writer");
    if output.status.success() {
        Ok(output.stdout)
    } else {
        Err(String::from_utf8_lossy(&output.stderr).into_owned())
    }
}
