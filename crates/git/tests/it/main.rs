//! The git crate against real servers: files, `git http-backend` behind HTTP(S), `sshd`.

mod access;
mod push;
mod read;
mod sign;
mod world;
