//! Git: plans in, commits out.
//!
//! A [`Repository`] is a bare, partial copy of a remote in the state folder. Heads are listed,
//! trees and the few blobs that matter are read as objects, new objects are made in memory, and one
//! push moves the branch by compare-and-swap. There is no checkout, and the only way to push
//! anything is a [`sealift_write::Plan`]. Not here: images, policy, YAML.
//!
//! ```text
//! Repositories::open ─▶ Repository::fetch ─▶ Heads ─▶ read ─▶ files
//!                                   plan ─▶ prepare ─▶ Prepared (ids known) ─▶ push ─▶ Pushed, or the plan back
//! ```

mod access;
mod branch;
mod command;
mod commit;
mod error;
mod fetch;
mod github;
mod history;
mod objects;
mod pack;
mod program;
mod protocol;
mod push;
mod read;
mod repository;
mod revision;
mod sign;
mod smart;
mod store;
mod tree;
mod url;
mod verdict;
mod wire;

pub use access::{AccessRules, Credential, Remote, SSH_CONFIG_VARIABLE};
pub use branch::{BranchName, BranchNameError};
pub use commit::CommitInfo;
pub use error::GitError;
pub use fetch::Heads;
pub use github::{GithubAppError, GithubApps, Permission, api_host as github_api_host};
pub use push::{PrepareError, Prepared, PushError, PushFailure, Pushed};
pub use read::{FileState, Obstacle};
pub use repository::{GitSettings, Repositories, Repository};
pub use revision::Revision;
pub use sign::{SignError, Signer};
pub use url::{GitUrl, GitUrlError, Scheme, argo_is_https, argo_normalized, argo_ssh_user};
pub use wire::{Answers, read_answers};
