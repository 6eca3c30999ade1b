//! Records of what dead runs had set out to do (`ledger.md`, "What crashes and refusals may not
//! do").
//!
//! A run that dies while a component works may have applied it. Its lock says at which commits it
//! wanted its components, so that a taker of the lock can record each of them as interrupted.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::deployment::lock::{HeldLock, LockScope};
use crate::deployment::record::{LedgerRecord, RecordDetails, in_whole_seconds};
use crate::deployment::ref_names::{ComponentAddress, TAGS_PREFIX, latest_ref};
use crate::deployment::{DeploymentName, ObjectId, Record, RecordStatus, TargetName};

use super::chains::Chains;
use super::snapshot::Snapshot;
use super::step::{Step, StepOutcome};
use super::{Ledger, LedgerError, Scope};

/// What stands in the error of such a record.
const INTERRUPTED: &str = "interrupted";

impl Ledger<'_> {
    /// The records of what the holders of these locks may have applied, each lock of its own
    /// component. None of a component that the lock does not speak of, or that its holder has
    /// recorded.
    ///
    /// A commit that cannot be had is a warning: no record can be on it, and the lock has to go all
    /// the same.
    pub(super) fn interrupted(
        &self,
        deployment: &DeploymentName,
        target: &TargetName,
        locks: &[HeldLock],
        snapshot: &Snapshot,
    ) -> Vec<Record> {
        let address = |component| ComponentAddress {
            deployment: deployment.clone(),
            target: target.clone(),
            component,
        };
        locks
            .iter()
            .filter_map(|held| match &held.scope {
                LockScope::Component(component) => {
                    self.interrupted_by(held, &address(component.clone()), snapshot)
                }
                LockScope::Target => None,
            })
            .collect()
    }

    /// Records what the holders of locks may have applied that a freeze has taken over.
    ///
    /// # Errors
    ///
    /// Where the remote cannot be read or refuses.
    pub fn record_interrupted(
        &self,
        deployment: &DeploymentName,
        target: &TargetName,
        taken_over: &[HeldLock],
    ) -> Result<(), LedgerError> {
        if taken_over.is_empty() {
            return Ok(());
        }
        let scope = Scope::Targets(deployment.clone(), vec![target.clone()]);
        self.refresh_states_or_fail(&scope)?;
        let snapshot = self.read(&scope)?;
        let mut step = Step::default();
        self.add_interrupted(&mut step, deployment, target, taken_over, &snapshot)?;
        match self.carry_out(&step, "atmos: interrupted", &[])? {
            StepOutcome::Accepted => Ok(()),
            StepOutcome::Contended(_) => Err(LedgerError::Contended(format!("{deployment}/{target}"))),
        }
    }

    /// Adds what the holders of these locks may have applied to what is pushed.
    pub(super) fn add_interrupted(
        &self,
        step: &mut Step,
        deployment: &DeploymentName,
        target: &TargetName,
        locks: &[HeldLock],
        snapshot: &Snapshot,
    ) -> Result<(), LedgerError> {
        let interrupted = self.interrupted(deployment, target, locks, snapshot);
        let components: Vec<_> = interrupted.iter().map(ComponentAddress::of_record).collect();
        let mut chains = Chains::of(self, snapshot, &components);
        for record in interrupted {
            self.append_to_step(step, &mut chains, record, snapshot.authoritative(self))?;
        }
        Ok(())
    }

    /// Adds a record on top of its chain to what is pushed.
    pub(super) fn append_to_step(
        &self,
        step: &mut Step,
        chains: &mut Chains,
        record: Record,
        refs: &BTreeMap<String, ObjectId>,
    ) -> Result<(), LedgerError> {
        let address = ComponentAddress::of_record(&record);
        let sequence = chains.next_sequence(&address, record.timestamp);
        let written = chains.append(self, record, sequence)?;
        let latest = latest_ref(&address.deployment, &address.target, &address.component);
        let lease = refs.get(&latest);
        step.create(format!("{TAGS_PREFIX}{}", written.id.tag_name()), written.object.clone());
        step.set(latest, written.object, lease);
        Ok(())
    }

    fn interrupted_by(
        &self,
        held: &HeldLock,
        address: &ComponentAddress,
        snapshot: &Snapshot,
    ) -> Option<Record> {
        let lock = &held.lock;
        let commit = lock.intends.get(&address.component)?;
        let newest = snapshot.newest(address);
        // The jobs of a run share its id, and a run may roll out twice.
        let is_of_holder = |found: &Arc<LedgerRecord>| {
            found.record.run_id.as_ref() == Some(&lock.run_id)
                && found.record.timestamp >= lock.acquired_at
                && lock.follows.get(&address.component) != Some(&found.object)
        };
        if newest.is_some_and(is_of_holder) {
            return None;
        }
        if !self.objects.contains(&commit.0)
            && let Err(error) = self.fetch_commit(commit)
        {
            self.warn(format!(
                "run {} may have applied {} at commit {commit}, which cannot be recorded: {error}",
                lock.run_id, address.component
            ));
            return None;
        }
        Some(Record {
            deployment: address.deployment.clone(),
            target: address.target.clone(),
            component: address.component.clone(),
            component_type: newest.and_then(|newest| newest.record.component_type),
            deployed_by: Some(lock.holder.clone()),
            build_id: None,
            commit: commit.clone(),
            timestamp: in_whole_seconds(self.now()),
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
        })
    }
}
