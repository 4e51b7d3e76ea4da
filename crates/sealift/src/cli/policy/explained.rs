//! What a policy stands for, as data: short forms written out, defaults filled in.

use sealift_core::promotion::effective::{Authority, Demand, Effective, Who};
use sealift_core::promotion::read::{Exception, Kind, ObjectId, Policy};
use sealift_core::promotion::spec::{
    FileSource, KeyRef, Permission, Sct, Transparency, TrustRootSpec,
};
use serde::Serialize;

/// One policy.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(in super::super) struct Explained {
    pub(in super::super) kind: &'static str,
    pub(in super::super) name: String,
    pub(in super::super) hash: String,
    pub(in super::super) applications: Vec<String>,
    pub(in super::super) images: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(in super::super) allowed_registries: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in super::super) unmatched: Option<String>,
    pub(in super::super) mode: String,
    pub(in super::super) on_refused: String,
    pub(in super::super) subject: String,
    pub(in super::super) write: String,
    pub(in super::super) clauses: Vec<Clause>,
    pub(in super::super) authorities: Vec<Signer>,
    pub(in super::super) warnings: Vec<String>,
}

/// One exception.
#[derive(Debug, Serialize)]
pub(in super::super) struct Waived {
    pub(in super::super) name: String,
    pub(in super::super) policy: String,
    pub(in super::super) applications: Vec<String>,
    pub(in super::super) image: String,
    pub(in super::super) clauses: Vec<String>,
    pub(in super::super) until: String,
    pub(in super::super) reason: String,
}

/// One clause that must hold.
#[derive(Debug, Serialize)]
pub(in super::super) struct Clause {
    pub(in super::super) clause: String,
    pub(in super::super) demands: String,
}

/// One authority.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(in super::super) struct Signer {
    pub(in super::super) name: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(in super::super) keys: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in super::super) issuer: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in super::super) subject: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(in super::super) claims: Vec<Claim>,
    pub(in super::super) root: String,
    pub(in super::super) time: String,
    pub(in super::super) transparency: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in super::super) sct: Option<String>,
}

/// A claim and what it may be.
#[derive(Debug, Serialize)]
pub(in super::super) struct Claim {
    pub(in super::super) claim: String,
    pub(in super::super) any: Vec<String>,
}

pub(in super::super) fn explain(policy: &Policy) -> Explained {
    let effective = &policy.effective;
    let scope = &policy.scope;
    let of = match &scope.namespace {
        Some(namespace) => format!(" in namespace {namespace}"),
        None => String::new(),
    };
    let applications = match scope.applications.as_slice() {
        [] => vec![format!("every Application{of}")],
        some => some.iter().map(|one| format!("{one}{of}")).collect(),
    };
    let images = match scope.images.as_slice() {
        [] => vec!["every image".to_owned()],
        some => some
            .iter()
            .map(|one| match one.places.as_slice() {
                [] => one.pattern.to_string(),
                places => format!(
                    "{} (signatures also in {})",
                    one.pattern,
                    places.join(" and ")
                ),
            })
            .collect(),
    };
    let warnings = policy.notices.iter().map(|notice| notice.detail.clone());
    Explained {
        kind: policy.id.kind.map_or("", Kind::name),
        name: effective.name.clone(),
        hash: effective.hash.to_string(),
        applications,
        images,
        allowed_registries: effective.allowed_registries.clone(),
        unmatched: policy.unmatched.map(word),
        mode: word(effective.mode),
        on_refused: word(effective.on_refused),
        subject: word(effective.subject),
        write: write(effective),
        clauses: clauses(effective),
        authorities: effective.authorities.values().map(signer).collect(),
        warnings: warnings.chain(weak(effective)).collect(),
    }
}

fn write(effective: &Effective) -> String {
    let mut text = word(effective.pin);
    if effective.adopt {
        text.push_str(", what runs already included");
    }
    if effective.forbid_digest_key {
        text.push_str(", never in a key by itself");
    }
    text
}

pub(in super::super) fn waived(policy: &ObjectId, exception: &Exception) -> Waived {
    let applications = exception.applications.iter().map(ToString::to_string);
    Waived {
        name: exception.id.to_string(),
        policy: policy.to_string(),
        applications: applications.collect(),
        image: format!("{}@{}", exception.image, exception.digest),
        clauses: exception.clauses.clone(),
        until: exception.until.to_string(),
        reason: exception.reason.clone(),
    }
}

/// The word that documents use for a value.
fn word(value: impl Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(text)) => text,
        Ok(other) => other.to_string(),
        Err(_) => String::new(),
    }
}

fn clauses(policy: &Effective) -> Vec<Clause> {
    let update = &policy.update;
    let strategies: Vec<_> = update.strategies.iter().map(|one| one.name()).collect();
    let forbid = || word(Permission::Forbid);
    let demands = policy.clauses().into_iter().map(|clause| {
        let attestation = clause
            .strip_prefix("attestations.")
            .and_then(|name| policy.attestations.iter().find(|one| one.name == name));
        let demands = match clause.as_str() {
            "allowedRegistries" => policy.allowed_registries.join(", "),
            "update.strategies" => strategies.join(", "),
            "update.requireConstraint" => "the image has a constraint".to_owned(),
            "update.maxChange" => update.max_change.map(word).unwrap_or_default(),
            "update.prereleases" | "update.downgrades" => forbid(),
            "signatures" => policy.signatures.as_ref().map(require).unwrap_or_default(),
            _ => attestation.map_or_else(String::new, |one| {
                format!("{}; {}", one.predicate_types, require(&one.require))
            }),
        };
        Clause { clause, demands }
    });
    demands.collect()
}

fn require(demand: &Demand) -> String {
    let names = |names: &std::collections::BTreeSet<String>| {
        names.iter().cloned().collect::<Vec<_>>().join(", ")
    };
    let mut text = format!(
        "at least {} distinct of {}",
        demand.at_least,
        names(&demand.of)
    );
    if !demand.including.is_empty() {
        text.push_str(&format!(", among them {}", names(&demand.including)));
    }
    if let Some(seconds) = demand.max_age_secs {
        let (count, unit) = match seconds {
            days if days % 86_400 == 0 => (days / 86_400, "day"),
            hours if hours % 3_600 == 0 => (hours / 3_600, "hour"),
            minutes if minutes % 60 == 0 => (minutes / 60, "minute"),
            seconds => (seconds, "second"),
        };
        let age = crate::output::counted(count.unsigned_abs(), unit);
        text.push_str(&format!(", signed at most {age} ago"));
    }
    text
}

fn signer(authority: &Authority) -> Signer {
    let (mut keys, mut issuer, mut subject, mut claims) = (Vec::new(), None, None, Vec::new());
    match &authority.who {
        Who::Keys(sources) => keys = sources.iter().map(source).collect(),
        Who::Keyless(identity) => {
            issuer = Some(identity.issuer.to_string());
            subject = Some(identity.subject.to_string());
            let named = identity.claims.iter().map(|(claim, any)| Claim {
                claim: claim.clone(),
                any: any.iter().map(ToString::to_string).collect(),
            });
            claims = named.collect();
        }
    }
    let count = |count: usize, noun: &str| crate::output::counted(count as u64, noun);
    let keyless = issuer.is_some();
    Signer {
        name: authority.name.clone(),
        keys,
        issuer,
        subject,
        claims,
        root: root(authority.root.as_ref()),
        time: format!(
            "{} and {}",
            count(authority.min_logs, "transparency log"),
            count(authority.min_timestamps, "timestamp")
        ),
        transparency: match (authority.min_logs, authority.transparency) {
            (0, _) => "no log is asked for".to_owned(),
            (_, Transparency::Proof) => "the log's proof".to_owned(),
            (_, Transparency::Promise) => "the log's promise is enough".to_owned(),
        },
        sct: keyless.then(|| word(authority.sct)),
    }
}

fn root(root: Option<&TrustRootSpec>) -> String {
    match root {
        None => "none: the key alone".to_owned(),
        Some(TrustRootSpec::PublicGood(_)) => "Sigstore public good (TUF)".to_owned(),
        Some(TrustRootSpec::Github(_)) => "GitHub (TUF)".to_owned(),
        Some(TrustRootSpec::File(file)) => source(file),
        Some(TrustRootSpec::Tuf(tuf)) => {
            format!("TUF at {}, from {}", tuf.mirror, source(&tuf.root))
        }
    }
}

fn source(source: &FileSource) -> String {
    let key = |kind: &str, KeyRef { name, key }: &KeyRef| format!("key {key} of {kind} {name}");
    match source {
        FileSource::Path(path) => format!("file {path}"),
        FileSource::Inline(_) => "written in the policy".to_owned(),
        FileSource::ConfigMapRef(reference) => key("ConfigMap", reference),
        FileSource::SecretRef(reference) => key("Secret", reference),
    }
}

/// What is valid and weaker than a reader may think.
fn weak(policy: &Effective) -> Vec<String> {
    let mut weak = Vec::new();
    for authority in policy.authorities.values() {
        let name = &authority.name;
        if authority.min_logs == 0 && authority.min_timestamps == 0 {
            weak.push(format!(
                "a signature of `{name}` proves no time: a key that was stolen and withdrawn \
                 signs on"
            ));
        }
        if authority.min_logs > 0 && authority.transparency == Transparency::Promise {
            weak.push(format!(
                "`{name}` accepts a log's promise: nobody may ever have seen the entry"
            ));
        }
        if matches!(authority.who, Who::Keyless(_)) && authority.sct == Sct::Optional {
            weak.push(format!(
                "`{name}` accepts certificates that no public log has seen"
            ));
        }
    }
    weak
}
