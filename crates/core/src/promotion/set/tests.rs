//! Which policies govern, what stays in force, and what is refused.

use serde_json::json;

use super::*;
use crate::reference::Reference;

const NOW: &str = "2026-11-25T12:00:00Z";

fn now() -> Timestamp {
    NOW.parse().unwrap()
}

fn document(kind: &str, namespace: Option<&str>, name: &str, spec: Value) -> PolicyDocument {
    let mut metadata = json!({ "name": name });
    if let Some(namespace) = namespace {
        metadata["namespace"] = namespace.into();
    }
    PolicyDocument {
        origin: format!("{name}.yaml:1"),
        folder: None,
        object: Ok(json!({
            "apiVersion": "sealift.dev/v1alpha1",
            "kind": kind,
            "metadata": metadata,
            "spec": spec
        })),
    }
}

fn unsigned(parts: Value) -> Value {
    let mut spec = json!({ "unsafeNoSignatures": { "reason": "test" } });
    for (name, part) in parts.as_object().unwrap() {
        spec[name] = part.clone();
    }
    spec
}

fn signed() -> Value {
    json!({
        "images": [{ "pattern": "ghcr.io/acme/**" }],
        "authorities": [{ "name": "ci", "github": {
            "repository": "acme/shop", "workflow": "r.yml", "ref": "refs/heads/main"
        } }],
        "signatures": { "require": { "atLeast": 1, "of": ["ci"] } }
    })
}

fn exception(namespace: &str, policy: &str, parts: Value) -> PolicyDocument {
    let mut spec = json!({
        "policy": policy,
        "image": {
            "pattern": "ghcr.io/acme/shop",
            "digest": format!("sha256:{}", "0a".repeat(32))
        },
        "clauses": ["signatures"],
        "until": "2026-12-01T00:00:00Z",
        "reason": "INC-1"
    });
    for (name, part) in parts.as_object().unwrap() {
        spec[name] = part.clone();
    }
    document("PolicyException", Some(namespace), "hotfix", spec)
}

fn governing(set: &PolicySet, namespace: &str, name: &str, image: &str) -> Governance {
    let labels = BTreeMap::from([("env".to_owned(), "prod".to_owned())]);
    let subject = Subject {
        namespace,
        name,
        labels: &labels,
    };
    set.governing(&subject, &Reference::parse(image).canonical(), now())
}

fn names(governance: &Governance) -> Vec<&str> {
    let policies = governance.policies.iter();
    policies.map(|policy| policy.name.as_str()).collect()
}

fn reasons(findings: &[PolicyFinding]) -> Vec<Reason> {
    let errors = findings
        .iter()
        .filter(|one| one.reason != Reason::PolicyUnsafe);
    errors.map(|finding| finding.reason).collect()
}

#[test]
fn policies_add_up_and_a_namespaced_one_stays_in_its_namespace() {
    let mut set = PolicySet::new("argocd");
    let found = set.update(
        &[
            document("PromotionPolicy", Some("team"), "own", signed()),
            document("ClusterPromotionPolicy", None, "all", signed()),
        ],
        now(),
    );
    assert!(found.is_empty(), "{found:?}");
    let team = governing(&set, "team", "web", "ghcr.io/acme/shop");
    assert_eq!(names(&team), ["team/own", "all"]);
    let other = governing(&set, "argocd", "web", "ghcr.io/acme/shop");
    assert_eq!(names(&other), ["all"]);
    assert_ne!(team.hash(), other.hash());
}

#[test]
fn an_image_without_a_policy_meets_the_strictest_cluster_policy() {
    let mut set = PolicySet::new("argocd");
    let cluster = |name, parts| document("ClusterPromotionPolicy", None, name, unsigned(parts));
    let images = json!([{ "pattern": "ghcr.io/acme/**" }]);
    let allow = cluster("a", json!({ "images": images, "unmatched": "allow" }));
    let prod = cluster(
        "b",
        json!({ "images": images, "applications": [{ "namePattern": "prod-*" }] }),
    );
    set.update(&[allow, prod], now());
    let unmatched = |name| {
        let governance = governing(&set, "x", name, "docker.io/library/nginx");
        assert!(governance.policies.is_empty());
        governance
            .unmatched
            .map(|rule| (rule.policy, rule.unmatched))
    };
    assert_eq!(unmatched("dev"), Some(("a".to_owned(), Unmatched::Allow)));
    assert_eq!(
        unmatched("prod-web"),
        Some(("b".to_owned(), Unmatched::Refuse))
    );
    let mut namespaced = PolicySet::new("argocd");
    namespaced.update(&[document("PromotionPolicy", None, "p", signed())], now());
    let governance = governing(&namespaced, "argocd", "web", "nginx");
    assert_eq!(governance.unmatched, None);
}

#[test]
fn allowed_registries_hold_for_every_image_of_the_applications() {
    let mut set = PolicySet::new("argocd");
    let spec = unsigned(json!({
        "images": [{ "pattern": "ghcr.io/acme/**" }],
        "allowedRegistries": ["ghcr.io/acme", "docker.io"]
    }));
    set.update(&[document("PromotionPolicy", None, "p", spec)], now());
    for (image, allowed) in [
        ("ghcr.io/acme/shop", true),
        ("GHCR.io:443/acme/shop", true),
        ("ghcr.io:0443/acme/shop", true),
        ("ghcr.io.:00443/acme/shop", true),
        ("ghcr.io/acme-evil/shop", false),
        ("ghcr.io.evil.org/acme/shop", false),
        ("nginx", true),
        ("registry-1.docker.io/library/nginx", true),
        ("quay.io/x/y", false),
    ] {
        let governance = governing(&set, "argocd", "web", image);
        let verdicts: Vec<bool> = governance.allowed.iter().map(|one| one.allowed).collect();
        assert_eq!(verdicts, [allowed], "{image}");
    }
}

#[test]
fn a_host_written_otherwise_does_not_leave_the_scope() {
    let mut set = PolicySet::new("argocd");
    set.update(&[document("PromotionPolicy", None, "p", signed())], now());
    for (image, governed) in [
        ("ghcr.io/acme/shop", true),
        ("GHCR.IO/acme/a/b", true),
        ("ghcr.io:443/acme/shop", true),
        ("ghcr.io./acme/shop", true),
        ("ghcr.io:0443/acme/shop", true),
        ("ghcr.io:05000/acme/shop", false),
        ("ghcr.io/acmeshop", false),
        ("quay.io/ghcr.io/acme/shop", false),
        ("ghcr.io:5000/acme/shop", false),
    ] {
        let governance = governing(&set, "argocd", "web", image);
        assert_eq!(governance.policies.len(), usize::from(governed), "{image}");
    }
}

#[test]
fn an_invalid_edit_leaves_the_last_good_version_in_force() {
    let mut set = PolicySet::new("argocd");
    set.update(&[document("PromotionPolicy", None, "p", signed())], now());
    let before = governing(&set, "argocd", "web", "ghcr.io/acme/shop");
    let bad = document("PromotionPolicy", None, "p", json!({ "mode": "off" }));
    for _ in 0..2 {
        let found = set.update(std::slice::from_ref(&bad), now());
        assert_eq!(reasons(&found), [Reason::PolicyLastGood]);
        let after = governing(&set, "argocd", "web", "ghcr.io/acme/shop");
        assert_eq!(after.hash(), before.hash());
    }
    set.update(&[], now());
    assert!(set.is_empty());
}

#[test]
fn an_invalid_policy_without_an_earlier_one_refuses_its_scope_as_far_as_it_can_be_read() {
    let mut set = PolicySet::new("argocd");
    let spec = json!({
        "applications": [{ "namePattern": "prod-*" }],
        "images": [{ "pattern": "ghcr.io/acme/**" }]
    });
    let found = set.update(&[document("PromotionPolicy", None, "p", spec)], now());
    assert_eq!(reasons(&found), [Reason::PolicyInvalid]);
    let refused = |set: &PolicySet, namespace, name, image| {
        !governing(set, namespace, name, image).refused.is_empty()
    };
    assert!(refused(&set, "argocd", "prod-a", "ghcr.io/acme/shop"));
    assert!(!refused(&set, "argocd", "dev", "ghcr.io/acme/shop"));
    assert!(!refused(&set, "argocd", "prod-a", "nginx"));
    assert!(!refused(&set, "team", "prod-a", "ghcr.io/acme/shop"));

    let spec = json!({ "applications": [{ "namePatern": "prod-*" }], "images": "all" });
    set.update(&[document("PromotionPolicy", None, "p", spec)], now());
    assert!(refused(&set, "argocd", "dev", "nginx"));
    assert!(!refused(&set, "team", "dev", "nginx"));

    set.update(&[document("PromotonPolicy", None, "p", signed())], now());
    assert!(refused(&set, "team", "dev", "ghcr.io/acme/x"));
    let unreadable = PolicyDocument {
        origin: "x.yaml:3".to_owned(),
        folder: None,
        object: Err("not YAML".to_owned()),
    };
    set.update(&[unreadable], now());
    assert!(refused(&set, "team", "dev", "nginx"));
}

#[test]
fn an_invalid_policy_does_not_let_go_of_registries_and_images_without_a_policy() {
    let mut set = PolicySet::new("argocd");
    for field in ["allowedRegistries", "allowedRegistry"] {
        let mut spec = json!({ "images": [{ "pattern": "ghcr.io/acme/**" }] });
        spec[field] = json!(["ghcr.io/acme"]);
        set.update(&[document("PromotionPolicy", None, "p", spec)], now());
        let governance = governing(&set, "argocd", "web", "quay.io/x/y");
        assert_eq!(governance.refused.len(), 1, "{field}");
    }
    for (unmatched, expected) in [
        (json!("allow"), Unmatched::Allow),
        (json!("alow"), Unmatched::Refuse),
        (Value::Null, Unmatched::Refuse),
    ] {
        let images = json!([{ "pattern": "ghcr.io/acme/**" }]);
        let spec = json!({ "images": images, "unmatched": unmatched });
        set.update(
            &[document("ClusterPromotionPolicy", None, "c", spec)],
            now(),
        );
        let governance = governing(&set, "argocd", "web", "quay.io/x/y");
        assert!(governance.refused.is_empty());
        assert_eq!(
            governance.unmatched.map(|rule| rule.unmatched),
            Some(expected)
        );
    }
}

#[test]
fn the_same_policy_twice_is_neither_of_them() {
    let mut set = PolicySet::new("argocd");
    let one = document("PromotionPolicy", None, "p", signed());
    let found = set.update(&[one.clone(), one], now());
    assert_eq!(reasons(&found), [Reason::PolicyInvalid]);
    let governance = governing(&set, "argocd", "web", "nginx");
    assert_eq!(
        (governance.policies.len(), governance.refused.len()),
        (0, 1)
    );
}

#[test]
fn mirrors_and_signature_repositories_are_further_places() {
    let mut set = PolicySet::new("argocd");
    let spec = unsigned(json!({ "images": [
        {
            "pattern": "registry.acme.internal/prod/**",
            "as": "ghcr.io/acme/**",
            "signatureRepository": "registry.acme.internal/signatures"
        },
        { "pattern": "docker.io/nginx", "as": "quay.io/nginx/nginx" }
    ] }));
    set.update(&[document("PromotionPolicy", None, "p", spec)], now());
    let places = |image| {
        let governance = governing(&set, "argocd", "web", image);
        let places = governance.places.iter();
        places.map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(
        places("registry.acme.internal/prod/a/b"),
        ["ghcr.io/acme/a/b", "registry.acme.internal/signatures"]
    );
    assert_eq!(places("nginx"), ["quay.io/nginx/nginx"]);
    assert!(places("quay.io/x").is_empty());
}

#[test]
fn an_exception_holds_for_its_policy_image_and_time() {
    let mut set = PolicySet::new("argocd");
    let policy = document("PromotionPolicy", None, "p", signed());
    let found = set.update(
        &[policy.clone(), exception("argocd", "p", json!({}))],
        now(),
    );
    assert!(found.is_empty(), "{found:?}");
    let governance = governing(&set, "argocd", "web", "ghcr.io/acme/shop");
    let [one] = governance.exceptions.as_slice() else {
        panic!("{governance:?}")
    };
    assert_eq!(one.policy, "argocd/p");
    assert!(one.exception.waives("signatures"));
    assert!(!one.exception.waives("attestations.sbom"));
    assert!(
        !one.exception
            .waives(super::super::effective::ALLOWED_REGISTRIES)
    );
    let other = governing(&set, "argocd", "web", "ghcr.io/acme/other");
    assert!(other.exceptions.is_empty());
    let labels = BTreeMap::new();
    let subject = Subject {
        namespace: "argocd",
        name: "web",
        labels: &labels,
    };
    let image = Reference::parse("ghcr.io/acme/shop").canonical();
    let later = "2026-12-01T00:00:00Z".parse().unwrap();
    assert!(set.governing(&subject, &image, later).exceptions.is_empty());
}

#[test]
fn an_exception_to_no_policy_no_clause_or_a_policy_above_it_is_refused() {
    let mut set = PolicySet::new("argocd");
    let own = document("PromotionPolicy", None, "p", signed());
    let cluster = document("ClusterPromotionPolicy", None, "c", signed());
    for (one, reason) in [
        (
            exception("argocd", "q", json!({})),
            Some(Reason::ExceptionInvalid),
        ),
        (
            exception("team", "p", json!({})),
            Some(Reason::ExceptionInvalid),
        ),
        (
            exception("team", "c", json!({})),
            Some(Reason::ExceptionInvalid),
        ),
        (exception("argocd", "c", json!({})), None),
        (
            exception("argocd", "p", json!({ "clauses": ["signature"] })),
            Some(Reason::ExceptionInvalid),
        ),
        (
            exception("argocd", "p", json!({ "until": "2026-11-25T11:00:00Z" })),
            Some(Reason::ExceptionExpired),
        ),
    ] {
        let found = set.update(&[own.clone(), cluster.clone(), one], now());
        assert_eq!(reasons(&found).first().copied(), reason, "{found:?}");
        let governance = governing(&set, "argocd", "web", "ghcr.io/acme/shop");
        assert_eq!(governance.exceptions.is_empty(), reason.is_some());
    }
}

#[test]
fn the_strictest_pin_and_stop_win() {
    let mut set = PolicySet::new("argocd");
    let spec = unsigned(json!({ "write": { "pin": "digest" }, "onRefused": "stop" }));
    set.update(
        &[
            document("PromotionPolicy", None, "a", signed()),
            document("PromotionPolicy", None, "b", spec),
        ],
        now(),
    );
    let governance = governing(&set, "argocd", "web", "ghcr.io/acme/shop");
    assert_eq!(governance.pin(), Some(Pin::Digest));
    assert_eq!(governance.on_refused(), OnRefused::Stop);
    assert!(!governance.adopts());
}
