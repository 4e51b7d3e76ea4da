//! The text of commits: a template over the changes of one Application.
//!
//! Here: the data, the default, and what stands in when a template fails. Not here: trailers, which
//! are added (and defended) where commits are planned. Specification: the commit message template
//! of Argo CD Image Updater.
//!
//! A template knows `.AppName` and `.AppChanges` (each `.Image`, `.OldTag`, `.NewTag`, `.Labels`).
//! Of our own besides: `.AppNamespace`, `.AppProject`, `.AppLabels`, and for each change `.Alias`,
//! `.FullName` with the registry, `.OldDigest` and `.NewDigest`.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::template::{Template, TemplateError, Value};

/// What is used where the operator gives no template.
pub const DEFAULT_TEMPLATE: &str = "build: automatic update of {{ .AppName }}

{{ range .AppChanges -}}
updates image {{ .Image }} tag '{{ .OldTag }}' to '{{ .NewTag }}'
{{ end -}}
";

/// What a commit is called whose template renders nothing.
const EMPTY_MESSAGE: &str = "Update parameters";

/// What commit message templates see.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MessageData<'a> {
    /// `.AppName`
    pub application: &'a str,
    /// `.AppNamespace`
    pub namespace: &'a str,
    /// `.AppProject`
    pub project: &'a str,
    /// `.AppLabels`
    pub labels: BTreeMap<String, String>,
    /// `.AppChanges`
    pub changes: Vec<MessageChange<'a>>,
}

/// One change, as commit message templates see it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MessageChange<'a> {
    /// `.Image`: the name without registry.
    pub image: &'a str,
    /// `.FullName`: the name with the registry, as far as it was written.
    pub full_name: &'a str,
    /// `.Alias`, or empty.
    pub alias: &'a str,
    /// `.OldTag`: digest or tag before.
    pub old_tag: &'a str,
    /// `.NewTag`: digest or tag after.
    pub new_tag: &'a str,
    /// `.OldDigest`, or empty where it is not known.
    pub old_digest: String,
    /// `.NewDigest`, or empty where it is not known.
    pub new_digest: String,
    /// `.Labels` of the new image, where its configuration was read.
    pub labels: BTreeMap<String, String>,
}

/// Renders the message. A template that fails on the data gives a plain message and its error.
#[must_use]
pub fn commit_message(
    template: &Template,
    data: &MessageData<'_>,
) -> (String, Option<TemplateError>) {
    match template.render(&template_data(data)) {
        Ok(message) if message.trim().is_empty() => (EMPTY_MESSAGE.to_owned(), None),
        Ok(message) => (message, None),
        Err(error) => (
            format!("build: update of application {}", data.application),
            Some(error),
        ),
    }
}

fn template_data(data: &MessageData<'_>) -> Value {
    let map = |labels: &BTreeMap<String, String>| Value::Map(Arc::new(labels.clone()));
    let changes = data.changes.iter().map(|change| {
        Value::record(
            [
                ("Image", Value::text(change.image)),
                ("OldTag", Value::text(change.old_tag)),
                ("NewTag", Value::text(change.new_tag)),
                ("Labels", map(&change.labels)),
            ],
            [
                ("Alias", Value::text(change.alias)),
                ("FullName", Value::text(change.full_name)),
                ("OldDigest", Value::text(&change.old_digest)),
                ("NewDigest", Value::text(&change.new_digest)),
            ],
        )
    });
    Value::record(
        [
            ("AppName", Value::text(data.application)),
            ("AppChanges", Value::List(changes.collect())),
        ],
        [
            ("AppNamespace", Value::text(data.namespace)),
            ("AppProject", Value::text(data.project)),
            ("AppLabels", map(&data.labels)),
        ],
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(template: &str) -> String {
        let data = MessageData {
            application: "shop",
            changes: vec![MessageChange {
                image: "foo/bar",
                full_name: "ghcr.io/foo/bar",
                old_tag: "1.0",
                new_tag: "1.1",
                ..MessageChange::default()
            }],
            ..MessageData::default()
        };
        commit_message(&Template::parse(template).unwrap(), &data).0
    }

    #[test]
    fn the_default_names_every_change() {
        assert_eq!(
            message(DEFAULT_TEMPLATE),
            "build: automatic update of shop\n\nupdates image foo/bar tag '1.0' to '1.1'\n"
        );
    }

    #[test]
    fn a_template_that_fails_or_says_nothing_gives_a_plain_message() {
        assert_eq!(message("{{ .Foo }}"), "build: update of application shop");
        assert_eq!(message(" {{/* nothing */}}\n"), "Update parameters");
    }

    /// C39.
    #[test]
    fn the_registry_is_known_beside_the_old_fields() {
        assert_eq!(
            message("{{ range .AppChanges }}{{ .Image }} {{ .FullName }}{{ end }}"),
            "foo/bar ghcr.io/foo/bar"
        );
    }
}
