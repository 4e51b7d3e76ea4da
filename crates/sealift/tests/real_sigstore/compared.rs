//! Both judges on one image, and the list of what Sealift refuses though `cosign verify` accepts
//! it.

use std::collections::BTreeSet;

use sealift_testkit::sigstore::Said;

use crate::demand::Demand;
use crate::shop::Shop;

/// Every difference. cosign never refuses what Sealift accepts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Stricter {
    /// `cosign verify` takes a bundle of any predicate type for a signature. A statement that a
    /// scan ran, or that a build went wrong, would be a release.
    AnAttestationIsNoSignature,
    /// A log's promise is a signature of the log alone and no proof that it holds the entry: who
    /// has its key can promise anything unseen. Policies accept it with `transparency: promise`.
    APromiseIsNoProof,
    /// `ref: { tag: sameAsImage }` ties the name to the release that was built. cosign sees a
    /// digest; an old, vulnerable release under a new name passes there.
    AnotherReleaseUnderThisName,
    /// `minTimestamps: 1` is a demand. On the older form `--use-signed-timestamps` is a permission:
    /// cosign looks at one that is there and does not miss one that is not.
    AWantedTimestampIsMissed,
}

impl Stricter {
    fn reason(self) -> &'static str {
        match self {
            Self::AnAttestationIsNoSignature => "signature-missing",
            Self::APromiseIsNoProof => "log-proof-missing",
            Self::AnotherReleaseUnderThisName => "identity-mismatch",
            Self::AWantedTimestampIsMissed => "timestamps-too-few",
        }
    }
}

/// Sealift's reasons, and the words of cosign 3.1.3 that mean the same: a refusal counts as agreed
/// only with some of them, so that a registry that is down agrees with nobody. Bundles first, then
/// the older form.
const WORDS: &[(&str, &[&str])] = &[
    ("signature-missing", &["no signatures found"]),
    (
        "attestation-missing",
        &["none of the attestations matched the predicate type"],
    ),
    (
        "predicate-mismatch",
        &["none of the attestations matched the predicate type"],
    ),
    (
        "key-mismatch",
        &[
            "accepted signatures do not match threshold",
            "expected key signature, not certificate",
            // The entry is made anew from the key that is asked for.
            "verifying inclusion: calculated root",
            "invalid signature when validating",
        ],
    ),
    (
        "identity-mismatch",
        &[
            "expected SAN value",
            "none of the expected identities matched",
        ],
    ),
    (
        "issuer-mismatch",
        &[
            "expected issuer value",
            "expected SAN value",
            "none of the expected identities matched",
        ],
    ),
    (
        "sct-missing",
        &[
            "failed to verify signed certificate timestamp",
            "does not include required embedded SCT",
        ],
    ),
    (
        "logs-too-few",
        &[
            "not enough verified log entries",
            "offline verification failed",
        ],
    ),
    (
        "log-unknown",
        &[
            "not enough verified log entries",
            "rekor log public key not found",
        ],
    ),
    (
        "timestamps-too-few",
        &["threshold not met for verified signed timestamps"],
    ),
    (
        "timestamp-invalid",
        &[
            "not enough verified log entries",
            "error while verifying signature: pkcs7",
            "expected at least one verified timestamp",
        ],
    ),
];

#[derive(Debug, Clone, Copy)]
enum Expected {
    Accepted,
    Refused(&'static str),
    Stricter(Stricter),
}

/// A tag and the digest that it names.
pub(crate) type Image<'a> = (&'a str, &'a str);

/// One test's rows about images of one shop.
pub(crate) struct Comparison<'a> {
    shop: &'a Shop<'a>,
    tally: &'a mut Tally,
}

/// What came of the rows so far.
#[derive(Default)]
pub(crate) struct Tally {
    rows: usize,
    problems: Vec<String>,
    seen: BTreeSet<Stricter>,
}

impl<'a> Comparison<'a> {
    pub(crate) fn new(shop: &'a Shop<'a>, tally: &'a mut Tally) -> Self {
        Self { shop, tally }
    }

    /// Both accept.
    pub(crate) fn accepts(&mut self, what: &str, image: Image<'_>, demand: &Demand) {
        self.row(what, image, demand, Expected::Accepted);
    }

    /// Both refuse, Sealift for this reason.
    pub(crate) fn refuses(
        &mut self,
        what: &str,
        image: Image<'_>,
        demand: &Demand,
        reason: &'static str,
    ) {
        self.row(what, image, demand, Expected::Refused(reason));
    }

    /// cosign accepts, and Sealift does not.
    pub(crate) fn differs(&mut self, what: &str, image: Image<'_>, demand: &Demand, why: Stricter) {
        self.row(what, image, demand, Expected::Stricter(why));
    }

    fn row(&mut self, what: &str, image: Image<'_>, demand: &Demand, expected: Expected) {
        let (tag, digest) = image;
        let (code, document) = self.shop.verify(demand, &format!(":{tag}"));
        assert_eq!(
            document["digest"], digest,
            "{what}: `{tag}` names another image"
        );
        let reason = document["reason"].as_str();
        let trusted = document["verdict"] == "trusted";
        let ended = if trusted { 0 } else { 20 };
        assert_eq!(
            (code, reason.is_none()),
            (ended, trusted),
            "{what}: {document:#}"
        );
        let said = self.shop.cosign_verify(demand, digest);
        self.tally.rows += 1;
        if let Some(problem) = problem(expected, reason, &said) {
            let Said {
                command, stderr, ..
            } = &said;
            let reasons = &document["reasons"];
            self.tally.problems.push(format!(
                "{what}: {expected:?} is wanted; {problem}\n  {reasons}\n  {command}\n  {stderr}"
            ));
        }
        if let Expected::Stricter(one) = expected {
            self.tally.seen.insert(one);
        }
    }
}

impl Tally {
    /// Asserts that every row was as expected, and that the differences are exactly these.
    pub(crate) fn close(self, differences: &[Stricter]) {
        println!("{} comparisons with cosign", self.rows);
        let count = self.problems.len();
        assert!(count == 0, "{count} rows:\n{}", self.problems.join("\n"));
        assert_eq!(self.seen, differences.iter().copied().collect());
    }
}

fn problem(expected: Expected, reason: Option<&str>, said: &Said) -> Option<String> {
    let wanted = match expected {
        Expected::Accepted => None,
        Expected::Refused(reason) => Some(reason),
        Expected::Stricter(difference) => Some(difference.reason()),
    };
    if reason != wanted {
        return Some(format!("Sealift said {reason:?}"));
    }
    match expected {
        Expected::Refused(_) if said.succeeded => Some("cosign accepted".to_owned()),
        Expected::Refused(reason) => {
            let known = WORDS.iter().find(|(one, _)| *one == reason);
            let words = known.map(|(_, words)| *words).unwrap_or_default();
            let agreed = words.iter().any(|words| said.stderr.contains(words));
            (!agreed).then(|| "cosign refused for another reason".to_owned())
        }
        Expected::Accepted | Expected::Stricter(_) => {
            (!said.succeeded).then(|| "cosign refused".to_owned())
        }
    }
}
