//! What became of pushes whose end nobody saw: their process was killed, or the answer was lost.
//!
//! The intent holds the exact commit ids. The branch's head is the last of them, or it stands in
//! bounded history: landed. Else the slots decide: the new value (somebody else's hands), the old
//! value (lost), another one (superseded). Trailers are not asked: whoever can push can write them.

use std::collections::BTreeSet;

use sealift_core::event::{Cause, IntendedWrite, PushResult};
use sealift_core::limits::{INTENT_ORPHAN_SECS_MAX, SETTLE_HISTORY_MAX};
use sealift_core::oid::Oid;
use sealift_core::reason::Reason;
use sealift_core::secret::masked_url;
use sealift_core::slot::Slot;
use sealift_git::{BranchName, GitUrl, Repository};

use super::find::{find_slot, read_files};
use super::gather::remote_of;
use super::item::Item;
use super::{Context, Problem, live};
use crate::journal::OpenIntent;

/// Settles every open intent whose repository can be asked. The others stay open, with a notice.
pub(super) async fn settle(context: &Context<'_>, items: &[Item]) -> Result<(), Problem> {
    if context.dry_run {
        return Ok(());
    }
    let open = std::mem::take(&mut *context.unsettled());
    for open in open {
        // A cycle on a few Applications leaves the others' pushes to a whole one, and one without
        // those that are not due leaves theirs until they are.
        let concerns = |item: &Item| {
            let id = item.application.id.to_string();
            open.intent.applications.contains(&id)
        };
        let later = context.not_due.is_some_and(|later| {
            let mut named = open.intent.applications.iter();
            named.any(|id| later.contains(id))
        });
        if (context.among.is_some() || later) && !items.iter().any(concerns) {
            context.unsettled().push(open);
            continue;
        }
        let subject = format!("{} {}", open.intent.repository, open.intent.branch);
        match settle_one(context, &open, items).await {
            Ok((result, cause, commit)) => {
                tracing::info!(intent = %open.intent.intent, result = result.word(), "settled");
                context.settle(open.intent.intent, result, cause, commit)?;
            }
            Err(problem) if is_given_up(context, &problem, &open) => {
                let cause = Some(Cause::new(problem.reason, problem.detail));
                context.settle(open.intent.intent, PushResult::Failed, cause, None)?;
            }
            Err(problem) => {
                context.notice(problem.reason, &subject, problem.detail)?;
                context.unsettled().push(open);
            }
        }
    }
    Ok(())
}

/// Whether an intent is too old to wait for an Application that names its place. A time in the
/// future is nobody's.
fn is_given_up(context: &Context<'_>, problem: &Problem, open: &OpenIntent) -> bool {
    let age = context.now().duration_since(open.time).unsigned_abs();
    problem.reason == Reason::IntentOrphaned && age.as_secs() > INTENT_ORPHAN_SECS_MAX
}

/// Whether a URL of an Application, in any spelling, is the one of an intent, which is masked.
fn is_same_repository(url: &str, masked: &str) -> bool {
    let canonical = |text: &str| GitUrl::parse(text).map(|url| url.canonical());
    masked_url(url) == masked
        || matches!((canonical(url), canonical(masked)), (Ok(one), Ok(other)) if one == other)
}

pub(super) type Settled = (PushResult, Option<Cause>, Option<String>);

async fn settle_one(
    context: &Context<'_>,
    open: &OpenIntent,
    items: &[Item],
) -> Result<Settled, Problem> {
    let intent = &open.intent;
    if live::is_of_application(intent) {
        return live::settle(context, intent, items).await;
    }
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
    let branch: BranchName = intent.branch.parse().map_err(|error| Problem {
        reason: Reason::BranchInvalid,
        detail: super::chain(&error),
    })?;
    let heads = repository
        .fetch(&[Some(branch.clone())])
        .await
        .map_err(|error| Problem::git(&error))?;
    let Some(head) = heads.branches().get(&branch).copied() else {
        return Ok((PushResult::Lost, None, None));
    };
    let pushed = intent
        .commits
        .last()
        .and_then(|commit| commit.parse::<Oid>().ok());
    if let Some(pushed) = pushed {
        let held = repository.contains(head, pushed, SETTLE_HISTORY_MAX).await;
        if held.map_err(|error| Problem::git(&error))? {
            return Ok((PushResult::Landed, None, Some(pushed.to_string())));
        }
    }
    by_values(&mut repository, head, open, items).await
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
    fn an_intent_finds_its_repository_in_every_spelling() {
        for (url, masked) in [
            (
                "https://GitHub.example/Acme/app.git",
                "https://github.example/Acme/app.git",
            ),
            ("https://u:secret@h.example/app", "https://h.example/app"),
            ("https://h.example:443/app/", "https://h.example/app.git"),
            ("git@h.example:acme/app", "ssh://git@h.example/acme/app"),
        ] {
            let parsed = GitUrl::parse(masked).unwrap().to_string();
            assert!(is_same_repository(url, &parsed), "{url} {parsed}");
        }
        assert!(!is_same_repository(
            "https://h.example/acme/app",
            "https://h.example/Acme/app"
        ));
        assert!(!is_same_repository(
            "https://h.example:8443/app",
            "https://h.example/app"
        ));
    }
}
