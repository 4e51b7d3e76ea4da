//! Edits of one (repository, branch, credential, signer) on one base commit.

use std::collections::BTreeMap;

use jiff::Timestamp;
use sealift_core::digest::Digest;
use sealift_core::oid::Oid;
use sealift_core::path::RepoPath;
use sealift_trust::Admitted;

use crate::edit::Edit;
use crate::error::WriteError;
use crate::message::{Author, CommitText};

/// Where a plan goes, and what must still be there when it arrives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlanTarget {
    /// The repository, masked, for messages and events.
    pub repository: String,
    /// The branch to push, without `refs/heads/`.
    pub branch: String,
    /// What the branch must point at (`None`: it must not exist). The push is a compare-and-swap on
    /// this value.
    pub expected: Option<Oid>,
    /// The commit that the first commit of the plan builds on.
    pub base: Oid,
}

/// One commit to be made.
#[derive(Debug)]
pub struct PlannedCommit {
    /// The whole message, with trailers.
    pub message: String,
    /// Author and committer.
    pub author: Author,
    /// Author and committer date, UTC.
    pub time: Timestamp,
    /// The files that change, whole.
    pub files: BTreeMap<RepoPath, FileChange>,
    /// What this commit is allowed to write.
    pub admitted: Vec<Admitted>,
}

/// A file's new content.
#[derive(Debug, PartialEq, Eq)]
pub struct FileChange {
    /// The whole file after the commit.
    pub bytes: Vec<u8>,
    /// SHA-256 of the file before the commit; `None` when the commit makes it.
    pub before: Option<Digest>,
}

/// Commits to be pushed together, once.
#[derive(Debug)]
#[must_use = "a plan that is not pushed is a set of updates that are lost"]
pub struct Plan {
    target: PlanTarget,
    commits: Vec<PlannedCommit>,
}

impl Plan {
    /// Where it goes.
    #[must_use]
    pub const fn target(&self) -> &PlanTarget {
        &self.target
    }

    /// The commits, oldest first; never empty, and none is empty.
    #[must_use]
    pub fn commits(&self) -> &[PlannedCommit] {
        &self.commits
    }

    /// Gives the admissions back, in order, when the plan could not be pushed.
    #[must_use]
    pub fn into_admitted(self) -> Vec<Admitted> {
        self.commits
            .into_iter()
            .flat_map(|commit| commit.admitted)
            .collect()
    }
}

/// Gathers edits into commits on one base.
///
/// `commits` are in order; the edits of one file must build on each other, across commits too.
///
/// # Errors
/// [`WriteError::Empty`] without any edit; [`WriteError::BrokenChain`] when a file's edits do not
/// follow each other.
pub fn plan(target: PlanTarget, commits: Vec<(CommitText, Vec<Edit>)>) -> Result<Plan, WriteError> {
    let mut latest: BTreeMap<RepoPath, Digest> = BTreeMap::new();
    let mut planned = Vec::with_capacity(commits.len());
    for (text, edits) in commits {
        let mut files: BTreeMap<RepoPath, FileChange> = BTreeMap::new();
        let mut admitted = Vec::new();
        for edit in edits {
            let (path, before, after, bytes, rights) = edit.into_parts();
            if latest
                .get(&path)
                .is_some_and(|known| Some(*known) != before)
            {
                return Err(WriteError::BrokenChain { path });
            }
            latest.insert(path.clone(), after);
            let first = files.get(&path).map_or(before, |change| change.before);
            files.insert(
                path,
                FileChange {
                    bytes,
                    before: first,
                },
            );
            admitted.extend(rights);
        }
        if files.is_empty() {
            return Err(WriteError::Empty);
        }
        let CommitText {
            message,
            author,
            time,
        } = text;
        planned.push(PlannedCommit {
            message,
            author,
            time,
            files,
            admitted,
        });
    }
    if planned.is_empty() {
        return Err(WriteError::Empty);
    }
    Ok(Plan {
        target,
        commits: planned,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::edit::{FileText, edit};
    use sealift_core::evidence::Evidence;
    use sealift_trust::{Candidate, Case, Claim, Judge, Policy, Unverified, admit};

    fn admitted(slot: &str) -> Admitted {
        let digest = Digest::of(b"x");
        let candidate = Candidate {
            repository: "r/x".into(),
            tag: "2".into(),
            digest,
        };
        let claim = Claim {
            slot: slot.into(),
            old: Some("1".into()),
            new: "2".into(),
        };
        let case = Case {
            digest,
            tag: None,
            evidence: &Evidence::none(digest),
            platforms: &[],
            change: None,
        };
        let policy = Policy::none(Unverified::Allow);
        let verdict = Judge::default().judge(&case, &policy, Timestamp::UNIX_EPOCH);
        admit(candidate, verdict, claim, Timestamp::UNIX_EPOCH).unwrap()
    }

    fn file(bytes: &[u8]) -> FileText {
        FileText {
            path: RepoPath::join("", "v.yaml").unwrap(),
            bytes: Some(bytes.to_vec()),
        }
    }

    fn target() -> PlanTarget {
        let base: Oid = "0".repeat(40).parse().unwrap();
        let expected = Some(base);
        PlanTarget {
            repository: "r".into(),
            branch: "main".into(),
            expected,
            base,
        }
    }

    fn text() -> CommitText {
        let author = Author {
            name: "n".into(),
            email: "e".into(),
        };
        CommitText {
            message: "m\n".into(),
            author,
            time: Timestamp::UNIX_EPOCH,
        }
    }

    #[test]
    fn edits_of_one_file_build_on_each_other_and_land_whole() {
        let now = Timestamp::UNIX_EPOCH;
        let first = edit(
            &file(b"a: 1\n"),
            b"a: 2\n".to_vec(),
            "s",
            admitted("s"),
            now,
        )
        .unwrap();
        let second = edit(
            &file(b"a: 2\n"),
            b"a: 3\n".to_vec(),
            "t",
            admitted("t"),
            now,
        )
        .unwrap();
        let plan = plan(target(), vec![(text(), vec![first, second])]).unwrap();
        let change = plan.commits()[0].files.values().next().unwrap();
        assert_eq!(change.bytes, b"a: 3\n");
        assert_eq!(change.before, Some(Digest::of(b"a: 1\n")));
        assert_eq!(plan.into_admitted().len(), 2);
    }

    #[test]
    fn edits_that_skip_each_other_are_a_broken_chain() {
        let now = Timestamp::UNIX_EPOCH;
        let first = edit(
            &file(b"a: 1\n"),
            b"a: 2\n".to_vec(),
            "s",
            admitted("s"),
            now,
        )
        .unwrap();
        let second = edit(
            &file(b"a: 1\n"),
            b"a: 3\n".to_vec(),
            "t",
            admitted("t"),
            now,
        )
        .unwrap();
        let broken = plan(
            target(),
            vec![(text(), vec![first]), (text(), vec![second])],
        );
        assert!(matches!(broken, Err(WriteError::BrokenChain { .. })));
    }

    #[test]
    fn an_edit_that_changes_nothing_and_an_empty_plan_are_refused() {
        let same = edit(
            &file(b"a"),
            b"a".to_vec(),
            "s",
            admitted("s"),
            Timestamp::UNIX_EPOCH,
        );
        assert!(matches!(same, Err(WriteError::NoChange { .. })));
        assert!(matches!(plan(target(), Vec::new()), Err(WriteError::Empty)));
        assert!(matches!(
            plan(target(), vec![(text(), Vec::new())]),
            Err(WriteError::Empty)
        ));
    }

    #[test]
    fn an_admission_for_another_slot_edits_nothing() {
        let wrong = edit(
            &file(b"a"),
            b"b".to_vec(),
            "t",
            admitted("s"),
            Timestamp::UNIX_EPOCH,
        );
        assert!(matches!(wrong, Err(WriteError::AdmissionEnded { .. })));
    }
}
