//! The program as its users run it: a real registry, real Git servers, the real binary.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test may end where a server does not start"
)]

mod app_in_git;
mod bad_input;
mod closed_pipe;
mod cluster;
mod cluster_faults;
mod cluster_install;
mod cluster_intents;
mod cluster_lease;
mod cluster_live;
mod cluster_metrics;
mod cluster_mounts;
mod cluster_objects;
mod cluster_pace;
mod cluster_peer;
mod cluster_release;
mod cluster_rights;
mod cluster_running;
mod cluster_shadow;
mod cluster_status;
mod cluster_takeover;
mod cluster_world;
mod convert;
mod digest_key;
mod doctor;
mod git_ways;
mod github_app;
mod hostile;
mod image_recipe;
mod image_updater;
mod interval;
mod peer_flags;
mod policies;
mod policy_init;
mod projects;
mod shadow;
mod slots;
mod trust;
mod trust_roots;
mod tuf;
mod update;
mod world;
