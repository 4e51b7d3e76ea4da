//! The judge: from evidence and a policy to a verdict that lists every clause.
//!
//! Pure but for a bounded memory of what cryptography has proven before. Order, cheap to dear:
//! allowed registries, the kind of move, then signatures and attestations. An item that does not
//! verify counts for nothing: a stranger can neither add trust nor take it away. Evidence whose
//! list was cut short proves nothing at all (`evidence-incomplete`).

use std::sync::Arc;

use jiff::Timestamp;
use quick_cache::sync::Cache;
use sealift_core::digest::Digest;
use sealift_core::evidence::{Evidence, Item};
use sealift_core::limits::VERDICTS_MAX;
use sealift_core::promotion::change::{Move, update_clauses};
use sealift_core::promotion::effective::{ALLOWED_REGISTRIES, Demand};
use sealift_core::promotion::predicate::PredicateTypes;
use sealift_core::promotion::spec::{Mode, SubjectRule, Unmatched};
use sealift_core::reason::Reason;

use crate::authority::{Authority, Vouched};
use crate::clause::{Words, satisfied};
use crate::facts::{Facts, keyed, keyless};
use crate::failure::{Failure, Stage};
use crate::policy::{Policy, Rule, Unverified};
use crate::signed::{Signed, Statement};
use crate::verdict::{Clause, Finding, Proof, Verdict, Waiver, WaiverKind};

/// What is judged.
#[derive(Debug, Clone, Copy)]
pub struct Case<'a> {
    /// The digest that would be written.
    pub digest: Digest,
    /// The tag that it was found by, for identities that name it.
    pub tag: Option<&'a str>,
    /// What hangs on the digest.
    pub evidence: &'a Evidence,
    /// What hangs on each platform's manifest, or on the image itself where it has no index. Empty
    /// where the policy does not ask for it.
    pub platforms: &'a [Evidence],
    /// The move that it would be. `None`: there is none, so no clause about moves is judged.
    pub change: Option<Move<'a>>,
}

/// Item, subject, key (or none) and root (or none): all that facts depend on.
type Question = (Digest, Digest, Option<Digest>, Option<Digest>);

/// A judge with a memory. It remembers facts, and no decision.
pub struct Judge {
    statements: Cache<(Digest, Digest), Arc<Result<Statement, Failure>>>,
    facts: Cache<Question, Arc<Result<Facts, Failure>>>,
}

impl Default for Judge {
    fn default() -> Self {
        Self {
            statements: Cache::new(VERDICTS_MAX),
            facts: Cache::new(VERDICTS_MAX),
        }
    }
}

impl std::fmt::Debug for Judge {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Judge").finish_non_exhaustive()
    }
}

/// What a clause asks of items.
enum Wanted<'a> {
    Signature,
    Attestation(&'a PredicateTypes),
}

impl Judge {
    /// Judges a case under a policy, at `now` (UTC).
    ///
    /// The system's clock is read by the verifier, too, where it can only refuse more.
    #[must_use]
    pub fn judge(&self, case: &Case<'_>, policy: &Policy, now: Timestamp) -> Verdict {
        let mut clauses = allowed_registries(policy);
        for rule in &policy.rules {
            let before = clauses.len();
            if let Some(change) = &case.change {
                clauses.extend(moves(rule, change));
            }
            clauses.extend(self.signatures(case, rule, now));
            waive(
                policy,
                case,
                &rule.policy.name,
                now,
                clauses.get_mut(before..),
            );
        }
        let finding = conclude(policy, &clauses);
        Verdict {
            digest: case.digest,
            policy: policy.hash(),
            clauses,
            finding,
        }
    }

    /// The clauses about signatures and attestations.
    fn signatures(&self, case: &Case<'_>, rule: &Rule, now: Timestamp) -> Vec<Clause> {
        let policy = &rule.policy;
        let signatures = policy
            .signatures
            .iter()
            .map(|demand| ("signatures".to_owned(), demand, Wanted::Signature));
        let attestations = policy.attestations.iter().map(|demand| {
            let wanted = Wanted::Attestation(&demand.predicate_types);
            (
                format!("attestations.{}", demand.name),
                &demand.require,
                wanted,
            )
        });
        signatures
            .chain(attestations)
            .map(|(name, demand, wanted)| {
                let result = self.of_subject(case, rule, demand, &wanted, now);
                let (vouched, failure) = match result {
                    Ok(vouched) => (vouched, None),
                    Err(failure) => (Vec::new(), Some(failure)),
                };
                Clause {
                    vouched,
                    ..clause(rule, name, failure, String::new())
                }
            })
            .collect()
    }

    /// Asks of the index, of the platforms, or of either.
    fn of_subject(
        &self,
        case: &Case<'_>,
        rule: &Rule,
        demand: &Demand,
        wanted: &Wanted<'_>,
        now: Timestamp,
    ) -> Result<Vec<Vouched>, Failure> {
        let index = || {
            if case.evidence.subject != case.digest {
                return Err(incomplete("what hangs on the image was not read"));
            }
            self.of_evidence(case, case.evidence, rule, demand, wanted, now)
        };
        let platforms = || {
            if case.platforms.is_empty() {
                return Err(incomplete("what hangs on the platforms was not read"));
            }
            let mut vouched: Vec<Vouched> = Vec::new();
            for evidence in case.platforms {
                let found = self.of_evidence(case, evidence, rule, demand, wanted, now);
                let found = found.map_err(|mut failure| {
                    failure.detail = format!("platform {}: {}", evidence.subject, failure.detail);
                    failure
                })?;
                vouched.extend(found);
            }
            Ok(vouched)
        };
        match rule.policy.subject {
            SubjectRule::Index => index(),
            SubjectRule::Platforms => platforms(),
            SubjectRule::Either => index().or_else(|failure| platforms().map_err(|_| failure)),
        }
    }

    fn of_evidence(
        &self,
        case: &Case<'_>,
        evidence: &Evidence,
        rule: &Rule,
        demand: &Demand,
        wanted: &Wanted<'_>,
        now: Timestamp,
    ) -> Result<Vec<Vouched>, Failure> {
        if let Some(gap) = evidence.gaps.iter().find(|gap| gap.hides) {
            return Err(incomplete(format!("{}: {}", gap.asked, gap.detail)));
        }
        let words = self.words(case, evidence, rule, demand, wanted, now);
        let proves_time = |name: &str| {
            rule.authorities
                .get(name)
                .is_none_or(Authority::proves_time)
        };
        let nothing = wanted.nothing();
        satisfied(demand, words, nothing, now, proves_time).map_err(|failure| {
            match evidence.gaps.first() {
                Some(gap) => incomplete(format!("{}: {}; {failure}", gap.asked, gap.detail)),
                None => failure,
            }
        })
    }

    /// The word of each authority on each item.
    fn words(
        &self,
        case: &Case<'_>,
        evidence: &Evidence,
        rule: &Rule,
        demand: &Demand,
        wanted: &Wanted<'_>,
        now: Timestamp,
    ) -> Words {
        let mut words = Words::default();
        let authorities = demand
            .of
            .iter()
            .filter_map(|name| rule.authorities.get(name));
        let authorities: Vec<_> = authorities.collect();
        for authority in &authorities {
            if let Some(broken) = authority.broken() {
                words
                    .failures
                    .push((authority.name.clone(), broken.clone()));
            }
        }
        for item in &evidence.items {
            let digest = item.form.digest();
            let mut read = None;
            let statement = self.statement(item, digest, evidence.subject, &mut read);
            for authority in authorities.iter().filter(|one| one.broken().is_none()) {
                let mut failed = |failure: Failure| {
                    words.failures.push((authority.name.clone(), failure));
                };
                let mismatch = match statement.as_ref() {
                    Err(failure) => {
                        failed(failure.clone());
                        continue;
                    }
                    Ok(statement) if wanted.is(statement) => None,
                    Ok(statement) => match wanted.mismatch(statement) {
                        Some(mismatch) => Some(mismatch),
                        None => continue,
                    },
                };
                let mut last = None;
                let accepted = self
                    .facts(item, digest, evidence.subject, authority, &mut read)
                    .into_iter()
                    .find_map(|facts| match facts.as_ref() {
                        Ok(facts) => authority
                            .accepts(facts, digest, case.tag, now)
                            .map_err(|failure| last = Some(failure))
                            .ok(),
                        Err(failure) => {
                            last = Some(failure.clone());
                            None
                        }
                    });
                match (accepted, mismatch) {
                    (Some(_), Some(mismatch)) => failed(mismatch),
                    (Some(vouched), None) => words.vouched.push(vouched),
                    (None, _) => last.into_iter().for_each(failed),
                }
            }
        }
        words
    }

    fn statement(
        &self,
        item: &Item,
        digest: Digest,
        subject: Digest,
        read: &mut Option<Result<Signed, Failure>>,
    ) -> Arc<Result<Statement, Failure>> {
        if let Some(known) = self.statements.get(&(digest, subject)) {
            return known;
        }
        let read = read.get_or_insert_with(|| Signed::read(item, subject));
        let statement = match read {
            Ok(signed) => Ok(signed.statement.clone()),
            Err(failure) => Err(failure.clone()),
        };
        let statement = Arc::new(statement);
        self.statements
            .insert((digest, subject), Arc::clone(&statement));
        statement
    }

    /// What is proven of an item by an authority's root, or by each of its keys.
    fn facts(
        &self,
        item: &Item,
        digest: Digest,
        subject: Digest,
        authority: &Authority,
        read: &mut Option<Result<Signed, Failure>>,
    ) -> Vec<Arc<Result<Facts, Failure>>> {
        let root = authority.root();
        let mut ask = |key: Option<&crate::key::PublicKey>| {
            let question = (
                digest,
                subject,
                key.map(crate::key::PublicKey::fingerprint),
                root.map(|root| root.hash()),
            );
            if let Some(known) = self.facts.get(&question) {
                return known;
            }
            let read = read.get_or_insert_with(|| Signed::read(item, subject));
            let facts = match (read, key, root) {
                (Err(failure), _, _) => Err(failure.clone()),
                (Ok(signed), Some(key), root) => keyed(signed, subject, key, root.map(Arc::as_ref)),
                (Ok(signed), None, Some(root)) => keyless(signed, subject, root),
                (Ok(_), None, None) => Err(Failure::new(
                    Stage::Proof,
                    Reason::TrustRootUnavailable,
                    "there is no trust root to verify a certificate with",
                )),
            };
            let facts = Arc::new(facts);
            self.facts.insert(question, Arc::clone(&facts));
            facts
        };
        match authority.is_keyless() {
            true => vec![ask(None)],
            false => authority.keys().iter().map(|key| ask(Some(key))).collect(),
        }
    }
}

impl Wanted<'_> {
    fn is(&self, statement: &Statement) -> bool {
        match (self, statement) {
            (Self::Signature, Statement::Signature) => true,
            (Self::Attestation(types), Statement::Attestation(kind)) => types.matches(kind),
            _ => false,
        }
    }

    /// What to say of an item of the same sort that states something else. `None`: it is none of
    /// ours.
    fn mismatch(&self, statement: &Statement) -> Option<Failure> {
        match (self, statement) {
            (Self::Attestation(_), Statement::Attestation(kind)) => Some(Failure::new(
                Stage::Predicate,
                Reason::PredicateMismatch,
                format!("an attestation of type `{kind}` is there, and another type is wanted"),
            )),
            _ => None,
        }
    }

    fn nothing(&self) -> Failure {
        let (reason, detail) = match self {
            Self::Signature => (Reason::SignatureMissing, "no signature was found"),
            Self::Attestation(_) => (Reason::AttestationMissing, "no attestation was found"),
        };
        Failure::new(Stage::Nothing, reason, detail)
    }
}

fn incomplete(detail: impl Into<String>) -> Failure {
    Failure::new(Stage::Count, Reason::EvidenceIncomplete, detail)
}

fn clause(rule: &Rule, name: String, failure: Option<Failure>, detail: String) -> Clause {
    Clause {
        policy: rule.policy.name.clone(),
        clause: name,
        enforced: rule.policy.mode == Mode::Enforce,
        holds: failure.is_none(),
        failure,
        waived_by: None,
        vouched: Vec::new(),
        detail,
    }
}

/// Registries that policies allow, whatever images they govern besides.
fn allowed_registries(policy: &Policy) -> Vec<Clause> {
    let verdicts = policy.governance.allowed.iter();
    verdicts
        .map(|one| {
            let list = one.policy.allowed_registries.join("`, `");
            let detail = format!("allowed are `{list}`");
            let failure = (!one.allowed)
                .then(|| Failure::new(Stage::Subject, Reason::RegistryNotAllowed, detail.clone()));
            Clause {
                policy: one.policy.name.clone(),
                clause: ALLOWED_REGISTRIES.to_owned(),
                enforced: one.policy.mode == Mode::Enforce,
                holds: one.allowed,
                failure,
                waived_by: None,
                vouched: Vec::new(),
                detail,
            }
        })
        .collect()
}

fn moves(rule: &Rule, change: &Move<'_>) -> Vec<Clause> {
    let results = update_clauses(&rule.policy, change).into_iter();
    results
        .map(|result| {
            let failure = result
                .reason
                .map(|reason| Failure::new(Stage::Subject, reason, result.detail.clone()));
            clause(rule, result.clause.to_owned(), failure, result.detail)
        })
        .collect()
}

/// Notes the exceptions that waive failed clauses of a policy.
fn waive(
    policy: &Policy,
    case: &Case<'_>,
    name: &str,
    now: Timestamp,
    clauses: Option<&mut [Clause]>,
) {
    for clause in clauses.into_iter().flatten().filter(|clause| !clause.holds) {
        let mut exceptions = policy.governance.exceptions.iter();
        let waiving = exceptions.find(|one| {
            let exception = &one.exception;
            one.policy == name
                && exception.digest == case.digest
                && now < exception.until
                && exception.waives(&clause.clause)
        });
        clause.waived_by = waiving.map(|one| one.exception.id.to_string());
    }
}

/// One finding from all clauses.
fn conclude(policy: &Policy, clauses: &[Clause]) -> Finding {
    let governance = &policy.governance;
    let mut refused: Vec<Failure> = governance
        .refused
        .iter()
        .map(|invalid| {
            let detail = format!(
                "policy `{}` ({}) is not valid",
                invalid.name, invalid.origin
            );
            Failure::new(Stage::Read, Reason::PolicyInvalid, detail)
        })
        .collect();
    let failed = || clauses.iter().filter(|clause| !clause.holds);
    let standing = failed().filter(|clause| clause.enforced && clause.waived_by.is_none());
    refused.extend(standing.filter_map(|clause| {
        let mut failure = clause.failure.clone()?;
        failure.detail = format!(
            "{} of policy `{}`: {}",
            clause.clause, clause.policy, failure.detail
        );
        Some(failure)
    }));
    // What is certain comes before what may be better next time.
    refused.sort_by_key(|failure| failure.reason == Reason::EvidenceIncomplete);
    if !refused.is_empty() {
        return Finding::Refused(refused);
    }
    if policy.rules.is_empty() {
        return ungoverned(policy);
    }
    let waiver = |kind| Finding::Waived(Waiver { kind });
    let warned = failed().filter(|clause| !clause.enforced && clause.waived_by.is_none());
    let warned: Vec<String> = warned
        .map(|clause| format!("{}: {}", clause.policy, clause.clause))
        .collect();
    if !warned.is_empty() {
        return waiver(WaiverKind::Warn { failed: warned });
    }
    let mut ids: Vec<String> = clauses
        .iter()
        .filter_map(|one| one.waived_by.clone())
        .collect();
    ids.sort_unstable();
    ids.dedup();
    if !ids.is_empty() {
        return waiver(WaiverKind::Exception { ids });
    }
    let vouched: Vec<_> = clauses
        .iter()
        .flat_map(|clause| clause.vouched.clone())
        .collect();
    if vouched.is_empty() {
        let policies = policy.names().map(str::to_owned).collect();
        return waiver(WaiverKind::NoSignatures { policies });
    }
    Finding::Trusted(Proof { vouched })
}

/// No policy governs the image: cluster-wide policies say what happens then, else the operator.
fn ungoverned(policy: &Policy) -> Finding {
    let refuse = |detail: String| {
        Finding::Refused(vec![Failure::new(Stage::Nothing, Reason::NoPolicy, detail)])
    };
    let allow = |source: String| {
        let kind = WaiverKind::NoPolicy { source };
        Finding::Waived(Waiver { kind })
    };
    match (&policy.governance.unmatched, policy.unverified) {
        (_, Unverified::Refuse) => {
            refuse("no policy governs the image, and such images are refused".to_owned())
        }
        (Some(rule), _) if rule.unmatched == Unmatched::Refuse => refuse(format!(
            "no policy governs the image, and policy `{}` refuses such images",
            rule.policy
        )),
        (Some(rule), _) => allow(format!("`unmatched: allow` of policy `{}`", rule.policy)),
        (None, Unverified::Allow) => allow("--unverified=allow".to_owned()),
    }
}
