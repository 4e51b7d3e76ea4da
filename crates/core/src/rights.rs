//! The rights that a configuration needs of the Kubernetes API server, as roles and bindings.
//!
//! Here: which rules follow from what is watched, read by name and written. Not here: finding that
//! out. Kubernetes, "Using RBAC Authorization": a rule can name objects for `get`, `update` and
//! `patch`; `list` and `watch` cannot be narrowed to a label, and `create` not to a name.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

/// Name of the roles, as `deploy/rbac` has it: what is printed narrows what was installed.
const NAME: &str = "sealift";
/// Name of the cluster-wide role where namespaces are watched one by one.
const CLUSTER_POLICIES: &str = "sealift-cluster-policies";
/// Name of the cluster-wide role for metrics: that of Argo CD Image Updater.
const METRICS: &str = "argocd-image-updater-metrics-auth-role";
/// Name of its binding.
const METRICS_BINDING: &str = "argocd-image-updater-metrics-auth-rolebinding";
/// Group and plural of ImageUpdaters.
const UPDATERS: (&str, &str) = ("argocd-image-updater.argoproj.io", "imageupdaters");
/// Group of roles.
const GROUP: &str = "rbac.authorization.k8s.io";

/// Everything that a process does on the API server.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rights {
    /// Whether anything is written: Applications themselves, finalizers, and statuses.
    pub writes: bool,
    /// Whether Kubernetes events tell of what was written.
    pub events: bool,
    /// Namespaces whose Applications and ImageUpdaters are watched. `None`: all.
    pub watched: Option<BTreeSet<String>>,
    /// The operator's namespace, whose policies are always watched.
    pub home: String,
    /// Namespaces with Applications that are written themselves (`argocd`).
    pub patched: BTreeSet<String>,
    /// ImageUpdaters that hold the finalizer of Argo CD Image Updater, as `(namespace, name)`: it is
    /// taken off when they are deleted.
    pub released: BTreeSet<(String, String)>,
    /// AppProjects that are read, as `(namespace, name)`.
    pub projects: BTreeSet<(String, String)>,
    /// Secrets that are read, as `(namespace, name)`.
    pub secrets: BTreeSet<(String, String)>,
    /// ConfigMaps that are read, as `(namespace, name)`.
    pub config_maps: BTreeSet<(String, String)>,
    /// Namespace whose Secrets are listed for repository credentials (`git:repocreds`).
    pub repository_credentials: Option<String>,
    /// Namespace and name of the lease.
    pub lease: Option<(String, String)>,
    /// Whether the API server is asked who may read metrics.
    pub reviews: bool,
}

/// Who gets the rights.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// Namespace of the ServiceAccount.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

impl Rights {
    /// The roles, each followed by its binding; cluster-wide ones last.
    #[must_use]
    pub fn objects(&self, account: &Account) -> Vec<Value> {
        let mut objects = Vec::new();
        for (namespace, rules) in self.rules() {
            objects.extend(pair(Some(&namespace), NAME, &rules, account));
        }
        let (name, rules) = match self.watched {
            Some(_) => {
                let rules = self.policy_rules(&["clusterpromotionpolicies"]);
                (CLUSTER_POLICIES, rules)
            }
            None => {
                let mut rules = self.watch_rules();
                rules.extend(self.policy_rules(&[
                    "promotionpolicies",
                    "policyexceptions",
                    "clusterpromotionpolicies",
                ]));
                (NAME, rules)
            }
        };
        objects.extend(pair(None, name, &rules, account));
        if self.reviews {
            let [role, mut binding] = pair(None, METRICS, &review_rules(), account);
            binding["metadata"]["name"] = json!(METRICS_BINDING);
            objects.extend([role, binding]);
        }
        objects
    }

    /// Rules by namespace.
    fn rules(&self) -> BTreeMap<String, Vec<Value>> {
        let mut rules: BTreeMap<String, Vec<Value>> = BTreeMap::new();
        let mut add = |namespace: &str, rule: Value| {
            rules.entry(namespace.to_owned()).or_default().push(rule);
        };
        if let Some(watched) = &self.watched {
            for namespace in watched {
                let all = self.watch_rules().into_iter();
                all.for_each(|rule| add(namespace, rule));
            }
            let mut with_policies = watched.clone();
            with_policies.insert(self.home.clone());
            for namespace in &with_policies {
                let all = self.policy_rules(&["promotionpolicies", "policyexceptions"]);
                all.into_iter().for_each(|rule| add(namespace, rule));
            }
        }
        for namespace in &self.patched {
            let verbs = match self.writes {
                true => &["get", "patch"][..],
                false => &["get"],
            };
            add(namespace, rule("argoproj.io", &["applications"], verbs));
        }
        let none = BTreeSet::new();
        let released = match self.writes {
            true => &self.released,
            false => &none,
        };
        for (group, resource, named, verbs) in [
            (UPDATERS.0, UPDATERS.1, released, &["get", "patch"][..]),
            ("argoproj.io", "appprojects", &self.projects, &["get"]),
            ("", "secrets", &self.secrets, &["get"]),
            ("", "configmaps", &self.config_maps, &["get"]),
        ] {
            for (namespace, names) in by_namespace(named) {
                add(namespace, named_rule(group, resource, &names, verbs));
            }
        }
        if let Some(namespace) = &self.repository_credentials {
            add(namespace, rule("", &["secrets"], &["list"]));
        }
        if let Some((namespace, name)) = &self.lease {
            let group = "coordination.k8s.io";
            add(namespace, rule(group, &["leases"], &["create"]));
            let verbs = ["get", "update"];
            add(namespace, named_rule(group, "leases", &[name], &verbs));
        }
        rules
    }

    /// What is watched where Applications are, and what is said there.
    fn watch_rules(&self) -> Vec<Value> {
        let mut rules = vec![rule("argoproj.io", &["applications"], &["list", "watch"])];
        rules.extend(self.with_status(UPDATERS.0, &[UPDATERS.1]));
        if self.events {
            rules.push(rule("", &["events"], &["create"]));
        }
        rules
    }

    fn policy_rules(&self, plurals: &[&str]) -> Vec<Value> {
        self.with_status("sealift.dev", plurals)
    }

    /// Kinds that are watched, and whose status is written where anything is. An object that
    /// somebody else changed meanwhile is read anew then.
    fn with_status(&self, group: &str, plurals: &[&str]) -> Vec<Value> {
        if !self.writes {
            return vec![rule(group, plurals, &["list", "watch"])];
        }
        let statuses: Vec<_> = plurals.iter().map(|one| format!("{one}/status")).collect();
        let statuses: Vec<_> = statuses.iter().map(String::as_str).collect();
        vec![
            rule(group, plurals, &["get", "list", "watch"]),
            rule(group, &statuses, &["patch"]),
        ]
    }
}

/// Whose a token is, and whether they may read metrics: both are asked by creating an object that
/// nobody keeps.
fn review_rules() -> Vec<Value> {
    let create = |group, resource| rule(group, &[resource], &["create"]);
    vec![
        create("authentication.k8s.io", "tokenreviews"),
        create("authorization.k8s.io", "subjectaccessreviews"),
    ]
}

fn rule(group: &str, resources: &[&str], verbs: &[&str]) -> Value {
    json!({ "apiGroups": [group], "resources": resources, "verbs": verbs })
}

fn named_rule(group: &str, resource: &str, names: &[&String], verbs: &[&str]) -> Value {
    json!({ "apiGroups": [group], "resources": [resource], "resourceNames": names,
            "verbs": verbs })
}

fn by_namespace(named: &BTreeSet<(String, String)>) -> BTreeMap<&str, Vec<&String>> {
    let mut all: BTreeMap<&str, Vec<&String>> = BTreeMap::new();
    for (namespace, name) in named {
        all.entry(namespace).or_default().push(name);
    }
    all
}

/// A role and its binding; without a namespace, for the whole cluster.
fn pair(namespace: Option<&str>, name: &str, rules: &[Value], account: &Account) -> [Value; 2] {
    let prefix = match namespace {
        Some(_) => "",
        None => "Cluster",
    };
    let mut metadata = json!({ "name": name });
    if let Some(namespace) = namespace {
        metadata["namespace"] = json!(namespace);
    }
    let (role, api_version) = (format!("{prefix}Role"), format!("{GROUP}/v1"));
    [
        json!({ "apiVersion": api_version, "kind": role, "metadata": metadata, "rules": rules }),
        json!({
            "apiVersion": api_version,
            "kind": format!("{prefix}RoleBinding"),
            "metadata": metadata,
            "roleRef": { "apiGroup": GROUP, "kind": role, "name": name },
            "subjects": [{ "kind": "ServiceAccount", "name": account.name,
                           "namespace": account.namespace }],
        }),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account() -> Account {
        Account {
            namespace: "argocd".to_owned(),
            name: "sealift".to_owned(),
        }
    }

    /// `kind/namespace: group/resource[names] verbs` of every rule.
    fn lines(rights: &Rights) -> Vec<String> {
        let mut lines = Vec::new();
        for object in rights.objects(&account()) {
            for rule in object["rules"].as_array().into_iter().flatten() {
                let list = |name: &str| {
                    let texts = rule[name].as_array().into_iter().flatten();
                    texts
                        .filter_map(Value::as_str)
                        .collect::<Vec<_>>()
                        .join(",")
                };
                lines.push(format!(
                    "{}/{}: {}[{}] {}",
                    object["kind"].as_str().unwrap(),
                    object["metadata"]["namespace"].as_str().unwrap_or("-"),
                    list("resources"),
                    list("resourceNames"),
                    list("verbs")
                ));
            }
        }
        lines
    }

    fn names(pairs: &[(&str, &str)]) -> BTreeSet<(String, String)> {
        let owned = |&(namespace, name): &(&str, &str)| (namespace.to_owned(), name.to_owned());
        pairs.iter().map(owned).collect()
    }

    #[test]
    fn whoever_only_looks_gets_no_right_to_a_secret_or_to_change_anything() {
        let rights = Rights {
            watched: Some(BTreeSet::from(["argocd".to_owned()])),
            home: "argocd".to_owned(),
            ..Rights::default()
        };
        assert_eq!(
            lines(&rights),
            [
                "Role/argocd: applications[] list,watch",
                "Role/argocd: imageupdaters[] list,watch",
                "Role/argocd: promotionpolicies,policyexceptions[] list,watch",
                "ClusterRole/-: clusterpromotionpolicies[] list,watch",
            ]
        );
    }

    #[test]
    fn each_demand_is_one_rule_in_its_own_namespace_with_the_names_that_are_known() {
        let mut rights = Rights {
            writes: true,
            events: true,
            watched: Some(BTreeSet::from(["team".to_owned()])),
            home: "argocd".to_owned(),
            patched: BTreeSet::from(["team".to_owned()]),
            released: names(&[("team", "old")]),
            projects: names(&[("argocd", "default")]),
            secrets: names(&[("team", "b"), ("team", "a"), ("argocd", "key")]),
            config_maps: names(&[("argocd", "argocd-tls-certs-cm")]),
            repository_credentials: Some("argocd".to_owned()),
            lease: Some(("argocd".to_owned(), "lease".to_owned())),
            reviews: true,
        };
        assert_eq!(
            lines(&rights),
            [
                "Role/argocd: promotionpolicies,policyexceptions[] get,list,watch",
                "Role/argocd: promotionpolicies/status,policyexceptions/status[] patch",
                "Role/argocd: appprojects[default] get",
                "Role/argocd: secrets[key] get",
                "Role/argocd: configmaps[argocd-tls-certs-cm] get",
                "Role/argocd: secrets[] list",
                "Role/argocd: leases[] create",
                "Role/argocd: leases[lease] get,update",
                "Role/team: applications[] list,watch",
                "Role/team: imageupdaters[] get,list,watch",
                "Role/team: imageupdaters/status[] patch",
                "Role/team: events[] create",
                "Role/team: promotionpolicies,policyexceptions[] get,list,watch",
                "Role/team: promotionpolicies/status,policyexceptions/status[] patch",
                "Role/team: applications[] get,patch",
                "Role/team: imageupdaters[old] get,patch",
                "Role/team: secrets[a,b] get",
                "ClusterRole/-: clusterpromotionpolicies[] get,list,watch",
                "ClusterRole/-: clusterpromotionpolicies/status[] patch",
                "ClusterRole/-: tokenreviews[] create",
                "ClusterRole/-: subjectaccessreviews[] create",
            ]
        );
        // Whoever decides and writes nothing changes nothing but the lease.
        (rights.writes, rights.events, rights.reviews) = (false, false, false);
        let lines = lines(&rights);
        let changing = lines.iter().filter(|line| {
            let mut verbs = line.rsplit(' ').next().unwrap_or_default().split(',');
            verbs.any(|verb| !["get", "list", "watch"].contains(&verb))
        });
        let changing: Vec<_> = changing.collect();
        assert_eq!(
            changing,
            [
                "Role/argocd: leases[] create",
                "Role/argocd: leases[lease] get,update"
            ]
        );
        assert!(
            !lines.iter().any(|line| line.contains("[old]")),
            "{lines:?}"
        );
    }

    #[test]
    fn all_namespaces_are_watched_by_a_cluster_role_and_secrets_stay_bound_to_names() {
        let rights = Rights {
            home: "argocd".to_owned(),
            secrets: names(&[("team", "a")]),
            ..Rights::default()
        };
        assert_eq!(
            lines(&rights),
            [
                "Role/team: secrets[a] get",
                "ClusterRole/-: applications[] list,watch",
                "ClusterRole/-: imageupdaters[] list,watch",
                "ClusterRole/-: promotionpolicies,policyexceptions,clusterpromotionpolicies[] \
                 list,watch",
            ]
        );
    }

    #[test]
    fn every_role_is_bound_to_the_account() {
        let objects = Rights::default().objects(&account());
        assert_eq!(objects.len(), 2);
        assert_eq!(objects[1]["kind"], "ClusterRoleBinding");
        assert_eq!(
            objects[1]["roleRef"]["name"],
            objects[0]["metadata"]["name"]
        );
        assert_eq!(objects[1]["subjects"][0]["name"], "sealift");
    }
}
