//! The program, as a library so that tests and `xtask` can call its parts. Decisions live in the crates above it.

pub mod cli;
mod demo;
pub mod exit;
pub mod journal;
pub mod logging;
pub mod metrics;
pub mod objects;
pub mod output;
pub mod serve;
pub mod state;
