//! Records of what dead runs had set out to do (`ledger.md`, "What crashes and refusals may not do").
//!
//! A run that dies while a component works may have applied it. Its lock says at which commits it wanted its components, so
//! that a taker of the lock can say of each of them that it is not known how it ended.

use std::collections::BTreeMap;

use crate::deployment::lock::{HeldLock, Lock, LockScope};
use crate::deployment::record::{LedgerRecord, RecordDetails};
use crate::deployment::ref_names::{ComponentAddress, TAGS_PREFIX, latest_ref};
use crate::deployment::{ComponentName, DeploymentName, Record, RecordStatus, TargetName};

use super::snapshot::Snapshot;
use super::step::Step;
use super::{Ledger, LedgerError};

/// What stands in the error of such a record.
const INTERRUPTED: &str = "interrupted";

impl Ledger<'_> {
    /// The record of a component that a dead run may have applied; `None` where its lock says nothing of the component, or
    /// the run has recorded it: `newest` is the component's newest record.
    ///
    /// # Errors
    ///
    /// Where the commit is not here and cannot be fetched.
    pub(super) fn interrupted(
        &self,
        lock: &Lock,
        address: &ComponentAddress,
        newest: Option<&LedgerRecord>,
    ) -> Result<Option<Record>, LedgerError> {
        let recorded = newest.and_then(|newest| newest.record.run_id.as_deref()) == Some(&lock.run_id);
        let Some(commit) = lock.intends.get(&address.component).filter(|_| !recorded) else {
            return Ok(None);
        };
        if !self.objects.contains(&commit.0) {
            self.fetch_commit(commit)?;
        }
        let now = self.now();
        Ok(Some(Record {
            deployment: address.deployment.clone(),
            target: address.target.clone(),
            component: address.component.clone(),
            component_type: newest.and_then(|newest| newest.record.component_type),
            deployed_by: Some(lock.holder.clone()),
            build_id: None,
            commit: commit.clone(),
            timestamp: crate::deployment::record::in_whole_seconds(now),
            status: RecordStatus::Cancelled,
            promoted_from: None,
            promoted_at: None,
            rollback_of: None,
            previous: None,
            run_id: Some(lock.run_id.clone()),
            artifacts: BTreeMap::new(),
            sources: BTreeMap::new(),
            context_overrides: BTreeMap::new(),
            metadata: BTreeMap::new(),
            details: Box::new(RecordDetails {
                error: Some(INTERRUPTED.to_owned()),
                run_url: lock.run_url.clone(),
                published_by: Some(self.options.writer.1.clone()),
                ..RecordDetails::default()
            }),
            unknown: serde_json::Map::new(),
        }))
    }

    /// Adds to a step what is known of the runs whose locks it removes.
    pub(super) fn add_interrupted(
        &self,
        step: &mut Step,
        deployment: &DeploymentName,
        target: &TargetName,
        locks: &[HeldLock],
        snapshot: &Snapshot,
    ) -> Result<(), LedgerError> {
        for HeldLock { scope, lock, .. } in locks {
            let LockScope::Component(component) = scope else { continue };
            let address = ComponentAddress {
                deployment: deployment.clone(),
                target: target.clone(),
                component: component.clone(),
            };
            let head = snapshot.head(&address);
            let Some(mut record) = self.interrupted(lock, &address, head)? else { continue };
            record.previous = head.map(|head| head.object.clone());
            record.details.number = match head {
                Some(head) => head.record.details.number.and_then(|number| number.checked_add(1)),
                None => Some(1),
            };
            let second = record.timestamp;
            let sequence =
                head.filter(|head| head.id.timestamp == second).map_or(1, |head| head.id.sequence + 1);
            let written = self.write_record(record, sequence)?;
            let latest = latest_ref(deployment, target, component);
            let refs = if self.remote().is_some() { &snapshot.known.remote } else { &snapshot.known.local };
            step.create(format!("{TAGS_PREFIX}{}", written.id.tag_name()), written.object.clone());
            step.set(latest.clone(), written.object, refs.get(&latest));
        }
        Ok(())
    }
}

/// The components of a lock, for those that take several at once.
pub(super) fn intended(locks: &[Lock]) -> impl Iterator<Item = (&Lock, &ComponentName)> {
    let mut seen = std::collections::BTreeSet::new();
    let distinct = locks.iter().filter(move |lock| seen.insert(lock.run_id.clone()));
    distinct.flat_map(|lock| lock.intends.keys().map(move |component| (lock, component)))
}
