//! The Kubernetes API server: how it is found, reached and watched.
//!
//! Here: connection, watches, and the cluster as one more source behind the port
//! [`crate::objects::Objects`]. Not here: what objects mean (`sealift_core`), and what is decided.
//! Kubernetes API concepts: "Efficient detection of changes", "Retrieving large results sets in
//! chunks".

pub mod config;
pub mod lease;
pub mod objects;
mod read;
pub mod watch;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use kube::Client;
use kube::core::ApiResource;
use sealift_core::limits::{CLUSTER_START_SECS_MAX, KUBE_CONNECT_MS_MAX, KUBE_REQUEST_MS_MAX};
use sealift_core::manifest::ApplicationManifest;
use serde_json::Value;
use tokio::time::Instant;

use config::Configuration;
use objects::ClusterObjects;
use watch::{Edited, Kind, Watch};

use crate::objects::ListedPolicy;

/// Which namespaces Applications are read from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Namespaces {
    /// All of them.
    All,
    /// These.
    Named(BTreeSet<String>),
}

impl Namespaces {
    /// Reads `--watch-namespaces`: nothing is `own`, `*` is all, else a list.
    #[must_use]
    pub fn parse(text: &str, own: &str) -> Self {
        let names = text.split(',').map(str::trim);
        let names: BTreeSet<String> = names
            .filter(|name| !name.is_empty())
            .map(str::to_owned)
            .collect();
        if names.contains("*") {
            Self::All
        } else if names.is_empty() {
            Self::Named(BTreeSet::from([own.to_owned()]))
        } else {
            Self::Named(names)
        }
    }

    /// Whether Applications of `namespace` are among them.
    #[must_use]
    pub fn contain(&self, namespace: &str) -> bool {
        match self {
            Self::All => true,
            Self::Named(names) => names.contains(namespace),
        }
    }

    /// The scopes to watch, `None` for all namespaces at once; `home` is among them.
    fn scopes(&self, home: Option<&str>) -> Vec<Option<String>> {
        match self {
            Self::All => vec![None],
            Self::Named(names) => {
                let mut names = names.clone();
                names.extend(home.map(str::to_owned));
                names.into_iter().map(Some).collect()
            }
        }
    }
}

/// A cluster that is watched. Watches end when this is dropped.
pub struct Cluster {
    client: Client,
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
        let client = Client::try_from(config)?;
        let kind = Kind::required(resource("argoproj.io", "Application", "applications"));
        let scopes = namespaces.scopes(None).into_iter();
        let applications = scopes
            .map(|scope| Watch::start(client.clone(), &kind, scope.as_deref()))
            .collect();
        let watch = |kind: &Kind, scope: &Option<String>| {
            Watch::start(client.clone(), kind, scope.as_deref())
        };
        let kind = Kind::optional(resource(UPDATER_GROUP, "ImageUpdater", "imageupdaters"));
        let scopes = namespaces.scopes(None).into_iter();
        let image_updaters = scopes
            .map(|scope| Watch::start(client.clone(), &kind, scope.as_deref()))
            .collect();
        let mut policies = Vec::new();
        for (name, plural) in POLICY_KINDS {
            let kind = Kind::optional(resource(POLICY_GROUP, name, plural));
            for scope in namespaces.scopes(Some(home)) {
                policies.push(watch(&kind, &scope));
            }
        }
        let kind = Kind::optional(resource(POLICY_GROUP, CLUSTER_POLICY.0, CLUSTER_POLICY.1));
        policies.push(watch(&kind, &None));
        Ok(Self {
            client,
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
    fn namespaces_read_as_argo_cd_image_updater_reads_them() {
        let named = |names: &[&str]| {
            Namespaces::Named(names.iter().map(|name| (*name).to_owned()).collect())
        };
        assert_eq!(Namespaces::parse("", "argocd"), named(&["argocd"]));
        assert_eq!(Namespaces::parse(" , ", "argocd"), named(&["argocd"]));
        assert_eq!(Namespaces::parse("a, b,a", "argocd"), named(&["a", "b"]));
        assert_eq!(Namespaces::parse("*", "argocd"), Namespaces::All);
    }

    #[test]
    fn policies_of_the_operators_namespace_are_always_among_those_watched() {
        let namespaces = Namespaces::parse("a", "argocd");
        assert_eq!(
            namespaces.scopes(Some("argocd")),
            [Some("a".to_owned()), Some("argocd".to_owned())]
        );
        assert_eq!(Namespaces::All.scopes(Some("argocd")), [None]);
    }
}
