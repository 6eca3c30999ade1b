//! Rewrites of pending records before they are pushed: under another sequence of their second, or
//! behind those of an earlier run of this checkout.
//!
//! The pending refs are updated before the push: otherwise an interruption would publish the
//! records twice.

use std::collections::BTreeSet;

use super::{Earlier, Publication, removals};
use crate::deployment::record::{LedgerRecord, Record};
use crate::deployment::ref_names::ComponentAddress;
use crate::deployment::{DeploymentName, ObjectId, TargetName};
use crate::git::refs::Ref;
use crate::ledger::chains::Chains;
use crate::ledger::pending::RUN_ENTRY;
use crate::ledger::pending::placement::{Placement, place};
use crate::ledger::{LedgerError, Snapshot, batch};

impl Publication<'_, '_> {
    /// Gives a record another sequence of its second, because its name is taken, and rewrites its
    /// successors.
    pub(super) fn rename(&mut self, at: usize, sequence: u32) -> Result<(), LedgerError> {
        let before = self.records[at].object.clone();
        self.records[at] = self.ledger.write_record(Record::clone(&self.records[at].record), sequence)?;
        self.rewrite_followers(at, before)?;
        self.keep_anew()
    }

    /// Stores the records that were published unchanged, for later runs of this checkout.
    pub(super) fn went_up(&mut self, written: impl Iterator<Item = LedgerRecord>) {
        for record in written.filter(|record| !record.is_late()) {
            let address = ComponentAddress::of(&record.id);
            let base = match self.earlier.remove(&address) {
                Some(earlier) => earlier.base,
                None => record.record.previous.clone(),
            };
            self.earlier.insert(address, Earlier { base, end: record });
        }
    }

    /// Places the run's records of a target behind those of an earlier run of this checkout: both
    /// have the same predecessor, because the remote did not have the earlier ones yet.
    pub(super) fn line_up(
        &mut self,
        deployment: &DeploymentName,
        target: &TargetName,
        snapshot: &Snapshot,
    ) -> Result<(), LedgerError> {
        let siblings: Vec<_> = self
            .records
            .iter()
            .enumerate()
            .filter(|(_, kept)| kept.id.deployment == *deployment && kept.id.target == *target)
            .filter_map(|(at, kept)| {
                let earlier = self.earlier.get(&ComponentAddress::of(&kept.id))?;
                let end = &earlier.end;
                let follows = kept.record.previous == earlier.base
                    && kept.object != end.object
                    && kept.record.timestamp >= end.record.timestamp;
                follows.then(|| (at, end.clone()))
            })
            .collect();
        if siblings.is_empty() {
            return Ok(());
        }
        let components: BTreeSet<_> = siblings.iter().map(|(_, end)| ComponentAddress::of(&end.id)).collect();
        let chains = Chains::of(self.ledger, snapshot, &components);
        let arrived = self.arrived(siblings.iter().map(|(at, _)| &self.records[*at]), &chains)?;
        for (at, end) in siblings {
            let address = ComponentAddress::of(&end.id);
            let chain_end = chains.end(&address);
            let is_late = place(&self.records[at], chain_end, arrived.get(&address)) == Placement::Late;
            if is_late && chain_end == Some(&end.object) {
                let before = self.records[at].object.clone();
                self.records[at] = self.written_behind(&end, at)?;
                self.rewrite_followers(at, before)?;
                self.keep_anew()?;
            }
        }
        Ok(())
    }

    /// Rewrites one of the run's records as the successor of another one.
    fn written_behind(&self, previous: &LedgerRecord, at: usize) -> Result<LedgerRecord, LedgerError> {
        let LedgerRecord { id, mut record, .. } = self.records[at].clone();
        record.previous = Some(previous.object.clone());
        record.details.number = previous.record.details.number.and_then(|number| number.checked_add(1));
        self.ledger.write_record(*record, id.sequence)
    }

    /// Rewrites the successors of a record whose object has changed.
    fn rewrite_followers(&mut self, at: usize, mut before: ObjectId) -> Result<(), LedgerError> {
        let mut last = at;
        for follower in at + 1..self.records.len() {
            if self.records[follower].record.previous.as_ref() == Some(&before) {
                before = self.records[follower].object.clone();
                self.records[follower] = self.written_behind(&self.records[last], follower)?;
                last = follower;
            }
        }
        Ok(())
    }

    /// Stores the current records as pending, and removes the outdated pending refs.
    fn keep_anew(&mut self) -> Result<(), LedgerError> {
        let ledger = self.ledger;
        let tags: Vec<_> = self.records.iter().map(|record| &record.object).collect();
        let batch = batch::write(&ledger.objects, &tags)?;
        let entry = Ref { name: self.run.batch_ref(&batch), object: batch };
        ledger.repository.make_refs(vec![entry.clone()], "atmos: to be published")?;
        let stays = |(name, _): &(String, ObjectId)| {
            name.ends_with(RUN_ENTRY) || *name == entry.name || self.run.unreadable.contains(name)
        };
        let (mut kept, outdated): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.kept).into_iter().partition(stays);
        ledger.repository.git().update_refs(&removals(&outdated), "atmos: to be published")?;
        kept.push((entry.name, entry.object));
        self.kept = kept;
        Ok(())
    }
}
