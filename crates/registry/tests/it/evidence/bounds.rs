//! Every bound of discovery, each reached by one more than it allows.

use sealift_core::limits;
use sealift_core::reason::Reason;
use sealift_net::Kind;
use sealift_registry::RegistryError;
use sealift_testkit::registry::attached::{
    BUNDLE, ENVELOPE, Part, SIMPLE_SIGNING, artifact, bundle, manifest, referrer, tagged,
};
use sealift_testkit::registry::image::{ImageSpec, OCI_MANIFEST, index};
use serde_json::json;

use super::{Signed, bundles, digest, reasons, tag};
use crate::{name, nobody};

/// Lists `count` referrers that do not exist.
fn list_ghosts(signed: &Signed, count: usize) {
    for n in 0..count {
        let entry =
            json!({ "mediaType": OCI_MANIFEST, "size": 1, "digest": format!("sha256:{n:064x}") });
        signed.server.list_referrer("app", signed.subject(), entry);
    }
}

#[tokio::test]
async fn ten_thousand_referrers_cost_a_bounded_number_of_requests() {
    for page in [100, 100_000] {
        let signed = Signed::new().await;
        signed.server.set_referrers(page);
        list_ghosts(&signed, 10_000);
        let evidence = signed.evidence().await;
        assert!(reasons(&evidence).contains(&Reason::EvidenceLimit));
        assert_eq!(evidence.items, []);
        // Referrers that cannot be had, and that there are more.
        let gaps = limits::REFERRERS_MAX + 1;
        assert_eq!(evidence.gaps.len(), gaps);
        let counts = signed.world.net.counts();
        assert_eq!(
            counts.of(Kind::ManifestGet) as usize,
            limits::REFERRERS_MAX + 3
        );
        assert!(counts.of(Kind::Referrers) <= 3);
    }
}

#[tokio::test]
async fn as_many_referrers_as_are_read_leave_no_gap() {
    let signed = Signed::new().await;
    for n in 0..limits::REFERRERS_MAX {
        let artifact = bundle(signed.subject(), &n.to_string());
        signed.server.attach("app", &artifact);
    }
    let evidence = signed.evidence().await;
    assert_eq!(reasons(&evidence), []);
    assert_eq!(evidence.items.len(), limits::REFERRERS_MAX);
    // Never more at once than are allowed, the four ways of asking aside.
    assert!(signed.server.connections() <= limits::EVIDENCE_FETCHES_MAX + 4);
}

#[tokio::test]
async fn more_pages_than_are_read_are_a_gap() {
    for (pages, expected) in [(0, vec![]), (1, vec![Reason::EvidenceLimit])] {
        let signed = Signed::new().await;
        signed.server.set_referrers(1);
        for n in 0..limits::REFERRERS_PAGES_MAX + pages {
            let artifact = bundle(signed.subject(), &n.to_string());
            signed.server.attach("app", &artifact);
        }
        let evidence = signed.evidence().await;
        assert_eq!(reasons(&evidence), expected);
        assert_eq!(evidence.items.len(), limits::REFERRERS_PAGES_MAX);
        assert_eq!(
            signed.server.count("/referrers/"),
            limits::REFERRERS_PAGES_MAX
        );
    }
}

#[tokio::test]
async fn a_page_a_fallback_index_or_a_manifest_past_its_bound_is_a_gap() {
    use sealift_testkit::registry::scripted::Fault;
    for (target, bytes_max) in [
        ("/referrers/", limits::REFERRERS_PAGE_BYTES_MAX),
        ("FALLBACK", limits::REFERRERS_PAGE_BYTES_MAX),
        (".sig", limits::MANIFEST_BYTES_MAX),
        ("manifests/sha256:", limits::MANIFEST_BYTES_MAX),
    ] {
        let signed = Signed::new().await;
        signed
            .server
            .attach("app", &bundle(signed.subject(), "text"));
        let tagged = tagged(&[Part::new(SIMPLE_SIGNING, "payload")]);
        for suffix in ["", ".sig"] {
            signed
                .server
                .put("app", &tag(&signed.image, suffix), &tagged);
        }
        let fallback = format!("{}?", tag(&signed.image, ""));
        let target = target.replace("FALLBACK", &fallback);
        let fault = Fault::Body(vec![b' '; bytes_max + 1]);
        signed.server.always(&target, fault);
        let evidence = signed.evidence().await;
        let found = reasons(&evidence);
        assert!(found.contains(&Reason::BodyTooLarge), "{target} {found:?}");
        let read = signed.world.net.counts().body_bytes;
        assert!(read < bytes_max as u64, "{target}: {read} bytes were read");
    }
}

#[tokio::test]
async fn more_layers_than_are_read_are_a_gap() {
    let max = limits::EVIDENCE_LAYERS_MAX;
    for (count, expected) in [(max, vec![]), (max + 1, vec![Reason::EvidenceLimit])] {
        let signed = Signed::new().await;
        let parts: Vec<Part> = (0..count)
            .map(|n| Part::new(ENVELOPE, n.to_string()))
            .collect();
        let carrier = tagged(&parts);
        signed
            .server
            .put("app", &tag(&signed.image, ".att"), &carrier);
        let evidence = signed.evidence().await;
        assert_eq!(reasons(&evidence), expected);
        assert_eq!(evidence.items.len(), max);
    }
}

#[tokio::test]
async fn more_items_than_are_read_are_gaps_and_unread_ones_take_no_room() {
    let signed = Signed::new().await;
    let parts = vec![Part::new(SIMPLE_SIGNING, "payload"); limits::EVIDENCE_LAYERS_MAX];
    let manifests = limits::EVIDENCE_ITEMS_MAX / limits::EVIDENCE_LAYERS_MAX;
    for n in 0..manifests {
        let carrier = referrer(signed.subject(), &n.to_string(), &parts);
        signed.server.attach("app", &carrier);
    }
    let whole = signed.evidence().await;
    assert_eq!(reasons(&whole), []);
    assert_eq!(whole.items.len(), limits::EVIDENCE_ITEMS_MAX);
    let unread = referrer(signed.subject(), "unread", &[]);
    signed.server.attach("app", &unread);
    let cut = signed.evidence().await;
    assert_eq!(reasons(&cut), [Reason::EvidenceLimit]);
    assert_eq!(cut.items, whole.items);
    let one_more = referrer(signed.subject(), "more", &parts[..1]);
    signed.server.attach("app", &one_more);
    let cut = signed.evidence().await;
    assert_eq!(reasons(&cut), [Reason::EvidenceLimit; 2]);
    assert_eq!(cut.items.len(), limits::EVIDENCE_ITEMS_MAX);
    assert_eq!(signed.server.count("/blobs/"), 1);
}

#[tokio::test]
async fn a_blob_past_its_bound_is_not_asked_for() {
    let signed = Signed::new().await;
    let part = Part::new(BUNDLE, "text");
    let mut document = manifest(std::slice::from_ref(&part));
    document["subject"] = json!({ "digest": signed.subject() });
    document["layers"][0]["size"] = json!(limits::EVIDENCE_BLOB_BYTES_MAX + 1);
    let large = artifact(&document, &[part]);
    signed.server.attach("app", &large);
    signed
        .server
        .attach("app", &bundle(signed.subject(), "good"));
    let evidence = signed.evidence().await;
    assert_eq!(reasons(&evidence), [Reason::BodyTooLarge]);
    assert_eq!(bundles(&evidence), ["good"]);
    assert_eq!(signed.server.count("/blobs/"), 1);
}

#[tokio::test]
async fn a_blob_larger_than_its_manifest_says_is_a_gap() {
    let signed = Signed::new().await;
    let part = Part::new(BUNDLE, "x".repeat(2_000_000));
    let mut document = manifest(std::slice::from_ref(&part));
    document["subject"] = json!({ "digest": signed.subject() });
    document["layers"][0]["size"] = json!(10);
    signed
        .server
        .attach("app", &artifact(&document, std::slice::from_ref(&part)));
    let evidence = signed.evidence().await;
    assert_eq!(reasons(&evidence), [Reason::BodyTooLarge]);
    assert!(signed.world.net.counts().body_bytes < 10_000);
    // Neither does it help that the blob is known from elsewhere.
    signed
        .server
        .attach("app", &referrer(signed.subject(), BUNDLE, &[part]));
    for _ in 0..2 {
        let evidence = signed.evidence().await;
        assert_eq!(reasons(&evidence), [Reason::BodyTooLarge]);
        assert_eq!(evidence.items.len(), 1);
    }
}

#[tokio::test]
async fn more_bytes_together_than_are_held_are_gaps() {
    let signed = Signed::new().await;
    let part = Part::new(BUNDLE, vec![b' '; limits::EVIDENCE_BLOB_BYTES_MAX]);
    let fits = limits::EVIDENCE_BYTES_MAX / limits::EVIDENCE_BLOB_BYTES_MAX;
    for n in 0..fits {
        let carrier = referrer(
            signed.subject(),
            &n.to_string(),
            std::slice::from_ref(&part),
        );
        signed.server.attach("app", &carrier);
    }
    // The manifests count, too, so the last blob has no room.
    let evidence = signed.evidence().await;
    assert_eq!(reasons(&evidence), [Reason::EvidenceLimit]);
    assert_eq!(evidence.items.len(), fits - 1);
}

#[tokio::test]
async fn manifests_that_have_no_room_are_not_fetched() {
    let signed = Signed::new().await;
    let filler = "x".repeat(limits::MANIFEST_BYTES_MAX - 10_000);
    let fits = limits::EVIDENCE_BYTES_MAX / (limits::MANIFEST_BYTES_MAX - 10_000);
    let count = fits + 2 * limits::EVIDENCE_FETCHES_MAX;
    for n in 0..count {
        let mut document = manifest(&[]);
        document["subject"] = json!({ "digest": signed.subject() });
        document["annotations"] = json!({ "number": n.to_string(), "filler": filler });
        signed.server.attach("app", &artifact(&document, &[]));
    }
    let evidence = signed.evidence().await;
    assert_eq!(evidence.items.len(), fits);
    assert_eq!(
        reasons(&evidence),
        vec![Reason::EvidenceLimit; count - fits]
    );
    let fetched = signed.server.count("/manifests/sha256:");
    assert!(fetched <= fits + limits::EVIDENCE_FETCHES_MAX, "{fetched}");
}

#[tokio::test]
async fn annotations_past_their_bound_are_a_gap() {
    let max = limits::EVIDENCE_ANNOTATIONS_BYTES_MAX;
    for (bytes, expected) in [(max, vec![]), (max + 1, vec![Reason::EvidenceLimit])] {
        let signed = Signed::new().await;
        let part = Part::new(SIMPLE_SIGNING, "payload").annotated("k", &"v".repeat(bytes - 1));
        let carrier = tagged(&[part]);
        signed
            .server
            .put("app", &tag(&signed.image, ".sig"), &carrier);
        let evidence = signed.evidence().await;
        assert_eq!(reasons(&evidence), expected);
        assert_eq!(evidence.items.len(), 1 - expected.len());
    }
}

#[tokio::test]
async fn an_index_of_more_platforms_than_are_read_is_an_error_and_so_is_one_within_another() {
    let signed = Signed::new().await;
    let registry = &signed.world.registry;
    let max = limits::EVIDENCE_PLATFORMS_MAX;
    let specs = |count: usize| -> Vec<ImageSpec> {
        let spec = |n| ImageSpec::default().on(&format!("linux/arm/v{n}"));
        (0..count).map(spec).collect()
    };
    let (fits, large) = (index(&specs(max)), index(&specs(max + 1)));
    let mut nesting = fits.clone();
    let inner = json!({ "manifests": [{
        "mediaType": sealift_testkit::registry::image::OCI_INDEX,
        "digest": fits.manifest.digest, "size": 1 }] });
    nesting.manifest = sealift_testkit::registry::image::Blob::new(inner.to_string());
    for (tag, artifact) in [("fits", &fits), ("large", &large), ("nesting", &nesting)] {
        signed.server.put("app", tag, artifact);
    }
    let app = name("app");
    let nobody = nobody();
    let ask = |artifact| registry.platform_manifests(&app, digest(artifact), &nobody);
    assert_eq!(ask(&fits).await.unwrap().len(), max);
    let error = ask(&large).await.unwrap_err();
    assert_eq!(error.reason(), Reason::EvidenceLimit);
    let error = ask(&nesting).await.unwrap_err();
    assert!(
        matches!(error, RegistryError::Unsupported { .. }),
        "{error}"
    );
}
