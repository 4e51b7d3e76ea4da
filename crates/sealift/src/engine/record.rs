//! Where the record of a process goes, and which intents it finds open there.
//!
//! With a state folder both are files in it. Without one, on an API server, the journal goes to
//! standard output and open intents stand on the lease; caches lie wherever there is room, and may
//! go at any time.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use jiff::Timestamp;
use sealift_core::digest::Digest;
use sealift_core::event::open::Kept;
use sealift_core::event::{ChainId, IntentId, OpenIntentPlace};
use sealift_core::reason::Reason;

use super::{Engine, Mode, Options, Record};
use crate::cluster::lease::LEASE_NAME;
use crate::journal::{Journal, JournalLimits, OpenIntent, Program};
use crate::policies::Remark;
use crate::registries::Registries;
use crate::state::{self, StateFolder};

/// Begins the journal. Also the intents that a process before this one left open in it.
pub(super) fn open(
    options: &Options<'_>,
    record: Record,
    state: &StateFolder,
    registries: &Registries,
) -> anyhow::Result<(Journal, Vec<OpenIntent>)> {
    let program = Program {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        configuration: configuration(options, registries),
    };
    let (now, mut random) = (Timestamp::now(), rand::rng());
    if record == Record::Output {
        let output = Box::new(std::io::stdout());
        let journal = Journal::to_stream(output, None, program, now, &mut random)?;
        return Ok((journal, Vec::new()));
    }
    let limits = JournalLimits::default();
    Ok(Journal::open(state, limits, program, now, &mut random)?)
}

/// The folder for what is kept on the disk. Where nothing of it has to stay, one that is in use or
/// cannot be written is no obstacle.
pub(super) fn open_state(
    wanted: Option<&Path>,
    mode: Mode,
    record: Record,
) -> anyhow::Result<(StateFolder, Option<tempfile::TempDir>)> {
    let path = match wanted {
        Some(path) => Ok(path.to_owned()),
        None => default_state(),
    };
    let opened = path.and_then(|path| Ok(StateFolder::open(&path)?));
    let error = match opened {
        Ok(state) => return Ok((state, None)),
        Err(error) => error,
    };
    let locked = matches!(error.downcast_ref(), Some(state::StateError::Locked { .. }));
    if record == Record::Output || (mode == Mode::LookOn && locked) {
        let error = format!("{error:#}");
        tracing::debug!(error, "a temporary state folder is used");
        let temporary = tempfile::tempdir().context("there is no folder for caches")?;
        return Ok((StateFolder::open(temporary.path())?, Some(temporary)));
    }
    Err(error)
}

fn default_state() -> anyhow::Result<PathBuf> {
    state::default_path(std::env::var_os("XDG_STATE_HOME"), std::env::var_os("HOME"))
        .context("neither `XDG_STATE_HOME` nor `HOME` is set; name a folder with `--state-dir`")
}

/// The digest of the effective configuration, for the journal. Secrets are named in it, not held.
fn configuration(options: &Options<'_>, registries: &Registries) -> Digest {
    let text = format!(
        "{:?}\n{:?}\n{:?}\n{:?}\n{}",
        options.source,
        options.registry,
        options.git,
        options.cycle,
        registries.configuration_digest(),
    );
    Digest::of(text.as_bytes())
}

impl Engine {
    /// The intents whose outcome is not known when a cycle begins: this process's own, and those
    /// that others left on the lease.
    pub(super) async fn take_unsettled(
        &mut self,
        now: Timestamp,
    ) -> anyhow::Result<Vec<OpenIntent>> {
        let mut open = std::mem::take(&mut self.unsettled);
        let Some(intents) = self.intents.clone() else {
            return Ok(open);
        };
        intents.known().await;
        if intents.lead_was_lost() && intents.keeps() {
            // Ours are there, too, unless whoever led meanwhile has settled them. While we lead
            // nobody else settles: one that went from the lease was taken off by somebody's hand.
            open.clear();
        }
        let kept = intents.open();
        self.say_taken_over(&kept, intents.take_problems(), now)?;
        let known: Vec<IntentId> = open.iter().map(|one| one.intent.intent).collect();
        let others = kept
            .into_iter()
            .filter(|kept| !known.contains(&kept.intent.intent));
        let own = self.journal.as_ref().map(|journal| journal.head().chain);
        open.extend(others.map(|kept| open_intent(kept, own)));
        Ok(open)
    }

    fn say_taken_over(
        &mut self,
        kept: &[Kept],
        problems: Vec<String>,
        now: Timestamp,
    ) -> anyhow::Result<()> {
        let remark = |reason, detail| Remark {
            subject: format!("lease `{LEASE_NAME}`"),
            reason,
            detail,
        };
        let mut remarks: Vec<Remark> = problems
            .into_iter()
            .map(|problem| remark(Reason::IntentsUnreadable, problem))
            .collect();
        let own = self.journal.as_ref().map(|journal| journal.head().chain);
        let foreign = kept.iter().filter(|kept| Some(kept.chain) != own);
        let foreign: Vec<IntentId> = foreign.map(|kept| kept.intent.intent).collect();
        self.taken_over.retain(|id| foreign.contains(id));
        let new = foreign.iter().filter(|id| self.taken_over.insert(**id));
        let new: Vec<String> = new.map(ToString::to_string).collect();
        if !new.is_empty() {
            remarks.push(remark(Reason::IntentsTakenOver, new.join(", ")));
        }
        self.record_remarks(&remarks, now)
    }
}

fn open_intent(kept: Kept, own: Option<ChainId>) -> OpenIntent {
    OpenIntent {
        place: OpenIntentPlace {
            intent: kept.intent.intent,
            sequence: 0,
            segment: 0,
        },
        elsewhere: Some(kept.chain) != own,
        time: kept.time,
        intent: kept.intent,
    }
}
