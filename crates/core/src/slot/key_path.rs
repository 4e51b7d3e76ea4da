//! Dotted key paths in a values file: `image.tag`, `images[0].tag`, or the whole text as one key.

use super::error::SlotProblem;
use crate::limits::SLOT_ENTRIES_MAX;
use crate::yaml::{Editor, Kind, New, NodeId, Tree};

/// Where a path leads.
pub(super) enum Found {
    /// A scalar.
    Scalar(NodeId),
    /// Nothing yet: the deepest map on the way (`None`: the file has no document), and the keys
    /// that are missing below it.
    Missing(Option<NodeId>, Vec<String>),
}

/// Follows `path`, nested keys first, then the whole text as one key of the root.
///
/// # Errors
/// Another kind of node than the path needs, a bad index, a repeated key, or an anchor that is used
/// elsewhere. Merge keys (`<<`) are not followed.
pub(super) fn follow(tree: &Tree, path: &str) -> Result<Found, SlotProblem> {
    let walk = Walk { tree, path };
    let Some(root) = tree.root(0) else {
        return Ok(Found::Missing(None, keys_of(path)));
    };
    let nested = walk.nested(root);
    if matches!(nested, Ok(Found::Scalar(_))) {
        return nested;
    }
    match walk.entry(root, path)? {
        Some(literal) => walk.scalar(literal).map(Found::Scalar),
        None => nested,
    }
}

/// The text at `path`; `None` where nothing or null stands.
pub(super) fn text_at(tree: &Tree, path: &str) -> Result<Option<String>, SlotProblem> {
    Ok(match follow(tree, path)? {
        Found::Scalar(id) if !tree.is_null(id) => tree.scalar(id).map(str::to_owned),
        _ => None,
    })
}

/// Writes `text` at the dotted `path` of a values file, making what is missing.
///
/// Nested keys go before the whole text as one key of the root. `name[3]` is an item of a list.
///
/// # Errors
/// Another kind of node than the path needs, a bad index, a repeated key, an anchor that other keys
/// use, or an edit that would change something else.
pub fn set_text(editor: &mut Editor, path: &str, text: &str) -> Result<(), SlotProblem> {
    let done = match follow(editor.tree(), path)? {
        Found::Scalar(id) => editor.set_text(id, text),
        Found::Missing(map, keys) => {
            let mut value = New::Text(text.to_owned());
            for key in keys.iter().skip(1).rev() {
                value = New::Map(vec![(key.clone(), value)]);
            }
            let first = keys.first().map(String::as_str).unwrap_or_default();
            editor.add_entry(map, first, &value)
        }
    };
    done.map_err(|source| SlotProblem::Unsafe {
        key: path.to_owned(),
        source,
    })
}

fn keys_of(path: &str) -> Vec<String> {
    path.split('.').map(str::to_owned).collect()
}

/// The value of `key` in `map`, with the checks every format needs: a key that stands once, and no
/// value that other keys share.
pub(super) fn lookup(
    tree: &Tree,
    map: NodeId,
    key: &str,
    path: &str,
) -> Result<Option<NodeId>, SlotProblem> {
    Walk { tree, path }.entry(map, key)
}

/// Refuses a node that other keys share: an alias, or an anchor that is used.
pub(super) fn owned(tree: &Tree, id: NodeId, path: &str) -> Result<NodeId, SlotProblem> {
    Walk { tree, path }.owned(id)
}

struct Walk<'a> {
    tree: &'a Tree,
    path: &'a str,
}

impl Walk<'_> {
    fn nested(&self, root: NodeId) -> Result<Found, SlotProblem> {
        let keys = keys_of(self.path);
        let mut at = self.owned(root)?;
        for (depth, key) in keys.iter().enumerate() {
            self.map(at)?;
            let child = match self.entry(at, key)? {
                Some(child) => Some(child),
                None => self.indexed(at, key)?,
            };
            let Some(child) = child else {
                let missing = keys.get(depth..).unwrap_or_default();
                return Ok(Found::Missing(Some(at), missing.to_vec()));
            };
            at = child;
        }
        self.scalar(at).map(Found::Scalar)
    }

    fn entry(&self, map: NodeId, key: &str) -> Result<Option<NodeId>, SlotProblem> {
        let mut positions = self.tree.positions(map, key);
        let Some(first) = positions.next() else {
            return Ok(None);
        };
        let entries = self.tree.entries(map);
        if let Some((again, _)) = positions.next().and_then(|at| entries.get(at)) {
            return Err(SlotProblem::Repeated {
                key: key.to_owned(),
                line: self.tree.node(*again).line,
            });
        }
        let value = entries.get(first).map(|(_, value)| *value);
        value.map(|value| self.owned(value)).transpose()
    }

    /// `name[3]`: item 3 of the list at `name`.
    fn indexed(&self, map: NodeId, key: &str) -> Result<Option<NodeId>, SlotProblem> {
        let Some((name, index)) = key.strip_suffix(']').and_then(|key| key.rsplit_once('[')) else {
            return Ok(None);
        };
        let Some(list) = self.entry(map, name)? else {
            return Ok(None);
        };
        let node = self.tree.node(list);
        let Kind::List(items) = &node.kind else {
            return Err(self.wrong_kind(list, "a list"));
        };
        let plain = !index.is_empty() && index.bytes().all(|byte| byte.is_ascii_digit());
        let item = index.parse::<usize>().ok().filter(|_| plain);
        match item.and_then(|index| items.get(index)) {
            Some(item) => self.owned(*item).map(Some),
            None => Err(SlotProblem::IndexInvalid {
                key: self.path.to_owned(),
                items: items.len(),
                line: node.line,
            }),
        }
    }

    fn map(&self, id: NodeId) -> Result<(), SlotProblem> {
        let is_map = matches!(self.tree.node(id).kind, Kind::Map(_));
        if is_map || self.tree.is_null(id) {
            return Ok(());
        }
        Err(self.wrong_kind(id, "a map"))
    }

    fn scalar(&self, id: NodeId) -> Result<NodeId, SlotProblem> {
        match self.tree.node(id).kind {
            Kind::Scalar(..) => Ok(id),
            _ => Err(self.wrong_kind(id, "a single value")),
        }
    }

    fn owned(&self, id: NodeId) -> Result<NodeId, SlotProblem> {
        let node = self.tree.node(id);
        let (anchored, used_line) = match node.kind {
            Kind::Alias(target) => (self.tree.node(target), Some(node.line)),
            _ => (
                node,
                node.anchor.as_ref().and_then(|anchor| anchor.used_line),
            ),
        };
        match (&anchored.anchor, used_line) {
            (Some(anchor), Some(used_line)) => Err(SlotProblem::AnchorShared {
                key: self.path.to_owned(),
                anchor: anchor.name.to_string(),
                line: anchor.line,
                used_line,
            }),
            _ => Ok(id),
        }
    }

    fn wrong_kind(&self, id: NodeId, expected: &'static str) -> SlotProblem {
        wrong_kind(self.tree, id, self.path, expected)
    }
}

/// Refuses more equal entries than anybody writes: each is edited and proven by itself.
pub(super) fn bounded(name: &str, count: usize) -> Result<(), SlotProblem> {
    if count > SLOT_ENTRIES_MAX {
        return Err(SlotProblem::Ambiguous {
            image: name.to_owned(),
            count,
        });
    }
    Ok(())
}

/// Says what stands at `id` instead of `expected`.
pub(super) fn wrong_kind(
    tree: &Tree,
    id: NodeId,
    key: &str,
    expected: &'static str,
) -> SlotProblem {
    let node = tree.node(id);
    let found = match node.kind {
        Kind::Scalar(..) => "a single value",
        Kind::Map(_) => "a map",
        Kind::List(_) => "a list",
        Kind::Alias(_) => "an alias",
    };
    SlotProblem::WrongKind {
        key: key.to_owned(),
        found,
        expected,
        line: node.line,
    }
}
