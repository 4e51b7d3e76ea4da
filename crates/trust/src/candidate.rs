//! The chosen image: a tag with the digest it was resolved to, once.

use sealift_core::digest::Digest;

/// What selection chose and the registry resolved. There is no candidate without a digest.
///
/// Not a value of trust: anybody may make one. It becomes writable only through [`crate::admit`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// Registry and repository, in canonical form, for example `docker.io/library/nginx`.
    pub repository: String,
    /// The chosen tag.
    pub tag: String,
    /// What the tag named when it was resolved. This is what is judged and what is written; nothing
    /// is looked up again.
    pub digest: Digest,
}
