//! What registries and Git servers send.

use sealift_core::digest::Digest;
use sealift_core::evidence::Form;
use sealift_core::limits;
use sealift_core::reason::Reason;
use sealift_registry::{
    Carrier, Manifest, ManifestKind, Referrers, RepositoryName, challenges, evidence_in, next_page,
    parse_page,
};

use http::{HeaderMap, HeaderValue};
use url::Url;

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

/// The page that a hostile registry is asked for.
const PAGE: &str = "https://registry.example/v2/acme/app/tags/list?n=1000";

/// A page of a listing: the first line is its `Link`, the rest its body. Tags are names that can
/// be pulled; a next page is the same list of the same host.
pub(super) fn listing_pages(bytes: &[u8]) {
    let end = bytes.iter().position(|&byte| byte == b'\n');
    let (link, body) = bytes.split_at(end.unwrap_or(bytes.len()));
    if let Ok(tags) = parse_page(body) {
        assert!(tags.len() <= limits::TAGS_MAX);
        for tag in &tags {
            assert!(
                tag.len() <= 128 && !tag.contains(['/', ':', '@', '\n', ' ']),
                "{tag}"
            );
        }
    }
    let (Ok(page), Ok(link)) = (Url::parse(PAGE), HeaderValue::from_bytes(link)) else {
        return;
    };
    let headers = HeaderMap::from_iter([(http::header::LINK, link)]);
    if let Ok(Some(next)) = next_page(&page, &headers) {
        assert_eq!(
            (next.scheme(), next.port_or_known_default()),
            ("https", Some(443))
        );
        assert_eq!(next.host_str(), page.host_str());
        assert_eq!(next.path(), page.path());
    }
}

/// Whatever a Git server sends is read or refused within its own size.
pub(super) fn git_answers(bytes: &[u8]) {
    let answers = sealift_git::read_answers(bytes);
    let per_object = |count: usize, least: usize| assert!(count * least <= bytes.len());
    // The shortest line holds an id of 40 digits; the shortest tree entry mode, name and 20 bytes.
    per_object(answers.references.unwrap_or_default(), 4 + 40);
    per_object(answers.advertised.unwrap_or_default(), 4 + 40);
    per_object(answers.entries.unwrap_or_default(), 5 + 1 + 1 + 1 + 20);
    if let Some((pack, boundaries)) = answers.fetched {
        per_object(boundaries, 4 + 40);
        assert!(pack < bytes.len());
    }
    assert_eq!(
        sealift_git::read_answers(bytes),
        answers,
        "equal bytes, equal answers"
    );
}
