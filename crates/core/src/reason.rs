//! Reason ids: the one vocabulary of events, errors, status, documentation and tests.
//!
//! An id is kebab-case and stable for ever. Add one here, with the sentence the reference page
//! shows.

use std::fmt;
use std::str::FromStr;

macro_rules! reasons {
    ($($variant:ident $id:literal $sentence:literal,)*) => {
        /// Why something was chosen, refused, skipped or could not be done.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum Reason {
            $(#[doc = $sentence] $variant,)*
        }

        impl Reason {
            /// Every reason, in the order of the reference page.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The stable public name.
            #[must_use]
            pub const fn id(self) -> &'static str {
                match self { $(Self::$variant => $id,)* }
            }

            /// One sentence for the reference page.
            #[must_use]
            pub const fn sentence(self) -> &'static str {
                match self { $(Self::$variant => $sentence,)* }
            }
        }
    };
}

reasons! {
    // Decisions about tags.
    Newest "newest" "The tag won: it is the highest by the strategy's order.",
    NotNewest "not-newest" "The tag passed every filter, but another one is higher.",
    UpToDate "up-to-date" "Git already holds the winner.",
    NotAllowed "not-allowed" "The tag does not match `allow-tags`.",
    Ignored "ignored" "The tag matches a pattern of `ignore-tags`.",
    NotAVersion "not-a-version" "The tag cannot be read as the strategy's kind of version.",
    OutsideConstraint "outside-constraint" "The version is outside the constraint.",
    Prerelease "prerelease" "The version is a pre-release and the constraint does not ask for those.",
    NotExtracted "not-extracted" "The `extract` expression does not match the tag.",
    NotConstraintTag "not-constraint-tag" "The digest strategy follows one tag only, and this is another.",
    ArtifactTag "artifact-tag" "The tag holds a signature, an attestation or a list of them, not an image.",
    PlatformMissing "platform-missing" "The image has no manifest for a wanted platform.",
    MetadataUnreadable "metadata-unreadable" "Manifest or configuration of the tag could not be read or lacks a creation time.",
    ManifestMissing "manifest-missing" "The registry lists the tag and has no manifest for it.",
    ManifestUnsupported "manifest-unsupported" "The tag's manifest is of a kind that holds no image, or is too old to read.",
    BuildTimeTie "build-time-tie" "Several tags share the newest creation time; the greatest name won.",
    OrderUnknown "order-unknown" "What Git wants cannot be compared with the winner; the winner is written.",
    NoMatch "no-match" "No tag passed every filter.",
    Downgrade "downgrade" "The winner is lower than what Git wants.",
    TagMoved "tag-moved" "The tag names another digest than before; the same name is not an update.",
    ConstraintInvalid "constraint-invalid" "The version constraint cannot be read.",
    ConstraintMissing "constraint-missing" "The digest strategy needs a tag as its constraint.",
    // Registries.
    ListingIncomplete "listing-incomplete" "The list of tags could not be read whole, so nothing is chosen.",
    RegistryUnreachable "registry-unreachable" "The registry could not be reached.",
    RegistryRefused "registry-refused" "The registry answered with an error.",
    RegistryUnauthorized "registry-unauthorized" "The registry refused the credentials.",
    RateLimited "rate-limited" "The registry asks for fewer requests.",
    InsecureRedirect "insecure-redirect" "An answer redirects to plain HTTP.",
    EgressRefused "egress-refused" "A URL or redirect leads where requests may not go; it was not asked.",
    RealmForbidden "realm-forbidden" "The registry names a token server that credentials may not go to; they were not sent.",
    DigestMismatch "digest-mismatch" "Content does not have the digest it was asked for by.",
    BodyTooLarge "body-too-large" "An answer is larger than its limit.",
    CredentialUnavailable "credential-unavailable" "A credential that the settings name could not be read.",
    CredentialForbidden "credential-forbidden" "The settings name a credential that they may not use.",
    // Settings.
    UnknownSetting "unknown-setting" "A setting is not known and was ignored.",
    DeprecatedSetting "deprecated-setting" "A setting has a newer name.",
    SettingInvalid "setting-invalid" "A setting cannot be read.",
    SettingUnused "setting-unused" "A setting has no effect where it stands.",
    ImageUpdaterInvalid "image-updater-invalid" "An ImageUpdater cannot be used; it selects nothing.",
    ApplicationContested "application-contested" "Several ImageUpdaters select the Application; the oldest follows it, the others leave it alone.",
    ApplicationHeld "application-held" "An ImageUpdater that cannot be used selects the Application before whatever else would follow it, so nobody does.",
    AnnotationsNotFollowed "annotations-not-followed" "Applications carry annotations of Argo CD Image Updater that nothing asks to follow.",
    ApplicationUnsupported "application-unsupported" "The Application's source type cannot be updated.",
    MethodNeedsApiServer "method-needs-api-server" "The `argocd` write-back method writes to the API server, and there is none here.",
    PullRequestNotAvailable "pull-request-not-available" "Pull requests are not available in this version.",
    ApiCommitNotAvailable "api-commit-not-available" "Commits by forge API are not available in this version.",
    NotLive "not-live" "The image runs nowhere in the Application and Git does not name it.",
    CurrentUnknown "current-unknown" "What Git wants now is not known; the winner is written.",
    // Slots and edits.
    SlotNotFound "slot-not-found" "The place to write to does not exist and cannot be made.",
    SlotAmbiguous "slot-ambiguous" "More than one place fits.",
    SlotContested "slot-contested" "Two Applications want different things of one slot; neither was written.",
    AnchorShared "anchor-shared" "The value is an anchor that other keys use, too.",
    FileUnreadable "file-unreadable" "The file to edit cannot be parsed.",
    EditUnsafe "edit-unsafe" "After the edit something else in the file had changed; nothing was written.",
    PathEscapes "path-escapes" "The path leaves the repository.",
    PathNotAFile "path-not-a-file" "The path is a symbolic link, a submodule or a folder.",
    // Trust.
    UncheckedNoPolicy "unchecked-no-policy" "No policy governs the image: it was written unchecked.",
    NoPolicy "no-policy" "No policy governs the image, and images without one are refused.",
    Trusted "trusted" "Every clause of every policy that governs the image holds.",
    PassedOver "passed-over" "A higher tag was refused by policy; the highest that passes was chosen.",
    DigestInKey "digest-in-key" "The digest is written to a key of its own: it binds what runs only if the chart pulls by that key.",
    DigestKeyUnread "digest-key-unread" "No template of the chart names the key that the digest is written to: it binds nothing.",
    DigestKeyForbidden "digest-key-forbidden" "The policy wants the digest in the reference, and the settings write it to a key of its own.",
    PinInTag "pin-in-tag" "The chart makes a label of the tag, and a tag with its digest is no label value.",
    WalkLimit "walk-limit" "As many candidates as may be judged were refused; lower ones were not looked at.",
    WaivedWarn "waived-warn" "The policy only warns: the image was written although clauses failed.",
    WaivedException "waived-exception" "An exception waives the clauses that failed.",
    EvidenceIncomplete "evidence-incomplete" "Signatures and attestations could not be read whole, so nothing is concluded from them.",
    EvidenceLimit "evidence-limit" "More hangs on the image than is read; what was not read counts as unknown.",
    EvidenceUnsupported "evidence-unsupported" "The signature is of a kind that this version does not read.",
    EvidenceMalformed "evidence-malformed" "The signature or attestation cannot be read.",
    SignatureMissing "signature-missing" "Nothing that was found is a signature of an accepted signer.",
    SignatureInvalid "signature-invalid" "The signature does not fit the signed bytes and the key.",
    SubjectMismatch "subject-mismatch" "The signature or attestation is about another digest.",
    SignersTooFew "signers-too-few" "Fewer distinct signers than demanded.",
    SignerMissing "signer-missing" "A signer that must be among them is not.",
    SignatureTooOld "signature-too-old" "The proven time of signing is longer ago than allowed.",
    AttestationMissing "attestation-missing" "There is no attestation of a demanded type by an accepted signer.",
    PredicateMismatch "predicate-mismatch" "The attestation is of another type than demanded.",
    IdentityMismatch "identity-mismatch" "The certificate names another identity than the policy accepts.",
    IssuerMismatch "issuer-mismatch" "The certificate's identity comes from another issuer than the policy accepts.",
    ClaimMismatch "claim-mismatch" "A claim in the certificate is missing or another one than the policy accepts.",
    KeyMismatch "key-mismatch" "The signature was made with another key than the policy accepts.",
    CertificateInvalid "certificate-invalid" "The certificate cannot be read.",
    CertificateUntrusted "certificate-untrusted" "The certificate leads to no authority of the trust root.",
    CertificateExpired "certificate-expired" "The certificate was not valid at the proven time of signing.",
    SctMissing "sct-missing" "The certificate carries no signed certificate timestamp.",
    SctInvalid "sct-invalid" "The certificate's signed certificate timestamp does not verify.",
    LogUnknown "log-unknown" "The entry is of a transparency log that the trust root does not know, or not at that time.",
    LogEntryMismatch "log-entry-mismatch" "The transparency log's entry is about another signature.",
    LogProofMissing "log-proof-missing" "The entry carries the log's promise only, and a proof is demanded.",
    LogProofInvalid "log-proof-invalid" "The proof or the promise of the transparency log does not verify.",
    LogsTooFew "logs-too-few" "Fewer distinct transparency logs hold the signature than demanded.",
    TimestampInvalid "timestamp-invalid" "A signed timestamp does not verify.",
    TimestampsTooFew "timestamps-too-few" "Fewer distinct timestamp authorities saw the signature than demanded.",
    TimeUnproven "time-unproven" "Nothing that is trusted proves when the signature was made.",
    TimeInFuture "time-in-future" "The proven time of signing has not come yet.",
    TrustRootUnavailable "trust-root-unavailable" "The trust root could not be read or fetched.",
    TrustRootExpired "trust-root-expired" "The trust root's metadata has expired.",
    TrustRootStale "trust-root-stale" "The trust root's repository could not be reached; the kept copy, which has not expired, is used.",
    TrustRootRejected "trust-root-rejected" "The trust root's repository serves what does not verify, has expired or is older than before; nothing of it was taken.",
    TrustRootPartial "trust-root-partial" "A key or certificate of the trust root cannot be read and was left out.",
    KeyUnavailable "key-unavailable" "A key that the policy names could not be read.",
    // Policies.
    PolicyInvalid "policy-invalid" "The policy cannot be read or contradicts itself; there is no earlier good one.",
    PolicyLastGood "policy-last-good" "The policy was changed into an invalid one; the last good one stays in force.",
    PolicyUnsafe "policy-unsafe" "The policy demands less than it seems to.",
    IdentityTooBroad "identity-too-broad" "The identity would accept anybody on a shared host.",
    ThresholdUnreachable "threshold-unreachable" "The policy demands more signers than it names.",
    NotAvailable "not-available" "The policy names something that is not available in this version.",
    ExceptionInvalid "exception-invalid" "The exception is too wide, too long, or names no policy or clause.",
    ExceptionExpired "exception-expired" "The exception has ended.",
    RegistryNotAllowed "registry-not-allowed" "The policy does not allow images from this registry.",
    StrategyNotAllowed "strategy-not-allowed" "The policy does not allow this strategy.",
    ConstraintRequired "constraint-required" "The policy demands a version constraint, and the image has none.",
    ChangeTooLarge "change-too-large" "The version changes by more than the policy allows.",
    PrereleaseForbidden "prerelease-forbidden" "The policy forbids pre-releases.",
    ChangeUnknown "change-unknown" "The size of the change cannot be told, and the policy bounds it.",
    // Git.
    GitUnreachable "git-unreachable" "The Git repository could not be reached.",
    GitUnauthorized "git-unauthorized" "The Git server refused the credentials.",
    GitRefused "git-refused" "The Git server refused the push.",
    BranchMissing "branch-missing" "The branch does not exist.",
    BranchInvalid "branch-invalid" "The branch name is not valid.",
    BranchProtected "branch-protected" "The branch is protected against this push.",
    BranchMoved "branch-moved" "The branch kept moving; the bounded retries are used up.",
    GithubAppInvalid "github-app-invalid" "The credential of a GitHub App cannot be used: its key, the URL of its API, or the repository's.",
    GithubAppRefused "github-app-refused" "GitHub gave out no token for the repository to this App.",
    GithubApiUnreachable "github-api-unreachable" "GitHub could not be asked for a token.",
    ProjectForbidden "project-forbidden" "The Application's project does not allow what would be written; nothing was.",
    ProjectUnreadable "project-unreadable" "The rules of an Application's project could not be read and were not applied.",
    HostKeyUnknown "host-key-unknown" "The SSH host key is not known, or is another one.",
    LocalGitForbidden "local-git-forbidden" "A repository on a local path needs `--allow-local-git`.",
    PlaintextForbidden "plaintext-forbidden" "Credentials are not sent over plain HTTP to this host.",
    UrlUnsupported "url-unsupported" "The repository URL is of a kind that is not supported.",
    LeadershipLost "leadership-lost" "Another replica may lead by now, so nothing was written.",
    IntentNotKept "intent-not-kept" "The intent could not be kept on the lease, so nothing was sent.",
    IntentsTakenOver "intents-taken-over" "The lease holds pushes of another process whose end it may not have seen; what became of them is found out and recorded.",
    IntentsUnreadable "intents-unreadable" "The open intents on the lease cannot be read; they are put aside, and what became of those pushes is not recorded.",
    IntentOrphaned "intent-orphaned" "No Application names the place of an open intent, so what became of it cannot be found out.",
    IntentOpen "intent-open" "What became of an earlier push to this place is not known yet, so nothing was sent there.",
    IntentNotCompared "intent-not-compared" "Nothing that an open intent would have written can be compared, so what became of it cannot be found out.",
    ApplicationMoved "application-moved" "The Application kept changing; the bounded retries are used up, and nothing was written over anybody's change.",
    ApplicationGone "application-gone" "The Application, or the source of it that would be written, is no longer there.",
    ApiServerUnreachable "api-server-unreachable" "The API server could not be reached.",
    ApiServerRefused "api-server-refused" "The API server refused to read or change the Application.",
    StatusNotWritten "status-not-written" "The status of an object could not be written; what was decided holds all the same.",
    FinalizerNotRemoved "finalizer-not-removed" "An ImageUpdater is being deleted and stays, because the finalizer of Argo CD Image Updater could not be taken off it.",
    KubeEventNotSent "kube-event-not-sent" "A Kubernetes event about an update could not be created; the update holds all the same.",
    MetricsReviewFailed "metrics-review-failed" "The API server could not say whether somebody may read the metrics, so they were not shown.",
    MetricsCertificateInvalid "metrics-certificate-invalid" "The certificate for metrics could not be read or made anew; the one before it is still used.",
    ShadowDiffers "shadow-differs" "What is written now is not what Sealift would have written.",
    WebhookNotAvailable "webhook-not-available" "The webhook server is not available in this version.",
    OptionNotAvailable "option-not-available" "The option asks for something that is not available in this version.",
    SigningFailed "signing-failed" "The commit could not be signed.",
    TemplateInvalid "template-invalid" "A template cannot be read or rendered.",
    // Outcomes.
    Landed "landed" "The commit is on the branch.",
    Superseded "superseded" "Somebody wrote another value in the meantime; nothing was written.",
    Lost "lost" "The push did not arrive; the update is decided anew.",
    DryRun "dry-run" "The update was decided and not written.",
    Shadow "shadow" "Shadow mode decides and records, and writes nothing.",
    Interrupted "interrupted" "The program was asked to stop before this was done.",
    // The journal.
    JournalTorn "journal-torn" "The last line of the journal was cut off by a crash; the incomplete line was removed.",
    JournalDamaged "journal-damaged" "The journal holds lines that are no records; `sealift events verify` names them.",
    JournalUnreadable "journal-unreadable" "The journal could not be read.",
    JournalUnwritable "journal-unwritable" "An event could not be recorded, so nothing that depends on it was done.",
    StateLocked "state-locked" "Another process holds the state folder.",
    StateUnsafe "state-unsafe" "The state folder is open to other users.",
    Internal "internal" "Sealift broke a rule of its own. Please report it.",
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.id())
    }
}

/// A text that names no reason.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a reason id")]
pub struct UnknownReason(pub String);

impl FromStr for Reason {
    type Err = UnknownReason;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .iter()
            .copied()
            .find(|reason| reason.id() == text)
            .ok_or_else(|| UnknownReason(text.to_owned()))
    }
}

impl serde::Serialize for Reason {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.id())
    }
}

impl<'de> serde::Deserialize<'de> for Reason {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl schemars::JsonSchema for Reason {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Reason".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let ids: Vec<&str> = Self::ALL.iter().map(|reason| reason.id()).collect();
        schemars::json_schema!({ "type": "string", "enum": ids })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn ids_are_unique_kebab_case_and_read_back() {
        let ids: BTreeSet<&str> = Reason::ALL.iter().map(|reason| reason.id()).collect();
        assert_eq!(ids.len(), Reason::ALL.len());
        for reason in Reason::ALL {
            assert!(
                reason
                    .id()
                    .chars()
                    .all(|c| c.is_ascii_lowercase() || c == '-'),
                "{reason}"
            );
            assert_eq!(reason.id().parse(), Ok(*reason));
        }
    }
}
