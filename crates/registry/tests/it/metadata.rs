//! Digests, manifests and configurations: checked, bounded, and fetched once.

use sealift_core::digest::Digest;
use sealift_core::reason::Reason;
use sealift_registry::{Freshness, ManifestKind, RegistryError};
use sealift_testkit::registry::docker::DockerRegistry;
use sealift_testkit::registry::image::{Artifact, ImageSpec, image, index};
use sealift_testkit::registry::scripted::{Fault, ScriptedRegistry};

use super::{World, any, at, name, nobody, world};

fn digest(artifact: &Artifact) -> Digest {
    artifact.manifest.digest.parse().unwrap()
}

fn two_platforms() -> Artifact {
    let attestation = ImageSpec::default().on("unknown/unknown");
    let arm = ImageSpec::created("2024-02-02T00:00:00Z").on("linux/arm64/v8");
    index(&[ImageSpec::default(), arm, attestation])
}

async fn serving(artifact: &Artifact) -> (ScriptedRegistry, World) {
    let registry = ScriptedRegistry::start().await;
    registry.put("app", "1", artifact);
    let world = world(registry.url());
    (registry, world)
}

#[tokio::test]
async fn a_real_registry_tells_digests_and_platforms() {
    let registry = DockerRegistry::start();
    let (single, both) = (image(&ImageSpec::default()), two_platforms());
    registry.push("app", "single", &single).await;
    registry.push("app", "both", &both).await;
    let client = world(&registry.url()).registry;
    let (app, nobody) = (name("app"), nobody());
    for (tag, artifact, platforms) in [
        ("single", &single, vec!["linux/amd64"]),
        ("both", &both, vec!["linux/amd64", "linux/arm64/v8"]),
    ] {
        assert_eq!(
            client.head(&app, tag, &nobody).await.unwrap(),
            Some(digest(artifact))
        );
        let metadata = client
            .metadata(&app, digest(artifact), &any, &nobody)
            .await
            .unwrap();
        let read: Vec<String> = metadata
            .images
            .iter()
            .map(|image| image.platform.to_string())
            .collect();
        assert_eq!(read, platforms);
        assert!(metadata.images.iter().all(|image| image.created.is_some()));
    }
    assert_eq!(client.head(&app, "missing", &nobody).await.unwrap(), None);
}

#[tokio::test]
async fn only_configurations_of_wanted_platforms_are_read() {
    let (registry, world) = serving(&two_platforms()).await;
    let wanted = |platform: &sealift_core::platform::Platform| platform.architecture == "arm64";
    let index = digest(&two_platforms());
    let metadata = world
        .registry
        .metadata(&name("app"), index, &wanted, &nobody())
        .await
        .unwrap();
    let created: Vec<bool> = metadata
        .images
        .iter()
        .map(|image| image.created.is_some())
        .collect();
    assert_eq!(created, [false, true]);
    assert_eq!(registry.count("/blobs/"), 1);
    assert_eq!(registry.count("/manifests/"), 2);
}

#[tokio::test]
async fn without_a_digest_header_or_head_the_manifest_is_hashed() {
    let artifact = image(&ImageSpec::default());
    for fault in [
        Fault::WithoutHeader("Docker-Content-Digest".to_owned()),
        Fault::Header("Docker-Content-Digest".to_owned(), "sha512:00".to_owned()),
        Fault::Answer(405, vec![], vec![]),
    ] {
        let (registry, world) = serving(&artifact).await;
        registry.always("HEAD /v2/app", fault);
        let head = world.registry.head(&name("app"), "1", &nobody()).await;
        assert_eq!(head.unwrap(), Some(digest(&artifact)));
    }
}

#[tokio::test]
async fn content_with_another_digest_is_refused() {
    let artifact = image(&ImageSpec::default());
    let other = image(&ImageSpec::created("2030-01-01T00:00:00Z"));
    for (target, body) in [
        ("/manifests/", other.manifest.bytes.clone()),
        ("/blobs/", other.blobs[0].bytes.clone()),
    ] {
        let (registry, world) = serving(&artifact).await;
        registry.always(target, Fault::Body(body));
        let read = world
            .registry
            .metadata(&name("app"), digest(&artifact), &any, &nobody())
            .await;
        assert_eq!(
            read.unwrap_err().reason(),
            Reason::DigestMismatch,
            "{target}"
        );
        registry.behave();
        let read = world
            .registry
            .metadata(&name("app"), digest(&artifact), &any, &nobody())
            .await;
        assert_eq!(read.unwrap().images.len(), 1, "and it was not kept");
    }
}

#[tokio::test]
async fn a_digest_header_that_lies_about_a_tag_is_refused() {
    let artifact = image(&ImageSpec::default());
    let (registry, world) = serving(&artifact).await;
    let lie = Digest::of(b"lie").to_string();
    registry.always(
        "GET /v2/app/manifests",
        Fault::Header("Docker-Content-Digest".to_owned(), lie),
    );
    let resolved = world
        .registry
        .resolve(&name("app"), "1", Freshness::Asked, &nobody(), at(0))
        .await;
    assert!(
        matches!(resolved, Err(RegistryError::DigestMismatch { .. })),
        "{resolved:?}"
    );
}

#[tokio::test]
async fn a_lying_content_type_changes_nothing() {
    let (registry, world) = serving(&two_platforms()).await;
    let lie = "application/vnd.oci.image.manifest.v1+json";
    registry.always(
        "/manifests/",
        Fault::Header("Content-Type".to_owned(), lie.to_owned()),
    );
    let index = digest(&two_platforms());
    let manifest = world
        .registry
        .manifest(&name("app"), index, &nobody())
        .await
        .unwrap();
    assert!(matches!(&manifest.kind, ManifestKind::Index { children } if children.len() == 2));
}

#[tokio::test]
async fn manifests_that_cannot_be_used_are_named_and_not_fetched_again() {
    let old = br#"{"schemaVersion":1,"fsLayers":[]}"#.to_vec();
    for (bytes, unsupported) in [
        (old, true),
        (b"{}".to_vec(), false),
        (b"<html>".to_vec(), false),
    ] {
        let mut artifact = image(&ImageSpec::default());
        artifact.manifest = sealift_testkit::registry::image::Blob::new(bytes);
        let (registry, world) = serving(&artifact).await;
        for _ in 0..2 {
            let read = world
                .registry
                .metadata_of_tag(
                    &name("app"),
                    "1",
                    &any,
                    Freshness::Remembered,
                    &nobody(),
                    at(0),
                )
                .await;
            let error = read.unwrap_err();
            assert_eq!(error.reason(), Reason::MetadataUnreadable);
            assert_eq!(
                matches!(error, RegistryError::Unsupported { .. }),
                unsupported
            );
        }
        assert_eq!(registry.requests().len(), 1);
    }
}

#[tokio::test]
async fn a_chart_is_no_image_and_its_configuration_is_not_read() {
    let mut artifact = image(&ImageSpec::default());
    let text = String::from_utf8(artifact.manifest.bytes.clone()).unwrap();
    let text = text.replace("vnd.oci.image.config", "vnd.cncf.helm.config");
    artifact.manifest = sealift_testkit::registry::image::Blob::new(text);
    let (registry, world) = serving(&artifact).await;
    let metadata = world
        .registry
        .metadata(&name("app"), digest(&artifact), &any, &nobody())
        .await;
    assert!(metadata.unwrap().images.is_empty());
    assert_eq!(registry.count("/blobs/"), 0);
}

#[tokio::test]
async fn giant_manifests_and_configurations_are_refused() {
    let artifact = image(&ImageSpec::default());
    for target in ["/manifests/", "/blobs/"] {
        let (registry, world) = serving(&artifact).await;
        registry.always(target, Fault::Endless(usize::MAX));
        let read = world
            .registry
            .metadata(&name("app"), digest(&artifact), &any, &nobody())
            .await;
        assert_eq!(read.unwrap_err().reason(), Reason::BodyTooLarge);
    }
}

#[tokio::test]
async fn names_that_a_url_could_misread_are_never_asked_for() {
    let (registry, world) = serving(&image(&ImageSpec::default())).await;
    for tag in ["../../../v2/other/manifests/1", "a?b", "", "a b"] {
        let head = world.registry.head(&name("app"), tag, &nobody()).await;
        assert!(
            matches!(head, Err(RegistryError::NameInvalid { .. })),
            "{tag}"
        );
    }
    assert!(registry.requests().is_empty());
}
