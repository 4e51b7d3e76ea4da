//! A seeded mutator: from a corpus to an endless row of inputs. Same seed, same row.

use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use rand::{Rng as _, SeedableRng as _};

/// Bytes of one input; parsers have limits of their own, and small inputs find most.
const INPUT_BYTES_MAX: usize = 16 * 1024;
/// Changes made to one input, in a row.
const CHANGES_MAX: usize = 8;

/// What grammars of ours are made of; chance alone rarely writes them.
const TOKENS: &[&str] = &[
    "\n",
    "\r\n",
    "\t",
    " ",
    "\0",
    "\u{feff}",
    "\u{202e}",
    "é",
    "ﬀ",
    "\"",
    "'",
    "\\",
    "\\\"",
    "`",
    ":",
    ": ",
    "- ",
    "---\n",
    "...\n",
    "#",
    " #",
    "{",
    "}",
    "[",
    "]",
    "{}",
    "[]",
    "[[[[[[[[",
    ",",
    "&a ",
    "*a",
    "<<: *a\n",
    "!!str ",
    "!!binary ",
    "|\n",
    ">-\n",
    "? ",
    "~",
    "null",
    "yes",
    "=",
    "@",
    "@sha256:",
    "sha256:",
    "/",
    "//",
    "..",
    "../",
    "./",
    "*",
    "x",
    "||",
    "^",
    "~>",
    ">=",
    "<",
    "!=",
    " - ",
    "-0",
    "+",
    "v",
    "0",
    "00",
    "1.2.3",
    "18446744073709551616",
    "9999999999999999999",
    "-1",
    "1e999",
    "NaN",
    "Bearer ",
    "realm=",
    "Basic ",
    "{{",
    "}}",
    "{{range .}}",
    "regexp:",
    "(?<a>",
    "(((((",
    "%00",
    "%2e%2e",
    "://",
    "git@",
    "ext::",
    "--upload-pack=",
    "latest",
];

/// An endless row of inputs made from a corpus.
#[derive(Debug)]
pub struct Mutator {
    corpus: Vec<Vec<u8>>,
    random: StdRng,
}

impl Mutator {
    /// Starts the row that belongs to `seed`.
    ///
    /// # Panics
    /// Where the corpus is empty.
    #[must_use]
    pub fn new(corpus: Vec<Vec<u8>>, seed: u64) -> Self {
        assert!(!corpus.is_empty(), "a corpus is what mutations start from");
        Self {
            corpus,
            random: StdRng::seed_from_u64(seed),
        }
    }

    /// The next input.
    pub fn next_input(&mut self) -> Vec<u8> {
        let mut input = self.pick().to_vec();
        for _ in 0..self.random.random_range(1..=CHANGES_MAX) {
            self.change(&mut input);
        }
        input.truncate(INPUT_BYTES_MAX);
        input
    }

    fn pick(&mut self) -> &[u8] {
        self.corpus
            .choose(&mut self.random)
            .map_or(&[], Vec::as_slice)
    }

    fn change(&mut self, input: &mut Vec<u8>) {
        let at = self.random.random_range(0..=input.len());
        let end = (at + self.random.random_range(1..=16)).min(input.len());
        match self.random.random_range(0..8) {
            0 if at < input.len() => input[at] ^= 1 << self.random.random_range(0..8),
            1 if at < input.len() => input[at] = self.random.random(),
            2 => drop(input.drain(at..end)),
            3 => {
                let copy = input[at..end].to_vec();
                let times = self.random.random_range(1..=32);
                input.splice(at..at, copy.repeat(times));
            }
            4 => {
                let other = self.pick().to_vec();
                let from = self.random.random_range(0..=other.len());
                input.splice(at.., other[from..].iter().copied());
            }
            5 => {
                let from = self.random.random_range(0..=input.len());
                let moved: Vec<u8> = input.drain(at..end).collect();
                let to = from.min(input.len());
                input.splice(to..to, moved);
            }
            _ => {
                let token = TOKENS.choose(&mut self.random).copied().unwrap_or_default();
                input.splice(at..at, token.bytes());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_seeds_make_equal_rows() {
        let row = |seed| {
            let mut mutator = Mutator::new(vec![b"a: 1\n".to_vec(), b"[x]".to_vec()], seed);
            (0..100).map(|_| mutator.next_input()).collect::<Vec<_>>()
        };
        assert_eq!(row(1), row(1));
        assert_ne!(row(1), row(2));
    }
}
