//! Proof that an edit did what it was meant to do, and nothing else.

use super::scalar::reads_as_string;
use super::splice::Splice;
use super::tree::{Kind, NodeId, Style, Tree};

/// A value to write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum New {
    /// A string, whatever it looks like.
    Text(String),
    /// `true` or `false`.
    Flag(bool),
    /// A map, in this order.
    Map(Vec<(String, New)>),
    /// A list.
    List(Vec<New>),
}

/// What is meant to differ at one node.
#[derive(Debug)]
pub(super) enum Effect<'a> {
    /// The node itself becomes this.
    Replace(&'a New),
    /// The map gets one more entry at this index.
    Entry(usize, &'a str, &'a New),
    /// The list gets one more item at this index.
    Item(usize, &'a New),
    /// The map loses the entry at this index.
    Remove(usize),
}

/// Whether `after` is `before` with `effect` at `node` (`None`: the text had no document), and no
/// other difference.
pub(super) fn proves(
    before: &Tree,
    after: &Tree,
    node: Option<NodeId>,
    effect: &Effect<'_>,
    splices: &[Splice],
) -> bool {
    let proof = Proof {
        before,
        after,
        node,
        effect,
    };
    let roots = match (node, effect) {
        (None, Effect::Replace(new)) if before.documents() == 0 => {
            let root = (after.documents() == 1).then(|| after.root(0)).flatten();
            root.is_some_and(|root| is_new(after, root, new))
        }
        _ => {
            before.documents() == after.documents()
                && (0..before.documents()).all(|index| {
                    match (before.root(index), after.root(index)) {
                        (Some(left), Some(right)) => proof.same(left, right),
                        _ => false,
                    }
                })
        }
    };
    roots && comments_are_kept(before, after, splices)
}

struct Proof<'a> {
    before: &'a Tree,
    after: &'a Tree,
    node: Option<NodeId>,
    effect: &'a Effect<'a>,
}

impl Proof<'_> {
    /// Recursion is as deep as the text nests, which the parser bounds.
    fn same(&self, left: NodeId, right: NodeId) -> bool {
        let (old, new) = (self.before.node(left), self.after.node(right));
        let anchors = match (&old.anchor, &new.anchor) {
            (None, None) => true,
            (Some(old), Some(new)) => old.name == new.name,
            _ => false,
        };
        if !anchors || old.tag != new.tag {
            return false;
        }
        if self.node == Some(left) {
            return self.has_effect(left, right);
        }
        match (&old.kind, &new.kind) {
            (Kind::Scalar(old, old_style), Kind::Scalar(new, new_style)) => {
                old == new && old_style == new_style
            }
            (Kind::Alias(old), Kind::Alias(new)) => {
                let name = |tree: &Tree, id: NodeId| {
                    let anchor = tree.node(id).anchor.as_ref();
                    anchor.map(|anchor| anchor.name.clone())
                };
                name(self.before, *old) == name(self.after, *new)
            }
            (Kind::Map(old_entries), Kind::Map(new_entries)) => {
                old.flow == new.flow && self.same_entries(old_entries, new_entries)
            }
            (Kind::List(old_items), Kind::List(new_items)) => {
                old.flow == new.flow && self.same_items(old_items, new_items)
            }
            _ => false,
        }
    }

    fn has_effect(&self, left: NodeId, right: NodeId) -> bool {
        let old_entries = self.before.entries(left);
        let mut new_entries = self.after.entries(right).to_vec();
        match self.effect {
            Effect::Replace(value) => is_new(self.after, right, value),
            Effect::Entry(index, key, value) => {
                if *index >= new_entries.len() {
                    return false;
                }
                let (added_key, added) = new_entries.remove(*index);
                self.after.scalar(added_key) == Some(key)
                    && reads_as_string(self.after.node(added_key))
                    && is_new(self.after, added, value)
                    && self.same_entries(old_entries, &new_entries)
            }
            Effect::Item(index, value) => {
                let mut new_items = self.after.items(right).to_vec();
                if *index >= new_items.len() {
                    return false;
                }
                let added = new_items.remove(*index);
                is_new(self.after, added, value)
                    && self.same_items(self.before.items(left), &new_items)
            }
            Effect::Remove(index) => {
                let mut kept = old_entries.to_vec();
                if *index >= kept.len() {
                    return false;
                }
                kept.remove(*index);
                self.same_entries(&kept, &new_entries)
            }
        }
    }

    fn same_entries(&self, old: &[(NodeId, NodeId)], new: &[(NodeId, NodeId)]) -> bool {
        old.len() == new.len()
            && old
                .iter()
                .zip(new)
                .all(|(old, new)| self.same(old.0, new.0) && self.same(old.1, new.1))
    }

    fn same_items(&self, old: &[NodeId], new: &[NodeId]) -> bool {
        old.len() == new.len() && old.iter().zip(new).all(|(old, new)| self.same(*old, *new))
    }
}

/// Whether the node is exactly `new`, as every reader types it.
fn is_new(tree: &Tree, id: NodeId, new: &New) -> bool {
    let node = tree.node(id);
    match new {
        New::Text(text) => tree.scalar(id) == Some(text) && reads_as_string(node),
        New::Flag(flag) => {
            let text = flag.to_string();
            matches!(&node.kind, Kind::Scalar(value, Style::Plain) if **value == *text)
                && node.tag.is_none()
        }
        New::Map(entries) => {
            matches!(node.kind, Kind::Map(_))
                && tree.entries(id).len() == entries.len()
                && tree.entries(id).iter().zip(entries).all(|(old, new)| {
                    tree.scalar(old.0) == Some(&new.0) && is_new(tree, old.1, &new.1)
                })
        }
        New::List(items) => {
            matches!(node.kind, Kind::List(_))
                && tree.items(id).len() == items.len()
                && tree
                    .items(id)
                    .iter()
                    .zip(items)
                    .all(|(old, new)| is_new(tree, *old, new))
        }
    }
}

/// Comments may go only with bytes that were meant to go; none may come.
fn comments_are_kept(before: &Tree, after: &Tree, splices: &[Splice]) -> bool {
    let removed = |range: &&std::ops::Range<usize>| {
        splices
            .iter()
            .any(|splice| splice.range.start <= range.start && range.end <= splice.range.end)
    };
    let kept = before.comments().iter().filter(|range| !removed(range));
    let kept = kept.map(|range| before.slice(range.clone()));
    kept.eq(after
        .comments()
        .iter()
        .map(|range| after.slice(range.clone())))
}
