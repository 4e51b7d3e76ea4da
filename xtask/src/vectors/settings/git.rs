//! Branches, commit messages and write-back methods.

use std::collections::BTreeMap;

use sealift_core::application::{Application, Context, parse_annotated};
use sealift_core::branch::{BranchChange, BranchData, branch_name, target_key};
use sealift_core::commit_message::{MessageChange, MessageData, commit_message as render};
use sealift_core::manifest::ApplicationManifest;
use sealift_core::platform::Platform;
use sealift_core::settings::{Method, PEER_PREFIX};
use sealift_core::template::Template;
use serde_json::{Value, json};

use super::{Outcome, outcome, text};

/// Bytes at which branch names are cut.
const CUT_BYTES: usize = 255;

/// Which branch is read and which one is pushed.
pub(crate) fn git_branch(case: &Value) -> Outcome {
    let expected = &case["expected"];
    let error = expected["error"].as_str();
    if case["pr"].as_bool() == Some(true) {
        return Outcome::Skipped("pull requests");
    }
    if error.is_some_and(|error| error.contains("git ")) {
        return Outcome::Skipped("answers of a Git server");
    }
    let got = branches(case);
    let got = match (error, got) {
        (Some(_), Err(_)) => return Outcome::Passed,
        (None, Ok(got)) => got,
        (_, got) => return outcome(expected, got, false),
    };
    let (checkout, push) = &got;
    if text(expected, "checkout") != checkout || text(expected, "push") != push {
        return outcome(expected, got, false);
    }
    // Nothing is ever pushed by force, and so nobody's commits are lost.
    if expected["force"].as_bool() == Some(true) {
        return Outcome::Deviates("push-without-force");
    }
    Outcome::Passed
}

fn branches(case: &Value) -> Result<(String, String), String> {
    let application = application(case)?;
    let default = text(case, "remote_default").to_owned();
    let checkout = application.base_branch.clone().unwrap_or(default);
    let push = match &application.branch.push {
        None => checkout.clone(),
        Some(template) => {
            branch_name(template, &branch_data(case)).map_err(|error| error.to_string())?
        }
    };
    Ok((checkout, push))
}

fn application(case: &Value) -> Result<Application, String> {
    let mut source = json!({
        "repoURL": "https://g/r", "helm": {}, "targetRevision": case["target_revision"],
    });
    if let Some(repository) = case["repo"].as_str() {
        source["repoURL"] = repository.into();
    }
    let spec = match case.get("sources") {
        Some(sources) if sources.is_array() => json!({ "sources": sources }),
        _ => json!({ "source": source }),
    };
    let manifest = json!({
        "metadata": { "name": "app", "namespace": "ns", "annotations": {
            format!("{PEER_PREFIX}image-list"): "nginx",
            format!("{PEER_PREFIX}git-branch"): case["git_branch"],
        } },
        "spec": spec,
    });
    let manifest = ApplicationManifest::from_value(manifest).map_err(|error| error.to_string())?;
    let context = Context {
        argocd_namespace: "argocd".to_owned(),
        own_platform: Platform::parse("linux/amd64"),
    };
    let parsed = parse_annotated(&manifest, &context).ok_or("it is not followed")?;
    parsed.application.map_err(|error| error.to_string())
}

fn branch_data(case: &Value) -> BranchData<'_> {
    let changes = case["changes"].as_array().into_iter().flatten();
    BranchData {
        changes: changes
            .map(|change| BranchChange {
                name: text(change, "image"),
                full_name: text(change, "image"),
                alias: text(change, "alias"),
                old_tag: text(change, "old"),
                new_tag: text(change, "new"),
            })
            .collect(),
        target_key: text(case, "target_key"),
        pull_request_application: text(case, "app_name"),
        pull_request_namespace: text(case, "app_namespace"),
        application: "",
        namespace: "",
    }
}

/// The name that a template gives; an empty text is none.
pub(crate) fn branch_template(case: &Value) -> Outcome {
    let expected = text(case, "expected");
    let template = Template::parse(text(case, "template"));
    let got = match template {
        Ok(template) => branch_name(&template, &branch_data(case)).unwrap_or_default(),
        Err(_) => String::new(),
    };
    if got == expected {
        return Outcome::Passed;
    }
    // A cut inside a character leaves a broken one there, and nothing here.
    let whole = expected.trim_end_matches('\u{fffd}');
    if whole.len() < expected.len() && got == whole && whole.len() < CUT_BYTES {
        return Outcome::Deviates("branch-cut-between-characters");
    }
    outcome(expected, got, false)
}

/// The text of a commit.
pub(crate) fn commit_message(case: &Value) -> Outcome {
    let labels: BTreeMap<String, String> =
        serde_json::from_value(case["labels_of_first"].clone()).unwrap_or_default();
    let changes = case["changes"].as_array().into_iter().flatten().enumerate();
    let data = MessageData {
        application: text(case, "app_name"),
        changes: changes
            .map(|(index, change)| MessageChange {
                image: text(change, "image"),
                full_name: text(change, "image"),
                alias: text(change, "alias"),
                old_tag: text(change, "old"),
                new_tag: text(change, "new"),
                labels: if index == 0 {
                    labels.clone()
                } else {
                    BTreeMap::new()
                },
                ..MessageChange::default()
            })
            .collect(),
        ..MessageData::default()
    };
    let expected = match text(case, "expected") {
        // The recorded program commits an empty message under this title.
        blank if blank.trim().is_empty() => "Update parameters",
        expected => expected,
    };
    let got = Template::parse(text(case, "template")).map(|template| render(&template, &data).0);
    let same = got.as_deref() == Ok(expected);
    outcome(expected, got, same)
}

/// `argocd`, `git`, `git:…`.
pub(crate) fn write_back_method(case: &Value) -> Outcome {
    let expected = &case["expected"];
    let wants_error = expected.get("error").is_some();
    match Method::parse(text(case, "input")) {
        Err(error) => outcome(expected, error, wants_error),
        Ok(method) => {
            let (name, credentials) = match &method {
                Method::ArgoCd => ("argocd", String::new()),
                Method::Git(credentials) => ("git", credentials.to_string()),
            };
            let same = text(expected, "method") == name
                && expected["creds"]
                    .as_str()
                    .is_none_or(|creds| creds == credentials);
            outcome(expected, method, same && !wants_error)
        }
    }
}

/// The key of a pull request's branch.
pub(crate) fn write_back_target_key(case: &Value) -> Outcome {
    let target = match text(case, "target") {
        "" => text(case, "kustomize_base"),
        target => target,
    };
    let got = target_key(text(case, "git_repo"), text(case, "git_branch"), target);
    outcome(&case["expected"], &got, case["expected"] == got.as_str())
}
