//! The promotion status: each edge of the promotion graph with its state and the reason for it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use jiff::Timestamp;

use super::commit::CommitId;
use super::declarations::Declarations;
use super::definition::{ApprovalMethod, Component, Deployment, PromotionRule, Target};
use super::lock::HeldLock;
use super::names::{ComponentKind, ComponentName, DeploymentName, TargetName};
use super::promotable::{Exceptions, LeftOut, LeftOutReason, promotable};
use super::promotion;
use super::record::RecordStatus;
use super::rules::RulesConflict;
use super::state::{ComponentState, DeploymentState, TargetState};

/// The promotion graph of a deployment and the state of its targets.
#[derive(Debug, Clone, PartialEq)]
pub struct PromotionView {
    pub deployment: DeploymentName,
    /// In file order.
    pub targets: Vec<TargetStanding>,
    /// In file order, by the target that is promoted to.
    pub edges: Vec<PromotionEdge>,
}

/// The state of one target: its running components.
#[derive(Debug, Clone, PartialEq)]
pub struct TargetStanding {
    pub target: TargetName,
    /// The targets that it is promoted from; empty for an entry point.
    pub sources: Vec<TargetName>,
    pub requires_approval: bool,
    /// The commits that run there, without duplicates, in the order of the components. More than
    /// one where the components have been deployed separately.
    pub commits: Vec<CommitId>,
    /// The time of the newest deployment among the running components.
    pub deployed_at: Option<Timestamp>,
    /// The worst status of the components' newest records; absent where there is no record.
    pub status: Option<RecordStatus>,
    /// The active freeze, if any, which blocks all rollouts there.
    pub freeze: Option<Freeze>,
    /// Whether a running rollback holds the target, so that no pipeline moves it forwards by
    /// itself.
    pub hold: bool,
    /// The keys of `--context` that any component there runs with.
    pub overridden: BTreeSet<String>,
    /// The number of commits that it is behind its sources, if counted. This is lag, not drift.
    pub commits_behind: Option<usize>,
}

/// The freeze of a target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Freeze {
    pub holder: String,
    pub reason: Option<String>,
    pub expires_at: Option<Timestamp>,
}

/// An edge of the promotion graph.
#[derive(Debug, Clone, PartialEq)]
pub struct PromotionEdge {
    pub from: TargetName,
    pub to: TargetName,
    /// The approval method, where the target requires an approval.
    pub approval: Option<ApprovalMethod>,
    pub state: EdgeState,
    /// The reasons that it is blocked; empty in every other state.
    pub blockers: Vec<Blocker>,
    /// Whether a running rollback holds `to`, so that only a person promotes to it.
    pub hold: bool,
    /// Whether part of the source's components would stay behind, which a promotion refuses unless
    /// told to proceed.
    pub partial: bool,
    /// The components that have been deployed to `from`, in file order.
    pub components: Vec<ComponentPromotion>,
}

/// Whether a promotion along an edge would do something.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum EdgeState {
    /// At least one component runs another commit in the source, and nothing is in the way.
    Ready,
    /// Every component of the source runs at the same commit in the target.
    UpToDate,
    /// Nothing runs in the source.
    NothingToPromote,
    /// Something is in the way; see [`PromotionEdge::blockers`].
    Blocked,
}

impl EdgeState {
    /// The state's name in messages.
    #[must_use]
    pub const fn as_words(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::UpToDate => "up to date",
            Self::NothingToPromote => "nothing to promote",
            Self::Blocked => "blocked",
        }
    }
}

/// A reason that a promotion is blocked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Blocker {
    /// A component would stay behind, so that the promotion would be partial.
    LeftOut(LeftOut),
    /// The rules of the default branch and of the checkout conflict.
    Rules(RulesConflict),
    /// The target is frozen.
    Frozen { target: TargetName, freeze: Freeze },
    /// A run holds the lock of a component of the target.
    Locked { component: ComponentName, target: TargetName, holder: String },
}

impl Blocker {
    /// The missing dependency that keeps a component behind, if any.
    #[must_use]
    pub const fn missing_dependency(&self) -> Option<&ComponentName> {
        match self {
            Self::LeftOut(LeftOut { reason: LeftOutReason::Needs { dependency, .. }, .. }) => {
                Some(dependency)
            }
            _ => None,
        }
    }
}

impl fmt::Display for Blocker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LeftOut(LeftOut { component, reason }) => write!(f, "{component} stays behind: {reason}"),
            Self::Rules(conflict) => conflict.fmt(f),
            Self::Frozen { target, freeze } => {
                write!(f, "{target} is frozen by {}", freeze.holder)?;
                freeze.reason.iter().try_for_each(|reason| write!(f, ": {reason}"))
            }
            Self::Locked { component, target, holder } => {
                write!(f, "{component} in {target} is locked by {holder}")
            }
        }
    }
}

/// One component on an edge.
#[derive(Debug, Clone, PartialEq)]
pub struct ComponentPromotion {
    pub component: ComponentName,
    pub kind: ComponentKind,
    /// The running commit of the source; absent where only a failed attempt is known.
    pub commit: Option<CommitId>,
    /// The time of that deployment to the source.
    pub deployed_at: Option<Timestamp>,
    /// The running commit of the target.
    pub target_commit: Option<CommitId>,
    /// The newest record in the source.
    pub status: Option<RecordStatus>,
    pub state: ComponentEdgeState,
}

/// Whether a promotion would touch a component.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum ComponentEdgeState {
    Ready,
    UpToDate,
    Blocked,
}

/// Facts about the targets besides the ledger's state.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct StandingFacts {
    /// The number of commits that each target is behind its sources, for targets that the caller
    /// counted.
    pub commits_behind: BTreeMap<TargetName, usize>,
    /// The components whose hold was lifted, by target.
    pub lifted: BTreeSet<(TargetName, ComponentName)>,
    /// The components that their stacks disable, by target.
    pub disabled: BTreeMap<TargetName, BTreeSet<ComponentName>>,
    /// The declarations of the running commits and of the trusted sides.
    pub declarations: Declarations,
    /// The targets whose rules conflict.
    pub conflicts: BTreeMap<TargetName, RulesConflict>,
}

/// The promotion status of a deployment's targets under the effective rules. Locks that have
/// expired at `now` block nothing.
#[must_use]
pub fn promotion_status(
    deployment: &Deployment,
    state: &DeploymentState,
    facts: &StandingFacts,
    now: Timestamp,
) -> PromotionView {
    let empty = TargetState::default();
    let of = |target: &TargetName| state.targets.get(target).unwrap_or(&empty);
    let edges = Edges { deployment, facts, now };
    PromotionView {
        deployment: deployment.name.clone(),
        targets: deployment
            .targets
            .values()
            .map(|target| {
                let guarded = target.promotion.as_ref().is_some_and(PromotionRule::is_guarded);
                let state = of(&target.name);
                TargetStanding {
                    hold: edges.hold(target, state, guarded),
                    commits_behind: facts.commits_behind.get(&target.name).copied(),
                    ..standing(deployment, target, state, now)
                }
            })
            .collect(),
        edges: promotion::edges(&deployment.targets)
            .map(|(from, to)| edges.edge((from, of(from)), (to, of(&to.name))))
            .collect(),
    }
}

/// The status of a deployment whose file is unusable, from the ledger alone: without rules and
/// promotions.
#[must_use]
pub fn standing_of_ledger(state: &DeploymentState, now: Timestamp) -> PromotionView {
    let targets = state.targets.iter().filter(|(_, target)| !target.components.is_empty());
    PromotionView {
        deployment: state.deployment.clone(),
        targets: targets
            .map(|(name, target)| runs_on(name, target, target.components.values(), now))
            .collect(),
        edges: Vec::new(),
    }
}

fn standing(deployment: &Deployment, target: &Target, state: &TargetState, now: Timestamp) -> TargetStanding {
    let components =
        deployment.components.iter().filter_map(|component| state.components.get(&component.name));
    TargetStanding {
        sources: promotion::sources(deployment, &target.name).to_vec(),
        requires_approval: target.promotion.as_ref().is_some_and(|rule| rule.requires_approval),
        ..runs_on(&target.name, state, components, now)
    }
}

/// The state of a target over these components, without its rules.
fn runs_on<'c>(
    target: &TargetName,
    state: &TargetState,
    components: impl Iterator<Item = &'c ComponentState> + Clone,
    now: Timestamp,
) -> TargetStanding {
    let mut commits: Vec<CommitId> = Vec::new();
    for commit in components.clone().filter_map(|component| component.commit.as_ref()) {
        if !commits.contains(commit) {
            commits.push(commit.clone());
        }
    }
    TargetStanding {
        target: target.clone(),
        sources: Vec::new(),
        requires_approval: false,
        commits,
        deployed_at: components.filter_map(deployed_at).max(),
        status: state.status(),
        freeze: active_freeze(state, now),
        hold: false,
        overridden: state.overrides().into_values().flat_map(BTreeMap::into_keys).collect(),
        commits_behind: None,
    }
}

/// The inputs of the edges' states.
struct Edges<'a> {
    deployment: &'a Deployment,
    facts: &'a StandingFacts,
    now: Timestamp,
}

impl Edges<'_> {
    fn edge(
        &self,
        (from, source): (&TargetName, &TargetState),
        (to, target): (&Target, &TargetState),
    ) -> PromotionEdge {
        let no_names = BTreeSet::new();
        let exceptions = Exceptions {
            disabled: self.facts.disabled.get(&to.name).unwrap_or(&no_names),
            declarations: &self.facts.declarations,
            all: true,
            trust_state: false,
        };
        let all = &self.deployment.components;
        let found = promotable(all, (from, Some(source)), (&to.name, Some(target)), exceptions);
        let stays = |name: &ComponentName| found.left_out.iter().any(|left_out| left_out.component == *name);
        let components: Vec<_> = all
            .iter()
            .filter_map(|component| component_promotion(component, source, target, stays(&component.name)))
            .collect();
        let partial = found.is_partial();
        let left_out = found.left_out.into_iter().filter(|left_out| left_out.reason.makes_partial());
        let mut blockers: Vec<_> = left_out.map(Blocker::LeftOut).collect();
        blockers.extend(self.facts.conflicts.get(&to.name).cloned().map(Blocker::Rules));
        if components.iter().any(|component| component.state == ComponentEdgeState::Ready) {
            // Locks block only where there is something to promote.
            let freeze = active_freeze(target, self.now);
            blockers.extend(freeze.map(|freeze| Blocker::Frozen { target: to.name.clone(), freeze }));
            blockers.extend(components.iter().filter_map(|component| {
                let held = target.lock(&component.component).filter(|held| !held.lock.expired(self.now))?;
                Some(Blocker::Locked {
                    component: component.component.clone(),
                    target: to.name.clone(),
                    holder: held.lock.holder.clone(),
                })
            }));
        }
        let approval = to.promotion.as_ref().filter(|rule| rule.requires_approval);
        PromotionEdge {
            from: from.clone(),
            to: to.name.clone(),
            approval: approval.map(|rule| rule.approval_method),
            state: edge_state(&components, &blockers),
            blockers,
            hold: self.hold(to, target, true),
            partial,
            components,
        }
    }

    /// Whether only a person moves a target forwards.
    fn hold(&self, to: &Target, target: &TargetState, by_default: bool) -> bool {
        let is_on = to.promotion.as_ref().and_then(|rule| rule.hold).unwrap_or(by_default);
        let mut held = target.components.iter().filter(|(_, state)| state.runs_a_rollback());
        is_on && held.any(|(name, _)| !self.facts.lifted.contains(&(to.name.clone(), name.clone())))
    }
}

fn edge_state(components: &[ComponentPromotion], blockers: &[Blocker]) -> EdgeState {
    if !blockers.is_empty() {
        EdgeState::Blocked
    } else if components.is_empty() {
        EdgeState::NothingToPromote
    } else if components.iter().any(|component| component.state == ComponentEdgeState::Ready) {
        EdgeState::Ready
    } else {
        EdgeState::UpToDate
    }
}

/// The status of one component on an edge; `None` where it was never deployed to the source.
fn component_promotion(
    component: &Component,
    source: &TargetState,
    target: &TargetState,
    stays: bool,
) -> Option<ComponentPromotion> {
    let here = source.components.get(&component.name)?;
    if here.commit.is_none() && here.newest.is_none() {
        return None;
    }
    let target_commit = target.components.get(&component.name).and_then(|there| there.commit.clone());
    let state = if stays {
        ComponentEdgeState::Blocked
    } else if here.commit == target_commit {
        ComponentEdgeState::UpToDate
    } else {
        ComponentEdgeState::Ready
    };
    Some(ComponentPromotion {
        component: component.name.clone(),
        kind: component.kind,
        commit: here.commit.clone(),
        deployed_at: deployed_at(here),
        target_commit,
        status: newest_status(here),
        state,
    })
}

fn deployed_at(component: &ComponentState) -> Option<Timestamp> {
    component.running.as_ref().map(|running| running.record.timestamp)
}

fn newest_status(component: &ComponentState) -> Option<RecordStatus> {
    component.newest.as_ref().map(|newest| newest.record.status)
}

/// The freeze of a target, if it is active at `now`.
fn active_freeze(state: &TargetState, now: Timestamp) -> Option<Freeze> {
    let HeldLock { lock, .. } = state.freeze().filter(|held| !held.lock.expired(now))?;
    Some(Freeze { holder: lock.holder.clone(), reason: lock.reason.clone(), expires_at: lock.expires_at })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::fixtures::{
        commit, component_name, deployment, lock, record, running, state, target_name, time,
    };
    use super::super::lock::LockScope;
    use super::*;

    const AT: &str = "2025-01-22T12:00:00Z";

    /// The edge from `dev` to `prod` with these running components, and these locks on `prod`.
    fn edge_between(
        dev: impl Into<Option<ComponentState>>,
        prod: impl Into<Option<ComponentState>>,
        locks: Vec<HeldLock>,
    ) -> PromotionEdge {
        let deployment = deployment(&["api"], &[("dev", &[]), ("prod", &["dev"])]);
        let components =
            |state: Option<ComponentState>| state.map(|state| ("api", state)).into_iter().collect();
        let mut state = state(vec![("dev", components(dev.into())), ("prod", components(prod.into()))]);
        state.targets.get_mut(&target_name("prod")).unwrap().locks = locks;
        let facts = StandingFacts::default();
        let view = promotion_status(&deployment, &state, &facts, time("2025-01-22T14:00:00Z"));
        view.edges.into_iter().next().unwrap()
    }

    fn at(target: &str, short: &str) -> ComponentState {
        running(target, "api", short, AT)
    }

    #[test]
    fn another_commit_in_the_source_is_ready() {
        let edge = edge_between(at("dev", "def456a"), at("prod", "abc123d"), Vec::new());
        assert_eq!((edge.state, edge.approval), (EdgeState::Ready, Some(ApprovalMethod::Ci)));
        assert_eq!(edge.components[0].target_commit, Some(commit("abc123d")));
        assert_eq!(edge_between(at("dev", "def456a"), None, Vec::new()).state, EdgeState::Ready);
    }

    #[test]
    fn locks_are_in_the_way_while_they_hold_and_only_of_something() {
        let freeze = |expires| lock(LockScope::Target, expires);
        let ready = |held| edge_between(at("dev", "def456a"), at("prod", "abc123d"), vec![held]).state;
        assert_eq!(ready(freeze(None)), EdgeState::Blocked);
        assert_eq!(ready(freeze(Some("2025-01-22T14:00:00Z"))), EdgeState::Ready);
        assert_eq!(ready(lock(LockScope::Component(component_name("api")), None)), EdgeState::Blocked);
        assert_eq!(ready(lock(LockScope::Component(component_name("other")), None)), EdgeState::Ready);
        let same = edge_between(at("dev", "abc123d"), at("prod", "abc123d"), vec![freeze(None)]);
        assert_eq!(same.state, EdgeState::UpToDate);
        assert_eq!(edge_between(None, None, vec![freeze(None)]).state, EdgeState::NothingToPromote);
    }

    #[test]
    fn a_component_whose_newest_record_is_no_success_blocks() {
        let mut dev = running("dev", "api", "abc123d", AT);
        dev.newest =
            Some(record("dev", "api", "def456a", RecordStatus::Cancelled, "2025-01-22T13:00:00Z").into());
        let edge = edge_between(dev, at("prod", "abc123d"), Vec::new());
        assert_eq!((edge.state, edge.partial), (EdgeState::Blocked, true));
        assert_eq!(
            edge.blockers[0].to_string(),
            "api stays behind: its last rollout to dev, of def456a, was cancelled"
        );
    }

    #[test]
    fn a_state_without_a_record_blocks() {
        let plain = ComponentState { commit: Some(commit("def456a")), ..ComponentState::default() };
        let edge = edge_between(plain, None, Vec::new());
        assert_eq!((edge.state, edge.partial), (EdgeState::Blocked, true));
        assert_eq!(
            edge.blockers[0].to_string(),
            "api stays behind: no record says that def456a was deployed to dev"
        );
        assert_eq!(
            edge_between(ComponentState::default(), None, Vec::new()).state,
            EdgeState::NothingToPromote
        );
    }

    #[test]
    fn a_rollback_in_the_target_holds_automatic_promotion() {
        let mut prod = running("prod", "api", "abc123d", AT);
        Arc::make_mut(prod.running.as_mut().unwrap()).record.rollback_of = Some("def456a".to_owned());
        assert!(edge_between(at("dev", "def456a"), prod.clone(), Vec::new()).hold);
        let deployment = deployment(&["api"], &[("dev", &[]), ("prod", &["dev"])]);
        let state = state(vec![("dev", vec![("api", at("dev", "def456a"))]), ("prod", vec![("api", prod)])]);
        let lifted = BTreeSet::from([(target_name("prod"), component_name("api"))]);
        let facts = StandingFacts { lifted, ..StandingFacts::default() };
        let view = promotion_status(&deployment, &state, &facts, time("2025-01-22T14:00:00Z"));
        assert!(!view.edges[0].hold && !view.targets[1].hold);
        let view =
            promotion_status(&deployment, &state, &StandingFacts::default(), time("2025-01-22T14:00:00Z"));
        assert!(view.targets[1].hold && !view.targets[0].hold);
    }

    #[test]
    fn the_ledger_alone_knows_what_runs_and_no_rules() {
        let mut state = state(vec![("dev", vec![("api", at("dev", "def456a"))]), ("prod", Vec::new())]);
        state.targets.get_mut(&target_name("dev")).unwrap().locks = vec![lock(LockScope::Target, None)];
        let view = standing_of_ledger(&state, time("2025-01-22T14:00:00Z"));
        let [dev] = &view.targets[..] else { panic!("{view:?}") };
        assert_eq!((&dev.target, &dev.commits[..]), (&target_name("dev"), &[commit("def456a")][..]));
        assert_eq!(dev.deployed_at, Some(time(AT)));
        assert!(dev.freeze.is_some() && !dev.requires_approval && view.edges.is_empty());
    }

    #[test]
    fn rules_that_conflict_block() {
        let deployment = deployment(&["api"], &[("dev", &[]), ("prod", &["dev"])]);
        let state = state(vec![("dev", vec![("api", at("dev", "def456a"))])]);
        let prod = target_name("prod");
        let conflict = RulesConflict::Undeclared { target: prod.clone() };
        let facts = StandingFacts { conflicts: [(prod, conflict)].into(), ..StandingFacts::default() };
        let view = promotion_status(&deployment, &state, &facts, time("2025-01-22T14:00:00Z"));
        assert_eq!(view.edges[0].state, EdgeState::Blocked);
    }
}
