//! Single faults: each form of evidence is admitted as it is, and refused for the right reason once
//! exactly one thing in it is another.
//!
//! The evidence is made by `testkit`'s own Sigstore. A fault is made before anything is signed where it
//! would otherwise break a signature first, and after it where an attacker without keys would make it.
#![allow(
    clippy::unwrap_used,
    reason = "a test fails where what it judges cannot be made"
)]

mod formats;
mod world;

use formats::{Files, Format};
use sealift_testkit::signer::Sigstore;

#[test]
fn evidence_without_a_fault_is_admitted() {
    let sigstore = Sigstore::new("acme");
    for format in formats::all() {
        let form = format.draft(&sigstore).form();
        let refused = world::judged(
            &form,
            &format.authority,
            &files(&sigstore, &format),
            format.attests,
        );
        assert_eq!(refused, None, "{}", format.name);
    }
}

fn files(sigstore: &Sigstore, format: &Format) -> Files {
    Files {
        root: sigstore.trusted_root(),
        key: format.key.pem(),
    }
}
