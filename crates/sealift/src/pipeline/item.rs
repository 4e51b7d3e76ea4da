//! One image of one Application on its way through a cycle: what is known about it so far, and its decision.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use sealift_core::application::{Application, ApplicationId, ImageRule};
use sealift_core::catalog::Catalog;
use sealift_core::digest::Digest;
use sealift_core::event::{self, Cause, Considered, Decision, Inputs, SlotSummary, TrustSummary};
use sealift_core::reason::Reason;
use sealift_core::reference::Reference;
use sealift_core::registries_conf::TagSortMode;
use sealift_core::select::{Candidates, Selection};

use super::report::Entry;
use super::survey::{Listing, Ranked};

/// One image of one Application.
pub(super) struct Item {
    pub(super) application: Arc<Application>,
    pub(super) position: usize,
    /// What the registry says, once it was asked.
    pub(super) listing: Option<Arc<Listing>>,
    /// The listing in order; none for the digest strategy.
    pub(super) ranked: Option<Arc<Ranked>>,
    selection: Arc<Selection>,
    considered: Considered,
    decided: bool,
    hinted: bool,
    recorded: bool,
}

impl Item {
    pub(super) fn new(
        application: Arc<Application>,
        position: usize,
        settings: BTreeMap<String, String>,
        now: Timestamp,
    ) -> Self {
        let rule = &application.images[position];
        let reference = &rule.configured.reference;
        let running = application.running.iter().filter(|live| runs(live, rule));
        let considered = Considered {
            application: application.id.to_string(),
            image: event::Image {
                alias: rule.configured.alias.clone(),
                written: reference.full_name(),
                repository: reference.canonical().to_string(),
            },
            strategy: rule.selection.strategy().name().to_owned(),
            constraint: rule.configured.constraint.clone(),
            inputs: Inputs {
                settings,
                catalog: None,
                wanted: None,
                running: running.map(ToString::to_string).collect(),
                now,
            },
            decision: Decision::Skipped,
            candidate: None,
            tags_dropped: BTreeMap::new(),
            reasons: Vec::new(),
            reasons_omitted: 0,
            trust: None,
            slot: None,
        };
        let selection = Arc::new(rule.selection.clone());
        Self {
            application,
            position,
            listing: None,
            ranked: None,
            selection,
            considered,
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
    pub(super) fn order(&self) -> (ApplicationId, usize) {
        (self.application.id.clone(), self.position)
    }

    /// What runs is a hint: where every running image of this one has the winner's tag (or the followed tag's digest), the
    /// answer stands without Git.
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
        self.considered.decision = decision;
        self.considered
            .reasons
            .insert(0, Cause::new(reason, detail));
        self.decided = true;
        self.recorded = false;
    }

    /// Opens the way again, because the branch moved. Remarks are made anew.
    pub(super) fn reopen(&mut self) {
        self.considered.reasons.clear();
        self.considered.trust = None;
        self.decided = false;
    }

    /// Adds a remark that decides nothing.
    pub(super) fn remark(&mut self, reason: Reason, detail: impl Into<String>) {
        self.considered.reasons.push(Cause::new(reason, detail));
    }

    /// Takes over what the registry said. An answer that is not whole decides: nothing is chosen from it.
    pub(super) fn set_answer(&mut self, listing: Arc<Listing>, ranked: Option<Arc<Ranked>>) {
        self.considered.inputs.catalog = Some(listing.summary.clone());
        if let Catalog::Incomplete(incomplete) = &listing.catalog {
            self.remark(incomplete.reason, incomplete.detail.clone());
            let read = format!("{} tags were read before the end", incomplete.tags_read);
            self.decide(Decision::Refused, Reason::ListingIncomplete, read);
        }
        if let Some(ranked) = &ranked {
            self.considered.tags_dropped = ranked.dropped.clone();
        }
        self.listing = Some(listing);
        self.ranked = ranked;
    }

    /// Says what Git wants.
    pub(super) fn set_wanted(&mut self, wanted: Option<String>) {
        self.considered.inputs.wanted = wanted;
    }

    /// Says where Git wants it.
    pub(super) fn set_slot(&mut self, slot: SlotSummary) {
        self.considered.slot = Some(slot);
    }

    /// Says what won.
    pub(super) fn set_candidate(&mut self, tag: &str, digest: Option<Digest>) {
        self.considered.candidate = Some(event::Candidate {
            tag: tag.to_owned(),
            digest,
        });
    }

    /// Says what was found about trust.
    pub(super) fn set_trust(&mut self, trust: TrustSummary) {
        self.considered.trust = Some(trust);
    }

    /// The record of the consideration so far.
    pub(super) const fn considered(&self) -> &Considered {
        &self.considered
    }

    /// The entry of the report.
    pub(super) fn into_entry(mut self) -> Entry {
        let reasons = std::mem::take(&mut self.considered.reasons);
        self.considered.set_reasons(reasons);
        let ranking = self.ranked.map(|ranked| Arc::clone(&ranked.ranking));
        Entry {
            considered: self.considered,
            ranking,
        }
    }
}

/// Whether a running image is the configured one, or the one that a Kustomize name stands for.
fn runs(live: &Reference, rule: &ImageRule) -> bool {
    let kustomize = rule.slot.kustomize_name.as_deref().map(Reference::parse);
    live.same_image(&rule.configured.reference)
        || kustomize.is_some_and(|name| live.same_image(&name))
}
