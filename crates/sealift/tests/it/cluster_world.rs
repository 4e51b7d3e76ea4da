//! An installation in a real API server: a namespace of its own, the roles that ship, and the
//! program as its ServiceAccount.

use std::sync::Once;
use std::sync::atomic::{AtomicU32, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sealift_testkit::kube::KubeServer;
use serde_json::{Value, json};

use crate::world::{App, Ran, World, sealift};

const CRDS: [&str; 4] = [
    include_str!("../../../../deploy/crds/imageupdaters.yaml"),
    include_str!("../../../../deploy/crds/clusterpromotionpolicies.yaml"),
    include_str!("../../../../deploy/crds/policyexceptions.yaml"),
    include_str!("../../../../deploy/crds/promotionpolicies.yaml"),
];
const ROLES: &str = include_str!("../../../../deploy/rbac/namespace.yaml");
const REPOSITORY_CREDENTIALS: &str =
    include_str!("../../../../deploy/rbac/repository-credentials.yaml");
/// Annotations count in a cluster only where they are asked for.
pub(crate) const AUTO: [&str; 2] = ["--annotations", "auto"];
/// The ServiceAccount of the roles.
const ACCOUNT: &str = "argocd-image-updater-controller";

/// A namespace that stands for Argo CD's.
pub(crate) struct ClusterWorld {
    pub(crate) kube: &'static KubeServer,
    pub(crate) world: World,
    pub(crate) namespace: String,
}

impl ClusterWorld {
    /// With our definitions and roles. `None`: there is no API server, and the test says so.
    pub(crate) fn new() -> Option<Self> {
        static DEFINED: Once = Once::new();
        let kube = KubeServer::shared()?;
        DEFINED.call_once(|| CRDS.iter().for_each(|text| kube.apply_yaml(text)));
        Some(Self::on(kube))
    }

    /// On a server of its own, or the shared one, whatever is defined there.
    pub(crate) fn on(kube: &'static KubeServer) -> Self {
        Self::with_roles(kube, |namespace, _| kube.apply_yaml(&of(namespace, ROLES)))
    }

    /// The same with other roles, of a namespace and a ServiceAccount.
    pub(crate) fn with_roles(kube: &'static KubeServer, roles: impl FnOnce(&str, &str)) -> Self {
        static NAMESPACES: AtomicU32 = AtomicU32::new(0);
        let number = NAMESPACES.fetch_add(1, Ordering::Relaxed);
        Self::in_namespace(kube, format!("argocd-{number}"), roles)
    }

    /// The same in a namespace of this name.
    pub(crate) fn in_namespace(
        kube: &'static KubeServer,
        namespace: String,
        roles: impl FnOnce(&str, &str),
    ) -> Self {
        kube.namespace(&namespace);
        let world = World::new();
        let this = Self {
            kube,
            world,
            namespace,
        };
        roles(&this.namespace, ACCOUNT);
        let kubeconfig = this.kubeconfig();
        std::fs::write(this.world.path("kubeconfig"), kubeconfig).unwrap();
        this
    }

    /// Defines our kinds, on a server where they are not.
    pub(crate) fn define_policies(&self) {
        CRDS.iter().for_each(|text| self.kube.apply_yaml(text));
    }

    /// Defines `ImageUpdater` alone, as where Argo CD Image Updater ran.
    pub(crate) fn define_image_updaters(&self) {
        self.kube.apply_yaml(CRDS[0]);
    }

    /// Lets it look for Argo CD's repository credentials.
    pub(crate) fn allow_repository_credentials(&self) {
        self.kube
            .apply_yaml(&of(&self.namespace, REPOSITORY_CREDENTIALS));
    }

    fn kubeconfig(&self) -> String {
        let token = self.kube.token(&self.namespace, ACCOUNT);
        self.kube.kubeconfig(&token, &self.namespace)
    }

    /// Applies an Application, with what runs.
    pub(crate) fn app(&self, app: &App<'_>) {
        let text = self.world.manifest(app);
        self.kube.apply_yaml(&self.here(&text));
    }

    /// A text about namespace `argocd`, about this one.
    fn here(&self, text: &str) -> String {
        text.replace(
            "namespace: argocd\n",
            &format!("namespace: {}\n", self.namespace),
        )
    }

    /// Applies an object into the namespace.
    pub(crate) fn apply(&self, mut object: Value) -> Value {
        object["metadata"]["namespace"] = json!(self.namespace);
        self.kube.apply(&object)
    }

    /// Applies a Secret.
    pub(crate) fn secret(&self, name: &str, labels: &Value, data: &Value) {
        self.apply(json!({ "apiVersion": "v1", "kind": "Secret",
                           "metadata": { "name": name, "labels": labels }, "stringData": data }));
    }

    /// Reads an Application.
    pub(crate) fn application(&self, name: &str) -> Value {
        let identity = json!({ "apiVersion": "argoproj.io/v1alpha1", "kind": "Application",
                               "metadata": { "name": name, "namespace": self.namespace } });
        self.kube.get(&identity).unwrap()
    }

    /// Takes a verb away from the role, for every resource.
    pub(crate) fn forbid(&self, verb: &str) {
        self.forbid_on("", verb);
    }

    /// Gives the roles back that ship.
    pub(crate) fn allow_all(&self) {
        self.kube.apply_yaml(&of(&self.namespace, ROLES));
    }

    /// Takes a verb away from the role for one resource; for an empty text, for every one.
    pub(crate) fn forbid_on(&self, resource: &str, verb: &str) {
        let identity = json!({ "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role",
                               "metadata": { "name": "sealift", "namespace": self.namespace } });
        let mut role = self.kube.get(&identity).unwrap();
        for rule in role["rules"].as_array_mut().unwrap() {
            let resources = rule["resources"].as_array().unwrap();
            if !resource.is_empty() && !resources.iter().any(|one| one == resource) {
                continue;
            }
            rule["verbs"]
                .as_array_mut()
                .unwrap()
                .retain(|one| one != verb);
        }
        let rules = role["rules"].as_array_mut().unwrap();
        rules.retain(|rule| rule["verbs"] != json!([]));
        let path = format!(
            "/apis/rbac.authorization.k8s.io/v1/namespaces/{}/roles/sealift",
            self.namespace
        );
        self.kube.request("PUT", &path, Some(&role)).ok();
    }

    /// The program with everything that it needs here.
    pub(crate) fn command(&self, command: &str) -> std::process::Command {
        self.command_in(command, "state")
    }

    /// The same with a state folder of its own.
    pub(crate) fn command_in(&self, command: &str, state: &str) -> std::process::Command {
        let mut program = self.command_bare(command);
        program.arg("--state-dir").arg(self.world.path(state));
        program
    }

    /// The same without one, as in a Pod without a disk.
    pub(crate) fn command_bare(&self, command: &str) -> std::process::Command {
        let mut program = sealift();
        program
            .args([command, "--allow-local-git", "--kubeconfig"])
            .arg(self.world.path("kubeconfig"))
            .arg("--registries-conf-path")
            .arg(self.world.path("registries.conf"));
        program
    }

    /// `run --once` with `more` arguments.
    pub(crate) fn run(&self, more: &[&str]) -> Ran {
        let output = self
            .command("run")
            .args(["--once", "--output", "json"])
            .args(if more.contains(&"--annotations") {
                &[][..]
            } else {
                &AUTO[..]
            })
            .args(more)
            .output()
            .unwrap();
        Ran::new(&output)
    }

    /// The id of an Application, as reports have it.
    pub(crate) fn id(&self, name: &str) -> String {
        format!("{}/{name}", self.namespace)
    }
}

/// Roles that ship or are printed for `argocd`, for another namespace.
pub(crate) fn of(namespace: &str, text: &str) -> String {
    let here = format!("namespace: {namespace}\n");
    let own = format!("sealift-cluster-policies-{namespace}");
    text.replace("namespace: argocd\n", &here)
        .replace("sealift-cluster-policies", &own)
}

/// What the kubelet would set for a container, from the ConfigMaps and Secrets on the server.
pub(crate) fn environment(cluster: &ClusterWorld, container: &Value) -> Vec<(String, String)> {
    let held = |kind: &str, reference: &Value| {
        let name = &reference["name"];
        let object = json!({ "apiVersion": "v1", "kind": kind,
                             "metadata": { "name": name, "namespace": cluster.namespace } });
        let object = cluster.kube.get(&object);
        assert!(object.is_some() || reference["optional"] == true, "{name}");
        let key = reference["key"].as_str().unwrap();
        let value = object?["data"][key].as_str()?.to_owned();
        match kind {
            "Secret" => String::from_utf8(STANDARD.decode(value).unwrap()).ok(),
            _ => Some(value),
        }
    };
    let variables = container["env"].as_array().unwrap().iter();
    variables
        .filter_map(|variable| {
            let name = variable["name"].as_str().unwrap().to_owned();
            let from = &variable["valueFrom"];
            let value = match &from["fieldRef"]["fieldPath"] {
                Value::String(field) if field == "metadata.namespace" => {
                    Some(cluster.namespace.clone())
                }
                Value::Null if from["configMapKeyRef"].is_object() => {
                    held("ConfigMap", &from["configMapKeyRef"])
                }
                Value::Null if from["secretKeyRef"].is_object() => {
                    held("Secret", &from["secretKeyRef"])
                }
                other => {
                    assert_eq!(*other, Value::Null, "{variable}");
                    variable["value"].as_str().map(str::to_owned)
                }
            };
            Some((name, value?))
        })
        .collect()
}
