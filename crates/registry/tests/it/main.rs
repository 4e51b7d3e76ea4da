//! The registry client against a real registry, and against one that lies.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod credentials;
mod evidence;
mod layout;
mod listing;
mod metadata;
mod remembering;
mod requests;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use jiff::Timestamp;
use sealift_core::catalog::{Catalog, Incomplete};
use sealift_core::credential::Login;
use sealift_core::platform::Platform;
use sealift_core::secret::Secret;
use sealift_net::{Deadlines, Net, Retry, Settings};
use sealift_registry::{
    Access, Anonymous, Credentials, Endpoint, LoginFuture, Registry, RepositoryName, Store,
};

/// One process: its way out and its client of one registry.
pub(crate) struct World {
    pub(crate) net: Net,
    pub(crate) registry: Arc<Registry>,
    pub(crate) store: Arc<Store>,
}

pub(crate) fn world(url: &str) -> World {
    world_with(Endpoint::parse(url).unwrap(), Store::in_memory())
}

pub(crate) fn world_with(endpoint: Endpoint, store: Store) -> World {
    let settings = Settings {
        deadlines: Deadlines {
            connect_ms: 2_000,
            head_ms: 2_000,
            total_ms: 4_000,
        },
        retry: Retry {
            tries: 2,
            wait_ms: 1,
            pause_wait_ms_max: 500,
        },
        ..Settings::default()
    };
    let net = Net::new(settings).unwrap();
    let store = Arc::new(store);
    let registry = Arc::new(Registry::new(&net, endpoint, Arc::clone(&store)).unwrap());
    World {
        net,
        registry,
        store,
    }
}

pub(crate) fn name(text: &str) -> RepositoryName {
    RepositoryName::parse(text).unwrap()
}

pub(crate) fn nobody() -> Access {
    Arc::new(Anonymous)
}

pub(crate) fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + second).unwrap()
}

pub(crate) fn any(_: &Platform) -> bool {
    true
}

/// Credentials that a test can change, and that count how often they are read again.
pub(crate) struct Account {
    id: String,
    password: Mutex<Result<String, String>>,
    pub(crate) refreshes: AtomicUsize,
    rotated: Mutex<Option<String>>,
}

impl Account {
    pub(crate) fn new(id: &str, password: &str) -> Arc<Self> {
        Arc::new(Self {
            id: id.to_owned(),
            password: Mutex::new(Ok(password.to_owned())),
            refreshes: AtomicUsize::new(0),
            rotated: Mutex::new(None),
        })
    }

    /// The next reading gives this password.
    pub(crate) fn rotate(&self, password: &str) {
        *self.rotated.lock().unwrap() = Some(password.to_owned());
    }

    pub(crate) fn break_source(&self) {
        *self.password.lock().unwrap() = Err("the Secret is gone".to_owned());
    }
}

impl Credentials for Account {
    fn id(&self) -> &str {
        &self.id
    }

    fn login(&self, refresh: bool) -> LoginFuture<'_> {
        if refresh {
            self.refreshes.fetch_add(1, Ordering::SeqCst);
            if let Some(password) = self.rotated.lock().unwrap().take() {
                *self.password.lock().unwrap() = Ok(password);
            }
        }
        let password = self.password.lock().unwrap().clone();
        let login = password.map_err(Into::into).map(|password| {
            Some(Login {
                username: "robot".to_owned(),
                password: Secret::new(password),
            })
        });
        Box::pin(std::future::ready(login))
    }
}

pub(crate) fn complete(catalog: &Catalog) -> Vec<&str> {
    match catalog {
        Catalog::Complete(complete) => complete.tags().iter().map(|tag| &**tag).collect(),
        other => panic!("{other:?}"),
    }
}

pub(crate) fn incomplete(catalog: &Catalog) -> &Incomplete {
    match catalog {
        Catalog::Incomplete(incomplete) => incomplete,
        other => panic!("{other:?}"),
    }
}
