//! `sealift rbac`: what it prints is enough on a real API server, and one right less is not.

use std::fs;

use sealift_testkit::git::http::{GitHttp, GitHttpOptions};
use sealift_testkit::kube::KubeServer;
use serde_json::{Value, json};

use crate::cluster_status::{condition, kube_events, pair, status};
use crate::cluster_world::{ClusterWorld, of};
use crate::world::{App, World, sealift, values};

const IMAGE: &str = "registry.test/acme/shop";

/// What `sealift rbac` prints for the objects in `folder`.
fn printed(world: &World, namespace: &str, more: &[&str]) -> (Option<i32>, Value, String) {
    let output = sealift()
        .args(["rbac", "--output", "json", "--argocd-namespace", namespace])
        .arg("-f")
        .arg(world.apps())
        .arg("--registries-conf-path")
        .arg(world.path("registries.conf"))
        .arg("--state-dir")
        .arg(world.path("state-of-rbac"))
        .args(more)
        .output()
        .unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    let list = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{stderr}"));
    (output.status.code(), list, stderr)
}

/// `kind/namespace resource[names] verbs` of every rule.
fn lines(list: &Value) -> Vec<String> {
    let text = |value: &Value| {
        let texts = value.as_array().into_iter().flatten();
        texts
            .filter_map(Value::as_str)
            .collect::<Vec<_>>()
            .join(",")
    };
    let mut lines = Vec::new();
    for object in list["items"].as_array().unwrap() {
        let namespace = object["metadata"]["namespace"].as_str().unwrap_or("-");
        for rule in object["rules"].as_array().into_iter().flatten() {
            lines.push(format!(
                "{namespace} {}[{}] {}",
                text(&rule["resources"]),
                text(&rule["resourceNames"]),
                text(&rule["verbs"])
            ));
        }
    }
    lines
}

/// An Application of each way to write that can be tried here, in the cluster and in the folder.
fn applications(cluster: &ClusterWorld) -> GitHttp {
    let world = &cluster.world;
    let repository = world.repository(
        "gitops",
        &[
            ("named/values.yaml", &values(IMAGE, "1.8.2")),
            ("listed/values.yaml", &values(IMAGE, "1.8.2")),
        ],
    );
    let server = GitHttp::start(world.git.path(), GitHttpOptions::basic("u", "p"));
    let data = json!({ "username": "u", "password": "p" });
    cluster.secret("git-login", &json!({}), &data);
    let (image, running) = (format!("{IMAGE}:1.x"), format!("{IMAGE}:1.8.2"));
    let running = [running.as_str()];
    let annotations = [
        ("write-back-target", "helmvalues:values.yaml"),
        ("write-back-method", "git:secret:git-login"),
    ];
    let named = App {
        annotations: &annotations,
        repository: server.url("gitops"),
        ..App::helm("named", &image, &running, &repository)
    };
    let annotations = [
        ("write-back-target", "helmvalues:values.yaml"),
        ("write-back-method", "git:repocreds"),
    ];
    let listed = App {
        annotations: &annotations,
        ..App::helm("listed", &image, &running, &repository)
    };
    let annotations = [("write-back-method", "argocd")];
    let live = App {
        annotations: &annotations,
        ..App::helm("live", &image, &running, &repository)
    };
    for app in [named, listed, live] {
        cluster.app(&app);
        let text = of(&cluster.namespace, &world.manifest(&app));
        fs::write(world.apps().join(format!("{}.yaml", app.name)), text).unwrap();
    }
    server
}

/// The namespace with the ServiceAccount alone.
fn without_roles() -> Option<ClusterWorld> {
    let kube: &'static KubeServer = KubeServer::shared()?;
    // Defines the kinds.
    ClusterWorld::new()?;
    Some(ClusterWorld::with_roles(kube, |namespace, account| {
        kube.apply(&json!({ "apiVersion": "v1", "kind": "ServiceAccount",
                            "metadata": { "name": account, "namespace": namespace } }));
    }))
}

/// Applies printed roles; cluster-wide ones under a name of this test's own.
fn grant(cluster: &ClusterWorld, list: &Value) {
    let own = format!("sealift-cluster-policies-{}", cluster.namespace);
    let text = list.to_string().replace("sealift-cluster-policies", &own);
    let list: Value = serde_json::from_str(&text).unwrap();
    for object in list["items"].as_array().unwrap() {
        cluster.kube.apply(object);
    }
}

#[test]
fn what_is_printed_is_enough_and_one_right_less_is_not() {
    let Some(cluster) = without_roles() else {
        return;
    };
    let world = &cluster.world;
    world.images("acme/shop", &["1.8.2", "1.9.0"]);
    let _server = applications(&cluster);
    let (code, list, stderr) = printed(world, &cluster.namespace, &["--allow-local-git"]);
    assert_eq!(code, Some(0), "{stderr}");
    let namespace = &cluster.namespace;
    assert_eq!(
        lines(&list),
        [
            format!("{namespace} applications[] list,watch"),
            format!("{namespace} imageupdaters[] get,list,watch"),
            format!("{namespace} imageupdaters/status[] patch"),
            format!("{namespace} events[] create"),
            format!("{namespace} promotionpolicies,policyexceptions[] get,list,watch"),
            format!("{namespace} promotionpolicies/status,policyexceptions/status[] patch"),
            format!("{namespace} applications[] get,patch"),
            format!("{namespace} appprojects[default] get"),
            format!("{namespace} secrets[git-login] get"),
            format!("{namespace} configmaps[argocd-cm] get"),
            format!("{namespace} secrets[] list"),
            format!("{namespace} leases[] create"),
            format!("{namespace} leases[c21b75f2.argoproj.io] get,update"),
            "- clusterpromotionpolicies[] get,list,watch".to_owned(),
            "- clusterpromotionpolicies/status[] patch".to_owned(),
        ]
    );
    let mut tags = vec!["1.8.2".to_owned()];
    let mut newer = || {
        tags.push(format!("1.9.{}", tags.len()));
        let all: Vec<&str> = tags.iter().map(String::as_str).collect();
        world.images("acme/shop", &all);
    };
    for (less, what) in each_right_less(&list) {
        newer();
        grant(&cluster, &less);
        let ran = cluster.run(&[]);
        assert_ne!(ran.code, 0, "without {what}: {:#}", ran.report);
        let said = format!("{} {}", ran.report, ran.stderr);
        assert!(said.contains("forbid"), "without {what}: {said}");
    }
    newer();
    grant(&cluster, &list);
    let ran = cluster.run(&[]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    for name in ["named", "listed", "live"] {
        assert_eq!(
            ran.decision(&cluster.id(name)),
            ("updated", "newest"),
            "{name}: {}",
            ran.stderr
        );
    }
}

/// The roles with one verb on one resource less, each. Not those that one cycle does without: the
/// lease, `watch`, which tells of edits between cycles, projects and the settings that name global
/// ones, which are a notice then, and what is only said: statuses and Kubernetes events.
fn each_right_less(list: &Value) -> Vec<(Value, String)> {
    let mut all = Vec::new();
    for (place, object) in list["items"].as_array().unwrap().iter().enumerate() {
        for (index, rule) in object["rules"].as_array().into_iter().flatten().enumerate() {
            for resource in rule["resources"].as_array().unwrap() {
                for verb in rule["verbs"].as_array().unwrap() {
                    let projects = rule["resourceNames"] == json!(["argocd-cm"]);
                    let projects = projects || resource == "appprojects";
                    let plural = resource.as_str().unwrap();
                    let told = plural == "events" || plural.ends_with("/status");
                    // What has a status is read again before it is said anew.
                    let has_status = plural == "imageupdaters" || plural.contains("polic");
                    let told = told || (has_status && verb == "get");
                    if verb == "watch" || resource == "leases" || projects || told {
                        continue;
                    }
                    let mut less = list.clone();
                    let rules = less["items"][place]["rules"].as_array_mut().unwrap();
                    let mut rest = rule.clone();
                    rest["resources"]
                        .as_array_mut()
                        .unwrap()
                        .retain(|one| one != resource);
                    let mut other = rule.clone();
                    other["resources"] = json!([resource]);
                    other["verbs"]
                        .as_array_mut()
                        .unwrap()
                        .retain(|one| one != verb);
                    let kept = [rest, other].into_iter().filter(|rule| {
                        rule["resources"] != json!([]) && rule["verbs"] != json!([])
                    });
                    rules.splice(index..=index, kept);
                    all.push((less, format!("{verb} {resource}")));
                }
            }
        }
    }
    all
}

#[test]
fn secrets_of_every_origin_are_named_and_what_cannot_be_read_is_a_failure() {
    let world = World::new();
    let conf = "registries:\n- name: test\n  prefix: registry.test\n  \
                api_url: https://registry.test\n  credentials: secret:argocd/login#creds\n";
    fs::write(world.path("registries.conf"), conf).unwrap();
    let prefix = "argocd-image-updater.argoproj.io/";
    let application = json!({
        "apiVersion": "argoproj.io/v1alpha1", "kind": "Application",
        "metadata": { "name": "shop", "namespace": "team", "annotations": {
            format!("{prefix}image-list"): format!("web={IMAGE}:1.x"),
            format!("{prefix}web.pull-secret"): "pullsecret:team/pull",
            format!("{prefix}write-back-method"): "git:secret:team/deploy-key" } },
        "spec": { "project": "default", "source": {
            "repoURL": "git@git.test:acme/gitops.git", "path": "shop" } },
        "status": { "sourceType": "Helm" },
    });
    fs::write(world.apps().join("shop.json"), application.to_string()).unwrap();
    let policy = "apiVersion: sealift.dev/v1alpha1\nkind: ClusterPromotionPolicy\n\
        metadata: { name: all }\nspec:\n  images: [{ pattern: registry.test/** }]\n  \
        authorities:\n  - name: ci\n    key: { secretRef: { name: signers, key: cosign.pub } }\n  \
        signatures: { require: { atLeast: 1, of: [ci] } }\n";
    fs::write(world.apps().join("policy.yaml"), policy).unwrap();
    let options = [
        "--watch-namespaces",
        "team",
        "--leader-election=false",
        "--dry-run",
    ];
    let (code, list, stderr) = printed(&world, "argocd", &options);
    assert_eq!(code, Some(0), "{stderr}");
    assert_eq!(
        lines(&list),
        [
            "argocd promotionpolicies,policyexceptions[] list,watch",
            "argocd appprojects[default] get",
            "argocd secrets[login,signers] get",
            "argocd configmaps[argocd-cm,argocd-ssh-known-hosts-cm] get",
            "team applications[] list,watch",
            "team imageupdaters[] list,watch",
            "team promotionpolicies,policyexceptions[] list,watch",
            "team secrets[deploy-key,pull] get",
            "- clusterpromotionpolicies[] list,watch",
        ]
    );
    let subject = &list["items"][1]["subjects"][0];
    assert_eq!(subject["name"], "argocd-image-updater-controller");
    assert_eq!(subject["namespace"], "argocd");

    // Somebody else's Secret is refused to the Application, and so nobody needs the right to it.
    let foreign = application
        .to_string()
        .replace("pullsecret:team/pull", "pullsecret:kube-system/pull");
    fs::write(world.apps().join("shop.json"), foreign).unwrap();
    let (code, list, stderr) = printed(&world, "argocd", &options);
    assert_eq!(code, Some(1), "{stderr}");
    assert!(stderr.contains("are not among those printed"), "{stderr}");
    assert!(!list.to_string().contains("kube-system"), "{list:#}");
}

#[test]
fn a_controller_with_the_printed_roles_says_what_it_did() {
    let Some(cluster) = without_roles() else {
        return;
    };
    let world = &cluster.world;
    let (image, running) = (format!("{IMAGE}:1.x"), format!("{IMAGE}:1.8.2"));
    let running = [running.as_str()];
    let repository = world.repository("gitops", &[("live/values.yaml", &values(IMAGE, "1.8.2"))]);
    let app = App {
        annotations: &[("write-back-method", "argocd")],
        ..App::helm("live", &image, &running, &repository)
    };
    cluster.app(&app);
    let text = of(&cluster.namespace, &world.manifest(&app));
    fs::write(world.apps().join("live.yaml"), text).unwrap();
    let updater = cluster.apply(json!({
        "apiVersion": "argocd-image-updater.argoproj.io/v1alpha1", "kind": "ImageUpdater",
        "metadata": { "name": "all" },
        "spec": { "applicationRefs": [{ "namePattern": "live", "useAnnotations": true }] },
    }));
    let policy = cluster.apply(json!({
        "apiVersion": "sealift.dev/v1alpha1", "kind": "PromotionPolicy",
        "metadata": { "name": "open" },
        "spec": { "allowedRegistries": ["registry.test"],
                  "unsafeNoSignatures": { "reason": "a test of statuses" } },
    }));
    let (code, list, stderr) = printed(world, &cluster.namespace, &["--disable-kube-events"]);
    assert_eq!(code, Some(0), "{stderr}");
    assert!(!list.to_string().contains("\"events\""), "{list:#}");
    let (code, list, stderr) = printed(world, &cluster.namespace, &[]);
    assert_eq!(code, Some(0), "{stderr}");
    let reasons = ["status-not-written", "kube-event-not-sent"];
    let mut tags = vec!["1.8.2".to_owned()];
    let mut said = |list: &Value| {
        tags.push(format!("1.9.{}", tags.len()));
        let all: Vec<&str> = tags.iter().map(String::as_str).collect();
        world.images("acme/shop", &all);
        grant(&cluster, list);
        let ran = cluster.run(&["--annotations", "never"]);
        let decision = ran.decision(&cluster.id("live"));
        let expected = (0, ("updated", "newest"));
        assert_eq!((ran.code, decision), expected, "{}", ran.stderr);
        reasons.map(|reason| ran.stderr.contains(reason))
    };
    for (resource, expected) in [
        ("promotionpolicies/status", [true, false]),
        ("imageupdaters/status", [true, false]),
        ("events", [false, true]),
    ] {
        assert_eq!(said(&without(&list, resource)), expected, "{resource}");
    }
    let events = kube_events(&cluster).len();
    assert_eq!(said(&list), [false, false]);
    assert_eq!(kube_events(&cluster).len(), events + 1);
    let of_updater = status(&cluster, &updater);
    assert_eq!(
        condition(&of_updater, "Ready"),
        pair("True", "ReconcileSucceeded"),
        "{of_updater:#}"
    );
    let of_policy = status(&cluster, &policy);
    assert_eq!(
        condition(&of_policy, "Ready"),
        pair("True", "InForce"),
        "{of_policy:#}"
    );
}

/// The roles without any right to `resource`.
fn without(list: &Value, resource: &str) -> Value {
    let mut less = list.clone();
    for object in less["items"].as_array_mut().unwrap() {
        let Some(rules) = object.get_mut("rules").and_then(Value::as_array_mut) else {
            continue;
        };
        for rule in rules.iter_mut() {
            let resources = rule["resources"].as_array_mut().unwrap();
            resources.retain(|one| one != resource);
        }
        rules.retain(|rule| rule["resources"] != json!([]));
    }
    less
}
