//! `sealift plan`: what `run --once` would push, as a diff. Nothing is written.

use std::io::Write as _;

use super::options::{
    CycleOptions, GitOptions, OutputFormat, OutputOptions, RegistryOptions, SourceOptions,
};
use crate::engine::{Engine, Mode, Options};
use crate::exit::Exit;
use crate::output::{ignore_closed_pipe, json_document};
use crate::render;

/// Arguments of `plan`.
#[derive(Debug, clap::Args)]
pub struct PlanArguments {
    #[command(flatten)]
    source: SourceOptions,
    #[command(flatten)]
    registry: RegistryOptions,
    #[command(flatten)]
    git: GitOptions,
    #[command(flatten)]
    cycle: CycleOptions,
    /// End with 10 when there are updates
    #[arg(long)]
    check: bool,
    #[command(flatten)]
    output: OutputOptions,
}

/// Prints the plan.
///
/// # Errors
/// The program cannot start.
pub async fn run(arguments: PlanArguments) -> anyhow::Result<Exit> {
    let options = Options {
        source: &arguments.source,
        registry: &arguments.registry,
        git: &arguments.git,
        cycle: &arguments.cycle,
    };
    let mut engine = Engine::open(&options, Mode::LookOn)?;
    let report = engine.cycle().await?;
    let mut out = std::io::BufWriter::new(anstream::stdout().lock());
    let result = match arguments.output.output {
        OutputFormat::Json => json_document(&mut out, &report),
        OutputFormat::Text => render::report(&mut out, &report, true),
    };
    ignore_closed_pipe(result.and_then(|()| out.flush()))?;
    Ok(match () {
        () if report.has_errors() => Exit::Failed,
        () if arguments.check && report.cycle.updated > 0 => Exit::UpdatesAvailable,
        () => Exit::Done,
    })
}
