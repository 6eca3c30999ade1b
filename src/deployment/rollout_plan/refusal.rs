//! Why a rollout is refused.

use std::collections::{BTreeMap, BTreeSet};

use super::super::commit::CommitId;
use super::super::lock::HeldLock;
use super::super::names::{ComponentName, TargetName};
use super::super::promotable::{LeftOut, LeftOutReason};
use super::super::promotion::PathRefusal;
use super::super::rules::RulesConflict;

/// Why a rollout is refused.
#[derive(Debug, Clone, PartialEq)]
pub enum Refusal {
    /// The rules of the default branch and of the checkout cannot be obeyed together.
    Rules(RulesConflict),
    /// The promotion path does not allow it.
    Path(PathRefusal),
    /// A commit may only come to this target by promotion.
    NotPromoted {
        target: TargetName,
        sources: Vec<TargetName>,
        components: Vec<ComponentName>,
        why: NotPromotedReason,
    },
    /// The target is frozen.
    Frozen { target: TargetName, lock: Box<HeldLock> },
    /// Nothing on the source target can be promoted; each component with the reason.
    NothingToPromote { from: TargetName, left_out: Vec<LeftOut> },
    /// A component that was asked for cannot be promoted. `together`: the components that could
    /// be, where it could be among them.
    NotPromotable { from: TargetName, left_out: Box<LeftOut>, together: Vec<ComponentName> },
    /// Part of what runs on the source target would stay behind.
    Partial { from: TargetName, left_out: Vec<LeftOut> },
    /// The components sit at different commits.
    Mixed { from: TargetName, commits: BTreeMap<CommitId, Vec<ComponentName>> },
    /// A rollback is running, and only a person may move the target forwards again.
    OnHold { target: TargetName, components: Vec<ComponentName> },
    /// An automatic rollout would replace what runs by an ancestor of it.
    Backwards { target: TargetName, components: Vec<StepBack> },
}

/// Why a commit is new to a guarded target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotPromotedReason {
    /// It has not succeeded there.
    New,
    /// It has, and what runs is newer, or a rollback has left it since:
    /// going there is a step forwards.
    Left,
    /// Without `--context` it would be a rollback.
    Overridden,
}

impl Refusal {
    /// The dependencies for whose sake components were left out.
    #[must_use]
    pub fn missing_dependencies(&self) -> BTreeSet<ComponentName> {
        let dependency = |left_out: &LeftOut| match &left_out.reason {
            LeftOutReason::Needs { dependency, .. } => Some(dependency.clone()),
            _ => None,
        };
        match self {
            Self::NotPromotable { left_out, .. } => dependency(left_out).into_iter().collect(),
            Self::NothingToPromote { left_out, .. } | Self::Partial { left_out, .. } => {
                left_out.iter().filter_map(dependency).collect()
            }
            _ => BTreeSet::new(),
        }
    }
}

/// A component that would go back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepBack {
    pub component: ComponentName,
    pub running: CommitId,
    pub commit: CommitId,
}
