//! `cargo xtask soak`: kills `sealift run --once` at random moments, sometimes lets a person push
//! in between, runs it again and asks whether everything is as if nothing had happened. In a cluster
//! it kills the leader of two replicas.

mod cluster;
mod demo;
mod rounds;
mod seeded;

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Result;
use rand::rngs::StdRng;
use sealift_testkit::world::PersonsLine;

/// `cargo xtask soak`
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// How often it is killed [default: 200, in a cluster 100]
    #[arg(long)]
    rounds: Option<u32>,
    /// Same seed, same moments as far as the machine allows.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Where it runs.
    #[arg(long, value_enum, default_value_t = Where::Demo)]
    world: Where,
    /// The program; built with `--release` where this is left out.
    #[arg(long, value_name = "FILE")]
    binary: Option<PathBuf>,
    /// Keep the world, the state and the logs here.
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,
}

/// The worlds to be killed in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Where {
    /// The one that `sealift demo` lays out: Git on a local path, policies, signatures.
    Demo,
    /// A small random one: two Git repositories over HTTP.
    Seeded,
    /// Two replicas on a real API server, without disks.
    Cluster,
}

/// What differs between worlds.
trait Ground {
    /// The arguments of `run --once`, without the state folder.
    fn arguments(&self) -> Vec<OsString>;
    /// The bare repositories, by the index that [`PersonsLine`] uses.
    fn repositories(&self) -> Vec<PathBuf>;
    /// How a run that nothing disturbs ends.
    fn exit_code(&self) -> i32;
    /// From now on pushes are new.
    fn forget_pushes(&self) -> Result<()>;
    /// Whether a server was asked to take a push.
    fn push_began(&self) -> bool;
    /// Something that a person may push, by chance in a file that is being updated.
    fn persons_line(&self, random: &mut StdRng) -> PersonsLine;
    /// Whether the branches hold what they must, and what `people` pushed, with no commit too many.
    fn check(&self, people: &[PersonsLine]) -> Result<()>;
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
    let world = arguments.world;
    let rounds = arguments.rounds.unwrap_or(match world {
        Where::Demo | Where::Seeded => 200,
        Where::Cluster => 100,
    });
    let Some(failed) = soak(&binary, &folder, world, rounds, arguments.seed)? else {
        println!("it did not run");
        return Ok(false);
    };
    println!("{} passed, {failed} failed", rounds.saturating_sub(failed));
    Ok(failed == 0)
}

/// Runs the rounds and returns how many broke. `None`: the world's servers are not there.
pub(crate) fn soak(
    binary: &Path,
    folder: &Path,
    world: Where,
    rounds: u32,
    seed: u64,
) -> Result<Option<u32>> {
    fs::create_dir_all(folder)?;
    let folder = folder.canonicalize()?;
    let runtime = tokio::runtime::Runtime::new()?;
    let ground: Box<dyn Ground> = match world {
        Where::Demo => Box::new(demo::Demo::start(binary, &folder)?),
        Where::Seeded => Box::new(seeded::Seeded::start(&runtime, &folder, seed)),
        Where::Cluster => return cluster::run(binary, &folder, rounds, seed),
    };
    rounds::run(binary, &folder, ground.as_ref(), rounds, seed).map(Some)
}
