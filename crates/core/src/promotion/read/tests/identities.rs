//! Authorities: who they are, and who they must not be.

use super::*;
use crate::promotion::identity::Pattern;

#[test]
fn an_age_needs_authorities_that_prove_a_time() {
    let spec = |time: Value| {
        let mut spec = authority(json!({ "key": { "inline": KEY }, "signedTime": time }));
        let require = json!({ "atLeast": 1, "of": ["ci"] });
        spec["signatures"] = json!({ "require": require, "maxAge": "90d" });
        spec
    };
    assert_eq!(
        errors(spec(json!({ "minLogs": 0, "minTimestamps": 0 }))),
        ["spec.signatures.maxAge policy-invalid"]
    );
    let mut mixed = spec(json!({ "minLogs": 0, "minTimestamps": 0 }));
    let second = json!({ "name": "b", "key": { "inline": KEY } });
    mixed["authorities"].as_array_mut().unwrap().push(second);
    mixed["signatures"]["require"] = json!({ "atLeast": 2, "of": ["ci", "b"] });
    assert_eq!(policy(with(mixed)).notices.len(), 1);
    let policy = policy(with(spec(json!({ "minLogs": 0, "minTimestamps": 1 }))));
    let demand = policy.effective.signatures.as_ref().unwrap();
    assert_eq!(demand.max_age_secs, Some(90 * 86_400));
}

#[test]
fn an_identity_that_means_anybody_on_a_shared_host_is_refused() {
    let prefix = |prefix: &str| keyless(json!({ "urlPrefix": prefix }));
    let regexp = |regexp: &str| keyless(json!({ "regexp": regexp }));
    for (parts, refused) in [
        (prefix("https://github.com"), Some("subject.urlPrefix")),
        (prefix("https://github.com/acme"), Some("subject.urlPrefix")),
        (
            prefix("https://GitHub.com/acme/"),
            Some("subject.urlPrefix"),
        ),
        (prefix("https://github.com/acme/shop"), None),
        (prefix("https://ci.acme.internal"), None),
        (regexp(".*"), Some("subject.regexp")),
        (regexp(".+"), Some("subject.regexp")),
        (
            regexp("(https://github.com/acme/shop/.*)?"),
            Some("subject.regexp"),
        ),
        (regexp("https://.+"), Some("subject.regexp")),
        (
            regexp(r"https://github\.com/acme/.*"),
            Some("subject.regexp"),
        ),
        (
            regexp(r"https://github\.com/acme/shop.*"),
            Some("subject.regexp"),
        ),
        (regexp(r".*/acme/shop/.*"), Some("subject.regexp")),
        (
            regexp(r"https://github\.com/acme/shop/|x.*"),
            Some("subject.regexp"),
        ),
        (
            regexp(r"https://github\.com/acme/shop/\.github/workflows/.+"),
            None,
        ),
        (
            regexp(r"https://github\.com/acme/(shop|web)/\.github/.+"),
            Some("subject.regexp"),
        ),
        (
            regexp(r"https://github\.com/acme/shop/.+|https://github\.com/acme/web/.+"),
            None,
        ),
        (
            keyless(json!("https://github.com/acme/shop/x@refs/heads/m")),
            None,
        ),
    ] {
        match refused {
            Some(field) => {
                let field = format!("spec.authorities[0].keyless.{field} identity-too-broad");
                assert_eq!(errors(parts.clone()), [field], "{parts}");
            }
            None => drop(policy(with(parts))),
        }
    }
}

#[test]
fn an_issuer_is_exact_where_anybody_could_bring_one() {
    let issuer = |issuer: Value| {
        authority(json!({ "keyless": {
        "issuer": issuer, "subject": "spiffe://acme/ci"
    } }))
    };
    for (parts, refused) in [
        (issuer(json!("")), Some("issuer policy-invalid")),
        (
            issuer(json!("accounts.google.com")),
            Some("issuer policy-invalid"),
        ),
        (
            issuer(json!({ "regexp": ".*" })),
            Some("issuer.regexp identity-too-broad"),
        ),
        (
            issuer(json!({ "regexp": "https://[a-z]+" })),
            Some("issuer.regexp identity-too-broad"),
        ),
        (
            issuer(json!({ "urlPrefix": "https://oidc.eks.eu-west-1.amazonaws.com/id" })),
            Some("issuer.urlPrefix identity-too-broad"),
        ),
        (
            issuer(json!({ "urlPrefix": "https://id.acme.internal" })),
            None,
        ),
        (
            issuer(json!("https://oidc.eks.eu-west-1.amazonaws.com/id/ABC")),
            None,
        ),
    ] {
        match refused {
            Some(refused) => {
                let expected = format!("spec.authorities[0].keyless.{refused}");
                assert_eq!(errors(parts.clone()), [expected], "{parts}");
            }
            None => drop(policy(with(parts))),
        }
    }
    let none = authority(json!({ "keyless": { "subject": "x" } }));
    assert_eq!(errors(none), ["spec.authorities[0].keyless policy-invalid"]);
}

#[test]
fn claims_go_by_their_documented_names() {
    let claims = |claims: Value| {
        authority(json!({ "keyless": {
        "issuer": "https://token.actions.githubusercontent.com",
        "subject": { "urlPrefix": "https://github.com/acme/release-workflows" },
        "claims": claims
    } }))
    };
    let read = policy(with(claims(json!({
        "sourceRepositoryId": ["123"],
        "sourceRepositoryRef": { "regexp": r"refs/tags/v[0-9]+" },
        "buildTrigger": ["push", "workflow_dispatch"],
        "runnerEnvironment": "github-hosted"
    }))));
    let Who::Keyless(identity) = &read.effective.authorities.get("ci").unwrap().who else {
        panic!()
    };
    let names: Vec<_> = identity.claims.keys().map(String::as_str).collect();
    assert_eq!(
        names,
        [
            "buildTrigger",
            "runnerEnvironment",
            "sourceRepositoryIdentifier",
            "sourceRepositoryRef"
        ]
    );
    let git_ref = &identity.claims.get("sourceRepositoryRef").unwrap()[0];
    assert!(git_ref.matches("refs/tags/v1", None));
    assert!(!git_ref.matches("refs/tags/v1-evil", None));
    let at = "spec.authorities[0].keyless.claims";
    for (bad, field) in [
        (
            json!({ "buildTriger": "push" }),
            "buildTriger policy-invalid",
        ),
        (json!({ "buildTrigger": [] }), "buildTrigger policy-invalid"),
        (json!({ "buildTrigger": "" }), "buildTrigger policy-invalid"),
        (
            json!({ "buildTrigger": { "regexp": ".*" } }),
            "buildTrigger.regexp identity-too-broad",
        ),
        (
            json!({ "buildTrigger": "pu*" }),
            "buildTrigger policy-invalid",
        ),
        (
            json!({ "buildTrigger": { "regexp": "(" } }),
            "buildTrigger policy-invalid",
        ),
    ] {
        assert_eq!(errors(claims(bad)), [format!("{at}.{field}")]);
    }
}

#[test]
fn short_forms_are_written_out() {
    let identity = |parts: Value| {
        let policy = policy(with(authority(parts)));
        match &policy.effective.authorities.get("ci").unwrap().who {
            Who::Keyless(identity) => (**identity).clone(),
            Who::Keys(_) => panic!(),
        }
    };
    let reusable = identity(json!({ "github": {
        "repository": "acme/shop", "workflow": "ci.yml", "ref": { "branch": "main" },
        "signer": {
            "repository": "acme/flows", "workflow": "sign.yml", "ref": { "tag": "v*" }
        }
    } }));
    let signer = "https://github.com/acme/flows/.github/workflows/sign.yml@refs/tags/v3";
    assert!(reusable.subject.matches(signer, None));
    assert!(!reusable.subject.matches(&format!("{signer}/x"), None));
    assert!(
        matches!(&reusable.claims["buildConfigURI"][0], Pattern::Exact(uri)
        if uri == "https://github.com/acme/shop/.github/workflows/ci.yml@refs/heads/main")
    );
    let any = identity(json!({ "github": {
        "repository": "acme/shop", "ref": "refs/heads/main"
    } }));
    let subject = "https://github.com/acme/shop/.github/workflows/x.yml@refs/heads/main";
    assert!(any.subject.matches(subject, None));
    assert!(!any.subject.matches(&subject.replace("shop", "shop2"), None));
    let gitlab = identity(json!({ "gitlab": {
        "project": "acme/team/shop", "config": ".gitlab-ci.yml", "ref": { "branch": "main" },
        "instance": "https://gitlab.acme.internal/"
    } }));
    assert_eq!(gitlab.issuer.to_string(), "https://gitlab.acme.internal");
    assert_eq!(
        gitlab.subject.to_string(),
        "https://gitlab.acme.internal/acme/team/shop//.gitlab-ci.yml@refs/heads/main"
    );
}

#[test]
fn key_authorities_ask_a_root_only_where_they_need_one() {
    let root = |parts: Value, defaults: Value| {
        let mut spec = authority(parts);
        spec["defaults"] = defaults;
        let policy = policy(with(spec));
        policy.effective.authorities.get("ci").unwrap().root.clone()
    };
    let bare = json!({ "key": { "inline": KEY }, "signedTime": { "minLogs": 0 } });
    assert_eq!(root(bare.clone(), json!({})), None);
    assert!(root(bare, json!({ "trustRoot": { "github": {} } })).is_some());
    assert!(root(json!({ "key": { "inline": KEY } }), json!({})).is_some());
}

#[test]
fn files_are_only_for_policies_from_files() {
    let spec = with(authority(json!({ "key": { "path": "cosign.pub" } })));
    let object = object("PromotionPolicy", spec);
    assert!(read(&object, &context()).is_ok());
    let cluster = Context {
        folder: None,
        ..context()
    };
    let rejected = read(&object, &cluster).unwrap_err();
    assert_eq!(rejected.errors[0].field, "spec.authorities[0].key.path");
}
