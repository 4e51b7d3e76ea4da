//! How many requests a cycle costs.
//!
//! Where nothing changed: one listing for each repository and credential, no `/v2/` ping, no token
//! fetched twice within its life, no manifest fetched twice.

use std::collections::BTreeMap;

use sealift_net::Kind;
use sealift_registry::{Access, Freshness};
use sealift_testkit::registry::docker::DockerRegistry;
use sealift_testkit::registry::image::{ImageSpec, image};
use sealift_testkit::registry::scripted::{Auth, ScriptedRegistry};

use super::{Account, World, any, at, complete, name, nobody, world};

/// Lists every repository and reads what its greatest tag is, as a semver cycle with one outdated
/// image a repository does.
async fn cycle(world: &World, repositories: &[String], access: &Access, second: i64) {
    let one = |repository: &String| {
        let repository = name(repository);
        async move {
            let catalog = world.registry.tags(&repository, access, at(second)).await;
            let winner = complete(&catalog).into_iter().max().unwrap().to_owned();
            let read = world.registry.metadata_of_tag(
                &repository,
                &winner,
                &any,
                Freshness::Remembered,
                access,
                at(second),
            );
            assert_eq!(read.await.unwrap().unwrap().1.images.len(), 1);
        }
    };
    futures_util::future::join_all(repositories.iter().map(one)).await;
}

fn sent(world: &World) -> BTreeMap<&'static str, u64> {
    let counts = world.net.counts();
    counts
        .sent
        .iter()
        .filter(|(_, count)| *count > 0)
        .map(|(kind, count)| (kind.name(), *count))
        .collect()
}

#[tokio::test]
async fn a_real_registry_is_asked_three_times_a_repository_and_then_once() {
    let registry = DockerRegistry::start();
    let repositories: Vec<String> = (0..10).map(|n| format!("acme/app-{n}")).collect();
    for (n, repository) in repositories.iter().enumerate() {
        // Configurations differ, as those of different images do.
        let artifact = image(&ImageSpec::created(format!("2024-01-01T00:00:{n:02}Z")));
        registry.storage().write(repository, &artifact);
        for tag in ["1.0.0", "1.1.0", "1.2.0"] {
            registry
                .storage()
                .tag(repository, tag, &artifact.manifest.digest);
        }
    }
    let world = world(&registry.url());
    cycle(&world, &repositories, &nobody(), 0).await;
    let first = BTreeMap::from([("listing", 10), ("manifest-get", 10), ("blob", 10)]);
    assert_eq!(sent(&world), first);
    cycle(&world, &repositories, &nobody(), 60).await;
    let second = BTreeMap::from([("listing", 20), ("manifest-get", 10), ("blob", 10)]);
    assert_eq!(sent(&world), second);
    assert_eq!(world.net.counts().retries, 0);
}

#[tokio::test]
async fn a_registry_with_tokens_costs_one_refusal_and_one_token_a_repository_more() {
    let registry = ScriptedRegistry::start().await;
    let repositories: Vec<String> = (0..10).map(|n| format!("acme/app-{n}")).collect();
    for repository in &repositories {
        let artifact = image(&ImageSpec::default());
        for tag in ["1.0.0", "1.1.0"] {
            registry.put(repository, tag, &artifact);
        }
    }
    registry.set_auth(Auth::Bearer {
        realm: None,
        account: Some(("robot".to_owned(), "right".to_owned())),
        expires_in_secs: Some(3600),
    });
    let world = world(registry.url());
    let access: Access = Account::new("env:X", "right");
    cycle(&world, &repositories, &access, 0).await;
    assert_eq!(world.net.counts().of(Kind::Listing), 11);
    assert_eq!(world.net.counts().of(Kind::Token), 10);
    // Every repository's tag names the same manifest; each tag is asked for once.
    assert_eq!(world.net.counts().of(Kind::ManifestGet), 10);
    assert_eq!(world.net.counts().of(Kind::Blob), 1);
    registry.forget_requests();
    cycle(&world, &repositories, &access, 60).await;
    assert_eq!(registry.count("/tags/list"), 10);
    assert_eq!(registry.requests().len(), 10, "{:?}", registry.lines());
}
