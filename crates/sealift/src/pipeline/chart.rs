//! A remark for who asks why: the chart makes a label of the tag that is written with its digest.

use std::collections::BTreeSet;

use sealift_core::limits::CHART_TEMPLATES_MAX;
use sealift_core::oid::Oid;
use sealift_core::path::RepoPath;
use sealift_core::reason::Reason;
use sealift_core::slot::chart::label_line;
use sealift_core::slot::merge::HelmKeys;
use sealift_git::{FileState, GitError, Repository};

use super::branch::Group;
use super::find::Change;

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
