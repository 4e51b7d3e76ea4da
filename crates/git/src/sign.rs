//! Commit signatures, made in this process: no key ring, no agent, no key file.
//!
//! A key that cannot sign is an error, never a commit without signature. What is signed is the
//! whole commit object without its signature header; gitformat-signature(5).

mod openpgp;
mod ssh;

use std::fmt;

use jiff::Timestamp;
use sealift_core::secret::Secret;

/// A key that signs commits.
pub struct Signer(Key);

enum Key {
    Ssh(Box<ssh::SshSigner>),
    OpenPgp(Box<openpgp::OpenPgpSigner>),
}

/// Why a key cannot sign. Texts of libraries are kept: they name formats and algorithms, never key
/// material.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SignError {
    /// The key cannot be read.
    #[error("the {format} signing key cannot be read: {detail}")]
    KeyUnreadable {
        /// `SSH` or `OpenPGP`.
        format: &'static str,
        /// What is wrong with it.
        detail: String,
    },
    /// The key is encrypted, and there is no passphrase or a wrong one.
    #[error("the {format} signing key is encrypted: {detail}")]
    KeyEncrypted {
        /// `SSH` or `OpenPGP`.
        format: &'static str,
        /// What is missing.
        detail: String,
    },
    /// The key is readable, but may or can not sign.
    #[error("the {format} key cannot sign: {detail}")]
    CannotSign {
        /// `SSH` or `OpenPGP`.
        format: &'static str,
        /// Why.
        detail: String,
    },
}

impl Signer {
    /// A signer from an OpenSSH private key (`-----BEGIN OPENSSH PRIVATE KEY-----`) without
    /// passphrase.
    ///
    /// # Errors
    /// [`SignError`]: unreadable, encrypted, or of a kind that cannot sign.
    pub fn from_ssh(key: &Secret<String>) -> Result<Self, SignError> {
        ssh::SshSigner::read(key).map(|signer| Self(Key::Ssh(Box::new(signer))))
    }

    /// A signer from an armored OpenPGP secret key. The newest subkey that may sign does, else the
    /// primary key.
    ///
    /// # Errors
    /// [`SignError`]: unreadable, locked with another passphrase, or without a part that may sign.
    pub fn from_openpgp(
        armored: &Secret<String>,
        passphrase: Option<&Secret<String>>,
    ) -> Result<Self, SignError> {
        openpgp::OpenPgpSigner::read(armored, passphrase)
            .map(|signer| Self(Key::OpenPgp(Box::new(signer))))
    }

    /// The signature of `payload` in its armored form. `time` is when, for formats that say so.
    ///
    /// # Errors
    /// [`SignError::CannotSign`], [`SignError::KeyEncrypted`].
    pub fn sign(&self, payload: &[u8], time: Timestamp) -> Result<String, SignError> {
        match &self.0 {
            Key::Ssh(signer) => signer.sign(payload),
            Key::OpenPgp(signer) => signer.sign(payload, time),
        }
    }

    /// Fingerprint of the public key: what plans are grouped by, and what people compare.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        match &self.0 {
            Key::Ssh(signer) => signer.fingerprint(),
            Key::OpenPgp(signer) => signer.fingerprint(),
        }
    }
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signer({})", self.fingerprint())
    }
}
