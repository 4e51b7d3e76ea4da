//! Rate limits, ours and theirs.

use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use sealift_net::{Net, NetError, Settings, Tls};
use sealift_testkit::registry::scripted::{Fault, ScriptedRegistry};
use url::Url;

use super::{net, send, settings};

#[tokio::test]
async fn requests_wait_for_their_turn() {
    let registry = ScriptedRegistry::start().await;
    let net = net();
    net.limit(
        &Url::parse(registry.url()).unwrap(),
        NonZeroU32::new(10).unwrap(),
    );
    let client = net.client(&Tls::default()).unwrap();
    let url = format!("{}/v2/", registry.url());
    let began = Instant::now();
    for _ in 0..14 {
        send(&client, &url).await.unwrap();
    }
    // Ten at once, four more at ten a second.
    assert!(began.elapsed() >= Duration::from_millis(390));
}

#[tokio::test]
async fn a_short_retry_after_is_sat_out_by_everyone() {
    let registry = ScriptedRegistry::start().await;
    let headers = vec![("Retry-After".to_owned(), "1".to_owned())];
    registry.once("/v2/", Fault::Answer(429, headers, vec![]));
    let net = net();
    let client = net.client(&Tls::default()).unwrap();
    let url = format!("{}/v2/", registry.url());
    let began = Instant::now();
    assert_eq!(send(&client, &url).await.unwrap().status, 200);
    assert!(began.elapsed() >= Duration::from_millis(990));
    assert_eq!(net.counts().rate_limited, 1);
}

#[tokio::test]
async fn behind_a_long_pause_requests_fail_at_once_and_are_not_sent() {
    let registry = ScriptedRegistry::start().await;
    let headers = vec![("Retry-After".to_owned(), "3600".to_owned())];
    registry.once("/v2/", Fault::Answer(429, headers, vec![]));
    let client = net().client(&Tls::default()).unwrap();
    let url = format!("{}/v2/", registry.url());
    assert_eq!(send(&client, &url).await.unwrap().status, 429);
    let error = send(&client, &url).await.unwrap_err();
    assert!(matches!(error, NetError::RateLimited { .. }), "{error:?}");
    assert_eq!(registry.requests().len(), 1);
}

#[tokio::test]
async fn a_spent_budget_pauses_before_the_server_has_to_refuse() {
    let registry = ScriptedRegistry::start().await;
    registry.once(
        "/v2/",
        Fault::Header("RateLimit-Remaining".to_owned(), "0;w=21600".to_owned()),
    );
    let client = net().client(&Tls::default()).unwrap();
    let url = format!("{}/v2/", registry.url());
    assert_eq!(send(&client, &url).await.unwrap().status, 200);
    let error = send(&client, &url).await.unwrap_err();
    assert!(matches!(error, NetError::RateLimited { .. }), "{error:?}");
}

#[tokio::test]
async fn a_request_that_waits_can_be_given_up() {
    let registry = ScriptedRegistry::start().await;
    let headers = vec![("Retry-After".to_owned(), "30".to_owned())];
    registry.always("/v2/", Fault::Answer(429, headers, vec![]));
    let mut patient = settings();
    patient.retry.pause_wait_ms_max = 60_000;
    let client = Net::new(Settings { ..patient })
        .unwrap()
        .client(&Tls::default())
        .unwrap();
    let url = format!("{}/v2/", registry.url());
    let given_up = tokio::time::timeout(Duration::from_millis(300), send(&client, &url)).await;
    assert!(given_up.is_err());
    assert_eq!(registry.requests().len(), 1);
}

#[tokio::test]
async fn no_more_than_32_requests_are_in_flight_to_one_origin() {
    let registry = ScriptedRegistry::start().await;
    registry.set_latency(Duration::from_millis(100));
    let client = net().client(&Tls::default()).unwrap();
    let url = format!("{}/v2/", registry.url());
    let all = futures_util::future::join_all((0..64).map(|_| send(&client, &url)));
    let began = Instant::now();
    for response in all.await {
        assert_eq!(response.unwrap().status, 200);
    }
    assert!(began.elapsed() >= Duration::from_millis(200));
    assert!(registry.connections() < 64, "connections are used again");
}

#[tokio::test]
async fn a_dead_host_is_not_asked_by_everyone() {
    let registry = ScriptedRegistry::start().await;
    registry.always("/v2/", Fault::Close);
    let net = net();
    let client = net.client(&Tls::default()).unwrap();
    let url = format!("{}/v2/", registry.url());
    for _ in 0..20 {
        assert!(send(&client, &url).await.is_err());
    }
    assert_eq!(
        registry.requests().len(),
        4 * 3,
        "four requests of three tries"
    );
    let error = send(&client, &url).await.unwrap_err();
    assert!(matches!(error, NetError::Down { .. }), "{error:?}");
}
