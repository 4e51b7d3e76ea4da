//! What `-f` may name: a path, standard input, or a folder of a Git repository.

use std::path::PathBuf;
use std::str::FromStr;

use sealift_core::secret::masked_url;

/// One value of `-f, --filename`.
///
/// A Git address is `URL[//folder][?ref=name]`, where the URL has a scheme or is of the form
/// `user@host:path`. Everything else is a path; `-` is standard input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FilenameArg {
    /// Standard input.
    Stdin,
    /// A file or a folder.
    Path(PathBuf),
    /// A folder of a Git repository.
    Git {
        /// Address of the repository, without folder and query.
        url: String,
        /// Folder inside it, without slashes at the ends; empty for the root.
        folder: String,
        /// Branch, tag or commit; `None` for the remote's default branch.
        reference: Option<String>,
    },
}

/// Why a value of `-f` cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FilenameArgError {
    /// Nothing stands there.
    #[error("`-f` names nothing")]
    Empty,
    /// The query of a Git address holds something else than `ref`.
    #[error("`{0}`: the only parameter of a Git address is `ref`, as in `?ref=main`")]
    Parameter(String),
}

impl FromStr for FilenameArg {
    type Err = FilenameArgError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "" => Err(FilenameArgError::Empty),
            "-" => Ok(Self::Stdin),
            _ if is_git_address(text) => git(text),
            _ => Ok(Self::Path(text.into())),
        }
    }
}

/// Whether the text has a scheme, or is `user@host:path`.
fn is_git_address(text: &str) -> bool {
    if let Some((scheme, _)) = text.split_once("://") {
        return scheme.starts_with(|c: char| c.is_ascii_alphabetic())
            && scheme
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c));
    }
    text.split_once(':').is_some_and(|(before, path)| {
        let user_and_host = before.split_once('@');
        !path.is_empty()
            && user_and_host.is_some_and(|(user, host)| {
                !user.is_empty() && !host.is_empty() && !before.contains('/')
            })
    })
}

fn git(text: &str) -> Result<FilenameArg, FilenameArgError> {
    let (address, query) = text.split_once('?').unwrap_or((text, ""));
    let reference = match query.split_once('=') {
        _ if query.is_empty() => None,
        Some(("ref", name)) if !name.is_empty() && !name.contains('&') => Some(name.to_owned()),
        _ => return Err(FilenameArgError::Parameter(masked_url(text))),
    };
    let scheme_end = address.find("://").map_or(0, |start| start + 3);
    let (scheme, rest) = address.split_at(scheme_end);
    // Behind `file://` an absolute path begins with the slash that looks like a separator.
    let skipped = rest.len() - rest.trim_start_matches('/').len();
    let (repository, folder) = match rest.get(skipped..).and_then(|rest| rest.find("//")) {
        Some(at) => {
            let (repository, folder) = rest.split_at(skipped + at);
            (repository, folder.trim_matches('/'))
        }
        None => (rest, ""),
    };
    Ok(FilenameArg::Git {
        url: format!("{scheme}{repository}"),
        folder: folder.to_owned(),
        reference,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn git(url: &str, folder: &str, reference: Option<&str>) -> FilenameArg {
        FilenameArg::Git {
            url: url.to_owned(),
            folder: folder.to_owned(),
            reference: reference.map(str::to_owned),
        }
    }

    #[test]
    fn git_addresses_take_a_folder_and_a_reference() {
        for (text, expected) in [
            ("https://h/o/r.git", git("https://h/o/r.git", "", None)),
            (
                "https://h/o/r//apps/a/?ref=main",
                git("https://h/o/r", "apps/a", Some("main")),
            ),
            ("git@h:o/r.git//apps", git("git@h:o/r.git", "apps", None)),
            (
                "ssh://git@h:22/r?ref=feature/x",
                git("ssh://git@h:22/r", "", Some("feature/x")),
            ),
            ("file:///srv/r.git//a", git("file:///srv/r.git", "a", None)),
        ] {
            assert_eq!(text.parse(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn everything_else_is_a_path() {
        for text in ["apps", "./a@b:c", "a/b://c", "/x:y", "a:b", "C:\\x"] {
            assert_eq!(text.parse(), Ok(FilenameArg::Path(text.into())), "{text}");
        }
        assert_eq!("-".parse(), Ok(FilenameArg::Stdin));
    }

    #[test]
    fn other_parameters_are_refused_without_showing_a_password() {
        let error = "https://u:hunter2@h/r?branch=x"
            .parse::<FilenameArg>()
            .unwrap_err();
        assert!(!error.to_string().contains("hunter2"));
        assert!("https://h/r?ref=".parse::<FilenameArg>().is_err());
        assert!("".parse::<FilenameArg>().is_err());
    }
}
