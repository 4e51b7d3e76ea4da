//! Without a disk: the journal on standard output, open intents on the lease, and what the next
//! leader does with them. On a real API server, with the roles that ship.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::PathBuf;
use std::process::Child;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use sealift::cluster::lease::LEASE_NAME;
use sealift_core::event::open::{ANNOTATION, Kept, UNREADABLE_ANNOTATION};
use sealift_core::event::{ChainId, Intent, IntentId, MaskedUrl};
use sealift_testkit::git::BareRepository;
use sealift_testkit::git::http::{GitFault, GitHttp, GitHttpOptions};
use serde_json::{Value, json};

use crate::cluster_world::{AUTO, ClusterWorld};
use crate::world::{App, events, sealift, values};

const IMAGE: &str = "registry.test/acme/shop";
/// No claim about speed: how long a test waits before it calls something broken.
const PATIENCE: Duration = Duration::from_secs(90);
const CHAIN: ChainId = ChainId {
    journal: 7,
    process: 7,
};

#[track_caller]
fn wait(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < deadline, "{what} does not come");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A replica without a disk; killed when dropped.
struct Replica {
    child: Child,
    journal: PathBuf,
}

impl Replica {
    fn start(cluster: &ClusterWorld, name: &str, more: &[&str]) -> Self {
        let journal = cluster.world.path(&format!("{name}.jsonl"));
        let child = cluster
            .command_bare("run")
            .env("HOSTNAME", name)
            .args(AUTO)
            .args(["--interval", "300ms", "--health-probe-bind-address", "0"])
            .args(more)
            .stdout(File::create(&journal).unwrap())
            .stderr(File::create(cluster.world.path(&format!("{name}.log"))).unwrap())
            .spawn();
        Self {
            child: child.unwrap(),
            journal,
        }
    }

    /// What it wrote so far, whole lines only.
    fn lines(&self) -> Vec<Value> {
        let text = fs::read_to_string(&self.journal).unwrap();
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        let parse = |line| serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}"));
        whole.lines().map(parse).collect()
    }

    fn of_kind(&self, kind: &str) -> Vec<Value> {
        let mut lines = self.lines();
        lines.retain(|line| line["kind"] == kind);
        lines
    }

    fn said(&self, reason: &str) -> Vec<Value> {
        let mut notices = self.of_kind("notice");
        notices.retain(|notice| notice["reason"] == reason);
        notices
    }

    fn terminate(mut self) -> Vec<Value> {
        let pid = self.child.id().to_string();
        let status = std::process::Command::new("kill").arg(pid).status();
        assert!(status.unwrap().success());
        assert!(self.child.wait().unwrap().success());
        self.lines()
    }
}

impl Drop for Replica {
    fn drop(&mut self) {
        let _gone_already = self.child.kill();
        let _reaped = self.child.wait();
    }
}

pub(crate) fn lease_identity(cluster: &ClusterWorld) -> Value {
    json!({ "apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
            "metadata": { "name": LEASE_NAME, "namespace": cluster.namespace } })
}

pub(crate) fn annotation(cluster: &ClusterWorld, key: &str) -> Option<String> {
    let lease = cluster.kube.get(&lease_identity(cluster))?;
    lease["metadata"]["annotations"][key]
        .as_str()
        .map(str::to_owned)
}

fn is_settled(cluster: &ClusterWorld) -> bool {
    cluster.kube.get(&lease_identity(cluster)).is_some()
        && annotation(cluster, ANNOTATION).is_none()
}

/// Makes the lease as a leader before would have left it.
pub(crate) fn leave(cluster: &ClusterWorld, text: &str) {
    let mut lease = lease_identity(cluster);
    lease["metadata"]["annotations"] = json!({ ANNOTATION: text, "example.org/note": "stays" });
    cluster.apply(lease);
}

/// An Application of Helm values, by HTTP with a named Secret.
struct Shop {
    server: GitHttp,
    repository: BareRepository,
}

fn shop(cluster: &ClusterWorld) -> Shop {
    let world = &cluster.world;
    world.images("acme/shop", &["1.8.2", "1.9.0"]);
    let repository = world.repository("gitops", &[("shop/values.yaml", &values(IMAGE, "1.8.2"))]);
    let server = GitHttp::start(world.git.path(), GitHttpOptions::basic("u", "p"));
    let data = json!({ "username": "u", "password": "p" });
    cluster.secret("git-login", &json!({}), &data);
    let running = format!("{IMAGE}:1.8.2");
    cluster.app(&App {
        annotations: &[
            ("write-back-target", "helmvalues"),
            ("write-back-method", "git:secret:git-login"),
        ],
        repository: server.url("gitops"),
        ..App::helm(
            "shop",
            &format!("{IMAGE}:1.x"),
            &[running.as_str()],
            &repository,
        )
    });
    Shop { server, repository }
}

/// Whether `sealift events verify` finds nothing wrong with collected lines.
#[track_caller]
fn assert_whole(cluster: &ClusterWorld, replica: &str, repository: &BareRepository) {
    let state = cluster.world.path(&format!("{replica}-collected"));
    fs::create_dir_all(state.join("journal")).unwrap();
    let lines = cluster.world.path(&format!("{replica}.jsonl"));
    fs::copy(lines, state.join("journal/00000001.jsonl")).unwrap();
    let output = sealift()
        .args(["events", "verify", "--state-dir"])
        .arg(&state)
        .arg("--repo")
        .arg(repository.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}");
    assert!(said.contains("1 hold"), "{said}");
}

#[test]
fn without_a_state_folder_the_journal_is_standard_output_and_ends_in_order() {
    let Some(cluster) = ClusterWorld::new() else {
        return;
    };
    let shop = shop(&cluster);
    let replica = Replica::start(&cluster, "only", &[]);
    wait("the update", || shop.repository.subjects("main").len() == 2);
    wait("its outcome", || !replica.of_kind("outcome").is_empty());
    wait("the end of the intent", || is_settled(&cluster));
    let lines = replica.terminate();
    assert_eq!(lines[0]["kind"], "started");
    assert_eq!(lines.last().unwrap()["kind"], "stopped");
    let kinds: Vec<&str> = lines
        .iter()
        .filter_map(|line| line["kind"].as_str())
        .filter(|kind| ["intent", "outcome"].contains(kind))
        .collect();
    assert_eq!(kinds, ["intent", "outcome"]);
    let lease = cluster.kube.get(&lease_identity(&cluster)).unwrap();
    assert_eq!(lease["spec"]["holderIdentity"], "", "it was given up");
    assert_whole(&cluster, "only", &shop.repository);
}

/// The intent is on the API server when the push begins; whoever leads next settles it.
#[test]
fn an_intent_is_on_the_lease_before_its_push_and_the_next_leader_settles_it() {
    let Some(cluster) = ClusterWorld::new() else {
        return;
    };
    let shop = shop(&cluster);
    let first = Replica::start(&cluster, "first", &[]);
    let pid = first.child.id().to_string();
    let seen = Arc::new(Mutex::new(None));
    let note = Arc::clone(&seen);
    let (kube, lease) = (cluster.kube, lease_identity(&cluster));
    shop.server.before_push(move || {
        let lease = kube.get(&lease).unwrap_or_default();
        let text = lease["metadata"]["annotations"][ANNOTATION].as_str();
        *note.lock().unwrap() = text.map(str::to_owned);
        let killed = std::process::Command::new("kill")
            .args(["-9", &pid])
            .status();
        assert!(killed.unwrap().success());
    });
    wait("the push", || seen.lock().unwrap().is_some());
    let text = seen.lock().unwrap().clone().unwrap();
    let kept: Value = serde_json::from_str(&text).unwrap();
    let kept = &kept["intents"][0];
    let intent = &first.of_kind("intent")[0];
    for field in ["intent", "repository", "branch", "commits", "writes"] {
        assert_eq!(kept[field], intent[field], "{field}");
    }
    assert_eq!(first.of_kind("outcome"), [Value::Null; 0]);
    drop(first);

    let second = Replica::start(&cluster, "second", &[]);
    let of_it = || {
        // Its own push may go before: the other one can still arrive until then.
        let mut outcomes = second.of_kind("outcome").into_iter();
        outcomes.find(|outcome| outcome["intent"] == intent["intent"])
    };
    wait("the outcome", || of_it().is_some());
    let outcome = of_it().unwrap();
    assert!(
        ["landed", "lost"].contains(&outcome["result"].as_str().unwrap()),
        "{outcome}"
    );
    let said = second.said("intents-taken-over");
    assert_eq!(said.len(), 1);
    assert_eq!(said[0]["detail"], intent["intent"]);
    wait("the update", || {
        shop.repository.show("main", "shop/values.yaml") == values(IMAGE, "1.9.0")
    });
    wait("the end of the intent", || is_settled(&cluster));
    assert_eq!(
        shop.repository.subjects("main").len(),
        2,
        "it is written once"
    );
    let lines = second.terminate();
    let outcomes = lines.iter().filter(|line| line["kind"] == "outcome");
    let named: Vec<&Value> = outcomes.map(|outcome| &outcome["intent"]).collect();
    let different: BTreeSet<String> = named.iter().map(ToString::to_string).collect();
    assert_eq!(named.len(), different.len(), "{named:?}");
}

#[test]
fn an_intent_that_the_api_server_does_not_take_is_not_sent_and_that_is_said() {
    let Some(cluster) = ClusterWorld::new() else {
        return;
    };
    let shop = shop(&cluster);
    cluster.apply(lease_identity(&cluster));
    cluster.forbid("update");
    let replica = Replica::start(&cluster, "only", &["--leader-election=false"]);
    wait("a decision", || !replica.of_kind("considered").is_empty());
    let considered = &replica.of_kind("considered")[0];
    assert_eq!(considered["decision"], "failed", "{considered}");
    let cause = &considered["reasons"][0];
    assert_eq!(cause["reason"], "intent-not-kept");
    let detail = cause["detail"].as_str().unwrap();
    assert!(
        detail.contains("forbids") && detail.contains("nothing was sent"),
        "{detail}"
    );
    let lines = replica.terminate();
    assert!(lines.iter().all(|line| line["kind"] != "intent"));
    assert_eq!(shop.repository.subjects("main").len(), 1);
}

/// A real intent of a patch, as its journal has it, and the Application that it is about.
fn live_shop(cluster: &ClusterWorld) -> (Value, Value) {
    cluster.world.images("acme/shop", &["1.8.2", "1.9.0"]);
    let prefix = "argocd-image-updater.argoproj.io/";
    let application = json!({
        "apiVersion": "argoproj.io/v1alpha1", "kind": "Application",
        "metadata": { "name": "shop", "annotations": {
            format!("{prefix}image-list"): format!("web={IMAGE}:1.x") } },
        "spec": { "project": "default", "source": {
            "repoURL": "https://git.test/r", "path": "shop",
            "kustomize": { "images": [format!("{IMAGE}:1.8.2")] } } },
        "status": { "sourceType": "Kustomize", "summary": { "images": [format!("{IMAGE}:1.8.2")] } },
    });
    cluster.apply(application.clone());
    let ran = cluster.run(&[]);
    assert_eq!(
        ran.decision(&cluster.id("shop")).0,
        "updated",
        "{}",
        ran.stderr
    );
    let intents = events(&cluster.world.path("state"), &["--kind", "intent"]);
    (intents[0].clone(), application)
}

fn document(intent: &Value) -> String {
    let mut kept = intent.clone();
    kept["chain"] = json!(CHAIN.to_string());
    json!({ "version": 1, "intents": [kept] }).to_string()
}

#[test]
fn a_patch_whose_end_nobody_saw_is_landed_lost_or_superseded_by_what_stands_there() {
    let Some(cluster) = ClusterWorld::new() else {
        return;
    };
    let (intent, mut application) = live_shop(&cluster);
    cluster
        .world
        .images("acme/shop", &["1.8.2", "1.8.9", "1.9.0"]);
    for (stands, result) in [
        ("1.9.0", "landed"),
        ("1.8.2", "lost"),
        ("1.8.9", "superseded"),
    ] {
        application["spec"]["source"]["kustomize"]["images"] = json!([format!("{IMAGE}:{stands}")]);
        cluster.apply(application.clone());
        leave(&cluster, &document(&intent));
        let replica = Replica::start(&cluster, result, &["--leader-election=false"]);
        wait(result, || {
            !replica.of_kind("outcome").is_empty() && is_settled(&cluster)
        });
        wait("the update", || {
            let images = &cluster.application("shop")["spec"]["source"]["kustomize"]["images"];
            *images == json!([format!("{IMAGE}:1.9.0")])
        });
        let lines = replica.terminate();
        let outcomes: Vec<&Value> = lines
            .iter()
            .filter(|line| line["kind"] == "outcome")
            .collect();
        assert_eq!(outcomes[0]["intent"], intent["intent"]);
        assert_eq!(outcomes[0]["result"], result, "{outcomes:?}");
        // What did not land is decided anew, and is an intent of its own.
        let own = usize::from(result != "landed");
        assert_eq!(outcomes.len(), 1 + own);
        assert!(outcomes[1..].iter().all(|one| one["result"] == "landed"));
        let lease = cluster.kube.get(&lease_identity(&cluster)).unwrap();
        assert_eq!(
            lease["metadata"]["annotations"]["example.org/note"],
            "stays"
        );
        assert_eq!(
            lease["spec"]["holderIdentity"],
            Value::Null,
            "nobody was elected"
        );
    }
}

#[test]
fn what_cannot_be_read_on_the_lease_stops_nobody_and_is_put_aside() {
    let newer = r#"{"version":2,"intents":{"a":1}}"#;
    let huge = "x".repeat(200_000);
    for (text, aside) in [("{", true), (newer, true), (huge.as_str(), false)] {
        let Some(cluster) = ClusterWorld::new() else {
            return;
        };
        let shop = shop(&cluster);
        leave(&cluster, text);
        let replica = Replica::start(&cluster, "only", &[]);
        wait("the update", || shop.repository.subjects("main").len() == 2);
        wait("the end of the text", || is_settled(&cluster));
        let said = replica.said("intents-unreadable");
        assert_eq!(said.len(), 1, "{said:?}");
        let kept = annotation(&cluster, UNREADABLE_ANNOTATION);
        assert_eq!(kept.as_deref(), aside.then_some(text));
        replica.terminate();
    }
}

#[test]
fn a_forged_intent_causes_a_record_and_no_write() {
    let Some(cluster) = ClusterWorld::new() else {
        return;
    };
    let (real, _) = live_shop(&cluster);
    let before = cluster.application("shop");
    let mut elsewhere = real.clone();
    elsewhere["repository"] = json!("https://attacker.test/r");
    elsewhere["applications"] = json!([cluster.id("shop")]);
    elsewhere["time"] = json!("2020-01-01T00:00:00.000Z");
    let mut evil = real.clone();
    evil["intent"] = json!("i-00000000000000ff");
    evil["writes"][0]["new"] = json!(format!("{IMAGE}:6.6.6"));
    evil["writes"][0]["old"] = json!(format!("{IMAGE}:1.9.0"));
    for one in [&mut elsewhere, &mut evil] {
        one["chain"] = json!(CHAIN.to_string());
    }
    leave(
        &cluster,
        &json!({ "version": 1, "intents": [elsewhere, evil] }).to_string(),
    );
    let replica = Replica::start(&cluster, "only", &["--leader-election=false"]);
    wait("both outcomes", || replica.of_kind("outcome").len() == 2);
    wait("the end of the intents", || is_settled(&cluster));
    let lines = replica.terminate();
    let result = |id: &Value| {
        let mut all = lines.iter().filter(|line| line["kind"] == "outcome");
        all.find(|line| line["intent"] == *id).unwrap()["result"].clone()
    };
    assert_eq!(result(&real["intent"]), "failed");
    assert_eq!(result(&json!("i-00000000000000ff")), "lost");
    assert!(
        lines.iter().all(|line| line["kind"] != "intent"),
        "nothing was to be written"
    );
    let after = cluster.application("shop");
    assert_eq!(
        after["metadata"]["resourceVersion"],
        before["metadata"]["resourceVersion"]
    );
}

/// Kept as another process would have it, with what is changed.
fn kept_json(id: u64, change: impl FnOnce(&mut Intent)) -> Value {
    let mut intent = kept(id).intent;
    change(&mut intent);
    serde_json::to_value(Kept::new(CHAIN, Timestamp::now(), &intent)).unwrap()
}

#[test]
fn two_hundred_forged_intents_hold_up_nothing() {
    let Some(cluster) = ClusterWorld::new() else {
        return;
    };
    let shop = shop(&cluster);
    let forged = |id: u64| {
        kept_json(id, |intent| {
            intent.repository = MaskedUrl::new(&shop.server.url("gitops"));
            // No branch, and a repository that nobody names.
            match id % 2 {
                0 => intent.branch = "a..b".to_owned(),
                _ => intent.repository = MaskedUrl::new("https://attacker.test/r"),
            }
            intent.applications = vec![cluster.id("shop")];
        })
    };
    let all: Vec<Value> = (0..200).map(forged).collect();
    leave(
        &cluster,
        &json!({ "version": 1, "intents": all }).to_string(),
    );
    let replica = Replica::start(&cluster, "only", &["--leader-election=false"]);
    wait("the update", || shop.repository.subjects("main").len() == 2);
    replica.terminate();
}

/// A push of another process that lands after this one has looked.
#[test]
fn a_push_that_is_still_under_way_is_not_called_lost() {
    let Some(cluster) = ClusterWorld::new() else {
        return;
    };
    let shop = shop(&cluster);
    let (path, new) = ("shop/values.yaml", values(IMAGE, "1.9.0"));
    let change = sealift_testkit::git::Change::File(new.as_bytes());
    let expected = shop.repository.head("main").unwrap();
    let commit = shop.repository.commit("main", "Late", &[(path, change)]);
    let stand_at = |commit: &str| {
        let set = ["update-ref", "refs/heads/main", commit];
        shop.repository.git(&set);
    };
    stand_at(&expected);
    // Nothing here has a reason to push meanwhile.
    shop.repository.protect("the other push has not arrived");
    let late = kept_json(1, |intent| {
        intent.repository = MaskedUrl::new(&shop.server.url("gitops"));
        intent.expected = Some(expected.clone());
        intent.commits = vec![commit.clone()];
        intent.applications = vec![cluster.id("shop")];
    });
    let id = late["intent"].clone();
    leave(
        &cluster,
        &json!({ "version": 1, "intents": [late] }).to_string(),
    );
    let replica = Replica::start(&cluster, "only", &["--leader-election=false"]);
    let outcome = || {
        let mut all = replica.of_kind("outcome");
        all.retain(|outcome| outcome["intent"] == id);
        all
    };
    wait("a look", || replica.of_kind("cycle").len() > 2);
    assert_eq!(outcome(), [Value::Null; 0]);
    stand_at(&commit);
    wait("the outcome", || !outcome().is_empty());
    assert_eq!(outcome()[0]["result"], "landed");
    replica.terminate();
}

/// Somebody takes an open intent off the lease while its process still waits to hear of it.
#[test]
fn an_intent_that_somebody_took_off_the_lease_gets_its_outcome() {
    let Some(cluster) = ClusterWorld::new() else {
        return;
    };
    let shop = shop(&cluster);
    let server = Arc::new(shop.server);
    server.set_fault(GitFault::CutAfterPush);
    let hidden = Arc::downgrade(&server);
    server.before_push(move || {
        // This push is carried out; what became of it is not to be seen for now.
        if let Some(server) = hidden.upgrade() {
            server.set_fault(GitFault::Status(500));
        }
    });
    let replica = Replica::start(&cluster, "only", &[]);
    wait("the push", || shop.repository.subjects("main").len() == 2);
    wait("a notice", || !replica.said("git-unreachable").is_empty());
    assert!(annotation(&cluster, ANNOTATION).is_some());
    leave(&cluster, r#"{"version":1,"intents":[]}"#);
    // Until the lease was read again, which a renewal that met another version does.
    let renewed = || {
        let lease = cluster.kube.get(&lease_identity(&cluster)).unwrap();
        lease["spec"]["renewTime"].clone()
    };
    for _ in 0..2 {
        let before = renewed();
        wait("a renewal", || renewed() != before);
    }
    let cycles = replica.of_kind("cycle").len();
    wait("cycles", || replica.of_kind("cycle").len() > cycles + 2);
    server.set_fault(GitFault::None);
    wait("the outcome", || !replica.of_kind("outcome").is_empty());
    let lines = replica.terminate();
    let outcomes = lines.iter().filter(|line| line["kind"] == "outcome");
    let results: Vec<&Value> = outcomes.map(|outcome| &outcome["result"]).collect();
    assert_eq!(results, ["landed"]);
}

#[test]
fn many_repositories_at_once_are_all_written_with_their_intents_on_one_lease() {
    let Some(cluster) = ClusterWorld::new() else {
        return;
    };
    cluster.allow_repository_credentials();
    let world = &cluster.world;
    world.images("acme/shop", &["1.8.2", "1.9.0"]);
    let running = format!("{IMAGE}:1.8.2");
    let repositories: Vec<BareRepository> = (0..20)
        .map(|number| {
            let (name, path) = (format!("app-{number}"), format!("app-{number}/values.yaml"));
            let text = values(IMAGE, "1.8.2");
            let repository = world.repository(&name, &[(path.as_str(), &text)]);
            let (image, running) = (format!("{IMAGE}:1.x"), [running.as_str()]);
            cluster.app(&App::helm(&name, &image, &running, &repository));
            repository
        })
        .collect();
    let replica = Replica::start(&cluster, "only", &["--max-concurrent-apps", "20"]);
    let written = |one: &BareRepository| one.subjects("main").len() == 2;
    wait("all updates", || repositories.iter().all(written));
    wait("all outcomes", || replica.of_kind("outcome").len() == 20);
    wait("the end of the intents", || is_settled(&cluster));
    replica.terminate();
    assert!(repositories.iter().all(written));
}

/// An intent on the lease, as another process would have left it.
pub(crate) fn kept(id: u64) -> Kept {
    let intent = Intent {
        intent: IntentId::from_random(id),
        repository: MaskedUrl::new("https://git.test/r"),
        branch: "main".to_owned(),
        expected: None,
        commits: Vec::new(),
        writes: Vec::new(),
        applications: vec!["argocd/shop".to_owned()],
    };
    Kept::new(CHAIN, Timestamp::now(), &intent)
}
