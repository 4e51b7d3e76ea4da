//! From a plan to commits on the remote's branch: prepared here whole, then sent as one
//! compare-and-swap.
//!
//! [`Repository::prepare`] makes every object in memory, so the ids are known, and can be recorded,
//! before anything is sent. [`Repository::push`] moves the branch from exactly the commit that the
//! plan expects, or gives the plan back.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;

use sealift_core::digest::Digest;
use sealift_core::oid::Oid;
use sealift_core::path::RepoPath;
use sealift_core::reason::Reason;
use sealift_write::Plan;

use crate::branch::BranchName;
use crate::commit::{NewCommit, encode};
use crate::error::GitError;
use crate::objects::Kind;
use crate::pack;
use crate::read::{FileState, Walk};
use crate::repository::Repository;
use crate::sign::Signer;
use crate::smart::{PushTrouble, Trouble};
use crate::store::cached_reference;
use crate::tree::{RewriteError, Store};
use crate::verdict::{Rejection, classify, judge};

/// A plan whose commits exist in memory, with ids, and nowhere else yet.
#[must_use = "commits that are not pushed are updates that are lost"]
#[derive(Debug)]
pub struct Prepared {
    plan: Plan,
    branch: BranchName,
    commits: Vec<Oid>,
    pack: Vec<u8>,
}

impl Prepared {
    /// The plan.
    pub const fn plan(&self) -> &Plan {
        &self.plan
    }

    /// The ids of the commits, oldest first, one for each of the plan.
    #[must_use]
    pub fn commit_ids(&self) -> &[Oid] {
        &self.commits
    }

    /// Where the branch will point.
    #[must_use]
    pub fn head(&self) -> Oid {
        self.commits
            .last()
            .copied()
            .unwrap_or(self.plan.target().base)
    }

    /// Gives the plan up, unsent.
    pub fn into_plan(self) -> Plan {
        self.plan
    }
}

/// Commits that are on the branch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pushed {
    /// Their ids, oldest first.
    pub commits: Vec<Oid>,
}

/// A plan that was not prepared, and why.
#[derive(Debug, thiserror::Error)]
#[error("the commits for `{}` were not made", .plan.target().repository)]
pub struct PrepareError {
    /// The plan, whole.
    pub plan: Box<Plan>,
    /// Why.
    pub source: GitError,
}

/// A plan that was not seen to land, and why.
#[derive(Debug, thiserror::Error)]
#[error("the push to `{branch}` of `{url}` did not succeed: {failure}")]
pub struct PushError {
    /// The plan, whole.
    pub plan: Box<Plan>,
    /// The repository, masked.
    pub url: String,
    /// The branch.
    pub branch: String,
    /// Why.
    #[source]
    pub failure: PushFailure,
}

/// Why a push did not succeed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PushFailure {
    /// The branch is not where the plan expects it: somebody else pushed. Nothing was written.
    #[error("the branch has moved")]
    Moved,
    /// A rule of the branch forbids the push. Nothing was written.
    #[error("the branch is protected: {message}")]
    Protected {
        /// What the server said.
        message: String,
    },
    /// The server did not take the credentials. Nothing was written.
    #[error("the server refused the credentials: {message}")]
    Unauthorized {
        /// What the server said.
        message: String,
    },
    /// The server refused for another reason. Nothing was written.
    #[error("the server refused the push: {message}")]
    Refused {
        /// What the server said.
        message: String,
    },
    /// It is not known whether the push arrived: look at the remote.
    #[error("it is not known whether the push arrived: {message}")]
    Unknown {
        /// What was seen last.
        message: String,
    },
    /// Something here failed before anything was sent.
    #[error("nothing was sent")]
    NotSent(#[source] Box<GitError>),
}

impl PushFailure {
    /// The stable reason id.
    #[must_use]
    pub const fn reason(&self) -> Reason {
        match self {
            Self::Moved => Reason::BranchMoved,
            Self::Protected { .. } => Reason::BranchProtected,
            Self::Unauthorized { .. } => Reason::GitUnauthorized,
            Self::Refused { .. } => Reason::GitRefused,
            Self::Unknown { .. } => Reason::GitUnreachable,
            Self::NotSent(error) => error.reason(),
        }
    }
}

impl Repository {
    /// Makes the blobs, trees and commits of `plan` in memory, on its base. Nothing is written or
    /// sent.
    ///
    /// # Errors
    /// Gives the plan back with [`GitError::BaseChanged`], [`GitError::NotAFile`],
    /// [`GitError::Signing`], [`GitError::BranchName`], or what reading the base met.
    pub async fn prepare(
        &mut self,
        plan: Plan,
        signer: Option<&Signer>,
    ) -> Result<Prepared, PrepareError> {
        match self.build(&plan, signer).await {
            Ok((branch, commits, pack)) => Ok(Prepared {
                plan,
                branch,
                commits,
                pack,
            }),
            Err(source) => Err(PrepareError {
                plan: Box::new(plan),
                source,
            }),
        }
    }

    async fn build(
        &mut self,
        plan: &Plan,
        signer: Option<&Signer>,
    ) -> Result<(BranchName, Vec<Oid>, Vec<u8>), GitError> {
        let target = plan.target();
        let branch: BranchName = target.branch.parse()?;
        let paths: BTreeSet<RepoPath> = plan
            .commits()
            .iter()
            .flat_map(|commit| commit.files.keys().cloned())
            .collect();
        let (states, walk) = self.read_with_walk(target.base, &paths).await?;
        check_base(plan, &states)?;
        let Walk { root, trees, .. } = walk;
        let mut store = Store::new(self.format, trees);
        let (mut tree, mut parent) = (root, target.base);
        let mut ids = Vec::with_capacity(plan.commits().len());
        for commit in plan.commits() {
            let files = commit
                .files
                .iter()
                .map(|(path, change)| (path, change.bytes.as_slice()));
            tree = store.rewrite(tree, files).map_err(rewrite_failed)?;
            let new = NewCommit {
                tree,
                parent,
                author: &commit.author,
                time: commit.time,
                message: &commit.message,
            };
            parent = store.add(Kind::Commit, encode(&new, signer)?);
            ids.push(parent);
        }
        let pack = pack::write(self.format, store.objects()).map_err(|source| GitError::Io {
            what: "compress objects for",
            path: self.objects.clone(),
            source,
        })?;
        Ok((branch, ids, pack))
    }

    /// Sends prepared commits: the branch moves from the expected commit to the new one, or nothing
    /// happens.
    ///
    /// # Errors
    /// Gives the plan back with the [`PushFailure`]. After [`PushFailure::Unknown`] the caller must
    /// look at the remote.
    pub async fn push(&mut self, prepared: Prepared) -> Result<Pushed, PushError> {
        let head = prepared.head();
        let Prepared {
            plan,
            branch,
            commits,
            pack,
        } = prepared;
        match self
            .send(&branch, plan.target().expected, head, &pack)
            .await
        {
            Ok(()) => Ok(Pushed { commits }),
            Err(failure) => Err(PushError {
                url: self.url.clone(),
                branch: branch.to_string(),
                plan: Box::new(plan),
                failure,
            }),
        }
    }

    async fn send(
        &mut self,
        branch: &BranchName,
        expected: Option<Oid>,
        head: Oid,
        pack: &[u8],
    ) -> Result<(), PushFailure> {
        if self.smart.is_some() {
            match self.send_smart(branch, expected, head, pack).await {
                Ok(()) => {
                    self.keep(branch, head, pack).await;
                    return Ok(());
                }
                Err(PushTrouble::NotSent(trouble)) => match trouble {
                    Trouble::Failed(error) => return Err(not_sent(error)),
                    Trouble::Unsupported => self.smart = None,
                },
                Err(PushTrouble::Unauthorized(message)) => {
                    return Err(PushFailure::Unauthorized { message });
                }
                Err(PushTrouble::Unknown(message)) => return Err(PushFailure::Unknown { message }),
                Err(PushTrouble::Rejected(rejection)) => {
                    return Err(self.push_failure(rejection, ""));
                }
            }
        }
        self.store_made(pack).await.map_err(not_sent)?;
        self.send_by_program(branch, expected, head, false).await?;
        self.kept(branch, self.remember(&cached_reference(branch), head));
        Ok(())
    }

    async fn send_smart(
        &self,
        branch: &BranchName,
        expected: Option<Oid>,
        head: Oid,
        pack: &[u8],
    ) -> Result<(), PushTrouble> {
        let Some(smart) = &self.smart else {
            return Err(PushTrouble::NotSent(Trouble::Unsupported));
        };
        let reference = branch.reference();
        let advertisement = smart.before_push().await?;
        if advertisement.find(&reference) != expected {
            return Err(PushTrouble::Rejected(Rejection::Moved));
        }
        let report = smart
            .push(&advertisement, &reference, (expected, head), pack)
            .await?;
        match report.refused {
            None => Ok(()),
            Some(why) => Err(PushTrouble::Rejected(judge(
                &why,
                &self.access.scrubbed(report.said.as_bytes()),
            ))),
        }
    }

    /// Keeps what was pushed by HTTP.
    async fn keep(&self, branch: &BranchName, head: Oid, pack: &[u8]) {
        let stored = self.store_made(pack).await;
        self.kept(
            branch,
            stored.and_then(|()| self.remember(&cached_reference(branch), head)),
        );
    }

    /// The commits are on the remote already, so a failure to keep them costs the next cycle one
    /// fetch, no more.
    fn kept(&self, branch: &BranchName, kept: Result<(), GitError>) {
        if let Err(error) = kept {
            tracing::warn!(
                git.repository = %self.url,
                git.branch = %branch,
                error = %error,
                "pushed commits were not cached",
            );
        }
    }

    /// Asks the server whether this credential may push, as far as it says so before a push: rules
    /// of branches show only when something is sent. Nothing is.
    ///
    /// # Errors
    /// The [`PushFailure`] that a push would end with.
    pub async fn may_push(&mut self, branch: &BranchName, head: Oid) -> Result<(), PushFailure> {
        if let Some(smart) = &self.smart {
            match smart.before_push().await {
                Ok(_) => return Ok(()),
                Err(PushTrouble::NotSent(Trouble::Unsupported)) => self.smart = None,
                Err(PushTrouble::NotSent(Trouble::Failed(error))) => return Err(not_sent(error)),
                Err(PushTrouble::Unauthorized(message)) => {
                    return Err(PushFailure::Unauthorized { message });
                }
                Err(PushTrouble::Unknown(message)) => return Err(PushFailure::Unknown { message }),
                Err(PushTrouble::Rejected(rejection)) => {
                    return Err(self.push_failure(rejection, ""));
                }
            }
        }
        self.send_by_program(branch, Some(head), head, true).await
    }

    async fn send_by_program(
        &self,
        branch: &BranchName,
        expected: Option<Oid>,
        head: Oid,
        dry: bool,
    ) -> Result<(), PushFailure> {
        let reference = branch.reference();
        let expected = expected.map(|oid| oid.to_string()).unwrap_or_default();
        let lease = format!("--force-with-lease={reference}:{expected}");
        let update = format!("{head}:{reference}");
        let arguments = [
            "push",
            "--porcelain",
            "--no-verify",
            "--no-thin",
            "--no-progress",
            if dry { "--dry-run" } else { "--no-dry-run" },
            &lease,
            "--end-of-options",
            "origin",
            &update,
        ];
        let sent = self.command("push", &arguments.map(OsStr::new), b"").await;
        let finished = sent.map_err(|error| match error {
            GitError::TimedOut { .. } => PushFailure::Unknown {
                message: error.to_string(),
            },
            error => not_sent(error),
        })?;
        let report = self.access.scrubbed(&finished.stdout);
        match classify(finished.success, &report, &finished.stderr) {
            None => Ok(()),
            Some(rejection) => Err(self.push_failure(rejection, &finished.stderr)),
        }
    }

    fn push_failure(&self, rejection: Rejection, said: &str) -> PushFailure {
        match rejection {
            Rejection::Moved => PushFailure::Moved,
            Rejection::Protected(message) => PushFailure::Protected { message },
            Rejection::Refused(message) => PushFailure::Refused { message },
            Rejection::NoReport => match self.remote_failure(said) {
                GitError::Unauthorized { detail, .. } => {
                    PushFailure::Unauthorized { message: detail }
                }
                error @ (GitError::HostKeyUnknown { .. } | GitError::NotFound { .. }) => {
                    not_sent(error)
                }
                _ => PushFailure::Unknown {
                    message: said.to_owned(),
                },
            },
        }
    }
}

fn not_sent(error: GitError) -> PushFailure {
    PushFailure::NotSent(Box::new(error))
}

/// Whether every file is on the base what its first change was made from.
fn check_base(plan: &Plan, states: &BTreeMap<RepoPath, FileState>) -> Result<(), GitError> {
    let mut checked = BTreeSet::new();
    for (path, change) in plan.commits().iter().flat_map(|commit| &commit.files) {
        if !checked.insert(path) {
            continue;
        }
        let found = match states.get(path) {
            Some(FileState::File { bytes, .. }) => Some(Digest::of(bytes)),
            Some(FileState::InTheWay { at, obstacle }) => {
                return Err(GitError::NotAFile {
                    path: path.clone(),
                    at: at.clone(),
                    kind: obstacle.name(),
                });
            }
            Some(FileState::TooLarge { .. }) => {
                return Err(GitError::BaseChanged { path: path.clone() });
            }
            Some(FileState::Missing) | None => None,
        };
        if found != change.before {
            return Err(GitError::BaseChanged { path: path.clone() });
        }
    }
    Ok(())
}

fn rewrite_failed(error: RewriteError) -> GitError {
    match error {
        RewriteError::TreeUnknown(oid) => GitError::ObjectMissing { oid, kind: "tree" },
        RewriteError::Malformed(oid, rule) => GitError::ObjectMalformed { oid, rule },
        RewriteError::InTheWay(name) => GitError::Command {
            what: "rewrite the tree",
            detail: format!("`{name}` is in the way"),
        },
    }
}
