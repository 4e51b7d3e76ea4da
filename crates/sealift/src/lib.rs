//! The program, as a library so that tests and `xtask` can call its parts. Decisions live in the
//! crates above it.

pub mod cli;
pub mod cluster;
mod credentials;
pub mod demo;
pub mod engine;
pub mod exit;
pub mod index;
pub mod journal;
pub mod layout_server;
pub mod logging;
pub mod materials;
pub mod metrics;
pub mod objects;
pub mod output;
pub mod pipeline;
pub mod platform;
pub mod policies;
pub mod progress;
pub mod registries;
mod remotes;
pub mod render;
pub mod schedule;
pub mod serve;
pub mod shadow;
pub mod ssh;
pub mod state;
pub mod trust_roots;
