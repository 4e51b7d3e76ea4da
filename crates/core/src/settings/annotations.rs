//! Settings from the annotations of an Application, in the grammar of Argo CD Image Updater.
//!
//! Values are trimmed; a text that is empty then counts as absent. `ignore-tags` is set by its
//! presence alone. Per-image keys belong to an alias, verbatim; an image without alias has none.
//! Keys that do not exist are ignored with a notice.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::keys::{PEER_APPLICATION, PEER_IMAGE, PEER_PREFIX, Subject, subject};
use super::own::{self, Own};
use super::{
    CommonSettings, HelmTarget, ImageSettings, PluginTarget, SettingError, SettingProblem,
    Settings, WriteBackSettings, Written, shown,
};
use crate::go_syntax;
use crate::limits;
use crate::notice::Notice;
use crate::reason::Reason;
use crate::reference::ConfiguredImageError;
use crate::secret::masked_value;

/// The annotation that makes an Application one that is followed.
pub const IMAGE_LIST: &str = "argocd-image-updater.argoproj.io/image-list";

/// What the annotations of one object say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Annotated {
    /// The settings, or the error that concerns the whole Application.
    pub settings: Result<Settings, SettingError>,
    /// What was ignored, renamed or repaired.
    pub notices: Vec<Notice>,
}

/// Reads the annotations of `object` (`namespace/name`). `None`: it is not to be followed.
#[must_use]
pub fn read(object: &str, annotations: &BTreeMap<String, String>) -> Option<Annotated> {
    let list = annotations.get(IMAGE_LIST)?;
    let items = match image_items(object, list) {
        Ok(items) => items,
        Err(error) => {
            return Some(Annotated {
                settings: Err(error),
                notices: Vec::new(),
            });
        }
    };
    let is_alias = |alias: &str| items.iter().any(|item| item.alias == Some(alias));
    let notices = unknown_keys(annotations, &is_alias);
    let reader = Reader {
        object,
        annotations,
    };
    let settings =
        own::read(object, annotations, &is_alias).and_then(|own| reader.settings(&items, &own));
    Some(Annotated { settings, notices })
}

/// `metadata.annotations["key"]`
pub(crate) fn path(annotation: &str) -> Arc<str> {
    format!("metadata.annotations[\"{annotation}\"]").into()
}

pub(super) fn error(object: &str, annotation: &str, problem: SettingProblem) -> SettingError {
    SettingError {
        object: object.to_owned(),
        path: path(annotation),
        problem,
    }
}

/// The annotations below a prefix.
pub(super) fn below<'a>(
    annotations: &'a BTreeMap<String, String>,
    prefix: &'static str,
) -> impl Iterator<Item = (&'a str, &'a str)> {
    annotations
        .range(prefix.to_owned()..)
        .take_while(move |(key, _)| key.starts_with(prefix))
        .map(|(key, value)| (key.as_str(), value.as_str()))
}

/// One item of the list of images: `[alias=]image`.
struct Item<'a> {
    alias: Option<&'a str>,
    image: &'a str,
    whole: &'a str,
}

fn image_items<'a>(object: &str, list: &'a str) -> Result<Vec<Item<'a>>, SettingError> {
    let refused = |problem| Err(error(object, IMAGE_LIST, problem));
    if list.len() > limits::ANNOTATION_BYTES_MAX {
        return refused(SettingProblem::TooLong(limits::ANNOTATION_BYTES_MAX));
    }
    let items: Vec<Item<'_>> = list
        .split(',')
        .map(str::trim)
        .filter(|item| !item.is_empty())
        .map(|whole| {
            let (alias, image) = match whole.split_once('=') {
                Some((alias, image)) => (Some(alias.trim()), image.trim()),
                None => (None, whole),
            };
            Item {
                alias: alias.filter(|alias| !alias.is_empty()),
                image,
                whole,
            }
        })
        .collect();
    if items.is_empty() {
        return refused(SettingProblem::NoImage);
    }
    if items.len() > limits::IMAGES_PER_APPLICATION_MAX {
        return refused(SettingProblem::TooManyImages(
            limits::IMAGES_PER_APPLICATION_MAX,
        ));
    }
    Ok(items)
}

fn unknown_keys(
    annotations: &BTreeMap<String, String>,
    is_alias: &dyn Fn(&str) -> bool,
) -> Vec<Notice> {
    let mut notices = Vec::new();
    for (annotation, value) in below(annotations, PEER_PREFIX) {
        let key = annotation.get(PEER_PREFIX.len()..).unwrap_or_default();
        let why = match subject(key, PEER_APPLICATION, PEER_IMAGE) {
            Subject::Application => continue,
            Subject::Image(alias) if is_alias(alias) => continue,
            Subject::Image(alias) => format!("no image has the alias `{}`", shown(alias)),
            Subject::Unknown(Some(nearest)) => {
                format!("there is no such setting; did you mean `{PEER_PREFIX}{nearest}`?")
            }
            Subject::Unknown(None) => "there is no such setting".to_owned(),
        };
        let detail = format!(
            "{}: `{}` was ignored: {why}",
            path(annotation),
            shown(&masked_value(value))
        );
        notices.push(Notice::new(Reason::UnknownSetting, detail));
    }
    notices
}

/// Looks single values up.
struct Reader<'a> {
    object: &'a str,
    annotations: &'a BTreeMap<String, String>,
}

impl Reader<'_> {
    fn settings(&self, items: &[Item<'_>], own: &Own<'_>) -> Result<Settings, SettingError> {
        let images = items.iter().map(|item| self.image(item, own)).collect();
        Ok(Settings {
            common: CommonSettings {
                platforms: None,
                ..self.common("")?
            },
            write_back: WriteBackSettings {
                method: self.text("", "write-back-method"),
                repository: self.text("", "git-repository"),
                branch: self.text("", "git-branch"),
                target: self.text("", "write-back-target"),
                pull_request: None,
            },
            images,
            own: own.application.clone(),
        })
    }

    fn image(&self, item: &Item<'_>, own: &Own<'_>) -> ImageSettings {
        let mut image = ImageSettings {
            alias: item.alias.map(str::to_owned),
            image: Written::new(item.image.to_owned(), path(IMAGE_LIST)),
            common: CommonSettings::default(),
            helm: HelmTarget::default(),
            kustomize_name: None,
            plugin: PluginTarget::default(),
            verification: None,
            own: own::OwnSettings::default(),
            error: None,
        };
        if item.image.is_empty() {
            let problem = ConfiguredImageError::Empty(shown(item.whole));
            image.error = Some(error(self.object, IMAGE_LIST, problem.into()));
            return image;
        }
        let Some(alias) = item.alias else {
            return image;
        };
        let before = format!("{alias}.");
        match self.common(&before) {
            Ok(common) => image.common = common,
            Err(error) => image.error = Some(error),
        }
        image.helm = HelmTarget {
            name: self.text(&before, "helm.image-name"),
            tag: self.text(&before, "helm.image-tag"),
            spec: self.text(&before, "helm.image-spec"),
        };
        image.kustomize_name = self.text(&before, "kustomize.image-name");
        if let Some(name) = image
            .kustomize_name
            .as_ref()
            .filter(|_| image.helm.is_set())
        {
            image.error.get_or_insert_with(|| SettingError {
                object: self.object.to_owned(),
                path: Arc::clone(&name.path),
                problem: SettingProblem::HelmAndKustomize(shown(alias)),
            });
        }
        image.own = own.images.get(alias).cloned().unwrap_or_default();
        if let Some(error) = own.image_errors.get(alias) {
            image.error.get_or_insert_with(|| error.clone());
        }
        image
    }

    /// The settings that exist for Applications and images; `before` is empty or `<alias>.`.
    fn common(&self, before: &str) -> Result<CommonSettings, SettingError> {
        Ok(CommonSettings {
            update_strategy: self.text(before, "update-strategy"),
            force_update: self.boolean(before, "force-update")?,
            allow_tags: self.text(before, "allow-tags"),
            ignore_tags: self.value(before, "ignore-tags").map(|list| {
                let items = list.value.split(',').map(|item| item.trim().to_owned());
                Written::new(items.collect(), list.path)
            }),
            pull_secret: self.text(before, "pull-secret"),
            platforms: self.text(before, "platforms").map(|list| {
                let items = list
                    .value
                    .split(',')
                    .map(str::trim)
                    .filter(|item| !item.is_empty());
                Written::new(items.map(str::to_owned).collect(), list.path)
            }),
        })
    }

    fn value(&self, before: &str, name: &str) -> Option<Written<&str>> {
        let annotation = format!("{PEER_PREFIX}{before}{name}");
        let value = self.annotations.get(&annotation)?;
        Some(Written::new(value.trim(), path(&annotation)))
    }

    fn text(&self, before: &str, name: &str) -> Option<Written<String>> {
        let text = self
            .value(before, name)
            .filter(|text| !text.value.is_empty())?;
        Some(Written::new(text.value.to_owned(), text.path))
    }

    fn boolean(&self, before: &str, name: &str) -> Result<Option<Written<bool>>, SettingError> {
        let Some(text) = self.value(before, name) else {
            return Ok(None);
        };
        match go_syntax::boolean(text.value) {
            Some(value) => Ok(Some(Written::new(value, text.path))),
            None => Err(SettingError {
                object: self.object.to_owned(),
                path: text.path,
                problem: SettingProblem::Boolean(shown(text.value)),
            }),
        }
    }
}

#[cfg(test)]
mod tests;
