//! `profile: hardened`: what it stands for. What is written beside it can only tighten it.

use super::super::error::Findings;
use super::super::spec::{
    MaxChange, Mode, Permission, Pin, PolicySpec, Profile, Sct, Transparency,
};

/// Fills in what the profile demands, and refuses what would loosen it.
pub(super) fn apply(profile: Profile, mut spec: PolicySpec, findings: &mut Findings) -> PolicySpec {
    let Profile::Hardened = profile;
    if spec.mode == Some(Mode::Warn) {
        loosens(findings, "spec.mode", "warn", "enforce");
    }
    spec.mode = Some(Mode::Enforce);
    if spec.unsafe_no_signatures.is_some() {
        loosens(findings, "spec.unsafeNoSignatures", "", "signatures");
    }
    update(&mut spec, findings);
    let write = spec.write.get_or_insert_default();
    if write.pin == Some(Pin::Tag) {
        loosens(findings, "spec.write.pin", "tag", "tagAndDigest");
    }
    write.pin.get_or_insert(Pin::TagAndDigest);
    let mut check = |at: &str, transparency, sct, logs| {
        if transparency == Some(Transparency::Promise) {
            loosens(findings, &format!("{at}.transparency"), "promise", "proof");
        }
        if sct == Some(Sct::Optional) {
            loosens(findings, &format!("{at}.sct"), "optional", "required");
        }
        if logs == Some(0) {
            let field = format!("{at}.signedTime.minLogs");
            loosens(findings, &field, "0", "a proof of transparency");
        }
    };
    if let Some(defaults) = &spec.defaults {
        let logs = defaults.signed_time.and_then(|time| time.min_logs);
        check("spec.defaults", defaults.transparency, defaults.sct, logs);
    }
    for (index, authority) in spec.authorities.iter().enumerate() {
        let logs = authority.signed_time.and_then(|time| time.min_logs);
        let at = format!("spec.authorities[{index}]");
        check(&at, authority.transparency, authority.sct, logs);
    }
    spec
}

fn update(spec: &mut PolicySpec, findings: &mut Findings) {
    let update = spec.update.get_or_insert_default();
    for (index, strategy) in update.strategies.iter().enumerate() {
        if strategy != "semver" {
            let field = format!("spec.update.strategies[{index}]");
            loosens(findings, &field, strategy, "semver");
        }
    }
    if update.require_constraint == Some(false) {
        loosens(findings, "spec.update.requireConstraint", "false", "true");
    }
    if update.max_change == Some(MaxChange::Major) {
        loosens(findings, "spec.update.maxChange", "major", "minor");
    }
    for (name, permission) in [
        ("prereleases", update.prereleases),
        ("downgrades", update.downgrades),
    ] {
        if permission == Some(Permission::Allow) {
            loosens(findings, &format!("spec.update.{name}"), "allow", "forbid");
        }
    }
    update.strategies = vec!["semver".to_owned()];
    update.require_constraint = Some(true);
    update.max_change.get_or_insert(MaxChange::Minor);
    update.prereleases = Some(Permission::Forbid);
    update.downgrades = Some(Permission::Forbid);
}

fn loosens(findings: &mut Findings, field: &str, value: &str, demanded: &str) {
    findings.invalid(
        field,
        value,
        format!("this loosens `profile: hardened`, which stands for `{demanded}`"),
        "take it out, or take the profile out and write what you want",
    );
}
