//! From a tag to a digest, once a cycle for each repository, credential and tag. Nothing is looked
//! up by tag after this.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;
use sealift_core::catalog::TagMetadata;
use sealift_core::digest::Digest;
use sealift_core::platform::{self, Platform, Wanted};
use sealift_core::reason::Reason;
use sealift_core::select::Selection;
use sealift_registry::{Freshness, Observation};
use tokio::sync::OnceCell;

use super::Problem;
use crate::registries::Source;

/// What a tag names, and what its images run on where that had to be read.
#[derive(Debug, Clone)]
pub(super) struct Resolved {
    pub(super) digest: Digest,
    /// What the tag named when it was seen before, if that was something else.
    pub(super) moved_from: Option<Digest>,
    pub(super) metadata: Option<Arc<TagMetadata>>,
}

/// Source, tag, and the platforms that are looked at, if they are: what an answer depends on.
type Question = (String, String, Option<Wanted>);

type Answer = Arc<OnceCell<Result<Resolved, Problem>>>;

/// The answers of one cycle.
#[derive(Default)]
pub(super) struct Resolver {
    answers: Mutex<BTreeMap<Question, Answer>>,
}

impl Resolver {
    /// What `tag` names now. With a selection that checks platforms, its images are read, too.
    pub(super) async fn resolve(
        &self,
        source: &Source,
        tag: &str,
        selection: &Selection,
        now: Timestamp,
    ) -> Result<Resolved, Problem> {
        let platforms = selection
            .checks_platforms()
            .then(|| selection.platforms.clone());
        let question = (source.id.clone(), tag.to_owned(), platforms);
        let answer = {
            let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(answers.entry(question).or_default())
        };
        answer
            .get_or_init(|| ask(source, tag, selection, now))
            .await
            .clone()
    }
}

/// Why a resolved tag may not be used: it has no image for a wanted platform.
pub(super) fn lacks_platform(resolved: &Resolved, selection: &Selection) -> bool {
    let served = |metadata: &Arc<TagMetadata>| platform::wanted(&selection.platforms, metadata);
    selection.checks_platforms() && !resolved.metadata.as_ref().is_some_and(served)
}

async fn ask(
    source: &Source,
    tag: &str,
    selection: &Selection,
    now: Timestamp,
) -> Result<Resolved, Problem> {
    let Source {
        registry,
        access,
        repository,
        ..
    } = source;
    let asked = registry
        .resolve(repository, tag, Freshness::Asked, access, now)
        .await;
    let found = asked.map_err(Problem::registry)?.ok_or_else(|| Problem {
        reason: Reason::NoMatch,
        detail: format!("the tag `{tag}` was listed and does not exist any more"),
    })?;
    let wanted = |platform: &Platform| selection.platforms.accepts(platform);
    let metadata = match selection.checks_platforms() {
        false => None,
        true => {
            let read = registry
                .metadata(repository, found.digest, &wanted, access)
                .await;
            Some(Arc::new(read.map_err(Problem::registry)?))
        }
    };
    let moved_from = match found.observation {
        Observation::Moved { from } => Some(from),
        _ => None,
    };
    Ok(Resolved {
        digest: found.digest,
        moved_from,
        metadata,
    })
}
