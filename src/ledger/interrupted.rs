//! Records of interrupted components of dead runs (`ledger.md`, "What crashes and refusals may not
//! do").
//!
//! A run that dies while a component runs may have applied it. Its lock names the intended commits,
//! so that the run that takes the lock over can record each component as interrupted.

use std::collections::{BTreeMap, BTreeSet};

use crate::deployment::lock::{HeldLock, Lock, LockScope};
use crate::deployment::record::{INTERRUPTED, LedgerRecord, RecordDetails, in_whole_seconds};
use crate::deployment::ref_names::{ComponentAddress, latest_ref};
use crate::deployment::{DeploymentName, ObjectId, Record, RecordStatus, TargetName};

use super::chains::Chains;
use super::line::has_fork;
use super::snapshot::Snapshot;
use super::step::{Step, StepOutcome};
use super::strays::untold;
use super::{Ledger, LedgerError, Scope};

/// The unfinished work of dead runs.
#[derive(Debug, Default)]
pub(super) struct Remains {
    /// Components that they may have applied without a record.
    pub(super) interrupted: Vec<Record>,
    /// Their own records that are torn, on a server without atomic pushes: only the tags have
    /// arrived, or all refs but the states.
    pub(super) torn: Vec<LedgerRecord>,
}

/// The remains of torn pushes.
#[derive(Debug, Default)]
pub(super) struct Parts {
    /// Records that extend the chains and that no index ref leads to yet.
    pub(super) torn: BTreeMap<ComponentAddress, LedgerRecord>,
    /// Records outside of the chains that no late record publishes, oldest first, with the next
    /// free sequences of their seconds.
    pub(super) strays: Vec<(LedgerRecord, u32)>,
}

impl Remains {
    /// The components that they are about.
    pub(super) fn components(&self) -> impl Iterator<Item = ComponentAddress> {
        let torn = self.torn.iter().map(|record| ComponentAddress::of(&record.id));
        self.interrupted.iter().map(ComponentAddress::of_record).chain(torn)
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.interrupted.is_empty() && self.torn.is_empty()
    }
}

impl Ledger<'_> {
    /// The unfinished work of the holders of these locks, each lock for its own component.
    ///
    /// Components are left out that the lock does not name, or that its holder has recorded: at the
    /// end of the chain, or pending in this checkout.
    ///
    /// A commit that cannot be fetched is a warning: no record can tag it, and
    /// the lock must be removed anyway.
    ///
    /// # Errors
    ///
    /// Fails where the histories of torn records cannot be read.
    pub(super) fn remains(
        &self,
        deployment: &DeploymentName,
        target: &TargetName,
        locks: &[HeldLock],
        snapshot: &Snapshot,
    ) -> Result<Remains, LedgerError> {
        let intended: BTreeMap<_, _> = locks
            .iter()
            .filter_map(|held| {
                let LockScope::Component(component) = &held.scope else { return None };
                let (deployment, target, component) = (deployment.clone(), target.clone(), component.clone());
                Some((ComponentAddress { deployment, target, component }, &held.lock))
            })
            .filter(|(address, lock)| lock.intends.contains_key(&address.component))
            .collect();
        let mut remains = Remains::default();
        if self.pushes_in_parts() {
            let led_to = intended.iter().filter_map(|(address, lock)| stateless(lock, address, snapshot));
            remains.torn.extend(led_to);
        }
        let is_unrecorded =
            |(address, lock): &(ComponentAddress, &Lock)| !is_recorded(lock, address, snapshot);
        let unrecorded: BTreeMap<_, _> = intended.into_iter().filter(is_unrecorded).collect();
        if unrecorded.is_empty() {
            return Ok(remains);
        }
        let mut torn = self.torn(&unrecorded.keys().cloned().collect(), snapshot)?;
        for (address, lock) in &unrecorded {
            match torn.remove(address) {
                Some(torn) => remains.torn.push(torn),
                None => remains.interrupted.extend(self.interrupted_by(lock, address, snapshot)),
            }
        }
        Ok(remains)
    }

    /// The torn records of which only the tags have arrived. Invariant: the next record of such a
    /// component follows the torn one, or the chain would fork.
    pub(super) fn torn(
        &self,
        components: &BTreeSet<ComponentAddress>,
        snapshot: &Snapshot,
    ) -> Result<BTreeMap<ComponentAddress, LedgerRecord>, LedgerError> {
        Ok(self.parts(components, snapshot)?.torn)
    }

    /// The remains of torn pushes of any run.
    pub(super) fn parts(
        &self,
        components: &BTreeSet<ComponentAddress>,
        snapshot: &Snapshot,
    ) -> Result<Parts, LedgerError> {
        let mut parts = Parts::default();
        if components.is_empty() {
            return Ok(parts);
        }
        let refs = snapshot.authoritative(self);
        for (address, history) in self.component_histories(components)? {
            let ComponentAddress { deployment, target, component } = &address;
            let end = refs.get(&latest_ref(deployment, target, component));
            if let Some(end) = end.filter(|_| has_fork(&history)) {
                parts.strays.extend(untold(&self.line(&address, end, &history), &history));
            }
            // A ledger without index refs was written by plain git, or copied as tags alone.
            if end.is_none() && history.len() > 1 {
                continue;
            }
            let is_torn = |found: &&LedgerRecord| {
                found.record.previous.as_ref() == end && found.record.details.number.is_some()
            };
            if let Some(torn) = history.iter().find(is_torn).cloned() {
                parts.torn.insert(address, torn);
            }
        }
        Ok(parts)
    }

    /// Records the unfinished work of holders whose locks a freeze has taken over.
    ///
    /// # Errors
    ///
    /// Fails where the remote does not answer or refuses.
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
        match self.execute(&step, "atmos: interrupted", &[])? {
            StepOutcome::Accepted => Ok(()),
            StepOutcome::Contended(_) => Err(LedgerError::Contended(format!("{deployment}/{target}"))),
        }
    }

    /// Adds records of the unfinished work of these locks' holders to a step.
    pub(super) fn add_interrupted(
        &self,
        step: &mut Step,
        deployment: &DeploymentName,
        target: &TargetName,
        locks: &[HeldLock],
        snapshot: &Snapshot,
    ) -> Result<(), LedgerError> {
        let remains = self.remains(deployment, target, locks, snapshot)?;
        let components: Vec<_> = remains.components().collect();
        let mut chains = Chains::of(self, snapshot, &components);
        self.add_remains(step, &mut chains, remains, snapshot.authoritative(self))
    }

    /// Adds the unfinished work of dead runs to a step.
    pub(super) fn add_remains(
        &self,
        step: &mut Step,
        chains: &mut Chains,
        remains: Remains,
        refs: &BTreeMap<String, ObjectId>,
    ) -> Result<(), LedgerError> {
        for record in remains.interrupted {
            let sequence = chains.next_sequence(&ComponentAddress::of_record(&record), record.timestamp);
            let written = chains.append(self, record, sequence)?;
            step.tag(&written);
            step.lead_to(&written, refs);
        }
        for record in remains.torn {
            step.lead_to(&record, refs);
            chains.put(record);
        }
        Ok(())
    }

    fn interrupted_by(&self, lock: &Lock, address: &ComponentAddress, snapshot: &Snapshot) -> Option<Record> {
        let commit = lock.intends.get(&address.component)?;
        let newest = snapshot.newest(address);
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
            details: RecordDetails {
                error: Some(INTERRUPTED.to_owned()),
                run_url: lock.run_url.clone(),
                published_by: Some(self.options.writer.1.clone()),
                ..RecordDetails::default()
            },
            unknown: serde_json::Map::new(),
        })
    }
}

/// Whether the holder of a lock has recorded a component: at the end of the
/// chain, or pending in this checkout.
fn is_recorded(lock: &Lock, address: &ComponentAddress, snapshot: &Snapshot) -> bool {
    let is_kept = || {
        let runs = snapshot.pending.iter().filter(|run| run.session.is_some() && run.session == lock.session);
        runs.flat_map(|run| &run.records).any(|record| ComponentAddress::of(&record.id) == *address)
    };
    snapshot.newest(address).is_some_and(|newest| is_of(lock, newest)) || is_kept()
}

/// The holder's record at the end of the chain whose state is missing: torn, because states are
/// pushed last on a server without atomic pushes.
fn stateless(lock: &Lock, address: &ComponentAddress, snapshot: &Snapshot) -> Option<LedgerRecord> {
    let newest = snapshot.newest(address).filter(|newest| is_of(lock, newest))?;
    let state =
        snapshot.deployments.get(&address.deployment)?.component(&address.target, &address.component)?;
    let is_torn = newest.record.status == RecordStatus::Success
        && state.commit.as_ref() != Some(&newest.record.commit)
        && !snapshot.late_heads.contains_key(address);
    is_torn.then(|| LedgerRecord::clone(newest))
}

/// Whether a record was made under a lock. The jobs of a run share its id, and a run may roll out
/// twice.
fn is_of(lock: &Lock, found: &LedgerRecord) -> bool {
    found.record.run_id.as_ref() == Some(&lock.run_id)
        && found.record.timestamp >= lock.acquired_at
        && lock.follows.get(&found.id.component) != Some(&found.object)
}
