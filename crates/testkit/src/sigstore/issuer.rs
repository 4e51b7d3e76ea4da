//! An OpenID issuer: it signs identity tokens and publishes the key to check them with.
//!
//! It also is the proxy that Fulcio goes through (HTTP CONNECT), and answers there as the issuers'
//! hosts, with a certificate of a CA of its own. So Fulcio sees GitHub's issuer on loopback, and
//! certificates name the issuer that policies name.

use std::net::SocketAddr;
use std::time::{SystemTime, UNIX_EPOCH};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

use super::loopback::Loopback;
use crate::registry::tls::Authority;
use crate::registry::wire::{self, Reply};

/// The issuer of GitHub workflows.
pub const GITHUB_ISSUER: &str = "https://token.actions.githubusercontent.com";
/// An issuer of people.
pub const EMAIL_ISSUER: &str = "https://accounts.google.com";

/// A token is used at once.
const TOKEN_SECONDS: u64 = 300;

/// A run of a workflow of a GitHub repository, as its token tells.
#[derive(Debug, Clone)]
pub struct Workflow {
    /// `owner/name`.
    pub repository: String,
    /// The file below `.github/workflows/`.
    pub file: String,
    /// `refs/tags/v1.2.3`.
    pub git_ref: String,
}

impl Workflow {
    /// A run of `release.yml`.
    #[must_use]
    pub fn release(repository: &str, git_ref: &str) -> Self {
        Self {
            repository: repository.to_owned(),
            file: "release.yml".to_owned(),
            git_ref: git_ref.to_owned(),
        }
    }

    /// The subject of its certificates.
    #[must_use]
    pub fn subject(&self) -> String {
        format!("https://github.com/{}", self.path())
    }

    fn path(&self) -> String {
        let Self {
            repository,
            file,
            git_ref,
        } = self;
        format!("{repository}/.github/workflows/{file}@{git_ref}")
    }

    /// GitHub Docs, "OpenID Connect reference", "OIDC token claims".
    pub(super) fn claims(&self) -> Value {
        let Self {
            repository,
            git_ref,
            ..
        } = self;
        let owner = repository.split('/').next().unwrap_or_default();
        let commit = "a".repeat(40);
        json!({
            "iss": GITHUB_ISSUER,
            "sub": format!("repo:{repository}:ref:{git_ref}"),
            "event_name": "push",
            "sha": commit,
            "workflow": "release",
            "repository": repository,
            "ref": git_ref,
            "job_workflow_ref": self.path(),
            "job_workflow_sha": commit,
            "runner_environment": "github-hosted",
            "repository_id": "1001",
            "repository_owner": owner,
            "repository_owner_id": "2002",
            "workflow_ref": self.path(),
            "workflow_sha": commit,
            "run_id": "3003",
            "run_attempt": "1",
            "repository_visibility": "public",
        })
    }
}

pub(super) fn email_claims(address: &str) -> Value {
    json!({ "iss": EMAIL_ISSUER, "sub": "4004", "email": address, "email_verified": true })
}

/// A running issuer; it ends when dropped.
pub(super) struct TokenIssuer {
    server: Loopback,
    ca_pem: String,
    key: EcdsaKeyPair,
}

impl TokenIssuer {
    pub(super) fn start() -> Self {
        let key = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).expect("a key");
        let host = |issuer: &'static str| issuer.trim_start_matches("https://");
        let tls = Authority::for_names(&[host(GITHUB_ISSUER), host(EMAIL_ISSUER)]);
        let ca_pem = tls.ca_pem.clone();
        let keys = key_set(&key);
        let server = Loopback::start(move |stream| proxy(stream, tls.clone(), keys.clone()));
        Self {
            server,
            ca_pem,
            key,
        }
    }

    /// Where it listens, as issuer and as proxy.
    pub(super) fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// The CA of the hosts that it answers as.
    pub(super) fn ca_pem(&self) -> &str {
        &self.ca_pem
    }

    /// A token of these claims for Sigstore, valid from now. RFC 7519 and RFC 7518, section 3.4.
    pub(super) fn token(&self, claims: &Value) -> String {
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .expect("a clock");
        let mut claims = claims.clone();
        claims["aud"] = json!("sigstore");
        claims["iat"] = json!(now.as_secs());
        claims["exp"] = json!(now.as_secs() + TOKEN_SECONDS);
        let head = json!({ "alg": "ES256", "kid": "1", "typ": "JWT" });
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", part(&head), part(&claims));
        let signature = self.key.sign(&SystemRandom::new(), signed.as_bytes());
        let signature = URL_SAFE_NO_PAD.encode(signature.expect("a signature").as_ref());
        format!("{signed}.{signature}")
    }
}

/// RFC 7517; a P-256 point is `04`, x and y (SEC 1, section 2.3.3).
fn key_set(key: &EcdsaKeyPair) -> Value {
    let point = key.public_key().as_ref();
    let (x, y) = point[1..].split_at(32);
    let [x, y] = [x, y].map(|part| URL_SAFE_NO_PAD.encode(part));
    json!({ "keys": [{
        "kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": "1", "x": x, "y": y,
    }] })
}

async fn proxy(mut stream: TcpStream, tls: Authority, keys: Value) {
    let Ok(Some(request)) = wire::read(&mut stream).await else {
        return;
    };
    if request.method != "CONNECT" {
        let _client_gone = wire::write(&mut stream, &Reply::new(404), false).await;
        return;
    }
    let Ok(true) = wire::write(&mut stream, &Reply::new(200), true).await else {
        return;
    };
    let host = request.path.trim_end_matches(":443");
    if let Ok(stream) = tls.acceptor.accept(stream).await {
        converse(stream, &format!("https://{host}"), &keys).await;
    }
}

async fn converse(mut stream: impl AsyncRead + AsyncWrite + Unpin, issuer: &str, keys: &Value) {
    while let Ok(Some(request)) = wire::read(&mut stream).await {
        let reply = answer(&request.path, issuer, keys);
        if !matches!(wire::write(&mut stream, &reply, false).await, Ok(true)) {
            return;
        }
    }
}

/// OpenID Connect Discovery 1.0, section 3.
fn answer(path: &str, issuer: &str, keys: &Value) -> Reply {
    match path {
        "/.well-known/openid-configuration" => Reply::new(200).json(&json!({
            "issuer": issuer,
            "jwks_uri": format!("{issuer}/jwks"),
            "authorization_endpoint": format!("{issuer}/authorize"),
            "token_endpoint": format!("{issuer}/token"),
            "response_types_supported": ["id_token"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["ES256"],
        })),
        "/jwks" => Reply::new(200).json(keys),
        _ => Reply::new(404),
    }
}
