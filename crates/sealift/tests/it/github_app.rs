//! Git by tokens of a GitHub App: a real API that checks what signs the request, and a real Git
//! server that lets in the token that was given out last and nothing else.

use std::fs;
use std::process::Stdio;
use std::time::Duration;

use sealift_testkit::git::BareRepository;
use sealift_testkit::git::github::{APP_ID, GithubApi, INSTALLATION_ID};
use sealift_testkit::git::http::{GitHttp, GitHttpOptions};
use serde_json::json;

use crate::world::{App, Ran, World, sealift, values};

const IMAGE: &str = "registry.test/acme/shop";

/// Images, a repository `acme/gitops`, its server, and the API that gives out tokens for it.
struct Forge {
    world: World,
    repository: BareRepository,
    server: GitHttp,
    api: GithubApi,
}

impl Forge {
    fn start() -> Self {
        let world = World::new();
        world.images("acme/shop", &["1.8.2", "1.9.0"]);
        fs::create_dir_all(world.git.path().join("acme")).unwrap();
        let files = [("shop/values.yaml", &*values(IMAGE, "1.8.2"))];
        let repository = world.repository("acme/gitops", &files);
        let api = GithubApi::start(&["acme/gitops", "acme/other"]);
        let options = GitHttpOptions {
            gate: Some(api.gate()),
            ..GitHttpOptions::default()
        };
        let server = GitHttp::start(world.git.path(), options);
        Self {
            world,
            repository,
            server,
            api,
        }
    }

    fn app(&self, method: &str) {
        let image = format!("{IMAGE}:1.x");
        let mut app = App::helm("shop", &image, &[], &self.repository);
        let target = ("write-back-target", "helmvalues:values.yaml");
        let annotations = [target, ("write-back-method", method)];
        app.annotations = &annotations;
        app.repository = self.server.url("acme/gitops");
        self.world.app(&app);
    }

    /// A Secret with the App's key; `labels` says what Argo CD takes it for.
    fn secret(&self, labels: &str, installation: Option<u64>, key: &str) {
        let url = self.server.url("acme");
        let url = url.trim_end_matches(".git");
        let key: String = key.lines().map(|line| format!("    {line}\n")).collect();
        let installation = installation
            .map(|id| format!("  githubAppInstallationID: '{id}'\n"))
            .unwrap_or_default();
        let secret = format!(
            "apiVersion: v1\nkind: Secret\nmetadata:\n  name: app\n  namespace: argocd\n  \
             labels: {{{labels}}}\nstringData:\n  url: {url}\n  githubAppID: '{APP_ID}'\n\
             {installation}  githubAppEnterpriseBaseUrl: {}\n  githubAppPrivateKey: |\n{key}",
            self.api.base_url(),
        );
        fs::write(self.world.apps().join("secret.yaml"), secret).unwrap();
    }

    fn landed(&self, ran: &Ran) {
        assert_eq!(
            (ran.code, ran.decision("shop").0),
            (0, "updated"),
            "{}\n{:#}",
            ran.stderr,
            ran.report
        );
        let text = self.repository.show("main", "shop/values.yaml");
        assert_eq!(text, values(IMAGE, "1.9.0"));
    }
}

const TEMPLATE: &str = "argocd.argoproj.io/secret-type: repo-creds";

/// Whether a file below `folder` holds `text`.
fn holds(folder: &std::path::Path, text: &str) -> bool {
    fs::read_dir(folder).unwrap().any(|entry| {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => holds(&path, text),
            false => {
                let bytes = fs::read(&path).unwrap_or_default();
                bytes
                    .windows(text.len())
                    .any(|window| window == text.as_bytes())
            }
        }
    })
}

#[test]
fn a_commit_lands_by_a_token_for_one_repository_and_its_contents_alone() {
    let forge = Forge::start();
    forge.app("git");
    let key = forge.api.private_key_pem();
    forge.secret(TEMPLATE, Some(INSTALLATION_ID), key);
    let ran = forge.world.run(&[]);
    forge.landed(&ran);
    let asked = json!({ "repositories": ["gitops"], "permissions": { "contents": "write" } });
    assert_eq!(forge.api.asked(), [asked]);
    let token = forge.api.tokens().remove(0);
    let line = key.lines().nth(3).unwrap();
    for secret in [token.as_str(), line] {
        assert!(!holds(&forge.world.path("state"), secret));
        assert!(!ran.stderr.contains(secret) && !ran.report.to_string().contains(secret));
    }
}

#[test]
fn a_secret_that_an_application_names_may_hold_an_app() {
    let forge = Forge::start();
    forge.app("git:secret:argocd/app");
    let key = forge.api.private_key_pem();
    forge.secret("", Some(INSTALLATION_ID), key);
    forge.landed(&forge.world.run(&[]));
}

#[test]
fn an_installation_that_nobody_names_is_found_by_the_repository() {
    for (method, labels) in [("git", TEMPLATE), ("git:secret:argocd/app", "")] {
        let forge = Forge::start();
        forge.app(method);
        forge.secret(labels, None, forge.api.private_key_pem());
        forge.landed(&forge.world.run(&[]));
    }
}

#[test]
fn an_expired_token_is_renewed_in_a_process_that_goes_on() {
    another_token_after(Duration::from_secs(5));
}

#[test]
fn a_token_that_is_revoked_before_its_end_is_asked_for_anew() {
    another_token_after(Duration::from_secs(3600));
}

fn another_token_after(life: Duration) {
    let forge = Forge::start();
    forge.app("git");
    let key = forge.api.private_key_pem();
    forge.secret(TEMPLATE, Some(INSTALLATION_ID), key);
    forge.api.set_life(life);
    let world = &forge.world;
    let mut child = sealift()
        .args(["run", "--interval", "100ms", "-f"])
        .arg(world.apps())
        .arg("--registries-conf-path")
        .arg(world.path("registries.conf"))
        .arg("--state-dir")
        .arg(world.path("state"))
        .args(["--health-probe-bind-address", "0"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut wait_for = |version: &str| {
        let wanted = values(IMAGE, version);
        for _ in 0..600 {
            if forge.repository.show("main", "shop/values.yaml") == wanted {
                return;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        let _ = child.kill();
        panic!("{version} does not land");
    };
    wait_for("1.9.0");
    // What was given out so far opens nothing any more.
    forge.api.gate().close();
    let before = forge.api.tokens().len();
    world.images("acme/shop", &["1.8.2", "1.9.0", "1.9.1"]);
    wait_for("1.9.1");
    child.kill().unwrap();
    let _ = child.wait();
    assert!(forge.api.tokens().len() > before);
}

#[test]
fn without_a_token_nothing_is_written_and_the_reason_says_why() {
    let forge = Forge::start();
    forge.app("git");
    let key = forge.api.private_key_pem();
    let stranger = GithubApi::start(&[]);
    let head = forge.repository.head("main");
    let refused = |what: &str, reason: &str, detail: &str| {
        let ran = forge.world.run(&[]);
        assert_eq!(
            (ran.code, ran.decision("shop")),
            (1, ("failed", reason)),
            "{what}"
        );
        let said = ran.entry("shop")["reasons"][0]["detail"].as_str().unwrap();
        assert!(said.contains(detail), "{what}: {said}");
        assert_eq!(forge.repository.head("main"), head, "{what}");
    };
    forge.secret(TEMPLATE, Some(INSTALLATION_ID), stranger.private_key_pem());
    refused("another key", "github-app-refused", "401");
    forge.secret(TEMPLATE, Some(1), key);
    refused("another installation", "github-app-refused", "404");
    forge.secret(TEMPLATE, Some(INSTALLATION_ID), "no key");
    refused("no key", "github-app-invalid", "githubAppPrivateKey");
    forge.secret(TEMPLATE, Some(INSTALLATION_ID), key);
    forge.api.set_fault(Some((422, "not accessible")));
    refused("another repository", "github-app-refused", "not accessible");
    forge.api.set_fault(Some((403, "suspended")));
    refused("a suspended installation", "github-app-refused", "403");
    forge.api.set_fault(Some((502, "")));
    refused("an API that is down", "github-api-unreachable", "502");
}
