//! Branch rules: which branch is read, and which one is pushed.
//!
//! `base`, `base:template` or `:template`. Here: the grammar, and the name that a template gives.
//! Not here: whether Git allows the name, and what the branch holds. Specification: the
//! `git-branch` setting of Argo CD Image Updater.
//!
//! A template knows `.Images` (each `.Name`, `.Alias`, `.OldTag`, `.NewTag`, and of our own
//! `.FullName` with the registry), `.SHA256`, `.TargetKey`, `.AppName`, `.AppNamespace`, and of our
//! own `.Application` and `.Namespace`.

use crate::digest::Digest;
use crate::limits;
use crate::reason::Reason;
use crate::template::{Template, TemplateError, Value};

/// A parsed branch rule.
#[derive(Debug, Clone, Default)]
pub struct BranchRule {
    /// What is read; `None`: the target revision of the source.
    pub base: Option<String>,
    /// Names what is pushed; `None`: what is read.
    pub push: Option<Template>,
}

/// Why a branch rule is none, or names nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BranchError {
    /// More than one `:`.
    #[error("`{0}` is not a branch rule: expected `base`, `base:template` or `:template`")]
    Malformed(String),
    /// The template cannot be read or rendered.
    #[error("the name of the branch to push cannot be made; nothing was pushed")]
    Template(#[from] TemplateError),
    /// The template renders nothing.
    #[error("the template `{0}` gives an empty branch name; nothing was pushed")]
    Empty(String),
}

impl BranchError {
    /// The stable reason.
    #[must_use]
    pub const fn reason(&self) -> Reason {
        match self {
            Self::Malformed(_) => Reason::SettingInvalid,
            Self::Template(_) => Reason::TemplateInvalid,
            Self::Empty(_) => Reason::BranchInvalid,
        }
    }
}

/// One change, as branch templates see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BranchChange<'a> {
    /// Name without registry.
    pub name: &'a str,
    /// Name with the registry, as far as it was written.
    pub full_name: &'a str,
    /// Alias, or empty.
    pub alias: &'a str,
    /// Digest or tag before.
    pub old_tag: &'a str,
    /// Digest or tag after.
    pub new_tag: &'a str,
}

/// What branch templates see.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BranchData<'a> {
    /// In image order.
    pub changes: Vec<BranchChange<'a>>,
    /// `.TargetKey`: empty but for pull requests.
    pub target_key: &'a str,
    /// `.AppName`: empty but for pull requests.
    pub pull_request_application: &'a str,
    /// `.AppNamespace`: empty but for pull requests.
    pub pull_request_namespace: &'a str,
    /// `.Application`
    pub application: &'a str,
    /// `.Namespace`
    pub namespace: &'a str,
}

impl BranchRule {
    /// Reads a rule. Blanks around it do not count; an empty one is the default rule.
    ///
    /// # Errors
    /// [`BranchError`]: more than one `:`, an empty template, or a template that cannot be read.
    pub fn parse(text: &str) -> Result<Self, BranchError> {
        let text = text.trim();
        let (base, template) = match text.split_once(':') {
            Some((_, template)) if template.contains(':') => {
                return Err(BranchError::Malformed(text.chars().take(200).collect()));
            }
            Some((_, "")) => return Err(BranchError::Empty(String::new())),
            Some((base, template)) => (base, Some(Template::parse(template)?)),
            None => (text, None),
        };
        let base = Some(base.trim()).filter(|base| !base.is_empty());
        Ok(Self {
            base: base.map(str::to_owned),
            push: template,
        })
    }
}

/// The name that a template gives, at most [`limits::BRANCH_BYTES_MAX`] bytes of it.
///
/// # Errors
/// [`BranchError::Template`], [`BranchError::Empty`].
pub fn branch_name(template: &Template, data: &BranchData<'_>) -> Result<String, BranchError> {
    let mut name = template.render(&template_data(data))?;
    let mut end = name.len().min(limits::BRANCH_BYTES_MAX);
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    name.truncate(end);
    if name.is_empty() {
        return Err(BranchError::Empty(
            template.text().chars().take(200).collect(),
        ));
    }
    Ok(name)
}

/// `.SHA256`: over `<name>-<old>-<new>,` of each change.
fn changes_hash(changes: &[BranchChange<'_>]) -> String {
    let mut text = String::new();
    for change in changes {
        text.push_str(&format!(
            "{}-{}-{},",
            change.name, change.old_tag, change.new_tag
        ));
    }
    Digest::of(text.as_bytes()).hex()
}

/// `.TargetKey` of pull requests: 8 hex characters over repository, configured branch and target.
#[must_use]
pub fn target_key(repository: &str, configured_branch: &str, target: &str) -> String {
    let text = format!("{repository}|{configured_branch}|{target}");
    Digest::of(text.as_bytes()).hex().chars().take(8).collect()
}

fn template_data(data: &BranchData<'_>) -> Value {
    let images = data.changes.iter().map(|change| {
        Value::record(
            [
                ("Name", Value::text(change.name)),
                ("Alias", Value::text(change.alias)),
                ("OldTag", Value::text(change.old_tag)),
                ("NewTag", Value::text(change.new_tag)),
            ],
            [("FullName", Value::text(change.full_name))],
        )
    });
    Value::record(
        [
            ("Images", Value::List(images.collect())),
            ("SHA256", Value::text(&changes_hash(&data.changes))),
            ("TargetKey", Value::text(data.target_key)),
            ("AppName", Value::text(data.pull_request_application)),
            ("AppNamespace", Value::text(data.pull_request_namespace)),
        ],
        [
            ("Application", Value::text(data.application)),
            ("Namespace", Value::text(data.namespace)),
        ],
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn data() -> BranchData<'static> {
        BranchData {
            changes: vec![BranchChange {
                name: "foo/bar",
                full_name: "ghcr.io/foo/bar",
                alias: "bar",
                old_tag: "1.0",
                new_tag: "1.1",
            }],
            application: "shop",
            ..BranchData::default()
        }
    }

    fn name(text: &str) -> Result<String, BranchError> {
        branch_name(&BranchRule::parse(text)?.push.unwrap(), &data())
    }

    #[test]
    fn the_three_forms_are_read() {
        let rule = BranchRule::parse(" main ").unwrap();
        assert_eq!(
            (rule.base.as_deref(), rule.push.is_none()),
            (Some("main"), true)
        );
        let rule = BranchRule::parse("main:x").unwrap();
        assert_eq!(
            (rule.base.as_deref(), rule.push.is_some()),
            (Some("main"), true)
        );
        let rule = BranchRule::parse(":x").unwrap();
        assert_eq!((rule.base, rule.push.is_some()), (None, true));
        let rule = BranchRule::parse("").unwrap();
        assert_eq!((rule.base, rule.push.is_none()), (None, true));
    }

    #[test]
    fn what_names_no_branch_is_refused() {
        for (text, reason) in [
            ("a:b:c", Reason::SettingInvalid),
            ("a:", Reason::BranchInvalid),
            (":{{", Reason::TemplateInvalid),
            (":{{.Foo}}", Reason::TemplateInvalid),
            (":{{range .Images}}{{end}}", Reason::BranchInvalid),
        ] {
            assert_eq!(name(text).unwrap_err().reason(), reason, "{text}");
        }
    }

    #[test]
    fn a_name_holds_what_the_template_asks_for() {
        assert_eq!(
            name(":u{{range .Images}}-{{.Name}}-{{.NewTag}}-{{.FullName}}{{end}}{{.AppName}}"),
            Ok("u-foo/bar-1.1-ghcr.io/foo/bar".to_owned())
        );
        assert_eq!(
            name(":image-updater-{{.SHA256}}").as_deref(),
            Ok("image-updater-0fcc2782543e4bb067c174c21bf44eb947f3e55c0d62c403e359c1c209cbd041")
        );
        assert_eq!(name(":{{.Application}}").as_deref(), Ok("shop"));
    }

    /// C38.
    #[test]
    fn a_long_name_is_cut_between_characters() {
        let long = name(&format!(":{}", "é".repeat(200))).unwrap();
        assert_eq!(long, "é".repeat(127));
    }
}
