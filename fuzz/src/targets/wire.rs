//! What registries send.

use sealift_core::limits;
use sealift_registry::{RepositoryName, challenges};

use super::text;

/// Challenges are few, and their names are comparable. The input is one header line a line.
pub(super) fn challenge_lines(bytes: &[u8]) {
    let text = text(bytes);
    let found = challenges(text.lines());
    assert!(found.len() <= limits::CHALLENGES_MAX);
    for challenge in &found {
        assert_eq!(challenge.scheme, challenge.scheme.to_ascii_lowercase());
        assert!(!challenge.scheme.contains([' ', '\t', ',', '=', '"']));
        for name in challenge.parameters.keys() {
            assert_eq!(*name, name.to_ascii_lowercase());
        }
    }
    assert_eq!(challenges(text.lines()), found, "equal text, equal answer");
}

/// A repository name that is accepted can stand in a URL as it is.
pub(super) fn repository_names(bytes: &[u8]) {
    let text = text(bytes);
    let Ok(name) = RepositoryName::parse(&text) else {
        return;
    };
    assert_eq!(name.as_str(), text);
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "._-/".contains(c);
    assert!(name.as_str().chars().all(plain), "{name:?}");
    assert!(
        !name
            .as_str()
            .split('/')
            .any(|part| matches!(part, "" | "." | "..")),
        "{name:?}"
    );
}
