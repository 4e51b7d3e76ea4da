//! `sealift events show`: everything of one record, or of an intent and its outcome.

use std::fmt::Write as _;
use std::path::Path;
use std::str::FromStr;

use sealift_core::event::verify::Place;
use sealift_core::event::{Body, Glance, IntentId, Record, RecordHash};
use serde_json::Value;

use super::{ShowArguments, World};
use crate::cli::options::OutputFormat;
use crate::exit::Exit;
use crate::journal::read::Lines;
use crate::output::{HEADING, escape, ignore_closed_pipe};

/// What is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Which {
    Sequence(u64),
    Intent(IntentId),
}

impl FromStr for Which {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let sequence = text.parse().ok().map(Self::Sequence);
        sequence
            .or_else(|| text.parse().ok().map(Self::Intent))
            .ok_or_else(|| format!("`{text}` is neither a record's number nor an intent (`i-…`)"))
    }
}

/// Shows what was asked for; [`Exit::NothingSelected`] if the journal does not hold it.
pub(super) fn run(
    arguments: &ShowArguments,
    folder: &Path,
    world: &mut World<'_>,
) -> anyhow::Result<Exit> {
    let mut lines = Lines::all(folder)?;
    let (mut line, mut found) = (Vec::new(), false);
    while let Some(place) = lines.next_line(&mut line)? {
        if !is_wanted(arguments.which, &line) {
            continue;
        }
        let shown = match arguments.output.output {
            OutputFormat::Json => world
                .out
                .write_all(&line)
                .and_then(|()| world.out.write_all(b"\n")),
            OutputFormat::Text => {
                let gap = if found { "\n" } else { "" };
                world
                    .out
                    .write_all(format!("{gap}{}", text(place.place, &line)).as_bytes())
            }
        };
        ignore_closed_pipe(shown)?;
        found = true;
    }
    if !found {
        let which = match arguments.which {
            Which::Sequence(sequence) => format!("record {sequence}"),
            Which::Intent(intent) => format!("intent `{intent}`"),
        };
        tracing::error!("the journal holds no {which}");
        return Ok(Exit::NothingSelected);
    }
    Ok(Exit::Done)
}

fn is_wanted(which: Which, line: &[u8]) -> bool {
    let Ok(glance) = serde_json::from_slice::<Glance>(line) else {
        return false;
    };
    match which {
        Which::Sequence(sequence) => glance.sequence == sequence,
        Which::Intent(wanted) if matches!(glance.kind.as_str(), "intent" | "outcome") => {
            match Record::from_line(line).map(|record| record.body) {
                Ok(Body::Intent(intent)) => intent.intent == wanted,
                Ok(Body::Outcome(outcome)) => outcome.intent == wanted,
                _ => false,
            }
        }
        Which::Intent(_) => false,
    }
}

/// The record as a tree, with where it stands and its own hash, which no field of it can hold.
fn text(place: Place, line: &[u8]) -> String {
    let mut text = format!("{HEADING}{place}{HEADING:#}\n");
    match serde_json::from_slice(line) {
        Ok(Value::Object(mut fields)) => {
            fields.insert("hash".to_owned(), RecordHash::of(line).to_string().into());
            tree(&mut text, &Value::Object(fields), 0);
        }
        _ => text.push_str(&escape(&String::from_utf8_lossy(line))),
    }
    text
}

/// Keys and values, indented by depth. Writing to a String cannot fail.
fn tree(text: &mut String, value: &Value, depth: usize) {
    let indent = "  ".repeat(depth);
    let mut entry = |key: &str, value: &Value| {
        let key = escape(key).into_owned();
        match value {
            Value::Object(fields) if !fields.is_empty() => {
                let _ = writeln!(text, "{indent}{key}");
                tree(text, value, depth + 1);
            }
            Value::Array(items) if !items.is_empty() => {
                let _ = writeln!(text, "{indent}{key}");
                tree(text, value, depth + 1);
            }
            Value::String(string) => {
                let _ = writeln!(text, "{indent}{key} {}", escape(string));
            }
            other => {
                let _ = writeln!(text, "{indent}{key} {other}");
            }
        }
    };
    match value {
        Value::Object(fields) => {
            fields
                .iter()
                .for_each(|(key, value)| entry(&format!("{key}:"), value));
        }
        Value::Array(items) => items.iter().for_each(|item| entry("-", item)),
        _ => {}
    }
}
