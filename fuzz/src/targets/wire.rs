//! What registries send.

use sealift_core::digest::Digest;
use sealift_core::evidence::Form;
use sealift_core::limits;
use sealift_core::reason::Reason;
use sealift_registry::{
    Carrier, Manifest, ManifestKind, Referrers, RepositoryName, challenges, evidence_in,
};

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

/// A list of referrers is a set, and reads the same again; the same bytes as a manifest keep within
/// every bound, whatever they say of their layers.
pub(super) fn evidence_manifests(bytes: &[u8]) {
    if let Ok(listed) = Referrers::parse(bytes) {
        assert!(listed.digests.len() + listed.unsupported <= bytes.len() / 10);
        assert_eq!(Referrers::parse(bytes), Ok(listed));
    }
    let carrier = Carrier::parse(bytes);
    if let Ok(carrier) = &carrier {
        assert!(carrier.layers.len() <= limits::EVIDENCE_LAYERS_MAX);
        assert!(carrier.layers.len() <= carrier.layer_count);
        assert!(!carrier.artifact_type.chars().any(char::is_control));
    }
    let subject = Digest::of(b"");
    // A layer that says it is empty does not get this byte.
    let evidence = evidence_in(subject, bytes, |_| b"x".to_vec());
    assert!(evidence.items.len() <= limits::EVIDENCE_ITEMS_MAX);
    let about = carrier
        .as_ref()
        .ok()
        .and_then(|carrier| carrier.subject.as_deref());
    match &carrier {
        Err(_) => assert_eq!(evidence.gaps[0].reason, Reason::EvidenceMalformed),
        Ok(_) if about != Some(&subject.to_string()) => {
            assert!(evidence.items.is_empty() && evidence.gaps.is_empty());
        }
        Ok(_) => assert!(!evidence.items.is_empty() || !evidence.gaps.is_empty()),
    }
    for item in &evidence.items {
        assert_eq!(item.place.manifest, Digest::of(bytes));
        let read = match &item.form {
            Form::Bundle(bytes) => bytes,
            Form::SimpleSigning { payload, .. } => payload,
            Form::Envelope { envelope, .. } => envelope,
            Form::Unread { .. } => continue,
        };
        assert_eq!(**read, *b"x");
    }
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
