//! The judging of one candidate: what hangs on its digest is gathered once a cycle, and judged
//! under what governs its image.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use sealift_core::digest::Digest;
use sealift_core::event::{TrustClause, TrustSummary, VerdictKind};
use sealift_core::evidence::{Evidence, Gap};
use sealift_core::limits::EVIDENCE_CYCLE_BYTES_MAX;
use sealift_core::promotion::change::Move;
use sealift_core::promotion::scope::Subject;
use sealift_core::reference::{Canonical, Reference};
use sealift_registry::{EvidenceSource, evidence_of};
use sealift_trust::{Case, Finding, Policy, Verdict, WaiverKind};
use tokio::sync::OnceCell;

use super::item::Item;
use super::{Context, Problem};
use crate::registries::Source;

/// Where evidence is looked up (by identity of the source), and about what.
type Question = (Vec<String>, Digest);

/// The evidence of one cycle, each asked for once.
#[derive(Default)]
pub(super) struct Witnesses {
    evidence: Mutex<BTreeMap<Question, Arc<OnceCell<Arc<Evidence>>>>>,
    platforms: Mutex<BTreeMap<Question, Arc<OnceCell<Vec<Digest>>>>>,
    kept: Mutex<Kept>,
}

/// Which answers are remembered, and how many bytes they take.
#[derive(Default)]
struct Kept {
    answers: BTreeSet<Question>,
    bytes: usize,
}

/// What governs an item's image.
pub(super) fn policy_of(context: &Context<'_>, item: &Item) -> Arc<Policy> {
    let application = &item.application;
    let subject = Subject {
        namespace: &application.id.namespace,
        name: &application.id.name,
        labels: &application.labels,
    };
    let rule = item.rule();
    let image = rule.configured.reference.canonical();
    let demand = rule.verification.as_ref();
    context
        .in_force
        .governing(&subject, &image, demand, context.now())
}

/// Judges the digest that `tag` of the item's image names.
pub(super) async fn judge(
    context: &Context<'_>,
    item: &Item,
    source: &Source,
    policy: &Policy,
    digest: Digest,
    change: Move<'_>,
) -> (Verdict, TrustSummary) {
    let mut evidence = Arc::new(Evidence::none(digest));
    let mut platforms = Vec::new();
    if policy.wants_evidence() {
        let sources = sources(context, item, source, policy);
        evidence = context.witnesses.evidence(&sources, digest).await;
        if policy.wants_platforms() {
            for platform in context.witnesses.platforms(source, digest).await {
                let evidence = context.witnesses.evidence(&sources, platform).await;
                platforms.push(Arc::unwrap_or_clone(evidence));
            }
        }
    }
    let case = Case {
        digest,
        tag: Some(change.candidate),
        evidence: &evidence,
        platforms: &platforms,
        change: Some(change),
    };
    let verdict = context.policies.judge().judge(&case, policy, context.now());
    let summary = summary(&verdict, policy.wants_evidence().then(|| evidence.hash()));
    (verdict, summary)
}

/// The image's own repository first, then mirrors' originals and signature repositories. One that
/// cannot even be named is a source that hides everything.
fn sources(
    context: &Context<'_>,
    item: &Item,
    source: &Source,
    policy: &Policy,
) -> Vec<Result<Source, Gap>> {
    let rule = item.rule();
    let own = rule.configured.reference.canonical();
    let place = |place: &Canonical| {
        let reference = Reference::parse(&place.to_string());
        // The Application's own credential is for its image's registry and for no other.
        let secret = rule.pull_secret.as_ref();
        let secret = secret.filter(|_| place.registry == own.registry);
        let found = context
            .registries
            .source(&reference, secret, &context.objects);
        found.map(|(source, _)| source).map_err(|problem| Gap {
            asked: format!("evidence in `{place}`"),
            hides: true,
            reason: problem.reason,
            detail: problem.detail,
        })
    };
    let others = policy.places().map(place);
    std::iter::once(Ok(source.clone())).chain(others).collect()
}

impl Witnesses {
    /// What hangs on a digest, in all places together.
    async fn evidence(&self, sources: &[Result<Source, Gap>], subject: Digest) -> Arc<Evidence> {
        let id = |source: &Result<Source, Gap>| match source {
            Ok(source) => source.id.clone(),
            Err(gap) => gap.asked.clone(),
        };
        let question = (sources.iter().map(id).collect(), subject);
        let answer = {
            let mut answers = self.evidence.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(answers.entry(question.clone()).or_default())
        };
        let ask = async || {
            let places: Vec<EvidenceSource> = sources
                .iter()
                .filter_map(|source| source.as_ref().ok())
                .map(Source::evidence)
                .collect();
            let mut evidence = evidence_of(&places, subject).await;
            let gaps = sources.iter().filter_map(|source| source.as_ref().err());
            evidence.gaps.extend(gaps.cloned());
            Arc::new(evidence)
        };
        let evidence = Arc::clone(answer.get_or_init(ask).await);
        self.keep(&question, &evidence);
        evidence
    }

    /// Counts what is remembered, and forgets an answer that would go beyond the bound.
    fn keep(&self, question: &Question, evidence: &Evidence) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.answers.contains(question) {
            return;
        }
        let bytes = kept.bytes.saturating_add(evidence.bytes());
        if bytes > EVIDENCE_CYCLE_BYTES_MAX {
            let mut answers = self.evidence.lock().unwrap_or_else(PoisonError::into_inner);
            answers.remove(question);
        } else {
            kept.bytes = bytes;
            kept.answers.insert(question.clone());
        }
    }

    /// The manifests of an index's platforms. Empty where they cannot be told: that satisfies
    /// nobody.
    async fn platforms(&self, source: &Source, digest: Digest) -> Vec<Digest> {
        let question = (vec![source.id.clone()], digest);
        let answer = {
            let mut answers = self
                .platforms
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            Arc::clone(answers.entry(question).or_default())
        };
        let ask = async || {
            let Source {
                registry,
                access,
                repository,
                ..
            } = source;
            match registry
                .platform_manifests(repository, digest, access)
                .await
            {
                Ok(platforms) => platforms.into_iter().map(|one| one.digest).collect(),
                Err(error) => {
                    tracing::debug!(%error, "the platforms of an image could not be read");
                    Vec::new()
                }
            }
        };
        answer.get_or_init(ask).await.clone()
    }
}

/// The first reason of a refusal.
pub(super) fn refusal(verdict: &Verdict) -> Option<Problem> {
    match verdict.finding() {
        Finding::Refused(failures) => failures.first().map(|first| Problem {
            reason: first.reason,
            detail: first.detail.clone(),
        }),
        Finding::Trusted(_) | Finding::Waived(_) => None,
    }
}

/// A verdict as events hold it.
pub(crate) fn summary(verdict: &Verdict, evidence: Option<Digest>) -> TrustSummary {
    let (kind, waiver, detail) = match verdict.finding() {
        Finding::Trusted(_) => (VerdictKind::Trusted, None, String::new()),
        Finding::Refused(failures) => {
            let first = failures.first().map(ToString::to_string);
            (VerdictKind::Refused, None, first.unwrap_or_default())
        }
        Finding::Waived(waiver) => {
            let name = match waiver.kind() {
                WaiverKind::NoPolicy { .. } => "no-policy",
                WaiverKind::NoSignatures { .. } => "no-signatures",
                WaiverKind::Warn { .. } => "warn",
                WaiverKind::Exception { .. } => "exception",
                _ => "other",
            };
            let detail = match waiver.kind() {
                WaiverKind::NoPolicy { source } => source.clone(),
                kind => kind.to_string(),
            };
            (VerdictKind::Waived, Some(name.to_owned()), detail)
        }
    };
    let clauses = verdict.clauses().iter().map(|clause| TrustClause {
        policy: clause.policy.clone(),
        clause: clause.clause.clone(),
        holds: clause.holds,
        reason: clause.failure.as_ref().map(|failure| failure.reason.into()),
        detail: match &clause.failure {
            Some(failure) => failure.detail.clone(),
            None => clause.detail.clone(),
        },
        waived_by: clause.waived_by.clone(),
        signers: clause
            .vouched
            .iter()
            .map(|word| format!("{}: {}", word.authority, word.signer))
            .collect(),
    });
    TrustSummary {
        verdict: kind,
        waiver,
        detail,
        policy: Some(verdict.policy()),
        evidence,
        clauses: clauses.collect(),
    }
}
