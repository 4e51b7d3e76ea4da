//! Signed forms where they lie: as evidence that was read, as artifacts to push, and as an image
//! layout.

use std::fs;
use std::path::Path;

use sealift_core::digest::Digest;
use sealift_core::evidence::{Evidence, Form, Item, Place, Way};

use serde_json::{Value, json};

use super::edit::bytes;
use crate::registry::attached::{self, ENVELOPE, Part, SIMPLE_SIGNING};
use crate::registry::image::{Artifact, Blob, OCI_INDEX, descriptor};

/// Where evidence of [`evidence`] says it was found.
pub const REPOSITORY: &str = "registry.test/acme/shop";

/// Forms that lie in one manifest, a layer each.
struct Carrier<'a> {
    way: Way,
    tag: Option<String>,
    forms: Vec<&'a Form>,
    artifact: Artifact,
}

/// What discovery would have read if `forms` hung on `subject`, with no gap.
///
/// # Panics
/// When a form is one that nobody writes.
#[must_use]
pub fn evidence(subject: Digest, forms: &[Form]) -> Evidence {
    let mut found = Evidence::none(subject);
    for carrier in carriers(subject, forms) {
        let manifest = carrier.artifact.manifest.digest.parse();
        let manifest = manifest.expect("a digest");
        found
            .items
            .extend(carrier.forms.iter().enumerate().map(|(layer, form)| Item {
                place: Place {
                    repository: REPOSITORY.to_owned(),
                    way: carrier.way,
                    manifest,
                    layer,
                },
                form: (*form).clone(),
            }));
    }
    Evidence::merged(subject, [&found])
}

/// `forms` as artifacts to push: the manifests of the tags `.sig` and `.att` with a layer for each
/// legacy form, and a referrer without a tag for each bundle.
///
/// # Panics
/// When a form is one that nobody writes.
#[must_use]
pub fn artifacts(subject: Digest, forms: &[Form]) -> Vec<(Option<String>, Artifact)> {
    let carriers = carriers(subject, forms).into_iter();
    carriers.map(|one| (one.tag, one.artifact)).collect()
}

/// The fallback tag of a registry without the referrers API, and the index of all bundles under it.
///
/// # Panics
/// When a form is one that nobody writes.
#[must_use]
pub fn fallback(subject: Digest, forms: &[Form]) -> (String, Artifact) {
    let carriers = carriers(subject, forms).into_iter();
    let bundles = carriers.filter(|carrier| carrier.way == Way::Referrers);
    let bundles: Vec<Artifact> = bundles.map(|carrier| carrier.artifact).collect();
    let tag = format!("sha256-{}", subject.hex());
    (tag, attached::fallback_index(&bundles))
}

/// Writes the image and `forms` into `folder` as an OCI image layout, the image under `tag`. OCI
/// image-spec v1.1, "Image Layout".
///
/// # Panics
/// When the folder cannot be written, or a form is one that nobody writes.
pub fn write_layout(folder: &Path, tag: &str, image: &Artifact, forms: &[Form]) {
    let subject = image.manifest.digest.parse().expect("a digest");
    let blobs = folder.join("blobs/sha256");
    fs::create_dir_all(&blobs).expect("a folder for blobs");
    let mut listed = vec![(Some(tag.to_owned()), image.clone())];
    listed.extend(artifacts(subject, forms));
    let manifests: Vec<Value> = listed
        .iter()
        .map(|(tag, artifact)| {
            write_blobs(&blobs, artifact);
            let mut entry = descriptor(&artifact.media_type, &artifact.manifest);
            if let Some(tag) = tag {
                entry["annotations"] = json!({ "org.opencontainers.image.ref.name": tag });
            }
            entry
        })
        .collect();
    let index = json!({ "schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": manifests });
    fs::write(folder.join("index.json"), index.to_string()).expect("index.json");
    let marker = json!({ "imageLayoutVersion": "1.0.0" });
    fs::write(folder.join("oci-layout"), marker.to_string()).expect("oci-layout");
}

fn write_blobs(folder: &Path, artifact: &Artifact) {
    let write = |blob: &Blob| {
        let name = blob.digest.strip_prefix("sha256:").expect("a digest");
        fs::write(folder.join(name), &blob.bytes).expect("a blob");
    };
    write(&artifact.manifest);
    artifact.blobs.iter().for_each(write);
    artifact
        .children
        .iter()
        .for_each(|child| write_blobs(folder, child));
}

fn carriers(subject: Digest, forms: &[Form]) -> Vec<Carrier<'_>> {
    let legacy = [
        (Way::SignatureTag, "sig", SIMPLE_SIGNING),
        (Way::AttestationTag, "att", ENVELOPE),
    ];
    let mut carriers = Vec::new();
    for (way, end, media_type) in legacy {
        let forms: Vec<&Form> = forms.iter().filter(|form| way_of(form) == way).collect();
        if forms.is_empty() {
            continue;
        }
        let parts: Vec<Part> = forms.iter().map(|form| part(form, media_type)).collect();
        carriers.push(Carrier {
            way,
            tag: Some(format!("sha256-{}.{end}", subject.hex())),
            forms,
            artifact: attached::tagged(&parts),
        });
    }
    let bundles = forms.iter().filter(|form| way_of(form) == Way::Referrers);
    carriers.extend(bundles.map(|form| {
        let text = String::from_utf8_lossy(bytes(form));
        Carrier {
            way: Way::Referrers,
            tag: None,
            forms: vec![form],
            artifact: attached::bundle(&subject.to_string(), &text),
        }
    }));
    carriers
}

fn way_of(form: &Form) -> Way {
    match form {
        Form::Bundle(_) => Way::Referrers,
        Form::SimpleSigning { .. } => Way::SignatureTag,
        Form::Envelope { .. } => Way::AttestationTag,
        Form::Unread { artifact_type } => panic!("nobody signs `{artifact_type}`"),
    }
}

fn part(form: &Form, media_type: &str) -> Part {
    let part = Part::new(media_type, bytes(form));
    let (Form::SimpleSigning { annotations, .. } | Form::Envelope { annotations, .. }) = form
    else {
        return part;
    };
    let annotated = |part: Part, (name, text): (&String, &String)| part.annotated(name, text);
    annotations.iter().fold(part, annotated)
}
