//! Options that several commands share. Names and defaults of Argo CD Image Updater are kept where
//! it has the option.

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use sealift_core::environment::{self, Variable, go_bool};

pub use sealift_core::environment::go_duration;

/// Where Applications, Secrets and ConfigMaps come from.
#[derive(Debug, Clone, Args)]
pub struct SourceOptions {
    /// File, folder (read recursively), `-`, or Git URL (`URL//folder?ref=NAME`: a branch, a tag or
    /// a whole commit id) with Kubernetes objects. Repeatable. Without it objects come from the API
    /// server
    #[arg(short = 'f', long = "filename", value_name = "PATH|GIT-URL")]
    pub filename: Vec<String>,
    /// How to reach the API server [default: `KUBECONFIG`, the Pod's ServiceAccount,
    /// `~/.kube/config`]
    #[arg(long, value_name = "FILE", conflicts_with = "filename")]
    pub kubeconfig: Option<PathBuf>,
    /// Namespaces of Applications, comma-separated; `*` is all [default: our own]
    #[arg(long, value_name = "NAMES", env = "IMAGE_UPDATER_WATCH_NAMESPACES")]
    pub watch_namespaces: Option<String>,
    /// File with policies that must hold, beside those of the objects. Repeatable
    #[arg(long, value_name = "FILE")]
    pub policy: Vec<PathBuf>,
    /// Namespace of Argo CD: its repository secrets and ConfigMaps are looked up there [default:
    /// with `-f` `argocd`, else our own]
    #[arg(long, value_name = "NAME", env = "ARGOCD_NAMESPACE")]
    pub argocd_namespace: Option<String>,
    /// Which annotated Applications are followed that no ImageUpdater selects [default: with `-f`
    /// `auto`, else `never`]
    #[arg(long, value_name = "WHEN")]
    pub annotations: Option<AnnotationsOption>,
}

/// Which annotated Applications are followed that no ImageUpdater selects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum AnnotationsOption {
    /// Those in namespaces that hold no ImageUpdater
    Auto,
    /// All
    Always,
    /// None
    Never,
}

impl AnnotationsOption {
    /// As it is written on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Always => "always",
            Self::Never => "never",
        }
    }
}

/// Registries and their credentials.
#[derive(Debug, Clone, Args)]
pub struct RegistryOptions {
    /// Registry configuration (registries.conf); without it the built-in defaults hold [default: with
    /// the API server `/app/config/registries.conf`, where that exists]
    #[arg(long, value_name = "FILE", value_parser = path)]
    pub registries_conf_path: Option<PathBuf>,
}

/// How commits are made.
#[derive(Debug, Clone, Args)]
pub struct GitOptions {
    /// Author and committer name
    #[arg(long, env = "GIT_COMMIT_USER", default_value = "argocd-image-updater")]
    pub git_commit_user: String,
    /// Author and committer e-mail address
    #[arg(long, env = "GIT_COMMIT_EMAIL", default_value = "noreply@argoproj.io")]
    pub git_commit_email: String,
    /// File with the private key that signs commits (OpenPGP armour, or an OpenSSH private key)
    #[arg(long, env = "GIT_COMMIT_SIGNING_KEY", value_name = "FILE")]
    pub git_commit_signing_key: Option<PathBuf>,
    /// Kind of the signing key
    #[arg(long, env = "GIT_COMMIT_SIGNING_METHOD", default_value = "openpgp")]
    pub git_commit_signing_method: SigningMethod,
    /// Add a `Signed-off-by` trailer [env: GIT_COMMIT_SIGN_OFF=]
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true",
          value_parser = go_bool, value_name = "BOOL")]
    pub git_commit_sign_off: Option<bool>,
    /// File with the commit message template (Go text/template) [default: with the API server
    /// `/app/config/commit.template`, where that exists]
    #[arg(long, value_name = "FILE", value_parser = path)]
    pub git_commit_message_path: Option<PathBuf>,
    /// `git` makes commits here; `api` (commits made by the forge) is not available yet
    #[arg(long, env = "GIT_COMMIT_METHOD", default_value = "git")]
    pub git_commit_method: CommitMethod,
    /// One commit an Application, or one a branch
    #[arg(long, default_value = "application")]
    pub commit_per: CommitPer,
    /// Allow Applications whose repository is a path on this machine
    #[arg(long)]
    pub allow_local_git: bool,
    /// Host to which Git credentials may go over plain HTTP. Loopback always may. Repeatable
    #[arg(long, value_name = "HOST")]
    pub allow_plaintext_git: Vec<String>,
}

/// Kind of commit signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum SigningMethod {
    /// An OpenPGP secret key.
    Openpgp,
    /// An SSH private key.
    Ssh,
}

/// Who makes the commit object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum CommitMethod {
    /// Sealift.
    Git,
    /// The forge.
    Api,
}

/// How changes are grouped into commits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum CommitPer {
    /// One commit an Application.
    Application,
    /// One commit a branch.
    Branch,
}

/// What to do with images that no policy governs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum UnverifiedOption {
    /// Write them, each with the reason `unchecked-no-policy`.
    Allow,
    /// Refuse them with the reason `no-policy`.
    Refuse,
}

/// Trust roots.
#[derive(Debug, Clone, Args)]
pub struct TrustOptions {
    /// Use this trust root although its metadata has expired and cannot be refreshed: `publicGood`,
    /// `github`, or the mirror's URL. Repeatable
    #[arg(long, value_name = "NAME")]
    pub unsafe_expired_trust_root: Vec<String>,
}

/// Trust, state and concurrency of a cycle.
#[derive(Debug, Clone, Args)]
pub struct CycleOptions {
    /// Images that no policy governs: write them, or refuse them
    #[arg(long, default_value = "allow")]
    pub unverified: UnverifiedOption,
    /// Folder for journal, repositories and caches [default: the user's state folder; for the
    /// controller on an API server none: the journal goes to standard output, and open intents to
    /// the lease]
    #[arg(long, value_name = "DIR", env = "SEALIFT_STATE_DIR", value_parser = path)]
    pub state_dir: Option<PathBuf>,
    /// Applications whose files are worked on at once (1 to 100) [env: MAX_CONCURRENT_APPS=]
    /// [default: 10]
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u16).range(1..=100))]
    pub max_concurrent_apps: Option<u16>,
    /// Trust roots.
    #[command(flatten)]
    pub trust: TrustOptions,
}

/// Form of the data on standard output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum OutputFormat {
    /// Text for people.
    Text,
    /// JSON, one document.
    Json,
}

/// `--output`.
#[derive(Debug, Clone, Copy, Args)]
pub struct OutputOptions {
    /// Form of the data on standard output
    #[arg(short, long, default_value = "text")]
    pub output: OutputFormat,
}

impl CycleOptions {
    /// The state folder, where one is named. An empty name is none.
    #[must_use]
    pub fn state_dir(&self) -> Option<&Path> {
        let named = self.state_dir.as_deref();
        named.filter(|path| !path.as_os_str().is_empty())
    }

    /// Applications whose files are worked on at once.
    #[must_use]
    pub fn applications_at_once(&self) -> u16 {
        const NAME: &str = "MAX_CONCURRENT_APPS";
        self.max_concurrent_apps.unwrap_or_else(|| {
            let text = variable(NAME);
            warned(environment::integer(NAME, text.as_deref(), &(1..=100), 10))
        })
    }
}

impl GitOptions {
    /// Whether commits carry a `Signed-off-by` trailer.
    #[must_use]
    pub fn signs_off(&self) -> bool {
        let named = self.git_commit_sign_off;
        named.unwrap_or_else(|| flag_variable("GIT_COMMIT_SIGN_OFF"))
    }
}

/// A variable of the process. One that is no UTF-8 is none that we know.
pub(crate) fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// A truth value that is false unless its variable says otherwise.
pub(crate) fn flag_variable(name: &str) -> bool {
    environment::boolean(variable(name).as_deref(), false)
}

/// What holds, with the warning said.
pub(crate) fn warned<T>(variable: Variable<T>) -> T {
    if let Some(warning) = variable.warning {
        tracing::warn!("{warning}");
    }
    variable.value
}

/// A path that may be empty: that is none, whatever the default is.
fn path(text: &str) -> Result<PathBuf, std::convert::Infallible> {
    Ok(PathBuf::from(text))
}

/// The file that a flag names, or where it is left out the one that Argo CD Image Updater's
/// Deployment mounts, where it is there. An empty name is none.
#[must_use]
pub fn file_or_mounted(named: Option<&Path>, mounted: Option<&str>) -> Option<PathBuf> {
    match named {
        Some(named) => Some(named.to_owned()).filter(|path| !path.as_os_str().is_empty()),
        None => mounted.map(PathBuf::from).filter(|path| path.exists()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_path_is_none_and_a_mounted_file_counts_where_none_is_named() {
        let here = Some("/");
        assert_eq!(file_or_mounted(Some(Path::new("")), here), None);
        assert_eq!(file_or_mounted(None, here), Some(PathBuf::from("/")));
        assert_eq!(file_or_mounted(None, Some("/no/such/file")), None);
        let named = Path::new("x");
        assert_eq!(file_or_mounted(Some(named), here), Some(named.to_owned()));
    }
}
