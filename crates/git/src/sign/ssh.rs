//! SSH signatures in the namespace `git`. OpenSSH, PROTOCOL.sshsig.

use sealift_core::secret::Secret;
use ssh_key::{HashAlg, LineEnding, PrivateKey};

use super::SignError;

const FORMAT: &str = "SSH";

/// One private key.
pub(super) struct SshSigner(PrivateKey);

impl SshSigner {
    pub(super) fn read(key: &Secret<String>) -> Result<Self, SignError> {
        let text = key.expose().trim();
        let unreadable = |detail: String| SignError::KeyUnreadable {
            format: FORMAT,
            detail,
        };
        if !text.starts_with("-----BEGIN OPENSSH PRIVATE KEY-----") {
            return Err(unreadable(
                "it is not in OpenSSH format (`ssh-keygen -p` converts it)".to_owned(),
            ));
        }
        let key = PrivateKey::from_openssh(text).map_err(|error| unreadable(error.to_string()))?;
        if key.is_encrypted() {
            return Err(SignError::KeyEncrypted {
                format: FORMAT,
                detail: "only keys without passphrase can be used".to_owned(),
            });
        }
        let signer = Self(key);
        // A kind of key that cannot sign is found now, not in the middle of a cycle.
        signer.sign(b"")?;
        Ok(signer)
    }

    pub(super) fn sign(&self, payload: &[u8]) -> Result<String, SignError> {
        let signed = self.0.sign("git", HashAlg::Sha512, payload);
        signed
            .and_then(|signature| signature.to_pem(LineEnding::LF))
            .map_err(|error| SignError::CannotSign {
                format: FORMAT,
                detail: error.to_string(),
            })
    }

    pub(super) fn fingerprint(&self) -> String {
        self.0.fingerprint(HashAlg::Sha256).to_string()
    }
}
