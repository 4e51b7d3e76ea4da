//! The one port that Kubernetes objects come through: files, or the API server.
//!
//! Here: what the pipeline may ask, and what it learns about where an answer came from. Not here:
//! what the objects mean (`sealift_core`), and how they are fetched (`files`, `crate::cluster`).
//! The pipeline cannot tell the sources apart, so nothing in [`Objects`] knows of paths or watches.

pub mod files;
pub mod policies;
pub mod source;

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use futures_util::future::BoxFuture;
pub use policies::ListedPolicy;
use sealift_core::application::ManifestFile;
use sealift_core::manifest::{
    ApplicationManifest, ConfigMapManifest, ManifestError, SecretManifest,
};
use sealift_core::project::AppProject;
use sealift_core::reason::Reason;
use sealift_write::SpecPatch;
use serde_json::Value;

/// Where objects come from.
///
/// A missing object is `Ok(None)`; an error means that nobody knows whether it exists.
pub trait Objects: Send + Sync {
    /// Every Application, ordered by namespace and name, and what could not be read. A cycle asks
    /// once: a source that holds them for this cycle alone gives them away.
    fn take_applications(&self) -> BoxFuture<'_, Result<Applications, ObjectsError>>;

    /// These Applications (`namespace/name`) alone, and what of them could not be read. `None`: this
    /// source reads all of them anyway.
    fn some_applications<'a>(
        &'a self,
        names: &'a BTreeSet<String>,
    ) -> BoxFuture<'a, Result<Option<Applications>, ObjectsError>> {
        let _ = names;
        Box::pin(std::future::ready(Ok(None)))
    }

    /// One Secret by name.
    fn secret<'a>(
        &'a self,
        namespace: &'a str,
        name: &'a str,
    ) -> BoxFuture<'a, Result<Option<Arc<SecretManifest>>, ObjectsError>>;

    /// The same, and not what was remembered of it: a registry has just refused what it holds.
    fn secret_anew<'a>(
        &'a self,
        namespace: &'a str,
        name: &'a str,
    ) -> BoxFuture<'a, Result<Option<Arc<SecretManifest>>, ObjectsError>> {
        self.secret(namespace, name)
    }

    /// One AppProject by name.
    fn project<'a>(
        &'a self,
        namespace: &'a str,
        name: &'a str,
    ) -> BoxFuture<'a, Result<Option<Arc<AppProject>>, ObjectsError>>;

    /// One ConfigMap by name.
    fn config_map<'a>(
        &'a self,
        namespace: &'a str,
        name: &'a str,
    ) -> BoxFuture<'a, Result<Option<Arc<ConfigMapManifest>>, ObjectsError>>;

    /// The Secrets of `namespace` that Argo CD keeps repository credentials in, ordered by name.
    fn repository_secrets<'a>(
        &'a self,
        namespace: &'a str,
    ) -> BoxFuture<'a, Result<Vec<Arc<SecretManifest>>, ObjectsError>>;

    /// Every `ImageUpdater`, readable or not, in reading order: one that cannot be read still says
    /// that its namespace is not left to annotations.
    fn image_updaters(&self) -> BoxFuture<'_, Result<Vec<ListedUpdater>, ObjectsError>>;

    /// Every document of the group `sealift.dev`, read or not: what cannot be read may be a policy,
    /// and must refuse rather than vanish.
    fn policies(&self) -> BoxFuture<'_, Result<Vec<ListedPolicy>, ObjectsError>>;

    /// Where in Git the manifest of an Application stands that was read from there.
    fn manifest_file(&self, origin: &Origin) -> Option<ManifestFile> {
        let _ = origin;
        None
    }

    /// Applications as they stand now, where they can be changed.
    fn live(&self) -> Option<&dyn LiveApplications> {
        None
    }
}

/// Applications that can be read as they stand now, and changed: write-back method `argocd`.
pub trait LiveApplications: Send + Sync {
    /// One Application, whole.
    fn application<'a>(
        &'a self,
        namespace: &'a str,
        name: &'a str,
    ) -> BoxFuture<'a, Result<Option<Value>, ObjectsError>>;

    /// Sends a patch, once.
    fn patch<'a>(
        &'a self,
        namespace: &'a str,
        name: &'a str,
        patch: SpecPatch,
    ) -> BoxFuture<'a, Patched>;
}

/// What became of a patch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Patched {
    /// It holds now; the new version of the Application.
    Landed {
        /// `metadata.resourceVersion`
        version: String,
    },
    /// Something else stands there than the patch builds on. Nothing was changed.
    Moved {
        /// The words of the API server.
        detail: String,
    },
    /// The API server does not do it. Nothing was changed.
    Refused {
        /// Its words.
        detail: String,
    },
    /// There was no answer: it may have landed.
    Unknown {
        /// Why.
        detail: String,
    },
}

/// An answer of [`Objects::applications`].
#[derive(Debug, Clone, Default)]
pub struct Applications {
    /// What could be read.
    pub listed: Vec<Listed>,
    /// What could not. The run goes on, and its exit code says that something failed.
    pub problems: Vec<ObjectProblem>,
}

/// One Application and where it stands.
#[derive(Debug, Clone)]
pub struct Listed {
    /// The object.
    pub manifest: Arc<ApplicationManifest>,
    /// For messages.
    pub origin: Origin,
}

/// One `ImageUpdater` and where it stands.
#[derive(Debug, Clone)]
pub struct ListedUpdater {
    /// For messages.
    pub origin: Origin,
    /// Its namespace, as far as it can be told.
    pub namespace: Option<String>,
    /// What it says; `None` where that cannot be read, which stands among the problems.
    pub object: Option<Arc<Value>>,
}

/// Where an object stands, for messages.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// A document in a file, on standard input or in Git.
    Document {
        /// Path or URL as the user would write it; `-` is standard input.
        file: Arc<str>,
        /// First line of the document, or of the error, from 1; 0 is the whole file.
        line: u64,
        /// Position in a `List`, from 0.
        item: Option<usize>,
    },
    /// The API server.
    Cluster {
        /// Namespace of the object.
        namespace: String,
        /// Name of the object.
        name: String,
    },
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Document { file, line: 0, .. } => f.write_str(file),
            Self::Document {
                file,
                line,
                item: None,
            } => write!(f, "{file}:{line}"),
            Self::Document {
                file,
                line,
                item: Some(item),
            } => {
                write!(f, "{file}:{line} items[{item}]")
            }
            Self::Cluster { namespace, name } => write!(f, "{namespace}/{name}"),
        }
    }
}

/// One object, document or file that could not be read. Everything else still counts.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{origin}: {problem}")]
pub struct ObjectProblem {
    /// Where.
    pub origin: Origin,
    /// What.
    pub problem: ProblemKind,
}

/// The kinds of [`ObjectProblem`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProblemKind {
    /// Not YAML, not JSON, or over a limit. The text shows no value.
    #[error("the document cannot be read: {0}")]
    Unparsable(String),
    /// A document is no Kubernetes object.
    #[error("the document is no Kubernetes object: it has no `{0}`")]
    NotAnObject(&'static str),
    /// A field cannot be read.
    #[error("{kind} `{name}` was not used: {error}")]
    Object {
        /// Kind of the object.
        kind: &'static str,
        /// `namespace/name` as far as it is known.
        name: String,
        /// What is wrong with it.
        error: ManifestError,
    },
    /// The same object stands in two places. Neither is used.
    #[error("{kind} `{name}` stands here and at {first}; neither was used")]
    Doubled {
        /// Kind of the object.
        kind: &'static str,
        /// `namespace/name`.
        name: String,
        /// The other place.
        first: Origin,
    },
    /// A file or folder cannot be read.
    #[error("cannot be read: {0}")]
    File(String),
    /// A bound of the program was reached.
    #[error("{0}; the rest was not read")]
    Limit(String),
}

impl ObjectProblem {
    /// The stable reason.
    #[must_use]
    pub const fn reason(&self) -> Reason {
        Reason::SettingInvalid
    }
}

/// Objects could not be asked for at all.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ObjectsError {
    /// The source of objects did not answer.
    #[error("cannot read {what}: {detail}")]
    Unavailable {
        /// What was asked for.
        what: String,
        /// Why not.
        detail: String,
    },
    /// It may not be asked for.
    #[error("cannot read {what}: {detail}")]
    Forbidden {
        /// What was asked for.
        what: String,
        /// The words of the API server.
        detail: String,
    },
    /// The object is there and is broken.
    #[error("{0}")]
    Broken(Box<ObjectProblem>),
}
