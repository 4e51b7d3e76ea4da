//! `sealift events verify`: the check of the whole journal against anchors from Git, and what it
//! says.

use std::io::{self, Write};
use std::path::Path;

use anyhow::Context as _;
use sealift_core::event::trailer_head;
use sealift_core::event::verify::{Anchor, Report, Verifier};
use serde::Serialize;

use super::{VerifyArguments, World};
use crate::cli::options::OutputFormat;
use crate::exit::Exit;
use crate::journal::read::Lines;
use crate::output::{BAD, DIM, GOOD, WARN, counted, escape, ignore_closed_pipe, json_document};

/// The answer as JSON.
#[derive(Serialize)]
struct Answer<'a> {
    whole: bool,
    trailers_unreadable: u64,
    #[serde(flatten)]
    report: &'a Report,
}

/// Checks the journal: [`Exit::Done`] if nothing is wrong, else [`Exit::Failed`].
///
/// Anchors are read first: what is committed while the journal is read would look cut off
/// otherwise.
pub(super) fn run(
    arguments: &VerifyArguments,
    folder: &Path,
    world: &mut World<'_>,
) -> anyhow::Result<Exit> {
    let (anchors, trailers_unreadable) = anchors(arguments, world)?;
    let given = !arguments.repo.is_empty() || !arguments.anchor.is_empty();
    let mut verifier = Verifier::new(anchors);
    let (mut lines, mut line) = (Lines::all(folder)?, Vec::new());
    while let Some(found) = lines.next_line(&mut line)? {
        verifier.line(found.place, found.terminated, &line);
    }
    let report = verifier.finish();
    let whole = report.findings.is_empty();
    ignore_closed_pipe(match arguments.output.output {
        OutputFormat::Json => {
            let answer = Answer {
                whole,
                trailers_unreadable,
                report: &report,
            };
            json_document(&mut world.out, &answer)
        }
        OutputFormat::Text => write_report(world.out, folder, &report, given)
            .and_then(|()| write_unreadable(world.out, trailers_unreadable))
            .and_then(|()| write_verdict(world.out, folder, &report)),
    })?;
    Ok(if whole { Exit::Done } else { Exit::Failed })
}

/// The anchors that were given and those in the repositories, and how many trailers are no heads.
fn anchors(
    arguments: &VerifyArguments,
    world: &mut World<'_>,
) -> anyhow::Result<(Vec<Anchor>, u64)> {
    let given = |&head| Anchor {
        head,
        origin: "`--anchor`".to_owned(),
    };
    let mut anchors: Vec<Anchor> = arguments.anchor.iter().map(given).collect();
    let mut unreadable = 0;
    for repository in &arguments.repo {
        let trailers = (world.trailers)(repository).with_context(|| {
            let repository = sealift_core::secret::masked_url(repository);
            format!("cannot read the anchors in `{repository}`; nothing was checked")
        })?;
        for found in trailers {
            match trailer_head(&found.trailer) {
                Ok(head) => {
                    let origin = format!("commit `{}`", escape(&found.commit));
                    anchors.push(Anchor { head, origin });
                }
                Err(_) => unreadable += 1,
            }
        }
    }
    Ok((anchors, unreadable))
}

fn write_report(
    out: &mut dyn Write,
    folder: &Path,
    report: &Report,
    anchors_given: bool,
) -> io::Result<()> {
    let [first, last] =
        [report.first, report.last].map(|head| head.map_or(0, |head| head.sequence));
    let Report {
        records, chains, ..
    } = report;
    let folder = folder.display().to_string();
    writeln!(out, "journal   `{}`", escape(&folder))?;
    writeln!(
        out,
        "records   {records} ({first} to {last}) of {}",
        counted(*chains, "process run")
    )?;
    if report.pruned_to > 0 {
        writeln!(
            out,
            "deleted   up to record {}, to keep the bound",
            report.pruned_to
        )?;
    }
    let Report {
        anchors_held,
        anchors_older,
        anchors_foreign,
        anchored_to,
        ..
    } = report;
    if anchors_given {
        writeln!(
            out,
            "anchors   {anchors_held} hold, {anchors_older} are older than what is kept, \
             {anchors_foreign} are of other journals"
        )?;
    }
    if let Some(torn) = report.torn {
        writeln!(
            out,
            "torn      `{torn}` is incomplete: being written, or cut by the next start"
        )?;
    }
    if *anchored_to < last {
        let why = if anchors_given {
            ""
        } else {
            " (`--repo` reads anchors from commits)"
        };
        writeln!(
            out,
            "{DIM}records {} to {last} stand behind the last anchor: a cut or rewritten end would \
             not be seen there{why}{DIM:#}",
            anchored_to.saturating_add(1)
        )?;
    }
    Ok(())
}

fn write_unreadable(out: &mut dyn Write, trailers_unreadable: u64) -> io::Result<()> {
    if trailers_unreadable == 0 {
        return Ok(());
    }
    writeln!(
        out,
        "{WARN}{} left out: no head can be read from it{WARN:#}",
        counted(trailers_unreadable, "trailer")
    )
}

fn write_verdict(out: &mut dyn Write, folder: &Path, report: &Report) -> io::Result<()> {
    if report.findings.is_empty() {
        return writeln!(out, "\n{GOOD}the journal is whole{GOOD:#}");
    }
    let findings = report.findings.len() as u64 + report.findings_omitted;
    writeln!(
        out,
        "\n{BAD}the journal is not whole: {}{BAD:#}",
        counted(findings, "finding")
    )?;
    for finding in &report.findings {
        writeln!(out, "- {finding}\n  {DIM}{}{DIM:#}", finding.consequence())?;
    }
    if report.findings_omitted > 0 {
        writeln!(out, "- and {} more", report.findings_omitted)?;
    }
    let folder = folder.display().to_string();
    writeln!(out, "nothing was changed in `{}`", escape(&folder))
}
