//! Git object names. gitformat-hash-function-transition(7): SHA-1 repositories have 40 hex
//! characters, SHA-256 ones 64.

use std::fmt;
use std::str::FromStr;

/// The hash function of one repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ObjectFormat {
    /// 20 bytes, 40 hex characters: what nearly every repository has.
    Sha1,
    /// 32 bytes, 64 hex characters.
    Sha256,
}

impl ObjectFormat {
    /// Bytes of one object name.
    #[must_use]
    pub const fn bytes(self) -> usize {
        match self {
            Self::Sha1 => 20,
            Self::Sha256 => 32,
        }
    }

    /// The name that Git's configuration and protocol use.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sha1 => "sha1",
            Self::Sha256 => "sha256",
        }
    }
}

/// The name of one Git object: 40 or 64 lower-case hex characters.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Oid {
    /// Of a SHA-1 repository.
    Sha1([u8; 20]),
    /// Of a SHA-256 repository.
    Sha256([u8; 32]),
}

/// A text or a run of bytes that names no object.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a Git object name: expected 40 or 64 lower-case hex characters")]
pub struct OidError(pub String);

impl Oid {
    /// An object name from its 20 or 32 raw bytes, as trees hold it.
    #[must_use]
    pub fn from_raw(raw: &[u8]) -> Option<Self> {
        let sha1 = raw.try_into().map(Self::Sha1);
        sha1.or_else(|_| raw.try_into().map(Self::Sha256)).ok()
    }

    /// The name that stands for "no object" in the protocol: all zeros.
    #[must_use]
    pub const fn zero(format: ObjectFormat) -> Self {
        match format {
            ObjectFormat::Sha1 => Self::Sha1([0; 20]),
            ObjectFormat::Sha256 => Self::Sha256([0; 32]),
        }
    }

    /// The raw bytes, as trees hold them.
    #[must_use]
    pub const fn raw(&self) -> &[u8] {
        match self {
            Self::Sha1(raw) => raw,
            Self::Sha256(raw) => raw,
        }
    }

    /// The hash function it belongs to.
    #[must_use]
    pub const fn format(&self) -> ObjectFormat {
        match self {
            Self::Sha1(_) => ObjectFormat::Sha1,
            Self::Sha256(_) => ObjectFormat::Sha256,
        }
    }

    /// Whether it stands for "no object".
    #[must_use]
    pub fn is_zero(&self) -> bool {
        self.raw().iter().all(|&byte| byte == 0)
    }
}

impl fmt::Display for Oid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.raw()
            .iter()
            .try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Oid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Oid {
    type Err = OidError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let refused = || OidError(text.chars().take(100).collect());
        if !matches!(text.len(), 40 | 64) {
            return Err(refused());
        }
        let nibble = |character: u8| match character {
            b'0'..=b'9' => Some(character - b'0'),
            b'a'..=b'f' => Some(character - b'a' + 10),
            _ => None,
        };
        let mut raw = Vec::with_capacity(32);
        for pair in text.as_bytes().chunks_exact(2) {
            let &[high, low] = pair else { continue };
            let (Some(high), Some(low)) = (nibble(high), nibble(low)) else {
                return Err(refused());
            };
            raw.push(high << 4 | low);
        }
        Self::from_raw(&raw).ok_or_else(refused)
    }
}

impl serde::Serialize for Oid {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
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
    fn both_formats_print_as_they_were_read() {
        for length in [40, 64] {
            let text = "0a".repeat(length / 2);
            let oid: Oid = text.parse().unwrap();
            assert_eq!(oid.to_string(), text);
            assert_eq!(Oid::from_raw(oid.raw()), Some(oid));
        }
    }

    #[test]
    fn short_names_upper_case_and_multi_byte_text_are_refused() {
        let upper = "0A".repeat(20);
        let wide = "é".repeat(20);
        for text in ["", "0a0a", upper.as_str(), wide.as_str(), "HEAD"] {
            assert!(text.parse::<Oid>().is_err(), "{text}");
        }
    }

    #[test]
    fn only_zeros_stand_for_no_object() {
        assert!(Oid::zero(ObjectFormat::Sha256).is_zero());
        assert!(!"0a".repeat(20).parse::<Oid>().unwrap().is_zero());
    }
}
