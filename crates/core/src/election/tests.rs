//! Candidates around one lease that is kept as the API server keeps it, in every order of looks,
//! writes, delays and jumps of clocks.

use super::*;
use proptest::prelude::*;

/// The API server: a lease with a version, written by compare-and-swap.
#[derive(Default)]
struct Server {
    lease: Option<Seen>,
    writes: u64,
}

impl Server {
    fn write(&mut self, write: &Write) -> Option<Seen> {
        let (lease, fits) = match write {
            Write::Create(lease) => (lease, self.lease.is_none()),
            Write::Replace { lease, version } => {
                let same = self
                    .lease
                    .as_ref()
                    .is_some_and(|seen| seen.version == *version);
                (lease, same)
            }
        };
        if !fits {
            return None;
        }
        self.writes += 1;
        let seen = Seen {
            lease: lease.clone(),
            version: self.writes.to_string(),
        };
        self.lease = Some(seen.clone());
        Some(seen)
    }
}

fn at(secs: u64) -> Moment {
    Moment {
        elapsed: Duration::from_secs(secs),
        wall: Timestamp::from_second(1_000_000 + i64::try_from(secs).unwrap()).unwrap(),
    }
}

fn candidate(name: &str) -> Election {
    Election::new(name.to_owned(), Timing::default())
}

/// Looks, and writes what follows from it.
fn step(server: &mut Server, who: &mut Election, now: Moment) -> Step {
    let step = who.next(server.lease.clone().as_ref(), now);
    if let Step::Write(write) = &step
        && let Some(seen) = server.write(write)
    {
        who.written(seen, now);
    }
    step
}

#[test]
fn the_first_leads_and_the_second_waits_a_whole_lease_after_the_last_renewal_it_saw() {
    let (mut server, mut a, mut b) = (Server::default(), candidate("a"), candidate("b"));
    assert!(matches!(
        step(&mut server, &mut a, at(0)),
        Step::Write(Write::Create(_))
    ));
    assert!(a.leads(at(9)) && !a.leads(at(10)));
    assert!(matches!(step(&mut server, &mut b, at(1)), Step::Wait(_)));
    step(&mut server, &mut a, at(8));
    assert!(matches!(step(&mut server, &mut b, at(12)), Step::Wait(_)));
    // `a` is gone. `b` saw its last renewal at 12.
    assert!(matches!(step(&mut server, &mut b, at(26)), Step::Wait(_)));
    assert!(matches!(step(&mut server, &mut b, at(27)), Step::Write(_)));
    assert!(b.leads(at(27)));
    let lease = server.lease.unwrap().lease;
    assert_eq!((lease.holder.as_str(), lease.transitions), ("b", 1));
}

#[test]
fn what_else_is_written_to_the_object_prolongs_no_lead() {
    let (mut server, mut a, mut b) = (Server::default(), candidate("a"), candidate("b"));
    step(&mut server, &mut a, at(0));
    step(&mut server, &mut b, at(1));
    for now in 2..16 {
        // An annotation, by whoever: the version is another one, the lease is not.
        server.lease.as_mut().unwrap().version = format!("annotated-{now}");
        assert!(matches!(step(&mut server, &mut b, at(now)), Step::Wait(_)));
    }
    assert!(matches!(step(&mut server, &mut b, at(16)), Step::Write(_)));
    assert!(b.leads(at(16)));
}

#[test]
fn a_renewal_counts_from_when_it_was_asked_for_and_not_from_its_answer() {
    let (mut server, mut a) = (Server::default(), candidate("a"));
    step(&mut server, &mut a, at(0));
    let renewal = a.renewal(at(5)).unwrap();
    let seen = server.write(&renewal).unwrap();
    // The answer came at 9.
    a.written(seen, at(5));
    assert!(a.leads(at(14)) && !a.leads(at(15)));
}

#[test]
fn who_sees_another_in_the_lease_leads_no_more_at_once() {
    let (mut server, mut a) = (Server::default(), candidate("a"));
    step(&mut server, &mut a, at(0));
    let seen = server.lease.as_mut().unwrap();
    seen.lease.holder = "b".to_owned();
    seen.version = "77".to_owned();
    assert!(a.leads(at(1)));
    step(&mut server, &mut a, at(1));
    assert!(!a.leads(at(1)));
    assert_eq!(a.renewal(at(1)), None);
}

#[test]
fn a_released_lease_is_taken_at_once() {
    let (mut server, mut a, mut b) = (Server::default(), candidate("a"), candidate("b"));
    step(&mut server, &mut a, at(0));
    step(&mut server, &mut b, at(1));
    let release = a.release(at(2)).unwrap();
    assert!(!a.leads(at(2)));
    server.write(&release).unwrap();
    step(&mut server, &mut b, at(2));
    assert!(b.leads(at(2)));
}

#[test]
fn a_sleep_that_only_the_time_of_day_saw_ends_the_lead_and_a_clock_set_back_prolongs_nothing() {
    let (mut server, mut a) = (Server::default(), candidate("a"));
    step(&mut server, &mut a, at(0));
    let slept = Moment {
        wall: at(3600).wall,
        ..at(1)
    };
    assert!(!a.leads(slept));
    let back = |secs| Moment {
        wall: Timestamp::UNIX_EPOCH,
        ..at(secs)
    };
    assert!(a.leads(back(9)) && !a.leads(back(10)));
    // It recovers with its next renewal.
    let seen = server.write(&a.renewal(slept).unwrap()).unwrap();
    a.written(seen, slept);
    assert!(a.leads(slept));
}

#[test]
fn a_lease_that_claims_to_last_for_ever_is_taken_within_the_bound() {
    let (mut server, mut a) = (Server::default(), candidate("a"));
    server.lease = Some(Seen {
        lease: Lease {
            holder: "hostile".to_owned(),
            duration: Duration::MAX,
            ..Lease::default()
        },
        version: "1".to_owned(),
    });
    step(&mut server, &mut a, at(0));
    step(&mut server, &mut a, at(LEASE_CLAIM_SECS_MAX - 1));
    assert!(!a.leads(at(LEASE_CLAIM_SECS_MAX - 1)));
    step(&mut server, &mut a, at(LEASE_CLAIM_SECS_MAX));
    assert!(a.leads(at(LEASE_CLAIM_SECS_MAX)));
}

/// One event in the life of two candidates.
#[derive(Debug, Clone)]
enum Act {
    Pass(u64),
    /// Looks and writes; the write takes this long to arrive, and its answer may be lost.
    Try {
        who: usize,
        delay: u64,
        lost: bool,
    },
    Renew {
        who: usize,
        lost: bool,
    },
    Restart(usize),
    Release(usize),
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let act = prop_oneof![
        (0_u64..9).prop_map(Act::Pass),
        (0_usize..2, 0_u64..6, any::<bool>()).prop_map(|(who, delay, lost)| Act::Try {
            who,
            delay,
            lost
        }),
        (0_usize..2, any::<bool>()).prop_map(|(who, lost)| Act::Renew { who, lost }),
        (0_usize..2).prop_map(Act::Restart),
        (0_usize..2).prop_map(Act::Release),
    ];
    proptest::collection::vec(act, 1..80)
}

proptest! {
    #[test]
    fn two_never_lead_at_once(acts in acts()) {
        let mut server = Server::default();
        let mut now = 0;
        let mut lives = 2;
        let mut who = [candidate("0"), candidate("1")];
        for act in acts {
            match act {
                Act::Pass(secs) => now += secs,
                Act::Try { who: one, delay, lost } => {
                    let asked = at(now);
                    let step = who[one].next(server.lease.clone().as_ref(), asked);
                    now += delay;
                    let seen = match step {
                        Step::Write(write) => server.write(&write),
                        Step::Wait(_) => None,
                    };
                    if let Some(seen) = seen.filter(|_| !lost) {
                        who[one].written(seen, asked);
                    }
                }
                Act::Renew { who: one, lost } => {
                    if let Some(step) = who[one].renewal(at(now)) {
                        let seen = server.write(&step);
                        if let Some(seen) = seen.filter(|_| !lost) {
                            who[one].written(seen, at(now));
                        }
                    }
                }
                Act::Restart(one) => {
                    who[one] = candidate(&lives.to_string());
                    lives += 1;
                }
                Act::Release(one) => {
                    if let Some(step) = who[one].release(at(now)) {
                        server.write(&step);
                    }
                }
            }
            prop_assert!(!(who[0].leads(at(now)) && who[1].leads(at(now))));
        }
    }
}
