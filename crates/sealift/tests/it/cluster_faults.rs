//! An API server that lies, throttles and forgets: pages that end, `410`, `429`, watches that
//! break. Scripted, because a real one does none of this on request.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use sealift::cluster::config::Configuration;
use sealift::cluster::{Cluster, Namespaces};
use sealift::objects::Objects as _;
use serde_json::{Value, json};

/// One answer about Applications. Everything else is unknown to this server.
type Answer = (u16, Value);

#[derive(Default)]
struct Script {
    answers: VecDeque<Answer>,
    asked: Vec<String>,
}

type Shared = Arc<Mutex<Script>>;

async fn answer(State(script): State<Shared>, request: Request) -> Response {
    let uri = request.uri().to_string();
    let respond = |status: u16, body: Value| {
        let response = Response::builder()
            .status(status)
            .header("content-type", "application/json");
        response.body(Body::from(body.to_string() + "\n")).unwrap()
    };
    if !uri.contains("/applications") {
        return respond(404, status(404, "not found"));
    }
    let next = {
        let mut script = script.lock().unwrap();
        script.asked.push(uri.clone());
        script.answers.pop_front()
    };
    match next {
        Some((code, body)) => respond(code, body),
        // The end of the script: a watch on which nothing happens.
        None => std::future::pending().await,
    }
}

fn status(code: u16, message: &str) -> Value {
    json!({ "kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code,
            "message": message, "reason": "Test" })
}

fn application(name: &str, version: &str) -> Value {
    json!({ "metadata": { "name": name, "namespace": "argocd", "resourceVersion": version },
            "spec": { "source": { "repoURL": "r" } } })
}

fn page(names: &[&str], next: &str) -> Answer {
    let items: Vec<Value> = names.iter().map(|name| application(name, "5")).collect();
    let metadata = json!({ "resourceVersion": "9", "continue": next });
    let list = json!({ "kind": "ApplicationList", "apiVersion": "argoproj.io/v1alpha1",
                       "metadata": metadata, "items": items });
    (200, list)
}

fn event(kind: &str, object: Value) -> Answer {
    let mut object = object;
    if kind != "ERROR" {
        object["kind"] = json!("Application");
        object["apiVersion"] = json!("argoproj.io/v1alpha1");
    }
    (200, json!({ "type": kind, "object": object }))
}

/// Runs the script until the Applications are these. Comes back with what was asked.
async fn ends_with(answers: Vec<Answer>, names: &[&str]) -> Vec<String> {
    let script: Shared = Arc::default();
    script.lock().unwrap().answers = answers.into();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = Router::new()
        .fallback(answer)
        .with_state(Arc::clone(&script));
    let server = tokio::spawn(async move { axum::serve(listener, router).await });
    let folder = tempfile::tempdir().unwrap();
    let kubeconfig = folder.path().join("kubeconfig");
    let config = json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "c",
        "clusters": [{ "name": "c", "cluster": { "server": format!("http://{address}") } }],
        "users": [{ "name": "c", "user": {} }],
        "contexts": [{ "name": "c", "context": { "cluster": "c", "user": "c" } }] });
    std::fs::write(&kubeconfig, config.to_string()).unwrap();
    let namespaces = Namespaces::parse("argocd", "argocd");
    let configuration = Configuration::File(kubeconfig);
    let cluster = Cluster::watch(&configuration, &namespaces, "argocd")
        .await
        .unwrap();
    let cluster = Arc::new(cluster);
    let deadline = Instant::now() + Duration::from_secs(90);
    loop {
        let view = cluster.view(Vec::new());
        let known = view.take_applications().await.map(|applications| {
            let listed = applications.listed.into_iter();
            listed
                .map(|one| one.manifest.metadata.name.clone())
                .collect::<Vec<_>>()
        });
        let done = script.lock().unwrap().answers.is_empty();
        if done && known.as_ref().is_ok_and(|known| known == names) {
            break;
        }
        assert!(
            Instant::now() < deadline,
            "{known:?} after {:?}",
            script.lock().unwrap().asked
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    server.abort();
    std::mem::take(&mut script.lock().unwrap().asked)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_is_read_by_pages_and_its_watch_goes_on_from_there() {
    let asked = ends_with(
        vec![
            page(&["a", "b"], "more"),
            page(&["c"], ""),
            event("DELETED", application("b", "10")),
        ],
        &["a", "c"],
    )
    .await;
    assert!(
        asked[0].contains("limit=500") && asked[1].contains("continue=more"),
        "{asked:?}"
    );
    assert!(
        asked[2].contains("watch=true") && asked[2].contains("resourceVersion=9"),
        "{asked:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_has_expired_begins_the_list_anew() {
    let gone = (410, status(410, "the continue token is too old"));
    ends_with(
        vec![
            page(&["a", "gone-meanwhile"], "more"),
            gone,
            page(&["a", "b"], ""),
        ],
        &["a", "b"],
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_that_the_server_has_forgotten_begins_anew_and_what_vanished_is_gone() {
    let gone = event("ERROR", status(410, "too old resource version"));
    ends_with(vec![page(&["a", "b"], ""), gone, page(&["b"], "")], &["b"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn throttling_faults_and_nonsense_are_waited_out() {
    let throttled = (429, status(429, "too many requests"));
    let nonsense = (200, json!({ "items": "none" }));
    let unavailable = (503, status(503, "starting"));
    ends_with(
        vec![
            throttled.clone(),
            nonsense,
            unavailable,
            page(&["a"], ""),
            throttled,
            page(&["a", "b"], ""),
        ],
        &["a", "b"],
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_that_cannot_be_read_is_a_problem_of_its_own() {
    let mut broken = page(&["a", "b"], "");
    broken.1["items"][1]["spec"]["source"] = json!("text");
    ends_with(vec![broken], &["a"]).await;
}
