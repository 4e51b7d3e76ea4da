//! Settings that people, and Applications, write.

use std::sync::Arc;

use sealift_core::credential::DockerConfig;
use sealift_core::credential::{CredentialAuthor, CredentialSource};
use sealift_core::limits;
use sealift_core::registries_conf::RegistriesConf;
use sealift_core::slot::target::{TargetOwner, TargetSetting};
use sealift_core::template::{Template, Value};

use super::text;

/// An Application never gets a source that is the operator's, nor another namespace's Secret.
pub(super) fn credentials(bytes: &[u8]) {
    let text = text(bytes);
    let operator = CredentialSource::parse(&text, CredentialAuthor::Operator);
    let author = CredentialAuthor::Application { namespace: "shop" };
    let Ok(source) = CredentialSource::parse(&text, author) else {
        return;
    };
    assert_eq!(
        operator.as_ref(),
        Ok(&source),
        "the operator may use what an Application may"
    );
    match source {
        CredentialSource::SecretField { namespace, .. }
        | CredentialSource::PullSecret { namespace, .. } => assert_eq!(namespace, "shop"),
        other => panic!("an Application may not use {other:?}"),
    }
}

/// No message about a docker configuration holds a value of it. The input is the configuration.
pub(super) fn docker_config(bytes: &[u8]) {
    let Ok(config) = DockerConfig::parse(bytes) else {
        return;
    };
    for url in [
        "https://registry-1.docker.io",
        "https://registry.example.com/v2/",
        "x",
    ] {
        if let Ok(login) = config.login(url, "library/nginx") {
            assert_eq!(format!("{login:?}"), "Login([secret])");
        }
    }
}

/// An accepted registry has a name and an API URL, and at most one lacks a prefix.
pub(super) fn registries_conf(bytes: &[u8]) {
    let Ok(conf) = RegistriesConf::parse(&text(bytes)) else {
        return;
    };
    let _one_default_at_most = conf.default_registry();
    for entry in &conf.registries {
        assert!(!entry.name.is_empty() && !entry.api_url.is_empty());
    }
    assert!(
        conf.registries
            .iter()
            .filter(|entry| entry.prefix.is_empty())
            .count()
            <= 1
    );
}

/// Files that a write-back target names are inside the repository.
pub(super) fn write_back_targets(bytes: &[u8]) {
    let text = text(bytes);
    let Ok(setting) = TargetSetting::parse(Some(&text)) else {
        return;
    };
    let owner = TargetOwner {
        application: "shop",
        namespace: "team",
        argocd_namespace: "argocd",
        source_path: "apps/shop",
    };
    let Ok(target) = setting.resolve(&owner) else {
        return;
    };
    assert!(!target.candidates.is_empty());
    for path in &target.candidates {
        assert!(
            !path
                .components()
                .any(|part| matches!(part, "" | "." | "..")),
            "{path:?}"
        );
    }
}

/// Rendering ends, within its bound, whatever the template says. The input is the template.
pub(super) fn templates(bytes: &[u8]) {
    let Ok(template) = Template::parse(&text(bytes)) else {
        return;
    };
    let change = Value::record(
        [
            ("Image", Value::text("shop")),
            ("OldTag", Value::text("1")),
            ("NewTag", Value::text("2")),
        ],
        [("Alias", Value::text("web"))],
    );
    let changes: Arc<[Value]> = [change.clone(), change].into();
    let fields = [
        ("AppName", Value::text("shop")),
        ("AppChanges", Value::List(changes)),
    ];
    let data = Value::record(fields, []);
    if let Ok(rendered) = template.render(&data) {
        assert!(rendered.len() <= limits::TEMPLATE_OUTPUT_BYTES_MAX);
    }
}
