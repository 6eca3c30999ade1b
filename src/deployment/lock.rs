//! Locks: who is working on a component or has frozen a target.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;

use super::commit::{CommitId, ObjectId};
use super::lease::{LEASE, Lease, PUBLISHING};
use super::names::ComponentName;

/// The scope of a lock.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LockScope {
    /// One component of a target; held by a rollout.
    Component(ComponentName),
    /// The whole target; a freeze.
    Target,
}

/// The contents of a lock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lock {
    /// The holder: a person or a CI identity.
    pub holder: String,
    /// The run that holds it, unique to it.
    pub run_id: String,
    /// Where to look at the run.
    pub run_url: Option<String>,
    pub reason: Option<String>,
    pub acquired_at: Timestamp,
    /// Absent: until it is removed by hand.
    pub expires_at: Option<Timestamp>,
    /// How long it lives after each renewal, in whole seconds. Earlier versions did not say.
    pub lease: Option<Duration>,
    /// The host and process that hold it, so that the same machine can tell a dead holder.
    pub host: Option<String>,
    pub process: Option<u32>,
    /// When that process started, in the kernel's ticks, against reused process ids.
    pub process_started: Option<u64>,
    /// The number of its user there. Earlier versions did not say.
    pub user: Option<u32>,
    /// Identifies the taking of the lock, which renewals keep: the jobs of a run share its id.
    pub session: Option<String>,
    /// The commits at which the run wants its components: what it may have applied where it dies.
    pub intends: BTreeMap<ComponentName, CommitId>,
    /// The ends of these components' chains when the lock was taken: a record that is one of them
    /// is of an earlier rollout.
    pub follows: BTreeMap<ComponentName, ObjectId>,
}

/// A lock together with the object that stands for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldLock {
    pub scope: LockScope,
    pub object: ObjectId,
    pub lock: Lock,
}

impl Lock {
    /// A lock whose contents cannot be read: still a lock, without an expiry.
    #[must_use]
    pub fn unreadable() -> Self {
        Self {
            holder: "unknown".to_owned(),
            run_id: "unknown".to_owned(),
            run_url: None,
            reason: None,
            acquired_at: Timestamp::UNIX_EPOCH,
            expires_at: None,
            lease: None,
            host: None,
            process: None,
            process_started: None,
            user: None,
            session: None,
            intends: BTreeMap::new(),
            follows: BTreeMap::new(),
        }
    }

    /// Whether the lease has run out by this time of day. A lock without an expiry never does.
    #[must_use]
    pub fn expired(&self, now: Timestamp) -> bool {
        self.expires_at.is_some_and(|expiry| expiry <= now)
    }

    /// Its lease, or what was the rule before locks said it.
    #[must_use]
    pub fn lease(&self) -> Lease {
        Lease(self.lease.unwrap_or(LEASE))
    }

    /// Whether kept records are published under it.
    #[must_use]
    pub fn is_publication(&self) -> bool {
        self.reason.as_deref() == Some(PUBLISHING)
    }
}
