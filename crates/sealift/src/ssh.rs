//! This program in the place of `ssh`: Git starts it directly, and it becomes `ssh` with the
//! configuration that was laid out for the one remote. Git starts a command line only by way of a
//! shell, and the image has none.

use std::env;
use std::io::Write as _;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, ExitCode};

/// ssh(1): "255 if an error occurred".
const FAILED: u8 = 255;

/// Becomes `ssh` where Git asks for that. Comes back where it does not, or with the exit code where
/// `ssh` does not start.
#[must_use]
pub fn stand_in() -> Option<ExitCode> {
    let config = env::var_os(sealift_git::SSH_CONFIG_VARIABLE)?;
    let error = Command::new("ssh")
        .arg("-F")
        .arg(config)
        .args(env::args_os().skip(1))
        .env_remove(sealift_git::SSH_CONFIG_VARIABLE)
        .exec();
    let _ = writeln!(anstream::stderr(), "error: `ssh` does not start: {error}");
    Some(ExitCode::from(FAILED))
}
