//! The short forms `github:` and `gitlab:`, written out as identities.
//!
//! GitHub, "OpenID Connect reference"; GitLab, "ID token authentication"; Fulcio, "Sigstore OID
//! information": the subject is the workflow or pipeline that signed, at its ref; repository and
//! ref that were built are claims.

use std::collections::BTreeMap;

use super::super::error::Findings;
use super::super::identity::{Identity, Pattern};
use super::super::spec::{GithubSpec, GitlabSpec, RefMatch, RefRule};
use crate::glob::Glob;
use crate::limits::POLICY_PATTERN_BYTES_MAX;

const GITHUB: &str = "https://github.com";
const GITHUB_ISSUER: &str = "https://token.actions.githubusercontent.com";
const GITLAB: &str = "https://gitlab.com";
/// The word of `tag:` that stands for the tag of the image.
const SAME_AS_IMAGE: &str = "sameAsImage";
/// Hexadecimal characters of a commit id (SHA-1 or SHA-256).
const COMMIT_CHARACTERS: [usize; 2] = [40, 64];

pub(super) fn github(at: &str, spec: &GithubSpec, findings: &mut Findings) -> Option<Identity> {
    let repository = repository(at, &spec.repository, findings);
    let git_ref = read_ref(&format!("{at}.ref"), &spec.git_ref, false, findings);
    let own = match &spec.workflow {
        Some(name) => Some(workflow(at, name, findings)?),
        None => None,
    };
    let signer = match &spec.signer {
        Some(signer) => {
            let at = format!("{at}.signer");
            let name = repository_name(&at, &signer.repository, findings)?;
            let workflow = workflow(&at, &signer.workflow, findings)?;
            let used_at = read_ref(&format!("{at}.ref"), &signer.git_ref, true, findings)?;
            Some(used_at.behind(&format!("{GITHUB}/{name}/.github/workflows/{workflow}@")))
        }
        None => None,
    };
    let (repository, git_ref) = (repository?, git_ref?);
    let folder = format!("{repository}/.github/workflows/");
    let own_workflow = own.map(|name| git_ref.behind(&format!("{folder}{name}@")));
    let mut claims = BTreeMap::from([
        (
            "sourceRepositoryURI".to_owned(),
            vec![Pattern::Exact(repository)],
        ),
        ("sourceRepositoryRef".to_owned(), vec![git_ref.behind("")]),
    ]);
    let subject = match (signer, own_workflow) {
        (Some(signer), Some(own)) => {
            claims.insert("buildConfigURI".to_owned(), vec![own]);
            signer
        }
        (Some(subject), None) | (None, Some(subject)) => subject,
        (None, None) => {
            let which = &spec.repository;
            findings.weak(format!(
                "{at} names no workflow: every workflow of `{which}` may sign"
            ));
            Pattern::UrlPrefix(folder)
        }
    };
    Some(Identity {
        issuer: Pattern::Exact(GITHUB_ISSUER.to_owned()),
        subject,
        claims,
    })
}

pub(super) fn gitlab(at: &str, spec: &GitlabSpec, findings: &mut Findings) -> Option<Identity> {
    let instance = spec.instance.as_deref().unwrap_or(GITLAB);
    let host = instance.strip_prefix("https://").unwrap_or_default();
    let host = host.trim_end_matches('/');
    let mut good = true;
    if host.is_empty() || host.contains(['*', '?', '#', '@', ' ']) {
        let hint = "write its base URL, such as `https://gitlab.acme.internal`";
        let message = "this is no instance of GitLab";
        findings.invalid(format!("{at}.instance"), instance, message, hint);
        good = false;
    }
    let segments = spec.project.split('/').count();
    if segments < 2 || !spec.project.split('/').all(is_name) {
        let hint = "write group and project, such as `acme/shop`";
        let message = "this is no path of a project";
        findings.invalid(format!("{at}.project"), &spec.project, message, hint);
        good = false;
    }
    let config = spec.config.as_deref();
    if config.is_some_and(|config| !config.split('/').all(is_name)) {
        let hint = "write its path in the project, such as `.gitlab-ci.yml`";
        let message = "this is no path of a pipeline's configuration";
        let config = config.unwrap_or_default();
        findings.invalid(format!("{at}.config"), config, message, hint);
        good = false;
    }
    let git_ref = read_ref(&format!("{at}.ref"), &spec.git_ref, false, findings)?;
    if !good {
        return None;
    }
    let project = format!("https://{host}/{}", spec.project);
    let subject = match config {
        Some(config) => git_ref.behind(&format!("{project}//{config}@")),
        None => {
            findings.weak(format!(
                "{at} names no config: every pipeline of `{}` may sign",
                spec.project
            ));
            Pattern::UrlPrefix(format!("{project}//"))
        }
    };
    Some(Identity {
        issuer: Pattern::Exact(format!("https://{host}")),
        subject,
        claims: BTreeMap::from([
            (
                "sourceRepositoryURI".to_owned(),
                vec![Pattern::Exact(project)],
            ),
            ("sourceRepositoryRef".to_owned(), vec![git_ref.behind("")]),
        ]),
    })
}

/// A demand on a ref, which stands alone in a claim and behind a workflow in a subject.
enum Ref {
    Exact(String),
    Tags(Glob),
    SameAsImage,
}

impl Ref {
    fn behind(&self, prefix: &str) -> Pattern {
        match self {
            Self::Exact(name) => Pattern::Exact(format!("{prefix}{name}")),
            Self::Tags(glob) => Pattern::Glob {
                prefix: format!("{prefix}refs/tags/"),
                glob: glob.clone(),
                suffix: String::new(),
            },
            Self::SameAsImage => Pattern::SameAsImage {
                prefix: format!("{prefix}refs/tags/"),
                suffix: String::new(),
            },
        }
    }
}

fn read_ref(at: &str, spec: &RefMatch, commits: bool, findings: &mut Findings) -> Option<Ref> {
    let (field, text, problem, hint) = match spec {
        RefMatch::Exact(name) => {
            let full = ["refs/heads/", "refs/tags/", "refs/pull/"]
                .iter()
                .any(|folder| {
                    name.strip_prefix(folder)
                        .is_some_and(|rest| !rest.is_empty())
                });
            let commit = commits
                && COMMIT_CHARACTERS.contains(&name.len())
                && name.bytes().all(|byte| byte.is_ascii_hexdigit());
            if (full || commit) && !name.contains(['*', ' ']) {
                return Some(Ref::Exact(name.clone()));
            }
            let hint = "write `refs/heads/main`, `{ branch: main }` or `{ tag: \"v*\" }`";
            (
                at.to_owned(),
                name,
                "this is no full name of a ref".to_owned(),
                hint,
            )
        }
        RefMatch::Rule(RefRule::Branch(name)) => {
            if !name.is_empty() && !name.starts_with("refs/") && !name.contains(['*', '?', ' ']) {
                return Some(Ref::Exact(format!("refs/heads/{name}")));
            }
            let problem = "this is no name of a branch".to_owned();
            let hint = "write one branch by its name, without `refs/heads/` and wildcards";
            (format!("{at}.branch"), name, problem, hint)
        }
        RefMatch::Rule(RefRule::Tag(glob)) if glob == SAME_AS_IMAGE => {
            return Some(Ref::SameAsImage);
        }
        RefMatch::Rule(RefRule::Tag(text)) => {
            let glob = match text {
                text if text.is_empty() || text.starts_with("refs/") => {
                    Err("this is no pattern of tags".to_owned())
                }
                text if text.len() > POLICY_PATTERN_BYTES_MAX => {
                    Err(format!("longer than {POLICY_PATTERN_BYTES_MAX} bytes"))
                }
                text => Glob::parse(text).map_err(|error| error.to_string()),
            };
            match glob {
                Ok(glob) => return Some(Ref::Tags(glob)),
                Err(problem) => {
                    let hint = "write a glob such as `v*`, or `sameAsImage`";
                    (format!("{at}.tag"), text, problem, hint)
                }
            }
        }
    };
    findings.invalid(field, text, problem, hint);
    None
}

fn repository(at: &str, name: &str, findings: &mut Findings) -> Option<String> {
    repository_name(at, name, findings).map(|name| format!("{GITHUB}/{name}"))
}

fn repository_name<'a>(at: &str, name: &'a str, findings: &mut Findings) -> Option<&'a str> {
    let mut parts = name.split('/');
    let whole = parts.next().is_some_and(is_name)
        && parts.next().is_some_and(is_name)
        && parts.next().is_none();
    if !whole {
        let message = "this is no repository of GitHub";
        let hint = "write `owner/name`, without wildcards";
        findings.invalid(format!("{at}.repository"), name, message, hint);
    }
    whole.then_some(name)
}

fn workflow<'a>(at: &str, name: &'a str, findings: &mut Findings) -> Option<&'a str> {
    let yaml = name.ends_with(".yml") || name.ends_with(".yaml");
    let whole = is_name(name) && yaml;
    if !whole {
        let message = "this is no file name of a workflow";
        let hint = "write the name below `.github/workflows/`, such as `release.yml`";
        findings.invalid(format!("{at}.workflow"), name, message, hint);
    }
    whole.then_some(name)
}

/// One path segment of plain characters.
fn is_name(text: &str) -> bool {
    !matches!(text, "" | "." | "..")
        && text
            .chars()
            .all(|character| character.is_alphanumeric() || "-_.".contains(character))
}
