//! The line of a field in a policy's text, for errors about files.

use crate::yaml::{Kind, NodeId, Tree};

/// The line (from 1) of `field`, such as `spec.authorities[2].keyless`, in the document of `text`
/// that begins at or behind line `first`. Where the field itself is missing: of the nearest one
/// around it. `None` where the text cannot be read again.
#[must_use]
pub fn line_of(text: &str, first: usize, field: &str) -> Option<usize> {
    let tree = Tree::parse(text.as_bytes()).ok()?;
    let root = (0..tree.documents())
        .filter_map(|document| tree.root(document))
        .rfind(|root| first_line(&tree, *root) <= first)?;
    let mut node = root;
    let mut line = first_line(&tree, root);
    for step in field.split(['.', '[']).filter(|step| !step.is_empty()) {
        let next = match step.strip_suffix(']').map(str::parse::<usize>) {
            Some(Ok(index)) => {
                let item = tree.items(resolved(&tree, node)).get(index).copied();
                item.map(|item| (tree.node(item).line, item))
            }
            _ => {
                let map = resolved(&tree, node);
                let entry = tree
                    .entries(map)
                    .iter()
                    .find(|(key, _)| tree.scalar(*key) == Some(step));
                entry.map(|(key, value)| (tree.node(*key).line, *value))
            }
        };
        let Some((found, value)) = next else { break };
        (line, node) = (found, value);
    }
    Some(line)
}

fn resolved(tree: &Tree, node: NodeId) -> NodeId {
    match &tree.node(node).kind {
        Kind::Alias(target) => *target,
        _ => node,
    }
}

/// A map's own line is that of its first key.
fn first_line(tree: &Tree, node: NodeId) -> usize {
    match tree.entries(node).first() {
        Some((key, _)) => tree.node(*key).line,
        None => tree.node(node).line,
    }
}

#[cfg(test)]
mod tests {
    use super::line_of;

    const TEXT: &str = "# head\na: 1\n---\nkind: P\nspec:\n  authorities:\n    - name: x\n      \
                        key:\n        path: y\n    - { name: z, key: { path: w } }\n";

    #[test]
    fn a_field_has_its_line_and_a_missing_one_that_of_its_surroundings() {
        for (field, line) in [
            ("kind", 4),
            ("spec", 5),
            ("spec.authorities[0].key.path", 9),
            ("spec.authorities[1].key", 10),
            ("spec.authorities[0].trustRoot", 7),
            ("spec.signatures", 5),
            ("", 4),
        ] {
            assert_eq!(line_of(TEXT, 4, field), Some(line), "{field}");
        }
        assert_eq!(line_of(TEXT, 2, "a"), Some(2));
        assert_eq!(line_of("a: [", 1, "a"), None);
    }
}
