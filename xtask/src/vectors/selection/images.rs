//! Runners of references and of what runs.

use sealift_core::live::{self, LiveImage};
use sealift_core::reference::{
    ConfiguredImage, KustomizeImage, Reference, has_registry_host, without_registry_host,
};
use sealift_core::strategy::Strategy;
use serde_json::{Value, json};

use super::{compare, compare_or, text, texts};
use crate::vectors::Outcome;

pub(crate) fn image_parse(case: &Value) -> Outcome {
    let input = text(case, "input");
    let (alias, reference) = Reference::parse_aliased(input);
    let got = parsed(input, alias, &reference);
    let by_rule = constraint_split_first(input).unwrap_or(Value::Null);
    compare_or(&case["expected"], &got, "constraint-split-first", &by_rule)
}

fn parsed(input: &str, alias: Option<&str>, reference: &Reference) -> Value {
    let tag = (reference.tag.is_some() || reference.digest.is_some()).then(|| {
        json!({
            "name": reference.tag.as_deref().unwrap_or_default(),
            "digest": reference.digest.as_deref().unwrap_or_default(),
        })
    });
    json!({
        "alias": alias.unwrap_or_default(),
        "full_with_tag": reference.to_string(),
        "full_without_tag": reference.full_name(),
        "name": reference.name,
        "original": input,
        "registry": reference.registry.as_deref().unwrap_or_default(),
        "string": with_alias(alias, reference),
        "tag": tag,
        "tag_with_digest": reference.tag_with_digest(),
    })
}

/// The rule: what is no tag leaves registry and name what they are with the plain tag `1.0`.
fn constraint_split_first(input: &str) -> Option<Value> {
    let (alias, image) = match input.split_once('=') {
        Some((alias, image)) => (Some(alias).filter(|a| !a.is_empty()), image),
        None => (None, input),
    };
    let path_at = image.rfind('/').map_or(0, |slash| slash + 1);
    let rest_at = path_at + image[path_at..].find([':', '@'])?;
    let (name, rest) = image.split_at(rest_at);
    let plain = format!("{name}:1.0");
    let mut reference = Reference::parse(&plain);
    if !reference.is_valid() || Reference::parse(image).is_valid() {
        return None;
    }
    let (tag, digest) = rest.split_once('@').unwrap_or((rest, ""));
    reference.tag = tag.strip_prefix(':').map(str::to_owned);
    reference.digest = Some(digest.to_owned()).filter(|digest| !digest.is_empty());
    Some(parsed(input, alias, &reference))
}

fn with_alias(alias: Option<&str>, reference: &Reference) -> String {
    alias.map_or_else(
        || reference.to_string(),
        |alias| format!("{alias}={reference}"),
    )
}

pub(crate) fn image_short_form(case: &Value) -> Outcome {
    let input = text(case, "input");
    let got = json!({
        "has_registry_prefix": has_registry_host(input),
        "short_form": without_registry_host(input),
    });
    compare(&case["expected"], &got)
}

pub(crate) fn kustomize_image_parse(case: &Value) -> Outcome {
    let image = KustomizeImage::parse(text(case, "input"));
    let got = json!({
        "name": image.name,
        "newName": image.new_name,
        "newTag": image.new_tag,
        "digest": image.digest,
    });
    compare(&case["expected"], &got)
}

pub(crate) fn tag_equality(case: &Value) -> Outcome {
    let side = |field: &str| Reference {
        tag: Some(text(&case[field], "name").to_owned()),
        digest: Some(text(&case[field], "digest").to_owned()),
        ..Reference::default()
    };
    let got = live::tags_equal(&side("a"), &side("b"));
    compare(&case["expected"], &json!(got))
}

pub(crate) fn live_image_match(case: &Value) -> Outcome {
    let live_texts = texts(case, "live");
    let live = live::live_images(live_texts.iter().copied(), &[]);
    let configured = configured(text(case, "configured"));
    let kustomize_name = text(case, "kustomize_name");
    let position = live::find_live(&live, &configured.reference, Some(kustomize_name));
    // The rule: spellings of Docker Hub are one; constraints do not change the name.
    let by_rule = [kustomize_name, text(case, "configured")]
        .into_iter()
        .filter(|wanted| !wanted.is_empty())
        .find_map(|wanted| {
            live_texts
                .iter()
                .find(|live| spelled_out(live) == spelled_out(wanted))
        });
    compare_or(
        &case["expected_match"],
        &json!(position.and_then(|position| live_texts.get(position))),
        "canonical-images",
        &json!(by_rule),
    )
}

/// `host/path` of an image as a container runtime reads it, by text alone.
fn spelled_out(written: &str) -> String {
    let image = written.split_once('=').map_or(written, |(_, image)| image);
    let path_at = image.rfind('/').map_or(0, |slash| slash + 1);
    let end = image[path_at..].find([':', '@']);
    let name = end.map_or(image, |end| &image[..path_at + end]);
    let (host, path) = match name.split_once('/') {
        Some((host, path)) if host.contains(['.', ':']) || host == "localhost" => (host, path),
        _ => ("docker.io", name),
    };
    match host {
        "docker.io" | "index.docker.io" if !path.contains('/') => {
            format!("docker.io/library/{path}")
        }
        "index.docker.io" => format!("docker.io/{path}"),
        _ => format!("{host}/{path}"),
    }
}

pub(crate) fn live_images(case: &Value) -> Outcome {
    let configured: Vec<ConfiguredImage> = texts(case, "configured")
        .into_iter()
        .map(configured)
        .collect();
    let force = case["force_update"].as_array().cloned();
    let force = force.unwrap_or_default();
    let pairs: Vec<(&ConfiguredImage, bool)> = configured
        .iter()
        .zip(force.iter().map(|force| force.as_bool().unwrap_or(false)))
        .collect();
    let status = texts(case, "status_images");
    let live = live::live_images(status.iter().copied(), &pairs);
    let printed = |(index, image): (usize, &LiveImage)| {
        let alias = |position: usize| configured.get(position)?.alias.as_deref();
        image.forced_by.map_or_else(
            || status[index].to_owned(),
            |position| with_alias(alias(position), &image.reference),
        )
    };
    let got: Vec<String> = live.iter().enumerate().map(printed).collect();
    // The rule: a forced image that runs under another spelling is not added.
    let mut by_rule: Vec<String> = status.iter().map(ToString::to_string).collect();
    for (image, force) in texts(case, "configured").into_iter().zip(&force) {
        let runs = by_rule
            .iter()
            .any(|live| spelled_out(live) == spelled_out(image));
        if force == true && !runs {
            let (alias, reference) = Reference::parse_aliased(image);
            by_rule.push(with_alias(alias, &reference.without_tag()));
        }
    }
    compare_or(
        &case["expected_live"],
        &json!(got),
        "canonical-images",
        &json!(by_rule),
    )
}

pub(crate) fn digest_live_match(case: &Value) -> Outcome {
    let live_texts = texts(case, "live");
    let live = live::live_images(live_texts.iter().copied(), &[]);
    let configured = configured(text(case, "configured"));
    let position = live::find_live_for_digest(
        &live,
        &configured.reference,
        configured.constraint.as_deref().unwrap_or_default(),
        text(case, "latest_digest"),
    );
    let got = position.and_then(|position| live_texts.get(position));
    compare(&case["expected_match"], &json!(got))
}

pub(crate) fn needs_update(case: &Value) -> Outcome {
    let configured = configured(text(case, "configured")).reference;
    let live = Reference::parse_aliased(text(case, "live")).1;
    let field = |name: &str| Some(text(case, name).to_owned()).filter(|text| !text.is_empty());
    let newest = Reference {
        tag: field("newest_tag"),
        digest: field("newest_digest"),
        ..configured.clone()
    };
    let strategy = Strategy::parse_compatible(text(case, "strategy")).0;
    let kustomize_name = text(case, "kustomize_name");
    let got = live::needs_update(strategy, &live, &newest, &configured, Some(kustomize_name));
    // The rule: a pin behind the newest tag is kept, whatever the strategy that looks at tags.
    let renamed = !kustomize_name.is_empty()
        && spelled_out(text(case, "live")) != spelled_out(text(case, "configured"));
    let pinned = strategy != Strategy::Digest && live.digest.is_some();
    let rule = if pinned {
        "pin-is-no-tag"
    } else {
        "canonical-images"
    };
    let tag_differs = live.tag.as_deref() != newest.tag.as_deref();
    let by_rule = if strategy == Strategy::Digest {
        renamed || live.digest.is_none() || live.digest != newest.digest
    } else {
        renamed || tag_differs
    };
    compare_or(&case["expected"], &json!(got), rule, &json!(by_rule))
}

fn configured(item: &str) -> ConfiguredImage {
    ConfiguredImage::parse_item(item).unwrap_or_else(|error| panic!("{error}"))
}
