//! Images signed by the real tools, against real servers, judged by the real program: what Sealift
//! lets into Git, and where `cosign verify` thinks otherwise.
//!
//! `cargo xtask test --only sigstore` builds the tools and runs this. Alone it says that it did not
//! run, which is why it has a harness of its own: tests that return early would count as passed.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a test may end where a server does not start, and says what it did"
)]

mod compared;
mod cosign_and_sealift_agree;
mod demand;
mod layouts;
mod lifted;
mod shop;
#[allow(
    dead_code,
    reason = "shared with the tests of `it`, which use all of it"
)]
#[path = "../it/world.rs"]
mod world;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::time::Instant;

use sealift_testkit::sigstore::{Sigstore, Tools};

/// A claim and its proof.
type Test = (&'static str, fn(&Sigstore));

/// A module's tests, named by what they claim.
macro_rules! tests {
    ($($module:ident::$name:ident),* $(,)?) => {
        &[$((concat!(stringify!($module), "::", stringify!($name)), $module::$name)),*]
    };
}

const TESTS: &[Test] = tests![
    lifted::keys_of_cosign_3_lift_and_no_others,
    lifted::a_workflow_lifts_its_own_tag_and_no_other,
    lifted::signatures_of_cosign_2_lift,
    lifted::a_tag_moved_to_an_unsigned_image_is_refused,
    lifted::attestations_lift_where_they_are_demanded,
    cosign_and_sealift_agree::on_keys,
    cosign_and_sealift_agree::on_workflows,
    cosign_and_sealift_agree::on_names,
    cosign_and_sealift_agree::on_people_and_attestations,
    cosign_and_sealift_agree::on_the_older_form,
    layouts::cosign_and_sealift_agree_on_every_layout,
];

fn main() -> ExitCode {
    let Some(tools) = Tools::from_environment() else {
        println!("real_sigstore did NOT run: `cargo xtask test --only sigstore` runs it");
        return ExitCode::SUCCESS;
    };
    let names: Vec<String> = std::env::args()
        .skip(1)
        .filter(|one| !one.starts_with('-'))
        .collect();
    let chosen = |name: &str| names.is_empty() || names.iter().any(|one| name.contains(one));
    let start = Instant::now();
    let sigstore = Sigstore::start(tools);
    println!(
        "the servers run after {:.1} s",
        start.elapsed().as_secs_f64()
    );
    let (mut passed, mut failed) = (0, 0);
    for (name, test) in TESTS.iter().filter(|(name, _)| chosen(name)) {
        let start = Instant::now();
        let held = catch_unwind(AssertUnwindSafe(|| test(&sigstore))).is_ok();
        let word = if held { "ok" } else { "FAILED" };
        println!(
            "test {name} ... {word} ({:.1} s)",
            start.elapsed().as_secs_f64()
        );
        passed += usize::from(held);
        failed += usize::from(!held);
    }
    let word = if failed == 0 { "ok" } else { "FAILED" };
    println!("\ntest result: {word}. {passed} passed; {failed} failed; 0 ignored");
    if failed == 0 && passed > 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
