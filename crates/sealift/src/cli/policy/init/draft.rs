//! The policy that demands what was seen: one authority for each signer, a clause for the
//! signatures, one for each type of attestation.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use anyhow::bail;
use jiff::Timestamp;
use sealift_core::promotion::draft::{Seen, identity, predicate};
use sealift_core::reference::Reference;
use sealift_trust::{Claimed, ClaimedSigner};
use serde_json::{Map, Value, json};

use crate::output::escape;

/// What the person at the command line adds to what was seen.
pub(super) struct Given {
    /// Public keys, PEM.
    pub(super) keys: Vec<String>,
    /// A private trust root, by its path.
    pub(super) trust_root: Option<PathBuf>,
    /// Namespace of the policy.
    pub(super) namespace: String,
}

/// A policy and what to say about it.
pub(super) struct Draft {
    spec: Map<String, Value>,
    name: String,
    namespace: String,
    /// Comments at the head of the file.
    head: Vec<String>,
    notes: Vec<String>,
}

/// A signer with everything that it signed, in the same way.
struct Authority<'a> {
    name: String,
    signer: &'a ClaimedSigner,
    items: Vec<&'a Claimed>,
}

impl Draft {
    /// # Errors
    /// A key signed, and none was given.
    pub(super) fn of(
        seen: &[Claimed],
        unread: Vec<String>,
        given: &Given,
        image: &Reference,
        now: Timestamp,
    ) -> anyhow::Result<Self> {
        let authorities = authorities(seen);
        let keyed = |one: &Authority<'_>| matches!(one.signer, ClaimedSigner::Key { .. });
        if authorities.iter().any(keyed) && given.keys.is_empty() {
            bail!(
                "a key signed it, and a signature does not hold its key\nhint: name the public \
                 half with `--key cosign.pub`"
            );
        }
        let mut draft = Self {
            spec: Map::new(),
            name: policy_name(image),
            namespace: given.namespace.clone(),
            head: vec![format!(
                "What signed {image} on {}.",
                now.strftime("%Y-%m-%d")
            )],
            notes: unread
                .into_iter()
                .map(|one| format!("not read: {one}"))
                .collect(),
        };
        let pattern = image.canonical().to_string();
        draft.put("images", json!([{ "pattern": pattern }]));
        let written: Vec<Value> = authorities
            .iter()
            .map(|one| draft.authority(one, given, image.tag.as_deref()))
            .collect();
        draft.put("authorities", written.into());
        draft.demand(&authorities);
        Ok(draft)
    }

    fn put(&mut self, field: &str, value: Value) {
        self.spec.insert(field.to_owned(), value);
    }

    fn authority(&mut self, one: &Authority<'_>, given: &Given, tag: Option<&str>) -> Value {
        let mut written = Map::from_iter([("name".to_owned(), json!(one.name))]);
        let private = given.trust_root.as_ref();
        let mut root = private.map(|path| json!({ "file": { "path": path.to_string_lossy() } }));
        let mut who = match one.signer {
            ClaimedSigner::Key { .. } => {
                let keys: Vec<Value> = given
                    .keys
                    .iter()
                    .map(|pem| json!({ "inline": pem }))
                    .collect();
                let key = match <[Value; 1]>::try_from(keys) {
                    Ok([only]) => only,
                    Err(several) => several.into(),
                };
                written.insert("key".to_owned(), key);
                "a key".to_owned()
            }
            ClaimedSigner::Holder {
                issuer,
                subject,
                claims,
                authority,
                has_sct,
                ..
            } => {
                let seen = Seen {
                    issuer,
                    subject,
                    claims,
                };
                let (form, identity) = identity(seen, tag);
                written.insert(form.to_owned(), identity);
                if !has_sct {
                    written.insert("sct".to_owned(), json!("optional"));
                }
                root = root.or_else(|| known_root(authority));
                if root.is_none() {
                    self.notes.push(format!(
                        "the certificate of `{subject}` comes from `{authority}`, which is no \
                         public Sigstore; name its root with `--trust-root FILE`"
                    ));
                }
                subject.clone()
            }
        };
        let times = self.times(one, &mut written);
        if let Some(root) = root.filter(|_| times > 0) {
            written.insert("trustRoot".to_owned(), root);
        }
        if times == 0 {
            who.push_str(", at no proven time");
        }
        self.head.push(format!("{}: {who}", one.name));
        written.into()
    }

    /// Says by what a time is proven, and comes back with how many there are.
    fn times(&mut self, one: &Authority<'_>, written: &mut Map<String, Value>) -> usize {
        let logs = |claimed: &&Claimed| claimed.proofs.len() + claimed.promises.len();
        let least_logs = one.items.iter().map(logs).min().unwrap_or_default();
        let stamps = one.items.iter().map(|claimed| claimed.timestamps).min();
        let stamps = stamps.unwrap_or_default();
        // One of either proves a time; more is for the person to demand.
        let (logs, timestamps) = (least_logs.min(1), stamps.min(1));
        if (logs, timestamps) != (1, 0) {
            let time = json!({ "minLogs": logs, "minTimestamps": timestamps });
            written.insert("signedTime".to_owned(), time);
        }
        if one
            .items
            .iter()
            .any(|claimed| logs == 1 && claimed.proofs.is_empty())
        {
            written.insert("transparency".to_owned(), json!("promise"));
            self.notes.push(format!(
                "`{}` has a log's promise and no proof of inclusion",
                one.name
            ));
        }
        logs + timestamps
    }

    /// What must be there: a signature of each who made one, an attestation of each type.
    fn demand(&mut self, authorities: &[Authority<'_>]) {
        let who = |predicate: Option<&str>| -> Vec<&str> {
            let made = |one: &&Authority<'_>| {
                let mut items = one.items.iter();
                items.any(|claimed| claimed.predicate.as_deref() == predicate)
            };
            authorities
                .iter()
                .filter(made)
                .map(|one| one.name.as_str())
                .collect()
        };
        let require = |of: &[&str]| json!({ "atLeast": of.len(), "of": of });
        let signers = who(None);
        if signers.is_empty() {
            let reason = "the image has attestations and no signature";
            self.put("unsafeNoSignatures", json!({ "reason": reason }));
            self.notes.push(format!("{reason}; only they are demanded"));
        } else {
            self.put("signatures", json!({ "require": require(&signers) }));
        }
        let types: BTreeSet<&str> = authorities
            .iter()
            .flat_map(|one| &one.items)
            .filter_map(|claimed| claimed.predicate.as_deref())
            .collect();
        let mut names = BTreeSet::new();
        let mut attestations = Vec::new();
        for uri in types {
            let (name, short) = predicate(uri);
            let name = unused(name, &mut names);
            attestations.push(json!({
                "name": name, "predicateTypes": [short], "require": require(&who(Some(uri))),
            }));
        }
        if !attestations.is_empty() {
            self.put("attestations", attestations.into());
        }
    }

    /// The policy as a Kubernetes object.
    pub(super) fn document(&self) -> Value {
        json!({
            "apiVersion": "sealift.dev/v1alpha1",
            "kind": "PromotionPolicy",
            "metadata": { "name": self.name, "namespace": self.namespace },
            "spec": self.spec,
        })
    }

    /// The same as a file, with a head that says what was seen.
    pub(super) fn yaml(&self) -> String {
        let mut text = String::new();
        for line in &self.head {
            // A subject is a stranger's text: it must not end the comment.
            text.push_str(&format!("# {}\n", escape(line)));
        }
        let mut body = String::new();
        block(&self.document(), 0, &mut body);
        text.push_str(&body);
        text
    }

    /// What the person should know.
    pub(super) fn notes(&self) -> &[String] {
        &self.notes
    }
}

fn authorities(seen: &[Claimed]) -> Vec<Authority<'_>> {
    let mut by_signer: BTreeMap<String, Vec<&Claimed>> = BTreeMap::new();
    for claimed in seen {
        // The same identity has a new certificate each time, and cosign's hints differ by version.
        let key = match &claimed.signer {
            ClaimedSigner::Key { .. } => "key".to_owned(),
            ClaimedSigner::Holder {
                issuer, subject, ..
            } => format!("{issuer} {subject}"),
        };
        by_signer.entry(key).or_default().push(claimed);
    }
    let mut names = BTreeSet::new();
    let named = by_signer.into_values().filter_map(|items| {
        let signer = &items.first()?.signer;
        let name = match signer {
            ClaimedSigner::Key { .. } => "key",
            ClaimedSigner::Holder { issuer, .. } if issuer.contains("git") => "ci",
            ClaimedSigner::Holder { .. } => "signer",
        };
        Some(Authority {
            name: unused(name, &mut names),
            signer,
            items,
        })
    });
    named.collect()
}

fn unused(name: &str, names: &mut BTreeSet<String>) -> String {
    let mut free = name.to_owned();
    let mut number = 1;
    while !names.insert(free.clone()) {
        number += 1;
        free = format!("{name}-{number}");
    }
    free
}

/// The root that a policy can name by one word, by who issued the certificate: the names of the
/// public good instance's and of GitHub's intermediates. It is a guess; judging proves it.
fn known_root(authority: &str) -> Option<Value> {
    let is_of = |organisation: &str| {
        let part = format!("O={organisation}");
        authority.split(',').any(|one| one.trim() == part)
    };
    if is_of("sigstore.dev") {
        Some(json!({ "publicGood": {} }))
    } else if authority.contains("O=GitHub") {
        Some(json!({ "github": {} }))
    } else {
        None
    }
}

/// A name that Kubernetes takes (RFC 1123, label), from the last part of the repository.
fn policy_name(image: &Reference) -> String {
    let canonical = image.canonical().to_string();
    let last = canonical.rsplit('/').next().unwrap_or_default();
    let plain = |c: char| match c {
        'a'..='z' | '0'..='9' | '-' => c,
        'A'..='Z' => c.to_ascii_lowercase(),
        _ => '-',
    };
    let name: String = last.chars().map(plain).take(63).collect();
    match name.trim_matches('-') {
        "" => "image".to_owned(),
        name => name.to_owned(),
    }
}

/// Block style for what is long, flow style for what is short, as people write policies.
fn block(value: &Value, indent: usize, out: &mut String) {
    let pad = "  ".repeat(indent);
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                out.push_str(&format!("{pad}{name}:"));
                entry(value, indent, out);
            }
        }
        Value::Array(items) => {
            for item in items {
                let mut nested = String::new();
                block(item, indent + 1, &mut nested);
                let body = nested.get(pad.len() + 2..).unwrap_or_default();
                out.push_str(&format!("{pad}- {body}"));
            }
        }
        scalar => out.push_str(&format!("{pad}{scalar}\n")),
    }
}

fn entry(value: &Value, indent: usize, out: &mut String) {
    /// Longest text of a value that stands on its line.
    const FLOW_COLUMNS: usize = 90;
    // PEM stands as a block; anything else with line ends is quoted.
    if let Value::String(text) = value
        && text.starts_with("-----BEGIN ")
        && text.ends_with("-----\n")
        && text
            .lines()
            .all(|line| line.starts_with(|c: char| c.is_ascii_graphic()))
    {
        let pad = "  ".repeat(indent + 1);
        out.push_str(" |\n");
        for line in text.lines() {
            out.push_str(&format!("{pad}{line}\n"));
        }
        return;
    }
    let flow = flow(value);
    let nested = matches!(value, Value::Object(_) | Value::Array(_));
    if nested && (flow.len() > FLOW_COLUMNS || flow.contains("-----BEGIN ")) {
        out.push('\n');
        // Items of a list stand one step in, as in the project's own examples.
        block(value, indent + 1, out);
    } else {
        out.push_str(&format!(" {flow}\n"));
    }
}

fn flow(value: &Value) -> String {
    match value {
        Value::Object(fields) if fields.is_empty() => "{}".to_owned(),
        Value::Object(fields) => {
            let pairs = fields
                .iter()
                .map(|(name, value)| format!("{name}: {}", flow(value)));
            format!("{{ {} }}", pairs.collect::<Vec<_>>().join(", "))
        }
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(flow).collect();
            format!("[{}]", items.join(", "))
        }
        Value::String(text) if is_plain(text) => text.clone(),
        // JSON is YAML, and what a terminal obeys is escaped in both.
        Value::String(text) => {
            let quoted = Value::from(text.as_str()).to_string();
            let visible = quoted.chars().map(|c| match escape(&c.to_string()) {
                Cow::Borrowed(harmless) => harmless.to_owned(),
                Cow::Owned(_) => format!("\\U{:08x}", u32::from(c)),
            });
            visible.collect()
        }
        scalar => scalar.to_string(),
    }
}

/// Whether a text stands for itself without quotes, in block and in flow style (YAML 1.2, 7.3.3),
/// and is neither a number nor a word of the core schema.
fn is_plain(text: &str) -> bool {
    let first = text.chars().next().is_some_and(|c| c.is_ascii_alphabetic());
    let plain = |c: char| c.is_ascii_alphanumeric() || "._/@:-".contains(c);
    let word = ["true", "false", "null", "yes", "no", "on", "off", "y", "n"]
        .iter()
        .any(|word| text.eq_ignore_ascii_case(word));
    first && !word && text.chars().all(plain) && !text.ends_with(':') && !text.contains(": ")
}
