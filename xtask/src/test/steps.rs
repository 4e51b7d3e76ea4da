//! The steps of `cargo xtask test`, each a function from the workspace's root to counts.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result};
use serde_json::Value;

use super::{Outcome, packages};
use crate::judging::{Counts, conformance, layouts};
use crate::soak::{self, Where};
use crate::{bench, fuzz, lint, tools, vectors};

/// Kills in one test.
const KILL_ROUNDS: u32 = 10;
/// Leaders killed in one test.
const TAKEOVER_ROUNDS: u32 = 5;
/// A fixed row of moments and people.
const KILL_SEED: u64 = 3;
/// A fixed row of inputs: a change, and not chance, makes this step fail.
const FUZZ_SEED: u64 = 2;
/// For each target.
const FUZZ_TIME: Duration = Duration::from_secs(2);

/// The programs that the tests drive are there, or are installed.
pub(super) fn packages(_: &Path) -> Result<Outcome> {
    packages::install_missing()?;
    Ok(Outcome::of(true))
}

/// The API server that the tests run against is there, or is built.
pub(super) fn kube(_: &Path) -> Result<Outcome> {
    let binaries = sealift_testkit::kube::binaries::find_or_build();
    let program = binaries.map(|binaries| binaries.kube_apiserver);
    Ok(found(program, "the tests on an API server do not run"))
}

/// The Helm that renders the chart in the tests is there, or is built.
pub(super) fn helm(_: &Path) -> Result<Outcome> {
    let program = sealift_testkit::helm::find_or_build();
    Ok(found(program, "the tests of the chart do not run"))
}

/// Without the program some tests do not run, which is a failure where everything must.
fn found(program: Result<PathBuf, String>, without: &str) -> Outcome {
    match program {
        Ok(program) => {
            println!("{}", program.display());
            Outcome::of(true)
        }
        Err(why) => {
            let needed = std::env::var_os("CI").is_some();
            Outcome {
                failed: needed.into(),
                skipped: (!needed).into(),
                why: format!("{why}; {without}"),
                ..Outcome::default()
            }
        }
    }
}

pub(super) fn formatted(root: &Path) -> Result<Outcome> {
    lint::formatted(root).map(Outcome::of)
}

pub(super) fn clippy(root: &Path) -> Result<Outcome> {
    lint::clippy(root).map(Outcome::of)
}

pub(super) fn tidy(root: &Path) -> Result<Outcome> {
    lint::tidy_and_generated(root).map(Outcome::of)
}

/// Each crate builds without the others, so that another crate's features hide no missing
/// dependency.
pub(super) fn each_crate_alone(root: &Path) -> Result<Outcome> {
    let output = lint::cargo_command(root)
        .args([
            "metadata",
            "--no-deps",
            "--offline",
            "--format-version",
            "1",
        ])
        .output()?;
    let metadata: Value = serde_json::from_slice(&output.stdout).context("`cargo metadata`")?;
    let mut outcome = Outcome::default();
    for package in metadata["packages"].as_array().into_iter().flatten() {
        let name = package["name"].as_str().unwrap_or_default();
        if lint::cargo(root, &["check", "--quiet", "--package", name])? {
            outcome.passed += 1;
        } else {
            outcome.failed += 1;
            outcome.why = format!("`{name}` does not build alone");
        }
    }
    Ok(outcome)
}

/// Unit, integration and documentation tests of every crate.
pub(super) fn tests(root: &Path) -> Result<Outcome> {
    let mut command = lint::cargo_command(root);
    command.args(["test", "--workspace", "--no-fail-fast"]);
    // They have a step of their own.
    command.env_remove(tools::VARIABLE);
    counted(command)
}

/// Runs `cargo test` and counts what its harness says.
fn counted(mut command: Command) -> Result<Outcome> {
    let mut child = command
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot start `cargo test`")?;
    let (mut outcome, mut ignored) = (Outcome::default(), 0);
    for line in BufReader::new(child.stdout.take().context("no output")?).lines() {
        let line = line?;
        println!("{line}");
        if let Some(counts) = line.strip_prefix("test result: ") {
            outcome.passed += count_before(counts, "passed");
            outcome.failed += count_before(counts, "failed");
            ignored += count_before(counts, "ignored");
        }
    }
    if !child.wait()?.success() && outcome.failed == 0 {
        outcome.failed = 1;
        outcome.why = "the tests do not build".to_owned();
    }
    if ignored > 0 {
        // A test that does not run shows nothing.
        outcome.failed += ignored;
        outcome.why = format!("{ignored} tests are not run, by an attribute");
    }
    Ok(outcome)
}

/// The real signers and servers of Sigstore, in the versions that `tools/` pins.
pub(super) fn tools(_: &Path) -> Result<Outcome> {
    match tools::build()? {
        Some(folders) => {
            let passed = folders.len();
            let joined = std::env::join_paths(folders)?;
            println!("{}={}", tools::VARIABLE, joined.display());
            Ok(Outcome {
                passed,
                ..Outcome::default()
            })
        }
        None => Ok(without_go()),
    }
}

/// Images that those programs sign, from a registry into Git; and whether `cosign verify` agrees.
pub(super) fn sigstore(root: &Path) -> Result<Outcome> {
    let Some(folders) = tools::build()? else {
        return Ok(without_go());
    };
    let mut command = lint::cargo_command(root);
    // As the step `tests` builds it, so that nothing is built twice.
    command.args(["test", "--workspace", "--test", "real_sigstore"]);
    command.env(tools::VARIABLE, std::env::join_paths(folders)?);
    counted(command)
}

/// A failure where nobody would read that something did not run.
fn without_go() -> Outcome {
    let missing = "`go` is not installed (https://go.dev/doc/install)".to_owned();
    let unattended = std::env::var_os("CI").is_some();
    Outcome {
        failed: unattended.into(),
        skipped: (!unattended).into(),
        why: missing,
        ..Outcome::default()
    }
}

/// The number before `word` in `ok. 4 passed; 0 failed; …`.
fn count_before(counts: &str, word: &str) -> usize {
    let before = counts.split(word).next().unwrap_or_default().trim_end();
    before
        .rsplit(' ')
        .next()
        .and_then(|number| number.parse().ok())
        .unwrap_or_default()
}

/// Our copy of the recorded answers.
pub(super) fn vectors(root: &Path) -> Result<Outcome> {
    let report = vectors::run(&root.join("vectors"), vectors::RUNNERS)?;
    print!("{}", report.text);
    let (passed, failed, skipped) = (report.passed, report.failed, report.skipped);
    let why = if skipped > 0 {
        "their subject does not exist yet"
    } else {
        ""
    };
    Ok(Outcome {
        passed,
        failed,
        skipped,
        why: why.to_owned(),
    })
}

/// Images that real tools signed, under the right policy and under each with one demand changed.
pub(super) fn layouts(_: &Path) -> Result<Outcome> {
    judged(layouts::run(&sealift_testkit::signed::folder())?)
}

/// The public conformance bundles, which are data of others and lie outside.
pub(super) fn conformance(_: &Path) -> Result<Outcome> {
    let Some(folder) = std::env::var_os(conformance::VARIABLE) else {
        return Ok(Outcome {
            skipped: 1,
            why: format!("`{}` names no folder", conformance::VARIABLE),
            ..Outcome::default()
        });
    };
    judged(conformance::run(Path::new(&folder))?)
}

fn judged(counts: Counts) -> Result<Outcome> {
    counts.close();
    Ok(Outcome {
        passed: counts.passed,
        failed: counts.failed,
        ..Outcome::default()
    })
}

/// Each parser of hostile input for a moment; the tests have run them on their corpus.
pub(super) fn fuzz(_: &Path) -> Result<Outcome> {
    let mut outcome = Outcome::default();
    for target in sealift_fuzz::TARGETS {
        if fuzz::fuzz(*target, FUZZ_SEED, FUZZ_TIME)? {
            outcome.passed += 1;
        } else {
            outcome.failed += 1;
            outcome.why = format!("see `{}` above", target.name);
        }
    }
    Ok(outcome)
}

/// What a newcomer runs first.
pub(super) fn demo(root: &Path) -> Result<Outcome> {
    let folder = tempfile::tempdir()?;
    let world = folder.path().join("demo");
    let world = world
        .to_str()
        .context("the temporary folder's name is not UTF-8")?;
    lint::cargo(root, &["run", "--release", "--", "demo", world]).map(Outcome::of)
}

/// Sealift killed at random moments, a few times in each world; `cargo xtask soak` does it more
/// often.
pub(super) fn kill(_: &Path) -> Result<Outcome> {
    let folder = tempfile::tempdir()?;
    let binary = bench::release_binary()?;
    let (mut passed, mut failed) = (0, 0);
    for (world, name) in [(Where::Demo, "demo"), (Where::Seeded, "seeded")] {
        let folder = folder.path().join(name);
        let broken = soak::soak(&binary, &folder, world, KILL_ROUNDS, KILL_SEED)?;
        let broken = broken.unwrap_or(KILL_ROUNDS);
        passed += (KILL_ROUNDS - broken) as usize;
        failed += broken as usize;
    }
    let why = if failed > 0 {
        "see the rounds above"
    } else {
        ""
    };
    Ok(Outcome {
        passed,
        failed,
        skipped: 0,
        why: why.to_owned(),
    })
}

/// The leader of two replicas killed at random moments, a few times; `cargo xtask soak --world
/// cluster` does it more often.
pub(super) fn takeover(_: &Path) -> Result<Outcome> {
    let folder = tempfile::tempdir()?;
    let binary = bench::release_binary()?;
    let world = Where::Cluster;
    let Some(broken) = soak::soak(&binary, folder.path(), world, TAKEOVER_ROUNDS, KILL_SEED)?
    else {
        return Ok(Outcome {
            skipped: TAKEOVER_ROUNDS as usize,
            why: "there is no API server".to_owned(),
            ..Outcome::default()
        });
    };
    Ok(Outcome {
        passed: (TAKEOVER_ROUNDS.saturating_sub(broken)) as usize,
        failed: broken as usize,
        ..Outcome::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_read_from_the_line_of_the_test_harness() {
        let line = "FAILED. 14 passed; 2 failed; 1 ignored; 0 measured; 0 filtered out";
        let read = ["passed", "failed", "ignored"].map(|word| count_before(line, word));
        assert_eq!(read, [14, 2, 1]);
    }
}
