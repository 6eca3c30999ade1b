//! `locks`: the locks of runs, and freezes.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use super::{Document, is_false};
use crate::deployment::lock::{HeldLock, LockScope};
use crate::deployment::{CommitId, ComponentName, DeploymentName, ObjectId, TargetName};

/// The locks that are held.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct LockList {
    pub locks: Vec<LockItem>,
}

impl Document for LockList {
    const KIND: &'static str = "LockList";
}

/// The locks that a command took.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct LockResult {
    pub locks: Vec<LockItem>,
    /// Who works on a frozen target all the same, having started before.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub still_running: Vec<LockItem>,
}

impl Document for LockResult {
    const KIND: &'static str = "LockResult";
}

/// The locks that a command took away.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct UnlockResult {
    pub deployment: DeploymentName,
    pub target: TargetName,
    /// Empty where nothing was locked.
    pub unlocked: Vec<LockItem>,
    /// The target's other locks.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub still_locked: Vec<LockItem>,
    /// The components whose hold after a rollback was lifted.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub holds_lifted: Vec<ComponentName>,
}

impl Document for UnlockResult {
    const KIND: &'static str = "UnlockResult";
}

/// One lock and where it is.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct LockItem {
    pub deployment: DeploymentName,
    pub target: TargetName,
    /// Absent where the whole target is locked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub component: Option<ComponentName>,
    #[serde(flatten)]
    pub lock: LockEntry,
}

/// What a lock says.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct LockEntry {
    /// Who holds it: a person or a CI identity.
    pub holder: String,
    /// The run that holds it.
    pub run_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run_url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    pub acquired_at: Timestamp,
    /// Absent where it holds until somebody removes it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    /// Whether it has run out, so that it may be taken over.
    pub expired: bool,
    /// The commit that its run rolls out; absent where it is no rollout's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub commit: Option<CommitId>,
    /// Whether its run has died, as far as this machine can tell: the next rollout takes it over.
    #[serde(skip_serializing_if = "is_false")]
    pub dead: bool,
    /// The lock's object.
    pub object: ObjectId,
}

impl LockEntry {
    /// A lock as it is at this time.
    #[must_use]
    pub fn new(held: &HeldLock, now: Timestamp) -> Self {
        let lock = &held.lock;
        Self {
            holder: lock.holder.clone(),
            run_id: lock.run_id.clone(),
            run_url: lock.run_url.clone(),
            reason: lock.reason.clone(),
            acquired_at: lock.acquired_at,
            expires_at: lock.expires_at,
            expired: lock.expired(now),
            commit: match &held.scope {
                LockScope::Component(component) => lock.intends.get(component).cloned(),
                LockScope::Target => None,
            },
            dead: false,
            object: held.object.clone(),
        }
    }
}

impl LockItem {
    /// A lock of a target as it is at this time.
    #[must_use]
    pub fn new(deployment: &DeploymentName, target: &TargetName, held: &HeldLock, now: Timestamp) -> Self {
        Self {
            deployment: deployment.clone(),
            target: target.clone(),
            component: match &held.scope {
                LockScope::Component(component) => Some(component.clone()),
                LockScope::Target => None,
            },
            lock: LockEntry::new(held, now),
        }
    }
}
