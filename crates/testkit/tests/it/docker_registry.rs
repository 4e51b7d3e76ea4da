//! The real `docker-registry`: both ways of filling it serve the same bytes.

use sealift_testkit::registry::docker::DockerRegistry;
use sealift_testkit::registry::image::{ImageSpec, image, index};

#[tokio::test]
async fn images_pushed_by_http_and_written_to_storage_are_both_served() {
    let registry = DockerRegistry::start();
    let single = image(&ImageSpec::default());
    let both = index(&[
        ImageSpec::default(),
        ImageSpec::default().on("linux/arm64/v8"),
    ]);
    registry.push("acme/pushed", "1.0.0", &both).await;
    registry
        .storage()
        .write_tagged("acme/written", "1.0.0", &single);
    registry
        .storage()
        .write_tagged("acme/written", "2.0.0", &both);

    for (repository, tag, artifact) in [
        ("acme/pushed", "1.0.0", &both),
        ("acme/written", "1.0.0", &single),
        ("acme/written", "2.0.0", &both),
    ] {
        let url = format!("{}/v2/{repository}/manifests/{tag}", registry.url());
        let request = reqwest::Client::new().get(url);
        let answer = request
            .header("accept", &artifact.media_type)
            .send()
            .await
            .unwrap();
        assert_eq!(answer.status(), 200);
        assert_eq!(answer.bytes().await.unwrap(), artifact.manifest.bytes);
    }
    let listing = format!("{}/v2/acme/written/tags/list", registry.url());
    let text = reqwest::get(listing).await.unwrap().text().await.unwrap();
    // In directory order: this registry does not sort.
    assert!(text.contains("1.0.0") && text.contains("2.0.0"), "{text}");
}

#[tokio::test]
async fn a_removed_tag_is_gone_from_the_listing() {
    let registry = DockerRegistry::start();
    let artifact = image(&ImageSpec::default());
    let storage = registry.storage();
    storage.write_tagged("app", "1.0.0", &artifact);
    storage.write_tagged("app", "1.1.0", &artifact);
    storage.untag("app", "1.1.0");
    let listing = format!("{}/v2/app/tags/list", registry.url());
    let text = reqwest::get(listing).await.unwrap().text().await.unwrap();
    assert!(text.contains(r#"["1.0.0"]"#), "{text}");
}
