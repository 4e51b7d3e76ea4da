//! `cargo xtask test`: everything that must hold before a change lands, one line a step.
//!
//! The last lines say what ran, what did not and why; the very last holds the counts.

mod packages;
mod steps;

use std::fmt::Write as _;
use std::path::Path;
use std::time::Instant;

use anyhow::{Result, bail};

/// `cargo xtask test`
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Run one step only (see `--list`).
    #[arg(long, value_name = "STEP")]
    only: Option<String>,
    /// Print the names of the steps and do nothing.
    #[arg(long)]
    list: bool,
}

/// One part of the test.
struct Step {
    name: &'static str,
    run: fn(&Path) -> Result<Outcome>,
}

/// How often a step's claims held.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) passed: usize,
    pub(crate) failed: usize,
    pub(crate) skipped: usize,
    /// Why something was skipped or failed, in a few words.
    pub(crate) why: String,
}

impl Outcome {
    fn of(passed: bool) -> Self {
        Self {
            passed: passed.into(),
            failed: (!passed).into(),
            ..Self::default()
        }
    }
}

const STEPS: &[Step] = &[
    Step {
        name: "packages",
        run: steps::packages,
    },
    Step {
        name: "kube",
        run: steps::kube,
    },
    Step {
        name: "helm",
        run: steps::helm,
    },
    Step {
        name: "fmt",
        run: steps::formatted,
    },
    Step {
        name: "clippy",
        run: steps::clippy,
    },
    Step {
        name: "tidy",
        run: steps::tidy,
    },
    Step {
        name: "alone",
        run: steps::each_crate_alone,
    },
    Step {
        name: "tests",
        run: steps::tests,
    },
    Step {
        name: "tools",
        run: steps::tools,
    },
    Step {
        name: "sigstore",
        run: steps::sigstore,
    },
    Step {
        name: "vectors",
        run: steps::vectors,
    },
    Step {
        name: "layouts",
        run: steps::layouts,
    },
    Step {
        name: "conformance",
        run: steps::conformance,
    },
    Step {
        name: "fuzz",
        run: steps::fuzz,
    },
    Step {
        name: "demo",
        run: steps::demo,
    },
    Step {
        name: "kill",
        run: steps::kill,
    },
    Step {
        name: "takeover",
        run: steps::takeover,
    },
];

/// Runs the steps, whatever the ones before said, and says whether all passed.
pub(crate) fn command(arguments: &Arguments) -> Result<bool> {
    if arguments.list {
        STEPS.iter().for_each(|step| println!("{}", step.name));
        return Ok(true);
    }
    let only = arguments.only.as_deref();
    let chosen: Vec<&Step> = STEPS
        .iter()
        .filter(|step| only.is_none_or(|name| name == step.name))
        .collect();
    if chosen.is_empty() {
        bail!(
            "`{}` is no step; `cargo xtask test --list` prints them",
            only.unwrap_or_default()
        );
    }
    let root = crate::workspace_root();
    let results: Vec<(&str, f64, Outcome)> = chosen
        .into_iter()
        .map(|step| run_step(step, &root))
        .collect();
    let (text, passed) = summary(&results);
    print!("{text}");
    Ok(passed)
}

fn run_step(step: &Step, root: &Path) -> (&'static str, f64, Outcome) {
    println!("=== {}", step.name);
    let start = Instant::now();
    let outcome = (step.run)(root).unwrap_or_else(|error| Outcome {
        failed: 1,
        why: format!("{error:#}"),
        ..Outcome::default()
    });
    let seconds = start.elapsed().as_secs_f64();
    println!("=== {} {} in {seconds:.1} s", step.name, word(&outcome));
    (step.name, seconds, outcome)
}

fn word(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome { failed: 1.., .. } => "FAILED",
        Outcome {
            passed: 0,
            skipped: 1..,
            ..
        } => "did not run",
        _ => "passed",
    }
}

/// One line a step, then the counts over all of them.
fn summary(results: &[(&str, f64, Outcome)]) -> (String, bool) {
    let mut text = String::from("\n");
    let mut total = Outcome::default();
    for (name, seconds, outcome) in results {
        let counts = counts(outcome);
        let _ = write!(
            text,
            "{name:<10} {:<11} {seconds:>7.1} s  {counts}",
            word(outcome)
        );
        let why = if outcome.why.is_empty() { "" } else { "; " };
        let _ = writeln!(text, "{why}{}", outcome.why);
        total.passed += outcome.passed;
        total.failed += outcome.failed;
        total.skipped += outcome.skipped;
    }
    let seconds: f64 = results.iter().map(|(_, seconds, _)| seconds).sum();
    let _ = writeln!(text, "{:<10} {:<11} {seconds:>7.1} s", "all", word(&total));
    let _ = writeln!(text, "{}", counts(&total));
    (text, total.failed == 0)
}

/// `N passed, N failed`, with `, N skipped` where something did not run.
fn counts(outcome: &Outcome) -> String {
    let Outcome {
        passed,
        failed,
        skipped,
        ..
    } = outcome;
    let skipped = if *skipped == 0 {
        String::new()
    } else {
        format!(", {skipped} skipped")
    };
    format!("{passed} passed, {failed} failed{skipped}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_line_adds_up_and_a_failed_step_fails_the_run() {
        let skipped = Outcome {
            skipped: 3,
            why: "no runner".into(),
            ..Outcome::default()
        };
        let results = [("fmt", 1.0, Outcome::of(true)), ("vectors", 2.0, skipped)];
        let (text, passed) = summary(&results);
        assert!(
            passed && text.ends_with("\n1 passed, 0 failed, 3 skipped\n"),
            "{text}"
        );
        assert!(
            text.contains("did not run") && text.contains("; no runner\n"),
            "{text}"
        );
        let (text, passed) = summary(&[("fmt", 1.0, Outcome::of(false))]);
        assert!(
            !passed && text.ends_with("\n0 passed, 1 failed\n"),
            "{text}"
        );
    }
}
