//! SSH signatures in the namespace `git`. OpenSSH, PROTOCOL.sshsig.

use rsa::pkcs1v15::SigningKey;
use rsa::rand_core::OsRng;
use rsa::sha2::Sha512;
use rsa::signature::{RandomizedSigner as _, SignatureEncoding as _};
use rsa::{BigUint, RsaPrivateKey};
use sealift_core::secret::Secret;
use ssh_key::private::{KeypairData, RsaKeypair};
use ssh_key::{Algorithm, HashAlg, LineEnding, Mpint, PrivateKey, Signature, SshSig};

use super::SignError;

const FORMAT: &str = "SSH";
const NAMESPACE: &str = "git";

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
        let signed = match self.0.key_data() {
            KeypairData::Rsa(key) => sign_rsa(key, payload),
            _ => self.0.sign(NAMESPACE, HashAlg::Sha512, payload),
        };
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

/// `rsa-sha2-512`, RFC 8332. `ssh-key` 0.6.7 cannot: it builds the private key from one of its
/// primes twice.
fn sign_rsa(key: &RsaKeypair, payload: &[u8]) -> ssh_key::Result<SshSig> {
    let number = |mpint: &Mpint| {
        let bytes = mpint.as_positive_bytes().ok_or(ssh_key::Error::Crypto)?;
        Ok::<_, ssh_key::Error>(BigUint::from_bytes_be(bytes))
    };
    let primes = vec![number(&key.private.p)?, number(&key.private.q)?];
    let (n, e, d) = (
        number(&key.public.n)?,
        number(&key.public.e)?,
        number(&key.private.d)?,
    );
    let private =
        RsaPrivateKey::from_components(n, e, d, primes).map_err(|_| ssh_key::Error::Crypto)?;
    let data = SshSig::signed_data(NAMESPACE, HashAlg::Sha512, payload)?;
    // With randomness: the exponentiation is blinded, so its duration tells nothing of the key.
    let signature = SigningKey::<Sha512>::new(private)
        .try_sign_with_rng(&mut OsRng, &data)
        .map_err(|_| ssh_key::Error::Crypto)?;
    let algorithm = Algorithm::Rsa {
        hash: Some(HashAlg::Sha512),
    };
    let signature = Signature::new(algorithm, signature.to_vec())?;
    SshSig::new(
        key.public.clone().into(),
        NAMESPACE,
        HashAlg::Sha512,
        signature,
    )
}
