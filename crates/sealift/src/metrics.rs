//! What `/metrics` shows: whether Sealift is healthy, how late it is, and how often it refused and
//! why. No names of Applications in labels: their number is not ours to bound.

mod peer;

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use jiff::Timestamp;
use prometheus_client::encoding::{EncodeLabelSet, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};
use sealift_core::event::{Considered, Cycle, PushResult};
use sealift_core::reason::Reason;

pub use peer::Peer;

/// Label of decisions.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct DecisionLabels {
    decision: &'static str,
    reason: String,
}

/// Label of things counted by one word.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct KindLabels {
    kind: String,
}

/// Every metric of the program.
pub struct Metrics {
    registry: Registry,
    /// Those of Argo CD Image Updater, by its names.
    pub peer: Peer,
    decisions: Family<DecisionLabels, Counter>,
    requests: Family<KindLabels, Counter>,
    pushes: Family<KindLabels, Counter>,
    notices: Family<KindLabels, Counter>,
    cycles: Counter,
    cycle_seconds: Histogram,
    applications: Gauge<i64, AtomicI64>,
    images: Gauge<i64, AtomicI64>,
    last_cycle: Gauge<f64, AtomicU64>,
    ready: std::sync::atomic::AtomicBool,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut whole = Registry::default();
        let peer = Peer::register(&mut whole);
        let registry = whole.sub_registry_with_prefix("sealift");
        let metrics = Self {
            peer,
            decisions: Family::default(),
            requests: Family::default(),
            pushes: Family::default(),
            notices: Family::default(),
            cycles: Counter::default(),
            cycle_seconds: Histogram::new(exponential_buckets(0.05, 2.0, 14)),
            applications: Gauge::default(),
            images: Gauge::default(),
            last_cycle: Gauge::default(),
            ready: std::sync::atomic::AtomicBool::new(false),
            registry: Registry::default(),
        };
        let Metrics {
            decisions,
            requests,
            pushes,
            notices,
            cycles,
            cycle_seconds,
            ..
        } = &metrics;
        registry.register("decisions", "Decisions about images", decisions.clone());
        registry.register(
            "registry_requests",
            "Requests to registries",
            requests.clone(),
        );
        registry.register("pushes", "Pushes to Git by result", pushes.clone());
        let help = "Notices about policies and trust roots by reason";
        registry.register("notices", help, notices.clone());
        registry.register("cycles", "Cycles that came to their end", cycles.clone());
        let help = "Wall time of a cycle";
        registry.register_with_unit("cycle_duration", help, Unit::Seconds, cycle_seconds.clone());
        let help = "Applications followed in the last cycle";
        registry.register("applications_followed", help, metrics.applications.clone());
        let help = "Images considered in the last cycle";
        registry.register("images_considered", help, metrics.images.clone());
        let help = "End of the last cycle, Unix time";
        let last = metrics.last_cycle.clone();
        registry.register_with_unit("last_cycle_timestamp", help, Unit::Seconds, last);
        Self {
            registry: whole,
            ..metrics
        }
    }
}

impl Metrics {
    /// Counts one decision.
    pub fn considered(&self, considered: &Considered) {
        let reason = considered
            .reasons
            .first()
            .map(|cause| cause.reason.to_string());
        let labels = DecisionLabels {
            decision: considered.decision.word(),
            reason: reason.unwrap_or_default(),
        };
        self.decisions.get_or_create(&labels).inc();
    }

    /// Counts one push.
    pub fn push(&self, result: PushResult) {
        let labels = KindLabels {
            kind: result.word().to_owned(),
        };
        self.pushes.get_or_create(&labels).inc();
    }

    /// Counts one notice about policies or trust roots.
    pub fn notice(&self, reason: Reason) {
        let labels = KindLabels {
            kind: reason.id().to_owned(),
        };
        self.notices.get_or_create(&labels).inc();
    }

    /// Makes the program ready before its first cycle: a replica that waits for its turn.
    pub fn set_ready(&self) {
        self.ready.store(true, Ordering::Release);
    }

    /// Takes over a cycle's numbers. The first one makes the program ready.
    pub fn cycle(&self, cycle: &Cycle, whole: bool, now: Timestamp) {
        self.cycles.inc();
        self.cycle_seconds
            .observe(cycle.duration_ms as f64 / 1000.0);
        if whole {
            self.applications
                .set(i64::try_from(cycle.applications).unwrap_or(i64::MAX));
            self.images
                .set(i64::try_from(cycle.considered).unwrap_or(i64::MAX));
        }
        self.last_cycle.set(now.as_millisecond() as f64 / 1000.0);
        for (kind, count) in &cycle.requests {
            let labels = KindLabels { kind: kind.clone() };
            self.requests.get_or_create(&labels).inc_by(*count);
        }
        self.ready.store(true, Ordering::Release);
    }

    /// Whether a cycle has come to its end.
    pub fn is_ready(&self) -> bool {
        self.ready.load(Ordering::Acquire)
    }

    /// The text of `/metrics`. OpenMetrics 1.0.
    pub fn text(&self) -> String {
        let mut out = String::new();
        self.peer.look();
        // Writing to a string cannot fail.
        let _ = text::encode(&mut out, &self.registry);
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_program_is_ready_after_its_first_cycle_and_counts_it() {
        let metrics = Metrics::default();
        assert!(!metrics.is_ready());
        metrics.cycle(
            &Cycle {
                applications: 4,
                ..Cycle::default()
            },
            true,
            Timestamp::UNIX_EPOCH,
        );
        assert!(metrics.is_ready());
        let text = metrics.text();
        assert!(text.contains("sealift_cycles_total 1"), "{text}");
        assert!(text.contains("sealift_applications_followed 4"), "{text}");
    }

    /// Name, type and labels of each metric that is shown, as rows of the page begin.
    fn rows(text: &str) -> Vec<String> {
        let types = text.lines().filter_map(|line| line.strip_prefix("# TYPE "));
        let row = |line: &str| {
            let (family, kind) = line.split_once(' ').unwrap();
            let suffix = match kind {
                "counter" => "_total",
                "histogram" => "_bucket",
                _ => "",
            };
            let name = format!("{family}{suffix}");
            let sample = text
                .lines()
                .find_map(|line| line.strip_prefix(&name))
                .unwrap();
            let labels = sample
                .strip_prefix('{')
                .and_then(|rest| rest.split_once('}'));
            let labels = labels.map_or("", |(labels, _)| labels).split(',');
            let labels = labels.filter_map(|label| label.split_once('='));
            let labels: Vec<String> = labels
                .filter(|(name, _)| *name != "le")
                .map(|(name, _)| format!("`{name}`"))
                .collect();
            let labels = match labels.is_empty() {
                true => "–".to_owned(),
                false => labels.join(", "),
            };
            let name = name.strip_suffix("_bucket").unwrap_or(&name);
            format!("| `{name}` | {kind} | {labels} | ")
        };
        types.map(row).collect()
    }

    #[test]
    fn the_page_about_metrics_names_each_of_them_with_its_type_and_its_labels() {
        let metrics = Metrics::default();
        metrics.peer.touch();
        let labels = DecisionLabels {
            decision: "updated",
            reason: String::new(),
        };
        drop(metrics.decisions.get_or_create(&labels));
        let labels = KindLabels {
            kind: String::new(),
        };
        for family in [&metrics.requests, &metrics.pushes, &metrics.notices] {
            drop(family.get_or_create(&labels));
        }
        let rows = rows(&metrics.text());
        let page = include_str!("../../../docs/metrics.md");
        for row in &rows {
            assert!(page.contains(row.as_str()), "docs/metrics.md lacks: {row}");
        }
        let names = ["| `sealift_", "| `argocd_image_updater_"];
        let documented = page
            .lines()
            .filter(|line| names.iter().any(|name| line.starts_with(name)));
        assert_eq!(documented.count(), rows.len(), "one of them is not shown");
    }
}
