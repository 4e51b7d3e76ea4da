//! Single faults: each form of evidence is admitted as it is, and refused for the right reason once
//! exactly one thing in it is another.
//!
//! The evidence is made by `testkit`'s own Sigstore. A fault is made before anything is signed
//! where it would otherwise break a signature first, and after it where an attacker without keys
//! would make it.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test fails where what it judges cannot be made, and says how much it judged"
)]
#![allow(
    clippy::too_many_lines,
    reason = "a table has as many lines as it has rows"
)]

mod certificate;
mod content;
mod fault;
mod formats;
mod legacy;
mod log;
mod reading;
mod stamp;
mod width;
mod world;

use std::collections::BTreeSet;

use fault::{Fault, files};
use sealift_testkit::signer::Sigstore;

/// What issue and documents promise.
const CASES_MIN: usize = 100;

fn faults() -> Vec<Fault> {
    let groups = [
        reading::faults(),
        content::faults(),
        certificate::faults(),
        log::faults(),
        stamp::faults(),
        legacy::faults(),
    ];
    groups.into_iter().flatten().collect()
}

#[test]
fn one_fault_in_evidence_that_is_admitted_refuses_it_for_its_reason() {
    let sigstore = Sigstore::new("acme");
    let (formats, faults) = (formats::all(), faults());
    let mut problems = Vec::new();
    let mut cases = 0;
    for format in &formats {
        let form = format.draft(&sigstore).form();
        let files = files(&sigstore, format);
        let refused = world::judged(&form, &format.authority, &files, format.attests);
        assert_eq!(refused, None, "{} without a fault", format.name);
        for fault in faults.iter().filter(|fault| fault.applies(format)) {
            cases += 1;
            problems.extend(fault.problem(format, &sigstore));
        }
    }
    println!(
        "{cases} single faults in {} forms, {} of them judged wrongly",
        formats.len(),
        problems.len()
    );
    assert!(problems.is_empty(), "\n{}", problems.join("\n"));
    assert!(cases >= CASES_MIN, "{cases}");
}

#[test]
fn every_row_of_the_table_is_used_and_named_once() {
    let (formats, faults) = (formats::all(), faults());
    let mut names = BTreeSet::new();
    for fault in &faults {
        assert!(names.insert(fault.name), "{} is there twice", fault.name);
        let used = formats.iter().any(|format| fault.applies(format));
        assert!(used, "{} is used by no form", fault.name);
        for named in fault.speaks_of() {
            let known = formats
                .iter()
                .any(|one| one.name == named && one.parts.contains(&fault.part));
            assert!(known, "{}: there is no form `{named}`", fault.name);
        }
    }
}
