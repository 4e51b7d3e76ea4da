//! Claims about the choice: reasons, ties, downgrades by each order, and what is not whole.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use proptest::prelude::{prop, prop_assert, prop_assert_eq, proptest};

use super::*;
use crate::catalog::{Complete, ImageMetadata, Single, TagMetadata};
use crate::digest::Digest;
use crate::limits::PLATFORM_CANDIDATES_MAX;
use crate::platform::Platform;

fn listing(tags: &[&str]) -> Complete {
    Complete::new(tags.iter().map(|tag| Box::from(*tag)).collect())
}

fn selection(strategy: Strategy, constraint: &str) -> Selection {
    Selection::new(strategy, Some(constraint)).unwrap()
}

fn ranked(selection: Selection, tags: &[&str]) -> Ranking {
    rank(&Arc::new(selection), &listing(tags), &Metadata::new())
}

fn decide(ranking: &Ranking, tag: &str) -> Decision {
    choose(
        &Candidates::new(ranking),
        Current {
            tag: Some(tag),
            digest: None,
        },
    )
}

fn updates_to(ranking: &Ranking, current: &str, winner: &str) {
    let tag = winner.into();
    assert_eq!(decide(ranking, current).choice, Choice::Update { tag });
}

fn keeps(ranking: &Ranking, current: &str) {
    let tag = current.into();
    assert_eq!(decide(ranking, current).choice, Choice::Keep { tag });
}

fn refuses(ranking: &Ranking, current: &str, expected: Reason) {
    let decision = decide(ranking, current);
    assert!(
        matches!(&decision.choice, Choice::Refused { reason, .. } if *reason == expected),
        "{decision:?}"
    );
}

fn image(platform: &str, created: Option<i64>, name: &str) -> Arc<TagMetadata> {
    let digest = Digest::of(name.as_bytes());
    Arc::new(TagMetadata {
        digest,
        images: vec![ImageMetadata {
            digest,
            platform: Platform::parse(platform),
            created: created.map(|seconds| Timestamp::from_second(seconds).unwrap()),
            labels: BTreeMap::new(),
        }],
    })
}

/// A `newest-build` ranking of tags on `linux/amd64` with creation times in seconds.
fn by_build(tags: &[(&str, Result<Arc<TagMetadata>, Reason>)]) -> Ranking {
    let mut selection = selection(Strategy::NewestBuild, "");
    selection.platforms = Wanted::Own(Platform::parse("linux/amd64"));
    let names: Vec<&str> = tags.iter().map(|(tag, _)| *tag).collect();
    let metadata = tags
        .iter()
        .map(|(tag, read)| (Box::from(*tag), read.clone()))
        .collect();
    rank(&Arc::new(selection), &listing(&names), &metadata)
}

fn built(tag: &str, created: i64) -> (&str, Result<Arc<TagMetadata>, Reason>) {
    (tag, Ok(image("linux/amd64", Some(created), tag)))
}

#[test]
fn every_rejected_tag_keeps_its_reason() {
    let mut selection = selection(Strategy::Semver, "1.x");
    selection.filter = TagFilter::parse(Some("regexp:^[^z]"), ["dev-*"]).0;
    let signature = format!("sha256-{}.sig", "a".repeat(64));
    let ranking = ranked(
        selection,
        &[
            "1.0", "z1", "dev-1", "latest", "2.0", "1.1-rc1", "1.1", &signature,
        ],
    );
    let candidates = Candidates::new(&ranking);
    let verdicts: Vec<(&str, Reason)> = candidates.verdicts().collect();
    assert_eq!(
        verdicts,
        [
            ("1.1", Reason::Newest),
            ("1.0", Reason::NotNewest),
            ("z1", Reason::NotAllowed),
            ("dev-1", Reason::Ignored),
            ("latest", Reason::NotAVersion),
            ("2.0", Reason::OutsideConstraint),
            ("1.1-rc1", Reason::Prerelease),
            (signature.as_str(), Reason::ArtifactTag),
        ]
    );
    let detail = |tag, reason| ranking.selection().detail(tag, reason);
    assert_eq!(detail("dev-1", Reason::Ignored).unwrap(), "dev-*");
    assert_eq!(detail("2.0", Reason::OutsideConstraint).unwrap(), "1.x");
}

#[test]
fn equal_versions_are_won_by_the_greater_name_and_the_one_in_git_is_kept() {
    let ranking = ranked(
        selection(Strategy::Semver, ""),
        &["1.20", "v1.20.0", "1.20.0"],
    );
    assert_eq!(ranking.candidates().next(), Some("v1.20.0"));
    keeps(&ranking, "1.20");
    keeps(&ranking, "1.20.0");
    updates_to(&ranking, "1.19", "v1.20.0");
    // Gone from the registry: its equal can still be pulled.
    let ranking = ranked(selection(Strategy::Semver, ""), &["1.20.0"]);
    updates_to(&ranking, "1.20", "1.20.0");
}

#[test]
fn a_semver_downgrade_is_refused_unless_the_user_asked_for_it() {
    let tags = &["1.0.0", "1.0.1"];
    refuses(
        &ranked(selection(Strategy::Semver, ""), tags),
        "2.0.0",
        Reason::Downgrade,
    );
    refuses(
        &ranked(selection(Strategy::Semver, ""), tags),
        "2.0.0-rc1",
        Reason::Downgrade,
    );
    updates_to(
        &ranked(selection(Strategy::Semver, "~1.0"), tags),
        "2.0.3",
        "1.0.1",
    );
    let mut allowed = selection(Strategy::Semver, "");
    allowed.allow_downgrade = true;
    let ranking = ranked(allowed, tags);
    updates_to(&ranking, "2.0.0", "1.0.1");
    assert_eq!(
        decide(&ranking, "2.0.0").notices[0].reason,
        Reason::Downgrade
    );
    let mut ignored = selection(Strategy::Semver, "");
    ignored.filter = TagFilter::parse(None, ["2.*"]).0;
    updates_to(&ranked(ignored, tags), "2.0.0", "1.0.1");
}

#[test]
fn what_is_no_version_may_be_left_with_a_notice() {
    let ranking = ranked(selection(Strategy::Semver, ""), &["1.0.0"]);
    updates_to(&ranking, "latest", "1.0.0");
    assert_eq!(
        decide(&ranking, "latest").notices[0].reason,
        Reason::OrderUnknown
    );
    let decision = choose(&Candidates::new(&ranking), Current::default());
    assert_eq!(decision.notices[0].reason, Reason::CurrentUnknown);
}

#[test]
fn downgrades_are_told_by_each_strategy_s_own_order() {
    let cases = [
        (Strategy::Alphabetical, "b", "c", "aa"),
        (Strategy::Numeric, "9", "10", "8"),
        (Strategy::Calver, "2024.9.1", "2024.10.1", "2023.12.31"),
    ];
    for (strategy, winner, higher, lower) in cases {
        let ranking = ranked(selection(strategy, ""), &[winner]);
        refuses(&ranking, higher, Reason::Downgrade);
        updates_to(&ranking, lower, winner);
        keeps(&ranking, winner);
    }
    let ranking = ranked(selection(Strategy::Numeric, ""), &["9"]);
    updates_to(&ranking, "main", "9");
}

#[test]
fn constraints_bound_numbers_and_calendar_versions() {
    let ranking = ranked(
        selection(Strategy::Calver, "<2024.10"),
        &["2024.09.30", "2024.10.1"],
    );
    assert_eq!(ranking.candidates().collect::<Vec<_>>(), ["2024.09.30"]);
    let ranking = ranked(selection(Strategy::Numeric, "<100"), &["99", "101", "x"]);
    assert_eq!(ranking.candidates().collect::<Vec<_>>(), ["99"]);
    // Alphabetical knows no constraint, not even one that cannot be read.
    let ranking = ranked(selection(Strategy::Alphabetical, "stable"), &["a", "b"]);
    assert_eq!(ranking.candidates().next(), Some("b"));
}

#[test]
fn extraction_works_under_every_order() {
    let extract = || Some(Extract::parse("release-(?<version>.*)").unwrap());
    for strategy in [Strategy::Semver, Strategy::Numeric, Strategy::Alphabetical] {
        let mut selection = selection(strategy, "");
        selection.extract = extract();
        let ranking = ranked(selection, &["release-1", "release-2", "3"]);
        assert_eq!(ranking.candidates().next(), Some("release-2"));
        assert_eq!(ranking.rejected().next(), Some(("3", Reason::NotExtracted)));
        // `3` does not fit the setting: the user asked to leave it.
        updates_to(&ranking, "3", "release-2");
        refuses(&ranking, "release-3", Reason::Downgrade);
    }
}

#[test]
fn newest_build_is_the_latest_creation_time_then_the_greater_name() {
    let ranking = by_build(&[built("b", 10), built("a", 20), built("c", 5)]);
    assert_eq!(ranking.candidates().collect::<Vec<_>>(), ["a", "b", "c"]);
    updates_to(&ranking, "b", "a");
    assert!(decide(&ranking, "b").notices.is_empty());
    let ranking = by_build(&[built("b", 0), built("c", 0), built("a", 0)]);
    updates_to(&ranking, "a", "c");
    assert_eq!(
        decide(&ranking, "a").notices[0].reason,
        Reason::BuildTimeTie
    );
}

#[test]
fn two_tags_of_one_image_never_take_turns() {
    let same = || Ok(image("linux/amd64", Some(10), "same"));
    let ranking = by_build(&[("1.2.3", same()), ("latest", same())]);
    keeps(&ranking, "1.2.3");
    keeps(&ranking, "latest");
}

#[test]
fn c5_one_unreadable_tag_means_no_choice() {
    let limited = ("c", Err(Reason::RateLimited));
    let ranking = by_build(&[built("a", 10), limited, built("b", 20)]);
    refuses(&ranking, "a", Reason::MetadataUnreadable);
    refuses(&ranking, "b", Reason::MetadataUnreadable);
    assert_eq!(
        ranking.unread().collect::<Vec<_>>(),
        [("c", Reason::RateLimited)]
    );
    let not_read = rank(
        &Arc::new(selection(Strategy::NewestBuild, "")),
        &listing(&["a"]),
        &Metadata::new(),
    );
    refuses(&not_read, "a", Reason::MetadataUnreadable);
}

#[test]
fn a_tag_that_is_no_image_for_us_is_rejected_and_the_others_are_chosen_from() {
    let ranking = by_build(&[
        built("a", 10),
        ("arm", Ok(image("linux/arm64", Some(30), "arm"))),
        ("old-schema", Err(Reason::ManifestUnsupported)),
        ("ghost", Err(Reason::ManifestMissing)),
        ("dateless", Ok(image("linux/amd64", None, "dateless"))),
    ]);
    updates_to(&ranking, "z", "a");
    assert_eq!(
        ranking.rejected().collect::<Vec<_>>(),
        [
            ("arm", Reason::PlatformMissing),
            ("old-schema", Reason::ManifestUnsupported),
            ("ghost", Reason::ManifestMissing),
            ("dateless", Reason::MetadataUnreadable),
        ]
    );
    // Git wants one of them: its age is not known, or it is newer on another platform.
    refuses(&ranking, "dateless", Reason::MetadataUnreadable);
    refuses(&ranking, "ghost", Reason::MetadataUnreadable);
    refuses(&ranking, "arm", Reason::Downgrade);
}

#[test]
fn a_sorted_listing_needs_no_metadata() {
    let mut selection = selection(Strategy::NewestBuild, "");
    selection.tag_sort_mode = TagSortMode::LatestFirst;
    assert!(!selection.needs_metadata());
    let ranking = ranked(selection.clone(), &["b", "c", "a"]);
    updates_to(&ranking, "c", "b");
    updates_to(&ranking, "gone", "b");
    selection.tag_sort_mode = TagSortMode::LatestLast;
    assert_eq!(
        ranked(selection, &["b", "c", "a"]).candidates().next(),
        Some("a")
    );
}

#[test]
fn a_winner_without_the_platform_is_walked_over_up_to_a_bound() {
    let ranking = ranked(selection(Strategy::Semver, ""), &["1.0", "1.1", "1.2"]);
    let mut candidates = Candidates::new(&ranking);
    candidates.reject_best(Reason::PlatformMissing);
    let current = |tag| Current {
        tag: Some(tag),
        digest: None,
    };
    let tag = "1.1".into();
    assert_eq!(
        choose(&candidates, current("1.0")).choice,
        Choice::Update { tag }
    );
    // Git wants the one that was walked over: the registry lost a platform, nobody asked to go
    // back.
    assert!(matches!(
        choose(&candidates, current("1.2")).choice,
        Choice::Refused {
            reason: Reason::Downgrade,
            ..
        }
    ));
    assert_eq!(
        candidates.verdicts().take(2).collect::<Vec<_>>(),
        [("1.2", Reason::PlatformMissing), ("1.1", Reason::Newest)]
    );
    let tags: Vec<String> = (0..100).map(|n| n.to_string()).collect();
    let tags: Vec<&str> = tags.iter().map(String::as_str).collect();
    let ranking = ranked(selection(Strategy::Semver, ""), &tags);
    let mut candidates = Candidates::new(&ranking);
    for _ in 0..200 {
        candidates.reject_best(Reason::PlatformMissing);
    }
    assert_eq!(
        candidates
            .verdicts()
            .filter(|(_, r)| *r == Reason::PlatformMissing)
            .count(),
        PLATFORM_CANDIDATES_MAX
    );
    assert!(matches!(
        choose(&candidates, current("1")).choice,
        Choice::Nothing {
            reason: Reason::PlatformMissing,
            ..
        }
    ));
}

#[test]
fn the_digest_strategy_follows_one_tag() {
    assert_eq!(
        Selection::new(Strategy::Digest, None).unwrap_err().reason(),
        Reason::ConstraintMissing
    );
    let selection = selection(Strategy::Digest, "dev");
    let digest = Digest::of(b"new");
    let single = |digest| Single {
        tag: "dev".into(),
        digest,
    };
    let text = digest.to_string();
    let choice = |single: &Single, tag, digest| {
        choose_followed(&selection, single, Current { tag, digest }).choice
    };
    let tag: Box<str> = "dev".into();
    let update = Choice::Update { tag: tag.clone() };
    assert_eq!(choice(&single(Some(digest)), None, None), update);
    assert_eq!(
        choice(&single(Some(digest)), Some("dev"), Some("sha256:aa")),
        update
    );
    assert_eq!(
        choice(&single(Some(digest)), Some("dev"), Some(&text)),
        Choice::Keep { tag }
    );
    assert!(matches!(
        choice(&single(None), Some("dev"), None),
        Choice::Nothing {
            reason: Reason::NoMatch,
            ..
        }
    ));
    let ranking = ranked(selection.clone(), &["dev", "other"]);
    assert_eq!(
        ranking.rejected().next(),
        Some(("other", Reason::NotConstraintTag))
    );
}

#[test]
fn artifact_tags_are_never_candidates() {
    let hex = "0f".repeat(32);
    for suffix in ["", ".sig", ".att", ".sbom"] {
        let tag = format!("sha256-{hex}{suffix}");
        assert!(is_artifact_tag(&tag), "{tag}");
        for strategy in [Strategy::Alphabetical, Strategy::NewestBuild] {
            let ranking = ranked(selection(strategy, ""), &[&tag]);
            assert_eq!(
                ranking.rejected().next(),
                Some((tag.as_str(), Reason::ArtifactTag))
            );
        }
    }
    for tag in ["sha256-abc", "sha256", "1.0-sha256", "sha256-é"] {
        assert!(!is_artifact_tag(tag), "{tag}");
    }
}

#[test]
fn a_listing_above_the_bound_is_not_chosen_from() {
    let tags = vec![Box::from("1.0"); crate::limits::TAGS_MAX + 1];
    let selection = Arc::new(selection(Strategy::Semver, ""));
    let ranking = rank(&selection, &Complete::new(tags), &Metadata::new());
    assert_eq!(ranking.candidates().len(), 0);
    refuses(&ranking, "0.9", Reason::MetadataUnreadable);
}

#[test]
fn a_constraint_that_cannot_be_read_is_an_error_where_it_counts() {
    let reason = |strategy| Selection::new(strategy, Some("stable")).map_err(|e| e.reason());
    assert_eq!(reason(Strategy::Semver), Err(Reason::ConstraintInvalid));
    assert_eq!(reason(Strategy::Calver), Err(Reason::ConstraintInvalid));
    assert!(reason(Strategy::NewestBuild).is_ok());
}

proptest! {
    #[test]
    fn a_choice_is_stable_once_it_is_taken(
        strategy in prop::sample::select(&[
            Strategy::Semver, Strategy::Alphabetical, Strategy::Numeric, Strategy::Calver,
        ][..]),
        tags in prop::collection::vec("v?[0-9]{1,4}(\\.[0-3]{1,2}){0,3}(-rc[0-9])?", 0..12),
        current in "v?[0-9]{1,4}(\\.[0-3]{1,2}){0,3}",
    ) {
        let names: Vec<&str> = tags.iter().map(String::as_str).collect();
        let ranking = ranked(selection(strategy, ""), &names);
        if let Choice::Update { tag } = decide(&ranking, &current).choice {
            keeps(&ranking, &tag);
        }
        prop_assert_eq!(ranking.candidates().len() + ranking.rejected().count(), names.len());
    }

    #[test]
    fn no_choice_lowers_the_version_without_being_asked(
        tags in prop::collection::vec("[0-3](\\.[0-3]){0,2}", 1..8),
        current in "[0-3](\\.[0-3]){0,2}",
    ) {
        let names: Vec<&str> = tags.iter().map(String::as_str).collect();
        let ranking = ranked(selection(Strategy::Semver, ""), &names);
        if let Choice::Update { tag } = decide(&ranking, &current).choice {
            prop_assert!(Version::parse(&tag) >= Version::parse(&current));
        }
    }
}
