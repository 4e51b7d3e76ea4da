//! The Deployment of Argo CD Image Updater with nothing changed but the image: its roles, its
//! arguments, its variables, its ConfigMap and its Secret. Drop-in contract, "`run` flags",
//! "ConfigMap", "RBAC".

use std::time::{Duration, Instant};

use sealift_testkit::kube::KubeServer;
use serde_json::{Value, json};

use crate::cluster_metrics::{PATIENCE, Running, token};
use crate::cluster_world::{ClusterWorld, environment};
use crate::world::sealift;

const IMAGE: &str = "registry.test/acme/shop";
const NAME: &str = "argocd-image-updater-controller";
const CONFIG: &str = "argocd-image-updater-config";
const SECRET: &str = "argocd-image-updater-secret";

/// Variables that its Deployment fills from its ConfigMap, with the key and a value that is
/// documented for it.
const VARIABLES: &[(&str, &str, &str)] = &[
    ("IMAGE_UPDATER_INTERVAL", "interval", "1h"),
    ("IMAGE_UPDATER_LOGLEVEL", "log.level", "debug"),
    ("IMAGE_UPDATER_LOGFORMAT", "log.format", "json"),
    ("ARGOCD_NAMESPACE", "argocd.namespace", ""),
    ("IMAGE_UPDATER_WATCH_NAMESPACES", "watch.namespaces", ""),
    ("MAX_CONCURRENT_APPS", "max_concurrent_apps", "10"),
    (
        "MAX_CONCURRENT_RECONCILES",
        "max_concurrent_reconciles",
        "1",
    ),
    ("GIT_COMMIT_USER", "git.user", "argocd-image-updater"),
    ("GIT_COMMIT_EMAIL", "git.email", "noreply@argoproj.io"),
    (
        "GIT_COMMIT_SIGNING_METHOD",
        "git.commit-signing-method",
        "openpgp",
    ),
    ("GIT_COMMIT_SIGN_OFF", "git.commit-sign-off", "false"),
    ("IMAGE_UPDATER_KUBE_EVENTS", "kube.events", "false"),
    ("ENABLE_WEBHOOK", "webhook.enable", "false"),
    ("WEBHOOK_PORT", "webhook.port", "8082"),
    ("WEBHOOK_REQUIRE_SECRET", "webhook.require-secret", "true"),
    (
        "WEBHOOK_RATELIMIT_ALLOWED",
        "webhook.ratelimit-allowed",
        "0",
    ),
    ("DISABLE_TLS", "disable-tls", "false"),
    ("TLS_MIN_VERSION", "tls.min-version", "1.3"),
    ("TLS_MAX_VERSION", "tls.max-version", "1.3"),
    ("TLS_CIPHERS", "tls.ciphers", "TLS_AES_128_GCM_SHA256"),
];

/// Keys of its ConfigMap that are named by no value above: a Deployment may leave them out.
const OPTIONAL: &[(&str, &str)] = &[("GIT_COMMIT_SIGNING_KEY", "git.commit-signing-key")];

/// Variables that it fills from its Secret.
const SECRETS: &[(&str, &str)] = &[
    ("DOCKER_WEBHOOK_SECRET", "webhook.docker-secret"),
    ("GHCR_WEBHOOK_SECRET", "webhook.ghcr-secret"),
    ("HARBOR_WEBHOOK_SECRET", "webhook.harbor-secret"),
    ("QUAY_WEBHOOK_SECRET", "webhook.quay-secret"),
    ("ALIYUN_ACR_WEBHOOK_SECRET", "webhook.aliyun-acr-secret"),
    ("ACR_WEBHOOK_SECRET", "webhook.acr-secret"),
    ("CLOUDEVENTS_WEBHOOK_SECRET", "webhook.cloudevents-secret"),
];

/// The peer's own namespaced roles, which know nothing of our policies.
pub(crate) fn peers_roles(namespace: &str, account: &str) -> Vec<Value> {
    let role = |name: &str, rules: Value| {
        json!({ "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role",
                "metadata": { "name": name, "namespace": namespace }, "rules": rules })
    };
    let binding = |name: &str| {
        json!({ "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding",
                "metadata": { "name": name, "namespace": namespace },
                "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name },
                "subjects": [{ "kind": "ServiceAccount", "name": account,
                               "namespace": namespace }] })
    };
    let account = json!({ "apiVersion": "v1", "kind": "ServiceAccount",
                          "metadata": { "name": account, "namespace": namespace } });
    let updaters = "argocd-image-updater.argoproj.io";
    let every = json!([
        "create", "delete", "get", "list", "patch", "update", "watch"
    ]);
    let manager = json!([
        { "apiGroups": [""], "resources": ["events"], "verbs": ["create"] },
        { "apiGroups": [updaters], "resources": ["imageupdaters"], "verbs": every },
        { "apiGroups": [updaters], "resources": ["imageupdaters/finalizers"],
          "verbs": ["update"] },
        { "apiGroups": [updaters], "resources": ["imageupdaters/status"],
          "verbs": ["get", "patch", "update"] },
        { "apiGroups": ["argoproj.io"], "resources": ["applications"],
          "verbs": ["get", "list", "patch", "update", "watch"] },
    ]);
    let secrets = json!([{ "apiGroups": [""], "resources": ["secrets", "configmaps"],
                           "verbs": ["get", "list", "watch"] }]);
    let election = json!([
        { "apiGroups": [""], "resources": ["configmaps"], "verbs": every },
        { "apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "verbs": every },
        { "apiGroups": [""], "resources": ["events"], "verbs": ["create", "patch"] },
    ]);
    vec![
        account,
        role("argocd-image-updater-manager-role", manager),
        role("argocd-image-updater", secrets),
        role("argocd-image-updater-leader-election-role", election),
        binding("argocd-image-updater-manager-role"),
        binding("argocd-image-updater"),
        binding("argocd-image-updater-leader-election-role"),
    ]
}

/// The cluster-wide roles for metrics, which are the same as ours.
fn metrics_roles(cluster: &ClusterWorld) {
    crate::cluster_metrics::allow_reviews(cluster);
}

/// Its Deployment, ConfigMap and Secret, applied; the container as it stands on the server.
fn container(cluster: &ClusterWorld) -> Value {
    let data = VARIABLES.iter().map(|(_, key, value)| (*key, *value));
    let data: serde_json::Map<String, Value> = data
        .map(|(key, value)| (key.to_owned(), json!(value)))
        .collect();
    cluster.apply(json!({ "apiVersion": "v1", "kind": "ConfigMap",
                          "metadata": { "name": CONFIG }, "data": data }));
    let secret = |key: &str| (key.to_owned(), json!(format!("topsecret-{key}")));
    let data: serde_json::Map<String, Value> = SECRETS.iter().map(|(_, key)| secret(key)).collect();
    cluster.secret(SECRET, &json!({}), &Value::Object(data));
    let from = |kind: &str, name: &str, (variable, key): (&str, &str)| {
        json!({ "name": variable,
                "valueFrom": { kind: { "name": name, "key": key, "optional": true } } })
    };
    let config = VARIABLES.iter().map(|(variable, key, _)| (*variable, *key));
    let config = config.chain(OPTIONAL.iter().copied());
    let mut env: Vec<Value> = config
        .map(|one| from("configMapKeyRef", CONFIG, one))
        .collect();
    let secrets = SECRETS.iter().copied();
    env.extend(secrets.map(|one| from("secretKeyRef", SECRET, one)));
    env.push(json!({ "name": "POD_NAMESPACE",
                     "valueFrom": { "fieldRef": { "fieldPath": "metadata.namespace" } } }));
    let labels = json!({ "control-plane": NAME });
    let deployment = cluster.apply(json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": { "name": NAME },
        "spec": { "replicas": 1, "selector": { "matchLabels": labels }, "template": {
            "metadata": { "labels": labels },
            "spec": { "serviceAccountName": NAME, "containers": [{
                "name": NAME, "image": "sealift", "command": ["/manager"],
                "args": ["run", "--metrics-bind-address=:8443"], "env": env }] } } } }));
    deployment["spec"]["template"]["spec"]["containers"][0].clone()
}

/// An Application that runs 1.8.2, and an ImageUpdater that selects it.
fn objects(cluster: &ClusterWorld) {
    cluster.apply(json!({
        "apiVersion": "argoproj.io/v1alpha1", "kind": "Application",
        "metadata": { "name": "shop" },
        "spec": { "project": "default", "source": { "repoURL": "https://git.test/r",
            "path": "shop", "helm": { "parameters": [
                { "name": "image.tag", "value": "1.8.2" } ] } } },
        "status": { "sourceType": "Helm", "summary": { "images": [format!("{IMAGE}:1.8.2")] } },
    }));
    cluster.apply(json!({
        "apiVersion": "argocd-image-updater.argoproj.io/v1alpha1", "kind": "ImageUpdater",
        "metadata": { "name": "all" },
        "spec": { "applicationRefs": [{ "namePattern": "shop", "images": [
            { "alias": "web", "imageName": format!("{IMAGE}:1.x") }] }] },
    }));
}

/// The program with what the image sets (`HOME` is the folder that can be written), what the kubelet
/// sets, and a way to the server.
fn started(cluster: &ClusterWorld, container: &Value) -> std::process::Command {
    let home = cluster.world.path("tmp");
    std::fs::create_dir_all(&home).unwrap();
    let mut program = sealift();
    program
        .env("HOME", home)
        .env("KUBECONFIG", cluster.world.path("kubeconfig"))
        .envs(environment(cluster, container));
    program
}

#[test]
fn the_peers_deployment_runs_sealift_with_nothing_changed_but_the_image() {
    let Some(kube) = KubeServer::start() else {
        return;
    };
    let kube: &'static KubeServer = Box::leak(Box::new(kube));
    let cluster = ClusterWorld::with_roles(kube, |namespace, account| {
        for object in peers_roles(namespace, account) {
            kube.apply(&object);
        }
    });
    metrics_roles(&cluster);
    cluster.define_image_updaters();
    let container = container(&cluster);
    let world = &cluster.world;
    world.images("acme/shop", &["1.8.2", "1.9.0"]);
    objects(&cluster);

    let arguments = container["args"].as_array().unwrap().iter();
    let mut program = started(&cluster, &container);
    let taken = program.args(arguments.map(|one| one.as_str().unwrap()));
    let output = taken
        .args(["--once", "--registries-conf-path"])
        .arg(world.path("registries.conf"))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(!said.contains("not-available"), "{said}");
    let tag = |cluster: &ClusterWorld| {
        let application = cluster.application("shop");
        application["spec"]["source"]["helm"]["parameters"][0]["value"].clone()
    };
    assert_eq!(tag(&cluster), "1.9.0", "{said}");

    // And as the controller, until it has followed what comes next.
    world.images("acme/shop", &["1.8.2", "1.9.0", "1.9.1"]);
    let mut program = started(&cluster, &container);
    // The addresses are this test's own: others run beside it.
    program.args(["run", "--registries-conf-path"]);
    program.arg(world.path("registries.conf"));
    let running = Running::with(&mut program, &world.path("state"));
    let deadline = Instant::now() + PATIENCE;
    while tag(&cluster) != "1.9.1" {
        assert!(Instant::now() < deadline, "{}", running.log());
        std::thread::sleep(Duration::from_millis(100));
    }
    let bearer = format!("Bearer {}", token(&cluster, "prometheus", true));
    let labels = format!(
        "{{image_updater_cr_name=\"all\",image_updater_cr_namespace=\"{}\"}}",
        cluster.namespace
    );
    let lines = [
        format!("argocd_image_updater_applications_watched_total{labels} 1"),
        format!("argocd_image_updater_images_updated_total{labels} 1"),
    ];
    // They are counted when the cycle ends, which the patch does not.
    loop {
        let (status, text) = running.get("/metrics", Some(&bearer));
        if status == 200 && lines.iter().all(|line| text.contains(line)) {
            break;
        }
        assert!(Instant::now() < deadline, "{status}: {text}");
        std::thread::sleep(Duration::from_millis(100));
    }
    let log = running.log();
    assert!(!log.contains("topsecret"), "a secret is in the log");
    drop(running);
    kube.stop_api();
}
