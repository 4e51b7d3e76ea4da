//! The cluster: two replicas of the controller on a real API server, without disks and with the
//! roles that ship. The leader is killed at random moments, in the middle of updates of both kinds;
//! the other follows, and a new one takes the place of the dead.
//!
//! Several lanes run beside each other, each an installation of its own: most of the time is spent
//! waiting for leases to end.

mod installation;
mod journals;

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use sealift_testkit::kube::KubeServer;

use installation::{Installation, Replica};
use journals::Journals;

/// How long the next leader may take, from the kill. The lease lasts 15 s; it is looked at every 2.
const TAKEOVER_MAX: Duration = Duration::from_secs(20);
/// What takes longer than this hangs.
const PATIENCE: Duration = Duration::from_secs(90);
/// Installations beside each other.
const LANES: u32 = 4;
/// Between two looks at what is waited for.
const LOOK: Duration = Duration::from_millis(20);

/// What the rounds covered.
#[derive(Debug, Default)]
struct Seen {
    /// From the kill to the new holder of the lease, each.
    takeovers: Vec<Duration>,
    /// From the kill until everything was written and settled, each.
    recoveries: Vec<Duration>,
    /// Leaders that were killed with intents on the lease.
    with_intents: u32,
    /// Intents that another process settled.
    taken_over: usize,
    failed: u32,
}

/// Runs the rounds and returns how many broke. `None`: there is no API server, which is said.
pub(super) fn run(binary: &Path, folder: &Path, rounds: u32, seed: u64) -> Result<Option<u32>> {
    let Some(kube) = KubeServer::start() else {
        return Ok(None);
    };
    installation::define(&kube)?;
    let lanes = LANES.min(rounds).max(1);
    let results: Vec<Result<Seen>> = std::thread::scope(|scope| {
        let threads = (0..lanes).map(|lane| {
            let count = rounds / lanes + u32::from(lane < rounds % lanes);
            let (kube, folder) = (&kube, folder.join(format!("lane-{lane}")));
            scope.spawn(move || {
                let random = StdRng::seed_from_u64(seed.wrapping_add(lane.into()));
                Lane::start(kube, binary, &folder, lane, random)?.run(count)
            })
        });
        let threads: Vec<_> = threads.collect();
        let joined = threads.into_iter().map(|thread| {
            let ended = thread.join();
            ended.unwrap_or_else(|_| Err(anyhow::anyhow!("a lane panicked")))
        });
        joined.collect()
    });
    let mut all = Seen::default();
    for seen in results {
        let seen = seen?;
        all.takeovers.extend(seen.takeovers);
        all.recoveries.extend(seen.recoveries);
        all.with_intents += seen.with_intents;
        all.taken_over += seen.taken_over;
        all.failed += seen.failed;
    }
    all.say(seed);
    Ok(Some(all.failed))
}

impl Seen {
    fn say(&mut self, seed: u64) {
        println!(
            "killed {} leaders, {} with intents on the lease, of which others settled {}; seed {seed}",
            self.takeovers.len(),
            self.with_intents,
            self.taken_over
        );
        for (what, times) in [
            ("takeover", &mut self.takeovers),
            ("everything written", &mut self.recoveries),
        ] {
            times.sort();
            let at = |index: usize| times.get(index).copied().unwrap_or_default().as_secs_f64();
            println!(
                "{what}: min {:.1} s, median {:.1} s, max {:.1} s after the kill",
                at(0),
                at(times.len() / 2),
                at(times.len().saturating_sub(1))
            );
        }
    }
}

/// When a leader is killed.
#[derive(Debug, Clone, Copy)]
enum Moment {
    /// This long after new images are there.
    After(Duration),
    /// This long after a Git server was asked to take a push.
    AfterPushBegan(Duration),
    /// This long after an Application was patched.
    AfterPatch(Duration),
}

/// One installation and its replicas, the leader first.
struct Lane<'a> {
    installation: Installation<'a>,
    leader: Replica,
    standby: Replica,
    random: StdRng,
    replicas: u32,
}

impl<'a> Lane<'a> {
    fn start(
        kube: &'a KubeServer,
        binary: &'a Path,
        folder: &Path,
        lane: u32,
        random: StdRng,
    ) -> Result<Self> {
        let installation = Installation::new(kube, binary, folder, lane)?;
        let leader = installation.replica(1)?;
        wait("the first leader", || installation.is_held_by(&leader))?;
        let standby = installation.replica(2)?;
        Ok(Self {
            installation,
            leader,
            standby,
            random,
            replicas: 2,
        })
    }

    fn run(mut self, rounds: u32) -> Result<Seen> {
        let mut seen = Seen::default();
        for round in 1..=rounds {
            let moment = self.moment();
            let broken = self.round(round, moment, &mut seen);
            if let Err(error) = broken {
                println!("round {round} FAILED ({moment:?}): {error:#}");
                // What came of it would be counted again and again.
                seen.failed += rounds + 1 - round;
                return Ok(seen);
            }
        }
        let mut ended = vec![self.leader, self.standby];
        for replica in &mut ended {
            let journal = installation::journal(self.installation.folder(), replica.number);
            let began = || std::fs::metadata(&journal).is_ok_and(|file| file.len() > 0);
            wait("the first record of a replica", began)?;
            replica.terminate()?;
        }
        let journals = Journals::read(self.installation.folder(), self.replicas)?;
        let checked = journals
            .check(&ended, rounds, &self.installation)
            .and_then(|()| self.installation.verify(self.replicas));
        if let Err(error) = checked {
            println!("the journals FAILED: {error:#}");
            seen.failed += 1;
        }
        seen.taken_over = journals.taken_over();
        Ok(seen)
    }

    fn moment(&mut self) -> Moment {
        let soon = Duration::from_micros(self.random.random_range(0..60_000));
        match self.random.random_range(0..3) {
            0 => Moment::After(Duration::from_millis(self.random.random_range(0..2_000))),
            1 => Moment::AfterPushBegan(soon),
            _ => Moment::AfterPatch(soon),
        }
    }

    fn round(&mut self, round: u32, moment: Moment, seen: &mut Seen) -> Result<()> {
        let installation = &self.installation;
        installation.forget_pushes();
        installation.publish(round);
        match moment {
            Moment::After(delay) => std::thread::sleep(delay),
            Moment::AfterPushBegan(delay) => {
                wait("a push", || installation.push_began())?;
                std::thread::sleep(delay);
            }
            Moment::AfterPatch(delay) => {
                wait("a patch", || installation.patches(round) > 0)?;
                std::thread::sleep(delay);
            }
        }
        let children_too = self.random.random_bool(0.5);
        ensure!(!self.leader.has_ended()?, "the leader ended by itself");
        self.leader.kill(children_too)?;
        let killed = Instant::now();
        seen.with_intents += u32::from(installation.has_open_intents());
        wait("the next leader", || installation.is_held_by(&self.standby))?;
        let took = killed.elapsed();
        seen.takeovers.push(took);
        wait("all updates", || installation.is_updated(round))?;
        wait("the end of all intents", || {
            !installation.has_open_intents()
        })?;
        seen.recoveries.push(killed.elapsed());
        ensure!(
            took <= TAKEOVER_MAX,
            "the takeover took {:.1} s",
            took.as_secs_f64()
        );
        installation.check(round)?;
        self.replicas += 1;
        let next = installation.replica(self.replicas)?;
        self.leader = std::mem::replace(&mut self.standby, next);
        Ok(())
    }
}

fn wait(what: &str, mut holds: impl FnMut() -> bool) -> Result<()> {
    let start = Instant::now();
    while !holds() {
        if start.elapsed() > PATIENCE {
            bail!("{what} did not come within {} s", PATIENCE.as_secs());
        }
        std::thread::sleep(LOOK);
    }
    Ok(())
}

/// The text of a file of the checkout.
fn shipped(path: &str) -> Result<String> {
    let path = crate::workspace_root().join(path);
    std::fs::read_to_string(&path).with_context(|| format!("`{}`", path.display()))
}
