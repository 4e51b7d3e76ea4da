//! `write-back-target`: from the setting to a file.
//!
//! Two steps, because the source of a multi-source Application is chosen with the target in mind,
//! and the path is resolved against the chosen source: [`TargetSetting::parse`], then
//! [`super::source::choose`], then [`TargetSetting::resolve`].

use super::error::TargetError;
use super::source::AppType;
use super::{Format, SlotImage};
use crate::path::RepoPath;

/// The names that kustomize reads, in its order.
pub const KUSTOMIZATION_NAMES: [&str; 3] =
    ["kustomization.yaml", "kustomization.yml", "Kustomization"];
/// How override files begin.
const OVERRIDE_PREFIX: &str = ".argocd-source-";

/// The setting, parsed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TargetSetting {
    /// Absent: the override file of the Application.
    OverrideFile,
    /// `kustomization[:folder]`
    Kustomization(String),
    /// `helmvalues[:file]`
    HelmValues(String),
    /// Any other text: a file from the root of the repository.
    File(String),
}

/// What is written, before it is known which files exist.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TargetKind {
    /// An override file.
    Override,
    /// A kustomization.
    Kustomization,
    /// A Helm values file.
    HelmValues,
}

/// Who the target is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TargetOwner<'a> {
    /// Name of the Application.
    pub application: &'a str,
    /// Its namespace; empty where unknown.
    pub namespace: &'a str,
    /// The namespace that Argo CD runs in.
    pub argocd_namespace: &'a str,
    /// `path` of the chosen source.
    pub source_path: &'a str,
}

/// The target of one Application.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// What is written.
    pub kind: TargetKind,
    /// Files to look for; the first that exists is the target. One, but for kustomizations.
    pub candidates: Vec<RepoPath>,
}

impl TargetSetting {
    /// Reads the setting. Keywords are exact: `kustomization.yaml` is not `kustomization:`.
    ///
    /// # Errors
    /// [`TargetError::LooksLikeKustomization`].
    pub fn parse(setting: Option<&str>) -> Result<Self, TargetError> {
        let Some(text) = setting.filter(|text| !text.is_empty()) else {
            return Ok(Self::OverrideFile);
        };
        let (keyword, rest) = match text.split_once(':') {
            Some((keyword, rest)) => (keyword, Some(rest)),
            None => (text, None),
        };
        match (keyword, rest) {
            ("kustomization", rest) => Ok(Self::Kustomization(rest.unwrap_or(".").to_owned())),
            ("helmvalues", rest) => Ok(Self::HelmValues(rest.unwrap_or("values.yaml").to_owned())),
            _ if KUSTOMIZATION_NAMES.contains(&file_name(text)) => {
                Err(TargetError::LooksLikeKustomization(text.to_owned()))
            }
            _ => Ok(Self::File(text.to_owned())),
        }
    }

    /// What is written. A file that is named as it is holds Helm values when it ends in `.yaml` or
    /// `.yml`, unless it is named like an override file.
    #[must_use]
    pub fn kind(&self) -> TargetKind {
        match self {
            Self::OverrideFile => TargetKind::Override,
            Self::Kustomization(_) => TargetKind::Kustomization,
            Self::HelmValues(_) => TargetKind::HelmValues,
            Self::File(path) => {
                let name = file_name(path);
                let yaml = name.ends_with(".yaml") || name.ends_with(".yml");
                if yaml && !name.starts_with(OVERRIDE_PREFIX) {
                    TargetKind::HelmValues
                } else {
                    TargetKind::Override
                }
            }
        }
    }

    /// Finds the files that are meant.
    ///
    /// # Errors
    /// [`TargetError::Path`]: it leaves the repository, or is no path for a file.
    pub fn resolve(&self, owner: &TargetOwner<'_>) -> Result<Target, TargetError> {
        let join = |base: &str, path: &str| {
            RepoPath::join(base, path).map_err(|source| TargetError::Path {
                target: path.to_owned(),
                source,
            })
        };
        let base = owner.source_path;
        let slash = match self {
            // `kustomization:` means the source's own folder, not the root.
            Self::Kustomization(folder) if folder.is_empty() => "",
            _ => "/",
        };
        let candidates = match self {
            Self::OverrideFile => vec![join(base, &override_name(owner))?],
            Self::Kustomization(folder) => KUSTOMIZATION_NAMES
                .iter()
                .map(|name| join(base, &format!("{folder}{slash}{name}")))
                .collect::<Result<_, _>>()?,
            Self::HelmValues(path) => vec![join(base, path)?],
            Self::File(path) => vec![join("", path)?],
        };
        Ok(Target {
            kind: self.kind(),
            candidates,
        })
    }
}

impl Target {
    /// How the target holds `image` of an Application of `app_type`.
    #[must_use]
    pub fn format(&self, app_type: AppType, image: &SlotImage) -> Format {
        match (self.kind, app_type) {
            (TargetKind::Kustomization, _) => Format::Kustomization,
            (TargetKind::HelmValues, _) => Format::HelmValues,
            (TargetKind::Override, _) => Format::of_source(app_type, image),
        }
    }
}

impl Format {
    /// How the source of an Application of `app_type`, or a file that overrides it, holds `image`.
    #[must_use]
    pub fn of_source(app_type: AppType, image: &SlotImage) -> Self {
        match app_type {
            _ if image.plugin.is_target() => Self::PluginOverride,
            AppType::Plugin => Self::PluginOverride,
            AppType::Kustomize => Self::KustomizeOverride,
            AppType::Helm => Self::HelmOverride,
        }
    }
}

/// `.argocd-source-<app>.yaml`, with the namespace iff it is not Argo CD's own.
fn override_name(owner: &TargetOwner<'_>) -> String {
    let (name, namespace) = (owner.application, owner.namespace);
    if namespace.is_empty() || namespace == owner.argocd_namespace {
        format!("{OVERRIDE_PREFIX}{name}.yaml")
    } else {
        format!("{OVERRIDE_PREFIX}{namespace}_{name}.yaml")
    }
}

fn file_name(path: &str) -> &str {
    path.rsplit_once('/').map_or(path, |(_, name)| name)
}
