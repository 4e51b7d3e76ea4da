//! Seeded worlds for benchmarks and for the kill test: a real registry with many tags, real Git
//! repositories over HTTP, and the Applications that join them. Same seed, same world.

pub mod layout;
pub mod person;
pub mod proxy;
mod stores;
pub mod texts;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use layout::{Layout, Spec};
use proxy::CountingProxy;

use crate::git::http::{GitHttp, GitHttpOptions};
use crate::registry::docker::{DockerRegistry, Storage};

/// A running world. Its files stay in the folder that it was started in.
#[derive(Debug)]
pub struct World {
    /// What was asked for.
    pub spec: Spec,
    /// What that is, as it stands in Git at first.
    pub layout: Layout,
    folder: PathBuf,
    registry: CountingProxy,
    git: CountingProxy,
    _registry_process: DockerRegistry,
    _git_server: GitHttp,
}

/// What the branches hold now, compared with what they should.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Difference {
    /// Commits on top of the first, over all repositories.
    pub commits: usize,
    /// `INDEX:PATH` of files that are not as expected.
    pub wrong: Vec<String>,
}

/// A line that a person added to a file, in a commit on top.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PersonsLine {
    /// Index of the Git repository.
    pub git_repository: usize,
    /// The file; it may be new.
    pub path: String,
    /// Without its line feed.
    pub line: String,
}

impl World {
    /// Fills the stores below `folder` and starts the servers.
    ///
    /// # Panics
    /// Where a server or `git` does not do what the world needs.
    pub async fn start(spec: Spec, folder: &Path) -> Self {
        let layout = Layout::new(&spec);
        let storage = Storage::new(&folder.join("registry"));
        stores::fill_registry(&storage, &spec, &layout);
        for index in 0..spec.git_repositories {
            let repository = git_folder(folder, index);
            fs::create_dir_all(&repository).expect("a folder for Git");
            stores::fill_git(&repository, &layout, index);
        }
        let latency = Duration::from_millis(spec.latency_ms);
        let registry_process = DockerRegistry::start_in(&folder.join("registry"));
        let git_server = GitHttp::start(&folder.join("git"), GitHttpOptions::default());
        let registry =
            CountingProxy::start(&registry_process.url(), latency, proxy::registry_kind).await;
        let git = CountingProxy::start(&root_url(&git_server), latency, proxy::git_kind).await;
        let world = Self {
            spec,
            layout,
            folder: folder.to_owned(),
            registry,
            git,
            _registry_process: registry_process,
            _git_server: git_server,
        };
        let conf = texts::registries_conf(&world.registry.url());
        fs::write(world.registries_conf(), conf).expect("registries.conf");
        world.write_objects(&world.layout);
        world
    }

    /// Writes the Kubernetes objects as if `layout` were running.
    ///
    /// # Panics
    /// Where the file cannot be written.
    pub fn write_objects(&self, layout: &Layout) {
        let urls: Vec<String> = (0..self.spec.git_repositories)
            .map(|index| format!("{}/{}", self.git.url(), git_name(index)))
            .collect();
        let mut text = texts::secrets(&urls);
        text.push_str(&texts::applications(layout, self.spec.strategy, &urls));
        fs::write(self.objects(), text).expect("objects.yaml");
    }

    /// The file for `-f`.
    #[must_use]
    pub fn objects(&self) -> PathBuf {
        self.folder.join("objects.yaml")
    }

    /// The file for `--registries-conf-path`.
    #[must_use]
    pub fn registries_conf(&self) -> PathBuf {
        self.folder.join("registries.conf")
    }

    /// The bare repository `index`.
    #[must_use]
    pub fn git_repository(&self, index: usize) -> PathBuf {
        git_folder(&self.folder, index)
    }

    /// Requests to the registry by kind since the last call.
    #[must_use]
    pub fn take_registry_requests(&self) -> BTreeMap<&'static str, u64> {
        self.registry.take_counts()
    }

    /// Requests to the Git server by kind since the last call.
    #[must_use]
    pub fn take_git_requests(&self) -> BTreeMap<&'static str, u64> {
        self.git.take_counts()
    }

    /// Adds a person's line to its branch, in a commit on top.
    ///
    /// # Panics
    /// Where `git` fails.
    pub fn add(&self, person: &PersonsLine) {
        let repository = self.git_repository(person.git_repository);
        person::append_line(&repository, &person.path, &person.line);
    }

    /// Requests to the Git server of one kind since they were last taken.
    #[must_use]
    pub fn git_requests_of(&self, kind: &str) -> u64 {
        self.git.count(kind)
    }

    /// Compares every branch with `expected` and what `people` added to it, byte for byte.
    ///
    /// # Panics
    /// Where `git` fails.
    #[must_use]
    pub fn difference(&self, expected: &Layout, people: &[PersonsLine]) -> Difference {
        let mut difference = Difference::default();
        for index in 0..self.spec.git_repositories {
            let folder = self.git_repository(index);
            let count = stores::git(&folder, &["rev-list", "--count", "main"]);
            let count = String::from_utf8_lossy(&count);
            difference.commits += count.trim().parse::<usize>().expect("a number") - 1;
            let mut files: BTreeMap<String, String> = expected
                .applications
                .iter()
                .filter(|application| application.git_repository == index)
                .map(|a| (texts::slot_path(a), texts::slot_text(expected, a)))
                .collect();
            for person in people
                .iter()
                .filter(|person| person.git_repository == index)
            {
                let text = files.entry(person.path.clone()).or_default();
                text.push_str(&person.line);
                text.push('\n');
            }
            let paths: Vec<String> = files.keys().cloned().collect();
            for ((path, wanted), found) in files.iter().zip(stores::read_files(&folder, &paths)) {
                if found != wanted.as_bytes() {
                    difference.wrong.push(format!("{index}:{path}"));
                }
            }
        }
        difference
    }
}

/// The URL that all repositories are below.
fn root_url(server: &GitHttp) -> String {
    server.url("x").trim_end_matches("/x.git").to_owned()
}

fn git_name(index: usize) -> String {
    format!("deploy-{index}.git")
}

fn git_folder(folder: &Path, index: usize) -> PathBuf {
    folder.join("git").join(git_name(index))
}

#[cfg(test)]
mod tests {
    use super::*;
    use layout::Strategy;

    #[tokio::test(flavor = "multi_thread")]
    async fn a_world_serves_what_it_says_and_sees_what_changes() {
        let folder = tempfile::tempdir().unwrap();
        let spec = Spec {
            applications: 4,
            images_per_application: 1,
            repositories: 2,
            tags_per_repository: 20,
            git_repositories: 2,
            outdated_percent: 50.0,
            strategy: Strategy::Semver,
            latency_ms: 2,
            seed: 1,
        };
        let world = World::start(spec, folder.path()).await;
        let objects = fs::read_to_string(world.objects()).unwrap();
        let url = format!("{}/{}", world.git.url(), git_name(1));
        assert!(objects.contains(&format!("repoURL: {url}\n")));
        let clone = folder.path().join("clone");
        let arguments = ["clone", "--quiet", "--bare", &url, clone.to_str().unwrap()];
        stores::git(folder.path(), &arguments);
        assert_eq!(person::head(&clone), person::head(&world.git_repository(1)));
        assert!(world.take_git_requests()["fetch"] > 0);

        assert_eq!(world.difference(&world.layout, &[]), Difference::default());
        assert_eq!(
            world.difference(&world.layout.updated(), &[]).wrong.len(),
            2
        );
        let line = PersonsLine {
            git_repository: 1,
            path: "NOTES".into(),
            line: "hello".into(),
        };
        world.add(&line);
        let seen = world.difference(&world.layout, std::slice::from_ref(&line));
        assert_eq!(
            seen,
            Difference {
                commits: 1,
                wrong: Vec::new()
            }
        );
    }
}
