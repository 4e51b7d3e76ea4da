//! One Git repository in one cycle: read once, decide everything, push once a branch; and start
//! again where a branch moved.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use rand::Rng as _;
use sealift_core::event::Decision;
use sealift_core::limits::{PUSH_PAUSE_MS_MAX, PUSH_TRIES_MAX};
use sealift_core::oid::Oid;
use sealift_core::path::RepoPath;
use sealift_core::reason::Reason;
use sealift_core::slot::SlotKey;
use sealift_git::{BranchName, Remote, Repository};

use super::contest::refuse_contested;
use super::find::{
    Change, Files, choose_again, choose_all, detect_source_types, find_slot, read_files,
};
use super::item::Item;
use super::push::push_changes;
use super::report::Push;
use super::{Context, Problem};

/// The items that are read from one branch of one repository with one credential.
pub(super) struct Group {
    /// The repository, for messages; never with user-info.
    pub(super) repository: String,
    pub(super) remote: Arc<Remote>,
    /// The branch to read; `None` is the remote's default branch.
    pub(super) base: Option<BranchName>,
    /// The name of that branch, once it is known.
    pub(super) branch: String,
    pub(super) items: Vec<Item>,
    /// What items want that are up to date: position, place, value.
    pub(super) kept: Vec<(usize, SlotKey, String)>,
}

/// How an attempt to push ended for a group.
pub(super) enum Attempt {
    /// Every item is decided.
    Done,
    /// The branch moved: the items that were to be written are open again.
    Moved,
}

/// What is known of a group's branch.
struct Base {
    head: Oid,
    files: Files,
}

/// Works through the groups of one repository.
pub(super) async fn work(context: &Context<'_>, groups: Vec<Group>) -> (Vec<Item>, Vec<Push>) {
    let mut pushes = Vec::new();
    let mut groups = join_default_branch(context, groups).await;
    for attempt in 0..PUSH_TRIES_MAX {
        let moved = try_once(context, &mut groups, &mut pushes).await;
        if !moved {
            break;
        }
        if attempt + 1 == PUSH_TRIES_MAX {
            let detail = format!("{PUSH_TRIES_MAX} pushes met a branch that had moved");
            give_up(&mut groups, Reason::BranchMoved, &detail);
            break;
        }
        let bound_ms = PUSH_PAUSE_MS_MAX >> (PUSH_TRIES_MAX - 1 - attempt).min(6);
        let pause_ms = rand::rng().random_range(0..=bound_ms);
        tokio::time::sleep(Duration::from_millis(pause_ms)).await;
    }
    forget_refused(context, &groups);
    (
        groups.into_iter().flat_map(|group| group.items).collect(),
        pushes,
    )
}

/// A token that the server did not take is asked for anew in the next cycle.
fn forget_refused(context: &Context<'_>, groups: &[Group]) {
    let Some(apps) = context.git.github_apps() else {
        return;
    };
    let refused = |group: &&Group| {
        let mut items = group.items.iter();
        items.any(|item| {
            let mut causes = item.reasons().iter();
            causes.any(|cause| cause.reason == Reason::GitUnauthorized.into())
        })
    };
    for group in groups.iter().filter(refused) {
        apps.forget(&group.remote.credential);
    }
}

/// Joins items that name no branch with those that name the one the remote takes for it: two pushes
/// to one branch would race each other. The remote is asked only where both kinds exist.
async fn join_default_branch(context: &Context<'_>, groups: Vec<Group>) -> Vec<Group> {
    let mut joined: Vec<Group> = Vec::with_capacity(groups.len());
    let (unnamed, named): (Vec<_>, Vec<_>) =
        groups.into_iter().partition(|group| group.base.is_none());
    joined.extend(named);
    for group in unnamed {
        let beside =
            |other: &&mut Group| other.base.is_some() && other.remote.is_same(&group.remote);
        let default = match joined.iter_mut().find(beside) {
            Some(_) => default_branch(context, &group).await,
            None => None,
        };
        let same = |other: &&mut Group| {
            other.base.is_some() && other.base == default && other.remote.is_same(&group.remote)
        };
        match joined.iter_mut().find(same) {
            Some(other) => other.items.extend(group.items),
            None => joined.push(group),
        }
    }
    joined
}

/// What the remote takes for a branch that nobody named. `None` where it does not say: reading the
/// group will say why.
async fn default_branch(context: &Context<'_>, group: &Group) -> Option<BranchName> {
    let mut repository = open(context, group).await.ok()?;
    let heads = repository.fetch(&[None]).await.ok()?;
    heads.head(None).ok().map(|(branch, _)| branch.clone())
}

/// Reads, decides and pushes what is open. Whether a branch moved.
async fn try_once(context: &Context<'_>, groups: &mut [Group], pushes: &mut Vec<Push>) -> bool {
    let mut bases = Vec::with_capacity(groups.len());
    let mut changes: Vec<Vec<Change>> = Vec::with_capacity(groups.len());
    for group in groups.iter_mut() {
        let (base, change) = match read_and_choose(context, group).await {
            Ok((base, change)) => (Some(base), change),
            Err(problem) => {
                give_up(std::slice::from_mut(group), problem.reason, &problem.detail);
                (None, Vec::new())
            }
        };
        bases.push(base);
        changes.push(change);
    }
    refuse_contested(groups, &mut changes);
    let mut moved = false;
    for ((group, base), changes) in groups.iter_mut().zip(bases).zip(changes) {
        let Some(base) = base.filter(|_| !changes.is_empty()) else {
            continue;
        };
        match write(context, group, base, changes, pushes).await {
            Ok(Attempt::Done) => {}
            Ok(Attempt::Moved) => moved = true,
            Err(problem) => {
                give_up(std::slice::from_mut(group), problem.reason, &problem.detail);
            }
        }
    }
    moved
}

async fn read_and_choose(
    context: &Context<'_>,
    group: &mut Group,
) -> Result<(Base, Vec<Change>), Problem> {
    let mut repository = open(context, group).await?;
    let heads = repository
        .fetch(std::slice::from_ref(&group.base))
        .await
        .map_err(|error| Problem::git(&error))?;
    let (branch, head) = heads
        .head(group.base.as_ref())
        .map_err(|error| Problem::git(&error))?;
    group.branch = branch.to_string();
    detect_source_types(&mut repository, head, &mut group.items).await?;
    let files = read_files(&mut repository, head, &mut group.items).await?;
    drop(repository);
    let changes = choose_all(context, group, &files).await;
    let by_itself = super::chart::has_digest_key(group, &changes);
    if (context.thorough || by_itself) && !changes.is_empty() {
        let mut repository = open(context, group).await?;
        super::chart::remark_unread_keys(&mut repository, head, group, &changes).await;
        // Only for who asks why: it reads files that no update needs.
        if context.thorough {
            super::chart::remark(&mut repository, head, group, &changes).await;
        }
    }
    group.keep_hinted(&files, &changes);
    Ok((Base { head, files }, changes))
}

async fn open(context: &Context<'_>, group: &Group) -> Result<Repository, Problem> {
    context
        .git
        .open(&group.remote)
        .await
        .map_err(|error| Problem::git(&error))
}

/// Writes a group's changes, branch by branch: most go to the branch that was read, a template
/// names others.
async fn write(
    context: &Context<'_>,
    group: &mut Group,
    base: Base,
    changes: Vec<Change>,
    pushes: &mut Vec<Push>,
) -> Result<Attempt, Problem> {
    let mut repository = open(context, group).await?;
    let mut ended = Attempt::Done;
    for (branch, changes) in super::message::by_push_branch(group, changes) {
        let attempt = if branch == group.branch {
            let target = Target {
                branch,
                expected: Some(base.head),
                base: base.head,
            };
            let files = base.files.clone();
            push_changes(
                context,
                &mut repository,
                group,
                target,
                files,
                changes,
                pushes,
            )
            .await?
        } else {
            let Some((target, files, changes)) =
                other_branch(context, &mut repository, group, &base, branch, changes).await?
            else {
                continue;
            };
            push_changes(
                context,
                &mut repository,
                group,
                target,
                files,
                changes,
                pushes,
            )
            .await?
        };
        if matches!(attempt, Attempt::Moved) {
            ended = Attempt::Moved;
        }
    }
    Ok(ended)
}

/// Where a push goes.
pub(super) struct Target {
    pub(super) branch: String,
    /// What the branch must be at; `None`: it must not exist.
    pub(super) expected: Option<Oid>,
    pub(super) base: Oid,
}

/// A branch that a template names: used as it is where it exists, else made from the one that was
/// read. The slots are looked up again there; what already stands there is decided, and where
/// something else stands than on the branch that was read, the choice is made again: it may be
/// higher.
async fn other_branch(
    context: &Context<'_>,
    repository: &mut Repository,
    group: &mut Group,
    base: &Base,
    branch: String,
    changes: Vec<Change>,
) -> Result<Option<(Target, Files, Vec<Change>)>, Problem> {
    let name: BranchName = branch.parse().map_err(|error| Problem {
        reason: Reason::BranchInvalid,
        detail: super::chain(&error),
    })?;
    let heads = repository
        .fetch(&[Some(name.clone())])
        .await
        .map_err(|error| Problem::git(&error))?;
    let Some(head) = heads.branches().get(&name).copied() else {
        let target = Target {
            branch,
            expected: None,
            base: base.head,
        };
        return Ok(Some((target, base.files.clone(), changes)));
    };
    let files = read_files(repository, head, &mut group.items).await?;
    let mut left = Vec::new();
    for mut change in changes {
        let index = change.item;
        let Some(item) = group.items.get_mut(change.item) else {
            continue;
        };
        match find_slot(item, &files) {
            Ok(slot) => {
                let wanted = slot
                    .current
                    .as_ref()
                    .map(|current| current.image.to_string());
                if wanted.as_deref() == Some(change.new.to_string().as_str()) {
                    let detail = format!("branch `{branch}` already holds it");
                    item.decide(Decision::UpToDate, Reason::UpToDate, detail);
                    continue;
                }
                let before = change.slot.current.as_ref();
                let same = before.map(|current| current.image.to_string()) == wanted;
                item.set_wanted(wanted);
                if same {
                    change.slot = slot;
                    left.push(change);
                } else {
                    left.extend(choose_again(context, item, index, slot).await);
                }
            }
            Err(problem) => item.decide(Decision::Failed, problem.reason, problem.detail),
        }
    }
    let target = Target {
        branch,
        expected: Some(head),
        base: head,
    };
    Ok((!left.is_empty()).then_some((target, files, left)))
}

/// Decides every open item of `groups` as failed.
fn give_up(groups: &mut [Group], reason: Reason, detail: &str) {
    let items = groups.iter_mut().flat_map(|group| &mut group.items);
    for item in items.filter(|item| !item.is_decided()) {
        item.decide(Decision::Failed, reason, detail);
    }
}

impl Group {
    /// Notes what an item wants that was decided to be up to date.
    pub(super) fn keep(&mut self, index: usize, slot: sealift_core::slot::Slot) {
        let Some(item) = self.items.get(index) else {
            return;
        };
        if item.decision() == Decision::UpToDate
            && let Some(current) = slot.current
        {
            self.kept.push((index, slot.key, current.image.to_string()));
        }
    }

    /// Notes what those want that run the winner already and were not looked up, where another
    /// Application's change goes to the same file.
    fn keep_hinted(&mut self, files: &Files, changes: &[Change]) {
        let written: BTreeSet<&RepoPath> =
            changes.iter().map(|change| &change.slot.key.path).collect();
        let known: BTreeSet<usize> = self.kept.iter().map(|(index, ..)| *index).collect();
        for (index, item) in self.items.iter().enumerate() {
            let up_to_date = item.decision() == Decision::UpToDate;
            let candidates = &item.application.target.candidates;
            let beside = candidates.iter().any(|path| written.contains(path));
            if !item.is_decided() || !up_to_date || !beside || known.contains(&index) {
                continue;
            }
            if let Ok(slot) = find_slot(item, files)
                && let Some(current) = slot.current
            {
                self.kept.push((index, slot.key, current.image.to_string()));
            }
        }
    }
}
