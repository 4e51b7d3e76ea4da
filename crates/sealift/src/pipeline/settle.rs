//! What became of pushes whose end nobody saw: their process was killed, or the answer was lost.
//!
//! The intent holds the exact commit ids. The branch's head is the last of them, or it stands in
//! bounded history: landed. A branch that stands where the push expects it: lost, or, while the
//! process that made it may still run, under way. One that went on from there without it: lost. Else
//! the slots decide: the new value (somebody else's hands), the old value (lost), another one
//! (superseded). Trailers are not asked: whoever can push can write them.
//!
//! Repositories are looked at side by side and within a bound for all, so that one that hangs holds
//! up the others for minutes at most, not for hours.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::stream::{self, StreamExt as _};
use rand::seq::SliceRandom as _;
use sealift_core::event::{Cause, IntendedWrite, PushResult};
use sealift_core::limits::{
    INTENT_OPEN_SECS_MAX, INTENT_ORPHAN_SECS_MAX, INTENT_UNDER_WAY_SECS_MAX, SETTLE_HISTORY_MAX,
    SETTLE_SECS_MAX,
};
use sealift_core::oid::Oid;
use sealift_core::reason::Reason;
use sealift_core::slot::Slot;
use sealift_git::{BranchName, Repository};
use tokio::time::{Instant, timeout_at};

use super::find::{find_slot, read_files};
use super::gather::remote_of;
use super::item::Item;
use super::unsettled::{Look, is_same_repository, surplus};
use super::{Context, Problem, live};
use crate::journal::OpenIntent;

/// What is known of an open intent.
pub(super) enum Found {
    Settled(Settled),
    /// It may land yet.
    UnderWay,
    /// Others took the time.
    NotReached,
}

type Looked = Vec<(OpenIntent, Result<Found, Problem>)>;

/// One that stays open, and why.
struct Stuck {
    open: OpenIntent,
    look: Look,
    problem: Problem,
}

/// Settles every open intent whose repository can be asked. The others stay open, with a notice,
/// until they are too old or too many.
pub(super) async fn settle(context: &Context<'_>, items: &[Item]) -> Result<(), Problem> {
    if context.dry_run {
        return Ok(());
    }
    let mut places: BTreeMap<String, Vec<OpenIntent>> = BTreeMap::new();
    for open in context.unsettled.take() {
        if is_for_later(context, &open, items) {
            context.unsettled.leave(open, Look::NotYet);
        } else {
            let place = open.intent.repository.as_str().to_owned();
            places.entry(place).or_default().push(open);
        }
    }
    let mut places: Vec<Vec<OpenIntent>> = places.into_values().collect();
    // Where the time does not suffice for all, it is not always the same that wait.
    places.shuffle(&mut rand::rng());
    let deadline = Instant::now() + Duration::from_secs(SETTLE_SECS_MAX);
    let work = places
        .into_iter()
        .map(|open| Box::pin(look(context, open, items, deadline)) as BoxFuture<'_, Looked>);
    let mut ended = stream::iter(work).buffer_unordered(context.repositories_at_once);
    let (mut stuck, mut recorded) = (Vec::new(), Ok(()));
    while let Some(looked) = ended.next().await {
        for (open, found) in looked {
            let done = conclude(context, open, found, &mut stuck);
            recorded = recorded.and(done);
        }
    }
    let goes = surplus(stuck.iter().map(|stuck| &stuck.open));
    for Stuck {
        open,
        look,
        problem,
    } in stuck
    {
        if goes.contains(&open.intent.intent) {
            let detail = format!("{}; given up: too many others are open", problem.detail);
            let cause = Some(Cause::new(problem.reason, detail));
            let done = record(context, open, (PushResult::Failed, cause, None));
            recorded = recorded.and(done);
        } else {
            context.unsettled.leave(open, look);
        }
    }
    recorded
}

/// A cycle on a few Applications leaves the others' pushes to a whole one, and one without those
/// that are not due leaves theirs until they are.
fn is_for_later(context: &Context<'_>, open: &OpenIntent, items: &[Item]) -> bool {
    let concerns = |item: &Item| {
        let id = item.application.id.to_string();
        open.intent.applications.contains(&id)
    };
    let later = context.not_due.is_some_and(|later| {
        let mut named = open.intent.applications.iter();
        named.any(|id| later.contains(id))
    });
    (context.among.is_some() || later) && !items.iter().any(concerns)
}

/// Looks at the open intents of one place, one after the other.
async fn look(
    context: &Context<'_>,
    open: Vec<OpenIntent>,
    items: &[Item],
    deadline: Instant,
) -> Looked {
    let mut looked = Vec::with_capacity(open.len());
    for open in open {
        let found = if Instant::now() < deadline {
            let found = timeout_at(deadline, settle_one(context, &open, items)).await;
            found.unwrap_or_else(|_| {
                Err(Problem {
                    reason: Reason::GitUnreachable,
                    detail: format!("no answer within {SETTLE_SECS_MAX} s"),
                })
            })
        } else {
            Ok(Found::NotReached)
        };
        looked.push((open, found));
    }
    looked
}

/// Records what is known for good; the rest is stuck.
fn conclude(
    context: &Context<'_>,
    open: OpenIntent,
    found: Result<Found, Problem>,
    stuck: &mut Vec<Stuck>,
) -> Result<(), Problem> {
    match found {
        Ok(Found::Settled(settled)) => record(context, open, settled),
        Ok(Found::NotReached) => {
            context.unsettled.leave(open, Look::NotYet);
            Ok(())
        }
        Ok(Found::UnderWay) => {
            let problem = Problem {
                reason: Reason::IntentOpen,
                detail: "its push may still be under way".to_owned(),
            };
            let look = Look::UnderWay;
            stuck.push(Stuck {
                open,
                look,
                problem,
            });
            Ok(())
        }
        Err(problem) if is_given_up(context, &problem, &open) => {
            let cause = Some(Cause::new(problem.reason, problem.detail));
            record(context, open, (PushResult::Failed, cause, None))
        }
        Err(problem) => {
            let subject = format!("{} {}", open.intent.repository, open.intent.branch);
            let said = context.notice(problem.reason, &subject, problem.detail.clone());
            let look = Look::Unanswered;
            stuck.push(Stuck {
                open,
                look,
                problem,
            });
            said
        }
    }
}

/// Records an outcome. An intent whose outcome is not in the record stays open.
fn record(context: &Context<'_>, open: OpenIntent, settled: Settled) -> Result<(), Problem> {
    let (result, cause, commit) = settled;
    let intent = open.intent.intent;
    context
        .settle(intent, result, cause, commit)
        .inspect(|()| tracing::info!(%intent, result = result.word(), "settled"))
        .inspect_err(|_| context.unsettled.leave(open, Look::Unanswered))
}

fn age_secs(context: &Context<'_>, open: &OpenIntent) -> u64 {
    let age = context.now().duration_since(open.time);
    // A time in the future is nobody's.
    age.unsigned_abs().as_secs()
}

/// Whether an intent is not waited for any longer.
fn is_given_up(context: &Context<'_>, problem: &Problem, open: &OpenIntent) -> bool {
    let secs_max = match problem.reason {
        // No wait makes a name of it.
        Reason::BranchInvalid => return true,
        // An Application that names its place may come back.
        Reason::IntentOrphaned => INTENT_ORPHAN_SECS_MAX,
        _ => INTENT_OPEN_SECS_MAX,
    };
    age_secs(context, open) > secs_max
}

pub(super) type Settled = (PushResult, Option<Cause>, Option<String>);

fn lost(detail: &str, commit: Option<String>) -> Settled {
    let cause = Cause::new(Reason::Lost, detail);
    (PushResult::Lost, Some(cause), commit)
}

async fn settle_one(
    context: &Context<'_>,
    open: &OpenIntent,
    items: &[Item],
) -> Result<Found, Problem> {
    let intent = &open.intent;
    if live::is_of_application(intent) {
        let settled = live::settle(context, intent, items).await;
        return settled.map(Found::Settled);
    }
    let branch: BranchName = intent.branch.parse().map_err(|error| Problem {
        reason: Reason::BranchInvalid,
        detail: super::chain(&error),
    })?;
    let owner = items.iter().find(|item| {
        is_same_repository(&item.application.repository, intent.repository.as_str())
            && intent
                .applications
                .contains(&item.application.id.to_string())
    });
    let owner = owner.ok_or_else(|| Problem {
        reason: Reason::IntentOrphaned,
        detail: format!(
            "intent `{}`: no Application names its repository",
            intent.intent
        ),
    })?;
    let remote = remote_of(context, &owner.application).await?;
    let mut repository = context
        .git
        .open(&remote)
        .await
        .map_err(|error| Problem::git(&error))?;
    let heads = repository
        .fetch(&[Some(branch.clone())])
        .await
        .map_err(|error| Problem::git(&error))?;
    let head = heads.branches().get(&branch).copied();
    let stands = head.map(|head| head.to_string());
    if stands == intent.expected {
        // Compare-and-swap: it can land here, and nowhere else.
        let young = age_secs(context, open) <= INTENT_UNDER_WAY_SECS_MAX;
        return Ok(match open.elsewhere && young {
            true => Found::UnderWay,
            false => Found::Settled(lost("the branch stands where it stood before", stands)),
        });
    }
    let Some(head) = head else {
        let gone = lost("the branch is not there any more", None);
        return Ok(Found::Settled(gone));
    };
    on_branch(&mut repository, head, open, items)
        .await
        .map(Found::Settled)
}

/// What a branch says that does not stand where the push expected it.
async fn on_branch(
    repository: &mut Repository,
    head: Oid,
    open: &OpenIntent,
    items: &[Item],
) -> Result<Settled, Problem> {
    let parsed = |commit: &String| commit.parse::<Oid>().ok();
    let pushed = open.intent.commits.last().and_then(parsed);
    if let Some(pushed) = pushed
        && is_in(repository, head, pushed).await?
    {
        return Ok((PushResult::Landed, None, Some(pushed.to_string())));
    }
    let expected = open.intent.expected.as_ref().and_then(parsed);
    let went_on = match expected.filter(|_| pushed.is_some()) {
        Some(expected) => is_in(repository, head, expected).await?,
        None => false,
    };
    let shown = by_values(repository, head, open, items).await?;
    Ok(match shown.0 {
        PushResult::Landed | PushResult::Failed if went_on => {
            let detail = "another push went on from where the branch stood";
            lost(detail, Some(head.to_string()))
        }
        _ => shown,
    })
}

async fn is_in(repository: &mut Repository, head: Oid, commit: Oid) -> Result<bool, Problem> {
    let held = repository.contains(head, commit, SETTLE_HISTORY_MAX).await;
    held.map_err(|error| Problem::git(&error))
}

/// Compares what the slots hold with what the intent would have written.
async fn by_values(
    repository: &mut Repository,
    head: Oid,
    open: &OpenIntent,
    items: &[Item],
) -> Result<Settled, Problem> {
    let mut found = BTreeSet::new();
    for write in &open.intent.writes {
        let same = |item: &&Item| {
            item.application.id.to_string() == write.application && item.repository() == write.image
        };
        let Some(item) = items.iter().find(same) else {
            continue;
        };
        let mut items = [Item::new(
            item.application.clone(),
            item.position,
            open.time,
        )];
        let files = read_files(repository, head, &mut items).await?;
        let Ok(slot) = find_slot(&items[0], &files) else {
            continue;
        };
        found.insert(compared(&slot, write));
    }
    Ok(shown_by(&found, Some(head.to_string())))
}

/// What a slot says of a write whose end nobody saw.
pub(super) fn compared(slot: &Slot, write: &IntendedWrite) -> &'static str {
    let current = slot.current.as_ref();
    let written = current.map(|current| current.written.clone());
    let reference = current.map(|current| current.image.to_string());
    let result = if reference.as_deref() == Some(write.new.as_str()) {
        PushResult::Landed
    } else if written == write.old {
        PushResult::Lost
    } else {
        PushResult::Superseded
    };
    result.word()
}

/// The result that the values of all slots show.
pub(super) fn shown_by(found: &BTreeSet<&'static str>, head: Option<String>) -> Settled {
    let cause = |reason, detail: &str| Some(Cause::new(reason, detail));
    match (found.len(), found.first().copied()) {
        (1, Some("landed")) => {
            let detail = "the values stand there, by whatever hand";
            (PushResult::Landed, cause(Reason::Landed, detail), head)
        }
        (_, Some(_)) if found.contains("superseded") => {
            let detail = "other values stand there now";
            (
                PushResult::Superseded,
                cause(Reason::Superseded, detail),
                head,
            )
        }
        (_, None) => {
            let cause = cause(Reason::IntentNotCompared, "");
            (PushResult::Failed, cause, head)
        }
        _ => {
            let detail = "the old values stand there";
            (PushResult::Lost, cause(Reason::Lost, detail), head)
        }
    }
}

/// Whether `commit` is on `branch` now; `None` when that cannot be found out.
pub(super) async fn landed(repository: &mut Repository, branch: &str, commit: Oid) -> Option<bool> {
    let branch: BranchName = branch.parse().ok()?;
    let heads = repository.fetch(&[Some(branch.clone())]).await.ok()?;
    let head = heads.branches().get(&branch).copied()?;
    repository
        .contains(head, commit, SETTLE_HISTORY_MAX)
        .await
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_nothing_can_be_compared_nothing_is_claimed() {
        let (result, cause, _) = shown_by(&BTreeSet::new(), Some("head".to_owned()));
        assert_eq!(result, PushResult::Failed);
        assert_eq!(cause.unwrap().reason, Reason::IntentNotCompared.into());
        let (result, ..) = shown_by(&BTreeSet::from(["lost"]), None);
        assert_eq!(result, PushResult::Lost);
    }
}
