//! The shortest way to write an identity that was seen: what `policy init` proposes to a person.
//!
//! A proposal demands exactly what was seen, ref included; widening it is the person's choice.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::identity::same_version;
use super::predicate::PredicateTypes;

const GITHUB: &str = "https://github.com/";
const GITHUB_ISSUER: &str = "https://token.actions.githubusercontent.com";
const WORKFLOWS: &str = "/.github/workflows/";

/// Somebody who signed with a certificate, as it says.
#[derive(Debug, Clone, Copy)]
pub struct Seen<'a> {
    /// The issuer of the token.
    pub issuer: &'a str,
    /// The subject alternative name.
    pub subject: &'a str,
    /// Claims by their documented names.
    pub claims: &'a BTreeMap<&'static str, String>,
}

/// The field of an authority that demands exactly this identity (`github`, `gitlab`, `keyless`),
/// and its value. `tag`: the image's; a Git tag of the same name is written as `sameAsImage`.
#[must_use]
pub fn identity(seen: Seen<'_>, tag: Option<&str>) -> (&'static str, Value) {
    if let Some(form) = github(seen, tag) {
        return ("github", form);
    }
    if let Some(form) = gitlab(seen, tag) {
        return ("gitlab", form);
    }
    let exact = json!({ "issuer": seen.issuer, "subject": seen.subject });
    ("keyless", exact)
}

fn github(seen: Seen<'_>, tag: Option<&str>) -> Option<Value> {
    if seen.issuer != GITHUB_ISSUER {
        return None;
    }
    let claim = |name: &str| seen.claims.get(name).map(String::as_str);
    let source = claim("sourceRepositoryURI")?.strip_prefix(GITHUB)?;
    let source_ref = claim("sourceRepositoryRef")?;
    let (signer, workflow, signer_ref) = workflow(seen.subject)?;
    if signer == source && signer_ref == source_ref {
        return Some(json!({
            "repository": source, "workflow": workflow, "ref": git_ref(source_ref, tag),
        }));
    }
    // A workflow of another repository signed: the one that called it is named too.
    let mut form = json!({ "repository": source, "ref": git_ref(source_ref, tag) });
    let called_by = claim("buildConfigURI").and_then(self::workflow);
    if let (Some((repository, workflow, at)), Some(form)) = (called_by, form.as_object_mut())
        && repository == source
        && at == source_ref
    {
        form.insert("workflow".to_owned(), json!(workflow));
    }
    let signer =
        json!({ "repository": signer, "workflow": workflow, "ref": exact_ref(signer_ref) });
    form.as_object_mut()?.insert("signer".to_owned(), signer);
    Some(form)
}

/// Repository, file and ref of a workflow's URI.
fn workflow(uri: &str) -> Option<(&str, &str, &str)> {
    let (path, at) = uri.strip_prefix(GITHUB)?.split_once('@')?;
    let (repository, file) = path.split_once(WORKFLOWS)?;
    let named = !file.is_empty() && !file.contains('/');
    (named && repository.split('/').count() == 2).then_some((repository, file, at))
}

fn gitlab(seen: Seen<'_>, tag: Option<&str>) -> Option<Value> {
    let claim = |name: &str| seen.claims.get(name).map(String::as_str);
    let source = claim("sourceRepositoryURI")?;
    let project = source.strip_prefix(seen.issuer)?.strip_prefix('/')?;
    let (config, at) = seen
        .subject
        .strip_prefix(source)?
        .strip_prefix("//")?
        .split_once('@')?;
    if claim("sourceRepositoryRef")? != at || !seen.issuer.starts_with("https://") {
        return None;
    }
    let mut form = json!({ "project": project, "config": config, "ref": git_ref(at, tag) });
    if seen.issuer != "https://gitlab.com" {
        let instance = Value::from(seen.issuer);
        form.as_object_mut()?
            .insert("instance".to_owned(), instance);
    }
    Some(form)
}

fn git_ref(name: &str, tag: Option<&str>) -> Value {
    match (name.strip_prefix("refs/tags/"), tag) {
        (Some(git), Some(image)) if same_version(git, image) => json!({ "tag": "sameAsImage" }),
        _ => exact_ref(name),
    }
}

fn exact_ref(name: &str) -> Value {
    match name.strip_prefix("refs/heads/") {
        Some(branch) => json!({ "branch": branch }),
        None => json!(name),
    }
}

/// How a policy writes a predicate type, and a name for the attestation.
#[must_use]
pub fn predicate(uri: &str) -> (&'static str, String) {
    let short = PredicateTypes::short_name(uri);
    let name = match short {
        Some("slsaprovenance" | "slsaprovenance02" | "slsaprovenance1") => "provenance",
        Some("spdx" | "spdxjson" | "cyclonedx") => "sbom",
        Some("vuln") => "vulnerabilities",
        Some("openvex") => "vex",
        _ => "attestation",
    };
    (name, short.map_or_else(|| uri.to_owned(), str::to_owned))
}

#[cfg(test)]
mod tests {
    use super::*;

    const WORKFLOW: &str = "https://github.com/acme/shop/.github/workflows/release.yml@";

    fn claims(pairs: &[(&'static str, &str)]) -> BTreeMap<&'static str, String> {
        let owned = |&(name, value): &(&'static str, &str)| (name, value.to_owned());
        pairs.iter().map(owned).collect()
    }

    fn from_github(subject: &str, reference: &str, more: &[(&'static str, &str)]) -> Value {
        let common = [
            ("sourceRepositoryURI", "https://github.com/acme/shop"),
            ("sourceRepositoryRef", reference),
        ];
        let claims = claims(&[&common[..], more].concat());
        let seen = Seen {
            issuer: GITHUB_ISSUER,
            subject,
            claims: &claims,
        };
        let (field, value) = identity(seen, Some("1.2.3"));
        json!({ field: value })
    }

    #[test]
    fn a_workflow_at_the_images_tag_follows_the_tag_and_a_branch_stays_one() {
        let tag = from_github(
            &format!("{WORKFLOW}refs/tags/v1.2.3"),
            "refs/tags/v1.2.3",
            &[],
        );
        let form = json!({ "repository": "acme/shop", "workflow": "release.yml",
                           "ref": { "tag": "sameAsImage" } });
        assert_eq!(tag, json!({ "github": form }));
        let other = from_github(&format!("{WORKFLOW}refs/tags/v9"), "refs/tags/v9", &[]);
        assert_eq!(other["github"]["ref"], "refs/tags/v9");
        let branch = from_github(
            &format!("{WORKFLOW}refs/heads/main"),
            "refs/heads/main",
            &[],
        );
        assert_eq!(branch["github"]["ref"], json!({ "branch": "main" }));
    }

    #[test]
    fn a_reusable_workflow_is_named_with_the_one_that_called_it() {
        let signer = "https://github.com/acme/ci/.github/workflows/sign.yml@refs/heads/main";
        let called_by = format!("{WORKFLOW}refs/tags/v1.2.3");
        let found = from_github(
            signer,
            "refs/tags/v1.2.3",
            &[("buildConfigURI", &called_by)],
        );
        assert_eq!(found["github"]["signer"]["repository"], "acme/ci");
        assert_eq!(found["github"]["workflow"], "release.yml");
        let without = from_github(signer, "refs/tags/v1.2.3", &[]);
        assert_eq!(without["github"].get("workflow"), None);
    }

    #[test]
    fn what_has_no_short_form_is_written_exactly() {
        let none = BTreeMap::new();
        let (issuer, subject) = ("https://accounts.example", "dev@acme.example");
        let seen = Seen {
            issuer,
            subject,
            claims: &none,
        };
        let exact = json!({ "issuer": issuer, "subject": subject });
        assert_eq!(identity(seen, None), ("keyless", exact));
        // A workflow whose claims are missing is not guessed at.
        let subject = format!("{WORKFLOW}refs/heads/main");
        let seen = Seen {
            issuer: GITHUB_ISSUER,
            subject: &subject,
            claims: &none,
        };
        assert_eq!(identity(seen, None).0, "keyless");
    }

    #[test]
    fn a_pipeline_of_any_gitlab_has_its_short_form() {
        for (issuer, instance) in [
            ("https://gitlab.com", None),
            ("https://git.acme.example", Some("https://git.acme.example")),
        ] {
            let source = format!("{issuer}/acme/group/shop");
            let claims = claims(&[
                ("sourceRepositoryURI", &source),
                ("sourceRepositoryRef", "refs/heads/main"),
            ]);
            let subject = format!("{source}//.gitlab-ci.yml@refs/heads/main");
            let seen = Seen {
                issuer,
                subject: &subject,
                claims: &claims,
            };
            let (field, form) = identity(seen, None);
            assert_eq!(
                (field, &form["project"]),
                ("gitlab", &json!("acme/group/shop"))
            );
            assert_eq!(form.get("instance").and_then(Value::as_str), instance);
        }
    }

    #[test]
    fn predicates_have_their_short_names() {
        let provenance = predicate("https://slsa.dev/provenance/v1");
        assert_eq!(provenance, ("provenance", "slsaprovenance1".to_owned()));
        assert_eq!(predicate("https://a.example/x").1, "https://a.example/x");
    }
}
