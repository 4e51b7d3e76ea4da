//! The chart, rendered by the real Helm: it says what the manifests say, and a real API server takes
//! it with whatever its values are.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test may end where a server does not start"
)]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use sealift_testkit::helm;
use sealift_testkit::kube::KubeServer;
use serde_json::{Value, json};

/// `(kind, namespace, name)`.
type Id = (String, String, String);

fn deploy(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../deploy")
        .join(name)
}

/// What the chart says with these values.
fn rendered(helm: &Path, values: &[&str]) -> String {
    let home = tempfile::tempdir().unwrap();
    let output = Command::new(helm)
        .env_clear()
        .env("HOME", home.path())
        .args(["template", "sealift"])
        .arg(deploy("chart"))
        .args(["--namespace", "argocd", "--include-crds"])
        // Without its release's flags Helm takes the cluster for an ancient one.
        .args(["--kube-version", "1.37.2"])
        .args(values.iter().flat_map(|value| ["--set", value]))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    String::from_utf8(output.stdout).unwrap()
}

fn objects(text: &str) -> BTreeMap<Id, Value> {
    let documents: Vec<Value> = serde_saphyr::from_multiple(text).unwrap();
    let objects = documents.into_iter().filter(Value::is_object);
    objects
        .map(|object| {
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            let metadata = &object["metadata"];
            let id = (
                text(&object["kind"]),
                text(&metadata["namespace"]),
                text(&metadata["name"]),
            );
            (id, object)
        })
        .collect()
}

/// Every object that `docs/install.md` applies.
fn manifests() -> BTreeMap<Id, Value> {
    let mut all = objects(&fs::read_to_string(deploy("rbac/namespace.yaml")).unwrap());
    all.extend(folder("crds"));
    all.extend(folder("manifests"));
    all
}

fn folder(name: &str) -> BTreeMap<Id, Value> {
    let entries = fs::read_dir(deploy(name)).unwrap();
    let files = entries.map(|entry| entry.unwrap().path());
    let texts = files.filter(|path| path.is_file()).map(fs::read_to_string);
    texts.flat_map(|text| objects(&text.unwrap())).collect()
}

#[test]
fn the_chart_with_its_own_values_says_what_the_manifests_say() {
    let Some(helm) = helm::find_or_say() else {
        return;
    };
    let (chart, manifests) = (objects(&rendered(&helm, &[])), manifests());
    let ids = |objects: &BTreeMap<Id, Value>| objects.keys().cloned().collect::<Vec<_>>();
    assert_eq!(ids(&chart), ids(&manifests));
    for (id, object) in &manifests {
        assert_eq!(&chart[id], object, "{id:?}");
    }
}

/// With all namespaces watched the cluster-wide role is that of `deploy/rbac/cluster.yaml`.
#[test]
fn the_chart_for_all_namespaces_grants_what_the_roles_for_them_grant() {
    let Some(helm) = helm::find_or_say() else {
        return;
    };
    let chart = objects(&rendered(&helm, &["watchNamespaces={*}"]));
    let roles = objects(&fs::read_to_string(deploy("rbac/cluster.yaml")).unwrap());
    assert!(!roles.is_empty());
    for (id, object) in &roles {
        assert_eq!(chart.get(id), Some(object), "{id:?}");
    }
}

#[test]
fn with_metrics_of_their_own_the_chart_says_what_the_files_for_them_say_and_nothing_else_changes() {
    let Some(helm) = helm::find_or_say() else {
        return;
    };
    let values = ["metrics.secure=true", "metrics.serviceMonitor.enabled=true"];
    let mut chart = objects(&rendered(&helm, &values));
    let mut files = folder("metrics");
    files.extend(folder("metrics/prometheus"));
    // Whose Prometheus it is only its operator knows.
    files.retain(|_, object| object["subjects"][0]["name"] != "prometheus-k8s");
    for (id, object) in &files {
        assert_eq!(chart.remove(id).as_ref(), Some(object), "{id:?}");
    }
    let mut manifests = manifests();
    for (id, object) in &mut manifests {
        if id.0 == "Deployment" {
            let args = &mut object["spec"]["template"]["spec"]["containers"][0]["args"];
            args.as_array_mut()
                .unwrap()
                .push(json!("--metrics-bind-address=:8443"));
        }
    }
    assert!(chart.keys().eq(manifests.keys()));
    for (id, object) in &manifests {
        assert_eq!(&chart[id], object, "{id:?}");
    }
}

#[test]
fn a_real_api_server_takes_the_chart_with_every_value_set() {
    let Some(helm) = helm::find_or_say() else {
        return;
    };
    let Some(kube) = KubeServer::start() else {
        return;
    };
    for namespace in ["argocd", "cd", "team"] {
        kube.namespace(namespace);
    }
    kube.apply_yaml(&rendered(&helm, &[]));
    let all = [
        "image.digest=sha256:0000000000000000000000000000000000000000000000000000000000000000",
        "imagePullSecrets[0].name=pull",
        "annotations=never",
        "watchNamespaces={team,cd}",
        "argocdNamespace=cd",
        "interval=1m",
        "maxConcurrentApps=5",
        "registriesConf=registries: []",
        "git.user=robot",
        "git.signOff=true",
        "git.signingMethod=ssh",
        "git.signingKeySecret=signing",
        "git.messageTemplate=bump",
        "rbac.repositoryCredentials=true",
        "caBundleConfigMap=roots",
        "networkPolicy.egressPorts={443,8443}",
        "extraArgs={--unverified=refuse}",
        "metrics.secure=true",
        "metrics.certificateSecret=metrics-tls",
    ];
    let text = rendered(&helm, &all);
    kube.apply_yaml(&text);
    let deployment = kube.get(&json!({ "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": { "name": "argocd-image-updater-controller", "namespace": "argocd" } }));
    let pod = &deployment.unwrap()["spec"]["template"]["spec"];
    assert_eq!(
        pod["containers"][0]["args"],
        json!([
            "run",
            "--annotations=never",
            "--health-probe-bind-address=:8081",
            "--metrics-bind-address=:8443",
            "--metrics-cert-path=/app/metrics-tls",
            "--unverified=refuse"
        ])
    );
    let config = &objects(&text)[&(
        "ConfigMap".to_owned(),
        "argocd".to_owned(),
        "argocd-image-updater-config".to_owned(),
    )]["data"];
    assert_eq!(config["watch.namespaces"], "team,cd");
    assert_eq!(config["git.commit-signing-key"], "/app/signing-key/key");

    // All namespaces: Applications by a ClusterRole, Secrets still only in our own.
    let everywhere = objects(&rendered(&helm, &["watchNamespaces={*}"]));
    let role = |kind: &str, namespace: &str| {
        let id = (kind.to_owned(), namespace.to_owned(), "sealift".to_owned());
        everywhere[&id]["rules"].to_string()
    };
    assert!(role("ClusterRole", "").contains("applications"));
    assert!(!role("ClusterRole", "").contains("secrets"));
    assert!(role("Role", "argocd").contains("secrets"));
}

#[test]
fn no_values_give_the_right_to_list_secrets_unless_it_is_asked_for() {
    let Some(helm) = helm::find_or_say() else {
        return;
    };
    let lists_secrets = |values: &[&str]| {
        let objects = objects(&rendered(&helm, values));
        let rules = objects
            .values()
            .flat_map(|object| object["rules"].as_array().cloned());
        rules.flatten().any(|rule| {
            let holds = |field: &str, text: &str| {
                let texts = rule[field].as_array();
                texts.is_some_and(|texts| texts.iter().any(|one| one == text))
            };
            holds("resources", "secrets") && (holds("verbs", "list") || holds("verbs", "watch"))
        })
    };
    assert!(!lists_secrets(&[]));
    assert!(!lists_secrets(&["watchNamespaces={*}"]));
    assert!(!lists_secrets(&["watchNamespaces={team}"]));
    assert!(lists_secrets(&["rbac.repositoryCredentials=true"]));
}
