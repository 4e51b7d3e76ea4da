//! Counts of what left and what came back, cheap enough to be always on.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use sealift_core::limits::REGISTRIES_COUNTED_MAX;

/// What a request is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Kind {
    /// A page of a tag list.
    Listing,
    /// A page of a referrers listing.
    Referrers,
    /// A digest by `HEAD`.
    ManifestHead,
    /// A manifest or index.
    ManifestGet,
    /// A configuration or other blob.
    Blob,
    /// A token.
    Token,
    /// Git's smart protocol.
    Git,
    /// Anything else.
    Other,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 8] = [
        Self::Listing,
        Self::Referrers,
        Self::ManifestHead,
        Self::ManifestGet,
        Self::Blob,
        Self::Token,
        Self::Git,
        Self::Other,
    ];

    /// Whether it is asked of a registry itself.
    pub(crate) const fn is_of_registry(self) -> bool {
        matches!(
            self,
            Self::Listing | Self::Referrers | Self::ManifestHead | Self::ManifestGet | Self::Blob
        )
    }

    /// The stable public name: metric label and key of bench output.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Listing => "listing",
            Self::Referrers => "referrers",
            Self::ManifestHead => "manifest-head",
            Self::ManifestGet => "manifest-get",
            Self::Blob => "blob",
            Self::Token => "token",
            Self::Git => "git",
            Self::Other => "other",
        }
    }
}

/// Counters of one process.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    sent: [AtomicU64; Kind::ALL.len()],
    retries: AtomicU64,
    rate_limited: AtomicU64,
    failed: AtomicU64,
    body_bytes: AtomicU64,
    registries: Mutex<BTreeMap<String, RegistryCounts>>,
}

/// Requests to one registry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RegistryCounts {
    /// Requests that were sent; redirects and retries count.
    pub sent: u64,
    /// Those without an answer, or with `429` or `5xx`.
    pub failed: u64,
}

/// A reading of the counters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counts {
    /// Requests sent, by kind; every redirect and retry counts.
    pub sent: [(Kind, u64); Kind::ALL.len()],
    /// Requests sent again after a failure.
    pub retries: u64,
    /// Answers `429`.
    pub rate_limited: u64,
    /// Requests without an answer.
    pub failed: u64,
    /// Bytes of answers, decompressed.
    pub body_bytes: u64,
}

impl Counts {
    /// Requests sent, of every kind.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.sent.iter().map(|(_, count)| count).sum()
    }

    /// Requests sent of one kind.
    #[must_use]
    pub fn of(&self, kind: Kind) -> u64 {
        self.sent
            .iter()
            .filter(|(counted, _)| *counted == kind)
            .map(|(_, count)| count)
            .sum()
    }
}

impl Counters {
    pub(crate) fn count_sent(&self, kind: Kind) {
        let index = Kind::ALL.iter().position(|known| *known == kind);
        if let Some(counter) = index.and_then(|index| self.sent.get(index)) {
            counter.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Counts a request to a registry by the host that was asked first. Beyond the bound no new host
    /// gets a line of its own.
    pub(crate) fn count_registry(&self, host: &str, failed: bool) {
        let mut registries = self
            .registries
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let known = registries.contains_key(host) || registries.len() < REGISTRIES_COUNTED_MAX;
        let name = if known { host } else { "other" };
        let counts = registries.entry(name.to_owned()).or_default();
        counts.sent += 1;
        counts.failed += u64::from(failed);
    }

    pub(crate) fn registries(&self) -> BTreeMap<String, RegistryCounts> {
        let registries = self
            .registries
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        registries.clone()
    }

    pub(crate) fn count_retry(&self) {
        self.retries.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn count_rate_limited(&self) {
        self.rate_limited.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn count_failed(&self) {
        self.failed.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn count_body(&self, bytes: usize) {
        self.body_bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    pub(crate) fn read(&self) -> Counts {
        let mut sent = Kind::ALL.map(|kind| (kind, 0));
        for (slot, counter) in sent.iter_mut().zip(&self.sent) {
            slot.1 = counter.load(Ordering::Relaxed);
        }
        Counts {
            sent,
            retries: self.retries.load(Ordering::Relaxed),
            rate_limited: self.rate_limited.load(Ordering::Relaxed),
            failed: self.failed.load(Ordering::Relaxed),
            body_bytes: self.body_bytes.load(Ordering::Relaxed),
        }
    }
}
