//! Runners of versions, filters, platforms and the choice itself.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use sealift_core::catalog::{Complete, ImageMetadata, Single, TagMetadata};
use sealift_core::constraint::Constraint;
use sealift_core::digest::Digest;
use sealift_core::glob::Glob;
use sealift_core::name_pattern::specificity;
use sealift_core::platform::{Platform, Wanted};
use sealift_core::select::{
    Candidates, Choice, Current, Metadata, Selection, choose, choose_followed, rank,
};
use sealift_core::strategy::Strategy;
use sealift_core::tag_filter::TagFilter;
use sealift_core::version::Version;
use serde_json::{Value, json};

use super::{compare, compare_or, text, texts};
use crate::vectors::Outcome;

pub(crate) fn semver_version(case: &Value) -> Outcome {
    let got = Version::parse(text(case, "input")).map_or_else(
        || json!({ "valid": false }),
        |version| {
            json!({
                "valid": true,
                "canonical": version.to_string(),
                "major": version.major,
                "minor": version.minor,
                "patch": version.patch,
                "prerelease": version.prerelease,
                "metadata": version.metadata,
            })
        },
    );
    compare(&without_error(&case["expected"]), &got)
}

pub(crate) fn semver_compare(case: &Value) -> Outcome {
    let got = Version::parse(text(case, "a"))
        .zip(Version::parse(text(case, "b")))
        .map(|(a, b)| a.cmp(&b) as i8);
    compare(&case["expected"], &json!(got))
}

pub(crate) fn semver_constraint(case: &Value) -> Outcome {
    let expected = &case["expected"];
    let got = match Constraint::parse(text(case, "constraint")) {
        Err(_) => json!({ "valid": false }),
        Ok(constraint) => {
            let accepted = |field: &str, wanted: bool| {
                let versions = texts(expected, field).into_iter();
                let fits = |version: &&str| {
                    let version = Version::parse(version);
                    version.is_some_and(|version| constraint.check(&version).is_ok()) == wanted
                };
                versions.filter(fits).collect::<Vec<_>>()
            };
            json!({
                "valid": true,
                "accepts": accepted("accepts", true),
                "rejects": accepted("rejects", false),
            })
        }
    };
    compare(&without_error(expected), &got)
}

pub(crate) fn match_func(case: &Value) -> Outcome {
    let (filter, _) = TagFilter::parse(Some(text(case, "allow_tags")), []);
    let got: Vec<&str> = texts(case, "tags")
        .into_iter()
        .filter(|tag| filter.allows(tag))
        .collect();
    compare(&case["expected_matching"], &json!(got))
}

pub(crate) fn ignore_tags(case: &Value) -> Outcome {
    let (filter, _) = TagFilter::parse(None, texts(case, "patterns"));
    let expected = &case["expected_ignored"];
    let got: BTreeMap<&str, bool> = keys(expected)
        .map(|tag| (tag, filter.ignored_by(tag).is_some()))
        .collect();
    compare(expected, &json!(got))
}

pub(crate) fn platform(case: &Value) -> Outcome {
    let own = Platform::parse("linux/amd64");
    let (mut wanted, _) = Wanted::parse(texts(case, "platforms"), &own);
    if case["ignore_runtime_platform"] == true && matches!(wanted, Wanted::Own(_)) {
        wanted = Wanted::Anything;
    }
    let expected = json!({
        "normalized": case["normalized"],
        "wanted": case["expected_wanted"],
    });
    let normalized: Vec<String> = match &wanted {
        Wanted::Anything => Vec::new(),
        Wanted::Own(own) => vec![own.to_string()],
        Wanted::Listed(listed) => listed.iter().map(ToString::to_string).collect(),
    };
    let answers: BTreeMap<&str, bool> = keys(&case["expected_wanted"])
        .map(|platform| (platform, wanted.accepts(&Platform::parse(platform))))
        .collect();
    compare(
        &expected,
        &json!({ "normalized": normalized, "wanted": answers }),
    )
}

pub(crate) fn strategy_name(case: &Value) -> Outcome {
    let expected = json!({
        "name": case["expected"],
        "cacheable": case["cacheable"],
        "needs_metadata": case["needs_metadata"],
        "only_constraint_tag": case["only_constraint_tag"],
        "requires_constraint": case["requires_constraint"],
    });
    let (strategy, _) = Strategy::parse_compatible(text(case, "input"));
    let got = json!({
        "name": strategy.name(),
        "cacheable": !strategy.follows_one_tag(),
        "needs_metadata": strategy.needs_metadata(),
        "only_constraint_tag": strategy.follows_one_tag(),
        "requires_constraint": strategy.follows_one_tag(),
    });
    compare(&expected, &got)
}

pub(crate) fn name_pattern_glob(case: &Value) -> Outcome {
    let glob = Glob::parse(text(case, "pattern"));
    let answer = |name: &str| {
        glob.as_ref()
            .map_or_else(|_| json!("error"), |glob| json!(glob.matches(name)))
    };
    let matches: BTreeMap<&str, Value> = keys(&case["matches"])
        .map(|name| (name, answer(name)))
        .collect();
    let expected = json!([
        case["match_error"],
        case["prevalidation_error"],
        case["matches"]
    ]);
    compare(&expected, &json!([glob.is_err(), glob.is_err(), matches]))
}

pub(crate) fn name_pattern(case: &Value) -> Outcome {
    let selector = text(case, "label_selector");
    let number_before = |word: &str| {
        let words: Vec<&str> = selector.split_whitespace().collect();
        words
            .windows(2)
            .find(|pair| pair[1].starts_with(word))
            .and_then(|pair| pair[0].parse().ok())
            .unwrap_or(0)
    };
    let numbers = (
        number_before("matchLabel"),
        number_before("expression") + number_before("matchExpression"),
    );
    let present = !selector.is_empty();
    let got = specificity(text(case, "name_pattern"), present.then_some(numbers));
    compare(&case["expected_score"], &json!(got))
}

/// Who is best does not depend on what runs: the ranking is asked, not the choice.
pub(crate) fn strategy_select(case: &Value) -> Outcome {
    let (strategy, _) = Strategy::parse_compatible(text(case, "strategy"));
    let expected = json!({
        "error": case["expected"].get("error").is_some(),
        "selected": case["expected"]["selected"],
        "digest": case["expected"].get("digest").map_or("", |digest| {
            digest.as_str().unwrap_or_default()
        }),
    });
    let selection = Selection::new(strategy, Some(text(case, "constraint")));
    let failed = json!({ "error": true, "selected": null, "digest": "" });
    // The rule: a constraint is read before the tags are, so that it fails without tags, too.
    let by_rule = match &selection {
        Err(_) => failed.clone(),
        Ok(_) => Value::Null,
    };
    let got = match selection {
        Err(_) => failed,
        Ok(selection) if strategy == Strategy::Digest => followed(case, &selection),
        Ok(selection) => best(case, selection),
    };
    compare_or(&expected, &got, "constraint-checked-first", &by_rule)
}

fn best(case: &Value, mut selection: Selection) -> Value {
    selection.platforms = Wanted::Own(Platform::parse("linux/amd64"));
    let tags = case["tags"].as_array().cloned().unwrap_or_default();
    let listing = tags.iter().map(|tag| text(tag, "name").into()).collect();
    let metadata: Metadata = tags
        .iter()
        .map(|tag| (text(tag, "name").into(), Ok(Arc::new(built(tag)))))
        .collect();
    let ranking = rank(&Arc::new(selection), &Complete::new(listing), &metadata);
    let decision = choose(&Candidates::new(&ranking), Current::default());
    let selected = match decision.choice {
        Choice::Update { tag } => Some(tag),
        _ => None,
    };
    json!({ "error": false, "selected": selected, "digest": "" })
}

/// An image for `linux/amd64` with the date of the case and a digest of its own.
fn built(tag: &Value) -> TagMetadata {
    let digest = Digest::of(text(tag, "name").as_bytes());
    let created = Timestamp::from_second(tag["date"].as_i64().unwrap_or_default());
    TagMetadata {
        digest,
        images: vec![ImageMetadata {
            digest,
            platform: Platform::parse("linux/amd64"),
            created: created.ok(),
            labels: BTreeMap::new(),
        }],
    }
}

/// Digests of the cases are short texts; each stands for the digest of its bytes.
fn followed(case: &Value, selection: &Selection) -> Value {
    let tags = case["tags"].as_array().cloned().unwrap_or_default();
    let wanted = selection.followed_tag().unwrap_or_default();
    let tag = tags.iter().find(|tag| text(tag, "name") == wanted);
    let digest = tag.map_or("", |tag| text(tag, "digest"));
    let single = Single {
        tag: wanted.into(),
        digest: tag.map(|_| Digest::of(digest.as_bytes())),
    };
    match choose_followed(selection, &single, Current::default()).choice {
        Choice::Update { tag } => json!({ "error": false, "selected": tag, "digest": digest }),
        _ => json!({ "error": false, "selected": null, "digest": "" }),
    }
}

fn keys(object: &Value) -> impl Iterator<Item = &str> {
    object
        .as_object()
        .into_iter()
        .flatten()
        .map(|(key, _)| key.as_str())
}

/// Wordings of errors are not compared.
fn without_error(expected: &Value) -> Value {
    let mut expected = expected.clone();
    if let Some(fields) = expected.as_object_mut() {
        fields.remove("error");
    }
    expected
}
