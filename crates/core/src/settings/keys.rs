//! The keys of settings that exist, and which of them a mistyped one may have meant.

use crate::nearest::{CHANGES_MAX, changes};

/// Before every annotation of Argo CD Image Updater.
pub const PEER_PREFIX: &str = "argocd-image-updater.argoproj.io/";
/// Before every annotation of our own.
pub const OWN_PREFIX: &str = "sealift.dev/";

/// Keys of Argo CD Image Updater for the whole Application.
pub(super) const PEER_APPLICATION: &[&str] = &[
    "image-list",
    "update-strategy",
    "allow-tags",
    "ignore-tags",
    "force-update",
    "pull-secret",
    "write-back-method",
    "git-branch",
    "git-repository",
    "write-back-target",
];

/// Keys of Argo CD Image Updater behind `<alias>.`.
pub(super) const PEER_IMAGE: &[&str] = &[
    "update-strategy",
    "allow-tags",
    "ignore-tags",
    "force-update",
    "pull-secret",
    "platforms",
    "helm.image-name",
    "helm.image-tag",
    "helm.image-spec",
    "kustomize.image-name",
];

/// Our own keys for the whole Application.
pub(crate) const OWN_APPLICATION: &[&str] = &[
    "update-strategy",
    "extract",
    "allow-downgrade",
    "commit-per",
    "interval",
];

/// Our own keys behind `<alias>.`.
pub(crate) const OWN_IMAGE: &[&str] = &[
    "update-strategy",
    "extract",
    "allow-downgrade",
    "helm.image-digest",
];

/// What a key is about.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Subject<'a> {
    /// The whole Application.
    Application,
    /// The image of this alias.
    Image(&'a str),
    /// Nothing that exists; the nearest key that does.
    Unknown(Option<String>),
}

/// Sorts a key without its prefix. Aliases may hold dots, so the longest known suffix decides.
pub(super) fn subject<'a>(key: &'a str, application: &[&str], image: &[&str]) -> Subject<'a> {
    if application.contains(&key) {
        return Subject::Application;
    }
    let alias = image
        .iter()
        .filter_map(|known| key.strip_suffix(known)?.strip_suffix('.'))
        .filter(|alias| !alias.is_empty())
        .min_by_key(|alias| alias.len());
    match alias {
        Some(alias) => Subject::Image(alias),
        None => Subject::Unknown(nearest(key, application, image)),
    }
}

/// The known key with the fewest changes, if they are few. The text before the first dot is taken
/// for an alias where that makes the rest fit better.
fn nearest(key: &str, application: &[&str], image: &[&str]) -> Option<String> {
    if key.len() > 256 {
        return None;
    }
    let whole = application
        .iter()
        .map(|known| (changes(key, known), (*known).to_owned()));
    let (alias, rest) = key.split_once('.').unwrap_or(("<alias>", key));
    let behind_alias = image
        .iter()
        .map(|known| (changes(rest, known), format!("{alias}.{known}")));
    whole
        .chain(behind_alias)
        .filter(|(changes, _)| *changes <= CHANGES_MAX)
        .min_by_key(|(changes, _)| *changes)
        .map(|(_, known)| known)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(key: &str) -> Subject<'_> {
        subject(key, PEER_APPLICATION, PEER_IMAGE)
    }

    #[test]
    fn keys_are_about_the_application_or_an_alias() {
        assert_eq!(peer("image-list"), Subject::Application);
        assert_eq!(peer("a.update-strategy"), Subject::Image("a"));
        assert_eq!(peer("a.b.helm.image-name"), Subject::Image("a.b"));
        assert_eq!(peer("a.helm.image-tag"), Subject::Image("a"));
        assert_eq!(peer("x/y.platforms"), Subject::Image("x/y"));
    }

    #[test]
    fn a_mistyped_key_is_told_what_it_may_have_meant() {
        for (key, nearest) in [
            ("image-lst", Some("image-list")),
            ("web.update-stategy", Some("web.update-strategy")),
            ("platforms", Some("<alias>.platforms")),
            ("web.helm.image-nam", Some("web.helm.image-name")),
            ("web.tag-match", None),
            ("write-back-metod", Some("write-back-method")),
            (".platforms", Some(".platforms")),
            ("", None),
        ] {
            assert_eq!(
                peer(key),
                Subject::Unknown(nearest.map(str::to_owned)),
                "{key}"
            );
        }
    }
}
