//! Answers that are too large, too slow, cut off, or come only at the third try.

use http::HeaderValue;
use sealift_net::{Deadlines, Kind, Net, NetError, Proxies, Settings, Tls};
use sealift_testkit::registry::image::{ImageSpec, image};
use sealift_testkit::registry::scripted::{Fault, ScriptedRegistry};

use super::{client, get, net, send, settings};

async fn registry() -> ScriptedRegistry {
    let registry = ScriptedRegistry::start().await;
    registry.put("app", "1", &image(&ImageSpec::default()));
    registry
}

#[tokio::test]
async fn a_body_at_its_limit_is_read_and_one_byte_more_is_refused() {
    let registry = registry().await;
    registry.always("/v2/app", Fault::Body(vec![b'x'; 10_000]));
    let url = format!("{}/v2/app/manifests/1", registry.url());
    assert_eq!(send(&client(), &url).await.unwrap().body.len(), 10_000);
    registry.behave();
    registry.always("/v2/app", Fault::Body(vec![b'x'; 10_001]));
    let error = send(&client(), &url).await.unwrap_err();
    assert!(matches!(
        error,
        NetError::BodyTooLarge {
            limit_bytes: 10_000,
            ..
        }
    ));
}

#[tokio::test]
async fn an_endless_body_is_refused_as_soon_as_the_limit_is_passed() {
    let registry = registry().await;
    registry.always("/v2/app", Fault::Endless(usize::MAX));
    let url = format!("{}/v2/app/manifests/1", registry.url());
    let error = send(&client(), &url).await.unwrap_err();
    assert!(matches!(error, NetError::BodyTooLarge { .. }));
}

#[tokio::test]
async fn a_body_that_was_cut_off_is_asked_for_again_and_then_an_error() {
    let registry = registry().await;
    let url = format!("{}/v2/app/manifests/1", registry.url());
    registry.once("/v2/app", Fault::Cut(10));
    registry.once("/v2/app", Fault::Close);
    let response = send(&client(), &url).await.unwrap();
    assert_eq!(response.body, image(&ImageSpec::default()).manifest.bytes);
    assert_eq!(registry.count("/v2/app"), 3);

    registry.forget_requests();
    registry.always("/v2/app", Fault::Promise(100_000 - 1));
    let mut request = get(&url);
    request.body_bytes_max = 1_000_000;
    let error = client().send(&request).await.unwrap_err();
    assert!(matches!(error, NetError::Cut { .. }), "{error:?}");
    assert_eq!(registry.count("/v2/app"), 3);
}

#[tokio::test]
async fn a_server_error_is_asked_again_and_the_last_one_comes_back() {
    let registry = registry().await;
    let url = format!("{}/v2/app/manifests/1", registry.url());
    registry.times(2, "/v2/app", Fault::Answer(503, vec![], vec![]));
    let net = net();
    let client = net.client(&Tls::default()).unwrap();
    assert_eq!(send(&client, &url).await.unwrap().status, 200);
    assert_eq!(net.counts().retries, 2);
    assert_eq!(net.counts().of(Kind::Other), 3);

    registry.always("/v2/app", Fault::Answer(502, vec![], b"why".to_vec()));
    let response = send(&client, &url).await.unwrap();
    assert_eq!(
        (response.status.as_u16(), &response.body[..]),
        (502, &b"why"[..])
    );
}

#[tokio::test]
async fn client_errors_and_other_methods_are_sent_once() {
    let registry = registry().await;
    let url = format!("{}/v2/app/manifests/1", registry.url());
    registry.always("GET /v2/app", Fault::Answer(404, vec![], vec![]));
    registry.always("POST /v2/app", Fault::Answer(503, vec![], vec![]));
    assert_eq!(send(&client(), &url).await.unwrap().status, 404);
    let mut request = get(&url);
    request.method = http::Method::POST;
    assert_eq!(client().send(&request).await.unwrap().status, 503);
    assert_eq!(registry.requests().len(), 2);
}

#[tokio::test]
async fn a_server_that_hangs_or_drips_is_given_up() {
    let registry = registry().await;
    let url = format!("{}/v2/app/manifests/1", registry.url());
    let mut settings = settings();
    settings.deadlines = Deadlines {
        connect_ms: 200,
        head_ms: 200,
        total_ms: 500,
    };
    let client = Net::new(settings).unwrap().client(&Tls::default()).unwrap();
    registry.once("/v2/app", Fault::Hang);
    let error = send(&client, &url).await.unwrap_err();
    assert!(
        matches!(error, NetError::Timeout { limit_ms: 200, .. }),
        "{error:?}"
    );
    registry.once("/v2/app", Fault::Drip(50));
    let error = send(&client, &url).await.unwrap_err();
    assert!(
        matches!(error, NetError::Timeout { limit_ms: 500, .. }),
        "{error:?}"
    );
    assert_eq!(
        registry.requests().len(),
        2,
        "a slow server is not asked again"
    );
}

#[tokio::test]
async fn a_closed_port_is_an_error_that_names_the_url_without_its_secrets() {
    let error = send(&client(), "http://127.0.0.1:1/v2/?token=hunter2")
        .await
        .unwrap_err();
    assert!(matches!(error, NetError::Connect { .. }));
    let mut text = String::new();
    let mut next: Option<&dyn std::error::Error> = Some(&error);
    while let Some(error) = next {
        text.push_str(&format!("{error} {error:?} "));
        next = error.source();
    }
    assert!(text.contains("http://127.0.0.1:1/v2/"), "{text}");
    assert!(!text.contains("hunter2"), "{text}");
}

#[tokio::test]
async fn requests_tell_who_we_are_and_ask_for_plain_bytes() {
    let registry = registry().await;
    let url = format!("{}/v2/app/manifests/1", registry.url());
    send(&client(), &url).await.unwrap();
    let mut request = get(&url);
    request.gzip = true;
    client().send(&request).await.unwrap();
    let requests = registry.requests();
    let agent = requests[0].header("user-agent").unwrap();
    assert!(agent.starts_with("sealift/"), "{agent}");
    assert_eq!(requests[0].header("accept-encoding"), Some("identity"));
    assert_eq!(requests[1].header("accept-encoding"), Some("gzip"));
}

#[tokio::test]
async fn a_compressed_answer_is_limited_by_what_it_becomes() {
    use std::io::Write as _;
    let registry = registry().await;
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    gzip.write_all(&vec![b' '; 50_000_000]).unwrap();
    let bomb = gzip.finish().unwrap();
    let headers = vec![("Content-Encoding".to_owned(), "gzip".to_owned())];
    registry.always("/v2/app", Fault::Answer(200, headers, bomb));
    let mut request = get(&format!("{}/v2/app/manifests/1", registry.url()));
    request.gzip = true;
    let error = client().send(&request).await.unwrap_err();
    assert!(matches!(error, NetError::BodyTooLarge { .. }), "{error:?}");
}

#[tokio::test]
async fn a_proxy_is_used_except_where_the_exceptions_say() {
    let proxy = registry().await;
    let origin = registry().await;
    let with = |exceptions: &str| {
        let proxies = Proxies {
            http: Some(proxy.url().to_owned()),
            https: None,
            exceptions: Some(exceptions.to_owned()),
        };
        let settings = Settings {
            proxies,
            ..settings()
        };
        Net::new(settings).unwrap().client(&Tls::default()).unwrap()
    };
    let mut request = get(&format!("{}/v2/app/manifests/1", origin.url()));
    request.authorization = Some(HeaderValue::from_static("Basic eDp5"));
    with("other.example").send(&request).await.unwrap();
    assert_eq!((proxy.requests().len(), origin.requests().len()), (1, 0));
    with("127.0.0.0/8").send(&request).await.unwrap();
    assert_eq!((proxy.requests().len(), origin.requests().len()), (1, 1));
}

#[tokio::test]
async fn an_unreadable_proxy_is_an_error_that_does_not_show_its_password() {
    let proxies = Proxies {
        https: Some("https://user:hunter2@[".to_owned()),
        ..Proxies::default()
    };
    let settings = Settings {
        proxies,
        ..settings()
    };
    let Err(error) = Net::new(settings) else {
        panic!("accepted")
    };
    assert!(error.to_string().contains("HTTPS_PROXY"));
    assert!(!format!("{error:?}").contains("hunter2"));
}
