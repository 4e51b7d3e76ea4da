//! Registries of a process: which endpoint serves an image, and on whose behalf it is asked.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context as _;
use sealift_core::credential::CredentialSource;
use sealift_core::digest::Digest;
use sealift_core::reason::Reason;
use sealift_core::reference::{Canonical, Reference};
use sealift_core::registries_conf::{RegistriesConf, RegistryConf, TagSortMode};
use sealift_net::{Net, Proxies, Settings, Tls};
use sealift_registry::{Access, Endpoint, Registry, RepositoryName, Store};

use crate::cli::options::RegistryOptions;
use crate::credentials::Credentials;
use crate::objects::Objects;
use crate::pipeline::{Problem, chain};
use crate::state::StateFolder;

/// Everything that registries are asked through. It lives as long as the process, so that tokens, connections and caches do.
pub struct Registries {
    net: Net,
    store: Arc<Store>,
    conf: RegistriesConf,
    conf_digest: Digest,
    clients: Mutex<BTreeMap<String, Arc<Registry>>>,
    credentials: Credentials,
    /// Overrides every configured limit.
    limit: Option<NonZeroU32>,
}

/// One repository of one registry, asked on one behalf.
#[derive(Clone)]
pub(crate) struct Source {
    /// Identity: registry, repository and credential.
    pub(crate) id: String,
    pub(crate) registry: Arc<Registry>,
    pub(crate) repository: RepositoryName,
    pub(crate) access: Access,
}

/// Docker Hub's API, under the name that references use for it.
const DOCKER_HUB: (&str, &str) = ("docker.io", "https://registry-1.docker.io");
/// Requests a second to Docker Hub where nothing is configured, as Argo CD Image Updater sends them.
const DOCKER_HUB_LIMIT: u32 = 10;
/// Requests a second to a registry that is not configured, as Argo CD Image Updater sends them.
const INFERRED_LIMIT: u32 = 20;

impl Registries {
    /// Reads the configuration and opens the caches.
    ///
    /// # Errors
    /// The configuration cannot be read, or names certificates that cannot.
    pub fn open(options: &RegistryOptions, state: &StateFolder) -> anyhow::Result<Self> {
        let text = match &options.registries_conf_path {
            None => String::new(),
            Some(path) => std::fs::read_to_string(path)
                .with_context(|| format!("`{}` cannot be read", path.display()))?,
        };
        let conf = RegistriesConf::parse(&text).with_context(|| {
            let path = options
                .registries_conf_path
                .as_deref()
                .unwrap_or(Path::new(""));
            format!(
                "the registry configuration `{}` was not used",
                path.display()
            )
        })?;
        conf.default_registry()
            .context("the registry configuration was not used")?;
        let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let either = |name: &str| variable(&name.to_lowercase()).or_else(|| variable(name));
        let proxies = Proxies {
            // `HTTP_PROXY` in upper case can be set by a request in CGI programs; this is none.
            http: either("HTTP_PROXY"),
            https: either("HTTPS_PROXY"),
            exceptions: either("NO_PROXY"),
        };
        let settings = Settings {
            proxies,
            seed: rand::random(),
            ..Settings::default()
        };
        let store = Store::open(&state.subfolder("registry")?)
            .context("the cache of registry answers cannot be opened")?;
        let registries = Self {
            net: Net::new(settings)?,
            store: Arc::new(store),
            conf_digest: Digest::of(text.as_bytes()),
            conf,
            clients: Mutex::default(),
            credentials: Credentials::default(),
            limit: None,
        };
        for entry in &registries.conf.registries {
            registries.client(&endpoint_of(entry)?)?;
        }
        Ok(registries)
    }

    /// Bounds the requests a second to every registry, whatever is configured.
    pub(crate) const fn limit_every(&mut self, limit: Option<NonZeroU32>) {
        self.limit = limit;
    }

    /// The way out, for whatever else speaks HTTP.
    pub(crate) const fn net(&self) -> &Net {
        &self.net
    }

    /// Writes the caches. A cache that cannot be written costs requests, nothing else.
    pub(crate) fn flush(&self) {
        if let Err(error) = self.store.flush() {
            tracing::warn!(%error, "the cache of registry answers could not be written");
        }
    }

    /// Requests sent so far, by kind.
    pub(crate) fn requests(&self) -> BTreeMap<String, u64> {
        let counts = self.net.counts();
        counts
            .sent
            .iter()
            .map(|(kind, count)| (kind.name().to_owned(), *count))
            .collect()
    }

    /// The digest of the configuration file.
    pub(crate) const fn configuration_digest(&self) -> Digest {
        self.conf_digest
    }

    /// Where and on whose behalf an image is looked up, and what the order of that registry's listings says.
    pub(crate) fn source(
        &self,
        reference: &Reference,
        pull_secret: Option<&CredentialSource>,
        objects: &Arc<dyn Objects>,
    ) -> Result<(Source, TagSortMode), Problem> {
        let written = reference.registry.as_deref();
        let canonical = reference.canonical();
        let entry = self.entry(written, &canonical);
        let endpoint = match entry {
            Some(entry) => endpoint_of(entry),
            None => inferred(&canonical),
        };
        let invalid = |error: anyhow::Error| Problem {
            reason: Reason::SettingInvalid,
            detail: format!("{error:#}"),
        };
        let mut endpoint = endpoint.map_err(invalid)?;
        endpoint.requests_per_second_max = self.limit.or(endpoint.requests_per_second_max);
        let registry = self.client(&endpoint).map_err(invalid)?;
        let name = repository_name(entry, &canonical, &reference.name);
        let repository = RepositoryName::parse(&name).map_err(Problem::registry)?;
        let api_url = endpoint.api_url.as_str();
        let access = self
            .credentials
            .access(pull_secret, entry, api_url, &name, objects)?;
        let id = format!("{} {repository} {}", endpoint.api_url, access.id());
        let order = entry.map_or(TagSortMode::Unsorted, |entry| entry.tag_sort_mode);
        Ok((
            Source {
                id,
                registry,
                repository,
                access,
            },
            order,
        ))
    }

    /// The entry that serves an image: the default one where no registry is written, else the one with the longest prefix, by
    /// whole path segments.
    fn entry(&self, written: Option<&str>, canonical: &Canonical) -> Option<&RegistryConf> {
        if written.is_none()
            && let Ok(Some(default)) = self.conf.default_registry()
        {
            return Some(default);
        }
        let full = canonical.to_string();
        let serves = |entry: &&RegistryConf| {
            let prefix = match entry.prefix.as_str() {
                "index.docker.io" | "registry-1.docker.io" => DOCKER_HUB.0,
                prefix => prefix.trim_end_matches('/'),
            };
            full.strip_prefix(prefix)
                .is_some_and(|rest| prefix.is_empty() || rest.starts_with('/'))
        };
        self.conf
            .registries
            .iter()
            .filter(serves)
            .max_by_key(|entry| entry.prefix.len())
    }

    fn client(&self, endpoint: &Endpoint) -> anyhow::Result<Arc<Registry>> {
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        let key = endpoint.api_url.to_string();
        if let Some(client) = clients.get(&key) {
            return Ok(Arc::clone(client));
        }
        let client = Registry::new(&self.net, endpoint.clone(), Arc::clone(&self.store));
        let client = Arc::new(client.map_err(|error| anyhow::anyhow!(chain(&error)))?);
        clients.insert(key, Arc::clone(&client));
        Ok(client)
    }
}

/// The path behind `/v2/`.
fn repository_name(entry: Option<&RegistryConf>, canonical: &Canonical, name: &str) -> String {
    let namespace = entry.and_then(|entry| entry.default_namespace.as_deref());
    match (entry, namespace) {
        (_, Some(namespace)) if !name.contains('/') => format!("{namespace}/{name}"),
        // A default registry that is not Docker Hub serves names as they are written.
        (Some(entry), _) if entry.is_default && canonical.registry == DOCKER_HUB.0 => {
            name.to_owned()
        }
        _ => canonical.repository.clone(),
    }
}

fn endpoint_of(entry: &RegistryConf) -> anyhow::Result<Endpoint> {
    let named = || format!("registry `{}` (line {})", entry.name, entry.line);
    let mut endpoint = Endpoint::parse(&entry.api_url).with_context(named)?;
    endpoint.requests_per_second_max = entry.requests_per_second_max.and_then(NonZeroU32::new);
    let mut roots = Vec::new();
    if !entry.insecure {
        if let Some(path) = &entry.ca_file {
            let pem = std::fs::read(path)
                .with_context(|| format!("{}: `ca_file` `{path}` cannot be read", named()))?;
            roots.push(pem);
        }
        roots.extend(entry.ca_data.as_ref().map(|text| text.as_bytes().to_vec()));
    }
    endpoint.tls = Tls {
        extra_roots_pem: roots,
        insecure: entry.insecure,
    };
    Ok(endpoint)
}

/// A registry that is not configured: HTTPS, anonymous, the system's roots.
fn inferred(canonical: &Canonical) -> anyhow::Result<Endpoint> {
    let (api_url, limit) = match canonical.registry.as_str() {
        host if host == DOCKER_HUB.0 => (DOCKER_HUB.1.to_owned(), DOCKER_HUB_LIMIT),
        host => (format!("https://{host}"), INFERRED_LIMIT),
    };
    let mut endpoint = Endpoint::parse(&api_url)?;
    endpoint.requests_per_second_max = NonZeroU32::new(limit);
    Ok(endpoint)
}
