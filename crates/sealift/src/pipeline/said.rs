//! The few log lines of Argo CD Image Updater that scripts read. Their words are its, and so are
//! the names of the fields. Drop-in contract, "Log lines scripts rely on".

use std::collections::{BTreeMap, BTreeSet};

use sealift_core::event::{Candidate, Considered, Decision, PushResult};
use sealift_core::reference::Reference;

use super::Context;
use super::report::{Entry, Report};

/// Says what a cycle changed, or would have, and what only waits to be synced.
pub(super) fn say(context: &Context<'_>, report: &Report) {
    let mut changes: BTreeMap<String, usize> = BTreeMap::new();
    for entry in &report.considered {
        match entry.decision() {
            Decision::Updated | Decision::WouldUpdate => {
                let considered = entry.considered();
                changed(context, entry, &considered);
                *changes.entry(considered.application).or_default() += 1;
            }
            Decision::UpToDate => waits(entry),
            _ => {}
        }
    }
    let landed = landed(report);
    for (application, count) in &changes {
        let name = application
            .split_once('/')
            .map_or(application.as_str(), |(_, name)| name);
        if context.dry_run {
            tracing::info!(
                application,
                "Dry run - not committing {count} changes to application"
            );
            continue;
        }
        tracing::info!(
            application,
            "Committing {count} parameter update(s) for application {name}"
        );
        if landed.contains(application) {
            tracing::info!(
                application,
                "Successfully updated the live application spec"
            );
        }
    }
}

/// One line about an image, with its fields.
macro_rules! about {
    ($entry:expr, $considered:expr, $($line:tt)+) => {{
        let considered: &Considered = $considered;
        let image = Reference::parse(&considered.image.written);
        let running = considered.inputs.running.first();
        let tag = running.and_then(|running| Reference::parse(running).tag);
        let updater = $entry.image_updater();
        tracing::info!(
            application = considered.application,
            image_registry = image.registry.unwrap_or_default(),
            image_name = image.name,
            image_alias = considered.image.alias.as_deref().unwrap_or_default(),
            image_tag = tag.unwrap_or_default(),
            "imageUpdater_namespace" = updater.map(|id| id.namespace.as_str()),
            "imageUpdater_name" = updater.map(|id| id.name.as_str()),
            $($line)+
        );
    }};
}

fn changed(context: &Context<'_>, entry: &Entry, considered: &Considered) {
    let (old, new) = (old(considered), new(considered));
    about!(entry, considered, "Setting new image to {new}");
    about!(
        entry,
        considered,
        "Successfully updated image '{old}' to '{new}', but pending spec update (dry run={})",
        context.dry_run
    );
}

/// What Git, or the Application, wants already and does not run yet.
fn waits(entry: &Entry) {
    let considered = entry.considered();
    let Some(candidate) = &considered.candidate else {
        return;
    };
    // Where Git was not asked, what runs is the winner; and what runs nowhere waits for nobody.
    let mut running = considered.inputs.running.iter();
    let waits = considered.inputs.wanted.is_some() && running.any(|one| !is(one, candidate));
    if waits {
        let new = new(&considered);
        about!(entry, &considered, "New image {new} already set in spec");
    }
}

/// Whether what runs is what won.
fn is(running: &str, candidate: &Candidate) -> bool {
    let running = Reference::parse(running);
    let digest = candidate.digest.map(|digest| digest.to_string());
    match (running.digest, digest) {
        (Some(running), Some(digest)) => running == digest,
        _ => running.tag.as_deref() == Some(candidate.tag.as_str()),
    }
}

/// The whole reference before: what runs, or else what Git wants.
fn old(considered: &Considered) -> String {
    let written = &considered.image.written;
    let inputs = &considered.inputs;
    match (inputs.running.first(), &inputs.wanted) {
        (Some(running), _) => running.clone(),
        (None, Some(wanted)) if wanted.contains(['/', ':', '@']) => wanted.clone(),
        (None, Some(tag)) => format!("{written}:{tag}"),
        (None, None) => written.clone(),
    }
}

/// The whole reference that is written.
fn new(considered: &Considered) -> String {
    let written = &considered.image.written;
    let Some(Candidate { tag, digest }) = &considered.candidate else {
        return written.clone();
    };
    match digest.filter(|_| considered.strategy == "digest") {
        Some(digest) => format!("{written}:{tag}@{digest}"),
        None => format!("{written}:{tag}"),
    }
}

/// Applications whose change landed, in Git or in themselves.
fn landed(report: &Report) -> BTreeSet<&String> {
    let landed = |push: &&super::report::Push| push.result == Some(PushResult::Landed);
    let pushes = report.pushes.iter().filter(landed);
    pushes.flat_map(|push| &push.applications).collect()
}
