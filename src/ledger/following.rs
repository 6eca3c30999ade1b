//! Local ref updates that mirror an accepted push.

use std::collections::HashSet;
use std::time::Instant;

use crate::deployment::ObjectId;
use crate::deployment::ref_names::{
    LATEST_PREFIX, LEDGER_PREFIX, LOCK_PREFIX, MIRROR_PREFIX, NOTES_PREFIX, STATE_PREFIX, TAGS_PREFIX,
};
use crate::git::refs::{Expected, PreparedRefs, RefUpdate};
use crate::git::transport::PushUpdate;

use super::backoff::backoff;
use super::pending::PENDING_PREFIX;
use super::refs::mirror_of;
use super::{Ledger, LedgerError};

/// The namespaces of these refs. After a failed transaction each is updated by itself.
const OWN_KINDS: [&str; 5] = [PENDING_PREFIX, MIRROR_PREFIX, TAGS_PREFIX, NOTES_PREFIX, LEDGER_PREFIX];

impl Ledger<'_> {
    /// Updates the local refs after an accepted push. Retries where the updates could not be
    /// prepared, because a live git may hold a lock for a moment.
    ///
    /// A failure is a warning: the push has happened, and the next fetch corrects the refs.
    pub(super) fn follow_here(
        &self,
        remote: &str,
        ready: Option<PreparedRefs>,
        (changes, removals, afterwards): (&[RefUpdate], &[RefUpdate], &[RefUpdate]),
        reason: &str,
    ) {
        let mut removals = match self.known_here(removals) {
            Ok(removals) => removals,
            Err(error) => {
                self.warn_of_own_copy(remote, &error);
                Vec::new()
            }
        };
        removals.extend_from_slice(afterwards);
        if ready.is_some_and(|ready| ready.commit(&removals).is_ok()) {
            return;
        }
        let Err(error) = self.update_patiently(&[changes, &removals].concat(), reason) else { return };
        self.warn_of_own_copy(remote, &error);
        // One locked ref fails the whole transaction, so try each namespace by itself.
        for kind in OWN_KINDS {
            let of_kind = |update: &&RefUpdate| own_kind(&update.name) == kind;
            let some: Vec<_> = changes.iter().chain(&removals).filter(of_kind).cloned().collect();
            if let Err(error) = self.update_patiently(&some, reason) {
                tracing::debug!(%error, kind, "refs of this checkout stay as they are");
            }
        }
    }

    /// Updates local refs, with retries while another git process holds a lock.
    fn update_patiently(&self, updates: &[RefUpdate], reason: &str) -> Result<(), LedgerError> {
        let began = Instant::now();
        for attempt in 0.. {
            match self.restoring(|| Ok(self.repository.git().update_refs(updates, reason)?)) {
                Err(LedgerError::Git(error))
                    if error.is_briefly_locked() && began.elapsed() < self.persistence =>
                {
                    std::thread::sleep(backoff(attempt));
                }
                outcome => return outcome,
            }
        }
        Ok(())
    }

    fn warn_of_own_copy(&self, remote: &str, error: &LedgerError) {
        self.warn(format!("{remote} has it all, but this checkout's own copy could not be moved: {error}"));
        if let LedgerError::Git(error) = error
            && let Some((when, command)) = error.way_out()
        {
            self.warn(format!("{when}: {command}"));
        }
    }

    /// The removals of refs that exist here.
    fn known_here(&self, removals: &[RefUpdate]) -> Result<Vec<RefUpdate>, LedgerError> {
        if removals.is_empty() {
            return Ok(Vec::new());
        }
        let names: Vec<_> = removals.iter().map(|removal| &removal.name).collect();
        let here: HashSet<_> = self.repository.refs(&names)?.into_iter().map(|found| found.name).collect();
        Ok(removals.iter().filter(|removal| here.contains(&removal.name)).cloned().collect())
    }
}

/// The local updates and removals after an accepted step, in the mirror and in the local ledger.
///
/// Locks exist in the mirror only. New ones are mirrored by the next fetch,
/// because every acquisition has to fetch anyway. Refs that the remote had before
/// were copied when they were read.
pub(super) fn after_push(
    remote: &str,
    pushed: impl IntoIterator<Item = PushUpdate>,
) -> (Vec<RefUpdate>, Vec<RefUpdate>) {
    let change = |name: String, new: &Option<ObjectId>| RefUpdate {
        name,
        new: new.clone(),
        expected: Expected::Anything,
    };
    let mut updates = Vec::new();
    for update in pushed.into_iter().filter(|update| update.new != update.expected) {
        let name = &update.name;
        if name.starts_with(LOCK_PREFIX) && update.new.is_some() {
            continue;
        }
        if [STATE_PREFIX, LATEST_PREFIX, LOCK_PREFIX, NOTES_PREFIX].iter().any(|kind| name.starts_with(kind))
        {
            updates.push(change(mirror_of(remote, name), &update.new));
        }
        if !name.starts_with(LOCK_PREFIX) {
            updates.push(change(name.clone(), &update.new));
        }
    }
    updates.into_iter().partition(|update| update.new.is_some())
}

/// The one of [`OWN_KINDS`] that a ref belongs to.
fn own_kind(name: &str) -> &'static str {
    OWN_KINDS.into_iter().find(|kind| name.starts_with(kind)).unwrap_or_default()
}
