//! An OCI image layout: one folder that holds what a registry would. OCI image-spec v1.1, "Image
//! Layout".
//!
//! No sockets. The folder is as little believed as a registry: sizes are bounded, blobs are checked
//! against their digest, and no link may lead out of it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sealift_core::digest::Digest;
use sealift_core::evidence::{Evidence, Way};
use sealift_core::limits;
use sealift_core::reason::Reason;
use sealift_core::select::is_artifact_tag;
use serde::Deserialize;

use crate::error::RegistryError;
use crate::evidence::{
    Carrier, Child, Draft, Missing, PlatformManifest, Referrers, attestation_tag, children,
    fallback_tag, nested, signature_tag,
};
use crate::manifest::{Manifest, ManifestKind, ManifestProblem, is_image_config, parse_config};

/// The annotation that names an entry of `index.json`.
const REF_NAME: &str = "org.opencontainers.image.ref.name";

/// An opened image layout.
#[derive(Debug, Clone)]
pub struct Layout {
    root: PathBuf,
    shown: String,
    entries: Vec<Entry>,
}

/// One manifest that `index.json` lists.
#[derive(Debug, Clone)]
struct Entry {
    digest: Digest,
    name: Option<String>,
}

impl Layout {
    /// Opens the layout in `folder`.
    ///
    /// # Errors
    /// [`RegistryError::Layout`]: it is none, or one of a later version;
    /// [`RegistryError::TooMuch`].
    pub fn open(folder: &Path) -> Result<Self, RegistryError> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Marker {
            image_layout_version: String,
        }
        let shown = folder.display().to_string();
        let unusable = |why: String| RegistryError::Layout {
            path: shown.clone(),
            why,
        };
        let root = fs::canonicalize(folder).map_err(|error| unusable(error.to_string()))?;
        let mut layout = Self {
            root,
            shown: shown.clone(),
            entries: Vec::new(),
        };
        let marker = layout.read("oci-layout", limits::MANIFEST_BYTES_MAX)?;
        let marker: Marker = serde_json::from_slice(&marker)
            .map_err(|error| unusable(format!("`oci-layout`: {error}")))?;
        if !marker.image_layout_version.starts_with("1.") {
            let version = marker.image_layout_version.escape_debug().to_string();
            return Err(unusable(format!("its version is `{version}`, not 1.x")));
        }
        let index = layout.read("index.json", limits::MANIFEST_BYTES_MAX)?;
        layout.entries = entries(&index).map_err(|why| unusable(format!("`index.json`: {why}")))?;
        if layout.entries.len() > limits::LAYOUT_MANIFESTS_MAX {
            return Err(RegistryError::TooMuch {
                host: shown,
                what: "`index.json`".to_owned(),
                limit: limits::LAYOUT_MANIFESTS_MAX,
                unit: "manifests",
            });
        }
        Ok(layout)
    }

    /// The names of its images, in order: tags, in most cases. Tags that hold signatures are none.
    #[must_use]
    pub fn names(&self) -> Vec<&str> {
        let names = self
            .entries
            .iter()
            .filter_map(|entry| entry.name.as_deref());
        let names: BTreeSet<&str> = names.filter(|name| !is_artifact_tag(name)).collect();
        names.into_iter().collect()
    }

    /// The digest of the image called `name`, which may also be a digest that `index.json` lists;
    /// without a name that of the only image.
    ///
    /// # Errors
    /// [`RegistryError::Layout`]: there is none, or more than one.
    pub fn resolve(&self, name: Option<&str>) -> Result<Digest, RegistryError> {
        let named = |name: &str| {
            let digest = name.parse::<Digest>().ok();
            let fits = |entry: &&Entry| {
                entry.name.as_deref() == Some(name) || Some(entry.digest) == digest
            };
            let entries = self.entries.iter().filter(fits);
            entries.map(|entry| entry.digest).collect::<BTreeSet<_>>()
        };
        let found = match name {
            Some(name) => named(name),
            None => self.images()?,
        };
        let mut found = found.into_iter();
        match (found.next(), found.next(), name) {
            (Some(digest), None, _) => Ok(digest),
            (None, _, Some(name)) => Err(self.unusable(format!(
                "it holds no `{}`, but {}",
                name.escape_debug(),
                self.shown_names()
            ))),
            (None, _, None) => Err(self.unusable("it holds no image".to_owned())),
            (Some(_), Some(_), _) => Err(self.unusable(format!(
                "it holds more than one image ({}); name one",
                self.shown_names()
            ))),
        }
    }

    /// The images that `digest` stands for, as [`crate::Registry::platform_manifests`] tells them.
    ///
    /// # Errors
    /// [`RegistryError`]
    pub fn platform_manifests(
        &self,
        digest: Digest,
    ) -> Result<Vec<PlatformManifest>, RegistryError> {
        let manifest = self.manifest(digest)?;
        let mut images = Vec::new();
        for child in children(&self.shown, &manifest)? {
            let (digest, manifest) = match child {
                Child::Known(image) => {
                    images.push(image);
                    continue;
                }
                Child::Open(digest) => (digest, self.manifest(digest)?),
            };
            let ManifestKind::Image { config } = &manifest.kind else {
                return Err(nested(&self.shown, digest.to_string()));
            };
            if is_image_config(&config.media_type) {
                let bytes = self.blob(config.digest, limits::IMAGE_CONFIG_BYTES_MAX)?;
                let platform = parse_config(&bytes).ok().and_then(|config| config.platform);
                images.push(PlatformManifest { platform, digest });
            }
        }
        Ok(images)
    }

    /// What the layout holds about `subject` besides the image. Looked at are the manifests of
    /// `index.json` that are about it, those that a fallback index lists, and cosign's tags.
    #[must_use]
    pub fn evidence(&self, subject: Digest) -> Evidence {
        let mut draft = Draft::new(subject, self.shown.clone());
        for (way, tag) in [
            (Way::SignatureTag, signature_tag(subject)),
            (Way::AttestationTag, attestation_tag(subject)),
        ] {
            for digest in self.tagged(&tag) {
                match self.blob(digest, limits::MANIFEST_BYTES_MAX) {
                    Ok(bytes) => draft.tagged(way, &bytes),
                    Err(error) => draft.gap(&tag, error),
                }
            }
        }
        let referrers = self.referrers(subject, &mut draft);
        if referrers.len() > limits::REFERRERS_MAX {
            let detail = format!("more than {} referrers", limits::REFERRERS_MAX);
            let missing = Missing::new(Reason::EvidenceLimit, detail);
            draft.gap(format!("referrers of {subject}"), missing);
        }
        for digest in referrers.into_iter().take(limits::REFERRERS_MAX) {
            match self.blob(digest, limits::MANIFEST_BYTES_MAX) {
                Ok(bytes) => draft.referrer(digest, &bytes),
                Err(error) => draft.gap(format!("manifest {digest}"), error),
            }
        }
        for wanted in draft.plan() {
            let blob = self.blob(wanted.digest, wanted.bytes_max);
            draft.settle(wanted, blob.map_err(Missing::from));
        }
        draft.finish()
    }

    /// The manifests that may be about `subject`: those that say so, and those that its fallback
    /// index lists.
    fn referrers(&self, subject: Digest, draft: &mut Draft) -> BTreeSet<Digest> {
        let mut referrers = BTreeSet::new();
        let fallback = fallback_tag(subject);
        for digest in self.tagged(&fallback) {
            let read = self.blob(digest, limits::REFERRERS_PAGE_BYTES_MAX);
            match read.map(|bytes| Referrers::parse(&bytes)) {
                Ok(Ok(listed)) => {
                    referrers.extend(listed.digests);
                    if listed.unsupported > 0 {
                        let detail = "it lists digests that are not sha256";
                        let missing = Missing::new(Reason::EvidenceUnsupported, detail);
                        draft.gap(&fallback, missing);
                    }
                }
                Ok(Err(problem)) => {
                    let missing = Missing::new(Reason::EvidenceMalformed, problem.to_string());
                    draft.gap(&fallback, missing);
                }
                Err(error) => draft.gap(&fallback, error),
            }
        }
        let about = Some(subject.to_string());
        for entry in &self.entries {
            match self.blob(entry.digest, limits::MANIFEST_BYTES_MAX) {
                // One that cannot be read as a manifest is about nothing.
                Ok(bytes) => {
                    let carrier = Carrier::parse(&bytes);
                    if carrier.is_ok_and(|carrier| carrier.subject == about) {
                        referrers.insert(entry.digest);
                    }
                }
                Err(error) => draft.gap(format!("manifest {}", entry.digest), error),
            }
        }
        referrers
    }

    /// Every image: entries with a name, else those without that no other entry holds, and that are
    /// about nothing else.
    fn images(&self) -> Result<BTreeSet<Digest>, RegistryError> {
        let is_image = |entry: &&Entry| {
            let name = entry.name.as_deref();
            name.is_some_and(|name| !is_artifact_tag(name))
        };
        let named: BTreeSet<Digest> = self
            .entries
            .iter()
            .filter(is_image)
            .map(|entry| entry.digest)
            .collect();
        if !named.is_empty() {
            return Ok(named);
        }
        let (mut images, mut below) = (BTreeSet::new(), BTreeSet::new());
        for entry in self.entries.iter().filter(|entry| entry.name.is_none()) {
            let bytes = self.blob(entry.digest, limits::MANIFEST_BYTES_MAX)?;
            if let Ok(listed) = Referrers::parse(&bytes) {
                below.extend(listed.digests);
            }
            if Carrier::parse(&bytes).is_ok_and(|carrier| carrier.subject.is_none()) {
                images.insert(entry.digest);
            }
        }
        Ok(images.difference(&below).copied().collect())
    }

    /// What `tag` names; more than one where the layout is odd.
    fn tagged(&self, tag: &str) -> BTreeSet<Digest> {
        let named = |entry: &&Entry| entry.name.as_deref() == Some(tag);
        let entries = self.entries.iter().filter(named);
        entries.map(|entry| entry.digest).collect()
    }

    fn manifest(&self, digest: Digest) -> Result<Manifest, RegistryError> {
        let bytes = self.blob(digest, limits::MANIFEST_BYTES_MAX)?;
        Manifest::parse(bytes.to_vec().into()).map_err(|problem| match problem {
            ManifestProblem::Unreadable(why) => RegistryError::Unreadable {
                host: self.shown.clone(),
                what: format!("the manifest {digest}"),
                why,
            },
            ManifestProblem::Unsupported(kind) => RegistryError::Unsupported {
                host: self.shown.clone(),
                what: format!("the manifest {digest}"),
                kind,
            },
        })
    }

    /// The content of `digest`, which it has.
    fn blob(&self, digest: Digest, bytes_max: usize) -> Result<Arc<[u8]>, RegistryError> {
        let bytes = self.read(&format!("blobs/sha256/{}", digest.hex()), bytes_max)?;
        let got = Digest::of(&bytes);
        if got != digest {
            return Err(RegistryError::DigestMismatch {
                host: self.shown.clone(),
                what: format!("the blob {digest}"),
                expected: digest,
                got,
            });
        }
        Ok(bytes.into())
    }

    /// A regular file of the layout, if it has at most `bytes_max` bytes and lies in the folder.
    fn read(&self, path: &str, bytes_max: usize) -> Result<Vec<u8>, RegistryError> {
        let shown = || format!("{}/{path}", self.shown);
        let failed = |error: std::io::Error| RegistryError::Layout {
            path: shown(),
            why: error.to_string(),
        };
        let refused = |why: &str| RegistryError::Layout {
            path: shown(),
            why: why.to_owned(),
        };
        let real = fs::canonicalize(self.root.join(path)).map_err(failed)?;
        if !real.starts_with(&self.root) {
            return Err(refused("a symbolic link leads out of the layout"));
        }
        // A pipe would never end, and a device has no size.
        if !fs::metadata(&real).map_err(failed)?.is_file() {
            return Err(refused("it is no regular file"));
        }
        let mut bytes = Vec::new();
        let limit = (bytes_max as u64).saturating_add(1);
        let mut file = File::open(&real).map_err(failed)?.take(limit);
        file.read_to_end(&mut bytes).map_err(failed)?;
        if bytes.len() > bytes_max {
            return Err(RegistryError::TooLarge {
                what: shown(),
                limit_bytes: bytes_max,
            });
        }
        Ok(bytes)
    }

    fn shown_names(&self) -> String {
        let names = self.names();
        let shown: Vec<String> = names
            .iter()
            .take(limits::EVIDENCE_PLATFORMS_MAX)
            .map(|name| format!("`{}`", name.escape_debug()))
            .collect();
        match shown.is_empty() {
            true => "none with a name".to_owned(),
            false => shown.join(", "),
        }
    }

    fn unusable(&self, why: String) -> RegistryError {
        RegistryError::Layout {
            path: self.shown.clone(),
            why,
        }
    }
}

fn entries(index: &[u8]) -> Result<Vec<Entry>, String> {
    #[derive(Deserialize)]
    struct Index {
        manifests: Vec<Raw>,
    }
    #[derive(Deserialize)]
    struct Raw {
        digest: Digest,
        #[serde(default)]
        annotations: Option<BTreeMap<String, String>>,
    }
    let index: Index = serde_json::from_slice(index).map_err(|error| error.to_string())?;
    let entry = |raw: Raw| Entry {
        digest: raw.digest,
        name: raw.annotations.and_then(|mut all| all.remove(REF_NAME)),
    };
    Ok(index.manifests.into_iter().map(entry).collect())
}
