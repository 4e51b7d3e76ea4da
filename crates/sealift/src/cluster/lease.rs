//! Leader election: the rules of [`sealift_core::election`] on a real lease.
//!
//! A task looks at the lease and renews it; whoever is about to write asks [`Leader::leads`], which
//! goes by what is known at that moment and by the clock, not by what the task last got to say.
//! That two writes of one update cannot happen rests on compare-and-swap (of the push, of the
//! patch), not on this. The task is the only writer of the lease: open intents ([`super::intents`])
//! travel with its renewals.

use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::{Lease as LeaseObject, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::api::PostParams;
use kube::{Api, Client, Error};
use rand::Rng as _;
use sealift_core::election::{Election, Lease, Moment, Seen, Step, Timing, Write};
use sealift_core::limits::LEASE_REQUEST_MS_MAX;
use tokio::sync::watch;
use tokio::time::Instant;

use super::intents::{OpenIntents, pause_after};

/// The lease of Argo CD Image Updater: both never write at once while one takes the other's place.
pub const LEASE_NAME: &str = "c21b75f2.argoproj.io";

/// Whether this process leads. Cheap to ask.
#[derive(Clone)]
pub struct Leader(Arc<Shared>);

struct Shared {
    election: Mutex<Election>,
    beginning: Instant,
    leads: watch::Sender<bool>,
}

/// A candidate that takes part in the election until it is dropped or gives up.
pub struct Candidacy {
    leader: Leader,
    stop: watch::Sender<bool>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Candidacy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Leader {
    /// Whether we lead now, as far as anybody can know.
    #[must_use]
    pub fn leads(&self) -> bool {
        self.election().leads(self.0.now())
    }

    /// Returns once we lead.
    pub async fn elected(&self) {
        let mut leads = self.0.leads.subscribe();
        while !self.leads() {
            if leads.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }

    /// Returns once we lead, where we did not, or lead no more.
    pub async fn differs_from(&self, led: bool) {
        let mut leads = self.0.leads.subscribe();
        while self.leads() == led {
            if leads.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }

    fn election(&self) -> MutexGuard<'_, Election> {
        self.0
            .election
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shared {
    fn now(&self) -> Moment {
        Moment {
            elapsed: self.beginning.elapsed(),
            wall: Timestamp::now(),
        }
    }
}

impl Candidacy {
    /// Stands for election. Whoever leads writes `intents` to the lease.
    #[must_use]
    pub fn start(
        client: Client,
        namespace: &str,
        identity: String,
        timing: Timing,
        intents: Option<OpenIntents>,
    ) -> Self {
        let leader = Leader(Arc::new(Shared {
            election: Mutex::new(Election::new(identity, timing)),
            beginning: Instant::now(),
            leads: watch::channel(false).0,
        }));
        let runner = Runner {
            leader: leader.clone(),
            api: Api::namespaced(client, namespace),
            object: None,
            intents,
            look: timing.look,
            led: false,
        };
        let (stop, asked) = watch::channel(false);
        Self {
            leader,
            stop,
            task: tokio::spawn(runner.run(asked)),
        }
    }

    /// Who to ask.
    #[must_use]
    pub fn leader(&self) -> Leader {
        self.leader.clone()
    }

    /// Gives the lease up, where we hold it, so that another need not wait. Nothing is being
    /// written by now.
    pub async fn give_up(mut self) {
        self.stop.send_replace(true);
        let bound = Duration::from_millis(3 * LEASE_REQUEST_MS_MAX);
        let _late = tokio::time::timeout(bound, &mut self.task).await;
    }
}

/// The task behind a candidacy.
struct Runner {
    leader: Leader,
    api: Api<LeaseObject>,
    /// The lease as it was read or written last: fields that are not ours stay in it.
    object: Option<LeaseObject>,
    intents: Option<OpenIntents>,
    look: Duration,
    led: bool,
}

/// When to go on, and how.
struct Next {
    pause: Duration,
    /// Something failed: look at the lease before it is written again.
    look_first: bool,
}

impl Runner {
    async fn run(mut self, mut stop: watch::Receiver<bool>) {
        let mut look_first = true;
        loop {
            let next = self.round(look_first).await;
            look_first = next.look_first;
            self.publish();
            // Jittered, so that candidates do not ask at the same moments for ever.
            let part = rand::rng().random_range(0.8..=1.0);
            let stopped = tokio::select! {
                () = tokio::time::sleep(next.pause.mul_f64(part)) => false,
                () = due(self.intents.as_ref()), if !look_first => false,
                _ = stop.wait_for(|stop| *stop) => true,
            };
            if stopped {
                return self.release().await;
            }
        }
    }

    /// Renews, or looks and does what follows.
    async fn round(&mut self, look_first: bool) -> Next {
        let now = self.leader.0.now();
        let renewal = self.leader.election().renewal(now);
        let step = match renewal.filter(|_| !look_first) {
            Some(write) => Ok(Step::Write(write)),
            None => self.look().await,
        };
        let done = match step {
            Ok(Step::Wait(wait)) => Ok(wait),
            Ok(Step::Write(write)) => self.write(write).await.map(|()| self.look),
            Err(error) => Err(error),
        };
        match done {
            Ok(pause) => Next {
                pause,
                look_first: false,
            },
            Err(error) => {
                let text = crate::pipeline::chain(&error);
                tracing::debug!(error = text, "the lease could not be read or written");
                if let Some(intents) = &self.intents {
                    intents.failed(&error);
                }
                Next {
                    pause: pause_after(&error).min(self.look),
                    look_first: true,
                }
            }
        }
    }

    /// Says to whoever asks or waits how things are now.
    fn publish(&mut self) {
        let leads = self.leader.leads();
        if leads != self.led {
            let identity = self.leader.election().identity().to_owned();
            tracing::info!(leads, identity, "leadership changed");
            self.led = leads;
        }
        if let Some(intents) = &self.intents {
            intents.publish(leads);
        }
        self.leader.0.leads.send_replace(leads);
    }

    async fn look(&mut self) -> Result<Step, Error> {
        self.object = bounded(self.api.get_opt(LEASE_NAME)).await?;
        let seen = self.object.as_ref().map(seen);
        // The moment after the answer: what it shows was not there any later.
        let now = self.leader.0.now();
        let step = self.leader.election().next(seen.as_ref(), now);
        if let (Some(intents), Step::Write(_)) = (&self.intents, &step) {
            // It is ours, or about to be: what others kept there is looked after from now on.
            intents.read(self.object.as_ref());
        }
        Ok(step)
    }

    /// Writes the lease over exactly the version that the step builds on, with open intents.
    async fn write(&mut self, write: Write) -> Result<(), Error> {
        let asked = self.leader.0.now();
        let parameters = PostParams::default();
        let mut object = self.object.clone().unwrap_or_default();
        object.metadata.name = Some(LEASE_NAME.to_owned());
        object.metadata.managed_fields = None;
        let written = match write {
            Write::Create(lease) => {
                object.spec = Some(spec(&lease, None));
                self.apply(&mut object);
                bounded(self.api.create(&parameters, &object)).await?
            }
            Write::Replace { lease, version } => {
                object.metadata.resource_version = Some(version);
                object.spec = Some(spec(&lease, object.spec.take()));
                self.apply(&mut object);
                bounded(self.api.replace(LEASE_NAME, &parameters, &object)).await?
            }
        };
        self.leader.election().written(seen(&written), asked);
        if let Some(intents) = &self.intents {
            intents.confirmed(&written);
        }
        self.object = Some(written);
        Ok(())
    }

    fn apply(&self, object: &mut LeaseObject) {
        if let Some(intents) = &self.intents {
            intents.apply(object);
        }
    }

    /// Gives the lease up. Where somebody else wrote to it, it is looked at once more: it may still
    /// be ours.
    async fn release(mut self) {
        for _ in 0..2 {
            let now = self.leader.0.now();
            let Some(step) = self.leader.election().release(now) else {
                return;
            };
            let Err(error) = self.write(step).await else {
                return;
            };
            let text = crate::pipeline::chain(&error);
            tracing::debug!(error = text, "the lease was not given up");
            if let Ok(Step::Write(write @ Write::Replace { .. })) = self.look().await {
                let _taken_by_another = self.write(write).await;
            }
        }
    }
}

/// Returns when open intents are to be written.
async fn due(intents: Option<&OpenIntents>) {
    match intents {
        Some(intents) => intents.due().await,
        None => std::future::pending().await,
    }
}

pub(super) async fn bounded<T>(ask: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    let answer = tokio::time::timeout(Duration::from_millis(LEASE_REQUEST_MS_MAX), ask).await;
    answer.unwrap_or_else(|late| Err(Error::Service(Box::new(late))))
}

fn seen(object: &LeaseObject) -> Seen {
    let spec = object.spec.clone().unwrap_or_default();
    let seconds = spec.lease_duration_seconds.unwrap_or_default();
    Seen {
        lease: Lease {
            holder: spec.holder_identity.unwrap_or_default(),
            duration: Duration::from_secs(u64::try_from(seconds).unwrap_or_default()),
            acquired: spec.acquire_time.map(|time| time.0),
            renewed: spec.renew_time.map(|time| time.0),
            transitions: spec
                .lease_transitions
                .and_then(|count| u32::try_from(count).ok())
                .unwrap_or_default(),
        },
        version: object.metadata.resource_version.clone().unwrap_or_default(),
    }
}

/// What is written of a lease, over what else stands in it.
fn spec(lease: &Lease, before: Option<LeaseSpec>) -> LeaseSpec {
    let whole = |time: Timestamp| {
        let rounded = time.round(jiff::Unit::Microsecond);
        MicroTime(rounded.unwrap_or(time))
    };
    LeaseSpec {
        holder_identity: Some(lease.holder.clone()),
        lease_duration_seconds: i32::try_from(lease.duration.as_secs()).ok(),
        acquire_time: lease.acquired.map(whole),
        renew_time: lease.renewed.map(whole),
        lease_transitions: i32::try_from(lease.transitions).ok(),
        ..before.unwrap_or_default()
    }
}

/// A name that no other process has had: the host's, and a random number.
#[must_use]
pub fn identity() -> String {
    let host = std::env::var("HOSTNAME")
        .ok()
        .filter(|name| !name.is_empty());
    let host = host.or_else(|| std::fs::read_to_string("/etc/hostname").ok());
    let host = host.unwrap_or_else(|| "sealift".to_owned());
    format!("{}_{:032x}", host.trim(), rand::rng().random::<u128>())
}
