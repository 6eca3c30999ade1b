//! Observations as notes on the commits that run:
//! `refs/notes/atmos/<deployment>/health` and `…/drift`.
//!
//! Only the newest observation of each component on each target is kept: a stale one is worthless,
//! and polling every minute would grow the notes without bound.

use std::collections::BTreeMap;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::deployment::health::Health;
use crate::deployment::observation::{ByPlace, DriftFinding, Observation, Observations};
use crate::deployment::ref_names::notes_ref;
use crate::deployment::state::DeploymentState;
use crate::deployment::{CommitId, DeploymentName};

use super::namespaces::{DRIFT, HEALTH};
use super::notes::merged;
use super::refs::KnownRefs;
use super::{Ledger, LedgerError};

/// Observations to be noted, each with the commit that ran.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Observed {
    pub health: Vec<(CommitId, Observation<Health>)>,
    pub drift: Vec<(CommitId, Observation<DriftFinding>)>,
}

impl Ledger<'_> {
    /// Writes observations as notes.
    ///
    /// # Errors
    ///
    /// Fails where the notes cannot be fetched or pushed; without a remote, where they cannot be
    /// written.
    pub fn note_observations(
        &self,
        deployment: &DeploymentName,
        observed: &Observed,
    ) -> Result<(), LedgerError> {
        self.note_each(deployment, HEALTH, &observed.health)?;
        self.note_each(deployment, DRIFT, &observed.drift)
    }

    fn note_each<T: Serialize>(
        &self,
        deployment: &DeploymentName,
        namespace: &str,
        observations: &[(CommitId, Observation<T>)],
    ) -> Result<(), LedgerError> {
        let mut entries: BTreeMap<CommitId, Vec<String>> = BTreeMap::new();
        for (commit, observation) in observations {
            let line = serde_json::to_string(observation).unwrap_or_default();
            entries.entry(commit.clone()).or_default().push(line);
        }
        if entries.is_empty() { Ok(()) } else { self.add_notes(deployment, namespace, &entries, newest) }
    }

    /// The last observations of the running commits. Those from before the deployment do not count.
    ///
    /// # Errors
    ///
    /// Fails where the mirrored notes cannot be read.
    pub fn observations(&self, state: &DeploymentState) -> Result<Observations, LedgerError> {
        let [health, drift] = [HEALTH, DRIFT].map(|namespace| notes_ref(&state.deployment, namespace));
        let known = self.read_note_refs(&[&health, &drift])?;
        Ok(Observations {
            health: self.last(state, &known, &health)?,
            drift: self.last(state, &known, &drift)?,
        })
    }

    fn last<T: DeserializeOwned>(
        &self,
        state: &DeploymentState,
        known: &KnownRefs,
        notes: &str,
    ) -> Result<ByPlace<T>, LedgerError> {
        let components = || state.targets.values().flat_map(|target| target.components.values());
        let mut commits: Vec<_> = components().filter_map(|component| component.commit.as_ref()).collect();
        commits.sort();
        commits.dedup();
        let mut last = ByPlace::new();
        for (commit, text) in commits.iter().zip(self.note_texts(known, notes, commits.iter().copied())?) {
            // Foreign lines are ignored.
            let observations =
                text.lines().filter_map(|line| serde_json::from_str::<Observation<T>>(line).ok());
            for observation in observations {
                let place = (observation.target.clone(), observation.component.clone());
                let Some(component) = state.component(&place.0, &place.1) else { continue };
                let deployed_at = component.running.as_ref().map(|running| running.record.timestamp);
                let is_of_this = component.commit.as_ref() == Some(*commit)
                    && deployed_at.is_none_or(|deployed_at| observation.checked_at >= deployed_at);
                if is_of_this
                    && last
                        .get(&place)
                        .is_none_or(|known: &Observation<T>| known.checked_at < observation.checked_at)
                {
                    last.insert(place, observation);
                }
            }
        }
        Ok(last)
    }
}

/// Merges two notes, with the newest observation of each component on each target.
fn newest(left: &str, right: &str) -> String {
    let text = merged(left, right);
    let parsed: Vec<(&str, Option<Value>)> =
        text.lines().map(|line| (line, serde_json::from_str(line).ok())).collect();
    let key = |value: &Value| Some((value.get("target")?.clone(), value.get("component")?.clone()));
    // Times are written in UTC, so their text order is their order in time.
    let time = |value: &Value| value.get("checked_at").and_then(Value::as_str).map(str::to_owned);
    let is_outdated = |value: &Value| {
        let others = parsed.iter().filter_map(|(_, other)| other.as_ref());
        key(value).is_some_and(|place| {
            others.filter(|other| key(other) == Some(place.clone())).any(|other| time(other) > time(value))
        })
    };
    let kept = parsed.iter().filter(|(_, value)| !value.as_ref().is_some_and(is_outdated));
    kept.flat_map(|(line, _)| [*line, "\n"]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_of_each_component_stays_and_what_is_foreign_too() {
        let line = |component: &str, time: &str| {
            format!("{{\"target\":\"dev\",\"component\":\"{component}\",\"checked_at\":\"{time}\"}}\n")
        };
        let (old, new) = ("2025-01-22T11:00:00Z", "2025-01-22T12:00:00Z");
        let left = line("api", old) + &line("worker", new);
        let right = line("api", new) + "{\"somebody\":\"else\"}\n";
        let expected = format!("{{\"somebody\":\"else\"}}\n{}{}", line("api", new), line("worker", new));
        assert_eq!(newest(&left, &right), expected);
        assert_eq!(newest(&right, &left), expected);
        assert_eq!(newest(&expected, &left), expected);
    }
}
