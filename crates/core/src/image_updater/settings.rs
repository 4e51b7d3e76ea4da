//! What an Application is followed by, from the object that selects it: spec, reference and image,
//! each field by itself, each with the place it was written at.
//!
//! Where the reference says `useAnnotations` the annotations count alone, but for the signatures
//! that the spec demands and for the object's interval: those hold there, too. Our own settings are annotations under
//! `sealift.dev/`, of the object and of the Application; those of the Application win.

use std::sync::Arc;

use super::read::{ImageUpdater, Rule};
use super::spec::{CommonUpdateSettings, ImageConfig, WriteBackConfig};
use crate::limits::IMAGES_PER_APPLICATION_MAX;
use crate::manifest::ApplicationManifest;
use crate::notice::Notice;
use crate::promotion::cosign_key::ImagesVerification;
use crate::reason::Reason;
use crate::settings::own::{self, Own};
use crate::settings::{
    CommonSettings, HelmTarget, ImageSettings, PluginTarget, SettingError, SettingProblem,
    Settings, WriteBackSettings, Written, annotations,
};

impl ImageUpdater {
    /// What an Application is followed by under one of the references.
    ///
    /// # Errors
    /// A setting that concerns the whole Application cannot be used. Another reference does not
    /// take its place: it was not written for this Application.
    pub fn settings(
        &self,
        rule: &Rule,
        manifest: &ApplicationManifest,
        notices: &mut Vec<Notice>,
    ) -> Result<Settings, SettingError> {
        match rule.reference.use_annotations {
            true => self.by_annotations(rule, manifest, notices),
            false => self.by_reference(rule, manifest, notices),
        }
    }

    fn by_annotations(
        &self,
        rule: &Rule,
        manifest: &ApplicationManifest,
        notices: &mut Vec<Notice>,
    ) -> Result<Settings, SettingError> {
        let metadata = &manifest.metadata;
        let object = format!("{}/{}", metadata.namespace, metadata.name);
        let annotated = annotations::read(&object, &metadata.annotations);
        let missing = || SettingError {
            object: object.clone(),
            path: annotations::path(annotations::IMAGE_LIST),
            problem: SettingProblem::NoImage,
        };
        let annotated = annotated.ok_or_else(missing)?;
        notices.extend(annotated.notices);
        let mut settings = annotated.settings?;
        if settings.own.interval.is_none() {
            settings.own.interval = own::read_interval(&self.label(), &self.annotations)?;
        }
        let verification = self.verification(rule, None);
        for image in &mut settings.images {
            image.verification.clone_from(&verification);
        }
        Ok(settings)
    }

    fn by_reference(
        &self,
        rule: &Rule,
        manifest: &ApplicationManifest,
        notices: &mut Vec<Notice>,
    ) -> Result<Settings, SettingError> {
        let (reference, at) = (&rule.reference, rule.path());
        if reference.images.len() > IMAGES_PER_APPLICATION_MAX {
            return Err(SettingError {
                object: self.label(),
                path: format!("{at}.images").into(),
                problem: SettingProblem::TooManyImages(IMAGES_PER_APPLICATION_MAX),
            });
        }
        let metadata = &manifest.metadata;
        let object = format!("{}/{}", metadata.namespace, metadata.name);
        let listed = |alias: &str| reference.images.iter().any(|one| one.alias == alias);
        let over = own::read(&object, &metadata.annotations, &listed)?;
        let label = self.label();
        let below = own::read(&label, &self.annotations, &|alias| self.has_alias(alias))?;
        let common = common(reference.common_update_settings.as_ref(), &at);
        let common = common.over(self::common(self.common.as_ref(), "spec"));
        let images = (0_usize..).zip(&reference.images);
        let images = images.map(|(index, config)| {
            let mut image = image(config, &format!("{at}.images[{index}]"));
            image.own = own_of(&config.alias, &over, &below);
            image.error = over.image_errors.get(config.alias.as_str()).cloned();
            image.verification = self.verification(rule, Some((index, config)));
            image
        });
        let images: Vec<ImageSettings> = images.collect();
        Ok(Settings {
            common,
            write_back: self.write_back(rule, notices),
            images,
            own: over.application.over(&below.application),
        })
    }

    /// Where and how to write. Without a method anywhere nothing of it counts.
    fn write_back(&self, rule: &Rule, notices: &mut Vec<Notice>) -> WriteBackSettings {
        let at = rule.path();
        let merged = write_back(rule.reference.write_back_config.as_ref(), &at)
            .over(write_back(self.write_back.as_ref(), "spec"));
        if merged.method.is_some() {
            return merged.without_empty();
        }
        let texts = [&merged.repository, &merged.branch, &merged.target];
        let first = texts
            .into_iter()
            .flatten()
            .map(|written| &written.path)
            .next();
        let first = first.or(merged.pull_request.as_ref().map(|written| &written.path));
        if let Some(path) = first {
            let detail = format!(
                "{path}: without `method` the method is `argocd`, and `gitConfig` was ignored"
            );
            let notice = Notice::new(Reason::SettingUnused, detail);
            if !notices.contains(&notice) {
                notices.push(notice);
            }
        }
        WriteBackSettings::default()
    }

    /// The demand on signatures, and the deepest field that says something about it.
    fn verification(
        &self,
        rule: &Rule,
        image: Option<(usize, &ImageConfig)>,
    ) -> Option<Written<ImagesVerification>> {
        let at = rule.path();
        let of_image = image.and_then(|(_, config)| config.images_verification.as_ref());
        let levels = [
            self.verification.as_ref(),
            rule.reference.images_verification.as_ref(),
            of_image,
        ];
        let value = ImagesVerification::merged(levels)?;
        let place = match (image, levels) {
            (Some((index, _)), [_, _, Some(_)]) => format!("{at}.images[{index}]"),
            (_, [_, Some(_), _]) => at,
            _ => "spec".to_owned(),
        };
        Some(Written::new(value, format!("{place}.imagesVerification")))
    }
}

impl Rule {
    /// `spec.applicationRefs[0]`
    #[must_use]
    pub fn path(&self) -> String {
        format!("spec.applicationRefs[{}]", self.position)
    }
}

impl CommonSettings {
    /// These settings, and below them those of the level above, field by field.
    #[must_use]
    pub fn over(self, below: Self) -> Self {
        Self {
            update_strategy: self.update_strategy.or(below.update_strategy),
            force_update: self.force_update.or(below.force_update),
            allow_tags: self.allow_tags.or(below.allow_tags),
            ignore_tags: self.ignore_tags.or(below.ignore_tags),
            pull_secret: self.pull_secret.or(below.pull_secret),
            platforms: self.platforms.or(below.platforms),
        }
    }
}

impl WriteBackSettings {
    /// These settings, and below them those of the level above: texts one by one, a pull request
    /// as a whole.
    #[must_use]
    pub fn over(self, below: Self) -> Self {
        Self {
            method: self.method.or(below.method),
            repository: self.repository.or(below.repository),
            branch: self.branch.or(below.branch),
            target: self.target.or(below.target),
            pull_request: self.pull_request.or(below.pull_request),
        }
    }

    /// An empty text took the place of another one; it stands for the default.
    fn without_empty(self) -> Self {
        let there = |written: &Written<String>| !written.value.is_empty();
        Self {
            repository: self.repository.filter(there),
            branch: self.branch.filter(there),
            target: self.target.filter(there),
            ..self
        }
    }
}

/// One level of common settings, with the places.
#[must_use]
pub fn common(level: Option<&CommonUpdateSettings>, at: &str) -> CommonSettings {
    let Some(level) = level else {
        return CommonSettings::default();
    };
    let path = |name: &str| -> Arc<str> { format!("{at}.commonUpdateSettings.{name}").into() };
    let text = |value: &Option<String>, name: &str| {
        value.clone().map(|value| Written::new(value, path(name)))
    };
    let list = |value: &Option<Vec<String>>, name: &str| {
        value.clone().map(|value| Written::new(value, path(name)))
    };
    CommonSettings {
        update_strategy: text(&level.update_strategy, "updateStrategy"),
        force_update: level
            .force_update
            .map(|value| Written::new(value, path("forceUpdate"))),
        allow_tags: text(&level.allow_tags, "allowTags"),
        ignore_tags: list(&level.ignore_tags, "ignoreTags"),
        pull_secret: text(&level.pull_secret, "pullSecret"),
        platforms: list(&level.platforms, "platforms"),
    }
}

/// One level of write-back settings, with the places.
#[must_use]
pub fn write_back(level: Option<&WriteBackConfig>, at: &str) -> WriteBackSettings {
    let Some(level) = level else {
        return WriteBackSettings::default();
    };
    let at = format!("{at}.writeBackConfig");
    let method = level.method.clone();
    let git = level.git_config.clone().unwrap_or_default();
    let text = |value: Option<String>, name: &str| {
        value.map(|value| Written::new(value, format!("{at}.gitConfig.{name}")))
    };
    WriteBackSettings {
        method: method.map(|value| Written::new(value, format!("{at}.method"))),
        repository: text(git.repository, "repository"),
        branch: text(git.branch, "branch"),
        target: text(git.write_back_target, "writeBackTarget"),
        pull_request: git
            .pull_request
            .map(|value| Written::new(value, format!("{at}.gitConfig.pullRequest"))),
    }
}

/// One image, without our own settings and its signatures.
fn image(config: &ImageConfig, at: &str) -> ImageSettings {
    let targets = config.manifest_targets.clone().unwrap_or_default();
    let text = |value: Option<String>, name: &str| {
        let value = value.filter(|value| !value.is_empty())?;
        Some(Written::new(value, format!("{at}.manifestTargets.{name}")))
    };
    let helm = targets.helm.unwrap_or_default();
    let plugin = targets.plugin.unwrap_or_default();
    ImageSettings {
        alias: Some(config.alias.clone()),
        image: Written::new(config.image_name.clone(), format!("{at}.imageName")),
        common: common(config.common_update_settings.as_ref(), at),
        helm: HelmTarget {
            name: text(helm.name, "helm.name"),
            tag: text(helm.tag, "helm.tag"),
            spec: text(helm.spec, "helm.spec"),
        },
        kustomize_name: text(targets.kustomize.map(|one| one.name), "kustomize.name"),
        plugin: PluginTarget {
            name: text(plugin.name, "plugin.name"),
            tag: text(plugin.tag, "plugin.tag"),
            spec: text(plugin.spec, "plugin.spec"),
        },
        verification: None,
        own: own::OwnSettings::default(),
        error: None,
    }
}

fn own_of(alias: &str, over: &Own<'_>, below: &Own<'_>) -> own::OwnSettings {
    let of = |own: &Own<'_>| own.images.get(alias).cloned().unwrap_or_default();
    of(over).over(&of(below))
}
