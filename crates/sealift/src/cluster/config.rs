//! Which API server, and who we are to it: in the order of Argo CD Image Updater's own library.
//!
//! `--kubeconfig`, then `KUBECONFIG`, then the Pod's ServiceAccount, then `~/.kube/config`.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use kube::Config;
use kube::config::{KubeConfigOptions, Kubeconfig};

/// Where a Pod finds its own namespace.
const POD_NAMESPACE_FILE: &str = "/var/run/secrets/kubernetes.io/serviceaccount/namespace";
const POD_TOKEN_FILE: &str = "/var/run/secrets/kubernetes.io/serviceaccount/token";

/// Where the API server's address and our credential stand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Configuration {
    /// A file that the user named.
    File(PathBuf),
    /// The files of `KUBECONFIG`.
    Environment,
    /// The Pod's ServiceAccount.
    Pod,
}

/// The parts of the environment that decide.
#[derive(Debug, Clone, Default)]
pub struct Surroundings {
    /// `KUBECONFIG` is set.
    pub kubeconfig: bool,
    /// This is a Pod: the server's address and a token are there.
    pub pod: bool,
    /// `~/.kube/config`, where it exists.
    pub home: Option<PathBuf>,
    /// `POD_NAMESPACE`
    pub pod_namespace: Option<String>,
}

impl Surroundings {
    /// Looks around.
    #[must_use]
    pub fn look() -> Self {
        let set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let home = std::env::var_os("HOME").map(|home| Path::new(&home).join(".kube/config"));
        Self {
            kubeconfig: set("KUBECONFIG"),
            pod: set("KUBERNETES_SERVICE_HOST") && Path::new(POD_TOKEN_FILE).is_file(),
            home: home.filter(|path| path.is_file()),
            pod_namespace: std::env::var("POD_NAMESPACE")
                .ok()
                .filter(|name| !name.is_empty()),
        }
    }
}

impl Configuration {
    /// Chooses. `None`: nothing names an API server.
    #[must_use]
    pub fn choose(named: Option<&Path>, around: &Surroundings) -> Option<Self> {
        match named {
            Some(path) => Some(Self::File(path.to_owned())),
            None if around.kubeconfig => Some(Self::Environment),
            None if around.pod => Some(Self::Pod),
            None => around.home.clone().map(Self::File),
        }
    }

    /// The namespace that we are in: of the Pod, or of the kubeconfig's context.
    ///
    /// # Errors
    /// A file cannot be read.
    pub fn own_namespace(&self, around: &Surroundings) -> anyhow::Result<String> {
        if let Some(namespace) = &around.pod_namespace {
            return Ok(namespace.clone());
        }
        let Some(kubeconfig) = self.kubeconfig()? else {
            let text = std::fs::read_to_string(POD_NAMESPACE_FILE)
                .with_context(|| format!("the Pod's namespace in `{POD_NAMESPACE_FILE}`"))?;
            return Ok(text.trim().to_owned());
        };
        let current = kubeconfig.current_context.as_deref();
        let contexts = kubeconfig.contexts.iter();
        let mut named = contexts.filter(|one| Some(one.name.as_str()) == current);
        let context = named.next().and_then(|one| one.context.as_ref());
        let namespace = context.and_then(|context| context.namespace.clone());
        Ok(namespace.unwrap_or_else(|| "default".to_owned()))
    }

    /// Reads everything that it takes to connect.
    ///
    /// # Errors
    /// A file cannot be read or names no server.
    pub(super) async fn load(&self) -> anyhow::Result<Config> {
        let Some(kubeconfig) = self.kubeconfig()? else {
            return Config::incluster().context("the Pod's ServiceAccount");
        };
        let options = KubeConfigOptions::default();
        let config = Config::from_custom_kubeconfig(kubeconfig, &options);
        config.await.with_context(|| self.name())
    }

    fn kubeconfig(&self) -> anyhow::Result<Option<Kubeconfig>> {
        let read = match self {
            Self::File(path) => Kubeconfig::read_from(path).map(Some),
            Self::Environment => Kubeconfig::from_env(),
            Self::Pod => return Ok(None),
        };
        let read = read.with_context(|| self.name())?;
        anyhow::ensure!(read.is_some(), "{} names no file", self.name());
        Ok(read)
    }

    fn name(&self) -> String {
        match self {
            Self::File(path) => format!("the kubeconfig `{}`", path.display()),
            Self::Environment => "`KUBECONFIG`".to_owned(),
            Self::Pod => "the Pod's ServiceAccount".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_named_file_wins_then_the_environment_then_the_pod_then_home() {
        let everything = Surroundings {
            kubeconfig: true,
            pod: true,
            home: Some("/h".into()),
            pod_namespace: None,
        };
        let choose = |named: Option<&str>, around: &Surroundings| {
            Configuration::choose(named.map(Path::new), around)
        };
        let file = |path: &str| Some(Configuration::File(path.into()));
        assert_eq!(choose(Some("/f"), &everything), file("/f"));
        assert_eq!(choose(None, &everything), Some(Configuration::Environment));
        let mut less = everything.clone();
        less.kubeconfig = false;
        assert_eq!(choose(None, &less), Some(Configuration::Pod));
        less.pod = false;
        assert_eq!(choose(None, &less), file("/h"));
        less.home = None;
        assert_eq!(choose(None, &less), None);
    }
}
