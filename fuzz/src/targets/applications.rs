//! What Applications ask for: annotations, repository URLs and branches.

use sealift_core::application::{Context, parse_annotated};
use sealift_core::credential::CredentialSource;
use sealift_core::manifest::ApplicationManifest;
use sealift_core::platform::Platform;
use sealift_core::secret::masked_url;
use sealift_git::{BranchName, GitUrl, Scheme};
use serde_json::json;

use super::text;

/// Annotations never open another namespace's Secrets or the operator's credentials, and never lead
/// out of the repository. The input is one annotation a line, `key=value`; the prefix of keys may
/// be left out.
pub(super) fn annotations(bytes: &[u8]) {
    let text = text(bytes);
    let annotations: serde_json::Map<_, _> = text
        .lines()
        .filter_map(|line| line.split_once('='))
        .map(|(key, value)| (full_key(key), json!(value)))
        .collect();
    let manifest = json!({
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Application",
        "metadata": { "name": "shop", "namespace": "team", "annotations": annotations },
        "spec": {
            "project": "default",
            "source": {
                "repoURL": "https://git.example.com/shop.git", "path": "apps/shop",
                "targetRevision": "main", "helm": {},
            },
        },
        "status": { "sourceType": "Helm", "summary": { "images": ["nginx:1.25"] } },
    });
    let Ok(manifest) = ApplicationManifest::from_value(manifest) else {
        return;
    };
    let context = Context {
        argocd_namespace: "argocd".to_owned(),
        own_platform: Platform::parse("linux/amd64"),
    };
    let Some(parsed) = parse_annotated(&manifest, &context) else {
        return;
    };
    let Ok(application) = parsed.application else {
        return;
    };
    for path in &application.target.candidates {
        assert!(
            !path
                .components()
                .any(|part| matches!(part, "" | "." | "..")),
            "{path:?}"
        );
    }
    for image in &application.images {
        assert!(!image.configured.reference.name.is_empty());
        match &image.pull_secret {
            None => {}
            Some(
                CredentialSource::SecretField { namespace, .. }
                | CredentialSource::PullSecret { namespace, .. },
            ) => assert_eq!(namespace, "team"),
            Some(other) => panic!("an Application may not use {other:?}"),
        }
    }
}

fn full_key(key: &str) -> String {
    if key.contains('/') {
        return key.to_owned();
    }
    format!("argocd-image-updater.argoproj.io/{key}")
}

/// A URL that is accepted can be handed to Git: no option, no helper, no password in it.
pub(super) fn git_urls(bytes: &[u8]) {
    let text = text(bytes);
    let Ok(url) = GitUrl::parse(&text) else {
        return;
    };
    let for_git = url.for_git();
    assert!(
        !for_git.starts_with('-') && !names_a_helper(&for_git),
        "{for_git}"
    );
    assert!(!for_git.chars().any(char::is_control), "{for_git:?}");
    assert!(!url.host().starts_with('-') && !url.user().is_some_and(|user| user.starts_with('-')));
    // A text that also stands elsewhere in the URL is shown from there.
    let told_once = |password: &str| password.len() > 8 && text.matches(password).count() == 1;
    if let Some(password) = url
        .password()
        .filter(|password| told_once(password.expose()))
    {
        assert!(
            !format!("{url:?} {for_git}").contains(password.expose()),
            "a password is shown"
        );
    }
    if url.scheme() != Scheme::File {
        assert!(!url.host().is_empty());
        let again = GitUrl::parse(&for_git).expect("what Git gets is a URL, too");
        assert_eq!(
            (again.scheme(), again.host(), again.port()),
            (url.scheme(), url.host(), url.port())
        );
    }
    let _masks_any_text = masked_url(&text);
}

/// A branch name that is accepted is one that Git accepts, and never reads as an option.
pub(super) fn branches(bytes: &[u8]) {
    let text = text(bytes);
    let rendered = BranchName::from_rendered(&text);
    let Ok(name) = text.parse::<BranchName>().or(rendered) else {
        return;
    };
    let name = name.as_str();
    assert!(!name.is_empty() && !name.starts_with('-') && name != "HEAD" && name != "@");
    assert!(
        !name.starts_with('/') && !name.ends_with('/') && !name.ends_with('.'),
        "{name:?}"
    );
    for bad in ["..", "//", "@{", "\\", " ", "~", "^", ":", "?", "*", "["] {
        assert!(!name.contains(bad), "{name:?} holds {bad:?}");
    }
    assert!(!name.chars().any(|c| c.is_ascii_control()), "{name:?}");
    let bad_part = |part: &str| part.starts_with('.') || part.ends_with(".lock");
    assert!(!name.split('/').any(bad_part), "{name:?}");
}

/// `<helper>::<address>`; gitremote-helpers(7).
fn names_a_helper(url: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "+-.".contains(c);
    url.split_once("::")
        .is_some_and(|(helper, _)| helper.chars().all(plain))
}
