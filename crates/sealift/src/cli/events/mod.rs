//! `sealift events`: reads the journal. It takes no lock, so it works while `run` writes.
//!
//! Here: arguments, and which of the four to do. Not here: how records are chosen (`filter`), shown
//! (`show`, `list`) and checked (`verify`).

mod filter;
mod follow;
mod list;
mod show;
#[cfg(test)]
mod tests;
mod verify;

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::{Args, Subcommand};
use jiff::Timestamp;
use sealift_core::event::{Head, trailer_head};

use crate::cli::options::OutputOptions;
use crate::exit::Exit;
use crate::state;
use filter::FilterOptions;

/// Arguments of `events`.
#[derive(Debug, Clone, Args)]
pub struct EventsArguments {
    /// Folder for journal, repositories and caches [default: the user's state folder]
    #[arg(long, value_name = "DIR", env = "SEALIFT_STATE_DIR", global = true)]
    state_dir: Option<PathBuf>,
    #[command(subcommand)]
    command: EventsCommand,
}

#[derive(Debug, Clone, Subcommand)]
enum EventsCommand {
    /// List records, oldest first
    List(ListArguments),
    /// Show everything of one record
    Show(ShowArguments),
    /// Show new records as they are written, until interrupted
    Follow(ListArguments),
    /// Check that no record was altered, removed, moved or rewritten
    Verify(VerifyArguments),
}

/// Arguments of `events list` and `events follow`.
#[derive(Debug, Clone, Args)]
struct ListArguments {
    #[command(flatten)]
    filter: FilterOptions,
    /// Only the last N records that pass the filters [default: list: all, follow: none]
    #[arg(short = 'n', long, value_name = "N")]
    lines: Option<usize>,
    #[command(flatten)]
    output: OutputOptions,
}

/// Arguments of `events show`.
#[derive(Debug, Clone, Args)]
struct ShowArguments {
    /// Position of a record, or id of an intent (`i-…`), which shows the intent and its outcome
    #[arg(value_name = "SEQUENCE|INTENT")]
    which: show::Which,
    #[command(flatten)]
    output: OutputOptions,
}

/// Arguments of `events verify`.
#[derive(Debug, Clone, Args)]
struct VerifyArguments {
    /// Git repository whose commits hold anchors in their trailers. Repeatable
    #[arg(long, value_name = "PATH|URL")]
    repo: Vec<String>,
    /// A head that was kept elsewhere, as in a trailer. Repeatable
    #[arg(long, value_name = "CHAIN/SEQUENCE:HASH", value_parser = trailer_head)]
    anchor: Vec<Head>,
    #[command(flatten)]
    output: OutputOptions,
}

/// A commit with a trailer of the journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrailerInCommit {
    /// Hex id of the commit.
    pub commit: String,
    /// The trailer: the whole line, or its value.
    pub trailer: String,
}

/// What `events` needs of the world around it.
pub struct World<'a> {
    /// The time.
    pub now: Timestamp,
    /// Where data goes.
    pub out: &'a mut dyn Write,
    /// Whether the program was asked to stop.
    pub stopped: &'a dyn Fn() -> bool,
    /// Reads every trailer of the journal from a repository, given by path or URL.
    pub trailers: &'a mut dyn FnMut(&str) -> anyhow::Result<Vec<TrailerInCommit>>,
}

/// Does what the arguments say. Blocks: `follow` until [`World::stopped`].
///
/// # Errors
/// There is no journal, it cannot be read, or standard output cannot be written. Damage is not an
/// error but the finding of `verify`, which ends with [`Exit::Failed`].
pub fn run(arguments: &EventsArguments, world: &mut World<'_>) -> anyhow::Result<Exit> {
    let folder = journal_folder(arguments.state_dir.as_deref())?;
    match &arguments.command {
        EventsCommand::List(list) => list::run(list, &folder, world),
        EventsCommand::Show(show) => show::run(show, &folder, world),
        EventsCommand::Follow(list) => follow::run(list, &folder, world),
        EventsCommand::Verify(verify) => verify::run(verify, &folder, world),
    }
}

/// The journal's folder in the state folder that was named, or in the default one.
fn journal_folder(named: Option<&Path>) -> anyhow::Result<PathBuf> {
    let default = || {
        let [xdg, home] = ["XDG_STATE_HOME", "HOME"].map(std::env::var_os);
        state::default_path(xdg, home)
    };
    let state = named.map(Path::to_owned).or_else(default);
    Ok(state
        .context("no state folder: name one with `--state-dir`")?
        .join("journal"))
}
