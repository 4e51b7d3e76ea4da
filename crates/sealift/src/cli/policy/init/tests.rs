//! Policies written for images that real tools signed, and judged by them.

use std::collections::BTreeMap;

use sealift_core::reference::Reference;
use sealift_trust::{Claimed, ClaimedSigner};
use serde_json::{Value, json};

use super::draft::{Draft, Given};
use crate::objects::files::{Named, Reader};

const KEY: &str = "-----BEGIN PUBLIC KEY-----\nMFkw\n-----END PUBLIC KEY-----\n";

fn given(keys: &[&str]) -> Given {
    Given {
        keys: keys.iter().map(|&key| key.to_owned()).collect(),
        trust_root: None,
        namespace: "argocd".to_owned(),
    }
}

fn key(logs: usize, timestamps: usize) -> Claimed {
    Claimed {
        signer: ClaimedSigner::Key {
            hint: String::new(),
        },
        predicate: None,
        proofs: (0..logs).map(|log| format!("log-{log}")).collect(),
        promises: [].into(),
        timestamps,
    }
}

fn holder(subject: &str, predicate: Option<&str>) -> Claimed {
    Claimed {
        signer: ClaimedSigner::Holder {
            issuer: "https://token.actions.githubusercontent.com".to_owned(),
            subject: subject.to_owned(),
            claims: BTreeMap::new(),
            authority: "CN=sigstore-intermediate,O=sigstore.dev".to_owned(),
            has_sct: true,
            not_after: jiff::Timestamp::UNIX_EPOCH,
        },
        predicate: predicate.map(str::to_owned),
        ..key(1, 0)
    }
}

fn draft(seen: &[Claimed], given: &Given) -> anyhow::Result<Draft> {
    let image = Reference::parse("ghcr.io/acme/Shop_Web:1.2.3");
    Draft::of(seen, Vec::new(), given, &image, jiff::Timestamp::UNIX_EPOCH)
}

/// The draft's text, read back by the project's own reader.
fn read_back(draft: &Draft) -> Value {
    let text = draft.yaml();
    let mut reader = Reader::new("argocd");
    reader.read_documents("policy.yaml", text.as_bytes(), Named::AsPolicy);
    let objects = reader.finish();
    assert_eq!(objects.problems(), [], "{text}");
    let [policy] = objects.listed_policies() else {
        panic!("{text}")
    };
    policy.object.clone().unwrap()
}

#[test]
fn the_text_says_what_the_document_says() {
    let subject = "https://github.com/acme/shop/.github/workflows/r.yml@refs/heads/main";
    let provenance = Some("https://slsa.dev/provenance/v1");
    let seen = [
        holder(subject, None),
        holder(subject, provenance),
        holder("evil\n# kind: x", None),
        key(0, 0),
    ];
    let draft = draft(&seen, &given(&[KEY, KEY])).unwrap();
    assert_eq!(read_back(&draft), draft.document());
    let spec = &draft.document()["spec"];
    assert_eq!(spec["signatures"]["require"]["atLeast"], 3);
    assert_eq!(
        spec["attestations"][0]["predicateTypes"],
        json!(["slsaprovenance1"])
    );
    assert_eq!(spec["authorities"].as_array().unwrap().len(), 3);
    assert_eq!(draft.document()["metadata"]["name"], "shop-web");
    insta::assert_snapshot!(draft.yaml());
}

#[test]
fn a_key_signature_without_its_key_is_an_error_with_a_hint() {
    let error = draft(&[key(1, 0)], &given(&[])).err().unwrap();
    assert!(error.to_string().contains("--key"), "{error}");
}

#[test]
fn times_are_demanded_as_they_are_proven() {
    for (seen, time) in [
        (key(0, 0), json!({ "minLogs": 0, "minTimestamps": 0 })),
        (key(0, 1), json!({ "minLogs": 0, "minTimestamps": 1 })),
        (key(1, 1), json!({ "minLogs": 1, "minTimestamps": 1 })),
        (key(2, 0), Value::Null),
    ] {
        let draft = draft(std::slice::from_ref(&seen), &given(&[KEY])).unwrap();
        let written = &draft.document()["spec"]["authorities"][0];
        assert_eq!(written["signedTime"], time, "{seen:?}");
    }
}

#[test]
fn a_promise_is_accepted_only_where_there_is_no_proof() {
    let mut promised = holder("dev@acme.example", None);
    promised.promises = std::mem::take(&mut promised.proofs);
    let draft = draft(&[promised], &given(&[])).unwrap();
    let written = &draft.document()["spec"]["authorities"][0];
    assert_eq!(written["transparency"], "promise");
    assert_eq!(written["trustRoot"], json!({ "publicGood": {} }));
    assert!(!draft.notes().is_empty());
}

#[test]
fn attestations_alone_are_demanded_alone_and_said() {
    let only = holder("dev@acme.example", Some("https://spdx.dev/Document/v2.3"));
    let draft = draft(&[only], &given(&[])).unwrap();
    let spec = &draft.document()["spec"];
    assert!(spec.get("signatures").is_none());
    assert!(spec["unsafeNoSignatures"]["reason"].is_string());
    assert_eq!(spec["attestations"][0]["name"], "sbom");
}

#[test]
fn a_subject_writes_nothing_that_a_terminal_obeys() {
    let subject = "https://x.example/\u{9b}2J\u{202e}\u{e0041}\u{85}spec: {}";
    let draft = draft(&[holder(subject, None)], &given(&[])).unwrap();
    let text = draft.yaml();
    let hostile = |line: &str| matches!(crate::output::escape(line), std::borrow::Cow::Owned(_));
    assert!(!text.lines().any(hostile), "{text:?}");
    assert_eq!(read_back(&draft), draft.document());
}
