//! `cargo xtask layouts [DIR]`: images signed by real tools, each judged by the policy that its
//! `meta.json` implies, and by that policy with one demand changed at a time.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use jiff::Timestamp;
use sealift_core::evidence::Evidence;
use sealift_core::reason::Reason;
use sealift_registry::Layout;
use sealift_trust::{Case, Judge, Policy};
use serde_json::{Value, json};

use super::{Counts, Files, judged, policy};

/// A key that signed nothing here.
const STRANGER: &str = "-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAERJcP8EGRwJ29ZdvAZRKXO1vO4cEx
PwXXInQiGRkL8qy0noGyj8XP1qvzhx8ydIKVNCSl01zf64cm0BvU40rDLA==
-----END PUBLIC KEY-----
";

/// `cargo xtask layouts`
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// A folder of image layouts; by default those of the tests.
    folder: Option<PathBuf>,
}

pub(crate) fn command(arguments: &Arguments) -> Result<bool> {
    let own = sealift_testkit::signed::folder();
    run(arguments.folder.as_deref().unwrap_or(&own)).map(Counts::close)
}

/// Judges every layout below `folder`.
pub(crate) fn run(folder: &Path) -> Result<Counts> {
    let entries = fs::read_dir(folder).with_context(|| folder.display().to_string())?;
    let mut layouts: Vec<PathBuf> = entries
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<_, _>>()?;
    layouts.retain(|path| path.join("meta.json").exists());
    layouts.sort();
    let mut counts = Counts::default();
    for path in layouts {
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let layout = Signed::open(&path).with_context(|| name.clone())?;
        for expectation in layout.expectations() {
            let Expectation { what, spec, reason } = expectation;
            let got = layout
                .judge(&spec)
                .with_context(|| format!("{name}: {what}"))?;
            let problem = match (reason, got) {
                (None, None) => None,
                (Some(wanted), Some((got, _))) if wanted == got => None,
                (None, Some((_, text))) => Some(format!("refused: {text}")),
                (Some(wanted), None) => Some(format!("trusted; `{wanted}` is wanted")),
                (Some(wanted), Some((_, text))) => Some(format!("`{wanted}` is wanted: {text}")),
            };
            counts.note(&format!("{name}: {what}"), problem);
        }
    }
    Ok(counts)
}

/// One accepted judgement for each signed layout: what `bench judge` repeats.
pub(crate) struct Repeated {
    /// Name of the layout.
    pub(crate) name: String,
    /// Whether certificates signed it.
    pub(crate) keyless: bool,
    evidence: Evidence,
    policy: Policy,
}

impl Repeated {
    /// Judges once; whether it was trusted.
    pub(crate) fn judge(&self, judge: &Judge) -> bool {
        let case = Case {
            digest: self.evidence.subject,
            tag: Some("v1.2.3"),
            evidence: &self.evidence,
            platforms: &[],
            change: None,
        };
        judged(judge, &case, &self.policy).is_none()
    }

    /// Items of evidence that hang on the image.
    pub(crate) fn items(&self) -> usize {
        self.evidence.items.len()
    }
}

/// Every signed layout of the tests, with the policy that it satisfies.
pub(crate) fn repeated() -> Result<Vec<Repeated>> {
    let mut all = Vec::new();
    for name in sealift_testkit::signed::names() {
        let layout = Signed::open(&sealift_testkit::signed::folder().join(&name))?;
        if layout.meta["signature"] == true {
            let spec = signatures(&layout.authority());
            all.push(Repeated {
                keyless: layout.meta["identity"].is_object(),
                policy: policy(&spec, &layout.files, Timestamp::now())?,
                evidence: layout.evidence,
                name,
            });
        }
    }
    Ok(all)
}

/// A layout with what it says of itself.
struct Signed {
    meta: Value,
    files: Files,
    evidence: Evidence,
    platforms: Vec<Evidence>,
}

/// A policy and what must come of it; no reason: trusted.
struct Expectation {
    what: String,
    spec: Value,
    reason: Option<Reason>,
}

impl Signed {
    fn open(path: &Path) -> Result<Self> {
        let meta: Value = serde_json::from_slice(&fs::read(path.join("meta.json"))?)?;
        let layout = Layout::open(path)?;
        let subject = fs::read_to_string(path.join("subject.txt"))?
            .trim()
            .parse()?;
        let platforms = layout.platform_manifests(subject)?;
        let mut files = Files::default();
        files.add("root", &path.join("trusted_root.json"))?;
        let public_good = sigstore_verify::trust_root::SIGSTORE_PRODUCTION_TRUSTED_ROOT;
        files.0.insert("other-root".to_owned(), public_good.into());
        if meta["key"].is_string() {
            files.add("key", &path.join("cosign.pub"))?;
        }
        Ok(Self {
            meta,
            files,
            evidence: layout.evidence(subject),
            platforms: platforms
                .iter()
                .map(|one| layout.evidence(one.digest))
                .collect(),
        })
    }

    fn judge(&self, spec: &Value) -> Result<Option<(Reason, String)>> {
        let policy = policy(spec, &self.files, Timestamp::now())?;
        let case = Case {
            digest: self.evidence.subject,
            tag: Some("v1.2.3"),
            evidence: &self.evidence,
            platforms: &self.platforms,
            change: None,
        };
        Ok(judged(&Judge::default(), &case, &policy))
    }

    fn expectations(&self) -> Vec<Expectation> {
        let mut all = Vec::new();
        let signed = self.meta["signature"] == true;
        if self.holder().is_none() {
            let stranger = json!({ "name": "signer", "key": { "inline": STRANGER },
                "signedTime": { "minLogs": 0, "minTimestamps": 0 } });
            let spec = signatures(&stranger);
            all.push(Expectation::new(
                "unsigned",
                spec,
                Some(Reason::SignatureMissing),
            ));
            return all;
        }
        let right = self.authority();
        match signed {
            true => {
                all.push(Expectation::new("signature", signatures(&right), None));
                self.changed(&mut all, "signature", &right, &signatures);
                let of_platforms = |rule: &str| {
                    let mut spec = signatures(&right);
                    spec["subject"] = json!(rule);
                    spec
                };
                all.push(Expectation::new(
                    "on platforms",
                    of_platforms("platforms"),
                    None,
                ));
                all.push(Expectation::new("on either", of_platforms("either"), None));
            }
            false => all.push(Expectation::new(
                "no signature",
                signatures(&right),
                Some(Reason::SignatureMissing),
            )),
        }
        let attested: Vec<&str> = self.meta["attests"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        for kind in &attested {
            let spec = |authority: &Value| attestation(authority, kind);
            all.push(Expectation::new(kind, spec(&right), None));
            self.changed(&mut all, kind, &right, &spec);
        }
        let other = match attested.is_empty() {
            true => Reason::AttestationMissing,
            false => Reason::PredicateMismatch,
        };
        let spec = attestation(&right, "https://predicates.test/other");
        all.push(Expectation::new(
            "another predicate type",
            spec,
            Some(other),
        ));
        all
    }

    /// The policy with each single demand changed.
    fn changed(
        &self,
        all: &mut Vec<Expectation>,
        what: &str,
        right: &Value,
        spec: &dyn Fn(&Value) -> Value,
    ) {
        let mut push = |change: &str, reason: Reason, edit: &dyn Fn(&mut Value)| {
            let mut authority = right.clone();
            edit(&mut authority);
            let what = format!("{what}, {change}");
            all.push(Expectation::new(&what, spec(&authority), Some(reason)));
        };
        let (logged, stamped) = (self.is_logged(), self.meta["tsa"] == true);
        let root = |authority: &mut Value| {
            authority["trustRoot"] = json!({ "file": { "path": "root" } });
        };
        if self.meta["key"].is_string() {
            push("another key", Reason::KeyMismatch, &|one| {
                one["key"] = json!({ "inline": STRANGER });
            });
        } else {
            push("another identity", Reason::IdentityMismatch, &|one| {
                one["keyless"]["subject"] =
                    json!(format!("{}x", self.holder().unwrap_or_default()));
            });
            push("another issuer", Reason::IssuerMismatch, &|one| {
                one["keyless"]["issuer"] = json!("https://issuer.test");
            });
            if self.meta["sct"] != true {
                push("an SCT", Reason::SctMissing, &|one| {
                    one["sct"] = json!("required")
                });
            }
        }
        if logged || stamped {
            let reason = match (stamped && self.meta["identity"].is_object(), logged) {
                (true, _) | (false, false) => Reason::TimestampInvalid,
                (false, true) => Reason::LogUnknown,
            };
            push("another root", reason, &|one| {
                one["trustRoot"] = json!({ "file": { "path": "other-root" } });
            });
        }
        push("one more log", Reason::LogsTooFew, &|one| {
            root(one);
            one["signedTime"]["minLogs"] = json!(u32::from(logged) + 1);
        });
        push("one more timestamp", Reason::TimestampsTooFew, &|one| {
            root(one);
            one["signedTime"]["minTimestamps"] = json!(u32::from(stamped) + 1);
        });
        if self.is_promised() {
            push("a proof", Reason::LogProofMissing, &|one| {
                one["transparency"] = json!("proof")
            });
        }
    }

    /// The authority that signed.
    fn authority(&self) -> Value {
        let (logged, stamped) = (self.is_logged(), self.meta["tsa"] == true);
        let mut authority = json!({
            "name": "signer",
            "signedTime": { "minLogs": u32::from(logged), "minTimestamps": u32::from(stamped) },
        });
        match self.meta["key"].is_string() {
            true => authority["key"] = json!({ "path": "key" }),
            false => {
                let identity = &self.meta["identity"];
                authority["keyless"] =
                    json!({ "issuer": identity["issuer"], "subject": identity["san"] });
                let sct = match self.meta["sct"] == true {
                    true => "required",
                    false => "optional",
                };
                authority["sct"] = json!(sct);
            }
        }
        if logged || stamped || !self.meta["key"].is_string() {
            authority["trustRoot"] = json!({ "file": { "path": "root" } });
        }
        if self.is_promised() {
            authority["transparency"] = json!("promise");
        }
        authority
    }

    fn holder(&self) -> Option<&str> {
        let identity = self.meta["identity"]["san"].as_str();
        identity.or_else(|| self.meta["key"].as_str())
    }

    fn is_logged(&self) -> bool {
        self.meta["log"].is_string()
    }

    /// The older form keeps the log's promise only.
    fn is_promised(&self) -> bool {
        let forms = self.meta["signature_forms"].as_array();
        let is_older = |form: &Value| form == ".sig";
        self.is_logged() && forms.is_some_and(|forms| forms.iter().any(is_older))
    }
}

impl Expectation {
    fn new(what: &str, spec: Value, reason: Option<Reason>) -> Self {
        let what = what.to_owned();
        Self { what, spec, reason }
    }
}

fn signatures(authority: &Value) -> Value {
    json!({
        "authorities": [authority],
        "signatures": { "require": { "atLeast": 1, "of": ["signer"] } },
    })
}

fn attestation(authority: &Value, kind: &str) -> Value {
    json!({
        "authorities": [authority],
        "unsafeNoSignatures": { "reason": "an attestation is judged" },
        "attestations": [{
            "name": "one", "predicateTypes": [kind],
            "require": { "atLeast": 1, "of": ["signer"] },
        }],
    })
}
