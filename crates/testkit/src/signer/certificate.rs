//! The certificate authority that is like Fulcio, and certificate logs. RFC 5280; RFC 6962, section
//! 3.

use jiff::{SignedDuration, Timestamp};

use super::asn1::{
    bits, context, flags, integer, null, octets, oid, sequence, set, truth, utc_time, utf8,
};
use super::claims::{FULCIO, Identity, Name};
use super::epoch;
use super::key::{Hash, Key, KeyKind, pem, serial};

/// `id-kp-codeSigning`.
pub const CODE_SIGNING: &str = "1.3.6.1.5.5.7.3.3";
/// `id-kp-timeStamping`.
pub const TIME_STAMPING: &str = "1.3.6.1.5.5.7.3.8";
/// `id-kp-serverAuth`: a usage that signs nothing here.
pub const SERVER_AUTH: &str = "1.3.6.1.5.5.7.3.1";

const SCT_LIST: &str = "1.3.6.1.4.1.11129.2.4.2";
/// Authorities last ten years.
const AUTHORITY_LASTS: SignedDuration = SignedDuration::from_hours(24 * 3650);
/// `HashAlgorithm.sha256`, `SignatureAlgorithm.ecdsa`: RFC 5246, section 7.4.1.4.1.
const ECDSA_SHA256: [u8; 2] = [4, 3];

/// What of a signer's certificate can be set.
#[derive(Debug, Clone)]
pub struct Leaf {
    /// First moment of its validity.
    pub not_before: Timestamp,
    /// Last moment of its validity.
    pub not_after: Timestamp,
    /// Extended key usages; none: no such extension.
    pub usages: Vec<String>,
    /// The certificate logs that give an SCT, by number.
    pub logs: Vec<usize>,
    /// When those logs saw it.
    pub logged_at: Timestamp,
    /// Whether the root itself issues it, and the intermediate does not.
    pub under_root: bool,
    /// Whether it says that it may issue certificates.
    pub is_authority: bool,
    /// Whether an authority that calls itself by the same name, and has another key, issues it.
    pub forged: bool,
    /// Whether somebody issues it who has a certificate for signatures and may issue none.
    pub under_a_leaf: bool,
    /// Extensions more: object identifier, whether critical, value.
    pub extra: Vec<(String, bool, Vec<u8>)>,
    /// Whether the SCT is over another certificate.
    pub sct_of_another: bool,
    /// Bytes behind the certificate.
    pub trailing: Vec<u8>,
}

/// A certificate in the making.
pub(super) struct Parts<'a> {
    pub(super) serial: Vec<u8>,
    pub(super) issuer: &'a str,
    pub(super) subject: &'a str,
    pub(super) not_before: Timestamp,
    pub(super) not_after: Timestamp,
    pub(super) spki: Vec<u8>,
    pub(super) extensions: Vec<Vec<u8>>,
}

impl Parts<'_> {
    pub(super) fn tbs(&self, signer: &Key) -> Vec<u8> {
        sequence(&[
            context(0, &[integer(&[2])]),
            self.serial.clone(),
            signer.algorithm(),
            name(self.issuer),
            sequence(&[utc_time(self.not_before), utc_time(self.not_after)]),
            name(self.subject),
            self.spki.clone(),
            context(3, &[sequence(&self.extensions)]),
        ])
    }

    pub(super) fn signed(&self, signer: &Key) -> Vec<u8> {
        let tbs = self.tbs(signer);
        let signature = signer.sign(&tbs);
        sequence(&[tbs, signer.algorithm(), bits(&signature)])
    }
}

/// `Name` with a common name alone, or nothing.
pub(super) fn name(text: &str) -> Vec<u8> {
    if text.is_empty() {
        return sequence(&[]);
    }
    let organization = sequence(&[oid("2.5.4.10"), utf8("sealift.test")]);
    let common = sequence(&[oid("2.5.4.3"), utf8(text)]);
    sequence(&[set(&[organization]), set(&[common])])
}

fn extension(id: &str, critical: bool, value: &[u8]) -> Vec<u8> {
    let mut parts = vec![oid(id)];
    parts.extend(critical.then(truth));
    parts.push(octets(value));
    sequence(&parts)
}

pub(super) fn usages(ids: &[&str], critical: bool) -> Vec<u8> {
    let ids: Vec<_> = ids.iter().map(|id| oid(id)).collect();
    extension("2.5.29.37", critical, &sequence(&ids))
}

/// `keyUsage` of one who signs: `digitalSignature`.
pub(super) fn key_usage_signer() -> Vec<u8> {
    extension("2.5.29.15", true, &flags(0x80, 7))
}

/// `keyUsage` (`keyCertSign`, `cRLSign`) and `basicConstraints` of an authority.
pub(super) fn authority_extensions(path_length: u8, key: &Key) -> Vec<Vec<u8>> {
    let constraints = sequence(&[truth(), integer(&[path_length])]);
    vec![
        extension("2.5.29.15", true, &flags(0x06, 1)),
        extension("2.5.29.19", true, &constraints),
        subject_key(key),
    ]
}

pub(super) fn subject_key(key: &Key) -> Vec<u8> {
    extension("2.5.29.14", false, &octets(&key.identifier()))
}

/// Root and intermediate.
#[derive(Debug)]
pub(super) struct Authority {
    root: Key,
    intermediate: Key,
    impostor: Key,
    middle: Key,
    middle_der: Vec<u8>,
    root_der: Vec<u8>,
    intermediate_der: Vec<u8>,
}

const ROOT: &str = "root";
const INTERMEDIATE: &str = "intermediate";
/// The subject of the certificate that issues others although it may not.
const MIDDLE: &str = "middle";

impl Authority {
    pub(super) fn new(seed: &str) -> Self {
        let key = |what: &str| Key::seeded(KeyKind::P384, &format!("{seed}/fulcio/{what}"));
        let (root, intermediate) = (key(ROOT), key(INTERMEDIATE));
        let root_der = self_signed(&root, ROOT);
        let mut extensions = authority_extensions(0, &intermediate);
        extensions.push(usages(&[CODE_SIGNING], false));
        let parts = Parts {
            serial: serial(&intermediate.spki()),
            issuer: ROOT,
            subject: INTERMEDIATE,
            not_before: epoch(),
            not_after: epoch() + AUTHORITY_LASTS,
            spki: intermediate.spki(),
            extensions,
        };
        let intermediate_der = parts.signed(&root);
        let impostor = key("impostor");
        let middle = key(MIDDLE);
        let parts = Parts {
            serial: serial(&middle.spki()),
            issuer: INTERMEDIATE,
            subject: MIDDLE,
            spki: middle.spki(),
            extensions: vec![key_usage_signer(), usages(&[CODE_SIGNING], false)],
            ..parts
        };
        let middle_der = parts.signed(&intermediate);
        Self {
            middle,
            middle_der,
            root,
            intermediate,
            impostor,
            root_der,
            intermediate_der,
        }
    }

    /// Intermediate and root, DER.
    pub(super) fn chain(&self) -> [&[u8]; 2] {
        [&self.intermediate_der, &self.root_der]
    }

    /// The certificate that issues others although it may not, DER.
    pub(super) fn middle(&self) -> &[u8] {
        &self.middle_der
    }

    /// A certificate for `key` that tells of `identity`.
    pub(super) fn leaf(
        &self,
        identity: &Identity,
        key: &Key,
        leaf: &Leaf,
        logs: &[CertificateLog],
    ) -> Vec<u8> {
        let (issuer, name) = match leaf {
            Leaf { forged: true, .. } => (&self.impostor, INTERMEDIATE),
            Leaf {
                under_a_leaf: true, ..
            } => (&self.middle, MIDDLE),
            Leaf {
                under_root: true, ..
            } => (&self.root, ROOT),
            _ => (&self.intermediate, INTERMEDIATE),
        };
        let mut parts = Parts {
            serial: serial(&key.spki()),
            issuer: name,
            subject: "",
            not_before: leaf.not_before,
            not_after: leaf.not_after,
            spki: key.spki(),
            extensions: leaf_extensions(identity, key, leaf),
        };
        if !leaf.logs.is_empty() {
            // The precertificate is the certificate without this extension. It comes last.
            let precertificate = match leaf.sct_of_another {
                false => parts.tbs(issuer),
                true => Parts {
                    serial: serial(b"another"),
                    extensions: parts.extensions.clone(),
                    spki: parts.spki.clone(),
                    ..parts
                }
                .tbs(issuer),
            };
            let scts = leaf.logs.iter().map(|number| {
                let sct = logs[*number].sct(&precertificate, &issuer.spki(), leaf.logged_at);
                with_length(&sct)
            });
            let list = with_length(&scts.collect::<Vec<_>>().concat());
            parts
                .extensions
                .push(extension(SCT_LIST, false, &octets(&list)));
        }
        let mut certificate = parts.signed(issuer);
        certificate.extend(&leaf.trailing);
        certificate
    }
}

pub(super) fn self_signed(key: &Key, name: &str) -> Vec<u8> {
    let parts = Parts {
        serial: serial(&key.spki()),
        issuer: name,
        subject: name,
        not_before: epoch(),
        not_after: epoch() + AUTHORITY_LASTS,
        spki: key.spki(),
        extensions: authority_extensions(1, key),
    };
    parts.signed(key)
}

fn leaf_extensions(identity: &Identity, key: &Key, leaf: &Leaf) -> Vec<Vec<u8>> {
    let mut extensions = vec![key_usage_signer(), subject_key(key)];
    if !leaf.usages.is_empty() {
        let ids: Vec<&str> = leaf.usages.iter().map(String::as_str).collect();
        extensions.push(usages(&ids, false));
    }
    if leaf.is_authority {
        extensions.push(extension("2.5.29.19", true, &sequence(&[truth()])));
    }
    if !identity.names.is_empty() {
        let names: Vec<_> = identity.names.iter().map(Name::der).collect();
        extensions.push(extension("2.5.29.17", true, &sequence(&names)));
    }
    let claims = identity.extensions();
    extensions.extend(
        claims
            .iter()
            .map(|(number, value)| extension(&format!("{FULCIO}.{number}"), false, value)),
    );
    let extra = leaf.extra.iter();
    extensions.extend(extra.map(|(id, critical, value)| extension(id, *critical, value)));
    extensions
}

/// A certificate log.
#[derive(Debug)]
pub(super) struct CertificateLog {
    pub(super) key: Key,
}

impl CertificateLog {
    pub(super) fn new(seed: &str) -> Self {
        let key = Key::seeded(KeyKind::P256, seed);
        Self { key }
    }

    pub(super) fn id(&self) -> Vec<u8> {
        Hash::Sha256.of(&self.key.spki())
    }

    fn sct(&self, precertificate: &[u8], issuer: &[u8], at: Timestamp) -> Vec<u8> {
        let at = at.as_millisecond().to_be_bytes();
        let length = u32::try_from(precertificate.len()).expect("a length");
        // Version 1, a certificate's timestamp, over a precertificate, no extensions.
        let signed = [
            &[0, 0][..],
            &at,
            &[0, 1],
            &Hash::Sha256.of(issuer),
            &length.to_be_bytes()[1..],
            precertificate,
            &[0, 0],
        ];
        let signature = self.key.sign(&signed.concat());
        let parts = [
            &[0][..],
            &self.id(),
            &at,
            &[0, 0],
            &ECDSA_SHA256,
            &with_length(&signature),
        ];
        parts.concat()
    }
}

/// `bytes` behind their length in two bytes. RFC 5246, section 4.3.
fn with_length(bytes: &[u8]) -> Vec<u8> {
    let length = u16::try_from(bytes.len()).expect("a length");
    [&length.to_be_bytes()[..], bytes].concat()
}

/// PEM of several certificates.
pub(super) fn chain_pem(chain: &[&[u8]]) -> String {
    chain.iter().map(|der| pem("CERTIFICATE", der)).collect()
}

/// `AlgorithmIdentifier` of a hash.
pub(super) fn hash_identifier(hash: Hash) -> Vec<u8> {
    sequence(&[hash.oid(), null()])
}
