//! `sealift verify IMAGE --policy FILE`: whether an image satisfies policies, clause by clause. No
//! Application is needed: the policies count whatever Applications they select.

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, bail};
use jiff::Timestamp;
use sealift_core::credential::{CredentialAuthor, CredentialSource};
use sealift_core::digest::Digest;
use sealift_core::evidence::{Evidence, Form, Way};
use sealift_core::promotion::scope::registry_allows;
use sealift_core::promotion::set::{Allowed, Governance, PolicySet};
use sealift_core::reason::Reason;
use sealift_core::reference::{Canonical, Reference};
use sealift_registry::{EvidenceSource, Freshness, Layout, evidence_of};
use sealift_trust::{Case, Clause, Finding, Policy, Unverified, Verdict};
use serde_json::{Value, json};

use super::options::{OutputFormat, OutputOptions, RegistryOptions, TrustOptions};
use super::policy::explained::{Explained, explain};
use crate::exit::Exit;
use crate::objects::files::FileObjects;
use crate::objects::{Objects, policies};
use crate::output::{BAD, DIM, GOOD, HEADING, WARN, escape, ignore_closed_pipe, json_document};
use crate::policies::{InForce, Policies};
use crate::registries::{Registries, Source};
use crate::state::StateFolder;
use crate::trust_roots::{self, TrustRoots};

/// Arguments of `verify`.
#[derive(Debug, clap::Args)]
pub struct VerifyArguments {
    /// The image: `ghcr.io/acme/shop:1.2.3`, or with `@sha256:…`
    image: String,
    /// File with the policies that it must satisfy. Repeatable
    #[arg(long, required = true, value_name = "FILE")]
    policy: Vec<PathBuf>,
    /// Read an OCI image layout instead of a registry
    #[arg(long, value_name = "DIR")]
    layout: Option<PathBuf>,
    /// Credential source: `env:NAME`, `ext:/path`
    #[arg(long, value_name = "SOURCE")]
    credentials: Option<String>,
    /// Folder for caches and trust roots [default: none is kept]
    #[arg(long, value_name = "DIR", env = "SEALIFT_STATE_DIR")]
    state_dir: Option<PathBuf>,
    /// Namespace of documents that name none
    #[arg(long, env = "ARGOCD_NAMESPACE", default_value = "argocd")]
    argocd_namespace: String,
    #[command(flatten)]
    registry: RegistryOptions,
    #[command(flatten)]
    trust: TrustOptions,
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
    let image = Reference::parse(arguments.image.trim());
    if image.name.is_empty() {
        bail!("`{}` is no image; nothing was verified", arguments.image);
    }
    let canonical = image.canonical();
    let now = Timestamp::now();
    let kept = arguments.state_dir.clone();
    let temporary = tempfile::tempdir()?;
    let folder = kept.unwrap_or_else(|| temporary.path().join("state"));
    let state = StateFolder::open(&folder)?;
    let registries = Registries::open(&arguments.registry, &state)?;
    let objects: Arc<dyn Objects> = Arc::new(FileObjects::default());
    let expired = &arguments.trust.unsafe_expired_trust_root;
    let copies = state.subfolder(trust_roots::FOLDER)?;
    let roots = TrustRoots::open(registries.net(), copies, expired)?;
    let policies = Policies::new(Unverified::Refuse, &arguments.argocd_namespace, roots);
    let in_force = in_force(&arguments, &policies, &objects, now).await?;
    let governance = governing(in_force.set(), &canonical);
    let criteria = in_force
        .set()
        .policies()
        .filter(|one| one.scope.holds_image(&canonical));
    let criteria: Vec<Explained> = criteria.map(|one| explain(one)).collect();
    let policy = in_force.ready(governance);
    let found = match &arguments.layout {
        Some(folder) => in_layout(folder, &image, &policy)?,
        None => in_registry(&arguments, &registries, &objects, &image, &policy, now).await?,
    };
    registries.flush();
    let (digest, evidence, platforms) = found;
    let case = Case {
        digest,
        tag: image.tag.as_deref(),
        evidence: &evidence,
        platforms: &platforms,
        change: None,
    };
    let verdict = policies.judge().judge(&case, &policy, now);
    let verified = Verified {
        image,
        digest,
        criteria,
        evidence,
        verdict,
    };
    print(&verified, arguments.output.output)?;
    Ok(match verified.verdict.finding() {
        Finding::Trusted(_) | Finding::Waived(_) => Exit::Done,
        Finding::Refused(_) if verified.verdict.is_incomplete() => Exit::Incomplete,
        Finding::Refused(_) => Exit::Refused,
    })
}

async fn in_force(
    arguments: &VerifyArguments,
    policies: &Policies,
    objects: &Arc<dyn Objects>,
    now: Timestamp,
) -> anyhow::Result<InForce> {
    let files: Vec<&Path> = arguments.policy.iter().map(PathBuf::as_path).collect();
    let listed = policies::from_files(files, &arguments.argocd_namespace).map_err(|problems| {
        let texts: Vec<String> = problems.iter().map(ToString::to_string).collect();
        anyhow::anyhow!("{}; the image was not verified", texts.join("; "))
    })?;
    let (in_force, remarks) = policies.take(&listed, objects.as_ref(), now).await;
    let invalid = remarks
        .iter()
        .filter(|one| matches!(one.reason, Reason::PolicyInvalid | Reason::ExceptionInvalid));
    let invalid: Vec<String> = invalid.map(|one| one.detail.clone()).collect();
    if !invalid.is_empty() {
        let all = invalid.join("; ");
        bail!("{all}; the image was not verified (`sealift policy check` says more)");
    }
    for remark in &remarks {
        tracing::warn!(reason = remark.reason.id(), "{}", remark.detail);
    }
    Ok(in_force)
}

/// What governs the image, whatever Applications the policies select.
fn governing(set: &PolicySet, image: &Canonical) -> Governance {
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

/// The digest, what hangs on it, and what hangs on its platforms where the policy asks for that.
type Found = (Digest, Evidence, Vec<Evidence>);

fn in_layout(folder: &Path, image: &Reference, policy: &Policy) -> anyhow::Result<Found> {
    let shown = folder.display();
    let layout = Layout::open(folder).with_context(|| format!("the layout `{shown}`"))?;
    let digest = match image.typed_digest() {
        Some(digest) => digest,
        // A layout of one image need not name it.
        None => match image.tag.as_deref() {
            Some(tag) if layout.names().contains(&tag) => layout.resolve(Some(tag))?,
            Some(tag) if layout.names().iter().any(|name| !is_artifact(name)) => bail!(
                "the layout `{shown}` holds no `{tag}`; it has `{}`",
                layout.names().join("`, `")
            ),
            _ => layout.resolve(None)?,
        },
    };
    let mut platforms = Vec::new();
    if policy.wants_platforms() {
        let listed = layout.platform_manifests(digest)?;
        platforms.extend(listed.iter().map(|one| layout.evidence(one.digest)));
    }
    Ok((digest, layout.evidence(digest), platforms))
}

fn is_artifact(name: &str) -> bool {
    sealift_core::select::is_artifact_tag(name)
}

async fn in_registry(
    arguments: &VerifyArguments,
    registries: &Registries,
    objects: &Arc<dyn Objects>,
    image: &Reference,
    policy: &Policy,
    now: Timestamp,
) -> anyhow::Result<Found> {
    let credentials = arguments
        .credentials
        .as_deref()
        .map(|text| CredentialSource::parse(text, CredentialAuthor::Operator));
    let credentials = credentials.transpose().context("`--credentials`")?;
    let (source, _) = registries.source(image, credentials.as_ref(), objects)?;
    let digest = match image.typed_digest() {
        Some(digest) => digest,
        None => resolve(&source, image, now).await?,
    };
    if !policy.wants_evidence() {
        return Ok((digest, Evidence::none(digest), Vec::new()));
    }
    let own = image.canonical();
    let mut sources = vec![evidence_source(&source)];
    for place in policy.places() {
        let secret = credentials
            .as_ref()
            .filter(|_| place.registry == own.registry);
        let reference = Reference::parse(&place.to_string());
        let (other, _) = registries.source(&reference, secret, objects)?;
        sources.push(evidence_source(&other));
    }
    let mut platforms = Vec::new();
    if policy.wants_platforms() {
        let registry = &source.registry;
        let listed = registry
            .platform_manifests(&source.repository, digest, &source.access)
            .await?;
        for platform in listed {
            platforms.push(evidence_of(&sources, platform.digest).await);
        }
    }
    Ok((digest, evidence_of(&sources, digest).await, platforms))
}

async fn resolve(source: &Source, image: &Reference, now: Timestamp) -> anyhow::Result<Digest> {
    let tag = image.tag.as_deref().unwrap_or("latest");
    let asked = source
        .registry
        .resolve(
            &source.repository,
            tag,
            Freshness::Asked,
            &source.access,
            now,
        )
        .await?;
    let found = asked.with_context(|| format!("the tag `{tag}` of `{image}` does not exist"))?;
    Ok(found.digest)
}

fn evidence_source(source: &Source) -> EvidenceSource {
    EvidenceSource {
        registry: Arc::clone(&source.registry),
        repository: source.repository.clone(),
        access: source.access.clone(),
    }
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
