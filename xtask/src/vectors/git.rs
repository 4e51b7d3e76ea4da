//! Runner of repository URLs.

use sealift_git::{GitUrl, argo_is_https, argo_normalized, argo_ssh_user};
use serde_json::{Value, json};

use super::Outcome;

/// `git-url`: how a URL is classified, normalised for comparison, and read by forges.
pub(crate) fn git_url(case: &Value) -> Outcome {
    let text = case["url"].as_str().unwrap_or_default();
    let url = GitUrl::parse(text).ok();
    let pair = url.as_ref().and_then(GitUrl::owner_and_name);
    let got = json!({
        "github": pair.map(|(owner, repo)| json!({ "owner": owner, "repo": repo })),
        "gitlab": url.as_ref().and_then(GitUrl::project).map(|project| json!({ "project": project })),
        "is_https": argo_is_https(text),
        "is_ssh": argo_ssh_user(text).is_some(),
        "normalized": argo_normalized(text),
        "ssh_user": argo_ssh_user(text).unwrap_or_default(),
    });
    let mut expected = case["expected"].clone();
    for forge in ["github", "gitlab"] {
        // Whether it is an error counts, not its wording.
        if expected[forge].get("error").is_some() {
            expected[forge] = Value::Null;
        }
    }
    if expected == got {
        return Outcome::Passed;
    }
    // Only what reads the URL to act on it is stricter; comparing and classifying are not.
    let mut by_rule = expected.clone();
    if url.is_none() {
        by_rule["github"] = Value::Null;
        by_rule["gitlab"] = Value::Null;
    }
    if by_rule == got {
        return Outcome::Deviates("repository-url-strict");
    }
    Outcome::Failed {
        expected: expected.to_string(),
        got: got.to_string(),
    }
}
