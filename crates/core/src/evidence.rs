//! What a registry holds about one digest besides the image: signatures and attestations, unjudged.
//!
//! Nothing here is believed. Whoever may push may put anything here, so an item is bytes with the
//! place they came from, and only `sealift_trust::judge` makes something of them. What could not be
//! read whole is a [`Gap`]: evidence with a gap is incomplete, and that is never the same as "there
//! is no signature".

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::digest::Digest;
use crate::limits;
use crate::reason::Reason;

/// Everything that was found for one subject digest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evidence {
    /// The digest that was asked about: an index or a platform's manifest.
    pub subject: Digest,
    /// What was found, in a fixed order (by repository, carrier, layer), each once.
    pub items: Vec<Item>,
    /// What could not be read. Empty means that everything there is was seen.
    pub gaps: Vec<Gap>,
}

/// One signature or attestation as it lies in the registry.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Item {
    /// Where it was found.
    pub place: Place,
    /// What it is.
    pub form: Form,
}

/// Where an item was found, for messages and events.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// Registry and repository, canonical.
    pub repository: String,
    /// By which way.
    pub way: Way,
    /// The manifest that carries it.
    pub manifest: Digest,
    /// Position of the layer in that manifest.
    pub layer: usize,
}

/// The ways to evidence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Way {
    /// The referrers API, or its fallback tag `sha256-<hex>`. OCI distribution-spec v1.1, "Listing
    /// Referrers".
    Referrers,
    /// The tag `sha256-<hex>.sig` (cosign).
    SignatureTag,
    /// The tag `sha256-<hex>.att` (cosign).
    AttestationTag,
}

/// The forms that are read, by what the manifest and its layer say of themselves.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Form {
    /// A Sigstore bundle, as JSON. Media types `application/vnd.dev.sigstore.bundle…`.
    Bundle(Arc<[u8]>),
    /// A simple signing payload; its signature and what proves it stand in the layer's annotations.
    SimpleSigning {
        /// The signed bytes.
        payload: Arc<[u8]>,
        /// Annotations of the layer.
        annotations: BTreeMap<String, String>,
    },
    /// A DSSE envelope without a bundle around it; what proves it stands in the layer's
    /// annotations.
    Envelope {
        /// The envelope, as JSON.
        envelope: Arc<[u8]>,
        /// Annotations of the layer.
        annotations: BTreeMap<String, String>,
    },
    /// Something that hangs on the image and that this version does not read, such as a Notation
    /// signature.
    Unread {
        /// The artifact's type, as its manifest says.
        artifact_type: String,
    },
}

/// Something that could not be read, so that the evidence is not whole.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Gap {
    /// What was asked for, for example `sha256-….sig in ghcr.io/acme/shop`.
    pub asked: String,
    /// Whether it may hide items that nobody knows of: a list that could not be read, or not to its
    /// end. Otherwise one known item is missing, or more hangs on the image than is read.
    pub hides: bool,
    /// Why it is not there.
    pub reason: Reason,
    /// The same for people.
    pub detail: String,
}

impl Evidence {
    /// Evidence about a digest that nothing hangs on.
    #[must_use]
    pub const fn none(subject: Digest) -> Self {
        Self {
            subject,
            items: Vec::new(),
            gaps: Vec::new(),
        }
    }

    /// What was found in several places about one subject, as one: equal content counts once and
    /// keeps the place that was given first, gaps all stay. More than
    /// [`limits::EVIDENCE_ITEMS_MAX`] items are a gap.
    #[must_use]
    pub fn merged<'a>(subject: Digest, parts: impl IntoIterator<Item = &'a Self>) -> Self {
        let mut merged = Self::none(subject);
        let mut gaps = BTreeSet::new();
        let mut seen = BTreeSet::new();
        for part in parts.into_iter().filter(|part| part.subject == subject) {
            gaps.extend(part.gaps.iter().cloned());
            for item in &part.items {
                // All that is known of an unread item is its manifest.
                let carrier = match item.form {
                    Form::Unread { .. } => Some(item.place.manifest),
                    _ => None,
                };
                if seen.insert((item.form.digest(), carrier)) {
                    merged.items.push(item.clone());
                }
            }
        }
        if merged.items.len() > limits::EVIDENCE_ITEMS_MAX {
            // Items that nobody reads go before those that may be signatures.
            let unread = |item: &Item| matches!(item.form, Form::Unread { .. });
            merged.items.sort_by_key(unread);
            merged.items.truncate(limits::EVIDENCE_ITEMS_MAX);
            gaps.insert(Gap {
                hides: false,
                asked: format!("what hangs on {subject}"),
                reason: Reason::EvidenceLimit,
                detail: format!("more than {} items", limits::EVIDENCE_ITEMS_MAX),
            });
        }
        merged.items.sort();
        merged.gaps = gaps.into_iter().collect();
        merged
    }

    /// Bytes that it takes in memory, without what every item takes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let texts = |map: &BTreeMap<String, String>| -> usize {
            map.iter().map(|(name, text)| name.len() + text.len()).sum()
        };
        let form = |item: &Item| match &item.form {
            Form::Bundle(bytes) => bytes.len(),
            Form::SimpleSigning {
                payload: bytes,
                annotations,
            }
            | Form::Envelope {
                envelope: bytes,
                annotations,
            } => bytes.len() + texts(annotations),
            Form::Unread { artifact_type } => artifact_type.len(),
        };
        self.items.iter().map(form).sum()
    }

    /// SHA-256 over all that judging depends on, so that a verdict can be remembered under it.
    #[must_use]
    pub fn hash(&self) -> Digest {
        let mut text = format!("{}\n", self.subject);
        for Item { place, form } in &self.items {
            text.push_str(&format!(
                "{} {:?} {} {} {}\n",
                place.repository,
                place.way,
                place.manifest,
                place.layer,
                form.digest()
            ));
        }
        for gap in &self.gaps {
            text.push_str(&format!("gap {} {}\n", gap.asked, gap.reason));
        }
        Digest::of(text.as_bytes())
    }
}

impl Form {
    /// SHA-256 over the form's content, annotations included.
    #[must_use]
    pub fn digest(&self) -> Digest {
        let annotated = |kind: &str, bytes: &[u8], annotations: &BTreeMap<String, String>| {
            let mut text = format!("{kind} {}\n", Digest::of(bytes));
            for (name, value) in annotations {
                let (name, value) = (Digest::of(name.as_bytes()), Digest::of(value.as_bytes()));
                text.push_str(&format!("{name} {value}\n"));
            }
            Digest::of(text.as_bytes())
        };
        match self {
            Self::Bundle(bytes) => annotated("bundle", bytes, &BTreeMap::new()),
            Self::SimpleSigning {
                payload,
                annotations,
            } => annotated("simple-signing", payload, annotations),
            Self::Envelope {
                envelope,
                annotations,
            } => annotated("envelope", envelope, annotations),
            Self::Unread { artifact_type } => {
                annotated("unread", artifact_type.as_bytes(), &BTreeMap::new())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subject() -> Digest {
        Digest::of(b"image")
    }

    fn item(repository: &str, layer: usize, form: Form) -> Item {
        let place = Place {
            repository: repository.to_owned(),
            way: Way::Referrers,
            manifest: Digest::of(b"manifest"),
            layer,
        };
        Item { place, form }
    }

    fn bundle(text: &str) -> Form {
        Form::Bundle(text.as_bytes().into())
    }

    fn evidence(items: Vec<Item>) -> Evidence {
        Evidence {
            items,
            ..Evidence::none(subject())
        }
    }

    #[test]
    fn equal_content_of_two_places_counts_once_and_every_gap_stays() {
        let gap = |asked: &str| Gap {
            hides: false,
            asked: asked.to_owned(),
            reason: Reason::RateLimited,
            detail: String::new(),
        };
        let mut first = evidence(vec![item("b", 0, bundle("x"))]);
        first.gaps = vec![gap("one")];
        let mut second = evidence(vec![item("a", 0, bundle("x")), item("a", 1, bundle("y"))]);
        second.gaps = vec![gap("one"), gap("two")];
        let merged = Evidence::merged(subject(), [&first, &second]);
        let expected = [item("a", 1, bundle("y")), item("b", 0, bundle("x"))];
        assert_eq!(merged.items, expected);
        assert_eq!(merged.gaps, [gap("one"), gap("two")]);
    }

    #[test]
    fn evidence_about_another_subject_is_not_merged() {
        let other = Evidence {
            items: vec![item("a", 0, bundle("x"))],
            ..Evidence::none(Digest::of(b"another image"))
        };
        let merged = Evidence::merged(subject(), [&other]);
        assert_eq!(merged, Evidence::none(subject()));
    }

    #[test]
    fn more_items_than_the_limit_are_a_gap_and_unread_ones_go_first() {
        let max = limits::EVIDENCE_ITEMS_MAX;
        let unread = Form::Unread {
            artifact_type: "a".to_owned(),
        };
        let bundles = |count: usize| (0..count).map(|n| item("b", n, bundle(&n.to_string())));
        let whole = Evidence::merged(subject(), [&evidence(bundles(max).collect())]);
        assert_eq!((whole.items.len(), whole.gaps.len()), (max, 0));
        let items = std::iter::once(item("a", 0, unread)).chain(bundles(max));
        let cut = Evidence::merged(subject(), [&evidence(items.collect())]);
        assert_eq!(cut.items, whole.items);
        assert_eq!(cut.gaps[0].reason, Reason::EvidenceLimit);
    }
}
