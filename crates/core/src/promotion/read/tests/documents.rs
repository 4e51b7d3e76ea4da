//! Envelope, profile, exceptions and hash.

use super::*;

#[test]
fn the_hardened_profile_fills_in_and_can_only_be_tightened() {
    let hardened = |parts: Value| {
        let mut parts = parts;
        parts["profile"] = json!("hardened");
        parts
    };
    let read = policy(with(hardened(
        json!({ "update": { "maxChange": "patch" } }),
    )));
    let effective = &read.effective;
    assert_eq!(
        effective.clauses(),
        [
            "update.strategies",
            "update.requireConstraint",
            "update.maxChange",
            "update.prereleases",
            "update.downgrades",
            "signatures"
        ]
    );
    assert_eq!(
        effective.update.max_change,
        Some(crate::promotion::spec::MaxChange::Patch)
    );
    let mut key = authority(json!({ "key": { "inline": KEY }, "signedTime": { "minLogs": 0 } }));
    key["profile"] = json!("hardened");
    assert_eq!(
        errors(key),
        ["spec.authorities[0].signedTime.minLogs policy-invalid"]
    );
    for (parts, field) in [
        (json!({ "mode": "warn" }), "mode"),
        (
            json!({ "update": { "strategies": ["digest"] } }),
            "update.strategies[0]",
        ),
        (
            json!({ "update": { "requireConstraint": false } }),
            "update.requireConstraint",
        ),
        (
            json!({ "update": { "maxChange": "major" } }),
            "update.maxChange",
        ),
        (
            json!({ "update": { "prereleases": "allow" } }),
            "update.prereleases",
        ),
        (
            json!({ "update": { "downgrades": "allow" } }),
            "update.downgrades",
        ),
        (json!({ "write": { "pin": "tag" } }), "write.pin"),
        (
            json!({ "defaults": { "transparency": "promise" } }),
            "defaults.transparency",
        ),
        (json!({ "defaults": { "sct": "optional" } }), "defaults.sct"),
        (
            json!({ "signatures": null, "unsafeNoSignatures": { "reason": "x" } }),
            "unsafeNoSignatures",
        ),
    ] {
        let expected = format!("spec.{field} policy-invalid");
        assert_eq!(errors(hardened(parts)), [expected]);
    }
}

#[test]
fn the_envelope_is_strict_too() {
    let mut other = object("PromotionPolicy", with(json!({})));
    other["apiVersion"] = json!("sealift.dev/v1");
    other["sepc"] = json!({});
    other["metadata"] = json!({});
    assert_eq!(
        errors_of(&other),
        [
            "apiVersion policy-invalid",
            "metadata.name policy-invalid",
            "sepc policy-invalid"
        ]
    );
    assert!(concerns(&other));
    assert!(!concerns(
        &json!({ "apiVersion": "kyverno.io/v2", "kind": "PolicyException" })
    ));
    assert!(concerns(
        &json!({ "apiVersion": "x/v1", "kind": "PromotionPolicy" })
    ));
    assert_eq!(
        errors_of(&object("PromotionPolcy", json!({}))),
        ["kind policy-invalid"]
    );
    assert_eq!(errors_of(&json!([])).len(), 3);
    let mut slash = object("ClusterPromotionPolicy", with(json!({})));
    slash["metadata"]["name"] = json!("team/own");
    assert_eq!(errors_of(&slash), ["metadata.name policy-invalid"]);
}

#[test]
fn an_exception_is_narrow_short_and_reasoned() {
    let exception = |parts: Value| {
        let mut spec = json!({
            "policy": "p",
            "image": {
                "pattern": "ghcr.io/acme/shop",
                "digest": format!("sha256:{}", "0a".repeat(32))
            },
            "clauses": ["signatures"],
            "until": "2026-12-24T00:00:00Z",
            "reason": "INC-1"
        });
        for (name, part) in parts.as_object().unwrap() {
            spec[name] = part.clone();
        }
        object("PolicyException", spec)
    };
    assert!(read(&exception(json!({})), &context()).is_ok());
    let invalid = "exception-invalid";
    for (parts, field, reason) in [
        (json!({ "until": "2026-12-26T00:00:00Z" }), "until", invalid),
        (json!({ "until": "soon" }), "until", invalid),
        (
            json!({ "until": "2026-11-25T11:59:59Z" }),
            "until",
            "exception-expired",
        ),
        (
            json!({ "clauses": ["allowedRegistries"] }),
            "clauses[0]",
            invalid,
        ),
        (json!({ "clauses": [] }), "clauses", invalid),
        (json!({ "reason": " " }), "reason", invalid),
        (json!({ "policy": "" }), "policy", invalid),
        (
            json!({ "image": { "pattern": "shop", "digest": format!("sha256:{}", "0a".repeat(32)) } }),
            "image.pattern",
            invalid,
        ),
        (
            json!({ "image": { "pattern": "ghcr.io/a/b" } }),
            "image",
            "policy-invalid",
        ),
        (
            json!({ "applications": [{}] }),
            "applications[0]",
            "policy-invalid",
        ),
    ] {
        let expected = format!("spec.{field} {reason}");
        assert_eq!(errors_of(&exception(parts.clone())), [expected], "{parts}");
    }
    let mut old = exception(json!({}));
    old["metadata"]["creationTimestamp"] = json!("2026-11-01T00:00:00Z");
    assert_eq!(errors_of(&old), ["spec.until exception-invalid"]);
    old["metadata"]["creationTimestamp"] = json!("2027-11-01T00:00:00Z");
    assert!(read(&old, &context()).is_ok());
}

#[test]
fn the_hash_is_of_what_is_said_not_of_how() {
    let hash = |text: &str| {
        let spec: Value = serde_json::from_str(text).unwrap();
        policy(spec).effective.hash
    };
    let none = r#""unsafeNoSignatures": {"reason": "x"}"#;
    let one = hash(&format!(r#"{{"mode": "enforce", {none}}}"#));
    assert_eq!(
        one,
        hash(&format!(
            r#"{{{none}, "mode": "enforce", "subject": null}}"#
        ))
    );
    assert_ne!(one, hash(&format!(r#"{{{none}, "mode": "warn"}}"#)));
}
