//! The demo's world in a folder: images, a bare Git repository, five Applications and a policy. No
//! network, no credentials.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, bail, ensure};

use super::images::write_layout;
use super::signed::{self, BY_STRANGER, BY_WORKFLOW};

/// The name under which the Applications know the demo's registry.
pub(crate) const REGISTRY: &str = "registry.demo";

/// Tags of each repository. `acme/search` is listed in two pages, and the second is never served.
const REPOSITORIES: &[(&str, &[&str])] = &[
    (
        "acme/shop",
        &["1.8.0", "1.8.2", "1.9.0", "1.10.0-rc1", "latest"],
    ),
    ("acme/blog", &["2.0.0", "2.1.0", "nightly"]),
    ("acme/billing", &["2.3.4", "2.3.5", "3.0.0"]),
    ("acme/search", &["5.0.0", "5.0.1", "5.1.0", "5.2.0"]),
    // Those that nobody signed. The others are added below.
    (CHECKOUT, &["v1.2.2", "v1.2.4"]),
];

/// The repository that a policy governs.
pub(crate) const CHECKOUT: &str = "acme/checkout";

/// The image that the workflow signed at its own tag, and again under a tag that it was not signed
/// for.
const SIGNED_AND_RETAGGED: &[&str] = &["v1.2.3", "v1.3.0"];

/// The image that somebody else signed.
const SIGNED_BY_STRANGER: &[&str] = &["v1.2.5"];

const POLICY: &str = "\
# What must hold before an image of acme/checkout is written to Git.
apiVersion: sealift.dev/v1alpha1
kind: PromotionPolicy
metadata: { name: checkout, namespace: argocd }
spec:
  images: [{ pattern: registry.demo/acme/checkout }]
  authorities:
    - name: release
      # The workflow release.yml of acme/shop, run for the tag that the image has.
      github: { repository: acme/shop, workflow: release.yml, ref: { tag: sameAsImage } }
      # A private Sigstore signed the demo's images; without this line the public one is asked.
      trustRoot: { file: { path: trusted_root.json } }
  signatures: { require: { atLeast: 1, of: [release] } }
";

/// The repository whose listing is cut short.
pub(crate) const CUT_SHORT: &str = "acme/search";

const FILES: &[(&str, &str)] = &[
    (
        "shop/Chart.yaml",
        "apiVersion: v2\nname: shop\nversion: 0.1.0\n",
    ),
    (
        "shop/values.yaml",
        "# The shop front.\nreplicas: 3\n\nimage:\n  name: registry.demo/acme/shop  # where it lives\n  \
         tag: \"1.8.2\"               # written by Sealift\n\nresources: {limits: {memory: 64Mi}}\n",
    ),
    (
        "blog/kustomization.yaml",
        "resources:\n- deployment.yaml\n\nimages:\n- name: registry.demo/acme/blog\n  newTag: 2.1.0\n",
    ),
    (
        "billing/values.yaml",
        "image:\n  name: registry.demo/acme/billing\n  tag: 2.3.5\n",
    ),
    (
        "search/values.yaml",
        "image:\n  name: registry.demo/acme/search\n  tag: 5.0.0\n",
    ),
    (
        "checkout/values.yaml",
        "image:\n  name: registry.demo/acme/checkout\n  tag: v1.2.2\n",
    ),
];

/// Where things are.
pub(crate) struct World {
    pub(crate) folder: PathBuf,
}

impl World {
    /// The folder of image layouts that the registry serves.
    pub(crate) fn registry(&self) -> PathBuf {
        self.folder.join("registry")
    }

    /// The bare repository.
    pub(crate) fn repository(&self) -> PathBuf {
        self.folder.join("gitops.git")
    }

    /// The folder that `-f` reads.
    pub(crate) fn applications(&self) -> PathBuf {
        self.folder.join("applications")
    }

    /// The file for `--policy`.
    pub(crate) fn policy(&self) -> PathBuf {
        self.folder.join("policies/checkout.yaml")
    }

    /// The file for `--registries-conf-path`.
    pub(crate) fn registries_conf(&self) -> PathBuf {
        self.folder.join("registries.conf")
    }

    /// The folder for `--state-dir`.
    pub(crate) fn state(&self) -> PathBuf {
        self.folder.join("state")
    }

    /// Lays the world out in `folder`, which must be missing or empty; or opens the one that is
    /// there.
    pub(crate) fn open_or_make(folder: &Path) -> anyhow::Result<Self> {
        fs::create_dir_all(folder).with_context(|| format!("`{}`", folder.display()))?;
        let folder = folder.canonicalize()?;
        let world = Self { folder };
        if world.repository().join("HEAD").exists() && world.registry().exists() {
            return Ok(world);
        }
        let occupied = fs::read_dir(&world.folder)?.next().is_some();
        ensure!(
            !occupied,
            "`{}` is neither empty nor a demo",
            world.folder.display()
        );
        for (repository, tags) in REPOSITORIES {
            write_layout(&world.registry().join(repository), repository, tags)?;
        }
        let checkout = world.registry().join(CHECKOUT);
        signed::add(&checkout, &BY_WORKFLOW, SIGNED_AND_RETAGGED)?;
        signed::add(&checkout, &BY_STRANGER, SIGNED_BY_STRANGER)?;
        world.write_policy()?;
        world.write_applications()?;
        world.make_repository()?;
        Ok(world)
    }

    /// Points registries.conf at the registry's port of this run.
    pub(crate) fn write_registries_conf(&self, port: u16) -> anyhow::Result<()> {
        let text = format!(
            "# The demo's registry listens on loopback, in the clear.\nregistries:\n- name: demo\n  \
             prefix: {REGISTRY}\n  api_url: http://127.0.0.1:{port}\n"
        );
        Ok(fs::write(self.registries_conf(), text)?)
    }

    fn write_policy(&self) -> anyhow::Result<()> {
        let policy = self.policy();
        let folder = policy.parent().context("the policy has no folder")?;
        fs::create_dir_all(folder)?;
        fs::write(folder.join("trusted_root.json"), signed::TRUSTED_ROOT)?;
        Ok(fs::write(policy, POLICY)?)
    }

    fn write_applications(&self) -> anyhow::Result<()> {
        fs::create_dir_all(self.applications())?;
        let helm = "argocd-image-updater.argoproj.io/write-back-target: helmvalues:values.yaml";
        let kustomize = "argocd-image-updater.argoproj.io/write-back-target: kustomization";
        for (name, constraint, running, target, kind) in [
            ("shop", "1.x", "1.8.2", helm, "Helm"),
            ("blog", "2.x", "2.1.0", kustomize, "Kustomize"),
            ("billing", "~2.3", "2.3.5", helm, "Helm"),
            ("search", "5.x", "5.0.0", helm, "Helm"),
            ("checkout", "1.x", "v1.2.2", helm, "Helm"),
        ] {
            let repository = self.repository();
            let text = format!(
                "apiVersion: argoproj.io/v1alpha1\nkind: Application\nmetadata:\n  name: {name}\n  \
                 namespace: argocd\n  annotations:\n    \
                 argocd-image-updater.argoproj.io/image-list: web={REGISTRY}/acme/{name}:{constraint}\n    \
                 argocd-image-updater.argoproj.io/write-back-method: git\n    {target}\n\
                 spec:\n  project: default\n  source:\n    repoURL: {}\n    path: {name}\n    \
                 targetRevision: main\n\
                 status:\n  sourceType: {kind}\n  summary:\n    images:\n    - {REGISTRY}/acme/{name}:{running}\n",
                repository.display()
            );
            fs::write(self.applications().join(format!("{name}.yaml")), text)?;
        }
        Ok(())
    }

    fn make_repository(&self) -> anyhow::Result<()> {
        let repository = self.repository();
        let repository = repository
            .to_str()
            .context("the folder's name is not UTF-8")?;
        git(
            &[
                "init",
                "--quiet",
                "--bare",
                "--initial-branch=main",
                repository,
            ],
            "",
        )?;
        let mut stream = format!(
            "commit refs/heads/main\ncommitter Demo <demo@example.com> 1767254400 +0000\n{}",
            data("gitops: Start with five Applications\n")
        );
        for (path, content) in FILES {
            stream.push_str(&format!("M 100644 inline {path}\n{}", data(content)));
        }
        git(&["-C", repository, "fast-import", "--quiet"], &stream)
    }
}

/// A `data` block of `git fast-import`.
fn data(content: &str) -> String {
    format!("data {}\n{content}\n", content.len())
}

fn git(arguments: &[&str], input: &str) -> anyhow::Result<()> {
    let mut child = Command::new("git")
        .args(arguments)
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .stdin(Stdio::piped())
        .spawn()
        .context("`git` could not be started; Sealift needs it on PATH")?;
    if let Some(mut pipe) = child.stdin.take() {
        pipe.write_all(input.as_bytes())?;
    }
    let status = child.wait()?;
    if !status.success() {
        bail!("`git {}` ended with {status}", arguments.join(" "));
    }
    Ok(())
}
