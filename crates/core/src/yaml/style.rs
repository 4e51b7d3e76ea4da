//! The habits of a file, so that what is inserted looks like its neighbours.

use super::scalar::{Quoting, plain_is_safe, text_as_scalar};
use super::tree::{Kind, NodeId, Style, Tree};
use super::verify::New;

/// How the file is written.
#[derive(Debug, Clone, Copy)]
pub(super) struct Habits {
    /// Spaces by which a nested block map is indented.
    pub(super) indent: usize,
    /// Spaces between a key and the dashes of its list.
    pub(super) dash: usize,
    /// `\n` or `\r\n`.
    pub(super) newline: &'static str,
}

impl Habits {
    /// Reads the habits off the first nested map and the first list under a key; two spaces and
    /// none otherwise.
    pub(super) fn of(tree: &Tree) -> Self {
        let crlf = tree
            .text()
            .find('\n')
            .is_some_and(|at| tree.slice(0..at).ends_with('\r'));
        let (mut indent, mut dash) = (None, None);
        for node in tree.nodes() {
            if let (Kind::Map(entries), false) = (&node.kind, node.flow) {
                for (_, value) in entries {
                    let child = tree.node(*value);
                    let step = child.column.checked_sub(node.column);
                    match (&child.kind, child.flow) {
                        (Kind::Map(_), false) => indent = indent.or(step.filter(|step| *step > 0)),
                        (Kind::List(items), false) => {
                            let first = items.first().and_then(|item| dash_of(tree, *item));
                            let column = first.map(|at| column_of(tree, at));
                            dash = dash.or(column.and_then(|at| at.checked_sub(node.column)));
                        }
                        _ => {}
                    }
                }
            }
            if indent.is_some() && dash.is_some() {
                break;
            }
        }
        Self {
            indent: indent.unwrap_or(2),
            dash: dash.unwrap_or(0),
            newline: if crlf { "\r\n" } else { "\n" },
        }
    }
}

/// How scalars near `map` are quoted: like its last scalar value and its last key.
pub(super) fn quoting_in(tree: &Tree, map: NodeId) -> (Quoting, Quoting) {
    let entries = tree.entries(map);
    let quoting = |id: NodeId| quoting_of(tree, id);
    let key = entries.iter().rev().find_map(|(key, _)| quoting(*key));
    let value = entries.iter().rev().find_map(|(_, value)| quoting(*value));
    (key.unwrap_or_default(), value.unwrap_or_default())
}

/// How a scalar is quoted by choice. Quotes that its text needs say nothing about habits.
pub(super) fn quoting_of(tree: &Tree, id: NodeId) -> Option<Quoting> {
    match &tree.node(id).kind {
        Kind::Scalar(text, Style::Single | Style::Double) if !plain_is_safe(text) => None,
        Kind::Scalar(_, Style::Single) => Some(Quoting::Single),
        Kind::Scalar(_, Style::Double) => Some(Quoting::Double),
        Kind::Scalar(..) => Some(Quoting::Plain),
        _ => None,
    }
}

/// Where the `-` of a block list item stands.
pub(super) fn dash_of(tree: &Tree, item: NodeId) -> Option<usize> {
    let before = tree.slice(0..tree.node(item).start);
    let trimmed = before.trim_end_matches([' ', '\t', '\r', '\n']);
    trimmed
        .ends_with('-')
        .then(|| trimmed.len().saturating_sub(1))
}

/// Characters between the beginning of the line and `at`; a byte order mark counts for nothing.
pub(super) fn column_of(tree: &Tree, at: usize) -> usize {
    let start = line_start(tree.text(), at);
    let line = tree.slice(start..at);
    line.trim_start_matches('\u{feff}').chars().count()
}

/// Where the line of `at` begins.
pub(super) fn line_start(text: &str, at: usize) -> usize {
    let before = text.get(..at).unwrap_or_default();
    before
        .rfind('\n')
        .map_or(0, |newline| newline.saturating_add(1))
}

/// Renders new content.
pub(super) struct Writer {
    pub(super) habits: Habits,
    pub(super) keys: Quoting,
    pub(super) values: Quoting,
}

impl Writer {
    /// `key: value` in block style, the first line without indentation, all others indented; no
    /// newline at the end.
    pub(super) fn entry(&self, key: &str, value: &New, column: usize) -> String {
        let key = text_as_scalar(key, self.keys, false);
        let newline = self.habits.newline;
        match value {
            New::Text(_) | New::Flag(_) => format!("{key}: {}", self.scalar(value, false)),
            New::Map(entries) => {
                let inner = column.saturating_add(self.habits.indent);
                let pad = " ".repeat(inner);
                let lines = entries
                    .iter()
                    .map(|(key, value)| format!("{newline}{pad}{}", self.entry(key, value, inner)));
                format!("{key}:{}", lines.collect::<String>())
            }
            New::List(items) => {
                let inner = column.saturating_add(self.habits.dash);
                let pad = " ".repeat(inner);
                let lines = items
                    .iter()
                    .map(|item| format!("{newline}{pad}{}", self.item(item, inner, 1)));
                format!("{key}:{}", lines.collect::<String>())
            }
        }
    }

    /// `- value` in block style, with `gap` blanks after the dash.
    pub(super) fn item(&self, value: &New, column: usize, gap: usize) -> String {
        let gap = gap.max(1);
        let inner = column.saturating_add(1).saturating_add(gap);
        let blanks = " ".repeat(gap);
        let New::Map(entries) = value else {
            return format!("-{blanks}{}", self.scalar(value, false));
        };
        let between = format!("{}{}", self.habits.newline, " ".repeat(inner));
        let lines: Vec<String> = entries
            .iter()
            .map(|(key, value)| self.entry(key, value, inner))
            .collect();
        format!("-{blanks}{}", lines.join(&between))
    }

    /// `key: value` in flow style.
    pub(super) fn flow_entry(&self, key: &str, value: &New) -> String {
        let key = text_as_scalar(key, self.keys, true);
        format!("{key}: {}", self.scalar(value, true))
    }

    /// Any value on one line; collections in flow style.
    pub(super) fn scalar(&self, value: &New, flow: bool) -> String {
        match value {
            New::Text(text) => text_as_scalar(text, self.values, flow),
            New::Flag(flag) => flag.to_string(),
            New::Map(entries) => {
                let entries: Vec<String> = entries
                    .iter()
                    .map(|(key, value)| self.flow_entry(key, value))
                    .collect();
                format!("{{{}}}", entries.join(", "))
            }
            New::List(items) => {
                let items: Vec<String> = items.iter().map(|item| self.scalar(item, true)).collect();
                format!("[{}]", items.join(", "))
            }
        }
    }
}
