//! Why an item of evidence does not count, or a clause does not hold.

use sealift_core::reason::Reason;

/// One reason with its particulars.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Failure {
    /// The stable reason.
    pub reason: Reason,
    /// The same for people: what was found, and what was wanted.
    pub detail: String,
    /// How far the item got. Of many failures the furthest one says most.
    #[serde(skip)]
    pub(crate) stage: Stage,
}

/// The steps of judging an item, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Stage {
    /// Nothing was there to begin with.
    Nothing,
    /// Reading it.
    Read,
    /// Whom it is about.
    Subject,
    /// Signature, certificate, logs and timestamps.
    Proof,
    /// Who signed.
    Identity,
    /// How well that is proven.
    Threshold,
    /// What it says.
    Predicate,
    /// When it was signed.
    Age,
    /// Everything about single items holds, and there are too few of them.
    Count,
}

impl Failure {
    pub(crate) fn new(stage: Stage, reason: Reason, detail: impl Into<String>) -> Self {
        let detail = detail.into();
        Self {
            reason,
            detail,
            stage,
        }
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ({})", self.detail, self.reason)
    }
}

/// The failure that got furthest; of equals, the first.
pub(crate) fn furthest(failures: impl IntoIterator<Item = Failure>) -> Option<Failure> {
    let mut best: Option<Failure> = None;
    for failure in failures {
        if best.as_ref().is_none_or(|best| failure.stage > best.stage) {
            best = Some(failure);
        }
    }
    best
}
