//! From changes to commits on a branch: judge, admit, edit, plan, record the intent, push, record
//! the outcome. In this order.

use std::collections::BTreeMap;

use jiff::Timestamp;
use rand::Rng as _;
use sealift_core::event::{
    Body, Cause, Decision, IntendedWrite, Intent, IntentId, MaskedUrl, PushResult,
};
use sealift_core::oid::Oid;
use sealift_core::reason::Reason;
use sealift_core::settings::own::CommitPer;
use sealift_core::slot;
use sealift_git::{Prepared, PushFailure, Repository};
use sealift_trust::{Admitted, Basis, Claim, admit};
use sealift_write::{Edit, FileText, Plan, PlanTarget, edit, plan};

use super::branch::{Attempt, Group, Target};
use super::find::{Change, Files, path_of, place};
use super::item::Item;
use super::report::{FileDiff, Push};
use super::unsettled::Look;
use super::{Context, Problem, chain, message};
use crate::journal::OpenIntent;

/// A change with its edit: what goes into the commit of its Application.
pub(super) struct Written {
    pub(super) change: Change,
    edit: Option<Edit>,
}

/// Pushes `changes` of `group` to one branch.
pub(super) async fn push_changes(
    context: &Context<'_>,
    repository: &mut Repository,
    group: &mut Group,
    target: Target,
    mut files: Files,
    changes: Vec<Change>,
    pushes: &mut Vec<Push>,
) -> Result<Attempt, Problem> {
    let now = context.now();
    let before = files.clone();
    let written = write_all(group, &target, &mut files, changes, now);
    let Some((plan, writes)) = planned(context, group, &target, written, now)? else {
        return Ok(Attempt::Done);
    };
    let changed: Vec<usize> = writes.iter().map(|(item, _)| *item).collect();
    let mut push = describe(group, &plan, &before, &files, &changed);
    if context.dry_run {
        finish(
            group,
            &changed,
            Decision::WouldUpdate,
            context.unwritten(),
            "nothing was written",
        );
        drop(plan);
        pushes.push(push);
        return Ok(Attempt::Done);
    }
    let signer = context.commit.signer.as_deref();
    let prepared = match repository.prepare(plan, signer).await {
        Ok(prepared) => prepared,
        Err(error) => {
            let (reason, detail) = (error.source.reason(), chain(&error));
            finish(group, &changed, Decision::Failed, reason, &detail);
            return Ok(Attempt::Done);
        }
    };
    push.commits = prepared
        .commit_ids()
        .iter()
        .map(ToString::to_string)
        .collect();
    let may = context.may_write().and_then(|()| {
        context
            .unsettled
            .may_send(&group.repository, &target.branch)
    });
    if let Err(problem) = may {
        let (reason, detail) = (problem.reason, &problem.detail);
        finish(group, &changed, Decision::Failed, reason, detail);
        return Ok(Attempt::Done);
    }
    let open = match record_intent(context, group, &target, &prepared, writes, now).await {
        Ok(open) => open,
        Err(problem) => {
            // Without an intent nothing is sent, so nothing is updated.
            let (reason, detail) = (problem.reason, &problem.detail);
            finish(group, &changed, Decision::Failed, reason, detail);
            return Err(problem);
        }
    };
    let intent = open.intent.intent;
    let sent = send(repository, group, prepared, &changed).await;
    push.result = Some(sent.result);
    push.cause = sent.cause.clone();
    pushes.push(push);
    if sent.end_seen {
        let commit = sent.commit.map(|oid| oid.to_string());
        context.settle(intent, sent.result, sent.cause, commit)?;
    } else {
        // The intent stays open: the next cycle, or the next start, finds out.
        context.unsettled.leave(open, Look::Unanswered);
    }
    Ok(sent.attempt)
}

/// Judges, admits and edits each change on the file as the one before left it.
fn write_all(
    group: &mut Group,
    target: &Target,
    files: &mut Files,
    changes: Vec<Change>,
    now: Timestamp,
) -> Vec<Written> {
    let mut written: Vec<Written> = Vec::new();
    for mut change in changes {
        let Some(item) = group.items.get_mut(change.item) else {
            continue;
        };
        let slot = format!("{} {} {}", group.repository, target.branch, change.slot.key);
        let result = admitted(item, &mut change, &slot, now)
            .and_then(|right| write_one(item, &change, &slot, files, right, now));
        match result {
            Ok(Outcome::Edited(edit)) => written.push(Written {
                change,
                edit: Some(edit),
            }),
            Ok(Outcome::Same(right)) => {
                let mut edits = written
                    .iter_mut()
                    .filter_map(|written| written.edit.as_mut());
                let right = edits.try_fold(right, |right, edit| match edit.join(right) {
                    Ok(()) => Err(()),
                    Err(right) => Ok(right),
                });
                match right {
                    // Another Application wants the same here: its edit carries this one, too.
                    Err(()) => written.push(Written { change, edit: None }),
                    Ok(_) => {
                        let detail = format!("`{}` stands there already", change.new);
                        item.decide(Decision::UpToDate, Reason::UpToDate, detail);
                    }
                }
            }
            Err(problem) => item.decide(problem.decision(), problem.reason, problem.detail),
        }
    }
    written
}

enum Outcome {
    Edited(Edit),
    Same(Admitted),
}

pub(super) fn admitted(
    item: &mut Item,
    change: &mut Change,
    slot: &str,
    now: Timestamp,
) -> Result<Admitted, Problem> {
    let verdict = change.verdict.take().ok_or_else(|| Problem {
        reason: Reason::Internal,
        detail: "the change was judged for another attempt".to_owned(),
    })?;
    let claim = Claim {
        slot: slot.to_owned(),
        old: change
            .slot
            .current
            .as_ref()
            .map(|current| current.written.clone()),
        new: change.new.to_string(),
    };
    let refused = |refusal: sealift_trust::Refusal| Problem {
        reason: refusal.reason(),
        detail: refusal.to_string(),
    };
    let right = admit(change.candidate.clone(), verdict, claim, now).map_err(refused)?;
    if let Basis::Waiver(waiver) = right.basis() {
        let detail = match waiver.reason() {
            Reason::UncheckedNoPolicy => String::new(),
            _ => waiver.kind().to_string(),
        };
        item.remark(waiver.reason(), detail);
    }
    Ok(right)
}

fn write_one(
    item: &Item,
    change: &Change,
    slot: &str,
    files: &mut Files,
    right: Admitted,
    now: Timestamp,
) -> Result<Outcome, Problem> {
    let path = path_of(item, files)
        .cloned()
        .unwrap_or_else(|| change.slot.key.path.clone());
    let bytes = files.get(&path).cloned().flatten();
    let place = place(item, &path).ok_or_else(|| Problem {
        reason: Reason::ApplicationUnsupported,
        detail: String::new(),
    })?;
    let rendered = slot::render(&place, bytes.as_deref(), &change.new);
    let rendered = rendered.map_err(|error| Problem {
        reason: error.reason(),
        detail: chain(&error),
    })?;
    if rendered.is_unchanged() {
        return Ok(Outcome::Same(right));
    }
    let file = FileText {
        path: path.clone(),
        bytes,
    };
    let edit = edit(&file, rendered.bytes.clone(), slot, right, now).map_err(|error| Problem {
        reason: error.reason(),
        detail: error.to_string(),
    })?;
    files.insert(path, Some(rendered.bytes));
    Ok(Outcome::Edited(edit))
}

type Writes = Vec<(usize, IntendedWrite)>;

/// Gathers the edits into commits. `None`: nothing is left to write.
fn planned(
    context: &Context<'_>,
    group: &Group,
    target: &Target,
    written: Vec<Written>,
    now: Timestamp,
) -> Result<Option<(Plan, Writes)>, Problem> {
    let mut writes = Vec::new();
    let mut commits: BTreeMap<(usize, String), (Vec<Change>, Vec<Edit>)> = BTreeMap::new();
    let mut order: BTreeMap<String, usize> = BTreeMap::new();
    for Written { change, edit } in written {
        let Some(item) = group.items.get(change.item) else {
            continue;
        };
        writes.push((change.item, intended(item, &change)));
        let per_branch = item.application.commit_per == CommitPer::Branch;
        let name = match context.commit.per_branch || per_branch {
            true => String::new(),
            false => item.application.id.to_string(),
        };
        let next = order.len();
        let position = *order.entry(name.clone()).or_insert(next);
        let (changes, edits) = commits.entry((position, name)).or_default();
        changes.push(change);
        edits.extend(edit);
    }
    // An Application that only rides on another's edit has no files of its own to commit.
    let commits: Vec<_> = commits
        .into_values()
        .filter(|(_, edits)| !edits.is_empty())
        .map(|(changes, edits)| (message::commit_text(context, group, &changes, now), edits))
        .collect();
    if commits.is_empty() {
        return Ok(None);
    }
    let target = PlanTarget {
        repository: group.repository.clone(),
        branch: target.branch.clone(),
        expected: target.expected,
        base: target.base,
    };
    let plan = plan(target, commits).map_err(|error| Problem {
        reason: error.reason(),
        detail: error.to_string(),
    })?;
    Ok(Some((plan, writes)))
}

pub(super) fn intended(item: &Item, change: &Change) -> IntendedWrite {
    IntendedWrite {
        application: item.application.id.to_string(),
        image: change.candidate.repository.clone(),
        path: change.slot.key.path.to_string(),
        routes: change.slot.key.routes.clone(),
        old: change
            .slot
            .current
            .as_ref()
            .map(|current| current.written.clone()),
        new: change.new.to_string(),
    }
}

fn describe(group: &Group, plan: &Plan, before: &Files, after: &Files, changed: &[usize]) -> Push {
    let items = changed.iter().filter_map(|index| group.items.get(*index));
    let mut applications: Vec<String> = items.map(|item| item.application.id.to_string()).collect();
    applications.dedup();
    let paths: std::collections::BTreeSet<_> = plan
        .commits()
        .iter()
        .flat_map(|commit| commit.files.keys())
        .collect();
    let files = paths.into_iter().map(|path| {
        let bytes = |files: &Files| files.get(path).cloned().flatten();
        FileDiff::new(
            path,
            bytes(before).as_deref(),
            &bytes(after).unwrap_or_default(),
        )
    });
    Push {
        repository: MaskedUrl::new(&group.repository),
        branch: plan.target().branch.clone(),
        commits: Vec::new(),
        applications,
        result: None,
        cause: None,
        files: files.collect(),
    }
}

/// Records what was decided and what is about to be pushed. Nothing is sent before this is on the
/// disk, or, where there is none, on the lease.
async fn record_intent(
    context: &Context<'_>,
    group: &mut Group,
    target: &Target,
    prepared: &Prepared,
    writes: Writes,
    now: Timestamp,
) -> Result<OpenIntent, Problem> {
    let mut applications: Vec<String> = writes
        .iter()
        .map(|(_, write)| write.application.clone())
        .collect();
    applications.dedup();
    let (positions, writes): (Vec<usize>, Vec<IntendedWrite>) = writes.into_iter().unzip();
    let intent = Intent {
        intent: IntentId::from_random(rand::rng().random()),
        repository: MaskedUrl::new(&group.repository),
        branch: target.branch.clone(),
        expected: target.expected.map(|oid| oid.to_string()),
        commits: prepared
            .commit_ids()
            .iter()
            .map(ToString::to_string)
            .collect(),
        writes,
        applications,
    };
    context.keep_intent(&intent, now).await?;
    for (position, write) in positions.into_iter().zip(&intent.writes) {
        if let Some(item) = group.items.get_mut(position) {
            decide_updated(context, item, write).inspect_err(|_| context.let_go(intent.intent))?;
        }
    }
    context.record_intent(intent, now)
}

/// Decides and records that an item is updated.
pub(super) fn decide_updated(
    context: &Context<'_>,
    item: &mut Item,
    write: &IntendedWrite,
) -> Result<(), Problem> {
    let old = write.old.as_deref().unwrap_or("nothing");
    let detail = format!("`{old}` → `{}`", write.new);
    item.decide(Decision::Updated, Reason::Newest, detail);
    context.record(&Body::Considered(Box::new(item.considered())))?;
    item.set_recorded();
    Ok(())
}

/// What is known of a push.
struct Sent {
    result: PushResult,
    cause: Option<Cause>,
    commit: Option<Oid>,
    attempt: Attempt,
    end_seen: bool,
}

async fn send(
    repository: &mut Repository,
    group: &mut Group,
    prepared: Prepared,
    changed: &[usize],
) -> Sent {
    let (branch, head) = (prepared.plan().target().branch.clone(), prepared.head());
    let landed = |cause| Sent {
        result: PushResult::Landed,
        cause,
        commit: Some(head),
        attempt: Attempt::Done,
        end_seen: true,
    };
    let error = match repository.push(prepared).await {
        Ok(_) => return landed(None),
        Err(error) => error,
    };
    let (reason, detail) = (error.failure.reason(), chain(&error));
    let cause = Some(Cause::new(reason, detail.clone()));
    let ended = |result, attempt, end_seen| Sent {
        result,
        cause: cause.clone(),
        commit: None,
        attempt,
        end_seen,
    };
    match error.failure {
        PushFailure::Moved => {
            for item in changed {
                if let Some(item) = group.items.get_mut(*item) {
                    item.reopen();
                }
            }
            return ended(PushResult::Moved, Attempt::Moved, true);
        }
        // The answer was lost, not necessarily the push: the branch says.
        PushFailure::Unknown { .. } => {
            let seen = super::settle::landed(repository, &branch, head).await;
            if seen == Some(true) {
                return landed(cause);
            }
            tracing::warn!(commit = %head, branch, "it is not known whether the push arrived");
            finish(group, changed, Decision::Failed, reason, &detail);
            return ended(PushResult::Failed, Attempt::Done, false);
        }
        _ => finish(group, changed, Decision::Failed, reason, &detail),
    }
    let refused = matches!(reason, Reason::BranchProtected | Reason::GitRefused);
    let result = if refused {
        PushResult::Refused
    } else {
        PushResult::Failed
    };
    ended(result, Attempt::Done, true)
}

/// Decides items anew, after what was planned for them did not happen.
fn finish(group: &mut Group, items: &[usize], decision: Decision, reason: Reason, detail: &str) {
    for index in items {
        if let Some(item) = group.items.get_mut(*index) {
            item.decide(decision, reason, detail);
        }
    }
}
