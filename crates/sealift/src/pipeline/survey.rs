//! What registries say, asked once: one listing a repository and credential, one ranking a listing
//! and selection, however many images of however many Applications use them.

#![allow(
    clippy::mutable_key_type,
    reason = "a selection compares by its texts; the cell is in the compiled expression"
)]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{self, StreamExt as _};
use jiff::Timestamp;
use sealift_core::catalog::{Catalog, Complete, Incomplete, Single};
use sealift_core::digest::Digest;
use sealift_core::event::{CatalogSummary, Decision, ReasonId, Wholeness};
use sealift_core::limits::REGISTRY_TASKS_MAX;
use sealift_core::platform::Platform;
use sealift_core::reason::Reason;
use sealift_core::select::{Candidates, Metadata, Ranking, Selection, rank};
use sealift_registry::{Freshness, RegistryError};
use tokio::time::Instant;

use super::Context;
use super::item::Item;
use crate::registries::Source;
use crate::schedule::spread;

/// A listing with its summary, made once.
pub(super) struct Listing {
    pub(super) source: Source,
    pub(super) catalog: Catalog,
    pub(super) summary: CatalogSummary,
}

/// A ranking with the number of tags that each reason took out of the race.
pub(super) struct Ranked {
    pub(super) ranking: Arc<Ranking>,
    pub(super) dropped: BTreeMap<ReasonId, u64>,
}

/// What one listing is asked by: the source's identity, and the one tag that is followed, if one
/// is.
type ListingKey = (String, Option<Box<str>>);

/// The items that use a listing, by what they choose by.
type Users = BTreeMap<Arc<Selection>, Vec<usize>>;

/// Asks every registry that the undecided items need, and ranks what they list. Items whose
/// evidence is not whole are decided here.
pub(super) async fn survey(context: &Context<'_>, items: &mut [Item], now: Timestamp) {
    let mut wanted: BTreeMap<ListingKey, (Source, Users)> = BTreeMap::new();
    for (index, item) in items
        .iter_mut()
        .enumerate()
        .filter(|(_, item)| !item.is_decided())
    {
        let rule = item.rule();
        let (reference, pull_secret) = (&rule.configured.reference, rule.pull_secret.as_ref());
        match context
            .registries
            .source(reference, pull_secret, &context.objects)
        {
            Ok((source, order)) => {
                item.set_tag_sort_mode(order);
                let selection = Arc::clone(item.selection());
                let key = (source.id.clone(), selection.followed_tag().map(Box::from));
                let (_, users) = wanted
                    .entry(key)
                    .or_insert_with(|| (source, BTreeMap::new()));
                users.entry(selection).or_default().push(index);
            }
            Err(problem) => item.decide(Decision::Failed, problem.reason, problem.detail),
        }
    }
    context.progress.phase("asking registries", wanted.len());
    let start = Instant::now();
    let asked = in_turn(context.spread, wanted).into_iter();
    let asked = asked.map(|(wait, followed, source, users)| {
        tokio::spawn(async move {
            tokio::time::sleep_until(start + wait).await;
            ask(source, followed.as_deref(), users, now).await
        })
    });
    let mut answers = stream::iter(asked).buffer_unordered(REGISTRY_TASKS_MAX);
    while let Some(answer) = answers.next().await {
        context.progress.step();
        let Ok((listing, rankings)) = answer else {
            continue;
        };
        let listing = Arc::new(listing);
        for (ranked, users) in rankings {
            for index in users {
                if let Some(item) = items.get_mut(index) {
                    item.set_answer(Arc::clone(&listing), ranked.clone());
                }
            }
        }
    }
    decide_unanswered(items);
}

/// One question: how long it waits, the followed tag, whom it goes to, and who uses the answer.
type Turn = (Duration, Option<Box<str>>, Source, Users);

/// The questions in the order of their turns. Without a `seed` none waits.
fn in_turn(seed: Option<u64>, wanted: BTreeMap<ListingKey, (Source, Users)>) -> Vec<Turn> {
    let mut repositories: BTreeMap<String, usize> = BTreeMap::new();
    for (source, _) in wanted.values() {
        *repositories.entry(source.registry_id()).or_default() += 1;
    }
    let turn = |((id, followed), (source, users)): (ListingKey, (Source, Users))| {
        let beside = repositories.get(&source.registry_id()).copied();
        let wait = seed.map(|seed| spread(seed, &id, beside.unwrap_or_default()));
        (wait.unwrap_or_default(), followed, source, users)
    };
    let mut turns: Vec<Turn> = wanted.into_iter().map(turn).collect();
    turns.sort_by_key(|(wait, ..)| *wait);
    turns
}

/// A task that broke down answers nobody: its items must not end as if there were nothing to do.
fn decide_unanswered(items: &mut [Item]) {
    let unanswered = |item: &&mut Item| !item.is_decided() && item.listing.is_none();
    for item in items.iter_mut().filter(unanswered) {
        let detail = "the registry was not asked to the end; nothing was chosen";
        item.decide(Decision::Failed, Reason::Internal, detail);
    }
}

/// Asks one registry for one selection, as `sealift test` does.
pub(crate) async fn ask_one(
    source: Source,
    selection: &Arc<Selection>,
    now: Timestamp,
) -> (Catalog, Option<Arc<Ranking>>) {
    let followed = selection.followed_tag().map(str::to_owned);
    let users = BTreeMap::from([(Arc::clone(selection), Vec::new())]);
    let (listing, mut rankings) = ask(source, followed.as_deref(), users, now).await;
    let ranked = rankings.pop().and_then(|(ranked, _)| ranked);
    (
        listing.catalog,
        ranked.map(|ranked| Arc::clone(&ranked.ranking)),
    )
}

/// A listing, and for each selection its ranking (none for the digest strategy or an incomplete
/// listing) and its users.
type Answer = (Listing, Vec<(Option<Arc<Ranked>>, Vec<usize>)>);

async fn ask(source: Source, followed: Option<&str>, users: Users, now: Timestamp) -> Answer {
    let catalog = match followed {
        Some(tag) => followed_tag(&source, tag, now).await,
        None => {
            source
                .registry
                .tags(&source.repository, &source.access, now)
                .await
        }
    };
    let mut rankings = Vec::with_capacity(users.len());
    for (selection, users) in users {
        let ranked = match &catalog {
            Catalog::Complete(complete) => {
                let metadata = metadata(&source, &selection, complete, now).await;
                Some(Arc::new(Ranked::new(rank(&selection, complete, &metadata))))
            }
            _ => None,
        };
        rankings.push((ranked, users));
    }
    let summary = summary(&catalog);
    (
        Listing {
            source,
            catalog,
            summary,
        },
        rankings,
    )
}

/// The metadata of every tag that a ranking by creation time has to know.
async fn metadata(
    source: &Source,
    selection: &Selection,
    complete: &Complete,
    now: Timestamp,
) -> Metadata {
    if !selection.needs_metadata() {
        return Metadata::new();
    }
    let tags = selection.survivors(complete);
    let Source {
        registry,
        repository,
        access,
        ..
    } = source;
    let wanted = |platform: &Platform| selection.platforms.accepts(platform);
    let names = tags.iter().copied();
    let answers = registry
        .metadata_of_tags(
            repository,
            names,
            &wanted,
            Freshness::Remembered,
            access,
            now,
        )
        .await;
    let read = |answer| match answer {
        Ok(Some((_, metadata))) => Ok(Arc::new(metadata)),
        Ok(None) => Err(Reason::MetadataUnreadable),
        Err(error) => {
            let error: RegistryError = error;
            tracing::debug!(error = error.chain(), "metadata of a tag could not be read");
            Err(error.reason())
        }
    };
    tags.into_iter()
        .map(Box::from)
        .zip(answers.into_iter().map(read))
        .collect()
}

/// Asks for one tag only: what the digest strategy does.
async fn followed_tag(source: &Source, tag: &str, now: Timestamp) -> Catalog {
    let Source {
        registry,
        repository,
        access,
        ..
    } = source;
    match registry
        .resolve(repository, tag, Freshness::Asked, access, now)
        .await
    {
        Ok(resolved) => {
            let digest = resolved.map(|resolved| resolved.digest);
            Catalog::Single(Single {
                tag: tag.into(),
                digest,
            })
        }
        Err(error) => Catalog::Incomplete(Incomplete {
            reason: error.reason(),
            detail: error.chain(),
            tags_read: 0,
        }),
    }
}

impl Ranked {
    fn new(ranking: Ranking) -> Self {
        let mut dropped: BTreeMap<ReasonId, u64> = BTreeMap::new();
        for (_, reason) in Candidates::new(&ranking).verdicts() {
            *dropped.entry(reason.into()).or_default() += 1;
        }
        Self {
            ranking: Arc::new(ranking),
            dropped,
        }
    }
}

/// SHA-256 over the tags in listing order, each with a line feed after it.
fn summary(catalog: &Catalog) -> CatalogSummary {
    let (tags, wholeness): (Vec<&str>, _) = match catalog {
        Catalog::Complete(complete) => (
            complete.tags().iter().map(AsRef::as_ref).collect(),
            Wholeness::Complete,
        ),
        Catalog::Single(single) => (vec![&single.tag], Wholeness::Single),
        Catalog::Incomplete(incomplete) => {
            let (digest, tags) = (Digest::of(b""), incomplete.tags_read as u64);
            return CatalogSummary {
                digest,
                tags,
                wholeness: Wholeness::Incomplete,
            };
        }
    };
    let mut text = String::with_capacity(tags.iter().map(|tag| tag.len() + 1).sum());
    for tag in &tags {
        text.push_str(tag);
        text.push('\n');
    }
    CatalogSummary {
        digest: Digest::of(text.as_bytes()),
        tags: tags.len() as u64,
        wholeness,
    }
}

#[cfg(test)]
mod tests {
    use sealift_core::application::{Context, parse_annotated};
    use sealift_core::manifest::ApplicationManifest;

    use super::*;

    #[test]
    fn an_image_whose_registry_gave_no_answer_has_failed() {
        let manifest = serde_json::json!({
            "metadata": { "name": "a", "namespace": "argocd", "annotations": {
                format!("{}image-list", sealift_core::settings::PEER_PREFIX): "nginx",
            } },
            "spec": { "source": { "repoURL": "https://h.example/r", "helm": {} } },
        });
        let manifest = ApplicationManifest::from_value(manifest).unwrap();
        let context = Context {
            argocd_namespace: "argocd".to_owned(),
            own_platform: crate::platform::own(),
        };
        let parsed = parse_annotated(&manifest, &context).unwrap();
        let application = Arc::new(parsed.application.unwrap());
        let mut items = [Item::new(application, 0, Timestamp::UNIX_EPOCH)];
        decide_unanswered(&mut items);
        assert!(items[0].is_decided());
        assert_eq!(items[0].decision(), Decision::Failed);
    }
}
