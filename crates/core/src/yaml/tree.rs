//! Documents, nodes, comments and anchors of one text, with exact bytes. Reading only.

use std::ops::Range;

use granit_parser::{Event, Parser, ScalarStyle, Span, StructureStyle, options};

use super::YamlError;
use crate::limits::{YAML_BYTES_MAX, YAML_DEPTH_MAX};

/// A node of the [`Tree`] that gave it out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct NodeId(usize);

/// How a scalar is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// Without quotes; an empty range is an implicit null.
    Plain,
    /// `'…'`
    Single,
    /// `"…"`
    Double,
    /// `|` or `>`; the range covers the content without the header.
    Block,
}

/// What a node is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// Text, unescaped.
    Scalar(Box<str>, Style),
    /// Keys and values in the order of the text.
    Map(Vec<(NodeId, NodeId)>),
    /// Items.
    List(Vec<NodeId>),
    /// A use of an anchor.
    Alias(NodeId),
}

/// `&name` on a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Anchor {
    /// Without `&`.
    pub name: Box<str>,
    /// Line of the definition, from 1.
    pub line: usize,
    /// Line of the first alias that refers to it; `None` when nothing does.
    pub used_line: Option<usize>,
}

/// One node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// What it is.
    pub kind: Kind,
    /// Its bytes. Block collections have an empty range where their first child begins.
    pub range: Range<usize>,
    /// Where its tag or anchor begins, or its content.
    pub start: usize,
    /// Line of its content, from 1.
    pub line: usize,
    /// Column of its content, in characters from 0.
    pub column: usize,
    /// Whether it is a flow collection or stands in one.
    pub flow: bool,
    /// Its anchor.
    pub anchor: Option<Anchor>,
    /// Its tag, resolved.
    pub tag: Option<Box<str>>,
}

/// One parsed text. Aliases are never expanded, so the size is bounded by the text.
#[derive(Debug, Clone)]
pub struct Tree {
    text: Box<str>,
    nodes: Vec<Node>,
    documents: Vec<Document>,
    comments: Vec<Range<usize>>,
}

#[derive(Debug, Clone)]
struct Document {
    start: usize,
    root: NodeId,
}

impl Tree {
    /// Reads `bytes`.
    ///
    /// Time and memory are linear in the length. A byte order mark is skipped.
    ///
    /// # Errors
    /// [`YamlError::TooLarge`], [`YamlError::NotUtf8`], [`YamlError::Syntax`].
    pub fn parse(bytes: &[u8]) -> Result<Self, YamlError> {
        if bytes.len() > YAML_BYTES_MAX {
            return Err(YamlError::TooLarge { bytes: bytes.len() });
        }
        let text = std::str::from_utf8(bytes).map_err(|error| YamlError::NotUtf8 {
            offset: error.valid_up_to(),
        })?;
        let options = options! {
            emit_anchor_events: true,
            max_buffered_comment_events: YAML_BYTES_MAX,
            flow_nesting_limit: YAML_DEPTH_MAX,
            block_nesting_limit: YAML_DEPTH_MAX,
        };
        let mut builder = Builder {
            text,
            ..Builder::default()
        };
        for next in Parser::new_from_str_with_options(text, options) {
            let (event, span) = next.map_err(|error| YamlError::Syntax {
                line: error.marker().line(),
                message: error.info(),
            })?;
            builder.take(event, span)?;
        }
        Ok(Self {
            text: text.into(),
            nodes: builder.nodes,
            documents: builder.documents,
            comments: builder.comments,
        })
    }

    /// The whole text.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The text of `range`; empty when it is not of this tree.
    #[must_use]
    pub fn slice(&self, range: Range<usize>) -> &str {
        self.text.get(range).unwrap_or_default()
    }

    /// How many documents there are. A text of comments or nothing has none.
    #[must_use]
    pub fn documents(&self) -> usize {
        self.documents.len()
    }

    /// The root of a document, counted from 0.
    #[must_use]
    pub fn root(&self, document: usize) -> Option<NodeId> {
        self.documents.get(document).map(|found| found.root)
    }

    /// Where the next document begins, or the end of the text.
    pub(super) fn document_end(&self, document: usize) -> usize {
        let next = self.documents.get(document.saturating_add(1));
        next.map_or(self.text.len(), |found| found.start)
    }

    /// A node. Ids come from this tree alone.
    #[must_use]
    pub fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id.0]
    }

    /// Every node, parents before children.
    pub(super) fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// The texts of all comments, in order, with their ranges.
    pub(super) fn comments(&self) -> &[Range<usize>] {
        &self.comments
    }

    /// The text of a scalar; `None` for anything else.
    #[must_use]
    pub fn scalar(&self, id: NodeId) -> Option<&str> {
        match &self.node(id).kind {
            Kind::Scalar(value, _) => Some(value),
            _ => None,
        }
    }

    /// Whether the node is null: nothing, `~` or `null`.
    #[must_use]
    pub fn is_null(&self, id: NodeId) -> bool {
        match &self.node(id).kind {
            Kind::Scalar(value, Style::Plain) => {
                self.node(id).tag.is_none()
                    && matches!(&**value, "" | "~" | "null" | "Null" | "NULL")
            }
            _ => false,
        }
    }

    /// The map and the key of which `id` is the value.
    pub(super) fn parent_entry(&self, id: NodeId) -> Option<(NodeId, NodeId)> {
        let maps = (0..self.nodes.len()).map(NodeId);
        let mut found = maps.filter_map(|map| {
            let entry = self.entries(map).iter().find(|(_, value)| *value == id);
            entry.map(|(key, _)| (map, *key))
        });
        found.next()
    }

    /// The entries of a map; empty for anything else.
    #[must_use]
    pub fn entries(&self, id: NodeId) -> &[(NodeId, NodeId)] {
        match &self.node(id).kind {
            Kind::Map(entries) => entries,
            _ => &[],
        }
    }

    /// The items of a list; empty for anything else.
    #[must_use]
    pub fn items(&self, id: NodeId) -> &[NodeId] {
        match &self.node(id).kind {
            Kind::List(items) => items,
            _ => &[],
        }
    }

    /// The indexes of the entries whose key is `key`: none, one, or several in a file that repeats
    /// it.
    pub fn positions<'a>(&'a self, map: NodeId, key: &'a str) -> impl Iterator<Item = usize> + 'a {
        let entries = self.entries(map).iter().enumerate();
        entries.filter_map(move |(index, (name, _))| {
            (self.scalar(*name) == Some(key)).then_some(index)
        })
    }

    /// The value of the first entry whose key is `key`.
    #[must_use]
    pub fn value(&self, map: NodeId, key: &str) -> Option<NodeId> {
        let index = self.positions(map, key).next()?;
        self.entries(map).get(index).map(|(_, value)| *value)
    }
}

#[derive(Default)]
struct Builder<'a> {
    text: &'a str,
    nodes: Vec<Node>,
    documents: Vec<Document>,
    comments: Vec<Range<usize>>,
    /// Open collections, and the key of an entry that still waits for its value.
    open: Vec<(NodeId, Option<NodeId>)>,
    /// Anchored nodes by the parser's anchor id (from 1).
    anchors: Vec<NodeId>,
    document_start: usize,
}

impl Builder<'_> {
    fn take(&mut self, event: Event<'_>, span: Span) -> Result<(), YamlError> {
        let mut range = span.byte_range().unwrap_or_default();
        match event {
            Event::Comment(..) => self.comments.push(range),
            Event::DocumentStart(..) => self.document_start = range.start,
            Event::Scalar(value, style, _, tag) => {
                let style = match style {
                    ScalarStyle::SingleQuoted => Style::Single,
                    ScalarStyle::DoubleQuoted => Style::Double,
                    ScalarStyle::Literal | ScalarStyle::Folded => Style::Block,
                    ScalarStyle::Plain => Style::Plain,
                };
                // The parser reads an implicit null as `~`; here the text is what the bytes say.
                let implicit = range.is_empty() && style == Style::Plain;
                let value = if implicit { "" } else { &*value };
                if implicit {
                    let place = self.place_of_null(range.start);
                    range = place..place;
                }
                let kind = Kind::Scalar(value.into(), style);
                self.add(kind, range, span, tag.as_deref(), false)?;
            }
            Event::Alias(anchor) => self.add_alias(anchor, range, span)?,
            Event::SequenceStart(style, _, tag) => {
                let flow = style == StructureStyle::Flow;
                let kind = Kind::List(Vec::new());
                let id = self.add(kind, range, span, tag.as_deref(), flow)?;
                self.open.push((id, None));
            }
            Event::MappingStart(style, _, tag) => {
                let flow = style == StructureStyle::Flow;
                let kind = Kind::Map(Vec::new());
                let id = self.add(kind, range, span, tag.as_deref(), flow)?;
                self.open.push((id, None));
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(range.end),
            Event::Anchor(_, name) => self.name_anchor(&name, &span),
            _ => {}
        }
        Ok(())
    }

    /// The parser marks an implicit null at the colon, or after comments that follow it. Its place
    /// is right behind the token before it.
    fn place_of_null(&self, marked: usize) -> usize {
        if self.text.as_bytes().get(marked) == Some(&b':') {
            return marked.saturating_add(1);
        }
        let mut place = marked;
        let mut comments = self.comments.iter().rev().peekable();
        loop {
            let before = self.text.get(..place).unwrap_or_default();
            place = before.trim_end_matches([' ', '\t', '\r', '\n']).len();
            while comments.next_if(|comment| comment.end > place).is_some() {}
            match comments.next_if(|comment| comment.end == place) {
                Some(comment) => place = comment.start,
                None => return place,
            }
        }
    }

    fn add(
        &mut self,
        kind: Kind,
        range: Range<usize>,
        span: Span,
        tag: Option<&granit_parser::Tag>,
        flow: bool,
    ) -> Result<NodeId, YamlError> {
        let parent_flow = self
            .open
            .last()
            .is_some_and(|(parent, _)| self.nodes[parent.0].flow);
        let tag_start = span.tag_start().and_then(|marker| marker.byte_offset());
        let node = Node {
            kind,
            start: tag_start.unwrap_or(range.start).min(range.start),
            range,
            line: span.start.line(),
            column: span.start.col(),
            flow: flow || parent_flow,
            anchor: None,
            tag: tag.map(|tag| format!("{}{}", tag.handle(), tag.suffix()).into()),
        };
        let id = NodeId(self.nodes.len());
        self.nodes.push(node);
        self.attach(id, span.start.line())?;
        Ok(id)
    }

    /// Gives a new node to its parent: the document, a list, or a map as key or value.
    fn attach(&mut self, id: NodeId, line: usize) -> Result<(), YamlError> {
        let Some((parent, pending)) = self.open.last_mut() else {
            self.documents.push(Document {
                start: self.document_start,
                root: id,
            });
            return Ok(());
        };
        if self.nodes.len() > YAML_BYTES_MAX {
            return Err(YamlError::EditUnsafe { line });
        }
        match (&mut self.nodes[parent.0].kind, pending.take()) {
            (Kind::List(items), _) => items.push(id),
            (Kind::Map(entries), Some(key)) => entries.push((key, id)),
            (Kind::Map(_), None) => *pending = Some(id),
            (Kind::Scalar(..) | Kind::Alias(_), _) => {}
        }
        Ok(())
    }

    fn add_alias(
        &mut self,
        anchor: usize,
        range: Range<usize>,
        span: Span,
    ) -> Result<(), YamlError> {
        let line = span.start.line();
        let index = anchor.checked_sub(1);
        let target = index.and_then(|index| self.anchors.get(index)).copied();
        let target = target.ok_or_else(|| YamlError::Syntax {
            line,
            message: "the alias has no anchor".to_owned(),
        })?;
        if let Some(anchor) = &mut self.nodes[target.0].anchor {
            anchor.used_line.get_or_insert(line);
        }
        self.add(Kind::Alias(target), range, span, None, false)?;
        Ok(())
    }

    /// The event follows its node at once, before any child.
    fn name_anchor(&mut self, name: &str, span: &Span) {
        let Some(last) = self.nodes.len().checked_sub(1) else {
            return;
        };
        let node = &mut self.nodes[last];
        if let Some(range) = span.byte_range() {
            node.start = node.start.min(range.start);
        }
        node.anchor = Some(Anchor {
            name: name.into(),
            line: span.start.line(),
            used_line: None,
        });
        self.anchors.push(NodeId(last));
    }

    fn close(&mut self, end: usize) {
        if let Some((id, _)) = self.open.pop() {
            let node = &mut self.nodes[id.0];
            if !node.range.is_empty() {
                node.range.end = end;
            }
        }
    }
}
