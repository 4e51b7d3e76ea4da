//! Heads, files, history and the cache, over files.

use std::collections::BTreeSet;

use sealift_core::oid::{ObjectFormat, Oid};
use sealift_git::{FileState, GitError, Obstacle};
use sealift_testkit::git::Change::{Delete, File};

use crate::world::{World, path, read_one, remote, text_of, usual_files};

#[tokio::test]
async fn heads_are_found_by_name_and_by_default() {
    let world = World::new();
    let bare = world.remotes.repository("r");
    let main: Oid = bare.commit("main", "one", &usual_files()).parse().unwrap();
    let other: Oid = bare
        .commit("feature/x", "two", &[("f", File(b"1"))])
        .parse()
        .unwrap();
    let mut repository = world.open(&bare.file_url()).await;
    let feature = "feature/x".parse().unwrap();
    let heads = repository
        .fetch(&[None, Some("feature/x".parse().unwrap())])
        .await
        .unwrap();
    assert_eq!(heads.default_branch().unwrap().as_str(), "main");
    assert_eq!(heads.head(None).unwrap().1, main);
    assert_eq!(heads.head(Some(&feature)).unwrap().1, other);
}

#[tokio::test]
async fn a_missing_branch_is_told_from_a_missing_repository() {
    let world = World::new();
    let bare = world.remotes.repository("r");
    bare.commit("main", "one", &usual_files());
    bare.git(&["tag", "v1", "main"]);
    let mut repository = world.open(&bare.file_url()).await;
    for name in ["absent", "v1", "mai"] {
        let branch = name.parse().unwrap();
        let heads = repository
            .fetch(&[Some(name.parse().unwrap()), None])
            .await
            .unwrap();
        assert!(
            matches!(
                heads.head(Some(&branch)),
                Err(GitError::BranchMissing { .. })
            ),
            "{name}"
        );
        assert!(heads.head(None).is_ok());
    }
    let mut absent = world
        .open(&format!("{}/absent.git", world.remotes.path().display()))
        .await;
    let failed = absent.fetch(&[None]).await.unwrap_err();
    assert!(matches!(failed, GitError::NotFound { .. }), "{failed:?}");
}

#[tokio::test]
async fn an_empty_repository_has_no_default_branch() {
    let world = World::new();
    let bare = world.remotes.repository("r");
    let mut repository = world.open(&bare.file_url()).await;
    let heads = repository.fetch(&[None]).await.unwrap();
    assert!(matches!(
        heads.head(None),
        Err(GitError::BranchMissing { branch: None, .. })
    ));
}

#[tokio::test]
async fn files_are_read_and_nothing_is_followed() {
    let world = World::new();
    let bare = world.remotes.repository("r");
    let head: Oid = bare.commit("main", "one", &usual_files()).parse().unwrap();
    let mut repository = world.open(&bare.file_url()).await;
    repository.fetch(&[None]).await.unwrap();
    assert_eq!(
        text_of(&read_one(&mut repository, head, "apps/a/values.yaml").await),
        "a: 1\n"
    );
    let script = read_one(&mut repository, head, "apps/b/run.sh").await;
    assert!(matches!(
        script,
        FileState::File {
            executable: true,
            ..
        }
    ));
    for name in ["absent", "apps/absent/x", "new/folder/x"] {
        assert_eq!(
            read_one(&mut repository, head, name).await,
            FileState::Missing,
            "{name}"
        );
    }
    for (name, at, obstacle) in [
        ("link.yaml", "link.yaml", Obstacle::Symlink),
        ("linked/a/values.yaml", "linked", Obstacle::Symlink),
        ("modules/sub/x", "modules/sub", Obstacle::Submodule),
        ("apps/a", "apps/a", Obstacle::Folder),
        ("values.yaml/x", "values.yaml", Obstacle::File),
    ] {
        let state = read_one(&mut repository, head, name).await;
        let expected = FileState::InTheWay {
            at: at.into(),
            obstacle,
        };
        assert_eq!(state, expected, "{name}");
    }
}

#[tokio::test]
async fn all_missing_blobs_are_fetched_in_one_go() {
    let world = World::new();
    let bare = world.remotes.repository("r");
    let contents: Vec<(String, String)> = (0..50)
        .map(|n| (format!("apps/{n}/values.yaml"), format!("n: {n}\n")))
        .collect();
    let files: Vec<_> = contents
        .iter()
        .map(|(name, text)| (name.as_str(), File(text.as_bytes())))
        .collect();
    let head: Oid = bare.commit("main", "one", &files).parse().unwrap();
    let mut repository = world.open(&bare.file_url()).await;
    repository.fetch(&[None]).await.unwrap();
    let paths: BTreeSet<_> = contents.iter().map(|(name, _)| path(name)).collect();
    let before = world.repositories.processes_started();
    let read = repository.read(head, &paths).await.unwrap();
    // The reader of objects, and one fetch for fifty blobs.
    assert_eq!(world.repositories.processes_started() - before, 2);
    assert_eq!(text_of(&read[&path("apps/49/values.yaml")]), "n: 49\n");
}

#[tokio::test]
async fn a_second_look_at_an_unmoved_remote_is_one_listing() {
    let world = World::new();
    let bare = world.remotes.repository("r");
    let head: Oid = bare.commit("main", "one", &usual_files()).parse().unwrap();
    let mut repository = world.open(&bare.file_url()).await;
    repository.fetch(&[None]).await.unwrap();
    read_one(&mut repository, head, "values.yaml").await;
    drop(repository);
    let mut repository = world.open(&bare.file_url()).await;
    let before = world.repositories.processes_started();
    repository.fetch(&[None]).await.unwrap();
    assert_eq!(world.repositories.processes_started() - before, 1);
    assert_eq!(
        text_of(&read_one(&mut repository, head, "values.yaml").await),
        "tag: 1\n"
    );
    // The reader of objects.
    assert_eq!(world.repositories.processes_started() - before, 2);
}

#[tokio::test]
async fn a_branch_that_moved_forwards_backwards_or_away_is_seen() {
    let world = World::new();
    let bare = world.remotes.repository("r");
    let first: Oid = bare.commit("main", "one", &usual_files()).parse().unwrap();
    let mut repository = world.open(&bare.file_url()).await;
    repository.fetch(&[None]).await.unwrap();
    let second: Oid = bare
        .commit("main", "two", &[("values.yaml", File(b"tag: 9\n"))])
        .parse()
        .unwrap();
    assert_eq!(
        repository
            .fetch(&[None])
            .await
            .unwrap()
            .head(None)
            .unwrap()
            .1,
        second
    );
    assert_eq!(
        text_of(&read_one(&mut repository, second, "values.yaml").await),
        "tag: 9\n"
    );
    bare.git(&["update-ref", "refs/heads/main", &first.to_string()]);
    assert_eq!(
        repository
            .fetch(&[None])
            .await
            .unwrap()
            .head(None)
            .unwrap()
            .1,
        first
    );
    assert_eq!(
        text_of(&read_one(&mut repository, first, "values.yaml").await),
        "tag: 1\n"
    );
    bare.git(&["update-ref", "-d", "refs/heads/main"]);
    bare.commit("main/below", "three", &usual_files());
    let heads = repository
        .fetch(&[Some("main/below".parse().unwrap())])
        .await
        .unwrap();
    assert_eq!(heads.branches().len(), 1);
}

#[tokio::test]
async fn history_reaches_behind_what_was_fetched() {
    let world = World::new();
    let bare = world.remotes.repository("r");
    let ids: Vec<Oid> = (0..6)
        .map(|n| {
            bare.commit(
                "main",
                &format!("commit {n}\n\nKey: {n}\n"),
                &[("f", File(&[n]))],
            )
            .parse()
            .unwrap()
        })
        .collect();
    let mut repository = world.open(&bare.file_url()).await;
    repository.fetch(&[None]).await.unwrap();
    let commits = repository.history(ids[5], 4).await.unwrap();
    let seen: Vec<Oid> = commits.iter().map(|commit| commit.id).collect();
    assert_eq!(seen, [ids[5], ids[4], ids[3], ids[2]]);
    assert_eq!(commits[1].trailers("Key").collect::<Vec<_>>(), ["4"]);
    assert!(repository.contains(ids[5], ids[2], 4).await.unwrap());
    assert!(!repository.contains(ids[5], ids[1], 4).await.unwrap());
    let all = repository.history(ids[5], 100).await.unwrap();
    assert_eq!(all.len(), 6);
    // A commit that only the look back brought is still readable when the branch goes back to it.
    bare.git(&["update-ref", "refs/heads/main", &ids[1].to_string()]);
    let head = repository
        .fetch(&[None])
        .await
        .unwrap()
        .head(None)
        .unwrap()
        .1;
    assert!(matches!(
        read_one(&mut repository, head, "f").await,
        FileState::File { .. }
    ));
}

#[tokio::test]
async fn folders_are_listed_whole_and_without_links() {
    let world = World::new();
    let bare = world.remotes.repository("r");
    let head: Oid = bare.commit("main", "one", &usual_files()).parse().unwrap();
    let mut repository = world.open(&bare.file_url()).await;
    repository.fetch(&[None]).await.unwrap();
    let all = repository.list_files(head, None).await.unwrap();
    let names: Vec<&str> = all.iter().map(|path| path.as_str()).collect();
    assert_eq!(
        names,
        ["apps/a/values.yaml", "apps/b/run.sh", "values.yaml"]
    );
    let some = repository
        .list_files(head, Some(&path("apps/b")))
        .await
        .unwrap();
    assert_eq!(some, [path("apps/b/run.sh")]);
    assert_eq!(
        repository
            .list_files(head, Some(&path("absent")))
            .await
            .unwrap(),
        []
    );
}

#[tokio::test]
async fn sha256_repositories_are_read() {
    let world = World::new();
    let bare = world.remotes.repository_sha256("r");
    let head: Oid = bare
        .commit("main", "one", &[("values.yaml", File(b"tag: 1\n"))])
        .parse()
        .unwrap();
    assert_eq!(head.format(), ObjectFormat::Sha256);
    let mut repository = world.open(&bare.file_url()).await;
    repository.fetch(&[None]).await.unwrap();
    assert_eq!(
        text_of(&read_one(&mut repository, head, "values.yaml").await),
        "tag: 1\n"
    );
}

#[tokio::test]
async fn a_damaged_cache_and_leftovers_of_a_crash_are_survived() {
    let world = World::new();
    let bare = world.remotes.repository("r");
    bare.commit("main", "one", &usual_files());
    let mut repository = world.open(&bare.file_url()).await;
    repository.fetch(&[None]).await.unwrap();
    drop(repository);
    let folders = std::fs::read_dir(world.state.path().join("git"))
        .unwrap()
        .flatten();
    let cache = folders
        .map(|entry| entry.path().join("repository.git"))
        .find(|path| path.exists())
        .unwrap();
    for name in ["shallow.lock", "objects/pack/tmp_pack_x", "config.lock"] {
        std::fs::write(cache.join(name), "").unwrap();
    }
    let head: Oid = bare
        .commit("main", "two", &[("values.yaml", Delete)])
        .parse()
        .unwrap();
    let mut repository = world.open(&bare.file_url()).await;
    repository.fetch(&[None]).await.unwrap();
    assert_eq!(
        read_one(&mut repository, head, "values.yaml").await,
        FileState::Missing
    );
    drop(repository);
    for entry in std::fs::read_dir(cache.join("objects/pack"))
        .unwrap()
        .flatten()
    {
        std::fs::remove_file(entry.path()).unwrap();
    }
    let mut repository = world.open(&bare.file_url()).await;
    repository.fetch(&[None]).await.unwrap();
    assert_eq!(
        text_of(&read_one(&mut repository, head, "apps/a/values.yaml").await),
        "a: 1\n"
    );
}

#[tokio::test]
async fn a_tree_of_twenty_thousand_entries_is_read_and_kept() {
    let world = World::new();
    let bare = world.remotes.repository("r");
    let names: Vec<String> = (0..20_000).map(|n| format!("flat/{n:05}.yaml")).collect();
    let files: Vec<_> = names
        .iter()
        .map(|name| (name.as_str(), File(b"x")))
        .collect();
    let head: Oid = bare.commit("main", "one", &files).parse().unwrap();
    let mut repository = world.open(&bare.file_url()).await;
    repository.fetch(&[None]).await.unwrap();
    assert_eq!(
        text_of(&read_one(&mut repository, head, "flat/19999.yaml").await),
        "x"
    );
    assert_eq!(
        repository.list_files(head, None).await.unwrap().len(),
        20_000
    );
}

#[tokio::test]
async fn one_remote_is_open_once_and_another_process_is_kept_out() {
    let world = World::new();
    let bare = world.remotes.repository("r");
    let url = bare.file_url();
    let first = world.open(&url).await;
    let remote = remote(&url);
    let mut settings = sealift_git::GitSettings::new(world.state.path().join("git"));
    settings.rules.allow_local = true;
    let other_process = sealift_git::Repositories::new(settings).unwrap();
    let locked = other_process.open(&remote).await.err().unwrap();
    assert!(matches!(locked, GitError::Locked { .. }), "{locked:?}");
    drop(first);
    assert!(other_process.open(&remote).await.is_ok());
}
