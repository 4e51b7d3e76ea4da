//! One installation: a namespace with the roles that ship, Applications of both write-back methods,
//! a registry, Git over HTTP, and replicas without disks.

use std::fs::{self, File};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;
use sealift_testkit::git::http::{GitHttp, GitHttpOptions};
use sealift_testkit::git::{BareRepository, Change, GitRoot};
use sealift_testkit::kube::KubeServer;
use sealift_testkit::registry::docker::DockerRegistry;
use sealift_testkit::registry::image::{ImageSpec, image};
use serde_json::{Value, json};

use super::shipped;

/// The lease of Argo CD Image Updater.
const LEASE: &str = "c21b75f2.argoproj.io";
/// The annotation with open intents.
const INTENTS: &str = "sealift.dev/open-intents";
const ACCOUNT: &str = "argocd-image-updater-controller";
const PREFIX: &str = "argocd-image-updater.argoproj.io/";
/// Git repositories, each with [`APPLICATIONS`].
const REPOSITORIES: u32 = 2;
/// Applications of one Git repository, each with a file of its own.
const APPLICATIONS: u32 = 2;
/// How long Git waits before each answer, so that a push can be hit.
const GIT_DELAY: Duration = Duration::from_millis(4);
/// Applications that are written themselves.
const LIVE: u32 = 3;

/// Defines our kinds.
pub(super) fn define(kube: &KubeServer) -> Result<()> {
    for name in [
        "imageupdaters",
        "clusterpromotionpolicies",
        "policyexceptions",
        "promotionpolicies",
    ] {
        kube.apply_yaml(&shipped(&format!("deploy/crds/{name}.yaml"))?);
    }
    Ok(())
}

pub(super) struct Installation<'a> {
    kube: &'a KubeServer,
    binary: &'a Path,
    folder: PathBuf,
    namespace: String,
    registry: DockerRegistry,
    _root: GitRoot,
    git: GitHttp,
    repositories: Vec<BareRepository>,
}

impl<'a> Installation<'a> {
    pub(super) fn new(
        kube: &'a KubeServer,
        binary: &'a Path,
        folder: &Path,
        lane: u32,
    ) -> Result<Self> {
        fs::create_dir_all(folder)?;
        let root = GitRoot::new();
        let installation = Self {
            kube,
            binary,
            folder: folder.to_owned(),
            namespace: format!("argocd-{lane}"),
            registry: DockerRegistry::start(),
            git: GitHttp::start(
                root.path(),
                GitHttpOptions {
                    delay: GIT_DELAY,
                    ..GitHttpOptions::basic("u", "p")
                },
            ),
            repositories: (0..REPOSITORIES)
                .map(|number| root.repository(&format!("repository-{number}")))
                .collect(),
            _root: root,
        };
        installation.publish(0);
        installation.install()?;
        Ok(installation)
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    fn install(&self) -> Result<()> {
        self.kube.namespace(&self.namespace);
        let here = format!("namespace: {}\n", self.namespace);
        let roles = shipped("deploy/rbac/namespace.yaml")?
            .replace("namespace: argocd\n", &here)
            .replace(
                "sealift-cluster-policies",
                &format!("sealift-cluster-policies-{}", self.namespace),
            );
        self.kube.apply_yaml(&roles);
        self.apply(
            json!({ "apiVersion": "v1", "kind": "Secret", "metadata": { "name": "git-login" },
                           "stringData": { "username": "u", "password": "p" } }),
        );
        for (number, repository) in (0..).zip(&self.repositories) {
            let paths: Vec<String> = (0..APPLICATIONS).map(path).collect();
            let text = values(0);
            let files: Vec<_> = paths
                .iter()
                .map(|path| (path.as_str(), Change::File(text.as_bytes())))
                .collect();
            repository.commit("main", "Start", &files);
            for application in 0..APPLICATIONS {
                self.apply(self.in_git(number, application));
            }
        }
        for number in 0..LIVE {
            self.apply(live(number));
        }
        let registries = format!(
            "registries:\n- name: test\n  prefix: registry.test\n  api_url: {}\n",
            self.registry.url()
        );
        fs::write(self.folder.join("registries.conf"), registries)?;
        Ok(())
    }

    fn apply(&self, mut object: Value) {
        object["metadata"]["namespace"] = json!(self.namespace);
        self.kube.apply(&object);
    }

    fn in_git(&self, repository: u32, application: u32) -> Value {
        let url = self.git.url(&format!("repository-{repository}"));
        let annotations = json!({
            format!("{PREFIX}image-list"): format!("web={}:1.x", IMAGE),
            format!("{PREFIX}write-back-method"): "git:secret:git-login",
            format!("{PREFIX}write-back-target"): "helmvalues:values.yaml",
        });
        let name = format!("git-{repository}-{application}");
        let source = json!({ "repoURL": url, "path": format!("app-{application}"),
                             "targetRevision": "main" });
        manifest(&name, &annotations, &source)
    }

    /// New images are there.
    pub(super) fn publish(&self, round: u32) {
        let spec = ImageSpec::created("2026-01-01T00:00:00Z".to_owned());
        let tag = tag(round);
        let artifact = image(&spec.annotated("tag", &tag));
        let storage = self.registry.storage();
        storage.write_tagged("acme/shop", &tag, &artifact);
    }

    /// Starts a replica.
    pub(super) fn replica(&self, number: u32) -> Result<Replica> {
        let token = self.kube.token(&self.namespace, ACCOUNT);
        let kubeconfig = self.folder.join(format!("kubeconfig-{number}"));
        fs::write(&kubeconfig, self.kube.kubeconfig(&token, &self.namespace))?;
        let name = format!("replica-{number}");
        let home = self.folder.join(&name);
        let child = Command::new(self.binary)
            .arg("run")
            .args(["--annotations=auto", "--interval=500ms"])
            .args(["--health-probe-bind-address=0", "--kubeconfig"])
            .arg(kubeconfig)
            .arg("--registries-conf-path")
            .arg(self.folder.join("registries.conf"))
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", home)
            .env("HOSTNAME", &name)
            .stdin(Stdio::null())
            .stdout(File::create(journal(&self.folder, number))?)
            .stderr(File::create(self.folder.join(format!("{name}.log")))?)
            .process_group(0)
            .spawn()
            .context("cannot start Sealift")?;
        Ok(Replica {
            number,
            name,
            child,
        })
    }

    fn lease(&self) -> Value {
        let identity = json!({ "apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
            "metadata": { "name": LEASE, "namespace": self.namespace } });
        self.kube.get(&identity).unwrap_or_default()
    }

    pub(super) fn is_held_by(&self, replica: &Replica) -> bool {
        let lease = self.lease();
        let holder = lease["spec"]["holderIdentity"].as_str().unwrap_or_default();
        holder.starts_with(&format!("{}_", replica.name))
    }

    pub(super) fn has_open_intents(&self) -> bool {
        self.lease()["metadata"]["annotations"][INTENTS].is_string()
    }

    pub(super) fn forget_pushes(&self) {
        let _of_the_round_before = self.git.take_requests();
    }

    pub(super) fn push_began(&self) -> bool {
        let mut requests = self.git.take_requests().into_iter();
        requests.any(|request| request.starts_with("POST") && request.contains("git-receive-pack"))
    }

    fn live_application(&self, number: u32) -> Value {
        let identity = json!({ "apiVersion": "argoproj.io/v1alpha1", "kind": "Application",
            "metadata": { "name": format!("live-{number}"), "namespace": self.namespace } });
        self.kube.get(&identity).unwrap_or_default()
    }

    /// Applications that were written themselves in this round.
    pub(super) fn patches(&self, round: u32) -> usize {
        let wanted = json!([format!("{IMAGE}:{}", tag(round))]);
        let images =
            |number| self.live_application(number)["spec"]["source"]["kustomize"]["images"].clone();
        (0..LIVE).filter(|number| images(*number) == wanted).count()
    }

    /// Whether every update of the round is there.
    pub(super) fn is_updated(&self, round: u32) -> bool {
        let wanted = values(round);
        let in_git = self.repositories.iter().all(|repository| {
            (0..APPLICATIONS).all(|number| repository.show("main", &path(number)) == wanted)
        });
        in_git && self.patches(round) == LIVE as usize
    }

    /// Whether everything was written exactly once a round.
    pub(super) fn check(&self, rounds: u32) -> Result<()> {
        for repository in &self.repositories {
            for number in 0..APPLICATIONS {
                let path = path(number);
                let log = repository.git(&["log", "--format=%H", "main", "--", &path]);
                let commits = log.lines().count();
                ensure!(
                    commits == 1 + rounds as usize,
                    "{commits} commits of `{path}` after {rounds} updates"
                );
            }
            let count = repository.git(&["rev-list", "--count", "main"]);
            let wanted = 1 + APPLICATIONS * rounds;
            ensure!(
                count == wanted.to_string(),
                "{count} commits, not {wanted}, after {rounds} updates"
            );
        }
        for number in 0..LIVE {
            // It counts the changes of an object's `spec`, from 1.
            let application = self.live_application(number);
            let generation = application["metadata"]["generation"].as_u64();
            ensure!(
                generation == Some(u64::from(1 + rounds)),
                "`live-{number}` is at generation {generation:?} after {rounds} updates"
            );
        }
        Ok(())
    }

    /// The Applications, as records name them.
    pub(super) fn applications(&self) -> Vec<String> {
        let in_git = (0..REPOSITORIES)
            .flat_map(|one| (0..APPLICATIONS).map(move |two| format!("git-{one}-{two}")));
        let live = (0..LIVE).map(|number| format!("live-{number}"));
        in_git
            .chain(live)
            .map(|name| format!("{}/{name}", self.namespace))
            .collect()
    }

    /// `sealift events verify` over what each replica wrote to standard output, against the commits.
    pub(super) fn verify(&self, replicas: u32) -> Result<()> {
        for number in 1..=replicas {
            let state = self.folder.join(format!("collected-{number}"));
            fs::create_dir_all(state.join("journal"))?;
            fs::copy(
                journal(&self.folder, number),
                state.join("journal/00000001.jsonl"),
            )?;
            let mut command = Command::new(self.binary);
            command
                .args(["events", "verify", "--state-dir"])
                .arg(&state);
            for repository in &self.repositories {
                command.arg("--repo").arg(repository.path());
            }
            let output = command.output()?;
            ensure!(
                output.status.success(),
                "`events verify` of replica {number}: {}",
                String::from_utf8_lossy(&output.stdout)
            );
        }
        Ok(())
    }
}

const IMAGE: &str = "registry.test/acme/shop";

/// What round `round` brings.
pub(super) fn tag(round: u32) -> String {
    format!("1.{round}.0")
}

fn path(application: u32) -> String {
    format!("app-{application}/values.yaml")
}

fn values(round: u32) -> String {
    format!("image:\n  name: {IMAGE}\n  tag: {}\n", tag(round))
}

fn live(number: u32) -> Value {
    let annotations = json!({ format!("{PREFIX}image-list"): format!("web={IMAGE}:1.x") });
    let images = json!([format!("{IMAGE}:{}", tag(0))]);
    let source = json!({ "repoURL": "https://git.test/r", "path": "shop",
                         "kustomize": { "images": images } });
    manifest(&format!("live-{number}"), &annotations, &source)
}

fn manifest(name: &str, annotations: &Value, source: &Value) -> Value {
    let kind = match source["kustomize"].is_null() {
        true => "Helm",
        false => "Kustomize",
    };
    json!({
        "apiVersion": "argoproj.io/v1alpha1", "kind": "Application",
        "metadata": { "name": name, "annotations": annotations },
        "spec": { "project": "default", "source": source },
        "status": { "sourceType": kind,
                    "summary": { "images": [format!("{IMAGE}:{}", tag(0))] } },
    })
}

/// Where the journal of a replica goes.
pub(super) fn journal(folder: &Path, number: u32) -> PathBuf {
    folder.join(format!("replica-{number}.jsonl"))
}

/// A running replica; killed when dropped.
pub(super) struct Replica {
    pub(super) number: u32,
    name: String,
    child: Child,
}

impl Replica {
    pub(super) fn has_ended(&mut self) -> Result<bool> {
        Ok(self.child.try_wait()?.is_some())
    }

    /// As a node that loses power: nothing is said, and nothing is finished.
    pub(super) fn kill(&mut self, children_too: bool) -> Result<()> {
        let id = Pid::from_raw(self.child.id().try_into()?);
        match children_too {
            true => killpg(id, Signal::SIGKILL)?,
            false => kill(id, Signal::SIGKILL)?,
        }
        self.child.wait()?;
        Ok(())
    }

    /// Asks it to end, and waits until it has.
    pub(super) fn terminate(&mut self) -> Result<()> {
        let id = Pid::from_raw(self.child.id().try_into()?);
        kill(id, Signal::SIGTERM)?;
        let status = self.child.wait()?;
        ensure!(status.success(), "{} ended with {status}", self.name);
        Ok(())
    }
}

impl Drop for Replica {
    fn drop(&mut self) {
        let _gone_already = self.child.kill();
        let _reaped = self.child.wait();
    }
}
