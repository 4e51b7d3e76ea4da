//! Which digest each tag of a repository named when it was last asked.
//!
//! It spares requests (a tag seen before is asked again when the listing changes, else within a
//! day, spread) and it notices a tag that moved. On disk it is one text file a repository, written
//! whole and renamed: `sealift-tags-1 LISTING CHANGED_AT`, then `TAG DIGEST ASKED_AT` a line; times
//! in seconds since 1970.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::{fs, io};

use jiff::Timestamp;
use sealift_core::digest::Digest;
use sealift_core::limits;

use crate::name::is_tag;

const MAGIC: &str = "sealift-tags-1";

/// What a digest of a tag means beside the one remembered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Observation {
    /// The tag was not known.
    New,
    /// It names what it named.
    Same,
    /// It named something else before.
    Moved {
        /// What it named.
        from: Digest,
    },
}

/// The tags of one repository, as one credential sees them.
pub(crate) struct TagMemory {
    path: Option<PathBuf>,
    state: Mutex<State>,
}

#[derive(Default, PartialEq, Debug)]
struct State {
    listing: Option<Digest>,
    changed_at: i64,
    tags: BTreeMap<Box<str>, Entry>,
    dirty: bool,
}

#[derive(Clone, Copy, PartialEq, Debug)]
struct Entry {
    digest: Digest,
    asked_at: i64,
}

impl TagMemory {
    /// The memory in the file `path`, or one that ends with the process. An unreadable file is an
    /// empty memory.
    pub(crate) fn open(path: Option<PathBuf>) -> Self {
        let state = path.as_deref().and_then(read).unwrap_or_default();
        Self {
            path,
            state: Mutex::new(state),
        }
    }

    /// Notes a whole listing: if it differs from the last one every tag is asked again, and tags
    /// that are gone are forgotten.
    pub(crate) fn note_listing(&self, listing: Digest, tags: &[Box<str>], now: Timestamp) {
        let mut state = self.state();
        if state.listing == Some(listing) {
            return;
        }
        if state.listing.is_some() {
            // Tags asked within the same second came before the change.
            state.changed_at = now.as_second() + 1;
        }
        state.listing = Some(listing);
        state.dirty |= !state.tags.is_empty();
        let listed: std::collections::BTreeSet<&str> = tags.iter().map(|tag| &**tag).collect();
        state.tags.retain(|tag, _| listed.contains(&**tag));
    }

    /// What `tag` named, if it need not be asked again at `now`.
    pub(crate) fn fresh(&self, tag: &str, now: Timestamp) -> Option<Digest> {
        let state = self.state();
        let entry = state.tags.get(tag)?;
        let due = due_at(entry.asked_at, jitter_of(tag));
        let holds = entry.asked_at >= state.changed_at && now.as_second() < due;
        holds.then_some(entry.digest)
    }

    /// Whether `tag` was ever seen.
    pub(crate) fn knows(&self, tag: &str) -> bool {
        self.state().tags.contains_key(tag)
    }

    /// Notes that `tag` names `digest` at `now`.
    pub(crate) fn observe(&self, tag: &str, digest: Digest, now: Timestamp) -> Observation {
        let mut state = self.state();
        state.dirty = true;
        let entry = Entry {
            digest,
            // A tag asked right after a listing is newer than it, though the clock may not have
            // moved.
            asked_at: now.as_second().max(state.changed_at),
        };
        match state.tags.insert(tag.into(), entry) {
            None => Observation::New,
            Some(before) if before.digest == digest => Observation::Same,
            Some(before) => Observation::Moved {
                from: before.digest,
            },
        }
    }

    /// Notes that there is no such tag.
    pub(crate) fn forget(&self, tag: &str) {
        let mut state = self.state();
        state.dirty |= state.tags.remove(tag).is_some();
    }

    /// Writes the file, if anything changed.
    pub(crate) fn flush(&self) -> io::Result<()> {
        let mut state = self.state();
        let Some(path) = self.path.as_deref().filter(|_| state.dirty) else {
            return Ok(());
        };
        let temporary = path.with_extension("new");
        fs::write(&temporary, render(&state))?;
        fs::rename(temporary, path)?;
        state.dirty = false;
        Ok(())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// When a tag asked at `asked_at` is asked again: in the second half of the day after, the place in
/// it by `jitter`.
fn due_at(asked_at: i64, jitter: u64) -> i64 {
    let half = limits::TAG_MEMORY_SECS_MAX / 2;
    asked_at + half + (jitter % half.unsigned_abs()).cast_signed()
}

/// The same for a tag in every run, so that all tags together spread over the day.
fn jitter_of(tag: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    tag.hash(&mut hasher);
    hasher.finish()
}

fn render(state: &State) -> String {
    let mut text = String::with_capacity(state.tags.len() * 110 + 120);
    let listing = state
        .listing
        .map_or_else(|| "-".to_owned(), |listing| listing.to_string());
    let _infallible = writeln!(text, "{MAGIC} {listing} {}", state.changed_at);
    for (tag, entry) in &state.tags {
        let _infallible = writeln!(text, "{tag} {} {}", entry.digest, entry.asked_at);
    }
    text.push_str("end\n");
    text
}

fn read(path: &Path) -> Option<State> {
    let size = fs::metadata(path).ok()?.len();
    let text = (size <= limits::TAG_MEMORY_BYTES_MAX).then(|| fs::read_to_string(path).ok())??;
    parse(&text)
}

/// `None`: something is wrong with the file, or its end is missing.
fn parse(text: &str) -> Option<State> {
    let mut lines = text.strip_suffix("end\n")?.lines();
    let mut head = lines.next()?.strip_prefix(MAGIC)?.trim_start().split(' ');
    let listing = match head.next()? {
        "-" => None,
        digest => Some(digest.parse().ok()?),
    };
    let mut state = State {
        listing,
        changed_at: head.next()?.parse().ok()?,
        ..State::default()
    };
    for line in lines {
        let mut fields = line.split(' ');
        let tag = fields.next().filter(|tag| is_tag(tag))?;
        let digest = fields.next()?.parse().ok()?;
        let asked_at = fields.next()?.parse().ok()?;
        state.tags.insert(tag.into(), Entry { digest, asked_at });
    }
    Some(state)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn tags(names: &[&str]) -> Vec<Box<str>> {
        names.iter().map(|name| (*name).into()).collect()
    }

    #[test]
    fn a_tag_is_new_then_the_same_then_moved() {
        let memory = TagMemory::open(None);
        let (one, two) = (Digest::of(b"1"), Digest::of(b"2"));
        assert_eq!(memory.observe("a", one, at(0)), Observation::New);
        assert_eq!(memory.observe("a", one, at(1)), Observation::Same);
        assert_eq!(
            memory.observe("a", two, at(2)),
            Observation::Moved { from: one }
        );
    }

    #[test]
    fn a_remembered_tag_is_asked_again_within_a_day_but_not_within_half_a_day() {
        let memory = TagMemory::open(None);
        let mut dues = std::collections::BTreeSet::new();
        for n in 0..200 {
            let tag = format!("1.{n}.0");
            memory.observe(&tag, Digest::of(b"1"), at(0));
            assert!(memory.fresh(&tag, at(12 * 3600 - 1)).is_some());
            assert!(memory.fresh(&tag, at(24 * 3600)).is_none());
            dues.insert(due_at(0, jitter_of(&tag)));
        }
        assert!(dues.len() > 190, "spread over {} seconds", dues.len());
    }

    #[test]
    fn a_changed_listing_asks_every_tag_again_and_forgets_those_gone() {
        let memory = TagMemory::open(None);
        memory.note_listing(Digest::of(b"ab"), &tags(&["a", "b"]), at(0));
        memory.observe("a", Digest::of(b"1"), at(0));
        memory.observe("b", Digest::of(b"1"), at(0));
        memory.note_listing(Digest::of(b"ab"), &tags(&["a", "b"]), at(5));
        assert!(memory.fresh("a", at(5)).is_some());
        memory.note_listing(Digest::of(b"ac"), &tags(&["a", "c"]), at(5));
        assert!(memory.fresh("a", at(5)).is_none());
        assert!(memory.knows("a") && !memory.knows("b"));
        memory.observe("a", Digest::of(b"1"), at(5));
        assert!(memory.fresh("a", at(5)).is_some());
    }

    #[test]
    fn a_memory_outlives_the_process_and_a_damaged_one_is_empty() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tags");
        let memory = TagMemory::open(Some(path.clone()));
        memory.note_listing(Digest::of(b"a"), &tags(&["a"]), at(0));
        memory.observe("a", Digest::of(b"1"), at(7));
        memory.flush().unwrap();
        let again = TagMemory::open(Some(path.clone()));
        assert_eq!(again.fresh("a", at(8)), Some(Digest::of(b"1")));
        let text = fs::read_to_string(&path).unwrap();
        for damaged in [
            &text[..text.len() - 1],
            &text.replace("sha256:", "sha256:."),
            "",
            "x",
        ] {
            fs::write(&path, damaged).unwrap();
            assert!(!TagMemory::open(Some(path.clone())).knows("a"), "{damaged}");
        }
    }
}
