//! `sealift completion SHELL`.

use std::io::Write as _;

use clap::CommandFactory as _;

use crate::exit::Exit;
use crate::output::ignore_closed_pipe;

/// Arguments of `completion`.
#[derive(Debug, clap::Args)]
pub struct CompletionArguments {
    /// The shell that will read the script
    shell: clap_complete::Shell,
}

/// Prints the completion script.
///
/// # Errors
/// Standard output cannot be written.
pub fn run(arguments: &CompletionArguments) -> anyhow::Result<Exit> {
    let mut command = super::Cli::command();
    // The generator panics where it cannot write, and `| head` ends a pipe early.
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut command, "sealift", &mut script);
    let mut out = std::io::stdout().lock();
    ignore_closed_pipe(out.write_all(&script).and_then(|()| out.flush()))?;
    Ok(Exit::Done)
}
