//! Policies: who may write them is trusted, but a torn or mistyped one must never govern less.

use std::collections::BTreeMap;

use jiff::Timestamp;
use sealift::objects::ListedPolicy;
use sealift::objects::files::{Named, Reader};
use sealift_core::promotion::effective::{Demand, Effective, Who};
use sealift_core::promotion::scope::Subject;
use sealift_core::promotion::set::PolicySet;
use sealift_core::reference::Reference;

/// What is in force cannot contradict itself, and what is refused says why.
pub(super) fn policies(bytes: &[u8]) {
    let mut reader = Reader::new("argocd");
    reader.read_documents("fuzz.yaml", bytes, Named::ByFolder);
    let objects = reader.finish();
    let listed = objects.listed_policies();
    let documents: Vec<_> = listed.iter().map(ListedPolicy::document).collect();
    let mut set = PolicySet::new("argocd");
    for finding in set.update(&documents, Timestamp::UNIX_EPOCH) {
        assert!(!finding.detail.is_empty());
        for error in finding.errors {
            assert!(!error.field.is_empty() && !error.message.is_empty());
            let first = listed.first().map(|policy| policy.place(&error.field));
            assert!(first.is_some_and(|place| place.starts_with("fuzz.yaml:")));
        }
    }
    let labels = BTreeMap::new();
    let subject = Subject {
        namespace: "argocd",
        name: "web",
        labels: &labels,
    };
    for image in ["nginx", "ghcr.io/acme/shop"] {
        let image = Reference::parse(image).canonical();
        let governance = set.governing(&subject, &image, Timestamp::UNIX_EPOCH);
        let governed = !governance.policies.is_empty();
        assert_eq!(governance.pin().is_some(), governed);
        let _stable = governance.hash();
    }
    for policy in set.policies() {
        consistent(&policy.effective);
    }
}

fn consistent(policy: &Effective) {
    assert!(policy.signatures.is_some() != policy.unsafe_reason.is_some());
    let attestations = policy.attestations.iter();
    for one in attestations.clone() {
        assert!(!one.predicate_types.is_empty());
    }
    let demands = policy.signatures.iter();
    for demand in demands.chain(attestations.map(|one| &one.require)) {
        reachable(demand, policy);
    }
    for authority in policy.authorities.values() {
        let proves_time = authority.min_logs + authority.min_timestamps > 0;
        match &authority.who {
            Who::Keyless(_) => assert!(proves_time && authority.root.is_some()),
            Who::Keys(keys) => assert!(!keys.is_empty()),
        }
    }
}

fn reachable(demand: &Demand, policy: &Effective) {
    assert!((1..=demand.of.len()).contains(&demand.at_least));
    assert!(demand.including.is_subset(&demand.of));
    for name in &demand.of {
        assert!(policy.authorities.contains_key(name));
    }
}
