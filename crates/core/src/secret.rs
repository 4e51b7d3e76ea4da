//! Values that must never reach logs, events, errors, `Debug`, process arguments or URLs.

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
    let without_query = url.split_once('?').map_or(url, |(before, _)| before);
    let Some((scheme, rest)) = without_query.split_once("://") else {
        return without_query.to_owned();
    };
    let authority_end = rest.find('/').unwrap_or(rest.len());
    let (authority, path) = rest.split_at(authority_end);
    let host = authority
        .rsplit_once('@')
        .map_or(authority, |(_, host)| host);
    format!("{scheme}://{host}{path}")
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
    }
}
