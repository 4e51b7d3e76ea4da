//! Trees of transparency logs: RFC 6962, section 2.1.

use super::key::Hash;

/// A node's hash.
pub(super) type Node = Vec<u8>;

/// The hash of an entry.
pub(super) fn leaf(body: &[u8]) -> Node {
    Hash::Sha256.of(&[&[0], body].concat())
}

fn inner(left: &[u8], right: &[u8]) -> Node {
    Hash::Sha256.of(&[&[1], left, right].concat())
}

/// Where a tree of several leaves divides: the largest power of two below their count.
fn split(count: usize) -> usize {
    count.next_power_of_two() / 2
}

/// The hash of the tree over `leaves`, which are not none.
pub(super) fn root(leaves: &[Node]) -> Node {
    match leaves {
        [one] => one.clone(),
        several => {
            let (left, right) = several.split_at(split(several.len()));
            inner(&root(left), &root(right))
        }
    }
}

/// What leads from the leaf at `position` to the root, from below.
pub(super) fn path(position: usize, leaves: &[Node]) -> Vec<Node> {
    if leaves.len() <= 1 {
        return Vec::new();
    }
    let middle = split(leaves.len());
    let (left, right) = leaves.split_at(middle);
    let (mut path, other) = match position < middle {
        true => (self::path(position, left), root(right)),
        false => (self::path(position - middle, right), root(left)),
    };
    path.push(other);
    path
}
