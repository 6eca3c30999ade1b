//! A session: a run that holds its locks, records components as they end, and releases the locks.
//!
//! Records are durable here first: [`Session::keep`] needs no network. A [`Delivery`] pushes them
//! and a [`Renewal`] renews the locks, each on a thread of its own.
//!
//! [`Delivery`]: super::Delivery
//! [`Renewal`]: super::Renewal

use std::sync::Arc;

use crate::deployment::lease::Lease;
use crate::deployment::lock::{HeldLock, Lock, LockScope};
use crate::deployment::record::{LedgerRecord, in_whole_seconds};
use crate::deployment::ref_names::ComponentAddress;
use crate::deployment::{Record, TargetName};
use crate::git::refs::{Expected, RefUpdate};

use super::chains::Chains;
use super::delivery::{Delivery, Exchange, Renewal};
use super::hold::{Hold, RunEntry};
use super::interrupted::Remains;
use super::kept::{Kept, keep};
use super::locks::{Acquired, LockRequest};
use super::pending::run_ref;
use super::refs::KnownRefs;
use super::snapshot::Snapshot;
use super::step::Step;
use super::{Ledger, LedgerError, Scope};

/// A run that holds its locks.
#[derive(Debug)]
pub struct Session<'l, 'r> {
    ledger: &'l Ledger<'r>,
    hold: Arc<Hold>,
    known: KnownRefs,
    chains: Chains,
    /// The locks of dead or overdue runs that were taken over.
    taken_over: Vec<HeldLock>,
}

impl<'l, 'r> Session<'l, 'r> {
    /// Starts a session from acquired locks.
    #[must_use]
    pub fn new(ledger: &'l Ledger<'r>, request: LockRequest, acquired: Acquired) -> Self {
        Self {
            ledger,
            hold: Arc::new(Hold::new(request, &acquired)),
            known: KnownRefs::default(),
            chains: Chains::default(),
            taken_over: acquired.taken_over,
        }
    }

    /// Fetches the remote's state under the locks. The run's own locks are not mirrored: each would
    /// be a ref to write and to delete again.
    ///
    /// # Errors
    ///
    /// Fails where the remote does not answer in time, or where the mirror cannot be written.
    pub fn refresh(&self, scope: &Scope) -> Result<(), LedgerError> {
        self.ledger.refresh_without(scope, &self.hold.names())
    }

    /// Takes the state on which records are appended. Invariant: it was read *after* the locks were
    /// acquired, or the first push is a conflict.
    pub fn begin_from(&mut self, snapshot: &Snapshot) {
        let components: Vec<_> = self.components().collect();
        self.chains = Chains::of(self.ledger, snapshot, &components);
        self.known = snapshot.known.clone();
    }

    /// The components that are locked.
    fn components(&self) -> impl Iterator<Item = ComponentAddress> {
        let LockRequest { deployment, target, scopes, .. } = self.hold.request();
        scopes.iter().filter_map(|scope| match scope {
            LockScope::Component(component) => Some(ComponentAddress {
                deployment: deployment.clone(),
                target: target.clone(),
                component: component.clone(),
            }),
            LockScope::Target => None,
        })
    }

    /// Records as interrupted the components that runs whose locks were taken over may have applied
    /// without a record. Returns whether there were any.
    ///
    /// # Errors
    ///
    /// Fails where histories cannot be read, or where the remote refuses or does not answer.
    pub fn record_interrupted(&mut self, snapshot: &Snapshot) -> Result<bool, LedgerError> {
        let LockRequest { deployment, target, .. } = self.hold.request();
        let mut remains = self.ledger.remains(deployment, target, &self.taken_over, snapshot)?;
        let mut strays = Vec::new();
        if self.ledger.pushes_in_parts() {
            // Without atomic pushes any run may have left a torn record,
            // also one that released its locks.
            let known: Vec<_> = remains.components().collect();
            let others = self.components().filter(|component| !known.contains(component)).collect();
            let parts = self.ledger.parts(&others, snapshot)?;
            remains.torn.extend(parts.torn.into_values());
            strays = parts.strays;
        }
        if remains.is_empty() && strays.is_empty() {
            return Ok(false);
        }
        let Remains { interrupted, torn } = remains;
        let records = interrupted.into_iter().map(|record| self.write(record)).collect::<Result<_, _>>()?;
        let mut kept = self.keep(records)?;
        // Torn records: their tags are on the remote, and the index refs are missing.
        kept.records.extend(torn);
        self.push_on_chains(&mut kept)?;
        // One push for each: a name that is taken meanwhile changes the record and its successors.
        for (stray, sequence) in strays {
            let late = self.chains.append_late(self.ledger, &stray, sequence)?;
            let mut kept = self.keep(vec![late])?;
            self.push_on_chains(&mut kept)?;
        }
        Ok(true)
    }

    /// Pushes records, at most one of a component, and makes them the ends of the chains.
    fn push_on_chains(&mut self, kept: &mut Kept) -> Result<(), LedgerError> {
        if !kept.is_empty() {
            Exchange::new(self.ledger, &self.hold, &mut self.known).push(kept, false)?;
        }
        for record in &kept.records {
            self.chains.put(record.clone());
        }
        Ok(())
    }

    /// The first lock of a dead or overdue run that was taken over.
    #[must_use]
    pub fn taken_over(&self) -> Option<&Lock> {
        self.taken_over.first().map(|held| &held.lock)
    }

    /// The lease of the locks.
    #[must_use]
    pub fn lease(&self) -> Lease {
        self.hold.lease()
    }

    /// The target whose locks are held.
    #[must_use]
    pub fn target(&self) -> &TargetName {
        &self.hold.request().target
    }

    /// The id that its child processes inherit in [`SESSION_VARIABLE`](super::SESSION_VARIABLE).
    #[must_use]
    pub fn id(&self) -> Option<String> {
        self.hold.lock().session
    }

    /// Does not release the locks at the end, for an unreachable
    /// remote: they expire with their lease.
    pub fn leave_locks(&self) {
        self.hold.leave();
    }

    /// The session's only [`Delivery`], for the pushing thread.
    #[must_use]
    pub fn delivery(&mut self) -> Delivery<'r> {
        Delivery::new(self.ledger, Arc::clone(&self.hold), std::mem::take(&mut self.known))
    }

    /// A [`Renewal`], for the renewing thread.
    #[must_use]
    pub fn renewal(&self) -> Renewal<'r> {
        Renewal::new(self.ledger, Arc::clone(&self.hold))
    }

    /// Writes a component's record; no ref leads to it yet. Sets the time, the number and the
    /// predecessor.
    ///
    /// The time is this machine's, even where the predecessor's is later: one skewed clock must not
    /// date all records that follow. Invariant: it is never before the acquisition of the locks,
    /// even if the clock goes back, so that a record is known to be made under them.
    ///
    /// # Errors
    ///
    /// Fails where this repository cannot be written, or where the record cannot be signed.
    pub fn write(&mut self, mut record: Record) -> Result<LedgerRecord, LedgerError> {
        let second = in_whole_seconds(self.ledger.now()).max(self.hold.lock().acquired_at);
        record.timestamp = second;
        record.promoted_at = record.promoted_from.is_some().then_some(second);
        // An older record can have the same name after a clock went back;
        // the push then renames this one.
        let sequence = self.chains.next_sequence(&ComponentAddress::of_record(&record), second);
        self.chains.append(self.ledger, record, sequence)
    }

    /// Makes records durable as pending refs, oldest first. From then on neither a killed process
    /// nor an unreachable remote loses them.
    ///
    /// # Errors
    ///
    /// Fails where this repository cannot be written.
    pub fn keep(&self, records: Vec<LedgerRecord>) -> Result<Kept, LedgerError> {
        let batches = keep(self.ledger, &self.hold, &records)?.into_iter().collect();
        super::failpoint("kept");
        Ok(Kept { records, batches })
    }

    /// Releases the locks without recording anything.
    ///
    /// # Errors
    ///
    /// Fails where the remote refuses or does not answer, or where another run has taken the locks
    /// over.
    pub fn release(&mut self) -> Result<(), LedgerError> {
        Exchange::new(self.ledger, &self.hold, &mut self.known).push(&mut Kept::default(), true)
    }

    /// The hold, for pushes under its locks.
    pub(super) fn hold(&self) -> &Hold {
        &self.hold
    }
}

impl Drop for Session<'_, '_> {
    /// Releases the locks, however the run ends; on an unreachable remote they expire. Any command
    /// may publish the pending records from here on.
    fn drop(&mut self) {
        if self.hold.mark(RunEntry::Absent) != RunEntry::Absent {
            let name = run_ref(&self.hold.lock());
            let ended = RefUpdate { name, new: None, expected: Expected::Anything };
            if let Err(error) = self.ledger.repository.git().update_refs(&[ended], "atmos: ended") {
                self.ledger.warn(format!("what is kept waits for the lease of this run: {error}"));
            }
        }
        let released = if self.hold.is_held() {
            self.release()
        } else {
            let mut step = Step::default();
            for (name, object) in self.hold.left() {
                step.delete(name, object);
            }
            self.ledger.execute(&step, "atmos: unlock", &[]).map(drop)
        };
        if let Err(error) = released {
            self.ledger.warn(format!("the locks of this run could not be given back: {error}"));
        }
    }
}

#[cfg(test)]
mod tests;
