//! An item of evidence, read: what was signed, about which digest, and what comes with it as proof.
//!
//! Every form ends as a Sigstore bundle, so that one verifier judges all of them ([`super::legacy`]
//! rewraps the older ones). Bundles: Sigstore protobuf-specs; statements: in-toto Attestation v1
//! and v0.1.

use sealift_core::digest::Digest;
use sealift_core::evidence::{Form, Item};
use sealift_core::limits::{CHAIN_CERTIFICATES_MAX, LOG_ENTRIES_MAX, TIMESTAMPS_MAX};
use sealift_core::reason::Reason;
use serde::Deserialize;
use sigstore_verify::types::{Bundle, SignatureContent, VerificationMaterialContent};

use crate::failure::{Failure, Stage};
use crate::{legacy, strict};

/// The predicate type that cosign's `sign` writes: a signature, and no attestation.
const SIGNATURE_PREDICATE: &str = "https://sigstore.dev/cosign/sign/v1";
/// The one payload type that is read.
pub(crate) const IN_TOTO: &str = "application/vnd.in-toto+json";
/// `_type` of the statements that are read.
const STATEMENTS: [&str; 2] = [
    "https://in-toto.io/Statement/v1",
    "https://in-toto.io/Statement/v0.1",
];

/// A signature or attestation about the digest that was asked for.
#[derive(Debug)]
pub(crate) struct Signed {
    pub(crate) bundle: Bundle,
    /// The bytes that a plain signature is over; `None`: the bundle names a digest.
    pub(crate) payload: Option<Vec<u8>>,
    pub(crate) statement: Statement,
}

/// What an item states.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Statement {
    /// "I signed this image."
    Signature,
    /// Something about it, of this predicate type.
    Attestation(String),
}

/// The part of an in-toto statement that is judged.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct InToto {
    #[serde(rename = "_type")]
    kind: String,
    predicate_type: String,
    subject: Vec<Subject>,
}

#[derive(Deserialize)]
struct Subject {
    digest: std::collections::BTreeMap<String, String>,
}

impl Signed {
    /// Reads an item that was found for `subject`.
    pub(crate) fn read(item: &Item, subject: Digest) -> Result<Self, Failure> {
        let signed = match &item.form {
            Form::Bundle(bytes) => bundle(bytes, subject)?,
            Form::SimpleSigning {
                payload,
                annotations,
            } => legacy::simple_signing(payload, annotations, subject)?,
            Form::Envelope {
                envelope,
                annotations,
            } => {
                let (bundle, statement) = legacy::envelope(envelope, annotations, subject)?;
                Self {
                    bundle,
                    payload: None,
                    statement,
                }
            }
            Form::Unread { artifact_type } => {
                return Err(Failure::new(
                    Stage::Read,
                    Reason::EvidenceUnsupported,
                    format!("artifacts of type `{artifact_type}` are not read"),
                ));
            }
        };
        signed.check_bounds()?;
        Ok(signed)
    }

    fn check_bounds(&self) -> Result<(), Failure> {
        let material = &self.bundle.verification_material;
        let stamps = &material.timestamp_verification_data.rfc3161_timestamps;
        let chain = match &material.content {
            VerificationMaterialContent::X509CertificateChain { certificates } => {
                certificates.len()
            }
            _ => 1,
        };
        let bounds = [
            (material.tlog_entries.len(), LOG_ENTRIES_MAX, "log entries"),
            (stamps.len(), TIMESTAMPS_MAX, "timestamps"),
            (chain, CHAIN_CERTIFICATES_MAX, "certificates"),
        ];
        for (count, most, what) in bounds {
            if count > most {
                let detail = format!("it holds {count} {what}, more than {most}");
                return Err(malformed(detail).with(Reason::EvidenceLimit));
            }
        }
        Ok(())
    }
}

/// What to say of evidence that cannot be read.
pub(crate) fn malformed(detail: impl Into<String>) -> Failure {
    Failure::new(Stage::Read, Reason::EvidenceMalformed, detail)
}

impl Failure {
    pub(crate) fn with(mut self, reason: Reason) -> Self {
        self.reason = reason;
        self
    }
}

fn bundle(bytes: &[u8], subject: Digest) -> Result<Signed, Failure> {
    let text = std::str::from_utf8(bytes).map_err(|_| malformed("the bundle is not UTF-8"))?;
    let bad = |problem: &dyn std::fmt::Display| {
        malformed(format!("the bundle cannot be read: {problem}"))
    };
    strict::bundle(bytes).map_err(|problem| bad(&problem))?;
    let bundle = Bundle::from_json(text).map_err(|error| bad(&error))?;
    let statement = match &bundle.content {
        SignatureContent::DsseEnvelope(envelope) => {
            statement(&envelope.payload_type, envelope.payload.as_bytes(), subject)?
        }
        SignatureContent::MessageSignature(message) => {
            // The image's manifest is the message, so its digest is the subject.
            let named = message.message_digest.as_ref();
            if named.is_some_and(|named| named.digest.as_bytes() != subject.raw()) {
                return Err(elsewhere("the bundle is about another digest"));
            }
            Statement::Signature
        }
        _ => return Err(malformed("the bundle's content is of an unknown kind")),
    };
    Ok(Signed {
        bundle,
        payload: None,
        statement,
    })
}

/// Reads a statement, which must be about `subject`.
pub(crate) fn statement(
    payload_type: &str,
    payload: &[u8],
    subject: Digest,
) -> Result<Statement, Failure> {
    if payload_type != IN_TOTO {
        let detail = format!("payloads of type `{payload_type}` are not read");
        return Err(malformed(detail).with(Reason::EvidenceUnsupported));
    }
    let bad = |problem: &dyn std::fmt::Display| {
        malformed(format!("the statement cannot be read: {problem}"))
    };
    strict::unambiguous(payload).map_err(|problem| bad(&problem))?;
    let statement: InToto = serde_json::from_slice(payload).map_err(|error| bad(&error))?;
    if !STATEMENTS.contains(&statement.kind.as_str()) {
        let detail = format!("statements of type `{}` are not read", statement.kind);
        return Err(malformed(detail).with(Reason::EvidenceUnsupported));
    }
    let hex = subject.hex();
    let about = |one: &Subject| one.digest.get("sha256") == Some(&hex);
    if !statement.subject.iter().any(about) {
        return Err(elsewhere("the statement is about another digest"));
    }
    Ok(match statement.predicate_type.as_str() {
        SIGNATURE_PREDICATE => Statement::Signature,
        other => Statement::Attestation(other.to_owned()),
    })
}

/// What to say of evidence about another digest.
pub(crate) fn elsewhere(detail: &str) -> Failure {
    Failure::new(Stage::Subject, Reason::SubjectMismatch, detail)
}
