//! The clauses of `update`: what kind of move a policy allows.
//!
//! Decided from tags alone, before anything is fetched. Where the size of a change cannot be told,
//! a policy that bounds it refuses; an image that Git does not name yet does not change.

use super::effective::Effective;
use super::spec::MaxChange;
use crate::reason::Reason;
use crate::strategy::Strategy;
use crate::version::Version;

/// A move that is about to be judged.
#[derive(Debug, Clone, Copy)]
pub struct Move<'a> {
    /// Who chose.
    pub strategy: Strategy,
    /// The image's version constraint, or the tag it follows.
    pub constraint: Option<&'a str>,
    /// The tag that Git wants now; `None`: Git does not name the image yet.
    pub current: Option<&'a str>,
    /// The tag that would be written.
    pub candidate: &'a str,
    /// Whether the candidate is lower than the current tag by the strategy's own order.
    pub lower: bool,
}

/// One clause and whether it holds.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct ClauseResult {
    /// Its name, as exceptions call it.
    pub clause: &'static str,
    /// Why it does not hold; `None`: it holds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
    /// What was compared.
    pub detail: String,
}

impl ClauseResult {
    /// Whether it holds.
    #[must_use]
    pub const fn holds(&self) -> bool {
        self.reason.is_none()
    }
}

/// Every clause of `update` that the policy demands, in order.
#[must_use]
pub fn update_clauses(policy: &Effective, wanted: &Move<'_>) -> Vec<ClauseResult> {
    let demand = &policy.update;
    let mut results = Vec::new();
    let mut add = |clause, (reason, detail)| {
        results.push(ClauseResult {
            clause,
            reason,
            detail,
        });
    };
    if !demand.strategies.is_empty() {
        let allowed: Vec<_> = demand.strategies.iter().map(|one| one.name()).collect();
        let allowed = allowed.join("`, `");
        let holds = demand.strategies.contains(&wanted.strategy);
        let detail = format!("`{}` chose; allowed are `{allowed}`", wanted.strategy);
        let reason = (!holds).then_some(Reason::StrategyNotAllowed);
        add("update.strategies", (reason, detail));
    }
    if demand.require_constraint {
        add("update.requireConstraint", constraint(wanted));
    }
    if let Some(most) = demand.max_change {
        add("update.maxChange", change(wanted, most));
    }
    if demand.forbid_prereleases {
        let forbidden = Version::parse(wanted.candidate).is_some_and(|one| one.is_prerelease());
        let which = if forbidden { "a" } else { "no" };
        let detail = format!("`{}` is {which} pre-release", wanted.candidate);
        let reason = forbidden.then_some(Reason::PrereleaseForbidden);
        add("update.prereleases", (reason, detail));
    }
    if demand.forbid_downgrades {
        add("update.downgrades", downgrade(wanted));
    }
    results
}

fn constraint(wanted: &Move<'_>) -> (Option<Reason>, String) {
    let strategy = wanted.strategy;
    let missing = Some(Reason::ConstraintRequired);
    if !strategy.uses_constraint() && !strategy.follows_one_tag() {
        let detail = format!("strategy `{strategy}` knows no constraint");
        return (missing, detail);
    }
    match wanted.constraint.map(str::trim) {
        None | Some("") => (missing, "the image has no constraint".to_owned()),
        Some(any @ ("*" | "x" | "X")) => (missing, format!("`{any}` allows every version")),
        Some(constraint) => (None, format!("the constraint is `{constraint}`")),
    }
}

fn change(wanted: &Move<'_>, most: MaxChange) -> (Option<Reason>, String) {
    let candidate = wanted.candidate;
    let Some(current) = wanted.current else {
        return (None, "Git does not name the image yet".to_owned());
    };
    if current == candidate {
        return (None, format!("the tag stays `{current}`"));
    }
    if most == MaxChange::Major {
        return (None, "any change is allowed".to_owned());
    }
    let (Some(from), Some(to)) = (Version::parse(current), Version::parse(candidate)) else {
        let detail = format!("`{current}` and `{candidate}` are not both versions");
        return (Some(Reason::ChangeUnknown), detail);
    };
    let (size, name) = if from.major != to.major {
        (MaxChange::Major, "major")
    } else if from.minor != to.minor {
        (MaxChange::Minor, "minor")
    } else {
        (MaxChange::Patch, "patch")
    };
    let detail = format!("`{current}` to `{candidate}` is a {name} change");
    ((size > most).then_some(Reason::ChangeTooLarge), detail)
}

fn downgrade(wanted: &Move<'_>) -> (Option<Reason>, String) {
    let candidate = wanted.candidate;
    let Some(current) = wanted.current else {
        return (None, "Git does not name the image yet".to_owned());
    };
    // Other strategies have an order of their own, by which a lower version may be the newer one.
    let by_version = wanted.strategy == Strategy::Semver
        && match (Version::parse(current), Version::parse(candidate)) {
            (Some(from), Some(to)) => to < from,
            _ => false,
        };
    match wanted.lower || by_version {
        true => {
            let detail = format!("`{candidate}` is lower than `{current}`");
            (Some(Reason::Downgrade), detail)
        }
        false => (None, format!("`{candidate}` is not lower than `{current}`")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::promotion::effective::UpdateDemand;

    fn policy(update: UpdateDemand) -> Effective {
        let key = crate::promotion::cosign_key::CosignKey {
            secret_name: "s".to_owned(),
            key: "k".to_owned(),
        };
        let (policy, _) = Effective::from_cosign_key("a", &key);
        Effective { update, ..policy }
    }

    fn to(current: Option<&'static str>, candidate: &'static str) -> Move<'static> {
        Move {
            strategy: Strategy::Semver,
            constraint: None,
            current,
            candidate,
            lower: false,
        }
    }

    fn reasons(update: UpdateDemand, wanted: Move<'_>) -> Vec<Option<Reason>> {
        let results = update_clauses(&policy(update), &wanted);
        results.into_iter().map(|result| result.reason).collect()
    }

    #[test]
    fn a_policy_that_says_nothing_of_updates_has_no_clauses() {
        assert!(reasons(UpdateDemand::default(), to(Some("1.0.0"), "9.0.0")).is_empty());
    }

    #[test]
    fn a_change_is_bounded_by_the_first_number_that_differs() {
        for (most, current, candidate, reason) in [
            (MaxChange::Patch, "1.2.3", "1.2.4", None),
            (
                MaxChange::Patch,
                "1.2.3",
                "1.3.0",
                Some(Reason::ChangeTooLarge),
            ),
            (MaxChange::Minor, "v1.2.3", "1.3.0", None),
            (
                MaxChange::Minor,
                "1.2.3",
                "2.0.0",
                Some(Reason::ChangeTooLarge),
            ),
            (
                MaxChange::Minor,
                "2.0.0",
                "1.9.0",
                Some(Reason::ChangeTooLarge),
            ),
            (MaxChange::Major, "1.2.3", "9.0.0", None),
            (
                MaxChange::Minor,
                "latest",
                "1.0.0",
                Some(Reason::ChangeUnknown),
            ),
            (
                MaxChange::Minor,
                "1.0.0",
                "main-4f2a",
                Some(Reason::ChangeUnknown),
            ),
            (MaxChange::Minor, "latest", "latest", None),
            (MaxChange::Major, "a", "b", None),
        ] {
            let demand = UpdateDemand {
                max_change: Some(most),
                ..UpdateDemand::default()
            };
            let got = reasons(demand, to(Some(current), candidate));
            assert_eq!(got, [reason], "{current} {candidate}");
        }
        let demand = UpdateDemand {
            max_change: Some(MaxChange::Patch),
            ..UpdateDemand::default()
        };
        assert_eq!(reasons(demand, to(None, "7.0.0")), [None]);
    }

    #[test]
    fn a_constraint_must_be_there_and_must_bound_something() {
        for (strategy, constraint, holds) in [
            (Strategy::Semver, Some("~1.2"), true),
            (Strategy::Digest, Some("latest"), true),
            (Strategy::Semver, None, false),
            (Strategy::Semver, Some(" "), false),
            (Strategy::Semver, Some("*"), false),
            (Strategy::Alphabetical, Some("~1.2"), false),
        ] {
            let demand = UpdateDemand {
                require_constraint: true,
                ..UpdateDemand::default()
            };
            let wanted = Move {
                strategy,
                constraint,
                ..to(None, "1.2.3")
            };
            let reason = (!holds).then_some(Reason::ConstraintRequired);
            assert_eq!(
                reasons(demand, wanted),
                [reason],
                "{strategy} {constraint:?}"
            );
        }
    }

    #[test]
    fn strategies_prereleases_and_downgrades_are_refused_with_their_reasons() {
        let demand = || UpdateDemand {
            strategies: [Strategy::Semver].into(),
            forbid_prereleases: true,
            forbid_downgrades: true,
            ..UpdateDemand::default()
        };
        assert_eq!(
            reasons(demand(), to(Some("1.2.3"), "1.2.4")),
            [None, None, None]
        );
        let bad = Move {
            strategy: Strategy::NewestBuild,
            lower: true,
            ..to(Some("2.0.0"), "2.1.0-rc.1")
        };
        assert_eq!(
            reasons(demand(), bad),
            [
                Some(Reason::StrategyNotAllowed),
                Some(Reason::PrereleaseForbidden),
                Some(Reason::Downgrade)
            ]
        );
        let lower = reasons(demand(), to(Some("2.0.0"), "1.9.0"));
        assert_eq!(lower.last(), Some(&Some(Reason::Downgrade)));
    }
}
