//! What `doctor` looks at besides a cycle: settings that are weaker than they look, and whether a
//! push would be let in. Nothing is written anywhere.

use std::collections::BTreeSet;

use futures_util::stream::{self, StreamExt as _};
use jiff::Timestamp;
use sealift_core::reason::Reason;
use sealift_git::Scheme;

use super::branch::Group;
use super::item::Item;
use super::report::Report;
use super::{Context, Problem, chain, gather};
use crate::policies::{InForce, Remark};
use crate::registries::Registries;

/// Something that is wrong, or weaker than it looks.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Found {
    /// Whether an update fails because of it.
    pub(crate) error: bool,
    /// What it is about.
    pub(crate) subject: String,
    pub(crate) reason: Reason,
    pub(crate) detail: String,
    /// How to mend it, where there is more to say than the reason's own way.
    pub(crate) hint: Option<&'static str>,
}

fn weak(subject: impl Into<String>, reason: Reason, detail: &str, hint: &'static str) -> Found {
    Found {
        error: false,
        subject: subject.into(),
        reason,
        detail: detail.to_owned(),
        hint: Some(hint),
    }
}

/// What policies say of themselves, and that there are none.
pub(crate) fn of_policies(in_force: &InForce, remarks: Vec<Remark>) -> Vec<Found> {
    let stops = |reason| {
        matches!(
            reason,
            Reason::PolicyInvalid | Reason::KeyUnavailable | Reason::TrustRootUnavailable
        )
    };
    let mut found: Vec<Found> = remarks
        .into_iter()
        .map(|remark| Found {
            error: stops(remark.reason),
            subject: remark.subject,
            reason: remark.reason,
            detail: remark.detail,
            hint: None,
        })
        .collect();
    if in_force.set().policies().next().is_none() {
        let detail = "there is no policy: every image is written unchecked";
        let hint = "`sealift policy init IMAGE` drafts one; `--unverified=refuse` refuses the rest";
        found.push(weak("policies", Reason::PolicyUnsafe, detail, hint));
    }
    found
}

/// Registries that are not checked.
pub(crate) fn of_registries(registries: &Registries) -> Vec<Found> {
    let unchecked = registries.entries().filter(|entry| entry.insecure);
    let unchecked = unchecked.map(|entry| {
        let subject = format!("registry `{}`", entry.name);
        let detail = "its TLS certificate is not checked (`insecure: yes`)";
        let hint = "name its certificate authority with `ca_file`";
        weak(subject, Reason::PolicyUnsafe, detail, hint)
    });
    let plain = registries.entries().filter(|entry| {
        let rest = entry.api_url.strip_prefix("http://");
        rest.is_some_and(|rest| !is_loopback(rest))
    });
    let plain = plain.map(|entry| {
        let subject = format!("registry `{}`", entry.name);
        let detail = "it is asked in the clear (`http://`)";
        weak(subject, Reason::PolicyUnsafe, detail, "use HTTPS")
    });
    unchecked.chain(plain).collect()
}

fn is_loopback(rest: &str) -> bool {
    let host = rest.split(['/', ':']).next().unwrap_or_default();
    host == "localhost" || host.starts_with("127.")
}

/// Every Git repository that an Application would write to: how it is reached, and whether the
/// credential may push.
pub(crate) async fn of_repositories(
    context: &Context<'_>,
    now: Timestamp,
) -> anyhow::Result<Vec<Found>> {
    // What cannot be read at all is in the cycle's report already.
    let mut report = Report::default();
    let items = gather::gather(context, &mut report, now).await?;
    let (_, groups) = gather::group(context, items).await;
    let groups: Vec<Group> = groups.into_values().flatten().collect();
    let mut found: BTreeSet<Found> = groups.iter().flat_map(reached).collect();
    let asks: Vec<_> = groups
        .iter()
        .map(|group| may_push(context, group))
        .collect();
    let mut asks = stream::iter(asks).buffer_unordered(context.repositories_at_once);
    while let Some(answer) = asks.next().await {
        found.extend(answer);
    }
    Ok(found.into_iter().collect())
}

fn reached(group: &Group) -> Vec<Found> {
    let subject = || format!("repository `{}`", group.repository);
    let mut found = Vec::new();
    if group.remote.insecure {
        let what = match group.remote.url.scheme() {
            Scheme::Ssh => "its host key is not checked (`insecure`)",
            _ => "its TLS certificate is not checked (`insecure`)",
        };
        let hint = "add it to Argo CD's known hosts or certificates, and take `insecure` out";
        found.push(weak(subject(), Reason::PolicyUnsafe, what, hint));
    }
    if group.remote.url.password().is_some() {
        let detail = "its URL holds a password, which everybody who reads the Application sees";
        let hint = "move it into a Secret, and renew it";
        found.push(weak(subject(), Reason::PolicyUnsafe, detail, hint));
    }
    found
}

async fn may_push(context: &Context<'_>, group: &Group) -> Option<Found> {
    let problem = ask(context, group).await.err()?;
    let applications: BTreeSet<String> = group
        .items
        .iter()
        .map(|item: &Item| item.application.id.to_string())
        .collect();
    let first = applications.first().cloned().unwrap_or_default();
    let more = match applications.len() {
        0 | 1 => String::new(),
        count => format!(" and {} more", count - 1),
    };
    Some(Found {
        error: true,
        subject: format!("repository `{}` of `{first}`{more}", group.repository),
        reason: problem.reason,
        detail: problem.detail,
        hint: None,
    })
}

async fn ask(context: &Context<'_>, group: &Group) -> Result<(), Problem> {
    let opened = context.git.open(&group.remote).await;
    let mut repository = opened.map_err(|error| Problem::git(&error))?;
    let heads = repository
        .fetch(std::slice::from_ref(&group.base))
        .await
        .map_err(|error| Problem::git(&error))?;
    let (branch, head) = heads
        .head(group.base.as_ref())
        .map_err(|error| Problem::git(&error))?;
    let branch = branch.clone();
    repository
        .may_push(&branch, head)
        .await
        .map_err(|failure| Problem {
            reason: failure.reason(),
            detail: chain(&failure),
        })
}
