//! Who says how an Application is followed: an ImageUpdater that selects it, its annotations, or
//! nobody.
//!
//! Here: reading the objects of a cycle, asking them about each Application, and what is to be said
//! on them. Not here: selection and settings (`sealift_core::image_updater`).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use sealift_core::application::{self, Application, Parsed, parse_annotated, parse_claimed};
use sealift_core::event::Cause;
use sealift_core::image_updater::{
    Claim, Claimed, Hold, ImageUpdater, ImageUpdaterId, Rejected, Roster, release, status,
};
use sealift_core::limits::NAMES_LISTED_MAX;
use sealift_core::notice::Notice;
use sealift_core::reason::Reason;
use sealift_core::select::Selection;
use sealift_core::settings::SettingError;
use sealift_core::settings::annotations::IMAGE_LIST;

use super::report::{Problem as Reported, Report, UpdaterReport};
use super::{Context, chain};
use crate::cli::options::AnnotationsOption;
use crate::objects::{Listed, ListedUpdater};

/// The ImageUpdaters of a cycle.
pub(super) struct Updaters {
    roster: Roster,
    /// Where each of them stands.
    origins: BTreeMap<ImageUpdaterId, String>,
    annotations: AnnotationsOption,
    /// Namespaces that hold one, readable or not.
    namespaces: BTreeSet<String>,
    /// A document cannot be read that may hold one, of whatever namespace.
    one_is_unknown: bool,
    /// Annotated Applications that are not followed.
    left: Names,
    /// Applications that two of them select: the one that follows, and the one that does not.
    contests: BTreeMap<(ImageUpdaterId, ImageUpdaterId), Names>,
    /// Applications that one holds that cannot be used, and that something else would follow.
    holds: BTreeMap<ImageUpdaterId, Held>,
    /// What was said already: one object says the same of many Applications.
    said: BTreeSet<(ImageUpdaterId, String)>,
    /// The different ways to choose a tag so far.
    selections: BTreeSet<Arc<Selection>>,
}

/// What an object that cannot be used keeps from being followed.
#[derive(Default)]
struct Held {
    applications: Names,
    /// Younger objects that would follow some of them.
    others: BTreeSet<ImageUpdaterId>,
}

/// Names for a message: the first ones, and how many there are.
#[derive(Default)]
struct Names {
    first: Vec<String>,
    count: usize,
}

impl Updaters {
    /// Reads every object. One that is malformed is a problem, and the others go on.
    pub(super) async fn read(context: &Context<'_>, report: &mut Report) -> anyhow::Result<Self> {
        let listed = context.objects.image_updaters().await?;
        let mut updaters = Self {
            roster: Roster::default(),
            origins: BTreeMap::new(),
            annotations: context.annotations,
            namespaces: listed
                .iter()
                .filter_map(|one| one.namespace.clone())
                .collect(),
            one_is_unknown: listed.iter().any(|one| one.namespace.is_none()),
            left: Names::default(),
            contests: BTreeMap::new(),
            holds: BTreeMap::new(),
            said: BTreeSet::new(),
            selections: BTreeSet::new(),
        };
        let read = listed
            .iter()
            .filter_map(|one| updaters.read_one(one, &context.argocd_namespace, report));
        let read: Vec<_> = read.collect();
        updaters.roster = Roster::of_read(read);
        Ok(updaters)
    }

    fn read_one(
        &mut self,
        listed: &ListedUpdater,
        default_namespace: &str,
        report: &mut Report,
    ) -> Option<Result<ImageUpdater, Box<Rejected>>> {
        let object = listed.object.as_ref()?;
        // It only waits for somebody's finalizer: nothing is followed by it, or said on it.
        if release::is_being_deleted(object) {
            return None;
        }
        let origin = listed.origin.to_string();
        let read = ImageUpdater::read(object, default_namespace);
        let (id, generation, status) = match &read {
            Ok(updater) => (&updater.id, updater.generation, &updater.status),
            Err(bad) => (&bad.id, bad.generation, &bad.status),
        };
        self.origins.insert(id.clone(), origin.clone());
        let mut cycle = status::Cycle {
            generation,
            ..status::Cycle::default()
        };
        if let Err(bad) = &read {
            let detail = bad.detail();
            let said = format!("ImageUpdater `{id}` was not used: {detail}");
            report.problems.push(Reported {
                subject: origin.clone(),
                application: None,
                cause: Cause::new(Reason::ImageUpdaterInvalid, said),
            });
            cycle.failure = Some(detail);
        }
        report.add_updater(UpdaterReport {
            image_updater: id.clone(),
            origin: origin.clone(),
            status: status.clone(),
            looked_at: None,
            cycle,
        });
        if let Ok(updater) = &read {
            let notices = updater.notices.iter().map(|notice| Reported {
                subject: origin.clone(),
                application: None,
                cause: Cause::new(
                    notice.reason,
                    format!("{}: {}", updater.label(), notice.detail),
                ),
            });
            report.notices.extend(notices);
        }
        Some(read)
    }

    /// The Application as whoever follows it has it. `None`: nobody does, or a problem stands in
    /// the way, which is in the report.
    pub(super) fn parse(
        &mut self,
        listed: &Listed,
        parsing: &application::Context,
        report: &mut Report,
    ) -> Option<Arc<Application>> {
        let metadata = &listed.manifest.metadata;
        let id = format!("{}/{}", metadata.namespace, metadata.name);
        // The objects are looked at while what is said about them is noted down.
        let roster = std::mem::take(&mut self.roster);
        let parsed = match roster.claimed(&listed.manifest) {
            Some(Claimed::Held(hold)) => {
                self.note_hold(&hold, listed, &id);
                None
            }
            Some(Claimed::By(claim)) => {
                self.note_contest(&claim, &id);
                let parsed = parse_claimed(&listed.manifest, &claim, parsing);
                let place = Place {
                    id: &id,
                    listed,
                    updater: Some(claim.updater),
                };
                if let Some(updater) = report.updater_mut(&claim.updater.id) {
                    updater.cycle.applications += 1;
                }
                self.report(parsed, &place, report)
            }
            None => self.annotated(listed, &id, parsing, report),
        };
        self.roster = roster;
        parsed.map(|mut application| {
            self.share_selections(&mut application);
            Arc::new(application)
        })
    }

    /// Thousands of images are chosen by a few equal settings: one of each is kept.
    fn share_selections(&mut self, application: &mut Application) {
        for rule in &mut application.images {
            match self.selections.get(&rule.selection) {
                Some(known) => rule.selection = Arc::clone(known),
                None => {
                    self.selections.insert(Arc::clone(&rule.selection));
                }
            }
        }
    }

    fn annotated(
        &mut self,
        listed: &Listed,
        id: &str,
        parsing: &application::Context,
        report: &mut Report,
    ) -> Option<Application> {
        let metadata = &listed.manifest.metadata;
        if !metadata.annotations.contains_key(IMAGE_LIST) {
            return None;
        }
        if !self.annotations_count_in(&metadata.namespace) {
            self.left.add(id);
            return None;
        }
        let parsed = parse_annotated(&listed.manifest, parsing)?;
        let place = Place {
            id,
            listed,
            updater: None,
        };
        self.report(parsed, &place, report)
    }

    /// Whether annotations say how Applications are followed that no object selects.
    fn annotations_count_in(&self, namespace: &str) -> bool {
        match self.annotations {
            AnnotationsOption::Always => true,
            AnnotationsOption::Never => false,
            AnnotationsOption::Auto => !self.one_is_unknown && !self.namespaces.contains(namespace),
        }
    }

    /// Takes problems and notices over into the report.
    fn report(
        &mut self,
        parsed: Parsed,
        place: &Place<'_>,
        report: &mut Report,
    ) -> Option<Application> {
        for notice in parsed.notices {
            self.notice(notice, place, report);
        }
        let errors: Vec<&SettingError> = match &parsed.application {
            Ok(application) => application
                .broken_images
                .iter()
                .map(|one| &one.error)
                .collect(),
            Err(error) => vec![error],
        };
        for error in &errors {
            report.problems.push(self.reported(place, error));
        }
        let counted = place
            .updater
            .and_then(|updater| report.updater_mut(&updater.id));
        if let Some(updater) = counted {
            updater.cycle.problems += errors.len();
        }
        if parsed.application.is_err() {
            report.cycle.applications += 1;
        }
        parsed.application.ok()
    }

    /// A notice about a field of an ImageUpdater is said once, whatever the Applications are.
    fn notice(&mut self, notice: Notice, place: &Place<'_>, report: &mut Report) {
        let Notice { reason, detail } = notice;
        let of_object = place.updater.filter(|_| detail.starts_with("spec."));
        let (subject, application, detail) = match of_object {
            None => (
                place.listed.origin.to_string(),
                Some(place.id.to_owned()),
                detail,
            ),
            Some(updater) => {
                if !self.said.insert((updater.id.clone(), detail.clone())) {
                    return;
                }
                let detail = format!("{}: {detail}", updater.label());
                (self.origin(updater), None, detail)
            }
        };
        report.notices.push(Reported {
            subject,
            application,
            cause: Cause::new(reason, detail),
        });
    }

    fn reported(&self, place: &Place<'_>, error: &SettingError) -> Reported {
        let holder = place
            .updater
            .filter(|updater| updater.label() == error.object);
        Reported {
            subject: holder.map_or_else(
                || place.listed.origin.to_string(),
                |updater| self.origin(updater),
            ),
            application: Some(place.id.to_owned()),
            cause: Cause::new(error.reason(), chain(error)),
        }
    }

    fn origin(&self, updater: &ImageUpdater) -> String {
        self.origins.get(&updater.id).cloned().unwrap_or_default()
    }

    fn note_contest(&mut self, claim: &Claim<'_>, id: &str) {
        for other in &claim.others {
            let pair = (claim.updater.id.clone(), other.id.clone());
            self.contests.entry(pair).or_default().add(id);
        }
    }

    /// An Application that nobody else would follow loses nothing: what is wrong with the object is
    /// said.
    fn note_hold(&mut self, hold: &Hold<'_>, listed: &Listed, id: &str) {
        let metadata = &listed.manifest.metadata;
        let annotated = metadata.annotations.contains_key(IMAGE_LIST)
            && self.annotations_count_in(&metadata.namespace);
        if hold.others.is_empty() && !annotated {
            return;
        }
        let held = self.holds.entry(hold.by.id.clone()).or_default();
        held.applications.add(id);
        let others = hold.others.iter().map(|other| other.id.clone());
        held.others.extend(others);
    }

    /// Says something of an object: in the report, and on the object.
    fn contested(&self, id: &ImageUpdaterId, cause: Cause, report: &mut Report) {
        if let Some(updater) = report.updater_mut(id) {
            let contested = &mut updater.cycle.contested;
            let before = contested.take().map(|before| before + "; ");
            *contested = Some(before.unwrap_or_default() + &cause.detail);
        }
        self.notice_on(id, cause, report);
    }

    fn notice_on(&self, id: &ImageUpdaterId, cause: Cause, report: &mut Report) {
        report.notices.push(Reported {
            subject: self.origins.get(id).cloned().unwrap_or_default(),
            application: None,
            cause,
        });
    }

    /// Says what concerns many Applications: contests on both objects, and what is not followed.
    pub(super) fn close(self, report: &mut Report) {
        for ((follows, leaves), names) in &self.contests {
            for (id, other) in [(follows, leaves), (leaves, follows)] {
                let detail = format!(
                    "ImageUpdater `{id}` and `{other}` both select {names}; `{follows}` is older \
                     and follows, `{leaves}` leaves them alone"
                );
                let cause = Cause::new(Reason::ApplicationContested, detail);
                self.contested(id, cause, report);
            }
        }
        for (id, held) in &self.holds {
            let detail = format!(
                "ImageUpdater `{id}` cannot be used and selects {}; nobody follows them, and \
                 nothing is written for them, until it is mended or deleted",
                held.applications
            );
            let cause = Cause::new(Reason::ApplicationHeld, detail);
            if held.others.is_empty() {
                self.notice_on(id, cause, report);
                continue;
            }
            for told in std::iter::once(id).chain(&held.others) {
                self.contested(told, cause.clone(), report);
            }
        }
        if self.left.count > 0 {
            let option = self.annotations.name();
            let detail = format!(
                "{} annotated Applications are not followed: {}; no ImageUpdater selects them with \
                 `useAnnotations: true`",
                self.left.count, self.left
            );
            report.notices.push(Reported {
                subject: format!("--annotations {option}"),
                application: None,
                cause: Cause::new(Reason::AnnotationsNotFollowed, detail),
            });
        }
    }
}

/// Which Application is read, and by whom.
struct Place<'a> {
    id: &'a str,
    listed: &'a Listed,
    updater: Option<&'a ImageUpdater>,
}

impl Names {
    fn add(&mut self, name: &str) {
        if self.first.len() < NAMES_LISTED_MAX {
            self.first.push(format!("`{name}`"));
        }
        self.count += 1;
    }
}

impl std::fmt::Display for Names {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.first.join(", "))?;
        match self.count - self.first.len() {
            0 => Ok(()),
            more => write!(f, " and {more} more"),
        }
    }
}
