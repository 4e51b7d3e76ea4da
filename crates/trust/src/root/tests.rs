//! The walk over an in-memory source: what is kept, what is believed of a kept copy, and what
//! counts as an outage. Over real HTTP: `sealift`'s `trust_roots` tests.

use std::sync::Mutex;
use std::task::{Context, Poll, Waker};

use sealift_testkit::tuf::{Files, TufRepository};

use super::*;

const CONTENT: &[u8] = b"a trust root";

/// Files, or an outage, and the paths that were asked for.
#[derive(Default)]
struct Memory {
    files: Mutex<Files>,
    /// From the request with this path on.
    down_at: Mutex<Option<&'static str>>,
    asked: Mutex<Vec<String>>,
}

impl Memory {
    fn of(repository: &TufRepository) -> Arc<Self> {
        let memory = Self::default();
        *memory.files.lock().unwrap() = repository.files();
        Arc::new(memory)
    }

    fn set(&self, repository: &TufRepository) {
        *self.files.lock().unwrap() = repository.files();
    }

    fn down_at(&self, path: Option<&'static str>) {
        *self.down_at.lock().unwrap() = path;
    }

    fn asked(&self) -> usize {
        std::mem::take(&mut *self.asked.lock().unwrap()).len()
    }
}

impl Source for Memory {
    fn fetch<'a>(&'a self, path: &'a str, _: usize) -> Fetched<'a> {
        self.asked.lock().unwrap().push(path.to_owned());
        let down = self.down_at.lock().unwrap();
        let answer = match *down {
            Some(end) if path.ends_with(end) => Err(SourceError::Outage("no answer".to_owned())),
            _ => Ok(self.files.lock().unwrap().get(path).cloned()),
        };
        Box::pin(std::future::ready(answer))
    }
}

#[derive(Default)]
struct OneCopy(Mutex<Option<Vec<u8>>>);

impl Shelf for OneCopy {
    fn load(&self) -> Result<Option<Vec<u8>>, String> {
        Ok(self.0.lock().unwrap().clone())
    }

    fn store(&self, bytes: &[u8]) -> Result<(), String> {
        *self.0.lock().unwrap() = Some(bytes.to_vec());
        Ok(())
    }
}

struct World {
    repository: TufRepository,
    pinned: Pinned,
    source: Arc<Memory>,
    shelf: Arc<OneCopy>,
}

impl World {
    fn new() -> Self {
        Self::of(TufRepository::new(TARGET, CONTENT))
    }

    fn of(mut repository: TufRepository) -> Self {
        repository.expire_all("2026-11-05T00:00:00Z");
        repository.publish();
        Self {
            pinned: Pinned::new(repository.start().into()).unwrap(),
            source: Memory::of(&repository),
            shelf: Arc::default(),
            repository,
        }
    }

    fn obtain(&self, now: &str) -> Result<Obtained, RootError> {
        self.obtain_asking(&Ask::default(), now)
    }

    fn obtain_asking(&self, ask: &Ask, now: &str) -> Result<Obtained, RootError> {
        let (source, shelf) = (Arc::clone(&self.source), Arc::clone(&self.shelf));
        ready(obtain(
            &self.pinned,
            source,
            shelf,
            ask,
            now.parse().unwrap(),
        ))
    }
}

/// The answer of a future that never waits.
fn ready<T>(future: impl Future<Output = T>) -> T {
    let mut future = Box::pin(future);
    match future
        .as_mut()
        .poll(&mut Context::from_waker(Waker::noop()))
    {
        Poll::Ready(answer) => answer,
        Poll::Pending => panic!("it waits"),
    }
}

#[test]
fn the_target_is_fetched_once_and_then_taken_from_the_copy() {
    let world = World::new();
    let first = world.obtain("2026-11-01T00:00:00Z").unwrap();
    assert_eq!(
        (&*first.bytes, first.standing),
        (CONTENT, Standing::Refreshed)
    );
    assert_eq!(first.facts.expires, "2026-11-05T00:00:00Z".parse().unwrap());
    assert!(world.source.asked() > 0);
    let second = world.obtain("2026-11-01T23:00:00Z").unwrap();
    assert_eq!(
        (&*second.bytes, second.standing),
        (CONTENT, Standing::Fresh)
    );
    assert_eq!((world.source.asked(), second.notes.len()), (0, 0));
    let third = world.obtain("2026-11-02T00:00:00Z").unwrap();
    assert_eq!(third.standing, Standing::Refreshed);
}

#[test]
fn a_target_of_a_delegated_role_is_found_kept_and_verified_again() {
    let mut world = World::new();
    world.repository.delegate();
    world.repository.publish();
    world.source.set(&world.repository);
    world.obtain("2026-11-01T00:00:00Z").unwrap();
    world.source.asked();
    let again = world.obtain("2026-11-01T01:00:00Z").unwrap();
    assert_eq!((&*again.bytes, again.standing), (CONTENT, Standing::Fresh));
    assert_eq!(world.source.asked(), 0);
}

#[test]
fn names_without_versions_and_hashes_do_as_well() {
    let plain = TufRepository::without_consistent_snapshots(TARGET, CONTENT);
    let mut world = World::of(plain);
    world.repository.delegate();
    world.repository.publish();
    world.source.set(&world.repository);
    world.obtain("2026-11-01T00:00:00Z").unwrap();
    world.source.asked();
    let again = world.obtain("2026-11-01T01:00:00Z").unwrap();
    assert_eq!((&*again.bytes, again.standing), (CONTENT, Standing::Fresh));
    assert_eq!(world.source.asked(), 0);
}

#[test]
fn every_role_that_a_stranger_signed_is_refused() {
    let stranger = World::new();
    for role in ["timestamp.json", "2.snapshot.json", "2.targets.json"] {
        let world = World::new();
        let forged = stranger.repository.files()[role].clone();
        let mut files = world.source.files.lock().unwrap();
        files.insert(role.to_owned(), forged);
        drop(files);
        let refused = world.obtain("2026-11-01T00:00:00Z").unwrap_err();
        let failed = refused.failed().unwrap();
        assert_eq!(failed.failure, Failure::Refused, "{role}: {refused}");
        assert_eq!(world.shelf.load(), Ok(None), "{role}");
    }
}

#[test]
fn a_copy_that_was_tampered_with_is_not_used() {
    let world = World::new();
    world.obtain("2026-11-01T00:00:00Z").unwrap();
    let kept = world.shelf.load().unwrap().unwrap();
    let mut document: serde_json::Value = serde_json::from_slice(&kept).unwrap();
    document["files"]["targets/trusted_root.json"] = "YW5vdGhlciByb290".into();
    world.shelf.store(document.to_string().as_bytes()).unwrap();
    world.source.down_at(Some("json"));
    let refused = world.obtain("2026-11-01T01:00:00Z").unwrap_err();
    assert!(matches!(refused, RootError::Nothing { failed } if failed.failure == Failure::Outage));
    world.source.down_at(None);
    let again = world.obtain("2026-11-01T01:00:00Z").unwrap();
    assert_eq!(
        (&*again.bytes, again.standing),
        (CONTENT, Standing::Refreshed)
    );
    assert_eq!(again.notes.len(), 1, "{:?}", again.notes);
}

#[test]
fn a_copy_that_is_no_copy_costs_a_refresh() {
    let world = World::new();
    for bytes in [
        &b"no JSON"[..],
        b"{}",
        b"{\"format\":2,\"refreshed\":null,\"files\":{}}",
    ] {
        world.shelf.store(bytes).unwrap();
        let obtained = world.obtain("2026-11-01T00:00:00Z").unwrap();
        assert_eq!(
            (obtained.standing, obtained.notes.len()),
            (Standing::Refreshed, 1)
        );
    }
}

#[test]
fn new_roots_are_kept_although_the_rest_of_the_refresh_fails() {
    let mut world = World::new();
    world.obtain("2026-11-01T00:00:00Z").unwrap();
    world.repository.rotate(&[]);
    world.repository.rotate(&[]);
    world.source.set(&world.repository);
    world.source.down_at(Some("timestamp.json"));
    let stale = world.obtain("2026-11-03T00:00:00Z").unwrap();
    assert_eq!((&*stale.bytes, stale.standing), (CONTENT, Standing::Stale));
    world.source.down_at(None);
    world.source.asked.lock().unwrap().clear();
    world.obtain("2026-11-03T01:00:00Z").unwrap();
    let asked = world.source.asked.lock().unwrap().clone();
    assert_eq!(asked.first().map(String::as_str), Some("4.root.json"));
}

#[test]
fn a_copy_whose_keys_a_new_root_revokes_is_not_used_any_more() {
    let mut world = World::new();
    world.obtain("2026-11-01T00:00:00Z").unwrap();
    world.repository.rotate(&["timestamp"]);
    world.source.set(&world.repository);
    world.source.down_at(Some("timestamp.json"));
    let refused = world.obtain("2026-11-03T00:00:00Z").unwrap_err();
    assert!(matches!(refused, RootError::Nothing { .. }), "{refused}");
    world.source.down_at(None);
    world.repository.publish();
    world.source.set(&world.repository);
    let again = world.obtain("2026-11-03T00:00:00Z").unwrap();
    assert_eq!(again.standing, Standing::Refreshed);
}

#[test]
fn a_repository_that_failed_a_moment_ago_is_not_asked_while_the_copy_will_do() {
    let world = World::new();
    world.obtain("2026-11-01T00:00:00Z").unwrap();
    world.source.down_at(Some("json"));
    let stale = world.obtain("2026-11-03T00:00:00Z").unwrap();
    world.source.asked();
    let ask = Ask {
        lately: stale.failed,
        ..Ask::default()
    };
    let stale = world.obtain_asking(&ask, "2026-11-03T00:02:00Z").unwrap();
    assert_eq!((stale.standing, world.source.asked()), (Standing::Stale, 0));
    let expired = world
        .obtain_asking(&ask, "2026-11-30T00:00:00Z")
        .unwrap_err();
    assert!(matches!(expired, RootError::Expired { .. }));
    assert!(world.source.asked() > 0);
}

#[test]
fn what_is_missing_is_refused_and_no_outage() {
    let world = World::new();
    world.source.files.lock().unwrap().remove("timestamp.json");
    let refused = world.obtain("2026-11-01T00:00:00Z").unwrap_err();
    assert_eq!(refused.failed().unwrap().failure, Failure::Refused);
}

#[test]
fn more_rotations_than_are_walked_at_once_are_walked_by_the_next_refresh() {
    let mut world = World::new();
    for _ in 0..=limits::TUF_ROTATIONS_MAX {
        world.repository.rotate(&[]);
    }
    world.source.set(&world.repository);
    let refused = world.obtain("2026-11-01T00:00:00Z").unwrap_err();
    assert_eq!(refused.failed().unwrap().failure, Failure::Refused);
    let obtained = world.obtain("2026-11-01T00:00:00Z").unwrap();
    assert_eq!(obtained.standing, Standing::Refreshed);
}

#[test]
fn a_start_that_is_no_root_is_refused() {
    let repository = TufRepository::new(TARGET, CONTENT);
    let timestamp = repository.files()["timestamp.json"].clone();
    for bytes in [
        b"{}".to_vec(),
        timestamp,
        vec![b' '; limits::TUF_ROOT_BYTES_MAX + 1],
    ] {
        assert!(matches!(
            Pinned::new(bytes.into()),
            Err(RootError::Start(_))
        ));
    }
}
