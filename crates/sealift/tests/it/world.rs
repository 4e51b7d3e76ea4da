//! A small installation: images in a registry, files in Git, Applications in a folder, and the
//! program to run on them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use sealift_testkit::git::{BareRepository, Change, GitRoot};
use sealift_testkit::registry::docker::DockerRegistry;
use sealift_testkit::registry::image::{ImageSpec, image};
use serde_json::Value;

/// Everything a test needs; gone when it ends.
pub(crate) struct World {
    pub(crate) registry: DockerRegistry,
    pub(crate) git: GitRoot,
    folder: tempfile::TempDir,
}

/// One Application to be written down.
pub(crate) struct App<'a> {
    pub(crate) name: &'a str,
    pub(crate) image: &'a str,
    pub(crate) annotations: &'a [(&'a str, &'a str)],
    pub(crate) running: &'a [&'a str],
    pub(crate) path: &'a str,
    pub(crate) repository: String,
}

/// What a run of the program left.
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) report: Value,
    pub(crate) stderr: String,
}

impl World {
    pub(crate) fn new() -> Self {
        let world = Self {
            registry: DockerRegistry::start(),
            git: GitRoot::new(),
            folder: tempfile::tempdir().unwrap(),
        };
        fs::create_dir(world.apps()).unwrap();
        let conf = format!(
            "registries:\n- name: test\n  prefix: registry.test\n  api_url: {}\n",
            world.registry.url()
        );
        fs::write(world.path("registries.conf"), conf).unwrap();
        world
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn apps(&self) -> PathBuf {
        self.path("apps")
    }

    /// Images under `registry.test/<repository>`, one a tag, each built a day after the one before.
    pub(crate) fn images(&self, repository: &str, tags: &[&str]) {
        for (day, tag) in (1..).zip(tags) {
            let spec = ImageSpec::created(format!("2026-01-{day:02}T00:00:00Z"));
            let artifact = image(&spec.annotated("tag", tag));
            self.registry
                .storage()
                .write_tagged(repository, tag, &artifact);
        }
    }

    pub(crate) fn repository(&self, name: &str, files: &[(&str, &str)]) -> BareRepository {
        let repository = self.git.repository(name);
        let files: Vec<_> = files
            .iter()
            .map(|(path, text)| (*path, Change::File(text.as_bytes())))
            .collect();
        repository.commit("main", "Start", &files);
        repository
    }

    /// Writes an Application's manifest. Keys without `/` get the prefix of Argo CD Image Updater.
    pub(crate) fn app(&self, app: &App<'_>) {
        let text = self.manifest(app);
        fs::write(self.apps().join(format!("{}.yaml", app.name)), text).unwrap();
    }

    /// An Application's manifest.
    pub(crate) fn manifest(&self, app: &App<'_>) -> String {
        let mut annotations = format!("    {PEER}image-list: web={}\n", app.image);
        let method = ("write-back-method", "git");
        let given = app.annotations.iter().any(|(key, _)| *key == method.0);
        for (key, value) in app.annotations.iter().chain((!given).then_some(&method)) {
            let prefix = if key.contains('/') { "" } else { PEER };
            annotations.push_str(&format!(
                "    {prefix}{key}: '{}'\n",
                value.replace('\'', "''")
            ));
        }
        let images: String = app
            .running
            .iter()
            .map(|image| format!("    - {image}\n"))
            .collect();
        format!(
            "apiVersion: argoproj.io/v1alpha1\nkind: Application\nmetadata:\n  name: {}\n  \
             namespace: argocd\n  annotations:\n{annotations}spec:\n  project: default\n  source:\n    \
             repoURL: {}\n    path: {}\n    targetRevision: main\nstatus:\n  sourceType: Helm\n  \
             summary:\n    images:\n{images}",
            app.name, app.repository, app.path
        )
    }

    /// `run --once` on everything, with `more` arguments.
    pub(crate) fn run(&self, more: &[&str]) -> Ran {
        self.command("run", &[&["--once"], more].concat())
    }

    pub(crate) fn command(&self, command: &str, more: &[&str]) -> Ran {
        let apps = self.apps();
        let conf = self.path("registries.conf");
        let state = self.path("state");
        let output = sealift()
            .args([command, "--output", "json", "--allow-local-git", "-f"])
            .arg(&apps)
            .arg("--registries-conf-path")
            .arg(&conf)
            .arg("--state-dir")
            .arg(&state)
            .args(more)
            .output()
            .unwrap();
        Ran::new(&output)
    }
}

const PEER: &str = "argocd-image-updater.argoproj.io/";

impl App<'_> {
    /// An Application of Helm values in `<name>/values.yaml`, running `running`.
    pub(crate) fn helm<'a>(
        name: &'a str,
        image: &'a str,
        running: &'a [&'a str],
        repository: &BareRepository,
    ) -> App<'a> {
        App {
            name,
            image,
            annotations: &[("write-back-target", "helmvalues:values.yaml")],
            running,
            path: name,
            repository: repository.path().display().to_string(),
        }
    }
}

impl Ran {
    pub(crate) fn new(output: &Output) -> Self {
        Self {
            code: output.status.code().unwrap(),
            report: serde_json::from_slice(&output.stdout).unwrap_or_default(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// The entry of an Application.
    pub(crate) fn entry(&self, application: &str) -> &Value {
        let id = match application.contains('/') {
            true => application.to_owned(),
            false => format!("argocd/{application}"),
        };
        let entries = self.report["considered"].as_array();
        entries
            .and_then(|entries| entries.iter().find(|entry| entry["application"] == *id))
            .unwrap_or_else(|| panic!("no `{id}` in {:#}\n{}", self.report, self.stderr))
    }

    /// Decision and first reason of an Application's image.
    pub(crate) fn decision(&self, application: &str) -> (&str, &str) {
        let entry = self.entry(application);
        let reason = entry["reasons"][0]["reason"].as_str().unwrap_or_default();
        (entry["decision"].as_str().unwrap(), reason)
    }

    /// Reasons of the problems.
    pub(crate) fn problems(&self) -> Vec<&str> {
        let problems = self.report["problems"].as_array();
        problems
            .into_iter()
            .flatten()
            .filter_map(|p| p["reason"].as_str())
            .collect()
    }
}

/// The program in an environment without anything that could lead it.
pub(crate) fn sealift() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sealift"));
    command.env_clear();
    command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
    command.env("HOME", "/nonexistent");
    command
}

/// Values of a chart with this tag.
pub(crate) fn values(image: &str, tag: &str) -> String {
    format!("# head\nimage:\n  name: {image}   # where\n  tag: {tag}\nreplicas: 2\n")
}

/// Lines of `sealift events list`.
pub(crate) fn events(state: &Path, more: &[&str]) -> Vec<Value> {
    let output = sealift()
        .args(["events", "list", "--output", "json", "--state-dir"])
        .arg(state)
        .args(more)
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}
