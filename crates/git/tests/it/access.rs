//! HTTP and SSH: credentials, trust, faults, and that no secret is to be seen.

use std::time::Duration;

use sealift_core::oid::Oid;
use sealift_core::secret::Secret;
use sealift_git::{Credential, GitError, PushFailure, Remote};
use sealift_testkit::git::BareRepository;
use sealift_testkit::git::http::{GitFault, GitHttp, GitHttpOptions};
use sealift_testkit::git::ssh::{Sshd, keygen};

use crate::world::{World, read_one, remote, text_of, usual_files, usual_plan};

/// Opens, reads, pushes; the requests or processes it took are the caller's to count.
async fn full_cycle(world: &World, remote: &Remote, bare: &BareRepository) {
    let mut repository = world.repositories.open(remote).await.unwrap();
    let head = repository
        .fetch(&[None])
        .await
        .unwrap()
        .head(None)
        .unwrap()
        .1;
    assert_eq!(
        text_of(&read_one(&mut repository, head, "values.yaml").await),
        "tag: 1\n"
    );
    let prepared = repository.prepare(usual_plan(head), None).await.unwrap();
    let pushed = repository.push(prepared).await.unwrap();
    assert_eq!(bare.head("main"), Some(pushed.commits[0].to_string()));
}

fn basic(username: &str, password: &str) -> Credential {
    Credential::Basic {
        username: username.into(),
        password: Secret::new(password.into()),
    }
}

#[tokio::test]
async fn a_cycle_over_http_takes_few_requests_and_a_quiet_one_fewer() {
    // Requests of a whole cycle and of a quiet one; processes of both: without the program's help,
    // and with it.
    for (world, bounds) in World::both().into_iter().zip([(5, 1, 5), (8, 2, 8)]) {
        let bare = world.remotes.repository("r");
        bare.commit("main", "one", &usual_files());
        let server = GitHttp::start(world.remotes.path(), GitHttpOptions::default());
        let remote = remote(&server.url("r"));
        full_cycle(&world, &remote, &bare).await;
        let whole = server.take_requests();
        let mut repository = world.repositories.open(&remote).await.unwrap();
        let head = repository
            .fetch(&[None])
            .await
            .unwrap()
            .head(None)
            .unwrap()
            .1;
        let state = read_one(&mut repository, head, "values.yaml").await;
        assert_eq!(text_of(&state), "tag: 2\n");
        let quiet = server.take_requests();
        let counts = (
            whole.len(),
            quiet.len(),
            world.repositories.processes_started(),
        );
        let within = counts.0 <= bounds.0 && counts.1 <= bounds.1 && counts.2 <= bounds.2;
        assert!(within, "{counts:?} {whole:#?} {quiet:#?}");
    }
}

#[tokio::test]
async fn basic_and_bearer_credentials_open_the_door_and_others_do_not() {
    for world in World::both() {
        let bare = world.remotes.repository("r");
        for (options, good) in [
            (
                GitHttpOptions::basic("user", "hunter22"),
                basic("user", "hunter22"),
            ),
            (
                GitHttpOptions::bearer("tok-en-1234"),
                Credential::Token(Secret::new("tok-en-1234".into())),
            ),
        ] {
            bare.git(&["update-ref", "-d", "refs/heads/main"]);
            bare.commit("main", "one", &usual_files());
            let server = GitHttp::start(world.remotes.path(), options);
            let mut remote = remote(&server.url("r"));
            for bad in [
                Credential::None,
                basic("user", "wrong-one"),
                Credential::Token(Secret::new("wrong-one".into())),
            ] {
                remote.credential = bad;
                let mut repository = world.repositories.open(&remote).await.unwrap();
                let refused = repository.fetch(&[None]).await.unwrap_err();
                assert!(
                    matches!(refused, GitError::Unauthorized { .. }),
                    "{refused:?}"
                );
                assert!(!format!("{refused:?}").contains("wrong-one"));
            }
            remote.credential = good;
            let _ = server.take_requests();
            full_cycle(&world, &remote, &bare).await;
        }
    }
}

#[tokio::test]
async fn a_password_in_the_url_is_used_and_never_shown() {
    for world in World::both() {
        let bare = world.remotes.repository("r");
        bare.commit("main", "one", &usual_files());
        let server = GitHttp::start(
            world.remotes.path(),
            GitHttpOptions::basic("user", "hunter22"),
        );
        let url = server.url("r").replace("http://", "http://user:hunter22@");
        full_cycle(&world, &remote(&url), &bare).await;
        let state = walk_text(world.state.path());
        assert!(!state.contains("hunter22"));
    }
}

/// All files below a folder as one text.
fn walk_text(folder: &std::path::Path) -> String {
    let mut text = String::new();
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        if entry.path().is_dir() {
            text += &walk_text(&entry.path());
        } else {
            text += &String::from_utf8_lossy(&std::fs::read(entry.path()).unwrap());
        }
    }
    text
}

#[tokio::test]
async fn no_command_line_holds_a_secret() {
    let world = World::new();
    let bare = world.remotes.repository("r");
    bare.commit("main", "one", &usual_files());
    let server = GitHttp::start(
        world.remotes.path(),
        GitHttpOptions::basic("user", "hunter22"),
    );
    server.set_delay(Duration::from_millis(100));
    let mut remote = remote(&server.url("r"));
    remote.credential = basic("user", "hunter22");
    let stop = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let seen = std::thread::spawn({
        let stop = std::sync::Arc::clone(&stop);
        move || {
            let mut lines = std::collections::BTreeSet::new();
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                for entry in std::fs::read_dir("/proc").unwrap().flatten() {
                    if let Ok(line) = std::fs::read(entry.path().join("cmdline")) {
                        lines.insert(String::from_utf8_lossy(&line).replace('\0', " "));
                    }
                }
                std::thread::sleep(Duration::from_millis(2));
            }
            lines
        }
    });
    full_cycle(&world, &remote, &bare).await;
    stop.store(true, std::sync::atomic::Ordering::Relaxed);
    let lines = seen.join().unwrap();
    let own: Vec<&String> = lines.iter().filter(|line| line.contains("git")).collect();
    assert!(
        own.iter().any(|line| line.contains("ls-remote")),
        "{own:#?}"
    );
    for line in own {
        assert!(
            !line.contains("hunter22") && !line.contains("dXNlcjpodW50ZXIyMg"),
            "{line}"
        );
    }
}

#[tokio::test]
async fn a_server_with_an_unknown_certificate_is_refused_and_with_its_authority_trusted() {
    for world in World::both() {
        let bare = world.remotes.repository("r");
        bare.commit("main", "one", &usual_files());
        let options = GitHttpOptions {
            tls: true,
            ..GitHttpOptions::basic("user", "hunter22")
        };
        let server = GitHttp::start(world.remotes.path(), options);
        let mut remote = remote(&server.url("r"));
        remote.credential = basic("user", "hunter22");
        let mut repository = world.repositories.open(&remote).await.unwrap();
        let refused = repository.fetch(&[None]).await.unwrap_err();
        assert!(
            matches!(refused, GitError::Unreachable { .. }),
            "{refused:?}"
        );
        drop(repository);
        assert_eq!(server.take_requests().len(), 0);
        remote.ca_pem = server.ca_pem().map(str::to_owned);
        full_cycle(&world, &remote, &bare).await;
        bare.git(&["update-ref", "-d", "refs/heads/main"]);
        bare.commit("main", "again", &usual_files());
        remote.ca_pem = None;
        remote.insecure = true;
        full_cycle(&world, &remote, &bare).await;
    }
}

#[tokio::test]
async fn plain_http_with_credentials_goes_to_loopback_and_named_hosts_only() {
    let state = tempfile::tempdir().unwrap();
    let mut settings = sealift_git::GitSettings::new(state.path().to_owned());
    settings
        .rules
        .plaintext_credential_hosts
        .insert("git.internal".into());
    let repositories = sealift_git::Repositories::new(settings).unwrap();
    for (url, allowed) in [
        ("http://git.example.org/x", false),
        ("http://git.internal/x", true),
        ("http://127.0.0.1:1/x", true),
        ("http://[::1]:1/x", true),
        ("http://localhost/x", true),
        ("http://localhost.example.org/x", false),
        ("https://git.example.org/x", true),
    ] {
        let mut remote = remote(url);
        remote.credential = basic("u", "secret-1");
        let opened = repositories.open(&remote).await.err();
        let refused = matches!(opened, Some(GitError::PlaintextForbidden { .. }));
        assert_eq!(refused, !allowed, "{url}: {opened:?}");
    }
    assert!(
        repositories
            .open(&remote("http://git.example.org/x"))
            .await
            .is_ok(),
        "no credentials"
    );
    let embedded = repositories
        .open(&remote("http://u:secret-1@git.example.org/x"))
        .await
        .err();
    assert!(matches!(
        embedded,
        Some(GitError::PlaintextForbidden { .. })
    ));
    let local = repositories.open(&remote("/srv/x")).await.err();
    assert!(matches!(local, Some(GitError::LocalForbidden { .. })));
}

#[tokio::test]
async fn a_redirect_is_not_followed_with_credentials() {
    for world in World::both() {
        let bare = world.remotes.repository("r");
        bare.commit("main", "one", &usual_files());
        let target = GitHttp::start(world.remotes.path(), GitHttpOptions::default());
        let server = GitHttp::start(world.remotes.path(), GitHttpOptions::default());
        server.set_fault(GitFault::Redirect(target.url("").replace("/.git", "")));
        let mut remote = remote(&server.url("r"));
        remote.credential = basic("u", "secret-1");
        let mut repository = world.repositories.open(&remote).await.unwrap();
        let refused = repository.fetch(&[None]).await.unwrap_err();
        assert!(
            matches!(refused, GitError::Unreachable { .. }),
            "{refused:?}"
        );
        assert_eq!(target.take_requests().len(), 0);
    }
}

#[tokio::test]
async fn a_push_that_is_cut_before_or_after_it_is_carried_out_is_unknown() {
    for world in World::both() {
        let bare = world.remotes.repository("r");
        let base = bare.commit("main", "one", &usual_files());
        let server = GitHttp::start(world.remotes.path(), GitHttpOptions::default());
        let mut repository = world.open(&server.url("r")).await;
        let head = repository
            .fetch(&[None])
            .await
            .unwrap()
            .head(None)
            .unwrap()
            .1;
        for (fault, lands) in [
            (GitFault::CutBeforePush, false),
            (GitFault::CutAfterPush, true),
        ] {
            let prepared = repository.prepare(usual_plan(head), None).await.unwrap();
            let id = prepared.head();
            server.set_fault(fault.clone());
            let error = repository.push(prepared).await.unwrap_err();
            assert!(
                matches!(error.failure, PushFailure::Unknown { .. }),
                "{fault:?}: {error:?}"
            );
            server.set_fault(GitFault::None);
            let now = repository
                .fetch(&[None])
                .await
                .unwrap()
                .head(None)
                .unwrap()
                .1;
            assert_eq!(now == id, lands);
            assert_eq!(now.to_string() == base, !lands);
        }
    }
}

#[tokio::test]
async fn outages_and_missing_repositories_have_their_own_names() {
    for world in World::both() {
        let bare = world.remotes.repository("r");
        bare.commit("main", "one", &usual_files());
        let server = GitHttp::start(world.remotes.path(), GitHttpOptions::default());
        let mut repository = world.open(&server.url("r")).await;
        server.set_fault(GitFault::Status(503));
        let outage = repository.fetch(&[None]).await.unwrap_err();
        assert!(matches!(outage, GitError::Unreachable { .. }), "{outage:?}");
        server.set_fault(GitFault::Status(403));
        let refused = repository.fetch(&[None]).await.unwrap_err();
        assert!(
            matches!(refused, GitError::Unauthorized { .. }),
            "{refused:?}"
        );
        server.set_fault(GitFault::None);
        let mut absent = world.open(&server.url("absent")).await;
        let missing = absent.fetch(&[None]).await.unwrap_err();
        assert!(matches!(missing, GitError::NotFound { .. }), "{missing:?}");
        let mut nowhere = world.open("http://127.0.0.1:1/x").await;
        let nowhere = nowhere.fetch(&[None]).await.unwrap_err();
        assert!(
            matches!(nowhere, GitError::Unreachable { .. }),
            "{nowhere:?}"
        );
    }
}

#[tokio::test]
async fn a_server_that_does_not_answer_is_stopped_at_the_deadline() {
    let remotes = sealift_testkit::git::GitRoot::new();
    let bare = remotes.repository("r");
    bare.commit("main", "one", &usual_files());
    let server = GitHttp::start(remotes.path(), GitHttpOptions::default());
    server.set_delay(Duration::from_secs(600));
    let state = tempfile::tempdir().unwrap();
    let mut settings = sealift_git::GitSettings::new(state.path().to_owned());
    settings.deadline = Duration::from_millis(300);
    let repositories = sealift_git::Repositories::new(settings).unwrap();
    let mut repository = repositories.open(&remote(&server.url("r"))).await.unwrap();
    let late = repository.fetch(&[None]).await.unwrap_err();
    assert!(matches!(late, GitError::TimedOut { .. }), "{late:?}");
    // Nothing of it is left: the group was killed, helpers included.
    let port = server.url("r");
    let mut left = true;
    for _ in 0..100 {
        left = std::fs::read_dir("/proc").unwrap().flatten().any(|entry| {
            std::fs::read(entry.path().join("cmdline"))
                .is_ok_and(|line| String::from_utf8_lossy(&line).contains(&port))
        });
        if !left {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(!left, "a helper still runs");
}

#[tokio::test]
async fn a_cycle_over_ssh_works_and_host_keys_are_strict() {
    let world = World::new();
    let bare = world.remotes.repository("r");
    bare.commit("main", "one", &usual_files());
    let server = Sshd::start();
    let mut remote = remote(&server.url(bare.path()));
    remote.credential = Credential::SshKey(Secret::new(server.user_key()));
    let none = world.repositories.open(&remote).await.err();
    assert!(
        matches!(none, Some(GitError::HostKeyUnknown { .. })),
        "{none:?}"
    );
    let keys = tempfile::tempdir().unwrap();
    keygen(&keys.path().join("other"), "ed25519", "");
    let other = std::fs::read_to_string(keys.path().join("other.pub")).unwrap();
    let name = server.known_hosts().split(' ').next().unwrap().to_owned();
    for known in [
        String::new(),
        format!("example.org {other}"),
        format!("{name} {other}"),
    ] {
        remote.known_hosts = Some(known);
        let mut repository = world.repositories.open(&remote).await.unwrap();
        let refused = repository.fetch(&[None]).await.unwrap_err();
        assert!(
            matches!(refused, GitError::HostKeyUnknown { .. }),
            "{refused:?}"
        );
    }
    remote.known_hosts = Some(server.known_hosts());
    full_cycle(&world, &remote, &bare).await;
    let state = walk_text(world.state.path());
    assert!(!state.contains("PRIVATE KEY"), "the key file is gone");
}

#[tokio::test]
async fn a_key_that_the_server_does_not_know_is_unauthorized() {
    let world = World::new();
    let bare = world.remotes.repository("r");
    let server = Sshd::start();
    let mut remote = remote(&server.url(bare.path()));
    remote.known_hosts = Some(server.known_hosts());
    let keys = tempfile::tempdir().unwrap();
    keygen(&keys.path().join("other"), "ed25519", "");
    let other = std::fs::read_to_string(keys.path().join("other")).unwrap();
    for credential in [Credential::SshKey(Secret::new(other)), Credential::None] {
        remote.credential = credential;
        let mut repository = world.repositories.open(&remote).await.unwrap();
        let refused = repository.fetch(&[None]).await.unwrap_err();
        assert!(
            matches!(refused, GitError::Unauthorized { .. }),
            "{refused:?}"
        );
    }
}

#[tokio::test]
async fn the_password_of_a_proxy_is_in_no_message() {
    for world in World::both() {
        // Git quotes what it takes for the host of the first one, and nobody listens behind the second.
        for proxy in [
            "http://user:hunter2xyz/z@proxy:1",
            "http://user:hunter2xyz@127.0.0.1:1",
        ] {
            let mut remote = remote("http://git.invalid/r");
            remote.proxy = Some(proxy.to_owned());
            let mut repository = world.repositories.open(&remote).await.unwrap();
            let error = repository.fetch(&[None]).await.unwrap_err();
            let said = format!("{error} {error:?}");
            assert!(!said.contains("hunter2xyz"), "{said}");
        }
    }
}

#[tokio::test]
async fn a_deep_look_over_http_finds_what_is_behind_the_head() {
    for world in World::both() {
        let bare = world.remotes.repository("r");
        let first: Oid = bare.commit("main", "one", &usual_files()).parse().unwrap();
        bare.commit("main", "two", &usual_files());
        let server = GitHttp::start(world.remotes.path(), GitHttpOptions::default());
        let mut repository = world.open(&server.url("r")).await;
        let head = repository
            .fetch(&[None])
            .await
            .unwrap()
            .head(None)
            .unwrap()
            .1;
        assert!(repository.contains(head, first, 10).await.unwrap());
    }
}

#[tokio::test]
async fn moved_protected_and_new_branches_over_http() {
    use sealift_testkit::git::Change::File;
    for world in World::both() {
        let bare = world.remotes.repository("r");
        let base: Oid = bare.commit("main", "one", &usual_files()).parse().unwrap();
        let server = GitHttp::start(world.remotes.path(), GitHttpOptions::default());
        let mut repository = world.open(&server.url("r")).await;
        repository.fetch(&[None]).await.unwrap();
        bare.protect("error: GH006: Protected branch update failed for refs/heads/main.");
        let prepared = repository.prepare(usual_plan(base), None).await.unwrap();
        let error = repository.push(prepared).await.unwrap_err();
        assert!(
            matches!(error.failure, PushFailure::Protected { .. }),
            "{error:?}"
        );
        bare.protect("no secrets, please");
        let prepared = repository.prepare(usual_plan(base), None).await.unwrap();
        let error = repository.push(prepared).await.unwrap_err();
        assert!(
            matches!(error.failure, PushFailure::Refused { .. }),
            "{error:?}"
        );
        bare.unprotect();
        let change: crate::world::Change<'_> = ("values.yaml", Some(b"tag: 1\n"), b"tag: 2\n");
        let plan = crate::world::plan_of("updates/x", None, base, &[("new", &[change])]);
        let prepared = repository.prepare(plan, None).await.unwrap();
        repository.push(prepared).await.unwrap();
        let prepared = repository.prepare(usual_plan(base), None).await.unwrap();
        let theirs = bare.commit("main", "theirs", &[("other", File(b"1"))]);
        let error = repository.push(prepared).await.unwrap_err();
        assert!(matches!(error.failure, PushFailure::Moved), "{error:?}");
        assert_eq!(bare.head("main"), Some(theirs));
        assert_eq!(bare.show("updates/x", "values.yaml"), "tag: 2\n");
        // On the new base it lands, and what others wrote is still there.
        let head = repository
            .fetch(&[None])
            .await
            .unwrap()
            .head(None)
            .unwrap()
            .1;
        let prepared = repository.prepare(usual_plan(head), None).await.unwrap();
        repository.push(prepared).await.unwrap();
        assert_eq!(bare.show("main", "other"), "1");
        bare.git(&["fsck", "--strict", "--no-dangling"]);
    }
}

#[tokio::test]
async fn a_race_at_the_last_moment_is_lost_and_not_forced() {
    use sealift_testkit::git::Change::File;
    let [world, _] = World::both();
    let bare = world.remotes.repository("r");
    let base: Oid = bare.commit("main", "one", &usual_files()).parse().unwrap();
    let server = GitHttp::start(world.remotes.path(), GitHttpOptions::default());
    let mut repository = world.open(&server.url("r")).await;
    repository.fetch(&[None]).await.unwrap();
    let prepared = repository.prepare(usual_plan(base), None).await.unwrap();
    // The server has told where the branch is, and is about to take the push, when a person pushes.
    let (person, at) = (bare.clone(), std::sync::Mutex::new(None));
    let at = std::sync::Arc::new(at);
    let seen = std::sync::Arc::clone(&at);
    server.before_push(move || {
        *seen.lock().unwrap() = Some(person.commit("main", "theirs", &[("other", File(b"1"))]));
    });
    let error = repository.push(prepared).await.unwrap_err();
    assert!(matches!(error.failure, PushFailure::Moved), "{error:?}");
    assert_eq!(bare.head("main"), *at.lock().unwrap());
}

#[tokio::test]
async fn sha256_repositories_and_submodule_files_work_over_http() {
    use sealift_testkit::git::Change::File;
    for world in World::both() {
        let bare = world.remotes.repository_sha256("r");
        let files = [
            ("values.yaml", File(b"tag: 1\n")),
            (
                ".gitmodules",
                File(b"[submodule \"x\"]\n\tpath = x\n\turl = ./x\n"),
            ),
        ];
        bare.commit("main", "one", &files);
        let server = GitHttp::start(world.remotes.path(), GitHttpOptions::default());
        full_cycle(&world, &remote(&server.url("r")), &bare).await;
        let mut repository = world.open(&server.url("r")).await;
        repository.fetch(&[None]).await.unwrap();
    }
}

#[tokio::test]
async fn a_server_without_filters_or_with_an_older_protocol_is_served_by_the_program() {
    for (setting, value) in [
        ("uploadpack.allowFilter", "false"),
        ("protocol.version", "0"),
    ] {
        for world in World::both() {
            let bare = world.remotes.repository("r");
            bare.git(&["config", setting, value]);
            bare.commit("main", "one", &usual_files());
            let options = GitHttpOptions {
                ignore_version: setting == "protocol.version",
                ..GitHttpOptions::default()
            };
            let server = GitHttp::start(world.remotes.path(), options);
            full_cycle(&world, &remote(&server.url("r")), &bare).await;
        }
    }
}
