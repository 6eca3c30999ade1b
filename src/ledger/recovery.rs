//! Recovery of index refs (states, newest records) from record tags: a migration that copies only
//! branches and tags loses the index. The records are the source of truth.

use std::collections::BTreeMap;

use crate::deployment::record::LedgerRecord;
use crate::deployment::ref_names::{ComponentAddress, LATEST_PREFIX, STATE_PREFIX, latest_ref, state_ref};
use crate::deployment::{ObjectId, RecordStatus};
use crate::git::refs::{Expected, RefUpdate};

use super::refs::KnownRefs;
use super::{Ledger, LedgerError, Scope};

/// The history of each component, newest first.
type Histories = BTreeMap<ComponentAddress, Vec<LedgerRecord>>;

impl Ledger<'_> {
    /// Adds recovered index refs to the local ones, where a scope has none. Leases are not
    /// affected: they are the remote's values.
    ///
    /// # Errors
    ///
    /// Fails where a decision depends on it and the history cannot be fetched; without a remote,
    /// where the refs cannot be written.
    pub(super) fn recover_index(&self, scope: &Scope, known: &mut KnownRefs) -> Result<(), LedgerError> {
        // Only after a fetch: a fresh clone has not fetched the index refs yet.
        if self.remote().is_some() && !self.answered.get() {
            return Ok(());
        }
        let has = |prefix: &str| {
            [STATE_PREFIX, LATEST_PREFIX].iter().any(|namespace| {
                let prefix = format!("{namespace}{prefix}");
                known.local.range(prefix.clone()..).next().is_some_and(|(name, _)| name.starts_with(&prefix))
            })
        };
        let bare: Vec<_> = scope.prefixes().into_iter().filter(|prefix| !has(prefix)).collect();
        if bare.is_empty() {
            return Ok(());
        }
        let index = index_of(&self.histories_below(&bare)?);
        if index.is_empty() {
            return Ok(());
        }
        match self.remote() {
            Some(remote) => self.warn_of_lost_index(remote, &index),
            None => self.make_index(&index)?,
        }
        known.local.extend(index);
        Ok(())
    }

    /// Warns that the remote has lost its index refs, with the command that restores them.
    fn warn_of_lost_index(&self, remote: &str, index: &BTreeMap<String, ObjectId>) {
        let refs: Vec<_> = index.iter().map(|(name, object)| format!("{object}:{name}")).collect();
        self.warn(format!(
            "{remote} has records, and not the refs that lead to the newest of them, as after a copy of branches and tags \
             alone: what runs is told by the records"
        ));
        self.warn(format!("to make these refs anew: git push {remote} {}", refs.join(" ")));
    }

    /// Restores the index refs locally, where there is no remote.
    fn make_index(&self, index: &BTreeMap<String, ObjectId>) -> Result<(), LedgerError> {
        let new = index.iter().map(|(name, object)| RefUpdate {
            name: name.clone(),
            new: Some(object.clone()),
            expected: Expected::Absent,
        });
        Ok(self.repository.git().update_refs(&new.collect::<Vec<_>>(), "atmos: told by the records")?)
    }
}

/// The index refs of histories: each component's newest record and state.
fn index_of(histories: &Histories) -> BTreeMap<String, ObjectId> {
    let mut index = BTreeMap::new();
    for (ComponentAddress { deployment, target, component }, records) in histories {
        let newest = records.first().map(|newest| newest.object.clone());
        index.extend(newest.map(|newest| (latest_ref(deployment, target, component), newest)));
        let runs =
            |record: &&LedgerRecord| record.record.status == RecordStatus::Success && !record.is_late();
        let running = records.iter().find(runs).map(|running| running.record.commit.0.clone());
        index.extend(running.map(|running| (state_ref(deployment, target, component), running)));
    }
    index
}
