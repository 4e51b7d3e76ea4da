//! What a cycle did, as values. Events, terminal and JSON are rendered from these, so they cannot
//! disagree.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use sealift_core::application::Application;
use sealift_core::event::{Cause, Considered, Cycle, Decision, MaskedUrl, PushResult};
use sealift_core::image_updater::ImageUpdaterId;
use sealift_core::image_updater::status::{self, ImageOutcome, ImageUpdaterStatus};
use sealift_core::path::RepoPath;
use sealift_core::select::Ranking;
use serde::Serialize;

use super::item::Item;
use super::read::Kept;
use crate::schedule::Paced;
use crate::shadow::Difference;

/// Everything a cycle has to say.
#[derive(Debug, Default, Serialize)]
pub struct Report {
    /// One entry an image, in the order of the Applications and their images.
    pub considered: Vec<Entry>,
    /// What could not be read at all: documents, Applications, images. Each counts as an error.
    pub problems: Vec<Problem>,
    /// What was ignored or is deprecated.
    pub notices: Vec<Problem>,
    /// What was pushed, or would be.
    pub pushes: Vec<Push>,
    /// In shadow mode: where what is written now differs from what Sealift would have written.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub shadow: Vec<Difference>,
    /// What is to be said on each ImageUpdater.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub image_updaters: Vec<UpdaterReport>,
    /// Where in `image_updaters` each stands.
    #[serde(skip)]
    updater_places: BTreeMap<ImageUpdaterId, usize>,
    /// Applications with an interval of their own.
    #[serde(skip)]
    pub paced: BTreeMap<String, Paced>,
    /// Applications that were parsed.
    #[serde(skip)]
    pub parsed: u64,
    /// Images that were left out because they are not due.
    #[serde(skip)]
    carried: u64,
    /// The closing numbers.
    pub cycle: Cycle,
}

/// What a cycle says of one ImageUpdater.
#[derive(Debug, Serialize)]
pub struct UpdaterReport {
    /// `namespace/name`
    #[serde(serialize_with = "as_text")]
    pub image_updater: ImageUpdaterId,
    /// Where it stands.
    pub origin: String,
    /// Its status: the one before the cycle, and when the cycle has ended the one after it.
    pub status: ImageUpdaterStatus,
    /// Names of the Applications that the cycle looked at, where that is not all of them.
    #[serde(skip)]
    pub(super) looked_at: Option<BTreeSet<String>>,
    /// What the cycle has found so far.
    #[serde(skip)]
    pub(super) cycle: status::Cycle,
}

fn as_text<S: serde::Serializer>(id: &ImageUpdaterId, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(id)
}

impl UpdaterReport {
    /// Makes the status that the cycle ends with.
    pub(super) fn finish(&mut self, now: Timestamp) {
        let before = std::mem::take(&mut self.status);
        self.status = self.status_after(before, now);
    }

    /// What the cycle makes of the status before it.
    #[must_use]
    pub fn status_after(&self, before: ImageUpdaterStatus, now: Timestamp) -> ImageUpdaterStatus {
        match &self.looked_at {
            None => before.finished(&self.cycle, now),
            Some(looked_at) => before.partly_finished(&self.cycle, looked_at, now),
        }
    }

    /// Whether that is worth a write.
    #[must_use]
    pub fn is_due(
        &self,
        after: &ImageUpdaterStatus,
        before: &ImageUpdaterStatus,
        now: Timestamp,
    ) -> bool {
        match &self.looked_at {
            None => after.is_due(before, now),
            Some(_) => after != before,
        }
    }

    /// What the cycle has found.
    #[must_use]
    pub const fn found(&self) -> &status::Cycle {
        &self.cycle
    }
}

/// One image of one Application.
///
/// It holds what was found and shares the rest: the record of the consideration is several times
/// as large, and is made where somebody reads it.
pub struct Entry(Item);

/// Something that is wrong with what was read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// Object and field, or file and line.
    pub subject: String,
    /// The Application concerned, `namespace/name`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub application: Option<String>,
    /// Why, and the value.
    #[serde(flatten)]
    pub cause: Cause,
}

/// One push to one branch.
#[derive(Debug, Serialize)]
pub struct Push {
    /// The repository, masked.
    pub repository: MaskedUrl,
    /// The branch.
    pub branch: String,
    /// The commits, oldest first.
    pub commits: Vec<String>,
    /// The Applications, `namespace/name`.
    pub applications: Vec<String>,
    /// What became of it; `None` in a dry run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub result: Option<PushResult>,
    /// Why, where it did not simply land.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cause: Option<Cause>,
    /// The files before and after.
    pub files: Vec<FileDiff>,
}

/// One file before and after.
#[derive(Debug, Serialize)]
pub struct FileDiff {
    /// Where it is.
    pub path: String,
    /// Unified diff with three lines of context.
    pub diff: String,
}

impl FileDiff {
    /// Compares two states of a file. Bytes that are no UTF-8 are shown replaced; the edit itself
    /// never touches them.
    #[must_use]
    pub fn new(path: &RepoPath, before: Option<&[u8]>, after: &[u8]) -> Self {
        let old = String::from_utf8_lossy(before.unwrap_or_default());
        let new = String::from_utf8_lossy(after);
        let old_name = before.map_or_else(|| "/dev/null".to_owned(), |_| format!("a/{path}"));
        let diff = similar::TextDiff::from_lines(old.as_ref(), new.as_ref())
            .unified_diff()
            .context_radius(3)
            .header(&old_name, &format!("b/{path}"))
            .to_string();
        Self {
            path: path.to_string(),
            diff,
        }
    }
}

impl Report {
    /// Whether something failed or could not be decided: the exit code of `run --once`.
    #[must_use]
    pub fn has_errors(&self) -> bool {
        self.cycle.errors > 0 || self.cycle.incomplete > 0
    }

    /// Begins the report of an ImageUpdater.
    pub(super) fn add_updater(&mut self, updater: UpdaterReport) {
        let place = self.image_updaters.len();
        self.updater_places
            .insert(updater.image_updater.clone(), place);
        self.image_updaters.push(updater);
    }

    /// The cycle looked at some Applications only, `looked_at` by namespace and name. What it says
    /// of whole objects is not so.
    pub(super) fn narrow(&mut self, looked_at: &BTreeMap<String, BTreeSet<String>>) {
        for updater in &mut self.image_updaters {
            let names = looked_at.get(&updater.image_updater.namespace).cloned();
            updater.looked_at = Some(names.unwrap_or_default());
            updater.cycle = status::Cycle {
                generation: updater.cycle.generation,
                ..status::Cycle::default()
            };
        }
    }

    /// What the cycle says of an ImageUpdater.
    #[must_use]
    pub fn updater(&self, id: &ImageUpdaterId) -> Option<&UpdaterReport> {
        self.image_updaters.get(*self.updater_places.get(id)?)
    }

    /// The report of an ImageUpdater, to be added to.
    pub(super) fn updater_mut(&mut self, id: &ImageUpdaterId) -> Option<&mut UpdaterReport> {
        let place = self.updater_places.get(id)?;
        self.image_updaters.get_mut(*place)
    }

    /// Adds the decision about an image to the ImageUpdater that asked for it.
    pub(super) fn note_image(&mut self, item: &Item, considered: &Considered, kept: &Kept) {
        let Some(id) = item.application.origin.image_updater() else {
            return;
        };
        let first = considered
            .reasons
            .first()
            .and_then(|cause| cause.reason.known());
        let incomplete = status::is_incomplete(considered.decision, first);
        let outcome = ImageOutcome::of(considered, incomplete);
        kept.note(item, &outcome);
        if let Some(updater) = self.updater_mut(id) {
            updater.cycle.images.push(outcome);
        }
    }

    /// What is known of an Application may pass: its interval is no reason to wait with it.
    pub(super) fn look_again(&mut self, application: &str) {
        if let Some(paced) = self.paced.get_mut(application) {
            paced.again = true;
        }
    }

    /// Counts an Application that is not due, with what was decided about it last.
    pub(super) fn carry(
        &mut self,
        id: Option<&ImageUpdaterId>,
        application: &Application,
        outcomes: &[ImageOutcome],
    ) {
        self.cycle.applications += 1;
        self.carried += application.images.len() as u64;
        if let Some(updater) = id.and_then(|id| self.updater_mut(id)) {
            updater.cycle.images.extend_from_slice(outcomes);
        }
    }

    /// Counts the decisions into the closing numbers.
    pub(super) fn count(&mut self) {
        let count = |decision: Decision| {
            self.considered
                .iter()
                .filter(|e| e.decision() == decision)
                .count() as u64
        };
        let incomplete = self
            .considered
            .iter()
            .filter(|entry| entry.is_incomplete())
            .count();
        self.cycle.skipped = count(Decision::Skipped) + self.carried;
        self.cycle.updated = count(Decision::Updated) + count(Decision::WouldUpdate);
        self.cycle.refused = count(Decision::Refused) - incomplete as u64;
        self.cycle.incomplete = incomplete as u64;
        self.cycle.errors = count(Decision::Failed) + self.problems.len() as u64;
        self.cycle.considered = self.considered.len() as u64 + self.carried;
    }
}

impl Entry {
    pub(super) const fn of(item: Item) -> Self {
        Self(item)
    }

    /// The consideration, as in its event.
    #[must_use]
    pub fn considered(&self) -> Considered {
        self.0.considered()
    }

    /// What was decided.
    #[must_use]
    pub const fn decision(&self) -> Decision {
        self.0.decision()
    }

    /// The ImageUpdater that asked for it.
    #[must_use]
    pub fn image_updater(&self) -> Option<&ImageUpdaterId> {
        self.0.application.origin.image_updater()
    }

    /// Every tag with its fate, for `explain`.
    #[must_use]
    pub fn ranking(&self) -> Option<&Ranking> {
        self.0.ranked.as_deref().map(|ranked| &*ranked.ranking)
    }

    /// Whether nothing was chosen because the evidence was not whole.
    #[must_use]
    pub fn is_incomplete(&self) -> bool {
        let first = self
            .0
            .reasons()
            .first()
            .and_then(|cause| cause.reason.known());
        status::is_incomplete(self.decision(), first)
    }
}

impl Serialize for Entry {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.considered().serialize(serializer)
    }
}

impl std::fmt::Debug for Entry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.considered().fmt(f)
    }
}
