//! Trust roots that a TUF repository serves: fetched through a port, kept between runs, refused
//! when they lie.
//!
//! Here: the walk from a pinned start root to `trusted_root.json`, and what is used when the
//! repository cannot be reached ([`standing`]). Not here: sockets, files and the clock: [`Source`]
//! fetches, [`Shelf`] keeps, `now` is an argument. TUF specification 1.0.34, section 5 (client
//! workflow); verification itself is `sigstore-tuf`'s.
//!
//! A repository is believed for what it proves, never for being up: bytes that do not verify, older
//! ones than before and expired ones are [`Failure::Refused`] or [`Failure::Expired`], and the copy
//! that was verified before stays. Only a true outage earns an expired copy its bounded grace.

mod adapter;
mod kept;
pub mod standing;
#[cfg(test)]
mod tests;

use std::error::Error;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use jiff::Timestamp;
use sealift_core::limits;
use sigstore_tuf::{TrustedMetadataSet, Updater, UpdaterConfig};

use adapter::Adapter;
use kept::{Kept, Shelved, Staging};
pub use standing::{Facts, Failure, Standing};

/// Name of the target that holds a Sigstore trust root.
pub const TARGET: &str = "trusted_root.json";

/// What a fetch gives: bytes, or that there is no such file.
pub type Fetched<'a> =
    Pin<Box<dyn Future<Output = Result<Option<Vec<u8>>, SourceError>> + Send + 'a>>;

/// The way to a repository.
pub trait Source: Send + Sync {
    /// The file at `path` below the repository's base, of at most `bytes_max` bytes; `None` where
    /// there is none.
    fn fetch<'a>(&'a self, path: &'a str, bytes_max: usize) -> Fetched<'a>;
}

/// Why a file was not fetched.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SourceError {
    /// The repository did not answer, or said that it cannot now. The only kind that an expired
    /// copy outlives.
    #[error("{0}")]
    Outage(String),
    /// It answered something that is not taken.
    #[error("{0}")]
    Refused(String),
}

/// Where the copy of one root is kept, as one value.
pub trait Shelf: Send + Sync {
    /// The copy, if there is one.
    ///
    /// # Errors
    /// There may be one, and it cannot be read.
    fn load(&self) -> Result<Option<Vec<u8>>, String>;

    /// Replaces the copy whole, or leaves it as it is.
    ///
    /// # Errors
    /// It could not be replaced.
    fn store(&self, bytes: &[u8]) -> Result<(), String>;
}

/// A repository's beginning: the root that came with the program or the policy.
#[derive(Debug, Clone)]
pub struct Pinned {
    start: Arc<[u8]>,
    version: u64,
}

/// A refresh that failed a moment ago.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failed {
    /// How.
    pub failure: Failure,
    /// The same for people.
    pub problem: String,
}

/// The operator's word, and what is known already.
#[derive(Debug, Clone, Default)]
pub struct Ask {
    /// The operator named this root: a copy that expired is used.
    pub unsafe_expired: bool,
    /// The repository failed a moment ago; while a copy will do, it is not asked again.
    pub lately: Option<Failed>,
}

/// A trust root, and why it may be used.
#[derive(Debug, Clone)]
pub struct Obtained {
    /// Bytes of `trusted_root.json`.
    pub bytes: Arc<[u8]>,
    /// When it was last refreshed, and until when it holds.
    pub facts: Facts,
    /// Why it may be used now.
    pub standing: Standing,
    /// How the refresh failed, where it did.
    pub failed: Option<Failed>,
    /// What else went wrong: a copy that could not be read or kept.
    pub notes: Vec<String>,
}

/// Why there is no trust root.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RootError {
    /// The pinned root is none.
    #[error("the start root cannot be used: {0}")]
    Start(String),
    /// There is no copy, and the refresh failed.
    #[error("there is no verified copy, and the refresh failed: {}", .failed.problem)]
    Nothing {
        /// How the refresh failed.
        failed: Failed,
    },
    /// The copy has expired, and may not be used.
    #[error("the verified copy expired at {expires}, and the refresh failed: {}", .failed.problem)]
    Expired {
        /// When.
        expires: Timestamp,
        /// How the refresh failed.
        failed: Failed,
    },
}

impl RootError {
    /// How the refresh failed.
    #[must_use]
    pub const fn failed(&self) -> Option<&Failed> {
        match self {
            Self::Start(_) => None,
            Self::Nothing { failed } | Self::Expired { failed, .. } => Some(failed),
        }
    }
}

impl Pinned {
    /// Takes a root to begin with. Its expiry does not count: newer ones are walked to from it.
    ///
    /// # Errors
    /// It is too large, or not signed by its own keys.
    pub fn new(start: Arc<[u8]>) -> Result<Self, RootError> {
        if start.len() > limits::TUF_ROOT_BYTES_MAX {
            let most = limits::TUF_ROOT_BYTES_MAX;
            return Err(RootError::Start(format!("it has more than {most} bytes")));
        }
        let set = TrustedMetadataSet::from_root(&start)
            .map_err(|error| RootError::Start(chain(&error)))?;
        let version = set.root().version;
        Ok(Self { start, version })
    }

    /// Version of the root to begin with.
    #[must_use]
    pub const fn version(&self) -> u64 {
        self.version
    }

    fn updater(
        &self,
        repository: impl sigstore_tuf::Repository + 'static,
        store: impl sigstore_tuf::MetadataStore + 'static,
    ) -> Result<Updater, sigstore_tuf::Error> {
        let updater = Updater::new(repository, &self.start)?;
        Ok(updater.with_config(config()).with_store(store))
    }
}

/// The trust root of the repository behind `source`: the kept copy while it is fresh, else a
/// refreshed one, else what [`standing::fall_back`] allows.
///
/// # Errors
/// [`RootError`]: nothing may be used.
pub async fn obtain(
    pinned: &Pinned,
    source: Arc<dyn Source>,
    shelf: Arc<dyn Shelf>,
    ask: &Ask,
    now: Timestamp,
) -> Result<Obtained, RootError> {
    let mut notes = Vec::new();
    let kept = load(shelf.as_ref(), &mut notes);
    let copy = match &kept {
        Some(kept) if kept.refreshed.is_some() => match verify(pinned, kept).await {
            Ok(copy) => Some(copy),
            Err(error) => {
                let problem = chain(&error);
                notes.push(format!("the kept copy is not used: {problem}"));
                None
            }
        },
        _ => None,
    };
    if let Some(copy) = copy.as_ref().filter(|copy| copy.facts.is_fresh(now)) {
        return Ok(copy.clone().obtained(Standing::Fresh, None, notes));
    }
    if let (Some(copy), Some(failed)) = (&copy, &ask.lately) {
        let lately = standing::fall_back(&copy.facts, failed.failure, ask.unsafe_expired, now);
        if let Some(standing) = lately {
            let failed = Some(failed.clone());
            return Ok(copy.clone().obtained(standing, failed, notes));
        }
    }
    let staging = Arc::new(Staging::new(
        kept.unwrap_or_default(),
        pinned.version,
        shelf,
    ));
    let refreshed = refresh(pinned, source, &staging, now).await;
    notes.extend(staging.notes());
    match refreshed {
        Ok(copy) => Ok(copy.obtained(Standing::Refreshed, None, notes)),
        Err(failed) => fallen_back(pinned, &staging, failed, ask, now, notes).await,
    }
}

/// What remains after a refresh that failed. The copy is verified anew: roots that were taken
/// meanwhile may have revoked the keys that it was signed with.
async fn fallen_back(
    pinned: &Pinned,
    staging: &Staging,
    failed: Failed,
    ask: &Ask,
    now: Timestamp,
    notes: Vec<String>,
) -> Result<Obtained, RootError> {
    let Ok(copy) = verify(pinned, &staging.kept()).await else {
        return Err(RootError::Nothing { failed });
    };
    match standing::fall_back(&copy.facts, failed.failure, ask.unsafe_expired, now) {
        Some(standing) => Ok(copy.obtained(standing, Some(failed), notes)),
        None => Err(RootError::Expired {
            expires: copy.facts.expires,
            failed,
        }),
    }
}

/// A copy whose signatures, hashes and versions hold, whatever the time is.
#[derive(Debug, Clone)]
struct Copy {
    bytes: Arc<[u8]>,
    facts: Facts,
}

impl Copy {
    fn obtained(self, standing: Standing, failed: Option<Failed>, notes: Vec<String>) -> Obtained {
        Obtained {
            bytes: self.bytes,
            facts: self.facts,
            standing,
            failed,
            notes,
        }
    }
}

fn load(shelf: &dyn Shelf, notes: &mut Vec<String>) -> Option<Kept> {
    let read = shelf.load().and_then(|bytes| match bytes {
        Some(bytes) => Kept::decode(&bytes).map(Some),
        None => Ok(None),
    });
    read.unwrap_or_else(|problem| {
        notes.push(format!("the kept copy cannot be read: {problem}"));
        None
    })
}

/// Walks a kept copy from the pinned root. At the beginning of time nothing has expired, so that
/// expiry is decided in one place, by [`standing`].
async fn verify(pinned: &Pinned, kept: &Kept) -> Result<Copy, sigstore_tuf::Error> {
    let shelved = Shelved::new(kept);
    let mut updater = pinned.updater(shelved.clone(), shelved)?;
    updater.refresh(Timestamp::MIN).await?;
    let bytes = updater.get_target(TARGET, Timestamp::MIN).await?;
    let refreshed = kept.refreshed.unwrap_or(Timestamp::MIN);
    let expires = earliest_expiry(updater.trusted());
    Ok(Copy {
        bytes: bytes.into(),
        facts: Facts { refreshed, expires },
    })
}

/// The first moment at which a role that led to the target ends.
fn earliest_expiry(set: &TrustedMetadataSet) -> Timestamp {
    let mut all = vec![set.root().expires];
    all.extend(set.timestamp().map(|role| role.expires));
    if let Some(snapshot) = set.snapshot() {
        all.push(snapshot.expires);
        let names = snapshot.meta.keys();
        let roles = names.filter_map(|name| set.targets_role(name.strip_suffix(".json")?));
        all.extend(roles.map(|role| role.expires));
    }
    all.into_iter().min().unwrap_or(Timestamp::MIN)
}

/// Asks the repository. The copy is replaced only when everything was verified.
async fn refresh(
    pinned: &Pinned,
    source: Arc<dyn Source>,
    staging: &Arc<Staging>,
    now: Timestamp,
) -> Result<Copy, Failed> {
    let walk = async {
        let mut updater = pinned.updater(Adapter::new(source), Arc::clone(staging))?;
        updater.refresh(now).await?;
        updater.get_target(TARGET, now).await
    };
    walk.await.map_err(|error| failed(&error))?;
    let whole = staging.whole(now);
    let copy = verify(pinned, &whole)
        .await
        .map_err(|error| failed(&error))?;
    staging.replace(whole);
    Ok(copy)
}

fn failed(error: &sigstore_tuf::Error) -> Failed {
    let problem = match error {
        // The library's own words for it add nothing, and are wrong of a file that is missing.
        sigstore_tuf::Error::Transport { message, source } => match source {
            Some(source) => format!("{message}: {}", chain(source.as_ref())),
            None => message.clone(),
        },
        other => chain(other),
    };
    Failed {
        failure: classify(error),
        problem,
    }
}

/// Only our own mark is an outage: the library calls a file that is missing a transport error, too.
fn classify(error: &sigstore_tuf::Error) -> Failure {
    if matches!(error, sigstore_tuf::Error::Expired { .. }) {
        return Failure::Expired;
    }
    let mut next: Option<&(dyn Error + 'static)> = error.source();
    while let Some(cause) = next {
        if matches!(cause.downcast_ref(), Some(SourceError::Outage(_))) {
            return Failure::Outage;
        }
        next = cause.source();
    }
    Failure::Refused
}

fn config() -> UpdaterConfig {
    let mut config = UpdaterConfig::default();
    config.root_max_length = limits::TUF_ROOT_BYTES_MAX as u64;
    config.timestamp_max_length = limits::TUF_TIMESTAMP_BYTES_MAX as u64;
    config.snapshot_max_length = limits::TUF_METADATA_BYTES_MAX as u64;
    config.targets_max_length = limits::TUF_METADATA_BYTES_MAX as u64;
    config.target_max_length = limits::TRUST_MATERIAL_BYTES_MAX as u64;
    config.max_root_rotations = limits::TUF_ROTATIONS_MAX;
    config.max_delegations = limits::TUF_DELEGATIONS_MAX;
    config
}

fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        next = cause.source();
    }
    text
}
