//! What a registry says about one repository, and how whole that answer is.
//!
//! Only [`Complete`] and [`Single`] can be chosen from. [`Incomplete`] cannot: a choice from a
//! partial list is how an outage becomes a rollback. OCI distribution-spec v1.1, "Content
//! Discovery".

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;

use crate::digest::Digest;
use crate::platform::Platform;
use crate::reason::Reason;

/// An answer to "which tags are there".
#[derive(Debug, Clone)]
pub enum Catalog {
    /// The whole list.
    Complete(Complete),
    /// One tag was asked for, as the digest strategy does.
    Single(Single),
    /// Less than the whole list. Nothing may be chosen from it.
    Incomplete(Incomplete),
}

/// Every tag of a repository, in the order the registry lists them. Shared by all slots that use
/// it.
#[derive(Debug, Clone)]
pub struct Complete {
    tags: Arc<[Box<str>]>,
}

impl Complete {
    /// States that `tags` is the whole list. Only a client that has seen the last page may say so.
    #[must_use]
    pub fn new(tags: Vec<Box<str>>) -> Self {
        Self { tags: tags.into() }
    }

    /// The same of a list that is shared already: nothing is copied.
    #[must_use]
    pub const fn shared(tags: Arc<[Box<str>]>) -> Self {
        Self { tags }
    }

    /// The tags, in listing order.
    #[must_use]
    pub fn tags(&self) -> &[Box<str>] {
        &self.tags
    }
}

/// One tag that was asked for by name, and what it names now (`None`: the tag does not exist).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Single {
    /// The tag.
    pub tag: Box<str>,
    /// What the registry says it names.
    pub digest: Option<Digest>,
}

/// Why a listing is not whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Incomplete {
    /// The stable reason.
    pub reason: Reason,
    /// What happened, for people: status, page, host. No secrets.
    pub detail: String,
    /// How many tags were read before the end.
    pub tags_read: usize,
}

/// What one tag names, read from its manifest and image configuration. OCI image-spec v1.1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TagMetadata {
    /// Digest of the manifest or index that the tag names.
    pub digest: Digest,
    /// Every image manifest below it: one for a plain image, one a platform for an index.
    /// Attestation manifests (`unknown/unknown`) are left out.
    pub images: Vec<ImageMetadata>,
}

/// One image manifest with what its configuration says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageMetadata {
    /// Digest of this manifest (equal to [`TagMetadata::digest`] for a plain image).
    pub digest: Digest,
    /// What it runs on.
    pub platform: Platform,
    /// `created` of the configuration, where it was read and is a date. RFC 3339.
    pub created: Option<Timestamp>,
    /// `config.Labels`.
    pub labels: BTreeMap<String, String>,
}
