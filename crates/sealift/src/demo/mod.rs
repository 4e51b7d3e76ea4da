//! `sealift demo`: the ordinary `run --once` on a small world that it lays out itself.

mod images;
mod world;
