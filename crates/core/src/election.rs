//! Who leads: the rules of the lease, as a state machine without a clock.
//!
//! A lease names its holder. The holder renews it; whoever has not seen it renewed for its whole
//! duration, by its own clock, may take it, and the API server lets only one do so: each write
//! names the version that it builds on. A leader stops early: it counts from the moment before it
//! *asked* for the renewal, and stops [`Timing::renew_deadline`] later, while others count from
//! when they *saw* it, which is never earlier, and wait [`Timing::lease`]. The time in between is
//! for what it began to end.
//!
//! Durations are of a clock that never goes back. It may stand still while a machine sleeps, so the
//! time of day is looked at, too: it can end a leadership, never prolong one. Times inside the
//! lease are for people; nothing is decided by them. Kubernetes `coordination.k8s.io/v1`; rules of
//! client-go's leader election, which Argo CD Image Updater uses, with the same lease.

use std::time::Duration;

use jiff::Timestamp;

use crate::limits::{LEASE_CLAIM_SECS_MAX, LEASE_LOOK_MS, LEASE_RENEW_SECS_MAX, LEASE_SECS};

/// A moment by two clocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// Since some beginning, by a clock that never goes back.
    pub elapsed: Duration,
    /// Time of day, which may jump.
    pub wall: Timestamp,
}

/// How long things last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timing {
    /// How long a renewal counts for others.
    pub lease: Duration,
    /// How long it counts for the leader; shorter.
    pub renew_deadline: Duration,
    /// Between two looks.
    pub look: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            lease: Duration::from_secs(LEASE_SECS),
            renew_deadline: Duration::from_secs(LEASE_RENEW_SECS_MAX),
            look: Duration::from_millis(LEASE_LOOK_MS),
        }
    }
}

/// What a lease says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Lease {
    /// Who holds it; empty: nobody.
    pub holder: String,
    /// How long a renewal counts.
    pub duration: Duration,
    /// When the holder got it.
    pub acquired: Option<Timestamp>,
    /// When it was renewed last.
    pub renewed: Option<Timestamp>,
    /// How often the holder changed.
    pub transitions: u32,
}

/// A lease as it was read or written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// What it says.
    pub lease: Lease,
    /// `metadata.resourceVersion`
    pub version: String,
}

/// What to do next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Write the lease.
    Write(Write),
    /// Somebody else leads: look again after this time.
    Wait(Duration),
}

/// A write that the API server carries out only where nobody else was faster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Write {
    /// Make the lease, if nobody has.
    Create(Lease),
    /// Write this over exactly `version`.
    Replace {
        /// What to write.
        lease: Lease,
        /// What must still stand there.
        version: String,
    },
}

/// One candidate's view of the election.
#[derive(Debug, Clone)]
pub struct Election {
    identity: String,
    timing: Timing,
    /// Another's lease, and when it was first seen as it is. Its version does not count: what else
    /// is written to the object renews nothing.
    observed: Option<(Lease, Duration)>,
    /// When the renewal that counts was asked for, and what it made.
    held: Option<(Moment, Seen)>,
}

impl Election {
    /// A candidate that has seen nothing yet. `identity` is nobody else's, in this life of the
    /// process.
    #[must_use]
    pub const fn new(identity: String, timing: Timing) -> Self {
        Self {
            identity,
            timing,
            observed: None,
            held: None,
        }
    }

    /// What it is called in the lease.
    #[must_use]
    pub fn identity(&self) -> &str {
        &self.identity
    }

    /// Decides what to do about the lease as it was just read (`None`: there is none).
    pub fn next(&mut self, seen: Option<&Seen>, now: Moment) -> Step {
        let Some(Seen { lease, version }) = seen else {
            self.held = None;
            return Step::Write(Write::Create(self.taken(&Lease::default(), now)));
        };
        let replace = |lease| {
            let version = version.clone();
            Step::Write(Write::Replace { lease, version })
        };
        if lease.holder == self.identity {
            let mut renewed = lease.clone();
            renewed.duration = self.timing.lease;
            renewed.renewed = Some(now.wall);
            return replace(renewed);
        }
        // Whatever we thought, the lease says otherwise.
        self.held = None;
        let since = match &self.observed {
            Some((known, since)) if known == lease => *since,
            _ => {
                self.observed = Some((lease.clone(), now.elapsed));
                now.elapsed
            }
        };
        let claimed = lease
            .duration
            .min(Duration::from_secs(LEASE_CLAIM_SECS_MAX));
        let end = since.saturating_add(claimed.max(self.timing.lease));
        let left = end.saturating_sub(now.elapsed);
        if lease.holder.is_empty() || left.is_zero() {
            return replace(self.taken(lease, now));
        }
        Step::Wait(left.min(self.timing.look))
    }

    /// Renews without looking, on what we wrote last. `None`: we hold nothing.
    #[must_use]
    pub fn renewal(&self, now: Moment) -> Option<Write> {
        let (_, Seen { lease, version }) = self.held.as_ref()?;
        let mut lease = lease.clone();
        lease.renewed = Some(now.wall);
        Some(Write::Replace {
            lease,
            version: version.clone(),
        })
    }

    /// Takes note that our write arrived. `asked` is the moment before it was sent.
    pub fn written(&mut self, seen: Seen, asked: Moment) {
        self.observed = None;
        self.held = (seen.lease.holder == self.identity).then_some((asked, seen));
    }

    /// How much longer we lead, as far as we can know; zero: we do not.
    #[must_use]
    pub fn left(&self, now: Moment) -> Duration {
        let Some((asked, _)) = &self.held else {
            return Duration::ZERO;
        };
        let elapsed = now.elapsed.saturating_sub(asked.elapsed);
        // A clock that went back says nothing; one that went on says that we slept.
        let by_day = now.wall.duration_since(asked.wall);
        let by_day = Duration::try_from(by_day).unwrap_or_default();
        self.timing
            .renew_deadline
            .saturating_sub(elapsed.max(by_day))
    }

    /// Whether we lead.
    #[must_use]
    pub fn leads(&self, now: Moment) -> bool {
        !self.left(now).is_zero()
    }

    /// Gives the lease up, so that another need not wait. `None`: we hold nothing. From here on we
    /// lead no more.
    pub fn release(&mut self, now: Moment) -> Option<Write> {
        let (_, Seen { lease, version }) = self.held.take()?;
        Some(Write::Replace {
            lease: Lease {
                holder: String::new(),
                duration: Duration::from_secs(1),
                renewed: Some(now.wall),
                ..lease
            },
            version,
        })
    }

    fn taken(&self, from: &Lease, now: Moment) -> Lease {
        let changed = !from.holder.is_empty() || from.acquired.is_some();
        Lease {
            holder: self.identity.clone(),
            duration: self.timing.lease,
            acquired: Some(now.wall),
            renewed: Some(now.wall),
            transitions: from.transitions.saturating_add(changed.into()),
        }
    }
}

#[cfg(test)]
mod tests;
