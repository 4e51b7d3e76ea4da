//! How specific an application reference is: the most specific one that matches an Application
//! wins.
//!
//! Specification: the order in which Argo CD Image Updater tries `applicationRefs`.

/// A pattern without wildcards beats any pattern with them.
const LITERAL: u64 = 1_000_000;
/// A label selector beats any literal text of a wildcard pattern.
const SELECTOR: u64 = 10_000;
/// Each requirement of a label selector.
const REQUIREMENT: u64 = 100;

/// The score of one reference; higher is more specific.
///
/// `selector` holds the numbers of `matchLabels` and `matchExpressions`, where a selector is
/// present, even an empty one. Lengths are bytes.
#[must_use]
pub fn specificity(name_pattern: &str, selector: Option<(usize, usize)>) -> u64 {
    let literal = if name_pattern.contains(['*', '?', '[', ']']) {
        0
    } else {
        LITERAL
    };
    let labels = selector.map_or(0, |(labels, expressions)| {
        SELECTOR + REQUIREMENT * (labels as u64 + expressions as u64)
    });
    literal + literal_bytes(name_pattern) as u64 + labels
}

/// Bytes that are left without classes (`[` to the next `]` on the same line), `*` and `?`.
fn literal_bytes(pattern: &str) -> usize {
    let mut bytes = 0;
    let mut rest = pattern;
    while let Some(character) = rest.chars().next() {
        let behind = rest.get(character.len_utf8()..).unwrap_or_default();
        let class_end = behind
            .find(['\n', ']'])
            .filter(|end| character == '[' && behind.as_bytes().get(*end) == Some(&b']'));
        if let Some(end) = class_end {
            rest = behind.get(end + 1..).unwrap_or_default();
            continue;
        }
        if !matches!(character, '*' | '?') {
            bytes += character.len_utf8();
        }
        rest = behind;
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::specificity;

    #[test]
    fn scores_are_those_of_the_table() {
        for (pattern, selector, score) in [
            ("app-1", None, 1_000_005),
            ("app-prod-*", None, 9),
            ("*", None, 0),
            ("", None, 1_000_000),
            ("app-[a-z]-*", None, 5),
            ("app]", None, 4),
            ("a\\*b", None, 3),
            ("a[b", None, 3),
            ("*", Some((0, 0)), 10_000),
            ("app-*", Some((2, 1)), 10_304),
        ] {
            assert_eq!(specificity(pattern, selector), score, "{pattern}");
        }
    }
}
