//! Lifted holds, as notes on the running commits: `refs/notes/atmos/<deployment>/holds`.
//!
//! A hold itself is derived: a rollback is running. The note names that rollback's record, so that
//! it does not lift the hold of a later one.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::deployment::ref_names::notes_ref;
use crate::deployment::state::DeploymentState;
use crate::deployment::{CommitId, ComponentName, DeploymentName, ObjectId, TargetName};

use super::namespaces::HOLDS;
use super::notes::merged;
use super::{Ledger, LedgerError};

/// A lifted hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LiftedHold {
    pub target: TargetName,
    pub component: ComponentName,
    /// The record of the running rollback.
    pub record: ObjectId,
    pub lifted_by: String,
    pub lifted_at: Timestamp,
    pub reason: String,
}

impl Ledger<'_> {
    /// Lifts holds: adds a note to each running commit.
    ///
    /// # Errors
    ///
    /// Fails where the notes cannot be fetched or pushed.
    pub fn lift_holds(
        &self,
        deployment: &DeploymentName,
        lifted: &[(CommitId, LiftedHold)],
    ) -> Result<(), LedgerError> {
        let mut entries: BTreeMap<CommitId, Vec<String>> = BTreeMap::new();
        for (commit, lifted) in lifted {
            let line = serde_json::to_string(lifted).unwrap_or_default();
            entries.entry(commit.clone()).or_default().push(line);
        }
        self.add_notes(deployment, HOLDS, &entries, merged)
    }

    /// The components whose hold was lifted, by target, from the mirror. May be stale.
    ///
    /// # Errors
    ///
    /// Fails where the mirrored notes cannot be read.
    pub fn lifted_holds(
        &self,
        state: &DeploymentState,
    ) -> Result<BTreeSet<(TargetName, ComponentName)>, LedgerError> {
        let held: Vec<_> = held(state).collect();
        if held.is_empty() {
            return Ok(BTreeSet::new());
        }
        let name = notes_ref(&state.deployment, HOLDS);
        let known = self.read_note_refs(&[&name])?;
        let texts = self.note_texts(&known, &name, held.iter().map(|(_, _, _, commit)| *commit))?;
        let is_lifted = |record: &ObjectId, text: &str| {
            let lines = text.lines().filter_map(|line| serde_json::from_str::<LiftedHold>(line).ok());
            lines.into_iter().any(|lifted| lifted.record == *record)
        };
        let lifted = held.iter().zip(texts).filter(|((_, _, record, _), text)| is_lifted(record, text));
        Ok(lifted.map(|((target, component, ..), _)| ((*target).clone(), (*component).clone())).collect())
    }

    /// Fetches the notes of lifted holds and reads them: [`Self::lifted_holds`] without staleness.
    ///
    /// # Errors
    ///
    /// Fails where the remote does not answer, or where the fetched notes cannot be read.
    pub fn lifted_holds_now(
        &self,
        state: &DeploymentState,
    ) -> Result<BTreeSet<(TargetName, ComponentName)>, LedgerError> {
        if held(state).next().is_none() {
            return Ok(BTreeSet::new());
        }
        self.fetch_notes(&state.deployment, HOLDS)?;
        self.lifted_holds(state)
    }
}

/// The running rollbacks: target, component, record, commit.
fn held(
    state: &DeploymentState,
) -> impl Iterator<Item = (&TargetName, &ComponentName, &ObjectId, &CommitId)> {
    state.targets.iter().flat_map(|(target, state)| {
        state.components.iter().filter(|(_, component)| component.runs_a_rollback()).filter_map(
            move |(name, component)| {
                Some((target, name, &component.running.as_ref()?.object, component.commit.as_ref()?))
            },
        )
    })
}
