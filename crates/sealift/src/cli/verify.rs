//! `sealift verify IMAGE --policy FILE`: whether an image satisfies policies, clause by clause. No
//! Application is needed: the policies count whatever Applications they select.

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
use sealift_core::digest::Digest;
use sealift_core::evidence::{Evidence, Form, Way};
use sealift_core::promotion::scope::registry_allows;
use sealift_core::promotion::set::{Allowed, Governance, PolicySet};
use sealift_core::reference::{Canonical, Reference};
use sealift_trust::{Clause, Finding, Verdict};
use serde_json::{Value, json};

use super::image::{ImageArguments, Look};
use super::options::{OutputFormat, OutputOptions};
use super::policy::explained::{Explained, explain};
use crate::exit::Exit;
use crate::objects::policies;
use crate::output::{BAD, DIM, GOOD, HEADING, WARN, escape, ignore_closed_pipe, json_document};

/// Arguments of `verify`.
#[derive(Debug, clap::Args)]
pub struct VerifyArguments {
    #[command(flatten)]
    image: ImageArguments,
    /// File with the policies that it must satisfy. Repeatable
    #[arg(long, required = true, value_name = "FILE")]
    policy: Vec<PathBuf>,
    #[command(flatten)]
    output: OutputOptions,
}

/// What was found about the image.
struct Verified {
    image: Reference,
    digest: Digest,
    criteria: Vec<Explained>,
    evidence: Evidence,
    verdict: Verdict,
}

/// Verifies and prints.
///
/// # Errors
/// The arguments, the policies or the registry cannot be used.
pub async fn run(arguments: VerifyArguments) -> anyhow::Result<Exit> {
    let now = Timestamp::now();
    let look = Look::open(&arguments.image)?;
    let files: Vec<&Path> = arguments.policy.iter().map(PathBuf::as_path).collect();
    let listed = policies::from_files(files, &arguments.image.argocd_namespace).map_err(|all| {
        let texts: Vec<String> = all.iter().map(ToString::to_string).collect();
        anyhow::anyhow!("{}; the image was not verified", texts.join("; "))
    })?;
    let in_force = look.in_force(&listed, now).await?;
    let governance = governing(in_force.set(), &look.canonical);
    let criteria = in_force
        .set()
        .policies()
        .filter(|one| one.scope.holds_image(&look.canonical));
    let criteria: Vec<Explained> = criteria.map(|one| explain(one)).collect();
    let policy = in_force.ready(governance);
    let found = look.find(Some(&policy), now).await?;
    let verdict = look.judge(&found, &policy, now);
    let verified = Verified {
        image: look.image,
        digest: found.digest,
        criteria,
        evidence: found.evidence,
        verdict,
    };
    print(&verified, arguments.output.output)?;
    Ok(exit_of(&verified.verdict))
}

/// The exit code that says what was found.
pub(super) fn exit_of(verdict: &Verdict) -> Exit {
    match verdict.finding() {
        Finding::Trusted(_) | Finding::Waived(_) => Exit::Done,
        Finding::Refused(_) if verdict.is_incomplete() => Exit::Incomplete,
        Finding::Refused(_) => Exit::Refused,
    }
}

/// What governs the image, whatever Applications the policies select.
pub(super) fn governing(set: &PolicySet, image: &Canonical) -> Governance {
    let mut governance = Governance::default();
    for policy in set.policies() {
        let effective = &policy.effective;
        if !effective.allowed_registries.is_empty() {
            governance.allowed.push(Allowed {
                policy: Arc::clone(effective),
                allowed: registry_allows(&effective.allowed_registries, image),
            });
        }
        if policy.scope.holds_image(image) {
            governance.places.extend(policy.scope.places(image));
            governance.policies.push(Arc::clone(effective));
        }
    }
    governance
}

fn print(verified: &Verified, format: OutputFormat) -> anyhow::Result<()> {
    let mut out = io::BufWriter::new(anstream::stdout().lock());
    let result = match format {
        OutputFormat::Json => json_document(&mut out, &document(verified)),
        OutputFormat::Text => text(&mut out, verified),
    };
    Ok(ignore_closed_pipe(result.and_then(|()| out.flush()))?)
}

fn document(verified: &Verified) -> Value {
    let (verdict, reasons, waiver) = match verified.verdict.finding() {
        Finding::Trusted(_) => ("trusted", Vec::new(), None),
        Finding::Waived(waiver) => ("waived", Vec::new(), Some(waiver.kind().to_string())),
        Finding::Refused(failures) => ("refused", failures.clone(), None),
    };
    let evidence = &verified.evidence;
    let items = evidence.items.iter().map(|item| {
        json!({
            "repository": item.place.repository, "way": way(item.place.way),
            "manifest": item.place.manifest, "layer": item.place.layer,
            "form": form(&item.form), "digest": item.form.digest(),
        })
    });
    let gaps = evidence
        .gaps
        .iter()
        .map(|gap| json!({ "asked": gap.asked, "reason": gap.reason, "detail": gap.detail }));
    json!({
        "image": verified.image.to_string(),
        "digest": verified.digest,
        "verdict": verdict,
        "reason": reasons.first().map(|first| first.reason),
        "reasons": reasons,
        "waiver": waiver,
        "incomplete": verified.verdict.is_incomplete(),
        "policies": verified.criteria,
        "clauses": verified.verdict.clauses(),
        "evidence": { "items": items.collect::<Vec<_>>(), "gaps": gaps.collect::<Vec<_>>() },
    })
}

fn text(out: &mut dyn Write, verified: &Verified) -> io::Result<()> {
    let image = verified.image.to_string();
    writeln!(out, "{HEADING}{}{HEADING:#}", escape(&image))?;
    writeln!(out, "{DIM}digest{DIM:#}  {}\n", verified.digest)?;
    for policy in &verified.criteria {
        writeln!(
            out,
            "{HEADING}policy {}{HEADING:#} ({})",
            escape(&policy.name),
            policy.mode
        )?;
        for clause in &policy.clauses {
            writeln!(
                out,
                "  demands {}: {}",
                clause.clause,
                escape(&clause.demands)
            )?;
        }
        for signer in &policy.authorities {
            let who = match &signer.subject {
                Some(subject) => {
                    format!(
                        "{subject}, issuer {}",
                        signer.issuer.as_deref().unwrap_or("?")
                    )
                }
                None => format!("key {}", signer.keys.join(", ")),
            };
            writeln!(
                out,
                "  {DIM}{} is {}{DIM:#}",
                escape(&signer.name),
                escape(&who)
            )?;
        }
    }
    writeln!(out, "\n{HEADING}found{HEADING:#}")?;
    found(out, &verified.evidence)?;
    writeln!(out, "\n{HEADING}clauses{HEADING:#}")?;
    for clause in verified.verdict.clauses() {
        clause_line(out, clause)?;
    }
    conclusion(out, verified)
}

fn found(out: &mut dyn Write, evidence: &Evidence) -> io::Result<()> {
    if evidence.items.is_empty() {
        writeln!(out, "  nothing hangs on the image")?;
    }
    for item in &evidence.items {
        let place = &item.place;
        writeln!(
            out,
            "  {} {DIM}by {} in {}, {}{DIM:#}",
            form(&item.form),
            way(place.way),
            escape(&place.repository),
            place.manifest
        )?;
    }
    for gap in &evidence.gaps {
        writeln!(
            out,
            "  {WARN}not read{WARN:#}: {}: {} {DIM}({}){DIM:#}",
            escape(&gap.asked),
            escape(&gap.detail),
            gap.reason
        )?;
    }
    Ok(())
}

fn clause_line(out: &mut dyn Write, clause: &Clause) -> io::Result<()> {
    let name = format!("{} of {}", clause.clause, clause.policy);
    let name = escape(&name);
    let Some(failure) = &clause.failure else {
        writeln!(out, "  {GOOD}holds{GOOD:#}  {name}")?;
        let mut seen = BTreeSet::new();
        for word in &clause.vouched {
            let line = (&word.authority, &word.signer);
            if !seen.insert(line) {
                continue;
            }
            let time = word
                .signed_at
                .map_or("at an unproven time".to_owned(), |t| format!("at {t}"));
            writeln!(
                out,
                "         {}: {} {DIM}{time}, logs {}, timestamps {}{DIM:#}",
                escape(&word.authority),
                escape(&word.signer),
                word.logs,
                word.timestamps
            )?;
        }
        return Ok(());
    };
    writeln!(
        out,
        "  {BAD}fails{BAD:#}  {name}\n         {} {DIM}({}){DIM:#}",
        escape(&failure.detail),
        failure.reason
    )
}

fn conclusion(out: &mut dyn Write, verified: &Verified) -> io::Result<()> {
    match verified.verdict.finding() {
        Finding::Trusted(_) => writeln!(out, "\n{GOOD}trusted{GOOD:#}"),
        Finding::Waived(waiver) => {
            let kind = waiver.kind().to_string();
            writeln!(
                out,
                "\n{WARN}waived{WARN:#}: {} {DIM}({}){DIM:#}",
                escape(&kind),
                waiver.reason()
            )
        }
        Finding::Refused(failures) => {
            let word = match verified.verdict.is_incomplete() {
                true => "refused, as the evidence is incomplete",
                false => "refused",
            };
            writeln!(out, "\n{BAD}{word}{BAD:#}")?;
            for failure in failures {
                writeln!(
                    out,
                    "  {} {DIM}({}){DIM:#}",
                    escape(&failure.detail),
                    failure.reason
                )?;
            }
            Ok(())
        }
    }
}

const fn way(way: Way) -> &'static str {
    match way {
        Way::Referrers => "referrers",
        Way::SignatureTag => "tag `.sig`",
        Way::AttestationTag => "tag `.att`",
    }
}

fn form(form: &Form) -> String {
    match form {
        Form::Bundle(_) => "bundle".to_owned(),
        Form::SimpleSigning { .. } => "simple signing".to_owned(),
        Form::Envelope { .. } => "envelope".to_owned(),
        Form::Unread { artifact_type } => format!("`{}` (not read)", escape(artifact_type)),
    }
}
