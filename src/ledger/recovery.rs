//! What runs where only the records came along: a migration that copies branches and tags leaves
//! out the refs that lead to the newest of them. The records are the truth, and tell it.

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
    /// Adds to the refs that are known those that would lead to the newest records where there are
    /// none at all. Pushes are still compared with what the remote has.
    ///
    /// # Errors
    ///
    /// Where something is decided on it, and the remote does not tell its history; without a
    /// remote, where the refs cannot be made here.
    pub(super) fn recover_index(&self, scope: &Scope, known: &mut KnownRefs) -> Result<(), LedgerError> {
        // Only what the remote has just told shows that it lacks them: a fresh clone never had
        // them.
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

    /// Says that the refs are gone on the remote, and how they are made anew.
    fn warn_of_lost_index(&self, remote: &str, index: &BTreeMap<String, ObjectId>) {
        let refs: Vec<_> = index.iter().map(|(name, object)| format!("{object}:{name}")).collect();
        self.warn(format!(
            "{remote} has records, and not the refs that lead to the newest of them, as after a copy of branches and tags \
             alone: what runs is told by the records"
        ));
        self.warn(format!("to make these refs anew: git push {remote} {}", refs.join(" ")));
    }

    /// Makes the refs here, where there is no remote to have them.
    fn make_index(&self, index: &BTreeMap<String, ObjectId>) -> Result<(), LedgerError> {
        let new = index.iter().map(|(name, object)| RefUpdate {
            name: name.clone(),
            new: Some(object.clone()),
            expected: Expected::Absent,
        });
        Ok(self.repository.git().update_refs(&new.collect::<Vec<_>>(), "atmos: told by the records")?)
    }
}

/// The refs that lead to the newest record of each component, and to what runs.
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
