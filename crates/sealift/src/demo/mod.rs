//! `sealift demo`: the ordinary `run --once` on a small world that it lays out itself. No cluster,
//! no network, no credentials.

mod images;
mod signed;
mod world;

use std::ffi::OsStr;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Parser as _;
use sealift_core::event::Decision;
use serde_json::json;
use tokio::net::TcpListener;

use crate::cli::options::{
    CycleOptions, GitOptions, OutputFormat, OutputOptions, RegistryOptions, SourceOptions,
};
use crate::engine::{Engine, Mode, Options};
use crate::exit::Exit;
use crate::layout_server::{self, Faults};
use crate::output::{DIM, HEADING, ignore_closed_pipe, json_document};
use crate::pipeline::report::Report;
use crate::render;
use world::World;

/// Arguments of `demo`.
#[derive(Debug, clap::Args)]
pub struct DemoArguments {
    /// Where the world is laid out: a folder that is missing or empty, or an earlier demo
    #[arg(default_value = "sealift-demo")]
    folder: PathBuf,
    /// Lay the world out, serve its registry until interrupted, and leave the running to you
    #[arg(long)]
    serve: bool,
    #[command(flatten)]
    output: OutputOptions,
}

/// Options with their defaults, as `run` takes them.
#[derive(Debug, clap::Parser)]
struct RunOptions {
    #[command(flatten)]
    source: SourceOptions,
    #[command(flatten)]
    registry: RegistryOptions,
    #[command(flatten)]
    git: GitOptions,
    #[command(flatten)]
    cycle: CycleOptions,
}

/// Runs the demo.
///
/// # Errors
/// The world cannot be laid out, or what happened is not what the demo says.
pub async fn run(arguments: DemoArguments) -> anyhow::Result<Exit> {
    let world = World::open_or_make(&arguments.folder)?;
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    world.write_registries_conf(listener.local_addr()?.port())?;
    let faults = Faults {
        cut_short: [world::CUT_SHORT.to_owned()].into(),
    };
    let server = layout_server::serve(world.registry(), faults, listener);
    let json = arguments.output.output == OutputFormat::Json;
    let shown = command_line(&world);
    if !json || arguments.serve {
        let text = introduction(&world, &shown, arguments.serve);
        show(&text)?;
    }
    if arguments.serve {
        tokio::select! {
            served = server => served?,
            signal = tokio::signal::ctrl_c() => signal?,
        }
        return Ok(Exit::Done);
    }
    let server = tokio::spawn(server);
    let report = cycle(&world).await?;
    server.abort();
    let mut text = Vec::new();
    if json {
        let folder = world.folder.display().to_string();
        let whole = json!({ "folder": folder, "command": shown, "report": report });
        json_document(&mut text, &whole)?;
    } else {
        render::report(&mut text, &report, true)?;
        commit(&mut text, &world)?;
        look_further(&mut text, &world)?;
    }
    show(&text)?;
    as_promised(&report)
}

/// Prints, and does not mind a reader that has seen enough.
fn show(text: &[u8]) -> anyhow::Result<()> {
    let mut out = anstream::stdout();
    Ok(ignore_closed_pipe(
        out.write_all(text).and_then(|()| out.flush()),
    )?)
}

fn introduction(world: &World, command: &str, serve: bool) -> Vec<u8> {
    let folder = world.folder.display();
    let mut text = format!(
        "{HEADING}A small world{HEADING:#} in {folder}\n\n  \
         applications/    five Argo CD Applications, as `-f` reads them\n  \
         policies/        what must hold before an image of acme/checkout is written\n  \
         gitops.git       the Git repository that Argo CD would deploy from\n  \
         registry/        images; a registry on loopback serves them\n\n"
    );
    text += &match serve {
        true => {
            format!("The registry serves until Ctrl-C. In another terminal:\n\n  {command}\n\n")
        }
        false => format!("{DIM}${DIM:#} {command}\n\n"),
    };
    text.into_bytes()
}

fn command_line(world: &World) -> String {
    let show = |path: PathBuf| path.display().to_string();
    let program = program();
    format!(
        "{program} run --once --allow-local-git -f {} --policy {} --registries-conf-path {} \
         --state-dir {}",
        show(world.applications()),
        show(world.policy()),
        show(world.registries_conf()),
        show(world.state())
    )
}

/// How this program is called where it runs.
fn program() -> String {
    let own = std::env::current_exe().unwrap_or_else(|_| PathBuf::from("sealift"));
    let here = std::env::current_dir().unwrap_or_default();
    called(&own, &here, std::env::var_os("PATH").as_deref())
}

/// By its name where a shell finds it in `path`; else by where it is, seen from `here`.
fn called(own: &Path, here: &Path, path: Option<&OsStr>) -> String {
    let real = |path: &Path| std::fs::canonicalize(path).ok();
    let found = std::env::split_paths(path.unwrap_or_default())
        .map(|folder| folder.join("sealift"))
        .find(|program| program.is_file());
    if found.is_some_and(|found| real(&found).is_some() && real(&found) == real(own)) {
        return "sealift".to_owned();
    }
    // Without a `/` a shell would look in `PATH`.
    let shown = own.strip_prefix(here).ok();
    let shown = shown.filter(|below| below.components().count() > 1);
    shown.unwrap_or(own).display().to_string()
}

async fn cycle(world: &World) -> anyhow::Result<Report> {
    let text = |path: PathBuf| path.into_os_string();
    let options = RunOptions::try_parse_from([
        "sealift".into(),
        "--allow-local-git".into(),
        "--filename".into(),
        text(world.applications()),
        "--policy".into(),
        text(world.policy()),
        "--registries-conf-path".into(),
        text(world.registries_conf()),
        "--state-dir".into(),
        text(world.state()),
    ])?;
    let RunOptions {
        source,
        registry,
        git,
        cycle,
    } = options;
    let options = Options {
        source: &source,
        registry: &registry,
        git: &git,
        cycle: &cycle,
    };
    let mut engine = Engine::open(&options, Mode::Write)?;
    let report = engine.cycle().await?;
    engine.close()?;
    Ok(report)
}

/// The commit as Git tells it.
fn commit(out: &mut impl std::io::Write, world: &World) -> anyhow::Result<()> {
    let log = git_log(&world.repository())?;
    writeln!(out, "\n{HEADING}What Git says now{HEADING:#}\n")?;
    for line in log.lines() {
        writeln!(out, "  {line}")?;
    }
    Ok(())
}

fn git_log(repository: &Path) -> anyhow::Result<String> {
    let output = std::process::Command::new("git")
        .arg("-C")
        .arg(repository)
        .args(["log", "--max-count=1", "--stat", "main"])
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .output()
        .context("`git` could not be started")?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn look_further(out: &mut impl std::io::Write, world: &World) -> anyhow::Result<()> {
    let (state, repository) = (world.state(), world.repository());
    let (state, repository) = (state.display(), repository.display());
    let folder = world.folder.display();
    let (policy, layout) = (world.policy(), world.registry().join(world::CHECKOUT));
    let (policy, layout) = (policy.display(), layout.display());
    let program = program();
    writeln!(out, "\n{HEADING}How to look further{HEADING:#}\n")?;
    for (command, what) in [
        (
            format!("git -C {repository} log -p main"),
            "the commits, with their trailers and diffs",
        ),
        (
            format!(
                "{program} policy explain {policy}; \
                 {program} verify registry.demo/acme/checkout:v1.2.5 --policy {policy} --layout {layout}"
            ),
            "what the policy stands for, and why an image fails it",
        ),
        (
            format!("{program} events list --state-dir {state}"),
            "what was considered, and why",
        ),
        (
            format!("{program} events verify --state-dir {state} --repo {repository}"),
            "whether anybody touched the record",
        ),
        (
            format!("{program} demo {folder} --serve"),
            "serves the registry, so that `plan`, `explain` and `run` can be tried on this world",
        ),
    ] {
        writeln!(out, "  {DIM}# {what}{DIM:#}\n  {command}")?;
    }
    Ok(())
}

/// What the README says the demo shows. Anything else is a failure.
fn as_promised(report: &Report) -> anyhow::Result<Exit> {
    for entry in &report.considered {
        let considered = &entry.considered();
        let (application, decision) = (considered.application.as_str(), considered.decision);
        let kept = match application {
            "argocd/shop" => matches!(decision, Decision::Updated | Decision::UpToDate),
            "argocd/blog" | "argocd/billing" => decision == Decision::UpToDate,
            // The newest is re-tagged, the next one signed by a stranger, the third by nobody.
            "argocd/checkout" => {
                let trusted = considered.candidate.as_ref().map(|one| one.tag.as_str());
                let went_in = decision == Decision::Updated && trusted == Some("v1.2.3");
                went_in || decision == Decision::Refused
            }
            "argocd/search" => decision == Decision::Refused && entry.is_incomplete(),
            _ => true,
        };
        anyhow::ensure!(kept, "`{application}` was decided `{}`", decision.word());
    }
    let considered = report.considered.len();
    anyhow::ensure!(
        considered == 5,
        "{considered} images were considered instead of 5"
    );
    Ok(Exit::Done)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_demo_prints_can_be_typed_where_it_was_built_and_where_it_is_installed() {
        let folder = tempfile::tempdir().unwrap();
        let here = folder.path();
        let own = here.join("target/release/sealift");
        std::fs::create_dir_all(here.join("target/release")).unwrap();
        std::fs::write(&own, "").unwrap();
        let path = |text: &Path| Some(text.as_os_str().to_owned());
        let elsewhere = path(Path::new("/nonexistent"));
        assert_eq!(
            called(&own, here, elsewhere.as_deref()),
            "target/release/sealift"
        );
        let beside = here.join("target/release");
        assert_eq!(
            called(&own, &beside, elsewhere.as_deref()),
            own.display().to_string()
        );
        assert_eq!(called(&own, here, path(&beside).as_deref()), "sealift");
        // Another program of that name comes first.
        let other = here.join("other");
        std::fs::create_dir(&other).unwrap();
        std::fs::write(other.join("sealift"), "").unwrap();
        let both = std::env::join_paths([&other, &beside]).unwrap();
        assert_eq!(called(&own, here, Some(&both)), "target/release/sealift");
    }
}
