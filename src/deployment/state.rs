//! The state of one deployment in a snapshot of the ledger: the input of every decision and view.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::commit::CommitId;
use super::lock::{HeldLock, LockScope};
use super::names::{ComponentName, DeploymentName, TargetName};
use super::record::{LedgerRecord, RecordStatus};

/// The ledger's state of one deployment, limited to the requested targets.
#[derive(Debug, Clone, PartialEq)]
pub struct DeploymentState {
    pub deployment: DeploymentName,
    pub targets: BTreeMap<TargetName, TargetState>,
}

impl DeploymentState {
    /// The state of a deployment that has never been rolled out.
    #[must_use]
    pub const fn empty(deployment: DeploymentName) -> Self {
        Self { deployment, targets: BTreeMap::new() }
    }

    /// The targets that have received a rollout.
    pub fn used_targets(&self) -> impl Iterator<Item = &TargetName> {
        self.targets.iter().filter(|(_, target)| !target.components.is_empty()).map(|(name, _)| name)
    }
}

/// The ledger's state of one target.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct TargetState {
    pub components: BTreeMap<ComponentName, ComponentState>,
    pub locks: Vec<HeldLock>,
}

/// The ledger's state of one component on one target.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ComponentState {
    /// The running commit: the target of the current-state ref.
    pub commit: Option<CommitId>,
    /// The newest record, of any status.
    pub newest: Option<Arc<LedgerRecord>>,
    /// The record of the running commit; the newest record unless that one failed.
    pub running: Option<Arc<LedgerRecord>>,
    /// The number of local records that have not reached the remote yet.
    pub unpublished: usize,
}

impl ComponentState {
    /// Whether the state has no record of its deployment.
    #[must_use]
    pub const fn is_unrecorded(&self) -> bool {
        self.commit.is_some() && self.running.is_none()
    }

    /// Whether the running commit is a rollback, which blocks automatic rollouts.
    #[must_use]
    pub fn runs_a_rollback(&self) -> bool {
        self.running.as_ref().is_some_and(|running| running.record.rollback_of.is_some())
    }
}

impl TargetState {
    /// The `--context` of running components, if any.
    #[must_use]
    pub fn overrides(&self) -> BTreeMap<ComponentName, BTreeMap<String, String>> {
        let of = |state: &ComponentState| {
            state.running.as_ref().map(|found| found.record.context_overrides.clone())
        };
        let all = self.components.iter().filter_map(|(name, state)| Some((name.clone(), of(state)?)));
        all.filter(|(_, overrides)| !overrides.is_empty()).collect()
    }

    /// The worst status of the components' newest records; `None` where there is no record.
    #[must_use]
    pub fn status(&self) -> Option<RecordStatus> {
        let newest = self.components.values().filter_map(|component| component.newest.as_ref());
        newest.map(|newest| newest.record.status).max_by_key(|status| status.severity())
    }

    /// The freeze of the whole target, if there is one.
    #[must_use]
    pub fn freeze(&self) -> Option<&HeldLock> {
        self.locks.iter().find(|held| held.scope == LockScope::Target)
    }

    /// The lock on one component, if there is one.
    #[must_use]
    pub fn lock(&self, component: &ComponentName) -> Option<&HeldLock> {
        self.locks.iter().find(|held| matches!(&held.scope, LockScope::Component(name) if name == component))
    }
}

impl DeploymentState {
    /// The state of one component; `None` where it never ran there.
    #[must_use]
    pub fn component(&self, target: &TargetName, component: &ComponentName) -> Option<&ComponentState> {
        self.targets.get(target)?.components.get(component)
    }
}
