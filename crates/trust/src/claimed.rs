//! What evidence says of itself. Nothing here is proven, and nothing may be decided by it: a person
//! reads it to write a policy, and the policy is judged.

use std::collections::{BTreeMap, BTreeSet};

use der::Decode as _;
use jiff::Timestamp;
use sealift_core::digest::Digest;
use sealift_core::evidence::Item;
use sigstore_verify::types::VerificationMaterialContent;
use x509_cert::Certificate as X509;

use crate::certificate::Holder;
use crate::failure::Failure;
use crate::signed::{Signed, Statement, malformed};

/// One item of evidence, as it says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claimed {
    /// Who signed it.
    pub signer: ClaimedSigner,
    /// The predicate type; `None`: it is a plain signature.
    pub predicate: Option<String>,
    /// Logs that an inclusion proof names, by their ids.
    pub proofs: BTreeSet<String>,
    /// Logs that only promise.
    pub promises: BTreeSet<String>,
    /// Timestamp tokens.
    pub timestamps: usize,
}

/// A signer, as the evidence says.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum ClaimedSigner {
    /// Somebody with a key.
    Key {
        /// What the bundle calls it; may be empty.
        hint: String,
    },
    /// The holder of a certificate.
    Holder {
        /// Issuer of the token.
        issuer: String,
        /// The subject alternative name.
        subject: String,
        /// Claims by their documented names.
        claims: BTreeMap<&'static str, String>,
        /// Who issued the certificate: its issuer's name, RFC 4514.
        authority: String,
        /// Whether a certificate log is named in it.
        has_sct: bool,
        /// The end of the certificate.
        not_after: Timestamp,
    },
}

/// Reads what `item`, found for `subject`, says of itself.
///
/// # Errors
/// It cannot be read, or is about another digest.
pub fn claimed(item: &Item, subject: Digest) -> Result<Claimed, Failure> {
    let signed = Signed::read(item, subject)?;
    let material = &signed.bundle.verification_material;
    let signer = match (&material.content, signed.bundle.signing_certificate()) {
        (VerificationMaterialContent::PublicKey(key), _) => ClaimedSigner::Key {
            hint: key.hint.clone(),
        },
        (_, Some(certificate)) => holder(certificate.as_bytes()).map_err(malformed)?,
        (_, None) => return Err(malformed("it names neither a key nor a certificate")),
    };
    let mut claimed = Claimed {
        signer,
        predicate: match signed.statement {
            Statement::Signature => None,
            Statement::Attestation(predicate) => Some(predicate),
        },
        proofs: BTreeSet::new(),
        promises: BTreeSet::new(),
        timestamps: material
            .timestamp_verification_data
            .rfc3161_timestamps
            .len(),
    };
    for entry in &material.tlog_entries {
        let log = entry.log_id.key_id.to_string();
        match entry.inclusion_proof {
            Some(_) => claimed.proofs.insert(log),
            None => claimed.promises.insert(log),
        };
    }
    Ok(claimed)
}

fn holder(certificate: &[u8]) -> Result<ClaimedSigner, String> {
    let holder = Holder::read(certificate)?;
    let parsed = X509::from_der(certificate).map_err(|error| error.to_string())?;
    Ok(ClaimedSigner::Holder {
        issuer: holder.issuer.unwrap_or_default(),
        subject: holder.subject,
        claims: holder.claims,
        authority: parsed.tbs_certificate.issuer.to_string(),
        has_sct: holder.has_sct,
        not_after: holder.not_after,
    })
}
