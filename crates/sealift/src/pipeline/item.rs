//! One image of one Application on its way through a cycle: what is known about it so far, and its
//! decision.

use std::sync::Arc;

use jiff::Timestamp;
use sealift_core::application::{Application, ApplicationId, ImageRule, SettingsOrigin};
use sealift_core::catalog::Catalog;
use sealift_core::digest::Digest;
use sealift_core::event::{self, Cause, Considered, Decision, Inputs, SlotSummary, TrustSummary};
use sealift_core::reason::Reason;
use sealift_core::reference::Reference;
use sealift_core::registries_conf::TagSortMode;
use sealift_core::select::{Candidates, Selection};

use super::survey::{Listing, Ranked};

/// One image of one Application.
///
/// Thousands of these live as long as a cycle does: what can be made of the Application, and what
/// many share, is not copied into each.
pub(super) struct Item {
    pub(super) application: Arc<Application>,
    pub(super) position: usize,
    /// What the registry says, once it was asked.
    pub(super) listing: Option<Arc<Listing>>,
    /// The listing in order; none for the digest strategy.
    pub(super) ranked: Option<Arc<Ranked>>,
    selection: Arc<Selection>,
    now: Timestamp,
    decision: Decision,
    reasons: Vec<Cause>,
    wanted: Option<String>,
    candidate: Option<event::Candidate>,
    trust: Option<Box<TrustSummary>>,
    slot: Option<Box<SlotSummary>>,
    decided: bool,
    hinted: bool,
    recorded: bool,
}

impl Item {
    pub(super) fn new(application: Arc<Application>, position: usize, now: Timestamp) -> Self {
        let selection = Arc::clone(&application.images[position].selection);
        Self {
            application,
            position,
            listing: None,
            ranked: None,
            selection,
            now,
            decision: Decision::Skipped,
            reasons: Vec::new(),
            wanted: None,
            candidate: None,
            trust: None,
            slot: None,
            decided: false,
            hinted: false,
            recorded: false,
        }
    }

    /// The image's settings.
    pub(super) fn rule(&self) -> &ImageRule {
        &self.application.images[self.position]
    }

    /// The images that run for this one, as hints.
    pub(super) fn running(&self) -> impl Iterator<Item = &Reference> {
        let rule = self.rule();
        self.application
            .running
            .iter()
            .filter(move |live| runs(live, rule))
    }

    /// What the tag is chosen by.
    pub(super) const fn selection(&self) -> &Arc<Selection> {
        &self.selection
    }

    /// Takes over what the operator says of the registry's listings.
    pub(super) fn set_tag_sort_mode(&mut self, mode: TagSortMode) {
        if mode != TagSortMode::Unsorted {
            Arc::make_mut(&mut self.selection).tag_sort_mode = mode;
        }
    }

    /// Position in the report.
    pub(super) fn order(&self) -> (&ApplicationId, usize) {
        (&self.application.id, self.position)
    }

    /// What runs is a hint: where every running image of this one has the winner's tag (or the
    /// followed tag's digest), the answer stands without Git.
    pub(super) fn hint(&mut self) {
        if let Some(tag) = self.running_winner() {
            self.set_candidate(&tag, None);
            let detail = format!("`{tag}` runs already; Git was not asked");
            self.decide(Decision::UpToDate, Reason::UpToDate, detail);
            self.hinted = true;
        }
    }

    /// The winner, if it is what every running image of this one is.
    fn running_winner(&self) -> Option<String> {
        let mut running = self.running().peekable();
        running.peek()?;
        if let Catalog::Single(single) = &self.listing.as_deref()?.catalog {
            let digest = single.digest?.to_string();
            let same = running.all(|image| image.digest.as_deref() == Some(digest.as_str()));
            return same.then(|| single.tag.to_string());
        }
        let ranking = &self.ranked.as_deref()?.ranking;
        let best = Candidates::new(ranking).best()?;
        let whole = ranking.unread().next().is_none();
        (whole && running.all(|image| image.tag.as_deref() == Some(best))).then(|| best.to_owned())
    }

    /// Whether it was decided by what runs alone.
    pub(super) const fn is_hinted(&self) -> bool {
        self.hinted
    }

    /// Notes that the consideration stands in the journal as it is now.
    pub(super) const fn set_recorded(&mut self) {
        self.recorded = true;
    }

    /// Whether the consideration stands in the journal.
    pub(super) const fn is_recorded(&self) -> bool {
        self.recorded
    }

    /// Whether the way of this image has come to its end.
    pub(super) const fn is_decided(&self) -> bool {
        self.decided
    }

    /// Ends the way with a decision and what decided it.
    pub(super) fn decide(&mut self, decision: Decision, reason: Reason, detail: impl Into<String>) {
        self.decision = decision;
        // One reason is usual: no room for more in each of thousands.
        self.reasons.reserve_exact(1);
        self.reasons.insert(0, Cause::new(reason, detail));
        self.decided = true;
        self.recorded = false;
    }

    /// Opens the way again, because the branch moved. Remarks are made anew.
    pub(super) fn reopen(&mut self) {
        self.reasons.clear();
        self.trust = None;
        self.decided = false;
    }

    /// Adds a remark that decides nothing.
    pub(super) fn remark(&mut self, reason: Reason, detail: impl Into<String>) {
        self.reasons.push(Cause::new(reason, detail));
    }

    /// Takes over what the registry said. An answer that is not whole decides: nothing is chosen
    /// from it.
    pub(super) fn set_answer(&mut self, listing: Arc<Listing>, ranked: Option<Arc<Ranked>>) {
        if let Catalog::Incomplete(incomplete) = &listing.catalog {
            self.remark(incomplete.reason, incomplete.detail.clone());
            let read = format!("{} tags were read before the end", incomplete.tags_read);
            self.decide(Decision::Refused, Reason::ListingIncomplete, read);
        }
        self.listing = Some(listing);
        self.ranked = ranked;
    }

    /// Says what Git wants.
    pub(super) fn set_wanted(&mut self, wanted: Option<String>) {
        self.wanted = wanted;
    }

    /// Says where Git wants it.
    pub(super) fn set_slot(&mut self, slot: SlotSummary) {
        self.slot = Some(Box::new(slot));
    }

    /// Says what won.
    pub(super) fn set_candidate(&mut self, tag: &str, digest: Option<Digest>) {
        self.candidate = Some(event::Candidate {
            tag: tag.to_owned(),
            digest,
        });
    }

    /// Says what was found about trust.
    pub(super) fn set_trust(&mut self, trust: TrustSummary) {
        self.trust = Some(Box::new(trust));
    }

    /// What is decided so far.
    pub(super) const fn decision(&self) -> Decision {
        self.decision
    }

    /// Why, what decided first.
    pub(super) fn reasons(&self) -> &[Cause] {
        &self.reasons
    }

    /// The canonical repository of the image.
    pub(super) fn repository(&self) -> String {
        self.rule().configured.reference.canonical().to_string()
    }

    /// The record of the consideration so far.
    pub(super) fn considered(&self) -> Considered {
        let rule = self.rule();
        let catalog = self.listing.as_ref().map(|listing| listing.summary.clone());
        let dropped = self.ranked.as_ref().map(|ranked| ranked.dropped.clone());
        let mut considered = Considered {
            application: self.application.id.to_string(),
            image: event::Image {
                alias: rule.configured.alias.clone(),
                written: rule.configured.reference.full_name(),
                repository: self.repository(),
            },
            strategy: rule.selection.strategy().name().to_owned(),
            constraint: rule.configured.constraint.clone(),
            inputs: Inputs {
                settings: self.application.written_for(self.position),
                origin: match &self.application.origin {
                    SettingsOrigin::Annotations => None,
                    origin => Some(origin.to_string()),
                },
                catalog,
                wanted: self.wanted.clone(),
                running: self.running().map(ToString::to_string).collect(),
                now: self.now,
            },
            decision: self.decision,
            candidate: self.candidate.clone(),
            tags_dropped: dropped.unwrap_or_default(),
            reasons: Vec::new(),
            reasons_omitted: 0,
            trust: self.trust.as_deref().cloned(),
            slot: self.slot.as_deref().cloned(),
        };
        considered.set_reasons(self.reasons.clone());
        considered
    }
}

/// Whether a running image is the configured one, or the one that a Kustomize name stands for.
fn runs(live: &Reference, rule: &ImageRule) -> bool {
    let kustomize = rule.slot.kustomize_name.as_deref().map(Reference::parse);
    live.same_image(&rule.configured.reference)
        || kustomize.is_some_and(|name| live.same_image(&name))
}
