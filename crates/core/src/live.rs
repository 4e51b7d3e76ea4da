//! What runs: the images in the status of an Application, and which of them a configured image is.
//!
//! What runs is a hint; what Git holds decides. Specification: `status.summary.images` of Argo CD's
//! Application, and the look-ups of Argo CD Image Updater on it, with images compared canonically.

use crate::reference::{ConfiguredImage, Reference};
use crate::strategy::Strategy;

/// One image that runs, or that is taken to run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LiveImage {
    /// The image. Without tag and digest where it is only taken to run.
    pub reference: Reference,
    /// Position of the configured image whose `force-update` put it here.
    pub forced_by: Option<usize>,
}

/// The images of the status in their order, then one for each configured image with `force-update`
/// (the flag beside it) that does not run.
pub fn live_images<'a>(
    status_images: impl IntoIterator<Item = &'a str>,
    configured: &[(&ConfiguredImage, bool)],
) -> Vec<LiveImage> {
    let mut live: Vec<LiveImage> = status_images
        .into_iter()
        .map(|text| LiveImage {
            reference: Reference::parse_aliased(text).1,
            forced_by: None,
        })
        .collect();
    for (position, (image, force)) in configured.iter().enumerate() {
        let runs = live
            .iter()
            .any(|l| l.reference.same_image(&image.reference));
        if *force && !runs {
            live.push(LiveImage {
                reference: image.reference.clone(),
                forced_by: Some(position),
            });
        }
    }
    live
}

/// The position of the image that runs for a configured one: that of its Kustomize name where it
/// has one, else its own. The first wins; tags do not matter.
#[must_use]
pub fn find_live(
    live: &[LiveImage],
    configured: &Reference,
    kustomize_name: Option<&str>,
) -> Option<usize> {
    let position = |wanted: &Reference| live.iter().position(|l| l.reference.same_image(wanted));
    kustomize_name
        .filter(|name| !name.is_empty())
        .and_then(|name| position(&Reference::parse_aliased(name).1))
        .or_else(|| position(configured))
}

/// The digest strategy looks again once it knows the newest digest, since several containers may
/// run one image: the followed tag with a stale digest, else the followed tag, else any stale
/// digest.
#[must_use]
pub fn find_live_for_digest(
    live: &[LiveImage],
    configured: &Reference,
    followed_tag: &str,
    newest_digest: &str,
) -> Option<usize> {
    let follows = |r: &Reference| r.tag.as_deref() == Some(followed_tag);
    let stale = |r: &Reference| r.digest.as_deref().is_some_and(|d| d != newest_digest);
    let first = |fits: &dyn Fn(&Reference) -> bool| {
        live.iter()
            .position(|l| l.reference.same_image(configured) && fits(&l.reference))
    };
    first(&|r| follows(r) && stale(r))
        .or_else(|| first(&follows))
        .or_else(|| first(&stale))
}

/// Whether two references want the same bytes: by digest where either has one, else by tag.
#[must_use]
pub fn tags_equal(left: &Reference, right: &Reference) -> bool {
    let digest = |r: &Reference| r.digest.clone().unwrap_or_default();
    let tag = |r: &Reference| r.tag.clone().unwrap_or_default();
    if digest(left).is_empty() && digest(right).is_empty() {
        tag(left) == tag(right)
    } else {
        digest(left) == digest(right)
    }
}

/// Whether the image that runs differs from the one that was chosen.
///
/// A digest behind the tag that runs is a pin, not another tag: only the digest strategy looks at
/// it. With a Kustomize name, a new registry or name is a difference, too.
#[must_use]
pub fn needs_update(
    strategy: Strategy,
    live: &Reference,
    newest: &Reference,
    configured: &Reference,
    kustomize_name: Option<&str>,
) -> bool {
    let renamed =
        kustomize_name.is_some_and(|name| !name.is_empty()) && !live.same_image(configured);
    let moved = if strategy.follows_one_tag() {
        live.digest.as_deref().is_none_or(str::is_empty) || live.digest != newest.digest
    } else {
        live.tag.as_deref().unwrap_or_default() != newest.tag.as_deref().unwrap_or_default()
    };
    renamed || moved
}

#[cfg(test)]
mod tests {
    use super::*;

    fn live(texts: &[&str]) -> Vec<LiveImage> {
        live_images(texts.iter().copied(), &[])
    }

    #[test]
    fn spellings_of_one_image_are_found_and_other_registries_are_not() {
        let live = live(&["quay.io/library/nginx:1", "docker.io/library/nginx:1.25"]);
        for text in ["nginx", "library/nginx", "index.docker.io/nginx"] {
            assert_eq!(find_live(&live, &Reference::parse(text), None), Some(1));
        }
        assert_eq!(find_live(&live, &Reference::parse("a/nginx"), None), None);
    }

    #[test]
    fn a_kustomize_name_is_looked_up_first() {
        let live = live(&["a/b:1", "c/d:2"]);
        let configured = Reference::parse("c/d");
        assert_eq!(find_live(&live, &configured, Some("a/b")), Some(0));
        assert_eq!(find_live(&live, &configured, Some("x/y")), Some(1));
        assert_eq!(find_live(&live, &configured, Some("")), Some(1));
    }

    #[test]
    fn a_pinned_tag_is_no_other_tag_for_strategies_that_follow_versions() {
        let pinned = Reference::parse("nginx:1.1@sha256:aaa");
        let newest = Reference::parse("nginx:1.1");
        let needs = |strategy| needs_update(strategy, &pinned, &newest, &newest, None);
        assert!(!needs(Strategy::Semver));
        assert!(needs(Strategy::Digest));
    }
}
