//! The rules of AppProjects, before anything is written to a repository.
//!
//! What a project does not allow is refused; global projects that hold for it count with it. Where a
//! project may not be read or is not there, its rules are not applied, and one notice says so; a
//! global one that may not be read or is not there allows nothing, and neither does any after it, as
//! Argo CD ends its list at the first that it does not find. Where nobody knows, because the API
//! server did not answer, nothing is written. An Application that is written itself touches no
//! repository.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use sealift_core::event::Cause;
use sealift_core::project::global::{self, GLOBAL_PROJECTS, GlobalProject, SETTINGS};
use sealift_core::project::{AppProject, DEFAULT_PROJECT};
use sealift_core::reason::Reason;
use sealift_core::settings::Method;

use super::item::Item;
use super::report::{Problem as Reported, Report};
use super::{Context, Problem, chain};
use crate::objects::ObjectsError;

/// Projects that a notice names.
const NAMED_MAX: usize = 10;

/// What is known of a project.
enum Known {
    Rules {
        /// With those of global projects.
        rules: AppProject,
        /// Global projects that were not read.
        missing: Missing,
    },
    /// Its rules are not applied.
    Unreadable,
    /// Nobody knows.
    Failed(Problem),
}

/// Global projects whose rules are not among those of a project.
enum Missing {
    None,
    /// They are not among the files, and may allow more: why.
    Elsewhere(String),
    /// They allow nothing: why.
    Nothing(String),
}

/// The projects of one cycle.
struct Projects<'a> {
    context: &'a Context<'a>,
    known: BTreeMap<String, Known>,
    /// What `argocd-cm` says of global projects, once it was asked.
    global: Option<Result<Vec<GlobalProject>, Unread>>,
    /// Why the rules of a project are not applied.
    unreadable: BTreeMap<String, BTreeSet<String>>,
}

/// Decides what a project does not allow.
pub(super) async fn enforce(context: &Context<'_>, items: &mut [Item], report: &mut Report) {
    let mut projects = Projects {
        context,
        known: BTreeMap::new(),
        global: None,
        unreadable: BTreeMap::new(),
    };
    let mut verdicts: BTreeMap<(String, String, String), Option<Problem>> = BTreeMap::new();
    for item in items.iter_mut().filter(|item| !item.is_decided()) {
        let application = &item.application;
        // A manifest is written where the operator keeps it, whatever its project's sources are.
        if application.method == Method::ArgoCd || application.manifest.is_some() {
            continue;
        }
        let project = match application.project.as_str() {
            "" => DEFAULT_PROJECT,
            named => named,
        };
        let key = (
            project.to_owned(),
            application.repository.clone(),
            application.id.namespace.clone(),
        );
        if !verdicts.contains_key(&key) {
            let verdict = projects.verdict(&key.0, &key.1, &key.2).await;
            verdicts.insert(key.clone(), verdict);
        }
        if let Some(Some(problem)) = verdicts.get(&key) {
            let detail = problem.detail.clone();
            item.decide(problem.decision(), problem.reason, detail);
        }
    }
    projects.close(report);
}

impl Projects<'_> {
    /// Why nothing may be written to `repository`, if so.
    async fn verdict(
        &mut self,
        project: &str,
        repository: &str,
        namespace: &str,
    ) -> Option<Problem> {
        if !self.known.contains_key(project) {
            let known = self.read(project).await;
            self.known.insert(project.to_owned(), known);
        }
        let (refusal, missing) = match self.known.get(project)? {
            Known::Unreadable => return None,
            Known::Failed(problem) => return Some(problem.clone()),
            Known::Rules { rules, missing } => {
                (rules.allows(repository, namespace).err()?, missing)
            }
        };
        let more = match missing {
            _ if !refusal.may_be_allowed_globally() => String::new(),
            Missing::None => String::new(),
            Missing::Nothing(why) => {
                format!(", and {why}, so that neither it nor any after it allows it")
            }
            Missing::Elsewhere(why) => {
                let why = format!("{refusal}, and global projects may: {why}");
                self.note(project, why);
                return None;
            }
        };
        Some(Problem {
            reason: Reason::ProjectForbidden,
            detail: format!("{refusal}{more}; nothing was written"),
        })
    }

    async fn read(&mut self, project: &str) -> Known {
        let namespace = self.context.argocd_namespace.as_str();
        match self.context.objects.project(namespace, project).await {
            Ok(Some(rules)) => self.with_global(Arc::unwrap_or_clone(rules)).await,
            Ok(None) => {
                // Who runs on files need not give the projects, too.
                if self.context.objects.live().is_some() {
                    self.note(project, "it does not exist".to_owned());
                }
                Known::Unreadable
            }
            Err(error @ ObjectsError::Forbidden { .. }) => {
                self.note(project, chain(&error));
                Known::Unreadable
            }
            Err(error) => Known::Failed(failed(&error)),
        }
    }

    /// The rules of a project and of the global ones that hold for it.
    async fn with_global(&mut self, mut rules: AppProject) -> Known {
        let name = rules.metadata.name.clone();
        if self.global.is_none() {
            self.global = Some(global_projects(self.context).await);
        }
        let global = match self.global.as_ref() {
            Some(Ok(global)) => global.iter().filter(|one| one.holds_for(&rules)),
            Some(Err(Unread::Failed(problem))) => return Known::Failed(problem.clone()),
            Some(Err(Unread::Said(why))) => {
                let why = why.clone();
                self.note(&name, why);
                // What it does not allow itself stays refused.
                let missing = Missing::None;
                return Known::Rules { rules, missing };
            }
            None => return Known::Unreadable,
        };
        let names: Vec<String> = global.map(|one| one.name.clone()).collect();
        let mut missing = Missing::None;
        for global in names {
            let namespace = self.context.argocd_namespace.as_str();
            let why = match self.context.objects.project(namespace, &global).await {
                Ok(Some(more)) if matches!(missing, Missing::Nothing(_)) => {
                    rules.forbid_as(&more);
                    continue;
                }
                Ok(Some(more)) => {
                    rules.extend_by(&more);
                    continue;
                }
                // Who runs on files need not give the projects, too.
                Ok(None) if self.context.objects.live().is_none() => {
                    missing = Missing::Elsewhere(format!("`{global}` does not exist"));
                    continue;
                }
                Ok(None) => "does not exist",
                Err(error @ ObjectsError::Forbidden { .. }) => {
                    self.note(&global, chain(&error));
                    "may not be read"
                }
                Err(error) => return Known::Failed(failed(&error)),
            };
            if !matches!(missing, Missing::Nothing(_)) {
                missing = Missing::Nothing(format!("the global project `{global}` {why}"));
            }
        }
        Known::Rules { rules, missing }
    }

    fn note(&mut self, project: &str, why: String) {
        let projects = self.unreadable.entry(why).or_default();
        projects.insert(project.to_owned());
    }

    /// One notice for all.
    fn close(self, report: &mut Report) {
        if self.unreadable.is_empty() {
            return;
        }
        let parts = self.unreadable.iter().map(|(why, projects)| {
            let mut names: Vec<_> = projects.iter().map(|name| format!("`{name}`")).collect();
            let more = names.len().saturating_sub(NAMED_MAX);
            names.truncate(NAMED_MAX);
            let more = match more {
                0 => String::new(),
                more => format!(" and {more} more"),
            };
            format!("{}{more}: {why}", names.join(", "))
        });
        let parts: Vec<_> = parts.take(NAMED_MAX).collect();
        report.notices.push(Reported {
            subject: "AppProject".to_owned(),
            application: None,
            cause: Cause::new(Reason::ProjectUnreadable, parts.join("; ")),
        });
    }
}

/// Why nobody knows which projects are global ones.
enum Unread {
    /// The settings may not be read, or make no sense.
    Said(String),
    /// The API server did not answer.
    Failed(Problem),
}

/// The global projects of Argo CD's settings, in their order.
async fn global_projects(context: &Context<'_>) -> Result<Vec<GlobalProject>, Unread> {
    let namespace = context.argocd_namespace.as_str();
    let settings = match context.objects.config_map(namespace, SETTINGS).await {
        Ok(settings) => settings,
        Err(error @ ObjectsError::Forbidden { .. }) => {
            let why = format!("global projects are not known: {}", chain(&error));
            return Err(Unread::Said(why));
        }
        Err(error) => return Err(Unread::Failed(failed(&error))),
    };
    let text = settings
        .as_ref()
        .and_then(|one| one.data.get(GLOBAL_PROJECTS));
    let read = global::read(text.map_or("", String::as_str));
    read.map_err(|why| Unread::Said(format!("`{GLOBAL_PROJECTS}` in `{SETTINGS}`: {why}")))
}

/// The names of the global projects, for what asks which rights reading them takes.
pub(super) async fn global_names(context: &Context<'_>) -> BTreeSet<String> {
    let global = global_projects(context).await.unwrap_or_default();
    global.into_iter().map(|one| one.name).collect()
}

fn failed(error: &ObjectsError) -> Problem {
    Problem {
        reason: match error {
            ObjectsError::Broken(_) => Reason::ProjectForbidden,
            _ => Reason::ApiServerUnreachable,
        },
        detail: format!("{}; nothing was written", chain(error)),
    }
}
