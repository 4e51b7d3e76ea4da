//! The test worlds themselves: what they promise to other tests.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod docker_registry;
mod signer;
