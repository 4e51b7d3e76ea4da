//! Trust roots through TUF, over real HTTP: what an honest repository gives, what a lying one does
//! not, and how long a copy outlives an outage. The rest of the walk: `sealift_trust::root`.

use std::path::Path;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use sealift::policies::Remark;
use sealift::trust_roots::{Found, Repository, TrustRoots};
use sealift_core::limits;
use sealift_core::promotion::spec::{FileSource, TrustRootSpec, TufSpec};
use sealift_core::reason::Reason;
use sealift_net::{Net, Retry, Settings};
use sealift_testkit::tuf::{Files, TufRepository, TufServer};

const TARGET: &str = "trusted_root.json";
const CONTENT: &[u8] = b"a trust root";
/// When every role but the root ends.
const EXPIRES: &str = "2026-11-05T00:00:00Z";

/// A repository that is served, and a process that uses it.
struct Tuf {
    repository: TufRepository,
    server: TufServer,
    folder: tempfile::TempDir,
}

/// One process: what it remembers ends with it.
pub(crate) struct Process {
    roots: TrustRoots,
}

impl Tuf {
    fn new() -> Self {
        let mut repository = TufRepository::new(TARGET, CONTENT);
        repository.expire_all(EXPIRES);
        repository.publish();
        Self {
            server: TufServer::start(repository.files()),
            repository,
            folder: tempfile::tempdir().unwrap(),
        }
    }

    fn serve(&self) {
        self.server.set(self.repository.files());
    }

    fn process(&self) -> Process {
        self.process_with(&[])
    }

    fn process_with(&self, unsafe_expired: &[String]) -> Process {
        process(self.folder.path(), unsafe_expired)
    }

    fn named(&self) -> Repository {
        named(&self.server, self.repository.start())
    }
}

pub(crate) fn process(folder: &Path, unsafe_expired: &[String]) -> Process {
    let retry = Retry {
        tries: 1,
        ..Retry::default()
    };
    let settings = Settings {
        retry,
        ..Settings::default()
    };
    let net = Net::new(settings).unwrap();
    Process {
        roots: TrustRoots::open(&net, folder.to_owned(), unsafe_expired).unwrap(),
    }
}

pub(crate) fn named(server: &TufServer, start: Vec<u8>) -> Repository {
    let spec = TrustRootSpec::Tuf(TufSpec {
        mirror: server.url(),
        root: FileSource::Path("root.json".to_owned()),
    });
    let start: Arc<[u8]> = start.into();
    Repository::of(&spec, |_| Ok(start)).unwrap().unwrap()
}

impl Process {
    pub(crate) async fn obtain(&self, repository: Repository, now: &str) -> (Found, Vec<Remark>) {
        let key = repository.key().to_owned();
        let now = now.parse().unwrap();
        let (mut found, remarks) = self.roots.obtain(vec![repository], now).await;
        (found.remove(&key).unwrap(), remarks)
    }

    async fn bytes(&self, tuf: &Tuf, now: &str) -> Vec<u8> {
        let (found, remarks) = self.obtain(tuf.named(), now).await;
        assert_eq!(remarks, []);
        found.unwrap().to_vec()
    }

    /// Bytes that are used although something was said.
    async fn remarked(&self, tuf: &Tuf, now: &str) -> (Vec<u8>, Reason) {
        let (found, remarks) = self.obtain(tuf.named(), now).await;
        assert_eq!(remarks.len(), 1, "{remarks:?}");
        (found.unwrap().to_vec(), remarks[0].reason)
    }

    /// The reason of a refusal and what was said of it.
    async fn refused(&self, tuf: &Tuf, now: &str) -> (Reason, Reason, String) {
        let (found, remarks) = self.obtain(tuf.named(), now).await;
        let (reason, detail) = found.unwrap_err();
        assert_eq!(remarks.len(), 1, "{remarks:?}");
        assert!(detail.contains(&tuf.server.url()), "{detail}");
        (reason, remarks[0].reason, detail)
    }
}

#[tokio::test]
async fn a_root_is_fetched_once_for_all_and_kept_for_the_next_process() {
    let tuf = Tuf::new();
    let process = tuf.process();
    let now = "2026-11-01T00:00:00Z".parse().unwrap();
    let wanted = vec![tuf.named(), tuf.named()];
    let (found, remarks) = process.roots.obtain(wanted, now).await;
    assert_eq!((found.len(), remarks.len()), (1, 0));
    let asked = tuf.server.take_requests();
    let target = tuf.server.path_of(TARGET);
    let expected = [
        "2.root.json",
        "timestamp.json",
        "2.snapshot.json",
        "2.targets.json",
    ];
    assert_eq!(asked, [&expected[..], &[target.as_str()]].concat());

    tuf.server.set_down(true);
    let next = tuf.process();
    assert_eq!(next.bytes(&tuf, "2026-11-01T23:59:59Z").await, CONTENT);
    assert_eq!(next.bytes(&tuf, "2026-11-01T12:00:00Z").await, CONTENT);
    assert_eq!(tuf.server.take_requests(), [""; 0]);
}

#[tokio::test]
async fn rotated_keys_and_new_content_are_followed() {
    let mut tuf = Tuf::new();
    tuf.process().bytes(&tuf, "2026-11-01T00:00:00Z").await;
    tuf.repository.rotate(&[]);
    tuf.repository.rotate(&["timestamp", "snapshot", "targets"]);
    tuf.repository.set_target(TARGET, b"a newer trust root");
    tuf.repository.publish();
    tuf.serve();
    let process = tuf.process();
    // A day has passed, or the copy that was just taken is used.
    assert_eq!(process.bytes(&tuf, "2026-11-01T01:00:00Z").await, CONTENT);
    let newer = process.bytes(&tuf, "2026-11-02T01:00:00Z").await;
    assert_eq!(newer, b"a newer trust root");
}

/// Lies of a repository, by what is done to its files.
async fn lies(tuf: &Tuf, honest: &Files) {
    let process = tuf.process();
    let now = "2026-11-03T00:00:00Z";
    let remarked = process.remarked(tuf, now).await;
    assert_eq!(remarked, (CONTENT.to_vec(), Reason::TrustRootRejected));
    // Neither grace nor the operator's word: this is no outage.
    let process = tuf.process_with(&[tuf.server.url()]);
    let (reason, said, detail) = process.refused(tuf, "2026-11-05T00:00:01Z").await;
    assert_eq!(
        (reason, said),
        (Reason::TrustRootExpired, Reason::TrustRootRejected)
    );
    assert!(detail.contains("holding newer metadata back"), "{detail}");
    // The copy was not touched: honest again, it goes on from there.
    tuf.server.set(honest.clone());
    assert_eq!(tuf.process().bytes(tuf, now).await, CONTENT);
}

#[tokio::test]
async fn a_rollback_is_refused_and_the_copy_stays() {
    let mut tuf = Tuf::new();
    let old = tuf.repository.files();
    tuf.repository.publish();
    tuf.serve();
    tuf.process().bytes(&tuf, "2026-11-01T00:00:00Z").await;
    tuf.server.set(old);
    lies(&tuf, &tuf.repository.files()).await;
}

#[tokio::test]
async fn a_root_that_the_old_keys_did_not_sign_is_refused_and_the_copy_stays() {
    let mut tuf = Tuf::new();
    let honest = tuf.repository.files();
    tuf.process().bytes(&tuf, "2026-11-01T00:00:00Z").await;
    tuf.repository.usurp();
    tuf.repository.set_target(TARGET, b"the usurper's root");
    tuf.repository.publish();
    tuf.serve();
    lies(&tuf, &honest).await;
}

#[tokio::test]
async fn content_with_another_hash_is_refused_and_the_copy_stays() {
    let mut tuf = Tuf::new();
    tuf.process().bytes(&tuf, "2026-11-01T00:00:00Z").await;
    let newer = b"a newer root";
    tuf.repository.set_target(TARGET, newer);
    tuf.repository.publish();
    tuf.serve();
    let files = tuf.repository.files();
    let path = files.iter().find(|(_, bytes)| bytes.as_slice() == newer);
    tuf.server.replace(path.unwrap().0, b"another root");
    let process = tuf.process();
    let remarked = process.remarked(&tuf, "2026-11-03T00:00:00Z").await;
    assert_eq!(remarked, (CONTENT.to_vec(), Reason::TrustRootRejected));
    tuf.serve();
    let bytes = tuf.process().bytes(&tuf, "2026-11-03T00:00:00Z").await;
    assert_eq!(bytes, newer);
}

#[tokio::test]
async fn without_a_copy_nothing_of_a_lying_repository_is_taken() {
    let tuf = Tuf::new();
    let target = tuf.server.path_of(TARGET);
    tuf.server.replace(&target, b"another root");
    let now = "2026-11-01T00:00:00Z";
    let (reason, said, _) = tuf.process().refused(&tuf, now).await;
    let expected = (Reason::TrustRootUnavailable, Reason::TrustRootRejected);
    assert_eq!((reason, said), expected);
    // Neither does the next process find anything.
    let (reason, said, _) = tuf.process().refused(&tuf, now).await;
    assert_eq!((reason, said), expected);
}

#[tokio::test]
async fn a_frozen_repository_has_no_grace_and_the_operators_word_only() {
    let tuf = Tuf::new();
    tuf.process().bytes(&tuf, "2026-11-01T00:00:00Z").await;
    // It goes on serving what it served.
    let stale = tuf.process().bytes(&tuf, EXPIRES).await;
    assert_eq!(stale, CONTENT);
    let after = "2026-11-06T00:00:00Z";
    let (reason, said, detail) = tuf.process().refused(&tuf, after).await;
    assert_eq!(
        (reason, said),
        (Reason::TrustRootExpired, Reason::TrustRootRejected)
    );
    assert!(detail.contains("--unsafe-expired-trust-root"), "{detail}");
    let named = tuf.process_with(&[tuf.server.url()]);
    let remarked = named.remarked(&tuf, after).await;
    assert_eq!(remarked, (CONTENT.to_vec(), Reason::TrustRootExpired));
}

#[tokio::test]
async fn an_endless_or_oversized_answer_is_refused_and_is_no_outage() {
    let tuf = Tuf::new();
    tuf.process().bytes(&tuf, "2026-11-01T00:00:00Z").await;
    tuf.server
        .set_endless("timestamp.json", 10 * limits::TUF_TIMESTAMP_BYTES_MAX);
    let process = tuf.process();
    let (bytes, said) = process.remarked(&tuf, "2026-11-03T00:00:00Z").await;
    assert_eq!(
        (bytes.as_slice(), said),
        (CONTENT, Reason::TrustRootRejected)
    );

    let huge = vec![b' '; limits::TRUST_MATERIAL_BYTES_MAX + 1];
    let repository = TufRepository::new(TARGET, &huge);
    let server = TufServer::start(repository.files());
    let wanted = named(&server, repository.start());
    let (found, _) = process.obtain(wanted, "2026-11-03T00:00:00Z").await;
    let (reason, detail) = found.unwrap_err();
    assert_eq!(reason, Reason::TrustRootUnavailable);
    assert!(detail.contains("exceeds"), "{detail}");
    let asked = server.take_requests();
    assert!(
        !asked.iter().any(|path| path.starts_with("targets/")),
        "{asked:?}"
    );
}

#[tokio::test]
async fn an_outage_is_borne_until_the_grace_ends_and_then_only_on_the_operators_word() {
    let tuf = Tuf::new();
    tuf.process().bytes(&tuf, "2026-11-01T00:00:00Z").await;
    tuf.server.set_down(true);
    let stale = tuf.process().remarked(&tuf, EXPIRES).await;
    assert_eq!(stale, (CONTENT.to_vec(), Reason::TrustRootStale));
    let expires: Timestamp = EXPIRES.parse().unwrap();
    let grace = SignedDuration::from_secs(limits::TRUST_ROOT_GRACE_SECS);
    let last = expires.checked_add(grace).unwrap();
    let within = tuf.process().remarked(&tuf, &last.to_string()).await;
    assert_eq!(within, (CONTENT.to_vec(), Reason::TrustRootExpired));
    let after = last.checked_add(SignedDuration::from_secs(1)).unwrap();
    let after = after.to_string();
    let (reason, said, detail) = tuf.process().refused(&tuf, &after).await;
    assert_eq!(
        (reason, said),
        (Reason::TrustRootExpired, Reason::TrustRootExpired)
    );
    let hint = format!("--unsafe-expired-trust-root {}", tuf.server.url());
    assert!(detail.contains(&hint), "{detail}");
    // The name of another root changes nothing.
    let other = tuf.process_with(&["publicGood".to_owned()]);
    assert_eq!(
        other.refused(&tuf, &after).await.0,
        Reason::TrustRootExpired
    );
    let named = tuf.process_with(&[format!("{}/", tuf.server.url())]);
    let remarked = named.remarked(&tuf, &after).await;
    assert_eq!(remarked, (CONTENT.to_vec(), Reason::TrustRootExpired));
}

#[tokio::test]
async fn which_answers_are_an_outage() {
    let after = "2026-11-06T00:00:00Z";
    for (status, outage) in [
        (500, true),
        (503, true),
        (408, true),
        (401, false),
        (403, false),
        (404, false),
    ] {
        let tuf = Tuf::new();
        tuf.process().bytes(&tuf, "2026-11-01T00:00:00Z").await;
        tuf.server.set_status(Some(status));
        let (found, _) = tuf.process().obtain(tuf.named(), after).await;
        assert_eq!(found.is_ok(), outage, "{status}: {found:?}");
    }
}

#[tokio::test]
async fn a_dead_repository_is_not_asked_in_every_cycle_and_what_it_costs_is_said_once() {
    let tuf = Tuf::new();
    let process = tuf.process();
    process.bytes(&tuf, "2026-11-01T00:00:00Z").await;
    tuf.server.set_down(true);
    assert!(!tuf.server.take_requests().is_empty());
    process.remarked(&tuf, "2026-11-03T00:00:00Z").await;
    assert_eq!(tuf.server.take_requests().len(), 1);
    assert_eq!(process.bytes(&tuf, "2026-11-03T00:02:00Z").await, CONTENT);
    assert_eq!(process.bytes(&tuf, "2026-11-03T00:09:59Z").await, CONTENT);
    assert_eq!(tuf.server.take_requests().len(), 0);
    assert_eq!(process.bytes(&tuf, "2026-11-03T00:10:00Z").await, CONTENT);
    assert_eq!(tuf.server.take_requests().len(), 1);
}

#[tokio::test]
async fn another_start_for_the_same_mirror_neither_uses_nor_spoils_the_copy() {
    let tuf = Tuf::new();
    let process = tuf.process();
    process.bytes(&tuf, "2026-11-01T00:00:00Z").await;
    let stranger = TufRepository::new(TARGET, b"a stranger's root").start();
    let wanted = vec![named(&tuf.server, stranger), tuf.named()];
    let now = "2026-11-01T01:00:00Z".parse().unwrap();
    let (found, _) = process.roots.obtain(wanted, now).await;
    assert_eq!(found.values().filter(|one| one.is_err()).count(), 1);
    assert_eq!(process.bytes(&tuf, "2026-11-01T01:00:00Z").await, CONTENT);
}

#[tokio::test]
async fn more_repositories_than_allowed_are_refused() {
    let tuf = Tuf::new();
    let process = tuf.process();
    let start: Arc<[u8]> = tuf.repository.start().into();
    let wanted = (0..=limits::TRUST_ROOTS_MAX).map(|number| {
        let spec = TrustRootSpec::Tuf(TufSpec {
            mirror: format!("{}/{number}", tuf.server.url()),
            root: FileSource::Path("root.json".to_owned()),
        });
        let start = Arc::clone(&start);
        Repository::of(&spec, |_| Ok(start)).unwrap().unwrap()
    });
    let now = "2026-11-01T00:00:00Z".parse().unwrap();
    let (found, _) = process.roots.obtain(wanted.collect(), now).await;
    let refused = found.values().filter_map(|one| one.as_ref().err());
    let beyond = refused.filter(|(_, detail)| detail.contains("more than"));
    assert_eq!(
        (found.len(), beyond.count()),
        (limits::TRUST_ROOTS_MAX + 1, 1)
    );
}
