//! The rules of AppProjects, before anything is written to a repository.
//!
//! What a project does not allow is refused. Where a project may not be read or is not there, its
//! rules are not applied, and one notice says so; where nobody knows, because the API server did
//! not answer, nothing is written. An Application that is written itself touches no repository.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use sealift_core::event::Cause;
use sealift_core::project::{AppProject, DEFAULT_PROJECT};
use sealift_core::reason::Reason;
use sealift_core::settings::Method;

use super::item::Item;
use super::report::{Problem as Reported, Report};
use super::{Context, Problem, chain};
use crate::objects::ObjectsError;

/// Argo CD's own settings, and the key in it that names projects which give others more.
const SETTINGS: (&str, &str) = ("argocd-cm", "globalProjects");
/// Projects that a notice names.
const NAMED_MAX: usize = 10;

/// What is known of a project.
enum Known {
    Rules(Arc<AppProject>),
    /// Its rules are not applied.
    Unreadable,
    /// Nobody knows.
    Failed(Problem),
}

/// The projects of one cycle.
struct Projects<'a> {
    context: &'a Context<'a>,
    known: BTreeMap<String, Known>,
    /// Why the rules of a project are not applied.
    unreadable: BTreeMap<String, BTreeSet<String>>,
}

/// Decides what a project does not allow.
pub(super) async fn enforce(context: &Context<'_>, items: &mut [Item], report: &mut Report) {
    let mut projects = Projects {
        context,
        known: BTreeMap::new(),
        unreadable: BTreeMap::new(),
    };
    let mut verdicts: BTreeMap<(String, String, String), Option<Problem>> = BTreeMap::new();
    for item in items.iter_mut().filter(|item| !item.is_decided()) {
        let application = &item.application;
        if application.method == Method::ArgoCd {
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
        let refusal = match self.known.get(project)? {
            Known::Unreadable => return None,
            Known::Failed(problem) => return Some(problem.clone()),
            Known::Rules(rules) => rules.allows(repository, namespace).err()?,
        };
        if refusal.may_be_allowed_globally() && self.has_global_projects().await {
            let why = format!("{refusal}, and global projects, which are not read, may");
            self.note(project, why);
            return None;
        }
        Some(Problem {
            reason: Reason::ProjectForbidden,
            detail: format!("{refusal}; nothing was written"),
        })
    }

    async fn read(&mut self, project: &str) -> Known {
        let namespace = self.context.argocd_namespace.as_str();
        match self.context.objects.project(namespace, project).await {
            Ok(Some(rules)) => Known::Rules(rules),
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
            Err(error) => Known::Failed(Problem {
                reason: match &error {
                    ObjectsError::Broken(_) => Reason::ProjectForbidden,
                    _ => Reason::ApiServerUnreachable,
                },
                detail: format!("{}; nothing was written", chain(&error)),
            }),
        }
    }

    /// Whether Argo CD knows projects that allow others more than they say themselves.
    async fn has_global_projects(&self) -> bool {
        let namespace = self.context.argocd_namespace.as_str();
        let (name, key) = SETTINGS;
        let settings = self.context.objects.config_map(namespace, name).await;
        let global = settings.ok().flatten();
        global.is_some_and(|settings| {
            let text = settings.data.get(key);
            text.is_some_and(|text| !matches!(text.trim(), "" | "[]"))
        })
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
