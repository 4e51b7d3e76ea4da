//! Trust roots that TUF repositories serve, for the policies of a process: HTTP, the copies on
//! disk, and what is said when one cannot be refreshed.
//!
//! Here: which repository a policy means, one look at each a cycle whatever number of policies
//! share it, and the files in a folder of the state. Not here: what is verified and when an old
//! copy will do (`sealift_trust::root`). Start roots: `assets/trust-roots/README.md`.

mod copy;
mod http;
mod repository;
mod words;

use std::collections::{BTreeMap, BTreeSet};
use std::mem::Discriminant;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream;
use jiff::{SignedDuration, Timestamp};
use sealift_core::limits;
use sealift_core::reason::Reason;
use sealift_net::{Client, Net, NetError, Tls};
use sealift_trust::root::{self, Ask, Failed, Obtained, Pinned, RootError, Standing};
use tokio::time::Instant;

use crate::policies::Remark;
use copy::{CopyFile, prune};
use http::Http;
pub use repository::Repository;
use words::{is_lie, refusal, said_of};

/// Folder of the copies, below the state folder.
pub const FOLDER: &str = "trust-roots";
/// The option with which an operator accepts a root that has expired.
pub const UNSAFE_OPTION: &str = "--unsafe-expired-trust-root";

/// Bytes of a `trusted_root.json`, or why there are none.
pub type Found = Result<Arc<[u8]>, (Reason, String)>;

/// All roots of a process.
pub struct TrustRoots {
    client: Client,
    folder: PathBuf,
    unsafe_expired: BTreeSet<String>,
    memory: Mutex<BTreeMap<String, Memory>>,
}

/// Why something was said, and how the root stood; `None` where it was refused.
type Said = (Reason, Option<Discriminant<Standing>>);

/// What is remembered of one root between cycles.
#[derive(Default)]
struct Memory {
    obtained: Option<Obtained>,
    failed: Option<(Failed, Timestamp)>,
    /// What was said last; only a change is said again.
    said: Option<Said>,
}

impl TrustRoots {
    /// Copies lie in `folder`, which nobody else writes. `unsafe_expired` names roots that are used
    /// although they expired.
    ///
    /// # Errors
    /// HTTP cannot be set up.
    pub fn open(net: &Net, folder: PathBuf, unsafe_expired: &[String]) -> Result<Self, NetError> {
        let names = unsafe_expired.iter();
        Ok(Self {
            client: net.client(&Tls::default())?,
            folder,
            unsafe_expired: names
                .map(|name| name.trim_end_matches('/').to_owned())
                .collect(),
            memory: Mutex::default(),
        })
    }

    /// The roots of `wanted` by their keys, each asked for once, and what is to be said of them.
    pub async fn obtain(
        &self,
        wanted: Vec<Repository>,
        now: Timestamp,
    ) -> (BTreeMap<String, Found>, Vec<Remark>) {
        let mut distinct: BTreeMap<String, Repository> = BTreeMap::new();
        for repository in wanted {
            distinct.entry(repository.key.clone()).or_insert(repository);
        }
        let mut found = BTreeMap::new();
        let mut remarks = Vec::new();
        for key in beyond(distinct.keys()) {
            distinct.remove(&key);
            let most = limits::TRUST_ROOTS_MAX;
            let problem = format!("policies name more than {most} repositories of trust roots");
            found.insert(key, Err((Reason::TrustRootUnavailable, problem)));
        }
        let asked = distinct.values().map(|repository| async move {
            let answer = Box::pin(self.ask(repository, now)).await;
            (repository, answer)
        });
        let answers = stream::iter(asked).buffered(limits::TRUST_ROOT_TASKS_MAX);
        for (repository, answer) in answers.collect::<Vec<_>>().await {
            remarks.extend(self.remark(repository, &answer));
            let bytes = answer.map(|obtained| obtained.bytes);
            let refused = |error| refusal(repository, &error);
            found.insert(repository.key.clone(), bytes.map_err(refused));
        }
        self.forget_others(&distinct);
        (found, remarks)
    }

    async fn ask(&self, repository: &Repository, now: Timestamp) -> Result<Obtained, RootError> {
        let lately = {
            let memory = self.memory();
            let known = memory.get(&repository.key);
            let obtained = known.and_then(|known| known.obtained.as_ref());
            if let Some(fresh) = obtained.filter(|one| one.facts.is_fresh(now)) {
                let standing = Standing::Fresh;
                let failed = None;
                return Ok(Obtained {
                    standing,
                    failed,
                    notes: Vec::new(),
                    ..fresh.clone()
                });
            }
            let failed = known.and_then(|known| known.failed.as_ref());
            failed
                .filter(|(_, at)| is_recent(*at, now))
                .map(|(failed, at)| (failed.clone(), *at))
        };
        let pinned = Pinned::new(Arc::clone(&repository.start))?;
        let limit = Duration::from_secs(limits::TRUST_ROOT_REFRESH_SECS_MAX);
        let source = Http {
            client: self.client.clone(),
            base: repository.base.clone(),
            deadline: Instant::now() + limit,
        };
        let shelf = CopyFile {
            path: self.folder.join(format!("{}.json", repository.key)),
        };
        let ask = Ask {
            unsafe_expired: self.unsafe_expired.contains(&repository.name),
            lately: lately.as_ref().map(|(failed, _)| failed.clone()),
        };
        let answer = root::obtain(&pinned, Arc::new(source), Arc::new(shelf), &ask, now).await;
        let failed = match &answer {
            Ok(obtained) => obtained.failed.as_ref(),
            Err(error) => error.failed(),
        };
        let mut memory = self.memory();
        let known = memory.entry(repository.key.clone()).or_default();
        known.failed = failed.map(|failed| match lately {
            // It was not asked again.
            Some((before, at)) if before == *failed && answer.is_ok() => (before, at),
            _ => (failed.clone(), now),
        });
        known.obtained = answer.as_ref().ok().cloned();
        answer
    }

    /// What is to be said, where it is something else than last time.
    fn remark(
        &self,
        repository: &Repository,
        answer: &Result<Obtained, RootError>,
    ) -> Option<Remark> {
        let name = &repository.name;
        if let Ok(obtained) = answer {
            for note in &obtained.notes {
                tracing::warn!(trust_root = name, "{note}");
            }
        }
        let remark = match answer {
            Ok(obtained) => said_of(repository, obtained),
            Err(error) => {
                let (reason, detail) = refusal(repository, error);
                let lies = error.failed().is_some_and(|one| is_lie(one.failure));
                let reason = if lies {
                    Reason::TrustRootRejected
                } else {
                    reason
                };
                Some((reason, detail))
            }
        };
        let mut memory = self.memory();
        let known = memory.entry(repository.key.clone()).or_default();
        let standing = answer.as_ref().ok().map(|one| &one.standing);
        let standing = standing.map(std::mem::discriminant);
        let said = remark.as_ref().map(|(reason, _)| (*reason, standing));
        let before = std::mem::replace(&mut known.said, said);
        let (reason, detail) = remark.filter(|_| before != said)?;
        Some(Remark {
            subject: format!("trust root `{name}`"),
            reason,
            detail,
        })
    }

    /// Drops what is remembered of roots that nothing names any more, and their copies beyond the
    /// bound, oldest first.
    fn forget_others(&self, named: &BTreeMap<String, Repository>) {
        self.memory().retain(|key, _| named.contains_key(key));
        if let Err(error) = prune(&self.folder, named) {
            tracing::warn!(%error, "copies of trust roots that nobody names could not be removed");
        }
    }

    fn memory(&self) -> MutexGuard<'_, BTreeMap<String, Memory>> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Those that are too many. The public ones are never among them: whoever may write a policy could
/// crowd them out with mirrors of nothing.
fn beyond<'a>(keys: impl Iterator<Item = &'a String>) -> Vec<String> {
    let (mirrors, public): (Vec<&String>, Vec<&String>) =
        keys.partition(|key| key.starts_with(repository::MIRROR));
    let all = public.into_iter().chain(mirrors);
    all.skip(limits::TRUST_ROOTS_MAX).cloned().collect()
}

fn is_recent(at: Timestamp, now: Timestamp) -> bool {
    let age = now.duration_since(at);
    !age.is_negative() && age < SignedDuration::from_secs(limits::TRUST_ROOT_RETRY_SECS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mirrors_do_not_crowd_out_the_public_roots() {
        let mirrors = (0..limits::TRUST_ROOTS_MAX).map(|n| format!("{}{n:03}", repository::MIRROR));
        let public = ["github", "public-good"].map(str::to_owned);
        let keys: BTreeSet<String> = mirrors.chain(public).collect();
        let beyond = beyond(keys.iter());
        assert_eq!(beyond, ["mirror-062", "mirror-063"]);
    }
}
