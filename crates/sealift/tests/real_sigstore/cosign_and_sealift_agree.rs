//! `cosign verify` and `sealift verify` on what was signed a moment ago.

use sealift_testkit::signed;
use sealift_testkit::sigstore::{EMAIL_ISSUER, Services, Sigstore, Workflow};
use serde_json::json;

use crate::compared::{Comparison, Stricter, Tally};
use crate::demand::{Demand, Who};
use crate::lifted::{attest, attest_legacy, release};
use crate::shop::Shop;

pub(crate) fn on_keys(sigstore: &Sigstore) {
    let (ours, theirs) = (sigstore.key_pair("a-key"), sigstore.key_pair("b-key"));
    let shop = Shop::new(sigstore);
    let bare = Demand::key(ours, sigstore.trusted_root());
    let (logged, stamped) = (bare.clone().logged(), bare.clone().stamped());
    let full = logged.clone().stamped();
    let other = Demand::key(theirs, sigstore.trusted_root());
    let mut tally = Tally::default();
    let mut both = Comparison::new(&shop, &mut tally);

    let image = shop.push("1.0.1");
    both.refuses("unsigned", ("1.0.1", &image), &bare, "signature-missing");

    let image = shop.keyed("1.1.0", "a-key", Services::Nothing);
    let at = ("1.1.0", image.as_str());
    both.accepts("bare", at, &bare);
    both.refuses("a log wanted", at, &logged, "logs-too-few");
    both.refuses("a time wanted", at, &stamped, "timestamps-too-few");
    both.refuses("another key wanted", at, &other, "key-mismatch");
    shop.cosign3("sign", Services::Nothing, &["--key=b-key.key"], &image);
    both.accepts("a stranger's beside it", at, &bare);
    both.accepts("the stranger wanted", at, &other);

    let image = shop.keyed("1.2.0", "a-key", Services::Log);
    let at = ("1.2.0", image.as_str());
    both.accepts("logged, no log wanted", at, &bare);
    both.accepts("logged", at, &logged);
    both.refuses("logged, a time wanted", at, &full, "timestamps-too-few");
    both.refuses("logged, another key", at, &other.logged(), "key-mismatch");
    let foreign = with_foreign_root(&logged);
    both.refuses("logged, another root", at, &foreign, "log-unknown");

    let image = shop.keyed("1.3.0", "a-key", Services::LogAndTime);
    let at = ("1.3.0", image.as_str());
    both.accepts("full, nothing wanted", at, &bare);
    both.accepts("full", at, &full);
    let moved = shop.push_another("1.3.0", "somebody else's");
    both.refuses(
        "a tag that moved",
        ("1.3.0", &moved),
        &bare,
        "signature-missing",
    );

    let image = shop.legacy("1.4.0", &["--key=a-key.key", "--new-bundle-format"]);
    both.accepts("a bundle by cosign 2", ("1.4.0", &image), &bare);
    tally.close(&[]);
}

pub(crate) fn on_workflows(sigstore: &Sigstore) {
    let shop = Shop::new(sigstore);
    let workflow = release("1.1.0");
    let right = Demand::workflow(&workflow, sigstore.trusted_root());
    let by = |workflow: &Workflow| Demand::workflow(workflow, sigstore.trusted_root());
    let mut tally = Tally::default();
    let mut both = Comparison::new(&shop, &mut tally);

    let image = shop.keyless("1.1.0", &workflow, Services::LogAndTime);
    let at = ("1.1.0", image.as_str());
    both.accepts("a workflow", at, &right);
    both.refuses(
        "another tag",
        at,
        &by(&release("1.1.1")),
        "identity-mismatch",
    );
    let other_file = Workflow {
        file: "test.yml".to_owned(),
        ..workflow.clone()
    };
    both.refuses("another file", at, &by(&other_file), "identity-mismatch");
    let fork = Workflow::release("mallory/shop", "refs/tags/1.1.0");
    both.refuses("another repository", at, &by(&fork), "identity-mismatch");
    let who = Who::Holder(EMAIL_ISSUER.to_owned(), workflow.subject());
    let issuer = Demand {
        who,
        ..right.clone()
    };
    both.refuses("another issuer", at, &issuer, "issuer-mismatch");
    let no_sct = Demand {
        sct: false,
        ..right.clone()
    };
    both.accepts("no SCT wanted", at, &no_sct);
    both.refuses(
        "another root",
        at,
        &with_foreign_root(&right),
        "timestamp-invalid",
    );
    let key = Demand::key(sigstore.key_pair("c-key"), sigstore.trusted_root());
    both.refuses("a key wanted", at, &key, "key-mismatch");
    let provenance = right.clone().attested("slsaprovenance1");
    both.refuses(
        "an attestation wanted",
        at,
        &provenance,
        "attestation-missing",
    );

    let image = shop.keyless("1.2.0", &workflow, Services::Time);
    let unlogged = Demand {
        log: false,
        ..right.clone()
    };
    both.accepts("no log", ("1.2.0", &image), &unlogged);
    both.refuses(
        "no log, one wanted",
        ("1.2.0", &image),
        &right,
        "logs-too-few",
    );
    tally.close(&[]);
}

pub(crate) fn on_names(sigstore: &Sigstore) {
    let shop = Shop::new(sigstore);
    let workflow = release("1.1.0");
    let right = Demand::workflow(&workflow, sigstore.trusted_root());
    let mut tally = Tally::default();
    let mut both = Comparison::new(&shop, &mut tally);
    let image = shop.keyless("1.1.0", &workflow, Services::LogAndTime);
    let at = ("1.1.0", image.as_str());
    let same = json!({
        "repository": "acme/shop", "workflow": "release.yml", "ref": { "tag": "sameAsImage" },
    });
    let same = Demand {
        github: Some(same),
        ..right.clone()
    };
    both.accepts("under its own name", at, &same);
    shop.retag("1.2.0", "1.1.0");
    let newer = ("1.2.0", image.as_str());
    both.accepts("under a newer name", newer, &right);
    let why = Stricter::AnotherReleaseUnderThisName;
    both.differs(
        "under a newer name, which the Git tag must have",
        newer,
        &same,
        why,
    );
    tally.close(&[Stricter::AnotherReleaseUnderThisName]);
}

pub(crate) fn on_people_and_attestations(sigstore: &Sigstore) {
    let shop = Shop::new(sigstore);
    let workflow = release("1.1.0");
    let right = Demand::workflow(&workflow, sigstore.trusted_root());
    let mut tally = Tally::default();
    let mut both = Comparison::new(&shop, &mut tally);

    let image = shop.push("1.1.0");
    let at = ("1.1.0", image.as_str());
    let token = sigstore.email_token("jo@acme.test").display().to_string();
    shop.cosign3(
        "sign",
        Services::LogAndTime,
        &["--identity-token", &token],
        &image,
    );
    let who = Who::Holder(EMAIL_ISSUER.to_owned(), "jo@acme.test".to_owned());
    both.accepts(
        "a person",
        at,
        &Demand {
            who,
            ..right.clone()
        },
    );
    both.refuses("a person for a workflow", at, &right, "issuer-mismatch");

    let image = shop.push("1.2.0");
    attest(&shop, &workflow, &image);
    let at = ("1.2.0", image.as_str());
    both.accepts(
        "attestation",
        at,
        &right.clone().attested("slsaprovenance1"),
    );
    let other = right.clone().attested("spdxjson");
    both.refuses("of another type", at, &other, "predicate-mismatch");
    let other = Demand::workflow(&release("1.1.1"), sigstore.trusted_root());
    both.refuses(
        "of another tag",
        at,
        &other.attested("slsaprovenance1"),
        "identity-mismatch",
    );
    both.differs(
        "is no signature",
        at,
        &right,
        Stricter::AnAttestationIsNoSignature,
    );
    tally.close(&[Stricter::AnAttestationIsNoSignature]);
}

pub(crate) fn on_the_older_form(sigstore: &Sigstore) {
    let (ours, theirs) = (sigstore.key_pair("d-key"), sigstore.key_pair("e-key"));
    let shop = Shop::new(sigstore);
    let bare = Demand::key(ours, sigstore.trusted_root());
    let other = Demand::key(theirs, sigstore.trusted_root());
    let mut tally = Tally::default();
    let mut both = Comparison::new(&shop, &mut tally);

    let image = shop.legacy("1.1.0", &["--key=d-key.key"]);
    let at = ("1.1.0", image.as_str());
    both.accepts("by a key", at, &bare);
    both.refuses("a log wanted", at, &bare.clone().logged(), "logs-too-few");
    let why = Stricter::AWantedTimestampIsMissed;
    both.differs("a time wanted", at, &bare.clone().stamped(), why);
    both.refuses("another key", at, &other, "key-mismatch");
    let image = shop.push("1.2.0");
    shop.older_form_by_cosign3("d-key", &image);
    both.accepts("by cosign 3", ("1.2.0", &image), &bare);

    let image = shop.push("1.3.0");
    attest_legacy(&shop, "d-key", &image);
    let at = ("1.3.0", image.as_str());
    let of_type = |kind: &str| bare.clone().attested(kind);
    both.accepts("attestation", at, &of_type("slsaprovenance1"));
    both.refuses(
        "of another key",
        at,
        &other.attested("slsaprovenance1"),
        "key-mismatch",
    );
    both.refuses(
        "of another type",
        at,
        &of_type("spdxjson"),
        "predicate-mismatch",
    );
    both.refuses("is no signature", at, &bare, "signature-missing");

    let workflow = release("1.4.0");
    let who = shop.legacy_workflow(&workflow);
    let who: Vec<&str> = who.iter().map(String::as_str).collect();
    let image = shop.legacy("1.4.0", &who);
    let at = ("1.4.0", image.as_str());
    let right = Demand::workflow(&workflow, sigstore.trusted_root());
    let unlogged = Demand {
        log: false,
        ..right.clone()
    };
    both.accepts("by a workflow", at, &unlogged);
    both.refuses("by a workflow, a log wanted", at, &right, "logs-too-few");
    let fork = Workflow::release("mallory/shop", "refs/tags/1.4.0");
    let other = Demand::workflow(&fork, sigstore.trusted_root());
    let other = Demand {
        log: false,
        ..other
    };
    both.refuses("by another repository", at, &other, "identity-mismatch");
    tally.close(&[Stricter::AWantedTimestampIsMissed]);
}

/// The demand of a verifier who trusts another private Sigstore.
fn with_foreign_root(demand: &Demand) -> Demand {
    let root = signed::folder().join("trust/trusted_root.json");
    Demand {
        root,
        ..demand.clone()
    }
}
