//! Open intents on the lease, for a process without a disk: kept before anything is sent, gone
//! after the outcome, read by whoever leads next.
//!
//! Here: who waits for what, and when the lease is written for it. Not here: what the text says
//! and its bounds (`sealift_core::event::open`), and who leads (`lease`). Each lease has one writer
//! in a process: the candidate's task, whose renewals carry the intents, or [`Keeper`] where there
//! is no election. What many repositories ask for at about the same time is one write.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use k8s_openapi::api::coordination::v1::Lease as LeaseObject;
use kube::api::PostParams;
use kube::{Api, Client, Error};
use sealift_core::event::IntentId;
use sealift_core::event::open::{
    ANNOTATION, Kept, Ledger, NotTaken, Pending, UNREADABLE_ANNOTATION,
};
use sealift_core::limits::{
    INTENT_ROOM_SECS_MAX, INTENT_WRITE_SECS_MAX, LEASE_CLEAN_MS, LEASE_CONFLICT_PAUSE_MS,
    LEASE_GATHER_MS, LEASE_LOOK_MS, LEASE_REQUEST_MS_MAX,
};
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep, timeout_at};

use super::lease::{LEASE_NAME, bounded};

/// The open intents on a lease. Copies share.
#[derive(Clone)]
pub struct OpenIntents(Arc<Shared>);

struct Shared {
    /// Whether intents of this process are kept here; else only those of others are looked after.
    keeps: bool,
    state: Mutex<State>,
    /// Something is to be written.
    wake: Notify,
    /// The lease was read or written, or is ours no more.
    news: watch::Sender<u64>,
}

#[derive(Default)]
struct State {
    ledger: Ledger,
    /// Whether the lease is known, and may be written by us.
    writable: bool,
    /// Whether it is another's.
    lost: bool,
    /// Whether it was so since that was last asked.
    was_lost: bool,
    /// Whether this process is to end: nothing waits for room any more.
    stopping: bool,
    /// Why the API server took no write, or cannot be asked, since it last did.
    failure: Option<Failure>,
}

struct Failure {
    why: String,
    /// Asking again changes nothing.
    refused: bool,
}

/// Why an intent is not kept, so that nothing may be sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NotKept {
    /// Another may lead by now.
    #[error("the lease is not ours any more; nothing was sent")]
    NotOurs,
    /// It does not fit.
    #[error("{0}; nothing was sent")]
    NotTaken(NotTaken),
    /// The process is to end.
    #[error("this process ends; nothing was sent")]
    Stopping,
    /// The API server did not confirm it.
    #[error("the lease was not written: {0}; nothing was sent")]
    NotWritten(String),
}

impl OpenIntents {
    /// None yet. `keeps`: whether intents of this process are kept on the lease.
    #[must_use]
    pub fn new(keeps: bool) -> Self {
        Self(Arc::new(Shared {
            keeps,
            state: Mutex::default(),
            wake: Notify::new(),
            news: watch::channel(0).0,
        }))
    }

    /// Whether intents of this process are kept here.
    #[must_use]
    pub fn keeps(&self) -> bool {
        self.0.keeps
    }

    /// Keeps an intent. Returns when the API server has confirmed it, with the lease still ours.
    ///
    /// # Errors
    /// [`NotKept`]: it is not known to be kept. Nothing that depends on it may be sent.
    pub async fn hold(&self, kept: Kept) -> Result<(), NotKept> {
        if !self.keeps() {
            return Ok(());
        }
        let intent = kept.intent.intent;
        let held = match self.take_up(&kept).await {
            Ok(()) => self.written(intent).await,
            Err(error) => Err(error),
        };
        if held.is_err() {
            self.end(intent);
        }
        held
    }

    /// Waits until there is room.
    async fn take_up(&self, kept: &Kept) -> Result<(), NotKept> {
        let mut news = self.0.news.subscribe();
        let deadline = Instant::now() + Duration::from_secs(INTENT_ROOM_SECS_MAX);
        loop {
            news.mark_unchanged();
            let full = {
                let mut state = self.state();
                state.may_write()?;
                match state.ledger.add(kept.clone()) {
                    Ok(()) => break,
                    Err(NotTaken::Full) if state.stopping => return Err(NotKept::Stopping),
                    Err(full @ NotTaken::Full) => full,
                    Err(never) => return Err(NotKept::NotTaken(never)),
                }
            };
            if timeout_at(deadline, news.changed()).await.is_err() {
                return Err(NotKept::NotTaken(full));
            }
        }
        self.0.wake.notify_one();
        Ok(())
    }

    /// Waits until the lease holds it.
    async fn written(&self, intent: IntentId) -> Result<(), NotKept> {
        let mut news = self.0.news.subscribe();
        let deadline = Instant::now() + Duration::from_secs(INTENT_WRITE_SECS_MAX);
        loop {
            news.mark_unchanged();
            {
                let state = self.state();
                state.may_write()?;
                if state.ledger.holds(intent) {
                    return Ok(());
                }
            }
            if timeout_at(deadline, news.changed()).await.is_err() {
                let late = || format!("no answer within {INTENT_WRITE_SECS_MAX} s");
                let failure = self.state().failure.as_ref().map(|one| one.why.clone());
                return Err(NotKept::NotWritten(failure.unwrap_or_else(late)));
            }
        }
    }

    /// Lets go of an intent whose outcome is recorded, or that was not sent.
    pub fn end(&self, intent: IntentId) {
        self.state().ledger.end(intent);
        // Room is there at once: what ended goes with the very write that needs it.
        self.tell();
        self.0.wake.notify_one();
    }

    /// The intents on the lease whose outcome is not known: those of processes before this one,
    /// and, between cycles, of this one.
    #[must_use]
    pub fn open(&self) -> Vec<Kept> {
        self.state().ledger.open().cloned().collect()
    }

    /// What is to be said of texts on the lease that cannot be read, each once.
    #[must_use]
    pub fn take_problems(&self) -> Vec<String> {
        self.state().ledger.take_problems()
    }

    /// Whether another may have led since this was last asked.
    #[must_use]
    pub fn lead_was_lost(&self) -> bool {
        std::mem::take(&mut self.state().was_lost)
    }

    /// Ends all waiting for room: this process is to end, and is not given the time.
    pub fn stop(&self) {
        self.state().stopping = true;
        self.tell();
    }

    /// Waits until the lease was read, or cannot be for now.
    pub async fn known(&self) {
        let mut news = self.0.news.subscribe();
        let deadline = Instant::now() + Duration::from_millis(LEASE_REQUEST_MS_MAX);
        while !self.state().writable && timeout_at(deadline, news.changed()).await.is_ok() {}
    }

    /// Takes note of the lease as it stands on the API server.
    pub(super) fn read(&self, object: Option<&LeaseObject>) {
        let annotations = object.and_then(|object| object.metadata.annotations.as_ref());
        let text = annotations.and_then(|all| all.get(ANNOTATION));
        let mut state = self.state();
        state.ledger.read(text.map(String::as_str));
        state.failure = None;
    }

    /// The same after a write that the API server took.
    pub(super) fn confirmed(&self, object: &LeaseObject) {
        self.state().ledger.taken();
        self.read(Some(object));
    }

    /// Says whether the lease may be written by us now, after it was read or written.
    pub(super) fn publish(&self, writable: bool) {
        {
            let mut state = self.state();
            state.writable = writable;
            state.lost = !writable;
            state.was_lost |= !writable;
            if !writable {
                state.ledger.forget_added();
            }
        }
        self.tell();
    }

    /// Says why the lease was not read or written.
    pub(super) fn failed(&self, error: &Error) {
        let code = match error {
            Error::Api(status) => status.code,
            _ => 0,
        };
        // Somebody else was faster, or asks for patience, which asking again may change.
        let refused = (400..500).contains(&code) && ![404, 409, 429].contains(&code);
        {
            let mut state = self.state();
            // What is too large; any other refusal passes, and must destroy nothing.
            if [413, 422].contains(&code) {
                state.ledger.give_way();
            }
            state.failure = Some(Failure {
                why: super::objects::words(error),
                refused,
            });
        }
        self.tell();
    }

    fn tell(&self) {
        let count = |count: &mut u64| *count = count.wrapping_add(1);
        self.0.news.send_modify(count);
    }

    /// Puts into the object what its annotations are to say. What is not ours stays.
    pub(super) fn apply(&self, object: &mut LeaseObject) {
        let state = self.state();
        if state.ledger.pending() == Pending::Nothing {
            return;
        }
        let texts = state.ledger.texts();
        let annotations = object.metadata.annotations.get_or_insert_default();
        match texts.open {
            Some(text) => annotations.insert(ANNOTATION.to_owned(), text),
            None => annotations.remove(ANNOTATION),
        };
        if let Some(text) = texts.unreadable {
            annotations.insert(UNREADABLE_ANNOTATION.to_owned(), text);
        }
    }

    /// Returns when the lease is to be written: soon where somebody waits, and later where it can.
    pub(super) async fn due(&self) {
        loop {
            match self.pending() {
                Pending::Adds => return sleep(Duration::from_millis(LEASE_GATHER_MS)).await,
                Pending::Ends => {
                    tokio::select! {
                        () = sleep(Duration::from_millis(LEASE_CLEAN_MS)) => return,
                        () = self.0.wake.notified() => {}
                    }
                }
                Pending::Nothing => self.0.wake.notified().await,
            }
        }
    }

    fn pending(&self) -> Pending {
        let state = self.state();
        match state.writable {
            true => state.ledger.pending(),
            false => Pending::Nothing,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        let locked = self.0.state.lock();
        locked.unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn may_write(&self) -> Result<(), NotKept> {
        let not_written = |failure: &Failure| Err(NotKept::NotWritten(failure.why.clone()));
        match &self.failure {
            Some(failure) if self.writable && failure.refused => not_written(failure),
            _ if self.writable => Ok(()),
            Some(failure) if !self.lost => not_written(failure),
            _ => Err(NotKept::NotOurs),
        }
    }
}

/// Writes open intents to the lease where there is no election: the operator has said that there
/// is one process. Who holds the lease is not touched.
pub struct Keeper {
    stop: watch::Sender<bool>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Keeper {
    /// Begins to keep `intents`.
    #[must_use]
    pub fn start(client: Client, namespace: &str, intents: OpenIntents) -> Self {
        let (stop, asked) = watch::channel(false);
        let api = Api::namespaced(client, namespace);
        let task = tokio::spawn(keep(api, intents, asked));
        Self { stop, task }
    }

    /// Writes what has ended, and ends.
    pub async fn end(mut self) {
        self.stop.send_replace(true);
        let deadline = Instant::now() + Duration::from_millis(2 * LEASE_REQUEST_MS_MAX);
        let _late = timeout_at(deadline, &mut self.task).await;
    }
}

/// The task behind a [`Keeper`].
async fn keep(api: Api<LeaseObject>, intents: OpenIntents, mut stop: watch::Receiver<bool>) {
    while let Err(error) = keep_up(&api, &intents, &mut stop).await {
        intents.failed(&error);
        let text = super::objects::words(&error);
        tracing::debug!(error = text, "open intents were not kept on the lease");
        sleep(pause_after(&error)).await;
    }
}

/// Reads the lease, and writes it whenever that is due. Returns when it is asked to stop.
async fn keep_up(
    api: &Api<LeaseObject>,
    intents: &OpenIntents,
    stop: &mut watch::Receiver<bool>,
) -> Result<(), Error> {
    let mut object = bounded(api.get_opt(LEASE_NAME)).await?;
    intents.read(object.as_ref());
    loop {
        intents.publish(true);
        let last = tokio::select! {
            _ = stop.wait_for(|stop| *stop) => true,
            () = intents.due() => false,
        };
        if last && intents.pending() == Pending::Nothing {
            return Ok(());
        }
        let written = write(api, intents, object).await?;
        intents.confirmed(&written);
        object = Some(written);
    }
}

/// How long to wait after a write that failed.
pub(super) fn pause_after(error: &Error) -> Duration {
    Duration::from_millis(match error {
        Error::Api(status) if status.code == 409 => LEASE_CONFLICT_PAUSE_MS,
        _ => LEASE_LOOK_MS,
    })
}

async fn write(
    api: &Api<LeaseObject>,
    intents: &OpenIntents,
    object: Option<LeaseObject>,
) -> Result<LeaseObject, Error> {
    let parameters = PostParams::default();
    let exists = object.is_some();
    let mut object = object.unwrap_or_default();
    object.metadata.name = Some(LEASE_NAME.to_owned());
    object.metadata.managed_fields = None;
    intents.apply(&mut object);
    if exists {
        bounded(api.replace(LEASE_NAME, &parameters, &object)).await
    } else {
        bounded(api.create(&parameters, &object)).await
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use jiff::Timestamp;
    use sealift_core::event::{ChainId, Intent, MaskedUrl};
    use sealift_core::limits::INTENTS_KEPT_MAX;

    fn kept(id: u64) -> Kept {
        let intent = Intent {
            intent: IntentId::from_random(id),
            repository: MaskedUrl::new("https://git.test/r"),
            branch: "main".to_owned(),
            expected: None,
            commits: Vec::new(),
            writes: Vec::new(),
            applications: Vec::new(),
        };
        let chain = ChainId {
            journal: 1,
            process: 1,
        };
        Kept::new(chain, Timestamp::UNIX_EPOCH, &intent)
    }

    /// An API server that confirms whatever is due, and counts.
    async fn write_when_due(intents: &OpenIntents, lease: &mut LeaseObject) {
        intents.due().await;
        intents.apply(lease);
        intents.read(Some(lease));
        intents.publish(true);
    }

    #[tokio::test(start_paused = true)]
    async fn intents_of_about_the_same_moment_are_one_write() {
        let (intents, mut lease) = (OpenIntents::new(true), LeaseObject::default());
        intents.publish(true);
        let many = (0..20).map(|id| {
            let intents = intents.clone();
            tokio::spawn(async move { intents.hold(kept(id)).await })
        });
        let many: Vec<_> = many.collect();
        write_when_due(&intents, &mut lease).await;
        for one in many {
            assert_eq!(one.await.unwrap(), Ok(()));
        }
        let nothing = tokio::time::timeout(Duration::from_secs(3_600), intents.due()).await;
        assert!(nothing.is_err(), "there was nothing more to write");
    }

    #[tokio::test(start_paused = true)]
    async fn who_finds_no_room_waits_for_an_outcome_and_is_not_dropped() {
        let (intents, mut lease) = (OpenIntents::new(true), LeaseObject::default());
        intents.publish(true);
        let full = INTENTS_KEPT_MAX as u64;
        for id in 0..full {
            intents.state().ledger.add(kept(id)).unwrap();
        }
        write_when_due(&intents, &mut lease).await;
        let waiting = tokio::spawn({
            let intents = intents.clone();
            async move { intents.hold(kept(full)).await }
        });
        sleep(Duration::from_secs(10)).await;
        assert!(!waiting.is_finished());
        intents.end(IntentId::from_random(0));
        write_when_due(&intents, &mut lease).await;
        assert_eq!(waiting.await.unwrap(), Ok(()));
        assert_eq!(intents.open().len() as u64, full);
        let never = intents.hold(kept(full + 1)).await;
        assert_eq!(
            never,
            Err(NotKept::NotTaken(NotTaken::Full)),
            "in the end it is said"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn who_finds_no_room_does_not_wait_where_the_process_ends() {
        let (intents, mut lease) = (OpenIntents::new(true), LeaseObject::default());
        intents.publish(true);
        let full = INTENTS_KEPT_MAX as u64;
        for id in 0..full {
            intents.state().ledger.add(kept(id)).unwrap();
        }
        write_when_due(&intents, &mut lease).await;
        let waiting = tokio::spawn({
            let intents = intents.clone();
            async move { intents.hold(kept(full)).await }
        });
        sleep(Duration::from_secs(1)).await;
        let asked = Instant::now();
        intents.stop();
        assert_eq!(waiting.await.unwrap(), Err(NotKept::Stopping));
        assert_eq!(intents.hold(kept(full)).await, Err(NotKept::Stopping));
        assert_eq!(asked.elapsed(), Duration::ZERO, "of a clock that stands");
        intents.end(IntentId::from_random(0));
        let there_is_room = tokio::spawn({
            let intents = intents.clone();
            async move { intents.hold(kept(full + 1)).await }
        });
        write_when_due(&intents, &mut lease).await;
        assert_eq!(there_is_room.await.unwrap(), Ok(()));
    }

    fn refusal(code: u16) -> Error {
        let status = kube::core::Status::failure("no", "Reason").with_code(code);
        Error::Api(Box::new(status))
    }

    /// What is too large is let go of; what is forbidden for a moment is not.
    #[tokio::test(start_paused = true)]
    async fn a_passing_refusal_destroys_nothing_that_cannot_be_read() {
        for (code, stays) in [(401, true), (403, true), (413, false), (422, false)] {
            let (intents, mut lease) = (OpenIntents::new(true), LeaseObject::default());
            let unreadable = || BTreeMap::from([(ANNOTATION.to_owned(), "{".to_owned())]);
            lease.metadata.annotations = Some(unreadable());
            intents.read(Some(&lease));
            intents.publish(true);
            intents.failed(&refusal(code));
            intents.apply(&mut lease);
            let aside = |lease: &LeaseObject| {
                let annotations = lease.metadata.annotations.as_ref().unwrap();
                annotations.contains_key(UNREADABLE_ANNOTATION)
            };
            assert_eq!(aside(&lease), stays, "{code}");
            // The API server took that, and another text comes.
            intents.confirmed(&lease);
            lease.metadata.annotations = Some(unreadable());
            intents.read(Some(&lease));
            intents.apply(&mut lease);
            assert!(aside(&lease), "{code}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_lead_that_was_lost_in_between_is_known_once() {
        let intents = OpenIntents::new(true);
        intents.publish(true);
        assert!(!intents.lead_was_lost());
        intents.publish(false);
        intents.publish(true);
        assert!(intents.lead_was_lost());
        assert!(!intents.lead_was_lost());
    }

    #[tokio::test(start_paused = true)]
    async fn a_write_that_is_not_confirmed_keeps_nothing_and_is_taken_back() {
        let (intents, mut lease) = (OpenIntents::new(true), LeaseObject::default());
        intents.publish(true);
        let waiting = tokio::spawn({
            let intents = intents.clone();
            async move { intents.hold(kept(1)).await }
        });
        intents.due().await;
        intents.apply(&mut lease);
        let held = waiting.await.unwrap();
        assert!(matches!(held, Err(NotKept::NotWritten(_))), "{held:?}");
        assert_eq!(intents.pending(), Pending::Nothing);
        // It arrived after all.
        intents.read(Some(&lease));
        assert_eq!(intents.open(), []);
        write_when_due(&intents, &mut lease).await;
        assert_eq!(lease.metadata.annotations, Some(BTreeMap::new()));
    }

    #[tokio::test(start_paused = true)]
    async fn the_end_of_the_lead_ends_the_waiting() {
        let intents = OpenIntents::new(true);
        intents.publish(true);
        let waiting = tokio::spawn({
            let intents = intents.clone();
            async move { intents.hold(kept(1)).await }
        });
        intents.due().await;
        intents.publish(false);
        assert_eq!(waiting.await.unwrap(), Err(NotKept::NotOurs));
        intents.publish(true);
        assert_eq!(intents.pending(), Pending::Nothing);
    }
}
