//! A policy whose trust root comes from a TUF repository, through the program: what reaches Git,
//! and what does not.

use std::fs;
use std::os::unix::fs::DirBuilderExt as _;

use jiff::{SignedDuration, Timestamp};
use sealift::trust_roots::FOLDER;
use sealift_testkit::signed;
use sealift_testkit::tuf::{TufRepository, TufServer};

use crate::trust::{AUTHORITY, BY_WORKFLOW, DEMANDED, IMAGE, Shop};
use crate::trust_roots::{named, process};
use crate::world::{Ran, events, values};

const TARGET: &str = "trusted_root.json";

/// A shop whose policy takes its trust root from a repository on loopback.
struct TufShop {
    shop: Shop,
    repository: TufRepository,
    server: TufServer,
}

impl TufShop {
    fn new() -> Self {
        let root = signed::folder().join(BY_WORKFLOW).join(TARGET);
        let repository = TufRepository::new(TARGET, &fs::read(root).unwrap());
        let shop = Shop::new();
        shop.signed("1.1.0", BY_WORKFLOW);
        fs::remove_file(shop.world.path(TARGET)).unwrap();
        fs::write(shop.world.path("root.json"), repository.start()).unwrap();
        Self {
            shop,
            server: TufServer::start(repository.files()),
            repository,
        }
    }

    fn run(&self, arguments: &[&str]) -> Ran {
        let mirror = self.server.url();
        let tuf = format!("tuf: {{ mirror: '{mirror}', root: {{ path: root.json }} }}");
        let authority = AUTHORITY.replace("file: { path: trusted_root.json }", &tuf);
        assert_ne!(authority, AUTHORITY);
        self.shop.run_as(&authority, DEMANDED, "", arguments)
    }
}

fn pinned(tag: &str) -> String {
    values(IMAGE, &format!("{tag}@{}", signed::subject(BY_WORKFLOW)))
}

#[test]
fn a_root_from_a_repository_admits_what_it_proves_and_is_not_asked_for_again() {
    let tuf = TufShop::new();
    let ran = tuf.run(&[]);
    assert_eq!(ran.decision("shop").0, "updated", "{}", ran.stderr);
    assert_eq!(tuf.shop.written(), pinned("1.1.0"));
    assert!(!tuf.server.take_requests().is_empty());
    tuf.server.set_down(true);
    tuf.shop.signed("1.2.0", BY_WORKFLOW);
    let ran = tuf.run(&[]);
    assert_eq!(ran.decision("shop").0, "updated", "{}", ran.stderr);
    assert_eq!(tuf.shop.written(), pinned("1.2.0"));
    assert_eq!(tuf.server.take_requests(), [""; 0]);
}

#[test]
fn a_repository_that_lies_or_is_down_refuses_the_policys_scope_and_says_where() {
    let tuf = TufShop::new();
    let target = tuf.server.path_of(TARGET);
    tuf.server.replace(&target, b"{}");
    for _ in 0..2 {
        let ran = tuf.run(&["--fail-on", "refused"]);
        assert_eq!(ran.code, 20, "{}", ran.stderr);
        let decision = ran.decision("shop");
        assert_eq!(
            decision,
            ("refused", "trust-root-unavailable"),
            "{}",
            ran.stderr
        );
        assert!(ran.stderr.contains(&tuf.server.url()), "{}", ran.stderr);
        assert_eq!(tuf.shop.written(), values(IMAGE, "1.0.0"));
        tuf.server.set_down(true);
    }
}

#[test]
fn an_expired_root_is_used_only_where_the_operator_names_it_and_that_is_recorded() {
    let mut tuf = TufShop::new();
    let now = Timestamp::now();
    let before = |days: i64| {
        now.checked_sub(SignedDuration::from_hours(24 * days))
            .unwrap()
    };
    tuf.repository.expire_all(&before(20).to_string());
    tuf.repository.publish();
    tuf.server.set(tuf.repository.files());
    let state = tuf.shop.world.path("state");
    // As the program makes it, but without the lock: a test that forks at this moment would go on
    // holding it.
    let copies = state.join(FOLDER);
    let mut private = fs::DirBuilder::new();
    private.recursive(true).mode(0o700).create(&copies).unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let wanted = named(&tuf.server, tuf.repository.start());
        let process = process(&copies, &[]);
        let (found, _) = process.obtain(wanted, &before(30).to_string()).await;
        found.unwrap();
    });
    tuf.server.set_down(true);
    let ran = tuf.run(&[]);
    let decision = ran.decision("shop");
    assert_eq!(
        decision,
        ("refused", "trust-root-expired"),
        "{}",
        ran.stderr
    );
    assert_eq!(tuf.shop.written(), values(IMAGE, "1.0.0"));
    let url = tuf.server.url();
    let ran = tuf.run(&["--unsafe-expired-trust-root", &url]);
    assert_eq!(ran.decision("shop").0, "updated", "{}", ran.stderr);
    assert_eq!(tuf.shop.written(), pinned("1.1.0"));
    let recorded = events(&state, &[]);
    let notices = recorded
        .iter()
        .filter(|event| event.to_string().contains("unsafe-expired-trust-root"));
    assert!(notices.count() >= 2, "{recorded:?}");
}
