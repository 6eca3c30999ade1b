//! `status`: the running commits of each target.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use super::locks::LockEntry;
use super::{Document, is_false, is_zero};
use crate::deployment::diff::Drift;
use crate::deployment::fan_in::FanIn;
use crate::deployment::lock::LockScope;
use crate::deployment::observation::Observations;
use crate::deployment::record::LedgerRecord;
use crate::deployment::rollout_report::Changes;
use crate::deployment::state::{ComponentState, DeploymentState, TargetState};
use crate::deployment::{
    CommitId, ComponentKind, ComponentName, Deployment, DeploymentName, ObjectId, RecordStatus, TargetName,
};

/// What runs where.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct DeploymentStatus {
    pub deployments: Vec<DeploymentEntry>,
    /// What the jobs of a fan-out have come to: where a job reports how a target stands.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fan_in: Option<FanInEntry>,
}

/// How a target stands to the commit of a job, by its enabled components.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct FanInEntry {
    pub target: TargetName,
    pub commit: CommitId,
    /// Every component runs what the commit has.
    pub complete: bool,
    /// How many components there are.
    pub components: usize,
    /// Those that do not run what the commit has.
    pub left: Vec<LeftEntry>,
}

/// A component that does not run what the commit has.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct LeftEntry {
    pub component: ComponentName,
    /// Why, in words.
    pub reason: String,
    /// The newer commit that has replaced it, where one has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replaced_by: Option<CommitId>,
}

impl FanInEntry {
    #[must_use]
    pub fn new(target: &TargetName, fan_in: &FanIn) -> Self {
        let left = fan_in.left.iter().map(|left| LeftEntry {
            component: left.component.clone(),
            reason: left.to_string(),
            replaced_by: left.replaced_by().cloned(),
        });
        Self {
            target: target.clone(),
            commit: fan_in.commit.clone(),
            complete: fan_in.is_complete(),
            components: fan_in.components,
            left: left.collect(),
        }
    }
}

impl Document for DeploymentStatus {
    const KIND: &'static str = "DeploymentStatus";
}

/// What runs of one deployment.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct DeploymentEntry {
    pub deployment: DeploymentName,
    /// It has no file any more.
    #[serde(skip_serializing_if = "is_false")]
    pub removed: bool,
    pub targets: Vec<TargetEntry>,
}

/// What runs on one target.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct TargetEntry {
    pub target: TargetName,
    /// The deployment's file does not name it any more.
    #[serde(skip_serializing_if = "is_false")]
    pub removed: bool,
    /// The lock on the whole target: a freeze.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lock: Option<LockEntry>,
    pub components: Vec<ComponentStatus>,
}

/// What runs of one component.
///
/// Everything but `status` and `last_attempt` describes what runs; those describe the newest record, which
/// is another one where the last attempt did not succeed.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct ComponentStatus {
    pub component: ComponentName,
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<ComponentKind>,
    /// The deployment's file does not name it any more.
    #[serde(skip_serializing_if = "is_false")]
    pub removed: bool,
    /// The commit that runs; absent where nothing ever succeeded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub commit: Option<CommitId>,
    /// How the newest record ended; absent in a ledger of plain refs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<RecordStatus>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deployed_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deployed_by: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub build_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub promoted_from: Option<TargetName>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub approved_by: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub approved_at: Option<Timestamp>,
    /// The commit that was replaced, where what runs is a rollback.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rollback_of: Option<String>,
    /// What runs is a rollback, so that no pipeline alone moves it forwards.
    #[serde(skip_serializing_if = "is_false")]
    pub hold: bool,
    /// `--context` that it runs with; sensitive values as hashes.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub context_overrides: BTreeMap<String, String>,
    /// The digest of what runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// The tag of the record of what runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub record: Option<String>,
    /// The newest record, where that is not the one of what runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_attempt: Option<Attempt>,
    /// Records that have not reached the remote yet.
    #[serde(skip_serializing_if = "is_zero")]
    pub unpublished: usize,
    /// The run that is working on it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lock: Option<LockEntry>,
    /// Absent until a health check has been made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub health: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub health_checked_at: Option<Timestamp>,
    /// Absent until somebody looked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub drift: Option<Drift>,
    /// What a plan would change, where that was counted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub drift_changes: Option<Changes>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub drift_checked_at: Option<Timestamp>,
    /// What whoever deployed it wrote down: `pr`, `jira`, …
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, String>,
}

/// An attempt that left what runs as it was.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Attempt {
    pub commit: CommitId,
    pub status: RecordStatus,
    pub at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    pub record: String,
}

impl DeploymentEntry {
    /// The ledger's state of a deployment, in the order of its file, if there is one. Undeclared
    /// targets and components come last.
    #[must_use]
    pub fn new(deployment: Option<&Deployment>, state: &DeploymentState, now: Timestamp) -> Self {
        let declared = deployment.into_iter().flat_map(|deployment| deployment.targets.keys());
        Self {
            deployment: state.deployment.clone(),
            removed: false,
            targets: in_order(declared, &state.targets)
                .map(|(name, target)| TargetEntry::new(deployment, name, target, now))
                .collect(),
        }
    }
}

impl DeploymentEntry {
    /// Adds the observations of the running components.
    pub fn observe(&mut self, observations: &Observations) {
        for target in &mut self.targets {
            for component in &mut target.components {
                component.observe(&target.target, observations);
            }
        }
    }
}

impl DeploymentEntry {
    /// Marks the components that a rollback holds: by their target's rule, unless the hold was
    /// lifted.
    pub fn mark_holds(
        &mut self,
        policy: &Deployment,
        state: &DeploymentState,
        lifted: &BTreeSet<(TargetName, ComponentName)>,
    ) {
        for target in &mut self.targets {
            let rule = policy.targets.get(&target.target).and_then(|target| target.promotion.as_ref());
            let is_on = rule.is_some_and(|rule| rule.hold.unwrap_or_else(|| rule.is_guarded()));
            for component in &mut target.components {
                let place = (target.target.clone(), component.component.clone());
                let found = state.component(&target.target, &component.component);
                component.hold =
                    is_on && found.is_some_and(ComponentState::runs_a_rollback) && !lifted.contains(&place);
            }
        }
    }
}

impl DeploymentEntry {
    /// Marks the locks of dead runs.
    pub fn mark_dead(&mut self, dead: &BTreeSet<ObjectId>) {
        for target in &mut self.targets {
            let locks = target.components.iter_mut().filter_map(|component| component.lock.as_mut());
            for lock in locks {
                lock.dead = dead.contains(&lock.object);
            }
        }
    }
}

impl TargetEntry {
    fn new(deployment: Option<&Deployment>, name: &TargetName, state: &TargetState, now: Timestamp) -> Self {
        let declared = deployment
            .into_iter()
            .flat_map(|deployment| &deployment.components)
            .map(|component| &component.name);
        let mut components = state.components.clone();
        for held in &state.locks {
            // A component that is rolled out for the first time has only a lock.
            if let LockScope::Component(component) = &held.scope {
                components.entry(component.clone()).or_default();
            }
        }
        Self {
            target: name.clone(),
            removed: deployment.is_some_and(|deployment| !deployment.targets.contains_key(name)),
            lock: state.freeze().map(|held| LockEntry::new(held, now)),
            components: in_order(declared, &components)
                .map(|(component, component_state)| {
                    let declared = deployment.and_then(|deployment| deployment.component(component));
                    ComponentStatus {
                        lock: state.lock(component).map(|held| LockEntry::new(held, now)),
                        removed: deployment.is_some() && declared.is_none(),
                        ..ComponentStatus::new(
                            component,
                            declared.map(|component| component.kind),
                            component_state,
                        )
                    }
                })
                .collect(),
        }
    }
}

impl ComponentStatus {
    fn observe(&mut self, target: &TargetName, observations: &Observations) {
        let place = (target.clone(), self.component.clone());
        if let Some(health) = observations.health.get(&place) {
            self.health = Some(health.finding.to_string());
            self.health_checked_at = Some(health.checked_at);
        }
        if let Some(drift) = observations.drift.get(&place) {
            self.drift = Some(drift.finding.drift);
            self.drift_changes = drift.finding.changes.filter(|changes| !changes.is_empty());
            self.drift_checked_at = Some(drift.checked_at);
        }
    }

    /// The ledger's state of one component. `declared` is its kind in the deployment's file.
    #[must_use]
    pub fn new(component: &ComponentName, declared: Option<ComponentKind>, state: &ComponentState) -> Self {
        let newest = state.newest.as_ref();
        let running = state.running.as_ref();
        let record = running.map(|running| &running.record);
        let metadata = record.map(|record| record.metadata.clone()).unwrap_or_default();
        Self {
            component: component.clone(),
            kind: running.or(newest).and_then(|found| found.record.component_type).or(declared),
            removed: false,
            commit: state.commit.clone(),
            status: newest.map(|newest| newest.record.status).filter(|status| {
                // A success without a running record was of another commit.
                running.is_some() || *status != RecordStatus::Success
            }),
            deployed_at: record.map(|record| record.timestamp),
            deployed_by: record.and_then(|record| record.deployed_by.clone()),
            build_id: record.and_then(|record| record.build_id.clone()),
            promoted_from: record.and_then(|record| record.promoted_from.clone()),
            approved_by: metadata.get("approver").cloned(),
            approved_at: metadata.get("approval_timestamp").and_then(|time| time.parse().ok()),
            rollback_of: record.and_then(|record| record.rollback_of.clone()),
            hold: false,
            context_overrides: record.map(|record| record.context_overrides.clone()).unwrap_or_default(),
            digest: record.and_then(|record| record.details.digest.clone()),
            record: running.map(|running| running.id.tag_name()),
            last_attempt: newest
                .filter(|newest| running.is_none_or(|running| running.id != newest.id))
                .map(|newest| Attempt::new(newest)),
            unpublished: state.unpublished,
            lock: None,
            health: None,
            health_checked_at: None,
            drift: None,
            drift_changes: None,
            drift_checked_at: None,
            metadata,
        }
    }
}

impl Attempt {
    fn new(newest: &LedgerRecord) -> Self {
        Self {
            commit: newest.record.commit.clone(),
            status: newest.record.status,
            at: newest.record.timestamp,
            by: newest.record.deployed_by.clone(),
            record: newest.id.tag_name(),
        }
    }
}

/// The items that were found: declared ones in their order, then the others in that of the map.
fn in_order<'a, K: Ord + 'a, V>(
    declared: impl Iterator<Item = &'a K>,
    found: &'a BTreeMap<K, V>,
) -> impl Iterator<Item = (&'a K, &'a V)> {
    let declared: Vec<_> = declared.filter_map(|name| found.get_key_value(name)).collect();
    let rest: Vec<_> =
        found.iter().filter(|(name, _)| !declared.iter().any(|(known, _)| known == name)).collect();
    declared.into_iter().chain(rest)
}
