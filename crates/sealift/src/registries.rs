//! Registries of a process: which endpoint serves an image, and on whose behalf it is asked.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context as _;
use sealift_core::credential::CredentialSource;
use sealift_core::digest::Digest;
use sealift_core::endpoint::{self, EndpointChoice};
use sealift_core::reason::Reason;
use sealift_core::reference::Reference;
use sealift_core::registries_conf::{RegistriesConf, RegistryConf, TagSortMode};
use sealift_net::{Egress, Net, Proxies, Settings, Tls};
use sealift_registry::{Access, Endpoint, EvidenceSource, Registry, RepositoryName, Store};

use crate::cli::options::{RegistryOptions, file_or_mounted};
use crate::credentials::Credentials;
use crate::objects::Objects;
use crate::pipeline::{Problem, chain};
use crate::state::StateFolder;

/// Everything that registries are asked through. It lives as long as the process, so that tokens,
/// connections and caches do.
pub struct Registries {
    net: Net,
    store: Arc<Store>,
    conf: RegistriesConf,
    conf_digest: Digest,
    /// One for each entry of the configuration, in its order.
    configured: Vec<Arc<Registry>>,
    /// Those that no entry serves, by API.
    inferred: Mutex<BTreeMap<String, Arc<Registry>>>,
    credentials: Credentials,
    /// Holds besides every configured limit.
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

impl Source {
    /// The registry, without what it is asked for.
    pub(crate) fn registry_id(&self) -> String {
        self.registry.api_url().to_string()
    }

    /// The repository as a place where evidence may hang.
    pub(crate) fn evidence(&self) -> EvidenceSource {
        EvidenceSource {
            registry: Arc::clone(&self.registry),
            repository: self.repository.clone(),
            access: self.access.clone(),
        }
    }
}

impl Registries {
    /// What the operator says of registries.
    pub(crate) fn entries(&self) -> impl Iterator<Item = &RegistryConf> {
        self.conf.registries.iter()
    }

    /// Reads the configuration and opens the caches.
    ///
    /// # Errors
    /// The configuration cannot be read, or names certificates that cannot.
    pub fn open(options: &RegistryOptions, state: &StateFolder) -> anyhow::Result<Self> {
        let file = file_or_mounted(options.registries_conf_path.as_deref(), None);
        let text = match &file {
            None => String::new(),
            Some(path) => std::fs::read_to_string(path)
                .with_context(|| format!("`{}` cannot be read", path.display()))?,
        };
        let conf = RegistriesConf::parse(&text).with_context(|| {
            let path = file.as_deref().unwrap_or(Path::new(""));
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
            egress: Egress::allowing(conf.registries.iter().filter_map(literal_address)),
            seed: rand::random(),
            ..Settings::default()
        };
        let store = Store::open(&state.subfolder("registry")?)
            .context("the cache of registry answers cannot be opened")?;
        let (net, store) = (Net::new(settings)?, Arc::new(store));
        let configured = conf.registries.iter().map(|entry| -> anyhow::Result<_> {
            let client = Registry::new(&net, endpoint_of(entry)?, Arc::clone(&store));
            Ok(Arc::new(client.with_context(|| named(entry))?))
        });
        let configured = configured.collect::<anyhow::Result<Vec<_>>>()?;
        Ok(Self {
            net,
            store,
            conf_digest: Digest::of(text.as_bytes()),
            conf,
            configured,
            inferred: Mutex::default(),
            credentials: Credentials::default(),
            limit: None,
        })
    }

    /// Bounds the requests a second to every registry, whatever is configured.
    pub(crate) fn limit_every(&mut self, limit: Option<NonZeroU32>) {
        self.limit = limit;
        let Some(limit) = limit else { return };
        for registry in &self.configured {
            self.net.limit(registry.api_url(), limit);
        }
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

    /// Where and on whose behalf an image is looked up, and what the order of that registry's
    /// listings says.
    pub(crate) fn source(
        &self,
        reference: &Reference,
        pull_secret: Option<&CredentialSource>,
        objects: &Arc<dyn Objects>,
    ) -> Result<(Source, TagSortMode), Problem> {
        let choice = endpoint::choose(&self.conf, reference);
        let invalid = |error: anyhow::Error| Problem {
            reason: Reason::SettingInvalid,
            detail: format!("{error:#}"),
        };
        let registry = self.client(&choice).map_err(invalid)?;
        let name = choice.repository(reference);
        let repository = RepositoryName::parse(&name).map_err(Problem::registry)?;
        let (entry, api_url) = (choice.entry, registry.api_url().as_str());
        let access = self
            .credentials
            .access(pull_secret, entry, api_url, &name, objects)?;
        let id = format!("{api_url} {repository} {}", access.id());
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

    fn client(&self, choice: &EndpointChoice<'_>) -> anyhow::Result<Arc<Registry>> {
        let position = |entry: &RegistryConf| {
            let mut entries = self.conf.registries.iter();
            entries.position(|known| std::ptr::eq(known, entry))
        };
        let configured = choice.entry.and_then(position);
        if let Some(registry) = configured.and_then(|index| self.configured.get(index)) {
            return Ok(Arc::clone(registry));
        }
        let mut inferred = self.inferred.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(registry) = inferred.get(&*choice.api_url) {
            return Ok(Arc::clone(registry));
        }
        let mut endpoint = Endpoint::parse(&choice.api_url)?;
        let limit = choice.requests_per_second_max.and_then(NonZeroU32::new);
        endpoint.requests_per_second_max = self.limit.or(limit);
        let registry = Registry::new(&self.net, endpoint, Arc::clone(&self.store));
        let registry = Arc::new(registry.map_err(|error| anyhow::anyhow!(chain(&error)))?);
        inferred.insert(choice.api_url.to_string(), Arc::clone(&registry));
        Ok(registry)
    }
}

fn named(entry: &RegistryConf) -> String {
    format!("registry `{}` (line {})", entry.name, entry.line)
}

/// The address in an API URL that names one: the operator may mean a link-local one.
fn literal_address(entry: &RegistryConf) -> Option<IpAddr> {
    let url = url::Url::parse(&entry.api_url).ok()?;
    match url.host()? {
        url::Host::Ipv4(address) => Some(address.into()),
        url::Host::Ipv6(address) => Some(address.into()),
        url::Host::Domain(_) => None,
    }
}

fn endpoint_of(entry: &RegistryConf) -> anyhow::Result<Endpoint> {
    let mut endpoint = Endpoint::parse(&entry.api_url).with_context(|| named(entry))?;
    endpoint.requests_per_second_max = entry.requests_per_second_max.and_then(NonZeroU32::new);
    let mut roots = Vec::new();
    if !entry.insecure {
        if let Some(path) = &entry.ca_file {
            let pem = std::fs::read(path)
                .with_context(|| format!("{}: `ca_file` `{path}` cannot be read", named(entry)))?;
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
