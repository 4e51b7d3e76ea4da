//! Exceptions: one digest, named clauses, a reason, an end.

use jiff::Timestamp;
use serde_json::Value;

use super::super::effective::{ALLOWED_REGISTRIES, Effective};
use super::super::error::Findings;
use super::super::scope::{ImagePattern, Selector, Subject};
use super::super::spec::ExceptionSpec;
use super::{Context, ObjectId, policy, shape};
use crate::digest::Digest;
use crate::limits::EXCEPTION_SECS_MAX;
use crate::nearest::nearest;
use crate::reason::Reason;
use crate::reference::Canonical;

/// A valid exception. Whether its policy has the clauses is checked where the policies are.
#[derive(Debug, Clone)]
pub struct Exception {
    /// Which object it is.
    pub id: ObjectId,
    /// Name of the policy.
    pub policy: String,
    /// Applications; empty: every one in the policy's scope.
    pub applications: Vec<Selector>,
    /// The image.
    pub image: ImagePattern,
    /// The one digest.
    pub digest: Digest,
    /// Clauses that are waived: whole names, or a group such as `attestations`.
    pub clauses: Vec<String>,
    /// When it ends.
    pub until: Timestamp,
    /// Why.
    pub reason: String,
}

impl Exception {
    /// Whether it waives a clause.
    #[must_use]
    pub fn waives(&self, clause: &str) -> bool {
        clause != ALLOWED_REGISTRIES && self.clauses.iter().any(|waived| covers(waived, clause))
    }

    /// Whether it is about this image of this Application, now. The digest is not compared.
    #[must_use]
    pub fn holds(&self, subject: &Subject<'_>, image: &Canonical, now: Timestamp) -> bool {
        now < self.until
            && self.image.matches(image)
            && (self.applications.is_empty()
                || self.applications.iter().any(|one| one.matches(subject)))
    }

    /// What is wrong with it beside its policy.
    pub(in super::super) fn check(&self, policy: &Effective, findings: &mut Findings) {
        let known = policy.clauses();
        for (index, waived) in self.clauses.iter().enumerate() {
            if !known.iter().any(|clause| covers(waived, clause)) {
                let hint = match nearest(waived, known.iter().map(String::as_str)) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => format!("it has `{}`", known.join("`, `")),
                };
                let message = format!("policy `{}` has no clause `{waived}`", policy.name);
                let field = format!("spec.clauses[{index}]");
                invalid(findings, &field, waived, &message, &hint);
            }
        }
    }
}

/// Whether a name in an exception is a clause or the group that it belongs to.
fn covers(waived: &str, clause: &str) -> bool {
    waived == clause
        || clause
            .strip_prefix(waived)
            .is_some_and(|rest| rest.starts_with('.'))
}

pub(super) fn read(
    id: &ObjectId,
    object: &Value,
    context: &Context<'_>,
    findings: &mut Findings,
) -> Option<Exception> {
    let spec = object.get("spec").unwrap_or(&Value::Null);
    let spec: ExceptionSpec = shape::read("spec", spec, findings)?;
    if spec.policy.is_empty() {
        let hint = "name the policy";
        invalid(findings, "spec.policy", "", "no policy is named", hint);
    }
    if spec.reason.trim().is_empty() {
        let hint = "say why, with a reference for whoever reads the record";
        invalid(findings, "spec.reason", "", "the reason is empty", hint);
    }
    if spec.clauses.is_empty() {
        let hint = "name what it waives, such as `signatures`";
        invalid(findings, "spec.clauses", "[]", "no clause is named", hint);
    }
    for (index, clause) in spec.clauses.iter().enumerate() {
        if clause == ALLOWED_REGISTRIES {
            let message = "no exception waives `allowedRegistries`";
            let hint = "change the policy";
            let field = format!("spec.clauses[{index}]");
            invalid(findings, &field, clause, message, hint);
        }
    }
    let created = object
        .pointer("/metadata/creationTimestamp")
        .and_then(Value::as_str)
        .and_then(|text| text.parse().ok());
    let until = until(&spec.until, created, context.now, findings);
    let image = ImagePattern::parse(&spec.image.pattern);
    if let Err(problem) = &image {
        let hint = "write `registry/repository`";
        let field = "spec.image.pattern";
        invalid(findings, field, &spec.image.pattern, problem, hint);
    }
    let applications = policy::applications("spec.applications", &spec.applications, findings);
    Some(Exception {
        id: id.clone(),
        policy: spec.policy,
        applications,
        image: image.ok()?,
        digest: spec.image.digest,
        clauses: spec.clauses,
        until: until?,
        reason: spec.reason,
    })
}

fn until(
    text: &str,
    created: Option<Timestamp>,
    now: Timestamp,
    findings: &mut Findings,
) -> Option<Timestamp> {
    let field = "spec.until";
    let Ok(until) = text.parse::<Timestamp>() else {
        let hint = "write it as `2026-12-01T00:00:00Z`";
        invalid(findings, field, text, "this is no time", hint);
        return None;
    };
    if until <= now {
        findings.error(
            Reason::ExceptionExpired,
            field,
            Some(&text),
            "the exception has ended",
            "delete it, or make a new one",
        );
    }
    // A time of creation that has not come yet would only make it longer.
    let begin = created.map_or(now, |created| created.min(now));
    if until.as_second().saturating_sub(begin.as_second()) > EXCEPTION_SECS_MAX {
        let hint = "end it within 30 days, and make a new one if it is still needed";
        let message = "it would last longer than 30 days";
        invalid(findings, field, text, message, hint);
    }
    Some(until)
}

fn invalid(findings: &mut Findings, field: &str, value: &str, message: &str, hint: &str) {
    let reason = Reason::ExceptionInvalid;
    findings.error(reason, field, Some(&value), message, hint);
}
