//! The real `kube-apiserver` and `etcd` on loopback, with RBAC, tokens and certificates of their
//! own.
//!
//! Here: starting them, and what an administrator does to set a test's world up. Not here: anything
//! that runs under test, which gets the token of a ServiceAccount and what its roles allow, never
//! the administrator's. No kubelet and no controllers run: objects are stored and served, nothing
//! acts on them.

mod audit;
pub mod binaries;
mod crds;
mod objects;
mod process;

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use serde_json::{Value, json};

use audit::Audit;
use binaries::Binaries;
use process::Process;

/// How long etcd and the API server may take to be ready, together. Four seconds are usual.
const START_TIMEOUT: Duration = Duration::from_secs(120);

/// A running API server with its store; both end when dropped, or when this process does.
#[derive(Debug)]
pub struct KubeServer {
    address: SocketAddr,
    etcd_address: SocketAddr,
    ca_pem: String,
    admin: String,
    binaries: Binaries,
    audit: Option<Audit>,
    api: Mutex<Option<Process>>,
    /// Ends after the API server, and takes the folder with it.
    _etcd: Process,
    folder: PathBuf,
}

/// An answer of the API server.
#[derive(Debug, Clone)]
pub struct Answer {
    /// Status.
    pub status: u16,
    /// Body; `null` where it is no JSON.
    pub body: Value,
}

impl Answer {
    /// The body of a success.
    ///
    /// # Panics
    /// On any other answer.
    #[track_caller]
    #[expect(clippy::must_use_candidate, reason = "often only the success matters")]
    pub fn ok(self) -> Value {
        assert!(
            (200..300).contains(&self.status),
            "{}: {}",
            self.status,
            self.body["message"]
        );
        self.body
    }
}

impl KubeServer {
    /// Starts a server of its own, or says on standard error that the test does not run and why.
    ///
    /// # Panics
    /// The binaries are there and the server does not start; or they are not, in continuous
    /// integration (`CI` is set), where a test that does not run is a failure.
    #[must_use]
    #[expect(clippy::print_stderr, reason = "a test that does not run must say so")]
    pub fn start() -> Option<Self> {
        match binaries::find_or_build() {
            Ok(binaries) => Some(Self::launch(binaries, None)),
            Err(why) => {
                assert!(std::env::var_os("CI").is_none(), "no API server: {why}");
                eprintln!("this test did not run: {why}");
                None
            }
        }
    }

    /// Starts a server of its own that counts what `user` asks of it.
    ///
    /// # Errors
    /// Why there are no binaries: in words, for people.
    ///
    /// # Panics
    /// The binaries are there and the server does not start.
    pub fn start_counting(user: &str) -> Result<Self, String> {
        Ok(Self::launch(binaries::find_or_build()?, Some(user)))
    }

    /// What the user of [`KubeServer::start_counting`] asked since the last call, by verb and
    /// resource.
    #[must_use]
    pub fn take_counts(&self) -> BTreeMap<String, u64> {
        self.audit.as_ref().map(Audit::take).unwrap_or_default()
    }

    /// The server that the tests of one program share. They keep apart by namespace.
    #[must_use]
    pub fn shared() -> Option<&'static Self> {
        static SHARED: OnceLock<Option<KubeServer>> = OnceLock::new();
        SHARED.get_or_init(Self::start).as_ref()
    }

    fn launch(binaries: Binaries, counted: Option<&str>) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder").keep();
        let (etcd_address, etcd) = start_etcd(&binaries, &folder);
        let ca_pem = write_certificates(&folder);
        let admin = format!("admin-{:032x}", rand::random::<u128>());
        let tokens = format!("{admin},admin,admin,system:masters\n");
        fs::write(folder.join("tokens.csv"), tokens).expect("tokens.csv");
        let server = Self {
            address: process::free_address(),
            etcd_address,
            ca_pem,
            admin,
            binaries,
            audit: counted.map(|user| Audit::new(&folder, user)),
            api: Mutex::new(None),
            _etcd: etcd,
            folder,
        };
        server.start_api();
        for crd in crds::argocd() {
            server.apply(&crd);
        }
        server
    }

    /// Ends the API server, as a node that goes away does. The store stays.
    pub fn stop_api(&self) {
        *self.api.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Starts the API server on the same address and store.
    ///
    /// # Panics
    /// It does not start.
    pub fn start_api(&self) {
        let file = |name: &str| self.folder.join(name).display().to_string();
        let mut arguments = vec![
            format!("--etcd-servers=http://{}", self.etcd_address),
            "--bind-address=127.0.0.1".to_owned(),
            "--advertise-address=127.0.0.1".to_owned(),
            "--endpoint-reconciler-type=none".to_owned(),
            format!("--secure-port={}", self.address.port()),
            format!("--tls-cert-file={}", file("server.pem")),
            format!("--tls-private-key-file={}", file("server.key")),
            format!("--cert-dir={}", file("certs")),
            format!("--token-auth-file={}", file("tokens.csv")),
            "--authorization-mode=RBAC".to_owned(),
            "--service-account-issuer=https://kubernetes.default.svc".to_owned(),
            format!("--service-account-key-file={}", file("accounts.pub")),
            format!(
                "--service-account-signing-key-file={}",
                file("accounts.key")
            ),
            "--service-cluster-ip-range=10.0.0.0/24".to_owned(),
            // Nothing here makes the `default` ServiceAccount that this plugin asks of Pods.
            "--disable-admission-plugins=ServiceAccount".to_owned(),
        ];
        arguments.extend(self.audit.iter().flat_map(Audit::arguments));
        let log = self.folder.join("kube-apiserver.log");
        let process = Process::start(&self.binaries.kube_apiserver, &arguments, &log, None);
        let deadline = Instant::now() + START_TIMEOUT;
        while self
            .try_request("GET", "/readyz", None)
            .map(|answer| answer.status)
            != Some(200)
        {
            assert!(
                Instant::now() < deadline && !process.has_ended(),
                "kube-apiserver is not ready:\n{}",
                tail(&log)
            );
            std::thread::sleep(Duration::from_millis(100));
        }
        *self.api.lock().unwrap_or_else(PoisonError::into_inner) = Some(process);
    }

    /// `https://127.0.0.1:PORT`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("https://{}", self.address)
    }

    /// Process id of the API server while it runs.
    #[must_use]
    pub fn api_pid(&self) -> Option<u32> {
        let api = self.api.lock().unwrap_or_else(PoisonError::into_inner);
        api.as_ref().map(Process::pid)
    }

    /// The authority that signed the server's certificate.
    #[must_use]
    pub fn ca_pem(&self) -> &str {
        &self.ca_pem
    }

    /// A kubeconfig for whoever holds `token`, in `namespace`.
    #[must_use]
    pub fn kubeconfig(&self, token: &str, namespace: &str) -> String {
        use base64::Engine as _;
        let ca = base64::engine::general_purpose::STANDARD.encode(&self.ca_pem);
        let config = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "test",
            "clusters": [{ "name": "test", "cluster": {
                "server": self.url(), "certificate-authority-data": ca } }],
            "users": [{ "name": "test", "user": { "token": token } }],
            "contexts": [{ "name": "test", "context": {
                "cluster": "test", "user": "test", "namespace": namespace } }],
        });
        config.to_string()
    }

    /// A kubeconfig of the administrator, for what a person does with `kubectl`.
    #[must_use]
    pub fn admin_kubeconfig(&self, namespace: &str) -> String {
        self.kubeconfig(&self.admin, namespace)
    }

    /// A real token of a ServiceAccount.
    #[must_use]
    #[track_caller]
    pub fn token(&self, namespace: &str, account: &str) -> String {
        let path = format!("/api/v1/namespaces/{namespace}/serviceaccounts/{account}/token");
        let request = json!({ "apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest",
                              "spec": { "expirationSeconds": 3600 } });
        let answer = self.request("POST", &path, Some(&request)).ok();
        answer["status"]["token"]
            .as_str()
            .expect("a token")
            .to_owned()
    }
}

fn start_etcd(binaries: &Binaries, folder: &std::path::Path) -> (SocketAddr, Process) {
    let log = folder.join("etcd.log");
    // The ports are free when they are chosen and may be taken before they are bound.
    for _ in 0..10 {
        let (client, peer) = (process::free_address(), process::free_address());
        let arguments = [
            format!("--data-dir={}", folder.join("etcd").display()),
            format!("--listen-client-urls=http://{client}"),
            format!("--advertise-client-urls=http://{client}"),
            format!("--listen-peer-urls=http://{peer}"),
            format!("--initial-advertise-peer-urls=http://{peer}"),
            format!("--initial-cluster=default=http://{peer}"),
        ];
        let etcd = Process::start(&binaries.etcd, &arguments, &log, Some(folder));
        if etcd.listens(client, START_TIMEOUT) {
            return (client, etcd);
        }
        let text = tail(&log);
        assert!(
            text.contains("address already in use"),
            "etcd did not start:\n{text}"
        );
        drop(etcd);
        fs::create_dir_all(folder).expect("the folder again");
    }
    panic!("no port for etcd stays free");
}

/// The end of a log, for messages.
fn tail(log: &std::path::Path) -> String {
    let text = fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().rev().take(20).collect();
    lines.into_iter().rev().collect::<Vec<_>>().join("\n")
}

/// A CA, the server's certificate, and the key that signs tokens of ServiceAccounts.
fn write_certificates(folder: &std::path::Path) -> String {
    let ca_key = KeyPair::generate().expect("CA key");
    let mut ca = CertificateParams::new(Vec::new()).expect("CA parameters");
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca_pem = ca.self_signed(&ca_key).expect("CA certificate").pem();
    let issuer = Issuer::new(ca, ca_key);
    let key = KeyPair::generate().expect("server key");
    let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
    let server = CertificateParams::new(names).expect("server parameters");
    let certificate = server.signed_by(&key, &issuer).expect("certificate");
    let accounts = KeyPair::generate().expect("key of ServiceAccounts");
    for (name, text) in [
        ("server.pem", certificate.pem()),
        ("server.key", key.serialize_pem()),
        ("accounts.key", accounts.serialize_pem()),
        ("accounts.pub", accounts.public_key_pem()),
    ] {
        fs::write(folder.join(name), text).expect("a PEM file");
    }
    ca_pem
}
