//! Write-back targets, file names, source types.

use sealift_core::reason::Reason;
use sealift_core::slot::source::{AppType, Blocks, SourceType, Sources, Which, choose};
use sealift_core::slot::target::{TargetKind, TargetOwner, TargetSetting};
use serde_json::{Value, json};

use super::{check, failed, rule, text, texts};
use crate::vectors::Outcome;

pub(crate) fn target(case: &Value) -> Outcome {
    let setting = text(case, "write_back_target");
    let default_name = text(&case["expected"], "target").rsplit('/').next();
    let default_name = default_name.and_then(|name| name.strip_prefix(".argocd-source-"));
    let owner = TargetOwner {
        application: default_name
            .and_then(|name| name.strip_suffix(".yaml"))
            .unwrap_or("app"),
        namespace: "",
        argocd_namespace: "argocd",
        source_path: text(case, "source_path"),
    };
    let parsed = TargetSetting::parse(Some(setting));
    let got = parsed.and_then(|parsed| Ok((parsed.clone(), parsed.resolve(&owner)?)));
    let expected = &case["expected"];
    let joined = text(expected, "joined_under_root");
    let (parsed, target) = match got {
        Ok(got) => got,
        Err(_) if expected["error"].is_string() => return Outcome::Passed,
        Err(error) if error.reason() == Reason::PathEscapes => {
            return rule("paths-stay-inside", &false, &inside(joined));
        }
        Err(error) if !is_keyword(setting) => {
            // `kustomization.yaml` is a file name, of a kind that is refused.
            let named = ["kustomization.yaml", "kustomization.yml", "Kustomization"];
            let refused = named.contains(&setting);
            return if refused {
                Outcome::Deviates("keywords-are-exact")
            } else {
                failed(expected, &error)
            };
        }
        Err(error) => return failed(expected, &error),
    };
    let kind = match parsed {
        TargetSetting::Kustomization(_) => "kustomization",
        TargetSetting::HelmValues(_) => "helmvalues",
        TargetSetting::OverrideFile | TargetSetting::File(_) => "override-file",
    };
    let path = target
        .candidates
        .first()
        .map(ToString::to_string)
        .unwrap_or_default();
    let folder = path
        .strip_suffix("kustomization.yaml")
        .filter(|_| kind == "kustomization");
    let shown = format!("/ROOT/{}", folder.unwrap_or(&path));
    let got = json!({"kind": kind, "joined": shown.trim_end_matches('/')});
    let wanted = json!({"kind": expected["kind"], "joined": joined.trim_end_matches('/')});
    if got == wanted {
        return Outcome::Passed;
    }
    if !is_keyword(setting) {
        let file = json!({"kind": "override-file", "joined": format!("/ROOT/{setting}")});
        return rule("keywords-are-exact", &file, &got);
    }
    failed(expected, &got)
}

fn is_keyword(setting: &str) -> bool {
    let keyword = setting.split(':').next();
    matches!(keyword, Some("kustomization" | "helmvalues"))
}

fn inside(joined: &str) -> bool {
    joined == "/ROOT" || joined.starts_with("/ROOT/")
}

pub(crate) fn override_file_name(case: &Value) -> Outcome {
    let owner = TargetOwner {
        application: text(case, "app"),
        namespace: text(case, "app_namespace"),
        argocd_namespace: text(case, "controller_argocd_namespace"),
        source_path: text(case, "source_path"),
    };
    let target = TargetSetting::OverrideFile.resolve(&owner).expect("a path");
    let got = target
        .candidates
        .first()
        .map(ToString::to_string)
        .unwrap_or_default();
    let expected = text(case, "expected");
    if got == expected {
        return Outcome::Passed;
    }
    let (namespace, name) = (owner.namespace, owner.application);
    let with_namespace = expected.replace(
        &format!(".argocd-source-{name}.yaml"),
        &format!(".argocd-source-{namespace}_{name}.yaml"),
    );
    rule("default-is-a-namespace", &with_namespace, &got)
}

pub(crate) fn app_type(case: &Value) -> Outcome {
    let target = text(case, "target");
    let kind = if text(case, "kustomize_base").is_empty() {
        let setting = TargetSetting::parse(Some(target)).expect("a target");
        setting.kind()
    } else {
        TargetKind::Kustomization
    };
    let sources = Sources {
        listed: texts(&case["sources"])
            .iter()
            .map(|text| blocks(text))
            .collect(),
        dry: Some(text(case, "hydrator_dry_source"))
            .filter(|text| !text.is_empty())
            .map(blocks),
        status_type: SourceType::parse(text(case, "status_source_type")),
        status_types: texts(&case["status_source_types"])
            .iter()
            .map(|text| SourceType::parse(text))
            .collect(),
    };
    let chosen = choose(&sources, kind, text(case, "method") == "git");
    let got = json!({
        "app_type": match chosen.app_type {
            Some(AppType::Helm) => "Helm",
            Some(AppType::Kustomize) => "Kustomize",
            Some(AppType::Plugin) => "Plugin",
            None => "unsupported",
        },
        "chosen_source": match chosen.which {
            Which::Only => "src0".to_owned(),
            Which::Listed(index) => format!("src{index}"),
            Which::Dry => "dry".to_owned(),
        },
        "source_type": match chosen.source_type {
            SourceType::Helm => "Helm",
            SourceType::Kustomize => "Kustomize",
            SourceType::Plugin => "Plugin",
            SourceType::Directory => "Directory",
            SourceType::Unknown => "",
        },
    });
    check(&case["expected"], &got)
}

fn blocks(text: &str) -> Blocks {
    Blocks {
        helm: text.contains('h'),
        kustomize: text.contains('k'),
        plugin: text.contains('p'),
    }
}
