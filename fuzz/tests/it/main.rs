//! Every target on its corpus, on mutations of it, and on random bytes.
#![allow(clippy::print_stdout, reason = "a failed test shows its input")]

use proptest::prelude::*;
use sealift_fuzz::{TARGETS, Target, corpus, mutate::Mutator};

/// Mutated inputs of each target in an ordinary test; `cargo xtask fuzz` runs more.
const MUTATIONS: usize = 2_000;

/// Names the target and shows the input where one panics.
fn run(target: &Target, bytes: &[u8]) {
    struct Shown<'a>(&'a str, &'a [u8]);
    impl Drop for Shown<'_> {
        fn drop(&mut self) {
            if std::thread::panicking() {
                println!("target `{}`, input: {}", self.0, self.1.escape_ascii());
            }
        }
    }
    let _shown = Shown(target.name, bytes);
    (target.run)(bytes);
}

#[test]
fn every_target_holds_on_its_corpus() {
    for target in TARGETS {
        for (_, bytes) in corpus::read(target.name) {
            run(target, &bytes);
        }
    }
}

#[test]
fn every_target_holds_on_mutations_of_its_corpus() {
    for target in TARGETS {
        let seeds = corpus::read(target.name)
            .into_iter()
            .map(|(_, bytes)| bytes)
            .collect();
        let mut mutator = Mutator::new(seeds, 1);
        for _ in 0..MUTATIONS {
            run(target, &mutator.next_input());
        }
    }
}

#[test]
fn every_folder_of_the_corpus_belongs_to_a_target() {
    let root = corpus::folder("");
    for entry in std::fs::read_dir(root).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(
            TARGETS.iter().any(|target| target.name == name),
            "no target reads `{name}`"
        );
    }
}

proptest! {
    #[test]
    fn every_target_holds_on_random_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        for target in TARGETS {
            run(target, &bytes);
        }
    }

    #[test]
    fn every_target_holds_on_random_text(text in "\\PC{0,200}") {
        for target in TARGETS {
            run(target, text.as_bytes());
        }
    }
}
