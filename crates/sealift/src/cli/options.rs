//! Options that several commands share. Names and defaults of Argo CD Image Updater are kept where
//! it has the option.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::builder::{OsStringValueParser, TypedValueParser};
use clap::{Args, ValueEnum};

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
    /// Registry configuration; empty: the built-in defaults alone [default:
    /// `/app/config/registries.conf` where it exists]
    #[arg(long, value_name = "FILE", value_parser = maybe_empty())]
    pub registries_conf_path: Option<PathBuf>,
}

impl RegistryOptions {
    /// The file that is read.
    #[must_use]
    pub fn conf_path(&self) -> Option<PathBuf> {
        named_or_mounted(
            self.registries_conf_path.as_deref(),
            CONFIG,
            "registries.conf",
        )
    }
}

/// Where the Deployment mounts its ConfigMap, as with Argo CD Image Updater.
const CONFIG: &str = "/app/config";

/// A path that may be empty, which the usual parser refuses.
fn maybe_empty() -> impl TypedValueParser<Value = PathBuf> {
    OsStringValueParser::new().map(PathBuf::from)
}

/// The file that was named, nothing where the name is empty, else the mounted one where it exists.
fn named_or_mounted(named: Option<&Path>, folder: &str, file: &str) -> Option<PathBuf> {
    match named {
        Some(path) if path.as_os_str().is_empty() => None,
        Some(path) => Some(path.to_owned()),
        None => Some(Path::new(folder).join(file)).filter(|path| path.is_file()),
    }
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
    /// Add a `Signed-off-by` trailer
    #[arg(long, env = "GIT_COMMIT_SIGN_OFF")]
    pub git_commit_sign_off: bool,
    /// File with the commit message template (Go text/template); empty: the built-in one [default:
    /// `/app/config/commit.template` where it exists]
    #[arg(long, value_name = "FILE", value_parser = maybe_empty())]
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

impl GitOptions {
    /// The file that the template of commit messages is read from.
    #[must_use]
    pub fn message_path(&self) -> Option<PathBuf> {
        let named = self.git_commit_message_path.as_deref();
        named_or_mounted(named, CONFIG, "commit.template")
    }
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
    /// Folder for journal, repositories and caches [default: the user's state folder]
    #[arg(long, value_name = "DIR", env = "SEALIFT_STATE_DIR")]
    pub state_dir: Option<PathBuf>,
    /// Applications whose files are worked on at once (1 to 100)
    #[arg(long, env = "MAX_CONCURRENT_APPS", default_value_t = 10,
          value_parser = clap::value_parser!(u16).range(1..=100))]
    pub max_concurrent_apps: u16,
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

/// Parses a duration as Go writes it (`2m0s`, `90s`, `1h30m`).
///
/// # Errors
/// A sentence with the value, for clap.
pub fn go_duration(text: &str) -> Result<Duration, String> {
    let refuse = || format!("`{text}` is not a duration such as `2m0s`");
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    let mut rest = text;
    let mut total = 0.0_f64;
    while !rest.is_empty() {
        let digits = rest
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .ok_or_else(refuse)?;
        let (number, after) = rest.split_at(digits);
        let unit_end = after
            .find(|c: char| c.is_ascii_digit() || c == '.')
            .unwrap_or(after.len());
        let (unit, next) = after.split_at(unit_end);
        let seconds = match unit {
            "h" => 3600.0,
            "m" => 60.0,
            "s" => 1.0,
            "ms" => 1e-3,
            "us" | "µs" => 1e-6,
            "ns" => 1e-9,
            _ => return Err(refuse()),
        };
        total += number.parse::<f64>().map_err(|_| refuse())? * seconds;
        rest = next;
    }
    if text.is_empty() {
        return Err(refuse());
    }
    Duration::try_from_secs_f64(total).map_err(|_| refuse())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn go_durations_read_as_go_reads_them() {
        assert_eq!(go_duration("2m0s"), Ok(Duration::from_secs(120)));
        assert_eq!(go_duration("1h30m"), Ok(Duration::from_secs(5400)));
        assert_eq!(go_duration("0"), Ok(Duration::ZERO));
        assert_eq!(go_duration("1.5s"), Ok(Duration::from_millis(1500)));
        for text in ["", "5", "-1s", "1d", "s", "1s5"] {
            assert!(go_duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_mounted_file_is_read_unless_another_or_none_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let mounted = folder.path().to_str().unwrap();
        let path = |named: Option<&str>| named_or_mounted(named.map(Path::new), mounted, "f");
        assert_eq!(path(None), None);
        std::fs::write(folder.path().join("f"), "").unwrap();
        assert_eq!(path(None), Some(folder.path().join("f")));
        assert_eq!(path(Some("/other")), Some("/other".into()));
        assert_eq!(path(Some("")), None);
    }
}
