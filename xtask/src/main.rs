//! `cargo xtask`: the project's only entry besides cargo itself. One module a command; nothing here
//! ships.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a developer's program talks to its terminal"
)]

mod bench;
mod fuzz;
mod gen_docs;
mod judging;
mod lint;
mod soak;
mod test;
mod tidy;
mod tools;
mod vectors;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Tests, vectors, benchmarks and generated files of Sealift.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Everything that must hold before a change lands; installs the servers it needs.
    Test(test::Arguments),
    /// Formatting, clippy, house style, crate arrows and generated files.
    Lint(lint::Arguments),
    /// Writes the generated parts of the documentation.
    Gen(gen_docs::Arguments),
    /// Builds a world on loopback, runs Sealift on it and prints what that cost.
    Bench(bench::Arguments),
    /// Kills Sealift at random moments and asks whether everything is as if nothing had happened.
    Soak(soak::Arguments),
    /// Runs parsers of hostile input on mutations of their corpus.
    Fuzz(fuzz::Arguments),
    /// Judges the public conformance bundles of Sigstore.
    Conformance(judging::conformance::Arguments),
    /// Judges images that real tools signed, by the right policy and by each with one demand
    /// changed.
    Layouts(judging::layouts::Arguments),
    /// Runs recorded answers of Argo CD Image Updater through our real functions.
    Vectors(vectors::Arguments),
}

fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Test(arguments) => test::command(&arguments),
        Command::Lint(arguments) => lint::command(&arguments),
        Command::Gen(arguments) => gen_docs::command(&arguments),
        Command::Fuzz(arguments) => fuzz::command(&arguments),
        Command::Bench(arguments) => bench::command(&arguments),
        Command::Soak(arguments) => soak::command(&arguments),
        Command::Conformance(arguments) => judging::conformance::command(&arguments),
        Command::Layouts(arguments) => judging::layouts::command(&arguments),
        Command::Vectors(arguments) => vectors::command(&arguments),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// The folder that holds the workspace's `Cargo.toml`.
fn workspace_root() -> PathBuf {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    manifest.parent().unwrap_or(manifest).to_path_buf()
}
