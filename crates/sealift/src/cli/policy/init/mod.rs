//! `sealift policy init IMAGE`: reads how an image is signed today, writes the shortest policy that
//! demands exactly that, and judges the image by it. The policy goes to standard output, what a
//! person should know about it to standard error.

mod draft;
#[cfg(test)]
mod tests;

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, bail};
use jiff::Timestamp;
use sealift_core::evidence::Evidence;
use sealift_core::limits::TRUST_MATERIAL_BYTES_MAX;
use sealift_trust::{Finding, PublicKey, Verdict, claimed};

use self::draft::{Draft, Given};
use super::super::image::{ImageArguments, Look};
use super::super::options::{OutputFormat, OutputOptions};
use super::super::verify::{exit_of, governing};
use crate::exit::Exit;
use crate::objects::{ListedPolicy, Origin};
use crate::output::{DIM, GOOD, WARN, escape, ignore_closed_pipe, json_document};

/// Arguments of `policy init`.
#[derive(Debug, clap::Args)]
pub(super) struct InitArguments {
    #[command(flatten)]
    image: ImageArguments,
    /// Public key that signed the image, PEM. Repeatable; a policy for a key needs it
    #[arg(long, value_name = "FILE")]
    key: Vec<PathBuf>,
    /// Trust root of a private Sigstore that the policy names; it must lie beside the policy
    /// [default: the public one, or GitHub's, as the certificate says]
    #[arg(long, value_name = "FILE")]
    trust_root: Option<PathBuf>,
    #[command(flatten)]
    output: OutputOptions,
}

/// Writes a policy and says whether the image satisfies it.
///
/// # Errors
/// The image cannot be read, nothing signs it, or a policy cannot be made of what does.
pub(super) async fn run(arguments: InitArguments) -> anyhow::Result<Exit> {
    let now = Timestamp::now();
    let given = Given {
        keys: keys(&arguments.key)?,
        trust_root: arguments.trust_root.clone(),
        namespace: arguments.image.argocd_namespace.clone(),
    };
    let look = Look::open(&arguments.image)?;
    let found = look.find(None, now).await?;
    let image = &look.image;
    let draft = draft(&found.evidence, &given, image, now)
        .with_context(|| format!("no policy was written for `{image}`"))?;
    let text = draft.yaml();
    let verdict = judge(&look, &text, now).await?;
    let mut out = io::BufWriter::new(anstream::stdout().lock());
    let result = match arguments.output.output {
        OutputFormat::Json => json_document(&mut out, &draft.document()),
        OutputFormat::Text => out.write_all(text.as_bytes()),
    };
    ignore_closed_pipe(result.and_then(|()| out.flush()))?;
    conclusion(&mut anstream::stderr().lock(), &draft, &verdict)?;
    Ok(exit_of(&verdict))
}

fn keys(files: &[PathBuf]) -> anyhow::Result<Vec<String>> {
    let read = |file: &PathBuf| {
        let shown = file.display();
        let text = bounded(file).with_context(|| format!("`--key {shown}`"))?;
        PublicKey::parse_all(text.as_bytes())
            .map_err(|error| anyhow::anyhow!("`--key {shown}`: {error}"))?;
        Ok(text)
    };
    files.iter().map(read).collect()
}

fn bounded(file: &Path) -> anyhow::Result<String> {
    let length = std::fs::metadata(file)?.len();
    if length > TRUST_MATERIAL_BYTES_MAX as u64 {
        bail!("it is larger than {TRUST_MATERIAL_BYTES_MAX} bytes");
    }
    Ok(std::fs::read_to_string(file)?)
}

fn draft(
    evidence: &Evidence,
    given: &Given,
    image: &sealift_core::reference::Reference,
    now: Timestamp,
) -> anyhow::Result<Draft> {
    if let Some(gap) = evidence.gaps.iter().find(|gap| gap.hides) {
        let (asked, detail) = (&gap.asked, &gap.detail);
        bail!(
            "not all that hangs on it was read: {asked}: {detail} ({})",
            gap.reason
        );
    }
    let mut seen = Vec::new();
    let mut unread = Vec::new();
    for item in &evidence.items {
        match claimed(item, evidence.subject) {
            Ok(claimed) => seen.push(claimed),
            Err(failure) => unread.push(format!("{}: {}", item.place.manifest, failure.detail)),
        }
    }
    if seen.is_empty() {
        let rest = match unread.len() {
            0 => String::new(),
            count => format!(" ({count} artifacts hang on it that are none)"),
        };
        bail!(
            "nothing signs it{rest}\nhint: sign it first, for example with `cosign sign`, or \
             write `unsafeNoSignatures` with a reason"
        );
    }
    Draft::of(&seen, unread, given, image, now)
}

/// Judges the image by the text that will stand in the policy's file, in this folder.
async fn judge(look: &Look, text: &str, now: Timestamp) -> anyhow::Result<Verdict> {
    let mut reader = crate::objects::files::Reader::new("argocd");
    reader.read_documents(
        "policy",
        text.as_bytes(),
        crate::objects::files::Named::AsPolicy,
    );
    let objects = reader.finish();
    let folder = std::env::current_dir().context("the current folder")?;
    let listed: Vec<ListedPolicy> = objects
        .listed_policies()
        .iter()
        .map(|policy| ListedPolicy {
            origin: Origin::Document {
                file: "the policy".into(),
                line: 1,
                item: None,
            },
            object: policy.object.clone(),
            text: Some(Arc::from(text)),
            folder: Some(folder.clone()),
        })
        .collect();
    let in_force = look.in_force(&listed, now).await?;
    let policy = in_force.ready(governing(in_force.set(), &look.canonical));
    let found = look.find(Some(&policy), now).await?;
    Ok(look.judge(&found, &policy, now))
}

fn conclusion(out: &mut dyn Write, draft: &Draft, verdict: &Verdict) -> io::Result<()> {
    for note in draft.notes() {
        writeln!(out, "{WARN}note{WARN:#}: {}", escape(note))?;
    }
    match verdict.finding() {
        Finding::Refused(failures) => {
            writeln!(
                out,
                "{WARN}the image does not satisfy this policy today{WARN:#}"
            )?;
            for failure in failures {
                let (detail, reason) = (escape(&failure.detail), failure.reason);
                writeln!(out, "  {detail} {DIM}({reason}){DIM:#}")?;
            }
        }
        _ => writeln!(out, "{GOOD}the image satisfies this policy today{GOOD:#}")?,
    }
    writeln!(
        out,
        "{DIM}review it: who signs, at which ref, and whether that is who should; then \
         `sealift policy explain FILE` says what it stands for{DIM:#}"
    )
}
