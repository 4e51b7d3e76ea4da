//! Faults in what is signed, in the signature, and in keys.

use sealift_core::evidence::Form;
use sealift_core::reason::Reason;
use sealift_testkit::signer::edit::{edit, flip, graft, inside};
use sealift_testkit::signer::{Key as Pair, KeyKind};
use serde_json::{Value, json};

use crate::fault::{Change, Fault};
use crate::formats::Part::{Envelope, Key, Message, Statement};
use crate::world::other;

const SIGNATURE: &str = "/dsseEnvelope/signatures/0/sig";
const PAYLOAD: &str = "/dsseEnvelope/payload";
/// Keyless forms whose timestamp is over the signature: it fits no other, and nothing else proves a
/// time.
const STAMPED: &[&str] = &["bundle v0.3, Rekor v2", "bundle v0.3, timestamp alone"];
/// Forms that attest.
const ATTESTED: &[&str] = &[
    "bundle v0.3, attestation, Rekor v1",
    "bundle v0.2, attestation, intoto",
    ".att, Rekor v1",
    ".att, key alone",
];

pub(crate) fn faults() -> Vec<Fault> {
    let mut faults = statements();
    faults.extend(envelopes());
    faults.extend(messages());
    faults.extend(keys());
    faults
}

/// Signed by the right one, and it says another thing.
fn statements() -> Vec<Fault> {
    vec![
        Fault::made(
            Statement,
            "statement about another image",
            Reason::SubjectMismatch,
            |draft| draft.subject(other()),
        ),
        Fault::made(
            Statement,
            "statement of no known version",
            Reason::EvidenceUnsupported,
            |draft| draft.statement(|one| one["_type"] = json!("https://in-toto.io/Statement/v2")),
        ),
        Fault::made(
            Statement,
            "subject by another digest's name",
            Reason::SubjectMismatch,
            |draft| {
                draft.statement(|one| {
                    let digest = &mut one["subject"][0]["digest"];
                    *digest = json!({ "sha512": digest["sha256"] });
                })
            },
        ),
        Fault::made(
            Statement,
            "subject's digest in capitals",
            Reason::SubjectMismatch,
            |draft| {
                draft.statement(|one| {
                    let digest = &mut one["subject"][0]["digest"]["sha256"];
                    *digest = json!(digest.as_str().unwrap().to_uppercase());
                })
            },
        ),
        Fault::made(
            Statement,
            "subject without a digest",
            Reason::EvidenceMalformed,
            |draft| draft.statement(|one| one["subject"] = json!([{ "name": "acme/shop" }])),
        ),
        Fault::made(
            Statement,
            "another predicate type",
            Reason::SignatureMissing,
            |draft| draft.predicate("https://predicates.test/other", json!({})),
        )
        .but(Reason::PredicateMismatch, ATTESTED),
        Fault::made(
            Statement,
            "predicate type in capitals",
            Reason::SignatureMissing,
            |draft| {
                draft.statement(|one| {
                    let kind = &mut one["predicateType"];
                    *kind = json!(kind.as_str().unwrap().to_uppercase());
                })
            },
        )
        .but(Reason::PredicateMismatch, ATTESTED),
        Fault::made(
            Statement,
            "payload of another type",
            Reason::EvidenceUnsupported,
            |draft| draft.payload("application/json", b"{}"),
        ),
    ]
}

/// Changed after it was signed.
fn envelopes() -> Vec<Fault> {
    use Reason::{SignatureInvalid, SubjectMismatch, TimestampInvalid};
    vec![
        Fault::found(
            Envelope,
            "envelope's signature altered",
            SignatureInvalid,
            |form| flip(form, SIGNATURE),
        )
        .but(TimestampInvalid, STAMPED),
        Fault::mixed(
            Envelope,
            "envelope's signature of another image",
            SignatureInvalid,
            |form, other| graft(form, other, SIGNATURE),
        )
        .but(TimestampInvalid, STAMPED),
        Fault::mixed(
            Envelope,
            "envelope of another image",
            SubjectMismatch,
            |form, other| graft(form, other, "/dsseEnvelope"),
        ),
        Fault::mixed(
            Envelope,
            "payload of another image",
            SubjectMismatch,
            |form, other| graft(form, other, PAYLOAD),
        ),
        Fault::found(Envelope, "predicate altered", SignatureInvalid, |form| {
            inside(form, PAYLOAD, |one| one["predicate"] = json!({ "a": 1 }))
        }),
        Fault::found(Envelope, "a subject more", SignatureInvalid, |form| {
            inside(form, PAYLOAD, |one| {
                let subject = one["subject"][0].clone();
                one["subject"].as_array_mut().unwrap().push(subject);
            })
        }),
        Fault::found(
            Envelope,
            "payload written with blanks",
            SignatureInvalid,
            spaced,
        ),
        Fault::found(
            Envelope,
            "payload type altered",
            Reason::EvidenceUnsupported,
            |form| {
                edit(form, "/dsseEnvelope/payloadType", |kind| {
                    *kind = json!("application/json")
                })
            },
        ),
        Fault::found(Envelope, "empty signature", SignatureInvalid, |form| {
            edit(form, SIGNATURE, |sig| *sig = json!(""))
        })
        .but(TimestampInvalid, STAMPED),
    ]
}

fn spaced(form: &Form) -> Form {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    edit(form, PAYLOAD, |payload| {
        let bytes = STANDARD.decode(payload.as_str().unwrap()).unwrap();
        let value: Value = serde_json::from_slice(&bytes).unwrap();
        *payload = json!(STANDARD.encode(serde_json::to_string_pretty(&value).unwrap()));
    })
}

fn messages() -> Vec<Fault> {
    vec![
        Fault::found(
            Message,
            "plain signature altered",
            Reason::SignatureInvalid,
            |form| flip(form, "/messageSignature/signature"),
        ),
        Fault::made(
            Message,
            "plain signature over another image",
            Reason::SubjectMismatch,
            |draft| draft.message(b"another image"),
        ),
        Fault::mixed(
            Message,
            "plain signature of another image",
            Reason::SignatureInvalid,
            |form, other| graft(form, other, "/messageSignature/signature"),
        ),
        Fault::found(
            Message,
            "message digest altered",
            Reason::SubjectMismatch,
            |form| flip(form, "/messageSignature/messageDigest/digest"),
        ),
        Fault::found(
            Message,
            "message digest by another hash's name",
            Reason::EvidenceMalformed,
            |form| {
                edit(form, "/messageSignature/messageDigest/algorithm", |name| {
                    *name = json!("SHA2_512");
                })
            },
        ),
    ]
}

fn keys() -> Vec<Fault> {
    let key = |name, change| Fault::new(Key, name, Reason::KeyMismatch, Change::KeyFile(change));
    vec![
        key("another key of the same curve", |pem| {
            *pem = Pair::seeded(KeyKind::P256, "another").pem();
        }),
        key("a key of a larger curve", |pem| {
            *pem = Pair::seeded(KeyKind::P521, "another").pem();
        }),
        key("an Ed25519 key", |pem| {
            *pem = Pair::seeded(KeyKind::Ed25519, "another").pem();
        }),
        key("an RSA key", |pem| {
            *pem = Pair::seeded(KeyKind::Rsa2048, "").pem()
        }),
        Fault::new(
            Key,
            "no key in the file",
            Reason::KeyUnavailable,
            Change::KeyFile(String::clear),
        ),
    ]
}
