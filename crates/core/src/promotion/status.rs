//! What is said on a policy or an exception: whether this version of it is in force, and why not.
//!
//! Pure: the status before and the findings about the document give the status after. Kubernetes
//! API conventions, "Typical status properties".

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::set::PolicyFinding;
use crate::digest::Digest;
use crate::image_updater::status::{Condition, set};
use crate::reason::Reason;

/// `status` of a policy or an exception.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PolicyStatus {
    /// The generation that it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Digest of the version that is in force, which an invalid edit does not change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hash: Option<String>,
    /// `Ready`: whether this generation is in force.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
}

impl PolicyStatus {
    /// The status after the document of `generation` was read: `findings` are those about it alone,
    /// `hash` is that of the version in force.
    #[must_use]
    pub fn read(
        mut self,
        generation: Option<i64>,
        findings: &[&PolicyFinding],
        hash: Option<Digest>,
        now: Timestamp,
    ) -> Self {
        let bad = findings.iter().find(|finding| is_fault(finding.reason));
        let condition = match bad {
            Some(bad) => {
                let reason = camel_case(bad.reason.id());
                Condition::new("Ready", false, &reason, bad.detail.clone(), now)
            }
            None => {
                let remarks = findings.iter().map(|finding| finding.detail.as_str());
                let message = std::iter::once("It is in force.").chain(remarks);
                let message: Vec<&str> = message.collect();
                Condition::new("Ready", true, "InForce", message.join(" "), now)
            }
        };
        self.observed_generation = generation;
        self.hash = hash.map(|hash| hash.to_string());
        set(
            &mut self.conditions,
            Condition {
                observed_generation: generation,
                ..condition
            },
        );
        self
    }
}

/// Whether a finding says that the document is not in force; others are remarks.
const fn is_fault(reason: Reason) -> bool {
    use Reason::{ExceptionExpired, ExceptionInvalid, PolicyInvalid, PolicyLastGood};
    matches!(
        reason,
        ExceptionExpired | ExceptionInvalid | PolicyInvalid | PolicyLastGood
    )
}

/// Reasons of conditions are CamelCase: `policy-last-good` is `PolicyLastGood`.
fn camel_case(id: &str) -> String {
    let words = id.split('-').map(|word| {
        let mut letters = word.chars();
        let first = letters.next().map(|first| first.to_ascii_uppercase());
        first.into_iter().chain(letters).collect::<String>()
    });
    words.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finding(reason: Reason) -> PolicyFinding {
        PolicyFinding {
            origin: "argocd/strict".to_owned(),
            name: "argocd/strict".to_owned(),
            reason,
            errors: Vec::new(),
            detail: "`argocd/strict`: why".to_owned(),
        }
    }

    #[test]
    fn an_invalid_edit_is_not_ready_names_its_reason_and_keeps_the_hash_in_force() {
        let (first, later) = (Timestamp::UNIX_EPOCH, Timestamp::MAX);
        let hash = Some(Digest::of(b"good"));
        let good = PolicyStatus::default().read(Some(1), &[], hash, first);
        assert_eq!(good.conditions[0].status, "True");
        let bad = finding(Reason::PolicyLastGood);
        let edited = good.clone().read(Some(2), &[&bad], hash, later);
        let condition = &edited.conditions[0];
        assert_eq!(
            (condition.status.as_str(), condition.reason.as_str()),
            ("False", "PolicyLastGood")
        );
        assert_ne!(
            condition.last_transition_time,
            good.conditions[0].last_transition_time
        );
        assert_eq!(
            (edited.hash, edited.observed_generation),
            (good.hash, Some(2))
        );
    }

    #[test]
    fn a_remark_leaves_it_ready_and_the_same_again_changes_nothing() {
        let remark = finding(Reason::PolicyUnsafe);
        let once = PolicyStatus::default().read(None, &[&remark], None, Timestamp::UNIX_EPOCH);
        assert_eq!(
            once.conditions[0].message,
            "It is in force. `argocd/strict`: why"
        );
        let again = once.clone().read(None, &[&remark], None, Timestamp::MAX);
        assert_eq!(again, once);
    }
}
