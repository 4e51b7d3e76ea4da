//! The metrics of Argo CD Image Updater by their names, so that dashboards and alerts go on. Each
//! counts; some of the peer's never do.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use sealift_net::Net;

use crate::cluster::counted::Requests;
use crate::pipeline::report::Report;

/// Labels of an ImageUpdater.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, EncodeLabelSet)]
struct UpdaterLabels {
    image_updater_cr_name: String,
    image_updater_cr_namespace: String,
}

/// Label of a registry: host and port.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RegistryLabels {
    registry: String,
}

/// The peer's metrics.
#[derive(Default)]
pub struct Peer {
    applications: Family<UpdaterLabels, Gauge<i64, AtomicI64>>,
    images: Family<UpdaterLabels, Gauge<i64, AtomicI64>>,
    updated: Family<UpdaterLabels, Counter>,
    errors: Family<UpdaterLabels, Counter>,
    registry_requests: Family<RegistryLabels, Counter>,
    registry_failures: Family<RegistryLabels, Counter>,
    api_requests: Counter,
    api_errors: Counter,
    /// Objects that have series.
    known: Mutex<BTreeSet<UpdaterLabels>>,
    net: OnceLock<Net>,
    api: OnceLock<Arc<Requests>>,
}

impl Peer {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let peer = Self::default();
        let registry = registry.sub_registry_with_prefix("argocd_image_updater");
        let help = "Applications that an ImageUpdater follows";
        let applications = peer.applications.clone();
        registry.register("applications_watched_total", help, applications);
        let help = "Images that its last cycle considered";
        registry.register("images_watched_total", help, peer.images.clone());
        let help = "Images that got a new version";
        registry.register("images_updated", help, peer.updated.clone());
        let help = "Images and settings that failed";
        registry.register("images_errors", help, peer.errors.clone());
        let help = "Requests to a registry";
        let requests = peer.registry_requests.clone();
        registry.register("registry_requests", help, requests);
        let help = "Requests to a registry without an answer, or with 429 or 5xx";
        let failures = peer.registry_failures.clone();
        registry.register("registry_requests_failed", help, failures);
        let help = "Requests to the API server";
        registry.register("k8s_api_requests", help, peer.api_requests.clone());
        let help = "Requests to the API server without an answer, or with 400 and above";
        registry.register("k8s_api_errors", help, peer.api_errors.clone());
        peer
    }

    /// Reads requests to registries from here from now on.
    pub fn follow_registries(&self, net: Net) {
        let _first = self.net.set(net);
    }

    /// Reads requests to the API server from here from now on.
    pub fn follow_api(&self, requests: Arc<Requests>) {
        let _first = self.api.set(requests);
    }

    /// Takes over what a cycle says of ImageUpdaters. Only a `whole` one knows their numbers, and
    /// which are gone: their series end.
    pub fn cycle(&self, report: &Report, whole: bool) {
        let mut now = BTreeSet::new();
        for updater in &report.image_updaters {
            let labels = UpdaterLabels {
                image_updater_cr_name: updater.image_updater.name.clone(),
                image_updater_cr_namespace: updater.image_updater.namespace.clone(),
            };
            let found = updater.found();
            if whole {
                let gauge = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
                let applications = self.applications.get_or_create_owned(&labels);
                applications.set(gauge(found.applications));
                let images = self.images.get_or_create_owned(&labels);
                images.set(gauge(found.images.len()));
            }
            let updated = self.updated.get_or_create_owned(&labels);
            updated.inc_by(found.updated() as u64);
            let errors = self.errors.get_or_create_owned(&labels);
            errors.inc_by(found.new_errors() as u64);
            now.insert(labels);
        }
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if !whole {
            known.append(&mut now);
            return;
        }
        for gone in known.difference(&now) {
            self.remove(gone);
        }
        *known = now;
    }

    /// Gives each family a series, so that all of them are shown.
    #[cfg(test)]
    pub(super) fn touch(&self) {
        let updater = UpdaterLabels {
            image_updater_cr_name: String::new(),
            image_updater_cr_namespace: String::new(),
        };
        let registry = RegistryLabels {
            registry: String::new(),
        };
        drop(self.applications.get_or_create(&updater));
        drop(self.images.get_or_create(&updater));
        drop(self.updated.get_or_create(&updater));
        drop(self.errors.get_or_create(&updater));
        drop(self.registry_requests.get_or_create(&registry));
        drop(self.registry_failures.get_or_create(&registry));
    }

    /// Ends the series of every ImageUpdater but these, by namespace and name.
    pub fn keep(&self, living: &BTreeSet<(String, String)>) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|labels| {
            let key = (
                labels.image_updater_cr_namespace.clone(),
                labels.image_updater_cr_name.clone(),
            );
            let lives = living.contains(&key);
            if !lives {
                self.remove(labels);
            }
            lives
        });
    }

    fn remove(&self, gone: &UpdaterLabels) {
        self.applications.remove(gone);
        self.images.remove(gone);
        self.updated.remove(gone);
        self.errors.remove(gone);
    }

    /// Takes over what is counted elsewhere: somebody is about to look.
    pub(super) fn look(&self) {
        let set = |counter: &Counter, value| counter.inner().store(value, Ordering::Relaxed);
        for (registry, counts) in self.net.get().map(Net::registries).unwrap_or_default() {
            let labels = RegistryLabels { registry };
            set(
                &self.registry_requests.get_or_create_owned(&labels),
                counts.sent,
            );
            set(
                &self.registry_failures.get_or_create_owned(&labels),
                counts.failed,
            );
        }
        if let Some(requests) = self.api.get() {
            set(&self.api_requests, requests.sent());
            set(&self.api_errors, requests.failed());
        }
    }
}
