//! `list`: deployments, targets, components; one item per row.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use super::status::ComponentStatus;
use super::{Document, is_false};
use crate::deployment::definition::{Labels, Target};
use crate::deployment::observation::Observations;
use crate::deployment::state::{ComponentState, DeploymentState, TargetState};
use crate::deployment::{
    CommitId, Component, ComponentKind, ComponentName, Deployment, DeploymentName, RecordStatus, TargetName,
};

/// The deployments of a repository.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct DeploymentList {
    pub deployments: Vec<DeploymentItem>,
}

impl Document for DeploymentList {
    const KIND: &'static str = "DeploymentList";
}

/// One deployment.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct DeploymentItem {
    pub deployment: DeploymentName,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    #[serde(skip_serializing_if = "Labels::is_empty")]
    pub labels: Labels,
    pub targets: Vec<TargetName>,
    /// Something was rolled out to these, and the file does not name them any more.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub removed_targets: Vec<TargetName>,
    pub components: Vec<ComponentSummary>,
    /// These were rolled out somewhere, and the file does not name them any more.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub removed_components: Vec<ComponentName>,
    /// It has no file any more.
    #[serde(skip_serializing_if = "is_false")]
    pub removed: bool,
    /// Absent where it was never deployed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_deploy: Option<LastDeploy>,
}

/// A component by name and type.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct ComponentSummary {
    pub component: ComponentName,
    #[serde(rename = "type")]
    pub kind: ComponentKind,
}

/// The newest deployment of what runs.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct LastDeploy {
    pub target: TargetName,
    pub at: Timestamp,
}

/// The targets of a deployment.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct TargetList {
    pub deployment: DeploymentName,
    /// The deployment has no file any more.
    #[serde(skip_serializing_if = "is_false")]
    pub removed: bool,
    pub targets: Vec<TargetItem>,
}

impl Document for TargetList {
    const KIND: &'static str = "TargetList";
}

/// One target.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct TargetItem {
    pub target: TargetName,
    /// The deployment's file does not name it any more.
    #[serde(skip_serializing_if = "is_false")]
    pub removed: bool,
    #[serde(skip_serializing_if = "Labels::is_empty")]
    pub labels: Labels,
    /// Where it is promoted from; empty for an entry point.
    pub promotion_from: Vec<TargetName>,
    pub requires_approval: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_deploy: Option<Timestamp>,
    /// The worst of the components' newest records.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<RecordStatus>,
    /// That of the worst component; absent until a health check has been made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub health: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub health_checked_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "is_false")]
    pub frozen: bool,
}

/// The components of a deployment, on one of its targets if one was named.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct ComponentList {
    pub deployment: DeploymentName,
    /// The deployment has no file any more.
    #[serde(skip_serializing_if = "is_false")]
    pub removed: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<TargetName>,
    pub components: Vec<ComponentItem>,
}

impl Document for ComponentList {
    const KIND: &'static str = "ComponentList";
}

/// One component.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct ComponentItem {
    pub component: ComponentName,
    /// Absent where neither the file nor a record tells.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<ComponentKind>,
    /// The deployment's file does not name it any more.
    #[serde(skip_serializing_if = "is_false")]
    pub removed: bool,
    #[serde(skip_serializing_if = "Labels::is_empty")]
    pub labels: Labels,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub commit: Option<CommitId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deployed_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<RecordStatus>,
    /// Absent until a health check has been made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub health: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub health_checked_at: Option<Timestamp>,
}

impl DeploymentItem {
    /// A deployment from its file, with its state in the ledger.
    #[must_use]
    pub fn new(deployment: &Deployment, state: Option<&DeploymentState>) -> Self {
        let removed = state.into_iter().flat_map(DeploymentState::used_targets);
        let removed = removed.filter(|target| !deployment.targets.contains_key(*target)).cloned();
        Self {
            deployment: deployment.name.clone(),
            description: deployment.description.clone(),
            labels: deployment.labels.clone(),
            targets: deployment.targets.keys().cloned().collect(),
            removed_targets: removed.collect(),
            components: deployment
                .components
                .iter()
                .map(|component| ComponentSummary { component: component.name.clone(), kind: component.kind })
                .collect(),
            removed_components: removed_components(deployment, state),
            removed: false,
            last_deploy: newest_of(state),
        }
    }

    /// A deployment without a file, from the ledger alone.
    #[must_use]
    pub fn removed(state: &DeploymentState) -> Self {
        let undeclared = Deployment::undeclared(state.deployment.clone());
        Self { removed: true, ..Self::new(&undeclared, Some(state)) }
    }
}

/// The undeclared components that were rolled out to any target, without duplicates and sorted by
/// name.
fn removed_components(deployment: &Deployment, state: Option<&DeploymentState>) -> Vec<ComponentName> {
    let targets = state.into_iter().flat_map(|state| state.targets.values());
    let found: BTreeSet<_> = targets.flat_map(|target| target.components.keys()).collect();
    found.into_iter().filter(|name| deployment.component(name).is_none()).cloned().collect()
}

/// The newest deployment that still runs.
fn newest_of(state: Option<&DeploymentState>) -> Option<LastDeploy> {
    let targets = state.into_iter().flat_map(|state| &state.targets);
    let deployed = targets
        .filter_map(|(target, state)| Some(LastDeploy { target: target.clone(), at: last_deploy(state)? }));
    deployed.max_by_key(|last| last.at)
}

impl TargetList {
    /// The targets of a deployment, with their state in the ledger.
    #[must_use]
    pub fn new(deployment: &Deployment, state: Option<&DeploymentState>, now: Timestamp) -> Self {
        let of = |target: &TargetName, declared: Option<&Target>| {
            let found = state.and_then(|state| state.targets.get(target));
            let rule = declared.and_then(|target| target.promotion.as_ref());
            TargetItem {
                target: target.clone(),
                removed: declared.is_none(),
                labels: declared.map(|target| target.labels.clone()).unwrap_or_default(),
                promotion_from: rule.map(|rule| rule.sources.clone()).unwrap_or_default(),
                requires_approval: rule.is_some_and(|rule| rule.requires_approval),
                last_deploy: found.and_then(last_deploy),
                status: found.and_then(TargetState::status),
                health: None,
                health_checked_at: None,
                frozen: found.and_then(TargetState::freeze).is_some_and(|held| !held.lock.expired(now)),
            }
        };
        let removed = state.into_iter().flat_map(DeploymentState::used_targets);
        let removed = removed.filter(|target| !deployment.targets.contains_key(*target));
        let declared = deployment.targets.iter().map(|(name, target)| of(name, Some(target)));
        Self {
            deployment: deployment.name.clone(),
            removed: false,
            targets: declared.chain(removed.map(|name| of(name, None))).collect(),
        }
    }

    /// The targets of a deployment without a file, from the ledger alone.
    #[must_use]
    pub fn removed(state: &DeploymentState, now: Timestamp) -> Self {
        let undeclared = Deployment::undeclared(state.deployment.clone());
        Self { removed: true, ..Self::new(&undeclared, Some(state), now) }
    }

    /// Adds the observations of the running components.
    pub fn observe(&mut self, observations: &Observations) {
        for item in &mut self.targets {
            if let Some(seen) = observations.health_of(&item.target) {
                item.health = Some(seen.health.to_string());
                item.health_checked_at = Some(seen.checked_at);
            }
        }
    }
}

impl ComponentList {
    /// The components of a deployment, with their state in the ledger if a target is given.
    #[must_use]
    pub fn new(deployment: &Deployment, target: Option<(&TargetName, &TargetState)>) -> Self {
        let here = target.map(|(_, state)| state);
        let declared = deployment.components.iter().map(|component| ComponentItem::new(component, here));
        let found = here.into_iter().flat_map(|state| &state.components);
        let removed = found.filter(|(name, _)| deployment.component(name).is_none());
        let removed = removed.map(|(name, state)| ComponentItem::removed(name, state));
        Self {
            deployment: deployment.name.clone(),
            removed: false,
            target: target.map(|(name, _)| name.clone()),
            components: declared.chain(removed).collect(),
        }
    }

    /// The components of a deployment without a file, on any of its targets.
    #[must_use]
    pub fn removed(state: &DeploymentState) -> Self {
        let found = state.targets.values().flat_map(|target| &target.components);
        let kinds: BTreeMap<_, _> =
            found.map(|(name, state)| (name, ComponentStatus::new(name, None, state).kind)).collect();
        let components = kinds.into_iter().map(|(name, kind)| ComponentItem {
            kind,
            removed: true,
            ..ComponentItem::of_ledger(name.clone(), None)
        });
        Self {
            deployment: state.deployment.clone(),
            removed: true,
            target: None,
            components: components.collect(),
        }
    }

    /// Adds the observations of the running components.
    pub fn observe(&mut self, observations: &Observations) {
        let Some(target) = &self.target else { return };
        for item in &mut self.components {
            if let Some(seen) = observations.health.get(&(target.clone(), item.component.clone())) {
                item.health = Some(seen.finding.to_string());
                item.health_checked_at = Some(seen.checked_at);
            }
        }
    }
}

impl ComponentItem {
    fn new(component: &Component, target: Option<&TargetState>) -> Self {
        let state = target.and_then(|target| target.components.get(&component.name));
        let status = state.map(|state| ComponentStatus::new(&component.name, Some(component.kind), state));
        Self {
            labels: component.labels.clone(),
            kind: Some(component.kind),
            ..Self::of_ledger(component.name.clone(), status)
        }
    }

    fn removed(name: &ComponentName, state: &ComponentState) -> Self {
        let status = ComponentStatus::new(name, None, state);
        Self { removed: true, kind: status.kind, ..Self::of_ledger(name.clone(), Some(status)) }
    }

    fn of_ledger(component: ComponentName, status: Option<ComponentStatus>) -> Self {
        Self {
            component,
            kind: None,
            removed: false,
            labels: Labels::new(),
            commit: status.as_ref().and_then(|status| status.commit.clone()),
            deployed_at: status.as_ref().and_then(|status| status.deployed_at),
            status: status.and_then(|status| status.status),
            health: None,
            health_checked_at: None,
        }
    }
}

/// The time of the newest deployment that still runs on a target.
fn last_deploy(target: &TargetState) -> Option<Timestamp> {
    target.components.values().filter_map(|state| Some(state.running.as_ref()?.record.timestamp)).max()
}
