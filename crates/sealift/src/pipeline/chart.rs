//! Remarks about a chart that lies beside its values: it makes a label of the tag that is written
//! with its digest, or names the key nowhere that the digest is written to.

use std::collections::BTreeSet;

use sealift_core::limits::CHART_TEMPLATES_MAX;
use sealift_core::oid::Oid;
use sealift_core::path::RepoPath;
use sealift_core::reason::Reason;
use sealift_core::slot::chart::{label_line, uses};
use sealift_core::slot::merge::HelmKeys;
use sealift_git::{FileState, GitError, Repository};

use super::branch::Group;
use super::find::{Change, digest_key};

/// Adds the remark to items whose chart lies beside their values. A chart from elsewhere is not
/// seen, and a folder that cannot be read says nothing.
pub(super) async fn remark(
    repository: &mut Repository,
    head: Oid,
    group: &mut Group,
    changes: &[Change],
) {
    for change in changes {
        let pinned = change.new.tag.is_some() && change.new.digest.is_some();
        let Some(item) = group.items.get_mut(change.item).filter(|_| pinned) else {
            continue;
        };
        let HelmKeys::Parts {
            tag, digest: None, ..
        } = item.rule().slot.helm.keys()
        else {
            continue;
        };
        if !change.slot.key.routes.iter().any(|route| route == tag) {
            continue;
        }
        let found = labels(repository, head, &item.application.source_path, tag).await;
        if let Ok(Some((path, line))) = found {
            let detail = format!(
                "`{path}:{line}` makes a label of `{tag}`, and `{}` is none; set \
                 `sealift.dev/<alias>.helm.image-digest` to a key of its own",
                change.new
            );
            item.remark(Reason::PinInTag, detail);
        }
    }
}

/// Whether any change writes a digest to a key of its own.
pub(super) fn has_digest_key(group: &Group, changes: &[Change]) -> bool {
    let key = |change: &Change| {
        let item = group.items.get(change.item)?;
        digest_key(item).filter(|_| change.new.digest.is_some())
    };
    changes.iter().any(|change| key(change).is_some())
}

/// Adds the remark to items whose digest goes to a key that no template of their chart names. A
/// chart from elsewhere, or with parts from elsewhere, is not judged, and the chart of an Application
/// that is written in its manifest is elsewhere.
pub(super) async fn remark_unread_keys(
    repository: &mut Repository,
    head: Oid,
    group: &mut Group,
    changes: &[Change],
) {
    for change in changes.iter().filter(|one| one.new.digest.is_some()) {
        let Some(item) = group.items.get_mut(change.item) else {
            continue;
        };
        let here = item.application.manifest.is_none();
        let Some(key) = digest_key(item).filter(|_| here) else {
            continue;
        };
        let chart = item.application.source_path.clone();
        if let Ok(false) = may_name(repository, head, &chart, &key).await {
            let detail = format!("`{key}` stands in no file of `{chart}/templates`");
            item.remark(Reason::DigestKeyUnread, detail);
        }
    }
}

/// Whether a template may use `key`: one holds its last part, or not all of them are seen.
async fn may_name(
    repository: &mut Repository,
    head: Oid,
    chart: &str,
    key: &str,
) -> Result<bool, GitError> {
    let path = |name: &str| RepoPath::join(chart, name).ok();
    let (Some(folder), Some(manifest)) = (path("templates"), path("Chart.yaml")) else {
        return Ok(true);
    };
    let listed = repository.list_files(head, Some(&folder)).await?;
    let mut paths: BTreeSet<RepoPath> = listed.into_iter().collect();
    if paths.is_empty() || paths.len() > CHART_TEMPLATES_MAX {
        return Ok(true);
    }
    paths.insert(manifest.clone());
    for (path, state) in repository.read(head, &paths).await? {
        let FileState::File { bytes, .. } = state else {
            return Ok(true);
        };
        let text = String::from_utf8_lossy(&bytes);
        let seen = match path == manifest {
            // What a dependency does with the value is not seen.
            true => text.contains("dependencies:"),
            false => uses(&text, key),
        };
        if seen {
            return Ok(true);
        }
    }
    Ok(false)
}

async fn labels(
    repository: &mut Repository,
    head: Oid,
    chart: &str,
    route: &str,
) -> Result<Option<(RepoPath, usize)>, GitError> {
    let Ok(folder) = RepoPath::join(chart, "templates") else {
        return Ok(None);
    };
    let listed = repository.list_files(head, Some(&folder)).await?;
    let templates: BTreeSet<RepoPath> = listed.into_iter().take(CHART_TEMPLATES_MAX).collect();
    for (path, state) in repository.read(head, &templates).await? {
        if let FileState::File { bytes, .. } = state
            && let Some(line) = label_line(&String::from_utf8_lossy(&bytes), route)
        {
            return Ok(Some((path, line)));
        }
    }
    Ok(None)
}
