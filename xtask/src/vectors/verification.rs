//! `imagesVerification`: how its levels merge.

use sealift_core::promotion::cosign_key::ImagesVerification;
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
