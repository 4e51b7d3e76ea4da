//! What the engine says on the API server beside what it writes to Git: statuses, Kubernetes events,
//! and the finalizers that it takes off. None of it in a dry run, beside another that writes, or
//! once another replica may lead; and nothing that cannot be said stops a cycle.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use jiff::Timestamp;
use sealift_core::event::{Body, Cause, Notice};

use super::{Engine, Mode};
use crate::cluster::lease::Leader;
use crate::cluster::release::{Releaser, Releasing};
use crate::cluster::status::{StatusWriter, Statuses};
use crate::cluster::{self, Cluster};
use crate::objects::{ListedPolicy, Objects};
use crate::pipeline::report::Report;
use crate::policies::Remark;

impl Engine {
    /// Lets go of ImageUpdaters that are being deleted, from now on, until the answer is dropped.
    #[must_use]
    pub fn release(&self, cluster: &Arc<Cluster>) -> Option<Releasing> {
        Some(self.releaser(cluster)?.start())
    }

    /// Lets go of those that are being deleted now.
    ///
    /// # Errors
    /// As [`Engine::connect`].
    pub async fn release_once(&self) -> anyhow::Result<()> {
        let cluster = self.connect().await?;
        if let Some(mut releaser) = cluster.and_then(|cluster| self.releaser(&cluster)) {
            releaser.all().await;
        }
        Ok(())
    }

    fn releaser(&self, cluster: &Arc<Cluster>) -> Option<Releaser> {
        let (cluster, metrics) = (Arc::clone(cluster), Arc::clone(&self.metrics));
        let releaser = Releaser::new(cluster, self.leader.clone(), metrics);
        (self.mode == Mode::Write).then_some(releaser)
    }

    /// The API server, where something may be said there: not in a dry run, beside another that
    /// writes, or once another replica may lead.
    async fn told_cluster(&self) -> Option<Arc<Cluster>> {
        let may = self.mode == Mode::Write && self.leads();
        self.connect().await.ok()?.filter(|_| may)
    }

    fn leads(&self) -> bool {
        self.leader.as_ref().is_none_or(Leader::leads)
    }

    /// Counts what a cycle says of ImageUpdaters. Who leads no more counts none: another does.
    pub(super) async fn count(&self, report: &Report, whole: bool) -> anyhow::Result<()> {
        let peer = &self.metrics.peer;
        if !self.leads() {
            peer.keep(&BTreeSet::new());
            return Ok(());
        }
        peer.cycle(report, whole);
        // One may have gone since the cycle looked.
        let cluster = self.connect().await?;
        if let Some(living) = cluster.and_then(|cluster| cluster.living_image_updaters()) {
            peer.keep(&living);
        }
        Ok(())
    }

    /// Says on each ImageUpdater that a whole cycle has begun, until it is over.
    pub(super) async fn tell_start(
        &self,
        statuses: &mut StatusWriter,
        objects: &dyn Objects,
        whole: bool,
        over: &AtomicBool,
    ) -> Vec<Remark> {
        let Some(cluster) = self.told_cluster().await.filter(|_| whole) else {
            return Vec::new();
        };
        let updaters = objects.image_updaters().await.unwrap_or_default();
        let (leader, now) = (self.leader.as_ref(), Timestamp::now());
        let when = (now, over);
        statuses.begin(&cluster, &updaters, leader, when).await
    }

    /// Says on each ImageUpdater that a whole cycle came to no end. What cannot be said stands in
    /// the log beside the failure.
    pub(super) async fn tell_failure(&mut self, failure: &str) {
        let Some(cluster) = self.told_cluster().await else {
            return;
        };
        let updaters = cluster.view(Vec::new()).image_updaters().await;
        let now = Timestamp::now();
        let failure = (failure, now);
        let updaters = updaters.unwrap_or_default();
        let leader = self.leader.as_ref();
        let remarks = self.statuses.fail(&cluster, &updaters, leader, failure);
        let remarks = remarks.await;
        if let Err(error) = self.record_remarks(&remarks, now) {
            tracing::debug!(error = format!("{error:#}"), "remarks were not recorded");
        }
    }

    /// Says on the API server what a cycle has to say there. What cannot be said stops nothing.
    pub(super) async fn tell(
        &mut self,
        report: &Report,
        objects: &dyn Objects,
        policies: &[ListedPolicy],
    ) -> anyhow::Result<()> {
        let Some(cluster) = self.told_cluster().await else {
            return Ok(());
        };
        // Where they are not known any more, nothing is said of them.
        let updaters = objects.image_updaters().await.unwrap_or_default();
        let (set, findings) = self.policies.standing();
        let now = Timestamp::now();
        let statuses = Statuses {
            report,
            updaters: &updaters,
            policies,
            set: &set,
            findings: &findings,
            leader: self.leader.as_ref(),
            now,
        };
        let mut remarks = self.statuses.write(&cluster, &statuses).await;
        if self.kube_events {
            let leader = self.leader.as_ref();
            remarks.extend(cluster::events::send(&cluster, report, leader, now).await);
        }
        self.record_remarks(&remarks, now)
    }

    /// Says and records what is to be said of policies.
    pub(super) fn record_remarks(&self, remarks: &[Remark], now: Timestamp) -> anyhow::Result<()> {
        for remark in remarks {
            let Remark {
                subject,
                reason,
                detail,
            } = remark;
            tracing::warn!(reason = reason.id(), subject, "{detail}");
            self.metrics.notice(*reason);
            if let Some(journal) = &self.journal {
                let cause = Cause::new(*reason, detail.clone());
                let body = Body::Notice(Notice {
                    cause,
                    subject: subject.clone(),
                    application: None,
                });
                journal.record(&body, now)?;
            }
        }
        Ok(())
    }
}
