//! Our own settings, as annotations under `sealift.dev/`. Strict: what cannot be read is an error.
//!
//! | key behind `sealift.dev/` | value | meaning |
//! |---|---|---|
//! | `update-strategy`, `<alias>.update-strategy` | `semver`, `newest-build`, `digest`, `alphabetical`, `numeric`, `calver` | replaces the `update-strategy` of Argo CD Image Updater |
//! | `extract`, `<alias>.extract` | a regular expression with one group `version` | what of a tag is compared |
//! | `allow-downgrade`, `<alias>.allow-downgrade` | `true`, `false` | a lower tag than Git holds may be written |
//! | `<alias>.helm.image-digest` | a key of Helm values | takes the digest by itself |
//! | `commit-per` | `application`, `branch` | one commit each; `application` is the default |
//! | `interval` | `90s`, `1h30m` | how often it is looked at, in place of `--interval` |
//!
//! A setting of an alias replaces the one of the Application.

use std::collections::BTreeMap;
use std::time::Duration;

use super::keys::{OWN_APPLICATION, OWN_IMAGE, OWN_PREFIX, Subject, subject};
use super::{SettingError, SettingProblem, Written, annotations, shown};
use crate::extract::Extract;
use crate::go_syntax;
use crate::limits::{INTERVAL_SECS_MAX, INTERVAL_SECS_MIN};
use crate::strategy::Strategy;

/// What is set, for the Application or for one image.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OwnSettings {
    /// Replaces the strategy of the common settings.
    pub update_strategy: Option<Strategy>,
    /// What of a tag is compared.
    pub extract: Option<Extract>,
    /// Whether a lower tag may be written.
    pub allow_downgrade: Option<bool>,
    /// Key of Helm values for the digest. Images only.
    pub helm_digest: Option<Written<String>>,
    /// How commits are cut. Applications only.
    pub commit_per: Option<CommitPer>,
    /// Time from one look to the next. Applications only.
    pub interval: Option<Duration>,
}

/// How many commits a push has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CommitPer {
    /// One for each Application.
    #[default]
    Application,
    /// One for all Applications that ask for this on one branch.
    Branch,
}

/// Our settings of one object: those of the Application, and those of each alias with their error.
#[derive(Debug, Default)]
pub(crate) struct Own<'a> {
    pub(crate) application: OwnSettings,
    pub(crate) images: BTreeMap<&'a str, OwnSettings>,
    pub(crate) image_errors: BTreeMap<&'a str, SettingError>,
}

impl OwnSettings {
    /// These settings, and below them those of another place.
    #[must_use]
    pub fn over(&self, below: &Self) -> Self {
        Self {
            update_strategy: self.update_strategy.or(below.update_strategy),
            extract: self.extract.as_ref().or(below.extract.as_ref()).cloned(),
            allow_downgrade: self.allow_downgrade.or(below.allow_downgrade),
            helm_digest: self
                .helm_digest
                .as_ref()
                .or(below.helm_digest.as_ref())
                .cloned(),
            commit_per: self.commit_per.or(below.commit_per),
            interval: self.interval.or(below.interval),
        }
    }
}

/// Reads the annotations under [`OWN_PREFIX`].
///
/// # Errors
/// The first setting of the Application that cannot be used, or a key that is about nothing.
pub(crate) fn read<'a>(
    object: &str,
    annotations: &'a BTreeMap<String, String>,
    is_alias: &dyn Fn(&str) -> bool,
) -> Result<Own<'a>, SettingError> {
    let mut own = Own::default();
    for (annotation, value) in annotations::below(annotations, OWN_PREFIX) {
        let key = annotation.get(OWN_PREFIX.len()..).unwrap_or_default();
        let error = |problem| annotations::error(object, annotation, problem);
        match subject(key, OWN_APPLICATION, OWN_IMAGE) {
            Subject::Application => {
                set(&mut own.application, key, annotation, value).map_err(error)?;
            }
            Subject::Image(alias) if is_alias(alias) => {
                let name = key.get(alias.len() + 1..).unwrap_or_default();
                let settings = own.images.entry(alias).or_default();
                if let Err(problem) = set(settings, name, annotation, value) {
                    own.image_errors
                        .entry(alias)
                        .or_insert_with(|| error(problem));
                }
            }
            Subject::Image(alias) => {
                return Err(error(SettingProblem::UnknownAlias(shown(alias))));
            }
            Subject::Unknown(nearest) => return Err(error(SettingProblem::UnknownOwn { nearest })),
        }
    }
    Ok(own)
}

fn set(
    settings: &mut OwnSettings,
    name: &str,
    annotation: &str,
    value: &str,
) -> Result<(), SettingProblem> {
    let one_of = |expected| SettingProblem::OneOf {
        value: shown(value),
        expected,
    };
    match name {
        "update-strategy" => settings.update_strategy = Some(Strategy::parse_strict(value)?),
        "extract" => settings.extract = Some(Extract::parse(value)?),
        "allow-downgrade" => {
            settings.allow_downgrade = Some(match value {
                "true" => true,
                "false" => false,
                _ => return Err(one_of("`true`, `false`")),
            });
        }
        "helm.image-digest" if value.trim().is_empty() => {
            return Err(one_of("the keys of Helm values"));
        }
        "helm.image-digest" => {
            let path = annotations::path(annotation);
            settings.helm_digest = Some(Written::new(value.trim().to_owned(), path));
        }
        "commit-per" => {
            settings.commit_per = Some(match value {
                "application" => CommitPer::Application,
                "branch" => CommitPer::Branch,
                _ => return Err(one_of("`application`, `branch`")),
            });
        }
        "interval" => settings.interval = Some(interval(value)?),
        _ => return Err(SettingProblem::UnknownOwn { nearest: None }),
    }
    Ok(())
}

/// The interval alone, of an object whose other settings do not count.
///
/// # Errors
/// It is none, or one outside the bounds.
pub(crate) fn read_interval(
    object: &str,
    annotations: &BTreeMap<String, String>,
) -> Result<Option<Duration>, SettingError> {
    let annotation = format!("{OWN_PREFIX}interval");
    let value = annotations.get(&annotation);
    let read = value.map(|value| interval(value)).transpose();
    read.map_err(|problem| annotations::error(object, &annotation, problem))
}

/// A span of time as Go writes it, with its unit, within our bounds.
fn interval(text: &str) -> Result<Duration, SettingProblem> {
    let nanoseconds = go_syntax::duration_ns(text).and_then(|ns| u64::try_from(ns).ok());
    let span = nanoseconds.map(Duration::from_nanos);
    let bounds = Duration::from_secs(INTERVAL_SECS_MIN)..=Duration::from_secs(INTERVAL_SECS_MAX);
    let span = span.filter(|span| bounds.contains(span));
    span.ok_or_else(|| SettingProblem::Interval {
        value: shown(text),
        min: go_syntax::duration_text(*bounds.start()),
        max: go_syntax::duration_text(*bounds.end()),
    })
}
