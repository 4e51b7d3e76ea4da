//! The Applications that a cycle looks at, parsed: all of them, or a few and those that are written
//! to the same places.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sealift_core::application::{self, Application};
use sealift_core::event::Cause;
use sealift_core::image_updater::status::ImageOutcome;
use sealift_core::settings::Method;

use super::Context;
use super::item::Item;
use super::report::{Problem as Reported, Report};
use super::updaters::Updaters;
use crate::index::Index;
use crate::objects::{Applications, Listed};
use crate::schedule::Paced;

/// What is kept from cycle to cycle of Applications: small things, for thousands of them.
#[derive(Default)]
pub struct Kept {
    index: Mutex<Index>,
    /// What was decided last about the images of Applications with an interval of their own.
    outcomes: Mutex<BTreeMap<String, Vec<ImageOutcome>>>,
}

impl Kept {
    /// Who uses which image repository.
    pub fn index(&self) -> MutexGuard<'_, Index> {
        self.index.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn outcomes(&self) -> MutexGuard<'_, BTreeMap<String, Vec<ImageOutcome>>> {
        let outcomes = self.outcomes.lock();
        outcomes.unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps what was decided about an image, where the Application is not looked at in each cycle.
    pub(super) fn note(&self, item: &Item, outcome: &ImageOutcome) {
        if item.application.interval.is_some() {
            let id = item.application.id.to_string();
            let outcome = outcome.clone().carried();
            self.outcomes().entry(id).or_default().push(outcome);
        }
    }
}

/// Reads and parses what this cycle looks at. What cannot be read is in the report, and the others
/// go on.
pub(super) async fn read(
    context: &Context<'_>,
    report: &mut Report,
) -> anyhow::Result<Vec<Arc<Application>>> {
    let updaters = Updaters::read(context, report).await?;
    let mut reading = Reading {
        context,
        updaters,
        parsing: application::Context {
            argocd_namespace: context.argocd_namespace.clone(),
            own_platform: crate::platform::own(),
        },
        report,
    };
    let followed = match context.among {
        Some(named) => reading.some(named).await?,
        None => reading.all().await?,
    };
    let Reading {
        updaters, report, ..
    } = reading;
    updaters.close(report);
    if let Some(named) = context.among {
        keep_what_concerns(&followed, named, report);
    }
    Ok(followed)
}

struct Reading<'a, 'b> {
    context: &'a Context<'b>,
    updaters: Updaters,
    parsing: application::Context,
    report: &'a mut Report,
}

impl Reading<'_, '_> {
    /// Every Application; the index is made anew.
    async fn all(&mut self) -> anyhow::Result<Vec<Arc<Application>>> {
        let applications = self.context.objects.take_applications().await?;
        let applications = self.readable(applications);
        let mut followed = Vec::new();
        for listed in applications {
            let metadata = &listed.manifest.metadata;
            let wanted = self.context.only.is_none_or(|only| {
                only == metadata.name || only == format!("{}/{}", metadata.namespace, metadata.name)
            });
            if wanted {
                followed.extend(self.parse(&listed));
            }
        }
        let mut index = Index::default();
        followed.iter().for_each(|one| index.put(one));
        *self.context.kept.index() = index;
        Ok(followed)
    }

    /// The named ones and those beside them. Where objects are watched, no others are parsed.
    async fn some(&mut self, named: &BTreeSet<String>) -> anyhow::Result<Vec<Arc<Application>>> {
        let objects = &self.context.objects;
        let Some(applications) = objects.some_applications(named).await? else {
            let mut followed = self.all().await?;
            let is_named = |one: &Application| named.contains(&one.id.to_string());
            let ids = followed.iter().filter(|one| is_named(one));
            let beside = self.context.kept.index().beside(ids.map(|one| &one.id));
            followed.retain(|one| is_named(one) || beside.contains(&one.id.to_string()));
            return Ok(followed);
        };
        let mut followed = self.parse_anew(named, applications);
        let ids = followed.iter().map(|one| &one.id);
        let beside = self.context.kept.index().beside(ids);
        let beside: BTreeSet<String> = beside.difference(named).cloned().collect();
        if let Some(applications) = objects.some_applications(&beside).await? {
            followed.extend(self.parse_anew(&beside, applications));
        }
        followed.sort_by(|left, right| left.id.cmp(&right.id));
        Ok(followed)
    }

    /// Parses these, and replaces what the index holds of these names and of no others.
    fn parse_anew(
        &mut self,
        names: &BTreeSet<String>,
        applications: Applications,
    ) -> Vec<Arc<Application>> {
        let mut followed = Vec::new();
        for listed in self.readable(applications) {
            followed.extend(self.parse(&listed));
        }
        let mut index = self.context.kept.index();
        names.iter().for_each(|name| index.remove(name));
        followed.iter().for_each(|one| index.put(one));
        followed
    }

    fn parse(&mut self, listed: &Listed) -> Option<Arc<Application>> {
        self.report.parsed += 1;
        let parsed = self.updaters.parse(listed, &self.parsing, self.report);
        let mut application = parsed?;
        let objects = &self.context.objects;
        if application.method == Method::ArgoCd
            && objects.live().is_none()
            && let Some(file) = objects.manifest_file(&listed.origin)
        {
            let home = &self.context.argocd_namespace;
            Arc::make_mut(&mut application).write_to_manifest(file, &listed.manifest, home);
        }
        Some(application)
    }

    /// Those that can be read; the others are problems.
    fn readable(&mut self, applications: Applications) -> Vec<Listed> {
        for problem in &applications.problems {
            self.report.problems.push(Reported {
                subject: problem.origin.to_string(),
                application: None,
                cause: Cause::new(problem.reason(), problem.problem.to_string()),
            });
        }
        applications.listed
    }
}

/// In a cycle on a few Applications: what the others say is not known, and what is wrong with them
/// was said.
fn keep_what_concerns(
    followed: &[Arc<Application>],
    named: &BTreeSet<String>,
    report: &mut Report,
) {
    let followed = followed.iter().map(|one| one.id.to_string());
    let all: BTreeSet<String> = named.iter().cloned().chain(followed).collect();
    let concerns = |problem: &Reported| {
        let id = problem.application.as_ref();
        id.is_some_and(|id| all.contains(id))
    };
    let mut looked_at: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (namespace, name) in all.iter().filter_map(|id| id.split_once('/')) {
        let names = looked_at.entry(namespace.to_owned()).or_default();
        names.insert(name.to_owned());
    }
    report.narrow(&looked_at);
    report.cycle.applications = 0;
    report.problems.retain(concerns);
    report.notices.retain(concerns);
}

/// Leaves out what is not due, unless it is written to the same place as something that is. Its
/// last answers count on.
pub(super) fn leave_out(
    context: &Context<'_>,
    followed: &mut Vec<Arc<Application>>,
    report: &mut Report,
) {
    let mut later = context.not_due.cloned().unwrap_or_default();
    if !later.is_empty() {
        let is_due = |one: &&Arc<Application>| !later.contains(&one.id.to_string());
        let due = followed.iter().filter(is_due).map(|one| &one.id);
        let beside = context.kept.index().beside(due);
        later.retain(|id| !beside.contains(id));
    }
    let mut outcomes = context.kept.outcomes();
    let own = followed.iter().filter(|one| one.interval.is_some());
    let own: BTreeSet<String> = own.map(|one| one.id.to_string()).collect();
    // With `--interval 0` no whole cycle comes that would clear away what is gone.
    let elsewhere = |id: &String| context.among.is_some_and(|named| !named.contains(id));
    outcomes.retain(|id, _| own.contains(id) || elsewhere(id));
    followed.retain(|application| {
        let Some(interval) = application.interval else {
            return true;
        };
        let id = application.id.to_string();
        let looked = !later.contains(&id);
        if looked {
            outcomes.remove(&id);
        } else {
            let updater = application.origin.image_updater();
            let last = outcomes.get(&id).map_or(&[][..], Vec::as_slice);
            report.carry(updater, application, last);
        }
        let paced = Paced {
            interval,
            looked,
            again: false,
        };
        report.paced.insert(id, paced);
        looked
    });
}

#[cfg(test)]
mod tests;
