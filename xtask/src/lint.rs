//! `cargo xtask lint`: everything that judges the code without running it.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result};

use crate::{gen_docs, tidy};

/// `cargo xtask lint`
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Also ask `cargo deny` about licences, advisories, sources and duplicates (it reads an
    /// advisory database from the network).
    #[arg(long)]
    deny: bool,
}

/// Runs every check, whatever the ones before it said.
pub(crate) fn command(arguments: &Arguments) -> Result<bool> {
    let root = crate::workspace_root();
    let mut checks = vec![
        formatted(&root)?,
        clippy(&root)?,
        tidy_and_generated(&root)?,
    ];
    if arguments.deny {
        checks.push(cargo(&root, &["deny", "check"])?);
    }
    Ok(checks.into_iter().all(|passed| passed))
}

/// Whether rustfmt would change nothing.
pub(crate) fn formatted(root: &Path) -> Result<bool> {
    cargo(root, &["fmt", "--all", "--check"])
}

/// Whether clippy has nothing to say.
pub(crate) fn clippy(root: &Path) -> Result<bool> {
    let arguments = [
        "clippy",
        "--workspace",
        "--all-targets",
        "--",
        "--deny",
        "warnings",
    ];
    cargo(root, &arguments)
}

/// Whether the house style is kept and the reference pages are what the code says.
pub(crate) fn tidy_and_generated(root: &Path) -> Result<bool> {
    let tidy = tidy::report(&tidy::check(root)?);
    let stale = gen_docs::stale_pages(root)?;
    for path in &stale {
        println!("error: `{path}` is not what the code says; run `cargo xtask gen`");
    }
    Ok(tidy && stale.is_empty())
}

/// Runs cargo in the workspace, with its output shown, and says whether it succeeded.
pub(crate) fn cargo(root: &Path, arguments: &[&str]) -> Result<bool> {
    let status = cargo_command(root)
        .args(arguments)
        .status()
        .with_context(|| format!("cannot start `cargo {}`", arguments.join(" ")))?;
    Ok(status.success())
}

/// The cargo that started us, in the workspace.
pub(crate) fn cargo_command(root: &Path) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root);
    command
}
