//! Why something did not happen in Git.

use std::path::PathBuf;

use sealift_core::oid::Oid;
use sealift_core::path::RepoPath;
use sealift_core::reason::Reason;

use crate::branch::{BranchName, BranchNameError};
use crate::sign::SignError;
use crate::url::GitUrlError;

/// A failure of reading from, preparing for or talking to a repository. URLs are masked, secrets
/// are removed from texts.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GitError {
    /// The URL is not one of those that are supported.
    #[error(transparent)]
    Url(#[from] GitUrlError),
    /// The branch name is not valid.
    #[error(transparent)]
    BranchName(#[from] BranchNameError),
    /// A local path, where the command line does not allow it.
    #[error("repository `{url}` is on a local path, which is not allowed here")]
    LocalForbidden {
        /// The repository.
        url: String,
    },
    /// Credentials would travel in clear.
    #[error("credentials for `{url}` were not sent over plain HTTP to `{host}`")]
    PlaintextForbidden {
        /// The repository.
        url: String,
        /// Its host.
        host: String,
    },
    /// A credential of a kind that the URL's scheme cannot use.
    #[error("repository `{url}` cannot use {kind}")]
    CredentialMismatch {
        /// The repository.
        url: String,
        /// The kind of the credential.
        kind: &'static str,
    },
    /// No known hosts, an unknown host, or another key than the known one.
    #[error("the SSH host key of `{url}` is not trusted: {detail}")]
    HostKeyUnknown {
        /// The repository.
        url: String,
        /// What SSH said.
        detail: String,
    },
    /// The server wants credentials, or other ones.
    #[error("the server of `{url}` refused the credentials: {detail}")]
    Unauthorized {
        /// The repository.
        url: String,
        /// What the server said.
        detail: String,
    },
    /// The server says that there is no such repository, or hides it.
    #[error("repository `{url}` was not found: {detail}")]
    NotFound {
        /// The repository.
        url: String,
        /// What the server said.
        detail: String,
    },
    /// No answer, a cut one, or one that is not Git's.
    #[error("repository `{url}` could not be reached: {detail}")]
    Unreachable {
        /// The repository.
        url: String,
        /// What Git or the system said.
        detail: String,
    },
    /// The deadline passed; the commands were ended.
    #[error("`{what}` on `{url}` did not end within {seconds} s and was stopped")]
    TimedOut {
        /// The repository.
        url: String,
        /// The command.
        what: &'static str,
        /// The deadline, in seconds.
        seconds: u64,
    },
    /// The remote does not have the branch.
    #[error("repository `{url}` has no branch `{}`", branch.as_ref().map_or("HEAD", BranchName::as_str))]
    BranchMissing {
        /// The repository.
        url: String,
        /// The branch; `None`: it has no default branch, so it is empty.
        branch: Option<BranchName>,
    },
    /// The remote has neither a branch nor a tag of this name.
    #[error("repository `{url}` has no branch and no tag `{revision}`")]
    RevisionMissing {
        /// The repository.
        url: String,
        /// The name.
        revision: String,
    },
    /// A branch and a tag have this name.
    #[error(
        "`{revision}` is both a branch and a tag of `{url}`: say `refs/heads/{revision}` or `refs/tags/{revision}`"
    )]
    RevisionAmbiguous {
        /// The repository.
        url: String,
        /// The name.
        revision: String,
    },
    /// The remote does not have the commit, or does not give it out by its id.
    #[error(
        "commit `{oid}` was not given out by `{url}`: it does not exist there, or the server allows only branches and \
         tags to be fetched: {detail}"
    )]
    CommitUnavailable {
        /// The repository.
        url: String,
        /// The commit.
        oid: Oid,
        /// What Git said.
        detail: String,
    },
    /// A file is not what the plan was made from.
    #[error("`{path}` is not what it was when the plan was made")]
    BaseChanged {
        /// The file.
        path: RepoPath,
    },
    /// A path that cannot be written through.
    #[error("`{path}` was not written: `{at}` is {kind}")]
    NotAFile {
        /// The file that was wanted.
        path: RepoPath,
        /// The component that stands in the way.
        at: String,
        /// What it is.
        kind: &'static str,
    },
    /// An object exceeds its bound.
    #[error("object `{oid}` has {bytes} bytes, more than {bytes_max}")]
    ObjectTooLarge {
        /// The object.
        oid: Oid,
        /// Its size.
        bytes: u64,
        /// The bound.
        bytes_max: usize,
    },
    /// An object that must be there is not, or is another kind.
    #[error("object `{oid}` is missing or not a {kind}")]
    ObjectMissing {
        /// The object.
        oid: Oid,
        /// What it should be.
        kind: &'static str,
    },
    /// An object's bytes do not follow Git's format.
    #[error("object `{oid}` is malformed: {rule}")]
    ObjectMalformed {
        /// The object.
        oid: Oid,
        /// The rule that it breaks.
        rule: &'static str,
    },
    /// More files than the bound.
    #[error("`{folder}` holds more than {files_max} files")]
    TooManyFiles {
        /// The folder.
        folder: String,
        /// The bound.
        files_max: usize,
    },
    /// The signature could not be made, so neither was the commit.
    #[error("the commit was not made, because it could not be signed")]
    Signing(#[from] SignError),
    /// Another process holds the cached repository.
    #[error("the cached repository `{}` is in use by another process", path.display())]
    Locked {
        /// The folder.
        path: PathBuf,
    },
    /// A local command failed in a way that says nothing about the remote.
    #[error("`{what}` failed: {detail}")]
    Command {
        /// The command.
        what: &'static str,
        /// What it said.
        detail: String,
    },
    /// Local files.
    #[error("could not {what} `{}`", path.display())]
    Io {
        /// The action.
        what: &'static str,
        /// The file or program.
        path: PathBuf,
        /// The system's answer.
        source: std::io::Error,
    },
}

impl GitError {
    /// The stable reason id.
    #[must_use]
    pub const fn reason(&self) -> Reason {
        match self {
            Self::Url(_) => Reason::UrlUnsupported,
            Self::BranchName(_) => Reason::BranchInvalid,
            Self::LocalForbidden { .. } => Reason::LocalGitForbidden,
            Self::PlaintextForbidden { .. } => Reason::PlaintextForbidden,
            Self::HostKeyUnknown { .. } => Reason::HostKeyUnknown,
            Self::Unauthorized { .. } | Self::CredentialMismatch { .. } => Reason::GitUnauthorized,
            Self::NotFound { .. } | Self::Unreachable { .. } | Self::TimedOut { .. } => {
                Reason::GitUnreachable
            }
            Self::BranchMissing { .. }
            | Self::RevisionMissing { .. }
            | Self::RevisionAmbiguous { .. }
            | Self::CommitUnavailable { .. } => Reason::BranchMissing,
            Self::BaseChanged { .. } => Reason::BranchMoved,
            Self::NotAFile { .. } => Reason::PathNotAFile,
            Self::ObjectTooLarge { .. } | Self::TooManyFiles { .. } => Reason::FileUnreadable,
            Self::ObjectMissing { .. } | Self::ObjectMalformed { .. } => Reason::GitUnreachable,
            Self::Signing(_) => Reason::SigningFailed,
            Self::Locked { .. } | Self::Command { .. } | Self::Io { .. } => Reason::Internal,
        }
    }
}
