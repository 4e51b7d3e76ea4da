//! The seeded world: two Git repositories behind smart HTTP and a real registry, both with a delay,
//! so that the program is hit between its requests.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail, ensure};
use rand::Rng as _;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use sealift_testkit::world::layout::{Layout, Spec, Strategy};
use sealift_testkit::world::{PersonsLine, World, texts};

use super::Ground;

/// A running world, and what its branches hold in the end.
pub(super) struct Seeded {
    world: World,
    updated: Layout,
}

impl Seeded {
    pub(super) fn start(runtime: &tokio::runtime::Runtime, folder: &Path, seed: u64) -> Self {
        let world = runtime.block_on(World::start(spec(seed), folder));
        let updated = world.layout.updated();
        Self { world, updated }
    }
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

impl Ground for Seeded {
    fn arguments(&self) -> Vec<OsString> {
        let objects = self.world.objects().into();
        let registries_conf = self.world.registries_conf().into();
        vec![
            "-f".into(),
            objects,
            "--registries-conf-path".into(),
            registries_conf,
        ]
    }

    fn repositories(&self) -> Vec<PathBuf> {
        let indexes = 0..self.world.spec.git_repositories;
        indexes
            .map(|index| self.world.git_repository(index))
            .collect()
    }

    fn exit_code(&self) -> i32 {
        0
    }

    fn forget_pushes(&self) -> Result<()> {
        let _of_the_round_before = self.world.take_git_requests();
        Ok(())
    }

    fn push_began(&self) -> bool {
        self.world.git_requests_of("push") > 0
    }

    fn persons_line(&self, random: &mut StdRng) -> PersonsLine {
        let layout = &self.world.layout;
        let all = layout.applications.iter();
        let outdated: Vec<_> = all.filter(|one| layout.is_outdated(one)).collect();
        let same_file = random.random_bool(0.5);
        let application = outdated.choose(random).copied();
        PersonsLine {
            git_repository: application.map_or(0, |application| application.git_repository),
            path: application
                .filter(|_| same_file)
                .map_or_else(|| "NOTES".to_owned(), texts::slot_path),
            line: "# a person was here".to_owned(),
        }
    }

    fn check(&self, people: &[PersonsLine]) -> Result<()> {
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
        Ok(())
    }
}
