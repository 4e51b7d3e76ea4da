//! What to do about a reason, in one sentence a person can act on. `doctor` prints it, and the
//! reference lists it.
//!
//! Reasons that only describe (a tag that is not the newest, an image that is up to date) have
//! none.

use crate::reason::Reason;

/// The way to mend it; `None` where nothing is wrong.
#[must_use]
#[allow(clippy::too_many_lines, reason = "one line a reason")]
pub const fn mend(reason: Reason) -> Option<&'static str> {
    use Reason as R;
    Some(match reason {
        R::PlatformMissing => "publish the image for that platform, or set `platforms`",
        R::MetadataUnreadable | R::ManifestUnsupported => {
            "push the image again with a current builder, or leave its tag out with `ignore-tags`"
        }
        R::ManifestMissing => "delete the tag in the registry, or push it again",
        R::NoMatch => "look at the dropped tags with `sealift explain`, then widen the constraint",
        R::Downgrade => "set `sealift.dev/<alias>.allow-downgrade: \"true\"` where it is meant",
        R::TagMoved => "use the digest strategy to follow a tag that moves",
        R::ConstraintInvalid => "write a constraint such as `~1.8` or `>=1.2 <2`",
        R::ConstraintMissing => "name the tag to follow: `alias=image:tag`",
        R::ListingIncomplete | R::RegistryRefused => {
            "ask the registry with `sealift test IMAGE`; raise its limits, or try again later"
        }
        R::RegistryUnreachable => {
            "check name, port, proxy and network policy; `api_url` in `registries.conf`"
        }
        R::RegistryUnauthorized => {
            "renew the credential, and check that it may pull from this repository"
        }
        R::RateLimited => "set `limit` in `registries.conf`, or use a credential with more quota",
        R::InsecureRedirect | R::EgressRefused | R::RealmForbidden => {
            "check whether the registry is the one you mean; name its real address as `api_url`"
        }
        R::DigestMismatch => "treat it as tampering until it is explained: compare with a mirror",
        R::BodyTooLarge => "clean up the repository, or leave it out",
        R::CredentialUnavailable => "create the Secret or field, or correct its name",
        R::CredentialForbidden => "name a Secret of the Application's own namespace",
        R::UnknownSetting => "correct the spelling, or take the annotation out",
        R::DeprecatedSetting => "use the newer name",
        R::SettingInvalid => "correct the value; the message says what is expected",
        R::SettingUnused => "set what it needs beside it, or take it out",
        R::ImageUpdaterInvalid => "correct the field that the message names",
        R::ApplicationContested => "let only one ImageUpdater select the Application",
        R::ApplicationHeld => "correct that ImageUpdater, or delete it",
        R::AnnotationsNotFollowed => {
            "run with `--annotations always`, or convert them with `sealift convert`"
        }
        R::ApplicationUnsupported => "use Helm or Kustomize, or set `write-back-target`",
        R::MethodNeedsApiServer => "set `write-back-method: git`, or run against the API server",
        R::PullRequestNotAvailable | R::ApiCommitNotAvailable => {
            "push to a branch by `git-branch` until this version can"
        }
        R::GithubAppInvalid => "correct the field of the Secret that the message names",
        R::GithubAppRefused => {
            "install the App on the repository with permission to write contents; check its ids"
        }
        R::GithubApiUnreachable => "check `githubAppEnterpriseBaseUrl`, proxy and network policy",
        R::ProjectForbidden => "allow it in the AppProject, or write to an allowed repository",
        R::ProjectUnreadable => {
            "allow `get` of AppProjects in Argo CD's namespace, or create the project"
        }
        R::NotLive => "set `force-update: \"true\"` to write it although it runs nowhere",
        R::SlotNotFound => "name the place with `helm.image-tag`, or add the key to the file",
        R::SlotAmbiguous => "name the place by its full key",
        R::SlotContested => "let only one Application write this value",
        R::AnchorShared => "write the value out where it is used, instead of by an anchor",
        R::FileUnreadable => "mend the file; `yamllint` names the line",
        R::EditUnsafe => "write the value out in the file, in block style, and report the file",
        R::PathEscapes | R::PathNotAFile => "name a file inside the repository",
        R::UncheckedNoPolicy | R::NoPolicy => {
            "write a policy for it: `sealift policy init IMAGE` drafts one"
        }
        R::DigestInKey | R::DigestKeyUnread | R::DigestKeyForbidden => {
            "let the chart pull by that key, or take `helm.image-digest` out"
        }
        R::PinInTag => "set `sealift.dev/<alias>.helm.image-digest` to a key of its own",
        R::WalkLimit => "sign newer images, or narrow the constraint",
        R::WaivedWarn => "set `mode: enforce` once the clauses hold",
        R::WaivedException => "mend what the exception waives before it ends",
        R::EvidenceIncomplete => "let the registry answer for signatures; `sealift verify` asks it",
        R::EvidenceLimit => "clean up what hangs on the image",
        R::EvidenceUnsupported | R::EvidenceMalformed | R::SignatureInvalid => {
            "sign the image again with a current cosign"
        }
        R::SignatureMissing
        | R::SignersTooFew
        | R::SignerMissing
        | R::AttestationMissing
        | R::PredicateMismatch => {
            "sign it as the policy demands; `sealift verify IMAGE --policy FILE` shows what is there"
        }
        R::SubjectMismatch => "sign the digest that the tag names now",
        R::SignatureTooOld => "build and sign it again, or raise `maxAge`",
        R::IdentityMismatch | R::IssuerMismatch | R::ClaimMismatch | R::KeyMismatch => {
            "find out who signed it: `sealift policy init IMAGE` says so; then correct one of them"
        }
        R::CertificateInvalid
        | R::CertificateUntrusted
        | R::CertificateExpired
        | R::SctMissing
        | R::SctInvalid => "name the trust root of the instance that signed it",
        R::LogUnknown
        | R::LogEntryMismatch
        | R::LogProofMissing
        | R::LogProofInvalid
        | R::LogsTooFew => "sign with a log of the trust root, or lower `signedTime.minLogs`",
        R::TimestampInvalid | R::TimestampsTooFew | R::TimeUnproven | R::TimeInFuture => {
            "sign with a log or timestamp authority of the trust root"
        }
        R::TrustRootUnavailable | R::TrustRootStale => {
            "let the repository of the trust root be reached, or name a file"
        }
        R::TrustRootExpired => "let the trust root be refreshed",
        R::TrustRootRejected => "treat it as tampering until the operator of the root explains it",
        R::TrustRootPartial => "update the trust root, or Sealift",
        R::KeyUnavailable => "create the key's Secret, ConfigMap or file, or correct its name",
        R::PolicyInvalid | R::PolicyLastGood => "`sealift policy check FILE` names every error",
        R::PolicyUnsafe => "`sealift policy explain FILE` says what it really demands",
        R::IdentityTooBroad => "name owner and repository, and the workflow",
        R::ThresholdUnreachable => "name more signers, or demand fewer",
        R::NotAvailable => "take the section out until this version can",
        R::ExceptionInvalid | R::ExceptionExpired => "write a new one, narrower, or mend the cause",
        R::RegistryNotAllowed => "add the registry to `allowedRegistries`, or use an allowed one",
        R::StrategyNotAllowed => "use a strategy that the policy names",
        R::ConstraintRequired => "add a constraint to the image: `alias=image:~1.8`",
        R::ChangeTooLarge | R::ChangeUnknown => "update by hand, or raise `update.maxChange`",
        R::PrereleaseForbidden => "wait for the release, or allow them in the policy",
        R::GitUnreachable => "check URL, network policy and proxy; the repository must exist",
        R::GitUnauthorized => "renew the credential, and check that it may read the repository",
        R::GitRefused => "check that the credential may push, and the server's hooks",
        R::BranchMissing => "create the branch, or set `git-branch`",
        R::BranchInvalid => "write a branch's name, without `refs/heads/`",
        R::BranchProtected => "let this account push, or write to another branch: `base:new`",
        R::BranchMoved => "give it its own branch, or run again",
        R::LeadershipLost => {
            "look at the API server's answers and the clock; the next leader writes"
        }
        R::ApplicationMoved => "find out what keeps writing to the Application, or run again",
        R::ApplicationGone => "nothing, where it was meant; the next cycle looks anew",
        R::ApiServerUnreachable => "check the API server, and the network policy on the way to it",
        R::StatusNotWritten | R::KubeEventNotSent | R::FinalizerNotRemoved => {
            "compare the ServiceAccount's rights with `deploy/rbac`"
        }
        R::MetricsReviewFailed => {
            "check the API server, and that `deploy/metrics/rbac.yaml` is applied"
        }
        R::MetricsCertificateInvalid => {
            "look at `tls.crt` and `tls.key` in the folder of `--metrics-cert-path`"
        }
        R::IntentNotKept => {
            "check the API server, and that `get` and `update` on the lease are allowed"
        }
        R::IntentOpen => "see why its place cannot be looked at: a notice names each open intent",
        R::IntentNotCompared => "compare Git with the Application",
        R::IntentOrphaned => "nothing, where the Application was meant to go",
        R::IntentsTakenOver => "nothing; what became of those pushes is recorded",
        R::IntentsUnreadable => {
            "compare Git with the Applications; somebody else wrote to the lease"
        }
        R::ShadowDiffers => "`sealift explain APP` says why Sealift chose as it did",
        R::WebhookNotAvailable => "leave it off; new tags are seen at the next interval",
        R::OptionNotAvailable => "take it out; the migration page says what holds instead",
        R::ApiServerRefused => "compare the ServiceAccount's rights with `deploy/rbac`",
        R::HostKeyUnknown => "add the host's key to ConfigMap `argocd-ssh-known-hosts-cm`",
        R::LocalGitForbidden => "run with `--allow-local-git` where you mean it",
        R::PlaintextForbidden => "use HTTPS or SSH",
        R::UrlUnsupported => "use an HTTPS or SSH URL",
        R::SigningFailed => "check key, passphrase and `--git-commit-signing-method`",
        R::TemplateInvalid => "try it with `sealift template FILE`",
        R::JournalTorn | R::JournalDamaged => "`sealift events verify` says what is missing",
        R::JournalUnreadable | R::JournalUnwritable => "check the state folder's disk and owner",
        R::StateLocked => "end the other process, or use another `--state-dir`",
        R::StateUnsafe => "take the folder's rights from others: `chmod 700`",
        R::Internal => "please report it with the event",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reasons that only say how things are.
    const DESCRIBING: &[&str] = &[
        "newest",
        "not-newest",
        "up-to-date",
        "not-allowed",
        "ignored",
        "not-a-version",
        "outside-constraint",
        "prerelease",
        "not-extracted",
        "not-constraint-tag",
        "artifact-tag",
        "build-time-tie",
        "order-unknown",
        "current-unknown",
        "trusted",
        "passed-over",
        "landed",
        "superseded",
        "lost",
        "dry-run",
        "shadow",
        "interrupted",
    ];

    #[test]
    fn every_reason_that_can_stop_something_can_be_mended() {
        for reason in Reason::ALL {
            let describes = DESCRIBING.contains(&reason.id());
            assert_eq!(mend(*reason).is_none(), describes, "{}", reason.id());
        }
    }

    #[test]
    fn a_way_to_mend_is_a_short_clause() {
        for hint in Reason::ALL.iter().filter_map(|reason| mend(*reason)) {
            assert!(hint.len() <= 100 && !hint.ends_with('.'), "{hint}");
            assert!(
                hint.starts_with(|c: char| c.is_lowercase() || c == '`'),
                "{hint}"
            );
        }
    }
}
