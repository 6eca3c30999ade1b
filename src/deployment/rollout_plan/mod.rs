//! The decision of a rollout: its plan or its refusal. Pure: facts and a request in, a plan out.

mod decision;
mod refusal;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use super::chain::Chain;
use super::commit::{CommitId, ObjectId};
use super::declarations::Declarations;
use super::definition::{ApprovalMethod, Component, Deployment};
use super::dependencies::among;
use super::graph::Graph;
use super::names::{ComponentKind, ComponentName, DeploymentName, TargetName};
use super::promotable::LeftOut;
use super::rollout_report::RolloutKind;
use super::state::DeploymentState;

pub use decision::plan;
pub use refusal::{NotPromotedReason, Refusal};

/// The request of a rollout.
#[derive(Debug, Clone, PartialEq)]
#[expect(clippy::struct_excessive_bools, reason = "each is asked for by itself")]
pub struct RolloutRequest {
    pub target: TargetName,
    pub source: RolloutSource,
    /// The requested components; empty for all.
    pub components: Vec<ComponentName>,
    pub skip_promotion_check: bool,
    /// Whether a promotion of components at different commits is refused.
    pub require_uniform: bool,
    /// Whether a promotion may leave part of the source's components behind.
    pub allow_partial: bool,
    /// Whether states without a record may be promoted.
    pub trust_state: bool,
    /// Whether no person requested this very rollout: a push, a schedule, or a re-run.
    pub automatic: bool,
    /// Whether the commit was given explicitly (`--git-sha`), instead of by the checkout.
    pub commit_named: bool,
    /// Whether an automatic rollout may go back to an older commit.
    pub allow_rollback: bool,
    /// Whether a retry of the job is the platform's way to roll back (GitLab's environment jobs).
    pub retry_is_meant: bool,
    /// Whether the request brings its own approval (`--approve`).
    pub approves: bool,
    /// Whether values of the target's context are overridden (`--context`).
    pub overridden: bool,
}

impl RolloutRequest {
    /// The default request: all components, by a person, without any option.
    #[must_use]
    pub const fn new(target: TargetName, source: RolloutSource) -> Self {
        Self {
            target,
            source,
            components: Vec::new(),
            skip_promotion_check: false,
            require_uniform: false,
            allow_partial: false,
            trust_state: false,
            automatic: false,
            commit_named: false,
            allow_rollback: false,
            retry_is_meant: false,
            approves: false,
            overridden: false,
        }
    }

    /// Whether a component is requested, by name or together with all others.
    #[must_use]
    pub fn includes(&self, component: &ComponentName) -> bool {
        self.components.is_empty() || self.components.contains(component)
    }
}

/// The source of a rollout's commits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RolloutSource {
    /// One commit for all components.
    Commit(CommitId),
    /// Each component's own commit on another target.
    Promotion { from: TargetName },
}

/// The relation of a commit to another one in history.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ancestry {
    Same,
    /// The first is reachable from the second.
    Ancestor,
    /// The second is reachable from the first.
    Descendant,
    /// Neither is reachable from the other.
    Unrelated,
    /// Undecidable: a commit or the history between them is not available locally and cannot be
    /// fetched.
    Unknown,
}

/// The facts about earlier rollouts for the decision.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct PastFacts {
    /// The relation of the commit to deploy to the running one, for running components.
    pub ancestry: BTreeMap<ComponentName, Ancestry>,
    /// The successes on the target, for components whose decision needs them.
    pub chains: BTreeMap<ComponentName, Chain>,
    /// Components whose hold was lifted (`unlock --hold`).
    pub lifted: BTreeSet<ComponentName>,
    /// Components that an earlier job of the same pipeline has deployed: this job is a retry.
    pub retried: BTreeSet<ComponentName>,
    /// Components that their stacks disable on the target: they are ignored as dependencies.
    pub disabled: BTreeSet<ComponentName>,
    /// The declarations of the promoted commits and of the trusted sides.
    pub declarations: Declarations,
}

/// The plan of a rollout.
#[derive(Debug, Clone, PartialEq)]
pub struct RolloutPlan {
    pub deployment: DeploymentName,
    pub target: TargetName,
    pub kind: RolloutKind,
    /// In dependency order.
    pub components: Vec<ComponentPlan>,
    /// The components that stay unchanged, with the reasons.
    pub left_out: Vec<LeftOut>,
    /// Whether part of the source's components stay behind.
    pub partial: bool,
    /// The approval method, if an approval is required first.
    pub approval: Option<ApprovalMethod>,
    /// Whether the path check failed, but was skipped on request.
    pub promotion_check_skipped: bool,
    /// Temporary obstacles: a freeze, a hold, an unrequested rollback. A dry run shows the plan
    /// with them.
    pub obstacles: Vec<Refusal>,
    /// The dependencies between the components.
    pub needs: Graph<ComponentName>,
}

/// The plan of one component.
#[derive(Debug, Clone, PartialEq)]
pub struct ComponentPlan {
    pub component: ComponentName,
    pub kind: ComponentKind,
    pub commit: CommitId,
    /// The running commit.
    pub previous_commit: Option<CommitId>,
    /// The record of the running version.
    pub replaces: Option<ObjectId>,
    /// The value of the record's `rollback_of`: the commit that a rollback leaves.
    pub rollback_of: Option<String>,
    /// Whether an approval has to cover it, where the target's rule requires one.
    pub needs_approval: bool,
    /// Whether the source's state has no record of this component, and is trusted.
    pub trusts_state: bool,
    /// The time of the commit's deployment to the source target.
    pub source_deployed_at: Option<jiff::Timestamp>,
    /// The images recorded with it on the source target.
    pub artifacts: BTreeMap<String, String>,
    pub build_id: Option<String>,
}

impl ComponentPlan {
    /// Whether this replaces the running commit by an older one.
    #[must_use]
    pub fn goes_back(&self) -> bool {
        self.rollback_of.is_some() && self.previous_commit.as_ref() != Some(&self.commit)
    }
}

/// The inputs of a rollout's decision.
#[derive(Debug, Clone, Copy)]
pub struct RolloutBasis<'a> {
    /// The checkout's deployment with the effective rules: see [`super::rules`].
    pub policy: &'a Deployment,
    /// The components that can be rolled out: of the commit to deploy, or of the checkout for a
    /// promotion.
    pub components: &'a [Component],
    pub state: &'a DeploymentState,
    pub past: &'a PastFacts,
    /// The time at which a freeze must be active to count.
    pub now: jiff::Timestamp,
}

/// The dependencies of each planned component on the others, also through components outside of the
/// plan: by all deciding declarations, or by the listed components where the declarations
/// contradict each other.
fn dependencies(
    components: &[Component],
    planned: &[ComponentPlan],
    declarations: &Declarations,
) -> Graph<ComponentName> {
    let chosen = planned.iter().map(|plan| plan.component.clone()).collect();
    let commits: BTreeMap<_, _> = planned.iter().map(|plan| (&plan.component, &plan.commit)).collect();
    let united = |component: &Component| {
        let mut united = component.clone();
        if let Some(commit) = commits.get(&component.name) {
            united.depends_on = declarations.needs(component, commit).into_iter().cloned().collect();
        }
        united
    };
    let united: Vec<_> = components.iter().map(united).collect();
    let graph = among(&united, &chosen);
    if graph.order().is_ok() { graph } else { among(components, &chosen) }
}
