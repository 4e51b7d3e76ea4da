//! The records around a push: the intent before it, the outcome after it.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::text::{Cause, MaskedUrl};

/// Names an intent. Random, 16 lower-case hex characters after `i-`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct IntentId(u64);

/// A text that is no intent id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not an intent id: expected `i-` and 16 lower-case hex characters")]
pub struct NotAnIntentId(String);

/// Body of `intent`: one push that is about to be made, with the exact ids of its commits.
///
/// After a crash it is settled by these ids: the head is the last of them, or it stands in bounded
/// history (landed); else by the values of the slots (landed by other hands, superseded, or lost).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Intent {
    /// Its name.
    pub intent: IntentId,
    /// The repository, masked; `applications.argoproj.io/namespace/name` where an Application
    /// itself is written.
    pub repository: MaskedUrl,
    /// The branch that is pushed; `-` where an Application itself is written.
    pub branch: String,
    /// The commit that the branch must be at (compare-and-swap); absent if the push makes the
    /// branch. The version of the Application where that is written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected: Option<String>,
    /// The new commits, oldest first; the last becomes the head. Hex object ids.
    pub commits: Vec<String>,
    /// What they write.
    pub writes: Vec<IntendedWrite>,
    /// The Applications they write for, `namespace/name`.
    pub applications: Vec<String>,
}

/// One slot of an intent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct IntendedWrite {
    /// The Application, `namespace/name`.
    pub application: String,
    /// The canonical repository of the image.
    pub image: String,
    /// The file, from the root of the repository.
    pub path: String,
    /// The keys inside the file that are written together.
    pub routes: Vec<String>,
    /// The value before; absent if there was none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub old: Option<String>,
    /// The value after.
    pub new: String,
}

/// Body of `outcome`: what became of an intent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Outcome {
    /// The intent.
    pub intent: IntentId,
    /// What became of it.
    pub result: PushResult,
    /// Why, where it did not simply land.
    #[serde(default, flatten, skip_serializing_if = "Option::is_none")]
    pub cause: Option<Cause>,
    /// The head of the branch afterwards, where known. Hex object id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
}

/// What became of a push.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum PushResult {
    /// The commits are on the branch.
    Landed,
    /// The branch was at another commit; nothing was written and the way starts again on the new
    /// base.
    Moved,
    /// Somebody wrote another value in the meantime; nothing was written.
    Superseded,
    /// The push never arrived; nothing was written.
    Lost,
    /// The server refused it, as for a protected branch; nothing was written.
    Refused,
    /// It failed; nothing is known to be written.
    Failed,
    /// A word of a newer version. Never written.
    #[serde(other)]
    #[schemars(skip)]
    Unknown,
}

impl IntentId {
    /// An id from a random number.
    #[must_use]
    pub const fn from_random(random: u64) -> Self {
        Self(random)
    }
}

impl PushResult {
    /// The word as it is written.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Landed => "landed",
            Self::Moved => "moved",
            Self::Superseded => "superseded",
            Self::Lost => "lost",
            Self::Refused => "refused",
            Self::Failed => "failed",
            Self::Unknown => "unknown",
        }
    }
}

impl fmt::Display for IntentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "i-{:016x}", self.0)
    }
}

impl FromStr for IntentId {
    type Err = NotAnIntentId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let number = text.strip_prefix("i-").filter(|hex| {
            let lower_hex = |byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
            hex.len() == 16 && hex.bytes().all(lower_hex)
        });
        number
            .and_then(|hex| u64::from_str_radix(hex, 16).ok())
            .map(Self)
            .ok_or_else(|| NotAnIntentId(text.chars().take(100).collect()))
    }
}

super::text::text_form!(IntentId, "IntentId", "^i-[0-9a-f]{16}$");
