//! A TUF repository for tests: honest by default, and able to lie in every way that a client must
//! see.
//!
//! Metadata is signed over canonical JSON as securesystemslib writes it, with code of its own, so
//! that the client is not tested against itself. TUF specification 1.0.34, sections 4 (formats) and
//! 6.2 (consistent snapshots).

mod server;

use std::collections::BTreeMap;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

pub use server::TufServer;

/// Files of a repository by their path below its base.
pub type Files = BTreeMap<String, Vec<u8>>;

/// The roles below the root.
const LOWER: [&str; 3] = ["timestamp", "snapshot", "targets"];

/// Keys, versions and content of a repository. [`TufRepository::publish`] signs a new state of it.
pub struct TufRepository {
    keys: BTreeMap<&'static str, Key>,
    versions: BTreeMap<&'static str, u64>,
    expires: BTreeMap<&'static str, String>,
    targets: Files,
    delegated: Option<Key>,
    /// Whether names carry versions and hashes (TUF specification, section 6.2).
    consistent: bool,
    files: Files,
}

struct Key {
    id: String,
    public: Value,
    pair: Ed25519KeyPair,
}

impl Key {
    fn new() -> Self {
        let document = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).expect("a key");
        let pair = Ed25519KeyPair::from_pkcs8(document.as_ref()).expect("the same key");
        let public = json!({
            "keytype": "ed25519",
            "scheme": "ed25519",
            "keyval": { "public": hex(pair.public_key().as_ref()) },
        });
        let id = hex(&Sha256::digest(canonical(&public)));
        Self { id, public, pair }
    }

    fn sign(&self, signed: &Value) -> Value {
        let signature = self.pair.sign(&canonical(signed));
        json!({ "keyid": self.id, "sig": hex(signature.as_ref()) })
    }
}

impl TufRepository {
    /// A repository that serves `content` as the target `name`, with everything at version 1.
    #[must_use]
    pub fn new(name: &str, content: &[u8]) -> Self {
        Self::with_names(name, content, true)
    }

    /// The same, with names that carry neither versions nor hashes.
    #[must_use]
    pub fn without_consistent_snapshots(name: &str, content: &[u8]) -> Self {
        Self::with_names(name, content, false)
    }

    fn with_names(name: &str, content: &[u8], consistent: bool) -> Self {
        let far = "2999-01-01T00:00:00Z";
        let roles = LOWER.into_iter().chain(["root"]);
        let mut repository = Self {
            keys: roles.clone().map(|role| (role, Key::new())).collect(),
            versions: roles.clone().map(|role| (role, 0)).collect(),
            expires: roles.map(|role| (role, far.to_owned())).collect(),
            targets: Files::from([(name.to_owned(), content.to_vec())]),
            delegated: None,
            consistent,
            files: Files::new(),
        };
        repository.sign_root(&[]);
        repository.publish();
        repository
    }

    /// The root that clients begin with: version 1.
    #[must_use]
    pub fn start(&self) -> Vec<u8> {
        self.files["1.root.json"].clone()
    }

    /// Every file as of the last [`publish`](Self::publish).
    #[must_use]
    pub fn files(&self) -> Files {
        self.files.clone()
    }

    /// Lets `role` end at this time (RFC 3339), from its next signature on.
    pub fn expire(&mut self, role: &'static str, at: &str) {
        self.expires.insert(role, at.to_owned());
    }

    /// Lets every role but the root end at this time, from the next signatures on.
    pub fn expire_all(&mut self, at: &str) {
        for role in LOWER {
            self.expire(role, at);
        }
    }

    /// Replaces the content of the target `name`.
    pub fn set_target(&mut self, name: &str, content: &[u8]) {
        self.targets.insert(name.to_owned(), content.to_vec());
    }

    /// Lists targets in a delegated role from the next [`publish`](Self::publish) on.
    pub fn delegate(&mut self) {
        self.delegated = Some(Key::new());
    }

    /// Signs a new version of every role below the root.
    pub fn publish(&mut self) {
        let mut metas = Map::new();
        let mut listed = Map::new();
        for (name, content) in &self.targets {
            listed.insert(
                name.clone(),
                json!({ "length": content.len(), "hashes": { "sha256": hash(content) } }),
            );
            let path = match self.consistent {
                true => format!("targets/{}.{name}", hash(content)),
                false => format!("targets/{name}"),
            };
            self.files.insert(path, content.clone());
        }
        let mut body = json!({ "targets": listed });
        let delegated = self.delegated.take();
        if let Some(key) = &delegated {
            let signed = self.signed("targets", 1, "targets", body.take());
            let bytes = envelope(&signed, &[key]);
            metas.insert("roots.json".to_owned(), meta(&bytes, 1));
            self.files.insert(self.name_of(1, "roots"), bytes);
            let role = json!({ "name": "roots", "keyids": [key.id], "threshold": 1,
                               "terminating": true, "paths": ["*.json"] });
            let keys = json!({ key.id.clone(): key.public });
            body = json!({ "targets": {}, "delegations": { "keys": keys, "roles": [role] } });
        }
        self.delegated = delegated;
        let targets = self.next("targets", body);
        let version = self.versions["targets"];
        metas.insert("targets.json".to_owned(), meta(&targets, version));
        self.files.insert(self.name_of(version, "targets"), targets);
        let snapshot = self.next("snapshot", json!({ "meta": metas }));
        let version = self.versions["snapshot"];
        let pin = json!({ "meta": { "snapshot.json": meta(&snapshot, version) } });
        self.files
            .insert(self.name_of(version, "snapshot"), snapshot);
        let timestamp = self.next("timestamp", pin);
        self.files.insert("timestamp.json".to_owned(), timestamp);
    }

    /// A new root with a new key for itself, signed by the old key and the new one. The roles in
    /// `others` get new keys, too; what was signed with the old ones counts no more.
    pub fn rotate(&mut self, others: &[&'static str]) {
        let old = self.keys.insert("root", Key::new()).expect("a root key");
        for role in others {
            self.keys.insert(role, Key::new());
        }
        self.sign_root(&[&old]);
    }

    /// A new root that the keys of the one before did not sign.
    pub fn usurp(&mut self) {
        self.keys.insert("root", Key::new());
        self.sign_root(&[]);
    }

    fn sign_root(&mut self, others: &[&Key]) {
        let mut keys = Map::new();
        let mut roles = Map::new();
        for (role, key) in &self.keys {
            keys.insert(key.id.clone(), key.public.clone());
            let entry = json!({ "keyids": [key.id], "threshold": 1 });
            roles.insert((*role).to_owned(), entry);
        }
        let version = self.bump("root");
        let body = json!({ "consistent_snapshot": self.consistent, "keys": keys, "roles": roles });
        let signed = self.signed("root", version, "root", body);
        let signers: Vec<&Key> = others.iter().copied().chain([&self.keys["root"]]).collect();
        let bytes = envelope(&signed, &signers);
        self.files.insert(format!("{version}.root.json"), bytes);
    }

    fn name_of(&self, version: u64, role: &str) -> String {
        match self.consistent {
            true => format!("{version}.{role}.json"),
            false => format!("{role}.json"),
        }
    }

    fn next(&mut self, role: &'static str, body: Value) -> Vec<u8> {
        let version = self.bump(role);
        let signed = self.signed(role, version, role, body);
        envelope(&signed, &[&self.keys[role]])
    }

    fn bump(&mut self, role: &'static str) -> u64 {
        let version = self.versions.get_mut(role).expect("a role");
        *version += 1;
        *version
    }

    fn signed(&self, kind: &str, version: u64, role: &str, body: Value) -> Value {
        let mut signed = json!({
            "_type": kind,
            "spec_version": "1.0.34",
            "version": version,
            "expires": self.expires[role],
        });
        let Value::Object(body) = body else {
            panic!("a body is an object")
        };
        signed.as_object_mut().expect("an object").extend(body);
        signed
    }
}

fn envelope(signed: &Value, keys: &[&Key]) -> Vec<u8> {
    let signatures: Vec<Value> = keys.iter().map(|key| key.sign(signed)).collect();
    json!({ "signed": signed, "signatures": signatures })
        .to_string()
        .into_bytes()
}

fn meta(bytes: &[u8], version: u64) -> Value {
    json!({ "version": version, "length": bytes.len(), "hashes": { "sha256": hash(bytes) } })
}

fn hash(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Canonical JSON: sorted keys, no white space, and only `"` and `\` escaped.
fn canonical(value: &Value) -> Vec<u8> {
    let quoted = |text: &str| {
        let escaped = text.replace('\\', "\\\\").replace('"', "\\\"");
        format!("\"{escaped}\"").into_bytes()
    };
    match value {
        Value::String(text) => quoted(text),
        Value::Array(items) => {
            let items: Vec<Vec<u8>> = items.iter().map(canonical).collect();
            [b"[", items.join(&b',').as_slice(), b"]"].concat()
        }
        Value::Object(map) => {
            let sorted: BTreeMap<&String, &Value> = map.iter().collect();
            let pairs: Vec<Vec<u8>> = sorted
                .into_iter()
                .map(|(key, value)| [quoted(key), b":".to_vec(), canonical(value)].concat())
                .collect();
            [b"{", pairs.join(&b',').as_slice(), b"}"].concat()
        }
        other => other.to_string().into_bytes(),
    }
}
