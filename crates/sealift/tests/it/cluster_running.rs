//! A controller while it runs, and the objects that it follows: what the tests of
//! `cluster_objects` and `cluster_release` share.

use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Stdio};
use std::sync::{Arc, Condvar, Mutex};

use serde_json::{Value, json};

use crate::cluster_world::ClusterWorld;

pub(crate) const IMAGE: &str = "registry.test/acme/shop";
pub(crate) const FINALIZER: &str = "resources-finalizer.argocd-image-updater.argoproj.io";

/// A replica with a log and metrics; killed when dropped.
pub(crate) struct Running {
    child: Child,
    log: std::path::PathBuf,
    port: u16,
}

impl Running {
    pub(crate) fn start(cluster: &ClusterWorld, more: &[&str]) -> Self {
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = free.local_addr().unwrap().port();
        drop(free);
        let log = cluster.world.path("log");
        let child = cluster
            .command("run")
            .args(["--health-probe-bind-address", &format!("127.0.0.1:{port}")])
            .args(more)
            .stdout(Stdio::null())
            .stderr(File::create(&log).unwrap())
            .spawn();
        Self {
            child: child.unwrap(),
            log,
            port,
        }
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap()
    }

    pub(crate) fn cycles(&self) -> usize {
        self.log().matches("Processing results").count()
    }

    pub(crate) fn get(&self, path: &str) -> Option<String> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).ok()?;
        let ask = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        stream.write_all(ask.as_bytes()).ok()?;
        let mut text = String::new();
        stream.read_to_string(&mut text).ok()?;
        Some(text)
    }

    /// The values of the peer's series of an ImageUpdater, by name.
    pub(crate) fn series(&self, name: &str) -> Vec<(String, String)> {
        let text = self.get("/metrics").unwrap_or_default();
        let label = format!("image_updater_cr_name=\"{name}\"");
        let lines = text.lines().filter(|line| line.contains(&label));
        let pairs = lines.filter_map(|line| {
            let (series, value) = line.split_once("} ")?;
            let (name, _) = series.split_once('{')?;
            Some((name.to_owned(), value.to_owned()))
        });
        pairs.collect()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _gone_already = self.child.kill();
        let _reaped = self.child.wait();
    }
}

/// A registry that answers nobody until it is opened, and then that it knows nothing: a cycle that
/// asks it stands still as long as a test wants.
pub(crate) struct Gate {
    address: String,
    open: Arc<(Mutex<bool>, Condvar)>,
}

impl Gate {
    /// Stands for the registry `slow.test`.
    pub(crate) fn start(cluster: &ClusterWorld) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let gate = Self {
            address: listener.local_addr().unwrap().to_string(),
            open: Arc::default(),
        };
        let open = Arc::clone(&gate.open);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let open = Arc::clone(&open);
                std::thread::spawn(move || Self::answer(stream, &open));
            }
        });
        let path = cluster.world.path("registries.conf");
        let mut conf = fs::read_to_string(&path).unwrap();
        conf.push_str(&format!(
            "- name: slow\n  prefix: slow.test\n  api_url: http://{}\n",
            gate.address
        ));
        fs::write(path, conf).unwrap();
        gate
    }

    fn answer(mut stream: TcpStream, (open, opened): &(Mutex<bool>, Condvar)) {
        let mut head = [0; 4096];
        while stream.read(&mut head).is_ok_and(|bytes| bytes > 0) {
            let guard = open.lock().unwrap();
            drop(opened.wait_while(guard, |open| !*open).unwrap());
            let answer = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n";
            if stream.write_all(answer).is_err() {
                return;
            }
        }
    }

    pub(crate) fn open(&self) {
        *self.open.0.lock().unwrap() = true;
        self.open.1.notify_all();
    }
}

/// An object that asks the annotations of what it selects.
pub(crate) fn updater(cluster: &ClusterWorld, name: &str, patterns: &[&str]) -> Value {
    updater_with(cluster, name, patterns, &[])
}

pub(crate) fn updater_with(
    cluster: &ClusterWorld,
    name: &str,
    patterns: &[&str],
    finalizers: &[&str],
) -> Value {
    let references = patterns
        .iter()
        .map(|pattern| json!({ "namePattern": pattern, "useAnnotations": true }));
    let references: Vec<Value> = references.collect();
    cluster.apply(json!({
        "apiVersion": "argocd-image-updater.argoproj.io/v1alpha1", "kind": "ImageUpdater",
        "metadata": { "name": name, "finalizers": finalizers },
        "spec": { "applicationRefs": references },
    }))
}

/// An Application that is written itself, and runs 1.8.2 of `image`.
pub(crate) fn live(cluster: &ClusterWorld, name: &str, image: &str, constraint: &str) {
    let prefix = "argocd-image-updater.argoproj.io/";
    cluster.apply(json!({
        "apiVersion": "argoproj.io/v1alpha1", "kind": "Application",
        "metadata": { "name": name, "annotations": {
            format!("{prefix}image-list"): format!("web={image}:{constraint}") } },
        "spec": { "project": "default", "source": { "repoURL": "https://git.test/r", "path": name,
            "helm": { "parameters": [{ "name": "image.tag", "value": "1.8.2" }] } } },
        "status": { "sourceType": "Helm", "summary": { "images": [format!("{image}:1.8.2")] } },
    }));
}

pub(crate) fn tag_of(cluster: &ClusterWorld, name: &str) -> Value {
    let application = cluster.application(name);
    let parameters = application["spec"]["source"]["helm"]["parameters"].clone();
    let all = parameters.as_array().unwrap();
    let tag = all.iter().find(|one| one["name"] == "image.tag").unwrap();
    tag["value"].clone()
}

pub(crate) fn cluster() -> Option<ClusterWorld> {
    let cluster = ClusterWorld::new()?;
    cluster
        .world
        .images("acme/shop", &["1.8.2", "1.9.0", "2.0.0"]);
    Some(cluster)
}

pub(crate) fn is_there(cluster: &ClusterWorld, object: &Value) -> bool {
    cluster.kube.get(object).is_some()
}

pub(crate) fn finalizers(cluster: &ClusterWorld, object: &Value) -> Vec<String> {
    let object = cluster.kube.get(object).unwrap_or_default();
    let finalizers = object["metadata"]["finalizers"].as_array();
    let finalizers = finalizers.into_iter().flatten().filter_map(Value::as_str);
    finalizers.map(str::to_owned).collect()
}
