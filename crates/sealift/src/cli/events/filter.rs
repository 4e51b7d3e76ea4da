//! Which records `events list` and `events follow` show.
//!
//! Several values of one option: any of them. Several options: all of them.

use clap::Args;
use clap::builder::PossibleValuesParser;
use jiff::{SignedDuration, Span, SpanRelativeTo, Timestamp};
use sealift_core::event::{Body, Decision, Record};
use sealift_core::reason::Reason;

/// The filters.
#[derive(Debug, Clone, Default, Args)]
pub(super) struct FilterOptions {
    /// Only this Application, `name` or `namespace/name`. Repeatable
    #[arg(short, long, value_name = "APPLICATION")]
    pub(super) application: Vec<String>,
    /// Only this image: alias, repository, or the end of one (`shop` is `ghcr.io/acme/shop`).
    /// Repeatable
    #[arg(short, long, value_name = "IMAGE")]
    pub(super) image: Vec<String>,
    /// Only records that give this reason. Repeatable
    #[arg(short, long, value_name = "REASON")]
    pub(super) reason: Vec<Reason>,
    /// Only records of this kind. Repeatable
    #[arg(short, long, value_name = "KIND", value_parser = PossibleValuesParser::new(Body::KINDS))]
    pub(super) kind: Vec<String>,
    /// Only considerations that ended so. Repeatable
    #[arg(short, long, value_name = "DECISION",
          value_parser = PossibleValuesParser::new(Decision::WORDS))]
    pub(super) decision: Vec<String>,
    /// Only records from this time on: `2h`, `7d`, `2026-01-31T12:00:00Z`
    #[arg(long, value_name = "TIME")]
    pub(super) since: Option<When>,
    /// Only records before this time
    #[arg(long, value_name = "TIME")]
    pub(super) until: Option<When>,
}

/// A time, or how long ago one is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum When {
    At(Timestamp),
    Ago(SignedDuration),
}

/// The filters at one moment.
pub(super) struct Filter<'a> {
    options: &'a FilterOptions,
    since: Option<Timestamp>,
    until: Option<Timestamp>,
}

impl std::str::FromStr for When {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let refuse = || {
            format!(
                "`{text}` is no time: expected `2h`, `7d` or RFC 3339 as `2026-01-31T12:00:00Z`"
            )
        };
        if let Ok(time) = text.parse() {
            return Ok(Self::At(time));
        }
        let span: Span = text.parse().map_err(|_| refuse())?;
        let ago = span
            .to_duration(SpanRelativeTo::days_are_24_hours())
            .map_err(|_| refuse())?;
        if ago.is_negative() {
            Err(refuse())
        } else {
            Ok(Self::Ago(ago))
        }
    }
}

impl When {
    fn resolve(self, now: Timestamp) -> Timestamp {
        match self {
            Self::At(time) => time,
            Self::Ago(ago) => now.saturating_sub(ago).unwrap_or(Timestamp::MIN),
        }
    }
}

impl<'a> Filter<'a> {
    /// The filters, where `now` is what times ago count from.
    pub(super) fn new(options: &'a FilterOptions, now: Timestamp) -> Self {
        let [since, until] =
            [options.since, options.until].map(|when| when.map(|when| when.resolve(now)));
        Self {
            options,
            since,
            until,
        }
    }

    /// Whether the record is shown.
    pub(super) fn passes(&self, record: &Record) -> bool {
        let FilterOptions {
            application,
            image,
            reason,
            kind,
            decision,
            ..
        } = self.options;
        let (time, body) = (record.header.time, &record.body);
        self.since.is_none_or(|since| time >= since)
            && self.until.is_none_or(|until| time < until)
            && any(kind, |kind| kind == body.kind())
            && any(decision, |decision| decision_of(body) == Some(decision))
            && any(application, |wanted| {
                body.applications().any(|name| is_application(name, wanted))
            })
            && any(image, |wanted| {
                images_of(body).any(|name| is_image(name, wanted))
            })
            && any(reason, |wanted| {
                body.causes().any(|cause| cause.reason.id() == wanted.id())
            })
    }
}

fn any<T>(wanted: &[T], test: impl Fn(&T) -> bool) -> bool {
    wanted.is_empty() || wanted.iter().any(test)
}

fn decision_of(body: &Body) -> Option<&str> {
    match body {
        Body::Considered(considered) => Some(considered.decision.word()),
        _ => None,
    }
}

/// `name` is `namespace/name`.
fn is_application(name: &str, wanted: &str) -> bool {
    name == wanted || name.split_once('/').is_some_and(|(_, name)| name == wanted)
}

/// Every text that names an image in the record.
fn images_of(body: &Body) -> impl Iterator<Item = &str> {
    let considered = match body {
        Body::Considered(considered) => Some(&considered.image),
        _ => None,
    };
    let writes = match body {
        Body::Intent(intent) => intent.writes.as_slice(),
        _ => &[],
    };
    considered
        .into_iter()
        .flat_map(|image| {
            let names = [Some(image.written.as_str()), Some(&image.repository)];
            names.into_iter().chain([image.alias.as_deref()]).flatten()
        })
        .chain(writes.iter().map(|write| write.image.as_str()))
}

/// The whole name, or its end after a slash.
fn is_image(name: &str, wanted: &str) -> bool {
    name.strip_suffix(wanted)
        .is_some_and(|before| before.is_empty() || before.ends_with('/'))
}
