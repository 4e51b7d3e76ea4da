//! Branches, tags and commits by name, over HTTP, with and without a process, from servers of both
//! protocols.

use sealift_core::oid::Oid;
use sealift_git::GitError;
use sealift_testkit::git::Change::File;
use sealift_testkit::git::http::{GitHttp, GitHttpOptions};
use sealift_testkit::git::{BareRepository, git};

use crate::world::{World, read_one, text_of};

/// A repository of three commits: `first` has a light tag, `second` an annotated one, `main` is at
/// the third.
fn three_commits(world: &World) -> (BareRepository, [Oid; 3]) {
    let bare = world.remotes.repository("r");
    let commits: [Oid; 3] = ["first", "second", "third"].map(|text| {
        let files = [("values.yaml", File(text.as_bytes()))];
        bare.commit("main", text, &files).parse().unwrap()
    });
    let [first, second, _] = commits.map(|oid| oid.to_string());
    bare.git(&["tag", "light", &first]);
    annotate(&bare, "v1", &second);
    annotate(&bare, "v10", &first);
    (bare, commits)
}

fn annotate(bare: &BareRepository, tag: &str, target: &str) {
    let who = ["-c", "user.name=t", "-c", "user.email=t@example.org"];
    let tag = ["tag", "-a", "-m", "a release", tag, target];
    git(Some(bare.path()), &[&who[..], &tag].concat(), b"");
}

fn server(world: &World, ignore_version: bool) -> GitHttp {
    let options = GitHttpOptions {
        ignore_version,
        ..GitHttpOptions::default()
    };
    GitHttp::start(world.remotes.path(), options)
}

#[tokio::test]
async fn tags_stand_for_their_commits() {
    for ignore_version in [false, true] {
        for world in World::both() {
            let (_, [first, second, third]) = three_commits(&world);
            let server = server(&world, ignore_version);
            let mut repository = world.open(&server.url("r")).await;
            for (name, commit, text) in [
                ("light", first, "first"),
                ("v1", second, "second"),
                ("refs/tags/v1", second, "second"),
                ("v10", first, "first"),
                ("main", third, "third"),
                ("refs/heads/main", third, "third"),
            ] {
                let revision = name.parse().unwrap();
                let head = repository.fetch_revision(Some(&revision)).await.unwrap();
                assert_eq!(head, commit, "{name}");
                let file = read_one(&mut repository, head, "values.yaml").await;
                assert_eq!(text_of(&file), text, "{name}");
            }
            assert_eq!(repository.fetch_revision(None).await.unwrap(), third);
        }
    }
}

#[tokio::test]
async fn a_commit_is_read_by_its_id_and_asked_for_once() {
    for world in World::both() {
        let (_, [first, ..]) = three_commits(&world);
        let server = server(&world, false);
        let mut repository = world.open(&server.url("r")).await;
        let revision = first.to_string().parse().unwrap();
        let head = repository.fetch_revision(Some(&revision)).await.unwrap();
        assert_eq!(head, first);
        let file = read_one(&mut repository, head, "values.yaml").await;
        assert_eq!(text_of(&file), "first");
        let _ = server.take_requests();
        repository.fetch_revision(Some(&revision)).await.unwrap();
        read_one(&mut repository, head, "values.yaml").await;
        assert_eq!(server.take_requests(), Vec::<String>::new());
    }
}

#[tokio::test]
async fn a_commit_that_is_absent_or_not_given_out_says_so() {
    for world in World::both() {
        // No branch or tag names the third commit any more: a server of the old protocol does not
        // give it by its id.
        let (bare, [first, _, third]) = three_commits(&world);
        bare.commit("main", "fourth", &[("values.yaml", File(b"fourth"))]);
        bare.git(&["config", "uploadpack.allowAnySHA1InWant", "false"]);
        let old = server(&world, true);
        let mut repository = world.open(&old.url("r")).await;
        let named = first.to_string().parse().unwrap();
        let head = repository.fetch_revision(Some(&named)).await.unwrap();
        assert_eq!(head, first, "a tag names it");
        drop(repository);
        let absent = "0a".repeat(20);
        for (ignore_version, id) in [(false, absent), (true, third.to_string())] {
            let server = server(&world, ignore_version);
            let mut repository = world.open(&server.url("r")).await;
            let revision = id.parse().unwrap();
            let error = repository
                .fetch_revision(Some(&revision))
                .await
                .unwrap_err();
            assert!(
                matches!(error, GitError::CommitUnavailable { .. }),
                "{error:?}"
            );
            assert!(error.to_string().contains(&id), "{error}");
        }
    }
}

#[tokio::test]
async fn a_name_that_is_nothing_or_two_things_is_refused() {
    for world in World::both() {
        let (bare, [first, _, third]) = three_commits(&world);
        bare.git(&["branch", "both", &third.to_string()]);
        bare.git(&["tag", "both", &first.to_string()]);
        let server = server(&world, false);
        let mut repository = world.open(&server.url("r")).await;
        let absent = "v".parse().unwrap();
        let error = repository.fetch_revision(Some(&absent)).await.unwrap_err();
        assert!(
            matches!(error, GitError::RevisionMissing { .. }),
            "{error:?}"
        );
        let both = "both".parse().unwrap();
        let error = repository.fetch_revision(Some(&both)).await.unwrap_err();
        assert!(
            matches!(error, GitError::RevisionAmbiguous { .. }),
            "{error:?}"
        );
        for (name, commit) in [("refs/heads/both", third), ("refs/tags/both", first)] {
            let revision = name.parse().unwrap();
            let head = repository.fetch_revision(Some(&revision)).await.unwrap();
            assert_eq!(head, commit, "{name}");
        }
    }
}
