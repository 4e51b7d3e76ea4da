//! Policies in force: only what is proven reaches Git. Images signed by real cosign, in a real
//! registry.

use std::fs;

use sealift_testkit::git::{BareRepository, Change};
use sealift_testkit::signed;

use crate::world::{App, Ran, World, values};

pub(crate) const IMAGE: &str = "registry.test/acme/shop";
/// Signed by a GitHub workflow.
pub(crate) const BY_WORKFLOW: &str = "docker-keyless-github";
/// Signed with a key that the workflow's policy does not know.
const BY_KEY: &str = "docker-key-full";

/// Who signed [`BY_WORKFLOW`].
pub(crate) const AUTHORITY: &str = "
    - name: ci
      keyless:
        issuer: http://127.0.0.1:18100/github
        subject: https://github.com/acme/shop/.github/workflows/release.yml@refs/tags/v1.2.3
      trustRoot: { file: { path: trusted_root.json } }
      sct: optional
";

pub(crate) struct Shop {
    pub(crate) world: World,
    repository: BareRepository,
}

impl Shop {
    /// Git wants `1.0.0`, which nobody signed.
    pub(crate) fn new() -> Self {
        let world = World::new();
        world.images("acme/shop", &["1.0.0"]);
        let repository =
            world.repository("gitops", &[("shop/values.yaml", &values(IMAGE, "1.0.0"))]);
        let running = format!("{IMAGE}:1.0.0");
        let image = format!("{IMAGE}:1.x");
        world.app(&App::helm("shop", &image, &[&running], &repository));
        let root = signed::folder().join(BY_WORKFLOW).join("trusted_root.json");
        fs::copy(root, world.path("trusted_root.json")).unwrap();
        Self { world, repository }
    }

    /// Puts the image of a layout under `tag`, with all that hangs on it.
    pub(crate) fn signed(&self, tag: &str, layout: &str) {
        for (name, artifact) in signed::artifacts(layout) {
            let name = match name.as_deref() {
                Some("v1.2.3") => tag.to_owned(),
                Some(name) => name.to_owned(),
                None => continue,
            };
            let storage = self.world.registry.storage();
            storage.write_tagged("acme/shop", &name, &artifact);
        }
    }

    fn unsigned(&self, tag: &str) {
        self.world.images("acme/shop", &[tag]);
    }

    fn run(&self, spec: &str) -> Ran {
        self.run_with(spec, "", &[])
    }

    fn run_with(&self, spec: &str, more: &str, arguments: &[&str]) -> Ran {
        self.run_as(AUTHORITY, spec, more, arguments)
    }

    pub(crate) fn run_as(
        &self,
        authority: &str,
        spec: &str,
        more: &str,
        arguments: &[&str],
    ) -> Ran {
        let policy = format!(
            "apiVersion: sealift.dev/v1alpha1\nkind: PromotionPolicy\nmetadata: {{ name: prod, \
             namespace: argocd }}\nspec:\n  images: [{{ pattern: {IMAGE} }}]\n  \
             authorities:{authority}{spec}\n{more}"
        );
        let path = self.world.path("policy.yaml");
        fs::write(&path, policy).unwrap();
        let path = path.to_str().unwrap();
        self.world.run(&[&["--policy", path], arguments].concat())
    }

    pub(crate) fn written(&self) -> String {
        self.repository.show("main", "shop/values.yaml")
    }
}

pub(crate) const DEMANDED: &str = "  signatures: { require: { atLeast: 1, of: [ci] } }";

fn reasons(ran: &Ran) -> Vec<&str> {
    let reasons = ran.entry("shop")["reasons"].as_array().unwrap();
    reasons
        .iter()
        .map(|one| one["reason"].as_str().unwrap())
        .collect()
}

#[test]
fn the_newest_that_passes_is_written_with_its_digest() {
    let shop = Shop::new();
    shop.signed("1.1.0", BY_WORKFLOW);
    shop.unsigned("1.2.0");
    shop.signed("1.3.0", BY_KEY);
    let ran = shop.run(DEMANDED);
    assert_eq!(
        (ran.code, ran.decision("shop").0),
        (0, "updated"),
        "{}",
        ran.stderr
    );
    let pinned = format!("1.1.0@{}", signed::subject(BY_WORKFLOW));
    assert_eq!(shop.written(), values(IMAGE, &pinned));
    let passed_over = reasons(&ran)
        .into_iter()
        .filter(|one| *one == "passed-over");
    assert_eq!(passed_over.count(), 2, "{:?}", ran.entry("shop")["reasons"]);
    let trust = &ran.entry("shop")["trust"];
    assert_eq!(trust["verdict"], "trusted");
    assert_eq!(trust["clauses"][0]["clause"], "signatures");
    let again = shop.run(DEMANDED);
    assert_eq!(
        shop.repository.subjects("main").len(),
        2,
        "{:?}",
        again.report
    );
}

#[test]
fn explain_warns_of_a_chart_that_makes_a_label_of_the_tag() {
    let shop = Shop::new();
    shop.signed("1.1.0", BY_WORKFLOW);
    let explain = |shop: &Shop| {
        shop.run(DEMANDED); // writes policy.yaml, and the image
        let policy = shop.world.path("policy.yaml");
        let policy = policy.to_str().unwrap();
        shop.repository.commit(
            "main",
            "Start again",
            &[(
                "shop/values.yaml",
                Change::File(values(IMAGE, "1.0.0").as_bytes()),
            )],
        );
        shop.world
            .command("explain", &["argocd/shop", "--policy", policy])
    };
    let without = explain(&shop);
    assert!(
        !reasons(&without).contains(&"pin-in-tag"),
        "{:#}",
        without.report
    );
    let deployment =
        "metadata:\n  labels:\n    app.kubernetes.io/version: {{ .Values.image.tag }}\n";
    let path = "shop/templates/deployment.yaml";
    let template = Change::File(deployment.as_bytes());
    shop.repository.commit("main", "Label", &[(path, template)]);
    let with = explain(&shop);
    assert!(reasons(&with).contains(&"pin-in-tag"), "{:#}", with.report);
    let text = with.report.to_string();
    assert!(text.contains("shop/templates/deployment.yaml:3"), "{text}");
}

#[test]
fn nothing_that_is_not_proven_reaches_git() {
    let shop = Shop::new();
    shop.unsigned("1.2.0");
    let before = shop.repository.head("main");
    let ran = shop.run_with(DEMANDED, "", &["--fail-on", "refused"]);
    assert_eq!(
        ran.decision("shop"),
        ("refused", "signature-missing"),
        "{}",
        ran.stderr
    );
    assert_eq!((ran.code, shop.repository.head("main")), (20, before));
}

#[test]
fn a_signature_of_somebody_else_does_not_count() {
    let shop = Shop::new();
    shop.signed("1.3.0", BY_KEY);
    let ran = shop.run(DEMANDED);
    assert_eq!(
        ran.decision("shop"),
        ("refused", "identity-mismatch"),
        "{}",
        ran.stderr
    );
    assert_eq!(shop.written(), values(IMAGE, "1.0.0"));
}

#[test]
fn on_refused_stop_holds_the_slot_where_it_is() {
    let shop = Shop::new();
    shop.signed("1.1.0", BY_WORKFLOW);
    shop.unsigned("1.2.0");
    let ran = shop.run(&format!("  onRefused: stop\n{DEMANDED}"));
    assert_eq!(
        ran.decision("shop"),
        ("refused", "signature-missing"),
        "{}",
        ran.stderr
    );
    assert_eq!(shop.written(), values(IMAGE, "1.0.0"));
}

#[test]
fn a_policy_that_warns_writes_and_says_what_failed() {
    let shop = Shop::new();
    shop.unsigned("1.2.0");
    let ran = shop.run(&format!("  mode: warn\n{DEMANDED}"));
    assert_eq!(
        (ran.code, ran.decision("shop").0),
        (0, "updated"),
        "{}",
        ran.stderr
    );
    assert!(reasons(&ran).contains(&"waived-warn"));
    assert_eq!(ran.entry("shop")["trust"]["waiver"], "warn");
}

#[test]
fn an_exception_waives_for_its_digest_and_no_other() {
    let shop = Shop::new();
    shop.signed("1.3.0", BY_KEY);
    let exception = |digest: &str| {
        let until = jiff_in_days(3);
        format!(
            "---\napiVersion: sealift.dev/v1alpha1\nkind: PolicyException\nmetadata: {{ name: \
             hotfix, namespace: argocd }}\nspec:\n  policy: prod\n  image: {{ pattern: {IMAGE}, \
             digest: \"{digest}\" }}\n  clauses: [signatures]\n  until: {until}\n  reason: INC-4711\n"
        )
    };
    let other = exception(&signed::subject(BY_WORKFLOW));
    let ran = shop.run_with(DEMANDED, &other, &[]);
    assert_eq!(ran.decision("shop").0, "refused", "{}", ran.stderr);
    let right = exception(&signed::subject(BY_KEY));
    let ran = shop.run_with(DEMANDED, &right, &[]);
    assert_eq!(ran.decision("shop").0, "updated", "{}", ran.stderr);
    assert!(reasons(&ran).contains(&"waived-exception"));
}

fn jiff_in_days(days: i64) -> String {
    let ahead = jiff::SignedDuration::from_hours(24 * days);
    jiff::Timestamp::now()
        .checked_add(ahead)
        .unwrap()
        .to_string()
}

#[test]
fn an_invalid_policy_refuses_its_scope() {
    let shop = Shop::new();
    shop.signed("1.1.0", BY_WORKFLOW);
    let ran = shop.run(&format!("  onRefuse: stop\n{DEMANDED}"));
    assert_eq!(
        ran.decision("shop"),
        ("refused", "policy-invalid"),
        "{}",
        ran.stderr
    );
    assert!(ran.stderr.contains("onRefuse"), "{}", ran.stderr);
    assert_eq!(shop.written(), values(IMAGE, "1.0.0"));
}

#[test]
fn a_missing_trust_root_refuses_and_says_so() {
    let shop = Shop::new();
    shop.signed("1.1.0", BY_WORKFLOW);
    fs::remove_file(shop.world.path("trusted_root.json")).unwrap();
    let ran = shop.run(DEMANDED);
    assert_eq!(
        ran.decision("shop"),
        ("refused", "trust-root-unavailable"),
        "{}",
        ran.stderr
    );
}

#[test]
fn adopt_pins_what_git_wants_already() {
    let shop = Shop::new();
    shop.signed("1.1.0", BY_WORKFLOW);
    shop.run(&format!("  write: {{ pin: tag }}\n{DEMANDED}"));
    assert_eq!(shop.written(), values(IMAGE, "1.1.0"));
    let ran = shop.run(&format!("  write: {{ adopt: true }}\n{DEMANDED}"));
    assert_eq!(ran.decision("shop").0, "updated", "{}", ran.stderr);
    let pinned = format!("1.1.0@{}", signed::subject(BY_WORKFLOW));
    assert_eq!(shop.written(), values(IMAGE, &pinned));
    let ran = shop.run(&format!("  write: {{ adopt: true }}\n{DEMANDED}"));
    assert_eq!(ran.decision("shop").0, "up-to-date", "{}", ran.stderr);
}

#[test]
fn adopt_pins_what_runs_already() {
    let shop = Shop::new();
    shop.signed("1.1.0", BY_WORKFLOW);
    shop.run(&format!("  write: {{ pin: tag }}\n{DEMANDED}"));
    let (image, running) = (format!("{IMAGE}:1.x"), format!("{IMAGE}:1.1.0"));
    shop.world
        .app(&App::helm("shop", &image, &[&running], &shop.repository));
    let ran = shop.run(&format!("  write: {{ adopt: true }}\n{DEMANDED}"));
    assert_eq!(ran.decision("shop").0, "updated", "{}", ran.stderr);
    let pinned = format!("1.1.0@{}", signed::subject(BY_WORKFLOW));
    assert_eq!(shop.written(), values(IMAGE, &pinned));
}

#[test]
fn an_update_larger_than_allowed_is_refused_and_a_smaller_one_written() {
    let shop = Shop::new();
    shop.signed("1.0.1", BY_WORKFLOW);
    shop.signed("1.1.0", BY_WORKFLOW);
    let ran = shop.run(&format!("  update: {{ maxChange: patch }}\n{DEMANDED}"));
    assert_eq!(ran.decision("shop").0, "updated", "{}", ran.stderr);
    let pinned = format!("1.0.1@{}", signed::subject(BY_WORKFLOW));
    assert_eq!(shop.written(), values(IMAGE, &pinned));
}

#[test]
fn a_registry_that_is_not_allowed_is_refused() {
    let shop = Shop::new();
    shop.signed("1.1.0", BY_WORKFLOW);
    let ran = shop.run(&format!(
        "  allowedRegistries: [registry.test/other]\n{DEMANDED}"
    ));
    assert_eq!(
        ran.decision("shop"),
        ("refused", "registry-not-allowed"),
        "{}",
        ran.stderr
    );
}
