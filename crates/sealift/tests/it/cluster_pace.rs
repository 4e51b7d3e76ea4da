//! When the controller looks at what, on a real API server: edits, intervals of Applications, and a
//! registry that throttles in a cycle on a few.

use std::path::Path;

use sealift_testkit::git::BareRepository;
use sealift_testkit::registry::image::{ImageSpec, image};
use sealift_testkit::registry::scripted::{Fault, ScriptedRegistry};
use serde_json::json;

use crate::cluster_lease::{Replica, wait};
use crate::cluster_world::ClusterWorld;
use crate::world::{App, events, values};

const IMAGE: &str = "registry.test/acme/shop";
const FIRST: [&str; 1] = ["registry.test/acme/shop:1.x"];
const NEXT: [&str; 1] = ["registry.test/acme/shop:2.x"];
const RUNNING: [&str; 1] = ["registry.test/acme/shop:1.9.0"];

fn cluster() -> Option<ClusterWorld> {
    let cluster = ClusterWorld::new()?;
    cluster.allow_repository_credentials();
    cluster
        .world
        .images("acme/shop", &["1.8.2", "1.9.0", "2.0.0"]);
    Some(cluster)
}

/// A repository in which `1.9.0` stands in each of these folders.
fn repository(cluster: &ClusterWorld, name: &str, folders: &[&str]) -> BareRepository {
    let text = values(IMAGE, "1.9.0");
    let paths: Vec<String> = folders
        .iter()
        .map(|folder| format!("{folder}/values.yaml"))
        .collect();
    let files: Vec<_> = paths.iter().map(|path| (&**path, &*text)).collect();
    cluster.world.repository(name, &files)
}

/// The numbers of Applications of the cycles so far.
fn cycles(state: &Path) -> Vec<u64> {
    if !state.exists() {
        return Vec::new();
    }
    let all = events(state, &[]);
    let cycles = all.iter().filter(|event| event["kind"] == "cycle");
    cycles
        .map(|cycle| cycle["applications"].as_u64().unwrap())
        .collect()
}

#[test]
fn an_edit_is_acted_on_before_the_interval_ends() {
    let Some(cluster) = cluster() else { return };
    let repository = repository(&cluster, "gitops", &["shop"]);
    cluster.app(&App::helm("shop", FIRST[0], &RUNNING, &repository));
    let replica = Replica::with_interval(&cluster, "only", "1h");
    let state = cluster.world.path("only");
    wait("the first cycle", || cycles(&state) == [1]);
    cluster.app(&App::helm("shop", NEXT[0], &RUNNING, &repository));
    wait("the update", || repository.subjects("main").len() == 2);
    let text = repository.show("main", "shop/values.yaml");
    assert_eq!(text, values(IMAGE, "2.0.0"));
    replica.terminate();
}

#[test]
fn with_interval_0_an_edit_is_acted_on_and_nothing_else_is_looked_at() {
    let Some(cluster) = cluster() else { return };
    let repository = repository(&cluster, "gitops", &["shop", "other"]);
    cluster.app(&App::helm("shop", FIRST[0], &RUNNING, &repository));
    cluster.app(&App::helm("other", FIRST[0], &RUNNING, &repository));
    let replica = Replica::with_interval(&cluster, "only", "0");
    let state = cluster.world.path("only");
    wait("the first cycle", || cycles(&state) == [2]);
    // Both would move now; one is edited.
    cluster
        .world
        .images("acme/shop", &["1.8.2", "1.9.0", "2.0.0", "1.9.1"]);
    cluster.app(&App::helm("shop", NEXT[0], &RUNNING, &repository));
    wait("the update", || repository.subjects("main").len() == 2);
    replica.terminate();
    let text = repository.show("main", "shop/values.yaml");
    assert_eq!(text, values(IMAGE, "2.0.0"));
    let text = repository.show("main", "other/values.yaml");
    assert_eq!(text, values(IMAGE, "1.9.0"));
    assert!(cycles(&state)[1..].iter().all(|&count| count == 1));
}

#[test]
fn an_interval_of_an_applications_own_is_kept_between_whole_cycles() {
    let Some(cluster) = cluster() else { return };
    let repository = repository(&cluster, "gitops", &["shop", "other"]);
    let often = [
        ("write-back-target", "helmvalues:values.yaml"),
        ("sealift.dev/interval", "10s"),
    ];
    let mut shop = App::helm("shop", FIRST[0], &RUNNING, &repository);
    shop.annotations = &often;
    cluster.app(&shop);
    cluster.app(&App::helm("other", FIRST[0], &RUNNING, &repository));
    let replica = Replica::with_interval(&cluster, "only", "1h");
    let state = cluster.world.path("only");
    wait("the first cycle", || cycles(&state) == [2]);
    cluster
        .world
        .images("acme/shop", &["1.8.2", "1.9.0", "2.0.0", "1.9.1"]);
    wait("the update", || repository.subjects("main").len() == 2);
    replica.terminate();
    let text = repository.show("main", "shop/values.yaml");
    assert_eq!(text, values(IMAGE, "1.9.1"));
    let text = repository.show("main", "other/values.yaml");
    assert_eq!(text, values(IMAGE, "1.9.0"));
    assert!(cycles(&state)[1..].iter().all(|&count| count == 1));
}

/// A registry that lists nothing until it behaves.
async fn throttled(cluster: &ClusterWorld) -> ScriptedRegistry {
    let throttled = ScriptedRegistry::start().await;
    for tag in ["1.9.0", "1.9.1"] {
        let spec = ImageSpec::created("2026-01-01T00:00:00Z".to_owned());
        throttled.put("acme/side", tag, &image(&spec.annotated("tag", tag)));
    }
    let slow_down = Fault::Answer(429, Vec::new(), Vec::new());
    throttled.always("/v2/acme/side/tags/list", slow_down);
    let conf = cluster.world.path("registries.conf");
    let mut text = std::fs::read_to_string(&conf).unwrap();
    text.push_str("- name: throttled\n  prefix: throttled.test\n  api_url: ");
    text.push_str(&format!("{}\n", throttled.url()));
    std::fs::write(&conf, text).unwrap();
    throttled
}

const DAILY: [(&str, &str); 2] = [
    ("write-back-target", "helmvalues:values.yaml"),
    ("sealift.dev/interval", "24h"),
];

#[test]
fn what_failed_is_looked_at_again_at_the_heartbeat_however_long_its_interval_is() {
    let Some(cluster) = cluster() else { return };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let throttled = runtime.block_on(throttled(&cluster));
    let text = values("throttled.test/acme/side", "1.9.0");
    let files = [("daily/values.yaml", &*text)];
    let gitops = cluster.world.repository("gitops", &files);
    let (image, running) = (
        "throttled.test/acme/side:1.x",
        ["throttled.test/acme/side:1.9.0"],
    );
    let mut daily = App::helm("daily", image, &running, &gitops);
    daily.annotations = &DAILY;
    cluster.app(&daily);
    let replica = Replica::with_interval(&cluster, "only", "1s");
    let state = cluster.world.path("only");
    wait("the first cycle", || !cycles(&state).is_empty());
    throttled.behave();
    wait("the update", || gitops.subjects("main").len() == 2);
    let text = gitops.show("main", "daily/values.yaml");
    assert_eq!(text, values("throttled.test/acme/side", "1.9.1"));
    // Then its interval counts again.
    let so_far = cycles(&state).len();
    wait("some more cycles", || cycles(&state).len() > so_far + 3);
    replica.terminate();
    let all = events(&state, &[]);
    let done = |event: &&serde_json::Value| event["decision"] == "updated";
    let updated = all.iter().position(|event| done(&event)).unwrap();
    let looked = |event: &&serde_json::Value| event["kind"] == "considered";
    assert_eq!(all[updated + 1..].iter().filter(looked).count(), 0);
}

#[test]
fn an_edit_of_what_governs_or_selects_waits_for_no_interval() {
    let Some(cluster) = cluster() else { return };
    let repository = repository(&cluster, "gitops", &["shop"]);
    let policy = |registry: &str| {
        json!({
            "apiVersion": "sealift.dev/v1alpha1", "kind": "PromotionPolicy",
            "metadata": { "name": "all" },
            "spec": { "allowedRegistries": [registry],
                      "unsafeNoSignatures": { "reason": "a test of paces" } },
        })
    };
    let updater = |tags: &str| {
        json!({
            "apiVersion": "argocd-image-updater.argoproj.io/v1alpha1", "kind": "ImageUpdater",
            "metadata": { "name": "all", "annotations": { "sealift.dev/interval": "24h" } },
            "spec": { "applicationRefs": [{ "namePattern": "shop",
                "writeBackConfig": { "method": "git",
                    "gitConfig": { "writeBackTarget": "helmvalues:values.yaml" } },
                "images": [{ "alias": "web", "imageName": format!("{IMAGE}:{tags}") }] }] },
        })
    };
    cluster.apply(policy("other.test"));
    cluster.apply(updater("2.x"));
    let mut shop = App::helm("shop", FIRST[0], &RUNNING, &repository);
    shop.annotations = &[];
    cluster.app(&shop);
    let replica = Replica::with_interval(&cluster, "only", "1h");
    let state = cluster.world.path("only");
    wait("the first cycle", || cycles(&state) == [1]);
    assert_eq!(repository.subjects("main").len(), 1);
    cluster.apply(policy("registry.test"));
    wait("the update", || repository.subjects("main").len() == 2);
    let text = repository.show("main", "shop/values.yaml");
    assert_eq!(text, values(IMAGE, "2.0.0"));
    cluster
        .world
        .images("acme/shop", &["1.8.2", "1.9.0", "2.0.0", "3.0.0"]);
    cluster.apply(updater("3.x"));
    wait("the next one", || repository.subjects("main").len() == 3);
    let text = repository.show("main", "shop/values.yaml");
    assert_eq!(text, values(IMAGE, "3.0.0"));
    replica.terminate();
}

/// Values with a second image, which the chart takes from keys of its own.
fn two(shop: &str, side: &str) -> String {
    let side_image = "throttled.test/acme/side";
    format!(
        "{}side:\n  name: {side_image}\n  tag: {side}\n",
        values(IMAGE, shop)
    )
}

const BESIDE: [(&str, &str); 3] = [
    ("write-back-target", "helmvalues:/shop/values.yaml"),
    ("web.helm.image-name", "side.name"),
    ("web.helm.image-tag", "side.tag"),
];

#[test]
fn an_edit_is_acted_on_with_what_shares_its_file_and_a_throttled_registry_stops_nobody_else() {
    let Some(cluster) = cluster() else { return };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let throttled = runtime.block_on(throttled(&cluster));
    let both = two("1.9.0", "1.9.0");
    let near = values(IMAGE, "1.9.0");
    let files = [("shop/values.yaml", &*both), ("near/values.yaml", &*near)];
    let gitops = cluster.world.repository("gitops", &files);
    let elsewhere = repository(&cluster, "elsewhere", &["far"]);
    cluster.app(&App::helm("shop", FIRST[0], &RUNNING, &gitops));
    let side = "throttled.test/acme/side:1.x";
    let mut beside = App::helm("beside", side, &["throttled.test/acme/side:1.9.0"], &gitops);
    beside.annotations = &BESIDE;
    cluster.app(&beside);
    cluster.app(&App::helm("near", FIRST[0], &RUNNING, &gitops));
    cluster.app(&App::helm("far", FIRST[0], &RUNNING, &elsewhere));
    let mut broken = App::helm("broken", FIRST[0], &RUNNING, &elsewhere);
    broken.annotations = &[("force-update", "perhaps")];
    cluster.app(&broken);

    let replica = Replica::with_interval(&cluster, "only", "1h");
    let state = cluster.world.path("only");
    wait("the first cycle", || cycles(&state) == [5]);
    cluster.app(&App::helm("shop", NEXT[0], &RUNNING, &gitops));
    wait("the update", || gitops.subjects("main").len() == 2);
    let text = gitops.show("main", "shop/values.yaml");
    assert_eq!(text, two("2.0.0", "1.9.0"));

    // It answers again; the next edit finds it so.
    throttled.behave();
    cluster.app(&App::helm("shop", FIRST[0], &RUNNING, &gitops));
    wait("the other one", || gitops.subjects("main").len() == 3);
    let text = gitops.show("main", "shop/values.yaml");
    assert_eq!(
        text,
        two("2.0.0", "1.9.1"),
        "no downgrade, and the neighbour's update"
    );
    replica.terminate();

    // Only the one that shares its file was looked at with it; what is wrong elsewhere is said once.
    let cycles = cycles(&state);
    assert!(cycles[1..].iter().all(|&count| count == 2), "{cycles:?}");
    let all = events(&state, &[]);
    let of = |name: &'static str, kind: &'static str| {
        all.iter().filter(move |event| {
            let id = event["application"].as_str().unwrap_or_default();
            event["kind"] == kind && id.ends_with(name)
        })
    };
    assert_eq!(of("/broken", "notice").count(), 1);
    let refused = of("/beside", "considered").next().unwrap();
    assert_eq!(refused["reasons"][0]["reason"], "listing-incomplete");
    assert_eq!(refused["reasons"][1]["reason"], "rate-limited");
}
