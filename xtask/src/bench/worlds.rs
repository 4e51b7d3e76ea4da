//! The worlds that Sealift is measured on, and the flags that change them.

use anyhow::{Result, ensure};
use sealift_testkit::world::layout::{Spec, Strategy};

/// Flags of `cargo xtask bench cycle` and `controller`; what is left out is taken from `--world`.
#[derive(clap::Args)]
pub(super) struct Arguments {
    /// 1: many outdated Applications; 2: none outdated; 3: dates decide, all outdated [default: 1
    /// for cycles, 2 for the controller]
    #[arg(long, value_parser = clap::value_parser!(u8).range(1..=3))]
    world: Option<u8>,
    /// Applications.
    #[arg(long, value_name = "N")]
    apps: Option<usize>,
    /// Images of each Application.
    #[arg(long, value_name = "M")]
    images: Option<usize>,
    /// Repositories of the registry.
    #[arg(long, value_name = "R")]
    repos: Option<usize>,
    /// Tags of each repository.
    #[arg(long, value_name = "T")]
    tags: Option<usize>,
    /// Git repositories.
    #[arg(long, value_name = "G")]
    git_repos: Option<usize>,
    /// Applications that are behind, for example `31.5%`.
    #[arg(long, value_name = "P%", value_parser = percent)]
    outdated: Option<f64>,
    /// semver, newest-build or alphabetical.
    #[arg(long, value_name = "S")]
    strategy: Option<Strategy>,
    /// Delay of every request, in milliseconds.
    #[arg(long, value_name = "MS", default_value_t = 0)]
    latency: u64,
    /// Same seed, same world.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

impl Arguments {
    /// The world that the flags describe.
    pub(super) fn spec(&self, usual: u8) -> Result<Spec> {
        let preset = preset(self.world.unwrap_or(usual));
        let spec = Spec {
            applications: self.apps.unwrap_or(preset.applications),
            images_per_application: self.images.unwrap_or(preset.images_per_application),
            repositories: self.repos.unwrap_or(preset.repositories),
            tags_per_repository: self.tags.unwrap_or(preset.tags_per_repository),
            git_repositories: self.git_repos.unwrap_or(preset.git_repositories),
            outdated_percent: self.outdated.unwrap_or(preset.outdated_percent),
            strategy: self.strategy.unwrap_or(preset.strategy),
            latency_ms: self.latency,
            seed: self.seed,
        };
        ensure!(
            spec.images_per_application <= spec.repositories,
            "--images is above --repos"
        );
        ensure!(spec.images_per_application > 0, "--images is 0");
        ensure!(spec.git_repositories > 0, "--git-repos is 0");
        ensure!(spec.tags_per_repository > 1, "--tags is below 2");
        Ok(spec)
    }
}

fn preset(world: u8) -> Spec {
    let first = Spec {
        applications: 1_000,
        images_per_application: 2,
        repositories: 100,
        tags_per_repository: 500,
        git_repositories: 20,
        outdated_percent: 31.5,
        strategy: Strategy::Semver,
        latency_ms: 0,
        seed: 1,
    };
    match world {
        2 => Spec {
            applications: 5_000,
            repositories: 500,
            tags_per_repository: 100,
            outdated_percent: 0.0,
            ..first
        },
        3 => Spec {
            applications: 200,
            images_per_application: 1,
            repositories: 20,
            tags_per_repository: 200,
            git_repositories: 5,
            outdated_percent: 100.0,
            strategy: Strategy::NewestBuild,
            ..first
        },
        _ => first,
    }
}

fn percent(text: &str) -> Result<f64, String> {
    let number: f64 = text
        .trim_end_matches('%')
        .parse()
        .map_err(|error| format!("{error}"))?;
    if (0.0..=100.0).contains(&number) {
        Ok(number)
    } else {
        Err("not within 0% and 100%".into())
    }
}
