//! `sealift version`.

use std::io::Write as _;

use crate::cli::options::{OutputFormat, OutputOptions};
use crate::exit::Exit;
use crate::output::ignore_closed_pipe;

/// Arguments of `version`.
#[derive(Debug, clap::Args)]
pub struct VersionArguments {
    /// Only the version number
    #[arg(long)]
    short: bool,
    #[command(flatten)]
    output: OutputOptions,
}

/// Prints the version.
///
/// # Errors
/// Standard output cannot be written.
pub fn run(arguments: &VersionArguments) -> anyhow::Result<Exit> {
    let version = env!("CARGO_PKG_VERSION");
    let platform = format!("{}/{}", std::env::consts::OS, std::env::consts::ARCH);
    let mut out = anstream::stdout().lock();
    let text = match arguments.output.output {
        OutputFormat::Json => {
            serde_json::json!({ "version": version, "platform": platform }).to_string()
        }
        OutputFormat::Text if arguments.short => format!("v{version}"),
        OutputFormat::Text => format!("sealift: v{version}\n  Platform: {platform}"),
    };
    ignore_closed_pipe(writeln!(out, "{text}"))?;
    Ok(Exit::Done)
}
