//! The real `cosign`, in an environment in which it finds nothing but what a test gives it.

use std::path::{Path, PathBuf};
use std::process::Command;

/// A `cosign` that works in a stack's folder and reaches nothing but loopback.
#[derive(Debug, Clone)]
pub struct Cosign {
    program: PathBuf,
    folder: PathBuf,
    more: Vec<(String, String)>,
}

/// What a run of `cosign` said.
#[derive(Debug)]
pub struct Said {
    /// Whether it succeeded.
    pub succeeded: bool,
    /// The command, for messages.
    pub command: String,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl Cosign {
    pub(super) fn new(program: &Path, folder: &Path) -> Self {
        Self {
            program: program.to_owned(),
            folder: folder.to_owned(),
            more: Vec::new(),
        }
    }

    /// With one more variable in its environment.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.more.push((name.to_owned(), value.into()));
        self
    }

    /// Runs it to its end.
    #[must_use]
    pub fn run(&self, arguments: &[&str]) -> Said {
        let mut command = Command::new(&self.program);
        command
            .args(arguments)
            .current_dir(&self.folder)
            .env_clear();
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.env("HOME", &self.folder);
        command.env("COSIGN_YES", "true").env("COSIGN_PASSWORD", "");
        // Nobody listens there: a tool that looks beyond loopback fails, and does not find help.
        for name in ["HTTP_PROXY", "HTTPS_PROXY"] {
            command.env(name, "http://127.0.0.1:9");
        }
        command.env("NO_PROXY", "127.0.0.1,localhost");
        for (name, value) in &self.more {
            command.env(name, value);
        }
        let output = command.output().expect("`cosign` starts");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Said {
            succeeded: output.status.success(),
            command: format!("{} {}", self.program.display(), arguments.join(" ")),
            stdout: text(&output.stdout),
            stderr: text(&output.stderr),
        }
    }
}

impl Said {
    /// What it printed.
    ///
    /// # Panics
    /// Where it failed.
    pub fn expect_success(self) -> String {
        let Self {
            succeeded,
            command,
            stdout,
            stderr,
        } = self;
        assert!(succeeded, "`{command}` failed:\n{stderr}{stdout}");
        stdout
    }
}
