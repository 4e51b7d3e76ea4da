//! DER, piece by piece: certificates and tokens must come out with faults that an encoder of whole
//! structures refuses to write. X.690; lengths and object identifiers by the crate `der`.

use der::asn1::ObjectIdentifier;
use der::{Encode as _, Length};
use jiff::Timestamp;

const BOOLEAN: u8 = 0x01;
const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;
const OCTET_STRING: u8 = 0x04;
const NULL: u8 = 0x05;
const UTF8_STRING: u8 = 0x0c;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
/// Class of tags that mean something in their place only.
const CONTEXT: u8 = 0x80;
const CONSTRUCTED: u8 = 0x20;

fn tagged(tag: u8, value: &[u8]) -> Vec<u8> {
    let length = Length::try_from(value.len()).expect("a length");
    let mut bytes = vec![tag];
    bytes.extend(length.to_der().expect("a length"));
    bytes.extend(value);
    bytes
}

pub(super) fn sequence(parts: &[Vec<u8>]) -> Vec<u8> {
    tagged(SEQUENCE, &parts.concat())
}

/// A set, its members in the order that DER wants.
pub(super) fn set(parts: &[Vec<u8>]) -> Vec<u8> {
    tagged(SET, &members(parts))
}

/// A set under a tag of its place: `[number] IMPLICIT SET OF`.
pub(super) fn context_set(number: u8, parts: &[Vec<u8>]) -> Vec<u8> {
    tagged(CONTEXT | CONSTRUCTED | number, &members(parts))
}

fn members(parts: &[Vec<u8>]) -> Vec<u8> {
    let mut parts = parts.to_vec();
    parts.sort();
    parts.concat()
}

pub(super) fn context(number: u8, parts: &[Vec<u8>]) -> Vec<u8> {
    tagged(CONTEXT | CONSTRUCTED | number, &parts.concat())
}

pub(super) fn context_plain(number: u8, value: &[u8]) -> Vec<u8> {
    tagged(CONTEXT | number, value)
}

pub(super) fn truth() -> Vec<u8> {
    tagged(BOOLEAN, &[0xff])
}

/// A number that is not negative, from its bytes.
pub(super) fn integer(bytes: &[u8]) -> Vec<u8> {
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    let bytes = &bytes[zeros.min(bytes.len().saturating_sub(1))..];
    let mut value = Vec::new();
    if bytes.first().is_none_or(|first| *first >= 0x80) {
        value.push(0);
    }
    value.extend(bytes);
    tagged(INTEGER, &value)
}

pub(super) fn bits(bytes: &[u8]) -> Vec<u8> {
    let mut value = vec![0];
    value.extend(bytes);
    tagged(BIT_STRING, &value)
}

/// Bits that are flags, without the zeros at their end. `unused`: how many of the byte's bits those
/// are.
pub(super) fn flags(byte: u8, unused: u8) -> Vec<u8> {
    tagged(BIT_STRING, &[unused, byte])
}

pub(super) fn octets(bytes: &[u8]) -> Vec<u8> {
    tagged(OCTET_STRING, bytes)
}

pub(super) fn null() -> Vec<u8> {
    tagged(NULL, &[])
}

pub(super) fn utf8(text: &str) -> Vec<u8> {
    tagged(UTF8_STRING, text.as_bytes())
}

pub(super) fn oid(text: &str) -> Vec<u8> {
    let oid = ObjectIdentifier::new(text).expect("an object identifier");
    oid.to_der().expect("an object identifier")
}

/// A time of a certificate before 2050. RFC 5280, section 4.1.2.5.1.
pub(super) fn utc_time(at: Timestamp) -> Vec<u8> {
    tagged(
        UTC_TIME,
        at.strftime("%y%m%d%H%M%SZ").to_string().as_bytes(),
    )
}

pub(super) fn generalized_time(at: Timestamp) -> Vec<u8> {
    let text = at.strftime("%Y%m%d%H%M%SZ").to_string();
    tagged(GENERALIZED_TIME, text.as_bytes())
}
