//! The two grammars of references: Docker's own, and the lenient reading of what it refuses.
//!
//! Specification: distribution `reference` ("Grammar"), with Docker Hub's rules for names without a
//! registry. Lenient: whatever Argo CD Image Updater makes of the rest.

use super::{DEFAULT_REGISTRY, LEGACY_DEFAULT_REGISTRY, OFFICIAL_FOLDER, Reference};

/// Characters of a repository path. distribution `reference`: `RepositoryNameTotalLengthMax`.
const PATH_BYTES_MAX: usize = 255;

/// Reads a reference by Docker's grammar.
pub(super) fn strict(text: &str) -> Option<Reference> {
    if is_image_id(text) {
        return None;
    }
    let (image, digest) = match text.split_once('@') {
        Some((image, digest)) => (image, Some(digest)),
        None => (text, None),
    };
    let (host, rest) = split_host(image);
    let (path, tag) = match rest.split_once(':') {
        Some((path, tag)) => (path, Some(tag)),
        None => (rest, None),
    };
    let fits = is_path(path)
        && path.len() <= PATH_BYTES_MAX
        && tag.is_none_or(is_tag)
        && digest.is_none_or(is_digest);
    if !fits {
        return None;
    }
    let (registry, name) = written_parts(text, host, path)?;
    Some(Reference {
        registry: registry.map(str::to_owned),
        name,
        tag: tag.map(str::to_owned),
        digest: digest.map(str::to_owned),
    })
}

/// Registry as written, and the name without a `library/` that Docker Hub implies.
fn written_parts<'a>(
    text: &str,
    host: Option<&'a str>,
    path: &str,
) -> Option<(Option<&'a str>, String)> {
    match host {
        None | Some(DEFAULT_REGISTRY | LEGACY_DEFAULT_REGISTRY) => {
            let registry = host.filter(|_| text.starts_with(DEFAULT_REGISTRY));
            let name = if text.starts_with(OFFICIAL_FOLDER) {
                path
            } else {
                path.strip_prefix(OFFICIAL_FOLDER).unwrap_or(path)
            };
            Some((registry, name.to_owned()))
        }
        Some(host) if is_host(host) => Some((Some(host), path.to_owned())),
        // A first element with a dot that is no host (`my_team.apps/web`) is a part of the path.
        Some(host) => {
            let whole = format!("{host}/{path}");
            is_path(&whole).then_some((None, whole))
        }
    }
}

/// Splits off the first element where Docker takes it for a host.
fn split_host(image: &str) -> (Option<&str>, &str) {
    match image.split_once('/') {
        Some((first, rest))
            if first == "localhost"
                || first.contains(['.', ':'])
                || first.chars().any(char::is_uppercase) =>
        {
            (Some(first), rest)
        }
        _ => (None, image),
    }
}

/// Bytes of `text` before what follows the name: a tag, a constraint or a digest.
pub(super) fn name_bytes(text: &str) -> usize {
    let (host, rest) = split_host(text);
    let host_bytes = if host.is_some() {
        text.len() - rest.len()
    } else {
        0
    };
    host_bytes + rest.find([':', '@']).unwrap_or(rest.len())
}

/// Splits `[:tag][@digest]`. An empty digest is none; an empty tag is kept.
pub(super) fn tag_and_digest(rest: &str) -> (Option<String>, Option<String>) {
    let (tag, digest) = match rest.split_once('@') {
        Some((tag, digest)) => (tag, Some(digest)),
        None => (rest, None),
    };
    let tag_text = tag.strip_prefix(':').map(str::to_owned);
    let digest_text = digest.filter(|text| !text.is_empty()).map(str::to_owned);
    match (tag_text, &digest_text, digest) {
        // `name@` names a tag without a text, as `name:` does.
        (None, None, Some(_)) => (Some(String::new()), None),
        (tag, _, _) => (tag, digest_text),
    }
}

/// Reads what no grammar accepts, and loses nothing of it.
pub(super) fn lenient(text: &str) -> Reference {
    let up_to_equals = text.split('=').next().unwrap_or_default();
    let registry = match up_to_equals.split_once('/') {
        Some((first, _)) if first.contains('.') => Some(first.to_owned()),
        _ => None,
    };
    let image = match text.split_once('/') {
        Some((first, rest)) if first.contains('.') => rest,
        _ => text,
    };
    let (name, tag, digest) = match image.split_once('@') {
        Some((image, digest)) => {
            let tag_at = image
                .rfind(':')
                .filter(|colon| image.rfind('/').is_none_or(|slash| *colon > slash));
            let (name, tag) = tag_at.map_or((image, None), |colon| {
                (
                    image.get(..colon).unwrap_or_default(),
                    image.get(colon + 1..),
                )
            });
            let tag = tag.or(if digest.is_empty() { Some("") } else { None });
            (name, tag, Some(digest).filter(|text| !text.is_empty()))
        }
        None => match image.split_once(':') {
            Some((name, tag)) => (name, Some(tag), None),
            None => (image, None, None),
        },
    };
    Reference {
        registry,
        name: name.to_owned(),
        tag: tag.map(str::to_owned),
        digest: digest.map(str::to_owned),
    }
}

/// 64 hex characters are the id of a local image, not a name.
fn is_image_id(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(is_lower_hex)
}

/// `host[:port]`, a name or an IPv6 address in brackets.
fn is_host(text: &str) -> bool {
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (text, None),
    };
    if port.is_some_and(|port| port.is_empty() || !port.bytes().all(|b| b.is_ascii_digit())) {
        return false;
    }
    match host.strip_prefix('[').and_then(|h| h.strip_suffix(']')) {
        Some(v6) => !v6.is_empty() && v6.bytes().all(|b| b.is_ascii_hexdigit() || b == b':'),
        None => host.split('.').all(|label| {
            !label.is_empty()
                && !label.starts_with('-')
                && !label.ends_with('-')
                && label
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b == b'-')
        }),
    }
}

fn is_path(text: &str) -> bool {
    text.split('/').all(is_path_element)
}

/// Runs of lower-case letters and digits, with `.`, `_`, `__` or dashes between two runs.
fn is_path_element(text: &str) -> bool {
    let is_run = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let ends_in_runs =
        text.bytes().next().is_some_and(is_run) && text.bytes().next_back().is_some_and(is_run);
    ends_in_runs
        && text
            .split(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
            .all(|separator| {
                matches!(separator, "" | "." | "_" | "__") || separator.bytes().all(|b| b == b'-')
            })
}

fn is_tag(text: &str) -> bool {
    let is_word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    text.len() <= crate::limits::TAG_BYTES_MAX
        && text.bytes().next().is_some_and(is_word)
        && text.bytes().all(|b| is_word(b) || b == b'.' || b == b'-')
}

/// The digests that Docker's library knows.
fn is_digest(text: &str) -> bool {
    let Some((algorithm, hex)) = text.split_once(':') else {
        return false;
    };
    let hex_bytes = match algorithm {
        "sha256" => 64,
        "sha384" => 96,
        "sha512" => 128,
        _ => return false,
    };
    hex.len() == hex_bytes && hex.bytes().all(is_lower_hex)
}

const fn is_lower_hex(byte: u8) -> bool {
    byte.is_ascii_digit() || matches!(byte, b'a'..=b'f')
}
