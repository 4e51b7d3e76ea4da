//! The git crate against real servers: files, `git http-backend` behind HTTP(S), `sshd`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "helpers of tests fail as tests do"
)]

mod access;
mod push;
mod read;
mod revision;
mod sign;
mod world;
