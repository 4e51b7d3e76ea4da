//! Image layouts: every folder that real tools made, and folders that lie.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use sealift_core::digest::Digest;
use sealift_core::evidence::{Evidence, Form, Way};
use sealift_core::limits;
use sealift_core::reason::Reason;
use sealift_registry::Layout;
use sealift_testkit::registry::image::{self, ImageSpec};
use sealift_testkit::signed;
use sealift_testkit::signer::{self, Identity, Key, KeyKind, Log, Shape, Sigstore};
use serde_json::{Value, json};

fn layout(name: &str) -> (Layout, Digest) {
    let layout = Layout::open(&signed::folder().join(name)).unwrap();
    let subject = layout.resolve(None).unwrap();
    (layout, subject)
}

/// Bundles, `.sig` layers and `.att` layers.
fn counts(evidence: &Evidence) -> [usize; 3] {
    let count = |way: Way, fits: fn(&Form) -> bool| {
        let items = evidence.items.iter();
        items
            .filter(|item| item.place.way == way && fits(&item.form))
            .count()
    };
    [
        count(Way::Referrers, |form| matches!(form, Form::Bundle(_))),
        count(Way::SignatureTag, |form| {
            matches!(form, Form::SimpleSigning { .. })
        }),
        count(Way::AttestationTag, |form| {
            matches!(form, Form::Envelope { .. })
        }),
    ]
}

/// What `meta.json` says there is: signature forms and attestations.
fn expected(name: &str) -> [usize; 3] {
    let text = fs::read_to_string(signed::folder().join(name).join("meta.json")).unwrap();
    let meta: Value = serde_json::from_str(&text).unwrap();
    let list = |key: &str| meta[key].as_array().cloned().unwrap_or_default();
    let attestations = list("attests").len();
    let forms = list("signature_forms");
    let by = meta["signed_by"].as_str().unwrap_or_default();
    let two = by.contains("two signatures") || by.contains("2 signatures");
    let signed = usize::from(!forms.is_empty()) + usize::from(two);
    let legacy = forms.contains(&json!(".sig"));
    match legacy {
        true => [0, signed, attestations],
        false => [signed + attestations, 0, 0],
    }
}

#[test]
fn every_signed_layout_gives_what_its_description_says() {
    let names = signed::names();
    assert_eq!(names.len(), 19, "{names:?}");
    for name in names {
        let (layout, subject) = layout(&name);
        assert_eq!(subject.to_string(), signed::subject(&name), "{name}");
        assert_eq!(layout.resolve(Some("v1.2.3")).unwrap(), subject, "{name}");
        assert_eq!(layout.resolve(Some(&subject.to_string())).unwrap(), subject);
        let evidence = layout.evidence(subject);
        assert_eq!(evidence.gaps, [], "{name}");
        let (found, expected) = (counts(&evidence), expected(&name));
        assert_eq!(found, expected, "{name}");
        assert_eq!(evidence.items.len(), found.iter().sum::<usize>(), "{name}");
    }
}

#[test]
fn a_layout_that_testkit_wrote_gives_the_evidence_that_was_signed() {
    let sigstore = Sigstore::new("layout");
    let key = Key::seeded(KeyKind::P256, "layout");
    let image = image::image(&ImageSpec::default());
    let subject: Digest = image.manifest.digest.parse().unwrap();
    let keyless = || {
        let workflow = Identity::github("acme/shop", "release.yml", "refs/tags/v1");
        sigstore.keyless(workflow).subject(subject).log(Log::V1)
    };
    let forms = [
        keyless().form(),
        keyless().simple_signing().form(),
        sigstore
            .keyed(&key)
            .subject(subject)
            .shape(Shape::Legacy)
            .form(),
    ];
    let folder = tempfile::tempdir().unwrap();
    signer::write_layout(folder.path(), "v1", &image, &forms);
    let layout = Layout::open(folder.path()).unwrap();
    assert_eq!(layout.resolve(Some("v1")).unwrap(), subject);
    let found = layout.evidence(subject);
    assert_eq!(found.gaps, []);
    let read = |evidence: &Evidence| {
        let items = evidence.items.iter();
        let items = items.map(|item| (item.place.way, item.place.manifest, item.form.clone()));
        items.collect::<BTreeSet<_>>()
    };
    assert_eq!(read(&found), read(&signer::evidence(subject, &forms)));
}

#[test]
fn every_platform_of_an_index_has_its_own_evidence() {
    for name in ["docker-multi", "refapi-multi"] {
        let (layout, subject) = layout(name);
        let images = layout.platform_manifests(subject).unwrap();
        let shown: Vec<String> = images
            .iter()
            .map(|image| image.platform.as_ref().unwrap().to_string())
            .collect();
        assert_eq!(shown, ["linux/amd64", "linux/arm64"]);
        let all = images.iter().map(|image| image.digest).chain([subject]);
        for digest in all {
            assert_eq!(
                counts(&layout.evidence(digest)),
                [1, 0, 0],
                "{name} {digest}"
            );
        }
    }
    let (layout, subject) = layout("refapi-unsigned");
    let images = layout.platform_manifests(subject).unwrap();
    assert_eq!(images.len(), 1);
    assert_eq!(images[0].digest, subject);
    assert_eq!(layout.evidence(subject), Evidence::none(subject));
}

/// A copy of `refapi-key-full` that a test may spoil.
fn copied() -> tempfile::TempDir {
    copied_from("refapi-key-full")
}

fn copied_from(name: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let blobs = folder.path().join("blobs/sha256");
    fs::create_dir_all(&blobs).unwrap();
    let source = signed::folder().join(name);
    for file in ["oci-layout", "index.json"] {
        fs::write(
            folder.path().join(file),
            fs::read(source.join(file)).unwrap(),
        )
        .unwrap();
    }
    for blob in fs::read_dir(source.join("blobs/sha256")).unwrap() {
        let blob = blob.unwrap();
        fs::write(blobs.join(blob.file_name()), fs::read(blob.path()).unwrap()).unwrap();
    }
    folder
}

/// The blob of the only bundle.
fn bundle_of(folder: &Path) -> (Digest, Digest, std::path::PathBuf) {
    let layout = Layout::open(folder).unwrap();
    let subject = layout.resolve(None).unwrap();
    let evidence = layout.evidence(subject);
    let Form::Bundle(bytes) = &evidence.items[0].form else {
        panic!("{evidence:?}")
    };
    let digest = Digest::of(bytes);
    let path = folder.join("blobs/sha256").join(digest.hex());
    (subject, digest, path)
}

fn reasons_of(folder: &Path, subject: Digest) -> Vec<Reason> {
    let evidence = Layout::open(folder).unwrap().evidence(subject);
    evidence.gaps.iter().map(|gap| gap.reason).collect()
}

/// A name, what is done to the blob (beside a folder that is not the layout's), and the reason of
/// the gap.
type Spoil = (&'static str, fn(&Path, &Path), Reason);

#[test]
fn a_blob_that_is_changed_missing_or_elsewhere_is_a_gap() {
    let outside = tempfile::tempdir().unwrap();
    let spoil: [Spoil; 5] = [
        (
            "changed",
            |blob, _| fs::write(blob, vec![b' '; 10]).unwrap(),
            Reason::DigestMismatch,
        ),
        (
            "missing",
            |blob, _| fs::remove_file(blob).unwrap(),
            Reason::MetadataUnreadable,
        ),
        (
            "larger",
            |blob, _| {
                let bytes = fs::read(blob).unwrap();
                fs::write(blob, [bytes, vec![b' '; 100]].concat()).unwrap();
            },
            Reason::BodyTooLarge,
        ),
        (
            "outside",
            |blob, outside| {
                let away = outside.join("blob");
                fs::rename(blob, &away).unwrap();
                symlink(away, blob).unwrap();
            },
            Reason::MetadataUnreadable,
        ),
        (
            "a folder",
            |blob, _| {
                fs::remove_file(blob).unwrap();
                fs::create_dir(blob).unwrap();
            },
            Reason::MetadataUnreadable,
        ),
    ];
    for (what, spoil, reason) in spoil {
        let folder = copied();
        let (subject, _, blob) = bundle_of(folder.path());
        let before = Layout::open(folder.path()).unwrap().evidence(subject);
        spoil(&blob, outside.path());
        assert_eq!(reasons_of(folder.path(), subject), [reason], "{what}");
        let after = Layout::open(folder.path()).unwrap().evidence(subject);
        assert_eq!(after.items.len() + 1, before.items.len(), "{what}");
    }
}

#[test]
fn a_fallback_index_that_is_none_and_a_referrer_that_is_gone_are_gaps() {
    let folder = copied_from("docker-key-full");
    let (subject, ..) = bundle_of(folder.path());
    let index: Value =
        serde_json::from_slice(&fs::read(folder.path().join("index.json")).unwrap()).unwrap();
    let fallback = format!("sha256-{}", subject.hex());
    let entries = index["manifests"].as_array().unwrap().iter();
    // Only the image and the fallback index are listed: referrers are reached through it alone.
    let named: Vec<Value> = entries
        .filter(|entry| entry.get("annotations").is_some())
        .cloned()
        .collect();
    let write = |entries: &[Value]| {
        let text = json!({ "schemaVersion": 2, "manifests": entries }).to_string();
        fs::write(folder.path().join("index.json"), text).unwrap();
    };
    write(&named);
    assert_eq!(reasons_of(folder.path(), subject), []);
    bundle_of(folder.path());
    let mut wrong = named.clone();
    for entry in &mut wrong {
        if entry["annotations"]["org.opencontainers.image.ref.name"] == json!(fallback) {
            entry["digest"] = json!(subject.to_string());
        }
    }
    write(&wrong);
    assert_eq!(
        reasons_of(folder.path(), subject),
        [Reason::EvidenceMalformed]
    );
}

#[test]
fn what_is_no_layout_is_refused() {
    let refused = |change: fn(&Path)| {
        let folder = copied();
        change(folder.path());
        Layout::open(folder.path()).map(drop).unwrap_err().reason()
    };
    let unreadable = Reason::MetadataUnreadable;
    assert_eq!(
        refused(|folder| fs::remove_file(folder.join("oci-layout")).unwrap()),
        unreadable
    );
    assert_eq!(
        refused(|folder| {
            fs::write(
                folder.join("oci-layout"),
                r#"{"imageLayoutVersion":"2.0.0"}"#,
            )
            .unwrap();
        }),
        unreadable
    );
    for text in [
        "",
        "{}",
        "[]",
        r#"{"manifests":[{"digest":"sha256:../../x"}]}"#,
    ] {
        let folder = copied();
        fs::write(folder.path().join("index.json"), text).unwrap();
        let error = Layout::open(folder.path()).map(drop).unwrap_err();
        assert_eq!(error.reason(), unreadable, "{text}");
    }
    let large = |folder: &Path| {
        let spaces = vec![b' '; limits::MANIFEST_BYTES_MAX + 1];
        fs::write(folder.join("index.json"), spaces).unwrap();
    };
    assert_eq!(refused(large), Reason::BodyTooLarge);
    let many = |folder: &Path| {
        let entry = json!({ "digest": Digest::of(b"").to_string() });
        let entries = vec![entry; limits::LAYOUT_MANIFESTS_MAX + 1];
        let text = json!({ "manifests": entries }).to_string();
        fs::write(folder.join("index.json"), text).unwrap();
    };
    assert_eq!(refused(many), Reason::EvidenceLimit);
    assert!(Layout::open(Path::new("/nonexistent")).is_err());
}

#[test]
fn an_image_is_found_by_name_by_digest_or_because_it_is_the_only_one() {
    let (layout, _) = layout("docker-multi");
    assert_eq!(layout.names(), ["v1.2.3"]);
    let error = layout.resolve(Some("v9")).unwrap_err();
    assert!(error.to_string().contains("`v1.2.3`"), "{error}");
    let folder = copied_from("docker-multi");
    let path = folder.path().join("index.json");
    let mut index: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    let second = index["manifests"][1]["digest"].clone();
    index["manifests"][1]["annotations"] = json!({ "org.opencontainers.image.ref.name": "v2" });
    fs::write(&path, index.to_string()).unwrap();
    let two = Layout::open(folder.path()).unwrap();
    assert_eq!(two.names(), ["v1.2.3", "v2"]);
    assert!(two.resolve(None).is_err());
    assert_eq!(json!(two.resolve(Some("v2")).unwrap().to_string()), second);
    // Without names the index is the only image: the others are below it, or about something.
    for entry in index["manifests"].as_array_mut().unwrap() {
        let name = entry["annotations"]["org.opencontainers.image.ref.name"].clone();
        if name == json!("v1.2.3") || name == json!("v2") {
            entry.as_object_mut().unwrap().remove("annotations");
        }
    }
    fs::write(&path, index.to_string()).unwrap();
    let unnamed = Layout::open(folder.path()).unwrap();
    assert_eq!(
        unnamed.resolve(None).unwrap().to_string(),
        signed::subject("docker-multi")
    );
}
