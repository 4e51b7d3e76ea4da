//! Which repository a policy means: the public ones with their start roots in the program, or a
//! mirror with its own.

use std::sync::Arc;

use sealift_core::digest::Digest;
use sealift_core::promotion::spec::{FileSource, TrustRootSpec};
use sealift_core::secret::masked_url;
use url::Url;

const PUBLIC_GOOD: &[u8] = include_bytes!("../../assets/trust-roots/public-good.root.json");
const GITHUB: &[u8] = include_bytes!("../../assets/trust-roots/github.root.json");

/// Begins the keys of mirrors.
pub(super) const MIRROR: &str = "mirror-";

/// A repository that a policy names.
#[derive(Debug, Clone)]
pub struct Repository {
    /// As the operator names it: `publicGood`, `github`, or the mirror's URL.
    pub(super) name: String,
    /// With a `/` at its end.
    pub(super) base: Url,
    pub(super) start: Arc<[u8]>,
    /// Name of its copy.
    pub(super) key: String,
}

impl Repository {
    /// The repository that a policy means; `None` where it means a file.
    ///
    /// # Errors
    /// The start root is not there, or the mirror is no URL.
    pub fn of(
        spec: &TrustRootSpec,
        start: impl FnOnce(&FileSource) -> Result<Arc<[u8]>, String>,
    ) -> Option<Result<Self, String>> {
        let built_in = |name: &str, key: &str, base: &str, start: &'static [u8]| {
            let (name, key, start) = (name.to_owned(), key.to_owned(), Arc::from(start));
            let base = base_url(base)?;
            Ok(Self {
                name,
                base,
                start,
                key,
            })
        };
        match spec {
            TrustRootSpec::File(_) => None,
            TrustRootSpec::PublicGood(_) => Some(built_in(
                "publicGood",
                "public-good",
                "https://tuf-repo-cdn.sigstore.dev",
                PUBLIC_GOOD,
            )),
            TrustRootSpec::Github(_) => Some(built_in(
                "github",
                "github",
                "https://tuf-repo.github.com",
                GITHUB,
            )),
            TrustRootSpec::Tuf(tuf) => Some(start(&tuf.root).and_then(|start| {
                let base = base_url(&tuf.mirror)?;
                // Another start is another repository: a policy must not spoil the copy of another
                // one.
                let identity = [base.as_str().as_bytes(), b"\n", &start].concat();
                Ok(Self {
                    name: tuf.mirror.trim_end_matches('/').to_owned(),
                    base,
                    start,
                    key: format!("{MIRROR}{}", Digest::of(&identity).hex()),
                })
            })),
        }
    }

    /// What tells it from others.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.key
    }
}

fn base_url(text: &str) -> Result<Url, String> {
    let refused = |why: &str| format!("the mirror `{}` cannot be used: {why}", masked_url(text));
    let mut base = Url::parse(text).map_err(|error| refused(&error.to_string()))?;
    if base.query().is_some() || base.fragment().is_some() {
        return Err(refused("it has a query or a fragment"));
    }
    if !base.username().is_empty() || base.password().is_some() {
        return Err("the mirror holds user-info, which is not sent".to_owned());
    }
    if !base.path().ends_with('/') {
        let path = format!("{}/", base.path());
        base.set_path(&path);
    }
    Ok(base)
}

#[cfg(test)]
mod tests {
    use sealift_trust::root::Pinned;

    use super::*;

    #[test]
    fn the_start_roots_are_those_that_the_readme_names() {
        let readme = include_str!("../../assets/trust-roots/README.md");
        for (bytes, version) in [(PUBLIC_GOOD, 16), (GITHUB, 9)] {
            assert!(readme.contains(&Digest::of(bytes).hex()));
            assert_eq!(Pinned::new(bytes.into()).unwrap().version(), version);
        }
    }

    #[test]
    fn a_mirror_is_a_plain_url() {
        let base = |text| base_url(text).map(|url| url.to_string());
        assert_eq!(base("https://tuf.test"), Ok("https://tuf.test/".into()));
        assert_eq!(base("http://tuf.test/a"), Ok("http://tuf.test/a/".into()));
        for text in [
            "tuf.test",
            "https://tuf.test/?a=b",
            "https://tuf.test/#a",
            "https://u:p@tuf.test",
        ] {
            assert!(base_url(text).is_err(), "{text}");
        }
        for text in [
            "https://u:secret@tuf.test/?a=b",
            "https://u:secret@tuf.test:x/",
        ] {
            let error = base_url(text).unwrap_err();
            assert!(!error.contains("secret"), "{error}");
        }
    }
}
