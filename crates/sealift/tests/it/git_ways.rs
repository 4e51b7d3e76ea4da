//! Git over HTTP and SSH, with the credentials that objects hold; branches; signatures; the ways a
//! push can end.

use std::fs;

use sealift_testkit::git::http::{GitFault, GitHttp, GitHttpOptions};
use sealift_testkit::git::ssh::{Sshd, keygen};
use sealift_testkit::git::{BareRepository, git};

use crate::world::{App, World, events, values};

const IMAGE: &str = "registry.test/acme/shop";

pub(crate) fn world() -> (World, BareRepository) {
    let world = World::new();
    world.images("acme/shop", &["1.8.2", "1.9.0"]);
    let repository = world.repository("gitops", &[("shop/values.yaml", &values(IMAGE, "1.8.2"))]);
    (world, repository)
}

pub(crate) fn shop(
    world: &World,
    repository: &BareRepository,
    url: Option<String>,
    more: &[(&str, &str)],
) {
    let image = format!("{IMAGE}:1.x");
    let mut app = App::helm("shop", &image, &[], repository);
    let annotations = [&[("write-back-target", "helmvalues:values.yaml")], more].concat();
    app.annotations = &annotations;
    if let Some(url) = url {
        app.repository = url;
    }
    world.app(&app);
}

fn landed(world: &World, repository: &BareRepository, more: &[&str]) {
    let ran = world.run(more);
    assert_eq!(
        (ran.code, ran.decision("shop").0),
        (0, "updated"),
        "{}\n{:#}",
        ran.stderr,
        ran.report
    );
    assert_eq!(
        repository.show("main", "shop/values.yaml"),
        values(IMAGE, "1.9.0")
    );
}

#[test]
fn spellings_of_one_repository_and_credential_are_one_push() {
    let world = World::new();
    world.images("acme/shop", &["1.8.2", "1.9.0"]);
    let names = ["one", "two", "three"];
    let paths = names.map(|name| format!("{name}/values.yaml"));
    let text = values(IMAGE, "1.8.2");
    let files: Vec<_> = paths.iter().map(|path| (path.as_str(), &*text)).collect();
    let repository = world.repository("gitops", &files);
    let options = GitHttpOptions::basic("bot", "s3cret-token");
    let server = GitHttp::start(world.git.path(), options);
    let secret = |name: &str| {
        format!(
            "---\napiVersion: v1\nkind: Secret\nmetadata: {{name: {name}, namespace: argocd}}\n\
             stringData: {{username: bot, password: s3cret-token}}\n"
        )
    };
    let objects = secret("login") + &secret("same-login");
    fs::write(world.apps().join("objects.yaml"), objects).unwrap();
    let image = format!("{IMAGE}:1.x");
    let url = server.url("gitops");
    let spelt = [
        (url.clone(), "git:secret:argocd/login", ""),
        (
            url.replace("localhost", "LocalHost"),
            "git:secret:argocd/same-login",
            "main",
        ),
        (format!("{url}/"), "git:secret:argocd/login", "main"),
    ];
    for (name, (url, method, branch)) in names.into_iter().zip(spelt) {
        let annotations = [
            ("write-back-target", "helmvalues:values.yaml"),
            ("write-back-method", method),
            ("git-branch", branch),
        ];
        let mut app = App::helm(name, &image, &[], &repository);
        app.annotations = &annotations;
        app.repository = url;
        world.app(&app);
    }
    let ran = world.run(&[]);
    assert_eq!(ran.code, 0, "{}\n{:#}", ran.stderr, ran.report);
    let pushes = ran.report["pushes"].as_array().unwrap();
    assert_eq!(pushes.len(), 1, "{pushes:#?}");
    for path in &paths {
        assert_eq!(repository.show("main", path), values(IMAGE, "1.9.0"));
    }
}

#[test]
fn over_https_with_a_secret_and_argo_cds_certificates() {
    let (world, repository) = world();
    let options = GitHttpOptions {
        tls: true,
        ..GitHttpOptions::basic("bot", "s3cret-token")
    };
    let server = GitHttp::start(world.git.path(), options);
    let method = ("write-back-method", "git:secret:argocd/login");
    shop(&world, &repository, Some(server.url("gitops")), &[method]);
    let objects = https_objects(&server, "bot", "s3cret-token");
    fs::write(world.apps().join("objects.yaml"), &objects).unwrap();
    landed(&world, &repository, &[]);
    for entry in walk(&world.path("state")) {
        let text = fs::read(&entry).unwrap_or_default();
        let found = text.windows(12).any(|window| window == b"s3cret-token");
        assert!(!found, "the password is in {}", entry.display());
    }
}

/// The Secret `login`, and the authority of the server in Argo CD's ConfigMap.
pub(crate) fn https_objects(server: &GitHttp, user: &str, password: &str) -> String {
    let ca: String = server
        .ca_pem()
        .unwrap()
        .lines()
        .map(|line| format!("    {line}\n"))
        .collect();
    let host = server
        .url("")
        .split('/')
        .nth(2)
        .unwrap()
        .split(':')
        .next()
        .unwrap()
        .to_owned();
    format!(
        "apiVersion: v1\nkind: Secret\nmetadata: {{name: login, namespace: argocd}}\nstringData:\n  \
         username: {user}\n  password: {password}\n---\napiVersion: v1\nkind: ConfigMap\n\
         metadata: {{name: argocd-tls-certs-cm, namespace: argocd}}\ndata:\n  {host}: |\n{ca}"
    )
}

fn walk(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(walk(&path))
        } else {
            found.push(path)
        }
    }
    found
}

#[test]
fn over_http_with_argo_cds_repository_secrets_by_longest_prefix() {
    let (world, repository) = world();
    let server = GitHttp::start(world.git.path(), GitHttpOptions::basic("bot", "right"));
    shop(&world, &repository, Some(server.url("gitops")), &[]);
    let base = server
        .url("")
        .trim_end_matches(".git")
        .trim_end_matches('/')
        .to_owned();
    let creds = |name: &str, url: &str, password: &str| {
        format!(
            "---\napiVersion: v1\nkind: Secret\nmetadata:\n  name: {name}\n  namespace: argocd\n  \
             labels: {{argocd.argoproj.io/secret-type: repo-creds}}\nstringData:\n  url: {url}\n  \
             username: bot\n  password: {password}\n"
        )
    };
    let objects =
        creds("short", &base, "wrong") + &creds("long", &format!("{base}/gitops"), "right");
    fs::write(world.apps().join("objects.yaml"), objects).unwrap();
    landed(&world, &repository, &[]);
}

/// The Secret `key`, and what Argo CD's ConfigMap knows of hosts.
pub(crate) fn ssh_objects(server: &Sshd, hosts: &str) -> String {
    let indented =
        |text: &str| -> String { text.lines().map(|line| format!("    {line}\n")).collect() };
    format!(
        "apiVersion: v1\nkind: Secret\nmetadata: {{name: key, namespace: argocd}}\nstringData:\n  \
         sshPrivateKey: |\n{}---\napiVersion: v1\nkind: ConfigMap\n\
         metadata: {{name: argocd-ssh-known-hosts-cm, namespace: argocd}}\ndata:\n  \
         ssh_known_hosts: |\n{}",
        indented(&server.user_key()),
        indented(hosts)
    )
}

#[test]
fn over_ssh_with_a_known_host_and_never_with_an_unknown_one() {
    let (world, repository) = world();
    let server = Sshd::start();
    shop(
        &world,
        &repository,
        Some(server.url(repository.path())),
        &[("write-back-method", "git:secret:argocd/key")],
    );
    let file = world.apps().join("objects.yaml");
    fs::write(&file, ssh_objects(&server, "# nobody")).unwrap();
    let ran = world.run(&[]);
    assert_eq!(
        ran.decision("shop"),
        ("failed", "host-key-unknown"),
        "{}",
        ran.stderr
    );
    fs::write(&file, ssh_objects(&server, &server.known_hosts())).unwrap();
    landed(&world, &repository, &[]);
}

#[test]
fn a_protected_branch_is_its_own_reason() {
    let (world, repository) = world();
    repository.protect("remote: error: GH006: Protected branch update failed");
    shop(&world, &repository, None, &[]);
    let ran = world.run(&[]);
    assert_eq!(
        (ran.code, ran.decision("shop")),
        (1, ("failed", "branch-protected"))
    );
    assert_eq!(ran.report["pushes"][0]["result"], "refused");
}

#[test]
fn an_answer_that_is_lost_is_looked_up_and_nothing_is_written_twice() {
    let (world, repository) = world();
    let server = GitHttp::start(world.git.path(), GitHttpOptions::default());
    server.set_fault(GitFault::CutAfterPush);
    shop(&world, &repository, Some(server.url("gitops")), &[]);
    landed(&world, &repository, &[]);
    assert_eq!(repository.subjects("main").len(), 2);
}

/// How many intents have no outcome.
fn open_intents(world: &World) -> usize {
    let count = |kind| events(&world.path("state"), &["--kind", kind]).len();
    count("intent") - count("outcome")
}

#[test]
fn a_server_that_hides_what_became_of_pushes_gets_no_more_of_them() {
    let (world, repository) = world();
    let server = GitHttp::start(world.git.path(), GitHttpOptions::default());
    server.set_fault(GitFault::CutBeforePush);
    shop(&world, &repository, Some(server.url("gitops")), &[]);
    let text = values(IMAGE, "1.8.2");
    let honest = world.repository("honest", &[("other/values.yaml", &text)]);
    let cut = world.run(&[]);
    assert_eq!(cut.decision("shop").0, "failed", "{}", cut.stderr);
    assert_eq!(open_intents(&world), 1);
    let image = format!("{IMAGE}:1.x");
    world.app(&App::helm("other", &image, &[], &honest));
    for _ in 0..3 {
        server.refuse_fetches(1);
        let ran = world.run(&[]);
        assert_eq!(ran.decision("shop"), ("failed", "intent-open"));
        assert_eq!(open_intents(&world), 1, "{}", ran.stderr);
    }
    assert_eq!(
        honest.show("main", "other/values.yaml"),
        values(IMAGE, "1.9.0")
    );
    server.set_fault(GitFault::None);
    landed(&world, &repository, &[]);
    assert_eq!(open_intents(&world), 0);
    let outcomes = events(&world.path("state"), &["--kind", "outcome"]);
    let results = outcomes.iter().map(|one| one["result"].as_str().unwrap());
    let results: Vec<&str> = results.collect();
    assert_eq!(results, ["landed", "lost", "landed"], "other, shop, shop");
}

#[test]
fn a_server_that_cuts_pushes_to_many_branches_takes_little_room() {
    let world = World::new();
    world.images("acme/shop", &["1.8.2", "1.9.0"]);
    let names: Vec<String> = (0..8).map(|number| format!("app-{number}")).collect();
    let paths: Vec<String> = names
        .iter()
        .map(|name| format!("{name}/values.yaml"))
        .collect();
    let text = values(IMAGE, "1.8.2");
    let files: Vec<_> = paths.iter().map(|path| (path.as_str(), &*text)).collect();
    let repository = world.repository("gitops", &files);
    let server = GitHttp::start(world.git.path(), GitHttpOptions::default());
    server.set_fault(GitFault::CutBeforePush);
    let image = format!("{IMAGE}:1.x");
    for name in &names {
        let mut app = App::helm(name, &image, &[], &repository);
        app.repository = server.url("gitops");
        let branch = format!("main:bump-{name}");
        let own = [
            ("write-back-target", "helmvalues:values.yaml"),
            ("git-branch", branch.as_str()),
        ];
        app.annotations = &own;
        world.app(&app);
    }
    let ran = world.run(&[]);
    assert_eq!(open_intents(&world), 4, "{}", ran.stderr);
    let causes = names.iter().map(|name| ran.decision(name).1);
    assert_eq!(causes.filter(|cause| *cause == "intent-open").count(), 4);
}

#[test]
fn a_template_names_the_branch_that_is_pushed() {
    let (world, repository) = world();
    let rule = "main:bump-{{ (index .Images 0).Alias }}-{{ (index .Images 0).NewTag }}";
    shop(&world, &repository, None, &[("git-branch", rule)]);
    let ran = world.run(&[]);
    assert_eq!(
        (ran.code, ran.decision("shop").0),
        (0, "updated"),
        "{:#}",
        ran.report
    );
    let branch = "bump-web-1.9.0";
    assert_eq!(
        repository.show(branch, "shop/values.yaml"),
        values(IMAGE, "1.9.0")
    );
    assert_eq!(
        repository.show("main", "shop/values.yaml"),
        values(IMAGE, "1.8.2")
    );
    let again = world.run(&[]);
    assert_eq!((again.code, again.decision("shop").0), (0, "up-to-date"));
    assert_eq!(repository.subjects(branch).len(), 2);
}

#[test]
fn commits_are_signed_so_that_git_verifies_them() {
    let (world, repository) = world();
    shop(&world, &repository, None, &[]);
    let key = world.path("signing");
    keygen(&key, "ed25519", "");
    let public = fs::read_to_string(key.with_extension("pub")).unwrap();
    let signers = world.path("signers");
    fs::write(&signers, format!("* {public}")).unwrap();
    let key = key.to_str().unwrap();
    landed(
        &world,
        &repository,
        &[
            "--git-commit-signing-method",
            "ssh",
            "--git-commit-signing-key",
            key,
            "--git-commit-sign-off",
        ],
    );
    let allowed = format!("gpg.ssh.allowedSignersFile={}", signers.display());
    git(
        Some(repository.path()),
        &["-c", &allowed, "verify-commit", "main"],
        b"",
    );
    let message = repository.git(&["log", "-1", "--format=%B", "main"]);
    assert!(message.contains("\nSigned-off-by: argocd-image-updater <noreply@argoproj.io>"));
}

#[test]
fn a_local_path_needs_the_operators_word() {
    let (world, repository) = world();
    shop(&world, &repository, None, &[]);
    let output = crate::world::sealift()
        .args(["run", "--once", "--output", "json", "-f"])
        .arg(world.apps())
        .arg("--registries-conf-path")
        .arg(world.path("registries.conf"))
        .arg("--state-dir")
        .arg(world.path("state"))
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("local-git-forbidden"), "{text}");
}

#[test]
fn applications_are_read_from_git_with_the_secrets_beside_them() {
    let (world, repository) = world();
    shop(&world, &repository, None, &[]);
    let text = fs::read_to_string(world.apps().join("shop.yaml")).unwrap();
    fs::remove_file(world.apps().join("shop.yaml")).unwrap();
    world.repository(
        "cluster",
        &[
            ("prod/apps/shop.yaml", &text),
            ("test/broken.yaml", "a: [\n"),
        ],
    );
    let server = GitHttp::start(world.git.path(), GitHttpOptions::basic("bot", "right"));
    let url = server.url("cluster");
    let secret = format!(
        "apiVersion: v1\nkind: Secret\nmetadata:\n  name: cluster\n  namespace: argocd\n  \
         labels: {{argocd.argoproj.io/secret-type: repository}}\nstringData:\n  url: {url}\n  \
         username: bot\n  password: right\n"
    );
    fs::write(world.apps().join("secret.yaml"), secret).unwrap();
    landed(
        &world,
        &repository,
        &["-f", &format!("{url}//prod?ref=main")],
    );
}

#[test]
fn a_tag_or_a_commit_id_names_what_is_read_from_git() {
    let (world, repository) = world();
    shop(&world, &repository, None, &[]);
    let text = fs::read_to_string(world.apps().join("shop.yaml")).unwrap();
    fs::remove_file(world.apps().join("shop.yaml")).unwrap();
    let cluster = world.repository("cluster", &[("prod/shop.yaml", &text)]);
    let id = cluster.head("main").unwrap();
    let who = ["-c", "user.name=t", "-c", "user.email=t@example.org"];
    let tag = ["tag", "-a", "-m", "a release", "v1", "main"];
    git(Some(cluster.path()), &[&who[..], &tag].concat(), b"");
    // The branch goes on, and what it holds now is no Application.
    let gone = [("prod/shop.yaml", sealift_testkit::git::Change::Delete)];
    cluster.commit("main", "Remove", &gone);
    let server = GitHttp::start(world.git.path(), GitHttpOptions::default());
    let url = server.url("cluster");
    for name in ["v1", &id] {
        let address = format!("{url}//prod?ref={name}");
        let planned = world.command("plan", &["-f", &address]);
        let decision = planned.decision("shop").0;
        assert_eq!(decision, "would-update", "{}", planned.stderr);
    }
    let refused = world.run(&["-f", &format!("{url}//prod?ref=v2")]);
    assert_eq!(refused.code, 1);
    assert!(
        refused.stderr.contains("no branch and no tag `v2`"),
        "{}",
        refused.stderr
    );
}
