//! `cargo xtask bench judge`: what judging an image costs, the first time and when it was judged
//! before, on images that real tools signed. No network, no files: the root is there already.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use sealift_trust::Judge;
use serde_json::json;

use crate::judging::layouts::{Repeated, repeated};

/// `cargo xtask bench judge`
#[derive(clap::Args)]
pub(super) struct Arguments {
    /// How often each image is judged.
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    rounds: u32,
    /// Print one JSON object instead of text.
    #[arg(long)]
    json: bool,
}

/// What one image cost, as medians.
struct Cost {
    image: Repeated,
    first: Duration,
    again: Duration,
}

pub(super) fn command(arguments: &Arguments) -> Result<bool> {
    let costs: Vec<Cost> = repeated()?
        .into_iter()
        .map(|image| measure(image, arguments.rounds))
        .collect::<Result<_>>()?;
    if arguments.json {
        let all = costs.iter().map(|cost| {
            json!({
                "image": cost.image.name, "keyless": cost.image.keyless,
                "items": cost.image.items(), "first_us": micros(cost.first),
                "again_us": micros(cost.again),
            })
        });
        let document = json!({ "rounds": arguments.rounds, "images": all.collect::<Vec<_>>() });
        println!("{}", serde_json::to_string_pretty(&document)?);
    } else {
        text(&costs, arguments.rounds);
    }
    Ok(true)
}

fn measure(image: Repeated, rounds: u32) -> Result<Cost> {
    let remembers = Judge::default();
    ensure!(image.judge(&remembers), "`{}` is not trusted", image.name);
    let mut first = Vec::new();
    let mut again = Vec::new();
    for _ in 0..rounds {
        let fresh = Judge::default();
        let start = Instant::now();
        let trusted = image.judge(&fresh);
        first.push(start.elapsed());
        let start = Instant::now();
        let trusted_again = image.judge(&remembers);
        again.push(start.elapsed());
        ensure!(trusted && trusted_again, "`{}` is not trusted", image.name);
    }
    Ok(Cost {
        image,
        first: median(first),
        again: median(again),
    })
}

fn median(mut all: Vec<Duration>) -> Duration {
    all.sort();
    all.get(all.len() / 2).copied().unwrap_or_default()
}

fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

fn text(costs: &[Cost], rounds: u32) {
    println!("Medians of {rounds} judgements, in microseconds.\n");
    println!(
        "{:<26}{:<10}{:>6}{:>12}{:>12}",
        "image", "signer", "items", "first", "again"
    );
    for cost in costs {
        let signer = if cost.image.keyless { "keyless" } else { "key" };
        println!(
            "{:<26}{signer:<10}{:>6}{:>12.1}{:>12.1}",
            cost.image.name,
            cost.image.items(),
            micros(cost.first),
            micros(cost.again)
        );
    }
    let worst = |keyless: bool| {
        let of = costs.iter().filter(|cost| cost.image.keyless == keyless);
        // Of an image with several items each counts for itself.
        let each = |cost: &Cost| micros(cost.first) / (cost.image.items().max(1) as f64);
        of.map(each).fold(0.0, f64::max)
    };
    let again = costs
        .iter()
        .map(|cost| micros(cost.again))
        .fold(0.0, f64::max);
    println!(
        "\nan item, at most: keyless {:.0}, key {:.0}",
        worst(true),
        worst(false)
    );
    println!("judged before, at most: {again:.1}");
}
