//! How data reaches people and programs: colour, escaping, tables, JSON, and the layout of an
//! error.
//!
//! Here: forms. Not here: what is said. Texts from registries and Git (tags, labels, branch names)
//! are hostile on a terminal: everything that goes there passes [`escape`], and JSON [`Visible`].

use std::borrow::Cow;
use std::error::Error;
use std::fmt;
use std::io::{self, Write};

use anstyle::{AnsiColor, Style};
use clap::ValueEnum;
use sealift_core::reason::Reason;
use serde::Serialize;
use unicode_width::UnicodeWidthStr as _;

/// Something that failed.
pub const BAD: Style = AnsiColor::Red.on_default().bold();
/// Something that needs a look.
pub const WARN: Style = AnsiColor::Yellow.on_default();
/// Something that was done.
pub const GOOD: Style = AnsiColor::Green.on_default();
/// Something beside the point.
pub const DIM: Style = Style::new().dimmed();
/// A heading.
pub const HEADING: Style = Style::new().bold();
/// No style.
pub const PLAIN: Style = Style::new();

/// Columns between two cells of a table.
const GUTTER: &str = "  ";

/// When output is coloured.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum ColourWhen {
    /// On a terminal, unless `NO_COLOR` is set.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

impl ColourWhen {
    /// Makes it the choice of every stream of `anstream`.
    pub fn apply(self) {
        let choice = match self {
            Self::Auto => anstream::ColorChoice::Auto,
            Self::Always => anstream::ColorChoice::Always,
            Self::Never => anstream::ColorChoice::Never,
        };
        choice.write_global();
    }
}

/// Replaces what moves the cursor, hides or reorders text by its escape: C0 and C1 controls,
/// bidirectional controls, zero-width and other invisible characters. The result has one line.
#[must_use]
pub fn escape(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_hostile) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len() + 16);
    for character in text.chars() {
        match character {
            '\n' => escaped.push_str("\\n"),
            '\r' => escaped.push_str("\\r"),
            '\t' => escaped.push_str("\\t"),
            hostile if is_hostile(hostile) => escaped.extend(hostile.escape_unicode()),
            harmless => escaped.push(harmless),
        }
    }
    Cow::Owned(escaped)
}

/// Characters of Unicode general category Cc, the bidirectional controls of UAX #9, and those that
/// have no width but change what is read (zero-width, soft hyphen, separators, variation of tags).
const fn is_hostile(character: char) -> bool {
    matches!(
        character,
        '\0'..='\u{1f}' | '\u{7f}'..='\u{9f}' | '\u{ad}' | '\u{61c}' | '\u{115f}' | '\u{1160}'
            | '\u{17b4}' | '\u{17b5}' | '\u{180e}' | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{feff}'
            | '\u{ffa0}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}'
    )
}

/// One cell of a table: escaped text in a style.
#[derive(Debug, Clone, Default)]
pub struct Cell {
    text: String,
    style: Style,
}

impl Cell {
    /// A cell in a style. The text is escaped here.
    #[must_use]
    pub fn styled(text: &str, style: Style) -> Self {
        Self {
            text: escape(text).into_owned(),
            style,
        }
    }

    /// A cell without style.
    #[must_use]
    pub fn plain(text: &str) -> Self {
        Self::styled(text, PLAIN)
    }
}

/// Rows of cells, aligned by column. The last column is not padded.
#[derive(Debug, Default)]
pub struct Table {
    rows: Vec<Vec<Cell>>,
    /// Least widths, from rows that were written before.
    widths: Vec<usize>,
}

impl Table {
    /// A table with a heading row.
    #[must_use]
    pub fn with_headings(headings: &[&str]) -> Self {
        let row = headings
            .iter()
            .map(|heading| Cell::styled(heading, HEADING))
            .collect();
        Self {
            rows: vec![row],
            widths: Vec::new(),
        }
    }

    /// Adds a row.
    pub fn row(&mut self, cells: impl IntoIterator<Item = Cell>) {
        self.rows.push(cells.into_iter().collect());
    }

    /// Writes the table.
    ///
    /// # Errors
    /// The stream refuses it.
    pub fn write(mut self, out: &mut dyn Write) -> io::Result<()> {
        self.write_rows(out)
    }

    /// Writes the rows so far and forgets them, but for the widths: for long lists, and those that
    /// go on.
    ///
    /// # Errors
    /// The stream refuses it.
    pub fn write_rows(&mut self, out: &mut dyn Write) -> io::Result<()> {
        for row in &self.rows {
            self.widths.resize(self.widths.len().max(row.len()), 0);
            for (width, cell) in self.widths.iter_mut().zip(row) {
                *width = (*width).max(cell.text.width());
            }
        }
        for row in self.rows.drain(..) {
            write_row(out, &row, &self.widths)?;
        }
        Ok(())
    }
}

fn write_row(out: &mut dyn Write, row: &[Cell], widths: &[usize]) -> io::Result<()> {
    let filled = row
        .iter()
        .rposition(|cell| !cell.text.is_empty())
        .map_or(0, |last| last + 1);
    for (index, (Cell { text, style }, width)) in row.iter().zip(widths).take(filled).enumerate() {
        if index > 0 {
            out.write_all(GUTTER.as_bytes())?;
        }
        write!(out, "{style}{text}{style:#}")?;
        if index + 1 < filled {
            let padding = width.saturating_sub(text.width());
            write!(out, "{:padding$}", "")?;
        }
    }
    writeln!(out)
}

/// A number with its noun: `1 record`, `2 records`.
#[must_use]
pub fn counted(count: u64, noun: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {noun}{plural}")
}

/// One value as one line of JSON.
///
/// # Errors
/// The stream refuses it.
pub fn json_line(out: &mut (impl Write + ?Sized), value: &impl Serialize) -> io::Result<()> {
    serde_json::to_writer(Visible(&mut *out), value)?;
    out.write_all(b"\n")
}

/// One value as a JSON document for people, too.
///
/// # Errors
/// The stream refuses it.
pub fn json_document(out: &mut (impl Write + ?Sized), value: &impl Serialize) -> io::Result<()> {
    serde_json::to_writer_pretty(Visible(&mut *out), value)?;
    out.write_all(b"\n")
}

/// One value as JSON in one line, for a log.
#[must_use]
pub fn visible_json(value: &impl Serialize) -> String {
    let mut bytes = Vec::new();
    // Writing to memory cannot fail.
    let _ = serde_json::to_writer(Visible(&mut bytes), value);
    String::from_utf8(bytes).unwrap_or_default()
}

/// Replaces by their escapes what JSON's own writer lets through: C1 controls, with which terminals
/// begin commands, and what hides or reorders text. Only strings hold such characters.
struct Visible<W>(W);

impl<W: Write> Write for Visible<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // The serializer writes a string in pieces of whole characters.
        let text = std::str::from_utf8(bytes).unwrap_or_default();
        let hidden = |c: char| !c.is_ascii_control() && is_hostile(c) || c == '\u{7f}';
        if !text.contains(hidden) {
            self.0.write_all(bytes)?;
            return Ok(bytes.len());
        }
        for character in text.chars() {
            match hidden(character) {
                true => {
                    for unit in character.encode_utf16(&mut [0; 2]) {
                        write!(self.0, "\\u{unit:04x}")?;
                    }
                }
                false => write!(self.0, "{character}")?,
            }
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// A reader that went away (`| head`) is the end of the output, not a failure of the command.
///
/// # Errors
/// Any other failure.
pub fn ignore_closed_pipe(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => other,
    }
}

/// An error as people see it: what, why, what was not done, its stable reason, and what to do.
///
/// ```text
/// error: did not update `web` in Application `argocd/shop`
///   caused by: image `ghcr.io/acme/shop:1.9.0` is not trusted
///
/// nothing was written; Git still says `1.8.2`
/// reason: identity-mismatch
/// hint: add the new identity to policy `prod`
/// ```
pub struct Failure<'a> {
    /// What failed, with its sources.
    pub error: &'a (dyn Error + 'static),
    /// What was not done, and what stands instead.
    pub undone: Option<&'a str>,
    /// The stable reason.
    pub reason: Option<Reason>,
    /// What to do.
    pub hint: Option<&'a str>,
}

impl fmt::Display for Failure<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_message(
            f,
            format_args!("{BAD}error:{BAD:#} "),
            "       ",
            &self.error.to_string(),
        )?;
        let mut source = self.error.source();
        while let Some(cause) = source {
            let label = format_args!("  {DIM}caused by:{DIM:#} ");
            write_message(f, label, "             ", &cause.to_string())?;
            source = cause.source();
        }
        if self.undone.is_some() || self.reason.is_some() || self.hint.is_some() {
            writeln!(f)?;
        }
        if let Some(undone) = self.undone {
            writeln!(f, "{}", escape(undone))?;
        }
        if let Some(reason) = self.reason {
            writeln!(f, "{DIM}reason:{DIM:#} {reason}")?;
        }
        if let Some(hint) = self.hint {
            writeln!(f, "{GOOD}hint:{GOOD:#} {}", escape(hint))?;
        }
        Ok(())
    }
}

/// A message behind its label; further lines of it stand below its first character.
fn write_message(
    f: &mut fmt::Formatter<'_>,
    label: fmt::Arguments<'_>,
    indent: &str,
    message: &str,
) -> fmt::Result {
    for (number, line) in message.lines().enumerate() {
        match number {
            0 => writeln!(f, "{label}{}", escape(line))?,
            _ => writeln!(f, "{indent}{}", escape(line))?,
        }
    }
    if message.is_empty() {
        writeln!(f, "{label}")
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_shows_no_character_that_a_terminal_obeys() {
        let value = serde_json::json!({ "é\u{9b}2J": "\u{202e}\u{7f}\u{e0041}\n" });
        let mut bytes = Vec::new();
        json_line(&mut bytes, &value).unwrap();
        json_document(&mut bytes, &value).unwrap();
        let text = String::from_utf8(bytes).unwrap();
        assert!(
            text.starts_with(r#"{"é\u009b2J":"\u202e\u007f\udb40\udc41\n"}"#),
            "{text}"
        );
        assert!(
            !text.contains(|c: char| is_hostile(c) && c != '\n'),
            "{text}"
        );
        let read = serde_json::Deserializer::from_str(&text).into_iter::<serde_json::Value>();
        assert!(read.map(Result::unwrap).eq([value.clone(), value]));
    }

    fn plain(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut bytes = Vec::new();
        write(&mut bytes);
        anstream::adapter::strip_bytes(&bytes)
            .into_vec()
            .try_into()
            .unwrap()
    }

    #[test]
    fn what_moves_hides_or_reorders_text_is_escaped_and_the_rest_is_kept() {
        assert_eq!(escape("v1.2.3-ä漢"), "v1.2.3-ä漢");
        assert!(matches!(escape("v1"), Cow::Borrowed("v1")));
        assert_eq!(escape("a\u{1b}[2Jb\n\t\r"), "a\\u{1b}[2Jb\\n\\t\\r");
        assert_eq!(escape("\u{9b}31m\u{7f}"), "\\u{9b}31m\\u{7f}");
        assert_eq!(
            escape("a\u{202e}b\u{200b}\u{feff}"),
            "a\\u{202e}b\\u{200b}\\u{feff}"
        );
    }

    #[test]
    fn columns_are_aligned_by_width_and_rows_end_without_blanks() {
        let mut table = Table::with_headings(&["IMAGE", "TAG"]);
        table.row([Cell::plain("漢字"), Cell::styled("1", GOOD)]);
        table.row([Cell::plain("shop\u{7}")]);
        let text = plain(|out| table.write_rows(out).unwrap());
        assert_eq!(text, "IMAGE      TAG\n漢字       1\nshop\\u{7}\n");
    }

    #[derive(Debug, thiserror::Error)]
    #[error("did not update `web` in Application `argocd/shop`")]
    struct Outer {
        source: Inner,
    }

    #[derive(Debug, thiserror::Error)]
    #[error("signed by `x`,\nbut policy `prod` accepts only `y\u{1b}`")]
    struct Inner;

    #[test]
    fn an_error_has_the_layout_of_the_house() {
        let failure = Failure {
            error: &Outer { source: Inner },
            undone: Some("nothing was written; Git still says `1.8.2`"),
            reason: Some(Reason::NoPolicy),
            hint: Some("add the identity"),
        };
        let text = plain(|out| write!(out, "{failure}").unwrap());
        insta::assert_snapshot!(text);
    }

    #[test]
    fn a_reader_that_went_away_is_no_failure_and_a_full_disk_is() {
        assert!(ignore_closed_pipe(Err(io::ErrorKind::BrokenPipe.into())).is_ok());
        assert!(ignore_closed_pipe(Err(io::ErrorKind::StorageFull.into())).is_err());
    }
}
