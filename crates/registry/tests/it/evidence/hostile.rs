//! Registries that fail, lie or stall: nothing is taken for "no signature" that is not, and nothing
//! hangs.

use std::time::Duration;

use sealift_core::reason::Reason;
use sealift_testkit::registry::attached::{
    BUNDLE, Part, SIMPLE_SIGNING, artifact, bundle, fallback_index, manifest, tagged,
};
use sealift_testkit::registry::image::{OCI_INDEX, OCI_MANIFEST, descriptor};
use sealift_testkit::registry::scripted::{Fault, ScriptedRegistry};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::{Signed, bundles, digest, reasons, shown, tag};
use crate::{name, nobody, world};

fn answer(status: u16) -> Fault {
    Fault::Answer(status, vec![], vec![])
}

#[tokio::test]
async fn whatever_is_no_clean_none_is_a_gap_on_every_way() {
    let faults = [
        (answer(401), Reason::RegistryUnauthorized),
        (answer(403), Reason::RegistryRefused),
        (answer(429), Reason::RateLimited),
        (answer(500), Reason::RegistryRefused),
        (answer(503), Reason::RegistryRefused),
        (Fault::Close, Reason::RegistryUnreachable),
        (Fault::Promise(1_000_000), Reason::RegistryUnreachable),
        (Fault::Endless(5 << 20), Reason::BodyTooLarge),
        (Fault::Redirect("ftp://x".to_owned()), Reason::EgressRefused),
    ];
    for (fault, reason) in faults {
        for way in ["/referrers/", "", ".sig", ".att"] {
            let signed = Signed::new().await;
            let part = Part::new(SIMPLE_SIGNING, "payload");
            for suffix in [".sig", ".att"] {
                let tagged = tagged(std::slice::from_ref(&part));
                signed
                    .server
                    .put("app", &tag(&signed.image, suffix), &tagged);
            }
            let index = fallback_index(&[bundle(signed.subject(), "text")]);
            signed.server.put("app", &tag(&signed.image, ""), &index);
            let target = match way {
                "/referrers/" => way.to_owned(),
                suffix => format!("{}?", tag(&signed.image, suffix)),
            };
            signed.server.always(&target, fault.clone());
            let evidence = signed.evidence().await;
            assert_eq!(reasons(&evidence), [reason], "{way} {fault:?}");
            let left = if way == "/referrers/" { 3 } else { 2 };
            assert_eq!(evidence.items.len(), left, "{way} {fault:?}");
            let asked = &evidence.gaps[0].asked;
            assert!(asked.ends_with(&format!(" in {}/app", signed.world.registry.host())));
        }
    }
}

#[tokio::test]
async fn a_manifest_or_blob_that_cannot_be_read_is_a_gap_and_the_others_stay() {
    for (fault, reason) in [
        (answer(404), Reason::RegistryRefused),
        (answer(500), Reason::RegistryRefused),
        (Fault::Body(b"{}".to_vec()), Reason::DigestMismatch),
        (Fault::Endless(5 << 20), Reason::BodyTooLarge),
        (Fault::Close, Reason::RegistryUnreachable),
    ] {
        for manifest in [true, false] {
            let signed = Signed::new().await;
            let (good, bad) = (
                bundle(signed.subject(), "good"),
                bundle(signed.subject(), "bad"),
            );
            signed.server.attach("app", &good);
            signed.server.attach("app", &bad);
            let target = if manifest {
                &bad.manifest.digest
            } else {
                &bad.blobs[1].digest
            };
            signed.server.always(target, fault.clone());
            let evidence = signed.evidence().await;
            assert_eq!(reasons(&evidence), [reason], "{fault:?}");
            assert_eq!(bundles(&evidence), ["good"]);
            signed.server.behave();
            let evidence = signed.evidence().await;
            assert_eq!(bundles(&evidence), ["bad", "good"], "a failure is not kept");
        }
    }
}

#[tokio::test]
async fn another_content_on_the_second_request_is_refused_or_never_asked_for() {
    let signed = Signed::new().await;
    let good = bundle(signed.subject(), "good");
    signed.server.attach("app", &good);
    let first = signed.evidence().await;
    let other = bundle(signed.subject(), "other").manifest.bytes;
    signed
        .server
        .always(&good.manifest.digest, Fault::Body(other));
    assert_eq!(signed.evidence().await, first);
    let fresh = world(signed.server.url()).registry;
    let evidence = fresh
        .evidence(&name("app"), digest(&signed.image), &nobody())
        .await;
    assert_eq!(reasons(&evidence), [Reason::DigestMismatch]);
    assert_eq!(evidence.items, []);
}

#[tokio::test]
async fn a_tag_whose_content_is_not_what_the_server_says_is_a_gap() {
    let signed = Signed::new().await;
    let signature = tagged(&[Part::new(SIMPLE_SIGNING, "payload")]);
    signed
        .server
        .put("app", &tag(&signed.image, ".sig"), &signature);
    let header = (
        "Docker-Content-Digest".to_owned(),
        signed.subject().to_owned(),
    );
    signed
        .server
        .always(".sig", Fault::Header(header.0, header.1));
    let evidence = signed.evidence().await;
    assert_eq!(reasons(&evidence), [Reason::DigestMismatch]);
    assert_eq!(evidence.items, []);
}

#[tokio::test]
async fn a_referrer_about_something_else_is_ignored_and_a_strangers_stands_beside_the_good_one() {
    let signed = Signed::new().await;
    let foreign = bundle(&format!("sha256:{}", "0a".repeat(32)), "foreign");
    let unbound = tagged(&[Part::new(BUNDLE, "unbound")]);
    let mut longer = manifest(&[Part::new(BUNDLE, "longer")]);
    longer["subject"] = json!({ "digest": format!("sha512:{}", "0a".repeat(64)) });
    let longer = artifact(&longer, &[Part::new(BUNDLE, "longer")]);
    for lie in [&foreign, &unbound, &longer, &signed.image] {
        signed.server.put("app", "lie", lie);
        let entry = descriptor(OCI_MANIFEST, &lie.manifest);
        signed.server.list_referrer("app", signed.subject(), entry);
    }
    for text in ["good", "a stranger's"] {
        signed.server.attach("app", &bundle(signed.subject(), text));
    }
    let evidence = signed.evidence().await;
    assert_eq!(reasons(&evidence), []);
    assert_eq!(bundles(&evidence), ["a stranger's", "good"]);
    // The image listed as its own signature is still an image.
    let registry = &signed.world.registry;
    let (app, subject) = (name("app"), digest(&signed.image));
    registry.manifest(&app, subject, &nobody()).await.unwrap();
}

#[tokio::test]
async fn indexes_that_lead_on_are_not_followed() {
    let signed = Signed::new().await;
    let subject = signed.subject();
    let hidden = bundle(subject, "hidden");
    // An index that names a referrer and itself as far as a digest allows: the tag leads back to
    // it.
    let mut inner = fallback_index(std::slice::from_ref(&hidden));
    let mut document: Value = serde_json::from_slice(&inner.manifest.bytes).unwrap();
    document["subject"] = json!({ "mediaType": OCI_INDEX, "digest": subject, "size": 1 });
    document["artifactType"] = json!(BUNDLE);
    inner.manifest = sealift_testkit::registry::image::Blob::new(document.to_string());
    let outer = fallback_index(std::slice::from_ref(&inner));
    signed.server.put("app", &tag(&signed.image, ""), &outer);
    let entry = descriptor(OCI_INDEX, &outer.manifest);
    signed.server.list_referrer("app", subject, entry);
    let evidence = signed.evidence().await;
    assert_eq!(reasons(&evidence), []);
    let forms: Vec<_> = shown(&evidence)
        .into_iter()
        .map(|(_, form, _)| form)
        .collect();
    assert_eq!(forms, ["unread"]);
    assert_eq!(signed.server.count(&hidden.manifest.digest), 0);
    assert_eq!(signed.server.requests().len(), 6);
}

#[tokio::test]
async fn links_that_lead_away_or_back_are_not_followed_and_are_gaps() {
    let stranger = ScriptedRegistry::start().await;
    for link in [
        format!("<{}/v2/app/referrers/x>; rel=\"next\"", stranger.url()),
        "</v2/other/referrers/x>; rel=\"next\"".to_owned(),
        "<?>; rel=\"next\"".to_owned(),
    ] {
        let signed = Signed::new().await;
        signed
            .server
            .attach("app", &bundle(signed.subject(), "text"));
        let fault = Fault::Header("Link".to_owned(), link.clone());
        signed.server.always("/referrers/", fault);
        let evidence = signed.evidence().await;
        assert_eq!(reasons(&evidence), [Reason::EvidenceIncomplete], "{link}");
        assert!(signed.server.count("/referrers/") <= 2, "{link}");
    }
    assert_eq!(stranger.connections(), 0);
}

#[tokio::test]
async fn a_list_that_ends_early_is_a_gap() {
    let wrong_type = Fault::Header("Content-Type".to_owned(), "text/html".to_owned());
    let filtered = Fault::Header("OCI-Filters-Applied".to_owned(), "artifactType".to_owned());
    for (target, fault, reason, read) in [
        ("start=1", wrong_type, Reason::EvidenceIncomplete, 1),
        ("start=1", answer(404), Reason::RegistryRefused, 1),
        ("start=1", Fault::Cut(20), Reason::RegistryUnreachable, 1),
        (
            "start=1",
            Fault::Body(b"{}".to_vec()),
            Reason::EvidenceMalformed,
            1,
        ),
        ("/referrers/", filtered, Reason::EvidenceIncomplete, 0),
        (
            "/referrers/",
            Fault::Body(b"[]".to_vec()),
            Reason::EvidenceMalformed,
            0,
        ),
    ] {
        let signed = Signed::new().await;
        signed.server.set_referrers(1);
        for text in ["one", "two"] {
            signed.server.attach("app", &bundle(signed.subject(), text));
        }
        signed.server.always(target, fault.clone());
        let evidence = signed.evidence().await;
        assert_eq!(reasons(&evidence), [reason], "{fault:?}");
        assert_eq!(evidence.items.len(), read, "{fault:?}");
    }
}

#[tokio::test]
async fn what_cannot_be_understood_is_a_gap_and_not_nothing() {
    // A digest of another algorithm.
    let signed = Signed::new().await;
    let entry = json!({ "digest": format!("sha512:{}", "0a".repeat(64)) });
    signed.server.list_referrer("app", signed.subject(), entry);
    assert_eq!(
        reasons(&*signed.evidence().await),
        [Reason::EvidenceUnsupported]
    );
    // A fallback tag that names no list.
    let signed = Signed::new().await;
    let tag_of = |suffix| tag(&signed.image, suffix);
    signed.server.put("app", &tag_of(""), &signed.image);
    assert_eq!(
        reasons(&*signed.evidence().await),
        [Reason::EvidenceMalformed]
    );
    // A manifest that is two things, and layers without a size or with another algorithm.
    let part = [Part::new(SIMPLE_SIGNING, "payload")];
    for (change, reason) in [
        (json!({ "manifests": [] }), Reason::EvidenceMalformed),
        (
            json!({ "layers": [{ "mediaType": SIMPLE_SIGNING, "digest": signed.subject() }] }),
            Reason::EvidenceMalformed,
        ),
        (
            json!({ "layers": [{ "mediaType": SIMPLE_SIGNING, "digest": "sha512:00", "size": 1 }] }),
            Reason::EvidenceUnsupported,
        ),
    ] {
        let signed = Signed::new().await;
        let mut document = manifest(&part);
        for (key, value) in change.as_object().unwrap() {
            document[key] = value.clone();
        }
        let odd = artifact(&document, &part);
        signed.server.put("app", &tag(&signed.image, ".sig"), &odd);
        let evidence = signed.evidence().await;
        assert_eq!(reasons(&evidence), [reason], "{change}");
        assert_eq!(evidence.items, []);
    }
}

#[tokio::test]
async fn a_registry_that_drips_or_hangs_is_left_at_the_deadline_and_costs_only_that() {
    for fault in [Fault::Drip(1_000), Fault::Hang] {
        for (target, read) in [
            ("/referrers/", vec!["fallback"]),
            (".sig", vec!["api", "fallback"]),
            ("FALLBACK", vec!["api"]),
            ("API", vec!["fallback"]),
            ("/blobs/", vec![]),
        ] {
            let signed = Signed::new().await;
            let api = bundle(signed.subject(), "api");
            signed.server.attach("app", &api);
            let index = fallback_index(&[bundle(signed.subject(), "fallback")]);
            let fallback = tag(&signed.image, "");
            signed.server.put("app", &fallback, &index);
            let target = match target {
                "FALLBACK" => format!("{fallback}?"),
                "API" => api.manifest.digest.clone(),
                other => other.to_owned(),
            };
            signed.server.always(&target, fault.clone());
            let (app, nobody) = (name("app"), nobody());
            let registry = &signed.world.registry;
            // Of a registry that was never asked one request goes first, and the others wait for
            // what it learns.
            registry.head(&app, "1", &nobody).await.unwrap();
            let deadline = Instant::now() + Duration::from_millis(1_200);
            let evidence = registry
                .evidence_until(&app, digest(&signed.image), &nobody, deadline)
                .await;
            assert_eq!(bundles(&evidence), read, "{target} {fault:?}");
            let gaps = if target == "/blobs/" { 2 } else { 1 };
            let expected = vec![Reason::EvidenceLimit; gaps];
            assert_eq!(reasons(&evidence), expected, "{target} {fault:?}");
        }
    }
}
