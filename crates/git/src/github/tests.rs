//! Against a real HTTP server that checks signatures and claims.

use sealift_core::reason::Reason;
use sealift_net::Settings;
use sealift_testkit::git::github::{APP_ID, GithubApi, INSTALLATION_ID};

use super::*;

const REPOSITORY: &str = "https://ghe.example/acme/gitops.git";

fn app(api: &GithubApi) -> GithubApp {
    GithubApp {
        app_id: APP_ID,
        installation_id: Some(INSTALLATION_ID),
        private_key: Secret::new(api.private_key_pem().to_owned()),
        base_url: Some(api.base_url()),
    }
}

fn apps() -> GithubApps {
    GithubApps::new(Net::new(Settings::default()).unwrap())
}

async fn ask(
    apps: &GithubApps,
    app: &GithubApp,
    url: &str,
    now: Timestamp,
) -> Result<Credential, GithubAppError> {
    let url = GitUrl::parse(url).unwrap();
    apps.credential(app, &url, Permission::Write, (None, None), now)
        .await
}

fn token(credential: &Credential) -> &str {
    match credential {
        Credential::Installation { token, .. } => token.expose(),
        other => panic!("{}", other.kind()),
    }
}

#[tokio::test]
async fn a_token_is_asked_for_one_repository_and_its_contents_alone() {
    let api = GithubApi::start(&["acme/gitops", "acme/other"]);
    let credential = ask(&apps(), &app(&api), REPOSITORY, Timestamp::now())
        .await
        .unwrap();
    assert_eq!(api.tokens(), [token(&credential)]);
    let asked = json!({ "repositories": ["gitops"], "permissions": { "contents": "write" } });
    assert_eq!(api.asked(), [asked]);
}

#[tokio::test]
async fn a_token_is_kept_until_shortly_before_its_end_and_then_renewed_as_the_same_one() {
    let api = GithubApi::start(&["acme/gitops"]);
    let (apps, app, start) = (apps(), app(&api), Timestamp::now());
    let at = |minutes| start + SignedDuration::from_mins(minutes);
    let first = ask(&apps, &app, REPOSITORY, start).await.unwrap();
    for spelling in [REPOSITORY, "https://ghe.example/Acme/GitOps"] {
        let kept = ask(&apps, &app, spelling, at(49)).await.unwrap();
        assert!(kept == first, "{spelling}");
    }
    api.set_ahead(SignedDuration::from_mins(51));
    let renewed = ask(&apps, &app, REPOSITORY, at(51)).await.unwrap();
    assert_eq!(api.tokens(), [token(&first), token(&renewed)]);
    // The cached repository stays.
    let url = GitUrl::parse(REPOSITORY).unwrap();
    assert_eq!(
        first.fingerprint(&url, b"salt"),
        renewed.fingerprint(&url, b"salt")
    );
}

#[tokio::test]
async fn a_clock_that_jumps_makes_no_token_last_longer() {
    for jump in [
        SignedDuration::from_hours(-2),
        SignedDuration::from_hours(2),
    ] {
        let api = GithubApi::start(&["acme/gitops"]);
        let (apps, app, start) = (apps(), app(&api), Timestamp::now());
        let first = ask(&apps, &app, REPOSITORY, start).await.unwrap();
        api.set_ahead(jump);
        let second = ask(&apps, &app, REPOSITORY, start + jump).await.unwrap();
        assert_eq!(api.tokens(), [token(&first), token(&second)], "{jump}");
        let third = ask(&apps, &app, REPOSITORY, start + jump).await.unwrap();
        assert_eq!(token(&third), token(&second), "{jump}");
    }
}

#[tokio::test]
async fn a_refused_token_is_forgotten_and_who_has_another_key_gets_none() {
    let api = GithubApi::start(&["acme/gitops"]);
    let (apps, now) = (apps(), Timestamp::now());
    let first = ask(&apps, &app(&api), REPOSITORY, now).await.unwrap();
    apps.forget(&first);
    let second = ask(&apps, &app(&api), REPOSITORY, now).await.unwrap();
    assert_ne!(token(&first), token(&second));
    let stranger = GithubApi::start(&[]);
    let mut forged = app(&api);
    forged.private_key = Secret::new(stranger.private_key_pem().to_owned());
    let error = ask(&apps, &forged, REPOSITORY, now).await.err().unwrap();
    assert!(
        matches!(error, GithubAppError::Refused { status: 401, .. }),
        "{error}"
    );
    assert_eq!(api.tokens().len(), 2);
}

#[tokio::test]
async fn many_who_ask_at_once_share_one_token() {
    let api = GithubApi::start(&["acme/gitops"]);
    let (apps, app, now) = (apps(), app(&api), Timestamp::now());
    let one = || ask(&apps, &app, REPOSITORY, now);
    let (a, b, c) = tokio::join!(one(), one(), one());
    assert!(a.unwrap() == b.unwrap() && c.is_ok());
    assert_eq!(api.tokens().len(), 1);
}

#[tokio::test]
async fn an_installation_that_nobody_names_is_the_repositorys_own() {
    let api = GithubApi::start(&["acme/gitops"]);
    let mut app = app(&api);
    app.installation_id = None;
    ask(&apps(), &app, REPOSITORY, Timestamp::now())
        .await
        .unwrap();
    assert_eq!(
        api.requests().first().map(String::as_str),
        Some("GET /api/v3/repos/acme/gitops/installation")
    );
}

#[tokio::test]
async fn every_refusal_says_what_to_look_at_and_nothing_of_the_key() {
    let api = GithubApi::start(&["acme/gitops"]);
    for (status, reason, hint) in [
        (401, Reason::GithubAppRefused, "of one App"),
        (403, Reason::GithubAppRefused, "suspended"),
        (404, Reason::GithubAppRefused, "must be installed"),
        (422, Reason::GithubAppRefused, "write contents"),
        (503, Reason::GithubApiUnreachable, "try again later"),
    ] {
        api.set_fault(Some((status, "it\u{1b}says no")));
        let error = ask(&apps(), &app(&api), REPOSITORY, Timestamp::now())
            .await
            .err()
            .unwrap();
        let text = error.to_string();
        assert_eq!(error.reason(), reason, "{text}");
        assert!(text.contains(hint) && text.contains("itsays no"), "{text}");
        assert!(!text.contains("PRIVATE KEY"), "{text}");
    }
}

#[tokio::test]
async fn what_cannot_be_an_app_is_refused_before_anything_is_asked() {
    let api = GithubApi::start(&["acme/gitops"]);
    let edited = |edit: fn(&mut GithubApp)| {
        let mut app = app(&api);
        edit(&mut app);
        app
    };
    let invalid = [
        (
            edited(|app| app.private_key = Secret::new("x".to_owned())),
            REPOSITORY,
        ),
        (
            edited(|app| app.base_url = Some("http://ghe.example/api/v3".to_owned())),
            REPOSITORY,
        ),
        (
            edited(|app| app.base_url = Some("https://u:p@ghe.example".to_owned())),
            REPOSITORY,
        ),
        (
            edited(|app| app.base_url = Some("https://ghe.example/?x".to_owned())),
            REPOSITORY,
        ),
        (edited(|app| app.base_url = None), REPOSITORY),
        (edited(|_| {}), "https://ghe.example/gitops"),
        (edited(|_| {}), "https://ghe.example/acme/group/gitops"),
        (edited(|_| {}), "https://ghe.example/../gitops"),
    ];
    for (app, url) in invalid {
        let error = ask(&apps(), &app, url, Timestamp::now())
            .await
            .err()
            .unwrap();
        assert_eq!(error.reason(), Reason::GithubAppInvalid, "{error}");
        assert!(!error.to_string().contains("u:p"), "{error}");
    }
    assert_eq!(api.requests(), Vec::<String>::new());
}
