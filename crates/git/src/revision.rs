//! What a reader of a repository may name: a branch, a tag, or a commit by its full id.
//! gitrevisions(7), a small part of it.
//!
//! Only for reading: what is pushed to is always a branch. Names come from people, so nothing is
//! guessed: a name that is both a branch and a tag is an error that says how to write either.

use std::fmt;
use std::str::FromStr;

use sealift_core::oid::Oid;

use crate::branch::{BranchName, BranchNameError};
use crate::error::GitError;
use crate::protocol::Reference;
use crate::repository::Repository;
use crate::store::cached_name;

/// What is to be read, where it is not what the remote's `HEAD` names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Revision {
    /// A branch or a tag of this short name.
    Named(BranchName),
    /// `refs/heads/…`.
    Branch(BranchName),
    /// `refs/tags/…`.
    Tag(BranchName),
    /// A commit by its full id.
    Commit(Oid),
}

impl FromStr for Revision {
    type Err = BranchNameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Ok(commit) = text.to_ascii_lowercase().parse() {
            return Ok(Self::Commit(commit));
        }
        if let Some(branch) = text.strip_prefix("refs/heads/") {
            return branch.parse().map(Self::Branch);
        }
        if let Some(tag) = text.strip_prefix("refs/tags/") {
            return tag.parse().map(Self::Tag);
        }
        text.parse().map(Self::Named)
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Named(name) => name.fmt(f),
            Self::Branch(name) => f.write_str(&name.reference()),
            Self::Tag(name) => write!(f, "refs/tags/{name}"),
            Self::Commit(commit) => commit.fmt(f),
        }
    }
}

/// What a reference names (a commit, or an annotated tag), and the commit behind it.
type Found = (Oid, Oid);

impl Repository {
    /// Finds the commit that `revision` names (`None`: what `HEAD` names), and fetches it unless it
    /// is here.
    ///
    /// A commit by its id is not looked up: it is fetched by that id, one commit deep, and not at
    /// all when it is here.
    ///
    /// # Errors
    /// [`GitError::RevisionMissing`], [`GitError::RevisionAmbiguous`],
    /// [`GitError::CommitUnavailable`], [`GitError::BranchMissing`] (no `HEAD`), and those of
    /// [`Repository::fetch`].
    pub async fn fetch_revision(&mut self, revision: Option<&Revision>) -> Result<Oid, GitError> {
        let Some(revision) = revision else {
            let heads = self.fetch(&[None]).await?;
            return heads.head(None).map(|(_, head)| head);
        };
        let (wanted, commit) = match revision {
            Revision::Commit(commit) => (*commit, *commit),
            Revision::Named(name) => {
                let names = [name.reference(), format!("refs/tags/{name}")];
                self.find(revision, &names).await?
            }
            whole => self.find(revision, &[whole.to_string()]).await?,
        };
        self.require_format(wanted.format())?;
        if !self.remembered()?.contains(&wanted) {
            let head = (cached_name(&revision.to_string()), wanted);
            let fetched = self.fetch_heads(&[head]).await;
            fetched.map_err(|error| not_given(error, revision))?;
        }
        Ok(commit)
    }

    async fn find(&mut self, revision: &Revision, names: &[String]) -> Result<Found, GitError> {
        let listed = self.list(names).await?;
        let mut found = listed
            .iter()
            .filter(|reference: &&Reference| names.contains(&reference.name));
        let (url, text) = (self.url().to_owned(), revision.to_string());
        match (found.next(), found.next()) {
            (Some(one), None) => Ok((one.oid, one.peeled.unwrap_or(one.oid))),
            (None, _) => Err(GitError::RevisionMissing {
                url,
                revision: text,
            }),
            (Some(_), Some(_)) => Err(GitError::RevisionAmbiguous {
                url,
                revision: text,
            }),
        }
    }
}

/// Texts of Git's server and client for an id that is not there, or that is not given by id:
/// upload-pack.c, fetch-pack.c.
const NOT_GIVEN: &[&str] = &["not our ref", "unadvertised object", "no such remote ref"];

fn not_given(error: GitError, revision: &Revision) -> GitError {
    match (error, revision) {
        (
            GitError::Unreachable { url, detail } | GitError::NotFound { url, detail },
            Revision::Commit(oid),
        ) if NOT_GIVEN.iter().any(|text| detail.contains(text)) => GitError::CommitUnavailable {
            url,
            oid: *oid,
            detail,
        },
        (error, _) => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_full_ids_are_told_apart() {
        let id = "0123456789abcdef0123456789abcdef01234567";
        let upper = id.to_ascii_uppercase();
        for (text, shown) in [
            ("main", "main"),
            ("refs/heads/main", "refs/heads/main"),
            ("refs/tags/v1", "refs/tags/v1"),
            (id, id),
            (upper.as_str(), id),
        ] {
            assert_eq!(text.parse::<Revision>().unwrap().to_string(), shown);
        }
        assert!(matches!("0123456".parse(), Ok(Revision::Named(_))));
        assert!(matches!(id.parse(), Ok(Revision::Commit(_))));
        for text in ["", "-x", "a..b", "refs/heads/-x", "refs/notes/x", "v1^{}"] {
            assert!(text.parse::<Revision>().is_err(), "{text}");
        }
    }
}
