//! `sealift policy check FILE…`: every error with file, line, value, reason and hint.

use std::io::{self, Write};

use jiff::Timestamp;
use serde_json::json;

use super::super::options::OutputFormat;
use super::{FileArguments, Located, Read, read};
use crate::exit::Exit;
use crate::output::{BAD, DIM, GOOD, WARN, counted, escape, ignore_closed_pipe, json_document};

pub(super) fn run(arguments: &FileArguments) -> anyhow::Result<Exit> {
    let read = read(arguments, Timestamp::now());
    let errors = read.findings.iter().filter(|one| one.error).count();
    let mut out = io::BufWriter::new(anstream::stdout().lock());
    let result = match arguments.output.output {
        OutputFormat::Json => json_document(
            &mut out,
            &json!({
                "valid": errors == 0,
                "documents": read.listed.len(),
                "findings": read.findings,
            }),
        ),
        OutputFormat::Text => text(&mut out, &read, errors),
    };
    ignore_closed_pipe(result.and_then(|()| out.flush()))?;
    Ok(match errors {
        0 => Exit::Done,
        _ => Exit::Failed,
    })
}

pub(super) fn text(out: &mut impl Write, read: &Read, errors: usize) -> io::Result<()> {
    for finding in &read.findings {
        finding_text(out, finding)?;
    }
    let documents = counted(read.listed.len() as u64, "document");
    match errors {
        0 => writeln!(out, "{GOOD}valid:{GOOD:#} {documents}"),
        _ => {
            let errors = counted(errors as u64, "error");
            writeln!(out, "{BAD}not valid:{BAD:#} {errors} in {documents}")
        }
    }
}

/// `file:line: error: field: message`, then value, reason and hint below it.
pub(super) fn finding_text(out: &mut impl Write, finding: &Located) -> io::Result<()> {
    let place = escape(&finding.place);
    match finding.error {
        true => write!(out, "{place}: {BAD}error:{BAD:#} ")?,
        false => write!(out, "{place}: {WARN}warning:{WARN:#} ")?,
    }
    if !finding.field.is_empty() {
        write!(out, "{}: ", escape(&finding.field))?;
    }
    writeln!(out, "{}", escape(&finding.message))?;
    if let Some(value) = finding.value.as_ref().filter(|value| !value.is_empty()) {
        writeln!(out, "  {DIM}value:{DIM:#} `{}`", escape(value))?;
    }
    writeln!(out, "  {DIM}reason:{DIM:#} {}", finding.reason)?;
    if !finding.hint.is_empty() {
        writeln!(out, "  {GOOD}hint:{GOOD:#} {}", escape(&finding.hint))?;
    }
    Ok(())
}
