//! What a benchmark found, as text and as JSON.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use sealift_testkit::world::layout::Spec;
use serde::Serialize;

use super::measure::Measured;

/// Everything that one benchmark found.
#[derive(Serialize)]
pub(super) struct Report {
    pub(super) spec: Spec,
    pub(super) setup_seconds: f64,
    pub(super) cycles: Vec<Cycle>,
    /// Where the outcome is not what it must be; empty when all is well.
    pub(super) problems: Vec<String>,
}

/// What one cycle cost.
#[derive(Serialize)]
pub(super) struct Cycle {
    pub(super) name: &'static str,
    #[serde(flatten)]
    pub(super) measured: Measured,
    pub(super) registry_requests: BTreeMap<&'static str, u64>,
    pub(super) git_requests: BTreeMap<&'static str, u64>,
    pub(super) git_processes: usize,
    pub(super) pushes: u64,
    /// On top of the first commits, over all repositories, after this cycle.
    pub(super) commits: usize,
}

impl Report {
    /// One column a cycle.
    pub(super) fn text(&self) -> String {
        let spec = &self.spec;
        let mut text = format!(
            "{} Applications x {} images, {} repositories x {} tags, {} Git repositories, \
             {} outdated, {}, {} ms a request, seed {}; set up in {:.1} s\n\n",
            spec.applications,
            spec.images_per_application,
            spec.repositories,
            spec.tags_per_repository,
            spec.git_repositories,
            spec.outdated(),
            spec.strategy,
            spec.latency_ms,
            spec.seed,
            self.setup_seconds,
        );
        let mut row = |name: &str, value: &dyn Fn(&Cycle) -> String| {
            let _ = write!(text, "{name:<28}");
            for cycle in &self.cycles {
                let _ = write!(text, "{:>14}", value(cycle));
            }
            text.push('\n');
        };
        row("cycle", &|cycle| cycle.name.to_owned());
        row("wall seconds", &|cycle| {
            format!("{:.2}", cycle.measured.wall_seconds)
        });
        row("CPU seconds with children", &|cycle| {
            format!("{:.2}", cycle.measured.cpu_seconds)
        });
        row("peak MB, main process", &|cycle| {
            megabytes(cycle.measured.peak_main_bytes)
        });
        row("peak MB, largest process", &|cycle| {
            megabytes(cycle.measured.peak_largest_bytes)
        });
        row("registry requests", &|cycle| {
            total(&cycle.registry_requests)
        });
        for kind in self.kinds(|cycle| &cycle.registry_requests) {
            row(&format!("  {kind}"), &|cycle| {
                count(&cycle.registry_requests, kind)
            });
        }
        row("Git requests", &|cycle| total(&cycle.git_requests));
        for kind in self.kinds(|cycle| &cycle.git_requests) {
            row(&format!("  {kind}"), &|cycle| {
                count(&cycle.git_requests, kind)
            });
        }
        row("Git processes", &|cycle| cycle.git_processes.to_string());
        row("pushes", &|cycle| cycle.pushes.to_string());
        row("commits so far", &|cycle| cycle.commits.to_string());
        for problem in &self.problems {
            let _ = write!(text, "\nwrong: {problem}");
        }
        text.push_str(if self.problems.is_empty() {
            "\nthe outcome is right\n"
        } else {
            "\n"
        });
        text
    }

    /// Every kind of request that some cycle made.
    fn kinds(&self, of: fn(&Cycle) -> &BTreeMap<&'static str, u64>) -> Vec<&'static str> {
        let mut kinds: Vec<&str> = self
            .cycles
            .iter()
            .flat_map(|c| of(c).keys().copied())
            .collect();
        kinds.sort_unstable();
        kinds.dedup();
        kinds
    }
}

fn total(counts: &BTreeMap<&'static str, u64>) -> String {
    counts.values().sum::<u64>().to_string()
}

fn count(counts: &BTreeMap<&'static str, u64>, kind: &str) -> String {
    counts.get(kind).copied().unwrap_or_default().to_string()
}

pub(super) fn megabytes(bytes: u64) -> String {
    let tenths = bytes / 100_000;
    format!("{}.{}", tenths / 10, tenths % 10)
}
