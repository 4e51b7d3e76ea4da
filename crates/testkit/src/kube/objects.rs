//! What an administrator does: reading, applying and deleting objects.

use std::time::{Duration, Instant};

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use serde_json::{Value, json};

use super::{Answer, KubeServer};

/// How long an API may take to be served after its definition was accepted.
const SERVED_TIMEOUT: Duration = Duration::from_secs(30);
/// How long one request may take.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);
/// Objects that are created at once: etcd writes them in one batch.
const CREATED_AT_ONCE: usize = 64;
const APPLY: &str = "application/apply-patch+yaml";
const JSON: &str = "application/json";
/// Kinds that live in no namespace.
const CLUSTER_KINDS: &[&str] = &[
    "Namespace",
    "ClusterRole",
    "ClusterRoleBinding",
    "CustomResourceDefinition",
    "ClusterPromotionPolicy",
];

impl KubeServer {
    /// One request as the administrator.
    ///
    /// # Panics
    /// There is no answer.
    #[track_caller]
    pub fn request(&self, method: &str, path: &str, body: Option<&Value>) -> Answer {
        self.send(method, path, JSON, body).expect("an answer")
    }

    /// One request that may stay without an answer.
    pub(super) fn try_request(
        &self,
        method: &str,
        path: &str,
        body: Option<&Value>,
    ) -> Option<Answer> {
        self.send(method, path, JSON, body).ok()
    }

    /// Applies an object, whoever else manages it, and waits until a new API is served.
    ///
    /// # Panics
    /// The server refuses it.
    #[track_caller]
    pub fn apply(&self, object: &Value) -> Value {
        let path = format!("{}?fieldManager=test&force=true", path_of(object));
        let answer = self.send("PATCH", &path, APPLY, Some(object));
        let applied = answer.expect("an answer").ok();
        if object["kind"] == "CustomResourceDefinition" {
            self.await_served(object);
        }
        applied
    }

    /// Applies every document of a YAML text.
    ///
    /// # Panics
    /// It is no YAML, or the server refuses an object.
    #[track_caller]
    pub fn apply_yaml(&self, text: &str) {
        let documents: Vec<Value> = serde_saphyr::from_multiple(text).expect("YAML");
        for document in documents.iter().filter(|document| document.is_object()) {
            self.apply(document);
        }
    }

    /// Creates many objects that are not there yet, many at once.
    ///
    /// # Panics
    /// The server refuses one.
    pub async fn create_all(&self, objects: &[Value]) {
        let client = self.client().expect("a client");
        let all = objects.iter().map(|object| self.create(&client, object));
        let done = stream::iter(all).buffer_unordered(CREATED_AT_ONCE);
        done.try_collect::<()>().await.expect("answers");
    }

    async fn create(&self, client: &reqwest::Client, object: &Value) -> Result<(), reqwest::Error> {
        let path = path_of(object);
        let (collection, _) = path.rsplit_once('/').expect("a path of an object");
        let request = client.post(format!("{}{collection}?fieldManager=test", self.url()));
        let request = request
            .bearer_auth(&self.admin)
            .header("content-type", JSON);
        let response = request.body(object.to_string()).send().await?;
        let status = response.status();
        let text = response.text().await?;
        assert!(status.is_success(), "{status}: {text}");
        Ok(())
    }

    /// Makes a namespace.
    #[track_caller]
    pub fn namespace(&self, name: &str) {
        self.apply(&json!({ "apiVersion": "v1", "kind": "Namespace",
                            "metadata": { "name": name } }));
    }

    /// Reads an object like `object`, of which type and name are looked at.
    #[must_use]
    pub fn get(&self, object: &Value) -> Option<Value> {
        let answer = self.request("GET", &path_of(object), None);
        (answer.status != 404).then(|| answer.ok())
    }

    /// Deletes an object like `object`.
    pub fn delete(&self, object: &Value) {
        let answer = self.request("DELETE", &path_of(object), None);
        assert!(answer.status == 404 || answer.status < 300, "{answer:?}");
    }

    fn await_served(&self, definition: &Value) {
        let spec = &definition["spec"];
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let (group, plural) = (text(&spec["group"]), text(&spec["names"]["plural"]));
        let version = text(&spec["versions"][0]["name"]);
        let path = format!("/apis/{group}/{version}/{plural}");
        let deadline = Instant::now() + SERVED_TIMEOUT;
        while self.request("GET", &path, None).status != 200 {
            assert!(Instant::now() < deadline, "`{path}` is not served");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn client(&self) -> Result<reqwest::Client, reqwest::Error> {
        let ca = reqwest::Certificate::from_pem(self.ca_pem.as_bytes())?;
        let client = reqwest::Client::builder().no_proxy().tls_certs_only([ca]);
        client.timeout(REQUEST_TIMEOUT).build()
    }

    /// On a thread of its own, so that it can be called from asynchronous tests, too.
    fn send(
        &self,
        method: &str,
        path: &str,
        content_type: &str,
        body: Option<&Value>,
    ) -> Result<Answer, reqwest::Error> {
        let ask = async {
            let client = self.client()?;
            let method = method.parse().expect("a method");
            let mut request = client
                .request(method, format!("{}{path}", self.url()))
                .bearer_auth(&self.admin)
                .header("content-type", content_type);
            if let Some(body) = body {
                request = request.body(body.to_string());
            }
            let response = request.send().await?;
            let status = response.status().as_u16();
            let bytes = response.bytes().await?;
            let body = serde_json::from_slice(&bytes).unwrap_or_default();
            Ok(Answer { status, body })
        };
        std::thread::scope(|scope| {
            let thread = scope.spawn(|| {
                tokio::runtime::Builder::new_current_thread()
                    .enable_all()
                    .build()
                    .expect("a runtime")
                    .block_on(ask)
            });
            thread.join().expect("the request does not panic")
        })
    }
}

/// The path of an object.
fn path_of(object: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let (version, kind) = (text(&object["apiVersion"]), text(&object["kind"]));
    let metadata = &object["metadata"];
    let (name, namespace) = (text(&metadata["name"]), text(&metadata["namespace"]));
    let root = if version.contains('/') { "apis" } else { "api" };
    let plural = plural(&kind);
    if CLUSTER_KINDS.contains(&kind.as_str()) {
        return format!("/{root}/{version}/{plural}/{name}");
    }
    assert!(!namespace.is_empty(), "{kind} `{name}` names no namespace");
    format!("/{root}/{version}/namespaces/{namespace}/{plural}/{name}")
}

fn plural(kind: &str) -> String {
    let lower = kind.to_lowercase();
    match lower.strip_suffix('y') {
        Some(stem) => format!("{stem}ies"),
        None => format!("{lower}s"),
    }
}
