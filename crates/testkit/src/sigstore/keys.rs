//! The keys of a private Sigstore: a certificate authority for Fulcio, a timestamp authority, a
//! log.

use std::fs;
use std::path::Path;

use rcgen::{
    BasicConstraints, Certificate, CertificateParams, CustomExtension, DnType,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256,
    PKCS_ECDSA_P384_SHA384, PKCS_ED25519,
};

/// `id-kp-timeStamping` alone, DER. RFC 3161, section 2.3, wants it critical, which `rcgen` does
/// not do for the extensions that it knows.
const TIME_STAMPING: [u8; 12] = [0x30, 0x0a, 0x06, 8, 0x2b, 6, 1, 5, 5, 7, 3, 8];
/// `id-ce-extKeyUsage`. RFC 5280, section 4.2.1.12.
const EXTENDED_KEY_USAGE: [u64; 4] = [2, 5, 29, 37];

/// Files by name, PEM.
pub(super) struct Keys(Vec<(&'static str, String)>);

impl Keys {
    pub(super) fn make() -> Self {
        let mut files = Vec::new();
        files.extend(fulcio());
        files.extend(timestamp());
        let rekor = key(&PKCS_ED25519);
        files.push(("rekor.key", rekor.serialize_pem()));
        files.push(("rekor.pub", rekor.public_key_pem()));
        Self(files)
    }

    pub(super) fn write(&self, folder: &Path) {
        for (name, text) in &self.0 {
            fs::write(folder.join(name), text).expect("a key file");
        }
    }
}

/// Fulcio refuses an intermediate without `codeSigning`.
fn fulcio() -> Vec<(&'static str, String)> {
    let (root_params, root_key) = (authority("acme root", 1), key(&PKCS_ECDSA_P384_SHA384));
    let root = own(&root_params, &root_key);
    let mut params = authority("acme intermediate", 0);
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::CodeSigning];
    let intermediate_key = key(&PKCS_ECDSA_P384_SHA384);
    let issuer = Issuer::new(root_params, root_key);
    let intermediate = params
        .signed_by(&intermediate_key, &issuer)
        .expect("certificate");
    vec![
        ("fulcio-chain.pem", intermediate.pem() + &root.pem()),
        ("fulcio-root.crt", root.pem()),
        ("fulcio-int.crt", intermediate.pem()),
        ("fulcio-int.key", intermediate_key.serialize_pem()),
    ]
}

fn timestamp() -> Vec<(&'static str, String)> {
    let (root_params, root_key) = (authority("acme time root", 0), key(&PKCS_ECDSA_P384_SHA384));
    let root = own(&root_params, &root_key);
    let mut params = named("acme time");
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.use_authority_key_identifier_extension = true;
    let mut usage = CustomExtension::from_oid_content(&EXTENDED_KEY_USAGE, TIME_STAMPING.to_vec());
    usage.set_criticality(true);
    params.custom_extensions = vec![usage];
    let leaf_key = key(&PKCS_ECDSA_P256_SHA256);
    let issuer = Issuer::new(root_params, root_key);
    let leaf = params.signed_by(&leaf_key, &issuer).expect("certificate");
    vec![
        ("tsa-chain.pem", leaf.pem() + &root.pem()),
        ("tsa-leaf.key", leaf_key.serialize_pem()),
    ]
}

fn authority(name: &str, below: u8) -> CertificateParams {
    let mut params = named(name);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(below));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.use_authority_key_identifier_extension = true;
    params
}

fn named(name: &str) -> CertificateParams {
    let mut params = CertificateParams::new(Vec::new()).expect("parameters");
    params.distinguished_name.push(DnType::CommonName, name);
    params.not_before = rcgen::date_time_ymd(2024, 1, 1);
    params.not_after = rcgen::date_time_ymd(2124, 1, 1);
    params
}

fn own(params: &CertificateParams, key: &KeyPair) -> Certificate {
    params.self_signed(key).expect("certificate")
}

fn key(algorithm: &'static rcgen::SignatureAlgorithm) -> KeyPair {
    KeyPair::generate_for(algorithm).expect("a key")
}
