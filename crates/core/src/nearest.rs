//! The known word that a mistyped one most likely meant.

/// More changes than this are another word.
pub(crate) const CHANGES_MAX: usize = 3;
/// Longer words are not compared: the work grows with the product of both lengths.
const WORD_BYTES_MAX: usize = 256;

/// The known word with the fewest changes, if they are few.
pub(crate) fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    if word.len() > WORD_BYTES_MAX {
        return None;
    }
    let lower = word.to_lowercase();
    let scored = known.into_iter().map(|known| {
        let changes = changes(&lower, &known.to_lowercase());
        let half = known.chars().count().div_ceil(2);
        (changes, half, known)
    });
    scored
        .filter(|(changes, half, _)| *changes <= CHANGES_MAX && changes <= half)
        .min_by_key(|(changes, ..)| *changes)
        .map(|(.., known)| known)
}

/// Levenshtein distance in characters.
pub(crate) fn changes(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (index, from) in from.chars().enumerate() {
        let mut diagonal = index;
        let mut left = index + 1;
        for (to, above) in to.iter().zip(row.iter_mut().skip(1)) {
            let replaced = diagonal + usize::from(from != *to);
            diagonal = *above;
            left = replaced.min(diagonal + 1).min(left + 1);
            *above = left;
        }
        if let Some(first) = row.first_mut() {
            *first = index + 1;
        }
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distance_counts_changes() {
        assert_eq!(changes("", "abc"), 3);
        assert_eq!(changes("kitten", "sitting"), 3);
        assert_eq!(changes("same", "same"), 0);
    }

    #[test]
    fn a_word_far_from_all_has_no_nearest() {
        let known = ["signatures", "images", "mode"];
        assert_eq!(nearest("signature", known), Some("signatures"));
        assert_eq!(nearest("Images", known), Some("images"));
        assert_eq!(nearest("xyz", known), None);
    }
}
