//! The narrow way to the `git` program: what it may see, how long it may take, and what of its
//! words gets out.
//!
//! A command gets an environment made here, never the caller's: no user or system configuration, no
//! prompts, no hooks, one allowed protocol. Secrets travel in that environment alone
//! (`GIT_CONFIG_VALUE_n`), which only the same user can read: not in arguments and not in URLs,
//! which every user of the machine sees. What a command prints is bounded, and scrubbed of secrets
//! before it can enter an error. A command whose future is dropped is killed with its whole process
//! group.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use sealift_core::limits::{GIT_MESSAGE_BYTES_MAX, GIT_OUTPUT_BYTES_MAX};
use sealift_core::secret::Secret;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, Command};

use crate::error::GitError;

/// Variables of the caller that commands may see.
const ENVIRONMENT_KEPT: &[&str] = &[
    "PATH",
    "TMPDIR",
    "NO_PROXY",
    "no_proxy",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "GIT_SSL_CAINFO",
    "GIT_EXEC_PATH",
];

/// Further ones, which may hold passwords.
pub(crate) const PROXY_VARIABLES: &[&str] = &[
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "http_proxy",
    "https_proxy",
    "all_proxy",
];

/// Configuration of every command. git-config(1).
const CONFIGURATION: &[(&str, &str)] = &[
    ("core.hooksPath", "/dev/null"),
    ("core.fsmonitor", "false"),
    ("core.askPass", ""),
    ("credential.helper", ""),
    ("fetch.recurseSubmodules", "false"),
    ("push.recurseSubmodules", "no"),
    ("push.gpgSign", "false"),
    ("gc.auto", "0"),
    ("maintenance.auto", "false"),
    ("http.followRedirects", "false"),
    ("pack.threads", "1"),
    ("protocol.version", "2"),
    ("transfer.fsckObjects", "true"),
    ("transfer.credentialsInUrl", "die"),
    // A file of a remote repository is never read through a filter or an attribute's program.
    ("core.attributesFile", "/dev/null"),
];

/// How commands are started.
#[derive(Debug, Clone)]
pub(crate) struct Program {
    pub(crate) path: PathBuf,
    /// An empty folder that stands for the user's home.
    pub(crate) home: PathBuf,
    pub(crate) deadline: Duration,
    pub(crate) started: Arc<AtomicU64>,
}

/// What a command may use to reach one remote, or nothing for a command that stays on this machine.
#[derive(Default)]
pub(crate) struct Access {
    /// Value of `GIT_ALLOW_PROTOCOL`.
    pub(crate) protocol: &'static str,
    /// Further configuration; values may hold secrets.
    pub(crate) configuration: Vec<(String, Secret<String>)>,
    /// Further variables; no secrets.
    pub(crate) environment: Vec<(&'static str, OsString)>,
    /// What must not be seen in any message.
    pub(crate) secrets: Vec<Secret<String>>,
}

/// What a command left behind.
pub(crate) struct Finished {
    pub(crate) success: bool,
    pub(crate) stdout: Vec<u8>,
    /// Scrubbed and cut.
    pub(crate) stderr: String,
}

/// One command: its arguments and what it reads.
pub(crate) struct Invocation<'a> {
    /// Name for messages.
    pub(crate) what: &'static str,
    /// Arguments after `--git-dir`.
    pub(crate) arguments: &'a [&'a OsStr],
    /// Standard input, whole.
    pub(crate) stdin: &'a [u8],
    /// The repository, for messages.
    pub(crate) url: &'a str,
}

impl Program {
    /// Runs a command to its end.
    ///
    /// # Errors
    /// [`GitError::TimedOut`], [`GitError::Io`] when it cannot be started, [`GitError::Command`]
    /// when it prints too much. A command that fails is no error here.
    pub(crate) async fn run(
        &self,
        folder: &Path,
        access: &Access,
        invocation: &Invocation<'_>,
    ) -> Result<Finished, GitError> {
        let mut running = self.start(folder, access, invocation.arguments)?;
        let (stdin, stdout, stderr) = (
            running.child.stdin.take(),
            running.child.stdout.take(),
            running.child.stderr.take(),
        );
        let write = async {
            if let Some(mut stdin) = stdin {
                // A command that fails early closes its input; its own words say why.
                let _ = stdin.write_all(invocation.stdin).await;
            }
        };
        let work = async {
            let read = read_bounded(stdout, GIT_OUTPUT_BYTES_MAX);
            let ((), stdout, stderr) = tokio::join!(write, read, read_bounded(stderr, 1024 * 1024));
            (stdout, stderr, running.wait().await)
        };
        let Ok((stdout, stderr, status)) = tokio::time::timeout(self.deadline, work).await else {
            running.end().await;
            return Err(GitError::TimedOut {
                url: invocation.url.to_owned(),
                what: invocation.what,
                seconds: self.deadline.as_secs(),
            });
        };
        let failed = |source| self.failed("run", source);
        let (stderr, _) = stderr.map_err(failed)?;
        let (stdout, whole) = stdout.map_err(failed)?;
        if !whole {
            return Err(GitError::Command {
                what: invocation.what,
                detail: format!("it printed more than {GIT_OUTPUT_BYTES_MAX} bytes"),
            });
        }
        Ok(Finished {
            success: status.map_err(failed)?,
            stdout,
            stderr: access.scrubbed(&stderr),
        })
    }

    /// Starts a command whose input and output are pipes.
    ///
    /// # Errors
    /// [`GitError::Io`].
    pub(crate) fn start(
        &self,
        folder: &Path,
        access: &Access,
        arguments: &[&OsStr],
    ) -> Result<Running, GitError> {
        let mut command = Command::new(&self.path);
        command
            .arg("--git-dir")
            .arg(folder)
            .args(arguments)
            .current_dir(folder)
            .env_clear()
            .envs(self.environment(access))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true);
        self.started.fetch_add(1, Ordering::Relaxed);
        let child = command
            .spawn()
            .map_err(|source| self.failed("start", source))?;
        let group = child
            .id()
            .and_then(|id| i32::try_from(id).ok())
            .and_then(Pid::from_raw);
        Ok(Running { child, group })
    }

    fn environment(&self, access: &Access) -> Vec<(OsString, OsString)> {
        let kept = ENVIRONMENT_KEPT
            .iter()
            .chain(PROXY_VARIABLES)
            .filter_map(|name| Some((*name, std::env::var_os(name)?)));
        let mut variables: Vec<(OsString, OsString)> =
            kept.map(|(name, value)| (name.into(), value)).collect();
        let fixed = [
            ("HOME", self.home.as_os_str()),
            ("LC_ALL", OsStr::new("C")),
            ("GIT_CONFIG_NOSYSTEM", OsStr::new("1")),
            ("GIT_CONFIG_GLOBAL", OsStr::new("/dev/null")),
            ("GIT_ATTR_NOSYSTEM", OsStr::new("1")),
            ("GIT_TERMINAL_PROMPT", OsStr::new("0")),
            ("GIT_ASKPASS", OsStr::new("/bin/false")),
            ("SSH_ASKPASS", OsStr::new("/bin/false")),
            ("GIT_NO_LAZY_FETCH", OsStr::new("1")),
            ("GIT_NO_REPLACE_OBJECTS", OsStr::new("1")),
            ("GIT_ALLOW_PROTOCOL", OsStr::new(access.protocol)),
        ];
        variables.extend(fixed.map(|(name, value)| (name.into(), value.to_owned())));
        variables.extend(
            access
                .environment
                .iter()
                .map(|(name, value)| ((*name).into(), value.clone())),
        );
        let own = CONFIGURATION.iter().map(|(key, value)| (*key, *value));
        let further = access.configuration.iter();
        let all = own.chain(further.map(|(key, value)| (key.as_str(), value.expose().as_str())));
        let mut count = 0_usize;
        for (key, value) in all {
            variables.push((format!("GIT_CONFIG_KEY_{count}").into(), key.into()));
            variables.push((format!("GIT_CONFIG_VALUE_{count}").into(), value.into()));
            count += 1;
        }
        variables.push(("GIT_CONFIG_COUNT".into(), count.to_string().into()));
        variables
    }

    pub(crate) fn failed(&self, what: &'static str, source: std::io::Error) -> GitError {
        GitError::Io {
            what,
            path: self.path.clone(),
            source,
        }
    }
}

impl Access {
    /// `text` without secrets, without control characters, and cut.
    pub(crate) fn scrubbed(&self, text: &[u8]) -> String {
        let mut text = String::from_utf8_lossy(text).into_owned();
        for secret in self
            .secrets
            .iter()
            .filter(|secret| secret.expose().len() > 3)
        {
            text = text.replace(secret.expose().as_str(), "[secret]");
        }
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
        let clean = |c: char| !c.is_control() || c == '\n';
        let mut text: String = lines
            .collect::<Vec<_>>()
            .join("\n")
            .chars()
            .filter(|c| clean(*c))
            .collect();
        let mut end = text.len().min(GIT_MESSAGE_BYTES_MAX);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        text.truncate(end);
        text
    }
}

/// A command that runs. Dropping it kills the command and everything that it started.
pub(crate) struct Running {
    pub(crate) child: Child,
    /// Cleared once the leader is reaped: its number may then be another's.
    group: Option<Pid>,
}

impl Running {
    /// Waits for the end; whether it succeeded.
    async fn wait(&mut self) -> std::io::Result<bool> {
        let status = self.child.wait().await?;
        self.group = None;
        Ok(status.success())
    }

    /// Kills the group and reaps the leader.
    pub(crate) async fn end(&mut self) {
        self.kill();
        let _ = self.wait().await;
    }

    fn kill(&self) {
        if let Some(group) = self.group {
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Reads to the end, keeps at most `bytes_max`; whether that was all.
async fn read_bounded<R: AsyncRead + Unpin>(
    pipe: Option<R>,
    bytes_max: usize,
) -> std::io::Result<(Vec<u8>, bool)> {
    let mut kept = Vec::new();
    let Some(pipe) = pipe else {
        return Ok((kept, true));
    };
    let mut limited = pipe.take(u64::try_from(bytes_max).unwrap_or(u64::MAX));
    limited.read_to_end(&mut kept).await?;
    let mut rest = limited.into_inner();
    let beyond = tokio::io::copy(&mut rest, &mut tokio::io::sink()).await?;
    Ok((kept, beyond == 0))
}
