//! Every way by which signatures are published, at real and at scripted registries.

use sealift_core::digest::Digest;
use sealift_core::evidence::{Evidence, Form, Way};
use sealift_core::reason::Reason;
use sealift_net::Kind;
use sealift_registry::{Endpoint, EvidenceSource, Layout, Store, evidence_of};
use sealift_testkit::registry::attached::{
    BUNDLE, ENVELOPE, Part, SIMPLE_SIGNING, bundle, fallback_index, referrer, tagged,
};
use sealift_testkit::registry::docker::DockerRegistry;
use sealift_testkit::registry::image::{ImageSpec, image, index};
use sealift_testkit::registry::scripted::{Fault, ScriptedRegistry};
use sealift_testkit::signed;

use super::{Signed, bundles, digest, reasons, shown, tag};
use crate::{name, nobody, world, world_with};

/// Forms only: places differ between a registry and a folder.
fn forms(evidence: &Evidence) -> Vec<Form> {
    let mut forms: Vec<Form> = evidence
        .items
        .iter()
        .map(|item| item.form.clone())
        .collect();
    forms.sort();
    forms
}

#[tokio::test]
async fn every_signed_layout_gives_the_same_evidence_at_a_real_registry_without_the_api() {
    let registry = DockerRegistry::start();
    for layout in signed::names() {
        let repository = format!("signed/{layout}");
        let mut referrers: Vec<_> = Vec::new();
        for (tag, artifact) in signed::artifacts(&layout) {
            match tag {
                Some(tag) => registry.push(&repository, &tag, &artifact).await,
                None => {
                    let digest = artifact.manifest.digest.clone();
                    registry.push(&repository, &digest, &artifact).await;
                    referrers.push(artifact);
                }
            }
        }
        let subject: Digest = signed::subject(&layout).parse().unwrap();
        let offline = Layout::open(&signed::folder().join(&layout)).unwrap();
        let expected = offline.evidence(subject);
        // Layouts of a registry with the API have no fallback tag: a client would have written it
        // here.
        let about = |artifact: &sealift_testkit::registry::image::Artifact| {
            let text = String::from_utf8_lossy(&artifact.manifest.bytes).into_owned();
            text.contains(&format!("{subject}"))
        };
        referrers.retain(about);
        if layout.starts_with("refapi-") && !referrers.is_empty() {
            let index = fallback_index(&referrers);
            let fallback = format!("sha256-{}", subject.hex());
            registry.push(&repository, &fallback, &index).await;
        }
        let client = world(&registry.url()).registry;
        let found = client
            .evidence(&name(&repository), subject, &nobody())
            .await;
        assert_eq!(found.gaps, [], "{layout}");
        assert_eq!(forms(&found), forms(&expected), "{layout}");
    }
}

#[tokio::test]
async fn every_signed_layout_gives_the_same_evidence_at_a_registry_with_the_api() {
    let registry = ScriptedRegistry::start().await;
    registry.set_referrers(2);
    for layout in signed::names() {
        let repository = format!("signed/{layout}");
        for (tag, artifact) in signed::artifacts(&layout) {
            let text = String::from_utf8_lossy(&artifact.manifest.bytes).into_owned();
            match tag {
                Some(tag) => registry.put(&repository, &tag, &artifact),
                None if text.contains("\"subject\"") => registry.attach(&repository, &artifact),
                None => registry.put(&repository, "platform", &artifact),
            }
        }
        let subject: Digest = signed::subject(&layout).parse().unwrap();
        let offline = Layout::open(&signed::folder().join(&layout)).unwrap();
        let client = world(registry.url()).registry;
        let found = client
            .evidence(&name(&repository), subject, &nobody())
            .await;
        assert_eq!(found.gaps, [], "{layout}");
        assert_eq!(forms(&found), forms(&offline.evidence(subject)), "{layout}");
    }
}

#[tokio::test]
async fn all_ways_are_united_and_each_item_comes_once() {
    let signed = Signed::new().await;
    let (both, api, fallback) = (
        bundle(signed.subject(), "both"),
        bundle(signed.subject(), "api"),
        bundle(signed.subject(), "fallback"),
    );
    signed.server.attach("app", &both);
    signed.server.attach("app", &api);
    let index = fallback_index(&[fallback, both]);
    signed.server.put("app", &tag(&signed.image, ""), &index);
    let signature = tagged(&[Part::new(SIMPLE_SIGNING, "payload").annotated("a", "b")]);
    signed
        .server
        .put("app", &tag(&signed.image, ".sig"), &signature);
    let attestations = tagged(&[Part::new(ENVELOPE, "one"), Part::new(ENVELOPE, "two")]);
    signed
        .server
        .put("app", &tag(&signed.image, ".att"), &attestations);
    let evidence = signed.evidence().await;
    assert_eq!(reasons(&evidence), []);
    let expected = [
        (Way::Referrers, "bundle", "api".to_owned()),
        (Way::Referrers, "bundle", "both".to_owned()),
        (Way::Referrers, "bundle", "fallback".to_owned()),
        (Way::SignatureTag, "simple-signing", "payload".to_owned()),
        (Way::AttestationTag, "envelope", "one".to_owned()),
        (Way::AttestationTag, "envelope", "two".to_owned()),
    ];
    assert_eq!(shown(&evidence), expected);
    let annotated = evidence.items.iter().find_map(|item| match &item.form {
        Form::SimpleSigning { annotations, .. } => annotations.get("a"),
        _ => None,
    });
    assert_eq!(annotated.map(String::as_str), Some("b"));
    let mut sorted = evidence.items.clone();
    sorted.sort();
    assert_eq!(evidence.items, sorted, "the order is fixed");
}

#[tokio::test]
async fn an_unsigned_image_has_neither_items_nor_gaps() {
    let signed = Signed::new().await;
    let evidence = signed.evidence().await;
    assert_eq!(*evidence, Evidence::none(digest(&signed.image)));
    assert_eq!(signed.server.requests().len(), 4);
}

#[tokio::test]
async fn the_manifest_decides_what_is_read_and_not_the_listing() {
    let signed = Signed::new().await;
    let subject = signed.subject();
    let part = |media_type: &str| Part::new(media_type, media_type);
    let old = "application/vnd.dev.sigstore.bundle+json;version=0.2";
    let in_toto = "application/vnd.in-toto+json";
    let notation = "application/vnd.cncf.notary.signature";
    for artifact in [
        referrer(subject, "wrong", &[part(old)]),
        referrer(subject, "cosign", &[part(SIMPLE_SIGNING)]),
        referrer(subject, in_toto, &[part(in_toto)]),
        referrer(subject, notation, &[part("application/jose+json")]),
        referrer(subject, "two", &[part(BUNDLE), part("text/plain")]),
        referrer(subject, "none", &[]),
    ] {
        signed.server.attach("app", &artifact);
    }
    let evidence = signed.evidence().await;
    assert_eq!(reasons(&evidence), []);
    let expected = [
        ("bundle", old),
        ("envelope", in_toto),
        ("simple-signing", SIMPLE_SIGNING),
        ("unread", notation),
        ("unread", "none"),
        ("unread", "two"),
    ]
    .map(|(form, text)| (Way::Referrers, form, text.to_owned()));
    assert_eq!(shown(&evidence), expected);
    assert_eq!(
        signed.server.count("/blobs/"),
        3,
        "what nobody reads is not fetched"
    );
}

#[tokio::test]
async fn a_registry_without_the_api_is_asked_for_the_fallback_tag() {
    for fault in [
        Fault::Answer(
            404,
            vec![],
            br#"{"errors":[{"code":"MANIFEST_UNKNOWN"}]}"#.to_vec(),
        ),
        Fault::Answer(400, vec![], vec![]),
        Fault::Answer(406, vec![], vec![]),
        Fault::Answer(200, vec![], b"<html>".to_vec()),
        Fault::Header("Content-Type".to_owned(), "application/json".to_owned()),
    ] {
        let signed = Signed::new().await;
        signed.server.always("/referrers/", fault.clone());
        let index = fallback_index(&[bundle(signed.subject(), "text")]);
        signed.server.put("app", &tag(&signed.image, ""), &index);
        let evidence = signed.evidence().await;
        assert_eq!(reasons(&evidence), [], "{fault:?}");
        assert_eq!(bundles(&evidence), ["text"], "{fault:?}");
    }
}

#[tokio::test]
async fn pages_are_followed_to_the_last() {
    let signed = Signed::new().await;
    signed.server.set_referrers(2);
    for n in 0..5 {
        let artifact = bundle(signed.subject(), &n.to_string());
        signed.server.attach("app", &artifact);
    }
    let evidence = signed.evidence().await;
    assert_eq!(reasons(&evidence), []);
    assert_eq!(bundles(&evidence), ["0", "1", "2", "3", "4"]);
    assert_eq!(signed.world.net.counts().of(Kind::Referrers), 3);
}

#[tokio::test]
async fn nothing_is_fetched_twice_by_digest_in_this_process_or_the_next() {
    let server = ScriptedRegistry::start().await;
    server.set_referrers(100);
    let image = image(&ImageSpec::default());
    server.put("app", "1", &image);
    // The second is larger than what manifests and configurations leave room for in memory.
    let large = "x".repeat(5 * 1024 * 1024);
    for text in ["small", &large] {
        server.attach("app", &bundle(&image.manifest.digest, text));
    }
    let folder = tempfile::tempdir().unwrap();
    for expected in [4, 0, 0] {
        let endpoint = Endpoint::parse(server.url()).unwrap();
        let world = world_with(endpoint, Store::open(folder.path()).unwrap());
        for by_digest in [expected, 0] {
            server.forget_requests();
            let (app, nobody) = (name("app"), nobody());
            let ask = || world.registry.evidence(&app, digest(&image), &nobody);
            let (first, second) = tokio::join!(ask(), ask());
            assert_eq!(bundles(&first).len(), 2);
            assert_eq!(first, second);
            assert_eq!(
                server.count("sha256:"),
                by_digest + 1,
                "{:?}",
                server.lines()
            );
            assert_eq!(server.requests().len(), by_digest + 4);
        }
    }
}

#[tokio::test]
async fn signatures_in_other_repositories_and_registries_are_found_and_gaps_are_kept() {
    let signed = Signed::new().await;
    let mirror = Signed::new().await;
    signed
        .server
        .attach("app", &bundle(signed.subject(), "own"));
    let apart = tagged(&[Part::new(SIMPLE_SIGNING, "apart")]);
    signed
        .server
        .put("signatures", &tag(&signed.image, ".sig"), &apart);
    for text in ["own", "mirrored"] {
        mirror
            .server
            .attach("copy", &bundle(signed.subject(), text));
    }
    let source = |of: &Signed, repository: &str| EvidenceSource {
        registry: of.world.registry.clone(),
        repository: name(repository),
        access: nobody(),
    };
    let sources = [
        source(&signed, "app"),
        source(&signed, "signatures"),
        source(&mirror, "copy"),
    ];
    let evidence = evidence_of(&sources, digest(&signed.image)).await;
    let texts: Vec<String> = shown(&evidence)
        .into_iter()
        .map(|(_, _, text)| text)
        .collect();
    assert_eq!(texts, ["mirrored", "own", "apart"]);
    assert_eq!(reasons(&evidence), []);
    mirror
        .server
        .always("/referrers/", Fault::Answer(403, vec![], vec![]));
    let evidence = evidence_of(&sources, digest(&signed.image)).await;
    assert_eq!(shown(&evidence).len(), 2);
    assert_eq!(reasons(&evidence), [Reason::RegistryRefused]);
}

#[tokio::test]
async fn the_images_of_an_index_are_told_and_an_image_stands_for_itself() {
    let registry = DockerRegistry::start();
    let both = index(&[
        ImageSpec::default(),
        ImageSpec::default().on("linux/arm64/v8"),
        ImageSpec::default().on("unknown/unknown"),
    ]);
    let single = image(&ImageSpec::default());
    registry.push("app", "both", &both).await;
    registry.push("app", "single", &single).await;
    let client = world(&registry.url());
    for _ in 0..2 {
        let found = client
            .registry
            .platform_manifests(&name("app"), digest(&both), &nobody())
            .await
            .unwrap();
        let shown: Vec<_> = found
            .iter()
            .map(|image| (image.platform.as_ref().unwrap().to_string(), image.digest))
            .collect();
        let expected = [
            ("linux/amd64".to_owned(), digest(&both.children[0])),
            ("linux/arm64/v8".to_owned(), digest(&both.children[1])),
        ];
        assert_eq!(shown, expected);
    }
    assert_eq!(client.net.counts().of(Kind::ManifestGet), 1);
    let found = client
        .registry
        .platform_manifests(&name("app"), digest(&single), &nobody())
        .await
        .unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].digest, digest(&single));
    assert_eq!(
        found[0].platform.as_ref().unwrap().to_string(),
        "linux/amd64"
    );
}
