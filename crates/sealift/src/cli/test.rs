//! `sealift test IMAGE`: what would be chosen for one image. No Application and no cluster are
//! needed.

use std::io::Write as _;
use std::num::NonZeroU32;
use std::sync::Arc;

use anyhow::Context as _;
use jiff::Timestamp;
use sealift_core::catalog::Catalog;
use sealift_core::credential::{CredentialAuthor, CredentialSource};
use sealift_core::notice::Notice;
use sealift_core::platform::Wanted;
use sealift_core::reason::Reason;
use sealift_core::reference::{ConfiguredImage, Reference};
use sealift_core::select::{Candidates, Choice, Current, Selection, choose, choose_followed};
use sealift_core::strategy::Strategy;
use sealift_core::tag_filter::TagFilter;
use serde_json::json;

use super::options::{OutputFormat, OutputOptions, RegistryOptions};
use crate::exit::Exit;
use crate::objects::Objects;
use crate::objects::files::FileObjects;
use crate::output::{DIM, GOOD, escape, ignore_closed_pipe, json_document};
use crate::pipeline::survey::ask_one;
use crate::registries::Registries;
use crate::render;
use crate::state::StateFolder;

/// Arguments of `test`.
#[derive(Debug, clap::Args)]
pub struct TestArguments {
    /// The image, for example `ghcr.io/acme/shop`
    image: String,
    /// Version constraint; for the digest strategy the tag to follow
    #[arg(long, value_name = "CONSTRAINT")]
    semver_constraint: Option<String>,
    /// Match function for tags: `any` or `regexp:EXPRESSION`
    #[arg(long, value_name = "MATCH")]
    allow_tags: Option<String>,
    /// Glob of tags to ignore. Repeatable
    #[arg(long, value_name = "GLOB")]
    ignore_tags: Vec<String>,
    /// Strategy
    #[arg(long, default_value = "semver")]
    update_strategy: String,
    #[command(flatten)]
    registry: RegistryOptions,
    /// Credential source: `env:NAME`, `ext:/path`
    #[arg(long, value_name = "SOURCE")]
    credentials: Option<String>,
    /// Platforms, separated by commas
    #[arg(long, value_delimiter = ',', value_name = "OS/ARCH")]
    platforms: Vec<String>,
    /// Requests a second at most
    #[arg(long, value_name = "NUMBER")]
    rate_limit: Option<NonZeroU32>,
    #[command(flatten)]
    output: OutputOptions,
}

/// Prints what would be chosen.
///
/// # Errors
/// The arguments cannot be used, or the registry cannot be asked.
pub async fn run(arguments: TestArguments) -> anyhow::Result<Exit> {
    let reference = ConfiguredImage::new(None, &arguments.image)?.reference;
    let (selection, notices) = selection(&arguments)?;
    for notice in notices {
        tracing::warn!(reason = notice.reason.id(), "{}", notice.detail);
    }
    let credentials = arguments
        .credentials
        .as_deref()
        .map(|text| CredentialSource::parse(text, CredentialAuthor::Operator));
    let credentials = credentials.transpose().context("`--credentials`")?;
    let folder = tempfile::tempdir()?;
    let state = StateFolder::open(&folder.path().join("state"))?;
    let mut registries = Registries::open(&arguments.registry, &state)?;
    registries.limit_every(arguments.rate_limit);
    let objects: Arc<dyn Objects> = Arc::new(FileObjects::default());
    let (source, order) = registries.source(&reference, credentials.as_ref(), &objects)?;
    let mut selection = selection;
    selection.tag_sort_mode = order;
    let selection = Arc::new(selection);
    let (catalog, ranking) = ask_one(source, &selection, Timestamp::now()).await;
    let nothing = Current::default();
    let decision = match (&catalog, &ranking) {
        (Catalog::Incomplete(incomplete), _) => {
            anyhow::bail!("{} ({})", incomplete.detail, incomplete.reason)
        }
        (Catalog::Single(single), _) => choose_followed(&selection, single, nothing),
        (Catalog::Complete(_), Some(ranking)) => choose(&Candidates::new(ranking), nothing),
        (Catalog::Complete(_), None) => anyhow::bail!("the listing was not ranked"),
    };
    let winner = match decision.choice {
        Choice::Update { tag } | Choice::Keep { tag } => Ok(newest(&reference, &catalog, &tag)),
        Choice::Nothing { reason, detail } | Choice::Refused { reason, detail, .. } => {
            Err((reason, detail))
        }
    };
    let ranking = ranking.as_deref();
    print(&arguments, &winner, ranking)?;
    Ok(if winner.is_ok() {
        Exit::Done
    } else {
        Exit::NothingSelected
    })
}

fn newest(reference: &Reference, catalog: &Catalog, tag: &str) -> Reference {
    match catalog {
        Catalog::Single(single) => reference.with_tag(Some(tag), single.digest),
        _ => reference.with_tag(Some(tag), None),
    }
}

fn selection(arguments: &TestArguments) -> anyhow::Result<(Selection, Vec<Notice>)> {
    let strategy = Strategy::parse_strict(&arguments.update_strategy).or_else(|error| {
        // The old names are read where the program that had them would read them.
        match Strategy::parse_compatible(&arguments.update_strategy) {
            (strategy, Some(notice)) if notice.reason == Reason::DeprecatedSetting => Ok(strategy),
            (strategy, None) => Ok(strategy),
            _ => Err(error),
        }
    })?;
    let mut selection = Selection::new(strategy, arguments.semver_constraint.as_deref())?;
    let ignore = arguments.ignore_tags.iter().map(String::as_str);
    let (filter, mut notices) = TagFilter::parse(arguments.allow_tags.as_deref(), ignore);
    let platforms = arguments.platforms.iter().map(|text| text.trim());
    let (platforms, more) = Wanted::parse(platforms, &crate::platform::own());
    notices.extend(more);
    selection.filter = filter;
    selection.platforms = platforms;
    Ok((selection, notices))
}

fn print(
    arguments: &TestArguments,
    winner: &Result<Reference, (Reason, String)>,
    ranking: Option<&sealift_core::select::Ranking>,
) -> anyhow::Result<()> {
    let mut out = std::io::BufWriter::new(anstream::stdout().lock());
    let result = match (arguments.output.output, winner) {
        (OutputFormat::Json, winner) => {
            let (image, reason) = match winner {
                Ok(image) => (Some(image.to_string()), None),
                Err((reason, _)) => (None, Some(reason)),
            };
            let tags: Vec<_> = ranking.into_iter().flat_map(render::verdicts).collect();
            json_document(
                &mut out,
                &json!({ "image": image, "reason": reason, "tags": tags }),
            )
        }
        (OutputFormat::Text, Ok(image)) => {
            let image = image.to_string();
            ranking
                .map_or(Ok(()), |ranking| render::tags(&mut out, ranking))
                .and_then(|()| {
                    let words = "latest image according to constraint is";
                    writeln!(out, "{words} {GOOD}{}{GOOD:#}", escape(&image))
                })
        }
        (OutputFormat::Text, Err((reason, detail))) => ranking
            .map_or(Ok(()), |ranking| render::tags(&mut out, ranking))
            .and_then(|()| {
                let detail = escape(detail);
                writeln!(
                    out,
                    "no newer version of image found: {detail} {DIM}({reason}){DIM:#}"
                )
            }),
    };
    Ok(ignore_closed_pipe(result.and_then(|()| out.flush()))?)
}
