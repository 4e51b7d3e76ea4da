//! The files of a world: what stands in Git, and the Kubernetes objects that point there.

use std::fmt::Write as _;

use super::layout::{Application, Layout, Strategy};

/// The registry host that image references name; `registries.conf` leads it to loopback.
pub const REGISTRY_HOST: &str = "registry.example.com";

/// Path of the file that an Application's tags stand in.
#[must_use]
pub fn slot_path(application: &Application) -> String {
    let file = if application.helm {
        "values.yaml"
    } else {
        "kustomization.yaml"
    };
    format!("apps/{}/{file}", application.name)
}

/// Text of that file.
#[must_use]
pub fn slot_text(layout: &Layout, application: &Application) -> String {
    let mut text = format!(
        "# {}: the tags below are kept up to date\n",
        application.name
    );
    if !application.helm {
        text.push_str("resources:\n- deployment.yaml\n\nimages:\n");
    }
    for image in &application.images {
        let name = full_name(layout, image.repository);
        let (alias, tag) = (&image.alias, quoted(&image.tag));
        let _infallible = if application.helm {
            write!(
                text,
                "\n{alias}:\n  replicas: 2  # enough\n  image:\n    \
                 repository: {name}\n    tag: {tag}\n"
            )
        } else {
            write!(text, "- name: {name}\n  newTag: {tag}\n")
        };
    }
    text
}

/// Tags that YAML would read as numbers stand in quotes, as people write them.
fn quoted(tag: &str) -> String {
    if tag.parse::<f64>().is_ok() {
        format!("\"{tag}\"")
    } else {
        tag.to_owned()
    }
}

fn full_name(layout: &Layout, repository: usize) -> String {
    format!("{REGISTRY_HOST}/{}", layout.repositories[repository].name)
}

/// Every Application, with its annotations and what Argo CD reports to run.
#[must_use]
pub fn applications(layout: &Layout, strategy: Strategy, git_urls: &[String]) -> String {
    let mut text = String::new();
    for application in &layout.applications {
        let url = &git_urls[application.git_repository];
        push_application(&mut text, layout, application, strategy, url);
    }
    text
}

fn push_application(
    text: &mut String,
    layout: &Layout,
    application: &Application,
    strategy: Strategy,
    git_url: &str,
) {
    let name = &application.name;
    let prefix = "argocd-image-updater.argoproj.io";
    let (target, kind, block) = if application.helm {
        ("helmvalues:values.yaml", "Helm", "helm: {}")
    } else {
        ("kustomization", "Kustomize", "kustomize: {}")
    };
    let constraint = if strategy == Strategy::Semver {
        ":1.x"
    } else {
        ""
    };
    let items: Vec<String> = application
        .images
        .iter()
        .map(|image| {
            format!(
                "{}={}{constraint}",
                image.alias,
                full_name(layout, image.repository)
            )
        })
        .collect();
    let _infallible = write!(
        text,
        "---\napiVersion: argoproj.io/v1alpha1\nkind: Application\nmetadata:\n  name: {name}\n  \
         namespace: argocd\n  annotations:\n    {prefix}/image-list: {}\n    \
         {prefix}/update-strategy: {strategy}\n    {prefix}/write-back-method: git\n    \
         {prefix}/git-branch: main\n    {prefix}/write-back-target: {target}\n",
        items.join(","),
    );
    for image in application.images.iter().filter(|_| application.helm) {
        let alias = &image.alias;
        let _infallible = write!(
            text,
            "    {prefix}/{alias}.helm.image-name: {alias}.image.repository\n    \
             {prefix}/{alias}.helm.image-tag: {alias}.image.tag\n"
        );
    }
    let _infallible = write!(
        text,
        "spec:\n  project: default\n  source:\n    repoURL: {git_url}\n    path: apps/{name}\n    \
         targetRevision: main\n    {block}\n  destination:\n    namespace: {name}\n    \
         server: https://kubernetes.default.svc\nstatus:\n  sourceType: {kind}\n  \
         summary:\n    images:\n"
    );
    for image in &application.images {
        let name = full_name(layout, image.repository);
        let _infallible = writeln!(text, "    - {name}:{}", image.tag);
    }
}

/// One Argo CD repository Secret for each Git repository.
#[must_use]
pub fn secrets(git_urls: &[String]) -> String {
    let mut text = String::new();
    for (index, url) in git_urls.iter().enumerate() {
        let _infallible = write!(
            text,
            "---\napiVersion: v1\nkind: Secret\nmetadata:\n  name: repository-{index}\n  \
             namespace: argocd\n  labels:\n    argocd.argoproj.io/secret-type: repository\n\
             stringData:\n  type: git\n  url: {url}\n  username: sealift\n  password: bench\n"
        );
    }
    text
}

/// `registries.conf`: the host of the references is served on loopback.
#[must_use]
pub fn registries_conf(api_url: &str) -> String {
    format!("registries:\n- name: world\n  prefix: {REGISTRY_HOST}\n  api_url: {api_url}\n")
}
