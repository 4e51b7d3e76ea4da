//! Every refusal with its field and reason, beside what is accepted.

mod documents;
mod identities;

use serde_json::{Value, json};

use super::*;
use crate::promotion::effective::Who;

const NOW: &str = "2026-11-25T12:00:00Z";

fn context() -> Context<'static> {
    Context {
        default_namespace: "argocd",
        folder: Some(std::path::Path::new(".")),
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

/// Documents beside the short case, and the one thing that is wrong with each.
#[test]
fn each_mistake_is_refused_with_its_field_and_reason() {
    let invalid = "policy-invalid";
    let gitlab = |config: &str| {
        authority(json!({
            "gitlab": { "project": "acme/shop", "config": config, "ref": "refs/heads/main" }
        }))
    };
    let github = |parts: Value| {
        let mut github = json!({ "repository": "a/b", "workflow": "r.yml", "ref": "refs/heads/m" });
        for (name, part) in parts.as_object().unwrap() {
            github[name] = part.clone();
        }
        authority(json!({ "github": github }))
    };
    let require = |require: Value| json!({ "signatures": { "require": require } });
    let cases = [
        (json!({ "signatures": null }), "spec.signatures", invalid),
        (
            json!({ "unsafeNoSignatures": { "reason": "x" } }),
            "spec.signatures",
            invalid,
        ),
        (
            json!({ "signatures": null, "unsafeNoSignatures": { "reason": " " } }),
            "spec.unsafeNoSignatures.reason",
            invalid,
        ),
        (json!({ "unmatched": "allow" }), "spec.unmatched", invalid),
        (json!({ "images": [] }), "spec.images", invalid),
        (
            json!({ "allowedRegistries": [] }),
            "spec.allowedRegistries",
            invalid,
        ),
        (
            json!({ "allowedRegistries": ["ghcr.io/*"] }),
            "spec.allowedRegistries[0]",
            invalid,
        ),
        (
            json!({ "allowedRegistries": ["acme"] }),
            "spec.allowedRegistries[0]",
            invalid,
        ),
        (
            json!({ "images": [{ "pattern": "acme/**" }] }),
            "spec.images[0].pattern",
            invalid,
        ),
        (
            json!({ "images": [{ "pattern": "**/acme" }] }),
            "spec.images[0].pattern",
            invalid,
        ),
        (
            json!({ "images": [{ "pattern": "ghcr.io" }] }),
            "spec.images[0].pattern",
            invalid,
        ),
        (
            json!({ "images": [{ "pattern": "ghcr.io/a/*", "as": "ghcr.io/b/**" }] }),
            "spec.images[0].as",
            invalid,
        ),
        (
            json!({ "images": [{ "pattern": "ghcr.io/a/**", "signatureRepository": "x" }] }),
            "spec.images[0].signatureRepository",
            invalid,
        ),
        (
            json!({ "applications": [{}] }),
            "spec.applications[0]",
            invalid,
        ),
        (
            json!({ "applications": [{ "namePattern": "[" }] }),
            "spec.applications[0].namePattern",
            invalid,
        ),
        (
            json!({ "applications": [{ "labelSelectors": { "matchExpressions": [
                { "key": "a", "operator": "In" }
            ] } }] }),
            "spec.applications[0].labelSelectors.matchExpressions[0].values",
            invalid,
        ),
        (
            json!({ "update": { "strategies": ["semvr"] } }),
            "spec.update.strategies[0]",
            invalid,
        ),
        (
            require(json!({ "atLeast": 1, "of": ["cj"] })),
            "spec.signatures.require.of[0]",
            invalid,
        ),
        (
            require(json!({ "atLeast": 2, "of": ["ci"] })),
            "spec.signatures.require.atLeast",
            "threshold-unreachable",
        ),
        (
            require(json!({ "atLeast": 1, "of": [] })),
            "spec.signatures.require.of",
            "threshold-unreachable",
        ),
        (
            require(json!({ "atLeast": 0, "of": ["ci"] })),
            "spec.signatures.require.atLeast",
            invalid,
        ),
        (
            require(json!({ "atLeast": 1, "of": ["ci", "ci"] })),
            "spec.signatures.require.of[1]",
            invalid,
        ),
        (
            json!({ "signatures": {
                "require": { "atLeast": 1, "of": ["ci"] }, "maxAge": "90 days"
            } }),
            "spec.signatures.maxAge",
            invalid,
        ),
        (authority(json!({})), "spec.authorities[0]", invalid),
        (
            authority(json!({ "key": { "inline": KEY }, "github": {
                "repository": "a/b", "ref": "refs/heads/m"
            } })),
            "spec.authorities[0]",
            invalid,
        ),
        (
            authority(json!({ "key": [] })),
            "spec.authorities[0].key",
            invalid,
        ),
        (
            authority(json!({ "key": { "inline": "-----BEGIN PRIVATE KEY-----" } })),
            "spec.authorities[0].key.inline",
            invalid,
        ),
        (
            authority(json!({ "key": { "secretRef": { "name": "a/b", "key": "c" } } })),
            "spec.authorities[0].key.secretRef.name",
            invalid,
        ),
        (
            authority(json!({
                "key": { "inline": KEY },
                "trustRoot": { "tuf": { "mirror": "x", "root": { "path": "r" } } }
            })),
            "spec.authorities[0].trustRoot.tuf.mirror",
            invalid,
        ),
        (
            json!({ "defaults": { "signedTime": { "minLogs": 0 } } }),
            "spec.authorities[0].signedTime",
            invalid,
        ),
        (
            github(json!({ "repository": "acme" })),
            "spec.authorities[0].github.repository",
            invalid,
        ),
        (
            github(json!({ "repository": "acme/*" })),
            "spec.authorities[0].github.repository",
            invalid,
        ),
        (
            github(json!({ "workflow": "r" })),
            "spec.authorities[0].github.workflow",
            invalid,
        ),
        (
            github(json!({ "ref": "main" })),
            "spec.authorities[0].github.ref",
            invalid,
        ),
        (
            github(json!({ "ref": { "branch": "release/*" } })),
            "spec.authorities[0].github.ref.branch",
            invalid,
        ),
        (
            github(json!({ "ref": { "tag": "[" } })),
            "spec.authorities[0].github.ref.tag",
            invalid,
        ),
        (
            gitlab("/../x"),
            "spec.authorities[0].gitlab.config",
            invalid,
        ),
        (
            json!({ "attestations": [{
                "name": "a", "predicateTypes": ["cyclondx"],
                "require": { "atLeast": 1, "of": ["ci"] }
            }] }),
            "spec.attestations[0].predicateTypes[0]",
            invalid,
        ),
        (
            json!({ "attestations": [{
                "name": "a.b", "predicateTypes": ["vuln"],
                "require": { "atLeast": 1, "of": ["ci"] }
            }] }),
            "spec.attestations[0].name",
            invalid,
        ),
        (
            json!({ "attestations": [{
                "name": "a", "predicateTypes": ["https://sigstore.dev/cosign/sign/v1"],
                "require": { "atLeast": 1, "of": ["ci"] }
            }] }),
            "spec.attestations[0].predicateTypes[0]",
            invalid,
        ),
    ];
    for (parts, field, reason) in cases {
        let expected = format!("{field} {reason}");
        assert_eq!(errors(parts.clone()), [expected], "{parts}");
    }
}

#[test]
fn two_authorities_of_one_name_and_including_outside_of_are_refused() {
    let ci = json!({ "name": "ci", "key": { "inline": KEY } });
    let spec = json!({
        "authorities": [ci, ci, { "name": "b", "key": { "inline": KEY } }],
        "signatures": { "require": { "atLeast": 1, "of": ["ci"], "including": ["b"] } }
    });
    assert_eq!(
        errors(spec),
        [
            "spec.authorities[1].name policy-invalid",
            "spec.signatures.require.including policy-invalid"
        ]
    );
}

#[test]
fn sections_of_later_versions_are_refused_by_name() {
    let attestation = |part: &str| {
        let mut one = json!({
            "name": "a", "predicateTypes": ["vuln"], "require": { "atLeast": 1, "of": ["ci"] }
        });
        one[part] = json!({});
        json!({ "attestations": [one] })
    };
    let mut notation = with(json!({}));
    notation["authorities"][0] = json!({ "name": "ci", "notation": {} });
    let mut cases = vec![
        (json!({ "gates": [] }), "spec.gates".to_owned()),
        (json!({ "suppliers": [] }), "spec.suppliers".to_owned()),
        (notation, "spec.authorities[0].notation".to_owned()),
    ];
    for part in ["signal", "rate", "cooldown", "windows"] {
        let update = json!({ "update": { part: {} } });
        cases.push((update, format!("spec.update.{part}")));
    }
    for part in ["maxAge", "slsa", "where", "sbom", "vulnerabilities"] {
        cases.push((attestation(part), format!("spec.attestations[0].{part}")));
    }
    for (parts, field) in cases {
        assert_eq!(errors(parts), [format!("{field} not-available")]);
    }
}

#[test]
fn what_is_weaker_than_it_looks_is_remarked() {
    let weak = |parts| policy(with(parts)).notices.len();
    assert_eq!(weak(json!({})), 0);
    assert_eq!(weak(json!({ "mode": "warn" })), 1);
    assert_eq!(weak(json!({ "write": { "pin": "tag" } })), 1);
    let unsigned = json!({ "signatures": null, "unsafeNoSignatures": { "reason": "dev" } });
    // No signature, and an authority that nothing refers to.
    assert_eq!(weak(unsigned), 2);
}
