//! Faults in how a bundle is written down.

use sealift_core::reason::Reason;
use sealift_testkit::signer::edit::{edit, inside, text, with, without};
use serde_json::{Value, json};

use crate::fault::Fault;
use crate::formats::Part::{Bundle, BundleStamp, Certificate, Envelope, Key, Leaf, Logged};

const MATERIAL: &str = "/verificationMaterial";
const SIGNATURE: &str = "/dsseEnvelope/signatures/0/sig";

pub(crate) fn faults() -> Vec<Fault> {
    let mut faults = documents();
    faults.extend(shapes());
    faults.extend(encodings());
    faults
}

fn documents() -> Vec<Fault> {
    use Reason::EvidenceMalformed;
    vec![
        Fault::found(
            Bundle,
            "bytes behind the bundle",
            EvidenceMalformed,
            |form| text(form, |bundle| bundle + "{}"),
        ),
        Fault::found(Bundle, "the bundle is cut off", EvidenceMalformed, |form| {
            text(form, |bundle| bundle[..bundle.len() - 1].to_owned())
        }),
        Fault::found(
            Bundle,
            "a byte order mark before the bundle",
            EvidenceMalformed,
            |form| text(form, |bundle| format!("\u{feff}{bundle}")),
        ),
        Fault::found(
            Bundle,
            "the bundle is not UTF-8",
            EvidenceMalformed,
            |form| {
                let mut bytes = sealift_testkit::signer::edit::bytes(form).to_vec();
                bytes.insert(bytes.len() - 1, 0xff);
                with(form, bytes)
            },
        ),
        Fault::found(Bundle, "the media type twice", EvidenceMalformed, |form| {
            text(form, |bundle| {
                let kind = r#"{"mediaType":"application/vnd.dev.sigstore.bundle.v0.3+json","#;
                bundle.replacen('{', kind, 1)
            })
        }),
        Fault::found(
            Bundle,
            "the verification material twice",
            EvidenceMalformed,
            |form| {
                text(form, |bundle| {
                    bundle.replacen('{', r#"{"verificationMaterial":{},"#, 1)
                })
            },
        ),
        Fault::found(Envelope, "the envelope twice", EvidenceMalformed, |form| {
            text(form, |bundle| {
                let value: Value = serde_json::from_str(&bundle).unwrap();
                let envelope = format!(r#"{{"dsseEnvelope":{},"#, value["dsseEnvelope"]);
                bundle.replacen('{', &envelope, 1)
            })
        }),
        Fault::found(
            Envelope,
            "the envelope's payload twice",
            EvidenceMalformed,
            |form| {
                text(form, |bundle| {
                    bundle.replacen(r#""payload":"#, r#""payload":"e30=","payload":"#, 1)
                })
            },
        ),
        Fault::found(
            Envelope,
            "the envelope's payload type twice",
            EvidenceMalformed,
            |form| {
                text(form, |bundle| {
                    bundle.replacen(
                        r#""payloadType":"#,
                        r#""payloadType":"x","payloadType":"#,
                        1,
                    )
                })
            },
        ),
        Fault::found(Leaf, "the certificate twice", EvidenceMalformed, |form| {
            text(form, |bundle| {
                let twice = r#""certificate":{"rawBytes":"MAA="},"certificate":"#;
                bundle.replacen(r#""certificate":"#, twice, 1)
            })
        }),
        Fault::found(
            Logged,
            "the list of log entries twice",
            EvidenceMalformed,
            |form| {
                text(form, |bundle| {
                    bundle.replacen(r#""tlogEntries":"#, r#""tlogEntries":[],"tlogEntries":"#, 1)
                })
            },
        )
        .not_in(LEGACY),
        Fault::found(
            Logged,
            "the entry's body twice",
            EvidenceMalformed,
            |form| {
                text(form, |bundle| {
                    let twice = r#""canonicalizedBody":"e30=","canonicalizedBody":"#;
                    bundle.replacen(r#""canonicalizedBody":"#, twice, 1)
                })
            },
        )
        .not_in(LEGACY),
    ]
}

/// Forms that have no bundle.
const LEGACY: &[&str] = &[".sig, Rekor v1", ".att, Rekor v1", ".sig, key, Rekor v1"];

fn shapes() -> Vec<Fault> {
    use Reason::EvidenceMalformed;
    vec![
        Fault::found(
            Bundle,
            "a media type of another version",
            EvidenceMalformed,
            |form| {
                edit(form, "/mediaType", |kind| {
                    *kind = json!("application/vnd.dev.sigstore.bundle.v0.4+json");
                })
            },
        ),
        Fault::found(
            Bundle,
            "a media type of another thing",
            EvidenceMalformed,
            |form| edit(form, "/mediaType", |kind| *kind = json!("application/json")),
        ),
        Fault::found(Bundle, "no media type", EvidenceMalformed, |form| {
            without(form, "/mediaType")
        }),
        Fault::found(
            Bundle,
            "no verification material",
            EvidenceMalformed,
            |form| without(form, MATERIAL),
        ),
        Fault::found(Leaf, "a certificate and a key", EvidenceMalformed, |form| {
            edit(form, MATERIAL, |material| {
                material["publicKey"] = json!({ "hint": "" });
            })
        }),
        Fault::found(Key, "a key and a certificate", EvidenceMalformed, |form| {
            edit(form, MATERIAL, |material| {
                material["certificate"] = json!({ "rawBytes": "MAA=" });
            })
        })
        .not_in(KEYED_LEGACY),
        Fault::found(
            Envelope,
            "no signature in the envelope",
            EvidenceMalformed,
            |form| edit(form, "/dsseEnvelope/signatures", |list| *list = json!([])),
        ),
        Fault::found(
            Envelope,
            "two signatures in the envelope",
            EvidenceMalformed,
            |form| {
                edit(form, "/dsseEnvelope/signatures", |list| {
                    let again = list[0].clone();
                    list.as_array_mut().unwrap().push(again);
                })
            },
        ),
        Fault::found(
            Envelope,
            "an envelope and a plain signature",
            EvidenceMalformed,
            |form| {
                edit(form, "", |bundle| {
                    let signature = bundle["dsseEnvelope"]["signatures"][0]["sig"].clone();
                    bundle["messageSignature"] = json!({ "signature": signature });
                })
            },
        ),
        Fault::found(
            Envelope,
            "neither envelope nor plain signature",
            EvidenceMalformed,
            |form| without(form, "/dsseEnvelope"),
        ),
        Fault::found(
            Envelope,
            "statements of an envelope that is no JSON",
            EvidenceMalformed,
            |form| {
                edit(form, "/dsseEnvelope/payload", |payload| {
                    *payload = json!("bm8=")
                })
            },
        ),
        Fault::found(
            Envelope,
            "statement with its subject twice",
            EvidenceMalformed,
            |form| {
                edit(form, "/dsseEnvelope/payload", |payload| {
                    twice(payload, "subject", "[]");
                })
            },
        ),
        Fault::found(
            Envelope,
            "statement with its predicate type twice",
            EvidenceMalformed,
            |form| {
                edit(form, "/dsseEnvelope/payload", |payload| {
                    twice(payload, "predicateType", r#""x""#);
                })
            },
        ),
        Fault::found(
            Envelope,
            "statement with its digest twice",
            EvidenceMalformed,
            |form| {
                edit(form, "/dsseEnvelope/payload", |payload| {
                    twice(payload, "sha256", r#""00""#);
                })
            },
        ),
        Fault::found(
            Envelope,
            "statement without a subject",
            Reason::SubjectMismatch,
            |form| {
                inside(form, "/dsseEnvelope/payload", |statement| {
                    statement["subject"] = json!([]);
                })
            },
        ),
    ]
}

const KEYED_LEGACY: &[&str] = &[".sig, key alone", ".sig, key, Rekor v1", ".att, key alone"];

/// Puts another value of a field before its own, in base64.
fn twice(payload: &mut Value, field: &str, value: &str) {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    let bytes = STANDARD.decode(payload.as_str().unwrap()).unwrap();
    let before = String::from_utf8(bytes).unwrap();
    let own = format!(r#""{field}":"#);
    let after = before.replacen(&own, &format!("{own}{value},{own}"), 1);
    assert_ne!(before, after);
    *payload = json!(STANDARD.encode(after));
}

fn encodings() -> Vec<Fault> {
    use Reason::EvidenceMalformed;
    vec![
        Fault::found(
            Envelope,
            "a blank in the signature's base64",
            EvidenceMalformed,
            |form| noise(form, SIGNATURE, |base64| base64.insert(8, ' ')),
        ),
        Fault::found(
            Envelope,
            "a character outside base64",
            EvidenceMalformed,
            |form| noise(form, SIGNATURE, |base64| base64.insert(8, '*')),
        ),
        Fault::found(
            Envelope,
            "base64 that is cut off",
            EvidenceMalformed,
            |form| {
                noise(form, SIGNATURE, |base64| {
                    let _ = base64.pop();
                    let _ = base64.pop();
                    let _ = base64.pop();
                })
            },
        ),
        Fault::found(
            Envelope,
            "bytes behind the padding",
            EvidenceMalformed,
            |form| noise(form, SIGNATURE, |base64| base64.push_str("=AAAA")),
        ),
        Fault::found(
            Certificate,
            "noise in the certificate's base64",
            EvidenceMalformed,
            |form| {
                text(form, |bundle| {
                    bundle.replacen(r#""rawBytes":""#, r#""rawBytes":"~"#, 1)
                })
            },
        )
        .not_in(&[".sig, Rekor v1", ".sig, timestamp alone", ".att, Rekor v1"]),
        Fault::found(
            BundleStamp,
            "noise in the timestamp's base64",
            EvidenceMalformed,
            |form| {
                text(form, |bundle| {
                    bundle.replacen(r#""signedTimestamp":""#, r#""signedTimestamp":"~"#, 1)
                })
            },
        ),
    ]
}

fn noise(
    form: &sealift_core::evidence::Form,
    pointer: &str,
    change: impl FnOnce(&mut String),
) -> sealift_core::evidence::Form {
    edit(form, pointer, |value| {
        let mut base64 = value.as_str().unwrap().to_owned();
        change(&mut base64);
        *value = json!(base64);
    })
}
