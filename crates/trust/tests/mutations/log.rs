//! Faults in what transparency logs hand out: proofs, checkpoints, promises, entries, and what the
//! root says of the logs.

use sealift_core::evidence::Form;
use sealift_core::reason::Reason;
use sealift_testkit::signer::edit::{edit, flip, graft, without};
use sealift_testkit::signer::{Key as Pair, KeyKind, Log, Sigstore, pem};
use serde_json::{Value, json};

use crate::fault::Fault;
use crate::formats::Part::{Certificate, Key, LogTime, Logged, Promise, ProofV1, ProofV2};

const ENTRY: &str = "/verificationMaterial/tlogEntries/0";
const BODY: &str = "/verificationMaterial/tlogEntries/0/canonicalizedBody";
const PROOF: &str = "/verificationMaterial/tlogEntries/0/inclusionProof";
const HASHES: &str = "/verificationMaterial/tlogEntries/0/inclusionProof/hashes";
const HASH: &str = "/verificationMaterial/tlogEntries/0/inclusionProof/hashes/0";
const POSITION: &str = "/verificationMaterial/tlogEntries/0/inclusionProof/logIndex";
const SIZE: &str = "/verificationMaterial/tlogEntries/0/inclusionProof/treeSize";
const ROOT: &str = "/verificationMaterial/tlogEntries/0/inclusionProof/rootHash";
const NOTE: &str = "/verificationMaterial/tlogEntries/0/inclusionProof/checkpoint/envelope";
const INDEX: &str = "/verificationMaterial/tlogEntries/0/logIndex";
const LOG_ID: &str = "/verificationMaterial/tlogEntries/0/logId/keyId";
const TIME: &str = "/verificationMaterial/tlogEntries/0/integratedTime";
const PROMISE: &str = "/verificationMaterial/tlogEntries/0/inclusionPromise/signedEntryTimestamp";
const KIND: &str = "/verificationMaterial/tlogEntries/0/kindVersion";

pub(crate) fn faults() -> Vec<Fault> {
    let mut faults = proofs();
    faults.extend(proofs_v2());
    faults.extend(checkpoints());
    faults.extend(promises());
    faults.extend(entries());
    faults.extend(times());
    faults.extend(roots());
    faults
}

/// Adds to a number that is written as text.
fn plus(form: &Form, pointer: &str, more: i64) -> Form {
    edit(form, pointer, |value| {
        let number: i64 = value.as_str().unwrap().parse().unwrap();
        *value = json!((number + more).to_string());
    })
}

/// Replaces one line of a checkpoint.
fn line(form: &Form, number: usize, text: &str) -> Form {
    edit(form, NOTE, |note| {
        let lines = note.as_str().unwrap().split('\n').enumerate();
        let lines = lines.map(|(at, own)| if at == number { text } else { own });
        *note = json!(lines.collect::<Vec<_>>().join("\n"));
    })
}

fn proofs() -> Vec<Fault> {
    use Reason::{LogProofInvalid, LogProofMissing};
    vec![
        Fault::found(
            ProofV1,
            "root of the proof altered",
            LogProofInvalid,
            |form| flip(form, ROOT),
        ),
        Fault::found(
            ProofV1,
            "first hash of the path altered",
            LogProofInvalid,
            |form| flip(form, HASH),
        ),
        Fault::found(
            ProofV1,
            "path with one hash less",
            LogProofInvalid,
            |form| without(form, HASH),
        ),
        Fault::found(ProofV1, "path with one hash more", LogProofInvalid, more),
        Fault::found(
            ProofV1,
            "path with two hashes swapped",
            LogProofInvalid,
            |form| {
                edit(form, HASHES, |hashes| {
                    hashes.as_array_mut().unwrap().swap(0, 1)
                })
            },
        ),
        Fault::found(ProofV1, "position one too high", LogProofInvalid, |form| {
            plus(form, POSITION, 1)
        }),
        Fault::found(ProofV1, "position one too low", LogProofInvalid, |form| {
            plus(form, POSITION, -1)
        }),
        Fault::found(
            ProofV1,
            "position behind the tree",
            LogProofInvalid,
            |form| plus(form, POSITION, 11),
        ),
        Fault::found(ProofV1, "tree one larger", LogProofInvalid, |form| {
            plus(form, SIZE, 1)
        }),
        Fault::found(ProofV1, "tree one smaller", LogProofInvalid, |form| {
            plus(form, SIZE, -1)
        }),
        Fault::found(ProofV1, "tree of twice the size", LogProofInvalid, |form| {
            plus(form, SIZE, 11)
        }),
        Fault::mixed(
            ProofV1,
            "proof of another entry",
            LogProofInvalid,
            |form, other| graft(form, other, PROOF),
        ),
        Fault::found(ProofV1, "no proof", LogProofMissing, |form| {
            without(form, PROOF)
        }),
        Fault::made(
            ProofV1,
            "no proof, and the version that allows it",
            LogProofMissing,
            |draft| {
                draft
                    .log_instead(Log::V1Promise)
                    .shape(sealift_testkit::signer::Shape::V01)
            },
        ),
    ]
}

fn more(form: &Form) -> Form {
    edit(form, HASHES, |hashes| {
        let again = hashes[0].clone();
        hashes.as_array_mut().unwrap().push(again);
    })
}

fn proofs_v2() -> Vec<Fault> {
    use Reason::{LogProofInvalid, LogProofMissing};
    vec![
        Fault::found(
            ProofV2,
            "hash of a v2 path altered",
            LogProofInvalid,
            |form| flip(form, HASH),
        ),
        Fault::found(
            ProofV2,
            "v2 path with one hash less",
            LogProofInvalid,
            |form| without(form, HASH),
        ),
        Fault::found(ProofV2, "v2 path with one hash more", LogProofInvalid, more),
        Fault::found(ProofV2, "v2 index one too high", LogProofInvalid, |form| {
            plus(form, INDEX, 1)
        }),
        Fault::found(ProofV2, "v2 index one too low", LogProofInvalid, |form| {
            plus(form, INDEX, -1)
        }),
        Fault::found(
            ProofV2,
            "v2 index behind the tree",
            LogProofInvalid,
            |form| plus(form, INDEX, 11),
        ),
        Fault::mixed(
            ProofV2,
            "v2 proof of another entry",
            LogProofInvalid,
            |form, other| graft(form, other, PROOF),
        ),
        Fault::found(ProofV2, "no v2 proof", LogProofMissing, |form| {
            without(form, PROOF)
        }),
    ]
}

fn checkpoints() -> Vec<Fault> {
    use Reason::{EvidenceMalformed, LogProofInvalid};
    let both = |name_v1, name_v2, reason, change: fn(&Form) -> Form| {
        [
            Fault::found(ProofV1, name_v1, reason, change),
            Fault::found(ProofV2, name_v2, reason, change),
        ]
    };
    let rows = [
        both(
            "checkpoint of another origin",
            "v2 checkpoint of another origin",
            LogProofInvalid,
            |form| line(form, 0, "log.evil.test"),
        ),
        both(
            "checkpoint of another size",
            "v2 checkpoint of another size",
            LogProofInvalid,
            |form| line(form, 1, "12"),
        ),
        both(
            "checkpoint of another root",
            "v2 checkpoint of another root",
            LogProofInvalid,
            |form| line(form, 2, "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="),
        ),
        both(
            "checkpoint's signature altered",
            "v2 checkpoint's signature altered",
            LogProofInvalid,
            |form| {
                signature(form, |bytes| {
                    let middle = bytes.len() / 2;
                    bytes[middle] ^= 1;
                })
            },
        ),
        both(
            "checkpoint by another key's name",
            "v2 checkpoint by another key's name",
            LogProofInvalid,
            |form| signature(form, |bytes| bytes[0] ^= 1),
        ),
        both(
            "checkpoint with a line more",
            "v2 checkpoint with a line more",
            EvidenceMalformed,
            |form| line(form, 2, ""),
        ),
        both(
            "checkpoint without a signature",
            "v2 checkpoint without a signature",
            EvidenceMalformed,
            |form| {
                edit(form, NOTE, |note| {
                    let text = note.as_str().unwrap();
                    let (body, _) = text.split_once("\n\n").unwrap();
                    *note = json!(format!("{body}\n\n"));
                })
            },
        ),
        both(
            "empty checkpoint",
            "empty v2 checkpoint",
            LogProofInvalid,
            |form| edit(form, NOTE, |note| *note = json!("")),
        ),
    ];
    rows.into_iter().flatten().collect()
}

/// Changes the key's name or the signature of a checkpoint.
fn signature(form: &Form, change: fn(&mut Vec<u8>)) -> Form {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    edit(form, NOTE, |note| {
        let text = note.as_str().unwrap().trim_end();
        let (before, base64) = text.rsplit_once(' ').unwrap();
        let mut bytes = STANDARD.decode(base64).unwrap();
        change(&mut bytes);
        *note = json!(format!("{before} {}\n", STANDARD.encode(bytes)));
    })
}

fn promises() -> Vec<Fault> {
    use Reason::LogProofInvalid;
    vec![
        Fault::found(Promise, "promise altered", LogProofInvalid, |form| {
            flip(form, PROMISE)
        }),
        Fault::mixed(
            Promise,
            "promise of another entry",
            LogProofInvalid,
            |form, other| graft(form, other, PROMISE),
        ),
        Fault::found(
            Promise,
            "time of the entry altered",
            LogProofInvalid,
            |form| plus(form, TIME, 1),
        ),
        Fault::found(
            Promise,
            "no time of the entry",
            Reason::TimeUnproven,
            |form| without(form, TIME),
        )
        // Of a key no time is demanded, so it is the promise that does not hold.
        .but(LogProofInvalid, &["bundle v0.3, key, Rekor v1"]),
        Fault::found(
            Promise,
            "index of the entry altered",
            LogProofInvalid,
            |form| plus(form, INDEX, 1),
        ),
        Fault::found(LogTime, "no promise", Reason::TimeUnproven, |form| {
            without(form, "/verificationMaterial/tlogEntries/0/inclusionPromise")
        })
        .but(Reason::LogProofMissing, &["bundle v0.1, promise"])
        .not_in(LEGACY),
    ]
}

/// Forms whose log lies in an annotation.
const LEGACY: &[&str] = &[".sig, Rekor v1", ".att, Rekor v1"];
/// Forms whose time only the log proves.
const TIMED_BY_LOG: &[&str] = &[
    "bundle v0.3, Rekor v1",
    "bundle v0.3, message, Rekor v1",
    "bundle v0.3, attestation, Rekor v1",
    "bundle v0.2, attestation, intoto",
    "bundle v0.1, promise",
];
const ALL_LEGACY: &[&str] = &[".sig, Rekor v1", ".att, Rekor v1", ".sig, key, Rekor v1"];

fn entries() -> Vec<Fault> {
    use Reason::{LogEntryMismatch, LogProofInvalid, LogUnknown, LogsTooFew};
    vec![
        Fault::found(Logged, "entry's body altered", LogProofInvalid, |form| {
            flip(form, BODY)
        })
        .not_in(ALL_LEGACY),
        Fault::mixed(
            Logged,
            "entry of another image",
            LogEntryMismatch,
            |form, other| graft(form, other, ENTRY),
        )
        .not_in(ALL_LEGACY),
        Fault::mixed(
            Logged,
            "body of another image's entry",
            LogProofInvalid,
            |form, other| graft(form, other, BODY),
        )
        .not_in(ALL_LEGACY),
        Fault::found(Logged, "no log entry", LogsTooFew, |form| {
            without(form, ENTRY)
        })
        .but(Reason::TimeUnproven, TIMED_BY_LOG)
        .not_in(ALL_LEGACY),
        Fault::found(Logged, "entry of an unknown log", LogUnknown, |form| {
            edit(form, LOG_ID, |id| {
                *id = json!("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=");
            })
        })
        .not_in(ALL_LEGACY),
        Fault::found(
            Logged,
            "entry that names another known log",
            LogProofInvalid,
            |form| edit(form, LOG_ID, |id| *id = other_log(id)),
        )
        .not_in(ALL_LEGACY),
        Fault::made(
            Logged,
            "log that the root does not know",
            LogUnknown,
            |draft| draft.other_logs(2),
        ),
        Fault::made(
            Logged,
            "entry of another signature",
            LogEntryMismatch,
            |draft| {
                draft.body(|body| {
                    alter(body, &SIGNATURES);
                })
            },
        )
        // There the signature is encoded twice.
        .but(
            Reason::EvidenceMalformed,
            &["bundle v0.2, attestation, intoto"],
        ),
        Fault::made(
            Certificate,
            "entry of another certificate",
            LogEntryMismatch,
            |draft| {
                draft.body(|body| {
                    let sigstore = Sigstore::new("acme");
                    let [other, _] = sigstore.chain();
                    verifier(body, &pem("CERTIFICATE", other), other);
                })
            },
        )
        .not_in(&["bundle v0.3, timestamp alone", ".sig, timestamp alone"]),
        Fault::made(Key, "entry of another key", LogEntryMismatch, |draft| {
            draft.body(|body| {
                let other = Pair::seeded(KeyKind::P256, "another");
                verifier(body, &other.pem(), &other.spki());
            })
        })
        .not_in(&[
            "bundle v0.3, key alone",
            ".sig, key alone",
            ".att, key alone",
        ]),
        Fault::made(Logged, "entry of another hash", LogEntryMismatch, |draft| {
            draft.body(|body| {
                alter(body, &DIGESTS);
            })
        }),
        Fault::found(
            Logged,
            "entry of another kind",
            Reason::EvidenceMalformed,
            |form| {
                edit(form, KIND, |kind| {
                    *kind = json!({ "kind": "rekord", "version": "0.0.1" })
                })
            },
        )
        .not_in(ALL_LEGACY),
        Fault::found(
            Logged,
            "entry of another version",
            Reason::EvidenceMalformed,
            |form| edit(form, KIND, |kind| kind["version"] = json!("0.0.9")),
        )
        .not_in(ALL_LEGACY),
    ]
}

/// Writes another signer into an entry of any kind.
fn verifier(body: &mut Value, pem: &str, der: &[u8]) {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    let (pem, der) = (json!(STANDARD.encode(pem)), json!(STANDARD.encode(der)));
    let places = [
        ("/spec/signature/publicKey/content", &pem),
        ("/spec/signatures/0/verifier", &pem),
        ("/spec/content/envelope/signatures/0/publicKey", &pem),
        (
            "/spec/hashedRekordV002/signature/verifier/x509Certificate/rawBytes",
            &der,
        ),
        (
            "/spec/hashedRekordV002/signature/verifier/publicKey/rawBytes",
            &der,
        ),
    ];
    let found = places
        .iter()
        .find(|(place, _)| body.pointer(place).is_some());
    let (place, other) = found.unwrap();
    *body.pointer_mut(place).unwrap() = (*other).clone();
}

/// The id of the next log of the same version, which the root knows, too.
fn other_log(id: &Value) -> Value {
    let root = Sigstore::new("acme").trusted_root();
    let logs = root["tlogs"].as_array().unwrap();
    let position = logs.iter().position(|log| log["logId"]["keyId"] == *id);
    logs[position.unwrap() + 1]["logId"]["keyId"].clone()
}

/// Where entries of each kind hold the signature.
const SIGNATURES: [&str; 4] = [
    "/spec/signature/content",
    "/spec/signatures/0/signature",
    "/spec/content/envelope/signatures/0/sig",
    "/spec/hashedRekordV002/signature/content",
];
/// Where entries of each kind hold the hash of what was signed.
const DIGESTS: [&str; 4] = [
    "/spec/data/hash/value",
    "/spec/payloadHash/value",
    "/spec/content/payloadHash/value",
    "/spec/hashedRekordV002/data/digest",
];

/// Changes one character of the text at the one of these places that the entry has.
fn alter(body: &mut Value, places: &[&str]) {
    let found = places.iter().find(|place| body.pointer(place).is_some());
    let value = body.pointer_mut(found.unwrap()).unwrap();
    *value = json!(altered(value.as_str().unwrap()));
}

/// The text with another character in its middle, of the alphabets of both hex and base64.
fn altered(text: &str) -> String {
    let middle = text.len() / 2;
    let other = match text.as_bytes()[middle] {
        b'0' => "1",
        _ => "0",
    };
    format!("{}{other}{}", &text[..middle], &text[middle + 1..])
}

fn times() -> Vec<Fault> {
    use Reason::CertificateExpired;
    vec![
        Fault::made(
            LogTime,
            "logged after the certificate ended",
            CertificateExpired,
            |draft| {
                let late =
                    sealift_testkit::signer::signed_at() + jiff::SignedDuration::from_mins(11);
                draft.logged_at(late)
            },
        ),
        Fault::made(
            LogTime,
            "logged before the certificate began",
            CertificateExpired,
            |draft| {
                let early =
                    sealift_testkit::signer::signed_at() - jiff::SignedDuration::from_secs(1);
                draft.logged_at(early)
            },
        ),
        Fault::made(
            LogTime,
            "logged in the future",
            Reason::TimeInFuture,
            |draft| {
                // After the moment of judging, and in the past of the system's clock.
                let late = crate::world::now() + jiff::SignedDuration::from_secs(1);
                draft
                    .logged_at(late)
                    .leaf(move |leaf| leaf.not_after = late)
            },
        ),
    ]
}

fn roots() -> Vec<Fault> {
    use Reason::{LogProofInvalid, LogUnknown};
    vec![
        Fault::root(Logged, "logs of another Sigstore", LogUnknown, |root| {
            root["tlogs"] = Sigstore::new("other").trusted_root()["tlogs"].clone();
        }),
        Fault::root(Logged, "no log in the root", LogUnknown, |root| {
            root["tlogs"] = json!([])
        }),
        Fault::root(Logged, "log's key is another", LogProofInvalid, |root| {
            let key = Sigstore::new("other").trusted_root()["tlogs"][0]["publicKey"].clone();
            for log in root["tlogs"].as_array_mut().unwrap() {
                log["publicKey"] = key.clone();
            }
        }),
        Fault::root(Logged, "log ended before", LogUnknown, |root| {
            for log in root["tlogs"].as_array_mut().unwrap() {
                log["publicKey"]["validFor"]["end"] = json!("2025-06-01T11:59:59Z");
            }
        }),
        Fault::root(Logged, "log begins after", LogUnknown, |root| {
            for log in root["tlogs"].as_array_mut().unwrap() {
                log["publicKey"]["validFor"]["start"] = json!("2025-06-01T12:00:01Z");
            }
        }),
    ]
}
