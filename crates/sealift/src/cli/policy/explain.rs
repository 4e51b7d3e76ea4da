//! `sealift policy explain FILE…`: what each policy stands for.

use std::io::{self, Write};

use jiff::Timestamp;
use serde_json::json;

use super::super::options::OutputFormat;
use super::explained::{Explained, Signer, Waived, explain, waived};
use super::{FileArguments, check, read};
use crate::exit::Exit;
use crate::output::{Cell, DIM, HEADING, Table, WARN, escape, ignore_closed_pipe, json_document};

pub(super) fn run(arguments: &FileArguments) -> anyhow::Result<Exit> {
    let read = read(arguments, Timestamp::now());
    let errors: Vec<_> = read.findings.iter().filter(|one| one.error).collect();
    if !errors.is_empty() {
        let mut err = anstream::stderr().lock();
        for error in errors {
            check::finding_text(&mut err, error)?;
        }
        return Ok(Exit::Failed);
    }
    let explained: Vec<_> = read.set.policies().map(|policy| explain(policy)).collect();
    let waivers = read.set.exceptions();
    let waivers: Vec<_> = waivers.map(|(of, one)| waived(of, one)).collect();
    let mut out = io::BufWriter::new(anstream::stdout().lock());
    let result = match arguments.output.output {
        OutputFormat::Json => json_document(
            &mut out,
            &json!({ "policies": explained, "exceptions": waivers }),
        ),
        OutputFormat::Text => whole(&mut out, &explained, &waivers),
    };
    ignore_closed_pipe(result.and_then(|()| out.flush()))?;
    Ok(Exit::Done)
}

fn whole(out: &mut impl Write, policies: &[Explained], waivers: &[Waived]) -> io::Result<()> {
    for (index, policy) in policies.iter().enumerate() {
        if index > 0 {
            writeln!(out)?;
        }
        text(out, policy)?;
    }
    for waiver in waivers {
        writeln!(out)?;
        waiver_text(out, waiver)?;
    }
    Ok(())
}

pub(super) fn waiver_text(out: &mut impl Write, waiver: &Waived) -> io::Result<()> {
    let name = escape(&waiver.name);
    writeln!(out, "{HEADING}PolicyException {name}{HEADING:#}\n")?;
    let mut table = Table::default();
    let mut row = |label: &str, value: &str| {
        table.row([Cell::styled(label, DIM), Cell::plain(value)]);
    };
    row("of policy", &waiver.policy);
    row("waives", &waiver.clauses.join(", "));
    row("for image", &waiver.image);
    lines(&mut row, "applications", &waiver.applications);
    row("until", &waiver.until);
    row("because", &waiver.reason);
    table.write(out)
}

pub(super) fn text(out: &mut impl Write, policy: &Explained) -> io::Result<()> {
    let name = escape(&policy.name);
    writeln!(out, "{HEADING}{} {name}{HEADING:#}", policy.kind)?;
    writeln!(out, "{DIM}{}{DIM:#}\n", policy.hash)?;
    let mut table = Table::default();
    let mut row = |label: &str, value: &str| {
        table.row([Cell::styled(label, DIM), Cell::plain(value)]);
    };
    lines(&mut row, "applications", &policy.applications);
    lines(&mut row, "images", &policy.images);
    row("mode", &policy.mode);
    row("on refused", &policy.on_refused);
    if let Some(unmatched) = &policy.unmatched {
        row("unmatched", unmatched);
    }
    row("signed is", &policy.subject);
    row("written is", &policy.write);
    table.write(out)?;
    writeln!(out, "\n{HEADING}must hold{HEADING:#}")?;
    let mut table = Table::default();
    for clause in &policy.clauses {
        table.row([
            Cell::styled(&format!("  {}", clause.clause), DIM),
            Cell::plain(&clause.demands),
        ]);
    }
    table.write(out)?;
    for authority in &policy.authorities {
        signer(out, authority)?;
    }
    if !policy.warnings.is_empty() {
        writeln!(out)?;
    }
    for warning in &policy.warnings {
        writeln!(out, "{WARN}warning:{WARN:#} {}", escape(warning))?;
    }
    Ok(())
}

fn signer(out: &mut impl Write, signer: &Signer) -> io::Result<()> {
    let name = escape(&signer.name);
    writeln!(out, "\n{HEADING}authority {name}{HEADING:#}")?;
    let mut table = Table::default();
    let mut row = |label: &str, value: &str| {
        table.row([Cell::styled(&format!("  {label}"), DIM), Cell::plain(value)]);
    };
    lines(&mut row, "key", &signer.keys);
    for (label, value) in [("issuer", &signer.issuer), ("subject", &signer.subject)] {
        if let Some(value) = value {
            row(label, value);
        }
    }
    for claim in &signer.claims {
        row(&claim.claim, &claim.any.join(" or "));
    }
    row("root", &signer.root);
    row("time", &signer.time);
    row("transparency", &signer.transparency);
    if let Some(sct) = &signer.sct {
        row("sct", sct);
    }
    table.write(out)
}

/// Several values below one label.
fn lines(row: &mut impl FnMut(&str, &str), label: &str, values: &[String]) {
    for (index, value) in values.iter().enumerate() {
        row(if index == 0 { label } else { "" }, value);
    }
}
