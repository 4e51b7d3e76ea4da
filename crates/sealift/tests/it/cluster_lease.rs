//! Two replicas and one lease, on a real API server.

use std::process::{Child, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use sealift::cluster::config::Configuration;
use sealift::cluster::lease::{Candidacy, LEASE_NAME};
use sealift::cluster::{Cluster, Namespaces};
use sealift::objects::Objects as _;
use sealift_core::election::Timing;
use sealift_testkit::kube::KubeServer;
use serde_json::{Value, json};

use crate::cluster_world::{AUTO, ClusterWorld};
use crate::world::{App, values};

const IMAGE: &str = "registry.test/acme/shop";
/// No claim about speed: how long a test waits before it calls something broken.
const PATIENCE: Duration = Duration::from_secs(90);

#[track_caller]
pub(crate) fn wait(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < deadline, "{what} does not come");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// A replica; killed when dropped.
pub(crate) struct Replica(Child);

impl Replica {
    fn start(cluster: &ClusterWorld, name: &str) -> Self {
        Self::with_interval(cluster, name, "200ms")
    }

    pub(crate) fn with_interval(cluster: &ClusterWorld, name: &str, interval: &str) -> Self {
        let child = cluster
            .command_in("run", name)
            .env("HOSTNAME", name)
            .args(AUTO)
            .args(["--interval", interval, "--health-probe-bind-address", "0"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        Self(child.unwrap())
    }

    pub(crate) fn terminate(mut self) {
        let pid = self.0.id().to_string();
        let status = std::process::Command::new("kill").arg(pid).status();
        assert!(status.unwrap().success());
        assert!(self.0.wait().unwrap().success());
    }
}

impl Drop for Replica {
    fn drop(&mut self) {
        let _gone_already = self.0.kill();
        let _reaped = self.0.wait();
    }
}

fn holder(cluster: &ClusterWorld) -> String {
    let identity = json!({ "apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
        "metadata": { "name": LEASE_NAME, "namespace": cluster.namespace } });
    let lease = cluster.kube.get(&identity).unwrap_or_default();
    lease["spec"]["holderIdentity"]
        .as_str()
        .unwrap_or_default()
        .to_owned()
}

#[test]
fn a_killed_leader_is_followed_by_the_other_and_each_update_is_written_once() {
    let Some(cluster) = ClusterWorld::new() else {
        return;
    };
    cluster.allow_repository_credentials();
    let world = &cluster.world;
    world.images("acme/shop", &["1.8.2", "1.9.0"]);
    let repository = world.repository("gitops", &[("shop/values.yaml", &values(IMAGE, "1.8.2"))]);
    let image = format!("{IMAGE}:1.x");
    let running = format!("{IMAGE}:1.8.2");
    cluster.app(&App::helm("shop", &image, &[running.as_str()], &repository));
    let first = Replica::start(&cluster, "first");
    wait("the first leader", || {
        holder(&cluster).starts_with("first_")
    });
    let second = Replica::start(&cluster, "second");
    wait("the first update", || {
        repository.subjects("main").len() == 2
    });
    drop(first);
    world.images("acme/shop", &["1.8.2", "1.9.0", "1.9.1"]);
    wait("the second leader", || {
        holder(&cluster).starts_with("second_")
    });
    wait("the second update", || {
        repository.subjects("main").len() == 3
    });
    assert_eq!(
        repository.show("main", "shop/values.yaml"),
        values(IMAGE, "1.9.1")
    );
    second.terminate();
    assert_eq!(holder(&cluster), "", "it was given up");
    assert_eq!(repository.subjects("main").len(), 3);
}

const QUICK: Timing = Timing {
    lease: Duration::from_secs(3),
    renew_deadline: Duration::from_secs(2),
    look: Duration::from_millis(200),
};

async fn watched(cluster: &ClusterWorld) -> Arc<Cluster> {
    let configuration = Configuration::File(cluster.world.path("kubeconfig"));
    let namespaces = Namespaces::parse("", &cluster.namespace);
    let watched = Cluster::watch(&configuration, &namespaces, &cluster.namespace).await;
    let watched = Arc::new(watched.unwrap());
    watched.answered().await;
    watched
}

fn candidate(cluster: &ClusterWorld, watched: &Cluster, name: &str) -> Candidacy {
    let client = watched.client().clone();
    Candidacy::start(client, &cluster.namespace, name.to_owned(), QUICK, None)
}

fn application(name: &str) -> Value {
    json!({ "apiVersion": "argoproj.io/v1alpha1", "kind": "Application",
            "metadata": { "name": name },
            "spec": { "project": "default", "source": { "repoURL": "r", "path": name } } })
}

async fn names(watched: &Arc<Cluster>) -> Result<Vec<String>, String> {
    let view = watched.view(Vec::new());
    let applications = view
        .take_applications()
        .await
        .map_err(|error| error.to_string())?;
    let listed = applications.listed.into_iter();
    Ok(listed
        .map(|one| one.manifest.metadata.name.clone())
        .collect())
}

/// The API server goes away under watches and a leader, and comes back.
#[tokio::test(flavor = "multi_thread")]
async fn a_restart_of_the_api_server_ends_the_lead_and_everything_recovers_by_itself() {
    let Some(kube) = KubeServer::start() else {
        return;
    };
    let cluster = ClusterWorld::on(Box::leak(Box::new(kube)));
    cluster.apply(application("one"));
    let watched = watched(&cluster).await;
    assert_eq!(names(&watched).await.unwrap(), ["one"]);
    // Our definitions are not there: no policies, and that is known.
    assert!(
        watched
            .view(Vec::new())
            .policies()
            .await
            .unwrap()
            .is_empty()
    );
    let candidacy = candidate(&cluster, &watched, "a");
    let leader = candidacy.leader();
    leader.elected().await;

    cluster.kube.stop_api();
    wait("the end of the lead", || !leader.leads());
    assert_eq!(
        names(&watched).await.unwrap(),
        ["one"],
        "for a while what is known counts"
    );
    cluster.kube.start_api();
    leader.elected().await;
    cluster.apply(application("two"));
    let deadline = Instant::now() + PATIENCE;
    while names(&watched).await.as_deref() != Ok(&["one".to_owned(), "two".to_owned()]) {
        assert!(Instant::now() < deadline, "{:?}", names(&watched).await);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    cluster.kube.stop_api();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lease_that_somebody_else_took_ends_the_lead_and_a_given_up_one_is_taken() {
    let Some(cluster) = ClusterWorld::new() else {
        return;
    };
    let watched = watched(&cluster).await;
    let first = candidate(&cluster, &watched, "a");
    first.leader().elected().await;
    let second = candidate(&cluster, &watched, "b");
    assert!(!second.leader().leads());
    // By hand, as an operator would, whatever the holder thinks.
    let taken = json!({ "apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
        "metadata": { "name": LEASE_NAME },
        "spec": { "holderIdentity": "operator", "leaseDurationSeconds": 3 } });
    cluster.apply(taken);
    let leader = first.leader();
    wait("the end of the lead", || !leader.leads());
    let (one, other) = (first.leader(), second.leader());
    tokio::select! {
        () = one.elected() => {}
        () = other.elected() => {}
    }
    assert!(one.leads() != other.leads());
    let (leading, waiting) = match one.leads() {
        true => (first, second),
        false => (second, first),
    };
    let next = waiting.leader();
    leading.give_up().await;
    next.elected().await;
}
