//! Kubernetes objects from files: what `-f` names, read whole, held in memory.
//!
//! Here: which files are read, in which order, and which objects they hold. Not here: fetching from
//! Git (its bytes come in through [`Reader::read_documents`]), and what the objects mean.
//!
//! Folders are read recursively: `.yaml`, `.yml` and `.json`, by name; names that begin with a dot
//! are left out (`.git`, the `..data` of mounted ConfigMaps, Argo CD's override files). A file that
//! is reached twice is read once. Objects of other kinds are counted and ignored.

mod arg;
mod documents;
mod walk;

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::future::BoxFuture;
use sealift_core::application::ManifestFile;
use sealift_core::image_updater;
use sealift_core::limits;
use sealift_core::manifest::{
    ApplicationManifest, ConfigMapManifest, ManifestError, Metadata, SecretManifest,
};
use sealift_core::project::AppProject;
use sealift_core::promotion;
use sealift_core::repository_credentials::{
    SECRET_TYPE_LABEL, SECRET_TYPE_REPO_CREDS, SECRET_TYPE_REPOSITORY,
};
use serde_json::Value;

pub use arg::{FilenameArg, FilenameArgError};

use super::{
    Applications, Listed, ListedPolicy, ListedUpdater, ObjectProblem, Objects, ObjectsError,
    Origin, ProblemKind,
};

/// Group of policies and exceptions.
const POLICY_GROUP: &str = "sealift.dev";

/// `(namespace, name)`.
type Key = (String, String);

/// Objects that were read from files.
#[derive(Debug, Default)]
pub struct FileObjects {
    /// Given away when they are asked for.
    applications: Mutex<BTreeMap<Key, Place<ApplicationManifest>>>,
    secrets: BTreeMap<Key, Place<SecretManifest>>,
    config_maps: BTreeMap<Key, Place<ConfigMapManifest>>,
    projects: BTreeMap<Key, Place<AppProject>>,
    updaters: Vec<ListedUpdater>,
    /// Where in `updaters` an object stands that has a name.
    updater_places: BTreeMap<Key, usize>,
    policies: Vec<ListedPolicy>,
    problems: Vec<ObjectProblem>,
    ignored: usize,
    /// Files that were read from Git, by the names that messages call them.
    git_files: BTreeMap<String, ManifestFile>,
}

/// An object and where it stands.
#[derive(Debug)]
struct Place<T> {
    origin: Origin,
    /// `None` once the object was found a second time.
    object: Option<Arc<T>>,
}

/// How a file was named, which decides whether it must hold objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Named {
    /// By the user: every document must be an object.
    Explicitly,
    /// By a folder: documents without `kind`, such as Helm values, are counted and ignored.
    ByFolder,
    /// By `--policy`: every document must be a policy or an exception.
    AsPolicy,
}

/// Reads files into [`FileObjects`]. Reading goes on behind everything that is broken.
#[derive(Debug)]
pub struct Reader {
    argocd_namespace: String,
    objects: FileObjects,
    bytes_left: u64,
    seen: walk::Seen,
    file: File,
}

/// The file that is being read.
#[derive(Debug, Default)]
struct File {
    /// Its text.
    text: Option<Arc<str>>,
    /// Its folder, where it has one on this machine.
    folder: Option<PathBuf>,
}

impl Reader {
    /// Starts with nothing. Objects that name no namespace are in `argocd_namespace`.
    #[must_use]
    pub fn new(argocd_namespace: &str) -> Self {
        Self {
            argocd_namespace: argocd_namespace.to_owned(),
            objects: FileObjects::default(),
            bytes_left: limits::MANIFEST_TOTAL_BYTES_MAX,
            seen: walk::Seen::default(),
            file: File::default(),
        }
    }

    /// Reads the documents in `bytes`. `name` is what messages call them.
    pub fn read_documents(&mut self, name: &str, bytes: &[u8], named: Named) {
        let file: Arc<str> = name.into();
        let at = |line| Origin::Document {
            file: Arc::clone(&file),
            line,
            item: None,
        };
        let left = self.bytes_left.checked_sub(bytes.len() as u64);
        let (Some(left), true) = (left, bytes.len() <= limits::MANIFEST_FILE_BYTES_MAX) else {
            let limit = "the files of `-f` are too large".to_owned();
            return self.unread(at(1), ProblemKind::Limit(limit));
        };
        self.bytes_left = left;
        let text = match std::str::from_utf8(bytes) {
            Ok(text) => text,
            Err(error) => {
                let before = bytes.get(..error.valid_up_to()).unwrap_or_default();
                let line = 1 + before.iter().filter(|byte| **byte == b'\n').count() as u64;
                let problem = "it is not UTF-8".to_owned();
                // UTF-16 puts a zero byte beside every letter.
                let letters = String::from_utf8_lossy(bytes).replace('\0', "");
                if documents::may_be_policy(&letters) {
                    self.policy(Err(problem.clone()), &at(line));
                }
                let problem = ProblemKind::Unparsable(problem);
                return self.problem(at(line), problem);
            }
        };
        self.file.text = text.contains(POLICY_GROUP).then(|| text.into());
        for document in documents::read(text) {
            match document {
                Ok(document) => self.object(document.value, &at(document.line), named),
                Err(broken) => {
                    if broken.may_be_policy || named == Named::AsPolicy {
                        self.policy(Err(broken.problem.clone()), &at(broken.line));
                    }
                    if broken.may_be_updater {
                        self.objects.updaters.push(ListedUpdater {
                            origin: at(broken.line),
                            namespace: None,
                            object: None,
                        });
                    }
                    self.problem(at(broken.line), ProblemKind::Unparsable(broken.problem));
                }
            }
        }
        self.file.text = None;
    }

    /// Notes where in Git a file stands that was read as `name`.
    pub fn note_git_file(&mut self, name: String, file: ManifestFile) {
        self.objects.git_files.insert(name, file);
    }

    /// Reads a file that must hold policies. Paths in it are relative to its folder.
    pub fn read_policy_file(&mut self, path: &Path) {
        if self.was_read(path) {
            return;
        }
        let before = self.objects.policies.len();
        let problems = self.objects.problems.len();
        self.read_file(path, Named::AsPolicy);
        if (before, problems) == (self.objects.policies.len(), self.objects.problems.len()) {
            let why = "it holds no policy".to_owned();
            let origin = Origin::Document {
                file: path.to_string_lossy().into(),
                line: 0,
                item: None,
            };
            self.problem(origin, ProblemKind::File(why));
        }
    }

    /// Keeps a policy document.
    fn policy(&mut self, object: Result<Value, String>, origin: &Origin) {
        self.objects.policies.push(ListedPolicy {
            origin: origin.clone(),
            object,
            text: self.file.text.clone(),
            folder: self.file.folder.clone(),
        });
    }

    /// States that something could not be read.
    pub fn problem(&mut self, origin: Origin, problem: ProblemKind) {
        self.objects
            .problems
            .push(ObjectProblem { origin, problem });
    }

    /// States that something was not read of which nobody knows what it holds. It may be a policy,
    /// so it refuses everything, as a policy that cannot be read does.
    pub fn unread(&mut self, origin: Origin, problem: ProblemKind) {
        self.policy(Err(problem.to_string()), &origin);
        self.problem(origin, problem);
    }

    /// What was read.
    #[must_use]
    pub fn finish(self) -> FileObjects {
        self.objects
    }

    fn object(&mut self, value: Value, origin: &Origin, named: Named) {
        let kind = value.get("kind").and_then(Value::as_str);
        let is_list = kind.is_some_and(|kind| kind.ends_with("List"));
        if !is_list && (named == Named::AsPolicy || promotion::read::concerns(&value)) {
            return self.policy(Ok(value), origin);
        }
        let text = |name: &str| value.get(name).and_then(Value::as_str).map(str::to_owned);
        let (Some(api_version), Some(kind)) = (text("apiVersion"), text("kind")) else {
            return match named {
                Named::ByFolder => self.objects.ignored += 1,
                Named::Explicitly | Named::AsPolicy => {
                    let missing = if text("kind").is_some() {
                        "apiVersion"
                    } else {
                        "kind"
                    };
                    self.problem(origin.clone(), ProblemKind::NotAnObject(missing));
                }
            };
        };
        match kind.strip_suffix("List") {
            Some(item_kind) => self.list(value, &api_version, item_kind, origin),
            None => self.single(value, &api_version, &kind, origin),
        }
    }

    /// The items of a list. In typed lists (`ApplicationList`) they need not say their kind.
    fn list(&mut self, mut value: Value, api_version: &str, item_kind: &str, origin: &Origin) {
        let items = match value.get_mut("items").map(Value::take) {
            Some(Value::Array(items)) => items,
            // An empty list of Kubernetes' own writers.
            Some(Value::Null) => return,
            _ => return self.unread(origin.clone(), ProblemKind::NotAnObject("items")),
        };
        for (index, item) in items.into_iter().enumerate() {
            let text = |name: &str| item.get(name).and_then(Value::as_str);
            let api_version = text("apiVersion").unwrap_or(api_version).to_owned();
            let kind = text("kind").unwrap_or(item_kind).to_owned();
            let mut origin = origin.clone();
            if let Origin::Document { item, .. } = &mut origin {
                *item = Some(index);
            }
            match kind.strip_suffix("List") {
                // Documents are bounded in depth, and so is this.
                Some(item_kind) => self.list(item, &api_version, item_kind, &origin),
                None if kind.is_empty() => {
                    self.problem(origin, ProblemKind::NotAnObject("kind"));
                }
                None => self.single(item, &api_version, &kind, &origin),
            }
        }
    }

    fn single(&mut self, value: Value, api_version: &str, kind: &str, origin: &Origin) {
        let group = api_version.split_once('/').map_or("", |(group, _)| group);
        if group == POLICY_GROUP || promotion::read::concerns(&value) {
            return self.policy(Ok(with_type(value, api_version, kind)), origin);
        }
        if group == image_updater::GROUP && kind == image_updater::KIND {
            return self.updater(with_type(value, api_version, kind), origin);
        }
        let name = name_of(&value);
        let namespace = self.argocd_namespace.as_str();
        let (kind, outcome) = match (group, kind) {
            ("argoproj.io", "Application") => (
                "Application",
                ApplicationManifest::from_value(value).map(|mut object| {
                    let key = key(&mut object.metadata, namespace);
                    let applications = self.objects.applications.get_mut();
                    let applications = applications.unwrap_or_else(PoisonError::into_inner);
                    insert(applications, key, object, origin)
                }),
            ),
            ("argoproj.io", "AppProject") => (
                "AppProject",
                AppProject::from_value(value).map(|mut object| {
                    let key = key(&mut object.metadata, namespace);
                    insert(&mut self.objects.projects, key, object, origin)
                }),
            ),
            ("", "Secret") => (
                "Secret",
                SecretManifest::from_value(value).map(|mut object| {
                    let key = key(&mut object.metadata, namespace);
                    insert(&mut self.objects.secrets, key, object, origin)
                }),
            ),
            ("", "ConfigMap") => (
                "ConfigMap",
                ConfigMapManifest::from_value(value).map(|mut object| {
                    let key = key(&mut object.metadata, namespace);
                    insert(&mut self.objects.config_maps, key, object, origin)
                }),
            ),
            _ => {
                self.objects.ignored += 1;
                return;
            }
        };
        match outcome {
            Ok(Ok(())) => {}
            Ok(Err((name, first))) => {
                self.problem(origin.clone(), ProblemKind::Doubled { kind, name, first });
            }
            Err(error) => self.refuse(kind, name, error, origin),
        }
    }

    /// Keeps an ImageUpdater as it is: what is wrong with it is for its reader to say.
    fn updater(&mut self, value: Value, origin: &Origin) {
        let text = |name: &str| value.get("metadata")?.get(name)?.as_str();
        let namespace = text("namespace").filter(|namespace| !namespace.is_empty());
        let namespace = namespace.unwrap_or(&self.argocd_namespace).to_owned();
        let name = text("name").unwrap_or_default().to_owned();
        let updaters = &mut self.objects.updaters;
        let key = (namespace.clone(), name.clone());
        let known = self.objects.updater_places.get(&key);
        let first = known.and_then(|place| updaters.get_mut(*place));
        if let Some(first) = first {
            first.object = None;
            let kind = image_updater::KIND;
            let name = format!("{namespace}/{name}");
            let first = first.origin.clone();
            return self.problem(origin.clone(), ProblemKind::Doubled { kind, name, first });
        }
        if !name.is_empty() {
            self.objects.updater_places.insert(key, updaters.len());
        }
        updaters.push(ListedUpdater {
            origin: origin.clone(),
            namespace: Some(namespace),
            object: Some(Arc::new(value)),
        });
    }

    fn refuse(&mut self, kind: &'static str, name: String, error: ManifestError, origin: &Origin) {
        self.problem(origin.clone(), ProblemKind::Object { kind, name, error });
    }
}

/// An item of a typed list need not say what it is; alone it must.
fn with_type(mut value: Value, api_version: &str, kind: &str) -> Value {
    if let Some(object) = value.as_object_mut() {
        for (name, text) in [("apiVersion", api_version), ("kind", kind)] {
            object
                .entry(name)
                .or_insert_with(|| Value::from(text.to_owned()));
        }
    }
    value
}

fn name_of(value: &Value) -> String {
    let field = |name: &str| value.get("metadata")?.get(name)?.as_str();
    match (field("namespace"), field("name")) {
        (Some(namespace), Some(name)) => format!("{namespace}/{name}"),
        (None, Some(name)) => name.to_owned(),
        _ => String::new(),
    }
}

fn key(metadata: &mut Metadata, default_namespace: &str) -> Key {
    if metadata.namespace.is_empty() {
        default_namespace.clone_into(&mut metadata.namespace);
    }
    (metadata.namespace.clone(), metadata.name.clone())
}

/// Keeps an object, or says where the same one stands already; then neither is kept.
fn insert<T>(
    objects: &mut BTreeMap<Key, Place<T>>,
    key: Key,
    object: T,
    origin: &Origin,
) -> Result<(), (String, Origin)> {
    let name = format!("{}/{}", key.0, key.1);
    match objects.entry(key) {
        Entry::Vacant(entry) => {
            entry.insert(Place {
                origin: origin.clone(),
                object: Some(Arc::new(object)),
            });
            Ok(())
        }
        Entry::Occupied(mut entry) => {
            let place = entry.get_mut();
            place.object = None;
            Err((name, place.origin.clone()))
        }
    }
}

impl FileObjects {
    /// What could not be read, in reading order.
    #[must_use]
    pub fn problems(&self) -> &[ObjectProblem] {
        &self.problems
    }

    /// Policy documents, in reading order.
    #[must_use]
    pub fn listed_policies(&self) -> &[ListedPolicy] {
        &self.policies
    }

    /// ImageUpdaters, in reading order.
    #[must_use]
    pub fn listed_updaters(&self) -> &[ListedUpdater] {
        &self.updaters
    }

    /// How many documents held something else.
    #[must_use]
    pub const fn ignored(&self) -> usize {
        self.ignored
    }

    fn one<T>(
        objects: &BTreeMap<Key, Place<T>>,
        kind: &'static str,
        namespace: &str,
        name: &str,
    ) -> Result<Option<Arc<T>>, ObjectsError> {
        let Some(place) = objects.get(&(namespace.to_owned(), name.to_owned())) else {
            return Ok(None);
        };
        match &place.object {
            Some(object) => Ok(Some(Arc::clone(object))),
            None => Err(ObjectsError::Unavailable {
                what: format!("{kind} `{namespace}/{name}`"),
                detail: format!("it stands in two places, the first is {}", place.origin),
            }),
        }
    }
}

impl Objects for FileObjects {
    fn take_applications(&self) -> BoxFuture<'_, Result<Applications, ObjectsError>> {
        let mut held = self
            .applications
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let listed = std::mem::take(&mut *held)
            .into_values()
            .filter_map(|place| {
                Some(Listed {
                    manifest: place.object?,
                    origin: place.origin,
                })
            });
        let answer = Applications {
            listed: listed.collect(),
            problems: self.problems.clone(),
        };
        Box::pin(std::future::ready(Ok(answer)))
    }

    fn manifest_file(&self, origin: &Origin) -> Option<ManifestFile> {
        match origin {
            // An item of a list has no document of its own.
            Origin::Document {
                file, item: None, ..
            } => self.git_files.get(&**file).cloned(),
            _ => None,
        }
    }

    fn secret<'a>(
        &'a self,
        namespace: &'a str,
        name: &'a str,
    ) -> BoxFuture<'a, Result<Option<Arc<SecretManifest>>, ObjectsError>> {
        let answer = Self::one(&self.secrets, "Secret", namespace, name);
        Box::pin(std::future::ready(answer))
    }

    fn config_map<'a>(
        &'a self,
        namespace: &'a str,
        name: &'a str,
    ) -> BoxFuture<'a, Result<Option<Arc<ConfigMapManifest>>, ObjectsError>> {
        let answer = Self::one(&self.config_maps, "ConfigMap", namespace, name);
        Box::pin(std::future::ready(answer))
    }

    fn project<'a>(
        &'a self,
        namespace: &'a str,
        name: &'a str,
    ) -> BoxFuture<'a, Result<Option<Arc<AppProject>>, ObjectsError>> {
        let answer = Self::one(&self.projects, "AppProject", namespace, name);
        Box::pin(std::future::ready(answer))
    }

    fn image_updaters(&self) -> BoxFuture<'_, Result<Vec<ListedUpdater>, ObjectsError>> {
        Box::pin(std::future::ready(Ok(self.updaters.clone())))
    }

    fn policies(&self) -> BoxFuture<'_, Result<Vec<ListedPolicy>, ObjectsError>> {
        Box::pin(std::future::ready(Ok(self.policies.clone())))
    }

    fn repository_secrets<'a>(
        &'a self,
        namespace: &'a str,
    ) -> BoxFuture<'a, Result<Vec<Arc<SecretManifest>>, ObjectsError>> {
        let secrets = self.secrets.iter().filter(|((of, _), _)| of == namespace);
        let secrets = secrets.filter_map(|(_, place)| place.object.as_ref());
        let secrets = secrets.filter(|secret| {
            matches!(
                secret
                    .metadata
                    .labels
                    .get(SECRET_TYPE_LABEL)
                    .map(String::as_str),
                Some(SECRET_TYPE_REPOSITORY | SECRET_TYPE_REPO_CREDS)
            )
        });
        let answer = secrets.map(Arc::clone).collect();
        Box::pin(std::future::ready(Ok(answer)))
    }
}

#[cfg(test)]
mod tests;
