//! `list`: deployments, targets, components; one item a row.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use super::status::ComponentStatus;
use super::{Document, is_false};
use crate::deployment::definition::Labels;
use crate::deployment::observation::Observations;
use crate::deployment::state::{DeploymentState, TargetState};
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
    pub components: Vec<ComponentSummary>,
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
    pub targets: Vec<TargetItem>,
}

impl Document for TargetList {
    const KIND: &'static str = "TargetList";
}

/// One target.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct TargetItem {
    pub target: TargetName,
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
    #[serde(rename = "type")]
    pub kind: ComponentKind,
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
    /// A deployment as its file declares it and the ledger knows it.
    #[must_use]
    pub fn new(deployment: &Deployment, state: Option<&DeploymentState>) -> Self {
        let last_deploy = state
            .into_iter()
            .flat_map(|state| &state.targets)
            .filter_map(|(target, state)| {
                Some(LastDeploy { target: target.clone(), at: last_deploy(state)? })
            })
            .max_by_key(|last| last.at);
        Self {
            deployment: deployment.name.clone(),
            description: deployment.description.clone(),
            labels: deployment.labels.clone(),
            targets: deployment.targets.keys().cloned().collect(),
            components: deployment
                .components
                .iter()
                .map(|component| ComponentSummary { component: component.name.clone(), kind: component.kind })
                .collect(),
            last_deploy,
        }
    }
}

impl TargetList {
    /// The targets of a deployment and what the ledger knows of them.
    #[must_use]
    pub fn new(deployment: &Deployment, state: Option<&DeploymentState>, now: Timestamp) -> Self {
        let of = |target| state.and_then(|state| state.targets.get(target));
        Self {
            deployment: deployment.name.clone(),
            targets: deployment
                .targets
                .values()
                .map(|target| TargetItem {
                    target: target.name.clone(),
                    labels: target.labels.clone(),
                    promotion_from: target.promotion.iter().flat_map(|rule| rule.sources.clone()).collect(),
                    requires_approval: target.promotion.as_ref().is_some_and(|rule| rule.requires_approval),
                    last_deploy: of(&target.name).and_then(last_deploy),
                    status: of(&target.name).and_then(TargetState::status),
                    health: None,
                    health_checked_at: None,
                    frozen: of(&target.name)
                        .and_then(TargetState::freeze)
                        .is_some_and(|held| !held.lock.expired(now)),
                })
                .collect(),
        }
    }

    /// Adds what was observed of what runs.
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
    /// The components of a deployment and, with a target, what the ledger knows of them there.
    #[must_use]
    pub fn new(deployment: &Deployment, target: Option<(&TargetName, &TargetState)>) -> Self {
        Self {
            deployment: deployment.name.clone(),
            target: target.map(|(name, _)| name.clone()),
            components: deployment
                .components
                .iter()
                .map(|component| ComponentItem::new(component, target.map(|(_, state)| state)))
                .collect(),
        }
    }

    /// Adds what was observed of what runs.
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
        let status = target
            .and_then(|target| target.components.get(&component.name))
            .map(|state| ComponentStatus::new(&component.name, Some(component.kind), state));
        Self {
            component: component.name.clone(),
            kind: component.kind,
            labels: component.labels.clone(),
            commit: status.as_ref().and_then(|status| status.commit.clone()),
            deployed_at: status.as_ref().and_then(|status| status.deployed_at),
            status: status.and_then(|status| status.status),
            health: None,
            health_checked_at: None,
        }
    }
}

/// When the newest of what runs on a target was deployed.
fn last_deploy(target: &TargetState) -> Option<Timestamp> {
    target.components.values().filter_map(|state| Some(state.running.as_ref()?.record.timestamp)).max()
}
