//! What `-f` names, read anew in each cycle: paths and standard input first, then Git repositories with the Secrets that stood there.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context as _;
use sealift_core::limits::GIT_LIST_FILES_MAX;
use sealift_git::{FileState, GitUrl, Repositories, Revision};

use super::files::{FileObjects, FilenameArg, Named, Reader};
use super::{Objects, Origin, ProblemKind, policies};
use crate::cli::options::SourceOptions;
use crate::remotes;

/// The values of `-f`.
pub struct ObjectSource {
    arguments: Vec<FilenameArg>,
    policies: Vec<PathBuf>,
    argocd_namespace: String,
    stdin: Option<Vec<u8>>,
}

impl ObjectSource {
    /// Parses the values, and reads standard input where it is named: it can be read only once.
    ///
    /// # Errors
    /// A value is none that `-f` takes, or standard input cannot be read.
    pub fn new(options: &SourceOptions) -> anyhow::Result<Self> {
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
            arguments,
            policies: options.policy.clone(),
            argocd_namespace: options.argocd_namespace.clone(),
            stdin,
        })
    }

    /// Reads everything anew.
    ///
    /// # Errors
    /// A Git repository cannot be read: what it holds is unknown, so nothing is decided.
    pub async fn read(&self, git: &Repositories) -> anyhow::Result<Arc<dyn Objects>> {
        let local = self.read_local().finish();
        // The operator named it, so there is no working without it.
        policies::from_files(
            self.policies.iter().map(PathBuf::as_path),
            &self.argocd_namespace,
        )
        .map_err(|problems| {
            let problems: Vec<_> = problems.iter().map(ToString::to_string).collect();
            anyhow::anyhow!("`--policy`: {}", problems.join("; "))
        })?;
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
                .with_context(|| format!("`-f {}`", sealift_core::secret::masked_url(url)))?;
            }
        }
        Ok(Arc::new(reader.finish()))
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
        let url = GitUrl::parse(url)?;
        let remote = remotes::operators_remote(local, &url, &self.argocd_namespace)
            .await
            .map_err(|problem| anyhow::anyhow!("{} ({})", problem.detail, problem.reason))?;
        let revision = reference.map(str::parse::<Revision>).transpose()?;
        let mut repository = git.open(&remote).await?;
        let head = repository.fetch_revision(revision.as_ref()).await?;
        let folder_path = match folder {
            "" => None,
            folder => Some(sealift_core::path::RepoPath::join("", folder)?),
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
            let name = format!("{url}//{path}");
            match state {
                FileState::File { bytes, .. } => {
                    reader.read_documents(&name, &bytes, Named::ByFolder);
                }
                state => {
                    let origin = Origin::Document {
                        file: name.into(),
                        line: 1,
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
