//! `cargo xtask fuzz`: runs parsers of hostile input on mutations of their corpus, for as long as
//! one likes. A seed and a round name each input, so every finding can be had again.

use std::fs;
use std::panic;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use sealift_fuzz::mutate::Mutator;
use sealift_fuzz::{TARGETS, Target, corpus, targets};

/// Longer than any input of at most 16 KiB may take, in a build without optimisation.
const SLOW: Duration = Duration::from_secs(2);

/// `cargo xtask fuzz`
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// One target; all of them when it is left out.
    target: Option<String>,
    /// How long each target runs.
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// Same seed, same inputs.
    #[arg(long)]
    seed: Option<u64>,
}

/// Fuzzes and says whether every invariant held.
pub(crate) fn command(arguments: &Arguments) -> Result<bool> {
    let chosen: Vec<Target> = match &arguments.target {
        None => TARGETS.to_vec(),
        Some(name) => vec![*targets::find(name).with_context(|| unknown(name))?],
    };
    let seed = arguments.seed.unwrap_or_else(rand::random);
    let time = Duration::from_secs(arguments.seconds);
    let mut all_held = true;
    for target in chosen {
        all_held &= fuzz(target, seed, time)?;
    }
    Ok(all_held)
}

/// Runs one target until a finding or the end of its time; prints what happened.
pub(crate) fn fuzz(target: Target, seed: u64, time: Duration) -> Result<bool> {
    let seeds = corpus::read(target.name)
        .into_iter()
        .map(|(_, bytes)| bytes)
        .collect();
    let mut mutator = Mutator::new(seeds, seed);
    let hook = panic::take_hook();
    panic::set_hook(Box::new(|_| {}));
    let (start, mut rounds, mut finding) = (Instant::now(), 0_u64, None);
    while start.elapsed() < time && finding.is_none() {
        let input = mutator.next_input();
        finding = run(target, &input).map(|problem| (problem, input));
        rounds += 1;
    }
    panic::set_hook(hook);
    let name = target.name;
    let Some((problem, input)) = finding else {
        println!("{name}: {rounds} inputs, seed {seed}, every invariant held");
        return Ok(true);
    };
    let file = keep(target, seed, rounds, &input)?;
    println!("{name}: FAILED at input {rounds} of seed {seed}: {problem}");
    println!(
        "  the input is in `{}`; put it into the corpus with the fix",
        file.display()
    );
    Ok(false)
}

/// What is wrong with one input, if anything.
fn run(target: Target, input: &[u8]) -> Option<String> {
    let start = Instant::now();
    if let Err(payload) = panic::catch_unwind(|| (target.run)(input)) {
        let text = payload.downcast_ref::<String>().cloned();
        let text = text.or_else(|| {
            payload
                .downcast_ref::<&str>()
                .map(|text| (*text).to_owned())
        });
        return Some(text.unwrap_or_else(|| "a panic without a message".to_owned()));
    }
    let took = start.elapsed();
    (took > SLOW).then(|| format!("took {:.1} s", took.as_secs_f64()))
}

fn keep(target: Target, seed: u64, round: u64, input: &[u8]) -> Result<PathBuf> {
    let folder = crate::workspace_root()
        .join("target/fuzz")
        .join(target.name);
    fs::create_dir_all(&folder)?;
    let file = folder.join(format!("{seed}-{round}"));
    fs::write(&file, input)?;
    Ok(file)
}

fn unknown(name: &str) -> String {
    let names: Vec<&str> = TARGETS.iter().map(|target| target.name).collect();
    format!("`{name}` is no target; there are: {}", names.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_a_finding_and_an_answer_is_not() {
        let target = Target {
            name: "x",
            run: |bytes| assert!(bytes.len() < 3, "too long"),
        };
        assert_eq!(run(target, b"abc").as_deref(), Some("too long"));
        assert_eq!(run(target, b"ab"), None);
    }
}
