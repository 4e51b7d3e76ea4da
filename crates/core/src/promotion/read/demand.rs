//! What must be there: signatures and attestations, how many, by whom, how old.

use std::collections::{BTreeMap, BTreeSet};

use super::super::effective::{AttestationDemand, Authority, Demand};
use super::super::error::Findings;
use super::super::predicate::{PredicateTypes, SIGNATURE_TYPE};
use super::super::spec::{PolicySpec, Require};
use super::not_available;
use crate::nearest::nearest;
use crate::reason::Reason;

type Authorities = BTreeMap<String, Authority>;

/// The demand for signatures, or why there is none: exactly one of them.
pub(super) fn signatures(
    spec: &PolicySpec,
    authorities: &Authorities,
    findings: &mut Findings,
) -> (Option<Demand>, Option<String>) {
    let (signatures, unsafe_none) = (&spec.signatures, &spec.unsafe_no_signatures);
    if signatures.is_some() == unsafe_none.is_some() {
        let message = match signatures.is_some() {
            true => "signatures are demanded and not demanded",
            false => "the policy demands no signature and does not say so",
        };
        let hint = "write `signatures`, or `unsafeNoSignatures: { reason: … }`; not both";
        findings.invalid("spec.signatures", "", message, hint);
    }
    if let Some(none) = unsafe_none {
        let reason = none.reason.trim();
        if reason.is_empty() {
            let field = "spec.unsafeNoSignatures.reason";
            findings.invalid(field, "", "the reason is empty", "say why");
        }
        findings.weak(format!("no signature is demanded: {reason}"));
    }
    let demand = signatures.as_ref().map(|spec_signatures| {
        let at = "spec.signatures";
        let mut demand = require(at, &spec_signatures.require, spec, findings);
        if let Some(text) = &spec_signatures.max_age {
            demand.max_age_secs = age(&format!("{at}.maxAge"), text, findings);
            timeless(at, &demand, authorities, findings);
        }
        demand
    });
    unused(spec, findings);
    (demand, unsafe_none.as_ref().map(|none| none.reason.clone()))
}

pub(super) fn attestations(spec: &PolicySpec, findings: &mut Findings) -> Vec<AttestationDemand> {
    let mut names = BTreeSet::new();
    let mut demands = Vec::new();
    for (index, one) in spec.attestations.iter().enumerate() {
        let at = format!("spec.attestations[{index}]");
        for (part, value) in [
            ("maxAge", &one.max_age),
            ("slsa", &one.slsa),
            ("where", &one.conditions),
            ("sbom", &one.sbom),
            ("vulnerabilities", &one.vulnerabilities),
        ] {
            not_available(findings, format!("{at}.{part}"), value.as_ref());
        }
        // A dot would make one clause the group of another.
        let plain = |character: char| character.is_ascii_alphanumeric() || "-_".contains(character);
        if one.name.is_empty() || !one.name.chars().all(plain) {
            let hint = "use letters, digits, `-` and `_`: exceptions call it by its name";
            let message = "this is no name of a demand";
            findings.invalid(format!("{at}.name"), &one.name, message, hint);
        } else if !names.insert(&one.name) {
            let message = format!("there are two demands `{}`", one.name);
            findings.invalid(format!("{at}.name"), &one.name, message, "rename one");
        }
        let mut types = PredicateTypes::default();
        for (number, text) in one.predicate_types.iter().enumerate() {
            let field = format!("{at}.predicateTypes[{number}]");
            if text == SIGNATURE_TYPE {
                let message = "this is the type of signatures, not of attestations";
                findings.invalid(field, text, message, "demand it with `signatures`");
            } else if let Err(hint) = types.add(text) {
                let message = format!("`{text}` is no predicate type");
                findings.invalid(field, text, message, hint);
            }
        }
        if one.predicate_types.is_empty() {
            let field = format!("{at}.predicateTypes");
            let hint = "name one, such as `slsaprovenance1`";
            findings.invalid(field, "[]", "no predicate type is named", hint);
        }
        demands.push(AttestationDemand {
            name: one.name.clone(),
            predicate_types: types,
            require: require(&at, &one.require, spec, findings),
        });
    }
    demands
}

fn require(at: &str, require: &Require, spec: &PolicySpec, findings: &mut Findings) -> Demand {
    let at = format!("{at}.require");
    let of = names(&format!("{at}.of"), &require.of, spec, findings);
    let including = names(
        &format!("{at}.including"),
        &require.including,
        spec,
        findings,
    );
    for name in including.difference(&of) {
        let message = format!("`{name}` must be among them and is not in `of`");
        findings.invalid(format!("{at}.including"), name, message, "add it to `of`");
    }
    let at_least = usize::try_from(require.at_least).unwrap_or(usize::MAX);
    let field = format!("{at}.atLeast");
    if require.of.is_empty() {
        let hint = "name authorities";
        let message = "nobody is named, so nobody can sign";
        findings.error(
            Reason::ThresholdUnreachable,
            format!("{at}.of"),
            Some(&"[]"),
            message,
            hint,
        );
    } else if at_least == 0 {
        let hint = "write at least 1; to demand no signature say `unsafeNoSignatures`";
        findings.invalid(field, 0, "0 demands nothing", hint);
    } else if at_least > of.len() && of.len() == require.of.len() {
        let message = format!(
            "{at_least} distinct signers are demanded, and `of` has only {}",
            of.len()
        );
        let hint = "name more authorities or keys, or demand fewer";
        findings.error(
            Reason::ThresholdUnreachable,
            field,
            Some(&at_least),
            message,
            hint,
        );
    }
    Demand {
        at_least,
        of,
        including,
        max_age_secs: None,
    }
}

fn names(
    at: &str,
    listed: &[String],
    spec: &PolicySpec,
    findings: &mut Findings,
) -> BTreeSet<String> {
    let known = || spec.authorities.iter().map(|one| one.name.as_str());
    let mut names = BTreeSet::new();
    for (index, name) in listed.iter().enumerate() {
        let field = format!("{at}[{index}]");
        if !known().any(|known| known == name) {
            let hint = match nearest(name, known()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => "define it under `authorities`".to_owned(),
            };
            let message = format!("there is no authority `{name}`");
            findings.invalid(field, name, message, hint);
        } else if !names.insert(name.clone()) {
            let message = format!("`{name}` is named twice and counts once");
            findings.invalid(field, name, message, "name each once");
        }
    }
    names
}

/// An age counts from a proven time. A signer that proves none is not bound by it, which is weaker
/// than it looks; where nobody proves one, the age demands nothing.
fn timeless(at: &str, demand: &Demand, authorities: &Authorities, findings: &mut Findings) {
    let proves_none = |name: &&String| {
        let authority = authorities.get(*name);
        authority.is_some_and(|one| one.min_logs == 0 && one.min_timestamps == 0)
    };
    let timeless: Vec<&String> = demand.of.iter().filter(proves_none).collect();
    if timeless.len() == demand.of.len() && !timeless.is_empty() {
        let message = "an age counts from a proven time, and nobody in `of` proves one";
        let hint = "give an authority `signedTime`, or take `maxAge` out";
        findings.invalid(format!("{at}.maxAge"), "", message, hint);
        return;
    }
    for name in timeless {
        findings.weak(format!(
            "`maxAge` does not bind `{name}`, which proves no time of signing"
        ));
    }
}

/// An authority that nothing refers to looks like a demand and is none.
fn unused(spec: &PolicySpec, findings: &mut Findings) {
    let requires = spec
        .signatures
        .iter()
        .map(|signatures| &signatures.require)
        .chain(spec.attestations.iter().map(|one| &one.require));
    let used: BTreeSet<&String> = requires.flat_map(|require| &require.of).collect();
    for authority in &spec.authorities {
        if !used.contains(&authority.name) {
            findings.weak(format!("nothing refers to authority `{}`", authority.name));
        }
    }
}

fn age(at: &str, text: &str, findings: &mut Findings) -> Option<i64> {
    let age = seconds(text);
    if age.is_none() {
        let hint = "write numbers with `d`, `h`, `m` or `s`, such as `90d` or `1h30m`";
        findings.invalid(at, text, format!("`{text}` is no duration"), hint);
    }
    age
}

/// `90d`, `12h`, `1h30m`: whole numbers with units, more than nothing in all.
fn seconds(text: &str) -> Option<i64> {
    let mut rest = text;
    let mut total = 0_i64;
    while !rest.is_empty() {
        let digits = rest.find(|character: char| !character.is_ascii_digit())?;
        let (number, behind) = rest.split_at(digits);
        let mut characters = behind.chars();
        let unit = match characters.next()? {
            'd' => 86_400,
            'h' => 3_600,
            'm' => 60,
            's' => 1,
            _ => return None,
        };
        let number: i64 = number.parse().ok()?;
        total = total.checked_add(number.checked_mul(unit)?)?;
        rest = characters.as_str();
    }
    (total > 0).then_some(total)
}

#[cfg(test)]
mod tests {
    use super::seconds;

    #[test]
    fn durations_are_whole_numbers_with_units() {
        assert_eq!(seconds("90d"), Some(90 * 86_400));
        assert_eq!(seconds("1h30m"), Some(5_400));
        for text in [
            "",
            "90",
            "d",
            "-1d",
            "1.5h",
            "0d",
            "1w",
            "99999999999999999999d",
            "1d ",
        ] {
            assert_eq!(seconds(text), None, "{text}");
        }
    }
}
