//! `sealift template [PATH]`: renders a commit message template with two fixed changes.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::PathBuf;

use anyhow::Context as _;
use sealift_core::commit_message::{DEFAULT_TEMPLATE, MessageChange, MessageData, commit_message};
use sealift_core::template::Template;

use super::options::{OutputFormat, OutputOptions};
use crate::exit::Exit;
use crate::output::json_document;

/// Arguments of `template`.
#[derive(Debug, clap::Args)]
pub struct TemplateArguments {
    /// The template; without it the default one
    path: Option<PathBuf>,
    #[command(flatten)]
    output: OutputOptions,
}

/// Prints the rendered message.
///
/// # Errors
/// The template cannot be read or rendered.
pub fn run(arguments: &TemplateArguments) -> anyhow::Result<Exit> {
    let text = match &arguments.path {
        Some(path) => std::fs::read_to_string(path)
            .with_context(|| format!("`{}` cannot be read", path.display()))?,
        None => DEFAULT_TEMPLATE.to_owned(),
    };
    let template = Template::parse(&text)?;
    let change = |image, old, new| MessageChange {
        image,
        full_name: image,
        old_tag: old,
        new_tag: new,
        labels: BTreeMap::new(),
        ..MessageChange::default()
    };
    let old = "sha256:01ba4719c80b6fe911b091a7c05124b64eeece964e09c058ef8f9805daca546b";
    let new = "sha256:7aa7a5359173d05b63cfd682e3c38487f3cb4f7f1d60659fe59fab1505977d4c";
    let data = MessageData {
        application: "example-app",
        namespace: "argocd",
        project: "default",
        labels: BTreeMap::new(),
        changes: vec![
            change("example/example", "1.0.0", "1.0.1"),
            change("example/updater", old, new),
        ],
    };
    let (message, error) = commit_message(&template, &data);
    let mut out = anstream::stdout().lock();
    match arguments.output.output {
        OutputFormat::Json => {
            json_document(&mut out, &serde_json::json!({ "message": message }))?;
        }
        OutputFormat::Text => write!(out, "{message}")?,
    }
    match error {
        Some(error) => {
            Err(error).context("the template fails on this data; a plain message was used")
        }
        None => Ok(Exit::Done),
    }
}
