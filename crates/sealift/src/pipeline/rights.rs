//! What a cycle would ask of an API server, and whether it would write there: for `sealift rbac`.
//! No registry and no Git server is asked.

use jiff::Timestamp;
use sealift_core::credential::CredentialSource;
use sealift_core::image_updater::release;
use sealift_core::project::{DEFAULT_PROJECT, global};
use sealift_core::rights::Rights;
use sealift_core::settings::{GitCredentialSource, Method};
use sealift_git::GitUrl;

use super::item::Item;
use super::report::Report;
use super::{Context, gather};
use crate::cluster::Namespaces;
use crate::cluster::objects::is_name;
use crate::materials::{self, Kind, Wanted};
use crate::remotes;

/// What the objects of `context` need, where `namespaces` are watched. What cannot be read is in
/// the report: its rights are unknown.
pub(crate) async fn rights(
    context: &Context<'_>,
    namespaces: &Namespaces,
    now: Timestamp,
) -> anyhow::Result<(Rights, Report)> {
    let home = context.argocd_namespace.as_str();
    let mut report = Report::default();
    let mut rights = Rights {
        home: home.to_owned(),
        watched: match namespaces {
            Namespaces::All => None,
            Namespaces::Named(names) => Some(names.clone()),
        },
        ..Rights::default()
    };
    for item in gather::gather(context, &mut report, now).await? {
        let namespace = &item.application.id.namespace;
        if namespaces.contain(namespace) {
            of_item(&mut rights, &item, home);
        }
    }
    let settings = (home.to_owned(), global::SETTINGS.to_owned());
    if rights.config_maps.contains(&settings) {
        let global = super::project::global_names(context).await;
        let global = global.into_iter().map(|name| (home.to_owned(), name));
        rights.projects.extend(global);
    }
    for listed in context.objects.image_updaters().await? {
        let Some(object) = &listed.object else {
            continue;
        };
        let text = |path| object.pointer(path).and_then(serde_json::Value::as_str);
        let named = listed.namespace.as_deref().zip(text("/metadata/name"));
        if let Some((namespace, name)) = named.filter(|_| release::holds_finalizer(object)) {
            let id = (namespace.to_owned(), name.to_owned());
            rights.released.insert(id);
        }
    }
    for policy in context.in_force.set().policies() {
        of_policy(&mut rights, &Wanted::of(policy, home));
    }
    for entry in context.registries.entries() {
        if let Some(Ok(source)) = &entry.credentials {
            of_credential(&mut rights, source);
        }
    }
    // What is no name is never asked for.
    let is_asked = |(namespace, name): &(String, String)| is_name(namespace) && is_name(name);
    rights.released.retain(is_asked);
    rights.projects.retain(is_asked);
    rights.secrets.retain(is_asked);
    rights.config_maps.retain(is_asked);
    Ok((rights, report))
}

fn of_item(rights: &mut Rights, item: &Item, home: &str) {
    let application = &item.application;
    let namespace = &application.id.namespace;
    let project = match application.project.as_str() {
        "" => DEFAULT_PROJECT,
        named => named,
    };
    let project = (home.to_owned(), project.to_owned());
    rights.projects.insert(project);
    match &application.method {
        Method::ArgoCd => {
            rights.patched.insert(namespace.clone());
        }
        Method::Git(credential) => {
            // It may name global projects.
            let settings = (home.to_owned(), global::SETTINGS.to_owned());
            rights.config_maps.insert(settings);
            match credential {
                GitCredentialSource::RepositorySettings => {
                    rights.repository_credentials = Some(home.to_owned());
                }
                GitCredentialSource::Secret {
                    namespace: named,
                    name,
                } => {
                    let namespace = named.as_ref().unwrap_or(namespace);
                    rights.secrets.insert((namespace.clone(), name.clone()));
                }
            }
            // A URL that cannot be read is refused before anything is asked.
            let url = GitUrl::parse(&application.repository).ok();
            if let Some(name) = url.and_then(|url| remotes::config_map_for(url.scheme())) {
                rights
                    .config_maps
                    .insert((home.to_owned(), name.to_owned()));
            }
        }
    }
    if let Some(source) = &item.rule().pull_secret {
        of_credential(rights, source);
    }
    if let Some(policy) = item.rule().verification.as_deref() {
        let wanted = Wanted {
            policy,
            namespace,
            folder: None,
            elsewhere: false,
        };
        of_policy(rights, &wanted);
    }
}

fn of_credential(rights: &mut Rights, source: &CredentialSource) {
    match source {
        CredentialSource::SecretField {
            namespace, name, ..
        }
        | CredentialSource::PullSecret { namespace, name } => {
            rights.secrets.insert((namespace.clone(), name.clone()));
        }
        CredentialSource::Environment { .. } | CredentialSource::Helper { .. } => {}
    }
}

fn of_policy(rights: &mut Rights, wanted: &Wanted<'_>) {
    for (kind, namespace, name) in materials::objects(wanted) {
        let id = (namespace.to_owned(), name.to_owned());
        match kind {
            Kind::Secret => rights.secrets.insert(id),
            Kind::ConfigMap => rights.config_maps.insert(id),
        };
    }
}
