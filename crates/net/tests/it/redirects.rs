//! Redirects across hosts, below TLS, in circles and to places that nobody may be sent to.

use http::HeaderValue;
use sealift_net::{NetError, Request};
use sealift_testkit::registry::image::{ImageSpec, image};
use sealift_testkit::registry::scripted::{Fault, ScriptedRegistry};

use super::{client, get, net, send};

fn with_secret(url: &str) -> Request {
    let mut request = get(url);
    request.authorization = Some(HeaderValue::from_static("Bearer hunter2"));
    request
}

#[tokio::test]
async fn credentials_follow_within_the_origin_and_stay_behind_elsewhere() {
    let (here, there) = (
        ScriptedRegistry::start().await,
        ScriptedRegistry::start().await,
    );
    let artifact = image(&ImageSpec::default());
    here.put("app", "1", &artifact);
    there.put("app", "1", &artifact);
    here.once("/old", Fault::Redirect("/v2/app/manifests/1".to_owned()));
    let response = client()
        .send(&with_secret(&format!("{}/old", here.url())))
        .await
        .unwrap();
    assert_eq!(response.body, artifact.manifest.bytes);
    assert_eq!(
        here.requests()[1].header("authorization"),
        Some("Bearer hunter2")
    );

    here.once(
        "/old",
        Fault::Redirect(format!("{}/v2/app/manifests/1", there.url())),
    );
    let response = client()
        .send(&with_secret(&format!("{}/old", here.url())))
        .await
        .unwrap();
    assert_eq!(response.body, artifact.manifest.bytes);
    assert_eq!(
        response.url.as_str(),
        format!("{}/v2/app/manifests/1", there.url())
    );
    assert_eq!(there.requests()[0].header("authorization"), None);
}

#[tokio::test]
async fn a_circle_of_redirects_ends() {
    let registry = ScriptedRegistry::start().await;
    registry.always("/round", Fault::Redirect("/round".to_owned()));
    let error = send(&client(), &format!("{}/round", registry.url()))
        .await
        .unwrap_err();
    assert!(matches!(error, NetError::RedirectRefused { .. }));
    assert_eq!(registry.requests().len(), 11);
}

#[tokio::test]
async fn a_redirect_from_tls_to_plain_http_is_refused() {
    let registry = ScriptedRegistry::start_tls().await;
    let plain = ScriptedRegistry::start().await;
    registry.always("/v2/", Fault::Redirect(format!("{}/v2/", plain.url())));
    let tls = super::tls::trusting(&registry);
    let client = net().client(&tls).unwrap();
    let error = client
        .send(&with_secret(&format!("{}/v2/", registry.url())))
        .await
        .unwrap_err();
    assert!(
        matches!(error, NetError::InsecureRedirect { .. }),
        "{error:?}"
    );
    assert!(plain.requests().is_empty());
}

#[tokio::test]
async fn metadata_services_are_not_asked_by_url_or_by_redirect() {
    let registry = ScriptedRegistry::start().await;
    registry.always(
        "/v2/",
        Fault::Redirect("http://169.254.169.254/latest".to_owned()),
    );
    for url in [
        format!("{}/v2/", registry.url()),
        "http://[fe80::1]/".to_owned(),
    ] {
        let error = send(&client(), &url).await.unwrap_err();
        assert!(matches!(error, NetError::EgressRefused { .. }), "{error:?}");
    }
}

#[tokio::test]
async fn urls_with_user_info_or_another_scheme_are_refused() {
    for url in [
        "http://u:p@127.0.0.1/",
        "ftp://127.0.0.1/",
        "file:///etc/passwd",
    ] {
        let error = send(&client(), url).await.unwrap_err();
        assert!(matches!(error, NetError::UrlRefused { .. }), "{error:?}");
    }
}
