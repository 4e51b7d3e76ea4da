//! What the remote has: heads of branches, and the objects behind them.
//!
//! A listing comes first and decides: a branch that it does not name is missing, which no failure
//! can be mistaken for. Then commits that are not here are fetched by id, one commit deep and
//! without blobs; blobs that matter follow in one go. Over HTTP this goes without a process
//! ([`crate::smart`]); for SSH, files and older servers the `git` program does it.

use std::collections::BTreeMap;

use sealift_core::oid::Oid;

use crate::branch::BranchName;
use crate::error::GitError;
use crate::objects::{Kind, Object, Reader};
use crate::protocol::{Reference, Want};
use crate::repository::Repository;
use crate::smart::{Smart, Trouble};
use crate::store::cached_reference;

/// Where the wanted branches of a remote are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heads {
    url: String,
    default_branch: Option<BranchName>,
    heads: BTreeMap<BranchName, Oid>,
}

impl Heads {
    /// The branch that the remote's `HEAD` names; `None` when the repository is empty or does not
    /// say.
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
    /// Asks the remote where `branches` are (`None`: its default branch) and fetches what is not
    /// here.
    ///
    /// When nothing moved this is one listing. A branch that does not exist is no error here, see
    /// [`Heads::head`].
    ///
    /// # Errors
    /// [`GitError::Unreachable`], [`GitError::Unauthorized`], [`GitError::NotFound`],
    /// [`GitError::HostKeyUnknown`], [`GitError::TimedOut`], [`GitError::Io`].
    pub async fn fetch(&mut self, branches: &[Option<BranchName>]) -> Result<Heads, GitError> {
        let named: Vec<String> = branches
            .iter()
            .flatten()
            .map(BranchName::reference)
            .collect();
        let listed = self.list(&named).await?;
        let want_default = branches.iter().any(Option::is_none);
        let heads = self.heads_of(&listed, &named, want_default)?;
        let Some(format) = heads.heads.values().next().map(Oid::format) else {
            return Ok(heads);
        };
        self.require_format(format)?;
        // What the cache remembers is not looked at again: a remote that did not move costs no
        // process at all.
        let remembered = self.remembered()?;
        let new = heads
            .heads
            .iter()
            .filter(|(_, oid)| !remembered.contains(oid));
        let new: Vec<(String, Oid)> = new
            .map(|(branch, oid)| (cached_reference(branch), *oid))
            .collect();
        if !new.is_empty() {
            self.fetch_heads(&new).await?;
        }
        Ok(heads)
    }

    fn heads_of(
        &self,
        listed: &[Reference],
        named: &[String],
        want_default: bool,
    ) -> Result<Heads, GitError> {
        let mut heads = Heads {
            url: self.url.clone(),
            default_branch: None,
            heads: BTreeMap::new(),
        };
        for reference in listed {
            let branch = reference.name.strip_prefix("refs/heads/");
            if reference.name == "HEAD" {
                let target = reference
                    .target
                    .as_deref()
                    .and_then(|name| name.strip_prefix("refs/heads/"));
                heads.default_branch = target.and_then(|name| name.parse().ok());
                if let (true, Some(branch)) = (want_default, &heads.default_branch) {
                    heads.heads.insert(branch.clone(), reference.oid);
                }
            } else if let Some(branch) = branch.filter(|_| named.contains(&reference.name)) {
                heads.heads.insert(branch.parse()?, reference.oid);
            }
        }
        Ok(heads)
    }

    /// `HEAD` and the references of these names, at least.
    pub(crate) async fn list(&mut self, names: &[String]) -> Result<Vec<Reference>, GitError> {
        let Some(smart) = &self.smart else {
            return self.list_by_program(names).await;
        };
        match smart.list(self.format, names).await {
            Ok(listed) => return Ok(listed),
            Err(Trouble::Failed(error)) => return Err(error),
            Err(Trouble::Unsupported) => self.smart = None,
        }
        let listed = self.list_by_program(names).await?;
        // The program reads what we could not, and not because of another object format: so it will
        // be tomorrow.
        if listed
            .iter()
            .any(|reference| reference.oid.format() == self.format)
        {
            self.mark_plain();
        }
        Ok(listed)
    }

    /// Fetches commits with their trees; `heads` says where the cache remembers each.
    pub(crate) async fn fetch_heads(&mut self, heads: &[(String, Oid)]) -> Result<(), GitError> {
        if let Some(smart) = &self.smart {
            let want = Want {
                oids: heads.iter().map(|(_, oid)| *oid).collect(),
                haves: self.remembered()?.into_iter().collect(),
                shallow: self.boundaries()?.into_iter().collect(),
                depth: Some(1),
                filter: "blob:none",
            };
            if self.fetch_smart(smart, &want, heads).await? {
                return Ok(());
            }
            self.smart = None;
        }
        self.fetch_heads_by_program(heads).await
    }

    /// Fetches objects by name, in one go: blobs, or trees that an earlier look back left out.
    pub(crate) async fn fetch_objects(&mut self, oids: &[Oid]) -> Result<(), GitError> {
        if let Some(smart) = &self.smart {
            // Nothing is said to be here: the server would leave out what the commits that are here
            // might hold.
            let want = Want {
                oids: oids.to_vec(),
                filter: "blob:none",
                ..Want::default()
            };
            if self.fetch_smart(smart, &want, &[]).await? {
                return Ok(());
            }
            self.smart = None;
        }
        self.fetch_objects_by_program(oids).await
    }

    /// Fetches the last `depth` commits before `head`, without trees.
    pub(crate) async fn fetch_history(&mut self, head: Oid, depth: usize) -> Result<(), GitError> {
        if let Some(smart) = &self.smart {
            let want = Want {
                oids: vec![head],
                depth: Some(depth),
                filter: "tree:0",
                ..Want::default()
            };
            if self.fetch_smart(smart, &want, &[]).await? {
                return Ok(());
            }
            self.smart = None;
        }
        self.fetch_history_by_program(head, depth).await
    }

    /// Whether the objects came and are stored; `false`: the program must try.
    async fn fetch_smart(
        &self,
        smart: &Smart,
        want: &Want,
        heads: &[(String, Oid)],
    ) -> Result<bool, GitError> {
        match smart.fetch(self.format, want).await {
            Ok(fetched) => {
                self.store_fetched(&fetched.pack).await?;
                self.move_boundaries(&fetched)?;
                for (reference, oid) in heads {
                    self.remember(reference, *oid)?;
                }
                Ok(true)
            }
            Err(Trouble::Unsupported) => Ok(false),
            Err(Trouble::Failed(error)) => Err(error),
        }
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
}
