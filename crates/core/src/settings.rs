//! Settings as users wrote them: read and trimmed, each with the place it stands at.
//!
//! Here: the common form of all sources of settings (annotations, `image_updater`), the
//! grammar of single values that all of them share, and the errors. Not here: what the values mean
//! together (`application`).
//!
//! Settings of Argo CD Image Updater keep its tolerance, with notices; our own are strict.

pub mod annotations;
pub(crate) mod keys;
pub mod own;
mod write_back;

use std::sync::Arc;

use crate::branch::BranchError;
use crate::credential::CredentialError;
use crate::extract::ExtractError;
use crate::image_updater::spec::PullRequest;
use crate::promotion::cosign_key::ImagesVerification;
use crate::reason::Reason;
use crate::reference::ConfiguredImageError;
use crate::select::SelectionError;
use crate::slot::TargetError;
use crate::strategy::UnknownStrategy;

pub use keys::{OWN_PREFIX, PEER_PREFIX};
pub use write_back::{GitCredentialSource, Method, MethodError};

/// A value and the field that holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written<T> {
    /// The value.
    pub value: T,
    /// For example `metadata.annotations["argocd-image-updater.argoproj.io/image-list"]`.
    pub path: Arc<str>,
}

impl<T> Written<T> {
    /// A value at its place.
    pub fn new(value: T, path: impl Into<Arc<str>>) -> Self {
        Self {
            value,
            path: path.into(),
        }
    }
}

/// Everything that is set for one Application.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Settings {
    /// What holds for every image that does not say otherwise.
    pub common: CommonSettings,
    /// Where and how to write.
    pub write_back: WriteBackSettings,
    /// The images, in their order.
    pub images: Vec<ImageSettings>,
    /// Our own settings for the Application.
    pub own: own::OwnSettings,
}

/// Settings that exist for the Application and for each image. Each is taken from the image, else
/// from the Application, else from the default; lists replace each other whole.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CommonSettings {
    /// Name of a strategy.
    pub update_strategy: Option<Written<String>>,
    /// Whether an image counts that runs nowhere.
    pub force_update: Option<Written<bool>>,
    /// A match function.
    pub allow_tags: Option<Written<String>>,
    /// Globs. One empty item is something else than no item.
    pub ignore_tags: Option<Written<Vec<String>>>,
    /// A credential source.
    pub pull_secret: Option<Written<String>>,
    /// `os/arch[/variant]` each.
    pub platforms: Option<Written<Vec<String>>>,
}

/// One image that is to be followed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageSettings {
    /// Alias, where it has one.
    pub alias: Option<String>,
    /// `image[:constraint]`, and where it is listed.
    pub image: Written<String>,
    /// What is set for this image alone.
    pub common: CommonSettings,
    /// Names of Helm values.
    pub helm: HelmTarget,
    /// Name of the image in manifests.
    pub kustomize_name: Option<Written<String>>,
    /// Names of environment variables of a plugin. Only an `ImageUpdater` can set them.
    pub plugin: PluginTarget,
    /// Signatures that an `ImageUpdater` demands of it.
    pub verification: Option<Written<ImagesVerification>>,
    /// Our own settings for this image alone.
    pub own: own::OwnSettings,
    /// The first thing that is wrong with the settings of this image.
    pub error: Option<SettingError>,
}

/// Names of Helm values or parameters, as written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HelmTarget {
    /// Of the name without tag.
    pub name: Option<Written<String>>,
    /// Of the tag.
    pub tag: Option<Written<String>>,
    /// Of the whole reference.
    pub spec: Option<Written<String>>,
}

impl HelmTarget {
    /// Whether any of them is set.
    #[must_use]
    pub const fn is_set(&self) -> bool {
        self.name.is_some() || self.tag.is_some() || self.spec.is_some()
    }
}

/// Names of environment variables of a plugin, as written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PluginTarget {
    /// Of the name without tag.
    pub name: Option<Written<String>>,
    /// Of the tag.
    pub tag: Option<Written<String>>,
    /// Of the whole reference.
    pub spec: Option<Written<String>>,
}

/// Where and how to write, as written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WriteBackSettings {
    /// `argocd`, `git` or `git:…`.
    pub method: Option<Written<String>>,
    /// URL of a Git repository.
    pub repository: Option<Written<String>>,
    /// A branch rule.
    pub branch: Option<Written<String>>,
    /// A write-back target.
    pub target: Option<Written<String>>,
    /// Changes are to be proposed, not pushed. Only an `ImageUpdater` can ask for it.
    pub pull_request: Option<Written<PullRequest>>,
}

/// A setting that cannot be used. It is the error of one Application, or of one image in it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{object} {path}: {problem}")]
pub struct SettingError {
    /// `namespace/name` of the object that holds the setting.
    pub object: String,
    /// Field of the object.
    pub path: Arc<str>,
    /// What is wrong.
    #[source]
    pub problem: SettingProblem,
}

/// What is wrong with a setting.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SettingProblem {
    /// Not a boolean of Go.
    #[error("`{0}` is not a boolean: expected `true` or `false`")]
    Boolean(String),
    /// The list of images is empty.
    #[error("the list names no image")]
    NoImage,
    /// Too many images.
    #[error("the list has more than {0} images; none is followed")]
    TooManyImages(usize),
    /// An item of the list names no image.
    #[error(transparent)]
    Image(#[from] ConfiguredImageError),
    /// Both kinds of targets are set for one alias.
    #[error("both Helm and Kustomize targets are set for the alias `{0}`")]
    HelmAndKustomize(String),
    /// No strategy has this name. Only our own settings are that strict.
    #[error(transparent)]
    Strategy(#[from] UnknownStrategy),
    /// The constraint of an image cannot be used.
    #[error(transparent)]
    Selection(#[from] SelectionError),
    /// Our setting `extract` cannot be used.
    #[error("{0}")]
    Extract(#[from] ExtractError),
    /// The write-back method cannot be used.
    #[error(transparent)]
    Method(#[from] MethodError),
    /// The branch rule cannot be used.
    #[error("{0}")]
    Branch(#[from] BranchError),
    /// The write-back target cannot be used.
    #[error("{0}")]
    Target(#[from] TargetError),
    /// A credential source cannot be used.
    #[error(transparent)]
    Credential(#[from] CredentialError),
    /// A setting of our own that does not exist.
    #[error("there is no such setting{}", hint(.nearest))]
    UnknownOwn {
        /// The nearest setting that exists.
        nearest: Option<String>,
    },
    /// A setting of our own names an image that is not listed.
    #[error("no image has the alias `{0}`")]
    UnknownAlias(String),
    /// A setting of our own has none of its values.
    #[error("`{value}` is not one of {expected}")]
    OneOf {
        /// As written.
        value: String,
        /// For example "`application`, `branch`".
        expected: &'static str,
    },
    /// Not a span of time, or one that nobody may ask for.
    #[error("`{value}` is not a duration such as `90s` or `1h30m` from `{min}` to `{max}`")]
    Interval {
        /// As written.
        value: String,
        /// The shortest.
        min: String,
        /// The longest.
        max: String,
    },
    /// A value is longer than any object may hold.
    #[error("the value is longer than {0} bytes")]
    TooLong(usize),
    /// Pull requests are not made yet, and a push to the base branch is no pull request.
    #[error("pull requests are not available in this version; nothing was pushed in their place")]
    PullRequest,
    /// Signatures are demanded, and no key is named.
    #[error("signatures are demanded and no key is named; nothing can be trusted")]
    VerificationKeyMissing,
    /// The Application names no source that can be written to.
    #[error("the Application has no source")]
    NoSource,
}

fn hint(nearest: &Option<String>) -> String {
    nearest.as_ref().map_or_else(String::new, |nearest| {
        format!("; did you mean `{nearest}`?")
    })
}

impl SettingError {
    /// The stable reason.
    #[must_use]
    pub const fn reason(&self) -> Reason {
        match &self.problem {
            SettingProblem::Image(error) => error.reason(),
            SettingProblem::Selection(error) => error.reason(),
            SettingProblem::Method(error) => error.reason(),
            SettingProblem::Branch(error) => error.reason(),
            SettingProblem::Target(error) => error.reason(),
            SettingProblem::Credential(error) => error.reason(),
            SettingProblem::NoSource => Reason::ApplicationUnsupported,
            SettingProblem::PullRequest => Reason::PullRequestNotAvailable,
            _ => Reason::SettingInvalid,
        }
    }
}

/// The part of a value that messages show.
fn shown(text: &str) -> String {
    text.chars().take(200).collect()
}
