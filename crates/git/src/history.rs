//! Looking back from a head, a bounded number of commits: what crash recovery and anchors need.

use std::collections::{BTreeSet, VecDeque};

use sealift_core::limits::GIT_HISTORY_MAX;
use sealift_core::oid::Oid;

use crate::commit::{CommitInfo, decode};
use crate::error::GitError;
use crate::objects::{Kind, Object};
use crate::repository::Repository;

impl Repository {
    /// The last `commits_max` commits at and before `head`, nearest first. Trees and blobs are not
    /// fetched.
    ///
    /// # Errors
    /// Those of a fetch; [`GitError::ObjectMissing`] when `head` is no commit there.
    pub async fn history(
        &mut self,
        head: Oid,
        commits_max: usize,
    ) -> Result<Vec<CommitInfo>, GitError> {
        let commits_max = commits_max.min(GIT_HISTORY_MAX);
        let (commits, whole) = self.walk_back(head, commits_max).await?;
        if whole {
            return Ok(commits);
        }
        self.fetch_history(head, commits_max).await?;
        let (commits, _) = self.walk_back(head, commits_max).await?;
        match commits.first() {
            Some(_) => Ok(commits),
            None => Err(GitError::ObjectMissing {
                oid: head,
                kind: "commit",
            }),
        }
    }

    /// Whether `commit` is `head` or one of the `commits_max` commits before it.
    ///
    /// # Errors
    /// Those of [`Repository::history`].
    pub async fn contains(
        &mut self,
        head: Oid,
        commit: Oid,
        commits_max: usize,
    ) -> Result<bool, GitError> {
        if head == commit {
            return Ok(true);
        }
        let near = self
            .walk_back(head, commits_max.min(GIT_HISTORY_MAX))
            .await?
            .0;
        if near.iter().any(|near| near.id == commit) {
            return Ok(true);
        }
        Ok(self
            .history(head, commits_max)
            .await?
            .iter()
            .any(|near| near.id == commit))
    }

    /// What is here of the history, and whether that is all of it.
    async fn walk_back(
        &mut self,
        head: Oid,
        commits_max: usize,
    ) -> Result<(Vec<CommitInfo>, bool), GitError> {
        let mut commits = Vec::new();
        let mut seen = BTreeSet::from([head]);
        let mut open = VecDeque::from([head]);
        let mut whole = true;
        while commits.len() < commits_max && !open.is_empty() {
            let level: Vec<Oid> = open.drain(..).collect();
            for (id, object) in level
                .iter()
                .zip(self.read_objects(Kind::Commit, &level).await?)
            {
                let Object::Found(bytes) = object else {
                    whole = false;
                    continue;
                };
                let commit = decode(*id, &bytes).ok_or(GitError::ObjectMalformed {
                    oid: *id,
                    rule: "its headers cannot be read",
                })?;
                open.extend(
                    commit
                        .parents
                        .iter()
                        .copied()
                        .filter(|parent| seen.insert(*parent)),
                );
                commits.push(commit);
            }
        }
        commits.truncate(commits_max);
        Ok((commits, whole))
    }
}
