//! Byte ranges and what stands there instead.

use std::ops::Range;

/// One replacement in a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Splice {
    /// Bytes of the text before.
    pub range: Range<usize>,
    /// What stands there after.
    pub replacement: String,
}

impl Splice {
    /// Replaces nothing: inserts.
    pub(super) fn insert(at: usize, text: impl Into<String>) -> Self {
        Self {
            range: at..at,
            replacement: text.into(),
        }
    }
}

/// Applies `splices`, which are in order and do not overlap. `None` when they are not, or cut a
/// character.
pub(super) fn apply(text: &str, splices: &[Splice]) -> Option<String> {
    let added: usize = splices.iter().map(|splice| splice.replacement.len()).sum();
    let mut result = String::with_capacity(text.len().saturating_add(added));
    let mut done = 0;
    for splice in splices {
        result.push_str(text.get(done..splice.range.start)?);
        result.push_str(&splice.replacement);
        done = splice.range.end;
    }
    result.push_str(text.get(done..)?);
    Some(result)
}

/// Folds `next`, which speaks about the text after `splices`, into `splices`, which speak about the
/// text before them.
///
/// Stays minimal: what does not touch an earlier splice stays a splice of its own.
pub(super) fn compose(splices: &mut Vec<Splice>, next: &Splice) {
    let mut merged = next.clone();
    let mut shift: isize = 0;
    let mut first = splices.len();
    let mut last = splices.len();
    let mut range_shift = None;
    for (index, splice) in splices.iter().enumerate() {
        let start = splice.range.start.saturating_add_signed(shift);
        let end = start.saturating_add(splice.replacement.len());
        if end < next.range.start {
            shift = shift.saturating_add(growth(splice));
            continue;
        }
        if start > next.range.end {
            first = first.min(index);
            last = last.min(index);
            break;
        }
        // Touches: keep what stands before and after `next` inside the earlier replacement.
        first = first.min(index);
        let head = next.range.start.saturating_sub(start);
        let tail = next.range.end.saturating_sub(start);
        if let Some(kept) = splice.replacement.get(..head) {
            merged.replacement.insert_str(0, kept);
        }
        if let Some(kept) = splice.replacement.get(tail..) {
            merged.replacement.push_str(kept);
        }
        range_shift.get_or_insert(shift);
        let before = start.min(next.range.start);
        merged.range.start = merged.range.start.min(before);
        shift = shift.saturating_add(growth(splice));
        merged.range.end = merged.range.end.max(end);
        last = index.saturating_add(1);
    }
    let start_shift = range_shift.unwrap_or(shift);
    merged.range.start = merged.range.start.saturating_add_signed(-start_shift);
    merged.range.end = merged.range.end.saturating_add_signed(-shift);
    first = first.min(last);
    splices.splice(first..last, [merged]);
}

fn growth(splice: &Splice) -> isize {
    let added = isize::try_from(splice.replacement.len()).unwrap_or(isize::MAX);
    added.saturating_sub(isize::try_from(splice.range.len()).unwrap_or(isize::MAX))
}
