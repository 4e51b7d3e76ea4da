//! The texts inside records: reasons that newer versions may add, masked URLs, bounded details,
//! times.

use std::borrow::Cow;
use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};

use crate::limits;
use crate::reason::Reason;
use crate::secret::masked_url;

/// A reason id: one of the reference page, or one that a newer version knows. Only reading makes
/// the latter.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[schemars(transparent)]
pub struct ReasonId(#[schemars(regex(pattern = "^[a-z0-9]+(-[a-z0-9]+)*$"))] Cow<'static, str>);

/// A reason, and the particulars in words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Cause {
    /// Stable id.
    pub reason: ReasonId,
    /// For people: what, where, which value. No secrets. At most 4 KiB; a longer one ends with `…`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub detail: String,
}

/// A repository URL without user-info and query. There is no other way to put one into a record.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[schemars(transparent)]
pub struct MaskedUrl(String);

impl ReasonId {
    /// The stable id.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.0
    }

    /// The reason, if this version knows it.
    #[must_use]
    pub fn known(&self) -> Option<Reason> {
        self.0.parse().ok()
    }
}

impl From<Reason> for ReasonId {
    fn from(reason: Reason) -> Self {
        Self(Cow::Borrowed(reason.id()))
    }
}

impl fmt::Display for ReasonId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Cause {
    /// A reason with its particulars, cut to the bound.
    #[must_use]
    pub fn new(reason: Reason, detail: impl Into<String>) -> Self {
        Self {
            reason: reason.into(),
            detail: bounded(detail.into(), limits::EVENT_TEXT_BYTES_MAX),
        }
    }
}

impl From<Reason> for Cause {
    fn from(reason: Reason) -> Self {
        Self {
            reason: reason.into(),
            detail: String::new(),
        }
    }
}

impl MaskedUrl {
    /// Takes a URL and forgets what must not be recorded.
    #[must_use]
    pub fn new(url: &str) -> Self {
        Self(masked_url(url))
    }

    /// The masked text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for MaskedUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for MaskedUrl {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|url| Self::new(&url))
    }
}

/// Cuts `text` to at most `bytes_max` bytes at a character boundary, and says so with `…`.
#[must_use]
pub fn bounded(mut text: String, bytes_max: usize) -> String {
    if text.len() > bytes_max {
        let mut end = bytes_max.saturating_sub('…'.len_utf8());
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        text.truncate(end);
        text.push('…');
    }
    text
}

/// `#[serde(with)]` for times: RFC 3339, UTC, always three decimals.
pub(super) mod milliseconds {
    use jiff::Timestamp;
    use serde::{Deserialize as _, Deserializer, Serializer};

    pub(in crate::event) fn serialize<S: Serializer>(
        time: &Timestamp,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{time:.3}"))
    }

    pub(in crate::event) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Timestamp, D::Error> {
        Timestamp::deserialize(deserializer)
    }
}

/// RFC 3339, UTC, with three decimals.
#[derive(JsonSchema)]
#[schemars(transparent)]
pub(super) struct TimeText(
    #[schemars(regex(
        pattern = r"^-?[0-9]{4,6}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{3}Z$"
    ))]
    #[expect(dead_code, reason = "only its schema is used")]
    String,
);

/// Serde and schema through the text form, so that nothing reads or writes another one.
macro_rules! text_form {
    ($type:ty, $name:literal, $pattern:literal) => {
        impl serde::Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(
                deserializer: D,
            ) -> Result<Self, D::Error> {
                let text = <std::borrow::Cow<'_, str>>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }

        impl schemars::JsonSchema for $type {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                $name.into()
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({ "type": "string", "pattern": $pattern })
            }
        }
    };
}
pub(super) use text_form;
