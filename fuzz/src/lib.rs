//! Parsers of hostile input, each a plain function over bytes that panics where an invariant
//! breaks.
//!
//! Ordinary tests run each on its corpus (`fuzz/corpus/<target>/`), on mutations of it and on
//! random bytes; `cargo xtask fuzz` does the same for longer. Nothing here ships.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::missing_panics_doc,
    reason = "a broken invariant is a panic: that is what fuzzing looks for"
)]

pub mod corpus;
pub mod mutate;
pub mod targets;

pub use targets::{TARGETS, Target};
