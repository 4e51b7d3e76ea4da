//! A policy after reading: profile and defaults filled in, names resolved, patterns compiled. What
//! `sealift_trust` judges by.
//!
//! Made from valid documents alone; nothing here can contradict itself.

use std::collections::{BTreeMap, BTreeSet};

use super::identity::Identity;
use super::predicate::PredicateTypes;
use super::spec::{
    FileSource, MaxChange, Mode, OnRefused, Pin, Sct, SubjectRule, Transparency, TrustRootSpec,
};
use crate::digest::Digest;
use crate::strategy::Strategy;

/// One policy in force.
#[derive(Debug, Clone)]
pub struct Effective {
    /// `namespace/name`, or the name alone for a cluster-wide one.
    pub name: String,
    /// SHA-256 of the canonical JSON of kind, name and spec.
    pub hash: Digest,
    /// Whether a failed clause refuses.
    pub mode: Mode,
    /// What happens when the newest candidate is refused.
    pub on_refused: OnRefused,
    /// What must carry signatures and attestations.
    pub subject: SubjectRule,
    /// The signatures it demands. `None`: none, and the document says why.
    pub signatures: Option<Demand>,
    /// Why no signature is demanded.
    pub unsafe_reason: Option<String>,
    /// The attestations it demands.
    pub attestations: Vec<AttestationDemand>,
    /// What kind of move it allows.
    pub update: UpdateDemand,
    /// Registries it allows, by whole path segments. Empty: every one.
    pub allowed_registries: Vec<String>,
    /// What is written of the reference.
    pub pin: Pin,
    /// Whether what Git wants already is pinned, too.
    pub adopt: bool,
    /// Whether the digest may not stand in a key by itself.
    pub forbid_digest_key: bool,
    /// Who may sign, by name.
    pub authorities: BTreeMap<String, Authority>,
}

impl Effective {
    /// Names of the clauses that it demands, in the order in which they are judged.
    #[must_use]
    pub fn clauses(&self) -> Vec<String> {
        let update = &self.update;
        let mut clauses = Vec::new();
        let mut demand = |demanded: bool, name: &str| {
            if demanded {
                clauses.push(name.to_owned());
            }
        };
        demand(!self.allowed_registries.is_empty(), ALLOWED_REGISTRIES);
        demand(!update.strategies.is_empty(), "update.strategies");
        demand(update.require_constraint, "update.requireConstraint");
        demand(update.max_change.is_some(), "update.maxChange");
        demand(update.forbid_prereleases, "update.prereleases");
        demand(update.forbid_downgrades, "update.downgrades");
        demand(self.signatures.is_some(), "signatures");
        let attestations = self.attestations.iter();
        clauses.extend(attestations.map(|demand| format!("attestations.{}", demand.name)));
        clauses
    }
}

/// The clause that no exception waives.
pub const ALLOWED_REGISTRIES: &str = "allowedRegistries";

/// How many distinct signers, and which.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Demand {
    /// At least so many distinct ones; never 0, never more than there are.
    pub at_least: usize,
    /// Names of the authorities.
    pub of: BTreeSet<String>,
    /// Those that must be among them; a part of `of`.
    pub including: BTreeSet<String>,
    /// Greatest age since the proven time of signing, in seconds. It does not bind keys that prove
    /// no time (no logs, no timestamps); at least one authority of `of` proves one.
    pub max_age_secs: Option<i64>,
}

/// An attestation that must be there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttestationDemand {
    /// For messages; the name of the clause is `attestations.<name>`.
    pub name: String,
    /// Predicate types, any of them; a short name stands for all that it means.
    pub predicate_types: PredicateTypes,
    /// How many, and whose.
    pub require: Demand,
}

/// What kind of move is allowed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct UpdateDemand {
    /// Strategies that may choose. Empty: every one.
    pub strategies: BTreeSet<Strategy>,
    /// Whether the image must have a constraint.
    pub require_constraint: bool,
    /// The largest change.
    pub max_change: Option<MaxChange>,
    /// Whether pre-releases are forbidden.
    pub forbid_prereleases: bool,
    /// Whether downgrades are forbidden, `allow-downgrade` or not.
    pub forbid_downgrades: bool,
}

/// Who may sign, and how that must be proven.
#[derive(Debug, Clone)]
pub struct Authority {
    /// Its name.
    pub name: String,
    /// Keys or an identity.
    pub who: Who,
    /// Whose word counts. `None`: a key authority that asks nobody.
    pub root: Option<TrustRootSpec>,
    /// Distinct transparency logs.
    pub min_logs: usize,
    /// Distinct timestamp authorities.
    pub min_timestamps: usize,
    /// What a log entry must hold.
    pub transparency: Transparency,
    /// Whether a certificate must carry an SCT.
    pub sct: Sct,
}

/// Keys or an identity.
#[derive(Debug, Clone)]
pub enum Who {
    /// Holders of any of these keys.
    Keys(Vec<FileSource>),
    /// An identity in a certificate.
    Keyless(Box<Identity>),
}
