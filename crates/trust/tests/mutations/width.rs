//! What is admitted: every kind of key, log and timestamp that is read, and how witnesses are
//! counted.

use sealift_core::reason::Reason;
use sealift_testkit::signer::{Draft, Hash, Key, KeyKind, Log, Name, Shape, Sigstore};
use serde_json::{Value, json};

use crate::world::{Files, identity, judged, keyed, keyless, subject};

fn refused(sigstore: &Sigstore, draft: &Draft<'_>, authority: &Value) -> Option<(Reason, String)> {
    let files = Files {
        root: sigstore.trusted_root(),
        key: String::new(),
    };
    judged(&draft.form(), authority, &files, None)
}

#[test]
fn certificates_for_every_kind_of_key_are_admitted() {
    let sigstore = Sigstore::new("acme");
    for kind in [
        KeyKind::P256,
        KeyKind::P384,
        KeyKind::Ed25519,
        KeyKind::Rsa2048,
    ] {
        let draft = sigstore.keyless(identity()).subject(subject());
        let draft = draft.leaf_key(kind).log(Log::V1);
        let authority = keyless(1, 0, "proof");
        assert_eq!(refused(&sigstore, &draft, &authority), None, "{kind:?}");
    }
    let draft = sigstore.keyless(identity()).subject(subject()).log(Log::V1);
    let draft = draft.leaf(|leaf| leaf.under_root = true);
    assert_eq!(refused(&sigstore, &draft, &keyless(1, 0, "proof")), None);
}

#[test]
fn every_kind_of_key_is_admitted_alone_as_bundle_and_as_layer() {
    let sigstore = Sigstore::new("acme");
    let kinds = [
        KeyKind::P256,
        KeyKind::P384,
        KeyKind::P384Sha256,
        KeyKind::P521,
        KeyKind::Ed25519,
        KeyKind::Rsa2048,
    ];
    for kind in kinds {
        let key = Key::seeded(kind, "key");
        let files = Files {
            root: sigstore.trusted_root(),
            key: key.pem(),
        };
        let draft = || sigstore.keyed(&key).subject(subject());
        for form in [draft().form(), draft().simple_signing().form()] {
            let refused = judged(&form, &keyed(0, 0, "proof"), &files, None);
            assert_eq!(refused, None, "{kind:?}");
        }
    }
}

#[test]
fn logs_of_either_version_and_key_are_admitted_and_counted_once_each() {
    let sigstore = Sigstore::new("acme");
    let draft = || {
        let draft = sigstore.keyless(identity()).subject(subject());
        draft.timestamps(1)
    };
    let few = Some(Reason::LogsTooFew);
    type Logs = &'static [(Log, usize)];
    let cases: [(Logs, u32, Option<Reason>); 8] = [
        (&[(Log::V1, 0)], 1, None),
        (&[(Log::V1Proof, 0)], 1, None),
        (&[(Log::V2, 0)], 1, None),
        (&[(Log::V2, 1)], 1, None),
        (&[(Log::V1, 0), (Log::V2, 1)], 2, None),
        (&[(Log::V1, 0), (Log::V1, 1)], 2, None),
        (&[(Log::V1, 0), (Log::V1, 0)], 2, few),
        (&[(Log::V2, 1), (Log::V2, 1)], 2, few),
    ];
    for (logs, wanted, expected) in cases {
        let mut draft = draft();
        for (log, number) in logs {
            draft = draft.log_number(*log, *number);
        }
        let found = refused(&sigstore, &draft, &keyless(wanted, 1, "proof"));
        assert_eq!(found.map(|(reason, _)| reason), expected, "{logs:?}");
    }
}

#[test]
fn a_proof_without_a_time_counts_only_while_its_log_has_no_end() {
    let sigstore = Sigstore::new("acme");
    let key = Key::seeded(KeyKind::P256, "key");
    let authority = keyed(1, 0, "proof");
    for log in [Log::V1Proof, Log::V2] {
        let form = sigstore.keyed(&key).subject(subject()).log(log).form();
        let mut files = Files {
            root: sigstore.trusted_root(),
            key: key.pem(),
        };
        assert_eq!(judged(&form, &authority, &files, None), None, "{log:?}");
        for log in files.root["tlogs"].as_array_mut().unwrap() {
            // After it was signed, but who knows when that was.
            log["publicKey"]["validFor"]["end"] = json!("2025-06-02T00:00:00Z");
        }
        let reason = judged(&form, &authority, &files, None).map(|(reason, _)| reason);
        assert_eq!(reason, Some(Reason::LogUnknown), "{log:?}");
    }
}

#[test]
fn timestamps_of_any_hash_are_admitted_and_authorities_counted_once_each() {
    let sigstore = Sigstore::new("acme");
    let draft = || sigstore.keyless(identity()).subject(subject());
    for hash in [Hash::Sha256, Hash::Sha384, Hash::Sha512] {
        let draft = draft()
            .timestamps(1)
            .stamp(move |stamp| (stamp.hash, stamp.embed) = (hash, true));
        assert_eq!(
            refused(&sigstore, &draft, &keyless(0, 1, "proof")),
            None,
            "{hash:?}"
        );
    }
    let two = keyless(0, 2, "proof");
    assert_eq!(refused(&sigstore, &draft().timestamps(2), &two), None);
    let twice = draft().timestamps(1).timestamp_number(0);
    let reason = refused(&sigstore, &twice, &two).map(|(reason, _)| reason);
    assert_eq!(reason, Some(Reason::TimestampsTooFew));
    // A stranger's beside it takes nothing away.
    let foreign = draft().timestamps(1).timestamp_number(2);
    assert_eq!(refused(&sigstore, &foreign, &keyless(0, 1, "proof")), None);
}

#[test]
fn both_media_types_of_bundles_and_every_kind_of_name_are_admitted() {
    let sigstore = Sigstore::new("acme");
    let draft = || sigstore.keyless(identity()).subject(subject()).log(Log::V1);
    let old = draft().shape(Shape::V03Old);
    assert_eq!(refused(&sigstore, &old, &keyless(1, 0, "proof")), None);
    for name in [
        Name::Email("ci@acme.test".to_owned()),
        Name::User("ci@acme.test".to_owned()),
    ] {
        let mut authority = keyless(1, 0, "proof");
        authority["keyless"]["subject"] = json!("ci@acme.test");
        let named = draft().identity(|one| one.names = vec![name.clone()]);
        assert_eq!(refused(&sigstore, &named, &authority), None, "{name:?}");
    }
}

#[test]
fn many_images_have_a_signature_and_a_certificate_each() {
    let sigstore = Sigstore::new("acme");
    let mut forms = std::collections::BTreeSet::new();
    for (image, form) in sigstore.many(&identity(), 20) {
        assert!(forms.insert(form.clone()), "{image}");
        let about_another = image != subject();
        let files = Files {
            root: sigstore.trusted_root(),
            key: String::new(),
        };
        let reason = judged(&form, &keyless(1, 0, "proof"), &files, None).map(|(reason, _)| reason);
        assert_eq!(reason, about_another.then_some(Reason::SubjectMismatch));
    }
}
