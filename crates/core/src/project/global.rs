//! Global projects: AppProjects whose rules hold for others, too, by the labels of these.
//!
//! `globalProjects` in Argo CD's ConfigMap `argocd-cm`. Argo CD manual, "Projects", "Configuring
//! Global Projects". Of what such a project adds, its `sourceRepos` matter for writing; its
//! `sourceNamespaces` are its own.

use serde::Deserialize;

use super::AppProject;
use crate::image_updater::labels::Labels;
use crate::image_updater::spec::LabelSelector;
use crate::limits::YAML_DEPTH_MAX;

/// Argo CD's own settings.
pub const SETTINGS: &str = "argocd-cm";
/// Where they name global projects.
pub const GLOBAL_PROJECTS: &str = "globalProjects";

/// One entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GlobalProject {
    /// Name of the project.
    pub name: String,
    labels: Labels,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Written {
    #[serde(default)]
    project_name: String,
    #[serde(default)]
    label_selector: LabelSelector,
}

/// Reads the setting. As with Argo CD, an entry whose selector cannot be evaluated ends the list.
///
/// # Errors
/// The text is no list of entries; the message shows none of it.
pub fn read(text: &str) -> Result<Vec<GlobalProject>, &'static str> {
    if text.trim().is_empty() {
        return Ok(Vec::new());
    }
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! { max_depth: YAML_DEPTH_MAX },
    };
    let written: Option<Vec<Written>> = serde_saphyr::from_str_with_options(text, options)
        .map_err(|_| "it is no list of projects and label selectors")?;
    let mut projects = Vec::new();
    for one in written.unwrap_or_default() {
        let (labels, error) = Labels::read(Some(&one.label_selector));
        if error.is_some() {
            break;
        }
        projects.push(GlobalProject {
            name: one.project_name,
            labels,
        });
    }
    Ok(projects)
}

impl GlobalProject {
    /// Whether its rules hold for `project`. None holds for itself.
    #[must_use]
    pub fn holds_for(&self, project: &AppProject) -> bool {
        self.name != project.metadata.name && self.labels.match_labels(&project.metadata.labels)
    }
}

impl AppProject {
    /// Adds what a global project allows and forbids.
    pub fn extend_by(&mut self, global: &Self) {
        let more = global.spec.source_repos.iter().cloned();
        self.spec.source_repos.extend(more);
    }

    /// Adds what a global project forbids, and nothing that it allows.
    pub fn forbid_as(&mut self, global: &Self) {
        let more = global.spec.source_repos.iter();
        let forbidding = more.filter(|pattern| pattern.starts_with('!'));
        self.spec.source_repos.extend(forbidding.cloned());
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn project(name: &str, labels: serde_json::Value, repositories: &[&str]) -> AppProject {
        AppProject::from_value(json!({
            "metadata": { "name": name, "namespace": "argocd", "labels": labels },
            "spec": { "sourceRepos": repositories, "sourceNamespaces": ["*"] },
        }))
        .unwrap()
    }

    #[test]
    fn rules_of_a_global_project_hold_for_those_with_its_labels_and_not_for_itself() {
        let text = "- projectName: all\n- labelSelector:\n    matchExpressions:\n    - key: tier\n      \
                    operator: In\n      values: [prod]\n  projectName: prod\n";
        let read = read(text).unwrap();
        let names = |project: &AppProject| -> Vec<String> {
            let holding = read.iter().filter(|one| one.holds_for(project));
            holding.map(|one| one.name.clone()).collect()
        };
        assert_eq!(
            names(&project("a", json!({ "tier": "prod" }), &[])),
            ["all", "prod"]
        );
        assert_eq!(
            names(&project("b", json!({ "tier": "test" }), &[])),
            ["all"]
        );
        assert_eq!(
            names(&project("prod", json!({ "tier": "prod" }), &[])),
            ["all"]
        );
    }

    #[test]
    fn what_it_allows_and_forbids_counts_and_its_namespaces_do_not() {
        let url = "https://git.example/acme/app";
        let mut own = project("own", json!({}), &[]);
        own.spec.source_namespaces.clear();
        assert!(own.allows(url, "argocd").is_err());
        own.extend_by(&project("all", json!({}), &["https://git.example/**"]));
        assert!(own.allows(url, "argocd").is_ok());
        assert!(own.allows(url, "team").is_err());
        let no = project("no", json!({}), &["*", "!https://git.example/acme/*"]);
        let mut other = own.clone();
        own.extend_by(&no);
        assert!(own.allows(url, "argocd").is_err());
        other.forbid_as(&no);
        assert!(other.allows(url, "argocd").is_err());
        let elsewhere = "https://elsewhere.example/app";
        assert!(own.allows(elsewhere, "argocd").is_ok());
        assert!(other.allows(elsewhere, "argocd").is_err());
    }

    #[test]
    fn what_cannot_be_read_is_an_error_and_a_bad_selector_ends_the_list() {
        assert!(read("").unwrap().is_empty() && read("[]").unwrap().is_empty());
        assert!(read("projectName: x").is_err() && read("- [").is_err());
        let text = "- projectName: a\n- projectName: b\n  labelSelector: {matchExpressions: \
                    [{key: k, operator: Near}]}\n- projectName: c\n";
        let names: Vec<_> = read(text)
            .unwrap()
            .into_iter()
            .map(|one| one.name)
            .collect();
        assert_eq!(names, ["a"]);
    }
}
