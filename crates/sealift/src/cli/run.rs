//! `sealift run`: one cycle, or a cycle at each interval.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;

use sealift_core::environment::{self, go_bool};
use sealift_core::event::{Cause, Decision};
use sealift_core::limits::{CHANGE_PAUSE_MS, EDIT_GAP_MS};
use sealift_core::reason::Reason;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tokio::time::Instant;

use super::options::{
    CycleOptions, GitOptions, OutputFormat, OutputOptions, RegistryOptions, SourceOptions,
    go_duration, variable, warned,
};
use super::peer::PeerOptions;
use crate::cluster::Edits;
use crate::engine::{Engine, Mode, Options, Record, Scope, Standing};
use crate::exit::Exit;
use crate::output::{ignore_closed_pipe, json_document};
use crate::pipeline::report::Report;
use crate::render;
use crate::schedule::{Next, Schedule};
use crate::serve::Servers;

/// Arguments of `run`.
#[derive(Debug, clap::Args)]
pub struct RunArguments {
    #[command(flatten)]
    source: SourceOptions,
    #[command(flatten)]
    registry: RegistryOptions,
    #[command(flatten)]
    git: GitOptions,
    #[command(flatten)]
    cycle: CycleOptions,
    /// One cycle, then end
    #[arg(long)]
    once: bool,
    /// Time from the start of one cycle to the start of the next; with the API server `0` is: only
    /// when something was edited [env: IMAGE_UPDATER_INTERVAL=] [default: 2m0s]
    #[arg(long, value_parser = go_duration, conflicts_with = "once", value_name = "DURATION")]
    interval: Option<Duration>,
    /// The shortest interval of its own (`sealift.dev/interval`) that an Application gets; a shorter
    /// one counts as this
    #[arg(long, value_parser = go_duration, conflicts_with = "once", value_name = "DURATION",
          default_value = "10s")]
    min_interval: Duration,
    /// Decide and record, and write nothing to Git
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true",
          default_value = "false", value_parser = go_bool, action = clap::ArgAction::Set,
          value_name = "BOOL")]
    dry_run: bool,
    /// Beside another that writes: decide and record, write nothing anywhere, and say where what it
    /// wrote differs from what Sealift would have written
    #[arg(long, conflicts_with = "dry_run")]
    shadow: bool,
    /// With `--once`: end with 20 when something was refused
    #[arg(long, value_name = "WHAT", requires = "once")]
    fail_on: Option<FailOn>,
    /// Address of `/healthz` and `/readyz`, and of `/metrics` where those have none of their own; `0`
    /// is off
    #[arg(long, default_value = ":8081", value_name = "ADDRESS")]
    health_probe_bind_address: String,
    /// On an API server: write only while this replica holds the lease that all share
    #[arg(long, default_value_t = true, num_args = 0..=1, require_equals = true,
          default_missing_value = "true", value_parser = go_bool,
          action = clap::ArgAction::Set, value_name = "BOOL")]
    leader_election: bool,
    /// Namespace of the lease [default: our own]
    #[arg(long, value_name = "NAME")]
    leader_election_namespace: Option<String>,
    #[command(flatten)]
    output: OutputOptions,
    // Last: its heading would stand above what follows.
    #[command(flatten)]
    peer: PeerOptions,
}

impl RunArguments {
    /// Whether it is the controller: cycles until a signal.
    pub(super) const fn goes_on(&self) -> bool {
        !self.once
    }

    /// Where the record goes: the controller on an API server needs no disk. A report on standard
    /// output, and what a shadow remembers, leave no other choice than a folder.
    fn record(&self) -> Record {
        let in_cluster = self.source.filename.is_empty();
        let needs_folder = self.once || self.shadow;
        match self.cycle.state_dir() {
            None if in_cluster && !needs_folder => Record::Output,
            _ => Record::Folder,
        }
    }

    /// As [`Self::interval`]. Files tell of no edits: there would be nothing to wait for.
    fn paced(&self, edits: bool) -> Duration {
        match self.interval() {
            Duration::ZERO if edits => ON_EDITS_ONLY,
            interval => interval,
        }
    }

    fn interval(&self) -> Duration {
        const NAME: &str = "IMAGE_UPDATER_INTERVAL";
        self.interval.unwrap_or_else(|| {
            let text = variable(NAME);
            warned(environment::duration(NAME, text.as_deref(), "2m0s"))
        })
    }
}

/// An interval that does not end: a year.
const ON_EDITS_ONLY: Duration = Duration::from_secs(365 * 86_400);

/// What else ends `run --once` with a code of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum FailOn {
    /// A refusal.
    Refused,
}

/// Runs cycles.
///
/// # Errors
/// The program cannot start, or its journal cannot be written.
pub async fn run(arguments: RunArguments) -> anyhow::Result<Exit> {
    let options = Options {
        source: &arguments.source,
        registry: &arguments.registry,
        git: &arguments.git,
        cycle: &arguments.cycle,
    };
    arguments.peer.check()?;
    let mode = match (arguments.shadow, arguments.dry_run) {
        (true, _) => Mode::Shadow,
        (false, true) => Mode::DryRun,
        (false, false) => Mode::Write,
    };
    // From before the first record on, an end that is asked for is an end in order.
    let signals = arguments.goes_on().then(Signals::listen);
    let mut engine = Engine::open_recording(&options, mode, arguments.record())?;
    if arguments.peer.kube_events_are_off() {
        engine.disable_kube_events();
    }
    match signals {
        None => once(engine, &arguments).await,
        Some(signals) => forever(engine, &arguments, signals).await,
    }
}

async fn once(mut engine: Engine, arguments: &RunArguments) -> anyhow::Result<Exit> {
    let report = engine.cycle().await?;
    log_cycle(&report);
    engine.release_once().await?;
    engine.close()?;
    print(&report, arguments.output.output)?;
    Ok(exit_of(&report, arguments.fail_on))
}

fn exit_of(report: &Report, fail_on: Option<FailOn>) -> Exit {
    if report.has_errors() {
        return Exit::Failed;
    }
    match fail_on {
        Some(FailOn::Refused) if report.cycle.refused > 0 => Exit::Refused,
        _ => Exit::Done,
    }
}

fn print(report: &Report, format: OutputFormat) -> anyhow::Result<()> {
    let mut out = std::io::BufWriter::new(anstream::stdout().lock());
    let result = match format {
        OutputFormat::Json => json_document(&mut out, report),
        OutputFormat::Text => render::report(&mut out, report, false),
    };
    Ok(ignore_closed_pipe(result.and_then(|()| out.flush()))?)
}

async fn forever(
    mut engine: Engine,
    arguments: &RunArguments,
    signals: Signals,
) -> anyhow::Result<Exit> {
    let (stop, mut asked) = watch::channel(false);
    let mut servers = Servers::new(Arc::clone(&engine.metrics), asked.clone());
    let apart = arguments.peer.metrics.address()?;
    let probes = &arguments.health_probe_bind_address;
    servers.probes(probes, apart.is_none()).await?;
    let signals = tokio::spawn(async move {
        let signal = signals.first().await;
        tracing::info!(signal, "stopping");
        let _ = stop.send(true);
    });
    let standing = stand(&mut engine, arguments).await?;
    let leader = standing.as_ref().and_then(Standing::leader);
    if let Some(intents) = engine.intents() {
        let mut asked = asked.clone();
        tokio::spawn(async move {
            if asked.wait_for(|stop| *stop).await.is_ok() {
                intents.stop();
            }
        });
    }
    let cluster = engine.connect().await?;
    if let Some(address) = apart {
        let api = cluster.as_ref().map(|cluster| cluster.client().clone());
        let readers = arguments.peer.metrics.readers(api)?;
        servers.metrics(address, readers).await?;
    }
    let mut edits = cluster.as_ref().map(|cluster| cluster.edits());
    let _releasing = cluster.as_ref().and_then(|cluster| engine.release(cluster));
    if !arguments.peer.warms_up() {
        engine.metrics.set_ready();
    }
    engine.spread_out();
    let interval = arguments.paced(edits.is_some());
    let mut schedule = Schedule::new(interval, arguments.min_interval);
    while !*asked.borrow() {
        if let Some(leader) = leader.as_ref().filter(|leader| !leader.leads()) {
            // Whoever waits for its turn is as ready as it can be.
            engine.metrics.set_ready();
            tokio::select! {
                // What the one before left open, and what it did not get to, waits for nothing.
                () = leader.elected() => schedule.at_once(Instant::now()),
                _ = asked.wait_for(|stop| *stop) => {}
            }
            continue;
        }
        let start = Instant::now();
        if let Some(edits) = &mut edits {
            edits.forget();
        }
        let edited = cluster
            .as_ref()
            .map_or(Some(BTreeSet::new()), |all| all.take_edited());
        // A push that has begun is seen to its end: a cycle is not cut in the middle, it is bounded
        // by its deadlines.
        cycle(&mut engine, &mut schedule, edited, start).await;
        tokio::select! {
            () = tokio::time::sleep_until(schedule.due()) => {}
            () = edited_again(edits.as_mut(), start) => {}
            _ = asked.wait_for(|stop| *stop) => {}
        }
    }
    // Nothing is written from here on. A record that does not end in order keeps nobody from the
    // lease.
    let closed = engine.close();
    if let Some(standing) = standing {
        standing.end().await;
    }
    signals.abort();
    let ended = servers.ended().await;
    closed?;
    ended?;
    Ok(Exit::Done)
}

/// Does what is due at `start`.
async fn cycle(
    engine: &mut Engine,
    schedule: &mut Schedule,
    edited: Option<BTreeSet<String>>,
    start: Instant,
) {
    let next = schedule.next(edited, start);
    let (among, not_due) = match &next {
        Next::Wait => return,
        Next::Whole(not_due) => (None, Some(not_due)),
        Next::Among(among) => (Some(among), None),
    };
    match engine.cycle_on(Scope { among, not_due }).await {
        Ok(report) => {
            log_troubles(&report);
            log_cycle(&report);
            schedule.ended((start, Instant::now()), among, &report.paced);
        }
        Err(error) => {
            tracing::error!(error = format!("{error:#}"), "the cycle failed");
            schedule.failed(start);
        }
    }
}

/// Returns when something was edited, with a moment for what comes with it, and not sooner after
/// `start` than edits may ask again.
async fn edited_again(edits: Option<&mut Edits>, start: Instant) {
    let Some(edits) = edits else {
        return std::future::pending().await;
    };
    edits.next().await;
    tokio::time::sleep(Duration::from_millis(CHANGE_PAUSE_MS)).await;
    tokio::time::sleep_until(start + Duration::from_millis(EDIT_GAP_MS)).await;
}

/// Stands for election, where that is wanted.
async fn stand(engine: &mut Engine, arguments: &RunArguments) -> anyhow::Result<Option<Standing>> {
    // A shadow does not write the lease either: whoever it watches holds that.
    if arguments.shadow {
        return Ok(None);
    }
    let namespace = arguments.leader_election_namespace.as_deref();
    let namespace = namespace.filter(|name| !name.is_empty());
    engine.stand(namespace, arguments.leader_election).await
}

/// What failed or was refused, a line each: nobody prints the report of a cycle that goes by.
fn log_troubles(report: &Report) {
    for problem in &report.problems {
        let (subject, application) = (&problem.subject, problem.application.as_deref());
        let (reason, said) = (problem.cause.reason.id(), words(&problem.cause));
        tracing::error!(application, reason, subject, "{said}");
    }
    for entry in &report.considered {
        let failed = match entry.decision() {
            Decision::Failed => true,
            Decision::Refused => false,
            _ => continue,
        };
        let considered = entry.considered();
        let Some(cause) = considered.reasons.first() else {
            continue;
        };
        let (reason, said) = (cause.reason.id(), words(cause));
        let application = considered.application.as_str();
        let image = considered.image.written.as_str();
        let image_alias = considered.image.alias.as_deref();
        if failed {
            tracing::error!(application, image_alias, image, reason, "{said}");
        } else {
            tracing::warn!(application, image_alias, image, reason, "{said}");
        }
    }
}

/// The particulars, or else what the reason says.
fn words(cause: &Cause) -> &str {
    match cause.detail.as_str() {
        "" => cause.reason.known().map_or("", Reason::sentence),
        detail => detail,
    }
}

/// The line that scripts of Argo CD Image Updater read.
fn log_cycle(report: &Report) {
    let cycle = &report.cycle;
    tracing::info!(
        "Processing results: applications={} images_considered={} images_skipped={} \
         images_updated={} errors={}",
        cycle.applications,
        cycle.considered,
        cycle.skipped,
        cycle.updated,
        cycle.errors
    );
}

/// Signals that ask for an end. A second one ends the process as usual.
struct Signals(Option<[Signal; 2]>);

impl Signals {
    /// Listens from now on.
    fn listen() -> Self {
        let listen = |kind| signal(kind).ok();
        let terminate = listen(SignalKind::terminate());
        let both = terminate.zip(listen(SignalKind::interrupt()));
        Self(both.map(|(terminate, interrupt)| [terminate, interrupt]))
    }

    /// Waits for the first one.
    async fn first(self) -> &'static str {
        let Some([mut terminate, mut interrupt]) = self.0 else {
            return std::future::pending().await;
        };
        tokio::select! {
            _ = terminate.recv() => "SIGTERM",
            _ = interrupt.recv() => "SIGINT",
        }
    }
}
