//! cosign's older forms: a signature in a layer's annotations, beside what proves it.
//!
//! They are rewrapped as bundles, and nothing is added: a log's promise stays a promise.
//! Annotations: cosign `SIGNATURE_SPEC.md`; payload: containers "simple signing"; log bundle: Rekor
//! v1 `SignedEntryTimestamp`.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use sealift_core::digest::Digest;
use serde::Deserialize;
use sigstore_verify::types::{
    Bundle, CanonicalizedBody, CertificateContent, DerCertificate, DigestBytes, DsseEnvelope,
    HashAlgorithm, InclusionPromise, KindVersion, LogId, LogIndex, LogKeyId, MediaType,
    MessageDigest, MessageSignature, PublicKeyIdentifier, Rfc3161Timestamp, SignatureBytes,
    SignatureContent, SignedTimestamp, TimestampToken, TimestampVerificationData,
    TransparencyLogEntry, VerificationMaterial, VerificationMaterialContent, X509Certificate,
};

use crate::failure::Failure;
use crate::key::blocks;
use crate::signed::{Signed, Statement, elsewhere, malformed, statement};
use crate::strict::unambiguous;

const SIGNATURE: &str = "dev.cosignproject.cosign/signature";
const CERTIFICATE: &str = "dev.sigstore.cosign/certificate";
const CHAIN: &str = "dev.sigstore.cosign/chain";
const LOG_BUNDLE: &str = "dev.sigstore.cosign/bundle";
const TIMESTAMP: &str = "dev.sigstore.cosign/rfc3161timestamp";

type Annotations = BTreeMap<String, String>;

/// `critical.type` of the payloads that sign an image, by cosign and by other tools.
const PAYLOAD_TYPES: [&str; 3] = [
    "cosign container image signature",
    "https://sigstore.dev/cosign/sign/v1",
    "atomic container signature",
];

#[derive(Deserialize)]
struct Payload {
    critical: Critical,
}

#[derive(Deserialize)]
struct Critical {
    image: Image,
    #[serde(rename = "type")]
    kind: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Image {
    docker_manifest_digest: String,
}

/// A log's answer as cosign keeps it.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct LogBundle {
    signed_entry_timestamp: String,
    payload: LogPayload,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct LogPayload {
    body: String,
    integrated_time: i64,
    log_index: i64,
    #[serde(rename = "logID")]
    log_id: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct EntryKind {
    kind: String,
    api_version: String,
}

#[derive(Deserialize)]
struct StampBundle {
    #[serde(rename = "SignedRFC3161Timestamp")]
    token: String,
}

/// A simple signing payload. It is bound to the image by the digest in it; the name is a hint.
pub(crate) fn simple_signing(
    payload: &[u8],
    annotations: &Annotations,
    subject: Digest,
) -> Result<Signed, Failure> {
    let bad = |problem: &dyn std::fmt::Display| {
        malformed(format!("the payload cannot be read: {problem}"))
    };
    unambiguous(payload).map_err(|problem| bad(&problem))?;
    let read: Payload = serde_json::from_slice(payload).map_err(|error| bad(&error))?;
    if !PAYLOAD_TYPES.contains(&read.critical.kind.as_str()) {
        let detail = format!("the payload is of type `{}`", read.critical.kind);
        return Err(malformed(detail));
    }
    if read.critical.image.docker_manifest_digest != subject.to_string() {
        return Err(elsewhere("the payload is about another digest"));
    }
    let signature = decoded(annotations, SIGNATURE)?
        .ok_or_else(|| malformed(format!("the layer has no annotation `{SIGNATURE}`")))?;
    let digest = MessageDigest::new(
        HashAlgorithm::Sha2256,
        DigestBytes::new(Digest::of(payload).raw().to_vec()),
    );
    let message = MessageSignature::new(SignatureBytes::new(signature)).with_message_digest(digest);
    let bundle = rewrapped(annotations, SignatureContent::MessageSignature(message))?;
    Ok(Signed {
        bundle,
        payload: Some(payload.to_vec()),
        statement: Statement::Signature,
    })
}

/// A bare envelope, as `.att` tags hold them.
pub(crate) fn envelope(
    envelope: &[u8],
    annotations: &Annotations,
    subject: Digest,
) -> Result<(Bundle, Statement), Failure> {
    let bad = |problem: &dyn std::fmt::Display| {
        malformed(format!("the envelope cannot be read: {problem}"))
    };
    unambiguous(envelope).map_err(|problem| bad(&problem))?;
    let envelope: DsseEnvelope = serde_json::from_slice(envelope).map_err(|error| bad(&error))?;
    let statement = statement(&envelope.payload_type, envelope.payload.as_bytes(), subject)?;
    let bundle = rewrapped(annotations, SignatureContent::DsseEnvelope(envelope))?;
    Ok((bundle, statement))
}

fn rewrapped(annotations: &Annotations, content: SignatureContent) -> Result<Bundle, Failure> {
    let entries: Vec<_> = log_entry(annotations)?.into_iter().collect();
    // A promise alone is what version 0.1 is for; 0.2 is the other version that knows chains.
    let media_type = match entries.is_empty() {
        true => MediaType::Bundle0_2,
        false => MediaType::Bundle0_1,
    };
    let stamps = timestamp(annotations)?.into_iter().collect();
    let material = VerificationMaterial::new(holder(annotations)?)
        .with_tlog_entries(entries)
        .with_timestamp_verification_data(TimestampVerificationData::new(stamps));
    Ok(Bundle::new(media_type, material, content))
}

fn holder(annotations: &Annotations) -> Result<VerificationMaterialContent, Failure> {
    let mut certificates = certificates(annotations, CERTIFICATE)?;
    if certificates.is_empty() {
        let nobody = PublicKeyIdentifier::new("");
        return Ok(VerificationMaterialContent::PublicKey(nobody));
    }
    let chain = self::certificates(annotations, CHAIN)?;
    if certificates.len() > 1 {
        return Err(malformed("the annotation holds more than one certificate"));
    }
    if chain.is_empty() {
        let leaf = certificates.remove(0);
        return Ok(VerificationMaterialContent::Certificate(
            CertificateContent::new(leaf),
        ));
    }
    certificates.extend(chain);
    Ok(VerificationMaterialContent::X509CertificateChain {
        certificates: certificates.into_iter().map(X509Certificate::new).collect(),
    })
}

fn certificates(annotations: &Annotations, name: &str) -> Result<Vec<DerCertificate>, Failure> {
    let text = annotations
        .get(name)
        .map(String::as_str)
        .unwrap_or_default();
    let mut found = Vec::new();
    for (label, body) in blocks(text) {
        let packed: String = body.split_whitespace().collect();
        let bytes = STANDARD.decode(packed);
        match (label, bytes) {
            ("CERTIFICATE", Ok(bytes)) => found.push(DerCertificate::new(bytes)),
            _ => return Err(malformed(format!("annotation `{name}` is no certificate"))),
        }
    }
    if found.is_empty() && !text.trim().is_empty() {
        return Err(malformed(format!("annotation `{name}` is no certificate")));
    }
    Ok(found)
}

fn log_entry(annotations: &Annotations) -> Result<Option<TransparencyLogEntry>, Failure> {
    let Some(text) = annotations.get(LOG_BUNDLE) else {
        return Ok(None);
    };
    let bad = |problem: &dyn std::fmt::Display| {
        malformed(format!(
            "annotation `{LOG_BUNDLE}` cannot be read: {problem}"
        ))
    };
    unambiguous(text.as_bytes()).map_err(|problem| bad(&problem))?;
    let bundle: LogBundle = serde_json::from_str(text).map_err(|error| bad(&error))?;
    let LogBundle {
        signed_entry_timestamp,
        payload,
    } = bundle;
    let body = STANDARD
        .decode(&payload.body)
        .map_err(|error| bad(&error))?;
    let kind: EntryKind = serde_json::from_slice(&body).map_err(|error| bad(&error))?;
    let kind = match (kind.kind.as_str(), kind.api_version.as_str()) {
        ("hashedrekord", "0.0.1") => KindVersion::HashedRekordV001,
        ("dsse", "0.0.1") => KindVersion::DsseV001,
        ("intoto", "0.0.2") => KindVersion::IntotoV002,
        (kind, version) => {
            let detail = format!("log entries of kind `{kind}` {version} are not read");
            return Err(malformed(detail).with(sealift_core::reason::Reason::EvidenceUnsupported));
        }
    };
    let index = LogIndex::try_from(payload.log_index).map_err(|error| bad(&error))?;
    let log = hex(&payload.log_id).ok_or_else(|| bad(&"`logID` is not hex"))?;
    let promise = STANDARD
        .decode(signed_entry_timestamp)
        .map_err(|error| bad(&error))?;
    let time = Timestamp::from_second(payload.integrated_time).map_err(|error| bad(&error))?;
    let entry = TransparencyLogEntry::new(
        index,
        LogId::new(LogKeyId::new(log)),
        kind,
        CanonicalizedBody::new(body),
    );
    Ok(Some(
        entry
            .with_integrated_time(time)
            .with_inclusion_promise(InclusionPromise::new(SignedTimestamp::new(promise))),
    ))
}

fn timestamp(annotations: &Annotations) -> Result<Option<Rfc3161Timestamp>, Failure> {
    let Some(text) = annotations.get(TIMESTAMP) else {
        return Ok(None);
    };
    let bad = |problem: &dyn std::fmt::Display| {
        malformed(format!(
            "annotation `{TIMESTAMP}` cannot be read: {problem}"
        ))
    };
    let bundle: StampBundle = serde_json::from_str(text).map_err(|error| bad(&error))?;
    let token = STANDARD.decode(bundle.token).map_err(|error| bad(&error))?;
    Ok(Some(Rfc3161Timestamp::new(TimestampToken::new(token))))
}

fn decoded(annotations: &Annotations, name: &str) -> Result<Option<Vec<u8>>, Failure> {
    let Some(text) = annotations.get(name).filter(|text| !text.is_empty()) else {
        return Ok(None);
    };
    let bytes = STANDARD.decode(text.trim());
    bytes
        .map(Some)
        .map_err(|error| malformed(format!("annotation `{name}` is not base64: {error}")))
}

fn hex(text: &str) -> Option<Vec<u8>> {
    let digits = text.as_bytes();
    if !digits.len().is_multiple_of(2) {
        return None;
    }
    let digit = |byte: &u8| char::from(*byte).to_digit(16);
    digits
        .chunks_exact(2)
        .map(|pair| match pair {
            [high, low] => u8::try_from(digit(high)? << 4 | digit(low)?).ok(),
            _ => None,
        })
        .collect()
}
