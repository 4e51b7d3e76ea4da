//! The pipeline: from Applications to commits, and an event for everything on the way. It is the
//! same for every source of objects.
//!
//! A cycle in order: `gather` reads Applications and settings, with `updaters` for those that
//! ImageUpdaters select and `project` for what AppProjects allow; `survey` asks registries; `branch` works through each Git repository:
//! `find` reads slots and chooses, `contest` refuses contradictions, `push` judges, admits, edits,
//! plans, records the intent and pushes. `live` does the same for an Application that is written
//! itself, on the API server. `settle` comes first: it finds out what became of pushes that a
//! process before this one did not see end; `unsettled` holds those of which it is not known.

mod branch;
mod chart;
mod contest;
pub(crate) mod examine;
mod find;
mod gather;
mod item;
pub(crate) mod live;
mod message;
mod project;
mod push;
pub mod read;
pub mod report;
mod resolve;
pub(crate) mod rights;
mod said;
mod settle;
pub(crate) mod survey;
pub(crate) mod trust;
mod unsettled;
mod updaters;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Instant;

use futures_util::future::BoxFuture;
use futures_util::stream::{self, StreamExt as _};
use jiff::Timestamp;
use sealift_core::event::{
    Body, Cause, Considered, Decision, Intent, IntentId, Notice, OpenIntentPlace, PushResult, open,
};
use sealift_core::image_updater::status;
use sealift_core::reason::Reason;
use sealift_core::template::Template;
use sealift_git::{GitError, Repositories, Signer};
use sealift_registry::RegistryError;
use sealift_write::Author;

use crate::cli::options::AnnotationsOption;
use crate::cluster::intents::{NotKept, OpenIntents};
use crate::cluster::lease::Leader;
use crate::journal::{Journal, OpenIntent};
use crate::metrics::Metrics;
use crate::objects::Objects;
use crate::policies::{InForce, Policies};
use crate::progress::Progress;
use crate::registries::Registries;
use item::Item;
use read::Kept;
use report::{Entry, Push, Report};
use resolve::Resolver;
use unsettled::Unsettled;

/// What a cycle works with: its parts, and what it remembers on the way.
pub struct Context<'a> {
    parts: Parts<'a>,
    progress: Progress,
    /// What tags were resolved to in this cycle.
    resolver: Resolver,
    /// What hangs on digests, in this cycle.
    witnesses: trust::Witnesses,
    /// Pushes whose end was not seen.
    unsettled: Unsettled,
}

impl<'a> std::ops::Deref for Context<'a> {
    type Target = Parts<'a>;

    fn deref(&self) -> &Parts<'a> {
        &self.parts
    }
}

/// The public parts of a [`Context`].
pub struct Parts<'a> {
    /// Where Kubernetes objects come from.
    pub objects: Arc<dyn Objects>,
    /// Registries, with their credentials.
    pub registries: &'a Registries,
    /// Cached repositories.
    pub git: &'a Repositories,
    /// The record. Without one nothing is written to Git.
    pub journal: Option<&'a Journal>,
    /// Counters for operators.
    pub metrics: Option<&'a Metrics>,
    /// The judge, and what outlives a cycle of policies.
    pub policies: &'a Policies,
    /// The policies of this cycle.
    pub in_force: InForce,
    /// How commits are made.
    pub commit: CommitSettings,
    /// The namespace of Argo CD.
    pub argocd_namespace: String,
    /// Which annotated Applications are followed that no ImageUpdater selects.
    pub annotations: AnnotationsOption,
    /// Decide and report, write nothing.
    pub dry_run: bool,
    /// What is written is somebody else's, to be compared: Git is always asked.
    pub shadow: bool,
    /// Repositories that are worked on at once.
    pub repositories_at_once: usize,
    /// Says whether this replica leads. None: there are no others.
    pub leader: Option<Leader>,
    /// The open intents on the lease.
    pub intents: Option<OpenIntents>,
    /// Look at this Application only.
    pub only: Option<&'a str>,
    /// Look at these Applications (`namespace/name`) and at those that are written to the same
    /// files, which may want something else of the same place.
    pub among: Option<&'a BTreeSet<String>>,
    /// Leave these Applications out, whose last answers count on.
    pub not_due: Option<&'a BTreeSet<String>>,
    /// What is kept of Applications from cycle to cycle.
    pub kept: &'a Kept,
    /// Spreads the first questions to repositories of one registry; random. None: nothing waits.
    pub spread: Option<u64>,
    /// Look in Git even where what runs is the winner, and at what no update needs.
    pub thorough: bool,
}

/// How commits are made.
#[derive(Clone)]
pub struct CommitSettings {
    /// Author and committer.
    pub author: Author,
    /// Whether a `Signed-off-by` line is added.
    pub sign_off: bool,
    /// The message.
    pub template: Arc<Template>,
    /// Signs every commit, where set.
    pub signer: Option<Arc<Signer>>,
    /// One commit a branch instead of one an Application.
    pub per_branch: bool,
}

/// Why something did not happen: a reason, and the particulars in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Problem {
    pub(crate) reason: Reason,
    pub(crate) detail: String,
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ({})", self.detail, self.reason)
    }
}

impl std::error::Error for Problem {}

impl Problem {
    pub(crate) fn git(error: &GitError) -> Self {
        Self {
            reason: error.reason(),
            detail: chain(error),
        }
    }

    pub(crate) fn registry(error: RegistryError) -> Self {
        Self {
            reason: error.reason(),
            detail: chain(&error),
        }
    }

    /// Rules refuse; everything else has failed.
    const fn decision(&self) -> Decision {
        match self.reason {
            Reason::NoPolicy
            | Reason::SlotContested
            | Reason::Downgrade
            | Reason::ProjectForbidden => Decision::Refused,
            _ => Decision::Failed,
        }
    }
}

/// An error with everything that caused it, in one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.ends_with(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    text
}

/// Runs one cycle.
///
/// # Errors
/// Objects cannot be read at all, or the journal cannot be written. Everything else is in the
/// report.
pub async fn cycle(context: &Context<'_>) -> anyhow::Result<Report> {
    let start = Instant::now();
    let requests_before = context.registries.requests();
    let now = context.now();
    let mut report = Report::default();
    let mut items = gather::gather(context, &mut report, now).await?;
    report
        .cycle
        .phases_ms
        .insert("gather".to_owned(), elapsed_ms(start));
    tracing::info!(
        "Starting image update cycle, considering {} application(s) for update",
        report.cycle.applications
    );
    settle::settle(context, &items).await?;
    let surveyed = Instant::now();
    survey::survey(context, &mut items, now).await;
    if !context.thorough && !context.shadow {
        hint_all(context, &mut items);
    }
    report
        .cycle
        .phases_ms
        .insert("registries".to_owned(), elapsed_ms(surveyed));
    let written = Instant::now();
    let (items, pushes) = write_all(context, items).await;
    report
        .cycle
        .phases_ms
        .insert("git".to_owned(), elapsed_ms(written));
    finish(context, &mut report, items, pushes)?;
    said::say(context, &report);
    report.cycle.duration_ms = elapsed_ms(start);
    report.cycle.requests = difference(&context.registries.requests(), &requests_before);
    context.record(&Body::Cycle(report.cycle.clone()))?;
    if let Some(journal) = context.journal {
        journal.flush()?;
    }
    match context.metrics {
        Some(metrics) if context.leads() => {
            metrics.cycle(&report.cycle, context.among.is_none(), context.now());
        }
        // Whoever leads by now counts what was found.
        Some(metrics) => metrics.set_ready(),
        None => {}
    }
    Ok(report)
}

/// What runs is a hint: where it is the winner already, Git is not asked. A policy that pins what
/// Git wants has to see what stands there.
fn hint_all(context: &Context<'_>, items: &mut [Item]) {
    let mut policies = context.in_force.set().policies();
    let some_adopt = policies.any(|policy| policy.effective.adopt);
    for item in items.iter_mut().filter(|item| !item.is_decided()) {
        if !(some_adopt && trust::policy_of(context, item).adopts()) {
            item.hint();
        }
    }
}

/// Items that are decided, and what was pushed for them.
type Written = (Vec<Item>, Vec<Push>);

/// Works through all Git repositories and live Applications, some at once, each once.
async fn write_all(context: &Context<'_>, mut items: Vec<Item>) -> Written {
    let live: Vec<Item> = items.extract_if(.., |item| live::is_live(item)).collect();
    let (mut done, groups) = gather::group(context, items).await;
    let applications = live::by_application(live);
    context
        .progress
        .phase("writing to repositories", groups.len() + applications.len());
    let applications = applications
        .into_iter()
        .map(|items| Box::pin(live::work(context, items)) as BoxFuture<'_, Written>);
    let work = groups
        .into_values()
        .map(|groups| Box::pin(branch::work(context, groups)) as BoxFuture<'_, Written>);
    let work = work.chain(applications);
    let mut pushes = Vec::new();
    let mut ended = stream::iter(work).buffer_unordered(context.repositories_at_once);
    while let Some((items, pushed)) = ended.next().await {
        context.progress.step();
        done.extend(items);
        pushes.extend(pushed);
    }
    done.sort_by(|left, right| left.order().cmp(&right.order()));
    pushes.sort_by(|left, right| {
        (&left.repository, &left.branch).cmp(&(&right.repository, &right.branch))
    });
    (done, pushes)
}

/// Records what is not recorded yet, and counts.
fn finish(
    context: &Context<'_>,
    report: &mut Report,
    items: Vec<Item>,
    pushes: Vec<Push>,
) -> anyhow::Result<()> {
    let mut unchecked = 0_u64;
    let counts = context.metrics.filter(|_| context.leads());
    for item in &items {
        let considered = item.considered();
        if considered
            .trust
            .as_ref()
            .is_some_and(|trust| trust.waiver.is_some())
        {
            unchecked += 1;
        }
        if let Some(metrics) = counts {
            metrics.considered(&considered);
        }
        report.note_image(item, &considered, context.kept);
        if is_passing(&considered) {
            report.look_again(&considered.application);
        }
        if !item.is_recorded() {
            context.record(&Body::Considered(Box::new(considered)))?;
        }
    }
    // In place: there are thousands.
    report.considered = items.into_iter().map(Entry::of).collect();
    let of_open = context.unsettled.applications();
    of_open.iter().for_each(|id| report.look_again(id));
    let now = context.now();
    report
        .image_updaters
        .iter_mut()
        .for_each(|one| one.finish(now));
    if unchecked > 0 && !context.dry_run {
        tracing::warn!(
            images.unchecked = unchecked,
            reason = Reason::UncheckedNoPolicy.id(),
            "wrote images that no policy governs"
        );
    }
    for push in &pushes {
        if let (Some(metrics), Some(result)) = (context.metrics, push.result) {
            metrics.push(result);
        }
    }
    report.pushes = pushes;
    report.count();
    Ok(())
}

/// Whether an image failed, or what was learnt about it was not whole.
fn is_passing(considered: &Considered) -> bool {
    let first = considered.reasons.first();
    let first = first.and_then(|cause| cause.reason.known());
    considered.decision == Decision::Failed || status::is_incomplete(considered.decision, first)
}

fn elapsed_ms(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX)
}

fn difference(
    after: &BTreeMap<String, u64>,
    before: &BTreeMap<String, u64>,
) -> BTreeMap<String, u64> {
    after
        .iter()
        .map(|(kind, count)| (kind.clone(), count - before.get(kind).copied().unwrap_or(0)))
        .filter(|(_, count)| *count > 0)
        .collect()
}

impl<'a> Context<'a> {
    /// A context for one cycle.
    #[must_use]
    pub fn new(parts: Parts<'a>, unsettled: Vec<OpenIntent>) -> Self {
        Self {
            parts,
            progress: Progress::new(),
            resolver: Resolver::default(),
            witnesses: trust::Witnesses::default(),
            unsettled: Unsettled::new(unsettled),
        }
    }

    /// Pushes whose end has still not been seen, for the next cycle.
    pub fn into_unsettled(self) -> Vec<OpenIntent> {
        self.unsettled.into_open()
    }

    /// Why nothing is written, where nothing may be.
    const fn unwritten(&self) -> Reason {
        if self.parts.shadow {
            Reason::Shadow
        } else {
            Reason::DryRun
        }
    }

    /// Asked last before anything is sent: another replica may lead by now.
    fn may_write(&self) -> Result<(), Problem> {
        if self.leads() {
            return Ok(());
        }
        Err(Problem {
            reason: Reason::LeadershipLost,
            detail: "the lease was not renewed in time; nothing was written".to_owned(),
        })
    }

    fn leads(&self) -> bool {
        self.leader.as_ref().is_none_or(Leader::leads)
    }

    fn now(&self) -> Timestamp {
        Timestamp::now()
    }

    fn record(&self, body: &Body) -> Result<(), Problem> {
        let Some(journal) = self.journal else {
            return Ok(());
        };
        journal
            .record(body, self.now())
            .map(|_| ())
            .map_err(|error| not_recorded(&error))
    }

    /// Keeps an intent on the lease, where there is no disk, and makes sure that we still lead.
    async fn keep_intent(&self, intent: &Intent, now: Timestamp) -> Result<(), Problem> {
        let (Some(intents), Some(journal)) = (&self.intents, self.journal) else {
            return self.may_write();
        };
        let kept = open::Kept::new(journal.head().chain, now, intent);
        intents.hold(kept).await.map_err(|error| Problem {
            reason: match error {
                NotKept::NotOurs => Reason::LeadershipLost,
                _ => Reason::IntentNotKept,
            },
            detail: chain(&error),
        })?;
        // That took its time.
        self.may_write().inspect_err(|_| intents.end(intent.intent))
    }

    /// Records an intent and returns when it is on the disk.
    fn record_intent(&self, intent: Intent, now: Timestamp) -> Result<OpenIntent, Problem> {
        let recorded = self.journalled(&intent, now);
        let place = recorded.inspect_err(|_| self.let_go(intent.intent))?;
        Ok(OpenIntent {
            intent,
            time: now,
            place,
            elsewhere: false,
        })
    }

    fn journalled(&self, intent: &Intent, now: Timestamp) -> Result<OpenIntentPlace, Problem> {
        let journal = self.journal.ok_or_else(|| Problem {
            reason: Reason::Internal,
            detail: "there is no journal; nothing was pushed".to_owned(),
        })?;
        let body = Body::Intent(Box::new(intent.clone()));
        let head = journal
            .record_durably(&body, now)
            .map_err(|error| not_recorded(&error))?;
        Ok(OpenIntentPlace {
            intent: intent.intent,
            sequence: head.sequence,
            segment: 0,
        })
    }

    /// An intent that is open no more leaves the lease.
    fn let_go(&self, intent: IntentId) {
        if let Some(intents) = &self.intents {
            intents.end(intent);
        }
    }

    fn settle(
        &self,
        intent: IntentId,
        result: PushResult,
        cause: Option<Cause>,
        commit: Option<String>,
    ) -> Result<(), Problem> {
        let Some(journal) = self.journal else {
            return Ok(());
        };
        journal
            .settle(intent, result, cause, commit, self.now())
            .map_err(|error| not_recorded(&error))?;
        self.let_go(intent);
        Ok(())
    }

    fn notice(&self, reason: Reason, subject: &str, detail: String) -> Result<(), Problem> {
        let cause = Cause::new(reason, detail);
        let subject = subject.to_owned();
        self.record(&Body::Notice(Notice {
            cause,
            subject,
            application: None,
        }))
    }
}

fn not_recorded(error: &crate::journal::JournalError) -> Problem {
    Problem {
        reason: Reason::Internal,
        detail: chain(error),
    }
}
