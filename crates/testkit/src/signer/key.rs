//! Key pairs of every kind that images are signed with.

use aws_lc_rs::agreement::{ECDH_P256, ECDH_P384, ECDH_P521, PrivateKey};
use aws_lc_rs::digest;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{self, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RsaKeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::asn1::{bits, integer, null, oid, sequence};

/// What a key is made of, and how it signs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyKind {
    /// ECDSA over P-256 with SHA-256: cosign's own.
    P256,
    /// ECDSA over P-384 with SHA-384.
    P384,
    /// ECDSA over P-384 with SHA-256, as cosign has signed.
    P384Sha256,
    /// ECDSA over P-521 with SHA-512.
    P521,
    /// Ed25519 without a digest before it.
    Ed25519,
    /// RSA of 2048 bits, PKCS #1 v1.5 with SHA-256. Takes a while to make.
    Rsa2048,
    /// RSA of 4096 bits likewise. Takes a longer while.
    Rsa4096,
}

/// The digests in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hash {
    /// SHA-256.
    Sha256,
    /// SHA-384.
    Sha384,
    /// SHA-512.
    Sha512,
}

/// A private key, made from a seed that is no secret: it vouches for nothing outside of tests.
#[derive(Debug)]
pub struct Key {
    kind: KeyKind,
    pair: Pair,
}

#[derive(Debug)]
enum Pair {
    Ecdsa(Box<EcdsaKeyPair>),
    Ed25519(Box<Ed25519KeyPair>),
    Rsa(Box<RsaKeyPair>),
}

impl Key {
    /// The key of this seed. RSA keys alone are new each time, since no library makes them from a
    /// seed.
    ///
    /// # Panics
    /// When the library refuses the key.
    #[must_use]
    pub fn seeded(kind: KeyKind, seed: &str) -> Self {
        let ecdsa = |signing, agreement, width| {
            let private = scalar(seed, width);
            let exchange = PrivateKey::from_private_key(agreement, &private).expect("a key");
            let public = exchange.compute_public_key().expect("a public half");
            let public = public.as_ref();
            let pair = EcdsaKeyPair::from_private_key_and_public_key(signing, &private, public);
            Pair::Ecdsa(Box::new(pair.expect("a key")))
        };
        let rsa = |size| Pair::Rsa(Box::new(RsaKeyPair::generate(size).expect("a key")));
        let pair = match kind {
            KeyKind::P256 => ecdsa(&signature::ECDSA_P256_SHA256_ASN1_SIGNING, &ECDH_P256, 32),
            KeyKind::P384 | KeyKind::P384Sha256 => {
                ecdsa(&signature::ECDSA_P384_SHA384_ASN1_SIGNING, &ECDH_P384, 48)
            }
            KeyKind::P521 => ecdsa(&signature::ECDSA_P521_SHA512_ASN1_SIGNING, &ECDH_P521, 66),
            KeyKind::Ed25519 => {
                let pair = Ed25519KeyPair::from_seed_unchecked(&scalar(seed, 32));
                Pair::Ed25519(Box::new(pair.expect("a key")))
            }
            KeyKind::Rsa2048 => rsa(KeySize::Rsa2048),
            KeyKind::Rsa4096 => rsa(KeySize::Rsa4096),
        };
        Self { kind, pair }
    }

    /// What the key is.
    #[must_use]
    pub const fn kind(&self) -> KeyKind {
        self.kind
    }

    /// The public half as DER `SubjectPublicKeyInfo`.
    #[must_use]
    pub fn spki(&self) -> Vec<u8> {
        let algorithm = match self.kind {
            KeyKind::P256 => curve("1.2.840.10045.3.1.7"),
            KeyKind::P384 | KeyKind::P384Sha256 => curve("1.3.132.0.34"),
            KeyKind::P521 => curve("1.3.132.0.35"),
            KeyKind::Ed25519 => sequence(&[oid("1.3.101.112")]),
            KeyKind::Rsa2048 | KeyKind::Rsa4096 => sequence(&[oid("1.2.840.113549.1.1.1"), null()]),
        };
        sequence(&[algorithm, bits(self.public())])
    }

    /// The public half as PEM.
    #[must_use]
    pub fn pem(&self) -> String {
        pem("PUBLIC KEY", &self.spki())
    }

    /// How bundles name the key: base64 of the SHA-256 of its DER.
    #[must_use]
    pub fn hint(&self) -> String {
        STANDARD.encode(Hash::Sha256.of(&self.spki()))
    }

    /// A signature over `message`.
    ///
    /// # Panics
    /// When the library cannot sign.
    #[must_use]
    pub fn sign(&self, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match &self.pair {
            Pair::Ecdsa(pair) if self.kind == KeyKind::P384Sha256 => {
                // The library has no such algorithm, but a digest of 32 bytes is signed like one of
                // 48 that begins with zeros: both are the same integer. FIPS 186-5, section 6.4.
                let mut padded = vec![0; digest::SHA384_OUTPUT_LEN - digest::SHA256_OUTPUT_LEN];
                padded.extend(Hash::Sha256.of(message));
                let padded = digest::Digest::import_less_safe(&padded, &digest::SHA384);
                let signature = pair.sign_digest(&padded.expect("48 bytes"));
                signature.expect("a signature").as_ref().to_vec()
            }
            Pair::Ecdsa(pair) => {
                let signature = pair.sign(&random, message).expect("a signature");
                signature.as_ref().to_vec()
            }
            Pair::Ed25519(pair) => pair.sign(message).as_ref().to_vec(),
            Pair::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                let encoding = &signature::RSA_PKCS1_SHA256;
                pair.sign(encoding, &random, message, &mut signature)
                    .expect("a signature");
                signature
            }
        }
    }

    /// The digest that goes with the key.
    #[must_use]
    pub const fn hash(&self) -> Hash {
        match self.kind {
            KeyKind::P384 => Hash::Sha384,
            KeyKind::P521 | KeyKind::Ed25519 => Hash::Sha512,
            _ => Hash::Sha256,
        }
    }

    /// The key's name in Sigstore's `PublicKeyDetails`.
    #[must_use]
    pub const fn details(&self) -> &'static str {
        match self.kind {
            KeyKind::P256 => "PKIX_ECDSA_P256_SHA_256",
            KeyKind::P384 => "PKIX_ECDSA_P384_SHA_384",
            KeyKind::P384Sha256 => "PKIX_ECDSA_P384_SHA_256",
            KeyKind::P521 => "PKIX_ECDSA_P521_SHA_512",
            KeyKind::Ed25519 => "PKIX_ED25519",
            KeyKind::Rsa2048 => "PKIX_RSA_PKCS1V15_2048_SHA256",
            KeyKind::Rsa4096 => "PKIX_RSA_PKCS1V15_4096_SHA256",
        }
    }

    /// `AlgorithmIdentifier` of the key's signatures.
    pub(super) fn algorithm(&self) -> Vec<u8> {
        match self.kind {
            KeyKind::P256 | KeyKind::P384Sha256 => sequence(&[oid("1.2.840.10045.4.3.2")]),
            KeyKind::P384 => sequence(&[oid("1.2.840.10045.4.3.3")]),
            KeyKind::P521 => sequence(&[oid("1.2.840.10045.4.3.4")]),
            KeyKind::Ed25519 => sequence(&[oid("1.3.101.112")]),
            KeyKind::Rsa2048 | KeyKind::Rsa4096 => {
                sequence(&[oid("1.2.840.113549.1.1.11"), null()])
            }
        }
    }

    /// The public half without the name of its algorithm.
    pub(super) fn public(&self) -> &[u8] {
        match &self.pair {
            Pair::Ecdsa(pair) => pair.public_key().as_ref(),
            Pair::Ed25519(pair) => pair.public_key().as_ref(),
            Pair::Rsa(pair) => pair.public_key().as_ref(),
        }
    }

    /// `SubjectKeyIdentifier`: SHA-1 over the public half. RFC 5280, section 4.2.1.2.
    pub(super) fn identifier(&self) -> Vec<u8> {
        let hash = digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, self.public());
        hash.as_ref().to_vec()
    }
}

impl Hash {
    /// The digest of `bytes`.
    #[must_use]
    pub fn of(self, bytes: &[u8]) -> Vec<u8> {
        let algorithm = match self {
            Self::Sha256 => &digest::SHA256,
            Self::Sha384 => &digest::SHA384,
            Self::Sha512 => &digest::SHA512,
        };
        digest::digest(algorithm, bytes).as_ref().to_vec()
    }

    /// The digest's name in Sigstore's `HashAlgorithm`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sha256 => "SHA2_256",
            Self::Sha384 => "SHA2_384",
            Self::Sha512 => "SHA2_512",
        }
    }

    pub(super) fn oid(self) -> Vec<u8> {
        oid(match self {
            Self::Sha256 => "2.16.840.1.101.3.4.2.1",
            Self::Sha384 => "2.16.840.1.101.3.4.2.2",
            Self::Sha512 => "2.16.840.1.101.3.4.2.3",
        })
    }
}

/// PEM of `der`. RFC 7468.
#[must_use]
pub fn pem(label: &str, der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let mut pem = format!("-----BEGIN {label}-----\n");
    for line in text.as_bytes().chunks(64) {
        pem.push_str(&String::from_utf8_lossy(line));
        pem.push('\n');
    }
    pem.push_str(&format!("-----END {label}-----\n"));
    pem
}

/// The serial number of a certificate or a timestamp: 20 bytes that follow from `what` it is of.
pub(super) fn serial(what: &[u8]) -> Vec<u8> {
    let mut bytes = Hash::Sha256.of(&[b"serial ", what].concat());
    bytes.truncate(20);
    bytes[0] = (bytes[0] & 0x7f) | 0x40;
    integer(&bytes)
}

/// `width` bytes from a seed that are a number below the order of the curve of that width: the
/// first byte is small, and none of the orders begins with zeros that the width does not hold
/// already.
fn scalar(seed: &str, width: usize) -> Vec<u8> {
    let hash = Hash::Sha512.of(seed.as_bytes());
    let mut bytes = vec![0; width.saturating_sub(hash.len())];
    bytes.extend(hash.iter().take(width));
    bytes[0] &= 0x3f;
    bytes
}

fn curve(name: &str) -> Vec<u8> {
    sequence(&[oid("1.2.840.10045.2.1"), oid(name)])
}
