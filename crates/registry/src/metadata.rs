//! What a tag names, and what the image says about itself: digests by `HEAD`, manifests,
//! configurations.
//!
//! Every byte is checked against the digest it was asked for by. A manifest or configuration is
//! fetched once for a registry and credential, however many tags and repositories name it, and how
//! many tasks ask at once. OCI distribution-spec v1.1, "Pulling manifests", "Pulling blobs".

use std::sync::Arc;

use bytes::Bytes;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use futures_util::stream::{self, StreamExt as _};
use http::{HeaderValue, StatusCode};
use jiff::Timestamp;
use sealift_core::catalog::{ImageMetadata, TagMetadata};
use sealift_core::digest::Digest;
use sealift_core::limits;
use sealift_core::platform::Platform;
use sealift_net::{Kind, Request, Response};

use crate::access::Access;
use crate::client::Registry;
use crate::error::RegistryError;
use crate::manifest::{
    self, ACCEPT, Descriptor, ImageConfig, Manifest, ManifestKind, ManifestProblem,
};
use crate::memory::Observation;
use crate::name::{RepositoryName, is_tag};
use crate::store::{Content, scope};

/// How new an answer must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Freshness {
    /// What was remembered will do, while the listing has not changed, for at most a day.
    Remembered,
    /// The registry must be asked now.
    Asked,
}

/// What a tag names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Resolved {
    /// The digest of its manifest or index.
    pub digest: Digest,
    /// How that compares with what was remembered.
    pub observation: Observation,
}

/// Which platforms' configurations are to be read.
pub type Wanted<'a> = &'a (dyn Fn(&Platform) -> bool + Send + Sync);

impl Registry {
    /// The digest that `tag` names now, by `HEAD`; `None` if there is no such tag. Asks, whatever
    /// is remembered, and remembers nothing.
    ///
    /// # Errors
    /// [`RegistryError`]
    pub async fn head(
        &self,
        repository: &RepositoryName,
        tag: &str,
        access: &Access,
    ) -> Result<Option<Digest>, RegistryError> {
        let what = format!("`{repository}:{tag}`");
        let url = self.manifest_url(repository, tag)?;
        let mut request = Request::head(Kind::ManifestHead, url);
        request
            .headers
            .insert("accept", HeaderValue::from_static(ACCEPT));
        let response = self.ask(access, repository, request, &what).await?;
        match response.status.as_u16() {
            404 => Ok(None),
            200 => match stated_digest(&response) {
                Some(digest) => Ok(Some(digest)),
                None => self.digest_by_get(repository, tag, access).await,
            },
            // Some registries know no `HEAD`.
            405 | 501 => self.digest_by_get(repository, tag, access).await,
            _ => Err(self.refused(&response, &what)),
        }
    }

    /// The digest that `tag` names, and whether it moved; `None` if there is no such tag.
    ///
    /// A tag that was never seen is fetched with its manifest, which is one request less than
    /// asking for the digest first.
    ///
    /// # Errors
    /// [`RegistryError`]
    pub async fn resolve(
        &self,
        repository: &RepositoryName,
        tag: &str,
        freshness: Freshness,
        access: &Access,
        now: Timestamp,
    ) -> Result<Option<Resolved>, RegistryError> {
        let memory = self.store.memory(&self.endpoint, access, repository);
        if freshness == Freshness::Remembered
            && let Some(digest) = memory.fresh(tag, now)
        {
            let observation = Observation::Same;
            return Ok(Some(Resolved {
                digest,
                observation,
            }));
        }
        let digest = match memory.knows(tag) {
            true => self.head(repository, tag, access).await?,
            false => self.digest_by_get(repository, tag, access).await?,
        };
        let Some(digest) = digest else {
            memory.forget(tag);
            return Ok(None);
        };
        let observation = memory.observe(tag, digest, now);
        Ok(Some(Resolved {
            digest,
            observation,
        }))
    }

    /// The manifest or index with this digest, from memory, disk or the registry.
    ///
    /// # Errors
    /// [`RegistryError`], [`RegistryError::DigestMismatch`] among them.
    pub async fn manifest(
        &self,
        repository: &RepositoryName,
        digest: Digest,
        access: &Access,
    ) -> Result<Arc<Manifest>, RegistryError> {
        let what = format!("`{repository}@{digest}`");
        let fetch = || async {
            let url = self
                .endpoint
                .url(&format!("{repository}/manifests/{digest}"));
            let mut request = Request::get(Kind::ManifestGet, url, limits::MANIFEST_BYTES_MAX);
            request
                .headers
                .insert("accept", HeaderValue::from_static(ACCEPT));
            let response = self.ask(access, repository, request, &what).await?;
            self.checked(response, digest, &what)
        };
        let parse = |bytes| self.parsed_manifest(digest, bytes, &what);
        match self.content(access, digest, fetch, parse).await? {
            Content::Manifest(manifest) => Ok(manifest),
            Content::Config(_) => Err(self.unreadable(&what, "it is an image configuration")),
            Content::Unusable(error) => Err(error),
        }
    }

    /// What the image with this digest says about itself.
    ///
    /// Of an index every platform is told, but only the configurations of platforms that are
    /// `wanted` (and of those the index does not name) are read: the others have neither date nor
    /// labels.
    ///
    /// # Errors
    /// [`RegistryError`]: nothing is told of an image that could not be read whole.
    pub async fn metadata(
        &self,
        repository: &RepositoryName,
        digest: Digest,
        wanted: Wanted<'_>,
        access: &Access,
    ) -> Result<TagMetadata, RegistryError> {
        let manifest = self.manifest(repository, digest, access).await?;
        let mut images = Vec::new();
        match &manifest.kind {
            ManifestKind::Image { config } => {
                images.extend(self.image(repository, digest, config, access).await?);
            }
            ManifestKind::Index { children } => {
                for child in children {
                    match &child.platform {
                        Some(platform) if !wanted(platform) => images.push(ImageMetadata {
                            digest: child.digest,
                            platform: platform.clone(),
                            created: None,
                            labels: Default::default(),
                        }),
                        _ => images.extend(self.child(repository, child, access).await?),
                    }
                }
            }
        }
        Ok(TagMetadata { digest, images })
    }

    /// [`Registry::resolve`] and [`Registry::metadata`] of one tag; `None` if it is gone.
    ///
    /// # Errors
    /// [`RegistryError`]
    pub async fn metadata_of_tag(
        &self,
        repository: &RepositoryName,
        tag: &str,
        wanted: Wanted<'_>,
        freshness: Freshness,
        access: &Access,
        now: Timestamp,
    ) -> Result<Option<(Resolved, TagMetadata)>, RegistryError> {
        let resolved = self
            .resolve(repository, tag, freshness, access, now)
            .await?;
        let Some(resolved) = resolved else {
            return Ok(None);
        };
        let metadata = self
            .metadata(repository, resolved.digest, wanted, access)
            .await?;
        Ok(Some((resolved, metadata)))
    }

    /// [`Registry::metadata_of_tag`] of many tags, in the order given.
    pub async fn metadata_of_tags<'a>(
        &'a self,
        repository: &'a RepositoryName,
        tags: impl IntoIterator<Item = &'a str>,
        wanted: Wanted<'a>,
        freshness: Freshness,
        access: &'a Access,
        now: Timestamp,
    ) -> Vec<Result<Option<(Resolved, TagMetadata)>, RegistryError>> {
        // Boxed, so that the compiler can tell the whole to be `Send` for every lifetime.
        let asks: Vec<BoxFuture<'a, _>> = tags
            .into_iter()
            .map(|tag| {
                self.metadata_of_tag(repository, tag, wanted, freshness, access, now)
                    .boxed()
            })
            .collect();
        stream::iter(asks)
            .buffered(limits::REQUESTS_PER_ORIGIN_MAX)
            .collect()
            .await
    }

    async fn child(
        &self,
        repository: &RepositoryName,
        child: &Descriptor,
        access: &Access,
    ) -> Result<Option<ImageMetadata>, RegistryError> {
        let manifest = self.manifest(repository, child.digest, access).await?;
        let ManifestKind::Image { config } = &manifest.kind else {
            return Ok(None);
        };
        let image = self.image(repository, child.digest, config, access).await?;
        // The index is what a runtime chooses by, so its word on the platform goes first.
        Ok(image.map(|image| ImageMetadata {
            platform: child.platform.clone().unwrap_or(image.platform),
            ..image
        }))
    }

    /// `None`: it is no image (a chart, a bill of materials).
    pub(crate) async fn image(
        &self,
        repository: &RepositoryName,
        digest: Digest,
        config: &Descriptor,
        access: &Access,
    ) -> Result<Option<ImageMetadata>, RegistryError> {
        if !manifest::is_image_config(&config.media_type) {
            return Ok(None);
        }
        let config = self.config(repository, config.digest, access).await?;
        let image = |platform: &Platform| ImageMetadata {
            digest,
            platform: platform.clone(),
            created: config.created,
            labels: config.labels.clone(),
        };
        Ok(config.platform.as_ref().map(image))
    }

    async fn config(
        &self,
        repository: &RepositoryName,
        digest: Digest,
        access: &Access,
    ) -> Result<Arc<ImageConfig>, RegistryError> {
        let what = format!("the configuration `{repository}@{digest}`");
        let fetch = || async {
            let url = self.endpoint.url(&format!("{repository}/blobs/{digest}"));
            let request = Request::get(Kind::Blob, url, limits::IMAGE_CONFIG_BYTES_MAX);
            let response = self.ask(access, repository, request, &what).await?;
            self.checked(response, digest, &what)
        };
        let parse = |bytes: Bytes| match manifest::parse_config(&bytes) {
            Ok(config) => Content::Config(Arc::new(config)),
            Err(error) => Content::Unusable(self.unreadable(&what, &error.to_string())),
        };
        match self.content(access, digest, fetch, parse).await? {
            Content::Config(config) => Ok(config),
            Content::Manifest(_) => Err(self.unreadable(&what, "it is a manifest")),
            Content::Unusable(error) => Err(error),
        }
    }

    /// Content by digest: from memory, else from disk, else from the registry, once for all who
    /// ask.
    async fn content<F: Future<Output = Result<Bytes, RegistryError>>>(
        &self,
        access: &Access,
        digest: Digest,
        fetch: impl Fn() -> F,
        parse: impl Fn(Bytes) -> Content,
    ) -> Result<Content, RegistryError> {
        let key = (scope(&self.endpoint, access), digest);
        if let Some(content) = self.store.content(&key) {
            return Ok(content);
        }
        let read = || async {
            if let Some(content) = self.store.content(&key) {
                return Ok(content);
            }
            let (bytes, stored) = match self.store.stored_bytes(&key) {
                Some(bytes) => (bytes, true),
                None => (fetch().await?, false),
            };
            let content = parse(bytes.clone());
            if !stored {
                self.store.keep_bytes(key, &bytes);
            }
            self.store.keep(key, content.clone());
            Ok(content)
        };
        self.store.flights.share(key, read).await
    }

    /// The digest of a tag by fetching its manifest, which is kept.
    async fn digest_by_get(
        &self,
        repository: &RepositoryName,
        tag: &str,
        access: &Access,
    ) -> Result<Option<Digest>, RegistryError> {
        let what = format!("`{repository}:{tag}`");
        let url = self.manifest_url(repository, tag)?;
        let mut request = Request::get(Kind::ManifestGet, url, limits::MANIFEST_BYTES_MAX);
        request
            .headers
            .insert("accept", HeaderValue::from_static(ACCEPT));
        let response = self.ask(access, repository, request, &what).await?;
        if response.status == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        let digest = Digest::of(&response.body);
        let bytes = self.checked(response, digest, &what)?;
        let content = self.parsed_manifest(digest, bytes.clone(), &what);
        let key = (scope(&self.endpoint, access), digest);
        self.store.keep_bytes(key, &bytes);
        self.store.keep(key, content);
        Ok(Some(digest))
    }

    pub(crate) fn manifest_url(
        &self,
        repository: &RepositoryName,
        tag: &str,
    ) -> Result<url::Url, RegistryError> {
        if !is_tag(tag) {
            return Err(RegistryError::NameInvalid {
                kind: "tag",
                text: tag.chars().take(limits::TAG_BYTES_MAX).collect(),
            });
        }
        Ok(self.endpoint.url(&format!("{repository}/manifests/{tag}")))
    }

    /// The body of a good answer, if it is what it should be, and what its header says it is.
    pub(crate) fn checked(
        &self,
        response: Response,
        expected: Digest,
        what: &str,
    ) -> Result<Bytes, RegistryError> {
        if response.status != StatusCode::OK {
            return Err(self.refused(&response, what));
        }
        let got = Digest::of(&response.body);
        let stated = stated_digest(&response).unwrap_or(expected);
        for expected in [expected, stated] {
            if got != expected {
                return Err(RegistryError::DigestMismatch {
                    host: self.host().to_owned(),
                    what: what.to_owned(),
                    expected,
                    got,
                });
            }
        }
        Ok(response.body)
    }

    fn parsed_manifest(&self, digest: Digest, bytes: Bytes, what: &str) -> Content {
        match manifest::parse(digest, bytes) {
            Ok(manifest) => Content::Manifest(Arc::new(manifest)),
            Err(ManifestProblem::Unreadable(why)) => Content::Unusable(self.unreadable(what, &why)),
            Err(ManifestProblem::Unsupported(kind)) => {
                Content::Unusable(RegistryError::Unsupported {
                    host: self.host().to_owned(),
                    what: what.to_owned(),
                    kind,
                })
            }
        }
    }

    pub(crate) fn unreadable(&self, what: &str, why: &str) -> RegistryError {
        RegistryError::Unreadable {
            host: self.host().to_owned(),
            what: what.to_owned(),
            why: why.to_owned(),
        }
    }
}

/// What the registry says the content is: a claim, which the bytes must confirm where they are
/// read.
fn stated_digest(response: &Response) -> Option<Digest> {
    let header = response.headers.get("docker-content-digest")?;
    header.to_str().ok()?.trim().parse().ok()
}
