//! From one Kubernetes object to a valid policy or exception, or to everything that is wrong with
//! it.
//!
//! Strict: an unknown field is an error, a section that is not available yet is an error, and a
//! document that contradicts itself is an error. What comes out of here can be judged by.

mod authority;
mod broad;
mod demand;
mod envelope;
mod exception;
mod forms;
mod policy;
mod profile;
mod shape;
#[cfg(test)]
mod tests;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::Value;

pub use exception::Exception;

use super::effective::Effective;
use super::error::{Findings, PolicyError, shown};
use super::scope::Scope;
use super::spec::Unmatched;
use crate::notice::Notice;
use crate::reason::Reason;

/// Group and version of the documents.
pub const API_VERSION: &str = "sealift.dev/v1alpha1";
/// The group, as `apiVersion` begins.
const GROUP: &str = "sealift.dev/";

/// The kinds of documents.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Governs Applications of its own namespace.
    PromotionPolicy,
    /// Governs every Application.
    ClusterPromotionPolicy,
    /// Waives clauses.
    PolicyException,
}

/// Which object a document is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ObjectId {
    /// Its kind; `None` where that cannot be read.
    pub kind: Option<Kind>,
    /// Its namespace; `None` for a cluster-wide one.
    pub namespace: Option<String>,
    /// Its name; empty where that cannot be read.
    pub name: String,
}

/// How a document came here.
#[derive(Debug, Clone, Copy)]
pub struct Context<'a> {
    /// The namespace of documents that name none.
    pub default_namespace: &'a str,
    /// The folder of the file it stood in, so that it may name files beside it.
    pub folder: Option<&'a Path>,
    /// Now.
    pub now: Timestamp,
}

/// A valid document.
#[derive(Debug, Clone)]
pub enum Document {
    /// A policy of either kind.
    Policy(Box<Policy>),
    /// An exception.
    Exception(Box<Exception>),
}

/// A valid policy.
#[derive(Debug, Clone)]
pub struct Policy {
    /// Which object it is.
    pub id: ObjectId,
    /// What it is about.
    pub scope: Scope,
    /// What happens to images of its Applications that no policy governs. Cluster-wide ones only.
    pub unmatched: Option<Unmatched>,
    /// What must hold.
    pub effective: Arc<Effective>,
    /// The folder that paths in it are relative to, for policies from files.
    pub folder: Option<PathBuf>,
    /// What is weaker than it looks.
    pub notices: Vec<Notice>,
}

/// A document that is not valid.
#[derive(Debug, Clone)]
pub struct Rejected {
    /// Which object it is, as far as that can be read.
    pub id: ObjectId,
    /// Everything that is wrong; never empty.
    pub errors: Vec<PolicyError>,
    /// What it would be about; where that cannot be read, everything in its reach.
    pub scope: Scope,
    /// What it would say of images without a policy, refusing where that cannot be read.
    pub unmatched: Option<Unmatched>,
}

impl Kind {
    /// Every kind.
    pub const ALL: &'static [Self] = &[
        Self::PromotionPolicy,
        Self::ClusterPromotionPolicy,
        Self::PolicyException,
    ];

    /// As documents write it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::PromotionPolicy => "PromotionPolicy",
            Self::ClusterPromotionPolicy => "ClusterPromotionPolicy",
            Self::PolicyException => "PolicyException",
        }
    }
}

impl fmt::Display for ObjectId {
    /// `namespace/name`, or the name alone for a cluster-wide one.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.namespace {
            Some(namespace) => write!(f, "{namespace}/{}", self.name),
            None => f.write_str(&self.name),
        }
    }
}

/// Whether an object is for [`read`]: anything of our group, a mistyped kind included, and the
/// kinds that nobody else has, under whichever group.
#[must_use]
pub fn concerns(object: &Value) -> bool {
    let text = |name: &str| object.get(name).and_then(Value::as_str).unwrap_or_default();
    text("apiVersion").starts_with(GROUP)
        || ["PromotionPolicy", "ClusterPromotionPolicy"].contains(&text("kind"))
}

/// Reads one object.
///
/// # Errors
/// Everything that is wrong with it.
pub fn read(object: &Value, context: &Context<'_>) -> Result<Document, Box<Rejected>> {
    let mut findings = Findings::default();
    let id = envelope::read(object, context, &mut findings);
    let spec = object.get("spec").unwrap_or(&Value::Null);
    let outcome = match (findings.errors.is_empty(), id.kind) {
        (true, Some(Kind::PolicyException)) => exception::read(&id, object, context, &mut findings)
            .map(Box::new)
            .map(Document::Exception),
        (true, Some(_)) => policy::read(&id, spec, context, &mut findings)
            .map(Box::new)
            .map(Document::Policy),
        _ => None,
    };
    match outcome {
        Some(document) if findings.errors.is_empty() => Ok(document),
        _ => Err(Box::new(Rejected {
            errors: findings.errors,
            scope: policy::readable_scope(&id, spec),
            unmatched: policy::readable_unmatched(&id, spec),
            id,
        })),
    }
}

/// Refuses a section that is not available yet.
fn not_available(findings: &mut Findings, field: String, value: Option<&Value>) {
    if let Some(value) = value {
        findings.error(
            Reason::NotAvailable,
            field,
            Some(&shown(value)),
            "this is not available in this version",
            "take it out: a demand that nothing checks would only look like one",
        );
    }
}
