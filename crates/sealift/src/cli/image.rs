//! One image, looked at from the command line: where it is, what hangs on it, and what a policy
//! makes of that. What `verify` and `policy init` share.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, bail};
use jiff::Timestamp;
use sealift_core::credential::{CredentialAuthor, CredentialSource};
use sealift_core::digest::Digest;
use sealift_core::evidence::Evidence;
use sealift_core::reason::Reason;
use sealift_core::reference::{Canonical, Reference};
use sealift_registry::{Freshness, Layout, evidence_of};
use sealift_trust::{Case, Policy, Unverified, Verdict};

use super::options::{RegistryOptions, TrustOptions};
use crate::objects::files::FileObjects;
use crate::objects::{ListedPolicy, Objects};
use crate::policies::{InForce, Policies};
use crate::registries::{Registries, Source};
use crate::state::StateFolder;
use crate::trust_roots::{self, TrustRoots};

/// Which image, and how it is reached.
#[derive(Debug, clap::Args)]
pub(super) struct ImageArguments {
    /// The image: `ghcr.io/acme/shop:1.2.3`, or with `@sha256:…`
    pub(super) image: String,
    /// Read an OCI image layout instead of a registry
    #[arg(long, value_name = "DIR")]
    pub(super) layout: Option<PathBuf>,
    /// Credential source: `env:NAME`, `ext:/path`
    #[arg(long, value_name = "SOURCE")]
    pub(super) credentials: Option<String>,
    /// Folder for caches and trust roots [default: none is kept]
    #[arg(long, value_name = "DIR", env = "SEALIFT_STATE_DIR")]
    pub(super) state_dir: Option<PathBuf>,
    /// Namespace of documents that name none
    #[arg(long, env = "ARGOCD_NAMESPACE", default_value = "argocd")]
    pub(super) argocd_namespace: String,
    #[command(flatten)]
    pub(super) registry: RegistryOptions,
    #[command(flatten)]
    pub(super) trust: TrustOptions,
}

/// Everything that looking at one image takes.
pub(super) struct Look {
    pub(super) image: Reference,
    pub(super) canonical: Canonical,
    layout: Option<PathBuf>,
    credentials: Option<CredentialSource>,
    registries: Registries,
    policies: Policies,
    objects: Arc<dyn Objects>,
    _state: StateFolder,
    _temporary: Option<tempfile::TempDir>,
}

/// What was found of an image.
pub(super) struct Found {
    pub(super) digest: Digest,
    /// What hangs on it.
    pub(super) evidence: Evidence,
    /// What hangs on its platforms, where the policy asks for that.
    pub(super) platforms: Vec<Evidence>,
}

impl Look {
    /// Opens state, registries and trust roots.
    ///
    /// # Errors
    /// The arguments name no image, or something that they name cannot be used.
    pub(super) fn open(arguments: &ImageArguments) -> anyhow::Result<Self> {
        let image = Reference::parse(arguments.image.trim());
        if image.name.is_empty() {
            bail!("`{}` is no image; nothing was looked at", arguments.image);
        }
        let (folder, temporary) = match &arguments.state_dir {
            Some(folder) => (folder.clone(), None),
            None => {
                let temporary = tempfile::tempdir()?;
                (temporary.path().join("state"), Some(temporary))
            }
        };
        let state = StateFolder::open(&folder)?;
        let registries = Registries::open(&arguments.registry, &state)?;
        let expired = &arguments.trust.unsafe_expired_trust_root;
        let copies = state.subfolder(trust_roots::FOLDER)?;
        let roots = TrustRoots::open(registries.net(), copies, expired)?;
        let credentials = arguments
            .credentials
            .as_deref()
            .map(|text| CredentialSource::parse(text, CredentialAuthor::Operator));
        Ok(Self {
            canonical: image.canonical(),
            image,
            layout: arguments.layout.clone(),
            credentials: credentials.transpose().context("`--credentials`")?,
            policies: Policies::new(Unverified::Refuse, &arguments.argocd_namespace, roots),
            registries,
            objects: Arc::new(FileObjects::default()),
            _state: state,
            _temporary: temporary,
        })
    }

    /// Reads policies with all that they name.
    ///
    /// # Errors
    /// One of them is invalid.
    pub(super) async fn in_force(
        &self,
        listed: &[ListedPolicy],
        now: Timestamp,
    ) -> anyhow::Result<InForce> {
        let taken = self.policies.take(listed, self.objects.as_ref(), now).await;
        let (in_force, remarks) = taken;
        let invalid = remarks
            .iter()
            .filter(|one| matches!(one.reason, Reason::PolicyInvalid | Reason::ExceptionInvalid));
        let invalid: Vec<String> = invalid.map(|one| one.detail.clone()).collect();
        if !invalid.is_empty() {
            let all = invalid.join("; ");
            bail!("{all}; the image was not verified (`sealift policy check` says more)");
        }
        for remark in &remarks {
            tracing::warn!(reason = remark.reason.id(), "{}", remark.detail);
        }
        Ok(in_force)
    }

    /// Judges what was found.
    pub(super) fn judge(&self, found: &Found, policy: &Policy, now: Timestamp) -> Verdict {
        let case = Case {
            digest: found.digest,
            tag: self.image.tag.as_deref(),
            evidence: &found.evidence,
            platforms: &found.platforms,
            change: None,
        };
        self.policies.judge().judge(&case, policy, now)
    }

    /// Finds the image and what hangs on it, in all places that `policy` names.
    ///
    /// # Errors
    /// There is no such image, or it cannot be asked for.
    pub(super) async fn find(
        &self,
        policy: Option<&Policy>,
        now: Timestamp,
    ) -> anyhow::Result<Found> {
        let found = match &self.layout {
            Some(folder) => self.in_layout(folder, policy)?,
            None => self.in_registry(policy, now).await?,
        };
        self.registries.flush();
        Ok(found)
    }

    fn in_layout(&self, folder: &Path, policy: Option<&Policy>) -> anyhow::Result<Found> {
        let shown = folder.display();
        let layout = Layout::open(folder).with_context(|| format!("the layout `{shown}`"))?;
        let digest = match self.image.typed_digest() {
            Some(digest) => digest,
            // A layout of one image need not name it.
            None => match self.image.tag.as_deref() {
                Some(tag) if layout.names().contains(&tag) => layout.resolve(Some(tag))?,
                Some(tag) if layout.names().iter().any(|name| !is_artifact(name)) => bail!(
                    "the layout `{shown}` holds no `{tag}`; it has `{}`",
                    layout.names().join("`, `")
                ),
                _ => layout.resolve(None)?,
            },
        };
        let mut platforms = Vec::new();
        if policy.is_some_and(Policy::wants_platforms) {
            let listed = layout.platform_manifests(digest)?;
            platforms.extend(listed.iter().map(|one| layout.evidence(one.digest)));
        }
        Ok(Found {
            digest,
            evidence: layout.evidence(digest),
            platforms,
        })
    }

    async fn in_registry(&self, policy: Option<&Policy>, now: Timestamp) -> anyhow::Result<Found> {
        let own_secret = self.credentials.as_ref();
        let (source, _) = self
            .registries
            .source(&self.image, own_secret, &self.objects)?;
        let digest = match self.image.typed_digest() {
            Some(digest) => digest,
            None => resolve(&source, &self.image, now).await?,
        };
        let mut found = Found {
            digest,
            evidence: Evidence::none(digest),
            platforms: Vec::new(),
        };
        if policy.is_some_and(|policy| !policy.wants_evidence()) {
            return Ok(found);
        }
        let mut sources = vec![source.evidence()];
        for place in policy.into_iter().flat_map(Policy::places) {
            let secret = own_secret.filter(|_| place.registry == self.canonical.registry);
            let reference = Reference::parse(&place.to_string());
            let (other, _) = self.registries.source(&reference, secret, &self.objects)?;
            sources.push(other.evidence());
        }
        if policy.is_some_and(Policy::wants_platforms) {
            let registry = &source.registry;
            let listed = registry
                .platform_manifests(&source.repository, digest, &source.access)
                .await?;
            for platform in listed {
                found
                    .platforms
                    .push(evidence_of(&sources, platform.digest).await);
            }
        }
        found.evidence = evidence_of(&sources, digest).await;
        Ok(found)
    }
}

fn is_artifact(name: &str) -> bool {
    sealift_core::select::is_artifact_tag(name)
}

async fn resolve(source: &Source, image: &Reference, now: Timestamp) -> anyhow::Result<Digest> {
    let tag = image.tag.as_deref().unwrap_or("latest");
    let asked = source
        .registry
        .resolve(
            &source.repository,
            tag,
            Freshness::Asked,
            &source.access,
            now,
        )
        .await?;
    let found = asked.with_context(|| format!("the tag `{tag}` of `{image}` does not exist"))?;
    Ok(found.digest)
}
