//! What the remote has: heads of branches, and the objects behind them.
//!
//! A listing comes first and decides: a branch that it does not name is missing, which no failure can be mistaken for. Then
//! commits that are not here are fetched by id, one commit deep and without blobs; blobs that matter follow in one go.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::fmt::Write as _;

use sealift_core::oid::Oid;
use sha2::{Digest as _, Sha256};

use crate::branch::BranchName;
use crate::command::{Finished, Invocation};
use crate::error::GitError;
use crate::objects::{Kind, Object, Reader};
use crate::repository::Repository;

/// Options of every fetch. The remote is named a promisor only here: nothing else may ever fetch.
const FETCH: &[&str] = &[
    "-c",
    "remote.origin.promisor=true",
    "-c",
    "remote.origin.partialclonefilter=blob:none",
    "fetch",
    "--quiet",
    "--no-tags",
    "--no-write-fetch-head",
    "--no-auto-maintenance",
    "--recurse-submodules=no",
];

/// Where the wanted branches of a remote are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heads {
    url: String,
    default_branch: Option<BranchName>,
    heads: BTreeMap<BranchName, Oid>,
}

impl Heads {
    /// The branch that the remote's `HEAD` names; `None` when the repository is empty or does not say.
    #[must_use]
    pub const fn default_branch(&self) -> Option<&BranchName> {
        self.default_branch.as_ref()
    }

    /// The wanted branches that exist.
    #[must_use]
    pub const fn branches(&self) -> &BTreeMap<BranchName, Oid> {
        &self.heads
    }

    /// Name and head of one wanted branch; `None` asks for the default branch.
    ///
    /// # Errors
    /// [`GitError::BranchMissing`].
    pub fn head(&self, branch: Option<&BranchName>) -> Result<(&BranchName, Oid), GitError> {
        let named = branch.or(self.default_branch.as_ref());
        let found = named.and_then(|branch| self.heads.get_key_value(branch));
        found
            .map(|(name, oid)| (name, *oid))
            .ok_or_else(|| GitError::BranchMissing {
                url: self.url.clone(),
                branch: branch.cloned(),
            })
    }
}

impl Repository {
    /// Asks the remote where `branches` are (`None`: its default branch) and fetches what is not here.
    ///
    /// When nothing moved this is one listing. A branch that does not exist is no error here, see [`Heads::head`].
    ///
    /// # Errors
    /// [`GitError::Unreachable`], [`GitError::Unauthorized`], [`GitError::NotFound`], [`GitError::HostKeyUnknown`],
    /// [`GitError::TimedOut`], [`GitError::Io`].
    pub async fn fetch(&mut self, branches: &[Option<BranchName>]) -> Result<Heads, GitError> {
        let heads = self.list(branches).await?;
        let Some(format) = heads.heads.values().next().map(Oid::format) else {
            return Ok(heads);
        };
        self.require_format(format)?;
        let wanted: BTreeSet<Oid> = heads.heads.values().copied().collect();
        let wanted: Vec<Oid> = wanted.into_iter().collect();
        let present = self.read_objects(Kind::Commit, &wanted).await?;
        let missing: BTreeSet<Oid> = wanted
            .into_iter()
            .zip(present)
            .filter(|(_, object)| *object == Object::Missing)
            .map(|(oid, _)| oid)
            .collect();
        if !missing.is_empty() {
            let new = heads.heads.iter().filter(|(_, oid)| missing.contains(oid));
            self.fetch_heads(&new.collect::<Vec<_>>()).await?;
        }
        Ok(heads)
    }

    async fn list(&self, branches: &[Option<BranchName>]) -> Result<Heads, GitError> {
        let references: Vec<String> = branches
            .iter()
            .flatten()
            .map(BranchName::reference)
            .collect();
        let want_default = branches.iter().any(Option::is_none);
        let mut arguments: Vec<&OsStr> = [
            "ls-remote",
            "--symref",
            "--end-of-options",
            "origin",
            "HEAD",
        ]
        .map(OsStr::new)
        .to_vec();
        arguments.extend(references.iter().map(OsStr::new));
        let finished = self.remote_command("ls-remote", &arguments, b"").await?;
        let mut heads = Heads {
            url: self.url.clone(),
            default_branch: None,
            heads: BTreeMap::new(),
        };
        let mut head = None;
        for line in String::from_utf8_lossy(&finished.stdout).lines() {
            let Some((value, name)) = line.split_once('\t') else {
                continue;
            };
            if let Some(target) = value.strip_prefix("ref: refs/heads/") {
                if name == "HEAD" {
                    heads.default_branch = target.parse().ok();
                }
            } else if let Ok(oid) = value.parse::<Oid>() {
                if name == "HEAD" {
                    head = Some(oid);
                } else if references.iter().any(|reference| reference == name) {
                    let branch = name.trim_start_matches("refs/heads/").parse()?;
                    heads.heads.insert(branch, oid);
                }
            }
        }
        if let (true, Some(branch), Some(oid)) = (want_default, &heads.default_branch, head) {
            heads.heads.insert(branch.clone(), oid);
        }
        Ok(heads)
    }

    async fn fetch_heads(&mut self, heads: &[(&BranchName, &Oid)]) -> Result<(), GitError> {
        let mut references = String::new();
        for (branch, oid) in heads {
            let _ = writeln!(references, "+{oid}:{}", cached_reference(branch));
        }
        let options = [
            "--depth=1",
            "--filter=blob:none",
            "--stdin",
            "--end-of-options",
            "origin",
        ];
        self.fetch_command(&options, &references).await
    }

    /// Fetches objects by name, in one go: blobs, or trees that an earlier look back left out.
    pub(crate) async fn fetch_objects(&mut self, oids: &[Oid]) -> Result<(), GitError> {
        let mut references = String::new();
        for oid in oids {
            let _ = writeln!(references, "{oid}");
        }
        let options = [
            "--filter=blob:none",
            "--stdin",
            "--end-of-options",
            "origin",
        ];
        // Without this the commits that are here would be offered as common, and the server would leave things out.
        self.fetch_with(
            &["-c", "fetch.negotiationAlgorithm=noop"],
            &options,
            &references,
        )
        .await
    }

    /// Fetches the last `depth` commits before `head`, without trees.
    pub(crate) async fn fetch_history(&mut self, head: Oid, depth: usize) -> Result<(), GitError> {
        let depth = format!("--depth={depth}");
        let options = [
            depth.as_str(),
            "--filter=tree:0",
            "--stdin",
            "--end-of-options",
            "origin",
        ];
        self.fetch_command(&options, &format!("{head}\n")).await
    }

    async fn fetch_command(&mut self, options: &[&str], references: &str) -> Result<(), GitError> {
        self.fetch_with(&[], options, references).await
    }

    async fn fetch_with(
        &mut self,
        first: &[&str],
        options: &[&str],
        references: &str,
    ) -> Result<(), GitError> {
        let arguments: Vec<&OsStr> = first
            .iter()
            .chain(FETCH)
            .chain(options)
            .map(OsStr::new)
            .collect();
        self.remote_command("fetch", &arguments, references.as_bytes())
            .await?;
        Ok(())
    }

    /// Runs a command that talks to the remote; its failure is the remote's.
    async fn remote_command(
        &self,
        what: &'static str,
        arguments: &[&OsStr],
        stdin: &[u8],
    ) -> Result<Finished, GitError> {
        let finished = self.remote_try(what, arguments, stdin).await?;
        if finished.success {
            Ok(finished)
        } else {
            Err(self.remote_failure(&finished.stderr))
        }
    }

    pub(crate) async fn remote_try(
        &self,
        what: &'static str,
        arguments: &[&OsStr],
        stdin: &[u8],
    ) -> Result<Finished, GitError> {
        let invocation = Invocation {
            what,
            arguments,
            stdin,
            url: &self.url,
        };
        self.program
            .run(&self.objects, &self.access, &invocation)
            .await
    }

    /// Reads objects that are here, through the one open process.
    pub(crate) async fn read_objects(
        &mut self,
        kind: Kind,
        oids: &[Oid],
    ) -> Result<Vec<Object>, GitError> {
        if self.reader.as_ref().is_none_or(Reader::is_torn) {
            if let Some(torn) = self.reader.take() {
                torn.end().await;
            }
            self.reader = Some(Reader::start(&self.program, &self.objects)?);
        }
        match &mut self.reader {
            Some(reader) => reader.read(kind, oids).await,
            None => Ok(vec![Object::Missing; oids.len()]),
        }
    }

    /// Reads what Git and SSH say in English (`LC_ALL=C`).
    pub(crate) fn remote_failure(&self, said: &str) -> GitError {
        let (url, detail) = (self.url.clone(), said.to_owned());
        let lower = said.to_ascii_lowercase();
        let any = |texts: &[&str]| texts.iter().any(|text| lower.contains(text));
        if any(HOST_KEY) {
            GitError::HostKeyUnknown { url, detail }
        } else if any(UNAUTHORIZED) {
            GitError::Unauthorized { url, detail }
        } else if any(NOT_FOUND) {
            GitError::NotFound { url, detail }
        } else {
            GitError::Unreachable { url, detail }
        }
    }
}

/// OpenSSH, sshconnect.c.
const HOST_KEY: &[&str] = &[
    "host key verification failed",
    "host identification has changed",
    "host key is known for",
];
/// Git, http.c and remote-curl.c; OpenSSH, sshconnect2.c; texts of forges.
const UNAUTHORIZED: &[&str] = &[
    "authentication failed",
    "could not read username",
    "could not read password",
    "returned error: 401",
    "returned error: 403",
    "permission denied (",
    "access denied",
    "invalid credentials",
    "terminal prompts disabled",
];
/// Git, remote-curl.c and path.c; texts of forges.
const NOT_FOUND: &[&str] = &[
    "repository not found",
    "returned error: 404",
    "does not appear to be a git repository",
    "not found",
    "could not be found",
    "does not exist",
];

/// Where the cache remembers a branch. The name is hashed: names that come and go can exclude each other as files.
pub(crate) fn cached_reference(branch: &BranchName) -> String {
    let mut reference = "refs/cache/".to_owned();
    for byte in Sha256::digest(branch.as_str()).iter().take(16) {
        let _ = write!(reference, "{byte:02x}");
    }
    reference
}
