//! Verdicts: what a digest was found to be, under one policy, clause by clause.

use sealift_core::digest::Digest;
use sealift_core::reason::Reason;

use crate::authority::Vouched;
use crate::failure::Failure;

/// One clause of one policy, and what came of it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Clause {
    /// The policy.
    pub policy: String,
    /// Its clause, as exceptions call it.
    pub clause: String,
    /// Whether a failure refuses (mode `enforce`) or is only said (mode `warn`).
    pub enforced: bool,
    /// Whether it holds.
    pub holds: bool,
    /// Why it does not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
    /// The exception that waives it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub waived_by: Option<String>,
    /// Who vouched.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub vouched: Vec<Vouched>,
    /// What was compared, where nobody vouches.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub detail: String,
}

/// Proof that a digest satisfies every policy that governs it. Only judging makes one.
#[derive(Debug, PartialEq, Eq)]
pub struct Proof {
    pub(crate) vouched: Vec<Vouched>,
}

impl Proof {
    /// Who vouched, by all clauses.
    #[must_use]
    pub fn vouched(&self) -> &[Vouched] {
        &self.vouched
    }
}

/// An explicit, recorded absence of proof.
#[derive(Debug, PartialEq, Eq)]
pub struct Waiver {
    pub(crate) kind: WaiverKind,
}

/// Why proof is not demanded.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum WaiverKind {
    /// No policy governs the image.
    NoPolicy {
        /// The setting that lets it through.
        source: String,
    },
    /// Every policy that governs it demands no signature, and says why.
    NoSignatures {
        /// The policies.
        policies: Vec<String>,
    },
    /// Clauses failed of policies that only warn.
    Warn {
        /// `policy: clause` of each.
        failed: Vec<String>,
    },
    /// Exceptions waive the clauses that failed.
    Exception {
        /// Names of the exceptions.
        ids: Vec<String>,
    },
}

impl Waiver {
    /// Why proof is not demanded.
    #[must_use]
    pub const fn kind(&self) -> &WaiverKind {
        &self.kind
    }

    /// The reason id that every write under this waiver carries.
    #[must_use]
    pub const fn reason(&self) -> Reason {
        match self.kind {
            WaiverKind::NoPolicy { .. } => Reason::UncheckedNoPolicy,
            WaiverKind::NoSignatures { .. } => Reason::PolicyUnsafe,
            WaiverKind::Warn { .. } => Reason::WaivedWarn,
            WaiverKind::Exception { .. } => Reason::WaivedException,
        }
    }
}

impl std::fmt::Display for WaiverKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NoPolicy { source } => write!(f, "no policy governs the image ({source})"),
            Self::NoSignatures { policies } => {
                write!(f, "`{}` demands no signature", policies.join("`, `"))
            }
            Self::Warn { failed } => write!(f, "the policy only warns: {}", failed.join(", ")),
            Self::Exception { ids } => write!(f, "waived by `{}`", ids.join("`, `")),
        }
    }
}

/// What judging found.
#[derive(Debug)]
pub enum Finding {
    /// Proven.
    Trusted(Proof),
    /// Not proven; the reasons, most important first, never empty.
    Refused(Vec<Failure>),
    /// Not proven, and that is allowed explicitly.
    Waived(Waiver),
}

/// The finding about one digest under one policy. Made by judging alone, used up by
/// [`crate::admit`].
#[derive(Debug)]
pub struct Verdict {
    pub(crate) digest: Digest,
    pub(crate) policy: Digest,
    pub(crate) clauses: Vec<Clause>,
    pub(crate) finding: Finding,
}

impl Verdict {
    /// The digest that was judged.
    #[must_use]
    pub const fn digest(&self) -> Digest {
        self.digest
    }

    /// The hash of the policy it was judged under.
    #[must_use]
    pub const fn policy(&self) -> Digest {
        self.policy
    }

    /// Every clause that was judged, in order.
    #[must_use]
    pub fn clauses(&self) -> &[Clause] {
        &self.clauses
    }

    /// What was found.
    #[must_use]
    pub const fn finding(&self) -> &Finding {
        &self.finding
    }

    /// Whether it is refused for nothing but evidence that could not be read whole: then asking
    /// again may help.
    #[must_use]
    pub fn is_incomplete(&self) -> bool {
        match &self.finding {
            Finding::Refused(failures) => failures
                .iter()
                .all(|failure| failure.reason == Reason::EvidenceIncomplete),
            Finding::Trusted(_) | Finding::Waived(_) => false,
        }
    }

    pub(crate) fn into_finding(self) -> Finding {
        self.finding
    }
}
