//! Where the objects of a process come from: what `-f` names, or the API server.
//!
//! Files are read anew in each cycle: paths and standard input first, then Git repositories with
//! the Secrets that stood there. The API server is connected to in the first cycle and watched from
//! then on.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context as _;
use sealift_core::application::ManifestFile;
use sealift_core::limits::GIT_LIST_FILES_MAX;
use sealift_core::path::RepoPath;
use sealift_core::secret::masked_url;
use sealift_git::{FileState, GitUrl, Repositories, Revision};
use tokio::sync::OnceCell;

use super::files::{FileObjects, FilenameArg, Named, Reader};
use super::{ListedPolicy, Objects, Origin, ProblemKind, policies};
use crate::cli::options::SourceOptions;
use crate::cluster::config::{Configuration, Surroundings};
use crate::cluster::{Cluster, Namespaces};
use crate::remotes;

/// Where objects come from.
pub struct ObjectSource {
    /// The API server, where no file is named.
    server: Option<Server>,
    arguments: Vec<FilenameArg>,
    policies: Vec<PathBuf>,
    argocd_namespace: String,
    stdin: Option<Vec<u8>>,
}

/// An API server, connected to when it is first asked.
struct Server {
    configuration: Configuration,
    namespaces: Namespaces,
    own_namespace: String,
    cluster: OnceCell<Arc<Cluster>>,
}

/// The namespace of Argo CD where files do not say.
const ARGOCD_NAMESPACE: &str = "argocd";

impl ObjectSource {
    /// Parses the values of `-f`, and reads standard input where it is named: it can be read only
    /// once. Without any, finds the API server.
    ///
    /// # Errors
    /// A value is none that `-f` takes, standard input cannot be read, or nothing names an API
    /// server.
    pub fn new(options: &SourceOptions) -> anyhow::Result<Self> {
        let named = options.argocd_namespace.clone();
        let named = named.filter(|name| !name.is_empty());
        let (server, own_namespace) = match options.filename.is_empty() {
            true => {
                let (server, own_namespace) = Server::find(options)?;
                (Some(server), own_namespace)
            }
            false => (None, ARGOCD_NAMESPACE.to_owned()),
        };
        let arguments = options
            .filename
            .iter()
            .map(|text| text.parse::<FilenameArg>());
        let arguments: Vec<FilenameArg> = arguments.collect::<Result<_, _>>()?;
        let stdin = match arguments.contains(&FilenameArg::Stdin) {
            false => None,
            true => {
                let mut bytes = Vec::new();
                let limit = sealift_core::limits::MANIFEST_FILE_BYTES_MAX as u64 + 1;
                let mut input = std::io::Read::take(std::io::stdin().lock(), limit);
                std::io::Read::read_to_end(&mut input, &mut bytes)
                    .context("standard input cannot be read")?;
                Some(bytes)
            }
        };
        Ok(Self {
            server,
            arguments,
            policies: options.policy.clone(),
            argocd_namespace: named.unwrap_or(own_namespace),
            stdin,
        })
    }

    /// The namespace of Argo CD.
    #[must_use]
    pub fn argocd_namespace(&self) -> &str {
        &self.argocd_namespace
    }

    /// The namespace that we are in. `None`: objects come from files.
    #[must_use]
    pub fn own_namespace(&self) -> Option<&str> {
        self.server
            .as_ref()
            .map(|server| server.own_namespace.as_str())
    }

    /// The cluster, watched from now on. `None`: objects come from files.
    ///
    /// # Errors
    /// The configuration cannot be used.
    pub async fn connect(&self) -> anyhow::Result<Option<Arc<Cluster>>> {
        match &self.server {
            Some(server) => {
                let cluster = server.cluster(&self.argocd_namespace).await?;
                Ok(Some(Arc::clone(cluster)))
            }
            None => Ok(None),
        }
    }

    /// Reads everything anew, or takes what is known of the API server now.
    ///
    /// # Errors
    /// A Git repository cannot be read: what it holds is unknown, so nothing is decided.
    pub async fn read(&self, git: &Repositories) -> anyhow::Result<Arc<dyn Objects>> {
        let named_policies = self.named_policies()?;
        if let Some(cluster) = self.connect().await? {
            cluster.answered().await;
            return Ok(Arc::new(cluster.view(named_policies)));
        }
        let local = self.read_local().finish();
        let in_git = |argument: &&FilenameArg| matches!(argument, FilenameArg::Git { .. });
        if self.arguments.iter().find(in_git).is_none() {
            return Ok(Arc::new(local));
        }
        let mut reader = self.read_local();
        for argument in &self.arguments {
            if let FilenameArg::Git {
                url,
                folder,
                reference,
            } = argument
            {
                self.read_git(
                    git,
                    &local,
                    &mut reader,
                    (url, folder, reference.as_deref()),
                )
                .await
                .with_context(|| format!("`-f {}`", masked_url(url)))?;
            }
        }
        Ok(Arc::new(reader.finish()))
    }

    /// The policies of `--policy`. The operator named them, so there is no working without them.
    fn named_policies(&self) -> anyhow::Result<Vec<ListedPolicy>> {
        let files = self.policies.iter().map(PathBuf::as_path);
        policies::from_files(files, &self.argocd_namespace).map_err(|problems| {
            let problems: Vec<_> = problems.iter().map(ToString::to_string).collect();
            anyhow::anyhow!("`--policy`: {}", problems.join("; "))
        })
    }

    fn read_local(&self) -> Reader {
        let mut reader = Reader::new(&self.argocd_namespace);
        for argument in &self.arguments {
            match (argument, &self.stdin) {
                (FilenameArg::Path(path), _) => reader.read_path(path),
                (FilenameArg::Stdin, Some(bytes)) => {
                    reader.read_documents("-", bytes, Named::Explicitly);
                }
                _ => {}
            }
        }
        for path in &self.policies {
            reader.read_policy_file(path);
        }
        reader
    }

    async fn read_git(
        &self,
        git: &Repositories,
        local: &FileObjects,
        reader: &mut Reader,
        (url, folder, reference): (&str, &str, Option<&str>),
    ) -> anyhow::Result<()> {
        let written = url;
        let url = GitUrl::parse(written)?;
        let lookup = remotes::Lookup {
            objects: local,
            github_apps: git.github_apps(),
            argocd_namespace: &self.argocd_namespace,
            now: jiff::Timestamp::now(),
        };
        let remote = remotes::operators_remote(&lookup, &url)
            .await
            .map_err(|problem| anyhow::anyhow!("{} ({})", problem.detail, problem.reason))?;
        let revision = reference.map(str::parse::<Revision>).transpose()?;
        let mut repository = git.open(&remote).await?;
        let head = repository.fetch_revision(revision.as_ref()).await?;
        let folder_path = match folder {
            "" => None,
            folder => Some(RepoPath::join("", folder)?),
        };
        let mut paths: BTreeSet<_> = repository
            .list_files(head, folder_path.as_ref())
            .await?
            .into_iter()
            .filter(|path| {
                let name = path.file_name();
                let ends = [".yaml", ".yml", ".json"]
                    .iter()
                    .any(|end| name.to_ascii_lowercase().ends_with(end));
                ends && !path
                    .components()
                    .any(|component| component.starts_with('.'))
            })
            .collect();
        if paths.is_empty()
            && let Some(file) = folder_path
        {
            paths.insert(file);
        }
        for (path, state) in repository.read(head, &paths).await? {
            let name = git_file_name(written, reference, &path);
            match state {
                FileState::File { bytes, .. } => {
                    let file = ManifestFile {
                        repository: written.to_owned(),
                        branch: reference.map(str::to_owned),
                        path,
                    };
                    reader.read_documents(&name, &bytes, Named::ByFolder);
                    reader.note_git_file(name, file);
                }
                state => {
                    let origin = Origin::Document {
                        file: name.into(),
                        line: 0,
                        item: None,
                    };
                    let why = match state {
                        FileState::Missing => "there is no such file or folder",
                        FileState::TooLarge { .. } => "the file is too large",
                        _ => "it is no file",
                    };
                    reader.unread(origin, ProblemKind::File(why.to_owned()));
                }
            }
        }
        debug_assert!(paths.len() <= GIT_LIST_FILES_MAX);
        Ok(())
    }
}

/// What a file in Git is called in messages and records. Another branch holds another file of the
/// same path, and a password in the URL is nobody's to read.
fn git_file_name(url: &str, reference: Option<&str>, path: &RepoPath) -> String {
    let at = reference.map(|name| format!("?ref={name}"));
    format!("{}//{path}{}", masked_url(url), at.unwrap_or_default())
}

impl Server {
    /// Finds the API server and our own namespace.
    fn find(options: &SourceOptions) -> anyhow::Result<(Self, String)> {
        let around = Surroundings::look();
        let configuration = Configuration::choose(options.kubeconfig.as_deref(), &around)
            .context(
                "nothing says where objects come from; name files with `-f`, or an API server with `--kubeconfig`",
            )?;
        let own_namespace = configuration.own_namespace(&around)?;
        let wanted = options.watch_namespaces.as_deref().unwrap_or_default();
        let server = Self {
            namespaces: Namespaces::parse(wanted, &own_namespace),
            configuration,
            own_namespace: own_namespace.clone(),
            cluster: OnceCell::new(),
        };
        Ok((server, own_namespace))
    }

    async fn cluster(&self, home: &str) -> anyhow::Result<&Arc<Cluster>> {
        let connect = async || {
            let cluster = Cluster::watch(&self.configuration, &self.namespaces, home).await?;
            anyhow::Ok(Arc::new(cluster))
        };
        self.cluster.get_or_try_init(connect).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_in_git_is_named_with_its_ref_and_without_a_password() {
        let path = RepoPath::join("", "apps/a.yaml").unwrap();
        let name = |url, reference| git_file_name(url, reference, &path);
        let secret = "https://bot:hunter2@h.example/o/r";
        let shown = name(secret, Some("main"));
        assert_eq!(shown, "https://h.example/o/r//apps/a.yaml?ref=main");
        let shown = name("git@h.example:o/r", None);
        assert_eq!(shown, "git@h.example:o/r//apps/a.yaml");
    }
}
