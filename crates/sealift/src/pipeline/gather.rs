//! From objects to items, and from items to the Git repositories that they are written to.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use sealift_core::application::Application;
use sealift_core::event::{Body, Decision, Notice};
use sealift_core::reason::Reason;
use sealift_core::settings::Method;
use sealift_git::{BranchName, GitUrl, Remote};

use super::branch::Group;
use super::item::Item;
use super::report::{Problem as Reported, Report};
use super::{Context, Problem, chain, read};
use crate::remotes;

/// Reads every Application and its settings. What cannot be read is in the report, and the others
/// go on.
pub(super) async fn gather(
    context: &Context<'_>,
    report: &mut Report,
    now: Timestamp,
) -> anyhow::Result<Vec<Item>> {
    let mut followed = read::read(context, report).await?;
    read::leave_out(context, &mut followed, report);
    let images = followed.iter().map(|application| application.images.len());
    let mut items = Vec::with_capacity(images.sum());
    for application in followed {
        report.cycle.applications += 1;
        for position in 0..application.images.len() {
            let mut item = Item::new(Arc::clone(&application), position, now);
            check_method(context, &mut item);
            items.push(item);
        }
    }
    super::project::enforce(context, &mut items, report).await;
    let demands = items.iter().filter_map(|item| {
        let policy = item.rule().verification.as_deref()?;
        Some((policy, item.application.id.namespace.as_str()))
    });
    context
        .in_force
        .demand(context.objects.as_ref(), demands)
        .await;
    for problem in report.problems.iter().chain(&report.notices) {
        let Reported {
            subject,
            application,
            cause,
        } = problem.clone();
        context.record(&Body::Notice(Notice {
            cause,
            subject,
            application,
        }))?;
    }
    Ok(items)
}

/// Refuses what this version cannot do, before anything is asked.
fn check_method(context: &Context<'_>, item: &mut Item) {
    if item.application.method == Method::ArgoCd && context.objects.live().is_none() {
        let detail = "set `write-back-method: git`, or name the Git repository of the Application's \
                      own manifest with `-f`; nothing was written";
        item.decide(Decision::Failed, Reason::MethodNeedsApiServer, detail);
    }
}

/// Groups items by Git repository. Comes back with those that are decided and take part in none,
/// and the groups of each repository by its canonical URL. Items that are read from one branch as
/// one and the same are one group, however they spell the URL and name the credential.
pub(super) async fn group(
    context: &Context<'_>,
    items: Vec<Item>,
) -> (Vec<Item>, BTreeMap<String, Vec<Group>>) {
    // Where nothing is outdated, all of them.
    let mut done = Vec::with_capacity(items.len());
    let mut groups: BTreeMap<String, Vec<Group>> = BTreeMap::new();
    let mut remotes: BTreeMap<remotes::Question, Result<Arc<Remote>, Problem>> = BTreeMap::new();
    for mut item in items {
        if item.is_decided() && !item.is_hinted() {
            done.push(item);
            continue;
        }
        let question = remotes::question(&item.application);
        if !remotes.contains_key(&question) {
            let answer = remote_of(context, &item.application).await;
            remotes.insert(question.clone(), answer);
        }
        let remote = remotes.get(&question).cloned();
        let base = base_of(&item.application);
        match (remote, base) {
            (Some(Ok(remote)), Ok(base)) => {
                let repository = groups.entry(remote.url.canonical()).or_default();
                join(repository, &remote, base, item);
            }
            (Some(Err(problem)), _) | (_, Err(problem)) => {
                if !item.is_decided() {
                    item.decide(Decision::Failed, problem.reason, problem.detail);
                }
                done.push(item);
            }
            (None, _) => done.push(item),
        }
    }
    let mut busy: BTreeMap<String, Vec<Group>> = BTreeMap::new();
    for (url, groups) in groups {
        for group in groups {
            if group.items.iter().all(Item::is_decided) {
                done.extend(group.items);
            } else {
                busy.entry(url.clone()).or_default().push(group);
            }
        }
    }
    (done, busy)
}

/// Adds an item to the group that it belongs to. There are few in a repository: one for each
/// branch and each way to reach it.
fn join(groups: &mut Vec<Group>, remote: &Arc<Remote>, base: Option<BranchName>, item: Item) {
    let same = |group: &&mut Group| {
        group.base == base && (Arc::ptr_eq(&group.remote, remote) || group.remote.is_same(remote))
    };
    if let Some(group) = groups.iter_mut().find(same) {
        return group.items.push(item);
    }
    groups.push(Group {
        repository: remote.url.to_string(),
        remote: Arc::clone(remote),
        base,
        branch: String::new(),
        items: vec![item],
        kept: Vec::new(),
    });
}

fn base_of(application: &Application) -> Result<Option<BranchName>, Problem> {
    let named = application.base_branch.as_deref();
    let parsed = named.map(str::parse::<BranchName>).transpose();
    parsed.map_err(|error| Problem {
        reason: Reason::BranchInvalid,
        detail: chain(&error),
    })
}

/// The repository of an Application, with the credential that its settings name.
pub(super) async fn remote_of(
    context: &Context<'_>,
    application: &Application,
) -> Result<Arc<Remote>, Problem> {
    let url = GitUrl::parse(&application.repository).map_err(|error| Problem {
        reason: Reason::UrlUnsupported,
        detail: chain(&error),
    })?;
    let lookup = remotes::Lookup {
        objects: context.objects.as_ref(),
        github_apps: context.git.github_apps(),
        argocd_namespace: &context.argocd_namespace,
        now: context.now(),
    };
    remotes::remote(&lookup, application, url)
        .await
        .map(Arc::new)
}
