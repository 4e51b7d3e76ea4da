//! One Application whose image is signed by real tools in a real registry.

use std::fs;

use sealift_testkit::git::BareRepository;
use sealift_testkit::registry::image::{Artifact, ImageSpec, image};
use sealift_testkit::sigstore::{Said, Services, Sigstore, Workflow};
use serde_json::Value;

use crate::demand::Demand;
use crate::world::{App, Ran, World, sealift, values};

/// The image as policies and Git name it; `registries.conf` says where it lies.
pub(crate) const IMAGE: &str = "registry.test/acme/shop";
const REPOSITORY: &str = "acme/shop";

pub(crate) struct Shop<'a> {
    pub(crate) sigstore: &'a Sigstore,
    world: World,
    repository: BareRepository,
    runtime: tokio::runtime::Runtime,
}

impl<'a> Shop<'a> {
    /// Git wants `1.0.0`, which nobody signed.
    pub(crate) fn new(sigstore: &'a Sigstore) -> Self {
        let world = World::new();
        let repository =
            world.repository("gitops", &[("shop/values.yaml", &values(IMAGE, "1.0.0"))]);
        let running = format!("{IMAGE}:1.0.0");
        let image = format!("{IMAGE}:1.x");
        world.app(&App::helm("shop", &image, &[&running], &repository));
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let shop = Self {
            sigstore,
            world,
            repository,
            runtime,
        };
        shop.push("1.0.0");
        shop
    }

    /// Pushes a new image under `tag`, as clients do; its digest.
    pub(crate) fn push(&self, tag: &str) -> String {
        self.push_another(tag, tag)
    }

    /// Pushes an image that differs from others by `text`.
    pub(crate) fn push_another(&self, tag: &str, text: &str) -> String {
        let artifact = image(&ImageSpec::default().annotated("text", text));
        self.push_artifact(tag, &artifact);
        artifact.manifest.digest
    }

    pub(crate) fn push_artifact(&self, tag: &str, artifact: &Artifact) {
        let registry = &self.world.registry;
        self.runtime
            .block_on(registry.push(REPOSITORY, tag, artifact));
    }

    /// Lets `tag` name the image that `text` made.
    pub(crate) fn retag(&self, tag: &str, text: &str) {
        self.push_another(tag, text);
    }

    /// The image as real tools name it.
    pub(crate) fn place(&self, digest: &str) -> String {
        format!("{}/{REPOSITORY}@{digest}", self.world.registry.address())
    }

    /// Pushes and signs with cosign 3 and the key `NAME.key`.
    pub(crate) fn keyed(&self, tag: &str, key: &str, services: Services) -> String {
        let digest = self.push(tag);
        self.cosign3("sign", services, &["--key", &format!("{key}.key")], &digest);
        digest
    }

    /// Pushes and signs with cosign 3 as a workflow.
    pub(crate) fn keyless(&self, tag: &str, workflow: &Workflow, services: Services) -> String {
        let digest = self.push(tag);
        let token = self.sigstore.workflow_token(workflow).display().to_string();
        self.cosign3("sign", services, &["--identity-token", &token], &digest);
        digest
    }

    /// Pushes and signs with cosign 2 into the `.sig` tag, without a log.
    pub(crate) fn legacy(&self, tag: &str, who: &[&str]) -> String {
        let digest = self.push(tag);
        self.cosign2("sign", who, &digest);
        digest
    }

    pub(crate) fn cosign3(&self, command: &str, services: Services, more: &[&str], digest: &str) {
        let config = format!(
            "--signing-config={}",
            self.sigstore.signing_config(services).display()
        );
        let root = format!("--trusted-root={}", self.sigstore.trusted_root().display());
        let place = self.place(digest);
        let arguments = [&[command, &config, &root], more, &[&place]].concat();
        self.sigstore.cosign().run(&arguments).expect_success();
    }

    pub(crate) fn cosign2(&self, command: &str, more: &[&str], digest: &str) {
        let place = self.place(digest);
        let arguments = [&[command, "--tlog-upload=false"], more, &[&place]].concat();
        self.sigstore.cosign2().run(&arguments).expect_success();
    }

    /// Lets cosign 3 write the `.sig` tag, which it calls deprecated.
    pub(crate) fn older_form_by_cosign3(&self, key: &str, digest: &str) {
        let (key, place) = (format!("--key={key}.key"), self.place(digest));
        let older = ["--new-bundle-format=false", "--use-signing-config=false"];
        let arguments = [
            &["sign", "--tlog-upload=false", &key][..],
            &older,
            &[&place],
        ]
        .concat();
        self.sigstore.cosign().run(&arguments).expect_success();
    }

    /// What makes cosign 2 sign as a workflow, with a timestamp.
    pub(crate) fn legacy_workflow(&self, workflow: &Workflow) -> Vec<String> {
        vec![
            format!("--fulcio-url={}", self.sigstore.fulcio_url()),
            format!("--timestamp-server-url={}", self.sigstore.timestamp_url()),
            format!(
                "--identity-token={}",
                self.sigstore.workflow_token(workflow).display()
            ),
            "--insecure-skip-verify".to_owned(),
        ]
    }

    /// `sealift run --once` under a policy.
    pub(crate) fn run(&self, demand: &Demand) -> Ran {
        let policy = self.policy(demand);
        self.world.run(&["--policy", &policy])
    }

    /// `sealift verify` under the same policy: exit code and document.
    pub(crate) fn verify(&self, demand: &Demand, reference: &str) -> (i32, Value) {
        let output = sealift()
            .args([
                "verify",
                &format!("{IMAGE}{reference}"),
                "--output",
                "json",
                "--policy",
            ])
            .arg(self.policy(demand))
            .arg("--registries-conf-path")
            .arg(self.world.path("registries.conf"))
            .output()
            .unwrap();
        let document = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| {
            panic!("no verdict: {}", String::from_utf8_lossy(&output.stderr));
        });
        (output.status.code().unwrap(), document)
    }

    /// `cosign verify` (3) with the same demand.
    pub(crate) fn cosign_verify(&self, demand: &Demand, digest: &str) -> Said {
        let place = self.place(digest);
        let mut arguments = demand.cosign();
        arguments.push(place);
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        self.sigstore.cosign().run(&arguments)
    }

    fn policy(&self, demand: &Demand) -> String {
        let path = self.world.path("policy.yaml");
        fs::write(&path, demand.policy(IMAGE).to_string()).unwrap();
        path.display().to_string()
    }

    pub(crate) fn written(&self) -> String {
        self.repository.show("main", "shop/values.yaml")
    }

    /// The files as they are when `tag` is written with its digest.
    pub(crate) fn pinned(tag: &str, digest: &str) -> String {
        values(IMAGE, &format!("{tag}@{digest}"))
    }

    pub(crate) fn head(&self) -> String {
        self.repository.head("main").unwrap()
    }

    /// Asserts that a run writes exactly `tag` with `digest`, in one commit.
    pub(crate) fn lifts(&self, demand: &Demand, tag: &str, digest: &str) {
        let before = self.repository.subjects("main").len();
        let ran = self.run(demand);
        let decision = ran.decision("shop");
        assert_eq!(
            (ran.code, decision.0),
            (0, "updated"),
            "{decision:?} {}",
            ran.stderr
        );
        assert_eq!(self.written(), Self::pinned(tag, digest));
        assert_eq!(self.repository.subjects("main").len(), before + 1);
        assert_eq!(ran.entry("shop")["trust"]["verdict"], "trusted");
    }

    /// Asserts that a run refuses for `reason` and pushes nothing.
    pub(crate) fn refuses(&self, demand: &Demand, reason: &str) {
        let before = self.head();
        let ran = self.run(demand);
        assert_eq!(ran.decision("shop"), ("refused", reason), "{}", ran.stderr);
        assert_eq!(self.head(), before);
    }
}
