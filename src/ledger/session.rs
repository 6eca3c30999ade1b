//! A run that holds its locks: writes what it does, as it does it, and lets go.
//!
//! What a run has done is durable here first: [`Session::keep`] costs no network. A [`Delivery`]
//! brings it to the remote, and a [`Renewal`] keeps the locks; both work on threads of their own.
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
    /// The locks of dead or overdue runs that were in the way.
    taken_over: Vec<HeldLock>,
}

impl<'l, 'r> Session<'l, 'r> {
    /// Starts from locks that were taken.
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

    /// Asks the remote for what it has now that the locks are taken. These need not
    /// be mirrored here for as long as the run holds them: every lock would be a
    /// file to write and to remove again.
    ///
    /// # Errors
    ///
    /// Fails where the remote does not answer in time, or where the mirror cannot be written.
    pub fn refresh(&self, scope: &Scope) -> Result<(), LedgerError> {
        self.ledger.refresh_without(scope, &self.hold.names())
    }

    /// Takes over the state as it was read *after* the locks were taken: what
    /// is recorded goes on top of it.
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

    /// Records what the runs may have applied whose locks were taken over and that have recorded
    /// nothing of it. Returns whether there was anything.
    ///
    /// # Errors
    ///
    /// Where that cannot be recorded.
    pub fn record_interrupted(&mut self, snapshot: &Snapshot) -> Result<bool, LedgerError> {
        let LockRequest { deployment, target, .. } = self.hold.request();
        let mut remains = self.ledger.remains(deployment, target, &self.taken_over, snapshot)?;
        let mut strays = Vec::new();
        if self.ledger.pushes_in_parts() {
            // Any run may have left a record half there, also one that has let go of its locks.
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
        // Their tags are there already: what leads to them is pushed.
        kept.records.extend(torn);
        self.push_on_chains(&mut kept)?;
        // Each by itself: a name that is taken meanwhile changes the record, and what follows it.
        for (stray, sequence) in strays {
            let late = self.chains.append_late(self.ledger, &stray, sequence)?;
            let mut kept = self.keep(vec![late])?;
            self.push_on_chains(&mut kept)?;
        }
        Ok(true)
    }

    /// Pushes records, one of a component, which are the ends of the chains then.
    fn push_on_chains(&mut self, kept: &mut Kept) -> Result<(), LedgerError> {
        if !kept.is_empty() {
            Exchange::new(self.ledger, &self.hold, &mut self.known).push(kept, false)?;
        }
        for record in &kept.records {
            self.chains.put(record.clone());
        }
        Ok(())
    }

    /// The lock of a dead or overdue run that was in the way, if there was one.
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

    /// What its components' processes carry in [`SESSION_VARIABLE`](super::SESSION_VARIABLE).
    #[must_use]
    pub fn id(&self) -> Option<String> {
        self.hold.lock().session
    }

    /// Leaves the locks to their lease: the remote is away, and is not asked once more at the end.
    pub fn leave_locks(&self) {
        self.hold.leave();
    }

    /// What brings records to the remote, for another thread. There is one for a session.
    #[must_use]
    pub fn delivery(&mut self) -> Delivery<'r> {
        Delivery::new(self.ledger, Arc::clone(&self.hold), std::mem::take(&mut self.known))
    }

    /// What keeps the locks, for another thread.
    #[must_use]
    pub fn renewal(&self) -> Renewal<'r> {
        Renewal::new(self.ledger, Arc::clone(&self.hold))
    }

    /// Writes a component's record; no ref leads to it yet. Sets the time, the number and the
    /// predecessor.
    ///
    /// The time is that of this machine, even where the predecessor's is later: a clock that was
    /// wrong once must not date all records that follow. It is none before the locks were taken,
    /// where the clock goes back meanwhile: by that, a record is known to be made under them.
    ///
    /// # Errors
    ///
    /// Fails where this repository cannot be written, or where the record cannot be signed.
    pub fn write(&mut self, mut record: Record) -> Result<LedgerRecord, LedgerError> {
        let second = in_whole_seconds(self.ledger.now()).max(self.hold.lock().acquired_at);
        record.timestamp = second;
        record.promoted_at = record.promoted_from.is_some().then_some(second);
        // An older record can have the name as well, after a clock went back: then the push renames
        // it.
        let sequence = self.chains.next_sequence(&ComponentAddress::of_record(&record), second);
        self.chains.append(self.ledger, record, sequence)
    }

    /// Keeps records here until the remote has them, oldest first. From then on neither a killed
    /// process nor a remote that has gone loses them.
    ///
    /// # Errors
    ///
    /// Where this repository cannot be written.
    pub fn keep(&self, records: Vec<LedgerRecord>) -> Result<Kept, LedgerError> {
        let batches = keep(self.ledger, &self.hold, &records)?.into_iter().collect();
        super::failpoint("kept");
        Ok(Kept { records, batches })
    }

    /// Lets go of the locks without recording anything.
    ///
    /// # Errors
    ///
    /// Fails where the remote refuses or does not answer, or where another run has taken the locks
    /// over.
    pub fn release(&mut self) -> Result<(), LedgerError> {
        Exchange::new(self.ledger, &self.hold, &mut self.known).push(&mut Kept::default(), true)
    }

    /// The hold, for a push that is made under it.
    pub(super) fn hold(&self) -> &Hold {
        &self.hold
    }
}

impl Drop for Session<'_, '_> {
    /// No lock is left behind, however the run ends. A remote that is away frees them by their
    /// lease. What is kept is free to be published by any command from here on.
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
            self.ledger.carry_out(&step, "atmos: unlock", &[]).map(drop)
        };
        if let Err(error) = released {
            self.ledger.warn(format!("the locks of this run could not be given back: {error}"));
        }
    }
}

#[cfg(test)]
mod tests;
