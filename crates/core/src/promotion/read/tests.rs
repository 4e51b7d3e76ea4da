//! Every refusal with its field and reason, beside what is accepted.

use serde_json::{Value, json};

use super::*;
use crate::promotion::effective::Who;

const NOW: &str = "2026-11-25T12:00:00Z";

fn context() -> Context<'static> {
    Context {
        default_namespace: "argocd",
        from_file: true,
        now: NOW.parse().unwrap(),
    }
}

fn object(kind: &str, spec: Value) -> Value {
    json!({ "apiVersion": API_VERSION, "kind": kind, "metadata": { "name": "p" }, "spec": spec })
}

/// The shortest policy that demands something, with further parts of `spec` over it.
fn with(parts: Value) -> Value {
    let mut spec = json!({
        "images": [{ "pattern": "ghcr.io/acme/**" }],
        "authorities": [{
            "name": "ci",
            "github": {
                "repository": "acme/shop",
                "workflow": "release.yml",
                "ref": { "tag": "sameAsImage" }
            }
        }],
        "signatures": { "require": { "atLeast": 1, "of": ["ci"] } }
    });
    for (name, part) in parts.as_object().unwrap() {
        spec[name] = part.clone();
    }
    spec
}

fn policy(spec: Value) -> Policy {
    match read(&object("PromotionPolicy", spec), &context()) {
        Ok(Document::Policy(policy)) => *policy,
        other => panic!("{other:?}"),
    }
}

/// `field reason` of each error.
fn errors_of(object: &Value) -> Vec<String> {
    match read(object, &context()) {
        Ok(document) => panic!("accepted: {document:?}"),
        Err(rejected) => rejected
            .errors
            .iter()
            .map(|error| {
                assert!(!error.message.is_empty() && !error.hint.is_empty());
                format!("{} {}", error.field, error.reason)
            })
            .collect(),
    }
}

fn errors(parts: Value) -> Vec<String> {
    errors_of(&object("PromotionPolicy", with(parts)))
}

fn authority(who: Value) -> Value {
    let mut authority = json!({ "name": "ci" });
    for (name, part) in who.as_object().unwrap() {
        authority[name] = part.clone();
    }
    json!({ "authorities": [authority] })
}

fn keyless(subject: Value) -> Value {
    authority(json!({
        "keyless": { "issuer": "https://token.actions.githubusercontent.com", "subject": subject }
    }))
}

const KEY: &str = "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n";

#[test]
fn the_short_case_is_read_with_every_default() {
    let policy = policy(with(json!({})));
    let effective = &policy.effective;
    assert_eq!(effective.name, "argocd/p");
    assert_eq!(policy.unmatched, None);
    assert_eq!(effective.clauses(), ["signatures"]);
    let ci = effective.authorities.get("ci").unwrap();
    assert_eq!((ci.min_logs, ci.min_timestamps), (1, 0));
    let Who::Keyless(identity) = &ci.who else {
        panic!("{ci:?}")
    };
    let subject = "https://github.com/acme/shop/.github/workflows/release.yml@refs/tags/v1.2.3";
    assert!(identity.subject.matches(subject, Some("1.2.3")));
    assert!(!identity.subject.matches(subject, Some("1.2.4")));
    assert!(!identity.subject.matches(subject, None));
    let source = identity.claims.get("sourceRepositoryURI").unwrap();
    assert!(source[0].matches("https://github.com/acme/shop", None));
    assert!(policy.notices.is_empty(), "{:?}", policy.notices);
}

#[test]
fn unknown_fields_are_errors_all_of_them_with_the_nearest_name() {
    let spec = json!({
        "image": [],
        "authorities": [
            { "name": "ci", "githb": {} },
            { "name": "b", "key": { "inline": KEY, "path": "x" } },
            { "name": "c", "keyless": { "issuer": "x", "subject": { "prefix": "y" } } },
            { "github": { "repository": 5 } }
        ],
        "signatures": { "require": { "atLeast": -1, "of": ["ci"] }, "maxAge": 5 }
    });
    let rejected = read(&object("PromotionPolicy", spec), &context()).unwrap_err();
    let found: Vec<_> = rejected
        .errors
        .iter()
        .map(|error| (error.field.as_str(), error.hint.as_str()))
        .collect();
    let fields: Vec<&str> = found.iter().map(|(field, _)| *field).collect();
    for field in [
        "spec.image",
        "spec.authorities[0].githb",
        "spec.authorities[1].key",
        "spec.authorities[2].keyless.subject.prefix",
        "spec.authorities[3].github.repository",
        "spec.signatures.require.atLeast",
        "spec.signatures.maxAge",
    ] {
        assert!(fields.contains(&field), "{field}: {found:#?}");
    }
    assert_eq!(found[0], ("spec.image", "did you mean `images`?"));
    assert!(found.contains(&("spec.authorities[0].githb", "did you mean `github`?")));
}
