//! The decision of a rollout: what it will do, or why it is refused. Pure:
//! facts and a request in, a plan out.

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
    /// Only these components; all where empty.
    pub components: Vec<ComponentName>,
    pub skip_promotion_check: bool,
    /// Refuse a promotion whose components sit at different commits.
    pub require_uniform: bool,
    /// Promote although part of what runs in the source stays behind.
    pub allow_partial: bool,
    /// Promote states that no record speaks of.
    pub trust_state: bool,
    /// No person asked for this very rollout: a push, a schedule, or a run that is run again.
    pub automatic: bool,
    /// The commit was named (`--git-sha`), not taken from the checkout.
    pub commit_named: bool,
    /// An automatic rollout may go back.
    pub allow_rollback: bool,
    /// A job whose retry is how the platform rolls back (GitLab's environment jobs).
    pub retry_is_meant: bool,
    /// The request brings its own approval (`--approve`).
    pub approves: bool,
    /// Values of the target's context are overridden (`--context`).
    pub overridden: bool,
}

impl RolloutRequest {
    /// The plain request: all components, by a person, with nothing allowed or insisted on.
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

    /// Whether a component is asked for: by its name, or with all of them.
    #[must_use]
    pub fn includes(&self, component: &ComponentName) -> bool {
        self.components.is_empty() || self.components.contains(component)
    }
}

/// Where the commits of a rollout come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RolloutSource {
    /// One commit for all components.
    Commit(CommitId),
    /// Each component's own commit on another target.
    Promotion { from: TargetName },
}

/// How a commit relates to another in history.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ancestry {
    Same,
    /// The first is reachable from the second.
    Ancestor,
    /// The second is reachable from the first.
    Descendant,
    /// Neither is reachable from the other.
    Unrelated,
    /// Cannot be read: a commit or the history between them is not here and cannot be had.
    Unknown,
}

/// The facts about earlier rollouts for the decision.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct PastFacts {
    /// How the commit to deploy relates to what runs, for components that run.
    pub ancestry: BTreeMap<ComponentName, Ancestry>,
    /// The successes on the target, of components for which they decide something.
    pub chains: BTreeMap<ComponentName, Chain>,
    /// Components whose hold was lifted (`unlock --hold`).
    pub lifted: BTreeSet<ComponentName>,
    /// Components that an earlier job of the same pipeline has deployed: this job is a retry.
    pub retried: BTreeSet<ComponentName>,
    /// Components that their stacks disable on the target: nothing waits for them.
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
    /// Components that stay as they are, and why.
    pub left_out: Vec<LeftOut>,
    /// Part of what runs in the source stays behind.
    pub partial: bool,
    /// How an approval is given, where one is needed first.
    pub approval: Option<ApprovalMethod>,
    /// The promotion path does not allow this, and the request insisted.
    pub promotion_check_skipped: bool,
    /// Temporary obstacles: a freeze, a hold, an unrequested rollback. A
    /// dry run shows the plan with them.
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
    /// The record of what runs now.
    pub replaces: Option<ObjectId>,
    /// The value of the record's `rollback_of`: the commit that a rollback leaves.
    pub rollback_of: Option<String>,
    /// An approval has to cover it, where the target's rule asks for one.
    pub needs_approval: bool,
    /// No record says that it runs on the target that it is promoted from, whose state is trusted.
    pub trusts_state: bool,
    /// When the commit was deployed on the target that it is promoted from.
    pub source_deployed_at: Option<jiff::Timestamp>,
    /// The images that were recorded with it on the target that it is promoted from.
    pub artifacts: BTreeMap<String, String>,
    pub build_id: Option<String>,
}

impl ComponentPlan {
    /// Whether this goes back to something older than what runs.
    #[must_use]
    pub fn goes_back(&self) -> bool {
        self.rollback_of.is_some() && self.previous_commit.as_ref() != Some(&self.commit)
    }
}

/// The inputs of a rollout's decision.
#[derive(Debug, Clone, Copy)]
pub struct RolloutBasis<'a> {
    /// The deployment as the checkout declares it, with the rules that hold: see [`super::rules`].
    pub policy: &'a Deployment,
    /// The components that can be rolled out: of the commit that is deployed, or
    /// of the checkout for a promotion.
    pub components: &'a [Component],
    pub state: &'a DeploymentState,
    pub past: &'a PastFacts,
    /// A freeze that has ended by then is none.
    pub now: jiff::Timestamp,
}

/// What each planned component needs of the others, also through components that are not part of
/// the plan: by all that decided, or by the components as they are listed where the declarations
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
