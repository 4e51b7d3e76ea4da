//! Files that others write: Kubernetes objects, and the YAML that is edited.

use sealift::objects::files::{Named, Reader};
use sealift_core::slot::set_value;
use sealift_core::yaml::{Editor, Kind, New, NodeId, Tree};

/// Scalars that are edited in one input, one at a time.
const EDITS_MAX: usize = 16;
/// What they are set to: a word that needs no quotes, a number, and texts that need them.
const VALUES: &[&str] = &["9.9.9-new", "1.20", "a: b # c", "", "yes", "- x", "é\"'\\"];

/// Reading objects never ends in a panic, whatever the documents hold.
pub(super) fn manifests(bytes: &[u8]) {
    for named in [Named::Explicitly, Named::ByFolder] {
        let mut reader = Reader::new("argocd");
        reader.read_documents("fuzz.yaml", bytes, named);
        let objects = reader.finish();
        for problem in objects.problems() {
            assert!(!problem.to_string().is_empty());
        }
    }
}

/// Whatever is edited, every byte outside the splices stays, and every other value reads as before.
pub(super) fn yaml_edits(bytes: &[u8]) {
    let Ok(editor) = Editor::new(bytes) else {
        return;
    };
    let before = values(editor.tree());
    let scalars: Vec<NodeId> = before.iter().filter_map(|value| value.scalar).collect();
    for (index, id) in scalars.iter().take(EDITS_MAX).enumerate() {
        let value = VALUES[(index + bytes.len()) % VALUES.len()];
        let mut edited = editor.clone();
        let changed = edited.set_text(*id, value);
        only_the_splices_differ(&editor, &edited);
        let after = values(edited.tree());
        assert_eq!(before.len(), after.len(), "nothing appears or goes");
        for (old, new) in before.iter().zip(&after) {
            if old.scalar == Some(*id) && changed.is_ok() {
                assert_eq!(new.text.as_deref(), Some(value));
            } else {
                assert_eq!((&old.path, &old.text), (&new.path, &new.text));
            }
        }
    }
    if let Some(root) = editor.tree().root(0) {
        let mut edited = editor.clone();
        let _refused_or_done = edited.add_entry(Some(root), "zz", &New::Text("1.20".to_owned()));
        only_the_splices_differ(&editor, &edited);
    }
}

/// A value that is set reads back, and nothing but the splices changed. The input is a dotted path,
/// a line feed and a values file.
pub(super) fn helm_values(bytes: &[u8]) {
    let end = bytes
        .iter()
        .position(|byte| *byte == b'\n')
        .unwrap_or(bytes.len());
    let (path, file) = bytes.split_at(end);
    let path = super::text(path);
    let Ok(before) = Editor::new(file) else {
        return;
    };
    for value in VALUES {
        let mut after = before.clone();
        let first = set_value(&mut after, &path, value);
        only_the_splices_differ(&before, &after);
        if first.is_ok() {
            let text = after.tree().text().to_owned();
            assert_eq!(
                set_value(&mut after, &path, value),
                Ok(()),
                "it can be set again"
            );
            assert_eq!(after.tree().text(), text, "and is what it was set to");
        }
    }
}

/// The new text is the old one with the splices in place.
fn only_the_splices_differ(before: &Editor, after: &Editor) {
    let (old, new) = (before.tree().text(), after.tree().text());
    let (mut done, mut expected) = (0, String::new());
    for splice in after.splices() {
        assert!(splice.range.start >= done, "splices are in order");
        expected.push_str(&old[done..splice.range.start]);
        expected.push_str(&splice.replacement);
        done = splice.range.end;
    }
    expected.push_str(&old[done..]);
    assert_eq!(new, expected);
}

/// One node: where it stands and what it says.
struct Value {
    path: String,
    text: Option<String>,
    scalar: Option<NodeId>,
}

/// Every node of every document, in order.
fn values(tree: &Tree) -> Vec<Value> {
    let mut found = Vec::new();
    for document in 0..tree.documents() {
        if let Some(root) = tree.root(document) {
            collect(tree, root, document.to_string(), &mut found);
        }
    }
    found
}

fn collect(tree: &Tree, id: NodeId, path: String, found: &mut Vec<Value>) {
    let scalar = tree.scalar(id).map(|_| id);
    let text = match &tree.node(id).kind {
        Kind::Alias(_) => Some("*".to_owned()),
        _ => tree.scalar(id).map(str::to_owned),
    };
    found.push(Value {
        path: path.clone(),
        text,
        scalar,
    });
    for (index, (key, value)) in tree.entries(id).iter().enumerate() {
        let name = tree.scalar(*key).unwrap_or("?");
        collect(tree, *value, format!("{path}/{index}:{name}"), found);
    }
    for (index, item) in tree.items(id).iter().enumerate() {
        collect(tree, *item, format!("{path}/{index}"), found);
    }
}
