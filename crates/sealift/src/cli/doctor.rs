//! `sealift doctor`: what would not work, what is weaker than it looks, and the way to mend it. It
//! runs the ordinary cycle without writing, looks at more than an update needs, and asks each Git
//! server whether a push would be let in.

use std::collections::BTreeMap;
use std::io::{self, Write};

use sealift_core::event::Decision;
use sealift_core::mend::mend;
use sealift_core::reason::Reason;
use serde::Serialize;
use serde_json::json;

use super::options::{
    CycleOptions, GitOptions, OutputFormat, OutputOptions, RegistryOptions, SourceOptions,
};
use crate::engine::{Engine, Mode, Options};
use crate::exit::Exit;
use crate::output::{BAD, DIM, GOOD, WARN, counted, escape, ignore_closed_pipe, json_document};
use crate::pipeline::examine::Found;
use crate::pipeline::report::Report;

/// Arguments of `doctor`.
#[derive(Debug, clap::Args)]
pub struct DoctorArguments {
    #[command(flatten)]
    source: SourceOptions,
    #[command(flatten)]
    registry: RegistryOptions,
    #[command(flatten)]
    git: GitOptions,
    #[command(flatten)]
    cycle: CycleOptions,
    #[command(flatten)]
    output: OutputOptions,
}

/// One thing that is wrong or weak, with everything that it is about.
#[derive(Debug, Serialize)]
struct Finding {
    /// An update fails because of it.
    error: bool,
    reason: Reason,
    detail: String,
    /// Applications with images, objects, repositories.
    subjects: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mend: Option<String>,
}

/// Looks and prints. Ends with 1 when something would fail.
///
/// # Errors
/// The program cannot start, or objects cannot be read at all.
pub async fn run(arguments: DoctorArguments) -> anyhow::Result<Exit> {
    let options = Options {
        source: &arguments.source,
        registry: &arguments.registry,
        git: &arguments.git,
        cycle: &arguments.cycle,
    };
    let mut engine = Engine::open(&options, Mode::LookOn)?;
    let (report, found) = engine.examine().await?;
    let findings = findings(&report, found);
    let mut out = io::BufWriter::new(anstream::stdout().lock());
    let result = match arguments.output.output {
        OutputFormat::Json => {
            let looked_at = json!({
                "applications": report.cycle.applications, "images": report.considered.len(),
            });
            let document = json!({ "findings": findings, "looked_at": looked_at });
            json_document(&mut out, &document)
        }
        OutputFormat::Text => text(&mut out, &findings, &report),
    };
    ignore_closed_pipe(result.and_then(|()| out.flush()))?;
    Ok(match findings.iter().any(|finding| finding.error) {
        true => Exit::Failed,
        false => Exit::Done,
    })
}

/// What is said once: whether it is no error (errors sort first), why, and the particulars.
type Key = (bool, Reason, String);
/// What it is about, and the way to mend it.
type About = (Vec<String>, Option<&'static str>);

/// Everything, errors first; what is said of many in the same words is said once.
fn findings(report: &Report, found: Vec<Found>) -> Vec<Finding> {
    let mut all: BTreeMap<Key, About> = BTreeMap::new();
    let mut add = |error: bool, reason: Reason, detail: &str, subject: String, hint| {
        let (subjects, way) = all.entry((!error, reason, detail.to_owned())).or_default();
        if !subjects.contains(&subject) {
            subjects.push(subject);
        }
        *way = way.or(hint).or_else(|| mend(reason));
    };
    for problem in &report.problems {
        if let Some(reason) = problem.cause.reason.known() {
            add(
                true,
                reason,
                &problem.cause.detail,
                problem.subject.clone(),
                None,
            );
        }
    }
    for notice in &report.notices {
        if let Some(reason) = notice.cause.reason.known() {
            add(
                false,
                reason,
                &notice.cause.detail,
                notice.subject.clone(),
                None,
            );
        }
    }
    for entry in &report.considered {
        let considered = entry.considered();
        let image = considered.image.alias.as_deref();
        let image = image.unwrap_or(&considered.image.written);
        let subject = format!("{} {image}", considered.application);
        let stopped = matches!(considered.decision, Decision::Failed | Decision::Refused);
        for (index, cause) in considered.reasons.iter().enumerate() {
            let Some(reason) = cause.reason.known() else {
                continue;
            };
            // What decided is an error where it stopped the image; remarks only matter where they
            // can be mended. One that policy passed over is neither.
            let error = stopped && index == 0;
            if error || (mend(reason).is_some() && reason != Reason::UncheckedNoPolicy) {
                add(error, reason, &cause.detail, subject.clone(), None);
            }
        }
    }
    for one in found {
        add(one.error, one.reason, &one.detail, one.subject, one.hint);
    }
    all.into_iter()
        .map(|((no_error, reason, detail), (subjects, way))| Finding {
            error: !no_error,
            reason,
            detail,
            subjects,
            mend: way.map(str::to_owned),
        })
        .collect()
}

fn text(out: &mut impl Write, findings: &[Finding], report: &Report) -> io::Result<()> {
    /// Subjects that are named before the rest is counted.
    const SUBJECTS_SHOWN_MAX: usize = 5;
    for finding in findings {
        let (style, word) = match finding.error {
            true => (BAD, "error"),
            false => (WARN, "warning"),
        };
        let detail = match finding.detail.as_str() {
            "" => finding.reason.sentence(),
            detail => detail,
        };
        let (detail, reason) = (escape(detail), finding.reason);
        writeln!(
            out,
            "{style}{word}{style:#}: {detail} {DIM}({reason}){DIM:#}"
        )?;
        for subject in finding.subjects.iter().take(SUBJECTS_SHOWN_MAX) {
            writeln!(out, "  {}", escape(subject))?;
        }
        let rest = finding.subjects.len().saturating_sub(SUBJECTS_SHOWN_MAX);
        if rest > 0 {
            writeln!(out, "  and {rest} more")?;
        }
        if let Some(way) = &finding.mend {
            writeln!(out, "  {DIM}to mend it:{DIM:#} {way}")?;
        }
        writeln!(out)?;
    }
    let errors = findings.iter().filter(|finding| finding.error).count();
    let warnings = counted((findings.len() - errors) as u64, "warning");
    let applications = counted(report.cycle.applications, "Application");
    let images = counted(report.considered.len() as u64, "image");
    let style = if errors > 0 { BAD } else { GOOD };
    writeln!(
        out,
        "{style}{}, {warnings}{style:#}; looked at {applications} with {images}, their registries, \
         and whether their Git repositories would take a push; nothing was written",
        counted(errors as u64, "error")
    )
}
