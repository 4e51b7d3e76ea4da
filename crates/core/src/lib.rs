//! Values and decisions that nobody needs to forge.
//!
//! Everything here is pure: no async, no I/O, no clock, no environment, no logging. Time and randomness are arguments.
//! Each module is one noun of `ARCHITECTURE.md`, or a grammar that a noun is parsed from.

pub mod catalog;
pub mod credential;
pub mod digest;
pub mod event;
pub mod go_syntax;
pub mod limits;
pub mod manifest;
pub mod oid;
pub mod path;
pub mod platform;
pub mod reason;
pub mod registries_conf;
pub mod secret;
pub mod yaml;
