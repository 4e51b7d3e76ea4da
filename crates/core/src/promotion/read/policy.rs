//! A policy from its parts.

use std::path::Path;
use std::sync::Arc;

use serde_json::Value;

use super::super::effective::{Effective, UpdateDemand};
use super::super::error::Findings;
use super::super::scope::{Images, Scope, Selector, allowed_registry};
use super::super::spec::{
    ApplicationSelector, ImageRule, Mode, OnRefused, Permission, Pin, PolicySpec, SubjectRule,
    Unmatched, UpdateSpec,
};
use super::{Context, Kind, ObjectId, Policy, authority, demand, not_available, profile, shape};
use crate::digest::Digest;
use crate::nearest::nearest;
use crate::strategy::Strategy;

pub(super) fn read(
    id: &ObjectId,
    value: &Value,
    context: &Context<'_>,
    findings: &mut Findings,
) -> Option<Policy> {
    empty_lists(value, findings);
    let spec: PolicySpec = shape::read("spec", value, findings)?;
    not_available(findings, "spec.suppliers".into(), spec.suppliers.as_ref());
    not_available(findings, "spec.gates".into(), spec.gates.as_ref());
    let cluster = id.kind == Some(Kind::ClusterPromotionPolicy);
    if spec.unmatched.is_some() && !cluster {
        let message = "only a ClusterPromotionPolicy says what happens to images without a policy";
        let hint = "take it out, or write a ClusterPromotionPolicy";
        findings.invalid("spec.unmatched", "", message, hint);
    }
    let spec = match spec.profile {
        Some(chosen) => profile::apply(chosen, spec, findings),
        None => spec,
    };
    let scope = Scope {
        namespace: id.namespace.clone(),
        applications: applications("spec.applications", &spec.applications, findings),
        images: images("spec.images", &spec.images, findings),
    };
    let authorities = authority::read(&spec, context, cluster, findings);
    let (signatures, unsafe_reason) = demand::signatures(&spec, &authorities, findings);
    let attestations = demand::attestations(&spec, findings);
    let verified = signatures.is_some() || !attestations.is_empty();
    let write = spec.write.clone().unwrap_or_default();
    let default_pin = match verified {
        true => Pin::TagAndDigest,
        false => Pin::Tag,
    };
    let pin = write.pin.unwrap_or(default_pin);
    if verified && pin == Pin::Tag {
        findings.weak("`write.pin: tag` writes a name that may move away from what was judged");
    }
    if spec.mode == Some(Mode::Warn) {
        findings.weak("`mode: warn` refuses nothing: failed clauses are only reported");
    }
    let effective = Effective {
        name: id.to_string(),
        hash: hash(id, value),
        mode: spec.mode.unwrap_or(Mode::Enforce),
        on_refused: spec.on_refused.unwrap_or(OnRefused::Next),
        subject: spec.subject.unwrap_or(SubjectRule::Index),
        signatures,
        unsafe_reason,
        attestations,
        update: update(spec.update.as_ref(), findings),
        allowed_registries: registries(&spec.allowed_registries, findings),
        pin,
        adopt: write.adopt.unwrap_or(false),
        forbid_digest_key: write.digest_key == Some(Permission::Forbid),
        authorities,
    };
    Some(Policy {
        id: id.clone(),
        scope,
        unmatched: cluster.then(|| spec.unmatched.unwrap_or(Unmatched::Refuse)),
        effective: Arc::new(effective),
        folder: context.folder.map(Path::to_path_buf),
        notices: std::mem::take(&mut findings.notices),
    })
}

/// Fields of `spec` that are about no other images than `images` says. Beside `allowedRegistries`
/// nothing is missing here but what is mistyped, and that may have been it.
const BOUND_TO_IMAGES: &[&str] = &[
    "profile",
    "mode",
    "onRefused",
    "unmatched",
    "applications",
    "images",
    "update",
    "write",
    "subject",
    "defaults",
    "authorities",
    "signatures",
    "unsafeNoSignatures",
    "attestations",
    "suppliers",
    "gates",
];

/// What an invalid document would say of images that no policy governs.
pub(super) fn readable_unmatched(id: &ObjectId, spec: &Value) -> Option<Unmatched> {
    match id.kind {
        Some(Kind::PromotionPolicy | Kind::PolicyException) => None,
        Some(Kind::ClusterPromotionPolicy) | None => match spec.get("unmatched") {
            Some(Value::String(word)) if word == "allow" => Some(Unmatched::Allow),
            _ => Some(Unmatched::Refuse),
        },
    }
}

/// What an invalid document is about: each part by itself, and everything where a part is broken.
pub(super) fn readable_scope(id: &ObjectId, spec: &Value) -> Scope {
    let mut findings = Findings::default();
    let list = |name: &str| spec.get(name).cloned().unwrap_or(Value::Null);
    let (selectors, rules) = (list("applications"), list("images"));
    let selectors: Option<Vec<ApplicationSelector>> = serde_json::from_value(selectors).ok();
    let rules: Option<Vec<ImageRule>> = serde_json::from_value(rules).ok();
    let selectors = applications("", &selectors.unwrap_or_default(), &mut findings);
    let selectors_broken = !findings.errors.is_empty();
    let rules = images("", &rules.unwrap_or_default(), &mut findings);
    let mut fields = spec.as_object().into_iter().flatten();
    let bound = fields.all(|(field, _)| BOUND_TO_IMAGES.contains(&field.as_str()));
    Scope {
        namespace: id.namespace.clone(),
        applications: match selectors_broken {
            true => Vec::new(),
            false => selectors,
        },
        images: match findings.errors.is_empty() && bound {
            true => rules,
            false => Vec::new(),
        },
    }
}

/// An empty list says "none" to one reader and "every one" to another, so it says nothing here.
fn empty_lists(spec: &Value, findings: &mut Findings) {
    for path in [
        "/applications",
        "/allowedRegistries",
        "/images",
        "/update/strategies",
    ] {
        let list = spec.pointer(path).and_then(Value::as_array);
        if list.is_some_and(Vec::is_empty) {
            let message = "an empty list could mean none or every one";
            let field = format!("spec{}", path.replace('/', "."));
            findings.invalid(field, "[]", message, "leave it out for every one");
        }
    }
}

pub(super) fn applications(
    at: &str,
    specs: &[ApplicationSelector],
    findings: &mut Findings,
) -> Vec<Selector> {
    let mut selectors = Vec::new();
    for (index, spec) in specs.iter().enumerate() {
        match Selector::new(spec) {
            Ok(selector) => selectors.push(selector),
            Err(problems) => {
                for (part, value, problem) in problems {
                    let hint = "leave `applications` out for every Application";
                    findings.invalid(format!("{at}[{index}]{part}"), value, problem, hint);
                }
            }
        }
    }
    selectors
}

fn images(at: &str, rules: &[ImageRule], findings: &mut Findings) -> Vec<Images> {
    let mut images = Vec::new();
    for (index, rule) in rules.iter().enumerate() {
        match Images::new(rule) {
            Ok(rule) => images.push(rule),
            Err(problems) => {
                for (part, value, problem) in problems {
                    let hint = "write `registry/repository`, such as `ghcr.io/acme/**`";
                    findings.invalid(format!("{at}[{index}]{part}"), value, problem, hint);
                }
            }
        }
    }
    images
}

fn registries(texts: &[String], findings: &mut Findings) -> Vec<String> {
    let mut allowed = Vec::new();
    for (index, text) in texts.iter().enumerate() {
        match allowed_registry(text) {
            Ok(registry) => allowed.push(registry),
            Err(problem) => {
                let field = format!("spec.allowedRegistries[{index}]");
                let hint = "write a host, or a host and whole path segments: `ghcr.io/acme`";
                findings.invalid(field, text, problem, hint);
            }
        }
    }
    allowed
}

fn update(spec: Option<&UpdateSpec>, findings: &mut Findings) -> UpdateDemand {
    let Some(spec) = spec else {
        return UpdateDemand::default();
    };
    for (name, value) in [
        ("signal", &spec.signal),
        ("rate", &spec.rate),
        ("cooldown", &spec.cooldown),
        ("windows", &spec.windows),
    ] {
        not_available(findings, format!("spec.update.{name}"), value.as_ref());
    }
    let mut demand = UpdateDemand {
        require_constraint: spec.require_constraint.unwrap_or(false),
        max_change: spec.max_change,
        forbid_prereleases: spec.prereleases == Some(Permission::Forbid),
        forbid_downgrades: spec.downgrades == Some(Permission::Forbid),
        ..UpdateDemand::default()
    };
    for (index, name) in spec.strategies.iter().enumerate() {
        match Strategy::parse_strict(name) {
            Ok(strategy) => {
                demand.strategies.insert(strategy);
            }
            Err(error) => {
                let known = Strategy::ALL.iter().map(|strategy| strategy.name());
                let hint = match nearest(name, known) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => "name a strategy".to_owned(),
                };
                let field = format!("spec.update.strategies[{index}]");
                findings.invalid(field, name, error.to_string(), hint);
            }
        }
    }
    demand
}

/// SHA-256 over kind, name and spec, with sorted keys and without nulls.
fn hash(id: &ObjectId, spec: &Value) -> Digest {
    let kind = id.kind.map_or("", Kind::name);
    let whole = serde_json::json!({ "kind": kind, "name": id.to_string(), "spec": spec });
    Digest::of(canonical(&whole).to_string().as_bytes())
}

fn canonical(value: &Value) -> Value {
    match value {
        Value::Object(map) => {
            let mut entries: Vec<_> = map.iter().filter(|(_, value)| !value.is_null()).collect();
            entries.sort_by_key(|(key, _)| *key);
            let entries = entries
                .into_iter()
                .map(|(key, value)| (key.clone(), canonical(value)));
            Value::Object(entries.collect())
        }
        Value::Array(items) => Value::Array(items.iter().map(canonical).collect()),
        other => other.clone(),
    }
}
