//! Faults in cosign's older layers.

use sealift_core::evidence::Form;
use sealift_core::reason::Reason;
use sealift_testkit::signer::edit::{
    annotation, edit, graft_annotation, in_annotation, text, with,
};
use serde_json::{Value, json};

use crate::fault::Fault;
use crate::formats::Part::{Legacy, LegacyCertificate, LegacyLog, Simple};
use crate::world::other;

const SIGNATURE: &str = "dev.cosignproject.cosign/signature";
const CERTIFICATE: &str = "dev.sigstore.cosign/certificate";
const CHAIN: &str = "dev.sigstore.cosign/chain";
const LOG: &str = "dev.sigstore.cosign/bundle";
const KEYED: &[&str] = &[".sig, key alone", ".sig, key, Rekor v1"];

pub(crate) fn faults() -> Vec<Fault> {
    let mut faults = payloads();
    faults.extend(certificates());
    faults.extend(logs());
    faults
}

fn payloads() -> Vec<Fault> {
    use Reason::{EvidenceMalformed, KeyMismatch, SignatureInvalid, SubjectMismatch};
    vec![
        Fault::made(
            Simple,
            "payload about another image",
            SubjectMismatch,
            |draft| draft.subject(other()),
        ),
        Fault::made(
            Simple,
            "payload of another kind",
            EvidenceMalformed,
            |draft| draft.statement(|one| one["critical"]["type"] = json!("something else")),
        ),
        Fault::made(
            Simple,
            "payload that names no image",
            EvidenceMalformed,
            |draft| draft.statement(|one| one["critical"]["image"] = json!({})),
        ),
        Fault::found(
            Simple,
            "name in the payload altered",
            SignatureInvalid,
            |form| {
                edit(form, "/critical/identity/docker-reference", |name| {
                    *name = json!("evil.test/shop")
                })
            },
        )
        .but(KeyMismatch, KEYED),
        Fault::found(
            Simple,
            "payload with a blank more",
            SignatureInvalid,
            |form| text(form, |payload| payload + " "),
        )
        .but(KeyMismatch, KEYED),
        Fault::found(
            Simple,
            "payload with its digest twice",
            EvidenceMalformed,
            |form| {
                text(form, |payload| {
                    let own = r#""docker-manifest-digest":"#;
                    payload.replacen(own, &format!(r#"{own}"sha256:00",{own}"#), 1)
                })
            },
        ),
        Fault::mixed(
            Simple,
            "payload of another image's layer",
            SubjectMismatch,
            |form, other| with(form, sealift_testkit::signer::edit::bytes(other).to_vec()),
        ),
        Fault::mixed(
            Simple,
            "signature of another image's layer",
            SignatureInvalid,
            |form, other| graft_annotation(form, other, SIGNATURE),
        )
        .but(Reason::TimestampInvalid, &[".sig, timestamp alone"])
        .but(KeyMismatch, KEYED),
        Fault::found(
            Simple,
            "layer without its signature",
            EvidenceMalformed,
            |form| annotation(form, SIGNATURE, None),
        ),
        Fault::found(
            Simple,
            "layer with an empty signature",
            EvidenceMalformed,
            |form| annotation(form, SIGNATURE, Some("")),
        ),
        Fault::found(
            Simple,
            "layer's signature with noise",
            EvidenceMalformed,
            |form| annotation(form, SIGNATURE, Some("~~~~")),
        ),
        Fault::found(Legacy, "layer that is no JSON", EvidenceMalformed, |form| {
            with(form, b"no".to_vec())
        }),
        Fault::found(
            Legacy,
            "layer with bytes behind its JSON",
            EvidenceMalformed,
            |form| text(form, |payload| payload + "{}"),
        ),
    ]
}

fn certificates() -> Vec<Fault> {
    use Reason::{CertificateInvalid, EvidenceMalformed, IdentityMismatch, SignatureInvalid};
    vec![
        Fault::found(
            LegacyCertificate,
            "layer without its certificate",
            IdentityMismatch,
            |form| annotation(form, CERTIFICATE, None),
        ),
        Fault::found(
            LegacyCertificate,
            "layer with two certificates",
            EvidenceMalformed,
            |form| {
                let chain = annotated(form, CERTIFICATE);
                annotation(form, CERTIFICATE, Some(&format!("{chain}{chain}")))
            },
        ),
        Fault::found(
            LegacyCertificate,
            "certificate that is no PEM",
            EvidenceMalformed,
            |form| annotation(form, CERTIFICATE, Some("no")),
        ),
        Fault::found(
            LegacyCertificate,
            "certificate under another label",
            EvidenceMalformed,
            |form| {
                let other = annotated(form, CERTIFICATE).replace("CERTIFICATE", "PUBLIC KEY");
                annotation(form, CERTIFICATE, Some(&other))
            },
        ),
        Fault::found(
            LegacyCertificate,
            "chain with noise",
            EvidenceMalformed,
            |form| {
                let chain = annotated(form, CHAIN).replacen("-----\nM", "-----\n~M", 1);
                annotation(form, CHAIN, Some(&chain))
            },
        ),
        Fault::mixed(
            LegacyCertificate,
            "certificate of another layer",
            SignatureInvalid,
            |form, other| graft_annotation(form, other, CERTIFICATE),
        ),
        Fault::found(
            LegacyCertificate,
            "chain in the certificate's place",
            CertificateInvalid,
            |form| {
                let chain = annotated(form, CHAIN);
                let end = "-----END CERTIFICATE-----\n";
                let (first, _) = chain.split_once(end).unwrap();
                annotation(form, CERTIFICATE, Some(&format!("{first}{end}")))
            },
        ),
    ]
}

fn annotated(form: &Form, name: &str) -> String {
    let (Form::SimpleSigning { annotations, .. } | Form::Envelope { annotations, .. }) = form
    else {
        panic!("a bundle has no annotations");
    };
    annotations[name].clone()
}

fn logs() -> Vec<Fault> {
    use Reason::{EvidenceMalformed, LogEntryMismatch, LogProofInvalid, LogUnknown};
    vec![
        Fault::found(
            LegacyLog,
            "layer's promise altered",
            LogProofInvalid,
            |form| in_annotation(form, LOG, "/SignedEntryTimestamp", flip),
        ),
        Fault::found(
            LegacyLog,
            "time in the layer's promise altered",
            LogProofInvalid,
            |form| {
                in_annotation(form, LOG, "/Payload/integratedTime", |time| {
                    *time = json!(time.as_i64().unwrap() + 1);
                })
            },
        ),
        Fault::found(
            LegacyLog,
            "index in the layer's promise altered",
            LogProofInvalid,
            |form| {
                in_annotation(form, LOG, "/Payload/logIndex", |index| {
                    *index = json!(index.as_i64().unwrap() + 1);
                })
            },
        ),
        Fault::found(
            LegacyLog,
            "negative index in the layer's promise",
            EvidenceMalformed,
            |form| in_annotation(form, LOG, "/Payload/logIndex", |index| *index = json!(-1)),
        ),
        Fault::found(LegacyLog, "layer's log unknown", LogUnknown, |form| {
            in_annotation(form, LOG, "/Payload/logID", |id| {
                *id = json!("00".repeat(32))
            })
        }),
        Fault::found(
            LegacyLog,
            "layer's log id no hex",
            EvidenceMalformed,
            |form| {
                in_annotation(form, LOG, "/Payload/logID", |id| {
                    *id = json!("zz".repeat(32))
                })
            },
        ),
        Fault::mixed(
            LegacyLog,
            "promise of another layer",
            LogEntryMismatch,
            |form, other| graft_annotation(form, other, LOG),
        ),
        Fault::found(
            LegacyLog,
            "layer's entry of another kind",
            Reason::EvidenceUnsupported,
            |form| {
                in_annotation(form, LOG, "/Payload/body", |body| {
                    // {"apiVersion":"0.0.1","kind":"rekord"}
                    *body = json!("eyJhcGlWZXJzaW9uIjoiMC4wLjEiLCJraW5kIjoicmVrb3JkIn0=");
                })
            },
        ),
        Fault::found(
            LegacyLog,
            "layer's promise with its payload twice",
            EvidenceMalformed,
            |form| {
                let text = annotated(form, LOG);
                let twice = text.replacen(r#""Payload":"#, r#""Payload":null,"Payload":"#, 1);
                annotation(form, LOG, Some(&twice))
            },
        ),
        Fault::found(
            LegacyLog,
            "layer's promise no JSON",
            EvidenceMalformed,
            |form| annotation(form, LOG, Some("no")),
        ),
        Fault::found(
            LegacyLog,
            "layer without its promise",
            Reason::TimeUnproven,
            |form| annotation(form, LOG, None),
        )
        .but(Reason::LogsTooFew, &[".sig, key, Rekor v1"]),
    ]
}

fn flip(value: &mut Value) {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    let mut bytes = STANDARD.decode(value.as_str().unwrap()).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    *value = json!(STANDARD.encode(bytes));
}
