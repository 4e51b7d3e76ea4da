//! Every source that can be read, and every way in which it cannot.

use std::fs;

use sealift_core::promotion::cosign_key::CosignKey;
use sealift_core::promotion::read::{Context, Document, read as read_policy};
use serde_json::{Value, json};

use super::*;
use crate::objects::files::{FileObjects, Named, Reader};

const OBJECTS: &str = "apiVersion: v1\nkind: Secret\nmetadata: {name: keys}\nstringData: {a: one}\n\
    ---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: roots, namespace: team}\n\
    data: {root: two}\n";

fn objects() -> FileObjects {
    let mut reader = Reader::new("argocd");
    reader.read_documents("f", OBJECTS.as_bytes(), Named::Explicitly);
    reader.finish()
}

fn policy(kind: &str, folder: &Path, sources: &[Value]) -> Policy {
    let object = json!({
        "apiVersion": "sealift.dev/v1alpha1",
        "kind": kind,
        "metadata": { "name": "p" },
        "spec": {
            "authorities": [{ "name": "k", "key": sources }],
            "signatures": { "require": { "atLeast": 1, "of": ["k"] } }
        }
    });
    let context = Context {
        default_namespace: "argocd",
        folder: Some(folder),
        now: "2026-11-25T12:00:00Z".parse().unwrap(),
    };
    match read_policy(&object, &context) {
        Ok(Document::Policy(policy)) => *policy,
        other => panic!("{other:?}"),
    }
}

async fn texts(policy: &Policy) -> Vec<Result<String, String>> {
    let materials = gather(&objects(), [Wanted::of(policy, "argocd")]).await;
    let Some(Who::Keys(keys)) = policy.effective.authorities.get("k").map(|one| &one.who) else {
        panic!()
    };
    let name = &policy.effective.name;
    let found = keys.iter().map(|source| {
        let found = &materials[&(name.clone(), source.clone())];
        let text = found
            .as_ref()
            .map(|bytes| String::from_utf8_lossy(bytes).into_owned());
        text.map_err(ToString::to_string)
    });
    found.collect()
}

#[tokio::test]
async fn every_kind_of_source_is_read() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("k.pub"), "three").unwrap();
    let sources = [
        json!({ "secretRef": { "name": "keys", "key": "a" } }),
        json!({ "configMapRef": { "name": "team/roots", "key": "root" } }),
        json!({ "path": "k.pub" }),
        json!({ "inline": "-----BEGIN PUBLIC KEY-----" }),
    ];
    let policy = policy("ClusterPromotionPolicy", folder.path(), &sources);
    let expected = ["one", "two", "three", "-----BEGIN PUBLIC KEY-----"];
    let expected: Vec<_> = expected.iter().map(|text| Ok((*text).to_owned())).collect();
    assert_eq!(texts(&policy).await, expected);
}

#[tokio::test]
async fn what_is_missing_empty_or_too_large_is_an_error_that_names_it() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("empty"), "").unwrap();
    fs::write(
        folder.path().join("large"),
        vec![b'x'; TRUST_MATERIAL_BYTES_MAX + 1],
    )
    .unwrap();
    let sources = [
        json!({ "secretRef": { "name": "other", "key": "a" } }),
        json!({ "secretRef": { "name": "keys", "key": "b" } }),
        json!({ "configMapRef": { "name": "roots", "key": "root" } }),
        json!({ "path": "missing" }),
        json!({ "path": "empty" }),
        json!({ "path": "large" }),
        json!({ "path": "." }),
    ];
    let policy = policy("PromotionPolicy", folder.path(), &sources);
    let told = texts(&policy).await;
    for (found, part) in told.iter().zip([
        "Secret `argocd/other` cannot be read: there is no such Secret",
        "key `b` of Secret `argocd/keys` cannot be read: it has no such key",
        "ConfigMap `argocd/roots` cannot be read: there is no such ConfigMap",
        "missing` cannot be read",
        "empty` cannot be read: it is empty",
        "large` cannot be read: it is larger than",
        "it is no file",
    ]) {
        let error = found.as_ref().unwrap_err();
        assert!(error.contains(part), "{error}");
    }
    assert_eq!(told.len(), 7);
}

#[tokio::test]
async fn a_cosign_key_is_of_the_namespace_of_its_application() {
    for (name, expected) in [("keys", true), ("argocd/keys", false)] {
        let key = CosignKey {
            secret_name: name.to_owned(),
            key: "a".to_owned(),
        };
        let (effective, _) = Effective::from_cosign_key("team", &key);
        let namespace = if expected { "argocd" } else { "team" };
        let wanted = Wanted {
            policy: &effective,
            namespace,
            folder: None,
            elsewhere: false,
        };
        let materials = gather(&objects(), [wanted]).await;
        let found: Vec<bool> = materials.values().map(Result::is_ok).collect();
        assert_eq!(found, [expected], "{name}: {materials:?}");
    }
}
