//! Leader election: the rules of [`sealift_core::election`] on a real lease.
//!
//! A task looks at the lease and renews it; whoever is about to write asks [`Leader::leads`], which
//! goes by what is known at that moment and by the clock, not by what the task last got to say.
//! That two writes of one update cannot happen rests on compare-and-swap (of the push, of the
//! patch), not on this.

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
    api: Api<LeaseObject>,
    /// The lease as it was read or written last: fields that are not ours stay in it.
    object: Arc<Mutex<Option<LeaseObject>>>,
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
    /// Stands for election.
    #[must_use]
    pub fn start(client: Client, namespace: &str, identity: String, timing: Timing) -> Self {
        let api = Api::namespaced(client, namespace);
        let leader = Leader(Arc::new(Shared {
            election: Mutex::new(Election::new(identity, timing)),
            beginning: Instant::now(),
            leads: watch::channel(false).0,
        }));
        let object = Arc::default();
        let runner = Runner {
            leader: leader.clone(),
            api: api.clone(),
            object: Arc::clone(&object),
            look: timing.look,
        };
        Self {
            leader,
            api,
            object,
            task: tokio::spawn(runner.run()),
        }
    }

    /// Who to ask.
    #[must_use]
    pub fn leader(&self) -> Leader {
        self.leader.clone()
    }

    /// Gives the lease up, where we hold it, so that another need not wait. Nothing is being
    /// written by now.
    pub async fn give_up(self) {
        self.task.abort();
        let step = self.leader.election().release(self.leader.0.now());
        if let Some(step) = step
            && let Err(error) = write(&self.api, &self.object, step).await
        {
            let error = crate::pipeline::chain(&error);
            tracing::debug!(error, "the lease was not given up; it ends by itself");
        }
    }
}

/// The task behind a candidacy.
struct Runner {
    leader: Leader,
    api: Api<LeaseObject>,
    object: Arc<Mutex<Option<LeaseObject>>>,
    look: Duration,
}

impl Runner {
    async fn run(self) {
        let (mut led, mut look_first) = (false, true);
        loop {
            let now = self.leader.0.now();
            let renewal = self.leader.election().renewal(now);
            let step = match renewal.filter(|_| !look_first) {
                Some(write) => Ok(Step::Write(write)),
                None => self.look().await,
            };
            let mut pause = self.look;
            look_first = match step {
                Ok(Step::Wait(wait)) => {
                    pause = wait;
                    false
                }
                Ok(Step::Write(write)) => self.write(write).await.is_err(),
                Err(error) => {
                    let error = crate::pipeline::chain(&error);
                    tracing::debug!(error, "the lease could not be read");
                    true
                }
            };
            let leads = self.leader.leads();
            if leads != led {
                let identity = self.leader.election().identity().to_owned();
                tracing::info!(leads, identity, "leadership changed");
                led = leads;
            }
            self.leader.0.leads.send_replace(leads);
            // Jittered, so that candidates do not ask at the same moments for ever.
            let part = rand::rng().random_range(0.8..=1.0);
            tokio::time::sleep(pause.mul_f64(part)).await;
        }
    }

    async fn look(&self) -> Result<Step, Error> {
        let object = bounded(self.api.get_opt(LEASE_NAME)).await?;
        let seen = object.as_ref().map(seen);
        *lock(&self.object) = object;
        // The moment after the answer: what it shows was not there any later.
        let now = self.leader.0.now();
        Ok(self.leader.election().next(seen.as_ref(), now))
    }

    async fn write(&self, step: Write) -> Result<(), Error> {
        let asked = self.leader.0.now();
        match write(&self.api, &self.object, step).await {
            Ok(seen) => {
                self.leader.election().written(seen, asked);
                Ok(())
            }
            Err(error) => {
                let text = crate::pipeline::chain(&error);
                tracing::debug!(error = text, "the lease was not written");
                Err(error)
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Writes a lease over exactly the version that the step builds on.
async fn write(
    api: &Api<LeaseObject>,
    known: &Mutex<Option<LeaseObject>>,
    write: Write,
) -> Result<Seen, Error> {
    let parameters = PostParams::default();
    let written = match write {
        Write::Create(lease) => {
            let mut object = LeaseObject::default();
            object.metadata.name = Some(LEASE_NAME.to_owned());
            object.spec = Some(spec(&lease, None));
            bounded(api.create(&parameters, &object)).await?
        }
        Write::Replace { lease, version } => {
            let mut object = lock(known).clone().unwrap_or_default();
            object.metadata.name = Some(LEASE_NAME.to_owned());
            object.metadata.resource_version = Some(version);
            object.metadata.managed_fields = None;
            object.spec = Some(spec(&lease, object.spec.take()));
            bounded(api.replace(LEASE_NAME, &parameters, &object)).await?
        }
    };
    let seen = seen(&written);
    *lock(known) = Some(written);
    Ok(seen)
}

async fn bounded<T>(ask: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
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
