//! Logins from real Secrets, real variables and real programs.

use std::fs;

use sealift_core::credential::CredentialAuthor;

use super::*;
use crate::objects::files::{Named, Reader};

const SECRETS: &str = r#"
apiVersion: v1
kind: Secret
metadata: {name: field, namespace: ns}
stringData: {creds: "user:pass\n", empty: ""}
---
apiVersion: v1
kind: Secret
metadata: {name: hub, namespace: ns}
stringData:
  .dockerconfigjson: '{"auths": {"https://index.docker.io/v1/": {"username": "u", "password": "p"},
    "r.example/team": {"username": "team", "password": "p"}}}'
"#;

fn logins() -> LoginReader {
    let mut reader = Reader::new("argocd");
    reader.read_documents("secrets.yaml", SECRETS.as_bytes(), Named::Explicitly);
    let objects = reader.finish();
    assert_eq!(objects.problems(), []);
    LoginReader {
        objects: Arc::new(objects),
        credentials: Credentials::default(),
    }
}

fn source(text: &str) -> CredentialSource {
    CredentialSource::parse(text, CredentialAuthor::Operator).unwrap()
}

async fn read(
    logins: &LoginReader,
    text: &str,
    api: &str,
    repository: &str,
) -> Result<String, LoginError> {
    let login = logins
        .login(&source(text), api, repository, None, false)
        .await?;
    Ok(format!("{}:{}", login.username, login.password.expose()))
}

#[tokio::test]
async fn secrets_give_logins() {
    let logins = logins();
    let hub = "https://registry-1.docker.io";
    assert_eq!(
        read(&logins, "secret:ns/field#creds", "", "")
            .await
            .unwrap(),
        "user:pass\n"
    );
    assert_eq!(
        read(&logins, "pullsecret:ns/hub", hub, "library/nginx")
            .await
            .unwrap(),
        "u:p"
    );
    let team = read(
        &logins,
        "pullsecret:ns/hub",
        "https://r.example",
        "team/app",
    )
    .await;
    assert_eq!(team.unwrap(), "team:p");
    for text in [
        "secret:ns/absent#creds",
        "secret:ns/field#absent",
        "secret:ns/field#empty",
        "pullsecret:ns/field",
        "env:SEALIFT_TEST_ABSENT",
    ] {
        let error = read(&logins, text, hub, "").await.unwrap_err();
        assert!(error.to_string().contains(text), "{error}");
    }
    assert!(
        read(
            &logins,
            "pullsecret:ns/hub",
            "https://r.example",
            "other/app"
        )
        .await
        .is_err()
    );
}

/// A helper that runs `script`, in a folder that must be kept.
fn helper(script: &str) -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("helper");
    let text = format!("#!/bin/sh\ncd {}\n{script}\n", folder.path().display());
    // Another process writes it: a file that this one had open to write may be "busy" when it is
    // started, because a child of another test inherited the descriptor.
    let write = "printf '%s' \"$1\" > \"$2\" && chmod 700 \"$2\"";
    let mut writer = std::process::Command::new("/bin/sh");
    let status = writer
        .args(["-c", write, "sh", &text])
        .arg(&path)
        .status()
        .unwrap();
    assert!(status.success());
    let path = format!("ext:{}", path.display());
    (folder, path)
}

#[tokio::test]
async fn a_helper_runs_once_for_all_who_ask() {
    let (folder, path) = helper("echo run >> runs; echo user:pass");
    let logins = logins();
    let (first, second) = tokio::join!(
        read(&logins, &path, "", ""),
        read(&logins, &path, "https://r", "a")
    );
    assert_eq!(first.unwrap(), "user:pass");
    assert_eq!(second.unwrap(), "user:pass");
    // Refused at once: the registry would refuse the next one, too.
    logins
        .login(&source(&path), "", "", None, true)
        .await
        .unwrap();
    assert_eq!(
        fs::read_to_string(folder.path().join("runs")).unwrap(),
        "run\n"
    );
}

#[test]
fn a_helper_runs_again_when_its_login_was_refused_or_is_old_but_never_at_once() {
    let (day, hour) = (Duration::from_secs(86_400), Duration::from_secs(3_600));
    let moment = Duration::from_millis(10);
    assert!(
        keeps(day, true, None, false),
        "without an expiry it is kept"
    );
    assert!(
        !keeps(day, true, Some(hour), false),
        "it is older than its expiry"
    );
    assert!(keeps(hour / 2, true, Some(hour), false));
    assert!(!keeps(hour, true, None, true), "the registry refused it");
    assert!(!keeps(hour, false, None, false), "it failed");
    assert!(keeps(moment, true, None, true) && keeps(moment, false, None, true));
}

#[tokio::test]
async fn a_helper_that_fails_or_says_too_much_gives_no_login() {
    let logins = logins();
    for (script, problem) in [
        ("echo user:pass; exit 3", "exit status: 3"),
        ("echo user", "is not `user:password`"),
        ("echo a:b; echo c:d", "is not `user:password`"),
        ("yes aaaaaaaaaaaaaaaa:", "more than"),
    ] {
        let (_folder, path) = helper(script);
        let error = read(&logins, &path, "", "").await.unwrap_err();
        assert!(error.to_string().contains(problem), "{script}: {error}");
    }
    assert!(
        read(&logins, "ext:/nonexistent/helper", "", "")
            .await
            .is_err()
    );
    assert!(read(&logins, "ext:relative/helper", "", "").await.is_err());
}

#[tokio::test]
async fn a_helper_sees_no_other_secret_and_no_arguments() {
    let (_folder, path) = helper("echo \"$#:$(env | grep -c CARGO)\"");
    assert_eq!(read(&logins(), &path, "", "").await.unwrap(), "0:0");
    assert!(passes_to_helper("AWS_ROLE_ARN") && passes_to_helper("PATH"));
    for name in [
        "GITHUB_TOKEN",
        "SSH_AUTH_SOCK",
        "LD_PRELOAD",
        "GIT_COMMIT_SIGNING_KEY",
        "AWS",
    ] {
        assert!(!passes_to_helper(name), "{name}");
    }
}

#[test]
fn two_paths_of_one_docker_configuration_share_no_session() {
    let objects: Arc<dyn Objects> = Arc::new(Reader::new("argocd").finish());
    let id = |text: &str, repository: &str| {
        let source = source(text);
        let access = Credentials::default()
            .access(
                Some(&source),
                None,
                "https://r.example",
                repository,
                &objects,
            )
            .unwrap();
        access.id().to_owned()
    };
    let pull = "pullsecret:ns/hub";
    assert_ne!(id(pull, "team/app"), id(pull, "other/app"));
    assert_eq!(id(pull, "team/app"), id(pull, "team/app"));
    let field = "secret:ns/field#creds";
    assert_eq!(id(field, "team/app"), id(field, "other/app"));
}
