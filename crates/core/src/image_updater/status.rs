//! What is said on an `ImageUpdater`: numbers, conditions, recent updates, and each image's
//! decision.
//!
//! Pure: the status before and the values of a cycle give the status after. Field names, reasons
//! and messages of the conditions `Reconciling`, `Error` and `Ready` are those of Argo CD Image
//! Updater; `images` and the condition `Contested` are ours. Kubernetes API conventions, "Typical
//! status properties".

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::event::{Considered, Decision};
use crate::limits::{STATUS_ITEMS_MAX, STATUS_REFRESH_SECS};
use crate::reason::Reason;

/// `status` of an `ImageUpdater`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ImageUpdaterStatus {
    /// The generation that the last cycle saw.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub observed_generation: Option<i64>,
    /// When the last cycle ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "date-time"))]
    pub last_checked_at: Option<String>,
    /// When a cycle last updated an image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "date-time"))]
    pub last_updated_at: Option<String>,
    /// Applications that it follows.
    #[serde(default)]
    #[schemars(extend("default" = null))]
    pub applications_matched: i32,
    /// Images that the last cycle considered.
    #[serde(default)]
    #[schemars(extend("default" = null))]
    pub images_managed: i32,
    /// What the last cycle updated that updated anything.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub recent_updates: Vec<RecentUpdate>,
    /// How it is.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
    /// What was decided about each image: what is undecided or refused first, at most 200.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "atomic"))]
    pub images: Vec<ImageStatus>,
}

/// One new version and where it went.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RecentUpdate {
    /// Alias of the image.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub alias: String,
    /// The image without its tag.
    pub image: String,
    /// The new tag, or the new digest where the strategy follows digests.
    pub new_version: String,
    /// Applications that got it.
    pub applications_updated: i32,
    /// When.
    #[schemars(extend("format" = "date-time"))]
    pub updated_at: String,
    /// From what to what, for people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
}

/// `metav1.Condition`
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Condition {
    /// `Reconciling`, `Error`, `Ready` or `Contested`.
    #[serde(rename = "type")]
    #[schemars(length(max = 316))]
    pub kind: String,
    /// Whether it holds.
    #[schemars(extend("enum" = ["True", "False", "Unknown"]))]
    pub status: String,
    /// The generation that it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub observed_generation: Option<i64>,
    /// Since when it holds, or does not.
    #[schemars(extend("format" = "date-time"))]
    pub last_transition_time: String,
    /// Why, for programs.
    #[schemars(
        length(min = 1, max = 1024),
        regex(pattern = r"^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$")
    )]
    pub reason: String,
    /// Why, for people.
    #[schemars(length(max = 32768))]
    pub message: String,
}

/// The decision about one image of one Application.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ImageStatus {
    /// Name of the Application.
    pub application: String,
    /// Alias of the image, or its name where it has none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub alias: String,
    /// What Git wants, or else what runs.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub current: String,
    /// The tag that won.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub candidate: String,
    /// Such as `updated`, `up-to-date` or `refused`.
    pub decision: String,
    /// The reason id.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// Since when it is so.
    #[schemars(extend("format" = "date-time"))]
    pub since: String,
}

/// What a cycle says of one image, as far as the status needs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageOutcome {
    image: ImageStatus,
    /// Empty where there is none.
    alias: String,
    repository: String,
    rank: u8,
    updated: Option<(String, String)>,
    /// It is of an earlier cycle.
    carried: bool,
}

/// One image of one Application that got a new version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change<'a> {
    /// Alias; may be empty.
    pub alias: &'a str,
    /// The image without its tag.
    pub image: &'a str,
    /// Before.
    pub old: &'a str,
    /// After.
    pub new: &'a str,
}

/// What a cycle says about one object.
#[derive(Debug, Clone, Default)]
pub struct Cycle {
    /// The generation that it saw.
    pub generation: Option<i64>,
    /// Applications that it follows.
    pub applications: usize,
    /// What was decided about their images.
    pub images: Vec<ImageOutcome>,
    /// Settings and Applications that could not be read.
    pub problems: usize,
    /// Applications that another object selects, too, in words.
    pub contested: Option<String>,
    /// Why nothing could be done at all.
    pub failure: Option<String>,
}

impl ImageOutcome {
    /// What the record of a consideration says.
    #[must_use]
    pub fn of(considered: &Considered, incomplete: bool) -> Self {
        let wanted = considered.inputs.wanted.as_ref();
        let current = wanted.or_else(|| considered.inputs.running.first());
        let current = current.map_or("", |text| version_of(text));
        let candidate = considered.candidate.as_ref();
        let first = considered.reasons.first();
        let digest = candidate.and_then(|one| Some(one.digest?.to_string()));
        let by_digest = considered.strategy == "digest";
        let updated = candidate.filter(|_| considered.decision == Decision::Updated);
        let updated = updated.map(|one| {
            let new = digest
                .filter(|_| by_digest)
                .unwrap_or_else(|| one.tag.clone());
            (current.to_owned(), new)
        });
        let application = considered.application.split_once('/');
        let alias = considered.image.alias.clone().unwrap_or_default();
        // Of several images without one, each is told by its name.
        let told_by = match alias.as_str() {
            "" => considered.image.written.clone(),
            alias => alias.to_owned(),
        };
        Self {
            image: ImageStatus {
                application: application.map_or("", |(_, name)| name).to_owned(),
                alias: told_by,
                current: current.to_owned(),
                candidate: candidate.map_or_else(String::new, |one| one.tag.clone()),
                decision: considered.decision.word().to_owned(),
                reason: first.map_or_else(String::new, |cause| cause.reason.to_string()),
                since: String::new(),
            },
            alias,
            carried: false,
            repository: considered.image.written.clone(),
            rank: match considered.decision {
                Decision::Failed => 0,
                Decision::Refused if incomplete => 0,
                Decision::Refused => 1,
                _ => 2,
            },
            updated,
        }
    }

    /// The same in a later cycle that did not look again: what was updated is no update of that one.
    #[must_use]
    pub fn carried(self) -> Self {
        Self {
            updated: None,
            carried: true,
            ..self
        }
    }

    /// What changed, where something did.
    #[must_use]
    pub fn change(&self) -> Option<Change<'_>> {
        let (old, new) = self.updated.as_ref()?;
        Some(Change {
            alias: &self.alias,
            image: &self.repository,
            old,
            new,
        })
    }
}

impl Cycle {
    /// Images that got a new version.
    #[must_use]
    pub fn updated(&self) -> usize {
        let updated = |one: &&ImageOutcome| one.updated.is_some();
        self.images.iter().filter(updated).count()
    }

    /// What could not be read, decided or done.
    #[must_use]
    pub fn errors(&self) -> usize {
        let failed = self.images.iter().filter(|one| one.rank == 0).count();
        failed + self.problems
    }

    /// Those of this cycle, for what counts up: what failed in an earlier one was counted there.
    #[must_use]
    pub fn new_errors(&self) -> usize {
        let old = |one: &&ImageOutcome| one.rank == 0 && one.carried;
        self.errors() - self.images.iter().filter(old).count()
    }
}

impl ImageUpdaterStatus {
    /// The status while a cycle runs.
    #[must_use]
    pub fn started(mut self, generation: Option<i64>, now: Timestamp) -> Self {
        let message = "Image update check in progress.".to_owned();
        self.set("Reconciling", true, "Reconciling", message, generation, now);
        self
    }

    /// Whether it is worth a write that a cycle begins: its end will be written anyway, because
    /// nothing was for long, or because the object is another one by now. Cycles follow each other
    /// closely where edits ask for them, and nobody could read so fast.
    #[must_use]
    pub fn start_is_due(&self, generation: Option<i64>, now: Timestamp) -> bool {
        !self.is_fresh(now) || self.observed_generation != generation
    }

    /// The status after a cycle.
    #[must_use]
    pub fn finished(mut self, cycle: &Cycle, now: Timestamp) -> Self {
        let count = |count: usize| i32::try_from(count).unwrap_or(i32::MAX);
        self.applications_matched = count(cycle.applications);
        self.images_managed = count(cycle.images.len());
        let updated = self.note_changes(cycle, now);
        self.images = images(&self.images, &cycle.images, now);
        self.end(cycle, updated, now);
        match &cycle.contested {
            Some(detail) => {
                let reason = "SeveralImageUpdaters";
                self.set(
                    "Contested",
                    true,
                    reason,
                    detail.clone(),
                    cycle.generation,
                    now,
                );
            }
            None => self.conditions.retain(|one| one.kind != "Contested"),
        }
        self
    }

    /// The status after a cycle on some Applications only, `looked_at` by name: what was decided
    /// about them and what was updated. Numbers and conditions are about all, and stay.
    #[must_use]
    pub fn partly_finished(
        mut self,
        cycle: &Cycle,
        looked_at: &BTreeSet<String>,
        now: Timestamp,
    ) -> Self {
        self.note_changes(cycle, now);
        let before = std::mem::take(&mut self.images);
        let mut decided = images(&before, &cycle.images, now);
        for image in before {
            if !looked_at.contains(&image.application) {
                self.images.push(image);
                continue;
            }
            let same = |one: &ImageStatus| {
                one.application == image.application && one.alias == image.alias
            };
            if let Some(place) = decided.iter().position(same) {
                self.images.push(decided.remove(place));
            }
        }
        // What is new needs a look first; the next whole cycle sorts them all.
        decided.append(&mut self.images);
        decided.truncate(STATUS_ITEMS_MAX);
        self.images = decided;
        self
    }

    /// The status after a cycle that came to no end. What was known before stays.
    #[must_use]
    pub fn failed(mut self, generation: Option<i64>, failure: String, now: Timestamp) -> Self {
        let cycle = Cycle {
            generation,
            failure: Some(failure),
            ..Cycle::default()
        };
        self.end(&cycle, 0, now);
        self
    }

    /// Takes over what was updated, and says of how many images.
    fn note_changes(&mut self, cycle: &Cycle, now: Timestamp) -> usize {
        let changes = cycle.images.iter().filter_map(ImageOutcome::change);
        let changes: Vec<Change<'_>> = changes.collect();
        if !changes.is_empty() {
            self.last_updated_at = Some(time(now));
            self.recent_updates = recent_updates(&changes, now);
        }
        changes.len()
    }

    /// What the end of every whole cycle says.
    fn end(&mut self, cycle: &Cycle, updated: usize, now: Timestamp) {
        self.observed_generation = cycle.generation;
        self.last_checked_at = Some(time(now));
        let message = "Last check completed. Awaiting next cycle.".to_owned();
        self.set("Reconciling", false, "Idle", message, cycle.generation, now);
        self.conclude(cycle, updated, now);
    }

    /// Whether `self` says something else than `before`, or says it again after so long that people
    /// would think nobody looks any more.
    #[must_use]
    pub fn is_due(&self, before: &Self, now: Timestamp) -> bool {
        let same = Self {
            last_checked_at: before.last_checked_at.clone(),
            ..self.clone()
        };
        !before.is_fresh(now) || same != *before
    }

    /// Whether somebody looked just now. A clock that was set back makes nothing fresh.
    fn is_fresh(&self, now: Timestamp) -> bool {
        let checked = self.last_checked_at.as_deref();
        let checked = checked.and_then(|text| text.parse::<Timestamp>().ok());
        let age = checked.map(|checked| now.duration_since(checked).as_secs());
        age.is_some_and(|age| (0..STATUS_REFRESH_SECS).contains(&age))
    }

    /// `Error` and `Ready`.
    fn conclude(&mut self, cycle: &Cycle, updated: usize, now: Timestamp) {
        let errors = cycle.errors();
        let matched = cycle.applications;
        let generation = cycle.generation;
        let (error, ready) = match (&cycle.failure, errors) {
            (Some(failure), _) => (
                (true, "ReconcileError", failure.clone()),
                (
                    false,
                    "ReconcileFailed",
                    format!("Reconciliation failed: {failure}"),
                ),
            ),
            (None, 0) => (
                (
                    false,
                    "NoErrors",
                    "No errors during last reconciliation.".to_owned(),
                ),
                (
                    true,
                    "ReconcileSucceeded",
                    format!("Reconciled {matched} applications, {updated} images updated."),
                ),
            ),
            (None, errors) => (
                (
                    true,
                    "PartialErrors",
                    format!("{errors} error(s) occurred during image update checks."),
                ),
                (
                    true,
                    "ReconcileCompletedWithErrors",
                    format!(
                        "Reconciled {matched} applications with {errors} errors, {updated} images \
                         updated."
                    ),
                ),
            ),
        };
        self.set("Error", error.0, error.1, error.2, generation, now);
        self.set("Ready", ready.0, ready.1, ready.2, generation, now);
    }

    /// Sets a condition. Its time changes only when its status does.
    fn set(
        &mut self,
        kind: &str,
        holds: bool,
        reason: &str,
        message: String,
        generation: Option<i64>,
        now: Timestamp,
    ) {
        let condition = Condition::new(kind, holds, reason, message, now);
        let observed_generation = generation;
        set(
            &mut self.conditions,
            Condition {
                observed_generation,
                ..condition
            },
        );
    }
}

impl Condition {
    /// Since `now`.
    pub(crate) fn new(
        kind: &str,
        holds: bool,
        reason: &str,
        message: String,
        now: Timestamp,
    ) -> Self {
        Self {
            kind: kind.to_owned(),
            status: if holds { "True" } else { "False" }.to_owned(),
            observed_generation: None,
            last_transition_time: time(now),
            reason: reason.to_owned(),
            message: message.chars().take(MESSAGE_CHARS_MAX).collect(),
        }
    }
}

/// Puts `condition` last, in place of the one of its kind. Its time changes only when its status
/// does.
pub(crate) fn set(conditions: &mut Vec<Condition>, mut condition: Condition) {
    let before = conditions.iter().position(|one| one.kind == condition.kind);
    let before = before.map(|at| conditions.remove(at));
    if let Some(before) = before.filter(|one| one.status == condition.status) {
        condition.last_transition_time = before.last_transition_time;
    }
    conditions.push(condition);
}

/// Characters of a condition's message. `metav1.Condition`.
const MESSAGE_CHARS_MAX: usize = 32_768;

/// Changes by image and new version, in the order of their first appearance.
#[must_use]
pub fn recent_updates(changes: &[Change<'_>], now: Timestamp) -> Vec<RecentUpdate> {
    let mut made: Vec<RecentUpdate> = Vec::new();
    let mut places: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    for change in changes {
        let name = match change.alias {
            "" => change.image,
            alias => alias,
        };
        let place = places.entry((name, change.new)).or_insert(made.len());
        if let Some(update) = made.get_mut(*place) {
            update.applications_updated = update.applications_updated.saturating_add(1);
            continue;
        }
        made.push(RecentUpdate {
            alias: change.alias.to_owned(),
            image: change.image.to_owned(),
            new_version: change.new.to_owned(),
            applications_updated: 1,
            updated_at: time(now),
            message: format!("Updated from {} to {}.", change.old, change.new),
        });
    }
    made.truncate(STATUS_ITEMS_MAX);
    made
}

/// The decisions, what needs a look first. One that is as it was keeps its time.
fn images(before: &[ImageStatus], outcomes: &[ImageOutcome], now: Timestamp) -> Vec<ImageStatus> {
    let mut sorted: Vec<&ImageOutcome> = outcomes.iter().collect();
    let key = |one: &ImageOutcome| (one.rank, one.image.application.clone());
    sorted.sort_by_cached_key(|one| key(one));
    sorted.truncate(STATUS_ITEMS_MAX);
    let place = |image: &ImageStatus| (image.application.clone(), image.alias.clone());
    let known: BTreeMap<_, _> = before.iter().map(|image| (place(image), image)).collect();
    let dated = sorted.into_iter().map(|one| {
        let image = one.image.clone();
        let known = known.get(&place(&image)).filter(|known| {
            let since = known.since.clone();
            ***known
                == ImageStatus {
                    since,
                    ..image.clone()
                }
        });
        ImageStatus {
            since: known.map_or_else(|| time(now), |known| known.since.clone()),
            ..image
        }
    });
    dated.collect()
}

/// Digest or tag of a reference; a text that is none is a version already.
fn version_of(text: &str) -> &str {
    if let Some((_, digest)) = text.split_once('@') {
        return digest;
    }
    let name_end = text.rfind('/').map_or(0, |at| at + 1);
    let last = text.get(name_end..).unwrap_or(text);
    last.split_once(':').map_or(text, |(_, tag)| tag)
}

/// `metav1.Time`: RFC 3339, UTC, whole seconds.
fn time(now: Timestamp) -> String {
    now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// Whether a refusal is one because not all was seen: `first` is the first of its reasons.
#[must_use]
pub const fn is_incomplete(decision: Decision, first: Option<Reason>) -> bool {
    use Reason::{EvidenceIncomplete, ListingIncomplete, MetadataUnreadable};
    matches!(decision, Decision::Refused)
        && matches!(
            first,
            Some(EvidenceIncomplete | ListingIncomplete | MetadataUnreadable)
        )
}
