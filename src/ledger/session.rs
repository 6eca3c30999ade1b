//! A run that holds its locks: records what it does, as it does it, and lets go.

use std::time::Duration;

use crate::deployment::count::count_are;
use crate::deployment::lock::{HeldLock, Lock, LockScope};
use crate::deployment::record::{LedgerRecord, in_whole_seconds};
use crate::deployment::ref_names::{ComponentAddress, TAGS_PREFIX, latest_ref, lock_ref, state_ref};
use crate::deployment::{ObjectId, Record, RecordId, RecordStatus};
use crate::git::refs::{Expected, Ref, RefUpdate};

use super::chains::Chains;
use super::locks::{Acquired, LockRequest, expiry};
use super::pending::{batch_ref, run_ref};
use super::refs::KnownRefs;
use super::snapshot::Snapshot;
use super::step::{Step, StepOutcome};
use super::{Ledger, LedgerError, Scope, batch, failpoint};

/// How many records of one component one second can have before something is wrong.
const MAX_SEQUENCE: u32 = 1000;

/// Records that did not reach the remote. They are kept here, and the next command publishes them.
#[derive(Debug, thiserror::Error)]
#[error("{} not published: {source}", count_are(*.kept, "record"))]
pub struct Unpublished {
    pub kept: usize,
    #[source]
    pub source: LedgerError,
}

/// A run that holds its locks.
#[derive(Debug)]
pub struct Session<'l, 'r> {
    ledger: &'l Ledger<'r>,
    request: LockRequest,
    lock: Lock,
    lock_object: ObjectId,
    known: KnownRefs,
    chains: Chains,
    /// Whether the run's own entry among the pending ones is there.
    marked: bool,
    locked: bool,
    /// The locks of dead or overdue runs that were in the way.
    taken_over: Vec<HeldLock>,
    delivery: Delivery,
}

/// Whether records still go to the remote.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Delivery {
    /// As they come.
    Direct,
    /// The remote did not take earlier ones: what follows is kept here, in its order.
    Deferred,
    /// The network failed: the remote is not even asked to free the locks.
    Unreachable,
}

impl<'l, 'r> Session<'l, 'r> {
    /// Starts from locks that were taken.
    #[must_use]
    pub fn new(ledger: &'l Ledger<'r>, request: LockRequest, acquired: Acquired) -> Self {
        Self {
            ledger,
            request,
            lock: acquired.lock,
            lock_object: acquired.object,
            known: KnownRefs::default(),
            chains: Chains::default(),
            marked: false,
            locked: true,
            taken_over: acquired.taken_over,
            delivery: Delivery::Direct,
        }
    }

    /// Asks the remote for what it has now that the locks are taken. These need not be mirrored here for as long as the run
    /// holds them: every lock would be a file to write and to remove again.
    pub fn refresh(&self, scope: &Scope) -> Result<(), LedgerError> {
        self.ledger.refresh_without(scope, &self.lock_names())
    }

    /// Takes over the state as it was read *after* the locks were taken: what is recorded goes on top of it.
    pub fn begin_from(&mut self, snapshot: &Snapshot) {
        let components: Vec<_> = self.components().collect();
        self.chains = Chains::of(self.ledger, snapshot, &components);
        self.known = snapshot.known.clone();
    }

    /// The components that are locked.
    fn components(&self) -> impl Iterator<Item = ComponentAddress> {
        let LockRequest { deployment, target, scopes, .. } = &self.request;
        scopes.iter().filter_map(|scope| match scope {
            LockScope::Component(component) => Some(ComponentAddress {
                deployment: deployment.clone(),
                target: target.clone(),
                component: component.clone(),
            }),
            LockScope::Target => None,
        })
    }

    /// Records what the runs may have applied whose locks were taken over and that have recorded
    /// nothing of it. Returns whether there was anything.
    ///
    /// # Errors
    ///
    /// Where that cannot be recorded.
    pub fn record_interrupted(&mut self, snapshot: &Snapshot) -> Result<bool, LedgerError> {
        let LockRequest { deployment, target, .. } = &self.request;
        let interrupted = self.ledger.interrupted(deployment, target, &self.taken_over, snapshot);
        if interrupted.is_empty() {
            return Ok(false);
        }
        let records = interrupted.into_iter().map(|record| self.write(record)).collect::<Result<_, _>>()?;
        self.publish(records, false).map_err(|unpublished| unpublished.source)?;
        Ok(true)
    }

    /// The lock of a dead or overdue run that was in the way, if there was one.
    #[must_use]
    pub fn taken_over(&self) -> Option<&Lock> {
        self.taken_over.first().map(|held| &held.lock)
    }

    /// Publishes records that were written with [`Self::write`], oldest first, and lets go of the locks in the same push where
    /// `last` says so. Their names may change on the way: the tag of a second can be taken already.
    pub fn publish(
        &mut self,
        mut records: Vec<LedgerRecord>,
        last: bool,
    ) -> Result<Vec<LedgerRecord>, Unpublished> {
        match self.push(&mut records, last) {
            Ok(()) => Ok(records),
            Err(source) => {
                let network = matches!(source, LedgerError::Git(_));
                self.delivery = if network { Delivery::Unreachable } else { Delivery::Deferred };
                Err(Unpublished { kept: records.len(), source })
            }
        }
    }

    /// Writes a component's record; no ref leads to it yet. Sets the time, the number and the
    /// predecessor.
    ///
    /// The time is that of this machine, even where the predecessor's is later: a clock that was
    /// wrong once must not date all records that follow.
    pub fn write(&mut self, mut record: Record) -> Result<LedgerRecord, LedgerError> {
        let second = in_whole_seconds(self.ledger.now());
        record.timestamp = second;
        record.promoted_at = record.promoted_from.is_some().then_some(second);
        // An older record can have the name as well, after a clock went back: then the push renames it.
        let sequence = self.chains.next_sequence(&ComponentAddress::of_record(&record), second);
        self.chains.append(self.ledger, record, sequence)
    }

    fn push(&mut self, records: &mut [LedgerRecord], last: bool) -> Result<(), LedgerError> {
        let ledger = self.ledger;
        let mut with_locks = last && self.locked;
        let mut kept = None;
        loop {
            kept = self.mark_pending(records, kept)?;
            failpoint("kept");
            if self.delivery != Delivery::Direct && !records.is_empty() {
                return Err(LedgerError::Deferred);
            }
            let step = self.step(records, with_locks);
            match ledger.carry_out(&step, "atmos: rollout", &self.pending_removals(kept.as_ref(), last))? {
                StepOutcome::Accepted => {
                    self.accepted(&step, with_locks, last);
                    return Ok(());
                }
                StepOutcome::Contended(reasons) => {
                    let contended = |name: &String| reasons.iter().any(|(guilty, _)| guilty == name);
                    let lock_lost = with_locks && self.lock_names().iter().any(contended);
                    let mut renamed = false;
                    for record in records.iter_mut() {
                        let tag = format!("{TAGS_PREFIX}{}", record.id.tag_name());
                        if contended(&tag) && record.id.sequence < MAX_SEQUENCE {
                            let sequence = record.id.sequence + 1;
                            *record = self.chains.replace(ledger, record.record.clone(), sequence)?;
                            renamed = true;
                        }
                    }
                    if lock_lost {
                        with_locks = false;
                        ledger.warn("the lock of this run was taken away while it worked".to_owned());
                    } else if !renamed {
                        return Err(self.moved(records));
                    }
                }
            }
        }
    }

    /// The refs that change with these records.
    fn step(&self, records: &[LedgerRecord], release: bool) -> Step {
        let mut step = Step::default();
        for record in records {
            let RecordId { deployment, target, component, .. } = &record.id;
            let latest = latest_ref(deployment, target, component);
            let state = state_ref(deployment, target, component);
            step.create(format!("{TAGS_PREFIX}{}", record.id.tag_name()), record.object.clone());
            let seen = self.seen(&latest);
            step.set(latest, record.object.clone(), seen.as_ref());
            if record.record.status == RecordStatus::Success {
                let seen = self.seen(&state);
                step.set(state, record.record.commit.0.clone(), seen.as_ref());
            }
        }
        if release {
            self.release_in(&mut step);
        }
        step
    }

    /// What a ref was when it was last read, where it is to be compared.
    fn seen(&self, name: &str) -> Option<ObjectId> {
        let refs = if self.ledger.remote().is_some() { &self.known.remote } else { &self.known.local };
        refs.get(name).cloned()
    }

    fn accepted(&mut self, step: &Step, released: bool, last: bool) {
        let refs =
            if self.ledger.remote().is_some() { &mut self.known.remote } else { &mut self.known.local };
        for update in step.updates() {
            match &update.new {
                Some(object) => refs.insert(update.name.clone(), object.clone()),
                None => refs.remove(&update.name),
            };
        }
        self.locked &= !released && !last;
        self.marked &= !last;
    }

    /// Somebody else moved a component that this run had locked: by hand, or after its lease had run out.
    fn moved(&self, records: &[LedgerRecord]) -> LedgerError {
        let RecordId { deployment, target, .. } = match records.first() {
            Some(record) => &record.id,
            None => return LedgerError::LockLost(self.request.target.to_string()),
        };
        let scope = Scope::Targets(deployment.clone(), vec![target.clone()]);
        let fresh = self.ledger.refresh_or_fail(&scope).and_then(|()| self.ledger.read(&scope));
        let moved = fresh.ok().and_then(|fresh| {
            let state = fresh.deployment(deployment);
            records.iter().find_map(|record| {
                let newest = state.component(target, &record.id.component)?.newest.clone()?;
                (Some(&newest.object) != record.record.previous.as_ref())
                    .then(|| (record.id.component.clone(), newest))
            })
        });
        match moved {
            Some((component, by)) => LedgerError::Moved { target: target.clone(), component, by: Some(by) },
            None => LedgerError::Contended(format!("{deployment}/{target}")),
        }
    }

    /// Keeps the records here until the remote has them, in place of what `before` kept of them under other names.
    /// Returns what keeps them. Without a remote there is nothing to wait for.
    fn mark_pending(
        &mut self,
        records: &[LedgerRecord],
        before: Option<ObjectId>,
    ) -> Result<Option<ObjectId>, LedgerError> {
        if self.ledger.remote().is_none() || records.is_empty() {
            return Ok(None);
        }
        let run = &self.lock;
        let kept = batch::write(&self.ledger.objects, records.iter().map(|record| &record.object))?;
        let mut entries = vec![Ref { name: batch_ref(run, &kept), object: kept.clone() }];
        if !self.marked {
            // Must be written first: a batch without a run entry counts as left behind, and another
            // command publishes it.
            entries.insert(0, Ref { name: run_ref(run), object: self.lock_object.clone() });
            self.marked = true;
        }
        let repository = self.ledger.repository;
        repository.make_refs(entries, "atmos: to be published")?;
        if let Some(before) = before.filter(|before| *before != kept) {
            let outdated =
                RefUpdate { name: batch_ref(run, &before), new: None, expected: Expected::Anything };
            repository.git().update_refs(&[outdated], "atmos: to be published")?;
        }
        Ok(Some(kept))
    }

    /// What is no longer pending once these records have arrived.
    fn pending_removals(&self, kept: Option<&ObjectId>, last: bool) -> Vec<RefUpdate> {
        let run = &self.lock;
        let entry = (last && self.marked).then(|| run_ref(run));
        kept.map(|kept| batch_ref(run, kept))
            .into_iter()
            .chain(entry)
            .map(|name| RefUpdate { name, new: None, expected: Expected::Anything })
            .collect()
    }

    /// Lets go of the locks without recording anything.
    pub fn release(&mut self) -> Result<(), LedgerError> {
        self.push(&mut [], true)
    }

    /// Adds the release of the locks to what is pushed.
    pub(super) fn release_in(&self, step: &mut Step) {
        for name in self.lock_names() {
            step.delete(name, self.lock_object.clone());
        }
    }

    /// Takes note that such a push has arrived.
    pub(super) const fn released(&mut self) {
        self.locked = false;
    }

    /// Makes the lease last longer. An error means that the lock is not held any more or the remote is away.
    pub fn renew(&mut self) -> Result<(), LedgerError> {
        let now = self.ledger.now();
        let lock = Lock { expires_at: expiry(now, self.request.lease), ..self.lock.clone() };
        let object = self.ledger.write_lock(&self.request, &lock)?;
        let mut step = Step::default();
        for name in self.lock_names() {
            step.set(name, object.clone(), Some(&self.lock_object));
        }
        match self.ledger.carry_out(&step, "atmos: renew", &[])? {
            StepOutcome::Accepted => {
                self.lock_object = object;
                self.lock = lock;
                Ok(())
            }
            StepOutcome::Contended(_) => {
                self.locked = false;
                Err(LedgerError::LockLost(self.request.target.to_string()))
            }
        }
    }

    /// How long until the lease should be renewed.
    #[must_use]
    pub fn renewal_interval(&self) -> Duration {
        self.request.lease.unwrap_or(Duration::from_hours(1)) / 3
    }

    fn lock_names(&self) -> Vec<String> {
        self.request.scopes.iter().map(|scope| self.lock_name(scope)).collect()
    }

    /// The name of a lock on the target.
    pub(super) fn lock_name(&self, scope: &LockScope) -> String {
        lock_ref(&self.request.deployment, &self.request.target, scope)
    }
}

impl Drop for Session<'_, '_> {
    /// No lock is left behind, however the run ends. A remote that is away frees them by their
    /// lease. What is kept is free to be published by any command from here on.
    fn drop(&mut self) {
        if self.marked {
            let name = run_ref(&self.lock);
            let ended = RefUpdate { name, new: None, expected: Expected::Anything };
            if let Err(error) = self.ledger.repository.git().update_refs(&[ended], "atmos: ended") {
                self.ledger.warn(format!("what is kept waits for the lease of this run: {error}"));
            }
        }
        if !self.locked || self.delivery == Delivery::Unreachable {
            return;
        }
        let mut step = Step::default();
        self.release_in(&mut step);
        if let Err(error) = self.ledger.carry_out(&step, "atmos: unlock", &[]) {
            self.ledger.warn(format!("the locks of this run could not be given back: {error}"));
        }
    }
}
