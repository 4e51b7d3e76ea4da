//! Which Secret serves a repository, and which must not.

use serde_json::{Map, Value, json};

use super::*;

fn secret(name: &str, kind: &str, fields: &[(&str, &str)]) -> SecretManifest {
    let data: Map<String, Value> = fields
        .iter()
        .map(|(key, value)| ((*key).to_owned(), json!(value)))
        .collect();
    SecretManifest::from_value(json!({
        "metadata": { "name": name, "namespace": "argocd", "labels": { SECRET_TYPE_LABEL: kind } },
        "stringData": data,
    }))
    .unwrap()
}

fn template(name: &str, url: &str) -> SecretManifest {
    secret(
        name,
        "repo-creds",
        &[("url", url), ("username", name), ("password", "p")],
    )
}

/// The user of the access that was found, as a short name for the Secret.
fn user(secrets: &[SecretManifest], url: &str, project: &str) -> Option<String> {
    match find(secrets, url, project).ok()?.login {
        GitLogin::Basic { username, .. } => Some(username),
        other => Some(other.kind().to_owned()),
    }
}

#[test]
fn the_longest_template_wins_and_only_whole_segments_count() {
    let secrets = [
        template("host", "https://github.com"),
        template("acme", "https://github.com/acme/"),
        template("deep", "https://github.com/acme/team"),
    ];
    for (url, expected) in [
        ("https://github.com/acme/app.git", Some("acme")),
        ("https://GitHub.com/Acme/team/app", Some("deep")),
        ("https://github.com/acme-evil/app", Some("host")),
        ("https://github.com/acme/teams/app", Some("acme")),
        ("https://github.com.evil.example/acme/app", None),
        ("https://github.com:8443/acme/app", None),
        ("http://github.com/acme/app", None),
        ("https://gitlab.com/acme/app", None),
    ] {
        assert_eq!(user(&secrets, url, "p").as_deref(), expected, "{url}");
    }
}

#[test]
fn a_repository_secret_is_found_in_every_spelling_of_its_url() {
    let key = [
        ("url", "git@github.com:acme/app.git"),
        ("sshPrivateKey", "KEY"),
    ];
    let secrets = [secret("s", "repository", &key)];
    for url in [
        "git@github.com:acme/app",
        "ssh://git@github.com/acme/app.git/",
    ] {
        assert_eq!(
            user(&secrets, url, "p").as_deref(),
            Some("an SSH key"),
            "{url}"
        );
    }
    assert_eq!(user(&secrets, "git@github.com:acme/app2", "p"), None);
}

#[test]
fn a_repository_without_credential_borrows_that_of_the_template() {
    let own = secret(
        "own",
        "repository",
        &[
            ("url", "https://g/a/b"),
            ("insecure", "true"),
            ("proxy", "http://own"),
        ],
    );
    let lent = secret(
        "lent",
        "repo-creds",
        &[
            ("url", "https://g/a"),
            ("password", "p"),
            ("proxy", "http://lent"),
        ],
    );
    let access = find([&own, &lent], "https://g/a/b.git", "p").unwrap();
    assert!(access.insecure);
    assert_eq!(access.proxy.as_deref(), Some("http://own"));
    assert_eq!(access.from, ["argocd/own", "argocd/lent"]);
    assert!(
        matches!(access.login, GitLogin::Basic { username, .. } if username == "x-access-token")
    );
    let access = find([&own], "https://g/a/b", "p").unwrap();
    assert!(matches!(access.login, GitLogin::Anonymous));
}

#[test]
fn a_secret_of_a_project_serves_that_project_only() {
    let scoped = |name: &str, project: &str| {
        let url = ("url", "https://g/a/b");
        secret(
            name,
            "repository",
            &[
                url,
                ("username", name),
                ("password", "p"),
                ("project", project),
            ],
        )
    };
    let secrets = [scoped("zz", ""), scoped("a", "team"), scoped("b", "other")];
    assert_eq!(
        user(&secrets, "https://g/a/b", "team").as_deref(),
        Some("a")
    );
    assert_eq!(
        user(&secrets, "https://g/a/b", "third").as_deref(),
        Some("zz")
    );
    assert_eq!(user(&secrets[1..], "https://g/a/b", "third"), None);
}

#[test]
fn other_kinds_of_secrets_serve_no_git_repository() {
    let helm = [("url", "https://g/a"), ("password", "p"), ("type", "helm")];
    let secrets = [
        secret("h", "repository", &helm),
        secret("c", "cluster", &helm[..2]),
    ];
    assert_eq!(
        find(&secrets, "https://u:hunter2@g/a", "p")
            .unwrap_err()
            .to_string(),
        "credentials for `https://g/a` are not configured in Argo CD settings"
    );
}

#[test]
fn a_credential_that_cannot_be_used_is_never_none() {
    for fields in [
        &[("gcpServiceAccountKey", "{}")][..],
        &[("useAzureWorkloadIdentity", "true")][..],
        &[("sshPrivateKey", "KEY")][..],
        &[("githubAppID", "x"), ("githubAppPrivateKey", "PEM")][..],
        &[("githubAppID", "1")][..],
    ] {
        let fields = [&[("url", "https://g/a")], fields].concat();
        assert!(find(&[secret("s", "repository", &fields)], "https://g/a", "p").is_err());
    }
}

/// S7: nothing but the Secret itself turns checks off.
#[test]
fn git_secrets_are_checked_unless_they_say_otherwise() {
    let read = |url: &str, fields: &[(&str, &str)]| from_secret(&secret("s", "", fields), url);
    let login = [("username", "u"), ("password", "p")];
    assert!(!read("https://g/a", &login).unwrap().insecure);
    let insecure = [&login[..], &[("insecure", "true")]].concat();
    assert!(read("https://g/a", &insecure).unwrap().insecure);
    assert!(!read("git@g:a", &[("sshPrivateKey", "K")]).unwrap().insecure);
    assert!(read("http://127.0.0.1:80/a", &login).is_ok());
    assert!(read("HTTP://LocalHost:80/a", &login).is_ok());
    assert!(read("HTTPS://Git.Example/a", &login).is_ok());
    for url in [
        "http://g/a",
        "http://127.0.0.1.evil/a",
        "file:///a",
        "/a",
        "ftp://g/a",
    ] {
        let error = read(url, &login).unwrap_err();
        assert!(
            matches!(error, RepositoryCredentialError::UnknownRepositoryType(_)),
            "{url}"
        );
    }
    assert!(read("https://g/a", &[("foo", "x")]).is_err());
    assert!(read("https://g/a", &[("username", "u")]).is_err());
    assert!(read("git@g:a", &login).is_err());
}

#[test]
fn an_access_shows_no_secret() {
    let secret = secret(
        "s",
        "repository",
        &[("url", "https://g/a"), ("password", "hunter2")],
    );
    let access = find([&secret], "https://g/a", "p").unwrap();
    assert!(!format!("{access:?}").contains("hunter2"));
}

proptest::proptest! {
    #[test]
    fn no_url_panics_or_lets_a_longer_name_in(url in "\\PC{0,40}", tail in "[a-z0-9.:@-]{1,5}") {
        let url = format!("https://github.com/acme{tail}/{url}");
        let secrets = [template("acme", "https://github.com/acme")];
        proptest::prop_assert_eq!(user(&secrets, &url, "p"), None);
    }
}
