//! What cryptography proves of one item: who signed, when, and who saw it. No policy yet.
//!
//! The verifier is `sigstore-verify`, held to what it leaves open:
//! - A log's promise never counts as a proof, whatever the bundle's version says.
//! - Logs and timestamp authorities are counted here, each once; a foreign token or entry is set
//!   aside and counts for nothing, it does not spoil the rest.
//! - It is asked with "any identity", which authorises nobody: [`Facts`] name the holder, and only
//!   `authority` decides whether that is somebody.
//! - Keys that signed alone, with no log and no timestamp, are judged here.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::Timestamp;
use sealift_core::digest::Digest;
use sealift_core::reason::Reason;
use sigstore_verify::bundle::Error as BundleError;
use sigstore_verify::types::{
    Artifact, ArtifactDigest, Bundle, KindVersion, Sha256Hash, SignatureContent,
    TransparencyLogEntry, VerificationMaterialContent,
};
use sigstore_verify::{
    CertificateError, Error, PublicKeyVerificationPolicy, TimestampError, TransparencyLogError,
    VerificationPolicy,
};

use crate::certificate::Holder;
use crate::failure::{Failure, Stage};
use crate::key::PublicKey;
use crate::signed::Signed;
use crate::trust_root::TrustRoot;

/// What was proven.
#[derive(Debug)]
pub(crate) struct Facts {
    pub(crate) signer: Signer,
    /// Proven times of signing, earliest first. Empty: nothing proves one.
    pub(crate) times: Vec<Timestamp>,
    /// Logs that proved that they hold the signature.
    pub(crate) proofs: BTreeSet<String>,
    /// Logs that at least promised to.
    pub(crate) promises: BTreeSet<String>,
    /// Timestamp authorities that saw it.
    pub(crate) timestamps: BTreeSet<Digest>,
    /// Whether a certificate log signed for the certificate.
    pub(crate) sct: Sct,
    /// What was set aside.
    pub(crate) aside: Vec<Failure>,
}

/// Who signed.
#[derive(Debug, Clone)]
pub(crate) enum Signer {
    Key(Digest),
    Holder(Arc<Holder>),
}

/// The state of a certificate's SCT.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sct {
    Proven,
    Missing,
    Invalid,
}

/// What a certificate's holder signed, by the word of `root`.
pub(crate) fn keyless(
    signed: &Signed,
    subject: Digest,
    root: &TrustRoot,
) -> Result<Facts, Failure> {
    let certificate = signed.bundle.signing_certificate().ok_or_else(|| {
        fail(
            Reason::IdentityMismatch,
            "it was signed with a key, and a certificate is wanted",
        )
    })?;
    let holder = Holder::read(certificate.as_bytes())
        .map_err(|problem| fail(Reason::CertificateInvalid, problem))?;
    let (bundle, seen) = Seen::of(&signed.bundle, root);
    if let Some(time) = seen.times.iter().find(|time| !holder.is_valid_at(**time)) {
        let (from, until) = (holder.not_before, holder.not_after);
        let detail =
            format!("it was signed at {time}; the certificate held from {from} to {until}");
        return Err(fail(Reason::CertificateExpired, detail));
    }
    let mut policy = VerificationPolicy::any_identity();
    if bundle.verification_material.tlog_entries.is_empty() {
        policy = policy.skip_tlog_unsafe();
    }
    let verify = |policy: &VerificationPolicy| {
        root.verifier()
            .verify(artifact(signed, subject), &bundle, policy)
    };
    let mut sct = Sct::Proven;
    let mut verified = match holder.has_sct {
        true => verify(&policy),
        false => {
            sct = Sct::Missing;
            verify(&policy.clone().skip_sct())
        }
    };
    if let Err(Error::Certificate(CertificateError::Sct(_))) = &verified {
        sct = Sct::Invalid;
        verified = verify(&policy.skip_sct());
    }
    match verified {
        // What it counts as times and what is counted here must not drift apart.
        Ok(result) if result.verified_timestamps().len() == seen.times.len() => {
            Ok(seen.facts(Signer::Holder(Arc::new(holder)), sct))
        }
        Ok(_) => Err(fail(
            Reason::TimeUnproven,
            "the proven times cannot be told apart",
        )),
        Err(error) => Err(explain(&error, &seen)),
    }
}

/// What the holder of `key` signed. Logs and timestamps count by the word of `root`, if there is
/// one.
pub(crate) fn keyed(
    signed: &Signed,
    subject: Digest,
    key: &PublicKey,
    root: Option<&TrustRoot>,
) -> Result<Facts, Failure> {
    let VerificationMaterialContent::PublicKey(named) =
        &signed.bundle.verification_material.content
    else {
        return Err(fail(
            Reason::KeyMismatch,
            "it was signed with a certificate, and a key is wanted",
        ));
    };
    let alone = match message(signed) {
        Some(message) => {
            if !key.verifies(&message, signature(&signed.bundle)?) {
                return Err(misfit(key, &named.hint));
            }
            true
        }
        // A plain signature over bytes that are not at hand, only their digest.
        None => false,
    };
    let signer = Signer::Key(key.fingerprint());
    let Some(root) = root else {
        return match alone {
            true => Ok(Seen::default().facts(signer, Sct::Missing)),
            false => Err(fail(
                Reason::EvidenceUnsupported,
                format!(
                    "it is a plain signature over the bytes of {subject}, which are not at hand"
                ),
            )),
        };
    };
    let (bundle, seen) = Seen::of(&signed.bundle, root);
    if alone && seen.is_nothing() {
        return Ok(seen.facts(signer, Sct::Missing));
    }
    let mut policy = PublicKeyVerificationPolicy::new(key.der());
    if bundle.verification_material.tlog_entries.is_empty() {
        policy = policy.skip_tlog_unsafe();
    }
    let verified = root
        .verifier()
        .verify(artifact(signed, subject), &bundle, &policy);
    match verified {
        Ok(_) => Ok(seen.facts(signer, Sct::Missing)),
        Err(error) if alone => {
            // The key has signed, whatever came of the rest: what does not verify counts for
            // nothing.
            let mut aside = vec![explain(&error, &seen)];
            aside.extend(seen.aside);
            let nobody = Seen {
                aside,
                ..Seen::default()
            };
            Ok(nobody.facts(signer, Sct::Missing))
        }
        Err(error) => Err(explain(&error, &seen)),
    }
}

/// Why a signature is not one of `key`.
fn misfit(key: &PublicKey, hint: &str) -> Failure {
    let fingerprint = key.fingerprint();
    if hint == key.hint() {
        let detail = format!("it names key {fingerprint}, and the signature does not fit");
        return fail(Reason::SignatureInvalid, detail);
    }
    let detail = format!("it was not signed with key {fingerprint}, or was altered since");
    Failure::new(Stage::Identity, Reason::KeyMismatch, detail)
}

/// Who saw a signature, counted.
#[derive(Debug, Default)]
struct Seen {
    times: Vec<Timestamp>,
    proofs: BTreeSet<String>,
    promises: BTreeSet<String>,
    timestamps: BTreeSet<Digest>,
    aside: Vec<Failure>,
}

impl Seen {
    /// Sets aside what `root` knows nothing of. The entries that stay are counted as they claim;
    /// the verifier is asked afterwards whether every claim holds.
    fn of(bundle: &Bundle, root: &TrustRoot) -> (Bundle, Self) {
        let mut bundle = bundle.clone();
        let mut seen = Self::default();
        let material = &mut bundle.verification_material;
        let signature = match &bundle.content {
            SignatureContent::MessageSignature(message) => Some(&message.signature),
            SignatureContent::DsseEnvelope(envelope) => Some(&envelope.signature.sig),
            _ => None,
        };
        let stamps = &mut material.timestamp_verification_data.rfc3161_timestamps;
        stamps.retain(|stamp| {
            let verified = root
                .timestamp_authorities()
                .iter()
                .find_map(|(name, authority)| {
                    let token = &stamp.signed_timestamp;
                    let time = sigstore_verify::tsa::verify_timestamp_for_authority(
                        token, signature?, authority,
                    );
                    time.ok().map(|time| (*name, time))
                });
            match verified {
                Some((name, time)) => {
                    seen.timestamps.insert(name);
                    seen.times.push(time);
                }
                None => seen.aside.push(fail(
                    Reason::TimestampInvalid,
                    "a timestamp verifies with no authority of the trust root",
                )),
            }
            verified.is_some()
        });
        material
            .tlog_entries
            .retain(|entry| match seen.log(entry, root) {
                Ok(()) => true,
                Err(aside) => {
                    seen.aside.push(aside);
                    false
                }
            });
        seen.times.sort_unstable();
        (bundle, seen)
    }

    /// Counts what an entry claims, if it is the word of the log that it names.
    fn log(&mut self, entry: &TransparencyLogEntry, root: &TrustRoot) -> Result<(), Failure> {
        let id = &entry.log_id.key_id;
        let name = id.to_base64();
        if !root.knows_log(id.as_bytes()) {
            let detail = format!("the trust root knows no log {name}");
            return Err(fail(Reason::LogUnknown, detail));
        }
        let promised = entry.inclusion_promise.is_some();
        let is_v2 = entry.kind_version == KindVersion::HashedRekordV002;
        let own = entry.integrated_time.filter(|_| promised && !is_v2);
        // An entry without a time of its own was made when the timestamps were.
        let times = own
            .as_ref()
            .map_or(self.times.as_slice(), std::slice::from_ref);
        if !root.log_in_force(id.as_bytes(), times) {
            let times: Vec<_> = times.iter().map(ToString::to_string).collect();
            let when = match times.is_empty() {
                true => "today, and nothing proves an earlier time".to_owned(),
                false => times.join(", "),
            };
            let detail = format!("the trust root does not know log {name} at {when}");
            return Err(fail(Reason::LogUnknown, detail));
        }
        match &entry.inclusion_proof {
            Some(proof) => {
                let checkpoint = proof.checkpoint.checkpoint();
                let Some(checkpoint) = checkpoint.filter(|one| root.log_signed(id.as_bytes(), one))
                else {
                    let detail = format!("the checkpoint is not one of log {name}");
                    return Err(fail(Reason::LogProofInvalid, detail));
                };
                // The verifier compares the roots alone. Of Rekor v2 it reads the checkpoint only.
                let (size, signed) = (proof.tree_size, checkpoint.tree_size());
                if !is_v2 && size != signed {
                    let detail = format!(
                        "the proof is for {size} entries of log {name}, its checkpoint for {signed}"
                    );
                    return Err(fail(Reason::LogProofInvalid, detail));
                }
                self.proofs.insert(name.clone());
            }
            None if !promised => {
                let detail = format!("the entry of log {name} has neither proof nor promise");
                return Err(fail(Reason::LogProofMissing, detail));
            }
            None => {}
        }
        self.times.extend(own);
        self.promises.insert(name);
        Ok(())
    }

    fn is_nothing(&self) -> bool {
        self.timestamps.is_empty() && self.promises.is_empty()
    }

    fn facts(self, signer: Signer, sct: Sct) -> Facts {
        Facts {
            signer,
            times: self.times,
            proofs: self.proofs,
            promises: self.promises,
            timestamps: self.timestamps,
            sct,
            aside: self.aside,
        }
    }
}

fn artifact(signed: &Signed, subject: Digest) -> Artifact<'_> {
    match &signed.payload {
        Some(payload) => Artifact::from_blob(payload),
        None => Artifact::from_digest(ArtifactDigest::sha256(Sha256Hash::new(*subject.raw()))),
    }
}

/// The bytes that a key signed, where they are at hand.
fn message(signed: &Signed) -> Option<Vec<u8>> {
    match &signed.bundle.content {
        SignatureContent::DsseEnvelope(envelope) => Some(envelope.pae()),
        _ => signed.payload.clone(),
    }
}

fn signature(bundle: &Bundle) -> Result<&[u8], Failure> {
    match &bundle.content {
        SignatureContent::MessageSignature(message) => Ok(message.signature.as_bytes()),
        SignatureContent::DsseEnvelope(envelope) => Ok(envelope.signature.sig.as_bytes()),
        _ => Err(fail(
            Reason::EvidenceMalformed,
            "its content is of an unknown kind",
        )),
    }
}

fn fail(reason: Reason, detail: impl Into<String>) -> Failure {
    Failure::new(Stage::Proof, reason, detail)
}

fn nothing() -> Failure {
    fail(Reason::TimeUnproven, "nothing proves when it was signed")
}

/// The verifier's error as one of our reasons.
fn explain(error: &Error, seen: &Seen) -> Failure {
    let reason = match error {
        Error::SignatureInvalid(_) => Reason::SignatureInvalid,
        // What is signed was compared with the subject before: it is the hash in the entry.
        Error::ArtifactMismatch(_) => Reason::LogEntryMismatch,
        Error::Certificate(CertificateError::Malformed(_)) => Reason::CertificateInvalid,
        Error::Certificate(CertificateError::Sct(_)) => Reason::SctInvalid,
        Error::Certificate(
            CertificateError::Expired { .. } | CertificateError::NotYetValid { .. },
        ) => Reason::CertificateExpired,
        Error::Certificate(_) => Reason::CertificateUntrusted,
        Error::TransparencyLog(TransparencyLogError::UnknownLog { .. }) => Reason::LogUnknown,
        Error::TransparencyLog(TransparencyLogError::EntryMismatch(_)) => Reason::LogEntryMismatch,
        Error::TransparencyLog(TransparencyLogError::IntegratedTime(_)) => Reason::TimeInFuture,
        Error::TransparencyLog(TransparencyLogError::MalformedEntry(_)) => {
            Reason::EvidenceMalformed
        }
        Error::TransparencyLog(_) => Reason::LogProofInvalid,
        // Whatever was set aside is why nothing is left.
        Error::Timestamp(TimestampError::NoVerifiedTimestamp(_))
        | Error::Bundle(
            BundleError::MissingSigningTimeEvidence
            | BundleError::MissingInclusionProof(_)
            | BundleError::MissingInclusionPromise(_),
        ) if !seen.aside.is_empty() => return seen.aside.first().cloned().unwrap_or_else(nothing),
        Error::Timestamp(TimestampError::NoVerifiedTimestamp(_))
        | Error::Bundle(BundleError::MissingSigningTimeEvidence) => return nothing(),
        Error::Bundle(BundleError::MissingInclusionPromise(_)) if seen.is_nothing() => {
            return nothing();
        }
        Error::Timestamp(_) => Reason::TimestampInvalid,
        Error::Bundle(
            BundleError::MissingInclusionProof(_) | BundleError::MissingInclusionPromise(_),
        ) => Reason::LogProofMissing,
        Error::Bundle(
            BundleError::CheckpointRootMismatch | BundleError::LogIndexOutOfRange { .. },
        ) => Reason::LogProofInvalid,
        Error::UnsupportedArtifact(_) | Error::UnsupportedBundle(_) => Reason::EvidenceUnsupported,
        _ => Reason::EvidenceMalformed,
    };
    fail(reason, error.to_string())
}
