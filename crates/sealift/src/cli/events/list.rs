//! `sealift events list`, and what one record looks like in a row.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::path::Path;

use anstyle::Style;
use sealift_core::event::{
    Body, Candidate, Cause, Considered, Cycle, Decision, Intent, Notice, Outcome, PushResult,
    Record,
};

use super::filter::Filter;
use super::{ListArguments, World};
use crate::cli::options::OutputFormat;
use crate::exit::Exit;
use crate::journal::read::Lines;
use crate::output::{BAD, Cell, DIM, GOOD, PLAIN, Table, WARN, counted, ignore_closed_pipe};

/// Rows that are aligned together: what is held in memory.
const ROWS_PER_TABLE: usize = 1_000;

/// Lists the records that pass the filters.
pub(super) fn run(
    arguments: &ListArguments,
    folder: &Path,
    world: &mut World<'_>,
) -> anyhow::Result<Exit> {
    let filter = Filter::new(&arguments.filter, world.now);
    let mut lines = Lines::all(folder)?;
    let mut rows = Rows::new(arguments.output.output, world.out);
    let mut last = Last::new(arguments.lines);
    let (mut line, mut unreadable) = (Vec::new(), 0_u64);
    while let Some(place) = lines.next_line(&mut line)? {
        match Record::from_line(&line) {
            Ok(record) if filter.passes(&record) => {
                let written = last
                    .push(record, &line)
                    .map_or(Ok(()), |(record, line)| rows.add(&record, &line));
                if written.is_err() {
                    ignore_closed_pipe(written)?;
                    return Ok(Exit::Done);
                }
            }
            Ok(_) => {}
            // The last line may be being written.
            Err(_) => unreadable += u64::from(place.terminated),
        }
        if (world.stopped)() {
            break;
        }
    }
    let written = last
        .rest()
        .try_for_each(|(record, line)| rows.add(&record, &line));
    ignore_closed_pipe(written.and_then(|()| rows.flush()))?;
    if unreadable > 0 {
        tracing::warn!(
            journal.unreadable_lines = unreadable,
            "lines that are no records were left out; `sealift events verify` names them"
        );
    }
    Ok(Exit::Done)
}

/// Lets everything through, or holds the last few back.
pub(super) struct Last {
    lines_max: Option<usize>,
    held: VecDeque<(Record, Vec<u8>)>,
}

impl Last {
    pub(super) fn new(lines_max: Option<usize>) -> Self {
        Self {
            lines_max,
            held: VecDeque::new(),
        }
    }

    /// Takes a record, and gives it back if all are wanted.
    fn push(&mut self, record: Record, line: &[u8]) -> Option<(Record, Vec<u8>)> {
        let Some(lines_max) = self.lines_max else {
            return Some((record, line.to_vec()));
        };
        self.hold(record, line, lines_max);
        None
    }

    pub(super) fn hold(&mut self, record: Record, line: &[u8], lines_max: usize) {
        self.held.push_back((record, line.to_vec()));
        if self.held.len() > lines_max {
            self.held.pop_front();
        }
    }

    pub(super) fn rest(&mut self) -> impl Iterator<Item = (Record, Vec<u8>)> {
        self.held.drain(..)
    }
}

/// Records on their way out, as rows or as the very lines of the journal.
pub(super) struct Rows<'a> {
    format: OutputFormat,
    out: &'a mut dyn Write,
    table: Table,
    rows: usize,
}

impl<'a> Rows<'a> {
    pub(super) fn new(format: OutputFormat, out: &'a mut dyn Write) -> Self {
        let table = Table::with_headings(&["TIME", "RECORD", "KIND", "RESULT", "ABOUT", "DETAILS"]);
        Self {
            format,
            out,
            table,
            rows: 0,
        }
    }

    pub(super) fn add(&mut self, record: &Record, line: &[u8]) -> io::Result<()> {
        match self.format {
            OutputFormat::Json => {
                self.out.write_all(line)?;
                self.out.write_all(b"\n")
            }
            OutputFormat::Text => {
                self.table.row(row(record));
                self.rows += 1;
                if self.rows >= ROWS_PER_TABLE {
                    self.flush()
                } else {
                    Ok(())
                }
            }
        }
    }

    /// Writes the rows that wait for their neighbours' widths. The widths stay the least for what
    /// follows.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        if self.rows > 0 {
            self.table.write_rows(self.out)?;
            self.rows = 0;
        }
        self.out.flush()
    }
}

fn row(record: &Record) -> [Cell; 6] {
    let header = &record.header;
    let Summary {
        result,
        style,
        about,
        details,
    } = summary(&record.body);
    [
        Cell::styled(&format!("{:.3}", header.time), DIM),
        Cell::plain(&header.sequence.to_string()),
        Cell::plain(record.body.kind()),
        Cell::styled(&result, style),
        Cell::plain(&about),
        Cell::plain(&details),
    ]
}

/// A record in three texts.
struct Summary {
    result: String,
    style: Style,
    about: String,
    details: String,
}

fn summary(body: &Body) -> Summary {
    let plain = |result: &str, about: &str, details: String| Summary {
        result: result.to_owned(),
        style: PLAIN,
        about: about.to_owned(),
        details,
    };
    match body {
        Body::Started(started) => plain("", "", format!("version {}", started.version)),
        Body::Considered(considered) => of_considered(considered),
        Body::Notice(notice) => of_notice(notice),
        Body::Intent(intent) => of_intent(intent),
        Body::Outcome(outcome) => of_outcome(outcome),
        Body::Cycle(cycle) => of_cycle(cycle),
        Body::Checkpoint(checkpoint) => plain("", "", format!("head {}", checkpoint.head)),
        Body::Pruned(pruned) => {
            let about = format!("segment {}", pruned.segment);
            plain(
                "",
                &about,
                format!("deleted up to record {}", pruned.sequence_last),
            )
        }
        Body::Stopped(stopped) => plain(
            "",
            "",
            stopped.cause.as_ref().map_or_else(String::new, of_cause),
        ),
        _ => plain(
            "",
            "",
            "of a newer version; `sealift events show` has it all".to_owned(),
        ),
    }
}

fn of_considered(considered: &Considered) -> Summary {
    let style = match considered.decision {
        Decision::Updated | Decision::WouldUpdate => GOOD,
        Decision::UpToDate => DIM,
        Decision::Failed | Decision::Refused => BAD,
        _ => WARN,
    };
    let image = considered
        .image
        .alias
        .as_ref()
        .unwrap_or(&considered.image.written);
    let wanted = considered.inputs.wanted.as_deref();
    let change = match (wanted, &considered.candidate) {
        (Some(old), Some(Candidate { tag, .. })) if considered.decision != Decision::UpToDate => {
            format!("{old} → {tag}  ")
        }
        (None, Some(Candidate { tag, .. })) => format!("→ {tag}  "),
        (Some(old), _) => format!("{old}  "),
        (None, None) => String::new(),
    };
    let reason = considered
        .reasons
        .first()
        .map_or_else(String::new, of_cause);
    Summary {
        result: considered.decision.word().to_owned(),
        style,
        about: format!("{} {image}", considered.application),
        details: format!("{change}{reason}"),
    }
}

fn of_notice(notice: &Notice) -> Summary {
    let application = notice
        .application
        .as_ref()
        .map_or_else(String::new, |name| format!("{name} "));
    Summary {
        result: notice.cause.reason.id().to_owned(),
        style: WARN,
        about: format!("{application}{}", notice.subject),
        details: notice.cause.detail.clone(),
    }
}

fn of_intent(intent: &Intent) -> Summary {
    let head = intent
        .commits
        .last()
        .map_or("", |commit| commit.get(..12).unwrap_or(commit));
    let [commits, writes] = [
        (intent.commits.len(), "commit"),
        (intent.writes.len(), "write"),
    ]
    .map(|(count, noun)| counted(count as u64, noun));
    Summary {
        result: String::new(),
        style: PLAIN,
        about: format!("{} {}", intent.repository, intent.branch),
        details: format!("{}: {commits}, {writes}, head {head}", intent.intent),
    }
}

fn of_outcome(outcome: &Outcome) -> Summary {
    let style = match outcome.result {
        PushResult::Landed => GOOD,
        PushResult::Refused | PushResult::Failed => BAD,
        _ => WARN,
    };
    Summary {
        result: outcome.result.word().to_owned(),
        style,
        about: outcome.intent.to_string(),
        details: outcome.cause.as_ref().map_or_else(String::new, of_cause),
    }
}

fn of_cycle(cycle: &Cycle) -> Summary {
    let Cycle {
        applications,
        considered,
        skipped,
        updated,
        errors,
        refused,
        incomplete,
        ..
    } = cycle;
    let style = if *errors > 0 { BAD } else { PLAIN };
    Summary {
        result: String::new(),
        style,
        about: counted(*applications, "Application"),
        details: format!(
            "considered={considered} updated={updated} skipped={skipped} refused={refused} \
             incomplete={incomplete} errors={errors} in {} ms",
            cycle.duration_ms
        ),
    }
}

fn of_cause(cause: &Cause) -> String {
    match cause.detail.as_str() {
        "" => cause.reason.id().to_owned(),
        detail => format!("{}: {detail}", cause.reason),
    }
}
