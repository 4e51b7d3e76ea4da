//! `sealift completion SHELL`.

use clap::CommandFactory as _;

use crate::exit::Exit;

/// Arguments of `completion`.
#[derive(Debug, clap::Args)]
pub struct CompletionArguments {
    /// The shell that will read the script
    shell: clap_complete::Shell,
}

/// Prints the completion script.
pub fn run(arguments: &CompletionArguments) -> Exit {
    let mut command = super::Cli::command();
    clap_complete::generate(
        arguments.shell,
        &mut command,
        "sealift",
        &mut std::io::stdout(),
    );
    Exit::Done
}
