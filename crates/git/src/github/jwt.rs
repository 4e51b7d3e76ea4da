//! The signed request of a GitHub App: a JSON Web Token (RFC 7519) with RS256 (RFC 7518, 3.3),
//! made in this process.
//!
//! GitHub, "Generating a JSON Web Token (JWT) for a GitHub App": at most ten minutes long, and
//! begun a minute ago against clocks that differ.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::HeaderValue;
use jiff::Timestamp;
use rustls_pki_types::PrivateKeyDer;
use rustls_pki_types::pem::PemObject as _;
use sealift_core::limits::{GITHUB_JWT_BACKDATED_SECS, GITHUB_JWT_SECS};
use sealift_core::repository_credentials::GithubApp;
use sealift_core::secret::Secret;
use serde_json::json;

use super::GithubAppError;

/// `Authorization` of a request in the name of the App itself.
pub(super) fn authorization(
    app: &GithubApp,
    now: Timestamp,
) -> Result<HeaderValue, GithubAppError> {
    let key = key(&app.private_key)?;
    let issued = now.as_second() - GITHUB_JWT_BACKDATED_SECS;
    let header = json!({ "alg": "RS256", "typ": "JWT" });
    let claims = json!({
        "iat": issued,
        "exp": now.as_second() + GITHUB_JWT_SECS,
        "iss": app.app_id.to_string(),
    });
    let encoded = |part: &serde_json::Value| URL_SAFE_NO_PAD.encode(part.to_string());
    let signed = format!("{}.{}", encoded(&header), encoded(&claims));
    let mut signature = vec![0; key.public_modulus_len()];
    key.sign(
        &RSA_PKCS1_SHA256,
        &SystemRandom::new(),
        signed.as_bytes(),
        &mut signature,
    )
    .map_err(|_| GithubAppError::Key("it cannot sign"))?;
    let token = Secret::new(format!(
        "Bearer {signed}.{}",
        URL_SAFE_NO_PAD.encode(signature)
    ));
    let mut value =
        HeaderValue::from_str(token.expose()).map_err(|_| GithubAppError::Key("it cannot sign"))?;
    value.set_sensitive(true);
    Ok(value)
}

/// The key in one of the forms that GitHub and `openssl` give out.
fn key(pem: &Secret<String>) -> Result<RsaKeyPair, GithubAppError> {
    let unusable = GithubAppError::Key;
    let text = pem.expose().trim();
    let der = PrivateKeyDer::from_pem_slice(text.as_bytes())
        .map_err(|_| unusable("it is no private key in PEM without a passphrase"))?;
    match &der {
        PrivateKeyDer::Pkcs1(der) => RsaKeyPair::from_der(der.secret_pkcs1_der()),
        PrivateKeyDer::Pkcs8(der) => RsaKeyPair::from_pkcs8(der.secret_pkcs8_der()),
        _ => return Err(unusable("it is no RSA key")),
    }
    .map_err(|_| unusable("it is no RSA key of 2048 to 8192 bits"))
}
