//! JSON that two readers could take for two things is refused before anything is made of it.
//!
//! A key that is there twice: RFC 8259, section 4, leaves it open which of them counts. A field of
//! which a message holds one of several at most: protobuf's JSON mapping refuses two (`oneof`). So
//! whoever reads the same evidence after us finds what was judged.

use std::collections::BTreeSet;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// Why a document can be read in two ways, or not at all; otherwise nothing.
pub(crate) fn unambiguous(document: &[u8]) -> Result<(), String> {
    serde_json::from_slice::<Walked>(document)
        .map(|Walked| ())
        .map_err(|error| error.to_string())
}

/// The same of a Sigstore bundle, which besides must say its version, what was signed and who
/// signed.
pub(crate) fn bundle(document: &[u8]) -> Result<(), String> {
    unambiguous(document)?;
    let read: Bundle = serde_json::from_slice(document).map_err(|error| error.to_string())?;
    if read.media_type.is_none() {
        return Err("it has no `mediaType`".to_owned());
    }
    let contents = [&read.dsse_envelope, &read.message_signature];
    one("signed contents", &contents)?;
    let Material {
        certificate,
        public_key,
        x509_certificate_chain,
    } = &read.verification_material;
    one(
        "signers",
        &[certificate, public_key, x509_certificate_chain],
    )
}

fn one(what: &str, fields: &[&Option<IgnoredAny>]) -> Result<(), String> {
    match fields.iter().filter(|field| field.is_some()).count() {
        1 => Ok(()),
        count => Err(format!("it holds {count} {what}, and one is wanted")),
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Bundle {
    media_type: Option<IgnoredAny>,
    dsse_envelope: Option<IgnoredAny>,
    message_signature: Option<IgnoredAny>,
    verification_material: Material,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Material {
    certificate: Option<IgnoredAny>,
    public_key: Option<IgnoredAny>,
    x509_certificate_chain: Option<IgnoredAny>,
}

/// A value that was looked through.
struct Walked;

impl<'de> Deserialize<'de> for Walked {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Walk)
    }
}

struct Walk;

impl<'de> Visitor<'de> for Walk {
    type Value = Walked;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E>(self, _: bool) -> Result<Walked, E> {
        Ok(Walked)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Walked, E> {
        Ok(Walked)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Walked, E> {
        Ok(Walked)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Walked, E> {
        Ok(Walked)
    }

    fn visit_str<E>(self, _: &str) -> Result<Walked, E> {
        Ok(Walked)
    }

    fn visit_unit<E>(self) -> Result<Walked, E> {
        Ok(Walked)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Walked, A::Error> {
        while items.next_element::<Walked>()?.is_some() {}
        Ok(Walked)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Walked, A::Error> {
        let mut seen = BTreeSet::new();
        while let Some(name) = fields.next_key::<String>()? {
            if seen.contains(&name) {
                return Err(A::Error::custom(format!("key `{name}` is there twice")));
            }
            seen.insert(name);
            fields.next_value::<Walked>()?;
        }
        Ok(Walked)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_is_there_twice_at_any_depth_is_named() {
        assert_eq!(
            unambiguous(br#"{"a":[{"b":1,"c":null}],"b":-1.5e3}"#),
            Ok(())
        );
        let twice = unambiguous(br#"{"a":[{"b":1,"c":true,"b":1}]}"#).unwrap_err();
        assert!(twice.starts_with("key `b` is there twice"), "{twice}");
        // The same key, written another way.
        assert!(unambiguous(br#"{"a":1,"\u0061":2}"#).is_err());
    }

    #[test]
    fn nesting_without_end_is_an_error_and_no_overflow() {
        assert!(unambiguous("[".repeat(100_000).as_bytes()).is_err());
    }
}
