//! Faults in RFC 3161 timestamps, and in what the root says of those who make them.

use jiff::SignedDuration;
use sealift_core::reason::Reason;
use sealift_testkit::signer::edit::{flip_last, graft, trail, without};
use sealift_testkit::signer::{Sigstore, signed_at};
use serde_json::json;

use crate::fault::Fault;
use crate::formats::Part::{BundleStamp, Stamp};

const TOKEN: &str =
    "/verificationMaterial/timestampVerificationData/rfc3161Timestamps/0/signedTimestamp";
/// Keyed: no certificate's validity that a time could lie outside of.
const KEYED: &[&str] = &["bundle v0.3, key, Rekor v2"];

pub(crate) fn faults() -> Vec<Fault> {
    let mut faults = tokens();
    faults.extend(bytes());
    faults.extend(roots());
    faults
}

fn tokens() -> Vec<Fault> {
    use Reason::TimestampInvalid;
    vec![
        Fault::made(
            Stamp,
            "timestamp over other bytes",
            TimestampInvalid,
            |draft| draft.stamp(|stamp| stamp.over = Some(b"other bytes".to_vec())),
        ),
        Fault::made(
            Stamp,
            "time in the token altered",
            TimestampInvalid,
            |draft| draft.stamp(|stamp| stamp.altered = true),
        ),
        Fault::made(
            Stamp,
            "token by another certificate of the authority",
            TimestampInvalid,
            |draft| draft.stamp(|stamp| stamp.other_usage = true),
        ),
        Fault::made(Stamp, "token that was refused", TimestampInvalid, |draft| {
            draft.stamp(|stamp| stamp.status = 2)
        }),
        Fault::made(
            Stamp,
            "bytes in the answer behind the token",
            TimestampInvalid,
            |draft| draft.stamp(|stamp| stamp.trailing = vec![0]),
        ),
        Fault::made(
            Stamp,
            "unknown timestamp authority",
            TimestampInvalid,
            |draft| draft.timestamps(0).timestamp_number(2),
        ),
        Fault::made(
            Stamp,
            "unknown authority that brings its certificate",
            TimestampInvalid,
            |draft| {
                draft
                    .timestamps(0)
                    .timestamp_number(2)
                    .stamp(|stamp| stamp.embed = true)
            },
        ),
        Fault::made(
            Stamp,
            "stamped before the authority's certificate",
            TimestampInvalid,
            |draft| draft.stamp(|stamp| stamp.at = jiff::Timestamp::UNIX_EPOCH),
        ),
        Fault::made(
            Stamp,
            "stamped after the certificate ended",
            Reason::CertificateExpired,
            |draft| draft.stamp(|stamp| stamp.at = signed_at() + SignedDuration::from_mins(11)),
        )
        .not_in(KEYED),
        Fault::made(
            Stamp,
            "stamped before the certificate began",
            Reason::CertificateExpired,
            |draft| draft.stamp(|stamp| stamp.at = signed_at() - SignedDuration::from_secs(1)),
        )
        .not_in(KEYED),
        Fault::made(
            Stamp,
            "stamped in the future",
            Reason::CertificateExpired,
            |draft| {
                draft.stamp(|stamp| stamp.at = crate::world::now() + SignedDuration::from_secs(1))
            },
        )
        .but(Reason::TimeInFuture, KEYED),
        Fault::made(Stamp, "no timestamp", Reason::TimeUnproven, |draft| {
            draft.timestamps(0)
        })
        .but(Reason::TimestampsTooFew, KEYED),
    ]
}

fn bytes() -> Vec<Fault> {
    use Reason::TimestampInvalid;
    vec![
        Fault::found(
            BundleStamp,
            "token's signature altered",
            TimestampInvalid,
            |form| flip_last(form, TOKEN, 4),
        ),
        Fault::found(
            BundleStamp,
            "bytes behind the token",
            TimestampInvalid,
            |form| trail(form, TOKEN),
        ),
        Fault::mixed(
            BundleStamp,
            "timestamp of another signature",
            TimestampInvalid,
            |form, other| graft(form, other, TOKEN),
        ),
        Fault::found(
            BundleStamp,
            "timestamp taken away",
            Reason::TimeUnproven,
            |form| without(form, "/verificationMaterial/timestampVerificationData"),
        )
        .but(Reason::TimestampsTooFew, KEYED),
    ]
}

fn roots() -> Vec<Fault> {
    use Reason::TimestampInvalid;
    vec![
        Fault::root(
            Stamp,
            "timestamp authorities of another Sigstore",
            TimestampInvalid,
            |root| {
                let other = Sigstore::new("other").trusted_root();
                root["timestampAuthorities"] = other["timestampAuthorities"].clone();
            },
        ),
        Fault::root(Stamp, "no timestamp authority", TimestampInvalid, |root| {
            root["timestampAuthorities"] = json!([]);
        }),
        Fault::root(
            Stamp,
            "timestamp authority ended before",
            TimestampInvalid,
            |root| {
                root["timestampAuthorities"][0]["validFor"]["end"] = json!("2025-06-01T11:59:59Z");
            },
        ),
        Fault::root(
            Stamp,
            "timestamp authority begins after",
            TimestampInvalid,
            |root| {
                root["timestampAuthorities"][0]["validFor"]["start"] =
                    json!("2025-06-01T12:00:01Z");
            },
        ),
        Fault::root(
            Stamp,
            "leaf of one authority over the root of another",
            TimestampInvalid,
            |root| {
                let other = root["timestampAuthorities"][1]["certChain"]["certificates"][1].clone();
                root["timestampAuthorities"][0]["certChain"]["certificates"][1] = other;
            },
        ),
    ]
}
