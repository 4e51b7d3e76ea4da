//! The world around `sealift events`: the clock, standard output, signals, and the anchors in Git.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use jiff::Timestamp;
use sealift_core::event::TRAILER_KEY;
use sealift_core::limits::GIT_HISTORY_MAX;
use sealift_git::{GitSettings, GitUrl, Remote, Repositories};
use tokio::runtime::Handle;

use super::events::{self, EventsArguments, TrailerInCommit, World};
use crate::exit::Exit;

/// Runs the command. It blocks: `follow` until it is interrupted.
pub(super) fn run(arguments: &EventsArguments) -> anyhow::Result<Exit> {
    let stop = Arc::new(AtomicBool::new(false));
    let asked = Arc::clone(&stop);
    tokio::spawn(async move {
        if tokio::signal::ctrl_c().await.is_ok() {
            asked.store(true, Ordering::Release);
        }
    });
    let mut out = anstream::stdout().lock();
    tokio::task::block_in_place(|| {
        let mut world = World {
            now: Timestamp::now(),
            out: &mut out,
            stopped: &|| stop.load(Ordering::Acquire),
            trailers: &mut |repository| Handle::current().block_on(trailers(repository)),
        };
        events::run(arguments, &mut world)
    })
}

/// The anchors in the history of a repository's default branch. The command line names it, so it
/// may be a local path.
async fn trailers(repository: &str) -> anyhow::Result<Vec<TrailerInCommit>> {
    let path = std::path::Path::new(repository);
    let url = match path.canonicalize() {
        Ok(path) => GitUrl::parse(&path.to_string_lossy())?,
        Err(_) => GitUrl::parse(repository)?,
    };
    let folder = tempfile::tempdir()?;
    let mut settings = GitSettings::new(folder.path().to_owned());
    settings.rules.allow_local = true;
    let repositories = Repositories::new(settings)?;
    let mut repository = repositories.open(&Remote::new(url)).await?;
    let heads = repository.fetch(&[None]).await?;
    let (_, head) = heads.head(None)?;
    let mut found = Vec::new();
    for commit in repository.history(head, GIT_HISTORY_MAX).await? {
        for trailer in commit.trailers(TRAILER_KEY) {
            let (commit, trailer) = (commit.id.to_string(), trailer.to_owned());
            found.push(TrailerInCommit { commit, trailer });
        }
    }
    Ok(found)
}
