//! `promotion-graph` and `promotion-status`: the state of each target relative to its sources.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use super::{Document, is_false};
use crate::deployment::definition::ApprovalMethod;
use crate::deployment::observation::Observations;
use crate::deployment::promotion_status::{
    ComponentEdgeState, ComponentPromotion, EdgeState, Freeze, PromotionEdge, PromotionView, TargetStanding,
    standing_of_ledger,
};
use crate::deployment::state::DeploymentState;
use crate::deployment::{CommitId, ComponentKind, ComponentName, DeploymentName, RecordStatus, TargetName};

/// The promotion paths, and what runs on each target.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct PromotionGraph {
    pub deployment: DeploymentName,
    /// It has no file any more, so that no path leads anywhere.
    #[serde(skip_serializing_if = "is_false")]
    pub removed: bool,
    pub targets: Vec<Target>,
    pub edges: Vec<Edge>,
}

impl Document for PromotionGraph {
    const KIND: &'static str = "PromotionGraph";
}

/// What can be promoted now.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct PromotionStatus {
    pub deployment: DeploymentName,
    /// It has no file any more, so that nothing can be promoted.
    #[serde(skip_serializing_if = "is_false")]
    pub removed: bool,
    pub targets: Vec<Target>,
    pub edges: Vec<Edge>,
}

impl Document for PromotionStatus {
    const KIND: &'static str = "PromotionStatus";
}

/// One target.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Target {
    pub target: TargetName,
    /// Something runs there, and the deployment's file does not name it any more.
    #[serde(skip_serializing_if = "is_false")]
    pub removed: bool,
    /// Where it is promoted from; empty for an entry point.
    pub promotion_from: Vec<TargetName>,
    pub requires_approval: bool,
    /// The commits that run there: one, or several where the components were deployed apart.
    pub commits: Vec<CommitId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deployed_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<RecordStatus>,
    /// That of the worst component; absent where it was not asked for, or no health check has been made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub health: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub health_checked_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub frozen: Option<Frozen>,
    /// How many commits of its sources it lacks. This is lag, not drift.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub commits_behind: Option<usize>,
}

/// Why a target is frozen.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Frozen {
    pub holder: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
}

/// One allowed promotion.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Edge {
    pub from: TargetName,
    pub to: TargetName,
    pub requires_approval: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub approval_method: Option<ApprovalMethod>,
    pub state: EdgeState,
    /// Why it is blocked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What runs in `to` is a rollback, so that only a person promotes onto it.
    #[serde(skip_serializing_if = "is_false")]
    pub hold: bool,
    /// Part of what runs in `from` would stay behind, which a promotion refuses unless it is asked to go on.
    #[serde(skip_serializing_if = "is_false")]
    pub partial: bool,
    pub components: Vec<EdgeComponent>,
}

/// One component of an edge.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct EdgeComponent {
    pub component: ComponentName,
    #[serde(rename = "type")]
    pub kind: ComponentKind,
    /// What runs in the source.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub commit: Option<CommitId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deployed_at: Option<Timestamp>,
    /// What runs in the target.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target_commit: Option<CommitId>,
    /// The newest record in the source.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<RecordStatus>,
    pub state: ComponentEdgeState,
}

impl From<&PromotionView> for PromotionGraph {
    fn from(view: &PromotionView) -> Self {
        Self {
            deployment: view.deployment.clone(),
            removed: false,
            targets: view.targets.iter().map(Target::from).collect(),
            edges: view.edges.iter().map(Edge::from).collect(),
        }
    }
}

impl PromotionGraph {
    /// Adds the undeclared targets on which something runs.
    pub fn add_removed(&mut self, state: &DeploymentState, now: Timestamp) {
        let known: Vec<_> = self.targets.iter().map(|target| target.target.clone()).collect();
        let of_ledger = standing_of_ledger(state, now).targets;
        let removed = of_ledger.iter().filter(|standing| !known.contains(&standing.target));
        self.targets.extend(removed.map(|standing| Target { removed: true, ..standing.into() }));
    }

    /// The targets of a deployment without a file, and no paths between them.
    #[must_use]
    pub fn removed(state: &DeploymentState, now: Timestamp) -> Self {
        let mut graph = Self {
            deployment: state.deployment.clone(),
            removed: true,
            targets: Vec::new(),
            edges: Vec::new(),
        };
        graph.add_removed(state, now);
        graph
    }

    /// Adds the observations of the running components.
    pub fn observe(&mut self, observations: &Observations) {
        for target in &mut self.targets {
            if let Some(seen) = observations.health_of(&target.target) {
                target.health = Some(seen.health.to_string());
                target.health_checked_at = Some(seen.checked_at);
            }
        }
    }
}

impl PromotionStatus {
    /// A deployment without a file: the running components of its targets, and no promotion.
    #[must_use]
    pub fn removed(state: &DeploymentState, now: Timestamp) -> Self {
        let PromotionGraph { deployment, removed, targets, edges } = PromotionGraph::removed(state, now);
        Self { deployment, removed, targets, edges }
    }
}

impl From<&PromotionView> for PromotionStatus {
    fn from(view: &PromotionView) -> Self {
        Self {
            deployment: view.deployment.clone(),
            removed: false,
            targets: view.targets.iter().map(Target::from).collect(),
            edges: view.edges.iter().map(Edge::from).collect(),
        }
    }
}

impl From<&TargetStanding> for Target {
    fn from(standing: &TargetStanding) -> Self {
        Self {
            target: standing.target.clone(),
            removed: false,
            promotion_from: standing.sources.clone(),
            requires_approval: standing.requires_approval,
            commits: standing.commits.clone(),
            deployed_at: standing.deployed_at,
            status: standing.status,
            health: None,
            health_checked_at: None,
            frozen: standing.freeze.as_ref().map(Frozen::from),
            commits_behind: standing.commits_behind,
        }
    }
}

impl From<&Freeze> for Frozen {
    fn from(freeze: &Freeze) -> Self {
        Self { holder: freeze.holder.clone(), reason: freeze.reason.clone(), expires_at: freeze.expires_at }
    }
}

impl From<&PromotionEdge> for Edge {
    fn from(edge: &PromotionEdge) -> Self {
        let reasons: Vec<_> = edge.blockers.iter().map(ToString::to_string).collect();
        Self {
            from: edge.from.clone(),
            to: edge.to.clone(),
            requires_approval: edge.approval.is_some(),
            approval_method: edge.approval,
            state: edge.state,
            reason: (!reasons.is_empty()).then(|| reasons.join("; ")),
            hold: edge.hold,
            partial: edge.partial,
            components: edge.components.iter().map(EdgeComponent::from).collect(),
        }
    }
}

impl From<&ComponentPromotion> for EdgeComponent {
    fn from(component: &ComponentPromotion) -> Self {
        Self {
            component: component.component.clone(),
            kind: component.kind,
            commit: component.commit.clone(),
            deployed_at: component.deployed_at,
            target_commit: component.target_commit.clone(),
            status: component.status,
            state: component.state,
        }
    }
}
