//! The parts of a signature: what is signed, and how logs write it down.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sealift_core::digest::Digest;
use serde_json::{Value, json};

use super::draft::{Kind, SIGN_PREDICATE};
use super::key::{Hash, Key, pem};
use super::log::hex;

/// Media type of in-toto statements.
pub(super) const IN_TOTO: &str = "application/vnd.in-toto+json";

/// What is known when a log is asked to write a signature down.
pub(super) struct Signed<'a> {
    pub(super) key: &'a Key,
    pub(super) certificate: Option<&'a [u8]>,
    pub(super) payload_type: &'a str,
    pub(super) payload: &'a [u8],
    /// The bytes under the signature: the payload or its encoding in an envelope.
    pub(super) message: &'a [u8],
    pub(super) signature: &'a [u8],
}

/// in-toto statement, as cosign 3 writes it: another version for attestations than for signatures.
pub(super) fn statement(subject: Digest, predicate_type: &str, predicate: &Value) -> Value {
    let digest = json!({ "sha256": subject.hex() });
    if predicate_type == SIGN_PREDICATE {
        return json!({
            "_type": "https://in-toto.io/Statement/v1",
            "subject": [{ "digest": digest, "annotations": {} }],
            "predicateType": predicate_type,
            "predicate": predicate,
        });
    }
    json!({
        "_type": "https://in-toto.io/Statement/v0.1",
        "subject": [{ "name": "registry.test/acme/shop", "digest": digest }],
        "predicateType": predicate_type,
        "predicate": predicate,
    })
}

/// Payload of a legacy signature: containers/image, `docs/containers-signature.5.md`.
pub(super) fn simple_signing(subject: Digest) -> Value {
    json!({
        "critical": {
            "identity": { "docker-reference": "registry.test/acme/shop" },
            "image": { "docker-manifest-digest": subject.to_string() },
            "type": "cosign container image signature",
        },
        "optional": null,
    })
}

/// What an envelope's signature is over. DSSE, `protocol.md`.
pub(super) fn pre_authentication(payload_type: &str, payload: &[u8]) -> Vec<u8> {
    let (kind, length) = (payload_type.len(), payload.len());
    let head = format!("DSSEv1 {kind} {payload_type} {length} ");
    [head.as_bytes(), payload].concat()
}

/// The envelope as bundles hold it, or as `.att` layers do.
pub(super) fn envelope(signed: &Signed<'_>, legacy: bool) -> Value {
    let payload = STANDARD.encode(signed.payload);
    let sig = STANDARD.encode(signed.signature);
    let payload_type = signed.payload_type;
    if legacy {
        let signatures = json!([{ "keyid": "", "sig": sig }]);
        return json!({
            "payloadType": payload_type,
            "payload": payload,
            "signatures": signatures,
        });
    }
    let signatures = json!([{ "sig": sig }]);
    json!({ "payload": payload, "payloadType": payload_type, "signatures": signatures })
}

/// `hashedrekord` 0.0.2: the only kind of Rekor v2.
pub(super) fn body_v2(signed: &Signed<'_>) -> Value {
    let hash = signed.key.hash();
    let (field, raw) = match signed.certificate {
        Some(der) => ("x509Certificate", der.to_vec()),
        None => ("publicKey", signed.key.spki()),
    };
    json!({
        "apiVersion": "0.0.2",
        "kind": "hashedrekord",
        "spec": { "hashedRekordV002": {
            "data": {
                "algorithm": hash.name(),
                "digest": STANDARD.encode(hash.of(signed.message)),
            },
            "signature": {
                "content": STANDARD.encode(signed.signature),
                "verifier": {
                    "keyDetails": signed.key.details(),
                    field: { "rawBytes": STANDARD.encode(raw) },
                },
            },
        } },
    })
}

/// Body of an entry of Rekor v1.
pub(super) fn body_v1(kind: Kind, signed: &Signed<'_>) -> Value {
    let verifier = match signed.certificate {
        Some(der) => pem("CERTIFICATE", der),
        None => signed.key.pem(),
    };
    let verifier = STANDARD.encode(verifier);
    let signature = STANDARD.encode(signed.signature);
    let hash = |bytes: &[u8]| {
        let value = hex(&Hash::Sha256.of(bytes));
        json!({ "algorithm": "sha256", "value": value })
    };
    let envelope_hash = hash(envelope(signed, true).to_string().as_bytes());
    let (version, spec) = match kind {
        Kind::HashedRekord => (
            "0.0.1",
            json!({
                "data": { "hash": hash(signed.message) },
                "signature": { "content": signature, "publicKey": { "content": verifier } },
            }),
        ),
        Kind::Dsse => (
            "0.0.1",
            json!({
                "envelopeHash": envelope_hash,
                "payloadHash": hash(signed.payload),
                "signatures": [{ "signature": signature, "verifier": verifier }],
            }),
        ),
        Kind::InToto => {
            // Rekor encodes what is encoded already.
            let sig = STANDARD.encode(&signature);
            let envelope = json!({
                "payloadType": signed.payload_type,
                "signatures": [{ "publicKey": verifier, "sig": sig }],
            });
            let content = json!({
                "envelope": envelope,
                "hash": envelope_hash,
                "payloadHash": hash(signed.payload),
            });
            ("0.0.2", json!({ "content": content }))
        }
    };
    json!({ "apiVersion": version, "kind": kind.name(), "spec": spec })
}
