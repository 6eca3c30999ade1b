//! Publication of pending records whose runs have ended (`ledger.md`, "Late records").

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::time::Duration;

use crate::deployment::lease::{PUBLICATION_LEASE, PUBLISHING};
use crate::deployment::lock::{HeldLock, Lock, LockScope};
use crate::deployment::record::LedgerRecord;
use crate::deployment::ref_names::{ComponentAddress, latest_ref, state_ref};
use crate::deployment::{DeploymentName, ObjectId, RecordStatus, TargetName};
use crate::git::refs::{Expected, RefUpdate};

use super::PendingRun;
use super::placement::{Arrived, Placement, place};
use crate::ledger::chains::Chains;
use crate::ledger::interrupted::Remains;
use crate::ledger::locks::{AcquireError, Acquired, LockRequest, lock_session};
use crate::ledger::session::Session;
use crate::ledger::step::{Step, StepOutcome};
use crate::ledger::{Holder, Ledger, LedgerError, Scope, Snapshot};

/// The most attempts of a publication that loses races.
const ATTEMPTS: usize = 20;

/// The result of publishing pending records.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Published {
    /// The number of records that the remote has accepted.
    pub records: usize,
    /// The number of these that came after newer records of their component, marked as late.
    pub late: usize,
    /// The number of runs without pending records now.
    pub runs: usize,
    /// The holders of locks that are in the way.
    pub waiting_for: Vec<String>,
    /// The errors of runs whose records were refused. Those of other runs may have arrived.
    pub failures: Vec<String>,
}

/// The publication of one run's pending records.
struct Publication<'p, 'l> {
    ledger: &'p Ledger<'l>,
    run: &'p PendingRun,
    /// All of the run's records, oldest first.
    records: Vec<LedgerRecord>,
    /// The pending refs that hold them.
    kept: Vec<(String, ObjectId)>,
    published: Published,
    earlier: BTreeMap<ComponentAddress, Earlier>,
}

/// Records of a component that were pending from an earlier run of this checkout and have
/// just been published unchanged.
#[derive(Debug, Clone)]
struct Earlier {
    /// The predecessor of the first of them.
    base: Option<ObjectId>,
    end: LedgerRecord,
}

/// One push, and the form in which each of the run's records of the target is part of it.
struct Plan {
    step: Step,
    /// By the records' indices.
    written: BTreeMap<usize, LedgerRecord>,
    records: usize,
    late: usize,
}

impl Ledger<'_> {
    /// Publishes pending records of runs that have ended, under the locks of their components, so
    /// that no running rollout is overtaken. Records whose locks are held stay pending.
    ///
    /// # Errors
    ///
    /// Fails where the remote does not answer or cannot be read; the records then stay pending. A
    /// refusal concerns one run ([`Published::failures`]) and does not hold up the others.
    pub fn publish_pending(&self, runs: &[PendingRun]) -> Result<Published, LedgerError> {
        let mut published = Published::default();
        if self.reachable_remote().is_none() {
            return Ok(published);
        }
        let mut earlier = BTreeMap::new();
        let mut ended: Vec<_> = runs.iter().filter(|run| !run.may_be_alive(self.now())).collect();
        // Oldest first, because later runs follow earlier ones in the chains.
        ended.sort_by_key(|run| run.records.first().map(|record| record.record.timestamp));
        for run in ended {
            let mut publication = Publication {
                ledger: self,
                run,
                records: run.records.clone(),
                kept: run.refs.clone(),
                published,
                earlier,
            };
            let result = publication.publish();
            Publication { published, earlier, .. } = publication;
            match result {
                Err(error @ LedgerError::Git(_)) => return Err(error),
                Err(error) => published.failures.push(format!("run {}: {error}", run.run_id)),
                Ok(()) => {}
            }
        }
        Ok(published)
    }
}

impl Publication<'_, '_> {
    fn publish(&mut self) -> Result<(), LedgerError> {
        let targets: BTreeSet<_> = self
            .records
            .iter()
            .map(|record| (record.id.deployment.clone(), record.id.target.clone()))
            .collect();
        let mut all = true;
        for (deployment, target) in targets {
            all &= self.publish_target(deployment, target)?;
        }
        if all {
            self.forget()?;
        }
        Ok(())
    }

    /// Deletes the pending refs of a run whose records have arrived. Unreadable ones stay.
    fn forget(&mut self) -> Result<(), LedgerError> {
        let is_readable = |(name, _): &&(String, ObjectId)| !self.run.unreadable.contains(name);
        let arrived = removals(self.kept.iter().filter(is_readable));
        self.ledger.repository.git().update_refs(&arrived, "atmos: published")?;
        self.published.runs += usize::from(self.run.unreadable.is_empty());
        Ok(())
    }

    /// Publishes the run's records of one target. Returns `false` where another run holds a lock.
    fn publish_target(
        &mut self,
        deployment: DeploymentName,
        target: TargetName,
    ) -> Result<bool, LedgerError> {
        let scope = Scope::Targets(deployment.clone(), vec![target.clone()]);
        let request = self.lock_request(deployment, target);
        let snapshot = self.ledger.read(&scope)?;
        let acquired = self
            .ledger
            .acquire(&request, &snapshot, &mut |_| Ok(Vec::new()), &mut |_, _| ControlFlow::Break(()));
        match acquired {
            Ok(acquired) => {
                self.publish_under(request, acquired, &scope)?;
                Ok(true)
            }
            Err(AcquireError::Held(held)) => {
                self.published.waiting_for.extend(held.into_iter().map(|held| held.lock.holder));
                Ok(false)
            }
            Err(AcquireError::Ledger(error)) => Err(error),
        }
    }

    fn lock_request(&self, deployment: DeploymentName, target: TargetName) -> LockRequest {
        let holder = Holder::current();
        let of_target =
            |record: &&LedgerRecord| record.id.deployment == deployment && record.id.target == target;
        let components: BTreeSet<_> =
            self.records.iter().filter(of_target).map(|record| record.id.component.clone()).collect();
        LockRequest {
            deployment,
            target,
            scopes: components.into_iter().map(LockScope::Component).collect(),
            lock: Lock {
                holder: self.ledger.options.writer.1.clone(),
                run_id: format!("publish:{}", uuid::Uuid::now_v7().simple()),
                run_url: None,
                reason: Some(PUBLISHING.to_owned()),
                // Set when it is acquired.
                acquired_at: self.ledger.now(),
                expires_at: None,
                lease: Some(PUBLICATION_LEASE),
                host: holder.host,
                process: Some(holder.process),
                process_started: holder.started,
                user: Some(holder.user),
                session: Some(lock_session()),
                intends: BTreeMap::new(),
                follows: BTreeMap::new(),
            },
            lease: Some(PUBLICATION_LEASE),
            wait: Duration::ZERO,
            replaces: self.run.session.clone().filter(|_| self.run.has_ended()),
            ends_orphans: false,
        }
    }

    /// Publishes the run's records of a target under its locks.
    fn publish_under(
        &mut self,
        request: LockRequest,
        acquired: Acquired,
        scope: &Scope,
    ) -> Result<(), LedgerError> {
        // The run's own locks on these components need no interrupted records: its
        // pending records tell how they ended.
        let is_own = |held: &HeldLock| held.lock.session.is_some() && held.lock.session == self.run.session;
        let dead: Vec<_> = acquired.taken_over.iter().filter(|held| !is_own(held)).cloned().collect();
        let (deployment, target) = (request.deployment.clone(), request.target.clone());
        // Dropping the session releases the locks, also after an error.
        let session = Session::new(self.ledger, request, acquired);
        // The sequences of late records whose names were taken.
        let mut sequences = BTreeMap::new();
        session.hold().set_releasing(self.ledger, true);
        for _ in 0..ATTEMPTS {
            self.ledger.refresh_states_or_fail(scope)?;
            let snapshot = self.ledger.read(scope)?;
            // The run's locks on components that it has not recorded.
            let left = match &self.run.session {
                Some(ended) => snapshot.locks_of(&deployment, &target, ended),
                None => Vec::new(),
            };
            // A run that ended by itself has records of all that it did. A
            // killed one may have applied more.
            let interrupted = if self.run.lock.is_some() { &left[..] } else { &[] };
            let dead = [&dead[..], interrupted].concat();
            self.line_up(&deployment, &target, &snapshot)?;
            let mut plan = self.plan(&deployment, &target, &sequences, &dead, &snapshot)?;
            for held in left {
                plan.step.delete(session.hold().name(&held.scope), held.object);
            }
            let change = session.hold().change(self.ledger, true)?;
            plan.step.under(change.clone());
            match self.ledger.execute(&plan.step, "atmos: publish", &[])? {
                StepOutcome::Accepted => {
                    session.hold().arrived(&change);
                    self.published.records += plan.records;
                    self.published.late += plan.late;
                    self.went_up(plan.written.into_values());
                    return Ok(());
                }
                StepOutcome::Contended(rejected) => {
                    if !session.hold().look(self.ledger)? {
                        return Err(LedgerError::LockLost(target.to_string()));
                    }
                    let is_taken = |written: &LedgerRecord| {
                        let tag = written.id.tag_ref();
                        rejected.iter().any(|(name, _)| *name == tag)
                    };
                    let mut names: BTreeSet<_> =
                        plan.written.values().map(|written| written.id.clone()).collect();
                    for (at, written) in plan.written.into_iter().filter(|(_, written)| is_taken(written)) {
                        let sequence = written.id.next_sequence(&mut names);
                        if written.is_late() {
                            sequences.insert(at, sequence);
                        } else {
                            self.rename(at, sequence)?;
                        }
                    }
                }
            }
        }
        Err(LedgerError::Contended(format!("{deployment}/{target}")))
    }

    /// The push that appends the run's records of a target to the remote's chains, with
    /// records of interrupted components.
    fn plan(
        &self,
        deployment: &DeploymentName,
        target: &TargetName,
        sequences: &BTreeMap<usize, u32>,
        dead: &[HeldLock],
        snapshot: &Snapshot,
    ) -> Result<Plan, LedgerError> {
        let ledger = self.ledger;
        let of_target = || {
            let records = self.records.iter().enumerate();
            records.filter(|(_, record)| record.id.deployment == *deployment && record.id.target == *target)
        };
        let remains = ledger.remains(deployment, target, dead, snapshot)?;
        let mut components: BTreeSet<_> =
            of_target().map(|(_, record)| ComponentAddress::of(&record.id)).collect();
        components.extend(remains.components());
        let mut chains = Chains::of(ledger, snapshot, &components);
        let refs = snapshot.authoritative(ledger);
        let mut plan = Plan { step: Step::default(), written: BTreeMap::new(), records: 0, late: 0 };
        if ledger.pushes_in_parts() {
            let is_own = |torn: &LedgerRecord| self.records.iter().any(|kept| kept.object == torn.object);
            let torn = ledger.torn(&components, snapshot)?.into_values().filter(|torn| !is_own(torn));
            let torn = Remains { torn: torn.collect(), ..Remains::default() };
            ledger.add_remains(&mut plan.step, &mut chains, torn, refs)?;
        }
        let mut arrived = self.arrived(of_target().map(|(_, record)| record), &chains)?;
        for (at, kept) in of_target() {
            let address = ComponentAddress::of(&kept.id);
            let latest = latest_ref(&address.deployment, &address.target, &address.component);
            let state = state_ref(&address.deployment, &address.target, &address.component);
            let (lease, running) = (refs.get(&latest), refs.get(&state));
            let placement = place(kept, chains.end(&address), arrived.get(&address));
            if placement != Placement::Arrived && !ledger.objects.contains(&kept.record.commit.0) {
                ledger.fetch_commit(&kept.record.commit).map_err(|_| LedgerError::CommitMissing {
                    tag: kept.id.tag_name(),
                    commit: kept.record.commit.clone(),
                })?;
            }
            let written = if placement == Placement::Late {
                let free = || arrived.get_mut(&address).map(|arrived| arrived.free_sequence(kept));
                let sequence = sequences.get(&at).copied().or_else(free);
                chains.append_late(ledger, kept, sequence.unwrap_or(kept.id.sequence))?
            } else {
                kept.clone()
            };
            if placement == Placement::AsWritten {
                chains.put(kept.clone());
            }
            let mut changes = placement != Placement::Arrived && placement != Placement::Newest;
            if placement != Placement::Arrived {
                plan.step.tag(&written);
            }
            let is_end = chains.end(&address) == Some(&written.object);
            if is_end && lease != Some(&written.object) {
                plan.step.set(latest, written.object.clone(), lease);
                changes = true;
            }
            let commit = &written.record.commit.0;
            let runs = is_end && !written.is_late() && written.record.status == RecordStatus::Success;
            if runs && running != Some(commit) {
                plan.step.set(state, commit.clone(), running);
                changes = true;
            }
            plan.records += usize::from(changes);
            plan.late += usize::from(placement == Placement::Late);
            plan.written.insert(at, written);
        }
        ledger.add_remains(&mut plan.step, &mut chains, remains, refs)?;
        Ok(plan)
    }

    /// The remote's histories of components where the end of the chain
    /// does not decide the placement.
    fn arrived<'r>(
        &self,
        records: impl Iterator<Item = &'r LedgerRecord>,
        chains: &Chains,
    ) -> Result<BTreeMap<ComponentAddress, Arrived>, LedgerError> {
        let mut oldest: BTreeMap<ComponentAddress, &LedgerRecord> = BTreeMap::new();
        for record in records {
            oldest.entry(ComponentAddress::of(&record.id)).or_insert(record);
        }
        let is_told = |(address, record): &(ComponentAddress, &LedgerRecord)| {
            matches!(place(record, chains.end(address), None), Placement::Newest | Placement::AsWritten)
        };
        let untold: BTreeSet<_> =
            oldest.into_iter().filter(|oldest| !is_told(oldest)).map(|(address, _)| address).collect();
        if untold.is_empty() {
            return Ok(BTreeMap::new());
        }
        let histories = self.ledger.component_histories(&untold)?;
        let arrived = histories.into_iter().map(|(address, records)| {
            let chain = chains.end(&address).map(|end| self.ledger.line(&address, end, &records));
            let arrived = Arrived::new(&records, chain.as_ref());
            (address, arrived)
        });
        Ok(arrived.collect())
    }
}

/// Removals of refs, with the values that were read as leases.
fn removals<'k>(kept: impl IntoIterator<Item = &'k (String, ObjectId)>) -> Vec<RefUpdate> {
    let removal = |(name, object): &(String, ObjectId)| RefUpdate {
        name: name.clone(),
        new: None,
        expected: Expected::Object(object.clone()),
    };
    kept.into_iter().map(removal).collect()
}

mod rewriting;
#[cfg(test)]
mod tests;
