//! `cargo xtask vectors [DIR]`: recorded answers of Argo CD Image Updater, run through our
//! functions.
//!
//! One JSON list a file; every object has an `id`. A file without a runner is named and counted as
//! skipped. Deliberate differences are rules: they compute their own expected value and assert it
//! (see [`deviations`]). A panic in a runner is the failure of that case, not of the run.

pub(crate) mod deviations;
mod environment;
mod git;
mod registry;
mod selection;
mod settings;
mod slots;
mod updaters;
mod verification;

use std::collections::BTreeMap;
use std::fs;
use std::panic;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use serde_json::Value;

/// What one case showed.
#[allow(dead_code, reason = "not every area has runners yet")]
pub(crate) enum Outcome {
    /// Our answer is the recorded one.
    Passed,
    /// Our answer differs on purpose, and is what the named rule of [`deviations::RULES`] computes.
    Deviates(&'static str),
    /// Our answer is neither.
    Failed {
        /// What the vector or the rule expects.
        expected: String,
        /// What our function answered.
        got: String,
    },
    /// The subject of this case does not exist yet; the text says which.
    Skipped(&'static str),
}

/// Runs one case.
pub(crate) type Runner = fn(&Value) -> Outcome;

/// File name without `.json`, and what runs its cases. One module an area adds its lines here.
pub(crate) const RUNNERS: &[(&str, Runner)] = &[
    ("annotations", settings::annotations),
    ("branch-template", settings::branch_template),
    ("commit-message", settings::commit_message),
    ("credentials", settings::credentials),
    ("credentials-fetch", settings::credentials_fetch),
    ("env-parse", environment::env_parse),
    ("watch-namespaces", environment::watch_namespaces),
    ("digest-live-match", selection::digest_live_match),
    ("git-branch", settings::git_branch),
    ("git-credentials", settings::git_credentials),
    ("git-url", git::git_url),
    ("ignore-tags", selection::ignore_tags),
    ("image-parse", selection::image_parse),
    ("image-short-form", selection::image_short_form),
    ("kustomize-image-parse", selection::kustomize_image_parse),
    ("live-image-match", selection::live_image_match),
    ("live-images", selection::live_images),
    ("match-func", selection::match_func),
    ("merge-settings", updaters::merge_settings),
    ("merge-verification", verification::merge),
    ("merge-write-back", updaters::merge_write_back),
    ("signature-verify", verification::signature),
    ("name-pattern", selection::name_pattern),
    ("name-pattern-glob", selection::name_pattern_glob),
    ("needs-update", selection::needs_update),
    ("platform", selection::platform),
    ("recent-updates", updaters::recent),
    ("registries-conf", settings::registries_conf),
    ("semver-compare", selection::semver_compare),
    ("semver-constraint", selection::semver_constraint),
    ("semver-version", selection::semver_version),
    ("status-conditions", updaters::status_conditions),
    ("strategy-name", selection::strategy_name),
    ("strategy-select", selection::strategy_select),
    ("tag-equality", selection::tag_equality),
    ("app-type", slots::targets::app_type),
    ("helm-override", slots::overrides::helm),
    ("helm-param-names", slots::merges::helm_param_names),
    ("helm-params", slots::merges::helm_params),
    ("helmvalues-e2e", slots::values::end_to_end),
    ("helmvalues-write", slots::values::write),
    ("kustomization-write", slots::files::kustomization),
    ("kustomize-override", slots::overrides::kustomize),
    ("kustomize-set-image", slots::merges::kustomize_set_image),
    ("override-file-name", slots::targets::override_file_name),
    ("plugin-env", slots::overrides::plugin),
    ("write-back-target", slots::targets::target),
    ("yaml-emit-new-string", slots::values::emit_new_string),
    ("yaml-plain-scalar-safe", slots::values::plain_scalar_safe),
    ("write-back-method", settings::write_back_method),
    ("write-back-target-key", settings::write_back_target_key),
    ("auth-challenge", registry::auth_challenge),
    ("http-requests", registry::http_requests),
    ("registry-endpoint", registry::registry_endpoint),
];

/// `cargo xtask vectors [DIR]`
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Folder of vector files; the project's own `vectors/` when it is left out.
    dir: Option<PathBuf>,
}

/// Runs the folder, prints what failed, and says whether nothing did.
pub(crate) fn command(arguments: &Arguments) -> Result<bool> {
    let default = || crate::workspace_root().join("vectors");
    let report = run(&arguments.dir.clone().unwrap_or_else(default), RUNNERS)?;
    print!("{}", report.text);
    Ok(report.failed == 0)
}

/// Counts of one run, and everything there is to print about it.
#[derive(Default)]
pub(crate) struct Report {
    /// Cases whose answer was the recorded one, or the one a rule computes.
    pub(crate) passed: usize,
    /// Cases whose answer was neither.
    pub(crate) failed: usize,
    /// Cases without a runner, or whose subject does not exist yet.
    pub(crate) skipped: usize,
    /// The printed form; its last line holds the counts.
    pub(crate) text: String,
    deviations: BTreeMap<&'static str, usize>,
}

/// Runs every `*.json` of `dir`, in the order of names.
pub(crate) fn run(dir: &Path, runners: &[(&str, Runner)]) -> Result<Report> {
    let mut files: Vec<PathBuf> = fs::read_dir(dir)
        .with_context(|| format!("cannot read the folder `{}`", dir.display()))?
        .collect::<Result<Vec<_>, _>>()?
        .into_iter()
        .map(|entry| entry.path())
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "json")
        })
        .collect();
    files.sort();
    let mut report = Report::default();
    let hook = panic::take_hook();
    panic::set_hook(Box::new(|_| {}));
    for file in &files {
        run_file(file, runners, &mut report);
    }
    panic::set_hook(hook);
    report.close();
    Ok(report)
}

fn run_file(path: &Path, runners: &[(&str, Runner)], report: &mut Report) {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let cases: Vec<Value> = match read_cases(path) {
        Ok(cases) => cases,
        Err(error) => {
            return report.fail(&stem, "-", "a JSON list of objects", &format!("{error:#}"));
        }
    };
    let Some((_, runner)) = runners.iter().find(|(name, _)| *name == stem) else {
        report.skipped += cases.len();
        report.say(&format!(
            "SKIP {stem}: no runner reads this file, {} cases",
            cases.len()
        ));
        return;
    };
    let mut skipped = BTreeMap::<&str, usize>::new();
    for (index, case) in cases.iter().enumerate() {
        let id = case["id"]
            .as_str()
            .map_or_else(|| format!("#{index}"), str::to_owned);
        match run_case(*runner, case) {
            Outcome::Passed => report.passed += 1,
            Outcome::Deviates(rule) => report.deviate(&stem, &id, rule),
            Outcome::Failed { expected, got } => report.fail(&stem, &id, &expected, &got),
            Outcome::Skipped(subject) => *skipped.entry(subject).or_default() += 1,
        }
    }
    for (subject, count) in skipped {
        report.skipped += count;
        report.say(&format!("SKIP {stem}: {subject}, {count} cases"));
    }
}

fn read_cases(path: &Path) -> Result<Vec<Value>> {
    Ok(serde_json::from_slice(&fs::read(path)?)?)
}

fn run_case(runner: Runner, case: &Value) -> Outcome {
    panic::catch_unwind(|| runner(case)).unwrap_or_else(|payload| {
        let message = payload
            .downcast_ref::<String>()
            .map(String::as_str)
            .or_else(|| payload.downcast_ref::<&str>().copied())
            .unwrap_or("no message");
        Outcome::Failed {
            expected: case["expected"].to_string(),
            got: format!("panic: {message}"),
        }
    })
}

impl Report {
    fn say(&mut self, line: &str) {
        self.text.push_str(line);
        self.text.push('\n');
    }

    fn fail(&mut self, file: &str, id: &str, expected: &str, got: &str) {
        self.failed += 1;
        self.say(&format!(
            "FAIL {file} {id}\n  expected: {expected}\n  got:      {got}"
        ));
    }

    fn deviate(&mut self, file: &str, id: &str, rule: &'static str) {
        if !deviations::RULES.iter().any(|(known, _)| *known == rule) {
            return self.fail(file, id, "a rule of the list of deviations", rule);
        }
        self.passed += 1;
        *self.deviations.entry(rule).or_default() += 1;
    }

    /// Adds the reasons of the deviations that were met, their counts in one line, and the totals.
    fn close(&mut self) {
        let counts = std::mem::take(&mut self.deviations);
        for (rule, reason) in deviations::RULES
            .iter()
            .filter(|(rule, _)| counts.contains_key(rule))
        {
            self.say(&format!("rule {rule}: {reason}"));
        }
        let listed: Vec<String> = counts
            .iter()
            .map(|(rule, count)| format!("{count} {rule}"))
            .collect();
        let listed = if listed.is_empty() {
            "none".to_owned()
        } else {
            listed.join(", ")
        };
        self.say(&format!("deviations: {listed}"));
        let (passed, failed, skipped) = (self.passed, self.failed, self.skipped);
        self.say(&format!(
            "{passed} passed, {failed} failed, {skipped} skipped"
        ));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in files {
            fs::write(dir.path().join(name), text).unwrap();
        }
        dir
    }

    fn parity(case: &Value) -> Outcome {
        let got = case["number"].as_u64().unwrap() % 2;
        if case["expected"] == got {
            return Outcome::Passed;
        }
        Outcome::Failed {
            expected: case["expected"].to_string(),
            got: got.to_string(),
        }
    }

    #[test]
    fn our_copy_of_the_vectors_passes() {
        let report = run(&crate::workspace_root().join("vectors"), RUNNERS).unwrap();
        assert_eq!(report.failed, 0, "{}", report.text);
    }

    #[test]
    fn a_failure_a_panic_and_a_bad_file_are_counted_and_the_run_goes_on() {
        let dir = folder(&[
            (
                "parity.json",
                r#"[{"id":"a","number":1,"expected":1},{"id":"b","number":1,"expected":0},
                {"id":"c","number":"one","expected":1},{"id":"d","number":2,"expected":0}]"#,
            ),
            ("parity-broken.json", "{"),
            ("README.md", "not a vector"),
        ]);
        let report = run(dir.path(), &[("parity", parity)]).unwrap();
        assert!(
            report
                .text
                .contains("FAIL parity b\n  expected: 0\n  got:      1\n"),
            "{}",
            report.text
        );
        assert!(
            report
                .text
                .contains("FAIL parity c\n  expected: 1\n  got:      panic: ")
        );
        assert!(
            report
                .text
                .ends_with("deviations: none\n2 passed, 3 failed, 0 skipped\n")
        );
    }

    #[test]
    fn a_file_without_a_runner_is_named_and_its_cases_are_skipped() {
        let dir = folder(&[("later.json", r#"[{"id":"a"},{"id":"b"}]"#)]);
        let report = run(dir.path(), &[]).unwrap();
        assert!(
            report
                .text
                .starts_with("SKIP later: no runner reads this file, 2 cases\n")
        );
        assert!(report.text.ends_with("0 passed, 0 failed, 2 skipped\n"));
    }

    #[test]
    fn a_deviation_without_a_reason_is_a_failure() {
        let dir = folder(&[("parity.json", r#"[{"id":"a"}]"#)]);
        let report = run(dir.path(), &[("parity", |_| Outcome::Deviates("because"))]).unwrap();
        assert_eq!((report.passed, report.failed), (0, 1), "{}", report.text);
    }
}
