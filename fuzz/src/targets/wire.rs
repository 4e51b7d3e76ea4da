//! What registries send.

use sealift_core::limits;
use sealift_registry::{Manifest, ManifestKind, RepositoryName, challenges};

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

/// A manifest that is accepted names bounded, well-formed content, and reads the same again.
pub(super) fn image_manifests(bytes: &[u8]) {
    let Ok(manifest) = Manifest::parse(bytes.to_vec().into()) else {
        return;
    };
    assert_eq!(manifest.bytes, bytes);
    match &manifest.kind {
        ManifestKind::Index { children } => assert!(children.len() <= limits::INDEX_CHILDREN_MAX),
        ManifestKind::Image { config } => assert!(config.digest.to_string().len() == 71),
        other => panic!("{other:?}"),
    }
    let again = Manifest::parse(manifest.bytes).map(|manifest| manifest.kind);
    assert_eq!(again.ok(), Some(manifest.kind));
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
