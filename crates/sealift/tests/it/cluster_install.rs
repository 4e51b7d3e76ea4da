//! What ships in `deploy/`, installed on a real API server with the real `kubectl`, and what runs
//! as its ServiceAccount.

use std::path::PathBuf;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use sealift_testkit::kube::KubeServer;
use serde_json::{Value, json};

use crate::cluster_world::{ClusterWorld, environment};
use crate::world::{Ran, sealift};

const IMAGE: &str = "registry.test/acme/shop";
const NAMESPACE: &str = "argocd";
const NAME: &str = "argocd-image-updater-controller";

fn deploy(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../../deploy")
        .join(name)
}

/// `kubectl` as the administrator.
fn kubectl(cluster: &ClusterWorld) -> Command {
    let kubeconfig = cluster.world.path("admin");
    std::fs::write(&kubeconfig, cluster.kube.admin_kubeconfig(NAMESPACE)).unwrap();
    let mut command = Command::new("kubectl");
    command
        .env("HOME", cluster.world.path("home"))
        .arg("--kubeconfig")
        .arg(&kubeconfig);
    command
}

/// Applies what `docs/install.md` says.
fn apply(cluster: &ClusterWorld) -> Output {
    kubectl(cluster)
        .args(["apply", "--server-side"])
        .arg("-f")
        .arg(deploy("crds"))
        .arg("-f")
        .arg(deploy("rbac/namespace.yaml"))
        .arg("-f")
        .arg(deploy("manifests"))
        .output()
        .unwrap()
}

/// A cluster with the installation. `None`: there is none, or no `kubectl`, and that is said.
#[expect(clippy::print_stderr, reason = "a test that does not run must say so")]
fn installed() -> Option<ClusterWorld> {
    if Command::new("kubectl").arg("help").output().is_err() {
        assert!(std::env::var_os("CI").is_none(), "there is no `kubectl`");
        eprintln!("this test did not run: there is no `kubectl`");
        return None;
    }
    let kube: &'static KubeServer = Box::leak(Box::new(KubeServer::start()?));
    // The ServiceAccount comes with the manifests; only its token is asked for here.
    let account = json!({ "apiVersion": "v1", "kind": "ServiceAccount",
                          "metadata": { "name": NAME, "namespace": NAMESPACE } });
    let cluster = ClusterWorld::in_namespace(kube, NAMESPACE.to_owned(), |_, _| {
        kube.apply(&account);
    });
    kube.apply(
        &json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": {
        "name": NAMESPACE,
        "labels": { "pod-security.kubernetes.io/enforce": "restricted",
                    "pod-security.kubernetes.io/warn": "restricted" } } }),
    );
    Some(cluster)
}

fn deployment(cluster: &ClusterWorld) -> Value {
    let identity = json!({ "apiVersion": "apps/v1", "kind": "Deployment",
                           "metadata": { "name": NAME, "namespace": NAMESPACE } });
    cluster.kube.get(&identity).unwrap()
}

/// The program as the Pod starts it: its arguments, its environment, its account, and nothing that
/// can be written but what stands for `/tmp`.
fn as_the_pod(cluster: &ClusterWorld, more: &[(&str, &str)]) -> Command {
    let deployment = deployment(cluster);
    let container = &deployment["spec"]["template"]["spec"]["containers"][0];
    let tmp = cluster.world.path("tmp");
    std::fs::create_dir_all(&tmp).unwrap();
    let tmp = tmp.to_str().unwrap();
    let mut program = sealift();
    program.current_dir("/").env("TMPDIR", tmp);
    for (name, value) in environment(cluster, container) {
        program.env(name, value.replacen("/tmp", tmp, 1));
    }
    program.envs(more.iter().copied());
    let arguments = container["args"].as_array().unwrap().iter();
    program
        // The port is the Pod's own, not this machine's.
        .args(arguments.map(|one| one.as_str().unwrap().replace(":8081", "0")))
        .arg("--kubeconfig")
        .arg(cluster.world.path("kubeconfig"))
        .arg("--registries-conf-path")
        .arg(cluster.world.path("registries.conf"));
    program
}

/// The same, once.
fn run_as_the_pod(cluster: &ClusterWorld, more: &[(&str, &str)]) -> Ran {
    let mut program = as_the_pod(cluster, more);
    Ran::new(
        &program
            .args(["--once", "--output", "json"])
            .output()
            .unwrap(),
    )
}

fn application(cluster: &ClusterWorld) -> Value {
    let prefix = "argocd-image-updater.argoproj.io/";
    cluster.apply(json!({
        "apiVersion": "argoproj.io/v1alpha1", "kind": "Application",
        "metadata": { "name": "shop", "annotations": {
            format!("{prefix}image-list"): format!("web={IMAGE}:1.x") } },
        "spec": { "project": "default", "source": {
            "repoURL": "https://git.test/r", "path": "shop", "helm": { "parameters": [
                { "name": "image.tag", "value": "1.8.2" } ] } } },
        "status": { "sourceType": "Helm", "summary": { "images": [format!("{IMAGE}:1.8.2")] } },
    }))
}

#[test]
fn the_manifests_are_applied_by_kubectl_and_what_runs_as_the_pod_updates() {
    let Some(cluster) = installed() else { return };
    let applied = apply(&cluster);
    let said = String::from_utf8_lossy(&applied.stderr);
    assert!(applied.status.success(), "{said}");
    assert!(!said.contains("PodSecurity"), "{said}");
    cluster.world.images("acme/shop", &["1.8.2", "1.9.0"]);
    application(&cluster);
    let ran = run_as_the_pod(&cluster, &[]);
    assert_eq!(
        (ran.code, ran.decision("argocd/shop")),
        (0, ("updated", "newest")),
        "{}",
        ran.stderr
    );
    let parameters = &cluster.application("shop")["spec"]["source"]["helm"]["parameters"];
    let tag = json!({ "name": "image.tag", "value": "1.9.0", "forceString": true });
    assert!(
        parameters.as_array().unwrap().contains(&tag),
        "{parameters:#}"
    );
    let caches = cluster.world.path("tmp/.local/state/sealift");
    assert!(caches.join("lock").is_file());

    // Every key of the ConfigMap that the Deployment reads, with a value that is documented.
    let all = [
        ("IMAGE_UPDATER_INTERVAL", "2m0s"),
        ("IMAGE_UPDATER_LOGFORMAT", "text"),
        ("ARGOCD_NAMESPACE", NAMESPACE),
        ("IMAGE_UPDATER_WATCH_NAMESPACES", NAMESPACE),
        ("MAX_CONCURRENT_APPS", "10"),
        ("GIT_COMMIT_SIGN_OFF", "false"),
        ("GIT_COMMIT_SIGNING_METHOD", "openpgp"),
    ];
    let ran = run_as_the_pod(&cluster, &all);
    assert_eq!(
        (ran.code, ran.decision("argocd/shop").0),
        (0, "up-to-date"),
        "{}",
        ran.stderr
    );
}

#[test]
fn the_pod_keeps_its_record_on_standard_output_and_nothing_on_its_disk_and_ends_in_order() {
    let Some(cluster) = installed() else { return };
    assert!(apply(&cluster).status.success());
    cluster.world.images("acme/shop", &["1.8.2", "1.9.0"]);
    application(&cluster);
    let journal = cluster.world.path("journal");
    let mut child = as_the_pod(&cluster, &[])
        .stdout(std::fs::File::create(&journal).unwrap())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let deadline = Instant::now() + Duration::from_secs(90);
    let text = || std::fs::read_to_string(&journal).unwrap();
    while !text().contains("\"kind\":\"outcome\"") && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(50));
    }
    let pid = child.id().to_string();
    assert!(Command::new("kill").arg(pid).status().unwrap().success());
    assert!(child.wait().unwrap().success());
    let text = text();
    let kinds: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["kind"].clone())
        .collect();
    assert_eq!(kinds.first().unwrap(), "started");
    assert_eq!(kinds.last().unwrap(), "stopped");
    assert!(
        kinds.contains(&json!("intent")) && kinds.contains(&json!("outcome")),
        "{text}"
    );
    let caches = cluster.world.path("tmp/.local/state/sealift");
    assert!(caches.is_dir() && !caches.join("journal").exists());
}

#[test]
fn the_pod_of_the_manifests_is_admitted_where_pods_are_restricted_and_a_weaker_one_is_not() {
    let Some(cluster) = installed() else { return };
    assert!(apply(&cluster).status.success());
    let mut spec = deployment(&cluster)["spec"]["template"]["spec"].clone();
    let pod = |name: &str, spec: &Value| {
        let pod = json!({ "apiVersion": "v1", "kind": "Pod",
                          "metadata": { "name": name, "namespace": NAMESPACE }, "spec": spec });
        let path = format!("/api/v1/namespaces/{NAMESPACE}/pods");
        cluster.kube.request("POST", &path, Some(&pod))
    };
    pod("as-shipped", &spec).ok();
    let security = &spec["containers"][0]["securityContext"];
    assert_eq!(security["readOnlyRootFilesystem"], true);
    spec["containers"][0]["securityContext"]["allowPrivilegeEscalation"] = json!(true);
    let answer = pod("weaker", &spec);
    assert_eq!(answer.status, 403, "{answer:?}");
}

#[test]
fn what_the_page_about_metrics_says_is_taken_and_the_pod_asks_for_them() {
    let Some(cluster) = installed() else { return };
    assert!(apply(&cluster).status.success());
    let applied = kubectl(&cluster)
        .args(["apply", "--server-side", "-f"])
        .arg(deploy("metrics"))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&applied.stderr);
    assert!(applied.status.success(), "{said}");
    // The command of the page, word for word; the patch is its one word with blanks.
    let page = include_str!("../../../../docs/metrics.md");
    let line = page
        .lines()
        .find_map(|line| line.strip_prefix("$ kubectl patch "));
    let (words, patch) = line.unwrap().split_once(" '").unwrap();
    let patched = kubectl(&cluster)
        .arg("patch")
        .args(words.split(' '))
        .arg(patch.strip_suffix('\'').unwrap())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&patched.stderr);
    assert!(patched.status.success(), "{said}");
    let args = &deployment(&cluster)["spec"]["template"]["spec"]["containers"][0]["args"];
    let args = args.as_array().unwrap();
    assert_eq!(
        args.last().unwrap(),
        "--metrics-bind-address=:8443",
        "{args:?}"
    );
    let ran = run_as_the_pod(&cluster, &[]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    // Whoever the roles of the page are for may ask and nobody else.
    let may = |account: &str, resource: &str| {
        let account = format!("system:serviceaccount:{NAMESPACE}:{account}");
        let output = kubectl(&cluster)
            .args(["auth", "can-i", "create", resource, "--as", &account])
            .output()
            .unwrap();
        output.status.success()
    };
    for resource in [
        "tokenreviews.authentication.k8s.io",
        "subjectaccessreviews.authorization.k8s.io",
    ] {
        assert!(may(NAME, resource), "{resource}");
        assert!(!may("default", resource), "{resource}");
    }
}

/// What runs with the roles that ship can do its work and nothing else.
#[test]
fn the_account_of_the_manifests_can_neither_list_secrets_nor_change_what_is_not_its_own() {
    let Some(cluster) = installed() else { return };
    assert!(apply(&cluster).status.success());
    let kubeconfig = cluster.world.path("kubeconfig");
    let may = |verb: &str, resource: &str| {
        let output = Command::new("kubectl")
            .env("HOME", cluster.world.path("home"))
            .arg("--kubeconfig")
            .arg(&kubeconfig)
            .args(["auth", "can-i", verb, resource, "--namespace", NAMESPACE])
            .output()
            .unwrap();
        output.status.success()
    };
    for (verb, resource) in [
        ("list", "applications.argoproj.io"),
        ("patch", "applications.argoproj.io"),
        ("get", "secrets"),
        ("create", "leases.coordination.k8s.io"),
    ] {
        assert!(may(verb, resource), "{verb} {resource}");
    }
    for (verb, resource) in [
        ("list", "secrets"),
        ("watch", "secrets"),
        ("update", "secrets"),
        ("delete", "applications.argoproj.io"),
        ("update", "leases.coordination.k8s.io"),
        ("create", "pods"),
        ("update", "promotionpolicies.sealift.dev"),
        ("create", "roles.rbac.authorization.k8s.io"),
    ] {
        assert!(!may(verb, resource), "{verb} {resource}");
    }
}
