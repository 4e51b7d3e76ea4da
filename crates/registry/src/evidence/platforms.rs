//! The images below a digest: the manifests that a runtime may choose, which a policy may want
//! signed one by one.
//!
//! OCI image-spec v1.1, "Image Index".

use std::collections::BTreeSet;

use sealift_core::digest::Digest;
use sealift_core::limits;
use sealift_core::platform::Platform;

use crate::access::Access;
use crate::client::Registry;
use crate::error::RegistryError;
use crate::manifest::{Descriptor, Manifest, ManifestKind, is_image_config, nests_indexes};
use crate::name::RepositoryName;

/// One image of an index, or an image by itself.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct PlatformManifest {
    /// What it runs on, as the index says, else as its configuration says. `None`: neither says.
    pub platform: Option<Platform>,
    /// Its manifest.
    pub digest: Digest,
}

impl Registry {
    /// The images that `digest` stands for, in the order of the index: attestation manifests
    /// (`unknown/unknown`) and artifacts that are no images are left out. An image stands for
    /// itself. Content by digest is fetched once.
    ///
    /// # Errors
    /// [`RegistryError::TooMuch`] past [`limits::EVIDENCE_PLATFORMS_MAX`], and
    /// [`RegistryError::Unsupported`] for an index within the index: whoever asks for all images
    /// must not be told of some.
    pub async fn platform_manifests(
        &self,
        repository: &RepositoryName,
        digest: Digest,
        access: &Access,
    ) -> Result<Vec<PlatformManifest>, RegistryError> {
        let manifest = self.manifest(repository, digest, access).await?;
        let mut images = Vec::new();
        for child in children(self.host(), &manifest)? {
            let (digest, manifest) = match child {
                Child::Known(image) => {
                    images.push(image);
                    continue;
                }
                Child::Open(digest) => (digest, self.manifest(repository, digest, access).await?),
            };
            let ManifestKind::Image { config } = &manifest.kind else {
                return Err(nested(self.host(), digest.to_string()));
            };
            if is_image_config(&config.media_type) {
                let image = self.image(repository, digest, config, access).await?;
                let platform = image.map(|image| image.platform);
                images.push(PlatformManifest { platform, digest });
            }
        }
        Ok(images)
    }
}

/// One image that a manifest or index names.
pub(crate) enum Child {
    /// The index says all there is to say.
    Known(PlatformManifest),
    /// Its manifest and configuration must be opened.
    Open(Digest),
}

/// What is below `manifest`, each digest once; the manifest itself if it is no index. `host` is for
/// errors.
pub(crate) fn children(host: &str, manifest: &Manifest) -> Result<Vec<Child>, RegistryError> {
    let ManifestKind::Index { children } = &manifest.kind else {
        return Ok(vec![Child::Open(manifest.digest)]);
    };
    let what = format!("the index {}", manifest.digest);
    if nests_indexes(&manifest.bytes) {
        return Err(nested(host, what));
    }
    if children.len() > limits::EVIDENCE_PLATFORMS_MAX {
        return Err(RegistryError::TooMuch {
            host: host.to_owned(),
            what,
            limit: limits::EVIDENCE_PLATFORMS_MAX,
            unit: "platforms",
        });
    }
    let mut seen = BTreeSet::new();
    let once = children.iter().filter(|child| {
        let platform = child.platform.as_ref().map(ToString::to_string);
        seen.insert((child.digest, platform))
    });
    let child = |child: &Descriptor| match &child.platform {
        Some(platform) => Child::Known(PlatformManifest {
            platform: Some(platform.clone()),
            digest: child.digest,
        }),
        None => Child::Open(child.digest),
    };
    Ok(once.map(child).collect())
}

/// A runtime would go on below it, and nobody would have looked there.
pub(crate) fn nested(host: &str, what: String) -> RegistryError {
    RegistryError::Unsupported {
        host: host.to_owned(),
        what,
        kind: "an index within an index",
    }
}
