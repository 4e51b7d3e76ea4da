//! Authorities: whether what was proven of an item is the word of somebody that the policy names.
//!
//! The one place where an identity is matched. It cannot be skipped: only [`Authority::accepts`]
//! makes a [`Vouched`], and clauses count nothing else.

use std::sync::Arc;

use jiff::Timestamp;
use sealift_core::digest::Digest;
use sealift_core::promotion::effective::{Authority as Demands, Who};
use sealift_core::promotion::identity::Identity;
use sealift_core::promotion::spec::{FileSource, Sct as SctDemand, Transparency, TrustRootSpec};
use sealift_core::reason::Reason;

use crate::certificate::Holder;
use crate::facts::{Facts, Sct, Signer};
use crate::failure::{Failure, Stage};
use crate::key::PublicKey;
use crate::trust_root::TrustRoot;

/// Where keys and roots that a policy names are looked up. The program reads them before it judges.
pub trait Materials {
    /// The text of a key file that policy `policy` names.
    ///
    /// # Errors
    /// Why it is not there.
    fn key(&self, policy: &str, source: &FileSource) -> Result<Arc<[u8]>, String>;

    /// A trust root that policy `policy` names.
    ///
    /// # Errors
    /// Why it is not there: `trust-root-unavailable` or `trust-root-expired`, and the particulars.
    fn root(&self, policy: &str, spec: &TrustRootSpec) -> Result<Arc<TrustRoot>, (Reason, String)>;
}

/// An authority with its keys and roots at hand.
#[derive(Debug, Clone)]
pub(crate) struct Authority {
    pub(crate) name: String,
    demands: Demands,
    keys: Vec<PublicKey>,
    root: Option<Arc<TrustRoot>>,
    /// Why nothing can be its word.
    broken: Option<Failure>,
}

/// The word of an authority.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Vouched {
    /// The authority.
    pub authority: String,
    /// Who that was: a key's fingerprint, or a certificate's subject.
    pub signer: String,
    /// The issuer of the certificate's identity.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub issuer: Option<String>,
    /// The earliest proven time of signing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signed_at: Option<Timestamp>,
    /// Distinct transparency logs that count.
    pub logs: usize,
    /// Distinct timestamp authorities.
    pub timestamps: usize,
    /// SHA-256 of the item.
    pub item: Digest,
}

impl Authority {
    pub(crate) fn new(policy: &str, demands: &Demands, materials: &dyn Materials) -> Self {
        let mut broken = None;
        let mut keys = Vec::new();
        if let Who::Keys(sources) = &demands.who {
            for source in sources {
                let read = materials.key(policy, source).and_then(|text| {
                    PublicKey::parse_all(&text).map_err(|error| error.to_string())
                });
                match read {
                    Ok(read) => keys.extend(read),
                    Err(problem) => broken = Some(unavailable(Reason::KeyUnavailable, problem)),
                }
            }
        }
        let root = demands
            .root
            .as_ref()
            .map(|spec| materials.root(policy, spec));
        let root = root.transpose().unwrap_or_else(|(reason, problem)| {
            broken = Some(unavailable(reason, problem));
            None
        });
        Self {
            name: demands.name.clone(),
            demands: demands.clone(),
            keys,
            root,
            broken,
        }
    }

    /// All that its answers depend on besides the policy's own text.
    pub(crate) fn materials(&self) -> String {
        let root = self.root.as_ref().map(|root| root.hash());
        let keys: Vec<_> = self.keys.iter().map(PublicKey::fingerprint).collect();
        format!("{} {keys:?} {root:?} {}", self.name, self.broken.is_some())
    }

    pub(crate) const fn broken(&self) -> Option<&Failure> {
        self.broken.as_ref()
    }

    pub(crate) fn keys(&self) -> &[PublicKey] {
        &self.keys
    }

    pub(crate) const fn root(&self) -> Option<&Arc<TrustRoot>> {
        self.root.as_ref()
    }

    pub(crate) const fn is_keyless(&self) -> bool {
        matches!(self.demands.who, Who::Keyless(_))
    }

    /// Whether it demands any proof of a time: only then an age can be told.
    pub(crate) const fn proves_time(&self) -> bool {
        self.demands.min_logs + self.demands.min_timestamps > 0
    }

    /// Whether `facts` are its word. `tag`: of the image that is judged.
    pub(crate) fn accepts(
        &self,
        facts: &Facts,
        item: Digest,
        tag: Option<&str>,
        now: Timestamp,
    ) -> Result<Vouched, Failure> {
        self.check_identity(facts, tag)?;
        self.check_witnesses(facts)?;
        if let Some(late) = facts.times.iter().find(|time| **time > now) {
            let detail = format!("it was signed at {late}, and it is {now} now");
            return Err(Failure::new(Stage::Threshold, Reason::TimeInFuture, detail));
        }
        let (signer, issuer) = match &facts.signer {
            Signer::Key(fingerprint) => (fingerprint.to_string(), None),
            Signer::Holder(holder) => (holder.subject.clone(), holder.issuer.clone()),
        };
        Ok(Vouched {
            authority: self.name.clone(),
            signer,
            issuer,
            signed_at: facts.times.first().copied(),
            logs: self.logs(facts),
            timestamps: facts.timestamps.len(),
            item,
        })
    }

    fn check_identity(&self, facts: &Facts, tag: Option<&str>) -> Result<(), Failure> {
        match (&self.demands.who, &facts.signer) {
            (Who::Keyless(identity), Signer::Holder(holder)) => matches(identity, holder, tag),
            (Who::Keys(_), Signer::Key(signer)) => {
                let known = self.keys.iter().any(|key| key.fingerprint() == *signer);
                let detail = format!("it was signed with key {signer}");
                known
                    .then_some(())
                    .ok_or_else(|| stranger(Reason::KeyMismatch, detail))
            }
            (Who::Keyless(_), Signer::Key(_)) => {
                let detail = "it was signed with a key, and a certificate is wanted";
                Err(stranger(Reason::IdentityMismatch, detail))
            }
            (Who::Keys(_), Signer::Holder(_)) => {
                let detail = "it was signed with a certificate, and a key is wanted";
                Err(stranger(Reason::KeyMismatch, detail))
            }
        }
    }

    fn logs(&self, facts: &Facts) -> usize {
        match self.demands.transparency {
            Transparency::Proof => facts.proofs.len(),
            Transparency::Promise => facts.promises.len(),
        }
    }

    fn check_witnesses(&self, facts: &Facts) -> Result<(), Failure> {
        let aside = |reasons: &[Reason]| {
            let found = facts.aside.iter().find(|one| reasons.contains(&one.reason));
            found.cloned().map(|mut failure| {
                failure.stage = Stage::Threshold;
                failure
            })
        };
        let few = |reason, detail| Failure::new(Stage::Threshold, reason, detail);
        let (logs, wanted) = (self.logs(facts), self.demands.min_logs);
        if logs < wanted {
            if facts.promises.len() >= wanted {
                let detail = "the log's promise is there, and no proof that it was kept";
                return Err(few(Reason::LogProofMissing, detail.to_owned()));
            }
            const ABOUT_LOGS: &[Reason] = &[
                Reason::LogUnknown,
                Reason::LogProofInvalid,
                Reason::LogProofMissing,
                Reason::LogEntryMismatch,
                Reason::EvidenceUnsupported,
                Reason::EvidenceMalformed,
                Reason::SignatureInvalid,
                Reason::TimeInFuture,
            ];
            let detail = format!("{logs} transparency logs hold it, {wanted} are wanted");
            return Err(aside(ABOUT_LOGS).unwrap_or_else(|| few(Reason::LogsTooFew, detail)));
        }
        let (stamps, wanted) = (facts.timestamps.len(), self.demands.min_timestamps);
        if stamps < wanted {
            let detail = format!("{stamps} timestamp authorities saw it, {wanted} are wanted");
            let failure = aside(&[Reason::TimestampInvalid]);
            return Err(failure.unwrap_or_else(|| few(Reason::TimestampsTooFew, detail)));
        }
        if self.is_keyless() && self.demands.sct == SctDemand::Required {
            match facts.sct {
                Sct::Proven => {}
                Sct::Missing => {
                    let detail = "its certificate carries no signed certificate timestamp";
                    return Err(few(Reason::SctMissing, detail.to_owned()));
                }
                Sct::Invalid => {
                    let detail =
                        "its certificate's timestamp is of no certificate log that is known";
                    return Err(few(Reason::SctInvalid, detail.to_owned()));
                }
            }
        }
        Ok(())
    }
}

fn matches(identity: &Identity, holder: &Holder, tag: Option<&str>) -> Result<(), Failure> {
    let issuer = holder.issuer.as_deref();
    if !issuer.is_some_and(|issuer| identity.issuer.matches(issuer, tag)) {
        let detail = format!(
            "its identity comes from `{}`, and `{}` is wanted",
            issuer.unwrap_or("nobody"),
            identity.issuer
        );
        return Err(stranger(Reason::IssuerMismatch, detail));
    }
    if !identity.subject.matches(&holder.subject, tag) {
        let (found, wanted) = (&holder.subject, &identity.subject);
        let detail = format!("signed by `{found}`, and `{wanted}` is wanted");
        return Err(stranger(Reason::IdentityMismatch, detail));
    }
    for (name, wanted) in &identity.claims {
        let found = holder.claims.get(name.as_str());
        let fits = |text: &String| wanted.iter().any(|pattern| pattern.matches(text, tag));
        if !found.is_some_and(fits) {
            let wanted: Vec<_> = wanted.iter().map(ToString::to_string).collect();
            let found = found.map_or("is missing".to_owned(), |text| format!("is `{text}`"));
            let detail = format!(
                "claim `{name}` {found}, and `{}` is wanted",
                wanted.join("` or `")
            );
            return Err(stranger(Reason::ClaimMismatch, detail));
        }
    }
    Ok(())
}

fn stranger(reason: Reason, detail: impl Into<String>) -> Failure {
    Failure::new(Stage::Identity, reason, detail)
}

fn unavailable(reason: Reason, problem: String) -> Failure {
    Failure::new(Stage::Count, reason, problem)
}
