//! Everything that governs one image, ready to judge by.
//!
//! A [`Policy`] cannot be built by hand: it comes from policies that were read strictly, or says
//! that there is none.

use std::collections::BTreeMap;
use std::sync::Arc;

use sealift_core::digest::Digest;
use sealift_core::promotion::effective::Effective;
use sealift_core::promotion::set::Governance;
use sealift_core::promotion::spec::{OnRefused, Pin};

use crate::authority::{Authority, Materials};
use crate::failure::Failure;

/// What to do with images that no policy governs (`--unverified`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Unverified {
    /// Write them, each with the reason `unchecked-no-policy`.
    #[default]
    Allow,
    /// Refuse them with `no-policy`.
    Refuse,
}

/// What governs an image, with the hash under which events and commits name it.
#[derive(Debug, Clone)]
pub struct Policy {
    pub(crate) unverified: Unverified,
    pub(crate) governance: Arc<Governance>,
    pub(crate) rules: Vec<Rule>,
    hash: Digest,
}

/// One policy with its authorities.
#[derive(Debug, Clone)]
pub(crate) struct Rule {
    pub(crate) policy: Arc<Effective>,
    pub(crate) authorities: BTreeMap<String, Authority>,
}

impl Policy {
    /// The policy of an installation that has none: images are waived or refused, never trusted.
    #[must_use]
    pub fn none(unverified: Unverified) -> Self {
        struct Nothing;
        impl Materials for Nothing {
            fn key(
                &self,
                _: &str,
                _: &sealift_core::promotion::spec::FileSource,
            ) -> Result<Arc<[u8]>, String> {
                Err("there is no policy".to_owned())
            }
            fn root(
                &self,
                _: &str,
                _: &sealift_core::promotion::spec::TrustRootSpec,
            ) -> Result<Arc<crate::TrustRoot>, (sealift_core::reason::Reason, String)> {
                let reason = sealift_core::reason::Reason::TrustRootUnavailable;
                Err((reason, "there is no policy".to_owned()))
            }
        }
        Self::new(Governance::default(), &Nothing, unverified)
    }

    /// What governs an image, with the keys and roots that it names. Whatever of those is missing
    /// refuses what needs it.
    #[must_use]
    pub fn new(governance: Governance, materials: &dyn Materials, unverified: Unverified) -> Self {
        let mut text = format!("{} {unverified:?}\n", governance.hash());
        let rules: Vec<Rule> = governance
            .policies
            .iter()
            .map(|policy| {
                let authorities = policy.authorities.iter().map(|(name, demands)| {
                    (
                        name.clone(),
                        Authority::new(&policy.name, demands, materials),
                    )
                });
                Rule {
                    policy: Arc::clone(policy),
                    authorities: authorities.collect(),
                }
            })
            .collect();
        for rule in &rules {
            for authority in rule.authorities.values() {
                text.push_str(&format!("{} {}\n", rule.policy.name, authority.materials()));
            }
        }
        Self {
            unverified,
            governance: Arc::new(governance),
            rules,
            hash: Digest::of(text.as_bytes()),
        }
    }

    /// SHA-256 over the policies, their keys and their roots.
    #[must_use]
    pub const fn hash(&self) -> Digest {
        self.hash
    }

    /// Whether any policy governs the image, or should and cannot be read.
    #[must_use]
    pub fn governs(&self) -> bool {
        !self.rules.is_empty() || !self.governance.refused.is_empty()
    }

    /// Names of the policies that govern the image.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.rules.iter().map(|rule| rule.policy.name.as_str())
    }

    /// Whether judging needs what hangs on the image.
    #[must_use]
    pub fn wants_evidence(&self) -> bool {
        self.rules
            .iter()
            .any(|rule| rule.policy.signatures.is_some() || !rule.policy.attestations.is_empty())
    }

    /// Whether judging needs what hangs on the platforms' manifests.
    #[must_use]
    pub fn wants_platforms(&self) -> bool {
        use sealift_core::promotion::spec::SubjectRule;
        let of_platforms = |rule: &Rule| rule.policy.subject != SubjectRule::Index;
        self.wants_evidence() && self.rules.iter().any(of_platforms)
    }

    /// Where else signatures are looked up.
    pub fn places(&self) -> impl Iterator<Item = &sealift_core::reference::Canonical> {
        self.governance.places.iter()
    }

    /// What is written of the reference. `None`: what the settings of the Application say.
    #[must_use]
    pub fn pin(&self) -> Option<Pin> {
        self.governance.pin()
    }

    /// The policy that forbids a digest in a key by itself.
    #[must_use]
    pub fn forbids_digest_key(&self) -> Option<&str> {
        self.governance.forbids_digest_key()
    }

    /// Whether what Git wants already is pinned, too.
    #[must_use]
    pub fn adopts(&self) -> bool {
        self.governance.adopts()
    }

    /// What happens when the newest candidate is refused.
    #[must_use]
    pub fn on_refused(&self) -> OnRefused {
        self.governance.on_refused()
    }

    /// Authorities whose keys or roots are missing, with why.
    pub fn broken(&self) -> impl Iterator<Item = (&str, &str, &Failure)> {
        self.rules.iter().flat_map(|rule| {
            rule.authorities.values().filter_map(|authority| {
                let failure = authority.broken()?;
                Some((rule.policy.name.as_str(), authority.name.as_str(), failure))
            })
        })
    }
}
