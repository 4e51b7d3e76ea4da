//! Faults in certificates: validity, issuer, usages, names, claims, SCTs, and what the root says of
//! those who issue them.

use jiff::SignedDuration;
use sealift_core::reason::Reason;
use sealift_testkit::signer::edit::{flip_last, graft, trail};
use sealift_testkit::signer::{Identity, KeyKind, Name, SERVER_AUTH, Sigstore, TIME_STAMPING};
use serde_json::json;

use crate::fault::Fault;
use crate::formats::Part::{Certificate, Leaf};
use crate::world::REPOSITORY;

const CERTIFICATE: &str = "/verificationMaterial/certificate/rawBytes";
const SECOND: SignedDuration = SignedDuration::from_secs(1);

pub(crate) fn faults() -> Vec<Fault> {
    let mut faults = validity_and_usage();
    faults.extend(extensions());
    faults.extend(names());
    faults.extend(claims());
    faults.extend(scts());
    faults.extend(bytes());
    faults.extend(roots());
    faults
}

fn validity_and_usage() -> Vec<Fault> {
    use Reason::{CertificateExpired, CertificateUntrusted};
    vec![
        Fault::made(
            Certificate,
            "certificate ended a second before",
            CertificateExpired,
            |draft| {
                draft.leaf(|leaf| {
                    leaf.not_after = leaf.not_before - SECOND;
                    leaf.not_before -= SECOND * 600;
                })
            },
        ),
        Fault::made(
            Certificate,
            "certificate begins a second after",
            CertificateExpired,
            |draft| draft.leaf(|leaf| leaf.not_before += SECOND),
        ),
        Fault::made(
            Certificate,
            "certificate for servers",
            CertificateUntrusted,
            |draft| draft.leaf(|leaf| leaf.usages = vec![SERVER_AUTH.to_owned()]),
        ),
        Fault::made(
            Certificate,
            "certificate for timestamps",
            CertificateUntrusted,
            |draft| draft.leaf(|leaf| leaf.usages = vec![TIME_STAMPING.to_owned()]),
        ),
        Fault::made(
            Certificate,
            "certificate without usages",
            CertificateUntrusted,
            |draft| draft.leaf(|leaf| leaf.usages.clear()),
        ),
        Fault::made(
            Certificate,
            "certificate that may issue others",
            CertificateUntrusted,
            |draft| draft.leaf(|leaf| leaf.is_authority = true),
        ),
        Fault::made(
            Certificate,
            "issuer's name with another key",
            CertificateUntrusted,
            |draft| draft.leaf(|leaf| leaf.forged = true),
        ),
    ]
}

fn extensions() -> Vec<Fault> {
    use Reason::{CertificateInvalid, CertificateUntrusted, IssuerMismatch};
    vec![
        Fault::made(
            Certificate,
            "issued by one who may sign and not issue",
            CertificateUntrusted,
            |draft| draft.under_a_leaf(),
        ),
        Fault::made(
            Certificate,
            "critical extension that nobody knows",
            CertificateInvalid,
            |draft| {
                draft.leaf(|leaf| {
                    leaf.extra = vec![("1.3.6.1.4.1.57264.9.9".to_owned(), true, vec![5, 0])]
                })
            },
        ),
        Fault::made(
            Certificate,
            "a second extension of names",
            CertificateInvalid,
            |draft| {
                draft.leaf(|leaf| {
                    // An e-mail address: `[1] IA5String`.
                    let names = b"\x30\x0f\x81\x0deve@acme.test".to_vec();
                    leaf.extra = vec![("2.5.29.17".to_owned(), false, names)];
                })
            },
        ),
        Fault::made(Certificate, "a second issuer", IssuerMismatch, |draft| {
            draft.leaf(|leaf| {
                let issuer = b"\x0c\x07evil.it".to_vec();
                leaf.extra = vec![("1.3.6.1.4.1.57264.1.8".to_owned(), false, issuer)];
            })
        }),
        Fault::made(
            Certificate,
            "a second claim of the runner",
            Reason::ClaimMismatch,
            |draft| {
                draft.leaf(|leaf| {
                    let runner = b"\x0c\x0bself-hosted".to_vec();
                    leaf.extra = vec![("1.3.6.1.4.1.57264.1.11".to_owned(), false, runner)];
                })
            },
        ),
        Fault::made(
            Certificate,
            "a second list of SCTs",
            CertificateInvalid,
            |draft| {
                draft.leaf(|leaf| {
                    let list = vec![4, 2, 0, 0];
                    leaf.extra = vec![("1.3.6.1.4.1.11129.2.4.2".to_owned(), false, list)];
                })
            },
        ),
    ]
}

fn names() -> Vec<Fault> {
    use Reason::{CertificateInvalid, IdentityMismatch};
    vec![
        Fault::made(Certificate, "another workflow", IdentityMismatch, |draft| {
            draft.identity(|one| {
                one.names = Identity::github(REPOSITORY, "other.yml", "refs/tags/v1.2.3").names;
            })
        }),
        Fault::made(
            Certificate,
            "another tag of the workflow",
            IdentityMismatch,
            |draft| {
                draft.identity(|one| {
                    one.names =
                        Identity::github(REPOSITORY, "release.yml", "refs/tags/v1.2.4").names;
                })
            },
        ),
        Fault::made(
            Certificate,
            "another repository's workflow",
            IdentityMismatch,
            |draft| {
                draft.identity(|one| {
                    one.names =
                        Identity::github("acme/shop2", "release.yml", "refs/tags/v1.2.3").names;
                })
            },
        ),
        Fault::made(
            Certificate,
            "the workflow and more",
            IdentityMismatch,
            |draft| {
                draft.identity(|one| {
                    let name = format!("{}x", one.name());
                    one.names = vec![Name::Uri(name)];
                })
            },
        ),
        Fault::made(Certificate, "a person", IdentityMismatch, |draft| {
            draft.identity(|one| one.names = vec![Name::Email("eve@acme.test".to_owned())])
        }),
        Fault::made(Certificate, "a user's name", IdentityMismatch, |draft| {
            draft.identity(|one| one.names = vec![Name::User("eve".to_owned())])
        }),
        Fault::made(Certificate, "a host's name", CertificateInvalid, |draft| {
            draft.identity(|one| one.names = vec![Name::Dns("acme.test".to_owned())])
        }),
        Fault::made(
            Certificate,
            "two names, the right one first",
            CertificateInvalid,
            |draft| draft.identity(|one| one.names.push(Name::Email("eve@acme.test".to_owned()))),
        ),
        Fault::made(
            Certificate,
            "two names, the right one last",
            CertificateInvalid,
            |draft| {
                draft.identity(|one| {
                    one.names.insert(0, Name::Email("eve@acme.test".to_owned()));
                })
            },
        ),
        Fault::made(Certificate, "no name", CertificateInvalid, |draft| {
            draft.identity(|one| one.names.clear())
        }),
    ]
}

fn claims() -> Vec<Fault> {
    use Reason::{CertificateInvalid, ClaimMismatch, IssuerMismatch};
    vec![
        Fault::made(Certificate, "another issuer", IssuerMismatch, |draft| {
            draft.identity(|one| one.claims.issuer = Some("https://issuer.test".to_owned()))
        }),
        Fault::made(
            Certificate,
            "the issuer with a slash",
            IssuerMismatch,
            |draft| {
                draft.identity(|one| {
                    let issuer = one.claims.issuer.clone().unwrap_or_default();
                    one.claims.issuer = Some(format!("{issuer}/"));
                })
            },
        ),
        Fault::made(Certificate, "no issuer", IssuerMismatch, |draft| {
            draft.identity(|one| {
                one.claims.issuer = None;
                one.claims.issuer_v1 = None;
            })
        }),
        Fault::made(
            Certificate,
            "issuer without its DER",
            CertificateInvalid,
            |draft| {
                draft.identity(|one| {
                    let issuer = one.claims.issuer.clone().unwrap_or_default();
                    one.raw.insert(8, Some(issuer.into_bytes()));
                })
            },
        ),
        Fault::made(
            Certificate,
            "bytes behind the issuer's DER",
            CertificateInvalid,
            |draft| {
                draft.identity(|one| {
                    let issuer = one.claims.issuer.clone().unwrap_or_default();
                    let mut der = vec![0x0c, u8::try_from(issuer.len()).unwrap()];
                    der.extend(issuer.into_bytes());
                    der.extend([5, 0]);
                    one.raw.insert(8, Some(der));
                })
            },
        ),
        Fault::made(
            Certificate,
            "another source repository",
            ClaimMismatch,
            |draft| {
                draft.identity(|one| {
                    let other = "https://github.com/acme/shop2".to_owned();
                    one.claims.source_repository_uri = Some(other);
                })
            },
        ),
        Fault::made(
            Certificate,
            "a source repository made anew",
            ClaimMismatch,
            |draft| {
                draft.identity(|one| {
                    one.claims.source_repository_identifier = Some("123456790".to_owned());
                })
            },
        ),
        Fault::made(Certificate, "a runner of its own", ClaimMismatch, |draft| {
            draft.identity(|one| one.claims.runner_environment = Some("self-hosted".to_owned()))
        }),
        Fault::made(
            Certificate,
            "no claim of the runner",
            ClaimMismatch,
            |draft| draft.identity(|one| one.claims.runner_environment = None),
        ),
        Fault::made(
            Certificate,
            "claim of the runner without its DER",
            ClaimMismatch,
            |draft| {
                draft.identity(|one| {
                    one.raw.insert(11, Some(b"github-hosted".to_vec()));
                })
            },
        ),
        Fault::made(
            Certificate,
            "an empty claim of the runner",
            ClaimMismatch,
            |draft| {
                draft.identity(|one| {
                    one.raw.insert(11, Some(Vec::new()));
                })
            },
        ),
    ]
}

fn scts() -> Vec<Fault> {
    use Reason::{SctInvalid, SctMissing};
    vec![
        Fault::made(Certificate, "no SCT", SctMissing, |draft| draft.sct(false)),
        Fault::made(Certificate, "SCT of an unknown log", SctInvalid, |draft| {
            draft.leaf(|leaf| leaf.logs = vec![2])
        }),
        Fault::made(
            Certificate,
            "SCT of another certificate",
            SctInvalid,
            |draft| draft.leaf(|leaf| leaf.sct_of_another = true),
        ),
        Fault::made(
            Certificate,
            "SCT from before its log began",
            SctInvalid,
            |draft| draft.leaf(|leaf| leaf.logged_at = jiff::Timestamp::UNIX_EPOCH),
        ),
        Fault::made(Certificate, "two SCTs", SctInvalid, |draft| draft.scts(2)),
        Fault::root(
            Certificate,
            "SCT's log gone from the root",
            SctInvalid,
            |root| {
                root["ctlogs"].as_array_mut().unwrap().remove(0);
            },
        ),
        Fault::root(
            Certificate,
            "SCT from after its log ended",
            SctInvalid,
            |root| {
                root["ctlogs"][0]["publicKey"]["validFor"]["end"] = json!("2025-01-01T00:00:00Z");
            },
        ),
        Fault::root(
            Certificate,
            "SCT's log under another log's id",
            SctInvalid,
            |root| {
                root["ctlogs"][0]["publicKey"]["rawBytes"] =
                    root["ctlogs"][1]["publicKey"]["rawBytes"].clone();
            },
        ),
    ]
}

fn bytes() -> Vec<Fault> {
    use Reason::{CertificateInvalid, CertificateUntrusted, SignatureInvalid};
    vec![
        Fault::found(
            Leaf,
            "certificate's signature altered",
            CertificateUntrusted,
            |form| flip_last(form, CERTIFICATE, 4),
        ),
        Fault::found(
            Leaf,
            "bytes behind the certificate",
            CertificateInvalid,
            |form| trail(form, CERTIFICATE),
        ),
        Fault::mixed(
            Leaf,
            "certificate of another signature",
            SignatureInvalid,
            |form, other| graft(form, other, CERTIFICATE),
        ),
        Fault::made(
            Certificate,
            "certificate logged with bytes behind it",
            CertificateInvalid,
            |draft| draft.leaf(|leaf| leaf.trailing = vec![0]),
        ),
        Fault::made(
            Leaf,
            "certificate for a key of P-521",
            CertificateInvalid,
            |draft| draft.leaf_key(KeyKind::P521),
        )
        // There the hash of the message would be another one, too.
        .not_in(&["bundle v0.3, message, Rekor v1"]),
    ]
}

fn roots() -> Vec<Fault> {
    use Reason::CertificateUntrusted;
    vec![
        Fault::root(
            Certificate,
            "authority of another Sigstore",
            CertificateUntrusted,
            |root| {
                let other = Sigstore::new("other").trusted_root();
                root["certificateAuthorities"] = other["certificateAuthorities"].clone();
            },
        ),
        Fault::root(
            Certificate,
            "no certificate authority",
            CertificateUntrusted,
            |root| {
                root["certificateAuthorities"] = json!([]);
            },
        ),
        Fault::root(
            Certificate,
            "authority ended before",
            CertificateUntrusted,
            |root| {
                root["certificateAuthorities"][0]["validFor"]["end"] =
                    json!("2025-06-01T11:59:59Z");
            },
        ),
        Fault::root(
            Certificate,
            "authority begins after",
            CertificateUntrusted,
            |root| {
                root["certificateAuthorities"][0]["validFor"]["start"] =
                    json!("2025-06-01T12:00:01Z");
            },
        ),
    ]
}
