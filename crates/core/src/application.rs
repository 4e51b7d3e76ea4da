//! One Argo CD Application and the settings that apply to it, parsed.
//!
//! Here: from a manifest and its settings to values that cannot be wrong; the source is resolved
//! once, with the write-back target in mind, and path, repository, branch and format rest on it.
//! Not here: reading objects, registries or Git. Pure: equal inputs give equal Applications.

mod image;
mod parse;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::branch::BranchRule;
use crate::credential::CredentialSource;
use crate::image_updater::{Claim, ImageUpdaterId, convert};
use crate::manifest::{ApplicationManifest, Source};
use crate::notice::Notice;
use crate::path::RepoPath;
use crate::platform::Platform;
use crate::promotion::effective::Effective;
use crate::reference::{ConfiguredImage, Reference};
use crate::secret::masked_value;
use crate::select::Selection;
use crate::settings::own::CommitPer;
use crate::settings::{GitCredentialSource, Method, SettingError, annotations};
use crate::slot::in_manifest::ManifestSource;
use crate::slot::source::{AppType, Chosen, SourceType};
use crate::slot::target::{Target, TargetKind};
use crate::slot::{HelmNames, SlotImage, SourceImages};

/// `namespace/name`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ApplicationId {
    /// Namespace.
    pub namespace: String,
    /// Name.
    pub name: String,
}

impl fmt::Display for ApplicationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// Who says how an Application is followed.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum SettingsOrigin {
    /// Its own annotations, and nobody else.
    #[default]
    Annotations,
    /// An `ImageUpdater` that selects it.
    ImageUpdater(ImageUpdaterId),
    /// Its own annotations, because an `ImageUpdater` that selects it says so.
    AnnotationsBy(ImageUpdaterId),
}

impl SettingsOrigin {
    /// The `ImageUpdater` that selects the Application.
    #[must_use]
    pub const fn image_updater(&self) -> Option<&ImageUpdaterId> {
        match self {
            Self::Annotations => None,
            Self::ImageUpdater(id) | Self::AnnotationsBy(id) => Some(id),
        }
    }
}

impl fmt::Display for SettingsOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Annotations => f.write_str("annotations"),
            Self::ImageUpdater(id) => write!(f, "ImageUpdater {id}"),
            Self::AnnotationsBy(id) => write!(f, "annotations, by ImageUpdater {id}"),
        }
    }
}

/// An Application that is followed.
#[derive(Debug, Clone)]
pub struct Application {
    /// Its name.
    pub id: ApplicationId,
    /// Who says how it is followed.
    pub origin: SettingsOrigin,
    /// AppProject.
    pub project: String,
    /// Labels, for commit messages.
    pub labels: BTreeMap<String, String>,
    /// How it is changed.
    pub method: Method,
    /// The source that is written, and what can be written there.
    pub chosen: Chosen,
    /// `path` of the chosen source.
    pub source_path: String,
    /// What the chosen source says about images.
    pub source_images: SourceImages,
    /// Repository to write to.
    pub repository: String,
    /// Branch to read; `None`: the remote's default branch.
    pub base_branch: Option<String>,
    /// The branch rule as set; its template names the branch to push.
    pub branch: BranchRule,
    /// Files to write.
    pub target: Target,
    /// The source that is written in the Application's own manifest, where that is a file of
    /// `target`.
    pub manifest: Option<ManifestSource>,
    /// What runs, as far as Argo CD says so. A hint.
    pub running: Vec<Reference>,
    /// The images that can be followed.
    pub images: Vec<ImageRule>,
    /// The images that cannot, and why. The others are followed all the same.
    pub broken_images: Vec<BrokenImage>,
    /// How commits are cut.
    pub commit_per: CommitPer,
    /// How often it is looked at, where that is not as often as everything is.
    pub interval: Option<Duration>,
    /// The settings as written, in the order of their names; those of one image begin with its
    /// alias. There are thousands of Applications, and a map keeps room for more in each.
    pub written: Box<[(Box<str>, Box<str>)]>,
}

impl Application {
    /// The settings that apply to one of [`Application::images`], as written: what a replay needs.
    /// A password in a URL is left out.
    #[must_use]
    pub fn written_for(&self, position: usize) -> BTreeMap<String, String> {
        let alias = |rule: &ImageRule| rule.configured.alias.clone();
        let own = self.images.get(position).and_then(alias);
        let others: Vec<String> = self.images.iter().filter_map(alias).collect();
        let applies = |name: &str| {
            let of = |alias: &str| {
                name.strip_prefix(alias)
                    .is_some_and(|rest| rest.starts_with('.'))
            };
            own.as_deref().is_some_and(of) || !others.iter().any(|alias| of(alias))
        };
        let written = self.written.iter();
        written
            .filter(|(name, _)| applies(name))
            .map(|(name, value)| (name.to_string(), masked_value(value).into_owned()))
            .collect()
    }
}

/// One image of an Application and how it is followed.
#[derive(Debug, Clone)]
pub struct ImageRule {
    /// Alias, image and constraint.
    pub configured: ConfiguredImage,
    /// Which tag is best. The registry's `tagsortmode` is still to be filled in.
    pub selection: Arc<Selection>,
    /// The image counts even if it runs nowhere.
    pub force_update: bool,
    /// Credentials for the registry, where the Application names its own.
    pub pull_secret: Option<CredentialSource>,
    /// Where it is written.
    pub slot: SlotImage,
    /// What an `ImageUpdater` demands of its signatures, besides all policies.
    pub verification: Option<Arc<Effective>>,
}

/// An image whose own settings cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BrokenImage {
    /// Alias, where it has one.
    pub alias: Option<String>,
    /// As listed.
    pub image: String,
    /// Why.
    pub error: SettingError,
}

/// What parsing needs to know besides the manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Context {
    /// The namespace that Argo CD runs in.
    pub argocd_namespace: String,
    /// The platform that this program runs on.
    pub own_platform: Platform,
}

/// What a manifest says.
#[derive(Debug, Clone)]
pub struct Parsed {
    /// The Application, or the error that concerns all of it.
    pub application: Result<Application, SettingError>,
    /// What was ignored, renamed or repaired.
    pub notices: Vec<Notice>,
}

/// Parses an Application by its annotations. `None`: it asks for nothing and is not followed.
#[must_use]
pub fn parse_annotated(manifest: &ApplicationManifest, context: &Context) -> Option<Parsed> {
    let metadata = &manifest.metadata;
    let id = ApplicationId {
        namespace: metadata.namespace.clone(),
        name: metadata.name.clone(),
    };
    let annotated = annotations::read(&id.to_string(), &metadata.annotations)?;
    let mut notices = annotated.notices;
    let application = annotated.settings.and_then(|settings| {
        parse::Parser {
            holder: id.to_string(),
            id,
            origin: SettingsOrigin::Annotations,
            manifest,
            context,
            notices: &mut notices,
        }
        .application(&settings, convert::annotations_as_written(metadata))
    });
    Some(Parsed {
        application,
        notices,
    })
}

/// Parses an Application by the `ImageUpdater` that selects it. The answer is what the same
/// settings as annotations give.
#[must_use]
pub fn parse_claimed(
    manifest: &ApplicationManifest,
    claim: &Claim<'_>,
    context: &Context,
) -> Parsed {
    let metadata = &manifest.metadata;
    let id = ApplicationId {
        namespace: metadata.namespace.clone(),
        name: metadata.name.clone(),
    };
    let (updater, rule) = (claim.updater, claim.rule);
    let mut notices = Vec::new();
    let by_annotations = rule.reference.use_annotations;
    let settings = updater.settings(rule, manifest, &mut notices);
    let (holder, origin) = match by_annotations {
        true => (
            id.to_string(),
            SettingsOrigin::AnnotationsBy(updater.id.clone()),
        ),
        false => (
            updater.label(),
            SettingsOrigin::ImageUpdater(updater.id.clone()),
        ),
    };
    let application = settings.and_then(|settings| {
        let written = match by_annotations {
            true => convert::annotations_as_written(metadata),
            false => convert::as_written(&settings, updater, metadata),
        };
        parse::Parser {
            holder,
            id,
            origin,
            manifest,
            context,
            notices: &mut notices,
        }
        .application(&settings, written)
    });
    Parsed {
        application,
        notices,
    }
}

/// Where the manifest of an Application stands in Git.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManifestFile {
    /// The repository.
    pub repository: String,
    /// The branch; `None`: the remote's default branch.
    pub branch: Option<String>,
    /// The file.
    pub path: RepoPath,
}

impl Application {
    /// Turns a write to the Application itself into one to its manifest in Git. Whoever wrote that
    /// says which repository is written: not the source, which may be another one.
    pub fn write_to_manifest(
        &mut self,
        file: ManifestFile,
        manifest: &ApplicationManifest,
        argocd_namespace: &str,
    ) {
        self.method = Method::Git(GitCredentialSource::RepositorySettings);
        self.repository = file.repository;
        self.base_branch = file.branch;
        self.branch = BranchRule::default();
        self.target = Target {
            kind: TargetKind::Override,
            candidates: vec![file.path],
        };
        let source = self.chosen.source(&manifest.spec);
        let text = |of: fn(&Source) -> &String| source.map(of).cloned().unwrap_or_default();
        self.manifest = Some(ManifestSource {
            namespace: self.id.namespace.clone(),
            is_home: self.id.namespace == argocd_namespace,
            name: self.id.name.clone(),
            which: self.chosen.which,
            repository: text(|source| &source.repo_url),
            path: text(|source| &source.path),
            chart: text(|source| &source.chart),
        });
        if self.chosen.app_type.is_none() && self.chosen.source_type == SourceType::Unknown {
            self.chosen.source_type = self.type_by_settings(manifest);
            self.chosen.app_type = AppType::of(self.chosen.source_type, false);
        }
    }

    /// A manifest in Git has no status that says what the source is. Its blocks tell, or else what
    /// the settings of its images are for; the files of the source are of another repository.
    fn type_by_settings(&self, manifest: &ApplicationManifest) -> SourceType {
        let source = self.chosen.source(&manifest.spec);
        let has = |test: fn(&Source) -> bool| source.is_some_and(test);
        let mut slots = self.images.iter().map(|rule| &rule.slot);
        if has(|source| source.helm.is_some()) {
            SourceType::Helm
        } else if has(|source| source.kustomize.is_some()) {
            SourceType::Kustomize
        } else if has(|source| source.plugin.is_some()) {
            SourceType::Plugin
        } else if slots.any(|slot| slot.kustomize_name.is_some()) {
            SourceType::Kustomize
        } else if self
            .images
            .iter()
            .any(|rule| rule.slot.helm != HelmNames::default())
        {
            SourceType::Helm
        } else {
            SourceType::Directory
        }
    }

    /// Whether Argo CD has not said what the source is (manifests in Git have no status), so that
    /// the files at [`Application::source_path`] must.
    #[must_use]
    pub fn needs_source_type(&self) -> bool {
        self.chosen.app_type.is_none() && self.chosen.source_type == SourceType::Unknown
    }

    /// States what the source is, once its files were seen.
    pub fn set_source_type(&mut self, source_type: SourceType) {
        let git = matches!(self.method, Method::Git(_));
        self.chosen.source_type = source_type;
        self.chosen.app_type = AppType::of(source_type, git);
    }
}

/// What the names of the files in a source's folder say about its type, as Argo CD detects it.
#[must_use]
pub fn detect_source_type<'a>(file_names: impl IntoIterator<Item = &'a str>) -> SourceType {
    let mut found = SourceType::Directory;
    for name in file_names {
        match name {
            "Chart.yaml" => return SourceType::Helm,
            "kustomization.yaml" | "kustomization.yml" | "Kustomization" => {
                found = SourceType::Kustomize;
            }
            _ => {}
        }
    }
    found
}

/// The sources of a manifest, in their order.
fn sources(manifest: &ApplicationManifest) -> impl Iterator<Item = &Source> {
    let spec = &manifest.spec;
    let dry = spec
        .source_hydrator
        .as_ref()
        .map(|hydrator| &hydrator.dry_source);
    spec.sources.iter().chain(spec.source.as_ref()).chain(dry)
}

#[cfg(test)]
mod tests;
