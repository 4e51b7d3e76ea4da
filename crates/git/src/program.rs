//! Remotes that only the `git` program reaches: by SSH, on local paths, by older HTTP servers.

use std::ffi::OsStr;
use std::fmt::Write as _;

use sealift_core::oid::Oid;

use crate::command::{Finished, Invocation};
use crate::error::GitError;
use crate::protocol::Reference;
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
/// What ends the options of every fetch.
const FROM_ORIGIN: &[&str] = &["--stdin", "--end-of-options", "origin"];

/// What git-ls-remote(1) puts behind the name of an annotated tag, for what it stands for.
const PEELED: &str = "^{}";

impl Repository {
    pub(crate) async fn list_by_program(
        &self,
        names: &[String],
    ) -> Result<Vec<Reference>, GitError> {
        let fixed = [
            "ls-remote",
            "--symref",
            "--end-of-options",
            "origin",
            "HEAD",
        ]
        .map(OsStr::new);
        // Without their own names what annotated tags stand for would be left out.
        let tags = names.iter().filter(|name| name.starts_with("refs/tags/"));
        let peeled: Vec<String> = tags.map(|name| format!("{name}{PEELED}")).collect();
        let names = names.iter().chain(&peeled).map(OsStr::new);
        let arguments: Vec<&OsStr> = fixed.into_iter().chain(names).collect();
        let finished = self.remote_command("ls-remote", &arguments, b"").await?;
        let text = String::from_utf8_lossy(&finished.stdout).into_owned();
        let pairs = || text.lines().filter_map(|line| line.split_once('\t'));
        // `ref: TARGET<TAB>NAME` stands before `OID<TAB>NAME`.
        let target_of = |name: &str| {
            let mut targets = pairs().filter(|(_, of)| *of == name);
            targets.find_map(|(value, _)| value.strip_prefix("ref: ").map(str::to_owned))
        };
        // `OID<TAB>NAME^{}` stands behind the tag.
        let peeled_of = |name: &str| {
            let mut peeled = pairs().filter(|(_, of)| of.strip_suffix(PEELED) == Some(name));
            peeled.find_map(|(value, _)| value.parse().ok())
        };
        let own = pairs().filter(|(_, name)| !name.ends_with(PEELED));
        let listed = own.filter_map(|(value, name)| {
            Some(Reference {
                oid: value.parse().ok()?,
                name: name.to_owned(),
                target: target_of(name),
                peeled: peeled_of(name),
            })
        });
        Ok(listed.collect())
    }

    pub(crate) async fn fetch_heads_by_program(
        &self,
        heads: &[(String, Oid)],
    ) -> Result<(), GitError> {
        let mut references = String::new();
        for (reference, oid) in heads {
            let _ = writeln!(references, "+{oid}:{reference}");
        }
        self.fetch_by_program(&[], &["--depth=1", "--filter=blob:none"], &references)
            .await
    }

    pub(crate) async fn fetch_objects_by_program(&self, oids: &[Oid]) -> Result<(), GitError> {
        let mut references = String::new();
        for oid in oids {
            let _ = writeln!(references, "{oid}");
        }
        // Without this the commits that are here would be offered as common, and the server would
        // leave things out.
        let quiet = ["-c", "fetch.negotiationAlgorithm=noop"];
        self.fetch_by_program(&quiet, &["--filter=blob:none"], &references)
            .await
    }

    pub(crate) async fn fetch_history_by_program(
        &self,
        head: Oid,
        depth: usize,
    ) -> Result<(), GitError> {
        let depth = format!("--depth={depth}");
        self.fetch_by_program(&[], &[&depth, "--filter=tree:0"], &format!("{head}\n"))
            .await
    }

    async fn fetch_by_program(
        &self,
        first: &[&str],
        options: &[&str],
        references: &str,
    ) -> Result<(), GitError> {
        let parts = first.iter().chain(FETCH).chain(options).chain(FROM_ORIGIN);
        let arguments: Vec<&OsStr> = parts.map(OsStr::new).collect();
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
        let finished = self.command(what, arguments, stdin).await?;
        if finished.success {
            Ok(finished)
        } else {
            Err(self.remote_failure(&finished.stderr))
        }
    }

    /// Runs a command in the cache; whether it succeeded is its caller's to judge.
    pub(crate) async fn command(
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
