//! Applications that are written themselves: write-back method `argocd`.
//!
//! Decide on what the watch says; where something is to be written, read the Application as it
//! stands now and go on only if it still says the same; judge, admit, record the intent, send one
//! patch that tests what it builds on, record the outcome. Where somebody was faster, begin again
//! at what stands there then, a bounded number of times.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use rand::Rng as _;
use sealift_core::event::{
    Cause, Decision, IntendedWrite, Intent, IntentId, MaskedUrl, PushResult, SlotSummary,
};
use sealift_core::limits::{PATCH_TRIES_MAX, PUSH_PAUSE_MS_MAX};
use sealift_core::manifest::ApplicationManifest;
use sealift_core::path::RepoPath;
use sealift_core::reason::Reason;
use sealift_core::settings::Method;
use sealift_core::slot::source::{Sources, choose};
use sealift_core::slot::{self, Format, Place, Slot, SourceImages};
use sealift_write::{SpecEdit, SpecPatch, spec_patch};
use serde_json::Value;

use super::find::{Change, change, choose_one, unsupported};
use super::item::Item;
use super::push::{admitted, decide_updated, intended};
use super::report::{FileDiff, Push};
use super::settle::{Settled, compared, shown_by};
use super::unsettled::Look;
use super::{Context, Problem, chain};
use crate::journal::OpenIntent;
use crate::objects::{LiveApplications, Patched};

/// How records name the place where Applications stand, before `namespace/name`.
pub(crate) const PLACE: &str = "applications.argoproj.io/";
/// An Application has no branches.
const NO_BRANCH: &str = "-";

/// Whether an item is written on the API server.
pub(super) fn is_live(item: &Item) -> bool {
    item.application.method == Method::ArgoCd
}

/// The items of each Application.
pub(super) fn by_application(items: Vec<Item>) -> Vec<Vec<Item>> {
    let mut applications: BTreeMap<String, Vec<Item>> = BTreeMap::new();
    for item in items {
        let id = item.application.id.to_string();
        applications.entry(id).or_default().push(item);
    }
    applications.into_values().collect()
}

/// How an attempt ended.
enum Attempt {
    /// Every item is decided.
    Done,
    /// Something else stands there: this.
    Moved(SourceImages),
}

/// Works through the images of one Application.
pub(super) async fn work(context: &Context<'_>, mut items: Vec<Item>) -> (Vec<Item>, Vec<Push>) {
    let mut pushes = Vec::new();
    if let Err(problem) = try_all(context, &mut items, &mut pushes).await {
        for item in items.iter_mut().filter(|item| !item.is_decided()) {
            let detail = problem.detail.clone();
            item.decide(problem.decision(), problem.reason, detail);
        }
    }
    (items, pushes)
}

async fn try_all(
    context: &Context<'_>,
    items: &mut [Item],
    pushes: &mut Vec<Push>,
) -> Result<(), Problem> {
    let (Some(first), Some(live)) = (items.first(), context.objects.live()) else {
        return Ok(());
    };
    let mut source = first.application.source_images.clone();
    for attempt in 0..PATCH_TRIES_MAX {
        if attempt > 0 {
            let bound_ms = PUSH_PAUSE_MS_MAX >> (PATCH_TRIES_MAX - attempt).min(6);
            let pause_ms = rand::rng().random_range(0..=bound_ms);
            tokio::time::sleep(Duration::from_millis(pause_ms)).await;
        }
        let mut changes = choose_all(context, items, &source).await;
        refuse_contested(items, &source, &mut changes);
        if changes.is_empty() {
            return Ok(());
        }
        let positions: Vec<usize> = changes.iter().map(|change| change.item).collect();
        match write(context, live, items, changes, pushes).await? {
            Attempt::Done => return Ok(()),
            Attempt::Moved(fresh) => source = fresh,
        }
        for position in positions {
            if let Some(item) = items.get_mut(position) {
                item.reopen();
            }
        }
    }
    Err(Problem {
        reason: Reason::ApplicationMoved,
        detail: format!("{PATCH_TRIES_MAX} times it had changed meanwhile"),
    })
}

/// Chooses for every undecided item, against what `source` says. Whatever is no change is decided.
async fn choose_all(
    context: &Context<'_>,
    items: &mut [Item],
    source: &SourceImages,
) -> Vec<Change> {
    let mut changes = Vec::new();
    for (position, item) in items.iter_mut().enumerate() {
        if item.is_decided() {
            continue;
        }
        let slot = match find(item, source) {
            Ok(slot) => slot,
            Err(problem) => {
                item.decide(problem.decision(), problem.reason, problem.detail);
                continue;
            }
        };
        item.set_slot(SlotSummary {
            repository: place_of(item),
            branch: NO_BRANCH.to_owned(),
            path: slot.key.path.to_string(),
            routes: slot.key.routes.clone(),
        });
        let current = slot.current.as_ref();
        item.set_wanted(current.map(|current| current.image.to_string()));
        if let Some(chosen) = choose_one(context, item, &slot).await {
            changes.push(change(item, position, slot, chosen));
        }
    }
    changes
}

/// The slot of an item in its Application's source. A file that overrides the source and is empty
/// says what the source says.
fn find(item: &Item, source: &SourceImages) -> Result<Slot, Problem> {
    let format = format_of(item).ok_or_else(|| unsupported(item))?;
    let invalid = |error: &dyn std::error::Error| Problem {
        reason: Reason::SlotNotFound,
        detail: chain(error),
    };
    let path = item.application.chosen.which.path();
    let path = RepoPath::join("", &path).map_err(|error| invalid(&error))?;
    let place = Place {
        path: &path,
        format,
        image: &item.rule().slot,
        source,
        manifest: None,
    };
    let slot = slot::find(&place, None).map_err(|error| invalid(&error))?;
    if slot.key.routes.is_empty() {
        return Err(Problem {
            reason: Reason::ApplicationUnsupported,
            detail: "a plugin's variables can be named by an `ImageUpdater` only".to_owned(),
        });
    }
    Ok(slot)
}

/// How the source of an item's Application holds images.
pub(super) fn format_of(item: &Item) -> Option<Format> {
    let image = &item.rule().slot;
    if image.plugin.is_target() {
        return Some(Format::PluginOverride);
    }
    Some(Format::of_source(item.application.chosen.app_type?, image))
}

fn place_of(item: &Item) -> MaskedUrl {
    MaskedUrl::new(&format!("{PLACE}{}", item.application.id))
}

/// Two images of one Application that go to the same place: both are refused unless they agree.
fn refuse_contested(items: &mut [Item], source: &SourceImages, changes: &mut Vec<Change>) {
    let mut wishes: BTreeMap<String, BTreeMap<usize, String>> = BTreeMap::new();
    for change in changes.iter() {
        for route in &change.slot.key.routes {
            let wish = wishes.entry(route.clone()).or_default();
            wish.insert(change.item, change.new.to_string());
        }
    }
    let kept = items.iter().enumerate();
    for (position, item) in kept.filter(|(_, item)| item.decision() == Decision::UpToDate) {
        let Ok(slot) = find(item, source) else {
            continue;
        };
        for (route, current) in slot.key.routes.iter().zip(slot.current.iter().cycle()) {
            if let Some(wish) = wishes.get_mut(route) {
                wish.insert(position, current.image.to_string());
            }
        }
    }
    for (route, wish) in wishes {
        let values: BTreeSet<&String> = wish.values().collect();
        if values.len() < 2 {
            continue;
        }
        let values: Vec<String> = values.iter().map(|value| format!("`{value}`")).collect();
        let detail = format!("`{route}` would hold {}", values.join(" and "));
        for position in wish.keys() {
            if let Some(item) = items.get_mut(*position).filter(|item| !item.is_decided()) {
                item.decide(Decision::Refused, Reason::SlotContested, detail.clone());
            }
        }
    }
    changes.retain(|change| {
        let item = items.get(change.item);
        item.is_some_and(|item| !item.is_decided())
    });
}

/// An Application as it stands now.
struct Fresh {
    whole: Value,
    images: SourceImages,
}

async fn read(live: &dyn LiveApplications, item: &Item) -> Result<Fresh, Problem> {
    let id = &item.application.id;
    let problem = |reason, detail: String| Problem { reason, detail };
    let gone = |detail: &str| problem(Reason::ApplicationGone, detail.to_owned());
    let whole = live.application(&id.namespace, &id.name).await;
    let whole = whole.map_err(|error| problem(Reason::ApiServerUnreachable, chain(&error)))?;
    let whole = whole.ok_or_else(|| gone("it was deleted; nothing was written"))?;
    let manifest = ApplicationManifest::from_value(whole.clone())
        .map_err(|error| problem(Reason::SettingInvalid, chain(&error)))?;
    let application = &item.application;
    let sources = Sources::of(&manifest.spec, &manifest.status);
    let chosen = choose(&sources, application.target.kind, false);
    let source = chosen.source(&manifest.spec);
    let source = source.filter(|_| chosen == application.chosen);
    let source = source.ok_or_else(|| gone("its sources changed; the next cycle looks anew"))?;
    let slots = application.images.iter().map(|rule| &rule.slot);
    let images = SourceImages::of(source, slots);
    Ok(Fresh { whole, images })
}

async fn write(
    context: &Context<'_>,
    live: &dyn LiveApplications,
    items: &mut [Item],
    changes: Vec<Change>,
    pushes: &mut Vec<Push>,
) -> Result<Attempt, Problem> {
    let Some(first) = items.first() else {
        return Ok(Attempt::Done);
    };
    let fresh = read(live, first).await?;
    for change in &changes {
        let Some(item) = items.get(change.item) else {
            continue;
        };
        let written = |slot: &Slot| slot.current.as_ref().map(|current| current.written.clone());
        if written(&find(item, &fresh.images)?) != written(&change.slot) {
            return Ok(Attempt::Moved(fresh.images));
        }
    }
    let (id, place) = (first.application.id.clone(), place_of(first));
    let (patch, writes, push) = planned(context, items, changes, &fresh)?;
    let Some((patch, mut push)) = patch.zip(push) else {
        return Ok(Attempt::Done);
    };
    let changed: Vec<usize> = writes.iter().map(|(position, _)| *position).collect();
    if context.dry_run {
        let (decision, reason) = (Decision::WouldUpdate, context.unwritten());
        decide(items, &changed, decision, reason, "nothing was written");
        pushes.push(push);
        return Ok(Attempt::Done);
    }
    context.may_write()?;
    context.unsettled.may_send(place.as_str(), NO_BRANCH)?;
    let open = record_intent(context, items, &fresh.whole, writes).await?;
    let intent = open.intent.intent;
    let (result, cause, version) = match live.patch(&id.namespace, &id.name, patch).await {
        Patched::Landed { version } => (PushResult::Landed, None, Some(version)),
        Patched::Moved { detail } => {
            let cause = Cause::new(Reason::ApplicationMoved, detail);
            (PushResult::Moved, Some(cause), None)
        }
        Patched::Refused { detail } => {
            let reason = Reason::ApiServerRefused;
            decide(items, &changed, Decision::Failed, reason, &detail);
            let cause = Cause::new(reason, detail);
            (PushResult::Refused, Some(cause), None)
        }
        Patched::Unknown { detail } => {
            let reason = Reason::ApiServerUnreachable;
            decide(items, &changed, Decision::Failed, reason, &detail);
            push.result = Some(PushResult::Failed);
            push.cause = Some(Cause::new(reason, detail));
            pushes.push(push);
            // The intent stays open: the next cycle, or the next start, finds out.
            context.unsettled.leave(open, Look::Unanswered);
            return Ok(Attempt::Done);
        }
    };
    push.result = Some(result);
    push.cause.clone_from(&cause);
    pushes.push(push);
    context.settle(intent, result, cause, version)?;
    if result == PushResult::Moved {
        // Whoever it was has written by now.
        let first = items.first().ok_or_else(|| Problem {
            reason: Reason::Internal,
            detail: "an Application without images was written".to_owned(),
        })?;
        return Ok(Attempt::Moved(read(live, first).await?.images));
    }
    Ok(Attempt::Done)
}

type Writes = Vec<(usize, IntendedWrite)>;

/// Admits each change and gathers them into one patch. No patch: every item is decided.
fn planned(
    context: &Context<'_>,
    items: &mut [Item],
    changes: Vec<Change>,
    fresh: &Fresh,
) -> Result<(Option<SpecPatch>, Writes, Option<Push>), Problem> {
    let now = context.now();
    let (mut writes, mut kept, mut rights) = (Writes::new(), Vec::new(), Vec::new());
    for mut change in changes {
        let Some(item) = items.get_mut(change.item) else {
            continue;
        };
        let slot = format!("{} {}", place_of(item), change.slot.key);
        match admitted(item, &mut change, &slot, now) {
            Ok(right) => {
                writes.push((change.item, intended(item, &change)));
                kept.push((change, slot));
                rights.push(right);
            }
            Err(problem) => item.decide(problem.decision(), problem.reason, problem.detail),
        }
    }
    let Some(first) = items.first().filter(|_| !kept.is_empty()) else {
        return Ok((None, writes, None));
    };
    let edits = kept
        .iter()
        .zip(rights)
        .filter_map(|((change, slot), admitted)| {
            let item = items.get(change.item)?;
            Some(SpecEdit {
                image: &item.rule().slot,
                format: format_of(item)?,
                slot,
                new: &change.new,
                admitted,
            })
        });
    let which = first.application.chosen.which;
    let planned = spec_patch(&fresh.whole, which, edits.collect(), now);
    let (patch, after) = planned.map_err(|error| Problem {
        reason: error.reason(),
        detail: chain(&error),
    })?;
    let push = describe(first, fresh, &after)?;
    Ok((Some(patch), writes, Some(push)))
}

fn describe(item: &Item, fresh: &Fresh, after: &Value) -> Result<Push, Problem> {
    let path = item.application.chosen.which.path();
    let before = fresh.whole.pointer(&format!("/{path}"));
    let text = |value: &Value| serde_json::to_string_pretty(value).unwrap_or_default() + "\n";
    let path = RepoPath::join("", &path).map_err(|error| Problem {
        reason: Reason::Internal,
        detail: chain(&error),
    })?;
    let (before, after) = (before.map(text).unwrap_or_default(), text(after));
    Ok(Push {
        repository: place_of(item),
        branch: NO_BRANCH.to_owned(),
        commits: Vec::new(),
        applications: vec![item.application.id.to_string()],
        result: None,
        cause: None,
        files: vec![FileDiff::new(
            &path,
            Some(before.as_bytes()),
            after.as_bytes(),
        )],
    })
}

/// Records what was decided and what is about to be sent. Nothing is sent before this is on the
/// disk, or, where there is none, on the lease.
async fn record_intent(
    context: &Context<'_>,
    items: &mut [Item],
    whole: &Value,
    writes: Writes,
) -> Result<OpenIntent, Problem> {
    let first = writes
        .first()
        .and_then(|(position, _)| items.get(*position));
    let first = first.ok_or_else(|| Problem {
        reason: Reason::Internal,
        detail: "a patch without a write".to_owned(),
    })?;
    let version = whole.pointer("/metadata/resourceVersion");
    let (repository, application) = (place_of(first), first.application.id.to_string());
    let (positions, writes): (Vec<usize>, Vec<IntendedWrite>) = writes.into_iter().unzip();
    let intent = Intent {
        intent: IntentId::from_random(rand::rng().random()),
        repository,
        branch: NO_BRANCH.to_owned(),
        expected: version.and_then(Value::as_str).map(str::to_owned),
        commits: Vec::new(),
        writes,
        applications: vec![application],
    };
    let now = context.now();
    let recorded = async {
        context.keep_intent(&intent, now).await?;
        for (position, write) in positions.iter().zip(&intent.writes) {
            if let Some(item) = items.get_mut(*position) {
                decide_updated(context, item, write)
                    .inspect_err(|_| context.let_go(intent.intent))?;
            }
        }
        context.record_intent(intent, now)
    };
    let recorded = recorded.await;
    if let Err(problem) = &recorded {
        // Without an intent nothing is sent, so nothing is updated.
        let (reason, detail) = (problem.reason, &problem.detail);
        decide(items, &positions, Decision::Failed, reason, detail);
    }
    recorded
}

fn decide(
    items: &mut [Item],
    positions: &[usize],
    decision: Decision,
    reason: Reason,
    detail: &str,
) {
    for position in positions {
        if let Some(item) = items.get_mut(*position) {
            item.decide(decision, reason, detail);
        }
    }
}

/// Whether an intent is about an Application itself.
pub(super) fn is_of_application(intent: &Intent) -> bool {
    intent.repository.as_str().starts_with(PLACE)
}

/// Settles an intent whose end nobody saw, by what stands in the Application now.
pub(super) async fn settle(
    context: &Context<'_>,
    intent: &Intent,
    items: &[Item],
) -> Result<Settled, Problem> {
    let named = |item: &&Item| {
        intent
            .applications
            .contains(&item.application.id.to_string())
    };
    let owner = items.iter().find(|item| named(item) && is_live(item));
    let (Some(owner), Some(live)) = (owner, context.objects.live()) else {
        return Err(Problem {
            reason: Reason::IntentOrphaned,
            detail: format!(
                "intent `{}`: its Application is not followed",
                intent.intent
            ),
        });
    };
    let fresh = read(live, owner).await?;
    let mut found = BTreeSet::new();
    for write in &intent.writes {
        let same = |item: &&Item| named(item) && item.repository() == write.image;
        let slots = items
            .iter()
            .filter(same)
            .filter_map(|item| find(item, &fresh.images).ok());
        if let Some(slot) = slots
            .into_iter()
            .find(|slot| slot.key.routes == write.routes)
        {
            found.insert(compared(&slot, write));
        }
    }
    let version = fresh.whole.pointer("/metadata/resourceVersion");
    let version = version.and_then(Value::as_str).map(str::to_owned);
    Ok(shown_by(&found, version))
}
