//! Which Applications and images a policy is about.
//!
//! Hosts are compared as connections see them: without case, without the port that HTTPS implies,
//! and Docker Hub under one name. Otherwise `GHCR.IO/acme/shop` would leave the scope of
//! `ghcr.io/acme/**` and still be the same image.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use regex::Regex;

use super::spec::{ApplicationSelector, ImageRule, LabelOperator};
use crate::glob::Glob;
use crate::limits::{POLICY_PATTERN_BYTES_MAX, REGEX_BYTES_MAX};
use crate::reference::{Canonical, DEFAULT_REGISTRY};

/// What a scope asks of an Application.
#[derive(Debug, Clone, Copy)]
pub struct Subject<'a> {
    /// Its namespace.
    pub namespace: &'a str,
    /// Its name.
    pub name: &'a str,
    /// Its labels.
    pub labels: &'a BTreeMap<String, String>,
}

/// Applications and images.
#[derive(Debug, Clone, Default)]
pub struct Scope {
    /// Applications of this namespace only; `None`: of every one.
    pub namespace: Option<String>,
    /// Any of them must fit; empty: every Application.
    pub applications: Vec<Selector>,
    /// Any of them must fit; empty: every image.
    pub images: Vec<Images>,
}

/// Chooses Applications; every part must fit.
#[derive(Debug, Clone)]
pub struct Selector {
    name: Option<Glob>,
    labels: Vec<(String, LabelOperator, BTreeSet<String>)>,
}

/// Images, and where else their signatures are looked up.
#[derive(Debug, Clone)]
pub struct Images {
    /// Which ones.
    pub pattern: ImagePattern,
    /// Further repositories that hold their signatures: mirrors' originals and signature
    /// repositories. `**` stands for what `**` of the pattern matched.
    pub places: Vec<String>,
}

/// `registry/repository` with wildcards: `*` stays inside a segment, `**` does not.
#[derive(Debug, Clone)]
pub struct ImagePattern {
    text: String,
    host: Regex,
    path: Regex,
}

impl Scope {
    /// Whether an Application is in it.
    #[must_use]
    pub fn holds_application(&self, subject: &Subject<'_>) -> bool {
        self.namespace
            .as_ref()
            .is_none_or(|namespace| namespace == subject.namespace)
            && (self.applications.is_empty()
                || self.applications.iter().any(|one| one.matches(subject)))
    }

    /// Whether an image is in it, of whichever Application.
    #[must_use]
    pub fn holds_image(&self, image: &Canonical) -> bool {
        self.images.is_empty() || self.images.iter().any(|one| one.pattern.matches(image))
    }

    /// Where else signatures of an image are looked up, by every rule that fits.
    #[must_use]
    pub fn places(&self, image: &Canonical) -> BTreeSet<Canonical> {
        let rules = self.images.iter().filter_map(|rule| {
            let crossed = rule.pattern.crossed(image)?;
            Some(rule.places.iter().map(move |place| {
                let place = place.replacen("**", &crossed, 1);
                let (registry, repository) = place.split_once('/').unwrap_or(("", &place));
                Canonical {
                    registry: registry.to_owned(),
                    repository: repository.to_owned(),
                }
            }))
        });
        rules.flatten().filter(|place| place != image).collect()
    }
}

impl Selector {
    /// Reads one selector.
    ///
    /// # Errors
    /// What is wrong with which part: path behind the selector, value, message.
    pub fn new(spec: &ApplicationSelector) -> Result<Self, Vec<(String, String, String)>> {
        let mut errors = Vec::new();
        let name = spec.name_pattern.as_deref().map(|text| {
            let glob = match text {
                "" => Err("an empty pattern fits nothing".to_owned()),
                text => Glob::parse(text).map_err(|error| error.to_string()),
            };
            glob.map_err(|problem| {
                errors.push((".namePattern".to_owned(), text.to_owned(), problem));
            })
        });
        let mut labels = Vec::new();
        if let Some(selectors) = &spec.label_selectors {
            for (key, value) in &selectors.match_labels {
                let values = BTreeSet::from([value.clone()]);
                labels.push((key.clone(), LabelOperator::In, values));
            }
            for (index, one) in selectors.match_expressions.iter().enumerate() {
                let takes = matches!(one.operator, LabelOperator::In | LabelOperator::NotIn);
                if takes == one.values.is_empty() {
                    let problem = match takes {
                        true => "`In` and `NotIn` need values",
                        false => "`Exists` and `DoesNotExist` take no values",
                    };
                    errors.push((
                        format!(".labelSelectors.matchExpressions[{index}].values"),
                        format!("{:?}", one.values),
                        problem.to_owned(),
                    ));
                }
                let values = one.values.iter().cloned().collect();
                labels.push((one.key.clone(), one.operator, values));
            }
        }
        if spec.name_pattern.is_none() && labels.is_empty() {
            let problem = "the selector selects by nothing";
            errors.push((String::new(), "{}".to_owned(), problem.to_owned()));
        }
        match errors.is_empty() {
            true => Ok(Self {
                name: name.and_then(Result::ok),
                labels,
            }),
            false => Err(errors),
        }
    }

    /// Whether an Application fits. Kubernetes API conventions, "Label selectors".
    #[must_use]
    pub fn matches(&self, subject: &Subject<'_>) -> bool {
        let label = |(key, operator, values): &(String, LabelOperator, BTreeSet<String>)| {
            let value = subject.labels.get(key);
            match operator {
                LabelOperator::In => value.is_some_and(|value| values.contains(value)),
                LabelOperator::NotIn => value.is_none_or(|value| !values.contains(value)),
                LabelOperator::Exists => value.is_some(),
                LabelOperator::DoesNotExist => value.is_none(),
            }
        };
        self.name
            .as_ref()
            .is_none_or(|name| name.matches(subject.name))
            && self.labels.iter().all(label)
    }
}

impl Images {
    /// Reads one rule.
    ///
    /// # Errors
    /// Part, value and message of each thing that is wrong.
    pub fn new(rule: &ImageRule) -> Result<Self, Vec<(&'static str, String, String)>> {
        let mut errors = Vec::new();
        let pattern = ImagePattern::parse(&rule.pattern);
        let crossings = rule.pattern.matches("**").count();
        let mut places = Vec::new();
        let wanted = [
            (".as", &rule.mirrored_as),
            (".signatureRepository", &rule.signature_repository),
        ];
        for (part, text) in wanted {
            let Some(text) = text else { continue };
            match place(text, crossings) {
                Ok(place) => places.push(place),
                Err(problem) => errors.push((part, text.clone(), problem.to_owned())),
            }
        }
        match pattern {
            Ok(pattern) if errors.is_empty() => Ok(Self { pattern, places }),
            Ok(_) => Err(errors),
            Err(problem) => {
                errors.insert(0, (".pattern", rule.pattern.clone(), problem));
                Err(errors)
            }
        }
    }
}

impl ImagePattern {
    /// Reads a pattern. The first segment is the host, always; `**` alone is every image.
    ///
    /// # Errors
    /// A sentence.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text == "**" {
            return Self::compile(text, "*", "**");
        }
        let (host, path) = split(text)?;
        if host.contains("**") {
            return Err("`**` does not stand for a host: write the host, or `*`".to_owned());
        }
        Self::compile(text, &host, &path)
    }

    fn compile(text: &str, host: &str, path: &str) -> Result<Self, String> {
        let expression = |pattern: &str| {
            regex::RegexBuilder::new(&translate(pattern))
                .size_limit(REGEX_BYTES_MAX)
                .build()
                .map_err(|_| "the pattern is too large".to_owned())
        };
        Ok(Self {
            text: text.to_owned(),
            host: expression(host)?,
            path: expression(path)?,
        })
    }

    /// Whether an image fits.
    #[must_use]
    pub fn matches(&self, image: &Canonical) -> bool {
        self.host.is_match(&host_key(&image.registry)) && self.path.is_match(&image.repository)
    }

    /// What the first `**` of the path stands for, where the image fits; empty where there is none.
    fn crossed(&self, image: &Canonical) -> Option<String> {
        if !self.host.is_match(&host_key(&image.registry)) {
            return None;
        }
        let captures = self.path.captures(&image.repository)?;
        Some(captures.get(1).map_or("", |part| part.as_str()).to_owned())
    }
}

impl fmt::Display for ImagePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.name.as_ref().map_or("*", Glob::text);
        f.write_str(name)?;
        for (key, operator, values) in &self.labels {
            let values: Vec<&str> = values.iter().map(String::as_str).collect();
            let values = values.join(", ");
            match operator {
                LabelOperator::In => write!(f, ", {key} in ({values})")?,
                LabelOperator::NotIn => write!(f, ", {key} not in ({values})")?,
                LabelOperator::Exists => write!(f, ", with {key}")?,
                LabelOperator::DoesNotExist => write!(f, ", without {key}")?,
            }
        }
        Ok(())
    }
}

/// A registry, or a repository path below it, by whole segments; canonical.
///
/// # Errors
/// A sentence.
pub fn allowed_registry(text: &str) -> Result<String, String> {
    if text.contains('*') {
        return Err("wildcards do not belong here: whole path segments are compared".to_owned());
    }
    let (host, path) = text.split_once('/').unwrap_or((text, ""));
    check_host(host)?;
    match path.trim_end_matches('/') {
        "" => Ok(host_key(host)),
        path if path.split('/').any(str::is_empty) => Err("a path segment is empty".to_owned()),
        path => Ok(format!("{}/{path}", host_key(host))),
    }
}

/// Whether `image` lies in one of `allowed`, which [`allowed_registry`] made.
#[must_use]
pub fn registry_allows(allowed: &[String], image: &Canonical) -> bool {
    let name = format!("{}/{}", host_key(&image.registry), image.repository);
    allowed.iter().any(|allowed| {
        name.strip_prefix(allowed.as_str())
            .is_some_and(|rest| rest.starts_with('/') || rest.is_empty())
    })
}

/// Host and path of a pattern. One segment on Docker Hub is an official image.
fn split(text: &str) -> Result<(String, String), String> {
    if text.len() > POLICY_PATTERN_BYTES_MAX {
        return Err(format!(
            "the pattern is longer than {POLICY_PATTERN_BYTES_MAX} bytes"
        ));
    }
    let (host, path) = text.split_once('/').unwrap_or((text, ""));
    check_host(host)?;
    if path.is_empty() || path.split('/').any(str::is_empty) {
        return Err("the pattern names no repository: write `/**` behind the host".to_owned());
    }
    if path.contains("***") || path.contains(['@', ':', ' ']) {
        return Err("a repository has no tag, digest, blank or `***`".to_owned());
    }
    let host = host_key(host);
    let official = host == DEFAULT_REGISTRY && !path.contains('/') && !path.contains("**");
    let path = match official {
        true => format!("library/{path}"),
        false => path.to_owned(),
    };
    Ok((host, path))
}

/// A first segment that is a host by the rule of image references, or a wildcard for one.
fn check_host(host: &str) -> Result<(), String> {
    let is_host = host.contains(['.', ':', '*']) || host == "localhost";
    match is_host && !host.contains(['@', ' ']) {
        true => Ok(()),
        false => Err(format!(
            "`{host}` is no host: write the registry, too, such as `docker.io`"
        )),
    }
}

fn place(text: &str, crossings: usize) -> Result<String, String> {
    let (host, path) = split(text)?;
    let name = format!("{host}/{path}");
    let used = path.matches("**").count();
    if host.contains('*') || path.replace("**", "").contains('*') || used > 1 {
        return Err("only one `**` may stand here, behind the host".to_owned());
    }
    if used == 1 && crossings != 1 {
        return Err("`**` needs exactly one `**` in `pattern` to stand for".to_owned());
    }
    Ok(name)
}

/// A host as connections see it.
fn host_key(host: &str) -> String {
    let host = host.to_ascii_lowercase();
    let host = match host.rsplit_once(':') {
        // `:0443` is the same port.
        Some((name, port)) if port.trim_start_matches('0') == "443" => name.to_owned(),
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => {
            format!("{name}:{}", port.trim_start_matches('0'))
        }
        _ => host,
    };
    let host = host.strip_suffix('.').unwrap_or(&host);
    match host {
        "index.docker.io" | "registry-1.docker.io" | "registry.hub.docker.com" => {
            DEFAULT_REGISTRY.to_owned()
        }
        other => other.to_owned(),
    }
}

/// An anchored expression; `**` captures.
fn translate(pattern: &str) -> String {
    let mut expression = r"\A".to_owned();
    for (index, part) in pattern.split("**").enumerate() {
        if index > 0 {
            expression.push_str("(.+)");
        }
        for (index, literal) in part.split('*').enumerate() {
            if index > 0 {
                expression.push_str("[^/]*");
            }
            expression.push_str(&regex::escape(literal));
        }
    }
    expression.push_str(r"\z");
    expression
}
