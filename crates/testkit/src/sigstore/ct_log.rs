//! What Fulcio needs of a log of certificates: a true promise for each. It keeps nothing; the real
//! servers want a database. RFC 6962, sections 3.2 and 4.2.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::PublicKeyData as _;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tokio::net::TcpStream;
use x509_cert::Certificate;
use x509_cert::der::asn1::ObjectIdentifier;
use x509_cert::der::{Decode as _, Encode as _};

use super::loopback::Loopback;
use crate::registry::wire::{self, Reply};

/// Marks what is submitted, so that it never is a certificate. RFC 6962, section 3.1.
const POISON: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.11129.2.4.3");

/// A running log; it ends when dropped.
pub(super) struct CtLog {
    server: Loopback,
    public_key_pem: String,
}

struct Key {
    id: [u8; 32],
    pair: EcdsaKeyPair,
}

impl CtLog {
    pub(super) fn start() -> Self {
        let key = rcgen::KeyPair::generate().expect("a key");
        let document = key.serialize_der();
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &document);
        let signer = Arc::new(Key {
            id: Sha256::digest(key.subject_public_key_info()).into(),
            pair: pair.expect("the same key"),
        });
        Self {
            server: Loopback::start(move |stream| converse(stream, Arc::clone(&signer))),
            public_key_pem: key.public_key_pem(),
        }
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}", self.server.address())
    }

    pub(super) fn public_key_pem(&self) -> &str {
        &self.public_key_pem
    }
}

async fn converse(mut stream: TcpStream, key: Arc<Key>) {
    while let Ok(Some(request)) = wire::read(&mut stream).await {
        let reply = match request.path.as_str() {
            "/ct/v1/add-pre-chain" => Reply::new(200).json(&promise(&request.body, &key)),
            _ => Reply::new(404),
        };
        if !matches!(wire::write(&mut stream, &reply, false).await, Ok(true)) {
            return;
        }
    }
}

/// A signed certificate timestamp for the first of a chain.
fn promise(body: &[u8], key: &Key) -> Value {
    let body: Value = serde_json::from_slice(body).expect("JSON");
    let certificate = |at: usize| {
        let text = body["chain"][at].as_str().expect("a certificate");
        let bytes = STANDARD.decode(text).expect("Base64");
        Certificate::from_der(&bytes).expect("a certificate")
    };
    let mut signed = certificate(0).tbs_certificate;
    if let Some(extensions) = &mut signed.extensions {
        extensions.retain(|one| one.extn_id != POISON);
    }
    let signed = signed.to_der().expect("DER");
    let issuer = certificate(1).tbs_certificate.subject_public_key_info;
    let issuer = Sha256::digest(issuer.to_der().expect("DER"));
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("a clock");
    let now = u64::try_from(now.as_millis()).expect("a time of our age");

    // Version 1, a certificate's timestamp; an entry of the type `precert_entry`.
    let mut entry = vec![0, 0];
    entry.extend(now.to_be_bytes());
    entry.extend([0, 1]);
    entry.extend(issuer);
    entry.extend(&u32::try_from(signed.len()).expect("a length").to_be_bytes()[1..]);
    entry.extend(signed);
    entry.extend([0, 0]);
    let signature = key
        .pair
        .sign(&SystemRandom::new(), &entry)
        .expect("a signature");
    let signature = signature.as_ref();
    // SHA-256 and ECDSA by their numbers in TLS 1.2. RFC 5246, section 7.4.1.4.1.
    let mut digitally_signed = vec![4, 3];
    digitally_signed.extend(
        u16::try_from(signature.len())
            .expect("a length")
            .to_be_bytes(),
    );
    digitally_signed.extend(signature);
    json!({
        "sct_version": 0,
        "id": STANDARD.encode(key.id),
        "timestamp": now,
        "extensions": "",
        "signature": STANDARD.encode(digitally_signed),
    })
}
