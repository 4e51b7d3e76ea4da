//! `sealift explain`: for one Application, every tag, what dropped it, what won, and what would
//! change. The same code as `run`.

use std::io::Write as _;

use serde_json::{Value, json};

use super::options::{
    CycleOptions, GitOptions, OutputFormat, OutputOptions, RegistryOptions, SourceOptions,
};
use crate::engine::{Engine, Mode, Options};
use crate::exit::Exit;
use crate::output::{escape, ignore_closed_pipe, json_document};
use crate::pipeline::report::{Entry, Report};
use crate::render;

/// Arguments of `explain`.
#[derive(Debug, clap::Args)]
pub struct ExplainArguments {
    #[command(flatten)]
    source: SourceOptions,
    #[command(flatten)]
    registry: RegistryOptions,
    #[command(flatten)]
    git: GitOptions,
    #[command(flatten)]
    cycle: CycleOptions,
    /// The Application: `name` or `namespace/name`
    application: String,
    /// One of its images: alias, name or repository
    image: Option<String>,
    #[command(flatten)]
    output: OutputOptions,
}

/// Prints the explanation.
///
/// # Errors
/// The program cannot start.
pub async fn run(arguments: ExplainArguments) -> anyhow::Result<Exit> {
    let options = Options {
        source: &arguments.source,
        registry: &arguments.registry,
        git: &arguments.git,
        cycle: &arguments.cycle,
    };
    let mut engine = Engine::open(&options, Mode::LookOn)?;
    engine.only(&arguments.application);
    let mut report = engine.cycle().await?;
    if let Some(image) = &arguments.image {
        report.considered.retain(|entry| is_named(entry, image));
    }
    let mut out = std::io::BufWriter::new(anstream::stdout().lock());
    let result = match arguments.output.output {
        OutputFormat::Json => json_document(&mut out, &document(&report)),
        OutputFormat::Text => text(&mut out, &report),
    };
    ignore_closed_pipe(result.and_then(|()| out.flush()))?;
    if report.considered.is_empty() && report.problems.is_empty() {
        let name = escape(&arguments.application);
        let (what, hint) = match arguments.image.as_deref().map(escape) {
            Some(image) => (
                format!("no image `{image}` in a followed Application `{name}`"),
                format!("`sealift explain {name}` lists its images, and `sealift plan` all"),
            ),
            None => (
                format!("no followed Application `{name}` with an image"),
                "`sealift plan` lists what is followed".to_owned(),
            ),
        };
        writeln!(anstream::stderr(), "error: {what}\nhint: {hint}")?;
        return Ok(Exit::NothingSelected);
    }
    Ok(if report.has_errors() {
        Exit::Failed
    } else {
        Exit::Done
    })
}

fn is_named(entry: &Entry, name: &str) -> bool {
    let image = entry.considered().image;
    image.alias.as_deref() == Some(name) || image.written == name || image.repository == name
}

fn text(out: &mut impl std::io::Write, report: &Report) -> std::io::Result<()> {
    for entry in &report.considered {
        render::explain(out, entry)?;
        writeln!(out)?;
    }
    render::changes(out, report, true)
}

fn document(report: &Report) -> Value {
    let entries: Vec<Value> = report.considered.iter().map(entry).collect();
    json!({ "considered": entries, "problems": report.problems, "notices": report.notices,
            "pushes": report.pushes })
}

fn entry(entry: &Entry) -> Value {
    let tags: Vec<Value> = entry.ranking().map(render::verdicts).unwrap_or_default();
    let mut value = serde_json::to_value(entry).unwrap_or_default();
    if let Some(object) = value.as_object_mut() {
        object.insert("tags".to_owned(), tags.into());
    }
    value
}
