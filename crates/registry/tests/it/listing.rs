//! A list of tags is whole, or nothing is chosen from it.

use sealift_core::reason::Reason;
use sealift_testkit::registry::docker::DockerRegistry;
use sealift_testkit::registry::image::{ImageSpec, image};
use sealift_testkit::registry::scripted::{Fault, ScriptedRegistry};

use super::{at, complete, incomplete, name, nobody, world};

/// `app` with the tags `1.0.0` to `1.COUNT.0`, two a page.
async fn registry(count: usize) -> ScriptedRegistry {
    let registry = ScriptedRegistry::start().await;
    for n in 0..count {
        registry.put("app", &format!("1.{n}.0"), &image(&ImageSpec::default()));
    }
    registry.set_page(2);
    registry
}

/// Reason and detail of an incomplete listing under `fault` of requests to `target`.
async fn under(target: &str, fault: Fault) -> (Reason, String, usize) {
    let registry = registry(5).await;
    registry.always(target, fault);
    let catalog = world(registry.url())
        .registry
        .tags(&name("app"), &nobody(), at(0))
        .await;
    let incomplete = incomplete(&catalog);
    (
        incomplete.reason,
        incomplete.detail.clone(),
        incomplete.tags_read,
    )
}

#[tokio::test]
async fn a_real_registry_lists_every_tag() {
    let registry = DockerRegistry::start();
    let artifact = image(&ImageSpec::default());
    registry.storage().write("acme/app", &artifact);
    for n in 0..1_500 {
        registry
            .storage()
            .tag("acme/app", &format!("1.{n}.0"), &artifact.manifest.digest);
    }
    let catalog = world(&registry.url())
        .registry
        .tags(&name("acme/app"), &nobody(), at(0))
        .await;
    let mut tags = complete(&catalog);
    tags.sort_unstable();
    tags.dedup();
    assert_eq!(tags.len(), 1_500);
}

#[tokio::test]
async fn pages_are_followed_to_the_last_and_asked_for_by_the_thousand() {
    let registry = registry(5).await;
    let catalog = world(registry.url())
        .registry
        .tags(&name("app"), &nobody(), at(0))
        .await;
    assert_eq!(
        complete(&catalog),
        ["1.0.0", "1.1.0", "1.2.0", "1.3.0", "1.4.0"]
    );
    let requests = registry.requests();
    assert_eq!(requests.len(), 3);
    assert_eq!(requests[0].query, "n=1000");
}

#[tokio::test]
async fn a_listing_cut_by_429_is_incomplete() {
    let (reason, detail, read) = under("last=1.1.0", Fault::Answer(429, vec![], vec![])).await;
    assert_eq!((reason, read), (Reason::RateLimited, 2));
    assert!(
        detail.contains("page 2") && detail.contains("429"),
        "{detail}"
    );
}

#[tokio::test]
async fn a_listing_that_loops_is_incomplete() {
    for link in ["<?n=1000>", "</v2/app/tags/list?last=1.1.0&n=2>"] {
        let fault = Fault::Header("Link".to_owned(), link.to_owned());
        let (reason, detail, _) = under("/tags/list", fault).await;
        assert_eq!(reason, Reason::ListingIncomplete);
        assert!(detail.contains("already read"), "{detail}");
    }
}

#[tokio::test]
async fn a_link_to_another_host_is_not_followed() {
    let elsewhere = registry(5).await;
    let link = format!(
        "<{}/v2/app/tags/list?last=1.0.0>; rel=\"next\"",
        elsewhere.url()
    );
    let (reason, _, _) = under("n=1000", Fault::Header("Link".to_owned(), link)).await;
    assert_eq!(reason, Reason::ListingIncomplete);
    assert!(elsewhere.requests().is_empty());
}

#[tokio::test]
async fn pages_that_are_cut_off_lie_or_are_no_lists_are_incomplete() {
    let html = b"<html>Sign in</html>".to_vec();
    let error = br#"{"errors":[{"code":"DENIED","message":"no\u001b[2J"}]}"#.to_vec();
    for (fault, expected) in [
        (Fault::Cut(20), Reason::RegistryUnreachable),
        (Fault::Promise(5_000), Reason::RegistryUnreachable),
        (Fault::Promise(10), Reason::ListingIncomplete),
        (Fault::Close, Reason::RegistryUnreachable),
        (Fault::Hang, Reason::RegistryUnreachable),
        (Fault::Body(html), Reason::ListingIncomplete),
        (Fault::Body(error.clone()), Reason::ListingIncomplete),
        (
            Fault::Body(br#"{"tags":["1"#.to_vec()),
            Reason::ListingIncomplete,
        ),
        (
            Fault::Answer(404, vec![], error.clone()),
            Reason::RegistryRefused,
        ),
        (Fault::Answer(403, vec![], error), Reason::RegistryRefused),
        (Fault::Answer(500, vec![], vec![]), Reason::RegistryRefused),
        (Fault::Answer(204, vec![], vec![]), Reason::RegistryRefused),
        (Fault::Answer(304, vec![], vec![]), Reason::RegistryRefused),
    ] {
        let (reason, detail, read) = under("last=1.1.0", fault).await;
        assert_eq!((reason, read), (expected, 2), "{detail}");
        assert!(!detail.contains('\u{1b}'), "{detail}");
    }
}

#[tokio::test]
async fn an_endless_page_is_incomplete() {
    let (reason, _, read) = under("n=1000", Fault::Endless(usize::MAX)).await;
    assert_eq!((reason, read), (Reason::BodyTooLarge, 0));
}

#[tokio::test]
async fn a_registry_that_is_down_is_incomplete() {
    let catalog = world("http://127.0.0.1:1")
        .registry
        .tags(&name("app"), &nobody(), at(0))
        .await;
    assert_eq!(incomplete(&catalog).reason, Reason::RegistryUnreachable);
}

#[tokio::test]
async fn a_page_that_wears_another_content_type_is_still_read() {
    let registry = registry(2).await;
    let lie = Fault::Header("Content-Type".to_owned(), "image/png".to_owned());
    registry.always("/tags/list", lie);
    let catalog = world(registry.url())
        .registry
        .tags(&name("app"), &nobody(), at(0))
        .await;
    assert_eq!(complete(&catalog).len(), 2);
}

#[tokio::test]
async fn pages_that_hold_are_not_sent_again_and_changed_ones_are() {
    let registry = registry(5).await;
    registry.set_etags();
    let world = world(registry.url());
    let list = || async { world.registry.tags(&name("app"), &nobody(), at(0)).await };
    let first = list().await;
    let body_bytes = world.net.counts().body_bytes;
    let second = list().await;
    assert_eq!(complete(&first), complete(&second));
    assert_eq!(world.net.counts().body_bytes, body_bytes, "three times 304");

    registry.put("app", "1.9.0", &image(&ImageSpec::default()));
    assert_eq!(complete(&list().await).last(), Some(&"1.9.0"));
    registry.untag("app", "1.0.0");
    assert_eq!(complete(&list().await).first(), Some(&"1.1.0"));
}

#[tokio::test]
async fn tags_on_two_pages_are_listed_once() {
    let registry = registry(4).await;
    let page = br#"{"tags":["1.1.0","1.9.0"]}"#.to_vec();
    registry.always("last=1.1.0", Fault::Body(page));
    let catalog = world(registry.url())
        .registry
        .tags(&name("app"), &nobody(), at(0))
        .await;
    assert_eq!(complete(&catalog), ["1.0.0", "1.1.0", "1.9.0"]);
}

#[tokio::test]
async fn concurrent_askers_share_one_listing() {
    let registry = registry(1).await;
    let world = world(registry.url());
    let (app, nobody) = (name("app"), nobody());
    let asked = (0..50).map(|_| world.registry.tags(&app, &nobody, at(0)));
    let answers = futures_util::future::join_all(asked).await;
    assert!(answers.iter().all(|catalog| complete(catalog) == ["1.0.0"]));
    assert_eq!(registry.requests().len(), 1);
}
