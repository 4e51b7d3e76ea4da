//! The only gate: from a candidate and its verdict to the right to write.

use jiff::{SignedDuration, Timestamp};
use sealift_core::digest::Digest;
use sealift_core::reason::Reason;

use crate::candidate::Candidate;
use crate::error::Refusal;
use crate::verdict::{Finding, Proof, Verdict, Waiver};

/// How long the right to write lasts, in seconds. A push with all its retries takes minutes; an
/// hour-old decision is stale.
pub const ADMITTED_LIFE_SECS: i64 = 15 * 60;

/// One slot, the value that stands there, and the exact text that shall stand there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// Identity of the slot: repository, branch, file and routes, as one text.
    pub slot: String,
    /// What Git holds there now (`None`: nothing).
    pub old: Option<String>,
    /// The exact reference to write.
    pub new: String,
}

/// On what the right rests; for events, trailers and messages.
#[derive(Debug, PartialEq, Eq)]
pub enum Basis {
    /// Every clause of every policy holds.
    Proof(Proof),
    /// An explicit waiver.
    Waiver(Waiver),
}

/// The right to write one exact text, for one digest, over one old value, in one slot, once, until
/// `not_after`.
#[derive(Debug)]
#[must_use = "an admission that is not written is an update that is lost"]
pub struct Admitted {
    claim: Claim,
    value: Candidate,
    digest: Digest,
    policy: Digest,
    basis: Basis,
    not_after: Timestamp,
}

impl Admitted {
    /// The slot and its values.
    #[must_use]
    pub const fn claim(&self) -> &Claim {
        &self.claim
    }

    /// What was chosen and judged.
    #[must_use]
    pub const fn candidate(&self) -> &Candidate {
        &self.value
    }

    /// The digest that was judged; equal to the candidate's.
    #[must_use]
    pub const fn digest(&self) -> Digest {
        self.digest
    }

    /// The hash of the policy that it was judged under.
    #[must_use]
    pub const fn policy(&self) -> Digest {
        self.policy
    }

    /// On what the right rests.
    #[must_use]
    pub const fn basis(&self) -> &Basis {
        &self.basis
    }

    /// When the right ends, UTC.
    #[must_use]
    pub const fn not_after(&self) -> Timestamp {
        self.not_after
    }

    /// Whether the right still holds at `now` for `slot` while `old` stands there.
    #[must_use]
    pub fn holds(&self, slot: &str, old: Option<&str>, now: Timestamp) -> bool {
        now <= self.not_after && self.claim.slot == slot && self.claim.old.as_deref() == old
    }
}

/// Gives the right to write `claim`, if `verdict` allows it.
///
/// # Errors
/// [`Refusal::Verdict`] with the verdict's first reason; [`Refusal::OtherDigest`] when the verdict
/// is about something else.
pub fn admit(
    candidate: Candidate,
    verdict: Verdict,
    claim: Claim,
    now: Timestamp,
) -> Result<Admitted, Refusal> {
    let (digest, policy) = (verdict.digest(), verdict.policy());
    if digest != candidate.digest {
        return Err(Refusal::OtherDigest {
            judged: digest,
            candidate: candidate.digest,
        });
    }
    let basis = match verdict.into_finding() {
        Finding::Trusted(proof) => Basis::Proof(proof),
        Finding::Waived(waiver) => Basis::Waiver(waiver),
        Finding::Refused(reasons) => {
            let first = reasons.into_iter().next();
            let (reason, detail) = match first {
                Some(first) => (first.reason, first.detail),
                None => (Reason::NoPolicy, String::new()),
            };
            let Candidate {
                repository,
                tag,
                digest,
            } = candidate;
            return Err(Refusal::Verdict {
                repository,
                tag,
                digest,
                reason,
                detail,
            });
        }
    };
    let not_after = now
        .checked_add(SignedDuration::from_secs(ADMITTED_LIFE_SECS))
        .unwrap_or(Timestamp::MAX);
    Ok(Admitted {
        claim,
        value: candidate,
        digest,
        policy,
        basis,
        not_after,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::judge::{Case, Judge};
    use crate::policy::{Policy, Unverified};
    use sealift_core::evidence::Evidence;

    fn judge(digest: Digest, policy: &Policy) -> Verdict {
        let case = Case {
            digest,
            tag: None,
            evidence: &Evidence::none(digest),
            platforms: &[],
            change: None,
        };
        Judge::default().judge(&case, policy, Timestamp::UNIX_EPOCH)
    }

    fn candidate() -> Candidate {
        Candidate {
            repository: "r/x".into(),
            tag: "1".into(),
            digest: Digest::of(b"x"),
        }
    }

    fn claim() -> Claim {
        Claim {
            slot: "s".into(),
            old: Some("r/x:0".into()),
            new: "r/x:1".into(),
        }
    }

    #[test]
    fn without_a_policy_a_candidate_is_admitted_with_a_waiver() {
        let policy = Policy::none(Unverified::Allow);
        let verdict = judge(candidate().digest, &policy);
        let admitted = admit(candidate(), verdict, claim(), Timestamp::UNIX_EPOCH).unwrap();
        let Basis::Waiver(waiver) = admitted.basis() else {
            panic!("{:?}", admitted.basis());
        };
        assert_eq!(waiver.reason(), Reason::UncheckedNoPolicy);
        assert_eq!(admitted.policy(), policy.hash());
    }

    #[test]
    fn without_a_policy_refuse_refuses_with_no_policy() {
        let verdict = judge(candidate().digest, &Policy::none(Unverified::Refuse));
        let refusal = admit(candidate(), verdict, claim(), Timestamp::UNIX_EPOCH).unwrap_err();
        assert_eq!(refusal.reason(), Reason::NoPolicy);
    }

    #[test]
    fn a_verdict_about_another_digest_admits_nothing() {
        let verdict = judge(Digest::of(b"y"), &Policy::none(Unverified::Allow));
        let refusal = admit(candidate(), verdict, claim(), Timestamp::UNIX_EPOCH).unwrap_err();
        assert_eq!(refusal.reason(), Reason::Internal);
    }

    #[test]
    fn the_right_ends_and_holds_for_its_slot_and_old_value_only() {
        let verdict = judge(candidate().digest, &Policy::none(Unverified::Allow));
        let start = Timestamp::UNIX_EPOCH;
        let admitted = admit(candidate(), verdict, claim(), start).unwrap();
        let end = start
            .checked_add(SignedDuration::from_secs(ADMITTED_LIFE_SECS))
            .unwrap();
        let late = end.checked_add(SignedDuration::from_secs(1)).unwrap();
        assert!(admitted.holds("s", Some("r/x:0"), end));
        assert!(!admitted.holds("s", Some("r/x:0"), late));
        assert!(!admitted.holds("t", Some("r/x:0"), end));
        assert!(!admitted.holds("s", Some("r/x:9"), end));
    }
}
