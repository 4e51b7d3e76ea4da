//! What all replicas of a lane wrote to standard output, together: each update is one intent that
//! landed, and each intent has an outcome, whoever found it out.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use super::installation::{Installation, Replica, journal, tag};

/// The lines of every replica.
pub(super) struct Journals {
    /// By the replica's number.
    lines: BTreeMap<u32, Vec<Value>>,
}

impl Journals {
    pub(super) fn read(folder: &Path, replicas: u32) -> Result<Self> {
        let mut lines = BTreeMap::new();
        for number in 1..=replicas {
            let path = journal(folder, number);
            let text = fs::read_to_string(&path)?;
            // A line that was being written at the kill has no end.
            let whole = text.rfind('\n').map_or("", |end| &text[..end]);
            let parsed = whole.lines().map(serde_json::from_str);
            let parsed: serde_json::Result<Vec<Value>> = parsed.collect();
            lines.insert(
                number,
                parsed.with_context(|| format!("`{}`", path.display()))?,
            );
        }
        Ok(Self { lines })
    }

    fn of_kind(&self, kind: &str) -> impl Iterator<Item = (u32, &Value)> {
        let all = self.lines.iter();
        all.flat_map(|(number, lines)| lines.iter().map(|line| (*number, line)))
            .filter(move |(_, line)| line["kind"] == kind)
    }

    /// Intents with an outcome by another process than their own.
    pub(super) fn taken_over(&self) -> usize {
        let intents: BTreeMap<&str, u32> = self.by_id("intent");
        let foreign = self.of_kind("outcome").filter(|(number, outcome)| {
            let id = outcome["intent"].as_str().unwrap_or_default();
            intents.get(id).is_none_or(|own| own != number)
        });
        let ids = foreign.filter_map(|(_, outcome)| outcome["intent"].as_str());
        ids.collect::<BTreeSet<_>>().len()
    }

    fn by_id(&self, kind: &str) -> BTreeMap<&str, u32> {
        let all = self.of_kind(kind);
        all.filter_map(|(number, line)| Some((line["intent"].as_str()?, number)))
            .collect()
    }

    /// Whether the record says what happened, once each.
    pub(super) fn check(
        &self,
        ended: &[Replica],
        rounds: u32,
        installation: &Installation<'_>,
    ) -> Result<()> {
        for replica in ended {
            let last = self.lines.get(&replica.number).and_then(|all| all.last());
            let kind = last.map(|line| &line["kind"]);
            ensure!(
                kind.is_some_and(|kind| kind == "stopped"),
                "replica {} ended with `{kind:?}`",
                replica.number
            );
        }
        let outcomes = self.outcomes()?;
        let intents = self.by_id("intent");
        for (id, result) in &outcomes {
            // Killed between the lease and its journal, before anything was sent.
            let known = intents.contains_key(id) || *result == "lost";
            ensure!(known, "`{id}` {result} and was never intended");
        }
        let mut landed: BTreeMap<(&str, &str), u32> = BTreeMap::new();
        for (_, intent) in self.of_kind("intent") {
            let id = intent["intent"].as_str().unwrap_or_default();
            let result = outcomes.get(id);
            let result = result.with_context(|| format!("`{id}` has no outcome"))?;
            let writes = intent["writes"].as_array().into_iter().flatten();
            for write in writes.filter(|_| *result == "landed") {
                let text = |key: &str| write[key].as_str().unwrap_or_default();
                *landed
                    .entry((text("application"), text("new")))
                    .or_default() += 1;
            }
        }
        for application in installation.applications() {
            for round in 1..=rounds {
                let new = format!("registry.test/acme/shop:{}", tag(round));
                let count = landed.get(&(application.as_str(), new.as_str()));
                ensure!(
                    count == Some(&1),
                    "{application}: {count:?} intents of `{new}` landed, not one"
                );
            }
        }
        Ok(())
    }

    /// What became of each intent. Who was killed between its record and the lease has a successor
    /// that says the same once more.
    fn outcomes(&self) -> Result<BTreeMap<&str, &str>> {
        let mut outcomes = BTreeMap::new();
        for (_, outcome) in self.of_kind("outcome") {
            let text = |key: &str| outcome[key].as_str().unwrap_or_default();
            let (id, result) = (text("intent"), text("result"));
            let before = outcomes.insert(id, result);
            ensure!(
                before.is_none_or(|before| before == result),
                "`{id}` {result} and {before:?}"
            );
        }
        Ok(outcomes)
    }
}
