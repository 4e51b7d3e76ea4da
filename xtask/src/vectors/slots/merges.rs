//! Changes of an Application's own source.

use sealift_core::manifest::{HelmParameter, PluginVariable};
use sealift_core::reference::Reference;
use sealift_core::slot::merge::{
    HelmKeys, helm_parameters_say, kustomize_images_say, set_helm_parameters, set_kustomize_image,
};
use serde_json::{Value, json};

use super::{check, failed, helm_names, name, rule, text, texts};
use crate::vectors::Outcome;

/// Reads a list of `{name, value, forceString}`.
pub(crate) fn parameters(value: &Value) -> Vec<HelmParameter> {
    let items = value.as_array().map(Vec::as_slice).unwrap_or_default();
    let parameter = |item: &Value| HelmParameter {
        name: text(item, "name").to_owned(),
        value: text(item, "value").to_owned(),
        force_string: item["forceString"] == true,
    };
    items.iter().map(parameter).collect()
}

/// Reads a list of `[name, value]`.
pub(crate) fn variables(value: &Value) -> Vec<PluginVariable> {
    let items = value.as_array().map(Vec::as_slice).unwrap_or_default();
    let variable = |item: &Value| PluginVariable {
        name: item[0].as_str().unwrap_or_default().to_owned(),
        value: item[1].as_str().unwrap_or_default().to_owned(),
    };
    items.iter().map(variable).collect()
}

pub(crate) fn helm_param_names(case: &Value) -> Outcome {
    let names = helm_names(case);
    let (name, tag) = match names.keys() {
        HelmKeys::Spec(spec) => (spec, ""),
        HelmKeys::Parts { name, tag, .. } => (name, tag),
    };
    check(
        &case["expected"],
        &json!({"name_param": name, "tag_param": tag}),
    )
}

pub(crate) fn helm_params(case: &Value) -> Outcome {
    let names = helm_names(case);
    let new = Reference::parse(text(case, "new_image"));
    let old = parameters(&case["parameters"]);
    let merged: Vec<Value> = set_helm_parameters(&old, &names, &new)
        .iter()
        .map(|parameter| {
            json!({"name": parameter.name, "value": parameter.value,
                "forceString": parameter.force_string})
        })
        .collect();
    let previous = helm_parameters_say(&old, &names).unwrap_or_default();
    let got = json!({"parameters": merged, "previous": previous});
    let expected = &case["expected"];
    if got == *expected {
        return Outcome::Passed;
    }
    match &names.spec {
        Some(spec) if spec.trim() != spec => {
            let trimmed = json!({"name": spec.trim(), "value": new.to_string(),
                "forceString": true});
            rule("names-are-trimmed", &true, &merged.contains(&trimmed))
        }
        _ => failed(expected, &got),
    }
}

pub(crate) fn kustomize_set_image(case: &Value) -> Outcome {
    let kustomize_name = name(case, "kustomize_name");
    let kustomize_name = kustomize_name.as_deref();
    let new = Reference::parse(text(case, "new_image"));
    let old = texts(&case["spec_images"]);
    let images = set_kustomize_image(&old, kustomize_name, &new);
    let previous = kustomize_images_say(&old, kustomize_name, &new).unwrap_or_default();
    let got = json!({"images": images, "previous": previous});
    if got == case["expected"] {
        return Outcome::Passed;
    }
    // Entries of another registry, or of another host and port, are other entries.
    let mut kept: Vec<String> = Vec::new();
    let mut text = new.to_string();
    if let Some(name) = kustomize_name {
        text = format!("{name}={text}");
    }
    let mut found = false;
    for entry in &old {
        let (alias, reference) = Reference::parse_aliased(entry);
        let told = kustomize_name.is_some();
        let image = match told {
            true => reference.name == new.name,
            false => reference.canonical() == new.canonical(),
        };
        let ours = image && (alias.is_none() || !told || alias == kustomize_name)
            || told && alias == kustomize_name;
        found |= ours;
        kept.push(if ours { text.clone() } else { entry.clone() });
    }
    if !found {
        kept.push(text);
    }
    rule("registries-are-compared", &kept, &images)
}
