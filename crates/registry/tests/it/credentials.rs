//! Credentials reach the registry that they are for, and nobody else.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use sealift_core::reason::Reason;
use sealift_net::Kind;
use sealift_registry::{Access, Endpoint, Store};
use sealift_testkit::registry::image::{ImageSpec, image};
use sealift_testkit::registry::scripted::{Auth, Fault, ScriptedRegistry};

use super::{Account, World, any, at, complete, incomplete, name, nobody, world, world_with};

const BASIC_RIGHT: &str = "Basic cm9ib3Q6cmlnaHQ=";

async fn registry(auth: Auth) -> ScriptedRegistry {
    let registry = ScriptedRegistry::start().await;
    for repository in ["a", "b", "c"] {
        registry.put(repository, "1", &image(&ImageSpec::default()));
    }
    registry.set_auth(auth);
    registry
}

fn basic(password: &str) -> Auth {
    Auth::Basic("robot".to_owned(), password.to_owned())
}

fn bearer(password: Option<&str>) -> Auth {
    Auth::Bearer {
        realm: None,
        account: password.map(|password| ("robot".to_owned(), password.to_owned())),
        expires_in_secs: Some(300),
    }
}

async fn list(world: &World, repository: &str, access: &Access) -> Result<usize, Reason> {
    let catalog = world.registry.tags(&name(repository), access, at(0)).await;
    match catalog {
        sealift_core::catalog::Catalog::Complete(complete) => Ok(complete.tags().len()),
        other => Err(incomplete(&other).reason),
    }
}

#[tokio::test]
async fn basic_credentials_go_with_each_request_once_they_were_asked_for() {
    let registry = registry(basic("right")).await;
    let world = world(registry.url());
    let access: Access = Account::new("env:X", "right");
    for repository in ["a", "b"] {
        assert_eq!(list(&world, repository, &access).await, Ok(1));
    }
    let sent: Vec<Option<String>> = registry
        .requests()
        .iter()
        .map(|request| request.header("authorization").map(str::to_owned))
        .collect();
    assert_eq!(
        sent,
        [
            None,
            Some(BASIC_RIGHT.to_owned()),
            Some(BASIC_RIGHT.to_owned())
        ]
    );
}

#[tokio::test]
async fn a_registry_that_asks_for_nothing_gets_no_credentials() {
    let registry = registry(Auth::None).await;
    let world = world(registry.url());
    let access: Access = Account::new("env:X", "right");
    assert_eq!(list(&world, "a", &access).await, Ok(1));
    assert!(registry.requests()[0].header("authorization").is_none());
}

#[tokio::test]
async fn one_refusal_teaches_all_and_each_repository_costs_one_token() {
    let registry = registry(bearer(Some("right"))).await;
    let world = world(registry.url());
    let access: Access = Account::new("env:X", "right");
    let names = ["a", "b", "c"].map(name);
    for _ in 0..3 {
        let asked = names
            .iter()
            .map(|name| world.registry.tags(name, &access, at(0)));
        for catalog in futures_util::future::join_all(asked).await {
            assert_eq!(complete(&catalog), ["1"]);
        }
    }
    assert_eq!(
        registry.count("/tags/list"),
        1 + 9,
        "one refused, nine answered"
    );
    assert_eq!(registry.count("/token"), 3);
    assert_eq!(registry.count("GET /v2/?"), 0, "no ping");
    let token = &registry
        .requests()
        .into_iter()
        .find(|request| request.path == "/token")
        .unwrap();
    assert_eq!(token.header("authorization"), Some(BASIC_RIGHT));
    assert!(
        token.query.contains("scope=repository%3Aa%3Apull"),
        "{}",
        token.query
    );
    assert!(token.query.contains("service=scripted") && token.query.contains("account=robot"));
    for request in registry
        .requests()
        .iter()
        .filter(|request| request.path != "/token")
    {
        let sent = request.header("authorization").unwrap_or_default();
        assert!(
            !sent.starts_with("Basic"),
            "the password goes to the token server only"
        );
    }
}

#[tokio::test]
async fn anonymous_tokens_are_fetched_without_a_password() {
    let registry = registry(bearer(None)).await;
    let world = world(registry.url());
    assert_eq!(list(&world, "a", &nobody()).await, Ok(1));
    assert!(registry.requests().iter().all(|request| {
        !request
            .header("authorization")
            .unwrap_or_default()
            .starts_with("Basic")
    }));
}

#[tokio::test]
async fn a_revoked_token_is_replaced_without_reading_the_credential_again() {
    let registry = registry(bearer(Some("right"))).await;
    let world = world(registry.url());
    let account = Account::new("env:X", "right");
    let access: Access = account.clone();
    assert_eq!(list(&world, "a", &access).await, Ok(1));
    registry.revoke_tokens();
    assert_eq!(list(&world, "a", &access).await, Ok(1));
    assert_eq!(account.refreshes.load(Ordering::SeqCst), 0);
    assert_eq!(registry.count("/token"), 2);
}

#[tokio::test]
async fn a_rotated_credential_is_read_again_once_for_all() {
    for auth in [basic as fn(&str) -> Auth, |password| bearer(Some(password))] {
        let registry = registry(auth("right")).await;
        let world = world(registry.url());
        let account = Account::new("env:X", "right");
        let access: Access = account.clone();
        assert_eq!(list(&world, "a", &access).await, Ok(1));
        registry.set_auth(auth("new"));
        registry.revoke_tokens();
        account.rotate("new");
        let names = ["a", "b", "c"].map(name);
        let asked = names
            .iter()
            .map(|name| world.registry.tags(name, &access, at(0)));
        for catalog in futures_util::future::join_all(asked).await {
            assert_eq!(complete(&catalog), ["1"]);
        }
        assert_eq!(account.refreshes.load(Ordering::SeqCst), 1);
    }
}

#[tokio::test]
async fn wrong_credentials_are_refused_and_not_read_again_and_again() {
    for auth in [basic("right"), bearer(Some("right"))] {
        let registry = registry(auth).await;
        let world = world(registry.url());
        let account = Account::new("env:X", "wrong");
        let access: Access = account.clone();
        for repository in ["a", "b", "c"] {
            let listed = list(&world, repository, &access).await;
            assert_eq!(listed, Err(Reason::RegistryUnauthorized));
        }
        assert_eq!(account.refreshes.load(Ordering::SeqCst), 1);
        assert!(registry.requests().len() <= 12, "{:?}", registry.lines());
    }
}

#[tokio::test]
async fn an_expired_password_that_is_answered_by_403_is_read_again() {
    let registry = registry(basic("right")).await;
    let world = world(registry.url());
    let account = Account::new("env:X", "right");
    let access: Access = account.clone();
    assert_eq!(list(&world, "a", &access).await, Ok(1));
    registry.once("/v2/a", Fault::Answer(403, vec![], vec![]));
    assert_eq!(list(&world, "a", &access).await, Ok(1));
    assert_eq!(account.refreshes.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_credential_that_cannot_be_read_is_an_error_and_nothing_goes_out_instead() {
    let registry = registry(bearer(Some("right"))).await;
    let world = world(registry.url());
    let account = Account::new("env:X", "right");
    account.break_source();
    let access: Access = account.clone();
    assert_eq!(
        list(&world, "a", &access).await,
        Err(Reason::CredentialUnavailable)
    );
    assert_eq!(registry.count("/token"), 0);
}

#[tokio::test]
async fn a_foreign_token_server_gets_nothing() {
    let elsewhere = ScriptedRegistry::start_tls().await;
    let foreign = elsewhere.url().replace("127.0.0.1", "localhost");
    for realm in [
        format!("{foreign}/token"),
        "http://169.254.169.254/token".to_owned(),
        "https://evil.example/token".to_owned(),
        "/token".to_owned(),
    ] {
        let registry = registry(Auth::Bearer {
            realm: Some(realm.clone()),
            account: Some(("robot".to_owned(), "right".to_owned())),
            expires_in_secs: None,
        })
        .await;
        let world = world(registry.url());
        let access: Access = Account::new("env:X", "right");
        assert_eq!(
            list(&world, "a", &access).await,
            Err(Reason::RealmForbidden),
            "{realm}"
        );
        assert_eq!(world.net.counts().of(Kind::Token), 0);
    }
    assert!(elsewhere.requests().is_empty());
}

#[tokio::test]
async fn a_token_server_on_another_port_of_a_plain_http_host_is_used() {
    let tokens = registry(bearer(Some("right"))).await;
    let registry = ScriptedRegistry::start().await;
    registry.put("a", "1", &image(&ImageSpec::default()));
    // Another port of the same loopback host: what plain HTTP allows.
    registry.set_auth(Auth::Bearer {
        realm: Some(format!("{}/token", tokens.url())),
        account: None,
        expires_in_secs: None,
    });
    let world = world(registry.url());
    let access: Access = Account::new("env:X", "right");
    // The scripted registry does not know the other's tokens, so the listing stays refused; the
    // token was asked for.
    assert_eq!(
        list(&world, "a", &access).await,
        Err(Reason::RegistryUnauthorized)
    );
    assert!(tokens.count("/token") >= 1);
}

#[tokio::test]
async fn redirected_blobs_get_no_token() {
    let artifact = image(&ImageSpec::default());
    let storage = registry(Auth::None).await;
    let registry = registry(bearer(Some("right"))).await;
    let blob = format!("/v2/a/blobs/{}", artifact.blobs[0].digest);
    registry.always(&blob, Fault::Redirect(format!("{}{blob}", storage.url())));
    let world = world(registry.url());
    let access: Access = Account::new("env:X", "right");
    let digest = artifact.manifest.digest.parse().unwrap();
    let metadata = world
        .registry
        .metadata(&name("a"), digest, &any, &access)
        .await
        .unwrap();
    assert_eq!(metadata.images.len(), 1);
    assert_eq!(storage.requests()[0].header("authorization"), None);
}

#[tokio::test]
async fn tokens_work_over_tls_with_a_private_ca() {
    let registry = ScriptedRegistry::start_tls().await;
    registry.put("a", "1", &image(&ImageSpec::default()));
    registry.set_auth(bearer(Some("right")));
    let mut endpoint = Endpoint::parse(registry.url()).unwrap();
    endpoint.tls.extra_roots_pem = vec![registry.ca_pem().unwrap().as_bytes().to_vec()];
    let world = world_with(endpoint, Store::in_memory());
    let access: Access = Arc::clone(&Account::new("env:X", "right")) as Access;
    assert_eq!(list(&world, "a", &access).await, Ok(1));
}

#[tokio::test]
async fn token_answers_that_hold_no_token_are_errors() {
    for body in [
        "{}",
        "<html>",
        r#"{"token":""}"#,
        r#"{"token":"a\r\nX: y"}"#,
    ] {
        let registry = registry(bearer(None)).await;
        registry.always("/token", Fault::Body(body.as_bytes().to_vec()));
        let world = world(registry.url());
        assert_eq!(
            list(&world, "a", &nobody()).await,
            Err(Reason::RegistryRefused),
            "{body}"
        );
    }
}

#[tokio::test]
async fn no_error_shows_a_password() {
    let registry = registry(bearer(Some("other"))).await;
    let world = world(registry.url());
    let access: Access = Account::new("env:X", "hunter2");
    let catalog = world.registry.tags(&name("a"), &access, at(0)).await;
    let detail = &incomplete(&catalog).detail;
    assert!(detail.contains("env:X"), "{detail}");
    assert!(
        !detail.contains("hunter2") && !detail.contains("robot"),
        "{detail}"
    );
}
