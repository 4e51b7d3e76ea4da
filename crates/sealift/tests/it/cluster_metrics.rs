//! Metrics at an address of their own: whom the real API server lets read them, and nobody else.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use sealift_testkit::kube::KubeServer;
use serde_json::{Value, json};

use crate::cluster_world::{AUTO, ClusterWorld, of};

const ROLES: &str = include_str!("../../../../deploy/metrics/rbac.yaml");
/// No claim about speed: how long a test waits before it calls something broken.
pub(crate) const PATIENCE: Duration = Duration::from_secs(90);

/// A controller with both addresses; killed when dropped.
pub(crate) struct Running {
    child: Child,
    metrics: SocketAddr,
    probes: SocketAddr,
    log: PathBuf,
}

impl Drop for Running {
    fn drop(&mut self) {
        let _gone_already = self.child.kill();
        let _reaped = self.child.wait();
    }
}

impl Running {
    fn start(cluster: &ClusterWorld, name: &str, more: &[&str]) -> Self {
        let mut command = cluster.command_in("run", name);
        command.args(AUTO).args(["--interval", "1h"]).args(more);
        Self::with(command.env("HOSTNAME", name), &cluster.world.path(name))
    }

    /// Starts it with addresses of its own, and waits until it is ready.
    pub(crate) fn with(command: &mut Command, folder: &Path) -> Self {
        let (metrics, probes) = (free_address(), free_address());
        let log = folder.with_extension("log");
        let child = command
            // The longest log there is: no secret may be in it.
            .args(["--loglevel", "trace"])
            .args(["--health-probe-bind-address", &probes.to_string()])
            .args(["--metrics-bind-address", &metrics.to_string()])
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(&log).unwrap())
            .spawn()
            .unwrap();
        let running = Self {
            child,
            metrics,
            probes,
            log,
        };
        let deadline = Instant::now() + PATIENCE;
        while plain(probes, "/readyz").is_none_or(|text| !text.starts_with("HTTP/1.1 200")) {
            let log = || std::fs::read_to_string(&running.log).unwrap_or_default();
            assert!(Instant::now() < deadline, "not ready:\n{}", log());
            std::thread::sleep(Duration::from_millis(50));
        }
        running
    }

    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap()
    }

    /// Status and body of a request by TLS.
    pub(crate) fn get(&self, path: &str, authorization: Option<&str>) -> (u16, String) {
        let builder = reqwest::Client::builder().tls_danger_accept_invalid_certs(true);
        get(
            builder,
            &format!("https://{}{path}", self.metrics),
            authorization,
        )
        .unwrap()
    }
}

fn free_address() -> SocketAddr {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    listener.local_addr().unwrap()
}

fn get(
    builder: reqwest::ClientBuilder,
    url: &str,
    authorization: Option<&str>,
) -> reqwest::Result<(u16, String)> {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let client = builder.no_proxy().build()?;
        let mut request = client.get(url).timeout(PATIENCE);
        if let Some(value) = authorization {
            request = request.header("authorization", value);
        }
        let answer = request.send().await?;
        Ok((answer.status().as_u16(), answer.text().await?))
    })
}

/// A request without TLS; what came back.
fn plain(address: SocketAddr, path: &str) -> Option<String> {
    let mut stream = TcpStream::connect(address).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let head = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    stream.write_all(head.as_bytes()).ok()?;
    let mut bytes = Vec::new();
    let _cut = stream.read_to_end(&mut bytes);
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

/// Applies what ships for metrics, for this namespace.
pub(crate) fn allow_reviews(cluster: &ClusterWorld) {
    let own = format!("metrics-auth-rolebinding-{}", cluster.namespace);
    let text = of(&cluster.namespace, ROLES).replace("metrics-auth-rolebinding", &own);
    cluster.kube.apply_yaml(&text);
}

/// The same by the roles that are printed where the options of `run` are given.
fn allow_printed_reviews(cluster: &ClusterWorld) {
    let printed = |more: &[&str]| -> Vec<Value> {
        let output = cluster
            .command_in("rbac", "state-of-rbac")
            .args(["--output", "json"])
            .args(more)
            .output()
            .unwrap();
        let list: Value = serde_json::from_slice(&output.stdout).unwrap();
        list["items"].as_array().unwrap().clone()
    };
    let without = printed(&[]);
    let insecure = printed(&["--metrics-bind-address=:8443", "--metrics-secure=false"]);
    assert_eq!(without, insecure);
    let mut more = printed(&["--metrics-bind-address=:8443"]);
    more.retain(|object| !without.contains(object));
    assert_eq!(more.len(), 2, "{more:#?}");
    more[1]["metadata"]["name"] = json!(format!("printed-{}", cluster.namespace));
    more.iter().for_each(|object| {
        cluster.kube.apply(object);
    });
}

/// The token of a ServiceAccount of this name, which may read metrics or not.
pub(crate) fn token(cluster: &ClusterWorld, name: &str, may_read: bool) -> String {
    let namespace = &cluster.namespace;
    cluster.apply(json!({ "apiVersion": "v1", "kind": "ServiceAccount",
                          "metadata": { "name": name } }));
    if may_read {
        cluster.kube.apply(&reader_binding(namespace, name));
    }
    cluster.kube.token(namespace, name)
}

fn reader_binding(namespace: &str, name: &str) -> Value {
    json!({ "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding",
            "metadata": { "name": format!("{name}-{namespace}") },
            "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole",
                         "name": "argocd-image-updater-metrics-reader" },
            "subjects": [{ "kind": "ServiceAccount", "name": name, "namespace": namespace }] })
}

#[test]
fn whoever_may_read_metrics_does_and_everybody_else_is_told_why_not() {
    let Some(cluster) = ClusterWorld::new() else {
        return;
    };
    allow_reviews(&cluster);
    let reader = token(&cluster, "prometheus", true);
    let stranger = token(&cluster, "stranger", false);
    let running = Running::start(&cluster, "state", &[]);
    let bearer = |token: &str| format!("Bearer {token}");

    let (status, text) = running.get("/metrics", Some(&bearer(&reader)));
    assert_eq!(status, 200, "{text}");
    assert!(text.contains("sealift_cycles_total "), "{text}");
    // One letter of the signature; not the last one, of which some bits count for nothing.
    let (signed, signature) = reader.rsplit_once('.').unwrap();
    let letter = if signature.starts_with('A') { "B" } else { "A" };
    let broken = format!("{signed}.{letter}{}", &signature[1..]);
    for (what, value, expected) in [
        ("no token", None, 401),
        ("no bearer", Some("Basic dTpw".to_owned()), 401),
        ("no token of this cluster", Some(bearer("abc")), 401),
        ("a token that was changed", Some(bearer(&broken)), 401),
        ("a token without the right", Some(bearer(&stranger)), 403),
    ] {
        let (status, text) = running.get("/metrics", value.as_deref());
        assert_eq!(status, expected, "{what}: {text}");
        assert!(text.len() < 100 && text.ends_with('\n'), "{what}: {text}");
        assert!(!text.contains("sealift_"), "{what}: {text}");
    }
    for path in ["/", "/healthz", "/metrics/", "/metrics/x", "//metrics"] {
        assert_eq!(running.get(path, Some(&bearer(&reader))).0, 404, "{path}");
    }
    // Elsewhere they are not shown: whoever wants them guarded does not want them open next door.
    let open = plain(running.probes, "/metrics").unwrap();
    assert!(open.starts_with("HTTP/1.1 404"), "{open}");
    let log = running.log();
    for secret in [&reader, &stranger, &broken] {
        assert!(!log.contains(secret.as_str()), "a token is in the log");
        let signature = secret.rsplit('.').next().unwrap();
        assert!(!log.contains(signature), "a signature is in the log");
    }
}

#[test]
fn what_is_not_tls_or_too_slow_is_cut_off_and_others_are_served() {
    let Some(cluster) = ClusterWorld::new() else {
        return;
    };
    // By what `sealift rbac` prints, this time.
    allow_printed_reviews(&cluster);
    cluster
        .kube
        .apply_yaml(ROLES.rsplit("---\n").next().unwrap());
    let reader = token(&cluster, "prometheus", true);
    let running = Running::start(&cluster, "state", &[]);

    let answer = plain(running.metrics, "/metrics").unwrap();
    assert!(!answer.contains("HTTP/1.1 200"), "{answer}");
    assert!(!answer.contains("sealift_"), "{answer}");

    let mut silent = TcpStream::connect(running.metrics).unwrap();
    silent.set_read_timeout(Some(PATIENCE)).unwrap();
    // The beginning of a handshake.
    silent.write_all(&[22, 3, 1, 2, 0, 1]).unwrap();
    let (status, _) = running.get("/metrics", Some(&format!("Bearer {reader}")));
    assert_eq!(status, 200);
    let mut rest = Vec::new();
    // An end or a reset; not the end of our patience.
    if let Err(error) = silent.read_to_end(&mut rest) {
        assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
    }
    assert!(!String::from_utf8_lossy(&rest).contains("HTTP/"));
}

/// The API server's view of roles is a little late, and a no is remembered.
#[track_caller]
fn served_at_last(running: &Running, authorization: &str) {
    let deadline = Instant::now() + PATIENCE;
    while running.get("/metrics", Some(authorization)).0 != 200 {
        assert!(Instant::now() < deadline, "{}", running.log());
        std::thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn without_an_answer_of_the_api_server_nothing_is_shown_until_it_is_back() {
    let Some(kube) = KubeServer::start() else {
        return;
    };
    let kube: &'static KubeServer = Box::leak(Box::new(kube));
    let cluster = ClusterWorld::on(kube);
    cluster.define_policies();
    // Who may read is there before our right to ask about it.
    kube.apply_yaml(ROLES.rsplit("---\n").next().unwrap());
    let reader = token(&cluster, "prometheus", true);
    let running = Running::start(&cluster, "state", &[]);
    let bearer = format!("Bearer {reader}");

    // We may not ask.
    let (status, text) = running.get("/metrics", Some(&bearer));
    assert_eq!(status, 500, "{text}");
    assert!(running.log().contains("metrics-review-failed"));
    assert!(!text.contains("sealift_"), "{text}");
    allow_reviews(&cluster);
    served_at_last(&running, &bearer);

    // There is nobody to ask: the answer from before counts for its time, and there is no other.
    let other = token(&cluster, "second", true);
    kube.stop_api();
    assert_eq!(running.get("/metrics", Some(&bearer)).0, 200);
    let (status, text) = running.get("/metrics", Some(&format!("Bearer {other}")));
    assert_eq!(status, 503, "{text}");
    assert!(!text.contains("sealift_"), "{text}");
    kube.start_api();
    served_at_last(&running, &format!("Bearer {other}"));
    assert!(!running.log().contains(&reader));
    kube.stop_api();
}

/// A certificate and its key, as a Secret of type `kubernetes.io/tls` is mounted.
fn certificate(folder: &Path, name: &str) -> String {
    let pair = rcgen::KeyPair::generate().unwrap();
    let params = rcgen::CertificateParams::new([name.to_owned()]).unwrap();
    let certificate = params.self_signed(&pair).unwrap().pem();
    std::fs::write(folder.join("tls.crt"), &certificate).unwrap();
    std::fs::write(folder.join("tls.key"), pair.serialize_pem()).unwrap();
    certificate
}

#[test]
fn a_replica_that_waits_serves_too_with_the_certificate_of_its_folder() {
    let Some(cluster) = ClusterWorld::new() else {
        return;
    };
    allow_reviews(&cluster);
    let bearer = format!("Bearer {}", token(&cluster, "prometheus", true));
    let folder = cluster.world.path("certificate");
    std::fs::create_dir_all(&folder).unwrap();
    let ca = certificate(&folder, "metrics.test");
    let first = Running::start(&cluster, "first", &[]);
    let deadline = Instant::now() + PATIENCE;
    let leads = |text: &str| text.contains("sealift_cycles_total 1");
    while !leads(&first.get("/metrics", Some(&bearer)).1) {
        assert!(Instant::now() < deadline, "{}", first.log());
        std::thread::sleep(Duration::from_millis(50));
    }
    let path = folder.to_str().unwrap().to_owned();
    let second = Running::start(&cluster, "second", &["--metrics-cert-path", &path]);
    // Verified, this time: by its name and its authority.
    let verified = || {
        let ca = reqwest::Certificate::from_pem(ca.as_bytes()).unwrap();
        reqwest::Client::builder().tls_certs_only([ca])
    };
    let port = second.metrics.port();
    let url = format!("https://metrics.test:{port}/metrics");
    let builder = verified().resolve("metrics.test", second.metrics);
    let (status, text) = get(builder, &url, Some(&bearer)).unwrap();
    assert_eq!(status, 200, "{text}");
    // It has looked at nothing, because the other one leads.
    assert!(text.contains("sealift_cycles_total 0"), "{text}");
    // Nobody who does not know it is talked into it.
    let first_port = first.metrics.port();
    let url = format!("https://metrics.test:{first_port}/metrics");
    let builder = verified().resolve("metrics.test", first.metrics);
    assert!(get(builder, &url, Some(&bearer)).is_err());
}

#[test]
fn plain_metrics_are_for_everybody_where_that_is_said() {
    let Some(cluster) = ClusterWorld::new() else {
        return;
    };
    let running = Running::start(&cluster, "state", &["--metrics-secure=false"]);
    let text = plain(running.metrics, "/metrics").unwrap();
    assert!(text.starts_with("HTTP/1.1 200"), "{text}");
    assert!(text.contains("sealift_cycles_total "), "{text}");
    let text = plain(running.metrics, "/healthz").unwrap();
    assert!(text.starts_with("HTTP/1.1 404"), "{text}");
}
