//! What a signing certificate says of its holder. Nothing here is believed before its chain is.
//!
//! Fulcio, "Sigstore OID information": extensions below `1.3.6.1.4.1.57264.1`; `.1` is raw text,
//! `.8` to `.24` are DER `UTF8String`. A claim that is malformed or stands twice counts as missing.

use std::collections::BTreeMap;

use der::asn1::Utf8StringRef;
use der::{Decode as _, Encode as _};
use jiff::Timestamp;
use sealift_core::digest::Digest;
use sealift_core::promotion::identity::CLAIMS;
use x509_cert::Certificate as X509;
use x509_cert::ext::Extension;
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::spki::ObjectIdentifier;

const ISSUER_V1: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.57264.1.1");
const USERNAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.57264.1.7");
const SUBJECT_ALT_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.17");
/// RFC 6962, 3.3: the list of embedded SCTs.
const SCT_LIST: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.11129.2.4.2");

/// The holder of a certificate, as it says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Holder {
    /// The OpenID Connect issuer.
    pub(crate) issuer: Option<String>,
    /// The one subject alternative name: a URI, an e-mail address or a user name.
    pub(crate) subject: String,
    /// Claims by their documented names.
    pub(crate) claims: BTreeMap<&'static str, String>,
    pub(crate) not_before: Timestamp,
    pub(crate) not_after: Timestamp,
    pub(crate) has_sct: bool,
    pub(crate) fingerprint: Digest,
}

impl Holder {
    /// Reads a certificate, DER.
    pub(crate) fn read(certificate: &[u8]) -> Result<Self, String> {
        let parsed = X509::from_der(certificate).map_err(|error| error.to_string())?;
        let body = &parsed.tbs_certificate;
        let time = |time: &x509_cert::time::Time| {
            Timestamp::try_from(time.to_system_time()).map_err(|error| error.to_string())
        };
        let extensions = body.extensions.as_deref().unwrap_or_default();
        let claims: BTreeMap<_, _> = CLAIMS
            .iter()
            .filter_map(|(number, name)| Some((*name, claim(extensions, *number)?)))
            .collect();
        let named: Vec<_> = of(extensions, claim_oid(8)).collect();
        let issuer = match named.as_slice() {
            [] => of(extensions, ISSUER_V1).next().and_then(raw_text),
            _ => claims.get("issuer").cloned(),
        };
        Ok(Self {
            issuer,
            subject: subject(extensions)?,
            claims,
            not_before: time(&body.validity.not_before)?,
            not_after: time(&body.validity.not_after)?,
            has_sct: of(extensions, SCT_LIST).next().is_some(),
            fingerprint: Digest::of(certificate),
        })
    }

    /// Whether `time` lies within its validity, ends included.
    pub(crate) fn is_valid_at(&self, time: Timestamp) -> bool {
        self.not_before <= time && time <= self.not_after
    }
}

fn claim_oid(number: u32) -> ObjectIdentifier {
    ISSUER_V1
        .parent()
        .and_then(|arc| arc.push_arc(number).ok())
        .unwrap_or(ISSUER_V1)
}

fn of(extensions: &[Extension], oid: ObjectIdentifier) -> impl Iterator<Item = &Extension> {
    extensions.iter().filter(move |one| one.extn_id == oid)
}

fn claim(extensions: &[Extension], number: u32) -> Option<String> {
    let mut found = of(extensions, claim_oid(number));
    let (one, None) = (found.next()?, found.next()) else {
        return None;
    };
    let text = Utf8StringRef::from_der(one.extn_value.as_bytes()).ok()?;
    Some(text.as_str().to_owned())
}

fn raw_text(extension: &Extension) -> Option<String> {
    let bytes = extension.extn_value.as_bytes();
    std::str::from_utf8(bytes).ok().map(str::to_owned)
}

/// The one name. Several would leave it open which of them signed.
fn subject(extensions: &[Extension]) -> Result<String, String> {
    let mut found = of(extensions, SUBJECT_ALT_NAME);
    let (Some(extension), None) = (found.next(), found.next()) else {
        return Err("it has no subject alternative name, or several of them".to_owned());
    };
    let names = SubjectAltName::from_der(extension.extn_value.as_bytes())
        .map_err(|error| format!("its subject alternative name: {error}"))?;
    let [name] = names.0.as_slice() else {
        let count = names.0.len();
        return Err(format!("it names {count} subjects, and one is wanted"));
    };
    match name {
        GeneralName::UniformResourceIdentifier(uri) => Ok(uri.as_str().to_owned()),
        GeneralName::Rfc822Name(address) => Ok(address.as_str().to_owned()),
        GeneralName::OtherName(other) if other.type_id == USERNAME => {
            let der = other.value.to_der().map_err(|error| error.to_string())?;
            let text = Utf8StringRef::from_der(&der).map_err(|error| error.to_string())?;
            Ok(text.as_str().to_owned())
        }
        _ => Err("its subject is neither a URI nor an e-mail address nor a user name".to_owned()),
    }
}
