//! What is remembered between askers, cycles and runs.

use std::path::Path;

use sealift_core::digest::Digest;
use sealift_registry::{Endpoint, Freshness, Observation, Store};
use sealift_testkit::registry::image::{Artifact, ImageSpec, image};
use sealift_testkit::registry::scripted::ScriptedRegistry;

use super::{Account, World, any, at, name, nobody, world, world_with};

fn numbered(n: usize) -> Artifact {
    image(&ImageSpec::default().annotated("number", &n.to_string()))
}

fn digest(artifact: &Artifact) -> Digest {
    artifact.manifest.digest.parse().unwrap()
}

fn stored(registry: &ScriptedRegistry, folder: &Path) -> World {
    world_with(
        Endpoint::parse(registry.url()).unwrap(),
        Store::open(folder).unwrap(),
    )
}

/// One cycle of newest-build: the listing, then every tag of it.
async fn cycle(world: &World, repository: &str, second: i64) -> usize {
    let (repository, nobody) = (name(repository), nobody());
    let catalog = world.registry.tags(&repository, &nobody, at(second)).await;
    let tags = super::complete(&catalog);
    let (any, now) = (&any, at(second));
    let read = world.registry.metadata_of_tags(
        &repository,
        tags,
        any,
        Freshness::Remembered,
        &nobody,
        now,
    );
    let read = read.await;
    world.store.flush().unwrap();
    read.into_iter()
        .filter(|one| matches!(one, Ok(Some(_))))
        .count()
}

#[tokio::test]
async fn an_equal_configuration_is_fetched_once_for_all_tags_and_repositories() {
    let registry = ScriptedRegistry::start().await;
    for n in 0..20 {
        registry.put(["a", "b"][n % 2], &format!("1.{n}.0"), &numbered(n));
    }
    let world = world(registry.url());
    assert_eq!(
        cycle(&world, "a", 0).await + cycle(&world, "b", 0).await,
        20
    );
    assert_eq!(registry.count("/tags/list"), 2);
    assert_eq!(
        registry.count("GET /v2/a/manifests") + registry.count("GET /v2/b/manifests"),
        20
    );
    assert_eq!(registry.count("/blobs/"), 1);
    assert_eq!(registry.count("HEAD"), 0);
}

#[tokio::test]
async fn the_next_cycle_asks_for_the_listing_alone_even_in_another_process() {
    let registry = ScriptedRegistry::start().await;
    for n in 0..20 {
        registry.put("a", &format!("1.{n}.0"), &numbered(n));
    }
    let folder = tempfile::tempdir().unwrap();
    let first = stored(&registry, folder.path());
    assert_eq!(cycle(&first, "a", 0).await, 20);
    drop(first);
    for second in [1, 3600] {
        registry.forget_requests();
        let again = stored(&registry, folder.path());
        assert_eq!(cycle(&again, "a", second).await, 20);
        assert_eq!(registry.lines(), ["GET /v2/a/tags/list"]);
    }
    // A day later every tag is asked by `HEAD`, and nothing is fetched again.
    registry.forget_requests();
    assert_eq!(
        cycle(&stored(&registry, folder.path()), "a", 24 * 3600).await,
        20
    );
    assert_eq!(
        (registry.count("HEAD"), registry.requests().len()),
        (20, 21)
    );
}

#[tokio::test]
async fn a_new_tag_makes_the_others_asked_again_but_not_fetched() {
    let registry = ScriptedRegistry::start().await;
    for n in 0..5 {
        registry.put("a", &format!("1.{n}.0"), &numbered(n));
    }
    let world = world(registry.url());
    cycle(&world, "a", 0).await;
    registry.put("a", "1.5.0", &numbered(5));
    registry.forget_requests();
    assert_eq!(cycle(&world, "a", 60).await, 6);
    assert_eq!(registry.count("HEAD"), 5);
    assert_eq!(registry.count("GET /v2/a/manifests"), 1);
}

#[tokio::test]
async fn a_tag_that_moved_is_noticed() {
    let registry = ScriptedRegistry::start().await;
    registry.put("a", "1", &numbered(1));
    let world = world(registry.url());
    let (repository, nobody) = (name("a"), nobody());
    let resolve = |freshness, second| {
        world
            .registry
            .resolve(&repository, "1", freshness, &nobody, at(second))
    };
    let first = resolve(Freshness::Asked, 0).await.unwrap().unwrap();
    assert_eq!(first.observation, Observation::New);
    registry.put("a", "1", &numbered(2));
    let remembered = resolve(Freshness::Remembered, 1).await.unwrap().unwrap();
    assert_eq!(remembered.digest, digest(&numbered(1)));
    let asked = resolve(Freshness::Asked, 1).await.unwrap().unwrap();
    assert_eq!(asked.digest, digest(&numbered(2)));
    assert_eq!(
        asked.observation,
        Observation::Moved {
            from: digest(&numbered(1))
        }
    );
    registry.untag("a", "1");
    assert_eq!(resolve(Freshness::Asked, 2).await.unwrap(), None);
}

#[tokio::test]
async fn damaged_caches_cost_requests_and_nothing_else() {
    let registry = ScriptedRegistry::start().await;
    registry.put("a", "1", &numbered(1));
    let folder = tempfile::tempdir().unwrap();
    cycle(&stored(&registry, folder.path()), "a", 0).await;
    for entry in std::fs::read_dir(folder.path().join("tags")).unwrap() {
        std::fs::write(entry.unwrap().path(), "nonsense").unwrap();
    }
    let pack = folder.path().join("content.pack");
    let mut bytes = std::fs::read(&pack).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle..].fill(0xff);
    std::fs::write(&pack, bytes).unwrap();
    assert_eq!(cycle(&stored(&registry, folder.path()), "a", 1).await, 1);
}

#[tokio::test]
async fn what_one_credential_read_is_not_shown_to_another() {
    let registry = ScriptedRegistry::start().await;
    registry.put("a", "1", &numbered(1));
    let world = world(registry.url());
    let reader: sealift_registry::Access = Account::new("env:A", "x");
    let (repository, wanted) = (name("a"), digest(&numbered(1)));
    let read = async |access: sealift_registry::Access| {
        let read = world.registry.metadata(&repository, wanted, &any, &access);
        read.await.unwrap();
    };
    read(reader.clone()).await;
    read(reader).await;
    assert_eq!(
        registry.requests().len(),
        2,
        "manifest and configuration, once"
    );
    read(nobody()).await;
    assert_eq!(registry.requests().len(), 4);
}

#[tokio::test]
async fn concurrent_askers_share_one_fetch() {
    let registry = ScriptedRegistry::start().await;
    registry.put("a", "1", &numbered(1));
    registry.set_latency(std::time::Duration::from_millis(20));
    let world = world(registry.url());
    let (repository, nobody) = (name("a"), nobody());
    let wanted = digest(&numbered(1));
    let asked = (0..50).map(|_| world.registry.metadata(&repository, wanted, &any, &nobody));
    for read in futures_util::future::join_all(asked).await {
        assert_eq!(read.unwrap().images.len(), 1);
    }
    assert_eq!(registry.requests().len(), 2);
}
