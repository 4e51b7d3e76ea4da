//! What decides about tags: references, constraints, versions and patterns.

use sealift_core::constraint::Constraint;
use sealift_core::extract::Extract;
use sealift_core::glob::Glob;
use sealift_core::reference::{ConfiguredImage, KustomizeImage, Reference};
use sealift_core::tag_filter::TagFilter;
use sealift_core::version::Version;

use super::text;

/// Names and tags that patterns and constraints are tried on.
const TAGS: &[&str] = &[
    "",
    "1",
    "v1.2.3",
    "1.2.3-rc.1+b",
    "0.0.0",
    "release-1.2",
    "latest",
    "a/b",
    "é",
    "[x]",
];

/// A reference that the grammar accepts prints as it reads, and keeps its canonical name when its
/// tag changes.
pub(super) fn references(bytes: &[u8]) {
    let text = text(bytes);
    let reference = Reference::parse(&text);
    let canonical = reference.canonical();
    assert!(!canonical.registry.is_empty());
    assert_eq!(reference.with_tag(Some("1.0"), None).canonical(), canonical);
    assert_eq!(reference.without_tag().canonical(), canonical);
    if reference.is_valid() {
        assert_eq!(
            Reference::parse(&reference.to_string()).canonical(),
            canonical
        );
    }
    if let Ok(configured) = ConfiguredImage::parse_item(&text) {
        assert!(!configured.reference.name.is_empty());
    }
    let _any_text_has_an_answer = KustomizeImage::parse(&text);
}

/// A constraint accepts the same versions however often it is read; a version is no smaller than
/// itself. The input is a constraint, and versions on the lines below.
pub(super) fn constraints(bytes: &[u8]) {
    let text = text(bytes);
    let mut lines = text.lines();
    let constraint = Constraint::parse(lines.next().unwrap_or_default());
    for line in lines.chain(TAGS.iter().copied()) {
        let Some(version) = Version::parse(line) else {
            continue;
        };
        assert_eq!(version.cmp(&version), std::cmp::Ordering::Equal, "{line:?}");
        if let Ok(constraint) = &constraint {
            let again = Constraint::parse(constraint.text()).expect("it was read before");
            assert_eq!(
                constraint.check(&version),
                again.check(&version),
                "{line:?}"
            );
        }
    }
}

/// A pattern answers for every tag, at bounded cost. The input is a pattern.
pub(super) fn patterns(bytes: &[u8]) {
    let text = text(bytes);
    let long = "a".repeat(128);
    let tags = || TAGS.iter().copied().chain([long.as_str()]);
    if let Ok(glob) = Glob::parse(&text) {
        assert!(tags().filter(|tag| glob.matches(tag)).count() <= TAGS.len() + 1);
    }
    if let Ok(extract) = Extract::parse(&text) {
        for tag in tags() {
            assert!(
                extract
                    .version(tag)
                    .is_none_or(|version| tag.contains(version))
            );
        }
    }
    let (filter, _) = TagFilter::parse(Some(&text), text.split(','));
    for tag in tags() {
        let kept = filter.allows(tag) && filter.ignored_by(tag).is_none();
        assert_eq!(filter.rejects(tag).is_none(), kept);
    }
}
