//! OpenPGP signatures. RFC 9580, section 5.2; keys of version 4, which is what Git's verifiers
//! read.

use jiff::Timestamp;
use pgp::composed::{ArmorOptions, Deserializable as _, DetachedSignature, SignedSecretKey};
use pgp::packet::{Signature, SignatureConfig, SignatureType, Subpacket, SubpacketData};
use pgp::types::{KeyDetails, KeyVersion, Password, SigningKey};
use sealift_core::secret::Secret;

use super::SignError;

const FORMAT: &str = "OpenPGP";

/// One secret key with the part of it that signs.
pub(super) struct OpenPgpSigner {
    key: SignedSecretKey,
    /// Index of the signing subkey; `None`: the primary key.
    subkey: Option<usize>,
    passphrase: Option<Secret<String>>,
}

impl OpenPgpSigner {
    pub(super) fn read(
        armored: &Secret<String>,
        passphrase: Option<&Secret<String>>,
    ) -> Result<Self, SignError> {
        let text = armored.expose().trim();
        let (key, _) =
            SignedSecretKey::from_string(text).map_err(|error| SignError::KeyUnreadable {
                format: FORMAT,
                detail: error.to_string(),
            })?;
        let subkey = signing_subkey(&key);
        if subkey.is_none() && !primary_may_sign(&key) {
            return Err(cannot("no part of it may sign".to_owned()));
        }
        let signer = Self {
            key,
            subkey,
            passphrase: passphrase.cloned(),
        };
        // A wrong passphrase is found now, not in the middle of a cycle.
        signer.sign(b"", Timestamp::UNIX_EPOCH)?;
        Ok(signer)
    }

    pub(super) fn sign(&self, payload: &[u8], time: Timestamp) -> Result<String, SignError> {
        let subkey = self
            .subkey
            .and_then(|index| self.key.secret_subkeys.get(index));
        match subkey {
            Some(subkey) => self.sign_with(&subkey.key, payload, time),
            None => self.sign_with(&self.key.primary_key, payload, time),
        }
    }

    fn sign_with<K: SigningKey>(
        &self,
        key: &K,
        payload: &[u8],
        time: Timestamp,
    ) -> Result<String, SignError> {
        if key.version() != KeyVersion::V4 {
            return Err(cannot("only keys of version 4 are supported".to_owned()));
        }
        let password = self
            .passphrase
            .as_ref()
            .map_or_else(Password::empty, |passphrase| {
                Password::from(passphrase.expose().as_str())
            });
        let seconds = u32::try_from(time.as_second()).unwrap_or_default();
        let created =
            SubpacketData::SignatureCreationTime(pgp::types::Timestamp::from_secs(seconds));
        let mut config =
            SignatureConfig::v4(SignatureType::Binary, key.algorithm(), key.hash_alg());
        let armored = (|| {
            config.hashed_subpackets = vec![
                Subpacket::regular(SubpacketData::IssuerFingerprint(key.fingerprint()))?,
                Subpacket::critical(created)?,
            ];
            config.unhashed_subpackets = vec![Subpacket::regular(SubpacketData::IssuerKeyId(
                key.legacy_key_id(),
            ))?];
            let signature = config.sign(key, &password, payload)?;
            DetachedSignature::new(signature).to_armored_string(ArmorOptions::default())
        })();
        armored.map_err(|error| match &self.passphrase {
            None => cannot(format!("{error} (no passphrase is configured)")),
            Some(_) => cannot(error.to_string()),
        })
    }

    pub(super) fn fingerprint(&self) -> String {
        let subkey = self
            .subkey
            .and_then(|index| self.key.secret_subkeys.get(index));
        subkey
            .map_or_else(
                || self.key.primary_key.fingerprint(),
                |subkey| subkey.key.fingerprint(),
            )
            .to_string()
    }
}

fn cannot(detail: String) -> SignError {
    SignError::CannotSign {
        format: FORMAT,
        detail,
    }
}

/// The newest subkey that is bound for signing and not revoked.
fn signing_subkey(key: &SignedSecretKey) -> Option<usize> {
    let usable = |signatures: &[Signature]| {
        let revoked = signatures
            .iter()
            .any(|s| s.typ() == Some(SignatureType::SubkeyRevocation));
        !revoked
            && signatures
                .iter()
                .any(|signature| signature.key_flags().sign())
    };
    let subkeys = key.secret_subkeys.iter().enumerate();
    subkeys
        .filter(|(_, subkey)| usable(&subkey.signatures))
        .max_by_key(|(_, subkey)| subkey.key.created_at().as_secs())
        .map(|(index, _)| index)
}

/// Whether the primary key's own signatures allow signing, or do not say.
fn primary_may_sign(key: &SignedSecretKey) -> bool {
    let of_users = key.details.users.iter().flat_map(|user| &user.signatures);
    let mut all = of_users.chain(&key.details.direct_signatures).peekable();
    let revoked = !key.details.revocation_signatures.is_empty();
    let silent = all.peek().is_none();
    !revoked && (silent || all.any(|signature| signature.key_flags().sign()))
}
