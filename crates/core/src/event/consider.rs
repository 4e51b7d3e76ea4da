//! The record of one consideration: one image of one Application, in one cycle.

use std::collections::BTreeMap;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::text::{self, Cause, MaskedUrl, ReasonId};
use crate::catalog::Catalog;
use crate::digest::Digest;
use crate::limits;

/// Body of `considered`: what went in, what was decided, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Considered {
    /// The Application, `namespace/name`.
    pub application: String,
    /// The image.
    pub image: Image,
    /// Name of the strategy, for example `semver`.
    pub strategy: String,
    /// The version constraint, as written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub constraint: Option<String>,
    /// Everything the decision was made from.
    pub inputs: Inputs,
    /// The decision.
    pub decision: Decision,
    /// What won, if anything did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub candidate: Option<Candidate>,
    /// How many tags each reason took out of the race.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tags_dropped: BTreeMap<ReasonId, u64>,
    /// Why: first what decided, then particulars. At most 50.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reasons: Vec<Cause>,
    /// Reasons beyond the bound, which `sealift explain` shows.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub reasons_omitted: u64,
    /// What was found about trust, if it came to that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trust: Option<TrustSummary>,
    /// Where the value stands in Git, if that was looked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slot: Option<SlotSummary>,
}

/// One image of an Application's settings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Image {
    /// Its alias.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alias: Option<String>,
    /// The reference as written, without the constraint.
    pub written: String,
    /// The canonical repository, for example `docker.io/library/nginx`.
    pub repository: String,
}

/// Everything a decision was made from; with the catalogue and `now` it can be replayed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Inputs {
    /// The settings that applied to the image, by name, as written. Credentials are named there,
    /// never held.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub settings: BTreeMap<String, String>,
    /// Who says so, where it is not the Application by its annotations alone: the `ImageUpdater`
    /// that selects it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<String>,
    /// What the registry listed, if it was asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub catalog: Option<CatalogSummary>,
    /// What Git wants, as written there; absent if unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wanted: Option<String>,
    /// What the status says is running.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub running: Vec<String>,
    /// The time that counted as now.
    #[serde(with = "text::milliseconds")]
    #[schemars(with = "text::TimeText")]
    pub now: Timestamp,
}

/// A catalogue by digest and size.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CatalogSummary {
    /// SHA-256 over the tags in listing order, each with a line feed after it; over nothing if the
    /// catalogue is incomplete, since its tags are not kept.
    pub digest: Digest,
    /// Number of tags.
    pub tags: u64,
    /// How whole it is.
    pub wholeness: Wholeness,
}

/// How whole a catalogue is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Wholeness {
    /// Every tag.
    Complete,
    /// One tag, asked for by name.
    Single,
    /// Fewer than there are; nothing was chosen from it.
    Incomplete,
    /// A word of a newer version. Never written.
    #[serde(other)]
    #[schemars(skip)]
    Unknown,
}

/// What was decided about one image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Decision {
    /// A new value was admitted and planned. Whether it landed stands in the outcome of the intent
    /// that names the Application.
    Updated,
    /// Git already holds the winner.
    UpToDate,
    /// A rule forbids the winner, or the evidence is incomplete.
    Refused,
    /// There was nothing to choose, or nowhere to write.
    Skipped,
    /// Something could not be read or done.
    Failed,
    /// As `updated`, but nothing is written: a dry run, a plan, shadow mode.
    WouldUpdate,
    /// A word of a newer version. Never written.
    #[serde(other)]
    #[schemars(skip)]
    Unknown,
}

/// The chosen tag.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Candidate {
    /// The tag.
    pub tag: String,
    /// What it named when it was chosen; absent if it was dropped before that was asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<Digest>,
}

/// What was found about trust.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TrustSummary {
    /// The verdict.
    pub verdict: VerdictKind,
    /// What a waiver rests on: `no-policy`, `no-signatures`, `warn` or `exception`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waiver: Option<String>,
    /// The particulars: identity, source of the policy, id of the exception.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub detail: String,
    /// Digest of the policy that the verdict was reached under.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<Digest>,
    /// Digest of the evidence that it was reached from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evidence: Option<Digest>,
    /// Every clause that was judged.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub clauses: Vec<TrustClause>,
}

/// One clause of one policy, and what came of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TrustClause {
    /// The policy.
    pub policy: String,
    /// The clause.
    pub clause: String,
    /// Whether it holds.
    pub holds: bool,
    /// Why it does not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<ReasonId>,
    /// The particulars.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub detail: String,
    /// The exception that waives it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waived_by: Option<String>,
    /// Who vouched: authority and identity.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub signers: Vec<String>,
}

/// The verdict in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum VerdictKind {
    /// Proven.
    Trusted,
    /// Not proven.
    Refused,
    /// Let through without proof, for a recorded reason.
    Waived,
    /// A word of a newer version. Never written.
    #[serde(other)]
    #[schemars(skip)]
    Unknown,
}

/// Where a value stands in Git.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SlotSummary {
    /// The repository, masked.
    pub repository: MaskedUrl,
    /// The branch that is written.
    pub branch: String,
    /// The file, from the root of the repository.
    pub path: String,
    /// The keys inside the file that are written together.
    pub routes: Vec<String>,
}

impl Considered {
    /// Sets the reasons, cut to [`limits::EVENT_REASONS_MAX`] with a count of those left out.
    pub fn set_reasons(&mut self, reasons: impl IntoIterator<Item = Cause>) {
        let mut rest = reasons.into_iter();
        self.reasons = rest.by_ref().take(limits::EVENT_REASONS_MAX).collect();
        self.reasons_omitted = rest.count() as u64;
    }
}

impl CatalogSummary {
    /// The summary of a catalogue. Linear in its tags: make it once for all images that share one.
    #[must_use]
    pub fn of(catalog: &Catalog) -> Self {
        let lines = |tags: &[Box<str>]| {
            let mut bytes = Vec::new();
            for tag in tags {
                bytes.extend_from_slice(tag.as_bytes());
                bytes.push(b'\n');
            }
            (Digest::of(&bytes), tags.len() as u64)
        };
        let ((digest, tags), wholeness) = match catalog {
            Catalog::Complete(complete) => (lines(complete.tags()), Wholeness::Complete),
            Catalog::Single(single) => {
                (lines(std::slice::from_ref(&single.tag)), Wholeness::Single)
            }
            Catalog::Incomplete(incomplete) => (
                (Digest::of(b""), incomplete.tags_read as u64),
                Wholeness::Incomplete,
            ),
        };
        Self {
            digest,
            tags,
            wholeness,
        }
    }
}

impl Wholeness {
    /// The word as it is written.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Complete => "complete",
            Self::Single => "single",
            Self::Incomplete => "incomplete",
            Self::Unknown => "unknown",
        }
    }
}

impl Decision {
    /// Every decision that is written.
    pub const WORDS: [&'static str; 6] = [
        "updated",
        "up-to-date",
        "refused",
        "skipped",
        "failed",
        "would-update",
    ];

    /// The word as it is written.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Updated => "updated",
            Self::UpToDate => "up-to-date",
            Self::Refused => "refused",
            Self::Skipped => "skipped",
            Self::Failed => "failed",
            Self::WouldUpdate => "would-update",
            Self::Unknown => "unknown",
        }
    }
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde asks for this signature"
)]
const fn is_zero(count: &u64) -> bool {
    *count == 0
}
