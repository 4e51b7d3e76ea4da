//! Names of content, objects and files.

use sealift_core::digest::Digest;
use sealift_core::oid::Oid;
use sealift_core::path::RepoPath;

use super::text;

/// A digest or object name that is accepted prints as it was written.
pub(super) fn names(bytes: &[u8]) {
    let text = text(bytes);
    if let Ok(digest) = text.parse::<Digest>() {
        assert_eq!(digest.to_string(), text);
    }
    if let Ok(oid) = text.parse::<Oid>() {
        assert_eq!(oid.to_string(), text);
        assert_eq!(oid.raw().len() * 2, text.len());
    }
}

/// A path stays inside the repository, and joining it again changes nothing. The input is a base,
/// a line feed and a path.
pub(super) fn repo_paths(bytes: &[u8]) {
    let text = text(bytes);
    let (base, path) = text.split_once('\n').unwrap_or(("", &text));
    let Ok(joined) = RepoPath::join(base, path) else {
        return;
    };
    assert!(!joined.as_str().starts_with('/') && !joined.as_str().contains('\\'));
    for component in joined.components() {
        assert!(!matches!(component, "" | "." | ".."), "{joined:?}");
        assert!(!component.eq_ignore_ascii_case(".git"), "{joined:?}");
        assert!(!component.chars().any(char::is_control), "{joined:?}");
    }
    assert_eq!(RepoPath::join("", joined.as_str()).as_ref(), Ok(&joined));
}
