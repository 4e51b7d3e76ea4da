//! Values that must never reach logs, events, errors, `Debug`, process arguments or URLs.

use std::borrow::Cow;
use std::fmt;

use zeroize::Zeroize;

/// A secret. Neither `Debug` nor `Display` shows it, and its memory is overwritten when it is
/// dropped.
///
/// There is no `Serialize`, on purpose. [`Secret::expose`] is the only way in; a search for it
/// lists every use.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret<T: Zeroize>(T);

impl<T: Zeroize> Secret<T> {
    /// Takes a value into custody.
    pub const fn new(value: T) -> Self {
        Self(value)
    }

    /// The value itself, for the one place that must send it.
    pub const fn expose(&self) -> &T {
        &self.0
    }
}

impl<T: Zeroize> Drop for Secret<T> {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl<T: Zeroize> fmt::Debug for Secret<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

/// Hides the user-info and the query of a URL, for messages. Texts that are no URL come back
/// without what stands before `@`.
#[must_use]
pub fn masked_url(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").map_or(("", url), |(scheme, rest)| {
        url.get(..scheme.len() + 3)
            .map_or((scheme, rest), |begin| (begin, rest))
    });
    let authority_end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(authority_end);
    let before_at = rest.split_once('@').map_or("", |(before, _)| before);
    let rest = match authority.rsplit_once('@') {
        Some((_, host)) if !scheme.is_empty() => format!("{host}{path}"),
        // What stands behind a colon is no port: a password that holds what would end it, or a URL
        // that is mistyped. `user@host:path` has no colon before its `@`.
        _ if has_password(before_at) => {
            let host = rest.rsplit_once('@').map_or("", |(_, host)| host);
            host.to_owned()
        }
        _ => rest.to_owned(),
    };
    let end = rest.find('?').unwrap_or(rest.len());
    format!("{scheme}{}", rest.get(..end).unwrap_or_default())
}

/// `text` as [`masked_url`] where it holds a URL with user-info, else as it is: for values that may
/// be anything.
#[must_use]
pub fn masked_value(text: &str) -> Cow<'_, str> {
    match text.contains("://") && text.contains('@') {
        true => Cow::Owned(masked_url(text)),
        false => Cow::Borrowed(text),
    }
}

/// Whether what stands before an `@` is user and password, and no host with a port and a path.
fn has_password(before_at: &str) -> bool {
    before_at.split_once(':').is_some_and(|(_, rest)| {
        let port = rest.split('/').next().unwrap_or_default();
        let is_port = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
        !(is_port && rest.contains('/'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_has_no_readable_debug_form() {
        assert_eq!(
            format!("{:?}", Secret::new("hunter2".to_owned())),
            "[secret]"
        );
    }

    #[test]
    fn a_masked_url_keeps_the_host_and_loses_password_and_query() {
        assert_eq!(masked_url("https://u:p@h/x?sig=1"), "https://h/x");
        assert_eq!(
            masked_url("git@github.com:a/b.git"),
            "git@github.com:a/b.git"
        );
        for url in [
            "https://h:8443/a@v1?x",
            "https://h/x:y@v1",
            "ssh://git@h:22/a",
        ] {
            assert!(!masked_url(url).is_empty(), "{url}");
        }
        assert_eq!(masked_url("https://h:8443/a@v1"), "https://h:8443/a@v1");
    }

    #[test]
    fn no_spelling_of_a_password_is_shown() {
        for url in [
            "https://u:secret/x@h/a",
            "https://u:secret?x@h/a",
            "https://u:secret#@h/a",
            "https://u:se@cret@h/a",
            "https:/u:secret@h/a",
            "u:secret@h/a",
            "ssh://u:secret@h:22/a",
        ] {
            let masked = masked_url(url);
            assert!(
                !masked.contains("se") || masked == "https://h/a",
                "{url} {masked}"
            );
            assert!(masked.ends_with("/a"), "{url} {masked}");
        }
        assert_eq!(masked_value("regexp:^a?b"), "regexp:^a?b");
        assert_eq!(masked_value("https://u:p@h/a"), "https://h/a");
    }
}
