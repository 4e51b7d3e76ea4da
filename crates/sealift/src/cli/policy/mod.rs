//! `sealift policy`: what is wrong with a policy, what a valid one stands for, and a first one for
//! an image that is signed already.

mod check;
mod explain;
pub(super) mod explained;
mod init;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use sealift_core::promotion::set::{PolicyFinding, PolicySet};
use serde::Serialize;

use super::options::OutputOptions;
use crate::exit::Exit;
use crate::objects::{ListedPolicy, policies};

/// Arguments of `policy`.
#[derive(Debug, clap::Args)]
pub struct PolicyArguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Say everything that is wrong with policies, with file and line
    Check(FileArguments),
    /// Print what policies stand for: identities, roots, thresholds, scope, and what is weak
    Explain(FileArguments),
    /// Write the shortest policy that demands what signs an image today, for a person to review
    Init(Box<init::InitArguments>),
}

#[derive(Debug, clap::Args)]
struct FileArguments {
    /// Files with policies and exceptions
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Namespace of documents that name none
    #[arg(long, env = "ARGOCD_NAMESPACE", default_value = "argocd")]
    argocd_namespace: String,
    #[command(flatten)]
    output: OutputOptions,
}

/// Checks, explains or drafts.
///
/// # Errors
/// Standard output refuses the answer, or no policy can be drafted.
pub async fn run(arguments: PolicyArguments) -> anyhow::Result<Exit> {
    match arguments.command {
        Command::Check(files) => check::run(&files),
        Command::Explain(files) => explain::run(&files),
        Command::Init(arguments) => init::run(*arguments).await,
    }
}

/// Files, read and put together.
struct Read {
    set: PolicySet,
    listed: Vec<ListedPolicy>,
    /// What is wrong or weak, by place.
    findings: Vec<Located>,
}

/// One thing to say, with its place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Located {
    /// `file:line`
    place: String,
    /// Whether the document cannot be used because of it.
    error: bool,
    /// The object, as far as it can be read.
    #[serde(skip_serializing_if = "String::is_empty")]
    name: String,
    /// The field; empty for what is about the whole document.
    #[serde(skip_serializing_if = "String::is_empty")]
    field: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<String>,
    reason: sealift_core::reason::Reason,
    message: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    hint: String,
}

fn read(arguments: &FileArguments, now: Timestamp) -> Read {
    let home = &arguments.argocd_namespace;
    let mut set = PolicySet::new(home);
    let files = arguments.files.iter().map(PathBuf::as_path);
    let listed = match policies::from_files(files.collect::<Vec<&Path>>(), home) {
        Ok(listed) => listed,
        Err(problems) => {
            let located = problems.iter().map(|problem| Located {
                place: problem.origin.to_string(),
                error: true,
                name: String::new(),
                field: String::new(),
                value: None,
                reason: sealift_core::reason::Reason::PolicyInvalid,
                message: problem.problem.to_string(),
                hint: String::new(),
            });
            return Read {
                set,
                listed: Vec::new(),
                findings: located.collect(),
            };
        }
    };
    let documents: Vec<_> = listed.iter().map(ListedPolicy::document).collect();
    let found = set.update(&documents, now);
    let findings = found.iter().flat_map(|one| located(one, &listed)).collect();
    Read {
        set,
        listed,
        findings,
    }
}

fn located(finding: &PolicyFinding, listed: &[ListedPolicy]) -> Vec<Located> {
    let of = listed
        .iter()
        .find(|policy| policy.origin.to_string() == finding.origin);
    let place = |field: &str| match of {
        Some(policy) => policy.place(field),
        None => finding.origin.clone(),
    };
    if finding.errors.is_empty() {
        return vec![Located {
            place: place(""),
            error: false,
            name: finding.name.clone(),
            field: String::new(),
            value: None,
            reason: finding.reason,
            message: finding.detail.clone(),
            hint: String::new(),
        }];
    }
    let errors = finding.errors.iter().map(|error| Located {
        place: place(&error.field),
        error: true,
        name: finding.name.clone(),
        field: error.field.clone(),
        value: error.value.clone(),
        reason: error.reason,
        message: error.message.clone(),
        hint: error.hint.clone(),
    });
    let mut errors: Vec<Located> = errors.collect();
    errors.sort_by_key(|error| line(&error.place));
    errors
}

/// People fix a file from top to bottom.
fn line(place: &str) -> usize {
    let line = place
        .rsplit_once(':')
        .and_then(|(_, line)| line.parse().ok());
    line.unwrap_or_default()
}
