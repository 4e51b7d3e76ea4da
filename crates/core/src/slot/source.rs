//! Which source of an Application is written, and of what type it is. Chosen once, with the target
//! in mind.

use super::target::TargetKind;
use crate::manifest::{ApplicationSpec, ApplicationStatus, Source};

/// Type of a source, as Argo CD detected it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SourceType {
    /// A chart.
    Helm,
    /// A kustomization.
    Kustomize,
    /// A configuration management plugin.
    Plugin,
    /// Plain manifests.
    Directory,
    /// Argo CD has not said yet, or said something new.
    #[default]
    Unknown,
}

impl SourceType {
    /// Reads `status.sourceType` or an element of `status.sourceTypes`.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        match text {
            "Helm" => Self::Helm,
            "Kustomize" => Self::Kustomize,
            "Plugin" => Self::Plugin,
            "Directory" => Self::Directory,
            _ => Self::Unknown,
        }
    }

    const fn is_templated(self) -> bool {
        matches!(self, Self::Helm | Self::Kustomize | Self::Plugin)
    }
}

/// What can be updated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AppType {
    /// Helm values and parameters.
    Helm,
    /// Kustomize images.
    Kustomize,
    /// Plugin environment, in the Application only.
    Plugin,
}

impl AppType {
    /// What can be updated in a source of this type; plugins are written as parameters in Git.
    #[must_use]
    pub const fn of(source_type: SourceType, git: bool) -> Option<Self> {
        match source_type {
            SourceType::Helm => Some(Self::Helm),
            SourceType::Kustomize => Some(Self::Kustomize),
            SourceType::Plugin if git => Some(Self::Helm),
            SourceType::Plugin => Some(Self::Plugin),
            SourceType::Directory | SourceType::Unknown => None,
        }
    }
}

/// Which blocks a source has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Blocks {
    /// `helm`
    pub helm: bool,
    /// `kustomize`
    pub kustomize: bool,
    /// `plugin`
    pub plugin: bool,
}

impl Sources {
    /// Reads them off an Application.
    #[must_use]
    pub fn of(spec: &ApplicationSpec, status: &ApplicationStatus) -> Self {
        let dry = spec.source_hydrator.as_ref();
        let types = status.source_types.iter();
        Self {
            listed: spec.sources.iter().map(Blocks::of).collect(),
            dry: dry.map(|hydrator| Blocks::of(&hydrator.dry_source)),
            status_type: SourceType::parse(&status.source_type),
            status_types: types.map(|text| SourceType::parse(text)).collect(),
        }
    }
}

impl Chosen {
    /// The chosen source itself. `None` for an Application without any.
    #[must_use]
    pub fn source(self, spec: &ApplicationSpec) -> Option<&Source> {
        match self.which {
            Which::Only => spec.source.as_ref(),
            Which::Listed(index) => spec.sources.get(index),
            Which::Dry => spec
                .source_hydrator
                .as_ref()
                .map(|hydrator| &hydrator.dry_source),
        }
    }
}

impl Blocks {
    fn of(source: &Source) -> Self {
        Self {
            helm: source.helm.is_some(),
            kustomize: source.kustomize.is_some(),
            plugin: source.plugin.is_some(),
        }
    }

    const fn has(self, kind: SourceType) -> bool {
        match kind {
            SourceType::Helm => self.helm,
            SourceType::Kustomize => self.kustomize,
            SourceType::Plugin => self.plugin,
            SourceType::Directory | SourceType::Unknown => false,
        }
    }

    const fn any(self) -> bool {
        self.helm || self.kustomize || self.plugin
    }

    const fn first(self) -> Option<SourceType> {
        if self.helm {
            Some(SourceType::Helm)
        } else if self.kustomize {
            Some(SourceType::Kustomize)
        } else if self.plugin {
            Some(SourceType::Plugin)
        } else {
            None
        }
    }
}

/// What an Application says about its sources.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Sources {
    /// Blocks of each of `spec.sources`; empty for an Application with `spec.source`.
    pub listed: Vec<Blocks>,
    /// Blocks of `spec.sourceHydrator.drySource`, where there is one.
    pub dry: Option<Blocks>,
    /// `status.sourceType`
    pub status_type: SourceType,
    /// `status.sourceTypes`
    pub status_types: Vec<SourceType>,
}

/// Which source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    /// `spec.source`
    Only,
    /// `spec.sources[i]`
    Listed(usize),
    /// `spec.sourceHydrator.drySource`
    Dry,
}

impl Which {
    /// Where the source stands in an Application: names and indexes, `/` between them.
    #[must_use]
    pub fn path(self) -> String {
        match self {
            Self::Only => "spec/source".to_owned(),
            Self::Listed(index) => format!("spec/sources/{index}"),
            Self::Dry => "spec/sourceHydrator/drySource".to_owned(),
        }
    }
}

/// The one resolution that path, repository, branch and format rest on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Chosen {
    /// Which source.
    pub which: Which,
    /// Of what type.
    pub source_type: SourceType,
    /// What can be updated there; `None`: the Application is not supported.
    pub app_type: Option<AppType>,
}

/// Chooses. `git` says that the write-back method is Git, where plugins are written as parameters.
#[must_use]
pub fn choose(sources: &Sources, target: TargetKind, git: bool) -> Chosen {
    let source_type = type_of(sources, target);
    Chosen {
        which: which(sources, source_type),
        source_type,
        app_type: AppType::of(source_type, git),
    }
}

fn type_of(sources: &Sources, target: TargetKind) -> SourceType {
    match target {
        TargetKind::Kustomization => return SourceType::Kustomize,
        TargetKind::HelmValues => return SourceType::Helm,
        TargetKind::Override => {}
    }
    match sources.dry {
        None if !sources.listed.is_empty() => {
            let templated = sources.status_types.iter().find(|kind| kind.is_templated());
            templated.copied().unwrap_or(SourceType::Directory)
        }
        dry => dry.and_then(Blocks::first).unwrap_or(sources.status_type),
    }
}

fn which(sources: &Sources, kind: SourceType) -> Which {
    if sources.dry.is_some() {
        return Which::Dry;
    }
    if sources.listed.is_empty() {
        return Which::Only;
    }
    let listed = &sources.listed;
    let explicit = listed.iter().position(|blocks| blocks.has(kind));
    let detected = || {
        let same_length = sources.status_types.len() == listed.len();
        let mut types = sources.status_types.iter();
        types
            .position(|found| *found == kind)
            .filter(|_| same_length)
    };
    let any = || listed.iter().position(|blocks| blocks.any());
    Which::Listed(explicit.or_else(detected).or_else(any).unwrap_or(0))
}
