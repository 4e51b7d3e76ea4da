//! `cargo xtask bench`: what Sealift costs. `cycle` builds a world on loopback, runs two cycles on
//! it and prints their cost: the first finds what is outdated, the next one finds nothing.

mod controller;
mod judge;
pub(crate) mod measure;
mod report;
mod worlds;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context as _, Result, bail, ensure};
use sealift_testkit::world::World;
use sealift_testkit::world::layout::{Layout, Spec};

use measure::Measured;
use report::{Cycle, Report};

/// `cargo xtask bench`
#[derive(clap::Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    what: What,
}

#[derive(clap::Subcommand)]
enum What {
    /// Two cycles of `sealift run --once`: the first, and one in which nothing changed.
    Cycle(CycleArguments),
    /// The controller on a real API server: two cycles, and the time between them.
    Controller(controller::Arguments),
    /// Judging images that are signed: the first time, and when they were judged before.
    Judge(judge::Arguments),
    /// Runs one program and writes what it cost; used by `cycle`.
    #[command(hide = true)]
    Measure(measure::Arguments),
}

#[derive(clap::Args)]
struct CycleArguments {
    #[command(flatten)]
    world: worlds::Arguments,
    /// The program to measure; built with `--release` where this is left out.
    #[arg(long, value_name = "FILE")]
    binary: Option<PathBuf>,
    /// Keep the world, the program's output and its logs here.
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,
    /// Print one JSON object instead of text.
    #[arg(long)]
    json: bool,
}

/// Runs the benchmark and says whether its outcome is right.
pub(crate) fn command(arguments: &Arguments) -> Result<bool> {
    match &arguments.what {
        What::Cycle(arguments) => cycle(arguments),
        What::Controller(arguments) => controller::command(arguments),
        What::Judge(arguments) => judge::command(arguments),
        What::Measure(arguments) => measure::command(arguments),
    }
}

fn cycle(arguments: &CycleArguments) -> Result<bool> {
    let binary = match &arguments.binary {
        Some(binary) => binary.clone(),
        None => release_binary()?,
    };
    let temporary = tempfile::tempdir()?;
    let folder = arguments
        .keep
        .clone()
        .unwrap_or_else(|| temporary.path().to_path_buf());
    fs::create_dir_all(&folder)?;
    let runtime = tokio::runtime::Runtime::new()?;
    let report = runtime.block_on(two_cycles(&binary, arguments.world.spec(1)?, &folder))?;
    if arguments.json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        print!("{}", report.text());
    }
    Ok(report.problems.is_empty())
}

/// Builds what ships to be measured, without link-time optimisation.
pub(crate) fn release_binary() -> Result<PathBuf> {
    let root = crate::workspace_root();
    let built = crate::lint::cargo(&root, &["build", "--release", "--package", "sealift"])?;
    ensure!(built, "`cargo build --release` failed");
    let target =
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), Into::into);
    Ok(target.join("release/sealift"))
}

async fn two_cycles(binary: &Path, spec: Spec, folder: &Path) -> Result<Report> {
    let start = Instant::now();
    let world = World::start(spec.clone(), folder).await;
    let setup_seconds = start.elapsed().as_secs_f64();
    let updated = world.layout.updated();
    let mut problems = Vec::new();
    let first = one_cycle(binary, &world, folder, "first", &updated, &mut problems).await?;
    // What Argo CD would report after it has deployed the commits.
    world.write_objects(&updated);
    let next = one_cycle(binary, &world, folder, "next", &updated, &mut problems).await?;
    Ok(Report {
        spec,
        setup_seconds,
        cycles: vec![first, next],
        problems,
    })
}

async fn one_cycle(
    binary: &Path,
    world: &World,
    folder: &Path,
    name: &'static str,
    expected: &Layout,
    problems: &mut Vec<String>,
) -> Result<Cycle> {
    let git_log = folder.join(format!("{name}.git-processes"));
    let measured = run_measured(binary, world, folder, name, &git_log).await?;
    let difference = world.difference(expected, &[]);
    if measured.exit_code != Some(0) {
        problems.push(format!(
            "the {name} cycle ended with {:?}",
            measured.exit_code
        ));
    }
    if difference.commits != world.spec.outdated() {
        let (found, wanted) = (difference.commits, world.spec.outdated());
        problems.push(format!(
            "{found} commits after the {name} cycle, not {wanted}"
        ));
    }
    if let Some(path) = difference.wrong.first() {
        let count = difference.wrong.len();
        problems.push(format!(
            "{count} files are wrong after the {name} cycle, first `{path}`"
        ));
    }
    let git_requests = world.take_git_requests();
    Ok(Cycle {
        name,
        measured,
        registry_requests: world.take_registry_requests(),
        pushes: git_requests.get("push").copied().unwrap_or_default(),
        git_requests,
        git_processes: fs::read_to_string(&git_log)
            .unwrap_or_default()
            .lines()
            .count(),
        commits: difference.commits,
    })
}

/// Runs the program below a helper whose only child it is, so that the servers do not count.
async fn run_measured(
    binary: &Path,
    world: &World,
    folder: &Path,
    name: &str,
    git_log: &Path,
) -> Result<Measured> {
    let file = |kind: &str| folder.join(format!("{name}.{kind}"));
    let mut command = Command::new(std::env::current_exe()?);
    command
        .args(["bench", "measure", "--report"])
        .arg(file("measured"));
    command
        .arg("--output")
        .arg(file("output"))
        .arg("--log")
        .arg(file("log"));
    command
        .arg("--")
        .arg(binary)
        .args(["run", "--once", "-f"])
        .arg(world.objects());
    command
        .arg("--registries-conf-path")
        .arg(world.registries_conf());
    command
        .arg("--state-dir")
        .arg(folder.join("state"))
        .args(["--output", "json"]);
    command.env("PATH", counting_path(folder, git_log)?);
    let status = tokio::task::spawn_blocking(move || command.status()).await??;
    ensure!(status.success(), "the measuring helper failed");
    let measured = fs::read(file("measured"))?;
    serde_json::from_slice(&measured).context("what the measuring helper wrote")
}

/// A `PATH` on which `git` is a wrapper that adds one line a process to `log`. It costs about a
/// millisecond each, which counts as Sealift's.
fn counting_path(folder: &Path, log: &Path) -> Result<std::ffi::OsString> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let Some(git) = std::env::split_paths(&path)
        .map(|folder| folder.join("git"))
        .find(|file| file.is_file())
    else {
        bail!("there is no `git` on the PATH");
    };
    let wrappers = folder.join("wrappers");
    fs::create_dir_all(&wrappers)?;
    let wrapper = wrappers.join("git");
    let (log, git) = (log.display(), git.display());
    fs::write(
        &wrapper,
        format!("#!/bin/sh\necho \"$*\" >> '{log}'\nexec '{git}' \"$@\"\n"),
    )?;
    fs::set_permissions(&wrapper, fs::Permissions::from_mode(0o755))?;
    let folders = std::iter::once(wrappers).chain(std::env::split_paths(&path));
    Ok(std::env::join_paths(folders)?)
}
