//! Real servers, and hostile ones, for tests and benchmarks. A dev-dependency only: nothing here
//! ships.
//!
//! Set-up failures panic with what is missing: a test must not pass because its world did not
//! start.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test's world either stands or the test fails here"
)]

pub mod git;
pub mod go_tool;
pub mod helm;
pub mod kube;
pub mod registry;
pub mod signed;
pub mod signer;
pub mod sigstore;
pub mod tuf;
pub mod world;
