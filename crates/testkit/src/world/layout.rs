//! What a world holds, decided by its seed alone: names, tags, who uses what, who is behind.

use std::fmt;
use std::str::FromStr;

use rand::rngs::StdRng;
use rand::seq::{IndexedRandom as _, SliceRandom as _, index};
use rand::{Rng as _, SeedableRng as _};

/// How large a world is, and how much there is to do in it.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Spec {
    /// Applications, in objects.
    pub applications: usize,
    /// Images of each Application.
    pub images_per_application: usize,
    /// Repositories of the registry.
    pub repositories: usize,
    /// Tags of each of them.
    pub tags_per_repository: usize,
    /// Git repositories; Applications are dealt out to them in turn.
    pub git_repositories: usize,
    /// Applications that Git keeps behind the newest allowed tag, in percent.
    pub outdated_percent: f64,
    /// How tags are chosen, for all images.
    pub strategy: Strategy,
    /// Added to every request, in milliseconds.
    pub latency_ms: u64,
    /// Same seed, same world.
    pub seed: u64,
}

/// The update strategies that a world can be made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Strategy {
    /// Highest version within `1.x`.
    Semver,
    /// Latest creation date.
    NewestBuild,
    /// Last name.
    Alphabetical,
}

impl fmt::Display for Strategy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Semver => "semver",
            Self::NewestBuild => "newest-build",
            Self::Alphabetical => "alphabetical",
        })
    }
}

impl FromStr for Strategy {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        [Self::Semver, Self::NewestBuild, Self::Alphabetical]
            .into_iter()
            .find(|strategy| strategy.to_string() == text)
            .ok_or_else(|| format!("`{text}` is none of: semver, newest-build, alphabetical"))
    }
}

/// Everything in a world, before anything is written down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    /// The registry's repositories.
    pub repositories: Vec<Repository>,
    /// The Applications, in the order of names.
    pub applications: Vec<Application>,
}

/// One repository of the registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repository {
    /// For example `team-3/service-13`.
    pub name: String,
    /// Every tag, in no order.
    pub tags: Vec<Tag>,
    /// The tag that the strategy must choose.
    pub winner: String,
    /// Tags that it could have chosen before.
    pub older: Vec<String>,
}

/// One tag and the age of what it names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tag {
    /// For example `1.4.2`.
    pub name: String,
    /// Hours after the beginning of the world at which the image was built.
    pub built_hours: usize,
}

/// One Application, its place in Git and its images.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Application {
    /// For example `app-00017`.
    pub name: String,
    /// Index of its Git repository.
    pub git_repository: usize,
    /// Helm values where true, a kustomization where false.
    pub helm: bool,
    /// Its images.
    pub images: Vec<Image>,
}

/// One image of an Application.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// For example `web0`.
    pub alias: String,
    /// Index of its repository.
    pub repository: usize,
    /// The tag that Git holds at first.
    pub tag: String,
}

impl Layout {
    /// Decides a world.
    ///
    /// # Panics
    /// Where a count is zero, or an Application has more images than there are repositories.
    #[must_use]
    pub fn new(spec: &Spec) -> Self {
        assert!(
            spec.images_per_application <= spec.repositories,
            "too few repositories"
        );
        assert!(
            spec.git_repositories > 0 && spec.tags_per_repository > 1,
            "too small a world"
        );
        let mut random = StdRng::seed_from_u64(spec.seed);
        let repositories: Vec<Repository> = (0..spec.repositories)
            .map(|index| repository(spec, index, &mut random))
            .collect();
        let mut applications: Vec<Application> = (0..spec.applications)
            .map(|index| application(spec, index, &repositories, &mut random))
            .collect();
        for index in index::sample(&mut random, spec.applications, spec.outdated()) {
            put_behind(&mut applications[index], &repositories, &mut random);
        }
        Self {
            repositories,
            applications,
        }
    }

    /// Whether Git holds something else than the winner for one of its images.
    #[must_use]
    pub fn is_outdated(&self, application: &Application) -> bool {
        let behind = |image: &Image| image.tag != self.repositories[image.repository].winner;
        application.images.iter().any(behind)
    }

    /// The same world after every update has landed.
    #[must_use]
    pub fn updated(&self) -> Self {
        let mut updated = self.clone();
        for image in updated.applications.iter_mut().flat_map(|a| &mut a.images) {
            image
                .tag
                .clone_from(&self.repositories[image.repository].winner);
        }
        updated
    }
}

impl Spec {
    /// Applications that are behind, in objects.
    #[must_use]
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "a count of at most the Applications"
    )]
    pub fn outdated(&self) -> usize {
        let share = self.applications as f64 * self.outdated_percent / 100.0;
        (share.round() as usize).min(self.applications)
    }
}

fn repository(spec: &Spec, index: usize, random: &mut StdRng) -> Repository {
    let count = spec.tags_per_repository;
    let (mut names, choosable) = match spec.strategy {
        Strategy::Semver => versions(count, index % 7),
        Strategy::NewestBuild => ((0..count).map(|n| format!("build-{n:05}")).collect(), count),
        Strategy::Alphabetical => ((0..count).map(|n| format!("2024.{n:05}")).collect(), count),
    };
    if spec.strategy == Strategy::NewestBuild {
        // The newest build must not be the last name, nor the last in the listing.
        names.shuffle(random);
    }
    // Choosable tags come first and ascend in the strategy's order.
    let winner = names[choosable - 1].clone();
    let older = names[..choosable - 1].to_vec();
    let mut tags: Vec<Tag> = names
        .into_iter()
        .enumerate()
        .map(|(built_hours, name)| Tag { name, built_hours })
        .collect();
    tags.shuffle(random);
    let name = format!("team-{}/service-{index}", index % 10);
    Repository {
        name,
        tags,
        winner,
        older,
    }
}

/// Versions below `1.x` in ascending order, then what the constraint leaves out; and how many can
/// be chosen. Repositories differ in `offset`, so that they do not all agree on one winner.
fn versions(count: usize, offset: usize) -> (Vec<String>, usize) {
    let rare = count / 20;
    let choosable = count - 4 * rare;
    let main = (0..choosable).map(|n| format!("1.{}.{}", offset + n / 25, n % 25));
    let next = (0..rare).map(|n| format!("2.0.{n}"));
    let early = (0..rare).map(|n| format!("1.99.{n}-rc.1"));
    let branches = (0..rare).map(|n| format!("main-{n:04x}"));
    let odd = (0..rare).map(|n| format!("pr_{n}"));
    (
        main.chain(next)
            .chain(early)
            .chain(branches)
            .chain(odd)
            .collect(),
        choosable,
    )
}

fn application(
    spec: &Spec,
    index: usize,
    repositories: &[Repository],
    random: &mut StdRng,
) -> Application {
    let images = index::sample(random, repositories.len(), spec.images_per_application)
        .into_iter()
        .enumerate()
        .map(|(position, repository)| Image {
            alias: format!("web{position}"),
            repository,
            tag: repositories[repository].winner.clone(),
        })
        .collect();
    Application {
        name: format!("app-{index:05}"),
        git_repository: index % spec.git_repositories,
        // Half of each Git repository, whatever their number.
        helm: (index / spec.git_repositories).is_multiple_of(2),
        images,
    }
}

/// Sets at least one image back to an older tag.
fn put_behind(application: &mut Application, repositories: &[Repository], random: &mut StdRng) {
    let first = random.random_range(0..application.images.len());
    for (position, image) in application.images.iter_mut().enumerate() {
        let older = &repositories[image.repository].older;
        if (position == first || random.random_bool(0.5))
            && let Some(tag) = older.choose(random)
        {
            image.tag.clone_from(tag);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(strategy: Strategy) -> Spec {
        Spec {
            applications: 40,
            images_per_application: 2,
            repositories: 10,
            tags_per_repository: 60,
            git_repositories: 4,
            outdated_percent: 31.5,
            strategy,
            latency_ms: 0,
            seed: 7,
        }
    }

    #[test]
    fn equal_seeds_make_equal_worlds_and_others_do_not() {
        let one = spec(Strategy::Semver);
        let other = Spec {
            seed: 8,
            ..one.clone()
        };
        assert_eq!(Layout::new(&one), Layout::new(&one));
        assert_ne!(Layout::new(&one), Layout::new(&other));
    }

    #[test]
    fn as_many_applications_are_behind_as_asked_and_none_after_the_updates() {
        for strategy in [
            Strategy::Semver,
            Strategy::NewestBuild,
            Strategy::Alphabetical,
        ] {
            let layout = Layout::new(&spec(strategy));
            let behind = |layout: &Layout| {
                layout
                    .applications
                    .iter()
                    .filter(|a| layout.is_outdated(a))
                    .count()
            };
            assert_eq!(behind(&layout), 13, "{strategy}");
            assert_eq!(behind(&layout.updated()), 0, "{strategy}");
            assert!(
                layout
                    .repositories
                    .iter()
                    .all(|repository| repository.tags.len() == 60)
            );
        }
    }
}
