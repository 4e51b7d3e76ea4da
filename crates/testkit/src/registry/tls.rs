//! A CA of its own for loopback servers.

use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls_pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::aws_lc_rs;

/// A server's side of TLS, and the CA that clients must trust for it.
#[derive(Clone)]
pub struct Authority {
    /// The CA certificate.
    pub ca_pem: String,
    pub(crate) acceptor: TlsAcceptor,
}

impl Authority {
    /// A new CA with one certificate for `localhost` and `127.0.0.1`.
    #[must_use]
    pub fn new() -> Self {
        Self::for_names(&["localhost", "127.0.0.1"])
    }

    /// A new CA with one certificate for `names`.
    #[must_use]
    pub fn for_names(names: &[&str]) -> Self {
        let ca_key = KeyPair::generate().expect("CA key");
        let mut ca = CertificateParams::new(Vec::new()).expect("CA parameters");
        ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let ca_pem = ca.self_signed(&ca_key).expect("CA certificate").pem();
        let issuer = Issuer::new(ca, ca_key);

        let key = KeyPair::generate().expect("server key");
        let names = names.iter().map(|name| (*name).to_owned());
        let server =
            CertificateParams::new(names.collect::<Vec<String>>()).expect("server parameters");
        let certificate = server.signed_by(&key, &issuer).expect("certificate");
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let provider = Arc::new(aws_lc_rs::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("protocol versions")
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)
            .expect("server configuration");
        Self {
            ca_pem,
            acceptor: TlsAcceptor::from(Arc::new(config)),
        }
    }
}

impl Default for Authority {
    fn default() -> Self {
        Self::new()
    }
}
