//! A bound that nothing enforces is a promise nobody keeps: every constant of `limits` is used.

use super::{Finding, Source};

const LIMITS: &str = "crates/core/src/limits.rs";

/// Constants of `limits` that no other Rust file names.
pub(super) fn unused(sources: &[Source]) -> Vec<Finding> {
    let Some(limits) = sources.iter().find(|source| source.path == LIMITS) else {
        return Vec::new();
    };
    let users: Vec<&Source> = sources
        .iter()
        .filter(|source| source.is_rust() && source.path != LIMITS)
        .collect();
    (1..)
        .zip(limits.text.lines())
        .filter_map(|(number, line)| Some((number, constant_name(line)?)))
        .filter(|(_, name)| !users.iter().any(|source| names(&source.text, name)))
        .map(|(number, name)| {
            Finding::warning(
                "limit-unused",
                LIMITS,
                number,
                format!("nothing enforces `{name}`"),
            )
        })
        .collect()
}

fn constant_name(line: &str) -> Option<&str> {
    line.strip_prefix("pub const ")?.split(':').next()
}

/// Whether `name` stands in `text` as a whole word.
fn names(text: &str, name: &str) -> bool {
    let word = |character: Option<char>| character.is_some_and(|c| c.is_alphanumeric() || c == '_');
    text.match_indices(name).any(|(start, _)| {
        let before = text[..start].chars().next_back();
        let after = text[start + name.len()..].chars().next();
        !word(before) && !word(after)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_whole_word_counts_as_use() {
        let source = |path: &str, text: &str| Source {
            path: path.into(),
            text: text.into(),
        };
        let limits = "pub const TAGS_MAX: usize = 1;\npub const TAG_BYTES_MAX: usize = 2;\n";
        let sources = [
            source(LIMITS, limits),
            source("a/src/lib.rs", "limits::TAGS_MAX; MY_TAG_BYTES_MAX"),
        ];
        let found = unused(&sources);
        assert_eq!(found.len(), 1);
        assert!(found[0].message.contains("TAG_BYTES_MAX"));
    }
}
