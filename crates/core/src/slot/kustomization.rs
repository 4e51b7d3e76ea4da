//! Images in kustomizations: `images[]` of `{name, newName, newTag, digest}`.

use std::collections::BTreeMap;

use super::error::SlotProblem;
use super::key_path::{bounded, lookup, owned, wrong_kind};
use super::{Current, Origin, SlotImage};
use crate::reference::Reference;
use crate::yaml::{Editor, Kind, New, NodeId, Tree};

/// One entry that fits.
struct Entry {
    /// Its index in the list.
    index: usize,
    /// `name`, as written.
    name: String,
    /// What the image becomes, as written: `newName`, or `name`.
    effective: String,
}

type FoundSlot = (Vec<String>, Option<Current>);

/// The entry, and what it says.
pub(super) fn find(image: &SlotImage, tree: &Tree) -> Result<FoundSlot, SlotProblem> {
    let entries = matching(image, tree)?;
    let Some(entry) = entries.first() else {
        return Ok((vec![route(&new_name_of(image))], None));
    };
    let (_, item) = item(tree, entry.index)?;
    let text = |key: &str| field(tree, item, key);
    let current = image.current_of_parts(
        Some(entry.effective.clone()),
        text("newTag")?,
        text("digest")?,
        Origin::File,
    );
    Ok((vec![route(&entry.name)], current))
}

/// Writes every entry that fits, or a new one at the end.
pub(super) fn write(
    image: &SlotImage,
    editor: &mut Editor,
    new: &Reference,
) -> Result<BTreeMap<String, String>, SlotProblem> {
    let some = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
    let (tag, digest) = (some(&new.tag), some(&new.digest));
    if tag.is_none() && digest.is_none() {
        return Err(SlotProblem::NothingToWrite {
            image: new.full_name(),
        });
    }
    let entries = matching(image, editor.tree())?;
    bounded(&new.full_name(), entries.len())?;
    let mut writes = BTreeMap::new();
    if entries.is_empty() {
        let name = new_name_of(image);
        writes.insert(route(&name), new.to_string());
        add(image, editor, new, name)?;
    }
    for entry in entries {
        let same = Reference::parse(&entry.effective).same_image(new);
        match (&image.kustomize_name, same) {
            (_, true) => {}
            (Some(_), false) => put(editor, entry.index, "newName", Some(&new.full_name()))?,
            (None, false) => put(editor, entry.index, "newName", None)?,
        }
        put(editor, entry.index, "newTag", tag.as_deref())?;
        put(editor, entry.index, "digest", digest.as_deref())?;
        writes.insert(route(&entry.name), new.to_string());
    }
    Ok(writes)
}

fn route(name: &str) -> String {
    format!("images[{name}]")
}

fn new_name_of(image: &SlotImage) -> String {
    let configured = || image.image.full_name();
    image.kustomize_name.clone().unwrap_or_else(configured)
}

/// The entries that are this image's, by the first of these that finds any: the kustomize name
/// where one is set; the same name and result; one entry whose `newName` is the image; the same
/// name.
///
/// Names are compared in canonical form, so `docker.io/library/nginx` is `nginx`.
fn matching(image: &SlotImage, tree: &Tree) -> Result<Vec<Entry>, SlotProblem> {
    let configured = &image.image;
    let all = entries(tree)?;
    let same = |name: &str, other: &Reference| Reference::parse(name).same_image(other);
    if let Some(name) = &image.kustomize_name {
        let wanted = Reference::parse(name);
        let named = all.into_iter().filter(|entry| same(&entry.name, &wanted));
        return Ok(named.collect());
    }
    let (named, others): (Vec<_>, Vec<_>) = all
        .into_iter()
        .partition(|entry| same(&entry.name, configured));
    if named.iter().any(|entry| same(&entry.effective, configured)) {
        return Ok(named);
    }
    let renamed: Vec<_> = others
        .into_iter()
        .filter(|entry| same(&entry.effective, configured))
        .collect();
    match renamed.len() {
        0 => Ok(named),
        1 => Ok(renamed),
        count => Err(SlotProblem::Ambiguous {
            image: configured.full_name(),
            count,
        }),
    }
}

/// All entries that are maps with a name.
fn entries(tree: &Tree) -> Result<Vec<Entry>, SlotProblem> {
    let Some(list) = list(tree)? else {
        return Ok(Vec::new());
    };
    let mut found = Vec::new();
    for (index, item) in tree.items(list).iter().enumerate() {
        let item = match tree.node(*item).kind {
            Kind::Alias(target) => target,
            _ => *item,
        };
        let text = |key: &str| tree.value(item, key).and_then(|value| tree.scalar(value));
        let Some(name) = text("name") else {
            continue;
        };
        let effective = text("newName")
            .filter(|text| !text.is_empty())
            .unwrap_or(name);
        found.push(Entry {
            index,
            name: name.to_owned(),
            effective: effective.to_owned(),
        });
    }
    Ok(found)
}

/// The root map of the one document.
fn root(tree: &Tree) -> Result<NodeId, SlotProblem> {
    match (tree.documents(), tree.root(0)) {
        (1, Some(root)) => match tree.node(root).kind {
            Kind::Map(_) => owned(tree, root, "images"),
            _ if tree.is_null(root) => Ok(root),
            _ => Err(wrong_kind(tree, root, "images", "a map")),
        },
        (documents, _) => Err(SlotProblem::Documents { documents }),
    }
}

/// The list of images; `None` where there is none, or null.
fn list(tree: &Tree) -> Result<Option<NodeId>, SlotProblem> {
    let found = lookup(tree, root(tree)?, "images", "images")?;
    match found.map(|id| (id, &tree.node(id).kind)) {
        None => Ok(None),
        Some((id, Kind::List(_))) => Ok(Some(id)),
        Some((id, _)) if tree.is_null(id) => Ok(None),
        Some((id, _)) => Err(wrong_kind(tree, id, "images", "a list")),
    }
}

/// The list and its item, which nothing else may share.
fn item(tree: &Tree, index: usize) -> Result<(NodeId, NodeId), SlotProblem> {
    let list = list(tree)?;
    let item = list.and_then(|list| tree.items(list).get(index).copied());
    match (list, item) {
        (Some(list), Some(item)) => Ok((list, owned(tree, item, &format!("images[{index}]"))?)),
        _ => Err(SlotProblem::Documents { documents: 0 }),
    }
}

fn field(tree: &Tree, item: NodeId, key: &str) -> Result<Option<String>, SlotProblem> {
    let Some(value) = lookup(tree, item, key, key)? else {
        return Ok(None);
    };
    if tree.is_null(value) {
        return Ok(None);
    }
    let text = tree.scalar(value).map(str::to_owned);
    let text = text.ok_or_else(|| wrong_kind(tree, value, key, "a single value"))?;
    Ok(Some(text))
}

/// Sets, adds or (`None`) removes one field of an entry.
fn put(
    editor: &mut Editor,
    index: usize,
    key: &str,
    value: Option<&str>,
) -> Result<(), SlotProblem> {
    let tree = editor.tree();
    let (_, item) = item(tree, index)?;
    field(tree, item, key)?;
    let found = lookup(tree, item, key, key)?;
    let position = tree.positions(item, key).next();
    let done = match (found, position, value) {
        (Some(id), _, Some(text)) => editor.set_text(id, text),
        (None, _, Some(text)) => editor.add_entry(Some(item), key, &New::Text(text.to_owned())),
        (Some(_), Some(position), None) => editor.remove_entry(item, position),
        _ => Ok(()),
    };
    done.map_err(|source| SlotProblem::Unsafe {
        key: format!("images[{index}].{key}"),
        source,
    })
}

fn add(
    image: &SlotImage,
    editor: &mut Editor,
    new: &Reference,
    name: String,
) -> Result<(), SlotProblem> {
    let mut fields = vec![("name".to_owned(), New::Text(name))];
    let new_name = image.kustomize_name.is_some().then(|| new.full_name());
    let parts = [
        ("newName", new_name),
        ("newTag", new.tag.clone()),
        ("digest", new.digest.clone()),
    ];
    for (key, value) in parts {
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            fields.push((key.to_owned(), New::Text(value)));
        }
    }
    let entry = New::Map(fields);
    let tree = editor.tree();
    let root = root(tree)?;
    let done = match lookup(tree, root, "images", "images")? {
        Some(list) => {
            let end = tree.items(list).len();
            editor.add_item(list, end, &entry)
        }
        None => editor.add_entry(Some(root), "images", &New::List(vec![entry])),
    };
    done.map_err(|source| SlotProblem::Unsafe {
        key: "images".to_owned(),
        source,
    })
}
