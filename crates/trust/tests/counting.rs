//! Distinct logs, counted: a holder of a key or identity must not pass one log off as two.
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test reads images signed by real tools from files, and fails where it cannot"
)]

use std::collections::BTreeMap;
use std::fs;
use std::sync::Arc;

use jiff::Timestamp;
use sealift_core::digest::Digest;
use sealift_core::evidence::{Evidence, Form, Item, Place, Way};
use sealift_core::promotion::scope::Subject;
use sealift_core::promotion::set::{PolicyDocument, PolicySet};
use sealift_core::promotion::spec::{FileSource, TrustRootSpec};
use sealift_core::reason::Reason;
use sealift_core::reference::Canonical;
use sealift_testkit::signed;
use sealift_trust::{Case, Finding, Judge, Materials, Policy, TrustRoot, Unverified};
use serde_json::{Value, json};

/// Signed by a workflow, logged in the newer of the two logs that its trust root knows.
const LAYOUT: &str = "refapi-sct";

struct Root;

impl Materials for Root {
    fn key(&self, _: &str, _: &FileSource) -> Result<Arc<[u8]>, String> {
        Err("no keys here".to_owned())
    }

    fn root(&self, _: &str, _: &TrustRootSpec) -> Result<Arc<TrustRoot>, (Reason, String)> {
        let (root, notices) = TrustRoot::parse(&read("trusted_root.json")).unwrap();
        assert!(notices.is_empty(), "{notices:?}");
        Ok(Arc::new(root))
    }
}

fn read(name: &str) -> Vec<u8> {
    fs::read(signed::folder().join(LAYOUT).join(name)).unwrap()
}

/// The bundle that signs the image.
fn bundle() -> Value {
    let blobs = signed::folder().join(LAYOUT).join("blobs/sha256");
    let blobs = fs::read_dir(blobs)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let documents = blobs.filter_map(|path| serde_json::from_slice(&fs::read(path).unwrap()).ok());
    let is_signature = |bundle: &Value| {
        let item = evidence(bundle).items.remove(0);
        bundle["dsseEnvelope"].is_object() && judged(&item, 1, "proof").is_none()
    };
    documents.into_iter().find(is_signature).unwrap()
}

/// The id of the log that did not sign.
fn other_log(bundle: &Value) -> Value {
    let root: Value = serde_json::from_slice(&read("trusted_root.json")).unwrap();
    let used = &entries(bundle)[0]["logId"]["keyId"];
    let logs = root["tlogs"].as_array().unwrap();
    let other = logs.iter().find(|log| log["logId"]["keyId"] != *used);
    other.unwrap()["logId"]["keyId"].clone()
}

fn entries(bundle: &Value) -> &Vec<Value> {
    bundle["verificationMaterial"]["tlogEntries"]
        .as_array()
        .unwrap()
}

/// The bundle with its entry once more, changed.
fn with_second(change: impl FnOnce(&mut Value)) -> Value {
    let mut bundle = bundle();
    let mut second = entries(&bundle)[0].clone();
    change(&mut second);
    let list = bundle["verificationMaterial"]["tlogEntries"].as_array_mut();
    list.unwrap().push(second);
    bundle
}

fn evidence(bundle: &Value) -> Evidence {
    let subject: Digest = signed::subject(LAYOUT).parse().unwrap();
    let place = Place {
        repository: "registry.test/shop".to_owned(),
        way: Way::Referrers,
        manifest: subject,
        layer: 0,
    };
    let form = Form::Bundle(bundle.to_string().into_bytes().into());
    Evidence {
        items: vec![Item { place, form }],
        ..Evidence::none(subject)
    }
}

/// Why so many logs are not proven; `None`: they are.
fn judged(item: &Item, logs: u32, transparency: &str) -> Option<Reason> {
    let object = json!({
        "apiVersion": "sealift.dev/v1alpha1", "kind": "PromotionPolicy",
        "metadata": { "name": "p", "namespace": "argocd" },
        "spec": {
            "authorities": [{
                "name": "ci", "transparency": transparency, "signedTime": { "minLogs": logs },
                "github": { "repository": "acme/shop", "workflow": "release.yml",
                            "ref": { "tag": "v1.2.3" } },
                "trustRoot": { "file": { "path": "root" } },
            }],
            "signatures": { "require": { "atLeast": 1, "of": ["ci"] } },
        },
    });
    let mut set = PolicySet::new("argocd");
    let document = PolicyDocument {
        origin: "test".to_owned(),
        folder: Some(".".into()),
        object: Ok(object),
    };
    let now = Timestamp::now();
    let findings = set.update(&[document], now);
    assert!(
        findings.iter().all(|one| one.errors.is_empty()),
        "{findings:?}"
    );
    let application = Subject {
        namespace: "argocd",
        name: "shop",
        labels: &BTreeMap::new(),
    };
    let image = Canonical {
        registry: "registry.test".to_owned(),
        repository: "shop".to_owned(),
    };
    let governance = set.governing(&application, &image, now);
    let policy = Policy::new(governance, &Root, Unverified::Refuse);
    let subject: Digest = signed::subject(LAYOUT).parse().unwrap();
    let evidence = Evidence {
        items: vec![item.clone()],
        ..Evidence::none(subject)
    };
    let case = Case {
        digest: subject,
        tag: None,
        evidence: &evidence,
        platforms: &[],
        change: None,
    };
    match Judge::default().judge(&case, &policy, now).finding() {
        Finding::Refused(failures) => Some(failures[0].reason),
        Finding::Trusted(_) => None,
        Finding::Waived(waiver) => Some(waiver.reason()),
    }
}

fn refused(bundle: &Value, logs: u32, transparency: &str) -> Option<Reason> {
    judged(&evidence(bundle).items[0], logs, transparency)
}

#[test]
fn the_same_entry_twice_is_one_log() {
    let twice = with_second(|_| {});
    assert_eq!(refused(&twice, 1, "proof"), None);
    assert_eq!(refused(&twice, 2, "proof"), Some(Reason::LogsTooFew));
}

#[test]
fn an_entry_that_names_a_log_which_did_not_sign_its_checkpoint_is_no_second_log() {
    let other = other_log(&bundle());
    let relabelled = with_second(|entry| entry["logId"]["keyId"] = other);
    assert_eq!(refused(&relabelled, 1, "proof"), None);
    assert_eq!(
        refused(&relabelled, 2, "proof"),
        Some(Reason::LogProofInvalid)
    );
}

#[test]
fn an_entry_with_neither_proof_nor_promise_is_no_second_log() {
    let other = other_log(&bundle());
    let bare = with_second(|entry| {
        entry["logId"]["keyId"] = other;
        entry.as_object_mut().unwrap().remove("inclusionProof");
    });
    assert_eq!(refused(&bare, 1, "promise"), None);
    assert_eq!(refused(&bare, 2, "promise"), Some(Reason::LogProofMissing));
}
