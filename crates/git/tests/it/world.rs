//! What the tests share: repositories under a temporary folder, and plans made the only way there
//! is.

use std::collections::BTreeSet;

use jiff::Timestamp;
use sealift_core::digest::Digest;
use sealift_core::evidence::Evidence;
use sealift_core::oid::Oid;
use sealift_core::path::RepoPath;
use sealift_git::{FileState, GitSettings, GitUrl, Remote, Repositories, Repository};
use sealift_testkit::git::GitRoot;
use sealift_trust::{Admitted, Candidate, Case, Claim, Judge, Policy, Unverified, admit};
use sealift_write::{Author, CommitText, FileText, Plan, PlanTarget, edit, plan};

/// A state folder and a folder of remotes.
pub(crate) struct World {
    pub(crate) remotes: GitRoot,
    pub(crate) state: tempfile::TempDir,
    pub(crate) repositories: Repositories,
}

impl World {
    /// Where the `git` program talks to every remote.
    pub(crate) fn new() -> Self {
        Self::make(None)
    }

    /// Where HTTP remotes are reached without a process, and where they are not.
    pub(crate) fn both() -> [Self; 2] {
        let net = sealift_net::Net::new(sealift_net::Settings::default()).unwrap();
        [Self::make(Some(net)), Self::make(None)]
    }

    fn make(net: Option<sealift_net::Net>) -> Self {
        let state = tempfile::tempdir().unwrap();
        let mut settings = GitSettings::new(state.path().join("git"));
        settings.rules.allow_local = true;
        settings.net = net;
        let repositories = Repositories::new(settings).unwrap();
        Self {
            remotes: GitRoot::new(),
            state,
            repositories,
        }
    }

    pub(crate) async fn open(&self, url: &str) -> Repository {
        self.repositories.open(&remote(url)).await.unwrap()
    }
}

pub(crate) fn remote(url: &str) -> Remote {
    Remote::new(GitUrl::parse(url).unwrap())
}

pub(crate) fn path(text: &str) -> RepoPath {
    RepoPath::join("", text).unwrap()
}

pub(crate) fn time() -> Timestamp {
    Timestamp::from_second(1_750_000_000).unwrap()
}

/// Reads one file.
pub(crate) async fn read_one(repository: &mut Repository, commit: Oid, name: &str) -> FileState {
    let paths = BTreeSet::from([path(name)]);
    let mut read = repository.read(commit, &paths).await.unwrap();
    read.remove(&path(name)).unwrap()
}

pub(crate) fn text_of(state: &FileState) -> &str {
    match state {
        FileState::File { bytes, .. } => std::str::from_utf8(bytes).unwrap(),
        other => panic!("not a file: {other:?}"),
    }
}

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

/// One change of one file: path, old and new bytes.
pub(crate) type Change<'a> = (&'a str, Option<&'a [u8]>, &'a [u8]);

/// A plan with one commit for each list of changes.
pub(crate) fn plan_of(
    branch: &str,
    expected: Option<Oid>,
    base: Oid,
    commits: &[(&str, &[Change<'_>])],
) -> Plan {
    let target = PlanTarget {
        repository: "r".into(),
        branch: branch.into(),
        expected,
        base,
    };
    let commits = commits.iter().map(|(message, changes)| {
        let edits = changes.iter().map(|(name, before, after)| {
            let file = FileText {
                path: path(name),
                bytes: before.map(<[u8]>::to_vec),
            };
            edit(
                &file,
                after.to_vec(),
                name,
                admitted(name),
                Timestamp::UNIX_EPOCH,
            )
            .unwrap()
        });
        let text = CommitText {
            message: (*message).to_owned(),
            author: Author {
                name: "Sealift".into(),
                email: "sealift@example.org".into(),
            },
            time: time(),
        };
        (text, edits.collect())
    });
    plan(target, commits.collect()).unwrap()
}

/// The usual plan: `values.yaml` from `tag: 1` to `tag: 2` on `main`.
pub(crate) fn usual_plan(head: Oid) -> Plan {
    let change: Change<'_> = ("values.yaml", Some(b"tag: 1\n"), b"tag: 2\n");
    plan_of(
        "main",
        Some(head),
        head,
        &[("build: update\n\nSealift-Test: 1\n", &[change])],
    )
}

/// The files of the usual repository.
pub(crate) fn usual_files<'a>() -> Vec<(&'a str, sealift_testkit::git::Change<'a>)> {
    use sealift_testkit::git::Change::{Executable, File, Submodule, Symlink};
    vec![
        ("values.yaml", File(b"tag: 1\n")),
        ("apps/a/values.yaml", File(b"a: 1\n")),
        ("apps/b/run.sh", Executable(b"#!/bin/sh\n")),
        ("link.yaml", Symlink("values.yaml")),
        ("linked", Symlink("apps")),
        ("modules/sub", Submodule),
        ("\"caf\\303\\251\\377.txt\"", File(b"odd name\n")),
    ]
}
