//! The rounds: start, kill, let a person push, run again, check the branches and the journal
//! against them.

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
use rand::{Rng as _, SeedableRng as _};
use sealift_testkit::world::{PersonsLine, person};

use super::Ground;

/// A run that takes longer hangs.
const RUN_TIMEOUT: Duration = Duration::from_secs(60);
/// How often a program that is to be killed at a certain point is looked at.
const WATCH_INTERVAL: Duration = Duration::from_micros(200);

/// Runs the rounds and returns how many broke.
pub(super) fn run(
    binary: &Path,
    folder: &Path,
    ground: &dyn Ground,
    rounds: u32,
    seed: u64,
) -> Result<u32> {
    let mut soak = Soak::new(binary, folder, ground, seed)?;
    println!(
        "undisturbed, a run takes {:.2} s; seed {seed}",
        soak.full_time.as_secs_f64()
    );
    let (mut failed, mut seen) = (0, Seen::default());
    for round in 1..=rounds {
        let plan = soak.plan();
        match soak.round(round, &plan) {
            Ok(hit) => seen.add(hit, &plan),
            Err(error) => {
                failed += 1;
                println!("round {round} FAILED ({plan:?}): {error:#}");
            }
        }
    }
    println!(
        "killed {} times before a push, {} times during or after one; it had ended {} times; \
         a person pushed {} times",
        seen.before_push, seen.in_push, seen.ended, seen.people
    );
    Ok(failed)
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

/// Where a kill met the program.
enum Hit {
    BeforePush,
    InPush,
    /// It had ended by itself.
    Ended,
}

/// What the rounds covered: a soak that never hits a push proves little.
#[derive(Default)]
struct Seen {
    before_push: u32,
    in_push: u32,
    ended: u32,
    people: u32,
}

impl Seen {
    fn add(&mut self, hit: Hit, plan: &Plan) {
        match hit {
            Hit::BeforePush => self.before_push += 1,
            Hit::InPush => self.in_push += 1,
            Hit::Ended => self.ended += 1,
        }
        self.people += u32::from(plan.person.is_some());
    }
}

/// Everything that the rounds share.
struct Soak<'a> {
    binary: &'a Path,
    folder: &'a Path,
    ground: &'a dyn Ground,
    repositories: Vec<PathBuf>,
    bases: Vec<String>,
    full_time: Duration,
    random: StdRng,
}

impl<'a> Soak<'a> {
    /// Measures a run that nothing disturbs, and checks that its outcome is right.
    fn new(binary: &'a Path, folder: &'a Path, ground: &'a dyn Ground, seed: u64) -> Result<Self> {
        let repositories = ground.repositories();
        let mut soak = Self {
            binary,
            folder,
            ground,
            bases: repositories.iter().map(|one| person::head(one)).collect(),
            repositories,
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
            person: with_person.then(|| self.ground.persons_line(&mut self.random)),
        }
    }

    fn round(&self, round: u32, plan: &Plan) -> Result<Hit> {
        for (repository, base) in self.repositories.iter().zip(&self.bases) {
            person::reset(repository, base);
        }
        self.ground.forget_pushes()?;
        let mut child = self.start(round, "killed")?;
        let group = Pid::from_raw(child.id().try_into()?);
        self.wait_for(plan.moment, &mut child)?;
        // It may have ended by itself; then there is nothing to kill, which is a moment, too.
        let hit = match (child.try_wait()?, self.ground.push_began()) {
            (Some(_), _) => Hit::Ended,
            (None, true) => Hit::InPush,
            (None, false) => Hit::BeforePush,
        };
        let _gone = if plan.children_too {
            killpg(group, Signal::SIGKILL)
        } else {
            kill(group, Signal::SIGKILL)
        };
        child.wait()?;
        if let Some(person) = &plan.person
            && let Some(repository) = self.repositories.get(person.git_repository)
        {
            person::append_line(repository, &person.path, &person.line);
        }
        self.run_to_the_end(round)
            .context("the run after the kill")?;
        let people: Vec<PersonsLine> = plan.person.iter().cloned().collect();
        self.check(round, &people)?;
        self.run_to_the_end(round).context("one run more")?;
        self.check(round, &people).context("after one run more")?;
        fs::remove_dir_all(self.state(round))?;
        Ok(hit)
    }

    fn wait_for(&self, moment: Moment, child: &mut Child) -> Result<()> {
        let delay = match moment {
            Moment::After(delay) => delay,
            Moment::AfterPushBegan(delay) => {
                let start = Instant::now();
                while !self.ground.push_began() && child.try_wait()?.is_none() {
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
            .args(["run", "--once"])
            .args(self.ground.arguments());
        command.arg("--state-dir").arg(self.state(round));
        command.spawn().context("cannot start Sealift")
    }

    fn run_to_the_end(&self, round: u32) -> Result<()> {
        let mut child = self.start(round, "again")?;
        let status = wait(&mut child)?;
        let wanted = self.ground.exit_code();
        ensure!(
            status.code() == Some(wanted),
            "it ended with {status}, not {wanted}"
        );
        Ok(())
    }

    /// The branches, and the journal against them.
    fn check(&self, round: u32, people: &[PersonsLine]) -> Result<()> {
        self.ground.check(people)?;
        for repository in &self.repositories {
            let mut command = self.sealift(round, "verify")?;
            command
                .args(["events", "verify", "--state-dir"])
                .arg(self.state(round));
            command.arg("--repo").arg(repository);
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
