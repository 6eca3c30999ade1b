//! Locks that this process holds: which objects stand for them, and whether they still do.
//!
//! Several threads share a hold: one pushes records, another one renews beside it. Each push names
//! the lock that it was made under, so that a run whose lock was taken away changes nothing; a push
//! that finds a lock of its own run that it did not expect only has to look again.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::deployment::ObjectId;
use crate::deployment::lease::Lease;
use crate::deployment::lock::{Lock, LockScope};
use crate::deployment::ref_names::lock_ref;

use super::locks::{Acquired, LockRequest, expiry};
use super::step::HoldChange;
use super::{Ledger, LedgerError};

/// Locks that are held, shared by the threads that work under them.
#[derive(Debug)]
pub(super) struct Hold {
    request: LockRequest,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    lock: Lock,
    /// What the remote has of the locks, by their refs, as far as is known. Without atomic pushes
    /// they can be several objects of this hold.
    seen: BTreeMap<String, ObjectId>,
    /// Every object that was written for them.
    own: BTreeSet<ObjectId>,
    held: bool,
    /// Whether a push that lets go of the locks is on its way, or has arrived.
    releasing: bool,
    entry: RunEntry,
}

/// The run's own entry among the pending ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RunEntry {
    Absent,
    /// It is being written, or that has failed halfway.
    Unsure,
    There,
}

impl Hold {
    pub(super) fn new(request: LockRequest, acquired: &Acquired) -> Self {
        let names = request.scopes.iter().map(|scope| name_of(&request, scope));
        let seen: BTreeMap<_, _> = names.map(|name| (name, acquired.object.clone())).collect();
        let state = State {
            lock: acquired.lock.clone(),
            seen,
            own: BTreeSet::from([acquired.object.clone()]),
            held: true,
            releasing: false,
            entry: RunEntry::Absent,
        };
        Self { request, state: Mutex::new(state) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) const fn request(&self) -> &LockRequest {
        &self.request
    }

    pub(super) fn lock(&self) -> Lock {
        self.state().lock.clone()
    }

    pub(super) fn lease(&self) -> Lease {
        self.state().lock.lease()
    }

    /// The refs of the locks.
    pub(super) fn names(&self) -> Vec<String> {
        self.request.scopes.iter().map(|scope| self.name(scope)).collect()
    }

    /// The ref of a lock on the same target.
    pub(super) fn name(&self, scope: &LockScope) -> String {
        name_of(&self.request, scope)
    }

    pub(super) fn is_held(&self) -> bool {
        self.state().held
    }

    /// Leaves the locks to their lease.
    pub(super) fn leave(&self) {
        let mut state = self.state();
        state.held = false;
        state.seen.clear();
    }

    /// Takes note that a push is on its way that lets go of the locks, or that it has failed.
    pub(super) fn set_releasing(&self, ledger: &Ledger<'_>, releasing: bool) {
        self.state().releasing = releasing;
        ledger.lets_go.set(false);
    }

    /// Whether the locks are being let go of, so that one that is gone was not taken away.
    pub(super) fn is_releasing(&self) -> bool {
        self.state().releasing
    }

    /// Takes note of what is known of the run's own entry. Returns what was known before.
    pub(super) fn mark(&self, entry: RunEntry) -> RunEntry {
        std::mem::replace(&mut self.state().entry, entry)
    }

    pub(super) fn entry(&self) -> RunEntry {
        self.state().entry
    }

    /// Writes the object that renews the locks, for a push that is made under them.
    pub(super) fn change(&self, ledger: &Ledger<'_>, release: bool) -> Result<HoldChange, LedgerError> {
        let lock = Lock { expires_at: expiry(ledger.now(), self.request.lease), ..self.lock() };
        let renewed = ledger.write_lock(&self.request, &lock)?;
        let mut state = self.state();
        state.own.insert(renewed.clone());
        Ok(HoldChange { seen: state.seen.clone(), renewed, release })
    }

    /// Takes note that a push has arrived.
    pub(super) fn arrived(&self, change: &HoldChange) {
        let mut state = self.state();
        if change.release {
            state.held = false;
            state.seen.clear();
        }
        for seen in state.seen.values_mut() {
            *seen = change.renewed.clone();
        }
    }

    /// Asks the remote whose the locks are that a push did not find as expected. Returns whether
    /// all of them are still this run's: an answer was lost, or another thread has renewed them.
    /// Where pushes are made in parts, some of those that are being let go of can be gone already.
    ///
    /// # Errors
    ///
    /// Where the remote does not answer.
    pub(super) fn look(&self, ledger: &Ledger<'_>) -> Result<bool, LedgerError> {
        let names = self.names();
        let there = ledger.refs_there(&names)?;
        let mut state = self.state();
        let may_be_gone = ledger.lets_go.get();
        let ours =
            names.iter().all(|name| there.get(name).map_or(may_be_gone, |object| state.own.contains(object)));
        state.held &= ours;
        let State { seen, own, .. } = &mut *state;
        *seen = there.into_iter().filter(|(_, object)| own.contains(object)).collect();
        Ok(ours)
    }

    /// What is there of the locks that are not held together any more.
    pub(super) fn left(&self) -> Vec<(String, ObjectId)> {
        let state = self.state();
        state.seen.iter().map(|(name, object)| (name.clone(), object.clone())).collect()
    }
}

fn name_of(request: &LockRequest, scope: &LockScope) -> String {
    lock_ref(&request.deployment, &request.target, scope)
}

impl Ledger<'_> {
    /// What stands under exactly these names: on the remote, or here where there is none.
    fn refs_there(&self, names: &[String]) -> Result<BTreeMap<String, ObjectId>, LedgerError> {
        let Some(remote) = self.reachable_remote() else { return self.local_refs(names) };
        let found = self.repository.git().remote_refs(remote, names, Some(self.options.write_limit))?;
        Ok(found.into_iter().map(|found| (found.name, found.object)).collect())
    }
}
