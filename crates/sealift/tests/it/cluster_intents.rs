//! Open intents on a real lease: kept with renewals, or without an election, and what ends that.

use std::collections::BTreeSet;
use std::process::Stdio;
use std::time::{Duration, Instant};

use sealift::cluster::config::Configuration;
use sealift::cluster::intents::{Keeper, NotKept, OpenIntents};
use sealift::cluster::lease::Candidacy;
use sealift::cluster::{Cluster, Namespaces};
use sealift_core::election::Timing;
use sealift_core::event::IntentId;
use sealift_core::event::open::ANNOTATION;
use serde_json::{Value, json};

use crate::cluster_takeover::{annotation, kept, lease_identity, leave};
use crate::cluster_world::{AUTO, ClusterWorld};

const QUICK: Timing = Timing {
    lease: Duration::from_secs(3),
    renew_deadline: Duration::from_secs(2),
    look: Duration::from_millis(200),
};

async fn client(cluster: &ClusterWorld) -> kube::Client {
    let configuration = Configuration::File(cluster.world.path("kubeconfig"));
    let namespaces = Namespaces::parse("", &cluster.namespace);
    let watched = Cluster::watch(&configuration, &namespaces, &cluster.namespace).await;
    watched.unwrap().client().clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_elses_write_to_the_lease_is_kept_and_its_loss_ends_the_keeping() {
    let Some(cluster) = ClusterWorld::new() else {
        return;
    };
    let client = client(&cluster).await;
    let intents = OpenIntents::new(true);
    assert_eq!(
        intents.hold(kept(0)).await,
        Err(NotKept::NotOurs),
        "nobody leads yet"
    );
    let named = |name: &str, intents: &OpenIntents| {
        let (name, intents) = (name.to_owned(), Some(intents.clone()));
        Candidacy::start(client.clone(), &cluster.namespace, name, QUICK, intents)
    };
    let first = named("a", &intents);
    first.leader().elected().await;
    intents.hold(kept(1)).await.unwrap();
    let mut lease = lease_identity(&cluster);
    lease["metadata"]["annotations"] = json!({ "example.org/note": "a person's" });
    cluster.apply(lease);
    intents.hold(kept(2)).await.unwrap();
    assert_eq!(
        annotation(&cluster, "example.org/note").as_deref(),
        Some("a person's")
    );
    let text = annotation(&cluster, ANNOTATION).unwrap();
    for id in [1, 2] {
        assert!(
            text.contains(&IntentId::from_random(id).to_string()),
            "{text}"
        );
    }
    intents.end(IntentId::from_random(1));

    let mut taken = lease_identity(&cluster);
    taken["spec"] = json!({ "holderIdentity": "operator", "leaseDurationSeconds": 3 });
    cluster.apply(taken);
    assert_eq!(intents.hold(kept(3)).await, Err(NotKept::NotOurs));
    drop(first);

    let next = OpenIntents::new(true);
    let second = named("b", &next);
    second.leader().elected().await;
    let open: BTreeSet<IntentId> = next.open().iter().map(|kept| kept.intent.intent).collect();
    assert!(open.contains(&IntentId::from_random(2)) && !open.contains(&IntentId::from_random(3)));
    open.into_iter().for_each(|id| next.end(id));
    second.give_up().await;
    assert_eq!(
        annotation(&cluster, ANNOTATION),
        None,
        "it goes with the last write"
    );
}

/// Somebody's annotations leave no room on the object: a push fails, the lead does not.
#[tokio::test(flavor = "multi_thread")]
async fn a_lease_that_others_have_filled_costs_the_push_and_not_the_lead() {
    let Some(cluster) = ClusterWorld::new() else {
        return;
    };
    let mut lease = lease_identity(&cluster);
    lease["metadata"]["annotations"] = json!({ "example.org/large": "x".repeat(262_000) });
    cluster.apply(lease);
    let intents = OpenIntents::new(true);
    let (client, mine) = (client(&cluster).await, Some(intents.clone()));
    let candidacy = Candidacy::start(client, &cluster.namespace, "a".to_owned(), QUICK, mine);
    let leader = candidacy.leader();
    leader.elected().await;
    let refused = intents.hold(kept(1)).await;
    assert!(
        matches!(&refused, Err(NotKept::NotWritten(why)) if why.contains("annotations")),
        "{refused:?}"
    );
    let until = Instant::now() + 2 * QUICK.renew_deadline;
    while Instant::now() < until {
        assert!(leader.leads(), "renewals go on");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let mut lease = lease_identity(&cluster);
    lease["metadata"]["annotations"] = json!({ "example.org/large": "x" });
    cluster.apply(lease);
    intents.hold(kept(2)).await.unwrap();
    candidacy.give_up().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_an_election_the_lease_is_made_and_nobody_holds_it() {
    let Some(cluster) = ClusterWorld::new() else {
        return;
    };
    let client = client(&cluster).await;
    let intents = OpenIntents::new(true);
    let keeper = Keeper::start(client.clone(), &cluster.namespace, intents.clone());
    intents.known().await;
    let together = (0..20).map(|id| intents.hold(kept(id)));
    for held in futures_util::future::join_all(together).await {
        held.unwrap();
    }
    let lease = cluster.kube.get(&lease_identity(&cluster)).unwrap();
    assert_eq!(lease["spec"]["holderIdentity"], Value::Null);
    // What another process of the same kind keeps there meanwhile is not its to remove.
    let text = annotation(&cluster, ANNOTATION).unwrap();
    let other = serde_json::to_string(&kept(99)).unwrap();
    let both = text.replace("\"intents\":[", &format!("\"intents\":[{other},"));
    leave(&cluster, &both);
    (0..20).for_each(|id| intents.end(IntentId::from_random(id)));
    keeper.end().await;
    let text = annotation(&cluster, ANNOTATION).unwrap();
    assert!(
        text.contains(&IntentId::from_random(99).to_string()),
        "{text}"
    );
    assert!(
        !text.contains(&IntentId::from_random(1).to_string()),
        "{text}"
    );
}

#[test]
fn a_record_that_cannot_be_ended_keeps_nobody_from_the_lease() {
    let Some(cluster) = ClusterWorld::new() else {
        return;
    };
    let mut child = cluster
        .command_bare("run")
        .args(AUTO)
        .args(["--interval", "1h", "--health-probe-bind-address", "0"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut output = std::io::BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    while !line.contains("\"cycle\"") {
        line.clear();
        assert!(std::io::BufRead::read_line(&mut output, &mut line).unwrap() > 0);
    }
    let holder = || {
        let lease = cluster.kube.get(&lease_identity(&cluster)).unwrap();
        lease["spec"]["holderIdentity"].clone()
    };
    assert_ne!(holder(), "");
    drop(output);
    let pid = child.id().to_string();
    let killed = std::process::Command::new("kill").arg(pid).status();
    assert!(killed.unwrap().success());
    assert!(!child.wait().unwrap().success(), "that is no end in order");
    assert_eq!(holder(), "", "it was given up all the same");
}
