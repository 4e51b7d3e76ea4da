//! Events: what a line looks like, what readers tolerate, and what the check of a chain finds.

use proptest::prelude::*;

use super::verify::{Anchor, Finding, Place, Report, Verifier};
use super::*;
use crate::limits;
use crate::reason::Reason;

const TIME: Timestamp = Timestamp::constant(1_800_000_000, 7_900_000);

fn considered() -> Considered {
    Considered {
        application: "argocd/shop".to_owned(),
        image: Image {
            alias: Some("web".to_owned()),
            written: "nginx".to_owned(),
            repository: "docker.io/library/nginx".to_owned(),
        },
        strategy: "semver".to_owned(),
        constraint: Some("~1.2".to_owned()),
        inputs: Inputs {
            settings: BTreeMap::from([("allow-tags".to_owned(), "regexp:^1".to_owned())]),
            origin: None,
            catalog: Some(CatalogSummary {
                digest: Digest::of(b"1.2.0\n1.2.1\n"),
                tags: 2,
                wholeness: Wholeness::Complete,
            }),
            wanted: Some("nginx:1.2.0".to_owned()),
            running: vec!["nginx:1.2.0".to_owned()],
            now: TIME,
        },
        decision: Decision::Updated,
        candidate: Some(Candidate {
            tag: "1.2.1".to_owned(),
            digest: Some(Digest::of(b"manifest")),
        }),
        tags_dropped: BTreeMap::from([(Reason::NotNewest.into(), 1)]),
        reasons: vec![Cause::new(Reason::Newest, "`1.2.1`")],
        reasons_omitted: 0,
        trust: Some(TrustSummary {
            verdict: VerdictKind::Waived,
            waiver: Some("no-policy".to_owned()),
            detail: String::new(),
            policy: None,
            evidence: None,
            clauses: Vec::new(),
        }),
        slot: Some(SlotSummary {
            repository: MaskedUrl::new("https://u:p@git.example/shop.git"),
            branch: "main".to_owned(),
            path: "values.yaml".to_owned(),
            routes: vec!["image.tag".to_owned()],
        }),
    }
}

fn intent(id: u64) -> Intent {
    Intent {
        intent: IntentId::from_random(id),
        repository: MaskedUrl::new("https://u:p@git.example/shop.git?token=x"),
        branch: "main".to_owned(),
        expected: Some("0".repeat(40)),
        commits: vec!["1".repeat(40)],
        writes: vec![IntendedWrite {
            application: "argocd/shop".to_owned(),
            image: "docker.io/library/nginx".to_owned(),
            path: "values.yaml".to_owned(),
            routes: vec!["image.tag".to_owned()],
            old: Some("1.2.0".to_owned()),
            new: "1.2.1".to_owned(),
        }],
        applications: vec!["argocd/shop".to_owned()],
    }
}

fn started(predecessor: Option<Head>) -> Body {
    let (version, configuration) = ("0.1.0".to_owned(), Digest::of(b"configuration"));
    Body::Started(Started {
        version,
        configuration,
        predecessor,
    })
}

/// One body of each kind, by number.
fn body(number: u8, head: Head) -> Body {
    let cause = || Cause::new(Reason::UnknownSetting, format!("`setting-{number}`"));
    match number % 8 {
        0 => Body::Considered(Box::new(considered())),
        1 => {
            let (subject, application) = ("shop".to_owned(), Some("argocd/shop".to_owned()));
            Body::Notice(Notice {
                cause: cause(),
                subject,
                application,
            })
        }
        2 => Body::Intent(Box::new(intent(number.into()))),
        3 => Body::Outcome(Outcome {
            intent: IntentId::from_random(number.into()),
            result: PushResult::Moved,
            cause: Some(cause()),
            commit: None,
        }),
        4 => Body::Outcome(Outcome {
            intent: IntentId::from_random(number.into()),
            result: PushResult::Landed,
            cause: None,
            commit: Some("2".repeat(40)),
        }),
        5 => Body::Cycle(Cycle {
            applications: number.into(),
            ..Cycle::default()
        }),
        6 => Body::Checkpoint(Checkpoint {
            head,
            open_intents: Vec::new(),
        }),
        _ => Body::Stopped(Stopped::default()),
    }
}

/// A journal: `numbers` give the bodies, and a number above 250 begins another process.
fn journal(numbers: &[u8]) -> (Vec<u8>, Vec<Head>) {
    let (mut bytes, mut heads) = (Vec::new(), Vec::new());
    let mut chain = Chain::begin(ChainId::new(None, [7, 0]), None);
    let mut head = chain.append(&mut bytes, TIME, &started(None)).unwrap();
    heads.push(head);
    for (index, &number) in numbers.iter().enumerate() {
        let mut next = body(number, head);
        if number > 250 {
            let id = ChainId::new(Some(&head), [99, index as u64 + 1]);
            chain = Chain::begin(id, Some(&head));
            next = started(Some(head));
        }
        head = chain.append(&mut bytes, TIME, &next).unwrap();
        heads.push(head);
    }
    (bytes, heads)
}

fn verify(bytes: &[u8], anchors: &[Head]) -> Report {
    let anchor = |&head: &Head| Anchor {
        head,
        origin: "commit `c0ffee`".to_owned(),
    };
    let mut verifier = Verifier::new(anchors.iter().map(anchor));
    for (index, line) in bytes.split_inclusive(|&byte| byte == b'\n').enumerate() {
        let place = Place {
            segment: 1,
            line: index as u64 + 1,
        };
        let content = line.strip_suffix(b"\n");
        verifier.line(place, content.is_some(), content.unwrap_or(line));
    }
    verifier.finish()
}

fn lines(bytes: &[u8]) -> Vec<Vec<u8>> {
    bytes
        .split_inclusive(|&byte| byte == b'\n')
        .map(<[u8]>::to_vec)
        .collect()
}

fn numbers() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(any::<u8>(), 2..30)
}

#[test]
fn a_line_has_this_form() {
    let (bytes, _) = journal(&[0, 1, 2, 3, 5]);
    insta::assert_snapshot!(String::from_utf8(bytes).unwrap());
}

#[test]
fn every_kind_reads_back_as_it_was_written() {
    let head = journal(&[]).1[0];
    let mut chain = Chain::begin(head.chain, Some(&head));
    for number in 0..8 {
        let (mut line, body) = (Vec::new(), body(number, head));
        let next = chain.append(&mut line, TIME, &body).unwrap();
        assert_eq!(line.pop(), Some(b'\n'));
        assert_eq!(RecordHash::of(&line), next.hash);
        let record = Record::from_line(&line).unwrap();
        assert_eq!(record.header.sequence, next.sequence);
        if number != 0 {
            assert_eq!(record.body, body);
        }
    }
}

#[test]
fn kinds_fields_words_and_reasons_of_a_newer_version_are_tolerated() {
    let head = format!(
        r#""sequence":1,"chain":"{}","previous":"{}","time":"2027-01-15T08:00:00.007Z","x":[1]"#,
        ChainId::new(None, [7, 0]),
        RecordHash::NONE
    );
    let unknown = Record::from_line(format!(r#"{{{head},"kind":"sealed","y":{{}}}}"#).as_bytes());
    assert_eq!(unknown.unwrap().body, Body::Unknown);
    let body = r#""kind":"outcome","intent":"i-0000000000000001","result":"queued","z":1"#;
    let outcome = format!(r#"{{{head},{body},"reason":"merge-train"}}"#);
    let Body::Outcome(outcome) = Record::from_line(outcome.as_bytes()).unwrap().body else {
        panic!("not an outcome")
    };
    assert_eq!(outcome.result, PushResult::Unknown);
    let cause = outcome.cause.unwrap();
    assert_eq!(
        (cause.reason.id(), cause.reason.known()),
        ("merge-train", None)
    );
    // What every version has is still required.
    assert!(Record::from_line(br#"{"kind":"sealed"}"#).is_err());
}

#[test]
fn secrets_in_urls_do_not_reach_a_record_and_control_characters_are_escaped() {
    let mut considered = considered();
    considered.reasons = vec![Cause::new(Reason::Ignored, "tag \u{1b}[2J\n")];
    let mut line = Vec::new();
    let mut chain = Chain::begin(ChainId::new(None, [1, 2]), None);
    chain
        .append(&mut line, TIME, &Body::Considered(Box::new(considered)))
        .unwrap();
    chain
        .append(&mut line, TIME, &Body::Intent(Box::new(intent(1))))
        .unwrap();
    let text = String::from_utf8(line).unwrap();
    assert!(text.contains("https://git.example/shop.git\""), "{text}");
    assert!(!text.contains("u:p") && !text.contains("token"), "{text}");
    assert!(
        text.lines().all(|line| !line.chars().any(char::is_control)),
        "{text}"
    );
}

#[test]
fn reasons_and_details_are_cut_to_their_bounds_and_the_rest_is_counted() {
    let mut considered = considered();
    let long = "ä".repeat(limits::EVENT_TEXT_BYTES_MAX);
    considered.set_reasons((0..60).map(|_| Cause::new(Reason::Ignored, long.clone())));
    assert_eq!(considered.reasons.len(), limits::EVENT_REASONS_MAX);
    assert_eq!(
        considered.reasons_omitted,
        60 - limits::EVENT_REASONS_MAX as u64
    );
    let detail = &considered.reasons[0].detail;
    assert!(detail.len() <= limits::EVENT_TEXT_BYTES_MAX && detail.ends_with('…'));
}

#[test]
fn a_trailer_reads_back_and_anything_else_is_refused() {
    let head = journal(&[1]).1[1];
    assert_eq!(trailer_head(&trailer(&head)), Ok(head));
    assert_eq!(trailer_head(&head.to_string()), Ok(head));
    let text = head.to_string();
    for damaged in [
        "",
        "Sealift-Journal: ",
        "Signed-off-by: A <a@b>",
        &text[1..],
        &text.replace("/2:", "/+2:"),
        &text.replace("/2:", "/0:"),
        &text.to_uppercase(),
        &format!("{text}0"),
    ] {
        assert!(trailer_head(damaged).is_err(), "{damaged}");
    }
}

#[test]
fn the_schema_names_every_kind_that_is_written_and_no_other() {
    let text = schema().to_string();
    let head = journal(&[]).1[0];
    for kind in (0..8)
        .map(|number| body(number, head).kind())
        .chain(["started", "pruned"])
    {
        assert!(
            text.contains(&format!(r#""const":"{kind}""#)),
            "{kind} in {text}"
        );
    }
    assert!(!text.contains(r#""const":"unknown""#), "{text}");
}

#[test]
fn an_altered_record_is_named_exactly() {
    let (bytes, heads) = journal(&[0, 1, 1, 5, 5]);
    let text = String::from_utf8(bytes)
        .unwrap()
        .replacen("setting-1`", "setting-2`", 1);
    let report = verify(text.as_bytes(), &heads[5..]);
    let place = Place {
        segment: 1,
        line: 3,
    };
    assert_eq!(
        report.findings,
        [Finding::Altered {
            from: 3,
            to: 3,
            place
        }]
    );
    insta::assert_snapshot!(format!(
        "{}: {}",
        report.findings[0],
        report.findings[0].consequence()
    ));
}

#[test]
fn a_recomputed_chain_is_found_by_the_anchor_behind_the_change() {
    let (_, heads) = journal(&[0, 1, 2, 3, 4]);
    let (rewritten, _) = journal(&[0, 9, 2, 3, 4]);
    let held = verify(&rewritten, &heads[..2]);
    assert_eq!(
        (held.findings.len(), held.anchors_held, held.anchored_to),
        (0, 2, 2)
    );
    let report = verify(&rewritten, &[heads[1], heads[4]]);
    assert!(
        matches!(
            report.findings.as_slice(),
            [Finding::Rewritten {
                sequence: 5,
                held_to: 2,
                ..
            }]
        ),
        "{report:?}"
    );
}

#[test]
fn a_cut_end_is_found_by_an_anchor_behind_it_even_if_a_whole_process_is_gone() {
    let (bytes, heads) = journal(&[0, 1, 255, 3]);
    let cut = lines(&bytes)[..3].concat();
    assert_eq!(verify(&cut, &heads[..3]).findings, []);
    let report = verify(&cut, &[heads[4]]);
    assert!(
        matches!(
            report.findings.as_slice(),
            [Finding::EndCut {
                last: 3,
                anchored: 5,
                ..
            }]
        ),
        "{report:?}"
    );
}

#[test]
fn anchors_of_another_journal_are_counted_and_prove_nothing() {
    let (bytes, _) = journal(&[0, 1]);
    let mut foreign = journal(&[0, 1, 2, 3]).1[4];
    foreign.chain.journal += 1;
    let report = verify(&bytes, &[foreign]);
    assert_eq!((report.findings.len(), report.anchors_foreign), (0, 1));
}

#[test]
fn a_beginning_that_the_journal_deleted_itself_is_no_finding_and_any_other_is() {
    let (mut bytes, heads) = journal(&[0, 1, 5]);
    let mut chain = Chain::begin(heads[3].chain, Some(&heads[3]));
    let pruned = |sequence_last| {
        Body::Pruned(Pruned {
            segment: 1,
            sequence_last,
            bytes: 9,
        })
    };
    chain.append(&mut bytes, TIME, &pruned(2)).unwrap();
    let lines = lines(&bytes);
    assert_eq!(verify(&lines[2..].concat(), &[]).findings, []);
    let report = verify(&lines[3..].concat(), &[]);
    assert!(
        matches!(
            report.findings.as_slice(),
            [Finding::BeginningCut {
                first: 4,
                pruned_to: 2,
                ..
            }]
        ),
        "{report:?}"
    );
}

#[test]
fn a_torn_last_line_is_no_finding() {
    let (bytes, heads) = journal(&[0, 1]);
    let report = verify(&bytes[..bytes.len() - 1], &heads[..2]);
    assert_eq!(report.findings, []);
    assert_eq!(
        report.torn,
        Some(Place {
            segment: 1,
            line: 3
        })
    );
}

#[test]
fn every_altered_byte_of_a_small_journal_is_found() {
    // 255 begins the chain of another process.
    for numbers in [[0, 255], [255, 255], [255, 6]] {
        let (bytes, heads) = journal(&numbers);
        for at in 0..bytes.len() {
            for flip in [1, 5, 0x20, 0x80] {
                let mut altered = bytes.clone();
                altered[at] ^= flip;
                let report = verify(&altered, &heads[heads.len() - 1..]);
                assert!(
                    !report.findings.is_empty(),
                    "{numbers:?}: byte {at} ^ {flip}"
                );
            }
        }
    }
}

proptest! {
    #[test]
    fn what_was_written_verifies_against_every_anchor(numbers in numbers()) {
        let (bytes, heads) = journal(&numbers);
        let report = verify(&bytes, &heads);
        prop_assert_eq!(report.findings, vec![]);
        prop_assert_eq!(report.anchors_held, heads.len() as u64);
        prop_assert_eq!(report.last, heads.last().copied());
    }

    #[test]
    fn any_altered_byte_is_found(
        numbers in numbers(), at in any::<prop::sample::Index>(), flip in 1..=255_u8,
    ) {
        let (mut bytes, heads) = journal(&numbers);
        let at = at.index(bytes.len());
        bytes[at] ^= flip;
        let report = verify(&bytes, &heads[heads.len() - 1..]);
        prop_assert!(!report.findings.is_empty());
    }

    #[test]
    fn any_removed_record_is_found(
        numbers in numbers(), from in any::<prop::sample::Index>(), count in 1..5_usize,
    ) {
        let (bytes, heads) = journal(&numbers);
        let mut lines = lines(&bytes);
        let from = from.index(lines.len());
        let to = lines.len().min(from + count);
        lines.drain(from..to);
        let report = verify(&lines.concat(), &heads[heads.len() - 1..]);
        if !lines.is_empty() {
            prop_assert!(!report.findings.is_empty());
        }
    }

    #[test]
    fn two_exchanged_records_are_found(
        numbers in numbers(), a in any::<prop::sample::Index>(), b in any::<prop::sample::Index>(),
    ) {
        let (bytes, heads) = journal(&numbers);
        let mut lines = lines(&bytes);
        let (a, b) = (a.index(lines.len()), b.index(lines.len()));
        lines.swap(a, b);
        let report = verify(&lines.concat(), &heads[heads.len() - 1..]);
        prop_assert_eq!(report.findings.is_empty(), a == b);
    }

    #[test]
    fn any_cut_is_found(numbers in numbers(), at in any::<prop::sample::Index>()) {
        let (bytes, heads) = journal(&numbers);
        let cut = &bytes[..at.index(bytes.len())];
        let report = verify(cut, &heads[heads.len() - 1..]);
        let nothing_left = report.records == 0;
        prop_assert!(nothing_left || !report.findings.is_empty());
    }

    #[test]
    fn any_bytes_are_checked_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..2000)) {
        let _ = verify(&bytes, &[]);
        let _ = Record::from_line(&bytes);
        let _ = trailer_head(&String::from_utf8_lossy(&bytes));
    }
}
