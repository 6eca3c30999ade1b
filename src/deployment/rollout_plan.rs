//! The decision of a rollout: what it will do, or why it is refused. Pure: a snapshot and a request in, a plan out.

use std::collections::{BTreeMap, BTreeSet};

use super::commit::CommitId;
use super::definition::{ApprovalMethod, Component, Deployment};
use super::dependencies::among;
use super::graph::Graph;
use super::lock::HeldLock;
use super::names::{ComponentKind, ComponentName, DeploymentName, TargetName};
use super::promotion::{PathRefusal, check_path};
use super::record::RecordStatus;
use super::rollout_report::RolloutKind;
use super::state::{ComponentState, DeploymentState};

/// What a rollout is asked to do.
#[derive(Debug, Clone, PartialEq)]
pub struct RolloutRequest {
    pub target: TargetName,
    pub source: RolloutSource,
    /// Only these components; all where empty.
    pub components: Vec<ComponentName>,
    pub skip_promotion_check: bool,
    /// Refuse a promotion whose components sit at different commits.
    pub require_uniform: bool,
    /// Nobody asked for this very rollout: a pipeline runs it for a push or on a schedule.
    pub automatic: bool,
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
    /// Neither, as far as the history that is here goes.
    Unrelated,
    /// Cannot be read: a commit or the history between them is not here and cannot be had.
    Unknown,
}

/// What must be known of the past for the decision.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PastFacts {
    /// How the commit to deploy relates to what runs, for components where both are known.
    pub ancestry: BTreeMap<ComponentName, Ancestry>,
    /// The commits that succeeded on the target before. Empty where nobody needs to know.
    pub succeeded: BTreeMap<ComponentName, BTreeSet<CommitId>>,
}

/// What a rollout will do.
#[derive(Debug, Clone, PartialEq)]
pub struct RolloutPlan {
    pub deployment: DeploymentName,
    pub target: TargetName,
    pub kind: RolloutKind,
    /// In dependency order.
    pub components: Vec<ComponentPlan>,
    /// Components that stay as they are, and why.
    pub left_out: Vec<(ComponentName, String)>,
    /// Who has to agree first.
    pub approval: Option<ApprovalMethod>,
    /// The promotion path does not allow this, and somebody insisted.
    pub promotion_check_skipped: bool,
}

/// What a rollout will do with one component.
#[derive(Debug, Clone, PartialEq)]
pub struct ComponentPlan {
    pub component: ComponentName,
    pub kind: ComponentKind,
    pub commit: CommitId,
    /// What runs now.
    pub previous_commit: Option<CommitId>,
    /// Whether this goes back to something older than what runs.
    pub rollback: bool,
    /// When the commit was deployed on the target that it is promoted from.
    pub source_deployed_at: Option<jiff::Timestamp>,
    /// The images that were recorded with it on the target that it is promoted from.
    pub artifacts: BTreeMap<String, String>,
    pub build_id: Option<String>,
}

/// Why a rollout is refused.
#[derive(Debug, Clone, PartialEq)]
pub enum Refusal {
    /// The promotion path does not allow it.
    Path(PathRefusal),
    /// A commit may only come to this target by promotion.
    NotPromoted { target: TargetName, sources: Vec<TargetName>, components: Vec<ComponentName> },
    /// The target is frozen.
    Frozen { target: TargetName, lock: Box<HeldLock> },
    /// Nothing on the source target can be promoted; each component with the reason.
    NothingToPromote { from: TargetName, reasons: Vec<(ComponentName, String)> },
    /// A component that was asked for cannot be promoted.
    NotPromotable { from: TargetName, component: ComponentName, reason: String },
    /// The components sit at different commits.
    Mixed { from: TargetName, commits: BTreeMap<CommitId, Vec<ComponentName>> },
    /// The target was rolled back, and only a person may promote to it again.
    OnHold { target: TargetName, components: Vec<ComponentName> },
}

/// What a rollout is decided from.
#[derive(Debug, Clone, Copy)]
pub struct RolloutBasis<'a> {
    /// The deployment as the checkout declares it: its promotion rules hold.
    pub policy: &'a Deployment,
    /// The components that can be rolled out: of the commit that is deployed, or of the checkout for a promotion.
    pub components: &'a [Component],
    pub state: &'a DeploymentState,
    pub past: &'a PastFacts,
    /// A freeze that has ended by then is none.
    pub now: jiff::Timestamp,
}

/// Decides a rollout.
pub fn plan(basis: RolloutBasis<'_>, request: &RolloutRequest) -> Result<RolloutPlan, Refusal> {
    let target = &request.target;
    let freeze = basis.state.targets.get(target).and_then(|state| state.freeze());
    if let Some(lock) = freeze.filter(|held| !held.lock.expired(basis.now)) {
        return Err(Refusal::Frozen { target: target.clone(), lock: Box::new(lock.clone()) });
    }
    let wanted = |component: &&Component| {
        request.components.is_empty() || request.components.contains(&component.name)
    };
    let selected: Vec<_> = basis.components.iter().filter(wanted).collect();
    let mut left_out = Vec::new();
    let mut promotion_check_skipped = false;
    let components = match &request.source {
        RolloutSource::Commit(commit) => {
            let planned: Vec<_> =
                selected.iter().map(|component| deployed(basis, target, component, commit)).collect();
            promotion_check_skipped = check_direct(basis, request, &planned)?;
            planned
        }
        RolloutSource::Promotion { from } => {
            if let Err(refusal) = check_path(basis.policy, from, target) {
                if !request.skip_promotion_check {
                    return Err(Refusal::Path(refusal));
                }
                promotion_check_skipped = true;
            }
            let (planned, rest) = promoted(basis, request, from, &selected)?;
            left_out = rest;
            check_hold(basis, request, &planned)?;
            planned
        }
    };
    let kind = match &request.source {
        RolloutSource::Promotion { from } => RolloutKind::Promotion { from: from.clone() },
        RolloutSource::Commit(commit) if components.iter().any(|component| component.rollback) => {
            RolloutKind::Rollback { to: commit.clone() }
        }
        RolloutSource::Commit(_) => RolloutKind::Deploy,
    };
    // What has run there before was agreed to then: going back must not wait for anybody.
    let needs_agreement =
        promotion_check_skipped || matches!(request.source, RolloutSource::Promotion { .. });
    let rule = basis.policy.targets.get(target).and_then(|target| target.promotion.as_ref());
    Ok(RolloutPlan {
        deployment: basis.policy.name.clone(),
        target: target.clone(),
        components: in_order(basis.components, components),
        kind,
        left_out,
        approval: rule
            .filter(|rule| rule.requires_approval && needs_agreement)
            .map(|rule| rule.approval_method),
        promotion_check_skipped,
    })
}

/// A component of a rollout of one commit.
fn deployed(
    basis: RolloutBasis<'_>,
    target: &TargetName,
    component: &Component,
    commit: &CommitId,
) -> ComponentPlan {
    let previous_commit =
        basis.state.component(target, &component.name).and_then(|state| state.commit.clone());
    ComponentPlan {
        rollback: is_rollback(basis.past, &component.name, commit, previous_commit.as_ref()),
        component: component.name.clone(),
        kind: component.kind,
        commit: commit.clone(),
        previous_commit,
        source_deployed_at: None,
        artifacts: BTreeMap::new(),
        build_id: None,
    }
}

/// A rollback is recognised: the commit is an ancestor of what runs, or, beside its line, was deployed before.
fn is_rollback(
    past: &PastFacts,
    component: &ComponentName,
    commit: &CommitId,
    running: Option<&CommitId>,
) -> bool {
    let deployed_before = || past.succeeded.get(component).is_some_and(|commits| commits.contains(commit));
    match (running, past.ancestry.get(component)) {
        (None, _) | (_, Some(Ancestry::Same | Ancestry::Descendant)) => false,
        (Some(_), Some(Ancestry::Ancestor)) => true,
        (Some(running), Some(Ancestry::Unrelated | Ancestry::Unknown) | None) => {
            running != commit && deployed_before()
        }
    }
}

/// Whether a commit may come to a target without being promoted. Returns whether somebody insisted.
fn check_direct(
    basis: RolloutBasis<'_>,
    request: &RolloutRequest,
    planned: &[ComponentPlan],
) -> Result<bool, Refusal> {
    let target = &request.target;
    let rule = basis.policy.targets.get(target).and_then(|target| target.promotion.as_ref());
    let Some(rule) = rule else { return Ok(false) };
    let has_run_here = |component: &ComponentPlan| {
        component.previous_commit.as_ref() == Some(&component.commit)
            || basis
                .past
                .succeeded
                .get(&component.component)
                .is_some_and(|commits| commits.contains(&component.commit))
    };
    let new: Vec<_> = planned
        .iter()
        .filter(|component| !has_run_here(component))
        .map(|component| component.component.clone())
        .collect();
    if new.is_empty() {
        Ok(false)
    } else if request.skip_promotion_check {
        Ok(true)
    } else {
        Err(Refusal::NotPromoted { target: target.clone(), sources: rule.sources.clone(), components: new })
    }
}

/// What is planned of a promotion, and the components that are left out of it with the reason.
type Promoted = (Vec<ComponentPlan>, Vec<(ComponentName, String)>);

/// The components of a promotion, each at its own commit, and those that stay behind.
fn promoted(
    basis: RolloutBasis<'_>,
    request: &RolloutRequest,
    from: &TargetName,
    selected: &[&Component],
) -> Result<Promoted, Refusal> {
    let mut planned = Vec::new();
    let mut left_out = Vec::new();
    for component in selected {
        let source = basis.state.component(from, &component.name);
        match promotable_commit(source, from) {
            Ok(commit) => {
                let running = source.and_then(|state| state.running.as_ref());
                let mut plan = deployed(basis, &request.target, component, &commit);
                plan.source_deployed_at = running.map(|running| running.record.timestamp);
                plan.artifacts = running.map(|running| running.record.artifacts.clone()).unwrap_or_default();
                plan.build_id = running.and_then(|running| running.record.build_id.clone());
                planned.push(plan);
            }
            Err(reason) if request.components.is_empty() => left_out.push((component.name.clone(), reason)),
            Err(reason) => {
                let component = component.name.clone();
                return Err(Refusal::NotPromotable { from: from.clone(), component, reason });
            }
        }
    }
    if planned.is_empty() {
        return Err(Refusal::NothingToPromote { from: from.clone(), reasons: left_out });
    }
    if request.require_uniform {
        let mut commits: BTreeMap<CommitId, Vec<ComponentName>> = BTreeMap::new();
        for component in &planned {
            commits.entry(component.commit.clone()).or_default().push(component.component.clone());
        }
        if commits.len() > 1 {
            return Err(Refusal::Mixed { from: from.clone(), commits });
        }
    }
    Ok((planned, left_out))
}

/// The commit of a component that may be promoted from a target, or why none may.
fn promotable_commit(state: Option<&ComponentState>, from: &TargetName) -> Result<CommitId, String> {
    let not_deployed = || format!("it is not deployed to {from}");
    let state = state.ok_or_else(not_deployed)?;
    let commit = state.commit.clone().ok_or_else(not_deployed)?;
    match state.newest.as_ref().map(|newest| &newest.record) {
        Some(record) if record.status == RecordStatus::Failed => {
            Err(format!("its last rollout to {from}, of {}, failed", record.commit.short()))
        }
        Some(record) if record.status == RecordStatus::Cancelled => {
            Err(format!("its last rollout to {from}, of {}, was cancelled", record.commit.short()))
        }
        _ => Ok(commit),
    }
}

/// After a rollback, a pipeline does not bring back by itself what somebody has just taken away.
fn check_hold(
    basis: RolloutBasis<'_>,
    request: &RolloutRequest,
    planned: &[ComponentPlan],
) -> Result<(), Refusal> {
    if !request.automatic {
        return Ok(());
    }
    let components: Vec<_> = planned
        .iter()
        .filter(|component| component.previous_commit.as_ref() != Some(&component.commit))
        .filter(|component| {
            basis
                .state
                .component(&request.target, &component.component)
                .and_then(|state| state.running.as_ref())
                .is_some_and(|running| running.record.rollback_of.is_some())
        })
        .map(|component| component.component.clone())
        .collect();
    if components.is_empty() {
        return Ok(());
    }
    Err(Refusal::OnHold { target: request.target.clone(), components })
}

/// The planned components so that each comes after what it depends on. Cycles were refused with the configuration.
fn in_order(components: &[Component], planned: Vec<ComponentPlan>) -> Vec<ComponentPlan> {
    let graph = dependencies(components, &planned);
    let Ok(order) = graph.order() else { return planned };
    let mut by_name: BTreeMap<_, _> =
        planned.into_iter().map(|plan| (plan.component.clone(), plan)).collect();
    order.iter().filter_map(|name| by_name.remove(name)).collect()
}

/// What each planned component needs of the others, also through components that are not part of the plan.
#[must_use]
pub fn dependencies(components: &[Component], planned: &[ComponentPlan]) -> Graph<ComponentName> {
    among(components, &planned.iter().map(|plan| plan.component.clone()).collect())
}
