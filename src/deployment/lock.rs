//! Locks: held by a rollout on a component, or by a freeze on a target.

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
    /// The unique id of the run that holds it.
    pub run_id: String,
    /// The URL of the run.
    pub run_url: Option<String>,
    pub reason: Option<String>,
    pub acquired_at: Timestamp,
    /// Absent: until it is removed by hand.
    pub expires_at: Option<Timestamp>,
    /// The lease, in whole seconds, from each renewal on. Absent in locks of earlier versions.
    pub lease: Option<Duration>,
    /// The host and process that hold it, so that a dead holder can be detected on the same
    /// machine.
    pub host: Option<String>,
    pub process: Option<u32>,
    /// The start time of that process, in the kernel's ticks, to detect reused process ids.
    pub process_started: Option<u64>,
    /// The id of its user on that host. Absent in locks of earlier versions.
    pub user: Option<u32>,
    /// Identifies this acquisition of the lock across renewals: the jobs of a run share the run's
    /// id.
    pub session: Option<String>,
    /// The intended commits of the run's components: what it may have applied if it dies.
    pub intends: BTreeMap<ComponentName, CommitId>,
    /// The ends of these components' chains when the lock was acquired: such a record belongs to an
    /// earlier rollout.
    pub follows: BTreeMap<ComponentName, ObjectId>,
}

/// A lock together with its object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldLock {
    pub scope: LockScope,
    pub object: ObjectId,
    pub lock: Lock,
}

impl Lock {
    /// A lock whose contents cannot be parsed: still a lock, without an expiry.
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

    /// Whether the lease has expired at this time of day. A lock without an expiry never does.
    #[must_use]
    pub fn expired(&self, now: Timestamp) -> bool {
        self.expires_at.is_some_and(|expiry| expiry <= now)
    }

    /// Its lease, or the default for locks of earlier versions.
    #[must_use]
    pub fn lease(&self) -> Lease {
        Lease(self.lease.unwrap_or(LEASE))
    }

    /// Whether the lock is for publishing kept records.
    #[must_use]
    pub fn is_publication(&self) -> bool {
        self.reason.as_deref() == Some(PUBLISHING)
    }
}
