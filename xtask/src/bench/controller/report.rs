//! What the benchmark of the controller found, as text and as JSON.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{Display, Write as _};

use sealift_testkit::world::layout::Spec;
use serde::Serialize;

use super::Selection;
use super::usage::Usage;
use crate::bench::report::megabytes;

/// Everything that one benchmark found.
#[derive(Serialize)]
pub(super) struct Report {
    pub(super) spec: Spec,
    pub(super) selection: Selection,
    /// Of each Application, besides.
    pub(super) status_bytes: usize,
    pub(super) setup_seconds: f64,
    pub(super) cycles: Vec<Cycle>,
    pub(super) idle: Idle,
    /// From the edit of an Application to the end of the cycle about it.
    pub(super) edit_seconds: f64,
    /// Where the outcome is not what it must be; empty when all is well.
    pub(super) problems: Vec<String>,
}

/// What one cycle cost; the first one with start and lists.
#[derive(Serialize)]
pub(super) struct Cycle {
    pub(super) name: &'static str,
    /// Of the program and its children.
    pub(super) cpu_seconds: f64,
    /// After it.
    #[serde(flatten)]
    pub(super) usage: Usage,
    pub(super) registry_requests: BTreeMap<&'static str, u64>,
    /// By verb and resource, as the server's audit log counts them.
    pub(super) api_requests: BTreeMap<String, u64>,
}

/// What the time between the cycles cost, in which nothing changed.
#[derive(Serialize)]
pub(super) struct Idle {
    pub(super) seconds: f64,
    /// Of one core.
    pub(super) cpu_percent: f64,
    pub(super) registry_requests: BTreeMap<&'static str, u64>,
    pub(super) api_requests: BTreeMap<String, u64>,
}

impl Report {
    /// A column for each cycle, and one for the time between them.
    pub(super) fn text(&self) -> String {
        let spec = &self.spec;
        let selection = match self.selection {
            Selection::ImageUpdater => "selected by an ImageUpdater",
            Selection::Annotations => "selected by annotations",
        };
        let mut text = format!(
            "{} Applications x {} images {selection}, {} repositories x {} tags, \
             {} outdated, {}, seed {}; set up in {:.1} s\n\n",
            spec.applications,
            spec.images_per_application,
            spec.repositories,
            spec.tags_per_repository,
            spec.outdated(),
            spec.strategy,
            spec.seed,
            self.setup_seconds,
        );
        self.usage_rows(&mut text);
        let registry: Vec<_> = self
            .cycles
            .iter()
            .map(|one| &one.registry_requests)
            .collect();
        let registry = [registry[0], &self.idle.registry_requests, registry[1]];
        counted(&mut text, "registry requests", &registry);
        let api: Vec<_> = self.cycles.iter().map(|one| &one.api_requests).collect();
        counted(
            &mut text,
            "API requests",
            &[api[0], &self.idle.api_requests, api[1]],
        );
        let _ = writeln!(
            text,
            "\nan edited Application was looked at within {:.2} s",
            self.edit_seconds
        );
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

    fn usage_rows(&self, text: &mut String) {
        let between = format!("{:.0} s idle", self.idle.seconds);
        let percent = format!("{:.2}", self.idle.cpu_percent);
        let mut cycle_row = |name: &str, between: &str, value: &dyn Fn(&Cycle) -> String| {
            let values: Vec<String> = self.cycles.iter().map(value).collect();
            row(text, name, &[&values[0], &between, &values[1]]);
        };
        cycle_row("cycle", &between, &|one| one.name.to_owned());
        let cpu = "CPU seconds with children";
        cycle_row(cpu, "", &|one| format!("{:.2}", one.cpu_seconds));
        cycle_row("CPU, % of one core", &percent, &|_| String::new());
        cycle_row("resident MB after it", "", &|one| {
            megabytes(one.usage.resident_bytes)
        });
        cycle_row("  anonymous", "", &|one| {
            megabytes(one.usage.anonymous_bytes)
        });
        cycle_row("  pages of files", "", &|one| {
            megabytes(one.usage.file_bytes)
        });
        cycle_row("peak MB", "", &|one| megabytes(one.usage.peak_bytes));
    }
}

/// The sum and every kind.
fn counted<K: Ord + Display>(text: &mut String, name: &str, all: &[&BTreeMap<K, u64>; 3]) {
    let sums = all.map(|counts| counts.values().sum::<u64>());
    row(text, name, &[&sums[0], &sums[1], &sums[2]]);
    let kinds: BTreeSet<&K> = all.iter().flat_map(|counts| counts.keys()).collect();
    for kind in kinds {
        let counts = all.map(|counts| counts.get(kind).copied().unwrap_or_default());
        row(
            text,
            &format!("  {kind}"),
            &[&counts[0], &counts[1], &counts[2]],
        );
    }
}

fn row(text: &mut String, name: &str, values: &[&dyn Display]) {
    let _ = write!(text, "{name:<34}");
    for value in values {
        let _ = write!(text, "{value:>12}");
    }
    text.truncate(text.trim_end().len());
    text.push('\n');
}
