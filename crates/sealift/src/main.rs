//! Sealift lifts only sealed images into Git. This file starts it; `cli` says what it can do.

use std::process::ExitCode;

use clap::Parser as _;

fn main() -> ExitCode {
    if let Some(exit) = sealift::ssh::stand_in() {
        return exit;
    }
    let cli = sealift::cli::Cli::parse();
    sealift::logging::start(cli.loglevel(), cli.logformat);
    sealift::cli::main(cli).into()
}
