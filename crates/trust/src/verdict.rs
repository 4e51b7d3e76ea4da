//! Verdicts: what a digest was found to be, under one policy.
//!
//! Today the only policy is "none", so the only findings are a waiver or a refusal. Proofs come with signature
//! verification; their type is here already so that nothing downstream has to change.

use sealift_core::digest::Digest;
use sealift_core::reason::Reason;

/// What to do with images that no policy governs (`--unverified`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Unverified {
    /// Write them, each with the reason `unchecked-no-policy`.
    #[default]
    Allow,
    /// Refuse them with `no-policy`.
    Refuse,
}

/// The policy that governs a candidate, with the hash under which events and commits name it.
#[derive(Debug, Clone)]
pub struct Policy {
    unverified: Unverified,
    hash: Digest,
}

impl Policy {
    /// The policy of an installation that has none: images are waived or refused, never trusted.
    #[must_use]
    pub fn none(unverified: Unverified) -> Self {
        let text = match unverified {
            Unverified::Allow => "unverified: allow",
            Unverified::Refuse => "unverified: refuse",
        };
        Self {
            unverified,
            hash: Digest::of(text.as_bytes()),
        }
    }

    /// SHA-256 of the policy's canonical text.
    #[must_use]
    pub const fn hash(&self) -> Digest {
        self.hash
    }
}

/// Cryptographic proof that a digest satisfies a policy. It cannot be made yet.
#[derive(Debug)]
pub struct Proof {
    never: std::convert::Infallible,
}

impl Proof {
    pub(crate) const fn unreachable(&self) -> ! {
        match self.never {}
    }
}

/// An explicit, recorded absence of proof.
#[derive(Debug, PartialEq, Eq)]
pub struct Waiver {
    kind: WaiverKind,
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
        }
    }
}

/// What judging found.
#[derive(Debug)]
pub enum Finding {
    /// Proven.
    Trusted(Proof),
    /// Not proven; the reasons, most important first, never empty.
    Refused(Vec<Reason>),
    /// Not proven, and that is allowed explicitly.
    Waived(Waiver),
}

/// The finding about one digest under one policy. Made by [`judge`] alone, used up by [`crate::admit`].
#[derive(Debug)]
pub struct Verdict {
    digest: Digest,
    policy: Digest,
    finding: Finding,
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

    /// What was found.
    #[must_use]
    pub const fn finding(&self) -> &Finding {
        &self.finding
    }

    pub(crate) fn into_finding(self) -> Finding {
        self.finding
    }
}

/// Judges `digest` under `policy`.
#[must_use]
pub fn judge(digest: Digest, policy: &Policy) -> Verdict {
    let finding = match policy.unverified {
        Unverified::Allow => Finding::Waived(Waiver {
            kind: WaiverKind::NoPolicy {
                source: "--unverified=allow".to_owned(),
            },
        }),
        Unverified::Refuse => Finding::Refused(vec![Reason::NoPolicy]),
    };
    Verdict {
        digest,
        policy: policy.hash,
        finding,
    }
}
