//! The hold: the locks of this process, with the objects that they are expected to have.
//!
//! Threads share a hold: one pushes records, another one renews. Invariant: each push has a
//! lease on the locks that it was made under, so that a run whose lock was taken over changes
//! nothing. A push that meets an unexpected lock of its own run (a concurrent renewal, a lost
//! answer) looks again and retries.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::deployment::ObjectId;
use crate::deployment::lease::Lease;
use crate::deployment::lock::{Lock, LockScope};
use crate::deployment::ref_names::lock_ref;

use super::locks::{Acquired, LockRequest, expiry};
use super::step::HoldChange;
use super::{Ledger, LedgerError};

/// The locks of a session, shared by the threads that work under them.
#[derive(Debug)]
pub(super) struct Hold {
    request: LockRequest,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    lock: Lock,
    /// The last known lock objects on the remote, by their refs. Without
    /// atomic pushes they can differ.
    seen: BTreeMap<String, ObjectId>,
    /// Every lock object that this hold has written.
    own: BTreeSet<ObjectId>,
    held: bool,
    /// Whether a push that releases the locks is in flight or has arrived.
    releasing: bool,
    entry: RunEntry,
}

/// The state of the run's own pending entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RunEntry {
    Absent,
    /// The entry is being written, or writing has failed halfway.
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

    /// The ref of a lock on this target.
    pub(super) fn name(&self, scope: &LockScope) -> String {
        name_of(&self.request, scope)
    }

    pub(super) fn is_held(&self) -> bool {
        self.state().held
    }

    /// Leaves the locks to expire with their lease.
    pub(super) fn leave(&self) {
        let mut state = self.state();
        state.held = false;
        state.seen.clear();
    }

    /// Notes that a push that releases the locks is in flight, or that it has failed.
    pub(super) fn set_releasing(&self, ledger: &Ledger<'_>, releasing: bool) {
        self.state().releasing = releasing;
        ledger.lets_go.set(false);
    }

    /// Whether the locks are being released: a missing one then was not taken over.
    pub(super) fn is_releasing(&self) -> bool {
        self.state().releasing
    }

    /// Sets the state of the run's own pending entry. Returns the previous state.
    pub(super) fn mark(&self, entry: RunEntry) -> RunEntry {
        std::mem::replace(&mut self.state().entry, entry)
    }

    pub(super) fn entry(&self) -> RunEntry {
        self.state().entry
    }

    /// Writes the lock object that renews the locks, for a push under them.
    pub(super) fn change(&self, ledger: &Ledger<'_>, release: bool) -> Result<HoldChange, LedgerError> {
        let lock = Lock { expires_at: expiry(ledger.now(), self.request.lease), ..self.lock() };
        let renewed = ledger.write_lock(&self.request, &lock)?;
        let mut state = self.state();
        state.own.insert(renewed.clone());
        Ok(HoldChange { seen: state.seen.clone(), renewed, release })
    }

    /// Notes that a push was accepted.
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

    /// Reads the locks after a conflict. Returns whether all of them are still this run's: then the
    /// answer of a push was lost, or another thread has renewed them.
    ///
    /// Where pushes are made in parts, some of the locks can be missing after a torn release.
    ///
    /// # Errors
    ///
    /// Fails where the remote does not answer.
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

    /// The locks of this hold that are left after a torn release.
    pub(super) fn left(&self) -> Vec<(String, ObjectId)> {
        let state = self.state();
        state.seen.iter().map(|(name, object)| (name.clone(), object.clone())).collect()
    }
}

fn name_of(request: &LockRequest, scope: &LockScope) -> String {
    lock_ref(&request.deployment, &request.target, scope)
}

impl Ledger<'_> {
    /// The refs of exactly these names on the remote; without a remote, the local ones.
    fn refs_there(&self, names: &[String]) -> Result<BTreeMap<String, ObjectId>, LedgerError> {
        let Some(remote) = self.reachable_remote() else { return self.local_refs(names) };
        let found = self.repository.git().remote_refs(remote, names, Some(self.options.write_limit))?;
        Ok(found.into_iter().map(|found| (found.name, found.object)).collect())
    }
}
