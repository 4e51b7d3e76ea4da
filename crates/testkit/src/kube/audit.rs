//! What one user asks of the API server, as its own audit log counts it.
//!
//! Kubernetes, "Auditing": the stage `RequestReceived` is written once for each request, a watch
//! among them, before the answer begins.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use serde_json::{Value, json};

/// The audit log of a server.
#[derive(Debug)]
pub(super) struct Audit {
    policy: PathBuf,
    log: PathBuf,
    /// Lines that were counted before.
    taken: Mutex<usize>,
}

impl Audit {
    /// Of what `user` asks, in `folder`.
    pub(super) fn new(folder: &Path, user: &str) -> Self {
        let policy = json!({
            "apiVersion": "audit.k8s.io/v1", "kind": "Policy",
            "omitStages": ["ResponseStarted", "ResponseComplete", "Panic"],
            "rules": [{ "level": "Metadata", "users": [user] }, { "level": "None" }],
        });
        let audit = Self {
            policy: folder.join("audit-policy.json"),
            log: folder.join("audit.log"),
            taken: Mutex::new(0),
        };
        fs::write(&audit.policy, policy.to_string()).expect("an audit policy");
        audit
    }

    /// The flags of `kube-apiserver` that write it.
    pub(super) fn arguments(&self) -> [String; 2] {
        [
            format!("--audit-policy-file={}", self.policy.display()),
            format!("--audit-log-path={}", self.log.display()),
        ]
    }

    /// Requests by verb and resource since the last call, `patch imageupdaters/status` for one.
    pub(super) fn take(&self) -> BTreeMap<String, u64> {
        let text = fs::read_to_string(&self.log).unwrap_or_default();
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let mut counts = BTreeMap::new();
        for line in text.lines().skip(*taken) {
            *taken += 1;
            let event: Value = serde_json::from_str(line).unwrap_or_default();
            *counts.entry(kind_of(&event)).or_default() += 1;
        }
        counts
    }
}

fn kind_of(event: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let (verb, object) = (text(&event["verb"]), &event["objectRef"]);
    match (object["resource"].as_str(), object["subresource"].as_str()) {
        (Some(resource), Some(part)) => format!("{verb} {resource}/{part}"),
        (Some(resource), None) => format!("{verb} {resource}"),
        (None, _) => format!("{verb} {}", text(&event["requestURI"])),
    }
}
