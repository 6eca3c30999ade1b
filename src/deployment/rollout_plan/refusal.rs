//! Refusals of a rollout.

use std::collections::{BTreeMap, BTreeSet};

use super::super::commit::CommitId;
use super::super::lock::HeldLock;
use super::super::names::{ComponentName, TargetName};
use super::super::promotable::{LeftOut, LeftOutReason};
use super::super::promotion::PathRefusal;
use super::super::rules::RulesConflict;

/// The reason that a rollout is refused.
#[derive(Debug, Clone, PartialEq)]
pub enum Refusal {
    /// The rules of the default branch and of the checkout conflict.
    Rules(RulesConflict),
    /// The promotion path does not allow it.
    Path(PathRefusal),
    /// The target accepts commits only by promotion.
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
    /// A requested component cannot be promoted. `together`: a larger selection that could be, if
    /// any.
    NotPromotable { from: TargetName, left_out: Box<LeftOut>, together: Vec<ComponentName> },
    /// Part of the source target's components would stay behind.
    Partial { from: TargetName, left_out: Vec<LeftOut> },
    /// The components are at different commits.
    Mixed { from: TargetName, commits: BTreeMap<CommitId, Vec<ComponentName>> },
    /// A rollback is running, and only a person may move the target forwards again.
    OnHold { target: TargetName, components: Vec<ComponentName> },
    /// An automatic rollout would replace the running commit by an ancestor of it.
    Backwards { target: TargetName, components: Vec<StepBack> },
}

/// The reason that a commit counts as new to a guarded target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotPromotedReason {
    /// The commit has not succeeded there.
    New,
    /// The commit has succeeded there, but a newer one runs, or a rollback has left it since:
    /// deploying it would be a step forwards.
    Left,
    /// Without `--context` it would be a rollback.
    Overridden,
}

impl Refusal {
    /// The missing dependencies that caused components to be left out.
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

/// A component that would go back to an older commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepBack {
    pub component: ComponentName,
    pub running: CommitId,
    pub commit: CommitId,
}
