//! What Git wants: the slots of a branch are found and read, and the choice is made against what
//! stands there.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use sealift_core::application;
use sealift_core::catalog::Catalog;
use sealift_core::digest::Digest;
use sealift_core::event::{Decision, SlotSummary};
use sealift_core::limits::CANDIDATES_JUDGED_MAX;
use sealift_core::oid::Oid;
use sealift_core::path::RepoPath;
use sealift_core::promotion::change::Move;
use sealift_core::promotion::spec::{OnRefused, Pin};
use sealift_core::reason::Reason;
use sealift_core::reference::Reference;
use sealift_core::select::{
    Candidates, Choice, Current, Decision as Choosing, Selection, choose, choose_followed,
};
use sealift_core::slot::{self, Format, Place, Slot};
use sealift_git::{FileState, Repository};
use sealift_trust::{Candidate, Policy, Verdict};

use super::branch::Group;
use super::item::Item;
use super::resolve::{Resolved, lacks_platform};
use super::survey::Listing;
use super::{Context, Problem, chain, live, trust};

/// The files of one commit, as they were read or as edits left them. `None`: there is no such file.
pub(super) type Files = BTreeMap<RepoPath, Option<Vec<u8>>>;

/// An image that shall change: where, and to what.
pub(super) struct Change {
    /// Position of the item in its group.
    pub(super) item: usize,
    pub(super) slot: Slot,
    pub(super) candidate: Candidate,
    /// The reference to write.
    pub(super) new: Reference,
    /// Labels of the image, for commit messages.
    pub(super) labels: BTreeMap<String, String>,
    /// What was found about the candidate; used up by admitting.
    pub(super) verdict: Option<Verdict>,
    /// The policy that it was found under.
    pub(super) policy: Digest,
}

/// What was chosen and judged.
pub(super) struct Chosen {
    tag: Box<str>,
    resolved: Resolved,
    verdict: Verdict,
    pin: Option<Pin>,
}

/// A candidate that policy refused.
struct Refused {
    tag: Box<str>,
    digest: Digest,
    problem: Problem,
}

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "`{}`: {}", self.tag, self.problem)
    }
}

/// Reads the files that the undecided items of a group need, at `commit`. Items whose file cannot
/// be edited are decided.
pub(super) async fn read_files(
    repository: &mut Repository,
    commit: Oid,
    items: &mut [Item],
) -> Result<Files, Problem> {
    let open = |item: &&mut Item| !item.is_decided();
    let paths: BTreeSet<RepoPath> = items
        .iter_mut()
        .filter(open)
        .flat_map(|item| item.application.target.candidates.iter().cloned())
        .collect();
    let states = repository
        .read(commit, &paths)
        .await
        .map_err(|e| Problem::git(&e))?;
    let mut files = Files::new();
    for item in items.iter_mut().filter(open) {
        for path in &item.application.clone().target.candidates {
            match states.get(path) {
                Some(FileState::File { bytes, .. }) => {
                    files
                        .entry(path.clone())
                        .or_insert_with(|| Some(bytes.clone()));
                }
                Some(FileState::InTheWay { at, obstacle }) => {
                    let detail = format!("`{at}` is {}; `{path}` was not written", obstacle.name());
                    item.decide(Decision::Failed, Reason::PathNotAFile, detail);
                    break;
                }
                Some(FileState::TooLarge { bytes }) => {
                    let detail = format!("`{path}` has {bytes} bytes; it was not read");
                    item.decide(Decision::Failed, Reason::FileUnreadable, detail);
                    break;
                }
                Some(FileState::Missing) | None => {
                    files.entry(path.clone()).or_insert(None);
                }
            }
        }
    }
    Ok(files)
}

/// Files whose presence tells what a source is. Argo CD manual, "Tools".
const TELLING_FILES: [&str; 4] = [
    "Chart.yaml",
    "kustomization.yaml",
    "kustomization.yml",
    "Kustomization",
];

/// Finds out what the sources are of Applications that have no status, as those from files: by what
/// stands in their folder.
pub(super) async fn detect_source_types(
    repository: &mut Repository,
    commit: Oid,
    items: &mut [Item],
) -> Result<(), Problem> {
    let untold = |item: &&mut Item| !item.is_decided() && item.application.needs_source_type();
    let path = |folder: &str, name: &str| RepoPath::join(folder, name).ok();
    let paths: BTreeSet<RepoPath> = items
        .iter_mut()
        .filter(untold)
        .flat_map(|item| {
            TELLING_FILES
                .iter()
                .filter_map(move |name| path(&item.application.source_path, name))
        })
        .collect();
    if paths.is_empty() {
        return Ok(());
    }
    let states = repository
        .read(commit, &paths)
        .await
        .map_err(|error| Problem::git(&error))?;
    for item in items.iter_mut().filter(untold) {
        let folder = item.application.source_path.clone();
        let there = |name: &&str| {
            let state = path(&folder, name).and_then(|path| states.get(&path));
            matches!(
                state,
                Some(FileState::File { .. } | FileState::TooLarge { .. })
            )
        };
        let names = TELLING_FILES.iter().copied().filter(there);
        let found = application::detect_source_type(names);
        Arc::make_mut(&mut item.application).set_source_type(found);
    }
    Ok(())
}

/// The file that an item is written to: the first of its candidates that exists, else the first.
pub(super) fn path_of<'a>(item: &'a Item, files: &Files) -> Option<&'a RepoPath> {
    let candidates = &item.application.target.candidates;
    let exists = |path: &&RepoPath| files.get(*path).is_some_and(Option::is_some);
    candidates
        .iter()
        .find(exists)
        .or_else(|| candidates.first())
}

/// Finds an item's slot in `files`.
pub(super) fn find_slot(item: &Item, files: &Files) -> Result<Slot, Problem> {
    let path = path_of(item, files).ok_or_else(|| Problem {
        reason: Reason::SlotNotFound,
        detail: "there is no file to write to".to_owned(),
    })?;
    let file = files.get(path).and_then(Option::as_deref);
    let place = place(item, path).ok_or_else(|| unsupported(item))?;
    slot::find(&place, file).map_err(|error| Problem {
        reason: error.reason(),
        detail: chain(&error),
    })
}

/// The place of an item in the file at `path`. `None`: the Application is of no type that can be
/// written.
pub(super) fn place<'a>(item: &'a Item, path: &'a RepoPath) -> Option<Place<'a>> {
    let application = &item.application;
    Some(Place {
        path,
        format: format_of(item)?,
        image: &item.rule().slot,
        source: &application.source_images,
        manifest: application.manifest.as_ref(),
    })
}

/// How the file of an item holds images.
fn format_of(item: &Item) -> Option<Format> {
    let (application, image) = (&item.application, &item.rule().slot);
    let app_type = application.chosen.app_type?;
    Some(application.target.format(app_type, image))
}

pub(super) fn unsupported(item: &Item) -> Problem {
    let detail = format!(
        "the source is {:?}; only Helm, Kustomize and plugin sources can be updated",
        item.application.chosen.source_type
    );
    Problem {
        reason: Reason::ApplicationUnsupported,
        detail,
    }
}

/// Chooses for every undecided item of a group, against what `files` want. Whatever is no change is
/// decided.
pub(super) async fn choose_all(
    context: &Context<'_>,
    group: &mut Group,
    files: &Files,
) -> Vec<Change> {
    let mut changes = Vec::new();
    for index in 0..group.items.len() {
        let Some(item) = group.items.get_mut(index).filter(|item| !item.is_decided()) else {
            continue;
        };
        let slot = match find_slot(item, files) {
            Ok(slot) => slot,
            Err(problem) => {
                item.decide(Decision::Failed, problem.reason, problem.detail);
                continue;
            }
        };
        item.set_slot(SlotSummary {
            repository: sealift_core::event::MaskedUrl::new(&group.repository),
            branch: group.branch.clone(),
            path: slot.key.path.to_string(),
            routes: slot.key.routes.clone(),
        });
        item.set_wanted(
            slot.current
                .as_ref()
                .map(|current| current.image.to_string()),
        );
        let Some(chosen) = choose_one(context, item, &slot).await else {
            group.keep(index, slot);
            continue;
        };
        changes.push(change(item, index, slot, chosen));
    }
    changes
}

/// Chooses anew for the item of `change`, against a slot that holds something else than the one it
/// was chosen against. `None`: the item is decided.
pub(super) async fn choose_again(
    context: &Context<'_>,
    item: &mut Item,
    index: usize,
    slot: Slot,
) -> Option<Change> {
    item.reopen();
    let chosen = choose_one(context, item, &slot).await?;
    Some(change(item, index, slot, chosen))
}

pub(super) fn change(item: &mut Item, index: usize, slot: Slot, chosen: Chosen) -> Change {
    let Chosen {
        tag,
        resolved,
        verdict,
        pin,
    } = chosen;
    let rule = item.rule();
    let configured = &rule.configured.reference;
    let follows = rule.selection.strategy().follows_one_tag();
    let digest = Some(resolved.digest);
    let new = match pin {
        Some(Pin::Digest) => configured.with_tag(None, digest),
        Some(Pin::TagAndDigest) => configured.with_tag(Some(&tag), digest),
        Some(Pin::Tag) | None => configured.with_tag(Some(&tag), digest.filter(|_| follows)),
    };
    let repository = configured.canonical().to_string();
    let bound = pin.is_some_and(|pin| pin > Pin::Tag);
    if let Some(key) = digest_key(item).filter(|_| bound) {
        let detail = format!("`{key}` in `{}`", slot.key.path);
        item.remark(Reason::DigestInKey, detail);
    }
    let candidate = Candidate {
        repository,
        tag: tag.to_string(),
        digest: resolved.digest,
    };
    let labels = resolved
        .metadata
        .as_deref()
        .and_then(|metadata| metadata.images.first())
        .map(|image| image.labels.clone())
        .unwrap_or_default();
    item.set_candidate(&tag, Some(resolved.digest));
    Change {
        item: index,
        slot,
        candidate,
        new,
        labels,
        policy: verdict.policy(),
        verdict: Some(verdict),
    }
}

/// The key that the digest is written to by itself, where that is asked for. How a record spells
/// the key in a file or in an Application tells nothing: the format does.
pub(super) fn digest_key(item: &Item) -> Option<String> {
    let format = match live::is_live(item) {
        true => live::format_of(item),
        false => format_of(item),
    };
    let key = item.rule().slot.helm.digest_key(format?);
    key.map(str::to_owned)
}

/// The winner that Git shall want, resolved and judged; or nothing, and the item is decided.
pub(super) async fn choose_one(
    context: &Context<'_>,
    item: &mut Item,
    slot: &Slot,
) -> Option<Chosen> {
    let written = slot.current.as_ref().map(|current| &current.image);
    if written.is_none() && item.running().next().is_none() && !item.rule().force_update {
        let detail = "neither the status nor Git names the image; `force-update` writes it anyway";
        item.decide(Decision::Skipped, Reason::NotLive, detail);
        return None;
    }
    let ranked = item.ranked.clone();
    let ranking = ranked.as_deref().map(|ranked| &*ranked.ranking);
    let mut walk = Walk {
        current: Current {
            tag: written.and_then(|image| image.tag.as_deref()),
            digest: written.and_then(|image| image.digest.as_deref()),
        },
        listing: item.listing.clone()?,
        selection: item.selection().clone(),
        policy: trust::policy_of(context, item),
        candidates: ranking.map(Candidates::new),
        digest_key: digest_key(item),
        refused: Vec::new(),
    };
    loop {
        match walk.step(context, item).await {
            Step::Chosen(chosen) => return Some(*chosen),
            Step::Decided => return None,
            Step::Again => {}
        }
    }
}

/// The walk from the newest candidate to the first that passes, never below what Git wants.
struct Walk<'a> {
    current: Current<'a>,
    listing: Arc<Listing>,
    selection: Arc<Selection>,
    policy: Arc<Policy>,
    /// Those that are left; none for the digest strategy.
    candidates: Option<Candidates<'a>>,
    /// Where the digest is written by itself.
    digest_key: Option<String>,
    refused: Vec<Refused>,
}

/// How a step of a walk ended.
enum Step {
    Chosen(Box<Chosen>),
    /// The item is decided.
    Decided,
    /// The best that was left is not to be had.
    Again,
}

impl Walk<'_> {
    async fn step(&mut self, context: &Context<'_>, item: &mut Item) -> Step {
        let chosen = match (&self.listing.catalog, &self.candidates) {
            (Catalog::Single(single), _) => choose_followed(&self.selection, single, self.current),
            (_, Some(candidates)) => choose(candidates, self.current),
            _ => return Step::Decided,
        };
        let chosen = adopted(chosen, &self.policy, self.current);
        let lower = chosen
            .notices
            .iter()
            .any(|one| one.reason == Reason::Downgrade);
        let goes_up = !lower && matches!(chosen.choice, Choice::Update { .. });
        if !self.refused.is_empty() && !goes_up {
            return self.give_up(item);
        }
        let Some(tag) = settle(item, chosen) else {
            return Step::Decided;
        };
        if let (Some(key), Some(policy)) = (&self.digest_key, self.policy.forbids_digest_key()) {
            let detail = format!("`{key}`, by policy `{policy}`; nothing was written");
            item.set_candidate(&tag, None);
            item.decide(Decision::Refused, Reason::DigestKeyForbidden, detail);
            return Step::Decided;
        }
        let resolved = context
            .resolver
            .resolve(&self.listing.source, &tag, &self.selection, context.now())
            .await;
        match resolved {
            Ok(resolved) if lacks_platform(&resolved, &self.selection) => {
                self.without_platform(item, &tag)
            }
            Ok(resolved) => self.judge(context, item, tag, resolved, lower).await,
            Err(problem) => {
                item.set_candidate(&tag, None);
                item.decide(Decision::Failed, problem.reason, problem.detail);
                Step::Decided
            }
        }
    }

    fn without_platform(&mut self, item: &mut Item, tag: &str) -> Step {
        item.remark(Reason::PlatformMissing, format!("`{tag}`"));
        if let Some(candidates) = &mut self.candidates {
            candidates.reject_best(Reason::PlatformMissing);
            return Step::Again;
        }
        let detail = format!("`{tag}` has no image for a wanted platform");
        item.decide(Decision::Skipped, Reason::PlatformMissing, detail);
        Step::Decided
    }

    async fn judge(
        &mut self,
        context: &Context<'_>,
        item: &mut Item,
        tag: Box<str>,
        resolved: Resolved,
        lower: bool,
    ) -> Step {
        if let Some(from) = resolved.moved_from {
            item.remark(Reason::TagMoved, format!("`{tag}` named {from} before"));
        }
        item.set_candidate(&tag, Some(resolved.digest));
        let change = Move {
            strategy: self.selection.strategy(),
            constraint: item.rule().configured.constraint.as_deref(),
            current: self.current.tag,
            candidate: &tag,
            lower,
        };
        let (source, digest) = (&self.listing.source, resolved.digest);
        let judged = trust::judge(context, item, source, &self.policy, digest, change);
        let (verdict, summary) = judged.await;
        let Some(problem) = trust::refusal(&verdict) else {
            item.set_trust(summary);
            for refused in std::mem::take(&mut self.refused) {
                item.remark(Reason::PassedOver, refused.to_string());
            }
            let pin = self.policy.pin();
            return Step::Chosen(Box::new(Chosen {
                tag,
                resolved,
                verdict,
                pin,
            }));
        };
        if self.refused.is_empty() {
            item.set_trust(summary);
        }
        self.refused.push(Refused {
            tag,
            digest,
            problem,
        });
        // Evidence that could not be read says nothing of older tags: an outage must not choose.
        let stop = self.policy.on_refused() == OnRefused::Stop || verdict.is_incomplete();
        let full = self.refused.len() >= CANDIDATES_JUDGED_MAX;
        match &mut self.candidates {
            Some(candidates) if !stop && !full => {
                candidates.reject_best(Reason::PassedOver);
                Step::Again
            }
            _ => {
                if full {
                    let detail = format!("{CANDIDATES_JUDGED_MAX} candidates were refused");
                    item.remark(Reason::WalkLimit, detail);
                }
                self.give_up(item)
            }
        }
    }

    fn give_up(&mut self, item: &mut Item) -> Step {
        decide_refused(item, std::mem::take(&mut self.refused), self.current);
        Step::Decided
    }
}

/// What Git wants already is written again where a policy pins it and Git does not.
fn adopted(mut chosen: Choosing, policy: &Policy, current: Current<'_>) -> Choosing {
    let pins = policy.adopts() && policy.pin().is_some_and(|pin| pin > Pin::Tag);
    if let Choice::Keep { tag } = &chosen.choice
        && pins
        && current.digest.is_none()
    {
        let tag = tag.clone();
        chosen.choice = Choice::Update { tag };
    }
    chosen
}

/// Nothing above what Git wants may be written. The highest refusal is the decision; those below it
/// are remarks.
fn decide_refused(item: &mut Item, refused: Vec<Refused>, current: Current<'_>) {
    let mut refused = refused.into_iter();
    let Some(first) = refused.next() else {
        return;
    };
    for lower in refused {
        item.remark(Reason::PassedOver, lower.to_string());
    }
    let Refused {
        tag,
        digest,
        problem,
    } = first;
    item.set_candidate(&tag, Some(digest));
    let stays = current
        .tag
        .map_or("nothing".to_owned(), |tag| format!("`{tag}`"));
    let detail = format!(
        "`{tag}` was not written, Git still wants {stays}: {}",
        problem.detail
    );
    item.decide(Decision::Refused, problem.reason, detail);
}

/// Takes over a choice: the tag to write, or nothing, and the item is decided.
pub(super) fn settle(item: &mut Item, chosen: Choosing) -> Option<Box<str>> {
    for notice in chosen.notices {
        item.remark(notice.reason, notice.detail);
    }
    match chosen.choice {
        Choice::Update { tag } => return Some(tag),
        Choice::Keep { tag } => {
            item.set_candidate(&tag, None);
            item.decide(
                Decision::UpToDate,
                Reason::UpToDate,
                format!("Git wants `{tag}`"),
            );
        }
        Choice::Nothing { reason, detail } => item.decide(Decision::Skipped, reason, detail),
        Choice::Refused {
            reason,
            winner,
            detail,
        } => {
            if let Some(winner) = winner {
                item.set_candidate(&winner, None);
            }
            item.decide(Decision::Refused, reason, detail);
        }
    }
    None
}
