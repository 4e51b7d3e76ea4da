//! The installation in the API server: our definitions, the roles that ship, and a world's objects.

use std::fs;

use anyhow::{Context as _, Result};
use sealift_testkit::kube::KubeServer;
use sealift_testkit::world::World;
use serde_json::{Value, json};

use super::Selection;

const NAMESPACE: &str = "argocd";
/// The ServiceAccount of the roles.
const ACCOUNT: &str = "argocd-image-updater-controller";
/// Definitions first: the roles name them.
const FILES: [&str; 6] = [
    "crds/imageupdaters.yaml",
    "crds/clusterpromotionpolicies.yaml",
    "crds/policyexceptions.yaml",
    "crds/promotionpolicies.yaml",
    "rbac/namespace.yaml",
    "rbac/repository-credentials.yaml",
];
/// About the bytes of one entry of `status.resources`.
const RESOURCE_BYTES: usize = 200;

/// The user that the program is to the API server.
pub(super) fn user() -> String {
    format!("system:serviceaccount:{NAMESPACE}:{ACCOUNT}")
}

/// A kubeconfig of that user.
pub(super) fn kubeconfig(kube: &KubeServer) -> String {
    kube.kubeconfig(&kube.token(NAMESPACE, ACCOUNT), NAMESPACE)
}

/// Applies everything that an operator applies, and the objects of the world. The name of an
/// Application.
pub(super) async fn install(
    kube: &KubeServer,
    world: &World,
    selection: Selection,
    status_bytes: usize,
) -> Result<String> {
    kube.namespace(NAMESPACE);
    let deploy = crate::workspace_root().join("deploy");
    for file in FILES {
        let text = fs::read_to_string(deploy.join(file)).with_context(|| file.to_owned())?;
        kube.apply_yaml(&text);
    }
    kube.apply(&json!({
        "apiVersion": "argoproj.io/v1alpha1", "kind": "AppProject",
        "metadata": { "name": "default", "namespace": NAMESPACE },
        "spec": { "sourceRepos": ["*"], "sourceNamespaces": [] },
    }));
    let text = fs::read_to_string(world.objects())?;
    // One by one: the parser refuses a text of this many documents.
    let documents = text.split("---\n").filter(|document| !document.is_empty());
    let mut objects: Vec<Value> = documents
        .map(serde_saphyr::from_str)
        .collect::<Result<_, _>>()?;
    let mut name = None;
    for object in objects
        .iter_mut()
        .filter(|one| one["kind"] == "Application")
    {
        add_resources(object, status_bytes);
        name = object["metadata"]["name"].as_str().map(str::to_owned);
    }
    kube.create_all(&objects).await;
    if selection == Selection::ImageUpdater {
        kube.apply(&json!({
            "apiVersion": "argocd-image-updater.argoproj.io/v1alpha1", "kind": "ImageUpdater",
            "metadata": { "name": "world", "namespace": NAMESPACE },
            "spec": { "applicationRefs": [{ "namePattern": "*", "useAnnotations": true }] },
        }));
    }
    name.context("the world has no Application")
}

/// Edits an Application as a person would, in what a decision may differ by.
pub(super) fn edit(kube: &KubeServer, application: &str) {
    kube.apply(&json!({
        "apiVersion": "argoproj.io/v1alpha1", "kind": "Application",
        "metadata": { "name": application, "namespace": NAMESPACE, "annotations": {
            "argocd-image-updater.argoproj.io/force-update": "false" } },
    }));
}

/// What Argo CD reports of an Application's resources, as far as `bytes` go.
fn add_resources(application: &mut Value, bytes: usize) {
    let resource = |index: usize| {
        json!({ "group": "apps", "version": "v1", "kind": "Deployment", "status": "Synced",
                "namespace": "somewhere", "name": format!("a-deployment-of-this-application-{index}"),
                "health": { "status": "Healthy" }, "syncWave": 1 })
    };
    let all: Vec<Value> = (0..bytes / RESOURCE_BYTES).map(resource).collect();
    if !all.is_empty() {
        application["status"]["resources"] = Value::from(all);
    }
}
