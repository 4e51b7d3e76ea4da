//! `cargo xtask soak`: kills `sealift run --once` at random moments, sometimes lets a person push
//! in between, runs it again and asks whether everything is as if nothing had happened.

use std::fs::{self, File};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use rand::{Rng as _, SeedableRng as _};
use sealift_testkit::world::layout::{Layout, Spec, Strategy};
use sealift_testkit::world::{PersonsLine, World, person, texts};

/// A run that takes longer hangs.
const RUN_TIMEOUT: Duration = Duration::from_secs(60);
/// How often a program that is to be killed at a certain point is looked at.
const WATCH_INTERVAL: Duration = Duration::from_micros(200);

/// `cargo xtask soak`
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// How often it is killed.
    #[arg(long, default_value_t = 200)]
    rounds: u32,
    /// Same seed, same moments as far as the machine allows.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// The program; built with `--release` where this is left out.
    #[arg(long, value_name = "FILE")]
    binary: Option<PathBuf>,
    /// Keep the world, the state and the logs here.
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,
}

/// Runs the rounds, prints what broke, and says whether nothing did.
pub(crate) fn command(arguments: &Arguments) -> Result<bool> {
    let binary = arguments
        .binary
        .clone()
        .map_or_else(crate::bench::release_binary, Ok)?;
    let temporary = tempfile::tempdir()?;
    let folder = arguments
        .keep
        .clone()
        .unwrap_or_else(|| temporary.path().to_path_buf());
    let failed = soak(&binary, &folder, arguments.rounds, arguments.seed)?;
    println!("{} passed, {failed} failed", arguments.rounds - failed);
    Ok(failed == 0)
}

/// Runs the rounds and returns how many broke.
pub(crate) fn soak(binary: &Path, folder: &Path, rounds: u32, seed: u64) -> Result<u32> {
    fs::create_dir_all(folder)?;
    let runtime = tokio::runtime::Runtime::new()?;
    let world = runtime.block_on(World::start(spec(seed), folder));
    let mut soak = Soak::new(binary, folder, &world, seed)?;
    println!(
        "undisturbed, a run takes {:.2} s; seed {seed}",
        soak.full_time.as_secs_f64()
    );
    let mut failed = 0;
    for round in 1..=rounds {
        let plan = soak.plan();
        if let Err(error) = soak.round(round, &plan) {
            failed += 1;
            println!("round {round} FAILED ({plan:?}): {error:#}");
        }
    }
    Ok(failed)
}

/// Small enough for hundreds of rounds, with more than one branch, and slow enough to be hit.
fn spec(seed: u64) -> Spec {
    Spec {
        applications: 12,
        images_per_application: 2,
        repositories: 4,
        tags_per_repository: 40,
        git_repositories: 2,
        outdated_percent: 50.0,
        strategy: Strategy::Semver,
        latency_ms: 4,
        seed,
    }
}

/// When the program is killed.
#[derive(Debug, Clone, Copy)]
enum Moment {
    /// This long after its start.
    After(Duration),
    /// This long after it has asked a Git server to take a push.
    AfterPushBegan(Duration),
}

/// What happens in one round, by chance.
#[derive(Debug)]
struct Plan {
    moment: Moment,
    /// Whether the processes it started die with it.
    children_too: bool,
    person: Option<PersonsLine>,
}

/// Everything that the rounds share.
struct Soak<'a> {
    binary: &'a Path,
    folder: &'a Path,
    world: &'a World,
    updated: Layout,
    bases: Vec<String>,
    full_time: Duration,
    random: StdRng,
}

impl<'a> Soak<'a> {
    /// Measures a run that nothing disturbs, and checks that its outcome is right.
    fn new(binary: &'a Path, folder: &'a Path, world: &'a World, seed: u64) -> Result<Self> {
        let repositories = (0..world.spec.git_repositories).map(|i| world.git_repository(i));
        let mut soak = Self {
            binary,
            folder,
            world,
            updated: world.layout.updated(),
            bases: repositories
                .map(|repository| person::head(&repository))
                .collect(),
            full_time: Duration::ZERO,
            random: StdRng::seed_from_u64(seed),
        };
        let start = Instant::now();
        soak.run_to_the_end(0).context("the undisturbed run")?;
        soak.full_time = start.elapsed();
        soak.check(0, &[]).context("the undisturbed run")?;
        Ok(soak)
    }

    fn plan(&mut self) -> Plan {
        let soon = Duration::from_micros(self.random.random_range(0..20_000));
        let moment = if self.random.random_bool(0.4) {
            Moment::AfterPushBegan(soon)
        } else {
            let whole = u64::try_from(self.full_time.as_micros()).unwrap_or(u64::MAX);
            Moment::After(Duration::from_micros(self.random.random_range(0..=whole)))
        };
        let children_too = self.random.random_bool(0.5);
        let with_person = self.random.random_bool(0.4);
        Plan {
            moment,
            children_too,
            person: with_person.then(|| self.persons_line()),
        }
    }

    /// A line in the very file that is being updated, or in a new one.
    fn persons_line(&mut self) -> PersonsLine {
        let outdated: Vec<_> = self
            .world
            .layout
            .applications
            .iter()
            .filter(|application| self.world.layout.is_outdated(application))
            .collect();
        let same_file = self.random.random_bool(0.5);
        let application = outdated.choose(&mut self.random).copied();
        PersonsLine {
            git_repository: application.map_or(0, |application| application.git_repository),
            path: application
                .filter(|_| same_file)
                .map_or_else(|| "NOTES".to_owned(), texts::slot_path),
            line: "# a person was here".to_owned(),
        }
    }

    fn round(&self, round: u32, plan: &Plan) -> Result<()> {
        for (index, base) in self.bases.iter().enumerate() {
            person::reset(&self.world.git_repository(index), base);
        }
        let _from_the_round_before = self.world.take_git_requests();
        let mut child = self.start(round, "killed")?;
        let group = Pid::from_raw(child.id().try_into()?);
        self.wait_for(plan.moment, &mut child)?;
        // It may have ended by itself; then there is nothing to kill, which is a moment, too.
        let _gone = if plan.children_too {
            killpg(group, Signal::SIGKILL)
        } else {
            kill(group, Signal::SIGKILL)
        };
        child.wait()?;
        if let Some(person) = &plan.person {
            self.world.add(person);
        }
        self.run_to_the_end(round)
            .context("the run after the kill")?;
        let people: Vec<PersonsLine> = plan.person.iter().cloned().collect();
        self.check(round, &people)?;
        self.run_to_the_end(round).context("one run more")?;
        self.check(round, &people).context("after one run more")?;
        fs::remove_dir_all(self.state(round))?;
        Ok(())
    }

    fn wait_for(&self, moment: Moment, child: &mut Child) -> Result<()> {
        let delay = match moment {
            Moment::After(delay) => delay,
            Moment::AfterPushBegan(delay) => {
                let start = Instant::now();
                while self.world.git_requests_of("push") == 0 && child.try_wait()?.is_none() {
                    ensure!(start.elapsed() < RUN_TIMEOUT, "it did not push in time");
                    thread::sleep(WATCH_INTERVAL);
                }
                delay
            }
        };
        thread::sleep(delay);
        Ok(())
    }

    fn state(&self, round: u32) -> PathBuf {
        self.folder.join(format!("state-{round}"))
    }

    fn sealift(&self, round: u32, log: &str) -> Result<Command> {
        let log = self.folder.join(format!("round-{round}-{log}.log"));
        let log = File::options().create(true).append(true).open(log)?;
        let mut command = Command::new(self.binary);
        command
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .process_group(0);
        Ok(command)
    }

    /// Starts one cycle, in a process group of its own.
    fn start(&self, round: u32, log: &str) -> Result<Child> {
        let mut command = self.sealift(round, log)?;
        command
            .args(["run", "--once", "-f"])
            .arg(self.world.objects());
        command
            .arg("--registries-conf-path")
            .arg(self.world.registries_conf());
        command.arg("--state-dir").arg(self.state(round));
        command.spawn().context("cannot start Sealift")
    }

    fn run_to_the_end(&self, round: u32) -> Result<()> {
        let mut child = self.start(round, "again")?;
        let status = wait(&mut child)?;
        ensure!(status.success(), "it ended with {status}");
        Ok(())
    }

    /// The branches, and the journal against them.
    fn check(&self, round: u32, people: &[PersonsLine]) -> Result<()> {
        let difference = self.world.difference(&self.updated, people);
        if let Some(path) = difference.wrong.first() {
            bail!("{} files are wrong, first `{path}`", difference.wrong.len());
        }
        let wanted = self.world.spec.outdated() + people.len();
        ensure!(
            difference.commits == wanted,
            "{} commits, not {wanted}",
            difference.commits
        );
        for index in 0..self.world.spec.git_repositories {
            let mut command = self.sealift(round, "verify")?;
            command
                .args(["events", "verify", "--state-dir"])
                .arg(self.state(round));
            command.arg("--repo").arg(self.world.git_repository(index));
            let status = wait(&mut command.spawn()?)?;
            ensure!(status.success(), "`events verify` ended with {status}");
        }
        Ok(())
    }
}

/// Waits for the end, and not for ever.
fn wait(child: &mut Child) -> Result<ExitStatus> {
    let start = Instant::now();
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        if start.elapsed() > RUN_TIMEOUT {
            child.kill()?;
            child.wait()?;
            bail!("it did not end within {} s", RUN_TIMEOUT.as_secs());
        }
        thread::sleep(Duration::from_millis(1));
    }
}
