//! From one Kubernetes object to a valid policy or exception, or to everything that is wrong with it.
//!
//! Strict: an unknown field is an error, a section that is not available yet is an error, and a
//! document that contradicts itself is an error. What comes out of here can be judged by.

mod authority;
mod broad;
mod demand;
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
use crate::limits::{OBJECT_NAME_BYTES_MAX, POLICY_BYTES_MAX};
use crate::nearest::nearest;
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
    let id = envelope(object, context, &mut findings);
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
        _ => {
            let scope = policy::readable_scope(&id, spec);
            let errors = findings.errors;
            Err(Box::new(Rejected { id, errors, scope }))
        }
    }
}

/// Everything but `spec`.
fn envelope(object: &Value, context: &Context<'_>, findings: &mut Findings) -> ObjectId {
    let text = |value: &Value, name: &str| value.get(name)?.as_str().map(str::to_owned);
    let kind_text = text(object, "kind").unwrap_or_default();
    let kind = Kind::ALL
        .iter()
        .copied()
        .find(|kind| kind.name() == kind_text);
    let metadata = object.get("metadata").unwrap_or(&Value::Null);
    let namespace = match kind {
        Some(Kind::ClusterPromotionPolicy) | None => None,
        Some(_) => Some(
            text(metadata, "namespace")
                .filter(|namespace| !namespace.is_empty())
                .unwrap_or_else(|| context.default_namespace.to_owned()),
        ),
    };
    let name = text(metadata, "name").unwrap_or_default();
    if kind.is_none() {
        let known = || Kind::ALL.iter().map(|kind| kind.name());
        let hint = match nearest(&kind_text, known()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("use one of {}", known().collect::<Vec<_>>().join(", ")),
        };
        let message = format!("there is no kind `{kind_text}` in {GROUP}");
        findings.invalid("kind", &kind_text, message, hint);
    }
    let version = text(object, "apiVersion").unwrap_or_default();
    if version != API_VERSION {
        let message = format!("`{version}` is not read");
        findings.invalid(
            "apiVersion",
            &version,
            message,
            format!("use `{API_VERSION}`"),
        );
    }
    if name.is_empty() {
        let message = "the document has no name";
        findings.invalid("metadata.name", "", message, "name it");
    } else if !is_object_name(&name) {
        let message = "this is no name of an object";
        let hint = "use lower-case letters, digits, `-` and `.`";
        findings.invalid("metadata.name", &name, message, hint);
    }
    if let Some(namespace) = namespace.as_ref().filter(|name| !is_object_name(name)) {
        let message = "this is no name of a namespace";
        let hint = "use lower-case letters, digits and `-`";
        findings.invalid("metadata.namespace", namespace, message, hint);
    }
    if kind == Some(Kind::ClusterPromotionPolicy) && text(metadata, "namespace").is_some() {
        let message = "a ClusterPromotionPolicy has no namespace";
        let hint = "leave it out, or write a PromotionPolicy";
        findings.invalid("metadata.namespace", "", message, hint);
    }
    const FIELDS: &[&str] = &["apiVersion", "kind", "metadata", "spec", "status"];
    for (field, value) in object.as_object().into_iter().flatten() {
        if !FIELDS.contains(&field.as_str()) {
            let hint = match nearest(field, FIELDS.iter().copied()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => "what a policy says stands below `spec`".to_owned(),
            };
            let message = format!("there is no field `{field}`");
            findings.invalid(field, shown(value), message, hint);
        }
    }
    let bytes = object.get("spec").map_or(0, |spec| spec.to_string().len());
    if bytes > POLICY_BYTES_MAX {
        let message = format!("the document is longer than {POLICY_BYTES_MAX} bytes");
        let hint = "keep keys and roots in files, Secrets or ConfigMaps";
        findings.invalid("spec", format!("{bytes} bytes"), message, hint);
    }
    ObjectId {
        kind,
        namespace,
        name,
    }
}

/// Kubernetes, "Object Names and IDs", DNS subdomain names. A `/` in a name would make two policies
/// one.
fn is_object_name(name: &str) -> bool {
    name.len() <= OBJECT_NAME_BYTES_MAX
        && name
            .bytes()
            .all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.'))
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
