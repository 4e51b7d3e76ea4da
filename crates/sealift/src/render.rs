//! Reports for people. JSON is the report itself; this is the same, aligned and in colour on a
//! terminal.

use std::collections::BTreeMap;
use std::io::{self, Write};

use anstyle::Style;
use sealift_core::event::{Considered, Decision, PushResult};
use sealift_core::reason::Reason;
use sealift_core::select::{Candidates, Ranking};
use serde_json::{Value, json};

use crate::output::{BAD, Cell, DIM, GOOD, HEADING, PLAIN, Table, WARN, counted, escape};
use crate::pipeline::live;
use crate::pipeline::report::{Entry, FileDiff, Problem, Push, Report};

/// Tags that `explain` lists for each reason before it says how many more there are.
const TAGS_SHOWN_MAX: usize = 50;

/// The decisions of a cycle, the problems, the pushes and the closing numbers.
///
/// # Errors
/// The stream refuses it.
pub fn report(out: &mut impl Write, report: &Report, with_diffs: bool) -> io::Result<()> {
    if !report.considered.is_empty() {
        let mut headings = vec![
            "APPLICATION",
            "IMAGE",
            "GIT WANTS",
            "WINNER",
            "DECISION",
            "WHY",
        ];
        // Where all is annotated there is nothing to tell apart.
        let with_origin = !report.image_updaters.is_empty();
        if with_origin {
            headings.insert(2, "FOLLOWED BY");
        }
        let mut table = Table::with_headings(&headings);
        for entry in &report.considered {
            let considered = entry.considered();
            let mut row = row(&considered);
            if with_origin {
                row.insert(2, Cell::plain(origin(&considered)));
            }
            table.row(row);
        }
        table.write(out)?;
        passed_over(out, &report.considered)?;
    }
    changes(out, report, with_diffs)?;
    shadow(out, report)?;
    closing(out, report)
}

/// In shadow mode: where what is written now differs.
fn shadow(out: &mut impl Write, report: &Report) -> io::Result<()> {
    if report.shadow.is_empty() {
        return Ok(());
    }
    let headings = [
        "DIFFERS IN",
        "IMAGE",
        "BEFORE",
        "HOLDS NOW",
        "SEALIFT WOULD",
        "WHY",
    ];
    let mut table = Table::with_headings(&headings);
    for one in &report.shadow {
        table.row([
            Cell::plain(&one.application),
            Cell::plain(&one.image),
            Cell::plain(&brief(&one.before)),
            Cell::styled(&brief(&one.holds), WARN),
            Cell::plain(&one.would.as_deref().map_or_else(|| "–".to_owned(), brief)),
            Cell::plain(&one.why),
        ]);
    }
    writeln!(out)?;
    table.write(out)
}

/// Who says how the image is followed.
fn origin(considered: &Considered) -> &str {
    considered.inputs.origin.as_deref().unwrap_or("annotations")
}

/// What policy kept out although it was higher than what was chosen.
fn passed_over(out: &mut impl Write, entries: &[Entry]) -> io::Result<()> {
    for entry in entries {
        let considered = &entry.considered();
        let causes = considered.reasons.iter();
        for cause in causes.filter(|cause| cause.reason.known() == Some(Reason::PassedOver)) {
            writeln!(
                out,
                "{WARN}passed over{WARN:#} in {}: {}",
                escape(&considered.application),
                escape(&cause.detail)
            )?;
        }
    }
    Ok(())
}

/// Problems, notices and pushes.
///
/// # Errors
/// The stream refuses it.
pub fn changes(out: &mut impl Write, report: &Report, with_diffs: bool) -> io::Result<()> {
    problems(out, "error", BAD, &report.problems)?;
    problems(out, "notice", WARN, &report.notices)?;
    for push in &report.pushes {
        self::push(out, push, with_diffs)?;
    }
    Ok(())
}

fn row(considered: &Considered) -> Vec<Cell> {
    let alias = considered
        .image
        .alias
        .as_deref()
        .unwrap_or(&considered.image.written);
    let wanted = considered.inputs.wanted.as_deref().map_or("", short);
    let running = considered
        .inputs
        .running
        .first()
        .map_or("", |text| short(text));
    let wanted = match (wanted, running) {
        ("", "") => "–".to_owned(),
        ("", running) => format!("{running} (runs)"),
        (wanted, _) => brief(wanted),
    };
    let winner = considered
        .candidate
        .as_ref()
        .map_or("–", |candidate| &candidate.tag);
    let style = style_of(considered.decision);
    vec![
        Cell::plain(&considered.application),
        Cell::plain(alias),
        Cell::plain(&wanted),
        Cell::plain(winner),
        Cell::styled(considered.decision.word(), style),
        Cell::plain(&why(considered)),
    ]
}

/// A version with its digest cut to what tells it from others.
fn brief(version: &str) -> String {
    const SHOWN: usize = "sha256:".len() + 12;
    let cut = version
        .find("sha256:")
        .and_then(|at| version.get(..at + SHOWN));
    cut.map_or_else(|| version.to_owned(), |cut| format!("{cut}…"))
}

/// The tag and digest of a reference, or the whole text where there is neither.
fn short(reference: &str) -> &str {
    let name_end = reference.rfind('/').unwrap_or(0);
    reference
        .get(name_end..)
        .and_then(|rest| {
            let at = rest.find([':', '@'])?;
            reference.get(name_end + at + 1..)
        })
        .unwrap_or(reference)
}

fn why(considered: &Considered) -> String {
    considered
        .reasons
        .first()
        .map_or_else(String::new, |cause| match cause.detail.as_str() {
            "" => cause.reason.to_string(),
            detail => format!("{}: {detail}", cause.reason),
        })
}

const fn style_of(decision: Decision) -> Style {
    match decision {
        Decision::Updated | Decision::WouldUpdate => GOOD,
        Decision::Refused => WARN,
        Decision::Failed => BAD,
        Decision::Skipped => DIM,
        _ => PLAIN,
    }
}

fn problems(
    out: &mut impl Write,
    label: &str,
    style: Style,
    problems: &[Problem],
) -> io::Result<()> {
    for problem in problems {
        let (subject, detail) = (escape(&problem.subject), escape(&problem.cause.detail));
        let reason = &problem.cause.reason;
        writeln!(
            out,
            "{style}{label}:{style:#} {subject}: {detail} {DIM}({reason}){DIM:#}"
        )?;
    }
    Ok(())
}

fn push(out: &mut impl Write, push: &Push, with_diffs: bool) -> io::Result<()> {
    let (repository, branch) = (push.repository.as_str(), push.branch.as_str());
    let live = repository.strip_prefix(live::PLACE);
    let (to_git, to_application, style) = match push.result {
        None => ("would push to", "would patch", PLAIN),
        Some(PushResult::Landed) => ("pushed to", "patched", GOOD),
        Some(PushResult::Moved) => ("branch had moved:", "somebody else was faster at", WARN),
        Some(_) => ("did not push to", "did not patch", BAD),
    };
    let (verb, place) = match live {
        None => (to_git, format!("`{branch}` of {repository}")),
        Some(name) => (to_application, format!("Application {name}")),
    };
    writeln!(out, "\n{style}{verb}{style:#} {}", escape(&place))?;
    for commit in &push.commits {
        writeln!(out, "  commit {commit}")?;
    }
    if let Some(cause) = &push.cause {
        writeln!(out, "  {}: {}", cause.reason, escape(&cause.detail))?;
    }
    if with_diffs {
        for file in &push.files {
            diff(out, file)?;
        }
    }
    Ok(())
}

fn diff(out: &mut impl Write, file: &FileDiff) -> io::Result<()> {
    writeln!(out)?;
    for line in file.diff.lines() {
        let style = match line.as_bytes() {
            [b'+', b'+', ..] | [b'-', b'-', ..] => HEADING,
            [b'+', ..] => GOOD,
            [b'-', ..] => BAD,
            [b'@', ..] => DIM,
            _ => PLAIN,
        };
        writeln!(out, "  {style}{}{style:#}", escape(line))?;
    }
    Ok(())
}

fn closing(out: &mut impl Write, report: &Report) -> io::Result<()> {
    let cycle = &report.cycle;
    writeln!(
        out,
        "\n{}, {}: {} updated, {} refused, {} incomplete, {} skipped, {}",
        counted(cycle.applications, "Application"),
        counted(cycle.considered, "image"),
        cycle.updated,
        cycle.refused,
        cycle.incomplete,
        cycle.skipped,
        counted(cycle.errors, "error")
    )
}

/// One image with every tag: what dropped it, what won, what would change.
///
/// # Errors
/// The stream refuses it.
pub fn explain(out: &mut impl Write, entry: &Entry) -> io::Result<()> {
    let considered = &entry.considered();
    let alias = considered.image.alias.as_deref().unwrap_or("–");
    let heading = format!(
        "{} {alias} ({})",
        considered.application, considered.image.repository
    );
    writeln!(out, "{HEADING}{}{HEADING:#}", escape(&heading))?;
    let mut facts = Table::default();
    let mut fact = |name: &str, value: &str| {
        facts.row([Cell::styled(name, DIM), Cell::plain(value)]);
    };
    fact("followed by", origin(considered));
    fact("strategy", &considered.strategy);
    fact(
        "constraint",
        considered.constraint.as_deref().unwrap_or("none"),
    );
    for (name, value) in &considered.inputs.settings {
        fact(name, value);
    }
    fact("runs", &listed(&considered.inputs.running));
    fact(
        "Git wants",
        considered
            .inputs
            .wanted
            .as_deref()
            .unwrap_or("not looked up, or not there"),
    );
    if let Some(slot) = &considered.slot {
        fact(
            "written to",
            &format!("{} at {}", slot.path, slot.routes.join(", ")),
        );
        match slot.repository.as_str().strip_prefix(live::PLACE) {
            None => fact("branch", &format!("{} of {}", slot.branch, slot.repository)),
            Some(name) => fact("patch of", &format!("Application {name}")),
        }
    }
    if let Some(candidate) = &considered.candidate {
        let digest = candidate
            .digest
            .map_or_else(String::new, |digest| format!(" ({digest})"));
        fact("winner", &format!("{}{digest}", candidate.tag));
    }
    facts.write(out)?;
    let style = style_of(considered.decision);
    writeln!(out, "{style}{}{style:#}", considered.decision.word())?;
    for cause in &considered.reasons {
        let detail = match cause.detail.as_str() {
            "" => String::new(),
            detail => format!(": {}", escape(detail)),
        };
        writeln!(out, "  {}{detail}", cause.reason)?;
    }
    entry.ranking().map_or(Ok(()), |ranking| tags(out, ranking))
}

fn listed(texts: &[String]) -> String {
    if texts.is_empty() {
        "nothing known".to_owned()
    } else {
        texts.join(", ")
    }
}

/// Every tag with its fate, best first; at most [`TAGS_SHOWN_MAX`] for each reason.
///
/// # Errors
/// The stream refuses it.
pub fn tags(out: &mut impl Write, ranking: &Ranking) -> io::Result<()> {
    let mut table = Table::with_headings(&["TAG", "WHY"]);
    let mut omitted = 0_usize;
    let mut shown: BTreeMap<Reason, usize> = BTreeMap::new();
    for (tag, reason) in Candidates::new(ranking).verdicts() {
        let count = shown.entry(reason).or_default();
        *count += 1;
        if *count > TAGS_SHOWN_MAX {
            omitted += 1;
            continue;
        }
        let detail = ranking.selection().detail(tag, reason);
        let why = detail.map_or_else(
            || reason.to_string(),
            |detail| format!("{reason}: {detail}"),
        );
        let style = if reason == Reason::Newest {
            GOOD
        } else {
            PLAIN
        };
        table.row([Cell::styled(tag, style), Cell::plain(&why)]);
    }
    writeln!(out)?;
    table.write(out)?;
    if omitted > 0 {
        writeln!(out, "… and {omitted} more; `--output json` lists them all")?;
    }
    Ok(())
}

/// Every tag with its fate, as JSON.
#[must_use]
pub fn verdicts(ranking: &Ranking) -> Vec<Value> {
    let verdict = |(tag, reason)| {
        let detail = ranking.selection().detail(tag, reason);
        json!({ "tag": tag, "reason": reason, "detail": detail })
    };
    Candidates::new(ranking).verdicts().map(verdict).collect()
}

#[cfg(test)]
mod tests {
    use super::short;

    #[test]
    fn a_reference_is_shortened_to_its_tag_and_digest() {
        assert_eq!(short("r:5000/a/b:1.2"), "1.2");
        assert_eq!(short("nginx@sha256:0"), "sha256:0");
        assert_eq!(short("r:5000/a/b"), "r:5000/a/b");
    }
}
