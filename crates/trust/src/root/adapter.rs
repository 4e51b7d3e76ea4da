//! The library's view of a [`Source`]: plain file names only, and no more bytes than were asked
//! for.

use std::sync::Arc;

use sealift_core::limits::TUF_NAME_BYTES_MAX;
use sigstore_tuf::transport::FetchFuture;
use sigstore_tuf::{Error, Repository};

use super::{Source, SourceError};

/// A repository over a port: metadata at the base, targets below `targets/`.
pub(super) struct Adapter {
    source: Arc<dyn Source>,
}

impl Adapter {
    pub(super) fn new(source: Arc<dyn Source>) -> Self {
        Self { source }
    }

    async fn fetch(&self, folder: &str, name: &str, most: u64) -> Result<Option<Vec<u8>>, Error> {
        if !is_plain(name) {
            let shown: String = name.chars().take(TUF_NAME_BYTES_MAX).collect();
            let problem = format!("the metadata names the file {shown:?}, which is no plain name");
            return Err(Error::Malformed(problem));
        }
        let path = format!("{folder}{name}");
        let most = usize::try_from(most).unwrap_or(usize::MAX);
        let fetched = self.source.fetch(&path, most).await;
        let bytes = fetched.and_then(|bytes| match bytes {
            Some(bytes) if bytes.len() > most => {
                let problem = format!("`{path}` has more than {most} bytes");
                Err(SourceError::Refused(problem))
            }
            other => Ok(other),
        });
        let message = || format!("`{path}` was not fetched");
        bytes.map_err(|error| Error::transport_with_source(message(), error))
    }
}

impl Repository for Adapter {
    fn fetch_metadata<'a>(&'a self, name: &'a str, max_length: u64) -> FetchFuture<'a> {
        Box::pin(self.fetch("", name, max_length))
    }

    fn fetch_target<'a>(&'a self, path: &'a str, max_length: u64) -> FetchFuture<'a> {
        Box::pin(self.fetch("targets/", path, max_length))
    }
}

/// One step of a path: role names and hashes come from metadata, and must not lead elsewhere.
fn is_plain(name: &str) -> bool {
    let plain =
        |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-' | b'~');
    !name.is_empty()
        && name.len() <= TUF_NAME_BYTES_MAX
        && !name.starts_with('.')
        && name.bytes().all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_one_plain_step_is_a_name() {
        for name in [
            "1.root.json",
            "timestamp.json",
            "ab01.trusted_root.json",
            "a-b_c~d.json",
        ] {
            assert!(is_plain(name), "{name}");
        }
        let long = "x".repeat(TUF_NAME_BYTES_MAX + 1);
        for name in [
            "",
            ".",
            "..",
            "../root.json",
            "a/b",
            "a\\b",
            "a%2Fb.json",
            "a?b",
            "a#b",
            "é",
            &long,
        ] {
            assert!(!is_plain(name), "{name}");
        }
    }
}
