//! `sealift version`.

use std::io::Write as _;

use crate::cli::options::{OutputFormat, OutputOptions};
use crate::exit::Exit;

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
    match arguments.output.output {
        OutputFormat::Json => {
            writeln!(
                out,
                "{}",
                serde_json::json!({ "version": version, "platform": platform })
            )?;
        }
        OutputFormat::Text if arguments.short => writeln!(out, "v{version}")?,
        OutputFormat::Text => writeln!(out, "sealift: v{version}\n  Platform: {platform}")?,
    }
    Ok(Exit::Done)
}
