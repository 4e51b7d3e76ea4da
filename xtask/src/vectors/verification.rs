//! `imagesVerification`: how its levels merge, and what its key accepts.

use std::collections::BTreeMap;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use sealift_core::digest::Digest;
use sealift_core::evidence::{Evidence, Form, Item, Place, Way};
use sealift_core::promotion::cosign_key::{CosignKey, ImagesVerification};
use sealift_core::promotion::effective::Effective;
use sealift_core::promotion::set::Governance;
use sealift_core::promotion::spec::{FileSource, TrustRootSpec};
use sealift_core::reason::Reason;
use sealift_trust::{Case, Finding, Judge, Materials, Policy, TrustRoot, Unverified};
use serde_json::{Value, json};

use super::Outcome;

/// Levels from the spec down to the image.
pub(crate) fn merge(case: &Value) -> Outcome {
    let levels = serde_json::from_value::<Vec<Option<ImagesVerification>>>(case["levels"].clone());
    let Ok(levels) = levels else {
        return Outcome::Failed {
            expected: "levels that can be read".to_owned(),
            got: case["levels"].to_string(),
        };
    };
    let merged = ImagesVerification::merged(levels.iter().map(Option::as_ref));
    let got = merged.map_or(Value::Null, |merged| {
        let key = merged.cosign_key.map_or(
            Value::Null,
            |key| json!({ "secretName": key.secret_name, "key": key.key }),
        );
        json!({ "enabled": merged.enabled, "cosignKey": key })
    });
    let annotations = case["use_annotations"] == true;
    // There the peer forgets the level of the spec; here it holds.
    let expected = match annotations {
        true => &case["levels"][0],
        false => &case["expected"],
    };
    if got != *expected {
        return Outcome::Failed {
            expected: expected.to_string(),
            got: got.to_string(),
        };
    }
    match annotations && got != case["expected"] {
        true => Outcome::Deviates("verification-outlives-annotations"),
        false => Outcome::Passed,
    }
}

/// One signature, and the key that stands in the Secret.
pub(crate) fn signature(case: &Value) -> Outcome {
    let text = |name: &str| case[name].as_str().unwrap_or_default();
    let (Ok(blob), Ok(subject)) = (
        STANDARD.decode(text("blob_base64")),
        text("image_manifest_digest").parse::<Digest>(),
    ) else {
        return Outcome::Failed {
            expected: "a blob and a digest that can be read".to_owned(),
            got: case.to_string(),
        };
    };
    let pem = text("public_key_pem");
    let reason = judged(case, &blob, subject, pem);
    let recorded = case["expected"]["verified"] == true;
    let rule = rule(&blob, pem);
    let expected = match rule {
        Some("bundles-are-whole") => Some(Reason::EvidenceMalformed),
        Some(_) => None,
        None if recorded => None,
        // Which reason it is depends on the fault; that it is one counts here.
        None => reason.or(Some(Reason::SignatureMissing)),
    };
    match rule {
        _ if reason != expected => Outcome::Failed {
            expected: format!("{expected:?}"),
            got: format!("{reason:?}"),
        },
        Some(rule) if recorded != reason.is_none() => Outcome::Deviates(rule),
        _ => Outcome::Passed,
    }
}

/// The rule that this case falls under, if one does.
fn rule(blob: &[u8], pem: &str) -> Option<&'static str> {
    let bundle: Option<Value> = serde_json::from_slice(blob).ok();
    let is_envelope = bundle.is_some_and(|bundle| {
        bundle.get("dsseEnvelope").is_some() && bundle.get("verificationMaterial").is_none()
    });
    if is_envelope {
        return Some("bundles-are-whole");
    }
    let several = pem.matches("-----BEGIN").count() > 1;
    several.then_some("every-key-counts")
}

fn judged(case: &Value, blob: &[u8], subject: Digest, pem: &str) -> Option<Reason> {
    let annotations = case["layer"]["annotations"].as_object();
    let annotations: BTreeMap<String, String> = annotations
        .into_iter()
        .flatten()
        .filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned())))
        .collect();
    let media_type = case["layer"]["mediaType"].as_str().unwrap_or_default();
    let form = match media_type.contains("simplesigning") {
        true => Form::SimpleSigning {
            payload: blob.into(),
            annotations,
        },
        false => Form::Bundle(blob.into()),
    };
    let place = Place {
        repository: "registry.test/r/a".to_owned(),
        way: Way::Referrers,
        manifest: Digest::of(blob),
        layer: 0,
    };
    let mut evidence = Evidence::none(subject);
    evidence.items.push(Item { place, form });
    let key = CosignKey {
        secret_name: "cosign".to_owned(),
        key: "cosign.pub".to_owned(),
    };
    let (policy, _) = Effective::from_cosign_key("argocd", &key);
    let governance = Governance {
        policies: vec![Arc::new(policy)],
        ..Governance::default()
    };
    let policy = Policy::new(governance, &Key(pem), Unverified::Refuse);
    let case = Case {
        digest: subject,
        tag: Some("1"),
        evidence: &evidence,
        platforms: &[],
        change: None,
    };
    let verdict = Judge::default().judge(&case, &policy, Timestamp::now());
    match verdict.finding() {
        Finding::Trusted(_) => None,
        Finding::Waived(waiver) => Some(waiver.reason()),
        Finding::Refused(failures) => failures.first().map(|failure| failure.reason),
    }
}

/// The Secret.
struct Key<'a>(&'a str);

impl Materials for Key<'_> {
    fn key(&self, _: &str, _: &FileSource) -> Result<Arc<[u8]>, String> {
        Ok(self.0.as_bytes().into())
    }

    fn root(&self, _: &str, _: &TrustRootSpec) -> Result<Arc<TrustRoot>, (Reason, String)> {
        Err((Reason::TrustRootUnavailable, "a key needs none".to_owned()))
    }
}
