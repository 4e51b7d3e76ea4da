//! `cargo xtask bench controller`: the controller on a real API server. It builds a world, runs the
//! program as a Pod would, with the roles that ship, and prints what two cycles cost and what the
//! time between them costs, in which nothing changes.

mod install;
mod report;
mod usage;

use std::fs::{self, File};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use sealift_testkit::kube::KubeServer;
use sealift_testkit::world::World;

use super::worlds;
use report::{Cycle, Idle, Report};
use usage::{Usage, reset_peak};

/// How long a cycle may take, the lists before it among that.
const CYCLE_TIMEOUT: Duration = Duration::from_secs(600);
/// After a cycle: statuses are written behind its last line.
const SETTLE: Duration = Duration::from_secs(2);
/// What the interval is longer than the time that is watched: the first cycle, and reserve.
const RESERVE: Duration = Duration::from_secs(60);
/// How often the log is looked at.
const POLL_INTERVAL: Duration = Duration::from_millis(20);
/// What a cycle logs last.
const CYCLE_ENDED: &str = "Processing results:";

/// `cargo xtask bench controller`
#[derive(clap::Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    world: worlds::Arguments,
    /// What selects the Applications.
    #[arg(long, value_enum, default_value_t = Selection::ImageUpdater)]
    select: Selection,
    /// Bytes that each Application's status holds besides, as resources that Argo CD reports.
    #[arg(long, value_name = "BYTES", default_value_t = 0)]
    status_bytes: usize,
    /// Seconds between two cycles that are watched.
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    idle: u64,
    /// The program to measure; built with `--release` where this is left out.
    #[arg(long, value_name = "FILE")]
    binary: Option<PathBuf>,
    /// Keep the world and the program's logs here.
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,
    /// Print one JSON object instead of text.
    #[arg(long)]
    json: bool,
}

/// What selects the Applications.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
enum Selection {
    /// One ImageUpdater, which refers to their annotations.
    ImageUpdater,
    /// Their annotations alone.
    Annotations,
}

pub(super) fn command(arguments: &Arguments) -> Result<bool> {
    let binary = match &arguments.binary {
        Some(binary) => binary.clone(),
        None => super::release_binary()?,
    };
    let temporary = tempfile::tempdir()?;
    let kept = arguments.keep.clone();
    let folder = kept.unwrap_or_else(|| temporary.path().to_path_buf());
    fs::create_dir_all(&folder)?;
    let runtime = tokio::runtime::Runtime::new()?;
    let report = runtime.block_on(measure(arguments, &binary, &folder))?;
    if arguments.json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        print!("{}", report.text());
    }
    Ok(report.problems.is_empty())
}

async fn measure(arguments: &Arguments, binary: &Path, folder: &Path) -> Result<Report> {
    let start = Instant::now();
    let world = World::start(arguments.world.spec(2)?, folder).await;
    let kube = KubeServer::start_counting(&install::user()).map_err(anyhow::Error::msg)?;
    let selection = arguments.select;
    let name = install::install(&kube, &world, selection, arguments.status_bytes).await?;
    fs::write(folder.join("kubeconfig"), install::kubeconfig(&kube))?;
    let setup_seconds = start.elapsed().as_secs_f64();
    let idle = Duration::from_secs(arguments.idle);
    let program = Program::start(binary, &world, folder, selection, idle + RESERVE)?;
    let mut bench = Bench {
        world,
        kube,
        program,
        before: Usage::default(),
        problems: Vec::new(),
    };
    let first = bench.cycle("first", 1).await?;
    reset_peak(bench.program.pid())?;
    let watched = Instant::now();
    tokio::time::sleep(idle).await;
    let idle = bench.idle(watched.elapsed())?;
    let edit_seconds = bench.edit(&name, 2).await?;
    let next = bench.cycle("next", 3).await?;
    bench.end()?;
    Ok(Report {
        spec: bench.world.spec.clone(),
        selection,
        status_bytes: arguments.status_bytes,
        setup_seconds,
        cycles: vec![first, next],
        idle,
        edit_seconds,
        problems: bench.problems,
    })
}

/// A running installation, and what was found about it so far.
struct Bench {
    world: World,
    kube: KubeServer,
    program: Program,
    /// When it was looked at last.
    before: Usage,
    problems: Vec<String>,
}

impl Bench {
    /// Waits until `count` cycles have ended, and says what happened since the last look.
    async fn cycle(&mut self, name: &'static str, count: usize) -> Result<Cycle> {
        let line = self.program.cycle_ended(count).await?;
        tokio::time::sleep(SETTLE).await;
        let usage = Usage::of(self.program.pid())?;
        let cpu_seconds = usage.cpu_seconds - self.before.cpu_seconds;
        self.before = usage;
        let spec = &self.world.spec;
        let wanted = [
            ("applications", spec.applications),
            (
                "images_considered",
                spec.applications * spec.images_per_application,
            ),
            ("errors", 0),
        ];
        for (key, wanted) in wanted {
            if !line.contains(&format!("{key}={wanted}")) {
                let problem = format!("not `{key}={wanted}` in the {name} cycle: {line}");
                self.problems.push(problem);
            }
        }
        Ok(Cycle {
            name,
            cpu_seconds,
            usage,
            registry_requests: self.world.take_registry_requests(),
            api_requests: self.kube.take_counts(),
        })
    }

    /// What happened since the last look, in which no cycle was due.
    fn idle(&mut self, time: Duration) -> Result<Idle> {
        let usage = Usage::of(self.program.pid())?;
        let cpu_seconds = usage.cpu_seconds - self.before.cpu_seconds;
        self.before = usage;
        if self.program.is_due_again() {
            let problem = "the first cycle took so long that the next one may have begun while \
                           nothing should";
            self.problems.push(problem.into());
        }
        Ok(Idle {
            seconds: time.as_secs_f64(),
            cpu_percent: 100.0 * cpu_seconds / time.as_secs_f64(),
            registry_requests: self.world.take_registry_requests(),
            api_requests: self.kube.take_counts(),
        })
    }

    /// Edits one Application, and waits until `count` cycles have ended: the last one is about it.
    /// How long that took, in seconds.
    async fn edit(&mut self, application: &str, count: usize) -> Result<f64> {
        let start = Instant::now();
        install::edit(&self.kube, application);
        let line = self.program.cycle_ended(count).await?;
        let seconds = start.elapsed().as_secs_f64();
        if !line.contains("applications=1 ") {
            let problem = format!("not the edited Application alone: {line}");
            self.problems.push(problem);
        }
        self.before = Usage::of(self.program.pid())?;
        let _of_the_edit = (self.world.take_registry_requests(), self.kube.take_counts());
        Ok(seconds)
    }

    /// Stops the program and compares Git with what it should be.
    fn end(&mut self) -> Result<()> {
        let code = self.program.stop()?;
        if code != Some(0) {
            self.problems
                .push(format!("the program ended with {code:?}"));
        }
        let wanted = self.world.spec.outdated();
        let difference = self.world.difference(&self.world.layout.updated(), &[]);
        if difference.commits != wanted || !difference.wrong.is_empty() {
            let (commits, wrong) = (difference.commits, difference.wrong.len());
            let problem = format!("{commits} commits, not {wanted}; {wrong} files are wrong");
            self.problems.push(problem);
        }
        Ok(())
    }
}

/// The program under measurement; killed when dropped.
struct Program {
    child: Child,
    log: PathBuf,
    started: Instant,
    interval: Duration,
}

impl Drop for Program {
    fn drop(&mut self) {
        let _gone_already = self.child.kill();
        let _reaped = self.child.wait();
    }
}

impl Program {
    fn start(
        binary: &Path,
        world: &World,
        folder: &Path,
        selection: Selection,
        interval: Duration,
    ) -> Result<Self> {
        let log = folder.join("controller.log");
        let annotations = match selection {
            Selection::ImageUpdater => "never",
            Selection::Annotations => "auto",
        };
        let port = TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port();
        let child = Command::new(binary)
            .args(["run", "--annotations", annotations, "--kubeconfig"])
            .arg(folder.join("kubeconfig"))
            .arg("--registries-conf-path")
            .arg(world.registries_conf())
            .arg(format!("--interval={}s", interval.as_secs()))
            .arg(format!("--health-probe-bind-address=127.0.0.1:{port}"))
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", folder)
            .stdin(Stdio::null())
            // As in a Pod: the journal goes to standard output, and nothing else is kept.
            .stdout(File::create(folder.join("controller.journal"))?)
            .stderr(File::create(&log)?)
            .spawn()
            .with_context(|| format!("cannot start `{}`", binary.display()))?;
        Ok(Self {
            child,
            log,
            started: Instant::now(),
            interval,
        })
    }

    fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits for the end of this many cycles, and returns the line that says so.
    async fn cycle_ended(&mut self, count: usize) -> Result<String> {
        let deadline = Instant::now() + self.interval + CYCLE_TIMEOUT;
        loop {
            let text = fs::read_to_string(&self.log)?;
            let mut lines = text.lines().filter(|line| line.contains(CYCLE_ENDED));
            if let Some(line) = lines.nth(count - 1) {
                return Ok(line.to_owned());
            }
            if let Some(status) = self.child.try_wait()? {
                bail!("the program ended with {status}:\n{text}");
            }
            ensure!(Instant::now() < deadline, "no cycle ended:\n{text}");
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    }

    /// Whether another cycle may have begun: the interval counts from the start of the last one.
    fn is_due_again(&self) -> bool {
        self.started.elapsed() >= self.interval
    }

    /// Asks it to end, and returns its exit code.
    fn stop(&mut self) -> Result<Option<i32>> {
        let pid = i32::try_from(self.pid()).context("a process id")?;
        kill(Pid::from_raw(pid), Signal::SIGTERM)?;
        Ok(self.child.wait()?.code())
    }
}
