//! What is said of a root that is used although something failed, and of one that is not: what,
//! where, and what to do.

use sealift_core::reason::Reason;
use sealift_trust::root::{Failure, Obtained, RootError, Standing};

use super::{Repository, UNSAFE_OPTION};

pub(super) const fn is_lie(failure: Failure) -> bool {
    matches!(failure, Failure::Expired | Failure::Refused)
}

/// What a root that is used is worth saying.
pub(super) fn said_of(repository: &Repository, obtained: &Obtained) -> Option<(Reason, String)> {
    let (name, base) = (&repository.name, &repository.base);
    let expires = obtained.facts.expires;
    let failed = obtained.failed.as_ref();
    let problem = failed.map_or("", |failed| failed.problem.as_str());
    match obtained.standing {
        Standing::Fresh | Standing::Refreshed => None,
        Standing::Stale if failed.is_some_and(|failed| is_lie(failed.failure)) => Some((
            Reason::TrustRootRejected,
            format!(
                "trust root `{name}`: what `{base}` serves was refused: {problem}; the verified \
                 copy is used until it expires at {expires} (is somebody holding newer \
                 metadata back, or is the mirror broken?)"
            ),
        )),
        Standing::Stale => Some((
            Reason::TrustRootStale,
            format!(
                "trust root `{name}` could not be refreshed from `{base}`: {problem}; the verified \
                 copy is used until it expires at {expires}"
            ),
        )),
        Standing::Grace { until } => Some((
            Reason::TrustRootExpired,
            format!(
                "trust root `{name}` expired at {expires}, and `{base}` cannot be reached: \
                 {problem}; it is used until {until}, then images that need it are refused"
            ),
        )),
        Standing::Unsafe => Some((
            Reason::TrustRootExpired,
            format!(
                "trust root `{name}` expired at {expires} and could not be refreshed from \
                 `{base}`: {problem}; it is used because of `{UNSAFE_OPTION}`"
            ),
        )),
    }
}

/// Why nothing that needs the root is written: what, where, and what to do.
pub(super) fn refusal(repository: &Repository, error: &RootError) -> (Reason, String) {
    let (name, base) = (&repository.name, &repository.base);
    let reason = match error {
        RootError::Expired { .. } => Reason::TrustRootExpired,
        _ => Reason::TrustRootUnavailable,
    };
    let hint = match (error, error.failed().map(|failed| failed.failure)) {
        (RootError::Expired { .. }, Some(Failure::Outage | Failure::Expired)) => format!(
            "let Sealift reach a repository that is up to date; `{UNSAFE_OPTION} {name}` \
             uses the copy although it has expired"
        ),
        (_, Some(Failure::Outage)) => format!(
            "let Sealift reach `{base}`, or name a file, as in \
             `trustRoot: {{ file: {{ path: trusted_root.json }} }}`"
        ),
        (_, Some(_)) => {
            "is somebody holding newer metadata back, or is the mirror broken?".to_owned()
        }
        (_, None) => "the start must be a `root.json` of the repository".to_owned(),
    };
    let detail = format!("trust root `{name}` from `{base}`: {error} ({hint})");
    (reason, detail)
}
