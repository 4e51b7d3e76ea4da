//! All policies in force, and which of them govern an image of an Application.
//!
//! Scopes add up: every policy that fits must hold. A policy whose edit is invalid stays as it was;
//! where there is no earlier one, everything that it would be about is refused.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::Value;

use super::effective::Effective;
use super::error::{Findings, PolicyError};
use super::read::{Context, Document, Exception, Kind, ObjectId, Policy, Rejected, read};
use super::scope::{Scope, Subject, registry_allows};
use super::spec::{Mode, OnRefused, Pin, Unmatched};
use crate::digest::Digest;
use crate::limits::POLICIES_MAX;
use crate::reason::Reason;
use crate::reference::Canonical;

/// A document as it came, for [`PolicySet::update`].
#[derive(Debug, Clone)]
pub struct PolicyDocument {
    /// Where it stands, for messages.
    pub origin: String,
    /// The folder of the file it came from, so that it may name files beside it.
    pub folder: Option<PathBuf>,
    /// What it says, or why that cannot be read although it is, or may be, a policy.
    pub object: Result<Value, String>,
}

/// Something to say about a document.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct PolicyFinding {
    /// Where the document stands.
    pub origin: String,
    /// Which object it is, as far as that can be read.
    pub name: String,
    /// `policy-invalid`, `policy-last-good`, `policy-unsafe`, `exception-invalid` or
    /// `exception-expired`.
    pub reason: Reason,
    /// What is wrong; empty for remarks.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<PolicyError>,
    /// The same for people.
    pub detail: String,
}

/// A policy that is not valid and has no earlier good version: what it would be about is refused.
#[derive(Debug, Clone)]
pub struct InvalidPolicy {
    /// Which object it is, as far as that can be read.
    pub name: String,
    /// Where it stands.
    pub origin: String,
    /// What is wrong.
    pub errors: Vec<PolicyError>,
    scope: Scope,
    unmatched: Option<Unmatched>,
}

/// All policies in force.
#[derive(Debug, Clone, Default)]
pub struct PolicySet {
    home: String,
    policies: BTreeMap<ObjectId, Arc<Policy>>,
    invalid: Vec<Arc<InvalidPolicy>>,
    exceptions: Vec<(ObjectId, Arc<Exception>)>,
}

/// What governs one image of one Application.
#[derive(Debug, Clone, Default)]
pub struct Governance {
    /// Every one of them must hold. Empty: no policy governs the image.
    pub policies: Vec<Arc<Effective>>,
    /// Whether the registry is allowed, by each policy that says so for the Application, whatever
    /// its `images` are.
    pub allowed: Vec<Allowed>,
    /// What happens where `policies` is empty: by the cluster-wide policies of the Application, the
    /// strictest of them. `None`: no policy says it.
    pub unmatched: Option<UnmatchedRule>,
    /// Invalid policies that it would be governed by: it is refused.
    pub refused: Vec<Arc<InvalidPolicy>>,
    /// Where else signatures are looked up: mirrors' originals, signature repositories.
    pub places: BTreeSet<Canonical>,
    /// Exceptions that are about this image of this Application now; their digests are not
    /// compared.
    pub exceptions: Vec<GoverningException>,
}

/// What one policy says of the image's registry.
#[derive(Debug, Clone)]
pub struct Allowed {
    /// The policy.
    pub policy: Arc<Effective>,
    /// Whether it allows the registry.
    pub allowed: bool,
}

/// What happens to an image that no policy governs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnmatchedRule {
    /// The policy that says so.
    pub policy: String,
    /// What happens.
    pub unmatched: Unmatched,
}

/// An exception to one of the policies.
#[derive(Debug, Clone)]
pub struct GoverningException {
    /// `name` of the policy among [`Governance::policies`].
    pub policy: String,
    /// The exception.
    pub exception: Arc<Exception>,
}

impl PolicySet {
    /// No policy. `home` is the operator's namespace: documents that name none are there, and only
    /// exceptions there are heard for cluster-wide policies.
    #[must_use]
    pub fn new(home: &str) -> Self {
        Self {
            home: home.to_owned(),
            ..Self::default()
        }
    }

    /// Takes the documents that there are now, all of them, and says what is to be said.
    ///
    /// A document that is not among them is gone. So a list that could not be read whole must not
    /// come here.
    pub fn update(&mut self, documents: &[PolicyDocument], now: Timestamp) -> Vec<PolicyFinding> {
        let last_good = std::mem::take(&mut self.policies);
        self.invalid.clear();
        self.exceptions.clear();
        let mut findings = Vec::new();
        let mut seen: BTreeMap<ObjectId, String> = BTreeMap::new();
        let mut exceptions = Vec::new();
        let mut rejected = Vec::new();
        for document in documents {
            let origin = &document.origin;
            let context = Context {
                default_namespace: &self.home,
                folder: document.folder.as_deref(),
                now,
            };
            let object = match &document.object {
                Ok(object) => object,
                Err(problem) => {
                    let error = whole_document(problem);
                    rejected.push((origin, whole(unreadable(), error, None)));
                    continue;
                }
            };
            let (id, outcome) = match read(object, &context) {
                Ok(Document::Policy(policy)) => (policy.id.clone(), Ok(Ok(policy))),
                Ok(Document::Exception(one)) => (one.id.clone(), Ok(Err(one))),
                Err(bad) => (bad.id.clone(), Err(bad)),
            };
            if let Some(first) = seen.insert(id.clone(), origin.clone()) {
                let problem = format!("the same object stands at {first}, too");
                self.policies.remove(&id);
                exceptions.retain(|(_, one): &(_, Arc<Exception>)| one.id != id);
                let namespace = id.namespace.clone();
                rejected.push((origin, whole(id, whole_document(&problem), namespace)));
                continue;
            }
            match outcome {
                Ok(Ok(policy)) => {
                    self.policies.insert(id, Arc::from(policy));
                }
                Ok(Err(exception)) => exceptions.push((origin, Arc::from(exception))),
                Err(bad) => rejected.push((origin, *bad)),
            }
        }
        for (origin, bad) in rejected {
            findings.push(self.reject(origin, bad, &last_good));
        }
        self.bound(&mut findings);
        for (origin, exception) in exceptions {
            findings.extend(self.admit_exception(origin, exception));
        }
        self.remarks(documents, &seen, &mut findings);
        findings
    }

    /// Whether there is nothing to heed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.policies.is_empty() && self.invalid.is_empty()
    }

    /// Every valid policy in force, in the order of kinds and names.
    pub fn policies(&self) -> impl Iterator<Item = &Arc<Policy>> {
        self.policies.values()
    }

    /// Every exception that is heard, with the policy that it is for.
    pub fn exceptions(&self) -> impl Iterator<Item = (&ObjectId, &Arc<Exception>)> {
        self.exceptions.iter().map(|(id, one)| (id, one))
    }

    /// What governs `image` of an Application.
    #[must_use]
    pub fn governing(
        &self,
        subject: &Subject<'_>,
        image: &Canonical,
        now: Timestamp,
    ) -> Governance {
        let mut governance = Governance::default();
        for (id, policy) in &self.policies {
            if !policy.scope.holds_application(subject) {
                continue;
            }
            let effective = &policy.effective;
            if !effective.allowed_registries.is_empty() {
                governance.allowed.push(Allowed {
                    policy: Arc::clone(effective),
                    allowed: registry_allows(&effective.allowed_registries, image),
                });
            }
            governance.say_unmatched(&effective.name, policy.unmatched);
            if !policy.scope.holds_image(image) {
                continue;
            }
            governance.policies.push(Arc::clone(effective));
            governance.places.extend(policy.scope.places(image));
            let exceptions = self
                .exceptions
                .iter()
                .filter(|(of, exception)| of == id && exception.holds(subject, image, now));
            governance
                .exceptions
                .extend(exceptions.map(|(_, exception)| GoverningException {
                    policy: effective.name.clone(),
                    exception: Arc::clone(exception),
                }));
        }
        for policy in &self.invalid {
            if policy.scope.holds_application(subject) {
                governance.say_unmatched(&policy.name, policy.unmatched);
                if policy.scope.holds_image(image) {
                    governance.refused.push(Arc::clone(policy));
                }
            }
        }
        governance
    }

    /// Keeps the last good version of an invalid policy, or refuses its scope.
    fn reject(
        &mut self,
        origin: &str,
        bad: Rejected,
        last_good: &BTreeMap<ObjectId, Arc<Policy>>,
    ) -> PolicyFinding {
        let Rejected {
            id,
            errors,
            scope,
            unmatched,
        } = bad;
        let name = id.to_string();
        let (reason, what) = if id.kind == Some(Kind::PolicyException) {
            let expired = errors
                .iter()
                .all(|error| error.reason == Reason::ExceptionExpired);
            let reason = match expired {
                true => Reason::ExceptionExpired,
                false => Reason::ExceptionInvalid,
            };
            (reason, "it waives nothing")
        } else if let Some(good) = last_good.get(&id) {
            self.policies.insert(id, Arc::clone(good));
            (
                Reason::PolicyLastGood,
                "the last good version stays in force",
            )
        } else {
            self.invalid.push(Arc::new(InvalidPolicy {
                name: name.clone(),
                origin: origin.to_owned(),
                errors: errors.clone(),
                scope,
                unmatched,
            }));
            (Reason::PolicyInvalid, "everything in its scope is refused")
        };
        let first = errors.first().map(ToString::to_string).unwrap_or_default();
        let more = match errors.len() {
            0 | 1 => String::new(),
            count => format!(" (and {} more)", count - 1),
        };
        let whose = match name.as_str() {
            // A document that cannot be read at all has none.
            "" => "it may hold a policy".to_owned(),
            name => format!("`{name}` is not valid"),
        };
        PolicyFinding {
            origin: origin.to_owned(),
            detail: format!("{whose}: {first}{more}; {what}"),
            name,
            reason,
            errors,
        }
    }

    /// Beyond the bound nothing is dropped silently: everything is refused.
    fn bound(&mut self, findings: &mut Vec<PolicyFinding>) {
        let count = self.policies.len();
        if count <= POLICIES_MAX {
            return;
        }
        let problem = format!("there are {count} policies, more than {POLICIES_MAX}");
        let bad = whole(unreadable(), whole_document(&problem), None);
        let finding = self.reject("all policies", bad, &BTreeMap::new());
        findings.push(finding);
    }

    /// Finds the policy of an exception. Its own namespace comes first; a cluster-wide policy hears
    /// only the operator's namespace, or every tenant could except itself.
    fn admit_exception(&mut self, origin: &str, one: Arc<Exception>) -> Option<PolicyFinding> {
        let id = |kind, namespace| ObjectId {
            kind: Some(kind),
            namespace,
            name: one.policy.clone(),
        };
        let own = id(Kind::PromotionPolicy, one.id.namespace.clone());
        let cluster = id(Kind::ClusterPromotionPolicy, None);
        let at_home = one.id.namespace.as_deref() == Some(self.home.as_str());
        let named = [(own, true), (cluster, at_home)];
        let mut found = named
            .into_iter()
            .filter(|(id, heard)| *heard && self.policies.contains_key(id))
            .map(|(id, _)| id);
        let mut findings = Findings::default();
        match (found.next(), found.next()) {
            (Some(id), None) => {
                if let Some(policy) = self.policies.get(&id) {
                    one.check(&policy.effective, &mut findings);
                }
                if findings.errors.is_empty() {
                    self.exceptions.push((id, one));
                    return None;
                }
            }
            (Some(_), Some(_)) => findings.error(
                Reason::ExceptionInvalid,
                "spec.policy",
                Some(&one.policy),
                "a PromotionPolicy and a ClusterPromotionPolicy have this name",
                "rename one of them",
            ),
            (None, _) => findings.error(
                Reason::ExceptionInvalid,
                "spec.policy",
                Some(&one.policy),
                "there is no such policy that this exception may be for",
                "name a PromotionPolicy of the same namespace, or in the operator's namespace a \
                 ClusterPromotionPolicy",
            ),
        }
        let bad = Rejected {
            id: one.id.clone(),
            errors: findings.errors,
            scope: Scope::default(),
            unmatched: None,
        };
        Some(self.reject(origin, bad, &BTreeMap::new()))
    }

    fn remarks(
        &self,
        documents: &[PolicyDocument],
        seen: &BTreeMap<ObjectId, String>,
        findings: &mut Vec<PolicyFinding>,
    ) {
        debug_assert!(seen.len() <= documents.len());
        for (id, policy) in &self.policies {
            findings.extend(policy.notices.iter().map(|notice| PolicyFinding {
                origin: seen.get(id).cloned().unwrap_or_default(),
                name: id.to_string(),
                reason: notice.reason,
                errors: Vec::new(),
                detail: format!("`{id}`: {}", notice.detail),
            }));
        }
    }
}

impl Governance {
    /// Takes what a policy says of images without one, if it is stricter than what was said.
    fn say_unmatched(&mut self, policy: &str, unmatched: Option<Unmatched>) {
        let strictest = self.unmatched.as_ref().map(|rule| rule.unmatched);
        if let Some(unmatched) = unmatched
            && strictest.is_none_or(|strictest| unmatched > strictest)
        {
            self.unmatched = Some(UnmatchedRule {
                policy: policy.to_owned(),
                unmatched,
            });
        }
    }

    /// What is written of the reference: the strictest of all policies.
    #[must_use]
    pub fn pin(&self) -> Option<Pin> {
        self.policies.iter().map(|policy| policy.pin).max()
    }

    /// Whether any policy pins what Git wants already.
    #[must_use]
    pub fn adopts(&self) -> bool {
        self.policies.iter().any(|policy| policy.adopt)
    }

    /// The policy that forbids a digest in a key by itself, and refuses what it forbids.
    #[must_use]
    pub fn forbids_digest_key(&self) -> Option<&str> {
        let mut enforced = self.policies.iter().filter(|one| one.mode == Mode::Enforce);
        let policy = enforced.find(|policy| policy.forbid_digest_key)?;
        Some(&policy.name)
    }

    /// What happens when the newest candidate is refused: the strictest of all policies.
    #[must_use]
    pub fn on_refused(&self) -> OnRefused {
        let enforced = self.policies.iter().filter(|one| one.mode == Mode::Enforce);
        enforced
            .map(|policy| policy.on_refused)
            .max()
            .unwrap_or(OnRefused::Next)
    }

    /// SHA-256 over everything that a verdict under it depends on.
    #[must_use]
    pub fn hash(&self) -> Digest {
        let mut text = String::new();
        for policy in &self.policies {
            text.push_str(&format!("policy {} {}\n", policy.name, policy.hash));
        }
        for one in &self.allowed {
            let Allowed { policy, allowed } = one;
            text.push_str(&format!(
                "registry {} {} {allowed}\n",
                policy.name, policy.hash
            ));
        }
        if let Some(rule) = &self.unmatched {
            text.push_str(&format!("unmatched {:?}\n", rule.unmatched));
        }
        for one in &self.refused {
            text.push_str(&format!("invalid {}\n", one.name));
        }
        for one in &self.exceptions {
            let GoverningException { policy, exception } = one;
            text.push_str(&format!(
                "exception {} {policy} {} {} {:?}\n",
                exception.id, exception.digest, exception.until, exception.clauses
            ));
        }
        Digest::of(text.as_bytes())
    }
}

fn unreadable() -> ObjectId {
    ObjectId {
        kind: None,
        namespace: None,
        name: String::new(),
    }
}

/// A document of which nothing counts: everything in its namespace, or everywhere, is refused.
fn whole(id: ObjectId, error: PolicyError, namespace: Option<String>) -> Rejected {
    Rejected {
        id,
        errors: vec![error],
        scope: Scope {
            namespace,
            ..Scope::default()
        },
        unmatched: None,
    }
}

fn whole_document(problem: &str) -> PolicyError {
    PolicyError {
        field: "document".to_owned(),
        value: None,
        reason: Reason::PolicyInvalid,
        message: problem.to_owned(),
        hint: "check it with `sealift policy check`".to_owned(),
    }
}
