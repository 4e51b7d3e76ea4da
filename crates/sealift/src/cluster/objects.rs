//! The cluster behind the port [`Objects`], as one cycle sees it.
//!
//! Applications and policies come from watches. Secrets and ConfigMaps are read by name, each once
//! a cycle, and never watched; the one list of Secrets is that of Argo CD's repository credentials,
//! by its label.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::future::BoxFuture;
use kube::Error;
use sealift_core::limits::{OBJECT_NAME_BYTES_MAX, REPOSITORY_SECRETS_MAX, WATCH_PAGE_OBJECTS};
use sealift_core::manifest::{ConfigMapManifest, ManifestError, SecretManifest};
use sealift_core::project::AppProject;
use sealift_core::repository_credentials::{
    SECRET_TYPE_LABEL, SECRET_TYPE_REPO_CREDS, SECRET_TYPE_REPOSITORY,
};
use sealift_write::SpecPatch;
use serde_json::Value;
use tokio::sync::OnceCell;

use super::read::{Content, Watched};
use super::watch::{Key, Watch, WatchError};
use super::{Cluster, REQUEST_TIMEOUT};
use crate::objects::{
    Applications, Listed, ListedPolicy, ListedUpdater, LiveApplications, ObjectProblem, Objects,
    ObjectsError, Origin, Patched, ProblemKind,
};

/// Kind, version and resource of Secrets.
const SECRET: (&str, &str, &str) = ("Secret", "api/v1", "secrets");

/// What was read, by namespace and name.
type Known<T> = BTreeMap<(String, String), Result<Option<Arc<T>>, ObjectsError>>;
type Memory<T> = Mutex<Known<T>>;
/// A list of Secrets, or the task that is asking for it, which others wait for.
type SecretList = Arc<OnceCell<Result<Vec<Arc<SecretManifest>>, ObjectsError>>>;

fn lock<T>(memory: &Memory<T>) -> MutexGuard<'_, Known<T>> {
    memory.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A cluster in one cycle.
pub struct ClusterObjects {
    cluster: Arc<Cluster>,
    /// Of `--policy`.
    more_policies: Vec<ListedPolicy>,
    secrets: Memory<SecretManifest>,
    /// By namespace: every Git repository asks for the same.
    repository_secrets: Mutex<BTreeMap<String, SecretList>>,
    config_maps: Memory<ConfigMapManifest>,
    projects: Memory<AppProject>,
    /// Secrets that were read a second time, because a registry refused what they held.
    read_anew: Mutex<BTreeSet<(String, String)>>,
}

impl ClusterObjects {
    pub(super) fn new(cluster: Arc<Cluster>, more_policies: Vec<ListedPolicy>) -> Self {
        Self {
            cluster,
            more_policies,
            secrets: Mutex::default(),
            repository_secrets: Mutex::default(),
            config_maps: Mutex::default(),
            projects: Mutex::default(),
            read_anew: Mutex::default(),
        }
    }

    /// One object by name, asked for once a cycle.
    async fn one<T>(
        &self,
        memory: &Memory<T>,
        (kind, version, plural): (&'static str, &str, &str),
        (namespace, name): (&str, &str),
        read: fn(Value) -> Result<T, ManifestError>,
    ) -> Result<Option<Arc<T>>, ObjectsError> {
        let key = (namespace.to_owned(), name.to_owned());
        if let Some(known) = lock(memory).get(&key) {
            return known.clone();
        }
        let what = format!("{kind} `{namespace}/{name}`");
        let answer = match is_name(namespace) && is_name(name) {
            true => {
                let path = format!("/{version}/namespaces/{namespace}/{plural}/{name}");
                self.ask(&path, &what).await
            }
            // Never part of a path: it came from an annotation.
            false => Err(ObjectsError::Unavailable {
                what: what.clone(),
                detail: "this is no name of an object; it was not asked for".to_owned(),
            }),
        };
        let answer = answer.and_then(|value| {
            let object = value.map(read).transpose();
            object
                .map(|object| object.map(Arc::new))
                .map_err(|error| broken(kind, namespace, name, error))
        });
        lock(memory).insert(key, answer.clone());
        answer
    }

    /// Asks for `path`. `None`: there is no such object.
    async fn ask(&self, path: &str, what: &str) -> Result<Option<Value>, ObjectsError> {
        let request = http::Request::get(path).body(Vec::new());
        let unavailable = |detail| ObjectsError::Unavailable {
            what: what.to_owned(),
            detail,
        };
        let request = request.map_err(|error| unavailable(error.to_string()))?;
        let ask = self.cluster.client().request::<Value>(request);
        match bounded(ask).await {
            Ok(value) => Ok(Some(value)),
            Err(Error::Api(status)) if status.code == 404 => Ok(None),
            Err(Error::Api(status)) if status.code == 403 => Err(ObjectsError::Forbidden {
                what: what.to_owned(),
                detail: words(&Error::Api(status)),
            }),
            Err(error) => Err(unavailable(words(&error))),
        }
    }

    /// Secrets of one type, page by page.
    async fn labelled(
        &self,
        namespace: &str,
        secret_type: &str,
        found: &mut Vec<Arc<SecretManifest>>,
    ) -> Result<(), ObjectsError> {
        let what = format!("Secrets in namespace `{namespace}` with label `{SECRET_TYPE_LABEL}`");
        let mut next = String::new();
        loop {
            let path = labelled_path(namespace, secret_type, &next);
            let Some(mut page) = self.ask(&path, &what).await? else {
                return Ok(());
            };
            let items = page.get_mut("items").map(Value::take);
            for item in items
                .as_ref()
                .and_then(Value::as_array)
                .into_iter()
                .flatten()
            {
                // One that cannot be read is not one that is asked for.
                if let Ok(secret) = SecretManifest::from_value(item.clone()) {
                    found.push(Arc::new(secret));
                }
            }
            if found.len() > REPOSITORY_SECRETS_MAX {
                return Err(ObjectsError::Unavailable {
                    what,
                    detail: format!("there are more than {REPOSITORY_SECRETS_MAX}"),
                });
            }
            let more = page["metadata"]["continue"].as_str().unwrap_or_default();
            if more.is_empty() {
                return Ok(());
            }
            next = more.to_owned();
        }
    }

    /// Argo CD's repository credentials of both types, by name.
    async fn repository_secrets_of(
        &self,
        namespace: &str,
    ) -> Result<Vec<Arc<SecretManifest>>, ObjectsError> {
        let mut found = Vec::new();
        for secret_type in [SECRET_TYPE_REPOSITORY, SECRET_TYPE_REPO_CREDS] {
            self.labelled(namespace, secret_type, &mut found).await?;
        }
        found.sort_by(|left, right| left.metadata.name.cmp(&right.metadata.name));
        Ok(found)
    }

    /// All, or those of these names.
    fn applications(&self, names: Option<&BTreeSet<Key>>) -> Result<Applications, ObjectsError> {
        let mut applications = Applications::default();
        for watch in &self.cluster.applications {
            let objects = match names {
                None => watch.list(),
                Some(names) => watch.some(names),
            };
            for ((namespace, name), object) in unless_unknown(watch, objects)? {
                let full_name = format!("{namespace}/{name}");
                let origin = Origin::Cluster { namespace, name };
                match object.content {
                    Ok(manifest) => applications.listed.push(Listed { manifest, origin }),
                    Err(error) => applications.problems.push(ObjectProblem {
                        origin,
                        problem: ProblemKind::Object {
                            kind: "Application",
                            name: full_name,
                            error,
                        },
                    }),
                }
            }
        }
        Ok(applications)
    }

    fn listed_updaters(&self) -> Result<Vec<ListedUpdater>, ObjectsError> {
        let mut updaters = Vec::new();
        for watch in &self.cluster.image_updaters {
            for ((namespace, name), object) in known(watch)? {
                updaters.push(ListedUpdater {
                    namespace: Some(namespace.clone()),
                    origin: Origin::Cluster { namespace, name },
                    object: object.content.ok(),
                });
            }
        }
        Ok(updaters)
    }

    fn listed_policies(&self) -> Result<Vec<ListedPolicy>, ObjectsError> {
        let mut policies = self.more_policies.clone();
        for watch in &self.cluster.policies {
            for ((namespace, name), object) in known(watch)? {
                let content = object.content.map(Arc::unwrap_or_clone);
                policies.push(ListedPolicy {
                    origin: Origin::Cluster { namespace, name },
                    object: content.map_err(|error| error.to_string()),
                    text: None,
                    folder: None,
                });
            }
        }
        Ok(policies)
    }
}

/// The objects of a watch, by namespace and name.
type KnownObjects<T> = Vec<((String, String), Watched<T>)>;

fn known<T: Content>(watch: &Watch<T>) -> Result<KnownObjects<T>, ObjectsError> {
    unless_unknown(watch, watch.list())
}

fn unless_unknown<T: Content>(
    watch: &Watch<T>,
    objects: Result<KnownObjects<T>, WatchError>,
) -> Result<KnownObjects<T>, ObjectsError> {
    objects.map_err(|error| ObjectsError::Unavailable {
        what: watch.name(),
        detail: error.to_string(),
    })
}

impl Objects for ClusterObjects {
    fn take_applications(&self) -> BoxFuture<'_, Result<Applications, ObjectsError>> {
        Box::pin(std::future::ready(self.applications(None)))
    }

    fn some_applications<'a>(
        &'a self,
        names: &'a BTreeSet<String>,
    ) -> BoxFuture<'a, Result<Option<Applications>, ObjectsError>> {
        let key = |name: &String| {
            let (namespace, name) = name.split_once('/')?;
            Some((namespace.to_owned(), name.to_owned()))
        };
        let keys: BTreeSet<Key> = names.iter().filter_map(key).collect();
        Box::pin(std::future::ready(self.applications(Some(&keys)).map(Some)))
    }

    fn secret<'a>(
        &'a self,
        namespace: &'a str,
        name: &'a str,
    ) -> BoxFuture<'a, Result<Option<Arc<SecretManifest>>, ObjectsError>> {
        let (kind, read) = (SECRET, SecretManifest::from_value);
        Box::pin(self.one(&self.secrets, kind, (namespace, name), read))
    }

    fn secret_anew<'a>(
        &'a self,
        namespace: &'a str,
        name: &'a str,
    ) -> BoxFuture<'a, Result<Option<Arc<SecretManifest>>, ObjectsError>> {
        let key = (namespace.to_owned(), name.to_owned());
        let mut anew = self
            .read_anew
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        // Once a cycle: a registry that refuses everything must not cost a question an image.
        if anew.insert(key.clone()) {
            lock(&self.secrets).remove(&key);
        }
        drop(anew);
        self.secret(namespace, name)
    }

    fn project<'a>(
        &'a self,
        namespace: &'a str,
        name: &'a str,
    ) -> BoxFuture<'a, Result<Option<Arc<AppProject>>, ObjectsError>> {
        let kind = ("AppProject", "apis/argoproj.io/v1alpha1", "appprojects");
        let read = AppProject::from_value;
        Box::pin(self.one(&self.projects, kind, (namespace, name), read))
    }

    fn config_map<'a>(
        &'a self,
        namespace: &'a str,
        name: &'a str,
    ) -> BoxFuture<'a, Result<Option<Arc<ConfigMapManifest>>, ObjectsError>> {
        let kind = ("ConfigMap", "api/v1", "configmaps");
        let read = ConfigMapManifest::from_value;
        Box::pin(self.one(&self.config_maps, kind, (namespace, name), read))
    }

    fn repository_secrets<'a>(
        &'a self,
        namespace: &'a str,
    ) -> BoxFuture<'a, Result<Vec<Arc<SecretManifest>>, ObjectsError>> {
        let mut lists = self
            .repository_secrets
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let list = Arc::clone(lists.entry(namespace.to_owned()).or_default());
        drop(lists);
        Box::pin(async move {
            let list = list.get_or_init(|| self.repository_secrets_of(namespace));
            list.await.clone()
        })
    }

    fn image_updaters(&self) -> BoxFuture<'_, Result<Vec<ListedUpdater>, ObjectsError>> {
        Box::pin(std::future::ready(self.listed_updaters()))
    }

    fn policies(&self) -> BoxFuture<'_, Result<Vec<ListedPolicy>, ObjectsError>> {
        Box::pin(std::future::ready(self.listed_policies()))
    }

    fn live(&self) -> Option<&dyn LiveApplications> {
        Some(self)
    }
}

impl LiveApplications for ClusterObjects {
    fn application<'a>(
        &'a self,
        namespace: &'a str,
        name: &'a str,
    ) -> BoxFuture<'a, Result<Option<Value>, ObjectsError>> {
        Box::pin(async move {
            let what = format!("Application `{namespace}/{name}`");
            self.ask(&application_path(namespace, name), &what).await
        })
    }

    fn patch<'a>(
        &'a self,
        namespace: &'a str,
        name: &'a str,
        patch: SpecPatch,
    ) -> BoxFuture<'a, Patched> {
        Box::pin(async move {
            let path = application_path(namespace, name);
            match patch_request(&path, &patch) {
                Ok(request) => {
                    let ask = self.cluster.client().request::<Value>(request);
                    patched(bounded(ask).await)
                }
                Err(detail) => Patched::Refused { detail },
            }
        })
    }
}

/// The manager of the fields that a patch sets, as `kubectl` shows it.
pub(super) const FIELD_MANAGER: &str = "sealift";

fn application_path(namespace: &str, name: &str) -> String {
    format!("/apis/argoproj.io/v1alpha1/namespaces/{namespace}/applications/{name}")
}

fn patch_request(path: &str, patch: &SpecPatch) -> Result<http::Request<Vec<u8>>, String> {
    let body = serde_json::to_vec(patch.operations()).map_err(|error| error.to_string())?;
    http::Request::patch(format!("{path}?fieldManager={FIELD_MANAGER}"))
        .header("content-type", "application/json-patch+json")
        .body(body)
        .map_err(|error| error.to_string())
}

/// What an answer to a patch means. `422` is a failed test, or an object that the schema refuses;
/// `409` is a change at the same moment: both are decided anew on what stands there then.
fn patched(answer: Result<Value, Error>) -> Patched {
    match answer {
        Ok(object) => Patched::Landed {
            version: object["metadata"]["resourceVersion"]
                .as_str()
                .unwrap_or_default()
                .to_owned(),
        },
        Err(error @ Error::Api(_)) => {
            let detail = words(&error);
            let Error::Api(status) = error else {
                return Patched::Unknown { detail };
            };
            match status.code {
                409 | 422 => Patched::Moved { detail },
                code if code >= 500 => Patched::Unknown { detail },
                _ => Patched::Refused { detail },
            }
        }
        Err(error) => Patched::Unknown {
            detail: words(&error),
        },
    }
}

/// One page of the Secrets of a type; `next` is where the page before ended.
fn labelled_path(namespace: &str, secret_type: &str, next: &str) -> String {
    let selector = format!("{SECRET_TYPE_LABEL}={secret_type}");
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    query.append_pair("labelSelector", &selector);
    query.append_pair("limit", &WATCH_PAGE_OBJECTS.to_string());
    if !next.is_empty() {
        query.append_pair("continue", next);
    }
    format!("/api/v1/namespaces/{namespace}/secrets?{}", query.finish())
}

/// A request that ends in time.
pub(super) async fn bounded<T>(ask: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    let answer = tokio::time::timeout(REQUEST_TIMEOUT, ask).await;
    answer.unwrap_or_else(|late| Err(Error::Service(Box::new(late))))
}

/// An error for people. Never a value of an object: of what cannot be parsed only that is said.
pub(super) fn words(error: &Error) -> String {
    match error {
        Error::Api(status) if status.code == 403 => {
            format!("the API server forbids it: {}", status.message)
        }
        Error::Api(status) => format!("the API server answers {}: {status}", status.code),
        Error::SerdeError(_) => "the answer is no JSON".to_owned(),
        error => crate::pipeline::chain(error),
    }
}

fn broken(kind: &'static str, namespace: &str, name: &str, error: ManifestError) -> ObjectsError {
    let full_name = format!("{namespace}/{name}");
    let origin = Origin::Cluster {
        namespace: namespace.to_owned(),
        name: name.to_owned(),
    };
    let problem = ProblemKind::Object {
        kind,
        name: full_name,
        error,
    };
    ObjectsError::Broken(Box::new(ObjectProblem { origin, problem }))
}

/// Whether `text` can be the name of an object or a namespace: a DNS subdomain.
pub(crate) fn is_name(text: &str) -> bool {
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '.');
    !text.is_empty()
        && text.len() <= OBJECT_NAME_BYTES_MAX
        && text.chars().all(allowed)
        && !text.starts_with(['.', '-'])
        && !text.ends_with(['.', '-'])
        && !text.contains("..")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_name_never_becomes_part_of_a_path() {
        assert!(is_name("repo-1.example"));
        for text in [
            "", ".", "..", "a/b", "../x", "a..b", "A", "a?b", "a b", "-a", "a%2f",
        ] {
            assert!(!is_name(text), "{text}");
        }
        assert!(!is_name(&"a".repeat(254)));
    }
}
