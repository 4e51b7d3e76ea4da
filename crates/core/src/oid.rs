//! Git object ids. Git documentation, "hash-function-transition": SHA-1 with 40, SHA-256 with 64 lower-case hex characters.

use std::fmt;
use std::str::FromStr;

/// The id of a Git object: 40 or 64 lower-case hex characters, never a name, a range or an abbreviation.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Oid(Box<str>);

/// A text that is no object id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a Git object id: expected 40 or 64 lower-case hex characters")]
pub struct OidError(pub String);

impl Oid {
    /// The id as hex.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// From the 20 or 32 raw bytes of a tree entry.
    #[must_use]
    pub fn from_raw(raw: &[u8]) -> Option<Self> {
        matches!(raw.len(), 20 | 32).then(|| {
            let hex = raw.iter().flat_map(|byte| [byte >> 4, byte & 15]);
            let text: String = hex
                .filter_map(|nibble| char::from_digit(u32::from(nibble), 16))
                .collect();
            Self(text.into())
        })
    }

    /// The raw bytes, as tree entries hold them.
    #[must_use]
    pub fn to_raw(&self) -> Vec<u8> {
        let nibble = |byte: &u8| match byte {
            b'0'..=b'9' => byte - b'0',
            _ => byte.wrapping_sub(b'a').wrapping_add(10),
        };
        self.0
            .as_bytes()
            .chunks(2)
            .map(|pair| {
                pair.iter()
                    .fold(0_u8, |value, byte| value << 4 | nibble(byte))
            })
            .collect()
    }
}

impl fmt::Display for Oid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Oid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Oid {
    type Err = OidError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let hex = text
            .bytes()
            .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        if hex && matches!(text.len(), 40 | 64) {
            Ok(Self(text.into()))
        } else {
            Err(OidError(text.chars().take(100).collect()))
        }
    }
}

impl serde::Serialize for Oid {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> serde::Deserialize<'de> for Oid {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl schemars::JsonSchema for Oid {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Oid".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string", "pattern": "^([0-9a-f]{40}|[0-9a-f]{64})$" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_oid_survives_its_raw_form() {
        let oid: Oid = "0123456789abcdef0123456789abcdef01234567".parse().unwrap();
        assert_eq!(Oid::from_raw(&oid.to_raw()), Some(oid));
    }

    #[test]
    fn names_abbreviations_and_upper_case_are_no_oids() {
        for text in [
            "main",
            "0123abc",
            "0123456789ABCDEF0123456789ABCDEF01234567",
            "",
        ] {
            assert!(text.parse::<Oid>().is_err(), "{text}");
        }
    }
}
