//! Public keys of signers, and signatures under them.
//!
//! The kinds that cosign and the clouds' key services make: ECDSA over P-256, P-384 and P-521,
//! Ed25519, RSA from 2,048 to 8,192 bits. The hash is not told by the key: cosign signs with
//! SHA-256 whatever the curve, others with the curve's own, so each that fits the key is tried.
//! PEM: RFC 7468; SPKI: RFC 5280.

use aws_lc_rs::signature::{self as algorithms, UnparsedPublicKey, VerificationAlgorithm};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use der::{Decode as _, Encode as _};
use sealift_core::digest::Digest;
use sealift_core::limits::AUTHORITIES_MAX;
use sigstore_verify::types::DerPublicKey;
use x509_cert::spki::{ObjectIdentifier, SubjectPublicKeyInfoOwned};

const EC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const P256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
const P384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.34");
const P521: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.35");
const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");
const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");

/// A public key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKey {
    kind: Kind,
    spki: Vec<u8>,
    raw: Vec<u8>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    P256,
    P384,
    P521,
    Ed25519,
    Rsa,
}

/// Why a text holds no usable key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// No block of PEM.
    #[error("the file holds no `-----BEGIN PUBLIC KEY-----`")]
    NoKey,
    /// A private key, of all things.
    #[error(
        "the file holds a private key; give the public half, and treat the private one as lost"
    )]
    Private,
    /// A block that is no public key.
    #[error("block {index} (`{label}`) is no public key: {problem}")]
    Block {
        /// Its position, from 1.
        index: usize,
        /// Its label.
        label: String,
        /// What is wrong with it.
        problem: String,
    },
    /// More than may be.
    #[error("the file holds more than {AUTHORITIES_MAX} keys")]
    TooMany,
}

impl PublicKey {
    /// Reads every key of a PEM file.
    ///
    /// # Errors
    /// There is none, or one of the blocks is something else: a key that is silently left out would
    /// be missed much later.
    pub fn parse_all(text: &[u8]) -> Result<Vec<Self>, KeyError> {
        let text = std::str::from_utf8(text).map_err(|_| KeyError::NoKey)?;
        let mut keys = Vec::new();
        for (position, (label, body)) in blocks(text).into_iter().enumerate() {
            let index = position + 1;
            if label.contains("PRIVATE KEY") {
                return Err(KeyError::Private);
            }
            if index > AUTHORITIES_MAX {
                return Err(KeyError::TooMany);
            }
            let problem = |problem: String| KeyError::Block {
                index,
                label: label.to_owned(),
                problem,
            };
            if label != "PUBLIC KEY" {
                return Err(problem("only `PUBLIC KEY` is read".to_owned()));
            }
            let packed: String = body.split_whitespace().collect();
            let der = STANDARD
                .decode(packed)
                .map_err(|error| problem(error.to_string()))?;
            keys.push(Self::from_spki(&der).map_err(problem)?);
        }
        match keys.is_empty() {
            true => Err(KeyError::NoKey),
            false => Ok(keys),
        }
    }

    fn from_spki(der: &[u8]) -> Result<Self, String> {
        let info = SubjectPublicKeyInfoOwned::from_der(der).map_err(|error| error.to_string())?;
        let curve = || {
            let parameters = info.algorithm.parameters.as_ref();
            parameters.and_then(|any| any.decode_as::<ObjectIdentifier>().ok())
        };
        let kind = match info.algorithm.oid {
            EC => match curve() {
                Some(P256) => Kind::P256,
                Some(P384) => Kind::P384,
                Some(P521) => Kind::P521,
                other => return Err(format!("the curve {other:?} is not supported")),
            },
            ED25519 => Kind::Ed25519,
            RSA => Kind::Rsa,
            other => return Err(format!("keys of kind {other} are not supported")),
        };
        let raw = info.subject_public_key.raw_bytes().to_vec();
        let spki = info.to_der().map_err(|error| error.to_string())?;
        Ok(Self { kind, spki, raw })
    }

    /// SHA-256 of the key as SPKI: its name in messages, and what tells signers apart.
    #[must_use]
    pub fn fingerprint(&self) -> Digest {
        Digest::of(&self.spki)
    }

    /// The key's name in a bundle: base64 of its fingerprint.
    pub(crate) fn hint(&self) -> String {
        STANDARD.encode(self.fingerprint().raw())
    }

    pub(crate) fn der(&self) -> DerPublicKey {
        DerPublicKey::new(self.spki.clone())
    }

    /// Whether `signature` is one over `message`, by any hash and padding that fits the key.
    #[must_use]
    pub fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        self.algorithms().iter().any(|algorithm| {
            UnparsedPublicKey::new(*algorithm, &self.raw)
                .verify(message, signature)
                .is_ok()
        })
    }

    fn algorithms(&self) -> &'static [&'static dyn VerificationAlgorithm] {
        match self.kind {
            Kind::P256 => &[
                &algorithms::ECDSA_P256_SHA256_ASN1,
                &algorithms::ECDSA_P256_SHA384_ASN1,
                &algorithms::ECDSA_P256_SHA512_ASN1,
            ],
            Kind::P384 => &[
                &algorithms::ECDSA_P384_SHA256_ASN1,
                &algorithms::ECDSA_P384_SHA384_ASN1,
                &algorithms::ECDSA_P384_SHA512_ASN1,
            ],
            Kind::P521 => &[
                &algorithms::ECDSA_P521_SHA256_ASN1,
                &algorithms::ECDSA_P521_SHA384_ASN1,
                &algorithms::ECDSA_P521_SHA512_ASN1,
            ],
            Kind::Ed25519 => &[&algorithms::ED25519],
            Kind::Rsa => &[
                &algorithms::RSA_PKCS1_2048_8192_SHA256,
                &algorithms::RSA_PKCS1_2048_8192_SHA384,
                &algorithms::RSA_PKCS1_2048_8192_SHA512,
                &algorithms::RSA_PSS_2048_8192_SHA256,
                &algorithms::RSA_PSS_2048_8192_SHA384,
                &algorithms::RSA_PSS_2048_8192_SHA512,
            ],
        }
    }
}

/// Labels and bodies of the blocks of a PEM file.
pub(crate) fn blocks(text: &str) -> Vec<(&str, &str)> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some((_, behind)) = rest.split_once("-----BEGIN ") {
        let Some((label, body)) = behind.split_once("-----") else {
            break;
        };
        let Some((body, after)) = body.split_once("-----END ") else {
            found.push((label, ""));
            break;
        };
        found.push((label, body));
        rest = after;
    }
    found
}
