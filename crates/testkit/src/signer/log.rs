//! Transparency logs: Rekor v1 with promises and times, Rekor v2 with neither. Their checkpoints
//! are signed notes (C2SP `signed-note`, `tlog-checkpoint`).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::key::{Hash, Key, KeyKind};
use super::merkle::{self, Node};

/// Leaves of the tree that an entry lies in, and its position there: neither a power of two nor at
/// the edge, so that proofs have steps to either side.
const LEAVES: usize = 11;
/// See [`LEAVES`].
const POSITION: usize = 5;
/// Number in the origin of a v1 log's checkpoints: by it clients tell v1 from v2.
const TREE: &str = "3141592653589793238";
/// What came before a v1 log's present tree: indices count on from there.
const OFFSET: usize = 1000;

/// Which log writes an entry down, and what it hands out for that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Log {
    /// Rekor v1: promise and proof.
    V1,
    /// Rekor v1: the promise alone.
    V1Promise,
    /// Rekor v1: the proof alone; nothing vouches for the time.
    V1Proof,
    /// Rekor v2: a proof and no time.
    V2,
}

/// A log.
#[derive(Debug)]
pub(super) struct Rekor {
    pub(super) key: Key,
    pub(super) host: String,
    v2: bool,
}

/// What a log hands out for one entry.
#[derive(Debug, Clone)]
pub(super) struct Receipt {
    log: Log,
    id: Vec<u8>,
    kind: Value,
    /// Position in all trees of the log.
    index: usize,
    at: Timestamp,
    body: Vec<u8>,
    promise: Vec<u8>,
    proof: Value,
}

impl Rekor {
    pub(super) fn v1(host: String, seed: &str) -> Self {
        let key = Key::seeded(KeyKind::P256, seed);
        let v2 = false;
        Self { key, host, v2 }
    }

    pub(super) fn v2(host: String, kind: KeyKind, seed: &str) -> Self {
        let key = Key::seeded(kind, seed);
        let v2 = true;
        Self { key, host, v2 }
    }

    /// How trusted roots and entries name the log: v1 by its key, v2 by its checkpoints' key.
    pub(super) fn id(&self) -> Vec<u8> {
        if self.v2 && self.key.kind() == KeyKind::Ed25519 {
            // The type of the signature in a note: Ed25519.
            let named = [self.host.as_bytes(), b"\n\x01", self.key.public()].concat();
            return Hash::Sha256.of(&named);
        }
        Hash::Sha256.of(&self.key.spki())
    }

    /// Writes `body` down.
    pub(super) fn add(&self, log: Log, body: &Value, at: Timestamp) -> Receipt {
        let kind = json!({ "kind": body["kind"], "version": body["apiVersion"] });
        let body = canonical(body).into_bytes();
        let stranger = |number: usize| merkle::leaf(&number.to_be_bytes());
        let mut leaves: Vec<Node> = (0..LEAVES).map(stranger).collect();
        leaves[POSITION] = merkle::leaf(&body);
        let index = if self.v2 { POSITION } else { POSITION + OFFSET };
        let root = STANDARD.encode(merkle::root(&leaves));
        let path = merkle::path(POSITION, &leaves);
        let path: Vec<String> = path.iter().map(|node| STANDARD.encode(node)).collect();
        let proof = json!({
            "logIndex": POSITION.to_string(),
            "rootHash": root,
            "treeSize": LEAVES.to_string(),
            "hashes": path,
            "checkpoint": { "envelope": self.checkpoint(LEAVES, &root) },
        });
        let mut receipt = Receipt {
            log,
            id: self.id(),
            kind,
            index,
            at,
            body,
            promise: Vec::new(),
            proof,
        };
        if !self.v2 {
            receipt.promise = self.key.sign(canonical(&receipt.promised()).as_bytes());
        }
        receipt
    }

    fn checkpoint(&self, size: usize, root: &str) -> String {
        let host = &self.host;
        let origin = if self.v2 {
            host.clone()
        } else {
            format!("{host} - {TREE}")
        };
        let note = format!("{origin}\n{size}\n{root}\n");
        let mut signature = self.id()[..4].to_vec();
        signature.extend(self.key.sign(note.as_bytes()));
        format!("{note}\n\u{2014} {host} {}\n", STANDARD.encode(signature))
    }
}

impl Receipt {
    /// An entry of a bundle's `tlogEntries`.
    pub(super) fn entry(&self) -> Value {
        let mut entry = json!({
            "logIndex": self.index.to_string(),
            "logId": { "keyId": STANDARD.encode(&self.id) },
            "kindVersion": self.kind,
        });
        if self.log != Log::V2 {
            entry["integratedTime"] = json!(self.at.as_second().to_string());
        }
        if matches!(self.log, Log::V1 | Log::V1Promise) {
            let promise = STANDARD.encode(&self.promise);
            entry["inclusionPromise"] = json!({ "signedEntryTimestamp": promise });
        }
        if self.log != Log::V1Promise {
            entry["inclusionProof"] = self.proof.clone();
        }
        entry["canonicalizedBody"] = json!(STANDARD.encode(&self.body));
        entry
    }

    /// The annotation `dev.sigstore.cosign/bundle`.
    pub(super) fn annotation(&self) -> String {
        let promise = STANDARD.encode(&self.promise);
        json!({ "SignedEntryTimestamp": promise, "Payload": self.promised() }).to_string()
    }

    /// What Rekor v1 signs when it promises.
    fn promised(&self) -> Value {
        json!({
            "body": STANDARD.encode(&self.body),
            "integratedTime": self.at.as_second(),
            "logIndex": self.index,
            "logID": hex(&self.id),
        })
    }
}

/// JSON with its keys in order and without blanks. RFC 8785, as far as plain texts and whole
/// numbers go.
pub(super) fn canonical(value: &Value) -> String {
    match value {
        Value::Object(fields) => {
            let mut fields: Vec<_> = fields.iter().collect();
            fields.sort_by_key(|(name, _)| name.as_str());
            let field = |(name, value): &(&String, &Value)| {
                format!("{}:{}", Value::from(name.as_str()), canonical(value))
            };
            let fields: Vec<String> = fields.iter().map(field).collect();
            format!("{{{}}}", fields.join(","))
        }
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(canonical).collect();
            format!("[{}]", items.join(","))
        }
        plain => plain.to_string(),
    }
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
