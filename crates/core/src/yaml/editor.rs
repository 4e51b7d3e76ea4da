//! One change at a time, each proven before the next.

use super::YamlError;
use super::scalar::{Quoting, reads_as_string, text_as_scalar};
use super::splice::{Splice, apply, compose};
use super::style::{Habits, Writer, column_of, dash_of, line_start, quoting_in, quoting_of};
use super::tree::{Kind, NodeId, Style, Tree};
use super::verify::{Effect, New, proves};

/// A text, its tree, and what was spliced since it was read.
///
/// Node ids are of the current tree: they end with each change.
#[derive(Debug, Clone)]
pub struct Editor {
    tree: Tree,
    splices: Vec<Splice>,
}

impl Editor {
    /// Reads `bytes`.
    ///
    /// # Errors
    /// Those of [`Tree::parse`].
    pub fn new(bytes: &[u8]) -> Result<Self, YamlError> {
        Ok(Self {
            tree: Tree::parse(bytes)?,
            splices: Vec::new(),
        })
    }

    /// The tree of the text as it is now.
    #[must_use]
    pub const fn tree(&self) -> &Tree {
        &self.tree
    }

    /// All changes so far, as ranges of the text that was read.
    #[must_use]
    pub fn splices(&self) -> &[Splice] {
        &self.splices
    }

    /// Gives a scalar the string `text`; its quotes stay. A scalar that is that string already is
    /// left alone.
    ///
    /// # Errors [`YamlError::EditUnsafe`]: it is no scalar, its tag is not that of strings, or the
    /// proof failed.
    pub fn set_text(&mut self, id: NodeId, text: &str) -> Result<(), YamlError> {
        let node = self.tree.node(id);
        let Kind::Scalar(value, style) = &node.kind else {
            return Err(self.unsafe_at(id));
        };
        if **value == *text && reads_as_string(node) {
            return Ok(());
        }
        let quoted = |quoting| text_as_scalar(text, quoting, node.flow);
        let splices = match style {
            Style::Single => vec![self.over(id, quoted(Quoting::Single))],
            Style::Double => vec![self.over(id, quoted(Quoting::Double))],
            Style::Plain if node.range.is_empty() => {
                let before = self.tree.slice(0..node.range.start);
                let blank = if before.ends_with([' ', '\t', '\n']) {
                    ""
                } else {
                    " "
                };
                let inserted = format!("{blank}{}", quoted(Quoting::Plain));
                vec![Splice::insert(node.range.start, inserted)]
            }
            Style::Plain => vec![self.over(id, quoted(Quoting::Plain))],
            Style::Block => self
                .over_block(id, text)
                .ok_or_else(|| self.unsafe_at(id))?,
        };
        let new = New::Text(text.to_owned());
        self.change(Some(id), &Effect::Replace(&new), splices)
    }

    /// Gives a scalar the value `true` or `false`. One that has it is left alone.
    ///
    /// # Errors
    /// [`YamlError::EditUnsafe`]: it is no scalar on one line, has a tag, or the proof failed.
    pub fn set_flag(&mut self, id: NodeId, flag: bool) -> Result<(), YamlError> {
        let node = self.tree.node(id);
        let text = flag.to_string();
        match &node.kind {
            Kind::Scalar(value, Style::Plain) if **value == *text => return Ok(()),
            Kind::Scalar(_, Style::Plain | Style::Single | Style::Double)
                if !node.range.is_empty() => {}
            _ => return Err(self.unsafe_at(id)),
        }
        let splice = self.over(id, text);
        self.change(Some(id), &Effect::Replace(&New::Flag(flag)), vec![splice])
    }

    /// Adds `key: value` at the end of a map, or makes a map of one entry where null or no document
    /// stands.
    ///
    /// # Errors
    /// [`YamlError::EditUnsafe`]: there is something else, or the proof failed.
    pub fn add_entry(
        &mut self,
        map: Option<NodeId>,
        key: &str,
        value: &New,
    ) -> Result<(), YamlError> {
        let Some(id) = map else {
            let splices = self.document_entry(0, key, value);
            let new = New::Map(vec![(key.to_owned(), value.clone())]);
            return self.change(None, &Effect::Replace(&new), splices);
        };
        if self.tree.is_null(id) {
            let new = New::Map(vec![(key.to_owned(), value.clone())]);
            return self.fill_null(id, &new);
        }
        let node = self.tree.node(id);
        let Kind::Map(entries) = &node.kind else {
            return Err(self.unsafe_at(id));
        };
        let writer = self.writer(id);
        let splice = match (node.flow, entries.last()) {
            (true, None) => {
                let at = node.range.start.saturating_add(1);
                Splice::insert(at, writer.flow_entry(key, value))
            }
            (true, Some((last_key, last))) => {
                let lead = self.flow_lead(*last_key);
                let entry = writer.flow_entry(key, value);
                Splice::insert(self.end_of(*last), format!(",{lead}{entry}"))
            }
            (false, Some((_, last))) => {
                let pad = " ".repeat(node.column);
                let entry = writer.entry(key, value, node.column);
                self.lines_after(self.end_of(*last), &format!("{pad}{entry}"))
            }
            (false, None) => return Err(self.unsafe_at(id)),
        };
        let index = entries.len();
        self.change(Some(id), &Effect::Entry(index, key, value), vec![splice])
    }

    /// Adds `value` to a list as item number `index`, or makes a list of one item where null
    /// stands.
    ///
    /// # Errors
    /// [`YamlError::EditUnsafe`]: there is something else, or the proof failed.
    pub fn add_item(&mut self, list: NodeId, index: usize, value: &New) -> Result<(), YamlError> {
        if self.tree.is_null(list) {
            return self.fill_null(list, &New::List(vec![value.clone()]));
        }
        let node = self.tree.node(list);
        let Kind::List(items) = &node.kind else {
            return Err(self.unsafe_at(list));
        };
        let index = index.min(items.len());
        let writer = self.item_writer(list);
        let before = index.checked_sub(1).and_then(|last| items.get(last));
        let splice = match (node.flow, before, items.first()) {
            (true, None, None) => {
                let at = node.range.start.saturating_add(1);
                Splice::insert(at, writer.scalar(value, true))
            }
            (true, None, Some(first)) => {
                let lead = self.flow_lead(*first);
                let at = self.tree.node(*first).start;
                Splice::insert(at, format!("{},{lead}", writer.scalar(value, true)))
            }
            (true, Some(last), _) => {
                let lead = self.flow_lead(*last);
                let item = writer.scalar(value, true);
                Splice::insert(self.end_of(*last), format!(",{lead}{item}"))
            }
            (false, before, Some(first)) => {
                let dash = dash_of(&self.tree, *first).ok_or_else(|| self.unsafe_at(list))?;
                let column = column_of(&self.tree, dash);
                let gap = self.tree.node(*first).column.saturating_sub(column);
                let gap = if gap > 8 { 1 } else { gap.saturating_sub(1) };
                let pad = " ".repeat(column);
                let line = format!("{pad}{}", writer.item(value, column, gap));
                match before {
                    Some(last) => self.lines_after(self.end_of(*last), &line),
                    None => {
                        let at = line_start(self.tree.text(), dash);
                        Splice::insert(at, format!("{line}{}", writer.habits.newline))
                    }
                }
            }
            (false, _, None) => return Err(self.unsafe_at(list)),
        };
        self.change(Some(list), &Effect::Item(index, value), vec![splice])
    }

    /// Removes entry number `index` of a map: its line, with a comment on it, or its part of a flow
    /// map.
    ///
    /// # Errors [`YamlError::EditUnsafe`]: it is the only entry, or cannot be told from its
    /// neighbours' bytes.
    pub fn remove_entry(&mut self, map: NodeId, index: usize) -> Result<(), YamlError> {
        let range = self.range_of_entry(map, index);
        let range = range.ok_or_else(|| self.unsafe_at(map))?;
        let splice = Splice {
            range,
            replacement: String::new(),
        };
        self.change(Some(map), &Effect::Remove(index), vec![splice])
    }

    fn range_of_entry(&self, map: NodeId, index: usize) -> Option<std::ops::Range<usize>> {
        let entries = self.tree.entries(map);
        let (key, value) = *entries.get(index)?;
        let next = entries.get(index.saturating_add(1));
        let start = self.tree.node(key).start;
        let next_start = next.map(|(next, _)| self.tree.node(*next).start);
        if self.tree.node(map).flow {
            let previous = index.checked_sub(1).and_then(|at| entries.get(at));
            return match (previous, next_start) {
                (Some((_, previous)), _) => Some(self.end_of(*previous)..self.end_of(value)),
                (None, Some(next)) => Some(start..next),
                (None, None) => None,
            };
        }
        let text = self.tree.text();
        let line = line_start(text, start);
        if !self.tree.slice(line..start).trim().is_empty() {
            // The first key of a list item: the next key takes its place after the dash.
            return next_start.map(|next| start..next);
        }
        let end = self.line_end(self.end_of(value));
        let last_without_newline = end == text.len() && !text.ends_with('\n');
        if last_without_newline {
            let before = self.tree.slice(0..line);
            let before = before.strip_suffix('\n').unwrap_or(before);
            let before = before.strip_suffix('\r').unwrap_or(before);
            return Some(before.len()..end);
        }
        (entries.len() > 1).then_some(line..end)
    }

    /// Where null stands, writes a collection in its place.
    fn fill_null(&mut self, id: NodeId, new: &New) -> Result<(), YamlError> {
        let node = self.tree.node(id);
        let document = (0..self.tree.documents()).find(|at| self.tree.root(*at) == Some(id));
        let splices = match (document, new) {
            (Some(document), New::Map(entries)) if node.range.is_empty() => entries
                .iter()
                .flat_map(|(key, value)| self.document_entry(document, key, value))
                .collect(),
            (Some(_), _) => vec![self.over(id, self.writer(id).scalar(new, true))],
            (None, _) => self.null_value(id, new).ok_or_else(|| self.unsafe_at(id))?,
        };
        self.change(Some(id), &Effect::Replace(new), splices)
    }

    /// Null as the value of a key: in block context the collection goes on the lines below, else in
    /// its place.
    fn null_value(&self, id: NodeId, new: &New) -> Option<Vec<Splice>> {
        let node = self.tree.node(id);
        let (map, key) = self.tree.parent_entry(id)?;
        let writer = self.writer(map);
        if self.tree.node(map).flow {
            let blank = if node.range.is_empty() { " " } else { "" };
            return Some(vec![
                self.over(id, format!("{blank}{}", writer.scalar(new, true))),
            ]);
        }
        let column = self.tree.node(map).column;
        let rendered = writer.entry("k", new, column);
        let lines = rendered.split_once(':')?.1;
        let lines = lines.strip_prefix(writer.habits.newline)?;
        let gap = self
            .tree
            .slice(self.tree.node(key).range.end..node.range.start);
        let kept = gap.trim_end_matches([' ', '\t']).len();
        let mut splices = Vec::new();
        if !node.range.is_empty() {
            let start = self.tree.node(key).range.end.saturating_add(kept);
            splices.push(Splice {
                range: start..node.range.end,
                replacement: String::new(),
            });
        }
        splices.push(self.lines_after(node.range.end, lines));
        Some(splices)
    }

    /// An entry for a document without content, after its comments.
    fn document_entry(&self, document: usize, key: &str, value: &New) -> Vec<Splice> {
        let writer = Writer {
            habits: Habits::of(&self.tree),
            keys: Quoting::Plain,
            values: Quoting::Plain,
        };
        let end = self.tree.document_end(document);
        let newline = writer.habits.newline;
        let before = self.tree.slice(0..end);
        let marks = before.trim_start_matches('\u{feff}');
        let fresh = marks.is_empty() || before.ends_with('\n');
        let lead = if fresh { "" } else { newline };
        let entry = writer.entry(key, value, 0);
        vec![Splice::insert(end, format!("{lead}{entry}{newline}"))]
    }

    /// Replaces the content of a block scalar. `|-` and `>-` keep their form; others become an
    /// ordinary scalar, because they would end in a line feed.
    fn over_block(&self, id: NodeId, text: &str) -> Option<Vec<Splice>> {
        let node = self.tree.node(id);
        let content = line_start(self.tree.text(), node.range.start);
        let header_end = content.checked_sub(1)?;
        let header_start = line_start(self.tree.text(), header_end);
        let header = self.tree.slice(header_start..header_end);
        let code = header
            .find(" #")
            .map_or(header, |at| header.get(..at).unwrap_or_default());
        let mark = code.rfind(['|', '>'])?;
        let indicator = code.get(mark..)?.trim_end();
        let written = self.tree.slice(node.range.clone());
        let trimmed = written.trim_end_matches(['\n', '\r', ' ', '\t']);
        let single_line = !text.contains('\n') && !text.starts_with([' ', '\t', '#']);
        if indicator.ends_with('-') && single_line && !text.is_empty() {
            let end = node.range.start.saturating_add(trimmed.len());
            return Some(vec![Splice {
                range: node.range.start..end,
                replacement: text.to_owned(),
            }]);
        }
        let start = header_start.saturating_add(mark);
        let content_end = self.line_end(node.range.start.saturating_add(trimmed.len()));
        Some(vec![
            Splice {
                range: start..start.saturating_add(indicator.len()),
                replacement: text_as_scalar(text, Quoting::Plain, false),
            },
            Splice {
                range: content..content_end,
                replacement: String::new(),
            },
        ])
    }

    /// What stands between `,` and the next entry: a blank, or the line break and indentation
    /// before `sibling`.
    fn flow_lead(&self, sibling: NodeId) -> String {
        let start = self.tree.node(sibling).start;
        let line = line_start(self.tree.text(), start);
        let pad = self.tree.slice(line..start);
        if line > 0 && !pad.is_empty() && pad.trim().is_empty() {
            return format!("{}{pad}", Habits::of(&self.tree).newline);
        }
        " ".to_owned()
    }

    /// Where the last byte of a node ends. Recursion is as deep as the text nests.
    fn end_of(&self, id: NodeId) -> usize {
        let node = self.tree.node(id);
        if node.flow {
            return node.range.end;
        }
        match &node.kind {
            Kind::Map(entries) => entries.last().map(|(_, last)| *last),
            Kind::List(items) => items.last().copied(),
            Kind::Scalar(..) | Kind::Alias(_) => None,
        }
        .map_or(node.range.end, |last| self.end_of(last))
    }

    /// The beginning of the line after `at`, or the end of the text. `at` itself if a line begins
    /// there.
    fn line_end(&self, at: usize) -> usize {
        let text = self.tree.text();
        if at > 0 && self.tree.slice(0..at).ends_with('\n') {
            return at;
        }
        let rest = text.get(at..).unwrap_or_default();
        rest.find('\n').map_or(text.len(), |newline| {
            at.saturating_add(newline).saturating_add(1)
        })
    }

    /// Inserts whole lines after the line that holds the byte before `at`. No final newline stays
    /// none.
    fn lines_after(&self, at: usize, lines: &str) -> Splice {
        let newline = Habits::of(&self.tree).newline;
        let end = self.line_end(at);
        if self.tree.slice(0..end).ends_with('\n') {
            return Splice::insert(end, format!("{lines}{newline}"));
        }
        Splice::insert(end, format!("{newline}{lines}"))
    }

    fn writer(&self, near: NodeId) -> Writer {
        let (keys, values) = quoting_in(&self.tree, near);
        Writer {
            habits: Habits::of(&self.tree),
            keys,
            values,
        }
    }

    /// Items look like the last item of their list.
    fn item_writer(&self, list: NodeId) -> Writer {
        let last = self.tree.items(list).last();
        let mut writer = self.writer(last.copied().unwrap_or(list));
        if let Some(quoting) = last.and_then(|last| quoting_of(&self.tree, *last)) {
            writer.values = quoting;
        }
        writer
    }

    fn over(&self, id: NodeId, replacement: String) -> Splice {
        Splice {
            range: self.tree.node(id).range.clone(),
            replacement,
        }
    }

    fn unsafe_at(&self, id: NodeId) -> YamlError {
        YamlError::EditUnsafe {
            line: self.tree.node(id).line,
        }
    }

    /// Applies, parses again, and keeps the result only if `effect` is the one difference.
    fn change(
        &mut self,
        id: Option<NodeId>,
        effect: &Effect<'_>,
        splices: Vec<Splice>,
    ) -> Result<(), YamlError> {
        let refused = YamlError::EditUnsafe {
            line: id.map_or(1, |id| self.tree.node(id).line),
        };
        let Some(text) = apply(self.tree.text(), &splices) else {
            return Err(refused);
        };
        let after = Tree::parse(text.as_bytes()).map_err(|_| refused.clone())?;
        if !proves(&self.tree, &after, id, effect, &splices) {
            return Err(refused);
        }
        for splice in splices.iter().rev() {
            compose(&mut self.splices, splice);
        }
        self.tree = after;
        Ok(())
    }
}
