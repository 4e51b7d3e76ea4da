//! A private Sigstore of real servers on loopback: Fulcio, Rekor v2 and a timestamp authority, and
//! the real `cosign` 3 and 2 to sign with. `cargo xtask test` builds the programs from `tools/`.
//!
//! Ours are only the keys ([`keys`]), the issuer of identity tokens ([`issuer`]) and a log of
//! certificates that keeps nothing ([`ct_log`]): nothing here signs an image.

mod cosign;
mod ct_log;
mod issuer;
mod keys;
mod loopback;
mod process;
mod servers;

use std::ffi::OsString;
use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::PathBuf;

use serde_json::{Value, json};

pub use cosign::{Cosign, Said};
pub use issuer::{EMAIL_ISSUER, GITHUB_ISSUER, Workflow};

use ct_log::CtLog;
use issuer::TokenIssuer;
use keys::Keys;
use process::{Server, free_address};

/// Names the folders that hold the programs, separated as in `PATH`. `cargo xtask` sets it.
pub const VARIABLE: &str = "SEALIFT_TOOLS";
/// The name of the log, in its checkpoints and in the trust root. Nothing dials it: a verifier
/// reads the origin from the URL in the trust root, a signer dials the one of the signing
/// configuration.
const LOG: &str = "rekor.acme.test";
/// Before everything that is signed here.
const START: &str = "2024-01-01T00:00:00Z";

/// The programs that `cargo xtask` built.
#[derive(Debug, Clone)]
pub struct Tools {
    folders: OsString,
}

impl Tools {
    /// The programs that the environment names; `None`: nobody built any.
    #[must_use]
    pub fn from_environment() -> Option<Self> {
        let folders = std::env::var_os(VARIABLE)?;
        Some(Self { folders })
    }

    /// Where the program `name` of `tools/name` lies.
    ///
    /// # Panics
    /// Where none of the folders holds it.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        let mut paths = std::env::split_paths(&self.folders).map(|folder| folder.join(name));
        let found = paths.find(|path| path.is_file());
        found.unwrap_or_else(|| panic!("`{VARIABLE}` names no folder with `{name}`"))
    }
}

/// Which services a signer of cosign 3 uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Services {
    /// Rekor v2 and the timestamp authority.
    LogAndTime,
    /// Rekor v2 alone, which is enough for keys.
    Log,
    /// The timestamp authority alone, as for GitHub's private repositories.
    Time,
    /// None.
    Nothing,
}

/// The running servers; they end when dropped, and when the test's process dies.
pub struct Sigstore {
    tools: Tools,
    fulcio: SocketAddr,
    rekor: SocketAddr,
    timestamp: SocketAddr,
    issuer: TokenIssuer,
    ct_log: CtLog,
    _servers: Vec<Server>,
    folder: tempfile::TempDir,
    // Last: the next stack may start when this one's servers have gone.
    _one_at_a_time: File,
}

impl Sigstore {
    /// Starts everything, after the stack of any other process on this machine has gone.
    ///
    /// # Panics
    /// Where a server does not start; the message holds its log.
    #[must_use]
    pub fn start(tools: Tools) -> Self {
        let one_at_a_time = lock();
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path();
        Keys::make().write(path);
        let (issuer, ct_log) = (TokenIssuer::start(), CtLog::start());
        fs::write(path.join("ct.pub"), ct_log.public_key_pem()).expect("ct.pub");
        let [fulcio, rekor, timestamp] = [(); 3].map(|()| free_address());
        let servers = vec![
            servers::fulcio(&tools, path, fulcio, &issuer, &ct_log.url()),
            servers::rekor(&tools, path, rekor),
            servers::timestamp(&tools, path, timestamp),
        ];
        let stack = Self {
            tools,
            fulcio,
            rekor,
            timestamp,
            issuer,
            ct_log,
            _servers: servers,
            folder,
            _one_at_a_time: one_at_a_time,
        };
        stack.write_trusted_root();
        stack
    }

    /// A file or folder of this stack: `fulcio-root.crt`, `trusted_root.json`, …
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// What a verifier of this stack trusts.
    #[must_use]
    pub fn trusted_root(&self) -> PathBuf {
        self.path("trusted_root.json")
    }

    /// A token by which Fulcio knows a GitHub workflow, in a file.
    #[must_use]
    pub fn workflow_token(&self, workflow: &Workflow) -> PathBuf {
        self.token(&workflow.claims())
    }

    /// A token by which Fulcio knows a person, in a file.
    #[must_use]
    pub fn email_token(&self, address: &str) -> PathBuf {
        self.token(&issuer::email_claims(address))
    }

    /// cosign takes a long token for the name of a file.
    fn token(&self, claims: &Value) -> PathBuf {
        let path = self.path("token.jwt");
        fs::write(&path, self.issuer.token(claims)).expect("a token");
        path
    }

    /// cosign 3.
    #[must_use]
    pub fn cosign(&self) -> Cosign {
        self.command("cosign")
    }

    /// cosign 2.
    #[must_use]
    pub fn cosign2(&self) -> Cosign {
        self.command("cosign2")
    }

    fn command(&self, program: &str) -> Cosign {
        Cosign::new(&self.tools.path(program), self.folder.path())
    }

    /// A key pair `NAME.key` and `NAME.pub` without a password; the path of the public half.
    #[must_use]
    pub fn key_pair(&self, name: &str) -> PathBuf {
        let prefix = format!("--output-key-prefix={name}");
        let cosign = self.cosign();
        cosign.run(&["generate-key-pair", &prefix]).expect_success();
        self.path(&format!("{name}.pub"))
    }

    /// A signing configuration of these services for cosign 3, certificates included.
    #[must_use]
    pub fn signing_config(&self, services: Services) -> PathBuf {
        let service = |url: String, version: u32| {
            json!([{
                "url": url, "majorApiVersion": version, "operator": "acme.test",
                "validFor": { "start": START },
            }])
        };
        let mut config = json!({
            "mediaType": "application/vnd.dev.sigstore.signingconfig.v0.2+json",
            "caUrls": service(self.fulcio_url(), 1),
            "oidcUrls": service(format!("http://{}", self.issuer.address()), 1),
        });
        let (log, time) = match services {
            Services::LogAndTime => (true, true),
            Services::Log => (true, false),
            Services::Time => (false, true),
            Services::Nothing => (false, false),
        };
        if log {
            config["rekorTlogUrls"] = service(format!("http://{}", self.rekor), 2);
            config["rekorTlogConfig"] = json!({ "selector": "ANY" });
        }
        if time {
            config["tsaUrls"] = service(self.timestamp_url(), 1);
            config["tsaConfig"] = json!({ "selector": "ANY" });
        }
        let path = self.path(&format!("signing_config-{services:?}.json"));
        fs::write(&path, config.to_string()).expect("a signing configuration");
        path
    }

    /// Where Fulcio listens.
    #[must_use]
    pub fn fulcio_url(&self) -> String {
        format!("http://{}", self.fulcio)
    }

    /// Where timestamps are asked for.
    #[must_use]
    pub fn timestamp_url(&self) -> String {
        format!("http://{}/api/v1/timestamp", self.timestamp)
    }

    fn write_trusted_root(&self) {
        let chain = |name: &str| self.path(name).display().to_string();
        let fulcio = format!(
            "--fulcio=url={},certificate-chain={},start-time={START}",
            self.fulcio_url(),
            chain("fulcio-chain.pem")
        );
        let rekor = format!(
            "--rekor=url=https://{LOG},public-key={},start-time={START},origin={LOG}",
            chain("rekor.pub")
        );
        let timestamp = format!(
            "--tsa=url={},certificate-chain={},start-time={START}",
            self.timestamp_url(),
            chain("tsa-chain.pem")
        );
        let ct_log = format!(
            "--ctfe=url={},public-key={},start-time={START}",
            self.ct_log.url(),
            chain("ct.pub")
        );
        let out = format!("--out={}", self.trusted_root().display());
        let services = [&fulcio, &rekor, &timestamp, &ct_log, &out].map(String::as_str);
        let arguments = [&["trusted-root", "create"], &services[..]].concat();
        self.cosign().run(&arguments).expect_success();
    }
}

/// Waits until no other stack of this machine runs: the timestamp authority's metrics listen on
/// the fixed port 2112 (timestamp-authority 2.1.2, `pkg/server/prometheus.go`), and it dies where
/// that is taken.
fn lock() -> File {
    let path = std::env::temp_dir().join("sealift-sigstore.lock");
    let file = File::options()
        .create(true)
        .append(true)
        .open(&path)
        .unwrap_or_else(|error| panic!("`{}`: {error}", path.display()));
    file.lock().expect("a lock");
    file
}
