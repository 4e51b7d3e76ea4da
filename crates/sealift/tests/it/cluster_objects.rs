//! ImageUpdater objects while a controller runs: what is said on them meanwhile, and what a replica
//! does not say once another leads.

use sealift::cluster::lease::LEASE_NAME;
use serde_json::{Value, json};

use crate::cluster_lease::wait;
use crate::cluster_running::{Gate, IMAGE, Running, cluster, live, tag_of, updater};
use crate::cluster_status::{condition, kube_events, pair, status};
use crate::cluster_world::AUTO;
use crate::world::events;

#[test]
fn an_object_says_that_a_cycle_goes_on_and_then_how_it_ended() {
    let Some(cluster) = cluster() else { return };
    let gate = Gate::start(&cluster);
    live(&cluster, "shop", IMAGE, "1.x");
    live(&cluster, "slow", "slow.test/acme/shop", "1.x");
    let object = updater(&cluster, "all", &["*"]);
    let replica = Running::start(&cluster, &["--interval", "1h"]);
    wait("the start", || {
        condition(&status(&cluster, &object), "Reconciling") == pair("True", "Reconciling")
    });
    let during = status(&cluster, &object);
    assert_eq!(condition(&during, "Ready"), pair("", ""), "{during:#}");
    assert_eq!(
        during["conditions"][0]["message"],
        "Image update check in progress."
    );
    gate.open();
    wait("the end", || {
        condition(&status(&cluster, &object), "Reconciling") == pair("False", "Idle")
    });
    let after = status(&cluster, &object);
    assert_eq!(condition(&after, "Ready").0, "True", "{after:#}");
    assert_eq!(condition(&after, "Error"), pair("True", "PartialErrors"));
    drop(replica);
}

/// Two writes, as Argo CD Image Updater has them, where it is time for one; none in between.
#[test]
fn a_cycle_writes_a_status_twice_where_it_is_due_and_not_at_all_where_nothing_is_new() {
    let Some(cluster) = cluster() else { return };
    let object = updater(&cluster, "all", &["none"]);
    let changes = || -> u64 {
        let object = cluster.kube.get(&object).unwrap();
        let version = object["metadata"]["resourceVersion"].as_str().unwrap();
        version.parse().unwrap()
    };
    cluster.run(&["--annotations", "never"]);
    let first = changes();
    for _ in 0..3 {
        cluster.run(&["--annotations", "never"]);
    }
    assert_eq!(changes(), first);
    let before = status(&cluster, &object);
    // Transition times are whole seconds.
    std::thread::sleep(std::time::Duration::from_millis(1_100));
    updater(&cluster, "all", &["nothing"]);
    cluster.run(&["--annotations", "never"]);
    let after = status(&cluster, &object);
    let since = |status: &Value, kind: &str| {
        let conditions = status["conditions"].as_array().unwrap().iter();
        let mut found = conditions.filter(|one| one["type"] == kind);
        found.next().unwrap()["lastTransitionTime"].clone()
    };
    assert_ne!(since(&before, "Reconciling"), since(&after, "Reconciling"));
    assert_eq!(since(&before, "Ready"), since(&after, "Ready"));
}

#[test]
fn a_cycle_that_fails_as_a_whole_is_said_on_every_object_and_so_is_its_end() {
    let Some(cluster) = cluster() else { return };
    live(&cluster, "shop", IMAGE, "1.x");
    let object = updater(&cluster, "all", &["shop"]);
    let bad = updater(&cluster, "bad", &["["]);
    let ran = cluster.run(&[]);
    assert_eq!(ran.decision(&cluster.id("shop")).0, "updated");
    assert_eq!(
        condition(&status(&cluster, &object), "Ready"),
        pair("True", "ReconcileSucceeded")
    );
    let of_bad = status(&cluster, &bad);
    assert_eq!(
        (condition(&of_bad, "Ready"), condition(&of_bad, "Error")),
        (
            pair("False", "ReconcileFailed"),
            pair("True", "ReconcileError")
        ),
        "{of_bad:#}"
    );
    cluster.forbid_on("applications", "list");
    let ran = cluster.run(&[]);
    assert_eq!(ran.code, 1, "{}", ran.stderr);
    let failed = status(&cluster, &object);
    assert_eq!(
        (
            condition(&failed, "Ready"),
            condition(&failed, "Error"),
            condition(&failed, "Reconciling")
        ),
        (
            pair("False", "ReconcileFailed"),
            pair("True", "ReconcileError"),
            pair("False", "Idle")
        ),
        "{failed:#}"
    );
    assert_eq!(
        (
            &failed["applicationsMatched"],
            &failed["recentUpdates"][0]["newVersion"]
        ),
        (&json!(1), &json!("1.9.0")),
        "what was known stays: {failed:#}"
    );
    let message = failed["conditions"].to_string();
    assert!(message.contains("forbids"), "{message}");
    cluster.allow_all();
    cluster.run(&[]);
    assert_eq!(
        condition(&status(&cluster, &object), "Ready"),
        pair("True", "ReconcileSucceeded")
    );
}

#[test]
fn an_edit_that_updates_shows_at_once_and_leaves_the_numbers_of_all() {
    let Some(cluster) = cluster() else { return };
    for name in ["shop", "blog"] {
        live(&cluster, name, IMAGE, "1.x");
    }
    let object = updater(&cluster, "all", &["*"]);
    let replica = Running::start(&cluster, &["--interval", "1h"]);
    wait("the first cycle", || {
        condition(&status(&cluster, &object), "Ready").0 == "True"
    });
    let whole = status(&cluster, &object);
    assert_eq!(whole["recentUpdates"][0]["applicationsUpdated"], 2);
    live(&cluster, "shop", IMAGE, "2.x");
    wait("the update", || tag_of(&cluster, "shop") == "2.0.0");
    wait("its line", || {
        status(&cluster, &object)["recentUpdates"][0]["newVersion"] == "2.0.0"
    });
    let part = status(&cluster, &object);
    let update = &part["recentUpdates"][0];
    assert_eq!(update["applicationsUpdated"], 1, "{part:#}");
    assert_eq!(part["lastUpdatedAt"], update["updatedAt"]);
    for field in [
        "applicationsMatched",
        "imagesManaged",
        "lastCheckedAt",
        "conditions",
    ] {
        assert_eq!(part[field], whole[field], "{field}");
    }
    let image = |name: &str| {
        let images = part["images"].as_array().unwrap().iter();
        let mut found = images.filter(|one| one["application"] == name);
        found.next().unwrap()["candidate"].clone()
    };
    assert_eq!(
        (image("shop"), image("blog")),
        (json!("2.0.0"), json!("1.9.0"))
    );
    let series = |name: &str| {
        let name = format!("argocd_image_updater_{name}");
        let all = replica.series("all").into_iter();
        let mut found = all.filter(|(one, _)| *one == name);
        found.next().unwrap().1
    };
    assert_eq!(
        [
            "applications_watched_total",
            "images_watched_total",
            "images_updated_total"
        ]
        .map(series),
        ["2", "2", "3"]
    );
}

#[test]
fn who_lost_the_lease_in_the_middle_of_a_cycle_says_nothing_any_more() {
    let Some(cluster) = cluster() else { return };
    let gate = Gate::start(&cluster);
    live(&cluster, "shop", IMAGE, "1.x");
    live(&cluster, "slow", "slow.test/acme/shop", "1.x");
    let object = updater(&cluster, "all", &["*"]);
    let replica = Running::start(&cluster, &["--interval", "1h"]);
    wait("the start", || {
        condition(&status(&cluster, &object), "Reconciling").0 == "True"
    });
    let during = status(&cluster, &object);
    cluster.apply(
        json!({ "apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
        "metadata": { "name": LEASE_NAME },
        "spec": { "holderIdentity": "another", "leaseDurationSeconds": 3600,
                  "renewTime": "2099-01-01T00:00:00.000000Z" } }),
    );
    wait("the loss", || replica.log().contains("leads=false"));
    gate.open();
    wait("the end of the cycle", || replica.cycles() == 1);
    let events = events(&cluster.world.path("state"), &["--kind", "considered"]);
    let shop = events
        .iter()
        .find(|one| one["application"] == cluster.id("shop"));
    assert_eq!(
        shop.unwrap()["reasons"][0]["reason"],
        "leadership-lost",
        "{events:#?}"
    );
    assert_eq!(tag_of(&cluster, "shop"), "1.8.2");
    assert_eq!(
        status(&cluster, &object),
        during,
        "that is the next leader's"
    );
    assert_eq!(kube_events(&cluster), Vec::<Value>::new());
    assert_eq!(replica.series("all"), []);
    let metrics = replica.get("/metrics").unwrap();
    assert!(metrics.contains("sealift_cycles_total 0"), "{metrics}");
    assert!(!metrics.contains("sealift_decisions_total{"), "{metrics}");
}

/// The older one is invalid and says that `shop` is its own: the younger one waits.
#[test]
fn an_invalid_object_keeps_what_it_selects_until_it_is_gone_and_both_say_so() {
    let Some(cluster) = cluster() else { return };
    live(&cluster, "shop", IMAGE, "1.x");
    live(&cluster, "blog", IMAGE, "1.x");
    let old = updater(&cluster, "z-old", &["shop", "["]);
    // Ages are whole seconds.
    std::thread::sleep(std::time::Duration::from_millis(1_100));
    let young = updater(&cluster, "a-young", &["*"]);
    let ran = cluster.run(&["--annotations", "always"]);
    assert_eq!(ran.code, 1, "{}", ran.stderr);
    assert_eq!(ran.decision(&cluster.id("blog")).0, "updated");
    assert_eq!(tag_of(&cluster, "shop"), "1.8.2");
    let notices = ran.report["notices"].as_array().unwrap().iter();
    let held = notices.filter(|one| one["reason"] == "application-held");
    assert_eq!(held.count(), 2, "{:#}", ran.report);
    for object in [&old, &young] {
        let said = status(&cluster, object);
        assert_eq!(condition(&said, "Contested").0, "True", "{said:#}");
    }
    assert_eq!(status(&cluster, &young)["applicationsMatched"], 1);
    cluster.kube.delete(&old);
    let ran = cluster.run(&[]);
    assert_eq!(ran.decision(&cluster.id("shop")).0, "updated");
    assert_eq!(
        condition(&status(&cluster, &young), "Contested"),
        pair("", "")
    );
}

/// The lines of Argo CD Image Updater that scripts read. Drop-in contract, "Log lines".
#[test]
fn the_log_lines_that_scripts_read_are_those_of_the_contract() {
    let Some(cluster) = cluster() else { return };
    live(&cluster, "shop", IMAGE, "1.x");
    updater(&cluster, "all", &["*"]);
    let log = |more: &[&str]| {
        let ran = cluster.run(&[&["--loglevel", "info", "--logformat", "json"], more].concat());
        let lines = ran.stderr.lines();
        let values = lines.filter_map(|line| serde_json::from_str::<Value>(line).ok());
        values.collect::<Vec<Value>>()
    };
    let said = |lines: &[Value], text: &str| -> Value {
        let mut found = lines.iter().filter(|line| line["msg"] == text);
        let line = found
            .next()
            .unwrap_or_else(|| panic!("no `{text}` in {lines:#?}"));
        assert_eq!(found.next(), None, "`{text}` is said twice");
        line.clone()
    };
    let results = |updated: u32| {
        format!(
            "Processing results: applications=1 images_considered=1 images_skipped=0 \
             images_updated={updated} errors=0"
        )
    };
    let dry = log(&["--dry-run"]);
    said(
        &dry,
        "Starting image update cycle, considering 1 application(s) for update",
    );
    said(&dry, "Dry run - not committing 1 changes to application");
    said(
        &dry,
        &format!(
            "Successfully updated image '{IMAGE}:1.8.2' to '{IMAGE}:1.9.0', but pending spec \
             update (dry run=true)"
        ),
    );
    let done = log(&[]);
    let setting = said(&done, &format!("Setting new image to {IMAGE}:1.9.0"));
    for (field, value) in [
        ("application", cluster.id("shop")),
        ("image_registry", "registry.test".to_owned()),
        ("image_name", "acme/shop".to_owned()),
        ("image_alias", "web".to_owned()),
        ("image_tag", "1.8.2".to_owned()),
        ("imageUpdater_namespace", cluster.namespace.clone()),
        ("imageUpdater_name", "all".to_owned()),
    ] {
        assert_eq!(setting[field], value, "{field} in {setting:#}");
    }
    said(
        &done,
        "Committing 1 parameter update(s) for application shop",
    );
    said(&done, "Successfully updated the live application spec");
    said(&done, &results(1));
    assert_eq!(done.last().unwrap()["msg"], results(1), "it ends the cycle");
    // The spec has it, and what runs is still the old one.
    let waits = log(&[]);
    said(
        &waits,
        &format!("New image {IMAGE}:1.9.0 already set in spec"),
    );
    said(&waits, &results(0));
}

/// The start of a cycle that is over is no news, and the next cycle is not kept waiting for it.
#[test]
fn no_start_is_said_of_a_cycle_that_has_ended() {
    const OBJECTS: usize = 16;
    let Some(cluster) = cluster() else { return };
    let all = |pattern: &str| -> Vec<Value> {
        let names = (0..OBJECTS).map(|number| format!("object-{number}"));
        names
            .map(|name| updater(&cluster, &name, &[pattern]))
            .collect()
    };
    let objects = all("none");
    let said = || -> Vec<Value> {
        let statuses = objects.iter().map(|object| status(&cluster, object));
        let since = |status: Value| {
            let conditions = status["conditions"].as_array().unwrap().clone();
            let mut found = conditions.iter().filter(|one| one["type"] == "Reconciling");
            found.next().unwrap()["lastTransitionTime"].clone()
        };
        statuses.map(since).collect()
    };
    cluster.run(&["--annotations", "never"]);
    let before = said();
    // Transition times are whole seconds.
    std::thread::sleep(std::time::Duration::from_millis(1_100));
    let edited = all("nothing");
    let ran = cluster.run(&["--annotations", "never"]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let after = said();
    let pairs = before.iter().zip(&after);
    let told = pairs.filter(|(before, after)| before != after).count();
    // There is nothing to do in this cycle: it ends while the first is being told.
    assert!(told < OBJECTS, "{told}");
    for object in &edited {
        let ended = status(&cluster, object);
        assert_eq!(condition(&ended, "Reconciling"), pair("False", "Idle"));
        let generation = &object["metadata"]["generation"];
        assert_eq!(ended["observedGeneration"], *generation);
    }
}

#[test]
fn a_patch_of_an_application_is_not_called_a_push() {
    let Some(cluster) = cluster() else { return };
    live(&cluster, "shop", IMAGE, "1.x");
    let said = |command: &str, more: &[&str]| {
        let mut program = cluster.command(command);
        let output = program.args(AUTO).args(more).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    let id = cluster.id("shop");
    let plan = said("plan", &[]);
    let line = format!("would patch Application {id}\n");
    assert!(plan.contains(&line), "{plan}");
    assert!(!plan.contains("push"), "{plan}");
    let why = said("explain", &[&id]);
    assert!(why.contains(&format!("Application {id}\n")), "{why}");
    assert!(!why.contains("branch"), "{why}");
    let done = said("run", &["--once"]);
    let line = format!("patched Application {id}\n");
    assert!(done.contains(&line), "{done}");
}
