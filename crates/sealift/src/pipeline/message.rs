//! Names of push branches and texts of commits: the user's templates over what changes.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use sealift_core::branch::{BranchChange, BranchData, branch_name};
use sealift_core::commit_message::{MessageChange, MessageData, commit_message as render};
use sealift_core::event::{Decision, TRAILER_KEY};
use sealift_core::reason::Reason;
use sealift_write::{CommitText, commit_message};

use super::branch::Group;
use super::find::Change;
use super::item::Item;
use super::{Context, chain};

/// Sorts changes by the branch they are pushed to: the one that was read, or the one that an
/// Application's template names. Items whose template cannot be rendered are decided.
pub(super) fn by_push_branch(
    group: &mut Group,
    changes: Vec<Change>,
) -> BTreeMap<String, Vec<Change>> {
    let mut by_application: BTreeMap<String, Vec<Change>> = BTreeMap::new();
    for change in changes {
        if let Some(item) = group.items.get(change.item) {
            by_application
                .entry(item.application.id.to_string())
                .or_default()
                .push(change);
        }
    }
    let mut branches: BTreeMap<String, Vec<Change>> = BTreeMap::new();
    for (_, changes) in by_application {
        match push_branch(group, &changes) {
            Ok(branch) => branches.entry(branch).or_default().extend(changes),
            Err(detail) => {
                for change in changes {
                    if let Some(item) = group.items.get_mut(change.item) {
                        item.decide(Decision::Failed, Reason::TemplateInvalid, detail.clone());
                    }
                }
            }
        }
    }
    for changes in branches.values_mut() {
        changes.sort_by(|left, right| {
            let order = |change: &Change| group.items.get(change.item).map(Item::order);
            order(left).cmp(&order(right))
        });
    }
    branches
}

fn push_branch(group: &Group, changes: &[Change]) -> Result<String, String> {
    let first = changes
        .first()
        .and_then(|change| group.items.get(change.item));
    let Some(item) = first else {
        return Ok(group.branch.clone());
    };
    let application = &item.application;
    let Some(template) = &application.branch.push else {
        return Ok(group.branch.clone());
    };
    let texts = texts(group, changes);
    let data = BranchData {
        changes: texts
            .iter()
            .map(|text| BranchChange {
                name: text.name,
                full_name: &text.full_name,
                alias: text.alias,
                old_tag: &text.old,
                new_tag: text.new,
            })
            .collect(),
        application: &application.id.name,
        namespace: &application.id.namespace,
        ..BranchData::default()
    };
    branch_name(template, &data).map_err(|error| chain(&error))
}

/// The words that templates use for one change.
struct Texts<'a> {
    name: &'a str,
    full_name: String,
    alias: &'a str,
    old: String,
    old_digest: String,
    new: &'a str,
    change: &'a Change,
}

fn texts<'a>(group: &'a Group, changes: &'a [Change]) -> Vec<Texts<'a>> {
    let text = |change: &'a Change| {
        let configured = &group.items.get(change.item)?.rule().configured;
        let current = change.slot.current.as_ref().map(|current| &current.image);
        Some(Texts {
            name: &configured.reference.name,
            full_name: configured.reference.full_name(),
            alias: configured.alias.as_deref().unwrap_or_default(),
            old: current
                .map_or("", |image| image.change_display())
                .to_owned(),
            old_digest: current.and_then(|i| i.digest.clone()).unwrap_or_default(),
            new: change.new.change_display(),
            change,
        })
    };
    changes.iter().filter_map(text).collect()
}

/// The text of one commit: the template's message, then our trailers.
pub(super) fn commit_text(
    context: &Context<'_>,
    group: &Group,
    changes: &[Change],
    now: Timestamp,
) -> CommitText {
    let items: Vec<&Item> = changes
        .iter()
        .filter_map(|change| group.items.get(change.item))
        .collect();
    let mut trailers: Vec<(&str, String)> = Vec::new();
    let mut applications: Vec<String> = items
        .iter()
        .map(|item| item.application.id.to_string())
        .collect();
    applications.dedup();
    trailers.extend(
        applications
            .into_iter()
            .map(|id| ("Sealift-Application", id)),
    );
    for (item, change) in items.iter().zip(changes) {
        let digest = Some(change.candidate.digest);
        let image = item
            .rule()
            .configured
            .reference
            .with_tag(Some(&change.candidate.tag), digest);
        trailers.push(("Sealift-Image", image.to_string()));
    }
    let policies: BTreeSet<String> = changes.iter().map(|one| one.policy.to_string()).collect();
    trailers.extend(policies.into_iter().map(|hash| ("Sealift-Policy", hash)));
    if let Some(journal) = context.journal {
        trailers.push((TRAILER_KEY, journal.head().to_string()));
    }
    let author = context.commit.author.clone();
    let sign_off = context.commit.sign_off.then_some(&author);
    let text = user_text(context, group, changes, &items);
    let message = commit_message(&text, &trailers, sign_off);
    CommitText {
        message,
        author,
        time: now,
    }
}

fn user_text(context: &Context<'_>, group: &Group, changes: &[Change], items: &[&Item]) -> String {
    let mut names: Vec<&str> = items
        .iter()
        .map(|i| i.application.id.name.as_str())
        .collect();
    names.dedup();
    let name = names.join(", ");
    let application = items.first().map(|item| &item.application);
    let texts = texts(group, changes);
    let data = MessageData {
        application: &name,
        namespace: application.map_or("", |application| &application.id.namespace),
        project: application.map_or("", |application| &application.project),
        labels: application.map(|a| a.labels.clone()).unwrap_or_default(),
        changes: texts
            .iter()
            .map(|text| MessageChange {
                image: text.name,
                full_name: &text.full_name,
                alias: text.alias,
                old_tag: &text.old,
                new_tag: text.new,
                old_digest: text.old_digest.clone(),
                new_digest: text.change.candidate.digest.to_string(),
                labels: text.change.labels.clone(),
            })
            .collect(),
    };
    let (text, error) = render(&context.commit.template, &data);
    if let Some(error) = error {
        tracing::warn!(
            error = chain(&error),
            application = name,
            "the commit template failed"
        );
    }
    text
}
