//! What an AppProject allows its Applications, as far as it matters for writing: repositories
//! (`sourceRepos`) and namespaces of Applications (`sourceNamespaces`), and what global projects add.
//!
//! Not here: reading projects. Destinations, kinds and roles bound what Argo CD does with a cluster
//! and are its own to enforce: nothing is written there. Argo CD manual, "Projects" and
//! "Applications in any namespace"; patterns are those of `github.com/gobwas/glob` with `/` as
//! separator, translated to regular expressions that need linear time.

pub mod global;

use regex::{Regex, RegexBuilder};
use serde::Deserialize;
use serde_json::Value;

use crate::limits::{PATTERN_BYTES_MAX, REGEX_BYTES_MAX};
use crate::manifest::{ManifestError, Metadata, named, null_default, read};
use crate::repository_credentials::normalized_url;
use crate::secret::masked_url;

/// The project of an Application that names none.
pub const DEFAULT_PROJECT: &str = "default";

/// An AppProject: what is read of it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct AppProject {
    /// Name and namespace.
    pub metadata: Metadata,
    /// The rules.
    #[serde(deserialize_with = "null_default")]
    pub spec: AppProjectSpec,
}

/// `spec` of an AppProject.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct AppProjectSpec {
    /// Patterns of repositories; one that begins with `!` forbids.
    #[serde(deserialize_with = "null_default")]
    pub source_repos: Vec<String>,
    /// Patterns of namespaces that Applications may stand in besides Argo CD's own.
    #[serde(deserialize_with = "null_default")]
    pub source_namespaces: Vec<String>,
}

/// Why a project does not allow a write.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProjectRefusal {
    /// A pattern with `!` names the repository.
    #[error("AppProject `{project}` forbids the repository `{url}` by `{pattern}`")]
    RepositoryForbidden {
        /// The project.
        project: String,
        /// Masked.
        url: String,
        /// The pattern.
        pattern: String,
    },
    /// No pattern names the repository.
    #[error("AppProject `{project}` does not allow the repository `{url}` in `sourceRepos`")]
    RepositoryNotAllowed {
        /// The project.
        project: String,
        /// Masked.
        url: String,
    },
    /// No pattern names the namespace.
    #[error(
        "AppProject `{project}` does not allow Applications of namespace `{namespace}` in \
         `sourceNamespaces`"
    )]
    NamespaceNotAllowed {
        /// The project.
        project: String,
        /// Namespace of the Application.
        namespace: String,
    },
}

impl ProjectRefusal {
    /// Whether a global project may allow what this one does not.
    #[must_use]
    pub const fn may_be_allowed_globally(&self) -> bool {
        matches!(self, Self::RepositoryNotAllowed { .. })
    }
}

impl AppProject {
    /// Reads an AppProject.
    ///
    /// # Errors
    /// [`ManifestError`] with the path of the field.
    pub fn from_value(value: Value) -> Result<Self, ManifestError> {
        let project: Self = read(value)?;
        named(&project.metadata)?;
        Ok(project)
    }

    /// Whether an Application of `namespace` may have `repository` written.
    ///
    /// # Errors
    /// [`ProjectRefusal`]. A pattern that cannot be read allows nothing, and forbids everything
    /// where it is one that forbids.
    pub fn allows(&self, repository: &str, namespace: &str) -> Result<(), ProjectRefusal> {
        let project = || self.metadata.name.clone();
        if namespace != self.metadata.namespace {
            let mut patterns = self.spec.source_namespaces.iter();
            if !patterns.any(|pattern| matches_namespace(pattern, namespace)) {
                return Err(ProjectRefusal::NamespaceNotAllowed {
                    project: project(),
                    namespace: namespace.to_owned(),
                });
            }
        }
        let url = normalized_url(repository);
        let mut allowed = false;
        for pattern in &self.spec.source_repos {
            match pattern.strip_prefix('!') {
                Some(forbidden) if matches_url(forbidden, &url).unwrap_or(true) => {
                    return Err(ProjectRefusal::RepositoryForbidden {
                        project: project(),
                        url: masked_url(repository),
                        pattern: masked_url(pattern),
                    });
                }
                Some(_) => {}
                None => allowed |= matches_url(pattern, &url).unwrap_or(false),
            }
        }
        if allowed {
            return Ok(());
        }
        Err(ProjectRefusal::RepositoryNotAllowed {
            project: project(),
            url: masked_url(repository),
        })
    }
}

/// `None`: the pattern cannot be read. `url` is normalized.
fn matches_url(pattern: &str, url: &str) -> Option<bool> {
    let pattern = normalized_url(pattern);
    if pattern == "*" {
        return Some(true);
    }
    Some(compiled(&pattern, true)?.is_match(url))
}

fn matches_namespace(pattern: &str, namespace: &str) -> bool {
    let inner = |text: &str| -> Option<String> {
        let inner = text.strip_prefix('/')?.strip_suffix('/')?;
        (!inner.is_empty()).then(|| inner.to_owned())
    };
    let regex = match inner(pattern) {
        Some(regex) if regex.len() <= PATTERN_BYTES_MAX => build(&regex),
        Some(_) => None,
        None => compiled(pattern, false),
    };
    regex.is_some_and(|regex| regex.is_match(namespace))
}

fn build(pattern: &str) -> Option<Regex> {
    RegexBuilder::new(pattern)
        .size_limit(REGEX_BYTES_MAX)
        .build()
        .ok()
}

/// A glob as an anchored regular expression. With `separated`, `*` and `?` stop at `/`.
fn compiled(glob: &str, separated: bool) -> Option<Regex> {
    if glob.len() > PATTERN_BYTES_MAX {
        return None;
    }
    let one = if separated { "[^/]" } else { "." };
    let mut regex = String::from(r"(?s)\A(?:");
    let mut open = 0_u32;
    let mut rest = glob.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '*' if rest.next_if_eq(&'*').is_some() => {
                while rest.next_if_eq(&'*').is_some() {}
                regex.push_str(".*");
            }
            '*' => regex.push_str(&format!("{one}*")),
            '?' => regex.push_str(one),
            '{' => {
                open += 1;
                regex.push_str("(?:");
            }
            '}' => {
                open = open.checked_sub(1)?;
                regex.push(')');
            }
            ',' if open > 0 => regex.push('|'),
            '[' => regex.push_str(&class(&mut rest)?),
            '\\' => regex.push_str(&regex::escape(&rest.next()?.to_string())),
            c => regex.push_str(&regex::escape(&c.to_string())),
        }
    }
    regex.push_str(r")\z");
    (open == 0).then(|| build(&regex)).flatten()
}

/// What follows `[`, up to its `]`, as a class.
fn class(rest: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Option<String> {
    let mut class = String::from("[");
    if rest.next_if_eq(&'!').is_some() {
        class.push('^');
    }
    let mut empty = true;
    loop {
        match rest.next()? {
            ']' if !empty => break,
            '-' if !empty => class.push('-'),
            c => {
                let c = if c == '\\' { rest.next()? } else { c };
                if c.is_ascii() && !c.is_ascii_alphanumeric() {
                    class.push('\\');
                }
                class.push(c);
            }
        }
        empty = false;
    }
    class.push(']');
    Some(class)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn project(repositories: &[&str], namespaces: &[&str]) -> AppProject {
        AppProject::from_value(json!({
            "metadata": { "name": "shop", "namespace": "argocd" },
            "spec": { "sourceRepos": repositories, "sourceNamespaces": namespaces },
        }))
        .unwrap()
    }

    #[test]
    fn a_star_stays_within_a_segment_and_two_do_not() {
        for (pattern, url, allowed) in [
            ("*", "https://git.example/a/b/c", true),
            ("**", "https://git.example/a/b/c", true),
            (
                "https://git.example/acme/*",
                "https://git.example/acme/app.git",
                true,
            ),
            (
                "https://git.example/acme/*",
                "https://git.example/acme/group/app",
                false,
            ),
            (
                "https://git.example/acme/**",
                "https://git.example/acme/group/app",
                true,
            ),
            (
                "https://git.example/acme/*",
                "https://git.example/acme-evil/app",
                false,
            ),
            (
                "https://git.example/Acme/App",
                "https://git.example/acme/app.git/",
                true,
            ),
            (
                "https://git.example/acme/app",
                "https://git.example/acme/application",
                false,
            ),
            (
                "git@git.example:acme/*",
                "ssh://git@git.example/acme/app",
                true,
            ),
            (
                "https://git.example/{acme,other}/app",
                "https://git.example/other/app",
                true,
            ),
            (
                "https://git.example/acme/app-[0-9]",
                "https://git.example/acme/app-7",
                true,
            ),
            (
                "https://git.example/acme/app-[!0-9]",
                "https://git.example/acme/app-7",
                false,
            ),
            (
                "https://git.example/acme/a.p",
                "https://git.example/acme/app",
                false,
            ),
            (
                "https://git.example/{acme",
                "https://git.example/acme",
                false,
            ),
            ("", "https://git.example/acme", false),
        ] {
            let outcome = project(&[pattern], &[]).allows(url, "argocd");
            assert_eq!(outcome.is_ok(), allowed, "`{pattern}` and `{url}`");
        }
        assert!(project(&[], &[]).allows("https://g/r", "argocd").is_err());
    }

    #[test]
    fn what_is_forbidden_is_not_allowed_by_anything_else() {
        let rules = project(&["*", "!https://git.example/acme/secret*"], &[]);
        assert!(
            rules
                .allows("https://git.example/acme/app", "argocd")
                .is_ok()
        );
        let refusal = rules.allows("https://u:p@git.example/x", "argocd");
        assert!(refusal.is_ok());
        let refusal = rules
            .allows("https://git.example/acme/secrets.git", "argocd")
            .unwrap_err();
        assert!(!refusal.may_be_allowed_globally(), "{refusal}");
        // A rule that forbids and cannot be read forbids everything.
        let broken = project(&["*", "!https://[git"], &[]);
        assert!(
            broken
                .allows("https://git.example/acme/app", "argocd")
                .is_err()
        );
    }

    #[test]
    fn an_application_elsewhere_needs_the_projects_word() {
        let url = "https://git.example/acme/app";
        for (patterns, namespace, allowed) in [
            (&[][..], "argocd", true),
            (&[], "team-a", false),
            (&["team-*"], "team-a", true),
            (&["team-a"], "team-ab", false),
            (&["/^team-[ab]$/"], "team-b", true),
            (&["/^team-[ab]$/"], "team-c", false),
            (&["/(/"], "team-a", false),
        ] {
            let outcome = project(&["*"], patterns).allows(url, namespace);
            assert_eq!(outcome.is_ok(), allowed, "{patterns:?} {namespace}");
        }
    }
}
