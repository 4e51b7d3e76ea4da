//! Open intents in a bounded text: where there is no disk they outlive their process in an
//! annotation of the lease.
//!
//! Here: what is kept of an intent, the text, its bounds, and what is to be written next. Not here:
//! who writes the lease and when (`sealift::cluster`). Whoever may write the lease may write
//! anything there: each text is read as if by an enemy, and what is read causes a look at Git or at
//! an Application and a record, never a write.
//!
//! Kubernetes, "Annotations": all of an object together hold at most 262,144 bytes
//! (`TotalAnnotationSizeLimitB` of `k8s.io/apimachinery`).

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{ChainId, Intent, IntentId};
use crate::digest::Digest;
use crate::limits::{
    INTENT_KEPT_BYTES_MAX, INTENTS_ENDED_MAX, INTENTS_KEPT_BYTES_MAX, INTENTS_KEPT_MAX,
    INTENTS_UNREADABLE_BYTES_MAX,
};

/// The annotation that holds open intents.
pub const ANNOTATION: &str = "sealift.dev/open-intents";
/// Where a text goes that cannot be read, such as one of a newer version.
pub const UNREADABLE_ANNOTATION: &str = "sealift.dev/unreadable-intents";

/// The version of the text that this program writes, and the only one that it reads.
const VERSION: u64 = 1;

/// What is kept of an intent until its outcome is known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    /// The chain of the journal that has the intent.
    pub chain: ChainId,
    /// When it was made.
    #[serde(with = "super::text::milliseconds")]
    pub time: Timestamp,
    /// The intent: of its commits the last one, of its writes as many as there is room for.
    #[serde(flatten)]
    pub intent: Intent,
    /// Writes that there was no room for.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub writes_left_out: usize,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde wants it so")]
const fn is_zero(count: &usize) -> bool {
    *count == 0
}

/// Why an intent is not taken up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NotTaken {
    /// There is no room until another one has ended.
    #[error("the lease has no room for another open intent")]
    Full,
    /// There will never be room: its repository or branch has a name as long as a book.
    #[error("an intent of {bytes} bytes is larger than one may be on the lease")]
    TooLarge {
        /// Its size, without any of its writes.
        bytes: usize,
    },
}

/// What is to be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pending {
    /// Nothing.
    Nothing,
    /// Something has ended, which can wait for the next write.
    Ends,
    /// Somebody waits for an intent to be kept.
    Adds,
}

/// The texts of the annotations; `None`: there is none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Texts {
    /// Of [`ANNOTATION`].
    pub open: Option<String>,
    /// Of [`UNREADABLE_ANNOTATION`], where it is to be written anew.
    pub unreadable: Option<String>,
}

/// The open intents: those that the lease holds, and what is to change there.
#[derive(Debug, Clone, Default)]
pub struct Ledger {
    held: BTreeMap<IntentId, Entry>,
    added: BTreeMap<IntentId, Entry>,
    /// What was let go of, each with its place in the order of ends. Also what the lease does not
    /// hold: a write that was given up may reach it later, and must bring nothing back.
    ended: BTreeMap<IntentId, u64>,
    ends: u64,
    unreadable: Option<Unreadable>,
    /// The API server takes no text that is put aside.
    puts_nothing_aside: bool,
    /// What was said already, by digest.
    said: Option<Digest>,
    to_say: Vec<String>,
}

#[derive(Debug, Clone)]
struct Entry {
    kept: Kept,
    text: String,
}

#[derive(Debug, Clone)]
struct Unreadable {
    /// None: it is too long to be put aside.
    aside: Option<String>,
}

impl Kept {
    /// What is kept of `intent`, in at most [`INTENT_KEPT_BYTES_MAX`] bytes. The last commit tells
    /// whether the push landed; the writes tell what stands there where it did not, and some of
    /// them do, because a push lands whole or not at all.
    #[must_use]
    pub fn new(chain: ChainId, time: Timestamp, intent: &Intent) -> Self {
        let mut kept = Self {
            chain,
            time,
            intent: Intent {
                commits: intent.commits.last().cloned().into_iter().collect(),
                writes: Vec::new(),
                applications: intent.applications.first().cloned().into_iter().collect(),
                ..intent.clone()
            },
            writes_left_out: intent.writes.len(),
        };
        let mut bytes = size(&kept);
        for write in &intent.writes {
            // Each with its Application's name, and the commas.
            bytes += size(write) + size(&write.application) + 2;
            if bytes > INTENT_KEPT_BYTES_MAX {
                break;
            }
            if !kept.intent.applications.contains(&write.application) {
                kept.intent.applications.push(write.application.clone());
            }
            kept.intent.writes.push(write.clone());
            kept.writes_left_out -= 1;
        }
        kept
    }
}

/// Bytes of a value as JSON.
fn size(value: &impl Serialize) -> usize {
    serde_json::to_string(value).map_or(usize::MAX, |text| text.len())
}

impl Ledger {
    /// Takes note of what the lease holds now. What cannot be read there is put aside with the next
    /// write, and said once.
    pub fn read(&mut self, text: Option<&str>) {
        let (held, problem) = text.map_or_else(Default::default, parse);
        self.held = held;
        self.added.retain(|id, _| !self.held.contains_key(id));
        self.unreadable = None;
        let Some((text, problem)) = text.zip(problem) else {
            return;
        };
        let small = text.len() <= INTENTS_UNREADABLE_BYTES_MAX && !self.puts_nothing_aside;
        let aside = small.then(|| text.to_owned());
        let digest = Digest::of(text.as_bytes());
        if self.said != Some(digest) {
            let fate = match small {
                true => format!("it is kept in `{UNREADABLE_ANNOTATION}`"),
                false => "it is too long to be kept".to_owned(),
            };
            let bytes = text.len();
            let say = format!("{problem}; {bytes} bytes, {digest}; {fate}");
            self.to_say.push(say);
        }
        self.said = Some(digest);
        self.unreadable = Some(Unreadable { aside });
    }

    /// Takes an intent up, to be written.
    ///
    /// # Errors
    /// [`NotTaken`]: there is no room, now or ever.
    pub fn add(&mut self, kept: Kept) -> Result<(), NotTaken> {
        let text = serde_json::to_string(&kept).unwrap_or_default();
        let bytes = text.len();
        if bytes == 0 || bytes > INTENT_KEPT_BYTES_MAX {
            return Err(NotTaken::TooLarge { bytes });
        }
        let open: Vec<&Entry> = self.open_entries().collect();
        let together: usize = open.iter().map(|entry| entry.text.len() + 1).sum();
        let full = together + bytes + FRAME_BYTES > INTENTS_KEPT_BYTES_MAX;
        if full || open.len() >= INTENTS_KEPT_MAX {
            return Err(NotTaken::Full);
        }
        self.added.insert(kept.intent.intent, Entry { kept, text });
        Ok(())
    }

    /// Lets go of an intent: its outcome is known, or it will not be sent.
    pub fn end(&mut self, intent: IntentId) {
        self.added.remove(&intent);
        // Also where it is not known to be held: a write may be under way.
        self.ended.insert(intent, self.ends);
        self.ends += 1;
        if self.ended.len() > INTENTS_ENDED_MAX {
            let gone = self.ended.iter().filter(|(id, _)| !self.holds(**id));
            let oldest = gone.min_by_key(|(_, end)| **end).map(|(id, _)| *id);
            oldest.and_then(|id| self.ended.remove(&id));
        }
    }

    /// Lets go of what was never written: another one leads.
    pub fn forget_added(&mut self) {
        self.added.clear();
    }

    /// Lets go of everything that makes the lease larger: the API server refused it. The lead must
    /// not end with it.
    pub fn give_way(&mut self) {
        self.added.clear();
        self.puts_nothing_aside = true;
        if let Some(unreadable) = &mut self.unreadable {
            unreadable.aside = None;
        }
    }

    /// The API server took what was written: what was refused before may fit by now.
    pub const fn taken(&mut self) {
        self.puts_nothing_aside = false;
    }

    /// Whether the lease holds an intent.
    #[must_use]
    pub fn holds(&self, intent: IntentId) -> bool {
        self.held.contains_key(&intent)
    }

    /// What is to be written.
    #[must_use]
    pub fn pending(&self) -> Pending {
        let mut ended = self.ended.keys();
        if !self.added.is_empty() {
            Pending::Adds
        } else if self.unreadable.is_some() || ended.any(|id| self.holds(*id)) {
            Pending::Ends
        } else {
            Pending::Nothing
        }
    }

    /// What the annotations are to say. What was there and cannot be read is overwritten.
    #[must_use]
    pub fn texts(&self) -> Texts {
        let entries: Vec<&str> = self
            .open_entries()
            .map(|entry| entry.text.as_str())
            .collect();
        let open = (!entries.is_empty()).then(|| {
            format!(
                "{{\"version\":{VERSION},\"intents\":[{}]}}",
                entries.join(",")
            )
        });
        Texts {
            open,
            unreadable: self.unreadable.as_ref().and_then(|one| one.aside.clone()),
        }
    }

    /// The intents that the lease holds and whose outcome is not known.
    pub fn open(&self) -> impl Iterator<Item = &Kept> {
        let held = self.held.iter();
        held.filter(|(id, _)| !self.ended.contains_key(id))
            .map(|(_, entry)| &entry.kept)
    }

    /// What is to be said of texts that cannot be read, each once.
    pub fn take_problems(&mut self) -> Vec<String> {
        std::mem::take(&mut self.to_say)
    }

    fn open_entries(&self) -> impl Iterator<Item = &Entry> {
        let all = self.held.iter().chain(&self.added);
        all.filter(|(id, _)| !self.ended.contains_key(id))
            .map(|(_, entry)| entry)
    }
}

/// Bytes around the entries.
const FRAME_BYTES: usize = 40;

#[derive(Deserialize)]
struct Document {
    version: Value,
    #[serde(default)]
    intents: Vec<Value>,
}

/// The entries that can be read, and why not all can.
fn parse(text: &str) -> (BTreeMap<IntentId, Entry>, Option<String>) {
    let mut held = BTreeMap::new();
    if text.len() > INTENTS_KEPT_BYTES_MAX {
        return (held, Some("it is longer than what is written".to_owned()));
    }
    let document: Document = match serde_json::from_str(text) {
        Ok(document) => document,
        Err(error) => return (held, Some(error.to_string())),
    };
    if document.version != VERSION {
        let version = super::bounded(document.version.to_string(), VERSION_BYTES_SHOWN);
        return (held, Some(format!("version `{version}` is not known")));
    }
    let mut problem = None;
    for entry in document.intents {
        match kept(entry) {
            Ok(entry) if held.len() < INTENTS_KEPT_MAX => {
                held.insert(entry.kept.intent.intent, entry);
            }
            Ok(_) => problem = Some(format!("there are more than {INTENTS_KEPT_MAX} intents")),
            Err(why) => problem = Some(why),
        }
    }
    (held, problem)
}

/// Bytes of a version that are shown.
const VERSION_BYTES_SHOWN: usize = 40;

fn kept(value: Value) -> Result<Entry, String> {
    let kept: Kept = serde_json::from_value(value).map_err(|error| error.to_string())?;
    let text = serde_json::to_string(&kept).map_err(|error| error.to_string())?;
    if text.len() > INTENT_KEPT_BYTES_MAX {
        return Err(format!("an intent has {} bytes", text.len()));
    }
    Ok(Entry { kept, text })
}

#[cfg(test)]
mod tests;
