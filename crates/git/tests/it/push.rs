//! Preparing and pushing plans.

use sealift_core::oid::Oid;
use sealift_git::{GitError, PushFailure};
use sealift_testkit::git::Change::{File, Symlink};
use sealift_testkit::git::git;

use crate::world::{Change, World, plan_of, read_one, text_of, usual_files, usual_plan};

#[tokio::test]
async fn a_plan_lands_with_the_ids_that_were_known_before() {
    let world = World::new();
    let bare = world.remotes.repository("r");
    let base: Oid = bare.commit("main", "one", &usual_files()).parse().unwrap();
    let mut repository = world.open(&bare.file_url()).await;
    let head = repository
        .fetch(&[None])
        .await
        .unwrap()
        .head(None)
        .unwrap()
        .1;
    let commits: [(&str, &[Change<'_>]); 2] = [
        (
            "first",
            &[
                ("values.yaml", Some(b"tag: 1\n"), b"tag: 2\n"),
                ("apps/b/run.sh", Some(b"#!/bin/sh\n"), b"#!/bin/bash\n"),
            ],
        ),
        (
            "second",
            &[
                ("values.yaml", Some(b"tag: 2\n"), b"tag: 3\n"),
                ("apps/new/deep/values.yaml", None, b"new: 1\n"),
            ],
        ),
    ];
    let prepared = repository
        .prepare(plan_of("main", Some(head), head, &commits), None)
        .await
        .unwrap();
    let ids = prepared.commit_ids().to_vec();
    assert_eq!(
        bare.head("main"),
        Some(base.to_string()),
        "nothing was sent yet"
    );
    let pushed = repository.push(prepared).await.unwrap();
    assert_eq!(pushed.commits, ids);
    assert_eq!(bare.head("main"), Some(ids[1].to_string()));
    assert_eq!(bare.subjects("main"), ["second", "first", "one"]);
    assert_eq!(bare.show("main", "values.yaml"), "tag: 3\n");
    assert_eq!(bare.show("main", "apps/new/deep/values.yaml"), "new: 1\n");
    let changed = bare.git(&["diff", "--raw", "--no-abbrev", &base.to_string(), "main"]);
    assert_eq!(changed.lines().count(), 3, "{changed}");
    assert!(changed.contains(":100755 100755 "), "{changed}");
    bare.git(&["fsck", "--strict", "--no-dangling"]);
    // The next look finds everything here.
    let head = repository
        .fetch(&[None])
        .await
        .unwrap()
        .head(None)
        .unwrap()
        .1;
    assert_eq!(
        text_of(&read_one(&mut repository, head, "values.yaml").await),
        "tag: 3\n"
    );
    assert_eq!(
        text_of(&read_one(&mut repository, head, "apps/a/values.yaml").await),
        "a: 1\n"
    );
}

#[tokio::test]
async fn equal_plans_make_equal_commits() {
    let world = World::new();
    let bare = world.remotes.repository("r");
    bare.commit("main", "one", &usual_files());
    let mut repository = world.open(&bare.file_url()).await;
    let head = repository
        .fetch(&[None])
        .await
        .unwrap()
        .head(None)
        .unwrap()
        .1;
    let first = repository.prepare(usual_plan(head), None).await.unwrap();
    let second = repository.prepare(usual_plan(head), None).await.unwrap();
    assert_eq!(first.head(), second.head());
}

#[tokio::test]
async fn a_person_who_was_faster_keeps_the_branch_and_the_plan_comes_back() {
    let world = World::new();
    let bare = world.remotes.repository("r");
    bare.commit("main", "one", &usual_files());
    let mut repository = world.open(&bare.file_url()).await;
    let head = repository
        .fetch(&[None])
        .await
        .unwrap()
        .head(None)
        .unwrap()
        .1;
    let prepared = repository.prepare(usual_plan(head), None).await.unwrap();
    let theirs = bare.commit("main", "theirs", &[("other", File(b"1"))]);
    let error = repository.push(prepared).await.unwrap_err();
    assert!(matches!(error.failure, PushFailure::Moved), "{error:?}");
    assert_eq!(bare.head("main"), Some(theirs));
    assert_eq!(error.plan.commits().len(), 1);
    assert_eq!(error.plan.into_admitted().len(), 1);
}

#[tokio::test]
async fn a_new_branch_is_made_from_the_base_and_only_when_it_is_absent() {
    let world = World::new();
    let bare = world.remotes.repository("r");
    let base: Oid = bare.commit("main", "one", &usual_files()).parse().unwrap();
    let mut repository = world.open(&bare.file_url()).await;
    repository.fetch(&[None]).await.unwrap();
    let change: &[Change<'_>] = &[("values.yaml", Some(b"tag: 1\n"), b"tag: 2\n")];
    let plan = || plan_of("updates/x", None, base, &[("new", change)]);
    let second = repository.prepare(plan(), None).await.unwrap();
    // The base moves on meanwhile: then the way starts again there.
    let lost = repository.prepare(plan(), None).await.unwrap();
    let main = bare.commit("main", "two", &[("other", File(b"1"))]);
    let error = repository.push(lost).await.unwrap_err();
    assert!(matches!(error.failure, PushFailure::Moved), "{error:?}");
    bare.git(&["update-ref", "refs/heads/main", &base.to_string()]);
    let first = repository.prepare(plan(), None).await.unwrap();
    let pushed = repository.push(first).await.unwrap();
    assert_eq!(bare.head("updates/x"), Some(pushed.commits[0].to_string()));
    assert_ne!(bare.head("main"), Some(main));
    bare.git(&["update-ref", "refs/heads/updates/x", &base.to_string()]);
    let error = repository.push(second).await.unwrap_err();
    assert!(matches!(error.failure, PushFailure::Moved), "{error:?}");
    assert_eq!(bare.head("updates/x"), Some(base.to_string()));
}

#[tokio::test]
async fn a_branch_that_was_deleted_meanwhile_has_moved() {
    let world = World::new();
    let bare = world.remotes.repository("r");
    bare.commit("main", "one", &usual_files());
    let head: Oid = bare.commit("work", "two", &usual_files()).parse().unwrap();
    let mut repository = world.open(&bare.file_url()).await;
    repository
        .fetch(&[Some("work".parse().unwrap())])
        .await
        .unwrap();
    let change: &[Change<'_>] = &[("values.yaml", Some(b"tag: 1\n"), b"tag: 2\n")];
    let plan = plan_of("work", Some(head), head, &[("new", change)]);
    let prepared = repository.prepare(plan, None).await.unwrap();
    bare.git(&["update-ref", "-d", "refs/heads/work"]);
    let error = repository.push(prepared).await.unwrap_err();
    assert!(matches!(error.failure, PushFailure::Moved), "{error:?}");
    assert_eq!(bare.head("work"), None);
}

#[tokio::test]
async fn a_protected_branch_is_its_own_reason() {
    let world = World::new();
    let bare = world.remotes.repository("r");
    let base = bare.commit("main", "one", &usual_files());
    let mut repository = world.open(&bare.file_url()).await;
    let head = repository
        .fetch(&[None])
        .await
        .unwrap()
        .head(None)
        .unwrap()
        .1;
    for (text, protected) in [
        (
            "error: GH006: Protected branch update failed for refs/heads/main.",
            true,
        ),
        (
            "GitLab: You are not allowed to push code to protected branches on this project.",
            true,
        ),
        ("this commit holds a secret", false),
    ] {
        bare.protect(text);
        let prepared = repository.prepare(usual_plan(head), None).await.unwrap();
        let error = repository.push(prepared).await.unwrap_err();
        let said = error.to_string();
        match error.failure {
            PushFailure::Protected { .. } => assert!(protected, "{said}"),
            PushFailure::Refused { message } => assert!(!protected && message.contains("secret")),
            other => panic!("{other:?}"),
        }
        assert_eq!(bare.head("main").as_deref(), Some(base.as_str()));
    }
    bare.unprotect();
    let prepared = repository.prepare(usual_plan(head), None).await.unwrap();
    repository.push(prepared).await.unwrap();
}

#[tokio::test]
async fn links_and_changed_files_are_not_written() {
    let world = World::new();
    let bare = world.remotes.repository("r");
    let head: Oid = bare.commit("main", "one", &usual_files()).parse().unwrap();
    let mut repository = world.open(&bare.file_url()).await;
    repository.fetch(&[None]).await.unwrap();
    type Expected = fn(&GitError) -> bool;
    let attempts: [(Change<'_>, Expected); 5] = [
        (("link.yaml", Some(b"x"), b"y"), |error| {
            matches!(error, GitError::NotAFile { .. })
        }),
        (("linked/a/values.yaml", Some(b"a: 1\n"), b"y"), |error| {
            matches!(error, GitError::NotAFile { .. })
        }),
        (("modules/sub/x", None, b"y"), |error| {
            matches!(error, GitError::NotAFile { .. })
        }),
        (("values.yaml", Some(b"tag: 0\n"), b"y"), |error| {
            matches!(error, GitError::BaseChanged { .. })
        }),
        (("values.yaml", None, b"y"), |error| {
            matches!(error, GitError::BaseChanged { .. })
        }),
    ];
    for (change, expected) in attempts {
        let plan = plan_of("main", Some(head), head, &[("m", &[change])]);
        let error = repository.prepare(plan, None).await.unwrap_err();
        assert!(expected(&error.source), "{change:?}: {error:?}");
        assert_eq!(error.plan.into_admitted().len(), 1);
    }
    let plan = plan_of(
        "-x",
        Some(head),
        head,
        &[("m", &[("values.yaml", Some(b"tag: 1\n"), b"y")])],
    );
    let error = repository.prepare(plan, None).await.unwrap_err();
    assert!(matches!(error.source, GitError::BranchName(_)));
    assert_eq!(bare.head("main"), Some(head.to_string()));
}

#[tokio::test]
async fn a_target_that_became_a_link_is_refused_on_the_new_base() {
    let world = World::new();
    let bare = world.remotes.repository("r");
    bare.commit("main", "one", &usual_files());
    let head: Oid = bare
        .commit("main", "two", &[("values.yaml", Symlink("/etc/passwd"))])
        .parse()
        .unwrap();
    let mut repository = world.open(&bare.file_url()).await;
    repository.fetch(&[None]).await.unwrap();
    let error = repository
        .prepare(usual_plan(head), None)
        .await
        .unwrap_err();
    assert!(matches!(error.source, GitError::NotAFile { .. }));
}

#[tokio::test]
async fn odd_neighbours_and_big_folders_stay_byte_for_byte() {
    let world = World::new();
    let bare = world.remotes.repository("r");
    let names: Vec<String> = (0..20_000).map(|n| format!("{n:05}.yaml")).collect();
    let mut files: Vec<_> = names
        .iter()
        .map(|name| (name.as_str(), File(b"x")))
        .collect();
    files.extend(usual_files());
    let base: Oid = bare.commit("main", "one", &files).parse().unwrap();
    let mut repository = world.open(&bare.file_url()).await;
    repository.fetch(&[None]).await.unwrap();
    let prepared = repository.prepare(usual_plan(base), None).await.unwrap();
    repository.push(prepared).await.unwrap();
    let changed = bare.git(&["diff", "--name-status", &base.to_string(), "main"]);
    assert_eq!(changed, "M\tvalues.yaml");
    bare.git(&["fsck", "--strict", "--no-dangling"]);
}

#[tokio::test]
async fn sha256_repositories_are_written() {
    let world = World::new();
    let bare = world.remotes.repository_sha256("r");
    let head: Oid = bare
        .commit("main", "one", &[("values.yaml", File(b"tag: 1\n"))])
        .parse()
        .unwrap();
    let mut repository = world.open(&bare.file_url()).await;
    repository.fetch(&[None]).await.unwrap();
    let prepared = repository.prepare(usual_plan(head), None).await.unwrap();
    repository.push(prepared).await.unwrap();
    assert_eq!(bare.show("main", "values.yaml"), "tag: 2\n");
    git(Some(bare.path()), &["fsck", "--strict"], b"");
}

#[tokio::test]
async fn hooks_of_the_cache_never_run() {
    let world = World::new();
    let bare = world.remotes.repository("r");
    let head: Oid = bare.commit("main", "one", &usual_files()).parse().unwrap();
    let mut repository = world.open(&bare.file_url()).await;
    repository.fetch(&[None]).await.unwrap();
    let folders = std::fs::read_dir(world.state.path().join("git"))
        .unwrap()
        .flatten();
    let cache = folders
        .map(|entry| entry.path().join("repository.git"))
        .find(|path| path.exists())
        .unwrap();
    std::fs::create_dir_all(cache.join("hooks")).unwrap();
    for hook in ["pre-push", "reference-transaction", "post-index-change"] {
        use std::os::unix::fs::PermissionsExt as _;
        let file = cache.join("hooks").join(hook);
        std::fs::write(&file, "#!/bin/sh\necho ran > \"$GIT_DIR/ran\"\nexit 1\n").unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    let prepared = repository.prepare(usual_plan(head), None).await.unwrap();
    repository.push(prepared).await.unwrap();
    assert!(!cache.join("ran").exists());
}
