//! What can be promoted now: each edge of the promotion graph with its state and the reason for it.

use std::collections::BTreeMap;
use std::fmt;

use jiff::Timestamp;

use super::commit::CommitId;
use super::definition::{ApprovalMethod, Component, Deployment, Target};
use super::lock::HeldLock;
use super::names::{ComponentKind, ComponentName, DeploymentName, TargetName};
use super::promotion;
use super::record::RecordStatus;
use super::state::{ComponentState, DeploymentState, TargetState};

/// The promotion graph of a deployment and how its targets stand to each other.
#[derive(Debug, Clone, PartialEq)]
pub struct PromotionView {
    pub deployment: DeploymentName,
    /// In the order of the file.
    pub targets: Vec<TargetStanding>,
    /// In the order of the file, by the target that is promoted to.
    pub edges: Vec<PromotionEdge>,
}

/// What runs on one target.
#[derive(Debug, Clone, PartialEq)]
pub struct TargetStanding {
    pub target: TargetName,
    /// Where it is promoted from; empty for an entry point.
    pub sources: Vec<TargetName>,
    pub requires_approval: bool,
    /// The commits that run there, each once, in the order of the components. More than one where the
    /// components have been deployed apart.
    pub commits: Vec<CommitId>,
    /// When the newest of what runs was deployed.
    pub deployed_at: Option<Timestamp>,
    /// The worst of the components' newest records; absent where there is no record.
    pub status: Option<RecordStatus>,
    /// Why nothing may be rolled out there now.
    pub freeze: Option<Freeze>,
    /// How many commits of its sources it lacks, where somebody counted. This is lag, not drift.
    pub commits_behind: Option<usize>,
}

/// A target that somebody has frozen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Freeze {
    pub holder: String,
    pub reason: Option<String>,
    pub expires_at: Option<Timestamp>,
}

/// One way from target to target.
#[derive(Debug, Clone, PartialEq)]
pub struct PromotionEdge {
    pub from: TargetName,
    pub to: TargetName,
    /// Who is asked, where the target requires an approval.
    pub approval: Option<ApprovalMethod>,
    pub state: EdgeState,
    /// Why it is blocked; empty in every other state.
    pub blockers: Vec<Blocker>,
    /// What runs in `to` is a rollback, so that only a person promotes onto it.
    pub hold: bool,
    /// The components that have been deployed to `from`, in the order of the file.
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
    /// The state in words.
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

/// What is in the way of a promotion.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Blocker {
    /// The newest record of a component in the source is not a success.
    Unsuccessful { component: ComponentName, target: TargetName, status: RecordStatus },
    /// The target is frozen.
    Frozen { target: TargetName, freeze: Freeze },
    /// A run is working on a component of the target.
    Locked { component: ComponentName, target: TargetName, holder: String },
}

impl fmt::Display for Blocker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unsuccessful { component, target, status } => {
                write!(f, "the newest record of {component} in {target} is {status}")
            }
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
    /// What runs in the source; absent where only a failed attempt is known.
    pub commit: Option<CommitId>,
    /// When that was deployed to the source.
    pub deployed_at: Option<Timestamp>,
    /// What runs in the target.
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

/// How the targets of a deployment stand to each other.
///
/// `commits_behind` is how many commits each target lacks of its sources, for those that the caller
/// counted. Locks that have expired at `now` are in nobody's way.
#[must_use]
pub fn promotion_status(
    deployment: &Deployment,
    state: &DeploymentState,
    commits_behind: &BTreeMap<TargetName, usize>,
    now: Timestamp,
) -> PromotionView {
    let empty = TargetState::default();
    let of = |target: &TargetName| state.targets.get(target).unwrap_or(&empty);
    PromotionView {
        deployment: deployment.name.clone(),
        targets: deployment
            .targets
            .values()
            .map(|target| {
                let behind = commits_behind.get(&target.name).copied();
                standing(deployment, target, of(&target.name), behind, now)
            })
            .collect(),
        edges: promotion::edges(&deployment.targets)
            .map(|(from, to)| edge(deployment, (from, of(from)), (to, of(&to.name)), now))
            .collect(),
    }
}

fn standing(
    deployment: &Deployment,
    target: &Target,
    state: &TargetState,
    commits_behind: Option<usize>,
    now: Timestamp,
) -> TargetStanding {
    let components =
        || deployment.components.iter().filter_map(|component| state.components.get(&component.name));
    let mut commits: Vec<CommitId> = Vec::new();
    for commit in components().filter_map(|component| component.commit.as_ref()) {
        if !commits.contains(commit) {
            commits.push(commit.clone());
        }
    }
    TargetStanding {
        target: target.name.clone(),
        sources: promotion::sources(deployment, &target.name).to_vec(),
        requires_approval: target.promotion.as_ref().is_some_and(|rule| rule.requires_approval),
        commits,
        deployed_at: components().filter_map(deployed_at).max(),
        status: state.status(),
        freeze: active_freeze(state, now),
        commits_behind,
    }
}

fn edge(
    deployment: &Deployment,
    (from, source): (&TargetName, &TargetState),
    (to, target): (&Target, &TargetState),
    now: Timestamp,
) -> PromotionEdge {
    let components: Vec<_> = deployment
        .components
        .iter()
        .filter_map(|component| component_promotion(component, source, target))
        .collect();
    let mut blockers: Vec<_> = components
        .iter()
        .filter(|component| component.state == ComponentEdgeState::Blocked)
        .filter_map(|component| {
            Some(Blocker::Unsuccessful {
                component: component.component.clone(),
                target: from.clone(),
                status: component.status?,
            })
        })
        .collect();
    if components.iter().any(|component| component.state == ComponentEdgeState::Ready) {
        // Locks are in the way of something only where there is something to promote.
        let freeze = active_freeze(target, now);
        blockers.extend(freeze.map(|freeze| Blocker::Frozen { target: to.name.clone(), freeze }));
        blockers.extend(components.iter().filter_map(|component| {
            let held = target.lock(&component.component).filter(|held| !held.lock.expired(now))?;
            Some(Blocker::Locked {
                component: component.component.clone(),
                target: to.name.clone(),
                holder: held.lock.holder.clone(),
            })
        }));
    }
    PromotionEdge {
        from: from.clone(),
        to: to.name.clone(),
        approval: to
            .promotion
            .as_ref()
            .filter(|rule| rule.requires_approval)
            .map(|rule| rule.approval_method),
        state: edge_state(&components, &blockers),
        blockers,
        hold: target.components.values().any(|component| {
            component.running.as_ref().is_some_and(|running| running.record.rollback_of.is_some())
        }),
        components,
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

/// How one component stands on an edge; `None` where it was never deployed to the source.
fn component_promotion(
    component: &Component,
    source: &TargetState,
    target: &TargetState,
) -> Option<ComponentPromotion> {
    let here = source.components.get(&component.name)?;
    if here.commit.is_none() && here.newest.is_none() {
        return None;
    }
    let target_commit = target.components.get(&component.name).and_then(|there| there.commit.clone());
    let state = if !here.promotable() {
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

/// The freeze of a target, if it holds at `now`.
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

    /// The edge from `dev` to `prod` where these run, under these locks on `prod`.
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
        let view = promotion_status(&deployment, &state, &BTreeMap::new(), time("2025-01-22T14:00:00Z"));
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
        assert_eq!(edge.state, EdgeState::Blocked);
        assert_eq!(edge.blockers[0].to_string(), "the newest record of api in dev is cancelled");
    }

    #[test]
    fn a_ledger_of_plain_refs_can_be_promoted() {
        let plain = ComponentState { commit: Some(commit("def456a")), ..ComponentState::default() };
        assert_eq!(edge_between(plain, None, Vec::new()).state, EdgeState::Ready);
        assert_eq!(
            edge_between(ComponentState::default(), None, Vec::new()).state,
            EdgeState::NothingToPromote
        );
    }

    #[test]
    fn a_rollback_in_the_target_holds_automatic_promotion() {
        let mut prod = running("prod", "api", "abc123d", AT);
        Arc::make_mut(prod.running.as_mut().unwrap()).record.rollback_of = Some("def456a".to_owned());
        assert!(edge_between(at("dev", "def456a"), prod, Vec::new()).hold);
    }
}
