//! The few log lines of Argo CD Image Updater that scripts read. Their words are its.

use std::collections::{BTreeMap, BTreeSet};

use sealift_core::event::{Decision, PushResult};

use super::Context;
use super::live::PLACE;
use super::report::Report;

/// Says what a cycle changed, or would have.
pub(super) fn say(context: &Context<'_>, report: &Report) {
    let mut changes: BTreeMap<String, usize> = BTreeMap::new();
    for entry in &report.considered {
        if !matches!(entry.decision(), Decision::Updated | Decision::WouldUpdate) {
            continue;
        }
        let considered = entry.considered();
        let image = &considered.image;
        let candidate = considered.candidate.as_ref();
        let tag = candidate.map_or("", |candidate| candidate.tag.as_str());
        let new = format!("{}:{tag}", image.written);
        let running = considered.inputs.running.first();
        let old = considered.inputs.wanted.as_ref().or(running);
        let application = &considered.application;
        let image_alias = image.alias.as_deref().unwrap_or_default();
        tracing::info!(
            application,
            image_name = image.written,
            image_alias,
            image_tag = tag,
            "Setting new image to {new}"
        );
        tracing::info!(
            application,
            image_name = image.written,
            image_alias,
            "Successfully updated image '{}' to '{new}', but pending spec update (dry run={})",
            old.map_or("", String::as_str),
            context.dry_run
        );
        *changes.entry(application.clone()).or_default() += 1;
    }
    let landed = landed(report);
    for (application, count) in &changes {
        if context.dry_run {
            tracing::info!(
                application,
                "Dry run - not committing {count} changes to application"
            );
            continue;
        }
        tracing::info!(
            application,
            "Committing {count} parameter update(s) for application {application}"
        );
        if landed.contains(application) {
            tracing::info!(
                application,
                "Successfully updated the live application spec"
            );
        }
    }
}

/// Applications that were written themselves.
fn landed(report: &Report) -> BTreeSet<&String> {
    let pushes = report.pushes.iter();
    let landed = pushes.filter(|push| {
        let live = push.repository.to_string().starts_with(PLACE);
        live && push.result == Some(PushResult::Landed)
    });
    landed.flat_map(|push| &push.applications).collect()
}
