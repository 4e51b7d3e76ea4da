//! Evidence in the making: what was found so far, what is still to be fetched, and where a bound
//! was reached.
//!
//! Pure. The order in which answers arrive changes nothing: manifests are added and blobs are
//! planned in a fixed order.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use sealift_core::digest::Digest;
use sealift_core::evidence::{Evidence, Form, Gap, Item, Place, Way};
use sealift_core::limits;
use sealift_core::reason::Reason;

use super::parse::{Carrier, Layer};
use crate::error::RegistryError;

/// Where referrers are listed by a client whose registry has no referrers API.
pub(crate) fn fallback_tag(subject: Digest) -> String {
    format!("sha256-{}", subject.hex())
}

/// Where cosign puts signatures.
pub(crate) fn signature_tag(subject: Digest) -> String {
    format!("{}.sig", fallback_tag(subject))
}

/// Where cosign puts attestations.
pub(crate) fn attestation_tag(subject: Digest) -> String {
    format!("{}.att", fallback_tag(subject))
}

/// Why something could not be read.
#[derive(Debug, Clone)]
pub(crate) struct Missing {
    pub(crate) reason: Reason,
    pub(crate) detail: String,
}

impl Missing {
    pub(crate) fn new(reason: Reason, detail: impl Into<String>) -> Self {
        let detail = detail.into();
        Self { reason, detail }
    }
}

impl From<RegistryError> for Missing {
    fn from(error: RegistryError) -> Self {
        Self::new(error.reason(), error.chain())
    }
}

/// What a layer is read as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Bundle,
    SimpleSigning,
    Envelope,
}

impl Kind {
    fn of(media_type: &str) -> Option<Self> {
        const BUNDLE: &str = "application/vnd.dev.sigstore.bundle";
        const SIMPLE_SIGNING: &str = "application/vnd.dev.cosign.simplesigning.v1+json";
        const ENVELOPE: &str = "application/vnd.dsse.envelope.v1+json";
        // `application/vnd.in-toto+json`, `…in-toto+dsse`, `…in-toto.provenance+dsse`.
        const IN_TOTO: &str = "application/vnd.in-toto";
        match media_type {
            SIMPLE_SIGNING => Some(Self::SimpleSigning),
            ENVELOPE => Some(Self::Envelope),
            _ if media_type.starts_with(BUNDLE) => Some(Self::Bundle),
            _ if media_type.starts_with(IN_TOTO) => Some(Self::Envelope),
            _ => None,
        }
    }
}

/// A layer whose blob is to be fetched.
#[derive(Debug, Clone)]
pub(crate) struct Wanted {
    pub(crate) place: Place,
    pub(crate) digest: Digest,
    /// As the manifest states it, within its bound: more need not be read.
    pub(crate) bytes_max: usize,
    kind: Kind,
    annotations: BTreeMap<String, String>,
}

impl Wanted {
    fn form(self, bytes: Arc<[u8]>) -> Item {
        let annotations = self.annotations;
        let form = match self.kind {
            Kind::Bundle => Form::Bundle(bytes),
            Kind::SimpleSigning => Form::SimpleSigning {
                payload: bytes,
                annotations,
            },
            Kind::Envelope => Form::Envelope {
                envelope: bytes,
                annotations,
            },
        };
        Item {
            place: self.place,
            form,
        }
    }
}

/// What was found so far about one subject in one repository.
#[derive(Debug)]
pub(crate) struct Draft {
    subject: Digest,
    repository: String,
    bytes: usize,
    full: bool,
    wanted: BTreeMap<Place, Wanted>,
    items: BTreeSet<Item>,
    gaps: BTreeSet<Gap>,
}

impl Draft {
    pub(crate) fn new(subject: Digest, repository: String) -> Self {
        Self {
            subject,
            repository,
            bytes: 0,
            full: false,
            wanted: BTreeMap::new(),
            items: BTreeSet::new(),
            gaps: BTreeSet::new(),
        }
    }

    /// Notes that `asked`, which is known to be there, could not be read.
    pub(crate) fn gap(&mut self, asked: impl fmt::Display, missing: impl Into<Missing>) {
        self.note(asked, missing.into(), false);
    }

    /// Notes that `asked`, a list of what there is, could not be read to its end. A bound of ours
    /// that is reached hides nothing on its own: anybody who may push can reach it.
    pub(crate) fn list_gap(&mut self, asked: impl fmt::Display, missing: impl Into<Missing>) {
        let missing = missing.into();
        let hides = missing.reason != Reason::EvidenceLimit;
        self.note(asked, missing, hides);
    }

    fn note(&mut self, asked: impl fmt::Display, missing: Missing, hides: bool) {
        let Missing { reason, detail } = missing;
        self.gaps.insert(Gap {
            asked: format!("{asked} in {}", self.repository),
            hides,
            reason,
            detail,
        });
    }

    /// Whether something had no room: then nothing more need be fetched.
    pub(crate) fn is_full(&self) -> bool {
        self.full
    }

    /// Notes that `asked` has no room.
    pub(crate) fn left_out(&mut self, asked: impl fmt::Display) {
        let detail = format!("more than {} bytes together", limits::EVIDENCE_BYTES_MAX);
        self.gap(asked, Missing::new(Reason::EvidenceLimit, detail));
    }

    /// Takes in a referrer. One about another subject is none of ours: whoever listed it lied, and
    /// nothing is missing.
    pub(crate) fn referrer(&mut self, digest: Digest, bytes: &[u8]) {
        let asked = format!("manifest {digest}");
        let Some(carrier) = self.read(&asked, bytes) else {
            return;
        };
        if carrier.subject != Some(self.subject.to_string()) {
            return;
        }
        // A bundle stands alone in its manifest: cosign, too, reads no other.
        let alone = carrier.layer_count == 1;
        let kind = |layer: &Layer| {
            Kind::of(&layer.media_type).filter(|kind| alone || *kind != Kind::Bundle)
        };
        self.layers(Way::Referrers, digest, carrier, kind);
    }

    /// Takes in a manifest that one of cosign's tags names. The tag is what binds it to the
    /// subject, and what is in it is bound by what was signed.
    pub(crate) fn tagged(&mut self, way: Way, bytes: &[u8]) {
        let digest = Digest::of(bytes);
        let asked = format!("manifest {digest}");
        if let Some(carrier) = self.read(&asked, bytes) {
            self.layers(way, digest, carrier, |layer| Kind::of(&layer.media_type));
        }
    }

    /// What is left to fetch, in the order to fetch it in, and what will be kept of it.
    pub(crate) fn plan(&mut self) -> Vec<Wanted> {
        let mut planned = Vec::new();
        for wanted in std::mem::take(&mut self.wanted).into_values() {
            let asked = layer_name(&wanted.place);
            if planned.len() >= limits::EVIDENCE_ITEMS_MAX {
                let detail = format!("more than {} items", limits::EVIDENCE_ITEMS_MAX);
                self.gap(asked, Missing::new(Reason::EvidenceLimit, detail));
            } else if self.has_room(&asked, wanted.bytes_max) {
                planned.push(wanted);
            }
        }
        // Items that nobody reads must not push out those that may be signatures.
        let room = limits::EVIDENCE_ITEMS_MAX - planned.len();
        if self.items.len() > room {
            self.items = std::mem::take(&mut self.items)
                .into_iter()
                .take(room)
                .collect();
            let detail = format!("more than {} items", limits::EVIDENCE_ITEMS_MAX);
            let asked = format!("what hangs on {}", self.subject);
            self.gap(asked, Missing::new(Reason::EvidenceLimit, detail));
        }
        planned
    }

    /// Takes in the blob of a wanted layer, or why there is none.
    pub(crate) fn settle(&mut self, wanted: Wanted, blob: Result<Arc<[u8]>, Missing>) {
        match blob {
            Ok(bytes) if bytes.len() > wanted.bytes_max => {
                let detail = "it is larger than its manifest says";
                let missing = Missing::new(Reason::BodyTooLarge, detail);
                self.gap(layer_name(&wanted.place), missing);
            }
            Ok(bytes) => drop(self.items.insert(wanted.form(bytes))),
            Err(missing) => self.gap(layer_name(&wanted.place), missing),
        }
    }

    /// What was found.
    pub(crate) fn finish(self) -> Evidence {
        Evidence {
            subject: self.subject,
            items: self.items.into_iter().collect(),
            gaps: self.gaps.into_iter().collect(),
        }
    }

    fn read(&mut self, asked: &str, bytes: &[u8]) -> Option<Carrier> {
        if !self.has_room(&asked, bytes.len()) {
            return None;
        }
        match Carrier::parse(bytes) {
            Ok(carrier) => Some(carrier),
            Err(problem) => {
                self.gap(
                    asked,
                    Missing::new(Reason::EvidenceMalformed, problem.to_string()),
                );
                None
            }
        }
    }

    fn layers(
        &mut self,
        way: Way,
        manifest: Digest,
        carrier: Carrier,
        kind: impl Fn(&Layer) -> Option<Kind>,
    ) {
        let repository = self.repository.clone();
        let place = |layer| Place {
            repository: repository.clone(),
            way,
            manifest,
            layer,
        };
        if carrier.layer_count > carrier.layers.len() {
            let detail = format!("more than {} layers", limits::EVIDENCE_LAYERS_MAX);
            let missing = Missing::new(Reason::EvidenceLimit, detail);
            self.gap(format!("manifest {manifest}"), missing);
        }
        if !carrier.layers.iter().any(|layer| kind(layer).is_some()) {
            self.items.insert(Item {
                place: place(0),
                form: Form::Unread {
                    artifact_type: carrier.artifact_type,
                },
            });
            return;
        }
        for (position, layer) in carrier.layers.into_iter().enumerate() {
            if let Some(kind) = kind(&layer) {
                self.layer(place(position), kind, layer);
            }
        }
    }

    fn layer(&mut self, place: Place, kind: Kind, layer: Layer) {
        let annotations = |(name, value): (&String, &String)| name.len() + value.len();
        let annotation_bytes: usize = layer.annotations.iter().map(annotations).sum();
        let size = layer.size.and_then(|size| usize::try_from(size).ok());
        let missing = match (layer.digest.parse(), size) {
            _ if annotation_bytes > limits::EVIDENCE_ANNOTATIONS_BYTES_MAX => Missing::new(
                Reason::EvidenceLimit,
                format!(
                    "its annotations have more than {} bytes",
                    limits::EVIDENCE_ANNOTATIONS_BYTES_MAX
                ),
            ),
            (Ok(digest), Some(bytes_max)) if bytes_max <= limits::EVIDENCE_BLOB_BYTES_MAX => {
                let wanted = Wanted {
                    place: place.clone(),
                    digest,
                    bytes_max,
                    kind,
                    annotations: layer.annotations,
                };
                self.wanted.insert(place, wanted);
                return;
            }
            (Ok(_), Some(_)) => Missing::new(
                Reason::BodyTooLarge,
                format!("it has more than {} bytes", limits::EVIDENCE_BLOB_BYTES_MAX),
            ),
            (Err(problem), _) => Missing::new(Reason::EvidenceUnsupported, problem.to_string()),
            (Ok(_), None) => Missing::new(Reason::EvidenceMalformed, "its size is not stated"),
        };
        self.gap(layer_name(&place), missing);
    }

    /// Whether `bytes` more may be held; if not, that is a gap.
    fn has_room(&mut self, asked: &impl fmt::Display, bytes: usize) -> bool {
        if self.bytes + bytes <= limits::EVIDENCE_BYTES_MAX {
            self.bytes += bytes;
            return true;
        }
        self.full = true;
        self.left_out(asked);
        false
    }
}

fn layer_name(place: &Place) -> String {
    format!("layer {} of {}", place.layer, place.manifest)
}
