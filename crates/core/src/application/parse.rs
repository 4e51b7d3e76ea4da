//! From settings to an [`Application`]: source, target, repository and branch.

use std::collections::BTreeMap;

use super::image::Holder;
use super::{Application, ApplicationId, BrokenImage, Context, SettingsOrigin, image, sources};
use crate::branch::BranchRule;
use crate::image_updater::spec::PullRequest;
use crate::manifest::{ApplicationManifest, Source};
use crate::notice::Notice;
use crate::reference::Reference;
use crate::settings::annotations::IMAGE_LIST;
use crate::settings::{Method, SettingError, SettingProblem, Settings, Written};
use crate::slot::SourceImages;
use crate::slot::source::{self, Chosen, SourceType, Sources};
use crate::slot::target::{TargetOwner, TargetSetting};

/// Everything that parsing one Application looks at.
pub(super) struct Parser<'a> {
    /// The object that holds the settings, for messages.
    pub(super) holder: String,
    pub(super) id: ApplicationId,
    pub(super) origin: SettingsOrigin,
    pub(super) manifest: &'a ApplicationManifest,
    pub(super) context: &'a Context,
    pub(super) notices: &'a mut Vec<Notice>,
}

impl Parser<'_> {
    pub(super) fn application(
        mut self,
        settings: &Settings,
        written_settings: BTreeMap<String, String>,
    ) -> Result<Application, SettingError> {
        let write_back = &settings.write_back;
        let method = self.method(write_back.method.as_ref())?;
        self.no_pull_request(&method, write_back.pull_request.as_ref())?;
        let target = self.typed(write_back.target.as_ref(), |text| {
            TargetSetting::parse(Some(text))
        });
        let target = target?.unwrap_or(TargetSetting::OverrideFile);
        let chosen = self.choose(&target, &method);
        let chosen_source = chosen.source(&self.manifest.spec);
        let source = chosen_source.ok_or_else(|| self.error(None, SettingProblem::NoSource))?;
        let branch = self.typed(write_back.branch.as_ref(), BranchRule::parse)?;
        let branch = branch.unwrap_or_default();
        let written = write_back
            .repository
            .as_ref()
            .map(|written| written.value.as_str());
        let repository_source = self.repository_source(source, written);
        let repository = written.unwrap_or(&repository_source.repo_url).to_owned();
        let base_branch = branch.base.clone().or_else(|| revision(repository_source));
        let owner = TargetOwner {
            application: &self.id.name,
            namespace: &self.id.namespace,
            argocd_namespace: &self.context.argocd_namespace,
            source_path: &source.path,
        };
        let target = target.resolve(&owner);
        let target = target.map_err(|problem| {
            self.error(
                write_back.target.as_ref().map(|written| &*written.path),
                problem.into(),
            )
        })?;
        let (images, broken_images) = self.images(settings);
        let slots = images.iter().map(|rule| &rule.slot);
        Ok(Application {
            project: self.manifest.spec.project.clone(),
            labels: self.manifest.metadata.labels.clone(),
            source_path: source.path.clone(),
            source_images: SourceImages::of(source, slots),
            running: running(self.manifest),
            commit_per: settings.own.commit_per.unwrap_or_default(),
            interval: settings.own.interval,
            written: boxed(written_settings),
            id: self.id,
            origin: self.origin,
            method,
            chosen,
            repository,
            base_branch,
            branch,
            target,
            manifest: None,
            images,
            broken_images,
        })
    }

    fn images(&mut self, settings: &Settings) -> (Vec<super::ImageRule>, Vec<BrokenImage>) {
        let (mut images, mut broken) = (Vec::new(), Vec::new());
        for written in &settings.images {
            let holder = Holder {
                id: &self.id,
                object: &self.holder,
            };
            match image::rule(&holder, self.context, settings, written, self.notices) {
                Ok(rule) => images.push(rule),
                Err(error) => broken.push(BrokenImage {
                    alias: written.alias.clone(),
                    image: written.image.value.clone(),
                    error,
                }),
            }
        }
        // There are as many as Applications have images: what `push` reserved beyond them adds up.
        images.shrink_to_fit();
        (images, broken)
    }

    /// A pull request is asked for so that nothing is pushed without one.
    fn no_pull_request(
        &self,
        method: &Method,
        written: Option<&Written<PullRequest>>,
    ) -> Result<(), SettingError> {
        match (method, written) {
            (Method::Git(_), Some(written)) => {
                Err(self.error(Some(&written.path), SettingProblem::PullRequest))
            }
            (Method::ArgoCd, _) | (_, None) => Ok(()),
        }
    }

    fn method(&self, written: Option<&Written<String>>) -> Result<Method, SettingError> {
        let method = self.typed(written, |text| {
            let method = Method::parse(text)?;
            if let Method::Git(credentials) = &method {
                credentials.permit(&self.id.namespace)?;
            }
            Ok::<_, crate::settings::MethodError>(method)
        });
        Ok(method?.unwrap_or_default())
    }

    /// Chooses the source, where Argo CD has not said its type by what the manifest says.
    fn choose(&self, target: &TargetSetting, method: &Method) -> Chosen {
        let spec = &self.manifest.spec;
        let mut sources = Sources::of(spec, &self.manifest.status);
        if sources.status_type == SourceType::Unknown {
            let only = spec.source.as_ref();
            sources.status_type = only.map_or(SourceType::Unknown, written_type);
        }
        if sources.status_types.is_empty() {
            sources.status_types = spec.sources.iter().map(written_type).collect();
        }
        let git = matches!(method, Method::Git(_));
        let mut chosen = source::choose(&sources, target.kind(), git);
        let nobody_says = sources
            .status_types
            .iter()
            .all(|kind| *kind == SourceType::Unknown);
        if chosen.source_type == SourceType::Directory && !spec.sources.is_empty() && nobody_says {
            chosen.source_type = SourceType::Unknown;
        }
        chosen
    }

    /// The source that gives repository and revision: of several the one with the repository that
    /// is set; for a chart the one whose files it refers to; else the chosen one.
    fn repository_source<'s>(&'s self, chosen: &'s Source, repository: Option<&str>) -> &'s Source {
        if let Some(repository) = repository {
            let mut all = sources(self.manifest);
            return all
                .find(|source| source.repo_url == repository)
                .unwrap_or(chosen);
        }
        let referred = || {
            let files = chosen.helm.iter().flat_map(|helm| &helm.value_files);
            let mut names = files.filter_map(|file| file.strip_prefix('$')?.split('/').next());
            names.find_map(|name| sources(self.manifest).find(|source| source.reference == name))
        };
        if chosen.chart.is_empty() {
            chosen
        } else {
            referred().unwrap_or(chosen)
        }
    }

    fn typed<T, E: Into<SettingProblem>>(
        &self,
        written: Option<&Written<String>>,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Result<Option<T>, SettingError> {
        written
            .map(|written| {
                parse(&written.value)
                    .map_err(|problem| self.error(Some(&written.path), problem.into()))
            })
            .transpose()
    }

    fn error(&self, path: Option<&str>, problem: SettingProblem) -> SettingError {
        let path = match (path, &problem) {
            (Some(path), _) => path.into(),
            (None, SettingProblem::NoSource) => "spec.source".into(),
            (None, _) => format!("metadata.annotations[\"{IMAGE_LIST}\"]").into(),
        };
        let object = match &problem {
            SettingProblem::NoSource => self.id.to_string(),
            _ => self.holder.clone(),
        };
        SettingError {
            object,
            path,
            problem,
        }
    }
}

/// What a source says about its own type.
fn written_type(source: &Source) -> SourceType {
    if source.helm.is_some() || !source.chart.is_empty() {
        SourceType::Helm
    } else if source.kustomize.is_some() {
        SourceType::Kustomize
    } else if source.plugin.is_some() {
        SourceType::Plugin
    } else {
        SourceType::Unknown
    }
}

/// The target revision as a branch. Chart versions are none.
fn revision(source: &Source) -> Option<String> {
    let revision = source.target_revision.trim();
    let is_branch = source.chart.is_empty() && !revision.is_empty() && revision != "HEAD";
    is_branch.then(|| revision.to_owned())
}

fn running(manifest: &ApplicationManifest) -> Vec<Reference> {
    let images = manifest.status.summary.images.iter();
    images
        .map(|text| Reference::parse_aliased(text).1)
        .collect()
}

fn boxed(settings: BTreeMap<String, String>) -> Box<[(Box<str>, Box<str>)]> {
    let pairs = settings.into_iter();
    pairs
        .map(|(name, value)| (name.into_boxed_str(), value.into_boxed_str()))
        .collect()
}
