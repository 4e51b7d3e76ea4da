//! The Kubernetes API server: how it is found, reached and watched.
//!
//! Here: connection, watches, and the cluster as one more source behind the port
//! [`crate::objects::Objects`]. Not here: what objects mean (`sealift_core`), and what is decided.
//! Kubernetes API concepts: "Efficient detection of changes", "Retrieving large results sets in
//! chunks".

pub mod config;
pub mod counted;
pub mod events;
pub mod intents;
pub mod lease;
pub mod objects;
mod read;
pub mod release;
pub mod status;
pub mod watch;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use kube::Client;
use kube::api::ObjectMeta;
use kube::client::ClientBuilder;
use kube::core::ApiResource;
pub use sealift_core::environment::Namespaces;
use sealift_core::limits::{CLUSTER_START_SECS_MAX, KUBE_CONNECT_MS_MAX, KUBE_REQUEST_MS_MAX};
use sealift_core::manifest::ApplicationManifest;
use serde_json::Value;
use tokio::time::Instant;

use config::Configuration;
use counted::{Counting, Requests};
use objects::ClusterObjects;
use watch::{Edited, Kind, Watch};

use crate::objects::ListedPolicy;

/// The scopes to watch, `None` for all namespaces at once; `home` is among them.
fn scopes_of(namespaces: &Namespaces, home: Option<&str>) -> Vec<Option<String>> {
    match namespaces {
        Namespaces::All => vec![None],
        Namespaces::Named(names) => {
            let mut names = names.clone();
            names.extend(home.map(str::to_owned));
            names.into_iter().map(Some).collect()
        }
    }
}

/// A cluster that is watched. Watches end when this is dropped.
pub struct Cluster {
    client: Client,
    requests: Arc<Requests>,
    applications: Vec<Watch<ApplicationManifest>>,
    image_updaters: Vec<Watch<Value>>,
    policies: Vec<Watch<Value>>,
}

impl Cluster {
    /// Connects and begins to watch. `home` is the operator's namespace, whose policies count
    /// everywhere.
    ///
    /// # Errors
    /// The configuration cannot be used. A server that does not answer is no error yet.
    pub async fn watch(
        configuration: &Configuration,
        namespaces: &Namespaces,
        home: &str,
    ) -> anyhow::Result<Self> {
        let mut config = configuration.load().await?;
        config.connect_timeout = Some(Duration::from_millis(KUBE_CONNECT_MS_MAX));
        // The retries are ours: those of the client wait as long as a server says.
        config.default_retry = false;
        let requests = Arc::new(Requests::default());
        let client = ClientBuilder::try_from(config)?;
        let client = client.with_layer(&Counting(Arc::clone(&requests))).build();
        let kind = Kind::required(resource("argoproj.io", "Application", "applications"));
        let scopes = scopes_of(namespaces, None).into_iter();
        let applications = scopes
            .map(|scope| Watch::start(client.clone(), &kind, scope.as_deref()))
            .collect();
        let watch = |kind: &Kind, scope: &Option<String>| {
            Watch::start(client.clone(), kind, scope.as_deref())
        };
        let kind = Kind::optional(resource(UPDATER_GROUP, "ImageUpdater", "imageupdaters"));
        let scopes = scopes_of(namespaces, None).into_iter();
        let image_updaters = scopes
            .map(|scope| Watch::start(client.clone(), &kind, scope.as_deref()))
            .collect();
        let mut policies = Vec::new();
        for (name, plural) in POLICY_KINDS {
            let kind = Kind::optional(resource(POLICY_GROUP, name, plural));
            for scope in scopes_of(namespaces, Some(home)) {
                policies.push(watch(&kind, &scope));
            }
        }
        let kind = Kind::optional(resource(POLICY_GROUP, CLUSTER_POLICY.0, CLUSTER_POLICY.1));
        policies.push(watch(&kind, &None));
        Ok(Self {
            client,
            requests,
            applications,
            image_updaters,
            policies,
        })
    }

    /// The client, for single requests.
    #[must_use]
    pub const fn client(&self) -> &Client {
        &self.client
    }

    /// What was asked of the API server so far.
    #[must_use]
    pub const fn requests(&self) -> &Arc<Requests> {
        &self.requests
    }

    /// An Application, as the API server identifies it: `uid` and `resourceVersion`.
    fn application_meta(&self, namespace: &str, name: &str) -> Option<ObjectMeta> {
        let key = (namespace.to_owned(), name.to_owned());
        let mut watches = self.applications.iter();
        watches.find_map(|watch| watch.meta(&key))
    }

    /// Waits until every watch has an answer: its objects, or why there are none.
    pub async fn answered(&self) {
        let deadline = Instant::now() + Duration::from_secs(CLUSTER_START_SECS_MAX);
        for watch in &self.applications {
            let _late = tokio::time::timeout_at(deadline, watch.answered()).await;
        }
        for watch in self.image_updaters.iter().chain(&self.policies) {
            let _late = tokio::time::timeout_at(deadline, watch.answered()).await;
        }
    }

    /// What tells of edits from now on.
    #[must_use]
    pub fn edits(&self) -> Edits {
        let applications = self.applications.iter().map(Watch::edits);
        let others = self.image_updaters.iter().chain(&self.policies);
        let mut edits = Edits(applications.chain(others.map(Watch::edits)).collect());
        edits.forget();
        edits
    }

    /// The Applications that were edited since this was asked last, by `namespace/name`. `None`:
    /// more than Applications, or more of them than can be named; look at everything.
    #[must_use]
    pub fn take_edited(&self) -> Option<BTreeSet<String>> {
        let mut applications = Edited::default();
        for watch in &self.applications {
            applications.add(watch.take_edited());
        }
        // What governs or selects Applications may concern all of them.
        let others = self.image_updaters.iter().map(Watch::take_edited);
        let others = others.chain(self.policies.iter().map(Watch::take_edited));
        // All are asked, also behind one that was edited.
        let others: Vec<Edited> = others.collect();
        let quiet = others.iter().all(|one| *one == Edited::default());
        match applications {
            Edited::These(keys) if quiet => {
                let id = |(namespace, name)| format!("{namespace}/{name}");
                Some(keys.into_iter().map(id).collect())
            }
            _ => None,
        }
    }

    /// What is known now, as one cycle sees it; `policies` count beside those of the cluster.
    #[must_use]
    pub fn view(self: &Arc<Self>, policies: Vec<ListedPolicy>) -> ClusterObjects {
        ClusterObjects::new(Arc::clone(self), policies)
    }
}

/// Tells of edits that decisions may differ by.
#[derive(Debug)]
pub struct Edits(Vec<tokio::sync::watch::Receiver<u64>>);

impl Edits {
    /// Returns when something has been edited since it was last forgotten.
    pub async fn next(&mut self) {
        let any = self.0.iter_mut().map(|one| Box::pin(one.changed()));
        let (ended, ..) = futures_util::future::select_all(any).await;
        if ended.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Whatever was edited before this counts no more: a cycle is about to read it.
    pub fn forget(&mut self) {
        self.0
            .iter_mut()
            .for_each(tokio::sync::watch::Receiver::mark_unchanged);
    }
}

/// Group of `ImageUpdater`.
const UPDATER_GROUP: &str = "argocd-image-updater.argoproj.io";
/// Group of policies and exceptions.
const POLICY_GROUP: &str = "sealift.dev";
/// Kinds of that group that live in namespaces, and their plurals.
const POLICY_KINDS: [(&str, &str); 2] = [
    ("PromotionPolicy", "promotionpolicies"),
    ("PolicyException", "policyexceptions"),
];
/// The kind that does not.
const CLUSTER_POLICY: (&str, &str) = ("ClusterPromotionPolicy", "clusterpromotionpolicies");

/// A resource of version `v1alpha1`: every kind that is watched has that one.
fn resource(group: &str, kind: &str, plural: &str) -> ApiResource {
    ApiResource {
        group: group.to_owned(),
        version: "v1alpha1".to_owned(),
        api_version: format!("{group}/v1alpha1"),
        kind: kind.to_owned(),
        plural: plural.to_owned(),
    }
}

/// The bound of one request.
pub(crate) const REQUEST_TIMEOUT: Duration = Duration::from_millis(KUBE_REQUEST_MS_MAX);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn policies_of_the_operators_namespace_are_always_among_those_watched() {
        let namespaces = Namespaces::parse("a", "argocd");
        assert_eq!(
            scopes_of(&namespaces, Some("argocd")),
            [Some("a".to_owned()), Some("argocd".to_owned())]
        );
        assert_eq!(scopes_of(&Namespaces::All, Some("argocd")), [None]);
    }
}
