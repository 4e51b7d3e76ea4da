//! What mutations are judged with: a Sigstore of our own, one policy a format, and the judge.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use sealift_core::digest::Digest;
use sealift_core::evidence::Form;
use sealift_core::promotion::scope::Subject;
use sealift_core::promotion::set::{PolicyDocument, PolicySet};
use sealift_core::promotion::spec::{FileSource, TrustRootSpec};
use sealift_core::reason::Reason;
use sealift_core::reference::Canonical;
use sealift_testkit::signer::{self, GITHUB_ISSUER, Identity};
use sealift_trust::{Case, Finding, Judge, Materials, Policy, TrustRoot, Unverified};
use serde_json::{Value, json};

/// The workflow that the policies name.
pub(crate) const REPOSITORY: &str = "acme/shop";
/// See [`REPOSITORY`].
pub(crate) const REFERENCE: &str = "refs/tags/v1.2.3";

/// The image.
pub(crate) fn subject() -> Digest {
    Digest::of(b"image")
}

/// Another image of the same signer.
pub(crate) fn other() -> Digest {
    Digest::of(b"another image")
}

/// When it is judged: a day after it was signed.
pub(crate) fn now() -> Timestamp {
    signer::signed_at() + SignedDuration::from_hours(24)
}

/// The workflow.
pub(crate) fn identity() -> Identity {
    Identity::github(REPOSITORY, "release.yml", REFERENCE)
}

/// An authority that accepts the workflow alone. Claims are named beside the subject, so that each
/// of them can be the one fault.
pub(crate) fn keyless(logs: u32, stamps: u32, transparency: &str) -> Value {
    json!({
        "name": "signer",
        "keyless": {
            "issuer": GITHUB_ISSUER,
            "subject": identity().name(),
            "claims": {
                "sourceRepositoryURI": "https://github.com/acme/shop",
                "sourceRepositoryIdentifier": "123456789",
                "runnerEnvironment": "github-hosted",
            },
        },
        "trustRoot": { "file": { "path": "root" } },
        "transparency": transparency,
        "signedTime": { "minLogs": logs, "minTimestamps": stamps },
        "sct": "required",
    })
}

/// An authority that accepts the key in the file `key`.
pub(crate) fn keyed(logs: u32, stamps: u32, transparency: &str) -> Value {
    let mut authority = json!({
        "name": "signer",
        "key": { "path": "key" },
        "transparency": transparency,
        "signedTime": { "minLogs": logs, "minTimestamps": stamps },
    });
    if logs + stamps > 0 {
        authority["trustRoot"] = json!({ "file": { "path": "root" } });
    }
    authority
}

/// Files that the policies name.
pub(crate) struct Files {
    pub(crate) root: Value,
    pub(crate) key: String,
}

impl Materials for Files {
    fn key(&self, _: &str, _: &FileSource) -> Result<Arc<[u8]>, String> {
        Ok(self.key.clone().into_bytes().into())
    }

    fn root(&self, _: &str, _: &TrustRootSpec) -> Result<Arc<TrustRoot>, (Reason, String)> {
        let (root, notices) = TrustRoot::parse(self.root.to_string().as_bytes()).unwrap();
        assert!(notices.is_empty(), "{notices:?}");
        Ok(Arc::new(root))
    }
}

/// Why `form`, found for the image, is refused; `None`: it is admitted. `attests`: the predicate
/// type that is demanded; else a signature is.
pub(crate) fn judged(
    form: &Form,
    authority: &Value,
    files: &Files,
    attests: Option<&str>,
) -> Option<(Reason, String)> {
    let require = json!({ "atLeast": 1, "of": ["signer"] });
    let mut spec = json!({ "authorities": [authority] });
    match attests {
        None => spec["signatures"] = json!({ "require": require }),
        Some(kind) => {
            spec["unsafeNoSignatures"] = json!({ "reason": "an attestation is judged" });
            spec["attestations"] =
                json!([{ "name": "one", "predicateTypes": [kind], "require": require }]);
        }
    }
    let policy = policy(&spec, files);
    let evidence = signer::evidence(subject(), std::slice::from_ref(form));
    let case = Case {
        digest: subject(),
        tag: Some("v1.2.3"),
        evidence: &evidence,
        platforms: &[],
        change: None,
    };
    match Judge::default().judge(&case, &policy, now()).finding() {
        Finding::Refused(failures) => {
            let first = failures.first().unwrap();
            Some((first.reason, first.detail.clone()))
        }
        Finding::Trusted(_) => None,
        Finding::Waived(waiver) => panic!("nothing is waived here: {}", waiver.reason()),
    }
}

fn policy(spec: &Value, files: &Files) -> Policy {
    let object = json!({
        "apiVersion": "sealift.dev/v1alpha1", "kind": "PromotionPolicy",
        "metadata": { "name": "p", "namespace": "argocd" },
        "spec": spec,
    });
    let document = PolicyDocument {
        origin: "test".to_owned(),
        folder: Some(".".into()),
        object: Ok(object),
    };
    let mut set = PolicySet::new("argocd");
    let findings = set.update(&[document], now());
    let failed = findings.iter().find(|one| !one.errors.is_empty());
    assert!(failed.is_none(), "{failed:?}");
    let application = Subject {
        namespace: "argocd",
        name: "shop",
        labels: &BTreeMap::new(),
    };
    let image = Canonical {
        registry: "registry.test".to_owned(),
        repository: "acme/shop".to_owned(),
    };
    let governance = set.governing(&application, &image, now());
    Policy::new(governance, files, Unverified::Refuse)
}
