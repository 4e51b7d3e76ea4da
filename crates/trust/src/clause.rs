//! Clauses that ask for signatures: how many distinct signers vouch, and whether the right ones do.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use sealift_core::promotion::effective::Demand;
use sealift_core::reason::Reason;

use crate::authority::Vouched;
use crate::failure::{Failure, Stage, furthest};

/// The words of a demand's authorities, and why others are none.
#[derive(Debug, Default)]
pub(crate) struct Words {
    pub(crate) vouched: Vec<Vouched>,
    pub(crate) failures: Vec<(String, Failure)>,
}

/// Who satisfied a demand.
pub(crate) fn satisfied(
    demand: &Demand,
    words: Words,
    nothing: Failure,
    now: Timestamp,
    proves_time: impl Fn(&str) -> bool,
) -> Result<Vec<Vouched>, Failure> {
    let Words {
        mut vouched,
        mut failures,
    } = words;
    if let Some(most_secs) = demand.max_age_secs {
        let oldest = now
            .saturating_sub(SignedDuration::from_secs(most_secs))
            .unwrap_or(now);
        vouched.retain(|word| {
            let failure = match word.signed_at {
                Some(signed) if signed >= oldest => return true,
                Some(signed) => Failure::new(
                    Stage::Age,
                    Reason::SignatureTooOld,
                    format!("it was signed at {signed}, before {oldest}"),
                ),
                None if !proves_time(&word.authority) => return true,
                None => Failure::new(
                    Stage::Age,
                    Reason::TimeUnproven,
                    "nothing proves when it was signed, and its age is bounded",
                ),
            };
            failures.push((word.authority.clone(), failure));
            false
        });
    }
    let matched = matching(demand, &vouched);
    if let Some(missing) = demand
        .including
        .iter()
        .find(|name| !matched.contains_key(*name))
    {
        let own = failures.into_iter().filter(|(name, _)| name == missing);
        let failure = furthest(own.map(|(_, failure)| failure));
        return Err(failure.unwrap_or_else(|| match vouched.is_empty() {
            true => nothing,
            false => Failure::new(
                Stage::Count,
                Reason::SignerMissing,
                format!("`{missing}` must be among the signers, and is not"),
            ),
        }));
    }
    if matched.len() < demand.at_least {
        if matched.is_empty() {
            let furthest = furthest(failures.into_iter().map(|(_, failure)| failure));
            return Err(furthest.unwrap_or(nothing));
        }
        let (found, wanted) = (matched.len(), demand.at_least);
        let mut detail = format!("{found} distinct signers, {wanted} are wanted");
        for name in demand.of.iter().filter(|name| !matched.contains_key(*name)) {
            let own = failures.iter().filter(|(of, _)| of == name);
            if let Some(failure) = furthest(own.map(|(_, failure)| failure.clone())) {
                detail.push_str(&format!("; `{name}`: {failure}"));
            }
        }
        return Err(Failure::new(Stage::Count, Reason::SignersTooFew, detail));
    }
    Ok(matched.into_values().cloned().collect())
}

/// Gives each authority a signer of its own, for as many as possible: one person's key under two
/// names is one signer. Those that must be among them come first. (Kuhn's algorithm; a few of
/// each.)
fn matching<'a>(demand: &Demand, vouched: &'a [Vouched]) -> BTreeMap<String, &'a Vouched> {
    let mut words: BTreeMap<&str, BTreeMap<(&str, Option<&str>), &Vouched>> = BTreeMap::new();
    for word in vouched
        .iter()
        .filter(|word| demand.of.contains(&word.authority))
    {
        let signer = (word.signer.as_str(), word.issuer.as_deref());
        words
            .entry(&word.authority)
            .or_default()
            .entry(signer)
            .or_insert(word);
    }
    let mut taken: BTreeMap<(&str, Option<&str>), &str> = BTreeMap::new();
    let first = demand.including.iter().map(String::as_str);
    let others = words
        .keys()
        .copied()
        .filter(|name| !demand.including.contains(*name));
    for name in first.chain(others) {
        assign(name, &words, &mut taken, &mut BTreeSet::new());
    }
    let pairs = taken.into_iter();
    pairs
        .filter_map(|(signer, name)| Some((name.to_owned(), *words.get(name)?.get(&signer)?)))
        .collect()
}

fn assign<'a>(
    name: &'a str,
    words: &BTreeMap<&'a str, BTreeMap<(&'a str, Option<&'a str>), &'a Vouched>>,
    taken: &mut BTreeMap<(&'a str, Option<&'a str>), &'a str>,
    tried: &mut BTreeSet<(&'a str, Option<&'a str>)>,
) -> bool {
    for signer in words.get(name).into_iter().flat_map(|own| own.keys()) {
        if !tried.insert(*signer) {
            continue;
        }
        let holder = taken.get(signer).copied();
        if holder.is_none_or(|holder| assign(holder, words, taken, tried)) {
            taken.insert(*signer, name);
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use sealift_core::digest::Digest;

    fn word(authority: &str, signer: &str) -> Vouched {
        Vouched {
            authority: authority.to_owned(),
            signer: signer.to_owned(),
            issuer: None,
            signed_at: None,
            logs: 0,
            timestamps: 0,
            item: Digest::of(signer.as_bytes()),
        }
    }

    fn asked(at_least: usize, including: &[&str], vouched: Vec<Vouched>) -> Result<usize, Reason> {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let demand = Demand {
            at_least,
            of: names(&["ci", "security"]),
            including: names(including),
            max_age_secs: None,
        };
        let words = Words {
            vouched,
            failures: Vec::new(),
        };
        let nothing = Failure::new(Stage::Nothing, Reason::SignatureMissing, "");
        satisfied(&demand, words, nothing, Timestamp::UNIX_EPOCH, |_| true)
            .map(|vouched| vouched.len())
            .map_err(|failure| failure.reason)
    }

    #[test]
    fn one_signer_under_two_names_is_one_signer() {
        let alice = || vec![word("ci", "alice"), word("security", "alice")];
        assert_eq!(asked(2, &[], alice()), Err(Reason::SignersTooFew));
        assert_eq!(asked(1, &[], alice()), Ok(1));
        let mut both = alice();
        both.push(word("ci", "bob"));
        assert_eq!(asked(2, &[], both), Ok(2));
    }

    #[test]
    fn two_signatures_of_one_signer_are_one_signer() {
        let twice = vec![word("ci", "alice"), word("ci", "alice")];
        assert_eq!(asked(2, &[], twice), Err(Reason::SignersTooFew));
    }

    #[test]
    fn who_must_be_among_them_is_missed_by_name() {
        let others = || vec![word("ci", "alice"), word("ci", "bob")];
        assert_eq!(
            asked(1, &["security"], others()),
            Err(Reason::SignerMissing)
        );
        let mut with = others();
        with.push(word("security", "alice"));
        assert_eq!(asked(2, &["security"], with), Ok(2));
        assert_eq!(
            asked(1, &["security"], Vec::new()),
            Err(Reason::SignatureMissing)
        );
    }
}
