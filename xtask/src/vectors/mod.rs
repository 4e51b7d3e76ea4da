//! `cargo xtask vectors [DIR]`: runs executed answers of the program that Sealift replaces through our real functions.
//!
//! One JSON list a file; every object has an `id`. A file without a runner is named and counted as skipped.
//! Deliberate differences are rules: they compute their own expected value and assert it (see [`deviations`]).

pub(crate) mod deviations;

use serde_json::Value;

/// What one case showed.
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
#[allow(dead_code, reason = "the runner is being written")]
pub(crate) const RUNNERS: &[(&str, Runner)] = &[];
